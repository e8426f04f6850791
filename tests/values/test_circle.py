"""The circle of values: found where it is, not found where it is not."""

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.values.circle import angles_off, circle, correspondence_index, turned

TEN = tuple("ABCDEFGHIJ")
PLACES = np.arange(10) * 36.0


def on_a_circle(n: int = 1500, seed: int = 0, noise: float = 0.6) -> np.ndarray:
    """People whose scores rise and fall round the circle with a direction of their own."""
    generator = np.random.default_rng(seed)
    own = generator.uniform(0, 2 * np.pi, (n, 1))
    return np.cos(own - np.deg2rad(PLACES)) + generator.normal(0, noise, (n, 10))


@pytest.mark.slow
def test_a_circle_is_recovered() -> None:
    pytest.importorskip("sklearn")
    found = circle(TEN, on_a_circle(), np.ones(1500), PLACES, seed=1)
    assert found.correspondence > 0.9 and found.p_value == pytest.approx(0.001)
    assert found.stress < 0.05 and found.off < 8


@pytest.mark.slow
def test_values_in_another_order_are_not_taken_for_the_theorys() -> None:
    pytest.importorskip("sklearn")
    shuffled = np.array([3, 7, 0, 5, 9, 1, 6, 2, 8, 4])
    found = circle(TEN, on_a_circle()[:, shuffled], np.ones(1500), PLACES, seed=1)
    assert found.correspondence < 0.3 and found.p_value > 0.05 and found.off > 30


@pytest.mark.slow
def test_noise_has_no_circle() -> None:
    pytest.importorskip("sklearn")
    scores = np.random.default_rng(7).normal(size=(1500, 10))
    found = circle(TEN, scores, np.ones(1500), PLACES, seed=1)
    assert abs(found.correspondence) < 0.35 and found.p_value > 0.05


def test_the_correspondence_index_counts_predictions_one_by_one() -> None:
    correlation = np.corrcoef(on_a_circle(60, 3, 2.0).T)
    held = failed = total = 0
    pairs = [(i, j) for i in range(10) for j in range(i)]
    for i, j in pairs:
        for k, m in pairs:
            near, far = min((i - j) % 10, (j - i) % 10), min((k - m) % 10, (m - k) % 10)
            if near < far:
                total += 1
                held += correlation[i, j] > correlation[k, m]
                failed += correlation[i, j] < correlation[k, m]
    index, _ = correspondence_index(correlation, PLACES, seed=0)
    assert index == pytest.approx((held - failed) / total)


def test_values_that_share_a_place_are_in_no_order() -> None:
    places = np.array([0.0, 72, 144, 144, 216, 288])
    correlation = np.corrcoef(np.random.default_rng(0).normal(size=(40, 6)).T)
    swapped = correlation[np.ix_([0, 1, 3, 2, 4, 5], [0, 1, 3, 2, 4, 5])]
    assert correspondence_index(correlation, places, 0)[0] == pytest.approx(
        correspondence_index(swapped, places, 0)[0]
    )


def test_turning_undoes_a_turn_and_a_mirror() -> None:
    radians = np.deg2rad(PLACES)
    points = np.column_stack([np.cos(radians), np.sin(radians)]) * 3
    turn = np.array([[np.cos(1.0), -np.sin(1.0)], [np.sin(1.0), np.cos(1.0)]])
    moved = points @ turn * np.array([1, -1])
    np.testing.assert_allclose(turned(moved, PLACES), points, atol=1e-9)
    np.testing.assert_allclose(angles_off(points, PLACES), 0, atol=1e-9)


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(InputError, match="needs 5 values"):
        circle(TEN[:4], on_a_circle()[:, :4], np.ones(1500), PLACES[:4], 0)
    flat = on_a_circle()
    flat[:, 2] = 1
    with pytest.raises(InputError, match="same score on C"):
        circle(TEN, flat, np.ones(1500), PLACES, 0)
