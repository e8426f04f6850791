"""Several waves of one survey as one: rounds of the ESS, years of the GSS, waves of the WVS."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from suffrage.survey.codebook import Codebook, Item, NonResponse
from suffrage.survey.survey import (
    POSITION,
    PSU,
    RESPONDENT,
    STRATUM,
    WEIGHT,
    Provenance,
    SetAside,
    Survey,
)


def joined(waves: Mapping[str, Survey], column: str) -> Survey:
    """Return the waves as one survey, with a demographic that says which wave a person is of.

    An item that two waves asked alike, with the same question and options, is one item; asked
    otherwise it is an item of each wave, such as "trust_10". Who was in a wave that lacks an item
    was not asked it. Ids, strata and sampling units are named by the wave, so that equal numbers
    of two waves stay apart. Weights stay as they are.

    Parameters
    ----------
    waves : mapping
        The name of each wave, such as "10", to its survey.
    column : str
        The demographic's name, such as "round".

    Notes
    -----
    The sampling design is dropped, and listed as set aside, where one wave has none.
    """
    if len(waves) == 1:
        return next(iter(waves.values()))
    designed = [name for name, survey in waves.items() if survey.has_design]
    if designed and len(designed) < len(waves):
        bare = ", ".join(name for name in waves if name not in designed)
        waves = {name: _undesigned(survey) for name, survey in waves.items()}
        dropped = [
            SetAside(f"{STRATUM}, {PSU}", 2, f"{column} {bare} has no sampling design to join")
        ]
    else:
        dropped = []
    own = (name for survey in waves.values() for name in survey.codebook.demographics)
    demographics = [*dict.fromkeys((column, *own))]
    names, items = _items(waves)
    frames = [
        _rows(survey, wave, column, demographics, names[wave], [item.id for item in items])
        for wave, survey in waves.items()
    ]
    first = next(iter(waves.values()))
    return Survey(
        pl.concat(frames, how="vertical"),
        Codebook(
            title=f"{first.codebook.title}, {column} {', '.join(waves)}",
            items=tuple(items),
            demographics=tuple(demographics),
            citation=first.codebook.citation,
            terms=first.codebook.terms,
        ),
        _provenance(waves, column, dropped),
    )


def _undesigned(survey: Survey) -> Survey:
    return survey.with_responses(survey.responses.drop(STRATUM, PSU, strict=False))


def _asked_alike(one: Item, other: Item) -> bool:
    return (one.question, one.options, one.ordered) == (
        other.question,
        other.options,
        other.ordered,
    )


def _items(waves: Mapping[str, Survey]) -> tuple[dict[str, dict[str, str]], list[Item]]:
    """The joint items, and for each wave a mapping from their ids to its own."""
    wordings: dict[str, list[tuple[Item, list[str]]]] = {}
    for wave, survey in waves.items():
        for item in survey.codebook.items:
            known = wordings.setdefault(item.id, [])
            same = next((users for had, users in known if _asked_alike(had, item)), None)
            if same is None:
                known.append((item, [wave]))
            else:
                same.append(wave)
    names: dict[str, dict[str, str]] = {wave: {} for wave in waves}
    items = []
    for item_id, known in wordings.items():
        for item, users in known:
            made = item if len(known) == 1 else _of_waves(item, users)
            items.append(made)
            for wave in users:
                names[wave][made.id] = item_id
    return names, items


def _of_waves(item: Item, users: list[str]) -> Item:
    asked = f"asked in other words or with other options outside {', '.join(users)}"
    note = f"{item.note}; {asked}" if item.note else asked
    return item.model_copy(update={"id": f"{item.id}_{'_'.join(users)}", "note": note})


def _rows(
    survey: Survey,
    wave: str,
    column: str,
    demographics: list[str],
    names: Mapping[str, str],
    items: list[str],
) -> pl.DataFrame:
    """A wave's people in the columns of all waves."""
    people = survey.responses
    own = set(survey.codebook.demographics)
    absent = pl.lit(int(NonResponse.NOT_ASKED), dtype=POSITION)
    return people.select(
        *(
            (pl.lit(f"{wave}-") + pl.col(name)).alias(name)
            for name in (RESPONDENT, STRATUM, PSU)
            if name in people.columns
        ),
        pl.col(WEIGHT),
        *(
            pl.lit(wave).alias(name)
            if name == column
            else pl.col(name)
            if name in own
            else pl.lit(None, dtype=pl.String).alias(name)
            for name in demographics
        ),
        *(
            pl.col(names[item]).alias(item) if item in names else absent.alias(item)
            for item in items
        ),
    )


def _provenance(waves: Mapping[str, Survey], column: str, dropped: list[SetAside]) -> Provenance:
    sources = {wave: survey.provenance for wave, survey in waves.items()}
    weights = {wave: source.weight_variable for wave, source in sources.items()}
    named = list(dict.fromkeys(weights.values()))
    if len(named) == 1:
        weight = named[0]
    else:
        weight = ", ".join(f"{name or 'none'} ({column} {wave})" for wave, name in weights.items())
    aside = [
        SetAside(f"{column} {wave}: {one.what}", one.count, one.why)
        for wave, source in sources.items()
        for one in source.set_aside
    ]
    read_codes = dict.fromkeys(code for source in sources.values() for code in source.read_codes)
    how = f"Weighted by {weight}" if weight else "Unweighted"
    first = next(iter(sources.values()))
    return Provenance(
        reader=first.reader,
        files={name: made for source in sources.values() for name, made in source.files.items()},
        statement=f"{how}. {column.capitalize()} {', '.join(waves)} are together: each counts by "
        "the sum of its weights.",
        weight_variable=weight,
        set_aside=(*dropped, *aside),
        read_codes=tuple(read_codes),
        made=tuple(dict.fromkeys(one for source in sources.values() for one in source.made)),
    )
