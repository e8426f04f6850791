"""All weighted answer distributions of a survey the size of WVS-7, ours against plain pandas.

97,000 respondents x 290 items in 64 countries with weights: shares, linearised standard errors
and effective sample sizes for every item in every country. Each way runs in a process of its own,
so that its peak memory is its own; the table is built the same in both and counts for neither's
time. Both must give the same shares and errors within 1e-9, or the exit code is 1.

    python benchmarks/profile.py            # needs pandas: pip install "suffrage[demo]"
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

COUNTRIES = 64


def synthetic(
    respondents: int, items: int
) -> tuple[list[np.ndarray], list[int], np.ndarray, np.ndarray]:
    """Positions (Int8, -1 for no answer), option counts, weights, countries."""
    generator = np.random.default_rng(7)
    options = [int(k) for k in generator.integers(2, 11, items)]
    positions = []
    for k in options:
        column = generator.integers(0, k, respondents, dtype=np.int8)
        column[generator.random(respondents) < 0.06] = -1
        positions.append(column)
    weights = generator.lognormal(0, 0.4, respondents)
    countries = generator.integers(0, COUNTRIES, respondents)
    return positions, options, weights, countries


def ours(respondents: int, items: int) -> tuple[float, np.ndarray, np.ndarray]:
    from suffrage.population.distributions import grouped_shares

    table = synthetic(respondents, items)
    start = time.perf_counter()
    found = grouped_shares(*table, COUNTRIES)
    return time.perf_counter() - start, found.shares, found.standard_errors


def plain_pandas(respondents: int, items: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Item by item and country by country, as a survey script is usually written."""
    import pandas as pd

    positions, options, weights, countries = synthetic(respondents, items)
    frame = pd.DataFrame({f"q{j}": column for j, column in enumerate(positions)})
    frame["weight"], frame["country"] = weights, countries
    shares = np.zeros((items, COUNTRIES, max(options)))
    errors = np.zeros_like(shares)
    start = time.perf_counter()
    for j, k in enumerate(options):
        for country, group in frame[["country", "weight", f"q{j}"]].groupby("country"):
            answered = group[group[f"q{j}"] >= 0]
            w = answered["weight"]
            p = w.groupby(answered[f"q{j}"]).sum().reindex(range(k), fill_value=0) / w.sum()
            n = len(answered)
            for option in range(k):
                residual = w * ((answered[f"q{j}"] == option) - p[option])
                variance = n / (n - 1) * (residual**2).sum() / w.sum() ** 2
                shares[j, country, option] = p[option]
                errors[j, country, option] = np.sqrt(variance)
    return time.perf_counter() - start, shares, errors


WAYS = {"suffrage": ours, "pandas": plain_pandas}


def run_alone(way: str, respondents: int, items: int, output: str) -> None:
    """One way in this process: its figures to a file, its time and peak memory to stdout."""
    seconds, shares, errors = WAYS[way](respondents, items)
    np.savez(output, shares=shares, errors=errors)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_memory_bytes": peak}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--respondents", type=int, default=97_000)
    parser.add_argument("--items", type=int, default=290)
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
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            found[way] = json.loads(done.stdout)
            arrays[way] = dict(np.load(output))
    gap = max(
        float(np.nanmax(np.abs(arrays["suffrage"][name] - arrays["pandas"][name])))
        for name in ("shares", "errors")
    )
    ratio = found["pandas"]["seconds"] / found["suffrage"]["seconds"]
    if given.json:
        print(json.dumps({**found, "ratio": ratio, "largest_difference": gap}))
    else:
        print(f"{given.respondents:,} respondents x {given.items} items x {COUNTRIES} countries")
        for way, figures in found.items():
            memory = figures["peak_memory_bytes"] / 1e9
            print(f"  {way:<9} {figures['seconds']:8.2f} s   peak {memory:.2f} GB")
        print(f"  ratio {ratio:.0f}, largest difference {gap:.1e}")
    return 0 if gap < 1e-9 else 1


if __name__ == "__main__":
    sys.exit(main())
