"""Where staff make a new consultation, from a few questions or from files of another one."""

from __future__ import annotations

import io
import re
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import polars as pl
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from suffrage.consult.consultation import MANIFEST, read_consultation
from suffrage.consult.people import CONSENTS
from suffrage.consult.polis.conversation import consultation_of
from suffrage.consult.polis.read_files import read_polis
from suffrage.errors import InputError
from suffrage.server.store import consultations, staff, statements
from suffrage.server.store.consultations import ConsultationSettings, StoredConsultation
from suffrage.server.store.contents import from_consultation
from suffrage.server.store.database import NotFoundError
from suffrage.server.store.staff import Member
from suffrage.server.web import protection
from suffrage.server.web.languages import N_, SOURCE, languages
from suffrage.server.web.organise import intake
from suffrage.server.web.organise.desk import problems_of, sent_of
from suffrage.server.web.organise.forms import (
    Ask,
    FieldView,
    Problem,
    Sent,
    at_field,
    field_id,
    read_answers,
)
from suffrage.server.web.organise.words import Words
from suffrage.server.web.visit import (
    AMember,
    ForbiddenError,
    choose_language,
    member_of,
    render,
    staff_languages,
    store_of,
    with_visit,
)

ASKS = (
    Ask(
        "title",
        "sentence",
        N_("Title"),
        N_("A few words, such as: Our parks in 2030."),
        required=True,
    ),
    Ask(
        "question",
        "sentence",
        N_("Question"),
        N_("The one question that people answer with their votes."),
        required=True,
    ),
    Ask(
        "organiser",
        "line",
        N_("Who asks"),
        N_("Your organisation. Everyone sees it."),
        required=True,
    ),
    Ask(
        "contact",
        "line",
        N_("Contact"),
        N_("An email address or a phone number for questions."),
        required=True,
    ),
    Ask(
        "who",
        "choice",
        N_("Who may take part?"),
        options={
            "invited": N_("People I invite: each has a link of their own"),
            "everybody": N_("Anyone who has the address"),
        },
    ),
)
# Of the files of an import together, once unpacked.
MOST_UNPACKED = 500 * 1024 * 1024

router = APIRouter(prefix="/admin", include_in_schema=False)


@dataclass(frozen=True)
class _Filled:
    """A form's fields with what was typed into them."""

    sent: Sent | None
    problems: tuple[Problem, ...]

    def field(self, form: str, name: str, stored: object = "") -> FieldView:
        """A field with what was typed into it, or with what is proposed."""
        problem = next((p for p in self.problems if (p.form, p.name) == (form, name)), None)
        if self.sent is None:
            return FieldView(field_id(form, name), name, str(stored), problem)
        value, every = self.sent.get(name), tuple(self.sent.all(name))
        had_file = self.sent.file is not None
        return FieldView(field_id(form, name), name, value, problem, every, had_file)


def may_make(request: Request, member: Member) -> bool:
    """Whether somebody may make consultations: who owns one, and everybody where there is none."""
    store = store_of(request)
    owns = "owner" in staff.roles_of(store, member.id).values()
    return owns or not consultations.list_consultations(store)


@router.get("/new")
def new_page(request: Request, member: AMember) -> Response:
    """The questions."""
    _require_maker(request, member)
    return _page(request, "new.html")


@router.get("/import")
def import_page(request: Request, member: AMember) -> Response:
    """Where files are chosen."""
    _require_maker(request, member)
    return _page(request, "import.html")


@router.post("/new")
async def post_new(request: Request) -> Response:
    """Make a draft, and make its maker the owner."""
    return await _done(request, "new.html", _make, "created")


@router.post("/import")
async def post_import(request: Request) -> Response:
    """Read an archive, and make its importer the owner."""
    return await _done(request, "import.html", _import, "imported")


Make = Callable[[Request, Member, Sent], StoredConsultation]


async def _done(request: Request, template: str, make: Make, word: str) -> Response:
    form = await request.form(max_files=1, max_fields=protection.MOST_FIELDS)
    protection.refuse_nul(form)
    sent = await sent_of(form)
    return await run_in_threadpool(_made, request, template, sent, make, word)


def _made(request: Request, template: str, sent: Sent, make: Make, word: str) -> Response:
    state = request.app.state
    protection.check_form(request, sent.form, state.store.secrets, state.settings.base_url)
    member = member_of(request)
    _require_maker(request, member)
    try:
        made = make(request, member, sent)
    except NotFoundError:
        raise
    except InputError as error:
        problems = problems_of(error, "", choose_language(request, None))
        return _page(request, template, _Filled(sent, problems))
    staff.set_role(state.store, made.id, member.id, "owner", member.id)
    place = f"/admin/c/{made.id}/settings?done={word}"
    response: Response = with_visit(request, RedirectResponse(place, 303))
    return response


def _require_maker(request: Request, member: Member) -> None:
    if not may_make(request, member):
        raise ForbiddenError


def _make(request: Request, member: Member, sent: Sent) -> StoredConsultation:
    known = languages(request.app.state.settings.locales)
    language = sent.get("language") if sent.get("language") in known else SOURCE
    answers = read_answers(ASKS, sent, (language,))
    store = store_of(request)
    lines = [line.strip() for line in sent.get("lines").splitlines() if line.strip()]
    with at_field("lines"):
        seeds = intake.seeds_of_lines("\n".join(lines), language) if lines else []
    with at_field("slug"):
        slug = sent.get("slug").strip()
        _require_free(request, slug)
        made = consultations.create_consultation(
            store,
            slug or _free_slug(request, answers["title"]),
            {language: answers["title"]},
            {language: answers["question"]},
            ConsultationSettings(
                languages=(language,),
                open_to_all=answers["who"] == "everybody",
                organiser=answers["organiser"],
                contact=answers["contact"],
            ),
            member.id,
        )
    if seeds:
        statements.add_seeds(store, made.id, seeds, member.id)
    return made


def _require_free(request: Request, slug: str) -> None:
    """Refuse a name for addresses in the words of the page. "" is none."""
    if slug and not consultations.SLUG.fullmatch(slug):
        raise InputError(
            "write at most 64 small letters (a to z), digits and hyphens, such as parks-2030."
        )
    if slug in {what.slug for what in consultations.list_consultations(store_of(request))}:
        raise InputError("another consultation has this name in its address; choose another.")


def _free_slug(request: Request, title: str) -> str:
    """Return a name for addresses made from a title, that no other consultation has."""
    plain = unicodedata.normalize("NFKD", title.casefold()).encode("ascii", "ignore").decode()
    wanted = re.sub(r"[^a-z0-9]+", "-", plain)[:50].strip("-") or "consultation"
    taken = {what.slug for what in consultations.list_consultations(store_of(request))}
    slug, number = wanted, 2
    while slug in taken:
        slug, number = f"{wanted}-{number}", number + 1
    return slug


def _import(request: Request, member: Member, sent: Sent) -> StoredConsultation:
    store, slug = store_of(request), sent.get("slug").strip()
    with at_field("slug"):
        _require_free(request, slug)
    consents = tuple(each for each in CONSENTS if each in sent.all("consent"))
    with at_field("file"), tempfile.TemporaryDirectory(prefix="suffrage-import-") as passing:
        if not sent.file:
            raise InputError("choose a file first.")
        folder = _unpacked(sent.file, Path(passing))
        try:
            if (folder / MANIFEST).exists():
                content, read = read_consultation(folder), None
                content = replace(content, slug=slug or content.slug)
            else:
                read = read_polis(folder, None, _agree(sent))
                title = read.about.get("topic") or sent.file_name.removesuffix(".zip")
                name = slug or _free_slug(request, title)
                content = consultation_of(read, name, sent.get("language") or SOURCE, consents)
        except InputError as error:
            # Where the files are for a moment tells nobody anything.
            said = str(error).replace(f"{folder}/", "")
            raise InputError(said) from error
        except pl.exceptions.PolarsError as error:
            raise InputError("a table in the archive is not readable; export it again.") from error
    with at_field("slug"):
        _require_free(request, content.slug)
        stated = consents if read is not None else ()
        return from_consultation(store, content, member.id, stated, read)


def _agree(sent: Sent) -> int | None:
    return {"1": 1, "-1": -1}.get(sent.get("agree"))


def _unpacked(content: bytes, folder: Path) -> Path:
    """Unpack an archive into a folder, and return the folder in it that has the files.

    Raises InputError where it is no archive, has no table, or is larger than we can take.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir()]
            if sum(e.file_size for e in entries) > MOST_UNPACKED:
                raise InputError("the files are too large; import them on the command line.")
            for entry in entries:
                # Only the name: no entry can be written anywhere else.
                place = folder / PurePosixPath(entry.filename).name
                if place.name and not place.exists() and not place.name.startswith("."):
                    with archive.open(entry) as file:
                        place.write_bytes(file.read(MOST_UNPACKED))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise InputError("the file is not a zip archive; put the files into one.") from error
    return folder


def _page(request: Request, template: str, filled: _Filled | None = None) -> Response:
    language = choose_language(request, None)
    known = languages(request.app.state.settings.locales)
    filled = filled or _Filled(None, ())
    return render(
        request,
        f"admin/{template}",
        language,
        422 if filled.problems else 200,
        staff_languages(request),
        words=Words(language),
        filled=filled,
        asks=[
            replace(
                ask,
                label=language.translations.gettext(ask.label),
                hint=language.translations.gettext(ask.hint) if ask.hint else "",
                options={
                    value: language.translations.gettext(word)
                    for value, word in ask.options.items()
                },
            )
            for ask in ASKS
        ],
        known=[(one.code, one.name) for one in known.values()],
        member=member_of(request),
    )
