"""Which statement a participant is shown next: Polis' priority, and a draw that never excludes one.

A is the number of agrees, P of passes, S of all votes, and E the extremity of a statement. The
formulas are those of Polis (compdemocracy/polis, conversation.clj).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from suffrage.arrays import BoolArray, FloatArray

META_PRIORITY = 49.0


def priority(
    agrees: FloatArray,
    passes: FloatArray,
    seen: FloatArray,
    extremity: FloatArray,
    meta: BoolArray | bool = False,
) -> FloatArray:
    """Return how much each statement should be shown next.

    It is (I (1 + 8 2^(-S/5)))^2 with I = (1 - (P+1)/(S+2)) (E+1) (A+1)/(S+2). Statements that are
    new, agreed with, telling and seldom passed on come first.

    Parameters
    ----------
    agrees, passes, seen : array, shape (statements,)
        Counts of votes; `seen` counts all.
    extremity : array, shape (statements,)
        How far out somebody stands who only agreed with the statement.
    meta : array of bool, shape (statements,), optional
        Which statements are about the consultation itself; they get `META_PRIORITY`.

    Returns
    -------
    array, shape (statements,)
        Above 0.

    Examples
    --------
    >>> zero = np.zeros(1)
    >>> priority(zero, zero, zero, zero)
    array([5.0625])
    """
    importance = (1 - (passes + 1) / (seen + 2)) * (extremity + 1) * (agrees + 1) / (seen + 2)
    found = np.square(importance * (1 + 8 * np.exp2(-seen / 5)))
    return np.where(meta, META_PRIORITY, found)


def routing_probabilities(
    priorities: FloatArray, open_to: BoolArray, floor: float = 0.2
) -> FloatArray:
    """Return the probability of each statement to be shown next to one participant.

    Log these probabilities: votes can then be weighted by one over them.

    Parameters
    ----------
    priorities : array, shape (statements,)
        A priority of 0 or NaN counts as 1.
    open_to : array of bool, shape (statements,)
        The shown statements that the participant has not voted on.
    floor : float
        The part that is drawn evenly, 0 to 1, so that no statement is never shown. With 0 the
        probabilities are those of Polis.

    Returns
    -------
    array, shape (statements,)
        All 0 where nothing is open.

    Raises
    ------
    ValueError
        `floor` is not in 0 to 1.

    Examples
    --------
    >>> routing_probabilities(np.array([1.0, 3.0, 50.0]), np.array([True, True, False]), floor=0)
    array([0.25, 0.75, 0.  ])
    """
    if not 0 <= floor <= 1:
        raise ValueError(f"floor is {floor}; it must lie in 0 to 1")
    if not open_to.any():
        return np.zeros(open_to.size)
    weight = np.where(open_to, np.where(priorities > 0, priorities, 1.0), 0.0)
    return np.asarray((1 - floor) * weight / weight.sum() + floor * open_to / open_to.sum())


def draw_statement(
    probabilities: FloatArray, generator: np.random.Generator, statements: Sequence[str]
) -> str | None:
    """Draw the statement to show next, or None where nothing is open."""
    if probabilities.sum() <= 0:
        return None
    return statements[int(generator.choice(probabilities.size, p=probabilities))]
