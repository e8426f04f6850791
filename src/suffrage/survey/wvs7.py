"""World Values Survey, wave 7: country files, with WorldValuesBench's codebook format.

The WVS gives its data to each user after registration and forbids passing it on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from suffrage import storage
from suffrage.errors import InputError
from suffrage.survey.codebook import Codebook, Item, NonResponse, Option
from suffrage.survey.reading import Reader, ReaderOptions, existing_file, positions, read_csv
from suffrage.survey.survey import RESPONDENT, WEIGHT, Provenance, SetAside, Survey

COUNTRY, COUNTRY_ALPHA, INTERVIEW = "B_COUNTRY", "B_COUNTRY_ALPHA", "D_INTERVIEW"
ARCHIVE_WEIGHT = "W_WEIGHT"
NON_RESPONSE = {str(int(kind)): kind for kind in NonResponse}
# What some distributions append to a country file: means over the rows above, codes included.
SUMMARY = ("Avg", "Avg_First", "Avg_Last")
# demographic name -> variable of the full file
DEMOGRAPHICS = {"sex": "Q260", "age": "Q262", "settlement": "H_URBRURAL", "education": "Q275"}
CITATION = (
    "Haerpfer, C., Inglehart, R., Moreno, A., Welzel, C., Kizilova, K., Diez-Medrano, J., Lagos, "
    "M., Norris, P., Ponarin, E. and Puranen, B. (eds.), World Values Survey: Round Seven, "
    "Country-Pooled Datafile. JD Systems Institute and WVSA Secretariat. doi:10.14281/18241.20"
)
TERMS = "The WVS Association gives the data to each user after registration; no redistribution."


class Options(ReaderOptions):
    """path: one country file, or several. codebook, questions: JSON in WorldValuesBench's format.

    questions: its question metadata, for full question texts and topics. items: only these.
    weight: a weight column; W_WEIGHT where the files have it, else none.
    """

    path: str | list[str]
    codebook: str
    questions: str | None = None
    items: list[str] | None = None
    weight: str | None = None


def read(options: Options, folder: Path) -> Survey:
    """Read one or several country files into one survey.

    Respondents are named by D_INTERVIEW where the files have it, else by file name and row.
    Raises InputError on missing files, bad codes, and items without a codebook entry.
    """
    paths = files(options, folder)
    tables = {path.name: read_csv(path) for path in _data_files(options, folder)}
    codes = storage.read_json(existing_file(folder / options.codebook, "codebook"))
    questions = (
        storage.read_json(existing_file(folder / options.questions, "questions"))
        if options.questions
        else {}
    )
    book, without = build_codebook(_item_ids(options, tables, codes), codes, questions)
    parts, set_aside = [], []
    for name, table in tables.items():
        kept, dropped = _respondents(table, name, codes)
        set_aside += dropped
        parts.append(_uniform(kept, name, book, codes, _weight(options, table, name)))
    if without:
        set_aside.append(
            SetAside(", ".join(without), len(without), "no scale of options in the codebook")
        )
    responses = pl.concat(parts, how="vertical")
    demographics = tuple(
        column for column in responses.columns if column not in (RESPONDENT, WEIGHT, *book.item_ids)
    )
    weights = {_weight(options, table, name) for name, table in tables.items()}
    weight = next(iter(weights)) if len(weights) == 1 else None
    return Survey(
        responses,
        book.model_copy(update={"demographics": demographics}),
        Provenance(
            reader="wvs7",
            files={path.name: storage.file_hash(path) for path in paths},
            statement=(
                f"Weighted by {weight}, the archive's weight within each country."
                if weight
                else "These files carry no weights: the figures stand for the people interviewed "
                "in each country, and not exactly for its adults."
            ),
            weight_variable=weight,
            set_aside=tuple(set_aside),
        ),
    )


def files(options: Options, folder: Path) -> list[Path]:
    """Data files, codebook and question metadata. Raises InputError when one does not exist."""
    found = _data_files(options, folder)
    found.append(existing_file(folder / options.codebook, "codebook"))
    if options.questions:
        found.append(existing_file(folder / options.questions, "questions"))
    return found


def _data_files(options: Options, folder: Path) -> list[Path]:
    paths = [options.path] if isinstance(options.path, str) else options.path
    return [existing_file(folder / path, "path") for path in paths]


def _item_ids(
    options: Options, tables: Mapping[str, pl.DataFrame], codes: Mapping[str, Any]
) -> list[str]:
    columns = {column for table in tables.values() for column in table.columns}
    present = [name for name in codes if re.fullmatch(r"Q\d+", name) and name in columns]
    demographic = set(DEMOGRAPHICS.values())
    if options.items is None:
        if not present:
            raise InputError("survey.path: no column of these files stands in the codebook.")
        return [name for name in present if name not in demographic]
    for wanted in options.items:
        if wanted not in columns:
            raise InputError(f"survey.items: {wanted} is a column of none of the files.")
        if wanted not in codes:
            raise InputError(f"survey.items: {wanted} does not stand in the codebook.")
    return options.items


def build_codebook(
    item_ids: list[str], codes: Mapping[str, Any], questions: Mapping[str, Any]
) -> tuple[Codebook, list[str]]:
    """The codebook of the items, and the ids that have no scale of options."""
    stems: dict[str, list[str]] = {}
    for item_id in item_ids:
        stem = _stem(codes[item_id]["question"])
        if stem:
            stems.setdefault(stem, []).append(item_id)
    battery = {i: stem for stem, members in stems.items() if len(members) > 1 for i in members}
    items, without = [], []
    for item_id in item_ids:
        options = scale_options(codes[item_id]["choices"])
        about = questions.get(item_id, {})
        if len(options) < 2 or about.get("answer_data_type", "ordinal") != "ordinal":
            without.append(item_id)
            continue
        items.append(
            Item(
                id=item_id,
                question=question_text(about.get("question") or codes[item_id]["question"]),
                options=options,
                ordered=True,
                topic=about.get("category"),
                battery=battery.get(item_id),
            )
        )
    if not items:
        raise InputError("survey.codebook: none of the items has two options or more in it.")
    book = Codebook(
        title="World Values Survey, wave 7", items=tuple(items), citation=CITATION, terms=TERMS
    )
    return book, without


def scale_options(choices: Mapping[str, str]) -> tuple[Option, ...]:
    """The options of a codebook entry in the order of their codes, non-response left out.

    A point of a scale that the codebook names by its number alone keeps the number, and the named
    ends carry theirs too: "1 (Completely disagree)", "2", ...
    """
    found = sorted((int(float(code)), _clean(text)) for code, text in choices.items())
    real = [(code, text) for code, text in found if code >= 0]
    numbered = any(text == str(code) for code, text in real)
    return tuple(
        Option(
            code=str(code),
            text=f"{code} ({text})" if numbered and text != str(code) else text,
        )
        for code, text in real
    )


def question_text(text: str) -> str:
    """The question without the numbering of its scale, which our own labels replace.

    "On a scale of 1 to 4, 1 meaning 'x' and 4 meaning 'y', how..." becomes "How...".
    """
    plain = re.sub(
        r"^On a scale of -?\d+ to -?\d+,\s*(?:with\s+)?-?\d+ meaning '.*?' and -?\d+ meaning '.*?',\s*",
        "",
        _clean(text),
    )
    return plain[:1].upper() + plain[1:]


def _stem(question: str) -> str | None:
    stem, colon, _ = _clean(question).partition(": ")
    return stem.lower() if colon else None


def _clean(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("´", "'").replace("’", "'")).strip()


def _respondents(
    table: pl.DataFrame, name: str, codes: Mapping[str, Any]
) -> tuple[pl.DataFrame, list[SetAside]]:
    """The rows that are people, with their row number in the file as `_row`."""
    if COUNTRY not in table.columns:
        raise InputError(f"{name}: no column {COUNTRY}; is it a WVS wave 7 file?")
    table = table.with_row_index("_row", offset=2)
    is_summary = pl.col(COUNTRY).is_in(SUMMARY)
    summary, people = table.filter(is_summary), table.filter(~is_summary.fill_null(False))
    known = list(codes.get(COUNTRY, {}).get("choices", {}))
    wrong = people.filter(
        ~pl.col(COUNTRY).is_in(known).fill_null(False)
        if known
        else ~pl.col(COUNTRY).str.contains(r"^\d+$").fill_null(False)
    )
    if not wrong.is_empty():
        row = wrong.row(0, named=True)
        raise InputError(
            f'{name} row {row["_row"]}: {COUNTRY} is "{row[COUNTRY] or ""}", not a country code of '
            f"the codebook ({wrong.height} such rows); correct or remove them."
        )
    if people.is_empty():
        raise InputError(f"{name}: no respondents.")
    if summary.is_empty():
        return people, []
    words = ", ".join(dict.fromkeys(summary[COUNTRY].to_list()))
    why = f'{COUNTRY} is "{words}": means at the end of the file, not respondents'
    return people, [SetAside(f"rows of {name}", summary.height, why)]


def _weight(options: Options, table: pl.DataFrame, name: str) -> str | None:
    if options.weight is not None and options.weight not in table.columns:
        raise InputError(f"survey.weight: {name} has no column {options.weight}.")
    return options.weight or (ARCHIVE_WEIGHT if ARCHIVE_WEIGHT in table.columns else None)


def _uniform(
    people: pl.DataFrame, name: str, book: Codebook, codes: Mapping[str, Any], weight: str | None
) -> pl.DataFrame:
    """One file's people in the coding of `Survey`."""
    stem = Path(name).stem
    ids = (
        people[INTERVIEW]
        if INTERVIEW in people.columns
        else pl.Series([f"{stem}-{row}" for row in people["_row"].to_list()])
    )
    weights = (
        people[weight].cast(pl.Float64, strict=False)
        if weight
        else pl.Series([1.0] * people.height)
    )
    labels = codes.get(COUNTRY, {}).get("choices", {})
    columns = [
        ids.alias(RESPONDENT),
        weights.fill_null(float("nan")).alias(WEIGHT),
        people[COUNTRY].replace(labels).alias("country"),
    ]
    if COUNTRY_ALPHA in people.columns:
        columns.append(people[COUNTRY_ALPHA].alias("country_code"))
    for demographic, variable in DEMOGRAPHICS.items():
        if variable in people.columns:
            choices = codes.get(variable, {}).get("choices", {})
            values = people[variable].replace(choices)
            columns.append(
                pl.select(
                    pl.when(people[variable].str.starts_with("-")).then(None).otherwise(values)
                )
                .to_series()
                .alias(demographic)
            )
    for item in book.items:
        if item.id in people.columns:
            columns.append(positions(people[item.id], item, NON_RESPONSE, name))
        else:
            absent = pl.Series([int(NonResponse.NOT_ASKED)] * people.height, dtype=pl.Int8)
            columns.append(absent.alias(item.id))
    return pl.DataFrame(columns)


READER = Reader("wvs7", Options, read, files)
