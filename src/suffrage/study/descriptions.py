"""Populations that a method's prompts describe by their answers: which answers are shown."""

from __future__ import annotations

from typing import Any

from suffrage.models.asking import Persona
from suffrage.population import ValueSet
from suffrage.study.inputs import StudyInputs
from suffrage.study.wiring import TrainingPlace
from suffrage.training_data.answers_in_context import AnsweredPersona, Describer, InContextSettings
from suffrage.training_data.records import held_back_in


def _settings(inputs: StudyInputs, method: str) -> InContextSettings | None:
    found: InContextSettings | None = getattr(inputs.method(method).options, "in_context", None)
    return found


def _described(
    inputs: StudyInputs, method: str, seed: int, value_sets: list[ValueSet]
) -> dict[str, AnsweredPersona]:
    """The fixed description of each value set; none where the method names them only.

    Shown are answers to questions that a model of this method and seed may have learnt from. Of an
    untrained model, which is asked once for all seeds, none of the seeds may hold them out.
    """
    settings = _settings(inputs, method)
    if settings is None:
        return {}
    splits = inputs.splits_asked_about(method, seed)
    shown = set.intersection(*(set(split.train) for split in splits))
    for (name, at_seed, _), stage in inputs.wiring.records.items():
        if (name, at_seed) == (method, seed):
            shown -= held_back_in(stage.folder)
    trained = inputs.method(method).method.train is not None
    describer = Describer(
        settings, shown, inputs.known_items, seed if trained else inputs.study.seeds[0]
    )
    return {value_set.name: describer.fixed(value_set) for value_set in value_sets}


def study_personas(inputs: StudyInputs, method: str, seed: int) -> dict[str, Persona]:
    """How questions to a method's models describe value sets; empty where they name them only."""
    return dict(_described(inputs, method, seed, list(inputs.value_sets.values())))


def descriptions_to_keep(inputs: StudyInputs, place: TrainingPlace) -> dict[str, Any] | None:
    """What a checkpoint keeps, so that populations can be described to it without the study.

    None where they are named only.
    """
    method, seed, group = place
    settings = _settings(inputs, method)
    if settings is None:
        return None
    answers_for = inputs.learnt_from(place) if group else list(inputs.value_sets.values())
    described = _described(inputs, method, seed, answers_for)
    return {
        **settings.model_dump(),
        "items": {name: known.as_json() for name, known in inputs.known_items.items()},
        "populations": {name: persona.as_json() for name, persona in described.items()},
    }
