"""Value sets from published tables of answers, where the respondents are not at hand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from suffrage import storage
from suffrage.arrays import FloatArray, IntArray
from suffrage.errors import InputError, did_you_mean
from suffrage.population.value_set import (
    HALF_SPLITS,
    REPLICATES,
    AnswerDistribution,
    ValueSet,
)
from suffrage.survey import Item
from suffrage.survey.published_table import PublishedCell, PublishedTable
from suffrage.text_overlap import only_words

# Two sources that give one question's answers to one population differ by more than sampling
# error where the chance of such a difference is below this.
DISAGREEMENT_LEVEL = 0.001


def published_distribution(
    item: Item, cell: PublishedCell, generator: np.random.Generator
) -> AnswerDistribution:
    """Return one population's answers to one item, with sampling error where n is known.

    The answers count as those of a simple random sample: its replicates are multinomial, its
    halves are random halves of the people. Where n is not known there are no replicates, n is 0,
    and n_eff and errors are NaN.

    Parameters
    ----------
    item : Item
    cell : PublishedCell
    generator : numpy.random.Generator
        Draws the resamples.
    """
    shares, options = cell.shares, cell.shares.size
    if cell.n is None or round(cell.n) < 2:
        empty = np.empty((0, options))
        return AnswerDistribution(
            item=item,
            shares=shares,
            standard_errors=np.full(options, math.nan),
            n=0,
            n_eff=math.nan,
            non_response=dict(cell.non_response),
            replicates=empty,
            first_halves=empty,
            second_halves=empty,
        )
    counts = whole_counts(shares, round(cell.n))
    n, half = int(counts.sum()), int(counts.sum()) // 2
    first = generator.multivariate_hypergeometric(counts, half, size=HALF_SPLITS)
    return AnswerDistribution(
        item=item,
        shares=shares,
        standard_errors=np.sqrt(shares * (1 - shares) / n),
        n=n,
        n_eff=float(n),
        non_response=dict(cell.non_response),
        replicates=generator.multinomial(n, shares / shares.sum(), size=REPLICATES) / n,
        first_halves=first / half,
        second_halves=(counts - first) / (n - half),
    )


def whole_counts(shares: FloatArray, n: int) -> IntArray:
    """Return whole numbers of people nearest to shares of n, by largest remainder.

    Parameters
    ----------
    shares : array, shape (options,)
        Sums to 1.
    n : int
        1 or more.

    Returns
    -------
    array, shape (options,)
        Sums to n.

    Examples
    --------
    >>> import numpy as np
    >>> whole_counts(np.array([0.5, 0.25, 0.25]), 3).tolist()
    [1, 1, 1]
    """
    exact = shares * n
    counts = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: n - int(counts.sum())]] += 1
    return counts


@dataclass(frozen=True)
class SourcePopulation:
    """One population of one table, and what its items are called in the study."""

    table: PublishedTable
    population: str
    # Put before each item's id; "" where a study has one source only.
    prefix: str = ""


def published_value_set(
    parts: Sequence[SourcePopulation], name: str, description: str | None = None, seed: int = 0
) -> ValueSet:
    """Return the value set of a population that one or more tables have.

    Parameters
    ----------
    parts : sequence of SourcePopulation
        Where its answers are. No two may have one prefix.
    name : str
        The value set's name.
    description : str, optional
        How a question to a model names it; by default as the first table does.
    seed : int
        The seed of the resamples.

    Returns
    -------
    ValueSet

    Raises
    ------
    InputError
        A table has no such population.
    """
    distributions: dict[str, AnswerDistribution] = {}
    aside: list[str] = []
    for part in parts:
        table = part.table
        if part.population not in table.cells:
            broken = _set_aside(table, part.population)
            if broken:
                raise InputError(
                    f"{table.codebook.title}: {part.population} has no item with usable shares; "
                    f"the first was set aside as {broken[0]}."
                )
            raise InputError(
                f'value set {name}: {table.codebook.title} has no population "{part.population}"; '
                f"it has {', '.join(table.populations[:12])}"
                f"{' ...' if len(table.populations) > 12 else ''}."
                f"{did_you_mean(part.population, table.populations)}"
            )
        own = table.cells[part.population]
        for item in table.codebook.items:
            if item.id in own:
                seeds = [seed, _number(name), _number(part.prefix + item.id)]
                named = item.model_copy(update={"id": part.prefix + item.id})
                distributions[named.id] = published_distribution(
                    named, own[item.id], np.random.default_rng(seeds)
                )
        aside += [part.prefix + text for text in _set_aside(table, part.population)]
    known = [d.n for d in distributions.values() if d.n]
    first = parts[0]
    return ValueSet(
        name=name,
        description=description or first.table.descriptions[first.population],
        where={"population": first.population},
        distributions=distributions,
        n=max(known, default=0),
        n_eff=float(max(known)) if known else math.nan,
        design_effect=1.0 if known else math.nan,
        weighting="; ".join(dict.fromkeys(part.table.weighting for part in parts)),
        survey_hash=storage.content_hash([part.table.content_hash for part in parts]),
        set_aside=tuple(sorted(set(aside))),
    )


def _set_aside(table: PublishedTable, population: str) -> list[str]:
    start = f"{population}: "
    return [text.removeprefix(start) for text in table.set_aside if text.startswith(start)]


def published_value_sets(
    table: PublishedTable, populations: Iterable[str] | None = None
) -> list[ValueSet]:
    """Return one value set for each population of a table, by name; all when None."""
    names = table.populations if populations is None else populations
    return [published_value_set([SourcePopulation(table, name)], name) for name in names]


def _number(text: str) -> int:
    return int(storage.content_hash(text)[:8], 16)


@dataclass(frozen=True)
class SourceDisagreement:
    """Two sources that give one population other answers to what seems to be one question."""

    first: AnswerDistribution
    second: AnswerDistribution
    # Between the shares, 0 to 1.
    distance: float
    # The chance of such a difference by sampling alone; NaN where a source has no n.
    p_value: float


def source_disagreements(value_set: ValueSet, least: float = 0.1) -> list[SourceDisagreement]:
    """Return where two sources disagree on one question and population, the farthest first.

    A question is the same where its words and options are.

    Where both say how many people answered, Pearson's chi-squared test of equal distributions
    decides. Where one does not, a total variation distance above `least` counts.

    Parameters
    ----------
    value_set : ValueSet
    least : float
        A smaller total variation distance is never a disagreement, 0 to 1.
    """
    same: dict[tuple[str, tuple[str, ...]], list[AnswerDistribution]] = {}
    for own in value_set.distributions.values():
        options = tuple(only_words(text) for text in own.item.texts)
        same.setdefault((only_words(own.item.question), options), []).append(own)
    found = []
    for first, second in (pair for alike in same.values() for pair in combinations(alike, 2)):
        distance = 0.5 * float(np.abs(first.shares - second.shares).sum())
        p_value = _chi_squared_p(first, second) if first.n and second.n else math.nan
        differs = p_value < DISAGREEMENT_LEVEL if first.n and second.n else True
        if distance > least and differs:
            found.append(SourceDisagreement(first, second, distance, p_value))
    return sorted(found, key=lambda d: (-d.distance, d.first.item.id))


def _chi_squared_p(first: AnswerDistribution, second: AnswerDistribution) -> float:
    from scipy.stats import chi2_contingency

    counts = np.stack([whole_counts(d.shares, d.n) for d in (first, second)])
    used = counts[:, counts.sum(axis=0) > 0]
    return float(chi2_contingency(used, correction=False).pvalue) if used.shape[1] > 1 else 1.0
