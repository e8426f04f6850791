"""`globalopinionqa`: how near a model's answers come to those of many countries (Durmus et al. 2023).

Each question is asked once of the model as itself and once as each country that answered it (the
paper's cross-national prompting). Similarity is the mean of 1 - Jensen-Shannon distance.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.evaluate.asking.item_probes import (
    READ,
    Put,
    can_be_put,
    chosen_items,
    overlaps,
    probe_items,
    read_answers,
    read_rows,
    refused_note,
    removed_note,
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
from suffrage.evaluate.statistics.floors import uniform
from suffrage.evaluate.statistics.intervals import Measured
from suffrage.population import ValueSet
from suffrage.population.distribution_distances import fit, fit_natural
from suffrage.population.globalopinionqa_table import globalopinionqa, question_sources
from suffrage.survey import Item
from suffrage.training_data import ItemSplit
from suffrage.training_data.split import item_clusters

# One country under several names in the file.
SPELLINGS = {
    "S. Korea": "South Korea",
    "S. Africa": "South Africa",
    "Czech Rep.": "Czechia",
    "Great Britain": "Britain",
    "Taiwan ROC": "Taiwan",
    "Hong Kong SAR": "Hong Kong",
    "Macau SAR": "Macau",
    "Palest. ter.": "the Palestinian territories",
}
WVS, PEW = "WVS", "GAS"
LEAST_SERVED = 5
# A country with fewer questions is not ranked.
FEWEST = 5
# For plans: four options in four rotations with two label sets, and the published file's size.
WAYS, COUNTRIES_A_QUESTION, COUNTRIES, QUESTIONS = 8, 12, 130, 2556
# Measures that are 0 where nothing was gained, and have no floor to be worked out.
CHANGES = ("gain", "told_apart")
BY_SOURCE = {WVS: "country_wvs", PEW: "country_pew"}
# (name of the measure, row)
Row = tuple[str, Measured]


class Options(EvaluationOptions):
    """path: the benchmark's CSV file, as published. countries: as the file spells them; None for all.

    most: questions asked, spread over the file; None for all. sources: such as [GAS].
    """

    path: str
    countries: tuple[str, ...] | None = None
    most: int | None = Field(default=None, ge=1)
    sources: tuple[str, ...] | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The benchmark's file."""
        return (self.path,)


@dataclass(frozen=True)
class Published:
    """What is asked and what the countries answered.

    answers: country to item to shares; a country of several samples has the mean of theirs.
    """

    items: Mapping[str, Item]
    answers: Mapping[str, Mapping[str, FloatArray]]
    sources: Mapping[str, str]
    notes: tuple[str, ...]


def country_name(spelled: str) -> str:
    """The country of a population of the file, whatever sample it was and however it is spelled."""
    plain = re.sub(r"\s*\(.*\)$", "", spelled).strip()
    return SPELLINGS.get(plain, plain)


def published(options: Options, folder: Path) -> Published:
    """The questions and countries that the options leave, with notes on what the file holds.

    Raises InputError on a file of another layout, an unknown country, and when nothing is left.
    """
    path = folder / options.path
    value_sets = globalopinionqa(path, options.countries, options.sources)
    every = {item.id: item for value_set in value_sets for item in value_set.items}
    items = {
        item.id: item
        for item in chosen_items([i for i in every.values() if can_be_put(i)], options.most)
    }
    found: dict[str, dict[str, list[FloatArray]]] = defaultdict(lambda: defaultdict(list))
    for value_set in value_sets:
        for item, distribution in value_set.distributions.items():
            if item in items:
                found[country_name(value_set.name)][item].append(distribution.shares)
    if not found:
        raise InputError(f"{path.name}: there is no question left to ask.")
    answers = {
        country: {item: np.asarray(np.mean(rows, axis=0)) for item, rows in by_item.items()}
        for country, by_item in sorted(found.items())
    }
    sources = question_sources(path)
    return Published(
        items,
        answers,
        {item.id: sources.get(item.question, "") for item in items.values()},
        _file_notes(value_sets, found, len(items), len(every)),
    )


def _file_notes(
    value_sets: Sequence[ValueSet],
    found: Mapping[str, Mapping[str, Sequence[FloatArray]]],
    chosen: int,
    every: int,
) -> tuple[str, ...]:
    aside = [note for value_set in value_sets for note in value_set.set_aside]
    # The reason stands in brackets; a figure at its end differs from row to row.
    reasons = Counter(
        re.sub(r"sum to [\d.]+$", "do not sum to 1", note[note.index("(") + 1 : -1])
        for note in aside
    )
    notes = [
        f"{chosen} of {every} questions are asked, with answers of {len(found)} countries; how "
        "many people stand behind a share the file does not say, so there is no ceiling and the "
        "intervals resample questions alone.",
    ]
    if aside:
        why = "; ".join(f"{n}: {reason}" for reason, n in sorted(reasons.items()))
        notes.append(f"{len(aside)} rows of the file are set aside ({why}).")
    names: dict[str, set[str]] = defaultdict(set)
    for value_set in value_sets:
        names[country_name(value_set.name)].add(value_set.name)
    spelled = [sorted({re.sub(r"\s*\(.*\)$", "", n) for n in same}) for same in names.values()]
    twice = sorted(" and ".join(same) for same in spelled if len(same) > 1)
    if twice:
        notes.append(f"Spelled in two ways, and taken together: {'; '.join(twice)}.")
    several = sum(len(same) > 1 for same in names.values())
    if several:
        notes.append(
            f"{several} countries stand under several names or samples; each is one country, with "
            "the mean of its samples where both have a question."
        )
    parts = [v.name for v in value_sets if "non-national" in v.name.lower()]
    if parts:
        notes.append(
            f"{len(parts)} populations of the file are no sample of the whole country, "
            f"such as {parts[0]}."
        )
    return tuple(notes)


def probe(given: ProbeInput) -> pl.DataFrame:
    """Each question as the model itself, then as each country that answered it."""
    file = published(given.options, given.folder)
    put = [Put(AS_ITSELF, None, item) for item in file.items.values()]
    put += [
        Put(country, f"people who live in {country}", file.items[item])
        for country, by_item in file.answers.items()
        for item in sorted(by_item)
    ]
    return probe_items(given, put)


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """Similarity asked as each country and as itself, what being asked as a country adds, and to whom."""
    file = published(given.options, given.folder)
    removed = overlaps(given, list(file.items.values()))
    kept = {name: item for name, item in file.items.items() if name not in removed}
    if not kept:
        raise InputError("evaluate: globalopinionqa: every question overlaps one trained on.")
    clusters = item_clusters([kept[name] for name in sorted(kept)])
    units: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    for method in given.methods:
        for at_seed in given.splits:
            if (method, at_seed) not in given.probes:
                continue
            for name, row in _rows(file, clusters, read_answers(given, method, at_seed), at_seed):
                units[name][method].append(row)
            units["read"][method] += read_rows(given, method, at_seed, clusters)
    for at_seed in given.splits:
        for name, row in _floor_rows(file, clusters, at_seed):
            units[name][UNIFORM].append(row)
    truth = {(c, item): p for c, by_item in file.answers.items() for item, p in by_item.items()}
    tops = [
        row for at_seed in given.splits for _, row in _told_apart(file, clusters, truth, at_seed)
    ]
    floors: dict[str, Any] = {
        name: rows[UNIFORM] for name, rows in units.items() if UNIFORM in rows
    }
    figures, differences = make_figures(
        "globalopinionqa",
        units,
        [UNIFORM, *given.methods],
        seed,
        floors | dict.fromkeys(CHANGES, 0.0),
        {"told_apart": tops},
    )
    sources = Counter(file.sources[name] or "unknown" for name in kept)
    countries = _by_country(units, given.methods)
    return Scorecard(
        figures=figures,
        figure_differences=differences,
        notes=(
            *file.notes,
            removed_note(given, removed, len(file.items), "GlobalOpinionQA"),
            "Questions scored, by the survey they are from: "
            + ", ".join(f"{source} {n}" for source, n in sorted(sources.items()))
            + ".",
            *_least_served(countries),
            *refused_note(given),
        ),
        details={"countries": countries, "removed": removed},
    )


def _rows(
    file: Published,
    clusters: Mapping[str, str],
    said: Sequence[tuple[str, str, str, FloatArray]],
    seed: int,
) -> Iterator[Row]:
    """A method's rows. A method with a model for each value set has those of each of its models."""
    models = dict.fromkeys(value_set for value_set, _, _, _ in said)
    by_place = {(model, population, item): shares for model, population, item, shares in said}
    for model in models:
        named_by_place = {
            place[1:]: shares for place, shares in by_place.items() if place[0] == model
        }
        yield from _told_apart(file, clusters, named_by_place, seed)
        for country, by_item in file.answers.items():
            for item, people in by_item.items():
                if item not in clusters:
                    continue
                place = (seed, country, item, clusters[item])
                itself = by_place.get((model, AS_ITSELF, item))
                named = by_place.get((model, country, item))
                if itself is not None:
                    yield "itself", _measured(place, fit(people, itself))
                if named is None:
                    continue
                yield from _as_country(file, place, people, named)
                if itself is not None:
                    gain = fit(people, named) - fit(people, itself)
                    yield "gain", _measured(place, gain)


def _as_country(
    file: Published, place: tuple[int, str, str, str], people: FloatArray, answer: FloatArray
) -> Iterator[Row]:
    similarity = fit(people, answer)
    yield "country", _measured(place, similarity)
    yield "country_natural", _measured(place, fit_natural(people, answer))
    source = BY_SOURCE.get(file.sources[place[2]])
    if source:
        yield source, _measured(place, similarity)


def _floor_rows(file: Published, clusters: Mapping[str, str], seed: int) -> Iterator[Row]:
    """The even answer, as itself and as each country."""
    for country, by_item in file.answers.items():
        for item, people in by_item.items():
            if item in clusters:
                place = (seed, country, item, clusters[item])
                yield "itself", _measured(place, fit(people, uniform(people.size)))
                yield from _as_country(file, place, people, uniform(people.size))


def _told_apart(
    file: Published,
    clusters: Mapping[str, str],
    said: Mapping[tuple[str, str], FloatArray],
    seed: int,
) -> Iterator[Row]:
    """How much nearer to a country the answer given as it lies than those given as the others.

    For country c: fit(c's people, answer as c) minus the mean over other countries a of
    fit(c's people, answer as a), on questions that several countries answered.
    """
    by_item: dict[str, list[str]] = defaultdict(list)
    for country, answers in file.answers.items():
        for item in answers:
            if item in clusters and (country, item) in said:
                by_item[item].append(country)
    for item, countries in by_item.items():
        if len(countries) > 1:
            people = np.array([file.answers[country][item] for country in countries])
            given = np.array([said[country, item] for country in countries])
            near = fit(people[None, :, :], given[:, None, :])  # (answered as, people of)
            own = np.diagonal(near)
            apart = own - (near.sum(axis=0) - own) / (len(countries) - 1)
            for country, value in zip(countries, apart, strict=True):
                yield "told_apart", _measured((seed, country, item, clusters[item]), value)


def _measured(place: tuple[int, str, str, str], value: FloatArray | float) -> Measured:
    return Measured(*place, float(value), np.ones(1))


def _by_country(
    units: Mapping[str, Mapping[str, Sequence[Measured]]], methods: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """For each method and country: similarity asked as itself and as the country, and how many items.

    Over the items read both ways; countries with fewer than FEWEST of them are left out, as their means
    say little.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for method in methods:
        itself, named = (
            {(row.key, place): row for place, row in _numbered(units.get(name, {}).get(method, ()))}
            for name in ("itself", "country")
        )
        pairs: dict[str, list[tuple[Measured, Measured]]] = defaultdict(list)
        for key in itself.keys() & named.keys():
            pairs[itself[key].value_set].append((itself[key], named[key]))
        found[method] = [
            {
                "country": country,
                "items": len({row.item for row, _ in rows}),
                "as_itself": float(np.mean([row.point for row, _ in rows])),
                "as_country": float(np.mean([row.point for _, row in rows])),
            }
            for country, rows in sorted(pairs.items())
            if len({row.item for row, _ in rows}) >= FEWEST
        ]
    return found


def _numbered(rows: Sequence[Measured]) -> Iterator[tuple[int, Measured]]:
    """Rows with how many of the same key came before: one a model, where a method has several."""
    seen: Counter[tuple[int, str, str]] = Counter()
    for row in rows:
        yield seen[row.key], row
        seen[row.key] += 1


def _least_served(countries: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """For each method, the countries that its answers as that country lie furthest from."""
    for method, rows in countries.items():
        if len(rows) > 1:
            last = sorted(rows, key=lambda row: (row["as_country"], row["country"]))[:LEAST_SERVED]
            shown = ", ".join(f"{row['country']} ({row['as_country']:.3f})" for row in last)
            yield f"{method}: served least when asked as the country are {shown}."


def _prompts(
    value_sets: Sequence[ValueSet], splits: Sequence[ItemSplit], options: Options, folder: Path
) -> int:
    """About as many as the published file would need, over the value sets: it is asked once for all."""
    countries = COUNTRIES_A_QUESTION
    if options.countries is not None:
        countries = max(1, round(countries * len(options.countries) / COUNTRIES))
    every = WAYS * (1 + countries) * (options.most or QUESTIONS)
    return round(every / max(len(value_sets), 1))


EVALUATION = Evaluation(
    "globalopinionqa",
    score,
    question="Whose opinions in the world does it give, and can it give another country's when asked?",
    cannot_show="Whether closeness to a country is knowledge of it or a stereotype, or how it would "
    "answer in that country's language; and some of the file's questions name persons of one "
    "country beside another's shares.",
    measures=(
        Measure(
            name="country",
            label="Similarity, asked as the country",
            explanation="Mean over countries and questions of 1 - Jensen-Shannon distance (base 2), the "
            "country named in the question. The floor is the even answer.",
            better="higher",
            unit="questions",
            headline=True,
        ),
        Measure(
            name="itself",
            label="Similarity, asked as itself",
            explanation="The same with no country named.",
            better="higher",
            unit="questions",
        ),
        Measure(
            name="gain",
            label="Gain from naming the country",
            explanation="The first figure minus the second, on the same questions.",
            better="higher",
            unit="questions",
        ),
        Measure(
            name="told_apart",
            label="Countries told apart",
            explanation="How much nearer to a country the model's answer as that country lies than its "
            "answers as the other countries do: 0 for a model that says the same, or anything at all, "
            "for each. The ceiling is what the countries' own people would score.",
            better="higher",
            unit="questions",
        ),
        Measure(
            name="country_pew",
            label="As the country, Pew's questions",
            explanation="The first figure on questions of Pew's Global Attitudes Survey alone: those "
            "of the World Values Survey may be in a study's training.",
            better="higher",
            unit="questions",
        ),
        Measure(
            name="country_wvs",
            label="As the country, WVS questions",
            explanation="The first figure on questions of the World Values Survey alone.",
            better="higher",
            unit="questions",
        ),
        Measure(
            name="country_natural",
            label="As the country, natural log",
            explanation="The first figure with the distance in natural logarithms, the default of "
            "the common implementation: for comparing with figures that say no base.",
            better="higher",
            unit="questions",
        ),
        READ,
    ),
    options=Options,
    probe=probe,
    prompts=_prompts,
)
