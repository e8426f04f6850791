"""All weighted answer distributions of a survey the size of WVS-7, ours against pandas.

97,000 respondents x 290 items in 64 countries with weights: shares, linearised standard errors
and effective sample sizes for every item in every country. Pandas twice: "plain", item by item
and country by country as a survey script is usually written, and "grouped", the best we could
make of it, one groupby of precomputed columns an item. Each way runs in a process of its own, so
that its peak memory is its own; the table is built the same in all and counts for nobody's time.
All must give the same figures within 1e-9, or the exit code is 1.

    python benchmarks/profile.py            # needs pandas: pip install "suffrage[demo]"

With `--commands`, a file of a million respondents x 50 items is written as CSV and as Parquet, and
`inspect`, `profile` and `run --only value_sets` read it, each in a process of its own. The exit
code is 1 where one takes more than 30 s or 2 GB.

    python benchmarks/profile.py --commands [--respondents 1000000] [--items 50] [--json]
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

import contest
import survey_commands
from contest import Found

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


def empty(options: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = (len(options), COUNTRIES, max(options))
    return np.zeros(shape), np.zeros(shape), np.zeros(shape[:2])


def figures(shares: np.ndarray, errors: np.ndarray, n_eff: np.ndarray) -> dict[str, np.ndarray]:
    """Shares and standard errors (items, countries, options), n_eff (items, countries)."""
    return {"shares": shares, "errors": errors, "n_eff": n_eff}


def ours(respondents: int, items: int) -> Found:
    from suffrage.population.distributions import grouped_shares

    table = synthetic(respondents, items)
    start = time.perf_counter()
    found = grouped_shares(*table, COUNTRIES)
    seconds = time.perf_counter() - start
    return seconds, figures(found.shares, found.standard_errors, found.n_eff)


def plain_pandas(respondents: int, items: int) -> Found:
    """Item by item and country by country, as a survey script is usually written."""
    import pandas as pd

    positions, options, weights, countries = synthetic(respondents, items)
    frame = pd.DataFrame({f"q{j}": column for j, column in enumerate(positions)})
    frame["weight"], frame["country"] = weights, countries
    shares, errors, n_eff = empty(options)
    start = time.perf_counter()
    for j, k in enumerate(options):
        for country, group in frame[["country", "weight", f"q{j}"]].groupby("country"):
            answered = group[group[f"q{j}"] >= 0]
            w = answered["weight"]
            p = w.groupby(answered[f"q{j}"]).sum().reindex(range(k), fill_value=0) / w.sum()
            n = len(answered)
            n_eff[j, country] = w.sum() ** 2 / (w**2).sum()
            for option in range(k):
                residual = w * ((answered[f"q{j}"] == option) - p[option])
                variance = n / (n - 1) * (residual**2).sum() / w.sum() ** 2
                shares[j, country, option] = p[option]
                errors[j, country, option] = np.sqrt(variance)
    return time.perf_counter() - start, figures(shares, errors, n_eff)


def grouped_pandas(respondents: int, items: int) -> Found:
    """One groupby by country and answer an item; the rest on small tables."""
    import pandas as pd

    positions, options, weights, countries = synthetic(respondents, items)
    frame = pd.DataFrame({f"q{j}": column for j, column in enumerate(positions)})
    frame["weight"], frame["country"] = weights, countries
    shares, errors, n_eff = empty(options)
    start = time.perf_counter()
    frame["squared"] = frame["weight"] ** 2
    for j, k in enumerate(options):
        item = f"q{j}"
        answered = frame.loc[frame[item] >= 0, ["country", item, "weight", "squared"]]
        by = answered.groupby(["country", item])
        sums = by[["weight", "squared"]].sum()
        w, w2 = (
            sums[name].unstack(fill_value=0).reindex(columns=range(k), fill_value=0)
            for name in ("weight", "squared")
        )
        n = by.size().groupby("country").sum()
        total, total2 = w.sum(axis=1), w2.sum(axis=1)
        p = w.div(total, axis=0)
        spread = (1 - p) ** 2 * w2 + p**2 * w2.rsub(total2, axis=0)
        error = np.sqrt(spread.mul(n / (n - 1), axis=0)).div(total, axis=0)
        shares[j, p.index, :k] = p
        errors[j, p.index, :k] = error
        n_eff[j, p.index] = total**2 / total2
    return time.perf_counter() - start, figures(shares, errors, n_eff)


WAYS = {"suffrage": ours, "pandas plain": plain_pandas, "pandas grouped": grouped_pandas}


def main() -> int:
    if "--commands" in sys.argv[1:]:
        return commands()
    found = contest.hold(
        __file__, __doc__.splitlines()[0], WAYS, {"respondents": 97_000, "items": 290}
    )
    # A cell without an answer is NaN in ours and 0 in the others, and not compared.
    gap = max(
        float(np.nanmax(np.abs(array - found.arrays[way][name])))
        for way in found.ratio("suffrage")
        for name, array in found.arrays["suffrage"].items()
    )
    respondents, items = found.sizes.values()
    found.tell(
        f"{respondents:,} respondents x {items} items x {COUNTRIES} countries",
        "suffrage",
        {"countries": COUNTRIES, "largest_difference": gap},
        f"  largest difference {gap:.1e}",
    )
    return 0 if gap < 1e-9 else 1


def commands() -> int:
    """The commands on a large file; 1 where one takes too much."""
    parser = argparse.ArgumentParser(description=survey_commands.__doc__)
    parser.add_argument("--commands", action="store_true")
    parser.add_argument("--respondents", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    return survey_commands.report(given.respondents, given.items, given.json)


if __name__ == "__main__":
    sys.exit(main())
