"""A simulated public whose true values are known, for demonstrations and tests.

A public is a set of arrays with each person's true probabilities. They may come from opinion
groups drawn here or from the answers of real respondents. The public takes part in a made-up
consultation; the result is a plain `Consultation`, which can be compared with the truth.
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

# How many people answer before the information of pairs is computed again.
AT_ONCE = 25
# Strength in log odds at which an answer is as often liked as not.
LIKED_FROM = 0.0


@dataclass(frozen=True, eq=False)
class Public:
    """People and what each would truly say.

    Raises
    ------
    InputError
        Shapes do not fit, or a value is not a probability.
    """

    # The probabilities of agreeing and disagreeing, shape (people, statements). The rest is a pass.
    agree: FloatArray
    disagree: FloatArray
    # How much each person likes each answer, in log odds against an answer of strength 0: shape
    # (people, answers).
    utility: FloatArray
    # The prompt of each answer, numbered from 0: shape (answers,).
    prompt_of: IntArray
    # The true group of each person, shape (people,).
    group: IntArray
    # Whether each person says what they think. "Careless" people answer without reading, and
    # "brigading" people all vote as `brigade` says.
    manner: tuple[Manner, ...] = ()
    # 1 or -1 for each statement, shape (statements,).
    brigade: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    # Davidson's nu; without ties it is 0.
    tie: float = 0.4
    # The log odds that an answer gains by being on the left.
    left: float = 0.0
    # For each demographic item, the value of each person.
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
    """How a public is made up."""

    # The shares of the opinion groups.
    groups: tuple[float, ...] = (0.45, 0.35, 0.2)
    # The share of statements on which all groups think alike.
    consensus: float = 0.3
    # How often somebody passes.
    passes: float = 0.1
    # How many answers each prompt has.
    answers: int = 4
    # The standard deviation of a group's own part of an answer's strength; that of the part that
    # all groups share is 1.
    divided: float = 1.0
    # As in `Public`.
    tie: float = 0.4
    left: float = 0.0
    # The shares of people who answer in this manner.
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
    """Make a public of opinion groups with their own probabilities and utilities.

    On a statement of consensus every group agrees with the same probability, drawn from
    Beta(16, 4). On the others each group has its own, from Beta(0.7, 0.7), mostly near 0 or 1.

    Parameters
    ----------
    people, statements, prompts : int
        How many there are.
    generator : numpy Generator
    settings : MadeUpPublicSettings, optional
    strata : mapping, optional
        The values of each demographic item; drawn evenly and independently of the groups.
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
    """Draw a person's vote: 1 agree, 0 pass, -1 disagree.

    Careless people always agree, the quickest way to finish.
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
    """Return the probability of each outcome when a sincere person compares two answers.

    In Davidson's (1970) model left : right : tie = x : y : nu sqrt(x y), with x and y the
    exponentials of utility, the left's with what its side gains. A tie is "both bad" instead of
    "tie" in the odds of liking neither to liking both.
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
    """Draw the outcome when somebody compares two answers; careless people choose the left one."""
    if public.manner[person] == "careless":
        return "left"
    p = outcome_probabilities(public, person, left, right)
    return str(generator.choice(list(p), p=list(p.values())))


@dataclass(frozen=True)
class TasksEach:
    """How many statements, pairs and reactions everybody is asked for."""

    votes: int = 25
    pairs: int = 8
    reactions: int = 6


@dataclass(frozen=True)
class Texts:
    """The texts that the consultation asks about."""

    statements: tuple[str, ...]
    # Each prompt with its answers.
    prompts: tuple[tuple[str, tuple[str, ...]], ...] = ()


def numbered_texts(public: Public) -> Texts:
    """Return texts that only give the number of a statement, prompt or answer."""
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
    """Let everybody take part once, in random order.

    Statements are drawn evenly, and pairs by the design, whose information is computed again after
    every `AT_ONCE` people. Participant "p7" is row 7 of the public and statement "s3" column 3;
    prompts ("q1") and answers ("a5") are numbered in the same way.

    Parameters
    ----------
    public : Public
    generator : numpy Generator
    asked : TasksEach, optional
        How much everybody is asked.
    texts : Texts, optional
        The texts of statements, prompts and answers; by default they only give a number.
    design : PairDesign, optional
    slug, title : str
        The consultation's.

    Raises
    ------
    InputError
        The texts are not as many as the public's statements and answers.
    """
    a, d = asked or TasksEach(), design or PairDesign()
    t = texts or numbered_texts(public)
    _check_texts(public, t)
    collected = _Collected(public, d)
    order = generator.permutation(public.people)
    for start in range(0, public.people, AT_ONCE):
        gains = collected.information()
        for person in order[start : start + AT_ONCE]:
            collected.answers_of(int(person), a, gains, generator)
    return Consultation(
        slug=slug,
        title=title,
        question=title,
        languages=("en",),
        created="",
        statements=_statements(t),
        participants=_participants(public),
        demographics=_demographics(public),
        votes=_frame("votes", collected.votes),
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
        comparisons=_frame("comparisons", collected.comparisons),
        reactions=_frame("reactions", collected.reactions),
    )


class _Collected:
    """What people have said until now."""

    def __init__(self, public: Public, design: PairDesign) -> None:
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
        self, person: int, asked: TasksEach, gains: FloatArray, generator: np.random.Generator
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
            order = self._pairs_of(person, asked, gains, generator, order)
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
        gains: FloatArray,
        generator: np.random.Generator,
        order: int,
    ) -> int:
        public = self.public
        stratum = tuple(values[person] for values in public.strata.values())
        raters = self.raters.setdefault(stratum, np.zeros(len(self.pairs), np.int64))
        checks = check_places(asked.pairs, self.design, generator)
        shown: list[DrawnPair] = []
        for _ in range(asked.pairs):
            pair = next_pair(self.pairs, gains, raters, shown, checks, self.design, generator)
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
    """Return the public in which people of this manner are sincere instead."""
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
            (f"s{j}", text, "en", True, "accepted", None, j, False)
            for j, text in enumerate(texts.statements)
        ],
    )


def _participants(public: Public) -> pl.DataFrame:
    return _frame(
        "participants",
        [
            (f"p{i}", True, "en", False, None, True, True, True, None, None)
            for i in range(public.people)
        ],
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
