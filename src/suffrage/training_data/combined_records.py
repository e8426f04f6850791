"""Records of several signals in one training: votes, comparisons and reactions, by their weights.

The survey's records are mixed in afterwards, as with any records of a consultation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from suffrage.errors import InputError
from suffrage.population import ValueSet
from suffrage.training_data.from_consultation import build_comparisons, build_reactions
from suffrage.training_data.records import (
    RecordBuilder,
    RecordRow,
    Records,
    RecordSettings,
    Signal,
)
from suffrage.training_data.split import ItemSplit
from suffrage.training_data.vote_records import DISTRIBUTIONS

# The column that says which signal a record is of.
SIGNAL = "signal"
# The column of a judged answer that has another record's answer, for `kto`'s reference point.
MISMATCHED = "mismatched"
_BUILDERS = {
    "votes": DISTRIBUTIONS.build,
    "comparisons": build_comparisons,
    "reactions": build_reactions,
}


def signals_in_turn(weights: Mapping[Signal, float], count: int) -> Iterator[Signal]:
    """The signal of each record: at every point as near to the weights as whole records can be.

    Examples
    --------
    >>> list(signals_in_turn({"votes": 2.0, "reactions": 1.0}, 6))
    ['votes', 'reactions', 'votes', 'votes', 'reactions', 'votes']
    """
    whole = sum(weights.values())
    given = dict.fromkeys(weights, 0)
    for place in range(1, count + 1):
        behind = {name: weights[name] / whole * place - given[name] for name in weights}
        chosen = max(behind, key=lambda name: behind[name])
        given[chosen] += 1
        yield chosen


def build_combined(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """`count` records of the consultation's signals, in turn by `settings.signals`.

    Each signal's records are those that it would have in a training of its own. The same people
    are held back from all of them, and what is held back of each signal is asked.
    """
    if not settings.signals:
        raise InputError("combined records need signals, and none is said.")
    turn = list(signals_in_turn(settings.signals, count))
    parts: dict[Signal, list[RecordRow]] = {}
    asked: list[RecordRow] = []
    made_from: dict[str, Any] = {SIGNAL: {}}
    for name, own in zip(settings.signals, generator.spawn(len(settings.signals)), strict=True):
        wanted = replace(settings, format=settings.format if name == "votes" else "written")
        records = _BUILDERS[name](value_sets, split, turn.count(name), own, wanted)
        rows = [{"weight": 1.0, **row, SIGNAL: name} for row in records.frame.to_dicts()]
        parts[name] = [row for row in rows if not row.get("validation")]
        if name == "reactions":
            parts[name] = _with_mismatched(parts[name])
        asked += [row for row in rows if row.get("validation")]
        made_from = {**records.made_from, **made_from}
        made_from[SIGNAL][name] = len(parts[name])
    following = {name: iter(rows) for name, rows in parts.items()}
    learnt = [next(following[name]) for name in turn]
    rows = [{**row, "validation": False} for row in learnt] if asked else learnt
    rows = [{**row, "id": f"{place:06d}"} for place, row in enumerate([*rows, *asked])]
    return Records("combined", pl.DataFrame(rows, infer_schema_length=None), made_from)


def _with_mismatched(rows: Sequence[RecordRow]) -> list[RecordRow]:
    """Judged answers, each with another record's answer: a step may have one of them only."""
    others = [*rows[1:], *rows[:1]]
    return [{**row, MISMATCHED: o["answer"]} for row, o in zip(rows, others, strict=True)]


BUILDER = RecordBuilder("combined", build_combined, "combined")
