"""What people said of answers, counted for pairs of answers and for single answers.

These are derived views: the outcomes as people gave them stay in the consultation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from suffrage.consult.consultation import Consultation


@dataclass(frozen=True)
class CountedPair:
    """Two answers to one prompt, and what people said of them."""

    prompt: str
    # The answers, in the order of their ids.
    first: str
    second: str
    # Sums of the weights of those who said so.
    first_wins: float
    second_wins: float
    ties: float
    both_bad: float
    # How many people compared the two.
    people: int

    @property
    def decided(self) -> float:
        """The weight of those who preferred one answer or found both equally good."""
        return self.first_wins + self.second_wins + self.ties

    @property
    def share(self) -> float:
        """The share that prefers the first; a tie is half a vote for each."""
        return (self.first_wins + self.ties / 2) / self.decided


@dataclass(frozen=True)
class Liking:
    """One answer, and what people said of it."""

    prompt: str
    answer: str
    # Sums of weights.
    likes: float
    dislikes: float
    # How many people judged it.
    people: int

    @property
    def share(self) -> float:
        """The share of those who like it."""
        return self.likes / (self.likes + self.dislikes)


def judged_comparisons(consultation: Consultation, people: Mapping[str, float]) -> pl.DataFrame:
    """Return the comparisons of these people that say something of the answers.

    Comparisons that test attention and skipped ones are left out.

    Parameters
    ----------
    consultation : Consultation
    people : mapping
        Weight by participant.

    Returns
    -------
    DataFrame
        The columns of the comparisons, `first` and `second` (the answers in the order of their
        ids), `side` (first, second, tie or both_bad), and `weight`.
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
    """Count every pair that these people compared.

    Somebody who met a pair twice counts by their first answer.
    """
    rows = judged_comparisons(consultation, people).unique(
        ["participant", "first", "second"], keep="first", maintain_order=True
    )

    def total(side: str) -> pl.Expr:
        return pl.col("weight").filter(pl.col("side") == side).sum().alias(side)

    # Weights are summed in the order of ids, so that the order of rows changes no digit.
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
    """Return what each of these people thinks of single answers.

    A reaction counts as it was given. "Both bad" dislikes both answers of a pair, unless the same
    person reacted to the answer otherwise.

    Returns
    -------
    DataFrame
        Columns participant, answer, prompt, value (1 or -1) and weight.
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
    """Count every answer that these people judged by itself."""
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
