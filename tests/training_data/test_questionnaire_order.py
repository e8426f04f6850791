"""Questions asked only as people saw them: in training, in validation and in reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

import suffrage
from suffrage.align.distribution import Options
from suffrage.evaluate.asking.answers import Scoring, asked_probes, collect_answers
from suffrage.models import read_letters, ways_of_asking
from suffrage.population import build_value_set
from suffrage.training_data import HeldOut, split_items
from suffrage.training_data.distribution_records import BUILDER
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=40, items=12, seed=3)
SETS = [build_value_set(SURVEY, "all", {}, 1, "people")]
SPLIT = split_items(SURVEY.codebook.items, HeldOut(by="list", items=("q0",)), 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"batch": 6},
        {"questions": 3, "populations": 2, "validation": 0.2, "validation_cells": 4},
    ],
    ids=["records in random order", "whole questions"],
)
def test_records_show_the_questionnaires_order_with_letters(settings: dict[str, object]) -> None:
    options = Options.model_validate({**settings, "ways": "questionnaire"})
    count = 20 * options.own_rows
    found = BUILDER.build(
        SETS, SPLIT, count, np.random.default_rng(1), options.record_settings
    ).frame.to_dicts()
    known = {item.id: item for item in SETS[0].items}
    assert len(found) > 20
    for row in found:
        (question,) = ways_of_asking(known[row["item"]], "people", "questionnaire")
        assert row["user"] == question.user_text
        assert row["answers"] == [chr(ord("A") + k) for k in range(len(row["answers"]))]
    # Without the setting, orders and labels change.
    plain = Options.model_validate(settings)
    rows = BUILDER.build(SETS, SPLIT, count, np.random.default_rng(1), plain.record_settings)
    assert len({tuple(row["answers"]) for row in rows.frame.to_dicts()}) > 5


def test_a_visit_shows_one_order_and_a_second_one_is_refused() -> None:
    options = Options.model_validate({"questions": 3, "populations": 4, "ways": "questionnaire"})
    assert options.own_rows == 12 and options.micro_batch_size() == 4
    with pytest.raises(ValidationError, match="orders: ways: questionnaire shows one order"):
        Options.model_validate({"questions": 3, "ways": "questionnaire", "orders": 2})


def test_a_model_is_read_in_that_one_way(tiny_model: Path) -> None:
    scoring = Scoring(ways="questionnaire", text=False, samples=0, lowest_mass=0.0)
    model = suffrage.load_model(tiny_model)
    found = collect_answers(model, SETS, (), scoring, True, 1).by_value_set["all"]
    probes = asked_probes(SETS, True, ways="questionnaire")
    assert all(len(probe.questions) == 1 for _, probe in probes)
    every = read_letters(model, [probe for _, probe in asked_probes(SETS, True)], 0.0)
    apart = [np.abs(a.shares - b.shares).max() for a, b in zip(found, every, strict=True)]
    assert max(apart) > 1e-4
    assert all(answer.order_sensitivity == pytest.approx(0) for answer in found)


def test_the_questionnaires_way_is_the_first_of_all() -> None:
    for item in SETS[0].items:
        every = ways_of_asking(item, "people")
        assert ways_of_asking(item, "people", "questionnaire") == every[:1]
        assert every[0].order == tuple(range(len(item.options)))
