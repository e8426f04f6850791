"""Every distance against an independent formula; impostors at their floors, truth at the top."""

from dataclasses import replace

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.evaluate import Answers, EvaluationInput, Scorecard
from suffrage.evaluate.distances import EVALUATION, Options, code_values, scale_values
from suffrage.evaluate.statistics.summed import (
    calibration_error,
    correlation,
    pair_sums,
    resolution,
    share_sums,
)
from suffrage.population import build_value_set
from suffrage.population.distribution_distances import (
    earth_movers_distance,
    fit_natural,
    modes_shared,
    ordinal_earth_movers_distance,
)
from suffrage.survey import Option
from suffrage.training_data import HeldOut, split_items
from tests.evaluate.asking import answers_from
from tests.impostors import majority
from tests.synthetic import make_item, make_survey

pytestmark = pytest.mark.slow

SURVEY = make_survey(respondents=800, items=24, seed=3)
SETS = [build_value_set(SURVEY, n, {"region": n}, 1) for n in ("north", "south")]
SPLITS = {s: split_items(SURVEY.codebook.items, HeldOut(share=0.5), s) for s in (1, 2)}
GENERATOR = np.random.default_rng(5)
MODELS = {
    "truth": lambda p: p,
    "parrot": majority,
    "constant": lambda p: np.eye(p.size)[0],
    "flat": lambda p: np.full(p.size, 1 / p.size),
    "noise": lambda p: GENERATOR.dirichlet(np.ones(p.size)),
}
IMPOSTORS = [name for name in MODELS if name != "truth"]


@pytest.fixture(scope="module")
def given() -> EvaluationInput:
    answers = {(name, s): answers_from(SETS, how) for name, how in MODELS.items() for s in SPLITS}
    return EvaluationInput(SETS, SPLITS, answers, list(MODELS), [])


@pytest.fixture(scope="module")
def card(given: EvaluationInput) -> Scorecard:
    return EVALUATION.score(given, 1)


def figure(card: Scorecard, measure: str, method: str, side: str = "held_out"):  # type: ignore[no-untyped-def]
    return next(
        f
        for f in card.figures
        if (f.measure, f.method, f.value_set, f.seed, f.side)
        == (measure, method, "all", "all", side)
    )


def test_the_truth_is_at_the_best_of_every_measure(card: Scorecard) -> None:
    best = {
        "js_similarity": 1, "js_similarity_divergence": 1, "js_similarity_natural": 1,
        "wasserstein": 0,
        "wasserstein_codes": 0, "wasserstein_scale": 0, "total_variation": 0, "mode_accuracy": 1,
        "correlation_items": 1, "correlation_groups": 1, "calibration_error": 0,
    }  # fmt: skip
    for name, value in best.items():
        assert figure(card, name, "truth").value == pytest.approx(value, abs=1e-6), name
        assert figure(card, name, "truth", "trained").value == pytest.approx(value, abs=1e-6)
    for name in ("js_similarity", "wasserstein", "total_variation"):
        assert figure(card, f"way_{name}", "truth").value > 1
        row = figure(card, name, "truth")
        assert abs(row.ceiling - row.value) < abs(row.floor - row.value)


@pytest.mark.parametrize("name", IMPOSTORS)
@pytest.mark.parametrize("way", ["way_js_similarity", "way_wasserstein", "way_total_variation"])
def test_no_impostor_comes_half_of_the_way(card: Scorecard, name: str, way: str) -> None:
    row = figure(card, way, name)
    assert row.value < 0.5
    assert row.low < row.value < row.high


def test_an_even_answer_is_calibrated_and_tells_nothing_apart(card: Scorecard) -> None:
    for name in ("js_similarity", "wasserstein", "total_variation", "mode_accuracy"):
        flat, floor = figure(card, name, "flat"), figure(card, name, "uniform")
        assert flat.value == pytest.approx(floor.value) == pytest.approx(flat.floor)
    assert figure(card, "calibration_error", "flat").value == pytest.approx(0, abs=1e-9)
    assert figure(card, "resolution", "flat").value == pytest.approx(0, abs=1e-9)
    assert figure(card, "resolution", "truth").value > 0.9
    assert figure(card, "correlation_items", "flat").value == 0
    assert figure(card, "correlation_groups", "constant").value == 0


def test_the_majority_parrot_names_every_mode_and_is_caught_by_the_shares(card: Scorecard) -> None:
    assert figure(card, "mode_accuracy", "parrot").value == 1
    assert figure(card, "calibration_error", "parrot").value > 0.15
    parrot = figure(card, "total_variation", "parrot")
    assert parrot.value > parrot.floor


def test_means_are_what_a_plain_loop_with_scipy_gives(card: Scorecard) -> None:
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import pearsonr, wasserstein_distance

    js, emd, r = [], [], []
    for split in SPLITS.values():
        for v in SETS:
            pairs = []
            for i in split.held_out:
                p = v.distributions[i].shares
                q, at = majority(p), np.linspace(0, 1, p.size)
                js.append(1 - jensenshannon(p, q))
                emd.append(wasserstein_distance(at, at, p, q))
                pairs.append((p @ at, q @ at))
            r.append(pearsonr(*zip(*pairs, strict=True)).statistic)
    assert figure(card, "js_similarity_natural", "parrot").value == pytest.approx(np.mean(js))
    assert figure(card, "wasserstein", "parrot").value == pytest.approx(np.mean(emd))
    assert figure(card, "wasserstein_codes", "parrot").value == pytest.approx(np.mean(emd))
    found = figure(card, "correlation_items", "parrot")
    assert found.value == pytest.approx(np.mean(r))
    assert found.low < found.value < found.high and found.ceiling == 1


def test_the_way_is_floor_to_ceiling_in_sums(card: Scorecard) -> None:
    row, floor = (
        figure(card, "total_variation", "parrot"),
        figure(card, "total_variation", "average"),
    )
    way = (floor.value - row.value) / (floor.value - row.ceiling)
    assert figure(card, "way_total_variation", "parrot").value == pytest.approx(way)


def test_differences_are_of_the_figures_and_floors_only_stand_against_methods(
    card: Scorecard,
) -> None:
    row = next(
        d
        for d in card.figure_differences
        if (d.measure, d.method, d.against, d.side)
        == ("correlation_items", "parrot", "truth", "held_out")
    )
    one, two = (figure(card, "correlation_items", m).value for m in ("parrot", "truth"))
    assert row.value == pytest.approx(one - two) and row.high < 0 and row.adjusted is not None
    assert {d.method for d in card.figure_differences} == set(MODELS)


def test_the_order_of_value_sets_and_answers_changes_nothing(
    card: Scorecard, given: EvaluationInput
) -> None:
    turned = {
        place: Answers({n: a[::-1] for n, a in reversed(answers.by_value_set.items())})
        for place, answers in given.answers.items()
        if place[0] == "parrot"
    }
    alone = replace(given, value_sets=SETS[::-1], answers=turned, methods=["parrot"])
    again = EVALUATION.score(alone, 1)
    for name in ("js_similarity", "correlation_items", "correlation_groups", "resolution"):
        one, two = figure(card, name, "parrot"), figure(again, name, "parrot")
        assert (one.value, one.low) == pytest.approx((two.value, two.low))


def test_the_scale_distance_leaves_out_not_sure_as_subpop_does() -> None:
    # Worked by hand: without "not sure" p = (.5, .25, .25), q = (0, 0, 1): (.5 + .75) / 2.
    p, q = np.array([0.4, 0.2, 0.2, 0.2]), np.array([0.0, 0.0, 0.5, 0.5])
    item = make_item(0, 4)
    words = [*item.options[:3], Option(code="9", text="Not sure")]
    values = scale_values(item.model_copy(update={"options": tuple(words)}), None)
    assert values is not None and np.isnan(values[3])
    assert ordinal_earth_movers_distance(p, q, values) == pytest.approx(0.625)
    given = scale_values(item, (1, 2, 3, -1))
    assert ordinal_earth_movers_distance(p, q, given) == pytest.approx(0.625)
    assert np.isnan(ordinal_earth_movers_distance(p, q, scale_values(item, (2, 2, 2, -1))))
    assert scale_values(item.model_copy(update={"ordered": False}), None) is None
    with pytest.raises(InputError, match=r"ordinal\.q0 has 2 values for 4 options"):
        scale_values(item, (1, 2))


def test_uneven_steps_and_codes_are_scipys_distance() -> None:
    from scipy.stats import wasserstein_distance

    p, q = np.random.default_rng(1).dirichlet(np.ones(4), 2)
    at = np.array([1.0, 2.0, 4.0, 9.0])
    expected = wasserstein_distance((at - 1) / 8, (at - 1) / 8, p, q)
    assert ordinal_earth_movers_distance(p, q, at) == pytest.approx(expected)
    assert ordinal_earth_movers_distance(p, q, at[::-1]) == pytest.approx(
        wasserstein_distance((at - 1) / 8, (at - 1) / 8, p[::-1], q[::-1])
    )
    even = ordinal_earth_movers_distance(p, q, np.arange(4.0))
    assert even == pytest.approx(float(earth_movers_distance(p, q)))
    named = tuple(Option(code=c, text=c + "!") for c in ("1", "3", "2"))
    assert code_values(make_item(0, 3).model_copy(update={"options": named})) is None


def test_natural_logarithms_and_shared_modes() -> None:
    apart = fit_natural(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert apart == pytest.approx(1 - np.sqrt(np.log(2)))
    p = np.array([0.5, 0.3, 0.2])
    assert modes_shared(p, np.full(3, 1 / 3)) == pytest.approx(1 / 3)
    assert modes_shared(p, p) == 1 and modes_shared(p, p[::-1]) == 0


def test_correlation_and_calibration_against_worked_examples() -> None:
    x, y = np.random.default_rng(2).normal(size=(2, 30))
    sums = np.sum([pair_sums(a, b) for a, b in zip(x, y, strict=True)], axis=0)
    assert correlation(sums) == pytest.approx(np.corrcoef(x, y)[0, 1])
    # q of .8 and .2 where people say .6 and .4: both bins are .2 off.
    one = share_sums(np.array([0.6, 0.4]), np.array([0.8, 0.2]))
    assert calibration_error(one) == pytest.approx(0.2)
    assert resolution(one) == pytest.approx(1)
    # Two questions that people answer the other way round, alike to the model: nothing is told.
    two = one + share_sums(np.array([0.4, 0.6]), np.array([0.8, 0.2]))
    assert calibration_error(two) == pytest.approx(0.3) and resolution(two) == pytest.approx(0)


def test_a_wrong_item_in_the_options_is_named(given: EvaluationInput) -> None:
    wrong = replace(given, options=Options(ordinal={"q999": (1, 2)}))
    with pytest.raises(InputError, match="no item q999"):
        EVALUATION.score(wrong, 1)
