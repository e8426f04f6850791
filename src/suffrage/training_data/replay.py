"""Survey records mixed in among a consultation's, so that what a survey taught is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from suffrage.training_data.general import GENERAL, rows_by_step
from suffrage.training_data.records import Format, RecordRow, Records

# The format of a survey record that is mixed in, by the format it has among the survey's own.
REPLAYED: dict[Format, str] = {"option": "replay", "written": "replay_written"}
# Formats of records that are not the method's own.
MIXED_IN = frozenset({GENERAL, *REPLAYED.values()})


def is_replay(row: RecordRow) -> bool:
    """Whether a record is one of the survey's, mixed in among others."""
    return row["format"] in REPLAYED.values()


def own_records(rows: Sequence[RecordRow]) -> list[RecordRow]:
    """A method's own records, without what is mixed in among them."""
    return [row for row in rows if row["format"] not in MIXED_IN]


def replay_count(own: int, share: float) -> int:
    """How many survey records make up a share of a step with so many other records.

    Examples
    --------
    >>> replay_count(3, 0.75)
    9
    """
    return round(own * share / (1 - share))


def with_replay(
    records: Records, survey: Records, size: int, share: float, per_step: int | None = None
) -> Records:
    """The records with survey records behind those of each step, in turn.

    Parameters
    ----------
    records : Records
    survey : Records
        Distribution records of the survey. What they hold back is asked next to what `records`
        hold back, with a mark (`guard`), and is not trained on.
    size : int
        Records a step, where the records do not say which step they are of.
    share : float
        Of each step's records, 0 to below 1.
    per_step : int, optional
        How many survey records each step gets; by default as many as are nearest to the share.
    """
    learnt = [row for row in survey.frame.to_dicts() if not row.get("validation")]
    turn = _in_turn(learnt)
    rows: list[RecordRow] = []
    replayed = 0
    for step, own in enumerate(rows_by_step(records.frame.to_dicts(), size)):
        rows += own
        wanted = replay_count(len(own), share) if per_step is None else per_step
        for _ in range(wanted):
            known = next(turn)
            place = {"step": step, "way": -1_000_000 - replayed} if "way" in own[0] else {}
            marked = {"id": f"replay-{replayed:06d}", "format": REPLAYED[known["format"]]}
            rows.append({**known, **marked, **place, "validation": False})
            replayed += 1
    asked = [row for row in records.frame.to_dicts() if row.get("validation")]
    rows += [{**row, "guard": False} for row in asked]
    if asked:
        guards = [row for row in survey.frame.to_dicts() if row.get("validation")]
        rows += [{**row, "id": f"guard-{row['id']}", "guard": True} for row in guards]
    made_from = {
        **records.made_from,
        "replay": {"share": share, "records": replayed},
        **({"validation": survey.made_from["validation"]} if asked else {}),
    }
    return Records(records.kind, pl.DataFrame(rows, infer_schema_length=None), made_from)


def _in_turn(rows: Sequence[RecordRow]) -> Iterator[RecordRow]:
    while True:
        yield from rows
