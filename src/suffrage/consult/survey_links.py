"""Survey and consultation on the same question, held beside each other and never pooled in silence.

A survey asks few things of people drawn at random; a consultation asks many of those who came. Where
a statement says what an item asks, both can be read, and where they differ it is told.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from pathlib import Path

import numpy as np
import polars as pl

from suffrage.consult.consultation import Consultation
from suffrage.errors import InputError
from suffrage.population import ValueSet
from suffrage.population.comparison import FALSE_DISCOVERY_RATE, benjamini_hochberg
from suffrage.survey import effective_sample_size

COLUMNS = ("statement", "item", "options")
Z95 = 1.959964


@dataclass(frozen=True)
class Link:
    """Agreeing to a statement is choosing one of these options (by their code) of an item."""

    statement: str
    item: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Disagreement:
    """One statement's two readings in one population.

    survey, consultation: shares of those with an opinion who hold it. voters: effective number of
    participants behind the second. low, high: 95 % of the difference, consultation less survey.
    clear: beyond chance among all statements compared, at a false discovery rate of 5 %.
    """

    value_set: str
    statement: str
    item: str
    survey: float
    consultation: float
    voters: float
    difference: float
    low: float
    high: float
    clear: bool


def read_links(path: Path) -> list[Link]:
    """Links from a CSV file: statement, item, options (codes, joined by "|").

    Raises InputError naming the file and the line.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
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
    """Each linked statement in one population, largest difference first.

    weights: by participant, of those who are in the population. Passes, like the survey's "don't
    know", hold no opinion. Errors: the survey's own, and binomial with Kish's effective number of
    voters. Statements nobody of them voted on are left out. Raises InputError on a link to nothing.
    """
    known = set(consultation.statements["statement"])
    found: list[tuple[Link, float, float, float, float]] = []
    for link in links:
        if link.statement not in known:
            raise InputError(f'links: there is no statement "{link.statement}".')
        distribution = value_set.distributions.get(link.item)
        if distribution is None:
            raise InputError(f'links: {value_set.name} has no answers to an item "{link.item}".')
        codes = [option.code for option in distribution.item.options]
        absent = [code for code in link.options if code not in codes]
        if absent:
            raise InputError(
                f'links: {link.item} has no option "{absent[0]}"; there are {", ".join(codes)}.'
            )
        held = [codes.index(code) for code in link.options]
        votes = consultation.votes.filter(
            (pl.col("statement") == link.statement)
            & pl.col("participant").is_in(list(weights))
            & (pl.col("vote") != 0)
        ).sort("participant")
        w = np.array([weights[p] for p in votes["participant"]])
        if not w.size:
            continue
        agree = (votes["vote"] == 1).to_numpy()
        said, voters = float(w @ agree / w.sum()), effective_sample_size(w)
        survey = float(distribution.shares[held].sum())
        error = float(distribution.replicates[:, held].sum(axis=1).std(ddof=1))
        # A share drawn toward a half by one voter each way has an error also where all agree.
        drawn = (said * voters + 1) / (voters + 2)
        spread = sqrt(drawn * (1 - drawn) / voters + error**2)
        found.append((link, survey, said, voters, spread))
    if not found:
        return []
    p = np.array([erfc(abs(said - survey) / s / sqrt(2)) for _, survey, said, _, s in found])
    clear = benjamini_hochberg(p, FALSE_DISCOVERY_RATE)
    rows = [
        Disagreement(
            value_set=value_set.name,
            statement=link.statement,
            item=link.item,
            survey=survey,
            consultation=said,
            voters=voters,
            difference=said - survey,
            low=said - survey - Z95 * spread,
            high=said - survey + Z95 * spread,
            clear=bool(sure),
        )
        for (link, survey, said, voters, spread), sure in zip(found, clear, strict=True)
    ]
    return sorted(rows, key=lambda row: (-abs(row.difference), row.statement))
