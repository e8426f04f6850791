"""`steerability`: who knows the groups reaches the ceiling; nobody else gains by a name."""

from dataclasses import replace

import numpy as np
import pytest

from suffrage.evaluate import Scorecard
from suffrage.evaluate.steerability import EVALUATION, own_nearest
from tests.evaluate.trial import all_held_out, figure, has, impostors, survey, tried, value_sets
from tests.impostors import people

pytestmark = pytest.mark.slow

SURVEY = survey(1500, 12)
SETS = value_sets(SURVEY, crossings=False)
SPLIT = all_held_out(SURVEY)
WITHOUT = ("constant", "parrot", "flat", "noise")


@pytest.fixture(scope="module")
def card() -> Scorecard:
    models = impostors(SETS)
    everyone = SETS[0]
    models["average"] = people([everyone], lambda shares: shares)
    by_name = {v.name: v for v in SETS}
    swapped = [
        replace(
            v,
            distributions=by_name[{"red": "blue", "blue": "red"}.get(v.name, v.name)].distributions,
        )
        for v in SETS
    ]
    models["swapped"] = people(swapped, lambda shares: shares)
    return tried(EVALUATION, models, SETS, SPLIT)


def test_who_knows_the_groups_reaches_the_ceiling(card: Scorecard) -> None:
    for measure in ("name_adds", "over_others", "nearest"):
        found = figure(card, measure, "knows")
        assert found.ceiling is not None and found.value >= found.ceiling
        assert found.low is not None and found.floor is not None and found.low > found.floor
    assert figure(card, "nearest", "knows").value == 1
    assert figure(card, "apart", "knows").value == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("impostor", [*WITHOUT, "average"])
def test_no_impostor_gains_by_the_name(card: Scorecard, impostor: str) -> None:
    found = figure(card, "name_adds", impostor)
    assert found.value <= 1e-12
    assert found.ceiling is not None and found.high is not None and found.high < found.ceiling / 4


def test_one_answer_for_all_is_nearest_by_guessing_only(card: Scorecard) -> None:
    for impostor in ("constant", "flat", "average"):
        found = figure(card, "nearest", impostor)
        assert found.value == pytest.approx(found.floor)
        assert figure(card, "apart", impostor).value == pytest.approx(0)


def test_a_parrot_of_majorities_puts_groups_too_far_apart(card: Scorecard) -> None:
    found = figure(card, "apart", "parrot")
    assert found.low is not None and found.low > 1.5


def test_names_taken_for_one_another_lose(card: Scorecard) -> None:
    for name in ("red", "blue"):
        found = figure(card, "name_adds", "swapped", name)
        assert found.high is not None and found.high < 0


def test_gain_is_against_what_the_model_says_as_itself(card: Scorecard) -> None:
    # As nobody, who knows answers as the first value set, everyone.
    from suffrage.population.distribution_distances import fit

    plain = [
        1 - fit(d.shares, SETS[0].distributions[i].shares)
        for v in SETS[1:]
        for i, d in v.distributions.items()
    ]
    assert figure(card, "gain", "knows").value == pytest.approx(np.mean(plain))


def test_a_model_never_told_whom_to_answer_as_has_no_figure(card: Scorecard) -> None:
    assert not has(card, "name_adds", "base")
    assert any("base" in note for note in card.notes)
    assert any("everyone" in note for note in card.notes)


def test_groups_that_do_not_differ_have_no_distance() -> None:
    generator = np.random.default_rng(5)
    shuffled = SURVEY.responses.with_columns(
        party=SURVEY.responses["party"].gather(generator.permutation(SURVEY.responses.height))
    )
    alike = value_sets(SURVEY.with_responses(shuffled), crossings=False)[:3]
    found = tried(EVALUATION, {"knows": people(alike, lambda s: s)}, alike, SPLIT)
    assert not has(found, "apart", "knows")
    assert any("do not differ" in note for note in found.notes)


def test_one_group_alone_cannot_be_steered_to() -> None:
    found = tried(EVALUATION, {"knows": people(SETS[:1], lambda s: s)}, SETS[:1], SPLIT)
    assert found.figures == () and "no two groups" in found.notes[0]


def test_the_order_of_groups_and_methods_changes_nothing(card: Scorecard) -> None:
    models = {name: model for name, model in reversed(impostors(SETS).items()) if name != "noise"}
    again = tried(EVALUATION, models, SETS[::-1], SPLIT)
    for measure in ("name_adds", "nearest", "apart"):
        one, two = figure(card, measure, "parrot"), figure(again, measure, "parrot")
        assert (one.value, one.low) == pytest.approx((two.value, two.low))


def test_ties_share_the_place_of_the_nearest() -> None:
    own, others = np.array([0.5, 0.5, 0.4]), np.array([[0.5, 0.2, 0.5], [0.5, 0.1, 0.3]])
    assert own_nearest(own, others).tolist() == pytest.approx([1 / 3, 1, 0])
