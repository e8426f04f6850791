"""A store of an earlier version keeps what people see, on both databases."""

from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from suffrage.server.store import consultations, database
from suffrage.server.store.database import Store
from suffrage.server.store.database_schema import results
from suffrage.server.store.known_groups import stored_groups
from suffrage.server.store.stored_results import Audience, StoredResults, newest_results

BEFORE = "last_shown"


def go_to(store: Store, revision: str) -> None:
    with store.write() as c:
        config = database.migration_config(c)
        (command.downgrade if revision == BEFORE else command.upgrade)(config, revision)


def row(consultation_id: str, version: int, what: str, **more: Any) -> dict[str, Any]:
    return {
        "consultation_id": consultation_id,
        "version": version,
        "event_id": 10 * version,
        "people": 20 + version,
        "votes": 100 + version,
        "settings": {"seconds": version / 10},
        "code_version": "0.1",
        "result": {"what": f"{what} {version}"},
        "created": 1000 + version,
        **more,
    }


def table_of(rows: list[dict[str, Any]], name: str) -> sa.TableClause:
    types = {"settings": sa.JSON(), "result": sa.JSON()}
    return sa.table(name, *(sa.Column(key, types.get(key)) for key in rows[0]))


@pytest.mark.slow
def test_results_of_two_tables_are_the_same_in_one_and_back(address: str) -> None:
    store = database.open_store(address, create=True)
    ids = {
        slug: consultations.create_consultation(store, slug, {"en": slug}, {"en": "How?"}).id
        for slug in ("both", "organisers", "neither")
    }
    go_to(store, BEFORE)
    snapshots = [row(ids["both"], n, "participants") for n in (1, 2)]
    analyses = [
        row(ids[slug], n, slug, acts=n) for slug, n in (("both", 5), ("both", 6), ("organisers", 3))
    ]
    with store.write() as c:
        for name, rows in (("snapshot", snapshots), ("analysis", analyses)):
            c.execute(sa.insert(table_of(rows, name)), rows)
    go_to(store, "invitation_mail")

    def seen(slug: str, by: Audience) -> StoredResults:
        found = newest_results(store, ids[slug], by)
        assert found is not None
        return found

    theirs, ours = seen("both", "participants"), seen("both", "organisers")
    assert (theirs.result, theirs.people, theirs.created) == ({"what": "participants 2"}, 22, 1002)
    assert (ours.result, ours.event_id, ours.acts) == ({"what": "both 6"}, 60, 6)
    # No version is given out a second time.
    assert 6 < theirs.version < ours.version and ours.settings == {"seconds": 0.6}
    assert seen("organisers", "organisers").result == {"what": "organisers 3"}
    assert newest_results(store, ids["organisers"], "participants") is None
    assert newest_results(store, ids["neither"], "organisers") is None
    with store.read() as c:
        assert c.scalar(sa.select(sa.func.count()).select_from(results)) == 3

    go_to(store, BEFORE)
    with store.read() as c:
        for name, rows, kept in (("snapshot", snapshots, 1), ("analysis", analyses, 2)):
            found = c.execute(sa.select(table_of(rows, name))).mappings().all()
            assert len(found) == kept
            told = {r["result"]["what"] for r in found}
            assert told <= {r["result"]["what"] for r in rows}
    go_to(store, "invitation_mail")
    assert seen("both", "participants").result == {"what": "participants 2"}
    store.close()


@pytest.mark.slow
def test_letters_of_groups_come_from_the_results_that_participants_saw(address: str) -> None:
    store = database.open_store(address, create=True)
    id = consultations.create_consultation(store, "town", {"en": "Town"}, {"en": "How?"}).id
    go_to(store, BEFORE)
    go_to(store, "invitation_mail")
    seen = {"labels": {"ana": "1", "ben": "0", "cat": "1"}}
    with store.write() as c:
        c.execute(
            sa.insert(results).values(
                **{"consultation_id": id, "version": 3, "event_id": 1, "acts": 1, "people": 3},
                **{"votes": 9, "settings": {}, "code_version": "0", "created": 1},
                participants_results=seen,
            )
        )
    go_to(store, "head")
    with store.read() as c:
        found = stored_groups(c, id)
    assert [(g.number, set(g.members)) for g in found] == [(0, {"ben"}), (1, {"ana", "cat"})]
    # They are computed again in the form that pages read now.
    assert newest_results(store, id, "participants") is None
    settings = consultations.find_consultation(store, "town").settings
    assert settings.results_when_closed == "participants"
    store.close()
