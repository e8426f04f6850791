"""Databases for the store's tests: SQLite in a folder, and the tests' own PostgreSQL server."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SECRET = "only for tests " * 3


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The address of a private server; skips with a reason where none can be started."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed under /usr/lib/postgresql")
    as_user: list[str] = []
    user: int | None = None
    if os.geteuid() == 0:
        try:
            user = pwd.getpwnam("postgres").pw_uid
        except KeyError:
            pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres")
        if shutil.which("runuser") is None:
            pytest.skip("PostgreSQL refuses to run as root, and runuser is not installed")
        as_user = ["runuser", "-u", "postgres", "--"]
    folder = Path(tempfile.mkdtemp(prefix="suffrage-postgresql-"))
    try:
        if user is not None:
            os.chown(folder, user, -1)
        cluster = folder / "cluster"
        made = [f"{binaries}/initdb", "-D", str(cluster), "-A", "trust", "-U", "tests"]
        subprocess.run([*as_user, *made, "--no-sync"], check=True, capture_output=True, cwd=folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
        options += " -c max_connections=60 -c fsync=off"
        control = [*as_user, f"{binaries}/pg_ctl", "-D", str(cluster), "-w"]
        log = str(folder / "log")
        subprocess.run(
            [*control, "-l", log, "-o", options, "start"],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield f"postgresql://tests@127.0.0.1:{port}"
        finally:
            subprocess.run(
                [*control, "-m", "immediate", "stop"], capture_output=True, cwd=folder, check=False
            )
            time.sleep(0.1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
