"""`suffrage consult` before a round: how many people it needs, and how a model says they vote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suffrage.cli.consult_server import ConsultationName, StoreAddress, open_for_command
from suffrage.cli.consult_staff import named_consultation
from suffrage.cli.options import AsJson, comma_separated, print_json, print_rich, say
from suffrage.errors import InputError

PEOPLE = "10,25,50,100,200,400"


def consultation_plan_command(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="A consultation or Polis export whose people are simulated; default: the "
            "respondents of the bundled survey."
        ),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(help="The prefix of the file names, for a folder with several exports."),
    ] = None,
    subgroups: Annotated[int, typer.Option(help="How many subgroups must be heard.")] = 3,
    people: Annotated[
        str, typer.Option(help="How many people from each subgroup; several with commas.")
    ] = PEOPLE,
    minutes: Annotated[float, typer.Option(help="How long each person votes.")] = 15.0,
    statements: Annotated[int, typer.Option(help="How many statements are put to the vote.")] = 60,
    votes_a_minute: Annotated[
        float, typer.Option(help="How many statements a person votes on in a minute.")
    ] = 4.0,
    bias: Annotated[
        float,
        typer.Option(
            help="How many times as likely people at one end of the main disagreement take part."
        ),
    ] = 1.0,
    strategic: Annotated[
        float, typer.Option(help="The share who vote against what all agree on, 0 to 1.")
    ] = 0.0,
    bots: Annotated[float, typer.Option(help="The share of programs, 0 to 1.")] = 0.0,
    rounds: Annotated[int, typer.Option(help="How many rounds are simulated.")] = 40,
    seed: Annotated[int, typer.Option(help="The seed of every random draw.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Say what to expect of a consultation: errors, consensus, hidden groups, comparisons.

    Example: `suffrage consult plan --subgroups 4 --minutes 15 --statements 60`
    """
    from suffrage.consult.groups.enough_people import Turnout
    from suffrage.report.terminal_pages.enough_people import people_text
    from suffrage.study.commands.consultation_plan import plan_consultation

    try:
        numbers = [int(word) for word in comma_separated(people)]
    except ValueError:
        raise InputError(f'--people is "{people}"; it must be numbers, such as {PEOPLE}.') from None
    turnout = Turnout(
        minutes=minutes,
        statements=statements,
        votes_a_minute=votes_a_minute,
        bias=bias,
        strategic=strategic,
        bots=bots,
    )
    found = plan_consultation(folder, prefix, subgroups, numbers, turnout, rounds, seed)
    if as_json:
        print_json(found.as_json())
        return
    whose = f"{found.public} people of {found.respondents}"
    print_rich(people_text(list(found.rows), whose, found.subgroups, found.comparisons_for_a_pair))


def predict_command(
    where: StoreAddress,
    slug: ConsultationName,
    model: Annotated[
        str, typer.Argument(help="A checkpoint's folder, or a model as a study names it.")
    ],
    out: Annotated[
        Path,
        typer.Option(help="The JSON file to write; it must not be there yet.", metavar="FILE"),
    ],
    groups: Annotated[
        Path | None,
        typer.Option(
            help="A YAML file with groups: name, description and where; default: all participants."
        ),
    ] = None,
    lowest_mass: Annotated[
        float | None,
        typer.Option(
            help="Statements with less probability on the options are not read; as in a study's "
            "scoring."
        ),
    ] = None,
) -> None:
    """Put on record how a model predicts that groups will vote; the audit log holds the hash.

    Example: `suffrage consult predict water water-2026 runs/aligned/align/CHECKPOINT --out
    said.json`
    """
    import suffrage
    from suffrage import storage
    from suffrage.evaluate import Scoring
    from suffrage.evaluate.recorded_predictions import (
        check_predicted_groups,
        predict_votes,
        read_predicted_groups,
    )
    from suffrage.server.store import audit
    from suffrage.server.store.contents import to_consultation
    from suffrage.server.store.stored_predictions import PREDICT

    if out.exists():
        raise InputError(
            f"{out}: is there already, and predictions on record are never replaced; name a new "
            "file."
        )
    store = open_for_command(where)
    about = named_consultation(store, slug)
    content = to_consultation(store, slug)
    asked = read_predicted_groups(groups, content)
    choices: dict[str, set[str]] = {
        item.item: {option.value for option in item.options} for item in about.settings.demographics
    }
    # What people said counts as well, where the consultation was brought in with their votes.
    for item, value in content.demographics.select("item", "value").iter_rows():
        choices.setdefault(item, set()).add(value)
    check_predicted_groups(asked, choices)
    lowest = Scoring().lowest_mass if lowest_mass is None else lowest_mass
    loaded = suffrage.load_model(model)
    identity = storage.folder_hash(Path(model)) if Path(model).is_dir() else model
    found = predict_votes(loaded, identity, content, asked, lowest)
    found.write(out)
    detail = {
        "hash": found.content_hash,
        "statements": len(found.statements),
        "votes_before": found.votes_before,
    }
    with store.write() as c:
        audit.append_entry(c, about.id, "command line", PREDICT, found.model, detail)
    store.close()
    say(
        f"{out}  {len(found.statements)} statements for {len(asked)} groups, "
        f"{found.votes_before} votes cast so far. Hash in the audit log: {found.content_hash}"
    )


def add_predictions_command(
    where: StoreAddress,
    slug: ConsultationName,
    file: Annotated[Path, typer.Argument(help="The file that `predict` wrote.")],
) -> None:
    """Add predictions on record to a consultation: the results page scores them after the round.

    Example: `suffrage consult add-predictions water water-2026 said.json`
    """
    from suffrage.server.predictions import add_predictions

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: no predictions could be read: {error}") from error
    store = open_for_command(where)
    what = named_consultation(store, slug)
    add_predictions(store, what, text, "command line")
    store.close()
    after = "compared with the votes" if what.phase in ("closed", "archived") else "compared later"
    say(f"{slug}  predictions added, {after}. The results page shows them after the round.")


def score_predictions_command(
    predictions: Annotated[Path, typer.Argument(help="The file that `predict` wrote.")],
    folder: Annotated[Path, typer.Argument(help="The consultation's folder, after the round.")],
    audit_log: Annotated[
        Path | None,
        typer.Option("--audit", help="The audit log as downloaded, to find the hash in."),
    ] = None,
    least_voters: Annotated[
        int, typer.Option(help="Statements with fewer voters of a group are left out.")
    ] = 5,
    as_json: AsJson = False,
) -> None:
    """Compare predictions on record with the votes that came, and with each group's average vote.

    Example: `suffrage consult score-predictions said.json water-tables --audit audit.jsonl`
    """
    import suffrage
    from suffrage.evaluate.recorded_predictions import PredictedVotes, score_predictions
    from suffrage.report.terminal_pages.predictions import predictions_text

    said = PredictedVotes.read(predictions)
    votes_before = None if audit_log is None else _on_record(audit_log, said.content_hash)
    found = score_predictions(said, suffrage.read_consultation(folder), least_voters)
    if as_json:
        print_json({**found.as_json(), "votes_before_by_audit_log": votes_before})
        return
    print_rich(predictions_text(found, [group.name for group in said.groups], votes_before))


def _on_record(path: Path, wanted: str) -> int:
    """How many votes there were when a hash was put into an audit log.

    Raises InputError where the log is broken, or has no such hash.
    """
    from suffrage.server.store.audit import first_broken, read_json_lines
    from suffrage.server.store.stored_predictions import PREDICT

    try:
        entries = read_json_lines(path.read_text(encoding="utf-8"), str(path))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no audit log could be read: {error}") from error
    broken = first_broken(entries)
    if broken is not None:
        raise InputError(f"{path}: the audit log was changed: its chain breaks at entry {broken}.")
    for entry in entries:
        if entry.action == PREDICT and entry.detail.get("hash") == wanted:
            return int(entry.detail["votes_before"])
    raise InputError(f"{path}: no entry has the hash {wanted}: these were not put on record.")
