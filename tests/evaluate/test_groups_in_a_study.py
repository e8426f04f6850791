"""The evaluations of groups in a whole study: asked once, kept, planned, and shown."""

from pathlib import Path

import pytest

from suffrage.errors import InputError
from suffrage.study.planning.plan import plan_study
from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from tests.study.conftest import write_study

__all__ = ["write_study"]

ALL = ["fit", "steerability", "equity", {"evaluation": "robustness", "items": 2}, "structure"]


@pytest.mark.slow
def test_a_study_runs_all_four_and_asks_nothing_twice(write_study: object) -> None:
    study = read_study(write_study(evaluate=ALL))  # type: ignore[operator]
    planned = {s.stage.label: s.seconds for s in plan_study(study).stages}
    assert planned["robustness-base"] > 0 and planned["steerability-prompt"] > 0
    finished = run_study(study, quiet=True)
    results = finished.results
    assert results is not None
    found = {f.evaluation for f in results.figures}
    assert {"steerability", "equity", "structure", "robustness"} <= found
    # The untrained model is never told whom to answer as.
    steered = {f.method for f in results.figures if f.evaluation == "steerability"}
    assert steered == {"prompt", "distribution"}
    page = (study.output / "report.html").read_text()
    assert all(f'<section id="{name}">' in page for name in found - {"fit"})  # the scoreboard
    assert run_study(study, quiet=True).computed == ()


def test_a_missing_translation_is_named_before_anything_runs(
    write_study: object, tmp_path: Path
) -> None:
    entry = {"evaluation": "robustness", "translations": ["mi.json"]}
    study = read_study(write_study(evaluate=["fit", entry]))  # type: ignore[operator]
    with pytest.raises(InputError, match=r"robustness: .*mi\.json is not there"):
        run_study(study, quiet=True)


def test_a_wrong_kind_of_change_names_the_place(write_study: object) -> None:
    entry = {"evaluation": "robustness", "kinds": ["typos"]}
    with pytest.raises(InputError, match=r"evaluate\[0\].*kinds"):
        read_study(write_study(evaluate=[entry]))  # type: ignore[operator]
