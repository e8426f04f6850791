"""What this process has done since it started, as Prometheus reads it: counts and times.

Live counts tell when somebody voted, and which consultations there are. So the address is for
whoever runs the server: for a scraper that has the token of `SUFFRAGE_METRICS_TOKEN`. For everybody
else, staff included, and where no token is set, it does not exist.
"""

from __future__ import annotations

import hmac
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from suffrage.server.store.database import Store
from suffrage.server.store.stored_results import computation_times
from suffrage.server.store.waiting_room import WaitingRoom

TOKEN = "SUFFRAGE_METRICS_TOKEN"
# Upper bounds in seconds; the load benchmark aims at 0.2.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0)
PARTS = {"api": "api", "admin": "admin", "static": "static", "c": "pages"}


@dataclass
class Metrics:
    """Requests by part of the site, method and status; their times; votes that were stored."""

    votes: int = 0
    _requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    _buckets: dict[str, list[int]] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)

    def observe(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count one request. seconds: until its answer began."""
        part = PARTS.get(path[1:].partition("/")[0], "other")
        known = method if method in ("GET", "HEAD", "POST", "PUT", "DELETE") else "other"
        self._requests[part, known, status] += 1
        counts = self._buckets.setdefault(part, [0] * (len(BUCKETS) + 1))
        counts[bisect_left(BUCKETS, seconds)] += 1
        self._seconds[part] = self._seconds.get(part, 0.0) + seconds

    def text(self, store: Store, room: WaitingRoom) -> str:
        """Return all of it in Prometheus' format."""
        lines: list[str] = []

        def tell(name: str, kind: str, help: str, rows: Iterable[tuple[str, float]]) -> None:
            lines.extend((f"# HELP {name} {help}", f"# TYPE {name} {kind}"))
            lines.extend(f"{row} {value:.10g}" for row, value in rows)

        tell(
            "suffrage_requests_total",
            "counter",
            "Requests answered, by part of the site.",
            (
                (f'suffrage_requests_total{{part="{p}",method="{m}",status="{s}"}}', count)
                for (p, m, s), count in sorted(self._requests.items())
            ),
        )
        tell(
            "suffrage_request_seconds",
            "histogram",
            "Time until the answer began.",
            (row for part in sorted(self._buckets) for row in self._histogram(part)),
        )
        tell(
            "suffrage_votes_total",
            "counter",
            "Votes stored.",
            [("suffrage_votes_total", self.votes)],
        )
        tell(
            "suffrage_commits_total",
            "counter",
            "Transactions in which votes and draws were stored together.",
            [("suffrage_commits_total", room.commits)],
        )
        tell(
            "suffrage_committed_acts_total",
            "counter",
            "Votes and draws asked for, refused ones among them.",
            [("suffrage_committed_acts_total", room.acts)],
        )
        found = computation_times(store)
        for name, help, value in (
            ("suffrage_groups_seconds", "How long finding the groups took the last time.", 0),
            ("suffrage_groups_age_seconds", "Since the groups were found.", 1),
        ):
            rows = ((f'{name}{{consultation="{slug}"}}', t[value]) for slug, t in found.items())
            tell(name, "gauge", help, rows)
        return "\n".join(lines) + "\n"

    def _histogram(self, part: str) -> Iterable[tuple[str, float]]:
        total = 0
        for bound, count in zip((*BUCKETS, "+Inf"), self._buckets[part], strict=True):
            total += count
            yield f'suffrage_request_seconds_bucket{{part="{part}",le="{bound}"}}', total
        yield f'suffrage_request_seconds_sum{{part="{part}"}}', self._seconds[part]
        yield f'suffrage_request_seconds_count{{part="{part}"}}', total


def metrics_endpoint(request: Request) -> Response:
    """The metrics, for a caller with the token; for others the page does not exist (404)."""
    if not _may_see(request):
        raise HTTPException(404)
    state = request.app.state
    return Response(
        state.metrics.text(state.store, state.room),
        media_type="text/plain; version=0.0.4; charset=utf-8",
    )


def _may_see(request: Request) -> bool:
    wanted = os.environ.get(TOKEN, "")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    told = hmac.compare_digest(given.encode(), wanted.encode())
    return bool(wanted) and scheme.lower() == "bearer" and told
