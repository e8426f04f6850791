"""EleutherAI's harness on tasks over local files, against its own run and against plain torch."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suffrage.errors import InputError
from suffrage.evaluate import capability
from suffrage.evaluate.scorecard import ProbeInput
from suffrage.models import LanguageModel, identify
from tests.evaluate.asking import NO_TEXTS, evaluated, value_of
from tests.evaluate.test_capability_and_safety import SETS, SPLIT
from tests.synthetic import make_tiny_model

pytest.importorskip("lm_eval", reason='pip install "suffrage[lm-eval]" brings the harness')

CHOICE = """
task: own_choice
dataset_path: json
dataset_kwargs: {data_files: {test: choice.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: answer
doc_to_choice: choices
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
"""
# An answer is read in two ways, which score differently.
WRITTEN = """
task: own_written
dataset_path: json
dataset_kwargs: {data_files: {test: written.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8, do_sample: false}
filter_list:
  - {name: "whole", filter: [{function: take_first}]}
  - name: "nothing"
    filter:
      - {function: regex, regex_pattern: "(never found)", fallback: "[none]"}
      - {function: take_first}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
"""
WITHOUT = CHOICE.replace("own_choice", "own_loose").replace(
    "metric: acc, aggregation: mean", "metric: brier_score, aggregation: brier_score"
)
BROKEN = CHOICE.replace("own_choice", "own_broken").replace("metric: acc,", "metric: brier_score,")
QUESTIONS = [
    {
        "question": f"What is {k} plus {k + 1}?",
        "choices": [str(2 * k + 1), str(k), "blue", f"{k} times two"],
        "answer": k % 4,
    }
    for k in range(14)
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    folder = make_tiny_model(tmp_path_factory.mktemp("asked"), seed=3)
    return LanguageModel.load(identify(str(folder), Path()))


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory, model: LanguageModel) -> Path:
    folder = tmp_path_factory.mktemp("study")
    own = folder / "tasks"
    own.mkdir()
    lines = [json.dumps(one) for one in QUESTIONS]
    (own / "choice.jsonl").write_text("\n".join(lines))
    for name, text in {
        "choice": CHOICE, "written": WRITTEN, "loose": WITHOUT, "broken": BROKEN
    }.items():  # fmt: skip
        (own / f"{name}.yaml").write_text(text)
    # Half of the answers are what this model writes, so that the first reading is half right.
    starts = [f"Say {k}:" for k in range(6)]
    said = [greedy(model, start) for start in starts]
    rows = [
        {"question": start, "answer": text if k % 2 else "something else"}
        for k, (start, text) in enumerate(zip(starts, said, strict=True))
    ]
    (own / "written.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Any use of the network fails at once; prepared data goes into the test's own folder."""
    import datasets
    from huggingface_hub import constants

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # or it tries again and again
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    yield


def greedy(model: LanguageModel, start: str) -> str:
    """Eight likeliest tokens in a row, up to the end of the line, as the harness cuts them."""
    import torch

    ids = model.tokenizer(start, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        for _ in range(8):
            following = model.model(input_ids=ids).logits[0, -1].argmax()
            ids = torch.cat([ids, following[None, None]], dim=1)
    written = ids[0, model.tokenizer(start, return_tensors="pt")["input_ids"].shape[1] :]
    return str(model.tokenizer.decode(written, skip_special_tokens=True)).split("\n")[0]


def options(*names: str, **more: Any) -> capability.Options:
    return capability.Options(lm_eval=names, harness_tasks="tasks", samples=1, **more)


def test_a_task_is_scored_as_the_harness_scores_it_itself(
    model: LanguageModel, tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lm_eval
    from lm_eval.tasks import TaskManager

    card = evaluated(
        capability.EVALUATION, {"base": model}, SETS, SPLIT, options("own_choice"), folder=tasks
    )
    found = value_of(card, "harness", "base")
    monkeypatch.chdir(tasks / "tasks")
    own = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": model.identity.source, "dtype": "float32"},
        device="cpu",
        tasks=["own_choice"],
        bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tasks / "tasks"), include_defaults=False),
    )
    assert own is not None
    assert found.value == pytest.approx(own["results"]["own_choice"]["acc,none"])
    assert found.n == len(QUESTIONS) and 0 < found.value < 1
    assert found.low < found.value < found.high


def test_each_question_is_right_where_its_ending_is_the_likeliest(
    model: LanguageModel, tasks: Path
) -> None:
    import torch

    def log_probability(start: str, ending: str) -> float:
        first = model.tokenizer(start)["input_ids"]
        whole = model.tokenizer(start + ending)["input_ids"]
        with torch.inference_mode():
            logs = model.model(input_ids=torch.tensor([whole])).logits[0].log_softmax(-1)
        return sum(float(logs[k - 1, whole[k]]) for k in range(len(first), len(whole)))

    rows = list(capability.harness_rows(model, options("own_choice", harness_limit=9), tasks))
    assert [row["question"] for row in rows] == [f"own_choice-{k}" for k in range(9)]
    for row, one in zip(rows, QUESTIONS, strict=False):
        start = f"Question: {one['question']}\nAnswer:"
        logs = [log_probability(start, f" {choice}") for choice in one["choices"]]  # type: ignore[attr-defined]
        assert row["right"] == float(logs.index(max(logs)) == one["answer"])


def test_an_answer_read_in_several_ways_counts_once_in_the_first(
    model: LanguageModel, tasks: Path
) -> None:
    rows = list(capability.harness_rows(model, options("own_written"), tasks))
    assert [row["right"] for row in rows] == [0.0, 1.0] * 3


def test_what_cannot_be_run_is_said_in_a_sentence(model: LanguageModel, tasks: Path) -> None:
    for name, words in (
        ("no_such_task", "no_such_task could not be run"),
        ("own_broken", "own_broken could not be run"),
        ("own_loose", "own_loose has none of acc, exact_match"),
        ("arc_easy", "arc_easy could not be run .*reachable or in the cache"),
    ):
        with pytest.raises(InputError, match=words):
            list(capability.harness_rows(model, options(name), tasks))
    with pytest.raises(InputError, match="own_choice could not be run"):
        list(capability.harness_rows(model, capability.Options(lm_eval=("own_choice",)), tasks))


def test_own_tasks_decide_the_outcome_and_the_folder_is_left_as_it_was(
    model: LanguageModel, tasks: Path
) -> None:
    assert options("own_choice").files == ("tasks",) and capability.Options().files == ()
    before = Path.cwd()
    with pytest.raises(InputError):
        list(capability.harness_rows(model, options("no_such_task"), tasks))
    assert Path.cwd() == before
    asked = ProbeInput(model, SETS, False, [SPLIT], NO_TEXTS, options("own_choice"), 1, tasks)
    frame = capability.probe(asked)
    assert set(frame["kind"]) == {"fact", "sum", "instruction", "lm-eval:own_choice"}
