"""A simulated public whose true values are known: for demonstrations, tests and the load benchmark.

What each person would say is held as arrays of true probabilities, so that whatever makes those
arrays (opinion groups drawn here, or the answers of real respondents) can take part in a made-up
consultation. What comes out is a plain `Consultation`, and beside it the truth to hold it against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from suffrage.arrays import FloatArray, IntArray
from suffrage.consult.consultation import SCHEMAS, Consultation
from suffrage.consult.pairing import (
    INSTRUCTED_OUTCOME,
    DrawnPair,
    PairDesign,
    check_places,
    next_pair,
    pair_information,
    pairs_of,
)
from suffrage.consult.votes import AGREE, DISAGREE, PASS
from suffrage.errors import InputError

Manner = Literal["sincere", "careless", "brigading"]

# People who answer between two looks at what pairs still tell.
AT_ONCE = 25
# Strength in log odds at which an answer is as often liked as not.
LIKED_FROM = 0.0


@dataclass(frozen=True, eq=False)
class Public:
    """People and what each would truly say.

    agree, disagree: (people, statements), the rest to 1 is a pass. utility: (people, answers), log
    odds against an answer of strength 0. prompt_of: (answers,), each answer's prompt, numbered from
    0. group: (people,), the true group. manner: (people,), whether they say what they think:
    "careless" people answer without reading, "brigading" ones all alike, as `brigade` says for each
    statement (1 or -1). tie: Davidson's nu, 0 for none. left: log odds that the left side gains.
    strata: for each demographic item, one value a person.
    Raises InputError where shapes do not fit or a probability is none.
    """

    agree: FloatArray
    disagree: FloatArray
    utility: FloatArray
    prompt_of: IntArray
    group: IntArray
    manner: tuple[Manner, ...] = ()
    brigade: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    tie: float = 0.4
    left: float = 0.0
    strata: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        people, statements = self.agree.shape
        if not self.manner:
            object.__setattr__(self, "manner", ("sincere",) * people)
        if not self.brigade.size:
            object.__setattr__(self, "brigade", np.ones(statements, np.int64))
        for name, shape, wanted in (
            ("disagree", self.disagree.shape, (people, statements)),
            ("utility", self.utility.shape, (people, self.prompt_of.size)),
            ("group", self.group.shape, (people,)),
            ("manner", (len(self.manner),), (people,)),
            ("brigade", self.brigade.shape, (statements,)),
            *((item, (len(values),), (people,)) for item, values in self.strata.items()),
        ):
            if shape != wanted:
                raise InputError(f"{name} is of shape {shape}; with this public it is {wanted}.")
        rest = 1 - self.agree - self.disagree
        if (
            min(self.agree.min(initial=0), self.disagree.min(initial=0), rest.min(initial=0))
            < -1e-9
        ):
            raise InputError("agree and disagree must be probabilities that sum to 1 at most.")
        if self.tie < 0:
            raise InputError(f"tie is {self.tie}; it must be 0 or more.")

    @property
    def people(self) -> int:
        """How many there are."""
        return int(self.agree.shape[0])

    @property
    def liking(self) -> FloatArray:
        """The probability that each likes each answer, (people, answers)."""
        return np.asarray(1 / (1 + np.exp(LIKED_FROM - self.utility)))


@dataclass(frozen=True)
class MadeUpPublicSettings:
    """How a public is made up.

    groups: shares of the opinion groups. consensus: the share of statements that all groups think
    alike of. passes: how often somebody passes. answers: to each prompt. divided: standard
    deviation of a group's own part of an answer's strength, against 1 for what all share. careless,
    brigading: shares of people who do so.
    """

    groups: tuple[float, ...] = (0.45, 0.35, 0.2)
    consensus: float = 0.3
    passes: float = 0.1
    answers: int = 4
    divided: float = 1.0
    tie: float = 0.4
    left: float = 0.0
    careless: float = 0.0
    brigading: float = 0.0

    def __post_init__(self) -> None:
        if not self.groups or min(self.groups) <= 0:
            raise InputError("groups must be shares above 0, one a group.")
        for name in ("consensus", "passes", "careless", "brigading"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"{name} is {value}; it must lie in 0 to 1.")
        if self.careless + self.brigading > 1:
            raise InputError("careless and brigading people are more than all people.")
        if self.answers < 2:
            raise InputError(f"answers is {self.answers}; a pair needs 2 at least.")


def make_public(
    people: int,
    statements: int,
    prompts: int,
    generator: np.random.Generator,
    settings: MadeUpPublicSettings | None = None,
    strata: Mapping[str, Sequence[str]] | None = None,
) -> Public:
    """A public of opinion groups with their own probabilities and utilities.

    On a statement of consensus every group agrees with probability Beta(16, 4); on the others each
    group has its own, Beta(0.7, 0.7), which is mostly near 0 or 1. strata: the values each
    demographic item may take; drawn evenly, and apart from the groups.
    """
    s = settings or MadeUpPublicSettings()
    shares = np.array(s.groups) / sum(s.groups)
    group = generator.choice(shares.size, people, p=shares)
    own = generator.beta(0.7, 0.7, (shares.size, statements))
    alike = generator.beta(16, 4, statements)
    is_alike = np.zeros(statements, dtype=bool)
    is_alike[generator.permutation(statements)[: round(s.consensus * statements)]] = True
    agreeing = np.where(is_alike, alike, own)
    answers = prompts * s.answers
    utility = generator.normal(0, 1, answers) + generator.normal(
        0, s.divided, (shares.size, answers)
    )
    order = generator.permutation(people)
    manner: list[Manner] = ["sincere"] * people
    careless, brigading = round(s.careless * people), round(s.brigading * people)
    for at in order[:careless]:
        manner[at] = "careless"
    for at in order[careless : careless + brigading]:
        manner[at] = "brigading"
    brigade = np.where(generator.random(statements) < 0.5, AGREE, DISAGREE)
    values = {
        item: tuple(str(v) for v in generator.choice(list(of), people))
        for item, of in (strata or {}).items()
    }
    return Public(
        agree=(agreeing * (1 - s.passes))[group],
        disagree=((1 - agreeing) * (1 - s.passes))[group],
        utility=utility[group],
        prompt_of=np.repeat(np.arange(prompts), s.answers),
        group=group,
        manner=tuple(manner),
        brigade=brigade.astype(np.int64),
        tie=s.tie,
        left=s.left,
        strata=values,
    )


def vote_of(public: Public, person: int, statement: int, generator: np.random.Generator) -> int:
    """What somebody votes: 1 agree, 0 pass, -1 disagree.

    Careless people always agree, the likeliest way to be through soonest.
    """
    manner = public.manner[person]
    if manner == "careless":
        return AGREE
    if manner == "brigading":
        return int(public.brigade[statement])
    draw = generator.random()
    if draw < public.agree[person, statement]:
        return AGREE
    if draw < public.agree[person, statement] + public.disagree[person, statement]:
        return DISAGREE
    return PASS


def outcome_probabilities(public: Public, person: int, left: int, right: int) -> dict[str, float]:
    """How a sincere person judges two answers.

    Davidson (1970): left : right : tie = x : y : nu sqrt(x y), x and y the exponents of utility,
    the left's with what its side gains. A tie is "both bad" rather than "tie" in the odds of liking
    neither against liking both.
    """
    x, y = public.utility[person, left] + public.left, public.utility[person, right]
    weights = np.exp(np.array([x, y, (x + y) / 2]) - max(x, y)) * [1, 1, public.tie]
    p = weights / weights.sum()
    like = public.liking[person]
    neither = (1 - like[left]) * (1 - like[right])
    both = like[left] * like[right]
    bad = float(p[2] * neither / (neither + both))
    return {
        "left": float(p[0]),
        "right": float(p[1]),
        "tie": float(p[2]) - bad,
        "both_bad": bad,
    }


def outcome_of(
    public: Public, person: int, left: int, right: int, generator: np.random.Generator
) -> str:
    """How somebody judges two answers; careless people take the left one, whatever it says."""
    if public.manner[person] == "careless":
        return "left"
    p = outcome_probabilities(public, person, left, right)
    return str(generator.choice(list(p), p=list(p.values())))


@dataclass(frozen=True)
class TasksEach:
    """What is asked of everybody: so many statements, pairs and reactions each."""

    votes: int = 25
    pairs: int = 8
    reactions: int = 6


@dataclass(frozen=True)
class Texts:
    """What the consultation asks: statements; prompts, each with its answers."""

    statements: tuple[str, ...]
    prompts: tuple[tuple[str, tuple[str, ...]], ...] = ()


def numbered_texts(public: Public) -> Texts:
    """Texts that say only which they are."""
    statements = tuple(f"Statement {j + 1}" for j in range(public.agree.shape[1]))
    prompts = tuple(
        (
            f"Prompt {q + 1}?",
            tuple(f"Answer {a + 1}." for a in np.flatnonzero(public.prompt_of == q)),
        )
        for q in range(int(public.prompt_of.max(initial=-1)) + 1)
    )
    return Texts(statements, prompts)


def take_part(
    public: Public,
    generator: np.random.Generator,
    asked: TasksEach | None = None,
    texts: Texts | None = None,
    design: PairDesign | None = None,
    slug: str = "simulated",
    title: str = "A simulated consultation",
) -> Consultation:
    """Everybody takes part once, in random order.

    Statements are drawn evenly, pairs by the design, whose information is looked at again after
    every `AT_ONCE` people. Participant "p7" is row 7 of the public, statement "s3" column 3, prompt
    "q1", answer "a5" likewise. Raises InputError where the texts are not as many as the public's.
    """
    a, d = asked or TasksEach(), design or PairDesign()
    t = texts or numbered_texts(public)
    _check_texts(public, t)
    state = _Collected(public, d, t)
    order = generator.permutation(public.people)
    for start in range(0, public.people, AT_ONCE):
        told = state.information()
        for person in order[start : start + AT_ONCE]:
            state.answers_of(int(person), a, told, generator)
    return Consultation(
        slug=slug,
        title=title,
        question=title,
        languages=("en",),
        created="",
        statements=_statements(t),
        participants=_participants(public),
        demographics=_demographics(public),
        votes=_frame("votes", state.votes),
        prompts=_frame(
            "prompts", [(f"q{q}", text, "en", None) for q, (text, _) in enumerate(t.prompts)]
        ),
        answers=_frame(
            "answers",
            [
                (f"a{at}", f"q{q}", text, "simulated", "en")
                for at, (q, text) in enumerate(
                    (q, text) for q, (_, texts_of) in enumerate(t.prompts) for text in texts_of
                )
            ],
        ),
        comparisons=_frame("comparisons", state.comparisons),
        reactions=_frame("reactions", state.reactions),
    )


class _Collected:
    """What was said so far."""

    def __init__(self, public: Public, design: PairDesign, texts: Texts) -> None:
        self.public = public
        self.design = design
        self.pairs = pairs_of({f"a{i}": f"q{q}" for i, q in enumerate(public.prompt_of)}, design)
        self.raters: dict[tuple[str, ...], npt.NDArray[np.int64]] = {}
        self.places = self.pairs.places()
        self.votes: list[tuple[object, ...]] = []
        self.comparisons: list[tuple[object, ...]] = []
        self.reactions: list[tuple[object, ...]] = []

    def information(self) -> FloatArray:
        return pair_information(self.pairs, _frame("comparisons", self.comparisons), self.design)

    def answers_of(
        self, person: int, asked: TasksEach, told: FloatArray, generator: np.random.Generator
    ) -> None:
        public, name = self.public, f"p{person}"
        statements = public.agree.shape[1]
        order = 0
        drawn = generator.permutation(statements)[: asked.votes]
        for place, statement in enumerate(drawn):
            vote = vote_of(public, person, int(statement), generator)
            left = 1 / (statements - place)
            self.votes.append((name, f"s{statement}", vote, False, order, left))
            order += 1
        if len(self.pairs):
            order = self._pairs_of(person, asked, told, generator, order)
        answers = generator.permutation(public.prompt_of.size)[: asked.reactions]
        for answer in answers:
            likes = public.manner[person] == "careless" or (
                generator.random() < public.liking[person, answer]
            )
            self.reactions.append((name, f"a{answer}", 1 if likes else -1, "", order))
            order += 1

    def _pairs_of(
        self,
        person: int,
        asked: TasksEach,
        told: FloatArray,
        generator: np.random.Generator,
        order: int,
    ) -> int:
        public = self.public
        stratum = tuple(values[person] for values in public.strata.values())
        raters = self.raters.setdefault(stratum, np.zeros(len(self.pairs), np.int64))
        checks = check_places(asked.pairs, self.design, generator)
        shown: list[DrawnPair] = []
        for _ in range(asked.pairs):
            pair = next_pair(self.pairs, told, raters, shown, checks, self.design, generator)
            if pair is None:
                break
            shown.append(pair)
            left, right = int(pair.left[1:]), int(pair.right[1:])
            if pair.check == "instructed" and public.manner[person] != "careless":
                outcome = INSTRUCTED_OUTCOME
            else:
                outcome = outcome_of(public, person, left, right, generator)
            if pair.check is None:
                raters[self.places[frozenset((pair.left, pair.right))]] += 1
            self.comparisons.append(
                (
                    f"p{person}",
                    pair.prompt,
                    pair.left,
                    pair.right,
                    outcome,
                    None,
                    "",
                    pair.core,
                    pair.check,
                    pair.probability,
                    order,
                )
            )
            order += 1
        return order


def without(public: Public, manner: Manner) -> Public:
    """The public in which those who do so are sincere instead."""
    kept: tuple[Manner, ...] = tuple("sincere" if m == manner else m for m in public.manner)
    return replace(public, manner=kept)


def _check_texts(public: Public, texts: Texts) -> None:
    statements, answers = public.agree.shape[1], public.prompt_of.size
    if len(texts.statements) != statements:
        raise InputError(
            f"{len(texts.statements)} texts for {statements} statements; give one each."
        )
    of = [q for q, (_, some) in enumerate(texts.prompts) for _ in some]
    if of != public.prompt_of.tolist():
        raise InputError(
            f"the texts have {len(of)} answers to {len(texts.prompts)} prompts, the public judges "
            f"{answers}; they must be the same, prompt by prompt."
        )


def _frame(table: str, rows: Sequence[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=dict(SCHEMAS[table]), orient="row")


def _statements(texts: Texts) -> pl.DataFrame:
    return _frame(
        "statements",
        [
            (f"s{j}", text, "en", True, "accepted", None, j)
            for j, text in enumerate(texts.statements)
        ],
    )


def _participants(public: Public) -> pl.DataFrame:
    return _frame(
        "participants",
        [(f"p{i}", True, "en", False, None, True, True, True, None) for i in range(public.people)],
    )


def _demographics(public: Public) -> pl.DataFrame:
    return _frame(
        "demographics",
        [
            (f"p{i}", item, value)
            for item, values in public.strata.items()
            for i, value in enumerate(values)
        ],
    )
