"""Several processes that answer at one address, and a parent that replaces one that ends.

The parent gives its open port to each worker, so the kernel shares out connections. It answers no
request itself. A worker is told its settings on its standard input, because a store's
address may contain a password. That input ends with the parent, and with it the worker.

`python -m suffrage.server.web.workers` is one worker.
"""

from __future__ import annotations

import logging
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from suffrage.server.watcher import start_watching
from suffrage.server.web import serving
from suffrage.server.web.app import create_app
from suffrage.server.web.server_settings import ServerSettings

LOOK_EVERY = 0.2
# A worker that ends at once is not started again at once.
AGAIN_AFTER = 1.0
# Seconds in which workers finish what they have begun.
ENDING = 30.0
log = logging.getLogger("suffrage.consult")
Started = Callable[[], "subprocess.Popen[bytes]"]


@dataclass
class _Worker:
    """What one process does, and when it was started last."""

    name: str
    start: Started
    process: subprocess.Popen[bytes] = field(init=False)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.process, self.began = self.start(), time.monotonic()

    def begin_again_if_ended(self) -> None:
        code = self.process.poll()
        if code is not None and time.monotonic() - self.began >= AGAIN_AFTER:
            log.warning("%s ended (%s); a new one", self.name, code)
            self._begin()


def run_workers(
    settings: ServerSettings, listening: socket.socket, proxy: str | None, workers: int
) -> None:
    """Answer with several processes until this one is told to end.

    Parameters
    ----------
    settings : ServerSettings
        Of every worker. With `results` one further process finds groups.
    listening : socket
        The open port.
    proxy : str, optional
        Addresses of proxies that are trusted to say who calls.
    workers : int
        How many processes.
    """
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    told = told_to_worker(settings, proxy)
    running = [
        _Worker(f"worker {n + 1}", partial(_start_worker, listening.fileno(), told))
        for n in range(workers)
    ]
    if settings.results:
        finding = _Worker("the process that finds groups", partial(start_watching, settings.store))
        running.append(finding)
    while not ending.wait(LOOK_EVERY):
        for one in running:
            one.begin_again_if_ended()
    _end([one.process for one in running])


def told_to_worker(settings: ServerSettings, proxy: str | None) -> bytes:
    """Return what a worker is told: the settings, without finding groups, and the proxy."""
    # A read-only mapping cannot be pickled.
    plain = dict(settings.limits) if settings.limits is not None else None
    return pickle.dumps((replace(settings, results=False, limits=plain), proxy))


def _start_worker(port: int, told: bytes) -> subprocess.Popen[bytes]:
    """Start a worker. port: the open socket's number, which stays the same in the worker."""
    command = [sys.executable, "-m", "suffrage.server.web.workers", str(port)]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(port,))
    assert worker.stdin is not None
    try:
        worker.stdin.write(len(told).to_bytes(4, "big") + told)
        worker.stdin.flush()
    except BrokenPipeError:
        log.warning("a worker ended before it was told its settings")
    return worker


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    until = time.monotonic() + ENDING
    for process in processes:
        try:
            process.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.kill()


def be_a_worker(number: int) -> None:
    """Answer at an open socket until told to end, or until the parent ends."""
    told = sys.stdin.buffer
    settings, proxy = pickle.loads(told.read(int.from_bytes(told.read(4), "big")))
    serving.start_logging()
    server = serving.server_of(create_app(settings), proxy=proxy)

    def end_with_parent() -> None:
        told.read()  # returns at the end of the input, which is that of the parent
        server.handle_exit(signal.SIGTERM, None)

    threading.Thread(target=end_with_parent, daemon=True).start()
    with socket.socket(fileno=number) as listening:
        server.run(sockets=[listening])


if __name__ == "__main__":
    be_a_worker(int(sys.argv[1]))
