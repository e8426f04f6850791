"""How countries, waves and modes answered each item: options that one of them never used.

A file can hold a country whose answers were coded in another way, or that was shown fewer options.
Pooled with the other countries it cannot be seen, and every comparison with it is off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from suffrage.arrays import BoolArray, IntArray
from suffrage.survey.codebook import Item, NonResponse
from suffrage.survey.survey import Survey

# Demographics by which answers are compared, by what they are called.
GROUP_NAMES = {
    "country": ("country", "cntry", "nation", "country_code"),
    "wave": ("wave", "round", "essround", "year"),
    "mode": ("mode", "survey_mode", "interview_mode", "mode_of_interview"),
}
MOST_GROUPS = 200
# A group with fewer people who were asked says nothing about its options.
FEWEST_ASKED = 30
# An option is missed in a group when it would have been chosen this often, were the group like the
# others. Chance alone then leaves it out once in 20,000 times.
MISSED_FROM = 10.0
# How far a group's share of non-response is above that of the others before it is listed.
MORE_SILENT = 0.2
# Not having been asked is no silence.
SILENT = (NonResponse.DONT_KNOW, NonResponse.REFUSED, NonResponse.MISSING)


@dataclass(frozen=True)
class GroupSummary:
    """One country, wave or mode at a glance."""

    # The demographic, and its value.
    column: str
    group: str
    respondents: int
    # How many items somebody of the group was asked.
    items_asked: int
    # The mean share, over those items, of the asked who gave an answer; None without items.
    answered: float | None
    # Items of which the group never used an option that others use, by id.
    narrowed: tuple[str, ...]


@dataclass(frozen=True)
class GroupDifference:
    """An item that one group answered in another way than the others do."""

    item: str
    column: str
    group: str
    # How many of the item's options the group used.
    used: int
    options: int
    # Codes of the options the group never used though the others do.
    missed: tuple[str, ...]
    # The share of the others who chose one of them.
    chosen_elsewhere: float
    # Shares of the asked who gave no answer.
    silent: float
    silent_elsewhere: float

    @property
    def what(self) -> str:
        """One sentence, without the item's name."""
        who = f"{self.group} ({self.column})"
        if self.missed:
            codes = ", ".join(self.missed)
            return (
                f"in {who} only {self.used} of {self.options} options were used; nobody chose "
                f"{codes}, as {self.chosen_elsewhere:.0%} did elsewhere"
            )
        return (
            f"in {who} {self.silent:.0%} of those asked gave no answer, elsewhere "
            f"{self.silent_elsewhere:.0%}"
        )


def grouping_columns(survey: Survey) -> list[str]:
    """Return the demographics that say the country, the wave or the mode, one for each.

    Of two columns for the same thing, such as a country's name and its code, the first counts.
    """
    names = {name.lower(): name for name in survey.codebook.demographics}
    found = []
    for spellings in GROUP_NAMES.values():
        present = [names[spelling] for spelling in spellings if spelling in names]
        usable = [
            name
            for name in present
            if 2 <= survey.responses[name].drop_nulls().n_unique() <= MOST_GROUPS
        ]
        found += usable[:1]
    return found


def differences_by_group(survey: Survey) -> list[GroupDifference]:
    """Return the items that a country, wave or mode answered in another way than the others.

    Options are missed where the group would have chosen them at least ten times, were it like the
    others; silence is listed from 20 percentage points above the others'. Counts are unweighted.
    """
    found = []
    for column in grouping_columns(survey):
        groups, codes = _groups(survey, column)
        for item in survey.codebook.items:
            counts = _counts(survey, item, codes, len(groups))
            elsewhere = counts.sum(axis=0) - counts
            found += _differences(item, column, groups, counts, elsewhere)
    return found


def differences_between(
    survey: Survey, members: Mapping[str, BoolArray], column: str = "value set"
) -> list[GroupDifference]:
    """Return the items that one of several populations answered in another way than the others.

    Parameters
    ----------
    survey : Survey
    members : mapping
        The name of each population to who belongs to it, shape (respondents,). Populations may
        have members in common; the others of one are everybody else who is in any of them.
    column : str
        What messages call a population.
    """
    names = [name for name in members if not _is_a_group(survey, members[name])]
    everyone = np.any([*members.values()], axis=0) if members else np.empty(0, dtype=bool)
    found = []
    for item in survey.codebook.items:
        for name in names:
            own = members[name]
            # 0 for the population, 1 for the others, -1 for whom nothing compares.
            codes = np.where(own, 0, np.where(everyone, 1, -1))
            counts = _counts(survey, item, codes, 2)
            found += _differences(item, column, [name], counts[:1], counts[1:])
    return found


def _is_a_group(survey: Survey, members: BoolArray) -> bool:
    """Whether a population is a country, wave or mode, which is compared already."""
    for column in grouping_columns(survey):
        groups, codes = _groups(survey, column)
        if any(np.array_equal(codes == place, members) for place in range(len(groups))):
            return True
    return False


def group_summaries(
    survey: Survey, differences: Sequence[GroupDifference]
) -> tuple[GroupSummary, ...]:
    """Return a summary of each country, wave and mode. differences: what was found in them."""
    found = []
    for column in grouping_columns(survey):
        groups, codes = _groups(survey, column)
        people = np.bincount(codes[codes >= 0], minlength=len(groups))
        shares: list[list[float]] = [[] for _ in groups]
        for item in survey.codebook.items:
            counts = _counts(survey, item, codes, len(groups))
            for place, row in enumerate(counts):
                if row.sum() > 0:
                    shares[place].append(float(row[:-1].sum() / row.sum()))
        for place, group in enumerate(groups):
            narrowed = tuple(
                d.item for d in differences if (d.column, d.group) == (column, group) and d.missed
            )
            own = shares[place]
            answered = sum(own) / len(own) if own else None
            found.append(
                GroupSummary(column, group, int(people[place]), len(own), answered, narrowed)
            )
    return tuple(found)


def with_cautions(survey: Survey) -> Survey:
    """Return the survey with a caution on every item that some group answered with fewer options.

    The caution goes with the item into profiles, comparisons and reports.
    """
    said: dict[str, list[str]] = {}
    for difference in differences_by_group(survey):
        if difference.missed:
            said.setdefault(difference.item, []).append(difference.what)
    if not said:
        return survey
    items = tuple(
        item.model_copy(update={"caution": f"{_first('; '.join(said[item.id]))}."})
        if item.id in said
        else item
        for item in survey.codebook.items
    )
    return replace(survey, codebook=survey.codebook.model_copy(update={"items": items}))


def cautions(items: Sequence[Item]) -> Mapping[str, str]:
    """Return the cautions of those items that carry one, by id."""
    return {item.id: item.caution for item in items if item.caution}


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]


def _groups(survey: Survey, column: str) -> tuple[list[str], IntArray]:
    """The groups in order of their names, and each respondent's place among them, else -1."""
    values = survey.responses[column]
    groups = sorted(values.drop_nulls().unique().to_list())
    places = {group: place for place, group in enumerate(groups)}
    codes = values.replace_strict(places, default=-1, return_dtype=pl.Int64)
    return groups, codes.to_numpy()


def _counts(survey: Survey, item: Item, codes: IntArray, groups: int) -> IntArray:
    """How often each group chose each option, and last how often it was silent.

    Shape (groups, options + 1). People who were not asked are in no column.
    """
    lowest, options = min(NonResponse), len(item.options)
    # Cell 0 is for those who were not asked, and row 0 for those in no group.
    cell_of = np.zeros(options - lowest, dtype=np.int64)
    cell_of[-lowest:] = np.arange(1, options + 1)
    cell_of[[kind - lowest for kind in SILENT]] = options + 1
    cells = (codes + 1) * (options + 2) + cell_of[survey.positions(item.id) - lowest]
    flat = np.bincount(cells, minlength=(groups + 1) * (options + 2))
    return flat.reshape(groups + 1, options + 2)[1:, 1:].astype(np.int64)


def _differences(
    item: Item, column: str, groups: Sequence[str], counts: IntArray, elsewhere: IntArray
) -> list[GroupDifference]:
    """What stands out in each group. counts, elsewhere: of it and of its others, by option."""
    found = []
    for group, own, others in zip(groups, counts, elsewhere, strict=True):
        asked, asked_elsewhere = int(own.sum()), int(others.sum())
        answered, answered_elsewhere = int(own[:-1].sum()), int(others[:-1].sum())
        if asked < FEWEST_ASKED or asked_elsewhere < FEWEST_ASKED:
            continue
        silent, silent_elsewhere = own[-1] / asked, others[-1] / asked_elsewhere
        shares = others[:-1] / max(answered_elsewhere, 1)
        missed = np.flatnonzero((own[:-1] == 0) & (answered * shares >= MISSED_FROM))
        if missed.size or silent - silent_elsewhere >= MORE_SILENT:
            found.append(
                GroupDifference(
                    item=item.id,
                    column=column,
                    group=group,
                    used=int((own[:-1] > 0).sum()),
                    options=len(item.options),
                    missed=tuple(item.options[k].code for k in missed),
                    chosen_elsewhere=float(shares[missed].sum()),
                    silent=float(silent),
                    silent_elsewhere=float(silent_elsewhere),
                )
            )
    return found
