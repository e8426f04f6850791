"""Which cells a model is asked. A cell is one population and one question that it answered.

Every cell that is held out is asked. Of those trained on a sample is enough: with many questions,
asking all of them takes most of the time, and narrows intervals that are narrow already.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from suffrage.population import ValueSet
from suffrage.training_data import ItemSplit

# (value set, item)
SampledCell = tuple[str, str]


def sampled_trained_cells(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    left_out: Collection[str],
    most: int | None,
    seed: int,
) -> frozenset[SampledCell] | None:
    """Draw the cells that are asked of those trained on: all cells of some questions.

    Each question of a source has the same chance, and each source the same share of its questions,
    so that means over questions and over cells both stay what they are. Splits of other seeds have
    as many questions in common as they can: a model that is asked about all of them is asked
    little more.

    Parameters
    ----------
    value_sets : sequence of ValueSet
    split : ItemSplit
    left_out : collection of str
        Value sets that no model is trained on.
    most : int or None
        About how many cells the sample has; None for all.
    seed : int
        Of the draw.

    Returns
    -------
    frozenset of SampledCell, or None
        None where all cells are asked: there are few, or nothing is held out.
    """
    items = sorted({item for v in value_sets for item in v.distributions})
    ranks = np.random.default_rng([seed, 29]).permutation(len(items))
    cells: dict[str, list[SampledCell]] = {items[k]: [] for k in np.argsort(ranks)}
    for v in value_sets:
        for item in v.distributions:
            if is_trained((v.name, item), split, left_out):
                cells[item].append((v.name, item))
    total = sum(map(len, cells.values()))
    if most is None or not split.held_out or total <= most:
        return None
    by_source: dict[str, list[list[SampledCell]]] = {}
    for item, own in cells.items():
        if own:
            by_source.setdefault(_source(item), []).append(own)
    return frozenset(
        cell
        for questions in by_source.values()
        for own in questions[: max(1, round(len(questions) * most / total))]
        for cell in own
    )


def is_trained(cell: SampledCell, split: ItemSplit, left_out: Collection[str]) -> bool:
    """Whether neither the question nor the population of a cell is held out."""
    return cell[0] not in left_out and split.side(cell[1]) == "trained"


def asked_cells(
    value_sets: Sequence[ValueSet],
    splits: Sequence[ItemSplit],
    samples: Sequence[frozenset[SampledCell] | None],
    left_out: Collection[str],
    needed: Collection[str] = (),
) -> frozenset[SampledCell] | None:
    """The cells that a model is asked which answers for several splits; None for all.

    Parameters
    ----------
    value_sets : sequence of ValueSet
        Those the model answers for.
    splits : sequence of ItemSplit
    samples : sequence
        Of each split, what `sampled_trained_cells` gives.
    left_out : collection of str
        Value sets that no model is trained on.
    needed : collection of str
        Items that evaluations need the answers to, on whichever side they are.
    """
    wanted: set[SampledCell] = set()
    own = [(v.name, item) for v in value_sets for item in v.distributions]
    for split, sample in zip(splits, samples, strict=True):
        if sample is None:
            return None
        wanted |= {cell for cell in own if cell in sample or cell[1] in needed}
        wanted |= {cell for cell in own if not is_trained(cell, split, left_out)}
    return frozenset(wanted)


def _source(item: str) -> str:
    """The source of an item, "" where a study has one source only."""
    return item.partition(":")[0] if ":" in item else ""
