"""PPO's pieces against the papers' formulas in plain NumPy, and the preference model's."""

import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from suffrage.align import TrainingJob, rlhf
from suffrage.align.ppo import (
    advantages,
    masked_mean,
    next_kl_weight,
    policy_loss,
    rollout,
    value_loss,
    whitened,
)
from suffrage.align.preference_model import (
    PreferenceModel,
    agreement,
    bradley_terry_loss,
    held_out_items,
    train_preference_model,
)
from suffrage.align.rlhf import known_labels
from suffrage.errors import InputError
from suffrage.models import identify
from suffrage.training_data import Records

numbers = st.floats(-3, 3)


@given(st.integers(0, 500), st.floats(0.5, 1), st.floats(0, 1))
def test_advantages_are_the_sum_of_discounted_residuals(
    seed: int, gamma: float, lam: float
) -> None:
    generator = np.random.default_rng(seed)
    rewards, values = generator.normal(size=(3, 6)), generator.normal(size=(3, 6))
    lengths = [6, 4, 1]
    mask = np.array([[float(t < n) for t in range(6)] for n in lengths])
    found = advantages(*(torch.tensor(x) for x in (rewards, values, mask)), gamma, lam).numpy()
    for i, n in enumerate(lengths):
        v = [*values[i, :n], 0.0]
        delta = [rewards[i, t] + gamma * v[t + 1] - v[t] for t in range(n)]
        for t in range(n):
            wanted = sum((gamma * lam) ** k * delta[t + k] for k in range(n - t))
            assert found[i, t] == pytest.approx(wanted, abs=1e-9)
        assert (found[i, n:] == 0).all()


def test_without_discount_or_trace_loss_advantages_are_returns_less_values() -> None:
    rewards, values = torch.tensor([[0.0, 0.0, 2.0]]), torch.tensor([[0.5, 1.0, 1.5]])
    found = advantages(rewards, values, torch.ones(1, 3), 1.0, 1.0)
    torch.testing.assert_close(found, 2 - values)


@given(numbers, numbers, numbers, st.floats(0.05, 0.5))
def test_the_policy_loss_is_clipped_on_the_side_that_gains(
    new: float, old: float, a: float, clip: float
) -> None:
    x = torch.tensor([new], dtype=torch.float64, requires_grad=True)
    loss = policy_loss(
        x, torch.tensor([old], dtype=torch.float64), torch.tensor([a], dtype=torch.float64), clip
    )
    ratio = np.exp(new - old)
    wanted = -min(ratio * a, np.clip(ratio, 1 - clip, 1 + clip) * a)
    assert loss.item() == pytest.approx(wanted, abs=1e-9)
    loss.sum().backward()
    assert x.grad is not None
    stopped = (a > 0 and ratio > 1 + clip) or (a < 0 and ratio < 1 - clip)
    assert x.grad.item() == pytest.approx(0 if stopped else -ratio * a, abs=1e-9)


@given(numbers, numbers, numbers)
def test_the_value_loss_takes_the_worse_of_clipped_and_plain(
    v: float, old: float, r: float
) -> None:
    near = old + np.clip(v - old, -0.2, 0.2)
    wanted = max((v - r) ** 2, (near - r) ** 2) / 2
    given_ = (torch.tensor([x], dtype=torch.float64) for x in (v, old, r))
    assert value_loss(*given_, 0.2).item() == pytest.approx(wanted, abs=1e-9)


def test_the_penalty_grows_where_the_model_leaves_too_far() -> None:
    assert next_kl_weight(0.1, 3.0, 1.0, 100, 1000) == pytest.approx(0.1 * 1.02)
    assert next_kl_weight(0.1, 1.0, 1.0, 100, 1000) == pytest.approx(0.1)
    assert next_kl_weight(0.1, 0.95, 1.0, 100, 1000) == pytest.approx(0.1 * (1 - 0.005))
    assert next_kl_weight(0.1, 0.0, 1.0, 100, 1000) == pytest.approx(0.1 * 0.98)


def test_whitening_looks_at_answers_only() -> None:
    values = torch.tensor([[1.0, 2.0, 99.0], [3.0, 99.0, 99.0]])
    mask = torch.tensor([[1.0, 1, 0], [1, 0, 0]])
    found = whitened(values, mask)
    assert masked_mean(found, mask).item() == pytest.approx(0, abs=1e-6)
    assert masked_mean(found**2, mask).item() == pytest.approx(1, abs=1e-4)
    assert (found[mask == 0] == 0).all()


def test_a_rollout_puts_answers_after_their_prompts() -> None:
    made = rollout([(5, 6, 7), (8,)], [(1, 2), (3,)], 2)
    assert made.ids.tolist() == [[5, 6, 7, 1, 2], [8, 3, 0, 0, 0]]
    assert made.seen.sum(-1).tolist() == [5, 2] and made.first.tolist() == [3, 1]
    assert made.actions.tolist() == [[1, 2], [3, 0]] and made.mask.tolist() == [[1, 1], [1, 0]]


@given(numbers, numbers, st.floats(0, 1))
def test_the_preference_models_loss_is_the_cross_entropy_of_odds(
    w: float, lo: float, s: float
) -> None:
    p = 1 / (1 + np.exp(lo - w))
    wanted = -s * np.log(p) - (1 - s) * np.log(1 - p)
    found = bradley_terry_loss(*(torch.tensor([x], dtype=torch.float64) for x in (w, lo, s))).item()
    assert found == pytest.approx(wanted, abs=1e-9)


def test_a_model_that_says_the_shares_is_calibrated_and_an_overconfident_one_is_not() -> None:
    s = np.random.default_rng(0).uniform(0.05, 0.95, 4000)
    exact = agreement(s, s)
    assert exact["accuracy"] == 1 and exact["calibration_error"] == pytest.approx(0, abs=1e-9)
    assert exact["loss"] == pytest.approx(exact["floor"])
    sharp = agreement(np.where(s > 0.5, 0.99, 0.01), s)
    assert sharp["accuracy"] == 1 and sharp["calibration_error"] > 0.15
    assert sharp["loss"] > exact["loss"]
    coin = agreement(np.full(4000, 0.5), s)
    assert coin["accuracy"] == pytest.approx((s <= 0.5).mean(), abs=0.02)


def test_items_not_rows_are_held_from_the_preference_model() -> None:
    items = [f"q{k % 10}" for k in range(200)]
    tested = held_out_items(items, 1)
    assert len(tested) == 2 and tested == held_out_items(items[::-1], 1)
    assert held_out_items(["a", "b"], 1) == set()


def test_labels_are_read_from_the_question() -> None:
    assert known_labels({"user": "Do you? Yes. No.\n\nA. Yes\nB. No\n\nAnswer."}) == {"A", "B"}


STRENGTHS = {"calm": 0.0, "brave": 0.9, "kind": 2.0}  # log-odds against "calm"


def preference_job(tiny_model: Path, folder: Path, **more: object) -> TrainingJob:
    """Every pair of three answers to one question, with exactly the odds of known strengths."""
    rows = [
        {
            "id": f"{first}{second}",
            "value_set": "all",
            "item": "q0",
            "user": "How to be?",
            "format": "written",
            "chosen": first,
            "rejected": second,
            "share": 1 / (1 + np.exp(STRENGTHS[second] - STRENGTHS[first])),
            "weight": 1.0,
            "completion": first,
        }
        for first, second in itertools.permutations(STRENGTHS, 2)
    ]
    settings: dict[str, object] = {"batch": 6, "learning_rate": 0.01, "adapter": "none"}
    return TrainingJob(
        model=identify(str(tiny_model), Path()),
        records=Records("preference", pl.DataFrame(rows), {}),
        options=rlhf.Options(**{**settings, "dtype": "float32", **more}),
        steps=1,
        seed=3,
        work=folder / "work",
        output=folder / "out",
        on_step=lambda step, total, loss: None,
    )


def scored(model: PreferenceModel) -> np.ndarray:
    n = len(STRENGTHS)
    return np.array(model.score(["How to be?"] * n, list(STRENGTHS), ["written"] * n))


@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_the_preference_model_finds_known_odds_and_is_read_back(
    adapter: str, tiny_model: Path, tmp_path: Path
) -> None:
    given_ = preference_job(tiny_model, tmp_path, adapter=adapter)
    found, report, _ = train_preference_model(given_, tmp_path / "pm", 80, lambda step, of: None)
    scores = scored(found)
    wanted = np.array(list(STRENGTHS.values()))
    np.testing.assert_allclose(scores - scores[0], wanted, atol=0.15)
    assert report["pairs"] == 0, "one item leaves none to hold out"
    found.save(tmp_path / "saved")
    again = PreferenceModel.load(tmp_path / "saved", given_.model)
    np.testing.assert_allclose(scored(again), scores, atol=1e-4)


def test_a_folder_without_a_preference_model_is_refused(tiny_model: Path) -> None:
    with pytest.raises(InputError, match=r"no preference model here.*head\.safetensors"):
        PreferenceModel.load(tiny_model, identify(str(tiny_model), Path()))


def test_the_preference_models_small_batches_add_up(tiny_model: Path, tmp_path: Path) -> None:
    found = []
    for place, more in enumerate(({}, {"micro_batch": 4}, {"gradient_checkpointing": True})):
        given_ = preference_job(tiny_model, tmp_path, **more)
        model, _, _ = train_preference_model(
            given_, tmp_path / f"pm{place}", 3, lambda step, of: None
        )
        found.append(scored(model))
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
    np.testing.assert_allclose(found[2], found[0], atol=1e-4)
