"""`suffrage survey`: look at a survey, check it, and make benchmarks of it."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

import suffrage
from suffrage.cli.options import AsJson, StudyPath, print_json, print_rich, say
from suffrage.errors import InputError
from suffrage.plurals import plural


def inspect_command(
    study: StudyPath,
    items: Annotated[
        bool, typer.Option("--items", help="Show every item, and every line under each heading.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the readers of a study's sources read, what they set aside, and why.

    For a survey with respondents it shows who they are and what they answered. For a published
    table it shows populations, questions and the options set aside as non-response.

    Example: `suffrage survey inspect examples/quickstart.yaml`
    Example: `suffrage survey inspect examples/quickstart.yaml --items`
    """
    from suffrage.survey.inspection import inspect
    from suffrage.survey.reading import read_survey_or_table
    from suffrage.survey.survey import Survey
    from suffrage.survey.table_inspection import inspect_table

    loaded = suffrage.read_study(study)
    inspections = {}
    for source in loaded.survey:
        found = read_survey_or_table(source.section, loaded.folder)
        inspections[source.name] = (
            inspect(found) if isinstance(found, Survey) else inspect_table(found)
        )
    several = len(inspections) > 1
    if as_json:
        shown = {name: inspection.as_json() for name, inspection in inspections.items()}
        print_json(shown if several else next(iter(shown.values())))
        return
    for name, inspection in inspections.items():
        if several:
            say(f"Source {name}\n")
        print_rich(inspection.render(every_item=items))


def representativeness_command(study: StudyPath, as_json: AsJson = False) -> None:
    """Compare the sample with the study's targets: who is missing, and what raking costs.

    The study gives the targets under `weights:`.

    Example: `suffrage survey representativeness study.yaml`
    """
    from suffrage.report.terminal_pages.representativeness import (
        representativeness_json,
        representativeness_text,
    )
    from suffrage.study.schema import study_representativeness

    found = study_representativeness(suffrage.read_study(study))
    if as_json:
        print_json(representativeness_json(found))
        return
    print_rich(representativeness_text(found))


def check_command(
    path: Annotated[Path, typer.Argument(help="A study's YAML file, or a survey's data file.")],
    codebook: Annotated[
        Path | None, typer.Option(help="The codebook, for a data file given without a study.")
    ] = None,
    reader: Annotated[
        str, typer.Option(help="The reader, for a data file given without a study.")
    ] = "labelled_file",
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--option", help="An option of the reader, such as wave=10; repeat for several."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List where a codebook and its data contradict each other; exit code 1 if they do.

    The list has unknown codes with their file, rows and column, options nobody chose, items that
    everybody answered alike, and scales that look reversed.

    Example: `suffrage survey check examples/quickstart.yaml`
    Example: `suffrage survey check town.csv --codebook town.yaml`
    Example: `suffrage survey check ESS11.sav --reader ess --option countries=[DE]`
    """
    from dataclasses import asdict

    from suffrage.settings import key_values
    from suffrage.study.schema import respondents_source
    from suffrage.study.sources import value_set_members
    from suffrage.survey.contradictions import checked

    is_study = path.suffix.lower() in (".yaml", ".yml")
    if is_study:
        if codebook is not None or options or reader != "labelled_file":
            raise InputError("--codebook, --reader and --option go with a data file, not a study.")
        loaded = suffrage.read_study(path)
        section, folder = respondents_source(loaded).section, loaded.folder
        value_sets = partial(value_set_members, loaded)
    else:
        section = {"reader": reader, "path": str(path), **key_values(options or [], "--option")}
        section |= {"codebook": str(codebook)} if codebook is not None else {}
        folder, value_sets = Path(), None
    result = checked(section, folder, value_sets)
    found = result.contradictions
    if as_json:
        print_json([asdict(fault) for fault in found])
    else:
        for fault in found:
            say(f"{fault.item}: {fault.what}")
        say(result.compared)
        say(f"{plural(len(found), 'contradiction') if found else 'No contradictions'}.")
    if found:
        raise typer.Exit(1)


def draft_codebook_command(
    file: Annotated[
        Path | None, typer.Argument(help="A CSV, Parquet, SPSS, Stata or SAS file.")
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Print the template of a reader instead, such as nzavs.")
    ] = None,
) -> None:
    """Print a first codebook for a labelled file, which you then finish by hand.

    Example: `suffrage survey draft-codebook town.sav > town.yaml`
    """
    from suffrage.survey.draft import codebook_template
    from suffrage.survey.draft import draft_codebook as draft

    if (file is None) == (template is None):
        raise InputError("name either a file, or a template with --template.")
    say(codebook_template(template) if file is None else draft(file), nl=False)


def worldvaluesbench_command(
    file: Annotated[
        Path, typer.Argument(help="The cross-national file of wave 7 of the World Values Survey.")
    ],
    source: Annotated[
        Path, typer.Option(help="A copy of the repository Demon702/WorldValuesBench.")
    ],
    out: Annotated[
        Path, typer.Option(help="The folder to write the benchmark to.", metavar="FOLDER")
    ],
    probe_from: Annotated[
        str, typer.Option(help="The part to draw probe samples from: test or valid.")
    ] = "test",
    encoding: Annotated[
        str, typer.Option(help="The file's encoding: utf-8, latin-1 or windows-1252.")
    ] = "utf-8",
    as_json: AsJson = False,
) -> None:
    """Make WorldValuesBench from the archive's file: tables, 70/15/15 split, probe samples.

    Prints the number of participants and examples next to the figures its authors publish.

    Example: `suffrage survey worldvaluesbench WVS.csv --source WorldValuesBench --out wvb`
    """
    from typing import cast, get_args

    from suffrage.survey.reading import Encoding
    from suffrage.survey.worldvaluesbench import PUBLISHED, BenchmarkPart, write_benchmark

    if probe_from not in ("test", "valid"):
        raise InputError(f'--probe-from "{probe_from}": there are test and valid.')
    if encoding not in get_args(Encoding):
        raise InputError(f'--encoding "{encoding}": there are {", ".join(get_args(Encoding))}.')
    part, written_in = cast(BenchmarkPart, probe_from), cast(Encoding, encoding)
    benchmark, samples = write_benchmark(file, source, out, part, written_in)
    counts = benchmark.counts(samples)
    if as_json:
        named = {
            name: {"participants": people, "examples": examples, "published": PUBLISHED[name]}
            for name, (people, examples) in counts.items()
        }
        print_json({"parts": named, "outside_the_scale": dict(benchmark.outside)})
        return
    say(f"{'':<7}{'participants':>13}{'published':>11}{'examples':>13}{'published':>13}")
    for name, (people, examples) in counts.items():
        first, second = PUBLISHED[name]
        say(f"{name:<7}{people:>13,}{first:>11,}{examples:>13,}{second:>13,}")
    for item, count in benchmark.outside.items():
        say(f"{item}: {count} answers lie outside the scale of the question metadata.")


def worldvaluesbench_score_command(
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
        say(f"{question:<6} {value:.4f}")


def worldvaluesbench_predictions_command(
    study: Annotated[Path, typer.Argument(help="A study that was run with the evaluation wvb.")],
    method: Annotated[str, typer.Argument(help="The method whose answers to write.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write.", metavar="FILE")],
    seed: Annotated[
        int | None, typer.Option(help="A seed of the study; default: its first.", min=0)
    ] = None,
) -> None:
    """Write a method's answers for WorldValuesBench's own script: one answer for each person.

    Example: `suffrage survey worldvaluesbench-predictions study.yaml prompt --out
    predictions.csv`
    """
    from suffrage import storage
    from suffrage.evaluate.wvb import PREDICTION_COLUMNS, predictions_of
    from suffrage.study.commands.finished_probes import probe_answers

    own = re.compile(",".join(PREDICTION_COLUMNS).encode())
    storage.check_replaceable(out, own, "no file of predictions", "predictions.csv")
    loaded = suffrage.read_study(study)
    answers = probe_answers(loaded, "wvb", method, seed)
    options = next(spec.options for spec in loaded.evaluate if spec.name == "wvb")
    found = predictions_of(
        answers, options, loaded.folder, loaded.seeds[0] if seed is None else seed
    )
    storage.write_text(out, found.write_csv())
    say(f"{out}: {plural(found.height, 'answer')}")


def topics_command(
    study: StudyPath,
    topics: Annotated[
        int | None, typer.Option(help="How many topics; default: found from the data.", min=1)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find topics: items that people answer together.

    Example: `suffrage survey topics examples/quickstart.yaml`
    """
    from suffrage.report.terminal_pages.topics import find_topics, topics_text
    from suffrage.study.schema import study_survey

    survey = study_survey(suffrage.read_study(study))
    found = find_topics(survey, topics)
    if as_json:
        print_json(found)
        return
    print_rich(topics_text(found, survey))
