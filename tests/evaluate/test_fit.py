"""The scoreboard: impostors score at their floors, truth at the top, and intervals cover."""

from dataclasses import replace

import numpy as np
import pytest

from suffrage.evaluate import Answers, EvaluationInput, Scorecard
from suffrage.evaluate import fit as fit_evaluation
from suffrage.evaluate.distances import EVALUATION as DISTANCES
from suffrage.evaluate.results import ScoredAnswer
from suffrage.evaluate.statistics.intervals import (
    Measured,
    bootstrap_estimate,
    difference,
    make_draws,
)
from suffrage.evaluate.statistics.sampled_answers import resampled_answer
from suffrage.population import ValueSet, build_value_set
from suffrage.training_data import HeldOut, split_items
from tests.evaluate.asking import answers_from
from tests.evaluate.trial import all_held_out, survey, tried
from tests.impostors import people
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=600, items=12, seed=3)
SETS = [build_value_set(SURVEY, n, {"region": n}, 1) for n in ("north", "south")]
SPLITS = {s: split_items(SURVEY.codebook.items, HeldOut(share=0.34), s) for s in (1, 2)}


def mode(shares):  # type: ignore[no-untyped-def]
    return np.eye(shares.size)[shares.argmax()]


MODELS = {
    "truth": answers_from(SETS, lambda p: p),
    "parrot": answers_from(SETS, mode),
    "constant": answers_from(SETS, lambda p: np.eye(p.size)[0]),
    "flat": answers_from(SETS, lambda p: np.full(p.size, 1 / p.size)),
    "reversed": answers_from(SETS, lambda p: p[::-1]),
}


@pytest.fixture(scope="module")
def card() -> Scorecard:
    given = EvaluationInput(
        value_sets=SETS,
        splits=SPLITS,
        answers={(name, seed): a for name, a in MODELS.items() for seed in SPLITS},
        methods=list(MODELS),
        trained=[],
    )
    return fit_evaluation.score(given, 1)


def score(card: Scorecard, method: str, metric: str, side: str = "held_out") -> float:
    return next(
        s.value
        for s in card.figures
        if (s.method, s.measure, s.side, s.value_set, s.seed, s.readout)
        == (method, metric, side, "all", "all", "letters")
    )


@pytest.mark.slow
def test_the_truth_scores_one_and_passes_the_ceiling(card: Scorecard) -> None:
    assert score(card, "truth", "fit") == pytest.approx(1)
    assert score(card, "truth", "emd") == pytest.approx(0)
    assert score(card, "truth", "entropy_ratio") == pytest.approx(1)
    assert score(card, "truth", "slope") == pytest.approx(1)
    assert 0.85 < score(card, "ceiling", "fit") < 1


@pytest.mark.slow
def test_without_a_question_trained_on_there_is_no_average_and_no_nearest_floor() -> None:
    items = [item.id for item in SURVEY.codebook.items]
    splits = {
        1: split_items(
            SURVEY.codebook.items, HeldOut(by="list", items=tuple(items)), 1, to_train=False
        )
    }
    answers = {(name, 1): MODELS[name] for name in ("truth", "flat")}
    given = EvaluationInput(SETS, splits, answers, ["truth", "flat"], [])
    assert given.trains_on_none
    card = fit_evaluation.score(given, 1)
    methods = {figure.method for figure in card.figures}
    assert methods == {"uniform", "truth", "flat", "ceiling"}
    assert {d.against for d in card.figure_differences} == {"uniform", "truth"}
    # There is no way to the ceiling without a floor to begin it at.
    assert all(f.floor is None and f.way is None for f in card.figures)
    distances = DISTANCES.score(given, 1)
    assert {f.method for f in distances.figures} == {"uniform", "truth", "flat"}
    assert not any(f.measure.startswith("way_") for f in distances.figures)


def test_a_flat_answer_scores_at_the_uniform_floor(card: Scorecard) -> None:
    assert score(card, "flat", "slope") == pytest.approx(0)
    for metric in ("fit", "emd", "entropy_ratio", "slope"):
        assert score(card, "flat", metric) == pytest.approx(score(card, "uniform", metric))


def test_a_parrot_of_the_majority_loses_to_the_truth_and_shows_no_entropy(card: Scorecard) -> None:
    assert score(card, "parrot", "entropy_ratio") == pytest.approx(0)
    assert score(card, "parrot", "slope") > 1.3, "the majority is made larger"
    assert score(card, "parrot", "fit") < score(card, "average", "fit")


@pytest.mark.parametrize("impostor", ["constant", "reversed", "parrot"])
def test_no_impostor_reaches_half_of_the_way_to_the_ceiling(card: Scorecard, impostor: str) -> None:
    way = next(
        s.way
        for s in card.figures
        if s.method == impostor and s.measure == "fit" and s.value_set == s.seed == "all"
    )
    assert way is not None and way < 0.5


def test_a_difference_is_the_difference_of_the_scores(card: Scorecard) -> None:
    row = next(
        d
        for d in card.figure_differences
        if (d.method, d.against, d.side, d.measure, d.value_set)
        == ("reversed", "truth", "held_out", "fit", "all")
    )
    assert row.value == pytest.approx(score(card, "reversed", "fit") - score(card, "truth", "fit"))
    assert row.high is not None and row.high < 0


def test_a_ceiling_known_of_most_questions_does_not_leave_the_others_out() -> None:
    """Published shares have no halves; the methods' figures are over these questions too."""
    none = np.empty((0, 0))
    first = SETS[0]
    held_out = SPLITS[1].held_out
    known = {
        name: d
        if name != held_out[0]
        else replace(
            d, first_halves=none, second_halves=none, replicates=np.empty((0, d.shares.size))
        )
        for name, d in first.distributions.items()
    }
    given = EvaluationInput(
        value_sets=[replace(first, distributions=known)],
        splits={1: SPLITS[1]},
        answers={("parrot", 1): MODELS["parrot"]},
        methods=["parrot"],
        trained=[],
    )
    found = fit_evaluation.score(given, 1)
    counts = {f.method: f.n for f in found.figures if f.measure == "fit" and f.side == "held_out"}
    assert counts["parrot"] == counts["average"] == len(held_out)
    assert counts["ceiling"] == len(held_out) - 1


def test_the_mean_is_what_a_plain_loop_gives(card: Scorecard) -> None:
    from scipy.spatial.distance import jensenshannon

    found = [
        1 - jensenshannon(v.distributions[i].shares, mode(v.distributions[i].shares), base=2)
        for split in SPLITS.values()
        for v in SETS
        for i in split.held_out
    ]
    assert score(card, "parrot", "fit") == pytest.approx(np.mean(found), abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("known", [1.0, 0.6])
def test_with_as_few_people_groups_that_think_alike_fit_alike(known: float) -> None:
    raw, compared = [], []
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
        found = tried(fit_evaluation.EVALUATION, {"model": model}, groups, all_held_out(of))
        lower = found.details[fit_evaluation.AS_FEW]["held_out"]["model"]
        fits = {
            f.value_set: f.value
            for f in found.figures
            if (f.measure, f.method, f.readout, f.seed) == ("fit", "model", "letters", "all")
        }
        raw.append(fits["many"] - fits["few"])
        compared.append(raw[-1] - (lower["many"] - lower["few"]))
        assert lower["few"] == pytest.approx(0, abs=1e-12)
    assert np.mean(raw) > 0.015 and abs(np.mean(compared)) < 0.01


def test_the_order_of_value_sets_and_methods_changes_no_figure(card: Scorecard) -> None:
    given = EvaluationInput(
        value_sets=SETS[::-1],
        splits=dict(reversed(SPLITS.items())),
        answers={(name, seed): a for name, a in MODELS.items() for seed in SPLITS},
        methods=list(MODELS)[::-1],
        trained=[],
    )
    again = fit_evaluation.score(given, 1)
    one = {
        (s.method, s.measure, s.side, s.value_set, s.seed): (s.value, s.low) for s in card.figures
    }
    for s in again.figures:
        value, low = one[s.method, s.measure, s.side, s.value_set, s.seed]
        assert s.value == pytest.approx(value)
        assert (s.low is None) == (low is None)
        if low is not None:
            assert s.low == pytest.approx(low)


@pytest.mark.slow
def test_a_refused_answer_is_left_out_and_counted() -> None:
    refusing = Answers(
        {
            name: [replace(a, refused=i == 0) for i, a in enumerate(answers)]
            for name, answers in MODELS["truth"].by_value_set.items()
        }
    )
    given = EvaluationInput(SETS, SPLITS, {("m", s): refusing for s in SPLITS}, ["m"], [])
    card = fit_evaluation.score(given, 1)
    first = SETS[0].items[0].id
    assert all(a.refused == (a.item == first) for a in card.answers if a.method == "m")
    assert all(a.fit is None for a in card.answers if a.refused)


def rows(values: np.ndarray, noise: float = 0.0) -> list[Measured]:  # type: ignore[type-arg]
    generator = np.random.default_rng(0)
    return [
        Measured(1, "v", f"i{k}", f"c{k}", float(v), v + noise * generator.normal(size=200))
        for k, v in enumerate(values)
    ]


@pytest.mark.slow
def test_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(5)
    draws = make_draws([f"c{k}" for k in range(30)], ["v"], 200, 1)
    hits = 0
    for _ in range(200):
        found = bootstrap_estimate(rows(generator.normal(0.7, 0.1, 30)), draws)
        assert found.low is not None and found.high is not None
        hits += found.low <= 0.7 <= found.high
    assert 0.9 < hits / 200 < 0.99


def test_pairing_makes_the_interval_of_a_difference_narrow() -> None:
    draws = make_draws([f"c{k}" for k in range(20)], ["v"], 200, 1)
    base = np.random.default_rng(2).normal(0.6, 0.15, 20)
    better = rows(base + 0.05)
    found = difference(better, rows(base), draws)
    assert found.value == pytest.approx(0.05)
    assert found.low == pytest.approx(0.05) and found.high == pytest.approx(0.05)


@pytest.mark.parametrize("clusters", [1, 2, 3])
def test_fewer_than_four_clusters_give_no_interval_and_no_test(clusters: int) -> None:
    draws = make_draws([f"c{k}" for k in range(clusters)], ["v"], 200, 1)
    found = bootstrap_estimate(rows(np.linspace(0.5, 0.9, clusters)), draws)
    assert found.low is None and found.high is None and found.inference.p_value() is None


def test_respondents_noise_widens_the_interval() -> None:
    draws = make_draws([f"c{k}" for k in range(20)], ["v"], 200, 1)
    values = np.full(20, 0.6)
    quiet, loud = (
        bootstrap_estimate(rows(values), draws),
        bootstrap_estimate(rows(values, 0.1), draws),
    )
    assert quiet.high is not None and loud.high is not None
    assert quiet.high - quiet.value < 1e-9 < loud.high - loud.value


def test_value_sets_built_twice_are_equal() -> None:
    again: ValueSet = build_value_set(SURVEY, "north", {"region": "north"}, 1)
    assert again.content_hash == SETS[0].content_hash


def test_a_models_own_sampling_error_is_in_the_interval_once_however_many_it_answers_for() -> None:
    generator = np.random.default_rng(5)
    names = [f"i{n}" for n in range(25)]
    draws = make_draws(names, ["north", "south"], 200, seed=1)
    own = {name: generator.normal(0.5, 0.1, 200) for name in names}

    def rows(*value_sets: str) -> list[Measured]:
        return [
            Measured(1, v, name, name, 0.5, np.ones(1), sampled=own[name])
            for v in value_sets
            for name in names
        ]

    # The mean of 25 items drawn with replacement: variance s^2 E[sum counts^2] / 25^2.
    expected = 0.1 * np.sqrt((2 - 1 / 25) / 25)
    one = bootstrap_estimate(rows("north"), draws)
    both = bootstrap_estimate(rows("north", "south"), draws)
    assert one.value == both.value == 0.5
    assert one.draws.std() == pytest.approx(expected, rel=0.15)
    assert both.draws.std() == pytest.approx(one.draws.std(), rel=1e-6)
    assert one.low is not None and one.high is not None and one.low < 0.5 < one.high


def test_a_sampled_answer_is_resampled_by_its_own_counts() -> None:
    answer = ScoredAnswer(
        method="base",
        seed=1,
        value_set="north",
        item="q",
        side="held_out",
        readout="letters",
        shares=[0.7, 0.2, 0.1],
        mass=0.8,
        order_sensitivity=None,
        refused=False,
        fit=0.5,
        emd=None,
        drawn=100,
    )
    drawn = resampled_answer(answer)
    assert drawn is not None and np.allclose(drawn.sum(axis=1), 1)
    p = np.array(answer.shares)
    np.testing.assert_allclose(drawn.std(axis=0), np.sqrt(p * (1 - p) / 80), rtol=0.2)
    south = resampled_answer(answer.model_copy(update={"value_set": "south", "seed": 2}))
    np.testing.assert_array_equal(drawn, south)
    other = resampled_answer(answer.model_copy(update={"item": "r"}))
    assert other is not None and not np.array_equal(drawn, other)
    assert resampled_answer(answer.model_copy(update={"drawn": None})) is None
