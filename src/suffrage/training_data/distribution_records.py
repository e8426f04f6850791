"""Distribution records: the whole answer distribution of a population, one item a record.

What they teach: shares, so that an item costs one visit however many people answered it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
import polars as pl

from suffrage.errors import SuffrageError
from suffrage.models import Question, label_sets, option_orders
from suffrage.models.asking import Persona
from suffrage.population import ValueSet
from suffrage.survey import Item
from suffrage.training_data.answers_in_context import RecordPersonas
from suffrage.training_data.average_answer import AverageAnswers, TrainedAnswers
from suffrage.training_data.records import (
    Format,
    RecordBuilder,
    RecordRow,
    Records,
    RecordSettings,
    StepShape,
    origin,
    question_and_answers,
    random_question,
    row_start,
    trained_items,
    training_pairs,
)
from suffrage.training_data.split import ItemSplit, held_back, source_of
from suffrage.training_data.teacher import Teacher, fit_teacher

# Where a manifest has the table of average answers.
AVERAGE = "average"


def build_distributions(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """Records of the trained items' answer distributions, in the order of training.

    Without `settings.step` there are `count` records in random order: at each visit one label set,
    both ways round. The two ways of a visit are next to each other, so that a step sees an item
    with its options in one order and in the opposite one: what then lowers the loss is what the
    options say, not where they are. They share the text up to the options, which packed rows
    compute once. In the written format a visit is one record.

    With `settings.step` there are as many steps as `count` could fill, see `_rows_by_question`.
    Records of questions that are held back come last.

    With `settings.teacher` targets are mixed with its predictions, in steps of whole questions.

    With `settings.average` a record has the population's average answer to the other questions
    trained on. What is held back is in no average, and `made_from` has the whole table of them.
    """
    made_from = origin(value_sets, split, settings)
    asked: list[RecordRow] = []
    back: frozenset[str] = frozenset()
    if settings.validation is not None:
        items = trained_items(value_sets, split)
        share, before = settings.validation.share, split.trained_before
        chosen = settings.validation.items
        back = chosen or held_back(list(items.values()), share, generator, before)
    personas = RecordPersonas(
        value_sets, split, back, settings.in_context, settings.seed, generator
    )
    if settings.validation is not None:
        asked = validation_rows(value_sets, back, generator, settings, personas)
        split = replace(split, train=tuple(i for i in split.train if i not in back))
        made_from["validation"] = sorted(back)
    if settings.step is None:
        rows = _rows_by_pair(value_sets, split, count, generator, settings, personas)
    else:
        steps = max(1, count // settings.step.records)
        teacher = None
        if settings.teacher:
            teacher = fit_teacher(value_sets, split, settings.seed)
            made_from["teacher"] = {"settings": asdict(teacher.settings), "fit": teacher.fit}
        rows = _rows_by_question(value_sets, split, steps, generator, settings, personas, teacher)
    if asked:
        rows = [{**row, "validation": False} for row in rows] + [
            {**row, "validation": True} for row in asked
        ]
    if settings.average:
        averages = {v.name: TrainedAnswers(v, split) for v in value_sets}
        for row in rows:
            known = averages[row["value_set"]]
            row["average"] = known.average_without(row["item"], len(row["target"])).tolist()
        made_from[AVERAGE] = AverageAnswers.of(value_sets, split).content()
    rows = [{**row, "id": f"{place:06d}"} for place, row in enumerate(rows)]
    return Records("distribution", pl.DataFrame(rows, infer_schema_length=None), made_from)


def _row(
    value_set: ValueSet, item: str, asked: tuple[str, Sequence[str]], format: Format
) -> RecordRow:
    """A record: what is asked, and the answers in the item's own order with their shares."""
    distribution = value_set.distributions[item]
    user, answers = asked
    return {
        **row_start(0, value_set.name, item, user, format),
        "answers": list(answers),
        "target": distribution.shares.tolist(),
        "ordered": distribution.item.ordered,
    }


def _rows_by_pair(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
    personas: RecordPersonas,
) -> list[RecordRow]:
    """Every pair of a value set and an item in random order, then again."""
    rows: list[RecordRow] = []
    format, ways = settings.format, settings.ways
    once = format == "written" or ways == "questionnaire"
    visits = count if once else -(-count // 2)
    for value_set, item_id in training_pairs(value_sets, split, visits, generator):
        item, persona = value_set.distributions[item_id].item, personas.drawn(value_set, item_id)
        if format == "written":
            shown = [question_and_answers(item, persona, format, generator)]
        elif once:
            question = random_question(item, persona, generator, ways)
            shown = [(question.user_text, question.label_of_position)]
        else:
            question = random_question(item, persona, generator)
            turned = replace(question, order=question.order[::-1])
            shown = [(q.user_text, q.label_of_position) for q in (question, turned)]
        rows += [_row(value_set, item_id, asked, format) for asked in shown]
    return rows[:count]


def _rows_by_question(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    steps: int,
    generator: np.random.Generator,
    settings: RecordSettings,
    personas: RecordPersonas,
    teacher: Teacher | None = None,
) -> list[RecordRow]:
    """Steps of whole questions, each question once in random order, then every one again.

    A question is asked for up to `populations` of those that answered it, drawn again at each
    visit, all in the same order of options and with the same labels. Its records then differ in
    nothing but the population's name, which comes last, so that packed rows compute the question
    once. A description comes first, and only the orders of options share it.
    Every question weighs the same, however many populations answered it.
    """
    shape = settings.step
    assert shape is not None
    items = list(trained_items(value_sets, split))
    if not items:
        raise SuffrageError("no value set has an answer to any item that is trained on.")
    answered = {item: [v for v in value_sets if item in v.distributions] for item in items}
    unasked = _Unasked(value_sets, shape.unasked)
    rows: list[RecordRow] = []
    for visit, (item, asked_for) in enumerate(
        _visits(answered, steps * shape.questions, shape, generator)
    ):
        step, question = divmod(visit, shape.questions)
        asked_for = [*asked_for, *unasked.drawn(item, answered[item], generator)]
        asked_as = {v.name: personas.drawn(v, item) for v in asked_for}
        ways = _ways(asked_for[0].distributions[item].item, shape, generator, settings)
        apart = _apart(asked_for, item, teacher)
        for number, way in enumerate(ways):
            rows += [
                {
                    **_taught(v, way, asked_as[v.name], settings, teacher),
                    **apart.get(v.name, {}),
                    "step": step,
                    "way": question * shape.orders + number,
                    "populations": len(asked_for),
                    "weight": 1 / len(asked_for),
                }
                for v in asked_for
            ]
    return rows


def _apart(
    asked_for: Sequence[ValueSet], item: str, teacher: Teacher | None
) -> dict[str, dict[str, list[float]]]:
    """The shares from which a visit teaches how its populations differ, by value set.

    They are what people answered. A population that was not asked is as far from the mean of the
    others as it is predicted to be. Without a teacher the targets are these shares already.
    """
    if teacher is None:
        return {}
    known = {v.name: v.distributions[item].shares for v in asked_for if item in v.distributions}
    predicted = {v.name: teacher.prediction(v.name, item) for v in asked_for}
    shift = np.mean([known[name] - predicted[name] for name in known], axis=0)
    return {
        name: {"apart": known.get(name, shares + shift).tolist()}
        for name, shares in predicted.items()
    }


def _taught(
    value_set: ValueSet,
    way: _Way,
    persona: Persona,
    settings: RecordSettings,
    teacher: Teacher | None,
) -> RecordRow:
    """A record of a population that was asked, or of one whose answer is only predicted."""
    item, asked, weight = way.item, way.asked(persona), settings.teacher
    if teacher is None:
        return _row(value_set, item.id, asked, settings.format)
    predicted = teacher.prediction(value_set.name, item.id)
    known = value_set.distributions.get(item.id)
    target = predicted if known is None else weight * predicted + (1 - weight) * known.shares
    user, answers = asked
    return {
        **row_start(0, value_set.name, item.id, user, settings.format),
        "answers": list(answers),
        "target": target.tolist(),
        "people": None if known is None else known.shares.tolist(),
        "ordered": item.ordered,
    }


class _Unasked:
    """Populations that were asked something of an item's source, but not the item."""

    def __init__(self, value_sets: Sequence[ValueSet], count: int) -> None:
        self._value_sets, self._count = value_sets, count
        self._sources = [{source_of(item) for item in v.distributions} for v in value_sets]

    def drawn(
        self, item: str, asked: Sequence[ValueSet], generator: np.random.Generator
    ) -> list[ValueSet]:
        """As many as are wanted, or all there are, in the value sets' order."""
        if not self._count:
            return []
        known, source = {v.name for v in asked}, source_of(item)
        among = [
            value_set
            for value_set, sources in zip(self._value_sets, self._sources, strict=True)
            if source in sources and value_set.name not in known
        ]
        drawn = generator.permutation(len(among))[: self._count]
        return [among[index] for index in sorted(drawn)]


def _visits(
    answered: Mapping[str, Sequence[ValueSet]],
    count: int,
    shape: StepShape,
    generator: np.random.Generator,
) -> Iterator[tuple[str, list[ValueSet]]]:
    """`count` visits to a question, each with the value sets that it is asked for."""
    done = 0
    while True:
        visits: list[tuple[str, list[ValueSet]]] = []
        for item, among in answered.items():
            order = generator.permutation(len(among))
            size = shape.visits(len(among))
            # Visits to one question are about as large as each other.
            for part in np.array_split(order, size):
                drawn = sorted(part[: shape.populations])
                visits.append((item, [among[index] for index in drawn]))
        for index in generator.permutation(len(visits)):
            yield visits[index]
            done += 1
            if done == count:
                return


class _Way:
    """One way of asking an item, for any population."""

    def __init__(self, item: Item, question: Question | None, style: int) -> None:
        self.item, self._question, self._style = item, question, style

    def asked(self, persona: Persona) -> tuple[str, Sequence[str]]:
        """What a population is asked, and each option's answer."""
        if self._question is None:
            fixed = np.random.default_rng(self._style)
            return question_and_answers(self.item, persona, "written", fixed)
        question = replace(self._question, persona=persona)
        return question.user_text, question.label_of_position


def _ways(
    item: Item, shape: StepShape, generator: np.random.Generator, settings: RecordSettings
) -> Iterator[_Way]:
    """The ways in which a visit asks a question: a random one, and the opposite order."""
    if settings.format == "written":
        for _ in range(shape.orders):
            yield _Way(item, None, int(generator.integers(2**31)))
        return
    question = random_question(item, None, generator, settings.ways)
    yield _Way(item, question, 0)
    if shape.orders > 1:
        yield _Way(item, replace(question, order=question.order[::-1]), 0)


def validation_rows(
    value_sets: Sequence[ValueSet],
    items: frozenset[str],
    generator: np.random.Generator,
    settings: RecordSettings,
    personas: RecordPersonas,
) -> list[RecordRow]:
    """A fixed sample of the cells that are held back, each asked in one fixed way.

    Questions take turns in the labels, and in the order of their options.
    """
    wanted = settings.validation
    assert wanted is not None
    rows: list[RecordRow] = []
    names = sorted(items)
    for number, index in enumerate(generator.permutation(len(names))):
        item = names[index]
        among = [v for v in value_sets if item in v.distributions]
        drawn = sorted(generator.permutation(len(among))[: wanted.populations])
        if len(rows) + len(drawn) > wanted.cells and rows:
            break
        turn = 0 if settings.ways == "questionnaire" else number
        way = _fixed_way(among[0].distributions[item].item, turn, settings.format)
        rows += [
            _row(among[k], item, way.asked(personas.fixed(among[k])), settings.format)
            for k in drawn
        ]
    return rows


def _fixed_way(item: Item, number: int, format: Format) -> _Way:
    if format == "written":
        return _Way(item, None, number)
    orders, labels = option_orders(item), label_sets(len(item.options))
    order = orders[number // 2 % len(orders)]
    return _Way(item, Question(item, None, order, labels[number % 2]), 0)


BUILDER = RecordBuilder("distribution", build_distributions)
