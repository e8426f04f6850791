"""The benchmark of many studies infers what the package infers, and finds what is promised."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from suffrage.evaluate.statistics.inference import infer

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "inference_precise.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("inference_precise", SCRIPT)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def allowed(studies: int, share: float = 0.05) -> float:
    """Four simulation errors above what is promised."""
    return share + 4 * float(np.sqrt(share * (1 - share) / studies))


@pytest.mark.parametrize("sizes", ["one size", "1 to 8", "ratio", "one in five has 12"])
@pytest.mark.parametrize("clusters", [4, 9, 20])
def test_many_studies_together_are_inferred_as_one_alone(
    benchmark: ModuleType, sizes: str, clusters: int
) -> None:
    generator = np.random.default_rng(1)
    above, below = benchmark.simulated("lognormal", sizes, clusters, 2, generator)
    shares = np.full(clusters, 1 / clusters)
    counts = generator.multinomial(clusters, shares, size=200).astype(float)
    together = benchmark.inferences(above[:3], below[:3], counts)
    for sums, (weighs,), found in zip(above, below, together, strict=False):
        for own, one in zip(sums, found, strict=True):
            left_out = (own.sum() - own) / (weighs.sum() - weighs)
            alone = infer(own.sum() / weighs.sum(), left_out, weighs, counts)
            assert one.effective == alone.effective
            if alone.effective < 2:
                continue
            assert one.interval() == pytest.approx(alone.interval())
            assert one.p_value() == pytest.approx(alone.p_value())
            assert one.skewness == pytest.approx(alone.skewness)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", ["one size", "1 to 8", "ratio"])
@pytest.mark.parametrize("clusters", [8, 12, 20])
def test_intervals_of_exponential_values_hold_the_truth(
    benchmark: ModuleType, sizes: str, clusters: int
) -> None:
    coverage, wrong = benchmark.rates("exponential", sizes, clusters, 500)
    # Each study has an interval for each of the twelve methods.
    assert coverage is not None and coverage >= 1 - allowed(500 * max(wrong), 0.07)
    assert all(share <= allowed(500) for share in wrong.values())


@pytest.mark.slow
@pytest.mark.parametrize("sizes", ["one size", "1 to 8"])
@pytest.mark.parametrize("shape", ["chi-squared (1)", "lognormal", "Weibull (0.7)"])
@pytest.mark.parametrize("clusters", [4, 5, 8])
def test_few_clusters_with_long_tails_give_no_more_false_verdicts(
    benchmark: ModuleType, sizes: str, shape: str, clusters: int
) -> None:
    _, wrong = benchmark.rates(shape, sizes, clusters, 1000)
    assert max(wrong) == 12
    assert all(share <= allowed(1000) for share in wrong.values())
