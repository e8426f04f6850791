"""`suffrage consult`: making, inviting to, serving, exporting and importing a consultation."""

import csv
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from suffrage import find_opinion_groups
from suffrage.cli import app
from suffrage.consult.consultation import read_consultation
from suffrage.consult.polis.read_files import read_polis
from suffrage.consult.polis.write_files import write_polis
from suffrage.consult.release.release import read_release
from suffrage.server.store import audit, consultations, staff_links, staff_sessions, statements
from suffrage.server.store.database import open_store
from suffrage.server.store.secret_keys import FILE_VARIABLE, VARIABLE
from suffrage.server.store.stored_results import newest_results
from suffrage.server.web import serving
from tests.server.empty_stores import empty_store
from tests.server.server_process import serve
from tests.server.site import consultation, crowd


@pytest.fixture(autouse=True)
def own_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


def said(*words: object) -> Result:
    return CliRunner().invoke(app, ["consult", *map(str, words)])


def made(folder: Path, *more: object) -> Result:
    question = ["--title", "Water", "--question", "How?"]
    who = ["--organiser", "The council", "--contact", "council@example.org"]
    return said("new", folder / "store", "--slug", "water", *question, *who, *more)


@pytest.mark.parametrize("given", [[], ["--organiser", "The council"], ["--contact", "a@b.org"]])
def test_nothing_opens_that_does_not_say_who_asks(tmp_path: Path, given: list[str]) -> None:
    new = ["--slug", "water", "--title", "Water", "--question", "How?", *given]
    result = said("new", tmp_path / "store", *new, "--start")
    assert result.exit_code != 0 and not (tmp_path / "store").exists()
    assert said("new", tmp_path / "store", *new).exit_code == 0
    assert said("phase", tmp_path / "store", "water", "open").exit_code != 0


def test_one_command_makes_a_consultation_people_can_join(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.txt"
    seeds.write_text("Say when unsure.\n\nBe brief.\n", encoding="utf-8")
    settings = tmp_path / "settings.yaml"
    settings.write_text("minutes: 20\nstatement_characters: 140\n")
    result = made(tmp_path, "--statements", seeds, "--settings", settings, "--start")
    assert result.exit_code == 0 and "open, 2 statements" in result.output
    store = open_store(str(tmp_path / "store"))
    what = consultations.find_consultation(store, "water")
    assert (what.phase, what.settings.minutes) == ("open", 20)
    assert [s.text for s in statements.list_statements(store, what.id)] == [
        "Say when unsure.",
        "Be brief.",
    ]
    store.close()
    for name in ("consultation.db", "secret.key"):
        assert (tmp_path / "store" / name).stat().st_mode & 0o077 == 0, name


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--slug", "No Spaces!"], "lowercase letters, digits and hyphens"),
        (["--settings", "SETTINGS"], 'Did you mean "minutes"'),
        (["--statements", "nowhere.txt"], "nowhere.txt: not readable"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    tmp_path: Path, more: list[str], complaint: str
) -> None:
    (tmp_path / "SETTINGS").write_text("minuts: 20\n")
    more = [str(tmp_path / word) if word == "SETTINGS" else word for word in more]
    result = made(tmp_path, *more)
    assert result.exit_code != 0 and complaint in str(result.exception)
    assert not (tmp_path / "store" / "consultation.db").exists() or more[0] == "--slug"


def test_invitations_are_written_once_and_work(tmp_path: Path) -> None:
    made(tmp_path, "--start")
    out = tmp_path / "north.csv"
    more = ["--count", 3, "--stratum", "north", "--base-url", "https://c.example/"]
    assert said("invite", tmp_path / "store", "water", "--out", out, *more).exit_code == 0
    rows = list(csv.DictReader(out.open()))
    assert [row["stratum"] for row in rows] == ["north"] * 3
    assert all(re.match(r"https://c\.example/c/water/join\?t=[\w-]{32}$", r["link"]) for r in rows)
    assert out.stat().st_mode & 0o077 == 0
    again = said("invite", tmp_path / "store", "water", "--out", out)
    assert f"--out {out}: is there already" in str(again.exception)
    # No invitations are made that no file has.
    nowhere = said("invite", tmp_path / "store", "water", "--out", out / "below.csv")
    assert "no folder can be made there" in str(nowhere.exception)
    with closing(sqlite3.connect(tmp_path / "store" / "consultation.db")) as c:
        assert c.execute("SELECT count(*) FROM invitation").fetchone() == (3,)


@pytest.mark.slow
def test_what_is_exported_is_imported_equal_and_polis_files_too(tmp_path: Path) -> None:
    store = empty_store(tmp_path / "store")
    crowd(store, consultation(store), 12)
    store.close()
    told = said("export", tmp_path / "store", "water", "--out", tmp_path / "one")
    assert "144 votes" in told.output
    assert said("import", tmp_path / "second", tmp_path / "one").exit_code == 0
    said("export", tmp_path / "second", "water", "--out", tmp_path / "two")
    assert read_consultation(tmp_path / "one") == read_consultation(tmp_path / "two")
    polis = tmp_path / "polis"
    said("export", tmp_path / "store", "water", "--out", polis, "--format", "polis")
    assert "--slug" in str(said("import", tmp_path / "second", polis).exception)
    assert said("import", tmp_path / "second", polis, "--slug", "again").exit_code == 0
    back = tmp_path / "back"
    said("export", tmp_path / "second", "again", "--out", back, "--format", "polis")
    assert read_polis(back).votes == read_polis(polis).votes


@pytest.mark.slow
def test_a_real_conversation_is_released_with_the_consent_that_was_stated(
    shared_data: Path, tmp_path: Path
) -> None:
    polis = shared_data / "polis" / "15-per-hour-seattle"
    rows = {}
    for slug, more in (("unknown", []), ("stated", ["--consent", "votes, training"])):
        told = said("import", tmp_path / "store", polis, "--slug", slug, *more)
        assert told.exit_code == 0, told.exception
        assert ("unknown; what is unknown" if slug == "unknown" else "votes, train") in told.output
        tables = tmp_path / slug
        assert said("export", tmp_path / "store", slug, "--out", tables).exit_code == 0
        made = said("release", tables, "--out", tmp_path / f"{slug}-release")
        assert made.exit_code == 0, made.exception
        rows[slug] = read_release(tmp_path / f"{slug}-release")["votes"]
    votes = read_polis(polis).votes
    accepted = read_release(tmp_path / "stated-release")["statements"]["statement"].to_list()
    assert rows["unknown"].height == 0
    assert 0 < rows["stated"].height <= int(votes.only(accepted).seen.sum())
    assert rows["stated"]["training"].all()
    store = open_store(str(tmp_path / "store"))
    what = consultations.find_consultation(store, "stated")
    entry = audit.list_entries(store, what.id)[0]
    assert entry.detail["consents_stated"] == ["training", "votes"]
    store.close()
    wrong = said("import", tmp_path / "store", polis, "--slug", "x", "--consent", "all")
    assert '"all" is none of votes, texts, training' in str(wrong.exception)
    twice = said("import", tmp_path / "store", tmp_path / "stated", "--consent", "votes")
    assert "has each person's own" in str(twice.exception)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["15-per-hour-seattle", "scoop-hivemind.biodiversity"])
def test_a_real_conversation_goes_through_the_store_unchanged(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    first = read_polis(shared_data / "polis" / name)
    meta = next(s.id for s in first.statements if s.moderated == 1)
    first = replace(
        first,
        about={"url": "https://pol.is/abc", **first.about},
        statements=tuple(replace(s, meta=s.id == meta) for s in first.statements),
    )
    write_polis(first, tmp_path / "polis")
    where, out = tmp_path / "store", tmp_path / "out"
    assert said("import", where, tmp_path / "polis", "--slug", "town").exit_code == 0
    more = ["--format", "polis", "--base-url", "https://x.nz"]
    told = said("export", where, "town", "--out", out, *more)
    assert told.exit_code == 0, told.exception
    again = read_polis(out)
    # Authors who never voted are not participants, as in Polis' own files of voters.
    voters = set(first.votes.participants)
    kept = tuple(
        replace(s, author=s.author if s.author in voters else None) for s in first.statements
    )
    assert again.statements == kept
    assert again.votes.only(first.votes.statements) == first.votes
    assert again.events is not None and first.events is not None
    assert again.events.equals(first.events.select(again.events.columns))
    assert {**first.about, **again.about} == again.about
    assert again.about["url"] == first.about["url"]
    assert len(set(again.group_ids.values())) >= 2
    found = find_opinion_groups(first, strict=True, resamples=20)
    assert again.group_ids == found.groups.by_participant()
    assert meta not in found.votes.statements


@pytest.mark.slow
def test_one_of_several_polis_exports_in_a_folder_is_imported_by_its_prefix(tmp_path: Path) -> None:
    store = empty_store(tmp_path / "store")
    crowd(store, consultation(store), 12)
    store.close()
    polis, both = tmp_path / "polis", tmp_path / "both"
    said("export", tmp_path / "store", "water", "--out", polis, "--format", "polis")
    both.mkdir()
    for path in polis.iterdir():
        for prefix in ("raw_", "clean_"):
            (both / f"{prefix}{path.name}").write_bytes(path.read_bytes())
    refused = said("import", tmp_path / "second", both, "--slug", "again")
    assert "--prefix" in str(refused.exception)
    found = said("import", tmp_path / "second", both, "--slug", "again", "--prefix", "clean_")
    assert found.exit_code == 0 and "144 votes" in found.output


@pytest.mark.slow
def test_files_of_other_platforms_are_imported_and_used_as_seeds(tmp_path: Path) -> None:
    store, votes = tmp_path / "town", tmp_path / "ideas_votes.csv"
    votes.write_text(
        "Session ID,Winner ID,Winner Text,Loser ID,Loser Text\n"
        "s1,1,Parks,2,Buses\ns2,2,Buses,1,Parks\n"
    )
    words = ["import", store, votes, "--slug", "ideas"]
    assert "--question" in str(said(*words).exception)
    done = said(*words, "--question", "Which is better?", "--consent", "training")
    assert "2 participants, 0 votes, 2 comparisons" in done.output
    said("export", store, "ideas", "--out", tmp_path / "out")
    content = read_consultation(tmp_path / "out")
    assert sorted(content.comparisons["outcome"]) == ["left", "right"]
    assert content.prompts["text"].to_list() == ["Which is better?"]
    table = tmp_path / "table.csv"
    table.write_text("user,item,answer\nu1,Trams,yes\nu2,Trams,no\n")
    named = ["--columns", "participant=user,statement=item,vote=answer"]
    named += ["--values", "agree=yes,disagree=no"]
    assert "2 votes" in said("import", store, table, "--slug", "trams", *named).output
    proposals = tmp_path / "proposals.csv"
    proposals.write_text("id;title/en;state\n1;Night buses;accepted\n2;Cable cars;withdrawn\n")
    assert "1 statement" in made(tmp_path, "--statements", proposals).output


@pytest.mark.slow
def test_a_folder_for_releases_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path)
    served: list[Any] = []
    monkeypatch.setattr(serving, "run_server", lambda app, *_: served.append(app))
    monkeypatch.setattr(serving, "start_logging", lambda: None)
    store = tmp_path / "store"
    result = said(
        "serve", store, "--port", "0", "--no-results", "--releases", tmp_path / "published"
    )
    assert result.exit_code == 0, result.output
    assert served[0].state.settings.releases == tmp_path / "published"
    served[0].state.store.close()


@pytest.mark.slow
def test_serving_prints_the_first_log_in_once_and_keeps_results_fresh(tmp_path: Path) -> None:
    store = empty_store(tmp_path / "store")
    what = consultation(store, results="everyone")
    crowd(store, what, 20)
    command = [sys.executable, "-m", "suffrage", "consult", "serve", str(tmp_path / "store")]
    process = subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(3)]
        log_in = re.search(
            r"(organiser-[0-9a-z-]{9}@localhost)   password: ([0-9A-Z-]{19})", told[2]
        )
        assert log_in, told
        began = time.monotonic()
        while (
            newest_results(store, what.id, "participants") is None and time.monotonic() - began < 90
        ):
            time.sleep(0.3)
        last = newest_results(store, what.id, "participants")
        assert last is not None and last.people == 20
    finally:
        process.terminate()
        process.wait(30)
    store.close()
    secret = (tmp_path / "store" / "secret.key").read_text().strip()
    server = serve(str(tmp_path / "store"), secret)
    try:
        with httpx.Client(base_url=server.url, follow_redirects=True, timeout=60) as client:
            page = client.get("/admin/login").text
            token = re.search(r'name="csrf" value="(\w+)"', page)
            assert token
            fields = {"email": log_in.group(1), "password": log_in.group(2)}
            inside = client.post("/admin/login", data={"csrf": token.group(1), **fields})
            # The password was on a screen, so it is changed before anything else.
            assert inside.url.path == "/admin/account"
            token = re.search(r'name="csrf" value="(\w+)"', inside.text)
            assert token
            new = {"old": log_in.group(2), "new": "a password of my own", "again": "another one"}
            form = {"csrf": token.group(1), **new}
            assert client.post("/admin/account", data=form).status_code == 422
            form["again"] = form["new"]
            assert client.post("/admin/account", data=form).status_code == 200
            assert "Talking about water" in client.get("/admin").text
    finally:
        server.stop()


def test_a_named_server_answers_to_its_names_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, "--start")
    served: list[Any] = []
    monkeypatch.setattr(serving, "run_server", lambda app, *_: served.append(app))
    monkeypatch.setattr(serving, "start_logging", lambda: None)
    named = ["--base-url", "https://c.example", "--hosts", "probe.internal, other.example"]
    serve = ["serve", tmp_path / "store", "--port", "0", "--no-results"]
    assert said(*serve, *named).exit_code == 0
    client = TestClient(served[0])
    for host, status in (
        *(("c.example", 200), ("probe.internal", 200), ("127.0.0.1:8000", 200)),
        *(("evil.example", 400), ("c.example.evil.example", 400)),
    ):
        assert client.get("/healthz", headers={"Host": host}).status_code == status, host
    assert said(*serve).exit_code == 0
    assert served[1].state.settings.hosts == ()
    for one in served:
        one.state.store.close()


@pytest.mark.slow
def test_staff_are_added_and_changed_on_the_command_line(tmp_path: Path) -> None:
    made(tmp_path)
    store = tmp_path / "store"
    ana = ["ana@example.org", "--consultation", "water", "--role", "owner"]
    added = said("staff", "add", store, *ana, "--base-url", "https://c.example/")
    link = re.search(r"https://c\.example/admin/password\?t=([\w-]+)", added.output)
    assert link, added.output
    opened = open_store(str(store))
    staff_links.set_password_by_link(opened, link.group(1), "a long password")

    def comes_in(password: str, email: str = "ana@example.org") -> bool:
        return staff_sessions.log_in_member(opened, email, password, "192.0.2.0/24") is not None

    assert comes_in("a long password") and not comes_in("wrong")
    assert "192.0.2.0/24  ana@example.org" in said("staff", "refusals", store).output
    # The last owner stays, until there is another one.
    alone = said("staff", "disable", store, "ana@example.org")
    assert alone.exit_code == 1 and "needs an owner" in str(alone.exception)
    assert said("staff", "add", store, "bo@example.org", *ana[1:]).exit_code == 0
    assert said("staff", "disable", store, "ana@example.org").exit_code == 0
    assert not comes_in("a long password")
    assert said("staff", "enable", store, "ana@example.org").exit_code == 0
    typed = ["staff", "password", str(store), "ana@example.org"]
    twice = "another password\nanother password\n"
    assert CliRunner().invoke(app, ["consult", *typed], input=twice).exit_code == 0
    assert comes_in("another password") and not comes_in("a long password")
    assert said("staff", "address", store, "ana@example.org", "cy@example.org").exit_code == 0
    assert said("staff", "role", store, "cy@example.org", "water", "analyst").exit_code == 0
    listed = said("staff", "list", store).output
    assert "cy@example.org  analyst of water; must change the password" in listed
    unknown = said("staff", "link", store, "nobody@example.org")
    assert unknown.exit_code == 1 and "not a member of staff" in str(unknown.exception)
    opened.close()


@pytest.mark.slow
def test_a_log_is_checked_against_heads_that_were_noted_before(tmp_path: Path) -> None:
    made(tmp_path)
    store = tmp_path / "store"
    noted = said("audit", "head", store, "water").output.strip()
    assert re.fullmatch(r"\d+:[0-9a-f]{64}", noted)
    said("phase", store, "water", "open")
    said("phase", store, "water", "closed")
    newest = said("audit", "head", store, "water").output.strip()
    whole, log = tmp_path / "log.jsonl", tmp_path / "other.jsonl"
    assert said("audit", "download", store, "water", "--out", whole).exit_code == 0
    heads = tmp_path / "heads.txt"
    heads.write_text(f"{noted}\n{newest}\n")
    assert "2 heads noted earlier" in said("audit", "check", whole, "--heads", heads).output

    def complaint(lines: list[str], *more: str) -> str:
        log.write_text("".join(line + "\n" for line in lines))
        result = said("audit", "check", log, *more)
        assert result.exit_code == (1 if result.exception else 0)
        return str(result.exception or "")

    lines = whole.read_text().splitlines()
    # One that was cut at its end is unbroken, and only a head tells.
    assert complaint(lines[:-1]) == ""
    assert "it was cut" in complaint(lines[:-1], "--head", newest)
    assert "broken at entry 2" in complaint([lines[0], *lines[2:]])
    # Nor is a chain that was made again as a whole broken.
    entries = audit.read_json_lines("\n".join(lines), "log")
    again: list[audit.AuditEntry] = []
    for e in entries:
        previous = again[-1].hash if again else audit.FIRST
        changed = replace(e, previous=previous, detail={"other": "history"})
        content = (e.chain, e.number, previous, e.actor, e.action, e.object, changed.detail, e.at)
        again.append(replace(changed, hash=audit._hash(*content)))
    made_again = audit.as_json_lines(again).splitlines()
    assert complaint(made_again) == ""
    for head in (noted, newest, newest.split(":")[1][:16]):
        assert "log" in complaint(made_again, "--head", head)
    assert "is not a head" in complaint(lines, "--head", "12:abc")
    assert "line 1" in complaint(["not json"])
