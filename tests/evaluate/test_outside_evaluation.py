"""An evaluation of another package: asked once for each model, scored, shown in the report."""

import sys
from pathlib import Path

import pytest

from suffrage.evaluate import ProbeInput
from suffrage.evaluate.asking.answers import Scoring
from suffrage.evaluate.statistics.figures import holm
from suffrage.population import build_value_set
from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from suffrage.training_data import HeldOut, split_items
from tests.impostors import people
from tests.study.conftest import write_study
from tests.synthetic import make_survey

__all__ = ["write_study"]

SOURCE = '''
"""`first-option`, as another package would add it: the probability of the option shown first."""

import numpy as np
import polars as pl

from suffrage.evaluate import Evaluation, EvaluationOptions, Scorecard
from suffrage.evaluate.statistics.figures import make_figures
from suffrage.evaluate.statistics.intervals import Measured
from suffrage.evaluate.results import Measure
from suffrage.models import LabelChoice, ways_of_asking


class Options(EvaluationOptions):
    """most: items asked."""

    most: int = 4


def probe(given):
    rows = []
    for place in given.places:
        for item in given.items[: given.options.most]:
            question = ways_of_asking(item, place.persona)[0]
            (shares,) = given.model.choose([LabelChoice(tuple(question.messages), question.labels)])
            rows.append(
                {
                    "value_set": place.value_set,
                    "item": item.id,
                    "first": float(shares[0] / shares.sum()),
                }
            )
        given.advance(1.0)
    return pl.DataFrame(rows)


def score(given, seed):
    units = {}
    for method, at in given.probes:
        for value_set in given.value_sets:
            for row in given.said(method, at, value_set.name).to_dicts():
                units.setdefault(method, []).append(
                    Measured(at, value_set.name, row["item"], row["item"], row["first"], np.ones(1))
                )
    figures, differences = make_figures(
        "first-option", {"first": units}, given.methods, seed, ceilings={"first": 1.0}
    )
    return Scorecard(figures=figures, figure_differences=differences, notes=("From outside.",))


EVALUATION = Evaluation(
    "first-option",
    score,
    question="Does it just take the first option?",
    cannot_show="Anything else.",
    measures=(
        Measure(
            name="first", label="First option", explanation="Share of it.", better="lower",
            unit="questions", headline=True,
        ),
    ),
    options=Options,
    probe=probe,
    prompts=lambda value_sets, splits, options, folder: options.most,
)
'''


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    facts = site / "first_option-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "first_option.py").write_text(SOURCE)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: first-option\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[suffrage.evaluations]\nfirst-option = first_option:EVALUATION\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "first_option", raising=False)


@pytest.mark.slow
def test_an_evaluation_of_another_package_runs_in_a_study(
    outside: None,
    write_study: object,
) -> None:
    evaluate = ["fit", {"evaluation": "first-option", "most": 3}]
    study = read_study(write_study(evaluate=evaluate))  # type: ignore[operator]
    finished = run_study(study, quiet=True)
    results = finished.results
    assert results is not None
    figures = [f for f in results.figures if f.evaluation == "first-option"]
    assert {f.method for f in figures} == {"base", "prompt", "distribution"}
    whole = [f for f in figures if (f.value_set, f.method) == ("all", "base")]
    assert [(f.measure, f.n, f.ceiling) for f in whole] == [("first", 3, 1.0)]
    pairs = {(d.method, d.against) for d in results.differences_of("first-option", "first")}
    assert pairs == {("prompt", "base"), ("distribution", "base"), ("distribution", "prompt")}
    page = (study.output / "report.html").read_text()
    assert "Does it just take the first option?" in page and "Anything else." in page
    assert (study.output / "figures.csv").read_text().count("first-option") == len(figures)
    # What was asked is kept: the same study asks nothing again, and other options ask again.
    assert run_study(study, quiet=True).computed == ()
    evaluate[1] = {"evaluation": "first-option", "most": 2}
    again = run_study(read_study(write_study(evaluate=evaluate)), quiet=True)  # type: ignore[operator]
    assert [step.split()[0] for step in again.computed] == ["probes"] * 3 + ["results"]


def test_a_wrong_option_names_the_place(outside: None, write_study: object) -> None:
    from suffrage.errors import InputError

    with pytest.raises(InputError, match=r"evaluate\[0\].*least"):
        read_study(write_study(evaluate=[{"evaluation": "first-option", "least": 1}]))  # type: ignore[operator]


def test_places_name_populations_or_nobody() -> None:
    survey = make_survey(respondents=200, items=6)
    sets = [build_value_set(survey, n, {"region": n}, 1) for n in ("north", "south")]
    split = split_items(survey.codebook.items, HeldOut(share=0.34), 1)
    model = people(sets, lambda shares: shares)
    given = ProbeInput(model, sets, True, [split], Scoring(), None, 1, Path())
    assert [place.value_set for place in given.places] == ["north", "south"]
    assert {item.id for item in given.held_out} == set(split.held_out)
    itself = ProbeInput(model, sets, False, [split], Scoring(), None, 1, Path())
    assert [(place.value_set, place.persona) for place in itself.places] == [("", None)]


def test_holm_against_a_worked_example() -> None:
    # Holm 1979: the smallest times m, the next times m - 1, never falling.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
