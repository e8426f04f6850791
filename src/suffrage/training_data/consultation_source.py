"""What of a consultation may be trained on: whose words, on which prompts, for which population."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from suffrage.consult.consultation import Consultation, accepted_opinions, votes_of
from suffrage.consult.groups.consensus import LEAST_VOTERS, MAJORITY
from suffrage.consult.groups.group_names import groups_of_people
from suffrage.consult.groups.opinion_groups import GroupSettings, OpinionGroups
from suffrage.consult.groups.stability import stable_groups
from suffrage.consult.people import (
    ReadAs,
    held_out_people,
    people_for,
    people_weights,
)
from suffrage.consult.principles import PrincipleSettings, find_principles, usable_texts
from suffrage.consult.votes import id_order, only_people, voting_question
from suffrage.errors import InputError
from suffrage.population import ValueSet
from suffrage.survey import Item, Option
from suffrage.survey.weighting import WeightingSpec
from suffrage.text_overlap import words_in
from suffrage.training_data.constitution import Constitution
from suffrage.training_data.earlier_training import TrainedQuestion, trained_before
from suffrage.training_data.members import members_of
from suffrage.training_data.split import (
    HeldOut,
    ItemSplit,
    near_duplicate_groups,
    question_words,
    split_items,
)

# A text that has this share of an item's distinctive words is about the item.
ABOUT = 0.6
# Added to a study's seed where participants are held back to choose the best point on.
_HELD_BACK_PEOPLE = 2_000_003
# The name of all participants together, where their votes are learnt.
EVERYONE = "everyone"
# What the name of an opinion group begins with, before its label.
OPINION_GROUP = "opinion-group-"


class VoteSettings(BaseModel):
    """How votes become records (`consultation.votes`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Whose shares are learnt.
    by: tuple[Literal["value_sets", "opinion_groups", "everyone"], ...] = Field(
        default=("value_sets", "opinion_groups", "everyone"), min_length=1
    )
    # A statement with fewer voters of a group than this gives no record for the group.
    least_voters: int = Field(default=10, ge=1)
    # How much a vote that was marked important counts; others count 1.
    important: float = Field(default=1.0, gt=0)
    # How prompts name opinion groups ("0" is group A) and "everyone", to fit "as ... would".
    describe: dict[str, str] = Field(default_factory=dict)


class ConsultationSpec(BaseModel):
    """The study's `consultation` section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The consultation's folder, as `suffrage consult export` writes it.
    folder: Path
    # The share of participants never trained on.
    held_out: float = Field(default=0.25, ge=0, lt=1)
    # The share of accepted statements that are in no record, for evaluations.
    held_out_statements: float = Field(default=0.0, ge=0, lt=1)
    # How votes become records.
    votes: VoteSettings = VoteSettings()
    # Whether participants count one each (sample), or are weighted to the population.
    read_as: ReadAs = "sample"
    # What to weight to; None for the weights that participants carry.
    margins: WeightingSpec | None = None
    # Value sets that have no participants, and so learn nothing from the consultation.
    without: tuple[str, ...] = ()
    # The share of agreement that the least agreeing group must exceed for a statement to become a
    # principle.
    least_share: float = Field(default=MAJORITY, gt=0, lt=1)
    # How many people of every group must have voted on a statement for it to be a principle.
    least_voters: int = Field(default=LEAST_VOTERS, ge=1)
    # How many opinion groups; None for as many as are stable in `resamples`.
    groups: int | None = Field(default=None, ge=2)
    # Resamples of participants, for the stability of opinion groups.
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
    # The weight of each of them, for evaluations.
    held_out_weights: Mapping[str, float]
    # The prompts that may be trained on; the rest is about items held out.
    prompts: frozenset[str]
    # The statements that may be trained on.
    statements: frozenset[str]
    # Which statements are trained on and which are held out, by the ids of their items. Only
    # accepted opinions are in it, and on the training side only those with their author's consent.
    statement_split: ItemSplit
    spec: ConsultationSpec
    # The seed of the opinion groups' draws.
    seed: int
    # What a checkpoint's manifest says of the consultation.
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def item_of(self) -> dict[str, Item]:
        """The item of every statement in the split, with the statement's bare text."""
        known = set(self.statement_split.clusters)
        found = _statement_items(self.consultation)
        return {statement: item for statement, item in found.items() if item.id in known}

    @property
    def statement_items(self) -> list[Item]:
        """The items of all statements in the split."""
        return list(self.item_of.values())

    @property
    def prompt_items(self) -> list[Item]:
        """The prompts that may be trained on, as items without any options of their own."""
        texts = dict(self.consultation.prompts.select("prompt", "text").iter_rows())
        return [
            vote_item(prompt, "").model_copy(update={"id": prompt, "question": texts[prompt]})
            for prompt in sorted(self.prompts, key=id_order)
        ]

    def weights_of(self, value_set: str) -> dict[str, float]:
        """Weight by participant of one value set's members."""
        return {person: self.people[person] for person in self.members[value_set]}

    def held_back_people(self, share: float) -> frozenset[str]:
        """Of the people trained on, those held back to choose a training's best point on."""
        return frozenset(held_out_people(self.people, share, self.seed + _HELD_BACK_PEOPLE))

    @cached_property
    def opinion_groups(self) -> OpinionGroups | str:
        """The groups of the people trained on, by statements trained on, or why there are none."""
        matrix = only_people(votes_of(self.consultation), self.people)
        ids = {item.id: statement for statement, item in self.item_of.items()}
        trained = {ids[item] for item in self.statement_split.train}
        away = sorted(set(self.consultation.statements["statement"]) - trained, key=id_order)
        settings = GroupSettings(groups=self.spec.groups, seed=self.seed)
        try:
            known = groups_of_people(self.consultation)
            return stable_groups(matrix, away, settings, self.spec.resamples, known=known)[0]
        except InputError as error:
            return str(error)

    def described_groups(self) -> dict[str, str]:
        """How prompts name the opinion groups that have words, by the group's label.

        Raises InputError where the settings describe a group that there is not.
        """
        words = {k: v for k, v in self.spec.votes.describe.items() if k != EVERYONE}
        found = self.opinion_groups if words else ""
        if isinstance(found, str):
            return {}
        known = {str(label) for label in range(found.count)}
        unknown = sorted(set(words) - known)
        if unknown:
            raise InputError(
                f'consultation.votes.describe: there is no group "{unknown[0]}"; there are '
                f"{', '.join([EVERYONE, *sorted(known)])}."
            )
        return words

    @property
    def everyone_described(self) -> str:
        """How prompts name all participants together."""
        by_title = f'people who took part in the consultation "{self.consultation.title}"'
        return self.spec.votes.describe.get(EVERYONE, by_title)

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
    learnt_before: Mapping[str, Sequence[TrainedQuestion]] | None = None,
) -> ConsultationSource:
    """Who and what of a consultation may be trained on.

    segments: value sets that participants cannot be told to be in. learnt_before: the questions
    that the model was trained on before, by the checkpoint's name; no statement that says nearly
    the same is held out. Raises InputError where nobody consented to training, everybody is held
    out, or a value set's `where` finds no participant.
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
    texts = dict(consultation.statements.select("statement", "text").iter_rows())
    about = about_held_out(texts, items, split)
    statement_split = split_statements(consultation, spec, about, seed, learnt_before or {})
    by_id = {item.id: statement for statement, item in _statement_items(consultation).items()}
    statements = {*about, *(by_id[item] for item in statement_split.held_out)}
    if spec.held_out_statements:
        bare = list(_statement_items(consultation).values())
        found = about_held_out(_prompt_texts(consultation), bare, statement_split)
        prompts = {**found, **prompts}
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
        held_out_weights={person: weights[person] for person in out},
        prompts=frozenset(consultation.prompts["prompt"]) - set(prompts),
        statements=frozenset(texts) - statements,
        statement_split=statement_split,
        spec=spec,
        seed=seed,
        facts=facts,
    )


def split_statements(
    consultation: Consultation,
    spec: ConsultationSpec,
    about: Collection[str],
    seed: int,
    learnt_before: Mapping[str, Sequence[TrainedQuestion]],
) -> ItemSplit:
    """Divide accepted statements into those to train on and those held out.

    Statements that say nearly the same stay on one side.

    Parameters
    ----------
    consultation : Consultation
    spec : ConsultationSpec
    about : collection of str
        Statements about a survey item that is held out: they are held out with all that say
        nearly the same.
    seed : int
        The seed of the draw.
    learnt_before : mapping
        The questions that the model was trained on before, by the checkpoint's name.

    Raises
    ------
    InputError
        The share holds nothing out, or too many statements were trained on before.
    """
    by_statement = _statement_items(consultation)
    items = list(by_statement.values())
    groups = near_duplicate_groups(items)
    # A question whose text is part of another's is its near duplicate as well.
    items = [item.model_copy(update={"battery": groups[item.id]}) for item in items]
    before = trained_before(items, learnt_before) if learnt_before and items else None
    if not items:
        return ItemSplit((), (), {}, {"share": spec.held_out_statements, "seed": seed})
    try:
        share = HeldOut(by="item", share=spec.held_out_statements)
        found = split_items(items, share, seed, to_train=False, before=before)
    except InputError as error:
        raise InputError(f"consultation.held_out_statements: {error}") from error
    taken = {found.clusters[by_statement[s].id] for s in about if s in by_statement}
    out = {*found.held_out, *(i.id for i in items if found.clusters[i.id] in taken)}
    usable = usable_texts(consultation)
    allowed = {item.id for statement, item in by_statement.items() if statement in usable}
    return replace(
        found,
        train=tuple(i for i in found.train if i not in out and i in allowed),
        held_out=tuple(i.id for i in items if i.id in out),
    )


def _statement_items(consultation: Consultation) -> dict[str, Item]:
    """An item for each accepted opinion, with its bare text as the question, by statement."""
    rows = dict(accepted_opinions(consultation).select("statement", "text").iter_rows())
    return {
        statement: vote_item(statement, rows[statement]).model_copy(
            update={"question": rows[statement]}
        )
        for statement in sorted(rows, key=id_order)
    }


def vote_item(statement: str, text: str) -> Item:
    """A statement put to the vote, as an item; its id cannot be that of a survey's item."""
    return Item(
        id=f"statement/{statement}",
        question=voting_question(text),
        options=(
            Option(code="1", text="Agree"),
            Option(code="-1", text="Disagree"),
            Option(code="0", text="Neither, or not sure"),
        ),
        ordered=False,
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
