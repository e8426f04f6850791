"""Items made of questions with several answers, of orders, and of numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from suffrage.arrays import FloatArray, IntArray
from suffrage.survey.codebook import Item, NonResponse, Option
from suffrage.survey.codes import plain_code
from suffrage.survey.formats.codebook_file import ItemEntry
from suffrage.survey.formats.compound_entries import MultipleEntry, NumbersEntry, RankingEntry
from suffrage.survey.reading import list_or_refuse, positions, unknown_codes
from suffrage.survey.respondents import FILE_ROW
from suffrage.survey.survey import POSITION

MISSING = int(NonResponse.MISSING)
_CHOSEN, _NOT_CHOSEN = 0, 1


@dataclass(frozen=True)
class CompoundAnswers:
    """The items that one question became, and their answers."""

    items: tuple[Item, ...]
    # Of each item, in the same order.
    columns: tuple[pl.Series, ...]
    # What was made of the question, in a sentence.
    made: str


def compound_answers(
    entry: ItemEntry,
    frame: pl.DataFrame,
    non_response: Mapping[str, NonResponse],
    source: str,
) -> CompoundAnswers:
    """Return the items of a codebook's entry that says `multiple`, `ranking` or `numbers`.

    Parameters
    ----------
    entry : ItemEntry
    frame : DataFrame
        Made by `with_file_rows`.
    non_response : mapping
        The codes that are no answers: the codebook's and what the file declares. Codes that the
        entry uses as answers come first, except those that it lists itself under non_response.
    source : str
        The file's name, for messages.

    Raises
    ------
    InputError
        A code that is neither an answer nor a kind of non-response; the message names its row.
    """
    if entry.numbers is not None:
        return _binned(entry, entry.numbers, frame, non_response, source)
    if entry.multiple is not None:
        return _multiple(entry, entry.multiple, frame, non_response, source)
    if entry.ranking is not None:
        return _ranking(entry, entry.ranking, frame, non_response, source)
    raise ValueError(f"{entry.id} is a plain item")


def is_answer(entry: ItemEntry, code: str) -> bool:
    """Whether a code in a column of such an entry is an answer, whatever it is elsewhere."""
    if code in entry.non_response:
        return False
    if entry.numbers is not None:
        low, high = entry.numbers.range
        return low <= _number(code) <= high
    several = entry.multiple or entry.ranking
    if several is None or not isinstance(several.columns, dict):
        return several is not None and code in several.texts
    if entry.multiple is not None:
        return code in (*entry.multiple.chosen, *entry.multiple.not_chosen)
    return code in {str(rank) for rank in range(1, len(several.columns) + 1)}


# --- Numbers --------------------------------------------------------------------------------------


def _binned(
    entry: ItemEntry,
    numbers: NumbersEntry,
    frame: pl.DataFrame,
    non_response: Mapping[str, NonResponse],
    source: str,
) -> CompoundAnswers:
    codes = _texts(frame, entry.source_column)
    low, high = numbers.range
    inside = {}
    for code in codes.unique().drop_nulls().to_list():
        number = _number(code)
        if low <= number <= high and plain_code(code) not in entry.non_response:
            inside[code] = number
    whole = all(number.is_integer() for number in inside.values())
    options = numbers.options(whole)
    place = np.searchsorted(numbers.starts, [*inside.values()], side="right") - 1
    bins = {code: options[int(k)].code for code, k in zip(inside, place, strict=True)}
    span = f"{low:g} to {high:g}"
    item = Item(
        id=entry.id,
        question=entry.question,
        options=options[::-1] if entry.reversed else options,
        topic=entry.topic,
        battery=entry.battery,
        note=_note(entry, f"numbers from {span}, read in {len(options)} bins"),
    )
    binned = codes.replace(bins) if bins else codes
    column = positions(
        binned.alias(entry.source_column), item, non_response, source, frame[FILE_ROW]
    )
    made = f"{entry.id}: numbers from {span} in {len(options)} bins ({', '.join(item.texts)})"
    return CompoundAnswers((item,), (column,), made)


def _number(code: str) -> float:
    try:
        return float(code)
    except ValueError:
        return math.nan


# --- Multiple response ----------------------------------------------------------------------------


def _multiple(
    entry: ItemEntry,
    multiple: MultipleEntry,
    frame: pl.DataFrame,
    non_response: Mapping[str, NonResponse],
    source: str,
) -> CompoundAnswers:
    texts = multiple.texts
    if isinstance(multiple.columns, dict):
        found = _ticked(entry, multiple, frame, non_response, source)
    else:
        columns = multiple.columns or (entry.source_column,)
        separator = None if multiple.columns else multiple.separator
        mentions, kinds = _mentions(entry, columns, texts, separator, frame, non_response, source)
        chosen = np.zeros((frame.height, len(texts)), dtype=bool)
        for mention in mentions:
            rows = np.flatnonzero(mention >= 0)
            chosen[rows, mention[rows]] = True
        anything = chosen.any(axis=1, keepdims=True)
        answered = np.where(chosen, _CHOSEN, _NOT_CHOSEN)
        found = np.where(anything, answered, kinds[:, None])
    answers = (Option(code="1", text="Yes"), Option(code="0", text="No"))
    items = tuple(
        Item(
            id=f"{entry.id}_{code}",
            question=f"{entry.question.strip()} {text}",
            options=answers,
            ordered=False,
            topic=entry.topic,
            battery=entry.battery or entry.id,
            note=_note(entry, "one option of a question of which several may be chosen"),
        )
        for code, text in texts.items()
    )
    made = f"{entry.id}: several options may be chosen; {len(items)} items, yes or no to each"
    return CompoundAnswers(items, _columns(items, found), made)


def _ticked(
    entry: ItemEntry,
    multiple: MultipleEntry,
    frame: pl.DataFrame,
    non_response: Mapping[str, NonResponse],
    source: str,
) -> IntArray:
    """Answers from a column for each option, shape (respondents, options).

    An empty cell is an option not chosen where the person chose another, and missing elsewhere.
    """
    chosen, rest = multiple.chosen, multiple.not_chosen
    shared = dict.fromkeys(chosen, chosen[0]) | dict.fromkeys(rest, rest[0])
    answers = (Option(code=chosen[0], text="Yes"), Option(code=rest[0], text="No"))
    kinds = {code: kind for code, kind in non_response.items() if code not in shared}
    found, empty = [], []
    for column in multiple.columns:
        codes = _texts(frame, column)
        plain = {code: plain_code(code) for code in codes.unique().drop_nulls().to_list()}
        same = {code: shared[text] for code, text in plain.items() if text in shared}
        item = Item(id=column, question=entry.question, options=answers, ordered=False)
        codes = (codes.replace(same) if same else codes).alias(column)
        found.append(positions(codes, item, kinds, source, frame[FILE_ROW]).to_numpy())
        empty.append(codes.is_null().to_numpy())
    table, blank = np.column_stack(found).astype(np.int64), np.column_stack(empty)
    some = (table == _CHOSEN).any(axis=1, keepdims=True)
    return np.where(blank & some, _NOT_CHOSEN, table)


def _mentions(
    entry: ItemEntry,
    columns: Sequence[str],
    texts: Mapping[str, str],
    separator: str | None,
    frame: pl.DataFrame,
    non_response: Mapping[str, NonResponse],
    source: str,
) -> tuple[list[IntArray], IntArray]:
    """Options in the order mentioned, and why there is none.

    Each array of the first has the position of one mention, -1 without one, shape (respondents,).
    The second is the kind of non-response of those who mentioned nothing, from the first column.
    separator: between codes that share a cell; None where each cell has one.
    """
    place = {code: k for k, code in enumerate(texts)}
    known = {**{code: int(kind) for code, kind in non_response.items()}, **place}
    known |= {code: int(kind) for code, kind in entry.non_response.items()}
    kinds = np.full(frame.height, MISSING, dtype=np.int64)
    mentions: list[IntArray] = []
    for number, column in enumerate(columns):
        codes = _texts(frame, column)
        split = {
            cell: [plain_code(part) for part in cell.split(separator) if part.strip()]
            if separator
            else [plain_code(cell)]
            for cell in codes.unique().drop_nulls().to_list()
        }
        strange = [cell for cell, parts in split.items() if set(parts) - known.keys()]
        if strange:
            _refuse(entry, column, codes, strange, texts, source, frame)
        read = {cell: [known.get(part, MISSING) for part in parts] for cell, parts in split.items()}
        for k in range(max((len(parts) for parts in read.values()), default=0)):
            at = {cell: parts[k] if k < len(parts) else -1 for cell, parts in read.items()}
            values = codes.replace_strict(at, default=-1, return_dtype=pl.Int64).to_numpy()
            if number == 0 and k == 0:
                reason = {cell: min(parts) for cell, parts in read.items() if parts}
                said = codes.replace_strict(reason, default=MISSING, return_dtype=pl.Int64)
                kinds = np.where(said.to_numpy() < 0, said.to_numpy(), MISSING)
            mentions.append(np.where(values >= 0, values, -1))
    return mentions, kinds


def _refuse(
    entry: ItemEntry,
    column: str,
    codes: pl.Series,
    strange: list[str],
    texts: Mapping[str, str],
    source: str,
    frame: pl.DataFrame,
) -> None:
    found = unknown_codes(codes.alias(column), entry.id, strange, source, frame[FILE_ROW])
    list_or_refuse(
        found,
        f'{source} row {found[0].rows[0]}: {entry.id} (column {column}) is "{found[0].code}", '
        f"which is not made of its codes ({', '.join(texts)}). Add the code to the options, or as "
        "a kind of non-response.",
    )


# --- Rankings -------------------------------------------------------------------------------------


def _ranking(
    entry: ItemEntry,
    ranking: RankingEntry,
    frame: pl.DataFrame,
    non_response: Mapping[str, NonResponse],
    source: str,
) -> CompoundAnswers:
    texts = ranking.texts
    if isinstance(ranking.columns, dict):
        ranks, kinds = _ranks(entry, ranking, frame, non_response, source)
    else:
        columns = ranking.columns or (entry.source_column,)
        separator = None if ranking.columns else ranking.separator
        mentions, kinds = _mentions(entry, columns, texts, separator, frame, non_response, source)
        ranks = np.full((frame.height, len(texts)), np.nan)
        # From the last place to the first, so that an option named twice has its better place.
        for number, mention in reversed([*enumerate(mentions, start=1)]):
            rows = np.flatnonzero(mention >= 0)
            ranks[rows, mention[rows]] = number
    items: list[Item] = []
    answers: list[IntArray] = []
    if ranking.read_as in ("first", "both"):
        items.append(_first_item(entry, texts))
        answers.append(_first(ranks, kinds))
    if ranking.read_as in ("pairs", "both"):
        for a, b in itertools.combinations(range(len(texts)), 2):
            items.append(_pair_item(entry, [*texts.items()][a], [*texts.items()][b]))
            answers.append(_pair(ranks[:, a], ranks[:, b], kinds, ranks))
    how = {"first": "the first choice", "pairs": "each pair", "both": "first choice and pairs"}
    made = f"{entry.id}: an order of {len(texts)} options, read as {how[ranking.read_as]}"
    return CompoundAnswers(tuple(items), _columns(items, np.column_stack(answers)), made)


def _ranks(
    entry: ItemEntry,
    ranking: RankingEntry,
    frame: pl.DataFrame,
    non_response: Mapping[str, NonResponse],
    source: str,
) -> tuple[FloatArray, IntArray]:
    """Ranks from a column for each option, NaN without one, and why nothing was ranked."""
    count = len(ranking.columns)
    places = tuple(Option(code=str(k), text=f"rank {k}") for k in range(1, count + 1))
    kinds = {c: kind for c, kind in non_response.items() if c not in {p.code for p in places}}
    found = []
    for column in ranking.columns:
        item = Item(id=column, question=entry.question, options=places)
        codes = _texts(frame, column).alias(column)
        found.append(positions(codes, item, kinds, source, frame[FILE_ROW]).to_numpy())
    table = np.column_stack(found).astype(np.int64)
    return np.where(table >= 0, table + 1.0, np.nan), table.max(axis=1)


def _first(ranks: FloatArray, kinds: IntArray) -> IntArray:
    """The option of rank 1; missing where two share it or none has it."""
    first = ranks == 1
    chosen = np.where(first.sum(axis=1) == 1, first.argmax(axis=1), MISSING)
    return np.where(np.isnan(ranks).all(axis=1), np.minimum(kinds, -1), chosen)


def _pair(a: FloatArray, b: FloatArray, kinds: IntArray, ranks: FloatArray) -> IntArray:
    """0 where a comes before b, 1 where b does.

    An option with a rank comes before one without. Of two without, or with the same one, nothing
    is known.
    """
    x, y = np.nan_to_num(a, nan=np.inf), np.nan_to_num(b, nan=np.inf)
    order = np.where(x < y, 0, np.where(y < x, 1, MISSING))
    return np.where(np.isnan(ranks).all(axis=1), np.minimum(kinds, -1), order)


def _first_item(entry: ItemEntry, texts: Mapping[str, str]) -> Item:
    return Item(
        id=entry.id,
        question=entry.question,
        options=tuple(Option(code=code, text=text) for code, text in texts.items()),
        ordered=False,
        topic=entry.topic,
        battery=entry.battery or entry.id,
        note=_note(entry, f"the first choice in an order of {len(texts)}"),
    )


def _pair_item(entry: ItemEntry, a: tuple[str, str], b: tuple[str, str]) -> Item:
    return Item(
        id=f"{entry.id}_{a[0]}_{b[0]}",
        question=f"{entry.question.strip()} Of these two, which comes first for you?",
        options=(Option(code=a[0], text=a[1]), Option(code=b[0], text=b[1])),
        ordered=False,
        topic=entry.topic,
        battery=entry.battery or entry.id,
        note=_note(entry, "two options of a question that asks for an order"),
    )


# --- All ------------------------------------------------------------------------------------------


def _note(entry: ItemEntry, made: str) -> str:
    return f"{entry.note}; {made}" if entry.note else made


def _texts(frame: pl.DataFrame, column: str) -> pl.Series:
    """A column as stripped text, null where a cell is empty."""
    codes = frame[column].cast(pl.String).str.strip_chars()
    return codes.set(codes == "", None)


def _columns(items: Sequence[Item], found: IntArray) -> tuple[pl.Series, ...]:
    """found: shape (respondents, items)."""
    return tuple(pl.Series(item.id, found[:, k], dtype=POSITION) for k, item in enumerate(items))
