"""Candidate answers by a study's checkpoints: who wrote each, how, and what was left out."""

import json
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.consult.candidate_answers import OpenPrompt, candidates_of_text
from suffrage.errors import InputError
from suffrage.study.commands.write_candidates import (
    CandidateSettings,
    CandidateSource,
    candidates_of,
    numbered_answers,
    write_study_candidates,
)
from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from tests.json_keys import check_keys
from tests.study.conftest import Write


def test_a_numbered_list_is_taken_apart_and_a_number_out_of_turn_is_not() -> None:
    texts = numbered_answers("1. One.\n2. Two:\n1. inside\n3) Three.", 9)
    assert texts == ["One.", "Two:\n1. inside", "Three."]
    assert numbered_answers("**1.** Bold\n**2.** Too", 9) == ["Bold", "Too"]
    assert numbered_answers("Answer 1: A\nAnswer 2: B\nAnswer 3: C", 2) == ["A", "B"]
    assert numbered_answers("No list at all, 1. not even here.", 3) == []


class Pen:
    """Writes what it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.seeds: list[int] = []

    def tokenizer(self, text: str, add_special_tokens: bool) -> dict[str, list[str]]:
        return {"input_ids": text.split()}

    def write(self, chats, count, longest, seed):  # type: ignore[no-untyped-def]
        self.asked += [chat[0]["content"] for chat in chats]
        self.seeds.append(seed)
        if count == 1:
            return [["1. Yes to all.\n2. No to all."]]
        return [["Perhaps so.", " ", "Yes to all."][:count]]


def test_both_ways_are_asked_counted_and_told_apart() -> None:
    pen, counts = Pen(), Counter[str]()
    source = CandidateSource("sft", 7, "north", "people up north", None, "key", "sft, north")
    settings = CandidateSettings(count=3)
    found = candidates_of(pen, source, OpenPrompt("Ban cars?", topic="traffic"), settings, counts)
    assert [(c.text, c.made_with["how"]) for c in found] == [
        ("Perhaps so.", "sampled"),
        ("Yes to all.", "sampled"),
        ("Yes to all.", "diverse"),
        ("No to all.", "diverse"),
    ]
    assert counts == {"asked": 6, "empty": 1, "missing": 1}
    assert pen.asked[0] == "Ban cars?\n\nAnswer as people up north would."
    assert "Write 3 different answers" in pen.asked[1]
    assert found[0].made_with["checkpoint"] == "key" and found[0].tokens == 2
    assert found[0].topic == "traffic" and len(set(pen.seeds)) == 2


@pytest.mark.slow
def test_a_studys_checkpoints_write_and_say_who_wrote(write_study: Write, tmp_path: Path) -> None:
    path = write_study(methods=["base", "prompt", {"method": "distribution", "steps": 1}])
    study = read_study(path)
    run_study(study, only="align", quiet=True)
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "Ban cars?"}\n{"prompt": "More trees?"}\n')
    command = ["consult", "answers", str(path), "--prompts", str(prompts), "--count", "2"]
    command += ["--how", "sampled", "--longest", "5"]
    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "a.jsonl"), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    check_keys("consult answers", told)
    found = candidates_of_text((tmp_path / "a.jsonl").read_text("utf-8"), "a.jsonl")
    assert told["kept"] == len(found) and told["asked"] == 2 * 2 * 5
    assert told["written"] + told["empty"] == told["asked"]
    assert {c.model for c in found} <= {
        "base",
        *(f"{m}, {v}" for m in ("prompt", "distribution") for v in ("north", "south")),
    }
    trained = {c.made_with["checkpoint"] for c in found if c.made_with["method"] == "distribution"}
    assert len(trained) == 1
    assert trained.isdisjoint(c.made_with["checkpoint"] for c in found if c.model == "base")
    CliRunner().invoke(app, [*command, "--out", str(tmp_path / "b.jsonl")])
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_an_untrained_method_and_an_unknown_one_are_named(
    write_study: Write, tmp_path: Path
) -> None:
    study = read_study(write_study())
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "Ban cars?"}\n')
    for names, message in ((["distribution"], "not trained yet"), (["nobody"], "the study has")):
        with pytest.raises(InputError, match=message):
            write_study_candidates(study, prompts, tmp_path / "a.jsonl", names)
    with pytest.raises(InputError, match="need 2 or more"):
        CandidateSettings(count=1)


@pytest.mark.parametrize(
    "command",
    [
        ["paraphrase", "STUDY", "--out", "OUT"],
        ["consult", "answers", "STUDY", "--prompts", "PROMPTS", "--out", "OUT"],
        ["survey", "worldvaluesbench-predictions", "STUDY", "prompt", "--out", "OUT"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_text_that_a_command_did_not_write_is_kept(
    command: list[str], write_study: Write, tmp_path: Path
) -> None:
    out = tmp_path / "notes.txt"
    out.write_text("Minutes of the meeting")
    places = {"STUDY": str(write_study()), "PROMPTS": str(out), "OUT": str(out)}
    said = CliRunner().invoke(app, [places.get(word, word) for word in command])
    assert isinstance(said.exception, InputError) and "would be lost" in str(said.exception)
    assert out.read_text() == "Minutes of the meeting"
