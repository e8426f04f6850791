"""WorldValuesBench's own pipeline over the cross-national file of the World Values Survey, wave 7.

Zhao et al. (2024), WorldValuesBench, LREC-COLING; github.com/Demon702/WorldValuesBench, files
`dataset_construction/data_preparation.py`, `answer_adjustment.json`, `probe/value_questions.json`
and `evaluation/evaluate.py`. Its split follows the order of rows in the file, which is why this
module, unlike the rest of Suffrage, must be given the file's rows in their own order.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from suffrage.errors import InputError
from suffrage.survey.reading import plain_code

INTERVIEW = "D_INTERVIEW"
# The benchmark leaves this one out because it stands on several rows.
REPEATED_INTERVIEW = "858069901"
SEED = 0
# The first three items of each of the questionnaire's twelve topics.
PROBE_FIRST = (1, 46, 57, 106, 112, 121, 131, 158, 164, 176, 199, 235)
PROBE_ITEMS = tuple(f"Q{first + k}" for first in PROBE_FIRST for k in range(3))
# Codes that are put in the order of their scale, or that are no point of it (None).
ADJUSTMENT: Mapping[str, Mapping[int, int | None]] = {
    "Q56": {2: 3, 3: 2},
    "Q111": {3: None},
    "Q119": {0: 3, 3: 4, 4: 5},
    "Q221": {4: None},
    "Q222": {4: None},
    **{f"Q{number}": {0: 1} for number in range(241, 250)},
    "Q254": {5: None},
}
Part = Literal["train", "test", "valid"]


def benchmark_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows that the benchmark keeps, in the file's order.

    frame: codes as text. Raises InputError when D_INTERVIEW is not there.
    """
    if INTERVIEW not in frame.columns:
        raise InputError(f"the file has no column {INTERVIEW}; is it the cross-national file?")
    numbers = frame[INTERVIEW].map_elements(plain_code, return_dtype=pl.String)
    return frame.filter(numbers.fill_null("") != REPEATED_INTERVIEW)


def adjusted_answers(codes: pl.Series, item: str) -> pl.Series:
    """An item's codes as the benchmark's answers (Int64), null for every kind of non-response.

    Raises InputError on a code that is no whole number.
    """
    change = ADJUSTMENT.get(item, {})
    known: dict[str, int | None] = {}
    for code in codes.unique().drop_nulls().to_list():
        plain = plain_code(code)
        if plain == "":
            known[code] = None
            continue
        try:
            number = int(plain)
        except ValueError as error:
            raise InputError(
                f'{item} holds the code "{code}", which is no whole number; take the file with '
                "codes, not with labels."
            ) from error
        changed = change.get(number, number)
        known[code] = changed if changed is not None and changed >= 0 else None
    return codes.replace_strict(known, default=None, return_dtype=pl.Int64)


def split(rows: int) -> dict[Part, list[int]]:
    """Row numbers of the three parts: 70 % train, 15 % test, and the rest, valid.

    Rows are shuffled by Python's own generator from seed 0, then cut; both counts round down.
    """
    order = list(range(rows))
    random.Random(SEED).shuffle(order)
    train = int(0.7 * rows)
    test = train + int(0.15 * rows)
    return {"train": order[:train], "test": order[train:test], "valid": order[test:]}


def rescaled(answers: npt.ArrayLike, lowest: int, highest: int) -> npt.NDArray[np.float64]:
    """Answers from lowest to highest as numbers from 0 to 1, (x - lowest) / (highest - lowest)."""
    return (np.asarray(answers, dtype=np.float64) - lowest) / (highest - lowest)


def distance(first: npt.ArrayLike, second: npt.ArrayLike, lowest: int, highest: int) -> float:
    """The benchmark's figure: Wasserstein-1 between two lists of answers, rescaled to 0..1.

    Each list holds whole numbers from lowest to highest. W1 = sum over points below the highest of
    |F(x) - G(x)| / (highest - lowest), where F and G are the cumulative shares.
    Raises InputError on an empty list, and on an answer outside the scale.
    """
    points = np.arange(lowest, highest)
    shares = []
    for answers in (np.asarray(first), np.asarray(second)):
        if answers.size == 0:
            raise InputError("there are no answers to compare; give at least one on each side.")
        if answers.min() < lowest or answers.max() > highest:
            raise InputError(f"an answer lies outside the scale {lowest} to {highest}.")
        shares.append((answers[:, None] <= points).mean(axis=0))
    return float(np.abs(shares[0] - shares[1]).sum() / (highest - lowest))
