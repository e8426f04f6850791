import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suffrage.errors import InputError, MissingExtraError
from suffrage.survey import NonResponse, Survey, read_survey, survey_files

BOOK = """
title: Town survey
respondent: id
weight: w
demographics:
  age: alter
  sex: {column: sex, labels: {1: male, 2: female}}
non_response:
  don't know: [8]
  refused: 9
items:
  - id: trust
    column: q1
    question: Do you trust your neighbours?
    options: {1: Completely, 2: Somewhat, 3: Not at all}
  - id: q2
    question: Should the town plant trees?
    options: {1: "Yes", 2: "No", 9: It has enough}
    ordered: false
    non_response: {not applicable: 7}
"""
CSV = """id,w,alter,sex,q1,q2,extra
a,1,30,1,1,1,x
b,2,41,2,8,2,x
c,0.5,9,9,9,9,x
d,1,52,1,,7,x
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "town.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "town.yaml").write_text(BOOK, encoding="utf-8")
    return tmp_path


def read(folder: Path, path: str = "town.csv") -> Survey:
    section = {"reader": "labelled_file", "path": path, "codebook": "town.yaml"}
    return read_survey(section, folder)


def answers(survey: Survey, item: str) -> dict[str, int]:
    return dict(survey.responses.select("respondent", item).iter_rows())


def test_codes_become_positions_and_kinds_of_non_response(folder):
    survey = read(folder)
    assert answers(survey, "trust") == {
        "a": 0,
        "b": NonResponse.DONT_KNOW,
        "c": NonResponse.REFUSED,
        "d": NonResponse.MISSING,
    }


def test_an_items_own_options_come_before_the_files_non_response(folder):
    survey = read(folder)
    assert answers(survey, "q2") == {"a": 0, "b": 1, "c": 2, "d": NonResponse.NOT_APPLICABLE}
    assert not survey.codebook["q2"].ordered


def test_demographics_are_words_and_non_response_is_unknown(folder):
    people = read(folder).responses
    assert people["sex"].to_list() == ["male", "female", None, "male"]
    assert people["age"].to_list() == ["30", "41", None, "52"]


def with_design(folder: Path, *keys: str) -> Survey:
    rows = zip(CSV.strip().splitlines(), ("layer,unit", "1,7", "1,8", "2,7", "2,7"), strict=True)
    (folder / "town.csv").write_text("".join(f"{row},{more}\n" for row, more in rows))
    columns = {"stratum": "layer", "psu": "unit"}
    edit(folder, "weight: w", "weight: w\n" + "\n".join(f"{k}: {columns[k]}" for k in keys))
    return read(folder)


def test_the_sampling_design_is_read_and_units_belong_to_their_stratum(folder):
    people = with_design(folder, "stratum", "psu").responses.sort("respondent")
    assert people["stratum"].to_list() == ["1", "1", "2", "2"]
    assert people["psu"].to_list() == ["1-7", "1-8", "2-7", "2-7"]


@pytest.mark.parametrize(
    ("key", "strata", "units"),
    [
        ("psu", ["all"] * 4, ["all-7", "all-8", "all-7", "all-7"]),
        ("stratum", ["1", "1", "2", "2"], ["1-a", "1-b", "2-c", "2-d"]),
    ],
)
def test_half_a_sampling_design_is_completed(folder, key, strata, units):
    survey = with_design(folder, key)
    people = survey.responses.sort("respondent")
    assert survey.has_design
    assert people["stratum"].to_list() == strata
    assert people["psu"].to_list() == units


def test_an_empty_stratum_and_a_name_that_is_taken_are_refused(folder):
    with_design(folder, "stratum", "psu")
    text = (folder / "town.csv").read_text().replace("8,2,x,1,8", "8,2,x,,8")
    (folder / "town.csv").write_text(text)
    with pytest.raises(InputError, match=r"town.csv row 3: layer is empty"):
        read(folder)
    edit(folder, "  age: alter", "  psu: alter")
    with pytest.raises(InputError, match=r"demographics\.psu: the name is taken"):
        read(folder)


@pytest.mark.parametrize("mark", ["NA", "#NULL!", "."])
def test_a_mark_for_a_missing_value_is_no_stratum_unit_or_id(folder, mark):
    with_design(folder, "stratum", "psu")
    right = (folder / "town.csv").read_text()
    for before, after, column in (
        ("8,2,x,1,8", f"8,2,x,{mark},8", "layer"),
        ("8,2,x,1,8", f"8,2,x,1,{mark}", "unit"),
        ("\nb,", f"\n{mark},", "id"),
    ):
        assert before in right
        (folder / "town.csv").write_text(right.replace(before, after))
        with pytest.raises(InputError, match=rf'row 3: {column} is "{re.escape(mark)}", which is'):
            read(folder)


def test_weights_and_unused_columns_are_told(folder):
    survey = read(folder)
    assert survey.weights.tolist() == [1.0, 2.0, 0.5, 1.0]
    assert survey.provenance.weight_variable == "w"
    assert survey.provenance.statement == "Weighted by w."
    (aside,) = survey.provenance.set_aside
    assert (aside.what, aside.why) == ("extra", "not named in the codebook")
    assert set(survey.provenance.files) == {"town.csv", "town.yaml"}


def test_parquet_with_numbers_reads_as_the_csv_does(folder):
    frame = pl.read_csv(folder / "town.csv").with_columns(pl.col("q1").cast(pl.Float64))
    frame.write_parquet(folder / "town.parquet")
    assert read(folder, "town.parquet").content_hash == read(folder).content_hash


def test_semicolons_and_a_byte_order_mark_read_as_commas_do(folder):
    (folder / "semi.csv").write_text(CSV.replace(",", ";"), encoding="utf-8-sig")
    assert read(folder, "semi.csv").content_hash == read(folder).content_hash


def test_empty_lines_at_the_end_are_no_respondents(folder):
    (folder / "lines.csv").write_text(CSV + "\n\r\n", encoding="utf-8")
    assert read(folder, "lines.csv").content_hash == read(folder).content_hash


def test_reversed_turns_the_options_round(folder):
    edit(folder, "Not at all}", "Not at all}\n    reversed: true")
    survey = read(folder)
    assert survey.codebook["trust"].texts == ("Not at all", "Somewhat", "Completely")
    assert answers(survey, "trust")["a"] == 2


def test_it_writes_itself_and_reads_back_equal(folder):
    survey = read(folder)
    survey.write(folder / "out")
    back = Survey.read(folder / "out")
    assert back.responses.equals(survey.responses)
    assert (back.codebook, back.provenance) == (survey.codebook, survey.provenance)


CODES = st.sampled_from(["1", "2", "3", "8", ""])


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.tuples(CODES, CODES), min_size=1, max_size=10), data=st.data())
def test_permuting_the_rows_of_a_file_without_ids_changes_no_hash(tmp_path_factory, rows, data):
    folder = tmp_path_factory.mktemp("town")
    book = BOOK.replace("respondent: id\n", "").replace("weight: w\n", "")
    book = re.sub(r"demographics:.*?non_resp", "non_resp", book, count=1, flags=re.DOTALL)
    (folder / "town.yaml").write_text(book.replace('2: "No"', '2: "No", 3: Perhaps'))

    def hash_of(order: list[tuple[str, str]]) -> str:
        lines = "".join(f"{a},{b}\n" for a, b in [*order, ("1", "1")])
        (folder / "town.csv").write_text("q1,q2\n" + lines)
        return read(folder).content_hash

    assert hash_of(data.draw(st.permutations(rows))) == hash_of(rows)


def edit(folder: Path, old: str, new: str, name: str = "town.yaml") -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: Town survey", "", r"town\.yaml: title: is missing"),
        ("title:", "titel: x\ntitle:", r"town\.yaml: titel: unknown key.*Did you mean \"title\""),
        ("column: q1", "colum: q1", r"town\.yaml: items\[0\]\.colum: unknown key.*\"column\""),
        ("{1: Completely, 2: Somewhat, 3: Not at all}", "{1: Completely}",
         r"items\[0\]\.options: .*1 options"),
        ("{1: Completely, 2: Somewhat, 3: Not at all}", "[a, b]",
         r"items\[0\]\.options: .*must map"),
        ("2: Somewhat", "2: Completely", r'items\[0\]\.options: .*two options read "Completely"'),
        ('2: "No"', "2: no", r"items\[1\]\.options: .*put it in quotes"),
        ("don't know: [8]", "dunno: [8]", r'non_response: .*"dunno" is not a kind.*refused'),
        ("refused: 9", "refused: 8", r'non_response: .*8 is both "don\'t know" and "refused"'),
        ("{not applicable: 7}", "{refused: 1}", r"items\[1\]: .*1 is both an option and a kind"),
        ("    column: q1", "    column: q2", r"items\[1\]\.column: items\[0\] reads column q2 too"),
        ("- id: q2", "- id: trust", r'items\[1\]\.id: "trust" is already the name of items\[0\]'),
        ("- id: trust", "- id: weight", r'items\[0\]\.id: "weight" is already the name of the w'),
        ("column: q1", "column: Q1",
         r'items\[0\]\.column: town\.csv has no column "Q1"\. Did you mean "q1"'),
        ("age: alter", "age: altr",
         r'demographics\.age: town\.csv has no column "altr"\. Did you mean "alter"'),
        ("weight: w", "weight: zzz", r'weight: town\.csv has no column "zzz"\. It has id, w'),
        ("ordered: false", "ordered: perhaps", r"items\[1\]\.ordered: .*perhaps.*true or false"),
        ("labels: {1: male, 2: female}", "labels: {1: male}",
         r"town\.csv row 3: sex is \"2\".*demographics\.sex\.labels"),
        ("title: Town survey", "title: [", r"town\.yaml line \d+: "),
        ("weight: w", "weight: w\nweight: w2",
         r"town\.yaml line 5: the key 'weight' appears twice"),
        ("    options: {1: Completely, 2: Somewhat, 3: Not at all}\n", "",
         r"items\[0\]\.options: .*no value labels for q1"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_codebook_names_its_key_and_the_mend(folder, old, new, message):
    edit(folder, old, new)
    with pytest.raises(InputError, match=message):
        read(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("b,2,41,2,8", "b,2,41,2,5",
         r'town\.csv row 3: trust \(column q1\) is "5", which is not in its codebook'),
        ("b,2,", "a,2,", r'town\.csv: id "a" stands on rows 2, 3; 2 rows share an id'),
        ("b,2,", ",2,", r"town\.csv row 3: id is empty"),
        ("b,2,", "b,-2,", r'town\.csv row 3: the weight w "-2" is negative'),
        ("b,2,", "b,,", r"town\.csv row 3: the weight w is empty"),
        ("a,1,30,1,1,1,x", "a,1,30,1", r"town\.csv row 2 has 4 cells where the header has 7"),
        ("a,1,30,1,1,1,x", "a,1,30,1,1,1,x,y",
         r"town\.csv row 2 has 8 cells where the header has 7"),
        ("b,2,41", "\nb,2,41", r"town\.csv row 3 has 0 cells where the header has 7"),
        ("b,2,41", 'b,2,"41', r"town\.csv.*(quot|cells)"),
        ("extra", "q1", r"town\.csv: column 'q1' appears twice"),
        (CSV, "", r"town\.csv is empty"),
        (CSV, "id,w,alter,sex,q1,q2\n", r"town\.csv has no rows"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_data_names_its_row_and_the_mend(folder, old, new, message):
    edit(folder, old, new, "town.csv")
    with pytest.raises(InputError, match=message):
        read(folder)


@pytest.mark.parametrize("first", ["", "sep=;\n", '"sep=;"\n'])
def test_rows_are_those_of_the_file_below_a_separator_line_too(folder, first):
    def changed(old: str, new: str) -> int:
        text = first + CSV.replace(",", ";").replace(old, new)
        assert text.count(new) == 1
        (folder / "town.csv").write_text(text, encoding="utf-8")
        # The row as an editor numbers it.
        return text[: text.index(new)].count("\n") + 1

    # A weight with a decimal comma, as spreadsheets write it in many countries.
    row = changed("c;0.5", "c;0,5")
    with pytest.raises(InputError, match=rf'row {row}: the weight w "0,5" is not .*write 0\.9'):
        read(folder)
    row = changed("d;1;52;1;", "d;1;52;1;17")
    with pytest.raises(InputError, match=rf'row {row}: trust \(column q1\) is "17"'):
        read(folder)
    row = changed("b;2;41;2;8;2;x", "b;2;41;2;8;2;x;y")
    with pytest.raises(InputError, match=rf"row {row} has 8 cells"):
        read(folder)
    row = changed("b;2;41", ";2;41")
    with pytest.raises(InputError, match=rf"row {row}: id is empty"):
        read(folder)


def test_all_weights_zero_are_refused(folder):
    (folder / "town.csv").write_text(re.sub(r"(?m)^(\w),[\d.]+,", r"\1,0,", CSV))
    with pytest.raises(InputError, match="zero for every respondent"):
        read(folder)


def test_latin1_is_refused_with_the_line_and_the_mend(folder):
    (folder / "town.csv").write_bytes(CSV.replace("52,1,,7,x", "52,1,,7,é").encode("latin-1"))
    with pytest.raises(InputError, match=r"town\.csv line 5: byte 0xe9 is not UTF-8.*iconv"):
        read(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.csv", r"survey\.path: .*nowhere\.csv does not exist\.$"),
        ("twon.csv", r'survey\.path: .*twon\.csv does not exist\. Did you mean "town\.csv"\?'),
        ("no/town.csv", r"survey\.path: .*town\.csv does not exist\. There is no folder .*no\."),
        (".", r"survey\.path: .* is a folder, not a file"),
        ("town.yaml", r'survey\.path: town\.yaml ends in "\.yaml"; this reader takes \.csv'),
        ("bad.parquet", r"bad\.parquet: not readable as Parquet"),
        ("bad.sav", r"bad\.sav: not readable as \.sav"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(folder, name, message):
    for junk in ("bad.parquet", "bad.sav"):
        (folder / junk).write_bytes(b"junk")
    with pytest.raises(InputError, match=message):
        read(folder, name)


def test_without_pyreadstat_it_names_the_extra(folder, monkeypatch):
    (folder / "town.sav").write_bytes(b"junk")
    monkeypatch.setitem(__import__("sys").modules, "pyreadstat", None)
    with pytest.raises(MissingExtraError, match=r"pyreadstat.*suffrage\[labelled\]"):
        read(folder, "town.sav")


LABELLED_BOOK = """
title: Town survey
demographics: {sex: sex, age: age}
items:
  - {id: trust, question: "Do you trust your neighbours?"}
"""
COLUMNS: dict[str, Any] = {
    "trust": [1.0, 2.0, 3.0, 8.0, 9.0, None],
    "sex": [1.0, 2.0, 1.0, 2.0, 1.0, 9.0],
    "age": [30.0, 41.0, 52.0, 99.0, 63.0, 74.0],
    "unused": [0.0] * 6,
}
LABELS = {
    "trust": {3: "Not at all", 1: "Completely", 2: "Somewhat", 8: "Don't know", 9: "Left blank"},
    "sex": {1: "male", 2: "female", 9: "Refused"},
    "age": {99: "No answer"},
}


def write_spss(folder: Path, missing: dict[str, Any] | None = None) -> None:
    pd, pyreadstat = pytest.importorskip("pandas"), pytest.importorskip("pyreadstat")
    pyreadstat.write_sav(
        pd.DataFrame(COLUMNS),
        str(folder / "town.sav"),
        variable_value_labels=LABELS,
        missing_ranges={"trust": [{"lo": 8, "hi": 9}]} if missing is None else missing,
    )
    (folder / "town.yaml").write_text(LABELLED_BOOK, encoding="utf-8")


def test_spss_value_labels_become_options_and_user_missing_becomes_non_response(folder):
    write_spss(folder)
    survey = read(folder, "town.sav")
    assert survey.codebook["trust"].texts == ("Completely", "Somewhat", "Not at all")
    assert sorted(survey.positions("trust").tolist()) == sorted(
        [0, 1, 2, NonResponse.DONT_KNOW, NonResponse.MISSING, NonResponse.MISSING]
    )
    assert survey.responses["sex"].null_count() == 1
    assert survey.responses["age"].null_count() == 1
    assert set(survey.responses["sex"].drop_nulls()) == {"male", "female"}


def test_the_codebooks_word_comes_before_the_files_label(folder):
    write_spss(folder)
    edit(folder, "title: Town survey", "title: Town survey\nnon_response: {not asked: 9}")
    assert NonResponse.NOT_ASKED in read(folder, "town.sav").positions("trust")


def test_a_dont_know_that_nobody_declared_never_becomes_an_option(folder):
    write_spss(folder, missing={})
    with pytest.raises(InputError, match=r'items\[0\]\.options: town\.sav labels 8 "Don\'t know"'):
        read(folder, "town.sav")


def test_stata_missing_letters_keep_their_kind(folder):
    pd, pyreadstat = pytest.importorskip("pandas"), pytest.importorskip("pyreadstat")
    pyreadstat.write_dta(
        pd.DataFrame({"trust": [1, 2, "a", "b", None], "sex": [1] * 5, "age": [30] * 5}),
        str(folder / "town.dta"),
        variable_value_labels={"trust": {1: "Yes", 2: "No", "a": "Refused", "b": "Not asked"}},
        missing_user_values={"trust": ["a", "b"]},
    )
    (folder / "town.yaml").write_text(LABELLED_BOOK, encoding="utf-8")
    survey = read(folder, "town.dta")
    assert survey.codebook["trust"].texts == ("Yes", "No")
    assert sorted(survey.positions("trust").tolist()) == sorted(
        [0, 1, NonResponse.REFUSED, NonResponse.NOT_ASKED, NonResponse.MISSING]
    )


def test_the_example_in_the_documentation_works(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "surveys.md").read_text(encoding="utf-8")
    data = re.search(r"```csv\n(.*?)```", page, re.DOTALL)
    book = re.search(r"```yaml\n(title: Town survey.*?)```", page, re.DOTALL)
    section = re.search(r"survey: (\{reader: labelled_file.*?\})", page)
    assert data and book and section
    (tmp_path / "town.csv").write_text(data.group(1), encoding="utf-8")
    (tmp_path / "town.yaml").write_text(book.group(1), encoding="utf-8")
    yaml = pytest.importorskip("yaml")
    settings_section = yaml.safe_load(section.group(1))
    survey = read_survey(settings_section, tmp_path)
    assert answers(survey, "trees")["t04"] == NonResponse.DONT_KNOW
    assert answers(survey, "bus")["t03"] == 8
    assert answers(survey, "bus")["t04"] == NonResponse.DONT_KNOW
    assert answers(survey, "bus")["t05"] == NonResponse.MISSING
    assert set(survey.responses["district"]) == {"Old Town", "Harbour"}
    assert survey.codebook["bus"].texts[0] == "1 (Not at all)"
    assert [path.name for path in survey_files(settings_section, tmp_path)] == [
        "town.csv",
        "town.yaml",
    ]


def test_the_documentation_names_every_key_of_the_codebook():
    from suffrage.survey.formats.codebook_file import CodebookFile, ItemEntry

    page = (Path(__file__).parents[2] / "docs" / "surveys.md").read_text(encoding="utf-8")
    for key in (*CodebookFile.model_fields, *ItemEntry.model_fields):
        assert f"`{key}`" in page


def test_spss_missing_ranges_without_an_end_and_missing_texts_are_no_answers(folder):
    pd, pyreadstat = pytest.importorskip("pandas"), pytest.importorskip("pyreadstat")
    pyreadstat.write_sav(
        pd.DataFrame(
            {
                "trust": [1.0, 2.0, -1.0, -7.0],
                "party": ["L", "R", "XX", "L"],
                "sex": [1.0] * 4,
                "age": [30.0] * 4,
            }
        ),
        str(folder / "town.sav"),
        variable_value_labels={"trust": {1: "Yes", 2: "No"}, "party": {"L": "Left", "R": "Right"}},
        missing_ranges={"trust": [{"lo": float("-inf"), "hi": -1.0}], "party": ["XX"]},
    )
    book = LABELLED_BOOK + '  - {id: party, question: "Which party?", ordered: false}\n'
    (folder / "town.yaml").write_text(book, encoding="utf-8")
    survey = read(folder, "town.sav")
    missing = int(NonResponse.MISSING)
    assert sorted(survey.positions("trust").tolist()) == [missing, missing, 0, 1]
    assert sorted(survey.positions("party").tolist()) == [missing, 0, 0, 1]


def test_a_demographic_keeps_answers_that_read_like_non_response_and_lists_them(tmp_path):
    rows = "".join(f"{k % 2 + 1},{'Refused' if k % 3 else 'Accepted'},{k % 4}\n" for k in range(60))
    (tmp_path / "loans.csv").write_text(f"q,loan,land\n{rows}", encoding="utf-8")
    (tmp_path / "loans.yaml").write_text(
        "title: Loans\ndemographics: {loan: loan}\n"
        "items: [{id: q, question: 'Well?', options: {1: Well, 2: Badly}}]\n",
        encoding="utf-8",
    )
    section = {"reader": "labelled_file", "path": "loans.csv", "codebook": "loans.yaml"}
    survey = read_survey(section, tmp_path)
    assert survey.responses["loan"].null_count() == 0
    (doubt,) = survey.provenance.read_codes
    assert (doubt.name, doubt.label or doubt.code, doubt.kind) == ("loan", "Refused", "")
    assert 'may mean "refused", but 67% of the filled cells have it' in doubt.why


def test_options_from_labels_of_an_unknown_language_are_listed_where_a_code_is_apart(folder):
    pd, pyreadstat = pytest.importorskip("pandas"), pytest.importorskip("pyreadstat")

    values = [1.0, 2.0, 3.0, 9.0] * 3 + [1.0, 2.0] * 10
    pyreadstat.write_sav(
        pd.DataFrame({"q": values}),
        str(folder / "lt.sav"),
        variable_value_labels={"q": {1.0: "Taip", 2.0: "Galbūt", 3.0: "Ne", 9.0: "Nežinau"}},
    )
    (folder / "lt.yaml").write_text(
        "title: L\nitems: [{id: q, question: 'Ar gerai?'}]\n", encoding="utf-8"
    )
    survey = read_survey(
        {"reader": "labelled_file", "path": "lt.sav", "codebook": "lt.yaml"}, folder
    )
    assert survey.codebook["q"].texts[-1] == "Nežinau"
    (doubt,) = survey.provenance.read_codes
    assert (doubt.code, doubt.kind) == ("9", "") and "stands apart" in doubt.why
