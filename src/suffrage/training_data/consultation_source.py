"""What of a consultation may be trained on: whose words, on which prompts, for which population."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from suffrage.consult.consultation import Consultation
from suffrage.consult.groups.consensus import LEAST_VOTERS, MAJORITY
from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.consult.people import (
    ReadAs,
    held_out_people,
    people_for,
    people_weights,
)
from suffrage.consult.principles import PrincipleSettings, find_principles
from suffrage.errors import InputError
from suffrage.population import ValueSet
from suffrage.survey import Item
from suffrage.survey.weighting import WeightingSpec
from suffrage.text_overlap import words_in
from suffrage.training_data.constitution import Constitution
from suffrage.training_data.members import members_of
from suffrage.training_data.split import ItemSplit, question_words

# A text that has this share of an item's telling words is about the item.
ABOUT = 0.6


class ConsultationSpec(BaseModel):
    """The study's `consultation` section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The consultation's folder, as `suffrage consult export` writes it.
    folder: Path
    # The share of participants never trained on.
    held_out: float = Field(default=0.25, ge=0, lt=1)
    # Participants one each, or weighted to the population.
    read_as: ReadAs = "sample"
    # What to weight to; None for the weights that participants carry.
    margins: WeightingSpec | None = None
    # Value sets that have no participants, and so learn nothing from the consultation.
    without: tuple[str, ...] = ()
    # The share of the least agreeing group from which a statement is a principle.
    least_share: float = Field(default=MAJORITY, gt=0, lt=1)
    # How many people of every group must have voted on a statement for it to be a principle.
    least_voters: int = Field(default=LEAST_VOTERS, ge=1)
    # How many opinion groups; None for as many as are stable in `resamples`.
    groups: int | None = Field(default=None, ge=2)
    resamples: int = Field(default=50, ge=2)

    @model_validator(mode="after")
    def _margins_are_for_the_population(self) -> ConsultationSpec:
        if self.margins is not None and self.read_as == "sample":
            raise ValueError("margins: are for read_as: population; say so, or leave them out")
        return self


@dataclass(frozen=True, eq=False)
class ConsultationSource:
    """A consultation as training may see it."""

    consultation: Consultation
    # The weight of everyone trained on.
    people: Mapping[str, float]
    # Those of each value set among the people trained on.
    members: Mapping[str, tuple[str, ...]]
    # Those who consented to training and are never trained on.
    held_out_people: tuple[str, ...]
    # The prompts that may be trained on; the rest is about items held out.
    prompts: frozenset[str]
    # The statements that may be trained on.
    statements: frozenset[str]
    spec: ConsultationSpec
    # The seed of the opinion groups' draws.
    seed: int
    # What a checkpoint's manifest says of the consultation.
    facts: Mapping[str, Any] = field(default_factory=dict)

    def weights_of(self, value_set: str) -> dict[str, float]:
        """Weight by participant of one value set's members."""
        return {person: self.people[person] for person in self.members[value_set]}

    def constitution(self) -> Constitution:
        """The principles of everyone trained on, from statements about no item held out."""
        every = set(self.consultation.statements["statement"])
        found = find_principles(
            self.consultation,
            PrincipleSettings(
                least_share=self.spec.least_share,
                least_voters=self.spec.least_voters,
                read_as=self.spec.read_as,
                margins=self.spec.margins,
                groups=GroupSettings(groups=self.spec.groups, seed=self.seed),
                resamples=self.spec.resamples,
            ),
            people=tuple(self.people),
            without=sorted(every - self.statements),
        )
        return Constitution.model_validate(found.constitution())


def consultation_source(
    consultation: Consultation,
    spec: ConsultationSpec,
    value_sets: Sequence[ValueSet],
    items: Sequence[Item],
    split: ItemSplit,
    seed: int,
    segments: Collection[str] = (),
) -> ConsultationSource:
    """Who and what of a consultation may be trained on.

    segments: value sets that participants cannot be told to be in. Raises InputError where nobody
    consented to training, everybody is held out, or a value set's `where` finds no participant.
    """
    consenting = people_for(consultation, "training")
    out = held_out_people(consenting, spec.held_out, seed)
    away = set(out)
    trained = [person for person in consenting if person not in away]
    if not trained:
        why = "all are held out" if consenting else "nobody consented to training"
        raise InputError(f"consultation {consultation.slug}: nobody to learn from: {why}.")
    # Weights are those of everyone, so that who is held out changes nobody else's.
    weights, raked = people_weights(consultation, consenting, spec.read_as, spec.margins)
    prompts = prompts_about_held_out(consultation, items, split)
    statements = about_held_out(
        dict(consultation.statements.select("statement", "text").iter_rows()), items, split
    )
    nobody = {*segments, *spec.without}
    members = {
        v.name: () if v.name in nobody else members_of(consultation, trained, v) for v in value_sets
    }
    facts = {
        "content_hash": consultation.content_hash,
        "participants": len(consenting),
        "held_out_participants": len(out),
        "read_as": spec.read_as,
        "representativeness": None
        if raked is None
        else {
            "source": raked.source,
            "n_eff": raked.n_eff[1],
            "dissimilarity_before_and_after": {
                margin: list(pair) for margin, pair in raked.dissimilarity.items()
            },
            "most_missing": [f"{c.margin} {c.name}" for c in raked.missing()],
        },
        "members": {name: len(people) for name, people in members.items()},
        "prompts_held_out": sorted(prompts),
        "statements_held_out": sorted(statements),
    }
    return ConsultationSource(
        consultation=consultation,
        people={person: weights[person] for person in trained},
        members=members,
        held_out_people=out,
        prompts=frozenset(consultation.prompts["prompt"]) - set(prompts),
        statements=frozenset(consultation.statements["statement"]) - set(statements),
        spec=spec,
        seed=seed,
        facts=facts,
    )


def about_held_out(
    texts: Mapping[str, str], items: Sequence[Item], split: ItemSplit
) -> dict[str, str]:
    """Of texts by id, those about an item held out, with the item.

    A text is about an item when it holds most of the words that tell its question from the others';
    so "We spend too little on the environment" is, where the item on it is held out.
    """
    telling = question_words(items)
    found = {}
    for key, text in texts.items():
        words = set(words_in(text))
        for item in split.never_trained:
            own = telling.get(item, frozenset())
            if own and len(own & words) / len(own) >= ABOUT:
                found[key] = item
                break
    return found


def prompts_about_held_out(
    consultation: Consultation, items: Sequence[Item], split: ItemSplit
) -> dict[str, str]:
    """The prompts that are, or have an answer, about an item held out, with the item."""
    return about_held_out(_prompt_texts(consultation), items, split)


def _prompt_texts(consultation: Consultation) -> dict[str, str]:
    """Each prompt with its answers, which may be about an item where the prompt is not."""
    found = dict(consultation.prompts.select("prompt", "text").iter_rows())
    for prompt, text in consultation.answers.select("prompt", "text").sort("text").iter_rows():
        found[prompt] += "\n" + text
    return found
