"""Protections, each tested so that its test fails without it; see scripts/mutations."""

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from suffrage.consult.groups.shown_shares import shown_cells
from suffrage.errors import InputError
from suffrage.server.store import audit, consultations, participants, staff_sessions, statements
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.database import DAY, NotFoundError
from suffrage.server.web import rate_limits
from suffrage.server.web.rate_limits import OneAddressWatch
from suffrage.server.web.server_settings import DEFAULT_LIMITS, Allowance, read_limits
from tests.server import acts
from tests.server.site import BASE, PASSWORD, Site, site_of

ONE = Allowance(1, 3600)
MANY = Allowance(1000, 3600)


def limited(filled: Path, folder: Path, **limits: tuple[Allowance, Allowance]) -> Site:
    """A server with few acts allowed of some kinds, and many of all others."""
    shutil.copytree(filled, folder / "store")
    return site_of(
        folder / "store", limits={**dict.fromkeys(DEFAULT_LIMITS, (MANY, MANY)), **limits}
    )


@pytest.fixture
def here(filled: Path, tmp_path: Path) -> Iterator[Site]:
    made = limited(filled, tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def what(here: Site) -> StoredConsultation:
    return consultations.find_consultation(here.store, "water")


def bearer(client: TestClient) -> dict[str, str]:
    """The headers of somebody new who takes part."""
    made = client.post("/api/v1/c/water/session", json={}).json()
    headers = {"Authorization": f"Bearer {made['session']}"}
    client.post("/api/v1/c/water/consent", json={"take_part": True}, headers=headers)
    return headers


def test_joins_on_the_page_are_limited_by_network(filled: Path, tmp_path: Path) -> None:
    made = limited(filled, tmp_path, join=(ONE, Allowance(2, 3600)))
    codes = []
    for _ in range(3):
        visitor = made.browser("192.0.2.9")
        visitor.get("/c/water/join")
        codes.append(visitor.send("/c/water/join").status_code)
    assert codes == [200, 200, 429]


def test_joins_by_the_api_are_limited_by_network(filled: Path, tmp_path: Path) -> None:
    made = limited(filled, tmp_path, join=(ONE, Allowance(2, 3600)))
    codes = [
        made.browser(f"192.0.2.{n}").client.post("/api/v1/c/water/session", json={}).status_code
        for n in range(3)
    ]
    assert codes == [201, 201, 429]


def test_votes_by_the_api_are_limited(filled: Path, tmp_path: Path) -> None:
    made = limited(filled, tmp_path, vote=(ONE, MANY))
    client = made.browser().client
    headers = bearer(client)
    ids = [
        s.id
        for s in statements.list_statements(
            made.store, consultations.find_consultation(made.store, "water").id
        )
    ]
    codes = [
        client.put(f"/api/v1/c/water/votes/{id}", json={"vote": 1}, headers=headers).status_code
        for id in ids[:2]
    ]
    assert codes == [200, 429]


def test_statements_by_the_api_are_limited(filled: Path, tmp_path: Path) -> None:
    made = limited(filled, tmp_path, statement=(ONE, MANY))
    client = made.browser().client
    headers = bearer(client)
    codes = [
        client.post(
            "/api/v1/c/water/statements", json={"text": text, "different": True}, headers=headers
        ).status_code
        for text in ("Cows need clean rivers", "Trains at night")
    ]
    assert codes == [200, 429]


def test_a_body_in_chunks_is_cut_off_at_the_same_size(here: Site) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 4096

    client = here.browser().client
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    sent = client.post("/c/water/join", content=chunks(), headers=headers)
    assert sent.status_code == 413


def test_shares_of_fewer_than_five_of_a_group_are_not_shown() -> None:
    # Everybody, then two groups; a column is a statement.
    voters = np.array([[9, 10, 24, 24, 13], [5, 5, 20, 4, 6], [4, 5, 4, 20, 7]])
    expected = np.array(
        [
            [False, True, True, True, True],
            [False, True, False, False, True],
            [False, True, False, False, True],
        ]
    )
    # Of 24 voters, 20 in one group: the other 4 could be read from the difference.
    assert shown_cells(voters).tolist() == expected.tolist()


def test_an_entry_that_does_not_follow_the_one_before_breaks_the_chain(
    here: Site, what: StoredConsultation
) -> None:
    chain = audit.list_entries(here.store, what.id)
    assert len(chain) > 3 and audit.first_broken(chain) is None
    # Another first entry, whole in itself: only the link of the second one tells.
    first = replace(chain[0], detail={"other": "past"})
    content = (first.chain, 1, first.previous, first.actor, first.action, first.object)
    first = replace(first, hash=audit._hash(*content, first.detail, first.at))
    assert audit.first_broken([first]) is None
    assert audit.first_broken([first, *chain[1:]]) == 2


def test_nobody_answers_what_was_shown_to_somebody_else(
    here: Site, what: StoredConsultation
) -> None:
    people = []
    for _ in range(2):
        joined = participants.join_consultation(here.store, what.id, None, "en")
        scopes = participants.Scopes(take_part=True)
        participants.give_consent(here.store, what.id, joined.participant.id, scopes, "text")
        people.append(joined.participant.id)
    first = statements.list_statements(here.store, what.id)[0].id
    shown = acts.show(here.store, what.id, people[0], "vote", first, "p", 0.5)
    with pytest.raises(NotFoundError):
        acts.vote(here.store, what.id, people[1], first, 1, exposure_id=shown.id)
    acts.vote(here.store, what.id, people[0], first, 1, exposure_id=shown.id)


def test_sessions_end(
    here: Site, what: StoredConsultation, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = here.browser().client
    headers = bearer(client)
    session = headers["Authorization"].split()[1]
    here.staff(what, "owner")
    signed_in = staff_sessions.log_in_member(here.store, "ana@example.org", PASSWORD)
    assert signed_in is not None
    assert client.get("/api/v1/c/water/me", headers=headers).status_code == 200
    assert participants.participant_of_session(here.store, what.id, session) is not None
    assert staff_sessions.member_of_session(here.store, signed_in.session) is not None
    later = participants.now() + 61 * DAY
    for module in (participants, staff_sessions):
        monkeypatch.setattr(module, "now", lambda: later)
    assert client.get("/api/v1/c/water/me", headers=headers).status_code == 401
    assert participants.participant_of_session(here.store, what.id, session) is None
    assert staff_sessions.member_of_session(here.store, signed_in.session) is None


# Limits of a deployment


def test_limits_are_read_from_a_file_and_the_rest_stays(tmp_path: Path) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text("join: {network: [2000, 3600]}\nvote: {each: [30, 60]}\n")
    limits = read_limits(file)
    assert limits["join"] == (DEFAULT_LIMITS["join"][0], Allowance(2000, 3600))
    assert limits["vote"] == (Allowance(30, 60), DEFAULT_LIMITS["vote"][1])
    assert limits["login"] == DEFAULT_LIMITS["login"]
    for wrong in ("joins: {}", "join: {network: [0, 60]}", "join: {each: 3}"):
        file.write_text(wrong)
        with pytest.raises(InputError, match=r"limits\.yaml"):
            read_limits(file)


@pytest.mark.slow
def test_a_server_is_warned_once_where_all_people_have_one_address(
    caplog: pytest.LogCaptureFixture, filled: Path, tmp_path: Path
) -> None:
    most = rate_limits.ONE_ADDRESS_JOINS
    log = logging.getLogger("suffrage.consult")
    with caplog.at_level(logging.WARNING):
        several = OneAddressWatch(log)
        for n in range(3 * most):
            several.joined("192.0.2.1" if n != most // 2 else "198.51.100.1")
        assert caplog.text == ""
        made = limited(filled, tmp_path)
        client = made.browser("192.0.2.5").client
        for _ in range(2 * most):
            client.post("/api/v1/c/water/session", json={})
    assert caplog.text.count("--proxy") == 1 and "192.0.2.5" in caplog.text


# Votes without an invitation


def test_results_and_cards_say_how_many_votes_nobody_vouches_for(here: Site) -> None:
    from suffrage.consult.people import only_verified, people_for, unverified_share
    from suffrage.server.store import invitations
    from suffrage.server.store.contents import to_consultation

    what = consultations.find_consultation(here.store, "water")
    ids = [s.id for s in statements.list_statements(here.store, what.id)]
    (token,) = invitations.create_invitations(here.store, what.id, 1, "tests")
    people = []
    for given in (token, None, None):
        joined = participants.join_consultation(here.store, what.id, given, "en").participant
        every = participants.Scopes(take_part=True, votes=True)
        participants.give_consent(here.store, what.id, joined.id, every, "text")
        people.append(joined.id)
    for id in ids[:6]:
        acts.vote(here.store, what.id, people[0], id, 1)
    for id in ids[:3]:
        acts.vote(here.store, what.id, people[1], id, 1)
    content = to_consultation(here.store, "water")
    assert unverified_share(content) == {"people": 2, "votes": 0.33}
    kept = only_verified(content)
    assert people_for(kept, "votes") == (people[0],)
    assert unverified_share(kept) == {"people": 0, "votes": 0.0}
    from suffrage.consult.release.dataset_card import _unverified

    assert "33% of the votes, came without an invitation" in _unverified(unverified_share(content))
    assert "lets one person in" in _unverified(unverified_share(kept))


@pytest.mark.slow
def test_results_name_the_entry_that_the_log_then_ended_with(here: Site) -> None:
    from suffrage.consult.groups.opinion_groups import GroupSettings
    from suffrage.server import watcher
    from tests.server.site import crowd

    what = consultations.find_consultation(here.store, "water")
    consultations.set_settings(here.store, what.id, {"results": "everyone"}, "tests")
    crowd(here.store, what, 20)
    watcher.recompute(here.store, what, GroupSettings(most=2), resamples=2)
    noted = audit.head_of(here.store, what.id)
    consultations.set_settings(here.store, what.id, {"minutes": 20}, "tests")
    told: dict[str, Any] = json.loads(here.browser().client.get("/api/v1/c/water/results").text)
    assert told["log_head"] == str(noted)
    chain = audit.list_entries(here.store, what.id)
    assert audit.contradiction(chain, audit.read_head(told["log_head"])) is None
    assert noted is not None and noted.short in here.browser().get("/c/water/results").text


def test_a_host_that_is_not_named_is_refused(filled: Path, tmp_path: Path) -> None:
    shutil.copytree(filled, tmp_path / "store")
    made = site_of(tmp_path / "store", hosts=("consult.test",))
    assert made.browser().get("/c/water").status_code == 200
    evil = TestClient(made.app, base_url=BASE, headers={"Host": "evil.example"})
    assert evil.get("/c/water").status_code == 400
