"""`suffrage consult` without a server: read, release and train on what a consultation collected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import suffrage
from suffrage.cli.options import (
    AsJson,
    ColumnNames,
    StudyPath,
    VerifiedOnly,
    VoteValues,
    comma_separated,
    print_json,
    print_rich,
    say,
)
from suffrage.errors import InputError
from suffrage.plurals import by_count

if TYPE_CHECKING:
    from suffrage.consult.consultation import Consultation


def groups_command(
    source: Annotated[
        Path,
        typer.Argument(
            help="What `suffrage consult export` wrote, the folder of a Polis export, or a table "
            "of votes."
        ),
    ],
    prefix: Annotated[
        str | None,
        typer.Option(help="The prefix of the file names, for a folder with several exports."),
    ] = None,
    agree: Annotated[
        int | None,
        typer.Option(help="The vote that means agree, 1 or -1; default: found from the counts."),
    ] = None,
    groups: Annotated[
        int | None,
        typer.Option(help="How many groups; default: chosen by stability and silhouette."),
    ] = None,
    moderated: Annotated[
        str,
        typer.Option(help="What to do with statements moderated out: drop, or zero as Polis does."),
    ] = "drop",
    strict: Annotated[
        bool, typer.Option("--strict", help="Leave out statements that nobody has moderated, too.")
    ] = False,
    resamples: Annotated[int, typer.Option(help="How many resamples measure stability.")] = 50,
    seed: Annotated[int, typer.Option(help="The seed of every random draw.", min=0)] = 0,
    people: Annotated[
        Path | None,
        typer.Option(help="A CSV file with participant and demographics, for --margins."),
    ] = None,
    margins: Annotated[
        Path | None,
        typer.Option(help="A YAML file with the population's shares, as under a study's weights."),
    ] = None,
    columns: ColumnNames = None,
    values: VoteValues = None,
    as_json: AsJson = False,
) -> None:
    """Find opinion groups in votes: what sets each apart, what all agree on, how stable they are.

    Example: `suffrage consult groups water-tables`
    Example: `suffrage consult groups polis-export --moderated zero --groups 2`
    Example: `suffrage consult groups votes.csv --columns participant=user,statement=item`
    """
    from suffrage.consult.sources.foreign_files import FileWording, read_conversation
    from suffrage.report.terminal_pages import opinions

    if moderated not in ("drop", "zero"):
        raise InputError(f'--moderated is "{moderated}"; it must be drop or zero.')
    if agree not in (None, 1, -1):
        raise InputError(f"--agree is {agree}; it must be 1 or -1.")
    wording = FileWording(prefix, agree, columns, values)
    found = suffrage.find_opinion_groups(
        _votes(source, wording != FileWording()) or read_conversation(source, wording),
        groups,
        "zero" if moderated == "zero" else "drop",
        strict,
        resamples,
        seed,
        people,
        margins,
    )
    if as_json:
        print_json(opinions.analysis_json(found))
        return
    print_rich(opinions.analysis_text(found))


def _votes(source: Path, is_worded: bool) -> suffrage.Consultation | None:
    """Our own export as it was written; None where the files are somebody else's.

    is_worded: whether something is said of files that somebody else wrote.
    """
    from suffrage.consult.consultation import MANIFEST

    if (source / "consultation.db").is_file():
        raise InputError(
            f"{source} is a consultation's store; write its tables with `suffrage consult export "
            f"{source} SLUG --out FOLDER`, and name that folder."
        )
    if not (source / MANIFEST).is_file():
        return None
    if is_worded:
        raise InputError(
            f"{source}: --prefix, --agree, --columns and --values are for the files of other "
            "platforms; this is an export of `suffrage consult`."
        )
    return suffrage.read_consultation(source)


def answers_command(
    study: StudyPath,
    prompts: Annotated[
        Path,
        typer.Option(help='A JSONL file of {"prompt": ...}, with language and topic if you like.'),
    ],
    out: Annotated[Path, typer.Option(help="The JSONL file to write.", metavar="FILE")],
    methods: Annotated[
        str | None,
        typer.Option(help="Methods of the study, separated by commas; default: all finished ones."),
    ] = None,
    count: Annotated[
        int, typer.Option(help="How many answers each method writes in each way.")
    ] = 4,
    how: Annotated[
        str, typer.Option(help="sampled (one at a time), diverse (several at once) or both.")
    ] = "both",
    longest: Annotated[int, typer.Option(help="The most tokens an answer may have.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Let a study's checkpoints answer open prompts, for people to judge.

    Answers that are nearly the same are dropped and counted. Each line of the file says which
    checkpoint wrote the answer, and how.

    Example: `suffrage consult answers study.yaml --prompts prompts.jsonl --out answers.jsonl`
    """
    from typing import cast

    from suffrage.study.commands.write_candidates import (
        CandidateSettings,
        How,
        write_study_candidates,
    )

    settings = CandidateSettings(count=count, how=cast(How, how), longest=longest)
    names = comma_separated(methods) if methods else None
    found = write_study_candidates(
        suffrage.read_study(study), prompts, out, names, settings, as_json
    )
    if as_json:
        print_json(found)
        return
    say(
        f"{found['kept']} answers kept of {found['asked']} asked for: {found['nearly_the_same']} "
        f"nearly the same as another, {found['empty']} empty, {found['missing']} not given."
    )
    for way, row in found["by_way"].items():
        say(f"  {way:<8} {row['kept']:>4} of {row['written']} kept")
    say(f"Written {out}, and what was dropped in {out}.about.json")


Margins = Annotated[
    Path | None,
    typer.Option(help="A YAML file with the population's shares, as under a study's weights."),
]
ReadAsPopulation = Annotated[
    bool,
    typer.Option(
        "--population",
        help="Weight participants to the population, by margins or by the weights they carry.",
    ),
]


def release_command(
    folder: Annotated[Path, typer.Argument(help="A consultation, as `consult export` writes it.")],
    out: Annotated[
        Path, typer.Option(help="The folder of the release; it must not exist.", metavar="FOLDER")
    ],
    private: Annotated[
        Path | None,
        typer.Option(
            help="The private file, kept from release to release; default: next to FOLDER."
        ),
    ] = None,
    with_settings: Annotated[
        Path | None,
        typer.Option(
            "--settings", help="A YAML file with licence, crossed tables and joined rows."
        ),
    ] = None,
    verified_only: VerifiedOnly = False,
    as_json: AsJson = False,
) -> None:
    """Make a public dataset of a consultation: safe tables, a card, checksums, metadata.

    It has the rows of those who consented, under new ids. Who they are is published only as counts,
    suppressed and rounded.

    Example: `suffrage consult release town --out town-release-1 --settings release.yaml`
    """
    from datetime import UTC, datetime

    from suffrage.consult.release.release import make_release
    from suffrage.consult.release.release_settings import read_release_settings

    private = private or folder.parent / f"{folder.name}-private.json"
    made = make_release(
        _read(folder, verified_only),
        out,
        private,
        read_release_settings(with_settings) if with_settings else None,
        datetime.now(UTC).date().isoformat(),
    )
    if as_json:
        print_json(made.manifest)
        return
    privacy = made.manifest["privacy"]
    for name, rows in made.manifest["rows"].items():
        say(f"{name:<13} {rows:>9,} rows")
    say(f"{privacy['cells_suppressed']} of {privacy['cells']} cells of counts suppressed.")
    for test in privacy["re_identification"]:
        known = by_count(test["known"], "known vote singles", "known votes single")
        say(f"{test['known']} {known} out {test['unique']:.0%} of people.")
    say(f"Release  {out}\nPrivate  {private} (keep it, and keep it secret)")


def report_consultation_command(
    folder: Annotated[Path, typer.Argument(help="A consultation, as `consult export` writes it.")],
    out: Annotated[Path, typer.Option(help="The HTML file to write.", metavar="FILE")],
    resamples: Annotated[int, typer.Option(help="How many resamples measure stability.")] = 50,
) -> None:
    """Write a report of a consultation: two pages for a board, then every statement, in one file.

    It opens in any browser without a server, and prints to PDF. It never shows how only a few
    people voted.

    Example: `suffrage consult report town --out town-report.html`
    """
    from suffrage.report.consultation_report import write_consultation_report

    write_consultation_report(suffrage.read_consultation(folder), out, resamples)
    say(f"Report  {out}")


def principles_command(
    folder: Annotated[Path, typer.Argument(help="A consultation, as `consult export` writes it.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write constitution.yaml and its trace to this new or empty folder.",
            metavar="FOLDER",
        ),
    ] = None,
    least_share: Annotated[
        float, typer.Option(help="The least share that must agree in every group.", min=0, max=1)
    ] = 0.5,
    least_voters: Annotated[
        int, typer.Option(help="How many people of every group must have voted on it.", min=1)
    ] = 10,
    population: ReadAsPopulation = False,
    margins: Margins = None,
    groups: Annotated[
        int | None, typer.Option(help="How many groups; default: chosen by stability.")
    ] = None,
    resamples: Annotated[int, typer.Option(help="How many resamples measure stability.")] = 50,
    seed: Annotated[int, typer.Option(help="The seed of every random draw.", min=0)] = 0,
    merges: Annotated[
        Path | None,
        typer.Option(help="A CSV file of statements merged by hand: statement, same_as, why."),
    ] = None,
    everyone: Annotated[
        bool,
        typer.Option(
            "--everyone",
            help="Use everybody, whatever they consented to: to read, not to train on.",
        ),
    ] = False,
    verified_only: VerifiedOnly = False,
    as_json: AsJson = False,
) -> None:
    """Find the principles that every opinion group supports, traced to statements and votes.

    Example: `suffrage consult principles town --out town-principles`
    """
    from suffrage import storage
    from suffrage.consult.groups import analysis
    from suffrage.consult.groups.opinion_groups import GroupSettings
    from suffrage.consult.merged_statements import read_merges
    from suffrage.consult.principles import PrincipleSettings, find_principles, write_principles
    from suffrage.report.terminal_pages.principles import principles_text

    if out is not None:
        storage.check_free_for_writing(out)
    found = find_principles(
        _read(folder, verified_only),
        PrincipleSettings(
            least_share=least_share,
            least_voters=least_voters,
            merges=read_merges(merges) if merges else (),
            read_as="population" if population else "sample",
            margins=analysis.read_margins(margins) if margins else None,
            groups=GroupSettings(groups=groups, seed=seed),
            resamples=resamples,
            everyone=everyone,
        ),
    )
    if out is not None:
        write_principles(found, out)
    if as_json:
        print_json(found.trace())
        return
    print_rich(principles_text(found))
    if out is not None:
        say(f"For ccai  {out / 'constitution.yaml'}\nTrace     {out / 'principles.json'}")


def records_command(
    folder: Annotated[Path, typer.Argument(help="A consultation, as `consult export` writes it.")],
    out: Annotated[
        Path, typer.Option(help="The folder to write, a new or an empty one.", metavar="FOLDER")
    ],
    population: ReadAsPopulation = False,
    margins: Margins = None,
    verified_only: VerifiedOnly = False,
    as_json: AsJson = False,
) -> None:
    """Write every table, and DPO and KTO records with TRL's names: Parquet, JSON lines, CSV.

    For internal use: nothing here is anonymised. See `consult release`.

    Example: `suffrage consult records town --out town-records`
    """
    from suffrage.consult.groups import analysis
    from suffrage.consult.release.exports import write_records

    rows = write_records(
        _read(folder, verified_only),
        out,
        "population" if population else "sample",
        analysis.read_margins(margins) if margins else None,
    )
    if as_json:
        print_json(rows)
        return
    for name, count in rows.items():
        say(f"{name:<13} {count:>9,} rows")


def from_survey_command(
    study: StudyPath,
    out: Annotated[
        Path, typer.Option(help="The folder of the consultation to write.", metavar="FOLDER")
    ],
    participants: Annotated[
        int, typer.Option(help="How many respondents take part.", min=20)
    ] = 300,
    comparisons: Annotated[
        int, typer.Option(help="How many pairs each person compares.", min=1)
    ] = 10,
    seed: Annotated[
        int, typer.Option(help="The seed of who takes part and what they are asked.", min=0)
    ] = 0,
) -> None:
    """Make up a consultation among a survey's real respondents, to try the whole loop.

    What each person says follows from what they answered. A second file records who is who.

    Example: `suffrage consult from-survey examples/full_loop.yaml --out runs/simulated-public`
    """
    from suffrage import storage
    from suffrage.study.commands.simulated_public import (
        SimulatedPublicSettings,
        simulated_public,
        write_public,
    )
    from suffrage.study.schema import study_survey

    storage.check_free_for_writing(out)
    wanted = SimulatedPublicSettings(participants=participants, comparisons=comparisons)
    survey = study_survey(suffrage.read_study(study))
    found, truth = simulated_public(survey, wanted, seed)
    identities, links = write_public(found, truth, survey.codebook.items, out)
    say(f"Consultation  {out}\nWho is who    {identities}\nLinks         {links}")


def against_survey_command(
    study: StudyPath,
    links: Annotated[
        Path,
        typer.Argument(help="A CSV file with statement, item and options (codes joined by |)."),
    ],
    as_json: AsJson = False,
) -> None:
    """Show where a study's consultation and its survey say different things, by population.

    Example: `suffrage consult against-survey examples/full_loop.yaml links.csv`
    """
    from dataclasses import asdict

    from suffrage.report.terminal_pages.principles import disagreement_table
    from suffrage.study.commands.disagreements import study_disagreements

    found = [asdict(row) for row in study_disagreements(suffrage.read_study(study), links)]
    if as_json:
        print_json(found)
        return
    print_rich(disagreement_table(found))
    clear = sum(row["clear"] for row in found)
    say(f"{clear} of {len(found)} differ beyond chance (false discovery rate 5%).")


def _read(folder: Path, verified_only: bool) -> Consultation:
    from suffrage.consult.people import only_verified

    content = suffrage.read_consultation(folder)
    return only_verified(content) if verified_only else content
