"""Published tables of answers as value sets."""

import csv
import gzip
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.evaluate.asking.published_answers import (
    globalopinionqa_value_sets as globalopinionqa,
)
from suffrage.evaluate.asking.published_answers import opinionqa_value_sets as opinionqa
from suffrage.population.value_set import ValueSet
from suffrage.survey.published_table import PublishedAnswer, build_table

DATA = Path(os.environ.get("SUFFRAGE_SHARED_DATA", "../shared/data"))
OPTIONS = ["Good", "Bad", "DK/Refused"]


def table(folder: Path, selections: str, options: str = str(OPTIONS)) -> Path:
    path = folder / "global.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "selections", "options", "source"])
        writer.writerow(["Is it good?", selections, options, "GAS"])
    return path


def default(selections: dict[str, list[float]]) -> str:
    return f"defaultdict(<class 'list'>, {selections})"


def test_non_response_is_taken_out_and_the_rest_sums_to_one(tmp_path):
    path = table(tmp_path, default({"Chile": [0.6, 0.2, 0.2]}))
    (value_set,) = globalopinionqa(path, ["Chile"])
    (found,) = value_set.distributions.values()
    assert found.item.texts == ("Good", "Bad")
    assert found.shares == pytest.approx([0.75, 0.25], abs=1e-12)
    assert found.non_response == {"don't know": pytest.approx(0.2)}


def test_what_a_share_does_not_say_is_not_a_number(tmp_path):
    (value_set,) = globalopinionqa(table(tmp_path, default({"Chile": [0.6, 0.2, 0.2]})))
    (found,) = value_set.distributions.values()
    assert (value_set.n, found.n) == (0, 0)
    assert math.isnan(value_set.n_eff) and math.isnan(found.n_eff)
    assert np.isnan(found.standard_errors).all()
    assert found.replicates.shape == (0, 2)


def test_it_writes_itself_and_reads_back_equal(tmp_path):
    (value_set,) = globalopinionqa(table(tmp_path, default({"Chile": [0.6, 0.2, 0.2]})))
    value_set.write(tmp_path / "out")
    back = ValueSet.read(tmp_path / "out")
    assert back == value_set
    assert back.content_hash == value_set.content_hash
    assert "NaN" not in (tmp_path / "out" / "value_set.json").read_text(encoding="utf-8")


def test_sources_are_chosen_by_option(tmp_path):
    path = table(tmp_path, default({"Chile": [0.6, 0.2, 0.2]}))
    assert len(globalopinionqa(path, sources=["GAS"])) == 1
    assert globalopinionqa(path, sources=["WVS"]) == []


@pytest.mark.parametrize(
    ("shares", "options", "message"),
    [
        ((0.5, 0.2), ("A", "B"), "sum to 0.700"),
        ((0.0, 0.0), ("A", "B"), "sum to 0.000"),
        ((1.5, -0.5), ("A", "B"), "negative"),
        ((0.5, 0.5), ("A", "A"), 'two options read "A"'),
        ((0.5, 0.5), ("A", "Don't know"), "fewer than two"),
        ((0.0, 0.0, 1.0), ("A", "B", "Missing; Unknown"), "nobody"),
        ((1.0,), ("A", "B"), "2 options but 1 shares"),
    ],
)
def test_a_table_without_a_distribution_says_why(shares, options, message):
    answer = PublishedAnswer("x", "Q?", options, shares, place="row 2")
    with pytest.raises(InputError, match=message):
        build_table([answer], title="t", reader="r", files={}, weighting="w", strict="t.csv")


def test_a_broken_row_is_named(tmp_path):
    with pytest.raises(InputError, match=r"global\.csv record 2: selections is not readable"):
        globalopinionqa(table(tmp_path, "defaultdict(<class"))


def test_an_unknown_country_and_one_without_items_are_refused(tmp_path):
    path = table(tmp_path, default({"Chile": [0.0, 0.0, 0.0], "Japan": [0.5, 0.5, 0.0]}))
    with pytest.raises(InputError, match='no population "Peru"'):
        globalopinionqa(path, ["Peru"])
    with pytest.raises(InputError, match="Chile has no item with usable shares"):
        globalopinionqa(path, ["Chile"])


def test_opinionqa_takes_the_question_out_of_its_prompt(tmp_path):
    record = {
        "question": "Question: Is it good?\nOptions: A. Good B. Bad\nAnswer:",
        "options": ["Good", "Bad"],
        "attribute": "SEX_Female",
        "gold_distribution": [0.25, 0.75],
    }
    path = tmp_path / "groups.json.gz"
    path.write_bytes(gzip.compress(json.dumps([record]).encode()))
    (value_set,) = opinionqa(path, ["SEX_Female"])
    (found,) = value_set.distributions.values()
    assert found.item.question == "Is it good?"
    assert found.shares.tolist() == [0.25, 0.75]
    path.write_bytes(gzip.compress(b'[{"question": "x"}]'))
    with pytest.raises(InputError, match="record 1 has no options"):
        opinionqa(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("read", "file", "population"),
    [
        pytest.param(
            globalopinionqa,
            "globalopinionqa/global_opinions_layout.csv",
            "Brazil",
            marks=pytest.mark.slow,
        ),
        (opinionqa, "opinionqa/group_distributions_small.json.gz", "RACE_White"),
    ],
)
def test_the_real_tables_read_and_every_distribution_sums_to_one(read, file, population):
    path = DATA / file
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    (value_set,) = read(path, [population])
    assert len(value_set.distributions) > 50
    for found in value_set.distributions.values():
        assert found.shares.sum() == pytest.approx(1, abs=1e-12)
        assert not any("refused" in text.lower() for text in found.item.texts)
