"""Non-response as an answer: "don't know" modelled as an option, where a study says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from suffrage.errors import InputError
from suffrage.survey.codebook import Item, NonResponse, Option
from suffrage.survey.survey import Survey

TEXTS = {
    NonResponse.DONT_KNOW: "Don't know",
    NonResponse.REFUSED: "I would rather not say",
}


def with_non_response_as_options(survey: Survey, kinds: Sequence[NonResponse]) -> Survey:
    """The survey with these kinds of non-response as further options, after an item's own.

    An item gets an option only where somebody gave that answer. The item is then no longer a
    scale, because "don't know" has no place between the other options; distances along a scale
    leave it out. kinds: don't know or refused; an item that was never asked has no answer.
    Raises InputError on another kind, and on an item that has such an option already.
    """
    unfit = [kind.label for kind in kinds if kind not in TEXTS]
    if unfit:
        raise InputError(
            f"non_response_as_options: {unfit[0]} is no answer; there are "
            f"{', '.join(kind.label for kind in TEXTS)}."
        )
    items: list[Item] = []
    columns: list[pl.Series] = []
    for item in survey.codebook.items:
        given = [kind for kind in kinds if (survey.positions(item.id) == kind).any()]
        taken = [TEXTS[kind] for kind in given if TEXTS[kind] in item.texts]
        if taken:
            raise InputError(
                f'non_response_as_options: {item.id} has the option "{taken[0]}" already.'
            )
        places = {int(kind): len(item.options) + k for k, kind in enumerate(given)}
        column = survey.responses[item.id]
        columns.append(column.replace(places) if places else column)
        more = tuple(Option(code=str(int(kind)), text=TEXTS[kind]) for kind in given)
        items.append(
            item.model_copy(
                update={
                    "options": (*item.options, *more),
                    "ordered": item.ordered and not more,
                    "direction": None if more else item.direction,
                }
            )
        )
    book = survey.codebook.model_copy(update={"items": tuple(items)})
    return replace(
        survey, responses=survey.responses.with_columns(columns), codebook=book, _hash=""
    )
