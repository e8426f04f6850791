"""World Values Survey, wave 7: country files or the pooled file, with WorldValuesBench's codebook.

The WVS gives its data to each user after registration and forbids passing it on.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import field_validator

from suffrage import storage
from suffrage.errors import InputError
from suffrage.plurals import plural
from suffrage.survey.codebook import Codebook, Item, NonResponse
from suffrage.survey.codes import plain_code
from suffrage.survey.formats.separated_text import read_csv_and_row
from suffrage.survey.formats.wvs7_codebook import (
    NON_RESPONSE,
    QuestionText,
    VariableEntry,
    build_items,
    item_options,
    non_response,
    variables,
)
from suffrage.survey.reading import (
    NO_WEIGHT,
    Reader,
    ReaderOptions,
    existing_file,
    existing_path,
    first_names,
    list_or_refuse,
    positions,
    unknown_codes,
)
from suffrage.survey.respondents import (
    FILE_ROW,
    base_weights,
    named_respondents,
    numbered_respondents,
    with_file_rows,
)
from suffrage.survey.survey import POSITION, Provenance, SetAside, Survey

COUNTRY, COUNTRY_ALPHA, INTERVIEW = "B_COUNTRY", "B_COUNTRY_ALPHA", "D_INTERVIEW"
ARCHIVE_WEIGHT = "W_WEIGHT"
QUESTION = re.compile(r"Q(\d+)")
RECODE = re.compile(r"Q\d+\w+")
# From here on the questionnaire asks who the respondent is.
FIRST_DEMOGRAPHIC = 260
# Some distributions end a country file in rows of means over the rows above, codes included.
SUMMARY = re.compile(r"(?i)\s*avg(_\w+)?\s*")

# demographic: variable; a file need not have them all.
LABELLED = {
    "sex": "Q260",
    "age_group": "X003R",
    "education": "Q275",
    "education_level": "Q275R",
    "marital_status": "Q273",
    "employment": "Q279",
    "social_class": "Q287",
    "income_level": "Q288R",
    "religion": "Q289",
    "settlement": "H_URBRURAL",
    "town_size": "G_TOWNSIZE2",
}
AGE = "Q262"

CITATION = (
    "Haerpfer, C., Inglehart, R., Moreno, A., Welzel, C., Kizilova, K., Diez-Medrano, J., Lagos, "
    "M., Norris, P., Ponarin, E. and Puranen, B. (eds.), World Values Survey: Round Seven, "
    "Country-Pooled Datafile. JD Systems Institute and WVSA Secretariat. doi:10.14281/18241.20"
)
TERMS = "The WVS Association gives the data to each user after registration; no redistribution."


class Options(ReaderOptions):
    """What a study may say to the reader."""

    # A data file, several files, or a folder. In a folder, every CSV file with a country column is
    # read.
    path: tuple[str, ...]
    # The codebook in WorldValuesBench's format; default: `codebook.json` next to the data.
    codebook: str | None = None
    # The question texts in WorldValuesBench's format; default: `question_metadata.json` next to the
    # data, if there.
    questions: str | None = None
    # Only these items.
    items: tuple[str, ...] | None = None
    # A weight column, or "none"; when left out, W_WEIGHT where the files have it.
    weight: str | None = None

    @field_validator("path", mode="before")
    @classmethod
    def _one_or_many(cls, path: object) -> object:
        return [path] if isinstance(path, str) else path


@dataclass(frozen=True)
class _Files:
    """The paths that the options name."""

    tables: list[Path]
    codebook: Path
    questions: Path | None

    @property
    def all(self) -> list[Path]:
        return [*self.tables, self.codebook, *([self.questions] if self.questions else [])]


def files(options: Options, folder: Path) -> list[Path]:
    """Data files, codebook and question metadata. Raises InputError when one does not exist."""
    return _located(options, folder).all


def read(options: Options, folder: Path) -> Survey:
    """Read one or several files into one survey; a question a file lacks was not asked there.

    Respondents are named by D_INTERVIEW where a file has it, else by file name and number (see
    `numbered_respondents`). Raises InputError on missing files, codes that the codebook does not
    know, items it lacks, and rows without a country.
    """
    located = _located(options, folder)
    entries = variables(located.codebook, VariableEntry)
    questions = variables(located.questions, QuestionText) if located.questions else {}
    tables = {path.name: with_file_rows(*read_csv_and_row(path)) for path in located.tables}
    columns = {column for table in tables.values() for column in table.columns} - {FILE_ROW}
    chosen, set_aside = _choose(columns, options.items, entries, questions)
    items = build_items(chosen, entries, questions)
    weight = _weight(options, tables)
    demographics = _demographics(columns, entries)
    parts = []
    for name, table in tables.items():
        is_summary = _summary_rows(table, name, entries)
        if is_summary.any():
            set_aside.append(_summary_aside(table, is_summary, name))
        parts.append(_uniform(table, is_summary, name, items, demographics, entries, weight))
    return Survey(
        pl.concat(parts, how="vertical"),
        Codebook(
            title="World Values Survey, wave 7",
            items=items,
            demographics=tuple(demographics),
            citation=CITATION,
            terms=TERMS,
        ),
        Provenance(
            reader="wvs7",
            files={path.name: storage.file_hash(path) for path in located.all},
            statement=_statement(weight, len(tables)),
            weight_variable=weight,
            set_aside=tuple(set_aside),
        ),
    )


def _located(options: Options, folder: Path) -> _Files:
    tables: list[Path] = []
    for path in options.path:
        given = existing_path(folder / path, "path")
        tables += _country_files(given) if given.is_dir() else [given]
    stems = [path.stem for path in tables]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InputError(
            f"survey.path: two files are called {twice[0]}; list each file once, under its own "
            "name."
        )
    if not tables:
        raise InputError("survey.path: the list is empty; name a WVS wave 7 data file.")
    nearby = tables[0].parent
    if options.codebook is None and not (nearby / "codebook.json").is_file():
        raise InputError(
            f"survey.codebook is missing, and there is no codebook.json next to {tables[0].name}; "
            "docs/surveys.md says where to get one."
        )
    questions = nearby / "question_metadata.json"
    return _Files(
        tables,
        existing_file(folder / options.codebook, "codebook")
        if options.codebook is not None
        else nearby / "codebook.json",
        existing_file(folder / options.questions, "questions")
        if options.questions is not None
        else (questions if questions.is_file() else None),
    )


def _country_files(folder: Path) -> list[Path]:
    found = [path for path in sorted(folder.glob("*.csv")) if _has_country(path)]
    if not found:
        raise InputError(
            f"survey.path: no CSV file in {folder} has a column {COUNTRY}; "
            "name the folder with the WVS wave 7 data."
        )
    return found


def _has_country(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.readline().decode("utf-8-sig", errors="replace")
    return re.search(rf"\b{COUNTRY}\b", header) is not None


def _choose(
    columns: set[str],
    wanted: Sequence[str] | None,
    entries: Mapping[str, VariableEntry],
    questions: Mapping[str, QuestionText],
) -> tuple[list[str], list[SetAside]]:
    """The columns that become items, in questionnaire order, and why the others do not."""
    for item_id in wanted or ():
        if item_id not in columns or item_id not in entries:
            where = "the codebook has no" if item_id in columns else "the files have no column"
            known = entries if item_id in columns else columns
            near = difflib.get_close_matches(
                item_id, [c for c in known if QUESTION.fullmatch(c)], 1
            )
            hint = f' Did you mean "{near[0]}"?' if near else ""
            raise InputError(f"survey.items: {where} {item_id}.{hint}")
    chosen: list[str] = []
    reasons: dict[str, list[str]] = {}
    for column in sorted(columns, key=_questionnaire_order):
        why = _why_not(column, wanted, entries, questions)
        if why is None:
            chosen.append(column)
        elif why:
            reasons.setdefault(why, []).append(column)
    if not chosen:
        raise InputError(
            "survey.codebook: it describes no item of the files; it must contain the questions "
            "that are columns of the data, each with two options or more "
            f"({first_names(sorted(columns))})."
        )
    return chosen, [SetAside(first_names(names), len(names), why) for why, names in reasons.items()]


def _questionnaire_order(column: str) -> tuple[int, str]:
    match = re.match(r"Q(\d+)", column)
    return (int(match.group(1)) if match else 0, column)


def _why_not(
    column: str,
    wanted: Sequence[str] | None,
    entries: Mapping[str, VariableEntry],
    questions: Mapping[str, QuestionText],
) -> str | None:
    """Why a column is no item; None when it is one, "" when it is read as something else."""
    number = QUESTION.fullmatch(column)
    if column in (COUNTRY, COUNTRY_ALPHA, INTERVIEW, ARCHIVE_WEIGHT, AGE, *LABELLED.values()):
        return ""
    if not number:
        recode = RECODE.fullmatch(column)
        return "recodes and country variants" if recode else "not a question to respondents"
    if column not in entries:
        return "not in the codebook"
    if len(item_options(column, entries[column], questions.get(column))) < 2:
        return "fewer than two options in the codebook"
    if wanted is not None:
        return None if column in wanted else "not among the items asked for"
    if int(number.group(1)) >= FIRST_DEMOGRAPHIC:
        return "about the person, not about values"
    if len(set(dict(entries[column].answers()).values())) > 20:
        return "a list of parties or groups that differs by country"
    if questions:
        about = questions.get(column)
        if about is None:
            return "not in the question metadata"
        if about.answer_data_type != "ordinal" or about.use_case != "value":
            return "not an ordered value question in the question metadata"
    return None


def _weight(options: Options, tables: Mapping[str, pl.DataFrame]) -> str | None:
    if options.weight == NO_WEIGHT:
        return None
    wanted = options.weight or ARCHIVE_WEIGHT
    lacking = [name for name, table in tables.items() if wanted not in table.columns]
    if options.weight is None and len(lacking) == len(tables):
        return None
    if lacking:
        raise InputError(
            f"survey.weight: {lacking[0]} has no column {wanted}; name a weight that every file "
            f"has, or write weight: {NO_WEIGHT}."
        )
    return wanted


def _statement(weight: str | None, tables: int) -> str:
    if weight:
        return (
            f"Weighted by {weight} within each country; countries count by the size of their "
            "samples, not of their populations."
        )
    where = "in each country" if tables > 1 else "in the survey"
    return (
        "These files are read without weights: the figures stand for the people interviewed "
        f"{where}, and not exactly for the adults of the country."
    )


def _demographics(columns: set[str], entries: Mapping[str, VariableEntry]) -> dict[str, str]:
    """Each demographic of the survey and the variable it is read from."""
    found = {"country": COUNTRY}
    if COUNTRY_ALPHA in columns:
        found["country_code"] = COUNTRY_ALPHA
    if AGE in columns:
        found["age"] = AGE
    found |= {
        name: column for name, column in LABELLED.items() if column in columns and column in entries
    }
    return found


def _summary_rows(
    table: pl.DataFrame, name: str, entries: Mapping[str, VariableEntry]
) -> pl.Series:
    """Which rows are summaries; every other row must have a country of the codebook."""
    if COUNTRY not in table.columns:
        raise InputError(f"{name} has no column {COUNTRY}; is it a WVS wave 7 file?")
    if COUNTRY not in entries:
        raise InputError(f"survey.codebook: it has no {COUNTRY}, which names the countries.")
    codes = table[COUNTRY].fill_null("")
    summaries = {code for code in codes.unique().to_list() if SUMMARY.fullmatch(code)}
    known = {
        code for code in codes.unique().to_list() if plain_code(code) in entries[COUNTRY].labels()
    }
    wrong = ~codes.is_in(list(summaries | known))
    if wrong.any():
        row = table[FILE_ROW].filter(wrong)[0]
        raise InputError(
            f'{name} row {row}: {COUNTRY} is "{codes.filter(wrong)[0]}", not a country code of the '
            f"codebook ({plural(int(wrong.sum()), 'such row')}); correct the rows, or remove them."
        )
    if not codes.is_in(list(known)).any():
        raise InputError(f"{name} has no respondents; is the file complete?")
    return codes.is_in(list(summaries))


def _summary_aside(table: pl.DataFrame, is_summary: pl.Series, name: str) -> SetAside:
    words = ", ".join(table[COUNTRY].filter(is_summary).str.strip_chars().to_list())
    return SetAside(
        f"rows {words} of {name}",
        int(is_summary.sum()),
        "summaries over the rows above, non-response codes included, not respondents",
    )


def _uniform(
    table: pl.DataFrame,
    is_summary: pl.Series,
    name: str,
    items: Sequence[Item],
    demographics: Mapping[str, str],
    entries: Mapping[str, VariableEntry],
    weight: str | None,
) -> pl.DataFrame:
    """One file's people in the coding of `Survey`."""
    people = table.filter(~is_summary)
    columns = [
        named_respondents(people, INTERVIEW, name)
        if INTERVIEW in people.columns
        else numbered_respondents(people, Path(name).stem),
        base_weights(people, weight, name),
    ]
    for demographic, variable in demographics.items():
        read_as = _read_demographic(people, variable, name, entries)
        columns.append(read_as.alias(demographic))
    for item in items:
        if item.id not in table.columns:
            absent = pl.Series([int(NonResponse.NOT_ASKED)] * people.height, dtype=POSITION)
            columns.append(absent.alias(item.id))
            continue
        kinds, rows = non_response(item.id), people[FILE_ROW]
        columns.append(positions(people[item.id], item, kinds, name, rows))
    return pl.DataFrame(columns)


def _read_demographic(
    people: pl.DataFrame, variable: str, name: str, entries: Mapping[str, VariableEntry]
) -> pl.Series:
    """A column as text for people: labels, the ISO code, or the age; null where unknown."""
    if variable not in people.columns:
        return pl.Series([None] * people.height, dtype=pl.String)
    texts = people[variable].str.strip_chars()
    distinct = [text for text in texts.unique().drop_nulls().to_list() if text]
    if variable == COUNTRY_ALPHA:
        known: dict[str, str | None] = {text: text for text in distinct}
    elif variable == AGE:
        codes = {text: plain_code(text) for text in distinct}
        known = {
            text: None if code.startswith("-") else code
            for text, code in codes.items()
            if re.fullmatch(r"-?\d+", code)
        }
    else:
        labels = {**dict.fromkeys(NON_RESPONSE), **entries[variable].labels()}
        known = {t: labels[plain_code(t)] for t in distinct if plain_code(t) in labels}
    unknown = [text for text in distinct if text not in known]
    if unknown:
        found = unknown_codes(texts, variable, unknown, name, people[FILE_ROW])
        list_or_refuse(
            found,
            f'{name} row {found[0].rows[0]}: {variable} is "{found[0].code}", which is not in the '
            "codebook; correct the file or the codebook.",
        )
        known |= dict.fromkeys(unknown)
    return texts.replace_strict({**known, "": None}, default=None, return_dtype=pl.String)


READER = Reader("wvs7", Options, read, files)
