"""Sub-indices and the cultural map of the World Values Survey."""

import numpy as np
import polars as pl
import pytest

from suffrage.errors import InputError
from suffrage.survey import Codebook, Provenance, Survey
from suffrage.survey.formats.archive import read_book
from suffrage.values.world_values import (
    EXPRESSION,
    INDICATORS,
    SECULAR,
    SUB_INDICES,
    available,
    cultural_map,
    indicators_of_shares,
    map_indicators,
    sub_index,
    varimax,
)

BOOK = read_book("wvs7.yaml").items()


def answered(codes: dict[str, list[float | None]]) -> Survey:
    """Answers to the archive's own items, by code; None is missing."""
    n = len(next(iter(codes.values())))
    columns: dict[str, object] = {
        "respondent": [f"r{i:05d}" for i in range(n)],
        "weight": [1.0] * n,
    }
    for variable, given in codes.items():
        known = [float(option.code) for option in BOOK[variable].options]
        columns[variable] = pl.Series(
            [-1 if code is None else known.index(code) for code in given], dtype=pl.Int16
        )
    book = Codebook(title="Made up", items=tuple(BOOK[v] for v in codes))
    return Survey(pl.DataFrame(columns), book, Provenance("made-up", {}, "Made up."))


def test_every_item_of_the_sub_indices_has_the_codes_its_ends_name() -> None:
    for scales in SUB_INDICES.values():
        for scale in scales:
            codes = [float(option.code) for option in BOOK[scale.variable].options]
            assert {scale.zero, scale.one} == {min(codes), max(codes)}


def test_defiance_follows_the_archives_own_coding() -> None:
    # The archive's page: E018 gives 0, 0.5, 1; G006 and D054 give 0, 0.33, 0.66, 1; their mean.
    survey = answered({"Q45": [1, 2, 3], "Q254": [2, 4, None], "Q27": [1, 3, 4]})
    found = sub_index(survey, "defiance")
    np.testing.assert_allclose(found[:2], [(0 + 1 / 3 + 0) / 3, (0.5 + 1 + 2 / 3) / 3])
    assert np.isnan(found[2])
    assert available(survey) == ("defiance",)
    with pytest.raises(InputError, match="equality needs Q33, Q29, Q30"):
        sub_index(survey, "equality")


def world(n: int, seed: int) -> tuple[Survey, np.ndarray]:
    """Two countries' answers, the second more secular and less self-expressive; and its people."""
    generator = np.random.default_rng(seed)
    there = generator.random(n) < 0.5
    secular = generator.normal(np.where(there, 0.8, -0.8), 1)
    free = generator.normal(np.where(there, -0.5, 0.5), 1)

    def steps(lean: np.ndarray, high: int, low: int = 1) -> list[float | None]:
        mixed = lean + generator.normal(0, 0.8, n)
        scaled = (np.argsort(np.argsort(mixed)) / n * (high - low + 1)).astype(int) + low
        return [float(code) for code in scaled]

    codes = {
        "Q164": steps(-secular, 10),
        "Q184": steps(secular, 10),
        "Q254": steps(secular, 4),
        "Q45": steps(secular, 3),
        "Q8": steps(-secular, 2),
        "Q14": steps(-secular, 2),
        "Q15": steps(secular, 2),
        "Q17": steps(secular, 2),
        "Q46": steps(-free, 4),
        "Q209": steps(-free, 3),
        "Q182": steps(free, 10),
        "Q57": steps(-free, 2),
        "Q154": [2.0 if code > 1 else 1.0 for code in steps(free, 2) if code],
        "Q155": [4.0 if code > 1 else 3.0 for code in steps(free, 2) if code],
    }
    return answered(codes), there


def test_the_map_finds_the_two_axes_and_where_countries_stand() -> None:
    survey, there = world(3000, 1)
    indicators = map_indicators(survey)
    groups = [("second", there.astype(float)), ("first", 1.0 - there)]
    found = cultural_map(indicators, np.ones(3000), groups)
    own = np.array([0 if axis == SECULAR else 1 for axis in INDICATORS.values()])
    loadings = found.loadings
    assert (loadings[np.arange(10), own] > 0.5).all()
    assert (np.abs(loadings[np.arange(10), 1 - own]) < 0.3).all()
    (secular_2, free_2), (secular_1, free_1) = found.positions
    assert secular_2 > 0.3 > -0.3 > secular_1 and free_1 > 0.1 > -0.1 > free_2
    np.testing.assert_allclose(
        there.mean() * found.positions[0], -(~there).mean() * found.positions[1], atol=1e-9
    )


def test_errors_of_the_map_are_those_of_repeated_samples() -> None:
    drawn, said = [], []
    survey, there = world(6000, 2)
    indicators = map_indicators(survey)
    generator = np.random.default_rng(3)
    full = cultural_map(indicators, np.ones(6000), [("there", there.astype(float))])
    for _ in range(60):
        rows = generator.choice(6000, 600)
        found = cultural_map(indicators[rows], np.ones(600), [("there", there[rows].astype(float))])
        drawn.append(found.positions[0])
        said.append(found.errors[0])
    # Axes vary with the sample too, so repeated samples spread somewhat differently.
    ratio = np.mean(said, axis=0) / np.std(drawn, axis=0)
    assert ((ratio > 0.6) & (ratio < 1.7)).all(), ratio
    assert np.abs(np.mean(drawn, axis=0) - full.positions[0]).max() < 0.1


def test_missing_answers_are_left_out_and_weights_repeat_people() -> None:
    survey, there = world(400, 4)
    indicators = map_indicators(survey)
    indicators[::7, 3] = np.nan
    times = np.random.default_rng(5).integers(1, 4, 400)
    groups = [("there", there.astype(float))]
    weighted = cultural_map(indicators, times.astype(float), groups)
    rows = np.repeat(np.arange(400), times)
    repeated = cultural_map(
        indicators[rows], np.ones(len(rows)), [("there", there[rows].astype(float))]
    )
    np.testing.assert_allclose(weighted.positions, repeated.positions, atol=1e-9)


def test_autonomy_of_children_is_the_archives_index() -> None:
    # The archive's page, wave 7 codes (1 mentioned, 2 not): 2 at most, with independence and
    # determination mentioned and neither faith nor obedience.
    survey, _ = world(3, 0)
    kids = {"Q8": [1, 2, 1], "Q14": [1, 2, 2], "Q15": [2, 1, 1], "Q17": [2, 1, 2]}
    codes: dict[str, list[float | None]] = {
        v: [1.0] * 3 for v in survey.codebook.item_ids if v not in kids
    }
    found = map_indicators(answered({**codes, **kids}))
    place = list(INDICATORS).index("autonomy of children")
    assert found[:, place].tolist() == [2, -2, 0]
    aims = list(INDICATORS).index("post-materialist")
    assert found[:, aims].tolist() == [0, 0, 0]
    assert list(INDICATORS.values()).count(EXPRESSION) == 5


@pytest.mark.slow
def test_varimax_is_the_best_of_all_turns() -> None:
    loadings = np.random.default_rng(6).normal(size=(8, 2))
    length = np.linalg.norm(loadings, axis=1, keepdims=True)

    def criterion(x: np.ndarray) -> float:
        squares = (x / length) ** 2
        return float(np.var(squares, axis=0).sum())

    best = max(
        criterion(loadings @ np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]))
        for a in np.linspace(0, np.pi, 20001)
    )
    assert criterion(varimax(loadings)) == pytest.approx(best, abs=1e-7)


def test_items_the_map_lacks_are_named() -> None:
    survey = answered({"Q45": [1, 2]})
    with pytest.raises(InputError, match="cultural map needs Q164, Q184"):
        map_indicators(survey)
    indicators = np.ones((5, 10))
    with pytest.raises(InputError, match="everyone answers alike on God not important"):
        cultural_map(indicators, np.ones(5), [("all", np.ones(5))])


def test_answer_shares_have_the_place_of_the_people_who_gave_them() -> None:
    survey, there = world(2000, 6)
    groups = [("there", there.astype(float)), ("here", 1.0 - there)]
    found = cultural_map(map_indicators(survey), np.ones(2000), groups)
    for place, rows in enumerate((there, ~there)):
        shares = {}
        for item in survey.codebook.items:
            positions = survey.positions(item.id)[survey.rows_by_id][rows]
            counts = np.bincount(positions[positions >= 0], minlength=len(item.options))
            shares[item.id] = counts / counts.sum()
        own = found.place(indicators_of_shares(survey.codebook, shares))
        np.testing.assert_allclose(own, found.positions[place], atol=1e-9)
    del shares["Q164"]
    with pytest.raises(InputError, match="no answer to Q164"):
        indicators_of_shares(survey.codebook, shares)
