"""What goes wrong for participants costs them nothing: no text, no vote, no allowance."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from suffrage.server.store import consultations, invitations, statements, stored_votes
from suffrage.server.store import database_schema as schema
from suffrage.server.web.server_settings import DEFAULT_LIMITS, Allowance
from tests.server.browser import no_sideways, served, visitor
from tests.server.site import BASE, Browser, Site, consultation, site


@pytest.fixture
def here(tmp_path: Path) -> Site:
    made = site(tmp_path / "store", limits=DEFAULT_LIMITS)
    consultation(made.store)
    return made


def title_of(page: str) -> str:
    return re.search(r"<title>(.*?)</title>", page).group(1)  # type: ignore[union-attr]


def sessions_end(made: Site) -> None:
    with made.store.write() as c:
        c.execute(delete(schema.participant_session))


def votes_of_all(made: Site) -> list[tuple[str, int, bool]]:
    what = consultations.find_consultation(made.store, "water")
    with made.store.read() as c:
        rows = c.execute(schema.vote.select().where(schema.vote.c.consultation_id == what.id))
        return [(row.statement_id, row.value, row.important) for row in rows]


@pytest.mark.slow
def test_refused_statements_cost_none_of_the_allowance_and_come_back_filled(here: Site) -> None:
    browser = here.browser().join()
    browser.get("/c/water/statement/new")
    for n in range(7):
        page = browser.send("/c/water/statement/new", text="  ", language="mi")
        assert page.status_code == 422 and title_of(page.text).startswith("Error: "), n
    assert 'href="#text">Write your statement first.' in page.text
    assert re.search(r'value="mi" checked', page.text)
    long = "An assistant should think. " * 20
    page = browser.send("/c/water/statement/new", text=long)
    assert long in page.text and 'aria-invalid="true"' in page.text and page.status_code == 422
    words = ("cats", "trees", "rivers", "music", "bread")
    for word in words:
        browser.get("/c/water/statement/new")
        page = browser.send("/c/water/statement/new", text=f"It should sing of {word}", different=1)
        assert page.url.path == "/c/water/statement/sent", word
    browser.get("/c/water/statement/new")
    page = browser.send("/c/water/statement/new", text="One more about the moon", different="yes")
    assert page.status_code == 429 and int(page.headers["Retry-After"]) > 60
    assert ">One more about the moon</textarea>" in page.text and "minutes" in page.text


def test_a_refused_consent_keeps_what_was_ticked(here: Site) -> None:
    browser = here.browser().join(consent=False)
    browser.get("/c/water/consent")
    page = browser.send("/c/water/consent", votes="yes")
    assert page.status_code == 422 and title_of(page.text) == "Error: Before you start – " + (
        "Talking about water"
    )
    ticked = re.findall(r'name="(\w+)" value="yes" checked', page.text)
    assert ticked == ["votes"]
    # The summary is announced, takes the focus, and leads to the box.
    summary = page.text[page.text.index('role="alert"') :]
    assert "autofocus" in summary[:100] and 'href="#take_part"' in summary[:500]


def test_a_withdrawal_without_its_tick_keeps_the_other_one(here: Site) -> None:
    browser = here.browser().join()
    browser.get("/c/water/mine/withdraw")
    page = browser.send("/c/water/mine/withdraw", keep="yes")
    assert page.status_code == 422 and title_of(page.text).startswith("Error: Withdraw")
    assert re.findall(r'name="(\w+)" value="yes" checked', page.text) == ["keep"]
    summary = page.text[page.text.index('role="alert"') :]
    assert "autofocus" in summary[:100] and 'href="#sure"' in summary[:500]
    assert 'aria-describedby="sure-error"' in page.text


def test_a_refused_sign_in_says_so_in_the_title_and_leads_to_the_field(here: Site) -> None:
    page = here.browser().log_in("nobody@example.org")
    assert title_of(page.text).startswith("Error: Organisers: sign in")
    summary = page.text[page.text.index('role="alert"') :]
    assert "autofocus" in summary[:100] and 'href="#email"' in summary[:500]
    assert 'value="nobody@example.org"' in page.text


def test_a_code_that_is_not_known_stays_in_its_field(here: Site) -> None:
    browser = here.browser()
    browser.get("/c/water/join")
    page = browser.send("/c/water/join", code="5E22-GJJT-<5VPN>")
    assert page.status_code == 403 and title_of(page.text).startswith("Error: ")
    assert 'value="5E22-GJJT-&lt;5VPN&gt;"' in page.text


def test_a_vote_whose_session_has_ended_is_recorded_once_the_code_is_entered(here: Site) -> None:
    browser = here.browser().join()
    code = code_of(browser)
    browser.get("/c/water/vote")
    statement = browser.hidden["statement"]
    sessions_end(here)
    page = browser.send("/c/water/vote", vote="disagree", important="yes")
    assert "Your vote is kept on this page" in page.text and votes_of_all(here) == []
    # A slip in the code does not lose it.
    page = browser.send("/c/water/join", code="0000-0000-0000-0000")
    assert page.status_code == 403 and "Your vote is kept on this page" in page.text
    page = browser.send("/c/water/join", code=code)
    assert f"recorded={statement}" in str(page.url) and "Recorded. 1 of 12" in page.text
    assert votes_of_all(here) == [(statement, -1, True)]


def code_of(browser: Browser) -> str:
    page = browser.get("/c/water/code").text
    return re.search(r'class="big"[^>]*>([0-9A-Z-]{19})<', page).group(1)  # type: ignore[union-attr]


def test_a_page_open_too_long_can_be_sent_again_and_only_if_it_is_ours(here: Site) -> None:
    browser = here.browser().join()
    browser.get("/c/water/statement/new")
    browser.client.cookies.delete("suffrage-visit")
    text = {"text": "It should keep what I <b>wrote</b>", "language": "en"}
    elsewhere = browser.client.post("/c/water/statement/new", data={"csrf": "old", **text})
    assert elsewhere.status_code == 403 and "what I" not in elsewhere.text
    ours = {"Origin": BASE}
    browser.page = browser.client.post(
        "/c/water/statement/new", data={"csrf": "old", **text}, headers=ours
    )
    assert browser.page.status_code == 403 and "&lt;b&gt;wrote" in browser.page.text
    page = browser.send("/c/water/statement/new", **text)
    assert page.url.path == "/c/water/statement/sent"


def test_a_vote_that_came_too_fast_can_be_sent_again_without_scripts(tmp_path: Path) -> None:
    slow = {**DEFAULT_LIMITS, "vote": (Allowance(1, 1e-3), Allowance(1, 1e-3))}
    made = site(tmp_path / "store", limits=slow)
    consultation(made.store)
    browser = made.browser().join()
    browser.get("/c/water/vote")
    fields = {**browser.hidden, "vote": "agree", "csrf": browser.hidden["csrf"]}
    made.app.state.limits._buckets.take = lambda *_: 7.0
    page = browser.client.post("/c/water/vote", data=fields, headers={"Origin": BASE})
    assert page.status_code == 429 and "wait 7 seconds" in page.text
    assert f'name="statement" value="{fields["statement"]}"' in page.text
    assert 'name="vote" value="agree"' in page.text and "Send again" in page.text


def test_an_invitation_opens_again_in_its_own_browser_and_in_no_other(tmp_path: Path) -> None:
    made = site(tmp_path / "store")
    what = consultation(made.store, open_to_all=False)
    mine, other = invitations.create_invitations(made.store, what.id, 2, "tests")
    browser = made.browser().join(token=mine)
    assert browser.page is not None and browser.page.url.path == "/c/water/code"
    assert browser.get(f"/c/water/join?t={mine}").url.path == "/c/water/vote"
    # Somebody else's invitation is not used up by whoever has started here.
    assert 'class="button start"' in browser.get(f"/c/water/join?t={other}").text
    assert browser.get("/c/water/join?t=unknown").status_code == 403
    stranger = made.browser().get(f"/c/water/join?t={mine}")
    assert stranger.status_code == 403 and "This invitation cannot be used" in stranger.text


def test_the_author_of_a_statement_that_is_not_shown_is_told_why(here: Site) -> None:
    browser = here.browser().join()
    browser.get("/c/water/statement/new")
    browser.send("/c/water/statement/new", text="It should also do my taxes and sing")
    what = consultations.find_consultation(here.store, "water")
    (mine,) = [s for s in statements.list_statements(here.store, what.id) if not s.seed]
    statements.moderate_statements(
        here.store, what.id, [mine.id], "rejected", "several_ideas", None
    )
    assert "Reason: Several ideas in one." in browser.get("/c/water/mine").text
    (row,) = browser.get("/c/water/mine/download").json()["statements"]
    assert (row["state"], row["reason"]) == ("rejected", "Several ideas in one")
    counts = statements.count_decisions(here.store, what.id)
    assert (counts.written, counts.accepted, counts.waiting) == (1, 0, 0)
    assert counts.rejected == {"several_ideas": 1}


def test_pages_ask_the_question_of_the_consultation_and_lead_nowhere_empty(here: Site) -> None:
    statements_only = consultations.create_consultation(
        here.store,
        "parks",
        {"en": "Parks"},
        {"en": "What should the new park have?"},
        consultations.ConsultationSettings(open_to_all=True, organiser="Us", contact="a@b.org"),
    )
    consultations.set_phase(here.store, statements_only.id, "open", "tests")
    with_answers, without = here.browser().join(), here.browser("192.0.2.9").join("parks")
    menu = with_answers.get("/c/water/statement/new").text
    assert "How should an assistant talk about it?</span></label>" in menu
    assert "/c/water/compare" in menu and "/c/water/answers" in menu
    page = without.get("/c/parks/statement/new").text
    assert "What should the new park have?</span></label>" in page
    assert "/c/parks/compare" not in page and "/c/parks/answers" not in page
    assert "artificial intelligence" not in page + without.get("/c/parks").text


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False])
def test_in_a_browser_a_mistake_takes_the_focus_and_a_vote_outlives_its_session(
    chromium: Any, tmp_path: Path, scripts: bool
) -> None:
    made = site(tmp_path / "store")
    consultation(made.store)
    with served(made.app) as url:
        page = visitor(chromium, url, java_script_enabled=scripts)
        page.goto("/c/water/join")
        page.click("button.start")
        page.click("main form button")
        assert page.title().startswith("Error: ")
        assert page.locator("[role=alert]:focus").count() == 1
        page.check("#take_part")
        page.click("main form button")
        page.wait_for_url("**/c/water/code")
        code = page.inner_text(".big")
        for at, width in enumerate((320, 390, 1280), 1):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto("/c/water/vote")
            sessions_end(made)
            page.click("button.vote.agree")
            page.wait_for_selector("text=Your vote is kept on this page")
            no_sideways(page)
            page.fill("#code", code)
            page.get_by_role("button", name="Continue").last.click()
            page.wait_for_url("**/vote?recorded=*")
            assert len(votes_of_all(made)) == at
        page.context.close()
    what = consultations.find_consultation(made.store, "water")
    tallies = stored_votes.statement_tallies(made.store, what.id)
    assert sum(sum(counts[2:]) for counts in tallies.values()) == 3
