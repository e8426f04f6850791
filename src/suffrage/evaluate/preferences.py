"""`preferences`: what participants of a consultation chose, who were held out of training.

Does the model find the preferred one of two answers likelier? Are its probabilities of "agree" and
of "like" those of the participants? And where the compared answers came from checkpoints: how often
did each checkpoint win?

Each population is compared with its own members among the participants, who count one each or by
their weight, as in training. The ceiling is what members who were not held out said of the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from suffrage.arrays import FloatArray
from suffrage.consult.consultation import Consultation, read_consultation
from suffrage.consult.judgements import judged_comparisons
from suffrage.consult.people import ReadAs, held_out_people, people_for, people_weights
from suffrage.consult.votes import voting_question
from suffrage.errors import InputError
from suffrage.evaluate.asking.answers import Scoring
from suffrage.evaluate.asking.item_probes import chosen_items
from suffrage.evaluate.results import Figure, Measure
from suffrage.evaluate.scorecard import (
    Evaluation,
    EvaluationInput,
    EvaluationOptions,
    Place,
    ProbeInput,
    Scorecard,
)
from suffrage.evaluate.statistics.figures import make_figures
from suffrage.evaluate.statistics.intervals import Measured
from suffrage.evaluate.statistics.paired_comparisons import LEFT, RIGHT, TIE, WinRate, win_rates
from suffrage.models import Answerer, ItemProbe, read_letters, ways_of_asking
from suffrage.models.asking import persona_prompt
from suffrage.plurals import by_count, plural
from suffrage.population import ValueSet
from suffrage.survey import Item, Option
from suffrage.survey.weighting import WeightingSpec
from suffrage.training_data import ItemSplit
from suffrage.training_data.consultation_source import prompts_about_held_out
from suffrage.training_data.members import members_of, unmet_condition

NAME = "preferences"
RESAMPLES = 200
SCHEMA = {
    "value_set": pl.String,
    "kind": pl.String,  # answer, statement, reaction
    "id": pl.String,
    "value": pl.Float64,  # log-probability of the answer; share of "agree" or "like"
    "tokens": pl.Int64,
    "mass": pl.Float64,
}


class Options(EvaluationOptions):
    """What a study may say about the consultation and how to read it."""

    consultation: str
    """The consultation's folder, as `suffrage consult export` writes it."""
    held_out: float = Field(default=0.25, gt=0, le=1)
    """The share of participants to compare with; no larger than the share training holds out."""
    read_as: ReadAs = "sample"
    """Whether participants count one each, or are weighted to the population, as in the study's
    `consultation` section."""
    margins: WeightingSpec | None = None
    """What to weight to, with `read_as: population`; None for the weights participants carry."""
    models: dict[str, str] = Field(default_factory=dict)
    """Which method each `model` of the consultation's answers is, where the names differ."""
    most: int | None = Field(default=None, ge=1)
    """How many statements, and how many answers to like, a model is asked about; None for all."""

    @property
    def files(self) -> tuple[str, ...]:
        """The consultation's folder."""
        return (self.consultation,)


def _read(options: Options, folder: Path) -> Consultation:
    return read_consultation((folder / options.consultation).resolve())


def statement_item(statement: str, text: str) -> Item:
    """A statement put to the vote."""
    return Item(
        id=statement,
        question=voting_question(text),
        options=(Option(code="1", text="Agree"), Option(code="-1", text="Disagree")),
    )


def reaction_item(answer: str, prompt: str, text: str) -> Item:
    """An answer put to be liked or disliked."""
    return Item(
        id=answer,
        question=f"Somebody asked:\n\n{prompt}\n\nThe answer was:\n\n{text}\n\n"
        "Do you like or dislike this answer?",
        options=(Option(code="1", text="Like"), Option(code="-1", text="Dislike")),
    )


def probe(given: ProbeInput) -> pl.DataFrame:
    """The log-probability of each answer compared, and the shares of "agree" and of "like"."""
    consultation = _read(given.options, given.folder)
    rows: list[dict[str, Any]] = []
    statements, reactions = _put(consultation, given.options)
    parts: list[Callable[[Place], Iterator[dict[str, Any]]]] = [
        lambda place: _answers(given.model, consultation, place),
        lambda place: _shares(given.model, statements, "statement", place, given.scoring),
        lambda place: _shares(given.model, reactions, "reaction", place, given.scoring),
    ]
    for part, read in enumerate(parts, 1):
        for place in given.places:
            rows += read(place)
        given.advance(part / 3)
    return pl.DataFrame(rows, schema=SCHEMA)


def _prompts(
    value_sets: Sequence[ValueSet], splits: Sequence[ItemSplit], options: Options, folder: Path
) -> int:
    """Each answer compared once; each statement and each liked answer in all ways of asking."""
    consultation = _read(options, folder)
    statements, reactions = _put(consultation, options)
    ways = sum(len(ways_of_asking(item, None)) for item in (*statements, *reactions))
    return len(_compared(consultation)) + ways


def _answers(model: Answerer, consultation: Consultation, place: Place) -> Iterator[dict[str, Any]]:
    """Each answer that was compared, as the model's own next turn."""
    if not model.reads_texts:
        return
    wanted = _compared(consultation)
    prompts = dict(consultation.prompts.select("prompt", "text").iter_rows())
    texts: dict[str, dict[str, str]] = defaultdict(dict)
    for row in consultation.answers.sort("answer").to_dicts():
        if row["answer"] in wanted:
            texts[row["prompt"]][row["answer"]] = row["text"]
    chats = [
        [
            {
                "role": "user",
                "content": persona_prompt(prompts[prompt], place.persona)
                if place.persona
                else prompts[prompt],
            }
        ]
        for prompt in texts
    ]
    scored = model.text_log_probs(chats, [list(some.values()) for some in texts.values()])
    for some, logs in zip(texts.values(), scored, strict=True):
        for answer, log in zip(some, logs, strict=True):
            yield {
                "value_set": place.value_set,
                "kind": "answer",
                "id": answer,
                "value": float(log.sum()),
                "tokens": log.size,
            }


def _compared(consultation: Consultation) -> set[str]:
    """The answers that somebody compared."""
    return set(consultation.comparisons["left"]) | set(consultation.comparisons["right"])


def _put(consultation: Consultation, options: Options) -> tuple[Sequence[Item], Sequence[Item]]:
    """The statements and the answers a model is asked to agree with or to like."""
    return (
        chosen_items(_statements(consultation), options.most),
        chosen_items(_reactions(consultation), options.most),
    )


def _statements(consultation: Consultation) -> list[Item]:
    voted = set(consultation.votes["statement"])
    return [
        statement_item(row["statement"], row["text"])
        for row in consultation.statements.sort("statement").to_dicts()
        if row["statement"] in voted and not row["meta"]
    ]


def _reactions(consultation: Consultation) -> list[Item]:
    reacted = set(consultation.reactions["answer"])
    prompts = dict(consultation.prompts.select("prompt", "text").iter_rows())
    return [
        reaction_item(row["answer"], prompts[row["prompt"]], row["text"])
        for row in consultation.answers.sort("answer").to_dicts()
        if row["answer"] in reacted
    ]


def _shares(
    model: Answerer, items: Sequence[Item], kind: str, place: Place, scoring: Scoring
) -> Iterator[dict[str, Any]]:
    """The first option's share of each, over both orders and label sets."""
    asked = [ItemProbe(item, place.persona, scoring.ways) for item in items]
    for answer in read_letters(model, asked, scoring.lowest_mass) if asked else ():
        yield {
            "value_set": place.value_set,
            "kind": kind,
            "id": answer.item_id,
            "value": None if answer.refused else float(answer.shares[0]),
            "mass": answer.mass,
        }


@dataclass(frozen=True)
class ParticipantChoice:
    """What one participant said of a statement, of an answer, or of two answers."""

    participant: str
    weight: float
    about: tuple[str, ...]
    """The statement, the answer, or the two answers in the order of their ids."""
    topic: str
    """The prompt or the statement; choices on one topic are resampled together."""
    said: float
    """1 for agree, for like, and for preferring the first of two answers; otherwise 0."""


@dataclass(frozen=True, eq=False)
class ParticipantsChoices:
    """The usable choices of a consultation."""

    weights: Mapping[str, float]
    """Weight by participant, of everyone who takes part and is not excluded."""
    comparisons: Sequence[ParticipantChoice]
    votes: Sequence[ParticipantChoice]
    reactions: Sequence[ParticipantChoice]
    left_out: Mapping[str, int]
    """How many rows are not counted, by reason."""


def participants_choices(consultation: Consultation, options: Options) -> ParticipantsChoices:
    """Collect comparisons, votes and reactions of everyone who takes part.

    A pass, a tie and a skipped pair choose nothing. Pairs that only test attention do not count. A
    participant who met a pair twice counts with the first answer, as in the training records.
    """
    everyone = people_for(consultation, "taking part")
    weights, _ = people_weights(consultation, everyone, options.read_as, options.margins)
    prompts = dict(consultation.answers.select("answer", "prompt").iter_rows())

    def kept(table: pl.DataFrame) -> pl.DataFrame:
        return table.filter(pl.col("participant").is_in(list(weights)))

    def choices(
        rows: pl.DataFrame, about: tuple[str, ...], said: pl.Expr, topics: Mapping[str, str] | None
    ) -> list[ParticipantChoice]:
        found = rows.select("participant", *about, said.cast(pl.Float64).alias("said")).to_dicts()
        return [
            ParticipantChoice(
                row["participant"],
                weights[row["participant"]],
                tuple(row[name] for name in about),
                row[about[0]] if topics is None else topics[row[about[0]]],
                row["said"],
            )
            for row in found
        ]

    compared = kept(consultation.comparisons)
    real = compared.filter(pl.col("check").is_null())
    judged = judged_comparisons(consultation, weights)
    once = judged.unique(["participant", "first", "second"], keep="first", maintain_order=True)
    sided = once.filter(pl.col("side").is_in(["first", "second"]))
    votes = kept(consultation.votes)
    decided = votes.filter(pl.col("vote") != 0)
    return ParticipantsChoices(
        weights=weights,
        comparisons=choices(sided, ("first", "second"), pl.col("side") == "first", prompts),
        votes=choices(decided, ("statement",), pl.col("vote") > 0, None),
        reactions=choices(kept(consultation.reactions), ("answer",), pl.col("value") > 0, prompts),
        left_out={
            "comparisons that test attention": compared.height - real.height,
            "comparisons of a pair met before": judged.height - once.height,
            "comparisons without a preferred side": real.height
            - (judged.height - once.height)
            - sided.height,
            "passes": votes.height - decided.height,
        },
    )


def others_share(
    chosen: Sequence[ParticipantChoice], others: Collection[str]
) -> dict[ParticipantChoice, float]:
    """The weighted share of other people who said 1 on the same thing, for each choice.

    Parameters
    ----------
    chosen
        The choices of one kind.
    others
        Whose choices count. A participant's own choice never counts for itself.

    Returns
    -------
    dict
        The share, 0 to 1, by choice; 0.5 where none of the others chose on the thing.
    """
    sums: dict[tuple[str, ...], FloatArray] = defaultdict(lambda: np.zeros(2))
    counted = {one: one.weight * np.array([one.said, 1.0]) for one in chosen}
    for one, worth in counted.items():
        if one.participant in others:
            sums[one.about] += worth
    found = {}
    for one, worth in counted.items():
        own = worth if one.participant in others else np.zeros(2)
        ones, total = sums[one.about] - own
        found[one] = float(ones / total) if total > 1e-12 else 0.5
    return found


def right(share: float, said: float) -> float:
    """1 if a share is on the side of what was said, 0 if on the other side, 0.5 if on neither."""
    return 0.5 if share == 0.5 or isnan(share) else float((share > 0.5) == (said > 0.5))


@dataclass(frozen=True, eq=False)
class _HeldOutMembers:
    """The members of one value set at one seed: who is held out, and who is not."""

    seed: int
    value_set: str
    people: tuple[str, ...]
    """The held-out members."""
    others: frozenset[str]
    """The members not held out; all members where everyone is held out."""
    times: FloatArray
    """How often each held-out member is drawn in each resample, (RESAMPLES, people)."""

    @classmethod
    def drawn(
        cls, seed: int, value_set: str, members: Sequence[str], share: float
    ) -> _HeldOutMembers | None:
        """Those held out, with the resamples behind the intervals; None if nobody is."""
        held = held_out_people(members, share, seed)
        if not held:
            return None
        shares = np.full(len(held), 1 / len(held))
        times = np.random.default_rng([seed, 6]).multinomial(len(held), shares, size=RESAMPLES)
        rest = frozenset(members) - set(held)
        return cls(seed, value_set, held, rest or frozenset(members), times.astype(float))

    def rows(self, chosen: Sequence[ParticipantChoice], worth: Worth) -> list[Measured]:
        """One row for each thing that held-out members chose on.

        Both the things and the people are resampled, because a model without values may be lucky
        on a few things.
        """
        at = {name: number for number, name in enumerate(self.people)}
        found: dict[tuple[str, tuple[str, ...]], list[tuple[int, float, float]]] = defaultdict(list)
        for one in chosen:
            added = worth(one) if one.participant in at else None
            if added is not None:
                worths = (one.weight * added[0], one.weight * added[1])
                found[one.topic, one.about].append((at[one.participant], *worths))
        rows = []
        for (topic, about), parts in sorted(found.items()):
            who = [person for person, _, _ in parts]
            above, below = (np.array([part[k] for part in parts]) for k in (1, 2))
            rows.append(
                Measured(
                    self.seed,
                    self.value_set,
                    " ".join(about),
                    topic,
                    float(above.sum()),
                    self.times[:, who] @ above,
                    float(below.sum()),
                    self.times[:, who] @ below,
                )
            )
        return rows


# What a choice adds above and below the line of a figure; None leaves it out.
Worth = Callable[[ParticipantChoice], tuple[float, float] | None]
# The share that speaks for 1 on a choice; one number for every choice.
SharesOfChoices = Mapping[ParticipantChoice, float] | float


def _measured(
    measure: str,
    chosen: Sequence[ParticipantChoice],
    shares: SharesOfChoices,
    members: _HeldOutMembers,
) -> Iterator[tuple[str, list[Measured]]]:
    """The rows of a measure as accuracy and, where shares are probabilities, as skill."""
    constant = constant_share(chosen, members.others)

    def rows(rule: Callable[[float, float], tuple[float, float]]) -> list[Measured]:
        def worth(one: ParticipantChoice) -> tuple[float, float] | None:
            share = shares.get(one) if isinstance(shares, Mapping) else shares
            return None if share is None else rule(share, one.said)

        return members.rows(chosen, worth)

    yield measure, rows(lambda share, said: (right(share, said), 1.0))
    if measure in ("votes", "reactions"):
        yield f"{measure}_skill", rows(lambda share, said: skill(share, said, constant))


def skill(share: float, said: float, constant: float) -> tuple[float, float]:
    """What one choice adds above and below the line of Brier's (1950) score as a skill.

    The skill is 1 - sum (p - y)^2 / sum (c - y)^2, with c the constant answer.
    """
    by_constant = (constant - said) ** 2
    return by_constant - (share - said) ** 2, by_constant


def constant_share(chosen: Sequence[ParticipantChoice], others: Collection[str]) -> float:
    """How often the people who are not held out said 1: the best constant answer."""
    known = [one for one in chosen if one.participant in others]
    total = sum(one.weight for one in known)
    return sum(one.weight * one.said for one in known) / total if total > 0 else 0.5


# measure -> method, or measure -> rows for an edge
_Units = dict[str, dict[str, list[Measured]]]


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """Accuracy on what held-out participants chose, and skill beyond a constant answer."""
    options: Options = given.options
    consultation = _read(options, given.folder)
    chosen = participants_choices(consultation, options)
    held = _held_out(given, consultation, chosen, options)
    units: _Units = defaultdict(lambda: defaultdict(list))
    edges: _Units = defaultdict(lambda: defaultdict(list))
    for members in held.values():
        for edge, measure, rows in _edges(chosen, members):
            edges[edge][measure] += rows
    for method, at in sorted(given.probes):
        for value_set in given.value_sets:
            if (at, value_set.name) in held:
                values = _values(given, method, at, value_set.name)
                for measure, rows in _of_model(chosen, values, held[at, value_set.name]):
                    units[measure][method] += rows
    units |= _by_side(given, consultation, units)
    top = edges["ceiling"]["comparisons"]
    figures, differences = make_figures(
        NAME,
        units,
        given.methods,
        seed,
        {**edges["floor"], **dict.fromkeys(_COMPARISONS, 0.5)},
        {**edges["ceiling"], **dict.fromkeys(_COMPARISONS, top)},
        given.left_out,
    )
    rates = model_win_rates(consultation, chosen.weights, seed)
    counts = {at: len(held_out_people(chosen.weights, options.held_out, at)) for at, _ in held}
    return Scorecard(
        figures=(*figures, *_win_figures(rates, options, given.methods)),
        figure_differences=differences,
        notes=(
            *_people_notes(given, consultation, chosen, held, options),
            *_notes(consultation, chosen, held, rates),
        ),
        details={
            "win_rates": [vars(rate) for rate in rates],
            "held_out": {str(at): count for at, count in counts.items()},
        },
    )


def _held_out(
    given: EvaluationInput,
    consultation: Consultation,
    chosen: ParticipantsChoices,
    options: Options,
) -> dict[tuple[int, str], _HeldOutMembers]:
    """The members of each value set at each seed, where any of them is held out."""
    found = {}
    for at in sorted({at for _, at in given.probes}):
        if not held_out_people(chosen.weights, options.held_out, at):
            raise InputError(
                f"evaluate: preferences: none of {len(chosen.weights)} participants is held out at "
                f"seed {at}; raise held_out."
            )
        for value_set in given.value_sets:
            people = _members(consultation, tuple(chosen.weights), value_set)
            members = _HeldOutMembers.drawn(at, value_set.name, people, options.held_out)
            if members is not None:
                found[at, value_set.name] = members
    return found


def _members(
    consultation: Consultation, people: tuple[str, ...], value_set: ValueSet
) -> tuple[str, ...]:
    """The members of a population; everyone where the consultation did not ask what tells it.

    Raises InputError where the survey and the consultation spell a name or a value differently.
    """
    unmet = unmet_condition(consultation, value_set)
    if unmet is None:
        return members_of(consultation, people, value_set)
    if unmet.misspelt:
        raise InputError(f"evaluate: preferences: value set {value_set.name}: {unmet.reason}")
    return () if _is_told(consultation, value_set) else people


def _is_told(consultation: Consultation, value_set: ValueSet) -> bool:
    """Whether the consultation asked what tells this population from others."""
    return set(value_set.where) <= set(consultation.demographics["item"])


# (kind, id) -> the value read, and its number of tokens
_Values = Mapping[tuple[str, str], tuple[float, int]]


def _values(given: EvaluationInput, method: str, at: int, value_set: str) -> _Values:
    return {
        (row["kind"], row["id"]): (row["value"], row["tokens"] or 1)
        for row in given.said(method, at, value_set).to_dicts()
        if row["value"] is not None
    }


def _of_model(
    chosen: ParticipantsChoices, values: _Values, members: _HeldOutMembers
) -> Iterator[tuple[str, list[Measured]]]:
    """Every measure's rows of one model asked as one population."""
    by_token: dict[ParticipantChoice, float] = {}
    by_text: dict[ParticipantChoice, float] = {}
    for one in chosen.comparisons:
        first, second = (values.get(("answer", answer)) for answer in one.about)
        if first is not None and second is not None:
            by_token[one] = 0.5 + first[0] / first[1] - second[0] / second[1]
            by_text[one] = 0.5 + first[0] - second[0]
    yield from _measured("comparisons", chosen.comparisons, by_token, members)
    yield from _measured("comparisons_whole", chosen.comparisons, by_text, members)
    for measure, kind, every in (
        ("votes", "statement", chosen.votes),
        ("reactions", "reaction", chosen.reactions),
    ):
        shares = {one: read[0] for one in every if (read := values.get((kind, one.about[0])))}
        yield from _measured(measure, every, shares, members)


def _edges(
    chosen: ParticipantsChoices, members: _HeldOutMembers
) -> Iterator[tuple[str, str, list[Measured]]]:
    """Ceilings: what members not held out said of the same. Floors: their commoner answer."""
    for measure, every in (
        ("comparisons", chosen.comparisons),
        ("votes", chosen.votes),
        ("reactions", chosen.reactions),
    ):
        best = others_share(every, members.others)
        for name, rows in _measured(measure, every, best, members):
            yield "ceiling", name, rows
        if measure != "comparisons":  # there a constant answer is a guess
            constant = constant_share(every, members.others)
            for name, rows in _measured(measure, every, constant, members):
                yield "floor", name, rows


def _by_side(given: EvaluationInput, consultation: Consultation, units: _Units) -> _Units:
    """Comparisons on prompts about held-out items, and on the rest, where there are both."""
    items = {item.id: item for value_set in given.value_sets for item in value_set.items}
    held_out = {
        at: prompts_about_held_out(consultation, [items[name] for name in sorted(items)], split)
        for at, split in given.splits.items()
    }
    found: _Units = defaultdict(lambda: defaultdict(list))
    for measure in ("comparisons", "comparisons_whole"):
        for method, rows in units.get(measure, {}).items():
            for row in rows:
                side = "held_out" if row.cluster in held_out[row.seed] else "trained"
                found[f"{measure}_{side}"][method].append(row)
    return found if len(found) == 4 else {}


def model_win_rates(
    consultation: Consultation, weights: Mapping[str, float], seed: int
) -> list[WinRate]:
    """How often each `model` of the answers won, over everyone; "both bad" counts as a tie.

    weights: by participant. Empty if no two models were ever compared with each other.
    """
    models = dict(consultation.answers.select("answer", "model").iter_rows())
    places = {"left": LEFT, "right": RIGHT, "tie": TIE, "both_bad": TIE}
    rows = [
        row
        for row in consultation.comparisons.sort(pl.all()).to_dicts()
        if row["participant"] in weights
        and row["check"] is None
        and row["outcome"] in places
        and models[row["left"]] != models[row["right"]]
    ]
    if not rows:
        return []
    return win_rates(
        [models[row["left"]] for row in rows],
        [models[row["right"]] for row in rows],
        [places[row["outcome"]] for row in rows],
        [row["participant"] for row in rows],
        [weights[row["participant"]] for row in rows],
        seed,
    )


def _win_figures(
    rates: Sequence[WinRate], options: Options, methods: Sequence[str]
) -> Iterator[Figure]:
    for rate in rates:
        method = options.models.get(rate.model, rate.model)
        if method in methods:
            yield Figure(
                evaluation=NAME,
                measure="win_rate",
                method=method,
                seed="all",
                value_set="all",
                value=rate.value,
                low=rate.low,
                high=rate.high,
                n=rate.comparisons,
                floor=0.5,
            )


def _people_notes(
    given: EvaluationInput,
    consultation: Consultation,
    chosen: ParticipantsChoices,
    held: Mapping[tuple[int, str], _HeldOutMembers],
    options: Options,
) -> Iterator[str]:
    """How many participants are held out, and who counts for which population."""
    everyone = len(chosen.weights)
    for at in sorted({at for at, _ in held} or {at for _, at in given.probes}):
        count = len(held_out_people(chosen.weights, options.held_out, at))
        yield (
            f"Seed {at}: {count} of {plural(everyone, 'participant')} "
            f"{by_count(count, 'is', 'are')} held out, those whose SHA-256 of "
            f'"seed/id" is in the lowest {options.held_out:.0%}.'
        )
        told = [v.name for v in given.value_sets if v.where and _is_told(consultation, v)]
        if told:
            counts = {name: held.get((at, name)) for name in told}
            members = ", ".join(
                f"{name} {0 if found is None else len(found.people)}"
                for name, found in counts.items()
            )
            yield f"Seed {at}: held-out participants by population: {members}."
    untold = [v.name for v in given.value_sets if not _is_told(consultation, v)]
    if untold:
        yield (
            "The consultation did not ask what defines these populations, so every participant "
            "counts for each of them: {', '.join(untold)}."
        )


def _notes(
    consultation: Consultation,
    chosen: ParticipantsChoices,
    held: Mapping[tuple[int, str], _HeldOutMembers],
    rates: Sequence[WinRate],
) -> Iterator[str]:
    left = ", ".join(f"{count} {what}" for what, count in chosen.left_out.items() if count)
    if left:
        yield f"Not counted: {left}."
    lengths = {a: len(t) for a, t in consultation.answers.select("answer", "text").iter_rows()}
    everyone = {name for members in held.values() for name in members.people}
    longer = [
        right(0.5 + lengths[one.about[0]] - lengths[one.about[1]], one.said)
        for one in chosen.comparisons
        if one.participant in everyone
    ]
    if longer:
        yield (
            f"Always taking the longer answer would be right in {np.mean(longer):.0%} of "
            f"{plural(len(longer), 'comparison')}."
        )
    for rate in rates:
        span = "" if rate.low is None else f" [{rate.low:.2f}, {rate.high:.2f}]"
        yield (
            f"Answers of {rate.model} won {rate.value:.2f}{span} against those of the others, over "
            f"{rate.comparisons} comparisons."
        )


# The prompts a measure is over: what its name, label and explanation say of them.
_PROMPTS = (
    ("", "", ""),
    (
        "_held_out",
        ", prompts about held-out items",
        " Only prompts about held-out items, about which nothing was trained.",
    ),
    ("_trained", ", other prompts", " Only the other prompts, which training may have read."),
)


def _comparison_measures(name: str, label: str, explanation: str) -> Iterator[Measure]:
    for suffix, which, limit in _PROMPTS:
        yield Measure(
            name=name + suffix,
            lowest=0.0,
            highest=1.0,
            label=label + which,
            explanation=explanation + limit,
            better="higher",
            unit="pairs of answers",
            headline=name + suffix == "comparisons",
        )


_COMPARISON_MEASURES = (
    *_comparison_measures(
        "comparisons",
        "Comparisons",
        "How often the preferred of two answers is the likelier by its mean log-probability a "
        "token, over held-out participants. The ceiling is what participants of the same "
        "population who were not held out preferred.",
    ),
    *_comparison_measures(
        "comparisons_whole",
        "Comparisons, whole answers",
        "The same by the log-probability of the whole answer, which favours short ones.",
    ),
)
_COMPARISONS = tuple(measure.name for measure in _COMPARISON_MEASURES)


EVALUATION = Evaluation(
    NAME,
    score,
    question="Does it prefer what people who took part preferred?",
    cannot_show="What people who did not take part would prefer. A model may also find an answer "
    "likelier because of its length or style.",
    measures=(
        *_COMPARISON_MEASURES,
        Measure(
            name="votes",
            lowest=0.0,
            highest=1.0,
            label="Votes",
            explanation="How often agree or disagree, whichever is likelier, is the vote. The "
            "floor is the commoner vote on everything.",
            better="higher",
            unit="statements",
        ),
        Measure(
            name="votes_skill",
            highest=1.0,
            label="Votes, in proportion",
            explanation="1 - (squared error of the probability of agreeing) / (that of the best "
            "constant): 0 is no better than a constant, below 0 is worse. A model that repeats "
            "the majority loses here.",
            better="higher",
            unit="statements",
            headline=True,
        ),
        Measure(
            name="reactions",
            lowest=0.0,
            highest=1.0,
            label="Reactions",
            explanation="How often like or dislike, whichever is likelier, is the reaction.",
            better="higher",
            unit="answers",
        ),
        Measure(
            name="reactions_skill",
            highest=1.0,
            label="Reactions, in proportion",
            explanation="As for votes.",
            better="higher",
            unit="answers",
        ),
        Measure(
            name="win_rate",
            lowest=0.0,
            highest=1.0,
            label="Preferred by people",
            explanation="How often people preferred this model's answers to those of the others, "
            "by a Bradley-Terry model with ties after Davidson; intervals over participants.",
            better="higher",
            unit="comparisons",
        ),
    ),
    options=Options,
    probe=probe,
    prompts=_prompts,
)
