import shutil
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from argon2 import PasswordHasher
from sqlalchemy import create_engine
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from starlette.testclient import TestClient

from suffrage.server.store import database, staff
from suffrage.server.store.secret_keys import VARIABLE
from suffrage.server.web.organise import waiting
from tests.server.browser import chromium_started
from tests.server.databases import SECRET, postgresql_server
from tests.server.empty_stores import empty_store
from tests.server.organising import Office, fill_office, open_office
from tests.server.site import consultation


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that take little time: what they withstand is argon2's own claim."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(staff, "_hasher", lambda: quick)
    staff._nobody.cache_clear()


@pytest.fixture(autouse=True)
def patient_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forms that wait for their work, however slow the machine is."""
    monkeypatch.setattr(waiting, "PATIENCE", 300.0)


@pytest.fixture(scope="package", autouse=True)
def one_event_loop() -> Iterator[None]:
    """Every client's requests run in one event loop, as a server's do; usually each makes one."""
    with start_blocking_portal() as portal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(TestClient, "portal", portal)
        yield


@pytest.fixture(scope="package", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """Stores share what SQLAlchemy compiled, as all requests of one server do.

    Each store has an engine of its own, which would compile each statement for itself. All of them
    speak the same SQLite, so their dialects are taken for one.
    """
    sharing = partial(create_engine, execution_options={"compiled_cache": {}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_engine", sharing)
        patch.setattr(SQLiteDialect_pysqlite, "__eq__", lambda a, b: type(a) is type(b))
        patch.setattr(SQLiteDialect_pysqlite, "__hash__", lambda self: hash(type(self)))
        yield


@pytest.fixture(scope="session")
def filled_office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One office on disk, that each test copies; passwords are hashed as cheaply as can be."""
    folder = tmp_path_factory.mktemp("office") / "store"
    with pytest.MonkeyPatch.context() as patch:
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(staff, "_hasher", lambda: cheap)
        fill_office(str(folder))
    return folder


@pytest.fixture
def office(filled_office: Path, tmp_path: Path) -> Iterator[Office]:
    """An office of its own for a test, whose store is a copy of `filled_office`."""
    shutil.copytree(filled_office, tmp_path / "store")
    office = open_office(str(tmp_path / "store"))
    yield office
    office.store.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a consultation, which each test copies."""
    folder = tmp_path_factory.mktemp("filled") / "store"
    store = empty_store(folder)
    consultation(store)
    store.close()
    return folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server, without a database's name."""
    with postgresql_server() as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser."""
    with chromium_started() as browser:
        yield browser


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty store's address, on each database."""
    monkeypatch.setenv(VARIABLE, SECRET)
    if request.param == "sqlite":
        return str(tmp_path / "store")
    import psycopg

    server = request.getfixturevalue("postgresql")
    name = f"store_{uuid.uuid4().hex}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as c:
        c.execute(f"CREATE SCHEMA {name}")
    # A schema each: a database each would be thousands of files.
    return f"{server}/postgres?options=-csearch_path%3D{name}"


@pytest.fixture
def store(address: str) -> Iterator[database.Store]:
    new_file = "://" not in address
    opened = empty_store(Path(address)) if new_file else database.open_store(address, create=True)
    yield opened
    opened.close()
