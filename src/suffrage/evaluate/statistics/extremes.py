"""The largest of several groups' figures, and which group has it, with what chance does to both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.evaluate.statistics.inference import LEVEL
from suffrage.evaluate.statistics.intervals import Estimate, combined


def named_largest(groups: Mapping[str, Estimate]) -> dict[str, Any]:
    """The group with the largest value, in how many draws it is, and every group's value."""
    values = np.array([found.value for found in groups.values()])
    drawn = np.array([found.draws for found in groups.values()])  # (groups, draws)
    kept = np.isfinite(drawn).all(axis=0)
    whole = kept.any() and all(found.low is not None for found in groups.values())
    often = float((drawn[:, kept].argmax(axis=0) == values.argmax()).mean()) if whole else None
    return {
        "group": list(groups)[int(values.argmax())],
        "often": often,
        "groups": {
            group: {"value": found.value, "low": found.low, "high": found.high}
            for group, found in groups.items()
        },
    }


def largest(groups: Mapping[str, Estimate]) -> Estimate:
    """The largest value among groups, with an interval that holds whichever group has it."""
    found = combined(lambda *own: np.max(own, axis=0), *groups.values(), n=len(groups))
    noise = np.abs(_moves(groups)).max(axis=0)
    return replace(found, own_interval=_around(found.value, noise, groups))


def spread_between(groups: Mapping[str, Estimate]) -> Estimate:
    """The largest value of a group less the smallest."""
    found = combined(lambda *own: np.ptp(own, axis=0), *groups.values(), n=len(groups))
    noise = np.ptp(_moves(groups), axis=0)
    return replace(found, own_interval=_around(found.value, noise, groups, 0.0))


def _moves(groups: Mapping[str, Estimate]) -> FloatArray:
    """How every group's value moves from draw to draw, (groups, draws).

    Draws of few clusters move too little. Each group's moves are as much wider as its own interval
    is than the draws.
    """
    return np.array(
        [
            # Of a single cluster nothing is told, and no interval is given below.
            (one.inference.widening if one.inference.can_tell else 1.0) * (one.draws - one.value)
            for one in groups.values()
        ]
    )


def _around(
    value: float, noise: FloatArray, groups: Mapping[str, Estimate], lowest: float = -np.inf
) -> tuple[float | None, float | None]:
    """A largest value or a range, less and plus what noise covers in 95% of draws.

    Percentiles of resampled maxima are too high, because noise picks another group each time. By
    the triangle inequality a maximum moves no further than the group that moves most, and a range
    no further than the range of the moves.
    """
    known = noise[np.isfinite(noise)]
    if not known.size or not all(one.inference.can_tell for one in groups.values()):
        return None, None
    covered = float(np.quantile(known, LEVEL))
    return max(value - covered, lowest), value + covered
