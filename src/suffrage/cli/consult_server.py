"""`suffrage consult` with a store: make a consultation, serve it, and move it in and out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import suffrage
from suffrage.cli.consult_staff import named_consultation
from suffrage.cli.options import ColumnNames, VerifiedOnly, VoteValues, say
from suffrage.errors import InputError
from suffrage.plurals import plural

if TYPE_CHECKING:
    import socket

    from suffrage.consult.people import Consent
    from suffrage.server.store.database import Store
    from suffrage.server.web.server_settings import ServerSettings

StoreAddress = Annotated[
    str, typer.Argument(help="The store: a folder (SQLite) or a postgresql:// address.")
]
ConsultationName = Annotated[str, typer.Argument(help="The consultation's name in addresses.")]


def new_command(
    where: StoreAddress,
    slug: Annotated[str, typer.Option(help="Its name in addresses, such as water-2026.")],
    title: Annotated[str, typer.Option(help="What people see first.")],
    question: Annotated[str, typer.Option(help="The question, in one sentence.")],
    languages: Annotated[
        str,
        typer.Option(help="The pages' languages, separated by commas, the texts' language first."),
    ] = "en",
    settings: Annotated[
        Path | None,
        typer.Option(help="A YAML file that says how it is run (docs/consultation.md)."),
    ] = None,
    statements: Annotated[
        Path | None,
        typer.Option(
            help="Your statements: a text file with one a line, a .csv file with a column text, or "
            "proposals of Decidim or CONSUL as .csv or .json."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="The column of --statements, if it has another name: text=NAME."),
    ] = None,
    open_to_all: Annotated[
        bool, typer.Option("--open-to-all", help="Let people take part without an invitation.")
    ] = False,
    organiser: Annotated[
        str, typer.Option(help="Who asks: people read it before they consent.")
    ] = "",
    contact: Annotated[
        str, typer.Option(help="Whom people can ask, such as an e-mail address.")
    ] = "",
    start: Annotated[bool, typer.Option("--start", help="Open it at once.")] = False,
) -> None:
    """Make a consultation, and the store if there is none.

    Example: `suffrage consult new water --slug water-2026 --title "Water" --question "How should
    assistants speak of water?" --statements seeds.txt --organiser "The council" --contact
    council@example.org --open-to-all --start`
    """
    _need_extra()
    from suffrage import settings as reading
    from suffrage.consult.sources.csv_tables import named_pairs
    from suffrage.consult.sources.proposals import read_seed_statements
    from suffrage.server.store import consultations
    from suffrage.server.store.consultations import ConsultationSettings
    from suffrage.server.store.statements import add_seeds

    content = reading.read_yaml(settings) if settings else {}
    codes = [code.strip() for code in languages.split(",") if code.strip()]
    content.setdefault("languages", codes)
    if open_to_all:
        content["open_to_all"] = True
    for name, value in (("organiser", organiser), ("contact", contact)):
        if value:
            content[name] = value
    wanted = reading.validated(ConsultationSettings, content, str(settings or "options"))
    if start and not consultations.says_who_asks(wanted):
        raise InputError(
            "--start needs the organiser and a contact, which people read before they consent; "
            "give --organiser and --contact, or set both in the file of --settings."
        )
    first = wanted.languages[0]
    column = named_pairs("--columns", columns, ("text",)).get("text")
    seeds = read_seed_statements(statements, wanted.languages, column) if statements else []
    store = open_for_command(where, create=True)
    what = consultations.create_consultation(store, slug, {first: title}, {first: question}, wanted)
    if seeds:
        add_seeds(store, what.id, seeds, "command line")
    if start:
        consultations.set_phase(store, what.id, "open", "command line")
    store.close()
    say(
        f"Consultation  {slug}, {'open' if start else 'in draft'}, "
        f"{plural(len(seeds), 'statement')}"
    )
    say(f"Next          suffrage consult serve {shlex.quote(_shown(where))}")


def phase_command(
    where: StoreAddress,
    slug: ConsultationName,
    to: Annotated[str, typer.Argument(help="draft, open, closed or archived.")],
) -> None:
    """Open a consultation, or close it.

    Example: `suffrage consult phase water water-2026 open`
    """
    _need_extra()
    from typing import cast

    from suffrage.server.store import consultations

    store = open_for_command(where)
    what = named_consultation(store, slug)
    if to == "open" and not consultations.says_who_asks(what.settings):
        raise InputError(
            f"{slug}: people read who asks them before they consent; set the organiser and a "
            "contact first, on the organisers' pages "
            f"(suffrage consult serve {shlex.quote(_shown(where))})."
        )
    consultations.set_phase(store, what.id, cast("consultations.Phase", to), "command line")
    store.close()
    say(f"Consultation  {slug}, {to}")


def invite_command(
    where: StoreAddress,
    slug: ConsultationName,
    out: Annotated[
        Path, typer.Option(help="The CSV file to write, with one link a person.", metavar="FILE")
    ],
    count: Annotated[int, typer.Option(help="How many people.", min=1, max=100_000)] = 100,
    stratum: Annotated[str, typer.Option(help="A label for the people who get them.")] = "",
    base_url: Annotated[
        str, typer.Option(help="The address where people will find the server.")
    ] = "http://127.0.0.1:8000",
    days: Annotated[int | None, typer.Option(help="How many days they are valid.", min=1)] = None,
) -> None:
    """Make single-use invitations. The store keeps no token, so the file is the only copy.

    Example: `suffrage consult invite water water-2026 --out north.csv --count 200 --stratum north`
    """
    _need_extra()
    import csv
    import io

    from suffrage import storage
    from suffrage.server.store import invitations
    from suffrage.server.store.database import DAY, now

    if out.exists():
        raise InputError(
            f"{out}: is there already, and its invitations would be lost; name a new file."
        )
    store = open_for_command(where)
    what = named_consultation(store, slug)
    expires = None if days is None else now() + days * DAY
    # Its place is known to be writable before there are invitations that only this file has.
    with storage.atomic_path(out, private=True) as draft:
        tokens = invitations.create_invitations(
            store, what.id, count, "command line", stratum, expires
        )
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["stratum", "link"])
        links = [f"{base_url.rstrip('/')}/c/{slug}/join?t={token}" for token in tokens]
        rows.writerows([stratum, link] for link in links)
        draft.write_text(text.getvalue(), encoding="utf-8", newline="\n")
    store.close()
    say(f"Invitations   {count} in {out}")


# What `serve` may be told.
ServedAs = Annotated[
    str | None,
    typer.Option(help="The address as people see it, such as https://consult.example.org."),
]
Proxies = Annotated[
    str | None,
    typer.Option(help="Addresses of proxies that are trusted to name the caller."),
]
MoreHosts = Annotated[
    str | None,
    typer.Option(
        help="Further names that the server answers to, separated by commas, such as those by "
        "which health checks come. With --base-url all others are refused."
    ),
]
LimitsFile = Annotated[
    Path | None,
    typer.Option(
        help="A YAML file with rate limits, such as for a school whose people all come from "
        "one address (docs/consultation-security.md, Rate limits)."
    ),
]
ReleasesFolder = Annotated[
    Path | None,
    typer.Option(
        help="The folder for what organisers release on their pages. Default: next to a SQLite "
        "store. With PostgreSQL the pages release nothing until you name a folder."
    ),
]
MailServer = Annotated[
    str | None,
    typer.Option(
        help="The mail server for invitations, such as smtp+starttls://user@mail.example.org. "
        "Its password is read from SUFFRAGE_SMTP_PASSWORD."
    ),
]
AnswersFrom = Annotated[
    str | None,
    typer.Option(
        help="The OpenAI-compatible address of a model that writes answers to compare, such as "
        "http://127.0.0.1:8080/v1."
    ),
]
AnswersModel = Annotated[str | None, typer.Option(help="The model's name at that address.")]
AnswersKey = Annotated[
    str | None,
    typer.Option(help="The name of the environment variable that holds the key for it."),
]
MailFrom = Annotated[
    str | None,
    typer.Option(help='Who sends mails, such as "The council <consult@example.org>".'),
]


def serve_command(
    where: StoreAddress,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port.", min=0, max=65535)] = 8000,
    base_url: ServedAs = None,
    proxy: Proxies = None,
    hosts: MoreHosts = None,
    limits: LimitsFile = None,
    results: Annotated[
        bool, typer.Option(help="Keep results up to date in a second process.")
    ] = True,
    workers: Annotated[
        int, typer.Option(help="How many processes answer; more than one needs PostgreSQL.", min=1)
    ] = 1,
    releases: ReleasesFolder = None,
    smtp: MailServer = None,
    answers_from: AnswersFrom = None,
    answers_model: AnswersModel = None,
    answers_key: AnswersKey = None,
    mail_from: MailFrom = None,
) -> None:
    """Serve every consultation of a store. Prints the organiser's first sign-in, once.

    Example: `suffrage consult serve water`
    """
    _need_extra()
    from suffrage.server.answer_model import answer_model
    from suffrage.server.listening import address_of, open_port
    from suffrage.server.mail import mail_settings
    from suffrage.server.web.server_settings import DEFAULT_LIMITS, ServerSettings, read_limits

    # Before anything is made or shown once.
    with open_port(host, port) as listening:
        settings = ServerSettings(
            where,
            base_url=(base_url or address_of(listening)).rstrip("/"),
            results=results,
            releases=releases,
            hosts=_hosts(base_url, host, hosts),
            limits=read_limits(limits) if limits else DEFAULT_LIMITS,
            mail=mail_settings(smtp, mail_from),
            model=answer_model(answers_from, answers_model, answers_key),
        )
        if workers > 1 and "://" not in where:
            raise InputError(
                "--workers is for a store on PostgreSQL; SQLite has one writer at a time, and a "
                "second process would only wait for it."
            )
        _serve(settings, listening, proxy, workers)


def _serve(
    settings: ServerSettings, listening: socket.socket, proxy: str | None = None, workers: int = 1
) -> None:
    """Say where everything is, the first sign-in too, and answer until told to end."""
    from suffrage.server.store import consultations
    from suffrage.server.store.database import open_store
    from suffrage.server.web import serving
    from suffrage.server.web.app import create_app
    from suffrage.server.web.workers import run_workers

    app = create_app(settings) if workers == 1 else None
    store = app.state.store if app else open_store(settings.store)
    serving.start_logging()
    for what in consultations.list_consultations(store):
        draft = ": people see it once you open it on the organisers' pages"
        phase = what.phase + (draft if what.phase == "draft" else "")
        say(f"Consultation  {settings.base_url}/c/{what.slug} ({phase})")
    say(f"Organisers    {settings.base_url}/admin")
    first = _first_member(store)
    if first:
        say(f"First sign-in  {first[0]}   password: {first[1]}   (shown only now)")
    if app is not None:
        serving.run_server(app, listening, proxy)
        return
    store.close()
    run_workers(settings, listening, proxy, workers)


def _hosts(base_url: str | None, host: str, more: str | None) -> tuple[str, ...]:
    """The names that the server answers to; none, and so all, where nothing says how it is named.

    Its own addresses are among them, by which health checks come.
    """
    from urllib.parse import urlsplit

    if base_url is None and more is None:
        return ()
    named = [urlsplit(base_url or "").hostname or "", *(more or "").split(",")]
    known = {name.strip() for name in (*named, host, "localhost", "127.0.0.1")}
    return tuple(sorted(known - {"", "0.0.0.0", "::"}))


def export_command(
    where: StoreAddress,
    slug: ConsultationName,
    out: Annotated[
        Path, typer.Option(help="The folder to write, a new or an empty one.", metavar="FOLDER")
    ],
    kind: Annotated[
        str, typer.Option("--format", help="consultation (all tables) or polis (CSV).")
    ] = "consultation",
    base_url: Annotated[
        str | None,
        typer.Option(help="Where people find the server, for the url in summary.csv of Polis."),
    ] = None,
    verified_only: VerifiedOnly = False,
) -> None:
    """Write what a consultation collected into a folder. It is not anonymised: see `release`.

    Example: `suffrage consult export water water-2026 --out water-tables`
    Example: `suffrage consult export water water-2026 --out water-polis --format polis`
    """
    _need_extra()
    from suffrage import storage
    from suffrage.consult.consultation import write_consultation
    from suffrage.consult.people import only_verified
    from suffrage.consult.polis.write_files import write_polis
    from suffrage.server.consultation_results import with_opinion_groups
    from suffrage.server.store import audit
    from suffrage.server.store.contents import to_consultation
    from suffrage.server.store.polis_times import to_polis

    if kind not in ("consultation", "polis"):
        raise InputError(f'--format is "{kind}"; it must be consultation or polis.')
    storage.check_free_for_writing(out)
    store = open_for_command(where)
    chain = named_consultation(store, slug).id
    content = to_consultation(store, slug)
    content = only_verified(content) if verified_only else content
    with store.write() as c:
        audit.append_entry(c, chain, "command line", "export", kind, {"hash": content.content_hash})
    url = f"{base_url.rstrip('/')}/c/{slug}" if base_url else ""
    conversation = to_polis(store, slug, content, url) if kind == "polis" else None
    store.close()
    if conversation is not None:
        write_polis(with_opinion_groups(conversation, content), out)
    else:
        write_consultation(content, out)
    say(
        f"{out}  {plural(content.participants.height, 'participant')}, "
        f"{plural(content.votes.height, 'vote')}, "
        f"{content.comparisons.height} comparisons, {content.reactions.height} reactions"
    )


def import_command(
    where: StoreAddress,
    source: Annotated[
        Path,
        typer.Argument(
            help="What `consult export` wrote, a folder of Polis files or answers of its API, the "
            "votes of a wiki survey, or a table of votes (with --columns)."
        ),
    ],
    slug: Annotated[
        str | None,
        typer.Option(help="The consultation's name in the store; needed for foreign files."),
    ] = None,
    language: Annotated[
        str, typer.Option(help="The language of the statements in foreign files.")
    ] = "en",
    prefix: Annotated[
        str | None,
        typer.Option(help="The prefix of the export's files, for a folder with several exports."),
    ] = None,
    agree: Annotated[
        int | None, typer.Option(help="The vote that means agree in Polis files, 1 or -1.")
    ] = None,
    consent: Annotated[
        str | None,
        typer.Option(
            help="What everybody in the files is known to have consented to: votes, texts, "
            "training, separated by commas. Default: nothing, because the files do not say."
        ),
    ] = None,
    columns: ColumnNames = None,
    values: VoteValues = None,
    question: Annotated[
        str | None,
        typer.Option(help="What was asked, if the files do not say it (a wiki survey)."),
    ] = None,
) -> None:
    """Put a consultation into a store, as a new and closed one.

    Example: `suffrage consult import water polis-export --slug uberx`
    Example: `suffrage consult import water ccai --slug ccai --prefix clean_ --consent votes`
    Example: `suffrage consult import water votes.csv --slug bikes --columns
    participant=user,statement=item,vote=answer --values agree=yes,disagree=no,pass=skip`
    """
    _need_extra()
    _check_agree(agree)
    from dataclasses import replace

    from suffrage.consult.consultation import MANIFEST
    from suffrage.consult.sources.foreign_files import FileWording, read_foreign_files
    from suffrage.server.store.contents import from_consultation

    consents = _consents(consent)
    read, ours = None, (source / MANIFEST).exists()
    if ours:
        if consents:
            raise InputError(
                f"--consent is for files that do not say it; {source} has each person's own."
            )
        content = suffrage.read_consultation(source)
        content = replace(content, slug=slug) if slug else content
    elif slug is None:
        raise InputError("Files of other platforms have no slug; name one with --slug.")
    else:
        wording = FileWording(prefix, agree, columns, values, question, language)
        content, read = read_foreign_files(source, slug, wording, consents)
    store = open_for_command(where, create=True)
    from_consultation(store, content, stated=consents, read_from=read)
    store.close()
    counts = [
        plural(content.statements.height, "statement"),
        plural(content.participants.height, "participant"),
        plural(content.votes.height, "vote"),
    ]
    if content.comparisons.height:
        counts.append(plural(content.comparisons.height, "comparison"))
    say(f"Consultation  {content.slug}, closed, {', '.join(counts)}")
    if not ours:
        known = f"stated for everybody: {', '.join(consents)}" if consents else "unknown"
        say(f"Consent       {known}; what is unknown is neither published nor trained on")


def _consents(listed: str | None) -> tuple[Consent, ...]:
    from suffrage.cli.options import comma_separated
    from suffrage.consult.people import CONSENTS

    names = comma_separated(listed) if listed else []
    for name in names:
        if name not in CONSENTS:
            raise InputError(f'--consent: "{name}" is none of {", ".join(CONSENTS)}.')
    return tuple(each for each in CONSENTS if each in names)


def _check_agree(agree: int | None) -> None:
    if agree not in (None, 1, -1):
        raise InputError(f"--agree is {agree}; it must be 1 or -1.")


def demo_command(
    polis: Annotated[
        Path | None, typer.Argument(help="The folder of a Polis export; default: made-up people.")
    ] = None,
    people: Annotated[int, typer.Option(help="How many made-up people.", min=20)] = 240,
    seed: Annotated[int, typer.Option(help="The seed of the made-up people.", min=0)] = 0,
    prefix: Annotated[
        str | None,
        typer.Option(help="The prefix of the export's files, for a folder with several exports."),
    ] = None,
    agree: Annotated[
        int | None, typer.Option(help="The vote that means agree in it, 1 or -1.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(help="A new folder to keep it in; default: it is deleted at the end."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port.", min=0, max=65535)] = 8000,
    look: Annotated[
        bool, typer.Option("--look", help="Show what is found in it, and do not serve it.")
    ] = False,
) -> None:
    """Open a consultation to try out, filled from a Polis export or with made-up people.

    Shows how well the groups found agree with the known ones. Anybody can take part in it, so do
    not make it public.

    Example: `suffrage consult demo`, `suffrage consult demo polis-export --port 9000`
    """
    import contextlib
    import tempfile

    from suffrage.server import demo as demos
    from suffrage.server.listening import address_of, open_port

    _check_agree(agree)
    if store is not None and store.exists():
        raise InputError(f"{store} exists; give the name of a folder that is not there yet.")
    if not look or store:
        _need_extra()
    with contextlib.ExitStack() as held:
        # Before the votes are drawn, which takes a while.
        listening = None if look else held.enter_context(open_port(host, port))
        made = (
            demos.polis_demo(polis, prefix, agree) if polis else demos.simulated_demo(people, seed)
        )
        for line in demos.demo_lines(made):
            say(line)
        passing = held.enter_context(tempfile.TemporaryDirectory(prefix="suffrage-demo-"))
        where = str(store or Path(passing) / "store")
        if store or not look:
            demos.open_demo(made, where)
        if listening:
            from suffrage.server.web.server_settings import ServerSettings

            settings = ServerSettings(where, base_url=address_of(listening), results=True)
            _serve(settings, listening)


def _need_extra() -> None:
    from suffrage.errors import require_installed

    require_installed("fastapi", "consult", "A consultation's server")


def open_for_command(where: str, create: bool = False) -> Store:
    """Open a store, or say what is not installed."""
    from suffrage.errors import require_installed

    require_installed("sqlalchemy", "consult", "A consultation's store")
    from suffrage.server.store.database import open_store

    return open_store(where, create)


def _shown(where: str) -> str:
    """Return the store's address without its password."""
    if "://" not in where:
        return where
    from sqlalchemy import make_url

    return make_url(where).render_as_string(hide_password=True)


def _first_member(store: Store) -> tuple[str, str] | None:
    """Make a first member of staff who owns every consultation that has no staff.

    Nobody can guess the address, so nobody can try passwords for it. Returns the address and the
    password, which the member must change, or None where there is a member already.
    """
    from suffrage.server.store import consultations, staff
    from suffrage.server.store.secret_keys import new_code

    everything = consultations.list_consultations(store)
    without = [what for what in everything if not staff.list_members(store, what.id)]
    members = [member for member in staff.all_members(store) if not member.disabled]
    owners = [m for m in members if "owner" in staff.roles_of(store, m.id).values()]
    password = None
    if members:
        member = (owners or members)[0]
    else:
        password = new_code()
        email = f"organiser-{new_code()[:9].lower()}@localhost"
        member = staff.add_member(store, email, password, must_change=True)
    for what in without:
        staff.set_role(store, what.id, member.id, "owner", "command line")
    return (member.email, password) if password else None
