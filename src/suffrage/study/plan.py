"""What a run would do, how long it would take and how much memory: estimates, said to be so."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from suffrage.align import TrainingOptions
from suffrage.evaluate.answers import prompts_to_score
from suffrage.models import ways_of_asking
from suffrage.models.endpoint_client import EndpointSettings
from suffrage.models.language_model import CPU_ROW_LENGTH, model_shape
from suffrage.models.shape import ModelShape
from suffrage.population import ValueSet
from suffrage.study.facts import pair_count
from suffrage.study.schema import Study, study_survey
from suffrage.study.segmenting import built_value_set, with_segments
from suffrage.study.stages import Stage
from suffrage.study.wiring import Wiring, groups_of, wire
from suffrage.survey import Item
from suffrage.training_data import ItemSplit, split_items

# Measured on SmolLM2-135M with 2 cores (docs/results.md, "Cost of a step"): how many times the
# arithmetic of one forward pass a training step takes, attention, adapters and optimiser included.
TRAINING_FACTOR = {"distribution": 7.0, "sft": 16.0, "dpo": 9.0, "kto": 9.0}
# Methods whose batches are packed rows (align/packed.py).
PACKED = ("distribution", "dpo", "kto")
OTHER_TRAINING_FACTOR = 16.0
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
RUNTIME_BYTES = 0.7e9


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a plan. seconds: 0 when finished; memory_bytes: peak, None where small."""

    stage: Stage
    finished: bool
    seconds: float
    memory_bytes: float | None


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
    heavy = any(stage.kind in ("align", "answers", "asked") for stage in todo)
    speed = {"float32": 0.0, "training": 0.0}
    if heavy:
        from suffrage.models.language_model import fast_dtype

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
            count, factor, dtype_bytes, extra = tokens[str(stage.folder)]
            memory = RUNTIME_BYTES + known * dtype_bytes + extra
            if not finished:
                rate = speed["training" if stage.kind == "align" else "float32"]
                work = 2 * known * count * factor / (rate * FORWARD_EFFICIENCY)
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
        for (evaluation, method, _), stage in wiring.asked.items():
            entry = next(e for e in study.evaluate if e.name == evaluation)
            if method == spec.name and entry.evaluation.prompts is not None:
                prompts = entry.evaluation.prompts(
                    list(value_sets.values()), list(splits.values()), entry.options
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


def training_tokens(study: Study) -> dict[str, tuple[float, float]]:
    """For each trained method: tokens over all its trainings, and tokens of a record."""
    wiring, value_sets, splits = _read(study)
    estimated = _tokens_by_stage(wiring, value_sets, splits)
    found = {}
    for spec in study.methods:
        if isinstance(spec.options, TrainingOptions):
            own = [s for (name, _, _), s in wiring.align.items() if name == spec.name]
            total = sum(estimated[str(stage.folder)][0] for stage in own)
            found[spec.name] = (total, _mean_length(value_sets))
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
    start, rounds = time.perf_counter(), 0
    while time.perf_counter() - start < 0.15:
        left @ right
        rounds += 1
    if device == "cuda":
        torch.cuda.synchronize()
    return 2 * 512 * 1024 * 1024 * rounds / (time.perf_counter() - start)


def _prompt_tokens(item: Item, description: str | None) -> float:
    """About how many tokens a question takes: four characters each, and the chat's own marks."""
    question = ways_of_asking(item, description)[0]
    return 20 + len(question.user_text) / 4


def _tokens_by_stage(
    wiring: Wiring, value_sets: dict[str, ValueSet], splits: dict[int, ItemSplit]
) -> dict[str, tuple[float, float, int, float]]:
    """For each long stage: tokens, factor over a forward pass, bytes a weight, other bytes."""
    study = wiring.study
    found: dict[str, tuple[float, float, int, float]] = {}
    mean_length = _mean_length(value_sets)
    for spec in study.methods:
        for (method, seed, group), stage in wiring.align.items():
            if method != spec.name or not isinstance(spec.options, TrainingOptions):
                continue
            options = spec.options
            members = [value_sets[name] for name in groups_of(spec, study)[group]]
            steps = options.step_count(pair_count(members, splits[seed]))
            full = options.adapter == "none"
            width = 2 if options.dtype != "float32" and not full else 4
            # Full fine-tuning holds gradients and Adam's two moments in float32 as well.
            weight_bytes = width + (12 if full else 0)
            micro_batch = options.micro_batch or options.batch
            packs = spec.method.name in PACKED
            batch_tokens = options.batch * mean_length
            activations = training_bytes(
                model_shape(wiring.model), micro_batch, mean_length, width, packed=packs
            )
            factor = TRAINING_FACTOR.get(spec.method.name, OTHER_TRAINING_FACTOR)
            found[str(stage.folder)] = (steps * batch_tokens, factor, weight_bytes, activations)
        for (method, _), stage in wiring.answers.items():
            if method == spec.name:
                found[str(stage.folder)] = _answer_tokens(
                    study, spec.name, value_sets, splits, mean_length
                )
        for (evaluation, method, _), stage in wiring.asked.items():
            entry = next(e for e in study.evaluate if e.name == evaluation)
            own = entry.evaluation
            if method == spec.name and own.prompts is not None:
                places = len(value_sets) if spec.method.asks_as_population else 1
                prompts = own.prompts(
                    list(value_sets.values()), list(splits.values()), entry.options
                )
                width = 4 if study.scoring.dtype == "float32" else 2
                read = places * prompts * mean_length * SHARED_QUESTION
                found[str(stage.folder)] = read, 1.0, width, 0.3e9
    return found


def _answer_tokens(
    study: Study,
    method: str,
    value_sets: dict[str, ValueSet],
    splits: dict[int, ItemSplit],
    mean_length: float,
) -> tuple[float, float, int, float]:
    spec = next(spec for spec in study.methods if spec.name == method)
    others = sorted({item for split in splits.values() for item in split.held_out})
    as_population = spec.method.asks_as_population
    prompts = prompts_to_score(list(value_sets.values()), others, as_population, study.scoring)
    asked = len(value_sets) if as_population else 1
    # A written answer costs its prompt once and about 16 tokens, each a pass of its own.
    written = study.scoring.samples * len(others) * asked * (mean_length + 16 * 2)
    width = 4 if study.scoring.dtype == "float32" else 2
    read = prompts / asked * (mean_length * SHARED_QUESTION + (asked - 1) * TAIL_TOKENS)
    return read + written, 1.0, width, 0.3e9


def training_bytes(
    shape: ModelShape | None, rows: int, row_tokens: float, width: int, packed: bool
) -> float:
    """Bytes that a training step keeps for its backward pass; 0 for a model not at hand.

    Korthikanti et al. (2022), equation 1, in elements of `width` bytes: 17 s h a layer without
    attention scores, and 2.5 a s^2 with them, s tokens, h hidden width, a heads. Packed rows hold
    up to a fixed number of tokens; padded rows are each their own, but have logits over the whole
    vocabulary in float32, with their gradient and softmax. Inputs of adapters, kept in float32, come
    on top.
    """
    if shape is None:
        return 0.0
    tokens = rows * row_tokens
    scores = tokens * min(tokens, CPU_ROW_LENGTH) if packed else rows * row_tokens**2
    layer = 17 * tokens * shape.width * width + 2.5 * shape.heads * scores * width
    adapters = 4 * 2 * tokens * shape.width * 4
    logits = 0.0 if packed else 3 * 4 * tokens * shape.vocabulary
    return shape.layers * (layer + adapters) + logits
