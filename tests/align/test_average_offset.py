"""Training from the average answer: where it starts, what the loss is, and what is kept of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from suffrage import storage
from suffrage.align.checkpoint import AVERAGE_ANSWERS
from suffrage.align.distribution import Options, with_average
from suffrage.align.packed import (
    Prompts,
    answer_log_probs,
    asked_shares,
    pack_answers,
)
from suffrage.errors import InputError
from suffrage.models import identify
from suffrage.models.loading import load_weights
from suffrage.models.packing_rule import packing_rule
from suffrage.population import ValueSet
from suffrage.population.distribution_distances import fit
from suffrage.training_data import Records
from suffrage.training_data.average_answer import AverageAnswers, times_average
from tests.align.test_parts_of_a_step import first_step
from tests.align.test_whole_questions import SPLIT, job, populations, records_of, trained

SHAPE = {"questions": 3, "populations": 5, "offset": "average"}


def mean_of_others(value_set: ValueSet, item: str, left: set[str]) -> np.ndarray:
    """The mean answer to the questions trained on with as many options, by a plain loop."""
    own = value_set.distributions[item].shares
    others = [
        d.shares
        for name, d in value_set.distributions.items()
        if name in SPLIT.train and name not in left and name != item and d.shares.size == own.size
    ]
    assert others
    return np.mean(others, axis=0)


def held_back(records: Records) -> set[str]:
    return set(records.made_from.get("validation", ()))


def test_an_average_is_of_the_other_questions_trained_on() -> None:
    """Neither the question itself, nor what is held back or held out, is in its average."""
    sets = populations()
    records = records_of(Options(**SHAPE, validation=0.3), 9, sets)
    by_name = {v.name: v for v in sets}
    rows = records.frame.to_dicts()
    assert {row["validation"] for row in rows} == {True, False}
    for row in rows:
        expected = mean_of_others(by_name[row["value_set"]], row["item"], held_back(records))
        assert row["average"] == pytest.approx(expected)
        assert len(row["average"]) == len(row["answers"])
    table = AverageAnswers.from_content(records.made_from["average"])
    for name, value_set in by_name.items():
        expected = mean_of_others(value_set, "q0", held_back(records))
        assert table.answer(name, expected.size) == pytest.approx(expected)


def test_without_an_offset_records_have_no_average() -> None:
    records = records_of(Options(questions=3), 2, populations())
    assert "average" not in records.frame.columns and "average" not in records.made_from


def test_a_table_knows_populations_it_has_and_gives_others_their_mean() -> None:
    table = AverageAnswers.of(populations(2), SPLIT)
    both = [table.answer(name, 4) for name in table.populations]
    assert table.answer("nobody", 4) == pytest.approx(np.mean(both, axis=0))
    with pytest.raises(InputError, match="none for 40 options"):
        table.answer("oak", 40)


def test_multiplying_changes_shares_and_leaves_what_is_no_answer() -> None:
    generator = np.random.default_rng(4)
    q, f = 0.7 * generator.dirichlet(np.ones(4), 6), generator.dirichlet(np.ones(4), 6)
    found = with_average(torch.tensor(q).log(), torch.tensor(f)).exp().numpy()
    expected = q * f / (q * f).sum(1, keepdims=True)
    np.testing.assert_allclose(found, 0.7 * expected)
    for line, (own, average) in enumerate(zip(q, f, strict=True)):
        np.testing.assert_allclose(times_average(own / 0.7, average), expected[line])
    even = torch.full((6, 4), 0.25, dtype=torch.float64)
    np.testing.assert_allclose(with_average(torch.tensor(q).log(), even).exp(), q)


def test_a_model_that_knows_nothing_starts_at_the_floor(tiny_model: Path) -> None:
    model, tokenizer = load_weights(identify(str(tiny_model), Path()), "float32")
    with torch.no_grad():
        model.get_output_embeddings().weight.zero_()
    sets = populations()
    records = records_of(Options(**SHAPE, validation=0.3), 2, sets)
    rows = records.frame.filter("validation").to_dicts()
    found = asked_shares(model, rows, Prompts.of(tokenizer), packing_rule(model), 8)
    by_name = {v.name: v for v in sets}
    for row, shares in zip(rows, found, strict=True):
        value_set = by_name[row["value_set"]]
        floor = mean_of_others(value_set, row["item"], held_back(records))
        assert shares == pytest.approx(floor, abs=1e-6)
        people = np.array(row["target"])
        assert fit(people, shares) == pytest.approx(fit(people, floor), abs=1e-6)


@pytest.mark.slow
def test_the_loss_is_that_of_plain_numpy(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = job(tiny_model, tmp_path, 1, adapter="none", **SHAPE, differences=10.0)
    loss, _ = first_step("distribution", given, monkeypatch)
    model, tokenizer = load_weights(given.model, "float32")
    rows = given.records.frame.to_dicts()
    with torch.no_grad():
        asked = [row["answers"] for row in rows]
        packed = pack_answers(Prompts.of(tokenizer), packing_rule(model), rows, asked)
        logs = answer_log_probs(model, packed).numpy()
    per_way = []
    for way in sorted({row["way"] for row in rows}):
        lines = [k for k, row in enumerate(rows) if row["way"] == way]
        p = np.array([rows[k]["target"] for k in lines])
        f = np.array([rows[k]["average"] for k in lines])
        q = np.exp(logs[lines][:, : p.shape[1]])
        r = q * f / (q * f).sum(1, keepdims=True)
        divergence = ((p * np.log(p / r)).sum(1) - np.log(q.sum(1))).mean()
        apart = (((r - r.mean(0)) - (p - p.mean(0))) ** 2).sum(1).mean()
        per_way.append(divergence + 10 * apart)
    assert loss == pytest.approx(float(np.mean(per_way)), rel=1e-4)


@pytest.mark.slow
def test_the_checkpoint_keeps_the_table(tiny_model: Path, tmp_path: Path) -> None:
    given = job(tiny_model, tmp_path, 2, **SHAPE)
    trained(given)
    kept = AverageAnswers.from_content(storage.read_json(given.output / AVERAGE_ANSWERS))
    assert set(kept.populations) == {v.name for v in populations()}
    for value_set in populations():
        expected = mean_of_others(value_set, "q0", set())
        assert kept.answer(value_set.name, expected.size) == pytest.approx(expected)
