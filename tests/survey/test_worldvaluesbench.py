import json
import os
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from suffrage.errors import InputError
from suffrage.survey import worldvaluesbench as wvb

DATA = Path(os.environ.get("SUFFRAGE_SHARED_DATA", "../shared/data")) / "wvs7"


def published(name: str) -> dict:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_probe_items_are_those_published():
    assert list(wvb.PROBE_ITEMS) == list(published("value_questions.json"))


def test_the_adjustment_is_the_one_published():
    theirs = published("answer_adjustment.json")
    ours = {
        item: {str(a): "" if b is None else str(b) for a, b in change.items()}
        for item, change in wvb.ADJUSTMENT.items()
    }
    assert ours == theirs


def test_answers_are_put_in_order_and_non_response_is_null():
    codes = pl.Series(["0", "1", "3", "4.0", "-1", "", None])
    assert wvb.adjusted_answers(codes, "Q119").to_list() == [3, 1, 4, 5, None, None, None]
    assert wvb.adjusted_answers(pl.Series(["5", "4"]), "Q254").to_list() == [None, 4]
    with pytest.raises(InputError, match="no whole number"):
        wvb.adjusted_answers(pl.Series(["Agree"]), "Q1")


def test_the_split_is_the_benchmarks_and_loses_nobody():
    parts = wvb.split(1001)
    assert [len(parts[name]) for name in ("train", "test", "valid")] == [700, 150, 151]
    assert sorted(row for part in parts.values() for row in part) == list(range(1001))
    random.seed(0)
    order = list(range(1001))
    random.shuffle(order)
    assert parts["train"] == order[:700]


def test_the_parts_have_the_sizes_that_the_benchmark_publishes():
    parts = wvb.split(93_278)
    assert {name: len(rows) for name, rows in parts.items()} == {
        "train": 65_294,
        "test": 13_991,
        "valid": 13_993,
    }


def test_the_repeated_interview_is_left_out():
    frame = pl.DataFrame({"D_INTERVIEW": ["858069901", "1", "858069901.0"]})
    assert wvb.benchmark_rows(frame)["D_INTERVIEW"].to_list() == ["1"]
    with pytest.raises(InputError, match="no column D_INTERVIEW"):
        wvb.benchmark_rows(frame.rename({"D_INTERVIEW": "id"}))


def test_the_distance_is_scipys_over_rescaled_answers():
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(3)
    first, second = generator.integers(1, 11, 80), generator.integers(3, 9, 33)
    expected = stats.wasserstein_distance(wvb.rescaled(first, 1, 10), wvb.rescaled(second, 1, 10))
    assert wvb.distance(first, second, 1, 10) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(InputError, match="outside the scale"):
        wvb.distance(first, [11], 1, 10)
    with pytest.raises(InputError, match="no answers"):
        wvb.distance(first, [], 1, 10)
