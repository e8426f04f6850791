"""The answers item by item: the population next to every model."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.evaluate.results import (
    ItemFacts,
    MethodFacts,
    Results,
    ScoredAnswer,
    SplitSide,
    Target,
)
from suffrage.population.distributions import share_intervals
from suffrage.report.cells import SIDE_NAMES, colours, model_methods
from suffrage.report.numbers import NOTHING, number, percent, thousands


@dataclass(frozen=True)
class OptionBar:
    """What the population answered; positions in percent of the item's scale."""

    number: int
    text: str
    share: str
    note: str
    width: float
    low: float
    high: float


@dataclass(frozen=True)
class AnswerPanel:
    """What one method answered, next to the population."""

    label: str
    style: str
    fit: str
    bars: Sequence[tuple[float, str]] | None  # None when it could not be read
    spoken: str


@dataclass(frozen=True)
class Card:
    """One question as one population and every method answered it."""

    item: ItemFacts
    held_out: bool
    basis: str
    scale: str
    options: Sequence[OptionBar]
    panels: Sequence[AnswerPanel]


@dataclass(frozen=True)
class ValueSetCards:
    """The questions of one value set: those held out in some seed, and those never held out."""

    name: str
    description: str
    held_out: Sequence[Card]
    trained: Sequence[Card]
    # Questions that are not shown, see `MOST_CARDS`.
    left_out: int = 0


# Cards on a page. With more, each value set shows the questions that the models fit worst: a page
# of twenty thousand cards is 80 MB, which no telephone opens. The tables have all answers.
MOST_CARDS = 600
FEWEST_CARDS = 3

AnswersAt = Mapping[tuple[str, str, str, SplitSide], Sequence[ScoredAnswer]]


def letter_answers(results: Results) -> AnswersAt:
    """Answers by option letter, one a seed, by method, value set, item and side."""
    found: dict[tuple[str, str, str, SplitSide], list[ScoredAnswer]] = defaultdict(list)
    for answer in results.answers:
        if answer.readout == "letters":
            found[answer.method, answer.value_set, answer.item, answer.side].append(answer)
    return found


def mean_shares(answers: Sequence[ScoredAnswer]) -> list[float] | None:
    """The mean answer over the seeds that could be read; None when none could."""
    read = [answer.shares for answer in answers if not answer.refused]
    return [math.fsum(column) / len(read) for column in zip(*read, strict=True)] if read else None


def mean_fit(answers: Sequence[ScoredAnswer]) -> float | None:
    """The mean fit over the seeds that could be read; None when none could."""
    fits = [answer.fit for answer in answers if answer.fit is not None]
    return math.fsum(fits) / len(fits) if fits else None


def cards_by_value_set(results: Results) -> list[ValueSetCards]:
    """The questions of every value set, each shown once: held out where it ever was."""
    answers = letter_answers(results)
    asked: dict[str, list[tuple[ItemFacts, Target]]] = {v.name: [] for v in results.value_sets}
    targets = {(target.value_set, target.item): target for target in results.targets}
    for name, own in asked.items():
        for item in results.items:
            if item.side and (target := targets.get((name, item.id))):
                own.append((item, target))
    most = max(FEWEST_CARDS, MOST_CARDS // max(1, len(asked)))
    if sum(map(len, asked.values())) <= MOST_CARDS:
        most = max(map(len, asked.values()), default=0)
    found = []
    for value_set in results.value_sets:
        every = asked[value_set.name]
        shown = _worst_fitting(results, every, answers, most)
        cards = [_card(results, item, target, answers) for item, target in shown]
        found.append(
            ValueSetCards(
                value_set.name,
                value_set.description,
                [card for card in cards if card.held_out],
                [card for card in cards if not card.held_out],
                len(every) - len(shown),
            )
        )
    return found


def _worst_fitting(
    results: Results,
    asked: Sequence[tuple[ItemFacts, Target]],
    answers: AnswersAt,
    most: int,
) -> list[tuple[ItemFacts, Target]]:
    """As many questions, those held out first and of these the worst fitting, in their order."""
    if len(asked) <= most:
        return list(asked)

    def rank(place: int) -> tuple[bool, float]:
        item, target = asked[place]
        said = [mean_fit(of_seeds) for _, of_seeds in _said(results, item, target, answers)]
        fits = [own for own in said if own is not None]
        # What no model was asked comes last.
        mean = math.fsum(fits) / len(fits) if fits else math.inf
        return _shown_side(item) != "held_out", mean

    return [asked[place] for place in sorted(sorted(range(len(asked)), key=rank)[:most])]


def _shown_side(item: ItemFacts) -> SplitSide:
    """The side on which a question is shown: held out where it ever was."""
    return "held_out" if "held_out" in item.side.values() else "trained"


def _said(
    results: Results, item: ItemFacts, target: Target, answers: AnswersAt
) -> list[tuple[MethodFacts, Sequence[ScoredAnswer]]]:
    """What each model answered to a question as a population, on the side that is shown."""
    side = _shown_side(item)
    return [
        (method, answers.get((method.name, target.value_set, item.id, side), []))
        for method in model_methods(results)
    ]


def _card(results: Results, item: ItemFacts, target: Target, answers: AnswersAt) -> Card:
    side = _shown_side(item)
    seeds = [seed for seed, at in item.side.items() if at == side]
    found = _said(results, item, target, answers)
    shares = {method.name: mean_shares(of_seeds) for method, of_seeds in found}
    bounds = _bounds(target)
    most = max(
        [high for _, high in bounds]
        + [s for answered in shares.values() if answered for s in answered]
    )
    scale = min(1.0, math.ceil(most * 10 - 1e-9) / 10)

    def width(share: float) -> float:
        return round(100 * share / scale, 1)

    style = colours(results)
    return Card(
        item=item,
        held_out=side == "held_out",
        basis=_card_basis(target, seeds, len(results.study.seeds), side),
        scale=percent(scale),
        options=[
            OptionBar(
                number=place + 1,
                text=text,
                share=percent(share),
                note=f"{percent(low)} to {percent(high)}" if target.n else "",
                width=width(share),
                low=width(low),
                high=width(high),
            )
            for place, (text, share, (low, high)) in enumerate(
                zip(item.options, target.shares, bounds, strict=True)
            )
        ],
        panels=[
            _panel(method, style[method.name], shares[method.name], mean_fit(of_seeds), width)
            for method, of_seeds in found
            if of_seeds
        ],
    )


def _bounds(target: Target) -> list[tuple[float, float]]:
    """The interval of each share; the share itself where nobody knows its error."""
    shares = np.array(target.shares)
    if not target.n:
        return [(share, share) for share in target.shares]
    low, high = share_intervals(shares, np.array(target.standard_errors), target.n_eff)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _panel(
    method: MethodFacts,
    style: str,
    shares: Sequence[float] | None,
    fit: float | None,
    width: Callable[[float], float],
) -> AnswerPanel:
    if shares is None:
        return AnswerPanel(method.label, style, NOTHING, None, "")
    spoken = ", ".join(f"{place + 1}: {percent(share)}" for place, share in enumerate(shares))
    return AnswerPanel(
        label=method.label,
        style=style,
        fit=number(fit),
        bars=[(width(share), percent(share)) for share in shares],
        spoken=f"{method.label}, by option: {spoken}",
    )


def _card_basis(target: Target, seeds: Sequence[int], seed_count: int, side: SplitSide) -> str:
    parts = [f"{thousands(target.n)} answered (effective {thousands(target.n_eff)})"]
    if not target.n:
        parts = ["how many answered is not published"]
    silent = sum(target.non_response.values())
    if silent > 0:
        kinds = ", ".join(f"{kind} {percent(s, 1)}" for kind, s in target.non_response.items() if s)
        parts.append(f"no answer: {kinds}")
    if seed_count > 1:
        which = ", ".join(map(str, seeds))
        shown = "mean over seeds" if len(seeds) > 1 else "seed"
        parts.append(f"{SIDE_NAMES[side]}; models: {shown} {which}")
    return "; ".join(parts)
