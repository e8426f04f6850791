"""Refusing a part of what is averaged never helps: models of one method, ways, cells, rivals."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from suffrage.evaluate import (
    Answers,
    EvaluationInput,
    behaviour,
    distances,
    equity,
    globalopinionqa,
    memorisation,
    safety,
    steerability,
)
from suffrage.evaluate.asking.item_probes import shares_by_model
from suffrage.evaluate.asking.published_answers import globalopinionqa_value_sets
from suffrage.evaluate.compare import compare_results
from suffrage.evaluate.globalopinionqa import country_name
from suffrage.evaluate.votes import _said
from suffrage.models import ModelAnswer
from suffrage.population import ValueSet
from tests.evaluate import test_behaviour as acts
from tests.evaluate import test_memorisation as memory
from tests.evaluate import trial
from tests.evaluate.outside_files import SETS, SPLITS, figure, probe_input, scored
from tests.evaluate.outside_files import write_globalopinionqa as write_countries
from tests.evaluate.test_compare import run
from tests.impostors import Impostor, people
from tests.report.example_results import example_results

COUNTRIES = ("Chile", "Japan", "S. Korea", "Kenya")
OPTIONS = globalopinionqa.Options(path="goqa.csv")


def better(card: Any, measure: str, method: str, against: str) -> bool:
    """Whether the card says that a method has the higher figure."""
    for d in card.figure_differences:
        if d.measure == measure and {d.method, d.against} == {method, against}:
            own = d if d.method == method else d.turned(method=d.against, against=d.method)
            return bool(own.verdict == "higher")
    return False


# --- Several models of one method ---------------------------------------------------------------


def two_models() -> pl.DataFrame:
    """The answers of two models; the second could not be read on the hard question."""
    rows = [
        ("north", "", "easy", [0.2, 0.8], 1.0, False),
        ("north", "", "hard", [0.5, 0.5], 1.0, False),
        ("south", "", "easy", [0.4, 0.6], 1.0, False),
        ("south", "", "hard", [0.5, 0.5], 0.1, True),
    ]
    names = ["value_set", "population", "item", "shares", "mass", "refused"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_what_one_model_of_a_method_refuses_is_missing_for_the_method() -> None:
    given = EvaluationInput(SETS, SPLITS, {}, ["two"], [], probes={("two", 1): two_models()})
    models = shares_by_model(given, "two", 1)
    assert [list(said) for said in models] == [[("", "easy")]] * 2
    assert [said["", "easy"].tolist() for said in models] == [[0.2, 0.8], [0.4, 0.6]]
    votes = _said(two_models())
    assert list(votes[""]) == ["easy"]
    assert votes[""]["easy"] == pytest.approx([0.3, 0.7])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_countries(tmp_path / "goqa.csv", COUNTRIES, 24)
    return tmp_path


def countries(folder: Path) -> list[ValueSet]:
    found = globalopinionqa_value_sets(folder / "goqa.csv", COUNTRIES)
    return [replace(v, description=f"people who live in {country_name(v.name)}") for v in found]


def knows(sets: Sequence[ValueSet], truth: float, mass: Callable[[str], float]) -> Impostor:
    """Near the people as far as `truth` says; mass: of a question, what goes to the options."""
    right = people(sets, lambda p: truth * p + (1 - truth) / p.size)

    def says(options: Sequence[str], question: str) -> Any:
        return mass(question) * right.says(options, question)

    return Impostor(says)


@pytest.mark.slow
def test_a_second_model_that_refuses_what_it_is_bad_at_is_seen(folder: Path) -> None:
    sets = countries(folder)
    items = sorted({d.item.question for v in sets for d in v.distributions.values()})
    hard = set(items[::2])

    def frame(model: Impostor, whose: str) -> pl.DataFrame:
        asked = globalopinionqa.probe(probe_input(model, OPTIONS, folder))
        return asked.with_columns(value_set=pl.lit(whose))

    def wrong(refuses: bool) -> Impostor:
        """Knows the easy questions; on the hard ones gives each option what others should have."""
        inverted = people(sets, lambda p: (p.max() - p + 0.01) / (p.max() - p + 0.01).sum())
        right = people(sets, lambda p: 0.95 * p + 0.05 / p.size)

        def says(options: Sequence[str], question: str) -> Any:
            if any(text in question for text in hard):
                return (0.1 if refuses else 1.0) * inverted.says(options, question)
            return right.says(options, question)

        return Impostor(says)

    good = frame(knows(sets, 0.95, lambda question: 1.0), "north")
    middling = knows(sets, 0.8, lambda question: 1.0)
    plain = pl.concat([frame(middling, "north"), frame(middling, "south")])

    def card(refuses: bool) -> Any:
        two = pl.concat([good, frame(wrong(refuses), "south")])
        asked = {("plain", 1): plain, ("two", 1): two}
        splits = {1: SPLITS[1]}
        return globalopinionqa.score(
            EvaluationInput(
                SETS, splits, {}, ["plain", "two"], [], probes=asked, options=OPTIONS, folder=folder
            ),
            1,
        )

    honest, choosy = card(False), card(True)
    assert figure(honest, "country", "two").value < figure(honest, "country", "plain").value
    assert figure(honest, "country", "two").missing == 0
    cells = sum(d.item.question in hard for v in sets for d in v.distributions.values())
    assert figure(choosy, "country", "two").missing == cells
    assert not better(choosy, "country", "two", "plain")


@pytest.mark.slow
def test_a_pair_of_requests_that_one_model_refuses_is_missing() -> None:
    def rows(value_set: str, harmful: float | None) -> dict[str, Any]:
        return {
            "value_set": value_set,
            "kind": "letters",
            "question": "locks",
            "harmful": harmful,
            "harmless": 0.1,
        }

    frame = pl.DataFrame([rows("north", 0.9), rows("south", None)])
    given = EvaluationInput(SETS, SPLITS, {}, ["two"], [], probes={("two", 1): frame})
    harmful, harmless = pl.col("harmful"), pl.col("harmless")
    assert safety.values_by_question(given, harmful - harmless, ["letters"]) == {"two": {}}
    assert safety.values_by_question(given, harmless) == {"two": {(1, "locks"): 0.1}}


@pytest.mark.slow
def test_a_seed_that_refuses_a_question_leaves_it_missing_where_seeds_are_averaged() -> None:
    one = example_results(seeds=[7], repeat_items=5)
    items = [i.model_copy(update={"side": {7: i.side[7], 9: i.side[7]}}) for i in one.items]
    again = [a.model_copy(update={"seed": 9}) for a in one.answers]
    place = next(
        k
        for k, a in enumerate(again)
        if (a.method, a.side, a.readout) == ("base", "held_out", "letters")
    )
    again[place] = again[place].model_copy(update={"refused": True})
    twice = one.model_copy(update={"items": items, "answers": [*one.answers, *again]})
    (board,) = compare_results([run("twice", twice, seeds=[7, 9])]).boards
    missing = {s.method: s.missing for s in board.standings}
    assert missing["base"] == 1 and sum(missing.values()) == 1


# --- Several ways of asking one model -----------------------------------------------------------


def test_a_wording_that_is_refused_leaves_the_question_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a model would be as good in other words as in those it can be read in."""
    given = EvaluationInput(memory.SETS, {5: memory.SPLIT}, {}, ["base"], [])
    shares = {i.id: [1.0] + [0.0] * (len(i.options) - 1) for i in memory.ITEMS.values()}
    refused = sorted(shares)[0]
    said = [
        {"value_set": v.name, "kind": "wording", "item": item, "wording": number, "shares": own}
        for v in memory.SETS
        for item, every in shares.items()
        for number, own in enumerate([every, None if item == refused else every])
    ]
    answers = {
        v.name: [
            ModelAnswer(i, "letters", np.array(own), 1.0, 0.0, False) for i, own in shares.items()
        ]
        for v in memory.SETS
    }
    frame = pl.DataFrame(said, schema_overrides={"shares": pl.List(pl.Float64)})
    given = replace(given, probes={("base", 5): frame}, answers={("base", 5): Answers(answers)})
    read = {row.item for row in memorisation._wording(given)["base"]}
    assert read == set(shares) - {refused}


@pytest.mark.parametrize(
    ("verdicts", "first"),
    [([1, 1, 2, 2], 0.5), ([1, 0, 0, 0], 0.625), ([2, 2, 2, 0], 0.125), ([0, 0, 0, 0], None)],
)
def test_an_act_that_takes_neither_course_counts_as_half_of_either(
    verdicts: list[int], first: float | None
) -> None:
    scenario = next(s for s in acts.SCENARIOS if s.item in acts.SETS[0].distributions)
    frame = pl.DataFrame(
        [
            {
                "value_set": "",
                "kind": "judged",
                "scenario": scenario.id,
                "verdict": v,
                "first": None,
            }
            for v in verdicts
        ]
    )
    given = EvaluationInput(acts.SETS, {5: acts.SPLIT}, {}, ["a"], [], probes={("a", 5): frame})
    found = behaviour._acted(given, ("a", 5), acts.SETS[0], "judged", {scenario.id: scenario})
    if first is None:
        assert found == {}
        return
    last = scenario.last_course(acts.SETS[0].distributions[scenario.item].item)
    assert found[scenario.id] == pytest.approx(1 - first if last == 1 else first)


# --- Groups that an answer is compared with -----------------------------------------------------

PUBLIC = trial.survey(900, 10)
REGIONS = [v for v in trial.value_sets(PUBLIC, crossings=False) if v.name in trial.REGIONS]
HARD = PUBLIC.codebook.item_ids[:3]


def answers(refused: Callable[[str, str], bool]) -> Answers:
    return Answers(
        {
            v.name: [
                ModelAnswer(i, "letters", 0.9 * d.shares + 0.025, 1.0, 0.0, refused(v.name, i))
                for i, d in v.distributions.items()
            ]
            for v in REGIONS
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("evaluation", "measure"),
    [
        (equity, "between"),
        (steerability, "name_adds"),
        (steerability, "over_others"),
        (steerability, "nearest"),
        (steerability, "apart"),
        (distances, "correlation_groups"),
    ],
)
def test_a_group_is_compared_with_all_rivals_or_not_at_all(evaluation: Any, measure: str) -> None:
    alone = pl.DataFrame(
        [{"value_set": "north", "item": HARD[0], "shares": [0.25] * 4, "refused": False}]
    )
    said = {
        ("plain", 1): answers(lambda group, item: False),
        ("choosy", 1): answers(lambda group, item: group == "east" and item in HARD),
    }
    given = EvaluationInput(
        REGIONS,
        {1: trial.all_held_out(PUBLIC)},
        said,
        ["plain", "choosy"],
        [],
        probes=dict.fromkeys(said, alone),
    )
    card = evaluation.EVALUATION.scored(given, 1)
    for group in ("north", "south"):
        assert figure(card, measure, "plain", group).missing == 0
        assert figure(card, measure, "choosy", group).missing == len(HARD)
    assert not better(card, measure, "choosy", "plain")


@pytest.mark.slow
def test_a_country_is_told_apart_from_all_others_or_not_at_all(folder: Path) -> None:
    sets = countries(folder)
    hard = sorted({d.item.question for v in sets for d in v.distributions.values()})[:4]

    def mass(question: str) -> float:
        return 0.1 if "Japan" in question and any(text in question for text in hard) else 1.0

    models = {"plain": knows(sets, 0.9, lambda question: 1.0), "choosy": knows(sets, 0.9, mass)}
    card = scored(globalopinionqa.EVALUATION, models, OPTIONS, folder, splits={1: SPLITS[1]})
    assert figure(card, "told_apart", "plain", "Chile").missing == 0
    assert figure(card, "told_apart", "choosy", "Chile").missing == len(hard)
    assert figure(card, "country", "choosy", "Chile").missing == 0
