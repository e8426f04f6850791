"""Latent class analysis with weights and missing answers, by expectation-maximisation.

Symbols: y_ij the option respondent i chose on item j (or none), w_i the weight, C classes,
pi_c the share of class c, theta_cjk the probability that a member of c chooses option k of item j.
Answers are independent within a class: P(y_i) = sum_c pi_c prod_j theta_{c j y_ij}, the product
over the items i answered (missing at random). Source: McCutcheon (1987), Latent Class Analysis;
weights as a pseudo-likelihood: Vermunt & Magidson (2007).

The code is ours and not StepMix's because every random start is a block of columns of one matrix
product, which the bootstrap of the number of classes needs (benchmarks/segments.py). A test checks
that the two agree.
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
    """A fitted model. Classes are in order of falling share."""

    # Shape (classes,), sums to 1.
    shares: FloatArray
    # One array for each item, shape (classes, options); rows sum to 1.
    profiles: tuple[FloatArray, ...]
    # Of the weighted answers, with weights that sum to n_eff.
    log_likelihood: float
    # Kish's effective sample size.
    n_eff: float
    # How many are free.
    parameters: int
    # Of the best run.
    iterations: int
    # Of the memberships, in nats, summed over respondents with the same weights.
    entropy: float
    # Whether the best run converged.
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
        """Return P(class | answers).

        Parameters
        ----------
        positions : sequence of arrays, shape (respondents,)
            One column for each item, in the order of `profiles`; negative for no answer.

        Returns
        -------
        array, shape (respondents, classes)
            Rows sum to 1. A respondent who answered nothing gets the shares of the classes.

        Raises
        ------
        ValueError
            An answer is outside the options that the classes were found with.
        """
        for column, profile in zip(positions, self.profiles, strict=True):
            if column.size and int(column.max()) >= profile.shape[1]:
                raise ValueError("an answer lies outside the options the classes were found with")
        theta = np.concatenate(self.profiles, axis=1).T
        joint = one_hot(positions, [p.shape[1] for p in self.profiles]) @ _log(theta)
        joint += _log(self.shares)
        return _normalised(joint[:, None, :])[0][:, 0]


def one_hot(positions: Sequence[PositionArray], options: Sequence[int]) -> FloatArray:
    """Return 1 where an option was chosen, shape (respondents, sum of options).

    A missing answer is all zeros.
    """
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
    """Fit latent classes and return the best of several random starts.

    All starts run a few steps together; the best few run to the end.

    Parameters
    ----------
    positions : sequence of J arrays, shape (respondents,)
        0..K_j-1, or negative for no answer.
    options : sequence of int
        K_j of each item.
    weights : array, shape (respondents,)
        Not negative.
    classes : int
        How many.
    generator : numpy Generator
        Draws the starts.
    starts : int
        How many random starts.

    Returns
    -------
    LatentClasses
        The run with the highest log-likelihood.

    Raises
    ------
    InputError
        A class empties in every run.

    References
    ----------
    McCutcheon (1987), Latent Class Analysis.
    Vermunt and Magidson (2007), for weights as a pseudo-likelihood.

    Examples
    --------
    Half of the people agree with both statements, half disagree with both:

    >>> answers = np.repeat(np.array([0, 1], dtype=np.int16), 50)
    >>> generator = np.random.default_rng(0)
    >>> found = fit_latent_classes([answers, answers], [2, 2], np.ones(100), 2, generator)
    >>> found.shares.round(2)
    array([0.5, 0.5])
    """
    table = one_hot(positions, options)
    n_eff = effective_sample_size(weights)
    w = weights * (n_eff / weights.sum())
    edges = np.cumsum([0, *options])
    # Soft random memberships; runs differ by them alone.
    tried = 1 if classes == 1 else starts
    memberships = generator.dirichlet(np.ones(classes), size=(len(w), tried))
    runs = _best_runs(table, w, memberships, edges)
    sound = [run for run in runs if (run.shares * n_eff).min() >= EMPTY_BELOW]
    if not sound:
        raise InputError(
            f"{classes} classes: one of them empties; {n_eff:.0f} effective respondents do not "
            "hold so many. Ask for fewer."
        )
    chosen = max(sound, key=lambda run: run.log_likelihood)
    order = np.argsort(-chosen.shares, kind="stable")
    return LatentClasses(
        shares=chosen.shares[order],
        profiles=tuple(chosen.theta[a:b, order].T for a, b in pairwise(edges)),
        log_likelihood=chosen.log_likelihood,
        n_eff=n_eff,
        parameters=classes - 1 + classes * int(sum(options) - len(options)),
        iterations=chosen.iterations,
        entropy=chosen.entropy,
        converged=chosen.converged,
    )


@dataclass(frozen=True, eq=False)
class _Run:
    """Where one random start ended."""

    # Shape (classes,).
    shares: FloatArray
    # Shape (sum of options, classes).
    theta: FloatArray
    log_likelihood: float
    iterations: int
    converged: bool
    entropy: float


def _best_runs(
    table: FloatArray, w: FloatArray, memberships: FloatArray, edges: FloatArray
) -> list[_Run]:
    """Run from every start for a few steps, and from the best few to the end."""
    shares, theta = _maximise(table, w, memberships, edges)
    for _ in range(SHORT_ITERATIONS):
        memberships, _ = _expect(table, w, shares, theta)
        shares, theta = _maximise(table, w, memberships, edges)
    _, likelihoods = _expect(table, w, shares, theta)
    best = np.argsort(-likelihoods, kind="stable")[:KEPT_STARTS]
    return [_to_the_end(table, w, shares[r : r + 1], theta[:, r : r + 1], edges) for r in best]


def _to_the_end(
    table: FloatArray, w: FloatArray, shares: FloatArray, theta: FloatArray, edges: FloatArray
) -> _Run:
    """Run from one start until the log-likelihood no longer changes."""
    before, iterations, converged = -np.inf, 0, False
    while not converged and iterations < MAX_ITERATIONS:
        memberships, (likelihood,) = _expect(table, w, shares, theta)
        converged = bool(likelihood - before < TOLERANCE * w.sum())
        if not converged:
            before = likelihood
            shares, theta = _maximise(table, w, memberships, edges)
        iterations += 1
    entropy = -float(np.sum(w[:, None, None] * memberships * _log(memberships)))
    return _Run(shares[0], theta[:, 0], float(likelihood), iterations, converged, max(entropy, 0.0))


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
    """Return the agreement of two partitions of the same respondents, corrected for chance.

    Weights take the place of counts, scaled to sum to the number of respondents.

    Parameters
    ----------
    first, second : array of int, shape (respondents,)
        The class of each respondent in either partition, from 0.
    weights : array, shape (respondents,)
        Not negative.

    Returns
    -------
    float
        1 for the same partition, 0 for agreement as by chance, below 0 for less.

    References
    ----------
    Hubert and Arabie (1985), Journal of Classification 2: 193-218.

    Examples
    --------
    >>> classes = np.array([0, 0, 1, 1], dtype=np.int16)
    >>> adjusted_rand_index(classes, 1 - classes, np.ones(4))
    1.0
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
    """Return, for each class of `first`, its largest Jaccard overlap with a class of `second`.

    Parameters
    ----------
    first, second : array of int, shape (respondents,)
        The class of each respondent in either partition, from 0.
    weights : array, shape (respondents,)
        Not negative.

    Returns
    -------
    array, shape (classes of first,)
        0 (no member in common with any class) to 1 (the same members).

    References
    ----------
    Hennig (2007), Computational Statistics & Data Analysis 52: 258-271.

    Examples
    --------
    >>> first, second = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    >>> matched_overlap(first, second, np.ones(4)).round(2)
    array([0.67, 0.5 ])
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
