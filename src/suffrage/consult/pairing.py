"""Which two answers to show next, by a stated design, and with which probability.

Two answers to one prompt are a pair. Some pairs form a common core that enough people of every
stratum see, so that groups can be compared on the same pairs. The other draws go where they are
most informative. A part of the draws, the floor, is even over all pairs, so that every pair can be
shown and every comparison can be weighted by one over its probability. These functions neither
read nor write anything: the caller logs what is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.arrays import BoolArray, FloatArray, IntArray
from suffrage.consult.votes import id_order
from suffrage.errors import InputError

Check = Literal["instructed", "repeat"]

POLICY = "core-and-information/1"
# What an instructed pair asks for: somebody who always picks one side, or chooses blindly, fails.
INSTRUCTED_OUTCOME = "tie"
NEWTON_ROUNDS = 50
# How many pairs are shown between a pair and its repetition, so that memory does not help.
LEAST_APART = 3


@dataclass(frozen=True)
class PairDesign:
    """How pairs are drawn. The design is published with the data."""

    # The share of all pairs that is in the common core.
    core_share: float = 0.2
    # How many people of each stratum should see each core pair.
    core_raters: int = 10
    # How often a core pair that still lacks raters is drawn.
    core_chance: float = 0.5
    # The part of the other draws that is even over all pairs.
    floor: float = 0.2
    # The standard deviation of an answer's strength before anything is known, in log odds.
    prior: float = 1.5
    # How many pairs of one person's block are asked again with sides swapped.
    repeats: int = 1
    # How many pairs of one person's block say what to choose.
    instructed: int = 1

    def __post_init__(self) -> None:
        for name in ("core_share", "core_chance", "floor"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"{name} is {value}; it must lie in 0 to 1.")
        if self.floor == 0:
            raise InputError("floor is 0: some pairs could never be drawn; give more than 0.")
        if self.prior <= 0:
            raise InputError(f"prior is {self.prior}; it must be above 0.")
        for name in ("core_raters", "repeats", "instructed"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 0 or more.")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Every pair of answers to one prompt, in the order of their ids; one element for each pair."""

    prompts: tuple[str, ...]
    # The answers, `first` before `second` in `id_order`.
    first: tuple[str, ...]
    second: tuple[str, ...]
    # Whether the pair is in the common core.
    core: BoolArray

    def __len__(self) -> int:
        return len(self.prompts)

    def places(self) -> dict[frozenset[str], int]:
        """The place of each pair, whichever side its answers are on."""
        return {
            frozenset(two): at for at, two in enumerate(zip(self.first, self.second, strict=True))
        }


@dataclass(frozen=True)
class DrawnPair:
    """One pair to show."""

    prompt: str
    left: str
    right: str
    # The probability of the pair; which answer is left is a further, even draw.
    probability: float
    core: bool
    # Set where the pair tests attention; its probability is then 1.
    check: Check | None = None
    policy: str = POLICY


def pairs_of(prompt_of: Mapping[str, str], design: PairDesign, seed: int = 0) -> Pairs:
    """Return all pairs among answers.

    Whether a pair is in the core depends on its own ids and the seed only: an answer that is added
    later takes no pair out of the core. There is at least one core pair, unless the design has
    none.

    Parameters
    ----------
    prompt_of : mapping
        The prompt of each answer.
    design : PairDesign
    seed : int
    """
    by_prompt: dict[str, list[str]] = {}
    for answer, prompt in prompt_of.items():
        by_prompt.setdefault(prompt, []).append(answer)
    rows = [
        (prompt, first, second)
        for prompt in sorted(by_prompt, key=id_order)
        for first, second in combinations(sorted(by_prompt[prompt], key=id_order), 2)
    ]
    ranks = np.array([storage.hash_share("\0".join((str(seed), *row))) for row in rows])
    core = ranks < design.core_share
    if rows and design.core_share > 0 and not core.any():
        core[ranks.argmin()] = True
    prompts, first, second = zip(*rows, strict=True) if rows else ((), (), ())
    return Pairs(prompts, first, second, core)


def strengths(wins: FloatArray, prior: float = 1.5) -> tuple[FloatArray, FloatArray]:
    """Return Bradley-Terry strengths and their covariance, from a table of wins.

    The model is P(i over j) = 1 / (1 + exp(s_j - s_i)) with s ~ N(0, prior^2).

    Parameters
    ----------
    wins : array, shape (answers, answers)
        How often the row's answer was chosen over the column's; a tie is half a win for each.
    prior : float
        Standard deviation of the strengths, in log odds.

    Returns
    -------
    strengths : array, shape (answers,)
        The most probable strengths.
    covariance : array, shape (answers, answers)
        The inverse of the second derivative of the negative log posterior at that point.

    References
    ----------
    Bradley and Terry (1952), Rank analysis of incomplete block designs.
    """
    count = len(wins)
    s = np.zeros(count)
    met = wins + wins.T
    for _ in range(NEWTON_ROUNDS):
        p = 1 / (1 + np.exp(s[None, :] - s[:, None]))
        slope = (wins - met * p).sum(axis=1) - s / prior**2
        weight = met * p * (1 - p)
        curve = np.diag(weight.sum(axis=1)) - weight + np.eye(count) / prior**2
        step = np.linalg.solve(curve, slope)
        # Newton's step may be too long where all comparisons point one way.
        s = s + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        if np.abs(step).max() < 1e-10:
            break
    p = 1 / (1 + np.exp(s[None, :] - s[:, None]))
    weight = met * p * (1 - p)
    curve = np.diag(weight.sum(axis=1)) - weight + np.eye(count) / prior**2
    return np.asarray(s, np.float64), np.asarray(np.linalg.inv(curve), np.float64)


def information(wins: FloatArray, prior: float = 1.5) -> FloatArray:
    """Return how informative one more comparison of each two answers would be, in nats.

    It is log(1 + p (1 - p) v), by which the log determinant of the strengths' precision would
    grow, with v the variance of the difference of the two strengths (D-optimality). It is highest
    for answers of similar strength that were seldom compared, and 0 on the diagonal.

    Parameters
    ----------
    wins : array, shape (answers, answers)
        As in `strengths`.
    prior : float

    Returns
    -------
    array, shape (answers, answers)
    """
    s, covariance = strengths(wins, prior)
    p = 1 / (1 + np.exp(s[None, :] - s[:, None]))
    own = np.diag(covariance)
    spread = own[:, None] + own[None, :] - 2 * covariance
    gain = np.log1p(p * (1 - p) * np.clip(spread, 0, None))
    np.fill_diagonal(gain, 0)
    return np.asarray(gain)


def pair_information(pairs: Pairs, comparisons: pl.DataFrame, design: PairDesign) -> FloatArray:
    """Return how informative each pair would be after the comparisons made, shape (pairs,).

    comparisons: columns left, right, outcome and check, as in a `Consultation`. Skips and
    attention checks do not count, and "both bad" is a tie.
    """
    counted = comparisons.filter(pl.col("check").is_null() & (pl.col("outcome") != "skip"))
    wins: dict[str, dict[str, float]] = {}
    for left, right, outcome in counted.select("left", "right", "outcome").iter_rows():
        toward = {"left": 1.0, "right": 0.0}.get(outcome, 0.5)
        wins.setdefault(left, {})[right] = wins.get(left, {}).get(right, 0.0) + toward
        wins.setdefault(right, {})[left] = wins.get(right, {}).get(left, 0.0) + 1 - toward
    found = np.zeros(len(pairs))
    for prompt in dict.fromkeys(pairs.prompts):
        rows = [at for at, name in enumerate(pairs.prompts) if name == prompt]
        answers = sorted({a for at in rows for a in (pairs.first[at], pairs.second[at])})
        place = {answer: at for at, answer in enumerate(answers)}
        table = np.zeros((len(answers), len(answers)))
        for one in answers:
            for other, times in wins.get(one, {}).items():
                if other in place:
                    table[place[one], place[other]] = times
        gain = information(table, design.prior)
        for at in rows:
            found[at] = gain[place[pairs.first[at]], place[pairs.second[at]]]
    return found


def pair_probabilities(
    pairs: Pairs,
    gains: FloatArray,
    raters: IntArray,
    seen: BoolArray,
    design: PairDesign,
) -> FloatArray:
    """Return the probability of each pair to be shown next to one person.

    With probability `core_chance` the next pair is a core pair that lacks raters, each in
    proportion to how many it lacks. Otherwise the pair is drawn among all that the person has not
    seen, in proportion to `gains`, with an even floor.

    Parameters
    ----------
    pairs : Pairs
    gains : array, shape (pairs,)
        How informative each pair would be, from `pair_information`.
    raters : array, shape (pairs,)
        How many people of this person's stratum saw each pair.
    seen : array, shape (pairs,)
        Whether this person saw the pair.
    design : PairDesign

    Returns
    -------
    array, shape (pairs,)
        All 0 where the person has seen every pair.
    """
    open_to = ~seen
    if not open_to.any():
        return np.zeros(len(pairs))
    lacking = np.where(open_to & pairs.core, np.clip(design.core_raters - raters, 0, None), 0)
    weight = np.where(open_to, np.clip(gains, 0, None), 0.0)
    even = open_to / open_to.sum()
    by_worth = weight / weight.sum() if weight.sum() > 0 else even
    spread = (1 - design.floor) * by_worth + design.floor * even
    if not lacking.any():
        return np.asarray(spread)
    chance = design.core_chance
    return np.asarray(chance * lacking / lacking.sum() + (1 - chance) * spread)


def draw_pair_to_show(
    pairs: Pairs, probabilities: FloatArray, generator: np.random.Generator
) -> DrawnPair | None:
    """Draw a pair by its probability, and its sides evenly; None where every probability is 0."""
    if probabilities.sum() <= 0:
        return None
    at = int(generator.choice(len(pairs), p=probabilities / probabilities.sum()))
    sides = [pairs.first[at], pairs.second[at]]
    if generator.random() < 0.5:
        sides.reverse()
    return DrawnPair(
        pairs.prompts[at], sides[0], sides[1], float(probabilities[at]), bool(pairs.core[at])
    )


def check_places(
    length: int, design: PairDesign, generator: np.random.Generator
) -> dict[int, Check]:
    """Draw the places, from 0, at which a block of `length` pairs tests attention.

    A repetition comes more than `LEAST_APART` pairs after the start. The first pair tests
    nothing, and a block that is too short for a test has none.
    """
    places: dict[int, Check] = {}
    late = [at for at in range(length) if at > LEAST_APART]
    for at in generator.permutation(late)[: design.repeats]:
        places[int(at)] = "repeat"
    free = [at for at in range(1, length) if at not in places]
    for at in generator.permutation(free)[: design.instructed]:
        places[int(at)] = "instructed"
    return places


def repeated(shown: Sequence[DrawnPair], generator: np.random.Generator) -> DrawnPair | None:
    """Draw a pair shown at least `LEAST_APART` pairs ago, with its sides swapped.

    Pairs that tested attention are not repeated; None where there is no other.
    shown: the person's pairs, in order.
    """
    old = [pair for pair in shown[: max(len(shown) - LEAST_APART, 0)] if pair.check is None]
    if not old:
        return None
    pair = old[int(generator.integers(len(old)))]
    return DrawnPair(pair.prompt, pair.right, pair.left, 1.0, pair.core, "repeat")


def instructed(pair: DrawnPair) -> DrawnPair:
    """Return the pair as an instructed one: the page asks for `INSTRUCTED_OUTCOME`."""
    return DrawnPair(pair.prompt, pair.left, pair.right, 1.0, pair.core, "instructed")


def next_pair(
    pairs: Pairs,
    gains: FloatArray,
    raters: IntArray,
    shown: Sequence[DrawnPair],
    checks: Mapping[int, str],
    design: PairDesign,
    generator: np.random.Generator,
) -> DrawnPair | None:
    """Draw the next pair of one person's block, an attention check where the block has one.

    Parameters
    ----------
    pairs : Pairs
    gains : array, shape (pairs,)
        How informative each pair would be, from `pair_information`.
    raters : array, shape (pairs,)
        How many people of this person's stratum saw each pair.
    shown : sequence of DrawnPair
        What this person saw, in order.
    checks : mapping
        Where the block tests attention, from `check_places`.
    design : PairDesign
    generator : numpy Generator
    """
    check = checks.get(len(shown))
    if check == "repeat" and (again := repeated(shown, generator)) is not None:
        return again
    seen = seen_pairs(pairs, ((pair.left, pair.right) for pair in shown))
    drawn = draw_pair_to_show(
        pairs, pair_probabilities(pairs, gains, raters, seen, design), generator
    )
    return instructed(drawn) if drawn is not None and check == "instructed" else drawn


def seen_pairs(pairs: Pairs, shown: Iterable[tuple[str, str]]) -> BoolArray:
    """Return whether each pair is among those shown, in either order; shape (pairs,)."""
    places = pairs.places()
    seen = np.zeros(len(pairs), dtype=bool)
    seen[[places[two] for one in shown if (two := frozenset(one)) in places]] = True
    return seen


def core_coverage(
    pairs: Pairs, comparisons: pl.DataFrame, stratum_of: Mapping[str, str]
) -> dict[str, IntArray]:
    """Return how many people of each stratum compared each pair, shape (pairs,).

    A skipped pair was not compared. stratum_of: each participant's stratum; people without one
    count in the stratum "".
    """
    places = pairs.places()
    found: dict[str, IntArray] = {}
    counted = comparisons.filter(pl.col("check").is_null() & (pl.col("outcome") != "skip"))
    rows = counted.select("participant", "left", "right").iter_rows()
    for person, two in {(person, frozenset((left, right))) for person, left, right in rows}:
        if two in places:
            row = found.setdefault(stratum_of.get(person, ""), np.zeros(len(pairs), np.int64))
            row[places[two]] += 1
    return found
