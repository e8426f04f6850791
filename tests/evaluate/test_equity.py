"""`equity` names the group served least; no impostor serves its worst group above the floor."""

from dataclasses import replace

import numpy as np
import pytest

from suffrage.evaluate import Scorecard
from suffrage.evaluate.equity import EVALUATION, scale_variance
from suffrage.evaluate.statistics.extremes import largest, spread_between
from suffrage.evaluate.statistics.figures import resamples
from suffrage.evaluate.statistics.intervals import Measured, bootstrap_estimate
from suffrage.population import build_value_set
from tests.evaluate.trial import all_held_out, figure, has, impostors, survey, tried, value_sets
from tests.impostors import Impostor, one_group, people

pytestmark = pytest.mark.slow

SURVEY = survey(1500, 12)
SETS = value_sets(SURVEY)
SPLIT = all_held_out(SURVEY)


def failing(names: set[str]) -> Impostor:
    """Knows all groups but these, which it answers evenly."""
    changed = [
        replace(
            v,
            distributions={
                i: replace(d, shares=np.full(d.shares.size, 1 / d.shares.size))
                for i, d in v.distributions.items()
            },
        )
        if v.name in names
        else v
        for v in SETS
    ]
    return people(changed, lambda shares: shares)


@pytest.fixture(scope="module")
def card() -> Scorecard:
    models = impostors(SETS)
    models["fails-south"] = failing({"south"})
    models["fails-crossings"] = failing({"red-north", "red-south", "red-east"})
    models["average"] = people([SETS[0]], lambda shares: shares)
    return tried(EVALUATION, models, SETS, SPLIT)


@pytest.fixture(scope="module")
def one_for_all() -> Scorecard:
    """Each group's own answers, given for everybody."""
    return tried(EVALUATION, {f"as {v.name}": one_group(v) for v in SETS}, SETS, SPLIT)


def test_who_knows_the_groups_falls_short_of_nothing(card: Scorecard) -> None:
    assert figure(card, "worst", "knows").value <= 0
    assert figure(card, "shortfall", "knows").value <= 0
    assert figure(card, "within", "knows").value == pytest.approx(1)
    assert figure(card, "between", "knows").value == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("impostor", ["base", "constant", "parrot", "flat", "noise"])
def test_no_impostor_serves_its_worst_group_above_the_floor(card: Scorecard, impostor: str) -> None:
    found = figure(card, "worst", impostor)
    assert found.floor is not None and found.value >= found.floor - 1e-12


@pytest.mark.parametrize("name", [v.name for v in SETS])
def test_one_groups_answers_for_everybody_do_not_beat_the_floor(
    one_for_all: Scorecard, name: str
) -> None:
    for measure in ("worst", "shortfall"):
        found = figure(one_for_all, measure, f"as {name}")
        assert found.floor is not None and found.value >= found.floor - 1e-9


def test_the_floor_is_the_best_single_group_for_everybody(
    card: Scorecard, one_for_all: Scorecard
) -> None:
    best = min(figure(one_for_all, "worst", f"as {v.name}").value for v in SETS)
    assert figure(card, "worst", "knows").floor == pytest.approx(min(best, 1.0), abs=1e-9)


def test_the_order_of_the_options_alone_is_no_variety(card: Scorecard) -> None:
    """The first option shown, whatever it is: one answer under each order."""
    assert figure(card, "within", "constant").value == pytest.approx(0, abs=1e-9)


def test_the_group_left_behind_is_named_and_stays_last(card: Scorecard) -> None:
    least = card.details["least"]["fails-south"]
    assert least["group"] == "south" and least["often"] == 1
    assert figure(card, "worst", "fails-south").value == pytest.approx(
        least["groups"]["south"]["value"]
    )
    found = figure(card, "spread", "fails-south")
    assert found.low is not None and found.low > 0.05


def test_serving_all_badly_is_a_small_spread_and_a_large_shortfall(card: Scorecard) -> None:
    constant, fails = (figure(card, "spread", m).value for m in ("constant", "fails-south"))
    assert constant < fails
    assert figure(card, "worst", "constant").value > figure(card, "worst", "fails-south").value


def test_crossings_served_worse_than_their_parts_are_found(card: Scorecard) -> None:
    found = figure(card, "intersections", "fails-crossings")
    assert found.low is not None and found.low > 0
    assert set(card.details["parents"]["red-north"]) == {"red", "north"}
    knows = figure(card, "intersections", "knows")
    assert knows.high is not None and knows.high < 0.01


def test_a_parrot_of_majorities_makes_caricatures(card: Scorecard) -> None:
    assert figure(card, "within", "parrot").value == pytest.approx(0)
    between = figure(card, "between", "parrot")
    assert between.low is not None and between.low > 1


def test_one_average_public_for_all_has_no_distance_between_groups(card: Scorecard) -> None:
    assert figure(card, "between", "average").value == pytest.approx(0)


def test_shortfall_is_what_a_plain_loop_gives(card: Scorecard) -> None:
    from scipy.spatial.distance import jensenshannon

    generator = np.random.default_rng(0)

    def fewer(shares: np.ndarray, added: float) -> np.ndarray:
        people = round(1 / added)
        return generator.multinomial(people, shares / shares.sum()) / people

    found = []
    for v in SETS:
        for item, d in v.distributions.items():
            added = max(1 / other.distributions[item].effective_answers for other in SETS)
            added -= 1 / d.effective_answers
            halves = list(zip(d.first_halves, d.second_halves, strict=True))
            samples = [d.shares]
            if added > 1e-4:
                halves = [(fewer(a, 2 * added), fewer(b, 2 * added)) for a, b in halves]
                samples = [fewer(d.shares, added) for _ in halves]
            even = np.full(4, 0.25)
            ceiling = np.mean([1 - jensenshannon(a, b, base=2) for a, b in halves])
            found.append(
                ceiling - np.mean([1 - jensenshannon(one, even, base=2) for one in samples])
            )
    assert figure(card, "shortfall", "flat").value == pytest.approx(np.mean(found), abs=0.003)


@pytest.mark.parametrize("known", [1.0, 0.6, 0.0])
def test_a_group_is_not_served_worse_for_having_more_people(known: float) -> None:
    """The groups are drawn at random from one population, and a model tells them not apart."""
    differences = []
    for seed in range(3):
        of = survey(1080, 16, seed)
        few = np.random.default_rng(seed).permutation(1080) < 80
        groups = [
            build_value_set(
                of.with_responses(of.responses.filter(rows.tolist())), name, {}, 0, f"{name} people"
            )
            for name, rows in (("few", few), ("many", ~few))
        ]
        whole = build_value_set(of, "all", {}, 0, "people")
        model = people([whole], lambda shares: known * shares + (1 - known) / shares.size)
        card = tried(EVALUATION, {"model": model}, groups, all_held_out(of))
        assert figure(card, "spread", "model").low == 0
        served = card.details["least"]["model"]["groups"]
        differences.append(served["many"]["value"] - served["few"]["value"])
    assert abs(np.mean(differences)) < 0.015


def test_items_that_only_a_large_group_was_asked_are_compared_at_the_small_ones_size() -> None:
    differences = []
    for seed in range(3):
        of = survey(1080, 16, seed)
        few = np.random.default_rng(seed).permutation(1080) < 80
        small, large = (
            build_value_set(
                of.with_responses(of.responses.filter(rows.tolist())), name, {}, 0, f"{name} people"
            )
            for name, rows in (("few", few), ("many", ~few))
        )
        half = dict(list(small.distributions.items())[::2])
        groups = [replace(small, distributions=half), large]
        whole = build_value_set(of, "all", {}, 0, "people")
        model = people([whole], lambda shares: 0.6 * shares + 0.4 / shares.size)
        card = tried(EVALUATION, {"model": model}, groups, all_held_out(of))
        served = card.details["least"]["model"]["groups"]
        differences.append(served["many"]["value"] - served["few"]["value"])
    assert abs(np.mean(differences)) < 0.02


@pytest.mark.slow
def test_the_worst_groups_interval_covers_though_it_was_picked() -> None:
    # Twelve truly equal groups: the largest shortfall is too high, and its interval reaches down.
    hits = 0
    for seed in range(12):
        of = survey(900, 10, seed)
        generator = np.random.default_rng(seed)
        shuffled = of.responses.with_columns(
            party=of.responses["party"].gather(generator.permutation(of.responses.height)),
            region=of.responses["region"].gather(generator.permutation(of.responses.height)),
        )
        sets = value_sets(of.with_responses(shuffled), crossings=False)[1:]
        found = tried(EVALUATION, {"knows": people([sets[0]], lambda s: s)}, sets, all_held_out(of))
        spread = figure(found, "spread", "knows")
        hits += spread.low is not None and spread.low <= 0.03
    assert hits >= 11


def test_without_crossings_the_report_says_so() -> None:
    some = SETS[:3]
    found = tried(EVALUATION, {"base": impostors(some)["flat"]}, some, SPLIT)
    assert not has(found, "intersections", "base")
    assert any("intersections were not measured" in note for note in found.notes)


def test_variance_on_the_scale_by_hand() -> None:
    # Half at either end: (1/2)^2; everybody in one place: 0.
    assert scale_variance(np.array([[0.5, 0, 0.5], [0, 1.0, 0]])).tolist() == [0.25, 0]


def test_the_largest_of_groups_with_one_cluster_has_no_interval_and_no_error() -> None:
    rows = {
        name: [Measured(1, name, "a", "a", value, np.array([value]))]
        for name, value in (("north", 0.1), ("south", 0.3))
    }
    draws = resamples([row for own in rows.values() for row in own], 1)
    groups = {name: bootstrap_estimate(own, draws) for name, own in rows.items()}
    found = largest(groups)
    assert found.value == 0.3 and (found.low, found.high) == (None, None)
    assert spread_between(groups).low is None
