"""The manifest of a checkpoint: everything that made it, and what that cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from suffrage.align.checkpoint import Checkpoint
from suffrage.align.cost import ResourceUse
from suffrage.align.method import TrainingFacts
from suffrage.study.inputs import StudyInputs
from suffrage.study.machine import machine, versions
from suffrage.study.schema import Study
from suffrage.study.wiring import TrainingPlace
from suffrage.survey import Item
from suffrage.training_data import Records
from suffrage.training_data.distribution_records import AVERAGE

# Raised when readers of earlier manifests would misread one.
FORMAT = 1


def checkpoint_manifest(
    inputs: StudyInputs,
    place: TrainingPlace,
    records: Records,
    trained: TrainingFacts,
    usage: ResourceUse,
) -> dict[str, Any]:
    """What a checkpoint's manifest says, ready to be written as JSON."""
    method, seed, _ = place
    study, start = inputs.study, inputs.wiring.pre_aligned.get(method)
    adapter = inputs.training_options(method).adapter != "none"
    return {
        "format": FORMAT,
        "study": study.study,
        "method": method,
        "settings": inputs.training_options(method).model_dump(),
        "from": inputs.method(method).start or inputs.method(method).checkpoint,
        "started_from": start.history if start else [],
        "seed": seed,
        "base_model": asdict(inputs.wiring.below(place) if adapter else inputs.wiring.model),
        "records": records.content_hash,
        # The table of average answers has a file of its own.
        "made_from": {k: v for k, v in records.made_from.items() if k != AVERAGE},
        "value_sets": {
            name: value_set.description for name, value_set in inputs.value_sets.items()
        },
        "surveys": [source.codebook.title for source in inputs.sources.values()],
        "sources": {name: source.content_hash for name, source in inputs.sources.items()},
        "dtype": trained.dtype,
        "cost": _cost(study, trained, usage),
        "resumed_from_step": trained.resumed_from,
        "processes": trained.processes,
        "validation": trained.validation,
        "blend": trained.blend,
        "machine": machine(),
        "versions": versions(),
    }


def trained_questions(
    records: Records, items: Sequence[Item], before: Sequence[dict[str, str]] = ()
) -> list[dict[str, str]]:
    """Every question that a training learnt from, or was chosen by, as another study asks for.

    before: the questions of the checkpoint that the training started from; they come first.
    """
    learnt = set(records.frame["item"].unique())
    own = [{"id": item.id, "question": item.question} for item in items if item.id in learnt]
    return list({(row["id"], row["question"]): row for row in (*before, *own)}.values())


def questions_before(inputs: StudyInputs, place: TrainingPlace) -> list[dict[str, str]]:
    """The questions that the checkpoint which a training starts from was trained on."""
    start, whole = inputs.wiring.start(place), inputs.wiring.pre_aligned.get(place[0])
    if start is None and whole is not None:
        start = whole.folder
    return (Checkpoint.read(start).trained_questions or []) if start else []


def _cost(study: Study, trained: TrainingFacts, usage: ResourceUse) -> dict[str, Any]:
    """Time and money of the whole training, whatever interrupted it; memory of the last part."""
    price = study.price
    seconds = usage.seconds + trained.seconds_before
    return {
        "seconds": seconds,
        "peak_memory_bytes": usage.peak_memory_bytes,
        "steps": trained.steps,
        "examples": trained.examples,
        "tokens": trained.tokens,
        "energy_kwh": usage.energy_kwh,
        "money": price.per_hour * seconds / 3600 if price else None,
        "currency": price.currency if price else None,
    }
