"""What other sites and programs get: a page in a frame, results as files, and news."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from starlette.responses import HTMLResponse

from suffrage.errors import InputError
from suffrage.server.store import consultations, statements
from suffrage.server.store import database_schema as schema
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.site_origins import MOST_ORIGINS, origin_of, origins_of
from suffrage.server.store.stored_results import newest_results
from suffrage.server.watcher import recompute
from suffrage.server.web import news
from tests.server.browser import picture, served, visitor
from tests.server.page_copies import Inspector
from tests.server.site import BASE, PASSWORD, Site, consultation, crowd, site

COUNCIL = "https://www.council.example"
FILES = ("results.json", "results.csv", "feed.atom")
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, StoredConsultation]:
    """A consultation with results that everybody may see, embedded by a council."""
    made = site(tmp_path_factory.mktemp("town"))
    what = consultation(made.store, results="everyone", embedded_by=[COUNCIL + "/"])
    crowd(made.store, what, 40)
    assert recompute(made.store, what, resamples=3)
    return made, what


@contextmanager
def changed(town: tuple[Site, StoredConsultation], **settings: Any) -> Iterator[None]:
    """The settings are others meanwhile."""
    made, what = town
    before = consultations.find_consultation(made.store, what.slug).settings
    kept = {name: getattr(before, name) for name in settings}
    consultations.set_settings(made.store, what.id, settings, "tests")
    yield
    consultations.set_settings(made.store, what.id, kept, "tests")


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://www.council.example", COUNCIL),
        (" HTTPS://WWW.Council.Example:443/ ", COUNCIL),
        ("https://council.example:8443", "https://council.example:8443"),
        # RFC 3492: the letters of the name as the domain name system has them.
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://localhost:8000", "http://localhost:8000"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(written: str, origin: str) -> None:
    assert origin_of(written) == origin


@pytest.mark.parametrize(
    "written",
    [
        "http://council.example",
        "https://council.example/parks",
        "https://*.council.example",
        "https://council.example; script-src *",
        "https://a.example,https://b.example",
        "https://me@council.example",
        "https://council.example:0",
        "https://",
        "*",
        "null",
        "data:text/html,x",
        "https://a\r\nX: y",
    ],
)
def test_what_is_no_origin_is_refused(written: str) -> None:
    with pytest.raises(InputError, match="not the address of a site"):
        origin_of(written)
    with pytest.raises(ValueError, match="not the address of a site"):
        consultations.ConsultationSettings.model_validate({"embedded_by": [written]})


def test_origins_are_counted_once_and_not_without_end() -> None:
    assert origins_of("https://a.example\n\n https://a.example/ https://b.example") == [
        "https://a.example",
        "https://b.example",
    ]
    with pytest.raises(InputError, match="at most 20"):
        origins_of("\n".join(f"https://{n}.example" for n in range(MOST_ORIGINS + 1)))


@pytest.mark.slow
def test_only_the_page_for_it_can_be_framed_and_only_by_sites_that_were_named(
    town: tuple[Site, StoredConsultation],
) -> None:
    browser = town[0].browser().join()
    framed = browser.get("/c/water/embed")
    assert framed.status_code == 200
    assert f"frame-ancestors {COUNCIL};" in framed.headers["content-security-policy"]
    assert "x-frame-options" not in framed.headers
    for path in ("", "/vote", "/results", "/results.json", "/news", "/join", "/mine", "/nowhere"):
        found = browser.get(f"/c/water{path}")
        assert "frame-ancestors 'none'" in found.headers["content-security-policy"], path
        assert found.headers["x-frame-options"] == "DENY", path
    with changed(town, embedded_by=[]):
        found = browser.get("/c/water/embed")
        assert found.status_code == 404 and found.headers["x-frame-options"] == "DENY"
    assert town[0].browser().get("/admin/login").headers["x-frame-options"] == "DENY"


@pytest.mark.slow
@pytest.mark.parametrize("path", ["embed", *FILES])
def test_what_other_sites_get_is_the_same_for_everybody_and_sets_no_cookie(
    town: tuple[Site, StoredConsultation], path: str
) -> None:
    nobody = town[0].browser().get(f"/c/water/{path}")
    assert "set-cookie" not in nobody.headers
    person = town[0].browser("192.0.2.7").join()
    for _ in range(8):
        person.vote()
    # Also in a language chosen before, and where results are for those who took part.
    person.get("/c/water/help?lang=mi")
    assert person.get(f"/c/water/{path}").text == nobody.text
    with changed(town, results="participants"):
        hidden = person.get(f"/c/water/{path}")
        assert hidden.text == town[0].browser().get(f"/c/water/{path}").text
        assert "rule amber" not in hidden.text and "40 people" not in hidden.text
        assert 'class="finding"' in person.get("/c/water/results").text


def test_the_embedded_page_has_the_finding_and_leads_out_of_the_frame(
    town: tuple[Site, StoredConsultation],
) -> None:
    page = town[0].browser().get("/c/water/embed").text
    assert "40 people gave 480 votes on 12 statements." in page and "How sure is this?" in page
    assert "<form" not in page and "<script" not in page
    links = re.findall(r"<a [^>]*>", page)
    assert len(links) == 2 and all('target="_top"' in link for link in links)
    assert '<html lang="mi"' in town[0].browser().get("/c/water/embed?lang=mi").text


@pytest.mark.slow
def test_the_files_have_the_numbers_of_the_page(town: tuple[Site, StoredConsultation]) -> None:
    made, what = town
    client = made.browser().client
    page = client.get("/c/water/results").text
    told = client.get("/c/water/results.json").json()
    assert (told["people"], told["votes"]) == (40, 480)
    assert "40 people gave 480 votes on 12 statements." in page
    last = newest_results(made.store, what.id, "participants")
    assert last is not None and told["results"]["all"] == last.result["all"]
    private = {"plane", "extremity", "left_out", "held", "touched", "withdrawn", "counted_from"}
    assert not private & set(told["results"])
    assert told["log_head"].split(":")[0] in page and told["licence"] == "CC-BY-4.0"
    text = client.get("/c/water/results.csv").text
    assert text.startswith("\ufeffstatement,")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    words = unescape(re.sub(r"<[^>]+>", " ", page[page.index('id="every"') :]))
    everybody = [row for row in rows if row["group"] == "everybody"]
    assert len(everybody) == 12
    for row in everybody:
        assert f"{row['agree']}% agree, {row['disagree']}% disagree, {row['passed']}% pass" in words
        assert row["text"] in words
        assert f"Range of agreement: {row['agree_low']}% to {row['agree_high']}%" in words
    names = {group["name"] for group in told["results"]["groups"]}
    assert {row["group"] for row in rows} == {"everybody", *names}
    shown = {(row["id"], name): one["agree"]
        for row in told["results"]["all"]
        for name, one in zip(sorted(names), row["groups"], strict=True) if one}  # fmt: skip
    groups = {(r["statement"], r["group"]): int(r["agree"]) for r in rows if r not in everybody}
    assert groups == shown


@pytest.mark.slow
def test_shares_of_few_people_are_in_no_file(tmp_path: Path) -> None:
    made = site(tmp_path / "store")
    what = consultation(made.store, results="everyone")
    people = crowd(made.store, what, 40)
    rare, of_group = [s.id for s in statements.list_statements(made.store, what.id)][:2]
    vote = schema.vote
    with made.store.write() as c:
        c.execute(
            vote.delete().where(vote.c.statement_id == rare, vote.c.participant_id.in_(people[9:]))
        )
        third = people[::3]
        c.execute(
            vote.delete().where(
                vote.c.statement_id == of_group, vote.c.participant_id.in_(third[2:])
            )
        )
    recompute(made.store, what, resamples=3)
    client = made.browser().client
    told = client.get("/c/water/results.json").json()["results"]["all"]
    assert rare not in {row["id"] for row in told}
    rows = list(csv.DictReader(io.StringIO(client.get("/c/water/results.csv").text)))
    assert rare not in {row["\ufeffstatement"] for row in rows}
    groups = [r["group"] for r in rows if r["\ufeffstatement"] == of_group]
    assert "everybody" in groups and len(groups) < 3
    assert all(int(r["voters"]) >= (10 if r["group"] == "everybody" else 5) for r in rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"results": "organisers"}, "hidden"),
        ({"results": "participants"}, "join"),
        ({"least_people": 41}, "people"),
    ],
)
def test_files_say_why_there_is_nothing_to_read(
    town: tuple[Site, StoredConsultation], settings: dict[str, Any], why: str
) -> None:
    client = town[0].browser().client
    with changed(town, **settings):
        for path in FILES[:2]:
            found = client.get(f"/c/water/{path}")
            assert found.status_code == 404 and found.headers["access-control-allow-origin"] == "*"
            assert "rule amber" not in found.text
        assert client.get("/c/water/results.json").json()["error"]["reason"] == why
        assert "final-results" not in client.get("/c/water/feed.atom").text
        assert "Use these results" not in client.get("/c/water/results").text
    assert "/c/water/results.csv" in client.get("/c/water/results").text


@pytest.mark.slow
def test_other_sites_scripts_may_read_the_files_and_nothing_else(
    town: tuple[Site, StoredConsultation],
) -> None:
    client = town[0].browser().client
    for path in FILES:
        found = client.get(f"/c/water/{path}", headers={"Origin": COUNCIL})
        assert found.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in found.headers
        assert found.headers["cross-origin-resource-policy"] == "cross-origin"
        # Not sent again while it is the same, also through a proxy that compresses.
        tag = found.headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}'):
            again = client.get(f"/c/water/{path}", headers={"If-None-Match": known})
            assert again.status_code == 304 and again.content == b""
            assert again.headers["access-control-allow-origin"] == "*"
        assert client.get(f"/c/water/{path}", headers={"If-None-Match": '"x"'}).content
    for path in ("/c/water", "/c/water/results", "/c/water/embed", "/api/v1/c/water/results"):
        assert "access-control-allow-origin" not in client.get(path).headers


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_an_officer_names_a_site_and_copies_what_it_needs(
    tmp_path: Path, chromium: Any, scripts: bool
) -> None:
    made = site(tmp_path / "store")
    what = consultation(made.store)
    made.staff(what, "owner")
    with served(made.app) as url:
        object.__setattr__(made.app.state.settings, "base_url", url)
        page = visitor(chromium, url, java_script_enabled=scripts)
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto("/admin/login")
        page.fill("#email", "ana@example.org")
        page.fill("#password", PASSWORD)
        page.click("main form button")
        page.goto(f"/admin/c/{what.id}/settings")
        page.get_by_role("link", name="On your own site").click()
        assert page.locator("#frame").count() == 0
        page.get_by_label("Sites that may show the results").fill("council.example")
        page.get_by_role("button", name="Save").click()
        problem = page.inner_text("#sites-problem")
        assert "write it as https://www.example.org" in problem
        page.get_by_label("Sites that may show the results").fill(f"{COUNCIL}/\n{url}")
        page.get_by_role("button", name="Save").click()
        inspector = Inspector(page, "en")
        inspector.look("officer-embedding")
        assert inspector.found() == ""
        if scripts:
            page.get_by_role("button", name="Copy Paste this into your page").click()
            page.wait_for_selector("text=Copied.")
            taken = page.evaluate("navigator.clipboard.readText()")
        else:
            assert page.get_by_role("button", name=re.compile("Copy")).count() == 0
            taken = page.input_value("#frame")
        kept = consultations.find_consultation(made.store, "water").settings
        assert kept.embedded_by == (COUNCIL, url)
        # What was copied works where it is pasted.
        shown = visitor(chromium, url)
        shown.route(
            url + "/pasted", lambda route: route.fulfill(body=taken, content_type="text/html")
        )
        shown.goto("/pasted")
        assert "Talking about water" in shown.frames[1].locator("h1").inner_text()
        assert shown.get_attribute("iframe", "title") == "Talking about water"
        for box in page.locator("textarea[readonly]").all()[1:]:
            assert shown.request.get(box.input_value()).status in (200, 404)
        page.context.close()
        shown.context.close()


@contextmanager
def another_site(frames: list[str]) -> Iterator[str]:
    """A site of somebody else, whose page has a frame for each address."""
    page = "<!doctype html><title>Council</title><h1>Our parks</h1>" + "".join(
        f'<iframe src="{one}" width="100%" height="640"></iframe>' for one in frames
    )

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await HTMLResponse(page)(scope, receive, send)

    with served(answer) as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_a_browser_shows_the_frame_on_the_site_that_was_named_and_on_no_other(
    town: tuple[Site, StoredConsultation], chromium: Any, scripts: bool
) -> None:
    made, _ = town
    with served(made.app) as url:
        addresses = [f"{url}/c/water/{path}" for path in ("embed", "results", "vote")]
        with another_site(addresses) as council, another_site(addresses) as stranger:
            page = visitor(chromium, url, java_script_enabled=scripts)
            # Ports are no part of a cookie's site, so this session reaches the frames.
            page.goto("/c/water/join")
            page.click("button.start")
            page.check("#take_part")
            page.click("main form button")
            with changed(town, embedded_by=[council]):
                for width in (320, 390, 1280):
                    page.set_viewport_size({"width": width, "height": 800})
                    page.goto(council)
                    embedded, *others = page.frames[1:]
                    assert "40 people gave" in embedded.locator("main").inner_text()
                    assert embedded.locator("#you").count() == 0
                    assert (
                        embedded.locator("body").evaluate("b => b.scrollWidth - b.clientWidth") <= 0
                    )
                    # Its other pages have buttons that a site around them could have pressed.
                    assert [one.locator("main").count() for one in others] == [0, 0]
                picture(page, f"embedded-{scripts}")
                embedded.locator("a.button").first.click()
                page.wait_for_url(f"{url}/c/water")
                assert page.locator("a.button.start").count() == 1
                page.goto(stranger)
                assert [one.locator("main").count() for one in page.frames[1:]] == [0, 0, 0]
            page.goto(council)
            assert [one.locator("main").count() for one in page.frames[1:]] == [0, 0, 0]
            page.context.close()


@pytest.mark.slow
def test_scripts_of_another_site_read_the_files_and_not_the_pages(
    town: tuple[Site, StoredConsultation], chromium: Any
) -> None:
    with served(town[0].app) as url, another_site([]) as stranger:
        page = visitor(chromium, stranger)
        page.goto(stranger)
        read = "u => fetch(u, {credentials: 'omit'}).then(r => r.text(), () => 'refused')"
        for path in FILES:
            assert page.evaluate(read, f"{url}/c/water/{path}") != "refused"
        for path in ("results", "embed", "mine"):
            assert page.evaluate(read, f"{url}/c/water/{path}") == "refused"
        page.context.close()


@pytest.mark.slow
def test_a_draft_is_given_to_no_other_site(tmp_path: Path) -> None:
    made = site(tmp_path / "store")
    what = consultation(made.store, embedded_by=[COUNCIL], results="everyone")
    consultations.set_phase(made.store, what.id, "draft", "tests")
    made.staff(what, "owner")
    staff = made.browser()
    staff.log_in()
    for path in ("embed", *FILES):
        assert staff.get(f"/c/water/{path}").status_code == 404
    assert "feed.atom" not in staff.get("/c/water").text


def entries(made: Site, lang: str = "en") -> dict[str, ET.Element]:
    """The entries of the feed by their titles."""
    text = made.browser().get(f"/c/water/feed.atom?lang={lang}").text
    return {
        str(one.findtext(f"{ATOM}title")): one for one in ET.fromstring(text).iter(f"{ATOM}entry")
    }


@pytest.mark.slow
def test_a_feed_says_when_it_opened_and_closed_and_what_was_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = site(tmp_path / "store")
    what = consultation(
        made.store, results="everyone", closes="2099-12-01T17:00:00+00:00", moderation="before"
    )
    people = crowd(made.store, what, 40)
    written = [
        statements.propose_statement(made.store, what.id, people[n], text, "en").id
        for n, text in enumerate(("Ask <first>, then & answer.", "Sing.", "Dance more often."))
    ]
    member = made.staff(what, "owner")
    mine = (made.store, what.id)
    statements.moderate_statements(*mine, written[:2], "accepted", "ok", member.id)
    statements.moderate_statements(*mine, written[2:], "rejected", "off_topic", member.id)
    # While the day goes on, nothing is said of its decisions.
    assert set(entries(made)) == {"You can take part now"}
    tomorrow = news.now() + news.DAY
    monkeypatch.setattr(news, "now", lambda: tomorrow)
    found = entries(made)
    assert "until 1 December 2099, 17:00" in found["You can take part now"].findtext(
        f"{ATOM}summary", ""
    )
    said = found["Statements were read"].findtext(f"{ATOM}summary", "")
    assert said.endswith("Shown to everybody: 2. Not shown: 1.")
    assert "Sing." not in made.browser().get("/c/water/feed.atom").text
    recompute(made.store, what, resamples=3)
    # The moment of a step would tell when somebody voted: only its day is given, or the opening.
    opened = consultations.find_consultation(made.store, "water").opened or 0
    since = datetime.fromtimestamp(opened / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with made.store.write() as c:
        c.execute(schema.results.update().values(created=opened + 1))
    assert entries(made)["New results"].findtext(f"{ATOM}updated") == since
    with made.store.write() as c:
        c.execute(schema.results.update().values(created=opened + 3 * news.DAY + 5000))
    result = entries(made)["New results"]
    assert result.findtext(f"{ATOM}updated", "").endswith("T00:00:00Z")
    ids = {title: one.findtext(f"{ATOM}id") for title, one in entries(made).items()}
    consultations.set_phase(made.store, what.id, "closed", "tests")
    closed = entries(made)
    assert next(iter(closed)) in ("Voting has ended", "The results are out", "Statements were read")
    assert {"Voting has ended", "The results are out"} < set(closed) and "New results" not in closed
    assert all(closed[t].findtext(f"{ATOM}id") == id for t, id in ids.items() if t in closed)
    assert len({one.findtext(f"{ATOM}id") for one in closed.values()}) == len(closed)
    updated = [str(one.findtext(f"{ATOM}updated")) for one in closed.values()]
    assert updated == sorted(updated, reverse=True)
    for one in updated:
        datetime.strptime(one, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    consultations.set_phase(made.store, what.id, "open", "tests")
    assert "You can take part again" in entries(made)


def test_one_that_was_imported_closed_opens_for_the_first_time(tmp_path: Path) -> None:
    made = site(tmp_path / "store")
    settings = consultations.ConsultationSettings(organiser="The council", contact="council")
    what = consultations.create_consultation(made.store, "water", {"en": "Water"}, {}, settings)
    consultations.set_phase(made.store, what.id, "closed", "tests")
    consultations.set_phase(made.store, what.id, "open", "tests")
    assert {"You can take part now", "You can take part again"} & set(entries(made)) == {
        "You can take part now"
    }


@pytest.mark.slow
def test_a_feed_is_one_that_readers_can_read_and_that_pages_name(
    town: tuple[Site, StoredConsultation],
) -> None:
    made, what = town
    wild = {"en": "Rivers & <lakes>", "mi": "Ngā awa"}
    consultations.set_texts(made.store, what.id, wild, what.question, "tests")
    answer = made.browser().get("/c/water/feed.atom?lang=mi")
    assert answer.headers["content-type"].startswith("application/atom+xml")
    feed = ET.fromstring(answer.text)
    # RFC 4287, 4.1.1 and 4.1.2: what a feed and an entry must have, once.
    for element in (feed, *feed.iter(f"{ATOM}entry")):
        for name in ("id", "title", "updated"):
            assert len(element.findall(ATOM + name)) == 1
    assert feed.findtext(f"{ATOM}title") == "Ngā awa"
    assert feed.get("{http://www.w3.org/XML/1998/namespace}lang") == "mi"
    assert feed.findtext(f"{ATOM}author/{ATOM}name") == "The council"
    assert made.browser().get("/c/water/feed.atom").text.count("Rivers &amp; &lt;lakes&gt;") == 1
    link = '<link rel="alternate" type="application/atom+xml" href="/c/water/feed.atom?lang=en">'
    page = made.browser().get("/c/water/news")
    for path in ("", "/results", "/help", "/news"):
        assert link in made.browser().get(f"/c/water{path}").text
    assert "You can take part now" in page.text
    assert f"{BASE}/c/water/feed.atom?lang=en" in page.text
    consultations.set_texts(made.store, what.id, what.title, what.question, "tests")
