"""A statement keeps the language that its author chose, wherever it is shown; a long one folds."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from suffrage.server.store import statements
from suffrage.server.store.database_schema import vote
from suffrage.server.texts import FOLDED_FROM, SHOWN_OF_FOLDED, start_and_rest
from suffrage.server.watcher import recompute
from tests.server.browser import served, visitor
from tests.server.site import PASSWORD, Browser, Site, consultation, crowd, site

ARABIC = "يجب أن تكون في حديقتنا أشجار أكثر."
LONG = "Trees give shade to everybody who walks here in summer. " * 9


class Written(HTMLParser):
    """Finds a text in a page, each time with the language and direction it is marked with."""

    VOID = ("meta", "link", "input", "br", "img", "circle", "polygon", "rect", "path", "line")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.stack: list[tuple[str, str]] = [("", "")]
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            had, (lang, way) = dict(attrs), self.stack[-1]
            self.stack.append((had.get("lang") or lang, had.get("dir") or way))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            self.stack.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_data(self, data: str) -> None:
        if self.text in data:
            self.found.append(self.stack[-1])


def marks(page: str, text: str = ARABIC) -> set[tuple[str, str]]:
    reader = Written(text)
    reader.feed(page)
    assert reader.found, page
    return set(reader.found)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, Any, str]:
    """A consultation in two languages, in which most agree with a statement in the second."""
    made = site(tmp_path_factory.mktemp("town"))
    what = consultation(
        made.store, count=8, languages=["en", "ar"], results="everyone", statement_characters=1000,
        least_votes=1, embedded_by=["https://council.example"],
    )  # fmt: skip
    statements.add_seeds(made.store, what.id, [(LONG.strip(), "en")], "tests")
    author = made.browser().join()
    author.get("/c/water/statement/new")
    sent = author.send("/c/water/statement/new", text=ARABIC, language="ar")
    assert "We have your statement" in sent.text
    (written,) = [s for s in statements.list_statements(made.store, what.id) if s.text == ARABIC]
    assert written.language == "ar"
    member = made.staff(what, "owner")
    statements.moderate_statements(made.store, what.id, [written.id], "accepted", "ok", member.id)
    crowd(made.store, what, 60)
    with made.store.write() as c:
        # Nobody disagrees with it, so it comes first wherever there is an order.
        c.execute(vote.update().where(vote.c.statement_id == written.id).values(value=1))
    assert recompute(made.store, what, resamples=3)
    return made, what, written.id


@pytest.mark.slow
def test_a_statement_is_marked_with_its_language_on_every_page_of_participants(
    town: tuple[Site, Any, str],
) -> None:
    made, _, id = town
    person = made.browser("192.0.2.9").join()
    assert marks(person.get(f"/c/water/vote/{id}").text) == {("ar", "auto")}
    person.send("/c/water/vote", vote="agree")
    for path in ("results", "embed", "mine"):
        assert marks(person.get(f"/c/water/{path}").text) == {("ar", "auto")}, path
    person.get("/c/water/statement/new")
    near = person.send("/c/water/statement/new", text=ARABIC[:-1] + "!", language="ar").text
    assert "Others have said something like this" in near
    assert marks(near) == {("ar", "auto")}


@pytest.mark.slow
def test_a_statement_is_marked_with_its_language_on_every_page_of_organisers(
    town: tuple[Site, Any, str],
) -> None:
    made, what, id = town
    office, base = made.browser("192.0.2.8"), f"/admin/c/{what.id}"
    office.log_in()
    for path in (
        "statements?state=accepted", "statements/log", "groups", "principles",
        "translations?into=en",
    ):  # fmt: skip
        shown = office.get(f"{base}/{path}").text
        assert marks(shown) == {("ar", "auto")}, path
    assert "العربية" in office.get(f"{base}/statements?state=accepted").text
    office.get(f"{base}/principles")
    found = office.send(f"{base}/principles", what="find").text
    assert marks(found) == {("ar", "auto")}
    office.get(f"{base}/principles")
    office.send(
        f"{base}/principles", what="", text="Plant trees.", source=id, rationale="All agree."
    )
    assert marks(office.get(f"{base}/principles").text) == {("ar", "auto")}


def test_the_author_chooses_among_the_languages_of_the_consultation(
    town: tuple[Site, Any, str],
) -> None:
    made, _, _ = town
    author = made.browser("192.0.2.10").join()
    for lang in ("en", "ar"):
        page = author.get(f"/c/water/statement/new?lang={lang}").text
        assert f'name="language" value="{lang}" checked' in page
        assert page.count(" checked>") == 1
    author.get("/c/water/statement/new?lang=en")
    refused = author.send("/c/water/statement/new", text="Plus d'arbres.", language="fr")
    assert refused.status_code == 422 and "Choose a language of this consultation." in refused.text


@pytest.mark.parametrize(
    "text",
    [LONG, "Trees " * 60, "x" * 400, "أشجار كثيرة؟ " * 40, "One. " + "word " * 70, "Short."],
)
def test_a_cut_text_loses_nothing(text: str) -> None:
    start, rest = start_and_rest(text)
    joined = f"{start} {rest}".split() if " " in text else [start + rest]
    assert joined == text.split()
    assert bool(rest) == (len(text) > FOLDED_FROM)
    assert not rest or len(start) <= SHOWN_OF_FOLDED


@pytest.mark.slow
def test_a_long_statement_unfolds_before_the_buttons(
    town: tuple[Site, Any, str], chromium: Any
) -> None:
    made, what, _ = town
    (long,) = [s for s in statements.list_statements(made.store, what.id) if len(s.text) > 400]
    with served(made.app) as url:
        for scripts in (True, False):
            page = visitor(chromium, url, java_script_enabled=scripts)
            page.goto("/c/water/join")
            page.click("button.start")
            page.check("#take_part")
            page.click("main form button")
            rest = page.locator("details.rest p")
            for width in (320, 390, 1280):
                page.set_viewport_size({"width": width, "height": 800})
                page.goto(f"/c/water/vote/{long.id}")
                assert not rest.is_visible()
                page.click("details.rest summary")
                assert rest.is_visible()
                shown = page.inner_text("h2.statement").removesuffix(" …") + " " + rest.inner_text()
                assert shown.split() == LONG.split()
                assert below(page, "h2.statement", "details.rest p", ".votes")
            page.click("button.vote.agree")
            # With scripts the vote is sent while the page stays; leave once the next one is there.
            page.wait_for_function(
                "t => !document.querySelector('h2.statement')?.innerText.startsWith(t)",
                arg=LONG[:40].strip(),
            )
            page.goto("/c/water/mine")
            assert page.locator(".list details.rest").count() == 1
            # What may be said about two answers comes before the buttons that send it.
            for width, path in ((320, "compare"), (390, "answers"), (1280, "compare")):
                page.set_viewport_size({"width": width, "height": 800})
                page.goto(f"/c/water/{path}")
                page.click("summary")
                assert below(page, "summary", "#why", ".votes")
            # Whoever writes says in which language, and it is there that they are shown it.
            text = f"{ARABIC} {'أ' if scripts else 'ب'}"
            page.goto("/c/water/statement/new")
            assert page.locator("[name=language]:checked").get_attribute("value") == "en"
            page.get_by_label("العربية").check()
            page.fill("#text", text)
            page.get_by_role("button", name="Send").click()
            page.get_by_role("button", name="Mine is different").click()
            page.wait_for_url("**/statement/sent?*")
            page.goto("/c/water/mine")
            assert page.locator('[lang="ar"][dir="auto"]', has_text=text).count() == 1
            page.context.close()
        # Organisers read it where their page's lines begin, above its buttons.
        page = visitor(chromium, url)
        page.goto("/admin/login")
        page.fill("#email", "ana@example.org")
        page.fill("#password", PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.goto(f"/admin/c/{what.id}/statements?state=accepted")
        align = "getComputedStyle(document.querySelector('h2.said:lang(ar)')).textAlign"
        assert page.evaluate(align) == "left"
        page.context.close()


def below(page: Any, *selectors: str) -> bool:
    """Whether these stand one below the other."""
    tops = [page.locator(selector).bounding_box()["y"] for selector in selectors]
    return tops == sorted(tops)


@pytest.mark.slow
def test_a_long_statement_folds_also_where_voting_goes_on_by_itself(tmp_path: Path) -> None:
    # The page of a drawn statement is made once for everybody, but for those that fold.
    made = site(tmp_path / "store")
    what = consultation(made.store, count=1, statement_characters=1000)
    statements.add_seeds(made.store, what.id, [(LONG.strip(), "en")], "tests")
    person: Browser = made.browser().join()
    folded = set()
    for _ in range(2):
        page = person.get("/c/water/vote").text
        folded.add('class="rest"' in page)
        person.send("/c/water/vote", vote="agree")
    assert folded == {True, False}
