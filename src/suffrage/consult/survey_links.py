"""A survey and a consultation compared on the same question; they are never pooled.

A survey asks few questions of people drawn at random, and a consultation asks many of those who
took part. Where a statement says what an item asks, the two can be compared.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import erfc, sqrt
from pathlib import Path

import numpy as np
import polars as pl

from suffrage.consult.consultation import Consultation
from suffrage.errors import InputError, did_you_mean, near_files
from suffrage.population import ValueSet
from suffrage.population.comparison import FALSE_DISCOVERY_RATE, benjamini_hochberg
from suffrage.survey import effective_sample_size

COLUMNS = ("statement", "item", "options")
Z95 = 1.959964


@dataclass(frozen=True)
class Link:
    """Agreeing to a statement means choosing one of these options of an item."""

    statement: str
    item: str
    # The codes of the options.
    options: tuple[str, ...]


@dataclass(frozen=True)
class Disagreement:
    """One statement's share in the survey and in the consultation, in one population."""

    value_set: str
    statement: str
    item: str
    # The share who agree, of those with an opinion.
    survey: float
    consultation: float
    # The effective number of participants who voted.
    voters: float
    # The consultation's share less the survey's, with its 95% interval.
    difference: float
    low: float
    high: float
    # Whether the difference is beyond chance, at a false discovery rate of 5% over all statements
    # compared.
    clear: bool


def read_links(path: Path) -> list[Link]:
    """Read links from a CSV file with the columns statement, item and options (codes with "|").

    Raises
    ------
    InputError
        There is no such file, a column is missing or a cell is empty.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file.{near_files(path)}")
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if set(reader.fieldnames or ()) != set(COLUMNS):
            raise InputError(f"{path.name}: the columns must be {', '.join(COLUMNS)}.")
        rows = list(reader)
    found = []
    for line, row in enumerate(rows, 2):
        if not all(row[name] for name in COLUMNS):
            raise InputError(f"{path.name} line {line}: a cell is empty.")
        options = tuple(code.strip() for code in row["options"].split("|"))
        found.append(Link(row["statement"], row["item"], options))
    return found


def disagreements(
    consultation: Consultation,
    weights: Mapping[str, float],
    value_set: ValueSet,
    links: Sequence[Link],
) -> list[Disagreement]:
    """Compare each linked statement in one population, the largest difference first.

    Passes count as no opinion, like "don't know" in the survey. The error of a difference combines
    the survey's own and a binomial error with Kish's effective number of voters. Statements that
    none of these participants voted on are left out.

    Parameters
    ----------
    consultation : Consultation
    weights : mapping
        The weight of each participant who is in the population.
    value_set : ValueSet
        The population in the survey.
    links : sequence of Link

    Raises
    ------
    InputError
        A link names a statement, an item or an option that does not exist.
    """
    known = set(consultation.statements["statement"])
    compared = []
    for link in links:
        if link.statement not in known:
            raise InputError(f'links: there is no statement "{link.statement}".')
        survey, survey_error = _survey_share(value_set, link)
        found = _consultation_share(consultation, weights, link.statement)
        if found is None:
            continue
        share, voters = found
        # A share shrunk toward a half by one voter each way has an error even where all agree.
        shrunk = (share * voters + 1) / (voters + 2)
        error = sqrt(shrunk * (1 - shrunk) / voters + survey_error**2)
        row = Disagreement(
            value_set=value_set.name,
            statement=link.statement,
            item=link.item,
            survey=survey,
            consultation=share,
            voters=voters,
            difference=share - survey,
            low=share - survey - Z95 * error,
            high=share - survey + Z95 * error,
            clear=False,
        )
        compared.append((row, erfc(abs(share - survey) / error / sqrt(2))))
    if not compared:
        return []
    clear = benjamini_hochberg(np.array([p for _, p in compared]), FALSE_DISCOVERY_RATE)
    rows = [replace(row, clear=bool(c)) for (row, _), c in zip(compared, clear, strict=True)]
    return sorted(rows, key=lambda row: (-abs(row.difference), row.statement))


def _survey_share(value_set: ValueSet, link: Link) -> tuple[float, float]:
    """The survey's share of a link's options, and its standard error."""
    distribution = value_set.distributions.get(link.item)
    if distribution is None:
        raise InputError(f'links: {value_set.name} has no answers to an item "{link.item}".')
    codes = [option.code for option in distribution.item.options]
    absent = [code for code in link.options if code not in codes]
    if absent:
        raise InputError(
            f'links: {link.item} has no option "{absent[0]}"; there are {", ".join(codes)}.'
            f"{did_you_mean(absent[0], codes)}"
        )
    chosen = [codes.index(code) for code in link.options]
    error = distribution.replicates[:, chosen].sum(axis=1).std(ddof=1)
    return float(distribution.shares[chosen].sum()), float(error)


def _consultation_share(
    consultation: Consultation, weights: Mapping[str, float], statement: str
) -> tuple[float, float] | None:
    """The share who agree of those who did not pass, and their effective number; None if nobody."""
    votes = consultation.votes.filter(
        (pl.col("statement") == statement)
        & pl.col("participant").is_in(list(weights))
        & (pl.col("vote") != 0)
    ).sort("participant")
    w = np.array([weights[p] for p in votes["participant"]])
    if not w.size:
        return None
    agree = (votes["vote"] == 1).to_numpy()
    return float(w @ agree / w.sum()), effective_sample_size(w)
