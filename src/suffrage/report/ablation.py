"""What each signal of a combined training adds: the complete method less one without the signal."""

from __future__ import annotations

from suffrage.evaluate.fit import NAME as FIT
from suffrage.evaluate.results import MethodFacts, Results
from suffrage.report.cells import Cell, Table, difference_cell, in_sentence, make_table
from suffrage.report.numbers import NOTHING

# The evaluation, the measure and what the column is called.
COLUMNS = (
    ("votes", "fit", "Fit of votes"),
    ("preferences", "comparisons", "Comparisons"),
    ("preferences", "reactions", "Reactions"),
    (FIT, "fit", "Fit of the survey"),
)


def ablation_tables(results: Results) -> list[Table]:
    """One table for each complete method; none where the study has no ablation."""
    wholes: dict[str, list[MethodFacts]] = {}
    for method in results.methods:
        if "without" in method.settings:
            wholes.setdefault(method.settings["without"][0], []).append(method)
    labels = {method.name: method.label for method in results.methods}
    return [_table(results, whole, labels[whole], parts) for whole, parts in wholes.items()]


def _table(results: Results, whole: str, label: str, parts: list[MethodFacts]) -> Table:
    known = [entry for entry in COLUMNS if results.figure(entry[0], entry[1], whole) is not None]
    rows = []
    for part in parts:
        cells = [Cell(str(part.settings["without"][1]).capitalize(), "against doing without")]
        for evaluation, measure, _ in known:
            found = results.difference(evaluation, measure, whole, part.name)
            if found is None:
                cells.append(Cell(NOTHING))
                continue
            shown = difference_cell(found)
            mark = found.verdict if found.verdict in ("higher", "lower") else ""
            cells.append(Cell(shown.text, shown.note, mark))
        rows.append(cells)
    columns = [("Signal", False), *((heading, True) for _, _, heading in known)]
    return make_table(f"What each signal adds to {in_sentence(label)}", columns, rows)
