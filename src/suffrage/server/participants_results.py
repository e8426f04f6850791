"""Results as participants see them: computed apart from the votes, in steps, the same for everybody.

A new snapshot is due when five more people have voted than the last one counted (`batch`), so that two
snapshots never differ by one person's votes. Nothing is told of a statement with few voters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from suffrage import __version__
from suffrage.consult.consultation import Consultation
from suffrage.consult.polis.conversation import conversation_of
from suffrage.server.store import acts
from suffrage.server.store import contents as tables
from suffrage.server.store import participants_results_table as snapshots
from suffrage.server.store.consultations import About
from suffrage.server.store.database import Store
from suffrage.server.store.participants_results_table import Snapshot

# Fewer voters on a statement, or of one group on it, are not told.
LEAST_VOTERS = 10
LEAST_OF_GROUP = 5
RESAMPLES = 20
TOLD = 5
LEAST_GAP = 0.1


def is_due(store: Store, what: About) -> bool:
    """Whether enough people have voted, and enough more than the last snapshot counted."""
    people, _ = snapshots.voters(store, what.id)
    if people < what.settings.least_people:
        return False
    last = snapshots.newest(store, what.id)
    return last is None or abs(people - last.people) >= what.settings.batch


def refresh(store: Store, what: About) -> Snapshot | None:
    """Compute and store the next snapshot if it is due."""
    if not is_due(store, what):
        return None
    event = acts.last_event(store, what.id)
    content = tables.to_consultation(store, what.slug)
    people = content.votes.filter(
        ~content.votes["participant"].is_in(
            content.participants.filter(content.participants["excluded"])["participant"].implode()
        )
    )
    result = compute(content)
    return snapshots.save(
        store,
        what.id,
        event,
        people["participant"].n_unique(),
        people.height,
        result.pop("settings"),
        __version__,
        result,
    )


def compute(content: Consultation, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Groups, what sets each apart and what all agree on; private parts under "labels"."""
    from suffrage.consult.groups.analysis import analyse

    a = analyse(conversation_of(content), strict=True, resamples=resamples)
    texts = {
        row["statement"]: (row["text"], row["language"])
        for row in content.statements.iter_rows(named=True)
    }
    ids = a.votes.statements
    voters = a.votes.seen.sum(axis=0)
    centres = np.array(
        [a.found.positions.places[a.found.labels == g].mean(axis=0) for g in range(a.found.count)]
    )

    def about(j: int) -> dict[str, Any]:
        shares = []
        for g in range(a.found.count):
            of = float(a.sample.voters[g, j])
            few = of < LEAST_OF_GROUP
            shares.append(
                None
                if few
                else {
                    "agree": round(float(a.sample.agree[g, j]), 3),
                    "low": round(float(a.sample.low[g, j]), 3),
                    "high": round(float(a.sample.high[g, j]), 3),
                }
            )
        text, language = texts[ids[j]]
        return {"id": ids[j], "text": text, "language": language, "groups": shares}

    def ranked(score: Any, keep: Any) -> list[dict[str, Any]]:
        order = np.argsort(-np.asarray(score), kind="stable")
        kept = [int(j) for j in order if keep[j] and voters[j] >= LEAST_VOTERS]
        return [about(j) for j in kept[:TOLD]]

    d = a.differences
    groups = [
        {
            "people": int(a.found.sizes[g]),
            "place": [round(float(x), 3) for x in centres[g]],
            "agrees_more": ranked(
                d.agrees_more[g], d.clear_agree[g] & (d.agrees_more[g] >= LEAST_GAP)
            ),
            "disagrees_more": ranked(
                d.disagrees_more[g], d.clear_disagree[g] & (d.disagrees_more[g] >= LEAST_GAP)
            ),
        }
        for g in range(a.found.count)
    ]
    split = a.sample.agree.max(axis=0) - a.sample.agree.min(axis=0)
    shown = a.sample.voters.min(axis=0) >= LEAST_OF_GROUP
    return {
        "people": int((a.found.labels >= 0).sum()),
        "statements": len(ids),
        "stable": bool(a.stability.trusted),
        "agreement": round(float(a.stability.agreement), 3),
        "groups": groups,
        "agree": ranked(a.sample.consensus, a.sample.lowest > 0.5),
        "disagree": ranked(a.sample.against, a.sample.lowest_against > 0.5),
        "divided": ranked(np.where(shown, split, -1), shown & (split > 0.3)),
        "settings": asdict(a.found.settings) | {"resamples": resamples},
        "extremity": {
            id: round(float(e), 4)
            for id, e in zip(a.found.positions.statements, a.found.positions.extremity, strict=True)
        },
        "labels": a.found.by_participant(),
    }


def public(result: Mapping[str, Any]) -> dict[str, Any]:
    """A snapshot's result without what is told to nobody: whose group is which."""
    return {key: value for key, value in result.items() if key not in ("labels", "extremity")}
