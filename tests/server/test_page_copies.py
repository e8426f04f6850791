"""The checks of all pages see what they are there for: each finds a fault that is planted."""

from typing import Any

import pytest
from starlette.responses import HTMLResponse, PlainTextResponse

from tests.server.browser import served, visitor
from tests.server.page_copies import Inspector

STYLE = "main { display: block } .bar { width: 100px; height: 50px } button { min-height: 44px }"
PAGE = """<!doctype html><html lang="en"><title>A page</title>
<link rel="stylesheet" href="/style.css"><script src="/script.js"></script>
<main><h1>A page</h1>{}</main></html>"""
SCRIPT = 'addEventListener("load", () => document.querySelector("main").append(" "));'
# What a page has in it, its styles, and what is said of it. axe sees every other one in the dark.
FAULTS = {
    "low contrast in the dark": (
        '<p class="pale">Pale words.</p>',
        "@media (prefers-color-scheme: dark) { .pale { color: #aaa } }",
        "dark: color-contrast",
    ),
    "low contrast": ('<p class="pale">Pale words.</p>', ".pale { color: #aaa }", "color-contrast"),
    "no label": ("<input>", "", "label"),
    "an empty link": ('<a href="/x"></a>', "", "link-name"),
    "a list without items": ("<ul><p>One</p></ul>", "", "list"),
    "wide on small screens": (
        '<p class="wide">Words.</p>',
        "@media (max-width: 350px) { .wide { width: 400px } }",
        "at 320 pixels, light: usual text sticks out",
    ),
    "wide in large text": (
        '<p class="wide">Words.</p>',
        ".wide { width: 40rem }",
        "at 768 pixels, light: large text sticks out",
    ),
    "folded away": ('<details><summary>More</summary><input value="1"></details>', "", "label"),
    "small to press": ("<button>Go</button>", "button { height: 9px; min-height: 0 }", "is small"),
    "spilling words": (
        "<button>Gooooooooooooooo</button>",
        "button { width: 50px; white-space: nowrap }",
        "at 768 pixels, light: usual text spills",
    ),
    "cut words": (
        '<label>Say <input value="what is longer than its place"></label>',
        "input { width: 50px }",
        "at 390 pixels, light: usual text is cut",
    ),
    "a broken word": (
        "<button>Undo</button>",
        "button { width: 60px; font-size: 30px; overflow-wrap: anywhere }",
        "at 390 pixels, light: usual text is cut",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_every_planted_fault_is_found_and_a_good_page_has_none(
    chromium: Any, scripts: bool
) -> None:
    names = list(FAULTS)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        at = scope["path"].removeprefix("/")
        body, style, _ = FAULTS[names[int(at)]] if at.isdigit() else ("<p>Words.</p>", "", "")
        files = {
            "style.css": PlainTextResponse(STYLE, media_type="text/css"),
            "script.js": PlainTextResponse(SCRIPT, media_type="text/javascript"),
        }
        page = HTMLResponse(PAGE.format(f"<style>{style}</style>{body}"))
        await files.get(at, page)(scope, receive, send)

    with served(answer) as url:
        options = {"java_script_enabled": scripts, "viewport": {"width": 1280, "height": 800}}
        page = visitor(chromium, url, **options)
        inspector = Inspector(page, "en", [(1280, "light"), (1280, "dark")])
        page.goto("/good")
        inspector.look("good")
        for at, name in enumerate(names):
            page.goto(f"/{at}")
            inspector.look(name)
            # The same page again is not copied again.
            inspector.look(name)
        assert len(inspector.copies) == 1 + len(names)
        found = inspector.found().splitlines()
        page.context.close()
    for at, (name, (_, _, told)) in enumerate(FAULTS.items()):
        assert any(line.startswith(f"/{at} ") and told in line for line in found), (name, found)
    assert not [line for line in found if line.startswith("/good")]


def test_a_page_in_another_language_is_told(chromium: Any) -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await HTMLResponse(PAGE.format("<p>Words.</p>"))(scope, receive, send)

    with served(answer) as url:
        page = visitor(chromium, url)
        page.goto("/")
        inspector = Inspector(page, "mi")
        inspector.look("page")
        page.context.close()
    assert "is not as it should be" in inspector.complaints[0]
