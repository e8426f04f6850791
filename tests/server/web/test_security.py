"""The risks in docs/consultation-security.md, each with the tests that are named after it."""

import io
import json
import logging
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from fastapi import APIRouter
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event, select, text
from starlette.routing import Route

from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.consult.polis.conversation import conversation_of
from suffrage.consult.polis.read_files import read_polis
from suffrage.consult.polis.write_files import write_polis
from suffrage.errors import InputError
from suffrage.server import texts, watcher, web
from suffrage.server.participants_results import public_part
from suffrage.server.store import (
    audit,
    consultations,
    invitations,
    participants,
    secret_keys,
    staff,
    staff_sessions,
    statements,
)
from suffrage.server.store import contents as tables
from suffrage.server.store import database_schema as schema
from suffrage.server.store.buckets import MemoryBuckets
from suffrage.server.store.known_groups import current_numbers
from suffrage.server.store.stored_results import StoredResults, newest_results
from suffrage.server.web.rate_limits import Limits, TooManyError, network
from suffrage.server.web.server_settings import DEFAULT_LIMITS, Allowance
from suffrage.server.web.visit import StaffVisit, staff_who_may
from tests.server import acts
from tests.server.site import BASE, Site, consultation, crowd, site, site_of

# How many groups there are and how sure they are is no claim of these tests.
recompute = partial(watcher.recompute, settings=GroupSettings(most=2), resamples=2)
DOCS = Path(__file__).parents[3] / "docs" / "consultation-security.md"
XSS = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture
def here(filled: Path, tmp_path: Path) -> Site:
    shutil.copytree(filled, tmp_path / "store")
    return site_of(tmp_path / "store")


def api_session(here: Site, slug: str = "water") -> tuple[dict[str, str], str]:
    client = here.browser().client
    made = client.post(f"/api/v1/c/{slug}/session", json={}).json()
    headers = {"Authorization": f"Bearer {made['session']}"}
    client.post(f"/api/v1/c/{slug}/consent", json={"take_part": True}, headers=headers)
    return headers, made["participant"]


def test_every_risk_of_the_table_has_tests() -> None:
    table = DOCS.read_text().split("| risk |")[1].split("\n\n")[0]
    risks = [row.split("|")[1].strip() for row in table.splitlines()[2:] if row]
    assert len(risks) == 15
    for risk in risks:
        start = "test_" + re.sub(r"\W+", "_", risk.lower()).strip("_")
        assert any(name.startswith(start) for name in globals()), start


# Vote stuffing


def test_vote_stuffing_by_sending_a_vote_many_times_leaves_one(here: Site) -> None:
    visitor = here.browser().join()
    visitor.get("/c/water/vote")
    form = {**visitor.hidden, "vote": "agree"}
    for _ in range(5):
        assert visitor.client.post("/c/water/vote", data=form).status_code == 200
    assert acts.voters(here.store, consultations.find_consultation(here.store, "water").id) == (
        1,
        1,
    )


@pytest.mark.slow
def test_vote_stuffing_at_once_leaves_one(here: Site) -> None:
    headers, _ = api_session(here)
    client = here.browser().client
    what = consultations.find_consultation(here.store, "water")
    first = statements.list_statements(here.store, what.id)[0].id

    def vote(at: int) -> int:
        body = {"vote": (-1, 1)[at % 2]}
        url = f"/api/v1/c/water/votes/{first}"
        return client.put(url, json=body, headers=headers).status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(vote, range(18))) == {200}
    assert acts.voters(here.store, what.id) == (1, 1)


# Duplicate identity


def test_duplicate_identity_an_invitation_lets_one_person_in(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    consultations.set_settings(here.store, what.id, {"open_to_all": False}, "tests")
    (token,) = invitations.create_invitations(here.store, what.id, 1, "tests")
    first = here.browser()
    assert first.join(token=token).page.url.path == "/c/water/code"
    second = here.browser().get(f"/c/water/join?t={token}")
    assert second.status_code == 403 and "cannot be used" in second.text
    refused = here.browser().client.post("/api/v1/c/water/session", json={"token": token})
    assert refused.status_code == 403 and refused.json()["error"]["reason"] == "used"


def test_duplicate_identity_without_an_invitation_nobody_comes_in(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    consultations.set_settings(here.store, what.id, {"open_to_all": False}, "tests")
    refused = here.browser().client.post("/api/v1/c/water/session", json={})
    assert refused.json()["error"]["reason"] == "invited"
    assert participants.count_participants(here.store, what.id)["joined"] == 0


def test_duplicate_identity_people_without_invitation_are_marked(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    (token,) = invitations.create_invitations(here.store, what.id, 1, "tests")
    here.browser().join()
    here.browser().join(token=token)
    verified = tables.to_consultation(here.store, "water").participants["verified"]
    assert sorted(verified) == [False, True]


def test_duplicate_identity_a_comparison_is_not_replayed(here: Site) -> None:
    headers, _ = api_session(here)
    client = here.browser().client
    shown = client.get("/api/v1/c/water/next?kind=comparison", headers=headers).json()
    body = {"exposure": shown["exposure"], "outcome": "left"}
    first = client.post("/api/v1/c/water/comparisons", json=body, headers=headers)
    again = client.post("/api/v1/c/water/comparisons", json=body, headers=headers)
    assert (first.json()["new"], again.json()["new"]) == (True, False)
    turned = client.post(
        "/api/v1/c/water/comparisons", json={**body, "outcome": "right"}, headers=headers
    )
    assert turned.status_code == 409 and turned.json()["error"]["reason"] == "replay"


# CSRF


def forms(here: Site) -> list[str]:
    paths = []
    for route in all_routes(here):
        if "POST" in (route.methods or ()) and not route.path.startswith("/api/"):
            paths.append(route.path.replace("{slug}", "water"))
    return paths


def all_routes(here: Site) -> list[Route]:
    def of(routes: list) -> list[Route]:  # type: ignore[type-arg]
        found = []
        for route in routes:
            if isinstance(route, Route):
                found.append(route)
            elif isinstance(getattr(route, "original_router", None), APIRouter):
                found += of(route.original_router.routes)
        return found

    return of(here.app.router.routes)


@pytest.mark.slow
def test_csrf_every_form_needs_its_token(here: Site) -> None:
    found = forms(here)
    assert len(found) >= 9
    visitor = here.browser().join()
    for path in found:
        for body in ({"sure": "yes", "vote": "agree"}, {"csrf": "0" * 64, "sure": "yes"}):
            assert visitor.client.post(path, data=body).status_code == 403, path
    assert (
        participants.count_participants(
            here.store, consultations.find_consultation(here.store, "water").id
        )["joined"]
        == 1
    )


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_csrf_a_form_from_elsewhere_is_refused_whatever_it_holds(
    here: Site, headers: dict[str, str]
) -> None:
    visitor = here.browser().join()
    visitor.get("/c/water/vote")
    form = {**visitor.hidden, "vote": "agree"}
    assert visitor.client.post("/c/water/vote", data=form, headers=headers).status_code == 403
    good = visitor.client.post("/c/water/vote", data=form, headers={"Origin": BASE})
    assert good.status_code == 200


def test_csrf_the_token_of_one_browser_is_no_use_in_another(here: Site) -> None:
    one, other = here.browser().join(), here.browser().join()
    one.get("/c/water/vote")
    form = {**one.hidden, "vote": "agree"}
    assert other.client.post("/c/water/vote", data=form).status_code == 403


def test_csrf_the_api_reads_no_cookie_and_takes_json_only(here: Site) -> None:
    visitor = here.browser().join()
    assert visitor.client.get("/api/v1/c/water/me").status_code == 401
    headers, _ = api_session(here)
    plain = {**headers, "Content-Type": "text/plain"}
    refused = visitor.client.post(
        "/api/v1/c/water/statements", content='{"text": "x"}', headers=plain
    )
    assert refused.status_code == 415


def test_csrf_cookies_are_hidden_from_scripts_and_other_sites(tmp_path: Path) -> None:
    made = site(tmp_path / "s")
    consultation(made.store)
    visitor = made.browser()
    visitor.get("/c/water/join")
    response = visitor.client.post("/c/water/join", data=visitor.hidden, follow_redirects=False)
    set_cookies = response.headers.get_list("set-cookie")
    session = [c for c in set_cookies if "in-water" in c]
    assert session and all("HttpOnly" in c and "SameSite=lax" in c for c in session)
    secure = site(tmp_path / "s2")
    secure.app.state.settings = replace(secure.app.state.settings, base_url="https://consult.test")
    cookie = secure.browser().get("/admin/login").headers["set-cookie"]
    assert cookie.startswith("__Host-") and "Secure" in cookie and "Path=/" in cookie


# Framing


@pytest.mark.slow
def test_framing_is_refused_but_for_the_finding_on_sites_that_were_named(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    consultations.set_settings(
        here.store, what.id, {"embedded_by": ["https://council.example"]}, "tests"
    )
    visitor = here.browser().join()
    for path in ("", "/vote", "/mine", "/mine/withdraw", "/results", "/consent", "/statement/new"):
        found = visitor.get(f"/c/water{path}").headers
        assert "frame-ancestors 'none'" in found["content-security-policy"], path
        assert found["x-frame-options"] == "DENY", path
    framed = visitor.get("/c/water/embed")
    assert "frame-ancestors https://council.example;" in framed.headers["content-security-policy"]
    assert "<form" not in framed.text and "<script" not in framed.text
    # The session that this browser has makes no difference to it.
    assert framed.text == here.browser().get("/c/water/embed").text


# Rate limit


def test_rate_limit_a_bucket_empties_and_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("suffrage.server.store.buckets.time.monotonic", lambda: clock[0])
    limits = Limits({"vote": (Allowance(2, 60), Allowance(3, 60))}, MemoryBuckets())
    limits.spend("vote", "net", "me")
    limits.spend("vote", "net", "me")
    with pytest.raises(TooManyError) as much:
        limits.spend("vote", "net", "me")
    assert much.value.seconds == 30
    limits.spend("vote", "net", "other")
    with pytest.raises(TooManyError):
        limits.spend("vote", "net", "third")  # the network's own bucket is empty
    clock[0] = 30.0
    limits.spend("vote", "net", "me")


def test_rate_limit_a_refused_act_uses_up_nobodys_allowance() -> None:
    limits = Limits({"vote": (Allowance(2, 60), Allowance(3, 60))}, MemoryBuckets())
    for caller in ("one", "one", "two"):
        limits.spend("vote", "net", caller)
    for caller in ("one", "two", "three"):
        with pytest.raises(TooManyError):
            limits.spend("vote", "net", caller)
    # Elsewhere each still has what they had; those who were refused took nothing from others.
    limits.spend("vote", "elsewhere", "two")
    limits.spend("vote", "elsewhere", "three")
    with pytest.raises(TooManyError):
        limits.spend("vote", "elsewhere", "one")
    limits.spend("vote", "elsewhere", "three")


def test_rate_limit_networks_are_slash_24_and_slash_56() -> None:
    assert network("192.0.2.7") == network("192.0.2.200") != network("192.0.3.7")
    assert network("::ffff:192.0.2.7") == network("192.0.2.7")
    assert network("2001:db8:0:1::1") == network("2001:db8:0:ff::1") != network("2001:db8:1::1")


def test_rate_limit_floods_are_told_when_to_come_again(tmp_path: Path) -> None:
    limits = {**DEFAULT_LIMITS, "login": (Allowance(3, 3600), Allowance(3, 3600))}
    made = site(tmp_path / "s", limits=limits)
    visitor = made.browser()
    codes = [visitor.log_in("x@example.org", "wrong").status_code for _ in range(4)]
    assert codes == [403, 403, 403, 429]
    assert 0 < int(visitor.page.headers["retry-after"]) <= 1200
    assert made.browser("198.51.100.1").log_in("y@example.org", "wrong").status_code == 403
    # Nobody shuts somebody out elsewhere by trying their address here.
    assert made.browser("203.0.113.1").log_in("x@example.org", "wrong").status_code == 403


@pytest.mark.slow
def test_rate_limit_votes_statements_and_joins_are_limited(tmp_path: Path) -> None:
    tight = dict.fromkeys(DEFAULT_LIMITS, (Allowance(1, 3600), Allowance(100, 3600)))
    made = site(tmp_path / "s", limits={**tight, "write": DEFAULT_LIMITS["write"]})
    consultation(made.store)
    visitor = made.browser().join()
    assert visitor.vote().status_code == 200
    assert visitor.vote().status_code == 429
    for words, status in (("Cows need clean rivers", 200), ("Trains at night", 429)):
        visitor.get("/c/water/statement/new")
        assert visitor.send("/c/water/statement/new", text=words).status_code == status


# Stored XSS


@pytest.mark.slow
def test_stored_xss_no_field_reaches_a_page_as_markup(tmp_path: Path) -> None:
    made = site(tmp_path / "s")
    item = {
        "item": "age",
        "label": {"en": XSS},
        "options": [{"value": v, "label": {"en": XSS}} for v in ("a", "b")],
    }
    what = consultation(
        made.store,
        demographics=[item],
        moderation="after",
        organiser=XSS,
        contact=XSS,
        intro={"en": XSS},
        moderation_policy={"en": XSS},
        consent_more={"en": XSS},
        statement_characters=300,
    )
    consultations.set_texts(made.store, what.id, {"en": XSS}, {"en": XSS}, "tests")
    visitor = made.browser().join()
    visitor.get("/c/water/statement/new")
    visitor.send("/c/water/statement/new", text=f"I say {XSS}")
    crowd(made.store, what, 30)
    recompute(made.store, what)
    for _ in range(8):
        visitor.vote()
    visitor.get("/c/water/compare")
    visitor.send("/c/water/compare", outcome="left", why=XSS)
    pages = [
        "",
        "/join",
        "/consent",
        "/about-you",
        "/vote",
        "/statement/new",
        "/compare",
        "/answers",
    ]
    pages += ["/mine", "/mine/withdraw", "/results", "/moderation-policy", "/privacy", "/help"]
    seen = 0
    for page in pages:
        html = visitor.get(f"/c/water{page}").text
        assert "<script>" not in html and "<img" not in html, page
        seen += html.count("&lt;script&gt;")
    assert seen > 20
    near = visitor.client.post(
        "/c/water/statement/new", data={**fresh(visitor), "text": f"I say {XSS} too"}
    )
    assert "<img" not in near.text


def fresh(visitor) -> dict[str, str]:  # type: ignore[no-untyped-def]
    visitor.get("/c/water/statement/new")
    return visitor.hidden


def test_stored_xss_the_policy_allows_no_inline_script_and_no_other_site(here: Site) -> None:
    for path in ("/", "/c/water", "/c/nowhere", "/admin/login", "/static/enhance.js", "/healthz"):
        found = here.browser().get(path)
        policy = found.headers["content-security-policy"]
        for part in (
            "default-src 'self'",
            "script-src 'self'",
            "object-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ):
            assert part in policy
        assert "unsafe" not in policy and "http" not in policy
        assert found.headers["x-content-type-options"] == "nosniff"
    inline = re.compile(r"<script(?![^>]*\bsrc=)|\son\w+=|style=|javascript:|https?://", re.I)
    templates = list(Path(web.__file__).parent.joinpath("templates").rglob("*.html"))
    assert len(templates) > 20
    for template in templates:
        assert not inline.search(template.read_text()), template.name


def test_stored_xss_hidden_characters_are_taken_out() -> None:
    cases = {
        "Safe\u202etxt.exe": "Safetxt.exe",
        "a\u0000b\u0007c": "abc",
        "zero\u200bwidth\ufeff": "zerowidth",
        "de\u0301cide\u0301": "décidé",
        "line\nbreak\ttab": "line break tab",
        "i\u2066solate\u2069": "isolate",
        "tag\U000e0041s": "tags",
        "p\u200dq": "pq",
        "Māori": "Māori",
        "می\u200cخواهم": "می\u200cخواهم",
        "z" + "\u0335" * 20: "z" + "\u0335" * 3,
    }
    for given_text, wanted in cases.items():
        assert texts.clean(given_text) == wanted, ascii(given_text)


@pytest.mark.slow
@given(st.text(max_size=300))
@hypothesis_settings(max_examples=200)
def test_stored_xss_cleaning_again_changes_nothing(written: str) -> None:
    once = texts.clean(written)
    assert texts.clean(once) == once
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ud800-\udfff]", once)


@pytest.mark.slow
@given(written=st.text(max_size=400))
@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_stored_xss_any_text_is_stored_or_refused_and_never_fails(here: Site, written: str) -> None:
    headers, _ = api_session(here)
    body = json.dumps({"text": written, "different": True})
    sent = here.browser().client.post(
        "/api/v1/c/water/statements",
        content=body,
        headers={**headers, "Content-Type": "application/json"},
    )
    assert sent.status_code in (200, 409, 422), sent.text


def test_stored_xss_a_very_long_statement_is_refused_whole(here: Site) -> None:
    visitor = here.browser().join()
    visitor.get("/c/water/statement/new")
    assert visitor.send("/c/water/statement/new", text="a" * 3000).status_code == 422
    visitor.get("/c/water/statement/new")
    assert visitor.send("/c/water/statement/new", text="b" * 100_000).status_code == 413


# Access control


def test_access_control_another_consultations_session_is_no_session(here: Site) -> None:
    consultation(here.store, "energy")
    headers, _ = api_session(here)
    client = here.browser().client
    assert client.get("/api/v1/c/water/me", headers=headers).status_code == 200
    assert client.get("/api/v1/c/energy/me", headers=headers).status_code == 401


@pytest.mark.slow
def test_access_control_ids_of_another_consultation_are_not_found(here: Site) -> None:
    other = consultation(here.store, "energy")
    theirs = statements.list_statements(here.store, other.id)[0].id
    there, _ = api_session(here, "energy")
    client = here.browser().client
    shown = client.get("/api/v1/c/energy/next?kind=comparison", headers=there).json()
    headers, _ = api_session(here)
    calls = [
        ("PUT", f"votes/{theirs}", {"vote": 1}),
        ("POST", "comparisons", {"exposure": shown["exposure"], "outcome": "left"}),
        ("PUT", "reactions/nothing", {"value": 1}),
    ]
    for method, path, body in calls:
        answer = client.request(method, f"/api/v1/c/water/{path}", json=body, headers=headers)
        assert answer.status_code == 404, path
    visitor = here.browser().join()
    assert visitor.get(f"/c/water/vote/{theirs}").status_code == 404


def test_access_control_a_rejected_statement_is_not_shown_to_others(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    id = statements.list_statements(here.store, what.id)[0].id
    statements.moderate_statements(here.store, what.id, [id], "rejected", "unlawful", None)
    page = here.browser().join().get(f"/c/water/vote/{id}")
    assert page.status_code == 404 and "amber" not in page.text


@pytest.mark.slow
def test_access_control_a_statement_moderated_out_leaves_the_results_at_once(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    consultations.set_settings(here.store, what.id, {"results": "everyone"}, "tests")
    crowd(here.store, what, 40)
    recompute(here.store, what)
    assert "rule amber" in here.browser().get("/c/water/results").text
    (id,) = [s.id for s in statements.list_statements(here.store, what.id) if "amber" in s.text]
    statements.moderate_statements(here.store, what.id, [id], "rejected", "unlawful", None)
    assert "rule amber" not in here.browser().get("/c/water/results").text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("role", "act", "status"),
    [
        ("viewer", "view", 200),
        ("viewer", "moderate", 403),
        ("analyst", "moderate", 403),
        ("analyst", "export", 200),
        ("moderator", "moderate", 200),
        ("moderator", "export", 403),
        ("moderator", "manage", 403),
        ("owner", "manage", 200),
        (None, "view", 404),
    ],
)
def test_access_control_staff_do_what_their_role_allows(
    tmp_path: Path, role: str | None, act: str, status: int
) -> None:
    from fastapi import Depends

    router = APIRouter()

    @router.get("/admin/c/{consultation_id}/probe")
    def probe(v: StaffVisit = Depends(staff_who_may(act))) -> dict[str, str]:
        return {"role": v.role}

    made = site(tmp_path / "s")
    made.app.include_router(router)
    what, other = consultation(made.store), consultation(made.store, "energy")
    made.staff(other, "owner")
    if role is not None:
        made.staff(what, role)  # type: ignore[arg-type]
    visitor = made.browser()
    away = visitor.client.get(f"/admin/c/{what.id}/probe", follow_redirects=False)
    assert away.status_code == 303 and away.headers["location"] == "/admin/login"
    assert visitor.log_in().url.path == "/admin"
    assert visitor.get(f"/admin/c/{what.id}/probe").status_code == status


def test_access_control_a_logged_out_session_is_no_session(here: Site) -> None:
    here.staff(consultations.find_consultation(here.store, "water"), "owner")
    visitor = here.browser()
    visitor.log_in()
    kept = dict(visitor.client.cookies)
    visitor.send("/admin/logout")
    thief = here.browser()
    for name, value in kept.items():
        thief.client.cookies.set(name, value)
    assert thief.get("/admin").url.path == "/admin/login"


def test_access_control_which_part_of_a_log_in_was_wrong_is_not_told(here: Site) -> None:
    here.staff(consultations.find_consultation(here.store, "water"), "owner")
    pages = [
        here.browser().log_in(email, "wrong") for email in ("ana@example.org", "no@example.org")
    ]
    bodies = [re.sub(r'value="[^"]*"', "", page.text) for page in pages]
    assert bodies[0] == bodies[1]


def test_timing_side_channel_an_unknown_name_costs_the_same_work_as_a_wrong_password(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = here.staff(consultations.find_consultation(here.store, "water"), "owner")
    gone = staff.add_member(here.store, "gone@example.org", "a long password")
    staff.disable_member(here.store, gone.id, "tests")
    hasher, done = staff._hasher(), []

    class Watched:
        def hash(self, password: str) -> str:
            return hasher.hash(password)

        def verify(self, kept: str, password: str) -> bool:
            # What the time hangs on: argon2's kind and costs, and that it ran to its end.
            done.append(("verify", kept.split("$")[1:4], len(password)))
            return hasher.verify(kept, password)

    monkeypatch.setattr(staff, "_hasher", Watched)
    engine = here.store.engine
    listen = (engine, "before_cursor_execute", lambda *call: done.append(("asked", call[2])))
    event.listen(*listen)
    work = []
    try:
        for email in (ana.email, "nobody@example.org", "gone@example.org", ""):
            done.clear()
            assert staff_sessions.log_in_member(here.store, email, "wrong password") is None
            work.append(list(done))
    finally:
        event.remove(*listen)
    assert [kind for kind, *_ in work[0]].count("verify") == 1
    assert all(other == work[0] for other in work[1:])


@pytest.mark.parametrize("nasty", ["' OR 1=1 --", "%00", "../../etc/passwd", "%F0%9F", "a" * 3000])
def test_access_control_no_id_reaches_the_query_or_the_disk(here: Site, nasty: str) -> None:
    visitor = here.browser().join()
    for path in (f"/c/{nasty}", f"/c/water/vote/{nasty}", f"/static/{nasty}", f"/api/v1/c/{nasty}"):
        assert visitor.get(path).status_code in (404, 422), path


# CSV formula injection


@pytest.mark.parametrize("start", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "＝1+1"])
def test_csv_formula_injection_text_is_neutralised_and_comes_back(
    here: Site, tmp_path: Path, start: str
) -> None:
    what = consultations.find_consultation(here.store, "water")
    statements.add_seeds(here.store, what.id, [(start, "en")], "tests")
    content = conversation_of(tables.to_consultation(here.store, "water"))
    write_polis(content, tmp_path / "polis")
    raw = pl.read_csv(tmp_path / "polis" / "comments.csv", infer_schema=False)["comment-body"]
    assert not any(body[:1] in "=+-@\t\r\0" for body in raw)
    assert start in {s.text for s in read_polis(tmp_path / "polis").statements}


# PII in statements


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("Write to jo.bloggs+x@example.co.nz now", "email"),
        ("jo (at) example (dot) org", "email"),
        ("Ring 021 555 0123 after six", "phone"),
        ("Call +64 4 555 0123", "phone"),
        ("I live at 12 Great North Road", "address"),
        ("PO Box 1234 Wellington", "address"),
        ("My IRD is 049-091-850", "tax number"),
        ("NHI ZAC5361 needs care", "health number"),
        ("NHI ZBN77VL needs care", "health number"),
        ("Mr Tamahere said so", "name"),
        ("My name is Aroha Ngata", "name"),
        ("See www.example.org/me", "link"),
    ],
)
def test_pii_in_statements_is_held_back(here: Site, written: str, kind: str) -> None:
    what = consultations.find_consultation(here.store, "water")
    consultations.set_settings(here.store, what.id, {"moderation": "after"}, "tests")
    headers, _ = api_session(here)
    body = {"text": written, "different": True}
    client = here.browser().client
    sent = client.post("/api/v1/c/water/statements", json=body, headers=headers).json()
    assert sent["state"] == "flagged"
    assert kind in statements.find_statement(here.store, what.id, sent["id"]).flags
    assert sent["id"] not in {s.id for s in here.app.state.drawing.accepted(what)}


@pytest.mark.parametrize(
    "written",
    [
        "An assistant should tell people when it is unsure.",
        "In 2026 rents rose by 12 % and 30,000 people moved.",
        "He tika kia kōrero te reo Māori.",
        "Road tolls should pay for the road.",
        "Answers should cite sources from 1990-2020.",
    ],
)
def test_pii_in_statements_does_not_hold_back_ordinary_ones(written: str) -> None:
    assert texts.personal_details(written) == []


# Toxicity and spam


def test_toxicity_spam_waits_for_a_person_and_is_never_deleted(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    headers, _ = api_session(here)
    client = here.browser().client
    body = {"text": "Buy pills at once", "different": True}
    sent = client.post("/api/v1/c/water/statements", json=body, headers=headers).json()
    assert sent["state"] == "pending"
    statements.moderate_statements(here.store, what.id, [sent["id"]], "rejected", "spam", None)
    again = client.post("/api/v1/c/water/statements", json=body, headers=headers).json()
    assert again["id"] == sent["id"] and again["state"] == "rejected"
    assert statements.find_statement(here.store, what.id, sent["id"]).text == "Buy pills at once"


def test_toxicity_spam_one_person_cannot_fill_the_list(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    consultations.set_settings(here.store, what.id, {"statements_each": 2}, "tests")
    headers, _ = api_session(here)
    client = here.browser().client
    codes = [
        client.post(
            "/api/v1/c/water/statements", json={"text": words, "different": True}, headers=headers
        ).status_code
        for words in ("Ducks", "Geese", "Swans")
    ]
    assert codes == [200, 200, 409]


# Withdrawal


@pytest.mark.slow
def test_withdrawal_deletes_and_gives_a_receipt_the_log_knows(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    visitor = here.browser().join()
    for _ in range(3):
        visitor.vote()
    visitor.get("/c/water/mine/withdraw")
    assert visitor.send("/c/water/mine/withdraw").status_code == 422
    done = visitor.send("/c/water/mine/withdraw", sure="yes")
    receipt = re.search(r"receipt=([\w:]+)", str(done.url))
    assert receipt and receipt.group(1) in done.text
    # The page in another language has the receipt too; nobody without one is told of a withdrawal.
    same = visitor.get(f"/c/water/withdrawn?receipt={receipt.group(1)}")
    assert same.text.count(f"receipt={receipt.group(1).replace(':', '%3A')}&amp;lang=") >= 1
    assert visitor.get("/c/water/withdrawn").url.path == "/c/water"
    logged = [
        e for e in audit.list_entries(here.store, what.id) if e.action == "participant.withdraw"
    ]
    assert [f"{e.number}:{e.hash[:16]}" for e in logged] == [receipt.group(1)]
    assert acts.voters(here.store, what.id) == (0, 0)
    assert visitor.get("/c/water/mine").url.path == "/c/water/join"


@pytest.mark.slow
def test_withdrawal_leaves_no_trace_of_the_person_in_results_and_texts(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    visitor = here.browser().join()
    (person,) = participants.list_participants(here.store, what.id)
    for _ in range(12):
        visitor.vote()
    visitor.get("/c/water/statement/new")
    visitor.send("/c/water/statement/new", text="Only I would say zanzibar")
    others = crowd(here.store, what, 30)
    (mine,) = [
        s for s in statements.list_statements(here.store, what.id) if s.author_id == person.id
    ]
    statements.moderate_statements(here.store, what.id, [mine.id], "accepted", "ok", None)
    statements.translate_statement(
        here.store, what.id, mine.id, "mi", "zanzibar", "machine", "tests"
    )
    acts.vote(here.store, what.id, others[0], mine.id, 1)
    recompute(here.store, what)
    with here.store.read() as c:
        assert person.id in current_numbers(c, what.id)
    visitor.get("/c/water/mine/withdraw")
    visitor.send("/c/water/mine/withdraw", sure="yes")
    with here.store.read() as c:
        for table in schema.metadata.sorted_tables:
            if table.name not in ("participant", "audit"):
                rows = str([tuple(row) for row in c.execute(select(table))])
                assert person.id not in rows, table.name
                assert "zanzibar" not in rows or table.name == "results", table.name
    # What organisers see has lost the text with the next computation.
    recompute(here.store, what)
    last = newest_results(here.store, what.id, "organisers")
    assert last is not None and "zanzibar" not in json.dumps(last.result)


@pytest.mark.slow
def test_withdrawal_works_on_another_device_and_after_closing(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    first = here.browser().join()
    first.vote()
    code = re.search(r'class="big"[^>]*>([0-9A-Z-]{19})<', first.get("/c/water/mine").text)
    assert code
    consultations.set_phase(here.store, what.id, "closed", "tests")
    second = here.browser()
    second.get("/c/water/join")
    assert second.send("/c/water/join", code=code.group(1).lower()).status_code == 200
    second.get("/c/water/mine/withdraw")
    second.send("/c/water/mine/withdraw", sure="yes")
    assert participants.count_participants(here.store, what.id)["withdrawn"] == 1
    assert first.get("/c/water/mine").url.path == "/c/water/join"


@pytest.mark.slow
def test_withdrawal_everything_held_can_be_taken_along_first(here: Site) -> None:
    visitor = here.browser().join()
    visitor.vote()
    visitor.get("/c/water/compare")
    visitor.send("/c/water/compare", outcome="tie", confidence="2")
    content = visitor.get("/c/water/mine/download").json()
    assert len(content["votes"]) == 1 and content["votes"][0]["vote"] == 1
    assert content["comparisons"][0]["outcome"] == "tie"
    assert "model" not in json.dumps(content)


# K-anonymity


@pytest.mark.slow
def test_k_anonymity_results_never_tell_of_few_people(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    ids = crowd(here.store, what, 40)
    rare = statements.add_seeds(here.store, what.id, [("Hardly anyone saw this", "en")], "tests")[0]
    for id in ids[:4]:
        acts.vote(here.store, what.id, id, rare.id, 1)
    recompute(here.store, what)
    last = newest_results(here.store, what.id, "participants")
    assert last is not None
    told = json.dumps(public_part(last.result))
    assert rare.id not in told and not any(id in told for id in ids)
    assert min(group["people"] for group in last.result["groups"]) >= 5


def test_k_anonymity_demographics_are_joined_to_votes_nowhere_in_the_database(here: Site) -> None:
    visitor = here.browser().join()
    visitor.get("/c/water/about-you")
    visitor.send("/c/water/about-you", age="40+")
    what = consultations.find_consultation(here.store, "water")
    (person,) = participants.list_participants(here.store, what.id)
    with here.store.read() as c:
        (row,) = c.execute(select(schema.demographic)).all()
        linked = c.execute(
            text("SELECT count(*) FROM participant p JOIN demographic d ON d.person_key = p.id")
        ).scalar()
    assert linked == 0 and person.id not in row.person_key
    assert tables.to_consultation(here.store, "water").demographics.height == 1


# Timing side channel


@pytest.mark.slow
def test_timing_side_channel_no_results_before_enough_people_and_own_votes(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    crowd(here.store, what, 14)
    recompute(here.store, what)
    assert newest_results(here.store, what.id, "participants") is None
    crowd(here.store, what, 2, seed=1)
    recompute(here.store, what)
    assert newest_results(here.store, what.id, "participants") is not None
    visitor = here.browser().join()
    for at in range(7):
        assert "after 7 votes" in visitor.get("/c/water/results").text, at
        visitor.vote()
    assert "What most people think" in visitor.get("/c/water/results").text
    assert (
        "Only people who take part can see the results"
        in here.browser().get("/c/water/results").text
    )


@pytest.mark.slow
def test_timing_side_channel_results_change_by_five_people_at_least(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    crowd(here.store, what, 16)

    def step() -> StoredResults | None:
        recompute(here.store, what)
        return newest_results(here.store, what.id, "participants")

    first = step()
    assert first is not None
    for n in range(4):
        crowd(here.store, what, 1, seed=10 + n)
        assert step() == first
    crowd(here.store, what, 1, seed=20)
    second = step()
    assert second is not None and second.people - first.people == 5


@pytest.mark.slow
def test_timing_side_channel_everybody_sees_the_same_results(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    consultations.set_settings(here.store, what.id, {"results": "everyone"}, "tests")
    crowd(here.store, what, 20)
    recompute(here.store, what)
    client = here.browser().client
    before = client.get("/api/v1/c/water/results")
    crowd(here.store, what, 2, seed=3)
    after = client.get("/api/v1/c/water/results")
    assert before.json() == after.json() and before.json()["people"] == 20
    tag = {"If-None-Match": before.headers["etag"]}
    assert client.get("/api/v1/c/water/results", headers=tag).status_code == 304


# Audit log


def test_audit_log_holds_every_act_of_the_organisers_unbroken(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    _, person = api_session(here)
    id = statements.list_statements(here.store, what.id)[0].id
    statements.moderate_statements(here.store, what.id, [id], "rejected", "off_topic", None)
    participants.exclude_participant(here.store, what.id, person, "spam", "tests")
    here.staff(what, "owner")
    consultations.set_settings(here.store, what.id, {"minutes": 20}, "tests")
    consultations.set_phase(here.store, what.id, "closed", "tests")
    chain = audit.list_entries(here.store, what.id)
    said = {e.action for e in chain}
    assert said >= {
        "consultation.create",
        "consultation.phase",
        "consultation.settings",
        "statement.seed",
        "statement.moderate",
        "participant.exclude",
        "answers.import",
        "staff.role",
    }
    assert audit.check_chain(here.store, what.id) is None
    lines = audit.as_json_lines(chain).splitlines()
    downloaded = [audit.AuditEntry(**json.loads(line)) for line in lines]
    assert audit.first_broken(downloaded) is None
    assert audit.first_broken([replace(downloaded[0], at=0), *downloaded[1:]]) == 1


# Backup and secret


@pytest.mark.slow
def test_backup_secret_nothing_secret_is_logged(here: Site) -> None:
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        what = consultations.find_consultation(here.store, "water")
        here.staff(what, "owner")
        (token,) = invitations.create_invitations(here.store, what.id, 1, "tests")
        visitor = here.browser().join(token=token)
        visitor.vote()
        code = participants.return_code(
            here.store, what.id, participants.list_participants(here.store, what.id)[0].id
        )
        visitor.log_in()
        cookies = list(visitor.client.cookies.values())
        logging.getLogger("suffrage.consult").error("%r", here.store)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    ours = "\n".join(
        line for line in heard.getvalue().splitlines() if not line.startswith("HTTP Request")
    )
    assert "/c/water/join" in ours
    for secret in (token, code, *cookies, "correct horse battery"):
        assert secret not in ours
    assert here.store.secrets.keys[0].decode() not in ours


def test_backup_secret_a_copy_of_the_database_opens_no_session(
    here: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers, person = api_session(here)
    monkeypatch.setenv(secret_keys.VARIABLE, "another key of somebody else; it is long enough")
    from suffrage.server.store.database import open_store

    store = str(tmp_path / "store")
    with pytest.raises(InputError, match="not the one that this store was made with"):
        open_store(store)
    copy = open_store(store, check=False)  # as somebody would who has changed the program
    what = consultations.find_consultation(copy, "water")
    session = headers["Authorization"].split()[1]
    assert participants.participant_of_session(copy, what.id, session) is None
    assert participants.return_code(copy, what.id, person) == ""
    copy.close()


@pytest.mark.slow
def test_access_control_a_draft_exists_for_its_staff_and_for_who_took_part_already(
    here: Site,
) -> None:
    what = consultations.find_consultation(here.store, "water")
    before = here.browser().join()
    headers, _ = api_session(here)
    consultations.set_phase(here.store, what.id, "draft", "tests")
    stranger = here.browser()
    for path in ("", "/join", "/vote", "/results", "/privacy", "/help", "/consent"):
        found = stranger.get(f"/c/water{path}")
        assert found.status_code == 404 and "Talking about" not in found.text, path
    for path in ("", "/results", "/next", "/me"):
        assert stranger.client.get(f"/api/v1/c/water{path}").status_code == 404, path
    assert stranger.client.post("/api/v1/c/water/session", json={}).status_code == 404
    here.staff(what, "viewer")
    consultation(here.store, "other")
    here.staff(consultations.find_consultation(here.store, "other"), "owner", "bo@example.org")
    for email, status in (("ana@example.org", 200), ("bo@example.org", 404)):
        member = here.browser()
        member.log_in(email)
        assert member.get("/c/water").status_code == status
    # Nobody is kept from taking back what they gave.
    assert before.get("/c/water/mine/withdraw").status_code == 200
    assert stranger.client.delete("/api/v1/c/water/me", headers=headers).status_code == 200


@pytest.mark.slow
def test_access_control_a_request_chooses_neither_the_host_of_links_nor_another_one(
    here: Site,
) -> None:
    what = consultations.find_consultation(here.store, "water")
    here.staff(what, "owner")
    owner = here.browser()
    owner.log_in()
    owner.get(f"/admin/c/{what.id}/invitations")
    given = {**owner.hidden, "what": "links", "count": "2"}
    evil = {"Host": "evil.example"}
    made = owner.client.post(f"/admin/c/{what.id}/invitations", data=given, headers=evil)
    assert made.status_code == 200 and made.text.count("http://consult.test/c/water/join?t=") == 2
    assert "evil" not in made.text
