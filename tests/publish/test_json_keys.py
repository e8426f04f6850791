"""What the documentation says of `--json` is what the commands print."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from tests.example_files import write_examples
from tests.json_keys import check_keys, documented
from tests.test_command_help import EVERY

TESTS = Path(__file__).parents[1]
# A second form of a command, with keys of its own.
FORMS = (" --gpus", " --against")


def test_every_command_with_json_is_documented_and_a_test_compares_its_keys() -> None:
    with_json = {
        " ".join(name)
        for name, command in EVERY.items()
        if any("--json" in parameter.opts for parameter in command.params)
    }
    assert {name for name in documented() if not name.endswith(FORMS)} == with_json
    tests = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    compared = {name for name in documented() if f'check_keys("{name}"' in tests}
    assert {*compared, *OF_A_RUN, *OF_A_TOWN} == documented().keys()


def printed(name: str, given: list[Any]) -> Any:
    shown = CliRunner().invoke(app, [*name.split(), *map(str, given), "--json"])
    # A code that the codebook does not know is a difference found.
    wanted = 1 if name == "survey check" else 0
    assert shown.exit_code == wanted, (name, shown.output, shown.exception)
    return json.loads(shown.stdout)


OF_A_RUN = {
    "run": ["STUDY"],
    "plan": ["STUDY"],
    "plan --gpus": ["STUDY"],
    "publish": ["RUN", "published"],
    "verify": ["RUN"],
    "merge": ["CHECKPOINT", "--out", "merged"],
    "clean": ["RUN"],
    "compare": ["RUN"],
    "doctor": [],
}


@pytest.mark.slow
def test_commands_on_a_run_print_the_keys_that_are_documented(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Path(shutil.copytree(small_run, tmp_path / "run", symlinks=True))
    (checkpoint,) = (p for p in (run / "checkpoints").iterdir() if not p.is_symlink())
    named = {"STUDY": small_run.parent / "study.yaml", "RUN": run, "CHECKPOINT": checkpoint}
    for name, given in OF_A_RUN.items():
        check_keys(name, printed(name, [named.get(word, word) for word in given]))


OF_A_TOWN = {
    "examples": [],
    "init": ["town.csv"],
    "ask": ["tiny-model", "Which?", "--options", "Red, Green"],
    "profile": ["study.yaml", "north"],
    "profile --against": ["study.yaml", "north", "--against", "south"],
    "segment": ["study.yaml", "--classes", "2"],
    "survey inspect": ["study.yaml"],
    "survey check": ["odd.csv", "--codebook", "town.yaml"],
    "survey topics": ["study.yaml"],
    "values list": [],
    "values show": ["schwartz10"],
    "consult plan": ["polis-export", "--people", "50", "--rounds", "3"],
    "consult groups": ["polis-export", "--resamples", "2"],
    "consult release": ["consultation", "--out", "released"],
    "consult principles": ["consultation", "--resamples", "2", "--everyone"],
}


@pytest.mark.slow
def test_commands_on_data_print_the_keys_that_are_documented(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_examples(tmp_path, tiny_model)
    lines = (tmp_path / "town.csv").read_text().splitlines()
    (tmp_path / "odd.csv").write_text("\n".join([*lines, "p999,north,1,2,3,77"]) + "\n")
    monkeypatch.chdir(tmp_path)
    for name, given in OF_A_TOWN.items():
        command = name.removesuffix(" --against")
        check_keys(name, printed(command, given))


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
