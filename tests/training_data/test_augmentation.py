"""Contexts and paraphrases: what is kept, what is dropped and why."""

import json
from pathlib import Path

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.training_data import RecordSettings, check_nothing_held_out
from suffrage.training_data.augmentation import (
    CONTEXTS,
    drifted,
    nearest_own,
    read_paraphrases,
)
from suffrage.training_data.augmented import BUILDER
from tests.training_data.test_records import SURVEY, given_sets

OWN = "Should the town not close 2 schools?"


@pytest.mark.parametrize(
    ("wording", "why"),
    [
        ("Is it wrong, in your view, that 2 schools do not stay open?", None),
        ("should the town not close 2 schools", "the same words"),
        ("The town should not close 2 schools.", "no question"),
        ("Should the town not close 3 schools?", "other numbers"),
        ("Should the town close 2 schools?", "another sign"),
    ],
)
def test_a_paraphrase_that_drifted_is_told_why(wording: str, why: str | None) -> None:
    assert drifted(wording, OWN, nearest_is_own=True) == why


def test_a_wording_nearer_to_another_question_is_dropped() -> None:
    originals = np.array([[1.0, 0, 5], [0, 1, 5], [-1, -1, 5]])
    wordings = np.array([[0.9, 0.1, 5.2], [0.8, 0.1, 4.9]])
    assert nearest_own(wordings, [0, 1], originals).tolist() == [True, False]
    kept = "Ought 2 schools not be shut?"
    assert drifted(kept, OWN, nearest_is_own=False) == "nearer to another question"
    assert drifted(kept, OWN, True, others=[kept.lower()]) == "the same words"


def test_records_say_an_item_in_many_ways_and_none_that_is_held_out() -> None:
    sets, split = given_sets()
    item = SURVEY.codebook[split.train[0]]
    settings = RecordSettings(paraphrases={item.id: ["Quite another wording?"]})
    records = BUILDER.build(sets, split, 600, np.random.default_rng(1), settings)
    check_nothing_held_out(records, SURVEY.codebook.items, split)
    users = records.frame.filter(records.frame["item"] == item.id)["user"].to_list()
    plain = [c.format(item.question) for c in CONTEXTS]
    said = [c.format("Quite another wording?") for c in CONTEXTS]
    for expected in (*plain, *said):
        assert any(user.startswith(expected) for user in users)
    assert all(user.startswith(tuple(plain + said)) for user in users)


def test_a_file_that_does_not_fit_the_survey_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    with pytest.raises(InputError, match="suffrage paraphrase"):
        read_paraphrases(path, SURVEY.codebook.items)
    path.write_text(json.dumps({"paraphrases": {"nope": ["x"]}}))
    with pytest.raises(InputError, match="names nope"):
        read_paraphrases(path, SURVEY.codebook.items)
    path.write_text("[]")
    with pytest.raises(InputError, match="must contain"):
        read_paraphrases(path, SURVEY.codebook.items)
