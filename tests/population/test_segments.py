"""Segments: chosen by a stated rule, stable, described, kept, and turned into value sets."""

import io
import json
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from suffrage.errors import InputError, MissingExtraError
from suffrage.population import build_value_set
from suffrage.population.correspondence import association, item_topics, principal_coordinates
from suffrage.population.latent_classes import adjusted_rand_index
from suffrage.population.segments import (
    Segmentation,
    SegmentSettings,
    assign_segments,
    dividing_items,
    find_segments,
    marks,
    segment_survey,
    traits,
)
from suffrage.report.terminal_pages.segments import segments_json, segments_text
from suffrage.survey import Codebook, Item, Provenance, Survey
from tests.synthetic import make_item, make_survey

pytest.importorskip("sklearn")
FEW = SegmentSettings(bootstraps=4, most=4)


def two_camps(respondents: int = 500, seed: int = 1) -> tuple[Survey, np.ndarray]:
    """Two camps that differ on the first four of six items; men are mostly in the first camp."""
    generator = np.random.default_rng(seed)
    items: tuple[Item, ...] = tuple(make_item(i, options=3) for i in range(6))
    camp = (generator.random(respondents) < 0.4).astype(int)
    sex = np.where(generator.random(respondents) < np.where(camp == 0, 0.8, 0.2), "man", "woman")
    columns: dict[str, object] = {
        "respondent": [f"r{i:04d}" for i in range(respondents)],
        "weight": generator.uniform(0.5, 2, respondents),
        "sex": sex,
    }
    for place, item in enumerate(items):
        profiles = [[0.8, 0.15, 0.05], [0.05, 0.15, 0.8]] if place < 4 else [[0.3, 0.4, 0.3]] * 2
        drawn = [generator.choice(3, p=profiles[c]) for c in camp]
        columns[item.id] = pl.Series(drawn, dtype=pl.Int16)
    book = Codebook(title="Two camps", items=items, demographics=("sex",))
    made = Provenance(reader="made-up", files={}, statement="Made up.", weight_variable="weight")
    return Survey(pl.DataFrame(columns), book, made), camp


SURVEY, CAMP = two_camps()


@cache
def found_segments() -> Segmentation:
    """The two camps, found when the first test asks: pytest does not wait to collect the others."""
    return find_segments(SURVEY, {}, FEW, seed=3)


@pytest.mark.slow
def test_the_two_camps_are_found_and_no_third() -> None:
    assert len(found_segments().names) == 2 and found_segments().rule.startswith("lowest ICL")
    assert adjusted_rand_index(CAMP.astype(np.int16), found_segments().hard, SURVEY.weights) > 0.85
    assert found_segments().contrast is not None and found_segments().contrast > 0.8
    assert min(found_segments().candidates[1].overlap) > 0.9


@pytest.mark.slow
def test_the_items_that_divide_them_come_first_and_mark_them() -> None:
    assert {item for item, _ in dividing_items(found_segments())[:4]} == {f"q{i}" for i in range(4)}
    (mark, *_) = marks(found_segments(), 0)
    assert mark.position == 0 and mark.inside > 0.7 and mark.outside < 0.15
    allowed = marks(found_segments(), 0, allowed=["q5"])
    assert [mark.item_id for mark in allowed] == ["q5"]


@pytest.mark.slow
def test_mutual_information_is_that_of_the_joint_table() -> None:
    profile = found_segments().model.profiles[0]
    joint = found_segments().model.shares[:, None] * profile
    expected = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    plain = float((joint * np.log2(joint / expected)).sum())
    assert dict(dividing_items(found_segments()))["q0"] == pytest.approx(plain)


@pytest.mark.slow
def test_traits_carry_intervals_and_say_who_stands_out() -> None:
    found = {(t.column, t.category): t for t in traits(found_segments(), SURVEY, 0)}
    men = found["sex", "man"]
    assert men.stands_out and men.share > 0.7 > men.everyone
    assert men.low < men.share < men.high
    w = SURVEY.weights
    assert men.everyone == pytest.approx(w[SURVEY.responses["sex"] == "man"].sum() / w.sum())


def test_a_segment_becomes_a_value_set_and_all_segments_make_the_whole() -> None:
    whole = build_value_set(SURVEY, "all", {}, 1)
    parts = [
        build_value_set(segment_survey(SURVEY, found_segments(), c), f"s{c}", {}, 1)
        for c in range(2)
    ]
    totals = [segment_survey(SURVEY, found_segments(), c).weights.sum() for c in range(2)]
    for item_id, distribution in whole.distributions.items():
        mixed = sum(
            t * part.distributions[item_id].shares for t, part in zip(totals, parts, strict=True)
        ) / sum(totals)
        np.testing.assert_allclose(mixed, distribution.shares, atol=1e-9)
    assert parts[0].distributions["q0"].shares[0] > 0.7


@pytest.mark.slow
def test_permuting_respondents_changes_no_segment() -> None:
    shuffled = SURVEY.with_responses(SURVEY.responses.sample(fraction=1, shuffle=True, seed=4))
    again = find_segments(shuffled, {}, FEW, seed=3)
    assert again.respondents == found_segments().respondents
    np.testing.assert_array_equal(again.memberships, found_segments().memberships)


def test_segments_read_back_equal_and_are_frozen_for_the_next_wave(tmp_path: Path) -> None:
    found_segments().write(tmp_path / "segments")
    again = Segmentation.read(tmp_path / "segments")
    assert again.names == found_segments().names and again.candidates == found_segments().candidates
    np.testing.assert_array_equal(again.memberships, found_segments().memberships)
    wave, camp = two_camps(seed=9)
    later = assign_segments(again, wave, {})
    assert adjusted_rand_index(camp.astype(np.int16), later.hard, wave.weights) > 0.85
    np.testing.assert_array_equal(later.model.shares, found_segments().model.shares)


def test_names_are_the_users_when_given() -> None:
    wanted = SegmentSettings(classes=2, bootstraps=2, names=("left", "right"))
    assert find_segments(SURVEY, {}, wanted, seed=1).names == ("left", "right")
    with pytest.raises(InputError, match="3 names for 2 segments"):
        find_segments(
            SURVEY, {}, SegmentSettings(classes=2, bootstraps=2, names=("a", "b", "c")), seed=1
        )


@pytest.mark.slow
def test_noise_is_one_class() -> None:
    generator = np.random.default_rng(0)
    noise = {f"q{i}": generator.integers(0, 3, 400).astype(np.int16) for i in range(6)}
    survey = SURVEY.with_responses(SURVEY.responses.head(400).with_columns(**noise))
    found = find_segments(survey, {}, FEW, seed=1)
    assert len(found.names) == 1 and "no segments" in found.rule
    assert [c.classes for c in found.candidates] == [1, 2, 3, 4]


def two_unrelated(respondents: int = 300) -> Survey:
    generator = np.random.default_rng(5)
    items = tuple(make_item(i, options=2) for i in range(2))
    columns = {item.id: generator.integers(0, 2, respondents) for item in items}
    return Survey(
        pl.DataFrame(
            {
                "respondent": [f"r{i:04d}" for i in range(respondents)],
                "weight": [1.0] * respondents,
                **{name: pl.Series(drawn, dtype=pl.Int16) for name, drawn in columns.items()},
            }
        ),
        Codebook(title="Two items", items=items),
        Provenance(reader="made-up", files={}, statement="Made up."),
    )


def test_classes_that_the_answers_cannot_tell_apart_are_not_tried() -> None:
    # Two yes/no items: two classes have 5 parameters, and the table of answers 4 - 1 cells.
    survey = two_unrelated()
    found = find_segments(survey, {}, FEW, seed=1)
    assert [c.classes for c in found.candidates] == [1]
    with pytest.raises(InputError, match=r"5 parameters.*only 3 degrees of freedom"):
        find_segments(survey, {}, SegmentSettings(classes=2, bootstraps=2), seed=1)


def test_only_options_that_somebody_chose_count_as_cells_of_the_table() -> None:
    # Six options of which two are used are two: counting all six would let two classes pass.
    items = tuple(make_item(i, options=6) for i in range(2))
    book = Codebook(title="Two items", items=items)
    survey = replace(two_unrelated(), codebook=book)
    with pytest.raises(InputError, match=r"5 parameters.*only 3 degrees of freedom"):
        find_segments(survey, {}, SegmentSettings(classes=2, bootstraps=2), seed=1)


def test_one_class_is_shown_without_a_number_that_is_none() -> None:
    found = find_segments(SURVEY, {}, SegmentSettings(classes=1, bootstraps=2), seed=1)
    assert marks(found, 0) == [] and found.contrast is None
    stream = io.StringIO()
    Console(file=stream, width=100).print(segments_text(found, SURVEY))
    page = stream.getvalue()
    assert page.startswith("1 segment of 500") and "nan" not in page
    assert "nan" not in json.dumps(segments_json(found, SURVEY)).lower()


def test_scikit_learn_is_asked_for_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: object) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr("suffrage.population.segments.fit_latent_classes", work)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match="segments"):
        find_segments(SURVEY, {}, FEW, seed=1)


def test_items_that_cannot_be_used_are_named() -> None:
    alike = SURVEY.with_responses(
        SURVEY.responses.with_columns(pl.lit(1, dtype=pl.Int16).alias("q0"))
    )
    with pytest.raises(InputError, match="q0, which everyone answered alike"):
        find_segments(alike, {}, SegmentSettings(items=("q0", "q1")), seed=1)
    with pytest.raises(InputError, match="there is no item q99"):
        find_segments(SURVEY, {}, SegmentSettings(items=("q99",)), seed=1)
    with pytest.raises(InputError, match="fewer than two items"):
        find_segments(SURVEY, {}, SegmentSettings(items=("q1",)), seed=1)


def test_frozen_segments_need_the_same_items_with_the_same_options() -> None:
    with pytest.raises(InputError, match="has other options"):
        assign_segments(found_segments(), make_survey(items=6), {})
    with pytest.raises(InputError, match="q5, which this survey does not have"):
        book = SURVEY.codebook.model_copy(update={"items": SURVEY.codebook.items[:5]})
        assign_segments(found_segments(), replace(SURVEY, codebook=book), {})


def test_principal_coordinates_are_those_of_the_plain_decomposition() -> None:
    generator = np.random.default_rng(2)
    columns = [generator.integers(0, k, 60).astype(np.int16) for k in (2, 3, 4)]
    w = generator.uniform(0.5, 2, 60)
    z = np.concatenate([np.eye(k)[c] for c, k in zip(columns, (2, 3, 4), strict=True)], axis=1)
    p = z * w[:, None] / (z * w[:, None]).sum()
    r, c = p.sum(axis=1), p.sum(axis=0)
    scaled = (p - np.outer(r, c)) / np.sqrt(np.outer(r, c))
    singular = np.linalg.svd(scaled, compute_uv=False) ** 2
    kept = singular[singular > 1 / 3]
    _, inertia = principal_coordinates(columns, [2, 3, 4], w)
    np.testing.assert_allclose(inertia, (1.5 * (kept - 1 / 3)) ** 2, atol=1e-12)


def test_items_answered_together_are_one_topic() -> None:
    generator = np.random.default_rng(3)
    first, second = generator.integers(0, 3, (2, 800))
    follow = lambda base: np.where(generator.random(800) < 0.7, base, generator.integers(0, 3, 800))  # noqa: E731
    columns = [follow(first).astype(np.int16) for _ in range(3)]
    columns += [follow(second).astype(np.int16) for _ in range(3)]
    topics, v = item_topics(columns, np.ones(800))
    assert len(set(topics[:3])) == len(set(topics[3:])) == 1 and topics[0] != topics[3]
    np.testing.assert_allclose(v, v.T)
    assert association(columns[0], columns[0], np.ones(800)) == pytest.approx(1, abs=0.01)
    assert association(columns[0], columns[3], np.ones(800)) < 0.1
