"""Results as participants see them: the same for everybody, and nothing of a few people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suffrage.consult.consultation import Consultation
from suffrage.consult.groups.analysis import OpinionAnalysis
from suffrage.consult.groups.shown_results import group_centres, shown_results

# What nobody is shown: what the draw of statements and the place of a reader are worked out from,
# and how the next step is made.
PRIVATE = (
    *("extremity", "plane", "counted_from", "withdrawn", "left_out", "overtaken", "read"),
    *("touched", "held", "of_groups"),
)
DIGITS = 5


def participants_results(content: Consultation, analysis: OpinionAnalysis) -> dict[str, Any]:
    """Return the results that are shown, with the `PRIVATE` parts."""
    positions = analysis.groups.positions
    extremity = zip(positions.statements, positions.extremity, strict=True)
    return {
        **shown_results(content, analysis),
        "extremity": {id: round(float(e), 4) for id, e in extremity},
        "plane": {
            "statements": list(positions.statements),
            "centre": [round(float(x), DIGITS) for x in positions.centre],
            "components": [[round(float(x), DIGITS) for x in row] for row in positions.components],
            "centres": [[round(float(x), DIGITS) for x in row] for row in group_centres(analysis)],
        },
    }


def public_part(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return results without the `PRIVATE` parts."""
    return {key: value for key, value in results.items() if key not in PRIVATE}
