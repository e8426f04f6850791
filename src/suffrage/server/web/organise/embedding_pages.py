"""The page on which organisers say which sites may show the results, with what those sites need."""

from __future__ import annotations

from markupsafe import escape
from starlette.responses import Response

from suffrage.server.store.consultations import set_settings
from suffrage.server.store.site_origins import origins_of
from suffrage.server.web.organise.desk import Desk
from suffrage.server.web.organise.forms import Sent, at_field

FRAME_HEIGHT = 640


def embedding_view(desk: Desk) -> Response:
    """Show the page."""
    start = desk.address
    frame = (
        f'<iframe src="{start}/embed" title="{escape(desk.about.text(desk.about.title, "")[0])}" '
        f'width="100%" height="{FRAME_HEIGHT}" loading="lazy"></iframe>'
    )
    values = {
        "stored": "\n".join(desk.about.settings.embedded_by),
        "hint": desk._("One per line, such as https://www.example.org. Leave it empty for none."),
        "frame": frame,
        "addresses": [
            (f"{start}/results.csv", desk._("The results as a table (CSV)")),
            (f"{start}/results.json", desk._("The results for programs (JSON)")),
            (f"{start}/feed.atom", desk._("News for feed readers (Atom)")),
        ],
        "may": desk.may("manage"),
    }
    return desk.page("settings_embedding.html", "settings", values)


def save_embedding(desk: Desk, sent: Sent) -> str:
    """Store the sites that were typed. Raises MistakesError where one is none."""
    with at_field("sites"):
        origins = origins_of(sent.get("sites"))
    set_settings(desk.store, desk.id, {"embedded_by": origins}, desk.member.id)
    return "done=settings"
