"""Which items are never trained on: by share, by topic or by list, and never by respondent."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import pairwise, takewhile
from math import floor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from suffrage import settings, storage
from suffrage.arguments import FLAG, NOTHING, PATH, SEED, instance_of, several, takes
from suffrage.errors import InputError, did_you_mean
from suffrage.survey import Item, Survey
from suffrage.text_overlap import (
    ContainedTexts,
    jaccard,
    only_words,
    telling_words,
    words_in,
)

# Items whose distinctive words overlap by more than this (Jaccard) ask nearly the same.
NEAR_DUPLICATE = 0.6


# Added to a study's seed where questions are held back to choose weights on.
HELD_BACK_SEED = 1_000_003

# What a question that is held out was unlike in training: another question of a known battery, a
# battery or topic never seen, or another survey.
Regime = Literal["question", "topic", "survey"]


class HeldOut(settings.MadeInPython):
    """The study's `held_out` section: which items are never trained on.

    Items that belong together stay together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # item: a share of all items, drawn at random. topic: whole topics, named or drawn until the
    # share is reached. list: the items named.
    by: Literal["item", "topic", "list"] = "item"
    # The share of all items, 0 to 1.
    share: float | None = Field(default=None, ge=0, le=1)
    # Topics, as the codebook names them.
    topics: tuple[str, ...] = ()
    # The ids of the items.
    items: tuple[str, ...] = ()
    # The share of all items held out as single questions; other questions of their batteries may be
    # trained on.
    question: float | None = Field(default=None, gt=0, lt=1)
    # Whole batteries and topics to hold out: a share of all items, or their names.
    topic: float | tuple[str, ...] | None = None
    # Value sets that no method is trained on: a share of all value sets, or their names.
    population: float | tuple[str, ...] | None = None
    # Sources whose items are all held out.
    survey: tuple[str, ...] = ()

    @property
    def combined(self) -> bool:
        """Whether regimes are named, and not one way of holding out."""
        return bool(self.question or self.topic or self.population or self.survey)

    @model_validator(mode="after")
    def _one_way_of_choosing(self) -> HeldOut:
        given = {"share": self.share is not None, "topics": self.topics, "items": self.items}
        for name in ("topic", "population"):
            share = getattr(self, name)
            if isinstance(share, float) and not 0 < share < 1:
                raise ValueError(f"{name}: a share must be above 0 and below 1")
        if self.combined:
            extra = [key for key, value in given.items() if value]
            if extra or "by" in self.model_fields_set:
                raise ValueError(
                    f"{extra[0] if extra else 'by'} does not go with question, topic, population "
                    "and survey"
                )
            return self
        wanted = {"item": ("share",), "topic": ("share", "topics"), "list": ("items",)}[self.by]
        extra = [key for key, value in given.items() if value and key not in wanted]
        if extra:
            raise ValueError(
                f"{extra[0]} does not go with by: {self.by} (use {' or '.join(wanted)})"
            )
        if sum(bool(given[key]) for key in wanted) != 1:
            needed = wanted[0] if len(wanted) == 1 else f"exactly one of {' and '.join(wanted)}"
            raise ValueError(f"by: {self.by} needs {needed}")
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
    # Why each item is held out, where the study names regimes; of an item in several, the hardest.
    regimes: Mapping[str, Regime] = field(default_factory=dict)
    # Ids of items that are neither trained on nor evaluated: what weights are chosen on.
    held_back: tuple[str, ...] = ()
    # The items that could not be held out, because another study trained a model on them before.
    trained_before: tuple[str, ...] = ()

    def side(self, item_id: str) -> Literal["held_out", "trained", "held_back"]:
        """On which side an item is."""
        if item_id in self._held_out:
            return "held_out"
        return "held_back" if item_id in self._held_back else "trained"

    @property
    def never_trained(self) -> tuple[str, ...]:
        """The items that no method may learn from: held out, or held back."""
        return (*self.held_out, *self.held_back)

    def trains_on(self, item_id: str) -> bool:
        """Whether an item is among those trained on."""
        return item_id in self._train

    @property
    def combines(self) -> bool:
        """Whether the study names regimes, and not one way of holding out."""
        return "by" not in self.rule

    @property
    def content_hash(self) -> str:
        """A hash that changes with any item's side or cluster."""
        return storage.content_hash(
            [self.train, self.held_out, dict(self.clusters), dict(self.regimes)]
            + ([self.held_back] if self.held_back else [])
        )

    @cached_property
    def _held_out(self) -> frozenset[str]:
        return frozenset(self.held_out)

    @cached_property
    def _held_back(self) -> frozenset[str]:
        return frozenset(self.held_back)

    @cached_property
    def _train(self) -> frozenset[str]:
        return frozenset(self.train)

    @takes(folder=PATH)
    def write(self, folder: str | Path) -> None:
        """Write `split.json`, all or nothing."""
        content = {
            "train": list(self.train),
            "held_out": list(self.held_out),
            "clusters": dict(self.clusters),
            "rule": dict(self.rule),
            "regimes": dict(self.regimes),
            "held_back": list(self.held_back),
            "trained_before": list(self.trained_before),
        }
        storage.write_folder(
            Path(folder), lambda draft: storage.write_json(draft / "split.json", content)
        )

    @classmethod
    @takes(folder=PATH)
    def read(cls, folder: str | Path) -> ItemSplit:
        """Read back what `write` wrote."""
        content = storage.read_json(Path(folder) / "split.json")
        return cls(
            tuple(content["train"]),
            tuple(content["held_out"]),
            content["clusters"],
            content["rule"],
            content["regimes"],
            # Splits that an earlier version wrote hold nothing back.
            tuple(content.get("held_back", ())),
            tuple(content.get("trained_before", ())),
        )


@dataclass(frozen=True)
class TrainedBefore:
    """The items that a model was trained on before, in another study. None of them is held out."""

    # Items that are a question trained on, or nearly the same as one, with the name of the
    # checkpoint. What asks nearly the same as such an item is one too.
    items: Mapping[str, str] = field(default_factory=dict)
    # Those, and the items that share a battery with a question trained on.
    batteries: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def _named_as_keywords() -> Iterator[None]:
    """Within the block, errors about a study's `held_out:` name the verb's own keywords."""
    try:
        yield
    except InputError as error:
        said = re.sub(r"^held_out(\.|: )", "split_items: ", str(error))
        raise type(error)(said) from error


@takes(
    survey=instance_of(Survey, words="a survey")
    | several("a list of items", instance_of(Item, words="an Item")),
    held_out=instance_of(HeldOut, words="a HeldOut") | NOTHING,
    seed=SEED,
    to_train=FLAG,
    before=instance_of(TrainedBefore, words="a TrainedBefore") | NOTHING,
)
def split_items(
    survey: Survey | Sequence[Item],
    held_out: HeldOut | None = None,
    seed: int = 7,
    to_train: bool = True,
    before: TrainedBefore | None = None,
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
    before : TrainedBefore, optional
        Items that the model was trained on before; none of them is held out.
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
        An item, a topic or a keyword is unknown, a side would be empty, or an item has to be held
        out that the model was trained on before.

    Examples
    --------
    >>> from suffrage import read_survey
    >>> survey = read_survey("labelled_file", path="town.csv", codebook="town.yaml")
    >>> split_items(survey, by="topic", share=0.25, seed=7).held_out
    ('parks',)
    """
    if held_out is None:
        given = settings.validated(HeldOut, rule, "split_items")
        with _named_as_keywords():
            return split_items(survey, given, seed, to_train, before)
    if rule:
        raise InputError(f"split_items: give held_out or {next(iter(rule))}, not both.")
    items = survey.codebook.items if isinstance(survey, Survey) else survey
    clusters = item_clusters(items)
    new = _NewItems(items, before or TrainedBefore())
    if held_out.combined:
        return _split_by_regimes(new, clusters, held_out, seed, to_train)
    groups = _groups_to_draw(items, clusters, held_out)
    chosen = new.chosen(groups, held_out, seed)
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
        trained_before=new.known,
    )


@dataclass(frozen=True)
class _NewItems:
    """The items of a study, and which of them a model was trained on before."""

    items: Sequence[Item]
    before: TrainedBefore

    @property
    def known(self) -> tuple[str, ...]:
        """The items trained on before, in order."""
        return tuple(item.id for item in self.items if item.id in self.before.items)

    def chosen(self, groups: Mapping[str, list[str]], held_out: HeldOut, seed: int) -> list[str]:
        """The groups to hold out by share, by topic or by list.

        Raises InputError where a name is unknown, and where the model was trained on a group before
        that is named or would have to be drawn.
        """
        if held_out.by != "list" and not held_out.topics:
            assert held_out.share is not None
            return self.drawn("share", groups, held_out.share, seed, self.before.batteries)
        named = _named_groups(self.items, groups, held_out)
        key, known = "items", self.before.items
        if held_out.topics:
            key, known = "topics", self.before.batteries
        self.check_named(key, [item_id for name in named for item_id in groups[name]], known)
        return named

    def check_named(self, key: str, names: Iterable[str], by: Mapping[str, str]) -> None:
        """Raise InputError where an item to hold out was trained on before.

        by: the items trained on, with the name of the checkpoint.
        """
        wanted = set(names)
        known = [item for item in self.items if item.id in wanted and item.id in by]
        if known:
            raise InputError(
                f"held_out.{key}: {_names(by, known)} was trained on {self._listed(known)}. "
                "Holding out what a model has learnt shows nothing: hold out other questions, or "
                "start from a checkpoint that has not learnt these."
            )

    def drawn(
        self,
        key: str,
        groups: Mapping[str, list[str]],
        share: float,
        seed: int,
        by: Mapping[str, str],
    ) -> list[str]:
        """Draw groups of which no item was trained on before, up to a share of all items.

        Raises InputError where too few are left.
        """
        left = _new_groups(groups, by)
        drawn = _drawn_groups(left, share, len(self.items), seed)
        wanted, room = round(share * len(self.items)), sum(map(len, left.values()))
        if len(left) < len(groups) and wanted and (room < wanted or not drawn):
            known = [item for item in self.items if item.id in by]
            singly = "" if key == "question" else ", or single questions (question: a share)"
            raise InputError(
                f"held_out.{key}: {share:g} of {len(self.items)} questions is {wanted}, and only "
                f"{room} can be drawn: {_names(by, known)} was trained on {self._listed(known)}. "
                f"Hold out at most {floor(100 * room / len(self.items)) / 100:g}{singly}, or start "
                "from a checkpoint that has learnt fewer."
            )
        return drawn

    def _listed(self, known: Sequence[Item], most: int = 3) -> str:
        """The first of some items that were trained on before, and how many more there are."""
        # Questions of one battery differ where they end.
        shown = [f'{item.id} ("{_ending(item.question)}")' for item in known[:most]]
        more = [f"{len(known) - most} more"] if len(known) > most else []
        same = all(item.id in self.before.items for item in known)
        ending = "or nearly the same" if same else "nearly the same, or on others of their battery"
        return f"{', '.join([*shown, *more])}, {ending}"


def _ending(text: str, longest: int = 60) -> str:
    """A text, or the end of a long one."""
    return text if len(text) <= longest else f"... {text[-longest:].partition(' ')[2]}"


def _names(by: Mapping[str, str], known: Sequence[Item]) -> str:
    return " and ".join(dict.fromkeys(by[item.id] for item in known))


def _rule_words(held_out: HeldOut) -> str:
    if held_out.share is not None:
        return f"by {held_out.by}, share {held_out.share}"
    return f"by {held_out.by}, {', '.join(held_out.topics or held_out.items)}"


def item_clusters(items: Sequence[Item]) -> dict[str, str]:
    """The cluster of each item: parts of one battery, and questions that ask nearly the same.

    A cluster is named after its first item.
    """
    return dict(_clusters(tuple(items)))


# A study's seeds divide the same items. Comparing thousands of questions takes seconds each time.
@lru_cache(maxsize=4)
def _clusters(items: tuple[Item, ...]) -> dict[str, str]:
    joined = _Joined([item.id for item in items])
    _join_batteries(joined, items)
    for first, second in nearly_the_same(items):
        joined.join(first, second)
    return joined.names()


def near_duplicate_groups(items: Sequence[Item]) -> dict[str, str]:
    """The group of each item with what asks nearly the same, whatever the battery.

    Questions that begin alike are compared by what comes after the words that they share. A
    question whose text is part of another's is in its group. So is a follow-up question, whose
    wording gives away what the question before it was about.
    """
    return dict(_near_duplicates(tuple(items)))


@lru_cache(maxsize=4)
def _near_duplicates(items: tuple[Item, ...]) -> dict[str, str]:
    joined = _Joined([item.id for item in items])
    for first, second in nearly_the_same(items, apart=True):
        joined.join(first, second)
    texts = {item.id: only_words(item.question) for item in items}
    known = ContainedTexts(texts)
    for item in items:
        for other in known.within(texts[item.id]):
            joined.join(other, item.id)
    for before, item in pairwise(items):
        if _FOLLOW_UP.match(item.question) and source_of(before.id) == source_of(item.id):
            joined.join(before.id, item.id)
    return joined.names()


def held_back(
    items: Sequence[Item],
    share: float,
    generator: np.random.Generator,
    before: Iterable[str] = (),
) -> frozenset[str]:
    """Draw a share of the items, whatever asks nearly the same on one side.

    Parameters
    ----------
    items : sequence of Item
    share : float
        Of all items, 0 to 1. A group that would overshoot it is not taken.
    generator : numpy.random.Generator
    before : iterable of str
        Items that the model was trained on before: none of them is drawn.

    Returns
    -------
    frozenset of str
        Their ids.

    Raises
    ------
    InputError
        The share is less than the smallest group, or leaves nothing.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for item_id, group in near_duplicate_groups(items).items():
        groups[group].append(item_id)
    seed = int(generator.integers(2**31))
    drawn = _drawn_groups(_new_groups(groups, before), share, len(items), seed)
    found = frozenset(item_id for name in drawn for item_id in groups[name])
    if not found or len(found) == len(items):
        kind = "none" if not found else "all"
        raise InputError(
            f"validation: {share:g} of {len(items)} questions to train on holds {kind} of them "
            f"back{_old_words(before)}; give another share, or leave validation out."
        )
    return found


def _new_groups(groups: Mapping[str, list[str]], before: Iterable[str]) -> dict[str, list[str]]:
    """The groups of which no item was trained on before."""
    known = frozenset(before)
    return {name: own for name, own in groups.items() if known.isdisjoint(own)}


def _old_words(before: Iterable[str]) -> str:
    """How many items may not be drawn because a model was trained on them before, for messages."""
    count = len(frozenset(before))
    learnt = f"that the study starts from has learnt {count} of the study's questions"
    return f" (the checkpoint {learnt}, which are no test of it)" if count else ""


def with_held_back(split: ItemSplit, items: Sequence[Item], share: float, seed: int) -> ItemSplit:
    """Take a share of the items to train on away from training, to choose weights on.

    Items that a split keeps together are held back together: clusters, or where the study names
    regimes what asks nearly the same. None is held back that a model was trained on before.

    Parameters
    ----------
    split : ItemSplit
    items : sequence of Item
    share : float
        Of the items to train on, 0 to 1.
    seed : int
        The seed of the draw.

    Raises
    ------
    InputError
        The share is less than the smallest group, or leaves nothing to train on.
    """
    together = near_duplicate_groups(items) if split.combines else split.clusters
    groups: dict[str, list[str]] = defaultdict(list)
    for item_id in split.train:
        groups[together[item_id]].append(item_id)
    # Drawn in another order than what is held out.
    new = _new_groups(groups, split.trained_before)
    drawn = _drawn_groups(new, share, len(split.train), seed + HELD_BACK_SEED)
    back = {item_id for name in drawn for item_id in groups[name]}
    if not back or len(back) == len(split.train):
        kind = "none" if not back else "all"
        raise InputError(
            f"calibrate: {share:g} of {len(split.train)} questions to train on holds {kind} of "
            f"them back{_old_words(split.trained_before)}; give another share."
        )
    return replace(
        split,
        train=tuple(item_id for item_id in split.train if item_id not in back),
        held_back=tuple(item_id for item_id in split.train if item_id in back),
    )


# How a question begins that follows up the one before it.
_FOLLOW_UP = re.compile(r"(?i)(?:and\b|if (?:yes|no|so|not)\b|you (?:said|mentioned)|why\b)")


def source_of(item_id: str) -> str:
    """The name that a study with several sources puts before the ids of a source's items."""
    return item_id.partition(":")[0] if ":" in item_id else ""


class _Joined:
    """Groups of items, joined two by two, each named after its first item."""

    def __init__(self, names: Sequence[str]) -> None:
        self._place = {name: place for place, name in enumerate(names)}
        self._above = dict(zip(names, names, strict=True))

    def _first(self, name: str) -> str:
        while self._above[name] != name:
            self._above[name] = self._above[self._above[name]]
            name = self._above[name]
        return name

    def join(self, one: str, other: str) -> None:
        """Put the groups of two items together."""
        first, second = sorted((self._first(one), self._first(other)), key=self._place.__getitem__)
        self._above[second] = first

    def names(self) -> dict[str, str]:
        """The name of each item's group."""
        return {name: self._first(name) for name in self._above}


def _join_batteries(joined: _Joined, items: Sequence[Item]) -> None:
    firsts: dict[str, str] = {}
    for item in items:
        if item.battery is not None:
            joined.join(firsts.setdefault(item.battery, item.id), item.id)


def nearly_the_same(items: Sequence[Item], apart: bool = False) -> Iterator[tuple[str, str]]:
    """Pairs of questions that ask nearly the same, judged by the words few others contain.

    Two sets of words overlap by more than the share t only where they share a word, so that only
    items with a common word are compared, each by its rarest words.

    Parameters
    ----------
    items : sequence of Item
    apart : bool
        Whether what questions have in common because they are of one battery, or begin with the
        same words, counts for nothing.

    Yields
    ------
    (str, str)
        The ids of a pair, in the order of the items.
    """
    words, parts = question_words(items), _parts(items)
    order = {item.id: place for place, item in enumerate(items)}
    counts = Counter(word for found in words.values() for word in found)
    index: dict[str, list[str]] = defaultdict(list)
    for item in items:
        own = sorted(words[item.id], key=lambda word: (counts[word], word))
        # Of two sets that overlap by more than t, the rarest (1 - t) of the words, and one more,
        # of each hold a shared word (prefix filtering).
        own = own[: int((1 - NEAR_DUPLICATE) * len(own)) + 1]
        candidates = {other for word in own for other in index[word]}
        for other in sorted(candidates, key=order.__getitem__):
            first, second = words[other], words[item.id]
            # Sets of too different sizes cannot overlap so far.
            if min(len(first), len(second)) <= NEAR_DUPLICATE * max(len(first), len(second)):
                continue
            if jaccard(first, second) > NEAR_DUPLICATE and not (
                apart and _differ_at_the_end(parts[other], parts[item.id])
            ):
                yield other, item.id
        for word in own:
            index[word].append(item.id)


# Questions that begin with this many words of one another have a stem in common.
LONG_STEM = 8


@dataclass(frozen=True)
class _Part:
    """A question's words, and how many of them all of its battery begins with."""

    words: tuple[str, ...]
    stem: int


def _differ_at_the_end(one: _Part, other: _Part) -> bool:
    """Whether two questions differ in what comes after the words that they have in common.

    Of two questions with batteries the parts are compared. Otherwise both are compared without
    the words that they begin with alike, if there are many of them.
    """
    first, second = one.stem, other.stem
    if not (first and second):
        shared = _shared_beginning([one.words, other.words])
        first = second = shared if shared >= LONG_STEM else 0
    ends = frozenset(one.words[first:]), frozenset(other.words[second:])
    return ends[0] != ends[1] and jaccard(*ends) <= NEAR_DUPLICATE


def differ_after_a_long_beginning(one: str, other: str) -> bool:
    """Whether two questions begin with the same many words, and then ask different things.

    Examples
    --------
    >>> stem = "How much confidence do you have in each of these: "
    >>> differ_after_a_long_beginning(stem + "the press?", stem + "the police?")
    True
    >>> differ_after_a_long_beginning("Do you trust the press?", "Do you trust the police?")
    False
    """
    first, second = words_in(one), words_in(other)
    alike = _shared_beginning([first, second]) >= LONG_STEM
    return alike and _differ_at_the_end(_Part(tuple(first), 0), _Part(tuple(second), 0))


def _parts(items: Sequence[Item]) -> dict[str, _Part]:
    batteries: dict[str | None, list[tuple[str, ...]]] = defaultdict(list)
    words = {item.id: tuple(words_in(item.question)) for item in items}
    for item in items:
        batteries[item.battery].append(words[item.id])
    stems = {
        battery: _shared_beginning(questions)
        for battery, questions in batteries.items()
        if battery is not None and len(questions) > 1
    }
    return {item.id: _Part(words[item.id], stems.get(item.battery or "", 0)) for item in items}


def _shared_beginning(questions: Sequence[Sequence[str]]) -> int:
    """How many words all questions begin with."""
    shortest = min(len(words) for words in questions)
    same = (len({words[place] for words in questions}) == 1 for place in range(shortest))
    return sum(1 for _ in takewhile(bool, same))


def question_words(items: Sequence[Item]) -> dict[str, frozenset[str]]:
    """Return the words of each item's question that few other questions contain, by item id."""
    return telling_words({item.id: item.question for item in items})


def _split_by_regimes(
    new: _NewItems,
    clusters: Mapping[str, str],
    held_out: HeldOut,
    seed: int,
    to_train: bool,
) -> ItemSplit:
    """Hold out surveys, then topics, then single questions, each from what is left.

    Whatever asks nearly the same as an item that is held out is held out with it.
    """
    items = new.items
    groups: dict[str, list[str]] = defaultdict(list)
    for item_id, group in near_duplicate_groups(items).items():
        groups[group].append(item_id)
    group_of = {item: group for group, members in groups.items() for item in members}
    regimes: dict[str, Regime] = {}

    def hold_out(regime: Regime, names: Iterable[str]) -> None:
        for name in names:
            for member in groups[group_of[name]]:
                regimes.setdefault(member, regime)

    sources = {source_of(item.id) for item in items}
    for wanted in held_out.survey:
        if wanted not in sources or not wanted:
            raise InputError(
                f'held_out.survey: there is no source "{wanted}"; there are '
                f"{', '.join(sorted(sources - {''})) or 'no named sources'}."
                f"{did_you_mean(wanted, sources - {''})}"
            )
        hold_out("survey", [item.id for item in items if source_of(item.id) == wanted])
    new.check_named("survey", regimes, new.before.items)
    if held_out.topic is not None:
        hold_out("topic", _topics_held_out(new, clusters, held_out.topic, regimes, seed))
    if held_out.question is not None:
        left = {
            name: members
            for name, members in groups.items()
            if not any(m in regimes for m in members)
        }
        drawn = new.drawn("question", left, held_out.question, seed, new.before.items)
        hold_out("question", [left[name][0] for name in drawn])
    train = tuple(item.id for item in items if item.id not in regimes)
    if to_train and not train:
        raise InputError("held_out: leaves no item to train on; hold out less.")
    return ItemSplit(
        train,
        tuple(item.id for item in items if item.id in regimes),
        dict(clusters),
        {**held_out.model_dump(exclude_defaults=True), "seed": seed},
        regimes,
        trained_before=new.known,
    )


def _topics_held_out(
    new: _NewItems,
    clusters: Mapping[str, str],
    wanted: float | tuple[str, ...],
    regimes: Mapping[str, Regime],
    seed: int,
) -> list[str]:
    """The items of the topics named, or of topics drawn until they are a share of all items.

    An item without a topic is with its battery, and one without either stands for itself.
    """
    items = new.items
    groups: dict[str, list[str]] = defaultdict(list)
    for item in items:
        if item.id not in regimes:
            groups[f"topic {item.topic}" if item.topic else clusters[item.id]].append(item.id)
    if not isinstance(wanted, float):
        known = {item.topic for item in items if item.topic}
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise InputError(
                f'held_out.topic: there is no topic "{unknown[0]}"; there are '
                f"{', '.join(sorted(known)) or 'none'}.{did_you_mean(unknown[0], known)}"
            )
        named = [item for name in wanted for item in groups[f"topic {name}"]]
        new.check_named("topic", named, new.before.batteries)
        return named
    # A battery of one question is no topic.
    several = {name: members for name, members in groups.items() if len(members) > 1}
    drawn = new.drawn("topic", several, wanted, seed, new.before.batteries)
    return [item for name in drawn for item in several[name]]


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
                f"{did_you_mean(wanted, known)}"
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
