"""Four ways to read a model's answer distribution.

- letters: the probabilities of the option labels, averaged over option orders and label sets.
- text: the probability of each option's whole text as the answer, with and without length
  normalisation.
- sentence: the probability of each option said as a person would say it, to the question without
  its options.
- sampled: answers written freely and matched to the options.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.models.answerer import Advance, Answerer, ChoiceReading, LabelChoice, read_choices
from suffrage.models.asking import (
    SENTENCES,
    Persona,
    Question,
    Ways,
    open_question,
    sentences,
    ways_of_asking,
)
from suffrage.population.distribution_distances import total_variation
from suffrage.survey import Item

Readout = Literal["letters", "text", "text_length_normalised", "sentence", "sampled"]

LONGEST_SAMPLED_ANSWER = 10


@dataclass(frozen=True, eq=False)
class ModelAnswer:
    """How a model answered one item."""

    item_id: str
    readout: Readout
    # (options,), renormalised over the options; all NaN when they had no mass at all.
    shares: FloatArray
    # Probability (letters, text) or share of samples (sampled) that fell on the options, 0 to 1.
    mass: float
    # Mean total variation between the ways of asking and their mean, 0 to 1; None for readouts that
    # ask in one way only.
    order_sensitivity: float | None
    # Whether the mass is below the threshold, so that the answer says too little to be used.
    refused: bool
    # The most probability that the options could have in addition, where a server lists only its
    # likeliest tokens.
    unseen: float = 0.0
    # Answers sampled; None where probabilities were read.
    drawn: int | None = None
    # Share of them that decline to answer. What neither declines nor names an option is off format.
    declined: float | None = None

    @property
    def named(self) -> int | None:
        """How many sampled answers the shares are made of; None where probabilities were read."""
        return None if self.drawn is None else round(self.mass * self.drawn)


@dataclass(frozen=True)
class ItemProbe:
    """One item put to a model as one population (None: as itself)."""

    item: Item
    persona: Persona | None
    # The orders and labels in which the item's options are shown.
    ways: Ways = "all"

    @property
    def questions(self) -> list[Question]:
        """The item in every way in which it is asked."""
        return ways_of_asking(self.item, self.persona, self.ways)


@runtime_checkable
class SharesPredictor(Answerer, Protocol):
    """An answerer that knows an item's shares, and is put no question in words."""

    def item_shares(
        self, probes: Sequence[ItemProbe], advance: Advance | None = None
    ) -> list[FloatArray]:
        """The share of each option of each item, as the population asked about.

        advance: called with the number of items that are done, for progress.
        """
        ...


def read_letters(
    model: Answerer,
    probes: Sequence[ItemProbe],
    lowest_mass: float,
    advance: Advance | None = None,
) -> list[ModelAnswer]:
    """The label readout of every item.

    Each way of asking is renormalised over the options before the mean, so that a way in which
    the model says little does not count for less. A way in which it says nothing about them is
    left out of the mean, but counts in the mass. A `SharesPredictor` gives its shares, with all
    mass on the options.

    Parameters
    ----------
    model : Answerer
    probes : sequence of ItemProbe
    lowest_mass : float
        The mean mass below which an answer is refused, 0 to 1.
    advance : callable, optional
        Called with the number of questions that are done, for progress.

    Returns
    -------
    list of ModelAnswer
        One an item.
    """
    if isinstance(model, SharesPredictor):
        return [
            ModelAnswer(one.item.id, "letters", shares, 1.0, None, refused=False)
            for one, shares in zip(probes, model.item_shares(probes, advance), strict=True)
        ]
    ways = [one.questions for one in probes]
    chosen = iter(
        read_choices(
            model,
            [
                LabelChoice(tuple(question.messages), question.label_of_position)
                for group in ways
                for question in group
            ],
            advance,
        )
    )
    return [
        _average(one.item.id, [next(chosen) for _ in group], lowest_mass)
        for one, group in zip(probes, ways, strict=True)
    ]


def _average(item_id: str, readings: Sequence[ChoiceReading], lowest_mass: float) -> ModelAnswer:
    """One answer from all ways of asking an item."""
    by_way = np.array([reading.probabilities for reading in readings])
    masses = by_way.sum(axis=1)
    mass = float(masses.mean())
    unseen = float(np.mean([reading.unseen for reading in readings]))
    counts = [reading.drawn for reading in readings if reading.drawn is not None]
    drawn = sum(counts) if counts else None
    read = by_way[masses > 0] / masses[masses > 0, None]
    if not len(read):
        nothing = np.full(by_way.shape[1], np.nan)
        return ModelAnswer(item_id, "letters", nothing, mass, None, True, unseen, drawn)
    shares = read.mean(axis=0)
    sensitivity = float(np.mean([total_variation(way, shares) for way in read]))
    refused = mass < lowest_mass
    return ModelAnswer(item_id, "letters", shares, mass, sensitivity, refused, unseen, drawn)


def read_text(
    model: Answerer, probes: Sequence[ItemProbe], advance: Advance | None = None
) -> list[ModelAnswer]:
    """The full-text readout, plain and length-normalised.

    Plain: the probability of the option's text with the end of the turn, so its mass is a
    probability. Length-normalised: proportional to exp of the mean log-probability a token; it has
    no mass of its own and reports the plain one.

    Parameters
    ----------
    model : Answerer
        One that reads texts.
    probes : sequence of ItemProbe
    advance : callable, optional
        Called with the number of questions that are done, for progress.

    Returns
    -------
    list of ModelAnswer
        Two an item: "text" and "text_length_normalised".
    """
    questions = [
        Question(one.item, one.persona, tuple(range(len(one.item.options)))) for one in probes
    ]
    scored = model.text_log_probs(
        [question.messages for question in questions],
        [question.item.texts for question in questions],
        advance,
    )
    answers = []
    for question, logs in zip(questions, scored, strict=True):
        plain = np.exp([log.sum() for log in logs])
        normalised = np.exp([log.mean() for log in logs])
        mass = float(plain.sum())
        read: dict[Readout, FloatArray] = {"text": plain, "text_length_normalised": normalised}
        for readout, weights in read.items():
            shares = weights / weights.sum() if weights.sum() > 0 else np.full(len(weights), np.nan)
            refused = not weights.sum() > 0
            answers.append(ModelAnswer(question.item.id, readout, shares, mass, None, refused))
    return answers


def read_sentences(
    model: Answerer, probes: Sequence[ItemProbe], advance: Advance | None = None
) -> list[ModelAnswer]:
    """The sentence readout: the question without its options, each option said in every style.

    Shares are renormalised over the options in each of the `SENTENCES`, then averaged. The mass,
    the mean probability of saying exactly one of these sentences, is small by nature: an answer is
    refused only where none of them has any.
    """
    styles = range(len(SENTENCES))
    chats = [[{"role": "user", "content": open_question(one.item, one.persona)}] for one in probes]
    scored = model.text_log_probs(
        chats,
        [[text for style in styles for text in sentences(one.item, style)] for one in probes],
        advance,
    )
    answers = []
    for one, logs in zip(probes, scored, strict=True):
        by_style = np.array([log.sum() for log in logs]).reshape(len(styles), -1)
        mass = float(np.exp(by_style).sum(axis=1).mean())
        said = by_style[np.isfinite(by_style).any(axis=1)]
        if not said.size:
            nothing = np.full(by_style.shape[1], np.nan)
            answers.append(ModelAnswer(one.item.id, "sentence", nothing, mass, None, refused=True))
            continue
        weights = np.exp(said - said.max(axis=1, keepdims=True))
        found = weights / weights.sum(axis=1, keepdims=True)
        shares = found.mean(axis=0)
        sensitivity = float(np.mean([total_variation(way, shares) for way in found]))
        answers.append(
            ModelAnswer(one.item.id, "sentence", shares, mass, sensitivity, refused=False)
        )
    return answers


def read_sampled(
    model: Answerer, probes: Sequence[ItemProbe], samples: int, seed: int
) -> list[ModelAnswer]:
    """The written readout: free answers, matched to the options.

    An answer's mass is the share of samples that name exactly one option, and `declined` the share
    that decline to answer; all samples count in both. An item is refused where no sample names an
    option.

    Parameters
    ----------
    model : Answerer
    probes : sequence of ItemProbe
    samples : int
        Answers an item. The orders of its options share them evenly.
    seed : int
    """
    questions: list[tuple[int, Question]] = []
    for index, one in enumerate(probes):
        ways = one.questions
        ways = ways[: max(1, len(ways) // 2)]  # the first label set, every order
        questions += [(index, question) for question in ways]
    ways_each = Counter(index for index, _ in questions)
    most_ways = max(ways_each.values())
    written = model.write(
        [question.messages for _, question in questions],
        max(1, samples // most_ways),
        LONGEST_SAMPLED_ANSWER,
        seed,
    )
    counts = [np.zeros(len(one.item.options)) for one in probes]
    drawn = [0] * len(probes)
    declined = [0] * len(probes)
    for (index, question), texts in zip(questions, written, strict=True):
        for text in texts:
            drawn[index] += 1
            position = match_answer(text, question)
            if position is not None:
                counts[index][position] += 1
            elif declines_to_answer(text):
                declined[index] += 1
    answers = []
    for one, count, total, silent in zip(probes, counts, drawn, declined, strict=True):
        named = count.sum()
        shares = count / named if named else np.full(count.size, np.nan)
        mass = float(named / total)
        answers.append(
            ModelAnswer(
                one.item.id,
                "sampled",
                shares,
                mass,
                None,
                refused=not named,
                drawn=total,
                declined=silent / total,
            )
        )
    return answers


def match_answer(text: str, question: Question) -> int | None:
    """The position of the option a written answer names, or None when it names none or several.

    A leading label counts ("B", "B. About right", "(B)"). Otherwise it is the option whose text the
    answer contains, where the longest match wins ("Strongly agree" over "Agree").
    """
    cleaned = _plain(text)
    labelled = leading_label(text, question.label_of_position)
    if labelled is not None:
        return labelled
    found = []
    for position, option in sorted(
        enumerate(question.item.texts), key=lambda pair: len(pair[1]), reverse=True
    ):
        wanted = _plain(option)
        if re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", cleaned):
            found.append(position)
            cleaned = re.sub(rf"(?<!\w){re.escape(wanted)}(?!\w)", " ", cleaned)
    return found[0] if len(found) == 1 else None


def leading_label(text: str, labels: Sequence[str]) -> int | None:
    """The place of the label that a text begins with, None where it begins with none.

    Examples
    --------
    >>> leading_label("(b) I agree.", ["A", "B"])
    1
    >>> leading_label("A carbon tax would help.", ["A", "B"])  # an article, not a label
    """
    start = re.match(r"^[\s\"'(\[*]*([a-z0-9])(?![a-z0-9'’])", text.strip().lower())
    known = {label.lower(): place for place, label in enumerate(labels)}
    if start and start.group(1) in known and not _is_article(start.group(1), text):
        return known[start.group(1)]
    return None


# How models say that they won't answer. A text that is only off the subject does not count.
_DECLINES = re.compile(
    r"\b(as an? (ai|artificial|language model|large language)|"
    r"i('m| am) (an? (ai|artificial|language model|large language)|unable to|not able to|sorry)|"
    r"sorry,? but i\b|i (can't|cannot|can not|won't|will not) "
    r"(answer|choose|give|provide|express|take|hold|discuss|help|assist|comment|pick|select)|"
    r"i (don't|do not) (have|hold|take|express) (an? |any )?(personal |political |own )*"
    r"(opinion|view|preference|belief|feeling|stance|position|side)s?\b|"
    r"prefer not to (say|answer)|decline to (say|answer)|no comment)"
)


def declines_to_answer(text: str) -> bool:
    """Whether a written answer says, in English, that it won't give one.

    Examples
    --------
    >>> declines_to_answer("As an AI, I have no opinions.")
    True
    """
    return _DECLINES.search(text.lower().replace("’", "'")) is not None


def _is_article(label: str, text: str) -> bool:
    """ "A carbon footprint..." begins with an article, not with the label A."""
    return label == "a" and re.match(r"^\s*[aA]\s+[a-z]", text) is not None


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[^\w\s'-]", " ", text.lower())).strip()
