"""Participants' pages in a real browser: without JavaScript, by keyboard, offline and small."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from suffrage.server import web
from suffrage.server.store import consultations, invitations, stored_votes
from suffrage.server.store.stored_results import newest_results
from suffrage.server.watcher import recompute
from suffrage.server.web.languages import languages
from tests.server.browser import (
    RUNS,
    WIDTHS,
    no_sideways_at_any_width,
    served,
    texts,
    visitor,
)
from tests.server.forms import Forms
from tests.server.site import BASE, Site, consultation, crowd, site


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
    assert recompute(made.store, what)
    with served(made.app) as url:
        yield Live(made, url)


def join(page: Any, lang: str = "en") -> None:
    page.goto(f"/c/water/join?lang={lang}")
    page.click("button.start")
    page.check("#take_part")
    page.click("main form button")


def voters_on(live: Live, statement: str) -> int:
    what = consultations.find_consultation(live.site.store, "water")
    return sum(stored_votes.statement_tallies(live.site.store, what.id)[statement][2:])


@pytest.mark.parametrize(("scripts", "size", "lang"), RUNS)
def test_the_whole_path_of_a_participant(
    chromium: Any, live: Live, scripts: bool, size: dict[str, int], lang: str
) -> None:
    _ = texts(lang)
    page = visitor(chromium, live.url, viewport=size, java_script_enabled=scripts)
    forms = Forms(page)
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    elsewhere: list[str] = []
    page.on("request", lambda r: None if r.url.startswith(live.url) else elsewhere.append(r.url))

    def on(path: str, heading: str) -> None:
        page.wait_for_url(re.compile(f"/c/water/{path}"))
        assert page.inner_text("h1") == _(heading)
        assert page.get_attribute("html", "lang") == lang
        assert ("/c/water/consent" in page.url) or bool(page.locator(".draft").count()) == (
            lang == "mi"
        )
        no_sideways_at_any_width(page)

    def sends(button: Any) -> None:
        """A form that a script sends where there is one."""
        if not scripts:
            forms.press(button)
            return
        forms.reaches(button)
        button.click()

    page.goto("/c/water")
    if lang == "mi":
        page.click("text=Te reo Māori")
    page.click("a.start")
    forms.press(page.locator("button.start"))
    on("consent", "Before you start")
    page.click("main form button")
    assert _("To take part, tick the first box. If you do not want to, close this page.") in (
        page.inner_text("[role=alert]")
    )
    for box in ("#take_part", "#votes", "#texts"):
        page.check(box)
    forms.press(page.locator("main form button"))
    on("code", "Keep your code")
    page.locator("main a.button").click()
    on("about-you", "About you")
    page.check("#age-2")
    forms.press(page.locator("main form button").first)
    on("vote", "Vote on statements")
    for at, choice in enumerate(["agree", "disagree", "pass", "agree"], 1):
        before = page.inner_text("h2.statement")
        if at == 2:
            page.check("#important")
        page.click(f"button.vote.{choice}")
        if scripts:
            changed = "b => document.querySelector('h2.statement')?.innerText !== b"
            page.wait_for_function(changed, arg=before)
        told = _("%(done)s of %(all)s statements", done=at, all=12)
        assert told in page.inner_text(".progress")
        if not scripts:
            told = _("Recorded. %(done)s of %(all)s.", done=at, all=12)
            assert told in page.inner_text("[role=status]")
    page.get_by_role("link", name=_("Change my last vote")).click()
    page.click("button.vote.disagree")
    page.wait_for_url("**/mine?saved=vote")
    # Said a moment later with scripts, so that a screen reader hears it change.
    page.wait_for_selector(f"text={_('We have saved your change.')}")
    page.get_by_role("link", name=_("Write"), exact=True).click()
    on("statement/new", "Write a statement")
    page.fill("#text", "An assistant should follow rule amber about waters.")
    forms.press(page.locator("main form button"))
    assert _("Others have said something like this") in page.inner_text("[role=alert]")
    page.fill("#text", f"Ask what people mean first, {'with' if scripts else 'without'} haste.")
    page.click("main form button")
    on("statement", "We have your statement")
    page.get_by_role("link", name=_("Compare"), exact=True).click()
    on("compare", "Which answer is better?")
    page.click("summary")
    page.check("[name=confidence][value='2']")
    sends(page.locator("button[value=left]"))
    page.wait_for_url("**/compare?recorded=yes")
    page.get_by_role("link", name=_("Answers"), exact=True).click()
    on("answers", "Do you like this answer?")
    sends(page.locator("button[value=dislike]"))
    page.wait_for_url("**/answers?recorded=yes")
    page.locator(".menu").get_by_role("link", name=_("Results"), exact=True).click()
    on("results", "Results")
    # Four votes are not enough to see what others said; after three more they are, and after ten
    # it is said where one stands.
    assert page.locator("table").count() == 0
    page.locator("main a.button").click()
    for at in range(5, 11):
        page.set_viewport_size({"width": (320, 390, 1280)[at % 3], "height": size["height"]})
        page.click("button.vote.agree")
        told = _("%(done)s of %(all)s statements", done=at, all=12)
        page.wait_for_selector(f".progress:has-text('{told}')")
    page.set_viewport_size(size)
    page.goto("/c/water/results")
    assert page.locator("table").count() >= 1 and page.locator("figure svg").count() == 1
    assert page.locator("svg.bar").count() > 20 and page.locator("path.you").count() == 1
    assert _("Where you stand") in page.inner_text("main")
    no_sideways_at_any_width(page)
    page.get_by_role("link", name=_("My answers"), exact=True).click()
    on("mine", "My answers")
    assert page.locator(".list >> nth=0").locator("li").count() == 10
    with page.expect_download() as download:
        page.get_by_role("link", name=_("Download my answers")).click()
    assert '"statement"' in Path(download.value.path()).read_text()
    code = page.inner_text(".code .big")
    forms.press(page.get_by_role("button", name=_("Sign out")))
    page.goto("/c/water/join")
    page.fill("#code", code)
    forms.sent.clear()  # It goes where the form that starts goes.
    forms.press(page.get_by_role("button", name=_("Continue")).last)
    on("vote", "Vote on statements")
    page.goto("/c/water/mine")
    page.get_by_role("link", name=_("Withdraw"), exact=True).click()
    page.get_by_role("button", name=_("Withdraw and delete")).click()
    assert _("Tick the box to withdraw, or go back.") in page.inner_text("[role=alert]")
    page.check("#sure")
    forms.press(page.get_by_role("button", name=_("Withdraw and delete")))
    assert page.inner_text("h1") == _("You have withdrawn")
    assert failed == [] and elsewhere == []
    page.context.close()


def test_after_a_vote_focus_is_on_the_next_statement_and_it_is_said(
    chromium: Any, live: Live
) -> None:
    page = visitor(chromium, live.url)
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


@pytest.mark.slow
def test_the_mark_under_which_votes_are_kept_is_each_persons_own(live: Live) -> None:
    # Also where a page is made once for many people.
    marks = set()
    for ip in ("192.0.2.1", "192.0.2.2"):
        browser = live.site.browser(ip).join()
        own = {
            re.search(r'data-person="([^"]*)"', browser.get(f"/c/water/{page}").text).group(1)  # type: ignore[union-attr]
            for page in ("vote", "mine", "help", "vote")
        }
        assert len(own) == 1 and own != {""}
        marks |= own
    assert len(marks) == 2
    assert 'data-person=""' in live.site.browser().get("/c/water").text


def unsent(page: Any) -> int:
    """Votes that this browser keeps."""
    return int(
        page.evaluate(
            "Object.keys(JSON.parse(localStorage['suffrage-unsent:/c/water'] || '{}')"
            ".votes || {}).length"
        )
    )


def test_a_vote_that_cannot_be_sent_is_kept_and_sent_once_when_the_connection_is_back(
    chromium: Any, live: Live
) -> None:
    page = visitor(chromium, live.url)
    join(page)
    page.goto("/c/water/vote")
    id, text = page.input_value("[name=statement]"), page.inner_text("h2.statement")
    before = voters_on(live, id)
    page.context.set_offline(True)
    page.click("button.vote.agree")
    page.wait_for_selector("text=We could not send your vote.")
    # Another choice on the same statement takes the place of the first.
    page.click("button.vote.disagree")
    assert page.inner_text("h2.statement") == text and unsent(page) == 1
    assert voters_on(live, id) == before
    page.context.set_offline(False)
    page.wait_for_function("b => document.querySelector('h2.statement').innerText !== b", arg=text)
    page.wait_for_selector("text=Recorded. 1 of")
    assert unsent(page) == 0 and voters_on(live, id) == before + 1
    page.goto("/c/water/mine")
    mine = page.locator(".list >> nth=0").locator("li", has_text=text)
    assert mine.count() == 1 and "Disagree" in mine.inner_text()
    page.context.close()


def test_a_kept_vote_outlives_the_page_and_a_server_that_answers_with_a_fault(
    chromium: Any, live: Live
) -> None:
    page = visitor(chromium, live.url)
    join(page)
    page.goto("/c/water/vote")
    text = page.inner_text("h2.statement")
    page.route("**/c/water/vote", lambda route: route.fulfill(status=502, body="<p>Bad gateway"))
    page.click("button.vote.pass")
    page.wait_for_selector("text=We could not send your vote.")
    page.goto("/c/water/help")
    assert unsent(page) == 1
    page.unroute("**/c/water/vote")
    # The next page of theirs with a form sends it, and says so.
    page.goto("/c/water/mine")
    page.wait_for_selector("text=The vote kept on this device is now recorded.")
    assert unsent(page) == 0
    page.reload()
    assert text in page.inner_text(".list >> nth=0")
    page.context.close()


@pytest.mark.parametrize("way", ["leave", "withdraw", "lost"])
def test_on_a_shared_computer_no_kept_vote_waits_for_the_next_person(
    chromium: Any, live: Live, way: str
) -> None:
    page = visitor(chromium, live.url)
    join(page)
    page.goto("/c/water/vote")
    id = page.input_value("[name=statement]")
    before = voters_on(live, id)
    page.route("**/c/water/vote", lambda route: route.abort())
    page.click("button.vote.agree")
    page.wait_for_selector("text=We could not send your vote.")
    page.goto("/c/water/mine/withdraw" if way == "withdraw" else "/c/water/mine")
    if way == "leave":
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/c/water")
    elif way == "withdraw":
        page.check("#sure")
        page.get_by_role("button", name="Withdraw and delete").click()
    else:
        # The session ended elsewhere: nobody is in, so nobody's vote is kept.
        page.context.clear_cookies()
        page.goto("/c/water")
    assert unsent(page) == 0
    page.unroute("**/c/water/vote")
    join(page)
    page.goto("/c/water/vote")
    assert voters_on(live, id) == before
    page.context.close()


def test_the_first_page_is_small(live: Live) -> None:
    total = 0
    for path in ("/c/water", "/static/style.css", "/static/enhance.js", "/static/mark.svg"):
        total += len(httpx.get(live.url + path).content)
    assert total < 50_000, total


@pytest.mark.slow
def test_a_vote_is_small_in_every_language(tmp_path: Path) -> None:
    made = site(tmp_path / "store")
    consultation(made.store, languages=list(languages()))
    for code in languages():
        browser = made.browser().join()
        browser.get(f"/c/water/vote?lang={code}")
        sent = browser.send("/c/water/vote", vote="agree")
        assert f'<html lang="{code}"' in sent.text and "recorded=" in str(sent.url)
        # What is sent, and the page that comes back. The script loads no file again.
        whole = len(sent.history[0].request.content) + len(sent.content)
        assert whole < 5_000, (code, whole)


@pytest.mark.slow
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
    styles = (Path(web.__file__).parent / "static" / "style.css").read_text()
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
    token = invitations.create_invitations(
        made.store, consultations.find_consultation(made.store, "water").id, 1, "tests"
    )[0]
    page = made.browser().get(f"/c/water/join?t={token}").text
    assert f'href="/c/water/join?t={token}&amp;lang=mi"' in page
    page = browser.get("/c/water/vote").text
    assert '<html lang="mi"' in page and "He whakamāoritanga hukihuki." in page
    assert "Draft translation" in page
    consent = browser.get("/c/water/consent").text
    assert '<p lang="en" dir="auto">The council runs this consultation' in consent
    why = "There is no checked translation of this text in your language yet."
    assert texts("mi")(why) in consent
    assert why not in browser.get("/c/water/consent?lang=en").text


@pytest.mark.slow
def test_pages_of_no_consultation_are_in_the_language_that_the_browser_asks_for(
    tmp_path: Path,
) -> None:
    made = site(tmp_path / "store")
    missing = {texts(code)("Page not found") for code in languages()}
    assert len(missing) == len(languages())
    for code, language in languages().items():
        asks = {"Accept-Language": f"xx, {code}-ZZ;q=0.9, en;q=0.5"}
        for path in ("/c/unknown", "/c/unknown/vote", "/nothing-here", "/"):
            found = made.browser().get(path, headers=asks)
            assert found.status_code == (200 if path == "/" else 404)
            assert f'<html lang="{code}" dir="{language.direction}">' in found.text
            assert path == "/" or texts(code)("Page not found") in found.text
        # Organisers' pages are in fewer languages.
        page = made.browser().get("/admin/login", headers=asks).text
        shown = "en" if language.for_participants_only else code
        assert f'<html lang="{shown}"' in page
        told = f'<p class="notice" lang="{code}" dir="{language.direction}">'
        assert (told in page) == language.for_participants_only


def test_help_leads_to_whom_to_ask(tmp_path: Path) -> None:
    made = site(tmp_path / "store")
    for slug, contact, link in (
        ("mail", "council@example.org", "mailto:council@example.org"),
        ("page", "https://example.org/ask?us=1", "https://example.org/ask?us=1"),
        ("words", "Phone 01 234, or ask@example.org", ""),
        ("script", "javascript:alert(1)", ""),
    ):
        consultation(made.store, slug, contact=contact)
        page = made.browser().get(f"/c/{slug}/help").text
        assert contact in page
        assert (f'<a href="{link}">' in page) if link else (f">{contact}</p>" in page)


@pytest.mark.slow
def test_results_begin_with_the_finding_and_say_in_words_what_pictures_show(
    tmp_path: Path,
) -> None:
    made = site(tmp_path / "store")
    what = consultation(made.store, results="everyone")
    crowd(made.store, what, 40)
    recompute(made.store, what)
    page = made.browser().get("/c/water/results").text
    assert 'role="img"' in page and "<title" in page and "<desc" in page
    assert "<caption>Sizes of the groups" in page
    last = newest_results(
        made.store, consultations.find_consultation(made.store, "water").id, "participants"
    )
    assert last is not None
    sizes = [str(group["people"]) for group in last.result["groups"]]
    assert all(f"<td>{size}</td>" in page for size in sizes) and sum(map(int, sizes)) == 40
    rows = {row["id"]: row for row in last.result["all"]}
    assert "rule amber" in rows[last.result["agree"][0]]["text"]
    # Who, what most agree on and how sure that is stand before any list, picture or table.
    main = page[page.index("<main") :]
    first = main[: min(main.index("<ul"), main.index("<figure"), main.index("<table"))]
    words = re.sub(r"<[^>]+>", " ", first)
    top = rows[last.result["most_agree"][0]]
    assert "40 people gave 480 votes on 12 statements." in words
    assert top["text"] in words and f"voted on it, {top['everybody']['agree']}% agree" in words
    assert "How sure is this?" in words and "no invitation was needed" in words
    # Every statement has a bar for everybody and one for each group, and the same in words.
    every = main[main.index('id="every"') :]
    assert every.count("<svg") == 12 * 3 and len(re.findall(r"\d+% agree, \d+% dis", every)) == 36
    assert f'content="40 people took part. {top["everybody"]["agree"]}% agree:' in page
    assert f'<meta property="og:image" content="{BASE}/static/preview.png">' in page


@pytest.mark.slow
def test_everybody_can_read_the_results_when_it_has_closed_unless_organisers_keep_them(
    tmp_path: Path,
) -> None:
    made = site(tmp_path / "store")
    what = consultation(made.store)
    crowd(made.store, what, 40)
    recompute(made.store, what)
    assert "Only people who take part" in made.browser().get("/c/water/results").text
    consultations.set_settings(made.store, what.id, {"results": "everyone"}, "tests")
    assert "They are renewed when" in made.browser().get("/c/water/results").text
    consultations.set_phase(made.store, what.id, "closed", "tests")
    shown = made.browser().get("/c/water/results").text
    # What has closed is not renewed.
    assert "What we found" in shown and "They are renewed when" not in shown
    # Who comes to take part is told so, and where to go on.
    told = made.browser().get("/c/water/vote").text
    assert "This consultation has closed" in told and "to see, download or withdraw" in told
    assert 'class="button" href="/c/water/results"' in told and "where you stopped" not in told
    change = {"results_when_closed": "organisers"}
    consultations.set_settings(made.store, what.id, change, "tests")
    assert "have not published" in made.browser().get("/c/water/results").text


@pytest.mark.slow
def test_a_wide_or_narrow_printed_or_scriptless_results_page_holds_together(
    chromium: Any, live: Live
) -> None:
    what = consultations.find_consultation(live.site.store, "water")
    with opened_to_all(live, what.id):
        for scripts in (True, False):
            page = visitor(chromium, live.url, java_script_enabled=scripts)
            page.goto("/c/water/results")
            # Findings first: two statements of a list, the others behind one click.
            lists = (
                "[...document.querySelectorAll('section > ul.bars')].map(e => e.children.length)"
            )
            assert max(page.evaluate(lists)) <= 2
            every = page.locator("#every ~ details .bars")
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                assert not every.is_visible()
                page.locator("#every ~ details summary").click()
                assert every.is_visible()
                page.locator("#every ~ details summary").click()
            page.emulate_media(media="print")
            # Paper shows all: what is folded on the screen has its place there.
            heights = page.evaluate(MEASURED % "#every ~ details .bars > li")["heights"]
            assert len(heights) == 12 and min(heights) > 30, heights
            assert not page.locator("footer.foot").is_visible()
            page.emulate_media(media="screen")
            page.goto("/c/water/results?sort=agree")
            no_sideways_at_any_width(page)
            shares = page.locator("#every ~ details .told").all_inner_texts()
            agree = [int(text.split("%")[0]) for text in shares]
            assert agree == sorted(agree, reverse=True) and len(agree) == 12
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate(MEASURED % ".finding")["tops"][0] < 400
                widths = page.evaluate(MEASURED % "section > ul.bars svg.bar")["widths"]
                assert widths and min(widths) > 0.4 * min(width, 704), widths
            page.context.close()


# Where the elements of a selector begin, and how large they are.
MEASURED = """(() => {
  const boxes = [...document.querySelectorAll("%s")].map(e => e.getBoundingClientRect());
  return {
    tops: boxes.map(box => box.top + scrollY),
    widths: boxes.map(box => box.width),
    heights: boxes.map(box => box.height),
  };
})()"""


@contextmanager
def opened_to_all(live: Live, id: str) -> Iterator[None]:
    """Results are for everyone meanwhile."""
    consultations.set_settings(live.site.store, id, {"results": "everyone"}, "tests")
    yield
    consultations.set_settings(live.site.store, id, {"results": "participants"}, "tests")
