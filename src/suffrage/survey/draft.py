"""A first codebook for a labelled file, for a person to finish."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from suffrage.errors import InputError
from suffrage.plurals import plural
from suffrage.survey.codebook import Item
from suffrage.survey.codes import code_order, plain_code
from suffrage.survey.formats.labelled_table import LabelledTable, read_table
from suffrage.survey.inspection import read_code_lines
from suffrage.survey.reading import existing_file
from suffrage.survey.scales import scale_order
from suffrage.survey.survey import ReadCode

# A column with more different answers than this is no item.
MOST_CODES = 11
# What is left to write begins with this.
TO_DO = "TODO"
# A column's name that is long, or asks, is the question as people saw it.
LONG_NAME = 25
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_DATE_OR_TIME = re.compile(
    r"(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}([./])\d{1,2}\1\d{2,4})(?:[T ]\d{1,2}:\d{2}.*)?"
    r"|\d{1,2}:\d{2}(?::\d{2}.*)?"
)
_IN_DOUBT_BY_NUMBER = "a number that archives use for non-response"


def codebook_template(reader: str | None) -> str:
    """The codebook to fill in for a reader whose archive's codes are not public.

    Raises InputError when there is none of that name.
    """
    folder = Path(__file__).parent / "codebooks"
    path = folder / f"{reader}_template.yaml"
    if path not in folder.glob("*_template.yaml"):
        names = sorted(
            p.name.removesuffix("_template.yaml") for p in folder.glob("*_template.yaml")
        )
        raise InputError(f'there is no template "{reader}"; there are {", ".join(names)}.')
    return path.read_text(encoding="utf-8")


def check_worded(items: Iterable[Item], files: Iterable[str] = ()) -> None:
    """Check that no question is still a draft's TODO, because a model would be asked in that.

    files: those that the survey was read from; a codebook among them is named.
    Raises InputError naming the first such questions.
    """
    if unworded := unworded_questions(items):
        codebooks = [name for name in files if name.endswith((".yaml", ".yml"))]
        raise InputError(
            f"{', '.join(codebooks) or 'the codebook'}: {unworded}. A model is asked in the "
            "codebook's words: write each question as people saw it, then run the same command "
            "again."
        )


def unworded_questions(items: Iterable[Item]) -> str:
    """Say how many questions are still a draft's TODO, and which; empty where none is."""
    unworded = [item.id for item in items if item.question.startswith(TO_DO)]
    if not unworded:
        return ""
    named = ", ".join(unworded[:5]) + (" ..." if len(unworded) > 5 else "")
    return f"{plural(len(unworded), 'question')} still {TO_DO} ({named})"


def draft_codebook(path: Path) -> str:
    """Return a codebook in YAML: an item for each column with a few codes, and why others are none.

    Questions are the file's variable labels, options its value labels. Codes whose label, or whose
    own text, words non-response are taken out of the options and listed in a comment with the
    reason; labels in doubt stay options and are listed too.

    Parameters
    ----------
    path : Path
        A CSV, Parquet, SPSS, Stata or SAS file.

    Returns
    -------
    str
        YAML that `labelled_file` reads once its TODOs are done.

    Raises
    ------
    InputError
        The file cannot be read, or no column of it can be an item.
    """
    table = read_table(existing_file(path, "path"))
    items: list[dict[str, Any]] = []
    left: dict[str, str] = {}
    read_codes: list[ReadCode] = []
    for column in table.all_columns:
        drafted = table.unreadable.get(column) or _drafted(column, table)
        if isinstance(drafted, str):
            left[column] = drafted
        else:
            item, taken = drafted
            items.append(item)
            read_codes += taken
    if not items:
        reasons = "; ".join(f"{column} {why}" for column, why in [*left.items()][:5])
        raise InputError(
            f"{path.name}: no column can be an item, so there is nothing to draft ({reasons}). An "
            f"item is a column with 2 to {MOST_CODES} different answers."
        )
    taken_ids = set(table.all_columns)
    book = {
        "title": f"{TO_DO}: the title of {path.name}",
        "citation": f"{TO_DO}: how to cite it",
        "terms": f"{TO_DO}: who may use it",
        "items": [_worded(item, taken_ids) for item in items],
    }
    head = (
        "# A draft: write every question complete, put the options in the order people saw them,\n"
        "# move demographics out of items, and name the weight and the respondent's id.\n"
    )
    head += _left_out(left) + _taken(read_codes)
    return head + yaml.safe_dump(book, sort_keys=False, allow_unicode=True, width=100)


def _worded(entry: dict[str, Any], taken: set[str]) -> dict[str, Any]:
    """An item whose column has the question as its name has that as its question.

    taken: the ids that other items have; the new one is added.
    """
    name = str(entry["id"])
    asks = "?" in name or (len(name) > LONG_NAME and " " in name.strip())
    if not entry["question"].startswith(TO_DO) or not asks:
        return entry
    short = "_".join(re.findall(r"\w+", name.lower())[-3:])
    found, number = short, 2
    while found in taken:
        found, number = f"{short}_{number}", number + 1
    taken.add(found)
    rest = {key: value for key, value in entry.items() if key not in ("id", "question")}
    return {"id": found, "question": name.strip(), "column": name, **rest}


def _left_out(left: Mapping[str, str]) -> str:
    """Comment lines with the columns that are no items, by the reason."""
    columns: dict[str, list[str]] = {}
    for column, why in left.items():
        columns.setdefault(why, []).append(_one_line(column))
    lines = [f"#   {', '.join(names)}: {why}\n" for why, names in columns.items()]
    return "# No items were made of:\n" + "".join(lines) if lines else ""


def _taken(read_codes: Sequence[ReadCode]) -> str:
    """Comment lines with what was taken for non-response and why, and what is in doubt."""
    text = ""
    for heading, wanted in (
        ("Taken for non-response; put back among the options what is an answer:", True),
        ("In doubt, and left among the options; move to non_response what is no answer:", False),
    ):
        chosen = [read for read in read_codes if bool(read.kind) == wanted]
        if chosen:
            text += f"# {heading}\n"
            text += "".join(f"#   {_one_line(line)}\n" for line in read_code_lines(chosen))
    return text


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _drafted(column: str, table: LabelledTable) -> tuple[dict[str, Any], list[ReadCode]] | str:
    """A column's item and its codes of non-response, or why it is no item."""
    found = {plain_code(c) for c in table.frame[column].unique().drop_nulls().to_list()} - {""}
    labels = table.labels.get(column, {})
    codes = found | set(labels)
    declared = table.declared_missing(column, codes)
    kinds = dict(declared)
    readings = table.label_readings(column, codes)
    for code in codes - declared.keys():
        kind = readings[code].kind
        if kind is not None:
            kinds[code] = kind
    options = sorted(codes - set(kinds), key=code_order)
    doubtful = _numbers_in_doubt([code for code in options if code not in labels], options)
    answers = [code for code in options if code not in doubtful]
    why_not = _why_no_item(answers, table.frame[column], {*kinds, *doubtful}, bool(labels))
    if why_not is not None:
        return why_not
    read_codes = []
    for code in sorted(codes, key=code_order):
        label = labels.get(code, "")
        if code in kinds:
            why = table.why_missing if code in declared else "its label"
            read_codes.append(ReadCode(column, code, label, kinds[code].label, why))
        elif code in doubtful:
            read_codes.append(ReadCode(column, code, "", "", _IN_DOUBT_BY_NUMBER))
        elif (doubt := readings[code].asked_about(label, column, code)) is not None:
            read_codes.append(doubt)
    non_response: dict[str, list[str]] = {}
    for code in sorted(kinds, key=code_order):
        non_response.setdefault(kinds[code].label, []).append(code)
    # The order of words in a file without labels is the alphabet's, which is no scale, unless the
    # words grade an answer.
    in_order = all(_is_number(code) for code in options)
    if not in_order and not labels and (order := scale_order(options)) is not None:
        options, in_order = [options[place] for place in order], True
    texts = [labels.get(code, code) for code in options]
    return {
        "id": column,
        "question": table.wording.get(column) or f"{TO_DO}: the question behind {column}",
        "options": {
            code: text if texts.count(text) == 1 else f"{code} ({text})"
            for code, text in zip(options, texts, strict=True)
        },
        **({} if in_order else {"ordered": False}),
        **({"non_response": non_response} if non_response else {}),
    }, read_codes


def _why_no_item(
    options: Sequence[str], column: pl.Series, non_response: Collection[str], labelled: bool
) -> str | None:
    """Why a column with these options is no item, None when it is one."""
    answers: dict[str, int] = {}
    for text, count in column.drop_nulls().value_counts().iter_rows():
        code = plain_code(text)
        if code and code not in non_response:
            answers[code] = answers.get(code, 0) + count
    if not answers:
        return "has no answers"
    if len(options) == 1:
        return "has one answer only"
    if len(options) > MOST_CODES:
        return f"has more than {MOST_CODES} different answers"
    if any(_is_number(code) and not float(code).is_integer() for code in options):
        return "has numbers that are not whole"
    if not labelled and any(_DECIMAL_COMMA.fullmatch(code) for code in options):
        return "has numbers with commas: decimals, or several answers in one cell"
    if not labelled and all(map(_DATE_OR_TIME.fullmatch, options)):
        return "has dates or times"
    in_words = not labelled and not all(map(_is_number, options))
    if in_words and len(answers) > 2 and max(answers.values()) == 1:
        return "has another text for everyone"
    return None


def _numbers_in_doubt(unlabelled: Sequence[str], options: Sequence[str]) -> set[str]:
    """Codes without a label that archives use for non-response: -1, -8, 99, or 9 after 1 to 5.

    A negative number is none on a scale from -5 to 5. A high one is only after a gap.
    """
    numbers = {code: float(code) for code in options if _is_number(code)}
    codes = {code: numbers[code] for code in unlabelled if code in numbers}
    ends = (min(numbers.values(), default=0.0), max(numbers.values(), default=0.0))
    mirrored = ends[0] == -ends[1] and ends[1] >= 2
    negative = {code for code, number in codes.items() if number < 0 and not mirrored}
    high = {code for code in codes if re.fullmatch(r"[6789]|[6789][6789]+", code)}
    usual = [n for code, n in numbers.items() if code not in negative | high]
    # Codes that go on from the usual ones belong to the scale.
    for code in sorted(high, key=code_order):
        if usual and codes[code] <= max(usual) + 1:
            usual.append(codes[code])
            high.discard(code)
    return negative | high if len(usual) > 1 else set()


def _is_number(code: str) -> bool:
    return math.isfinite(code_order(code)[0])
