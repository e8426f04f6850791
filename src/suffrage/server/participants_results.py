"""Results as participants see them: the same for everybody, and nothing of a few people.

Statements with few voters are left out, and so are the shares of groups with few voters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from suffrage.arrays import BoolArray
from suffrage.consult.consultation import Consultation
from suffrage.consult.groups.analysis import OpinionAnalysis
from suffrage.server.consultation_results import group_centres

# The least voters on a statement, and of one group on it, for it to be shown.
LEAST_VOTERS = 10
LEAST_OF_GROUP = 5
STATEMENTS_EACH = 5
LEAST_GAP = 0.1
LEAST_SPLIT = 0.3
# What nobody is shown: which group somebody is in, and what the draw of statements needs.
PRIVATE = ("labels", "extremity")


def participants_results(content: Consultation, analysis: OpinionAnalysis) -> dict[str, Any]:
    """Return groups, what sets each apart and what all agree on, with the `PRIVATE` parts."""
    a, d = analysis, analysis.differences
    told = _Statements(content, analysis)
    centres = group_centres(a)
    groups = [
        {
            "people": int(a.groups.sizes[g]),
            "place": [round(float(x), 3) for x in centres[g]],
            "agrees_more": told.ranked(
                d.agrees_more[g], d.clear_agree[g] & (d.agrees_more[g] >= LEAST_GAP)
            ),
            "disagrees_more": told.ranked(
                d.disagrees_more[g], d.clear_disagree[g] & (d.disagrees_more[g] >= LEAST_GAP)
            ),
        }
        for g in range(a.groups.count)
    ]
    split = a.sample.agree.max(axis=0) - a.sample.agree.min(axis=0)
    shown = a.sample.voters.min(axis=0) >= LEAST_OF_GROUP
    positions = a.groups.positions
    extremity = zip(positions.statements, positions.extremity, strict=True)
    return {
        "people": int((a.groups.labels >= 0).sum()),
        "statements": len(a.votes.statements),
        "stable": bool(a.stability.trusted),
        "spectrum": a.stability.verdict == "spectrum",
        "agreement": round(float(a.stability.agreement), 3),
        "groups": groups,
        "agree": told.ranked(a.sample.consensus, a.sample.sure),
        "disagree": told.ranked(a.sample.against, a.sample.sure_against),
        "divided": told.ranked(np.where(shown, split, -1), shown & (split > LEAST_SPLIT)),
        "extremity": {id: round(float(e), 4) for id, e in extremity},
        "labels": a.groups.by_participant(),
    }


def public_part(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return results without the `PRIVATE` parts."""
    return {key: value for key, value in results.items() if key not in PRIVATE}


class _Statements:
    """What each statement shows, and which may be shown."""

    def __init__(self, content: Consultation, analysis: OpinionAnalysis) -> None:
        columns = content.statements.select("statement", "text", "language")
        self._texts = {id: (text, language) for id, text, language in columns.iter_rows()}
        self._analysis = analysis
        self._voters = analysis.votes.seen.sum(axis=0)

    def ranked(self, score: npt.ArrayLike, keep: BoolArray) -> list[dict[str, Any]]:
        """Return those to keep that have enough voters, the highest score first."""
        order = np.argsort(-np.asarray(score), kind="stable")
        kept = [int(j) for j in order if keep[j] and self._voters[j] >= LEAST_VOTERS]
        return [self._told(j) for j in kept[:STATEMENTS_EACH]]

    def _told(self, j: int) -> dict[str, Any]:
        id, sample = self._analysis.votes.statements[j], self._analysis.sample
        text, language = self._texts[id]
        shares = [
            {
                name: round(float(getattr(sample, name)[g, j]), 3)
                for name in ("agree", "low", "high")
            }
            if sample.voters[g, j] >= LEAST_OF_GROUP
            else None
            for g in range(self._analysis.groups.count)
        ]
        return {"id": id, "text": text, "language": language, "groups": shares}
