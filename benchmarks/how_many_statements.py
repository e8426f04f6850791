"""How well the words of statements tell how people will vote on others, by how many were voted on.

Of each conversation, some statements are held out, with all that say nearly the same. A regression
on words, the one that is `factors` with `states: text` and the teacher of `distribution`, learns
the votes on some of the rest. Its fit to the votes on those held out is compared with that of the
average vote, which ignores the statement. No model is trained.

    python benchmarks/how_many_statements.py EXPORT [EXPORT:PREFIX ...]

An EXPORT is the folder of a Polis export; PREFIX is what its files begin with.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.consult.polis.conversation import consultation_of
from suffrage.consult.polis.read_files import read_polis
from suffrage.population.distribution_distances import fit
from suffrage.training_data.low_rank import ItemAnswers
from suffrage.training_data.split import near_duplicate_groups
from suffrage.training_data.vote_records import VoteCounts
from suffrage.training_data.word_kernel import WordKernel
from suffrage.training_data.word_regression import (
    AskedItem,
    choose_settings,
    fit_words,
    word_features,
)

COUNTS = (25, 50, 100, 150, 200)
HELD_OUT = 0.2
LEAST_VOTERS = 20


def voted_statements(folder: str, prefix: str | None) -> list[AskedItem]:
    """The statements that enough people voted on, with the votes of everybody."""
    content = consultation_of(read_polis(folder, prefix), "conversation")
    people = dict.fromkeys(content.participants["participant"].to_list(), 1.0)
    statements = content.statements["statement"].to_list()
    cells, _ = VoteCounts.of(content, people, statements, 1.0).distributions(people, LEAST_VOTERS)
    groups = near_duplicate_groups([cell.item for cell in cells.values()])
    return [
        AskedItem(
            cell.item, ItemAnswers(np.zeros(1, dtype=np.int64), cell.shares[None], groups[id])
        )
        for id, cell in sorted(cells.items())
    ]


def gains(asked: Sequence[AskedItem], count: int, seed: int) -> FloatArray | None:
    """How much better the regression fits each statement held out than the average vote does."""
    generator = np.random.default_rng([seed, count])
    groups = sorted({one.answers.group for one in asked})
    away = set(generator.permutation(groups)[: round(HELD_OUT * len(groups))])
    held_out = [one for one in asked if one.answers.group in away]
    rest = [one for one in asked if one.answers.group not in away]
    if count > len(rest):
        return None
    known = [rest[k] for k in generator.permutation(len(rest))[:count]]
    best = choose_settings(known, 1, seed)
    blocks, model = fit_words(known, 1, best.settings, seed)
    features = word_features([WordKernel(block) for block in blocks], [o.item for o in held_out])
    average = np.mean([one.answers.shares[0] for one in known], axis=0)
    return np.array(
        [
            float(fit(one.answers.shares[0], model.predict(own, 0)))
            - float(fit(one.answers.shares[0], average))
            for one, own in zip(held_out, features, strict=True)
        ]
    )


def measured(export: str, repeats: int) -> dict[str, Any]:
    """One conversation: its statements, and the gain at each number of them that is known."""
    folder, _, prefix = export.partition(":")
    asked = voted_statements(folder, prefix or None)
    found = {}
    for count in COUNTS:
        each = [gains(asked, count, seed) for seed in range(repeats)]
        means = [float(own.mean()) for own in each if own is not None]
        if means:
            low, high = np.quantile(means, [0.025, 0.975])
            found[count] = {"gain": float(np.mean(means)), "low": float(low), "high": float(high)}
    name = folder.rstrip("/").split("/")[-1]
    return {"conversation": name, "statements": len(asked), "gains": found}


def main() -> int:
    """Measure every conversation and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("exports", nargs="+", metavar="EXPORT[:PREFIX]")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [measured(export, given.repeats) for export in given.exports]
    if given.json:
        print(json.dumps(rows, indent=1))
        return 0
    print("| conversation | statements | " + " | ".join(f"{n} known" for n in COUNTS) + " |")
    print("| --- | --- |" + " --- |" * len(COUNTS))
    for row in rows:
        cells = [
            f"{own['gain']:+.3f} ({own['low']:+.3f} to {own['high']:+.3f})"
            for own in row["gains"].values()
        ]
        cells += [""] * (len(COUNTS) - len(cells))
        print(f"| {row['conversation']} | {row['statements']} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
