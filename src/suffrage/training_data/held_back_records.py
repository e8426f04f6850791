"""Records of any kind next to what is held back from them to choose a training's best point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from suffrage.population import ValueSet
from suffrage.training_data.answers_in_context import RecordPersonas
from suffrage.training_data.distribution_records import validation_rows
from suffrage.training_data.records import RecordRow, Records, RecordSettings, trained_items
from suffrage.training_data.split import ItemSplit, held_back

# As `RecordBuilder.build`.
BuildRecords = Callable[
    [Sequence[ValueSet], ItemSplit, int, np.random.Generator, RecordSettings], Records
]


def with_asked(records: Records, asked: Sequence[RecordRow]) -> Records:
    """The records with rows behind them that are asked and never trained on.

    Parameters
    ----------
    records : Records
    asked : sequence of rows
        Each has `answers` and `target`.
    """
    rows = [{**row, "validation": False} for row in records.frame.to_dicts()]
    rows += [
        {**row, "id": f"{place:06d}", "validation": True}
        for place, row in enumerate(asked, len(rows))
    ]
    return replace(records, frame=pl.DataFrame(rows, infer_schema_length=None))


def build_with_held_back(
    build: BuildRecords,
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """Records of a survey's items without those held back, which are asked as distributions.

    Parameters
    ----------
    build : callable
        Makes the records of what is left.
    value_sets, split, count, generator, settings
        As `RecordBuilder.build` has them; `settings.validation` says how much is held back.
    """
    sample = settings.validation
    assert sample is not None
    items = list(trained_items(value_sets, split).values())
    back = held_back(items, sample.share, generator, split.trained_before)
    rest = replace(split, train=tuple(item for item in split.train if item not in back))
    learnt = build(value_sets, rest, count, generator, replace(settings, validation=None))
    personas = RecordPersonas(
        value_sets, split, back, settings.in_context, settings.seed, generator
    )
    asked = validation_rows(value_sets, back, generator, settings, personas)
    found = with_asked(learnt, asked)
    return replace(found, made_from={**found.made_from, "validation": sorted(back)})
