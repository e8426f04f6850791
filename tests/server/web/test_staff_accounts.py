"""Staff's accounts: passwords that nobody else knows, and waits that shut nobody else out."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from suffrage.errors import InputError
from suffrage.server.store import (
    audit,
    consultations,
    sign_in_tries,
    staff,
    staff_links,
    staff_sessions,
)
from suffrage.server.store import database_schema as schema
from suffrage.server.store.database import open_store
from suffrage.server.store.secret_keys import VARIABLE
from suffrage.server.store.sign_in_tries import WaitError
from tests.server.site import PASSWORD, Browser, Site, consultation, site_of

ANA, BO = "ana@example.org", "bo@example.org"
NEW = "a new long password"


@pytest.fixture
def here(address: str, filled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    if "://" in address:
        store = open_store(address, create=True)
        consultation(store)
        store.close()
    else:
        monkeypatch.delenv(VARIABLE)  # the copy has a secret of its own
        shutil.copytree(filled, address)
    made = site_of(address)
    what = consultations.find_consultation(made.store, "water")
    made.staff(what, "owner")
    made.staff(what, "moderator", BO)
    yield made
    made.store.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time of sign-ins, in milliseconds, which tests move."""
    at = [1_700_000_000_000]
    for module in (sign_in_tries, staff_sessions, staff_links):
        monkeypatch.setattr(module, "now", lambda: at[0])
    return at


def signed_in(here: Site, email: str = ANA, password: str = PASSWORD) -> Browser:
    visitor = here.browser()
    assert visitor.log_in(email, password).url.path == "/admin"
    return visitor


def member(here: Site, email: str = ANA) -> staff.Member:
    found = staff.member_of_email(here.store, email)
    assert found is not None
    return found


# Passwords


@pytest.mark.slow
def test_a_member_changes_the_password_and_every_other_session_ends(here: Site) -> None:
    first, other = signed_in(here), signed_in(here)
    first.get("/admin/account")
    wrong = first.send("/admin/account", old="not this one", new=NEW, again=NEW)
    assert wrong.status_code == 422 and "present password is not right" in wrong.text
    assert first.send("/admin/account", old=PASSWORD, new=NEW, again="x").status_code == 422
    assert first.send("/admin/account", old=PASSWORD, new="short", again="short").status_code == 422
    same = first.send("/admin/account", old=PASSWORD, new=PASSWORD, again=PASSWORD)
    assert same.status_code == 422
    assert other.get("/admin").url.path == "/admin"
    assert "is changed" in first.send("/admin/account", old=PASSWORD, new=NEW, again=NEW).text
    assert first.get("/admin").url.path == "/admin"
    assert other.get("/admin").url.path == "/admin/login"
    assert here.browser().log_in(ANA, PASSWORD).status_code == 403
    signed_in(here, ANA, NEW)


def test_a_link_sets_a_password_once_and_an_owner_never_sees_it(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    owner = signed_in(here)
    owner.get(f"/admin/c/{what.id}/staff")
    fields = {"what": "role", "email": "new@example.org", "role": "viewer"}
    shown = owner.client.post(f"/admin/c/{what.id}/staff", data={**owner.hidden, **fields})
    found = re.search(r"/admin/password\?t=([\w-]+)", shown.text)
    assert found
    # Nobody comes in without having set a password.
    for empty in ("", "x"):
        assert here.browser().log_in("new@example.org", empty).status_code == 403
    visitor = here.browser()
    assert "new@example.org" in visitor.get(found.group(0)).text
    assert visitor.send("/admin/password", new="short", again="short").status_code == 422
    inside = visitor.send("/admin/password", new=NEW, again=NEW)
    assert inside.url.path == "/admin" and "Talking about water" in inside.text
    late = here.browser()
    assert late.get(found.group(0)).status_code == 403
    with pytest.raises(InputError, match="not valid any more"):
        staff_links.set_password_by_link(here.store, found.group(1), "another password")
    signed_in(here, "new@example.org", NEW)


def test_a_link_ends_with_time_with_another_link_and_with_the_account(
    here: Site, clock: list[int]
) -> None:
    bo = member(here, BO)
    first = staff_links.make_link(here.store, bo.id, "tests")
    second = staff_links.make_link(here.store, bo.id, "tests")
    assert staff_links.member_of_link(here.store, first) is None
    assert staff_links.member_of_link(here.store, second) == bo
    clock[0] += 73 * 3_600_000
    assert staff_links.member_of_link(here.store, second) is None
    third = staff_links.make_link(here.store, bo.id, "tests")
    staff.disable_member(here.store, bo.id, "tests")
    staff.disable_member(here.store, bo.id, "tests", disabled=False)
    assert staff_links.member_of_link(here.store, third) is None


@pytest.mark.slow
def test_a_password_that_somebody_else_knows_is_changed_before_anything_else(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    staff.set_password(here.store, member(here).id, "first password", "tests", must_change=True)
    visitor = here.browser()
    assert visitor.log_in(ANA, "first password").url.path == "/admin/account"
    for path in ("/admin", f"/admin/c/{what.id}", f"/admin/c/{what.id}/settings"):
        assert visitor.get(path).url.path == "/admin/account", path
    form = {**visitor.hidden, "what": "phase", "phase": "archived"}
    visitor.client.post(f"/admin/c/{what.id}/settings", data=form)
    assert consultations.find_consultation(here.store, "water").phase == "open"
    visitor.get("/admin/account")
    visitor.send("/admin/account", old="first password", new=NEW, again=NEW)
    assert visitor.get(f"/admin/c/{what.id}").status_code == 200


@pytest.mark.slow
def test_whom_an_owner_stops_is_out_at_once_and_the_last_owner_stays(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    owner, stopped = signed_in(here), signed_in(here, BO)
    page = f"/admin/c/{what.id}/staff"
    owner.get(page)
    owner.send(page, what="disable", email=BO)
    assert stopped.get("/admin").url.path == "/admin/login"
    assert here.browser().log_in(BO).status_code == 403
    owner.get(page)
    owner.send(page, what="enable", email=BO)
    signed_in(here, BO)
    with pytest.raises(InputError, match="needs an owner"):
        staff.disable_member(here.store, member(here).id, "tests")


@pytest.mark.slow
def test_an_owner_changes_no_account_that_works_for_others_too(here: Site) -> None:
    other = consultation(here.store, "energy")
    here.staff(other, "owner", "cy@example.org")
    here.staff(other, "viewer", BO)
    what = consultations.find_consultation(here.store, "water")
    owner = signed_in(here)
    page = f"/admin/c/{what.id}/staff"
    for email in (BO, ANA, "cy@example.org"):
        for act in ("link", "disable"):
            owner.get(page)
            assert owner.send(page, what=act, email=email).status_code == 422, (email, act)
    signed_in(here, BO)
    # A moderator changes nobody's.
    moderator = signed_in(here, BO)
    assert moderator.get(page).status_code == 200
    form = {**moderator.hidden, "what": "link", "email": ANA}
    assert moderator.client.post(page, data=form).status_code == 403


# Waits after wrong passwords


def tried(here: Site, network: str, browser: str = "", password: str = "wrong") -> bool:
    return staff_sessions.log_in_member(here.store, ANA, password, network, browser) is not None


def test_waits_double_up_to_an_hour_and_end(here: Site, clock: list[int]) -> None:
    for _ in range(5):
        assert not tried(here, "192.0.2.0/24")
    waits = []
    for _ in range(10):
        with pytest.raises(WaitError) as asked:
            tried(here, "192.0.2.0/24", password=PASSWORD)
        waits.append(asked.value.seconds)
        # What is refused unseen does not lengthen the wait.
        clock[0] += 1000 * asked.value.seconds - 1
        with pytest.raises(WaitError):
            tried(here, "192.0.2.0/24")
        clock[0] += 1
        assert not tried(here, "192.0.2.0/24")
    assert waits == [min(30 * 2**n, 3600) for n in range(10)]
    clock[0] += 3_600_000
    assert tried(here, "192.0.2.0/24", password=PASSWORD)


def test_wrong_passwords_from_elsewhere_shut_nobody_out(here: Site, clock: list[int]) -> None:
    for _ in range(5):
        tried(here, "203.0.113.0/24")
    with pytest.raises(WaitError):
        tried(here, "203.0.113.0/24", password=PASSWORD)
    assert tried(here, "192.0.2.0/24", password=PASSWORD)


@pytest.mark.slow
def test_a_known_browser_gets_in_whatever_others_try(here: Site, clock: list[int]) -> None:
    found = staff_sessions.log_in_member(here.store, ANA, PASSWORD, "192.0.2.0/24")
    assert found is not None
    for n in range(60):
        try:
            tried(here, f"198.51.{n}.0/24")
        except WaitError:
            break
    # Tries from everywhere have emptied what strangers have together, even in a new network.
    with pytest.raises(WaitError):
        tried(here, "192.0.2.0/24", password=PASSWORD)
    assert tried(here, "192.0.2.0/24", found.browser, PASSWORD)
    # The browser of one member is no known browser of another one.
    assert not staff_sessions.is_known_browser(here.store, BO, found.browser)
    # It has waits of its own.
    for _ in range(5):
        tried(here, "192.0.2.0/24", found.browser)
    with pytest.raises(WaitError):
        tried(here, "192.0.2.0/24", found.browser, PASSWORD)


def test_a_sign_in_ends_the_count_from_there_alone(here: Site, clock: list[int]) -> None:
    for network in ("192.0.2.0/24", "203.0.113.0/24"):
        for _ in range(4):
            tried(here, network)
    assert tried(here, "192.0.2.0/24", password=PASSWORD)
    assert not tried(here, "192.0.2.0/24") and not tried(here, "203.0.113.0/24")
    assert tried(here, "192.0.2.0/24", password=PASSWORD)
    with pytest.raises(WaitError):
        tried(here, "203.0.113.0/24", password=PASSWORD)


@pytest.mark.slow
def test_a_known_browser_needs_no_share_of_its_networks_tries(here: Site, address: str) -> None:
    from suffrage.server.web.server_settings import DEFAULT_LIMITS, Allowance

    here.store.close()
    tight = {**DEFAULT_LIMITS, "login": (Allowance(2, 3600), Allowance(2, 3600))}
    again = site_of(address, limits=tight)
    known = signed_in(again)
    for _ in range(3):
        stranger = again.browser().log_in("x@example.org", "wrong")
    assert stranger.status_code == 429
    known.get("/admin")
    known.send("/admin/logout")
    assert known.log_in().url.path == "/admin"
    again.store.close()


def test_the_log_of_refusals_keeps_no_address_that_nobody_has(here: Site) -> None:
    for email in (ANA, "my secret password"):
        here.browser("192.0.2.7").log_in(email, "wrong")
    found = sign_in_tries.list_refusals(here.store)
    assert [(r.email, r.network) for r in found] == [("", "192.0.2.0/24"), (ANA, "192.0.2.0/24")]
    with here.store.read() as c:
        rows = str(c.execute(select(schema.staff_refusal)).all())
    assert "secret" not in rows and "192.0.2.7" not in rows
    assert "192.0.2.0/24" in signed_in(here).get("/admin/account").text
    site_log = audit.list_entries(here.store, audit.SITE)
    assert "staff.login" in {e.action for e in site_log}


def test_old_refusals_are_deleted(here: Site, clock: list[int]) -> None:
    tried(here, "192.0.2.0/24")
    clock[0] += 31 * 24 * 3_600_000
    tried(here, "203.0.113.0/24")
    assert [r.network for r in sign_in_tries.list_refusals(here.store)] == ["203.0.113.0/24"]
