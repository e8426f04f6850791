"""The commands, thin: parse, call, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from suffrage import __version__
from suffrage.cli import consult_analysis  # noqa: F401 - adds its commands
from suffrage.cli.consult_server import consult_app
from suffrage.cli.options import AsJson, StudyPath, print_json, words

app = typer.Typer(
    name="suffrage",
    help="Align a language model to the values a population holds, and show the evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
survey_app = typer.Typer(no_args_is_help=True, help="Look at a survey before using it.")
app.add_typer(survey_app, name="survey")
values_app = typer.Typer(no_args_is_help=True, help="Value taxonomies, and scores on them.")
app.add_typer(values_app, name="values")
app.add_typer(consult_app, name="consult")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"suffrage {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    study: StudyPath,
    only: Annotated[
        str | None, typer.Option(help="Stop after this stage, doing what it needs.")
    ] = None,
    force: Annotated[
        str | None, typer.Option(help="Compute this stage and all after it again.")
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
    """Run a study, or go on with one: survey, value sets, training, evaluation, report.

    Finished stages are never computed twice. Stages, for --only and --force: survey, value_sets,
    split, records, align, answers, results.

    Example: `suffrage run examples/quickstart.yaml`
    """
    from suffrage.align.launch import launcher_file
    from suffrage.study.run import check_only, run_study
    from suffrage.study.schema import load_study

    only_kind, force_kind = check_only(only, "--only"), check_only(force, "--force")
    config = launcher_file(launcher) if launcher else None
    finished = run_study(load_study(study), only_kind, force_kind, as_json, config)
    if as_json:
        results = finished.results
        print_json(
            {
                "folder": str(finished.folder),
                "computed": list(finished.computed),
                "scores": [row.model_dump(mode="json") for row in results.scores]
                if results
                else [],
                "asking": {
                    method.name: method.asking.model_dump(mode="json")
                    for method in (results.methods if results else [])
                    if method.asking
                },
            }
        )
        return
    from rich.console import Console

    console = Console()
    if finished.results is None:
        console.print(f"Stopped after {only}; {len(finished.computed)} stages computed.")
        return
    from suffrage.report.costs import asking_line
    from suffrage.report.terminal import scoreboard

    console.print(scoreboard(finished.results))
    if asked := asking_line(finished.results):
        typer.echo(f"Asked       {asked}")
    for method in finished.results.methods:
        for checkpoint in method.checkpoints:
            typer.echo(f"Checkpoint  {finished.folder / checkpoint}")
    typer.echo(f"Tables      {finished.folder / 'scores.csv'}, results.json, scoreboard.tex, .md")
    typer.echo(f"Report      {finished.folder / 'report.html'}")


@app.command()
def plan(
    study: StudyPath,
    gpus: Annotated[
        bool, typer.Option("--gpus", help="Instead: 7B to 32B models on an A100, H100 or B200.")
    ] = False,
    price: Annotated[
        float | None, typer.Option(help="With --gpus: what a GPU hour costs.", min=0)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what `run` would do, how long it would take and how much memory; start nothing long.

    Reads the survey and measures the machine's speed for a moment; every figure is an estimate.

    Example: `suffrage plan examples/quickstart.yaml`, `suffrage plan study.yaml --gpus --price 2.5`
    """
    from suffrage.study.planning.plan import plan_study
    from suffrage.study.schema import load_study

    if gpus:
        from rich.console import Console

        from suffrage.study.planning.hardware import hardware_plan, hardware_table

        loaded = load_study(study)
        rows = hardware_plan(loaded, price)
        if as_json:
            print_json(rows)
        else:
            currency = loaded.price.currency if loaded.price else "USD"
            Console().print(hardware_table(rows, currency))
        return
    planned = plan_study(load_study(study))
    if as_json:
        print_json(planned.as_json())
        return
    from rich.console import Console

    from suffrage.report.terminal import plan_table

    Console().print(plan_table(planned.as_json()))


@app.command()
def report(study: StudyPath) -> None:
    """Write a finished study's report and tables again.

    Example: `suffrage report examples/quickstart.yaml`
    """
    from suffrage.report.page import write_report
    from suffrage.report.tables import read_results, write_tables
    from suffrage.study.schema import load_study

    folder = load_study(study).output
    results = read_results(folder / "results.json")
    write_tables(results, folder)
    write_report(results, folder / "report.html")
    typer.echo(folder / "report.html")


@app.command()
def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of finished runs, such as runs/*.", metavar="RUN")
    ],
    measure: Annotated[
        str, typer.Option(help="fit, earth-movers, entropy, slope, or EVALUATION.MEASURE.")
    ] = "fit",
    html: Annotated[Path | None, typer.Option(help="Write the comparison as a page here.")] = None,
    across_models: Annotated[
        bool, typer.Option("--across-models", help="Let different models share a table.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Hold runs against each other, from their results.json: one leaderboard, paired differences.

    Runs that differ in survey, questions, value sets, held-out items or model get tables of their
    own, with the reason. Differences have bootstrap intervals; Holm's correction goes over all.

    Example: `suffrage compare runs/* --html leaderboard.html`
    """
    from suffrage.report import leaderboard

    found = leaderboard.compare_runs(runs, measure, across_models)
    if html is not None:
        leaderboard.write_leaderboard_page(found, html)
    if as_json:
        print_json(leaderboard.leaderboard_json(found))
        return
    from rich.console import Console

    Console().print(leaderboard.leaderboard_text(found))
    if html is not None:
        typer.echo(f"Page    {html}")


@app.command()
def estimate(
    study: StudyPath,
    method: Annotated[str, typer.Option(help="Whose answers join the people's.")],
    sample: Annotated[
        int | None,
        typer.Option(help="Draw so many people of each group; default: all who answered."),
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="A value set; may be repeated. Default: all.")
    ] = None,
    item: Annotated[
        list[str] | None, typer.Option(help="An item's id; may be repeated. Default: all.")
    ] = None,
    population: Annotated[
        Path | None,
        typer.Option(
            help="Another study, whose survey gives the groups' shares, where the people asked are "
            "a small sample of their own."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    repeats: Annotated[
        int,
        typer.Option(help="Draw so many samples more, and count what the intervals hold.", min=0),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Estimate what a population says, from a few people joined with a finished study's model.

    Prediction-powered inference: people's answers, the model's answers to the same items, and the
    groups' shares, with intervals that hold whatever the model says, and a sentence on whether it
    helped. A trained method is used on held-out items only.

    Example: `suffrage estimate study.yaml --method prompt --sample 100 --group everyone`
    """
    from suffrage.report.terminal_pages import estimates
    from suffrage.study.commands.estimating import estimate_study
    from suffrage.study.schema import load_study

    found = estimate_study(
        load_study(study),
        method,
        sample,
        group or [],
        item or [],
        seed,
        repeats,
        load_study(population) if population else None,
    )
    if as_json:
        print_json(estimates.estimates_json(found))
        return
    from rich.console import Console

    Console().print(estimates.estimates_text(found))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine can do, and which parts of Suffrage are installed.

    Example: `suffrage doctor`
    """
    from suffrage.study.planning.doctor import diagnosis

    found = diagnosis()
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        typer.echo(f"{name:<22} {value}")


@app.command("paraphrase")
def paraphrase_items(
    study: StudyPath,
    output: Annotated[Path, typer.Argument(help="The JSON file to write.")],
    generator: Annotated[
        str | None, typer.Option(help="The model that writes; default: the study's.")
    ] = None,
    wanted: Annotated[int, typer.Option(help="Wordings to ask for, an item.", min=1)] = 5,
    as_json: AsJson = False,
) -> None:
    """Have a model say every item in other words, for `augmented-sft`; drop those that drifted.

    Example: `suffrage paraphrase study.yaml paraphrases.json --generator owner/name`
    """
    from suffrage.study.commands.paraphrasing import paraphrase
    from suffrage.study.schema import load_study

    found = paraphrase(load_study(study), generator, wanted, output, quiet=as_json)
    if as_json:
        print_json(found)
        return
    typer.echo(f"{found['kept']} of {found['asked']} wordings kept, {found['empty']} were empty.")
    for why, count in found["dropped"].items():
        typer.echo(f"  dropped {count:>4}  {why}")
    typer.echo(f"Written {output}; every dropped text stands there with its reason.")


@survey_app.command("inspect")
def inspect_survey(study: StudyPath, as_json: AsJson = False) -> None:
    """Show what a study's survey reader read, what it set aside, and why.

    Example: `suffrage survey inspect examples/quickstart.yaml`
    """
    from suffrage.study.schema import load_study
    from suffrage.survey import read_survey
    from suffrage.survey.inspection import inspect

    loaded = load_study(study)
    inspection = inspect(read_survey(loaded.survey, loaded.folder))
    if as_json:
        print_json(inspection.as_json())
        return
    from rich.console import Console

    Console().print(inspection.render())


@survey_app.command("representativeness")
def survey_representativeness(study: StudyPath, as_json: AsJson = False) -> None:
    """Hold the sample against the study's targets: who is missing, and what raking costs.

    The targets stand in the study under `weights:`.

    Example: `suffrage survey representativeness study.yaml`
    """
    from suffrage.report.terminal_pages.representativeness import (
        representativeness_json,
        representativeness_text,
    )
    from suffrage.study.schema import load_study, study_representativeness

    found = study_representativeness(load_study(study))
    if as_json:
        print_json(representativeness_json(found))
        return
    from rich.console import Console

    Console().print(representativeness_text(found))


@survey_app.command("check")
def check_survey(
    path: Annotated[Path, typer.Argument(help="A study's YAML file, or a survey's data file.")],
    codebook: Annotated[
        Path | None, typer.Option(help="The codebook of a data file given without a study.")
    ] = None,
    reader: Annotated[
        str, typer.Option(help="What reads a data file given without a study.")
    ] = "labelled_file",
    options: Annotated[
        list[str] | None,
        typer.Option("--option", help="A key of the reader, such as wave=10; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List where a codebook and its data contradict each other; exit code 1 if they do.

    Unknown codes with their file, rows and column, options nobody chose, items all answered alike,
    scales that look reversed.

    Example: `suffrage survey check examples/quickstart.yaml`
    Example: `suffrage survey check town.csv --codebook town.yaml`
    Example: `suffrage survey check ESS11.sav --reader ess --option countries=[DE]`
    """
    from dataclasses import asdict

    from suffrage.errors import InputError
    from suffrage.settings import key_values
    from suffrage.study.schema import load_study
    from suffrage.survey.contradictions import checked

    is_study = path.suffix.lower() in (".yaml", ".yml")
    if is_study:
        if codebook is not None or options or reader != "labelled_file":
            raise InputError("--codebook, --reader and --option go with a data file, not a study.")
        loaded = load_study(path)
        section, folder = loaded.survey, loaded.folder
    else:
        section = {"reader": reader, "path": str(path), **key_values(options or [], "--option")}
        section |= {"codebook": str(codebook)} if codebook is not None else {}
        folder = Path()
    found = checked(section, folder)
    if as_json:
        print_json([asdict(fault) for fault in found])
    else:
        for fault in found:
            typer.echo(f"{fault.item}: {fault.what}")
        typer.echo(f"{len(found)} contradictions." if found else "No contradictions.")
    if found:
        raise typer.Exit(1)


@survey_app.command("draft-codebook")
def draft_codebook(
    file: Annotated[
        Path | None, typer.Argument(help="A .csv, .parquet, .sav, .zsav or .dta file.")
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Print the template of a reader instead: nzavs.")
    ] = None,
) -> None:
    """Print a first codebook for a labelled file, for you to finish.

    Example: `suffrage survey draft-codebook town.sav > town.yaml`
    """
    from suffrage.errors import InputError
    from suffrage.survey.draft import codebook_template
    from suffrage.survey.draft import draft_codebook as draft

    if (file is None) == (template is None):
        raise InputError("name either a file, or a template with --template.")
    typer.echo(codebook_template(template) if file is None else draft(file), nl=False)


@survey_app.command("worldvaluesbench")
def make_worldvaluesbench(
    file: Annotated[
        Path, typer.Argument(help="The cross-national file, wave 7, of the World Values Survey.")
    ],
    source: Annotated[
        Path, typer.Option(help="A copy of the repository Demon702/WorldValuesBench.")
    ],
    output: Annotated[Path, typer.Option(help="The folder to write the benchmark to.")],
    probe_from: Annotated[
        str, typer.Option(help="The part that probe samples are drawn from: test or valid.")
    ] = "test",
    encoding: Annotated[
        str, typer.Option(help="Of the file: utf-8, latin-1 or windows-1252.")
    ] = "utf-8",
    as_json: AsJson = False,
) -> None:
    """Make WorldValuesBench from the archive's file: tables, 70/15/15 split, probe samples.

    Prints how many participants and examples it has, beside the figures its authors publish.

    Example: `suffrage survey worldvaluesbench WVS.csv --source WorldValuesBench --output wvb`
    """
    from typing import cast, get_args

    from suffrage.errors import InputError
    from suffrage.survey.reading import Encoding
    from suffrage.survey.worldvaluesbench import PUBLISHED, Part, write_benchmark

    if probe_from not in ("test", "valid"):
        raise InputError(f'--probe-from "{probe_from}": there are test and valid.')
    if encoding not in get_args(Encoding):
        raise InputError(f'--encoding "{encoding}": there are {", ".join(get_args(Encoding))}.')
    part, written_in = cast(Part, probe_from), cast(Encoding, encoding)
    benchmark, samples = write_benchmark(file, source, output, part, written_in)
    counts = benchmark.counts(samples)
    if as_json:
        named = {
            name: {"participants": people, "examples": examples, "published": PUBLISHED[name]}
            for name, (people, examples) in counts.items()
        }
        print_json({"parts": named, "outside_the_scale": dict(benchmark.outside)})
        return
    typer.echo(f"{'':<7}{'participants':>13}{'published':>11}{'examples':>13}{'published':>13}")
    for name, (people, examples) in counts.items():
        first, second = PUBLISHED[name]
        typer.echo(f"{name:<7}{people:>13,}{first:>11,}{examples:>13,}{second:>13,}")
    for item, count in benchmark.outside.items():
        typer.echo(f"{item}: {count} answers lie outside the scale of the question metadata.")


@survey_app.command("worldvaluesbench-score")
def score_worldvaluesbench(
    scores: Annotated[
        Path, typer.Argument(help="A table with QUESTION_ID, PARTICIPANT_ID and SCORE.")
    ],
    benchmark: Annotated[
        Path, typer.Argument(help="The folder that `survey worldvaluesbench` wrote.")
    ],
    as_json: AsJson = False,
) -> None:
    """Print a model's distance from people on each question of WorldValuesBench.

    Example: `suffrage survey worldvaluesbench-score scores.tsv wvb`
    """
    from suffrage.survey.worldvaluesbench import scored

    found = scored(scores, benchmark)
    if as_json:
        print_json(found)
        return
    for question, value in found.items():
        typer.echo(f"{question:<6} {value:.4f}")


@survey_app.command("worldvaluesbench-predictions")
def write_worldvaluesbench_predictions(
    study: Annotated[Path, typer.Argument(help="A study that was run with the evaluation wvb.")],
    method: Annotated[str, typer.Argument(help="The method whose answers are wanted.")],
    output: Annotated[Path, typer.Argument(help="The CSV file to write.")],
    seed: Annotated[int | None, typer.Option(help="Of the study; its first by default.")] = None,
) -> None:
    """Write what a method answered as WorldValuesBench's own script reads it: one answer a person.

    Example: `suffrage survey worldvaluesbench-predictions study.yaml prompt predictions.csv`
    """
    from suffrage import storage
    from suffrage.evaluate.wvb import predictions_of
    from suffrage.study.run import probe_answers
    from suffrage.study.schema import load_study

    loaded = load_study(study)
    answers = probe_answers(loaded, "wvb", method, seed)
    options = next(spec.options for spec in loaded.evaluate if spec.name == "wvb")
    found = predictions_of(
        answers, options, loaded.folder, loaded.seeds[0] if seed is None else seed
    )
    storage.write_text(output, found.write_csv())
    typer.echo(f"{output}: {found.height} answers")


@app.command()
def profile(
    study: StudyPath,
    value_set: Annotated[str, typer.Argument(help="The value set's name in the study.")],
    against: Annotated[
        str | None, typer.Option(help="Another value set: show where the two differ most.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write an HTML page with the plot here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print and plot a value set, or where two differ most.

    Example: `suffrage profile examples/quickstart.yaml liberals --against conservatives --plot p.html`
    """
    from suffrage.report.terminal_pages import profile as profiles
    from suffrage.study.run import study_value_set
    from suffrage.study.schema import load_study

    loaded = load_study(study)
    first = study_value_set(loaded, value_set)
    other = study_value_set(loaded, against) if against else None
    if plot is not None:
        profiles.write_profile_page(first, other, plot)
    if as_json:
        print_json(profiles.profile_json(first, other))
        return
    from rich.console import Console

    console = Console()
    table = profiles.comparison_table(first, other) if other else profiles.profile_table(first)
    console.print(table)
    if plot is not None:
        typer.echo(f"Plot  {plot}")


@app.command()
def segment(
    study: StudyPath,
    value_set: Annotated[
        str | None, typer.Argument(help="A value set's name; default: everyone in the survey.")
    ] = None,
    classes: Annotated[str, typer.Option(help="How many, or auto.")] = "auto",
    most: Annotated[int, typer.Option(help="The most to try, with auto.")] = 6,
    items: Annotated[str, typer.Option(help="Item ids, with commas; default: all.")] = "",
    names: Annotated[str, typer.Option(help="Names, with commas, largest first.")] = "",
    freeze: Annotated[
        Path | None, typer.Option(help="Keep the segments in this folder, for the next wave.")
    ] = None,
    frozen: Annotated[
        Path | None, typer.Option(help="Use segments kept by --freeze instead of finding any.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write an HTML page here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find segments of respondents who answer alike: how many, what marks them, who is in them.

    Latent classes with weights and missing answers; the number by stability in resamples and ICL.

    Example: `suffrage segment examples/quickstart.yaml --plot segments.html`
    """
    from suffrage.report.terminal_pages import segments as pages
    from suffrage.study.schema import load_study
    from suffrage.study.segmenting import segment_study

    found, survey, title = segment_study(
        load_study(study),
        value_set,
        {"classes": classes, "most": most, "items": words(items), "names": words(names)},
        frozen,
        quiet=as_json,
    )
    if freeze is not None:
        found.write(freeze)
    if plot is not None:
        pages.write_segments_page(found, survey, title, plot)
    if as_json:
        print_json(pages.segments_json(found, survey))
        return
    from rich.console import Console

    Console().print(pages.segments_text(found, survey))
    if plot is not None:
        typer.echo(f"Plot    {plot}")
    if freeze is not None:
        typer.echo(f"Frozen  {freeze}")


@survey_app.command("topics")
def survey_topics(
    study: StudyPath,
    topics: Annotated[int | None, typer.Option(help="How many; default: found.", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """Find items that are answered together: the topics that show in the data.

    Example: `suffrage survey topics examples/quickstart.yaml`
    """
    from suffrage.report.terminal_pages.topics import find_topics, topics_text
    from suffrage.study.schema import load_study, study_survey

    survey = study_survey(load_study(study))
    found = find_topics(survey, topics)
    if as_json:
        print_json(found)
        return
    from rich.console import Console

    Console().print(topics_text(found, survey))


@values_app.command("list")
def list_taxonomies(as_json: AsJson = False) -> None:
    """List the value taxonomies.

    Example: `suffrage values list`
    """
    from suffrage.values.taxonomy import taxonomy, taxonomy_names

    found = [taxonomy(name) for name in taxonomy_names()]
    if as_json:
        print_json({one.name: one.title for one in found})
        return
    for one in found:
        typer.echo(f"{one.name:<12} {len(one.values):>3} values  {one.title}. {one.source}.")


@values_app.command("show")
def show_taxonomy(
    name: Annotated[str, typer.Argument(help="As `suffrage values list` names it.")],
    as_json: AsJson = False,
) -> None:
    """Show a taxonomy: its values, what they mean, and what they belong to.

    Example: `suffrage values show schwartz10`
    """
    from suffrage.report.terminal_pages.values import taxonomy_json, taxonomy_table
    from suffrage.values.taxonomy import taxonomy

    found = taxonomy(name)
    if as_json:
        print_json(taxonomy_json(found))
        return
    from rich.console import Console

    Console().print(taxonomy_table(found))


@values_app.command("score")
def score_values(
    study: StudyPath,
    key: Annotated[
        str, typer.Option(help="The instrument whose items the survey has: PVQ-21, PVQ-RR, WVS-7.")
    ] = "PVQ-21",
    plot: Annotated[Path | None, typer.Option(help="Write the scores as an HTML page.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score a study's populations on the values an instrument measures, with reliability.

    Example: `suffrage values score ess-study.yaml --plot values.html`
    """
    from suffrage.report.terminal_pages.values import scores_table, write_scores_page
    from suffrage.study.commands.scoring_values import score_study
    from suffrage.study.schema import load_study

    loaded = load_study(study)
    found = score_study(loaded, key)
    if plot is not None:
        write_scores_page(found, f"Values: {loaded.title or loaded.study}", plot)
    if as_json:
        print_json(found)
        return
    from rich.console import Console

    Console().print(scores_table(found))
    if plot is not None:
        typer.echo(f"Plot    {plot}")


def main() -> None:
    """Run the command line; users' mistakes end in one sentence and exit code 2."""
    from suffrage.errors import SuffrageError

    try:
        app()
    except SuffrageError as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        sys.exit(error.exit_code)
