"""The organisers' pages: who may do what, what it changes, and that all of it is on record."""

import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from suffrage import server
from suffrage.consult.candidate_answers import CandidateAnswer, write_candidates
from suffrage.consult.principles import find_principles
from suffrage.consult.release.release import read_release
from suffrage.server.store import (
    audit,
    consultations,
    invitations,
    staff,
    statements,
    stored_votes,
    withdrawals,
)
from suffrage.server.store import shown_answers as answers
from suffrage.server.store import stored_principles as principles
from suffrage.server.store.contents import to_consultation
from suffrage.server.store.stored_results import newest_results
from suffrage.server.watcher import is_due
from suffrage.server.web.organise import releases
from suffrage.server.web.organise.audit_entries import ACTIONS
from tests.server import acts
from tests.server.organising import Office, open_office

SERVER = Path(server.__file__).parent
# The form of how people take part, whole, as a browser sends it.
TAKING_PART = {
    "open_to_all": "yes",
    "statements_by": "participants",
    "moderation": "before",
    "statement_characters": "200",
    "statements_each": "10",
    "proof_of_work": "0",
    "minutes": "20",
    "results": "participants",
    "results_when_closed": "everyone",
    "least_votes": "7",
    "least_people": "15",
    "licence": "CC-BY-4.0",
}
PAGES = (
    "",
    "/statements",
    "/statements/log",
    "/seeds",
    "/answers",
    "/participants",
    "/participants?show=all",
    "/groups",
    "/principles",
    "/releases",
    "/audit",
    "/settings",
    "/settings/texts",
    "/settings/taking-part",
    "/settings/dates",
    "/settings/look",
    "/settings/people",
    "/settings/predictions",
    "/settings/languages",
    "/invitations",
    "/translations",
    "/staff",
)


@pytest.fixture(scope="module")
def shared_office(
    filled_office: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    """For tests that change nothing."""
    folder = tmp_path_factory.mktemp("shared") / "store"
    shutil.copytree(filled_office, folder)
    office = open_office(str(folder))
    yield office
    office.store.close()


def actions(office: Office) -> list[str]:
    return [e.action for e in audit.list_entries(office.store, office.about.id)]


def waiting(office: Office) -> list[statements.StoredStatement]:
    return statements.list_statements(office.store, office.about.id, ["pending"])


@pytest.mark.parametrize("path", PAGES)
def test_every_role_sees_every_page(shared_office: Office, path: str) -> None:
    for role in ("owner", "viewer"):
        shown = shared_office.client(role).get(path)
        assert "<h1>" in shown and "<script>alert" not in shown


def test_without_a_session_pages_lead_to_the_login_and_forms_change_nothing(
    shared_office: Office,
) -> None:
    visitor = shared_office.client(None)
    answer = visitor.http.get(f"{visitor.base}/statements")
    assert answer.status_code == 303 and answer.headers["location"].startswith("/admin/login")
    before = actions(shared_office)
    visitor.post("/settings", what="phase", phase="archived", status=403)
    assert actions(shared_office) == before


@pytest.mark.parametrize(
    ("role", "path", "values"),
    [
        ("viewer", "/statements", {"one": "accepted:x"}),
        ("analyst", "/statements", {"one": "accepted:x"}),
        ("viewer", "/participants", {"exclude": "p1", "reason__p1": "no"}),
        ("analyst", "/participants", {"exclude": "p1", "reason__p1": "no"}),
        ("moderator", "/seeds", {"lines": "New"}),
        ("moderator", "/answers", {"hide": "a1"}),
        ("moderator", "/groups", {}),
        ("moderator", "/principles", {"text": "x"}),
        ("analyst", "/settings", {"what": "phase", "phase": "closed"}),
        ("moderator", "/settings", {"what": "role", "email": "m@x", "role": "owner"}),
    ],
)
def test_what_a_role_does_not_allow_is_refused(
    shared_office: Office, role: str, path: str, values: dict[str, str]
) -> None:
    visitor = shared_office.client(role)
    visitor.get(path)
    before = actions(shared_office)
    visitor.post(path, 403, **values)
    assert actions(shared_office) == before


def test_no_form_is_for_viewers(shared_office: Office) -> None:
    visitor = shared_office.client("viewer")
    visitor.get("/groups")
    start = "/admin/c/{consultation_id}"
    forms = [
        re.sub(r"\{\w+\}", "1", route.path.removeprefix(start))
        for route in shared_office.app.routes
        if isinstance(route, APIRoute) and route.path.startswith(start) and "POST" in route.methods
    ]
    assert len(forms) > 10
    before = actions(shared_office)
    for path in forms:
        visitor.post(path, 403)
    assert actions(shared_office) == before


@pytest.mark.parametrize("role", ["viewer", "moderator"])
def test_single_votes_and_the_log_itself_are_for_some_only(
    shared_office: Office, role: str
) -> None:
    visitor = shared_office.client(role)
    visitor.get("/participants/p1", 403)
    visitor.get("/audit.jsonl", 403)


@pytest.mark.slow
def test_another_consultation_does_not_exist(office: Office) -> None:
    other = consultations.create_consultation(office.store, "other", {"en": "Other"}, {"en": "?"})
    outsider = staff.add_member(office.store, "outsider@example.org", "a long password")
    staff.set_role(office.store, other.id, outsider.id, "owner", "test")
    visitor = office.client(None)
    visitor.log_in("outsider@example.org")
    assert "How should a public" not in visitor.get("/admin")
    for path in PAGES:
        # Organisers are led to their list: they have no invitation to open again.
        missing = visitor.get(path, 404)
        assert 'class="button" href="/admin"' in missing and "your invitation" not in missing
    visitor.get("/participants/p1", 404)
    visitor.post("/settings", 404, what="phase", phase="closed")
    # Their own consultation does not reach into this one either.
    visitor.base = f"/admin/c/{other.id}"
    visitor.get()
    first = waiting(office)[0]
    visitor.get("/participants/p1", 404)
    visitor.post("/statements", 404, one=f"accepted:{first.id}")
    visitor.post("/participants", 404, exclude="p1", reason__p1="no")
    visitor.post("/principles", 404, text="A principle", source=first.id)
    assert statements.find_statement(office.store, office.about.id, first.id).state == "pending"


def test_forms_from_elsewhere_are_refused(office: Office) -> None:
    visitor = office.client("owner")
    visitor.get("/settings")
    real, visitor.token = visitor.token, "forged"
    visitor.post("/settings", 403, what="phase", phase="closed")
    visitor.token = real
    visitor.http.headers["origin"] = "https://elsewhere.example"
    visitor.post("/settings", 403, what="phase", phase="closed")
    assert consultations.find_consultation(office.store, "demo").phase == "open"


def test_a_moderator_decides_and_takes_it_back(office: Office) -> None:
    visitor = office.client("moderator")
    shown = visitor.get("/statements")
    assert "It should be able to sing." in shown and "Similar statements" in shown
    assert "The assistant should say so when it does not know." in shown  # the like one, beside it
    sing = next(s for s in waiting(office) if "sing" in s.text)
    visitor.post("/statements", 422, one=f"rejected:{sing.id}")  # without a reason
    answer = visitor.post(
        "/statements", one=f"rejected:{sing.id}", **{f"reason__{sing.id}": "off_topic"}
    )
    assert statements.find_statement(office.store, office.about.id, sing.id).state == "rejected"
    after = visitor.get(answer.headers["location"])
    assert "1 statement rejected." in after and ">Undo<" in after
    undo = after.split('name="undo" value="')[1].split('"')[0]
    visitor.post("/statements", undo=undo)
    assert statements.find_statement(office.store, office.about.id, sing.id).state == "pending"
    log = visitor.get("/statements/log")
    assert "Off topic" in log and "Put back" in log and "Moderator" in log
    assert actions(office).count("statement.moderate") == 2


@pytest.mark.slow
def test_many_are_decided_at_once_and_taken_back_at_once(office: Office) -> None:
    visitor = office.client("moderator")
    visitor.get("/statements")
    ids = [s.id for s in waiting(office)]
    answer = visitor.post("/statements", all="rejected", chosen=ids, reason="spam")
    assert not waiting(office)
    after = visitor.get(answer.headers["location"])
    assert f"{len(ids)} statements rejected." in after
    visitor.post("/statements", undo=after.split('name="undo" value="')[1].split('"')[0])
    assert {s.id for s in waiting(office)} == set(ids)
    visitor.post("/statements", 422, all="accepted")  # none ticked


def test_what_may_hold_personal_details_is_held_back_and_marked(shared_office: Office) -> None:
    shown = shared_office.client("moderator").get("/statements?state=flagged")
    assert "021 123 4567" in shown and "May contain:" in shown


@pytest.mark.slow
def test_seeds_come_as_lines_and_as_a_file_and_never_twice(office: Office) -> None:
    visitor = office.client("owner")
    visitor.get("/seeds")
    visitor.post("/seeds", lines="It should like cats.\n\nIt should like dogs.\n")
    csv = b'text,language\n"It should like cats.",en\n\'=1+1 is two,en\n'
    visitor.post("/seeds", files={"file": ("seeds.csv", csv, "text/csv")})
    texts = [s.text for s in statements.list_statements(office.store, office.about.id) if s.seed]
    assert texts.count("It should like cats.") == 1 and "=1+1 is two" in texts
    for wrong, message in (
        (b"name\nx\n", "no column text"),
        (b"text,language\nHello there,xx\n", "Row 2: xx is not a language"),
        ("text\ncafé\n".encode("latin-1"), "not text in UTF-8"),
    ):
        answer = visitor.post("/seeds", 422, files={"file": ("s.csv", wrong, "text/csv")})
        assert message in answer.text
    assert "there is no statement" in visitor.post("/seeds", 422).text.lower()


@pytest.mark.slow
def test_answers_are_imported_with_where_they_come_from_and_taken_out(
    office: Office, tmp_path: Path
) -> None:
    made = [
        CandidateAnswer("q9", "Tea or coffee?", text, "base", made_with={"how": "diverse"})
        for text in ("Tea.", "Coffee.")
    ]
    write_candidates(made, tmp_path / "a.jsonl")
    visitor = office.client("owner")
    visitor.get("/answers")
    content = (tmp_path / "a.jsonl").read_bytes()
    visitor.post("/answers", files={"file": ("a.jsonl", content, "application/jsonl")})
    shown = visitor.get("/answers")
    assert "Tea or coffee?" in shown and "one of several written together" in shown
    visitor.post("/answers", hide=made[0].id)
    drawn = {a.id for a in answers.list_answers(office.store, office.about.id)}
    assert made[0].id not in drawn and made[1].id in drawn
    visitor.post("/answers", show=made[0].id)
    assert made[0].id in {a.id for a in answers.list_answers(office.store, office.about.id)}
    bad = visitor.post("/answers", 422, files={"file": ("a.jsonl", b"{", "application/jsonl")})
    assert "line 1: not readable as JSON" in bad.text
    assert actions(office).count("answer.show") == 2


@pytest.mark.slow
def test_a_participant_is_left_out_and_counted_again(office: Office) -> None:
    visitor = office.client("moderator")
    shown = visitor.get("/participants")
    careless = next(p for p in shown.split('name="exclude" value="')[1:] if True).split('"')[0]
    assert "missed a check question" in shown
    visitor.post("/participants", 422, exclude=careless)
    # The field grows, so that a reason may come on two lines; it is stored on one.
    visitor.post("/participants", exclude=careless, **{f"reason__{careless}": "straight\r\nlines"})
    content = to_consultation(office.store, "demo")
    out = content.participants.filter(content.participants["excluded"])
    assert out["participant"].to_list() == [careless]
    assert "straight lines" in visitor.get("/participants?show=excluded")
    visitor.post("/participants", include=careless)
    assert not to_consultation(office.store, "demo").participants["excluded"].any()
    assert {"participant.exclude", "participant.include"} <= set(actions(office))


def test_votes_are_shown_only_where_asked_for_and_looking_is_logged(office: Office) -> None:
    visitor = office.client("analyst")
    assert "Disagree" not in visitor.get("/participants?show=all")
    assert "participant.votes.view" not in actions(office)
    assert "Disagree" in visitor.get("/participants/p1")
    entry = audit.list_entries(office.store, office.about.id)[-1]
    assert (entry.action, entry.object) == ("participant.votes.view", "p1")
    assert entry.actor == office.members["analyst"].id


@pytest.mark.slow
def test_groups_say_how_old_they_are_and_are_told_as_table_and_drawing(office: Office) -> None:
    for vote in stored_votes.votes_by(office.store, office.about.id, "p1")[:2]:
        other = -1 if vote.value == 1 else 1
        acts.vote(office.store, office.about.id, "p1", vote.statement_id, other)
    visitor, looked = office.client("analyst"), actions(office).count("groups.view")
    shown = visitor.get("/groups")
    assert (
        "2 votes since." in shown and '<svg class="plane"' in shown and "(the silhouette)" in shown
    )
    assert "What all groups agree with" in shown and "The assistant should say so" in shown
    last = newest_results(office.store, office.about.id, "organisers")
    visitor.post("/groups")
    again = newest_results(office.store, office.about.id, "organisers")
    assert last is not None and again is not None and again.version == last.version + 1
    assert "0 votes since." in visitor.get("/groups")
    # Looking is on record, and makes nothing due by itself.
    assert actions(office).count("groups.view") == looked + 2
    assert not is_due(office.store, office.about)


@pytest.mark.slow
def test_a_principle_keeps_the_statements_it_comes_from(office: Office) -> None:
    visitor = office.client("analyst")
    visitor.get("/principles")
    visitor.post("/principles", text="Say what you know.", source=["s0", "s3"], rationale="Both.")
    (made,) = principles.list_principles(office.store, office.about.id)
    assert (made.text, made.sources, made.version) == ("Say what you know.", ("s0", "s3"), 1)
    assert made.merged_by == office.members["analyst"].id
    visitor.post("/principles", id=made.id, text="Say only what you know.", source=["s0"])
    (after,) = principles.list_principles(office.store, office.about.id)
    assert (after.text, after.sources, after.version) == ("Say only what you know.", ("s0",), 2)
    visitor.post("/principles", 422, text="Without any source")
    visitor.post("/principles", 404, text="Of a lost one", source="nowhere")
    shown = visitor.get("/principles")
    assert "The assistant should say so when it does not know." in shown and "disagree" in shown
    visitor.post("/principles", remove=made.id)
    assert principles.list_principles(office.store, office.about.id) == []
    assert actions(office).count("principle.put") == 2 and "principle.remove" in actions(office)


def test_principles_are_taken_from_a_constitution_all_or_none(office: Office) -> None:
    visitor = office.client("analyst")
    visitor.get("/principles")

    def sent(*rows: dict[str, object]) -> dict[str, tuple[str, bytes]]:
        return {"file": ("c.json", json.dumps({"principles": rows}).encode())}

    good = {"text": "Choose the honest answer.", "sources": ["statement s0: It should say so."]}
    lost = {"text": "Choose the other.", "sources": ["statement s999: Nobody said this."]}
    visitor.post("/principles", 404, what="file", files=sent(good, lost))
    visitor.post("/principles", 422, what="file", files=sent(good, {"text": "Without a source"}))
    assert principles.list_principles(office.store, office.about.id) == []
    visitor.post("/principles", what="file", files=sent(good))
    (made,) = principles.list_principles(office.store, office.about.id)
    assert (made.text, made.sources) == ("Choose the honest answer.", ("s0",))


def test_the_audit_log_is_shown_whole_and_a_break_is_told(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = office.client("owner")
    assert "Nothing in the log was changed" in visitor.get("/audit")
    lines = visitor.get("/audit.jsonl").splitlines()
    entries = [audit.AuditEntry(**json.loads(line)) for line in lines]
    assert audit.first_broken(entries) is None and entries[-1].action == "audit.view"
    monkeypatch.setattr(audit, "check_chain", lambda *_: 3)
    assert "broken at entry 3" in visitor.get("/audit")


def test_the_log_says_what_was_done_to_what_in_words_and_with_links(office: Office) -> None:
    visitor = office.client("owner")
    visitor.get("/statements")
    sing = next(s for s in waiting(office) if "sing" in s.text)
    visitor.post("/statements", one=f"rejected:{sing.id}", **{f"reason:{sing.id}": "off_topic"})
    visitor.post("/settings/taking-part", **TAKING_PART)
    dates = {"time_zone": "Pacific/Auckland", "opens": "", "closes": "2099-12-01T17:00"}
    visitor.post("/settings/dates", **dates)
    visitor.post("/settings", what="phase", phase="closed")
    shown = visitor.get("/audit")
    link = f"{visitor.base}/statements?state=rejected#s-{sing.id}"
    assert f'<a href="{link}" lang="en" dir="auto">It should be able to sing.</a>' in shown
    for words in (
        "Owner", "Decided on a statement", "Off topic", "15 → 20", "Changed the status",
        "age: 16-34: 30%", ">1 December 2099, 04:00 UTC<", ">Someone who has left<",
        ">The command line<",
    ):  # fmt: skip
        assert words in shown
    # Settings are called what the pages call them.
    assert "How many minutes a visit should take" in shown and "statement characters" not in shown
    assert "{&#34;" not in shown and "statement.moderate" not in shown
    listed = shown.split('<ol class="log')[1]
    assert not re.search("[0-9a-f]{32}", listed)
    # Every act in a consultation's log that the code names has words.
    named = r'append_entry\(\s*c,\s*[\w.]+,[^"]*?"([a-z]+\.[a-z.]+)"'
    for path in SERVER.rglob("*.py"):
        for action in re.findall(named, path.read_text()):
            assert action in ACTIONS or action.startswith(("secret.", "staff.")), action


@pytest.mark.slow
def test_principles_are_found_in_the_votes_and_those_ticked_are_kept(office: Office) -> None:
    visitor = office.client("analyst")
    visitor.get("/principles")
    assert visitor.post("/principles", what="find").headers["location"].endswith("/found")
    found = visitor.get("/principles/found")
    sources = re.findall(r'name="sources" value="([^"]+)" checked', found)
    expected = find_principles(to_consultation(office.store, "demo"))
    assert sources == [" ".join(p.sources) for p in expected.merged]
    assert principles.list_principles(office.store, office.about.id) == []
    visitor.post("/principles/found", sources=sources[:1])
    (kept,) = principles.list_principles(office.store, office.about.id)
    assert (kept.text, set(kept.sources)) == (expected.merged[0].text, set(sources[0].split()))
    assert "Kept already." in visitor.get("/principles/found")
    # Without a tick the page with the choice comes back.
    assert "Keep those you ticked" in visitor.post("/principles/found", 422).text
    visitor.post("/principles/found", 404, sources="nowhere")


@pytest.mark.slow
def test_answers_are_typed_or_written_by_the_operators_model(office: Office) -> None:
    visitor = office.client("owner")
    visitor.get("/answers")
    typed = {"what": "type", "prompt": "Tea or coffee?", "answer:0": "Tea.", "answer:1": "Both."}
    visitor.post("/answers", **typed)
    made = [a for a in answers.list_answers(office.store, office.about.id) if a.text == "Both."]
    assert (made[0].model, dict(made[0].made_with)) == ("typed B", {"how": "typed"})
    refused = visitor.post("/answers", 422, what="type", prompt="", **{"answer:0": "Kept"}).text
    assert 'href="#type-prompt"' in refused and 'href="#type-answer-0"' in refused
    assert ">Kept</textarea>" in refused
    assert "Have a model write" not in visitor.get("/answers")

    class Parrot:
        name = "parrot-1"

        def write(self, prompts: list[str], count: int) -> list[list[str]]:
            return [[f"{p} {word}" for word in ("Yes indeed.", "No, never.")] for p in prompts]

    object.__setattr__(office.app.state.settings, "model", Parrot())
    visitor.post("/answers", what="write", prompts="Cats?\nDogs?", count="2")
    texts = {a.text: a.model for a in answers.list_answers(office.store, office.about.id)}
    assert texts["Cats? Yes indeed."] == "parrot-1" and "Dogs? No, never." in texts
    visitor.post("/answers", 422, what="write", prompts="", count="9")


@pytest.mark.slow
def test_an_export_is_downloaded_imported_and_the_same(office: Office) -> None:
    visitor = office.client("owner")
    for kind in ("tables", "polis"):
        visitor.get("/releases")
        archive = visitor.http.get(f"{visitor.base}/export/{kind}.zip")
        assert archive.headers["content-type"] == "application/zip"
        visitor.get("/admin/import")
        sent = {"file": ("demo.zip", archive.content, "application/zip")}
        visitor.post("/admin/import", files=sent, slug=f"from-{kind}", consent="votes")
        again, first = (to_consultation(office.store, s) for s in (f"from-{kind}", "demo"))
        if kind == "tables":
            assert again.votes.equals(first.votes) and again.statements.equals(first.statements)
        else:
            assert again.votes.height == first.votes.height
            assert again.participants["consent_votes"].all()
    assert actions(office).count("export") == 2
    office.client("moderator").get("/export/tables.zip", 403)
    for wrong in (b"no archive", archive.content[:200]):
        refused = visitor.post("/admin/import", 422, files={"file": ("x.zip", wrong)}, slug="x")
        assert 'href="#file"' in refused.text and "/tmp" not in refused.text
    refused = visitor.post("/admin/import", 422, files=sent, slug="demo").text
    assert 'href="#slug"' in refused


def test_settings_phases_and_texts_change_and_mistakes_are_told(office: Office) -> None:
    visitor = office.client("owner")
    visitor.get("/settings")
    who = {"organiser": "The town", "contact": "town@example.org"}
    texts = {"title__en": "New title", "question__en": "And now?", **who}
    visitor.post("/settings/texts", **texts)
    visitor.post("/settings/taking-part", **TAKING_PART)
    visitor.post("/settings", what="phase", phase="closed")
    about = consultations.find_consultation(office.store, "demo")
    assert (about.settings.minutes, about.title["en"], about.phase) == (20, "New title", "closed")
    assert about.settings.contact == "town@example.org"
    assert about.settings.demographics[0].item == "age"  # what was not sent stays
    logged = visitor.get("/audit")
    assert "→ And now?<" in logged and "→ New title<" in logged and "question:" not in logged
    visitor.post("/settings/texts", **texts, intro__en="We plan for 2030.")
    visitor.post("/settings/texts", **texts, intro__en="")
    logged = visitor.get("/audit")
    assert ">We plan for 2030.<" in logged and ">removed: We plan for 2030.<" in logged
    for values, message in (
        ({"what": "phase", "phase": "gone"}, "Phase is"),
        ({"what": "else"}, "not known"),
    ):
        assert message in visitor.post("/settings", 422, **values).text
    refused = visitor.post("/settings/texts", 422, **{**texts, "title__en": " "}).text
    assert "This is needed" in refused and "<title>Error:" in refused
    # What was typed into the other fields is still there.
    assert ">And now?</textarea>" in refused and 'aria-invalid="true"' in refused
    assert {"consultation.settings", "consultation.texts", "consultation.phase"} <= set(
        actions(office)
    )


def test_roles_are_given_and_the_last_owner_stays(office: Office) -> None:
    visitor = office.client("owner")
    visitor.get("/staff")
    visitor.post("/staff", 422, what="role", email="no address", role="viewer")
    added = visitor.post("/staff", 200, what="role", email="new@example.org", role="viewer").text
    link = re.search(r"http://testserver(/admin/password\?t=[\w-]+)", added)
    assert link and link.group(1) not in visitor.get("/staff")
    fresh = office.client(None)
    assert "new@example.org" in fresh.get(link.group(1))
    token = link.group(1).split("t=")[1]
    fresh.post("/admin/password", t=token, new="twelve letters", again="twelve letters")
    fresh.get("/groups")
    visitor.post("/staff", what="role", email="new@example.org", role="none")
    fresh.get("/groups", 404)
    last = visitor.post("/staff", 422, what="role", email="owner@example.org", role="viewer")
    assert "needs an owner" in last.text


@pytest.mark.slow
def test_invitations_are_told_once_as_a_file(office: Office) -> None:
    visitor = office.client("owner")
    visitor.get("/invitations")
    answer = visitor.post("/invitations", 200, what="links", count="3", stratum="=old", days="30")
    rows = answer.text.splitlines()
    assert rows[0] == "stratum,link" and len(rows) == 4 and rows[1].startswith("'=old,http")
    token = rows[1].split("t=")[1]
    assert invitations.is_usable_invitation(office.store, office.about.id, token)
    assert token not in visitor.get("/invitations") and token not in visitor.get("/audit")
    refused = visitor.post("/invitations", 422, what="links", count="many", stratum="north").text
    assert "Write a number from 1 to 5000." in refused and 'value="many"' in refused
    assert "0 of 3 used" in visitor.get()


def test_participation_stands_against_the_population(shared_office: Office) -> None:
    shown = shared_office.client("viewer").get()
    assert "60 and over" in shown and "Missing" in shown and "votes since." in shown
    assert "missed a check question" in shown
    # What an imported file calls a question and its answers begins as other words here do.
    assert ">Place</th>" in shown and ">Country</th>" in shown and ">country<" not in shown


@pytest.mark.slow
def test_the_language_of_the_pages_is_chosen_there_and_a_draft_says_so(office: Office) -> None:
    visitor = office.client("owner")
    page = visitor.get("/statements?state=rejected&done=accepted&count=1")
    (link,) = re.findall(r'href="([^"]+)" hreflang="mi"', page)
    assert link == f"{visitor.base}/statements?state=rejected&amp;lang=mi"
    assert "Draft translation" not in page
    page = visitor.get("/statements?state=rejected&lang=mi")
    assert '<html lang="mi"' in page and "Ngā kōrero" in page
    # It stays, also in what is told of mistakes, and says in both languages that it is a draft.
    page = visitor.get("/participants")
    assert "Te hunga whai wāhi" in page and "He whakamāoritanga hukihuki." in page
    assert '<span lang="en" dir="ltr">Draft translation' in page
    told = visitor.post("/statements", 422, all="accepted").text
    assert "Kāore he kōrero i kōwhiria" in told
    # Whatever language the pages of participants are looked at in.
    visitor.get("/settings/languages")
    visitor.post("/settings/languages", language=["en", "es"], first="en")
    for path in (f"{visitor.base}/preview?lang=es", "/c/demo?lang=es"):
        assert '<html lang="es"' in visitor.http.get(path).text
        assert '<html lang="mi"' in visitor.get("/participants")
    visitor.get("/admin/import")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("consultation.json", "{}")
    sent = {"file": ("x.zip", archive.getvalue())}
    told = visitor.post("/admin/import", 422, files=sent, slug="x").text
    assert (
        '<li><span lang="en" dir="auto">' in told
    )  # without a translation it says what language it is


@pytest.mark.slow
def test_a_release_is_made_listed_and_downloaded_as_it_was(office: Office, tmp_path: Path) -> None:
    visitor = office.client("owner")
    assert "There are no releases yet" in visitor.get("/releases")
    for made in (release_form(licence=""), release_form(sure="")):
        visitor.post("/releases", 422, **made)
    looked = visitor.post("/releases", 200, **release_form(what="", funding="By the <b>town</b>"))
    votes = to_consultation(office.store, "demo").votes.height
    assert votes > 1000 and f"<dd>{votes:,}</dd>" in looked.text
    assert "Nothing has been made yet" in looked.text and "How people were found" not in looked.text
    assert "By the &lt;b&gt;town&lt;/b&gt;" in looked.text
    assert "There are no releases yet" in visitor.get("/releases")
    visitor.post("/releases", **release_form(contact="town@example.org"))
    assert 'value="town@example.org"' in visitor.get("/releases")  # proposed for the next one
    withdrawals.withdraw_participant(office.store, office.about.id, "p1")
    visitor.post("/releases", **release_form())
    shown = visitor.get("/releases")
    sums = re.findall(r'<code class="long">([0-9a-f]{64})</code>', shown)
    assert len(sums) == 2 and actions(office).count("release.make") == 2
    viewer = office.client("viewer")
    answer = viewer.http.get(f"{viewer.base}/releases/1.zip")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.content == viewer.http.get(f"{viewer.base}/releases/1.zip").content
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        file.extractall(tmp_path / "got")
    folder = tmp_path / "got" / "demo-release-1"
    assert sha256((folder / "manifest.json").read_bytes()).hexdigest() == sums[1]
    tables = read_release(folder)
    ids = set(to_consultation(office.store, "demo").participants["participant"]) | {"p1"}
    assert not ids & set(tables["votes"]["person"]) and tables["votes"].height
    # Whoever withdrew is not in the next one, which says how many went.
    manifest = json.loads((office_folder(office) / "release-2" / "manifest.json").read_text())
    assert manifest["tombstones"] == 1 and manifest["history"][-1]["withdrawn"] == 1
    viewer.post("/releases", 403, **release_form())
    # A file that is not as it was released is not handed out.
    (office_folder(office) / "release-1" / "README.md").write_text("Something else.")
    assert "README.md is missing or has changed since the release" in visitor.get(
        "/releases/1.zip", 422
    )
    visitor.get("/releases/3.zip", 404)
    visitor.get("/releases/..%2Fprivate.json", 404)


def release_form(**changes: str) -> dict[str, str]:
    """The form of a release that was looked at and confirmed."""
    kept = {"licence": "CC0-1.0", "model_licence": "that of each model"}
    return {"what": "make", "sure": "yes", **kept, **changes}


class KilledError(Exception):
    """As if the process had ended there."""


@pytest.mark.slow
def test_a_release_whose_maker_was_killed_before_it_was_listed_is_listed_by_the_next(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = office.client("owner")
    visitor.get("/releases")

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(releases, "_record", killed)
        visitor.post("/releases", 500, **release_form())
    assert "There are no releases yet" in visitor.get("/releases")
    visitor.post("/releases", **release_form())
    assert actions(office).count("release.make") == 2
    manifests = [
        json.loads((office_folder(office) / f"release-{n}" / "manifest.json").read_text())
        for n in (1, 2)
    ]
    assert [m["release"] for m in manifests] == [1, 2]
    for version in (1, 2):
        assert visitor.http.get(f"{visitor.base}/releases/{version}.zip").status_code == 200
    private = office_folder(office) / "private.json"
    assert private.stat().st_mode & 0o077 == 0
    drafts = [path for path in office_folder(office).iterdir() if "draft" in path.name]
    assert not drafts


def office_folder(office: Office) -> Path:
    return Path(str(office.store.engine.url.database)).parent / "releases" / "demo"
