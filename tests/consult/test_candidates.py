"""Files of candidate answers: read back equal, faults named, like ones dropped."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.consult.candidate_answers import (
    CandidateAnswer,
    candidates_of_text,
    distinct,
    likeness,
    prompt_id,
    read_open_prompts,
    write_candidates,
)
from suffrage.errors import InputError

Q = "Should a town ban cars?"


def answer(text: str, prompt: str = Q, **more: object) -> CandidateAnswer:
    return CandidateAnswer(prompt_id(prompt), prompt, text, "m", **more)  # type: ignore[arg-type]


def test_a_file_read_back_is_equal(tmp_path: Path) -> None:
    made = [
        answer("Yes.\nWith care.", topic="traffic", tokens=4, made_with={"how": "diverse"}),
        answer("Kāo, e hoa!", language="mi"),
    ]
    write_candidates(made, tmp_path / "a.jsonl")
    assert candidates_of_text((tmp_path / "a.jsonl").read_text("utf-8"), "a.jsonl") == made


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"line 2: not readable as JSON from character 2 on\.$"),
        ("[" * 100_000, "line 2: not readable as JSON"),
        ("[]", "line 2: must be an object"),
        ('{"prompt": "a", "text": "b"}', "line 2: model is missing"),
        ('{"prompt": "a", "text": " ", "model": "m"}', "line 2: text is missing or empty"),
        ('{"prompt": "a", "text": 3, "model": "m"}', "text is 3, which is of the wrong kind"),
        ('{"prompt": "a", "text": "b", "model": "m", "x": 1}', "unknown key x"),
        ('{"prompt": "a", "prompt_id": "q", "text": "b", "model": "m"}', "stands for another"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(line: str, message: str) -> None:
    first = '{"prompt": "other", "prompt_id": "q", "text": "b", "model": "m"}'
    with pytest.raises(InputError, match=message):
        candidates_of_text(f"{first}\n{line}\n", "a.jsonl")


def test_prompts_are_read_and_none_may_stand_twice(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"prompt": Q, "topic": "cars"}) + "\n\n")
    (one,) = read_open_prompts(path)
    assert (one.text, one.topic, one.language, one.id) == (Q, "cars", "en", prompt_id(Q))
    path.write_text((json.dumps({"prompt": Q}) + "\n") * 2)
    with pytest.raises(InputError, match="line 2: the prompt appears twice"):
        read_open_prompts(path)
    path.write_text("\n")
    with pytest.raises(InputError, match="holds no prompt"):
        read_open_prompts(path)


def test_nearly_the_same_answers_to_one_prompt_stay_once() -> None:
    first = "A town may close some streets to cars, so long as people who need one can still come."
    again = first.replace("A town", "a town").replace(".", "!")
    other = "No. People must be free to drive where they like."
    kept = distinct([answer(first), answer(again), answer(other), answer(first, "Else?")])
    assert [one.text for one in kept] == [first, other, first]


@pytest.mark.slow
@given(st.text(), st.text())
def test_likeness_is_a_share_alike_both_ways_and_1_with_itself(one: str, other: str) -> None:
    assert 0 <= likeness(one, other) <= 1
    assert likeness(one, other) == likeness(other, one)
    assert likeness(one, one) == 1


def test_likeness_by_hand() -> None:
    # runs: {a b c, b c d} and {b c d, c d e}
    assert likeness("a b c d", "b c d e") == pytest.approx(1 / 3)
    assert likeness("yes", "no") == 0
