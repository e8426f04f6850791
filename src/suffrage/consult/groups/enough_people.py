"""How many people a consultation needs: its errors, by simulation over real respondents.

Respondents of a finished consultation, or of a survey, stand for the public. As many as are wanted
are drawn from each subgroup, and each votes on as many statements as fit into the time. What comes
out is compared with what all respondents say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from suffrage.arrays import BoolArray, FloatArray, IntArray
from suffrage.consult.groups.consensus import MAJORITY
from suffrage.consult.groups.opinion_groups import (
    OUTSIDE,
    GroupSettings,
    cluster,
    find_groups,
    place,
)
from suffrage.consult.votes import AGREE, DISAGREE, PASS, UNSEEN, VoteMatrix
from suffrage.errors import InputError
from suffrage.population.distribution_distances import fit

# How many statements a person votes on in a minute, unless it is said.
VOTES_A_MINUTE = 4.0
# Of the 95% interval of a share.
NORMAL = 1.959963984540054
# A planted group holds the opposite of its subgroup on this share of the statements.
PLANTED_ON = 0.25
# It is found where a group that is found shares this part of its members with it (Jaccard).
FOUND_FROM = 0.5
# Comparisons are enough where a preference of 60 to 40 is seen on its right side so often.
PREFERENCE, RIGHT_SIDE = 0.6, 0.95
VOTES = (AGREE, DISAGREE, PASS)


@dataclass(frozen=True, eq=False)
class RealPublic:
    """Real respondents in subgroups, and what each says of every statement."""

    # Shape (people, statements); no vote is missing.
    votes: np.typing.NDArray[np.int8]
    # The subgroup of each person, (people,).
    group: IntArray
    # Where each person is on the main line of disagreement, from 0 to 1, (people,).
    rank: FloatArray
    # The share of votes that were filled in, because the person did not vote there.
    filled: float

    @property
    def groups(self) -> int:
        """How many subgroups there are."""
        return int(self.group.max()) + 1

    def shares(self) -> FloatArray:
        """The shares of agree, disagree and pass, (subgroups, statements, 3)."""
        said = np.stack([self.votes == vote for vote in VOTES], axis=-1)
        return np.stack([said[self.group == g].mean(0) for g in range(self.groups)])


def real_public(
    matrix: VoteMatrix, subgroups: int, seed: int = 0, moderated_out: Iterable[str] = ()
) -> RealPublic:
    """Divide respondents into subgroups by their votes, and fill in the votes they did not give.

    A missing vote is drawn from what the person's subgroup says of the statement. Votes that were
    given stay, so that people remain as consistent as they are.

    Parameters
    ----------
    matrix : VoteMatrix
    subgroups : int
        2 or more.
    seed : int
        Of what is drawn.
    moderated_out : iterable of str
        Statements that take no part.

    Raises
    ------
    InputError
        There are not so many groups.
    """
    settings = GroupSettings(groups=subgroups)
    positions = place(matrix, moderated_out, settings)
    found = cluster(positions, settings)
    inside = found.labels != OUTSIDE
    votes = matrix.only(positions.statements).votes[inside].copy()
    group, along = found.labels[inside], positions.places[inside, 0]
    generator = np.random.default_rng([seed, 21])
    missing = votes == UNSEEN
    for g in range(found.count):
        own = group == g
        counts = np.stack([(votes[own] == vote).sum(0) for vote in VOTES]) + 1 / 3
        shares = np.cumsum(counts / counts.sum(0), axis=0)
        drawn = generator.random((int(own.sum()), votes.shape[1]))
        chosen = np.array(VOTES, dtype=np.int8)[(drawn[None] > shares[:, None]).sum(0).clip(max=2)]
        votes[own] = np.where(missing[own], chosen, votes[own])
    rank = along.argsort().argsort() / max(len(along) - 1, 1)
    return RealPublic(votes, group, rank, float(missing.mean()))


@dataclass(frozen=True)
class Turnout:
    """Who takes part, and for how long."""

    # From each subgroup.
    people: int = 50
    # That each person votes.
    minutes: float = 15.0
    # How many are put to the vote; as many as the respondents voted on at most.
    statements: int = 60
    votes_a_minute: float = VOTES_A_MINUTE
    # How many times as likely those at one end of the main line of disagreement take part as those
    # at the other.
    bias: float = 1.0
    # The share of participants who vote against everything that all subgroups agree on.
    strategic: float = 0.0
    # The share of participants who are programs and vote by chance.
    bots: float = 0.0

    def __post_init__(self) -> None:
        for name in ("people", "minutes", "statements", "votes_a_minute", "bias"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be above 0.")
        if not (self.strategic >= 0 and self.bots >= 0 and self.strategic + self.bots < 1):
            raise InputError(
                f"strategic is {self.strategic} and bots is {self.bots}; both are shares of the "
                "participants, together below 1."
            )

    @property
    def votes_each(self) -> int:
        """How many statements a person votes on."""
        return max(1, min(self.statements, round(self.minutes * self.votes_a_minute)))


@dataclass(frozen=True)
class Expectation:
    """What a consultation would tell of its public, on average over simulated rounds."""

    # Votes of one subgroup on one statement.
    voters: float
    # Error of a subgroup's share that agrees, on average and in the worst twentieth.
    share_error: float
    share_error_95: float
    # Error of the least agreeing subgroup's share.
    consensus_error: float
    # Of the statements that a majority of every subgroup agrees with, how many are surely found.
    consensus_found: float
    # Of the statements that seem sure, how many are wrong.
    consensus_false: float
    # How well the shares that a training would learn from fit those of the whole subgroup.
    record_fit: float
    # How often a planted group is found; None where it was not looked for.
    planted_found: float | None


def expect(
    public: RealPublic, turnout: Turnout, rounds: int = 20, planted: int = 0, seed: int = 0
) -> Expectation:
    """Simulate rounds of a consultation, and compare each with the whole public.

    Parameters
    ----------
    public : RealPublic
    turnout : Turnout
    rounds : int
        How many simulated rounds.
    planted : int
        In how many rounds a planted group is looked for.
    seed : int
        Of every draw. The same seed draws the same statements whatever the turnout.

    Returns
    -------
    Expectation
    """
    truth = public.shares()
    found = [
        _round(public, truth, turnout, np.random.default_rng([seed, number]))
        for number in range(rounds)
    ]
    hits = [
        _planted_is_found(public, turnout, np.random.default_rng([seed, 1_000_000 + number]))
        for number in range(planted)
    ]
    means = {
        field.name: _mean(row[field.name] for row in found)
        for field in fields(Expectation)
        if field.name != "planted_found"
    }
    return Expectation(**means, planted_found=float(np.mean(hits)) if hits else None)


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _round(
    public: RealPublic, truth: FloatArray, turnout: Turnout, generator: np.random.Generator
) -> dict[str, float]:
    """One simulated round: the errors of its shares and of its consensus."""
    columns = _statements(public, turnout, generator)
    rows = _participants(public, turnout, generator)
    wanted = truth[:, columns]
    least = wanted[..., 0].min(0)
    votes = _cast(public, turnout, rows, columns, least > MAJORITY, generator)
    group = public.group[rows]
    counts = np.stack(
        [[(votes[group == g] == vote).sum(0) for vote in VOTES] for g in range(public.groups)]
    ).transpose(0, 2, 1)
    seen = counts.sum(-1)
    share = (counts[..., 0] + 1) / (seen + 2)
    errors = np.abs(share - wanted[..., 0])
    sure = (_lower_end(counts[..., 0], seen) > MAJORITY).all(0)
    true = least > MAJORITY
    voted = seen > 0
    recorded = counts[voted] / seen[voted][:, None]
    return {
        "voters": float(seen.mean()),
        "share_error": float(errors.mean()),
        "share_error_95": float(np.quantile(errors, 0.95)),
        "consensus_error": float(np.abs(share.min(0) - least).mean()),
        "consensus_found": float((sure & true).sum() / true.sum()) if true.any() else np.nan,
        "consensus_false": float((sure & ~true).sum() / sure.sum()) if sure.any() else np.nan,
        "record_fit": float(fit(wanted[voted], recorded).mean()),
    }


def _statements(public: RealPublic, turnout: Turnout, generator: np.random.Generator) -> IntArray:
    count = min(turnout.statements, public.votes.shape[1])
    return np.sort(generator.permutation(public.votes.shape[1])[:count])


def _participants(public: RealPublic, turnout: Turnout, generator: np.random.Generator) -> IntArray:
    """Rows of those who take part: as many from each subgroup, drawn with replacement."""
    found = []
    for g in range(public.groups):
        own = np.flatnonzero(public.group == g)
        weights = turnout.bias ** public.rank[own]
        found.append(generator.choice(own, turnout.people, p=weights / weights.sum()))
    return np.concatenate(found)


def _cast(
    public: RealPublic,
    turnout: Turnout,
    rows: IntArray,
    columns: IntArray,
    agreed: BoolArray,
    generator: np.random.Generator,
) -> np.typing.NDArray[np.int8]:
    """The votes that are cast, UNSEEN where somebody had no time. agreed: the true consensus."""
    votes = public.votes[np.ix_(rows, columns)].copy()
    kind = generator.random(len(rows))
    strategic = kind < turnout.strategic
    bots = (kind >= turnout.strategic) & (kind < turnout.strategic + turnout.bots)
    votes[np.ix_(strategic, agreed)] = DISAGREE
    votes[bots] = generator.choice(np.array(VOTES, np.int8), (int(bots.sum()), len(columns)))
    order = generator.random(votes.shape).argsort(1).argsort(1)
    votes[order >= turnout.votes_each] = UNSEEN
    return votes


def _lower_end(agrees: IntArray, seen: IntArray) -> FloatArray:
    """The lower end of Wilson's 95% interval; 0 where nobody voted."""
    n = np.maximum(seen, 1)
    p = agrees / n
    middle, spread = p + NORMAL**2 / (2 * n), p * (1 - p) / n + NORMAL**2 / (4 * n**2)
    found = (middle - NORMAL * np.sqrt(spread)) / (1 + NORMAL**2 / n)
    return np.where(seen > 0, found, 0.0)


def _planted_is_found(public: RealPublic, turnout: Turnout, generator: np.random.Generator) -> bool:
    """Whether a further group is found that differs from a subgroup on some statements only."""
    columns = _statements(public, turnout, generator)
    rows = _participants(public, turnout, generator)
    own = np.flatnonzero(public.group == generator.integers(public.groups))
    planted = generator.choice(own, turnout.people)
    everybody = np.concatenate([rows, planted])
    votes = _cast(public, turnout, everybody, columns, np.zeros(len(columns), bool), generator)
    on = generator.permutation(len(columns))[: max(1, round(PLANTED_ON * len(columns)))]
    turned = votes[len(rows) :, on]
    votes[len(rows) :, on] = np.where(turned == UNSEEN, UNSEEN, -turned)
    matrix = VoteMatrix(
        tuple(map(str, range(len(everybody)))), tuple(map(str, range(len(columns)))), votes
    )
    try:
        found = find_groups(matrix, settings=GroupSettings(groups=public.groups + 1))
    except InputError:
        return False
    is_planted = np.arange(len(everybody)) >= len(rows)
    overlaps = [
        (is_planted & (found.labels == g)).sum() / (is_planted | (found.labels == g)).sum()
        for g in range(found.count)
    ]
    return bool(max(overlaps) >= FOUND_FROM)


def comparisons_needed(share: float = PREFERENCE, chance: float = RIGHT_SIDE) -> int:
    """How many people must compare two answers for the preferred one to win.

    Parameters
    ----------
    share : float
        Of those who prefer one of the two, above 0.5 and below 1.
    chance : float
        That it wins; a tie counts half.

    Examples
    --------
    >>> comparisons_needed(0.6, 0.95), comparisons_needed(0.7, 0.95)
    (67, 17)
    """
    if not 0.5 < share < 1 or not 0.5 < chance < 1:
        raise InputError("share and chance must be above 0.5 and below 1.")
    wins = np.ones(1)
    for count in range(1, 100_000):
        wins = np.append(wins, 0.0) * (1 - share) + np.append(0.0, wins) * share
        half = count // 2
        won = wins[half + 1 :].sum() + (wins[half] / 2 if count % 2 == 0 else 0.0)
        if won >= chance:
            return count
    raise InputError(f"a preference of {share} is too weak to be seen {chance} of the time.")
