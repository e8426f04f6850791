"""The sources of a study, surveys and published tables, and the value sets made of them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.arrays import BoolArray
from suffrage.errors import InputError, did_you_mean, naming_file
from suffrage.population import ValueSet, build_value_set
from suffrage.population.published import SourcePopulation, published_value_set
from suffrage.population.segments import Segmentation, segment_survey
from suffrage.population.where import matching
from suffrage.study.pre_aligned import check_populations_are_new, known_populations
from suffrage.study.schema import (
    EachSpec,
    SourceSpec,
    Study,
    ValueSetSpec,
    read_study_source,
    respondents_source,
)
from suffrage.survey import Item, Survey
from suffrage.survey.published_table import MANIFEST, PublishedTable

# What a study reads, by the source's name.
Sources = Mapping[str, Survey | PublishedTable]


def read_sources(study: Study) -> dict[str, Survey | PublishedTable]:
    """Read every source of a study. Raises InputError on whatever is wrong with one."""
    return {source.name: read_study_source(study, source) for source in study.survey}


def stored_source(folder: Path) -> Survey | PublishedTable:
    """Read back a source from the folder that a run stored it in."""
    if (folder / MANIFEST).is_file():
        return PublishedTable.read(folder)
    return Survey.read(folder)


def source_items(study: Study, sources: Sources) -> tuple[Item, ...]:
    """The items of all sources, in their order, by the ids that the study gives them."""
    return tuple(
        item.model_copy(update={"id": source.prefix + item.id}) if source.prefix else item
        for source in study.survey
        for item in sources[source.name].codebook.items
    )


def built_value_set(study: Study, sources: Sources, spec: ValueSetSpec) -> ValueSet:
    """Build one value set of a study; a segment's has the weights of its members.

    Raises InputError where a source has no such population, or nobody meets the conditions.
    """
    with naming_file(study.source.name):
        return value_set_of(study, sources, spec)


def value_set_of(study: Study, sources: Sources, spec: ValueSetSpec) -> ValueSet:
    """As `built_value_set`, with errors that do not name the study's file."""
    if spec.sources:
        parts = [
            _part(study, sources, spec, _source(study, name), wanted)
            for name, wanted in spec.sources.items()
        ]
        return _joined(spec, parts)
    if spec.population is not None:
        return _part(study, sources, spec, _table_source(study, spec), spec.population)
    source = _source(study, spec.source) if spec.source else respondents_source(study)
    survey = sources[source.name]
    if isinstance(survey, PublishedTable):
        raise InputError(
            f"value_sets: {spec.name}: {source.name} is a published table; name one of its "
            f"populations, such as population: {survey.populations[0]}."
        )
    members = survey
    if spec.segment is not None:
        folder, place = spec.segment
        members = segment_survey(survey, Segmentation.read(study.output / folder), place)
    made = build_value_set(
        members, spec.name, spec.where, study.seeds[0], spec.description, spec.parent, survey
    )
    return _prefixed(made, source.prefix)


def value_set_members(study: Study, survey: Survey) -> dict[str, BoolArray]:
    """Return who belongs to each value set that the study makes of its one survey.

    Parameters
    ----------
    study : Study
    survey : Survey
        What the study's source with respondents holds.

    Returns
    -------
    dict
        By the value set's name, shape (respondents,). Populations of published tables, and
        segments, which need a model of the answers first, are left out.

    Raises
    ------
    InputError
        A condition names a demographic that the survey does not have.
    """
    source = respondents_source(study).name
    wanted: dict[str, Mapping[str, object]] = {}
    if study.each is not None:
        for population, conditions, _ in _populations(study.each, survey, source):
            if isinstance(conditions, dict) and population in (study.each.only or (population,)):
                wanted[population] = conditions
    for spec in study.value_sets:
        conditions = spec.sources.get(source, {}) if spec.sources else spec.where
        in_survey = not spec.sources or source in spec.sources
        if spec.population is None and spec.segment is None and in_survey:
            wanted[spec.name] = conditions if isinstance(conditions, dict) else {}
    with naming_file(study.source.name):
        return {name: matching(survey, where, name) for name, where in wanted.items()}


def used_sources(study: Study, spec: ValueSetSpec) -> list[str]:
    """The names of the sources that a value set is made of."""
    if spec.sources:
        return list(spec.sources)
    if spec.population is not None:
        return [_table_source(study, spec).name]
    return [spec.source if spec.source else respondents_source(study).name]


def _source(study: Study, name: str) -> SourceSpec:
    return next(source for source in study.survey if source.name == name)


def _table_source(study: Study, spec: ValueSetSpec) -> SourceSpec:
    """The table that a value set's population is in."""
    if spec.source is not None:
        return _source(study, spec.source)
    if len(study.survey) == 1:
        return study.survey[0]
    names = ", ".join(source.name for source in study.survey)
    raise InputError(
        f"value_sets: {spec.name}: there are several sources ({names}); say in which one the "
        f"population is, such as source: {study.survey[0].name}."
    )


def _part(
    study: Study,
    sources: Sources,
    spec: ValueSetSpec,
    source: SourceSpec,
    wanted: str | Mapping[str, object],
) -> ValueSet:
    """What one source says of a value set's population."""
    found = sources[source.name]
    seed = study.seeds[0]
    if isinstance(found, PublishedTable):
        if not isinstance(wanted, str):
            raise InputError(
                f"value_sets: {spec.name}: {source.name} is a published table; name one of its "
                f"populations, such as {source.name}: {found.populations[0]}."
            )
        place = SourcePopulation(found, wanted, source.prefix)
        return published_value_set([place], spec.name, spec.description, seed)
    if isinstance(wanted, str):
        raise InputError(
            f"value_sets: {spec.name}: {source.name} has respondents; say which ones, such as "
            f"{source.name}: {{country: {wanted}}}."
        )
    made = build_value_set(found, spec.name, wanted, seed, spec.description)
    return _prefixed(made, source.prefix)


def _prefixed(value_set: ValueSet, prefix: str) -> ValueSet:
    """The value set with a source's name before the ids of its items."""
    if not prefix:
        return value_set
    distributions = {
        prefix + item_id: replace(d, item=d.item.model_copy(update={"id": prefix + item_id}))
        for item_id, d in value_set.distributions.items()
    }
    aside = tuple(prefix + text for text in value_set.set_aside)
    return replace(value_set, distributions=distributions, set_aside=aside)


def _joined(spec: ValueSetSpec, parts: list[ValueSet]) -> ValueSet:
    """One value set of what several sources say of a population."""
    first, known = parts[0], [part for part in parts if part.n]
    return replace(
        first,
        where={"sources": dict(spec.sources)},
        distributions={
            item: distribution
            for part in parts
            for item, distribution in part.distributions.items()
        },
        n=sum(part.n for part in known),
        n_eff=sum(part.n_eff for part in known) if known else math.nan,
        design_effect=max((part.design_effect for part in known), default=math.nan),
        weighting="; ".join(dict.fromkeys(part.weighting for part in parts)),
        survey_hash=storage.content_hash([part.survey_hash for part in parts]),
        set_aside=tuple(text for part in parts for text in part.set_aside),
    )


def with_populations(study: Study, sources: Sources | None = None) -> Study:
    """The study with a value set for each population, and with those held out not trained on.

    Sources that the caller has read are not read again. Raises InputError where two populations
    would have one name, or too few are left to train on.
    """
    if study.each is not None and sources is None:
        sources = read_sources(study)
    with naming_file(study.source.name):
        if study.each is not None and sources is not None:
            specs = _each_population(study, study.each, sources)
            study = study.model_copy(update={"value_sets": specs, "each": None})
        left_out = populations_held_out(study)
    if left_out:
        specs = tuple(
            spec.model_copy(update={"train": False}) if spec.name in left_out else spec
            for spec in study.value_sets
        )
        study = study.model_copy(update={"value_sets": specs})
    check_populations_are_new(study)
    return study


def _each_population(study: Study, each: EachSpec, sources: Sources) -> tuple[ValueSetSpec, ...]:
    """A value set for each population's name, made of every source that has it."""
    found: dict[str, dict[str, str | dict[str, object]]] = {}
    items: dict[str, int] = {}
    for source in study.survey:
        for population, wanted, count in _populations(each, sources[source.name], source.name):
            found.setdefault(population, {})[source.name] = wanted
            items[population] = items.get(population, 0) + count
    unknown = [name for name in each.only if name not in found]
    if unknown:
        raise InputError(
            f'value_sets.only: there is no population "{unknown[0]}"; there are '
            f"{', '.join(sorted(found)[:12])}{' ...' if len(found) > 12 else '.'}"
            f"{did_you_mean(unknown[0], found)}"
        )
    kept = [
        name
        for name in sorted(found)
        if items[name] >= each.least_items and (not each.only or name in each.only)
    ]
    if not kept:
        raise InputError(
            f"value_sets: no population has answers to {each.least_items} items; lower least_items."
        )
    specs: dict[str, ValueSetSpec] = {}
    for population in kept:
        name = value_set_name(population)
        if name in specs:
            raise InputError(
                f'value_sets: two populations would be called "{name}"; give one of them another '
                "name under the source's rename."
            )
        described = each.description.format(name=population) if each.description else None
        place = found[population]
        own: dict[str, object] = {"sources": place}
        if list(place) == [""]:
            wanted = place[""]
            own = {"population" if isinstance(wanted, str) else "where": wanted}
        specs[name] = ValueSetSpec.model_validate({"name": name, "description": described, **own})
    return tuple(specs.values())


def _populations(
    each: EachSpec, source: Survey | PublishedTable, name: str
) -> Iterable[tuple[str, str | dict[str, object], int]]:
    """Each population of a source, how the source finds it, and to how many items it answered."""
    if isinstance(source, PublishedTable):
        for population, cells in source.cells.items():
            yield population, population, len(cells)
        return
    if each.each not in source.codebook.demographics:
        known = ", ".join(source.codebook.demographics) or "none"
        raise InputError(
            f'value_sets.each: {name or "the survey"} has no demographic "{each.each}"; it has '
            f"{known}."
        )
    for value in source.responses[each.each].drop_nulls().unique().sort().to_list():
        rows = source.responses.filter(pl.col(each.each) == value)
        asked = sum(bool((rows[item.id] >= 0).any()) for item in source.codebook.items)
        yield str(value), {each.each: str(value)}, asked


def value_set_name(population: str) -> str:
    """A population's name as a study can use it: lower-case words between hyphens.

    Examples
    --------
    >>> value_set_name("Bosnia and Herzegovina")
    'bosnia-and-herzegovina'
    >>> value_set_name("Ōtautahi")
    'otautahi'
    """
    letters = unicodedata.normalize("NFKD", population.lower())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[^\w.]+", "-", plain, flags=re.ASCII).strip("-._") or "population"


def populations_held_out(study: Study) -> tuple[str, ...]:
    """The value sets that `held_out.population` keeps out of all training.

    A share is drawn among those that no pre-aligned start was trained on. Raises InputError on a
    name that is no value set, where none would be left, and where too few are new.
    """
    wanted = study.held_out.population
    if wanted is None:
        return ()
    names = [spec.name for spec in study.value_sets]
    if not isinstance(wanted, float):
        unknown = [name for name in wanted if name not in names]
        if unknown:
            raise InputError(
                f'held_out.population: there is no value set "{unknown[0]}"; there are '
                f"{', '.join(names[:12])}{' ...' if len(names) > 12 else ''}."
                f"{did_you_mean(unknown[0], names)}"
            )
        chosen = tuple(wanted)
    else:
        generator = np.random.default_rng([study.seeds[0], 4])
        order = generator.permutation(len(names))
        count, known = round(wanted * len(names)), known_populations(study)
        drawn = [name for place in order if (name := sorted(names)[place]) not in known]
        if known and len(drawn) < count:
            raise InputError(
                f"held_out.population: {wanted:g} of {len(names)} value sets is {count}, and only "
                f"{len(drawn)} are new to {' and '.join(dict.fromkeys(known.values()))}; hold out "
                "fewer, or start from a checkpoint that has learnt fewer."
            )
        chosen = tuple(drawn[:count])
    if len(names) - len(chosen) < 1:
        raise InputError("held_out.population: leaves no population to train on; hold out less.")
    return chosen
