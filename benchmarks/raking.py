"""Raking 97,000 respondents to four margins, ours against a plain pandas loop.

Margins of 2, 6, 5 and 16 categories, unequal base weights. The loop multiplies each category's weights
in turn until every margin holds to 1e-9. Each runs in a process of its own; the weights must agree
within 1e-6 of themselves, or the exit code is 1.

    python benchmarks/raking.py            # needs pandas: pip install ".[demo]"
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


WAYS = {"suffrage": ours, "pandas": with_pandas}


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
    gap = float(np.abs(weights["suffrage"] / weights["pandas"] - 1).max())
    ratio = found["pandas"]["seconds"] / found["suffrage"]["seconds"]
    if given.json:
        size = {"respondents": given.respondents, "margins": SIZES}
        print(json.dumps({**size, "ways": found, "ratio": ratio, "largest_difference": gap}))
    else:
        print(f"{given.respondents:,} respondents, margins of {', '.join(map(str, SIZES))}")
        for way, figures in found.items():
            memory = figures["peak_memory_bytes"] / 1e9
            print(f"  {way:<10} {figures['seconds']:8.3f} s   peak {memory:.2f} GB")
        print(f"  pandas takes {ratio:.0f} times as long; largest relative difference {gap:.1e}")
    return 0 if gap < 1e-6 else 1


if __name__ == "__main__":
    sys.exit(main())
