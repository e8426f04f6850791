"""Kish's effective sample size and design effect, by hand."""

import numpy as np
import pytest

from suffrage.survey import design_effect, effective_sample_size


def test_kish_by_hand() -> None:
    assert effective_sample_size(np.array([1.0, 1, 2])) == pytest.approx(16 / 6)
    assert design_effect(np.array([1.0, 1, 2])) == pytest.approx(3 * 6 / 16)


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0, -1.0], [1.0, np.nan]])
def test_weights_that_cannot_be_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        effective_sample_size(np.array(weights))
