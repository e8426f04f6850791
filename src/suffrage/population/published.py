"""Value sets from published tables of answers, where the respondents are not at hand."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from suffrage import storage
from suffrage.errors import InputError
from suffrage.population.value_set import AnswerDistribution, ValueSet
from suffrage.survey.codebook import Item, NonResponse, Option
from suffrage.survey.non_response_labels import kind_of_label
from suffrage.survey.reading import plain_code

# Published shares are rounded; a table further than this from 1 is incomplete.
TOLERANCE = 0.02


@dataclass(frozen=True)
class PublishedAnswer:
    """One population's answers to one question, as published."""

    population: str
    question: str
    options: tuple[str, ...]
    # Of the options, in the same order.
    shares: tuple[float, ...]
    # The publisher's name for the question.
    key: str | None = None
    ordered: bool = False
    topic: str | None = None

    @property
    def item_id(self) -> str:
        """The publisher's key, else a hash of the question and its options."""
        return self.key or storage.content_hash([self.question, list(self.options)])


def answer_distribution(answer: PublishedAnswer) -> AnswerDistribution:
    """The distribution over the options that are answers, renormalised, and non-response by kind.

    n is 0, and n_eff and errors are NaN, because a share alone does not say how many answered.
    Raises ValueError with the reason when no distribution can be read from the table.
    """
    if len(answer.options) != len(answer.shares):
        raise ValueError(f"{len(answer.options)} options but {len(answer.shares)} shares")
    shares = np.array(answer.shares, dtype=np.float64)
    if not np.isfinite(shares).all() or (shares < 0).any():
        raise ValueError("a share is negative or no number")
    total = float(shares.sum())
    if abs(total - 1) > TOLERANCE:
        raise ValueError(f"the shares sum to {total:.3f}")
    texts = [plain_code(option) for option in answer.options]
    kinds = [_kind(text) for text in texts]
    kept = [k for k, kind in enumerate(kinds) if kind is None]
    if len(kept) < 2:
        raise ValueError("fewer than two options are answers")
    twice = [text for text, n in Counter(texts[k] for k in kept).items() if n > 1]
    if twice:
        raise ValueError(f'two options read "{twice[0]}"')
    answered = float(shares[kept].sum())
    if answered == 0:
        raise ValueError("nobody chose an answer")
    non_response = {kind.label: 0.0 for kind in NonResponse if kind in kinds}
    for kind, share in zip(kinds, shares, strict=True):
        if kind is not None:
            non_response[kind.label] += float(share / total)
    empty = np.empty((0, len(kept)))
    return AnswerDistribution(
        item=Item(
            id=answer.item_id,
            question=answer.question,
            options=tuple(Option(code=str(k), text=texts[k]) for k in kept),
            ordered=answer.ordered,
            topic=answer.topic,
        ),
        shares=shares[kept] / answered,
        standard_errors=np.full(len(kept), math.nan),
        n=0,
        n_eff=math.nan,
        non_response=non_response,
        replicates=empty,
        first_halves=empty,
        second_halves=empty,
    )


def published_value_sets(
    answers: Iterable[PublishedAnswer],
    populations: Sequence[str] | None,
    descriptions: Mapping[str, str],
    weighting: str,
    source: str,
    source_hash: str,
) -> list[ValueSet]:
    """One value set for each population (all when None), in the order of their names.

    Items come in the order of their ids, so the order of rows changes nothing. A question without a
    readable distribution is set aside by name, and so is one that appears twice.
    Raises InputError on a population that is not in the table, and on one left with no item.
    """
    by_population: dict[str, list[PublishedAnswer]] = {}
    for answer in answers:
        by_population.setdefault(answer.population, []).append(answer)
    wanted = sorted(by_population) if populations is None else [*populations]
    for population in wanted:
        if population not in by_population:
            known = ", ".join(sorted(by_population)[:12])
            raise InputError(f'{source} has no population "{population}"; it has {known}, ...')
    found = []
    for population in wanted:
        rows = by_population[population]
        counts = Counter(answer.item_id for answer in rows)
        distributions, aside = {}, []
        for answer in sorted(rows, key=lambda row: row.item_id):
            try:
                if counts[answer.item_id] > 1:
                    raise ValueError("it stands twice for this population")
                distributions[answer.item_id] = answer_distribution(answer)
            except ValueError as error:
                aside.append(f"{answer.item_id} ({error})")
        if not distributions:
            raise InputError(
                f"{source}: {population} has no item with usable shares; the first was set aside "
                f"as {aside[0]}."
            )
        found.append(
            ValueSet(
                name=population,
                description=descriptions.get(population, f"people of {population}"),
                where={"population": population},
                distributions=distributions,
                n=0,
                n_eff=math.nan,
                design_effect=math.nan,
                weighting=weighting,
                survey_hash=source_hash,
                set_aside=tuple(sorted(set(aside))),
            )
        )
    return found


def _kind(text: str) -> NonResponse | None:
    if re.search(r"(?i)\bmissing\b", text):
        return NonResponse.MISSING
    return kind_of_label(text)
