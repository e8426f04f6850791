"""Records from a consultation: pairs as people compared them, answers as they liked them.

What they teach: which of two answers a public prefers, and by how much; what it likes at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from suffrage.consult.judgements import counted_likings, counted_pairs
from suffrage.errors import InputError
from suffrage.models.asking import persona_prompt
from suffrage.population import ValueSet
from suffrage.training_data.consultation_source import ConsultationSource
from suffrage.training_data.preference_pairs import labelled
from suffrage.training_data.records import (
    RecordBuilder,
    Records,
    RecordSettings,
    in_random_rounds,
    origin,
    row_start,
)
from suffrage.training_data.split import ItemSplit


def build_comparisons(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """`count` preference records, every compared pair once in random order, then again.

    share: of a value set's participants who compared the two, how many are behind the chosen, a
    tie being half a vote for each; weight: what they count for, with mean 1.
    """
    source = _source(settings)
    found: list[dict[str, Any]] = []
    for value_set in value_sets:
        for pair in counted_pairs(source.consultation, source.weights_of(value_set.name)):
            if pair.decided > 0 and pair.prompt in source.prompts:
                found.append({"value_set": value_set, "pair": pair, "weight": pair.decided})
    texts, prompts = _texts(source)
    rows = []
    for place, (entry, weight) in enumerate(_drawn(found, count, generator, "comparison")):
        value_set, pair = entry["value_set"], entry["pair"]
        first, second = texts[pair.first], texts[pair.second]
        drawn = first if generator.random() < pair.share else second
        label = labelled(pair.share, settings.labels, generator)
        if label < 0.5 or (label == 0.5 and generator.random() < 0.5):
            first, second, label = second, first, 1 - label
        user = persona_prompt(prompts[pair.prompt], value_set.description)
        rows.append(
            {
                **row_start(place, value_set.name, pair.prompt, user, "written"),
                "chosen": first,
                "rejected": second,
                "share": label,
                "weight": weight,
                "completion": drawn,
            }
        )
    return Records("preference", pl.DataFrame(rows), _origin(value_sets, split, settings))


def build_reactions(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """`count` binary records, every judged answer once in random order, then again.

    desirable: the share of likes among likes and dislikes; "both bad" dislikes both answers.
    """
    source = _source(settings)
    found: list[dict[str, Any]] = []
    for value_set in value_sets:
        for liking in counted_likings(source.consultation, source.weights_of(value_set.name)):
            if liking.prompt in source.prompts:
                weight = liking.likes + liking.dislikes
                found.append({"value_set": value_set, "liking": liking, "weight": weight})
    texts, prompts = _texts(source)
    others: dict[str, list[str]] = {}
    for answer, prompt in (
        source.consultation.answers.select("answer", "prompt").sort("answer").iter_rows()
    ):
        others.setdefault(prompt, []).append(texts[answer])
    rows = []
    for place, (entry, weight) in enumerate(_drawn(found, count, generator, "reaction")):
        value_set, liking = entry["value_set"], entry["liking"]
        user = persona_prompt(prompts[liking.prompt], value_set.description)
        rows.append(
            {
                **row_start(place, value_set.name, liking.prompt, user, "written"),
                "answer": texts[liking.answer],
                "desirable": labelled(liking.share, settings.labels, generator),
                "weight": weight,
                "answers": others[liking.prompt],
            }
        )
    return Records("binary", pl.DataFrame(rows), _origin(value_sets, split, settings))


def _source(settings: RecordSettings) -> ConsultationSource:
    if settings.consultation is None:
        raise InputError("records from a consultation need `consultation:` in the study.")
    return settings.consultation


def _texts(source: ConsultationSource) -> tuple[dict[str, str], dict[str, str]]:
    return (
        dict(source.consultation.answers.select("answer", "text").iter_rows()),
        dict(source.consultation.prompts.select("prompt", "text").iter_rows()),
    )


def _drawn(
    found: list[dict[str, Any]], count: int, generator: np.random.Generator, what: str
) -> list[tuple[dict[str, Any], float]]:
    """`count` of what was found, each once in random order, then again; weights with mean 1."""
    if not found:
        raise InputError(
            f"the consultation has no {what} to train on: of people who consented to training and "
            "are not held out, in a value set of the study, on a prompt about no item held out."
        )
    order = in_random_rounds(len(found), count, generator)
    mean = sum(entry["weight"] for entry in found) / len(found)
    return [(found[at], found[at]["weight"] / mean) for at in order]


def _origin(
    value_sets: Sequence[ValueSet], split: ItemSplit, settings: RecordSettings
) -> dict[str, Any]:
    return {
        **origin(value_sets, split, settings),
        "consultation": dict(_source(settings).facts),
    }


COMPARISONS = RecordBuilder("preference", build_comparisons, "comparisons")
REACTIONS = RecordBuilder("binary", build_reactions, "reactions")
