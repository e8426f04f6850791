"""All evaluations on published data in one study: asked of a real (tiny) model, scored, shown."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.report.published_panels import DotRow, curves, dots
from suffrage.study.commands.finished_probes import probe_answers
from suffrage.study.planning.plan import plan_study
from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from suffrage.survey import worldvaluesbench
from tests.evaluate.outside_files import write_globalopinionqa, write_opinionqa
from tests.evaluate.test_transfer import OTHER
from tests.study.conftest import write_study
from tests.survey.test_worldvaluesbench import copy_of_the_repository, cross_national
from tests.synthetic import write_survey_files

__all__ = ["write_study"]


@pytest.fixture
def evaluate(tmp_path: Path) -> list[object]:
    from suffrage.survey.worldvaluesbench import write_benchmark

    (tmp_path / "other").mkdir()
    write_survey_files(tmp_path / "other", OTHER)
    write_globalopinionqa(tmp_path / "goqa.csv", ["Chile", "Japan"], count=6)
    write_opinionqa(tmp_path / "oqa.json.gz", ["SEX_Female", "SEX_Male"], count=6)
    repository = copy_of_the_repository(tmp_path)
    write_benchmark(cross_national(tmp_path, 1200), repository, tmp_path / "wvb")
    other = {
        "reader": "labelled_file",
        "path": "other/survey.csv",
        "codebook": "other/codebook.yaml",
    }
    return [
        "fit",
        "distances",
        {
            "evaluation": "transfer",
            "survey": other,
            "value_sets": {"north": {"region": "north"}, "south": {"region": "south"}},
            "most": 4,
        },
        {"evaluation": "globalopinionqa", "path": "goqa.csv"},
        {"evaluation": "opinionqa", "path": "oqa.json.gz"},
        {"evaluation": "wvb", "folder": "wvb"},
    ]


@pytest.mark.slow
def test_a_study_runs_them_all_and_shows_them(write_study, evaluate) -> None:  # type: ignore[no-untyped-def]
    # No cells by hundreds here: `base` is asked as itself alone, `prompt` is left out.
    study = read_study(write_study(methods=["base"], evaluate=evaluate))
    results = run_study(study, quiet=True).results
    assert results is not None
    names = {f.evaluation for f in results.figures if f.method == "base"}
    assert names == {"fit", "distances", "transfer", "globalopinionqa", "opinionqa", "wvb"}
    page = (study.output / "report.html").read_text()
    for words in (
        "Is it near these people by every measure",
        "Does what it learned from this survey hold in another survey",
        "Whose opinions in the world does it give",
        "Whose opinions among US adults does it give",
        "How does it do on WorldValuesBench",
        "Held out and trained on, side by side",
        "Country by country",
        "Group by group",
        "How many questions lie within which distance",
        "Chile: as itself",
    ):
        assert words in page, words
    # The trained side is in its own panel and in the tables, not in the section's first table.
    assert "items trained on</span>" not in page
    assert any(
        line.startswith("distances,js_similarity,base,") and ",trained," in line
        for line in (study.output / "figures.csv").read_text().splitlines()
    )
    # The answers as the benchmark's own script reads them, and scored by it.
    made = CliRunner().invoke(
        app,
        [
            "survey",
            "worldvaluesbench-predictions",
            str(study.source),
            "base",
            "--out",
            str(study.folder / "p.csv"),
        ],
    )
    assert made.exit_code == 0 and "p.csv: " in made.output
    by_question = worldvaluesbench.scored(study.folder / "p.csv", study.folder / "wvb")
    assert by_question and set(by_question) <= set(worldvaluesbench.PROBE_ITEMS)
    with pytest.raises(InputError, match=r"does not ask wvb of sft, seed 3; it asks .*wvb of base"):
        probe_answers(study, "wvb", "sft", None)
    # A changed file asks again, and only what reads it.
    write_globalopinionqa(study.folder / "goqa.csv", ["Chile", "Japan"], count=7)
    again = run_study(read_study(study.source), quiet=True)
    assert [step.split("-")[0] for step in again.computed] == [
        "probes globalopinionqa",
        "results results",
    ]


@pytest.mark.slow
def test_the_plan_counts_their_prompts_without_reading_the_files(write_study, evaluate) -> None:  # type: ignore[no-untyped-def]
    study = read_study(write_study(methods=["base"], evaluate=evaluate))
    plan = plan_study(study)
    asked = [planned.stage for planned in plan.stages if planned.stage.kind == "probes"]
    assert len(asked) == 4 and all(plan.seconds(stage) > 0 for stage in asked)


def test_pictures_escape_names_and_say_their_figures() -> None:
    found = dots([DotRow("A <b>", 0.5, 0.7, 0.9), DotRow("C", None, 0.6)], 0.55)
    assert "<b>" not in found and "A &lt;b&gt;: people&#x27;s own 0.90, as itself 0.50" in found
    places = [float(x) for x in re.findall(r'cx="([\d.]+)%"', found)]
    assert len(places) == 3 and places[0] < places[2] < places[1]
    drawn = curves([0.0, 0.2, 0.4], {"<i>": [0.0, 0.5, 1.0], "b": [0.0, 0.1, 0.2]})
    assert "<i>" not in drawn and "0.00,100.00 50.00,50.00 100.00,0.00" in drawn
    assert 'aria-label="At 0.40: &lt;i&gt; 1.00; b 0.20"' in drawn
