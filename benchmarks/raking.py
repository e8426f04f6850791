"""Raking 97,000 respondents to four margins, ours against svy and a plain pandas loop.

Margins of 2, 6, 5 and 16 categories, unequal base weights. The loop multiplies each category's weights
in turn until every margin holds to 1e-9, and svy runs to the same. Each runs in a process of its own;
the weights must agree within 1e-6 of themselves, or the exit code is 1.

    python benchmarks/raking.py            # needs pandas and svy: pip install ".[dev]"
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

SIZES = (2, 6, 5, 16)


def synthetic(respondents: int) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Base weights, the category of each respondent by margin, and the targets."""
    generator = np.random.default_rng(5)
    codes = [generator.choice(k, respondents, p=generator.dirichlet([6.0] * k)) for k in SIZES]
    targets = [generator.dirichlet([12.0] * k) for k in SIZES]
    return generator.lognormal(0, 0.4, respondents), codes, targets


def ours(respondents: int) -> tuple[float, np.ndarray]:
    from suffrage.survey.raking import Margin, rake

    base, codes, targets = synthetic(respondents)
    margins = [
        Margin(str(m), tuple(map(str, range(len(t)))), c.astype(np.int64), t)
        for m, (c, t) in enumerate(zip(codes, targets, strict=True))
    ]
    start = time.perf_counter()
    weights = rake(base, margins).weights
    return time.perf_counter() - start, weights


def with_pandas(respondents: int) -> tuple[float, np.ndarray]:
    import pandas as pd

    base, codes, targets = synthetic(respondents)
    frame = pd.DataFrame({f"m{m}": column for m, column in enumerate(codes)})
    frame["weight"] = base
    total = base.sum()
    start = time.perf_counter()
    gap = 1.0
    while gap > 1e-9:
        gap = 0.0
        for m, target in enumerate(targets):
            sums = frame.groupby(f"m{m}")["weight"].sum()
            factor = pd.Series(target * total, index=range(len(target))) / sums
            gap = max(gap, float((sums / total - target).abs().max()))
            frame["weight"] *= frame[f"m{m}"].map(factor)
    return time.perf_counter() - start, frame["weight"].to_numpy()


def with_svy(respondents: int) -> tuple[float, np.ndarray]:
    import polars as pl
    import svy

    base, codes, targets = synthetic(respondents)
    frame = pl.DataFrame({**{f"m{m}": column for m, column in enumerate(codes)}, "base": base})
    shares = {f"m{m}": dict(enumerate(target.tolist())) for m, target in enumerate(targets)}
    start = time.perf_counter()
    sample = svy.Sample(frame, svy.Design(wgt="base"))
    raked = sample.weighting.rake(shares=shares, wgt_name="raked", tol=1e-9, max_iter=2000)
    return time.perf_counter() - start, raked.data["raked"].to_numpy()


WAYS = {"suffrage": ours, "svy": with_svy, "pandas": with_pandas}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--respondents", type=int, default=97_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        seconds, weights = WAYS[given.alone](given.respondents)
        np.save(given.output, weights)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak_memory_bytes": peak}))
        return 0
    found, weights = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for way in WAYS:
            output = str(Path(folder) / f"{way}.npy")
            words = [sys.executable, __file__, "--respondents", str(given.respondents)]
            words += ["--alone", way, "--output", output]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            found[way] = json.loads(done.stdout)
            weights[way] = np.load(output)
    others = [way for way in WAYS if way != "suffrage"]
    gap = max(float(np.abs(weights["suffrage"] / weights[way] - 1).max()) for way in others)
    ratio = {way: found[way]["seconds"] / found["suffrage"]["seconds"] for way in others}
    if given.json:
        size = {"respondents": given.respondents, "margins": SIZES}
        print(json.dumps({**size, "ways": found, "ratio": ratio, "largest_difference": gap}))
    else:
        print(f"{given.respondents:,} respondents, margins of {', '.join(map(str, SIZES))}")
        for way, figures in found.items():
            memory = figures["peak_memory_bytes"] / 1e9
            times = f"   {ratio[way]:.1f} times ours" if way in ratio else ""
            print(f"  {way:<10} {figures['seconds']:8.3f} s   peak {memory:.2f} GB{times}")
        print(f"  largest relative difference {gap:.1e}")
    return 0 if gap < 1e-6 else 1


if __name__ == "__main__":
    sys.exit(main())
