import json
from dataclasses import replace
from io import StringIO

import polars as pl
import pytest
from rich.console import Console

from suffrage.survey import Codebook, Item, Option, Provenance, SetAside, Survey
from suffrage.survey.inspection import inspect
from suffrage.survey.survey import ReadCode
from tests.synthetic import make_survey

ITEMS = (
    Item(
        id="trust",
        question="Do you trust people?",
        options=(Option(code="1", text="Yes"), Option(code="2", text="No")),
        topic="trust",
        note="asked last",
    ),
    Item(
        id="colour",
        question="Which colour [of three]?",
        options=tuple(Option(code=c, text=c) for c in ("red", "green", "blue")),
        ordered=False,
    ),
)


@pytest.fixture
def survey() -> Survey:
    return Survey(
        pl.DataFrame(
            {
                "respondent": [f"r{n}" for n in range(20)],
                "weight": [2.0] * 10 + [1.0] * 10,
                "age": [str(20 + n) for n in range(19)] + [None],
                "sex": ["male"] * 8 + ["female"] * 12,
                "trust": [0] * 10 + [1] * 5 + [-1] * 4 + [-4],
                "colour": [2] * 20,
            },
            schema_overrides={"trust": pl.Int16, "colour": pl.Int16},
        ),
        Codebook(
            title="Town survey",
            items=ITEMS,
            demographics=("age", "sex"),
            citation="Cite the town.",
            terms="CC BY 4.0",
        ),
        Provenance(
            "labelled_file",
            {"town.csv": "abc"},
            "Adults of the town.",
            "w",
            (SetAside("rows Avg", 3, "means"),),
        ),
    )


def printed(survey: Survey, every_item: bool = True) -> str:
    console = Console(file=StringIO(), width=160)
    console.print(inspect(survey).render(every_item=every_item))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_effective_size_and_design_effect_are_kishs(survey):
    seen = inspect(survey)
    assert seen.n_eff == pytest.approx(30**2 / 50)
    assert seen.design_effect == pytest.approx(20 / 18)


def test_answers_and_every_kind_of_non_response_add_up_to_all(survey):
    trust, colour = inspect(survey).items
    assert trust.answered == pytest.approx(0.75)
    assert trust.non_response == pytest.approx({"don't know": 0.2, "not asked": 0.05})
    assert trust.answered + sum(trust.non_response.values()) == pytest.approx(1)
    assert colour.answered == 1 and not colour.non_response


def test_demographics_have_their_values_and_the_unknown(survey):
    age, sex = inspect(survey).demographics
    assert list(sex.values.items()) == [("female", 12), ("male", 8)]
    assert (age.lowest, age.highest, age.unknown, age.is_range) == (20, 38, 1, True)


def test_permuting_the_rows_changes_nothing(survey):
    shuffled = survey.with_responses(survey.responses.sample(fraction=1, shuffle=True, seed=3))
    assert inspect(shuffled) == inspect(survey)


def test_json_holds_all_of_it(survey):
    content = json.loads(json.dumps(inspect(survey).as_json()))
    assert content["respondents"] == 20
    assert content["items"][0]["note"] == "asked last"
    assert content["provenance"]["set_aside"][0]["what"] == "rows Avg"


def test_the_printed_page_shows_what_a_reader_needs(survey):
    page = printed(survey)
    for shown in (
        "20 respondents, weighted by w: 18 effective respondents, design effect 1.11",
        "Adults of the town.",
        "female (12), male (8)",
        "20 to 38",
        "75.0%",
        "20.0%",
        "3, no order",
        "Which colour [of three]?",
        "rows Avg (3): means",
        "trust: asked last",
        "Cite the town.",
        "CC BY 4.0",
    ):
        assert shown in page


def test_an_unweighted_survey_says_so(survey):
    plain = Survey(
        survey.responses.with_columns(pl.lit(1.0).alias("weight")),
        survey.codebook,
        Provenance("labelled_file", {}, "Adults of the town."),
    )
    assert "unweighted: everyone counts the same" in printed(plain)


def test_a_rare_kind_is_not_shown_as_none(survey):
    many = pl.concat([survey.responses] * 300).with_columns(
        pl.int_range(pl.len()).cast(pl.String).alias("respondent"),
        pl.when(pl.int_range(pl.len()) == 0).then(-2).otherwise(0).cast(pl.Int16).alias("trust"),
    )
    assert "<0.1%" in printed(survey.with_responses(many))


def many_items(count: int) -> Survey:
    made = make_survey(items=count)
    items = [i.model_copy(update={"note": f"a note on {i.id}"}) for i in made.codebook.items]
    book = made.codebook.model_copy(update={"items": tuple(items)})
    read_codes = tuple(ReadCode(i.id, "9", f"Refused {i.id}", "refused", "x") for i in items)
    about = replace(made.provenance, read_codes=read_codes)
    return replace(made, codebook=book, provenance=about)


def test_a_summary_fits_a_screen_however_many_items_there_are():
    survey = many_items(60)
    summary, whole = printed(survey, every_item=False), printed(survey)
    assert len(summary.splitlines()) < 50 < len(whole.splitlines())
    assert "3 to 5 options; 60 of 60 are scales" in summary
    least = min(inspect(survey).items, key=lambda item: item.answered)
    assert f"answered least: {least.id} {least.answered:.1%}" in summary
    assert "and 54 more; --items shows them" in summary
    assert "a note on q59" in whole and "a note on q59" not in summary


def test_inspect_shows_what_was_taken_for_non_response_and_what_is_in_doubt(survey):
    read_codes = (
        ReadCode("trust", "8", "Don't know", "don't know", "its label"),
        ReadCode("colour", "8", "Don't know", "don't know", "its label"),
        ReadCode("sex", "3", "Unsure of it", "", 'its label may mean "don\'t know"'),
    )
    page = printed(replace(survey, provenance=replace(survey.provenance, read_codes=read_codes)))
    assert "8 \"Don't know\": don't know (its label); in trust, colour" in page
    assert (
        "In doubt" in page and '3 "Unsure of it": its label may mean "don\'t know"; in sex' in page
    )


def test_a_survey_without_demographics_says_so():
    survey = make_survey(respondents=40, items=2)
    book = survey.codebook.model_copy(update={"demographics": ()})
    page = printed(replace(survey, codebook=book))
    assert "The codebook names no demographics." in page and "values (respondents)" not in page
