"""Participants' pages in a real browser: without JavaScript, by keyboard, small, and held by axe."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from suffrage.consult.store import consultations, participants, snapshots
from suffrage.consult.web import results
from tests.consult.site import BASE, Site, consultation, crowd, site

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = [
    "join",
    "consent",
    "about-you",
    "vote",
    "statement/new",
    "compare",
    "answers",
    "mine",
    "mine/withdraw",
    "withdrawn",
    "results",
    "moderation-policy",
    "privacy",
    "help",
]


@dataclass
class Live:
    """A site that a browser can reach."""

    site: Site
    url: str


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    made = site(tmp_path_factory.mktemp("live"))
    what = consultation(made.store)
    crowd(made.store, what, 30)
    assert results.refresh(made.store, what)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(made.app, host="127.0.0.1", port=port, log_level="error", access_log=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    began = time.monotonic()
    while not server.started and time.monotonic() - began < 60:
        time.sleep(0.05)
    yield Live(made, f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


def visitor(chromium: Any, live: Live, **options: Any) -> Any:
    options.setdefault("viewport", {"width": 320, "height": 700})
    page = chromium.new_context(base_url=live.url, locale="en", **options).new_page()
    page.set_default_timeout(30_000)
    return page


def join(page: Any, lang: str = "en") -> None:
    page.goto(f"/c/water/join?lang={lang}")
    page.click("button.start")
    page.check("#take_part")
    page.click("main form button")


def no_sideways(page: Any) -> None:
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0, page.url


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without-scripts"])
def test_the_whole_path_of_a_participant(chromium: Any, live: Live, scripts: bool) -> None:
    page = visitor(chromium, live, java_script_enabled=scripts)
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    elsewhere: list[str] = []
    page.on("request", lambda r: None if r.url.startswith(live.url) else elsewhere.append(r.url))
    page.goto("/c/water")
    page.click("a.start")
    page.click("button.start")
    page.click("main form button")
    assert "tick the first box" in page.inner_text("[role=alert]")
    for box in ("#take_part", "#votes", "#texts"):
        page.check(box)
    page.click("main form button")
    page.check("#age-2")
    page.click("main form button >> nth=0")
    for at, choice in enumerate(["agree", "disagree", "pass", "agree"], 1):
        before = page.inner_text("h2.statement")
        if at == 2:
            page.check("#important")
        page.click(f"button.vote.{choice}")
        if scripts:
            changed = "b => document.querySelector('h2.statement')?.innerText !== b"
            page.wait_for_function(changed, arg=before)
        assert f"{at} of 12 statements" in page.inner_text(".progress")
        if not scripts:
            assert f"Recorded. {at} of 12." in page.inner_text("[role=status]")
    page.click("text=Change my last vote")
    page.click("button.vote.disagree")
    page.wait_for_url("**/mine?saved=vote")
    # Said a moment later with scripts, so that a screen reader hears it change.
    page.wait_for_selector("text=Your change is stored")
    page.goto("/c/water/statement/new")
    page.fill("#text", "An assistant should follow rule amber about waters.")
    page.click("main form button")
    assert "something like this" in page.inner_text("[role=alert]")
    page.fill("#text", f"Ask what people mean first, {'with' if scripts else 'without'} haste.")
    page.click("main form button")
    assert "stored" in page.inner_text("h1")
    page.goto("/c/water/compare")
    page.click("summary")
    page.check("[name=confidence][value='2']")
    page.click("button[value=left]")
    page.wait_for_url("**/compare?recorded=yes")
    page.goto("/c/water/answers")
    page.click("button[value=dislike]")
    page.wait_for_url("**/answers?recorded=yes")
    page.goto("/c/water/results")
    assert "after 7 votes" in page.inner_text("main")
    page.goto("/c/water/mine")
    assert page.locator(".list >> nth=0").locator("li").count() == 4
    page.click("a:has-text('Withdraw')")
    page.check("#sure")
    page.click("button.warning")
    assert "You have withdrawn" in page.inner_text("h1")
    assert failed == [] and elsewhere == []
    page.context.close()


def test_after_a_vote_focus_is_on_the_next_statement_and_it_is_said(
    chromium: Any, live: Live
) -> None:
    page = visitor(chromium, live)
    join(page)
    page.goto("/c/water/vote")
    for _ in range(2):
        before = page.inner_text("h2.statement")
        # By keyboard alone: from the statement on, past the box, to Agree.
        page.focus("#important")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_function(
            "b => document.querySelector('h2.statement').innerText !== b", arg=before
        )
        assert page.evaluate("document.activeElement.id") == "statement"
        page.wait_for_function(
            "() => document.querySelector('[role=status]').innerText.includes('Recorded')"
        )
        assert page.get_attribute("[role=status]", "aria-live") == "polite"
    page.context.close()


@pytest.mark.parametrize("lang", ["en", "mi"])
def test_axe_finds_nothing_on_any_page_and_nothing_is_too_small_or_too_wide(
    chromium: Any, live: Live, lang: str
) -> None:
    axe_module = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    axe = axe_module.Axe()
    page = visitor(chromium, live)
    complaints: list[str] = []

    def look() -> None:
        no_sideways(page)
        for theme in ("light", "dark") if lang == "en" else ("light",):
            page.emulate_media(color_scheme=theme)
            page.wait_for_timeout(150)  # colours change by a transition
            for found in axe.run(page).response["violations"]:
                nodes = [node["html"][:120] for node in found["nodes"]][:3]
                complaints.append(f"{page.url} {theme} {found['id']}: {nodes}")
        small = page.evaluate(
            """() => [...document.querySelectorAll('main button, main a.button, nav a, footer a, .choice, .chip, summary')]
            .filter(e => e.checkVisibility() && (e.getBoundingClientRect().height < 43.5 || e.getBoundingClientRect().width < 43.5))
            .map(e => e.outerHTML.slice(0, 80))"""
        )
        complaints.extend(f"{page.url} small: {one}" for one in small)

    page.goto(f"/c/water?lang={lang}")
    look()
    page.goto("/c/water/join")
    look()
    join(page, lang)
    for _ in range(8):
        page.goto("/c/water/vote")
        page.click("button.vote.agree")
        page.wait_for_url("**/vote?recorded=*")
    look()
    for path in PAGES[1:]:
        page.goto(f"/c/water/{path}")
        assert page.get_attribute("html", "lang") == lang
        assert bool(page.locator(".draft").count()) == (lang == "mi")
        if path in ("compare", "answers"):
            page.click("summary")
        look()
    page.goto("/c/water/nothing-here")
    look()
    assert complaints == []
    page.context.close()


def test_the_first_page_is_small(live: Live) -> None:
    total = 0
    for path in ("/c/water", "/static/style.css", "/static/enhance.js", "/static/mark.svg"):
        total += len(httpx.get(live.url + path).content)
    assert total < 50_000, total


def test_a_language_written_from_the_right_turns_the_page(tmp_path: Path) -> None:
    from babel.messages.catalog import Catalog
    from babel.messages.mofile import write_mo

    catalogue = Catalog(locale="ar")
    catalogue.add("Vote", "تصويت")
    folder = tmp_path / "locale" / "ar" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "messages.mo").open("wb") as file:
        write_mo(file, catalogue)
    made = site(tmp_path / "store", locales=tmp_path / "locale")
    consultation(made.store, languages=["en", "ar"])
    browser = made.browser().join()
    page = browser.get("/c/water/vote?lang=ar").text
    assert '<html lang="ar" dir="rtl">' in page and "تصويت" in page
    # The statement keeps its own language, and its direction is found from its letters.
    assert re.search(r'<span lang="en" dir="auto">An assistant', page)
    styles = (Path(results.__file__).parent / "static" / "style.css").read_text()
    assert not re.search(
        r"(margin|padding|border)-(left|right)|[^-](left|right):|text-align: (left|right)", styles
    )


def test_the_language_switch_keeps_its_place_and_stays(tmp_path: Path) -> None:
    made = site(tmp_path / "store")
    consultation(made.store)
    browser = made.browser().join()
    page = browser.get("/c/water/compare").text
    link = re.search(r'href="([^"]+)" hreflang="mi"', page)
    assert link and link.group(1) == "/c/water/compare?lang=mi"
    assert '<html lang="mi"' in browser.get(link.group(1)).text
    # An invitation is not lost on the way.
    token = participants.invite(
        made.store, consultations.about(made.store, "water").id, 1, "tests"
    )[0]
    page = made.browser().get(f"/c/water/join?t={token}").text
    assert f'href="/c/water/join?t={token}&amp;lang=mi"' in page
    page = browser.get("/c/water/vote").text
    assert '<html lang="mi"' in page and "He whakamāoritanga hukihuki." in page
    assert "Draft translation" in page
    consent = browser.get("/c/water/consent").text
    assert '<p lang="en" dir="auto">This consultation is run by' in consent
    assert browser.client.get("/", headers={"Accept-Language": "mi, en;q=0.5"}).status_code == 200


def test_results_are_told_in_words_a_table_and_a_picture(tmp_path: Path) -> None:
    made = site(tmp_path / "store")
    what = consultation(made.store, results="everyone")
    crowd(made.store, what, 40)
    results.refresh(made.store, what)
    page = made.browser().get("/c/water/results").text
    assert 'role="img"' in page and "<title" in page and "<desc" in page
    assert "<caption>Sizes of the groups" in page
    last = snapshots.newest(made.store, consultations.about(made.store, "water").id)
    assert last is not None
    sizes = [str(group["people"]) for group in last.result["groups"]]
    assert all(f"<td>{size}</td>" in page for size in sizes) and sum(map(int, sizes)) == 40
    agreed = {row["text"] for row in last.result["agree"]}
    assert any("rule amber" in text for text in agreed)
    assert BASE not in page
