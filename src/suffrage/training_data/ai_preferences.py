"""Preference records of a judge that is a model: two answers, and how probably the first is better.

What they teach: which answer keeps closer to a principle, as far as the judge can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from suffrage.models.asking import Message
from suffrage.training_data.critiques import READABLE, outcome
from suffrage.training_data.records import Records

JudgementOutcome = Literal["ok", "same", "unreadable", "off_format"]
JUDGEMENT_OUTCOMES: tuple[JudgementOutcome, ...] = ("ok", "same", "unreadable", "off_format")


@dataclass(frozen=True)
class Judgement:
    """Two answers judged in both orders.

    Examples
    --------
    A judge that always says "A" knows nothing of the answers:

    >>> Judgement(a_first=0.75, a_second=0.75, mass=1.0).first_better
    0.5
    """

    # The probability of "A" over "A" and "B" when the first answer is A, 0 to 1.
    a_first: float
    # The same when the second answer is A.
    a_second: float
    # The probability of both letters together, in the order where it is smaller.
    mass: float

    @property
    def first_better(self) -> float:
        """The probability that the first answer is better: the mean over both orders.

        What a judge says only because of the letter cancels: always "A" gives 1/2.
        """
        return (self.a_first + 1 - self.a_second) / 2

    @property
    def lean_to_a(self) -> float:
        """How much of "A" the order alone explains: 0 none, 0.5 always "A", -0.5 always "B"."""
        return (self.a_first + self.a_second) / 2 - 0.5

    @property
    def same_both_ways(self) -> bool:
        """Whether both orders name the same answer."""
        return (self.a_first > 0.5) == (self.a_second < 0.5)


def judge_messages(user: str, first: str, second: str, principle: str) -> list[Message]:
    """The question to the judge; the answer is one letter."""
    text = (
        f"Somebody was asked:\n\n{user}\n\nHere are two answers.\n\nA. {first}\n\nB. {second}\n\n"
        f"Which of them keeps better to this principle?\n\n{principle}\n\n"
        "Answer with the letter A or B."
    )
    return [{"role": "user", "content": text}]


def judgement_outcome(
    first: str, second: str, judgement: Judgement, lowest_mass: float
) -> JudgementOutcome:
    """What a judged pair is worth.

    Returns
    -------
    str
        "unreadable" where one of the answers is no readable one; "same" where they are the same;
        "off_format" where the judge puts less than `lowest_mass` on the letters; or "ok".
    """
    if not {outcome(first), outcome(second)} <= set(READABLE):
        return "unreadable"
    if " ".join(first.split()) == " ".join(second.split()):
        return "same"
    return "ok" if judgement.mass >= lowest_mass else "off_format"


def ai_preference_records(
    prompts: Records,
    answers: Sequence[tuple[str, str]],
    judgements: Sequence[Judgement],
    lowest_mass: float,
    generator: np.random.Generator,
) -> Records:
    """The pairs with the judge's probability as soft label, nothing left out.

    Chosen is the side with the larger probability, so that `share` is 0.5 or more. `completion` is
    one of the two, drawn by it.
    """
    rows = []
    for row, (first, second), judged in zip(
        prompts.frame.to_dicts(), answers, judgements, strict=True
    ):
        p = judged.first_better
        chosen, rejected = (first, second) if p >= 0.5 else (second, first)
        share = max(p, 1 - p)
        rows.append(
            {
                **{key: row[key] for key in ("id", "value_set", "item", "user", "format")},
                "principle": row["judged_by"],
                "chosen": chosen,
                "rejected": rejected,
                "share": share,
                "weight": 1.0,
                "completion": chosen if generator.random() < share else rejected,
                "a_first": judged.a_first,
                "a_second": judged.a_second,
                "mass": judged.mass,
                "outcome": judgement_outcome(first, second, judged, lowest_mass),
            }
        )
    return Records("ai_preference", pl.DataFrame(rows), dict(prompts.made_from))


def pairs_to_train_on(records: Records, keep: Literal["readable", "all"]) -> list[dict[str, Any]]:
    """The pairs that may be learnt. Two equal answers teach nothing and are never among them."""
    return [
        row
        for row in records.frame.to_dicts()
        if row["outcome"] == "ok" or (keep == "all" and row["outcome"] != "same")
    ]


def as_binary(pairs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each pair as two binary rows: its answers, desirable by the judge's probability."""
    return [
        {
            **{key: pair[key] for key in ("id", "value_set", "item", "user", "format")},
            "answer": pair[side],
            "desirable": pair["share"] if side == "chosen" else 1 - pair["share"],
            "weight": pair["weight"],
            "answers": [pair["chosen"], pair["rejected"]],
        }
        for pair in pairs
        for side in ("chosen", "rejected")
    ]


def judge_reliability(records: Records) -> dict[str, float]:
    """How far the judge can be relied on, over pairs of two different answers.

    Returns
    -------
    dict
        lean_to_a: see `Judgement`, -0.5 to 0.5. same_both_ways: the share of pairs on which both
        orders agree. sureness: the mean of the larger probability; 0.5 is a guess. mass: on the
        letters. Empty without such pairs.
    """
    rows = [row for row in records.frame.to_dicts() if row["outcome"] != "same"]
    if not rows:
        return {}
    judged = [Judgement(row["a_first"], row["a_second"], row["mass"]) for row in rows]
    return {
        "lean_to_a": float(np.mean([j.lean_to_a for j in judged])),
        "same_both_ways": float(np.mean([j.same_both_ways for j in judged])),
        "sureness": float(np.mean([row["share"] for row in rows])),
        "mass": float(np.mean([j.mass for j in judged])),
    }
