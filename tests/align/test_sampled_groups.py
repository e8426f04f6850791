"""Rewards for groups of sampled answers: their algebra, and what a tiny model learns by them."""

import dataclasses
import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from suffrage.align import Method, TrainingJob, sampled_groups
from suffrage.align.grpo import METHOD as GRPO
from suffrage.align.rloo import METHOD as RLOO
from suffrage.align.sampled_groups import (
    OFF_POPULAR,
    GroupOptions,
    answer_distances,
    answers_only,
    as_reward_function,
    popular_rewards,
    preference_pairs,
    said_option,
    score_by_shares,
    share_rewards,
    vllm_settings,
)
from suffrage.errors import InputError, SuffrageError
from suffrage.training_data import Records
from tests.align.option_shares import option_shares
from tests.align.test_training import (
    SURVEY,
    in_one_order,
    job,
    weights,
)

pytestmark = pytest.mark.slow

BOTH = pytest.mark.parametrize("method", [RLOO, GRPO], ids=lambda m: m.name)


def leave_one_out(rewards: np.ndarray) -> np.ndarray:
    """RLOO's advantage: a reward less the mean of the others'."""
    return rewards - (rewards.sum() - rewards) / (len(rewards) - 1)


def group_score(said: list[int], target: np.ndarray, d: np.ndarray) -> float:
    """S of the module, summed pair by pair."""
    size = len(said)
    pairs = sum(d[a, b] for a, b in itertools.permutations(said, 2)) / (size * (size - 1))
    people = sum(target[k] * d[a, k] for a in said for k in range(len(target)))
    return pairs - 2 * people / size


def drawn_target(generator: np.random.Generator, options: int) -> np.ndarray:
    return np.asarray(generator.dirichlet(np.ones(options)))


@given(st.integers(0, 10**6), st.integers(3, 9), st.integers(2, 5), st.booleans())
def test_after_the_baseline_an_answers_credit_is_what_its_group_loses_without_it(
    seed: int, size: int, options: int, on_scale: bool
) -> None:
    generator = np.random.default_rng(seed)
    target = drawn_target(generator, options)
    said = [int(k) for k in generator.integers(0, options, size)]
    d = answer_distances(options, on_scale)
    found = leave_one_out(share_rewards(said, target.tolist(), on_scale))
    whole = group_score(said, target, d)
    for i in range(size):
        # A group of two is the smallest with a distance; of three, one left out leaves two.
        without = group_score([*said[:i], *said[i + 1 :]], target, d)
        assert found[i] == pytest.approx(size / 2 * (whole - without), abs=1e-9)


Advantages = dict[tuple[int, ...], np.ndarray]


def advantages_of(rewards: object, options: int, size: int) -> Advantages:
    """The advantages of every possible group."""
    groups = itertools.product(range(options), repeat=size)
    return {said: leave_one_out(rewards(said)) for said in groups}  # type: ignore[operator]


def expected_gradient(logits: np.ndarray, advantages: Advantages) -> np.ndarray:
    """E of the mean over a group of advantage times grad log q, by every possible group."""
    q = np.exp(logits) / np.exp(logits).sum()
    said = np.array(list(advantages))
    scores = np.eye(len(q))[said] - q
    each = np.einsum("ga,gao->go", np.array(list(advantages.values())), scores) / said.shape[1]
    return np.asarray(q[said].prod(axis=1) @ each)


@pytest.mark.parametrize("on_scale", [False, True])
def test_the_expected_step_is_down_the_distance_to_the_people(on_scale: bool) -> None:
    """By finite differences of 2 E d(Y,X) - E d(Y,Y') - E d(X,X'), not by the module's algebra."""
    p, logits = np.array([0.5, 0.2, 0.3]), np.array([0.4, -0.3, 0.9])
    d = answer_distances(3, on_scale)[:3, :3]

    def distance(z: np.ndarray) -> float:
        q = np.exp(z) / np.exp(z).sum()
        return float(2 * q @ d @ p - q @ d @ q - p @ d @ p)

    advantages = advantages_of(lambda said: share_rewards(said, list(p), on_scale), 3, 4)
    found = expected_gradient(logits, advantages)
    step = 1e-6
    slopes = [(distance(logits + step * e) - distance(logits - step * e)) / 2e-6 for e in np.eye(3)]
    np.testing.assert_allclose(found, -np.array(slopes) / 2, atol=1e-8)


def test_the_distance_of_two_options_is_the_squared_difference_of_shares() -> None:
    p, q, d = np.array([0.6, 0.4]), np.array([0.9, 0.1]), answer_distances(2, False)[:2, :2]
    assert 2 * q @ d @ p - q @ d @ q - p @ d @ p == pytest.approx(((q - p) ** 2).sum())


def fixed_point(rewards: object, size: int = 5) -> float:
    """Where two options end under the exact expected step, from even odds."""
    logit, advantages = 0.0, advantages_of(rewards, 2, size)
    for _ in range(3000):
        logit += 4 * float(expected_gradient(np.array([logit, 0.0]), advantages)[0])
    return float(1 / (1 + np.exp(-logit)))


@pytest.mark.slow
def test_sixty_forty_stays_sixty_forty_and_the_popular_reward_goes_to_the_majority() -> None:
    target = [0.6, 0.4]
    assert fixed_point(lambda said: share_rewards(said, target)) == pytest.approx(0.6, abs=1e-6)
    assert fixed_point(lambda said: popular_rewards(said, target)) > 0.99


@pytest.mark.slow
def test_without_the_factor_for_the_baseline_majorities_grow() -> None:
    """The reason for (G-1)/(G-2): own share less others' share, plainly, ends elsewhere."""

    def plain(said: tuple[int, ...]) -> np.ndarray:
        others = [(said.count(k) - 1) / (len(said) - 1) for k in said]
        return np.array([0.6, 0.4])[list(said)] - np.array(others)

    # p - c q is even over the options at q = 1/2 + (p - 1/2) / c, c = (G-2)/(G-1).
    assert fixed_point(plain) == pytest.approx(0.5 + 0.1 / (3 / 4), abs=1e-6)


@given(st.integers(0, 10**6), st.integers(3, 9), st.integers(2, 5), st.booleans())
def test_off_format_gets_the_lowest_reward(
    seed: int, size: int, options: int, on_scale: bool
) -> None:
    generator = np.random.default_rng(seed)
    target = drawn_target(generator, options).tolist()
    said = [None, 0, *(int(k) for k in generator.integers(0, options + 1, size - 2))]
    places = [None if k == options else k for k in said]
    off = np.array([place is None for place in places])
    for found in (share_rewards(places, target, on_scale), popular_rewards(places, target)):
        assert found[off].max() <= found[~off].min() + 1e-9


def test_off_format_dies_out_and_leaves_the_shares() -> None:
    """Two options and nonsense, under the exact expected step, from even odds of the three."""

    def rewards(said: tuple[int, ...]) -> np.ndarray:
        return share_rewards([None if k == 2 else k for k in said], [0.6, 0.4])

    logits, advantages = np.zeros(3), advantages_of(rewards, 3, 3)
    for _ in range(400):
        logits += 4 * expected_gradient(logits, advantages)
    q = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(q, [0.6, 0.4, 0], atol=0.005)


def test_the_popular_reward_is_the_share() -> None:
    assert popular_rewards([1, 0, None], [0.7, 0.3]).tolist() == [0.3, 0.7, OFF_POPULAR]


def test_what_counts_as_an_answer() -> None:
    assert said_option(["A", "B"], " B\n") == 1
    assert [said_option(["A", "B"], t) for t in ("b", "B.", "AB", "C", "")] == [None] * 5
    sentences = ["I agree.", "I do not agree."]
    assert said_option(sentences, "i do  not agree") == 1
    assert said_option(sentences, "I do not") is None


def test_trls_call_gives_each_answer_its_groups_reward_and_counts_the_off_format() -> None:
    options = GroupOptions(num_generations=3, distance="scale")
    noted: dict[str, float] = {}
    texts = ["A", "C", "?", "1", "1", "2"]
    columns = {
        "user": ["one"] * 3 + ["two"] * 3,
        "format": ["option"] * 6,
        "answers": [["A", "B", "C"]] * 3 + [["1", "2"]] * 3,
        "target": [[0.5, 0.3, 0.2]] * 3 + [[0.4, 0.6]] * 3,
        "ordered": [True] * 3 + [False] * 3,
    }
    found = as_reward_function(score_by_shares(options))(
        ["q"] * 6,
        [[{"role": "assistant", "content": text}] for text in texts],
        [[0]] * 6,
        log_metric=noted.__setitem__,
        **columns,
    )
    first = share_rewards([0, 2, None], [0.5, 0.3, 0.2], True)
    second = share_rewards([0, 0, 1], [0.4, 0.6])
    np.testing.assert_allclose(found, [*first, *second])
    assert noted == {"off_format": pytest.approx(1 / 6)}


def test_pairs_hold_the_shares_of_the_records() -> None:
    row = {
        **dict.fromkeys(("id", "value_set", "item", "user"), "x"),
        **{"format": "option", "answers": ["A", "B", "C"], "target": [0.2, 0.5, 0.3]},
    }
    pairs = preference_pairs(
        Records("distribution", pl.DataFrame([row] * 40), {}), np.random.default_rng(0)
    )
    shares = dict(zip("ABC", (0.2, 0.5, 0.3), strict=True))
    for pair in pairs.frame.to_dicts():
        a, b = shares[pair["chosen"]], shares[pair["rejected"]]
        assert pair["share"] == pytest.approx(a / (a + b)) and a > b
    assert pairs.kind == "preference" and len(pairs) == 40


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"num_generations": 2}, "num_generations: 3 or more"),
        ({"general": "some.jsonl"}, "no reward"),
        ({"beta": 0}, "greater than 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GroupOptions(**given)  # type: ignore[arg-type]


def group_job(
    method: Method,
    tiny: Path,
    start: Path | None,
    folder: Path,
    steps: int,
    flip: bool = False,
    target: list[float] | None = None,
    **more: object,
) -> TrainingJob:
    """A training on q1 with letters from top to bottom, repeated as often as steps need.

    target: shares of its first options, None for those of the north.
    """
    settings: dict[str, object] = {"adapter": "none", "dtype": "float32", "batch": 2}
    given = job(tiny, "distribution", folder, 120, flip, **settings)  # type: ignore[arg-type]
    frame = in_one_order(given).records.frame.filter(pl.col("item") == "q1")
    if target is not None:
        shares = target + [0.0] * (len(frame["answers"][0]) - len(target))
        frame = frame.with_columns(pl.Series("target", [shares] * len(frame)))
    options = method.options(**{**settings, "save_every": 4, "learning_rate": 0.01, **more})
    needed = steps * 2
    frame = pl.concat([frame] * (-(-needed // len(frame)))).head(needed)
    records = replace(given.records, frame=frame)
    return replace(given, records=records, options=options, steps=steps, start=start)


def trained(method: Method, given: TrainingJob) -> Path:
    assert method.train is not None
    method.train(given)
    return given.output


Q1 = SURVEY.codebook["q1"]
REWARDS = ["share", "popular", "preference_model"]


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("reward", REWARDS)
def test_answers_move_toward_the_people_and_flipped_shares_away(
    method: Method,
    reward: str,
    format_known: Callable[[str], Path],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    """Most in the north give the first option of q1, flipped the last."""
    start = format_known("none")
    before, _ = option_shares(start, Q1)
    # A preference model is trained for as many steps as the policy, and 10 are too few for it.
    steps, rate = (26, 0.012) if reward == "preference_model" else (10, 0.03)
    more = {"reward": reward, "learning_rate": rate, "save_every": 100}
    found = []
    for flip in (False, True):
        given = group_job(method, tiny_model, start, tmp_path / str(flip), steps, flip, **more)
        found.append(option_shares(trained(method, given), Q1)[0])
    assert found[0][0] > before[0] + 0.2 and found[0][-1] < before[-1], (before, found)
    assert found[1][-1] > before[-1] + 0.2 and found[1][0] < before[0], (before, found)


@pytest.mark.slow
@BOTH
def test_seventy_thirty_stays_nearer_seventy_thirty_than_by_the_popular_reward(
    method: Method, format_known: Callable[[str], Path], tiny_model: Path, tmp_path: Path
) -> None:
    found = {}
    for reward in ("share", "popular"):
        given = group_job(
            method,
            tiny_model,
            format_known("none"),
            tmp_path / reward,
            40,
            target=[0.7, 0.3],
            reward=reward,
            save_every=100,
        )
        found[reward], on_format = option_shares(trained(method, given), Q1)
        assert on_format > 0.9
    assert abs(found["share"][0] - 0.7) < 0.1 and abs(found["share"][1] - 0.3) < 0.1, found
    assert found["popular"][0] > 0.9, found


@BOTH
def test_answers_are_sampled_up_to_where_a_turn_ends(
    method: Method, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half of the tokens end a turn, so that most answers end early.
    ends = frozenset(range(0, 256, 2))
    said: list[tuple[int, ...]] = []

    def score(rows: object, texts: object, tokens: list[list[int]]) -> np.ndarray:
        said.extend(tuple(answer) for answer in tokens)
        return np.arange(len(tokens), dtype=float)

    monkeypatch.setattr(sampled_groups, "end_tokens", lambda *_: ends)
    monkeypatch.setattr(sampled_groups, "score_by_shares", lambda options: score)
    trained(method, group_job(method, tiny_model, None, tmp_path, 2, longest=6))
    assert len(said) == 2 * 2 * 8
    for answer in said:
        assert not set(answer[:-1]) & ends
        assert len(answer) == 6 or answer[-1] in ends


@BOTH
def test_sampling_begins_with_the_prompts_that_scoring_reads(
    method: Method, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    folder = shutil.copytree(tiny_model, tmp_path / "dated")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = (
        "<|system|>{{ strftime_now('%d %b %Y') }}<|end|>{% for m in messages %}<|user|>"
        "{% for p in m['content'] %}{{ p['text'] }}{% endfor %}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    tokenizer.save_pretrained(folder)
    given = group_job(method, folder, None, tmp_path, 1, longest=2)
    read: list[str] = []
    embed = torch.nn.Embedding.forward

    def spy(self: torch.nn.Embedding, ids: torch.Tensor) -> torch.Tensor:
        read.extend(tokenizer.batch_decode(ids))
        return embed(self, ids)

    monkeypatch.setattr(torch.nn.Embedding, "forward", spy)
    trained(method, given)
    users = set(given.records.frame["user"].to_list())
    prompts = [f"<|system|>26 Jul 2024<|end|><|user|>{user}<|end|><|assistant|>" for user in users]
    assert any(prompt in text for text in read for prompt in prompts)
    assert not any("<|user|><|end|>" in text for text in read)
    # What is published keeps the template of its makers.
    assert AutoTokenizer.from_pretrained(given.output).chat_template == tokenizer.chat_template


@pytest.mark.slow
@BOTH
def test_a_broken_training_ends_as_an_unbroken_one(
    method: Method, format_known: Callable[[str], Path], tiny_model: Path, tmp_path: Path
) -> None:
    """With LoRA and from another's checkpoint, whose adapter is trained further."""
    start = format_known("lora")

    def made(folder: str) -> TrainingJob:
        return group_job(method, tiny_model, start, tmp_path / folder, 6, adapter="lora")

    whole = trained(method, made("whole"))

    class Killed(BaseException):
        pass

    def die(step: int, total: int, loss: float) -> None:
        if step == 5:
            raise Killed

    assert method.train is not None
    with pytest.raises(Killed):
        method.train(replace(made("broken"), on_step=die))
    facts = method.train(made("broken"))
    assert facts.resumed_from == 4 and facts.tokens > 0
    again = made("broken").output
    one, two = weights(whole), weights(again)
    assert all(torch.equal(one[key], two[key]) for key in one)
    moved = weights(start)
    assert any(not torch.equal(one[key], moved[key]) for key in one)
    assert not (whole / "ref").exists()
    log = [json.loads(line) for line in (again / "training.jsonl").open()]
    assert [entry["step"] for entry in log] == list(range(1, 7))
    assert all(0 <= entry["off_format"] <= 1 and "reward" in entry for entry in log)
    assert (again / "adapter_config.json").exists()


def test_a_policy_that_runs_away_is_stopped(
    format_known: Callable[[str], Path], tiny_model: Path, tmp_path: Path
) -> None:
    given = group_job(
        GRPO, tiny_model, format_known("none"), tmp_path, 10, learning_rate=0.05, kl_stop=1e-4
    )
    with pytest.raises(SuffrageError, match="training blew up at step"):
        trained(GRPO, given)


@BOTH
def test_micro_batches_hold_whole_groups(
    method: Method, format_known: Callable[[str], Path], tiny_model: Path, tmp_path: Path
) -> None:
    """Groups are rewarded together and each record once a step, however few at a time."""
    given = group_job(method, tiny_model, format_known("none"), tmp_path, 2, micro_batch=1)
    log = [json.loads(line) for line in (trained(method, given) / "training.jsonl").open()]
    assert len(log) == 2 and all(np.isfinite(entry["reward"]) for entry in log)


@pytest.mark.parametrize("mode", ["colocate", "server"])
def test_vllm_is_asked_for_in_trls_own_words(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import trl

    monkeypatch.setattr(sampled_groups, "find_spec", lambda name: None)
    url = "http://gpu:8000" if mode == "server" else None
    options = GroupOptions.model_validate({"steps": 1, "vllm": mode, "vllm_url": url})
    with pytest.raises(InputError, match=f"vllm: {mode} needs vLLM, which is not installed"):
        vllm_settings(options)
    monkeypatch.setattr(sampled_groups, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="needs a CUDA GPU"):
        vllm_settings(options)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found = vllm_settings(options)
    known = {"use_vllm": True, "vllm_mode": mode}
    assert found == known | ({"vllm_server_base_url": url} if url else {})
    for config in (trl.RLOOConfig, trl.GRPOConfig):
        assert set(found) <= {field.name for field in dataclasses.fields(config)}
    assert vllm_settings(GroupOptions(steps=1)) == {}
    with pytest.raises(ValueError, match="vllm_url goes with"):
        GroupOptions(steps=1, vllm_url="http://gpu:8000")


@BOTH
def test_probabilities_of_answers_are_trls_own(
    method: Method,
    format_known: Callable[[str], Path],
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With their gradients, for answers of several tokens, some of them ended and padded."""
    compared: list[float] = []

    def both(trainer: type) -> type:
        ours = answers_only(trainer)

        class Compared(ours):  # type: ignore[misc,valid-type]
            def _get_per_token_logps_and_entropies(self, model, *args, **more):  # type: ignore[no-untyped-def]
                found = super()._get_per_token_logps_and_entropies(model, *args, **more)
                own = trainer._get_per_token_logps_and_entropies(self, model, *args, **more)  # type: ignore[attr-defined]
                for mine, theirs in zip(found[:2], own[:2], strict=True):
                    assert (mine is None) == (theirs is None)
                    if mine is not None:
                        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
                        assert (mine == 0).any() and (mine != 0).any()
                if found[0].requires_grad:
                    weight = next(p for p in model.parameters() if p.requires_grad and p.ndim == 2)
                    slopes = [
                        torch.autograd.grad(given[0].square().sum(), weight, retain_graph=True)[0]
                        for given in (found, own)
                    ]
                    torch.testing.assert_close(*slopes, atol=1e-4, rtol=1e-4)
                    compared.append(float(slopes[0].abs().max()))
                return found

        return Compared

    monkeypatch.setattr(sampled_groups, "answers_only", both)
    given = group_job(method, tiny_model, format_known("none"), tmp_path, 2, longest=4)
    trained(method, given)
    assert len(compared) == 2 and min(compared) > 0
