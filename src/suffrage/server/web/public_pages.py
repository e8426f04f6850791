"""What a consultation gives to other sites and programs: a page to embed, results and news.

All of it is what somebody without a session sees. No cookie is read and none is set, so a frame on
another site, or a program, gets the same whoever is in front of the screen.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse, JSONResponse, Response

from suffrage.consult.csv_files import neutralised
from suffrage.server.store.database import NotFoundError
from suffrage.server.web.etags import tagged
from suffrage.server.web.mine import results_for
from suffrage.server.web.news import feed_address, feed_of, news_of
from suffrage.server.web.protection import POLICY_HEADER, content_policy
from suffrage.server.web.visit import APage, APublic

router = APIRouter(include_in_schema=False)

FORMAT = 1
CSV_COLUMNS = (
    "statement",
    "text",
    "language",
    "by_organisers",
    "group",
    "voters",
    "agree",
    "disagree",
    "passed",
    "important",
    "agree_low",
    "agree_high",
)
EVERYBODY = "everybody"
# Any site's script may read these, which are the same for everybody, and nothing else.
OPEN_TO_ALL = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "no-cache",
}
# Why there is nothing to read, by the words of `results_for`.
NOT_PUBLIC = {
    "hidden": "The organisers have not published the results.",
    "join": "Only people who take part can see the results now.",
    "people": "Too few people have voted to show results.",
}


@router.get("/c/{slug}/embed")
def embedded_page(v: APublic) -> Response:
    """The finding, for a frame on the sites that the organisers named; without any, not found."""
    origins = v.what.settings.embedded_by
    if not origins:
        raise NotFoundError("this consultation is not embedded anywhere.")
    shown = results_for(v.store, v.what, None)
    text = v.text("embed.html", csrf="", question=v.say(v.what.question), **shown)
    headers = {
        POLICY_HEADER: content_policy(origins),
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Content-Language": v.language.code,
        "Vary": "Accept-Language",
    }
    return HTMLResponse(text, headers=headers)


@router.get("/c/{slug}/results.json")
def results_as_json(v: APublic) -> Response:
    """The results that everybody may see, with the numbers of the page."""
    shown = results_for(v.store, v.what, None)
    if shown["why"]:
        said = {"reason": shown["why"], "message": NOT_PUBLIC[shown["why"]]}
        return JSONResponse({"error": said}, 404, OPEN_TO_ALL)
    found, what = shown["computation"], v.what
    content = {
        "format": FORMAT,
        "consultation": {
            "slug": what.slug,
            "title": dict(what.title),
            "question": dict(what.question),
            "phase": what.phase,
            "organiser": what.settings.organiser,
            "address": v.origin + v.url(),
        },
        "licence": what.settings.licence,
        "computed": shown["computed"],
        "log_head": str(shown["log_head"]) if shown["log_head"] else None,
        "people": found.people,
        "votes": found.votes,
        "statements_written": asdict(shown["decided"]),
        "results": shown["result"],
        # Once voting has ended, where predictions were put on record and added.
        **({"predicted": shown["predicted"]} if shown["predicted"] else {}),
    }
    text = json.dumps(content, ensure_ascii=False, indent=1)
    return tagged(v.request, text, "application/json", OPEN_TO_ALL)


@router.get("/c/{slug}/results.csv")
def results_as_csv(v: APublic) -> Response:
    """The same shares as a table: a row for everybody and for each group on each statement."""
    shown = results_for(v.store, v.what, None)
    kind = "text/csv; charset=utf-8"
    if shown["why"]:
        return Response(NOT_PUBLIC[shown["why"]] + "\n", 404, OPEN_TO_ALL, "text/plain")
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(CSV_COLUMNS)
    table.writerows(_rows(shown["result"]))
    name = f'attachment; filename="{v.what.slug}-results.csv"'
    headers = {**OPEN_TO_ALL, "Content-Disposition": name}
    # Spreadsheets take a file without this mark for one in another encoding.
    return tagged(v.request, "\ufeff" + out.getvalue(), kind, headers)


def _rows(result: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    names = [EVERYBODY, *(group["name"] for group in result["groups"])]
    for row in result["all"]:
        about = (row["id"], neutralised(row["text"]), row["language"], row["by_organisers"])
        for name, shares in zip(names, [row["everybody"], *row["groups"]], strict=True):
            if shares is not None:
                kinds = ("voters", "agree", "disagree", "passed", "important", "low", "high")
                yield (*about, name, *(shares[kind] for kind in kinds))


@router.get("/c/{slug}/news")
def news_page(v: APage) -> Response:
    """What has happened, and how to follow it."""
    items = [(item, v.language.day_of(item.at)) for item in news_of(v)]
    return v.page("news.html", items=items, address=feed_address(v))


@router.get("/c/{slug}/feed.atom")
def news_feed(v: APublic) -> Response:
    """The same for feed readers."""
    headers = {**OPEN_TO_ALL, "Content-Language": v.language.code, "Vary": "Accept-Language"}
    return tagged(v.request, feed_of(v, news_of(v)), "application/atom+xml", headers)
