"""Tables of published answers as sources."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.survey import read_survey
from suffrage.survey.country_names import usual_country_name
from suffrage.survey.published_table import PublishedTable
from suffrage.survey.reading import read_survey_or_table
from suffrage.survey.scales import forms_scale
from suffrage.survey.table_inspection import inspect_table

BUSES = {"question": "Too few buses?", "options": ["Yes", "No"]}
ROWS = [
    {
        "question": "Too few buses?",
        "options": ["Yes", "No"],
        "group": "North",
        "shares": [0.6, 0.4],
    },
    {
        "question": "Too few buses?",
        "options": ["Yes", "No"],
        "group": "South",
        "shares": [0.3, 0.7],
    },
    {
        "question": "How are the roads?",
        "options": ["Good", "Fair", "Poor", "Don't know"],
        "group": "North",
        "shares": [0.2, 0.3, 0.3, 0.2],
    },
]


def written(folder: Path, rows: list[dict[str, Any]], name: str = "town.jsonl") -> Path:
    path = folder / name
    if name.endswith(".parquet"):
        pl.DataFrame(rows).write_parquet(path)
    elif name.endswith(".csv"):
        flat = [
            {k: " | ".join(map(str, v)) if isinstance(v, list) else v for k, v in row.items()}
            for row in rows
        ]
        pl.DataFrame(flat).write_csv(path)
    elif name.endswith(".json"):
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, **options: Any) -> PublishedTable:
    section = {"reader": "published_table", "path": path.name, "title": "A town", **options}
    found = read_survey_or_table(section, path.parent)
    assert isinstance(found, PublishedTable)
    return found


@pytest.mark.parametrize("name", ["town.jsonl", "town.json", "town.csv", "town.parquet"])
def test_every_format_gives_the_same_table(tmp_path: Path, name: str) -> None:
    found = read(written(tmp_path, ROWS, name))
    assert found.populations == ("North", "South")
    assert found.content_hash == read(written(tmp_path, ROWS[::-1], f"turned_{name}")).content_hash
    roads = next(i for i in found.codebook.items if i.question == "How are the roads?")
    assert roads.texts == ("Good", "Fair", "Poor") and roads.ordered
    cell = found.cells["North"][roads.id]
    assert cell.shares == pytest.approx([0.25, 0.375, 0.375])
    assert cell.non_response == {"don't know": pytest.approx(0.2)} and cell.n is None


def test_one_row_an_option_and_counts(tmp_path: Path) -> None:
    rows = [
        {"question": "Buses?", "option": text, "group": "North", "count": count, "item": "b"}
        for text, count in (("Yes", 30), ("No", 60), ("No answer", 10))
    ]
    found = read(written(tmp_path, rows, "long.csv"))
    cell = found.cells["North"]["b"]
    assert cell.shares == pytest.approx([1 / 3, 2 / 3]) and cell.n == pytest.approx(90)


def test_it_writes_itself_and_reads_back_equal(tmp_path: Path) -> None:
    found = read(written(tmp_path, ROWS))
    found.write(tmp_path / "out")
    back = PublishedTable.read(tmp_path / "out")
    assert back.content_hash == found.content_hash and back.codebook == found.codebook
    assert back.descriptions == found.descriptions


@pytest.mark.parametrize(
    "text", ["Something is missing", "Rather not", "I do not know them", "Declined", "DK"]
)
def test_words_inside_an_option_drop_nothing(tmp_path: Path, text: str) -> None:
    options = ["DE", "FR", text] if text == "DK" else ["Yes", "No", text]
    row = {"question": "q", "item": "q", "options": options, "group": "North"}
    found = read(written(tmp_path, [{**row, "shares": [0.5, 0.2, 0.3]}]))
    cell = found.cells["North"]["q"]
    assert cell.shares == pytest.approx([0.5, 0.2, 0.3]) and not cell.non_response
    in_doubt = [code.code for code in found.provenance.read_codes if not code.kind]
    assert in_doubt == ([] if text == "DK" else [text])


def test_an_option_is_read_alike_for_every_population(tmp_path: Path) -> None:
    row = {"question": "q", "item": "q"}
    found = read(
        written(
            tmp_path,
            [
                {
                    **row,
                    "group": "N",
                    "options": ["Yes", "No", "Missing"],
                    "shares": [0.5, 0.3, 0.2],
                },
                {
                    **row,
                    "group": "S",
                    "options": ["Yes", "No", "Refused"],
                    "shares": [0.6, 0.2, 0.2],
                },
            ],
        )
    )
    assert found.cells["N"]["q"].non_response == {"missing": pytest.approx(0.2)}
    assert {code.code for code in found.provenance.read_codes} == {"Missing", "Refused"}
    found.write(tmp_path / "out")
    assert PublishedTable.read(tmp_path / "out").provenance == found.provenance


def changed(row: int, **values: Any) -> list[dict[str, Any]]:
    return [{**own, **(values if at == row else {})} for at, own in enumerate(ROWS)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed(1, shares=[0.3, 0.6]), r"record 2: South: the shares sum to 0.900"),
        (changed(1, group="North"), r"North: it appears twice for this population"),
        (changed(1, shares=[0.3]), r"record 2: South: 2 options but 1 shares"),
        (changed(1, shares=["a", 0.7]), r'record 2: shares is "a", which is not a number'),
        (changed(1, question=""), r"record 2: South: the question is empty"),
        (changed(1, ordered="perhaps"), r'record 2: ordered is "perhaps"; say true or false'),
        ([{"question": "q", "group": "g", "shares": [1]}], "no column options or option"),
        (
            [
                {**ROWS[0], "item": "b"},
                {**ROWS[1], "item": "b", "options": ["Yes", "Not yet"]},
            ],
            r"item b has the options Yes, Not yet for South, and Yes, No for North \(record 1\)",
        ),
    ],
)
def test_a_mistake_names_its_row(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(written(tmp_path, rows))


def test_populations_are_chosen_and_renamed(tmp_path: Path) -> None:
    path = written(tmp_path, ROWS)
    assert read(path, populations=["South"]).populations == ("South",)
    assert read(path, rename={"South": "The south"}).populations == ("North", "The south")
    with pytest.raises(InputError, match='no population "East"'):
        read(path, rename={"East": "West"})
    with pytest.raises(InputError, match='two populations would be called "North"'):
        read(path, rename={"South": "North"})


def test_a_table_is_no_survey_of_respondents(tmp_path: Path) -> None:
    path = written(tmp_path, ROWS)
    with pytest.raises(InputError, match="published_table reads a table of published shares"):
        read_survey("published_table", path.parent, path=path.name)


@pytest.mark.parametrize(
    ("texts", "scale"),
    [
        (("Strongly agree", "Agree", "Neither agree nor disagree", "Disagree"), True),
        (("A great deal", "Quite a lot", "Not very much", "None at all"), True),
        (("Never justifiable", "2", "3", "4", "Always justifiable"), True),
        (("Definitely should", "Probably should", "Probably should not"), True),
        (("Better", "Worse", "About the same"), False),
        (("Not important", "1", "Very important", "2", "3"), False),
        (("Married", "Widowed", "Divorced"), False),
        (("The economy", "Crime", "Schools", "Roads"), False),
    ],
)
def test_a_scale_is_known_by_its_words(texts: tuple[str, ...], scale: bool) -> None:
    assert forms_scale(texts) is scale
    assert forms_scale(texts[::-1]) is scale


def test_a_country_has_one_spelling() -> None:
    assert usual_country_name("Czech Rep.") == usual_country_name("Czechia") == "Czechia"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reader", "file", "least_items", "population"),
    [
        pytest.param(
            "globalopinionqa",
            "globalopinionqa/global_opinions_layout.csv",
            1200,
            "South Korea",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "globalopinionqa",
            "globalopinionqa/country_distributions.json.gz",
            1200,
            "South Korea",
            marks=pytest.mark.slow,
        ),
        ("opinionqa", "opinionqa/group_distributions_small.json.gz", 900, "RACE_White"),
        ("wvs_country_shares", "wvs7/country_shares.jsonl.gz", 180, "Hong Kong"),
        pytest.param(
            "gss_by_year",
            "gss/counts_by_year.jsonl.gz",
            1500,
            "adults in the United States, 2018",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_real_tables_are_read(
    shared_data: Path, reader: str, file: str, least_items: int, population: str
) -> None:
    found = read_survey_or_table({"reader": reader, "path": str(shared_data / file)}, Path())
    assert isinstance(found, PublishedTable)
    assert len(found.codebook.items) >= least_items and population in found.cells
    for cell in found.cells[population].values():
        assert cell.shares.sum() == pytest.approx(1, abs=1e-9)
        assert (cell.n is not None) == (reader == "gss_by_year")


def test_a_tables_inspection_says_what_was_set_aside_and_why(tmp_path: Path) -> None:
    row = {"question": "How so?", "item": "q", "options": ["Yes", "No", "Missing part", "Refused"]}
    rows = [
        {**row, "group": "North", "shares": [0.5, 0.2, 0.2, 0.1], "n": 200},
        {**row, "group": "South", "shares": [0.4, 0.4, 0.2, 0.0]},
    ]
    found = inspect_table(read(written(tmp_path, rows)))
    assert [(p.name, p.items, p.n) for p in found.populations] == [
        ("North", 1, pytest.approx(180)),
        ("South", 1, None),
    ]
    assert found.items[0].options == ("Yes", "No", "Missing part")
    study = tmp_path / "study.yaml"
    study.write_text(
        "study: town\nsurvey: {reader: published_table, path: town.jsonl}\n"
        "value_sets: [{name: north, population: North}]\nmodel: tiny\nmethods: [base]\n"
        "evaluate: [fit]\nheld_out: {by: item, share: 0.5}\noutput: out\n"
    )
    shown = CliRunner().invoke(app, ["survey", "inspect", str(study), "--items"])
    page = " ".join(shown.output.replace("│", " ").split())
    assert shown.exit_code == 0, shown.output
    assert "2 populations, 1 question " in page
    assert "North 1 180 10.0%" in page and "South 1 not known" in page
    assert "Refused: refused (its text); in q" in page
    assert 'Missing part: its text may mean "missing"; in q' in page
    as_json = CliRunner().invoke(app, ["survey", "inspect", str(study), "--json"])
    assert json.loads(as_json.output)["populations"][0]["non_response"] == {
        "refused": pytest.approx(0.1)
    }
