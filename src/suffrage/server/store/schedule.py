"""Opening and closing by date: what the organisers chose is done when its time comes."""

from __future__ import annotations

from suffrage.server.store.consultations import (
    Phase,
    StoredConsultation,
    list_consultations,
    says_who_asks,
    set_phase,
)
from suffrage.server.store.database import Store, now

ACTOR = "schedule"


def due_phase(what: StoredConsultation, at: int) -> Phase | None:
    """Return the phase that a consultation's dates ask for, None where it stays as it is.

    A draft opens by date once: one that was open and is a draft again waits for its organisers, and
    so does one that does not say who asks.

    Parameters
    ----------
    at : int
        The time, in milliseconds since 1970.
    """
    opens, closes = (
        None if date is None else date.timestamp() * 1000
        for date in (what.settings.opens, what.settings.closes)
    )
    if what.phase == "open" and closes is not None and closes <= at:
        return "closed"
    is_over = closes is not None and closes <= at
    if what.phase == "draft" and what.opened is None and opens is not None:
        return "open" if opens <= at and not is_over and says_who_asks(what.settings) else None
    return None


def keep_to_dates(store: Store, at: int | None = None) -> list[tuple[str, Phase]]:
    """Open and close what is due. Returns what changed, as (slug, phase)."""
    time = now() if at is None else at
    changed = []
    for what in list_consultations(store):
        wanted = due_phase(what, time)
        if wanted is not None:
            set_phase(store, what.id, wanted, ACTOR, only_from=what.phase)
            changed.append((what.slug, wanted))
    return changed
