"""Latent class analysis with weights and missing answers, by expectation-maximisation.

Symbols: y_ij the option respondent i chose on item j (or none), w_i the weight, C classes,
pi_c the share of class c, theta_cjk the probability that a member of c chooses option k of item j.
Answers are independent within a class: P(y_i) = sum_c pi_c prod_j theta_{c j y_ij}, the product
over the items i answered (missing at random). Source: McCutcheon (1987), Latent Class Analysis;
weights as a pseudo-likelihood: Vermunt & Magidson (2007).

Ours rather than StepMix's: every random start is a block of columns of one matrix product, which
the bootstrap of the number of classes needs (benchmarks/profile.py); a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from suffrage.arrays import FloatArray, PositionArray
from suffrage.errors import InputError
from suffrage.survey import effective_sample_size

STARTS = 20
SHORT_ITERATIONS = 15
KEPT_STARTS = 3
MAX_ITERATIONS = 2000
# Change of the log-likelihood per effective respondent at which a run has converged.
TOLERANCE = 1e-9
# A class with fewer effective respondents than this has emptied.
EMPTY_BELOW = 1.0
SMALLEST = 1e-10


@dataclass(frozen=True, eq=False)
class LatentClasses:
    """A fitted model; classes in order of falling share.

    shares: (classes,), sums to 1. profiles: one (classes, options) array an item, rows sum to 1.
    log_likelihood: of the weighted answers, weights scaled to sum to n_eff. n_eff: Kish's effective
    sample size. parameters: free ones. iterations: of the best run. entropy: of the memberships
    in nats, summed over respondents with the scaled weights. converged: whether the best run was.
    """

    shares: FloatArray
    profiles: tuple[FloatArray, ...]
    log_likelihood: float
    n_eff: float
    parameters: int
    iterations: int
    entropy: float
    converged: bool

    @property
    def bic(self) -> float:
        """Schwarz's criterion, -2 log L + parameters x log n_eff; lower is better."""
        return -2 * self.log_likelihood + self.parameters * float(np.log(self.n_eff))

    @property
    def icl(self) -> float:
        """Biernacki et al. (2000): BIC plus twice the entropy of the memberships."""
        return self.bic + 2 * self.entropy

    @property
    def separation(self) -> float:
        """Relative entropy, 1 (every respondent is surely in one class) to 0 (no idea)."""
        classes = self.shares.size
        if classes == 1:
            return 1.0
        return 1 - self.entropy / (self.n_eff * float(np.log(classes)))

    def memberships(self, positions: Sequence[PositionArray]) -> FloatArray:
        """P(class | answers), shape (respondents, classes).

        positions: one column an item, in the order of `profiles`; negative for no answer. A
        respondent who answered nothing gets the shares of the classes.
        """
        for column, profile in zip(positions, self.profiles, strict=True):
            if column.size and int(column.max()) >= profile.shape[1]:
                raise ValueError("an answer lies outside the options the classes were found with")
        theta = np.concatenate(self.profiles, axis=1).T
        joint = one_hot(positions, [p.shape[1] for p in self.profiles]) @ _log(theta)
        joint += _log(self.shares)
        return _normalised(joint[:, None, :])[0][:, 0]


def one_hot(positions: Sequence[PositionArray], options: Sequence[int]) -> FloatArray:
    """(respondents, sum of options): 1 where an option was chosen; a missing answer is all zeros."""
    table = np.zeros((positions[0].size, sum(options)))
    start = 0
    for column, count in zip(positions, options, strict=True):
        answered = np.flatnonzero(column >= 0)
        table[answered, start + column[answered].astype(np.intp)] = 1
        start += count
    return table


def fit_latent_classes(
    positions: Sequence[PositionArray],
    options: Sequence[int],
    weights: FloatArray,
    classes: int,
    generator: np.random.Generator,
    starts: int = STARTS,
) -> LatentClasses:
    """The best of `starts` random starts.

    positions: J columns of shape (respondents,), 0..K_j-1 or negative. options: K_j. weights:
    (respondents,), non-negative. All starts run a few steps together, the best few to the end.
    Raises InputError when a class empties in every one of them.
    """
    table = one_hot(positions, options)
    n_eff = effective_sample_size(weights)
    w = weights * (n_eff / weights.sum())
    edges = np.cumsum([0, *options])
    tried = 1 if classes == 1 else starts
    # Soft random memberships; runs differ by them alone.
    memberships = generator.dirichlet(np.ones(classes), size=(len(w), tried))
    shares, theta = _maximise(table, w, memberships, edges)
    for _ in range(SHORT_ITERATIONS):
        memberships, likelihoods = _expect(table, w, shares, theta)
        shares, theta = _maximise(table, w, memberships, edges)
    _, likelihoods = _expect(table, w, shares, theta)
    best = np.argsort(-likelihoods, kind="stable")[:KEPT_STARTS]
    runs = [_to_the_end(table, w, shares[r : r + 1], theta[:, r : r + 1], edges) for r in best]
    sound = [run for run in runs if (run[0] * n_eff).min() >= EMPTY_BELOW]
    if not sound:
        raise InputError(
            f"{classes} classes: one of them empties; {n_eff:.0f} effective respondents do not "
            "hold so many. Ask for fewer."
        )
    shares_, theta_, likelihood, iterations, converged, entropy = max(sound, key=lambda run: run[2])
    order = np.argsort(-shares_, kind="stable")
    return LatentClasses(
        shares=shares_[order],
        profiles=tuple(theta_[a:b, order].T for a, b in pairwise(edges)),
        log_likelihood=likelihood,
        n_eff=n_eff,
        parameters=classes - 1 + classes * int(sum(options) - len(options)),
        iterations=iterations,
        entropy=entropy,
        converged=converged,
    )


_Run = tuple[FloatArray, FloatArray, float, int, bool, float]


def _to_the_end(
    table: FloatArray, w: FloatArray, shares: FloatArray, theta: FloatArray, edges: FloatArray
) -> _Run:
    """One run until the log-likelihood stands still."""
    before, iterations, converged = -np.inf, 0, False
    while not converged and iterations < MAX_ITERATIONS:
        memberships, (likelihood,) = _expect(table, w, shares, theta)
        converged = bool(likelihood - before < TOLERANCE * w.sum())
        if not converged:
            before = likelihood
            shares, theta = _maximise(table, w, memberships, edges)
        iterations += 1
    entropy = -float(np.sum(w[:, None, None] * memberships * _log(memberships)))
    return shares[0], theta[:, 0], float(likelihood), iterations, converged, max(entropy, 0.0)


def _expect(
    table: FloatArray, w: FloatArray, shares: FloatArray, theta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Memberships (respondents, runs, classes) and log-likelihoods (runs,).

    shares: (runs, classes). theta: (sum of options, runs, classes).
    """
    cells, runs, classes = theta.shape
    joint = (table @ _log(theta).reshape(cells, -1)).reshape(-1, runs, classes) + _log(shares)
    memberships, log_totals = _normalised(joint)
    return memberships, np.asarray(w @ log_totals)


def _maximise(
    table: FloatArray, w: FloatArray, memberships: FloatArray, edges: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The shares and profiles that fit the memberships best."""
    n, runs, classes = memberships.shape
    weighted = memberships * w[:, None, None]
    shares = weighted.sum(axis=0)
    shares /= shares.sum(axis=-1, keepdims=True)
    counts = (table.T @ weighted.reshape(n, -1)).reshape(-1, runs, classes)
    totals = np.add.reduceat(counts, edges[:-1].astype(np.intp), axis=0)
    sizes = np.diff(edges).astype(np.intp)
    return shares, counts / np.maximum(np.repeat(totals, sizes, axis=0), SMALLEST)


def _normalised(joint: FloatArray) -> tuple[FloatArray, FloatArray]:
    """exp(joint) with its last axis summing to 1, and the logarithm of what it summed to."""
    highest = joint.max(axis=-1, keepdims=True)
    scaled = np.exp(joint - highest)
    totals = scaled.sum(axis=-1, keepdims=True)
    return scaled / totals, (np.log(totals) + highest)[..., 0]


def _log(probabilities: FloatArray) -> FloatArray:
    return np.log(np.maximum(probabilities, SMALLEST))


def adjusted_rand_index(first: PositionArray, second: PositionArray, weights: FloatArray) -> float:
    """Agreement of two partitions of the same respondents, 1 same, 0 as by chance.

    Hubert & Arabie (1985) with weights in place of counts, scaled to sum to the number of
    respondents.
    """
    w = weights * (weights.size / weights.sum())
    table = np.zeros((int(first.max()) + 1, int(second.max()) + 1))
    np.add.at(table, (first, second), w)

    def pairs(counts: FloatArray) -> float:
        return float((counts * (counts - 1)).sum() / 2)

    both, rows, columns = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = rows * columns / pairs(np.array([w.sum()]))
    highest = (rows + columns) / 2
    return 1.0 if highest == expected else (both - expected) / (highest - expected)


def matched_overlap(first: PositionArray, second: PositionArray, weights: FloatArray) -> FloatArray:
    """For each class of `first`, its largest Jaccard overlap with a class of `second`.

    Source: Hennig (2007), cluster-wise assessment of stability.
    """
    found = np.zeros(int(first.max()) + 1)
    for c in range(found.size):
        inside = first == c
        for d in range(int(second.max()) + 1):
            other = second == d
            union = weights[inside | other].sum()
            if union > 0:
                found[c] = max(found[c], weights[inside & other].sum() / union)
    return found
