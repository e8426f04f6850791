"""Whether anything that a server acknowledged is lost: random kills, full disks and I/O errors.

People join, consent, vote, write statements and withdraw by the API of a real server. At a random
moment something goes wrong. What the server acknowledged, whenever it did, must then be in the
database. SQLite is served by one process, PostgreSQL by four at one address. The faults:

- killed: the server gets SIGKILL; of the four on PostgreSQL, one does;
- database killed: all of PostgreSQL gets SIGKILL;
- disk full: a file fills the disk of the database, until people are refused;
- write errors: writes of the server, or of PostgreSQL, fail beyond a random size of file
  (`RLIMIT_FSIZE`), until people are refused.

A full disk needs root, which makes a small disk in memory; without root that fault is left out.
PostgreSQL is started for this from /usr/lib/postgresql; it refuses to run as root, so root starts
it as the user postgres. Exit code 1 where an acknowledged act is lost, or is there twice.

    python benchmarks/lost_acts.py                                     # 30 of each, on both
    python benchmarks/lost_acts.py --store sqlite --fault full --events 5
"""

from __future__ import annotations

import argparse
import os
import pwd
import random
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from consult_load import HOST, SECRET, _pids, _stat, free_port, is_worker

PEOPLE = 12
STATEMENTS = 1000
DISK_MEGABYTES = 300
# Seconds before a fault, the longest wait until it is felt, seconds that people go on after it, and
# in which the server must answer again.
BEFORE, FELT, AFTER, RECOVERED = (0.2, 1.0), 8.0, 0.4, 1800.0
STORED = (200, 201, 204)
# Seconds for which a server may repeat that it is ready.
OLD_ANSWER = 2.5
# Seconds until somebody tries again whose connection broke.
AWAY = 0.5


@dataclass
class Told:
    """What the server acknowledged."""

    # The number of the event, by participant and statement.
    votes: dict[tuple[str, str], str] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)
    agreed: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)
    statements: set[str] = field(default_factory=set)
    # How often an act was not acknowledged: refused, or the connection broke.
    refused: int = 0
    # Acts are counted by many threads.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def was_stored(self, status: int) -> bool:
        """Whether a reply acknowledges the act; count it where it does not."""
        if status in STORED:
            return True
        with self.lock:
            self.refused += 1
        return False

    def counts(self) -> Counter[str]:
        """How many acts of each kind were acknowledged."""
        return Counter(
            votes=len(self.votes),
            joins=len(self.joined),
            consents=len(self.agreed),
            withdrawals=len(self.withdrawn),
            statements=len(self.statements),
        )


class Store:
    """A database that can be damaged: its address, its disk and its processes."""

    address = ""
    workers = 1
    faults: tuple[str, ...] = ()
    # What runs a command as the user of its processes: root may not limit others' everywhere.
    user: tuple[str, ...] = ()

    def __init__(self, disk: Path) -> None:
        self.disk = disk

    def start(self) -> None:
        """Start the database, where it is a process that does not run."""

    def stop(self) -> None:
        """Stop it."""

    def processes(self, server: subprocess.Popen[bytes]) -> list[int]:
        """Return those that write to the disk."""
        return [server.pid]

    def limit_files(self, pids: list[int], size: str) -> None:
        """Let the writes of processes fail beyond a size in bytes; not those that have ended."""
        each = f'for pid in "$@"; do prlimit --pid "$pid" --fsize={size}: ; done'
        words = [*self.user, "sh", "-c", each, "sh", *map(str, pids)]
        subprocess.run(words, capture_output=True, cwd=self.disk)

    def to_kill(self, server: subprocess.Popen[bytes], dice: random.Random) -> int:
        """Return a process that answers requests."""
        return server.pid

    def is_whole(self) -> bool:
        """Whether the database finds its own files whole."""
        return True


class Sqlite(Store):
    faults = ("killed", "full", "errors")

    def __init__(self, disk: Path) -> None:
        super().__init__(disk)
        self.address = str(disk / "store")

    def is_whole(self) -> bool:
        with closing(sqlite3.connect(Path(self.address) / "consultation.db")) as database:
            found: tuple[str] = database.execute("PRAGMA integrity_check").fetchone()
        return found[0] == "ok"


class Postgresql(Store):
    workers = 4
    faults = ("killed", "database", "full", "errors")

    def __init__(self, disk: Path) -> None:
        super().__init__(disk)
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            raise SystemExit("no PostgreSQL server is installed under /usr/lib/postgresql")
        self.bin, self.cluster, self.port = found[-1].parent, disk / "cluster", free_port()
        self.user = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
        if self.user:
            os.chown(disk, pwd.getpwnam("postgres").pw_uid, -1)
        made = [f"{self.bin}/initdb", "-D", str(self.cluster), "-A", "trust", "-U", "load"]
        subprocess.run([*self.user, *made], check=True, capture_output=True, cwd=disk)
        self.address = f"postgresql://load@{HOST}:{self.port}/postgres"

    def _control(self, *words: str) -> None:
        command = [*self.user, f"{self.bin}/pg_ctl", "-D", str(self.cluster), "-w", *words]
        subprocess.run(command, cwd=self.disk, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _first_process(self) -> int | None:
        with suppress(OSError, ValueError, IndexError):
            pid = int((self.cluster / "postmaster.pid").read_text().split()[0])
            stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            return pid if stat[0] != "Z" else None
        return None

    def start(self) -> None:
        if self._first_process() is None:
            options = f"-p {self.port} -k {self.disk} -c listen_addresses={HOST}"
            options += " -c max_wal_size=64MB"
            self._control("-l", str(self.disk / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    def processes(self, server: subprocess.Popen[bytes]) -> list[int]:
        return children_of(first) if (first := self._first_process()) is not None else []

    def to_kill(self, server: subprocess.Popen[bytes], dice: random.Random) -> int:
        return dice.choice([pid for pid in children_of(server.pid) if is_worker(pid)])

    def kill(self) -> None:
        """Kill all of PostgreSQL at once."""
        first = self._first_process()
        for pid in [first, *children_of(first)] if first is not None else []:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def children_of(parent: int) -> list[int]:
    stats = {pid: _stat(pid) for pid in _pids()}
    return [pid for pid, stat in stats.items() if stat is not None and stat.parent == parent]


@contextmanager
def small_disk() -> Iterator[tuple[Path, bool]]:
    """A folder, and whether it is a small disk of its own, which only root can make."""
    folder = Path(tempfile.mkdtemp(prefix="suffrage-faults-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield folder, mounted
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
        # One for each person, and one that asks whether the server is ready: making one is slow.
        base = f"http://{HOST}:{self.port}/api/v1/c/{self.slug}"
        self.clients = [httpx.Client(base_url=base, timeout=30) for _ in range(len(people) + 1)]

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
                asked = self.clients[-1].get(f"http://{HOST}:{self.port}/readyz", timeout=10)
                if asked.status_code == 200:
                    return
            self.store.start()
            if self.server.poll() is not None:
                self.server = self.started()
            time.sleep(0.1)
        raise SystemExit("the server did not recover")

    def act(self, number: int) -> None:
        """Vote on one statement after another, and sometimes do something else."""
        dice = random.Random(secrets.randbits(64))
        id, session = self.people[number]
        client = self.clients[number]
        while not self.over.is_set():
            try:
                kind = dice.random()
                if kind < 0.06:
                    self.come_and_go(client, dice)
                elif kind < 0.1:
                    self.write(client, session)
                else:
                    self.vote(client, id, session, dice.choice(self.statements))
            except httpx.TransportError:
                self.told.was_stored(0)
                time.sleep(AWAY)

    def vote(self, client: httpx.Client, id: str, session: str, statement: str) -> None:
        done = client.put(f"/votes/{statement}", json={"vote": 1}, headers=bearer(session))
        if self.told.was_stored(done.status_code):
            self.told.votes[id, statement] = done.json()["id"]

    def write(self, client: httpx.Client, session: str) -> None:
        text = f"It should say {secrets.token_hex(4)} first"
        words = {"text": text, "language": "en", "different": True}
        done = client.post("/statements", json=words, headers=bearer(session))
        if self.told.was_stored(done.status_code):
            self.told.statements.add(done.json()["id"])

    def come_and_go(self, client: httpx.Client, dice: random.Random) -> None:
        """Somebody new joins and consents, and every third one withdraws."""
        done = client.post("/session", json={})
        if not self.told.was_stored(done.status_code):
            return
        id, head = done.json()["participant"], bearer(done.json()["session"])
        self.told.joined.add(id)
        done = client.post("/consent", json={"take_part": True}, headers=head)
        if not self.told.was_stored(done.status_code):
            return
        if dice.random() < 2 / 3:
            self.told.agreed.add(id)
        elif self.told.was_stored(client.delete("/me", headers=head).status_code):
            self.told.withdrawn.add(id)

    def go_wrong(self, fault: Callable[[Site, random.Random], None], dice: random.Random) -> bool:
        """Act, let something go wrong at a random moment, act on; return whether it was felt."""
        self.over.clear()
        refused = self.told.refused
        acting = [threading.Thread(target=self.act, args=(n,)) for n in range(len(self.people))]
        for one in acting:
            one.start()
        try:
            time.sleep(dice.uniform(*BEFORE))
            fault(self, dice)
            self.wait_until_ready()
            time.sleep(AFTER)
        finally:
            self.over.set()
            for one in acting:
                one.join()
        return self.told.refused > refused

    def wait_until_felt(self, dice: random.Random) -> None:
        """Until somebody is refused, and for a random moment more."""
        refused, until = self.told.refused, time.monotonic() + FELT
        while self.told.refused == refused and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(dice.uniform(0, 0.5))

    def stop(self) -> None:
        self.server.terminate()
        self.server.wait(60)


def bearer(session: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {session}"}


def killed(now: Site, dice: random.Random) -> None:
    os.kill(now.store.to_kill(now.server, dice), signal.SIGKILL)
    time.sleep(0.2)


def database_killed(now: Site, dice: random.Random) -> None:
    assert isinstance(now.store, Postgresql)
    now.store.kill()
    now.wait_until_felt(dice)
    now.store.start()


def disk_full(now: Site, dice: random.Random) -> None:
    """Fill all that is left, and let go again."""
    filler = now.store.disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            free = os.statvfs(now.store.disk)
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
            file.seek(0, os.SEEK_END)
            while True:
                file.write(b"\0" * 4096)
        now.wait_until_felt(dice)
    finally:
        filler.unlink()


def write_errors(now: Site, dice: random.Random) -> None:
    """Let writes fail beyond a size of file, and end that."""
    limited = now.store.processes(now.server)
    now.store.limit_files(limited, str(dice.randrange(64, 1024) * 1024))
    now.wait_until_felt(dice)
    now.store.limit_files(limited, "unlimited")


FAULTS = {
    "killed": killed,
    "database": database_killed,
    "full": disk_full,
    "errors": write_errors,
}


def prepare(address: str) -> tuple[str, list[str], list[tuple[str, str]]]:
    """An open consultation: its slug, its statements, and people with their sessions."""
    from suffrage.server.store import consultations, participants
    from suffrage.server.store.consultations import ConsultationSettings
    from suffrage.server.store.database import open_store
    from suffrage.server.store.participants import Scopes
    from suffrage.server.store.statements import add_seeds

    store = open_store(address, create=True)
    settings = ConsultationSettings(
        open_to_all=True,
        statements_each=100,
        organiser="The council",
        contact="council@example.org",
    )
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


def missing(store: Store, told: Told) -> Counter[str]:
    """How many acknowledged acts of each kind are not there, and votes that are there twice."""
    from sqlalchemy import select

    from suffrage.server.store.database import open_store
    from suffrage.server.store.database_schema import participant, statement, vote, vote_event

    opened = open_store(store.address)
    with opened.read() as c:
        votes = {
            (row.participant_id, row.statement_id): str(row.event_id)
            for row in c.execute(select(vote))
        }
        events = c.execute(select(vote_event.c.participant_id, vote_event.c.statement_id)).all()
        people = {row.id: row for row in c.execute(select(participant))}
        statements = set(c.scalars(select(statement.c.id)))
    opened.close()
    there = told.agreed & people.keys()
    return Counter(
        votes=sum(votes.get(key) != event for key, event in told.votes.items()),
        joins=len(told.joined - people.keys()),
        consents=sum(not people[id].takes_part for id in there),
        withdrawals=sum(id not in people or not people[id].withdrawn_at for id in told.withdrawn),
        statements=len(told.statements - statements),
        doubled=len(events) - len(set(events)),
        damaged=int(not store.is_whole()),
    )


def try_fault(site: Site, name: str, events: int, dice: random.Random) -> int:
    """Let one kind of fault happen, print what came of it, and return what is lost until now."""
    told, began = site.told, time.monotonic()
    before, refused = told.counts(), told.refused
    felt = 0
    for _ in range(events):
        felt += site.go_wrong(FAULTS[name], dice)
        print(".", end="", file=sys.stderr, flush=True)
    time.sleep(OLD_ANSWER)
    site.wait_until_ready()
    lost = missing(site.store, told)
    acts = {kind: n - before[kind] for kind, n in told.counts().items()}
    on = site.store.__class__.__name__.lower()
    print(
        f"{on}, {name}: {events} times, felt {felt} times; acknowledged {sum(acts.values()):,} "
        f"acts ({acts['votes']:,} votes), refused or unanswered {told.refused - refused:,}; "
        f"lost or doubled so far {lost.total()} {dict(+lost) or ''}"
        f"({time.monotonic() - began:.0f} s)",
        flush=True,
    )
    return lost.total()


def try_store(kind: type[Store], given: argparse.Namespace) -> int:
    """Let every fault happen on one store, and return what was lost."""
    dice = random.Random(given.seed)
    with small_disk() as (disk, mounted):
        store = kind(disk)
        store.start()
        site = Site(store, *prepare(store.address))
        lost = 0
        try:
            site.wait_until_ready()
            for name in kind.faults:
                if given.fault not in (None, name):
                    continue
                if name == "full" and not mounted:
                    print(f"{kind.__name__.lower()}, full: left out, as it needs root", flush=True)
                    continue
                lost = try_fault(site, name, given.events, dice)
        finally:
            site.stop()
            store.stop()
    return lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=30, help="how often each fault happens")
    parser.add_argument("--fault", choices=tuple(FAULTS), help="default: all")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), help="default: both")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers and disks are cleared away
    os.environ.setdefault(SECRET, secrets.token_urlsafe(48))
    os.environ["OMP_NUM_THREADS"] = "1"
    kinds = [k for k in (Sqlite, Postgresql) if given.store in (None, k.__name__.lower())]
    sys.exit(1 if sum(try_store(kind, given) for kind in kinds) else 0)


if __name__ == "__main__":
    main()
