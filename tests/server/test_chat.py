"""The chat page: what it shows, whom it answers, and the preferences it stores."""

import dataclasses
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from suffrage.errors import InputError
from suffrage.evaluate.asking.interviews import Interview, Side
from suffrage.population import build_value_set
from suffrage.server.chat.chat_page import HOST, chat_app
from suffrage.server.chat.preferences import OUTCOME_WORDS, PreferenceBox, open_box
from suffrage.server.store import consultations
from suffrage.server.store.contents import to_consultation
from suffrage.server.store.database import Store
from suffrage.server.store.shown_answers import list_answers, list_prompts
from suffrage.server.store.stored_judgements import comparisons_that_count
from suffrage.server.store.withdrawals import withdraw_participant
from suffrage.server.web.next_tasks import Drawing
from tests.evaluate.test_interviews import Leaning
from tests.server.empty_stores import empty_store
from tests.server.site import consultation
from tests.synthetic import make_survey

AGREED = {"take_part": "yes", "texts": "yes", "training": "yes"}


@pytest.fixture(scope="module")
def talk() -> Interview:
    """Two groups of one made-up model, and what they said."""
    survey = make_survey(respondents=200, items=3)
    model = Leaning()
    return Interview(
        [
            Side(name, model, f"people {where} {name}", name, own)
            for name, where in (("north", "up"), ("south", "down"))
            for own in [build_value_set(survey, name, {"region": name}, 0)]
        ]
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return empty_store(tmp_path / "store")


def visitor(talk: Interview, box: PreferenceBox | None = None) -> TestClient:
    return TestClient(chat_app(talk, box), base_url=f"http://{HOST}")


def test_the_page_shows_both_sides_and_what_their_people_said(talk: Interview) -> None:
    page = visitor(talk)
    item = talk.known_items[0]
    assert item.question in page.get("/").text  # offered in the list
    shown = page.post("/ask", data={"question": item.id}).text
    marks = [float(at) for at in re.findall(r'class="mark" x1="([\d.]+)%', shown)]
    bars = [float(to) for to in re.findall(r'class="bar" y="5" width="([\d.]+)%', shown)]
    answers = talk.ask(item.id)
    assert all(answer.side in shown and answer.survey is not None for answer in answers)
    for place in range(len(item.options)):
        row = slice(2 * place, 2 * place + 2)
        said = [100 * a.survey.shares[place] for a in answers if a.survey is not None]
        assert marks[row] == pytest.approx(said)
        assert bars[row] == pytest.approx([100 * [*a.shares.values()][place] for a in answers])


def test_two_models_for_the_same_people_say_for_whom_they_answer(talk: Interview) -> None:
    north, south = talk.sides
    same = Interview([north, dataclasses.replace(south, persona=north.persona)])
    assert "Both answer as people up north." in visitor(same).get("/").text
    assert "Both answer" not in visitor(talk).get("/").text


def test_own_answers_are_one_a_line(talk: Interview) -> None:
    given = {"question": "Is <tea> good?", "options": "Yes\r\nNo, never\r\n\r\n"}
    shown = visitor(talk).post("/ask", data=given).text
    assert "No, never" in shown and "Is &lt;tea&gt; good?" in shown
    assert shown.count('<th scope="row">') == 2


def test_a_mistake_is_said_and_what_was_typed_stays(talk: Interview) -> None:
    given = {"question": "Is tea good?", "options": "Yes\nYes"}
    answer = visitor(talk).post("/ask", data=given)
    assert answer.status_code == 422 and "Two of the options" not in answer.text
    assert "two of the options" in answer.text and 'value="Is tea good?"' in answer.text


def test_other_sites_cannot_use_the_page(talk: Interview) -> None:
    page, asked = visitor(talk), {"question": "Is tea good?", "options": "Yes\nNo"}
    forged = page.post("/ask", data=asked, headers={"Origin": "http://evil.test"})
    assert forged.status_code == 403 and "tea" not in page.get("/").text
    assert page.get("/", headers={"Host": "evil.test"}).status_code == 400
    own = page.post("/ask", data=asked, headers={"Origin": f"http://{HOST}"})
    assert own.status_code == 200 and "tea" in own.text


def test_nothing_is_asked_or_stored_before_consent(talk: Interview, store: Store) -> None:
    what = consultation(store)
    page = visitor(talk, PreferenceBox(store, what))
    first = page.get("/").text
    assert "Before you start" in first and 'action="/ask"' not in first
    for missing in ("take_part", "texts"):
        given = {name: word for name, word in AGREED.items() if name != missing}
        assert page.post("/join", data=given).status_code == 422
    assert consultations.find_consultation(store, "water").id == what.id
    assert page.post("/join", data=AGREED).status_code == 200


@pytest.mark.parametrize("outcome", [*OUTCOME_WORDS, "skip"])
def test_a_preference_is_blind_and_stored_as_it_was_given(
    talk: Interview, store: Store, outcome: str
) -> None:
    what = consultation(store)
    page = visitor(talk, PreferenceBox(store, what))
    page.post("/join", data=AGREED)
    before = page.post("/ask", data={"question": talk.known_items[0].id}).text
    article = before.split("<article")[1].split("</article>")[0]
    assert "Answer 1" in article and "north" not in article and "people" not in article
    after = page.post("/prefer", data={"exchange": "1", "outcome": outcome}).text
    assert "north" in after and "people" in after
    assert "Dark lines mark" in after and "Dark lines mark" not in before
    stored = comparisons_that_count(store, what.id)
    if outcome == "skip":
        assert stored.is_empty() and "Nothing was stored" in after
        return
    assert stored["outcome"].to_list() == [outcome]
    kept = {a.id: a for a in list_answers(store, what.id, shown_only=False)}
    sides = {"left": stored["left"][0], "right": stored["right"][0]}
    assert {kept[id].model for id in sides.values()} == {"north", "south"}
    if outcome in sides:
        assert f"You preferred {kept[sides[outcome]].model}" in after
    again = page.post("/prefer", data={"exchange": "1", "outcome": "left"})
    assert again.status_code == 422 and comparisons_that_count(store, what.id).height == 1


def test_sides_change_places_at_random(talk: Interview, store: Store) -> None:
    box = PreferenceBox(store, consultation(store))
    answers = talk.ask(talk.known_items[0].id)
    assert {box.blind(answers).left.side for _ in range(60)} == {"north", "south"}


def test_what_a_chat_asked_is_exported_not_shown_to_others_and_deleted_on_withdrawal(
    talk: Interview, store: Store
) -> None:
    what = consultation(store)
    before = {prompt.id for prompt in list_prompts(store, what.id)}
    boxes = [PreferenceBox(store, what) for _ in range(2)]
    for box, questions in zip(
        boxes, (["Is tea good?", "Is milk good?"], ["Is tea good?"]), strict=True
    ):
        box.join(dict.fromkeys(AGREED, True))
        for question in questions:
            box.store(box.blind(talk.ask(question, ["Yes", "No"])), "left")
    texts = to_consultation(store, what.slug).prompts["text"].to_list()
    assert {"Is tea good?", "Is milk good?"} <= set(texts)
    assert set(Drawing(store).questions(what)[1]) == {
        a.id for a in list_answers(store, what.id) if not a.id.startswith("chat-")
    }
    person = comparisons_that_count(store, what.id)["participant"][0]
    withdraw_participant(store, what.id, person)
    left = {p.text for p in list_prompts(store, what.id) if p.id not in before}
    assert left == {"Is tea good?"}
    assert all(
        a.prompt_id in {p.id for p in list_prompts(store, what.id)}
        for a in list_answers(store, what.id, shown_only=False)
    )


def test_only_a_consultation_that_is_open_to_all_takes_preferences(
    store: Store, tmp_path: Path
) -> None:
    invited = consultation(store, "invited", open_to_all=False)
    with pytest.raises(InputError, match="by invitation"):
        PreferenceBox(store, invited)
    closed = consultation(store, "closed")
    consultations.set_phase(store, closed.id, "closed", "tests")
    with pytest.raises(InputError, match="is closed"):
        PreferenceBox(store, consultations.find_consultation(store, "closed"))
    with pytest.raises(InputError, match="2 consultations"):
        open_box(str(tmp_path / "store"), None)
