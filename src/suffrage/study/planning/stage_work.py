"""What the stages that run a model would do: prompts, tokens and memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from suffrage.align import TrainingOptions
from suffrage.align.method import layer_range
from suffrage.evaluate.asking.answers import Scoring, asked_probes, prompts_to_score
from suffrage.models import ItemProbe, ways_of_asking
from suffrage.models.asking import SENTENCES
from suffrage.models.device import CPU_ROW_LENGTH
from suffrage.models.identity import model_shape
from suffrage.models.packing_rule import BLOCKS_ROW_LENGTH
from suffrage.study.inputs import StudyInputs
from suffrage.study.planning.memory import largest_step, training_bytes
from suffrage.study.planning.training_work import (
    NOTHING,
    TrainingWork,
    reads_states,
    training_work,
)
from suffrage.study.schema import MethodSpec
from suffrage.study.wiring import TrainingPlace
from suffrage.survey import Item
from suffrage.training_data.answers_in_context import shares_in_words
from suffrage.training_data.records import StepShape

# Times the arithmetic of one forward pass that a token takes: to learn from, to learn from in long
# packed rows, to read, and to write by itself. Held to what trainings took
# (docs/results-speed.md, "planned and taken").
LEARNT_FACTOR, PACKED_FACTOR, READ_FACTOR, WRITTEN_FACTOR = 2.0, 3.0, 1.5, 3.0
# The ways of asking one item share its question.
SHARED_QUESTION = 0.8
# Tokens of what ends a turn and begins the next, names a population, and asks for a label; and the
# characters of a token of survey English.
TURN_TOKENS, PERSONA_TOKENS, INSTRUCTION_TOKENS = 7.0, 5.0, 9.0
CHARACTERS = 5.0
# About how many tokens a sampled answer has, each of them a pass of its own that costs double.
SAMPLED_TOKENS = 16 * 2
# What the allocator keeps besides of layers computed again and again (gradient checkpointing),
# measured.
RECOMPUTING_BYTES = 0.1e9
# Besides the weights, of a model that is asked.
READING_BYTES = 0.3e9


@dataclass(frozen=True)
class StageWork:
    """What a stage that runs the model takes."""

    # Tokens, each times the forward passes its arithmetic is worth.
    passes: float
    # Bytes besides the runtime's.
    memory: float
    # The tokens of a training by kind.
    training: TrainingWork = NOTHING


def work_by_stage(inputs: StudyInputs) -> dict[Path, StageWork]:
    """What each stage that runs the model takes, by the stage's folder."""
    wiring = inputs.wiring
    shape, length = model_shape(wiring.model), mean_prompt_length(inputs)
    width = 4 if inputs.study.scoring.number_format == "float32" else 2
    asking_memory = (shape.parameters if shape else 0) * width + READING_BYTES
    found = {
        stage.folder: _training_work(inputs, place, length) for place, stage in wiring.align.items()
    }
    for (method, _), stage in wiring.answers.items():
        tokens = _answer_tokens(inputs, inputs.method(method), length)
        found[stage.folder] = StageWork(tokens, asking_memory)
    prompts = probe_prompts(inputs)
    for (_, method, _), stage in wiring.probes.items():
        if stage.folder in prompts:
            described = described_tokens(inputs, inputs.method(method))
            tokens = prompts[stage.folder] * length * SHARED_QUESTION
            read = _with_descriptions(tokens, length, described)
            found[stage.folder] = StageWork(read, asking_memory)
    return found


def _training_work(inputs: StudyInputs, place: TrainingPlace, length: float) -> StageWork:
    spec = inputs.method(place[0])
    populations = _populations_a_question(inputs, place)
    described = described_tokens(inputs, spec)
    work = training_work(spec, inputs.steps(place), length, populations, described)
    learning = work.learnt * LEARNT_FACTOR + work.packed * PACKED_FACTOR
    passes = (
        learning * _learning_share(inputs, place[0])
        + work.read * READ_FACTOR
        + work.written * WRITTEN_FACTOR
    )
    return StageWork(passes, _training_memory(inputs, place), work)


def _populations_a_question(inputs: StudyInputs, place: TrainingPlace) -> float | None:
    """For how many populations a step asks one question, on average over its visits.

    None where steps do not take whole questions.
    """
    shape = inputs.training_options(place[0]).record_settings.step
    if shape is None:
        return None
    train = set(inputs.splits[place[1]].train)
    value_sets = inputs.learnt_from(place)
    asked = Counter(i for v in value_sets for i in v.distributions if i in train)
    return mean_visit(list(asked.values()), shape, len(value_sets))


def mean_visit(asked: Sequence[int], shape: StepShape, populations: int) -> float | None:
    """For how many populations a visit asks its question, on average.

    Parameters
    ----------
    asked : sequence of int
        How many populations answered each question.
    shape : StepShape
        How a step is made.
    populations : int
        How many are learnt from.

    Returns
    -------
    float or None
        None where there is no question.

    Examples
    --------
    Three visits: for 10 populations of the first question, for the other 10, and for both of the
    second.

    >>> mean_visit([20, 2], StepShape(4, populations=10, all_populations=True), 20)
    7.333333333333333
    """
    visits, total = 0, 0
    for count in asked:
        times = shape.visits(count)
        added = min(shape.unasked, populations - count)
        visits += times
        total += min(count, times * shape.populations) + times * added
    return total / visits if visits else None


def _learning_share(inputs: StudyInputs, method: str) -> float:
    """What learning takes of what it takes in all layers: two thirds of a layer are backward."""
    shape = model_shape(inputs.wiring.model)
    if shape is None:
        return 1.0
    first, _ = layer_range(inputs.training_options(method).layers, shape.layers)
    return 1 - (first - 1) / shape.layers * 2 / 3


def _training_memory(inputs: StudyInputs, place: TrainingPlace) -> float:
    """Bytes of a training besides the runtime's, 0 where the model is not at hand."""
    method, seed, _ = place
    spec, options = inputs.method(method), inputs.training_options(method)
    shape = model_shape(inputs.wiring.model)
    if shape is None:
        return 0.0
    step = largest_step(
        spec,
        inputs.learnt_from(place),
        inputs.splits[seed],
        seed,
        options.micro_batch_size(),
        CPU_ROW_LENGTH,
        inputs.study.folder,
    )
    width = 2 if options.dtype != "float32" and options.adapter != "none" else 4
    more = RECOMPUTING_BYTES if options.gradient_checkpointing else 0.0
    return training_bytes(spec, shape, step, width) + more


def asked_as(inputs: StudyInputs, spec: MethodSpec) -> int:
    """As how many populations a method's models are asked, at least once as themselves."""
    return len(inputs.value_sets) if spec.method.asks_as_population else 1


def scored_prompts(inputs: StudyInputs, spec: MethodSpec) -> int:
    """How many prompts the answers of one method take at a seed, before any are sampled."""
    value_sets = list(inputs.value_sets.values())
    return prompts_to_score(
        value_sets,
        held_out_in_any(inputs),
        spec.method.asks_as_population,
        inputs.study.scoring,
        inputs.asked_cells(spec.name, inputs.study.seeds[0], value_sets),
    )


def answered_cells(inputs: StudyInputs) -> int:
    """Pairs of a value set and an item whose answers the results compare, over all models asked.

    A model that is asked once as itself is compared with every value set.
    """
    value_sets = list(inputs.value_sets.values())
    models = {stage.folder: place for place, stage in inputs.wiring.answers.items()}
    every = sum(len(value_set.items) for value_set in value_sets)
    asked = (inputs.asked_cells(*place, value_sets) for place in models.values())
    return sum(every if cells is None else len(cells) for cells in asked)


def held_out_in_any(inputs: StudyInputs) -> list[str]:
    """The items that any seed holds out."""
    return sorted({item for split in inputs.splits.values() for item in split.held_out})


def probe_prompts(inputs: StudyInputs) -> dict[Path, float]:
    """How many prompts each stage of an evaluation's own questions puts to a model, by folder."""
    study = inputs.study
    evaluations = {spec.name: spec for spec in study.evaluate}
    found: dict[Path, float] = {}
    for (evaluation, method, _), stage in inputs.wiring.probes.items():
        entry = evaluations[evaluation]
        if entry.evaluation.consultation_prompts is not None:
            counted = entry.evaluation.consultation_prompts(
                list(inputs.value_sets.values()),
                list(inputs.consultations.values()),
                entry.options,
            )
            found[stage.folder] = asked_as(inputs, inputs.method(method)) * counted
        if entry.evaluation.prompts is not None:
            prompts = entry.evaluation.prompts(
                list(inputs.value_sets.values()),
                list(inputs.splits.values()),
                entry.options,
                study.folder,
            )
            places = 1 if entry.evaluation.asks_once else asked_as(inputs, inputs.method(method))
            found[stage.folder] = places * prompts
    return found


def mean_prompt_length(inputs: StudyInputs) -> float:
    """About how many tokens a question has, over all value sets and items."""
    lengths = [
        _prompt_tokens(item, value_set.description)
        for value_set in inputs.value_sets.values()
        for item in value_set.items
    ]
    return sum(lengths) / len(lengths)


def _prompt_tokens(item: Item, description: str | None) -> float:
    """About how many tokens a question takes: four characters each, and the chat's own marks."""
    question = ways_of_asking(item, description)[0]
    return 20 + len(question.user_text) / 4


def described_tokens(inputs: StudyInputs, spec: MethodSpec) -> float:
    """About how many tokens describe a population before a question; 0 where it is only named."""
    settings = getattr(spec.options, "in_context", None)
    if settings is None:
        return 0.0
    lengths = [
        len(d.item.question) + len(shares_in_words(d.item.texts, d.shares))
        for value_set in inputs.value_sets.values()
        for d in value_set.distributions.values()
    ]
    # Each answer begins with a mark and ends with an empty line.
    return float(settings.answers * (4 + sum(lengths) / len(lengths) / 4) + 12)


def _with_descriptions(tokens: float, question: float, described: float) -> float:
    """Tokens of questions with those of the description that each packed row begins with."""
    if not described:
        return tokens
    room = max(BLOCKS_ROW_LENGTH - described, question)
    return tokens * (1 + described / room)


def _answer_tokens(inputs: StudyInputs, spec: MethodSpec, length: float) -> float:
    if spec.method.load is not None:
        # Its answers are sums of numbers. The model reads each question once, for all populations,
        # or none at all where words are compared; trained questions were read in training.
        return reads_states(spec.options) * len(held_out_in_any(inputs)) * length
    places, described = asked_as(inputs, spec), described_tokens(inputs, spec)
    # A written answer costs its prompt once and the passes of its own tokens.
    answers = inputs.study.scoring.samples * len(held_out_in_any(inputs)) * places
    written = answers * (length + described + SAMPLED_TOKENS)
    if described:
        prompts = scored_prompts(inputs, spec)
        return _with_descriptions(prompts * length * SHARED_QUESTION, length, described) + written
    value_sets = list(inputs.value_sets.values())
    cells = inputs.asked_cells(spec.name, inputs.study.seeds[0], value_sets)
    ways = inputs.study.scoring.ways
    probes = asked_probes(value_sets, spec.method.asks_as_population, cells, ways=ways)
    held_out = frozenset(held_out_in_any(inputs))
    return written + reading_tokens([one for _, one in probes], held_out, inputs.study.scoring)


def reading_tokens(
    probes: Sequence[ItemProbe], held_out: Collection[str], scoring: Scoring
) -> float:
    """About how many tokens the packed rows have that ask items by letter, and some by text.

    A question's text is read once, its options once for each way of asking, and for each population
    in each way what names it and ends the turn.

    Parameters
    ----------
    probes : sequence of ItemProbe
        The items, and as whom each is asked.
    held_out : collection of str
        The items that are also read by text.
    scoring : Scoring
        Which readouts there are.
    """
    tokens = 0.0
    seen: set[str] = set()
    for probe in probes:
        item, ways = probe.item, len(probe.questions)
        tokens += ways * (TURN_TOKENS + (probe.persona is not None) * PERSONA_TOKENS)
        options = sum(map(len, item.texts)) / CHARACTERS + 2 * len(item.texts)
        if item.id not in seen:
            seen.add(item.id)
            tokens += len(item.question) / CHARACTERS + ways * (options + INSTRUCTION_TOKENS)
        if item.id in held_out:
            others = int(scoring.text) + len(SENTENCES) * int(scoring.sentence)
            tokens += others * (options + TURN_TOKENS)
    return tokens


def training_places(inputs: StudyInputs, method: str) -> list[TrainingPlace]:
    """The trainings of a method, none where it is not trained."""
    if not isinstance(inputs.method(method).options, TrainingOptions):
        return []
    return [place for place in inputs.wiring.align if place[0] == method]
