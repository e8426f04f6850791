"""What people said of answers, counted: of two answers, and of one.

Derived views: the outcomes as given stay in the consultation for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from suffrage.consult.consultation import Consultation


@dataclass(frozen=True)
class CountedPair:
    """Two answers to one prompt, in the order of their ids, and the weight of what was said.

    first_wins, second_wins, ties, both_bad: sums of weights. people: who compared them.
    """

    prompt: str
    first: str
    second: str
    first_wins: float
    second_wins: float
    ties: float
    both_bad: float
    people: int

    @property
    def decided(self) -> float:
        """The weight of those who preferred one, or held both for equal."""
        return self.first_wins + self.second_wins + self.ties

    @property
    def share(self) -> float:
        """The share behind the first; a tie is half a vote for each."""
        return (self.first_wins + self.ties / 2) / self.decided


@dataclass(frozen=True)
class Liking:
    """One answer, and the weight of those who liked and disliked it. people: how many they are."""

    prompt: str
    answer: str
    likes: float
    dislikes: float
    people: int

    @property
    def share(self) -> float:
        """The share of those who like it."""
        return self.likes / (self.likes + self.dislikes)


def judged_comparisons(consultation: Consultation, people: Mapping[str, float]) -> pl.DataFrame:
    """The comparisons of these people that say something of the answers.

    Left out are those that test attention, and skipped ones. Adds `first` and `second`, the answers
    in the order of their ids, `side` (first, second, tie or both_bad), `weight`, and `pair`.
    people: weight by participant.
    """
    rows = consultation.comparisons.filter(
        pl.col("participant").is_in(list(people))
        & pl.col("check").is_null()
        & (pl.col("outcome") != "skip")
    )
    left_first = pl.col("left") < pl.col("right")
    won = pl.when(pl.col("outcome") == "left").then(left_first).otherwise(~left_first)
    decided = pl.col("outcome").is_in(["left", "right"])
    rows = rows.with_columns(
        first=pl.min_horizontal("left", "right"),
        second=pl.max_horizontal("left", "right"),
        side=pl.when(decided)
        .then(pl.when(won).then(pl.lit("first")).otherwise(pl.lit("second")))
        .otherwise(pl.col("outcome")),
    )
    return rows.join(_weights(people), on="participant", how="left").sort(
        "participant", "first", "second", "order"
    )


def _weights(people: Mapping[str, float]) -> pl.DataFrame:
    return pl.DataFrame(
        {"participant": list(people), "weight": list(people.values())},
        schema={"participant": pl.String, "weight": pl.Float64},
    )


def counted_pairs(consultation: Consultation, people: Mapping[str, float]) -> list[CountedPair]:
    """Every pair these people compared; who met one twice counts by their first answer."""
    rows = judged_comparisons(consultation, people).unique(
        ["participant", "first", "second"], keep="first", maintain_order=True
    )

    def total(side: str) -> pl.Expr:
        return pl.col("weight").filter(pl.col("side") == side).sum().alias(side)

    # Weights sum in the order of ids, so that no order of rows reaches a last digit.
    counted = (
        rows.group_by("prompt", "first", "second", maintain_order=True)
        .agg(
            pl.col("weight").filter(pl.col("side") == "first").sum().alias("first_wins"),
            pl.col("weight").filter(pl.col("side") == "second").sum().alias("second_wins"),
            total("tie"),
            total("both_bad"),
            pl.len().alias("people"),
        )
        .sort("prompt", "first", "second")
    )
    return [
        CountedPair(*row)
        for row in counted.select(
            *("prompt", "first", "second", "first_wins", "second_wins", "tie", "both_bad", "people")
        ).iter_rows()
    ]


def judged_answers(consultation: Consultation, people: Mapping[str, float]) -> pl.DataFrame:
    """What each of these people thinks of single answers: participant, answer, prompt, value, weight.

    A reaction counts as given; "both bad" dislikes both answers of a pair, where their author did
    not react to it otherwise.
    """
    given = consultation.reactions.filter(pl.col("participant").is_in(list(people))).select(
        "participant", "answer", "value"
    )
    bad = judged_comparisons(consultation, people).filter(pl.col("side") == "both_bad")
    disliked = pl.concat(
        [
            bad.select("participant", pl.col(side).alias("answer")).with_columns(
                value=pl.lit(-1, pl.Int8)
            )
            for side in ("first", "second")
        ]
    )
    both = pl.concat([given, disliked]).unique(
        ["participant", "answer"], keep="first", maintain_order=True
    )
    prompts = consultation.answers.select("answer", "prompt")
    return (
        both.join(prompts, on="answer", how="left")
        .join(_weights(people), on="participant", how="left")
        .sort("participant", "answer")
    )


def counted_likings(consultation: Consultation, people: Mapping[str, float]) -> list[Liking]:
    """Every answer these people judged by itself."""
    counted = (
        judged_answers(consultation, people)
        .group_by("prompt", "answer", maintain_order=True)
        .agg(
            pl.col("weight").filter(pl.col("value") == 1).sum().alias("likes"),
            pl.col("weight").filter(pl.col("value") == -1).sum().alias("dislikes"),
            pl.len().alias("people"),
        )
        .sort("prompt", "answer")
    )
    return [
        Liking(*row)
        for row in counted.select("prompt", "answer", "likes", "dislikes", "people").iter_rows()
    ]
