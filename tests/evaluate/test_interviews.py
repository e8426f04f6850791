"""Interviews: the same question to every side, in the survey's words where it asked it."""

from collections.abc import Sequence

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.evaluate.asking.interviews import Interview, Side, learnt_wordings
from suffrage.models import LabelChoice
from suffrage.population import ValueSet, build_value_set
from suffrage.report.terminal_pages.interviews import interview_notes, people_share
from suffrage.training_data.average_answer import AverageAnswers
from tests.synthetic import make_survey


class Leaning:
    """Gives each option weight by its place in the question, more for the people up north."""

    reads_texts = False

    def __init__(self, mass: float = 0.9) -> None:
        self.mass = mass
        self.heard: list[str] = []

    def choose(
        self, choices: Sequence[LabelChoice], advance: object = None
    ) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
        found = []
        for choice in choices:
            text = choice.messages[-1]["content"]
            self.heard.append(text)
            weights = np.ones(len(choice.labels))
            weights[0] = 3.0 if "as people up north would" in text else 1.0
            found.append(self.mass * weights / weights.sum())
        return found

    def write(
        self, chats: Sequence[Sequence[dict[str, str]]], count: int, longest: int, seed: int
    ) -> list[list[str]]:
        self.heard += [chat[-1]["content"] for chat in chats]
        return [["Yes,  it is.", "No.", "Yes, it is.", ""] for _ in chats]


@pytest.fixture(scope="module")
def north() -> ValueSet:
    survey = make_survey(respondents=200, items=3)
    return build_value_set(survey, "north", {"region": "north"}, 0, "people up north")


def side(north: ValueSet | None = None, name: str = "north", **more: object) -> Side:
    persona = "people up north" if north else None
    return Side(name, Leaning(), persona, "north", north, **more)  # type: ignore[arg-type]


def test_an_id_and_a_wording_both_find_the_surveys_question(north: ValueSet) -> None:
    talk = Interview([side(north)])
    item = north.items[1]
    for question in (
        item.id,
        item.question,
        item.question.upper() + " ",
        item.question.rstrip("?"),
    ):
        (answer,) = talk.ask(question)
        assert answer.item == item and answer.survey is north.distributions[item.id]
    assert talk.find_item("Is tea good?") is None


def test_the_population_is_named_as_in_training_and_moves_the_answer(north: ValueSet) -> None:
    as_north, itself = side(north), side(None, "itself")
    item = north.items[0]
    first, second = Interview([as_north, itself]).ask(item.question, item.texts)
    shares = list(first.shares.values())
    options = len(item.options)
    assert shares[0] == pytest.approx(3 / (options + 2))
    assert list(second.shares.values()) == pytest.approx([1 / options] * options)
    assert second.survey_shares is None and first.survey_shares is not None


def test_other_answers_than_the_surveys_are_not_compared_with_it(north: ValueSet) -> None:
    (answer,) = Interview([side(north)]).ask(north.items[0].id, ["Yes", "No"])
    assert answer.question == north.items[0].question
    assert answer.survey is None and list(answer.shares) == ["Yes", "No"]
    assert "No survey at hand has" in interview_notes([answer])[-1]


def test_without_answers_to_choose_from_equal_sentences_are_counted(north: ValueSet) -> None:
    one = side(north)
    (answer,) = Interview([one]).ask("Is tea good?")
    assert answer.shares == {"Yes, it is.": 0.5, "No.": 0.25, "(nothing)": 0.25}
    assert "what people up north would answer" in one.answerer.heard[-1]  # type: ignore[attr-defined]


def test_a_table_of_average_answers_multiplies_the_models_own(north: ValueSet) -> None:
    item = north.items[0]
    options = len(item.options)
    average = np.arange(1.0, options + 1)
    average /= average.sum()
    table = AverageAnswers({"north": {options: average}})
    (answer,) = Interview([side(north, average=table)]).ask(item.id)
    own = np.ones(options)
    own[0] = 3.0
    np.testing.assert_allclose(
        list(answer.shares.values()), own * average / (own * average).sum(), atol=1e-12
    )


def test_what_should_be_known_of_an_answer_is_said(north: ValueSet) -> None:
    item = north.items[0]
    trained = Side(
        "north", Leaning(mass=0.1), "x", "north", north, learnt_wordings([item.question])
    )
    (answer,) = Interview([trained]).ask(item.id)
    notes = " ".join(interview_notes([answer]))
    assert answer.refused and answer.trained_on
    assert "too little probability" in notes and "was trained on" in notes
    assert f"{north.distributions[item.id].n} people answered it" in notes
    shown = answer.as_json()
    assert shown["item"] == item.id and shown["trained_on"] and shown["refused"]
    low, high = north.intervals(item.id)
    assert shown["answers"][0]["survey_low"] == low[0]
    assert f"({100 * low[0]:.0f} to {100 * high[0]:.0f})" in people_share(answer, 0)
    (other,) = Interview([trained]).ask(north.items[1].id)
    assert not other.trained_on


@pytest.mark.parametrize("question", ["", "  "])
def test_an_empty_question_is_refused(north: ValueSet, question: str) -> None:
    with pytest.raises(InputError, match="there is no question"):
        Interview([side(north)]).ask(question)


def test_two_sides_of_one_name_are_refused(north: ValueSet) -> None:
    with pytest.raises(InputError, match='both sides are "north"'):
        Interview([side(north), side(north)])
