"""What a run would do, how long it would take and how much memory: estimates, said to be so."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from suffrage.align import TrainingOptions
from suffrage.evaluate.asking.answers import prompts_to_score
from suffrage.models import ways_of_asking
from suffrage.models.device import CPU_ROW_LENGTH
from suffrage.models.endpoint_settings import EndpointSettings
from suffrage.models.identity import model_shape
from suffrage.population import ValueSet
from suffrage.study.inputs import pair_count
from suffrage.study.planning.memory import StepSize, largest_step, training_bytes
from suffrage.study.planning.training_work import NOTHING, Work, training_work
from suffrage.study.schema import Study, study_survey
from suffrage.study.segmenting import built_value_set, with_segments
from suffrage.study.stages import Stage
from suffrage.study.wiring import Wiring, groups_of, wire
from suffrage.survey import Item
from suffrage.training_data import ItemSplit, split_items

# Times the arithmetic of one forward pass that a token takes: to learn from (attention, adapters and
# optimiser included), to read, and to write by itself. Measured on SmolLM2-135M with 2 cores
# (docs/results.md, "methods on two countries").
LEARNT_FACTOR, READ_FACTOR, WRITTEN_FACTOR = 7.0, 1.5, 3.0
# The share of a plain matrix product's speed that a forward pass reaches.
FORWARD_EFFICIENCY = 0.6
# Packed rows read an item's text once for all populations; each adds the tokens that name it and
# end the turn. The ways of asking one item share its question.
TAIL_TOKENS = 25.0
SHARED_QUESTION = 0.8
# Of a request to an endpoint, from afar; and the tokens it writes at most.
REQUEST_SECONDS = 1.0
LABEL_TOKENS, WRITTEN_TOKENS = 1.0, 10.0
LOADING_SECONDS = 6.0
SMALL_STAGE_SECONDS = 2.0
# Interpreter and libraries, what loading leaves, and what the allocator keeps: measured (benchmarks/memory.py).
RUNTIME_BYTES = 1.1e9
# What the allocator keeps besides of layers computed again and again (gradient checkpointing), measured.
RECOMPUTING_BYTES = 0.1e9
# Besides the weights, of a model that is asked.
READING_BYTES = 0.3e9


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a plan. seconds: 0 when finished; memory_bytes: peak, None where small."""

    stage: Stage
    finished: bool
    seconds: float
    memory_bytes: float | None


@dataclass(frozen=True)
class Reading:
    """What a stage that runs the model takes.

    passes: tokens, each times the forward passes its arithmetic is worth. memory: bytes besides the
    runtime's. work: a training's tokens by kind.
    """

    passes: float
    memory: float
    work: Work = NOTHING


@dataclass(frozen=True)
class Plan:
    """All stages in order.

    parameters: of the model, None when it is not at hand. requests: to an endpoint, None without one.
    """

    stages: tuple[PlannedStage, ...]
    parameters: int | None
    speed: float
    money: float | None
    requests: int | None = None

    @property
    def seconds_left(self) -> float:
        """Estimated seconds of what is not finished."""
        return sum(planned.seconds for planned in self.stages)

    def seconds(self, stage: Stage) -> float:
        """Estimated seconds of one stage."""
        return next(p.seconds for p in self.stages if p.stage.folder == stage.folder)

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "stages": [
                {
                    "kind": planned.stage.kind,
                    "label": planned.stage.label,
                    "finished": planned.finished,
                    "seconds": round(planned.seconds, 1),
                    "memory_bytes": planned.memory_bytes,
                    "folder": str(planned.stage.folder),
                }
                for planned in self.stages
            ],
            "seconds_left": round(self.seconds_left, 1),
            "parameters": self.parameters,
            "floating_point_operations_per_second": self.speed,
            "money": self.money,
            "requests": self.requests,
        }


def make_plan(
    wiring: Wiring, value_sets: dict[str, ValueSet], splits: dict[int, ItemSplit]
) -> Plan:
    """Estimate every stage that is not finished; measures the machine's speed for a moment."""
    study = wiring.study
    if study.endpoint:
        return _endpoint_plan(wiring, study.endpoint, value_sets, splits)
    todo = [stage for stage in wiring.stages() if not stage.finished]
    heavy = any(stage.kind in ("align", "answers", "probes") for stage in todo)
    speed = {"float32": 0.0, "training": 0.0}
    if heavy:
        from suffrage.models.device import fast_dtype

        speed["float32"] = matrix_speed(study.scoring.dtype)
        speed["training"] = matrix_speed(fast_dtype())
    shape = model_shape(wiring.model)
    known = shape.parameters if shape else 0
    tokens = _tokens_by_stage(wiring, value_sets, splits)
    planned = []
    for stage in wiring.stages():
        finished = stage.finished
        seconds, memory = (0.0 if finished else SMALL_STAGE_SECONDS), None
        if str(stage.folder) in tokens:
            reading = tokens[str(stage.folder)]
            memory = reading.memory + RUNTIME_BYTES if known else None
            if not finished:
                rate = speed["training" if stage.kind == "align" else "float32"]
                work = 2 * known * reading.passes / (rate * FORWARD_EFFICIENCY)
                seconds = LOADING_SECONDS + work
        planned.append(PlannedStage(stage, finished, seconds, memory))
    total = sum(one.seconds for one in planned)
    money = study.price.per_hour * total / 3600 if study.price else None
    return Plan(tuple(planned), shape.parameters if shape else None, speed["float32"], money)


def _endpoint_plan(
    wiring: Wiring,
    endpoint: EndpointSettings,
    value_sets: dict[str, ValueSet],
    splits: dict[int, ItemSplit],
) -> Plan:
    """Requests, tokens and money of every stage that asks an endpoint; no time measured here."""
    study, mean_length = wiring.study, _mean_length(value_sets)
    others = sorted({item for split in splits.values() for item in split.held_out})
    requests: dict[str, float] = {}
    written: dict[str, float] = {}
    for spec in study.methods:
        as_population = spec.method.asks_as_population
        groups = len(value_sets) if as_population else 1
        for (method, _), stage in wiring.answers.items():
            if method == spec.name:
                scored = prompts_to_score(
                    list(value_sets.values()), others, as_population, study.scoring
                )
                ways = 2 if study.scoring.samples else 0  # the orders of one label set
                requests[str(stage.folder)] = scored + ways * len(others) * groups
                written[str(stage.folder)] = (
                    scored * LABEL_TOKENS
                    + study.scoring.samples * len(others) * groups * WRITTEN_TOKENS
                )
        for (evaluation, method, _), stage in wiring.probes.items():
            entry = next(e for e in study.evaluate if e.name == evaluation)
            if method == spec.name and entry.evaluation.prompts is not None:
                prompts = entry.evaluation.prompts(
                    list(value_sets.values()), list(splits.values()), entry.options, study.folder
                )
                requests[str(stage.folder)] = groups * prompts
                written[str(stage.folder)] = groups * prompts * WRITTEN_TOKENS
    planned, money, total = [], 0.0, 0.0
    prices = endpoint.prices
    for stage in wiring.stages():
        count = 0.0 if stage.finished else requests.get(str(stage.folder), 0.0)
        seconds = 0.0 if stage.finished else SMALL_STAGE_SECONDS
        seconds += count * REQUEST_SECONDS / endpoint.concurrency
        if prices and count:
            output = written[str(stage.folder)]
            money += (count * mean_length * prices.input + output * prices.output) / 1e6
        total += count
        planned.append(PlannedStage(stage, stage.finished, seconds, None))
    return Plan(tuple(planned), None, 0.0, money if prices else None, round(total))


def plan_study(study: Study) -> Plan:
    """The plan of a study: reads the survey, and neither loads a model nor writes anything."""
    return make_plan(*_read(study))


def _read(study: Study) -> tuple[Wiring, dict[str, ValueSet], dict[int, ItemSplit]]:
    """What a plan rests on, computed and not written."""
    study = with_segments(study)
    survey = study_survey(study)
    value_sets = {spec.name: built_value_set(study, survey, spec) for spec in study.value_sets}
    splits = {
        seed: split_items(survey.codebook.items, study.held_out, seed, study.trains)
        for seed in study.seeds
    }
    return wire(study), value_sets, splits


def training_sizes(study: Study, size: int, row: int) -> dict[str, tuple[Work, StepSize]]:
    """For each trained method: the work of all its trainings, and its largest micro-batch.

    size: most records computed at a time. row: tokens of a packed row.
    """
    wiring, value_sets, splits = _read(study)
    estimated = _tokens_by_stage(wiring, value_sets, splits)
    found = {}
    for spec in study.methods:
        if isinstance(spec.options, TrainingOptions):
            own = [(place, s) for place, s in wiring.align.items() if place[0] == spec.name]
            _, seed, group = own[0][0]
            members = [value_sets[name] for name in groups_of(spec, study)[group]]
            at_once = min(size, spec.options.batch)
            step = largest_step(spec, members, splits[seed], seed, at_once, row, study.folder)
            works = [estimated[str(stage.folder)].work for _, stage in own]
            found[spec.name] = sum(works, NOTHING), step
    return found


def _mean_length(value_sets: dict[str, ValueSet]) -> float:
    lengths = [
        _prompt_tokens(item, value_set.description)
        for value_set in value_sets.values()
        for item in value_set.items
    ]
    return sum(lengths) / len(lengths)


def matrix_speed(dtype: str) -> float:
    """Floating-point operations a second in a matrix product of a small model's shape."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    left = torch.randn(512, 1024, device=device, dtype=getattr(torch, dtype))
    right = torch.randn(1024, 1024, device=device, dtype=getattr(torch, dtype))
    for _ in range(3):
        left @ right
    # The fastest product of many: other work on the machine slows the rest.
    fastest, start = math.inf, time.perf_counter()
    while time.perf_counter() - start < 0.15:
        before = time.perf_counter()
        left @ right
        if device == "cuda":
            torch.cuda.synchronize()
        fastest = min(fastest, time.perf_counter() - before)
    return 2 * 512 * 1024 * 1024 / fastest


def _prompt_tokens(item: Item, description: str | None) -> float:
    """About how many tokens a question takes: four characters each, and the chat's own marks."""
    question = ways_of_asking(item, description)[0]
    return 20 + len(question.user_text) / 4


def _tokens_by_stage(
    wiring: Wiring, value_sets: dict[str, ValueSet], splits: dict[int, ItemSplit]
) -> dict[str, Reading]:
    """What each long stage takes."""
    study = wiring.study
    found: dict[str, Reading] = {}
    shape = model_shape(wiring.model)
    parameters = shape.parameters if shape else 0
    mean_length = _mean_length(value_sets)
    reading_width = 4 if study.scoring.dtype == "float32" else 2
    asking_memory = parameters * reading_width + READING_BYTES
    for spec in study.methods:
        for (method, seed, group), stage in wiring.align.items():
            if method != spec.name or not isinstance(spec.options, TrainingOptions):
                continue
            options = spec.options
            members = [value_sets[name] for name in groups_of(spec, study)[group]]
            steps = options.step_count(pair_count(members, splits[seed]))
            width = 2 if options.dtype != "float32" and options.adapter != "none" else 4
            memory = 0.0
            if shape is not None:
                size = options.micro_batch_size()
                step = largest_step(
                    spec, members, splits[seed], seed, size, CPU_ROW_LENGTH, study.folder
                )
                memory = training_bytes(spec, shape, step, width)
                if options.gradient_checkpointing:
                    memory += RECOMPUTING_BYTES
            work = training_work(spec, steps, mean_length)
            passes = (
                work.learnt * LEARNT_FACTOR
                + work.read * READ_FACTOR
                + work.written * WRITTEN_FACTOR
            )
            found[str(stage.folder)] = Reading(passes, memory, work)
        for (method, _), stage in wiring.answers.items():
            if method == spec.name:
                read = _answer_tokens(study, spec.name, value_sets, splits, mean_length)
                found[str(stage.folder)] = Reading(read, asking_memory)
        for (evaluation, method, _), stage in wiring.probes.items():
            entry = next(e for e in study.evaluate if e.name == evaluation)
            own = entry.evaluation
            if method == spec.name and own.prompts is not None:
                places = len(value_sets) if spec.method.asks_as_population else 1
                prompts = own.prompts(
                    list(value_sets.values()), list(splits.values()), entry.options, study.folder
                )
                read = places * prompts * mean_length * SHARED_QUESTION
                found[str(stage.folder)] = Reading(read, asking_memory)
    return found


def _answer_tokens(
    study: Study,
    method: str,
    value_sets: dict[str, ValueSet],
    splits: dict[int, ItemSplit],
    mean_length: float,
) -> float:
    spec = next(spec for spec in study.methods if spec.name == method)
    others = sorted({item for split in splits.values() for item in split.held_out})
    as_population = spec.method.asks_as_population
    prompts = prompts_to_score(list(value_sets.values()), others, as_population, study.scoring)
    asked = len(value_sets) if as_population else 1
    # A written answer costs its prompt once and about 16 tokens, each a pass of its own.
    written = study.scoring.samples * len(others) * asked * (mean_length + 16 * 2)
    read = prompts / asked * (mean_length * SHARED_QUESTION + (asked - 1) * TAIL_TOKENS)
    return read + written
