"""Segments of a study's population, for `suffrage segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suffrage import settings
from suffrage.errors import InputError
from suffrage.population.segments import (
    Segmentation,
    SegmentSettings,
    assign_segments,
    find_segments,
)
from suffrage.study.progress import Progress
from suffrage.study.schema import Study, study_survey
from suffrage.survey import Survey


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
            f"{', '.join(specs)}."
        )
    where = specs[value_set].where if value_set else {}
    name = value_set or "segment"
    title = f"Segments: {study.title or study.study}" + (f", {value_set}" if value_set else "")
    checked = settings.validated(SegmentSettings, wanted, "the command", "segments")
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
