"""How far answers computed in a shorter number format are from those in float32.

bfloat16 keeps 8 bits of a number's 24, and packing and batching round differently again: option
log-probabilities move by tenths (docs/results-speed.md). What that does to a study's figures is
measured on its own questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.models import ItemProbe, ModelAnswer
from suffrage.population.distribution_distances import total_variation

# Questions asked in both formats: enough for a mean, few enough to cost little.
QUESTIONS = 24


@dataclass(frozen=True)
class Rounding:
    """How far one model's answers in `dtype` are from its own in float32."""

    dtype: str
    questions: int
    """How many questions were asked in both formats."""
    mean: float | None
    """Mean total variation between the two answers, 0 to 1; None if it could not be measured."""
    largest: float | None
    """The largest total variation."""
    mass: float | None
    """The largest change of the probability on the options."""
    why: str | None = None
    """What kept it from being measured."""


def questions_asked_twice(asked: Sequence[tuple[str, ItemProbe]], seed: int) -> list[ItemProbe]:
    """At most `QUESTIONS` of what a model is asked, drawn with the seed.

    asked: each with the value set that it is asked as.
    """
    every = sorted(asked, key=lambda place: (place[0], place[1].item.id))
    generator = np.random.default_rng([seed, 17])
    chosen = generator.permutation(len(every))[:QUESTIONS]
    return [every[place][1] for place in sorted(chosen)]


def rounding(dtype: str, fast: Sequence[ModelAnswer], exact: Sequence[ModelAnswer]) -> Rounding:
    """The difference of two readings of the same questions, in the same order."""
    pairs = list(zip(fast, exact, strict=True))
    moved = [float(total_variation(one.shares, two.shares)) for one, two in pairs]
    mass = max(abs(one.mass - two.mass) for one, two in pairs)
    return Rounding(dtype, len(pairs), float(np.mean(moved)), max(moved), mass)
