"""How much memory a training takes, from the model's shape, its records and the method.

Counted, a byte at a time, is what a step of a Llama-like model keeps for its backward pass, in the
manner of Korthikanti et al. (2022), section 4, but for adapters and for attention that keeps no
scores; what a runtime and its libraries take is measured (`benchmarks/memory.py` holds the sum to
real trainings).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from suffrage.align import TrainingOptions
from suffrage.align.method import layer_range
from suffrage.models.packing import ScoreRequest, packed
from suffrage.models.shape import ModelShape
from suffrage.population import ValueSet
from suffrage.study.schema import MethodSpec
from suffrage.training_data import ItemSplit
from suffrage.training_data.constitution import FROM_CONSULTATION, FROM_VALUE_SET
from suffrage.training_data.records import RecordSettings, record_builder

Adapting = Literal["lora", "qlora", "full"]

# A token of survey English, its labels and its chat template included, has about so many
# characters; a chat puts about this many around a question.
CHARACTERS = 3.5
CHAT = 120
# Batches looked at: the largest of them is what memory is asked for.
BATCHES = 8
# Bytes a parameter. QLoRA: 4-bit weights with their scales. Full: float32 weights, gradients and
# Adam's two moments (Rajbhandari et al. 2020, 3.1).
QLORA_BYTES, FULL_BYTES = 0.55, 16.0
# A trained parameter of an adapter: float32, its gradient and Adam's two moments.
ADAPTER_BYTES = 16.0
# A logit of a padded batch: in the model's width, in float32 for the loss, its softmax, and both
# gradients. Of packed rows, whose loss takes the log-softmax only.
PADDED_LOGIT, PACKED_LOGIT = 16.0, 14.0
# Methods that read padded rows of sampled answers; the others pack (align/packed.py).
PADDED = ("rloo", "grpo", "rlhf")


@dataclass(frozen=True)
class StepSize:
    """What the largest step reads at a time."""

    tokens: float
    # The tokens whose logits are computed.
    logits: float


def largest_step(
    spec: MethodSpec,
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    seed: int,
    size: int,
    row: int,
    folder: Path,
) -> StepSize:
    """The largest of a few micro-batches of the records this method would be given.

    Instructions mixed in and paraphrases are not looked at. Records from a consultation are taken
    to be as long as the survey's own of the same kind.

    Parameters
    ----------
    spec : MethodSpec
    value_sets : sequence of ValueSet
    split : ItemSplit
    seed : int
    size : int
        Records computed at a time.
    row : int
        The length of a packed row in tokens.
    folder : Path
        Where the study's relative paths start.
    """
    options = spec.options
    assert isinstance(options, TrainingOptions)
    # Of several signals, pairs have the most answers a record.
    kind = "preference" if spec.method.records == "combined" else spec.method.records
    builder = record_builder(kind, "survey")
    settings = _without_teacher(replace(options.record_settings, folder=folder))
    if spec.records != "survey":
        # It holds statements or prompts back, and the survey may have no question left to hold.
        settings = replace(settings, validation=None)
    constitution = settings.constitution
    if constitution is not None and constitution.source == FROM_CONSULTATION:
        constitution = replace(constitution, source=FROM_VALUE_SET, weighing="support")
        settings = replace(settings, constitution=constitution)
    generator = np.random.default_rng([seed, 3])
    records = builder.build(value_sets, split, BATCHES * size, generator, settings)
    rows = [row for row in records.frame.to_dicts() if not row.get("validation")]
    steps = [_step(spec, rows[at : at + size], row) for at in range(0, len(rows), size)]
    return max(steps, key=lambda step: step.tokens)


def _without_teacher(settings: RecordSettings) -> RecordSettings:
    """The same records with people's own answers as targets: fitting a teacher takes minutes."""
    shape = settings.step
    if shape is None or not settings.teacher:
        return settings
    asked = replace(shape, populations=shape.populations + shape.unasked, unasked=0)
    return replace(settings, teacher=0.0, step=asked)


def _step(spec: MethodSpec, rows: Sequence[dict[str, Any]], row: int) -> StepSize:
    options: Any = spec.options
    if spec.method.name in PADDED:
        sampled = getattr(options, "num_generations", 1) * len(rows)
        question = max(len(one["user"]) for one in rows)
        answer = _longest_answer(options)
        # Of sampled answers the logits are kept, of the questions not.
        tokens = sampled * ((CHAT + question) / CHARACTERS + answer)
        return StepSize(tokens, float(sampled * (1 + answer)))
    said = [_answers(spec, one, rows[at - 1]) for at, one in enumerate(rows)]
    requests = [
        ScoreRequest(
            tuple(map(ord, " " * CHAT + one["user"])),
            tuple(tuple(map(ord, text)) for text in texts),
        )
        for one, texts in zip(rows, said, strict=True)
    ]
    packs = list(packed(requests, round(row * CHARACTERS)))
    tokens = sum(len(pack.tokens) for pack in packs) / CHARACTERS
    asked = sum(len(set(pack.query_nodes)) for pack in packs)
    written = options.format == "written"
    return StepSize(tokens, asked / CHARACTERS if written else float(len(rows)))


def _longest_answer(options: Any) -> int:
    """Most tokens a sampled answer may have; a labelled option is one."""
    if hasattr(options, "longest_answer"):
        return int(options.longest_answer)
    return 1 if options.format == "option" else int(options.longest)


def _answers(spec: MethodSpec, row: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The answers of a record that a step computes. other: the record next to it."""
    if row.get("answers") is not None and (
        spec.method.name != "kto" or getattr(spec.options, "exact", False)
    ):
        return list(row["answers"])
    if "answer" in row:
        return [row["answer"], other["answer"]]
    found = [row[name] for name in ("chosen", "rejected", "completion") if row.get(name)]
    # What the model will write by itself is as long as it may be.
    return found or ["x" * round(CHARACTERS * getattr(spec.options, "longest", 1))]


def step_bytes(
    shape: ModelShape,
    adapting: Adapting,
    step: StepSize,
    width: int,
    rank: int,
    recomputed: bool,
    padded: bool,
    layers: str = "all",
) -> float:
    """Weights, what is trained of them, and all that one step keeps, in bytes.

    layers: which are trained, as `TrainingOptions.layers` says it. Those below keep nothing.
    width: bytes of a weight and of an activation. recomputed: with gradient checkpointing only each
    layer's input is kept, and one layer in full.
    """
    above = shape.layers - layer_range(layers, shape.layers)[0] + 1
    layer = step.tokens * token_bytes(shape, adapting, width)
    kept = above * step.tokens * shape.width * width + layer if recomputed else above * layer
    logits = step.logits * shape.vocabulary * (PADDED_LOGIT if padded else PACKED_LOGIT)
    return weight_bytes(shape, adapting, width, rank, layers) + kept + logits


def training_bytes(
    spec: MethodSpec,
    shape: ModelShape,
    step: StepSize,
    width: int,
    changed: Adapting | None = None,
    recomputed: bool | None = None,
) -> float:
    """`step_bytes` of a method as its options say, with the second model of those that have one.

    changed, recomputed: instead of what the options say of adapters and gradient checkpointing.
    """
    options: Any = spec.options
    changed = changed or adapting(options)
    whole = step_bytes(
        shape,
        changed,
        step,
        width,
        options.rank,
        options.gradient_checkpointing if recomputed is None else recomputed,
        spec.method.name in PADDED,
        options.layers,
    )
    judged = spec.method.name == "rlhf" or getattr(options, "reward", "") == "preference_model"
    return whole + (weight_bytes(shape, changed, width, options.rank) if judged else 0.0)


def weight_bytes(
    shape: ModelShape, adapting: Adapting, width: int, rank: int, layers: str = "all"
) -> float:
    """The weights with what training adds to them: gradients and moments of those it changes."""
    first, last = layer_range(layers, shape.layers)
    trained = last - first + 1
    if adapting == "full" and layers == "all":
        return shape.parameters * FULL_BYTES
    if adapting == "full":
        changed = trained * layer_parameters(shape)
        return changed * FULL_BYTES + (shape.parameters - changed) * width
    frozen = shape.parameters * (QLORA_BYTES if adapting == "qlora" else width)
    h, f, kv = shape.width, shape.inner, shape.shared
    # Both sides of each linear layer: queries, keys and values, output, gate and up, down.
    sides = 2 * h + 2 * (h + kv) + 2 * h + 2 * (h + f) + (f + h)
    return frozen + trained * sides * rank * ADAPTER_BYTES


def layer_parameters(shape: ModelShape) -> int:
    """The weights of one layer: attention, and a feed-forward part with a gate."""
    attention = 2 * shape.width * (shape.width + shape.shared)
    return attention + 3 * shape.width * shape.inner


def token_bytes(shape: ModelShape, adapting: Adapting, width: int) -> float:
    """What one layer keeps of one token for its backward pass.

    Both norms keep their input in float32. Attention keeps queries, keys and values (spread over
    all heads) and its output. The feed-forward part keeps gate, its activation and up. A linear
    layer whose weights are trained keeps its input; a frozen one with an adapter keeps a float32
    copy of it for the adapter, each its own unless the weights are float32 already.
    """
    h, f = shape.width, shape.inner
    norms = 8 * h
    attention = width * 4 * h
    feed_forward = width * 3 * f
    if adapting == "full":
        inputs = width * (3 * h + f)
    elif width == 4:
        inputs = 4 * (2 * h + f)
    else:
        inputs = 4 * (6 * h + f)
    return float(norms + attention + feed_forward + inputs)


def adapting(options: TrainingOptions) -> Adapting:
    """How a training changes weights, as its options say."""
    if options.adapter == "none":
        return "full"
    return options.adapter
