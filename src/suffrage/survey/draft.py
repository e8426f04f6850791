"""A first codebook for a labelled file, for a person to finish."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from suffrage.errors import InputError
from suffrage.survey.formats.labelled_table import LabelledTable, kind_of_label, read_table
from suffrage.survey.reading import code_order, existing_file, plain_code

# A column with more distinct codes than this is no item without labels.
MOST_CODES = 11


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


def draft_codebook(path: Path) -> str:
    """A codebook in YAML: an item for each column with a few codes, the rest in a comment.

    Questions are the file's variable labels, options its value labels. What a label words as
    non-response is taken out of the options. Raises InputError on a file that cannot be read.
    """
    table = read_table(existing_file(path, "path"))
    items, left = [], []
    for column in table.all_columns:
        item = _item(column, table)
        if item is None:
            left.append(column)
        else:
            items.append(item)
    book = {
        "title": f"TODO: the title of {path.name}",
        "citation": "TODO: how to cite it",
        "terms": "TODO: who may use it",
        "items": items,
    }
    head = (
        "# A draft: write every question complete, put the options in the order people saw them,\n"
        "# move demographics out of items, and name the weight and the respondent's id.\n"
    )
    if left:
        head += f"# No items were made of: {', '.join(left)}\n"
    return head + yaml.safe_dump(book, sort_keys=False, allow_unicode=True, width=100)


def _item(column: str, table: LabelledTable) -> dict[str, Any] | None:
    found = {plain_code(c) for c in table.frame[column].unique().drop_nulls().to_list()} - {""}
    labels = table.labels.get(column, {})
    codes = found | set(labels)
    kinds = table.declared_missing(column, codes)
    kinds |= {c: kind for c in codes if (kind := kind_of_label(labels.get(c, ""))) is not None}
    options = sorted(codes - set(kinds), key=code_order)
    answered = found - set(kinds)
    whole = all(
        code_order(code)[0] == int(code_order(code)[0]) for code in options if _iscode_order(code)
    )
    if not 2 <= len(options) <= MOST_CODES or not whole or not answered:
        return None
    if not labels and not all(_iscode_order(code) for code in options):
        return None
    non_response: dict[str, list[str]] = {}
    for code, kind in sorted(kinds.items()):
        non_response.setdefault(kind.label, []).append(code)
    texts = [labels.get(code, code) for code in options]
    return {
        "id": column,
        "question": table.wording.get(column) or f"TODO: the question behind {column}",
        "options": {
            code: text if texts.count(text) == 1 else f"{code} ({text})"
            for code, text in zip(options, texts, strict=True)
        },
        **({"non_response": non_response} if non_response else {}),
    }


def _iscode_order(code: str) -> bool:
    return math.isfinite(code_order(code)[0])
