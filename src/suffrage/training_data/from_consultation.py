"""Records from a consultation: pairs as people compared them, answers as they liked them.

What they teach: which of two answers a public prefers, and by how much; what it likes at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from suffrage.consult.consultation import Consultation
from suffrage.consult.judgements import Liking, counted_likings, counted_pairs
from suffrage.errors import InputError
from suffrage.models.asking import persona_prompt
from suffrage.population import ValueSet
from suffrage.training_data.consultation_source import ConsultationSource
from suffrage.training_data.held_back_records import with_asked
from suffrage.training_data.preference_pairs import labelled
from suffrage.training_data.records import (
    RecordBuilder,
    Records,
    RecordSettings,
    in_random_rounds,
    origin,
    row_start,
)
from suffrage.training_data.split import ItemSplit, held_back


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
    source, back = _divided(_source(settings), settings, generator)
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
    made = Records("preference", pl.DataFrame(rows), _origin(value_sets, split, settings))
    return made if back is None else back.added_to(made, value_sets, _preferred_pairs, generator)


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
    source, back = _divided(_source(settings), settings, generator)
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
    made = Records("binary", pl.DataFrame(rows), _origin(value_sets, split, settings))
    return made if back is None else back.added_to(made, value_sets, _liked_pairs, generator)


# The two answers, their prompt, and the share of people for the first.
_AskedPair = tuple[str, str, str, float]


def _preferred_pairs(
    consultation: Consultation, people: Mapping[str, float]
) -> Iterator[_AskedPair]:
    """Every pair that these people compared."""
    for pair in counted_pairs(consultation, people):
        if pair.decided > 0:
            yield pair.prompt, pair.first, pair.second, pair.share


def _liked_pairs(consultation: Consultation, people: Mapping[str, float]) -> Iterator[_AskedPair]:
    """Every two answers to one prompt that these people judged by themselves.

    The share is that of the first where one person likes one of the two and another person does
    not like the other: a (1 - b) / (a (1 - b) + b (1 - a)), with a and b the shares of likes.
    """
    by_prompt: dict[str, list[Liking]] = defaultdict(list)
    for liking in counted_likings(consultation, people):
        by_prompt[liking.prompt].append(liking)
    for prompt, likings in sorted(by_prompt.items()):
        for one, two in combinations(likings, 2):
            first, second = one.share * (1 - two.share), two.share * (1 - one.share)
            if first + second > 0:
                yield prompt, one.answer, two.answer, first / (first + second)


@dataclass(frozen=True, eq=False)
class _HeldBack:
    """What a training never sees and is asked while it goes on."""

    # The consultation with everybody and everything that may be trained on.
    source: ConsultationSource
    people: frozenset[str]
    prompts: frozenset[str]
    cells: int

    def added_to(
        self,
        records: Records,
        value_sets: Sequence[ValueSet],
        pairs: Callable[[Consultation, Mapping[str, float]], Iterator[_AskedPair]],
        generator: np.random.Generator,
    ) -> Records:
        """The records, and behind them pairs that people held back judged, on prompts held back.

        Raises InputError where there are none.
        """
        texts, prompts = _texts(self.source)
        rows: list[dict[str, Any]] = []
        for value_set in value_sets:
            own = self.source.weights_of(value_set.name)
            weights = {p: weight for p, weight in own.items() if p in self.people}
            for prompt, first, second, share in pairs(self.source.consultation, weights):
                if prompt in self.prompts:
                    user = persona_prompt(prompts[prompt], value_set.description)
                    rows.append(
                        {
                            **row_start(0, value_set.name, prompt, user, "written"),
                            "answers": [texts[first], texts[second]],
                            "target": [share, 1 - share],
                            "pair": True,
                        }
                    )
        if not rows:
            raise InputError(
                "validation: nobody held back judged two answers to a prompt held back; raise "
                "validation, or leave it out."
            )
        chosen = sorted(generator.permutation(len(rows))[: self.cells])
        found = with_asked(records, [rows[at] for at in chosen])
        told = {"prompts": sorted(self.prompts), "people": len(self.people)}
        return replace(found, made_from={**found.made_from, "held_back": told})


def _divided(
    source: ConsultationSource, settings: RecordSettings, generator: np.random.Generator
) -> tuple[ConsultationSource, _HeldBack | None]:
    """What is trained on, and what is held back to choose the best point on."""
    sample = settings.validation
    if sample is None:
        return source, None
    away = source.held_back_people(sample.share)
    prompts = held_back(source.prompt_items, sample.share, generator)
    people = {p: weight for p, weight in source.people.items() if p not in away}
    members = {n: tuple(p for p in some if p in people) for n, some in source.members.items()}
    rest = replace(
        source, people=people, members=members, prompts=frozenset(source.prompts) - prompts
    )
    return rest, _HeldBack(source, away, prompts, sample.cells)


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
