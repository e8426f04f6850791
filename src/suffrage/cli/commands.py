"""Every command of `suffrage`, and the function that each one calls."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

from suffrage import __version__
from suffrage.arguments import written_as_options
from suffrage.cli import (
    asking,
    auditing,
    consult_analysis,
    consult_audit,
    consult_backups,
    consult_planning,
    consult_server,
    consult_staff,
    publish,
    starting,
    study,
    survey,
    values,
)
from suffrage.cli.exit_codes import INTERRUPTED
from suffrage.cli.help_pages import PlainHelp
from suffrage.cli.options import say

_STAGES_KEPT = "Finished stages and the last saved steps of a training are kept."
# Commands that go on from where they were stopped, and what is kept of each.
RESUMES = {
    "run": _STAGES_KEPT,
    "tune": _STAGES_KEPT,
    "paraphrase": _STAGES_KEPT,
    "audit": "The answers given so far are kept.",
}


class Interruptible(PlainHelp):
    """The commands; Ctrl-C ends each with a sentence that says what is kept."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            with written_as_options():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            said = "Stopped."
            if kept := RESUMES.get(ctx.invoked_subcommand or ""):
                command = shlex.join(sys.argv[1:])
                said += f" {kept} The same command goes on from there: suffrage {command}"
            say(f"\n{said}", err=True)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="suffrage",
    cls=Interruptible,
    help="Align a language model to the values a population holds, and show the evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
survey_app = typer.Typer(
    cls=PlainHelp, no_args_is_help=True, help="Look at a survey before using it."
)
values_app = typer.Typer(
    cls=PlainHelp,
    no_args_is_help=True,
    help="Show value taxonomies, and score populations on them.",
)
consult_app = typer.Typer(
    cls=PlainHelp,
    no_args_is_help=True,
    help="Run a public consultation, and use what people said.",
)
app.add_typer(survey_app, name="survey")
app.add_typer(values_app, name="values")
app.add_typer(consult_app, name="consult")
staff_app = typer.Typer(
    cls=PlainHelp,
    no_args_is_help=True,
    help="Manage who organises, in which role, and how they sign in.",
)
consult_app.add_typer(staff_app, name="staff")
audit_app = typer.Typer(
    cls=PlainHelp,
    no_args_is_help=True,
    help="Note the head of an audit log, and check a log against noted heads.",
)
consult_app.add_typer(audit_app, name="audit")

app.command("init")(starting.init_command)
app.command("examples")(starting.examples_command)
app.command("schema")(starting.schema_command)
app.command("run")(study.run_command)
app.command("plan")(study.plan_command)
app.command("tune")(study.tune_command)
app.command("ask")(asking.ask_command)
app.command("chat")(asking.chat_command)
app.command("audit")(auditing.audit_command)
app.command("report")(study.report_command)
app.command("compare")(study.compare_command)
app.command("estimate")(study.estimate_command)
app.command("publish")(publish.publish_command)
app.command("verify")(publish.verify_command)
app.command("merge")(publish.merge_command)
app.command("clean")(publish.clean_command)
app.command("doctor")(study.doctor_command)
app.command("paraphrase")(study.paraphrase_command)
app.command("profile")(study.profile_command)
app.command("segment")(study.segment_command)

survey_app.command("inspect")(survey.inspect_command)
survey_app.command("representativeness")(survey.representativeness_command)
survey_app.command("check")(survey.check_command)
survey_app.command("draft-codebook")(survey.draft_codebook_command)
survey_app.command("worldvaluesbench")(survey.worldvaluesbench_command)
survey_app.command("worldvaluesbench-score")(survey.worldvaluesbench_score_command)
survey_app.command("worldvaluesbench-predictions")(survey.worldvaluesbench_predictions_command)
survey_app.command("topics")(survey.topics_command)

values_app.command("list")(values.list_taxonomies_command)
values_app.command("show")(values.show_taxonomy_command)
values_app.command("score")(values.score_values_command)

consult_app.command("plan")(consult_planning.consultation_plan_command)
consult_app.command("predict")(consult_planning.predict_command)
consult_app.command("add-predictions")(consult_planning.add_predictions_command)
consult_app.command("score-predictions")(consult_planning.score_predictions_command)
consult_app.command("new")(consult_server.new_command)
consult_app.command("phase")(consult_server.phase_command)
consult_app.command("invite")(consult_server.invite_command)
consult_app.command("serve")(consult_server.serve_command)
consult_app.command("backup")(consult_backups.backup_command)
consult_app.command("restore")(consult_backups.restore_command)
staff_app.command("list")(consult_staff.list_command)
staff_app.command("add")(consult_staff.add_command)
staff_app.command("role")(consult_staff.role_command)
staff_app.command("link")(consult_staff.link_command)
staff_app.command("password")(consult_staff.password_command)
staff_app.command("disable")(consult_staff.disable_command)
staff_app.command("enable")(consult_staff.enable_command)
staff_app.command("address")(consult_staff.address_command)
staff_app.command("refusals")(consult_staff.refusals_command)
audit_app.command("head")(consult_audit.log_head_command)
audit_app.command("download")(consult_audit.download_log_command)
audit_app.command("check")(consult_audit.check_log_command)
consult_app.command("export")(consult_server.export_command)
consult_app.command("import")(consult_server.import_command)
consult_app.command("demo")(consult_server.demo_command)
consult_app.command("groups")(consult_analysis.groups_command)
consult_app.command("answers")(consult_analysis.answers_command)
consult_app.command("release")(consult_analysis.release_command)
consult_app.command("report")(consult_analysis.report_consultation_command)
consult_app.command("principles")(consult_analysis.principles_command)
consult_app.command("records")(consult_analysis.records_command)
consult_app.command("from-survey")(consult_analysis.from_survey_command)
consult_app.command("against-survey")(consult_analysis.against_survey_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"suffrage {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass
