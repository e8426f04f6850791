"""`transfer`: another survey's questions, put to models that were trained on this one.

This is the strictest hold-out: other questions, other wording, other respondents, often another
year. The study's populations are found in the other survey by conditions of their own, or among the
countries of a published table of shares.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from suffrage.arrays import FloatArray
from suffrage.errors import InputError, did_you_mean
from suffrage.evaluate.asking.groups import half_sample_fit, under_replicates
from suffrage.evaluate.asking.item_probes import (
    READ,
    PopulationProbe,
    can_be_asked,
    chosen_items,
    probe_items,
    read_rows,
    refused_note,
    removed_note,
    without_overlaps,
)
from suffrage.evaluate.asking.published_answers import globalopinionqa_value_sets
from suffrage.evaluate.fit import AVERAGE, UNIFORM
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
from suffrage.models import ways_of_asking
from suffrage.population import AnswerDistribution, ValueSet, build_value_set
from suffrage.population.distribution_distances import earth_movers_distance, fit
from suffrage.population.where import select
from suffrage.survey import Item, read_survey, survey_files
from suffrage.training_data import ItemSplit
from suffrage.training_data.average_answer import average_answer, uniform
from suffrage.training_data.split import item_clusters

MEASURES = ("fit", "emd")


class Options(EvaluationOptions):
    """What a study may say about the other survey: name either `survey` or `published`."""

    survey: dict[str, Any] | None = None
    """The other survey, as a study's `survey:` section."""
    published: str | None = None
    """A table in the layout of GlobalOpinionQA."""
    sources: tuple[str, ...] | None = None
    """The surveys to take from a published table, such as [GAS]; None for all."""
    value_sets: dict[str, dict[str, Any]] = Field(min_length=1)
    """For the name of each value set of the study, the conditions that select the same population
    in the other survey; for a published table, `{country: ...}` as the table spells it."""
    most: int | None = Field(default=None, ge=1)
    """How many questions are asked; None for all."""

    @model_validator(mode="after")
    def _one_other_survey(self) -> Options:
        if (self.survey is None) == (self.published is None):
            raise ValueError("give either survey or published")
        if self.survey is not None and "reader" not in self.survey:
            raise ValueError("survey.reader is missing")
        if self.survey is not None and self.sources is not None:
            raise ValueError("sources goes with published")
        odd = [name for name, where in self.value_sets.items() if set(where) != {"country"}]
        if self.published is not None and odd:
            raise ValueError(
                f"value_sets.{odd[0]} must be {{country: ...}}: a published table has only "
                f"countries"
            )
        return self

    def files_in(self, folder: Path) -> list[Path]:
        """The other survey's files."""
        if self.survey is None:
            return [folder / str(self.published)]
        return survey_files(self.survey, folder)


@dataclass(frozen=True)
class OtherSurvey:
    """A survey or a published table that models are tested on."""

    title: str
    statement: str
    """One sentence on whom its answers represent."""
    has_people: bool
    """Whether respondents are at hand."""
    items: list[Item]
    """The items that can be asked."""
    answered: Callable[[str, dict[str, Any]], set[str]]
    """From the name and conditions of a population, the ids of the items that it answered."""
    targets: Callable[[str, dict[str, Any], str, int], Mapping[str, AnswerDistribution]]
    """From name, conditions, description and seed of a population, what it answered by item."""


def _other(options: Options, folder: Path) -> OtherSurvey:
    other = _table(options, folder) if options.survey is None else _survey(options.survey, folder)
    items = [item for item in other.items if can_be_asked(item)]
    if not items:
        raise InputError(f"evaluate: transfer: {other.title} has no item to ask.")
    return replace(other, items=chosen_items(items, options.most))


def _survey(section: dict[str, Any], folder: Path) -> OtherSurvey:
    survey = read_survey(section, folder)

    def answered(name: str, where: dict[str, Any]) -> set[str]:
        rows = select(survey, where, name)
        ids = [item.id for item in survey.codebook.items]
        return {one for one in ids if (survey.positions(one)[rows] >= 0).any()}

    def targets(
        name: str, where: dict[str, Any], description: str, seed: int
    ) -> Mapping[str, AnswerDistribution]:
        return build_value_set(survey, name, where, seed, description).distributions

    return OtherSurvey(
        survey.codebook.title,
        survey.provenance.statement,
        True,
        list(survey.codebook.items),
        answered,
        targets,
    )


def _table(options: Options, folder: Path) -> OtherSurvey:
    """A published table as the other survey. Raises InputError on a country it does not have."""
    path = folder / str(options.published)
    countries = list(dict.fromkeys(str(w["country"]) for w in options.value_sets.values()))
    found = {v.name: v for v in globalopinionqa_value_sets(path, countries, options.sources)}
    items = {item.id: item for value_set in found.values() for item in value_set.items}
    named = "" if options.sources is None else f" ({', '.join(options.sources)})"

    def targets(
        name: str, where: dict[str, Any], description: str, seed: int
    ) -> Mapping[str, AnswerDistribution]:
        return found[str(where["country"])].distributions

    return OtherSurvey(
        f"the published table {path.name}{named}",
        "It does not say how many people are behind its shares, so there is no ceiling, and "
        "intervals resample questions alone.",
        False,
        [items[name] for name in sorted(items)],
        lambda name, where: set(targets(name, where, "", 0)),
        targets,
    )


def _check_names(options: Options, value_sets: Sequence[ValueSet]) -> None:
    known = [value_set.name for value_set in value_sets]
    unknown = [name for name in options.value_sets if name not in known]
    if unknown:
        raise InputError(
            f'evaluate: transfer: value_sets: the study has no value set "{unknown[0]}"; it has '
            f"{', '.join(known)}.{did_you_mean(unknown[0], known)}"
        )


def probe(given: ProbeInput) -> pl.DataFrame:
    """The other survey's items as each mapped population, or once as the model itself."""
    options: Options = given.options
    other = _other(options, given.folder)
    if not given.as_population:
        probes = [PopulationProbe(AS_ITSELF, None, item) for item in other.items]
        return probe_items(given, probes, AS_ITSELF)
    probes = []
    for value_set in given.value_sets:
        if value_set.name in options.value_sets:
            answered = other.answered(value_set.name, options.value_sets[value_set.name])
            probes += [
                PopulationProbe(value_set.name, given.persona(value_set), item)
                for item in other.items
                if item.id in answered
            ]
    return probe_items(given, probes, AS_ITSELF).with_columns(value_set=pl.col("population"))


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """Fit and earth mover's distance on the other survey, floors, ceiling and the way between."""
    options: Options = given.options
    _check_names(options, given.value_sets)
    other = _other(options, given.folder)
    kept, removed = without_overlaps(given, other.items, "transfer")
    mapped = [v for v in given.value_sets if v.name in options.value_sets]
    wanted = {item.id for item in kept}
    targets = {
        v.name: {
            item: distribution
            for item, distribution in other.targets(
                v.name, options.value_sets[v.name], v.description, seed
            ).items()
            if item in wanted
        }
        for v in mapped
    }
    clusters = item_clusters(other.items)
    units: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    ceilings: dict[str, list[Measured]] = defaultdict(list)
    for at_seed, split in given.splits.items():
        for value_set in mapped:
            said = _said(given, at_seed, value_set.name)
            for item, target in targets[value_set.name].items():
                place = (at_seed, value_set.name, item, clusters[item])
                by_method = {UNIFORM: uniform(target.shares.size)}
                average = None
                if not given.trains_on_none:
                    average = average_answer(value_set, split, target.shares.size)
                    by_method[AVERAGE] = average
                by_method |= {name: shares[item] for name, shares in said.items() if item in shares}
                for name, top in _ceiling(place, target) if other.has_people else ():
                    ceilings[name].append(top)
                for method, shares in by_method.items():
                    for name, row in _rows(place, target, shares, average):
                        units[name][method].append(row)
        for method in given.methods:
            if (method, at_seed) in given.probes:
                asked = {item: name for item, name in clusters.items() if item in wanted}
                units["read"][method] += read_rows(given, method, at_seed, asked)
    floors: dict[str, Any] = {name: units[name][UNIFORM] for name in MEASURES if name in units}
    figures, differences = make_figures(
        "transfer",
        units,
        [UNIFORM, AVERAGE, *given.methods],
        seed,
        floors | {"way": 0.0},
        {**ceilings, "way": 1.0},
        given.left_out,
    )
    return Scorecard(
        figures=figures,
        figure_differences=tuple(d for d in differences if d.method in given.methods),
        notes=(
            f"The other survey is {other.title}. {other.statement}",
            removed_note(given, removed, len(other.items), "the other survey"),
            *_left_out(given, options),
            *refused_note(given),
        ),
        details={"removed": removed},
    )


def _left_out(given: EvaluationInput, options: Options) -> tuple[str, ...]:
    absent = [v.name for v in given.value_sets if v.name not in options.value_sets]
    return (f"Not mapped to the other survey: {', '.join(absent)}.",) if absent else ()


def _said(given: EvaluationInput, seed: int, value_set: str) -> dict[str, dict[str, FloatArray]]:
    """method -> item -> shares, of the answers that count for a value set."""
    return {
        method: {
            row["item"]: np.array(row["shares"])
            for row in given.said(method, seed, value_set).filter(~pl.col("refused")).to_dicts()
        }
        for method in given.methods
        if (method, seed) in given.probes
    }


def _rows(
    place: tuple[int, str, str, str],
    target: AnswerDistribution,
    q: FloatArray,
    average: FloatArray | None,
) -> list[tuple[str, Measured]]:
    """Fit, the way from the average answer where there is one, and the earth mover's distance."""
    p = target.shares
    point, drawn = float(fit(p, q)), under_replicates(target, lambda people: fit(people, q))
    found = [("fit", Measured(*place, point, drawn))]
    top = half_sample_fit(target)
    if top is not None and average is not None:
        low = float(fit(p, average))
        low_drawn = under_replicates(target, lambda people: fit(people, average))
        found.append(("way", Measured(*place, point - low, drawn - low_drawn, top - low)))
    if target.item.ordered:
        distance = float(earth_movers_distance(p, q))
        moved = under_replicates(target, lambda people: earth_movers_distance(people, q))
        found.append(("emd", Measured(*place, distance, moved)))
    return found


def _ceiling(
    place: tuple[int, str, str, str], target: AnswerDistribution
) -> list[tuple[str, Measured]]:
    first, second = target.first_halves, target.second_halves
    found = [("fit", Measured(*place, float(fit(first, second).mean()), np.ones(1)))]
    if target.item.ordered:
        distance = float(earth_movers_distance(first, second).mean())
        found.append(("emd", Measured(*place, distance, np.ones(1))))
    return found


def _prompts(
    value_sets: Sequence[ValueSet], splits: Sequence[ItemSplit], options: Options, folder: Path
) -> int:
    """As many a question as the study's own items take; without `most`, as many questions."""
    _check_names(options, value_sets)
    items = {item.id: item for value_set in value_sets for item in value_set.items}
    ways = sum(len(ways_of_asking(item, None)) for item in items.values()) / len(items)
    return round(ways * (options.most or len(items)))


EVALUATION = Evaluation(
    "transfer",
    score,
    question="Does what it learned from this survey hold in another survey of the same people?",
    cannot_show="Whether a gap comes from the model or from the surveys, which also differ in "
    "year, mode of asking, sample and wording.",
    measures=(
        Measure(
            name="fit",
            lowest=0.0,
            highest=1.0,
            label="Fit on the other survey",
            explanation="1 - Jensen-Shannon distance (base 2) between the model's shares and the "
            "population's in the other survey. The floor is the even answer, the ceiling one half "
            "of the other survey's respondents compared with the other.",
            better="higher",
            unit="items",
            headline=True,
        ),
        Measure(
            name="emd",
            lowest=0.0,
            highest=1.0,
            label="Earth mover's distance on the other survey",
            explanation="How far answers would have to move along the scale, from 0 to 1; ordered "
            "items only.",
            better="lower",
            unit="items",
        ),
        Measure(
            name="way",
            label="Way from the average answer to the ceiling",
            explanation="0 where fit is that of the average answer to the study's trained items, "
            "which ignores the question, 1 at the ceiling; if respondents are available.",
            better="higher",
            unit="items",
            digits=2,
        ),
        READ,
    ),
    options=Options,
    probe=probe,
    asks_for_shares=True,
    prompts=_prompts,
)
