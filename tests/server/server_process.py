"""A real server in a process of its own, as people run it."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

STARTING = 120.0


@dataclass
class Server:
    """url: where it answers. process: to be ended, or killed."""

    url: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it without letting it finish anything."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it as one would."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


def serve(
    store: str,
    secret: str,
    port: int | None = None,
    largest_file: int | None = None,
    log: Path | None = None,
    workers: int = 1,
) -> Server:
    """`suffrage consult serve` on a free port, once it answers.

    largest_file: bytes; writing more to any file is an I/O error. log: what it writes to stderr.
    """
    if port is None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    command = [sys.executable, "-m", "suffrage", "consult", "serve", store, "--no-results"]
    command += ["--workers", str(workers)]

    def limited() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    with Path(log or os.devnull).open("wb") as errors:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env={**os.environ, "SUFFRAGE_SECRET": secret, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            preexec_fn=limited,
        )
    server = Server(f"http://127.0.0.1:{port}", process)
    began = time.monotonic()
    while time.monotonic() - began < STARTING * workers:
        try:
            if httpx.get(f"{server.url}/readyz", timeout=30).status_code == 200:
                return server
        except httpx.TransportError:
            time.sleep(0.1)
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with code {process.returncode}")
    server.kill()
    raise TimeoutError("the server did not answer")
