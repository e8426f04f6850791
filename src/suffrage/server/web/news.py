"""What has happened in a consultation, for whoever follows it: a list for a page, and a feed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from suffrage.server.store import audit, statements
from suffrage.server.store.database import now
from suffrage.server.web.mine import results_for
from suffrage.server.web.organise.words import zoned_day
from suffrage.server.web.visit import Visit

MOST_ITEMS = 50
DAY = 24 * 3600 * 1000
_ATOM = "http://www.w3.org/2005/Atom"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True)
class NewsItem:
    """One thing that happened."""

    # The same for as long as the item is about the same.
    key: str
    title: str
    text: str
    # The page that it is about, under the consultation's address.
    page: str
    # Milliseconds since 1970.
    at: int


def news_of(v: Visit) -> list[NewsItem]:
    """Return what anybody may know, the newest first, in the language of a visit.

    It opened or closed, results are out, and statements were decided on: how many in a day, when
    the day is over. Nothing is said of single people, statements or votes.
    """
    # Of two at the same moment the first is taken for the newer one.
    found = [*_results(v), *_decisions(v), *_phases(v)]
    return sorted(found, key=lambda item: -item.at)[:MOST_ITEMS]


def feed_address(v: Visit) -> str:
    """Return the address of the feed that stays in the language of a visit."""
    return f"{v.origin}{v.url('feed.atom')}?lang={v.language.code}"


def feed_of(v: Visit, items: Sequence[NewsItem]) -> str:
    """Return the items as an Atom feed.

    References
    ----------
    RFC 4287.
    """
    base = v.origin + v.url()
    feed = ET.Element("feed", {"xmlns": _ATOM, _LANGUAGE: v.language.code})
    title = v.say(v.what.title)[0]

    def add(parent: ET.Element, name: str, text: str = "", **attributes: str) -> ET.Element:
        made = ET.SubElement(parent, name, attributes)
        made.text = text or None
        return made

    add(feed, "id", f"{base}/feed.atom")
    add(feed, "title", title)
    if question := v.say(v.what.question)[0]:
        add(feed, "subtitle", question)
    add(add(feed, "author"), "name", v.what.settings.organiser or title)
    add(feed, "link", rel="self", href=feed_address(v), type="application/atom+xml")
    add(feed, "link", rel="alternate", href=f"{base}/news", type="text/html")
    add(feed, "updated", _moment(max((item.at for item in items), default=v.what.created)))
    for item in items:
        entry = add(feed, "entry")
        add(entry, "id", f"{base}/news#{item.key}")
        add(entry, "title", item.title)
        add(entry, "updated", _moment(item.at))
        add(entry, "link", rel="alternate", href=f"{base}/{item.page}".rstrip("/"))
        add(entry, "summary", item.text)
    written: bytes = ET.tostring(feed, "utf-8", xml_declaration=True)
    return written.decode()


def _phases(v: Visit) -> list[NewsItem]:
    settings, found = v.what.settings, []
    was_open = False
    for entry in audit.list_entries(v.store, v.what.id, action="consultation.phase"):
        if entry.object == "open":
            title = v._("You can take part again") if was_open else v._("You can take part now")
            was_open = True
            closes = settings.closes
            text = v._("Vote on short statements by other people.")
            if closes is not None and v.is_open:
                day = zoned_day(closes, settings, v.language.code)
                text = v._("You can vote until %(day)s.", day=day)
            found.append(NewsItem(f"phase-{entry.number}", title, text, "", entry.at))
        elif entry.object == "closed":
            text = v._("Thank you to everyone who took part.")
            title = v._("Voting has ended")
            found.append(NewsItem(f"phase-{entry.number}", title, text, "", entry.at))
    return found


def _results(v: Visit) -> list[NewsItem]:
    found = results_for(v.store, v.what, None)["computation"]
    if found is None:
        return []
    figure = v.language.figure
    text = v._(
        "%(people)s people gave %(votes)s votes on %(statements)s statements.",
        people=figure(found.people),
        votes=figure(found.votes),
        statements=figure(found.result["statements"]),
    )
    # The moment would tell when the last of a few people voted.
    day = found.created // DAY * DAY
    if v.is_open:
        at = max(day, v.what.opened or 0)
        return [NewsItem("results", v._("New results"), text, "results", at)]
    at = max(day, v.what.closed or 0)
    return [NewsItem("final-results", v._("The results are out"), text, "results", at)]


def _decisions(v: Visit) -> list[NewsItem]:
    counts: dict[int, Counter[str]] = {}
    for decision in statements.list_decisions(v.store, v.what.id):
        if decision.to_state in ("accepted", "rejected"):
            counts.setdefault(decision.at // DAY, Counter())[decision.to_state] += 1
    return [
        NewsItem(
            f"decisions-{day}",
            v._("Statements were read"),
            v._(
                "Decisions on %(day)s. Shown to everybody: %(accepted)s. Not shown: %(rejected)s.",
                day=v.language.day_of(day * DAY),
                accepted=v.language.figure(count["accepted"]),
                rejected=v.language.figure(count["rejected"]),
            ),
            "moderation-policy",
            (day + 1) * DAY,
        )
        for day, count in counts.items()
        # A day that goes on would tell when somebody's statement was decided on.
        if day < now() // DAY
    ]


def _moment(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
