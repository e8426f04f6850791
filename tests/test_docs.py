"""The documentation names commands, options, files and headings that exist."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import typer.main

from suffrage.cli import app

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]
)
BLOCK = re.compile(r"(?ms)^\s*```(\w+)[^\n]*\n(.*?)^\s*```")


def identified(page: Path) -> str:
    return str(page.relative_to(ROOT))


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of each call of the command in shell blocks, with continued lines joined."""
    for language, block in BLOCK.findall(text):
        if language != "sh":
            continue
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            words = shlex.shlex(line, posix=True, punctuation_chars=";&|()")
            words.whitespace_split, words.commenters = True, "#"
            for joined, part in groupby(words, key=lambda word: set(word) <= set(";&|()")):
                call = list(part)
                while call and re.fullmatch(r"[A-Z_]+=.*", call[0]):
                    call.pop(0)
                if not joined and call and call[0] == "suffrage":
                    yield call


def unknown(call: list[str]) -> str | None:
    """What in a command line does not exist or is missing, or None."""
    words = call[1:]
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        if words[0].startswith("-"):
            break
        if words[0] not in command.commands:
            return f"no command {words[0]}"
        command = command.commands[words.pop(0)]
    known = {"--help"} | {
        name
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    for word in words:
        name = word.partition("=")[0]
        if re.fullmatch(r"--[a-z][a-z0-9-]*", name) and name not in known:
            return f"no option {name}"
    needs_out = any(one.required and "--out" in one.opts for one in command.params)
    # A command with nothing after it is only named.
    if words and needs_out and not {"--out", "--help"} & set(words):
        return "no output: --out"
    return None


@pytest.mark.parametrize("page", PAGES, ids=identified)
def test_commands_in_the_documentation_exist_with_their_options(page: Path) -> None:
    wrong = {
        " ".join(call): found
        for call in command_lines(page.read_text(encoding="utf-8"))
        if (found := unknown(call)) is not None
    }
    assert not wrong


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page: those that GitHub and MkDocs make of headings, and `<a id=...>`."""
    text = re.sub(r"(?ms)^\s*```.*?^\s*```", "", page.read_text(encoding="utf-8"))
    headings = re.findall(r"(?m)^#+\s+(.*)$", text)
    plain = [re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings]
    written = re.findall(r'<a id="([^"]+)"></a>', text)
    return {re.sub(r"\s", "-", heading) for heading in plain} | set(written)


@pytest.mark.parametrize("page", PAGES, ids=identified)
def test_links_in_the_documentation_lead_to_files_and_headings(page: Path) -> None:
    text = re.sub(r"(?ms)^\s*```.*?^\s*```", "", page.read_text(encoding="utf-8"))
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in anchors_of(found)):
            wrong.append(target)
    assert not wrong


def test_the_checks_see_what_is_wrong() -> None:
    assert unknown(["suffrage", "run", "study.yaml"]) is None
    assert unknown(["suffrage", "runn", "study.yaml"]) == "no command runn"
    assert unknown(["suffrage", "run", "study.yaml", "--fast"]) == "no option --fast"
    assert unknown(["suffrage", "merge", "checkpoint", "merged"]) == "no output: --out"
    assert unknown(["suffrage", "merge", "checkpoint", "--out", "merged"]) is None
    block = "```sh\ncd x && KEY=1 suffrage run 'a; b' \\\n  --json  # why\n```"
    assert list(command_lines(block)) == [["suffrage", "run", "a; b", "--json"]]


HEAD = re.compile(r"\*For [^:.]+: [^:]+?\.\*", re.DOTALL)
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))


def head_of(page: Path) -> str:
    """The first paragraph below the title of a page or a notebook."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        text = "".join(json.loads(text)["cells"][0]["source"])
    return text.split("\n\n")[1].strip()


def test_the_readme_can_be_read_in_one_sitting() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize(
    "page",
    [*(page for page in PAGES if page.parent != ROOT), *NOTEBOOKS],
    ids=identified,
)
def test_every_page_says_first_whom_it_is_for_and_what_they_get(page: Path) -> None:
    assert HEAD.fullmatch(head_of(page)), head_of(page)


def test_the_readme_gives_the_figures_of_the_table_of_claims() -> None:
    claims = dict(
        re.findall(r'<a id="([^"]+)"></a>(.*)', (ROOT / "docs" / "results.md").read_text("utf-8"))
    )
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"\| \[([^\]]+)\]\(docs/results\.md#([^)]+)\)", readme)
    assert len(shown) >= 5
    for text, anchor in shown:
        known = {number.lstrip("+-") for number in re.findall(r"[+-]?0\.\d+", claims[anchor])}
        for number in re.findall(r"0\.\d+", text):
            assert number in known, f"{anchor}: {number}"


def test_every_entry_of_the_navigation_is_the_title_of_its_page() -> None:
    """A page that opens under another name than the link's looks like the wrong page."""
    entries = re.findall(
        r'(?m)^      - "?([^"\n]+?)"?: (\S+\.md)$', (ROOT / "mkdocs.yml").read_text("utf-8")
    )
    found = {}
    for name, page in entries:
        path = next((p for p in (ROOT / "docs" / page, ROOT / page) if p.exists()), None)
        if path is not None:  # the pages of commands and of notebooks are made with the site
            found[page] = (name, path.read_text("utf-8").partition("\n")[0].removeprefix("# "))
    assert len(found) > 40
    assert {page: both for page, both in found.items() if both[0] != both[1]} == {}
