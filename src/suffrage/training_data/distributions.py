"""Distribution records: the whole answer distribution of a population, one item a record.

What it learns from: shares, so that an item costs one visit however many people answered it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from suffrage.models import SENTENCES, open_question, sentences
from suffrage.population import ValueSet
from suffrage.training_data.records import (
    RecordBuilder,
    Records,
    RecordSettings,
    origin,
    random_question,
    trained_items,
)
from suffrage.training_data.split import ItemSplit


def build_distributions(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """`count` records from the trained items: an item at a time, asked of every population.

    A visit to an item draws one way of asking; it is put with its options in one order and in the
    opposite one, for each value set in turn. What then lowers the loss is what the options say, not
    where they stand, and who is asked, not what is asked. All of a visit share the text up to the
    options or the persona, which packed rows compute once. The written format has one order.
    """
    rows: list[dict[str, Any]] = []
    while len(rows) < count:
        for item_id in trained_items(value_sets, split, generator):
            having = [v for v in value_sets if item_id in v.distributions]
            item = having[0].distributions[item_id].item
            style = int(generator.integers(len(SENTENCES)))
            question = random_question(item, None, generator)
            ways = [question, replace(question, order=question.order[::-1])]
            for way in ways[: 1 if settings.format == "written" else 2]:
                for value_set in having:
                    distribution = value_set.distributions[item_id]
                    if settings.format == "written":
                        user = open_question(item, value_set.description)
                        answers = sentences(distribution.item, style)
                    else:
                        asking = replace(way, persona=value_set.description)
                        user, answers = asking.user_text, asking.label_of_position
                    rows.append(
                        {
                            "id": f"{len(rows):06d}",
                            "value_set": value_set.name,
                            "item": item_id,
                            "user": user,
                            "format": settings.format,
                            "answers": list(answers),
                            "target": distribution.shares.tolist(),
                            "ordered": item.ordered,
                        }
                    )
    frame = pl.DataFrame(rows[:count])
    return Records("distribution", frame, origin(value_sets, split, settings))


BUILDER = RecordBuilder("distribution", build_distributions)
