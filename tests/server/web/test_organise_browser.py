"""The organisers' pages in a browser: their path and axe, in both languages.

On the path each kind of form is sent at every width, and the pages are looked at.
"""

import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from suffrage.consult.candidate_answers import CandidateAnswer, write_candidates
from suffrage.server.store import statements, withdrawals
from tests.server.browser import (
    RUNS,
    WIDE,
    WIDTHS,
    no_sideways_at_any_width,
    served,
    texts,
    visitor,
)
from tests.server.forms import Forms
from tests.server.organising import PASSWORD, Office, open_office
from tests.server.page_copies import Inspector

# Pages that are looked at when the path is over. The others are on the way.
PAGES = {
    "overview": "",
    "statements": "/statements",
    "held-back": "/statements?state=flagged",
    "accepted": "/statements?state=accepted",
    "done": "/statements?done=accepted&count=2",
    "decisions": "/statements/log",
    "answers": "/answers",
    "groups": "/groups",
    "releases": "/releases",
    "audit": "/audit",
    "settings": "/settings",
    "texts": "/settings/texts",
    "taking-part": "/settings/taking-part",
    "dates": "/settings/dates",
    "look": "/settings/look",
    "people": "/settings/people",
    "languages": "/settings/languages",
    "invitations": "/invitations",
    "translations": "/translations",
    "staff": "/staff",
    "not-found": "/nothing-here",
}


@contextmanager
def opened(filled: Path, folder: Path) -> Iterator[tuple[Office, str]]:
    """An office of the test's own, and its address."""
    shutil.copytree(filled, folder / "store")
    office = open_office(str(folder / "store"))
    with served(office.app) as url:
        yield office, url


@pytest.fixture
def office(filled_office: Path, tmp_path: Path) -> Iterator[tuple[Office, str]]:
    with opened(filled_office, tmp_path) as found:
        yield found


def log_in(page: Any, who: str = "owner", lang: str = "en", password: str = PASSWORD) -> None:
    _ = texts(lang)
    page.goto("/admin/login")
    if page.get_attribute("html", "lang") != lang:
        page.locator(f'.languages a[hreflang="{lang}"]').click()
    page.get_by_label(_("Email address")).fill(f"{who}@example.org")
    page.get_by_label(_("Password")).fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin")


def test_the_drawing_of_the_groups_has_the_colours_of_the_page(
    office: tuple[Office, str], chromium: Any
) -> None:
    made, url = office
    page = visitor(chromium, url, viewport=WIDE)
    log_in(page)
    page.goto(f"/admin/c/{made.about.id}/groups")
    colour = "getComputedStyle(document.querySelector(%r)).%s"
    papers = set()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        paper = page.evaluate(colour % ("html", "backgroundColor"))
        # Marks are dark on a light page and light on a dark one.
        assert page.evaluate(colour % (".plane", "backgroundColor")) == paper
        assert page.evaluate(colour % (".plane .plate", "fill")) == paper
        assert page.evaluate(colour % (".plane text", "fill")) != paper
        papers.add(paper)
    assert len(papers) == 2
    page.context.close()


def test_a_moderator_works_through_the_queue_with_keys_alone(
    office: tuple[Office, str], chromium: Any
) -> None:
    made, url = office
    page = visitor(chromium, url)
    log_in(page, "moderator")
    cards = page.locator("article")
    seen = "({top, bottom}) => top < innerHeight && bottom > 0"
    for width in (1280, 390, 320):
        page.set_viewport_size({"width": width, "height": 700})
        page.goto(f"/admin/c/{made.about.id}/statements")
        assert page.locator(".keys").is_visible()
        # What is done with many comes after the first statement.
        tops = [box.bounding_box()["y"] for box in (cards.nth(0), page.locator(".bulk"))]
        assert tops[0] < tops[1] < cards.nth(1).bounding_box()["y"]
        # From anywhere: the first key only says which statement is meant.
        for key, at in (("a", 0), ("j", 1), ("k", 0)):
            page.keyboard.press(key)
            meant = cards.nth(at)
            assert page.evaluate("document.activeElement.id") == meant.get_attribute("id")
            assert meant.locator("h2").evaluate(f"e => ({seen})(e.getBoundingClientRect())")
    before = cards.count()
    first = page.evaluate("document.activeElement.id").removeprefix("s-")
    page.keyboard.press("x")
    assert page.locator(f'[name=chosen][value="{first}"]').is_checked()
    page.keyboard.press("a")
    page.wait_for_url(re.compile("done=accepted"))
    assert statements.find_statement(made.store, made.about.id, first).state == "accepted"
    assert page.locator("article").count() == before - 1
    # The focus is where the work goes on.
    second = page.evaluate("document.activeElement.id").removeprefix("s-")
    reason = page.locator(f"#reason-{second}")
    if not reason.input_value():
        page.keyboard.press("r")
        assert page.evaluate("document.activeElement.id") == f"reason-{second}"
        page.keyboard.press("a")  # while somebody chooses, a key is no act
        reason.select_option("unclear")
        assert statements.find_statement(made.store, made.about.id, second).state == "pending"
        page.locator(f"#s-{second} button").first.focus()
    page.set_viewport_size({"width": 390, "height": 700})
    page.keyboard.press("r")
    page.wait_for_url(re.compile("done=rejected"))
    assert statements.find_statement(made.store, made.about.id, second).state == "rejected"
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url(re.compile("done=undone"))
    assert statements.find_statement(made.store, made.about.id, second).state == "pending"
    # Switched off, they do nothing.
    page.set_viewport_size(WIDE)
    page.locator(".keys summary").click()
    page.get_by_label("Keys work").uncheck()
    page.reload()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    page.context.close()


@pytest.mark.parametrize(("scripts", "size", "lang"), RUNS)
def test_the_whole_path_of_an_organiser(
    office: tuple[Office, str],
    chromium: Any,
    tmp_path: Path,
    scripts: bool,
    size: dict[str, int],
    lang: str,
) -> None:
    made, url = office
    _ = texts(lang)
    theme = "light" if scripts else "dark"
    page = visitor(chromium, url, viewport=size, java_script_enabled=scripts, color_scheme=theme)
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    base = f"/admin/c/{made.about.id}"
    inspector, forms = Inspector(page, lang, large=WIDTHS), Forms(page)

    def look(name: str) -> None:
        inspector.look(f"organise-{name}-{lang}")

    def go(section: str, heading: str) -> None:
        page.locator(".sections").get_by_role("link", name=_(section), exact=True).click()
        assert page.inner_text("h1") == _(heading)
        assert page.get_attribute("html", "lang") == lang
        assert bool(page.locator(".draft").count()) == (lang == "mi")

    def press(name: str, within: Any = page) -> None:
        forms.press(within.get_by_role("button", name=_(name), exact=True).first)

    def told() -> str:
        return str(page.locator(".done").inner_text())

    # Log in; a wrong password is told without saying which part was wrong.
    page.goto(base)
    page.wait_for_url("**/admin/login")
    if lang == "mi":
        page.locator('.languages a[hreflang="mi"]').click()
    look("login")
    page.get_by_label(_("Email address")).fill("owner@example.org")
    page.get_by_label(_("Password")).fill("not the password")
    press("Sign in")
    assert _("Check your email address and password.") in page.inner_text("[role=alert]")
    log_in(page, lang=lang)
    look("staff-start")
    page.get_by_role("link", name="How should a public assistant behave?").click()

    # Quotas: who is missing against the population's shares.
    assert page.inner_text("h1") == _("Overview")
    quotas = page.locator("table").first
    assert quotas.locator("tbody tr", has_text="60 and over").locator("td").count() == 4
    assert _("Population") in quotas.inner_text() and "40%" in quotas.inner_text()

    # Seeds, as lines and as a file.
    go("Your statements", "Your statements")
    look("seeds")
    press("Add them")
    assert page.title().startswith(_("Error:"))
    look("refused")
    page.get_by_label(_("Statements, one per line")).fill("It should know the bus times.")
    press("Add them")
    seeded = "%(num)s statement added.", "%(num)s statements added."
    assert told() == _(*seeded, num=1)
    csv = b"text\nIt should know the tides.\nIt should know the moon.\n"
    page.locator("#file").set_input_files(
        {"name": "seeds.csv", "mimeType": "text/csv", "buffer": csv}
    )
    press("Add them")
    assert told() == _(*seeded, num=2)

    # Moderation: a reason is needed; one like another is shown beside it; undo; many at once.
    go("Statements", "Statements")
    # Keys are promised only where they work.
    assert page.locator(".keys").is_visible() == scripts
    sing = page.locator("article", has_text="It should be able to sing.")
    press("Reject", sing)
    assert page.inner_text("#problems h2") == _("There is a problem")
    assert page.title().startswith(_("Error:"))
    look("reject-refused")
    sing.get_by_label(_("Reason")).select_option(label=_("Off topic"))
    press("Reject", sing)
    rejected = "%(num)s statement rejected.", "%(num)s statements rejected."
    assert _(*rejected, num=1) in told()
    press("Undo")
    back = "%(num)s decision undone.", "%(num)s decisions undone."
    assert told() == _(*back, num=1)
    double = page.locator("article", has_text="It should say when it does not know something.")
    near = double.locator(".near")
    assert near.locator("h3").inner_text() == _("Similar statements")
    assert "The assistant should say so when it does not know." in near.inner_text()
    double.get_by_label(_("Reason")).select_option(label=_("Says the same as another"))
    press("Reject", double)
    assert _(*rejected, num=1) in told()
    boxes = page.locator("article").get_by_role("checkbox")
    assert boxes.count() == 2
    for at in range(2):
        boxes.nth(at).check()
    page.locator("#reason").select_option(label=_("Advertising or spam"))
    press("Reject ticked")
    assert _(*rejected, num=2) in told()
    assert page.locator(".empty").inner_text() == _("There is nothing here.")
    press("Undo")
    assert page.locator("article").count() == 2
    press("Accept", page.locator("article", has_text="in rhyme"))
    page.get_by_role("link", name=re.compile(f"^{_('Held back')}")).click()
    held = page.locator("article", has_text="021 123 4567")
    assert _("a phone number") in held.locator(".flag").inner_text()
    page.get_by_role("link", name=_("Decisions")).click()
    assert page.locator("tbody tr", has_text=_("Says the same as another")).count() == 1
    page.locator("tbody tr", has_text="not know something").get_by_role(
        "button", name=_("Undo")
    ).click()
    assert told() == _(*back, num=1)

    # Answers of models: brought in, taken out of the draw, put back.
    go("Answers", "Answers to compare")
    write_candidates(
        [CandidateAnswer("q9", "Tea or coffee?", text, "base") for text in ("Tea.", "Coffee.")],
        tmp_path / "a.jsonl",
    )
    page.get_by_text(_("Upload answers")).click()
    page.locator("#file-file").set_input_files(tmp_path / "a.jsonl")
    press("Upload")
    assert told() == _("%(num)s answer added.", "%(num)s answers added.", num=2)
    press("Hide", page.locator("li.card", has_text="Tea."))
    assert told() == _("The answer is hidden.")
    press("Show again")
    assert told() == _("The answer is shown again.")

    # Signs of inattention: somebody is left out with a reason, and counted again.
    go("Participants", "Participants")
    count = page.locator("li.card").count()
    person = page.locator("li.card").first
    name = person.locator("h2").inner_text()
    assert person.locator(".signs li").count()
    person.get_by_label(_("Reason")).fill("They answered without reading.")
    press("Leave out", person)
    assert told() == _("This person is no longer counted. You can undo this.")
    assert page.locator("li.card", has_text=name).count() == 0
    look("participants")
    page.get_by_role("link", name=_("Left out (%(count)s)", count=1)).click()
    assert "They answered without reading." in page.inner_text("li.card")
    look("left-out")
    press("Count again")
    assert told() == _("This person is counted again.")
    page.get_by_role("link", name=_("With a sign (%(count)s)", count=count)).click()
    page.locator("li.card", has_text=name).get_by_role("link").click()
    assert page.locator("tbody tr").count() > 5
    look("votes")

    # Groups: found anew, as drawing and as tables.
    go("Groups", "Opinion groups")
    press("Compute now")
    assert told() == _("The groups have been computed again.")
    assert page.locator("svg.plane").count() == 1
    groups = page.locator("table").first.locator("tbody tr").count()
    assert groups >= 2 and page.locator(".key li").count() == groups
    page.get_by_role("link", name=_("Most voted on first")).click()
    assert page.locator("table").last.locator("tbody tr").count() > 10

    # Principles: from statements, changed, taken away.
    go("Principles", "Principles")
    press("Find principles in the votes")
    look("principles-found")
    go("Principles", "Principles")
    page.get_by_text(_("Write a principle")).click()
    page.get_by_label(_("Principle"), exact=True).first.fill("Say what you do not know.")
    page.get_by_label("The assistant should say so when it does not know.").check()
    press("Save")
    assert told() == _("The principle is saved.")
    look("principles")
    card = page.locator("li.card")
    assert "The assistant should say so when it does not know." in card.locator("ul").inner_text()
    card.locator("summary").click()
    card.get_by_label(_("Principle"), exact=True).fill("Say plainly what you do not know.")
    press("Save", card)
    assert card.locator("h3").inner_text() == "Say plainly what you do not know."
    assert _("Version %(number)s", number=2) in card.inner_text()
    press("Remove", card)
    assert told() == _("The principle is removed.")

    # Releases: made, downloaded; whoever withdraws is gone from the next, and from every count.
    go("Releases", "Releases")
    press("See it before you make it")
    look("release-preview")
    page.locator("#make-sure").check()
    press("Make the release")
    assert told() == _("The release is made.")
    withdrawals.withdraw_participant(made.store, made.about.id, "p1")
    go("Overview", "Overview")
    gone = page.locator(".figures div", has_text=_("Withdrew"))
    assert gone.locator("dd").inner_text() == "1"
    go("Releases", "Releases")
    press("See it before you make it")
    page.locator("#make-sure").check()
    press("Make the release")
    rows = page.locator("tbody tr")
    votes, withdrawn = (rows.locator(f"td:nth-of-type({n})").all_inner_texts() for n in (3, 4))
    assert int(votes[0]) < int(votes[1]) and withdrawn == ["1", "0"]
    with page.expect_download() as download:
        page.get_by_role("link", name=_("Download release %(number)s", number=2)).click()
    with zipfile.ZipFile(download.value.path()) as file:
        assert "demo-release-2/manifest.json" in file.namelist()

    # Settings: title, invitations, somebody new with a role, the phase.
    go("Settings", "Settings")
    page.get_by_role("link", name=_("Title and texts")).click()
    page.locator("#title-en").fill("")
    press("Save")
    page.locator("#problems a").first.click()
    assert page.evaluate("location.hash") == "#title-en"
    page.locator("#title-en").fill("How should our assistant behave?")
    press("Save")
    assert told() == _("The settings are saved.")
    go("Invitations", "Invitations")
    page.get_by_label(_("How many"), exact=True).fill("2")
    links = page.get_by_role("button", name=_("Download the links"))
    with forms.goes_out(links), page.expect_download() as download:
        links.click()
    assert Path(download.value.path()).read_text().count("/join?t=") == 2
    for name, path in PAGES.items():
        page.goto(f"{base}{path}")
        look(name)
    page.goto(base)
    go("Settings", "Settings")
    page.get_by_label(_("Closed: nobody can take part any more")).check()
    press("Change the status")
    assert told() == _("The status is changed.")

    # Somebody new with a role, who sets a password of their own.
    go("Staff", "Staff")
    page.locator("#email").fill("new@example.org")
    page.locator("#role").select_option(label=_("viewer"))
    press("Save the role")
    link = page.locator("code.long").inner_text()
    look("staff-link")

    # The log holds all of it.
    go("Audit log", "Audit log")
    assert page.locator(".good").count() == 1
    with page.expect_download() as download:
        page.get_by_role("link", name=_("Download the whole log")).click()
    log = Path(download.value.path()).read_text()
    for action in (
        "statement.seed",
        "statement.moderate",
        "answer.show",
        "participant.exclude",
        "participant.include",
        "participant.votes.view",
        "principle.put",
        "release.make",
        "staff.role",
        "consultation.phase",
    ):
        assert f'"{action}"' in log, action

    # Logged out is logged out; the new viewer sees, and may change nothing.
    press("Sign out")
    page.goto(base)
    assert page.get_by_label(_("Password")).count() == 1
    page.goto(link.removeprefix("http://testserver"))
    page.locator("#new").fill("twelve letters")
    page.locator("#again").fill("twelve letters")
    press("Set the password")
    page.wait_for_url("**/admin")
    page.get_by_role("link", name="How should our assistant behave?").click()
    for section, heading in (("Statements", "Statements"), ("Settings", "Settings")):
        go(section, heading)
        assert page.locator("main button").count() == 0
        no_sideways_at_any_width(page)
    assert failed == []
    assert inspector.found() == ""
    page.context.close()
