"""What a member of the public is promised, in a browser at three widths, with scripts or without.

Other files hold the details: `test_browser.py` the whole path and the results, `test_mistakes.py`
mistakes and sessions, `test_embedding.py` other sites, `test_officer_browser.py` organising.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from suffrage.server.store import consultations, invitations, staff, statements
from suffrage.server.store.stored_results import newest_results
from suffrage.server.watcher import recompute
from tests.server.browser import no_sideways, picture, served, visitor
from tests.server.forms import WIDTHS, Forms
from tests.server.organising import PASSWORD
from tests.server.site import crowd, site

TEXTS = [f"The park needs {what}." for what in (
    "trees", "dogs", "benches", "paths", "a playground", "lights", "toilets", "less concrete",
    "a market", "quiet corners", "bird boxes", "a pond",
)]  # fmt: skip
WHO = {"organiser": "The town", "contact": "town@example.org"}


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_what_the_public_is_promised(chromium: Any, tmp_path: Path, scripts: bool) -> None:
    made = site(tmp_path / "store")
    store = made.store
    settings = consultations.ConsultationSettings(**WHO)
    title, question = {"en": "Our park"}, {"en": "What should our park have?"}
    id = consultations.create_consultation(store, "park", title, question, settings).id
    consultations.set_phase(store, id, "open", "tests")
    statements.add_seeds(store, id, [(text, "en") for text in TEXTS], "tests")
    what = consultations.find_consultation(store, "park")
    crowd(store, what, 40)
    recompute(store, what, resamples=3)
    (token,) = invitations.create_invitations(store, id, 1, "tests")
    member = staff.add_member(store, "ana@example.org", PASSWORD, name="Ana")
    staff.set_role(store, id, member.id, "owner", "tests")
    with served(made.app) as url:
        object.__setattr__(made.app.state.settings, "base_url", url)
        page = visitor(chromium, url, java_script_enabled=scripts)
        page.set_default_timeout(120_000)

        def fits(name: str) -> None:
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                no_sideways(page)
                picture(page, f"points-{name}-{width}")

        forms = Forms(page)
        _comes_in(page, token, fits, forms)
        _writes(page, fits, forms)
        _stands_somewhere(page, fits)
        _is_told_the_reason(page, fits, lambda: _reject(store, id, member.id))
        page.context.close()
        first = {group["name"]: group["people"] for group in _groups(store, id)}
        # Now the other group is the larger one. The letters stay where they were.
        crowd(store, what, 60, seed=1, turned=True)
        recompute(store, what, resamples=3)
        consultations.set_phase(store, id, "closed", "tests")
        page = visitor(chromium, url, java_script_enabled=scripts)
        page.set_default_timeout(120_000)
        groups = _reads_the_results(page, fits)
        assert _groups_of_an_officer(page, id) == groups
        fits("groups-of-an-officer")
        page.context.close()
    last = {group["name"]: group["people"] for group in _groups(store, id)}
    assert groups == {(name, str(people)) for name, people in last.items()}
    assert set(first) == set(last) == {"A", "B"}
    assert first["A"] > first["B"] and last["A"] < last["B"]


def _groups(store: Any, id: str) -> list[dict[str, Any]]:
    last = newest_results(store, id, "participants")
    assert last is not None
    return list(last.result["groups"])


def _comes_in(page: Any, token: str, fits: Callable[[str], None], forms: Forms) -> None:
    """By an invitation that opens again; who asks is named; a code with a reason to keep it."""
    page.goto(f"/c/park/join?t={token}")
    forms.press(page.locator("button.start"))
    consent = page.inner_text("main")
    assert "The town runs this consultation" in consent and "town@example.org" in consent
    page.click("main form button")
    assert page.title().startswith("Error: ")
    assert page.locator("[role=alert]:focus").count() == 1
    fits("consent-refused")
    page.check("#take_part")
    forms.press(page.locator("main form button"))
    page.wait_for_url("**/c/park/code")
    assert "continue on another device" in page.inner_text("main")
    fits("code")
    code = page.inner_text(".big")
    page.goto(f"/c/park/join?t={token}")
    page.wait_for_url("**/c/park/vote")
    # On another device: from the front page, with the code.
    page.context.clear_cookies()
    page.goto("/c/park")
    page.get_by_role("link", name="Already started?").click()
    fits("come-back")
    page.fill("#code", code)
    forms.press(page.get_by_role("button", name="Continue"))
    page.wait_for_url("**/c/park/vote")


def _writes(page: Any, fits: Callable[[str], None], forms: Forms) -> None:
    """The box asks the consultation's question, and mistakes cost neither text nor allowance."""
    page.goto("/c/park/statement/new")
    assert "What should our park have?" in page.inner_text("main")
    assert page.locator(".menu a[href$='/compare'], .menu a[href$='/answers']").count() == 0
    # More often than statements are allowed within ten minutes.
    for _ in range(6):
        page.fill("#text", "  ")
        with page.expect_navigation():
            page.get_by_role("button", name="Send").click()
    assert page.title().startswith("Error: ")
    assert "Write your statement first." in page.inner_text("[role=alert]")
    fits("statement-refused")
    page.fill("#text", "Swans and their cygnets should be safe from cars.")
    forms.press(page.get_by_role("button", name="Send"))
    page.wait_for_url("**/statement/sent?*")
    fits("statement-sent")


def _stands_somewhere(page: Any, fits: Callable[[str], None]) -> None:
    """From the tenth vote on, with what that rests on, and without waiting for other people."""
    page.goto("/c/park/vote")
    for at in range(1, 11):
        page.set_viewport_size({"width": WIDTHS[at % 3], "height": 800})
        page.click("button.vote.agree")
        page.wait_for_selector(f".progress:has-text('{at} of 12 statements')")
        if at == 9:
            page.goto("/c/park/results")
            assert "You have 9 so far." in page.inner_text("main")
            page.goto("/c/park/vote")
    page.goto("/c/park/results")
    told = page.inner_text("main")
    assert "Your votes are most like" in told and "This is based on 10 votes of yours." in told
    fits("stands")


def _reject(store: Any, id: str, by: str) -> None:
    (mine,) = [s for s in statements.list_statements(store, id) if "Swans" in s.text]
    statements.moderate_statements(store, id, [mine.id], "rejected", "several_ideas", by)


def _is_told_the_reason(page: Any, fits: Callable[[str], None], reject: Callable[[], None]) -> None:
    """On the page and in the download."""
    reject()
    page.goto("/c/park/mine")
    assert "Reason: Several ideas in one." in page.inner_text("main")
    fits("mine")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download my answers").click()
    (row,) = json.loads(Path(download.value.path()).read_text())["statements"]
    assert (row["state"], row["reason"]) == ("rejected", "Several ideas in one")


def _reads_the_results(page: Any, fits: Callable[[str], None]) -> set[tuple[str, str]]:
    """Everybody may when it has closed: the finding first, and how many were not shown and why."""
    page.goto("/c/park/results")
    told = page.inner_text("main")
    assert told.index("people gave") < told.index("Every statement")
    assert re.search(r"Several ideas in one\s+1", told)
    # What a share of the page says elsewhere.
    for shared in ("og:title", "og:description", "og:image"):
        assert page.get_attribute(f'meta[property="{shared}"]', "content")
    for link in ("Table (CSV)", "For programs (JSON)"):
        assert page.get_by_role("link", name=link).count() == 1
    fits("results-of-all")
    groups = _letters_and_sizes(page)
    page.goto("/c/park/news")
    assert page.locator("a[href*='feed.atom']").count() == 1
    fits("news")
    return groups


def _letters_and_sizes(page: Any) -> set[tuple[str, str]]:
    rows = page.locator("table").first.locator("tbody tr").all()
    return {
        (row.locator("th").inner_text().split()[-1], row.locator("td").first.inner_text())
        for row in rows
    }


def _groups_of_an_officer(page: Any, id: str) -> set[tuple[str, str]]:
    page.goto("/admin/login")
    page.get_by_label("Email address").fill("ana@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin")
    page.goto(f"/admin/c/{id}/groups")
    return _letters_and_sizes(page)
