"""A consultation under load: participants who vote at once on a real server on 127.0.0.1.

Each participant has a kept-alive connection of their own and does for each vote what a browser
without JavaScript does (`--by pages`): sends the page's form, follows the redirection, and reads
the next statement from the page it leads to. With `--by api` it is what a program does: one call
that votes and brings the next statement. Between two votes they think, `--think` seconds on
average (exponential), so that together they offer participants / think votes a second; with
`--think 0` nobody thinks. Times are taken from sending a vote to its confirmation (`vote`), and
to the next statement (`whole`).

The server is uvicorn in a process of its own, with the log, rate limiter and finding of groups
that a real one has. The allowances are set so high that nobody reaches them, because all requests
come from one address. After the time, or the count of votes, everybody's receipts are compared with
the store: every receipt must be one row of votes and one event, and no row or event may be there
without one. A reply that was lost is asked for again, so that the same must be true with `--kill`,
which kills the server (SIGKILL) halfway and starts it again. The exit code is 1 where it is not,
or where a target that was given is missed.

    python benchmarks/consult_load.py --seconds 30
    python benchmarks/consult_load.py --seconds 300 --kill --least-rate 300 --most-p95 200
    python benchmarks/consult_load.py --seconds 300 --database postgresql://user@host/name
    python benchmarks/consult_load.py --database postgresql://user@host/name --workers 4 --kill
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import resource
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

SECRET = "SUFFRAGE_SECRET"
METRICS = "SUFFRAGE_METRICS_TOKEN"
HOST = "127.0.0.1"
AT_ONCE = 20  # people who join at the same time
PATIENCE = 60.0  # seconds after the end in which open votes must get their receipt
REPLY_WITHIN = 30.0
STARTED_WITHIN = 300.0
AGAIN_AFTER = 1.0  # seconds, and up to twice that, until somebody whose reply was lost asks again
FIELD = re.compile(rb'type="hidden" name="(\w+)" value="([^"]*)"')
WORDS = {1: "agree", 0: "pass", -1: "disagree"}


@dataclass
class Person:
    """One participant: their session, and the receipt of each statement they voted on.

    receipts: statement -> value and, by the API, the number of its event.
    """

    id: str
    session: str
    receipts: dict[str, tuple[int, str | None]] = field(default_factory=dict)


@dataclass
class Measured:
    """Milliseconds of each reply that came; retries; votes stored before their reply was lost."""

    vote: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    retries: int = 0
    stored_before: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    def failed(self, what: str) -> None:
        self.retries += 1
        self.errors[what] = self.errors.get(what, 0) + 1


class Wire(asyncio.Protocol):
    """One HTTP/1.1 connection with one request at a time, so that it costs little."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.got = bytearray()
        self.whole = -1  # bytes of the reply, once its head is there
        self.answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.got += data
        if self.whole < 0:
            head = self.got.find(b"\r\n\r\n")
            if head < 0:
                return
            at = self.got.find(b"content-length: ", 0, head)
            length = int(self.got[at + 16 : self.got.index(b"\r", at)]) if at >= 0 else 0
            self.whole = head + 4 + length
        if len(self.got) >= self.whole and self.answer and not self.answer.done():
            reply, self.got, self.whole = bytes(self.got), bytearray(), -1
            self.answer.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self.answer and not self.answer.done():
            self.answer.set_exception(ConnectionResetError("the server went away"))

    async def ask(self, request: bytes, port: int) -> bytes:
        """The reply, head and body. Raises OSError or TimeoutError; then the connection is gone."""
        loop = asyncio.get_running_loop()
        if self.transport is None or self.transport.is_closing():
            self.got, self.whole = bytearray(), -1
            await loop.create_connection(lambda: self, HOST, port)
        assert self.transport is not None
        self.answer = loop.create_future()
        late = loop.call_later(REPLY_WITHIN, self._too_late)
        try:
            self.transport.write(request)
            return await self.answer
        finally:
            late.cancel()

    def _too_late(self) -> None:
        if self.answer and not self.answer.done():
            self.answer.set_exception(TimeoutError("no reply"))
        if self.transport is not None:
            self.transport.abort()


def status(reply: bytes) -> int:
    return int(reply[9:12])


def body_of(reply: bytes) -> bytes:
    return reply[reply.index(b"\r\n\r\n") + 4 :]


class Server:
    """The server in a process of its own."""

    def __init__(self, where: str, port: int, results: bool, log: Path, workers: int) -> None:
        self.where, self.port, self.results, self.log = where, port, results, log
        self.workers = workers
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [sys.executable, __file__, "--serve", self.where, "--port", str(self.port)]
        words += ["--workers", str(self.workers)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words + ([] if self.results else ["--no-results"]), stdout=log, stderr=log
            )
        deadline = time.monotonic() + STARTED_WITHIN
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://{HOST}:{self.port}/healthz", timeout=30).close()
                return
            except OSError:
                time.sleep(0.05)
            if self.process.poll() is not None:
                raise SystemExit(f"the server did not start: {self.log.read_text()[-2000:]}")
        raise SystemExit("the server did not answer")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)


def serve(where: str, port: int, results: bool, workers: int) -> None:
    from suffrage.server.listening import open_port
    from suffrage.server.web import serving
    from suffrage.server.web.app import create_app
    from suffrage.server.web.server_settings import DEFAULT_LIMITS, Allowance, ServerSettings
    from suffrage.server.web.workers import run_workers

    plenty = Allowance(10**9, 1)
    limits = dict.fromkeys(DEFAULT_LIMITS, (plenty, plenty))
    url = f"http://{HOST}:{port}"
    settings = ServerSettings(where, base_url=url, limits=limits, results=results)
    serving.start_logging()
    with open_port(HOST, port) as listening:
        if workers > 1:
            run_workers(settings, listening, None, workers)
        else:
            serving.run_server(create_app(settings), listening)


def prepare(where: str, slug: str, statements: int) -> None:
    """An open consultation with accepted statements."""
    from suffrage.server.store import consultations
    from suffrage.server.store.consultations import ConsultationSettings
    from suffrage.server.store.database import open_store
    from suffrage.server.store.statements import add_seeds

    store = open_store(where, create=True)
    settings = ConsultationSettings(
        open_to_all=True, organiser="The council", contact="council@example.org"
    )
    about = consultations.create_consultation(
        store, slug, {"en": "Load"}, {"en": "How much?"}, settings
    )
    texts = [(f"Rule number {n}: the assistant should do it.", "en") for n in range(statements)]
    add_seeds(store, about.id, texts, "benchmark")
    consultations.set_phase(store, about.id, "open", "benchmark")
    store.close()


async def join(port: int, slug: str, count: int) -> list[Person]:
    gate = asyncio.Semaphore(AT_ONCE)

    def api(path: str, session: str, content: dict[str, Any]) -> bytes:
        head = {"Authorization": f"Bearer {session}"} if session else {}
        sent = json.dumps(content).encode()
        return request("POST", f"/api/v1/c/{slug}{path}", port, head, "application/json", sent)

    async def one() -> Person:
        async with gate:
            wire = Wire()
            reply = await wire.ask(api("/session", "", {}), port)
            assert status(reply) == 201, reply
            told = json.loads(body_of(reply))
            agreed = await wire.ask(api("/consent", told["session"], {"take_part": True}), port)
            assert status(agreed) == 204, agreed
            if wire.transport is not None:
                wire.transport.close()
            return Person(told["participant"], told["session"])

    return list(await asyncio.gather(*(one() for _ in range(count))))


def request(
    method: str, path: str, port: int, head: dict[str, str], kind: str = "", body: bytes = b""
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}:{port}"]
    lines += [f"{name}: {value}" for name, value in head.items()]
    if method != "GET":
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Asked:
    """The statement somebody has before them. fields: what its form sends besides the vote."""

    statement: str
    fields: dict[str, str]


class Api:
    """One call a vote: it stores it, and brings what comes next."""

    def __init__(self, wire: Wire, port: int, slug: str, person: Person) -> None:
        self.wire, self.port, self.person = wire, port, person
        self.base = f"/api/v1/c/{slug}"
        self.head = {"Authorization": f"Bearer {person.session}"}

    async def first(self) -> bytes:
        return await self.wire.ask(
            request("GET", f"{self.base}/next", self.port, self.head), self.port
        )

    def asked(self, reply: bytes) -> Asked | None:
        told = json.loads(body_of(reply))
        told = told.get("next", told)
        if not told or not told["statement"]:
            return None
        return Asked(told["statement"]["id"], {"exposure": told["exposure"]})

    async def vote(self, asked: Asked, value: int) -> bytes:
        sent = json.dumps({"vote": value, "next": True, **asked.fields}).encode()
        path = f"{self.base}/votes/{asked.statement}"
        return await self.wire.ask(
            request("PUT", path, self.port, self.head, "application/json", sent), self.port
        )

    def receipt(self, reply: bytes) -> tuple[str | None, bool]:
        told = json.loads(body_of(reply))
        return told["id"], told["new"]

    def where(self, reply: bytes) -> str | None:
        return None


class Pages:
    """A form and the page it leads to, as a browser without JavaScript has them."""

    def __init__(self, wire: Wire, port: int, slug: str, person: Person) -> None:
        self.wire, self.port, self.person = wire, port, person
        self.page = f"/c/{slug}/vote"
        cookies = f"suffrage-visit={secrets.token_urlsafe(24)}; suffrage-in-{slug}={person.session}"
        self.head = {
            "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "Accept-Language": "en-GB,en;q=0.5",
            "Cookie": cookies,
            "Sec-Fetch-Site": "same-origin",
        }
        self.sending = {**self.head, "Origin": f"http://{HOST}:{port}"}

    async def first(self) -> bytes:
        return await self.load(self.page)

    async def load(self, path: str) -> bytes:
        return await self.wire.ask(request("GET", path, self.port, self.head), self.port)

    def asked(self, reply: bytes) -> Asked | None:
        fields = {name.decode(): value.decode() for name, value in FIELD.findall(reply)}
        return Asked(fields["statement"], fields) if "statement" in fields else None

    async def vote(self, asked: Asked, value: int) -> bytes:
        sent = urlencode({**asked.fields, "vote": WORDS[value]}).encode()
        kind = "application/x-www-form-urlencoded"
        return await self.wire.ask(
            request("POST", self.page, self.port, self.sending, kind, sent), self.port
        )

    def receipt(self, reply: bytes) -> tuple[str | None, bool]:
        return None, True

    def where(self, reply: bytes) -> str | None:
        at = reply.index(b"location: ") + 10
        return reply[at : reply.index(b"\r", at)].decode()


class Load:
    """Everybody votes until the time is over or the votes are enough."""

    def __init__(self, port: int, slug: str, people: list[Person], a: argparse.Namespace) -> None:
        self.port, self.slug, self.people, self.a = port, slug, people, a
        self.measured = Measured()
        self.ends = 0.0
        self.of = Pages if a.by == "pages" else Api

    def going(self) -> bool:
        enough = self.a.votes and len(self.measured.vote) >= self.a.votes
        return time.monotonic() < self.ends and not enough

    async def run(self) -> float:
        """Seconds it took."""
        began = time.monotonic()
        self.ends = began + self.a.seconds
        await asyncio.gather(*(self.take_part(p, n) for n, p in enumerate(self.people)))
        return min(time.monotonic(), self.ends) - began

    async def take_part(self, person: Person, number: int) -> None:
        dice = random.Random(self.a.seed * 1_000_003 + number)
        mean = self.a.think
        wire = Wire()
        by = self.of(wire, self.port, self.slug, person)
        if mean:  # nobody begins at the same moment as everybody
            await asyncio.sleep(dice.random() * min(mean, self.a.seconds / 4))
        reply = await self.until(by.first, 200, dice, self.going)
        asked = by.asked(reply) if reply else None
        began = time.monotonic()
        while asked is not None and self.going():
            if mean:
                # What is left of the time between two votes, replies included.
                pause = dice.expovariate(1 / mean) - (time.monotonic() - began)
                await asyncio.sleep(min(max(pause, 0), max(self.ends - time.monotonic(), 0)))
                if not self.going():
                    return
            began = time.monotonic()
            asked = await self.vote(person, by, asked, dice.choice((-1, 0, 1, 1)), dice)

    async def vote(
        self, person: Person, by: Api | Pages, asked: Asked, value: int, dice: random.Random
    ) -> Asked | None:
        """Until there is a receipt: what was sent is sent again, after the end as well."""
        began = time.perf_counter()

        def patient() -> bool:
            return time.monotonic() < self.ends + PATIENCE

        wanted = 303 if by.__class__ is Pages else 200
        reply = await self.until(lambda: by.vote(asked, value), wanted, dice, patient)
        if reply is None:
            raise SystemExit("a vote got no receipt within a minute after the end")
        self.measured.vote.append((time.perf_counter() - began) * 1000)
        event, new = by.receipt(reply)
        self.measured.stored_before += not new
        person.receipts[asked.statement] = (value, event)
        where = by.where(reply)
        if where is not None and isinstance(by, Pages):
            if f"recorded={asked.statement}" not in where:
                raise SystemExit(f"a vote led to {where}")
            reply = await self.until(lambda: by.load(where), 200, dice, patient)
            if reply is None:
                return None
        self.measured.whole.append((time.perf_counter() - began) * 1000)
        return by.asked(reply)

    async def until(self, ask: Any, wanted: int, dice: random.Random, going: Any) -> bytes | None:
        """The reply of the status that is wanted, asked for again until it comes."""
        while going():
            try:
                reply: bytes = await ask()
                if status(reply) == wanted:
                    return reply
                self.measured.failed(str(status(reply)))
            except (OSError, TimeoutError) as error:
                self.measured.failed(type(error).__name__)
            await asyncio.sleep(AGAIN_AFTER * (1 + dice.random()))
        return None


def reconcile(where: str, slug: str, people: list[Person]) -> dict[str, int]:
    """Receipts against rows and events of the store; all but the first two must be 0."""
    from sqlalchemy import select

    from suffrage.server.store import consultations
    from suffrage.server.store.database import open_store
    from suffrage.server.store.database_schema import exposure, vote, vote_event

    store = open_store(where)
    about = consultations.find_consultation(store, slug)
    with store.read() as c:
        rows = {
            (r.participant_id, r.statement_id): (r.value, str(r.event_id))
            for r in c.execute(select(vote).where(vote.c.consultation_id == about.id))
        }
        events = [
            (r.participant_id, r.statement_id, r.value, str(r.id))
            for r in c.execute(select(vote_event).where(vote_event.c.consultation_id == about.id))
        ]
        of = exposure.c.consultation_id == about.id
        unanswered = len(
            c.execute(
                select(exposure.c.participant_id).where(of, exposure.c.answered_at.is_(None))
            ).all()
        )
        shown = len(c.execute(select(exposure.c.id).where(of)).all())
    store.close()
    receipts = {(p.id, s): told for p in people for s, told in p.receipts.items()}

    def other(row: tuple[int, str], receipt: tuple[int, str | None]) -> bool:
        return row[0] != receipt[0] or receipt[1] not in (None, row[1])

    return {
        "receipts": len(receipts),
        "rows": len(rows),
        "lost": len(receipts.keys() - rows.keys()),
        "without_receipt": len(rows.keys() - receipts.keys()),
        "other_than_receipt": sum(
            other(rows[k], receipts[k]) for k in rows.keys() & receipts.keys()
        ),
        "doubled": len(events) - len({event[:2] for event in events}),
        "rows_without_their_event": len({(*key, *row) for key, row in rows.items()} - set(events)),
        # Each answered showing is one vote: a draw probability is there for all of them.
        "votes_without_showing": abs(shown - unanswered - len(rows)),
    }


def stored_bytes(where: str) -> int:
    """How much the database stores on disk: its tables with their indexes."""
    from suffrage.server.store.database import open_store

    store = open_store(where)
    with store.read() as c:
        if store.on_sqlite:
            pages = c.exec_driver_sql("PRAGMA page_count").scalar()
            size = pages * c.exec_driver_sql("PRAGMA page_size").scalar()
        else:
            size = c.exec_driver_sql("SELECT pg_database_size(current_database())").scalar()
    store.close()
    return int(size)


def percentiles(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        f"p{int(q * 100)}": round(ordered[min(int(q * len(ordered)), len(ordered) - 1)], 1)
        if ordered
        else float("nan")
        for q in (0.5, 0.95, 0.99)
    }


class Processor:
    """Seconds of processor time that each part has used, from /proc; empty where there is none."""

    def __init__(self, server: Server, database: str | None) -> None:
        self.server, self.postmaster = server, _postmaster(database) if database else None

    def used(self) -> dict[str, float]:
        if not Path("/proc/self/stat").exists() or self.server.process is None:
            return {}
        all_of = {pid: stat for pid in _pids() if (stat := _stat(pid)) is not None}
        of = self.server.process.pid
        own = all_of.get(of)
        children = {pid: s for pid, s in all_of.items() if s.parent == of}
        workers = [s for pid, s in children.items() if is_worker(pid)]
        used = resource.getrusage(resource.RUSAGE_SELF)
        found = {
            "server": (own.own if own else 0.0) + sum(s.own for s in workers),
            "groups": sum(s.own for pid, s in children.items() if not is_worker(pid)),
            "generator": used.ru_utime + used.ru_stime,
        }
        if self.postmaster is not None:
            family = [s for pid, s in all_of.items() if self.postmaster in (pid, s.parent)]
            # Connections that have ended count with the process that started them.
            ended = all_of[self.postmaster].children if self.postmaster in all_of else 0.0
            found["database"] = sum(s.own for s in family) + ended
        return found


@dataclass
class Stat:
    parent: int
    own: float
    children: float


def _stat(pid: int) -> Stat | None:
    try:
        rest = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    tick = os.sysconf("SC_CLK_TCK")
    user, system, children_user, children_system = (int(x) / tick for x in rest[11:15])
    return Stat(int(rest[1]), user + system, children_user + children_system)


def _pids() -> Iterable[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def is_worker(pid: int) -> bool:
    """Whether a process answers requests, and is not the one that finds groups."""
    try:
        return b"suffrage.server.web.workers" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _postmaster(database: str) -> int | None:
    """The process all of PostgreSQL's descend from, where it runs on this machine."""
    import psycopg

    with psycopg.connect(database) as c:
        row = c.execute("SELECT pg_backend_pid()").fetchone()
        backend = _stat(row[0]) if row else None
        return backend.parent if backend else None


async def measure(a: argparse.Namespace, where: str, folder: Path) -> dict[str, Any]:
    port = a.port or free_port()
    slug = f"load-{secrets.token_hex(4)}"
    prepare(where, slug, a.statements)
    server = Server(where, port, a.results, folder / "server.log", a.workers)
    try:
        server.start()
        processor = Processor(server, a.database)
        people = await join(port, slug, a.participants)
        load = Load(port, slug, people, a)
        size = stored_bytes(where)
        before = processor.used()
        killing = asyncio.create_task(kill_midway(server, a)) if a.kill else None
        seconds = await load.run()
        after = processor.used()
        down = await killing if killing else 0.0
        counted = metrics_of(port)
    finally:
        server.stop()
    m = load.measured
    votes = len(m.vote)
    cost = {name: (after[name] - before[name]) * 1000 / max(votes, 1) for name in before}
    return {
        "database": "postgresql" if where.startswith("postgres") else "sqlite",
        "by": a.by,
        "workers": a.workers,
        "participants": a.participants,
        "think": a.think,
        "seconds": round(seconds, 1),
        "votes": votes,
        "votes_per_second": round(votes / seconds, 1),
        "vote_ms": percentiles(m.vote),
        "whole_ms": percentiles(m.whole),
        "retries": m.retries,
        "errors": m.errors,
        # How many votes a second one core could serve at most, also on a busy machine.
        "cpu_ms_per_vote": None if a.kill else {name: round(x, 2) for name, x in cost.items()},
        "bytes_per_vote": round((stored_bytes(where) - size) / max(votes, 1)),
        "killed": bool(a.kill),
        "seconds_down": round(down, 1),
        # Told by the API alone: a page does not say that a vote was there.
        "stored_before_reply_was_lost": m.stored_before if a.by == "api" else None,
        # What its own /metrics say; after a kill, of the second server alone.
        "counted_by_server": counted,
        "reconciled": reconcile(where, slug, people),
    }


def metrics_of(port: int) -> float | None:
    """Votes since it started as the server's own count has them, where it says."""
    try:
        head = {"Authorization": f"Bearer {os.environ[METRICS]}"}
        asked = urllib.request.Request(f"http://{HOST}:{port}/metrics", headers=head)
        with urllib.request.urlopen(asked, timeout=10) as reply:
            found = re.search(rb"^suffrage_votes_total (\S+)", reply.read(), re.M)
            return float(found.group(1)) if found else None
    except OSError:
        return None


async def kill_midway(server: Server, a: argparse.Namespace) -> float:
    """Kill the server halfway, start it again, and return the seconds it was away.

    Of several workers one is killed, and the parent starts another.
    """
    await asyncio.sleep(a.seconds / 2)
    began = time.monotonic()
    if a.workers > 1 and server.process is not None:
        parents = {pid: stat.parent for pid in _pids() if (stat := _stat(pid)) is not None}
        own = [pid for pid, parent in parents.items() if parent == server.process.pid]
        os.kill(next(pid for pid in own if is_worker(pid)), signal.SIGKILL)
        return 0.0
    server.stop(signal.SIGKILL)
    await asyncio.to_thread(server.start)
    return time.monotonic() - began


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def whole(found: dict[str, Any], a: argparse.Namespace) -> list[str]:
    """What is not as it must be."""
    r = found["reconciled"]
    wrong = [f"{name}: {r[name]}" for name in r if name not in ("receipts", "rows") and r[name]]
    counted = found["counted_by_server"]
    # Of several workers one answers, with its own count.
    if counted is not None and not a.kill and a.workers == 1 and counted != r["receipts"]:
        wrong.append(f"the server counted {counted:.0f} votes")
    if a.least_rate and found["votes_per_second"] < a.least_rate:
        wrong.append(f"{found['votes_per_second']} votes a second, fewer than {a.least_rate}")
    if a.most_p95 and found["whole_ms"]["p95"] > a.most_p95:
        wrong.append(f"p95 {found['whole_ms']['p95']} ms, more than {a.most_p95}")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--by", choices=("pages", "api"), default="pages")
    parser.add_argument("--participants", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--votes", type=int, default=0, help="stop after so many; 0: by time alone")
    parser.add_argument(
        "--think",
        type=float,
        default=3.0,
        help="mean seconds from one vote of a person to the next",
    )
    parser.add_argument("--statements", type=int, default=200)
    parser.add_argument("--database", help="postgresql://...; default: SQLite in a new folder")
    parser.add_argument("--kill", action="store_true", help="kill the server halfway")
    parser.add_argument("--workers", type=int, default=1, help="processes; needs --database")
    parser.add_argument("--no-results", dest="results", action="store_false")
    parser.add_argument("--least-rate", type=float, help="exit with 1 below it")
    parser.add_argument(
        "--most-p95", type=float, help="milliseconds of the whole; exit with 1 above it"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.serve:
        serve(a.serve, a.port, a.results, a.workers)
        return
    os.environ.setdefault(SECRET, secrets.token_urlsafe(48))
    os.environ[METRICS] = secrets.token_urlsafe(24)
    # A connection each, and as many again where a server that was killed has not let go of them.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    with tempfile.TemporaryDirectory(prefix="suffrage-load-") as passing:
        folder = Path(passing)
        found = run(measure(a, a.database or str(folder / "store"), folder))
    wrong = whole(found, a)
    if a.json:
        print(json.dumps({**found, "wrong": wrong}, indent=2))
    else:
        print(
            f"{found['database']}, by {found['by']}, {a.workers} process(es): "
            f"{found['votes']} votes by {found['participants']} "
            f"participants in {found['seconds']} s, {found['votes_per_second']} a second"
        )
        for name in ("vote", "whole"):
            t = found[f"{name}_ms"]
            print(f"  {name:<5} p50 {t['p50']} ms, p95 {t['p95']} ms, p99 {t['p99']} ms")
        if found["cpu_ms_per_vote"]:
            parts = ", ".join(f"{name} {x}" for name, x in found["cpu_ms_per_vote"].items())
            print(f"  processor time a vote in ms: {parts}")
        print(f"  {found['bytes_per_vote']} bytes a vote on disk")
        print(f"  retries {found['retries']} {found['errors'] or ''}")
        if found["killed"]:
            stored = found["stored_before_reply_was_lost"]
            told = "" if stored is None else f"; {stored} votes were stored whose reply was lost"
            back = f"back after {found['seconds_down']} s" if a.workers == 1 else "one of several"
            print(f"  killed halfway, {back}{told}")
        print(f"  {found['reconciled']}")
        print("\n".join(f"WRONG: {line}" for line in wrong) or "  none lost, none doubled")
    sys.exit(1 if wrong else 0)


def run(what: Any) -> Any:
    """On uvloop where it is installed, which costs the generator less."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(what)
    return uvloop.run(what)


if __name__ == "__main__":
    main()
