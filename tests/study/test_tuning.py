"""`suffrage tune`: settings chosen by short trainings on questions held back inside training."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from suffrage.align.training import LOG
from suffrage.cli import app
from suffrage.errors import InputError, TrainingDivergedError
from suffrage.study.commands.tuning import Tuning, tune_study
from suffrage.study.run import StudyRun, run_study
from suffrage.study.schema import read_study
from suffrage.study.trials import sweep_of, trials_of
from suffrage.training_data import ItemSplit
from tests.json_keys import check_keys
from tests.study.conftest import Write

ENTRY: dict[str, Any] = {
    "method": "distribution",
    "questions": 1,
    "populations": 2,
    "steps": 4,
    "validation": 0.4,
    "validate_every": 2,
    "learning_rate": 0.002,
}
TUNE: dict[str, Any] = {"learning_rate": [0.001, 0.02], "layers": ["all", "2-2"], "trials": 4}


def listed(path: Path, **asked: Any) -> list[dict[str, Any]]:
    study = read_study(path)
    sweep = sweep_of(study, **asked)
    return [dict(t.settings) for t in trials_of(sweep, study.seeds[0], study.source.name)]


# --- what is tried ---------------------------------------------------------------------------


def test_the_studys_own_settings_come_first_and_every_value_is_tried_about_as_often(
    write_study: Write,
) -> None:
    rates, depths = [0.0001, 0.0003, 0.001], ["all", "1-1", "2-2"]
    tune = {"learning_rate": rates, "layers": depths, "adapter": ["lora", "none"]}
    path = write_study(methods=[ENTRY], tune={**tune, "trials": 10})
    found = listed(path)
    assert found[0] == {"learning_rate": 0.002, "layers": "all", "adapter": "lora"}
    assert len(found) == 10 and len({tuple(one.values()) for one in found}) == 10
    for key, expected in (("learning_rate", 3), ("layers", 10 / 3), ("adapter", 5)):
        counts = Counter(str(one[key]) for one in found if one[key] != 0.002)
        assert max(counts.values()) <= expected + 1 and min(counts.values()) >= expected - 1
    assert found == listed(path), "the same trials every time"
    assert len(listed(write_study(methods=[ENTRY], tune=tune), trials=99)) == 1 + 3 * 3 * 2


def test_settings_of_several_values_can_be_tried(write_study: Write) -> None:
    tune = {"in_context": [2, {"answers": 2, "name": True}], "trials": 3}
    found = listed(write_study(methods=[{**ENTRY, "in_context": 3}], tune=tune))
    assert found[0] == {"in_context": {"answers": 3, "name": False}}
    assert found[1:] == [{"in_context": value} for value in tune["in_context"]]  # type: ignore[attr-defined]
    assert json.dumps(found)


def test_a_trial_of_many_settings_has_a_name_that_fits_a_folder(write_study: Write) -> None:
    keys = (
        "learning_rate",
        "warmup_share",
        "alpha",
        "general_share",
        "differences",
        "ordinal_weight",
    )
    tune: dict[str, Any] = {key: [0.123456, 0.234567] for key in keys}
    study = read_study(write_study(methods=[ENTRY], tune=tune))
    names = [trial.spec.name for trial in trials_of(sweep_of(study), 1, "study.yaml")]
    assert len(set(names)) == len(names) == 6 and max(map(len, names)) < 140


def test_a_rank_without_an_adapter_is_no_further_trial(write_study: Write) -> None:
    tune = {"adapter": ["lora", "none"], "rank": [4, 16], "trials": 9}
    found = listed(write_study(methods=[ENTRY], tune=tune))
    assert Counter(one["adapter"] for one in found) == {"lora": 2, "none": 1}


def test_without_tune_rates_layers_and_adapter_are_tried(write_study: Write) -> None:
    found = listed(write_study(methods=[ENTRY]))
    assert len(found) == 6 and found[0]["learning_rate"] == 0.002
    tried = {key: {one[key] for one in found} for key in found[0]}
    assert tried == {
        "learning_rate": {0.0007, 0.002, 0.006},
        "layers": {"all", "upper"},
        "adapter": {"lora", "none"},
    }


def test_steps_of_a_trial_take_the_place_of_the_entrys_epochs(write_study: Write) -> None:
    entry = {"method": "distribution", "epochs": 3, "validation": 0.4}
    study = read_study(write_study(methods=[entry], tune={"learning_rate": [0.001]}))
    for trial in trials_of(sweep_of(study, steps=7), 1, "study.yaml"):
        assert trial.spec.options.step_count(1000) == 7  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "asked", "message"),
    [
        ({"methods": ["base"]}, {}, "no method holds questions back .* add {method: distribution"),
        ({"methods": ["factors"]}, {"method": "factors"}, "factors holds no questions back for"),
        ({}, {"method": "dpo"}, "dpo is not in the study"),
        (
            {"methods": [{**ENTRY, "validation": 0}]},
            {},
            r"holds no questions back \(validation: 0\).*add validation: 0.1",
        ),
        (
            {"methods": [ENTRY, {**ENTRY, "name": "other"}]},
            {},
            "name one with method: distribution, other",
        ),
        ({"tune": {"learning_rates": [0.1]}}, {}, 'no such option.* Did you mean "learning_rate"'),
        ({"tune": {"learning_rate": [3]}}, {}, "tune.learning_rate.* less than 1"),
        ({"tune": {"validation": [0.1, 0.2]}}, {}, "tune.validation changes what is asked"),
        ({"tune": {"layers": []}}, {}, "tune.layers names no value"),
        ({"tune": {"trials": 1}}, {}, "tune.trials is 1; it must be 2 or more"),
    ],
)
def test_what_cannot_be_tuned_is_refused_with_how_to_fix_it(
    write_study: Write, changes: dict[str, Any], asked: dict[str, Any], message: str
) -> None:
    path = write_study(**{"methods": [ENTRY], **changes})
    with pytest.raises(InputError, match=message):
        tune_study(read_study(path), **asked)
    assert not (path.parent / "out").exists()


# --- a whole sweep ---------------------------------------------------------------------------


def fits_in_log(tuning: Tuning) -> list[float]:
    """The best fit that each trial's own log has, in the order of the table."""
    found = []
    for one in tuning.trials:
        (log,) = (tuning.folder / "checkpoints").glob(f"{one.trial.spec.name}-seed3-*/{LOG}")
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        found.append(max(line["validation_fit"] for line in lines if "validation_fit" in line))
    return found


@pytest.mark.slow
def test_a_sweep_ranks_its_trials_and_never_sees_what_is_held_out(write_study: Write) -> None:
    path = write_study(methods=["base", ENTRY], tune=TUNE)
    shown: list[Any] = []
    found = tune_study(read_study(path), quiet=True, before=shown.append)
    assert shown == [found.plan] and len(found.plan.trials) == 4
    assert all(one.seconds > 0 for one in found.plan.trials)
    fits = [one.fit for one in found.trials]
    assert fits == sorted(fits, key=lambda fit: -(fit or 0)) == pytest.approx(fits_in_log(found))
    assert all(one.steps == 4 and one.name_gain is not None for one in found.trials)
    (split,) = (path.parent / "out" / "splits").glob("seed3-*")
    held_out = set(ItemSplit.read(split).held_out)
    records = [pl.read_ndjson(file) for file in found.folder.glob("records/*-seed3-*/*.jsonl")]
    assert len(records) == 4 and held_out
    back = [set(frame.filter("validation")["item"]) for frame in records]
    assert back[0] and all(items == back[0] for items in back)
    assert not any(held_out & set(frame["item"]) for frame in records)
    # Weights are not kept, and nothing of the study's own is trained.
    assert not list(found.folder.rglob("*.safetensors"))
    assert not (path.parent / "out" / "checkpoints").exists()
    # The entry below the table is the chosen trial's.
    entry = yaml.safe_load(found.yaml)
    (spec,) = read_study(write_study(methods=entry)).methods
    assert spec.options == found.chosen.trial.spec.options
    assert entry[0] == {**ENTRY, **found.chosen.trial.settings}


@pytest.mark.slow
def test_a_trial_is_the_training_that_the_study_would_run(write_study: Write) -> None:
    tune = {"learning_rate": [0.02], "trials": 2}
    found = tune_study(read_study(write_study(methods=[ENTRY], tune=tune)), quiet=True)
    logs = {
        one.trial.settings["learning_rate"]: next(
            (found.folder / "checkpoints").glob(f"{one.trial.spec.name}-seed3-*/{LOG}")
        ).read_text()
        for one in found.trials
    }
    study = read_study(write_study(methods=[{**ENTRY, "learning_rate": 0.02}]))
    run_study(study, only="align", quiet=True)
    (log,) = (study.output / "checkpoints").glob(f"distribution-seed3-*/{LOG}")
    assert log.read_text() == logs[0.02] != logs[0.002]


@pytest.mark.slow
def test_a_trial_that_diverges_is_told_and_what_is_finished_is_not_done_again(
    write_study: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_study(methods=[ENTRY], tune={**TUNE, "layers": ["all"]})
    train, places = StudyRun.train, []

    def stopped(self: StudyRun, place: Any, *more: Any) -> None:
        places.append(place[0])
        if len(places) == 3:
            raise KeyboardInterrupt
        if "0.02" in place[0]:
            raise TrainingDivergedError(
                "training diverged: the loss at step 2 is nan. The likely ..."
            )
        train(self, place, *more)

    monkeypatch.setattr(StudyRun, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        tune_study(read_study(path), quiet=True)
    shown = CliRunner().invoke(app, ["tune", str(path), "--json"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    check_keys("tune", found)
    assert len(places) == 4 and places[3] == places[2], "only what was missing"
    said = {trial["settings"]["learning_rate"]: trial["diverged"] for trial in found["trials"]}
    assert said == {0.001: None, 0.002: None, 0.02: "training diverged: the loss at step 2 is nan"}
    assert found["trials"][-1]["fit"] is None and found["chosen"]["learning_rate"] != 0.02
    again = CliRunner().invoke(app, ["tune", str(path)])
    assert len(places) == 4 and again.exit_code == 0
    text = " ".join(again.stdout.split())
    assert "the loss at step 2 is nan" in text and "- method: distribution" in text
    assert text.count("finished") == 3
