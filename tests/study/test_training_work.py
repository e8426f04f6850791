"""Tokens of trainings, counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from suffrage.evaluate.asking.answers import Scoring
from suffrage.models import ItemProbe, bundled, ways_of_asking
from suffrage.models.packing import ScoreRequest, packed
from suffrage.models.shape import ModelShape
from suffrage.models.tokenizing import encode_texts, prompt_text
from suffrage.study.descriptions import study_personas
from suffrage.study.inputs import ComputedInputs
from suffrage.study.planning.memory import (
    StepSize,
    layer_parameters,
    step_bytes,
    token_bytes,
    weight_bytes,
)
from suffrage.study.planning.stage_work import (
    described_tokens,
    mean_visit,
    reading_tokens,
    work_by_stage,
)
from suffrage.study.planning.training_work import TAIL_TOKENS, TrainingWork, training_work
from suffrage.study.schema import read_study
from suffrage.study.wiring import wire
from suffrage.survey.formats.archive import read_book
from suffrage.training_data.distribution_records import build_distributions
from suffrage.training_data.records import StepShape
from tests.study.conftest import Write

QUESTION = 100.0


def work(write_study: Write, method: dict[str, object], steps: int = 10) -> TrainingWork:
    methods = [{"method": "sft", "name": "start", "steps": 5}, {"name": "tried", **method}]
    study = read_study(write_study(methods=methods))
    (spec,) = (spec for spec in study.methods if spec.name == "tried")
    return training_work(spec, steps, QUESTION)


def test_a_loss_on_given_answers_learns_from_each_record_once(write_study: Write) -> None:
    assert work(write_study, {"method": "sft", "batch": 4}) == TrainingWork(
        learnt=10 * 4 * QUESTION
    )


def test_factors_read_each_question_once_and_no_model_where_words_are_compared(
    write_study: Write,
) -> None:
    assert work(write_study, {"method": "factors"}) == TrainingWork(read=10 * QUESTION)
    assert work(write_study, {"method": "factors", "states": "text"}) == TrainingWork()
    passes = {}
    for states in ("model", "text"):
        methods = ["prompt", {"method": "factors", "states": states}]
        inputs = ComputedInputs(wire(read_study(write_study(methods=methods))))
        found = work_by_stage(inputs)
        passes[states] = {
            method: found[stage.folder].passes
            for (method, _), stage in inputs.wiring.answers.items()
        }
    assert 0 < passes["model"]["factors"] < passes["model"]["prompt"] / 2
    assert passes["text"]["factors"] == 0


@pytest.mark.parametrize(
    ("method", "read"),
    [
        ({"method": "dpo", "batch": 4}, 4000.0),
        ({"method": "dpo", "batch": 4, "form": "simpo"}, 0.0),
        ({"method": "kto", "batch": 4}, 4000.0),
        ({"method": "kto", "batch": 4, "reference": "none"}, 0.0),
    ],
)
def test_a_reference_reads_everything_once_more(
    write_study: Write, method: dict[str, object], read: float
) -> None:
    assert work(write_study, method) == TrainingWork(learnt=4000.0, read=read)


def test_rlhf_is_its_three_phases(write_study: Write) -> None:
    options = {"batch": 4, "sft_steps": 3, "preference_steps": 5, "rounds": 2}
    found = work(write_study, {"method": "rlhf", **options})
    answers = 10 * 4
    assert found.learnt == 3 * 4 * 100 + 5 * 4 * 100 + 2 * answers * 101
    # The question to write the answer; then policy, reference and preference model.
    assert found.read == answers * 100 + 3 * answers * 101
    assert found.written == answers
    begun = work(write_study, {"method": "rlhf", **options, "from": "start"})
    assert found.learnt - begun.learnt == 3 * 4 * 100


def test_each_record_of_a_group_method_is_answered_many_times(write_study: Write) -> None:
    options = {"batch": 4, "num_generations": 8, "format": "written", "longest": 16}
    found = work(write_study, {"method": "grpo", **options})
    answers = 10 * 4 * 8
    assert found == TrainingWork(
        learnt=answers * 116, read=answers * (100 + 116), written=float(answers * 16)
    )
    judged = work(write_study, {"method": "grpo", **options, "reward": "preference_model"})
    assert judged.read - found.read == answers * 116
    assert judged.learnt - found.learnt == 10 * 4 * 100


def test_a_constitution_costs_its_texts_and_both_stages(write_study: Write) -> None:
    options = {"batch": 4, "drafts": 6, "rounds": 1, "longest": 20, "then_steps": 7}
    checked = work(write_study, {"method": "cai", **options})
    found = work(write_study, {"method": "cai", **options, "least_agreement": 0})
    # 64 pairs of 140 tokens are judged in both orders.
    assert checked.read - found.read == 2 * 64 * 140
    # Three texts, each read with what stands before it; two answers a pair.
    assert found.written == 6 * 3 * 20 + 2 * 6 * 20
    drafts = 6 * (100 + 120 + 140)
    assert found.read == drafts + 2 * 6 * 100 + 2 * 6 * (4 * 100 + 2 * 20)
    assert found.learnt == 10 * 4 * 120 + 7 * 4 * 140
    alone = work(write_study, {"method": "cai", **options, "then": "none"})
    assert alone == TrainingWork(learnt=10 * 4 * 120, read=drafts, written=6 * 3 * 20)


def test_populations_share_a_question_in_steps_of_whole_questions(write_study: Write) -> None:
    options = {"questions": 3, "populations": 5, "orders": 2, "steps": 10}
    found = work(write_study, {"method": "distribution", **options})
    assert found == TrainingWork(packed=10 * 3 * 2 * (QUESTION + 4 * TAIL_TOKENS))
    study = read_study(write_study(methods=[{"method": "distribution", **options}]))
    (spec,) = study.methods
    two = training_work(spec, 10, QUESTION, populations=2)
    assert two.packed == 10 * 3 * 2 * (QUESTION + TAIL_TOKENS)


def test_a_visit_asks_for_those_who_answered_the_question() -> None:
    shape = StepShape(4, populations=10)
    assert mean_visit([20, 2], shape, 30) == (10 + 2) / 2
    # In turn for all 20, and once for both of the other question.
    assert mean_visit([20, 2], replace(shape, all_populations=True), 30) == (10 + 10 + 2) / 3
    # A teacher predicts the answers of three more, where there are so many.
    assert mean_visit([20, 2], replace(shape, unasked=3), 21) == (10 + 1 + 2 + 3) / 2
    assert mean_visit([], shape, 30) is None


@pytest.mark.parametrize("all_populations", [False, True])
def test_a_mean_visit_is_that_of_the_records(write_study: Write, all_populations: bool) -> None:
    step = {"questions": 2, "populations": 2, "all_populations": all_populations}
    methods = [{"method": "distribution", "steps": 40, **step}]
    inputs = ComputedInputs(wire(read_study(write_study(methods=methods))))
    (place,) = inputs.wiring.align
    learnt, split = inputs.learnt_from(place), inputs.splits[place[1]]
    settings = inputs.training_options("distribution").record_settings
    assert settings.step is not None
    rows = build_distributions(
        learnt, split, 40 * settings.step.records, np.random.default_rng(0), settings
    ).frame
    visits = rows.select("step", "item", "way").n_unique()
    counts = [sum(item in v.distributions for v in learnt) for item in split.train]
    expected = mean_visit([c for c in counts if c], settings.step, len(learnt))
    assert expected == pytest.approx(len(rows) / visits, rel=0.1)


def test_what_is_held_back_is_read_at_every_point(write_study: Write) -> None:
    options = {"batch": 4, "validation": 0.3, "validate_every": 4, "validation_cells": 60}
    found = work(write_study, {"method": "distribution", **options})
    # Before the first step, after steps 4 and 8, and at the end; three populations a question.
    assert found.read == pytest.approx(4 * 60 * (QUESTION / 3 + TAIL_TOKENS))
    assert found.learnt == 10 * 4 * QUESTION


def test_descriptions_are_read_once_for_all_ways_of_asking_a_population(
    write_study: Write,
) -> None:
    options = {"questions": 3, "populations": 5, "orders": 2, "steps": 10, "in_context": 4}
    study = read_study(write_study(methods=[{"method": "distribution", **options}]))
    (spec,) = study.methods
    found = training_work(spec, 10, QUESTION, 5, described=200)
    assert found == TrainingWork(packed=10 * 3 * 5 * (200 + 2 * QUESTION))


def test_the_tokens_of_a_description_are_about_those_of_the_text(write_study: Write) -> None:
    methods = [{"method": "prompt", "in_context": 3}, "base"]
    inputs = ComputedInputs(wire(read_study(write_study(methods=methods))))
    texts = [
        persona.introduction(item)
        for persona in study_personas(inputs, "prompt", 3).values()
        for item in inputs.items
        if not isinstance(persona, str)
    ]
    prompt, base = inputs.study.methods
    mean = sum(map(len, texts)) / len(texts) / 4
    assert described_tokens(inputs, prompt) == pytest.approx(mean, rel=0.25)
    assert described_tokens(inputs, base) == 0
    work = work_by_stage(inputs)
    named = read_study(write_study(methods=["prompt"]))
    (stage,) = {stage.folder for stage in wire(named).answers.values()}
    shorter = work_by_stage(ComputedInputs(wire(named)))[stage].passes
    assert work[inputs.wiring.answers["prompt", 3].folder].passes > 1.5 * shorter


@pytest.mark.slow
@pytest.mark.skipif(
    any(bundled.package_folder(p) is None for p in bundled.BUNDLED["smollm2-135m"].needed),
    reason="the bundled model is not installed",
)
@pytest.mark.parametrize("populations", [0, 1, 12])
def test_the_tokens_of_asking_are_about_those_that_packed_rows_read(populations: int) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(bundled.prepared_folder("smollm2-135m")))
    items = list(read_book("gss.yaml").items().values())[:30]
    places = ("Kenya", "Peru", "Japan", "Chad")
    personas = [f"people in {place} in {year}" for place in places for year in (1, 2, 3)]
    probes = [ItemProbe(item, name) for item in items for name in personas[:populations] or [None]]
    texts = [
        prompt_text(tokenizer, question.messages)
        for probe in probes
        for question in ways_of_asking(probe.item, probe.persona)
    ]
    requests = [ScoreRequest(prompt, ((1,),)) for prompt in encode_texts(tokenizer, texts)]
    read = sum(len(row.tokens) for row in packed(requests, 2048))
    planned = reading_tokens(probes, [], Scoring(text=False, samples=0))
    assert planned == pytest.approx(read, rel=0.2)


def test_asking_a_sample_is_planned_as_less(write_study: Write) -> None:
    found = {}
    for most in (None, 4):
        scoring = {"samples": 0, "text": False, "trained_cells": most}
        inputs = ComputedInputs(wire(read_study(write_study(scoring=scoring))))
        found[most] = work_by_stage(inputs)[inputs.wiring.answers["prompt", 3].folder].passes
        value_sets = list(inputs.value_sets.values())
        cells = inputs.asked_cells("prompt", 3, value_sets)
    assert cells is not None and len(cells) < 16
    # Of eight items for two value sets.
    assert found[4] == pytest.approx(found[None] * len(cells) / 16, rel=0.1)


@pytest.mark.slow
def test_layers_that_are_not_trained_take_a_third_and_no_memory_of_moments(
    write_study: Write,
) -> None:
    shape = ModelShape(1000, width=4, layers=3, heads=1, vocabulary=10, inner=8, shared=2)
    # Attention: 4x4 twice, 4x2 twice; feed-forward: three times 4x8.
    assert layer_parameters(shape) == 2 * 16 + 2 * 8 + 3 * 32
    assert weight_bytes(shape, "full", 4, 8) == 16 * 1000
    assert weight_bytes(shape, "full", 4, 8, "3-3") == 16 * 144 + 4 * (1000 - 144)
    step = StepSize(10.0, 0.0)
    each = 10 * token_bytes(shape, "full", 4)
    whole = step_bytes(shape, "full", step, 4, 8, recomputed=False, padded=False)
    upper = step_bytes(shape, "full", step, 4, 8, False, False, "upper")
    assert whole - weight_bytes(shape, "full", 4, 8) == 3 * each
    assert upper - weight_bytes(shape, "full", 4, 8, "upper") == 2 * each
    passes = []
    for layers in ("all", "2-2"):
        methods = [{"method": "distribution", "adapter": "none", "steps": 4, "layers": layers}]
        inputs = ComputedInputs(wire(read_study(write_study(methods=methods))))
        passes.append(work_by_stage(inputs)[inputs.wiring.align["distribution", 3, ""].folder])
    # The tiny model has two layers. Of the lower one only the forward third of the work is left.
    assert passes[1].passes == pytest.approx(passes[0].passes * (1 + 1 / 3) / 2)
    assert passes[1].memory < passes[0].memory
