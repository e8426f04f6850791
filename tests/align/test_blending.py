"""Weights between a start and a trained model: the best is kept, and never one worse than 0."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from suffrage.align import TrainingJob, packed
from suffrage.align.blending import (
    BLENDS,
    BlendPoint,
    behind_the_best,
    blended,
    chosen_blend,
    least_blend,
)
from suffrage.align.distribution import Options
from suffrage.align.packed import Prompts, asked_shares
from suffrage.align.validation import Validation
from suffrage.models import identify
from suffrage.models.packing_rule import packing_rule
from suffrage.population.distribution_distances import fit
from suffrage.training_data import RecordSettings
from suffrage.training_data.distribution_records import build_distributions
from suffrage.training_data.records import ValidationSample
from suffrage.training_data.replay import with_replay
from tests.align.test_whole_questions import SPLIT, job, populations, trained

fits = st.floats(0, 1)


@given(st.lists(st.tuples(fits, fits), min_size=5, max_size=5), st.floats(0, 0.2))
def test_no_point_is_kept_that_is_worse_than_the_start(
    given_: list[tuple[float, float]], tolerance: float
) -> None:
    points = [BlendPoint(w, *pair) for w, pair in zip(BLENDS, given_, strict=True)]
    best = chosen_blend(points, tolerance)
    assert best.fit >= points[0].fit
    assert best.survey_fit is not None and points[0].survey_fit is not None
    assert best.survey_fit >= points[0].survey_fit - tolerance
    for other in points:
        if other.survey_fit is not None and other.survey_fit >= points[0].survey_fit - tolerance:
            assert best.fit >= other.fit


def test_an_equally_good_point_is_kept_that_is_nearer_to_the_start() -> None:
    points = [BlendPoint(w, 0.5, None) for w in BLENDS]
    assert chosen_blend(points, 0.01).weight == 0


@given(st.lists(st.tuples(fits, st.floats(0, 0.2)), min_size=5, max_size=5))
def test_the_least_weight_is_kept_that_is_within_one_standard_error_of_the_best(
    given_: list[tuple[float, float]],
) -> None:
    best = max(fit for fit, _ in given_)
    points = [
        BlendPoint(weight, fit, None, best - fit, error if fit < best else 0.0)
        for weight, (fit, error) in zip(BLENDS, given_, strict=True)
    ]
    kept = least_blend(points, 0.0)
    assert kept.behind <= kept.error
    assert all(p.behind > p.error for p in points if p.weight < kept.weight)


def test_no_least_weight_is_kept_at_which_the_survey_is_lost() -> None:
    points = [
        BlendPoint(0.0, 0.5, 0.8, 0.2, 0.1),
        BlendPoint(0.5, 0.6, 0.7, 0.1, 0.2),
        BlendPoint(0.75, 0.65, 0.79, 0.05, 0.1),
        BlendPoint(1.0, 0.7, 0.79),
    ]
    assert least_blend(points, 0.02).weight == 0.75
    assert least_blend(points, 0.2).weight == 0.5
    assert least_blend(points, 0.0).weight == 0


def test_what_is_lost_and_its_error_are_those_of_a_paired_t_test() -> None:
    generator = np.random.default_rng(3)
    best, own = generator.uniform(size=(2, 30))
    lost, error = behind_the_best(best, own)
    assert lost / error == pytest.approx(scipy.stats.ttest_rel(best, own).statistic)
    assert behind_the_best(best[:1], own[:1]) == (pytest.approx(best[0] - own[0]), 0.0)


def test_a_new_adapters_change_is_scaled_as_a_whole() -> None:
    generator = torch.Generator().manual_seed(1)
    draw = {"lora_A.x": (2, 4), "lora_B.x": (3, 2)}
    start = {n: torch.randn(s, generator=generator) for n, s in draw.items()}
    start["lora_B.x"] = torch.zeros(3, 2)
    end = {n: torch.randn(s, generator=generator) for n, s in draw.items()}
    whole = end["lora_B.x"] @ end["lora_A.x"]
    for weight in BLENDS:
        found = blended(start, end, weight, True)
        torch.testing.assert_close(found["lora_B.x"] @ found["lora_A.x"], weight * whole)
    plain = blended(start, end, 0.25, False)
    torch.testing.assert_close(plain["lora_A.x"], 0.75 * start["lora_A.x"] + 0.25 * end["lora_A.x"])


def guarded(tiny: Path, folder: Path, flip: bool, **more: object) -> TrainingJob:
    """A job on records that are all of one mind, with survey questions held back as a guard.

    flip: whether what is held back says the opposite of what is trained on.
    """
    planted = populations(planted=True)
    options = {"questions": 1, "populations": 4, "validation": 0.25, "validation_cells": 40, **more}
    own = job(tiny, folder, 6, planted, blend=True, validate_every=3, learning_rate=0.01, **options)
    rng = np.random.default_rng(8)
    sample = RecordSettings(validation=ValidationSample(0.25, 20))
    survey = build_distributions(planted, SPLIT, 10, rng, sample)
    mixed = with_replay(own.records, survey, 8, 0.0)
    rows = mixed.frame.to_dicts()
    if flip:
        for row in rows:
            if row.get("validation") and not row["guard"]:
                row["target"] = row["target"][::-1]
    frame = type(mixed.frame)(rows, infer_schema_length=None)
    return replace(own, records=replace(mixed, frame=frame))


def fits_of(given: TrainingJob, checkpoint: Path | None) -> tuple[float, float]:
    """The fits of what is held back, of the consultation and of the survey, read from a folder."""
    import peft

    from suffrage.models.loading import load_weights

    model, tokenizer = load_weights(given.model, "float32")
    if checkpoint is not None:
        model = peft.PeftModel.from_pretrained(model, checkpoint)
    rows = [row for row in given.records.frame.to_dicts() if row["validation"]]
    said = asked_shares(model.eval(), rows, Prompts.of(tokenizer), packing_rule(model), 8)
    found: list[list[float]] = [[], []]
    for row, own in zip(rows, said, strict=True):
        found[bool(row["guard"])].append(float(fit(np.array(row["target"]), own)))
    return float(np.mean(found[0])), float(np.mean(found[1]))


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", [0.0, 1.0])
def test_what_is_saved_gives_what_the_manifest_says_and_is_never_worse_than_the_start(
    tolerance: float, tiny_model: Path, tmp_path: Path
) -> None:
    own = guarded(tiny_model, tmp_path, flip=tolerance == 0, survey_tolerance=tolerance)
    facts = trained(own).blend
    assert facts is not None and [p["weight"] for p in facts["points"]] == list(BLENDS)
    before, after = fits_of(own, None), fits_of(own, own.output)
    start = facts["points"][0]
    assert (start["fit"], start["survey_fit"]) == pytest.approx(before, abs=1e-4)
    kept = next(p for p in facts["points"] if p["weight"] == facts["weight"])
    assert (kept["fit"], kept["survey_fit"]) == pytest.approx(after, abs=1e-4)
    assert after[0] >= before[0] - 1e-4 and after[1] >= before[1] - tolerance - 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("adapter", "rate"), [("lora", 0.01), ("none", 0.003)])
def test_a_survey_training_goes_no_further_than_one_standard_error_asks(
    adapter: str, rate: float, tiny_model: Path, tmp_path: Path
) -> None:
    options = {"questions": 2, "populations": 4, "validation": 0.25, "adapter": adapter}
    rule = {"blend": "one_standard_error", "validate_every": 20, "learning_rate": rate}
    own = job(tiny_model, tmp_path, 40, populations(4, planted=True), **options, **rule)
    facts = trained(own).blend
    assert facts is not None and facts["rule"] == "one_standard_error"
    points = {p["weight"]: p for p in facts["points"]}
    best = max(points.values(), key=lambda p: p["fit"])
    assert best["fit"] > points[0.0]["fit"] and best["behind"] == best["error"] == 0
    near = [weight for weight, p in points.items() if p["behind"] <= p["error"]]
    assert facts["weight"] == min(near) > 0
    # The adapter is as good at a quarter of the way; of the whole model each step is better.
    assert facts["weight"] < best["weight"] if adapter == "lora" else facts["weight"] == 1
    import peft

    from suffrage.models.loading import load_weights

    rows = [row for row in own.records.frame.to_dicts() if row["validation"]]
    whole = identify(str(own.output), tmp_path) if adapter == "none" else own.model
    model, tokenizer = load_weights(whole, "float32")
    if adapter == "lora":
        model = peft.PeftModel.from_pretrained(model, own.output)
    said = asked_shares(model.eval(), rows, Prompts.of(tokenizer), packing_rule(model), 8)
    fits_now = [float(fit(np.array(row["target"]), s)) for row, s in zip(rows, said, strict=True)]
    assert points[facts["weight"]]["fit"] == pytest.approx(np.mean(fits_now), abs=1e-4)


@pytest.mark.slow
def test_a_point_that_loses_the_survey_is_not_the_best_one(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fit of the votes rises with every step, and the survey's falls with it."""
    own = guarded(tiny_model, tmp_path, flip=False, survey_tolerance=0.05)
    steps = iter(range(99))
    usual = Validation.measured

    def measured(self: Validation, model: Any) -> Any:
        at = next(steps)
        return replace(usual(self, model), fit=0.5 + at / 100, survey_fit=0.8 - 0.04 * at)

    monkeypatch.setattr(Validation, "measured", measured)
    monkeypatch.setattr(packed, "blend_with_start", lambda *_: {})
    facts = trained(own).validation
    assert facts is not None
    assert facts["best_step"] == 3 and [p["step"] for p in facts["points"]] == [0, 3, 6]


def test_blending_needs_something_to_choose_on() -> None:
    with pytest.raises(ValidationError, match="blend: chooses on what is held back"):
        Options(blend=True)
