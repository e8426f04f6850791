"""A question put to several sides at once, with what the people of each side said.

A side is a model together with the population it answers for: two groups of one checkpoint, or two
checkpoints that answer for one group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from suffrage.arguments import FLAG, TEXT, several, takes, written
from suffrage.arrays import FloatArray
from suffrage.errors import InputError, did_you_mean
from suffrage.evaluate.asking.answers import Scoring
from suffrage.models import Answerer, ItemProbe, ModelAnswer, open_question, read_letters
from suffrage.models.asking import Persona, Ways
from suffrage.plurals import plural
from suffrage.population import AnswerDistribution, ValueSet
from suffrage.survey import Item, Option
from suffrage.training_data.average_answer import AverageAnswers, times_average

# The id of a question that no survey has.
OWN_QUESTION = "question"
# Sentences that a side writes where there are no answers to choose from, and their longest.
WRITTEN = 8
LONGEST_SENTENCE = 40


def item_in_words(question: str, options: Sequence[str], ordered: bool) -> Item:
    """Make an item of a question and the texts of its answers.

    Raises
    ------
    InputError
        The question is empty, or the options are too few, too many or not distinct.

    Examples
    --------
    >>> item_in_words("Is tea good?", ["Yes", "No"], ordered=False).texts
    ('Yes', 'No')
    """
    if not question.strip() or not 2 <= len(options) <= 26:
        raise InputError(
            f"ask: {plural(len(options), 'option')} for the question {question!r}; give a "
            "text and 2 to 26 answers to choose from."
        )
    if not all(text.strip() for text in options):
        raise InputError(f"ask: one of the options {list(options)} has no text.")
    if len({text.strip() for text in options}) < len(options):
        raise InputError(f"ask: two of the options {list(options)} have the same text.")
    coded = tuple(Option(code=str(place), text=text) for place, text in enumerate(options))
    return Item(id=OWN_QUESTION, question=question, options=coded, ordered=ordered)


@dataclass(frozen=True, eq=False)
class Side:
    """A model, and the population that it answers for."""

    # What people call it, such as "liberals".
    name: str
    answerer: Answerer
    # The population as the model's prompts name or describe it; None for the model as itself.
    persona: Persona | None = None
    # The name of the population's value set; empty where it has none.
    population: str = ""
    # What the population answered; None where no survey is at hand.
    value_set: ValueSet | None = None
    # The wording of each question that the model learnt from.
    learnt: frozenset[str] = frozenset()
    # The average answers that the model's own are multiplied by, of a training that began there.
    average: AverageAnswers | None = None
    # The orders and labels in which options are shown to the model.
    ways: Ways = "all"
    # A sentence about the population that users should know; empty for most.
    note: str = ""


@dataclass(frozen=True, eq=False)
class SideAnswer:
    """What one side answered to one question, and what its people said."""

    side: str
    question: str
    # The question with its options; None where there were none to choose from.
    item: Item | None
    # How the options were read; None where there were none.
    reading: ModelAnswer | None
    # Sentences that the side wrote, where there were no options.
    written: tuple[str, ...] = ()
    # What the side's people answered, where a survey asked them.
    survey: AnswerDistribution | None = None
    # The 95% intervals of the survey's shares, lower and upper ends; None without a survey.
    survey_interval: tuple[FloatArray, FloatArray] | None = None
    # Whether the model learnt from people's answers to this very question.
    trained_on: bool = False

    @property
    def shares(self) -> dict[str, float]:
        """The share of each answer by its text: of the options, or of the sentences written."""
        if self.item is None or self.reading is None:
            counts = Counter(self.written)
            return {text: count / len(self.written) for text, count in counts.most_common()}
        return dict(zip(self.item.texts, self.reading.shares.tolist(), strict=True))

    @property
    def survey_shares(self) -> dict[str, float] | None:
        """The share of the people who chose each option; None where they were not asked."""
        if self.item is None or self.survey is None:
            return None
        return dict(zip(self.item.texts, self.survey.shares.tolist(), strict=True))

    @property
    def refused(self) -> bool:
        """Whether too little probability was on the options for the shares to mean anything."""
        return self.reading is not None and self.reading.refused

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        reading, survey = self.reading, self.survey
        people = self.survey_shares
        low, high = self.survey_interval or (None, None)
        options = [
            {
                "text": text,
                "share": share,
                "survey_share": people[text] if people else None,
                "survey_low": float(low[k]) if low is not None else None,
                "survey_high": float(high[k]) if high is not None else None,
            }
            for k, (text, share) in enumerate(self.shares.items())
        ]
        return {
            "side": self.side,
            "question": self.question,
            "item": self.item.id if self.item and self.item.id != OWN_QUESTION else None,
            "answers": options,
            "read_as": "sentences" if reading is None else "options",
            "mass": reading.mass if reading else None,
            "order_sensitivity": reading.order_sensitivity if reading else None,
            "refused": self.refused,
            "trained_on": self.trained_on,
            "people_asked": survey.n if survey else None,
        }


def check_side_names(names: Sequence[str]) -> None:
    """Raise InputError where there are no sides, or two have one name."""
    if not names or len(set(names)) < len(names):
        raise InputError(
            f'both sides are "{names[0]}"; name another group or another checkpoint.'
            if names
            else "nobody to ask."
        )


class KnownQuestions:
    """The questions that surveys asked, by their ids.

    Parameters
    ----------
    items : sequence of Item
        Of several with one id the first counts.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self._items: dict[str, Item] = {}
        for item in items:
            self._items.setdefault(item.id, item)

    @property
    def items(self) -> list[Item]:
        """All questions."""
        return list(self._items.values())

    def find(self, question: str) -> Item | None:
        """The survey's question with this id or this wording; None where it asked no such one."""
        if question.strip() in self._items:
            return self._items[question.strip()]
        wanted = _plain(question)
        return next((i for i in self._items.values() if _plain(i.question) == wanted), None)

    def asked(self, question: str, options: Sequence[str], ordered: bool) -> Item | None:
        """Return the item to ask; None for a question that is answered in sentences.

        Raises InputError as `Interview.ask` does.
        """
        if not question.strip():
            raise InputError("there is no question; write one, or the id of a survey's question.")
        item = self.find(question)
        if item is None and not options and len(question.split()) == 1:
            raise InputError(self._no_such_id(question.strip()))
        if options and (item is None or tuple(options) != item.texts):
            return item_in_words(item.question if item else question, options, ordered)
        return item

    def _no_such_id(self, word: str) -> str:
        """What to say of a single word, to which a model would only write nonsense."""
        if not self._items:
            return (
                f'"{word}": no survey is known that could have a question of this id; name its '
                f"study ({written('study')}), or write a whole question."
            )
        return (
            f'"{word}": the survey has no question of this id; write a whole question, or one of '
            f"{len(self._items)} ids such as {next(iter(self._items))}."
            f"{did_you_mean(word, self._items)}"
        )


class Interview:
    """Sides that are asked the same questions.

    Parameters
    ----------
    sides : sequence of Side
        One or more, with different names.
    items : sequence of Item
        Questions that may be asked by their id, besides those that the sides' people answered.
    seed : int
        Of the sentences that are drawn where a question has no options.

    Raises
    ------
    InputError
        There are no sides, or two have one name.
    """

    def __init__(self, sides: Sequence[Side], items: Sequence[Item] = (), seed: int = 0) -> None:
        check_side_names([side.name for side in sides])
        self.sides = tuple(sides)
        self._seed = seed
        answered = [i for side in sides if side.value_set for i in side.value_set.items]
        self._questions = KnownQuestions([*answered, *items])

    @property
    def known_items(self) -> list[Item]:
        """The questions that the surveys of the sides asked."""
        return self._questions.items

    def find_item(self, question: str) -> Item | None:
        """The survey's question with this id or this wording; None where it asked no such one."""
        return self._questions.find(question)

    @takes(question=TEXT, options=several("a list of texts", TEXT), ordered=FLAG)
    def ask(
        self, question: str, options: Sequence[str] = (), ordered: bool = True
    ) -> list[SideAnswer]:
        """Ask every side one question.

        Parameters
        ----------
        question : str
            The text of a question, or the id or text of one that the survey asked.
        options : sequence of str
            The answers to choose from. Left out for a question of the survey; where there are none,
            each side writes sentences instead.
        ordered : bool
            Whether the options form a scale. A question of the survey says so itself.

        Returns
        -------
        list of SideAnswer
            One a side, in the order of `sides`.

        Raises
        ------
        InputError
            There is no question, a single word is the id of none, or the options are too few, too
            many or not distinct.
        """
        item = self._questions.asked(question, options, ordered)
        if item is None:
            return [self._written(side, question) for side in self.sides]
        return [self._chosen(side, item) for side in self.sides]

    def _chosen(self, side: Side, item: Item) -> SideAnswer:
        (reading,) = read_letters(
            side.answerer, [ItemProbe(item, side.persona, side.ways)], Scoring().lowest_mass
        )
        if side.average is not None:
            table = side.average.answer(side.population, len(item.options))
            reading = replace(reading, shares=times_average(reading.shares, table))
        said = side.value_set.distributions.get(item.id) if side.value_set else None
        interval = side.value_set.intervals(item.id) if side.value_set and said else None
        return SideAnswer(
            side=side.name,
            question=item.question,
            item=item,
            reading=reading,
            survey=said,
            survey_interval=interval,
            trained_on=_plain(item.question) in side.learnt,
        )

    def _written(self, side: Side, question: str) -> SideAnswer:
        # The wording asks for no options, so that those of the item do not matter.
        item = item_in_words(question, ("Yes", "No"), ordered=False)
        chat = [{"role": "user", "content": open_question(item, side.persona)}]
        (texts,) = side.answerer.write([chat], WRITTEN, LONGEST_SENTENCE, self._seed)
        said = tuple(" ".join(text.split()) or "(nothing)" for text in texts)
        return SideAnswer(side.name, question, None, None, said)


def learnt_wordings(questions: Sequence[str]) -> frozenset[str]:
    """The wordings of `Side.learnt`, from the questions that a checkpoint lists."""
    return frozenset(_plain(question) for question in questions)


def _plain(question: str) -> str:
    return " ".join(question.split()).casefold().rstrip(".?! ")
