"""The plan warns before training where the held-out questions cannot show a difference."""

from math import sqrt
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from suffrage.evaluate.statistics.inference import detectable_with
from suffrage.study.planning.held_out_power import (
    TYPICAL_DEVIATION,
    WORTH_SEEING,
    power_warnings,
)
from suffrage.study.planning.plan import plan_study
from suffrage.study.schema import read_study
from tests.study.conftest import write_study

__all__ = ["write_study"]


def test_a_study_with_few_held_out_questions_is_warned(write_study: object) -> None:
    plan = plan_study(read_study(write_study()))  # type: ignore[operator]
    (warning,) = plan.warnings
    assert "separate clusters" in warning and "`held_out:`" in warning
    assert plan.as_json()["warnings"] == [warning]


@pytest.mark.parametrize(
    ("clusters", "said"), [(4, "with fewer than 5 no verdict"), (5, "four times in five"), (60, "")]
)
def test_four_clusters_are_warned_of_no_verdict_and_five_of_little_power(
    tmp_path: Path, clusters: int, said: str
) -> None:
    items = {f"q{number}": f"c{number}" for number in range(clusters)}
    split = SimpleNamespace(clusters=items, held_out=tuple(items))
    inputs = SimpleNamespace(splits={1: split}, study=SimpleNamespace(output=tmp_path))
    found = " ".join(power_warnings(inputs))  # type: ignore[arg-type]
    assert said in found and bool(found) == bool(said)


def test_what_could_be_seen_is_worked_out_from_student_and_the_typical_deviation() -> None:
    clusters = 10
    # Two-sided at 5% with half the degrees of freedom and a longer standard error, and seen four
    # times in five, with the skewness that samples of normal values have by chance.
    by_chance = np.std(stats.skew(np.random.default_rng(0).normal(size=(40_000, clusters)), axis=1))
    longer = (1 + 0.4 / sqrt(clusters)) * (
        1 + min(1, 3.5 / sqrt(clusters)) * stats.norm.ppf(0.8) * by_chance
    )
    t = longer * stats.t.ppf(1 - 0.025, clusters // 2 - 1) + stats.t.ppf(0.8, clusters - 1)
    expected = TYPICAL_DEVIATION / sqrt(clusters) * t
    assert detectable_with(clusters, TYPICAL_DEVIATION) == pytest.approx(expected, rel=0.01)
    assert expected > WORTH_SEEING
    many = detectable_with(60, TYPICAL_DEVIATION)
    assert many is not None and many < WORTH_SEEING
