"""Work that takes minutes: pages say since when it is done, and look again by themselves."""

import re
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from sqlalchemy import update

from suffrage.errors import InputError
from suffrage.server.store import background_work, withdrawals
from suffrage.server.store.background_work import find_work, start_work
from suffrage.server.store.database_schema import background_work as table
from suffrage.server.web.organise import organiser_pages, principle_pages, waiting
from tests.server.browser import WIDE, no_sideways, picture, served, texts, visitor
from tests.server.organising import PASSWORD, Office
from tests.server.page_copies import Inspector


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forms that do not wait, and pages that look again every second."""
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    monkeypatch.setattr(waiting, "LOOK_EVERY", 1)


@pytest.fixture
def goes_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Work that ends when this event is set."""
    end = Event()
    monkeypatch.setattr(organiser_pages, "recompute", lambda *_: end.wait(60))
    found = {"people": 3, "uncertain": 0, "found": [{"sources": ["s0"], "lowest": 0.7}]}
    monkeypatch.setattr(principle_pages, "_found_now", lambda _: end.wait(60) and found)
    yield end
    end.set()


def finished(office: Office, kind: Any) -> background_work.BackgroundWork:
    """The last work, once it is done."""
    for _ in range(600):
        work = find_work(office.store, office.about.id, kind)
        if work is not None and work.ended is not None:
            return work
        Event().wait(0.05)
    raise AssertionError("it did not end")


@pytest.mark.parametrize(("kind", "what"), [("groups", ""), ("principles", "find")])
def test_a_form_whose_work_takes_long_leads_to_a_page_that_waits(
    office: Office, hurried: None, goes_on: Event, kind: str, what: str
) -> None:
    staff = office.client("analyst")
    staff.get(f"/{kind}")
    assert staff.post(f"/{kind}", what=what).headers["location"].endswith(f"/{kind}?wait=yes")
    waits = staff.get(f"/{kind}?wait=yes")
    assert '<noscript><meta http-equiv="refresh" content="1"></noscript>' in waits
    assert re.search(r"Started: \d+ \w+ \d{4}, \d\d:\d\d UTC\.", waits)
    assert "looks again every 1 seconds" in waits and "<form" not in waits.split("<main")[1]
    # The page itself says so to everybody, never loads by itself, and starts nothing twice.
    page = staff.get(f"/{kind}")
    assert "Started:" in page and f"/{kind}?wait=yes" in page and "http-equiv" not in page
    assert "Compute now" not in page and "Find principles in the votes</button>" not in page
    assert staff.post(f"/{kind}", what=what).headers["location"].endswith("?wait=yes")
    goes_on.set()
    finished(office, kind)
    place = "/groups?done=again" if kind == "groups" else "/principles/found"
    found = staff.http.get(f"{staff.base}/{kind}?wait=yes")
    assert found.status_code == 303 and found.headers["location"].endswith(place)
    assert "Started:" not in staff.get(f"/{kind}")
    if kind == "principles":
        assert "See the principles found" in staff.get("/principles")


@pytest.mark.slow
def test_work_that_failed_or_was_killed_says_so_and_can_be_started_again(
    office: Office, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff = office.client("analyst")
    staff.get("/principles")

    def ended(work: Any) -> str:
        monkeypatch.setattr(principle_pages, "_found_now", work)
        staff.post("/principles", what="find")
        finished(office, "principles")
        found = staff.http.get(f"{staff.base}/principles?wait=yes", follow_redirects=True)
        return found.text.split("<main")[1]

    def mistaken(_: Any) -> None:
        Event().wait(0.3)
        raise InputError("%(count)s people are too few.", count=3)

    def broken(_: Any) -> None:
        Event().wait(0.3)
        raise ZeroDivisionError

    assert "3 people are too few." in ended(mistaken)
    assert "stopped before it was finished" in ended(broken)
    # As a server leaves it that was killed: no end, and no sign of life for minutes.
    with office.store.write() as c:
        c.execute(update(table).values(ended=None, problem=None, alive=0))
    page = staff.get("/principles")
    assert "stopped before it was finished" in page and "Find principles in the votes" in page
    assert staff.post("/principles", what="find").status_code == 303


def test_what_counts_somebody_who_withdraws_is_not_kept(office: Office) -> None:
    times = []

    def work() -> int:
        times.append(1)
        if len(times) == 1:
            withdrawals.withdraw_participant(office.store, office.about.id, "p1")
        return len(times)

    start_work(office.store, office.about.id, "principles", work)
    assert finished(office, "principles").outcome == 2
    withdrawals.withdraw_participant(office.store, office.about.id, "p2")
    assert find_work(office.store, office.about.id, "principles") is None


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
@pytest.mark.parametrize("lang", ["en", "mi"])
def test_in_a_browser_the_result_comes_by_itself(
    office: Office, hurried: None, goes_on: Event, chromium: Any, scripts: bool, lang: str
) -> None:
    _ = texts(lang)
    with served(office.app) as url:
        page = visitor(chromium, url, viewport=WIDE, java_script_enabled=scripts)
        page.goto(f"/admin/login?lang={lang}")
        page.get_by_label(_("Email address")).fill("owner@example.org")
        page.get_by_label(_("Password")).fill(PASSWORD)
        page.get_by_role("button", name=_("Sign in")).click()
        page.wait_for_url("**/admin")
        page.goto(f"/admin/c/{office.about.id}/principles")
        page.get_by_role("button", name=_("Find principles in the votes")).click()
        page.wait_for_url("**/principles?wait=yes")
        assert page.inner_text("h1") == _("Finding principles in the votes")
        for width in (320, 390, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            no_sideways(page)
            picture(page, f"waiting-{lang}-{width}")
        if scripts:
            inspector = Inspector(page, lang)
            inspector.look(f"waiting-{lang}")
            assert inspector.found() == ""
        goes_on.set()
        page.wait_for_url("**/principles/found")
        assert page.get_by_role("button", name=_("Keep those you ticked")).count() == 1
        page.context.close()


@pytest.mark.slow
def test_a_form_that_takes_long_says_so_where_it_was_sent(office: Office, chromium: Any) -> None:
    with served(office.app) as url:
        page = visitor(chromium, url, viewport=WIDE)
        page.goto("/admin/login")
        page.get_by_label("Email address").fill("owner@example.org")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/admin")
        page.goto(f"/admin/c/{office.about.id}/releases")
        # As if no answer came.
        page.evaluate("document.addEventListener('submit', event => event.preventDefault())")
        page.get_by_role("button", name="See it before you make it").click()
        page.wait_for_selector("[role=status]:text('Please wait. This can take some minutes.')")
        page.context.close()
