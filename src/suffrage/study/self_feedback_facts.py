"""What checkpoints hold of a model's feedback on itself, for the results."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from suffrage import storage
from suffrage.align.cai import CONSTITUTION, CRITIQUES, FEEDBACK, JUDGEMENTS
from suffrage.evaluate.results import Exchange, JudgedPair, PrincipleFacts, SelfFeedback

SHOWN = 4
_Row = TypeVar("_Row")


def self_feedback(folder: Path, method: str, seed: int, group: str) -> SelfFeedback | None:
    """What one checkpoint kept of its critiques and judgements, None when it has none."""
    if not (folder / CRITIQUES).is_file():
        return None
    facts = storage.read_json(folder / FEEDBACK)
    critiques = _rows(folder / CRITIQUES)
    judgements = _rows(folder / JUDGEMENTS) if (folder / JUDGEMENTS).is_file() else []
    criticised = Counter(
        (row["value_set"], p["id"]) for row in critiques for p in row["principles"]
    )
    judged = Counter((row["value_set"], row["principle"]["id"]) for row in judgements)
    return SelfFeedback(
        method=method,
        seed=seed,
        group=group,
        principles=[
            PrincipleFacts(
                id=one["id"],
                value_set=name,
                text=one["text"],
                support=one["support"],
                group_support=one["group_support"],
                sources=one["sources"],
                critiques=_times(criticised, name, one["id"]),
                judgements=_times(judged, name, one["id"]),
            )
            for name, constitution in storage.read_json(folder / CONSTITUTION)[
                "constitutions"
            ].items()
            for one in constitution["principles"]
        ],
        drafts=facts["drafts"],
        critiques=facts["critiques"],
        revisions=facts["revisions"],
        revisions_trained_on=facts["revisions_trained_on"],
        judgements=facts["judgements"],
        # Checkpoints from before there was a check say nothing of it.
        judge_check=facts.get("judge_check"),
        exchanges=[
            Exchange(
                question=row["user"],
                draft=row["draft"],
                principle=row["principles"][0]["text"],
                critique=row["critiques"][0],
                revision=row["revisions"][0],
                outcome=row["outcome"],
            )
            for row in spread(critiques, SHOWN)
        ],
        verdicts=[
            JudgedPair(
                question=row["user"],
                principle=row["principle"]["text"],
                chosen=row["chosen"],
                rejected=row["rejected"],
                share=row["share"],
                a_first=row["a_first"],
                a_second=row["a_second"],
                outcome=row["outcome"],
            )
            for row in spread(judgements, SHOWN)
        ],
    )


def spread(rows: Sequence[_Row], count: int) -> list[_Row]:
    """`count` rows at even steps through all of them: chosen by place, not by how they read."""
    step = max(1.0, len(rows) / count)
    return [rows[int(place * step)] for place in range(min(count, len(rows)))]


def _times(found: Counter[tuple[str, str]], value_set: str, principle: str) -> int:
    """How often a principle was used; one constitution for all counts over every value set."""
    return sum(
        number
        for (name, used), number in found.items()
        if used == principle and value_set in ("all", name)
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for _, line in storage.json_lines(path.read_text(encoding="utf-8"))]
