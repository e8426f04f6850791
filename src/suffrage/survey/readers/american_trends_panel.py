"""Pew's American Trends Panel in the folders of OpinionQA: `American_Trends_Panel_W26` and others.

Santurkar et al. (2023), Whose Opinions Do Language Models Reflect?; github.com/tatsu-lab/
opinions_qa. A folder holds `info.csv` (the questions), `metadata.csv` (the demographics) and
`responses.csv` (a row for each person, answers as texts).
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from suffrage import storage
from suffrage.errors import InputError, did_you_mean
from suffrage.survey.codebook import Codebook, Item, NonResponse
from suffrage.survey.codes import plain_code
from suffrage.survey.formats.codebook_values import option_list
from suffrage.survey.formats.separated_text import read_csv_and_row
from suffrage.survey.non_response_labels import doubtful_kind, kind_of_label, read_labels
from suffrage.survey.reading import (
    NO_WEIGHT,
    Encoding,
    Reader,
    ReaderOptions,
    existing_file,
    existing_path,
    positions,
)
from suffrage.survey.respondents import (
    FILE_ROW,
    base_weights,
    named_respondents,
    with_file_rows,
)
from suffrage.survey.survey import Provenance, SetAside, Survey

INFO, METADATA, RESPONSES = "info.csv", "metadata.csv", "responses.csv"
PERSON = "QKEY"
# What the release keeps of each person; metadata.csv lists those of a wave.
DEMOGRAPHICS = (
    "CREGION",
    "AGE",
    "SEX",
    "EDUCATION",
    "CITIZEN",
    "MARITAL",
    "RELIG",
    "RELIGATTEND",
    "POLPARTY",
    "INCOME",
    "POLIDEOLOGY",
    "RACE",
)
CITATION = (
    "Pew Research Center, American Trends Panel; as released by Santurkar et al. (2023), "
    "OpinionQA. Pew Research Center bears no responsibility for interpretations."
)
TERMS = "See the terms of use of Pew Research Center; the data may not be passed on."


class Options(ReaderOptions):
    """What a study may say to the reader."""

    # The folder of one wave.
    path: str
    # Only these items, such as SAFECRIME_W26.
    items: tuple[str, ...] | None = None
    # A column, or "none"; WEIGHT_W and the number of the wave when left out.
    weight: str | None = None
    # The encoding of files that are not UTF-8.
    encoding: Encoding | None = None


@dataclass(frozen=True)
class _Question:
    item: Item
    kinds: dict[str, NonResponse]


def files(options: Options, folder: Path) -> list[Path]:
    """The files of the wave. Raises InputError when info.csv or responses.csv is not there."""
    wave = existing_path(folder / options.path, "path")
    found = [existing_file(wave / name, "path") for name in (INFO, RESPONSES)]
    return [*found, wave / METADATA] if (wave / METADATA).is_file() else found


def read(options: Options, folder: Path) -> Survey:
    """Read one wave's respondents.

    An answer is a text; the release says which texts are points of a scale, and in which order.
    The texts after those count as refused, and an empty cell as not asked. Raises InputError on
    bad rows, on answers that info.csv does not list and on a weight column that is not there.
    """
    paths = files(options, folder)
    wave_folder, encoding = paths[0].parent, options.encoding or "utf-8"
    questions = _questions(paths[0], encoding)
    people = with_file_rows(*read_csv_and_row(paths[1], encoding))
    if people.is_empty():
        raise InputError(f"{RESPONSES} has no rows; is the file complete?")
    if PERSON not in people.columns:
        raise InputError(f"{RESPONSES} has no column {PERSON}; is it OpinionQA's?")
    unknown = [item for item in options.items or () if item not in questions]
    if unknown:
        raise InputError(
            f"survey.items: {unknown[0]} is not a question of {INFO}; it has "
            f"{', '.join(list(questions)[:8])} and others.{did_you_mean(unknown[0], questions)}"
        )
    wanted = options.items or tuple(questions)
    absent = [item for item in wanted if item not in people.columns]
    if absent and (options.items or len(absent) == len(wanted)):
        raise InputError(f"{RESPONSES} has no column {absent[0]}, which {INFO} lists.")
    weight = _weight(options, people, wave_folder)
    groups = _demographics(wave_folder, encoding)
    demographics = [name for name in groups if name in people.columns]
    ids = people.with_columns(pl.col(PERSON).map_elements(plain_code, return_dtype=pl.String))
    kept = [item for item in wanted if item in people.columns]
    return Survey(
        pl.DataFrame(
            [
                named_respondents(ids, PERSON, RESPONSES),
                base_weights(people, weight, RESPONSES),
                *(_words(people[name], name.lower(), groups[name]) for name in demographics),
                *(_answers(people, questions[item]) for item in kept),
            ]
        ),
        Codebook(
            title=f"American Trends Panel, {wave_folder.name}",
            items=tuple(questions[item].item for item in kept),
            demographics=tuple(name.lower() for name in demographics),
            citation=CITATION,
            terms=TERMS,
        ),
        Provenance(
            reader="american_trends_panel",
            files={path.name: storage.file_hash(path) for path in paths},
            statement=f"Adults of the United States in Pew's panel, weighted by {weight}."
            if weight
            else "Unweighted: the figures stand for the people interviewed.",
            weight_variable=weight,
            set_aside=(SetAside(", ".join(absent), len(absent), f"not in {RESPONSES}"),)
            if absent
            else (),
        ),
    )


def _questions(path: Path, encoding: str) -> dict[str, _Question]:
    """Every question of info.csv by its key."""
    frame = with_file_rows(*read_csv_and_row(path, encoding))
    needed = ("key", "question", "references", "option_ordinal")
    absent = [name for name in needed if name not in frame.columns]
    if absent:
        raise InputError(f"{path.name} has no column {absent[0]}; is it OpinionQA's?")
    found: dict[str, _Question] = {}
    for row, *cells in frame.select(FILE_ROW, *needed).iter_rows():
        key, question, references, ordinals = ((cell or "").strip() for cell in cells)
        if key in found or not key or not question:
            what = f"{key} appears twice" if key in found else "key or question is empty"
            raise InputError(f"{path.name} row {row}: {what}; correct the row.")
        try:
            found[key] = _question(key, question, _python_list(references), _python_list(ordinals))
        except (ValueError, InputError) as error:
            reason = str(error).removeprefix("Item: ").removesuffix(".")
            raise InputError(f"{path.name} row {row}: {key}: {reason}.") from error
    return found


def _python_list(text: str) -> list[object]:
    """A list as Python prints it. Raises ValueError on anything else."""
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"not readable as a list: {text[:60]!r}") from error
    if not isinstance(value, list):
        raise ValueError(f"not a list: {text[:60]!r}")
    return value


def _question(
    key: str, question: str, references: list[object], ordinals: list[object]
) -> _Question:
    """The item: the first references have ordinals, which say their places on the scale.

    The others ("Refused") are not answers, as in the release's own code. The item is a scale when
    the ordinals differ and none is negative; otherwise its options keep the order of the file.
    """
    texts = [str(text).strip() for text in references]
    points = [float(str(value)) for value in ordinals]
    if len(points) > len(texts):
        raise ValueError(f"{len(texts)} references and {len(points)} ordinals")
    answers, others = texts[: len(points)], texts[len(points) :]
    ordered = len(set(points)) == len(points) and min(points, default=-1) >= 0
    if ordered:
        answers = [text for _, text in sorted(zip(points, answers, strict=True))]
    options = option_list((plain_code(text), text) for text in answers)
    item = Item(id=key, question=question, options=options, ordered=ordered)
    kinds = {
        plain_code(text): kind_of_label(text) or doubtful_kind(text) or NonResponse.REFUSED
        for text in others
    }
    return _Question(item, kinds)


def _demographics(folder: Path, encoding: str) -> dict[str, set[str] | None]:
    """Each demographic's column and its groups, None where no metadata.csv lists them."""
    path = folder / METADATA
    if not path.is_file():
        return dict.fromkeys(DEMOGRAPHICS)
    frame = with_file_rows(*read_csv_and_row(path, encoding))
    absent = [name for name in ("key", "options") if name not in frame.columns]
    if absent:
        raise InputError(f"{METADATA} has no column {absent[0]}; is it OpinionQA's?")
    found: dict[str, set[str] | None] = {}
    for row, key, options in frame.select(FILE_ROW, "key", "options").iter_rows():
        try:
            found[(key or "").strip()] = {str(text).strip() for text in _python_list(options or "")}
        except ValueError as error:
            raise InputError(f"{METADATA} row {row}: {key}: {error}.") from error
    return found


def _weight(options: Options, people: pl.DataFrame, folder: Path) -> str | None:
    if options.weight == NO_WEIGHT:
        return None
    number = re.search(r"_W(\d+)$", folder.name)
    if options.weight is None and number is None:
        raise InputError(
            f"survey.weight is missing, and the folder {folder.name} does not end in the wave, "
            "such as _W26; name a weight column, or none."
        )
    weight = options.weight or f"WEIGHT_W{number[1] if number else ''}"
    if weight not in people.columns:
        there = [name for name in people.columns if name.startswith("WEIGHT")]
        raise InputError(
            f"{RESPONSES} has no weight {weight}; it has {', '.join(there) or 'none'}. Name one "
            "under `weight:`, or say `weight: none`."
        )
    return weight


def _words(column: pl.Series, name: str, groups: set[str] | None) -> pl.Series:
    """A demographic; null where the person gave none, or is of none of the groups listed."""
    texts = column.str.strip_chars()
    found = texts.unique().drop_nulls().to_list()
    readings = read_labels(found)
    known = {
        text: text
        for text in found
        if text and (text in groups if groups is not None else readings[text].kind is None)
    }
    return texts.replace_strict(known, default=None, return_dtype=pl.String).alias(name)


def _answers(people: pl.DataFrame, question: _Question) -> pl.Series:
    column = people[question.item.id]
    read = positions(column, question.item, question.kinds, RESPONSES, people[FILE_ROW])
    empty = column.str.strip_chars().fill_null("") == ""
    return read.set(empty, int(NonResponse.NOT_ASKED))


READER = Reader("american_trends_panel", Options, read, files)
