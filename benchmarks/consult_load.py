"""A consultation under load: so many participants at once voting against a real server on 127.0.0.1.

Each participant is one asyncio task that asks for the next statement, thinks, and votes, over kept-alive
connections to uvicorn in a process of its own, with the process that finds groups beside it. Rate
limits are off, because all of them come from one address. Thinking is drawn so that together
they give `--rate` votes a second; with `--rate 0` nobody thinks. After the time, or the count of votes,
everybody's receipts are held against the store: every receipt must be one row of votes and one
event, and no row or event may be there without one. A reply that was lost is asked for again, so that
with `--kill`, which kills the server (SIGKILL) halfway and starts it anew, the same must hold.
The exit code is 1 where it does not, or where a target that was given is missed.

    python benchmarks/consult_load.py --seconds 30
    python benchmarks/consult_load.py --seconds 300 --kill --least-rate 300 --most-p95 200
    python benchmarks/consult_load.py --seconds 300 --database postgresql://user@host/name
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

SECRET = "SUFFRAGE_SECRET"
AT_ONCE = 50  # people who join at the same time
PATIENCE = 60.0  # seconds after the end in which open votes must get their receipt


@dataclass
class Person:
    """One participant: their session, and the receipt of each statement they voted on."""

    id: str
    session: str
    receipts: dict[str, tuple[int, str]] = field(default_factory=dict)


@dataclass
class Measured:
    """Milliseconds of each reply that came; retries; votes stored before their reply was lost."""

    vote: list[float] = field(default_factory=list)
    next: list[float] = field(default_factory=list)
    retries: int = 0
    stored_before: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    done: int = 0

    def failed(self, what: str) -> None:
        self.retries += 1
        self.errors[what] = self.errors.get(what, 0) + 1


class Server:
    """uvicorn in a process of its own."""

    def __init__(self, where: str, port: int, results: bool) -> None:
        self.where, self.port, self.results = where, port, results
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [sys.executable, __file__, "--serve", self.where, "--port", str(self.port)]
        self.process = subprocess.Popen(words + ([] if self.results else ["--no-results"]))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.05)
        raise SystemExit("the server did not answer")

    def cpu_seconds(self) -> float | None:
        """What the server has used of the processor so far; None where the system does not say."""
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text()  # type: ignore[union-attr]
        except OSError:
            return None
        used = stat.rsplit(")", 1)[1].split()[11:13]
        return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)


def serve(where: str, port: int, results: bool) -> None:
    import uvicorn

    from suffrage.consult.web.app import create_app
    from suffrage.consult.web.server_settings import ServerSettings

    url = f"http://127.0.0.1:{port}"
    app = create_app(ServerSettings(where, base_url=url, limits=None, results=results))
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")


def prepare(where: str, slug: str, statements: int) -> None:
    """An open consultation with accepted statements."""
    from suffrage.consult.store import consultations
    from suffrage.consult.store.consultations import ConsultationSettings
    from suffrage.consult.store.database import open_store
    from suffrage.consult.store.statements import add_seeds

    store = open_store(where, create=True)
    settings = ConsultationSettings(open_to_all=True)
    about = consultations.create(store, slug, {"en": "Load"}, {"en": "How much?"}, settings)
    texts = [(f"Rule number {n}: the assistant should do it.", "en") for n in range(statements)]
    add_seeds(store, about.id, texts, "benchmark")
    consultations.set_phase(store, about.id, "open", "benchmark")
    store.close()


async def join(client, count: int) -> list[Person]:  # type: ignore[no-untyped-def]
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> Person:
        async with gate:
            reply = await client.post("/session", json={})
            reply.raise_for_status()
            told = reply.json()
            head = {"Authorization": f"Bearer {told['session']}"}
            reply = await client.post("/consent", json={"take_part": True}, headers=head)
            reply.raise_for_status()
            return Person(told["participant"], told["session"])

    return list(await asyncio.gather(*(one() for _ in range(count))))


class Load:
    """Everybody votes until the time is over or the votes are enough."""

    def __init__(self, client, people: list[Person], a: argparse.Namespace) -> None:  # type: ignore[no-untyped-def]
        self.client, self.people, self.a = client, people, a
        self.measured = Measured()
        self.ends = 0.0

    def going(self) -> bool:
        enough = self.a.votes and self.measured.done >= self.a.votes
        return time.monotonic() < self.ends and not enough

    async def run(self) -> float:
        """Seconds it took."""
        began = time.monotonic()
        self.ends = began + self.a.seconds
        await asyncio.gather(*(self.person(p, n) for n, p in enumerate(self.people)))
        return min(time.monotonic(), self.ends) - began

    async def person(self, person: Person, number: int) -> None:
        dice = random.Random(self.a.seed * 1_000_003 + number)
        head = {"Authorization": f"Bearer {person.session}"}
        mean = self.a.participants / self.a.rate if self.a.rate else 0.0
        if mean:  # nobody begins at the same moment as everybody
            await asyncio.sleep(dice.random() * mean)
        while self.going():
            began = time.monotonic()
            told = await self.ask(head)
            if told is None or told["statement"] is None:
                return
            if mean:
                # What thinking leaves of the time between two votes, replies included.
                pause = dice.expovariate(1 / mean) - (time.monotonic() - began)
                await asyncio.sleep(min(max(pause, 0), max(self.ends - time.monotonic(), 0)))
            if not self.going():
                return
            value = dice.choice((-1, 0, 1, 1))
            await self.vote(person, head, told["statement"]["id"], value, told["exposure"])

    async def ask(self, head: dict[str, str]) -> dict | None:
        import httpx

        while self.going():
            began = time.perf_counter()
            try:
                reply = await self.client.get("/next", headers=head)
                if reply.status_code == 200:
                    self.measured.next.append((time.perf_counter() - began) * 1000)
                    return reply.json()
                self.measured.failed(f"next {reply.status_code}")
            except httpx.HTTPError as error:
                self.measured.failed(f"next {type(error).__name__}")
            await asyncio.sleep(0.25)
        return None

    async def vote(
        self, person: Person, head: dict[str, str], statement: str, value: int, exposure: str
    ) -> None:
        """Until there is a receipt: what was sent is asked for again, after the end as well."""
        import httpx

        body = {"vote": value, "exposure": exposure}
        while time.monotonic() < self.ends + PATIENCE:
            began = time.perf_counter()
            try:
                reply = await self.client.put(f"/votes/{statement}", json=body, headers=head)
                if reply.status_code == 200:
                    told = reply.json()
                    self.measured.vote.append((time.perf_counter() - began) * 1000)
                    self.measured.stored_before += not told["new"]
                    self.measured.done += 1
                    person.receipts[statement] = (value, told["id"])
                    return
                self.measured.failed(f"vote {reply.status_code}")
            except httpx.HTTPError as error:
                self.measured.failed(f"vote {type(error).__name__}")
            await asyncio.sleep(0.25)
        raise SystemExit("a vote got no receipt within a minute after the end")


def reconcile(where: str, slug: str, people: list[Person]) -> dict[str, int]:
    """Receipts against rows and events of the store; all but the first two must be 0."""
    from sqlalchemy import select

    from suffrage.consult.store import consultations
    from suffrage.consult.store.database import open_store
    from suffrage.consult.store.schema import exposure, vote, vote_event

    store = open_store(where)
    about = consultations.about(store, slug)
    with store.read() as c:
        rows = {
            (r.participant_id, r.statement_id): (r.value, str(r.event_id))
            for r in c.execute(select(vote).where(vote.c.consultation_id == about.id))
        }
        events = [
            (r.participant_id, r.statement_id)
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
    return {
        "receipts": len(receipts),
        "rows": len(rows),
        "lost": len(receipts.keys() - rows.keys()),
        "without_receipt": len(rows.keys() - receipts.keys()),
        "other_than_receipt": sum(rows[k] != receipts[k] for k in rows.keys() & receipts.keys()),
        "doubled": len(events) - len(set(events)),
        # Each answered showing is one vote: a draw probability is there for all of them.
        "votes_without_showing": abs(shown - unanswered - len(rows)),
    }


def percentile(times: list[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


async def measure(a: argparse.Namespace, where: str) -> dict:
    import httpx

    port = a.port or free_port()
    slug = f"load-{secrets.token_hex(4)}"
    prepare(where, slug, a.statements)
    server = Server(where, port, a.results)
    server.start()
    try:
        limits = httpx.Limits(
            max_connections=a.participants, max_keepalive_connections=a.participants
        )
        url = f"http://127.0.0.1:{port}/api/v1/c/{slug}"
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
            people = await join(client, a.participants)
            load = Load(client, people, a)
            before = server.cpu_seconds()
            killing = asyncio.create_task(kill_midway(server, a)) if a.kill else None
            seconds = await load.run()
            down = await killing if killing else 0.0
            after = server.cpu_seconds()
    finally:
        server.stop()
    m = load.measured
    found = reconcile(where, slug, people)
    return {
        "database": "postgresql" if where.startswith("postgres") else "sqlite",
        "participants": a.participants,
        "seconds": round(seconds, 1),
        "votes": m.done,
        "votes_per_second": round(m.done / seconds, 1),
        "vote_ms": {f"p{int(q * 100)}": round(percentile(m.vote, q), 1) for q in (0.5, 0.95, 0.99)},
        "next_ms": {f"p{int(q * 100)}": round(percentile(m.next, q), 1) for q in (0.5, 0.95, 0.99)},
        "retries": m.retries,
        "errors": m.errors,
        # Also on a busy machine: how many votes a second one core could serve at most.
        "server_cpu_ms_per_vote": None
        if before is None or after is None or a.kill or not m.done
        else round((after - before) * 1000 / m.done, 2),
        "killed": bool(a.kill),
        "seconds_down": round(down, 1),
        "stored_before_reply_was_lost": m.stored_before,
        "reconciled": found,
    }


async def kill_midway(server: Server, a: argparse.Namespace) -> float:
    """Kill the server halfway, start it anew, and give the seconds it was away."""
    await asyncio.sleep(a.seconds / 2)
    began = time.monotonic()
    server.stop(signal.SIGKILL)
    await asyncio.to_thread(server.start)
    return time.monotonic() - began


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def whole(found: dict, a: argparse.Namespace) -> list[str]:
    """What is not as it must be."""
    r = found["reconciled"]
    wrong = [f"{name}: {r[name]}" for name in r if name not in ("receipts", "rows") and r[name]]
    if a.least_rate and found["votes_per_second"] < a.least_rate:
        wrong.append(f"{found['votes_per_second']} votes a second, fewer than {a.least_rate}")
    if a.most_p95 and found["vote_ms"]["p95"] > a.most_p95:
        wrong.append(f"p95 {found['vote_ms']['p95']} ms, more than {a.most_p95}")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--participants", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--votes", type=int, default=0, help="stop after so many; 0: by time alone")
    parser.add_argument("--rate", type=float, default=300, help="votes a second of all together")
    parser.add_argument("--statements", type=int, default=200)
    parser.add_argument("--database", help="postgresql://...; default: SQLite in a new folder")
    parser.add_argument("--kill", action="store_true", help="kill the server halfway")
    parser.add_argument("--no-results", dest="results", action="store_false")
    parser.add_argument("--least-rate", type=float, help="exit with 1 below it")
    parser.add_argument("--most-p95", type=float, help="milliseconds; exit with 1 above it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.serve:
        serve(a.serve, a.port, a.results)
        return
    os.environ.setdefault(SECRET, secrets.token_urlsafe(48))
    with tempfile.TemporaryDirectory(prefix="suffrage-load-") as folder:
        found = asyncio.run(measure(a, a.database or str(Path(folder) / "store")))
    wrong = whole(found, a)
    if a.json:
        print(json.dumps({**found, "wrong": wrong}, indent=2))
    else:
        print(
            f"{found['database']}: {found['votes']} votes by {found['participants']} participants in "
            f"{found['seconds']} s, {found['votes_per_second']} a second"
        )
        for name in ("vote", "next"):
            t = found[f"{name}_ms"]
            print(f"  {name:<5} p50 {t['p50']} ms, p95 {t['p95']} ms, p99 {t['p99']} ms")
        print(f"  server: {found['server_cpu_ms_per_vote']} ms of processor time a vote")
        print(f"  retries {found['retries']} {found['errors'] or ''}")
        if found["killed"]:
            print(
                f"  killed halfway, back after {found['seconds_down']} s; "
                f"{found['stored_before_reply_was_lost']} votes were stored whose reply was lost"
            )
        print(f"  {found['reconciled']}")
        print("\n".join(f"WRONG: {line}" for line in wrong) or "  none lost, none doubled")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
