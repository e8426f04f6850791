"""Segments of a study's population, for `suffrage segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suffrage import settings, storage
from suffrage.errors import InputError, did_you_mean, require_installed
from suffrage.population import ValueSet
from suffrage.population.segments import (
    Segmentation,
    SegmentSettings,
    assign_segments,
    find_segments,
    marks,
)
from suffrage.study.inputs import study_split
from suffrage.study.pre_aligned import items_trained_before
from suffrage.study.progress import Progress
from suffrage.study.schema import Study, ValueSetSpec, study_survey
from suffrage.study.sources import Sources, built_value_set, read_sources, with_populations
from suffrage.study.stages import VERSION
from suffrage.survey import Survey

# How many of the answers that mark a segment describe it to the model.
DESCRIBED_BY = 2


def segment_study(
    study: Study,
    value_set: str | None,
    wanted: dict[str, Any],
    frozen: Path | None,
    quiet: bool,
) -> tuple[Segmentation, Survey, str]:
    """The segments of one value set's population, or of everyone; the survey; a title.

    wanted: fields of `SegmentSettings`. frozen: a folder of segments found before, to be used
    instead of finding any. Raises InputError on an unknown value set or setting.
    """
    specs = {spec.name: spec for spec in study.value_sets}
    if value_set is not None and value_set not in specs:
        raise InputError(
            f'there is no value set "{value_set}" in {study.source.name}; there are '
            f"{', '.join(specs)}.{did_you_mean(value_set, specs)}"
        )
    where = specs[value_set].where if value_set else {}
    name = value_set or "segment"
    title = f"Segments: {study.title or study.study}" + (f", {value_set}" if value_set else "")
    checked = settings.validated(SegmentSettings, wanted, "the command", "segments")
    if frozen is None:
        require_installed("sklearn", "segments", "segments")
    survey = study_survey(study)
    if frozen is not None:
        return assign_segments(Segmentation.read(frozen), survey, where, name), survey, title
    with Progress(1.0, quiet) as progress, progress.stage("latent classes", 1.0) as update:
        found = find_segments(
            survey,
            where,
            checked,
            study.seeds[0],
            name,
            lambda word, done, of: update(done / of),
        )
    return found, survey, title


def with_value_sets(study: Study, sources: Sources | None = None) -> Study:
    """The study with a value set for each population and segment that it asks for.

    Segments are kept under `segments/` in the study's output and found once. A segment is
    described by the answers that mark it, on items that every seed trains on: a prompt must not
    give away what is to be found out. Sources that the caller has read are not read again for
    populations. Raises InputError as `find_segments` does.
    """
    study = with_populations(study, sources)
    if not any(spec.segments for spec in study.value_sets):
        return study
    survey = study_survey(study)
    items = survey.codebook.items
    before = items_trained_before(study, items)
    splits = [study_split(study, items, seed, before) for seed in study.seeds]
    hidden = {item for split in splits for item in split.never_trained}
    told = [item.id for item in items if item.id not in hidden]
    specs: list[ValueSetSpec] = []
    for spec in study.value_sets:
        if spec.segments is None:
            specs.append(spec)
            continue
        made_from = [VERSION, survey.content_hash, spec.where, spec.segments.model_dump()]
        key = storage.content_hash([*made_from, study.seeds[0]])
        folder = study.output / "segments" / f"{spec.name}-{key[:8]}"
        if not folder.is_dir():
            find_segments(survey, spec.where, spec.segments, study.seeds[0], spec.name).write(
                folder
            )
        found = Segmentation.read(folder)
        if len(found.names) == 1 and spec.segments.classes == "auto":
            raise InputError(
                f"value_sets: {spec.name}: the answers show no segments that another sample would "
                "show again (one class describes them best); remove its `segments`."
            )
        for place, name in enumerate(found.names):
            specs.append(
                spec.model_copy(
                    update={
                        "name": name,
                        "segments": None,
                        "segment": (str(folder.relative_to(study.output)), place),
                        "description": _described(spec, found, place, told),
                    }
                )
            )
    names = [spec.name for spec in specs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"value_sets: {twice[0]!r} appears twice, once as a segment's name.")
    return study.model_copy(update={"value_sets": tuple(specs)})


def study_value_set(study: Study, name: str) -> ValueSet:
    """One value set of a study, built from its survey.

    Raises InputError when the study has no value set of that name.
    """
    sources = read_sources(study)
    study = with_value_sets(study, sources)
    for spec in study.value_sets:
        if spec.name == name:
            return built_value_set(study, sources, spec)
    names = ", ".join(spec.name for spec in study.value_sets)
    raise InputError(f'the study has no value set "{name}"; it has {names}.')


def _described(spec: ValueSetSpec, found: Segmentation, place: int, told: list[str]) -> str:
    whole = spec.description or "people"
    texts = {item.id: item for item in found.items}
    said = [
        f'say "{texts[mark.item_id].texts[mark.position]}" to "{texts[mark.item_id].question}"'
        for mark in marks(found, place, told)[:DESCRIBED_BY]
        if mark.inside > mark.outside
    ]
    if not said:
        return f"{whole} of kind {place + 1} of {len(found.names)}"
    return f"{whole} of the kind who more often than others {' and '.join(said)}"
