"""What terminals show of predictions on record, next to the votes that came."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from suffrage.evaluate.asking.voting_groups import AVERAGE, EVEN
from suffrage.evaluate.recorded_predictions import PredictionScore
from suffrage.evaluate.results import ALL
from suffrage.plain_table import PlainTable
from suffrage.plurals import plural
from suffrage.report.numbers import WithInterval, with_interval
from suffrage.report.vote_panels import PREDICTION_COLUMNS


def predictions_text(
    found: PredictionScore, groups: Sequence[str], votes_before: int | None
) -> RenderableType:
    """A row for each group: fit and agreement of the predictions, and of the floors.

    votes_before: the votes cast when the audit log got the hash; None where no log was read.
    """
    if votes_before is None:
        record = f"Hash {found.hash}. Name the audit log with --audit to see that it is on record."
    else:
        record = (
            f"The audit log contains the hash {found.hash}; {plural(votes_before, 'vote')} had "
            "been "
            "cast by then."
        )
    table = PlainTable("Group", *(heading for heading, _, _ in PREDICTION_COLUMNS))
    at = {(f.measure, f.method, f.value_set): f for f in found.figures if f.seed == ALL}
    shown = list(groups) if len(groups) == 1 else [*groups, ALL]
    for group in shown:
        place = ALL if len(groups) == 1 else group
        table.add_row(
            group,
            *(
                _shown(at.get((measure, method, place)))
                for _, measure, method in PREDICTION_COLUMNS
            ),
        )
    lines = [record, f"{plural(found.statements, 'statement')} could be compared."]
    for floor in (EVEN, AVERAGE):
        gap = found.gap(floor)
        if gap is not None:
            lines.append(f"Fit of the predictions minus that of the {floor}: {_shown(gap)}.")
    return Group(table, *(Text(line) for line in lines))


def _shown(row: WithInterval | None) -> str:
    return with_interval(row, 3)
