"""`steerability`: whether naming a group moves the answers toward that group, or just anywhere.

Symbols: F(g, q) the fit of shares q to group g; m_h the model's answer when asked as h, m_0 as
itself. A group's rivals are those it can be told from (`groups.rivals`). Items held out only, where
any are.

It cannot show whether the model knows the group, or only what is often said of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from suffrage.arrays import FloatArray
from suffrage.evaluate.asking.groups import (
    above_zero,
    between_row,
    denominators,
    items_to_score,
    letter_shares,
    read_places,
    refused_letters,
    rivals,
    rivals_read,
    scored_items,
    under_replicates,
    unread_notes,
)
from suffrage.evaluate.asking.item_probes import counted
from suffrage.evaluate.results import Figure, Measure
from suffrage.evaluate.scorecard import Evaluation, EvaluationInput, ProbeInput, Scorecard
from suffrage.evaluate.statistics.figures import make_figures
from suffrage.evaluate.statistics.intervals import Measured
from suffrage.models import ItemProbe, read_letters, ways_of_asking
from suffrage.population import AnswerDistribution, ValueSet
from suffrage.population.distribution_distances import fit
from suffrage.training_data import ItemSplit

NAME = "steerability"
ITSELF = "as itself"
TIE = 1e-9
SCHEMA = pl.Schema(
    {
        "value_set": pl.String(),
        "item": pl.String(),
        "shares": pl.List(pl.Float64()),
        "refused": pl.Boolean(),
    }
)

MEASURES = (
    Measure(
        name="name_adds",
        lowest=-1.0,
        highest=1.0,
        label="What the name adds",
        explanation="Fit of the answers given under a group’s own name, minus the fit of the "
        "mean answer "
        "under all the groups’ names. It is above 0 only if naming this group, and not another, "
        "brings the answers nearer to it. A model that exaggerates, or moves at random, is below "
        "0.",
        better="higher",
        unit="questions",
        headline=True,
    ),
    Measure(
        name="gain",
        lowest=-1.0,
        highest=1.0,
        label="Gain over no name",
        explanation="Fit of the answers given under a group’s own name, minus the fit of what "
        "the model "
        "answers as itself.",
        better="higher",
        unit="questions",
    ),
    Measure(
        name="over_others",
        lowest=-1.0,
        highest=1.0,
        label="Gain over other names",
        explanation="Fit of the answers given under a group’s own name, minus the mean fit to "
        "the same group "
        "of the answers given under the other names.",
        better="higher",
        unit="questions",
    ),
    Measure(
        name="nearest",
        lowest=0.0,
        highest=1.0,
        label="Own name nearest",
        explanation="Share of groups and questions for which no other name’s answers are nearer "
        "to the group "
        "than those under its own. If several are equally near, each counts in part. "
        "The floor is guessing.",
        better="higher",
        unit="questions",
    ),
    Measure(
        name="apart",
        label="Distance between groups",
        explanation="How far apart the model’s groups are, divided by how far apart people’s are "
        "(squared "
        "differences of shares, corrected for sampling noise). 0 is one answer for all; above 1 "
        "groups "
        "are made more different than they are.",
        better="nearer 1",
        unit="questions",
        digits=2,
    ),
)


def probe(given: ProbeInput) -> pl.DataFrame:
    """Every scored item, asked without naming a group; the rest is read from the answers of `fit`.

    A model that is never told whom to answer as is not asked: there is nothing to steer.
    """
    if not given.as_population:
        return pl.DataFrame(schema=SCHEMA)
    items = given.held_out or given.items
    found = read_letters(
        given.model,
        [ItemProbe(item, None, given.scoring.ways) for item in items],
        given.scoring.lowest_mass,
        counted(given, _prompts_for(given.value_sets, given.splits)),
    )
    return pl.DataFrame(
        [
            {
                "value_set": value_set.name,
                "item": answer.item_id,
                "shares": answer.shares.tolist(),
                "refused": answer.refused,
            }
            for value_set in given.value_sets
            for answer in found
            if answer.item_id in value_set.distributions
        ],
        schema=SCHEMA,
    )


def _prompts_for(value_sets: Sequence[ValueSet], splits: Sequence[ItemSplit]) -> int:
    return sum(len(ways_of_asking(item, None)) for item in items_to_score(value_sets, splits))


@dataclass(frozen=True)
class _Place:
    """One group and item, with what people and a model answer there."""

    at: tuple[int, str, str, str]
    people: AnswerDistribution
    rivals: Sequence[AnswerDistribution]
    own: FloatArray
    """The model's shares when asked as the group."""
    others: FloatArray
    """The model's shares when asked as each rival, (rivals, options)."""


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """The figures, and how well each name's answers fit each group."""
    among = {v.name: rivals(v, given.value_sets) for v in given.value_sets}
    named = [m for m in given.methods if any(given.probes[m, s].height for s in given.splits)]
    notes = [
        *_notes(given, among, named),
        *unread_notes(
            {k: v for k, v in given.answers.items() if k[0] in named},
            given.value_sets,
            given.splits,
        ),
    ]
    if not any(among.values()):
        return Scorecard(notes=tuple(notes))
    units: dict[str, dict[str, list[Measured]]] = {m.name: defaultdict(list) for m in MEASURES}
    floors: dict[str, Any] = {"name_adds": 0.0, "gain": 0.0, "over_others": 0.0, "apart": 0.0}
    ceilings: dict[str, list[Measured]] = defaultdict(list)
    guesses: dict[tuple[int, str, str], Measured] = {}
    for method in named:
        for place in _places(given, among, method):
            for measure, row in _rows(place):
                units[measure][method].append(row)
            chance = 1 / (1 + len(place.others))
            guesses[place.at[:3]] = Measured(*place.at, chance, np.ones(1))
        units["gain"][method] = list(_gains(given, among, method))
    for split_seed, split in given.splits.items():
        for value_set in given.value_sets:
            for item in scored_items(value_set, split):
                at = (split_seed, value_set.name, item, split.clusters[item])
                for measure, row in _ceilings(at, value_set, among[value_set.name]):
                    ceilings[measure].append(row)
    differ = above_zero(
        denominators([row for rows in units["apart"].values() for row in rows]), seed
    )
    if not differ:
        units["apart"] = defaultdict(list)
        if named:
            notes.append(
                "On these questions the groups do not differ beyond sampling noise: how far "
                "apart the model puts them is not measured, and a name could add almost nothing."
            )
    figures, differences = make_figures(
        NAME,
        units,
        given.methods,
        seed,
        {**floors, "nearest": list(guesses.values())},
        {**ceilings, "apart": 1.0},
        given.left_out,
        questions_once=True,
    )
    return Scorecard(
        figures=tuple(_within_a_share(f) if f.measure == "nearest" else f for f in figures),
        figure_differences=differences,
        notes=tuple(notes),
        details={
            "groups": [v.name for v in given.value_sets],
            "names": {m: _fit_by_name(given, m) for m in named},
        },
    )


def _within_a_share(figure: Figure) -> Figure:
    """Ends of the interval cut at 0 and 1: moves under resampled respondents are not."""
    if figure.low is None or figure.high is None:
        return figure
    return figure.model_copy(update={"low": max(figure.low, 0.0), "high": min(figure.high, 1.0)})


def _notes(
    given: EvaluationInput, among: Mapping[str, Sequence[ValueSet]], named: Sequence[str]
) -> list[str]:
    alone = [name for name, others in among.items() if not others]
    if len(alone) == len(among):
        return [
            "There are no two groups here of which neither is a part of the other, so steering "
            "cannot be measured."
        ]
    notes = []
    if alone:
        notes.append(f"Not a group among others, so left out here: {', '.join(alone)}.")
    unnamed = [m for m in given.methods if m not in named]
    if unnamed:
        notes.append(f"Never told whom to answer as, so not steered: {', '.join(unnamed)}.")
    return notes


def _places(
    given: EvaluationInput, among: Mapping[str, Sequence[ValueSet]], method: str
) -> Iterator[_Place]:
    """Every group and item on which the group and all of its rivals could be read."""
    for seed in given.splits:
        answers = given.answers[method, seed]
        said, refused = letter_shares(answers), refused_letters(answers)
        for at, people, own in read_places(given, seed, said):
            _, name, item, _ = at
            known = rivals_read(among[name], item, said, refused)
            if known:
                yield _Place(
                    at,
                    people,
                    [other.distributions[item] for other in known],
                    own,
                    np.array([said[other.name, item] for other in known]),
                )


def _rows(place: _Place) -> Iterator[tuple[str, Measured]]:
    said = np.array([place.own, np.mean([place.own, *place.others], axis=0), *place.others])
    people = np.vstack([place.people.shares[None], place.people.replicates])
    # (answers, 1 + replicates): the people as they are, then under resampled respondents.
    fits = fit(people[None], said[:, None])
    own, blend, others = fits[0], fits[1], fits[2:]
    for measure, values in (
        ("name_adds", own - blend),
        ("over_others", own - others.mean(axis=0)),
        ("nearest", own_nearest(own, others)),
    ):
        resampled = values[1:] if values.size > 1 else np.ones(1)
        yield measure, Measured(*place.at, float(values[0]), resampled)
    others_said = list(place.others)
    yield "apart", between_row(place.at, place.people, place.rivals, place.own, others_said)


def own_nearest(own: FloatArray, others: FloatArray) -> FloatArray:
    """1 where the own fit is highest, its part where it shares that with others, 0 elsewhere.

    own: (...); others: (rivals, ...).
    """
    best = np.maximum(own, others.max(axis=0))
    level = 1 + (others >= best - TIE).sum(axis=0)
    return np.where(own >= best - TIE, 1 / level, 0.0)


def _gains(
    given: EvaluationInput, among: Mapping[str, Sequence[ValueSet]], method: str
) -> Iterator[Measured]:
    """What the name adds to the fit, for every group that has a rival on the item."""
    for seed in given.splits:
        alone = {name: _said_alone(given, method, seed, name) for name in among}
        said = letter_shares(given.answers[method, seed])
        for at, people, own in read_places(given, seed, said):
            _, name, item, _ = at
            itself = alone[name].get(item)
            if itself is None or not any(item in rival.distributions for rival in among[name]):
                continue

            def gain(
                people: FloatArray, own: FloatArray = own, itself: FloatArray = itself
            ) -> FloatArray:
                return fit(people, own) - fit(people, itself)

            yield Measured(*at, float(gain(people.shares)), under_replicates(people, gain))


def _said_alone(
    given: EvaluationInput, method: str, seed: int, value_set: str
) -> dict[str, FloatArray]:
    """What the model answers where nobody is named, by item."""
    rows = given.said(method, seed, value_set).to_dicts()
    return {row["item"]: np.array(row["shares"]) for row in rows if not row["refused"]}


def _ceilings(
    at: tuple[int, str, str, str], value_set: ValueSet, others: Sequence[ValueSet]
) -> Iterator[tuple[str, Measured]]:
    """Half of each group's respondents as the model, compared with the other half."""
    item = at[2]
    people = value_set.distributions[item]
    known = [o.distributions[item] for o in others if item in o.distributions]
    if not known or not all(len(d.first_halves) for d in (people, *known)):
        return
    first, second = people.first_halves, people.second_halves
    halves = np.array([other.second_halves for other in known])
    blend = np.mean([second, *halves], axis=0)
    own, rest = fit(first, second), fit(first[None], halves)
    yield "name_adds", Measured(*at, float((own - fit(first, blend)).mean()), np.ones(1))
    yield "over_others", Measured(*at, float((own - rest.mean(axis=0)).mean()), np.ones(1))
    yield "nearest", Measured(*at, float(own_nearest(own, rest).mean()), np.ones(1))


def _fit_by_name(given: EvaluationInput, method: str) -> dict[str, dict[str, float | None]]:
    """How well the answers under each name, and under none, fit each group; means over items."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for seed, split in given.splits.items():
        said = letter_shares(given.answers[method, seed])
        for group in given.value_sets:
            alone = _said_alone(given, method, seed, group.name)
            for item in scored_items(group, split):
                people = group.distributions[item].shares
                for other in given.value_sets:
                    if (other.name, item) in said:
                        value = float(fit(people, said[other.name, item]))
                        found[group.name, other.name].append(value)
                if item in alone:
                    found[group.name, ITSELF].append(float(fit(people, alone[item])))
    names = [*(v.name for v in given.value_sets), ITSELF]
    return {
        group.name: {
            name: float(np.mean(found[group.name, name])) if found[group.name, name] else None
            for name in names
        }
        for group in given.value_sets
    }


EVALUATION = Evaluation(
    NAME,
    score,
    question="Does naming a group move its answers toward that group, or just anywhere?",
    cannot_show="Whether the model knows the group or only what is often said about it, and "
    "whether it answers in the same way if the group is named differently, or not at all.",
    measures=MEASURES,
    probe=probe,
    asks_for_shares=True,
    prompts=lambda value_sets, splits, options, folder: (
        -(-_prompts_for(value_sets, splits) // max(len(value_sets), 1))
    ),
)
