"""Chromium, a server that it can reach, and what holds of every page whatever it shows."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from suffrage.server.web.languages import languages

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
NARROW, WIDE = {"width": 320, "height": 700}, {"width": 1280, "height": 900}
WIDTHS = (320, 390, 768, 1280)
# A whole path is gone with scripts and without, in English and in te reo, narrow and wide. In both
# runs `no_sideways_at_any_width` looks at the pages.
RUNS = [
    pytest.param(True, NARROW, "mi", id="scripts-320-mi"),
    pytest.param(False, WIDE, "en", id="plain-1280-en"),
]


@contextmanager
def chromium_started() -> Iterator[Any]:
    """The browser. Skips where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The application at an address of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    began = time.monotonic()
    while not server.started and time.monotonic() - began < 60:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


def visitor(chromium: Any, url: str, **options: Any) -> Any:
    """A page of a browser without any cookie, English and narrow unless said otherwise."""
    options.setdefault("viewport", NARROW)
    options.setdefault("locale", "en")
    page = chromium.new_context(base_url=url, **options).new_page()
    page.set_default_timeout(30_000)
    return page


def texts(lang: str) -> Callable[..., str]:
    """What the pages call things in a language; with `more` in the form for so `num`."""
    translations = languages()[lang].translations

    def said(text: str, more: str = "", **values: Any) -> str:
        if more:
            return translations.ngettext(text, more, values["num"]) % values
        return translations.gettext(text) % values if values else translations.gettext(text)

    return said


# What sticks out where a page is wider than the screen, the innermost elements last.
STICKS_OUT = """() => {
  const page = document.documentElement;
  if (page.scrollWidth <= page.clientWidth) return [];
  const out = [...document.querySelectorAll("body *")].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width && (box.left < -0.5 || box.right > page.clientWidth + 0.5);
  }).map(one => one.outerHTML.slice(0, 90)).slice(-4);
  return [`${page.scrollWidth - page.clientWidth} pixels too wide`, ...out];
}"""


# A title on two lines once touched the edge of the bar at the top.
CRAMPED = """() => {
  const bar = document.querySelector("header.top"), name = document.querySelector("header .name");
  if (!bar || !name) return [];
  const words = document.createRange(), edge = bar.getBoundingClientRect();
  words.selectNodeContents(name);
  const box = words.getBoundingClientRect();
  return box.top - edge.top < 4 || edge.bottom - box.bottom < 4 ? [name.outerHTML] : [];
}"""


def no_sideways(page: Any) -> None:
    """Nothing makes the page wider than the screen (WCAG 2.2, 1.4.10)."""
    assert page.evaluate(STICKS_OUT) == [], page.url


def no_sideways_at_any_width(page: Any) -> None:
    """As `no_sideways`, at every width; the page has its own afterwards."""
    size = page.viewport_size
    for width in sorted(WIDTHS, key=lambda width: width == size["width"]):
        page.set_viewport_size({"width": width, "height": size["height"]})
        assert page.evaluate(STICKS_OUT) == [], f"{page.url} at {width} pixels"


SMALL = """() => [...document.querySelectorAll(
    'main button, main a.button, nav a, footer a, .choice, .chip, summary')]
  .filter(e => e.checkVisibility() &&
    (e.getBoundingClientRect().height < 43.5 || e.getBoundingClientRect().width < 43.5))
  .map(e => e.outerHTML.slice(0, 90))"""


# Words that stick out of what they are in, where the page itself is no wider than the screen.
SPILLS = """() => [...document.querySelectorAll("nav a, main button, main .card, main .acts")]
  .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)
  .map(e => e.outerHTML.slice(0, 90))"""


# What cannot be read whole, or pressed without hitting what is next to it.
CUT = """() => {
  const all = (css) => [...document.querySelectorAll(css)].filter(e => e.checkVisibility());
  const box = (e) => e.getBoundingClientRect(), html = (e) => e.outerHTML.slice(0, 90);
  const typed = all("main textarea, main input:not([type=file], [type=checkbox], [type=radio])");
  const cut = typed.filter(e => e.scrollWidth > e.clientWidth + 1 ||
    e.scrollHeight > e.clientHeight + 1);
  const captions = all(".scroll caption").filter(e => {
    const words = document.createRange();
    words.selectNodeContents(e);
    const place = box(e.closest(".scroll")), said = words.getBoundingClientRect();
    return said.right > place.right + 1 || said.left < place.left - 1;
  });
  const legends = all("main legend").filter(e =>
    parseFloat(getComputedStyle(e.parentElement).borderTopWidth) &&
    box(e).top < box(e.parentElement).top + 1);
  const pressed = all("main button, main a.button").map(e => [e, box(e)]);
  const near = pressed.filter(([e, a], at) => pressed.slice(at + 1).some(([f, b]) =>
    Math.max(a.left - b.right, b.left - a.right, a.top - b.bottom, b.top - a.bottom) < 3));
  // A word of a button that is on two lines, as in a table without room for it.
  const broken = pressed.map(([e]) => e).filter(e => {
    const texts = document.createTreeWalker(e, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      for (const word of texts.currentNode.data.matchAll(/\\S+/g)) {
        const letters = document.createRange();
        letters.setStart(texts.currentNode, word.index);
        letters.setEnd(texts.currentNode, word.index + word[0].length);
        if (new Set([...letters.getClientRects()].map(one => one.top)).size > 1) return true;
      }
    }
    return false;
  });
  return [...cut, ...captions, ...legends, ...near.map(([e]) => e), ...broken].map(html);
}"""


def picture(page: Any, name: str) -> None:
    """A screenshot, where SUFFRAGE_SCREENSHOTS names a folder."""
    folder = os.environ.get("SUFFRAGE_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
