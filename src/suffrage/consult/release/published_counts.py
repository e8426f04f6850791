"""Who took part, as tables of counts: suppressed and rounded, or with differential privacy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from suffrage.arrays import IntArray
from suffrage.consult.consultation import PARTICIPANT, Consultation, accepted_statements
from suffrage.consult.people import people_for, wide_demographics
from suffrage.consult.release.disclosure import (
    SUPPRESSED,
    UNKNOWN,
    are_numbers,
    in_bands,
    private_counts,
    safe_counts,
    without_rare,
)
from suffrage.consult.release.private_record import PrivateRecord
from suffrage.consult.release.release_settings import CoarseVotesSettings, ReleaseSettings

# The statements that a table with differential privacy covers, and each person's votes that count.
COARSE_STATEMENTS = 20
COARSE_VOTES = 5

COUNTS = {
    "item": pl.String,
    "value": pl.String,
    "with_item": pl.String,
    "with_value": pl.String,
    "count": pl.Int64,
}
COARSE = {"stratum": pl.String, "statement": pl.String, "vote": pl.Int64, "count": pl.Int64}


def attributes(
    consultation: Consultation, people: Sequence[str], bands: bool = True
) -> pl.DataFrame:
    """Return one row for each person and one column for each demographic item.

    Unknown values and rare values are each one value. Numbers such as ages are put in bands of
    ten; with bands=False they stay as they are.
    """
    wide = wide_demographics(consultation, people).fill_null(UNKNOWN)
    columns = []
    for name in wide.columns[1:]:
        values = wide[name].to_list()
        if are_numbers(values):
            values = without_rare(in_bands(values)) if bands else values
        else:
            values = without_rare(values)
        columns.append(pl.Series(name, values, dtype=pl.String))
    return wide.with_columns(columns)


def demographic_counts(
    consultation: Consultation, wanted: ReleaseSettings, record: PrivateRecord
) -> list[dict[str, Any]]:
    """Count participants by each demographic item and by each pair that is to be crossed.

    While fewer than six people came or went since a table was made, it stays as it was. Two
    releases that differ by one person then differ in no table.

    Returns
    -------
    list of dict
        For each table the items (`of`), the keyed hashes of those counted (`people`), and `rows`
        with the columns of `COUNTS`.
    """
    people = people_for(consultation, "taking part")
    items = sorted(consultation.demographics["item"].unique().to_list())
    crossed = sorted({tuple(sorted(pair)) for pair in wanted.cross})
    wide = attributes(consultation, people)
    found = []
    for of in [*([item] for item in items), *(list(pair) for pair in crossed)]:
        table = next((t for t in record.last.get("tables", ()) if t["of"] == of), None)
        if table is None or not record.may_repeat(table, people):
            rows = _rows_of_counts(wide, of, record)
            table = {"of": of, "people": sorted(map(record.person, people)), "rows": rows}
        found.append(table)
    return found


def _rows_of_counts(
    wide: pl.DataFrame, of: Sequence[str], record: PrivateRecord
) -> list[list[Any]]:
    """The rows of one table of one or two items: item, value, with_item, with_value, count."""
    values = [sorted(wide[name].unique().to_list()) for name in of]
    counts = np.zeros([len(some) for some in values], dtype=np.int64)
    for row in wide.select(of).iter_rows():
        counts[tuple(some.index(v) for some, v in zip(values, row, strict=True))] += 1
    safe = safe_counts(counts, record.key, *of)
    rows: list[list[Any]] = []
    for at in np.ndindex(*counts.shape):
        labels = [
            part for name, some, n in zip(of, values, at, strict=True) for part in (name, some[n])
        ]
        count = None if safe[at] == SUPPRESSED else int(safe[at])
        rows.append([*labels, *([""] * (4 - len(labels))), count])
    return rows


def coarse_votes(
    consultation: Consultation, wanted: CoarseVotesSettings, record: PrivateRecord
) -> tuple[dict[str, Any], float]:
    """Count votes by stratum on the first statements, with noise for differential privacy.

    The statements are the first accepted ones in the organisers' order, and the strata the values
    in the table of counts: neither depends on a vote. While fewer than six people came or went,
    the table stays as it was and costs nothing.

    Returns
    -------
    table : dict
        The settings, the keyed hashes of those counted (`people`), and `rows` with the columns of
        `COARSE`.
    epsilon : float
        What the table costs; 0 where an earlier table is repeated.
    """
    people = people_for(consultation, "taking part")
    earlier: dict[str, Any] = record.last.get("coarse") or {}
    same = (earlier.get("stratum"), earlier.get("epsilon")) == (wanted.stratum, wanted.epsilon)
    if same and record.may_repeat(earlier, people):
        return earlier, 0.0
    wide = attributes(consultation, people)
    strata = sorted(wide[wanted.stratum].unique().to_list())
    in_order = accepted_statements(consultation).sort("order", "statement")
    statements = in_order["statement"].to_list()[:COARSE_STATEMENTS]
    stratum_of = {
        person: strata.index(value)
        for person, value in wide.select(PARTICIPANT, wanted.stratum).iter_rows()
    }
    generator = record.generator("coarse")
    counts = _counted_votes(consultation, stratum_of, len(strata), statements, generator)
    noisy = private_counts(counts, wanted.epsilon, COARSE_VOTES, generator)
    table = {
        "stratum": wanted.stratum,
        "epsilon": wanted.epsilon,
        "people": sorted(map(record.person, people)),
        "rows": [
            [stratum, statement, vote, int(noisy[i, j, vote + 1])]
            for i, stratum in enumerate(strata)
            for j, statement in enumerate(statements)
            for vote in (-1, 0, 1)
        ],
    }
    return table, wanted.epsilon


def _counted_votes(
    consultation: Consultation,
    stratum_of: Mapping[str, int],
    strata: int,
    statements: Sequence[str],
    generator: np.random.Generator,
) -> IntArray:
    """Counts by stratum, statement and vote, of a few votes of each person, drawn at random."""
    place = {statement: at for at, statement in enumerate(statements)}
    counts = np.zeros((strata, len(statements), 3), dtype=np.int64)
    votes = consultation.votes.filter(
        pl.col(PARTICIPANT).is_in(list(stratum_of)) & pl.col("statement").is_in(statements)
    ).sort(PARTICIPANT, "statement")
    for (person,), own in votes.group_by(PARTICIPANT, maintain_order=True):
        kept = generator.permutation(own.height)[:COARSE_VOTES]
        for statement, vote in own[kept].select("statement", "vote").iter_rows():
            counts[stratum_of[str(person)], place[statement], vote + 1] += 1
    return counts
