"""Mail, files and answers: an officer's other forms in a browser, with scripts and without."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from suffrage.server.mail import mail_settings
from suffrage.server.store import consultations, invitation_mail, invitations, statements
from suffrage.server.web.invitation_sender import send_due_mails
from tests.server.browser import no_sideways_at_any_width, served, texts, visitor
from tests.server.forms import Forms
from tests.server.organising import PASSWORD, Office, open_office
from tests.server.page_copies import Inspector
from tests.server.web.mail_server import mail_server


class Parrot:
    """A model that answers every question alike."""

    name = "parrot-1"

    def write(self, prompts: list[str], count: int) -> list[list[str]]:
        """Answers to each question."""
        return [
            [f"{prompt} {word}" for word in ("Yes indeed.", "No, never.")] for prompt in prompts
        ]


@dataclass
class Town:
    """A served office with a mail server and a model, and the mails that it has sent."""

    office: Office
    url: str
    mails: list[EmailMessage]

    def send(self) -> list[EmailMessage]:
        """Send what is due, and return it."""
        before, settings = len(self.mails), self.office.app.state.settings
        send_due_mails(self.office.store, settings.mail, self.url)
        return self.mails[before:]


@pytest.fixture(scope="module")
def town(filled_office: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("forms") / "store"
    shutil.copytree(filled_office, folder)
    office = open_office(str(folder))
    consultations.set_settings(office.store, office.about.id, {"open_to_all": False}, "tests")
    with served(office.app) as url, mail_server() as (port, mails):
        settings = {
            "base_url": url, "model": Parrot(),
            "mail": mail_settings(f"smtp://127.0.0.1:{port}", "The town <town@example.org>"),
        }  # fmt: skip
        for name, value in settings.items():
            object.__setattr__(office.app.state.settings, name, value)
        yield Town(office, url, mails)


@dataclass
class Officer:
    """Somebody at the pages of one consultation. Pages go round the widths."""

    town: Town
    page: Any
    lang: str
    look: Callable[[str], None]
    forms: Forms

    @property
    def base(self) -> str:
        return f"/admin/c/{self.town.office.about.id}"

    def _(self, text: str, *more: str, **values: Any) -> str:
        return texts(self.lang)(text, *more, **values)

    def at(self, path: str, width: int) -> None:
        """Go to a page, on a screen of this width."""
        self.page.set_viewport_size({"width": width, "height": 800})
        self.page.goto(path if path.startswith("/admin") else self.base + path)

    def press(self, name: str, within: Any = None) -> None:
        within = within or self.page
        self.forms.press(within.get_by_role("button", name=self._(name), exact=True))

    def refused(self, *fields: str) -> str:
        """The page says so at the top, in the title and at each field; the focus is there."""
        page = self.page
        assert page.title().startswith(self._("Error:"))
        assert page.locator("#problems:focus").count() == 1
        links = [one.get_attribute("href") for one in page.locator("#problems a").all()]
        assert links == [f"#{field}" for field in fields]
        for field in fields:
            assert page.locator(f"#{field}-problem").is_visible()
            assert page.get_attribute(f"#{field}", "aria-invalid") == "true"
        return str(page.inner_text("#problems"))

    def told(self) -> str:
        return str(self.page.inner_text(".done"))


@pytest.mark.slow
@pytest.mark.parametrize(("scripts", "lang"), [(True, "mi"), (False, "en")], ids=["mi", "plain-en"])
def test_an_officer_sends_mails_and_files_by_forms(
    town: Town, chromium: Any, tmp_path: Path, scripts: bool, lang: str
) -> None:
    page = visitor(chromium, town.url, java_script_enabled=scripts)
    page.set_default_timeout(30_000)
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    inspector = Inspector(page, lang, [(320, "light"), (390, "dark"), (1280, "light")])

    def look(name: str) -> None:
        # Without scripts it is the same page but for its words.
        if scripts:
            inspector.look(f"forms-{name}-{lang}")
        else:
            no_sideways_at_any_width(page)

    officer = Officer(town, page, lang, look, Forms(page))
    page.goto(f"/admin/login?lang={lang}")
    page.fill("#email", "owner@example.org")
    page.fill("#password", PASSWORD)
    officer.press("Sign in")
    _invites_by_mail(officer)
    _brings_answers(officer)
    _shows_a_logo(officer)
    _shows_results_elsewhere(officer)
    _uploads_what_was_made_before(officer)
    _helps_a_colleague_in_and_changes_the_password(officer)
    slug = _exports_and_imports(officer, tmp_path)
    _opens_only_when_it_says_who_asks(officer, slug)
    assert failed == []
    assert inspector.found() == ""
    page.context.close()


def _invites_by_mail(officer: Officer) -> None:
    page, _, who = officer.page, officer._, officer.lang
    officer.at("/invitations", 320)
    page.fill("#mail-addresses", f"ana-{who}@example.org\nbo@example")
    page.fill("#mail-stratum", "north")
    officer.press("Send invitations")
    assert "bo@example" in officer.refused("mail-addresses")
    assert page.input_value("#mail-stratum") == "north"
    officer.look("mail-refused")
    page.fill("#mail-addresses", f"ana-{who}@example.org, Bo <bo-{who}@example.org>")
    officer.press("Send invitations")
    will = "%(num)s invitation will be sent now.", "%(num)s invitations will be sent now."
    assert officer.told() == _(*will, num=2)
    waits = _("%(num)s mail waits to be sent.", "%(num)s mails wait to be sent.", num=2)
    assert waits in page.inner_text("main")
    # Addresses may come as a file too.
    officer.at("/invitations", 390)
    page.locator("#mail-file").set_input_files(
        {"name": "a.csv", "mimeType": "text/csv", "buffer": f"email\ngone-{who}@x.org".encode()}
    )
    officer.press("Send invitations")
    sent = {str(mail["To"]).split("-")[0]: mail for mail in officer.town.send()}
    assert set(sent) == {"ana", "bo"}
    officer.at("/invitations", 1280)
    rows = page.locator("tbody tr")
    gone = rows.filter(has_text=f"gone-{who}@")
    assert _("The address does not exist, or takes no mail.") in gone.inner_text()
    assert _("%(num)s could not be sent.", "%(num)s could not be sent.", num=1) in (
        page.inner_text(".lag")
    )
    assert page.locator(".lag strong").count() == 0
    officer.look("mail-sent")
    officer.press("Remind them")
    will = "%(num)s reminder will be sent now.", "%(num)s reminders will be sent now."
    assert officer.told() == _(*will, num=2)
    assert all(str(m["Subject"]).startswith("Reminder:") for m in officer.town.send())
    for width, name in ((320, "ana"), (390, "bo")):
        officer.at("/invitations", width)
        row = rows.filter(has_text=f"{name}-{who}@")
        officer.press("Send again" if name == "ana" else "Revoke", row)
    (again,) = officer.town.send()
    assert str(again["To"]).startswith("ana-")
    # The link is the person's own, and works.
    links = [_link(mail) for mail in (sent["ana"], sent["bo"], again)]
    assert links[0] == links[2] != links[1]
    for link, starts in zip(links[:2], (1, 0), strict=True):
        page.goto(link)
        assert page.locator("button.start").count() == starts
    officer.at("/invitations?state=revoked", 320)
    assert rows.count() and f"bo-{who}@" not in page.inner_text("main")
    # So that the next run begins with none.
    store, id, by = officer.town.office.store, officer.town.office.about.id, "tests"
    for left in invitation_mail.list_mails(store, id):
        invitations.revoke_invitation(store, id, left, by)


def _link(mail: EmailMessage) -> str:
    (link,) = re.findall(r"http\S+/join\?t=\S+", mail.get_content())
    return str(link)


def _brings_answers(officer: Officer) -> None:
    page, _ = officer.page, officer._
    officer.at("/answers", 390)
    page.get_by_text(_("Type answers")).click()
    page.fill("#type-answer-0", "Tea.")
    officer.press("Add the answers")
    officer.refused("type-prompt", "type-answer-0")
    assert page.input_value("#type-answer-0") == "Tea."
    officer.look("typed-refused")
    page.fill("#type-prompt", f"Tea or coffee, {officer.lang}?")
    page.fill("#type-answer-1", "Coffee.")
    officer.press("Add the answers")
    added = "%(num)s answer added.", "%(num)s answers added."
    assert officer.told() == _(*added, num=2)
    officer.at("/answers", 1280)
    page.get_by_text(_("Have a model write answers")).click()
    page.fill("#write-prompts", f"Cats, {officer.lang}?")
    page.fill("#write-count", "none")
    officer.press("Write answers")
    officer.refused("write-count")
    page.fill("#write-count", "2")
    officer.press("Write answers")
    assert officer.told() == _(*added, num=2)
    assert page.get_by_text(f"Cats, {officer.lang}? No, never.").count() == 1


def _shows_a_logo(officer: Officer) -> None:
    page, mark = officer.page, Path(__file__).parents[3] / "src/suffrage/server/web/static"
    officer.at("/settings/look", 320)
    page.locator("#logo-file").set_input_files(mark / "mark.svg")
    officer.press("Save the logo")
    officer.refused("logo-file")
    officer.look("logo-refused")
    page.locator("#logo-file").set_input_files(mark / "preview.png")
    officer.press("Save the logo")
    page.goto("/c/demo")
    assert page.locator("img.logo").evaluate("e => e.complete && e.naturalWidth > 0")
    officer.at("/settings/look", 390)
    officer.press("Remove the logo")
    assert page.locator("img.logo").count() == 0


def _shows_results_elsewhere(officer: Officer) -> None:
    page = officer.page
    officer.at("/settings/embedding", 320)
    page.fill("#sites", "the council's page")
    officer.press("Save")
    officer.refused("sites")
    page.fill("#sites", f"https://{officer.lang}.example.org")
    officer.press("Save")
    officer.at("/settings/embedding", 1280)
    assert page.input_value("#sites") == f"https://{officer.lang}.example.org"
    assert "<iframe" in page.input_value("#frame")


def _uploads_what_was_made_before(officer: Officer) -> None:
    page, _ = officer.page, officer._
    no_file = {"name": "a.json", "mimeType": "application/json", "buffer": b"{"}
    officer.at("/settings/predictions", 390)
    page.locator("#file").set_input_files(no_file)
    officer.press("Add it")
    officer.refused("file")
    officer.look("predictions-refused")
    officer.at("/principles", 1280)
    page.get_by_text(_("Upload a constitution made of this consultation")).click()
    page.locator("#file-file").set_input_files(no_file)
    officer.press("Upload")
    officer.refused("file-file")
    office = officer.town.office
    said = statements.list_statements(office.store, office.about.id, ["accepted"])[0]
    source = f"statement {said.id}: {said.text}"
    rows = [{"text": f"Be kind, {officer.lang}.", "sources": [source]}]
    content = json.dumps({"principles": rows}).encode()
    page.locator("#file-file").set_input_files({**no_file, "buffer": content})
    officer.press("Upload")
    assert page.get_by_text(f"Be kind, {officer.lang}.").count()


def _helps_a_colleague_in_and_changes_the_password(officer: Officer) -> None:
    page = officer.page
    officer.at("/staff", 320)
    colleague = page.locator("li").filter(has_text="viewer@example.org")
    officer.press("Make a link to set the password", colleague)
    assert "/admin/password?t=" in page.inner_text("code.long")
    officer.look("staff-link")
    officer.press("Stop them signing in", colleague)
    officer.press("Let them sign in again", colleague)
    for width, old, new in ((390, PASSWORD, PASSWORD[::-1]), (1280, PASSWORD[::-1], PASSWORD)):
        officer.at("/admin/account", width)
        for field, value in (("old", new), ("new", new), ("again", new)):
            page.fill(f"#{field}", value)
        officer.press("Change the password")
        assert page.locator('a[href="#old"]').count() == 1
        for field, value in (("old", old), ("new", new), ("again", new)):
            page.fill(f"#{field}", value)
        officer.press("Change the password")
        assert officer.told()


def _exports_and_imports(officer: Officer, folder: Path) -> str:
    """Its own files in one run, those of Polis in the other."""
    page, _ = officer.page, officer._
    name = {"mi": "Download all tables", "en": "Download as Polis files"}[officer.lang]
    officer.at("/releases", 390)
    with page.expect_download() as download:
        page.get_by_role("link", name=_(name)).click()
    archive, slug = folder / "export.zip", f"imported-{officer.lang}"
    shutil.copy(download.value.path(), archive)
    officer.at("/admin/new", 320)
    with page.expect_navigation():
        page.get_by_role("link", name=_("Or import one from a file")).click()
    officer.press("Import")
    officer.refused("file")
    officer.look("import-refused")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.locator("#file").set_input_files(archive)
    page.fill("#slug", "demo")
    page.locator("[name=consent][value=texts]").check()
    page.select_option("#language", "es")
    officer.press("Import")
    officer.refused("slug")
    assert page.input_value("#slug") == "demo" and page.input_value("#language") == "es"
    assert page.locator("[name=consent]:checked").count() == 1
    assert page.get_by_text(_("Choose the file again. Browsers do not keep it.")).count() == 1
    page.locator("#file").set_input_files(archive)
    page.fill("#slug", slug)
    officer.press("Import")
    page.wait_for_url("**/settings?done=imported")
    assert page.inner_text(".phase") == _("closed")
    return slug


def _opens_only_when_it_says_who_asks(officer: Officer, slug: str) -> None:
    page, _, store = officer.page, officer._, officer.town.office.store
    base = f"/admin/c/{consultations.find_consultation(store, slug).id}"
    officer.at(f"{base}/settings", 320)
    page.locator("[name=phase][value=open]").check()
    officer.press("Change the status")
    assert _("Who asks") in officer.refused()
    assert page.locator("[name=phase][value=open]").is_checked()
    assert consultations.find_consultation(store, slug).phase == "closed"
    officer.look("not-opened")
    page.set_viewport_size({"width": 390, "height": 800})
    page.get_by_role("link", name=_("Who asks, and who to contact")).click()
    page.fill("#organiser", "The town")
    page.fill("#contact", "town@example.org")
    officer.press("Save")
    assert officer.told() == _("The settings are saved.")
    officer.at(f"{base}/settings", 1280)
    page.locator("[name=phase][value=open]").check()
    officer.press("Change the status")
    assert consultations.find_consultation(store, slug).phase == "open"
