"""What stages hold is pinned together with their version.

A run takes a finished stage for its own if the key is the same, and the key knows nothing of code.
Whoever changes what is read, split or written as records has to raise the version, or old folders
are mixed with new ones.
"""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from suffrage import storage
from suffrage.study import stages
from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from suffrage.study.stages import FOLDERS, StageKind
from tests.example_files import write_examples

# By kind: the version, and a hash of what the stages of the study below hold. Where a hash differs,
# raise the version in stages.py (`LATER`, for this kind) and write both here.
PINNED: dict[StageKind, tuple[int, str]] = {
    "survey": (19, "49ed9c22737fe354"),
    "value_sets": (19, "ac4979a09d955a01"),
    "split": (19, "3beb2b1524c09e38"),
    "records": (19, "16a194d8359f3023"),
}

# A table with answers that are none, in several languages, and with nearly the same question twice.
LABELS = {
    "trust": ["A lot", "Some", "None at all", "Don't know"],
    "trust again": ["A lot", "Some", "None at all", "Refused"],
    "confianza": ["Mucha", "Poca", "Ninguna", "No sabe", "No contesta"],
    "vertrauen": ["Viel", "Wenig", "Weiß nicht", "Keine Angabe"],
    "zaufanie": ["Duże", "Małe", "Trudno powiedzieć", "Odmowa odpowiedzi"],
    "refusing": ["Refused", "Accepted"],
    "scale": ["1 Not at all", "2", "3", "4", "5 Completely", "Missing"],
}
QUESTIONS = {"trust": "How much do you trust your council?", "trust again": "How much do you trust"}


def write_table(folder: Path) -> None:
    lines = []
    for number, (name, options) in enumerate(LABELS.items()):
        for place, group in enumerate(("north", "south", "east")):
            counts = [10 + (number + 3 * k + 5 * place) % 7 for k in range(len(options))]
            lines.append(
                {
                    "item": name,
                    "question": QUESTIONS.get(name, f"What of {name}?"),
                    "options": options,
                    "group": group,
                    "counts": counts,
                    "topic": "a" if number % 2 else "b",
                }
            )
    path = folder / "table.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")


STUDY: dict[str, Any] = {
    "study": "pinned",
    "seed": 3,
    "survey": [
        {
            "name": "town",
            "reader": "labelled_file",
            "path": "town.csv",
            "codebook": "town.yaml",
        },
        {"name": "table", "reader": "published_table", "path": "table.jsonl"},
    ],
    "value_sets": [
        {"name": "northerners", "source": "town", "where": {"area": "north"}, "description": "N"},
        {"name": "south", "source": "table", "population": "south"},
        {"name": "east", "source": "table", "population": "east"},
    ],
    "held_out": {"question": 0.2},
    "model": "tiny-model",
    "methods": [
        {"method": "sft", "steps": 2},
        {"method": "dpo", "steps": 2},
        {"method": "kto", "steps": 2},
        {"method": "distribution", "steps": 2, "questions": 2, "validation": 0.2},
    ],
    "scoring": {"samples": 0, "text": False},
    "output": "run",
}


def plain(value: Any) -> Any:
    """Without what depends on a machine's rounding, or on keys."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        left = {
            k: v for k, v in value.items() if "hash" not in k and k not in ("made_from", "path")
        }
        return {k: plain(v) for k, v in left.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value


def held(file: Path) -> Any:
    """What a file of a stage holds."""
    if file.suffix == ".parquet":
        return pl.read_parquet(file).to_dicts()
    if file.suffix == ".json":
        return json.loads(file.read_text(encoding="utf-8"))
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    folder = write_examples(tmp_path_factory.mktemp("pinned"), tiny_model)
    write_table(folder)
    (folder / "pinned.yaml").write_text(yaml.safe_dump(STUDY))
    run_study(read_study(folder / "pinned.yaml"), only="records", quiet=True)
    return folder / "run"


@pytest.mark.parametrize("kind", ["survey", "value_sets", "split", "records"])
def test_what_stages_hold_changes_with_their_version_alone(output: Path, kind: StageKind) -> None:
    found = [
        (folder.name.rsplit("-", 1)[0], file.name, plain(held(file)))
        for folder in sorted((output / FOLDERS[kind]).iterdir())
        if not folder.is_symlink()
        for file in sorted(folder.iterdir())
    ]
    assert found
    now = (stages.LATER.get(kind, stages.VERSION), storage.content_hash(found)[:16])
    assert now == PINNED[kind], f"raise the version of {kind} in stages.py, and pin {now}"
