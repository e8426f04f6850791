"""Value sets that models are asked about and never trained on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.evaluate.results import LEARNED, LEFT_OUT, Results
from suffrage.population.distribution_distances import fit
from suffrage.report.tables import read_results
from suffrage.study.run import run_study
from suffrage.study.schema import Study, read_study
from suffrage.study.wiring import wire
from suffrage.training_data import Records
from tests.study.conftest import Write, study_writer

REGIONS = [
    {"name": name, "where": {"region": region, "age": age}, "description": f"{name} people"}
    for name, region, age in (
        ("young-north", "north", {"max": 49}),
        ("old-north", "north", {"min": 50}),
        ("young-south", "south", {"max": 49}),
        ("old-south", "south", {"min": 50}),
    )
]
METHODS = ["prompt", {"method": "distribution", "steps": 3, "batch": 12}]


def without(*names: str) -> list[dict[str, Any]]:
    return [{**region, "train": region["name"] not in names} for region in REGIONS]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, survey_files: Path, tiny_model: Path) -> Study:
    """A study that leaves one group out, run once for all tests."""
    folder = tmp_path_factory.mktemp("left-out")
    write = study_writer(folder, survey_files, tiny_model)
    study = read_study(write(value_sets=without("old-south"), methods=METHODS))
    run_study(study, quiet=True)
    return study


@pytest.fixture(scope="module")
def results(study: Study) -> Results:
    return read_results(study.output)


@pytest.mark.slow
def test_nothing_is_learned_from_a_left_out_group_and_it_is_asked_all_the_same(
    study: Study, results: Results
) -> None:
    (records,) = wire(study).records.values()
    trained_on = set(Records.read(records.folder).frame["value_set"])
    assert trained_on == {"young-north", "old-north", "young-south"}
    answered = {a.value_set for a in results.answers if a.method == "distribution"}
    assert "old-south" in answered
    assert [v.name for v in results.value_sets if v.left_out] == ["old-south"]


@pytest.mark.slow
def test_means_over_left_out_and_trained_groups_make_up_the_mean_over_all(
    results: Results,
) -> None:
    def value(value_set: str, method: str = "distribution") -> float:
        return next(
            s.value
            for s in results.figures
            if (s.method, s.value_set, s.side, s.measure, s.readout)
            == (method, value_set, "held_out", "fit", "letters")
        )

    assert value(LEFT_OUT) == pytest.approx(value("old-south"))
    learned = [value(r["name"]) for r in REGIONS if r["name"] != "old-south"]
    assert value(LEARNED) == pytest.approx(sum(learned) / 3)
    assert value("all") == pytest.approx((sum(learned) + value(LEFT_OUT)) / 4)


@pytest.mark.slow
def test_the_mean_of_the_trained_groups_is_a_floor_for_left_out_groups_alone(
    results: Results,
) -> None:
    shares = {
        (t.value_set, t.item): t.shares for t in results.targets if t.value_set != "old-south"
    }
    own = {t.item: t.shares for t in results.targets if t.value_set == "old-south"}
    held_out = [item.id for item in results.items if item.side[3] == "held_out"]
    by_hand = 0.0
    for item in held_out:
        told = [shares[region["name"], item] for region in REGIONS[:3]]
        mean = [sum(column) / 3 for column in zip(*told, strict=True)]
        by_hand += float(fit(np.array(own[item]), np.array(mean)))
    scores = {
        (s.value_set, s.side): s.value
        for s in results.figures
        if s.method == "others" and s.measure == "fit"
    }
    assert scores[LEFT_OUT, "held_out"] == pytest.approx(by_hand / len(held_out))
    assert {value_set for value_set, _ in scores} == {LEFT_OUT, "old-south"}
    against = {d.value_set for d in results.figure_differences if d.against == "others"}
    assert against == {LEFT_OUT, "old-south"}


@pytest.mark.slow
def test_the_report_has_a_table_of_left_out_groups_and_the_scoreboard_none_of_their_floor(
    study: Study,
) -> None:
    page = (study.output / "report.html").read_text()
    assert "Does it reach groups it was never trained on?" in page
    assert "old-south (left out of training)" in page
    board = page.split('id="scoreboard"')[1].split("Does it reach")[0]
    assert "Mean of the groups trained on" not in board
    assert read_results(study.output / "results.json").value_sets[3].left_out


def test_leaving_a_group_out_computes_no_value_set_again(write_study: Write) -> None:
    run_study(read_study(write_study(value_sets=REGIONS)), only="value_sets", quiet=True)
    study = read_study(write_study(value_sets=without("old-south")))
    assert run_study(study, only="value_sets", quiet=True).computed == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "value_sets": without("old-south"),
                "methods": [{"method": "distribution", "steps": 3, "together": False}],
            },
            "together: false makes one model for each value set, and none for old-south",
        ),
        ({"value_sets": without(*(r["name"] for r in REGIONS))}, "train: false is in all"),
    ],
)
def test_a_left_out_group_no_model_could_answer_for_is_refused(
    write_study: Write, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_study(write_study(**changes))


@pytest.mark.slow
def test_other_evaluations_too_have_means_over_the_groups_left_out(write_study: Write) -> None:
    evaluate = ["fit", "distances", "equity", "structure", "steerability"]
    study = read_study(
        write_study(
            value_sets=without("old-south", "young-south"), methods=METHODS, evaluate=evaluate
        )
    )
    results = run_study(study, quiet=True).results
    assert results is not None

    def values(evaluation: str, measure: str) -> dict[str, float]:
        return {
            f.value_set: f.value
            for f in results.figures
            if (f.evaluation, f.measure, f.method, f.seed)
            == (evaluation, measure, "distribution", "all")
            and f.side in (None, "held_out")
        }

    for evaluation, measure in (
        ("distances", "total_variation"),
        ("equity", "shortfall"),
        ("steerability", "name_adds"),
    ):
        found = values(evaluation, measure)
        south = (found["young-south"] + found["old-south"]) / 2
        north = (found["young-north"] + found["old-north"]) / 2
        assert found[LEFT_OUT] == pytest.approx(south)
        assert found[LEARNED] == pytest.approx(north)
        assert found["all"] == pytest.approx((south + north) / 2)
    # A measure that is a ratio and one that is a correlation have theirs too.
    assert {LEFT_OUT, LEARNED} <= set(values("structure", "spread"))
    assert {LEFT_OUT, LEARNED} <= set(values("distances", "calibration_error"))
    worst, short = values("equity", "worst"), values("equity", "shortfall")
    assert worst[LEFT_OUT] == pytest.approx(max(short["young-south"], short["old-south"]))
    assert worst["all"] == pytest.approx(max(worst[LEFT_OUT], worst[LEARNED]))
    page = (study.output / "report.html").read_text()
    assert (
        "Groups no method was trained on (old-south, young-south), next to the others" in page
        or ("Groups no method was trained on (young-south, old-south), next to the others" in page)
    )


def test_without_groups_left_out_there_is_no_such_mean() -> None:
    from suffrage.evaluate.statistics.figures import make_figures
    from suffrage.evaluate.statistics.intervals import Measured

    rows = [
        Measured(1, group, f"q{k}", f"c{k}", float(k + 10 * (group == "b")), np.ones(1))
        for k in range(4)
        for group in ("a", "b", "c")
    ]
    for left_out, expected in (((), None), (("a", "b", "c"), None), (("b",), 11.5)):
        figures, _ = make_figures("e", {"m": {"x": rows}}, ["x"], 1, left_out=left_out)
        found = {f.value_set: f.value for f in figures}
        assert found.get(LEFT_OUT) == expected
        assert found.get(LEARNED) == (None if expected is None else 1.5)
