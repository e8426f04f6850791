"""How often a spectrum is called groups, and groups are found, in made-up votes.

Gradients are people evenly or normally spread along one line, or in a plane, who vote by a logistic
item-response model. Planted groups vote by shares of their own (beta 0.5, 0.5). In noise everybody
votes by the same shares. Each try is what `suffrage consult groups` does.

    python benchmarks/spectrum.py --tries 50
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable

import numpy as np

UNSEEN, PASSES = -128, 0.08


def along(line: np.ndarray, statements: int, slope: float, generator: np.random.Generator):
    """Shares who agree, of people placed on a line or in a plane: (people, statements)."""
    turned = generator.normal(size=(line.shape[1], statements))
    turned /= np.linalg.norm(turned, axis=0)
    slopes = slope * turned * generator.uniform(0.5, 1.5, statements)
    return 1 / (1 + np.exp(-(line @ slopes - slope * generator.normal(size=statements))))


def gradient(
    how: str, slope: float, dimensions: int = 1
) -> Callable[[np.random.Generator, int, int], np.ndarray]:
    def shares(generator: np.random.Generator, people: int, statements: int) -> np.ndarray:
        size = (people, dimensions)
        line = generator.normal(size=size)
        if how == "even":
            line = generator.uniform(-np.sqrt(3), np.sqrt(3), size)
        return along(line, statements, slope, generator)

    return shares


def planted(*sizes: float) -> Callable[[np.random.Generator, int, int], np.ndarray]:
    def shares(generator: np.random.Generator, people: int, statements: int) -> np.ndarray:
        truth = generator.choice(len(sizes), people, p=sizes)
        return generator.beta(0.5, 0.5, (len(sizes), statements))[truth]

    return shares


CASES = {
    "even line, slope 2": (gradient("even", 2), "spectrum"),
    "even line, slope 4": (gradient("even", 4), "spectrum"),
    "normal line, slope 2": (gradient("normal", 2), "spectrum"),
    "normal line, slope 4": (gradient("normal", 4), "spectrum"),
    "even plane, slope 3": (gradient("even", 3, 2), "no groups"),
    "two groups, 60 : 40": (planted(0.6, 0.4), "groups"),
    "three groups, 50 : 30 : 20": (planted(0.5, 0.3, 0.2), "groups"),
    "noise": (planted(1.0), "no groups"),
}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--tries", type=int, default=50)
    asked.add_argument("--people", type=int, default=250)
    asked.add_argument("--statements", type=int, default=40)
    asked.add_argument("--seen", type=float, default=0.6, help="the share of statements seen")
    asked.add_argument("--resamples", type=int, default=20)
    asked.add_argument("--case", help="only cases with these words in their name")
    given = asked.parse_args()
    from suffrage.consult.groups.stability import stable_groups
    from suffrage.consult.votes import arranged

    print(f"{'votes':<28} {'groups':>7} {'spectrum':>9} {'uncertain':>10}  numbers of groups")
    for name, (shares_of, _) in CASES.items():
        if given.case and given.case not in name:
            continue
        verdicts: Counter[str] = Counter()
        numbers: Counter[int] = Counter()
        for seed in range(given.tries):
            generator = np.random.default_rng([seed, 5])
            shares = shares_of(generator, given.people, given.statements)
            votes = np.where(generator.random(shares.shape) < shares, 1, -1)
            votes[generator.random(shares.shape) < PASSES] = 0
            votes[generator.random(shares.shape) > given.seen] = UNSEEN
            ids = [[str(i) for i in range(size)] for size in shares.shape]
            found, tried = stable_groups(
                arranged(*ids, votes.astype(np.int8)), resamples=given.resamples
            )
            row = next(row for row in tried if row.groups == found.count)
            verdicts[row.verdict] += 1
            numbers[found.count] += 1
        told = [f"{verdicts[v] / given.tries:.0%}" for v in ("groups", "spectrum", "uncertain")]
        print(
            f"{name:<28} {told[0]:>7} {told[1]:>9} {told[2]:>10}  {dict(sorted(numbers.items()))}",
            flush=True,
        )


if __name__ == "__main__":
    main()
