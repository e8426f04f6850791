"""What anybody may see of a consultation: the finding, the groups, and how people voted.

Participants' pages, files for other programs and the report outside the server are made of it.
Statements with few voters are left out, and so are the shares of groups with few voters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from suffrage.arrays import BoolArray, FloatArray
from suffrage.consult.consultation import Consultation
from suffrage.consult.group_letters import COLOURS, group_name
from suffrage.consult.groups.analysis import OpinionAnalysis
from suffrage.consult.groups.consensus import MAJORITY
from suffrage.consult.groups.findings import LEAST_GAP
from suffrage.consult.groups.shown_shares import StatementShares, shown_shares
from suffrage.population.distributions import share_intervals

FORMAT = 2
STATEMENTS_EACH = 5
# Groups differ on a statement where the shares who agree differ by more.
LEAST_SPLIT = 0.3


def shown_results(content: Consultation, analysis: OpinionAnalysis) -> dict[str, Any]:
    """Return the results as values that JSON can hold.

    "all" has the shares of every statement that may be shown, most voters first. The other lists
    have ids of statements, the clearest first: "most_agree" and "most_disagree" of everybody,
    "agree" and "disagree" of every group, "divided" where groups differ most, and for each group
    what sets it apart.
    """
    a, d = analysis, analysis.differences
    shares = shown_shares(content, a)
    ranked = _Ranking(a, shares)
    agrees, agrees_low = _of_everybody(a, agree=True)
    disagrees, disagrees_low = _of_everybody(a, agree=False)
    split = a.sample.agree.max(axis=0) - a.sample.agree.min(axis=0)
    compared = np.array([all(x is not None for x in row.groups) for row in shares], dtype=bool)
    centres = group_centres(a)
    return {
        "format": FORMAT,
        "people": int(a.votes.seen.any(axis=1).sum()),
        "verified": _verified(content, a),
        "votes": int(a.votes.seen.sum()),
        "statements": len(a.votes.statements),
        "in_groups": int((a.groups.labels >= 0).sum()),
        "verdict": a.stability.verdict,
        "agreement": round(float(a.stability.agreement), 3),
        "groups": [
            {
                "number": number,
                "name": group_name(number),
                "colour": number % COLOURS,
                "people": int(a.groups.sizes[g]),
                "place": [round(float(x), 3) for x in centres[g]],
                "agrees_more": ranked.first(
                    d.agrees_more[g], d.clear_agree[g] & (d.agrees_more[g] >= LEAST_GAP)
                ),
                "disagrees_more": ranked.first(
                    d.disagrees_more[g], d.clear_disagree[g] & (d.disagrees_more[g] >= LEAST_GAP)
                ),
            }
            for g, number in enumerate(a.groups.numbers)
        ],
        "most_agree": ranked.first(agrees, agrees_low > MAJORITY),
        "most_disagree": ranked.first(disagrees, disagrees_low > MAJORITY),
        "agree": ranked.first(a.sample.consensus, a.sample.sure),
        "disagree": ranked.first(a.sample.against, a.sample.sure_against),
        "divided": ranked.first(
            np.where(compared, split, -1), compared & (np.nan_to_num(split) > LEAST_SPLIT)
        ),
        "all": _all(content, a, shares),
    }


def group_centres(analysis: OpinionAnalysis) -> FloatArray:
    """Return the mean place of each group's people, (groups, 2)."""
    labels, places = analysis.groups.labels, analysis.groups.positions.places
    return np.array([places[labels == g].mean(axis=0) for g in range(analysis.groups.count)])


class _Ranking:
    """Puts the statements that may be shown in order."""

    def __init__(self, analysis: OpinionAnalysis, shares: list[StatementShares]) -> None:
        self._statements = analysis.votes.statements
        self._shown = np.array([row.everybody is not None for row in shares], dtype=bool)

    def first(self, score: npt.ArrayLike, keep: BoolArray) -> list[str]:
        """Return the ids of the first of those to keep, the highest score first."""
        order = np.argsort(-np.asarray(score), kind="stable")
        kept = [int(j) for j in order if keep[j] and self._shown[j]]
        return [self._statements[j] for j in kept[:STATEMENTS_EACH]]


def _of_everybody(a: OpinionAnalysis, agree: bool) -> tuple[FloatArray, FloatArray]:
    """The share of all voters who agree or disagree, with the lower end of its 95% interval."""
    seen = a.votes.seen.sum(axis=0).astype(np.float64)
    count = ((a.votes.votes == (1 if agree else -1)) & a.votes.seen).sum(axis=0)
    share = np.divide(count, seen, out=np.zeros_like(seen), where=seen > 0)
    low, _ = share_intervals(share, np.zeros_like(share), np.maximum(seen, 1))
    return share, np.where(seen > 0, low, 0)


def _verified(content: Consultation, a: OpinionAnalysis) -> int:
    """How many of those who voted came by an invitation."""
    voted = np.flatnonzero(a.votes.seen.any(axis=1))
    people = [a.votes.participants[at] for at in voted]
    rows = content.participants.filter(
        pl.col("participant").is_in(people) & pl.col("verified").fill_null(False)
    )
    return rows.height


def _all(
    content: Consultation, a: OpinionAnalysis, shares: list[StatementShares]
) -> list[dict[str, Any]]:
    columns = content.statements.select("statement", "text", "language", "seed")
    known = {row[0]: row for row in columns.iter_rows()}
    rows = [
        {
            "id": id,
            "text": known[id][1],
            "language": known[id][2],
            "by_organisers": known[id][3],
            "everybody": row.everybody.as_json(),
            "groups": [one.as_json() if one else None for one in row.groups],
        }
        for id, row in zip(a.votes.statements, shares, strict=True)
        if row.everybody is not None
    ]
    return sorted(rows, key=lambda row: -row["everybody"]["voters"])
