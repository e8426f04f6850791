"""Strengths from comparisons of two: Bradley and Terry (1952), with ties after Davidson (1970).

With strengths theta, a lean b to the left side and nu for ties, the three outcomes of left i
against right j are as probable as exp(theta_i + b), exp(theta_j) and
nu exp((theta_i + theta_j + b) / 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray, IntArray
from suffrage.evaluate.statistics.inference import infer

LEFT, RIGHT, TIE = 0, 1, 2
RIDGE = 0.1
BOOTSTRAPS = 500
_STEPS = 50
_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Strengths:
    """What comparisons say of the models in them."""

    theta: FloatArray  # strengths, (models,), around 0
    side: float  # lean to the left
    log_tie: float | None  # of nu; None where nothing tied

    @property
    def win_rates(self) -> FloatArray:
        """(models,): the mean over the others of P(win) + P(tie) / 2, without a lean to a side."""
        gap = self.theta[:, None] - self.theta[None, :]
        win, lose = np.exp(gap / 2), np.exp(-gap / 2)
        tie = 0.0 if self.log_tie is None else np.exp(self.log_tie)
        beats = (win + tie / 2) / (win + lose + tie)
        np.fill_diagonal(beats, 0.0)
        return np.asarray(beats.sum(axis=1) / max(1, len(self.theta) - 1))


def fit_davidson(
    left: IntArray, right: IntArray, counts: FloatArray, models: int, ridge: float = RIDGE
) -> Strengths:
    """The penalised maximum likelihood, by Newton's method; the likelihood is concave.

    Parameters
    ----------
    left, right : (pairs,)
        Which models were on which side.
    counts : (pairs, 3)
        How often left won, right won, neither did.
    models : int
        How many there are.
    ridge : float
        Of a normal prior around 0 on every parameter (variance 1 / ridge), which keeps a model that
        always won finite.
    """
    ties = bool(counts[:, TIE].sum() > 0)
    outcomes = 3 if ties else 2
    design = np.zeros((len(left), outcomes, models + 2))  # columns: theta, b, log nu
    rows = np.arange(len(left))
    design[rows, LEFT, left] = 1
    design[:, LEFT, models] = 1
    design[rows, RIGHT, right] = 1
    if ties:
        design[rows, TIE, left] += 0.5
        design[rows, TIE, right] += 0.5
        design[:, TIE, models] = 0.5
        design[:, TIE, models + 1] = 1
    found = counts[:, :outcomes]
    totals = found.sum(axis=1)
    at = np.zeros(models + 2)
    value, p = _loss(at, design, found, ridge)
    for _ in range(_STEPS):
        expected = np.einsum("rop,ro->rp", design, p)
        gradient = np.einsum("rop,ro->p", design, totals[:, None] * p - found) + ridge * at
        spread = design - expected[:, None, :]
        hessian = np.einsum("ro,rop,roq->pq", totals[:, None] * p, spread, spread)
        step = np.linalg.solve(hessian + ridge * np.eye(models + 2), gradient)
        size = 1.0
        while size > 1e-6:  # halve a step that went too far
            new_value, new_p = _loss(at - size * step, design, found, ridge)
            if new_value <= value:
                break
            size /= 2
        else:
            break
        at, p = at - size * step, new_p
        done = value - new_value < _TOLERANCE * max(1.0, abs(value))
        value = new_value
        if done:
            break
    theta = at[:models] - at[:models].mean()
    return Strengths(theta, float(at[models]), float(at[models + 1]) if ties else None)


def _loss(
    at: FloatArray, design: FloatArray, found: FloatArray, ridge: float
) -> tuple[float, FloatArray]:
    """The penalised negative log-likelihood, and the outcomes' probabilities."""
    scores = design @ at
    scores = scores - scores.max(axis=1, keepdims=True)
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return float(-(found * logs).sum() + ridge * at @ at / 2), np.exp(logs)


@dataclass(frozen=True)
class WinRate:
    """A model's rate of winning against the mean of the others, with its 95% interval."""

    model: str
    value: float
    low: float | None
    high: float | None
    comparisons: int


def win_rates(
    lefts: Sequence[str],
    rights: Sequence[str],
    outcomes: Sequence[int],
    participants: Sequence[str],
    weights: Sequence[float],
    seed: int,
    ridge: float = RIDGE,
) -> list[WinRate]:
    """Win rates of every model compared, by name; intervals from resampled participants.

    One entry a comparison in each sequence; outcomes: LEFT, RIGHT or TIE; weights: the
    participants'. One person's comparisons hang together and are resampled together; there is no
    interval with fewer than four participants.
    """
    names = sorted({*lefts, *rights})
    at = {name: place for place, name in enumerate(names)}
    pairs = sorted({(at[one], at[other]) for one, other in zip(lefts, rights, strict=True)})
    pair_at = {pair: place for place, pair in enumerate(pairs)}
    people = sorted(set(participants))
    person_at = {name: place for place, name in enumerate(people)}
    row = np.array([pair_at[at[a], at[b]] for a, b in zip(lefts, rights, strict=True)])
    person = np.array([person_at[one] for one in participants])
    outcome, weight = np.array(outcomes), np.array(weights, dtype=float)
    left, right = (np.array([pair[side] for pair in pairs]) for side in (0, 1))

    def rates(times: FloatArray) -> FloatArray:
        counts = np.zeros((len(pairs), 3))
        np.add.at(counts, (row, outcome), weight * times[person])
        return fit_davidson(left, right, counts, len(names), ridge).win_rates

    everybody = np.ones(len(people))
    value = rates(everybody)
    ends: list[tuple[float | None, float | None]] = [(None, None)] * len(names)
    if len(people) > 1:
        generator = np.random.default_rng([seed, 5])
        shares = np.full(len(people), 1 / len(people))
        counts = generator.multinomial(len(people), shares, size=BOOTSTRAPS).astype(float)
        left_out = np.array([rates(everybody - one) for one in np.eye(len(people))])
        sizes = np.bincount(person, weights=weight, minlength=len(people)).astype(float)
        ends = [
            infer(float(v), left_out[:, k], sizes, counts).interval() for k, v in enumerate(value)
        ]
    return [
        WinRate(
            name,
            float(value[k]),
            *ends[k],
            sum(name in pair for pair in zip(lefts, rights, strict=True)),
        )
        for k, name in enumerate(names)
    ]
