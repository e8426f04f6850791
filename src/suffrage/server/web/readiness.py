"""Whether the server can store a vote now, for whoever watches over it from outside."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable

from suffrage.server.store.database import Store
from suffrage.server.store.faults import SENTENCES, fault_log, fault_of

# Anybody may ask, so the database is written to at most so often, in seconds.
LEAST_SECONDS = 2.0
# SQLite goes on for a while on a full disk in the space that its log has there already. It ends
# soon, so with fewer free bytes than this the disk counts as full.
LEAST_FREE = 1024 * 1024


class Readiness:
    """The last answer, and when it was found."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._until = float("-inf")
        self._problem = ""

    def problem(self) -> str:
        """Return what is wrong in a sentence, or "" where something could be stored."""
        with self._lock:
            if self._clock() >= self._until:
                self._problem = self._found()
                self._until = self._clock() + LEAST_SECONDS
            return self._problem

    def _found(self) -> str:
        try:
            folder = self._store.folder
            if folder is not None and shutil.disk_usage(folder).free < LEAST_FREE:
                fault_log.tell("full")
                return SENTENCES["full"]
            self._store.check_writing()
        except Exception as error:
            fault = fault_of(error) or "away"
            fault_log.tell(fault)
            return SENTENCES[fault]
        return ""
