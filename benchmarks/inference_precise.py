"""Coverage and false verdicts of skewed differences, with enough studies to tell 6% from 5%.

`inference.py` goes the way of a study, one simulated study at a time. Here the jackknife and the
bootstrap of many studies are worked out together, from their formulas. Intervals and p-values come
from the package, and a test compares the rest with it. Methods that equal a floor are compared
with it, so that the differences themselves are skewed.

Clusters are of one size, hold one to eight questions, or one in five holds twelve and the others
one. A ratio has one to eight questions a cluster, which weigh differently.

Usage: python benchmarks/inference_precise.py [--studies 1000] [--sizes SIZES] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from math import gamma
from pathlib import Path

import numpy as np

from suffrage.evaluate.statistics.inference import LEVEL, MOST_STRETCH, Inference
from suffrage.population.student import student_quantile

# With four clusters there is no verdict.
CLUSTERS = (5, 8, 12, 20, 40)
METHODS = (2, 6, 12)
DRAWS = 1000
# Studies that are worked out together and share their draws.
TOGETHER = 20
# Values with a true mean of 0.
SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "exponential": lambda g, shape: g.exponential(size=shape) - 1,
    "chi-squared (1)": lambda g, shape: g.chisquare(1, size=shape) - 1,
    "lognormal": lambda g, shape: g.lognormal(0, 1, size=shape) - np.exp(0.5),
    "Weibull (0.7)": lambda g, shape: g.weibull(0.7, size=shape) - gamma(1 + 1 / 0.7),
    "normal": lambda g, shape: g.normal(size=shape),
}
SIZES = ("one size", "1 to 8", "ratio", "one in five has 12")
MOST_QUESTIONS = 8


def simulated(
    shape: str, sizes: str, clusters: int, methods: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of equal methods over each cluster, and what each cluster weighs.

    Returns
    -------
    tuple of array
        (TOGETHER, methods, clusters) and (TOGETHER, 1, clusters); a true figure is 0.
    """
    effects = SHAPES[shape](generator, (TOGETHER, methods, clusters))
    questions = np.ones((TOGETHER, 1, clusters))
    if sizes == "one size":
        return effects, questions
    if sizes == "one in five has 12":
        questions[..., : max(1, clusters // 5)] = 12
    else:
        questions = generator.integers(1, MOST_QUESTIONS + 1, size=questions.shape).astype(float)
    if sizes == "ratio":
        asked = np.arange(MOST_QUESTIONS) < questions[..., None]
        weights = generator.gamma(4, 0.25, size=asked.shape) * asked
        own = 0.5 * generator.normal(size=(*effects.shape, MOST_QUESTIONS))
        return ((effects[..., None] + own) * weights).sum(axis=-1), weights.sum(axis=-1)
    own = 0.5 * generator.normal(size=effects.shape) * np.sqrt(questions)
    return effects * questions + own * (questions > 1), questions


def inferences(above: np.ndarray, below: np.ndarray, counts: np.ndarray) -> list[list[Inference]]:
    """Return what `infer` finds of each study's ratios of sums, one for each method.

    Parameters
    ----------
    above, below : array, shape (studies, methods, clusters) and (studies, 1, clusters)
        Sums over each cluster. `below` is also what the clusters weigh.
    counts : array, shape (draws, clusters)
        How often each draw takes each cluster.
    """
    clusters = above.shape[-1]
    whole, weighs = above.sum(axis=-1), below.sum(axis=-1)
    left_out = (whole[..., None] - above) / (weighs[..., None] - below)
    influence = (clusters - 1) * (left_out.mean(axis=-1, keepdims=True) - left_out)
    squared = np.square(influence).mean(axis=-1)
    error = np.sqrt(squared / (clusters - 1))
    skewness = (influence**3).mean(axis=-1) / squared**1.5
    effective = np.rint(weighs**2 / np.square(below).sum(axis=-1)).astype(int)
    lowest, highest = _tails(influence, below / below.mean(axis=-1, keepdims=True), counts)
    found = []
    for study, value in enumerate(whole / weighs):
        number = int(effective[study, 0])
        reach = student_quantile(0.5 + LEVEL / 2, number - 1) if number > 1 else np.inf
        low, high = (
            np.clip(tail[study] / reach, 1, MOST_STRETCH).tolist() for tail in (highest, -lowest)
        )
        one = zip(
            value.tolist(), error[study].tolist(), low, high, skewness[study].tolist(), strict=True
        )
        found.append([Inference(v, e, clusters, number, a, b, s) for v, e, a, b, s in one])
    return found


def _tails(
    influence: np.ndarray, sizes: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The 2.5% and 97.5% quantiles of the studentised bootstrap, (studies, methods) each."""
    clusters = influence.shape[-1]
    below = sizes @ counts.T
    ratio = influence @ counts.T / below
    apart = (
        influence**2 @ counts.T
        - 2 * ratio * ((influence * sizes) @ counts.T)
        + ratio**2 * (sizes**2 @ counts.T)
    )
    error = np.sqrt(np.maximum(apart, 0) * clusters / (clusters - 1)) / below
    varies = error > 1e-9 * np.median(error, axis=-1, keepdims=True)
    t = np.where(varies, ratio / np.where(varies, error, 1.0), np.sign(ratio) * 1e6)
    lowest, highest = np.quantile(t, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=-1)
    return lowest, highest


def rates(
    shape: str, sizes: str, clusters: int, studies: int
) -> tuple[float | None, dict[int, float]]:
    """The share of intervals that contain 0, and of studies with a false verdict, by methods.

    Holm's correction finds something where the smallest p-value times the methods is below 5%.
    """
    held, wrong = [], {methods: [] for methods in METHODS}
    for number in range(-(-studies // TOGETHER)):
        generator = np.random.default_rng([number, clusters, SIZES.index(sizes)])
        shares = np.full(clusters, 1 / clusters)
        counts = generator.multinomial(clusters, shares, size=DRAWS).astype(float)
        sums, weighs = simulated(shape, sizes, clusters, max(METHODS), generator)
        for found in inferences(sums, weighs, counts):
            if found[0].effective < 2:
                continue
            held += [low <= 0 <= high for low, high in (one.interval() for one in found)]
            p_values = [one.p_value() for one in found]
            for methods, so_far in wrong.items():
                so_far += [
                    min(p_values[first : first + methods]) * methods < 1 - LEVEL
                    for first in range(0, max(METHODS), methods)
                ]
    return float(np.mean(held)) if held else None, {m: float(np.mean(w)) for m, w in wrong.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--sizes", choices=SIZES, nargs="*", default=SIZES)
    parser.add_argument("--json", type=Path, help="also write the figures to a file")
    options = parser.parse_args()
    methods = " and ".join(", ".join(map(str, METHODS)).rsplit(", ", 1))
    print(f"{options.studies} studies a cell, with an interval for each of {max(METHODS)} methods.")
    print(f"Coverage of 95% intervals; % of studies with a false verdict: {methods} methods")
    print(f"{'clusters':36} " + " ".join(f"{count:>22}" for count in CLUSTERS))
    found = []
    for sizes in options.sizes:
        for shape in SHAPES:
            cells = []
            for clusters in CLUSTERS:
                coverage, wrong = rates(shape, sizes, clusters, options.studies)
                shown = " ".join(f"{100 * share:.1f}" for share in wrong.values())
                cells.append("none" if coverage is None else f"{coverage:.3f}; {shown}")
                found.append({"sizes": sizes, "shape": shape, "clusters": clusters})
                found[-1] |= {"coverage": coverage, "wrong": wrong}
            print(f"{sizes + ', ' + shape:36} " + " ".join(f"{c:>22}" for c in cells), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
