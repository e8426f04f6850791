"""What an analysis found, as plain values: the groups, what sets each apart, what all agree on.

Terminals, organisers' pages and participants' pages show the same values.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from suffrage.arrays import BoolArray, FloatArray
from suffrage.consult.group_letters import group_name
from suffrage.consult.groups.analysis import OpinionAnalysis
from suffrage.consult.groups.consensus import MAJORITY
from suffrage.consult.groups.stability import ConsensusReading

STATEMENTS = 5
# A group stands out where it agrees by this much more, and the difference is beyond chance.
LEAST_GAP = 0.1


def analysis_json(a: OpinionAnalysis, count: int = STATEMENTS) -> dict[str, Any]:
    """Return the analysis as values that JSON can hold; lists have at most `count` statements."""
    found = a.groups
    return {
        "about": dict(a.conversation.about),
        "participants": len(a.votes.participants),
        "in_groups": int((found.labels >= 0).sum()),
        "statements": len(a.votes.statements),
        "settings": asdict(found.settings),
        "resamples": a.resamples,
        "explained": found.positions.explained.tolist(),
        "verdict": a.stability.verdict,
        "tried": [
            {**asdict(row), "trusted": row.trusted, "verdict": row.verdict} for row in a.tried
        ],
        "exported_agreement": a.exported_agreement,
        "groups": [
            {
                "name": group_name(found.numbers[g]),
                "number": found.numbers[g],
                "size": int(found.sizes[g]),
                "share": float(a.sample.sizes[g]),
                "population_share": float(a.population.sizes[g]) if a.population else None,
                "overlap": a.stability.overlap[g],
                "agrees_more": _marks(a, g, agrees=True)[:count],
                "disagrees_more": _marks(a, g, agrees=False)[:count],
            }
            for g in range(found.count)
        ],
        "consensus": _of_all(a, a.sample.consensus, a.sample.sure)[:count],
        "consensus_against": _of_all(a, a.sample.against, a.sample.sure_against)[:count],
        "consensus_uncertain": _of_all(
            a, a.sample.consensus, ~a.sample.sure & (a.sample.lowest > MAJORITY)
        ),
        "representativeness": asdict(a.representativeness) if a.representativeness else None,
    }


def _order(score: FloatArray) -> list[int]:
    return [int(j) for j in np.argsort(-score, kind="stable")]


def _text(a: OpinionAnalysis, j: int) -> dict[str, str]:
    texts = {s.id: s.text for s in a.conversation.statements}
    statement = a.votes.statements[j]
    return {"statement": statement, "text": texts[statement]}


def _shares(a: OpinionAnalysis, reading: ConsensusReading, j: int) -> list[dict[str, Any]]:
    """Each group's share who agree, with its interval; None where nobody voted."""
    return [
        {
            "name": group_name(a.groups.numbers[g]),
            "agree": None if np.isnan(reading.agree[g, j]) else float(reading.agree[g, j]),
            "low": float(reading.low[g, j]),
            "high": float(reading.high[g, j]),
            "voters": float(reading.voters[g, j]),
        }
        for g in range(reading.agree.shape[0])
    ]


def _of_all(a: OpinionAnalysis, score: FloatArray, keep: BoolArray) -> list[dict[str, Any]]:
    """The statements to keep, the highest score first."""
    return [_consensus(a, j) for j in _order(score) if keep[j]]


def _consensus(a: OpinionAnalysis, j: int) -> dict[str, Any]:
    def as_values(reading: ConsensusReading) -> dict[str, Any]:
        return {
            "consensus": float(reading.consensus[j]),
            "low": float(reading.consensus_low[j]),
            "high": float(reading.consensus_high[j]),
            "against": float(reading.against[j]),
            "root": float(reading.root[j]),
            "lowest_share": float(reading.lowest[j]),
            "groups": _shares(a, reading, j),
        }

    population = as_values(a.population) if a.population else None
    return {**_text(a, j), "sample": as_values(a.sample), "population": population}


def _marks(a: OpinionAnalysis, group: int, agrees: bool) -> list[dict[str, Any]]:
    """Statements a group agrees (disagrees) with more than the others do, beyond chance."""
    d = a.differences
    gap, clear, p = (
        (d.agrees_more, d.clear_agree, d.p_agree)
        if agrees
        else (d.disagrees_more, d.clear_disagree, d.p_disagree)
    )
    return [
        {
            **_text(a, j),
            "more_than_others": float(gap[group, j]),
            "p_value": float(p[group, j]),
            "groups": _shares(a, a.sample, j),
        }
        for j in _order(gap[group])
        if clear[group, j] and gap[group, j] >= LEAST_GAP
    ]
