"""`Records`: training examples as a table anyone can read, and the check that none leaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from suffrage import registry, storage
from suffrage.arguments import PATH, takes
from suffrage.arrays import IntArray
from suffrage.errors import SuffrageError
from suffrage.models import (
    SENTENCES,
    Question,
    Ways,
    label_sets,
    open_question,
    option_orders,
    sentences,
    ways_of_asking,
)
from suffrage.models.asking import Persona
from suffrage.population import ValueSet
from suffrage.survey import Item
from suffrage.text_overlap import ContainedTexts, only_words
from suffrage.training_data.answers_in_context import InContextSettings
from suffrage.training_data.constitution import ConstitutionSettings
from suffrage.training_data.consultation_source import ConsultationSource
from suffrage.training_data.split import ItemSplit

Format = Literal["option", "written"]
Labels = Literal["shares", "drawn", "majority"]
# One record, by column: what `Records.frame.to_dicts()` gives.
RecordRow = dict[str, Any]
# The file next to a stage's records that says what they were made from.
MANIFEST = "records.json"
# Where records come from: the survey's value sets, or what a consultation collected.
Source = Literal["survey", "comparisons", "reactions", "votes", "combined"]
# What a consultation says of its own, where one training learns from several kinds of it.
Signal = Literal["votes", "comparisons", "reactions"]


@dataclass(frozen=True)
class StepShape:
    """What one step of a training holds where steps are made of whole questions."""

    # Questions a step.
    questions: int
    # Most populations that a question is asked for in one step.
    populations: int
    # Ways round in which a question's options are shown in one step, 1 or 2.
    orders: int = 1
    # Whether a question is visited for all who answered it, in so many steps as that takes, before
    # any is visited again. Otherwise each question is visited once.
    all_populations: bool = False
    # Populations that a visit adds to those that were asked its question, where a teacher predicts
    # their answers.
    unasked: int = 0

    @property
    def records(self) -> int:
        """Most records a step."""
        return self.questions * (self.populations + self.unasked) * self.orders

    def visits(self, asked: int) -> int:
        """How many visits a question that so many populations answered takes in one round."""
        return -(-asked // self.populations) if self.all_populations else 1


@dataclass(frozen=True)
class ValidationSample:
    """What is held back from a training to be asked while it goes on."""

    # Of the questions that could be trained on, 0 to 1.
    share: float
    # Most cells that are asked, each a question for a population.
    cells: int = 240
    # Most populations that a question is asked for.
    populations: int = 3
    # The questions themselves, where they are chosen already.
    items: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RecordSettings:
    """What a method wants of its records."""

    # "option": choose a labelled option. "written": say it in a sentence, without seeing the
    # options.
    format: Format = "option"
    # Of preference and binary records. "shares": the population's fractions. "drawn": one person's
    # answer, drawn by them. "majority": what most say.
    labels: Labels = "shares"
    # Of distribution records: the orders and labels in which options are shown.
    ways: Ways = "all"
    # Of distribution records: steps of whole questions; None for records in random order.
    step: StepShape | None = None
    # Of distribution records: questions held back; None to train on all.
    validation: ValidationSample | None = None
    # Of distribution records: whether each has the population's average answer to the others.
    average: bool = False
    # Of distribution records: the part of a target that a teacher predicts from other questions'
    # answers, 0 to 1.
    teacher: float = 0.0
    # Of distribution records and demonstrations: populations are described by answers of their own;
    # None to name them.
    in_context: InContextSettings | None = None
    # Of what is drawn once for all records.
    seed: int = 0
    # Other wordings of items, by id.
    paraphrases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # Of prompt records: how principles are found.
    constitution: ConstitutionSettings | None = None
    # Where relative paths start.
    folder: Path = Path()
    # Of combined records: the weight of each signal.
    signals: Mapping[Signal, float] = field(default_factory=dict)
    # Whether one training learns from all value sets together.
    together: bool = True
    # What may be trained on of a consultation, where the study has one.
    consultation: ConsultationSource | None = None


@dataclass(frozen=True, eq=False)
class Records:
    """Training examples of one kind, one a row.

    Every kind has the columns `id`, `value_set`, `item`, `user` (the question, and as whom to
    answer it) and `format`. The others depend on the kind:

    - demonstration, augmented_demonstration: `completion`, an answer.
    - distribution: `answers` (one an option, in the item's own order), `target` (the population's
      share of each) and `ordered`. In steps of whole questions also `step`, `way` (which question
      of the step, asked which way round), `populations` (how many the step asks that way) and
      `weight` (1 / populations). Where questions are held back, `validation` marks the records
      that are never trained on. Where a training starts from the average answer, `average` is the
      population's to the other questions trained on, in the item's own order. With a teacher,
      `target` has its part in it, and `people` is the population's own share of each answer, null
      for a population that was not asked.
    - preference: `chosen`, `rejected`, `share` (of those who answer one of the two, how many give
      the chosen one, 0 to 1), `weight`, and `completion`, an answer drawn from all.
    - binary: `answer`, `desirable` (0 to 1), `weight`, and `answers`, all that could have been
      given.
    - combined: `signal` (votes, comparisons or reactions), and that signal's own columns.
    - prompt: `principles` and `judged_by` (each with `id` and `text`).
    - critique: `draft`, `critiques`, `revisions`, `principles`, `outcome`, and `completion`, the
      last revision.
    - ai_preference: like preference, with a judge's probability as `share`, and the `principle`
      that it judged by.
    """

    kind: str
    frame: pl.DataFrame
    # Hashes of the value sets and the split, and the settings.
    made_from: Mapping[str, Any]

    def __len__(self) -> int:
        return self.frame.height

    @property
    def content_hash(self) -> str:
        """A hash that changes with any record."""
        return storage.content_hash([self.kind, self.frame.to_dicts()])

    @property
    def texts(self) -> frozenset[str]:
        """Every text in any record, each once."""
        return frozenset(text for row in self.frame.to_dicts() for text in _texts(row))

    def as_json_lines(self) -> str:
        """The records as JSON, one a line."""
        lines = (json.dumps(row, ensure_ascii=False) for row in self.frame.to_dicts())
        return "\n".join(lines) + "\n"

    @takes(folder=PATH)
    def write(self, folder: str | Path) -> None:
        """Write `records.jsonl` and `records.json`, all or nothing."""

        def fill(draft: Path) -> None:
            (draft / "records.jsonl").write_text(self.as_json_lines(), encoding="utf-8")
            manifest = {
                "kind": self.kind,
                "count": len(self),
                "content_hash": self.content_hash,
                "made_from": dict(self.made_from),
            }
            storage.write_json(draft / MANIFEST, manifest)

        storage.write_folder(Path(folder), fill)

    @classmethod
    @takes(folder=PATH)
    def read(cls, folder: str | Path) -> Records:
        """Read back what `write` wrote."""
        folder = Path(folder)
        manifest = storage.read_json(folder / MANIFEST)
        text = (folder / "records.jsonl").read_text(encoding="utf-8")
        rows = [json.loads(line) for _, line in storage.json_lines(text)]
        # What is mixed in, or held back, has columns that the first records do not have.
        frame = pl.DataFrame(rows, infer_schema_length=None)
        return cls(manifest["kind"], frame, manifest["made_from"])


def held_back_in(folder: Path) -> frozenset[str]:
    """The ids of the items that written records hold back for validation."""
    made_from = storage.read_json(folder / "records.json")["made_from"]
    return frozenset(made_from.get("validation", ()))


@dataclass(frozen=True)
class RecordBuilder:
    """A record builder: value sets and the split in, records out.

    A method learns from one kind of record, from any source that has it.
    """

    kind: str
    # Takes value sets, split, count, generator and settings, and makes `count` records from trained
    # items only.
    build: Callable[
        [Sequence[ValueSet], ItemSplit, int, np.random.Generator, RecordSettings], Records
    ]
    # Where the records come from.
    source: Source = "survey"


def record_builder(kind: str | None, source: Source) -> RecordBuilder:
    """The builder of one kind of records from one source.

    Raises SuffrageError when no installed package registers such a builder.
    """
    for name in registry.names("record_builders"):
        builder: RecordBuilder = registry.load("record_builders", name)
        if (builder.kind, builder.source) == (kind, source):
            return builder
    raise SuffrageError(f"no installed package makes {kind} records from {source}.")


def trained_items(value_sets: Sequence[ValueSet], split: ItemSplit) -> dict[str, Item]:
    """The items trained on that some value set has answers to, by id, in the split's order."""
    known = {i: d.item for v in value_sets for i, d in v.distributions.items()}
    return {i: known[i] for i in split.train if i in known}


def training_pairs(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
) -> list[tuple[ValueSet, str]]:
    """`count` pairs of a value set and a trained item: every pair once in random order, then again.

    Raises
    ------
    SuffrageError
        No value set has an answer to a trained item.
    """
    pairs = [
        (value_set, item_id)
        for value_set in value_sets
        for item_id in value_set.distributions
        if split.trains_on(item_id)
    ]
    if not pairs:
        raise SuffrageError("no value set has an answer to any item that is trained on.")
    return [pairs[index] for index in in_random_rounds(len(pairs), count, generator)]


def in_random_rounds(size: int, count: int, generator: np.random.Generator) -> IntArray:
    """`count` positions below `size`: every one once in random order, then every one again.

    Examples
    --------
    >>> drawn = in_random_rounds(3, 7, np.random.default_rng(1))
    >>> sorted(drawn[:3].tolist()), sorted(drawn[3:6].tolist()), len(drawn)
    ([0, 1, 2], [0, 1, 2], 7)
    """
    rounds = -(-count // size)
    order = np.concatenate([generator.permutation(size) for _ in range(rounds)])[:count]
    return np.asarray(order, dtype=np.int64)


def random_question(
    item: Item, persona: Persona | None, generator: np.random.Generator, ways: Ways = "all"
) -> Question:
    """One way of asking, drawn at random: a label set, and an order of the options.

    A scale is shown forwards or backwards; nominal options in any order. With "questionnaire" there
    is nothing to draw.
    """
    if ways == "questionnaire":
        return ways_of_asking(item, persona, ways)[0]
    sets = label_sets(len(item.options))
    labels = sets[generator.integers(len(sets))]
    if item.ordered:
        orders = option_orders(item)
        order = orders[generator.integers(len(orders))]
    else:
        order = tuple(int(i) for i in generator.permutation(len(item.options)))
    return Question(item, persona, order, labels)


def question_and_answers(
    item: Item, persona: Persona, format: Format, generator: np.random.Generator
) -> tuple[str, tuple[str, ...]]:
    """A question about an item, drawn at random, and what each option answers to it.

    Parameters
    ----------
    item : Item
    persona : str or DescribedPersona
        The population that is to answer.
    format : str
        "option" shows the options with labels, and the answers are the labels. "written" shows no
        options, and the answers are sentences.
    generator : Generator

    Returns
    -------
    str
        The question.
    tuple of str
        One answer an option, in the item's own order.
    """
    if format == "written":
        style = int(generator.integers(len(SENTENCES)))
        return open_question(item, persona), sentences(item, style)
    question = random_question(item, persona, generator)
    return question.user_text, question.label_of_position


def row_start(place: int, value_set: str, item: str, user: str, format: str) -> dict[str, Any]:
    """The columns that every record has. `place` is its number, from 0."""
    return {
        "id": f"{place:06d}",
        "value_set": value_set,
        "item": item,
        "user": user,
        "format": format,
    }


def origin(
    value_sets: Sequence[ValueSet], split: ItemSplit, settings: RecordSettings
) -> dict[str, Any]:
    """What records were made from, for their manifest."""
    return {
        "value_sets": {v.name: v.content_hash for v in value_sets},
        "split": split.content_hash,
        "format": settings.format,
        "labels": settings.labels,
        "paraphrases": sum(len(wordings) for wordings in settings.paraphrases.values()),
        **({"in_context": settings.in_context.model_dump()} if settings.in_context else {}),
    }


def check_nothing_held_out(records: Records, items: Sequence[Item], split: ItemSplit) -> None:
    """Stop when a record names a held-out item or has the text of its question, in any column.

    Raises
    ------
    SuffrageError
        With the record and the item.
    """
    sides = frozenset(split.never_trained)
    held_out = ContainedTexts(
        {item.id: only_words(item.question) for item in items if item.id in sides}
    )
    texts = {text: row["id"] for row in records.frame.to_dicts() for text in _texts(row)}
    for text, record_id in texts.items():
        item_id = next(held_out.within(only_words(text)), None)
        if item_id is not None:
            raise SuffrageError(
                f"record {record_id} holds the text of {item_id}, which is held out; "
                "the build stops here so that no result rests on it."
            )
    leaked = set(records.frame["item"].unique()) & sides
    if leaked:
        raise SuffrageError(f"records were built from {min(leaked)}, which is held out.")


def _texts(value: Any) -> Iterator[str]:
    """Every text within a record."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, Sequence):
        for part in value:
            yield from _texts(part)
