"""Empty stores for the price of copying a file: their tables are made once a process."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from suffrage.server.store.database import DATABASE, Store, open_store


@cache
def _empty_database() -> bytes:
    with TemporaryDirectory() as folder:
        open_store(folder, create=True).close()
        return (Path(folder) / DATABASE).read_bytes()


def empty_store(folder: Path) -> Store:
    """Open a new SQLite store, with a secret of its own unless the environment gives one."""
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / DATABASE
    database.touch(mode=0o600)
    database.write_bytes(_empty_database())
    return open_store(str(folder), create=True)
