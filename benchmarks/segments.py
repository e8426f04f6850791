"""Latent class analysis of 20,000 respondents x 40 items, ours against StepMix.

Three true classes, weights, one answer in ten missing; both fit three classes from the same number
of random starts, each run to the same tolerance, and must find the same classes: largest difference
of their shares and profiles below 1e-3, or the exit code is 1. Each runs in a process of its own.

    python benchmarks/segments.py            # needs StepMix: pip install ".[dev]"
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import permutations
from pathlib import Path

import numpy as np

CLASSES, STARTS = 3, 10

# Seconds, shares (classes,) and profiles (classes, sum of options).
Found = tuple[float, np.ndarray, np.ndarray]


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


def ours(respondents: int, items: int) -> Found:
    from suffrage.population.latent_classes import fit_latent_classes

    columns, options, weights = synthetic(respondents, items)
    start = time.perf_counter()
    found = fit_latent_classes(
        columns, options, weights, CLASSES, np.random.default_rng(1), starts=STARTS
    )
    seconds = time.perf_counter() - start
    return seconds, found.shares, np.concatenate(found.profiles, axis=1)


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
    # At the fixed point profiles are the members' weighted answers; the peer packs its own otherwise.
    profiles = [
        np.stack([members[column == k].sum(axis=0) for k in range(count)], axis=1)
        for column, count in zip(columns, options, strict=True)
    ]
    profiles = [p / p.sum(axis=1, keepdims=True) for p in profiles]
    return seconds, members.sum(axis=0) / weights.sum(), np.concatenate(profiles, axis=1)


WAYS = {"suffrage": ours, "stepmix": with_stepmix}


def run_alone(way: str, respondents: int, items: int, output: str) -> None:
    """One way in this process: its figures to a file, its time and peak memory to stdout."""
    seconds, shares, profiles = WAYS[way](respondents, items)
    np.savez(output, shares=shares, profiles=profiles)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_memory_bytes": peak}))


def difference(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    """The largest difference of shares and profiles, classes matched as well as they can be."""
    return min(
        max(
            float(np.abs(first["shares"] - second["shares"][list(order)]).max()),
            float(np.abs(first["profiles"] - second["profiles"][list(order)]).max()),
        )
        for order in permutations(range(CLASSES))
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--respondents", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        run_alone(given.alone, given.respondents, given.items, given.output)
        return 0
    found, arrays = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for way in WAYS:
            output = str(Path(folder) / f"{way}.npz")
            size = ["--respondents", str(given.respondents), "--items", str(given.items)]
            words = [sys.executable, __file__, *size, "--alone", way, "--output", output]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            found[way] = json.loads(done.stdout.splitlines()[-1])
            arrays[way] = dict(np.load(output))
    gap = difference(arrays["suffrage"], arrays["stepmix"])
    ratio = found["stepmix"]["seconds"] / found["suffrage"]["seconds"]
    if given.json:
        size = {"respondents": given.respondents, "items": given.items, "starts": STARTS}
        print(json.dumps({**size, "ways": found, "ratio": ratio, "largest_difference": gap}))
    else:
        print(f"{given.respondents:,} respondents x {given.items} items, {STARTS} starts")
        for way, figures in found.items():
            memory = figures["peak_memory_bytes"] / 1e9
            print(f"  {way:<10} {figures['seconds']:8.2f} s   peak {memory:.2f} GB")
        print(f"  StepMix takes {ratio:.1f} times as long; largest difference {gap:.1e}")
    return 0 if gap < 1e-3 else 1


if __name__ == "__main__":
    sys.exit(main())
