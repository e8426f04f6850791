"""`structure`: only a model with people's pattern of answers passes, not one average person."""

import numpy as np
import polars as pl
import pytest

from suffrage.evaluate import Answers, EvaluationInput, Scorecard
from suffrage.evaluate.structure import (
    EVALUATION,
    correlations,
    disagreement,
    value_means,
    weighted_correlation,
)
from suffrage.models import ModelAnswer
from suffrage.population import build_value_set
from suffrage.survey import Codebook, Item, Option, Provenance, Survey
from suffrage.values.item_keys import item_key
from suffrage.values.taxonomies import taxonomy
from tests.evaluate.trial import all_held_out, figure, has, impostors, survey, tried, value_sets
from tests.impostors import majority, people
from tests.values.test_values import LIKE_ME

pytestmark = pytest.mark.slow

SURVEY = survey(2400, 14)
SETS = value_sets(SURVEY)
SPLIT = all_held_out(SURVEY)
PATTERNS = ("spread_pattern", "items_together", "groups_alike")


@pytest.fixture(scope="module")
def card() -> Scorecard:
    models = impostors(SETS)
    everyone = [SETS[0]]
    models["average"] = people(everyone, lambda shares: shares)
    models["average-person"] = people(everyone, majority)
    return tried(EVALUATION, models, SETS, SPLIT)


def test_who_knows_the_people_has_their_pattern(card: Scorecard) -> None:
    for pattern in PATTERNS:
        found = figure(card, pattern, "knows")
        assert found.value == pytest.approx(1)
        assert found.low is not None and found.floor is not None and found.low > found.floor
    assert figure(card, "weakest", "knows").value >= 1
    assert figure(card, "spread", "knows").value == pytest.approx(1)


@pytest.mark.parametrize(
    "impostor", ["base", "constant", "parrot", "flat", "noise", "average", "average-person"]
)
def test_no_impostor_passes_its_weakest_pattern(card: Scorecard, impostor: str) -> None:
    found = figure(card, "weakest", impostor)
    assert found.value == 0 and found.floor == 0 and found.ceiling == 1


def test_the_order_of_the_options_alone_is_no_spread(card: Scorecard) -> None:
    assert figure(card, "spread", "constant").value == pytest.approx(0, abs=1e-9)


def test_one_average_person_is_a_point(card: Scorecard) -> None:
    found = figure(card, "spread", "average-person")
    assert found.value == 0 and found.high == 0
    for pattern in PATTERNS:
        assert figure(card, pattern, "average-person").value == 0


def test_one_average_public_has_spread_but_no_groups(card: Scorecard) -> None:
    spread = figure(card, "spread_pattern", "average")
    assert spread.floor is not None and spread.value > spread.floor
    assert figure(card, "spread", "average").value > 1
    assert figure(card, "items_together", "average").value == 0
    assert figure(card, "groups_alike", "average").value == 0


def test_majorities_alone_show_what_goes_together_but_not_where_people_are_divided(
    card: Scorecard,
) -> None:
    together = figure(card, "items_together", "parrot")
    assert together.floor is not None and together.value > together.floor
    assert figure(card, "spread_pattern", "parrot").value == 0


def test_the_interval_lies_around_the_value(card: Scorecard) -> None:
    for pattern in PATTERNS:
        for method in ("parrot", "noise"):
            found = figure(card, pattern, method)
            assert found.low is not None and found.high is not None
            assert found.low - 1e-9 <= found.value <= found.high + 1e-9


def test_items_together_is_what_a_plain_loop_gives(card: Scorecard) -> None:
    groups = [v for v in SETS if len(v.where) == 2]

    def matrix(change):  # type: ignore[no-untyped-def]
        table = np.array(
            [
                [change(d.shares) @ np.linspace(0, 1, 4) for d in v.distributions.values()]
                for v in groups
            ]
        )
        return table, table.std(axis=0) > 1e-9

    table, varies = matrix(majority)
    target, _ = matrix(lambda shares: shares)
    one, two = [], []
    for i in range(14):
        for j in range(i):
            both = varies[i] and varies[j]
            one.append(np.corrcoef(table[:, i], table[:, j])[0, 1] if both else 0.0)
            two.append(np.corrcoef(target[:, i], target[:, j])[0, 1])
    assert figure(card, "items_together", "parrot").value == pytest.approx(
        np.corrcoef(one, two)[0, 1]
    )


def test_two_groups_are_too_few_and_the_report_says_so() -> None:
    some = SETS[:3]
    found = tried(EVALUATION, {"knows": people(some, lambda s: s)}, some, SPLIT)
    assert not has(found, "items_together", "knows") and has(found, "spread_pattern", "knows")
    assert any("needs 3 such groups" in note for note in found.notes)
    assert any("no key to a taxonomy" in note for note in found.notes)


def test_three_groups_are_too_few_to_say_which_are_alike() -> None:
    some = [v for v in SETS if v.name in ("north", "south", "east")]
    found = tried(EVALUATION, {"knows": people(some, lambda s: s)}, some, SPLIT)
    assert has(found, "items_together", "knows") and not has(found, "groups_alike", "knows")


def test_weighted_correlation_is_that_of_repeated_rows() -> None:
    generator = np.random.default_rng(4)
    x, y = generator.normal(size=(2, 9))
    counts = generator.integers(0, 4, 9)
    again = np.corrcoef(np.repeat(x, counts), np.repeat(y, counts))[0, 1]
    assert float(weighted_correlation(x, y, counts.astype(float))) == pytest.approx(again)
    assert float(weighted_correlation(np.ones(9), y, np.ones(9))) == 0


def test_correlations_against_numpy_and_flat_columns() -> None:
    table = np.random.default_rng(1).normal(size=(6, 4))
    assert correlations(table) == pytest.approx(np.corrcoef(table.T))
    table[:, 2] = 5
    assert (correlations(table)[2] == 0).all()


def test_disagreement_by_hand() -> None:
    # Two of two options at one half differ half of the time, which is the most they can.
    assert disagreement(np.array([[0.5, 0.5], [1, 0], [0.9, 0.1]])).tolist() == pytest.approx(
        [1, 0, 2 * 0.18]
    )


# --- The circle ---------------------------------------------------------------------------------


def portraits(seed: int = 0) -> Survey:
    """PVQ-21 in eight groups, each leaning to one direction of the circle."""
    key, whose = item_key("PVQ-21"), taxonomy("schwartz10")
    generator = np.random.default_rng(seed)
    place = {value.id: value.place for value in whose.values}
    most = max(p for p in place.values() if p)
    n = 1600
    group = generator.integers(8, size=n)
    columns: dict[str, object] = {
        "respondent": [f"r{k:05d}" for k in range(n)],
        "weight": np.ones(n),
        "group": [f"g{k}" for k in group],
    }
    items = []
    for value, variables in key.items.items():
        angle = 2 * np.pi * (place[value] or 0) / most
        for variable in variables:
            lean = np.cos(angle - 2 * np.pi * group / 8)
            answers = np.clip(np.round(2.5 - 1.2 * lean + generator.normal(0, 1, n)), 0, 5)
            columns[variable] = pl.Series(answers, dtype=pl.Int16)
            options = tuple(Option(code=str(k), text=text) for k, text in enumerate(LIKE_ME))
            items.append(Item(id=variable, question=f"About {variable}?", options=options))
    book = Codebook(title="Portraits", items=tuple(items), demographics=("group",))
    source = Provenance(reader="made-up", files={}, statement="Made up.", weight_variable=None)
    return Survey(pl.DataFrame(columns), book, source)


@pytest.mark.slow
def test_a_circle_in_the_answers_is_found_and_a_model_without_values_has_none() -> None:
    of = portraits()
    sets = [
        build_value_set(of, f"g{k}", {"group": f"g{k}"}, 1, f"people of kind {k}") for k in range(8)
    ]
    card = tried(EVALUATION, impostors(sets), sets, all_held_out(of))
    knows = figure(card, "circle", "knows")
    assert knows.value > 0.8 and knows.ceiling == pytest.approx(knows.value)
    assert card.details["circle"]["p"]["knows"] < 0.01
    for impostor in ("constant", "flat"):
        assert figure(card, "circle", impostor).value == 0
    assert abs(figure(card, "circle", "noise").value) < 0.4
    assert card.details["circle"]["p"]["noise"] > 0.05


@pytest.mark.slow
def test_a_circle_of_some_seeds_only_is_not_given() -> None:
    """A model that could not be read in one seed would be measured on those that suit it."""
    of = portraits()
    sets = [
        build_value_set(of, f"g{k}", {"group": f"g{k}"}, 1, f"people of kind {k}") for k in range(8)
    ]
    first = of.codebook.item_ids[0]

    def said(silent: bool) -> Answers:
        return Answers(
            {
                v.name: [
                    ModelAnswer(i, "letters", d.shares, 1.0, 0.0, silent and i == first)
                    for i, d in v.distributions.items()
                ]
                for v in sets
            }
        )

    answers = {("knows", at): said(False) for at in (1, 2)}
    answers |= {("choosy", 1): said(False), ("choosy", 2): said(True)}
    splits = dict.fromkeys((1, 2), all_held_out(of))
    given = EvaluationInput(sets, splits, answers, ["knows", "choosy"], [])
    card = EVALUATION.scored(given, 1)
    assert has(card, "circle", "knows") and not has(card, "circle", "choosy")


def test_value_means_are_centred_and_run_with_the_value() -> None:
    key = item_key("PVQ-21")
    names = {item.id: item for item in portraits().codebook.items}
    most = {v: np.eye(6)[0] if v in key.items["UN"] else np.eye(6)[3] for v in key.variables}
    found = dict(zip(key.items, value_means(key, names, most), strict=True))
    # Three items of 21 lie 3 steps above the others.
    assert found["UN"] == pytest.approx(3 - 9 / 21)
    assert found["PO"] == pytest.approx(-9 / 21)
