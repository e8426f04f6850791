"""Users' mistakes: one sentence with the thing and the mend, exit code 2, nothing lost."""

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from suffrage import storage
from suffrage.cli import commands, main
from suffrage.errors import InputError, MissingExtraError, SuffrageError, require
from suffrage.study.planning.plan import plan_study
from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from suffrage.study.stages import ORDER
from tests.study.conftest import Write
from tests.synthetic import make_survey


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "suffrage", *words], capture_output=True, text=True, check=False
    )


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["suffrage", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return " ".join(message.split())


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "missing file": (
        {"survey": {"reader": "labelled_file", "path": "gone.csv", "codebook": "codebook.yaml"}},
        "gone.csv does not exist",
    ),
    "unknown reader": ({"survey": {"reader": "wvs8"}}, 'no reader "wvs8"; there are'),
    "no reader": ({"survey": {"path": "x"}}, "survey.reader is missing"),
    "unknown reader key": (
        {"survey": {"reader": "labelled_file", "pth": "x", "codebook": "codebook.yaml"}},
        "survey.pth",
    ),
    "unknown column": (
        {"value_sets": [{"name": "x", "where": {"regoin": "north"}}]},
        "where.regoin is not a demographic column of this survey; there are region, age. "
        'Did you mean "region"?',
    ),
    "empty population": (
        {"value_sets": [{"name": "x", "where": {"region": "north", "age": {"min": 200}}}]},
        "no respondent meets all of where (age is 200 or more, region is north)",
    ),
    "value nobody has": (
        {"value_sets": [{"name": "x", "where": {"region": "east"}}]},
        'nobody has region "east"; the values are north, south',
    ),
    "nothing left to train on": (
        {"held_out": {"by": "item", "share": 1.0}},
        "share 1.0 leaves no item to train on",
    ),
    "not a model": ({"model": "."}, "is not a model: it needs to be a folder with a config.json"),
    "no such model": ({"model": "./nowhere"}, "model: ./nowhere does not exist"),
    "a name that no hub can have": (
        {"model": "nobody/no thing"},
        "model: nobody/no thing is neither a folder here nor a model on the hub that you may read",
    ),
    "no such bundled model": (
        {"model": "bundled:gpt"},
        'no bundled model "gpt"; there are gemma3-270m, smollm2',
    ),
    "key that is none of a study's": (
        {"sed": 8},
        "study.yaml: sed: unknown key; there are calibrate, consultation, ",
    ),
    "key that a study fills in": ({"source": 8}, "source: unknown key; there are calibrate"),
    "seed below 0": ({"seed": -1}, "seeds[0]: is -1; must be greater than or equal to 0"),
    "name with blanks": (
        {"study": "my study"},
        "study: is 'my study'; must be letters, digits, dots, hyphens and underscores",
    ),
    "unknown key": (
        {"held_out": {"by": "item", "shar": 0.2}},
        "held_out.shar: unknown key; there are by, share, topics, items, question, topic, "
        'population, survey. Did you mean "share"?',
    ),
    "unknown method": (
        {"methods": ["base", "spo"]},
        'methods[1]: there is no method "spo"; there are augmented-sft, base',
    ),
    "bad method setting": (
        {"methods": [{"method": "sft", "learning_rate": -1}]},
        "methods[0].learning_rate: is -1; must be greater than 0",
    ),
    "unknown method setting": (
        {"methods": [{"method": "sft", "beta": 0.1}]},
        "methods[0].beta: unknown key; there are steps, epochs, batch",
    ),
    "no vLLM here": (
        {"methods": [{"method": "rloo", "steps": 1, "vllm": "colocate"}]},
        "vllm: colocate needs",
    ),
    "method twice": ({"methods": ["base", "base"]}, "methods: 'base' appears twice"),
    "missing key": ({"held_out": None}, "held_out: is missing"),
    "unknown evaluation": ({"evaluate": ["fitt"]}, 'evaluate[0]: there is no evaluation "fitt"'),
    "unset variable": ({"model": "${NOT_SET_ANYWHERE}/m"}, "${NOT_SET_ANYWHERE}, which is not set"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_study_is_named(
    mistake: str,
    write_study: Write,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes, message = MISTAKES[mistake]
    error = said(capsys, monkeypatch, "run", str(write_study(**changes))).split("Error: ")[1]
    assert message in error and error.startswith("study.yaml: ")


HUB_MODEL = "owner/a-model-that-nobody-has"


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"model": HUB_MODEL}, "model"),
        ({"model": {"name": HUB_MODEL, "revision": "1" * 40}}, "model"),
        (
            {"evaluate": ["fit", {"evaluation": "behaviour", "judge": HUB_MODEL}]},
            "evaluate: behaviour",
        ),
    ],
)
def test_a_run_whose_model_is_nowhere_stops_before_the_survey_is_read(
    changes: dict[str, Any],
    key: str,
    no_hub: None,
    write_study: Write,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_study(**changes)
    error = said(capsys, monkeypatch, "run", str(path))
    assert error.startswith(f"Error: study.yaml: {key}: {HUB_MODEL} is neither a folder here nor")
    assert "Reading the survey" not in error and not (path.parent / "out" / "survey").exists()


@pytest.mark.slow
def test_a_plan_says_that_its_model_is_nowhere(no_hub: None, write_study: Write) -> None:
    first, *_ = plan_study(read_study(write_study(model=HUB_MODEL))).notes
    assert first.startswith(f"study.yaml: model: {HUB_MODEL} is neither a folder here nor")
    assert first.endswith("`suffrage run` would stop here.")


def test_a_missing_study_a_broken_one_and_a_key_twice_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study.yaml").write_text("study: x\n")
    absent = said(capsys, monkeypatch, "run", str(tmp_path / "stduy.yaml"))
    assert 'no such file. Did you mean "study.yaml"?' in absent and "suffrage init" in absent
    broken = tmp_path / "broken.yaml"
    broken.write_text("study: x\nmethods: [base\nmodel: y\n")
    assert "broken.yaml line 3" in said(capsys, monkeypatch, "run", str(broken))
    broken.write_text("study: x\nmodel: a\nmodel: b\n")
    assert "line 3: the key 'model' appears twice" in said(capsys, monkeypatch, "run", str(broken))
    broken.write_bytes("study: Māori\n".encode("utf-16"))
    assert "not in UTF-8" in said(capsys, monkeypatch, "run", str(broken))


def test_codes_and_weights_a_file_gets_wrong_are_named_by_row(
    write_study: Write,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_study()
    good = (tmp_path / "survey.csv").read_text()
    header, first, *rest = good.splitlines()
    cells = first.split(",")
    for column, value, message in (
        ("q0", "77", 'row 2: q0 is "77", which is not in its codebook'),
        ("weight", "-1", 'row 2: the weight weight "-1" is negative'),
        ("weight", "", "row 2: the weight weight is empty"),
    ):
        changed = list(cells)
        changed[header.split(",").index(column)] = value
        (tmp_path / "survey.csv").write_text("\n".join([header, ",".join(changed), *rest]))
        assert message in said(capsys, monkeypatch, "run", str(path))
    place = header.split(",").index("weight")
    zero = [
        ",".join("0" if i == place else c for i, c in enumerate(line.split(",")))
        for line in (first, *rest)
    ]
    (tmp_path / "survey.csv").write_text("\n".join([header, *zero]))
    assert "zero for every respondent" in said(capsys, monkeypatch, "run", str(path))
    (tmp_path / "survey.csv").write_bytes(good.replace("north", "nörth").encode("latin-1"))
    assert "is not UTF-8" in said(capsys, monkeypatch, "run", str(path))


def test_only_and_force_list_the_stages(
    write_study: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = said(capsys, monkeypatch, "run", str(write_study()), "--only", "trainings")
    assert "the stages are survey, value_sets, split" in message


@pytest.mark.slow
def test_the_help_of_run_lists_every_stage() -> None:
    shown = " ".join(command("run", "--help").stdout.replace("│", " ").split())
    assert f"one of {', '.join(ORDER)}." in shown


@pytest.mark.slow
def test_a_mistake_ends_with_exit_code_two_on_the_command_line(tmp_path: Path) -> None:
    found = command("run", str(tmp_path / "none.yaml"))
    assert found.returncode == 2 and found.stdout == ""
    assert found.stderr.count("\n") <= 3


@pytest.mark.slow
def test_a_full_disk_stops_with_a_mend_and_keeps_what_is_finished(
    write_study: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = read_study(write_study())
    run_study(study, only="records")
    done = {path for path in study.output.rglob("*") if path.is_file()}

    def no_room(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_room)
    with pytest.raises(SuffrageError, match=r"the disk is full.*Nothing finished was lost"):
        run_study(study)
    monkeypatch.undo()
    assert done <= {path for path in study.output.rglob("*") if path.is_file()}
    assert run_study(study).results is not None


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOTDIR])
def test_where_nothing_can_be_written_is_said_with_what_every_command_can_do(
    tmp_path: Path, number: int
) -> None:
    # Not only studies write: the advice names every kind of place.
    advice = r"choose another place.*--out.*SUFFRAGE_CACHE"
    with pytest.raises(InputError, match=advice), storage.disk_errors(tmp_path):
        raise OSError(number, "no")


def test_an_item_that_a_codebook_does_not_have_is_named_with_the_nearest() -> None:
    codebook = make_survey(20).codebook
    with pytest.raises(InputError, match=r'no item "q00".*Did you mean "q0"'):
        codebook["q00"]


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    storage.write_json(target, {"a": 1})
    with pytest.raises(TypeError), storage.atomic_path(target) as draft:
        draft.write_text("half")
        raise TypeError
    assert storage.read_json(target) == {"a": 1}
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_part_is_named_with_its_install_command() -> None:
    with pytest.raises(MissingExtraError, match=r'pip install "suffrage\[align\]"'):
        require("surely_not_installed", "align", "training")


@pytest.mark.slow
@pytest.mark.parametrize("output", ["afile", "afile/deeper"])
def test_an_output_that_cannot_be_a_folder_is_named_before_anything_runs(
    output: str,
    write_study: Write,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_study(output=output)
    (path.parent / "afile").write_text("mine")
    for command in ("run", "plan"):
        found = said(capsys, monkeypatch, command, str(path))
        assert f"study.yaml: output: {path.parent / 'afile'} is a file" in found
    assert (path.parent / "afile").read_text() == "mine"


def test_an_error_of_the_system_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(commands, "app", full)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert capsys.readouterr().err == "Error: writing the output: No space left on device.\n"
