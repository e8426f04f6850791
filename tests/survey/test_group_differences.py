"""Countries, waves and modes that answered an item in another way are seen."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from suffrage.population import build_value_set
from suffrage.report.terminal_pages.profile import (
    comparison_table,
    profile_json,
    write_profile_page,
)
from suffrage.survey import Codebook, Item, NonResponse, Option, Provenance, Survey, read_survey
from suffrage.survey.contradictions import contradictions
from suffrage.survey.group_differences import (
    crossed_columns,
    differences_between,
    differences_by_group,
    grouping_columns,
    other_columns,
    with_cautions,
)
from suffrage.survey.inspection import inspect

COUNTRIES = ("AT", "BE", "CH", "DE", "ES", "FR")
ITEMS = 12
NARROW = [f"q{i}" for i in range(9)]


def made(column: str = "country", respondents: int = 200, seed: int = 0) -> Survey:
    """Six groups; the last used only the first three of five codes on nine of twelve items."""
    generator = np.random.default_rng(seed)
    items = tuple(
        Item(
            id=f"q{i}",
            question=f"How about {i}?",
            options=tuple(Option(code=str(k + 1), text=f"level {k}") for k in range(5)),
        )
        for i in range(ITEMS)
    )
    where = np.repeat(COUNTRIES, respondents)
    columns: dict[str, object] = {
        "respondent": [f"r{i:05d}" for i in range(where.size)],
        "weight": np.ones(where.size),
        column: where,
    }
    for item in items:
        answers = generator.integers(0, 5, where.size)
        if item.id in NARROW:
            answers = np.where(where == "FR", generator.integers(0, 3, where.size), answers)
        columns[item.id] = pl.Series(answers, dtype=pl.Int16)
    return Survey(
        pl.DataFrame(columns),
        Codebook(title="Six", items=items, demographics=(column,)),
        Provenance("made-up", {}, "Made up."),
    )


def printed(page: object) -> str:
    stream = io.StringIO()
    Console(file=stream, width=200).print(page)
    return " ".join(stream.getvalue().split())


@pytest.mark.parametrize(
    "column",
    [
        *("country", "cntry", "wave", "essround", "year", "mode"),
        *("pays", "país", "land", "isocntry", "c_alphan", "B_COUNTRY", "B_COUNTRY_ALPHA", "S003"),
        *("vague", "Welle", "oleada", "region", "survey mode", "zzz", "where.they-live"),
    ],
)
def test_a_group_that_used_three_of_five_codes_is_seen_on_each_item(column):
    found = differences_by_group(made(column))
    assert [(d.item, d.group, d.used, d.missed) for d in found] == [
        (item, "FR", 3, ("4", "5")) for item in NARROW
    ]
    assert found[0].chosen_elsewhere == pytest.approx(0.4, abs=0.05)


def test_check_and_inspect_show_it():
    survey = made()
    said = [c for c in contradictions(survey) if c.kind == "unused in a group"]
    assert [c.item for c in said] == NARROW
    assert "in FR (country) only 3 of 5 options were used; nobody chose 4, 5" in said[0].what
    assert not [c for c in contradictions(made()) if c.kind == "unused option"]
    groups = {group.group: group for group in inspect(survey).groups}
    assert list(groups["FR"].narrowed) == NARROW and groups["DE"].narrowed == ()
    assert groups["FR"].items_asked == ITEMS and groups["FR"].answered == 1
    page = printed(inspect(survey).render())
    assert "country: FR" in page and ", ".join(NARROW) in page


def test_the_shares_are_those_counted_by_hand():
    survey = made()
    silent = pl.when((pl.col("country") == "DE") & (pl.int_range(pl.len()) % 2 == 0))
    frame = survey.responses.with_columns(silent.then(-1).otherwise(pl.col("q10")).alias("q10"))
    frame = frame.with_columns(
        q11=pl.when(pl.col("country") == "AT").then(-4).otherwise(pl.col("q11"))
    )
    changed = survey.with_responses(frame)
    (found,) = [d for d in differences_by_group(changed) if d.item not in NARROW]
    assert (found.item, found.group, found.missed) == ("q10", "DE", ())
    inside = frame.filter(pl.col("country") == "DE")["q10"]
    assert found.silent == (inside == NonResponse.DONT_KNOW).mean() == 0.5
    assert found.silent_elsewhere == 0
    groups = {group.group: group for group in inspect(changed).groups}
    assert groups["AT"].items_asked == ITEMS - 1, "an item not asked is no silence"
    (said,) = [c for c in contradictions(changed) if c.kind == "silent in a group"]
    assert "in DE (country) 50% of those asked gave no answer, elsewhere 0%" in said.what


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    respondents=st.integers(10, 300),
    rare=st.floats(0.001, 0.2),
)
def test_groups_that_answer_alike_are_hardly_ever_listed(seed, respondents, rare):
    generator = np.random.default_rng(seed)
    survey = made(respondents=respondents)
    shares = [rare, 1 - rare - 0.2, 0.1, 0.1, 0.0]
    alike = {
        item.id: pl.Series(generator.choice(5, survey.responses.height, p=shares), dtype=pl.Int16)
        for item in survey.codebook.items
    }
    assert (
        len(differences_by_group(survey.with_responses(survey.responses.with_columns(**alike)))) < 2
    )


def test_permuting_the_rows_changes_nothing():
    survey = made()
    shuffled = survey.with_responses(survey.responses.sample(fraction=1, shuffle=True, seed=3))
    assert differences_by_group(shuffled) == differences_by_group(survey)


def test_a_survey_without_groups_has_no_differences():
    survey = made("place")
    survey = survey.with_responses(survey.responses.with_columns(place=pl.lit("here")))
    assert grouping_columns(survey) == other_columns(survey) == []
    assert differences_by_group(survey) == []
    assert with_cautions(survey) is survey


@pytest.mark.parametrize(
    ("name", "is_group"),
    [
        *(
            (name, True)
            for name in ("C_ALPHAN", "nation", "pays_code", "Année", "mode_of_interview")
        ),
        *((name, False) for name in ("birth_country", "sex", "landlord", "wavering", "birth_year")),
    ],
)
def test_names_of_groups_are_recognised(name, is_group):
    assert (grouping_columns(made(name)) == [name]) == is_group


def of_many_demographics(generator, respondents: int = 6000, items: int = 60) -> Survey:
    """Answers that hang on education and on nothing else; many groups, some of them small."""
    sizes = {"country": 30, "vague": 5, "district": 120, "sex": 2, "education": 5, "age": 80}
    columns: dict[str, object] = {
        "respondent": [f"r{i:05d}" for i in range(respondents)],
        "weight": np.ones(respondents),
    }
    for name, size in sizes.items():
        share = generator.dirichlet(np.full(size, 1.0))
        columns[name] = generator.choice([f"{k}" for k in range(size)], respondents, p=share)
    level = np.asarray(columns["education"]).astype(float)
    book = []
    for place in range(items):
        options = int(generator.integers(2, 11))
        cuts = np.sort(generator.normal(0, 1.5, options - 1))
        latent = generator.normal(0, 1, respondents) + generator.normal(0, 0.2) * level
        columns[f"q{place}"] = pl.Series(np.searchsorted(cuts, latent), dtype=pl.Int16)
        labels = tuple(Option(code=str(k), text=f"level {k}") for k in range(options))
        book.append(Item(id=f"q{place}", question="How?", options=labels))
    return Survey(
        pl.DataFrame(columns),
        Codebook(title="Many", items=tuple(book), demographics=tuple(sizes)),
        Provenance("made-up", {}, "Made up."),
    )


@pytest.mark.slow
def test_hardly_anything_is_listed_where_nothing_is_wrong():
    alarms = [
        len(differences_by_group(of_many_demographics(np.random.default_rng(seed))))
        for seed in range(12)
    ]
    # 12 surveys of 60 items and about 160 groups: some 500,000 options that a group could miss.
    assert sum(alarms) <= 2, alarms


def test_one_scale_that_a_group_cannot_fill_is_no_alarm_but_several_are():
    survey = of_many_demographics(np.random.default_rng(3), items=12)
    young = pl.col("sex") == "0"

    def narrowed(items: list[str]) -> Survey:
        return survey.with_responses(
            survey.responses.with_columns(
                pl.when(young).then(pl.col(item).clip(upper_bound=0)).otherwise(item).alias(item)
                for item in items
            )
        )

    assert "sex" in other_columns(survey) and "age" not in other_columns(survey)
    assert differences_by_group(narrowed(["q3"])) == []
    found = differences_by_group(narrowed(["q3", "q4"]))
    assert [(d.item, d.column, d.group) for d in found] == [("q3", "sex", "0"), ("q4", "sex", "0")]


def test_the_parts_of_a_country_are_not_listed_again():
    survey = made()
    parts = survey.responses["country"] + pl.Series(["1", "2"] * (survey.responses.height // 2))
    frame = survey.responses.with_columns(parts.alias("district"))
    book = survey.codebook.model_copy(update={"demographics": ("country", "district")})
    both = Survey(frame, book, survey.provenance)
    assert differences_by_group(both) == differences_by_group(survey)
    columns = {group.column for group in inspect(both).groups}
    assert columns == {"country"}


def test_what_was_found_in_another_demographic_is_shown():
    survey = made("zzz")
    page = printed(inspect(survey).render())
    assert "zzz: FR" in page and ", ".join(NARROW) in page
    assert [c.item for c in contradictions(survey) if c.kind == "unused in a group"] == NARROW


def test_comparisons_on_such_items_are_marked(tmp_path: Path):
    survey = with_cautions(made())
    assert survey.content_hash == made().content_hash
    french = build_value_set(survey, "french", {"country": "FR"}, 1)
    german = build_value_set(survey, "german", {"country": "DE"}, 1)
    page = printed(comparison_table(french, german))
    for place in range(ITEMS):
        assert (f"q{place} * How about" in page) == (f"q{place}" in NARROW)
    assert "In FR (country) only 3 of 5 options were used" in page
    rows = {row["item_id"]: row["caution"] for row in profile_json(french, german)["items"]}
    assert {item for item, caution in rows.items() if caution} == set(NARROW)
    write_profile_page(french, german, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert html.count("yes *") >= 1 and "only 3 of 5 options were used" in html


def test_read_survey_puts_the_cautions_on_the_items(tmp_path: Path):
    survey = made()
    frame = survey.responses.with_columns(pl.col(i.id) + 1 for i in survey.codebook.items)
    frame.drop("respondent", "weight").write_csv(tmp_path / "six.csv")
    book = {
        "title": "Six",
        "demographics": {"country": "country"},
        "items": [
            {"id": i.id, "question": i.question, "options": {o.code: o.text for o in i.options}}
            for i in survey.codebook.items
        ],
    }
    (tmp_path / "six.yaml").write_text(yaml.safe_dump(book, sort_keys=False))
    section = {"reader": "labelled_file", "path": "six.csv", "codebook": "six.yaml"}
    found = read_survey(section, tmp_path)
    assert [item.id for item in found.codebook.items if item.caution] == NARROW
    assert found.codebook["q0"].remarks == found.codebook["q0"].caution
    found.write(tmp_path / "kept")
    assert Survey.read(tmp_path / "kept").codebook == found.codebook


def test_value_sets_are_compared_where_no_demographic_has_such_groups():
    survey = made("place")
    places = survey.responses["place"].to_numpy()
    members = {place.lower(): places == place for place in COUNTRIES}
    # A group that is listed is not listed again.
    assert differences_between(survey, members) == []
    bare = survey.with_responses(survey.responses.with_columns(place=pl.lit("here")))
    assert differences_by_group(bare) == []
    assert "No demographic was recognised" in printed(inspect(bare).render())
    found = differences_between(bare, members)
    assert [(d.item, d.group, d.missed) for d in found] == [
        (item, "fr", ("4", "5")) for item in NARROW
    ]
    # People outside all value sets are compared with nobody.
    assert differences_between(bare, {"fr": members["fr"]}) == []
    # A country is compared once.
    assert differences_between(made("country"), members) == []


def test_value_sets_may_have_members_in_common():
    survey = made("place")
    places = survey.responses["place"].to_numpy()
    survey = survey.with_responses(survey.responses.with_columns(place=pl.lit("here")))
    members = {"fr": places == "FR", "all": np.ones(places.size, dtype=bool)}
    assert {d.group for d in differences_between(survey, members)} == {"fr"}


def test_one_wave_of_one_country_is_not_hidden_by_its_other_wave():
    narrow, whole = made("country", seed=1), made("country", seed=2)
    # France has used all codes in the first wave and three in the second.
    whole = whole.with_responses(
        whole.responses.with_columns(
            pl.when(pl.col("country") == "FR").then(4 - pl.col(i)).otherwise(pl.col(i)).alias(i)
            for i in NARROW
        )
    )
    waves = [
        part.responses.with_columns(wave=pl.lit(f"wave {number}"))
        for number, part in enumerate((whole, narrow), 1)
    ]
    responses = pl.concat(waves).with_columns(respondent=pl.int_range(pl.len()).cast(pl.String))
    book = narrow.codebook.model_copy(update={"demographics": ("country", "wave")})
    survey = Survey(responses, book, narrow.provenance)
    assert crossed_columns(survey) == {"country and wave": ("country", "wave")}
    found = differences_by_group(survey)
    assert [(d.column, d.group) for d in found if d.item == "q0"] == [
        ("country and wave", "FR, wave 1"),
        ("country and wave", "FR, wave 2"),
    ]
    assert {d.item for d in found} == set(NARROW)
    assert "FR, wave 2" in printed(inspect(survey).render())
    assert with_cautions(survey).codebook["q0"].caution is not None
    # A value set of those people is not listed again.
    people = (responses["country"] == "FR") & (responses["wave"] == "wave 2")
    members = {"late": people.to_numpy(), "rest": ~people.to_numpy()}
    assert not any(d.group == "late" for d in differences_between(survey, members))


def test_a_column_within_another_is_not_crossed_with_it():
    survey = made("country")
    nested = survey.responses.with_columns(
        region=pl.col("country") + (pl.int_range(pl.len()) % 2).cast(pl.String)
    )
    book = survey.codebook.model_copy(update={"demographics": ("country", "region")})
    assert crossed_columns(Survey(nested, book, survey.provenance)) == {}
