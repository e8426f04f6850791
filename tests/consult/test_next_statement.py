"""The order of statements, compared with measured vectors of Polis."""

import numpy as np
import pytest

from suffrage.consult.next_statement import draw_statement, priority, routing_probabilities


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


@pytest.mark.parametrize(
    ("agrees", "passes", "seen", "extremity", "expected"),
    [
        (0, 0, 0, 0, 5.0625),
        (1, 0, 1, 0, 12.529726),
        (20, 3, 20, 0, 1.372383),
        (18, 3, 20, 1, 4.493699),
        (50, 10, 100, 1.5, 1.243681),
    ],
)
def test_priority_is_polis(
    agrees: int, passes: int, seen: int, extremity: float, expected: float
) -> None:
    found = priority(array(agrees), array(passes), array(seen), array(extremity))
    assert found[0] == pytest.approx(expected, abs=1e-6)


def test_priorities_vary_and_only_meta_statements_get_theirs() -> None:
    # In production all were once 49 for sixteen months, and routing was blind.
    seen = array(0, 3, 50)
    found = priority(seen * 0.8, seen * 0.1, seen, array(0.1, 2, 1), np.array([False, False, True]))
    assert found[2] == 49 and len(set(found.round(6))) == 3


def test_routing_follows_priorities_above_a_floor() -> None:
    open_to = np.array([True, True, False, True])
    polis = routing_probabilities(array(1, 3, 50, np.nan), open_to, floor=0)
    assert polis == pytest.approx([0.2, 0.6, 0, 0.2])
    found = routing_probabilities(array(1, 3, 50, np.nan), open_to)
    assert found.sum() == pytest.approx(1) and found[open_to].min() >= 0.2 / 3 and found[2] == 0
    generator = np.random.default_rng(0)
    drawn = [draw_statement(found, generator, ["a", "b", "c", "d"]) for _ in range(3000)]
    assert drawn.count("b") / 3000 == pytest.approx(found[1], abs=0.03) and "c" not in drawn
    assert draw_statement(np.zeros(2), generator, ["a", "b"]) is None
