"""What the votes of a running consultation show at one moment, as JSON that pages read.

No participant's id is in it: it outlives what people take back. Everybody reads the same snapshot,
so that nobody can tell from two of them how one person voted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from suffrage.consult.consultation import Consultation, votes_of
from suffrage.consult.groups.analysis import Analysis, analyse
from suffrage.consult.groups.consensus import priority
from suffrage.consult.groups.findings import analysis_json
from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.consult.polis.conversation import Conversation, PolisStatement
from suffrage.consult.votes import AGREE, DISAGREE, PASS, id_order
from suffrage.errors import InputError

FORMAT = 1
RESAMPLES = 20
SHOWN = 10
# Places are told to so many digits: enough for a drawing, too few to find a vote by.
DIGITS = 2
_MODERATED = {"accepted": 1, "pending": 0, "flagged": 0, "rejected": -1}


def conversation_of(consultation: Consultation) -> Conversation:
    """Statements and votes as the analysis takes them; excluded participants are left out."""
    votes = votes_of(consultation)
    rows = {row["statement"]: row for row in consultation.statements.iter_rows(named=True)}
    statements = tuple(
        PolisStatement(
            id=id,
            text=rows[id]["text"],
            moderated=_MODERATED[rows[id]["state"]],
            author=rows[id]["author"],
            seed=rows[id]["seed"],
        )
        for id in sorted(rows, key=id_order)
    )
    return Conversation({"topic": consultation.title}, statements, votes)


def snapshot_of(
    consultation: Consultation,
    settings: GroupSettings | None = None,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """What is found now: groups, their stability, what they say of each statement, who stands where.

    Only accepted statements take part. "waiting" says why there are no groups yet, and then only
    the counts of each statement stand beside it. "places" are x, y and group (-1 for none) of
    people in no order that tells who they are; "plane" places anybody by their own votes.
    """
    conversation = conversation_of(consultation)
    counts = _counts(conversation)
    found: dict[str, Any] = {
        "format": FORMAT,
        "participants": int(conversation.votes.seen.any(axis=1).sum()),
        "votes": int(conversation.votes.seen.sum()),
        "waiting": None,
        "all": counts,
    }
    s = settings or GroupSettings()
    accepted = conversation.votes.only(row["statement"] for row in counts)
    needed = max(min(s.least_votes, len(counts)), 1)
    enough = int((accepted.seen.sum(axis=1) >= needed).sum())
    try:
        if enough < s.least_people:
            # Among people who have hardly voted there is nothing to find, and it would change.
            raise InputError(
                "%(enough)s people have voted on %(needed)s statements or more; %(least)s are needed",
                enough=enough,
                needed=needed,
                least=s.least_people,
            )
        analysis = analyse(conversation, s, strict=True, resamples=resamples)
    except InputError as error:
        why = {"message": error.message, "values": dict(error.values)}
        return {**found, "waiting": str(error), "why": why}
    told = analysis_json(analysis, SHOWN)
    for row, by_group in zip(counts, _by_group(analysis), strict=True):
        row["groups"] = by_group
    places = analysis.found.positions
    seen = analysis.votes.seen
    agrees = (analysis.votes.votes == AGREE).sum(axis=0).astype(np.float64)
    passes = (analysis.votes.votes == PASS).sum(axis=0).astype(np.float64)
    wanted = priority(agrees, passes, seen.sum(axis=0).astype(np.float64), _spread(analysis))
    return {
        **told,
        **found,
        "silhouette": analysis.stability.silhouette,
        "agreement": analysis.stability.agreement,
        "agreement_low": analysis.stability.agreement_low,
        "trusted": analysis.stability.trusted,
        "plane": {
            "statements": list(places.statements),
            "centre": places.centre.tolist(),
            "components": places.components.tolist(),
            "centres": _centres(analysis),
        },
        "places": _places(analysis),
        "priorities": dict(zip(analysis.votes.statements, wanted.tolist(), strict=True)),
    }


def place_of(snapshot: dict[str, Any], votes: dict[str, int]) -> tuple[float, float, int] | None:
    """Where somebody with these votes stands in a snapshot, and the group nearest to it.

    None where the snapshot has no groups, or none of the votes is on one of its statements.
    """
    plane = snapshot.get("plane")
    if not plane:
        return None
    at = {statement: j for j, statement in enumerate(plane["statements"])}
    own = [(at[s], v) for s, v in votes.items() if s in at]
    if not own:
        return None
    lift = (len(at) / len(own)) ** 0.5
    x, y = (
        lift * sum((v - plane["centre"][j]) * component[j] for j, v in own)
        for component in plane["components"]
    )
    apart = [(x - cx) ** 2 + (y - cy) ** 2 for cx, cy in plane["centres"]]
    return x, y, apart.index(min(apart))


def pair_table(consultation: Consultation) -> pl.DataFrame:
    """Comparisons of those who count: without excluded participants and attention checks."""
    kept = consultation.participants.filter(~pl.col("excluded"))["participant"]
    return consultation.comparisons.filter(
        pl.col("participant").is_in(kept.implode()) & pl.col("check").is_null()
    )


def _counts(conversation: Conversation) -> list[dict[str, Any]]:
    """Each accepted statement's votes, in `id_order`."""
    accepted = {s.id: s for s in conversation.statements if s.moderated == 1}
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


def _by_group(analysis: Analysis) -> list[list[dict[str, float | None]]]:
    reading = analysis.sample
    return [
        [
            {
                "agree": None if np.isnan(reading.agree[g, j]) else float(reading.agree[g, j]),
                "low": float(reading.low[g, j]),
                "high": float(reading.high[g, j]),
                "voters": float(reading.voters[g, j]),
            }
            for g in range(analysis.found.count)
        ]
        for j in range(len(analysis.votes.statements))
    ]


def _spread(analysis: Analysis) -> np.ndarray[Any, np.dtype[np.float64]]:
    at = dict(
        zip(analysis.found.positions.statements, analysis.found.positions.extremity, strict=True)
    )
    return np.array([at[statement] for statement in analysis.votes.statements])


def _centres(analysis: Analysis) -> list[list[float]]:
    labels, places = analysis.found.labels, analysis.found.positions.places
    return [places[labels == g].mean(axis=0).tolist() for g in range(analysis.found.count)]


def _places(analysis: Analysis) -> list[list[float]]:
    labels, places = analysis.found.labels.tolist(), analysis.found.positions.places.tolist()
    rows = zip(places, labels, strict=True)
    return sorted([round(x, DIGITS), round(y, DIGITS), int(g)] for (x, y), g in rows)
