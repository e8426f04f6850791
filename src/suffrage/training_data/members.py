"""Which participants of a consultation belong to a value set's population."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suffrage.consult.consultation import PARTICIPANT, Consultation
from suffrage.consult.people import demographics_survey, wide_demographics
from suffrage.errors import InputError, did_you_mean
from suffrage.population import ValueSet
from suffrage.population.where import matching

# Of the values that participants gave, so many are shown in a message.
SHOWN = 20


@dataclass(frozen=True)
class UnmetCondition:
    """A condition of a value set's `where` that no participant of a consultation can meet."""

    key: str
    """The demographic item."""
    reason: str
    """What is wrong, as the middle of a sentence, with the nearest spelling behind it."""
    misspelt: bool
    """Whether the consultation has the same letters in another spelling."""


def unmet_condition(consultation: Consultation, value_set: ValueSet) -> UnmetCondition | None:
    """The first condition of a value set's `where` that no participant can meet, None if all can.

    A range of numbers is met where participants were asked for the number at all. Of a list of
    values, one that somebody gave is enough, unless another is misspelt.
    """
    known = sorted(consultation.demographics["item"].unique().to_list())
    for key, wanted in value_set.where.items():
        if key not in known:
            reason = (
                f"where.{key} is nothing the consultation asked its participants; it asked "
                f"{', '.join(known) or 'nothing'}.{did_you_mean(key, known)}"
            )
            return UnmetCondition(key, reason, _misspelt(key, known))
        if isinstance(wanted, Mapping):
            continue
        values = _values(consultation, key)
        wanted_values = [str(value) for value in (wanted if isinstance(wanted, list) else [wanted])]
        absent = [value for value in wanted_values if value not in values]
        misspelt = [value for value in absent if _misspelt(value, values)]
        if misspelt or len(absent) == len(wanted_values):
            first = (misspelt or absent)[0]
            shown = ", ".join(values[:SHOWN]) + (", ..." if len(values) > SHOWN else "")
            reason = (
                f'no participant said {key} "{first}"; they said {shown}.'
                f"{did_you_mean(first, values)}"
            )
            return UnmetCondition(key, reason, bool(misspelt))
    return None


def members_of(
    consultation: Consultation, people: Sequence[str], value_set: ValueSet
) -> tuple[str, ...]:
    """The people whom a value set's `where` picks out, by what they said of themselves.

    Parameters
    ----------
    consultation : Consultation
    people : sequence of str
        The participants to choose from.
    value_set : ValueSet

    Returns
    -------
    tuple of str
        In the order of `people`; all of them where the value set has no `where`. Empty where
        nobody meets all conditions at once.

    Raises
    ------
    InputError
        No participant of the consultation, chosen from or not, can meet one of the conditions:
        most likely the survey and the consultation spell it differently.
    """
    if not value_set.where:
        return tuple(people)
    unmet = unmet_condition(consultation, value_set)
    if unmet is not None:
        raise InputError(
            f"value set {value_set.name}, consultation {consultation.slug}: {unmet.reason} Spell "
            "both alike; where the consultation has none of these people, name the value set under "
            "consultation.without."
        )
    everyone = consultation.participants[PARTICIPANT].to_list()
    survey = demographics_survey(wide_demographics(consultation, everyone))
    where = {
        key: _values_given(consultation, key, wanted) for key, wanted in value_set.where.items()
    }
    meets = matching(survey, where, value_set.name)
    members = {person for person, is_in in zip(everyone, meets, strict=True) if is_in}
    return tuple(person for person in people if person in members)


def _values_given(consultation: Consultation, key: str, wanted: Any) -> Any:
    """A condition without the values of its list that no participant gave."""
    if not isinstance(wanted, list):
        return wanted
    return [value for value in wanted if str(value) in _values(consultation, key)]


def _values(consultation: Consultation, key: str) -> list[str]:
    """What participants said to a demographic item, each value once."""
    given = consultation.demographics
    return sorted(given.filter(given["item"] == key)["value"].unique().to_list())


def _misspelt(word: str, known: Sequence[str]) -> bool:
    """Whether the same letters are there with other capitals, spaces or punctuation."""
    return _letters(word) in map(_letters, known)


def _letters(word: str) -> str:
    return re.sub(r"[\W_]+", "", word.casefold())
