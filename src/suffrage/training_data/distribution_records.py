"""Distribution records: the whole answer distribution of a population, one item a record.

What they teach: shares, so that an item costs one visit however many people answered it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from suffrage.population import ValueSet
from suffrage.training_data.records import (
    RecordBuilder,
    Records,
    RecordSettings,
    origin,
    question_and_answers,
    random_question,
    row_start,
    training_pairs,
)
from suffrage.training_data.split import ItemSplit


def build_distributions(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """`count` records from the trained items: at each visit one label set, both ways round.

    The two ways of a visit are next to each other, so that a step sees an item with its options in
    one order and in the opposite one: what then lowers the loss is what the options say, not where
    they are. They share the text up to the options, which packed rows compute once. In the written
    format a visit is one record.
    """
    rows: list[dict[str, Any]] = []
    visits = count if settings.format == "written" else -(-count // 2)
    for value_set, item_id in training_pairs(value_sets, split, visits, generator):
        distribution = value_set.distributions[item_id]
        item, persona = distribution.item, value_set.description
        if settings.format == "written":
            shown = [question_and_answers(item, persona, settings.format, generator)]
        else:
            question = random_question(item, persona, generator)
            turned = replace(question, order=question.order[::-1])
            shown = [(q.user_text, q.label_of_position) for q in (question, turned)]
        for user, answers in shown:
            rows.append(
                {
                    **row_start(len(rows), value_set.name, item_id, user, settings.format),
                    "answers": list(answers),
                    "target": distribution.shares.tolist(),
                    "ordered": item.ordered,
                }
            )
    frame = pl.DataFrame(rows[:count])
    return Records("distribution", frame, origin(value_sets, split, settings))


BUILDER = RecordBuilder("distribution", build_distributions)
