"""A whole study on a tiny model: computed once, gone on with after a kill, the same again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from suffrage.align import TrainingJob
from suffrage.errors import InputError
from suffrage.models import LanguageModel
from suffrage.models.cache import AnswerStore
from suffrage.study import stage_outputs
from suffrage.study.commands.paraphrasing import paraphrase
from suffrage.study.inputs import StudyInputs
from suffrage.study.run import STORE, run_study
from suffrage.study.schema import read_study, study_survey
from suffrage.study.segmenting import with_value_sets
from suffrage.study.stage_outputs import results_of_study
from suffrage.study.wiring import wire
from tests.align.killed_process import run_until_killed
from tests.json_keys import check_keys
from tests.study.conftest import Write

SUFFRAGE = [sys.executable, "-m", "suffrage"]


@pytest.mark.slow
def test_a_study_runs_to_its_report_and_then_computes_nothing_again(write_study: Write) -> None:
    study = read_study(
        write_study(
            methods=[
                "base",
                "prompt",
                {"method": "sft", "steps": 2, "batch": 4},
                {"method": "distribution", "steps": 4, "batch": 4, "together": False},
            ],
            seed=None,
            seeds=[1, 2],
            price={"per_hour": 3.0, "currency": "NZD"},
        )
    )
    finished = run_study(study)
    assert finished.results is not None and finished.computed
    kinds = {m.name: m.kind for m in finished.results.methods}
    assert kinds == {
        "uniform": "floor",
        "average": "floor",
        "nearest": "floor",
        "base": "untrained",
        "prompt": "untrained",
        "sft": "trained",
        "distribution": "trained",
        "ceiling": "ceiling",
    }
    apart = next(m for m in finished.results.methods if m.name == "distribution")
    assert len(apart.checkpoints) == 4, "two value sets apart, two seeds"
    assert all(cost.money and cost.currency == "NZD" for cost in apart.costs)
    page = (finished.folder / "report.html").read_text()
    assert "people up north" in page and "http://" not in page.split("<body")[0]
    for name in ("results.json", "figures.csv", "differences.csv", "scoreboard.tex"):
        assert (finished.folder / name).stat().st_size > 0
    assert {r.readout for r in finished.results.answers} >= {"letters", "text"}
    again = run_study(study)
    assert again.computed == ()
    assert again.results == finished.results
    moved: list[float] = []
    with AnswerStore(finished.folder / STORE) as store:
        results_of_study(StudyInputs(wire(with_value_sets(study))), store, moved.append)
    assert len(moved) == len(study.evaluate) + 1, "reading, and each evaluation"
    assert moved[0] > 0 and moved[-1] < 1 and moved == sorted(set(moved))


@pytest.mark.slow
def test_the_same_study_elsewhere_gives_the_same_scores(write_study: Write, tmp_path: Path) -> None:
    one = run_study(read_study(write_study())).results
    two = run_study(read_study(write_study(output="elsewhere"))).results
    assert one is not None and two is not None
    assert one.figures == two.figures and one.figure_differences == two.figure_differences


@pytest.mark.slow
def test_only_stops_early_and_force_computes_again(write_study: Write) -> None:
    study = read_study(write_study())
    early = run_study(study, only="records")
    assert early.results is None
    assert not any(step.startswith("align") for step in early.computed)
    rest = run_study(study)
    assert not any(step.startswith(("survey", "records")) for step in rest.computed)
    forced = run_study(study, force="answers")
    assert {step.split()[0] for step in forced.computed} == {"answers", "results"}


@pytest.mark.slow
def test_a_changed_setting_computes_only_what_it_touches_and_loses_nothing(
    write_study: Write,
) -> None:
    first = run_study(read_study(write_study()))
    before = set((first.folder / "checkpoints").iterdir())
    longer = {"method": "distribution", "steps": 5, "batch": 4}
    second = run_study(read_study(write_study(methods=["base", "prompt", longer])))
    assert {step.split()[0] for step in second.computed} == {
        "records",
        "align",
        "answers",
        "results",
    }
    assert before <= set((second.folder / "checkpoints").iterdir())


def folder_weights(folder: Path) -> bytes:
    (found,) = (folder / "checkpoints" / "distribution-seed3").glob("*.safetensors")
    return found.read_bytes()


def run_until_step_five(path: Path) -> None:
    """Run a study, and die in the fifth step of its training."""
    made = stage_outputs.TrainingJob

    def mortal(**given: Any) -> TrainingJob:
        on_step = given.pop("on_step")

        def die(step: int, total: int, loss: float) -> None:
            on_step(step, total, loss)
            if step == 5:
                os.kill(os.getpid(), signal.SIGKILL)

        return made(**given, on_step=die)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage_outputs, "TrainingJob", mortal)
        run_study(read_study(path), quiet=True)


@pytest.mark.slow
def test_a_run_killed_in_training_ends_as_an_unbroken_one(
    write_study: Write, tmp_path: Path
) -> None:
    training = {"method": "distribution", "steps": 8, "batch": 4, "save_every": 3}
    path = write_study(methods=["base", training], output="broken")
    run_until_killed(run_until_step_five, path)
    broken = run_study(read_study(path)).results
    resumed = json.loads(
        (tmp_path / "broken/checkpoints/distribution-seed3/manifest.json").read_text()
    )["resumed_from_step"]
    assert resumed == 3, "the second run went on from the saved point"
    whole = run_study(read_study(write_study(methods=["base", training], output="whole"))).results
    assert folder_weights(tmp_path / "broken") == folder_weights(tmp_path / "whole")
    assert broken is not None and whole is not None
    assert broken.figures == whole.figures


def test_two_runs_in_one_folder_at_once_are_refused(write_study: Write, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with (
        FileLock(tmp_path / "out" / ".lock"),
        pytest.raises(InputError, match="another run is at work in this folder"),
    ):
        run_study(read_study(write_study()))


@pytest.mark.slow
def test_checkpoints_load_with_peft_over_their_base_model(
    write_study: Write, tiny_model: Path
) -> None:
    """An adapter names no folder of the trainer's machine: the base model is loaded first."""
    finished = run_study(read_study(write_study()), only="align")
    folder = str(finished.folder / "checkpoints" / "distribution-seed3")
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    model = PeftModel.from_pretrained(base, folder)
    assert any("lora" in name for name, _ in model.named_parameters()), "the adapter is in"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model(**tokenizer("Hello", return_tensors="pt")).logits.shape[-1] > 100


@pytest.mark.slow
def test_a_plan_starts_nothing(write_study: Write, tmp_path: Path) -> None:
    path = write_study()
    found = subprocess.run(
        [*SUFFRAGE, "plan", str(path), "--json"], capture_output=True, text=True, check=True
    )
    plan = json.loads(found.stdout)
    assert not (tmp_path / "out").exists()
    assert {stage["kind"] for stage in plan["stages"]} >= {"survey", "align", "answers", "results"}
    assert plan["seconds_left"] > 0


@pytest.mark.slow
def test_a_model_paraphrases_items_and_training_uses_what_was_kept(
    write_study: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write_study(methods=["base"])
    study = read_study(path)
    items = [item.question for item in study_survey(study).codebook.items]
    # What a model would write: one good wording an item, one that lost its way, one empty.
    answers = iter([[f"Tell us: {q}", items[0], ""] for q in items])
    with monkeypatch.context() as patch:
        patch.setattr(LanguageModel, "sample", lambda *_, **__: [next(answers)])
        said = paraphrase(study, None, 3, tmp_path / "p.json", quiet=True)
        check_keys("paraphrase", said)
    assert said["kept"] >= 1 and said["empty"] == len(items)
    assert said["asked"] == 3 * len(items)
    assert sum(said["dropped"].values()) + said["kept"] == 2 * len(items)
    method = {
        "method": "augmented-sft",
        "steps": 2,
        "batch": 4,
        "paraphrases": str(tmp_path / "p.json"),
    }
    study = read_study(write_study(methods=["base", method]))
    finished = run_study(study, only="align", quiet=True)
    assert finished.computed[-1].startswith("align augmented-sft")
    records = next((finished.folder / "records").glob("augmented-sft*/records.json"))
    assert json.loads(records.read_text())["made_from"]["paraphrases"] == said["kept"]


@pytest.mark.slow
def test_a_training_goes_on_from_anothers_checkpoint(write_study: Write) -> None:
    methods = [
        {"method": "sft", "steps": 2, "batch": 4},
        {"method": "dpo", "from": "sft", "steps": 2, "batch": 4},
    ]
    finished = run_study(read_study(write_study(methods=methods)), only="align", quiet=True)
    manifest = next((finished.folder / "checkpoints").glob("dpo-*/manifest.json"))
    assert json.loads(manifest.read_text())["from"] == "sft"
    for wrong, said in (
        ([{"method": "dpo", "from": "sft"}], "is no trained method above it"),
        (["base", {"method": "prompt", "from": "base"}], "from: is for methods that are trained"),
    ):
        with pytest.raises(InputError, match=said):
            read_study(write_study(methods=wrong))


@pytest.mark.slow
def test_general_instructions_are_mixed_into_every_step(write_study: Write, tmp_path: Path) -> None:
    general = tmp_path / "general.jsonl"
    general.write_text('{"prompt": "What is 2 + 2?", "completion": "4"}\n')
    mixed = {"steps": 2, "batch": 4, "general": str(general), "general_share": 0.25}
    methods = [{"method": name, **mixed} for name in ("distribution", "dpo", "kto", "sft")]
    finished = run_study(read_study(write_study(methods=methods)), only="align", quiet=True)
    assert sum(step.startswith("align") for step in finished.computed) == 4
    for name in ("distribution", "dpo", "kto", "sft"):
        path = next((finished.folder / "records").glob(f"{name}-*/records.jsonl"))
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert [row["format"] == "general" for row in rows] == [False, False, False, True] * 2
    general.write_text("no json\n")
    with pytest.raises(InputError, match="line 1"):
        run_study(read_study(write_study(methods=methods)), quiet=True)
