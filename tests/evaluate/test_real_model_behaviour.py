"""The evaluations on SmolLM2-135M itself: they show what a small model knows and what it lacks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from suffrage.evaluate import ProbeInput, Scoring, behaviour, capability, safety
from suffrage.evaluate.asking import judging
from suffrage.evaluate.asking.scenarios import SHIPPED, read_scenarios
from suffrage.models import LanguageModel
from suffrage.models.device import fast_dtype
from suffrage.models.identity import ModelIdentity
from tests.evaluate.test_behaviour import SETS, SPLIT


@pytest.fixture(scope="module")
def given(smollm2: ModelIdentity) -> ProbeInput:
    model = LanguageModel.load(smollm2, fast_dtype())
    return ProbeInput(model, SETS, False, [SPLIT], Scoring(lowest_mass=0.0), None, 7, Path())


def asked(given: ProbeInput, evaluation: Any, options: Any) -> pl.DataFrame:
    return evaluation.probe(replace(given, options=options))


def mean(frame: pl.DataFrame, kinds: Sequence[str], column: str) -> float:
    return float(frame.filter(pl.col("kind").is_in(kinds))[column].mean())  # type: ignore[arg-type]


def test_it_knows_facts_far_above_chance(
    given: ProbeInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By chance fewer than one model in a hundred would be right so often.
    half = capability.facts()[::2]
    monkeypatch.setattr(capability, "facts", lambda: half)
    monkeypatch.setattr(capability, "LONGEST_WRITTEN", 12)
    found = asked(given, capability, capability.Options(sums=4, samples=1))
    assert mean(found, ["fact"], "right") > 0.5
    # It writes too much and keeps to few forms.
    assert mean(found, ["instruction"], "right") < 0.6


def test_what_it_does_can_be_read_by_letter_and_in_writing(
    given: ProbeInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = behaviour.scenarios_for
    monkeypatch.setattr(behaviour, "scenarios_for", lambda *given: every(*given)[::4])
    found = asked(given, behaviour, behaviour.Options())
    assert mean(found, ["letters"], "mass") > 0.25
    assert found["first"].is_between(0, 1).all() and found.height == 10


def test_requests_are_answered_and_refusals_counted(
    given: ProbeInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = safety.pairs()[:2]
    monkeypatch.setattr(safety, "pairs", lambda: few)
    monkeypatch.setattr(safety, "LONGEST_WRITTEN", 12)
    found = asked(given, safety, safety.Options(samples=1))
    assert found.height == 4
    assert found.filter(pl.col("kind") == "written")["text"].str.len_chars().min() > 0  # type: ignore[operator]


def test_it_is_refused_as_a_judge(given: ProbeInput) -> None:
    scenarios = {scenario.id: scenario for scenario in read_scenarios(SHIPPED)}
    known = judging.labelled_answers()[::7]
    verdicts = judging.verdicts(
        given.model, [(scenarios[one.scenario], one.answer) for one in known]
    )
    kappa = judging.cohen_kappa(np.array([one.course for one in known]), verdicts)
    assert kappa < behaviour.Options().lowest_kappa
