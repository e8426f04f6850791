"""Commands that read a study: run it, plan it, report on it, and look into it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import suffrage
from suffrage.cli.options import AsJson, StudyPath, comma_separated, print_json, print_rich, say
from suffrage.errors import InputError
from suffrage.study.stages import ORDER

STAGES = ", ".join(ORDER)


def run_command(
    study: StudyPath,
    only: Annotated[
        str | None,
        typer.Option(help=f"Stop after this stage, one of {STAGES}. Compute only what it needs."),
    ] = None,
    force: Annotated[
        str | None, typer.Option(help="Compute this stage and all later ones again.")
    ] = None,
    launcher: Annotated[
        str | None,
        typer.Option(
            help="Train in several processes: an Accelerate configuration, or one that ships "
            "(two-processes, gpus, fsdp, deepspeed-zero2, deepspeed-zero3)."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a study, or continue one: survey, value sets, training, evaluation, report.

    A finished stage is never computed twice.

    Example: `suffrage run examples/quickstart.yaml`
    """
    from suffrage.align.launch import launcher_file
    from suffrage.study.stages import stage_kind

    only_kind, force_kind = stage_kind(only, "--only"), stage_kind(force, "--force")
    config = launcher_file(launcher) if launcher else None
    finished = suffrage.run_study(
        suffrage.read_study(study), only_kind, force_kind, as_json, config
    )
    if as_json:
        print_json(_run_content(finished))
    elif finished.results is None:
        say(f"Stopped after {only}; {len(finished.computed)} stages computed.")
    else:
        _print_results(finished.results, finished.folder)


def _run_content(finished: suffrage.FinishedRun) -> dict[str, Any]:
    """Return what scripts read of a run: no figures where it stopped before them."""
    figures = finished.results.figures if finished.results else []
    methods = finished.results.methods if finished.results else []
    return {
        "folder": str(finished.folder),
        "computed": list(finished.computed),
        "figures": [row.model_dump(mode="json") for row in figures],
        "asking": {
            method.name: method.asking.model_dump(mode="json")
            for method in methods
            if method.asking
        },
    }


def _print_results(results: suffrage.Results, folder: Path) -> None:
    from suffrage.report.costs import asking_line
    from suffrage.report.terminal import scoreboard

    print_rich(scoreboard(results))
    if asked := asking_line(results):
        say(f"Asked       {asked}")
    for method in results.methods:
        for checkpoint in method.checkpoints:
            say(f"Checkpoint  {folder / checkpoint}")
    say(f"Tables      {folder / 'figures.csv'}, results.json, scoreboard.tex, .md, differences.tex")
    say(f"Report      {folder / 'report.html'}")


def plan_command(
    study: StudyPath,
    gpus: Annotated[
        bool,
        typer.Option(
            "--gpus", help="Name the smallest GPU machine for models of 7B, 14B and 32B instead."
        ),
    ] = False,
    price: Annotated[
        float | None,
        typer.Option(
            help="What one GPU costs for an hour, with --gpus; in the currency of the study's "
            "`price`, or USD.",
            min=0,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what `run` would do, how long it would take and how much memory it would need.

    Nothing long is started: the survey is read and the machine's speed is measured for a moment.
    Every figure is an estimate.

    Example: `suffrage plan examples/quickstart.yaml`, `suffrage plan study.yaml --gpus --price 2.5`
    """
    from suffrage.study.planning.plan import plan_study

    if price is not None and not gpus:
        raise InputError(
            "--price goes with --gpus. For this machine, write its price into the study: "
            "`price: {per_hour: 0.50}`."
        )
    if gpus:
        from suffrage.study.planning.hardware import hardware_plan, hardware_table

        loaded = suffrage.read_study(study)
        found = hardware_plan(loaded, price)
        if as_json:
            print_json(found.as_json())
        else:
            currency = loaded.price.currency if loaded.price else "USD"
            print_rich(hardware_table(found, currency))
        return
    planned = plan_study(suffrage.read_study(study))
    if as_json:
        print_json(planned.as_json())
        return
    from suffrage.report.terminal import plan_table

    print_rich(plan_table(planned.as_json()))


def tune_command(
    study: StudyPath,
    method: Annotated[
        str | None,
        typer.Option(help="The entry of `methods`; default: the one with `validation:`."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of each trial; default: the entry's own.", min=1)
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="How many trials; default: tune.trials, or 6.", min=2)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Choose a method's learning rate, layers or adapter by short trainings.

    The trials are judged by questions held back inside training, never by held-out ones. `tune:` in
    the study says what is tried. A trial that is finished is never trained again.

    Example: `suffrage tune examples/many-questions.yaml --method distribution --steps 60`
    """
    from suffrage.report.terminal_pages import tuning
    from suffrage.study.commands.tuning import TuningPlan

    def show(plan: TuningPlan) -> None:
        if not as_json:
            print_rich(tuning.tuning_plan_text(plan.as_json()))
            say()

    found = suffrage.tune_study(
        suffrage.read_study(study), method, steps, trials, as_json, show
    ).as_json()
    if as_json:
        print_json(found)
        return
    print_rich(tuning.tuning_text(found))


def report_command(study: StudyPath) -> None:
    """Write a finished study's report and tables again.

    Example: `suffrage report examples/quickstart.yaml`
    """
    from suffrage.publish.receipt import seal_again
    from suffrage.report.page import write_report
    from suffrage.report.tables import RESULT_FILES, write_result_files

    folder = suffrage.read_study(study).output
    results = suffrage.read_results(folder / "results.json")
    write_result_files(results, folder)
    write_report(results, folder / "report.html")
    seal_again(folder, [*RESULT_FILES, "report.html"])
    say(folder / "report.html")


def compare_command(
    runs: Annotated[
        list[Path],
        typer.Argument(help="The folders of finished runs, such as runs/*.", metavar="RUN"),
    ],
    measure: Annotated[
        str, typer.Option(help="fit, emd, entropy_ratio, slope, or EVALUATION.MEASURE.")
    ] = "fit",
    out: Annotated[
        Path | None, typer.Option(help="Write the comparison as a page here.", metavar="FILE")
    ] = None,
    across_models: Annotated[
        bool, typer.Option("--across-models", help="Allow different models in one table.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare runs in one leaderboard with paired differences, from their results.json.

    Runs that differ in survey, questions, value sets, held-out items or model get separate tables,
    with the reason. Differences have bootstrap intervals; Holm's correction covers all of a table.

    Example: `suffrage compare runs/* --out leaderboard.html`
    """
    from suffrage.report import leaderboard

    found = suffrage.compare_runs(runs, measure, across_models)
    if out is not None:
        leaderboard.write_leaderboard_page(found, out)
    if as_json:
        print_json(leaderboard.leaderboard_json(found))
        return
    print_rich(leaderboard.leaderboard_text(found))
    if out is not None:
        say(f"Page    {out}")


def estimate_command(
    study: StudyPath,
    method: Annotated[
        str, typer.Option(help="The method whose answers are combined with the people's.")
    ],
    sample: Annotated[
        int | None,
        typer.Option(help="How many people to draw from each group; default: all who answered."),
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="A value set; repeat for several. Default: all.")
    ] = None,
    item: Annotated[
        list[str] | None, typer.Option(help="An item's id; repeat for several. Default: all.")
    ] = None,
    population: Annotated[
        Path | None,
        typer.Option(
            help="Another study, whose survey gives the groups' shares. For people who were asked "
            "in a small survey of their own."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of the draw.", min=0)] = 0,
    repeats: Annotated[
        int,
        typer.Option(
            help="Draw this many more samples, and count how often the intervals contain the "
            "truth.",
            min=0,
        ),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Estimate what a population says from a few people and a finished study's model.

    This is prediction-powered inference. It combines people's answers, the model's answers to the
    same items and the groups' shares. The intervals are valid whatever the model says, and a
    sentence says whether the model helped. A trained method is used on held-out items only.

    Example: `suffrage estimate study.yaml --method prompt --sample 100 --group everyone`
    """
    from suffrage.report.terminal_pages import estimates
    from suffrage.study.commands.estimating import estimate_study

    found = estimate_study(
        suffrage.read_study(study),
        method,
        sample,
        group or [],
        item or [],
        seed,
        repeats,
        suffrage.read_study(population) if population else None,
    )
    if as_json:
        print_json(estimates.estimates_json(found))
        return
    print_rich(estimates.estimates_text(found))


def doctor_command(as_json: AsJson = False) -> None:
    """Show what this machine can do and which parts of Suffrage are installed.

    Example: `suffrage doctor`
    """
    from suffrage.study.planning.doctor import diagnosis, diagnosis_numbers

    if as_json:
        print_json(diagnosis_numbers())
        return
    found = diagnosis()
    for name, value in found.items():
        say(f"{name:<22} {value}")


def paraphrase_command(
    study: StudyPath,
    out: Annotated[Path, typer.Option(help="The JSON file to write.", metavar="FILE")],
    generator: Annotated[
        str | None, typer.Option(help="The model that writes; default: the study's model.")
    ] = None,
    wanted: Annotated[int, typer.Option(help="How many wordings to ask for per item.", min=1)] = 5,
    as_json: AsJson = False,
) -> None:
    """Let a model put every item into other words, for `augmented-sft`, and drop poor wordings.

    Example: `suffrage paraphrase study.yaml --out paraphrases.json --generator owner/name`
    """
    from suffrage.study.commands.paraphrasing import paraphrase

    found = paraphrase(suffrage.read_study(study), generator, wanted, out, quiet=as_json)
    if as_json:
        print_json(found)
        return
    say(f"{found['kept']} of {found['asked']} wordings kept, {found['empty']} were empty.")
    for why, count in found["dropped"].items():
        say(f"  dropped {count:>4}  {why}")
    say(f"Written {out}; it lists every dropped text with its reason.")


def profile_command(
    study: StudyPath,
    value_set: Annotated[str, typer.Argument(help="The value set's name in the study.")],
    against: Annotated[
        str | None, typer.Option(help="Another value set, to show where the two differ most.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write an HTML page with the plot here.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print and plot a value set, or where two differ most.

    Example: `suffrage profile study.yaml liberals --against conservatives --out profile.html`
    """
    from suffrage.report.terminal_pages import profile as profiles
    from suffrage.study.segmenting import study_value_set

    loaded = suffrage.read_study(study)
    first = study_value_set(loaded, value_set)
    other = study_value_set(loaded, against) if against else None
    if out is not None:
        profiles.write_profile_page(first, other, out)
    if as_json:
        print_json(profiles.profile_json(first, other))
        return
    table = profiles.comparison_table(first, other) if other else profiles.profile_table(first)
    print_rich(table)
    if out is not None:
        say(f"Plot  {out}")


def segment_command(
    study: StudyPath,
    value_set: Annotated[
        str | None, typer.Argument(help="A value set's name; default: everyone in the survey.")
    ] = None,
    classes: Annotated[str, typer.Option(help="How many segments, or auto.")] = "auto",
    most: Annotated[int, typer.Option(help="The largest number to try, with auto.")] = 6,
    items: Annotated[str, typer.Option(help="Item ids, separated by commas; default: all.")] = "",
    names: Annotated[
        str, typer.Option(help="The segments' names, separated by commas, largest segment first.")
    ] = "",
    freeze: Annotated[
        Path | None,
        typer.Option(help="Save the segments in this new or empty folder, for the next wave."),
    ] = None,
    frozen: Annotated[
        Path | None,
        typer.Option(help="Use segments saved by --freeze instead of finding new ones."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write an HTML page here.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find segments of respondents who answer alike: how many, what marks them, who is in them.

    Segments are latent classes, with weights and missing answers. Their number is chosen by
    stability in resamples and by ICL.

    Example: `suffrage segment examples/quickstart.yaml --out segments.html`
    """
    from suffrage import storage
    from suffrage.report.terminal_pages import segments as pages
    from suffrage.study.segmenting import segment_study

    if freeze is not None:
        storage.check_free_for_writing(freeze)
    found, survey, title = segment_study(
        suffrage.read_study(study),
        value_set,
        {
            "classes": classes,
            "most": most,
            "items": comma_separated(items),
            "names": comma_separated(names),
        },
        frozen,
        quiet=as_json,
    )
    if freeze is not None:
        found.write(freeze)
    if out is not None:
        pages.write_segments_page(found, survey, title, out)
    if as_json:
        print_json(pages.segments_json(found, survey))
        return
    print_rich(pages.segments_text(found, survey))
    if out is not None:
        say(f"Plot    {out}")
    if freeze is not None:
        say(f"Frozen  {freeze}")
