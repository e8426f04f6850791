"""Raking 97,000 respondents to four margins, ours against svy and a plain pandas loop.

Margins of 2, 6, 5 and 16 categories, unequal base weights. The loop multiplies each category's
weights in turn until every margin holds to 1e-9, and svy runs to the same. Each runs in a process
of its own; the weights must agree within 1e-6 of themselves, or the exit code is 1.

    python benchmarks/raking.py            # needs pandas and svy: pip install ".[dev]"
"""

from __future__ import annotations

import sys
import time

import numpy as np

import contest
from contest import Found

SIZES = (2, 6, 5, 16)


def synthetic(respondents: int) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Base weights, the category of each respondent by margin, and the targets."""
    generator = np.random.default_rng(5)
    codes = [generator.choice(k, respondents, p=generator.dirichlet([6.0] * k)) for k in SIZES]
    targets = [generator.dirichlet([12.0] * k) for k in SIZES]
    return generator.lognormal(0, 0.4, respondents), codes, targets


def ours(respondents: int) -> Found:
    from suffrage.survey.raking import Margin, rake

    base, codes, targets = synthetic(respondents)
    margins = [
        Margin(str(m), tuple(map(str, range(len(t)))), c.astype(np.int64), t)
        for m, (c, t) in enumerate(zip(codes, targets, strict=True))
    ]
    start = time.perf_counter()
    weights = rake(base, margins).weights
    return time.perf_counter() - start, {"weights": weights}


def with_pandas(respondents: int) -> Found:
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
    return time.perf_counter() - start, {"weights": frame["weight"].to_numpy()}


def with_svy(respondents: int) -> Found:
    import polars as pl
    import svy

    base, codes, targets = synthetic(respondents)
    frame = pl.DataFrame({**{f"m{m}": column for m, column in enumerate(codes)}, "base": base})
    shares = {f"m{m}": dict(enumerate(target.tolist())) for m, target in enumerate(targets)}
    start = time.perf_counter()
    sample = svy.Sample(frame, svy.Design(wgt="base"))
    raked = sample.weighting.rake(shares=shares, wgt_name="raked", tol=1e-9, max_iter=2000)
    return time.perf_counter() - start, {"weights": raked.data["raked"].to_numpy()}


WAYS = {"suffrage": ours, "svy": with_svy, "pandas": with_pandas}


def main() -> int:
    found = contest.hold(__file__, __doc__.splitlines()[0], WAYS, {"respondents": 97_000})
    weights = {way: arrays["weights"] for way, arrays in found.arrays.items()}
    others = found.ratio("suffrage")
    gap = max(float(np.abs(weights["suffrage"] / weights[way] - 1).max()) for way in others)
    found.tell(
        f"{found.sizes['respondents']:,} respondents, margins of {', '.join(map(str, SIZES))}",
        "suffrage",
        {"margins": SIZES, "largest_difference": gap},
        f"  largest relative difference {gap:.1e}",
    )
    return 0 if gap < 1e-6 else 1


if __name__ == "__main__":
    sys.exit(main())
