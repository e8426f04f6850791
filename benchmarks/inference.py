"""Error rates and coverage of the report's verdicts and intervals, by simulation.

Methods that are truly equal are compared as a study compares them, with Holm's correction, and
the share of studies with at least one false verdict is counted. 95% intervals are compared with
the true value. Clusters of questions differ by normal, heavy-tailed (Student's t with 3 degrees of
freedom) or skewed (exponential) values. They are of one size, or hold one to eight questions.
Shapes that are harder still have a table of their own: lognormal and chi-squared values, and a
difference that one cluster in five has. So have shares of right answers. The last table goes the
whole way from rows to verdicts: two value sets with their respondents resampled, and a ratio of two
means. Holm's correction is for each measure, so another table counts the studies with a false
verdict on any of several measures, which go together more or less.

Usage: python benchmarks/inference.py [--studies 1000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from suffrage.evaluate.statistics.figures import holm, make_figures
from suffrage.evaluate.statistics.inference import FEWEST_CLUSTERS, infer
from suffrage.evaluate.statistics.intervals import Measured, bootstrap_estimate, make_draws
from suffrage.evaluate.statistics.outcomes import Outcomes

CLUSTERS = (3, 4, 5, 6, 8, 10, 12, 20, 40)
FEW_CLUSTERS = (4, 5, 8, 12, 20)
MANY_CLUSTERS = 200
METHODS = (2, 6)
MEASURES = (1, 3, 6, 12, 18)
CORRELATIONS = (0.0, 0.5, 0.9)
DRAWS = 2000
# Sets of draws that studies take in turn: drawing a set for each study takes most of the time.
RESAMPLES = 20
PEOPLE = 200
SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda g, shape: g.normal(size=shape),
    "heavy-tailed": lambda g, shape: g.standard_t(3, size=shape) / np.sqrt(3),
    "skewed": lambda g, shape: g.exponential(size=shape) - 1,
}
HARD_SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "lognormal": lambda g, shape: g.lognormal(0, 1, size=shape) - np.exp(0.5),
    "chi-squared (1)": lambda g, shape: g.chisquare(1, size=shape) - 1,
    "one in five": lambda g, shape: (g.random(shape) < 0.2) - 0.2 + 0.05 * g.normal(size=shape),
}
SHARES = (0.05, 0.1, 0.3)
ALL_SHAPES = {**SHAPES, **HARD_SHAPES}


def sizes_of(clusters: int, unequal: bool, generator: np.random.Generator) -> np.ndarray:
    """Questions in each cluster: one each, or one to eight."""
    return generator.integers(1, 9, size=clusters) if unequal else np.ones(clusters, dtype=int)


def cluster_sums(
    values: np.ndarray, sizes: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """A cluster's effect, with questions that differ a little around it; (..., clusters) sums."""
    noise = 0.5 * generator.normal(size=values.shape) * np.sqrt(sizes)
    return values * sizes + noise * (sizes > 1)


def without_each(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The mean over questions with each cluster left out, (..., clusters)."""
    return (sums.sum(axis=-1, keepdims=True) - sums) / (sizes.sum() - sizes)


def bootstrap_counts(clusters: int, study: int) -> np.ndarray:
    """How often each draw takes each cluster, in one of `RESAMPLES` sets of draws."""
    return _counts(clusters, study % RESAMPLES)


@lru_cache(maxsize=RESAMPLES * 10)
def _counts(clusters: int, number: int) -> np.ndarray:
    shares = np.full(clusters, 1 / clusters)
    generator = np.random.default_rng([number, clusters])
    return generator.multinomial(clusters, shares, size=DRAWS).astype(float)


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
        counts = bootstrap_counts(clusters, study)
        sizes = sizes_of(clusters, unequal, generator)
        sums = cluster_sums(ALL_SHAPES[shape](generator, (methods, clusters)), sizes, generator)
        pairs = combinations(sums, 2)
        gaps = list(sums) if against_floor else [one - two for one, two in pairs]
        p_values = [
            infer(gap.sum() / sizes.sum(), without_each(gap, sizes), sizes, counts).p_value()
            for gap in gaps
        ]
        known = [p for p in p_values if p is not None]
        wrong += bool(known) and min(holm(known)) < 0.05
    return wrong / studies


def wrong_somewhere(correlation: float, clusters: int, studies: int) -> list[float]:
    """The share of studies of four equal methods with a verdict on any of so many measures.

    Differences are normal, clusters of one size, and each measure is corrected by itself.

    Parameters
    ----------
    correlation : float
        Of a cluster's differences on any two measures.
    clusters, studies : int

    Returns
    -------
    list of float
        One for each number in `MEASURES`.
    """
    wrong = np.zeros(len(MEASURES))
    for study in range(studies):
        generator = np.random.default_rng([study, clusters, 6])
        counts, sizes = bootstrap_counts(clusters, study), np.ones(clusters, dtype=int)
        shared = generator.normal(size=(4, clusters))
        own = generator.normal(size=(max(MEASURES), 4, clusters))
        values = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
        false = []
        for by_method in values:
            gaps = [one - two for one, two in combinations(by_method, 2)]
            p_values = [
                infer(gap.mean(), without_each(gap, sizes), sizes, counts).p_value() for gap in gaps
            ]
            false.append(min(holm([p for p in p_values if p is not None])) < 0.05)
        wrong += [any(false[:count]) for count in MEASURES]
    return [float(share) for share in wrong / studies]


def coverage(shape: str, clusters: int, unequal: bool, studies: int) -> tuple[float | None, float]:
    """The share of 95% intervals that hold the true value, and their width over Student's own."""
    held, widths = 0, []
    if clusters < FEWEST_CLUSTERS:
        return None, float("nan")
    for study in range(studies):
        generator = np.random.default_rng([study, clusters, 77])
        counts = bootstrap_counts(clusters, study)
        sizes = sizes_of(clusters, unequal, generator)
        sums = cluster_sums(ALL_SHAPES[shape](generator, (clusters,)), sizes, generator)
        found = infer(sums.sum() / sizes.sum(), without_each(sums, sizes), sizes, counts)
        low, high = found.interval()
        # Among few unequal clusters one can be so large that nothing is claimed.
        if low is None or high is None:
            continue
        held += low <= 0 <= high
        widths.append((found.stretch_low + found.stretch_high) / 2)
    return held / len(widths), float(np.median(widths))


def share_coverage(truth: float, clusters: int, unequal: bool, studies: int) -> tuple[float, float]:
    """The share of intervals of a share that hold it, and their mean width.

    unequal: clusters hold one to eight questions, and each is answered as the cluster's first is
    in half of the cases.
    """
    held, widths = 0, []
    for study in range(studies):
        generator = np.random.default_rng([study, clusters, 78])
        rows = []
        for cluster, size in enumerate(sizes_of(clusters, unequal, generator)):
            right = generator.random(size) < truth
            right = np.where(generator.random(size) < 0.5, right[0], right)
            rows += [
                Measured(1, "all", f"c{cluster}i{k}", f"c{cluster}", float(one), np.ones(1))
                for k, one in enumerate(right)
            ]
        draws = make_draws([row.cluster for row in rows], ["all"], 1, study)
        found = bootstrap_estimate(rows, draws, Outcomes(0.0, 1.0, len(rows)))
        if found.low is None or found.high is None:
            continue
        low, high = max(found.low, 0.0), min(found.high, 1.0)
        held += low <= truth <= high
        widths.append(high - low)
    return held / max(len(widths), 1), float(np.mean(widths))


def study_rows(
    shape: str, clusters: int, ratio: bool, generator: np.random.Generator, methods: int
) -> dict[str, list[Measured]]:
    """Rows of truly equal methods: two value sets, or a ratio that is 0.5 on average.

    A value set's people have an error of their own, the same for every method, which the
    replicates show again.
    """
    sizes = sizes_of(clusters, True, generator)
    rows: dict[str, list[Measured]] = {f"m{k}": [] for k in range(methods)}
    for value_set in ("north", "south")[: 1 if ratio else 2]:
        for cluster, size in enumerate(sizes):
            for item in range(size):
                name = f"c{cluster}i{item}"
                # Differing questions weigh differently in a ratio.
                below = float(generator.gamma(4, 0.25)) if ratio else 1.0
                for k, method in enumerate(rows):
                    rows[method].append(
                        Measured(1, value_set, name, f"c{cluster}", k, np.ones(1), below)
                    )
    effects = ALL_SHAPES[shape](generator, (methods, clusters))
    for k, method in enumerate(rows):
        sampled = 0.1 * generator.normal(size=PEOPLE + 1)
        rows[method] = [
            Measured(
                row.seed,
                row.value_set,
                row.item,
                row.cluster,
                row.below
                * (0.5 * ratio + effects[k, int(row.cluster[1:])] + 0.5 * generator.normal())
                + (0.0 if ratio else sampled[0]),
                np.ones(1) if ratio else sampled[1:],
                row.below,
            )
            for row in rows[method]
        ]
    return rows


def whole_way(shape: str, clusters: int, ratio: bool, studies: int) -> tuple[float, float]:
    """Coverage of a figure, and the share of studies of four methods with a false verdict."""
    held, wrong, truth = 0, 0, 0.5 * ratio
    for study in range(studies):
        generator = np.random.default_rng([study, clusters, 5])
        rows = study_rows(shape, clusters, ratio, generator, 4)
        draws = make_draws([r.cluster for r in rows["m0"]], ["north", "south"], PEOPLE, study)
        figures, differences = make_figures(
            "e", {"m": rows}, list(rows), study, draws=draws, breakdown=False
        )
        low, high = figures[0].low, figures[0].high
        assert low is not None and high is not None
        assert bootstrap_estimate(rows["m0"], draws).low == low
        held += low <= truth <= high
        wrong += any(d.verdict in ("higher", "lower") for d in differences)
    return held / studies, wrong / studies


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="also write the figures to a file")
    options = parser.parse_args()
    studies, found = options.studies, {}
    error = 100 * np.sqrt(0.05 * 0.95 / studies)
    print(f"{studies} simulated studies a cell; simulation error {error:.1f} points\n")
    found["coverage"] = _coverage_table(studies)
    print("\nStudies with at least one false verdict, in percent (5 promised)")
    found["false_verdicts"] = [
        row
        for against_floor, unequal in ((False, False), (True, False), (True, True))
        for row in _verdict_table(studies, against_floor, unequal)
    ]
    found["several_measures"] = _measures_table(studies)
    found["hard_shapes"] = _hard_table(studies)
    found["shares"] = _share_table(studies)
    found["whole_way"] = _whole_table(max(studies // 4, 100))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


Kind = dict[str, Any]


def _grid(
    clusters_of_rows: Sequence[int],
    kinds: Mapping[str, Kind],
    width: int,
    cell: Callable[[int, Kind], tuple[str, Kind]],
) -> list[Kind]:
    """Print a table with a row for each number of clusters and a column for each kind.

    Parameters
    ----------
    clusters_of_rows : sequence of int
    kinds : mapping
        What each column simulates, by the column's heading.
    width : int
        Characters a column.
    cell : callable
        Simulates one cell: what is printed, and its figures.

    Returns
    -------
    list of dict
        What each cell simulated, with its figures.
    """
    print(f"{'clusters':>9} " + " ".join(f"{heading:>{width}}" for heading in kinds))
    found: list[Kind] = []
    for clusters in clusters_of_rows:
        cells = []
        for kind in kinds.values():
            shown, figures = cell(clusters, kind)
            cells.append(shown)
            found.append({"clusters": clusters, **kind, **figures})
        print(f"{clusters:>9} " + " ".join(f"{one:>{width}}" for one in cells), flush=True)
    return found


def _sized(name: str, values: Iterable[object]) -> dict[str, Kind]:
    """Each value with clusters of one size and of unequal sizes."""
    return {
        f"{value}{', unequal' if unequal else ''}": {name: value, "unequal": unequal}
        for value in values
        for unequal in (False, True)
    }


def _coverage_table(studies: int) -> list[Kind]:
    print("Coverage of 95% intervals (width over Student's interval)")

    def cell(clusters: int, kind: Kind) -> tuple[str, Kind]:
        share, width = coverage(clusters=clusters, **kind, studies=studies)
        shown = "no interval" if share is None else f"{share:.3f} ({width:.2f})"
        return shown, {"coverage": share, "width": width}

    return _grid(CLUSTERS, _sized("shape", SHAPES), 22, cell)


def _verdict_table(studies: int, against_floor: bool, unequal: bool) -> list[Kind]:
    print("\nMethods against a floor" if against_floor else "\nMethods against one another")
    print("clusters of one to eight questions" if unequal else "clusters of one size")
    same = {"against_floor": against_floor, "unequal": unequal}
    kinds = {f"{s}, {m}": {"shape": s, "methods": m, **same} for s in SHAPES for m in METHODS}

    def cell(clusters: int, kind: Kind) -> tuple[str, Kind]:
        share = false_verdicts(clusters=clusters, **kind, studies=studies)
        return f"{100 * share:.1f}", {"share": share}

    return _grid(CLUSTERS, kinds, 15, cell)


def _measures_table(studies: int) -> list[Kind]:
    print(
        "\nStudies of 4 equal methods with a false verdict on any measure, in percent, by measures"
    )
    print(f"{'clusters, correlation':>22} " + " ".join(f"{count:>6}" for count in MEASURES))
    found: list[Kind] = []
    for clusters in (*FEW_CLUSTERS[-2:], CLUSTERS[-1]):
        for correlation in CORRELATIONS:
            shares = wrong_somewhere(correlation, clusters, studies)
            shown = " ".join(f"{100 * share:>6.1f}" for share in shares)
            print(f"{clusters:>14}, {correlation:>6} {shown}", flush=True)
            found += [
                {"clusters": clusters, "correlation": correlation, "measures": k, "share": share}
                for k, share in zip(MEASURES, shares, strict=True)
            ]
    return found


def _hard_table(studies: int) -> list[Kind]:
    print(
        "\nHarder shapes: coverage, and studies of 4 methods equal to a floor with a false verdict"
    )

    def cell(clusters: int, kind: Kind) -> tuple[str, Kind]:
        held, _ = coverage(clusters=clusters, **kind, studies=studies)
        wrong = false_verdicts(
            clusters=clusters, methods=4, against_floor=True, **kind, studies=studies
        )
        return f"{held:.3f}, {100 * wrong:.1f}", {"coverage": held, "share": wrong}

    return _grid(
        (*FEW_CLUSTERS, CLUSTERS[-1], MANY_CLUSTERS), _sized("shape", HARD_SHAPES), 24, cell
    )


def _share_table(studies: int) -> list[Kind]:
    print("\nShares of right answers: coverage of 95% intervals (their mean width)")

    def cell(clusters: int, kind: Kind) -> tuple[str, Kind]:
        held, width = share_coverage(clusters=clusters, **kind, studies=studies)
        return f"{held:.3f} ({width:.2f})", {"coverage": held, "width": width}

    return _grid((*FEW_CLUSTERS, CLUSTERS[-1]), _sized("truth", SHARES), 14, cell)


def _whole_table(studies: int) -> list[Kind]:
    print(f"\nFrom rows to verdicts, clusters of unequal sizes, {studies} studies a cell:")
    print("coverage, and studies of 4 equal methods with a false verdict in percent")
    kinds = {
        f"{'ratio' if ratio else 'two value sets'}, {shape}": {"shape": shape, "ratio": ratio}
        for ratio in (False, True)
        for shape in SHAPES
    }

    def cell(clusters: int, kind: Kind) -> tuple[str, Kind]:
        held, wrong = whole_way(clusters=clusters, **kind, studies=studies)
        return f"{held:.3f}, {100 * wrong:.1f}", {"coverage": held, "share": wrong}

    return _grid(FEW_CLUSTERS, kinds, 28, cell)


if __name__ == "__main__":
    main()
