"""Survey records mixed in among a consultation's, and answers kept close to the first model's."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError

from suffrage.align import TrainingJob, blending, packed
from suffrage.align.distribution import Options
from suffrage.align.loop import trainable
from suffrage.align.method import TrainingFacts
from suffrage.align.own_text import LONGEST, WRITTEN
from suffrage.align.packed import Objective, Prompts, StepParts, pack_answers, steps_of
from suffrage.errors import SuffrageError
from suffrage.models import LanguageModel
from suffrage.models.loading import load_weights
from suffrage.models.packing_rule import packing_rule
from suffrage.population import build_value_set
from suffrage.training_data import Records, RecordSettings, check_nothing_held_out
from suffrage.training_data.distribution_records import build_distributions
from suffrage.training_data.general import GENERAL
from suffrage.training_data.held_back_records import with_asked
from suffrage.training_data.own_text_records import NEUTRAL_PROMPTS, with_own_text_places
from suffrage.training_data.records import StepShape, ValidationSample
from suffrage.training_data.replay import is_replay, own_records, with_replay
from tests.align.killed_process import run_until_killed
from tests.align.test_parts_of_a_step import first_step, in_parts, same
from tests.align.test_training import SPLIT, SURVEY, job, method

VALUE_SETS = [
    build_value_set(SURVEY, name, {"region": name}, 1, f"people in the {name}")
    for name in ("north", "south")
]


def survey_records(count: int, shape: StepShape | None = None, seed: int = 9) -> Records:
    generator = np.random.default_rng(seed)
    return build_distributions(VALUE_SETS, SPLIT, count, generator, RecordSettings(step=shape))


def anchored(tiny: Path, name: str, folder: Path, keep_close: float = 0.0) -> TrainingJob:
    """A job of one step: two records of its own, and six of the survey."""
    given = job(tiny, name, folder, 1, batch=8, adapter="none", replay=0.75, keep_close=keep_close)
    own = replace(given.records, frame=given.records.frame.head(2))
    return replace(given, records=with_replay(own, survey_records(6), 2, 0.75, 6))


def test_the_share_of_survey_records_is_exact_in_every_step() -> None:
    own = survey_records(12, seed=1)
    mixed = with_replay(own, survey_records(30), 3, 0.75, 9)
    for step in steps_of(mixed.frame.to_dicts(), 12):
        assert [is_replay(row) for row in step] == [False] * 3 + [True] * 9
    assert own_records(mixed.frame.to_dicts())[5]["user"] == own.frame["user"][5]
    again = Records.read(written(mixed))
    assert again.content_hash == mixed.content_hash


def written(records: Records) -> Path:
    import tempfile

    folder = Path(tempfile.mkdtemp()) / "records"
    records.write(folder)
    return folder


def test_steps_of_whole_questions_have_the_share_too_whatever_their_size() -> None:
    own = survey_records(40, StepShape(questions=2, populations=2))
    mixed = with_replay(own, survey_records(30), 8, 0.75)
    for step in steps_of(mixed.frame.to_dicts(), 99):
        replayed = sum(is_replay(row) for row in step)
        assert replayed == 3 * (len(step) - replayed) > 0


def test_survey_records_come_in_turn() -> None:
    survey = survey_records(4)
    mixed = with_replay(survey_records(4, seed=2), survey, 2, 0.75, 6)
    replayed = [row["user"] for row in mixed.frame.to_dicts() if is_replay(row)]
    users = survey.frame["user"].to_list()
    assert replayed == (users * 3)[:12]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sft", "dpo", "kto", "distribution"])
def test_the_loss_of_a_step_is_that_of_both_kinds_of_record_by_their_share(
    name: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = anchored(tiny_model, name, tmp_path / "both", keep_close=2.0)
    loss, _ = both = first_step(name, given, monkeypatch)
    rows = given.records.frame.to_dicts()
    alone = replace(
        job(tiny_model, name, tmp_path / "alone", 1, batch=2, adapter="none"),
        records=replace(given.records, frame=given.records.frame.head(2)),
    )
    own, _ = first_step(name, alone, monkeypatch)
    logs = np.array(said_at_start(given))
    divergences = []
    for row, line in zip(rows[2:], logs, strict=True):
        p, log_q = np.array(row["target"]), line[: len(row["target"])]
        divergences.append((p * (np.log(p, where=p > 0, out=np.zeros_like(p)) - log_q)).sum())
    # What is kept close costs nothing before the first step.
    assert loss == pytest.approx((2 * own + sum(divergences)) / 8, rel=1e-4)
    parts = in_parts(given, tmp_path / "parts", 2)
    same(both, first_step(name, parts, monkeypatch))


def said_at_start(given: TrainingJob) -> list[list[float]]:
    model, tokenizer = load_weights(given.model, "float32")
    rows = [row for row in given.records.frame.to_dicts() if is_replay(row)]
    packs = pack_answers(
        Prompts.of(tokenizer), packing_rule(model), rows, [row["answers"] for row in rows]
    )
    with torch.no_grad():
        found: list[list[float]] = packed.answer_log_probs(model, packs).tolist()
    return found


@pytest.mark.slow
def test_kept_close_is_its_formula_and_nothing_where_nothing_changed(
    tiny_model: Path, tmp_path: Path
) -> None:
    given = anchored(tiny_model, "distribution", tmp_path)
    model, tokenizer = load_weights(given.model, "float32")
    rows = given.records.frame.to_dicts()
    steps = steps_of(rows, 8)
    objective = Objective(lambda some: [list(row["answers"]) for row in some], lambda batch: 0)  # type: ignore[arg-type, return-value]
    reference = [[] for _ in range(2)] + [
        line[: len(row["target"])] for row, line in zip(rows[2:], said_at_start(given), strict=True)
    ]
    losses = {}
    for weight in (0.0, 5.0):
        parts = StepParts(
            Prompts.of(tokenizer), packing_rule(model), objective, steps, 8, reference, 1.0, weight
        )
        packs = parts.replay_answers(steps[0])
        assert packs is not None
        losses[weight] = [parts.replay_loss(model, steps[0], packs).item()]
    assert losses[5.0][0] == pytest.approx(losses[0.0][0], abs=1e-6)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in trainable(model).values():
            p.add_(0.05 * torch.randn(p.shape, generator=generator))
        now = packed.answer_log_probs(model, packs).numpy()
    for weight in (0.0, 5.0):
        parts = StepParts(
            Prompts.of(tokenizer), packing_rule(model), objective, steps, 8, reference, 1.0, weight
        )
        losses[weight].append(parts.replay_loss(model, steps[0], packs).item())
    wanted = []
    for line, before in zip(now, reference[2:], strict=True):
        r, q = np.exp(before), np.exp(line[: len(before)])
        r, q = r / r.sum(), q / q.sum()
        wanted.append((r * np.log(r / q)).sum())
    assert np.mean(wanted) > 1e-4
    assert losses[5.0][1] - losses[0.0][1] == pytest.approx(5 * np.mean(wanted), rel=1e-3)


def test_options_that_leave_nothing_or_keep_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="keep_close: needs replay"):
        Options(keep_close=1.0)
    with pytest.raises(ValidationError, match="leaves no record of the consultation"):
        Options(batch=2, replay=0.9)
    assert Options(batch=8, replay=0.75).own_rows == 2
    assert Options(questions=2, populations=3, replay=0.75).replayed_rows == 36


@pytest.mark.slow
def test_own_text_is_written_by_the_start_once_and_learnt_in_turn(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = job(tiny_model, "sft", tmp_path / "a", 3, batch=3, adapter="none", own_text=2)
    own = replace(given.records, frame=given.records.frame.head(6))
    given = replace(given, records=with_own_text_places(own, 2, 2))
    learnt: list[str] = []
    usual = StepParts.general_answers

    def general(self: StepParts, part: object) -> object:
        learnt.extend(row["completion"] for row in part if row["format"] == GENERAL)  # type: ignore[attr-defined]
        return usual(self, part)  # type: ignore[arg-type]

    monkeypatch.setattr(StepParts, "general_answers", general)
    train = method("sft").train
    assert train is not None
    train(given)
    texts = json.loads((given.output / WRITTEN).read_text())
    assert len(texts) == 2 and learnt[:3] == [texts[0], texts[1], texts[0]]
    model, tokenizer = load_weights(given.model, "float32")
    writer = LanguageModel(given.model, model.eval(), tokenizer, "float32", "cpu")
    chats = [[{"role": "user", "content": prompt}] for prompt in NEUTRAL_PROMPTS[:2]]
    assert [found[0] for found in writer.write(chats, 1, LONGEST, given.seed)] == texts


@pytest.mark.slow
def test_own_text_that_holds_what_is_held_out_stops_the_training(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = job(tiny_model, "sft", tmp_path / "a", 1, batch=3, adapter="none", own_text=1)
    given = replace(
        given,
        records=with_own_text_places(given.records, 1, 2),
        check=partial(check_nothing_held_out, items=SURVEY.codebook.items, split=SPLIT),
    )
    question = SURVEY.codebook["q0"].question
    monkeypatch.setattr(LanguageModel, "write", lambda *_: [[f"They asked: {question}"]])
    train = method("sft").train
    assert train is not None
    with pytest.raises(SuffrageError, match="holds the text of q0"):
        train(given)


def test_survey_questions_held_back_are_asked_and_never_replayed() -> None:
    sample = RecordSettings(validation=ValidationSample(0.34))
    survey = build_distributions(VALUE_SETS, SPLIT, 2, np.random.default_rng(1), sample)
    back = set(survey.made_from["validation"])
    own = survey_records(4, seed=2)
    own = replace(own, frame=own.frame.with_columns(validation=pl.Series([False] * 3 + [True])))
    rows = with_replay(own, survey, 3, 0.75, 9).frame.to_dicts()
    assert back and not back & {row["item"] for row in rows if is_replay(row)}
    assert {row["item"] for row in rows if row["guard"]} == back
    assert all(row["validation"] for row in rows if row["guard"])


STEPS = 6


def with_every_anchor(tiny: Path, name: str, folder: Path) -> TrainingJob:
    """Replay, closeness, the model's own text, a best point and a blend, in one training."""
    anchors = {"replay": 0.5, "keep_close": 1.0, "own_text": 3}
    chosen = {"validation": 0.2, "validate_every": 2, "blend": True, "survey_tolerance": 1.0}
    given = job(*(tiny, name, folder, STEPS), batch=8, learning_rate=0.01, **{**anchors, **chosen})
    options = given.options
    sample = RecordSettings(validation=ValidationSample(0.34))
    generator = np.random.default_rng(2)
    survey = build_distributions(VALUE_SETS, SPLIT, 60, generator, sample)
    own = given.records.frame.to_dicts()
    learnt = [row for row in own if not row.get("validation")][: STEPS * options.own_rows]
    frame = pl.DataFrame(learnt, infer_schema_length=None)
    asked = survey_records(8, seed=4).frame.to_dicts()
    records = with_asked(replace(given.records, frame=frame), asked)
    records = with_replay(records, survey, options.own_rows, options.replay, options.replay_rows)
    size = options.own_rows + options.replay_rows
    return replace(given, records=with_own_text_places(records, options.own_text, size))


def train_anchored_until_killed(tiny: Path, name: str, folder: Path, where: str) -> None:
    """In a process of its own, which dies in a step, or while weights are blended."""

    def die(step: int, total: int, loss: float) -> None:
        if where == "step" and step == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    blended, tried = blending.blended, []

    def blended_or_killed(start: Any, end: Any, weight: float, new: bool) -> Any:
        tried.append(weight)
        if where == "blend" and len(tried) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return blended(start, end, weight, new)

    blending.blended = blended_or_killed
    train = method(name).train
    assert train is not None
    train(replace(with_every_anchor(tiny, name, folder), on_step=die))


@pytest.fixture(scope="module")
def unbroken(
    tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Path, TrainingFacts]]:
    """Gives what a method leaves with every anchor, and its facts, trained once."""

    @cache
    def trained(name: str) -> tuple[Path, TrainingFacts]:
        given = with_every_anchor(tiny_model, name, tmp_path_factory.mktemp(name))
        train = method(name).train
        assert train is not None
        return given.output, train(given)

    return trained


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "where", "resumed_from"),
    [
        *((name, "step", 4) for name in ("distribution", "sft", "dpo", "kto")),
        *((name, "blend", STEPS) for name in ("dpo", "kto")),
    ],
)
def test_a_killed_training_with_every_anchor_ends_with_the_same_bytes(
    name: str,
    where: str,
    resumed_from: int,
    unbroken: Callable[[str], tuple[Path, TrainingFacts]],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    run_until_killed(train_anchored_until_killed, tiny_model, name, tmp_path / "killed", where)
    train = method(name).train
    assert train is not None
    again = with_every_anchor(tiny_model, name, tmp_path / "killed")
    facts, (whole, of_whole) = train(again), unbroken(name)
    assert facts.resumed_from == resumed_from
    assert facts.blend == of_whole.blend and facts.validation == of_whole.validation
    names = sorted(path.name for path in whole.iterdir())
    assert "adapter_model.safetensors" in names and WRITTEN in names
    assert names == sorted(path.name for path in again.output.iterdir())
    # PEFT lists the names of the trained modules in the order of a set.
    for file in names:
        if file not in ("README.md", "adapter_config.json"):
            assert (again.output / file).read_bytes() == (whole / file).read_bytes(), file
