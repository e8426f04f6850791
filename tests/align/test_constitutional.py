"""Constitutional AI on a tiny model: two stages, nothing written twice, a judge that adds up."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from suffrage.align import TrainingJob, cai, ccai, dpo, kto
from suffrage.align.constitutional_options import ConstitutionalOptions
from suffrage.align.feedback import Kept, judge
from suffrage.align.judged_pairs import preference_job
from suffrage.errors import SuffrageError
from suffrage.models import LanguageModel, identify
from suffrage.models.packing import ScoreRequest, Tokens
from suffrage.population import build_value_set
from suffrage.training_data import HeldOut, Records, check_nothing_held_out, split_items
from suffrage.training_data.general import steps_with_general
from suffrage.training_data.prompts import build_prompts
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=300, items=5, seed=8)
SPLIT = split_items(SURVEY.codebook.items, HeldOut(by="list", items=("q0",)), 1)
PROMPTS = 10
PAIRS = [("Who?", f"one {k}", f"two {k}", "Be brief.") for k in range(5)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several batches of few prompts."""
    monkeypatch.setattr("suffrage.align.feedback.PROMPTS_AT_ONCE", 6)
    monkeypatch.setattr("suffrage.align.cai.PROMPTS_AT_ONCE", 6)


def job(tiny: Path, folder: Path, steps: int = 3, **more: Any) -> TrainingJob:
    north = build_value_set(SURVEY, "north", {"region": "north"}, 1, "people in the north")
    # A tiny random model cannot judge.
    given = {"batch": 4, "dtype": "float32", "drafts": PROMPTS, "longest": 6, "keep": "all"}
    options = ConstitutionalOptions(**{**given, "least_agreement": 0, **more})
    records = build_prompts(
        [north], SPLIT, PROMPTS, np.random.default_rng(1), options.record_settings
    )
    (folder / "out").mkdir(parents=True, exist_ok=True)
    return TrainingJob(
        model=identify(str(tiny), Path()),
        records=records,
        options=options,
        steps=steps,
        seed=5,
        work=folder / "work",
        output=folder / "out",
        on_step=lambda step, total, loss: None,
        check=lambda made: check_nothing_held_out(made, SURVEY.codebook.items, SPLIT),
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(next(folder.glob("*.safetensors")))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("then", "steps"),
    [
        ("dpo", 6),
        pytest.param("kto", 6, marks=pytest.mark.slow),
        pytest.param("ppo", 9, marks=pytest.mark.slow),
        ("none", 3),
    ],
    ids=lambda given: str(given),
)
def test_both_stages_run_and_leave_every_text(
    then: str, steps: int, tiny_model: Path, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    given = job(tiny_model, tmp_path, then=then, rounds=2)
    facts = cai.train(replace(given, on_step=lambda step, total, _: told.append((step, total))))
    assert facts.steps == steps
    critiques = lines(given.output / "critiques.jsonl")
    assert len(critiques) == PROMPTS
    assert all(len(row["critiques"]) == len(row["revisions"]) == 2 for row in critiques)
    assert all(row["completion"] == row["revisions"][-1] for row in critiques)
    feedback = json.loads((given.output / "feedback.json").read_text())
    assert sum(feedback["drafts"].values()) == sum(feedback["revisions"].values()) == PROMPTS
    assert sum(feedback["critiques"].values()) == 2 * PROMPTS
    assert (given.output / "judgements.jsonl").exists() == (then != "none")
    LanguageModel.load(given.model, adapter=given.output)
    assert told[-1][0] == told[-1][1], "progress ends at its whole"
    assert [step for step, _ in told] == sorted(step for step, _ in told)


@pytest.mark.slow
def test_the_first_stage_moves_the_model_and_the_second_moves_it_on(
    tiny_model: Path, tmp_path: Path
) -> None:
    given = job(tiny_model, tmp_path, learning_rate=0.01)
    cai.train(given)
    first, second = weights(given.work / "sl" / "model"), weights(given.output)
    assert first.keys() == second.keys(), "the same adapter, trained further"
    assert any(not torch.equal(first[key], second[key]) for key in first)


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def unbroken(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training that nothing stops leaves behind."""
    given = job(tiny_model, tmp_path_factory.mktemp("whole"), save_every=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("suffrage.align.feedback.PROMPTS_AT_ONCE", 6)
        patch.setattr("suffrage.align.cai.PROMPTS_AT_ONCE", 6)
        cai.train(given)
    return given.output


# Its 16 steps of progress: 6 of writing, 3 of training, 2 of pairs, 2 of judging, 3 of training.
@pytest.mark.slow
@pytest.mark.parametrize("at", [4, 8, 12, 16])
def test_a_broken_training_writes_nothing_twice_and_ends_as_an_unbroken_one(
    at: int, unbroken: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    sample = LanguageModel.sample

    def counted(self: LanguageModel, prompts: Sequence[Tokens], *rest: Any) -> list[list[str]]:
        drawn.append(len(prompts))
        return sample(self, prompts, *rest)

    monkeypatch.setattr(LanguageModel, "sample", counted)

    def die(step: int, total: int, loss: float) -> None:
        if step == at:
            raise Killed

    broken = job(tiny_model, tmp_path, save_every=2)
    with pytest.raises(Killed):
        cai.train(replace(broken, on_step=die))
    cai.train(broken)
    assert sum(drawn) == PROMPTS * 4, "draft, critique, revision and a pair for each prompt"
    for name in ("critiques.jsonl", "judgements.jsonl"):
        assert (broken.output / name).read_bytes() == (unbroken / name).read_bytes()
    one, two = weights(unbroken), weights(broken.output)
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_line_cut_short_is_made_again_and_the_others_are_not(tmp_path: Path) -> None:
    path = tmp_path / "written.jsonl"
    kept = Kept.read(path)
    kept.add("draft", [("a", "one"), ("b", "two")])
    path.write_bytes(path.read_bytes() + b'{"stage": "draft", "id": "c", "ma')
    kept = Kept.read(path)
    assert kept.found == {("draft", "a"): "one", ("draft", "b"): "two"}
    made = kept.complete(
        "draft", ["a", "b", "c"], lambda i, j: ["x", "y", "z"][i:j], lambda n: None
    )
    assert made == ["one", "two", "z"]
    assert [row["made"] for row in lines(path)] == ["one", "two", "z"]


class Scripted:
    """A judge that gives the letters what a function of the two answers says."""

    def __init__(self, odds: Any) -> None:
        self.odds, self.asked = odds, []  # type: ignore[var-annotated]

    def encode(self, messages: Sequence[dict[str, str]]) -> Tokens:
        self.asked.append(messages[-1]["content"])
        return (len(self.asked),)

    def label_tokens(self, label: str) -> Tokens:
        return {"A": (10, 11), "B": (20,)}[label]

    def score(self, requests: Sequence[ScoreRequest]) -> list[list[Any]]:
        found = []
        for request in requests:
            text = self.asked[request.prompt[0] - 1]
            a, b = text.split("\n\nA. ")[1].split("\n\nWhich")[0].split("\n\nB. ")
            p, q = self.odds(a, b)
            assert request.continuations == ((10,), (11,), (20,))
            found.append([np.log([p / 4]), np.log([3 * p / 4]), np.log([q])])
        return found


def test_a_judge_that_always_says_a_gives_one_half() -> None:
    for found in judge(Scripted(lambda a, b: (0.9, 0.001)), PAIRS):
        assert found.first_better == pytest.approx(0.5)
        assert found.lean_to_a == pytest.approx(0.9 / 0.901 - 0.5)
        assert not found.same_both_ways


def test_a_judge_that_reads_the_answers_is_the_same_in_both_orders() -> None:
    for found in judge(Scripted(lambda a, b: (0.6, 0.2) if "one" in a else (0.2, 0.6)), PAIRS):
        assert found.first_better == pytest.approx(0.75)
        assert found.lean_to_a == pytest.approx(0)
        assert found.same_both_ways and found.mass == pytest.approx(0.8)


def test_a_leaning_judge_keeps_what_it_knows() -> None:
    """P(A) is 0.9 for the better answer and 0.5 for the worse: the mean over orders is 0.7."""
    for found in judge(Scripted(lambda a, b: (0.9, 0.1) if "two" in a else (0.5, 0.5)), PAIRS):
        assert 1 - found.first_better == pytest.approx((0.9 + 0.5) / 2)
        assert found.lean_to_a == pytest.approx(0.2)


def test_the_tiny_models_judgement_is_its_own_next_token_probability(tiny_model: Path) -> None:
    from suffrage.training_data.ai_preferences import judge_messages

    model = LanguageModel.load(identify(str(tiny_model), Path()))
    (found,) = judge(model, PAIRS[:1])
    user, first, second, principle = PAIRS[0]
    for one, other, a_share in ((first, second, found.a_first), (second, first, found.a_second)):
        tokens = model.encode(judge_messages(user, one, other, principle))
        with torch.no_grad():
            p = model.model(torch.tensor([tokens])).logits[0, -1].softmax(-1)
        a, b = (p[list(model.label_tokens(x))].sum().item() for x in "AB")
        assert a_share == pytest.approx(a / (a + b), rel=1e-4)


def log_odds(base: Path, adapter: Path | None, pairs: list[dict[str, Any]]) -> float:
    """Mean log-odds of the chosen answers over the rejected ones."""
    model = LanguageModel.load(identify(str(base), Path()), adapter=adapter)
    requests = [
        ScoreRequest(
            model.encode([{"role": "user", "content": row["user"]}]),
            (model.answer_tokens(row["chosen"]), model.answer_tokens(row["rejected"])),
        )
        for row in pairs
    ]
    return float(np.mean([good.sum() - bad.sum() for good, bad in model.score(requests)]))


@pytest.mark.slow
@pytest.mark.parametrize("then", ["dpo", "kto"])
def test_flipped_labels_move_the_answers_the_other_way(
    then: str, tiny_model: Path, tmp_path: Path
) -> None:
    given = job(tiny_model, tmp_path, steps=25, then=then, learning_rate=0.02)
    pairs = [
        {
            "id": str(k),
            "value_set": "north",
            "item": "q1",
            "user": f"What of {word}?",
            "format": "written",
            "chosen": f"More of {word}.",
            "rejected": f"None of {word}.",
            "share": 0.9,
            "weight": 1.0,
            "completion": f"More of {word}.",
        }
        for k, word in enumerate(("work", "art", "trust", "peace"))
    ]
    flipped = [{**pair, "share": 0.1} for pair in pairs]
    odds = []
    for name, rows in (("as judged", pairs), ("flipped", flipped)):
        part = preference_job(given, rows, [], 25)
        part = replace(part, work=tmp_path / name / "work", output=tmp_path / name / "out")
        part.output.mkdir(parents=True)
        (dpo.train if then == "dpo" else kto.train)(part)
        odds.append(log_odds(tiny_model, part.output, pairs))
    at_start = log_odds(tiny_model, None, pairs)
    assert odds[0] > at_start + 0.5
    assert odds[1] < at_start - 0.5


@pytest.mark.slow
def test_texts_that_cannot_be_read_stop_the_training_with_their_counts(
    tiny_model: Path, tmp_path: Path
) -> None:
    given = job(tiny_model, tmp_path, keep="readable")
    with pytest.raises(
        SuffrageError, match=r"revisions can be trained on: .*off format.*keep: all"
    ):
        cai.train(given)


@pytest.mark.slow
def test_held_out_items_never_appear(tiny_model: Path, tmp_path: Path) -> None:
    given = job(tiny_model, tmp_path, items=50, views="all", rounds=2)
    cai.train(given)
    held_out = SURVEY.codebook["q0"].question
    for path in [*given.output.glob("*.json*"), *given.work.glob("*.jsonl")]:
        text = path.read_text()
        assert held_out not in text and '"q0"' not in text, path.name


def test_a_model_that_writes_a_held_out_question_stops_the_training(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out = SURVEY.codebook["q0"].question
    monkeypatch.setattr(
        LanguageModel, "sample", lambda self, prompts, *rest: [[held_out] for _ in prompts]
    )
    with pytest.raises(SuffrageError, match="q0, which is held out"):
        cai.train(job(tiny_model, tmp_path))


def test_general_instructions_come_in_every_step() -> None:
    own = [{"id": str(k), "format": "written"} for k in range(3)]
    general = [{"id": "g", "format": "general"}]
    rows = steps_with_general(own, general, steps=4, batch=3, general_rows=1, seed=1)
    assert [row["format"] for row in rows] == ["written", "written", "general"] * 4


@pytest.mark.slow
def test_general_instructions_train_in_both_stages(tiny_model: Path, tmp_path: Path) -> None:
    given = job(tiny_model, tmp_path, then="kto", general="general.jsonl")
    row = {"id": "g", "value_set": "", "item": "", "user": "Say hello.", "format": "general"}
    rows = [*given.records.frame.to_dicts(), {**row, "completion": "Hello."}]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    cai.train(replace(given, records=Records("prompt", frame, given.records.made_from)))
    assert len(lines(given.output / "critiques.jsonl")) == PROMPTS


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"then_options": {"beta": -1}}, "then_options: beta"),
        ({"then_options": {"steps": 3}}, "say it to the method itself"),
        ({"then_options": {"labels": "drawn"}}, "labels are the judge's"),
        ({"then": "none", "then_options": {"beta": 1}}, "nothing to say to then: none"),
        ({"then": "kto", "then_options": {"form": "ipo"}}, "then_options: form"),
        ({"format": "option"}, "written"),
        ({"rounds": 0}, "rounds"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ConstitutionalOptions(**wrong)


def test_ccai_wants_a_consultations_file() -> None:
    with pytest.raises(ValidationError, match="a consultation exported"):
        ccai.Options(constitution="from_value_set")
    with pytest.raises(ValidationError, match="constitution"):
        ccai.Options()  # type: ignore[call-arg]
    assert ccai.Options(constitution="x.yaml").record_settings.constitution is not None
    assert ccai.Options(constitution="x.yaml").files == ("x.yaml",)
