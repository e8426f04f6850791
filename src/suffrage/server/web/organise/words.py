"""What the organisers' pages call things, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime

from suffrage.consult import quality
from suffrage.server.store.consultations import ConsultationSettings
from suffrage.server.texts import whole_number
from suffrage.server.web.languages import N_, SOURCE, Language

REASONS = {
    "duplicate": N_("Says the same as another"),
    "off_topic": N_("Off topic"),
    "unclear": N_("Not clear"),
    "several_ideas": N_("Several ideas in one"),
    "personal_details": N_("Personal details"),
    "abusive": N_("Abusive"),
    "spam": N_("Advertising or spam"),
    "unlawful": N_("Against the law"),
}
DECISIONS = {**REASONS, "ok": N_("No problem found"), "restored": N_("Put back")}
STATES = {
    "pending": N_("Waiting"),
    "flagged": N_("Held back"),
    "accepted": N_("Accepted"),
    "rejected": N_("Rejected"),
}
PHASES = {
    "draft": N_("Draft: only organisers can see it"),
    "open": N_("Open: people can take part"),
    "closed": N_("Closed: nobody can take part any more"),
    "archived": N_("Archived: nothing changes any more"),
}
PHASE = {
    "draft": N_("draft"),
    "open": N_("open"),
    "closed": N_("closed"),
    "archived": N_("archived"),
}
ROLES = {
    "owner": N_("owner"),
    "moderator": N_("moderator"),
    "analyst": N_("analyst"),
    "viewer": N_("viewer"),
}
VOTES = {1: N_("Agree"), 0: N_("Pass"), -1: N_("Disagree")}
WAYS = {
    "typed": N_("written by the organisers"),
    "sampled": N_("written on its own"),
    "diverse": N_("one of several written together"),
}
KINDS = {"vote": N_("Statements"), "comparison": N_("Pairs"), "reaction": N_("Answers")}
SIGNS = {
    quality.SPEED: N_("very fast"),
    quality.STRAIGHT: N_("the same vote on everything"),
    quality.INSTRUCTED: N_("missed a check question"),
    quality.REPEATS: N_("answered repeated pairs differently"),
    quality.SIDE: N_("always one side"),
}
# Kinds of personal details, as `suffrage.server.texts` names them.
DETAILS = {
    "email": N_("an email address"),
    "link": N_("a link"),
    "handle": N_("a user name"),
    "health number": N_("a health number"),
    "tax number": N_("a tax number"),
    "phone": N_("a phone number"),
    "long number": N_("a long number"),
    "address": N_("an address"),
    "name": N_("a name"),
}
SECTIONS = (
    ("overview", "", N_("Overview")),
    ("statements", "/statements", N_("Statements")),
    ("seeds", "/seeds", N_("Your statements")),
    ("answers", "/answers", N_("Answers")),
    ("invitations", "/invitations", N_("Invitations")),
    ("participants", "/participants", N_("Participants")),
    ("groups", "/groups", N_("Groups")),
    ("principles", "/principles", N_("Principles")),
    ("releases", "/releases", N_("Releases")),
    ("audit", "/audit", N_("Audit log")),
    ("settings", "/settings", N_("Settings")),
    ("staff", "/staff", N_("Staff")),
)


def zoned_day(moment: datetime, settings: ConsultationSettings, language: str) -> str:
    """Return a date with its time of day, as clocks of the consultation's place show it."""
    there = moment.astimezone(ZoneInfo(settings.time_zone))
    try:
        locale = Locale.parse(language)
    except (UnknownLocaleError, ValueError):
        locale = Locale.parse(SOURCE)
    place = settings.time_zone.rpartition("/")[2].replace("_", " ")
    return f"{format_datetime(there, 'd MMMM y, HH:mm', locale=locale)} ({place})"


class Words:
    """The tables above and the forms of figures, in one language."""

    def __init__(self, language: Language) -> None:
        self._ = language.translations.gettext
        self._ngettext = language.translations.ngettext
        try:
            self._locale = Locale.parse(language.code)
        except (UnknownLocaleError, ValueError):
            self._locale = Locale.parse(SOURCE)
        self.reasons = self._all(REASONS)
        self.decisions = self._all(DECISIONS)
        self.states = self._all(STATES)
        self.phases = self._all(PHASES)
        self.phase = self._all(PHASE)
        self.roles = self._all(ROLES)
        self.votes = {value: self._(text) for value, text in VOTES.items()}
        self.ways = self._all(WAYS)
        self.kinds = self._all(KINDS)
        self.signs = self._all(SIGNS)
        self.details = self._all(DETAILS)
        self.sections = [(name, path, self._(text)) for name, path, text in SECTIONS]

    def done(self, word: str, count: str) -> str:
        """Return the message after a form, by the word in the address, "" for unknown words.

        So no text from an address is ever shown.
        """
        _, ngettext = self._, self._ngettext
        n = whole_number(count, 999_999) or 0
        told = {
            "accepted": ngettext("%(num)s statement accepted.", "%(num)s statements accepted.", n),
            "rejected": ngettext("%(num)s statement rejected.", "%(num)s statements rejected.", n),
            "pending": ngettext(
                "%(num)s statement moved back to the queue.",
                "%(num)s statements moved back to the queue.",
                n,
            ),
            "flagged": ngettext("%(num)s statement held back.", "%(num)s statements held back.", n),
            "undone": ngettext("%(num)s decision undone.", "%(num)s decisions undone.", n),
            "seeds": ngettext("%(num)s statement added.", "%(num)s statements added.", n),
            "answers": ngettext("%(num)s answer added.", "%(num)s answers added.", n),
            "principles": ngettext("%(num)s principle added.", "%(num)s principles added.", n),
            "hidden": _("The answer is hidden."),
            "shown": _("The answer is shown again."),
            "excluded": _("This person is no longer counted. You can undo this."),
            "included": _("This person is counted again."),
            "phase": _("The status is changed."),
            "settings": _("The settings are saved."),
            "texts": _("Title and question are saved."),
            "logo": _("The logo is saved."),
            "no-logo": _("The logo is removed."),
            "invited": ngettext(
                "%(num)s invitation will be sent now.", "%(num)s invitations will be sent now.", n
            ),
            "reminded": ngettext(
                "%(num)s reminder will be sent now.", "%(num)s reminders will be sent now.", n
            ),
            "resent": _("The invitation will be sent again now."),
            "revoked": _("The invitation is revoked. Its link no longer works."),
            "created": _("Your draft is ready. Only you can see it."),
            "imported": _("The consultation is imported. It is closed."),
            "translated": ngettext(
                "%(num)s translation is saved.", "%(num)s translations are saved.", n
            ),
            "role": _("The role is changed."),
            "disabled": _("This person can no longer sign in. All their sessions have ended."),
            "enabled": _("This person can sign in again."),
            "principle": _("The principle is saved."),
            "removed": _("The principle is removed."),
            "again": _("The groups have been computed again."),
            "released": _("The release is made."),
            "predictions": _("The predictions are added."),
        }.get(word, "")
        return told % {"num": n} if "%(num)s" in told else told

    def moment(self, milliseconds: int | None) -> str:
        """A time as people write it, in UTC."""
        if milliseconds is None:
            return "–"
        at = datetime.fromtimestamp(milliseconds / 1000, UTC)
        return f"{format_datetime(at, 'd MMMM y, HH:mm', locale=self._locale)} UTC"

    def percent(self, share: float | None) -> str:
        """A share as a whole percentage."""
        return "–" if share is None else f"{100 * share:.0f}%"

    def number(self, value: float | None, digits: int = 2) -> str:
        """A figure with so many digits."""
        return "–" if value is None else f"{value:.{digits}f}"

    def between(self, low: float, high: float) -> str:
        """An interval of shares."""
        return self._("%(low)s to %(high)s") % {
            "low": self.percent(low),
            "high": self.percent(high),
        }

    def interval(self, share: Mapping[str, float | None]) -> str:
        """A share with its 95% interval."""
        agree, low, high = share["agree"], share["low"], share["high"]
        if agree is None or low is None or high is None:
            return self._("nobody voted")
        return f"{self.percent(agree)} ({self.between(low, high)})"

    def all_signs(self, flags: Sequence[str]) -> str:
        """Signs of inattention, one after another."""
        return ", ".join(self.signs.get(flag, flag) for flag in flags)

    def all_details(self, kinds: Sequence[str]) -> str:
        """Kinds of personal details, one after another."""
        return ", ".join(self.details.get(kind, kind) for kind in kinds)

    def _all(self, table: Mapping[str, str]) -> dict[str, str]:
        return {key: self._(text) for key, text in table.items()}
