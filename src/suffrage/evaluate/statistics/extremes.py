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
    noise = np.abs([one.draws - one.value for one in groups.values()]).max(axis=0)
    return replace(found, own_interval=_around(found.value, noise, groups))


def spread_between(groups: Mapping[str, Estimate]) -> Estimate:
    """The largest value of a group less the smallest."""
    found = combined(lambda *own: np.ptp(own, axis=0), *groups.values(), n=len(groups))
    noise = np.ptp([one.draws - one.value for one in groups.values()], axis=0)
    return replace(found, own_interval=_around(found.value, noise, groups, 0.0))


def _around(
    value: float, noise: FloatArray, groups: Mapping[str, Estimate], lowest: float = -np.inf
) -> tuple[float | None, float | None]:
    """A largest value or a range, less and plus what noise covers in 95 % of draws.

    Percentiles of resampled maxima are too high, because noise picks another group each time. By
    the triangle inequality a maximum moves no further than the group that moves most, and a range
    no further than the range of the moves. Draws of few clusters move too little; what they cover
    is widened as the interval of the group is that needs it most.
    """
    known = noise[np.isfinite(noise)]
    parts = [one.inference for one in groups.values()]
    if not known.size or not all(part.can_tell for part in parts):
        return None, None
    covered = float(np.quantile(known, LEVEL)) * max(part.widening for part in parts)
    return max(value - covered, lowest), value + covered
