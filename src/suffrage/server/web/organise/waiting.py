"""Forms whose work takes minutes: the page says since when it is done, and looks again.

Work that is done within a few seconds answers its form at once. Longer work goes on without its
page; a page that only waits looks again by itself, also without scripts. Other pages never load
again by themselves, because somebody may be typing there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import RedirectResponse, Response

from suffrage.server.store.background_work import WorkKind, find_work, start_work
from suffrage.server.web.organise.desk import Desk
from suffrage.server.web.visit import with_visit

# Seconds for which a form waits for its work, and between two looks of a page that waits.
PATIENCE = 4.0
LOOK_EVERY = 10


def in_background(desk: Desk, kind: WorkKind, work: Callable[[], Any], done: str) -> Response:
    """Have work done that may take minutes, unless it is being done, and say where to go on.

    Parameters
    ----------
    done : str
        The page to go to when it is done, as an address within the consultation.

    Raises
    ------
    InputError
        The work found a mistake at once.
    """
    thread = start_work(desk.store, desk.id, kind, work)
    if thread is not None:
        thread.join(PATIENCE)
    now = find_work(desk.store, desk.id, kind)
    if now is not None and now.is_running:
        return redirected(desk, f"/{kind}?wait=yes")
    if now is not None and now.error is not None:
        raise now.error
    return redirected(desk, done)


def waiting_page(desk: Desk, kind: WorkKind, page: str, done: str) -> Response | None:
    """Return the page that waits for work and nothing else, or where to go when it is done.

    None where nobody asked to wait, or the work stopped: the page itself says so.
    """
    if desk.query("wait") != "yes":
        return None
    work = find_work(desk.store, desk.id, kind)
    if work is not None and work.is_running:
        values = {"work": work_view(desk, kind), "kind": kind, "page": page, "every": LOOK_EVERY}
        return desk.page("waiting.html", kind, values)
    if work is not None and work.error is None:
        return redirected(desk, done)
    return redirected(desk, page)


def work_view(desk: Desk, kind: WorkKind, after: int = 0) -> dict[str, Any]:
    """Return what a page says of the last work of a kind.

    after: work that started earlier is not worth mentioning when it stopped.
    """
    work = find_work(desk.store, desk.id, kind)
    if work is None:
        return {"running": False, "started": None, "problem": None, "found": None}
    error = work.error if work.started >= after else None
    return {
        "running": work.is_running,
        "started": work.started,
        "problem": None if error is None else desk.language.told(error),
        "found": work.ended if work.outcome is not None else None,
    }


def redirected(desk: Desk, place: str) -> Response:
    """Go on at another page of the consultation. place: its address there."""
    response: Response = with_visit(
        desk.request, RedirectResponse(f"/admin/c/{desk.id}{place}", 303)
    )
    return response
