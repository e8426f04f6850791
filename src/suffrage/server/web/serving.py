"""The server as a process: uvicorn with this application, for the command and the benchmark."""

from __future__ import annotations

import logging
import sys

# One thread answers, one stores. The one that waits gets its turn after so many seconds at most.
# With Python's 5 ms a vote would lose as much at each of its database statements while others are
# answered.
TURN = 0.0005


def start_logging() -> None:
    """Path, status and time of each request, to stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Our lines contain none of these, and looking them up costs more than writing the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def run_server(app: object, host: str, port: int, proxy: str | None = None) -> None:
    """Answer until the process is told to end.

    proxy: addresses of proxies that are trusted to say who calls.
    """
    import uvicorn

    sys.setswitchinterval(TURN)
    uvicorn.run(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        # Ours says path, status and time; uvicorn's would contain invitations.
        access_log=False,
        server_header=False,
        proxy_headers=proxy is not None,
        forwarded_allow_ips=proxy,
        log_level="warning",
    )
