"""The plan's estimate for the results grows with the answers that they compare."""

from pathlib import Path

import pytest

from suffrage.evaluate import capability, safety
from suffrage.study.planning.plan import (
    RESULTS_CELL_SECONDS,
    RESULTS_VALUE_SET_SECONDS,
    SMALL_STAGE_SECONDS,
    computed_inputs,
    plan_study,
)
from suffrage.study.planning.stage_work import answered_cells, probe_prompts
from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from tests.study.conftest import Write

# Two value sets of eight items.
CELLS = 2 * 8


@pytest.mark.parametrize(
    ("changes", "models"),
    [({}, 3), ({"seed": None, "seeds": [1, 2, 3]}, 2 + 3), ({"methods": ["prompt"]}, 1)],
    ids=["base, prompt and one trained", "one trained for each seed", "one"],
)
def test_every_cell_of_every_model_that_is_asked_counts_once(
    changes: dict[str, object], models: int, write_study: Write
) -> None:
    inputs = computed_inputs(read_study(write_study(**changes)))
    assert answered_cells(inputs) == CELLS * models


def test_cells_that_are_not_asked_do_not_count(write_study: Write) -> None:
    scoring = {"samples": 0, "lowest_mass": 0.0, "trained_cells": 4}
    inputs = computed_inputs(read_study(write_study(scoring=scoring, methods=["prompt"])))
    (split,) = inputs.splits.values()
    assert answered_cells(inputs) == 2 * len(split.held_out) + 4 < CELLS


# Models, value sets and cells of each model, with the seconds that were measured.
@pytest.mark.parametrize(
    ("models", "value_sets", "cells", "measured"),
    [
        (3, 10, 400, 3.6),
        (3, 20, 1600, 8.2),
        (6, 20, 1600, 13),
        (3, 40, 5800, 15),
        (8, 40, 5800, 48),
        (8, 158, 5928, 240),
    ],
)
def test_the_estimate_is_near_what_was_measured(
    models: int, value_sets: int, cells: int, measured: float
) -> None:
    estimate = SMALL_STAGE_SECONDS + models * (
        RESULTS_VALUE_SET_SECONDS * value_sets + RESULTS_CELL_SECONDS * cells
    )
    assert measured / 1.7 < estimate < 1.7 * measured


@pytest.mark.slow
def test_results_take_the_time_of_their_cells_and_none_once_they_are_there(
    write_study: Write,
) -> None:
    study = read_study(write_study(scoring={"samples": 0, "lowest_mass": 0.0}))

    def planned() -> float:
        (found,) = [p.seconds for p in plan_study(study).stages if p.stage.kind == "results"]
        return found

    of_models = RESULTS_VALUE_SET_SECONDS * 2 * 3 + RESULTS_CELL_SECONDS * CELLS * 3
    assert planned() == pytest.approx(SMALL_STAGE_SECONDS + of_models)
    run_study(study, quiet=True)
    assert planned() == 0


def test_what_a_model_is_asked_as_itself_is_planned_once(write_study: Write) -> None:
    study = read_study(write_study(methods=["base", "prompt"], evaluate=["capability", "safety"]))
    inputs = computed_inputs(study)
    planned = probe_prompts(inputs)
    found = {place: planned[stage.folder] for place, stage in inputs.wiring.probes.items()}
    assert len(found) == 4
    for (evaluation, _, _), count in found.items():
        assert count == prompts_of(evaluation)


def prompts_of(name: str) -> int:
    evaluation = {"capability": capability, "safety": safety}[name].EVALUATION
    assert evaluation.prompts is not None
    return evaluation.prompts([], [], evaluation.options(), Path())
