"""Participants' pages in a language written from right to left, and in a second draft."""

from pathlib import Path
from typing import Any

import pytest

from tests.server.browser import Inspector, no_sideways, picture, served, texts, visitor
from tests.server.site import consultation, site

WIDTHS = (320, 390, 1280)


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["ar", "es"])
def test_people_take_part_in_their_language_at_every_width(
    tmp_path: Path, chromium: Any, lang: str
) -> None:
    made = site(tmp_path / "store")
    consultation(made.store, languages=["en", "ar", "es"], least_votes=1)
    _ = texts(lang)
    with served(made.app) as url:
        object.__setattr__(made.app.state.settings, "base_url", url)
        page = visitor(chromium, url, color_scheme="dark" if lang == "ar" else "light")
        page.set_default_timeout(120_000)
        inspector = Inspector(page, lang)

        def look(name: str) -> None:
            assert page.get_attribute("html", "dir") == ("rtl" if lang == "ar" else "ltr")
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                no_sideways(page)
                picture(page, f"{lang}-{name}-{width}")
            inspector.look(f"{lang}-{name}")

        page.goto(f"/c/water?lang={lang}")
        look("landing")
        page.locator("a.button.start").click()
        page.locator("main form button").last.click()
        look("consent")
        page.locator("#take_part").check()
        page.get_by_role("button", name=_("Save and continue")).click()
        page.goto("/c/water/vote")
        look("vote")
        page.get_by_role("button", name=_("Agree"), exact=True).click()
        page.goto("/c/water/mine")
        look("mine")
        page.context.close()
    assert inspector.complaints == []
