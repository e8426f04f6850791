"""How groups answered each item: options that a whole country, wave, mode or other group misses.

A file can hold a country whose answers were coded in another way, or that was shown fewer options.
Pooled with the other countries it cannot be seen, and every comparison with it is off.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice

import numpy as np
import polars as pl

from suffrage.arrays import BoolArray, IntArray
from suffrage.survey.codebook import Item, NonResponse
from suffrage.survey.survey import Survey

_ENDINGS = r"(?:_?(?:codes?|names?|labels?|alphan?|iso\d?|id|nr|no|\d+))*"
# What demographics of countries and regions, waves and modes are called, in lower case and without
# accents.
_GROUP_NAME = re.compile(
    r"(?!.*(?:birth|born|geburt|naissance|nacimiento|nascita))(?:"
    # Countries and regions.
    r"(?:.*_)?(?:country|countries|cntry|nations?|land|laender|lander|staat|pays|pais|paese|kraj|"
    r"maa|ulke|orszag|tara|isocntry|country_?alphan?|alphan|regions?|states?|province|nuts\d?|"
    r"s003|страна|країна|国|国家|국가)"
    rf"{_ENDINGS}|(?:c_)?(?:alphan?|iso)_?\d?|"
    # Waves and years.
    r"(?:.*_)?(?:wave|round|essround|year|syear|vague|annee|welle|jahr|runde|erhebung|ola|oleada|"
    r"ano|anno|onda|ondata|rodada|ronde|fala|rok|vlna|dalga|yil|bolge|omgang|ar|s002(?:vs)?|"
    r"волна|год|хвиля|рік)"
    rf"{_ENDINGS}|"
    # How people were interviewed.
    r"(?:survey_|interview_|collection_|data_collection_)?mode(?:_of_(?:interview|collection))?|"
    r"modus|erhebungsmodus|modo|modalite|mode_de_collecte|modalita|methode|metodo"
    r")"
)
MOST_GROUPS = 200
# Two columns are crossed, such as country and wave, up to this many groups, and so many pairs are.
MOST_CROSSED = 2000
MOST_PAIRS = 3
# In a file of more people only one pair is, because each takes as long as one more column.
MOST_PEOPLE = 500_000
# A demographic of numbers with more values is a quantity, such as age in years.
MOST_NUMBERS = 20
# A group with fewer people who were asked says nothing about its options.
FEWEST_ASKED = 30
# An option is missed in a group when it would have been chosen this often, were the group like the
# others. Chance alone then leaves it out once in 20,000 times.
MISSED_FROM = 10.0
# The same for a group of any other demographic, where young people may well have fewer children.
# There, a group counts only if it misses options on several scales.
MISSED_FROM_ELSEWHERE = 20.0
FEWEST_SCALES = 2
LEAST_SHARE_OF_SCALES = 0.1
# A group is part of another if this share of its people belongs to that one.
INSIDE = 0.9
# How far a group's share of non-response is above that of the others before it is listed.
MORE_SILENT = 0.2
# Not having been asked is no silence.
SILENT = (NonResponse.DONT_KNOW, NonResponse.REFUSED, NonResponse.MISSING)


@dataclass(frozen=True)
class GroupSummary:
    """One country, wave, mode or other group at a glance."""

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
    """Return the demographics whose names say that they hold countries, regions, waves or modes.

    Of two columns with the same groups, such as a country's name and its code, the first counts.

    Examples
    --------
    Such names are `B_COUNTRY`, `pays`, `isocntry`, `essround`, `vague` and `mode`.
    """
    named = [name for name in survey.codebook.demographics if _names_groups(name)]
    return _distinct(survey, named, [])


def other_columns(survey: Survey) -> list[str]:
    """Return the other demographics whose groups can be compared.

    They have 2 to 200 groups, one of them with at least 20 people, and are no numbers such as ages.
    """
    taken = grouping_columns(survey)
    rest = [name for name in survey.codebook.demographics if name not in taken]
    return [name for name in _distinct(survey, rest, taken) if _holds_groups(survey, name)]


def crossed_columns(survey: Survey) -> dict[str, tuple[str, str]]:
    """Return the pairs of countries, waves and modes whose groups are compared, by their names.

    One wave of one country can be coded in another way, which neither the country's figures nor the
    wave's show. A pair that divides people no further than one of its columns is left out.

    Examples
    --------
    A file of six countries in two waves has the pair `country and wave`, with twelve groups.
    """
    apart = {name: _groups(survey, name) for name in grouping_columns(survey)}
    found = {}
    for pair in combinations(apart, 2):
        (one, _), (two, _) = (apart[name] for name in pair)
        cells, _ = _crossed(*(apart[name] for name in pair))
        if max(len(one), len(two)) < len(cells) <= MOST_CROSSED:
            found[" and ".join(pair)] = pair
    most = MOST_PAIRS if survey.responses.height <= MOST_PEOPLE else 1
    return dict(islice(found.items(), most))


def _names_groups(name: str) -> bool:
    parts = unicodedata.normalize("NFKD", name.strip().lower().replace("ı", "i"))
    plain = "".join(char for char in parts if not unicodedata.combining(char))
    return _GROUP_NAME.fullmatch(re.sub(r"[\s.\-]+", "_", plain)) is not None


def _distinct(survey: Survey, names: Iterable[str], taken: Sequence[str]) -> list[str]:
    """Those columns with a usable number of groups that divide people as no earlier one does."""
    sizes = {}
    for name in (*taken, *names):
        sizes[name] = survey.responses[name].drop_nulls().n_unique()
    found: list[str] = []
    for name in names:
        if not 2 <= sizes[name] <= MOST_GROUPS:
            continue
        alike = [other for other in (*taken, *found) if sizes[other] == sizes[name]]
        if not any(
            survey.responses.select(name, other).drop_nulls().n_unique() == sizes[name]
            for other in alike
        ):
            found.append(name)
    return found


def _holds_groups(survey: Survey, name: str) -> bool:
    """Whether a demographic has groups large enough to compare, and is no quantity."""
    counts = survey.responses[name].drop_nulls().value_counts()
    numbers = counts[name].cast(pl.Float64, strict=False)
    is_quantity = numbers.null_count() == 0 and counts.height > MOST_NUMBERS
    return not is_quantity and int(counts["count"].max() or 0) >= MISSED_FROM_ELSEWHERE  # type: ignore[arg-type]


def differences_by_group(survey: Survey) -> list[GroupDifference]:
    """Return the items that a group answered in another way than the others.

    In a country, wave or mode, options are missed where it would have chosen them at least ten
    times, were it like the others. Silence is listed from 20 percentage points above the others'.
    One wave of a country, and any other demographic, needs 20 times, and options missed on several
    scales at once: at least two, and a tenth of the scales. A group whose people nearly all belong
    to a larger one that misses options of the same item is not listed again. Counts are unweighted.
    """
    found: list[GroupDifference] = []
    # By item, the people in groups that were listed already.
    listed: dict[str, BoolArray] = {}
    named = grouping_columns(survey)
    crossed = crossed_columns(survey)
    for column in (*named, *crossed, *other_columns(survey)):
        groups, codes = _groups(survey, *crossed.get(column, (column,)))
        apart: list[GroupDifference] = []
        scales = np.zeros(len(groups), dtype=np.int64)
        for item in survey.codebook.items:
            if column not in named and not item.ordered:
                continue
            counts = _counts(survey, item, codes, len(groups))
            scales += counts.sum(axis=1) >= FEWEST_ASKED
            elsewhere = counts.sum(axis=0) - counts
            missed_from = MISSED_FROM if column in named else MISSED_FROM_ELSEWHERE
            apart += _differences(item, column, groups, counts, elsewhere, missed_from)
        if column not in named:
            apart = _on_several_scales(apart, dict(zip(groups, scales, strict=True)))
        apart = _not_inside(apart, groups, codes, listed)
        found += apart
        for difference in apart:
            if difference.missed:
                members = codes == groups.index(difference.group)
                before = listed.get(difference.item)
                listed[difference.item] = members if before is None else before | members
    return found


def _on_several_scales(
    found: Iterable[GroupDifference], scales: Mapping[str, int]
) -> list[GroupDifference]:
    """The missed options of groups that miss some on several scales.

    scales: by group, on how many scales it can be compared.
    """
    missed = [difference for difference in found if difference.missed]
    often = Counter(difference.group for difference in missed)
    return [
        difference
        for difference in missed
        if often[difference.group]
        >= max(FEWEST_SCALES, LEAST_SHARE_OF_SCALES * scales[difference.group])
    ]


def _not_inside(
    found: Iterable[GroupDifference],
    groups: Sequence[str],
    codes: IntArray,
    listed: Mapping[str, BoolArray],
) -> list[GroupDifference]:
    """The differences of groups that are no part of one listed for the same item already."""
    people = np.bincount(codes[codes >= 0], minlength=len(groups))
    kept = []
    for difference in found:
        before = listed.get(difference.item)
        place = groups.index(difference.group)
        inside = 0 if before is None else int((before & (codes == place)).sum())
        if not difference.missed or inside < INSIDE * people[place]:
            kept.append(difference)
    return kept


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
    listed = _listed_outside_names(survey) if names else {}
    found = []
    for item in survey.codebook.items:
        for name in names:
            own = members[name]
            if any(np.array_equal(own, group) for group in listed.get(item.id, ())):
                continue
            # 0 for the population, 1 for the others, -1 for whom nothing compares.
            codes = np.where(own, 0, np.where(everyone, 1, -1))
            counts = _counts(survey, item, codes, 2)
            found += _differences(item, column, [name], counts[:1], counts[1:])
    return found


def _listed_outside_names(survey: Survey) -> dict[str, list[BoolArray]]:
    """By item, the members of the groups of other demographics that are listed for it."""
    named = grouping_columns(survey)
    crossed = crossed_columns(survey)
    members: dict[tuple[str, str], BoolArray] = {}
    found: dict[str, list[BoolArray]] = {}
    for difference in differences_by_group(survey):
        key = (difference.column, difference.group)
        if difference.column not in named:
            if key not in members:
                names = crossed.get(difference.column, (difference.column,))
                groups, codes = _groups(survey, *names)
                members[key] = codes == groups.index(difference.group)
            found.setdefault(difference.item, []).append(members[key])
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
    """Return a summary of each group of countries, waves, modes, and what else stands out.

    differences: what was found. Other demographics are there if one of their groups is.
    """
    found = []
    columns = dict.fromkeys([*grouping_columns(survey), *(d.column for d in differences)])
    crossed = crossed_columns(survey)
    for column in columns:
        groups, codes = _groups(survey, *crossed.get(column, (column,)))
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


def _groups(survey: Survey, *columns: str) -> tuple[list[str], IntArray]:
    """The groups in order of their names, and each respondent's place among them, else -1.

    columns: one, or two that are crossed.
    """
    if len(columns) > 1:
        return _crossed(*(_groups(survey, column) for column in columns))
    values = survey.responses[columns[0]]
    groups = sorted(values.drop_nulls().unique().to_list())
    places = {group: place for place, group in enumerate(groups)}
    codes = values.replace_strict(places, default=-1, return_dtype=pl.Int64)
    return groups, codes.to_numpy()


def _crossed(
    one: tuple[list[str], IntArray], two: tuple[list[str], IntArray]
) -> tuple[list[str], IntArray]:
    """The groups that two columns have people in together, and each respondent's place."""
    (rows, down), (columns, across) = one, two
    cells = np.where((down >= 0) & (across >= 0), down * len(columns) + across, -1)
    used = np.flatnonzero(np.bincount(cells[cells >= 0], minlength=len(rows) * len(columns)))
    # The last place is for those in no cell.
    places = np.full(len(rows) * len(columns) + 1, -1)
    places[used] = np.arange(used.size)
    names = [f"{rows[k // len(columns)]}, {columns[k % len(columns)]}" for k in used]
    return names, places[cells]


def _counts(survey: Survey, item: Item, codes: IntArray, groups: int) -> IntArray:
    """How often each group chose each option, and last how often it was silent.

    Shape (groups, options + 1). People who were not asked are in no column.
    """
    lowest, options = min(NonResponse), len(item.options)
    # One cell a group and answer, from the lowest kind of non-response on; row 0 is for those in
    # no group. A million respondents are walked through as few times as possible.
    width = options - lowest
    cells = (codes + 1) * width
    cells += survey.positions(item.id)
    cells -= lowest
    table = np.bincount(cells, minlength=(groups + 1) * width).reshape(groups + 1, width)[1:]
    silent = table[:, [kind - lowest for kind in SILENT]].sum(axis=1, keepdims=True)
    return np.hstack([table[:, -lowest:], silent]).astype(np.int64)


def _differences(
    item: Item,
    column: str,
    groups: Sequence[str],
    counts: IntArray,
    elsewhere: IntArray,
    missed_from: float = MISSED_FROM,
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
        missed = np.flatnonzero((own[:-1] == 0) & (answered * shares >= missed_from))
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
