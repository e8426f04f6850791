"""Empty stores for the price of copying a file: their tables are made once a process."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import delete

from suffrage.server.store.database import DATABASE, SECRET, Store, open_store
from suffrage.server.store.database_schema import secret_mark
from suffrage.server.store.secret_keys import is_named_by_environment, make_secret_file


@cache
def _empty_database() -> bytes:
    with TemporaryDirectory() as folder:
        store = open_store(folder, create=True)
        with store.write() as c:
            c.execute(delete(secret_mark))  # each store that is copied from it has its own secret
        store.close()
        return (Path(folder) / DATABASE).read_bytes()


def empty_store(folder: Path) -> Store:
    """Open a new SQLite store, with a secret of its own unless the environment gives one."""
    folder.mkdir(parents=True, exist_ok=True)
    if not is_named_by_environment():
        make_secret_file(folder / SECRET)
    database = folder / DATABASE
    database.touch(mode=0o600)
    database.write_bytes(_empty_database())
    return open_store(str(folder), create=True)
