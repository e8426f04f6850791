"""The items of a study that a model was trained on before, in another study."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from suffrage.survey import Item, Option
from suffrage.training_data.overlap import overlapping
from suffrage.training_data.split import TrainedBefore, item_clusters, near_duplicate_groups

# The source that questions trained on before count as; no source of a study has a space in it.
_BEFORE = "trained before"
_ANY_OPTIONS = (Option(code="1", text="Yes"), Option(code="2", text="No"))
# Two surveys name their items alike where at least so many items of one name, and more than half
# of all, have texts that overlap.
FEWEST_ALIKE = 3


class TrainedQuestion(NamedTuple):
    """A question that a checkpoint was trained on."""

    # The item's id, after its source's name where the study had several sources.
    id: str
    text: str


def trained_before(
    items: Sequence[Item], questions: Mapping[str, Sequence[TrainedQuestion]]
) -> TrainedBefore:
    """Find the items that a model was trained on before, in whatever wording.

    The same question often has another stem in another survey. This errs toward finding too many:
    what a study's own split would call nearly the same counts, and what `overlapping` finds. Where
    two surveys evidently give the same items the same ids, the ids count too.

    Parameters
    ----------
    items : sequence of Item
        The items that a study may hold out.
    questions : mapping
        For each checkpoint, by the name that messages give it, the questions that it was trained
        on.

    Returns
    -------
    TrainedBefore
        The items with those questions or nearly the same, whatever asks nearly the same as one of
        them, and the batteries that any of them is in.

    Examples
    --------
    >>> from suffrage import read_survey
    >>> survey = read_survey("labelled_file", path="town.csv", codebook="town.yaml")
    >>> item = survey.codebook.items[0]
    >>> learnt = [TrainedQuestion("q1", item.question)]
    >>> trained_before(survey.codebook.items, {"an earlier study": learnt}).items
    {'roads': 'an earlier study'}
    """
    near, clusters = near_duplicate_groups(items), item_clusters(items)
    found: dict[str, str] = {}
    batteries: dict[str, str] = {}
    for who, learnt in questions.items():
        known = [
            Item(id=f"{_BEFORE}:{place}", question=text, options=_ANY_OPTIONS)
            for place, text in enumerate(dict.fromkeys(row.text for row in learnt))
        ]
        both = [*items, *known]
        same = _grouped_with(items, near, near_duplicate_groups(both), known)
        same |= overlapping(items, known, apart=True).keys()
        same = _with_group(items, near, same | _of_one_id(items, learnt, same))
        alike = _grouped_with(items, clusters, item_clusters(both), known)
        found = dict.fromkeys(same, who) | found
        batteries = dict.fromkeys(alike | _with_group(items, clusters, same), who) | batteries
    return TrainedBefore(found, batteries)


def _of_one_id(
    items: Sequence[Item], learnt: Sequence[TrainedQuestion], same: AbstractSet[str]
) -> set[str]:
    """The items whose ids were trained on, source by source where ids mean the same questions.

    same: the items that were found by their texts.
    """
    own: dict[str, dict[str, str]] = defaultdict(dict)
    for item in items:
        source, name = _parted(item.id)
        own[source][name] = item.id
    known: dict[str, set[str]] = defaultdict(set)
    for row in learnt:
        source, name = _parted(row.id)
        known[source].add(name)
    found: set[str] = set()
    for names in own.values():
        for others in known.values():
            common = {names[name] for name in names.keys() & others}
            alike = len(common & same)
            if alike >= FEWEST_ALIKE and alike > len(common) / 2:
                found |= common
    return found


def _parted(item_id: str) -> tuple[str, str]:
    """The name of an item's source, where a study has several, and its id there."""
    source, colon, name = item_id.partition(":")
    return (source, name) if colon else ("", item_id)


def _grouped_with(
    items: Sequence[Item],
    own: Mapping[str, str],
    joint: Mapping[str, str],
    known: Sequence[Item],
) -> set[str]:
    """The items in a group with any of the known ones, and whatever is in a group with those.

    own: the groups of the items alone. joint: the groups of all of them.
    """
    groups = {joint[item.id] for item in known}
    return _with_group(items, own, {item.id for item in items if joint[item.id] in groups})


def _with_group(
    items: Sequence[Item], groups: Mapping[str, str], names: AbstractSet[str]
) -> set[str]:
    wanted = {groups[name] for name in names}
    return {item.id for item in items if groups[item.id] in wanted}
