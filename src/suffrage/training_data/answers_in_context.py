"""Populations described by answers of their own, instead of by a name or next to one.

A model can then answer for people whom no name describes: a segment, a group of a consultation, a
population that it never met. What is shown never touches what is asked: an answer to the question
itself, to one that asks nearly the same, to one of its battery or cluster, to a held-out question
or to one held back for validation is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.models.asking import Persona
from suffrage.population import ValueSet
from suffrage.survey import Item, Option
from suffrage.training_data.overlap import overlapping
from suffrage.training_data.split import ItemSplit, item_clusters, near_duplicate_groups

# Shares by option, by question.
Answered = Mapping[str, Mapping[str, float]]
# What a prompt calls a population without a name.
UNNAMED = "these people"
# A description that is kept has so many times the answers that it shows, because some may not be
# shown next to a question.
KEPT_TIMES = 4


class InContextSettings(BaseModel):
    """How a prompt describes populations by their answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: int = Field(ge=1, le=100)
    """How many answers to other questions it shows."""
    name: bool = False
    """Whether it names the population too."""


@dataclass(frozen=True)
class GivenAnswer:
    """What a population answered to one question, as a prompt shows it."""

    item: str
    question: str
    # The options with their shares, such as "62% Yes, 38% No".
    said: str

    @property
    def text(self) -> str:
        """The question in one line, and the answer in another."""
        return f"Q: {' '.join(self.question.split())}\n{self.said}"


def shares_in_words(options: Sequence[str], shares: FloatArray | Sequence[float]) -> str:
    """Return the shares of options in whole percent; options below half a percent are left out.

    Examples
    --------
    >>> shares_in_words(["Yes", "No", "Perhaps"], [0.62, 0.376, 0.004])
    '62% Yes, 38% No'
    """
    # Sums of the same numbers in another order differ in the last bits.
    percents = [round(round(100 * float(share), 6)) for share in shares]
    return ", ".join(
        f"{percent}% {option}" for option, percent in zip(options, percents, strict=True) if percent
    )


@dataclass(frozen=True)
class KnownItem:
    """An item of a study, and the groups that it is in: its cluster, and what asks the same."""

    question: str
    groups: frozenset[str]

    @classmethod
    def from_json(cls, content: Sequence[Any]) -> KnownItem:
        """Read back what `as_json` gave."""
        return cls(content[0], frozenset(content[1]))

    def as_json(self) -> list[Any]:
        """For a checkpoint."""
        return [self.question, sorted(self.groups)]


def known_items(items: Sequence[Item], clusters: Mapping[str, str]) -> dict[str, KnownItem]:
    """Each item with its groups, by id. clusters: of a split, or of `item_clusters`."""
    near = near_duplicate_groups(items)
    return {
        item.id: KnownItem(
            item.question,
            frozenset([f"cluster {clusters.get(item.id, item.id)}", f"near {near[item.id]}"]),
        )
        for item in items
    }


@lru_cache(maxsize=65536)
def _ask_the_same(question: str, other: str) -> bool:
    """Whether two questions ask nearly the same, by their words."""
    options = (Option(code="1", text="Yes"), Option(code="2", text="No"))
    first, second = (Item(id=text, question=text, options=options) for text in (question, other))
    return bool(overlapping([first], [second]))


@dataclass(frozen=True, eq=False)
class AnsweredPersona:
    """A population that a prompt describes by its answers to other questions."""

    # The population's name as prompts have it; None for a description without one.
    named: str | None
    # In the order in which they are shown, with more than are shown at once.
    answers: tuple[GivenAnswer, ...]
    # How many are shown.
    count: int
    # The study's items by id. An item in other words, or of another survey, is also compared by
    # its words.
    known: Mapping[str, KnownItem]

    @property
    def words(self) -> str:
        """What the question calls the population, to fit "Answer as ... would."."""
        return self.named or UNNAMED

    def introduction(self, item: Item | None) -> str:
        """What is before a question about an item; None for a prompt about no item."""
        shown = [answer.text for answer in self.shown_with(item)]
        who = self.named or "the people asked"
        who = who[0].upper() + who[1:]
        if not shown:
            return f"{who} were asked nothing else."
        return "\n\n".join([f"{who} gave these answers to other questions:", *shown])

    def shown_with(self, item: Item | None) -> list[GivenAnswer]:
        """The answers that are shown before a question about an item."""
        found: list[GivenAnswer] = []
        for answer in self.answers:
            if len(found) == self.count:
                break
            if item is None or not self._gives_away(answer, item):
                found.append(answer)
        return found

    def _gives_away(self, answer: GivenAnswer, item: Item) -> bool:
        asked, shown = self.known.get(item.id), self.known.get(answer.item)
        if asked is not None and shown is not None:
            if not asked.groups.isdisjoint(shown.groups):
                return True
            if asked.question == item.question:
                return False
        return _ask_the_same(item.question, answer.question)

    @classmethod
    def from_json(
        cls, content: Mapping[str, Any], count: int, known: Mapping[str, KnownItem]
    ) -> AnsweredPersona:
        """Read back what `as_json` gave. count: how many answers are shown."""
        answers = tuple(GivenAnswer(*one) for one in content["answers"])
        return cls(content["name"], answers, count, known)

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: more answers than it shows at once, and no known items."""
        kept = self.answers[: KEPT_TIMES * self.count]
        return {
            "name": self.named,
            "answers": [[one.item, one.question, one.said] for one in kept],
        }


def persona_from(
    population: str | ValueSet | Answered, settings: InContextSettings | None = None
) -> Persona:
    """How questions name a population, or describe one by what is known of it here.

    Parameters
    ----------
    population : str, ValueSet or mapping
        A name; a value set; or shares by option, by question.
    settings : InContextSettings, optional
        How populations are described. By default value sets are named, and answers all shown.

    Raises
    ------
    InputError
        There are no answers.

    Examples
    --------
    >>> persona = persona_from({"Is tea good?": {"Yes": 0.7, "No": 0.3}})
    >>> print(persona.introduction(None))
    The people asked gave these answers to other questions:
    <BLANKLINE>
    Q: Is tea good?
    70% Yes, 30% No
    """
    if isinstance(population, str):
        return population
    if isinstance(population, ValueSet):
        if settings is None:
            return population.description
        known = known_items(population.items, item_clusters(population.items))
        return Describer(settings, frozenset(known), known, 0).fixed(population)
    _check_answered(population)
    answers = tuple(
        GivenAnswer(question, question, shares_in_words(list(shares), list(shares.values())))
        for question, shares in population.items()
    )
    if not answers:
        raise InputError("no answers describe the population; give at least one.")
    count = len(answers) if settings is None else settings.answers
    return AnsweredPersona(None, answers, count, {})


def _check_answered(population: Answered) -> None:
    """Refuse answers that are not shares by option by question. Raises InputError naming one."""
    for question, shares in population.items():
        if not (
            isinstance(shares, Mapping)
            and all(isinstance(option, str) for option in [question, *shares])
            and all(isinstance(share, Real) and 0 <= share <= 1 for share in shares.values())
        ):
            raise InputError(
                f"a population's answer to {question!r} is {shares!r}; give the share of each "
                'option by its text, from 0 to 1, such as {"Too little": 0.7, "Too much": 0.3}.'
            )


def persona_of(value_set: ValueSet, described: Mapping[str, Persona]) -> Persona:
    """How questions name a value set: as it is described here, or by its name."""
    return described.get(value_set.name, value_set.description)


class Describer:
    """Describes populations by their answers to questions that may be shown.

    Parameters
    ----------
    settings : InContextSettings
    shown : collection of str
        Ids of the items whose answers may be shown: trained on, and not held back.
    known : mapping
        See `known_items`.
    seed : int
        Of the fixed draws.

    Raises
    ------
    InputError
        When a population answered none of the questions.
    """

    def __init__(
        self,
        settings: InContextSettings,
        shown: Collection[str],
        known: Mapping[str, KnownItem],
        seed: int,
    ) -> None:
        self.settings, self._shown, self._known_items, self._seed = settings, shown, known, seed
        self._answers: dict[str, list[GivenAnswer]] = {}

    def fixed(self, value_set: ValueSet) -> AnsweredPersona:
        """A population as it is described wherever models are asked: always in one order."""
        known = sorted(
            self._known(value_set),
            key=lambda one: storage.content_hash([self._seed, value_set.name, one.item]),
        )
        return self._persona(value_set, known)

    def drawn(
        self, value_set: ValueSet, item: Item, generator: np.random.Generator
    ) -> AnsweredPersona:
        """A population described for one training record, with answers drawn for it."""
        known = self._known(value_set)
        persona = self._persona(value_set, [known[k] for k in generator.permutation(len(known))])
        return self._persona(value_set, persona.shown_with(item))

    def _persona(self, value_set: ValueSet, answers: Sequence[GivenAnswer]) -> AnsweredPersona:
        named = value_set.description if self.settings.name else None
        return AnsweredPersona(named, tuple(answers), self.settings.answers, self._known_items)

    def _known(self, value_set: ValueSet) -> list[GivenAnswer]:
        """What a population answered that may be shown, by the item's id."""
        if value_set.name not in self._answers:
            found = [
                GivenAnswer(name, d.item.question, shares_in_words(d.item.texts, d.shares))
                for name, d in sorted(value_set.distributions.items())
                if name in self._shown
            ]
            if not found:
                raise InputError(
                    f"in_context: {value_set.name} answered no question that is trained on and not "
                    "held back, so that nothing describes it; leave the value set out, or say name "
                    "instead of in_context."
                )
            self._answers[value_set.name] = found
        return self._answers[value_set.name]


class RecordPersonas:
    """How the records of one training name or describe populations.

    Parameters
    ----------
    value_sets : sequence of ValueSet
    split : ItemSplit
        Answers to the items that it trains on may be shown.
    held_back : collection of str
        Ids of items that are held back from training; their answers are not shown.
    settings : InContextSettings or None
        None to name populations.
    seed : int
        Of the fixed draws.
    generator : Generator
        Of the draws for each record. It is left as it was, so that the same questions are drawn
        whether populations are described or named.
    """

    def __init__(
        self,
        value_sets: Sequence[ValueSet],
        split: ItemSplit,
        held_back: Collection[str],
        settings: InContextSettings | None,
        seed: int,
        generator: np.random.Generator,
    ) -> None:
        self._describer: Describer | None = None
        if settings is not None:
            items = {item.id: item for value_set in value_sets for item in value_set.items}
            shown = set(split.train) - set(held_back)
            known = known_items(list(items.values()), split.clusters)
            self._describer = Describer(settings, shown, known, seed)
            (self._generator,) = generator.spawn(1)

    def drawn(self, value_set: ValueSet, item_id: str) -> Persona:
        """A population as a record about an item names or describes it."""
        if self._describer is None:
            return value_set.description
        item = value_set.distributions[item_id].item
        return self._describer.drawn(value_set, item, self._generator)

    def fixed(self, value_set: ValueSet) -> Persona:
        """A population as it is named or described wherever the model is asked."""
        return (
            value_set.description if self._describer is None else self._describer.fixed(value_set)
        )
