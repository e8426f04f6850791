"""The design of pairs: its probabilities, its core, its checks of attention."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from suffrage.consult.consultation import empty
from suffrage.consult.pairing import (
    LEAST_APART,
    DrawnPair,
    PairDesign,
    check_places,
    core_coverage,
    draw_pair_to_show,
    information,
    instructed,
    next_pair,
    pair_information,
    pair_probabilities,
    pairs_of,
    repeated,
    seen_pairs,
    strengths,
)
from suffrage.errors import InputError

DESIGN = PairDesign()
PROMPT_OF = {f"a{i}": f"q{i // 5}" for i in range(15)}


def compared(*rows: tuple[str, str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(person, "q0", left, right, outcome) for person, left, right, outcome in rows],
        schema=["participant", "prompt", "left", "right", "outcome"],
        orient="row",
    ).with_columns(check=pl.lit(None, pl.String))


def test_pairs_are_of_one_prompt_and_the_core_has_about_its_share() -> None:
    many = {f"a{i}": f"q{i // 6}" for i in range(600)}
    pairs = pairs_of(many, DESIGN)
    assert len(pairs) == 100 * 15
    rows = zip(pairs.prompts, pairs.first, pairs.second, strict=True)
    assert all(many[a] == many[b] == q for q, a, b in rows)
    assert 0.16 < pairs.core.mean() < 0.24


def test_a_later_answer_moves_no_other_pair_and_order_of_answers_none() -> None:
    before = pairs_of(PROMPT_OF, DESIGN)
    after = pairs_of({"new": "q1", **dict(reversed(PROMPT_OF.items()))}, DESIGN)
    core = {two: bool(after.core[at]) for two, at in after.places().items()}
    assert all(core[two] == bool(before.core[at]) for two, at in before.places().items())


def test_there_is_a_core_where_one_is_wanted() -> None:
    few = {"a": "q", "b": "q", "c": "q"}
    assert pairs_of(few, PairDesign(core_share=0.01)).core.sum() >= 1
    assert not pairs_of(few, PairDesign(core_share=0)).core.any()


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1), st.floats(0, 1))
def test_probabilities_sum_to_1_and_reach_every_pair_not_seen(
    seed: int, floor: float, chance: float
) -> None:
    generator = np.random.default_rng(seed)
    design = PairDesign(floor=floor, core_chance=min(chance, 0.95))
    pairs = pairs_of(PROMPT_OF, design, seed)
    told = generator.exponential(1, len(pairs)) * (generator.random(len(pairs)) < 0.5)
    raters = generator.integers(0, 15, len(pairs))
    seen = generator.random(len(pairs)) < 0.5
    p = pair_probabilities(pairs, told, raters, seen, design)
    if seen.all():
        assert not p.any()
        return
    assert p.sum() == pytest.approx(1)
    assert (p[~seen] > 0).all() and not p[seen].any()
    lacking = pairs.core & (raters < design.core_raters)
    if (lacking & ~seen).any():
        assert p[lacking].sum() >= design.core_chance - 1e-9


@pytest.mark.slow
def test_draws_come_as_often_as_the_probability_that_is_logged() -> None:
    generator = np.random.default_rng(3)
    pairs = pairs_of({f"a{i}": "q" for i in range(4)}, DESIGN)
    none = np.zeros(len(pairs), np.int64)
    p = pair_probabilities(pairs, np.arange(6.0), none, none > 0, DESIGN)
    drawn = [draw_pair_to_show(pairs, p, generator) for _ in range(6000)]
    places = pairs.places()
    count = Counter(places[frozenset((d.left, d.right))] for d in drawn if d)
    assert [count[at] / 6000 for at in range(6)] == pytest.approx(list(p), abs=0.025)
    assert all(d and d.probability == p[places[frozenset((d.left, d.right))]] for d in drawn)
    assert np.mean([d.left < d.right for d in drawn if d]) == pytest.approx(0.5, abs=0.025)


@pytest.mark.slow
def test_every_stratum_sees_the_core_and_the_rest_is_reached_too() -> None:
    generator = np.random.default_rng(0)
    pairs = pairs_of(PROMPT_OF, DESIGN)
    told = np.full(len(pairs), 0.1)
    rows: list[tuple[str, str, str, str]] = []
    strata = {f"p{i}": "old" if i % 4 == 0 else "young" for i in range(60)}
    raters = {name: np.zeros(len(pairs), np.int64) for name in ("old", "young")}
    for person, stratum in strata.items():
        shown: list[DrawnPair] = []
        for _ in range(10):
            pair = next_pair(pairs, told, raters[stratum], shown, {}, DESIGN, generator)
            assert pair is not None
            shown.append(pair)
            rows.append((person, pair.left, pair.right, "left"))
            raters[stratum] = core_coverage(pairs, compared(*rows), strata)[stratum]
        assert len({frozenset((s.left, s.right)) for s in shown}) == 10
    found = core_coverage(pairs, compared(*rows), strata)
    assert all((found[name][pairs.core] >= DESIGN.core_raters).all() for name in found)
    assert (found["young"] > 0).all()


def test_strengths_are_the_posterior_mode() -> None:
    wins = np.array([[0, 5, 2.5], [1, 0, 4], [0.5, 3, 0]])

    def minus_log_posterior(s: np.ndarray) -> float:
        p = 1 / (1 + np.exp(s[None, :] - s[:, None]))
        return float(-(wins * np.log(p)).sum() + (s**2).sum() / (2 * 1.5**2))

    by_search = minimize(minus_log_posterior, np.zeros(3), tol=1e-12).x
    s, _ = strengths(wins, 1.5)
    assert s == pytest.approx(by_search, abs=1e-5)


def test_strengths_settle_where_one_answer_always_won() -> None:
    s, covariance = strengths(np.array([[0, 500.0], [0, 0]]), 1.5)
    assert s[0] == pytest.approx(-s[1]) and np.isfinite(covariance).all() and s[0] > 1


def test_information_is_the_growth_of_the_log_determinant() -> None:
    wins = np.array([[0, 5, 2.0, 0], [1, 0, 4, 1], [1, 3, 0, 0], [0, 0, 0, 0]])
    s, covariance = strengths(wins)
    gain = information(wins)
    for i, j in ((0, 1), (1, 3), (2, 3)):
        p = 1 / (1 + np.exp(s[j] - s[i]))
        d = np.eye(4)[i] - np.eye(4)[j]
        more = np.linalg.inv(covariance) + p * (1 - p) * np.outer(d, d)
        grown = np.linalg.slogdet(more)[1] + np.linalg.slogdet(covariance)[1]
        assert gain[i, j] == pytest.approx(grown)
    assert gain[2, 3] > gain[0, 1]  # the answer nobody has compared yet


def test_what_was_compared_often_is_drawn_less() -> None:
    pairs = pairs_of({"a": "q0", "b": "q0", "c": "q0"}, DESIGN)
    rows = [(f"p{i}", "a", "b", ("left", "right", "tie", "both_bad")[i % 4]) for i in range(40)]
    told = pair_information(pairs, compared(*rows), DESIGN)
    at = pairs.places()[frozenset("ab")]
    assert told.argmin() == at
    skips = [(f"p{i}", "a", "b", "skip") for i in range(40)]
    nothing = pair_information(pairs, empty("comparisons"), DESIGN)
    assert pair_information(pairs, compared(*skips), DESIGN) == pytest.approx(nothing)


def test_a_repetition_swaps_sides_and_lies_far_enough_back() -> None:
    generator = np.random.default_rng(1)
    shown = [DrawnPair("q", f"l{i}", f"r{i}", 0.5, False) for i in range(5)]
    again = repeated(shown, generator)
    assert again is not None and again.check == "repeat"
    assert (again.right, again.left) in {("l0", "r0"), ("l1", "r1")}
    assert repeated(shown[:LEAST_APART], generator) is None
    assert repeated([instructed(pair) for pair in shown], generator) is None


@given(st.integers(0, 20), st.integers(0, 1000))
def test_a_block_tests_attention_where_it_is_long_enough(length: int, seed: int) -> None:
    places = check_places(length, PairDesign(repeats=2, instructed=1), np.random.default_rng(seed))
    assert 0 not in places and all(at < length for at in places)
    assert all(at > LEAST_APART for at, kind in places.items() if kind == "repeat")
    if length >= 8:
        assert Counter(places.values()) == {"repeat": 2, "instructed": 1}


def test_a_block_has_its_checks_and_no_pair_twice_but_by_repetition() -> None:
    generator = np.random.default_rng(5)
    pairs = pairs_of(PROMPT_OF, DESIGN)
    checks = check_places(10, DESIGN, generator)
    shown: list[DrawnPair] = []
    for _ in range(10):
        raters = np.zeros(len(pairs), np.int64)
        pair = next_pair(pairs, np.ones(len(pairs)), raters, shown, checks, DESIGN, generator)
        assert pair is not None
        shown.append(pair)
    assert {at: p.check for at, p in enumerate(shown) if p.check} == checks
    fresh = [frozenset((p.left, p.right)) for p in shown if p.check != "repeat"]
    assert len(set(fresh)) == len(fresh)
    assert seen_pairs(pairs, ((p.left, p.right) for p in shown)).sum() == 9


def test_a_design_that_could_never_reach_a_pair_is_refused() -> None:
    with pytest.raises(InputError, match="floor is 0"):
        PairDesign(floor=0)
    with pytest.raises(InputError, match="core_share is 2"):
        PairDesign(core_share=2)
