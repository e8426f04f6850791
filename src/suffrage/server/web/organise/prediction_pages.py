"""The page on which organisers add predictions that were put on record before the round."""

from __future__ import annotations

from starlette.responses import Response

from suffrage.errors import InputError
from suffrage.server.predictions import add_predictions
from suffrage.server.store.stored_predictions import count_on_record, list_predictions
from suffrage.server.web.organise.desk import Desk
from suffrage.server.web.organise.forms import Sent, at_field


def predictions_view(desk: Desk) -> Response:
    """Show the page."""
    values = {
        "added": list_predictions(desk.store, desk.id),
        "recorded": count_on_record(desk.store, desk.id),
        "command": f"suffrage consult predict STORE {desk.about.slug} MODEL --out predictions.json",
        "may": desk.may("manage"),
    }
    return desk.page("settings_predictions.html", "settings", values)


def save_predictions(desk: Desk, sent: Sent) -> str:
    """Add the file that was chosen. Raises MistakesError where it cannot be added."""
    with at_field("file"):
        if not sent.file:
            raise InputError("Choose a file.")
        add_predictions(desk.store, desk.about, sent.file_text(), desk.member.id)
    return "done=predictions"
