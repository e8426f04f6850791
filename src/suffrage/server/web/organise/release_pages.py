"""The page of releases: asked for in a form, looked at before they are made, and downloaded.

The whole content can be exported there too, for the organisers' own use.
"""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.responses import Response

from suffrage.consult.consultation import write_consultation
from suffrage.consult.polis.write_files import write_polis
from suffrage.errors import InputError
from suffrage.server.consultation_results import with_opinion_groups
from suffrage.server.store import audit
from suffrage.server.store.database import NotFoundError
from suffrage.server.store.polis_times import to_polis
from suffrage.server.web.languages import N_
from suffrage.server.web.organise import releases
from suffrage.server.web.organise.desk import Desk, add_section, file_response
from suffrage.server.web.organise.forms import Ask, MistakesError, Sent, read_answers

ASKS = (
    Ask(
        "licence",
        "line",
        N_("Licence of statements and votes"),
        N_("Such as CC-BY-4.0 or CC0-1.0."),
        required=True,
    ),
    Ask(
        "model_licence",
        "line",
        N_("Licence of the models' answers"),
        N_("Such as: that of each model."),
        required=True,
    ),
    Ask(
        "motivation",
        "long",
        N_("Why you asked"),
        N_("The release's card shows this answer and those below."),
    ),
    Ask("recruitment", "long", N_("How people were found and invited")),
    Ask("moderation", "long", N_("How statements were moderated")),
    Ask("consent", "long", N_("What people agreed to")),
    Ask("funding", "long", N_("Who paid for it")),
    Ask("contact", "line", N_("Contact for questions about the data")),
    Ask("url", "line", N_("Web address with more information")),
    Ask("not_for", "long", N_("What the data must not be used for")),
)
_ABOUT = tuple(ask.name for ask in ASKS[2:])


def _stored(desk: Desk) -> dict[str, Any]:
    """What the form proposes: what the last release said, or else what the settings say."""
    made = releases.list_releases(desk)
    proposed = releases.proposed_settings(desk)
    last = made[0]["manifest"] if made else proposed
    about = {**proposed["about"], **last["about"]}
    return {
        "time_zone": "UTC",
        "licence": last["licence"],
        "model_licence": last["model_licence"],
        **{name: about.get(name, "") for name in _ABOUT},
    }


def _crossings(desk: Desk) -> list[tuple[str, str]]:
    """Pairs of questions about people, as values and words of a box each."""
    items = [d.item for d in desk.about.settings.demographics]
    labels = {
        d.item: desk.about.text(d.label, desk.language.code)[0] or d.item
        for d in desk.about.settings.demographics
    }
    return [(f"{a}*{b}", f"{labels[a]} × {labels[b]}") for a, b in combinations(items, 2)]


def _releases(desk: Desk) -> Response:
    values = {
        "releases": releases.list_releases(desk),
        "here": releases.releases_folder(desk) is not None,
        "asks": ASKS,
        "stored": _stored(desk),
        "crossings": _crossings(desk),
        "may": desk.may("manage"),
    }
    return desk.page("releases.html", "releases", values)


def _wanted(desk: Desk, sent: Sent) -> dict[str, Any]:
    """The settings of a release that the form means. Raises MistakesError."""
    found = read_answers(ASKS, sent, ())
    known = [value for value, _ in _crossings(desk)]
    return {
        "licence": found["licence"],
        "model_licence": found["model_licence"],
        "about": {name: found[name] for name in _ABOUT},
        "cross": [value.split("*") for value in sent.all("cross") if value in known],
    }


def _release(desk: Desk, sent: Sent) -> str | Response:
    """Show what a release would be, and make it once that was confirmed."""
    wanted = _wanted(desk, sent)
    if sent.get("what") != "make":
        return _preview(desk, sent, wanted)
    if sent.get("sure") != "yes":
        told = MistakesError([("sure", InputError("tick this box to make the release."))])
        return _preview(desk, sent, wanted, told)
    releases.make_next_release(desk, wanted)
    return "done=released"


def _preview(
    desk: Desk, sent: Sent, wanted: dict[str, Any], told: MistakesError | None = None
) -> Response:
    """The card of the release as it would be, with all that was asked for as hidden fields."""
    with releases.tried_release(desk, wanted) as made:
        card = (made.folder / "README.md").read_text(encoding="utf-8")
    names = [ask.name for ask in ASKS]
    values = {
        "card": card_html(card),
        "manifest": made.manifest,
        "hidden": [
            *((name, sent.get(name)) for name in names),
            *(("cross", value) for value in sent.all("cross")),
        ],
    }
    if told is not None:
        desk = replace(desk, sent=sent, problems=desk.problems_of(told, "make"))
    return desk.page("release_preview.html", "releases", values)


def card_html(card: str) -> Markup:
    """Return a card in Markdown as HTML, its headings below those of the page, without any HTML."""
    body = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.S)
    html = MarkdownIt("js-default").render(body)
    lower = re.sub(r"<(/?)h([1-4])>", lambda m: f"<{m[1]}h{int(m[2]) + 2}>", html)
    # A table that is wider than the screen scrolls by itself.
    return Markup(
        lower.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace(
            "</table>", "</table></div>"
        )
    )


def _release_file(desk: Desk) -> Response:
    version = desk.request.path_params["version"]
    name = f"{desk.about.slug}-release-{version}.zip"
    return file_response(releases.release_zip(desk, version), name, "application/zip")


def _export(desk: Desk) -> Response:
    """Everything that was collected as one archive; it is in the log who took it."""
    kind = desk.request.path_params["kind"]
    if kind not in ("tables", "polis"):
        raise NotFoundError("there is no such export.")
    content = desk.content
    with tempfile.TemporaryDirectory(prefix="suffrage-export-") as passing:
        folder = Path(passing) / "export"
        if kind == "tables":
            write_consultation(content, folder)
        else:
            url = f"{desk.request.app.state.settings.base_url}/c/{desk.about.slug}"
            conversation = to_polis(desk.store, desk.about.slug, content, url)
            write_polis(with_opinion_groups(conversation, content), folder)
        archive = _zipped(folder)
    with desk.store.write() as c:
        detail = {"hash": content.content_hash}
        audit.append_entry(c, desk.id, desk.member.id, "export", kind, detail)
    return file_response(archive, f"{desk.about.slug}-{kind}.zip", "application/zip")


def _zipped(folder: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            file.write(path, path.relative_to(folder))
    return out.getvalue()


router = APIRouter(prefix="/admin/c/{consultation_id}", include_in_schema=False)
add_section(router, "/releases", _releases, _release)
add_section(router, "/releases/{version}.zip", _release_file)
add_section(router, "/export/{kind}.zip", _export, view="export")
