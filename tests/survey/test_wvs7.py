import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suffrage.errors import InputError
from suffrage.survey import NonResponse, Survey, read_survey, survey_files
from suffrage.survey.formats.wvs7_codebook import question_text

AGREE = {"1": "Agree strongly", "2": "Agree", "-1": "Don´t know", "-4": "Not asked"}
POINTS = {"1": "Completely disagree", "2": "2", "3": "Completely  agree", "-5": "Missing;Unknown"}
CODEBOOK: dict[str, Any] = {
    "B_COUNTRY": {"question": "Country", "choices": {"276": "Germany", "76": "Brazil"}},
    "Q33": {"question": "Jobs scarce: Men first", "choices": AGREE},
    "Q34": {"question": "Jobs scarce:  Nationals first", "choices": AGREE},
    "Q119": {
        "question": "Degree of agreement: Women are less corrupt",
        "choices": {"0": "Hard to say", "1": "SA", "2": "A", "3": "D", "4": "SD"},
    },
    "Q158": {"question": "Science makes lives easier", "choices": POINTS},
    "Q221": {
        "question": "Vote",
        "choices": {"1": "Always", "2": "Usually", "3": "Never", "4": "Not allowed to vote"},
    },
    "Q223": {"question": "Party", "choices": {str(n): f"Party {n}" for n in range(1, 30)}},
    "Q260": {"question": "Sex", "choices": {"1": "Male", "2": "Female", "-2": "No answer"}},
    "Q262": {"question": "Age", "choices": {}},
    "Q273": {"question": "Marital status", "choices": {"1": "Married", "2": "Single"}},
    "W_WEIGHT": {"question": "Weight", "choices": {}},
}
ABOUT = {
    "Q33": {
        "question": "On a scale of 1 to 2, 1 meaning 'Agree' and 2 meaning 'Don't agree', how "
        "strongly do you agree with the following statement: Men should come first?",
        "category": "Social values",
        "use_case": "value",
        "answer_data_type": "ordinal",
    }
}
ROWS = [
    {"B_COUNTRY": "276", "B_COUNTRY_ALPHA": "DEU", "Q33": "1", "Q34": "2", "Q158": "3"},
    {"B_COUNTRY": "276", "B_COUNTRY_ALPHA": "DEU", "Q33": "-1", "Q34": "1.0", "Q158": "-5"},
    {"B_COUNTRY": "276", "B_COUNTRY_ALPHA": "DEU", "Q33": "-4", "Q34": "", "Q158": "1"},
]


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def with_column(rows: list[dict[str, str]], column: str, values: list[str]) -> list[dict[str, str]]:
    return [{**row, column: value} for row, value in zip(rows, values, strict=True)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "codebook.json").write_text(json.dumps(CODEBOOK), encoding="utf-8")
    return tmp_path


def read(folder: Path, rows: list[dict[str, str]] = ROWS, **options: Any) -> Survey:
    write_csv(folder / "de.csv", rows)
    return read_survey({"reader": "wvs7", "path": "de.csv", **options}, folder)


def sorted_positions(survey: Survey, item: str) -> list[int]:
    return sorted(survey.positions(item).tolist())


def test_negative_codes_are_non_response_of_their_kind(folder):
    survey = read(folder)
    assert sorted_positions(survey, "Q33") == [NonResponse.NOT_ASKED, NonResponse.DONT_KNOW, 0]
    assert sorted_positions(survey, "Q34") == [NonResponse.MISSING, 0, 1]
    assert sorted_positions(survey, "Q158") == [NonResponse.MISSING, 0, 2]


def test_unlabelled_points_of_a_scale_keep_their_numbers(folder):
    texts = read(folder).codebook["Q158"].texts
    assert texts == ("1 (Completely disagree)", "2", "3 (Completely agree)")


def test_items_that_share_a_stem_are_one_battery(folder):
    book = read(folder).codebook
    assert book["Q33"].battery == book["Q34"].battery == "Jobs scarce"
    assert book["Q158"].battery is None


def test_a_stem_on_its_own_is_no_battery(folder):
    assert read(folder, items=["Q33", "Q158"]).codebook["Q33"].battery is None


def test_question_and_topic_come_from_the_metadata(folder):
    (folder / "about.json").write_text(json.dumps(ABOUT), encoding="utf-8")
    survey = read(folder, questions="about.json")
    assert survey.codebook.item_ids == ("Q33",)
    item = survey.codebook["Q33"]
    assert item.question == (
        'How strongly do you agree with the following statement: "Men should come first."'
    )
    assert item.topic == "Social values"
    aside = {entry.why: entry.what for entry in survey.provenance.set_aside}
    assert aside["not in the question metadata"] == "Q34, Q158"


def test_items_asked_for_win_over_the_metadata(folder):
    (folder / "about.json").write_text(json.dumps(ABOUT), encoding="utf-8")
    assert read(folder, questions="about.json", items=["Q34"]).codebook.item_ids == ("Q34",)


def test_questions_without_a_scale_clause_are_kept_as_they_are():
    assert question_text("How old´s  that?") == "How old's that?"


def test_options_stand_in_the_order_of_their_scale(folder):
    rows = with_column(ROWS, "Q119", ["0", "1", "4"])
    assert read(folder, rows).codebook["Q119"].texts == ("SA", "A", "Hard to say", "D", "SD")


def test_not_allowed_to_vote_is_not_an_answer(folder):
    survey = read(folder, with_column(ROWS, "Q221", ["4", "1", "3"]))
    assert survey.codebook["Q221"].texts == ("Always", "Usually", "Never")
    assert sorted_positions(survey, "Q221") == [NonResponse.NOT_APPLICABLE, 0, 2]


def test_columns_that_are_no_items_are_set_aside_with_a_reason(folder):
    rows = [
        {**row, "Q273": "1", "Q223": "1", "Q33_3": "1", "Q900": "1", "version": "6"} for row in ROWS
    ]
    rows = with_column(rows, "Q266", ["1", "1", "1"])
    why = {entry.what: entry.why for entry in read(folder, rows).provenance.set_aside}
    assert "differs by country" in why["Q223"]
    assert "country variants" in why["Q33_3"]
    assert why["Q266, Q900"] == "not in the codebook"
    assert why["version"] == "not a question to respondents"


def test_demographics_are_read_as_words(folder):
    rows = with_column(ROWS, "Q260", ["1", "2", "-2"])
    survey = read(folder, with_column(rows, "Q262", ["34", "61.0", "-1"]))
    people = survey.responses.sort("age", nulls_last=True)
    assert people["sex"].to_list() == ["Male", "Female", None]
    assert people["age"].to_list() == ["34", "61", None]
    assert people["country"].unique().to_list() == ["Germany"]
    assert people["country_code"].unique().to_list() == ["DEU"]


def test_an_unknown_demographic_code_names_its_row(folder):
    with pytest.raises(InputError, match=r'de\.csv row 4: Q260 is "7"'):
        read(folder, with_column(ROWS, "Q260", ["1", "2", "7"]))


def test_the_archives_weight_is_used_where_it_is(folder):
    survey = read(folder, with_column(ROWS, "W_WEIGHT", ["0.5", "1.5", "1"]))
    assert sorted(survey.weights) == [0.5, 1.0, 1.5]
    assert survey.provenance.weight_variable == "W_WEIGHT"


def test_weight_none_leaves_the_archives_weight_out(folder):
    survey = read(folder, with_column(ROWS, "W_WEIGHT", ["0.5", "1.5", "1"]), weight="none")
    assert set(survey.weights) == {1.0}
    assert survey.provenance.weight_variable is None


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (["1", "-2", "1"], r'row 3: the weight W_WEIGHT "-2" is negative \(1 such row\)'),
        (["1", "1", ""], r"row 4: the weight W_WEIGHT is empty"),
        (["x", "1", "1"], r'row 2: the weight W_WEIGHT "x" is not a number'),
        (["nan", "1", "1"], r"row 2: the weight W_WEIGHT \"nan\" is not a number"),
        (["0", "0", "0"], r"zero for every respondent"),
    ],
)
def test_bad_weights_are_refused(folder, weights, message):
    with pytest.raises(InputError, match=message):
        read(folder, with_column(ROWS, "W_WEIGHT", weights))


def test_files_of_which_one_lacks_the_weight_are_refused(folder):
    write_csv(folder / "br.csv", [{**row, "B_COUNTRY": "76"} for row in ROWS])
    with pytest.raises(InputError, match=r"br\.csv has no column W_WEIGHT.*weight: none"):
        read(folder, with_column(ROWS, "W_WEIGHT", ["1"] * 3), path=["de.csv", "br.csv"])


def test_a_question_that_one_file_lacks_was_not_asked_there(folder):
    brazil = [{"B_COUNTRY": "76", "B_COUNTRY_ALPHA": "BRA", "Q33": "2", "Q158": "2"}]
    write_csv(folder / "br.csv", brazil)
    survey = read(folder, path=["de.csv", "br.csv"])
    asked = survey.responses.filter(pl.col("country") == "Brazil")
    assert asked["Q34"].to_list() == [NonResponse.NOT_ASKED]
    assert asked["Q33"].to_list() == [1]
    assert survey.responses.height == 4


def test_a_folder_gives_its_country_files(folder):
    (folder / "notes.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert read(folder, path=".").responses.height == 3
    assert {path.name for path in survey_files({"reader": "wvs7", "path": "."}, folder)} == {
        "de.csv",
        "codebook.json",
    }


SUMMARY = [
    {"B_COUNTRY": name, "B_COUNTRY_ALPHA": "", "Q33": "1.24", "Q34": "-4.0", "Q158": "2.5"}
    for name in ("Avg", "Avg_First")
]


@pytest.mark.parametrize("rows", [[*ROWS, *SUMMARY], [ROWS[0], *SUMMARY, *ROWS[1:]]])
def test_summary_rows_are_set_aside_wherever_they_stand(folder, rows):
    survey = read(folder, rows)
    assert survey.responses.height == 3
    (aside,) = survey.provenance.set_aside
    assert aside.what == "rows Avg, Avg_First of de.csv"
    assert aside.count == 2
    assert "1.24" not in str(survey.provenance)
    assert survey.content_hash == read(folder).content_hash


def test_a_message_counts_the_rows_of_the_file_also_behind_summary_rows(folder):
    with pytest.raises(InputError, match=r'de\.csv row 6: Q33 is "9".*options 1, 2; 1 such row'):
        read(folder, [ROWS[0], ROWS[1], *SUMMARY, {**ROWS[2], "Q33": "9"}])


@pytest.mark.parametrize("country", ["Germany", "999", ""])
def test_a_row_without_a_country_code_is_refused(folder, country):
    with pytest.raises(InputError, match=rf'de\.csv row 3: B_COUNTRY is "{country}", not a'):
        read(folder, [ROWS[0], {**ROWS[1], "B_COUNTRY": country}])


def test_a_file_of_summaries_alone_has_no_respondents(folder):
    with pytest.raises(InputError, match=r"de\.csv has no respondents"):
        read(folder, SUMMARY)


def test_respondents_keep_the_archives_ids(folder):
    survey = read(folder, with_column(ROWS, "D_INTERVIEW", ["27601", "27602", "27603"]))
    assert set(survey.responses["respondent"]) == {"27601", "27602", "27603"}


def test_duplicate_respondents_are_refused_with_their_rows(folder):
    with pytest.raises(InputError, match=r'D_INTERVIEW "27601" stands on rows 2, 4'):
        read(folder, with_column(ROWS, "D_INTERVIEW", ["27601", "27602", "27601"]))


def test_a_respondent_of_two_files_is_refused(folder):
    rows = with_column(ROWS, "D_INTERVIEW", ["1", "2", "3"])
    write_csv(folder / "again.csv", rows)
    with pytest.raises(InputError, match=r"stands on \d rows; an id must be unique"):
        read(folder, rows, path=["de.csv", "again.csv"])


def test_one_file_named_twice_is_refused(folder):
    with pytest.raises(InputError, match=r"survey\.path: two files are called de"):
        read(folder, path=["de.csv", "de.csv"])


ANSWERS = st.lists(
    st.tuples(*(st.sampled_from(["1", "2", "-1", ""]) for _ in range(3))), min_size=1, max_size=12
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(answers=ANSWERS, data=st.data())
def test_permuting_respondents_changes_no_hash_and_no_distribution(tmp_path_factory, answers, data):
    folder = tmp_path_factory.mktemp("wvs")
    (folder / "codebook.json").write_text(json.dumps(CODEBOOK), encoding="utf-8")
    rows = [{"B_COUNTRY": "276", "Q33": a, "Q34": b, "Q158": c or "-5"} for a, b, c in answers]
    plain = read(folder, rows)
    shuffled = read(folder, data.draw(st.permutations(rows)))
    assert shuffled.content_hash == plain.content_hash
    for item in plain.codebook.item_ids:
        assert sorted_positions(shuffled, item) == sorted_positions(plain, item)


def test_it_writes_itself_and_reads_back_equal(folder):
    survey = read(folder)
    survey.write(folder / "survey")
    back = Survey.read(folder / "survey")
    assert back.responses.equals(survey.responses)
    assert (back.codebook, back.provenance) == (survey.codebook, survey.provenance)
    assert back.content_hash == survey.content_hash


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "nowhere.csv"}, r"survey\.path: .*nowhere\.csv does not exist"),
        ({"path": []}, r"survey\.path: the list is empty"),
        ({"codebook": "no.json"}, r"survey\.codebook: .*no\.json does not exist"),
        ({"codebook": "."}, r"survey\.codebook: .* is a folder, not a file"),
        ({"questions": "no.json"}, r"survey\.questions: .*no\.json does not exist"),
        ({"items": ["Q330"]}, r'survey\.items: the files have no column Q330. Did you mean "Q33"'),
        ({"weight": "pw"}, r"survey\.weight: de\.csv has no column pw"),
        ({"pth": "de.csv"}, r'survey\.pth: unknown key; there are path, codebook.*mean "path"'),
    ],
)
def test_a_wrong_option_names_its_key_and_the_mend(folder, options, message):
    with pytest.raises(InputError, match=message):
        read(folder, **options)


def test_an_item_that_the_codebook_lacks_is_refused(folder):
    with pytest.raises(InputError, match=r"survey\.items: the codebook has no Q35"):
        read(folder, with_column(ROWS, "Q35", ["1"] * 3), items=["Q35"])


def test_a_codebook_without_the_items_is_refused(folder):
    (folder / "codebook.json").write_text(json.dumps({"B_COUNTRY": CODEBOOK["B_COUNTRY"]}))
    with pytest.raises(InputError, match=r"survey\.codebook: it describes no item of the files"):
        read(folder)


def test_an_item_with_one_option_is_set_aside(folder):
    one = {**CODEBOOK, "Q34": {"question": "Only one", "choices": {"1": "Yes", "-1": "DK"}}}
    (folder / "codebook.json").write_text(json.dumps(one))
    (aside,) = read(folder).provenance.set_aside
    assert (aside.what, aside.why) == ("Q34", "fewer than two options in the codebook")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"Q33": ', r"codebook\.json: not readable as JSON"),
        ("[1, 2]", r"codebook\.json: the file: .*WorldValuesBench's format"),
        ('{"Q33": {"choices": {}}}', r"codebook\.json: Q33\.question: field required"),
        ('{"Q33": {"question": "?", "choices": [1]}}', r"codebook\.json: Q33\.choices: "),
    ],
)
def test_a_malformed_codebook_says_where(folder, content, message):
    (folder / "codebook.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read(folder)


def test_without_a_codebook_it_says_where_to_get_one(folder):
    (folder / "codebook.json").unlink()
    with pytest.raises(InputError, match=r"survey\.codebook is missing.*docs/surveys\.md"):
        read(folder)


def test_another_file_than_the_wvs_is_refused(folder):
    with pytest.raises(InputError, match=r"de\.csv has no column B_COUNTRY"):
        read(folder, [{"Q33": "1"}])


@pytest.fixture(scope="module")
def wvs(shared_data: Path) -> Path:
    return shared_data / "wvs7"


COUNTRIES = {"Brazil": 1762, "Germany": 1528, "Iraq": 1200, "Turkey": 2415}


@pytest.fixture(scope="module")
def four(wvs: Path) -> Survey:
    section = {
        "reader": "wvs7",
        "path": [f"{country}.csv" for country in COUNTRIES],
        "codebook": "codebook.json",
        "questions": "question_metadata.json",
    }
    return read_survey(section, wvs)


@pytest.mark.slow
def test_the_four_countries_have_their_respondents_and_items(four):
    assert dict(four.responses["country"].value_counts().iter_rows()) == COUNTRIES
    assert set(four.responses["country_code"]) == {"BRA", "DEU", "IRQ", "TUR"}
    assert len(four.codebook.items) == 50


def test_iraq_was_not_asked_two_of_the_questions(four):
    iraq = four.responses.filter(pl.col("country") == "Iraq")
    for item in ("Q36", "Q226"):
        assert set(iraq[item]) == {NonResponse.NOT_ASKED}
    assert not (four.responses.filter(pl.col("country") == "Germany")["Q36"] == -4).any()


def test_counts_equal_a_count_with_the_csv_module(four, wvs):
    for item in ("Q122", "Q158", "Q38"):
        counted: Counter[str] = Counter()
        for country in COUNTRIES:
            with (wvs / f"{country}.csv").open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["B_COUNTRY_ALPHA"]]
            counted.update(row[item] for row in rows)
        codes = [option.code for option in four.codebook[item].options]
        read = Counter(four.positions(item).tolist())
        assert {codes[p] if p >= 0 else str(p): n for p, n in read.items()} == counted


def test_every_question_of_the_four_countries_reads_as_one(four):
    for item in four.codebook.items:
        assert item.question[0].isupper()
        assert item.question.endswith(("?", '."'))
        assert "On a scale" not in item.question
        assert not set("´’") & set(item.question + "".join(item.texts))
        assert "  " not in item.question + "".join(item.texts)
        assert item.topic


def test_the_election_questions_are_one_battery_in_spite_of_their_spelling(four):
    battery = {item.battery for item in four.codebook.items if "Q224" <= item.id <= "Q233"}
    assert battery == {"How often in country's elections"}


def test_no_mean_of_a_summary_row_is_kept(four):
    aside = [entry for entry in four.provenance.set_aside if entry.what.startswith("rows")]
    assert sum(entry.count for entry in aside) == 10
    assert "." not in "".join(entry.what.replace(".csv", "") for entry in aside)
