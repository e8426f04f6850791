"""What the documentation says of `--json` is what the commands print."""

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from suffrage.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "json.md"


def documented() -> dict[str, list[str]]:
    rows = re.findall(r"^\| `suffrage ([^`]+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: re.findall(r"`([^`]+)`", keys) for name, keys in rows}


@pytest.mark.slow
def test_every_command_prints_the_keys_that_are_documented(small_run: Path, tmp_path: Path) -> None:
    study = small_run.parent / "study.yaml"
    run = Path(shutil.copytree(small_run, tmp_path / "run", symlinks=True))
    (checkpoint,) = (p for p in (run / "checkpoints").iterdir() if not p.is_symlink())
    given = {
        "run": [study],
        "plan": [study],
        "plan --gpus": [study],
        "publish": [run, tmp_path / "published"],
        "verify": [run],
        "merge": [checkpoint, tmp_path / "merged"],
        "clean": [run],
        "doctor": [],
    }
    assert given.keys() == documented().keys()
    for name, keys in documented().items():
        command = [*name.split(), *map(str, given[name]), "--json"]
        shown = CliRunner().invoke(app, command)
        assert shown.exit_code == 0, (name, shown.output)
        found = json.loads(shown.stdout)
        assert sorted(found) == sorted(keys), name
        check_bytes(found)


def check_bytes(content: object, key: str = "") -> None:
    """Every size is a whole number, or null."""
    if isinstance(content, dict):
        for name, value in content.items():
            check_bytes(value, name)
    elif isinstance(content, list):
        for value in content:
            check_bytes(value, key)
    elif key == "bytes" or key.endswith("_bytes"):
        assert content is None or isinstance(content, int), key


@pytest.mark.slow
def test_a_report_of_an_unfinished_run_says_how_to_finish_it(
    small_run: Path, tmp_path: Path
) -> None:
    town = Path(shutil.copytree(small_run.parent, tmp_path / "town", symlinks=True))
    (town / "out" / "results.json").unlink()
    study = str(town / "study.yaml")
    for command in (["report", study], ["estimate", study, "--method", "base"]):
        shown = CliRunner().invoke(app, command)
        assert shown.exit_code != 0 and "has no results yet" in str(shown.exception)
    shutil.rmtree(town / "out")
    shown = CliRunner().invoke(app, ["report", study])
    assert "there is no results.json here" in str(shown.exception)
