"""`globalopinionqa`: how near a model's answers are to those of many countries.

Each question is asked once of the model as itself and once as each country that answered it (the
paper's cross-national prompting). Similarity is the mean of 1 - Jensen-Shannon distance. Source:
Durmus et al. (2023).
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
    ModelShares,
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
    globalopinionqa_value_sets,
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
from suffrage.population.distribution_distances import LOWEST_FIT_NATURAL, fit, fit_natural
from suffrage.survey.readers.globalopinionqa import question_sources
from suffrage.training_data import ItemSplit
from suffrage.training_data.average_answer import uniform
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
# More countries than this are counted and not named.
MOST_NAMED = 8
# For plans: four options in four rotations with two label sets, and the published file's size.
WAYS, COUNTRIES_A_QUESTION, COUNTRIES, QUESTIONS = 8, 12, 130, 2556
# Measures that are 0 where nothing was gained. Their floor needs no rows.
CHANGES = ("gain", "told_apart")
BY_SOURCE = {WVS: "country_wvs", PEW: "country_pew"}


class Options(EvaluationOptions):
    """What a study may say about the benchmark's file."""

    path: str
    """The benchmark's CSV file, as published."""
    countries: tuple[str, ...] | None = None
    """Countries as the file spells them; None for all."""
    most: int | None = Field(default=None, ge=1)
    """How many questions are asked, spread over the file; None for all."""
    sources: tuple[str, ...] | None = None
    """Surveys whose questions are asked, such as [GAS]; None for all."""

    @property
    def files(self) -> tuple[str, ...]:
        """The benchmark's file."""
        return (self.path,)


@dataclass(frozen=True)
class PublishedCountries(PublishedShares):
    """What the countries answered; a country of several samples has the mean of theirs."""

    sources: Mapping[str, str]
    """The survey that each item is from."""


def country_name(spelled: str) -> str:
    """The country of a population of the file, whatever sample it was and however it is spelled."""
    plain = re.sub(r"\s*\(.*\)$", "", spelled).strip()
    return SPELLINGS.get(plain, plain)


def read_countries(options: Options, folder: Path) -> PublishedCountries:
    """Read the questions and countries that the options leave, with notes on what the file holds.

    Raises
    ------
    InputError
        The file has another layout, a country is unknown, or no question is left.
    """
    path = folder / options.path
    value_sets = globalopinionqa_value_sets(path, options.countries, options.sources)
    every = {item.id: item for value_set in value_sets for item in value_set.items}
    items = {
        item.id: item
        for item in chosen_items([i for i in every.values() if can_be_asked(i)], options.most)
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
    return PublishedCountries(
        items,
        answers,
        _file_notes(value_sets, found, len(items), len(every)),
        {item.id: sources.get(item.question, "") for item in items.values()},
    )


def _file_notes(
    value_sets: Sequence[ValueSet],
    found: Mapping[str, Mapping[str, Sequence[FloatArray]]],
    chosen: int,
    every: int,
) -> tuple[str, ...]:
    aside = [note for value_set in value_sets for note in value_set.set_aside]
    # The reason is in brackets; a figure at its end differs from row to row.
    reasons = Counter(
        re.sub(r"sum to [\d.]+, not to 1.*$", "do not sum to 1", note[note.index("(") + 1 : -1])
        for note in aside
    )
    notes = [
        f"{chosen} of {plural(every, 'question')} {by_count(chosen, 'is', 'are')} asked, with "
        "answers of "
        f"{plural(len(found), 'country')}; the file does not say how many people are behind a "
        "share, so there is no ceiling and the intervals resample questions alone.",
    ]
    if aside:
        why = "; ".join(f"{n}: {reason}" for reason, n in sorted(reasons.items()))
        rows = f"{plural(len(aside), 'row')} of the file {by_count(len(aside), 'is', 'are')}"
        notes.append(f"{rows} set aside ({why}).")
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
            f"{plural(several, 'country')} {by_count(several, 'has', 'have')} several names or "
            "samples; each is one country, with "
            "the mean of its samples where both have a question."
        )
    parts = [v.name for v in value_sets if "non-national" in v.name.lower()]
    if parts:
        notes.append(
            f"{plural(len(parts), 'population')} of the file "
            f"{by_count(len(parts), 'is', 'are')} no sample of the whole country, such as "
            f"{parts[0]}."
        )
    return tuple(notes)


def probe(given: ProbeInput) -> pl.DataFrame:
    """Each question as the model itself, then as each country that answered it."""
    file = read_countries(given.options, given.folder)
    return probe_items(given, file.probes(lambda country: f"people who live in {country}"))


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """Similarity as each country and as itself, what naming the country adds, and to whom."""
    file = read_countries(given.options, given.folder)
    kept, removed = without_overlaps(given, list(file.items.values()), "globalopinionqa")
    clusters = item_clusters(sorted(kept, key=lambda item: item.id))
    truth = {(c, item): p for c, by_item in file.answers.items() for item, p in by_item.items()}
    even = {place: uniform(p.size) for place, p in truth.items()}
    even |= {(AS_ITSELF, name): uniform(len(item.options)) for name, item in file.items.items()}
    units: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    tops: list[Measured] = []
    for method in given.methods:
        for at_seed in given.splits:
            if (method, at_seed) not in given.probes:
                continue
            for said in shares_by_model(given, method, at_seed):
                for name, row in _rows(file, clusters, said, at_seed):
                    units[name][method].append(row)
            units["read"][method] += read_rows(given, method, at_seed, clusters)
    for at_seed in given.splits:
        tops += [row for _, row in _told_apart(file, clusters, truth, at_seed)]
        for name, row in _rows(file, clusters, even, at_seed):
            if name not in CHANGES:
                units[name][UNIFORM].append(row)
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
    sources = Counter(file.sources[item.id] or "unknown" for item in kept)
    every_country = _by_country(units, given.methods)
    countries = {
        method: [row for row in rows if row["items"] >= FEWEST]
        for method, rows in every_country.items()
    }
    return Scorecard(
        figures=figures,
        figure_differences=differences,
        notes=(
            *file.notes,
            removed_note(given, removed, len(file.items), "GlobalOpinionQA"),
            "Questions scored, by the survey they are from: "
            + ", ".join(f"{source} {n}" for source, n in sorted(sources.items()))
            + ".",
            *_too_few_questions(every_country),
            *_least_served(countries),
            *refused_note(given),
        ),
        details={"countries": countries, "removed": removed},
    )


def _rows(
    file: PublishedCountries, clusters: Mapping[str, str], said: ModelShares, seed: int
) -> Iterator[NamedRow]:
    """The rows of one model's answers."""

    def similarity(place: PublishedPlace, people: FloatArray, answer: FloatArray) -> float:
        return float(fit(people, answer))

    yield from _told_apart(file, clusters, said, seed)
    for name, row in compared(file.places(clusters, seed), said, similarity, "country"):
        yield name, row
        source = BY_SOURCE.get(file.sources[row.item])
        if name == "country" and source:
            yield source, row
    for place, people in file.places(clusters, seed):
        if place[1:3] in said:
            yield "country_natural", plain_row(place, fit_natural(people, said[place[1:3]]))


def _told_apart(
    file: PublishedCountries, clusters: Mapping[str, str], said: ModelShares, seed: int
) -> Iterator[NamedRow]:
    """How much nearer to a country the answer given as it is than those given as the others.

    For country c: fit(c's people, answer as c) minus the mean over other countries a of
    fit(c's people, answer as a), on questions that several countries answered. Only questions on
    which the answers as all of those countries could be read: without a neighbour that is hard to
    tell from c, it would be easier.
    """
    by_item: dict[str, list[str]] = defaultdict(list)
    for country, answers in file.answers.items():
        for item in answers:
            if item in clusters:
                by_item[item].append(country)
    for item, countries in by_item.items():
        if len(countries) > 1 and all((country, item) in said for country in countries):
            people = np.array([file.answers[country][item] for country in countries])
            given = np.array([said[country, item] for country in countries])
            near = fit(people[None, :, :], given[:, None, :])  # (answered as, people of)
            own = np.diagonal(near)
            apart = own - (near.sum(axis=0) - own) / (len(countries) - 1)
            for country, value in zip(countries, apart, strict=True):
                yield "told_apart", plain_row((seed, country, item, clusters[item]), value)


def _by_country(
    units: Mapping[str, Mapping[str, Sequence[Measured]]], methods: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """The similarity as itself and as the country, for each method and country.

    Only items that could be read both ways count.
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
        ]
    return found


def _too_few_questions(countries: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """Which countries are in the figures but not shown by themselves: their means say little."""
    dropped = sorted(
        {row["country"] for rows in countries.values() for row in rows if row["items"] < FEWEST}
    )
    if dropped:
        named = ", ".join(dropped[:MOST_NAMED]) + (", ..." if len(dropped) > MOST_NAMED else "")
        yield (
            f"{plural(len(dropped), 'country')} with fewer than {FEWEST} questions read "
            f"{by_count(len(dropped), 'is', 'are')} counted in the "
            f"figures and not shown alone: {named}."
        )


def _numbered(rows: Sequence[Measured]) -> Iterator[tuple[int, Measured]]:
    """Rows, each with the number of earlier rows of its key: a method may have several models."""
    seen: Counter[tuple[int, str, str]] = Counter()
    for row in rows:
        yield seen[row.key], row
        seen[row.key] += 1


def _least_served(countries: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """For each method, the countries furthest from its answers as that country."""
    for method, rows in countries.items():
        if len(rows) > 1:
            last = sorted(rows, key=lambda row: (row["as_country"], row["country"]))[:LEAST_SERVED]
            shown = ", ".join(f"{row['country']} ({row['as_country']:.3f})" for row in last)
            yield f"{method}: served least when asked as the country are {shown}."


def _prompts(
    value_sets: Sequence[ValueSet], splits: Sequence[ItemSplit], options: Options, folder: Path
) -> int:
    """About as many as the published file needs."""
    countries = COUNTRIES_A_QUESTION
    if options.countries is not None:
        countries = max(1, round(countries * len(options.countries) / COUNTRIES))
    return planned_prompts(options.most or QUESTIONS, countries, WAYS, value_sets)


EVALUATION = Evaluation(
    "globalopinionqa",
    score,
    question="Whose opinions in the world does it give, and can it give another country's when "
    "asked?",
    cannot_show="Whether closeness to a country is knowledge or a stereotype, or how the model "
    "would answer in that country's language. Some of the file's questions name people of one "
    "country and give another country's shares.",
    measures=(
        Measure(
            name="country",
            lowest=0.0,
            highest=1.0,
            label="Similarity, asked as the country",
            explanation="Mean over countries and questions of 1 - Jensen-Shannon distance (base "
            "2), the country named in the question. The floor is the even answer.",
            better="higher",
            unit="questions",
            headline=True,
        ),
        Measure(
            name="itself",
            lowest=0.0,
            highest=1.0,
            label="Similarity, asked as itself",
            explanation="The same with no country named.",
            better="higher",
            unit="questions",
        ),
        Measure(
            name="gain",
            lowest=-1.0,
            highest=1.0,
            label="Gain from naming the country",
            explanation="The first figure minus the second, on the same questions.",
            better="higher",
            unit="questions",
        ),
        Measure(
            name="told_apart",
            lowest=-1.0,
            highest=1.0,
            label="Countries told apart",
            explanation="How much nearer to a country the model's answer as that country is than "
            "its answers as the other countries are: 0 for a model that gives the same answer, "
            "or random answers, for each. The ceiling is what the countries' own people would "
            "score.",
            better="higher",
            unit="questions",
        ),
        Measure(
            name="country_pew",
            lowest=0.0,
            highest=1.0,
            label="As the country, Pew's questions",
            explanation="The first figure on questions of Pew's Global Attitudes Survey alone: "
            "those of the World Values Survey may be in a study's training.",
            better="higher",
            unit="questions",
        ),
        Measure(
            name="country_wvs",
            lowest=0.0,
            highest=1.0,
            label="As the country, WVS questions",
            explanation="The first figure on questions of the World Values Survey alone.",
            better="higher",
            unit="questions",
        ),
        Measure(
            name="country_natural",
            lowest=LOWEST_FIT_NATURAL,
            highest=1.0,
            label="As the country, natural log",
            explanation="The first figure with the distance in natural logarithms, the default of "
            "the common implementation: to compare with figures that name no base.",
            better="higher",
            unit="questions",
        ),
        READ,
    ),
    options=Options,
    probe=probe,
    asks_for_shares=True,
    prompts=_prompts,
)
