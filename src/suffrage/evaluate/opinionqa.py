"""`opinionqa`: whose opinions among US adults a model gives (Santurkar et al. 2023).

Representativeness of a group is 1 less the mean earth mover's distance between the model's answers
and the group's, over the distance between the ends of the scale.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import Field

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.evaluate.asking.item_probes import (
    READ,
    can_be_asked,
    chosen_items,
    probe_items,
    read_rows,
    refused_note,
    removed_note,
    shares_by_model,
    without_overlaps,
)
from suffrage.evaluate.asking.published_answers import (
    NamedRow,
    PublishedPlace,
    PublishedShares,
    compared,
    mean_by_population,
    opinionqa_value_sets,
    plain_row,
    planned_prompts,
)
from suffrage.evaluate.fit import UNIFORM
from suffrage.evaluate.results import Measure
from suffrage.evaluate.scorecard import (
    AS_ITSELF,
    Evaluation,
    EvaluationInput,
    EvaluationOptions,
    ProbeInput,
    Scorecard,
)
from suffrage.evaluate.statistics.figures import make_figures
from suffrage.evaluate.statistics.intervals import Measured
from suffrage.plurals import by_count, plural
from suffrage.population import ValueSet
from suffrage.population.distribution_distances import ordinal_earth_movers_distance
from suffrage.survey import Item
from suffrage.survey.non_response_labels import points_of_scale
from suffrage.training_data import ItemSplit
from suffrage.training_data.average_answer import uniform
from suffrage.training_data.split import item_clusters

# How a question names a group: the attribute's wording, the group's own words in it.
PERSONAS = {
    "CREGION": "adults who live in the {} of the United States",
    "AGE": "US adults aged {}",
    "SEX": "US adults who are {}",
    "EDUCATION": "US adults whose highest level of education is: {}",
    "RACE": "US adults who describe themselves as {}",
    "CITIZEN": "adults in the United States whose answer to whether they are citizens is {}",
    "MARITAL": "US adults whose marital status is: {}",
    "RELIG": "US adults whose religion is: {}",
    "RELIGATTEND": "US adults who attend religious services: {}",
    "POLPARTY": "US adults who consider themselves {}",
    "INCOME": "US adults with a family income of {}",
    "POLIDEOLOGY": "US adults whose political views are {}",
}
OVERALL = "overall"
# A group with fewer questions is not ranked, nor is a topic with fewer in each group.
FEWEST, FEWEST_OF_TOPIC = 5, 2
# For plans: four options in four ways with two label sets, groups asked, questions.
WAYS, GROUPS_A_QUESTION, QUESTIONS = 8, 22, 500


class Options(EvaluationOptions):
    """What a study may say about the benchmark's files."""

    path: str
    """JSON records of one question and group each, .json or .json.gz, as published."""
    scales: str | None = None
    """A JSON file from question key to `options` and `ordinal`, the options' values (SubPOP's
    `refined_qkey_dict.json`). Without it, options are taken in the order in which they stand."""
    groups: tuple[str, ...] | None = None
    """Groups such as [POLPARTY_Democrat]; None for all."""
    most: int | None = Field(default=None, ge=1)
    """How many questions are asked; None for all."""

    @property
    def files(self) -> tuple[str, ...]:
        """The records, and the scales where named."""
        return (self.path,) if self.scales is None else (self.path, self.scales)


@dataclass(frozen=True)
class PublishedGroups(PublishedShares):
    """What groups of US adults answered, with the scales and topics of the questions."""

    values: Mapping[str, FloatArray]
    """Item to each option's value on its scale, NaN for an option outside it."""
    topics: Mapping[str, str]
    """Item to the wave it was asked in, where known."""
    everyone: Mapping[str, FloatArray]
    """Item to the shares of all US adults."""
    no_answer: float | None
    """The mean share of people who gave no answer, where the file has it."""

    def places(
        self, clusters: Mapping[str, str], seed: int
    ) -> Iterator[tuple[PublishedPlace, FloatArray]]:
        """As for every published table, without answers that are all off the scale."""
        for place, shares in super().places(clusters, seed):
            if shares[np.isfinite(self.values[place[2]])].sum() > 0:
                yield place, shares


def group_persona(group: str) -> str:
    """How a question names a group of the file, such as "POLPARTY_Democrat"."""
    attribute, _, words = group.partition("_")
    return PERSONAS.get(attribute, "US adults of the group {}").format(words or group)


def read_groups(options: Options, folder: Path) -> PublishedGroups:
    """Read the questions and groups that the options leave.

    Raises
    ------
    InputError
        A file has another layout, a group is unknown, or no question has a scale.
    """
    path = folder / options.path
    value_sets = opinionqa_value_sets(path)
    everyone = next((v for v in value_sets if v.name.lower() == OVERALL), None)
    groups = [v for v in value_sets if v is not everyone]
    if options.groups is not None:
        unknown = [name for name in options.groups if name not in {v.name for v in groups}]
        if unknown:
            known = ", ".join(v.name for v in groups[:12])
            raise InputError(f'{path.name} has no group "{unknown[0]}"; it has {known}, ...')
        groups = [v for v in groups if v.name in options.groups]
    every = {item.id: item for value_set in groups for item in value_set.items}
    scales = _Scales.read(folder / options.scales) if options.scales else None
    values: dict[str, FloatArray] = {}
    topics: dict[str, str] = {}
    for item in every.values():
        if scales is None:
            found: FloatArray | None = values_in_order(item)
        else:
            found = scales.values(item)
            topics[item.id] = scales.topic(item)
        if found is not None and np.unique(found[np.isfinite(found)]).size > 1:
            values[item.id] = found
    usable = [item for item in every.values() if item.id in values and can_be_asked(item)]
    if not usable:
        raise InputError(
            f"{path.name}: no question has a scale"
            + (f" in {options.scales}; leave out `scales`?" if options.scales else ".")
        )
    # A scale is shown forwards and backwards, as questionnaires do, not in every rotation.
    items = {
        item.id: item.model_copy(update={"ordered": bool(np.isfinite(values[item.id]).all())})
        for item in chosen_items(usable, options.most)
    }
    answers = {
        v.name: {i: d.shares for i, d in v.distributions.items() if i in items} for v in groups
    }
    answers = {name: by_item for name, by_item in answers.items() if by_item}
    return PublishedGroups(
        items,
        answers,
        _file_notes(options, groups, everyone, len(items), len(every), len(usable)),
        {item: values[item] for item in items},
        {item: topic for item, topic in topics.items() if topic and item in items},
        _everyone(everyone, answers, items),
        _no_answer(groups),
    )


def values_in_order(item: Item) -> FloatArray:
    """1, 2, ... over the options as they stand, NaN for those that word a non-response."""
    inside = points_of_scale(item.texts)
    return np.where(inside, np.cumsum(inside).astype(np.float64), np.nan)


@dataclass(frozen=True)
class _Scales:
    """The scales of questions by their plain text: options with values, and the wave."""

    by_text: Mapping[str, tuple[dict[str, float], str]]

    @classmethod
    def read(cls, path: Path) -> _Scales:
        content = storage.read_json(path)
        found = {}
        for key, about in content.items():
            try:
                options, ordinal = list(about["options"]), [float(v) for v in about["ordinal"]]
                texts = [about[name] for name in ("original_qbody", "refined_qbody")]
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{path.name}: {key} has no options, ordinal, original_qbody and "
                    "refined_qbody; take SubPOP's refined_qkey_dict.json."
                ) from error
            # Options beyond the values are no points of the scale; nor are those valued -1.
            values = {o: v for o, v in zip(options, ordinal, strict=False) if v != -1}
            wave = re.search(r"_(W\d+)$", key)
            for text in texts:
                found[_plain(text)] = (values, wave[1] if wave else "")
        return cls(found)

    def values(self, item: Item) -> FloatArray | None:
        """Each option's value; None if the question is unknown or an option has no value."""
        known = self.by_text.get(_plain(item.question))
        if known is None:
            return None
        values = np.array([known[0].get(text, np.nan) for text in item.texts])
        return values if np.isfinite(values).sum() == len(known[0]) else None

    def topic(self, item: Item) -> str:
        return self.by_text.get(_plain(item.question), ({}, ""))[1]


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().lower()


def _everyone(
    overall: ValueSet | None,
    answers: Mapping[str, Mapping[str, FloatArray]],
    items: Mapping[str, Item],
) -> dict[str, FloatArray]:
    """All US adults' shares: the file's own, else the mean of at least two groups."""
    if overall is not None:
        return {i: d.shares for i, d in overall.distributions.items() if i in items}
    by_item: dict[str, list[FloatArray]] = defaultdict(list)
    for by_group in answers.values():
        for item, shares in by_group.items():
            by_item[item].append(shares)
    return {i: np.asarray(np.mean(rows, axis=0)) for i, rows in by_item.items() if len(rows) > 1}


def _no_answer(groups: Sequence[ValueSet]) -> float | None:
    rows = [sum(d.non_response.values()) for v in groups for d in v.distributions.values()]
    return float(np.mean(rows)) if any(rows) else None


def _file_notes(
    options: Options,
    groups: Sequence[ValueSet],
    everyone: ValueSet | None,
    chosen: int,
    every: int,
    usable: int,
) -> tuple[str, ...]:
    aside = Counter(
        re.sub(r' read ".*"$', " read alike", note[note.index(" (") + 2 : -1])
        for value_set in groups
        for note in value_set.set_aside
    )
    scale = (
        f"{every - usable} of {plural(every, 'question')} "
        f"{by_count(every - usable, 'has', 'have')} no scale in {Path(options.scales).name}, and "
        f"{by_count(every - usable, 'is', 'are')} left out."
        if options.scales
        else "No file of scales is named: options are taken as a scale in the order in which they "
        "come, which is wrong where a middle answer comes last."
    )
    whole = (
        "The file has a row for all US adults."
        if everyone
        else "The file has no row for all US adults. The mean of the groups that it gives on a "
        "question is taken for them. Each group counts once and is part of the mean it is compared "
        "with, which flatters that mean."
    )
    asked = f"{plural(chosen, 'question')} {by_count(chosen, 'is', 'are')} asked"
    notes = [f"{asked} of {plural(len(groups), 'group')}.", scale, whole]
    if aside:
        why = "; ".join(f"{n}: {reason}" for reason, n in sorted(aside.items()))
        rows = sum(aside.values())
        of_file = f"{plural(rows, 'row')} of the file {by_count(rows, 'is', 'are')}"
        notes.append(f"{of_file} set aside ({why}).")
    return tuple(notes)


def probe(given: ProbeInput) -> pl.DataFrame:
    """Each question as the model itself, then as each group that the file has on it."""
    return probe_items(given, read_groups(given.options, given.folder).probes(group_persona))


def representativeness_on_scale(p: FloatArray, q: FloatArray, values: FloatArray) -> float:
    """1 - WD(p, q) / WD_max on one question, over the options on its scale, 0 to 1."""
    return float(1 - ordinal_earth_movers_distance(p, q, values))


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """Representativeness as itself and as each group, steerability, consistency, people's own."""
    file = read_groups(given.options, given.folder)
    kept, removed = without_overlaps(given, list(file.items.values()), "opinionqa")
    clusters = item_clusters(sorted(kept, key=lambda item: item.id))
    units: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    people: list[Measured] = []
    chance: list[Measured] = []
    for at_seed in given.splits:
        for place, own in file.places(clusters, at_seed):
            even = plain_row(place, _nearness(file)(place, own, uniform(own.size)))
            for name in ("itself", "steered"):
                units[name][UNIFORM].append(even)
            if place[2] in file.everyone:
                whole = _nearness(file)(place, own, file.everyone[place[2]])
                people.append(plain_row(place, whole))
        for method in given.methods:
            if (method, at_seed) not in given.probes:
                continue
            rows = list(_rows(file, clusters, given, method, at_seed))
            for name, row in rows:
                units[name][method].append(row)
            units["read"][method] += read_rows(given, method, at_seed, clusters)
            itself = [row for name, row in rows if name == "itself"]
            for row, by_chance in _consistency(file, itself, at_seed):
                units["consistency"][method].append(row)
                chance.append(by_chance)
    figures, differences = make_figures(
        "opinionqa",
        units,
        [UNIFORM, *given.methods],
        seed,
        {
            "itself": units["itself"][UNIFORM],
            "steered": units["steered"][UNIFORM],
            "gain": 0.0,
            "consistency": chance,
        },
        {"itself": people},
    )
    groups = {
        method: {
            name: mean_by_population(units.get(name, {}).get(method, ()), FEWEST)
            for name in ("itself", "steered")
        }
        for method in given.methods
    }
    human = mean_by_population(people, FEWEST)
    return Scorecard(
        figures=figures,
        figure_differences=differences,
        notes=(
            *file.notes,
            removed_note(given, removed, len(file.items), "OpinionQA"),
            *_human_notes(human, file.no_answer),
            *_worst_notes(groups),
            *(() if file.topics else ("Topics are not known: there is no consistency.",)),
            *refused_note(given),
        ),
        details={"groups": groups, "people": human, "removed": removed},
    )


def _nearness(file: PublishedGroups) -> Callable[[PublishedPlace, FloatArray, FloatArray], float]:
    """Representativeness on the scale of the place's question."""
    return lambda place, people, answer: representativeness_on_scale(
        people, answer, file.values[place[2]]
    )


def _rows(
    file: PublishedGroups,
    clusters: Mapping[str, str],
    given: EvaluationInput,
    method: str,
    seed: int,
) -> Iterator[NamedRow]:
    """A method's rows, of each of its models."""
    for said in shares_by_model(given, method, seed):
        yield from compared(file.places(clusters, seed), said, _nearness(file), "steered")
    frame = given.probes[method, seed].filter(pl.col("population") == AS_ITSELF)
    for item, mass in frame.select("item", "mass").iter_rows():
        if item in clusters:
            yield "no_answer", plain_row((seed, "all", item, clusters[item]), 1 - mass)


def _consistency(
    file: PublishedGroups, rows: Sequence[Measured], seed: int
) -> Iterator[tuple[Measured, Measured]]:
    """For each attribute and topic: is its best represented group there the one over all topics?

    Next to it, the chance of that: one in the number of groups. Attributes with one group are left
    out, and so are topics in which a group has fewer than `FEWEST_OF_TOPIC` questions.
    """
    by_attribute: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.item in file.topics:
            by_attribute[row.value_set.partition("_")[0]][row.value_set].append(row)
    for attribute, groups in sorted(by_attribute.items()):
        if len(groups) < 2:
            continue
        best = _best({group: [r.point for r in found] for group, found in groups.items()})
        for topic in sorted({file.topics[r.item] for found in groups.values() for r in found}):
            there = {
                group: [r.point for r in found if file.topics[r.item] == topic]
                for group, found in groups.items()
            }
            if min(len(points) for points in there.values()) < FEWEST_OF_TOPIC:
                continue
            place = (seed, attribute, topic, topic)
            same = 1.0 if _best(there) == best else 0.0
            yield plain_row(place, same), plain_row(place, 1 / len(groups))


def _best(points: Mapping[str, Sequence[float]]) -> str:
    """The group with the highest mean, the first by name where several have it."""
    return min(points, key=lambda group: (-round(float(np.mean(points[group])), 9), group))


def _human_notes(human: Mapping[str, float], no_answer: float | None) -> Iterator[str]:
    if human:
        worst = min(human, key=lambda group: (human[group], group))
        yield (
            "People's own figures: a group is represented by all US adults with "
            f"{np.mean([*human.values()]):.3f} on average over the groups, {worst} worst with "
            f"{human[worst]:.3f}."
        )
    if no_answer is None:
        yield "The file leaves out people who refused; the model's own is shown apart."
    else:
        yield (
            f"Of the people asked, {100 * no_answer:.1f}% gave no answer, on average over "
            "questions."
        )


def _worst_notes(groups: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[str]:
    for method, by_name in groups.items():
        found = by_name["itself"]
        if found:
            order = sorted(found, key=lambda group: (found[group], group))
            yield (
                f"{method}, asked as itself: {order[-1]} is represented best "
                f"({found[order[-1]]:.3f}), {order[0]} worst ({found[order[0]]:.3f})."
            )


def _prompts(
    value_sets: Sequence[ValueSet], splits: Sequence[ItemSplit], options: Options, folder: Path
) -> int:
    """About as many as the published file needs."""
    groups = GROUPS_A_QUESTION if options.groups is None else len(options.groups)
    return planned_prompts(options.most or QUESTIONS, groups, WAYS, value_sets)


EVALUATION = Evaluation(
    "opinionqa",
    score,
    question="Whose opinions among US adults does it give, and does it change when asked as a "
    "group?",
    cannot_show="Whether the answer given as a group is how its members would put it, or a "
    "caricature of them; and nothing of groups that no survey counts.",
    measures=(
        Measure(
            name="steered",
            lowest=0.0,
            highest=1.0,
            label="Representativeness, asked as the group",
            explanation="1 less the mean earth mover's distance between the model's answers and "
            "the group's, over the distance between the ends of the scale; the mean over groups "
            "and questions, the group named in the question. The floor is the even answer.",
            better="higher",
            unit="questions",
            headline=True,
        ),
        Measure(
            name="itself",
            lowest=0.0,
            highest=1.0,
            label="Representativeness, asked as itself",
            explanation="The same with no group named. The ceiling is the answer of all US adults "
            "compared with each group: what one answer for everyone can reach.",
            better="higher",
            unit="questions",
        ),
        Measure(
            name="gain",
            lowest=-1.0,
            highest=1.0,
            label="Steerability",
            explanation="The first figure minus the second, on the same questions.",
            better="higher",
            unit="questions",
        ),
        Measure(
            name="consistency",
            lowest=0.0,
            highest=1.0,
            label="Consistency over topics",
            explanation="In how many topics (waves) the group represented best, among those of one "
            "attribute, is the one represented best over all topics. The floor is chance. High for "
            "a model with one group's views, and for one without any.",
            better=None,
            unit="topics",
            digits=2,
        ),
        Measure(
            name="no_answer",
            lowest=0.0,
            highest=1.0,
            label="No answer",
            explanation="Probability outside the options, asked as itself; kept apart from the "
            "distances, which are taken over the options.",
            better=None,
            unit="questions",
        ),
        READ,
    ),
    options=Options,
    probe=probe,
    asks_for_shares=True,
    prompts=_prompts,
)
