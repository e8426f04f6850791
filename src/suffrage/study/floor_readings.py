"""A method's answers read together with the average answer: rows of their own in the results.

Mixed: so much of the model, so much of the average answer, with the weight chosen on questions that
are neither trained on nor evaluated. With its table: multiplied by the average answers that the
method's training started from.
"""

from __future__ import annotations

from collections.abc import Mapping

from suffrage import storage
from suffrage.align import Checkpoint
from suffrage.align.checkpoint import TRAINED_QUESTIONS
from suffrage.evaluate import Answers, EvaluationInput
from suffrage.evaluate.scorecard import FloorReading
from suffrage.evaluate.statistics.mixing import (
    MixingWeight,
    mixed_answers,
    mixing_cells,
    mixing_weight,
    multiplied_answers,
)
from suffrage.study.inputs import StudyInputs
from suffrage.study.schema import MethodSpec
from suffrage.study.wiring import TrainingPlace, groups_of
from suffrage.training_data.average_answer import AverageAnswers
from suffrage.training_data.records import MANIFEST as RECORDS_MANIFEST

# What is added to a method's name; no study can give a method such a name.
MIXED, WITH_TABLE = "+average", "+table"

# By value set, the questions that a weight may be chosen on.
QuestionsByValueSet = Mapping[str, frozenset[str]]


def floor_readings(inputs: StudyInputs, given: EvaluationInput) -> list[FloorReading]:
    """Every reading that the study's methods have, in the order of the methods."""
    found = []
    for spec in inputs.study.methods:
        table = _with_table(inputs, given, spec)
        found += [reading for reading in (table, _mixed(inputs, given, spec, table)) if reading]
    return found


def _with_table(
    inputs: StudyInputs, given: EvaluationInput, spec: MethodSpec
) -> FloorReading | None:
    """A method's answers times the tables that its checkpoints keep; None where they keep none."""
    answers = {}
    for seed in given.splits:
        own = given.answers[spec.name, seed]
        tables: dict[str, AverageAnswers] = {}
        for group, names in groups_of(spec, inputs.study).items():
            stage = inputs.wiring.align[spec.name, seed, group]
            table = Checkpoint.read(stage.folder).average_answers
            if table is None:
                return None
            asked = names if group else [v.name for v in given.value_sets]
            tables |= dict.fromkeys(asked, table)
        if not tables:
            return None
        answers[seed] = Answers(
            {
                name: multiplied_answers(name, tables[name], said)
                for name, said in own.by_value_set.items()
            }
        )
    return FloorReading(
        name=f"{spec.name}{WITH_TABLE}",
        method=spec.name,
        label=f"{spec.label}, times its table of average answers",
        explanation=f"The answers of {spec.name} times the average answers that its training "
        "started from, a table that is kept with the checkpoint. The model alone has learnt only "
        "what differs from them.",
        answers=answers,
    )


def _mixed(
    inputs: StudyInputs, given: EvaluationInput, spec: MethodSpec, table: FloorReading | None
) -> FloorReading | None:
    """A method's answers mixed with the average answer; None where no weight can be chosen.

    table: its answers times the tables of its checkpoints, which are mixed where there are some.
    """
    name, label = (table.name, table.label) if table else (spec.name, spec.label)
    answers, weights = {}, {}
    for seed, split in given.splits.items():
        own = table.answers[seed] if table else given.answers[spec.name, seed]
        weight = weight_of(given, own, seed, calibration_questions(inputs, spec, seed))
        if weight is None:
            return None
        weights[seed] = weight
        answers[seed] = Answers(
            {
                v.name: mixed_answers(v, split, own.of(v.name), weight.weight)
                for v in given.value_sets
            }
        )
    mean = sum(found.weight for found in weights.values()) / len(weights)
    return FloorReading(
        name=f"{name}{MIXED}",
        method=name,
        label=f"{label}, mixed with the average answer ({mean:.2g} of the model)",
        explanation=f"The answers of {name} mixed with the average answer. The "
        "weight of the model is the one that fits best on questions that are neither trained on "
        "nor evaluated: 0 says that the model adds nothing, 1 that the average answer adds nothing "
        "to the model.",
        answers=answers,
        weights=weights,
    )


def weight_of(
    given: EvaluationInput, answers: Answers, seed: int, questions: QuestionsByValueSet
) -> MixingWeight | None:
    """The weight of a model's answers at one seed; None where there is nothing to choose it on.

    Groups left out of training do not count: what is asked of them is evaluated.
    """
    split = given.splits[seed]
    cells = [
        cell
        for v in given.value_sets
        if v.name not in given.left_out
        for cell in mixing_cells(v, split, answers.of(v.name), questions.get(v.name, frozenset()))
    ]
    return mixing_weight(cells, seed)


def calibration_questions(inputs: StudyInputs, spec: MethodSpec, seed: int) -> QuestionsByValueSet:
    """The questions on which a method's weight is chosen, by value set.

    Those that the study holds back from every method (`calibrate: 0.1`), or else those that the
    method's own training holds back (`calibrate: true`). An untrained method is asked those of the
    trained ones, unless its prompts show answers, which may be the answers to these.
    """
    study, split = inputs.study, inputs.splits[seed]
    if not study.calibrate:
        return {}
    if split.held_back:
        return dict.fromkeys(inputs.value_sets, frozenset(split.held_back))
    if spec.method.train is not None:
        return _validation_questions(inputs, spec, seed)
    if getattr(spec.options, "in_context", None) is not None:
        return {}
    found: dict[str, frozenset[str]] = {}
    for other in study.methods:
        for name, own in _validation_questions(inputs, other, seed).items():
            found[name] = found.get(name, frozenset()) | own
    return found


def _validation_questions(inputs: StudyInputs, spec: MethodSpec, seed: int) -> QuestionsByValueSet:
    """What a method's trainings hold back, and nothing that they started from has learnt."""
    found: dict[str, frozenset[str]] = {}
    for group, names in groups_of(spec, inputs.study).items():
        place = (spec.name, seed, group)
        made = storage.read_json(inputs.wiring.records[place].folder / RECORDS_MANIFEST)
        back = frozenset(made["made_from"].get("validation", ())) - _learnt_before(inputs, place)
        found |= dict.fromkeys(names, back)
    return found


def _learnt_before(inputs: StudyInputs, place: TrainingPlace) -> frozenset[str]:
    """The questions that the checkpoints before a training learnt from or were chosen by."""
    found: set[str] = set()
    before = inputs.wiring.starts.get(place)
    while before is not None:
        folder = inputs.wiring.align[before].folder
        found |= {question["id"] for question in storage.read_json(folder / TRAINED_QUESTIONS)}
        before = inputs.wiring.starts.get(before)
    return frozenset(found)
