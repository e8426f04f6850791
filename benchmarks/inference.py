"""Error rates and coverage of the report's verdicts and intervals, by simulation.

Methods that are truly equal are compared as a study compares them, with Holm's correction, and
the share of studies with at least one false verdict is counted. 95% intervals are compared with
the true value. Differences are normal, heavy-tailed (Student's t with 3 degrees of freedom) or
skewed (exponential), over few to many clusters of questions, of one size or of unequal sizes.

Usage: python benchmarks/inference.py [--studies 1000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np

from suffrage.evaluate.statistics.figures import holm
from suffrage.evaluate.statistics.inference import FEWEST_CLUSTERS, Ratio, infer

CLUSTERS = (3, 4, 5, 6, 8, 10, 12, 20, 40)
METHODS = (2, 4, 6)
DRAWS = 2000
SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda g, shape: g.normal(size=shape),
    "heavy-tailed": lambda g, shape: g.standard_t(3, size=shape) / np.sqrt(3),
    "skewed": lambda g, shape: g.exponential(size=shape) - 1,
}


def sizes_of(clusters: int, unequal: bool, generator: np.random.Generator) -> np.ndarray:
    """Questions in each cluster: one each, or one to eight."""
    return generator.integers(1, 9, size=clusters) if unequal else np.ones(clusters, dtype=int)


def cluster_means(
    values: np.ndarray, sizes: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """A cluster's effect, with questions that differ a little around it; (..., clusters) sums."""
    noise = 0.5 * generator.normal(size=values.shape) * np.sqrt(sizes)
    return values * sizes + noise * (sizes > 1)


def bootstrap_counts(clusters: int, generator: np.random.Generator) -> np.ndarray:
    """How often each draw takes each cluster."""
    return generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=DRAWS)


def false_verdicts(
    shape: str, clusters: int, methods: int, against_floor: bool, unequal: bool, studies: int
) -> float:
    """The share of studies of truly equal methods with at least one verdict.

    against_floor: each method is compared with a floor that it equals on average, so that the
    differences have the shape themselves. Otherwise methods are compared with one another.
    """
    wrong = 0
    for study in range(studies):
        generator = np.random.default_rng([study, clusters, methods])
        counts = bootstrap_counts(clusters, generator)
        sizes = sizes_of(clusters, unequal, generator)
        noise = SHAPES[shape](generator, (methods, clusters))
        rows = [Ratio(cluster_means(v, sizes, generator), sizes.astype(float)) for v in noise]
        floor = Ratio(np.zeros(clusters), sizes.astype(float))
        pairs = (
            [(row, floor) for row in rows] if against_floor else list(combinations(rows, 2))
        )
        p_values = [infer(one, two, counts).p_value() for one, two in pairs]
        known = [p for p in p_values if p is not None]
        wrong += bool(known) and min(holm(known)) < 0.05
    return wrong / studies


def coverage(shape: str, clusters: int, unequal: bool, studies: int) -> tuple[float | None, float]:
    """The share of 95% intervals that hold the true value, and their width over Student's own."""
    held, widths = 0, []
    if clusters < FEWEST_CLUSTERS:
        return None, float("nan")
    for study in range(studies):
        generator = np.random.default_rng([study, clusters, 77])
        counts = bootstrap_counts(clusters, generator)
        sizes = sizes_of(clusters, unequal, generator)
        values = SHAPES[shape](generator, (clusters,))
        found = infer(
            Ratio(cluster_means(values, sizes, generator), sizes.astype(float)), None, counts
        )
        low, high = found.interval()
        assert low is not None and high is not None
        held += low <= 0 <= high
        widths.append((found.stretch_low + found.stretch_high) / 2)
    return held / studies, float(np.median(widths))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="also write the figures to a file")
    options = parser.parse_args()
    found: dict[str, list[dict[str, object]]] = {"coverage": [], "false_verdicts": []}
    error = 100 * np.sqrt(0.05 * 0.95 / options.studies)
    print(f"{options.studies} simulated studies a cell; simulation error {error:.1f} points\n")
    print("Coverage of 95% intervals (width over Student's interval)")
    print(f"{'clusters':>9} " + " ".join(f"{s:>22}" for s in SHAPES for _ in (0, 1)))
    print(" " * 10 + " ".join(f"{k:>22}" for _ in SHAPES for k in ("equal sizes", "unequal sizes")))
    for clusters in CLUSTERS:
        cells = []
        for shape in SHAPES:
            for unequal in (False, True):
                share, width = coverage(shape, clusters, unequal, options.studies)
                cells.append("no interval" if share is None else f"{share:.3f} ({width:.2f})")
                found["coverage"].append(
                    {
                        "clusters": clusters,
                        "shape": shape,
                        "unequal": unequal,
                        "coverage": share,
                        "width": width,
                    }
                )
        print(f"{clusters:>9} " + " ".join(f"{cell:>22}" for cell in cells), flush=True)
    print("\nStudies with at least one false verdict, in percent (5 promised)")
    for against_floor in (False, True):
        print("\nMethods against a floor" if against_floor else "\nMethods against one another")
        header = [f"{s}, {m}" for s in SHAPES for m in METHODS]
        print(f"{'clusters':>9} " + " ".join(f"{h:>15}" for h in header))
        for clusters in CLUSTERS:
            cells = []
            for shape in SHAPES:
                for methods in METHODS:
                    share = false_verdicts(
                        shape, clusters, methods, against_floor, False, options.studies
                    )
                    cells.append(f"{100 * share:.1f}")
                    found["false_verdicts"].append(
                        {
                            "clusters": clusters,
                            "shape": shape,
                            "methods": methods,
                            "against_floor": against_floor,
                            "share": share,
                        }
                    )
            print(f"{clusters:>9} " + " ".join(f"{cell:>15}" for cell in cells), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
