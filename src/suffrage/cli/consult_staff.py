"""`suffrage consult staff`: who organises, in which role, and how they sign in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from suffrage.cli.options import say
from suffrage.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from suffrage.server.store.consultations import StoredConsultation
    from suffrage.server.store.database import Store
    from suffrage.server.store.staff import Member

COMMAND_LINE = "command line"

_Where = Annotated[
    str, typer.Argument(help="The store: a folder (SQLite) or a postgresql:// address.")
]
_Email = Annotated[str, typer.Argument(help="The address they sign in with.")]
_BaseUrl = Annotated[
    str, typer.Option(help="The address where people find the server, for the link.")
]
_LOCAL = "http://127.0.0.1:8000"


def list_command(where: _Where) -> None:
    """List everybody, with their roles.

    Example: `suffrage consult staff list water`
    """
    from suffrage.server.store import consultations, staff

    with opened_store(where) as store:
        slugs = {what.id: what.slug for what in consultations.list_consultations(store)}
        for member in staff.all_members(store):
            roles = staff.roles_of(store, member.id)
            listed = ", ".join(f"{role} of {slugs[id]}" for id, role in roles.items())
            notes = [listed or "no role"]
            if member.disabled:
                notes.append("can no longer sign in")
            if member.must_change:
                notes.append("must change the password")
            say(f"{member.email}  {'; '.join(notes)}")


def add_command(
    where: _Where,
    email: _Email,
    consultation: Annotated[str, typer.Option(help="The consultation they work for.")],
    role: Annotated[str, typer.Option(help="viewer, analyst, moderator or owner.")] = "viewer",
    name: Annotated[str, typer.Option(help="Their name, as colleagues see it.")] = "",
    base_url: _BaseUrl = _LOCAL,
) -> None:
    """Add somebody with a role, and print the link with which they set their password.

    Example: `suffrage consult staff add water ana@example.org --consultation water-2026 --role
    owner --base-url https://consult.example.org`
    """
    from typing import cast

    from suffrage.server.store import staff

    with opened_store(where) as store:
        what = named_consultation(store, consultation)
        staff.check_role(role)
        member = staff.add_member(store, email, None, COMMAND_LINE, name)
        staff.set_role(store, what.id, member.id, cast("staff.Role", role), COMMAND_LINE)
        _print_link(store, member, base_url)


def role_command(
    where: _Where,
    email: _Email,
    consultation: Annotated[str, typer.Argument(help="The consultation.")],
    role: Annotated[str, typer.Argument(help="viewer, analyst, moderator, owner or none.")],
) -> None:
    """Give somebody a role in a consultation, or take it away.

    Example: `suffrage consult staff role water ana@example.org water-2026 moderator`
    """
    from typing import cast

    from suffrage.server.store import staff

    with opened_store(where) as store:
        what = named_consultation(store, consultation)
        member = _member(store, email)
        given = None if role == "none" else cast("staff.Role", role)
        staff.set_role(store, what.id, member.id, given, COMMAND_LINE)
    say(f"{email}  {role} of {consultation}")


def link_command(where: _Where, email: _Email, base_url: _BaseUrl = _LOCAL) -> None:
    """Print a one-time link with which somebody sets a new password.

    The present password stays valid until then.

    Example: `suffrage consult staff link water ana@example.org --base-url
    https://consult.example.org`
    """
    with opened_store(where) as store:
        _print_link(store, _member(store, email), base_url)


def password_command(where: _Where, email: _Email) -> None:
    """Set somebody's password, which they must change when they next sign in.

    It is asked for and not shown. All their sessions end.

    Example: `suffrage consult staff password water ana@example.org`
    """
    from suffrage.server.store import staff

    with opened_store(where) as store:
        member = _member(store, email)
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        staff.set_password(store, member.id, password, COMMAND_LINE, must_change=True)
    say(f"{email}  must change this password when they next sign in")


def disable_command(where: _Where, email: _Email) -> None:
    """Stop somebody signing in, and end their sessions.

    Example: `suffrage consult staff disable water ana@example.org`
    """
    _set_disabled(where, email, True)
    say(f"{email}  can no longer sign in")


def enable_command(where: _Where, email: _Email) -> None:
    """Let somebody sign in again.

    Example: `suffrage consult staff enable water ana@example.org`
    """
    _set_disabled(where, email, False)
    say(f"{email}  can sign in again")


def address_command(
    where: _Where, email: _Email, to: Annotated[str, typer.Argument(help="The new address.")]
) -> None:
    """Change the address that somebody signs in with.

    Example: `suffrage consult staff address water organiser@localhost ana@example.org`
    """
    from suffrage.server.store import staff

    with opened_store(where) as store:
        staff.set_address(store, _member(store, email).id, to, COMMAND_LINE)
    say(f"{email}  signs in as {to} now")


def refusals_command(
    where: _Where,
    most: Annotated[int, typer.Option(help="How many to list at most.", min=1)] = 100,
) -> None:
    """List refused sign-ins of the last 30 days, the newest first.

    An address that nobody has is not kept, because people type passwords into that field.

    Example: `suffrage consult staff refusals water`
    """
    from datetime import UTC, datetime

    from suffrage.server.store.sign_in_tries import list_refusals

    with opened_store(where) as store:
        found = list_refusals(store, most=most)
    for one in found:
        at = datetime.fromtimestamp(one.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        browser = "  (a browser they have used before)" if one.known_browser else ""
        say(f"{at}  {one.network or '-'}  {one.email or 'unknown address'}{browser}")
    if not found:
        say("No sign-in was refused in the last 30 days.")


def named_consultation(store: Store, slug: str) -> StoredConsultation:
    """The consultation of a slug. Raises InputError naming those that there are."""
    from suffrage.server.store.consultations import find_consultation, list_consultations
    from suffrage.server.store.database import NotFoundError

    try:
        return find_consultation(store, slug)
    except NotFoundError as error:
        known = [what.slug for what in list_consultations(store)]
        there = f"the store has {', '.join(known)}" if known else "the store has none"
        raise InputError(
            f'there is no consultation "{slug}"; {there}.{did_you_mean(slug, known)}'
        ) from error


@contextmanager
def opened_store(where: str) -> Iterator[Store]:
    """A store that is there, closed at the end."""
    from suffrage.errors import require_installed

    require_installed("sqlalchemy", "consult", "A consultation's store")
    from suffrage.server.store.database import open_store

    store = open_store(where)
    try:
        yield store
    finally:
        store.close()


def _member(store: Store, email: str) -> Member:
    from suffrage.server.store import staff

    member = staff.member_of_email(store, email)
    if member is None:
        raise InputError(
            f"{email} is not a member of staff; `suffrage consult staff list` lists them."
        )
    return member


def _set_disabled(where: str, email: str, disabled: bool) -> None:
    from suffrage.server.store import staff

    with opened_store(where) as store:
        staff.disable_member(store, _member(store, email).id, COMMAND_LINE, disabled)


def _print_link(store: Store, member: Member, base_url: str) -> None:
    from suffrage.server.store.staff_links import LINK_HOURS, link_address, make_link

    token = make_link(store, member.id, COMMAND_LINE)
    say(f"Link  {link_address(base_url, token)}")
    say(f"      It sets the password of {member.email}, once, within {LINK_HOURS} hours.")
