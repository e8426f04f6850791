"""PPO's pieces against the papers' formulas in plain NumPy, and the preference model's."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from suffrage.align import TrainingJob, rlhf
from suffrage.align.answer_rewards import (
    answer_texts,
    known_labels,
    label_corrections,
    toward_even_labels,
)
from suffrage.align.loop import Loop
from suffrage.align.packed import Prompts
from suffrage.align.ppo import (
    PPOSettings,
    Reward,
    advantages,
    clipped_policy_loss,
    clipped_value_loss,
    masked_mean,
    next_kl_weight,
    read_rollout,
    rollout,
    run_ppo,
    whitened,
)
from suffrage.align.preference_model import (
    PreferenceModel,
    agreement,
    bradley_terry_loss,
    held_out_items,
    train_preference_model,
)
from suffrage.errors import InputError, SuffrageError
from suffrage.models import LanguageModel, identify
from suffrage.models.packing import Tokens
from suffrage.training_data import Records

pytestmark = pytest.mark.slow

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
    loss = clipped_policy_loss(
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
    x = torch.tensor([v], dtype=torch.float64, requires_grad=True)
    rest = (torch.tensor([y], dtype=torch.float64) for y in (old, r))
    loss = clipped_value_loss(x, *rest, 0.2)
    assert loss.item() == pytest.approx(wanted, abs=1e-9)
    if v != old and abs((v - r) ** 2 - (near - r) ** 2) < 1e-9 and near != v:
        return  # on the edge between the two either gradient is right
    loss.sum().backward()
    # Where the clipped value is the worse one it does not move, and neither does the loss.
    stopped = (near - r) ** 2 > (v - r) ** 2 and near != v
    assert x.grad is not None and x.grad.item() == pytest.approx(0 if stopped else v - r, abs=1e-6)


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
    kept = whitened(values, mask, centre=False)
    torch.testing.assert_close(kept[mask == 1], torch.tensor([1.0, 2, 3]) / (2 / 3) ** 0.5)


def test_a_rollout_puts_answers_after_their_prompts() -> None:
    made = rollout([(5, 6, 7), (8,)], [(1, 2), (3,)], 2)
    assert made.ids.tolist() == [[5, 6, 7, 1, 2], [0, 0, 8, 3, 0]]
    assert made.seen.tolist() == [[1, 1, 1, 1, 1], [0, 0, 1, 1, 0]]
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


def test_a_padded_batch_reads_as_each_answer_does_alone(tiny_model: Path) -> None:
    model = LanguageModel.load(identify(str(tiny_model), Path())).model
    head = torch.nn.Linear(32, 1)
    prompts: list[tuple[int, ...]] = [(50, 60, 70, 80), (90,)]
    answers: list[tuple[int, ...]] = [(100,), (110, 120, 0)]
    made = rollout(prompts, answers, 3)
    with torch.no_grad():
        log_probs, values, entropy = read_rollout(model, head, made)
        for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            alone = model(torch.tensor([[*prompt, *answer]]), output_hidden_states=True)
            p = alone.logits[0].softmax(-1).numpy()
            for t, token in enumerate(answer):
                at = len(prompt) - 1 + t
                assert log_probs[i, t].item() == pytest.approx(np.log(p[at, token]), abs=1e-4)
                assert entropy[i, t].item() == pytest.approx(-(p[at] * np.log(p[at])).sum(), 1e-4)
                state = head(alone.hidden_states[-1][0, at]).item()
                assert values[i, t].item() == pytest.approx(state, abs=1e-4)


def test_reading_the_last_positions_multiplies_the_weights_once_not_for_each_row(
    tiny_model: Path,
) -> None:
    model = LanguageModel.load(identify(str(tiny_model), Path())).model
    model.requires_grad_(False)  # as under an adapter
    words = model.config.vocab_size
    products: list[str] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            found = func(*args, **(kwargs or {}))
            shapes = [one.shape for one in args if isinstance(one, torch.Tensor)]
            if func.overloadpacket.__name__ in ("mm", "bmm") and words in shapes[-1]:
                products.append(func.overloadpacket.__name__)
            return found

    rows = rollout([(5, 6, 7, 8)] * 6, [(9,)] * 6, 1)
    with Watch(), torch.no_grad():
        read_rollout(model, torch.nn.Linear(model.config.hidden_size, 1), rows)
    assert products == ["mm"]


def ppo(
    tiny_model: Path, folder: Path, reward: Reward, start: list[float] | None = None, **more: Any
) -> tuple[LanguageModel, Loop]:
    """PPO on one question with the labels A, B, C; `start`: shares they are brought to before."""
    model = LanguageModel.load(identify(str(tiny_model), Path()))
    prompt = model.encode([{"role": "user", "content": "A. x\nB. y\nC. z"}])
    if start:
        _bring_to(model, prompt, start)
    settings: dict[str, Any] = {
        "steps": 4,
        "prompts": 8,
        "minibatch": 8,
        "rounds": 2,
        "longest": 2,
        "learning_rate": 0.003,
        "save_every": 2,
    }
    on_step = more.pop("on_step", lambda step, total, loss: None)
    row = {"user": "A. x\nB. y\nC. z", "format": "option"}
    loop = run_ppo(
        model, [row], [prompt], reward, PPOSettings(**{**settings, **more}), folder, 3, on_step
    )
    return model, loop


def _bring_to(model: LanguageModel, prompt: tuple[int, ...], shares: list[float]) -> None:
    optimizer = torch.optim.Adam(model.model.parameters(), lr=0.003)
    tokens = [model.label_tokens(label)[0] for label in "ABC"]
    for _ in range(60):
        log_probs = model.model(torch.tensor([prompt])).logits[0, -1].log_softmax(-1)[tokens]
        loss = -(torch.tensor(shares) * log_probs).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    optimizer.zero_grad()


def label_shares(model: LanguageModel) -> np.ndarray:
    prompt = model.encode([{"role": "user", "content": "A. x\nB. y\nC. z"}])
    model.model.eval()
    with torch.no_grad():
        p = model.model(torch.tensor([prompt])).logits[0, -1].softmax(-1).numpy()
    return np.array([sum(p[t] for t in model.label_tokens(label)[:1]) for label in "ABC"])


def token_parity(rows: Sequence[dict[str, Any]], answers: Sequence[Tokens]) -> torch.Tensor:
    return torch.tensor([sum(t % 2 for t in tokens) / len(tokens) for tokens in answers])


def weights_of(model: LanguageModel) -> dict[str, torch.Tensor]:
    return dict(model.model.state_dict())


@pytest.mark.slow
def test_ppo_goes_on_bit_for_bit_with_head_optimizer_and_penalty(
    tiny_model: Path, tmp_path: Path
) -> None:
    whole, log = ppo(tiny_model, tmp_path / "whole", token_parity, steps=7)

    class Killed(BaseException):
        pass

    def die(step: int, total: int, loss: float) -> None:
        if step == 5:
            raise Killed

    with pytest.raises(Killed):
        ppo(tiny_model, tmp_path / "broken", token_parity, steps=7, on_step=die)
    again, log_again = ppo(tiny_model, tmp_path / "broken", token_parity, steps=7)
    assert log_again.resumed_from == 4 and log_again.log == log.log
    assert log_again.extra == log.extra
    found, wanted = weights_of(again), weights_of(whole)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    for name, value in log.parts["head"].state_dict().items():
        assert torch.equal(value, log_again.parts["head"].state_dict()[name])


@pytest.mark.slow
def test_small_batches_and_ones_that_had_to_be_halved_take_the_same_steps(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = ppo(tiny_model, tmp_path / "whole", token_parity)
    parts, _ = ppo(tiny_model, tmp_path / "parts", token_parity, micro_batch=3)
    asked = []

    def short_of_memory(model: Any, head: Any, given: Any, pads: bool) -> Any:
        asked.append(len(given))
        if len(given) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        return read_rollout(model, head, given)

    monkeypatch.setattr("suffrage.align.ppo.read_rollout", short_of_memory)
    halved, _ = ppo(tiny_model, tmp_path / "halved", token_parity)
    assert asked[:3] == [8, 4, 2] and max(asked[3:]) == 2, "what did not fit is not tried again"
    for other in (parts, halved):
        for name, value in weights_of(whole).items():
            torch.testing.assert_close(weights_of(other)[name], value, atol=2e-4, rtol=1e-2)


def test_where_one_answer_does_not_fit_the_message_says_what_would(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(model: Any, head: Any, given: Any, pads: bool) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    monkeypatch.setattr("suffrage.align.ppo.read_rollout", too_much)
    with pytest.raises(SuffrageError, match=r"out of memory while PPO.*gradient_checkpointing"):
        ppo(tiny_model, tmp_path, token_parity)


def test_a_gradient_that_is_no_number_stops_ppo_before_it_is_applied(
    tiny_model: Path, tmp_path: Path
) -> None:
    def broken(rows: Sequence[dict[str, Any]], answers: Sequence[Tokens]) -> torch.Tensor:
        return torch.full((len(answers),), float("nan"))

    with pytest.raises(SuffrageError, match=r"PPO diverged at step 1.*learning rate too high"):
        ppo(tiny_model, tmp_path, broken)


PEOPLE = np.array([0.6, 0.3, 0.1])


def people_reward(model: LanguageModel) -> Reward:
    """The log share of people, as of a model that has learnt them exactly; less for the rest."""
    score = {label: float(np.log(p)) for label, p in zip("ABC", PEOPLE, strict=True)}

    def reward(rows: Sequence[dict[str, Any]], answers: Sequence[Tokens]) -> torch.Tensor:
        texts = answer_texts(model.tokenizer, answers)
        return torch.tensor([score.get(text, min(score.values()) - 1) for text in texts])

    return reward


def test_the_correction_makes_the_labels_of_the_reference_even(tiny_model: Path) -> None:
    model = LanguageModel.load(identify(str(tiny_model), Path()))
    row = {"user": "A. x\nB. y\nC. z", "format": "option"}
    found = label_corrections(model.model, Prompts.of(model.tokenizer), [row, row])
    prompt = model.encode([{"role": "user", "content": row["user"]}])
    with torch.no_grad():
        p = model.model(torch.tensor([prompt])).logits[0, -1].softmax(-1).numpy()
    shares = np.array([sum(p[t] for t in model.label_tokens(label)) for label in "ABC"])
    wanted = np.log(shares.mean() / shares)
    np.testing.assert_allclose(list(found[row["user"]].values()), wanted, atol=1e-4)


@pytest.mark.slow
def test_the_proportional_form_keeps_the_peoples_shares_and_the_textbook_form_does_not(
    tiny_model: Path, tmp_path: Path
) -> None:
    model = LanguageModel.load(identify(str(tiny_model), Path()))
    row = {"user": "A. x\nB. y\nC. z", "format": "option"}
    prompt = model.encode([{"role": "user", "content": row["user"]}])
    settings: dict[str, Any] = {
        "steps": 40,
        "prompts": 24,
        "minibatch": 24,
        "longest": 1,
        "learning_rate": 0.005,
        "kl_horizon": 10**12,
    }
    # Begun from other shares than the people's, as after a fine-tuning that fell short.
    start = [0.3, 0.4, 0.3]
    _bring_to(model, prompt, start)
    corrections = label_corrections(model.model, Prompts.of(model.tokenizer), [row])
    reward = people_reward(model)
    even = toward_even_labels(reward, corrections, model.tokenizer)
    kept, _ = ppo(tiny_model, tmp_path / "a", even, start, kl_weight=1.0, **settings)
    np.testing.assert_allclose(label_shares(kept), PEOPLE, atol=0.08)
    textbook, _ = ppo(tiny_model, tmp_path / "b", reward, start, kl_weight=0.3, **settings)
    reference = np.array(start) * PEOPLE ** (1 / 0.3)
    assert label_shares(textbook)[0] == pytest.approx(reference[0] / reference.sum(), abs=0.08)
    assert label_shares(textbook)[0] > PEOPLE[0] + 0.15


def test_settings_that_cannot_keep_shares_are_refused() -> None:
    assert rlhf.Options().penalty == 0.1 and rlhf.Options(form="proportional").penalty == 1
    with pytest.raises(ValueError, match="needs format: option"):
        rlhf.Options(form="proportional", format="written")
    with pytest.raises(ValueError, match="kl_weight 1 and unscaled"):
        rlhf.Options(form="proportional", kl_weight=0.1)


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


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ["none", pytest.param("lora", marks=pytest.mark.slow)])
def test_the_preference_model_finds_known_odds_and_is_read_back(
    adapter: str, tiny_model: Path, tmp_path: Path
) -> None:
    given_ = preference_job(tiny_model, tmp_path, adapter=adapter)
    found, report = train_preference_model(given_, tmp_path / "pm", 80, lambda step, of: None)
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
        model, _ = train_preference_model(given_, tmp_path / f"pm{place}", 3, lambda step, of: None)
        found.append(scored(model))
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
    np.testing.assert_allclose(found[2], found[0], atol=1e-4)
