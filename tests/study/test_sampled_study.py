"""A study whose models are asked a sample of what was trained on."""

import pytest

from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from tests.study.conftest import Write


@pytest.mark.slow
def test_a_run_asks_and_compares_the_sample_and_everything_held_out_and_says_so(
    write_study: Write,
) -> None:
    scoring = {"samples": 0, "text": False, "lowest_mass": 0.0, "trained_cells": 4}
    study = read_study(write_study(scoring=scoring, seed=None, seeds=[3, 4]))
    results = run_study(study, quiet=True).results
    assert results is not None
    samples = {}
    for seed in (3, 4):
        side = {item.id: item.side[seed] for item in results.items}
        held_out = {item for item, own in side.items() if own == "held_out"}
        trained = {}
        for method in ("base", "prompt", "distribution", "average"):
            own = [a for a in results.answers if (a.method, a.seed) == (method, seed)]
            asked = {(a.value_set, a.item) for a in own}
            assert {cell for cell in asked if cell[1] in held_out} == {
                (v, item) for v in ("north", "south") for item in held_out
            }
            trained[method] = {cell for cell in asked if cell[1] not in held_out}
        # The same sample for every method and floor, also those that are asked once for all seeds.
        (samples[seed],) = {frozenset(cells) for cells in trained.values()}
        assert len(samples[seed]) < 2 * (8 - len(held_out))
    assert results.study.number_format == "float32"
    (sentence,) = (text for text in results.limits if "trained_cells" in text)
    assert f" {len(samples[3])} were asked" in sentence
