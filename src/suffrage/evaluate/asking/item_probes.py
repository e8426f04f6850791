"""Questions from outside the study, and the answers a model gives to them as some population."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.evaluate.results import Measure
from suffrage.evaluate.scorecard import AS_ITSELF, EvaluationInput, ProbeInput
from suffrage.evaluate.statistics.common_cells import wholly_answered
from suffrage.evaluate.statistics.intervals import Measured
from suffrage.models import ItemProbe, read_letters
from suffrage.models.asking import Persona
from suffrage.plurals import by_count, plural
from suffrage.survey import Item
from suffrage.training_data.overlap import overlapping

# A question has no more options than there are letters.
MOST_OPTIONS = 26
# The population in the figures of a model asked as itself.
NOBODY = "asked as itself"
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "value_set": pl.String,
    "population": pl.String,
    "item": pl.String,
    "shares": pl.List(pl.Float64),
    "mass": pl.Float64,
    "refused": pl.Boolean,
}


# (population, item) -> shares, of one model
ModelShares = Mapping[tuple[str, str], FloatArray]


@dataclass(frozen=True)
class PopulationProbe:
    """One item that a model is asked as one population."""

    population: str
    """The population's name; `AS_ITSELF` if the question names none."""
    persona: Persona | None
    """How the question names the population; None if it names none."""
    item: Item


def probe_items(
    given: ProbeInput, probes: Sequence[PopulationProbe], value_set: str | None = None
) -> pl.DataFrame:
    """Ask a model by option letters.

    Parameters
    ----------
    given
        The model, and how its answers are read.
    probes
        The items, and the population each is asked as.
    value_set
        Whose answers these are in the study. None means the value set that the model was
        made for, or for all of them.

    Returns
    -------
    DataFrame
        A row for each probe, with the columns of `SCHEMA`.
    """
    if value_set is None:
        value_set = given.value_sets[0].name if len(given.value_sets) == 1 else AS_ITSELF
    if not probes:
        return pl.DataFrame(schema=SCHEMA)
    asked = [ItemProbe(one.item, one.persona, given.scoring.ways) for one in probes]
    total = sum(len(one.questions) for one in asked)
    answers = read_letters(
        given.model,
        asked,
        given.scoring.lowest_mass,
        counted(given, total),
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
        for one, answer in zip(probes, answers, strict=True)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def counted(given: ProbeInput, total: int) -> Callable[[int], None]:
    """What to call with each number of prompts that are done, out of `total`."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        given.advance(min(done / total, 1.0))

    return advance


def can_be_asked(item: Item) -> bool:
    """Whether there are enough letters for the item's options."""
    return len(item.options) <= MOST_OPTIONS


def chosen_items(items: Iterable[Item], most: int | None) -> list[Item]:
    """Choose at most `most` of the items: the same for every model, whatever their order.

    The chosen items are evenly spread over the sorted ids, which are hashes of the items' texts
    or names from a codebook. None for `most` chooses all.
    """
    ordered = sorted(items, key=lambda item: item.id)
    if most is None or most >= len(ordered):
        return ordered
    places = (np.arange(most) * len(ordered)) // most
    return [ordered[place] for place in places]


# What stands for a question that a model was trained on before the study.
TRAINED_BEFORE = "trained before"


def without_overlaps(
    given: EvaluationInput, items: Sequence[Item], evaluation: str
) -> tuple[list[Item], dict[str, str]]:
    """Leave out the items that ask what any method was trained on in any seed, or before.

    Every method is scored without them, so that all are scored on the same items.

    Parameters
    ----------
    given
        The study's items, splits and trained methods.
    items
        The items asked.
    evaluation
        Its name, for the error.

    Returns
    -------
    list of Item
        The items left, in the same order.
    dict
        For each item left out, the id of the trained item, or `TRAINED_BEFORE`. Empty if nothing
        was trained.

    Raises
    ------
    InputError
        No item is left.
    """
    removed = {}
    if given.trained_before:
        learnt = dict.fromkeys(given.trained_before)
        before = [items[0].model_copy(update={"question": q}) for q in learnt] if items else []
        removed = dict.fromkeys(overlapping(items, before), TRAINED_BEFORE)
    if given.trained:
        names = {name for split in given.splits.values() for name in split.train}
        trained = {item.id: item for v in given.value_sets for item in v.items if item.id in names}
        removed |= overlapping(items, [trained[name] for name in sorted(trained)])
    kept = [item for item in items if item.id not in removed]
    if not kept:
        raise InputError(
            f"evaluate: {evaluation}: every question overlaps one trained on; leave the evaluation "
            "out, or give it questions on something else."
        )
    return kept, removed


def removed_note(
    given: EvaluationInput, removed: Mapping[str, str], asked: int, source: str
) -> str:
    """One sentence on what the overlap check took out."""
    if not given.trained and not given.trained_before:
        every = by_count(asked, "the one question", f"all {asked} questions")
        return f"Nothing was trained: {every} of {source} {by_count(asked, 'is', 'are')} scored."
    if not removed:
        return (
            f"None of {plural(asked, 'question')} of {source} overlaps one that a model was "
            "trained on."
        )
    return (
        f"{len(removed)} of {plural(asked, 'question')} of {source} "
        f"{by_count(len(removed), 'asks', 'ask')} nearly what a model was trained on and "
        f"{by_count(len(removed), 'is', 'are')} left out for every method; "
        f"{asked - len(removed)} {by_count(asked - len(removed), 'remains', 'remain')}."
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
                f"{method}: {refused} of {plural(asked, 'answer')} "
                f"{by_count(refused, 'puts', 'put')} too little on the options to be read and "
                f"{by_count(refused, 'is', 'are')} left out."
            )
    return tuple(found)


READ = Measure(
    name="read",
    lowest=0.0,
    highest=1.0,
    label="Answers that could be read",
    explanation="Share of the questions on which the model puts enough probability on the options. "
    "The other figures leave out the rest, so a method that answers fewer questions may be "
    "measured on easier or harder ones. Paired differences and the floor use the same questions.",
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


def shares_by_model(given: EvaluationInput, method: str, seed: int) -> list[ModelShares]:
    """What each model of a method answered; a method has one model for all value sets or one each.

    A question that one of the models could not be read on is left out of all of them, so that the
    others do not answer for it.
    """
    found: dict[str, dict[tuple[str, str], FloatArray]] = defaultdict(dict)
    for cell, answers in wholly_answered(answers_by_row(given.probes[method, seed])).items():
        for value_set, shares in answers:
            found[value_set][cell] = shares
    return list(found.values())


def answers_by_row(
    frame: pl.DataFrame,
) -> Iterator[tuple[tuple[str, str], tuple[str, FloatArray] | None]]:
    """The rows of `SCHEMA` by cell, for `wholly_answered`.

    Yields
    ------
    ((population, item), (value set, shares))
        None instead of the latter where the answer could not be read.
    """
    for row in frame.select("value_set", "population", "item", "shares", "refused").to_dicts():
        answer = None if row["refused"] else (row["value_set"], np.array(row["shares"]))
        yield (row["population"], row["item"]), answer
