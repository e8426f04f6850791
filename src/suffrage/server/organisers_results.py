"""Results as organisers see them, as JSON that their pages read.

No participant's id is in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from suffrage.consult.group_letters import group_name
from suffrage.consult.groups.analysis import OpinionAnalysis
from suffrage.consult.groups.findings import analysis_json
from suffrage.consult.groups.opinion_groups import OUTSIDE
from suffrage.consult.groups.shown_results import group_centres
from suffrage.consult.groups.shown_shares import LEAST_OF_GROUP, LEAST_VOTERS
from suffrage.consult.people import unverified_share
from suffrage.consult.polis.conversation import Conversation
from suffrage.consult.votes import AGREE, DISAGREE, PASS
from suffrage.server.consultation_results import ConsultationResults

FORMAT = 1
STATEMENTS_EACH = 10
# Places have so many digits: enough for a drawing, too few to find a vote by.
DIGITS = 2


def organisers_results(found: ConsultationResults) -> dict[str, Any]:
    """Return groups, their stability, what they say of each statement, and where people stand.

    Only accepted statements take part. Where there are no groups yet, "waiting" says why, and only
    the counts of each statement are given. "places" are x, y and the group's number (-1 for none)
    of people, in an order that does not tell who they are; "plane" has the centre of each group.
    """
    counts = _counts(found.conversation)
    both: dict[str, Any] = {
        "format": FORMAT,
        "participants": found.people,
        "votes": found.votes,
        "unverified": unverified_share(found.content),
        "waiting": None,
        "all": counts,
    }
    analysis = found.analysis
    if analysis is None:
        error = found.waiting
        assert error is not None
        why = {"message": error.message, "values": dict(error.values)}
        return {**both, "waiting": str(error), "why": why}
    for row, by_group in zip(counts, _by_group(analysis), strict=True):
        row["groups"] = by_group
    return {
        **analysis_json(analysis, STATEMENTS_EACH),
        **both,
        "silhouette": analysis.stability.silhouette,
        "agreement": analysis.stability.agreement,
        "agreement_low": analysis.stability.agreement_low,
        "trusted": analysis.stability.trusted,
        "plane": {"centres": group_centres(analysis).tolist()},
        "places": _places(analysis),
    }


def without_few_voters(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return these results as staff see them who may not look at single votes.

    Statements with fewer than `LEAST_VOTERS` voters, or with fewer than `LEAST_OF_GROUP` of a group
    that voted on it, are left out: counts of one or two voters are their votes. So are the places
    of people: which place goes and does not come back is that of somebody who withdrew, and where
    there are few statements a place says how a person voted.
    """

    def is_told(row: Mapping[str, Any]) -> bool:
        of_groups = [group["voters"] for group in row.get("groups", [])]
        few = any(0 < voters < LEAST_OF_GROUP for voters in of_groups)
        return row["voters"] >= LEAST_VOTERS and not few

    kept = [row for row in told.get("all", []) if is_told(row)]
    ids = {row["statement"] for row in kept}
    lists = ("agrees_more", "disagrees_more")
    groups = [
        {**group, **{name: [r for r in group[name] if r["statement"] in ids] for name in lists}}
        for group in told.get("groups", [])
    ]
    without_places = {name: value for name, value in told.items() if name != "places"}
    return {**without_places, "all": kept, **({"groups": groups} if groups else {})}


def _counts(conversation: Conversation) -> list[dict[str, Any]]:
    """Each accepted statement's votes, in `id_order`."""
    accepted = {s.id: s for s in conversation.statements if s.moderated == 1 and not s.meta}
    votes = conversation.votes.only(accepted)
    kinds = {"agree": AGREE, "disagree": DISAGREE, "pass": PASS}
    counts = {name: votes.counts(vote).tolist() for name, vote in kinds.items()}
    return [
        {
            "statement": id,
            "text": accepted[id].text,
            **{name: counts[name][at] for name in kinds},
            "voters": sum(counts[name][at] for name in kinds),
        }
        for at, id in enumerate(votes.statements)
    ]


def _by_group(analysis: OpinionAnalysis) -> list[list[dict[str, Any]]]:
    reading = analysis.sample
    return [
        [
            {
                "name": group_name(analysis.groups.numbers[g]),
                "agree": None if np.isnan(reading.agree[g, j]) else float(reading.agree[g, j]),
                "low": float(reading.low[g, j]),
                "high": float(reading.high[g, j]),
                "voters": float(reading.voters[g, j]),
            }
            for g in range(analysis.groups.count)
        ]
        for j in range(len(analysis.votes.statements))
    ]


def _places(analysis: OpinionAnalysis) -> list[list[float]]:
    labels, places = analysis.groups.labels.tolist(), analysis.groups.positions.places.tolist()
    numbers = [analysis.groups.numbers[g] if g >= 0 else OUTSIDE for g in labels]
    rows = zip(places, numbers, strict=True)
    return sorted([round(x, DIGITS), round(y, DIGITS), g] for (x, y), g in rows)
