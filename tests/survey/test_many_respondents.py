"""A file of many respondents: right figures, and little memory for each of them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from suffrage.population import ValueSet

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "survey_commands.py"
# What a command may hold for one respondent with 50 items, in bytes. It takes 450 to 850. One text
# for each cell takes 800 for the items alone, and resamples with a weight for everyone 3,000.
MOST_BYTES_EACH = 1100


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("survey_commands", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_value_sets_of_the_large_file_are_the_weighted_shares_of_its_rows(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    people = benchmark.synthetic_people(3000, 2)
    for suffix in (".csv", ".parquet"):
        folder = tmp_path / suffix[1:]
        folder.mkdir()
        benchmark.write_study(folder, people, suffix)
        benchmark.measured(benchmark.COMMANDS["run --only value_sets"], folder)
        young = (people["age"] <= 29).to_numpy()
        for name, inside in (("everyone", np.ones(3000, dtype=bool)), ("young", young)):
            (stored,) = (folder / "out" / "value_sets").glob(f"{name}-*")
            value_set = ValueSet.read(stored)
            for item in ("q0", "q1"):
                codes = people[item].to_numpy()[inside]
                weights = people["weight"].to_numpy()[inside]
                answered = codes > 0
                wanted = np.bincount(codes[answered], weights[answered], 6)[1:]
                found = value_set.distributions[item]
                np.testing.assert_allclose(found.shares, wanted / wanted.sum(), rtol=1e-9)
                spread = found.replicates.std(axis=0) / found.standard_errors
                np.testing.assert_allclose(spread, 1, atol=0.2)
                unasked = weights[codes == -4].sum() / weights.sum()
                assert found.non_response["not asked"] == pytest.approx(unasked)


@pytest.mark.slow
def test_memory_for_each_respondent_is_bounded(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each thread of Polars has buffers of its own.
    monkeypatch.setenv("POLARS_MAX_THREADS", "2")
    few, many = 10_000, 60_000
    taken = {}
    for respondents in (few, many):
        folder = tmp_path / str(respondents)
        folder.mkdir()
        taken[respondents] = benchmark.measure_commands(respondents, 50, folder)
    each = {
        command: (taken[many][command].peak_memory - taken[few][command].peak_memory) / (many - few)
        for command in taken[few]
    }
    assert len(each) == 6
    assert max(each.values()) < MOST_BYTES_EACH, json.dumps(each)
