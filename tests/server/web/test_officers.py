"""What an officer does on the pages without a manual: make, set up, invite, by forms alone."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest

from suffrage.errors import InputError
from suffrage.server.mail import mail_settings
from suffrage.server.store import consultations, invitation_mail, invitations, schedule, statements
from suffrage.server.store.database import now
from suffrage.server.web.invitation_sender import send_due_mails
from suffrage.server.web.look import contrast, look_css, luminance
from suffrage.server.web.organise.about_people import ROUNDING
from suffrage.server.web.organise.invitation_pages import addresses_of
from tests.server.organising import Office, Visitor, open_office
from tests.server.site import site
from tests.server.web.mail_server import mail_server

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
NEW = {
    "title": "Our parks in 2030",
    "question": "What should our parks be like?",
    "organiser": "The town",
    "contact": "parks@example.org",
    "who": "everybody",
}


def settings_of(office: Office, slug: str = "demo") -> consultations.ConsultationSettings:
    return consultations.find_consultation(office.store, slug).settings


@pytest.mark.slow
def test_a_consultation_is_made_from_five_answers(office: Office) -> None:
    visitor = office.client("owner")
    assert "Start a consultation" in visitor.get("/admin")
    visitor.get("/admin/new")
    made = visitor.post("/admin/new", **NEW, lines="More trees.\n\nFewer dogs.\n")
    about = consultations.find_consultation(office.store, "our-parks-in-2030")
    assert made.headers["location"] == f"/admin/c/{about.id}/settings?done=created"
    assert (about.phase, about.title, about.settings.organiser) == (
        "draft",
        {"en": NEW["title"]},
        "The town",
    )
    assert about.settings.open_to_all and about.settings.contact == NEW["contact"]
    seeds = statements.list_statements(office.store, about.id)
    assert [(s.text, s.seed) for s in seeds] == [("More trees.", True), ("Fewer dogs.", True)]
    # Whoever made it owns it, and the same title again has an address of its own.
    assert "draft is ready" in visitor.get(made.headers["location"])
    visitor.post("/admin/new", **NEW)
    consultations.find_consultation(office.store, "our-parks-in-2030-2")


def test_a_refused_form_keeps_what_was_typed_and_names_each_field(office: Office) -> None:
    visitor = office.client("owner")
    visitor.get("/admin/new")
    answer = visitor.post("/admin/new", 422, **{**NEW, "question": "", "who": "all"}, slug="Bad!")
    assert "<title>Error: " in answer.text and ">Our parks in 2030</textarea>" in answer.text
    assert re.findall(r'<a href="#([\w-]+)">', answer.text.split('id="problems"')[1])[:2] == [
        "question",
        "who",
    ]
    assert 'aria-describedby="question-problem question-hint"' in answer.text
    taken = visitor.post("/admin/new", 422, **NEW, slug="demo").text
    assert '<a href="#slug">' in taken and "Another consultation has this name" in taken
    wrong = visitor.post("/admin/new", 422, **NEW, slug="Bad!").text
    assert '<a href="#slug">' in wrong and "small letters (a to z)" in wrong
    assert len(consultations.list_consultations(office.store)) == 1


@pytest.mark.slow
def test_only_owners_make_consultations_and_anybody_of_the_staff_the_first(
    office: Office, tmp_path: Path
) -> None:
    for role in ("moderator", "viewer"):
        visitor = office.client(role)
        assert "Start a consultation" not in visitor.get("/admin")
        visitor.get("/admin/new", 403)
        visitor.post("/admin/new", 403, **NEW)
    from suffrage.server.store import staff
    from tests.server.organising import PASSWORD

    empty = site(tmp_path / "empty")
    staff.add_member(empty.store, "ana@example.org", PASSWORD)
    browser = empty.browser()
    browser.log_in(password=PASSWORD)
    assert "Start a consultation" in browser.get("/admin").text


@pytest.mark.parametrize(
    ("part", "values", "field"),
    [
        ("taking-part", {"minutes": "soon"}, "minutes"),
        ("taking-part", {"statement_characters": "10"}, "statement_characters"),
        ("dates", {"time_zone": "UTC", "closes": "tomorrow"}, "closes"),
        ("dates", {"time_zone": "Atlantis", "opens": ""}, "time_zone"),
        (
            "dates",
            {"time_zone": "UTC", "opens": "2030-02-02T09:00", "closes": "2030-02-01T09:00"},
            "closes",
        ),
        # It would close at once.
        ("dates", {"time_zone": "UTC", "closes": "2001-01-01T09:00"}, "closes"),
        ("look", {"colour": "blue"}, "colour"),
        ("embedding", {"sites": "https://a.example\nhttp://b.example"}, "sites"),
        ("languages", {"language": "en", "first": "mi"}, "first"),
        ("texts", {"title__en": "x" * 301, "question__en": "?"}, "title-en"),
        # People consent to nobody.
        ("texts", {"title__en": "X", "question__en": "?", "contact": "A phone"}, "organiser"),
    ],
)
def test_a_wrong_setting_is_told_next_to_its_field_and_nothing_changes(
    office: Office, part: str, values: dict[str, str], field: str
) -> None:
    visitor = office.client("owner")
    visitor.get(f"/settings/{part}")
    before = settings_of(office)
    shown = visitor.post(f"/settings/{part}", 422, **values).text
    assert f'<a href="#{field}">' in shown and f'id="{field}-problem"' in shown
    for typed in set(values.values()) - {"Atlantis"}:  # a list keeps only what is in it
        assert typed in unescape(shown)
    assert settings_of(office) == before


def test_dates_are_typed_in_the_places_time_and_kept_as_moments(office: Office) -> None:
    visitor = office.client("owner")
    visitor.get("/settings/dates")
    visitor.post(
        "/settings/dates",
        time_zone="Pacific/Auckland",
        opens="2030-01-01T09:00",
        closes="2030-07-01T17:00",
    )
    kept = settings_of(office)
    # New Zealand is 13 hours ahead of UTC in January and 12 in July.
    assert kept.opens == datetime(2029, 12, 31, 20, tzinfo=UTC)
    assert kept.closes == datetime(2030, 7, 1, 5, tzinfo=UTC)
    shown = visitor.get("/settings/dates")
    assert 'value="2030-01-01T09:00"' in shown and 'value="2030-07-01T17:00"' in shown


def test_a_consultation_opens_and_closes_by_its_dates_once(office: Office) -> None:
    store = office.store
    about = consultations.create_consultation(store, "dated", {"en": "D"}, {"en": "?"})
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    wanted = {"opens": start, "closes": start + timedelta(days=2)}
    consultations.set_settings(store, about.id, wanted, "test")
    at = int(start.timestamp() * 1000)
    # It opens only when people can read who asks and whom they can ask.
    assert schedule.keep_to_dates(store, at) == []
    who = {"organiser": "The council", "contact": "council@example.org"}
    consultations.set_settings(store, about.id, who, "test")
    assert schedule.keep_to_dates(store, at - 1) == []
    assert schedule.keep_to_dates(store, at) == [("dated", "open")]
    assert schedule.keep_to_dates(store, at) == []
    # Back in draft, it waits for its organisers.
    consultations.set_phase(store, about.id, "draft", "test")
    assert schedule.keep_to_dates(store, at + 1) == []
    consultations.set_phase(store, about.id, "open", "test")
    day = 86_400_000
    assert schedule.keep_to_dates(store, at + 2 * day - 1) == []
    assert schedule.keep_to_dates(store, at + 2 * day) == [("dated", "closed")]
    past = {"opens": None, "closes": datetime.now(UTC) - timedelta(minutes=1)}
    consultations.set_settings(store, about.id, past, "test")
    with pytest.raises(InputError, match="has passed"):
        consultations.set_phase(store, about.id, "open", "test")


def sent_people(*rows: tuple[str, str, str], label: str = "Where?", **more: str) -> dict[str, str]:
    """The form of one question about people; a row has stored value, words and share."""
    found = {"questions": "1", "item:0": "", "label:0:en": label, "rows:0": str(len(rows)), **more}
    for at, (value, words, share) in enumerate(rows):
        found |= {f"value:0:{at}": value, f"choice:0:{at}:en": words, f"share:0:{at}": share}
    return found


def test_questions_about_people_and_shares_are_a_form(office: Office) -> None:
    visitor = office.client("owner")
    visitor.get("/settings/people")
    rows = (("", "North", "60"), ("", "South", "39.5"), ("", "", ""))
    visitor.post("/settings/people", **sent_people(*rows))
    kept = settings_of(office)
    assert [o.value for o in kept.demographics[0].options] == ["North", "South"]
    assert kept.targets == {"where": {"North": 0.6, "South": 0.395}}
    # The words change, and what is stored stays.
    again = (("North", "The north", ""), ("South", "The south", ""))
    visitor.post("/settings/people", **{**sent_people(*again), "item:0": "where"})
    kept = settings_of(office)
    assert [(o.value, o.label["en"]) for o in kept.demographics[0].options] == [
        ("North", "The north"),
        ("South", "The south"),
    ]
    assert kept.targets == {}
    visitor.post("/settings/people", **sent_people(*again), add="age")
    assert [d.item for d in settings_of(office).demographics] == ["where", "age"]
    visitor.post("/settings/people", **{**sent_people(*again), "remove:0": "yes"})
    assert settings_of(office).demographics == ()


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ((("", "North", "60"), ("", "South", f"{40 + ROUNDING + 0.1}")), "share-0-0"),
        ((("", "North", "60"), ("", "South", "")), "share-0-0"),
        ((("", "North", "most"), ("", "South", "")), "share-0-0"),
        ((("", "North", ""), ("", "North", "")), "choice-0-1-en"),
        ((("", "North", ""),), "choice-0-0-en"),
    ],
)
def test_questions_that_make_no_sense_are_refused(
    office: Office, rows: tuple[tuple[str, str, str], ...], field: str
) -> None:
    visitor = office.client("owner")
    visitor.get("/settings/people")
    shown = visitor.post("/settings/people", 422, **sent_people(*rows)).text
    assert f'<a href="#{field}">' in shown and 'value="North"' in shown
    assert settings_of(office).demographics[0].item == "age"


def test_statements_are_translated_on_a_page(office: Office) -> None:
    consultations.set_settings(office.store, office.about.id, {"languages": ["en", "mi"]}, "test")
    visitor = office.client("moderator")
    shown = visitor.get("/translations")
    id = re.findall(r'name="text:(\w+)"', shown)[0]
    visitor.post("/translations?into=mi", **{f"text:{id}": "Kia ora."})
    known = statements.translations_into(office.store, office.about.id, "mi")
    assert known == {id: ("Kia ora.", "human")}
    long = "a" * 401
    refused = visitor.post("/translations?into=mi", 422, **{f"text:{id}": long}).text
    assert long in refused and f'<a href="#text-{id}">' in refused
    visitor.post("/translations?into=mi", **{f"text:{id}": ""})
    assert statements.translations_into(office.store, office.about.id, "mi") == {}


def test_a_logo_and_a_colour_are_shown_to_people_and_only_pictures_are_taken(
    office: Office,
) -> None:
    visitor = office.client("owner")
    visitor.get("/settings/look")
    for wrong in (b"<svg onload=alert(1)>", PNG + b"\0" * 100 * 1024):
        refused = visitor.post("/settings/look", 422, {"file": ("l.png", wrong)}, what="logo")
        assert (
            "Must be a PNG" in refused.text
            or "picture of at most 100 kB" in refused.text
            or ("must be a PNG" in refused.text)
        )
    visitor.post("/settings/look", files={"file": ("l.png", PNG)}, what="logo")
    visitor.post("/settings/look", colour="#FFCC00")
    shown = visitor.http.get("/c/demo").text
    address = re.search(r'src="(/c/demo/logo\?v=\w+)"', shown)
    assert address
    logo = visitor.http.get(address.group(1))
    assert (logo.content, logo.headers["content-type"]) == (PNG, "image/png")
    css = visitor.http.get("/c/demo/look.css?v=ffcc00")
    assert css.headers["content-type"].startswith("text/css")
    assert "/c/demo/look.css?v=ffcc00" in shown
    visitor.post("/settings/look", what="logo", remove="yes")
    assert visitor.http.get("/c/demo/logo").status_code == 404


@pytest.mark.parametrize("colour", ["#ffcc00", "#000000", "#ffffff", "#0b4f5c", "#ff0000"])
def test_any_colour_can_be_read_in_both_themes(colour: str) -> None:
    light, dark = look_css(colour).split("@media")
    main, strong = re.findall(r"--main(?:-strong)?: (#\w+)", light)
    for shade in (main, strong):  # white words on it; and as a link on white
        assert contrast(shade, "#ffffff") >= 4.5
    main, strong = re.findall(r"--main(?:-strong)?: (#\w+)", dark)
    for shade in (main, strong):
        assert contrast(shade, "#06252b") >= 4.5 and contrast(shade, "#10181a") >= 4.5
    assert contrast(re.findall(r"background: (#\w+)", dark)[0], "#ffffff") >= 4.5


def test_luminance_is_that_of_wcag() -> None:
    # Pairs and ratios published with WCAG's techniques and by WebAIM's contrast checker.
    assert luminance("#ffffff") == 1 and luminance("#000000") == 0
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert contrast("#0000ff", "#ffffff") == pytest.approx(8.59, abs=0.005)
    assert contrast("#ff0000", "#ffffff") == pytest.approx(4.0, abs=0.005)


# --- invitations by e-mail ---


def mailing(office: Office, port: int, folder: Path) -> Visitor:
    """An owner at a server that has a mail server."""
    settings = mail_settings(f"smtp://127.0.0.1:{port}", "The town <town@example.org>")
    served = open_office(str(folder / "store"), mail=settings)
    return served.client("owner")


@pytest.mark.slow
def test_people_are_invited_by_mail_reminded_and_forgotten_when_they_join(
    office: Office, tmp_path: Path
) -> None:
    with mail_server() as (port, mails):
        visitor = mailing(office, port, tmp_path)
        settings = visitor.http.app.state.settings  # type: ignore[attr-defined]
        store, id = office.store, office.about.id

        def send() -> int:
            return send_due_mails(store, settings.mail, "https://consult.example.org")

        visitor.get("/invitations")
        people = "ana@example.org\nBo <bo@example.org>; gone@example.org\nAna@example.org"
        visitor.post("/invitations", what="mail", addresses=people, stratum="north")
        # The first in capitals is the same person.
        assert "3 mails wait to be sent." in visitor.get("/invitations")
        assert send() == 2
        sent = {str(m["To"]): m for m in mails}
        assert sorted(sent) == ["ana@example.org", "bo@example.org"]
        body = sent["ana@example.org"].get_content()
        (link,) = re.findall(r"https://consult.example.org(/c/demo/join\?t=\S+)", body)
        assert "How should a public assistant behave?" in str(sent["ana@example.org"]["Subject"])
        shown = visitor.get("/invitations")
        assert "The address does not exist" in shown and "bo@example.org" in shown
        # Nothing is sent twice, and nobody is invited twice.
        assert send() == 0
        visitor.post("/invitations", what="mail", addresses="BO@example.org")
        assert send() == 0
        # Ana joins: her address is gone, and what remains does not lead to her.
        ana = office.client(None)
        page = ana.http.get(link).text
        token = re.search(r'name="token" value="([^"]+)"', page)
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)
        assert token and csrf
        values = {"csrf": csrf.group(1), "token": token.group(1)}
        assert ana.http.post("/c/demo/join", data=values).status_code == 303
        assert "ana@example.org" not in visitor.get("/invitations?state=used")
        assert b"ana@example.org" not in b"".join(
            str(row).encode() for row in invitation_mail.list_mails(store, id).values()
        )
        # Bo is reminded with the same link, and revoked.
        reminded = visitor.post("/invitations", what="remind")
        # Who takes no mail is not reminded of what never came.
        assert reminded.headers["location"].endswith("done=reminded&count=1")
        assert send() == 1
        assert str(mails[-1]["Subject"]).startswith("Reminder:")
        first, last = (
            re.findall(r"\?t=\S+", m.get_content()) for m in (sent["bo@example.org"], mails[-1])
        )
        assert first == last
        bo = next(i for i, m in invitation_mail.list_mails(store, id).items() if m.sent)
        visitor.post("/invitations", what="revoke", id=bo)
        assert "bo@example.org" not in visitor.get("/invitations?state=revoked")
        assert not invitations.is_usable_invitation(store, id, first[0][3:])
        # What is left is deleted when it closes.
        consultations.set_phase(store, id, "closed", "test")
        assert invitation_mail.list_mails(store, id) == {}
        visitor.http.app.state.store.close()  # type: ignore[attr-defined]


def test_a_mail_server_that_is_down_is_tried_again_later(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = mail_settings("smtp://127.0.0.1:9", "town@example.org")
    assert settings is not None
    store, id = office.store, office.about.id
    invitation_mail.invite_addresses(store, id, ["a@example.org"], "test", "en")
    assert send_due_mails(store, settings, "https://x.example") == 0
    (mail,) = invitation_mail.list_mails(store, id).values()
    assert (mail.tries, mail.failed) == (1, "unreachable") and mail.due and mail.due > now()
    assert send_due_mails(store, settings, "https://x.example") == 0
    assert next(iter(invitation_mail.list_mails(store, id).values())).tries == 1
    later = now() + 10 * 86_400_000
    for _ in range(invitation_mail.MOST_TRIES - 1):
        later += 10 * 86_400_000
        monkeypatch.setattr(invitation_mail, "now", lambda at=later: at)
        send_due_mails(store, settings, "https://x.example")
    (mail,) = invitation_mail.list_mails(store, id).values()
    assert mail.due is None and mail.tries == invitation_mail.MOST_TRIES


def test_without_a_mail_server_the_page_says_so(office: Office) -> None:
    visitor = office.client("owner")
    assert "cannot send mail yet" in visitor.get("/invitations")
    visitor.post("/invitations", 422, what="mail", addresses="a@example.org")


@pytest.mark.parametrize("text", ["ana@example", "a b@example.org", "ana", "@example.org", "", ","])
def test_what_is_no_address_is_told_with_its_line(text: str) -> None:
    with pytest.raises(InputError, match="line 2" if text.strip(",") else "one address per line"):
        addresses_of(f"good@example.org\n{text}" if text.strip(",") else text)


def test_the_mail_servers_password_is_never_in_an_address() -> None:
    with pytest.raises(InputError, match="SUFFRAGE_SMTP_PASSWORD"):
        mail_settings("smtps://me:secret@mail.example.org", "a@example.org")
    with pytest.raises(InputError, match="--mail-from"):
        mail_settings("smtps://mail.example.org", None)
    with pytest.raises(InputError, match="--smtp"):
        mail_settings("http://mail.example.org", "a@example.org")
    assert mail_settings(None, None) is None
