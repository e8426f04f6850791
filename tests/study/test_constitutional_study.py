"""A study that names `cai` and `ccai`: to its report, and again when a principle changes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from suffrage import registry
from suffrage.errors import InputError, SuffrageError
from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from suffrage.study.wiring import wire
from tests.study.conftest import Write

# A tiny random model cannot judge, and is not asked whether it can.
CAI: dict[str, Any] = {
    **{"method": "cai", "steps": 2, "batch": 4, "drafts": 6, "longest": 6, "keep": "all"},
    "least_agreement": 0,
}
PRINCIPLES = [
    {"id": "kind", "text": "Be kind.", "group_support": {"a": 0.9, "b": 0.8}},
    {"id": "short", "text": "Be brief.", "group_support": {"a": 0.2, "b": 0.9}},
]

needs_registration = pytest.mark.skipif(
    "cai" not in registry.names("methods"),
    reason="the installed package does not register cai yet: pip install -e . once more",
)


def write_principles(folder: Path, principles: list[dict[str, Any]]) -> None:
    (folder / "principles.yaml").write_text(yaml.safe_dump({"principles": principles}))


@pytest.mark.slow
@needs_registration
def test_a_study_runs_both_and_a_changed_principle_is_trained_anew(
    write_study: Write, tmp_path: Path
) -> None:
    write_principles(tmp_path, PRINCIPLES)
    ccai = {**CAI, "method": "ccai", "constitution": "principles.yaml", "then": "none"}
    path = write_study(methods=["prompt", CAI, ccai])
    finished = run_study(read_study(path))
    assert finished.results is not None
    first, second = finished.results.self_feedback
    assert (first.method, second.method) == ("cai", "ccai")
    assert sum(first.drafts.values()) == 6 and first.judgements is not None
    assert {p.value_set for p in first.principles} == {"north", "south"}
    assert second.judgements is None
    assert "What the model said of its own answers" in (finished.folder / "report.html").read_text()
    held_out = {item.id for item in finished.results.items if item.side[3] == "held_out"}
    assert held_out and not held_out & {p.id for p in first.principles}
    for folder in (finished.folder / "checkpoints").glob("*-seed3"):
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["method"] in ("cai", "ccai") and manifest["base_model"]
    assert run_study(read_study(path)).computed == ()
    write_principles(tmp_path, PRINCIPLES[:1])
    again = run_study(read_study(path)).computed
    assert [step for step in again if step.startswith("align")] == ["align ccai-seed3"]


@pytest.mark.slow
@needs_registration
def test_a_judge_that_fails_stops_the_study_and_a_changed_bound_lets_it_go_on(
    write_study: Write,
) -> None:
    path = write_study(methods=["prompt", {**CAI, "least_agreement": 0.95}])
    with pytest.raises(SuffrageError, match=r"cannot judge by a principle.*least_agreement: 0"):
        run_study(read_study(path))
    path = write_study(methods=["prompt", {**CAI, "least_agreement": 0.01}])
    finished = run_study(read_study(path))
    assert finished.results is not None
    (found,) = finished.results.self_feedback
    assert found.judge_check is not None and found.judge_check.least_agreement == 0.01
    assert "pairs whose better answer is known" in (finished.folder / "report.html").read_text()


@needs_registration
@pytest.mark.parametrize(("then", "differ"), [("dpo", True), ("none", False)])
def test_the_bound_changes_a_trainings_key_only_where_a_judge_is_checked(
    then: str, differ: bool, write_study: Write
) -> None:
    def key(bound: float) -> str:
        cai = {**CAI, "then": then, "least_agreement": bound}
        (stage,) = wire(read_study(write_study(methods=[cai]))).align.values()
        return stage.key

    assert (key(0.7) != key(0.8)) == differ
    assert (key(0.7) != key(0)) == differ


@needs_registration
@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"constitution": "none.yaml"}, "none.yaml is not there"),
        ({"prompts": "none.jsonl"}, "none.jsonl is not there"),
        ({"then": "ppo2"}, r"methods\[0\].then"),
        ({"then_options": {"bets": 1}}, "then_options: bets"),
    ],
)
def test_a_mistake_is_named_before_anything_runs(
    more: dict[str, Any], complaint: str, write_study: Write
) -> None:
    with pytest.raises(InputError, match=complaint):
        run_study(read_study(write_study(methods=[{**CAI, **more}])))
