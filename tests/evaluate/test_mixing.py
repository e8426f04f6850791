"""Mixing with the average answer: the weight is the true one, and nothing evaluated decides it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from suffrage.errors import SuffrageError
from suffrage.evaluate import Answers, EvaluationInput, Scorecard
from suffrage.evaluate import fit as fit_evaluation
from suffrage.evaluate.scorecard import FloorReading
from suffrage.evaluate.statistics.mixing import (
    MixingCell,
    MixingWeight,
    mixed_answers,
    mixed_shares,
    mixing_cells,
    mixing_weight,
)
from suffrage.models import ModelAnswer
from suffrage.population import ValueSet, build_value_set
from suffrage.population.distribution_distances import fit
from suffrage.study.floor_readings import weight_of
from suffrage.training_data import (
    HeldOut,
    ItemSplit,
    Records,
    check_nothing_held_out,
    split_items,
)
from suffrage.training_data.split import with_held_back
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=400, items=24, seed=5)
ITEMS = SURVEY.codebook.items
SETS = [build_value_set(SURVEY, n, {"region": n}, 1) for n in ("north", "south")]
SPLIT = with_held_back(split_items(ITEMS, HeldOut(share=0.25), 2), ITEMS, 0.4, 2)


def cells_of(truth: float, count: int = 60, noise: float = 0.0, seed: int = 1) -> list[MixingCell]:
    """Cells whose people are `truth` of the model and the rest of the average answer."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        model, average = generator.dirichlet(np.ones(4), 2)
        people = truth * model + (1 - truth) * average
        people = people * np.exp(noise * generator.standard_normal(4))
        people /= people.sum()
        found.append(
            MixingCell(f"q{number // 2}", f"battery {number // 4}", people, model, average)
        )
    return found


def chosen(cells: list[MixingCell]) -> MixingWeight:
    found = mixing_weight(cells, 1)
    assert found is not None
    return found


def test_a_model_that_adds_nothing_gets_no_weight_and_the_truth_gets_all() -> None:
    nothing, everything = chosen(cells_of(0.0, noise=0.3)), chosen(cells_of(1.0, noise=0.3))
    assert nothing.weight <= 0.05 and nothing.high is not None and nothing.high <= 0.1
    assert everything.weight >= 0.95 and everything.low is not None and everything.low >= 0.9
    assert nothing.average_fit > nothing.model_fit and everything.model_fit > 0.7


@pytest.mark.parametrize("truth", [0.0, 0.35, 0.6, 1.0])
def test_a_true_mixture_is_found_exactly(truth: float) -> None:
    found = chosen(cells_of(truth))
    assert found.weight == pytest.approx(truth)
    assert found.mixed_fit == pytest.approx(1, abs=1e-6)
    assert (found.low, found.high) == (pytest.approx(truth), pytest.approx(truth))
    assert (found.questions, found.cells, found.clusters) == (30, 60, 15)


def test_the_fits_are_those_of_a_plain_loop_in_which_every_question_counts_once() -> None:
    cells = cells_of(0.5, 9, noise=0.5)
    cells[1:4] = [replace(cell, item="q0") for cell in cells[1:4]]

    def mean(weight: float) -> float:
        by_item: dict[str, list[float]] = {}
        for cell in cells:
            shares = weight * cell.model + (1 - weight) * cell.average
            by_item.setdefault(cell.item, []).append(float(fit(cell.people, shares)))
        return float(np.mean([np.mean(some) for some in by_item.values()]))

    found = chosen(cells)
    assert found.model_fit == pytest.approx(mean(1))
    assert found.average_fit == pytest.approx(mean(0))
    assert found.mixed_fit == pytest.approx(mean(found.weight))
    assert found.weight == pytest.approx(max(np.arange(21) / 20, key=mean))


def test_a_model_that_says_the_average_answer_gets_no_weight() -> None:
    cells = [replace(cell, model=cell.average) for cell in cells_of(0.4, noise=0.3)]
    assert chosen(cells).weight == 0


def test_with_three_clusters_there_is_no_interval_and_without_cells_no_weight() -> None:
    assert chosen(cells_of(0.5, 12)).low is None
    assert chosen(cells_of(0.5, 16)).low is not None
    assert mixing_weight([], 1) is None


@pytest.mark.slow
def test_intervals_hold_the_best_weight_of_the_population_of_questions() -> None:
    """In 19 of 20 samples of questions; percentile intervals of few clusters hold somewhat less."""
    best = chosen(cells_of(0.5, 8000, noise=0.4, seed=99)).weight
    held = 0
    for seed in range(150):
        found = chosen(cells_of(0.5, 120, noise=0.4, seed=seed))
        assert found.low is not None and found.high is not None
        held += found.low - 0.026 <= best <= found.high + 0.026
    assert held / 150 > 0.9


def model_of(people: dict[str, np.ndarray]) -> list[ModelAnswer]:
    return [ModelAnswer(i, "letters", p, 1.0, 0.0, False) for i, p in people.items()]


def shares_of(value_set: ValueSet) -> dict[str, np.ndarray]:
    return {i: d.shares for i, d in value_set.distributions.items()}


def given_with(sets: list[ValueSet], answers: Answers, **more: object) -> EvaluationInput:
    return EvaluationInput(
        value_sets=sets,
        splits={2: SPLIT},
        answers={("model", 2): answers},
        methods=["model"],
        trained=["model"],
        **more,  # type: ignore[arg-type]
    )


def changed(value_set: ValueSet, items: tuple[str, ...], seed: int) -> ValueSet:
    """The value set with other shares on some items."""
    generator = np.random.default_rng(seed)
    other = {
        i: replace(d, shares=generator.dirichlet(np.full(d.shares.size, 0.3))) if i in items else d
        for i, d in value_set.distributions.items()
    }
    return replace(value_set, distributions=other)


def chosen_on_held_back(sets: list[ValueSet], answers: Answers, **more: object) -> MixingWeight:
    questions = {v.name: frozenset(SPLIT.held_back) for v in sets}
    found = weight_of(given_with(sets, answers, **more), answers, 2, questions)
    assert found is not None
    return found


def test_a_record_with_the_text_of_a_question_held_back_is_refused() -> None:
    item = next(item for item in ITEMS if item.id in SPLIT.held_back)
    row = {"id": "0", "item": SPLIT.train[0], "user": f"Please say: {item.question}"}
    with pytest.raises(SuffrageError, match=item.id):
        check_nothing_held_out(Records("sft", pl.DataFrame([row]), {}), ITEMS, SPLIT)


def half_true() -> Answers:
    """A model that is half right, so that the best weight is inside the grid."""
    return Answers(
        {
            v.name: model_of({i: 0.5 * p + 0.5 * p[::-1] for i, p in shares_of(v).items()})
            for v in SETS
        }
    )


def test_no_evaluated_question_decides_the_weight() -> None:
    """Neither what people nor what the model answers to held-out questions."""
    before = chosen_on_held_back(SETS, half_true())
    sets = [changed(v, SPLIT.held_out, 3) for v in SETS]
    wrong = Answers(
        {
            v.name: [
                replace(a, shares=v.distributions[a.item_id].shares)
                if a.item_id in SPLIT.held_out
                else a
                for a in half_true().by_value_set[v.name]
            ]
            for v in sets
        }
    )
    assert chosen_on_held_back(sets, wrong) == before
    other = [changed(v, SPLIT.held_back, 3) for v in SETS]
    assert chosen_on_held_back(other, half_true()) != before


def test_held_out_questions_are_not_asked_even_if_they_are_named() -> None:
    named = (*SPLIT.held_back, *SPLIT.held_out)
    cells = list(mixing_cells(SETS[0], SPLIT, half_true().by_value_set["north"], named))
    assert {cell.item for cell in cells} == set(SPLIT.held_back)


def test_the_average_answer_contains_no_question_that_the_weight_is_chosen_on() -> None:
    """Also where a method's own validation questions count as trained for the floors."""
    validation = SPLIT.train[:4]
    cells = list(mixing_cells(SETS[0], SPLIT, half_true().by_value_set["north"], validation))
    assert {cell.item for cell in cells} == set(validation)
    own = shares_of(SETS[0])
    for cell in cells:
        others = [own[i] for i in SPLIT.train[4:] if own[i].size == cell.people.size]
        assert cell.average == pytest.approx(np.mean(others, axis=0))


def test_groups_left_out_of_training_do_not_decide_the_weight() -> None:
    alone = chosen_on_held_back(SETS, half_true(), left_out=["south"])
    sets = [SETS[0], changed(SETS[1], SPLIT.held_back, 4)]
    assert chosen_on_held_back(sets, half_true(), left_out=["south"]) == alone
    assert alone.cells == len(SPLIT.held_back)


def test_what_is_held_back_is_on_no_side() -> None:
    assert SPLIT.held_back and SPLIT.train and SPLIT.held_out
    assert {*SPLIT.train, *SPLIT.held_out, *SPLIT.held_back} == {item.id for item in ITEMS}
    assert len(SPLIT.train) + len(SPLIT.held_out) + len(SPLIT.held_back) == len(ITEMS)
    for item in SPLIT.held_back:
        assert SPLIT.side(item) == "held_back" and not SPLIT.trains_on(item)
    for cluster in set(SPLIT.clusters.values()):
        sides = {SPLIT.side(i) for i, own in SPLIT.clusters.items() if own == cluster}
        assert len(sides) == 1


def scored(readings: list[FloorReading]) -> Scorecard:
    answers = half_true()
    flat = Answers(
        {
            v.name: model_of({i: np.full(p.size, 1 / p.size) for i, p in shares_of(v).items()})
            for v in SETS
        }
    )
    given = EvaluationInput(
        value_sets=SETS,
        splits={2: SPLIT},
        answers={("model", 2): answers, ("flat", 2): flat},
        methods=["flat", "model"],
        trained=["model"],
        readings=readings,
    )
    return fit_evaluation.score(given, 1)


def reading(split: ItemSplit, weight: float) -> FloorReading:
    answers = half_true()
    mixed = {v.name: mixed_answers(v, split, answers.by_value_set[v.name], weight) for v in SETS}
    return FloorReading("model+average", "model", "Mixed", "", {2: Answers(mixed)})


@pytest.mark.slow
def test_a_mixture_has_its_row_and_changes_nothing_about_the_methods() -> None:
    without, card = scored([]), scored([reading(SPLIT, 0.5)])
    assert [f for f in card.figures if f.method != "model+average"] == list(without.figures)
    plain = [d for d in card.figure_differences if d.method != "model+average"]
    assert plain == list(without.figure_differences), "the correction is for as many comparisons"
    own = [d for d in card.figure_differences if d.method == "model+average"]
    assert {d.against for d in own} == {"average", "model"}
    own_fits = [
        a.fit
        for a in card.answers
        if a.method == "model+average" and a.side == "held_out" and a.readout == "letters"
    ]
    row = next(
        f
        for f in card.figures
        if (f.method, f.measure, f.side, f.value_set, f.seed)
        == ("model+average", "fit", "held_out", "all", "all")
    )
    assert row.value == pytest.approx(np.mean([x for x in own_fits if x is not None]))
    assert not {a.item for a in card.answers} & set(SPLIT.held_back)


@pytest.mark.slow
@pytest.mark.parametrize(("weight", "alike"), [(0.0, "average"), (1.0, "model")])
def test_the_ends_of_the_mixture_are_the_floor_and_the_model(weight: float, alike: str) -> None:
    answers = scored([reading(SPLIT, weight)]).answers
    by_method: dict[str, dict[tuple[str, str], list[float]]] = {}
    for a in answers:
        by_method.setdefault(a.method, {})[a.value_set, a.item] = a.shares
    for place, shares in by_method["model+average"].items():
        assert shares == pytest.approx(by_method[alike][place])


def test_shares_are_mixed_option_by_option() -> None:
    generator = np.random.default_rng(0)
    model, average = generator.dirichlet(np.ones(3), 2)
    assert mixed_shares(model, average, 0.3) == pytest.approx(0.3 * model + 0.7 * average)


def test_a_population_that_a_sample_asks_nothing_as_counts_for_nothing() -> None:
    """Of a thousand cells drawn from many populations, some population has none."""
    answers = half_true()
    asked = [v.name for v in SETS[1:]]
    fewer = Answers({name: answers.by_value_set[name] for name in asked})
    found = chosen_on_held_back(SETS, fewer)
    assert found == chosen_on_held_back(SETS[1:], fewer)
    card = fit_evaluation.score(given_with(SETS, fewer), 1)
    assert {a.value_set for a in card.answers if a.method == "model"} == set(asked)
