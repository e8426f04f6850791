"""Items that are not the study's, put to a model as populations that may not be the study's either."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from suffrage.arrays import FloatArray
from suffrage.evaluate.results import Measure
from suffrage.evaluate.scorecard import AS_ITSELF, EvaluationInput, ProbeInput
from suffrage.evaluate.statistics.intervals import Measured
from suffrage.models import ItemProbe, read_letters, ways_of_asking
from suffrage.survey import Item
from suffrage.training_data.overlap import overlapping

# More options than there are letters cannot be put as one question.
MOST_OPTIONS = 26
# What figures call a model that is asked as itself, where they name populations.
NOBODY = "asked as itself"
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "value_set": pl.String,
    "population": pl.String,
    "item": pl.String,
    "shares": pl.List(pl.Float64),
    "mass": pl.Float64,
    "refused": pl.Boolean,
}


@dataclass(frozen=True)
class Put:
    """One item put to a model. population: `AS_ITSELF` when no population is named in it."""

    population: str
    persona: str | None
    item: Item


def probe_items(
    given: ProbeInput, put: Sequence[Put], value_set: str | None = None
) -> pl.DataFrame:
    """What a model answers by option letters, a row an item and population (`SCHEMA`).

    value_set: whose answers these are in the study; None: the one that a model made for one value set
    answers for, else everyone's.
    """
    if value_set is None:
        value_set = given.value_sets[0].name if len(given.value_sets) == 1 else AS_ITSELF
    if not put:
        return pl.DataFrame(schema=SCHEMA)
    total = sum(len(ways_of_asking(one.item, one.persona)) for one in put)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        given.advance(done / total)

    answers = read_letters(
        given.model,
        [ItemProbe(one.item, one.persona) for one in put],
        given.scoring.lowest_mass,
        advance,
    )
    rows = [
        {
            "value_set": value_set,
            "population": one.population,
            "item": one.item.id,
            "shares": answer.shares.tolist(),
            "mass": answer.mass,
            "refused": answer.refused,
        }
        for one, answer in zip(put, answers, strict=True)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def can_be_put(item: Item) -> bool:
    """Whether there are letters enough for its options."""
    return len(item.options) <= MOST_OPTIONS


def chosen_items(items: Iterable[Item], most: int | None) -> list[Item]:
    """The items, or `most` of them, the same ones for every model and in whatever order they come.

    Their ids are hashes of their texts or names from a codebook: spread evenly through the sorted ids.
    """
    ordered = sorted(items, key=lambda item: item.id)
    if most is None or most >= len(ordered):
        return ordered
    places = (np.arange(most) * len(ordered)) // most
    return [ordered[place] for place in places]


def overlaps(given: EvaluationInput, items: Sequence[Item]) -> dict[str, str]:
    """The items that ask what any method was trained on in any seed, with the trained item's id.

    None when nothing was trained. Every method is scored without them, so that all are on the same.
    """
    if not given.trained:
        return {}
    names = {name for split in given.splits.values() for name in split.train}
    trained = {item.id: item for v in given.value_sets for item in v.items if item.id in names}
    return overlapping(items, [trained[name] for name in sorted(trained)])


def removed_note(
    given: EvaluationInput, removed: Mapping[str, str], asked: int, source: str
) -> str:
    """One sentence on what the overlap check took out."""
    if not given.trained:
        return f"Nothing was trained: all {asked} questions of {source} are scored."
    if not removed:
        return (
            f"None of the {asked} questions of {source} overlaps one that a model was trained on."
        )
    return (
        f"{len(removed)} of {asked} questions of {source} ask nearly what a model was trained on "
        f"and are left out for every method; {asked - len(removed)} remain."
    )


def refused_note(given: EvaluationInput) -> tuple[str, ...]:
    """One sentence for each method on the answers that said too little about the options."""
    found = []
    for method in given.methods:
        frames = [frame for (name, _), frame in given.probes.items() if name == method]
        asked = sum(frame.height for frame in frames)
        refused = sum(int(frame["refused"].sum()) for frame in frames)
        if refused:
            found.append(
                f"{method}: {refused} of {asked} answers put too little on the options to be read "
                "and are left out."
            )
    return tuple(found)


READ = Measure(
    name="read",
    label="Answers that could be read",
    explanation="Share of the questions put on which the model puts enough on the options. The other "
    "figures leave the rest out: a method that answers fewer is seen on easier or harder questions than "
    "another, which paired differences mend, and its floor, which is taken on the same questions.",
    better="higher",
    unit="questions",
    digits=2,
)


def read_rows(
    given: EvaluationInput, method: str, seed: int, clusters: Mapping[str, str]
) -> Iterator[Measured]:
    """1 for each answer that could be read and 0 for each that could not, for `READ`.

    clusters: of the items that are scored; answers to others do not count.
    """
    frame = given.probes[method, seed].select("population", "item", "refused")
    for population, item, refused in frame.iter_rows():
        if item in clusters:
            where = population or NOBODY
            yield Measured(seed, where, item, clusters[item], float(not refused), np.ones(1))


def read_answers(
    given: EvaluationInput, method: str, seed: int
) -> list[tuple[str, str, str, FloatArray]]:
    """What a method said: (value set, population, item, shares), refused answers left out."""
    frame = given.probes[method, seed].filter(~pl.col("refused"))
    return [
        (row["value_set"], row["population"], row["item"], np.array(row["shares"]))
        for row in frame.select("value_set", "population", "item", "shares").to_dicts()
    ]
