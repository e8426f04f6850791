"""The organisers' pages in a browser: accessible in both themes and widths, whole by keyboard, whole without scripts."""

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suffrage.consult.store import statements
from tests.consult.organising import PASSWORD, Office, fill_office, open_office

playwright_api = pytest.importorskip("playwright.sync_api")
axe_api = pytest.importorskip("axe_playwright_python.sync_playwright")
uvicorn = pytest.importorskip("uvicorn")

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = {
    "overview": "",
    "statements": "/statements",
    "held-back": "/statements?state=flagged",
    "accepted": "/statements?state=accepted",
    "decisions": "/statements/log",
    "seeds": "/seeds",
    "answers": "/answers",
    "participants": "/participants",
    "votes": "/participants/p1",
    "groups": "/groups",
    "principles": "/principles",
    "releases": "/releases",
    "audit": "/audit",
    "settings": "/settings",
}
# A figure in two dimensions, and tables, may scroll sideways (WCAG 2.2, 1.4.10); the page may not.
NARROW, WIDE = {"width": 320, "height": 640}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Office, str]]:
    where = str(tmp_path_factory.mktemp("office") / "store")
    fill_office(where)
    office = open_office(where)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(office.app, host="127.0.0.1", port=port, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.05)
    yield office, f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with playwright_api.sync_playwright() as started:
        found = started.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield found
        found.close()


def log_in(page: Any, url: str, role: str = "owner") -> None:
    page.set_default_timeout(60_000)
    page.goto(f"{url}/admin/login")
    page.get_by_label("Email address").fill(f"{role}@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/admin")


def picture(page: Any, name: str) -> None:
    """A screenshot, where SUFFRAGE_SCREENSHOTS names a folder."""
    folder = os.environ.get("SUFFRAGE_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/organise-{name}.png", full_page=True)


@pytest.mark.parametrize(
    ("size", "theme"), [(NARROW, "light"), (WIDE, "dark")], ids=["320-light", "1280-dark"]
)
def test_every_page_passes_axe_and_fits_the_screen(
    office: tuple[Office, str], browser: Any, size: dict[str, int], theme: str
) -> None:
    made, url = office
    context = browser.new_context(viewport=size, color_scheme=theme)
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    log_in(page, url)
    axe = axe_api.Axe()
    wrong = {}
    for name, path in PAGES.items():
        page.goto(f"{url}/admin/c/{made.about.id}{path}")
        picture(page, f"{name}-{size['width']}")
        found = axe.run(page).response["violations"]
        if found:
            wrong[name] = [
                (
                    v["id"],
                    v["nodes"][0]["html"][:200],
                    v["nodes"][0].get("failureSummary", "")[:300],
                )
                for v in found
            ]
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if over > 0:
            wrong[f"{name} is wider than the screen"] = [over]
    context.close()
    assert wrong == {} and faults == []


def test_a_moderator_works_through_the_queue_with_keys_alone(
    office: tuple[Office, str], browser: Any
) -> None:
    made, url = office
    page = browser.new_context(viewport=WIDE).new_page()
    log_in(page, url, "moderator")
    page.goto(f"{url}/admin/c/{made.about.id}/statements")
    cards = page.locator("article")
    before = cards.count()
    cards.nth(0).focus()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.id") == cards.nth(1).get_attribute("id")
    page.keyboard.press("k")
    first = page.evaluate("document.activeElement.id").removeprefix("s-")
    assert f"s-{first}" == cards.nth(0).get_attribute("id")
    page.keyboard.press("a")
    page.wait_for_url(re.compile("done=accepted"))
    assert statements.get(made.store, made.about.id, first).state == "accepted"
    assert page.locator("article").count() == before - 1
    # The focus is where the work goes on.
    second = page.evaluate("document.activeElement.id").removeprefix("s-")
    reason = page.locator(f"#r-{second}")
    if not reason.input_value():
        page.keyboard.press("r")
        assert page.evaluate("document.activeElement.id") == f"r-{second}"
        reason.select_option("unclear")
        page.locator(f"#s-{second}").focus()
    page.keyboard.press("r")
    page.wait_for_url(re.compile("done=rejected"))
    assert statements.get(made.store, made.about.id, second).state == "rejected"
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url(re.compile("done=undone"))
    assert statements.get(made.store, made.about.id, second).state == "pending"


def test_the_whole_path_works_without_scripts(office: tuple[Office, str], browser: Any) -> None:
    made, url = office
    context = browser.new_context(viewport=NARROW, java_script_enabled=False)
    page = context.new_page()
    log_in(page, url)
    page.get_by_role("link", name="How should a public assistant behave?").click()
    page.get_by_role("link", name="Seeds").click()
    page.get_by_label("Statements, one a line").fill("It should know the bus times.")
    page.get_by_role("button", name="Put them in").click()
    assert page.get_by_role("status").inner_text() == "1 statement is in."
    page.get_by_role("link", name="Statements", exact=True).click()
    sing = page.locator("article", has_text="It should be able to sing.")
    if sing.count():
        sing.get_by_label("Reason").select_option("off_topic")
        sing.get_by_role("button", name="Reject").click()
        assert "1 statement rejected." in page.get_by_role("status").inner_text()
    page.get_by_role("link", name="Participants").click()
    person = page.locator("li.card").first
    person.get_by_role("button", name="Leave out").click()
    assert "Left out of every count" in page.get_by_role("status").inner_text()
    page.get_by_role("link", name="Groups").click()
    page.get_by_role("button", name="Compute now").click()
    assert page.locator("svg.plane").count() == 1
    page.get_by_role("link", name="Principles").click()
    page.get_by_label("Principle", exact=True).first.fill("Say what you do not know.")
    page.get_by_label("The assistant should say so when it does not know.").check()
    page.get_by_role("button", name="Save").first.click()
    assert "The principle is saved." in page.get_by_role("status").inner_text()
    page.get_by_role("link", name="Audit log").click()
    assert page.get_by_text("The chain is whole").count() == 1
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Closed: nothing more is taken").check()
    page.get_by_role("button", name="Change the phase").click()
    assert "The phase is changed." in page.get_by_role("status").inner_text()
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{url}/admin/c/{made.about.id}")
    assert page.get_by_label("Password").count() == 1
    context.close()
