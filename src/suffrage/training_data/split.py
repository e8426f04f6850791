"""Which items are never trained on: by share, by topic or by list, and never by respondent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from suffrage import settings, storage
from suffrage.errors import InputError
from suffrage.survey import Item, Survey
from suffrage.text_overlap import jaccard, telling_words

# Items whose telling words overlap by more than this (Jaccard) ask nearly the same.
NEAR_DUPLICATE = 0.6


class HeldOut(BaseModel):
    """The study's `held_out` section: which items are never trained on.

    Items that belong together stay together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # item: a share of all items, drawn at random. topic: whole topics, named or drawn until the
    # share is reached. list: the items named.
    by: Literal["item", "topic", "list"] = "item"
    # Of all items, 0 to 1.
    share: float | None = Field(default=None, ge=0, le=1)
    # As the codebook has them.
    topics: tuple[str, ...] = ()
    # Ids.
    items: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_way_of_choosing(self) -> HeldOut:
        given = {"share": self.share is not None, "topics": self.topics, "items": self.items}
        wanted = {"item": ("share",), "topic": ("share", "topics"), "list": ("items",)}[self.by]
        extra = [key for key, value in given.items() if value and key not in wanted]
        if extra:
            raise ValueError(
                f"{extra[0]} does not go with by: {self.by} (use {' or '.join(wanted)})"
            )
        if sum(bool(given[key]) for key in wanted) != 1:
            raise ValueError(f"by: {self.by} needs exactly one of {' and '.join(wanted)}")
        return self


@dataclass(frozen=True)
class ItemSplit:
    """Which items are trained on and which are held out, and why they go together."""

    # Ids of items.
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    # The cluster of every item. A cluster is never split, and is resampled as one.
    clusters: Mapping[str, str]
    # The settings and the seed that it was made with.
    rule: Mapping[str, Any]

    def side(self, item_id: str) -> Literal["held_out", "trained"]:
        """On which side an item is."""
        return "held_out" if item_id in self.held_out else "trained"

    @property
    def content_hash(self) -> str:
        """A hash that changes with any item's side or cluster."""
        return storage.content_hash([self.train, self.held_out, dict(self.clusters)])

    def write(self, folder: Path) -> None:
        """Write `split.json`, all or nothing."""
        content = {
            "train": list(self.train),
            "held_out": list(self.held_out),
            "clusters": dict(self.clusters),
            "rule": dict(self.rule),
        }
        storage.write_folder(
            folder, lambda draft: storage.write_json(draft / "split.json", content)
        )

    @classmethod
    def read(cls, folder: Path) -> ItemSplit:
        """Read back what `write` wrote."""
        content = storage.read_json(folder / "split.json")
        return cls(
            tuple(content["train"]),
            tuple(content["held_out"]),
            content["clusters"],
            content["rule"],
        )


def split_items(
    survey: Survey | Sequence[Item],
    held_out: HeldOut | None = None,
    seed: int = 7,
    to_train: bool = True,
    **rule: Any,
) -> ItemSplit:
    """Divide items into those to train on and those held out.

    Batteries and questions that ask nearly the same stay on one side.

    Parameters
    ----------
    survey : Survey or sequence of Item
        The survey whose items to divide, or the items.
    held_out : HeldOut, optional
        Which items to hold out. Default: as the keywords in `rule` say.
    seed : int
        The seed of the draw.
    to_train : bool
        Whether anything will be trained, so that some items must be left for it.
    **rule
        The fields of `HeldOut`: `by` ("item", "topic" or "list") with `share` (0 to 1), `topics`
        or `items`.

    Returns
    -------
    ItemSplit
        The ids on both sides, and the cluster of each item.

    Raises
    ------
    InputError
        An item, a topic or a keyword is unknown, or a side would be empty.

    Examples
    --------
    >>> from suffrage import read_survey
    >>> survey = read_survey("labelled_file", path="town.csv", codebook="town.yaml")
    >>> split_items(survey, by="topic", share=0.25, seed=7).held_out
    ('parks',)
    """
    if held_out is None:
        held_out = settings.validated(HeldOut, rule, "split_items")
    elif rule:
        raise InputError(f"split_items: give held_out or {next(iter(rule))}, not both.")
    items = survey.codebook.items if isinstance(survey, Survey) else survey
    clusters = item_clusters(items)
    groups = _groups_to_draw(items, clusters, held_out)
    if held_out.by == "list" or held_out.topics:
        chosen = _named_groups(items, groups, held_out)
    else:
        assert held_out.share is not None
        chosen = _drawn_groups(groups, held_out.share, len(items), seed)
    out = {item_id for name in chosen for item_id in groups[name]}
    train = tuple(item.id for item in items if item.id not in out)
    if to_train and not train:
        raise InputError(
            f"held_out: {_rule_words(held_out)} leaves no item to train on ({len(items)} items in "
            f"{len(groups)} groups that stay together); hold out less."
        )
    if not out and held_out.share != 0:
        raise InputError(
            f"held_out: {_rule_words(held_out)} holds nothing out: the smallest group that stays "
            f"together has {min(len(group) for group in groups.values())} of {len(items)} items; "
            "raise the share, or name items with by: list."
        )
    return ItemSplit(
        train,
        tuple(item.id for item in items if item.id in out),
        clusters,
        {**held_out.model_dump(exclude_defaults=True), "by": held_out.by, "seed": seed},
    )


def _rule_words(held_out: HeldOut) -> str:
    if held_out.share is not None:
        return f"by {held_out.by}, share {held_out.share}"
    return f"by {held_out.by}, {', '.join(held_out.topics or held_out.items)}"


def item_clusters(items: Sequence[Item]) -> dict[str, str]:
    """The cluster of each item: parts of one battery, and questions that ask nearly the same.

    A cluster is named after its first item.
    """
    words = question_words(items)
    name = {item.id: item.id for item in items}
    for i, first in enumerate(items):
        for second in items[i + 1 :]:
            same_battery = first.battery is not None and first.battery == second.battery
            if same_battery or jaccard(words[first.id], words[second.id]) > NEAR_DUPLICATE:
                keep, drop = name[first.id], name[second.id]
                name = {
                    item: keep if cluster == drop else cluster for item, cluster in name.items()
                }
    return name


def question_words(items: Sequence[Item]) -> dict[str, frozenset[str]]:
    """Return the words of each item's question that few other questions contain, by item id."""
    return telling_words({item.id: item.question for item in items})


def _groups_to_draw(
    items: Sequence[Item], clusters: Mapping[str, str], held_out: HeldOut
) -> dict[str, list[str]]:
    """What is drawn as one: clusters, or (by topic) topics joined where a cluster spans them."""
    groups: dict[str, list[str]] = defaultdict(list)
    if held_out.by != "topic":
        for item in items:
            groups[clusters[item.id]].append(item.id)
        return dict(groups)
    without = [item.id for item in items if item.topic is None]
    if without:
        raise InputError(
            f"held_out: by: topic needs a topic for every item; {without[0]} has none in the "
            "codebook. Add it, or hold out by: item."
        )
    topic_of = {item.id: str(item.topic) for item in items}
    for item in items:
        first, second = topic_of[clusters[item.id]], topic_of[item.id]
        topic_of = {key: first if topic == second else topic for key, topic in topic_of.items()}
    for item in items:
        groups[topic_of[item.id]].append(item.id)
    return dict(groups)


def _named_groups(
    items: Sequence[Item], groups: Mapping[str, list[str]], held_out: HeldOut
) -> list[str]:
    known: Iterable[str] = (
        [item.id for item in items]
        if held_out.items
        else sorted({str(item.topic) for item in items})
    )
    for wanted in held_out.items or held_out.topics:
        if wanted not in known:
            key = "items" if held_out.items else "topics"
            raise InputError(
                f'held_out.{key}: there is no "{wanted}"; there are {", ".join(known)}.'
            )
    topics = {item.id: str(item.topic) for item in items}
    return [
        name
        for name, members in groups.items()
        if any(member in held_out.items or topics[member] in held_out.topics for member in members)
    ]


def _drawn_groups(
    groups: Mapping[str, list[str]], share: float, item_count: int, seed: int
) -> list[str]:
    """Groups in random order, each taken while it does not overshoot the share."""
    wanted = round(share * item_count)
    names = sorted(groups)
    order = np.random.default_rng([seed, 1]).permutation(len(names))
    chosen: list[str] = []
    count = 0
    for name in (names[index] for index in order):
        if count + len(groups[name]) <= wanted:
            chosen.append(name)
            count += len(groups[name])
    return chosen
