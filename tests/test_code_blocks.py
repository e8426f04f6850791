"""Every code block of the documentation runs or is read here, or says above it what it needs.

What it needs stands in a comment at the end of the line before the block: `<!-- needs: a GPU -->`.
Blocks of `text` and `json` are what a program prints, and no code.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from suffrage import registry, settings
from suffrage.cli import app
from suffrage.consult.release.release_settings import ReleaseSettings, read_release_settings
from suffrage.evaluate.asking.scenarios import read_scenarios
from suffrage.evaluate.recorded_predictions import read_predicted_groups
from suffrage.server.store.consultations import ConsultationSettings
from suffrage.server.web.server_settings import DEFAULT_LIMITS, read_limits
from suffrage.study.schema import Study, read_study
from suffrage.survey.formats.codebook_file import CodebookFile, read_codebook
from suffrage.survey.reading import read_survey_or_table
from suffrage.values.item_keys import KeyFile, item_key
from tests.example_files import write_examples
from tests.study.test_starting import write_town
from tests.test_docs import PAGES, ROOT, identified

PRINTED = ("text", "json")
# Until somebody stops them, these answer people: they are started nowhere here.
SERVING = re.compile(r"suffrage (?:consult (?:serve|demo)|chat)\b(?!.*--look)")


@dataclass(frozen=True)
class Block:
    """A code block of a page."""

    page: Path
    line: int
    language: str
    text: str
    # What the comment above it says; None where there is none.
    needs: str | None

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


FENCE = re.compile(
    r"(?ms)(?:^[^\n]*<!-- needs: (?P<needs>[^\n]+?) -->\n\n?)?"
    r"^(?P<indent>[ \t]*)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^[ \t]*```[ \t]*$"
)


def blocks_of(text: str, page: Path = Path("page.md")) -> list[Block]:
    """The code blocks of a page, in order, without the indent of the list they are in."""
    return [
        Block(
            page,
            text[: found.start("language")].count("\n") + 1,
            found["language"],
            re.sub(f"(?m)^{found['indent']}", "", found["text"]),
            found["needs"],
        )
        for found in FENCE.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page.read_text(encoding="utf-8"), page)]


def of(*languages: str) -> list[Block]:
    """The blocks that need nothing, in these languages."""
    return [block for block in BLOCKS if block.language in languages and block.needs is None]


# --- what files are read by -------------------------------------------------------------------

BASE: dict[str, Any] = {
    "study": "town",
    "survey": {"reader": "labelled_file", "path": "town.csv", "codebook": "town.yaml"},
    "value_sets": [{"name": "everyone", "description": "people in the town"}],
    "held_out": {"by": "item", "share": 0.3},
    "model": "tiny-model",
    "methods": ["base"],
    "output": "run",
}
# Methods that examples go on from.
STARTS = [{"method": "sft"}, {"method": "sft", "name": "survey-only"}]
ITEM = {"question": "Is it?", "options": {1: "Yes", 2: "No"}}
CODEBOOK = {"title": "A town", "items": [{"id": id, **ITEM} for id in ("v1", "v2", "v3")]}


def as_study(path: Path) -> None:
    """A whole study, or some of its keys, or entries of its methods or evaluations."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if isinstance(content, list):
        evaluations = any("evaluation" in entry for entry in content if isinstance(entry, dict))
        content = {"evaluate" if evaluations else "methods": content}
    whole = {**BASE, **content}
    methods = [entry for entry in whole["methods"] if isinstance(entry, dict)]
    if any("from" in m for m in methods):
        named = {m.get("name", m["method"]) for m in methods}
        starts = [m for m in STARTS if m.get("name", m["method"]) not in named]
        whole["methods"] = [*starts, *whole["methods"]]
    if any("records" in m or m["method"] == "combined" for m in methods):
        whole.setdefault("consultation", {"folder": "consultation"})
    path.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
    for source in read_study(path).survey:
        options = dict(source.section)
        reader = registry.load("readers", options.pop("reader"))
        settings.validated(reader.options, options, path.name, "survey")


def as_codebook(path: Path) -> None:
    """A codebook, or some of its keys."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**CODEBOOK, **content}, sort_keys=False), encoding="utf-8")
    read_codebook(path)


def as_consultation(path: Path) -> None:
    """Settings of a consultation."""
    settings.validated(ConsultationSettings, settings.read_yaml(path), path.name)


# The first reader that knows all keys at the top of a file reads it.
READERS: list[tuple[set[str], Callable[[Path], object]]] = [
    ({*Study.model_fields, "seed"}, as_study),
    ({*CodebookFile.model_fields}, as_codebook),
    ({*KeyFile.model_fields}, lambda path: item_key(str(path))),
    ({"scenarios"}, read_scenarios),
    ({"groups"}, lambda path: read_predicted_groups(path, None)),  # type: ignore[arg-type]
    ({*DEFAULT_LIMITS}, read_limits),
    ({*ReleaseSettings.model_fields}, read_release_settings),
    ({*ConsultationSettings.model_fields}, as_consultation),
]


def read_yaml_block(text: str, folder: Path) -> None:
    """Read a file of settings as the program that it is for; an error where none knows its keys."""
    path = folder / "block.yaml"
    path.write_text(text, encoding="utf-8")
    if text.lstrip().startswith("- "):
        as_study(path)
        return
    keys = set(settings.read_yaml(path))
    wanted = [reader for known, reader in READERS if keys <= known]
    assert wanted, f"nothing reads a file with {', '.join(sorted(keys))}"
    wanted[0](path)


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_a_file_that_the_documentation_shows_can_be_read(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MANY_QUESTIONS", "GLOBALOPINIONQA", "WVS7", "GSS"):
        monkeypatch.setenv(name, str(tmp_path))
    read_yaml_block(block.text, tmp_path)


@pytest.mark.parametrize("block", of("toml"), ids=str)
def test_entry_points_are_in_groups_that_exist(block: Block) -> None:
    (points,) = tomllib.loads(block.text)["project"]["entry-points"].items()
    group, entries = points
    assert registry.names(group.removeprefix("suffrage.")) and entries


@pytest.mark.parametrize("block", of("csv"), ids=str)
def test_a_table_that_the_documentation_shows_can_be_read(block: Block, tmp_path: Path) -> None:
    """A table of shares as it is, and one of people with the codebook of the same page."""
    (tmp_path / "town.csv").write_text(block.text, encoding="utf-8")
    section = {"reader": "published_table", "path": "town.csv", "description": "{population}"}
    if not block.text.startswith("question,"):
        (codebook,) = [
            b.text for b in of("yaml") if b.page == block.page and "respondent:" in b.text
        ]
        (tmp_path / "town.yaml").write_text(codebook, encoding="utf-8")
        section = {"reader": "labelled_file", "path": "town.csv", "codebook": "town.yaml"}
    assert read_survey_or_table(section, tmp_path)


# --- commands and programs --------------------------------------------------------------------


def write_world(folder: Path, tiny_model: Path) -> None:
    """Write what the documentation's commands find in the reader's folder."""
    write_examples(folder, tiny_model)
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copytree(tiny_model, folder / "runs/quickstart/checkpoints/distribution-seed7")
    for example in (folder / "examples").glob("*.yaml"):
        text = example.read_text(encoding="utf-8")
        example.write_text(text.replace("bundled:smollm2-135m", str(tiny_model)), encoding="utf-8")
    write_town(folder)
    shutil.copytree(folder / "consultation", folder / "town")
    people = [f"{who},{'north' if who % 2 else 'south'}" for who in range(120)]
    files = {
        "seeds.txt": "Rivers must be clean.\nFarmers decide about their land.\n",
        "proposals.csv": "title,body\nMore trees,Plant them in each street.\n",
        "ideas.csv": "Proposal\nMore buses at night.\n",
        "votes.csv": "user,item,words,answer\n" + "".join(made_up_rows()),
        "people.csv": "participant,area\n" + "\n".join(people) + "\n",
        "margins.yaml": "source: a register\nmargins: {area: {north: 0.6, south: 0.4}}\n",
        "release.yaml": "licence: CC-BY-4.0\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def made_up_rows() -> Iterator[str]:
    """Votes of forty people on ten items, half of whom want what the others do not."""
    for person in range(40):
        for item in range(10):
            answer = "yes" if (person + item) % 2 else "no"
            yield f"u{person},i{item},We want item {item}.,{answer}\n"


def run_commands(text: str) -> list[str]:
    """Run a block of the shell where the process is; return the calls that were made in it.

    The command is called without a new process; what serves people is not called.
    """
    called = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        for part in re.split(r"\s&&\s", re.sub(r"\s+#.*", "", line).strip()):
            if not part or part.startswith("#") or SERVING.match(part):
                continue
            called.append(part)
            command, _, target = part.partition(" > ")
            if not command.startswith("suffrage "):
                subprocess.run(part, shell=True, check=True, env=PROGRAMS, capture_output=True)
                continue
            words = shlex.split(command)[1:]
            done = CliRunner().invoke(app, words, input=f"{PASSWORD}\n" * 2)
            assert done.exit_code == 0, f"{part}\n{done.output}\n{done.exception}"
            if target:
                Path(target.strip()).write_text(done.stdout, encoding="utf-8")
    return called


# For commands that ask for one.
PASSWORD = "a long password"
# What a page takes for done that stands on another page.
DONE_BEFORE = {
    "docs/consultation-results.md": (
        "suffrage consult import water polis-export --slug water-2026 --consent votes"
    ),
}
PROGRAMS = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT / "src"),
}


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({b.page for b in of("sh", "python")}), ids=identified)
def test_the_commands_and_programs_of_a_page_run_from_top_to_bottom(
    page: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_world(tmp_path, tiny_model)
    monkeypatch.chdir(tmp_path)
    run_commands(DONE_BEFORE.get(identified(page), ""))
    for block in of("sh", "python"):
        if block.page == page and block.language == "sh":
            run_commands(block.text)
        elif block.page == page:
            exec(block.text, {})


def test_a_block_that_needs_nothing_is_in_a_language_that_is_checked_or_printed() -> None:
    known = {"sh", "python", "yaml", "toml", "csv", *PRINTED}
    strange = [b for b in BLOCKS if b.needs is None and b.language not in known]
    assert [str(block) for block in strange] == []


def test_a_mark_is_read_and_a_block_without_one_is_run(tmp_path: Path) -> None:
    page = (
        "A:  <!-- needs: a GPU -->\n\n```sh\nsuffrage x\n```\n\n- B\n\n  ```yaml\n  a: 1\n  ```\n"
    )
    marked, plain = blocks_of(page)
    assert (marked.needs, marked.language, marked.line) == ("a GPU", "sh", 3)
    assert (plain.needs, plain.text, plain.line) == (None, "a: 1\n", 9)
    with pytest.raises(AssertionError, match="nothing reads a file with a"):
        read_yaml_block(plain.text, tmp_path)
    with pytest.raises(AssertionError, match="suffrage values shw"):
        run_commands("suffrage values shw")
    assert run_commands(
        "suffrage consult serve x  # waits\nsuffrage values show \\\n  schwartz10"
    ) == ["suffrage values show  schwartz10"]
