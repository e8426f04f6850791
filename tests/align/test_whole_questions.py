"""Steps of whole questions: the differences between populations, validation, and the best point."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError

from suffrage.align import TrainingJob, packed, training
from suffrage.align.distribution import Options, differences_loss
from suffrage.align.method import TrainingFacts
from suffrage.align.packed import Prompts, StepParts, asked_shares, pack_answers, steps_of
from suffrage.align.training import train_only_layers
from suffrage.align.validation import Validation
from suffrage.errors import InputError
from suffrage.models import identify
from suffrage.models.loading import load_weights
from suffrage.models.packing_rule import packing_rule
from suffrage.population import ValueSet, build_value_set
from suffrage.training_data import HeldOut, ItemSplit, Records, split_items
from suffrage.training_data.distribution_records import BUILDER
from suffrage.training_data.split import near_duplicate_groups
from tests.align.test_parts_of_a_step import first_step
from tests.align.test_training import method
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=60, items=12, seed=3)
NAMES = ("oak", "elm", "ash", "fir", "yew", "box", "bay", "fig", "pine", "rose")


def populations(count: int = 10, seed: int = 0, planted: bool = False) -> list[ValueSet]:
    """Populations of the same items with shares of their own.

    planted: half of the populations give one answer to everything, and half another.
    """
    generator = np.random.default_rng(seed)
    whole = build_value_set(SURVEY, "all", {}, 1, "people")
    found = []
    for number in range(count):
        distributions = {}
        for item, d in whole.distributions.items():
            shares = generator.dirichlet(np.full(d.shares.size, 1.0))
            if planted:
                shares = np.full(d.shares.size, 0.1 / (d.shares.size - 1))
                shares[number % 2] = 0.9
            distributions[item] = replace(d, shares=shares)
        found.append(
            replace(
                whole,
                name=NAMES[number],
                description=f"people in {NAMES[number]}",
                distributions=distributions,
            )
        )
    return found


FEW = {f"q{k}" for k in range(0, 12, 2)}


def some_asked_less_often() -> list[ValueSet]:
    """Populations of which only two were asked half of the questions."""
    return [
        replace(
            v,
            distributions={i: d for i, d in v.distributions.items() if n < 2 or i not in FEW},
        )
        for n, v in enumerate(populations())
    ]


SPLIT = split_items(SURVEY.codebook.items, HeldOut(by="list", items=("q0",)), 1)


def records_of(options: Options, steps: int, sets: list[ValueSet], seed: int = 1) -> Records:
    return BUILDER.build(
        sets, SPLIT, steps * options.own_rows, np.random.default_rng(seed), options.record_settings
    )


def job(
    tiny: Path, folder: Path, steps: int, sets: list[ValueSet] | None = None, **more: object
) -> TrainingJob:
    options = Options.model_validate({"dtype": "float32", "save_every": 4, **more})
    (folder / "out").mkdir(parents=True, exist_ok=True)
    return TrainingJob(
        model=identify(str(tiny), Path()),
        records=records_of(options, steps, sets or populations()),
        options=options,
        steps=steps,
        seed=5,
        work=folder / "work",
        output=folder / "out",
        on_step=lambda step, total, loss: None,
    )


def trained(given: TrainingJob) -> TrainingFacts:
    train = method("distribution").train
    assert train is not None
    return train(given)


def log_lines(given: TrainingJob) -> list[dict[str, float]]:
    text = (given.output / training.LOG).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_step_takes_whole_questions_and_each_as_often_as_another() -> None:
    sets = some_asked_less_often()
    options = Options(questions=3, populations=6)
    frame = records_of(options, 11, sets).frame
    visits = frame.group_by("step", "way").agg(pl.col("item").unique(), pl.len())
    assert all(len(items) == 1 for items in visits["item"])
    asked = visits.group_by(pl.col("item").list.first()).agg(pl.len())
    assert set(asked["len"]) == {2 * 3}, "33 visits to 11 questions, both ways round"
    counts = frame.group_by("step", "way", "item").agg(pl.len(), pl.col("weight").sum())
    for row in counts.to_dicts():
        assert row["len"] == (2 if row["item"] in FEW else 6)
        assert row["weight"] == pytest.approx(1)


def test_a_question_is_computed_once_for_its_populations_and_orders(tiny_model: Path) -> None:
    model, tokenizer = load_weights(identify(str(tiny_model), Path()), "float32")
    options = Options(questions=1, populations=5, orders=2)
    rows = records_of(options, 1, populations()).frame.to_dicts()
    prompts = Prompts.of(tokenizer)
    given = pack_answers(prompts, packing_rule(model), rows, [row["answers"] for row in rows])
    tokens = [prompts.prompt(row["user"]) for row in rows]
    assert len({row["item"] for row in rows}) == 1 and len(rows) == 10
    least = len({prompt[:end] for prompt in tokens for end in range(1, len(prompt) + 1)})
    assert given.tokens == least < 0.5 * sum(len(prompt) for prompt in tokens)


def test_differences_loss_is_its_formula() -> None:
    generator = np.random.default_rng(2)
    q, p = generator.dirichlet(np.ones(4), 9), generator.dirichlet(np.ones(4), 9)
    wanted = (((q - q.mean(0)) - (p - p.mean(0))) ** 2).sum(1).mean()
    error = torch.tensor(q - p)
    found = differences_loss(error, error.mean(0).expand(9, 4), torch.ones(9))
    assert found.item() == pytest.approx(wanted)


def test_a_mean_without_gradient_changes_no_gradient_of_the_differences() -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    p = torch.full((6, 3), 1 / 3, dtype=torch.float64)
    grads = []
    for detached in (True, False):
        x = logits.clone().requires_grad_()
        error = x.softmax(-1) - p
        mean = error.mean(0).expand(6, 3)
        ones = torch.ones(6, dtype=torch.float64)
        differences_loss(error, mean.detach() if detached else mean, ones).backward()
        assert x.grad is not None
        grads.append(x.grad)
    torch.testing.assert_close(grads[0], grads[1])


@pytest.mark.slow
def test_the_loss_of_a_step_is_that_of_plain_numpy(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = job(tiny_model, tmp_path, 1, questions=3, populations=8, adapter="none")
    loss, _ = first_step("distribution", given, monkeypatch)
    model, tokenizer = load_weights(given.model, "float32")
    rows = given.records.frame.to_dicts()
    with torch.no_grad():
        logs = packed.answer_log_probs(
            model,
            pack_answers(
                Prompts.of(tokenizer), packing_rule(model), rows, [row["answers"] for row in rows]
            ),
        ).numpy()
    per_way = []
    for way in sorted({row["way"] for row in rows}):
        lines = [k for k, row in enumerate(rows) if row["way"] == way]
        p = np.array([rows[k]["target"] for k in lines])
        log_q = logs[lines][:, : p.shape[1]]
        q = np.exp(log_q) / np.exp(log_q).sum(1, keepdims=True)
        divergence = (p * (np.log(p) - log_q)).sum(1).mean()
        apart = (((q - q.mean(0)) - (p - p.mean(0))) ** 2).sum(1).mean()
        per_way.append(divergence + 10 * apart)
    assert loss == pytest.approx(float(np.mean(per_way)), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        {},
        pytest.param({"loss": "ordinal"}, marks=pytest.mark.slow),
        {"differences": 3.0},
        pytest.param({"orders": 1}, marks=pytest.mark.slow),
    ],
)
def test_parts_of_a_step_add_up_to_it(
    more: dict[str, object], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(size: int) -> tuple[float, torch.Tensor]:
        given = job(
            tiny_model,
            tmp_path / str(size),
            1,
            questions=3,
            populations=9,
            adapter="none",
            micro_batch=size,
            **more,
        )
        return first_step("distribution", given, monkeypatch)

    loss, gradient = step(100)
    # Several questions, one question, one way round, and part of one at a time.
    for size in (36, 18, 9, 4):
        part, other = step(size)
        assert part == pytest.approx(loss, rel=1e-4)
        np.testing.assert_allclose(other, gradient, atol=1e-4 * float(gradient.abs().max()))


@pytest.mark.slow
def test_steps_of_fewer_parts_have_the_same_losses(tiny_model: Path, tmp_path: Path) -> None:
    def losses(size: int) -> list[float]:
        given = job(
            tiny_model,
            tmp_path / str(size),
            4,
            some_asked_less_often(),
            questions=2,
            populations=10,
            adapter="none",
            learning_rate=1e-3,
            micro_batch=size,
        )
        assert given.records.frame.group_by("step").len()["len"].n_unique() > 1
        trained(given)
        return [line["loss"] for line in log_lines(given)]

    assert losses(10) == pytest.approx(losses(100), rel=1e-3)


def test_memory_does_not_grow_with_the_number_of_populations(tiny_model: Path) -> None:
    """The records computed at a time stay as many, however many populations answered."""
    sizes = []
    for count in (4, 10):
        options = Options(questions=2, populations=10, micro_batch=6)
        steps = steps_of(records_of(options, 3, populations(count)).frame.to_dicts(), 12)
        parts = StepParts(None, None, None, steps, 6, [], 1.0)  # type: ignore[arg-type]
        assert [row for part in parts.parts for row in part.rows] == [
            row for step in steps for row in step
        ]
        assert len(parts.parts) == 3 * parts.parts_a_step
        sizes.append(max(len(part.rows) for part in parts.parts))
    assert sizes[1] <= 6 and sizes[0] <= 6


@pytest.mark.slow
def test_nothing_held_back_is_trained_on_and_its_near_duplicates_go_with_it() -> None:
    twin = SURVEY.codebook["q5"].model_copy(update={"id": "q5b"})
    sets = [
        replace(
            v,
            distributions={
                **v.distributions,
                "q5b": replace(v.distributions["q5"], item=twin),
            },
        )
        for v in populations()
    ]
    split = ItemSplit((*SPLIT.train, "q5b"), SPLIT.held_out, {}, {})
    options = Options(questions=3, validation=0.3)
    sides = set()
    for seed in range(12):
        records = BUILDER.build(
            sets, split, 8 * options.own_rows, np.random.default_rng(seed), options.record_settings
        )
        asked = set(records.frame.filter("validation")["item"])
        learnt = set(records.frame.filter(~pl.col("validation"))["item"])
        assert asked and not asked & learnt and "q0" not in asked | learnt
        assert learnt | set(records.made_from["validation"]) == set(split.train)
        assert ("q5" in asked) == ("q5b" in asked) or not {"q5", "q5b"} <= asked | learnt
        sides.add("q5" in learnt)
    assert sides == {True, False}
    items = [d.item for d in sets[0].distributions.values()]
    groups = near_duplicate_groups(items)
    assert groups["q5"] == groups["q5b"]


def test_what_is_held_back_is_asked_in_fixed_ways() -> None:
    options = Options(questions=3, validation=0.3, validation_cells=7)
    rows = records_of(options, 2, populations()).frame.filter("validation").to_dicts()
    assert 1 < len(rows) <= 7
    for item in {row["item"] for row in rows}:
        own = [row for row in rows if row["item"] == item]
        assert len(own) <= 3 and len({tuple(row["answers"]) for row in own}) == 1


def test_a_share_that_holds_nothing_back_is_an_error() -> None:
    with pytest.raises(InputError, match=r"validation: 0.01 of 11 questions .* holds none"):
        records_of(Options(questions=3, validation=0.01), 2, populations())


@pytest.mark.slow
def test_the_best_point_is_kept_and_training_stops_early(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = job(
        tiny_model,
        tmp_path,
        20,
        questions=2,
        populations=4,
        adapter="none",
        learning_rate=0.01,
        validation=0.3,
        validate_every=2,
        patience=3,
    )
    rows = given.records.frame.filter("validation").to_dicts()
    people = [np.array(row["target"]) for row in rows]
    seen: list[float] = []
    right: list[list[np.ndarray]] = []

    def ask(model: object, rows: object, *more: object) -> list[np.ndarray]:
        """Shares that come nearer to the people until the fourth time of asking."""
        right.append(asked_shares(model, rows, *more))  # type: ignore[arg-type]
        near = [0.2, 0.4, 0.6, 0.9, 0.8, 0.7, 0.5, 0.9][len(seen)]
        seen.append(near)
        return [near * p + (1 - near) * np.eye(p.size)[0] for p in people]

    monkeypatch.setattr(packed, "asked_shares", ask)
    facts = trained(given)
    assert facts.validation is not None
    assert facts.validation["best_step"] == 6 and facts.validation["stopped_early"]
    assert facts.steps == 12, "the fourth time of asking is at step 6, and three more follow"
    lines = log_lines(given)
    assert [line["step"] for line in lines if "validation_fit" in line] == [0, 2, 4, 6, 8, 10, 12]
    assert all(line["loss"] > 0 for line in lines if line["step"])
    # The model that is left answers as the model of step 6 did.
    model, tokenizer = load_weights(identify(str(given.output), Path()), "float32")
    again = asked_shares(model, rows, Prompts.of(tokenizer), packing_rule(model), 12)
    for left, then, last in zip(again, right[3], right[6], strict=True):
        np.testing.assert_allclose(left, then, atol=1e-5)
        assert abs(left - last).max() > 1e-4


@pytest.mark.slow
def test_validation_goes_on_after_an_interruption(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {
        "questions": 2,
        "populations": 4,
        "learning_rate": 0.01,
        "validation": 0.3,
        "validate_every": 2,
        "save_every": 2,
    }
    whole = job(tiny_model, tmp_path / "whole", 8, **more)
    wanted = trained(whole)
    broken = job(tiny_model, tmp_path / "broken", 8, **more)
    usual = Validation.after_step

    def stops(self: Validation, trainer: object, step: int, last: bool) -> bool:
        if step == 5:
            raise KeyboardInterrupt
        return usual(self, trainer, step, last)

    monkeypatch.setattr(Validation, "after_step", stops)
    with pytest.raises(KeyboardInterrupt):
        trained(broken)
    monkeypatch.setattr(Validation, "after_step", usual)
    found = trained(broken)
    assert found.resumed_from == 4
    assert found.validation == wanted.validation
    assert log_lines(broken) == log_lines(whole)


def in_one_order(records: Records, questions: int) -> Records:
    """Only questions with letters from top to bottom: what two random layers can learn."""
    letters = [list("ABCDE"[:k]) for k in range(2, 6)]
    kept = records.frame.filter(
        pl.Series([row["answers"] in letters for row in records.frame.to_dicts()])
    )
    rank = pl.struct("step", "way").rle_id()
    return replace(records, frame=kept.with_columns(step=rank // questions, way=rank % questions))


def names_matter(folder: Path, given: TrainingJob) -> float:
    """How far the two kinds of populations are apart in the model's answers, 0 to 0.8."""
    model, tokenizer = load_weights(identify(str(folder), Path()), "float32")
    rows = given.records.frame.to_dicts()
    shares = asked_shares(model, rows, Prompts.of(tokenizer), packing_rule(model), 30)
    kinds: list[list[float]] = [[], []]
    for row, own in zip(rows, shares, strict=True):
        kinds[NAMES.index(row["value_set"]) % 2].append(float(own[0]))
    return float(np.mean(kinds[0]) - np.mean(kinds[1]))


# Enough to learn the names by the loss on differences.
NAMED_STEPS = 40


def named_job(model: Path, folder: Path, **options: Any) -> TrainingJob:
    """A training in which ten populations of two kinds are asked every question in one order."""
    given = job(
        model,
        folder,
        240,
        populations(10, planted=True),
        questions=2,
        populations=10,
        orders=1,
        adapter="none",
        learning_rate=0.006,
        save_every=100,
        **options,
    )
    records = in_one_order(given.records, 2)
    records = replace(records, frame=records.frame.filter(pl.col("step") < NAMED_STEPS))
    return replace(given, records=records, steps=NAMED_STEPS)


@pytest.mark.slow
def test_names_are_learnt_by_the_loss_on_differences(tiny_model: Path, tmp_path: Path) -> None:
    found = {}
    for weight in (0.0, 10.0):
        given = named_job(tiny_model, tmp_path / str(weight), differences=weight)
        trained(given)
        found[weight] = names_matter(given.output, given)
    assert found[10.0] > 0.2
    assert abs(found[0.0]) < 0.1 * found[10.0]


@pytest.mark.slow
def test_names_are_learnt_from_people_where_a_teacher_predicts_one_answer_for_all(
    tiny_model: Path, tmp_path: Path
) -> None:
    found = {}
    for of in ("people", "targets"):
        given = named_job(
            tiny_model, tmp_path / of, differences=10, teacher="words", differences_of=of
        )
        records = given.records
        rows = records.frame.to_dicts()
        same: dict[tuple[int, int], list[list[float]]] = defaultdict(list)
        for row in rows:
            same[row["step"], row["way"]].append(row["target"])
        rows = [
            {**row, "target": np.mean(same[row["step"], row["way"]], axis=0).tolist()}
            for row in rows
        ]
        taught = replace(records, frame=pl.DataFrame(rows, infer_schema_length=None))
        given = replace(given, records=taught)
        trained(given)
        found[of] = names_matter(given.output, given)
    assert found["people"] > 0.2
    assert abs(found["targets"]) < 0.1 * found["people"]


@pytest.mark.slow
def test_only_the_layers_named_are_trained(tiny_model: Path, tmp_path: Path) -> None:
    model, _ = load_weights(identify(str(tiny_model), Path()), "float32")
    train_only_layers(model, "2-2")
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    assert names and all(".1." in name for name in names)
    with pytest.raises(InputError, match="layers: 2-9: the model has layers 1 to 2"):
        train_only_layers(model, "2-9")
    before = {name: p.clone() for name, p in model.named_parameters()}
    given = job(tiny_model, tmp_path, 2, questions=2, populations=3, adapter="none", layers="upper")
    trained(given)
    assert not (given.output / "adapter_config.json").exists()
    after, _ = load_weights(identify(str(given.output), Path()), "float32")
    changed = {name for name, p in after.named_parameters() if not torch.equal(p, before[name])}
    # The upper two thirds of two layers are both of them.
    assert changed and all("layers" in name for name in changed)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"populations": 4}, "populations: needs questions"),
        ({"differences": 1.0}, "differences: needs questions"),
        ({"questions": 2, "batch": 4}, "batch: does not go with questions"),
        ({"questions": 2, "epochs": 1}, "epochs: does not go with questions"),
        ({"layers": "0-3"}, "layers"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Options.model_validate(wrong)
