"""How far from its start a training was allowed to go, and what that gives."""

from __future__ import annotations

from suffrage.evaluate.results import Results
from suffrage.report.cells import Cell, Table, make_table
from suffrage.report.numbers import number


def blending_table(results: Results) -> Table | None:
    """Each weight that was tried, and which one won; None where nothing was blended."""
    labels = {method.name: method.label for method in results.methods}
    rows = [
        [
            Cell(labels[own.method]),
            Cell(str(own.seed)),
            Cell(number(point.weight), "kept" if point.weight == own.weight else ""),
            Cell(number(point.fit, 3)),
            Cell("" if point.survey_fit is None else number(point.survey_fit, 3)),
            Cell(f"{number(point.behind, 3)} (±{number(point.error, 3)})" if point.behind else ""),
        ]
        for own in results.blends
        for point in own.points
    ]
    if not rows:
        return None
    columns = [
        ("Method", False),
        ("Seed", True),
        ("Weight of the trained model", True),
        ("On what was held back", True),
        ("Fit of the survey", True),
        ("Behind the best", True),
    ]
    return make_table("On what was held back from training, and is not evaluated", columns, rows)
