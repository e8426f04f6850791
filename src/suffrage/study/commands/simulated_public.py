"""A consultation among a survey's own respondents, so that the whole loop runs without a public.

Each participant is a real respondent, and what they say follows from what they answered, so that a
figure can be compared with the values that made it. This shows that the path works, and never what
a public would say: real people know more than 18 answers, and answer in words of their own.
`consult/made_up_public.py` makes up the people as well, with opinion groups that are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.consult.consultation import SCHEMAS, Consultation, write_consultation
from suffrage.consult.survey_links import COLUMNS
from suffrage.errors import InputError
from suffrage.models.asking import SENTENCES
from suffrage.survey import Item, Survey
from suffrage.survey.survey import RESPONDENT

TRUTH = "truth.parquet"
LINKS = "links.csv"
# What is asked of people about themselves has few values; the rest would single them out.
MOST_VALUES = 12


@dataclass(frozen=True)
class SimulatedPublicSettings:
    """Who takes part, what they are asked, and how exactly they say what they hold."""

    participants: int = 300
    # How many each participant is asked.
    statements: int = 40
    comparisons: int = 10
    reactions: int = 10
    # Of choices, in units of utility (1 from one end of a scale to the other).
    temperature: float = 0.2
    # The share of votes and reactions given at random.
    slips: float = 0.05
    # The log odds that the left side gains by its place.
    left: float = 0.1
    # The shares who consent to the publication of their texts, and to training.
    texts: float = 0.9
    training: float = 0.95


@dataclass(frozen=True)
class _OptionStatement:
    """A statement that calls one option the right answer to an item, or a wrong one."""

    item: Item
    option: int
    right: bool

    @property
    def id(self) -> str:
        return f"{self.item.id}.{self.option + 1}" + ("" if self.right else "-not")

    @property
    def text(self) -> str:
        kind = "the right" if self.right else "a wrong"
        return f'"{self.item.options[self.option].text}" is {kind} answer to "{self.item.question}"'


def utility(item: Item, answered: int, option: int) -> float:
    """How near an answer is to a respondent's own, -1 to 0.

    On a scale it is minus the distance in parts of the whole scale. Of nominal options it is 0 for
    their own and -1 for any other.
    """
    if item.ordered:
        return -abs(answered - option) / (len(item.options) - 1)
    return 0.0 if answered == option else -1.0


def simulated_public(
    survey: Survey, settings: SimulatedPublicSettings, seed: int
) -> tuple[Consultation, pl.DataFrame]:
    """A consultation among respondents drawn by their weights, and who is who.

    A statement calls one option the right answer to an item, or a wrong one. Those who hold the
    option agree to the one and disagree to the other, everyone else the reverse, and who gave no
    answer passes. A prompt is an item, an answer says one option. Of two answers, with utilities u
    and v, the first is chosen with probability sigma((u - v) / temperature). Where u = v, both are
    bad if neither is the respondent's own, else they are a tie. Those who hold an answer like it.

    Parameters
    ----------
    survey : Survey
    settings : SimulatedPublicSettings
    seed : int
        The seed of who takes part, what they are asked and how they slip.

    Returns
    -------
    Consultation
    DataFrame
        A row for each participant: the id and the survey's respondent.

    Raises
    ------
    InputError
        The survey has too few respondents.
    """
    items = survey.codebook.items
    generator = np.random.default_rng([seed, 21])
    rows = _drawn_rows(survey, settings.participants, generator)
    frame = survey.responses[rows]
    people = [f"{n:012x}" for n in generator.choice(2**48, len(rows), replace=False)]
    styles = {item.id: int(generator.integers(len(SENTENCES))) for item in items}
    asking = _Asking(settings, generator, items, frame)
    for at, person in enumerate(people):
        asking.ask(at, person)
    found = Consultation(
        slug="simulated-public",
        title=f"A simulated consultation among respondents of the {survey.codebook.title}",
        question="What should be so?",
        languages=("en",),
        created="",
        statements=_statements(asking.statements),
        participants=_participants(people, settings, generator),
        demographics=_demographics(survey, frame, people),
        votes=pl.DataFrame(asking.votes, schema=dict(SCHEMAS["votes"])),
        prompts=_prompts(items),
        answers=_answers(items, styles),
        comparisons=pl.DataFrame(asking.comparisons, schema=dict(SCHEMAS["comparisons"])),
        reactions=pl.DataFrame(asking.reactions, schema=dict(SCHEMAS["reactions"])),
    )
    return found, pl.DataFrame({"participant": people, RESPONDENT: frame[RESPONDENT]})


class _Asking:
    """Puts statements, pairs and answers to one participant after the other.

    frame: the participants' own rows of the survey, in their order.
    """

    def __init__(
        self,
        settings: SimulatedPublicSettings,
        generator: np.random.Generator,
        items: Sequence[Item],
        frame: pl.DataFrame,
    ) -> None:
        self.settings, self.generator, self.items = settings, generator, items
        self.statements = [
            _OptionStatement(item, option, right)
            for item in items
            for option in range(len(item.options))
            for right in (True, False)
        ]
        self._held = {item.id: frame[item.id].to_numpy() for item in items}
        self.votes: list[dict[str, object]] = []
        self.comparisons: list[dict[str, object]] = []
        self.reactions: list[dict[str, object]] = []

    def ask(self, at: int, person: str) -> None:
        """Everything that one participant is asked. at: their place in the frame."""
        self._vote(at, person)
        answered = [item for item in self.items if self._held[item.id][at] >= 0]
        self._compare(at, person, answered)
        self._react(at, person, answered)

    def _vote(self, at: int, person: str) -> None:
        count = len(self.statements)
        drawn = self.generator.permutation(count)[: self.settings.statements]
        for order, which in enumerate(drawn):
            statement = self.statements[which]
            own = int(self._held[statement.item.id][at])
            vote = 0 if own < 0 else 1 if (own == statement.option) == statement.right else -1
            if self.generator.random() < self.settings.slips:
                vote = int(self.generator.integers(-1, 2))
            self.votes.append(
                {
                    "participant": person,
                    "statement": statement.id,
                    "vote": vote,
                    "important": False,
                    "order": order,
                    "probability": 1 / (count - order),
                }
            )

    def _compare(self, at: int, person: str, answered: Sequence[Item]) -> None:
        generator = self.generator
        for order in range(self.settings.comparisons):
            item = answered[int(generator.integers(len(answered)))]
            left, right = (int(x) for x in generator.permutation(len(item.options))[:2])
            own = int(self._held[item.id][at])
            self.comparisons.append(
                {
                    "participant": person,
                    "prompt": item.id,
                    "left": _answer_id(item, left),
                    "right": _answer_id(item, right),
                    "outcome": _outcome(item, own, left, right, self.settings, generator),
                    "confidence": None,
                    "reasons": "",
                    "core": False,
                    "check": None,
                    "probability": None,
                    "order": self.settings.statements + order,
                }
            )

    def _react(self, at: int, person: str, answered: Sequence[Item]) -> None:
        answers = [(item, option) for item in answered for option in range(len(item.options))]
        drawn = self.generator.permutation(len(answers))[: self.settings.reactions]
        for order, which in enumerate(drawn):
            item, option = answers[which]
            liked = int(self._held[item.id][at]) == option
            if self.generator.random() < self.settings.slips:
                liked = bool(self.generator.integers(2))
            self.reactions.append(
                {
                    "participant": person,
                    "answer": _answer_id(item, option),
                    "value": 1 if liked else -1,
                    "reasons": "",
                    "order": self.settings.statements + self.settings.comparisons + order,
                }
            )


def _statements(statements: Sequence[_OptionStatement]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "statement": statement.id,
                "text": statement.text,
                "language": "en",
                "seed": True,
                "state": "accepted",
                "author": None,
                "order": order,
                "meta": False,
            }
            for order, statement in enumerate(statements)
        ],
        schema=dict(SCHEMAS["statements"]),
    )


def _participants(
    people: Sequence[str], settings: SimulatedPublicSettings, generator: np.random.Generator
) -> pl.DataFrame:
    count = len(people)
    return pl.DataFrame({"participant": people}).with_columns(
        verified=pl.lit(True),
        language=pl.lit("en"),
        excluded=pl.lit(False),
        exclusion_reason=pl.lit(None, pl.String),
        consent_votes=pl.lit(True),
        consent_texts=pl.Series(generator.random(count) < settings.texts),
        consent_training=pl.Series(generator.random(count) < settings.training),
        weight=pl.lit(None, pl.Float64),
    )


def _prompts(items: Sequence[Item]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "prompt": item.id,
                "text": f"{item.question}\n\nSay in one sentence.",
                "language": "en",
                "topic": item.topic,
            }
            for item in items
        ],
        schema=dict(SCHEMAS["prompts"]),
    )


def _answers(items: Sequence[Item], styles: Mapping[str, int]) -> pl.DataFrame:
    """Every option of every item as a sentence. styles: which of the sentences, by item."""
    return pl.DataFrame(
        [
            {
                "answer": _answer_id(item, option),
                "prompt": item.id,
                "text": SENTENCES[styles[item.id]].format(item.options[option].text),
                "model": "written for the simulation",
                "language": "en",
            }
            for item in items
            for option in range(len(item.options))
        ],
        schema=dict(SCHEMAS["answers"]),
    )


def links_of(items: Sequence[Item]) -> pl.DataFrame:
    """Which statement says what an item asks: agreeing is choosing one of these options."""
    rows = []
    for item in items:
        codes = [option.code for option in item.options]
        for option, code in enumerate(codes):
            others = [other for other in codes if other != code]
            rows.append((_OptionStatement(item, option, True).id, item.id, code))
            rows.append((_OptionStatement(item, option, False).id, item.id, "|".join(others)))
    return pl.DataFrame(rows, schema=list(COLUMNS), orient="row")


def write_public(
    consultation: Consultation, truth: pl.DataFrame, items: Sequence[Item], folder: Path
) -> tuple[Path, Path]:
    """Write the consultation into a folder; next to it who is who, and the links to the items."""
    write_consultation(consultation, folder)
    nearby = folder.parent / f"{folder.name}-{TRUTH}"
    with storage.atomic_path(nearby) as draft:
        truth.write_parquet(draft)
    links = folder.parent / f"{folder.name}-{LINKS}"
    storage.write_text(links, links_of(items).write_csv())
    return nearby, links


def _drawn_rows(survey: Survey, count: int, generator: np.random.Generator) -> np.ndarray:
    """Rows of `count` respondents, drawn by weight, who answered at least half of the items."""
    items = survey.codebook.items
    by_id = survey.rows_by_id
    answered = np.sum([survey.positions(item.id)[by_id] >= 0 for item in items], axis=0)
    able = by_id[(answered >= max(len(items) / 2, 1)) & (survey.weights[by_id] > 0)]
    if able.size < count:
        raise InputError(
            f"participants is {count}; only {able.size} respondents answered half of the items."
        )
    weights = survey.weights[able]
    return np.asarray(generator.choice(able, count, replace=False, p=weights / weights.sum()))


def _demographics(survey: Survey, frame: pl.DataFrame, people: list[str]) -> pl.DataFrame:
    parts = [pl.DataFrame(schema=dict(SCHEMAS["demographics"]))]
    for item in survey.codebook.demographics:
        if 1 < survey.responses[item].n_unique() <= MOST_VALUES:
            parts.append(
                pl.DataFrame(
                    {"participant": people, "item": item, "value": frame[item]}
                ).drop_nulls()
            )
    return pl.concat(parts)


def _outcome(
    item: Item,
    own: int,
    left: int,
    right: int,
    settings: SimulatedPublicSettings,
    generator: np.random.Generator,
) -> str:
    u, v = utility(item, own, left), utility(item, own, right)
    if u == v:
        return "both_bad" if u < 0 else "tie"
    odds = (u - v) / settings.temperature + settings.left
    # sigma(x) = (1 + tanh(x / 2)) / 2, which never overflows.
    return "left" if generator.random() < (1 + np.tanh(odds / 2)) / 2 else "right"


def _answer_id(item: Item, option: int) -> str:
    return f"{item.id}-{option + 1}"
