"""Every page of participants in every language: by axe, at every width, in large text."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from suffrage.server.store import consultations
from suffrage.server.watcher import recompute
from suffrage.server.web.picture import groups_picture
from tests.server.browser import WIDTHS, served, texts, visitor
from tests.server.page_copies import Inspector
from tests.server.site import Site, consultation, crowd, site

# axe takes its time: it sees a page once in each language, at widths and in themes that go round.
LOOKS = [(width, theme) for theme in ("light", "dark") for width in (320, 390, 1280)]
OPEN = ("", "join", "consent", "code", "about-you", "vote", "statement/new", "compare", "answers",
    "mine", "mine/withdraw", "withdrawn?receipt=7:0123456789abcdef", "results",
    "results?sort=agree", "moderation-policy", "privacy", "help", "news", "embed",
    "nothing-here")  # fmt: skip


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, str]]:
    """A consultation in four languages, one of them written from the right, with results."""
    made = site(tmp_path_factory.mktemp("live"))
    what = consultation(
        made.store, languages=["en", "mi", "es", "ar"], least_votes=1, results="everyone",
        embedded_by=["https://council.example"], contact="council-of-the-town@long-address.example",
    )  # fmt: skip
    crowd(made.store, what, 30)
    assert recompute(made.store, what, resamples=3)
    with served(made.app) as url:
        object.__setattr__(made.app.state.settings, "base_url", url)
        yield made, url


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["en", "ar"])
def test_words_of_another_language_begin_where_the_lines_of_the_page_begin(
    chromium: Any, live: tuple[Site, str], lang: str
) -> None:
    page = visitor(chromium, live[1], viewport={"width": 390, "height": 800})
    page.goto(f"/c/water/results?lang={lang}")
    look = "getComputedStyle(document.querySelector('%s')).%s"
    quote = page.evaluate(look % (".finding blockquote", "textAlign"))
    assert quote == ("right" if lang == "ar" else "left")
    # English words have English marks around them, whatever the language of the page.
    assert page.get_attribute(".finding blockquote", "lang") == "en"
    assert page.evaluate(look % (".finding blockquote", "quotes")) == '"“" "”"'
    page.goto("/c/water")
    assert page.evaluate(look % ("h1", "textAlign")) == quote
    assert page.evaluate(look % (".lead", "textAlign")) == quote
    assert page.evaluate(look % (".name a", "textAlign")) == quote
    # The consent is in English, as is its side of the page; a tick stands where its text begins.
    page.goto("/c/water/join")
    page.click("button.start")
    text = page.locator("label[for=votes] > span").bounding_box()
    assert page.locator("#votes").bounding_box()["x"] < text["x"] < 100
    assert page.evaluate(look % (".reading p", "direction")) == "ltr"
    page.context.close()


@pytest.mark.parametrize("word", ["You", "Ko koe", "Usted"])
def test_the_word_at_the_readers_mark_covers_no_name_of_a_group(word: str) -> None:
    groups = [
        {"people": 30, "place": (0.0, 0.5), "name": "A", "colour": 0},
        {"people": 20, "place": (1.0, 1.0), "name": "B", "colour": 1},
        {"people": 20, "place": (1.0, 0.0), "name": "C", "colour": 2},
    ]
    half = 4 * len(word)
    for x, y in ((x / 10, y / 10) for x in range(-5, 16) for y in range(-5, 16)):
        drawn = str(groups_picture(groups, "Groups", "Groups", (x, y), word))
        *names, you = re.findall(r'<text(?: class="you")? x="(-?\d+)" y="(-?\d+)">', drawn)
        assert half <= int(you[0]) <= 320 - half and 10 <= int(you[1]) <= 198
        for name in names:
            across, down = (abs(int(you[at]) - int(name[at])) for at in (0, 1))
            assert across > half + 7 or down > 14, (x, y)


def goes_everywhere(look: Callable[[str], None], page: Any, made: Site, lang: str) -> None:
    """Take part once, and look at every page on the way."""
    _ = texts(lang)

    def shown(name: str, act: Callable[[], Any]) -> None:
        with page.expect_navigation():
            act()
        look(name)

    page.goto(f"/c/water?lang={lang}")
    assert page.get_attribute("html", "dir") == ("rtl" if lang == "ar" else "ltr")
    page.goto("/c/water/join")
    page.fill("#code", "1234")
    shown("join-refused", page.get_by_role("button", name=_("Continue"), exact=True).click)
    page.goto("/c/water/join")
    page.click("button.start")
    shown("consent-refused", page.locator("main form button").click)
    page.check("#take_part")
    page.click("main form button")
    page.goto("/c/water/vote")
    page.click("button.vote.agree")
    page.wait_for_url("**/vote?recorded=*")
    look("vote-recorded")
    for path in OPEN:
        page.goto(f"/c/water/{path}" + (f"?lang={lang}" if path == "embed" else ""))
        look(path.replace("/", "-") or "landing")
    page.goto("/c/unknown")
    look("missing-consultation")
    page.goto("/")
    look("front")
    page.goto("/c/water/statement/new")
    shown("statement-refused", page.get_by_role("button", name=_("Send")).click)
    page.fill("#text", "An assistant should follow rule amber about the water.")
    shown("statement-near", page.get_by_role("button", name=_("Send")).click)
    shown("statement-sent", page.get_by_role("button", name=_("Mine is different: send it")).click)
    page.goto("/c/water/mine/withdraw")
    shown("withdraw-refused", page.get_by_role("button", name=_("Withdraw and delete")).click)
    what = consultations.find_consultation(made.store, "water")
    consultations.set_phase(made.store, what.id, "closed", "tests")
    try:
        for path in ("", "join", "vote", "compare", "statement/new"):
            page.goto(f"/c/water/{path}")
            look(f"closed-{path.replace('/', '-') or 'landing'}")
    finally:
        consultations.set_phase(made.store, what.id, "open", "tests")


@pytest.mark.slow
@pytest.mark.parametrize(("first", "lang"), enumerate(["en", "mi", "es", "ar"]))
def test_every_page_can_be_read_in_every_language_with_scripts_and_without(
    chromium: Any, live: tuple[Site, str], first: int, lang: str
) -> None:
    made, url = live
    failed: list[str] = []
    page = visitor(chromium, url)
    pages = [page]
    # Words change neither a colour nor what is there without scripts. Both are seen in English, and
    # in Arabic, where the page is turned about and says that it is a draft.
    whole = lang in ("en", "ar")
    looks = LOOKS[first:] + LOOKS[:first]
    inspector = Inspector(page, lang, looks, WIDTHS, contrast=whole)
    page.on("pageerror", lambda error: failed.append(str(error)))
    goes_everywhere(lambda name: inspector.look(f"{name}-{lang}"), page, made, lang)
    if whole:
        # Only the pages that look different without scripts are examined again.
        plain = visitor(chromium, url, java_script_enabled=False)
        pages.append(plain)
        inspector.follow(plain)
        goes_everywhere(lambda name: inspector.look(f"{name}-{lang}-plain"), plain, made, lang)
    assert failed == []
    assert inspector.found() == ""
    for one in pages:
        one.context.close()
