"""Partial pooling of a small group's answers toward the rest of its parent population.

Symbols, for item j of one group: c_jk effective answers for option k (n_eff times the share), m_j
their sum, q_jk the share among the parent's other members, M_j their effective number, kappa the
concentration: how many respondents of this group the parent's answers are worth.

The group's true shares are drawn around the parent's, theta_j ~ Dirichlet(kappa_j q_j), and its
answers from them, so c_j is Dirichlet-multinomial. The parent's shares are themselves uncertain,
which limits what they are worth: kappa_j = kappa M_j / (kappa + M_j).
Source: Agresti and Hitchcock (2005), Bayesian inference for categorical data analysis, section 2;
Gelman et al., Bayesian Data Analysis (3rd ed.), chapter 5.

One kappa serves all items of a group. A single item is one draw of theta and shows almost nothing
about kappa, and sibling groups would make a value set depend on which others a study has; all items
of the group together show how like its parent it is. Kappa is not fixed at its most likely value,
which is infinite for many small groups and would leave no error at all. It is integrated out over a
prior under which the weight of the parent on an item of median size is uniform between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lgamma

import numpy as np

from suffrage.arrays import FloatArray

# How many values of kappa the integral is taken over.
GRID = 60


@dataclass(frozen=True, eq=False)
class GroupAnswers:
    """One item as a group and the rest of its parent answered it."""

    # The group's, shape (options,), sums to 1.
    shares: FloatArray
    # m: effective respondents of the group.
    size: float
    # The shares of the rest of the parent, shape (options,), sums to 1.
    parent: FloatArray
    # M: effective respondents of the rest of the parent.
    parent_size: float

    @property
    def prior_mean(self) -> FloatArray:
        """q: the parent's shares with one respondent spread evenly, so that none is impossible."""
        spread = 1 / self.parent.size
        return np.asarray(
            (self.parent_size * self.parent + spread) / (self.parent_size + 1), dtype=np.float64
        )

    def concentrations(self, kappa: FloatArray) -> FloatArray:
        """kappa_j for each kappa: never more than the parent's respondents."""
        return np.asarray(kappa * self.parent_size / (kappa + self.parent_size))


@dataclass(frozen=True, eq=False)
class Concentration:
    """What the items of one group show about kappa."""

    # Shape (GRID,), rising.
    values: FloatArray
    # Shape (GRID,): posterior probabilities of the values, which sum to 1.
    weights: FloatArray

    def parent_weights(self, item: GroupAnswers) -> FloatArray:
        """kappa_j / (kappa_j + m_j) for each value of kappa, shape (GRID,)."""
        kappa = item.concentrations(self.values)
        return np.asarray(kappa / (kappa + item.size))

    def draws(self, count: int, generator: np.random.Generator) -> FloatArray:
        """Draw `count` values of kappa from their posterior, the same for all items of a group."""
        return np.asarray(generator.choice(self.values, count, p=self.weights))


@dataclass(frozen=True, eq=False)
class Pooled:
    """One item's answers drawn toward the parent."""

    # Shape (options,): posterior mean and standard deviation.
    shares: FloatArray
    standard_errors: FloatArray
    # The posterior mean of kappa_j / (kappa_j + m_j): shares = (1 - weight) own + weight q.
    weight: float


def find_concentration(items: Sequence[GroupAnswers]) -> Concentration:
    """Return the posterior of kappa given all items of a group, which are taken as independent.

    The prior is uniform in kappa / (kappa + m), m the median size of the items: the grid's points
    are the middles of GRID equal parts of it. The likelihood is the product of `log_marginal`.

    Parameters
    ----------
    items : sequence of GroupAnswers
        At least one, each with a parent of positive size.

    Returns
    -------
    Concentration
        Values of kappa in respondents, and their probabilities.

    References
    ----------
    Agresti and Hitchcock (2005), section 2; Gelman et al. (3rd ed.), chapter 5.
    """
    middle = float(np.median([item.size for item in items]))
    part = (np.arange(GRID) + 0.5) / GRID
    values = middle * part / (1 - part)
    logs = sum(
        (
            log_marginal(item.size * item.shares, item.prior_mean, item.concentrations(values))
            for item in items
        ),
        np.zeros(GRID),
    )
    weights = np.exp(logs - logs.max())
    return Concentration(values, weights / weights.sum())


def log_marginal(counts: FloatArray, mean: FloatArray, kappa: FloatArray) -> FloatArray:
    """Return the log of the Dirichlet-multinomial probability, without the part free of kappa.

    log Gamma(kappa) - log Gamma(m + kappa)
    + sum_k [log Gamma(c_k + kappa q_k) - log Gamma(kappa q_k)].

    Parameters
    ----------
    counts : array, shape (options,)
        c: not negative, whole or not; they sum to m.
    mean : array, shape (options,)
        q: positive, sums to 1.
    kappa : array, shape (kappas,)
        Positive.

    Returns
    -------
    array, shape (kappas,)
        In nats.

    References
    ----------
    Mosimann (1962), Biometrika 49: 65-82.
    """
    prior = kappa[:, None] * mean
    terms = _log_gamma(counts + prior) - _log_gamma(prior)
    return np.asarray(_log_gamma(kappa) - _log_gamma(kappa + counts.sum()) + terms.sum(axis=1))


def _log_gamma(values: FloatArray) -> FloatArray:
    return np.array([lgamma(value) for value in values.ravel()]).reshape(values.shape)


def pool(item: GroupAnswers, found: Concentration) -> Pooled:
    """Return an item's posterior mean and standard deviation, over the posterior of kappa.

    Given kappa the posterior is Dirichlet with total m + kappa_j and mean mu, so the variance is
    mu (1 - mu) / (m + kappa_j + 1); the spread of mu over kappa is added to it.

    Parameters
    ----------
    item : GroupAnswers
        The group's answers and its parent's.
    found : Concentration
        The posterior of kappa for this group.

    Returns
    -------
    Pooled
        Shares between the group's own and the parent's.

    Examples
    --------
    Ten people of a group all agree on two items, as 9 in 10 of the others do:

    >>> item = GroupAnswers(np.array([1.0, 0.0]), 10.0, np.array([0.9, 0.1]), 1000.0)
    >>> found = pool(item, find_concentration([item, item]))
    >>> bool(0.9 < found.shares[0] < 1)
    True
    """
    parent_weights = found.parent_weights(item)
    weight = float(found.weights @ parent_weights)
    apart = item.prior_mean - item.shares
    means = item.shares + parent_weights[:, None] * apart
    shares = item.shares + weight * apart
    totals = item.size + item.concentrations(found.values) + 1
    within = found.weights @ (means * (1 - means) / totals[:, None])
    between = found.weights @ np.square(means - shares)
    return Pooled(shares, np.asarray(np.sqrt(within + between)), weight)


def pooled_draws(
    item: GroupAnswers, replicates: FloatArray, kappa: FloatArray, generator: np.random.Generator
) -> FloatArray:
    """Return posterior draws of an item's shares, one for each bootstrap replicate.

    A Dirichlet(c + kappa q) variable is V times one of Dirichlet(c) plus 1 - V times one of
    Dirichlet(kappa q), V ~ Beta(m, kappa), as writing them in gamma variables shows. The replicate,
    in which respondents keep their answers to all items together, takes the place of the first.

    Parameters
    ----------
    item : GroupAnswers
        The group's answers and its parent's.
    replicates : array, shape (draws, options)
        The group's own shares, bootstrapped.
    kappa : array, shape (draws,)
        From `Concentration.draws`.
    generator : numpy Generator
        The source of randomness.

    Returns
    -------
    array, shape (draws, options)
        Rows sum to 1.
    """
    concentrations = item.concentrations(kappa)
    own = generator.beta(item.size, concentrations)[:, None]
    mean = item.prior_mean
    gammas = generator.standard_gamma(concentrations[:, None] * mean)
    totals = gammas.sum(axis=1, keepdims=True)
    around = np.where(totals > 0, gammas / np.where(totals > 0, totals, 1), mean)
    return np.asarray(own * replicates + (1 - own) * around)
