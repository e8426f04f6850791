"""What a process of its own does that opens a store at the same moment as another one."""

from multiprocessing.synchronize import Barrier

# Loaded before the moment, so that both are as quick.
from alembic import command  # noqa: F401

from suffrage.server.store import database_schema  # noqa: F401
from suffrage.server.store.database import open_store


def open_together(address: str, ready: Barrier) -> None:
    ready.wait(120)
    open_store(address, create=True).close()
