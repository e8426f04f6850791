"""A survey of your own: a CSV, Parquet, SPSS, Stata or SAS file and a codebook in YAML."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import polars as pl

from suffrage import storage
from suffrage.errors import InputError
from suffrage.survey.codebook import Codebook, Item, NonResponse
from suffrage.survey.codes import code_order, plain_code
from suffrage.survey.formats.codebook_file import (
    CodebookFile,
    DemographicEntry,
    ItemEntry,
    read_codebook,
)
from suffrage.survey.formats.codebook_values import option_list
from suffrage.survey.formats.compound_items import CompoundAnswers, compound_answers, is_answer
from suffrage.survey.formats.labelled_table import LabelledTable, read_table
from suffrage.survey.non_response_labels import read_labels
from suffrage.survey.reading import (
    Encoding,
    Reader,
    ReaderOptions,
    existing_file,
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
    sampling_design,
    with_file_rows,
)
from suffrage.survey.survey import Provenance, ReadCode, SetAside, Survey


class Options(ReaderOptions):
    """What a study may say to the reader."""

    # The data: .csv, .tsv, .tab, .txt, .parquet, .sav, .zsav, .por, .dta, .sas7bdat or .xpt.
    path: str
    # A YAML file.
    codebook: str
    # The encoding of a CSV file that is not UTF-8, or of an SPSS or Stata file that states a wrong
    # one.
    encoding: Encoding | None = None


def files(options: Options, folder: Path) -> list[Path]:
    """The data and its codebook. Raises InputError when one does not exist."""
    return [
        existing_file(folder / options.path, "path"),
        existing_file(folder / options.codebook, "codebook"),
    ]


def read(options: Options, folder: Path) -> Survey:
    """Read the data as its codebook says.

    A code is an option when the item lists it, else what the item's non_response says, else the
    codebook's, else what an SPSS or Stata file declares missing; any other code is an error.
    """
    path, codebook_path = files(options, folder)
    book = read_codebook(codebook_path)
    table = read_table(path, book.columns(), options.encoding)
    check_columns(book, table, path.name, codebook_path.name)
    frame = with_file_rows(table.frame, table.first_row)
    return labelled_survey("labelled_file", book, table, frame, path, codebook_path)


def labelled_survey(
    reader: str,
    book: CodebookFile,
    table: LabelledTable,
    frame: pl.DataFrame,
    path: Path,
    codebook_path: Path,
    set_aside: tuple[SetAside, ...] = (),
) -> Survey:
    """The survey of a file's rows as a codebook says.

    frame: the rows of `table` that are respondents, with `FILE_ROW`. set_aside: what is not in it.
    Raises InputError as `read` does.
    """
    read_codes: list[ReadCode] = []
    ids = (
        named_respondents(frame, book.respondent, path.name)
        if book.respondent
        else numbered_respondents(frame, path.stem)
    )
    demographics = [
        _demographic(frame, name, entry, book, table, path.name, read_codes)
        for name, entry in book.demographics.items()
    ]
    asked = _asked(book, table, frame, path, codebook_path, read_codes)
    columns = [
        ids,
        base_weights(frame, book.weight, path.name),
        *sampling_design(frame, book.stratum, book.psu, ids, path.name),
        *demographics,
        *(column for question in asked for column in question.columns),
    ]
    unused = [name for name in table.all_columns if name not in book.columns()]
    if unused:
        set_aside = (
            *set_aside,
            SetAside(first_names(unused), len(unused), "not named in the codebook"),
        )
    set_aside += tuple(
        SetAside(f"dates in {name}", count, "dates that no calendar has, read as missing")
        for name, count in table.out_of_range.items()
    )
    return Survey(
        pl.DataFrame(columns),
        Codebook(
            title=book.title,
            items=tuple(item for question in asked for item in question.items),
            demographics=tuple(book.demographics),
            citation=book.citation,
            terms=book.terms,
        ),
        Provenance(
            reader=reader,
            files={file.name: storage.file_hash(file) for file in (path, codebook_path)},
            statement=book.statement or _statement(book.weight),
            weight_variable=book.weight,
            set_aside=set_aside,
            read_codes=tuple(read_codes),
            made=tuple(question.made for question in asked if question.made),
        ),
    )


def _asked(
    book: CodebookFile,
    table: LabelledTable,
    frame: pl.DataFrame,
    path: Path,
    codebook_path: Path,
    read_codes: list[ReadCode],
) -> list[CompoundAnswers]:
    """The items and answers of each entry of the codebook; adds to `read_codes`.

    Raises InputError on unknown codes, and on two items of one name.
    """
    asked = []
    for number, entry in enumerate(book.items):
        if entry.multiple or entry.ranking or entry.numbers:
            kinds = _compound_kinds(entry, book, table, read_codes)
            asked.append(compound_answers(entry, frame, kinds, path.name))
            continue
        key = f"{codebook_path.name}: items[{number}].options"
        item = _item(entry, book, table, key, path.name)
        column = positions(
            frame[entry.source_column],
            item,
            _kinds(entry, item, book, table, read_codes),
            path.name,
            frame[FILE_ROW],
        )
        asked.append(CompoundAnswers((item,), (column,), ""))
    ids = [item.id for question in asked for item in question.items]
    twice = [item for item in ids if ids.count(item) > 1 or item in book.demographics]
    if twice:
        raise InputError(
            f"{codebook_path.name}: {twice[0]} would be the name of two items; rename one of them."
        )
    return asked


def _compound_kinds(
    entry: ItemEntry, book: CodebookFile, table: LabelledTable, read_codes: list[ReadCode]
) -> dict[str, NonResponse]:
    """What codes are non-response in the columns of an entry; adds them to `read_codes`."""
    written = {**book.non_response, **entry.non_response}
    kinds = dict(written)
    for column in entry.source_columns:
        found = {plain_code(code) for code in table.frame[column].unique().drop_nulls().to_list()}
        declared = table.declared_missing(column, found)
        kinds = {**declared, **kinds}
        labels = table.labels.get(column, {})
        for code in sorted(found & kinds.keys(), key=code_order):
            if not is_answer(entry, code):
                why = "the codebook" if code in written else table.why_missing
                label = labels.get(code, "")
                read_codes.append(ReadCode(entry.id, code, label, kinds[code].label, why))
    return kinds


def _statement(weight: str | None) -> str:
    if weight:
        return f"Weighted by {weight}."
    return (
        "The file carries no weights: the figures stand for the people interviewed, and not "
        "exactly for the population they were drawn from."
    )


def check_columns(book: CodebookFile, table: LabelledTable, source: str, codebook: str) -> None:
    """Raises InputError on a column that the codebook names and the file lacks, and on no rows."""
    for column, key in book.columns().items():
        if column not in table.all_columns:
            spelled = {name.lower(): name for name in table.all_columns}
            near = difflib.get_close_matches(column.lower(), spelled, 1)
            hint = (
                f'Did you mean "{spelled[near[0]]}"?'
                if near
                else f"It has {first_names([*table.all_columns])}."
            )
            raise InputError(f'{codebook}: {key}: {source} has no column "{column}". {hint}')
    if table.frame.is_empty():
        raise InputError(f"{source} has no rows; is the file complete?")


def _item(
    entry: ItemEntry, book: CodebookFile, table: LabelledTable, key: str, source: str
) -> Item:
    options = entry.options or _options_from_labels(entry, book, table, key, source)
    try:
        return Item(
            id=entry.id,
            question=entry.question,
            options=options[::-1] if entry.reversed else options,
            ordered=entry.ordered,
            topic=entry.topic,
            battery=entry.battery,
            note=entry.note,
            measures=book.measures(entry.id),
            most=book.most(entry),
        )
    except InputError as error:
        reason = str(error).removeprefix("Item: ")
        raise InputError(f"{key.removesuffix('.options')}: {reason}") from error


def _options_from_labels(
    entry: ItemEntry, book: CodebookFile, table: LabelledTable, key: str, source: str
) -> Any:
    column = entry.source_column
    labels = table.labels.get(column, {})
    if not labels:
        raise InputError(
            f"{key}: they are missing, and {source} has no value labels for {column}; write "
            "{code: text, code: text}."
        )
    declared = {*book.non_response, *entry.non_response, *table.declared_missing(column, labels)}
    answers = {code: text for code, text in labels.items() if code not in declared}
    readings = read_labels(answers.values())
    for code, text in answers.items():
        # A label that only its code puts in doubt is listed and stays (`_kinds`).
        if readings[text].kind is not None or readings[text].doubtful is not None:
            raise InputError(
                f'{key}: {source} labels {code} "{text}", and nothing says whether that is an '
                "answer; put the code under non_response, or write the options out."
            )
    try:
        return option_list(sorted(answers.items(), key=lambda pair: code_order(pair[0])))
    except ValueError as error:
        raise InputError(f"{key}: from the value labels of {source}: {error}.") from error


def _kinds(
    entry: ItemEntry,
    item: Item,
    book: CodebookFile,
    table: LabelledTable,
    read_codes: list[ReadCode],
) -> dict[str, NonResponse]:
    """What each code of an item's column is that is no option; adds them to `read_codes`."""
    column = entry.source_column
    found = {plain_code(code) for code in table.frame[column].unique().drop_nulls().to_list()}
    options = {option.code for option in item.options}
    written = {**book.non_response, **entry.non_response}
    kinds = {**table.declared_missing(column, found), **written}
    labels = table.labels.get(column, {})
    for code in sorted(found & kinds.keys() - options, key=code_order):
        why = "the codebook" if code in written else table.why_missing
        read_codes.append(ReadCode(item.id, code, labels.get(code, ""), kinds[code].label, why))
    if entry.options is None:
        readings = table.label_readings(column, options)
        for option in item.options:
            doubt = readings[option.code].asked_about(option.text, item.id, option.code)
            read_codes += [doubt] if doubt is not None else []
    return {code: kind for code, kind in kinds.items() if code not in options}


def _demographic(
    frame: pl.DataFrame,
    name: str,
    entry: DemographicEntry,
    book: CodebookFile,
    table: LabelledTable,
    source: str,
    read_codes: list[ReadCode],
) -> pl.Series:
    """A column as text for people; null where the cell is empty or holds a non-response code.

    Codes taken for non-response, and those in doubt, are added to `read_codes`.
    """
    texts = frame[entry.column].cast(pl.String).str.strip_chars()
    known: dict[str, str | None] = {"": None}
    labels = entry.labels if entry.labels is not None else table.labels.get(entry.column, {})
    found_texts = sorted(texts.unique().drop_nulls().to_list(), key=code_order)
    readings = table.label_readings(entry.column, [*map(plain_code, found_texts)], name)
    for text in found_texts:
        code = plain_code(text)
        label = labels.get(code, code)
        if not text or (entry.labels is not None and code in entry.labels):
            known[text] = label or None
            continue
        declared = table.declared_missing(entry.column, [code])
        kind, why = book.non_response.get(code), "the codebook"
        if kind is None:
            kind, why = declared.get(code), table.why_missing
        if kind is None and entry.labels is not None:
            found = unknown_codes(texts, name, [text], source, frame[FILE_ROW])
            list_or_refuse(
                found,
                f'{source} row {found[0].rows[0]}: {entry.column} is "{text}", which has no label; '
                f"add it to demographics.{name}.labels, or to non_response.",
            )
            known[text] = None
            continue
        if kind is None:
            kind, why = readings[code].kind, "its label"
        known[text] = label if kind is None else None
        shown = labels.get(code, "")
        if kind is not None:
            read_codes.append(ReadCode(name, code, shown, kind.label, why))
        elif (doubt := readings[code].asked_about(label, name, code)) is not None:
            read_codes.append(doubt)
    return texts.replace_strict(known, default=None, return_dtype=pl.String).alias(name)


READER = Reader("labelled_file", Options, read, files)
