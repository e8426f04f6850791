"""Whether anything that a server acknowledged is lost: random kills, full disks and I/O errors.

People join, vote and write statements by the API of a real server. At a random moment something
goes wrong. What the server acknowledged, whenever it did, must then be in the database. The
faults, on each store:

- kill: the server gets SIGKILL (on PostgreSQL one worker of two, or all of PostgreSQL at once);
- full disk: a file fills the disk of the database for a while;
- I/O error: writes of the server, or of PostgreSQL, fail beyond a size of file for a while.

A full disk needs root, which makes a small disk of its own in memory. PostgreSQL is started for
this from /usr/lib/postgresql. Exit code 1 where an acknowledged act is lost, or is there twice.

    python benchmarks/lost_acts.py --kills 30 --full 6 --errors 6
    python benchmarks/lost_acts.py --store postgresql --kills 5
"""

from __future__ import annotations

import argparse
import os
import pwd
import random
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from consult_load import HOST, SECRET, _pids, _stat, free_port, is_worker

PEOPLE = 8
STATEMENTS = 500
DISK_MEGABYTES = 400
MEGABYTE = 1024 * 1024
# Seconds that people go on after a fault, and in which the server must answer again.
AFTER, RECOVERED = 1.0, 1800.0


@dataclass
class Told:
    """What the server acknowledged."""

    # The number of the event, by participant and statement.
    votes: dict[tuple[str, str], str] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)
    statements: set[str] = field(default_factory=set)
    # How often each status was the answer; 0 where the connection broke.
    answers: Counter[int] = field(default_factory=Counter)


class Store:
    """A database that can be damaged: its address, its disk and its processes."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk

    address = ""
    workers = 1

    def start(self) -> None:
        """Start the database, where it is a process."""

    def stop(self) -> None:
        """Stop it."""

    def processes(self, server: subprocess.Popen[bytes]) -> list[int]:
        """Those that write to the disk."""
        return [server.pid]

    def kill(self, server: subprocess.Popen[bytes], dice: random.Random) -> None:
        server.kill()


class Sqlite(Store):
    def __init__(self, disk: Path) -> None:
        super().__init__(disk)
        self.address = str(disk / "store")


class Postgresql(Store):
    workers = 2

    def __init__(self, disk: Path) -> None:
        super().__init__(disk)
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            raise SystemExit("no PostgreSQL server is installed under /usr/lib/postgresql")
        self.bin, self.cluster, self.port = found[-1].parent, disk / "cluster", free_port()
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.user:
            os.chown(disk, pwd.getpwnam("postgres").pw_uid, -1)
        made = [f"{self.bin}/initdb", "-D", str(self.cluster), "-A", "trust", "-U", "load"]
        subprocess.run([*self.user, *made], check=True, capture_output=True, cwd=disk)
        self.address = f"postgresql://load@{HOST}:{self.port}/postgres"

    def _control(self, *words: str) -> int:
        command = [*self.user, f"{self.bin}/pg_ctl", "-D", str(self.cluster), "-w", *words]
        done = subprocess.run(
            command, cwd=self.disk, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return done.returncode

    def start(self) -> None:
        options = f"-p {self.port} -k {self.disk} -c listen_addresses={HOST} -c max_wal_size=64MB"
        self._control("-l", str(self.disk / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    def processes(self, server: subprocess.Popen[bytes]) -> list[int]:
        with suppress(OSError, ValueError, IndexError):
            postmaster = int((self.cluster / "postmaster.pid").read_text().split()[0])
            of = {pid: stat.parent for pid in _pids() if (stat := _stat(pid)) is not None}
            return [pid for pid, parent in of.items() if parent == postmaster]
        return []

    def kill(self, server: subprocess.Popen[bytes], dice: random.Random) -> None:
        if dice.random() < 0.5:
            for pid in self.processes(server):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return
        of = {pid: stat.parent for pid in _pids() if (stat := _stat(pid)) is not None}
        workers = [pid for pid, parent in of.items() if parent == server.pid and is_worker(pid)]
        for pid in workers[:1]:
            os.kill(pid, signal.SIGKILL)


@contextmanager
def small_disk() -> Iterator[Path]:
    """A folder on a disk of its own where this may make one, and any folder elsewhere."""
    folder = Path(tempfile.mkdtemp(prefix="suffrage-faults-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


class Site:
    """A server that goes on through every fault, and people who act on it."""

    def __init__(
        self, store: Store, slug: str, statements: list[str], people: list[tuple[str, str]]
    ) -> None:
        self.store, self.slug, self.statements, self.people = store, slug, statements, people
        self.told = Told()
        self.over = threading.Event()
        self.port = free_port()
        self.server = self.started()

    def started(self) -> subprocess.Popen[bytes]:
        load = str(Path(__file__).with_name("consult_load.py"))
        words = [sys.executable, load, "--serve", self.store.address, "--port", str(self.port)]
        words += ["--no-results", "--workers", str(self.store.workers)]
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_until_ready(self) -> None:
        """Until a vote could be stored; database and server are started again where they ended."""
        until = time.monotonic() + RECOVERED
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                if httpx.get(f"http://{HOST}:{self.port}/readyz", timeout=10).status_code == 200:
                    return
            self.store.start()
            if self.server.poll() is not None:
                self.server = self.started()
            time.sleep(0.5)
        raise SystemExit("the server did not recover")

    def act(self, number: int) -> None:
        """Vote on one statement after another, and sometimes join or write."""
        dice = random.Random(secrets.randbits(64))
        id, session = self.people[number]
        base = f"http://{HOST}:{self.port}/api/v1/c/{self.slug}"
        with httpx.Client(base_url=base, timeout=30) as client:
            while not self.over.is_set():
                try:
                    self.one_act(client, id, {"Authorization": f"Bearer {session}"}, dice)
                except httpx.TransportError:
                    self.told.answers[0] += 1
                    time.sleep(0.1)

    def one_act(
        self, client: httpx.Client, id: str, head: dict[str, str], dice: random.Random
    ) -> None:
        kind = dice.random()
        if kind < 0.05:
            done = client.post("/session", json={})
            if done.status_code == 201:
                self.told.joined.add(done.json()["participant"])
        elif kind < 0.1:
            words = {"text": f"It should say {secrets.token_hex(4)} first", "language": "en"}
            done = client.post("/statements", json=words, headers=head)
            if done.status_code == 201:
                self.told.statements.add(done.json()["id"])
        else:
            statement = dice.choice(self.statements)
            done = client.put(f"/votes/{statement}", json={"vote": 1}, headers=head)
            if done.status_code == 200:
                self.told.votes[id, statement] = done.json()["id"]
        self.told.answers[done.status_code] += 1

    def go_wrong(self, fault: Callable[[Site, random.Random], None], dice: random.Random) -> None:
        """Act, let something go wrong at a random moment, and act on for a while."""
        self.over.clear()
        acting = [threading.Thread(target=self.act, args=(n,)) for n in range(len(self.people))]
        for one in acting:
            one.start()
        try:
            time.sleep(dice.uniform(0.5, 2.5))
            fault(self, dice)
            self.wait_until_ready()
            time.sleep(AFTER)
        finally:
            self.over.set()
            for one in acting:
                one.join()

    def stop(self) -> None:
        self.server.terminate()
        self.server.wait(60)


def killed(now: Site, dice: random.Random) -> None:
    now.store.kill(now.server, dice)
    time.sleep(0.2)


def full_disk(now: Site, dice: random.Random) -> None:
    """Fill all that is left, and let go again."""
    filler = now.store.disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
    time.sleep(dice.uniform(0.5, 2.0))
    filler.unlink()


def write_error(now: Site, dice: random.Random) -> None:
    """Let writes fail beyond a size of file, and end that."""
    before = {}
    for pid in now.store.processes(now.server):
        with suppress(ProcessLookupError):
            before[pid] = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            least = dice.randrange(64, 1024) * 1024
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (least, before[pid][1]))
    time.sleep(dice.uniform(0.5, 2.0))
    for pid, limit in before.items():
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)


FAULTS = {"kills": killed, "full": full_disk, "errors": write_error}


def prepare(address: str) -> tuple[str, list[str], list[tuple[str, str]]]:
    """An open consultation: its slug, its statements, and people with their sessions."""
    from suffrage.server.store import consultations, participants
    from suffrage.server.store.consultations import ConsultationSettings
    from suffrage.server.store.database import open_store
    from suffrage.server.store.participants import Scopes
    from suffrage.server.store.statements import add_seeds

    store = open_store(address, create=True)
    settings = ConsultationSettings(open_to_all=True, statements_each=100)
    made = consultations.create_consultation(
        store, "faults", {"en": "Faults"}, {"en": "How?"}, settings
    )
    texts = [(f"Rule number {n}: it should do that.", "en") for n in range(STATEMENTS)]
    ids = [s.id for s in add_seeds(store, made.id, texts, "benchmark")]
    consultations.set_phase(store, made.id, "open", "benchmark")
    people = []
    for _ in range(PEOPLE):
        joined = participants.join_consultation(store, made.id, None, "en")
        participants.give_consent(store, made.id, joined.participant.id, Scopes(True), "text")
        people.append((joined.participant.id, joined.session))
    store.close()
    return "faults", ids, people


def missing(address: str, told: Told) -> dict[str, int]:
    """How many acknowledged acts of each kind are not there, and votes that are there twice."""
    from sqlalchemy import select

    from suffrage.server.store.database import open_store
    from suffrage.server.store.database_schema import participant, statement, vote, vote_event

    store = open_store(address)
    with store.read() as c:
        votes = {
            (row.participant_id, row.statement_id): str(row.event_id)
            for row in c.execute(select(vote))
        }
        events = c.execute(select(vote_event.c.participant_id, vote_event.c.statement_id)).all()
        people = set(c.scalars(select(participant.c.id)))
        statements = set(c.scalars(select(statement.c.id)))
    store.close()
    return {
        "votes": sum(votes.get(key) != event for key, event in told.votes.items()),
        "joins": len(told.joined - people),
        "statements": len(told.statements - statements),
        "doubled": len(events) - len(set(events)),
    }


def try_store(kind: type[Store], counts: dict[str, int], seed: int) -> int:
    """Run every fault on one store, print what came of each kind, and return what was lost."""
    dice = random.Random(seed)
    with small_disk() as disk:
        store = kind(disk)
        store.start()
        site = Site(store, *prepare(store.address))
        told, lost = site.told, 0
        try:
            site.wait_until_ready()
            for name, count in counts.items():
                before = len(told.votes), len(told.joined), len(told.statements)
                told.answers.clear()
                began = time.monotonic()
                for _ in range(count):
                    site.go_wrong(FAULTS[name], dice)
                    print(".", end="", file=sys.stderr, flush=True)
                lost = sum(missing(store.address, told).values())
                after = len(told.votes), len(told.joined), len(told.statements)
                acts = [x - y for x, y in zip(after, before, strict=True)]
                failed = sum(n for code, n in told.answers.items() if code not in (200, 201))
                print(
                    f"{kind.__name__.lower():<10} {name:<6} {count:>3} times: acknowledged "
                    f"{acts[0]:,} votes, {acts[1]:,} joins, {acts[2]:,} statements; refused or "
                    f"unanswered {failed:,}; lost or doubled so far {lost} "
                    f"({time.monotonic() - began:.0f} s)",
                    flush=True,
                )
        finally:
            site.stop()
            store.stop()
    return lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--full", type=int, default=6)
    parser.add_argument("--errors", type=int, default=6)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), help="default: both")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ.setdefault(SECRET, secrets.token_urlsafe(48))
    os.environ["OMP_NUM_THREADS"] = "1"
    kinds = [k for k in (Sqlite, Postgresql) if given.store in (None, k.__name__.lower())]
    counts = {"kills": given.kills, "full": given.full, "errors": given.errors}
    sys.exit(1 if sum(try_store(kind, counts, given.seed) for kind in kinds) else 0)


if __name__ == "__main__":
    main()
