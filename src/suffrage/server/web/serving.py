"""The server as a process: uvicorn with this application, for the command and the benchmark."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uvicorn

# One thread answers, one stores. The one that waits gets its turn after so many seconds at most.
# With Python's 5 ms a vote would lose as much at each of its database statements while others are
# answered.
TURN = 0.0005
# Within how many seconds the head of a request must have arrived. Its body has a time of its own
# (`protection.py`).
HEAD_SECONDS = 20.0


def start_logging() -> None:
    """Path, status and time of each request, to stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Our lines contain none of these, and looking them up costs more than writing the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def server_of(app: object, proxy: str | None = None) -> uvicorn.Server:
    """Return uvicorn with this application, for `run` on open ports.

    proxy: addresses of proxies that are trusted to say who calls.
    """
    import uvicorn

    sys.setswitchinterval(TURN)
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=_punctual_protocol(),
        # Ours says path, status and time; uvicorn's would contain invitations.
        access_log=False,
        server_header=False,
        proxy_headers=proxy is not None,
        forwarded_allow_ips=proxy,
        log_level="warning",
    )
    return uvicorn.Server(config)


def run_server(app: object, listening: socket.socket, proxy: str | None = None) -> None:
    """Answer at an open port until the process is told to end; proxy as for `server_of`."""
    server = server_of(app, proxy)
    server.run(sockets=[listening])
    if not server.started:
        sys.exit(1)


def _punctual_protocol() -> type[asyncio.Protocol]:
    """Return uvicorn's own protocol, which would wait for the rest of a request for ever."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class Punctual(HttpToolsProtocol):
        """Closes a connection whose next request has begun and does not come."""

        _due: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait_for_head()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._wait_for_head()

        def on_headers_complete(self) -> None:
            self._stop_waiting()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _wait_for_head(self) -> None:
            if self._due is None:
                self._due = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

        def _stop_waiting(self) -> None:
            if self._due is not None:
                self._due.cancel()
                self._due = None

    return Punctual
