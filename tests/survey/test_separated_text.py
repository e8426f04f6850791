"""Separated values are read as Python's own reader does, in blocks and with few texts in memory."""

import csv
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage import storage
from suffrage.errors import InputError
from suffrage.survey import Survey
from suffrage.survey import survey as survey_module
from suffrage.survey.formats import separated_text
from suffrage.survey.formats.separated_text import read_coded_csv, read_csv
from suffrage.survey.respondents import numbered_respondents, with_file_rows
from tests.synthetic import make_survey

CELLS = st.text(st.sampled_from('ab é,;\t|"\n'), max_size=4)
ROWS = st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6)


def written(rows: list[tuple[str, ...]], ends_in_line: bool = True) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("x", "y", "z"), *rows])
    return text.getvalue() if ends_in_line else text.getvalue().removesuffix("\n")


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(separated_text, "BLOCK", 5)


@pytest.mark.slow
@given(rows=ROWS, ends_in_line=st.booleans())
def test_quoted_texts_are_read_as_python_reads_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], ends_in_line: bool
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text(written(rows, ends_in_line), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separated_text, "BLOCK", 5)
        frame = read_csv(path)
    assert [tuple(cell or "" for cell in row) for row in frame.iter_rows()] == rows


@pytest.mark.slow
@given(rows=ROWS, place=st.integers(0, 5), cells=st.integers(1, 5), ends_in_line=st.booleans())
def test_a_row_of_another_length_is_named_wherever_it_is(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, ...]],
    place: int,
    cells: int,
    ends_in_line: bool,
) -> None:
    if cells == 3:
        return
    place = min(place, len(rows) - 1)
    uneven = [*rows[:place], ("a,b",) * cells, *rows[place + 1 :]]
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text(written(uneven, ends_in_line), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separated_text, "BLOCK", 5)
        with pytest.raises(InputError, match=f"row {place + 2} has {cells} cells where the head"):
            read_csv(path)


def test_a_wrong_byte_beyond_the_first_block_is_named_by_its_line(
    tmp_path: Path, small_blocks: None
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("x,y\né,1\n2,ü\n".encode() + b"3,\xe9\n")
    with pytest.raises(InputError, match="line 4: byte 0xe9 is not UTF-8"):
        read_csv(path)
    # A character that two blocks share is none.
    path.write_bytes("x,y\n€€€€,1\n".encode())
    assert read_csv(path)["x"].to_list() == ["€€€€"]


def test_only_the_wanted_columns_are_read_and_all_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y,z\n1,2,3\n1,,3\n")
    frame, names, _ = read_coded_csv(path, wanted={"z", "y", "absent"})
    assert (frame.columns, names) == (["y", "z"], ["x", "y", "z"])
    assert frame["y"].cast(pl.String).to_list() == ["2", None]
    assert frame["z"].n_unique() == 1


def test_respondents_are_numbered_alike_in_whatever_order_texts_appear() -> None:
    rows = pl.DataFrame({"a": ["z", "b", "a", None], "b": ["1", "2", "3", "4"]})
    coded = rows.select(pl.all().cast(pl.Categorical))
    turned = rows.reverse().select(pl.all().cast(pl.Categorical))
    numbers = numbered_respondents(with_file_rows(coded), "r").to_list()
    assert numbers == numbered_respondents(with_file_rows(rows), "r").to_list()
    assert numbers == numbered_respondents(with_file_rows(turned), "r").to_list()[::-1]


def test_a_survey_hashed_some_rows_at_a_time_has_the_hash_of_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = make_survey(respondents=50)
    names = pl.Series("respondent", [f"ü\u2028\U0001f600{i}" for i in range(50)])
    survey = Survey(made.responses.with_columns(names), made.codebook, made.provenance)
    rows = survey.responses.select(sorted(survey.responses.columns)).sort("respondent").write_csv()
    book = survey.codebook.model_dump(mode="json", exclude={"items": {"__all__": {"caution"}}})
    monkeypatch.setattr(survey_module, "HASHED_ROWS", 7)
    assert survey.content_hash == storage.content_hash([rows, book])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_wide_encoding_with_its_mark_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes("größe\tq\nja\t1\nnein\t2\n".encode(encoding))
    frame, names, _ = read_coded_csv(path)
    assert names == ["größe", "q"] and frame["größe"].to_list() == ["ja", "nein"]


@pytest.mark.parametrize("order", ["le", "be"])
def test_a_wide_encoding_without_its_mark_is_named(tmp_path: Path, order: str) -> None:
    path = tmp_path / "wide.csv"
    path.write_bytes("yes,q\nno,2\n".encode(f"utf-16-{order}"))
    with pytest.raises(InputError, match=f"UTF-16 without .*iconv -f UTF-16{order.upper()} "):
        read_coded_csv(path)


def test_blanks_around_a_columns_name_are_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "blank.csv"
    path.write_text('q ," w"\n1,1\n2,2\n', encoding="utf-8")
    assert read_coded_csv(path)[1] == ["q", "w"]
    assert read_coded_csv(path, wanted=["w"])[0]["w"].to_list() == ["1", "2"]
    path.write_text("q ,q\n1,1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"'q' appears twice .but for blanks around it.; rename"):
        read_coded_csv(path)
