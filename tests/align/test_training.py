"""Trained methods on a tiny model: they learn what they are given, and go on after a kill."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from suffrage import registry
from suffrage.align import Method, TrainingJob, TrainingOptions
from suffrage.align.preference_model import PreferenceModel
from suffrage.align.training import (
    last_whole_checkpoint,
    one_device,
    trainer_settings,
    training_dtype,
)
from suffrage.errors import SuffrageError
from suffrage.models import LanguageModel, identify
from suffrage.population import build_value_set
from suffrage.training_data import HeldOut, Records, split_items
from tests.align.killed_process import run_until_killed
from tests.align.option_shares import option_shares
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=400, items=4, seed=8)
SURVEY = SURVEY.with_responses(
    # Everyone's first choice is the first option, so that its direction can be told.
    SURVEY.responses.with_columns(
        pl.when(pl.int_range(pl.len()) % 4 > 0).then(0).otherwise(pl.col(i)).cast(pl.Int16).alias(i)
        for i in SURVEY.codebook.item_ids
    )
)
SPLIT = split_items(SURVEY.codebook.items, HeldOut(by="list", items=("q0",)), 1)
BUILDERS = {
    b.kind: b
    for b in (registry.load("record_builders", n) for n in registry.names("record_builders"))
    if b.source == "survey"
}
TRAINED = ["sft", "distribution", "dpo", "kto", "rlhf"]
# Every form of every method, with the settings that make it differ from the default.
FORMS: list[tuple[str, dict[str, object]]] = [
    ("sft", {}),
    ("augmented-sft", {}),
    ("distribution", {}),
    ("distribution", {"loss": "ordinal"}),
    ("dpo", {}),
    ("dpo", {"labels": "drawn"}),
    ("dpo", {"form": "ipo"}),
    ("dpo", {"form": "simpo", "beta": 2.0, "margin": 0.5, "learning_rate": 0.03}),
    ("dpo", {"form": "robust"}),
    ("dpo", {"form": "proportional"}),
    ("dpo", {"sft_weight": 0.1, "per_token": True}),
    ("kto", {}),
    ("kto", {"reference": "none"}),
    ("kto", {"z0": "batch"}),
    ("kto", {"labels": "shares"}),
    ("kto", {"labels": "majority"}),
]


def method(name: str) -> Method:
    found: Method = registry.load("methods", name)
    return found


def job(tiny: Path, name: str, folder: Path, steps: int, flip: bool = False, **more) -> TrainingJob:  # type: ignore[no-untyped-def]
    north = build_value_set(SURVEY, "north", {"region": "north"}, 1, "people in the north")
    if flip:
        for d in north.distributions.values():
            d.shares[:] = d.shares[::-1].copy()
    options = method(name).options(**{"batch": 6, "dtype": "float32", "save_every": 4, **more})
    assert isinstance(options, TrainingOptions)
    kind = method(name).records
    assert kind is not None
    records: Records = BUILDERS[kind].build(
        [north], SPLIT, steps * options.batch, np.random.default_rng(1), options.record_settings
    )
    (folder / "out").mkdir(parents=True, exist_ok=True)
    return TrainingJob(
        model=identify(str(tiny), Path()),
        records=records,
        options=options,
        steps=steps,
        seed=5,
        work=folder / "work",
        output=folder / "out",
        on_step=lambda step, total, loss: None,
    )


def run(name: str, given: TrainingJob) -> Path:
    train = method(name).train
    assert train is not None
    train(given)
    return given.output


def in_one_order(given: TrainingJob) -> TrainingJob:
    """Only records with letters from top to bottom: what two random layers can learn."""
    letters = [list("ABCDE"[:k]) for k in range(2, 6)]
    frame = given.records.frame
    if "answers" in frame.columns:
        kept = [row["answers"] in letters for row in frame.to_dicts()]
    else:
        kept = [
            row["user"].split("\n\n")[1].startswith("A. Answer Alpha") for row in frame.to_dicts()
        ]
    records = Records(given.records.kind, frame.filter(kept), {})
    return replace(given, records=records, steps=min(given.steps, len(records) // 6))


def of_steps(given: TrainingJob, steps: int) -> TrainingJob:
    """The job's first steps of six records."""
    records = replace(given.records, frame=given.records.frame.head(6 * steps))
    return replace(given, records=records, steps=min(given.steps, steps))


def first_option_share(folder: Path) -> float:
    """The probability of the first option among those of q1, letters from top to bottom."""
    shares, _ = option_shares(folder, SURVEY.codebook["q1"])
    return float(shares[0])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), FORMS, ids=lambda given: str(given))
def test_training_moves_answers_toward_the_people_and_flipped_labels_away(
    name: str, form: dict[str, object], tiny_model: Path, tmp_path: Path
) -> None:
    more = {"learning_rate": 0.02, "adapter": "none", "save_every": 100, **form}
    before = first_option_share(tiny_model)
    one = in_one_order(job(tiny_model, name, tmp_path / "a", 120, **more))
    two = in_one_order(job(tiny_model, name, tmp_path / "b", 120, flip=True, **more))
    after = first_option_share(run(name, of_steps(one, 12)))
    flipped = first_option_share(run(name, of_steps(two, 12)))
    assert after > before + 0.2, "most people in the north choose the first option"
    assert flipped < before - 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "steps", "rate", "preference_steps"),
    [({"kl_weight": 0.02}, 10, 0.01, 15), ({"form": "proportional"}, 20, 0.006, 30)],
    ids=str,
)
def test_ppo_moves_answers_toward_the_people_and_flipped_labels_away(
    form: dict[str, object],
    steps: int,
    rate: float,
    preference_steps: int,
    format_known: Callable[[str], Path],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    start = format_known("none")
    before = first_option_share(start)
    shares, batch = [], 12
    for flip in (False, True):
        more = {"learning_rate": 0.01, "adapter": "none", "batch": batch, "save_every": 100, **form}
        rewards = {"preference_steps": preference_steps, "ppo_learning_rate": rate}
        given = job(tiny_model, "rlhf", tmp_path / f"rlhf{flip}", 40, flip, **more, **rewards)
        frame, needed = in_one_order(given).records.frame, steps * batch
        again = pl.concat([frame] * (-(-needed // len(frame)))).head(needed)
        records = replace(given.records, frame=again)
        given = replace(given, start=start, records=records, steps=steps)
        shares.append(first_option_share(run("rlhf", given)))
        report = json.loads((given.output / "preference_model.json").read_text())
        # Held-out items have their own number of options: only "the first" carries over.
        assert report["pairs"] > 0 and (flip or report["accuracy"] > 0.6)
    assert shares[0] > before + 0.15 and shares[1] < before - 0.05, (before, shares)


# Steps of each phase of a training that is broken off; a point is kept after four.
STEPS = 6


@pytest.fixture(scope="module")
def unbroken(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives what all steps of a method leave, trained once."""

    @cache
    def trained(name: str) -> Path:
        return run(name, job(tiny_model, name, tmp_path_factory.mktemp(name), STEPS))

    return trained


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", [STEPS + 5, 2 * STEPS + 5], ids=["preference model", "ppo"])
def test_rlhf_goes_on_in_whichever_phase_it_was_broken(
    killed_at: int, unbroken: Callable[[str], Path], tiny_model: Path, tmp_path: Path
) -> None:
    whole = unbroken("rlhf")

    class Killed(BaseException):
        pass

    def die(step: int, total: int, loss: float) -> None:
        if step == killed_at:
            raise Killed

    broken = job(tiny_model, "rlhf", tmp_path / "broken", STEPS)
    train = method("rlhf").train
    assert train is not None
    with pytest.raises(Killed):
        train(replace(broken, on_step=die))
    facts = train(broken)
    assert facts.resumed_from == killed_at - 1 and facts.seconds_before > 0
    for part in (".", "preference_model"):
        wanted, found = weights(whole / part), weights(broken.output / part)
        assert all(torch.equal(wanted[key], found[key]) for key in wanted)
    for name in ("training.jsonl", "preference_model.json"):
        assert (whole / name).read_text() == (broken.output / name).read_text()


@pytest.mark.slow
def test_rlhf_leaves_a_plain_adapter_its_preference_model_and_what_happened(
    tiny_model: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    given = job(tiny_model, "rlhf", tmp_path, 3, format="written", longest=4)
    out = run("rlhf", given)
    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), out)
    preference = PreferenceModel.load(out / "preference_model", given.model)
    assert np.isfinite(preference.score(["What of it?"], ["My answer."], ["written"])).all()
    report = json.loads((out / "preference_model.json").read_text())
    assert report["pairs"] and report["loss"] >= report["floor"] and report["reliability"]
    entries = [json.loads(line) for line in (out / "training.jsonl").open()]
    told = {"step", "loss", "score", "kl", "kl_weight", "entropy", "clip_fraction"}
    assert len(entries) == 3 and all(told <= set(entry) for entry in entries)
    for name in ("sft.jsonl", "preference_model.jsonl"):
        assert len((out / name).read_text().splitlines()) == 3


@pytest.mark.slow
def test_a_policy_that_runs_away_is_stopped(tiny_model: Path, tmp_path: Path) -> None:
    more = {"adapter": "none", "sft_steps": 1, "preference_steps": 2, "kl_stop": 0.001}
    given = job(tiny_model, "rlhf", tmp_path, 20, learning_rate=0.05, **more)
    with pytest.raises(SuffrageError, match="PPO blew up at step"):
        run("rlhf", given)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(next(folder.glob("*.safetensors")))


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_a_broken_training_ends_as_an_unbroken_one(
    name: str, unbroken: Callable[[str], Path], tiny_model: Path, tmp_path: Path
) -> None:
    whole = weights(unbroken(name))

    class Killed(BaseException):
        pass

    def die(step: int, total: int, loss: float) -> None:
        if step == 5:
            raise Killed

    broken = job(tiny_model, name, tmp_path / "broken", STEPS)
    train = method(name).train
    assert train is not None
    with pytest.raises(Killed):
        train(TrainingJob(**{**broken.__dict__, "on_step": die}))
    facts = train(broken)
    assert facts.resumed_from == 4
    again = weights(broken.output)
    assert all(torch.equal(whole[key], again[key]) for key in whole)
    steps = [json.loads(line)["step"] for line in (broken.output / "training.jsonl").open()]
    assert steps == list(range(1, STEPS + 1))


def train_until_killed(tiny: Path, folder: Path) -> None:
    """Train up to step 5, and die while the line of step 6 is written."""
    given = job(tiny, "distribution", folder, STEPS)

    def die(step: int, total: int, loss: float) -> None:
        if step == 5:
            with (given.work / "training.jsonl").open("a") as log:
                log.write('{"step": 6, "lo')
            os.kill(os.getpid(), signal.SIGKILL)

    run("distribution", replace(given, on_step=die))


@pytest.mark.slow
def test_a_killed_training_leaves_no_line_of_its_log_twice_or_torn(
    unbroken: Callable[[str], Path], tiny_model: Path, tmp_path: Path
) -> None:
    run_until_killed(train_until_killed, tiny_model, tmp_path / "killed")
    given = job(tiny_model, "distribution", tmp_path / "killed", STEPS)
    assert (given.work / "training.jsonl").read_text().endswith("lo")
    lines = (run("distribution", given) / "training.jsonl").read_text()
    assert lines == (unbroken("distribution") / "training.jsonl").read_text()


@pytest.mark.slow
def test_a_log_grows_and_is_not_written_again(tiny_model: Path, tmp_path: Path) -> None:
    given = job(tiny_model, "distribution", tmp_path, 3)
    log, seen = given.work / "training.jsonl", []
    given.work.mkdir()
    log.write_text('{"step": 1, "loss": 9.0}\n{"step": 2, "loss": 9.0}\n')  # of no point saved
    run(
        "distribution",
        replace(given, on_step=lambda *_: seen.append((log.stat().st_ino, log.read_text()))),
    )
    assert len({file for file, _ in seen}) == 1
    assert [len(text.splitlines()) for _, text in seen] == [1, 2, 3]
    assert all(text.endswith("\n") and '"loss": 9.0' not in text for _, text in seen)


def test_a_step_runs_on_one_device_however_many_there_are() -> None:
    several = SimpleNamespace(n_gpu=4, _n_gpu=4)
    assert one_device(several)._n_gpu == 1
    none = SimpleNamespace(n_gpu=0, _n_gpu=0)
    assert one_device(none)._n_gpu == 0


class NoDoubles(TorchDispatchMode):
    """Lets nothing be computed in float64, which Apple's GPUs do not have."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        found = func(*args, **(kwargs or {}))
        for one in found if isinstance(found, tuple) else (found,):
            if isinstance(one, torch.Tensor) and one.dtype == torch.float64:
                raise AssertionError(f"{func} gives float64")
        return found


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TRAINED, "rloo", "grpo"])
def test_nothing_is_trained_in_a_format_that_apples_gpus_lack(
    name: str, tiny_model: Path, tmp_path: Path
) -> None:
    with NoDoubles():
        run(name, job(tiny_model, name, tmp_path, 2))


def test_apples_gpu_is_trained_on_where_it_is_there(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = job(tiny_model, "distribution", tmp_path, 2)
    assert trainer_settings(given)["use_cpu"] is not torch.cuda.is_available()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    settings = trainer_settings(given)
    assert settings["use_cpu"] is False and settings["dataloader_pin_memory"] is False
    assert training_dtype(given.options.model_copy(update={"dtype": "auto"})) == "float32"


def test_a_half_written_point_is_passed_over(tmp_path: Path) -> None:
    for step, content in ((4, "{}"), (8, '{"cut')):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(content)
    (tmp_path / "checkpoint-12").mkdir()
    found = last_whole_checkpoint(tmp_path)
    assert found is not None and found.name == "checkpoint-4"
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-4"]


@pytest.mark.slow
def test_full_fine_tuning_saves_a_whole_model(tiny_model: Path, tmp_path: Path) -> None:
    folder = run("distribution", job(tiny_model, "distribution", tmp_path, 3, adapter="none"))
    assert (folder / "config.json").exists() and not (folder / "adapter_config.json").exists()
    LanguageModel.load(identify(str(folder), Path()))


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_small_batches_added_up_take_the_same_step(
    name: str, tiny_model: Path, tmp_path: Path
) -> None:
    rate = {"learning_rate": 0.01}
    whole = weights(run(name, job(tiny_model, name, tmp_path / "whole", 3, **rate)))
    parts = weights(run(name, job(tiny_model, name, tmp_path / "parts", 3, micro_batch=2, **rate)))
    for key in whole:
        torch.testing.assert_close(whole[key], parts[key], atol=1e-4, rtol=1e-2)


def test_a_diverged_training_stops_with_the_step_and_the_likely_cause(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "suffrage.align.distribution.distribution_loss", lambda q, *_: q.sum() * float("nan")
    )
    with pytest.raises(SuffrageError, match=r"gradient at step 1 is not a number.*learning rate"):
        run("distribution", job(tiny_model, "distribution", tmp_path, 5))


def test_four_bits_need_a_gpu_and_a_tracker_its_package(tiny_model: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(SuffrageError, match="adapter: qlora needs a CUDA GPU"):
        run("distribution", job(tiny_model, "distribution", tmp_path, 2, adapter="qlora"))
    pytest.importorskip("torch")
    try:
        import trackio  # type: ignore[import-not-found] # noqa: F401
    except ImportError:
        with pytest.raises(SuffrageError, match="pip install"):
            run("distribution", job(tiny_model, "distribution", tmp_path, 2, report_to="trackio"))
