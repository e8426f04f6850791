"""A constitution: principles in plain words, each with how many people stand behind it.

Written by hand, exported from a consultation, or made from what a population answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from suffrage import settings, storage
from suffrage.arrays import FloatArray
from suffrage.errors import InputError, SuffrageError
from suffrage.population import ValueSet
from suffrage.training_data.split import ItemSplit

# What a study says instead of a file.
FROM_VALUE_SET = "from_value_set"
FROM_CONSULTATION = "from_consultation"

Views = Literal["leading", "all"]
Weighing = Literal["support", "group_informed"]
Match = Literal["any", "item"]


class Principle(BaseModel):
    """A principle that a model's answers are criticised and judged by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    text: str = Field(min_length=1)
    # Share of people behind it, 0 to 1.
    support: float | None = Field(default=None, ge=0, le=1)
    # The same for each opinion group, P_agree = (agree + 1) / (agree + disagree + pass + 2).
    group_support: dict[str, float] = Field(default_factory=dict)
    # The statements that it was made of.
    sources: tuple[str, ...] = ()
    # The survey items that it was made of.
    items: tuple[str, ...] = ()
    # How many statements were merged into it. It is sampled as often as they would be.
    stands_for: int = Field(default=1, ge=1)

    @field_validator("id", mode="before")
    @classmethod
    def _number_as_text(cls, given: Any) -> Any:
        return str(given) if isinstance(given, int) else given

    @field_validator("text")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("must say something")
        return text.strip()

    @field_validator("group_support")
    @classmethod
    def _shares(cls, given: dict[str, float]) -> dict[str, float]:
        for group, share in given.items():
            if not 0 <= share <= 1:
                raise ValueError(f"group {group} has {share:g}; it must be between 0 and 1")
        return given

    @property
    def group_informed_support(self) -> float:
        """The product of every group's support: low as soon as one group is against.

        Source: Polis, `group-aware-consensus` in its conversation.clj.
        """
        return float(np.prod([*self.group_support.values()]))


class Constitution(BaseModel):
    """Principles, in the order of their file.

    Examples
    --------
    >>> kind = Principle(id="kind", text="Be kind.", support=0.9)
    >>> brief = Principle(id="brief", text="Be brief.", support=0.3)
    >>> Constitution(principles=(kind, brief)).weights()
    array([0.75, 0.25])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str | None = None
    principles: tuple[Principle, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Constitution:
        ids = [principle.id for principle in self.principles]
        twice = [name for name in ids if ids.count(name) > 1]
        if twice:
            raise ValueError(f"the principle {twice[0]!r} appears twice; give one another id")
        without = [p.id for p in self.principles if p.support is None]
        if without and len(without) < len(ids):
            raise ValueError(
                f"{without[0]!r} has no support while others have; give it to all or to none"
            )
        return self

    @property
    def content_hash(self) -> str:
        """A hash that changes with any principle or its support."""
        return storage.content_hash(self.model_dump())

    def weights(self, weighing: Weighing = "support") -> FloatArray:
        """How often each principle is sampled.

        Parameters
        ----------
        weighing : str
            "support", or "group_informed" for the product of every group's support.

        Returns
        -------
        array, shape (principles,)
            Sums to 1. All the same where no principle has a support.

        Raises
        ------
        InputError
            Every support is 0, or groups are wanted and not the same for all principles.
        """
        if weighing == "group_informed":
            groups = sorted(self.principles[0].group_support)
            for principle in self.principles:
                if not groups or sorted(principle.group_support) != groups:
                    raise InputError(
                        f"constitution: principle {principle.id!r} needs group_support for each of "
                        f"the groups ({', '.join(groups) or 'there is none in the file'}); a "
                        "consultation's export has it. Without groups, use the method cai."
                    )
            raw = [principle.group_informed_support for principle in self.principles]
        else:
            raw = [1.0 if p.support is None else p.support for p in self.principles]
        raw = [r * p.stands_for for r, p in zip(raw, self.principles, strict=True)]
        total = sum(raw)
        if total <= 0:
            raise InputError("constitution: every principle has support 0, so none can be sampled.")
        return np.array(raw) / total

    def draw(
        self,
        count: int,
        generator: np.random.Generator,
        weighing: Weighing = "support",
        item: str | None = None,
    ) -> list[Principle]:
        """Draw principles independently, by their weights.

        Parameters
        ----------
        count : int
        generator : Generator
        weighing : str
            See `weights`.
        item : str, optional
            Draw only principles made from this item, where there are any with support.
        """
        weights = self.weights(weighing)
        if item is not None:
            own = np.array([item in principle.items for principle in self.principles])
            if (weights * own).sum() > 0:
                weights = weights * own / (weights * own).sum()
        places = generator.choice(len(self.principles), size=count, p=weights)
        return [self.principles[place] for place in places]


@dataclass(frozen=True)
class ConstitutionSettings:
    """How a study's principles are found, and sampled for each prompt."""

    # A file, `from_value_set` or `from_consultation`.
    source: str = FROM_VALUE_SET
    weighing: Weighing = "support"
    # Of a value set: one principle an item for its leading answer, or one for every answer.
    views: Views = "leading"
    # Of a value set: how many items.
    items: int = 10
    # Whether a prompt gets any principle, or those of its own item where there are some.
    match: Match = "any"
    # Of critique and revision.
    rounds: int = 1
    # A JSONL file of further prompts.
    prompts: str | None = None
    # Prompts at most.
    most: int | None = None


def read_constitution(path: Path) -> Constitution:
    """Read a constitution from a YAML or JSON file.

    Raises
    ------
    InputError
        With the file, the key, and what it may be.
    """
    if not path.is_file():
        raise InputError(
            f"constitution: {path} does not exist; give a file with `principles:`, or "
            f"{FROM_VALUE_SET}."
        )
    content = storage.read_json(path) if path.suffix == ".json" else settings.read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: must contain keys and values, such as `principles:`.")
    return settings.validated(Constitution, content, path.name)


def constitution_of(
    value_set: ValueSet, split: ItemSplit, items: int, views: Views = "leading"
) -> Constitution:
    """The principles in a population's answers to the trained items that it is clearest on.

    Parameters
    ----------
    value_set : ValueSet
    split : ItemSplit
    items : int
        How many items: those whose leading answer has the largest share.
    views : str
        "leading": one principle an item, with the leading answer's share as support, so that
        majorities are sampled and minorities are not. "all": one for every answer that somebody
        gives, with its share, so that a 60/40 public is sampled 60/40.

    Raises
    ------
    SuffrageError
        The population has an answer to no trained item.
    """
    trained = [d for item, d in value_set.distributions.items() if split.trains_on(item)]
    if not trained:
        raise SuffrageError(f"{value_set.name} has an answer to no item that is trained on.")
    clearest = sorted(trained, key=lambda d: (-float(d.shares.max()), d.item.id))[:items]
    principles = []
    for distribution in clearest:
        item, shares = distribution.item, distribution.shares
        leading = int(shares.argmax())
        for place, text in enumerate(item.texts):
            if shares[place] <= 0 or (views == "leading" and place != leading):
                continue
            principles.append(
                Principle(
                    id=item.id if views == "leading" else f"{item.id}-{place + 1}",
                    text=f'To the question "{item.question}", {shares[place]:.0%} of '
                    f'{value_set.description} say "{text}". Choose the answer of someone who '
                    "holds that view.",
                    support=float(shares[place]),
                    sources=(f"{item.id}: {item.question}",),
                    items=(item.id,),
                )
            )
    return Constitution(title=f"What {value_set.description} say", principles=tuple(principles))


def constitutions_for(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    wanted: ConstitutionSettings,
    folder: Path,
    consultation: Callable[[], Constitution] | None = None,
) -> Mapping[str, Constitution]:
    """The constitution of each value set, by name: its own, or one for all.

    Parameters
    ----------
    value_sets, split
        Of the study.
    wanted : ConstitutionSettings
    folder : Path
        Where a relative path starts.
    consultation : callable, optional
        Finds the principles of the study's consultation.

    Raises
    ------
    InputError
        The file cannot be read, or one of its principles was made from a held-out item.
    """
    if wanted.source == FROM_VALUE_SET:
        return {v.name: constitution_of(v, split, wanted.items, wanted.views) for v in value_sets}
    if wanted.source == FROM_CONSULTATION:
        if consultation is None:
            raise InputError("from_consultation needs `consultation:` in the study.")
        return dict.fromkeys((v.name for v in value_sets), consultation())
    path = (folder / wanted.source).resolve()
    constitution = read_constitution(path)
    constitution.weights(wanted.weighing)
    for principle in constitution.principles:
        leaked = sorted(set(principle.items) & set(split.never_trained))
        if leaked:
            raise InputError(
                f"{path.name}: principle {principle.id!r} was made from {leaked[0]}, which is held "
                "out; leave the principle out, or hold out other items."
            )
    return {value_set.name: constitution for value_set in value_sets}
