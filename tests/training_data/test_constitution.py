"""Constitutions: read strictly, made from trained items alone, sampled as often as supported."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from suffrage.errors import InputError, SuffrageError
from suffrage.population import build_value_set
from suffrage.training_data import HeldOut, RecordSettings, check_nothing_held_out, split_items
from suffrage.training_data.ai_preferences import (
    Judgement,
    ai_preference_records,
    as_binary,
    judge_reliability,
    pairs_to_train_on,
)
from suffrage.training_data.constitution import (
    Constitution,
    ConstitutionSettings,
    Principle,
    constitution_of,
    read_constitution,
)
from suffrage.training_data.critiques import outcome
from suffrage.training_data.prompts import build_prompts, read_prompts
from suffrage.training_data.records import Records
from tests.synthetic import make_survey

EXAMPLES = Path(__file__).parents[2] / "examples"
SURVEY = make_survey(respondents=400, items=6, seed=3)
SPLIT = split_items(SURVEY.codebook.items, HeldOut(by="list", items=("q0", "q4")), 1)
NORTH = build_value_set(SURVEY, "north", {"region": "north"}, 1, "people in the north")
SOUTH = build_value_set(SURVEY, "south", {"region": "south"}, 1, "people in the south")


def written(folder: Path, content: Any, name: str = "principles.yaml") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def principle(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "text": f"Choose what is {name}.", **more}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({}, "principles: is missing"),
        ({"principles": []}, "principles: .*at least 1"),
        ({"principles": [principle("a", suport=1)]}, r'principles\[0\].*Did you mean "support"'),
        ({"principles": [{"id": "a"}]}, r"principles\[0\].text: is missing"),
        ({"principles": [{"id": "a", "text": "  "}]}, r"principles\[0\].text.*must say something"),
        ({"principles": [principle("a", support=1.2)]}, r"support: is 1.2; must be less"),
        ({"principles": [principle("a"), principle("a")]}, "'a' appears twice"),
        ({"principles": [principle("a", support=1), principle("b")]}, "'b' has no support"),
        ({"principles": [principle("a", group_support={"x": 2})]}, "group x has 2"),
        ("principles: [\n", r"line \d"),
        ("- a\n- b\n", "must contain keys and values"),
    ],
)
def test_a_mistake_in_a_constitution_is_named(content: Any, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        read_constitution(written(tmp_path, content))
    assert "principles.yaml" in str(caught.value)


def test_a_missing_constitution_says_what_may_stand_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.yaml does not exist.*from_value_set"):
        read_constitution(tmp_path / "none.yaml")


def test_yaml_and_json_give_the_same_constitution(tmp_path: Path) -> None:
    content = {"title": "T", "principles": [principle("a", support=0.5, sources=["s1"])]}
    one = read_constitution(written(tmp_path, content))
    two = read_constitution(written(tmp_path, json.dumps(content), "principles.json"))
    assert one == two and one.content_hash == two.content_hash


@pytest.mark.parametrize("name", ["constitution.yaml", "constitution-consultation.yaml"])
def test_the_examples_can_be_read(name: str) -> None:
    constitution = read_constitution(EXAMPLES / name)
    weighing = "group_informed" if "consultation" in name else "support"
    assert constitution.weights(weighing).sum() == pytest.approx(1)  # type: ignore[arg-type]


@pytest.mark.slow
@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.integers(0, 10**6))
def test_principles_are_sampled_as_often_as_supported(support: list[float], seed: int) -> None:
    constitution = Constitution(
        principles=tuple(
            Principle(id=str(k), text="Be so.", support=s) for k, s in enumerate(support)
        )
    )
    drawn = constitution.draw(4000, np.random.default_rng(seed))
    for k, s in enumerate(support):
        p = s / sum(support)
        share = np.mean([one.id == str(k) for one in drawn])
        assert abs(share - p) < 5.5 * np.sqrt(p * (1 - p) / 4000) + 1e-9


def test_without_support_every_principle_is_as_likely_and_with_none_it_is_an_error() -> None:
    even = Constitution(principles=tuple(Principle(id=x, text="Be so.") for x in "abcd"))
    np.testing.assert_allclose(even.weights(), 0.25)
    nobody = Constitution(principles=(Principle(id="a", text="Be so.", support=0),))
    with pytest.raises(InputError, match="support 0"):
        nobody.weights()


def test_group_informed_weights_are_products_over_the_groups() -> None:
    """Liked by one group alone loses to liked by both, whatever the plain support says."""
    both = Principle(id="both", text="Be so.", support=0.6, group_support={"a": 0.6, "b": 0.6})
    one = Principle(id="one", text="Be so.", support=0.9, group_support={"a": 0.98, "b": 0.1})
    constitution = Constitution(principles=(both, one))
    expected = np.array([0.6 * 0.6, 0.98 * 0.1])
    np.testing.assert_allclose(constitution.weights("group_informed"), expected / expected.sum())
    with pytest.raises(InputError, match=r"'two'.*group_support"):
        Constitution(principles=(both, Principle(id="two", text="Be so.", support=0.6))).weights(
            "group_informed"
        )


def test_a_value_sets_constitution_is_its_clearest_trained_answers() -> None:
    found = constitution_of(NORTH, SPLIT, items=3)
    tops = {i: float(NORTH.distributions[i].shares.max()) for i in SPLIT.train}
    best = sorted(tops, key=lambda item: -tops[item])[:3]
    assert [p.id for p in found.principles] == best
    assert [p.support for p in found.principles] == [tops[item] for item in best]
    for one in found.principles:
        d = NORTH.distributions[one.id]
        assert d.item.texts[int(d.shares.argmax())] in one.text
        assert "people in the north" in one.text


def test_all_views_sample_an_item_as_the_population_answers_it() -> None:
    found = constitution_of(NORTH, SPLIT, items=9, views="all")
    generator = np.random.default_rng(2)
    drawn = found.draw(6000, generator, item="q1")
    shares = NORTH.distributions["q1"].shares
    for place, share in enumerate(shares):
        got = np.mean([one.id == f"q1-{place + 1}" for one in drawn])
        assert got == pytest.approx(share, abs=0.03)


def build(count: int = 60, **more: Any) -> Records:
    folder = more.pop("folder", Path())
    wanted = ConstitutionSettings(**more)
    settings = RecordSettings("written", constitution=wanted, folder=folder)
    generator = np.random.default_rng(4)
    return build_prompts([NORTH, SOUTH], SPLIT, count, generator, settings)


@pytest.mark.parametrize("views", ["leading", "all"])
def test_no_prompt_and_no_principle_comes_from_a_held_out_item(views: str) -> None:
    records = build(items=50, views=views, rounds=2)
    check_nothing_held_out(records, SURVEY.codebook.items, SPLIT)
    text = json.dumps([records.frame.to_dicts(), dict(records.made_from)])
    for item in ("q0", "q4"):
        assert SURVEY.codebook[item].question not in text and f'"{item}' not in text
    assert set(records.frame["item"]) == set(SPLIT.train)


def test_each_populations_principles_go_with_its_own_prompts() -> None:
    for row in build(rounds=2).frame.to_dicts():
        who = f"people in the {row['value_set']}"
        assert who in row["user"] and who in row["judged_by"]["text"]
        assert len(row["principles"]) == 2 and all(who in p["text"] for p in row["principles"])


def test_an_items_own_principles_can_be_asked_for() -> None:
    records = build(items=50, match="item")
    assert all(row["judged_by"]["id"] == row["item"] for row in records.frame.to_dicts())
    anyhow = build(items=50).frame.to_dicts()
    assert any(row["judged_by"]["id"] != row["item"] for row in anyhow)


def test_own_prompts_come_beside_the_items(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "What is owed to strangers?"}\n')
    content = {"principles": [principle("kind", support=0.5)]}
    written(tmp_path, content)
    rows = build(prompts="p.jsonl", folder=tmp_path).frame.to_dicts()
    own = [row for row in rows if row["item"] == ""]
    assert {row["value_set"] for row in own} == {"north", "south"}
    assert all("What is owed to strangers?" in row["user"] for row in own)
    plain = build(prompts="p.jsonl", folder=tmp_path, source="principles.yaml").frame.to_dicts()
    assert "What is owed to strangers?" in {row["user"] for row in plain}
    assert len(build(most=7).frame) == 7


def test_a_held_out_question_in_a_users_file_stops_the_build(tmp_path: Path) -> None:
    question = SURVEY.codebook["q0"].question
    (tmp_path / "p.jsonl").write_text(json.dumps({"prompt": f"Tell me: {question}"}) + "\n")
    with pytest.raises(SuffrageError, match="q0, which is held out"):
        check_nothing_held_out(
            build(prompts="p.jsonl", folder=tmp_path), SURVEY.codebook.items, SPLIT
        )
    leaky = {"principles": [{"id": "x", "text": f"Think of this: {question}"}]}
    written(tmp_path, leaky)
    with pytest.raises(SuffrageError, match="q0, which is held out"):
        check_nothing_held_out(
            build(source="principles.yaml", folder=tmp_path), SURVEY.codebook.items, SPLIT
        )
    written(tmp_path, {"principles": [principle("x", items=["q4"])]})
    with pytest.raises(InputError, match=r"'x' was made from q4, which is held out"):
        build(source="principles.yaml", folder=tmp_path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"prompt": "a"}\n{"promt": "b"}\n', "line 2"),
        ('{"prompt": ""}\n', "line 1 has no text"),
        ("not json\n", "line 1"),
        ("\n", "holds no prompt"),
    ],
)
def test_a_mistake_in_a_prompt_file_is_named(content: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(content)
    with pytest.raises(InputError, match=complaint):
        read_prompts(tmp_path / "p.jsonl")


@pytest.mark.parametrize(
    ("text", "before", "expected"),
    [
        ("I would say yes.", None, "ok"),
        ("  \n", None, "empty"),
        ("Ich würde ja sagen; потому что так.", None, "ok"),
        ("I'm sorry, but I can't answer that.", None, "refusal"),
        ("I’m sorry, but I can’t answer that.", None, "refusal"),
        ("As an AI language model I hold no view.", None, "refusal"),
        ("People cannot afford it, so more should be spent.", None, "ok"),
        ("No.", None, "ok"),
        ("हाँ, बिल्कुल।", None, "ok"),
        ("Yes.", "Yes. ", "unchanged"),
        ("}{3;;9@@@|||", None, "off_format"),
        ("caf\ufffd", None, "off_format"),
        ("Now give your answer again, so that it is short.", None, "off_format"),
    ],
)
def test_what_became_of_a_text(text: str, before: str | None, expected: str) -> None:
    assert outcome(text, before) == expected


def judged() -> Records:
    prompts = build(count=5)
    answers = [("Yes.", "No."), ("Yes.", "No."), ("Yes.", "Yes. "), ("", "No."), ("Yes.", "No.")]
    judgements = [
        Judgement(0.9, 0.3, 0.8),
        Judgement(0.2, 0.8, 0.8),
        Judgement(0.9, 0.9, 0.8),
        Judgement(0.9, 0.1, 0.8),
        Judgement(0.9, 0.1, 0.01),
    ]
    return ai_preference_records(prompts, answers, judgements, 0.25, np.random.default_rng(1))


def test_judged_pairs_carry_the_judges_probability_and_nothing_is_dropped() -> None:
    rows = judged().frame.to_dicts()
    assert [row["outcome"] for row in rows] == ["ok", "ok", "same", "unreadable", "off_format"]
    assert (rows[0]["chosen"], rows[0]["share"]) == ("Yes.", pytest.approx(0.8))
    assert (rows[1]["chosen"], rows[1]["share"]) == ("No.", pytest.approx(0.8))
    assert len(pairs_to_train_on(judged(), "readable")) == 2
    assert len(pairs_to_train_on(judged(), "all")) == 4
    facts = judge_reliability(judged())
    assert facts["same_both_ways"] == 1.0 and facts["lean_to_a"] == pytest.approx(0.1 / 4)


def test_a_pair_is_two_binary_rows_that_share_the_label() -> None:
    good, bad = as_binary(judged().frame.to_dicts()[:1])
    assert (good["answer"], good["desirable"]) == ("Yes.", pytest.approx(0.8))
    assert (bad["answer"], bad["desirable"]) == ("No.", pytest.approx(0.2))
