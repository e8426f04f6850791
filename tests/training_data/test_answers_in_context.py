"""Populations described by their answers: what a prompt shows, and what it never shows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from suffrage import settings
from suffrage.align.distribution import Options
from suffrage.align.method import InContextOptions
from suffrage.align.sft import Options as SftOptions
from suffrage.errors import InputError
from suffrage.models import ways_of_asking
from suffrage.models.packing import ScoreRequest, packed
from suffrage.population import ValueSet, build_value_set
from suffrage.survey import Codebook, Survey
from suffrage.training_data import HeldOut, ItemSplit, Records, split_items
from suffrage.training_data.answers_in_context import (
    AnsweredPersona,
    Describer,
    InContextSettings,
    known_items,
)
from suffrage.training_data.demonstrations import BUILDER as DEMONSTRATIONS
from suffrage.training_data.distribution_records import BUILDER as DISTRIBUTIONS
from tests.synthetic import make_survey

BATTERY = ("q1", "q2", "q3", "q4")
TWINS = ("q7", "q8")


def survey_with_groups(seed: int = 3) -> Survey:
    """Fourteen items: four in a battery, and two that ask nearly the same."""
    survey = make_survey(respondents=90, items=14, seed=seed)
    book = {item.id: item for item in survey.codebook.items}
    for name in BATTERY:
        book[name] = book[name].model_copy(update={"battery": "trust"})
    same = book[TWINS[0]].question.replace("?", ", then?")
    book[TWINS[1]] = book[TWINS[1]].model_copy(update={"question": same})
    codebook = Codebook(
        title="Groups", items=tuple(book.values()), demographics=survey.codebook.demographics
    )
    return replace(survey, codebook=codebook)


SURVEY = survey_with_groups()
ITEMS = {item.id: item for item in SURVEY.codebook.items}
BY_QUESTION = {item.question: item.id for item in ITEMS.values()}
# One of the battery is held out alone, as a study's `held_out: {question: ...}` does.
SPLIT = ItemSplit(
    tuple(name for name in ITEMS if name not in ("q0", "q1")),
    ("q0", "q1"),
    split_items(list(ITEMS.values()), HeldOut(by="list", items=("q0",)), 1).clusters,
    {},
)


def value_sets(survey: Survey = SURVEY) -> list[ValueSet]:
    wanted = {"north": {"region": "north"}, "south": {"region": "south"}}
    return [build_value_set(survey, name, where, 1, name) for name, where in wanted.items()]


SETS = value_sets()


def records(kind: str, count: int = 60, seed: int = 1, sets: Any = None, **more: Any) -> Records:
    """Records of any method that can describe populations."""
    if kind == "sft":
        builder, options = DEMONSTRATIONS, SftOptions.model_validate({"in_context": 3, **more})
    else:
        shape = {"questions": 2, "populations": 2} if kind == "questions" else {}
        given = {"in_context": 3, "validation": 0.3, **shape, **more}
        builder, options = DISTRIBUTIONS, Options.model_validate(given)  # type: ignore[assignment]
    generator = np.random.default_rng(seed)
    return builder.build(sets or SETS, SPLIT, count, generator, options.record_settings)


def shown_in(text: str) -> list[str]:
    """The items whose questions a prompt shows with answers."""
    lines = text.splitlines()
    return [BY_QUESTION[line.removeprefix("Q: ")] for line in lines if line.startswith("Q: ")]


def forbidden(item: str, held_back: Sequence[str]) -> set[str]:
    """What may not be shown before a question, said without the code under test."""
    found = {item, *SPLIT.held_out, *held_back}
    for group in (BATTERY, TWINS):
        found |= set(group) if item in group else set()
    return found


def wrongly_shown(made: Records) -> list[tuple[str, str]]:
    """Each answer that a record shows and may not, with the item that the record asks."""
    back = made.made_from.get("validation", ())
    return [
        (row["item"], shown)
        for row in made.frame.to_dicts()
        for shown in shown_in(row["user"])
        if shown in forbidden(row["item"], back)
    ]


@pytest.mark.parametrize("kind", ["pairs", "questions", "sft"])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_record_shows_what_is_asked_its_group_or_what_is_held_out(kind: str, seed: int) -> None:
    made = records(kind, seed=seed)
    assert wrongly_shown(made) == []
    for row in made.frame.to_dicts():
        shown = shown_in(row["user"])
        assert len(shown) == len(set(shown)) == 3
        # The asked question is there once, after the description, and nobody is named.
        question = ITEMS[row["item"]].question
        assert row["user"].count(question) == 1 and question not in row["user"].split("\n\nQ: ")[0]
        assert row["value_set"] not in row["user"] and "these people" in row["user"]


@pytest.mark.parametrize("kind", ["pairs", "questions", "sft"])
def test_without_the_check_it_would_be_seen(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AnsweredPersona, "_gives_away", lambda *_: False)
    assert wrongly_shown(records(kind))


def described(value_set: ValueSet, **more: Any) -> AnsweredPersona:
    known = known_items(list(ITEMS.values()), SPLIT.clusters)
    wanted = InContextSettings(answers=4, **more)
    return Describer(wanted, SPLIT.train, known, 5).fixed(value_set)


def test_a_model_is_asked_everything_with_one_description_that_gives_nothing_away() -> None:
    for value_set in SETS:
        persona = described(value_set)
        usual = [answer.item for answer in persona.shown_with(None)]
        for name, item in ITEMS.items():
            shown = [answer.item for answer in persona.shown_with(item)]
            assert len(shown) == 4 and not set(shown) & forbidden(name, ())
            assert shown[: 4 - len(set(usual) & forbidden(name, ()))] == [
                one for one in usual if one not in forbidden(name, ())
            ], "only what may not be shown is replaced"
    orders = {tuple(a.item for a in described(v).answers) for v in SETS}
    assert len(orders) == 2, "each population has draws of its own"


def test_the_answers_shown_are_the_populations_own() -> None:
    value_set = SETS[0]
    persona = described(value_set)
    for answer in persona.answers:
        found = value_set.distributions[answer.item]
        percents = dict(reversed(part.split("% ", 1)) for part in answer.said.split(", "))  # type: ignore[arg-type]
        for option, share in zip(found.item.texts, found.shares, strict=True):
            assert abs(float(percents.get(option, 0)) - 100 * share) <= 0.5 + 1e-6


def test_an_item_in_other_words_or_of_another_survey_is_compared_by_its_words() -> None:
    persona = described(SETS[0])
    first = persona.answers[0]
    asked = ITEMS[first.item]
    for other in (
        asked.model_copy(update={"question": "Something quite different, in other words?"}),
        asked.model_copy(update={"id": "elsewhere", "question": asked.question.replace("?", "!")}),
    ):
        assert first.item not in [answer.item for answer in persona.shown_with(other)]
    twin = ITEMS["q0"].model_copy(update={"id": first.item, "question": "Whose bread is it?"})
    assert first not in persona.shown_with(twin), "the id of another survey's item"


def test_shuffled_respondents_and_value_sets_change_no_prompt() -> None:
    order = np.random.default_rng(9).permutation(SURVEY.responses.height)
    shuffled = replace(SURVEY, responses=SURVEY.responses[order])
    again = value_sets(shuffled)
    for kind in ("pairs", "questions", "sft"):
        usual, other = (records(kind, sets=sets).frame["user"] for sets in (SETS, again))
        assert usual.to_list() == other.to_list()
    for one, two in zip(SETS, again, strict=True):
        assert described(one).introduction(ITEMS["q5"]) == described(two).introduction(ITEMS["q5"])
    turned = [replace(v, distributions=dict(reversed(v.distributions.items()))) for v in SETS]
    for one, two in zip(SETS, turned, strict=True):
        assert described(one).introduction(None) == described(two).introduction(None)


@pytest.mark.parametrize("kind", ["pairs", "questions", "sft"])
def test_descriptions_change_nothing_else_about_the_records(kind: str) -> None:
    with_answers = records(kind)
    named = records(kind, in_context=None)
    rest = [column for column in named.frame.columns if column != "user"]
    assert with_answers.frame[rest].equals(named.frame[rest])
    for new, old, who in zip(
        with_answers.frame["user"], named.frame["user"], named.frame["value_set"], strict=True
    ):
        asked = new.split("\n\n", 4)[4]  # after the heading and three answers
        assert asked.replace("these people", who) == old


def test_a_question_meets_other_answers_at_each_visit_and_the_same_ones_both_ways_round() -> None:
    rows = records("pairs", 80, validation=0).frame.to_dicts()
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    assert all(shown_in(one["user"]) == shown_in(two["user"]) for one, two in pairs)
    draws: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for one, _ in pairs:
        place = (one["value_set"], one["item"])
        draws.setdefault(place, set()).add(tuple(shown_in(one["user"])))
    assert max(len(found) for found in draws.values()) > 1


def test_a_name_may_stand_next_to_the_answers() -> None:
    (row, *_) = records("pairs", in_context={"answers": 2, "name": True}).frame.to_dicts()
    who = row["value_set"]
    assert row["user"].startswith(f"{who.capitalize()} gave these answers to other questions:")
    assert f"as {who} would." in row["user"] and len(shown_in(row["user"])) == 2


def test_a_description_in_front_costs_the_fewest_tokens_where_models_are_asked() -> None:
    """Rows compute a beginning once: the long description is shared, the short question is not."""

    def tokens(question_first: bool) -> int:
        texts = []
        for value_set in SETS:
            persona = described(value_set)
            for item in ITEMS.values():
                for question in ways_of_asking(item, persona):
                    text = question.user_text
                    if question_first:
                        before = persona.introduction(item)
                        text = f"{text.removeprefix(before)}\n\n{before}"
                    texts.append(tuple(text.encode()))
        requests = [ScoreRequest(text, ((1,),)) for text in texts]
        return sum(len(pack.tokens) for pack in packed(requests, 2048))

    assert tokens(question_first=False) < 0.5 * tokens(question_first=True)


def test_a_population_without_an_answer_to_show_is_refused() -> None:
    only = {"q0": SETS[0].distributions["q0"]}
    with pytest.raises(InputError, match="north answered no question that is trained on"):
        described(replace(SETS[0], distributions=only))


@pytest.mark.parametrize("given", [0, True, "eight", {"answers": 3, "nme": True}, {"name": True}])
def test_other_forms_are_refused(given: Any) -> None:
    with pytest.raises(InputError, match="in_context"):
        settings.validated(InContextOptions, {"in_context": given}, "study.yaml")


def test_a_question_whose_every_answer_is_related_is_asked_without_any() -> None:
    value_set = replace(
        SETS[0], distributions={name: SETS[0].distributions[name] for name in BATTERY}
    )
    persona = described(value_set)
    assert persona.introduction(ITEMS["q2"]) == "The people asked were asked nothing else."
