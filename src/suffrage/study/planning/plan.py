"""What a run would do, how long it would take and how much memory: estimates, said to be so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from suffrage.evaluate import Scoring
from suffrage.models import ItemProbe
from suffrage.models.device import fast_dtype, gpu_name
from suffrage.models.endpoint_settings import EndpointSettings
from suffrage.models.hub import is_at_hand
from suffrage.models.identity import model_shape, not_at_hand
from suffrage.models.shape import ModelShape
from suffrage.report.starts import start_sentences
from suffrage.study.inputs import ComputedInputs, StudyInputs
from suffrage.study.planning.held_out_power import power_warnings
from suffrage.study.planning.machine_speed import busy_sentence, matrix_speed
from suffrage.study.planning.memory import StepSize, largest_step
from suffrage.study.planning.stage_work import (
    StageWork,
    answered_cells,
    asked_as,
    described_tokens,
    held_out_in_any,
    mean_prompt_length,
    probe_prompts,
    reading_tokens,
    scored_prompts,
    training_places,
    work_by_stage,
)
from suffrage.study.planning.training_work import NOTHING, TrainingWork
from suffrage.study.pre_aligned import start_facts
from suffrage.study.schema import Study
from suffrage.study.segmenting import with_value_sets
from suffrage.study.sources import read_sources
from suffrage.study.stages import Stage
from suffrage.study.wiring import model_key, wire
from suffrage.survey.draft import unworded_questions

# The share of a plain matrix product's speed that a forward pass reaches.
FORWARD_EFFICIENCY = 0.6
# The same on a CPU in bfloat16, whose products are so fast that the rest takes most of the time:
# measured (docs/results-speed.md, "asking many questions").
SHORT_EFFICIENCY = 0.3
# Of a request to an endpoint, from afar; and the tokens it writes at most.
REQUEST_SECONDS = 1.0
LABEL_TOKENS, WRITTEN_TOKENS = 1.0, 10.0
LOADING_SECONDS = 6.0
SMALL_STAGE_SECONDS = 2.0
# Of the results, for each model and value set (figures with their resamples), and for each of their
# answered cells. Measured on a Xeon on 2026-11-29. Published tables drawn at random, with 3 models
# of 10 x 40, 20 x 80 and 40 x 145 populations and questions, 6 models of 20 x 80 and 8 models of
# 40 x 145, took 3.6, 8.2, 15, 13 and 48 s of a core. `examples/many-questions.yaml`, 8 models of
# 158 populations and 5,900 cells each, took about 4 minutes. The estimate is within a factor of 1.7
# of each.
RESULTS_VALUE_SET_SECONDS = 0.12
RESULTS_CELL_SECONDS = 0.00035
# Interpreter and libraries, what loading leaves, and what the allocator keeps: measured
# (benchmarks/memory.py).
RUNTIME_BYTES = 1.1e9


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a plan."""

    stage: Stage
    finished: bool
    # 0 when the stage is finished.
    seconds: float
    # At the peak; None where it is small.
    memory_bytes: int | None


@dataclass(frozen=True)
class Plan:
    """All stages in order, with what they would take."""

    stages: tuple[PlannedStage, ...]
    # Of the model; None when it is not at hand.
    parameters: int | None
    # Floating-point operations a second; 0 where nothing that is left runs a model here.
    speed: float
    # None when the study names no price.
    money: float | None
    # To an endpoint; None without one.
    requests: int | None = None
    # What this study cannot show however it is run, in sentences.
    warnings: tuple[str, ...] = ()
    # What the study's models were trained on before it, in sentences.
    starts: tuple[str, ...] = ()
    # What was measured for the estimate, and what makes it unsure, in sentences.
    notes: tuple[str, ...] = ()

    @property
    def seconds_left(self) -> float:
        """Estimated seconds of what is not finished."""
        return sum(planned.seconds for planned in self.stages)

    @property
    def seconds_by_kind(self) -> dict[str, float]:
        """Estimated seconds of what is not finished and takes long, by the kind of stage."""
        found: dict[str, float] = defaultdict(float)
        for planned in self.stages:
            if planned.stage.kind in ("align", "answers", "probes", "results"):
                found[planned.stage.kind] += planned.seconds
        return found

    def seconds(self, stage: Stage) -> float:
        """Estimated seconds of one stage."""
        return next(p.seconds for p in self.stages if p.stage.folder == stage.folder)

    @property
    def total_known(self) -> bool:
        """Whether all that is left has an estimate; of a model that is not at hand nothing has."""
        return not any(map(self._unknown, self.stages))

    def _unknown(self, planned: PlannedStage) -> bool:
        """Whether a stage would run a model whose size is not known."""
        runs = planned.stage.kind in ("align", "answers", "probes") and not planned.finished
        return runs and self.parameters is None and self.requests is None

    def as_json(self) -> dict[str, Any]:
        """For scripts; seconds that cannot be estimated are null."""
        known = self.total_known
        return {
            "stages": [
                {
                    "kind": planned.stage.kind,
                    "label": planned.stage.label,
                    "finished": planned.finished,
                    "seconds": None if self._unknown(planned) else round(planned.seconds, 1),
                    "memory_bytes": planned.memory_bytes,
                    "folder": str(planned.stage.folder),
                }
                for planned in self.stages
            ],
            "seconds_left": round(self.seconds_left, 1) if known else None,
            "parameters": self.parameters,
            "floating_point_operations_per_second": self.speed,
            "money": self.money if known else None,
            "requests": self.requests,
            "warnings": list(self.warnings),
            "starts": list(self.starts),
            "notes": list(self.notes),
        }


def plan_study(study: Study) -> Plan:
    """Plan a study: reads the survey, and neither loads a model nor writes anything.

    Raises
    ------
    InputError
        The study or one of its files is wrong.
    """
    return make_plan(computed_inputs(study))


def computed_inputs(study: Study) -> ComputedInputs:
    """Read a study's sources once, and wire its stages.

    Raises InputError where the study or one of its files is wrong.
    """
    sources = read_sources(study)
    return ComputedInputs(wire(with_value_sets(study, sources)), sources)


def make_plan(inputs: StudyInputs) -> Plan:
    """Estimate every stage that is not finished; measures the machine's speed for a moment."""
    endpoint = inputs.study.endpoint
    plan = _endpoint_plan(inputs, endpoint) if endpoint else _local_plan(inputs)
    known = next(iter(inputs.splits.values())).trained_before
    starts = start_sentences(start_facts(inputs.study), len(known), len(inputs.items))
    warnings = (*_wording_warnings(inputs), *power_warnings(inputs))
    return replace(plan, warnings=warnings, starts=tuple(starts))


def _wording_warnings(inputs: StudyInputs) -> tuple[str, ...]:
    """What `run` would refuse: questions that a draft left to be written."""
    items = (item for source in inputs.sources.values() for item in source.codebook.items)
    unworded = unworded_questions(items)
    return (f"`suffrage run` will refuse this study: {unworded}.",) if unworded else ()


def _local_plan(inputs: StudyInputs) -> Plan:
    """Seconds and memory of every stage where the model runs on this machine."""
    study, stages = inputs.study, inputs.wiring.stages()
    learning_format = fast_dtype() if find_spec("torch") else "float32"
    asking = training = 0.0
    absent: tuple[str, ...] = ()
    if any(s.kind in ("align", "answers", "probes") for s in stages if not s.finished):
        absent = _absent(inputs)
        asking = matrix_speed(study.scoring.number_format)
        training = matrix_speed(learning_format)
    shape = model_shape(inputs.wiring.model)
    parameters = shape.parameters if shape else 0
    work = work_by_stage(inputs)
    small = _small_stages(inputs)
    reading = asking * _efficiency(study.scoring.number_format)
    learning = training * _efficiency(learning_format)
    planned = [
        _planned(
            stage,
            work.get(stage.folder),
            parameters,
            learning if stage.kind == "align" else reading,
            small[stage.folder],
        )
        for stage in stages
    ]
    total = sum(one.seconds for one in planned)
    money = study.price.per_hour * total / 3600 if study.price else None
    return Plan(
        tuple(planned),
        shape.parameters if shape else None,
        asking,
        money,
        notes=(*absent, *_measured_notes(asking, study.scoring.number_format)),
    )


def _efficiency(number_format: str) -> float:
    """The share of a plain matrix product's speed that a model reaches on this machine."""
    short = number_format == "bfloat16" and find_spec("torch") and not gpu_name()
    return SHORT_EFFICIENCY if short else FORWARD_EFFICIENCY


def _absent(inputs: StudyInputs) -> tuple[str, ...]:
    """Why a run would stop at once, where the hub that has the model cannot be asked."""
    model, key = inputs.wiring.model, model_key(inputs.study)
    if not model.on_hub or is_at_hand(model.source, model.revision, key):
        return ()
    return (f"{not_at_hand(model, key)} `suffrage run` would stop here.",)


def _measured_notes(speed: float, number_format: str) -> tuple[str, ...]:
    """What the estimates rest on; empty where no model is left to run."""
    if not speed:
        return ()
    busy = busy_sentence()
    measured = (
        f"Measured: this machine multiplies matrices at {speed / 1e9:,.0f} billion operations a "
        f"second in {number_format}; a model is taken to reach a part of that."
    )
    return (measured, busy) if busy else (measured,)


def _small_stages(inputs: StudyInputs) -> dict[Path, float]:
    """Seconds of each stage without its model, by folder; 0 where it is finished."""
    wiring, found = inputs.wiring, {}
    for stage in wiring.stages():
        found[stage.folder] = 0.0 if stage.finished else SMALL_STAGE_SECONDS
    if not wiring.results.finished:
        models = len({stage.folder for stage in wiring.answers.values()})
        found[wiring.results.folder] += RESULTS_VALUE_SET_SECONDS * models * len(
            inputs.value_sets
        ) + RESULTS_CELL_SECONDS * answered_cells(inputs)
    return found


def _planned(
    stage: Stage, work: StageWork | None, parameters: int, speed: float, small: float
) -> PlannedStage:
    """Plan one stage.

    work: what it takes of the model, None where it runs none. speed: operations a second reached.
    small: seconds without the model.
    """
    if work is None:
        return PlannedStage(stage, stage.finished, small, None)
    memory = round(work.memory + RUNTIME_BYTES) if parameters else None
    if stage.finished:
        return PlannedStage(stage, True, 0.0, memory)
    if not work.passes:  # nothing loads the model either
        return PlannedStage(stage, False, small, memory)
    seconds = LOADING_SECONDS + 2 * parameters * work.passes / speed
    return PlannedStage(stage, False, seconds, memory)


def _endpoint_plan(inputs: StudyInputs, endpoint: EndpointSettings) -> Plan:
    """Requests, tokens and money of every stage that asks an endpoint; no time measured here."""
    prices, asked = endpoint.prices, _requests_by_stage(inputs)
    planned, money, total, small = [], 0.0, 0.0, _small_stages(inputs)
    for stage in inputs.wiring.stages():
        requests, length, written = (0.0, 0.0, 0.0)
        if not stage.finished and stage.folder in asked:
            requests, length, written = asked[stage.folder]
        seconds = small[stage.folder]
        seconds += requests * REQUEST_SECONDS / endpoint.concurrency
        if prices:
            money += (requests * length * prices.input + written * prices.output) / 1e6
        total += requests
        planned.append(PlannedStage(stage, stage.finished, seconds, None))
    return Plan(tuple(planned), None, 0.0, money if prices else None, round(total))


def _requests_by_stage(inputs: StudyInputs) -> dict[Path, tuple[float, float, float]]:
    """Requests, tokens of each, and tokens that are written for them, by the stage's folder."""
    length = mean_prompt_length(inputs)
    scoring, held_out = inputs.study.scoring, held_out_in_any(inputs)
    found: dict[Path, tuple[float, float, float]] = {}
    for (method, _), stage in inputs.wiring.answers.items():
        spec = inputs.method(method)
        scored, places = scored_prompts(inputs, spec), asked_as(inputs, spec)
        ways = 2 if scoring.samples else 0  # the orders of one label set
        answers = scoring.samples * len(held_out) * places
        found[stage.folder] = (
            scored + ways * len(held_out) * places,
            length + described_tokens(inputs, spec),
            scored * LABEL_TOKENS + answers * WRITTEN_TOKENS,
        )
    prompts = probe_prompts(inputs)
    for (_, method, _), stage in inputs.wiring.probes.items():
        if stage.folder in prompts:
            count = prompts[stage.folder]
            each = length + described_tokens(inputs, inputs.method(method))
            found[stage.folder] = (count, each, count * WRITTEN_TOKENS)
    return found


def seconds_to_ask(
    probes: Sequence[ItemProbe], scoring: Scoring, shape: ModelShape | None
) -> float:
    """About how long this machine takes to load a model and to read its answers by letter.

    Parameters
    ----------
    probes : sequence of ItemProbe
        The items, and as whom each is asked.
    scoring : Scoring
        The number format to compute in.
    shape : ModelShape or None
        Of the model; None where it is not known, and only the loading is counted.
    """
    if shape is None:
        return LOADING_SECONDS
    speed = matrix_speed(scoring.number_format) * _efficiency(scoring.number_format)
    tokens = reading_tokens(probes, (), scoring)
    return LOADING_SECONDS + 2 * shape.parameters * tokens / speed


def seconds_to_request(probes: Sequence[ItemProbe], endpoint: EndpointSettings) -> float:
    """About how long a server takes to answer items by letter: a request for each way of asking."""
    requests = sum(len(probe.questions) for probe in probes)
    return requests * REQUEST_SECONDS / endpoint.concurrency


@dataclass(frozen=True)
class AskingWork:
    """What asking one method's models takes, over all seeds."""

    # Tokens times forward passes: for answers to items, and for evaluations' own questions.
    answers: float
    probes: float
    # How often a model is loaded, to be trained or asked.
    loads: int


def asking_work(inputs: StudyInputs) -> dict[str, AskingWork]:
    """What asking the models of each method takes, by the method's name."""
    wiring, work = inputs.wiring, work_by_stage(inputs)
    found = {}
    for spec in inputs.study.methods:
        answers = {s.folder for (name, _), s in wiring.answers.items() if name == spec.name}
        probes = {s.folder for (_, name, _), s in wiring.probes.items() if name == spec.name}
        trainings = sum(place[0] == spec.name for place in wiring.align)
        found[spec.name] = AskingWork(
            sum(work[folder].passes for folder in answers),
            sum(work[folder].passes for folder in probes if folder in work),
            trainings + max(len(answers), trainings),
        )
    return found


def training_sizes(
    inputs: StudyInputs, size: int, row: int
) -> dict[str, tuple[TrainingWork, StepSize]]:
    """For each trained method: the work of all its trainings, and its largest micro-batch.

    size: most records computed at a time. row: tokens of a packed row.
    """
    study, work = inputs.study, work_by_stage(inputs)
    found = {}
    for spec in study.methods:
        places = training_places(inputs, spec.name)
        if places:
            _, seed, _ = first = places[0]
            at_once = min(size, inputs.training_options(spec.name).batch)
            step = largest_step(
                spec,
                inputs.learnt_from(first),
                inputs.splits[seed],
                seed,
                at_once,
                row,
                study.folder,
            )
            own = [work[inputs.wiring.align[place].folder].training for place in places]
            found[spec.name] = sum(own, NOTHING), step
    return found
