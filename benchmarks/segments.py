"""Latent class analysis of 20,000 respondents x 40 items, ours against StepMix.

Three true classes, weights, one answer in ten missing; both fit three classes from the same number
of random starts, each run to the same tolerance, and must find the same classes: largest difference
of their shares and profiles below 1e-3, or the exit code is 1.

    python benchmarks/segments.py            # needs StepMix: pip install ".[dev]"
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from itertools import permutations

import numpy as np

import contest
from contest import Found

CLASSES, STARTS = 3, 10


def synthetic(respondents: int, items: int) -> tuple[list[np.ndarray], list[int], np.ndarray]:
    """Positions (Int8, -1 for no answer), option counts, weights."""
    generator = np.random.default_rng(11)
    options = [int(k) for k in generator.integers(2, 7, items)]
    truth = generator.choice(CLASSES, respondents, p=[0.5, 0.3, 0.2])
    columns = []
    for k in options:
        profiles = generator.dirichlet(np.full(k, 0.8), CLASSES).cumsum(axis=1)
        column = (generator.random(respondents)[:, None] > profiles[truth]).sum(axis=1)
        column = np.minimum(column, k - 1).astype(np.int8)
        column[generator.random(respondents) < 0.1] = -1
        columns.append(column)
    return columns, options, generator.lognormal(0, 0.4, respondents)


def figures(shares: np.ndarray, profiles: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Shares (classes,) and profiles (classes, sum of options)."""
    return {"shares": shares, "profiles": np.concatenate(profiles, axis=1)}


def ours(respondents: int, items: int) -> Found:
    from suffrage.population.latent_classes import fit_latent_classes

    columns, options, weights = synthetic(respondents, items)
    start = time.perf_counter()
    found = fit_latent_classes(
        columns, options, weights, CLASSES, np.random.default_rng(1), starts=STARTS
    )
    seconds = time.perf_counter() - start
    return seconds, figures(found.shares, list(found.profiles))


def with_stepmix(respondents: int, items: int) -> Found:
    from stepmix import StepMix

    columns, options, weights = synthetic(respondents, items)
    table = np.array(columns, dtype=float).T
    table[table < 0] = np.nan
    model = StepMix(
        n_components=CLASSES,
        measurement="categorical_nan",
        n_init=STARTS,
        max_iter=2000,
        abs_tol=1e-9,
        rel_tol=1e-14,
        random_state=1,
        progress_bar=0,
        verbose=0,
    )
    start = time.perf_counter()
    model.fit(table, sample_weight=weights)
    seconds = time.perf_counter() - start
    members = model.predict_proba(table) * weights[:, None]
    # At the fixed point, profiles are the members' weighted answers; StepMix packs its own in
    # another way.
    profiles = [
        np.stack([members[column == k].sum(axis=0) for k in range(count)], axis=1)
        for column, count in zip(columns, options, strict=True)
    ]
    profiles = [p / p.sum(axis=1, keepdims=True) for p in profiles]
    return seconds, figures(members.sum(axis=0) / weights.sum(), profiles)


WAYS = {"suffrage": ours, "stepmix": with_stepmix}


def difference(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> float:
    """The largest difference of shares and profiles, classes matched as well as they can be."""
    return min(
        max(
            float(np.abs(first["shares"] - second["shares"][list(order)]).max()),
            float(np.abs(first["profiles"] - second["profiles"][list(order)]).max()),
        )
        for order in permutations(range(CLASSES))
    )


def main() -> int:
    found = contest.hold(
        __file__, __doc__.splitlines()[0], WAYS, {"respondents": 20_000, "items": 40}
    )
    gap = difference(found.arrays["suffrage"], found.arrays["stepmix"])
    respondents, items = found.sizes.values()
    found.tell(
        f"{respondents:,} respondents x {items} items, {STARTS} starts",
        "suffrage",
        {"starts": STARTS, "largest_difference": gap},
        f"  largest difference {gap:.1e}",
    )
    return 0 if gap < 1e-3 else 1


if __name__ == "__main__":
    sys.exit(main())
