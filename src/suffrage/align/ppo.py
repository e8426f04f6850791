"""Proximal policy optimisation of a language model against a score of whole answers.

Schulman et al. (2017), equation 7, with a clipped value function; advantages by generalised
advantage estimation (Schulman et al. 2016, equation 16); the penalty for leaving the reference is
paid token by token with an adaptive weight (Ziegler et al. 2019, section 2.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from suffrage.align.loop import Loop, as_it_was, kept_point, snapshot, trainable
from suffrage.align.method import OnStep
from suffrage.errors import SuffrageError, require
from suffrage.models.device import device_name, out_of_memory
from suffrage.models.language_model import LanguageModel
from suffrage.models.packing import Tokens
from suffrage.models.packing_rule import forward_accepts, kept_logits

if TYPE_CHECKING:
    import torch

# From records, and the token ids of a sampled answer to each, to the score of each answer.
Reward = Callable[[Sequence[dict[str, Any]], Sequence[Tokens]], "torch.Tensor"]
Result = TypeVar("Result")


@dataclass(frozen=True)
class PPOSettings:
    """How a model is trained by PPO."""

    steps: int
    # Answers sampled a step.
    prompts: int
    # Answers an update.
    minibatch: int
    # How often each answer is learnt from.
    rounds: int
    # Most tokens of an answer.
    longest: int
    # At first; it falls to 0 in a straight line.
    learning_rate: float
    save_every: int
    # epsilon, of the ratio and of values.
    clip: float = 0.2
    # gamma and lambda of advantages.
    discount: float = 1.0
    trace: float = 0.95
    # Weights in the loss.
    value_weight: float = 0.1
    entropy_weight: float = 0.0
    # What a nat of divergence costs at first.
    kl_weight: float = 0.1
    # Nats an answer that the weight is steered to, over kl_horizon answers.
    kl_target: float = 1.0
    kl_horizon: int = 1000
    # A training stops if its divergence is above this many nats per answer.
    kl_stop: float = 20.0
    # Answers computed at a time within a minibatch; None for all of them. It is halved where the
    # memory does not hold them.
    micro_batch: int | None = None
    # Divide each step's rewards by their deviation, which makes kl_weight relative.
    whiten_rewards: bool = False


def advantages(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, discount: float, trace: float
) -> torch.Tensor:
    """Generalised advantage estimates of every token.

    A_t = sum_l (gamma lambda)^l delta_{t+l}, with delta_t = r_t + gamma V_{t+1} - V_t

    Parameters
    ----------
    rewards, values : tensor, shape (answers, tokens)
        r and V. The value after an answer's last token is 0.
    mask : tensor, shape (answers, tokens)
        1 on an answer's tokens, 0 behind them.
    discount, trace : float
        gamma and lambda, 0 to 1.

    Returns
    -------
    tensor, shape (answers, tokens)
        0 where the mask is.

    References
    ----------
    Schulman et al. (2016), equation 16.

    Examples
    --------
    >>> import torch
    >>> rewards, mask = torch.tensor([[0.0, 0.0, 1.0]]), torch.ones(1, 3)
    >>> advantages(rewards, torch.zeros(1, 3), mask, 1.0, 0.5).tolist()
    [[0.25, 0.5, 1.0]]
    """
    import torch

    found = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    following = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + discount * following - values[:, t]
        running = (delta + discount * trace * running) * mask[:, t]
        found[:, t] = running
        following = values[:, t] * mask[:, t]
    return found


def clipped_policy_loss(
    log_probs: torch.Tensor, old: torch.Tensor, advantage: torch.Tensor, clip: float
) -> torch.Tensor:
    """PPO's clipped loss of each token.

    -min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon) A), with ratio = exp(log pi - log pi_old)

    Parameters
    ----------
    log_probs, old : tensor
        log pi and log pi_old of the sampled tokens, of one shape.
    advantage : tensor
        A, of the same shape.
    clip : float
        epsilon, above 0.

    Returns
    -------
    tensor
        Of the same shape.

    References
    ----------
    Schulman et al. (2017), equation 7.

    Examples
    --------
    >>> import torch
    >>> new, old = torch.tensor([0.0, 1.0]), torch.zeros(2)
    >>> [round(x, 3) for x in clipped_policy_loss(new, old, torch.ones(2), 0.2).tolist()]
    [-1.0, -1.2]
    """
    import torch

    ratio = (log_probs - old).exp()
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def clipped_value_loss(
    values: torch.Tensor, old: torch.Tensor, returns: torch.Tensor, clip: float
) -> torch.Tensor:
    """The clipped loss of the value function, a token.

    max((V - R)^2, (clip(V, V_old - epsilon, V_old + epsilon) - R)^2) / 2

    Parameters
    ----------
    values, old : tensor
        V and V_old, of one shape.
    returns : tensor
        R, of the same shape.
    clip : float
        epsilon, above 0.

    Returns
    -------
    tensor
        Of the same shape.
    """
    import torch

    near = old + (values - old).clamp(-clip, clip)
    return torch.maximum((values - returns) ** 2, (near - returns) ** 2) / 2


def next_kl_weight(weight: float, kl: float, target: float, answers: int, horizon: int) -> float:
    """The weight of the KL penalty after a step, steered so that the divergence meets its target.

    beta (1 + K clip(KL / target - 1, -0.2, 0.2)), with K = answers / horizon

    References
    ----------
    Ziegler et al. (2019), section 2.2.

    Examples
    --------
    >>> round(next_kl_weight(0.1, kl=3.0, target=1.0, answers=100, horizon=1000), 4)
    0.102
    """
    error = min(max(kl / target - 1, -0.2), 0.2)
    return weight * (1 + error * answers / horizon)


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean over the tokens of all answers together; mask and values of one shape."""
    return (values * mask).sum() / mask.sum()


def whitened(values: torch.Tensor, mask: torch.Tensor, centre: bool = True) -> torch.Tensor:
    """Values of variance 1 over the tokens of answers, and of mean 0 unless `centre` is false."""
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean) ** 2, mask)
    return (values - mean * centre) / (variance + 1e-8).sqrt() * mask


@dataclass(frozen=True, eq=False)
class Rollout:
    """Prompts with a sampled answer each, as one padded batch.

    Prompts end, and answers begin, in the same column.
    """

    # (answers, width), the tokens of prompt and answer.
    ids: torch.Tensor
    # (answers, width), 1 where there is a token.
    seen: torch.Tensor
    # (answers, longest), the answer's tokens.
    actions: torch.Tensor
    # (answers, longest), 1 on the answer's tokens.
    mask: torch.Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, rows: torch.Tensor | slice) -> Rollout:
        """Some of the answers."""
        return Rollout(self.ids[rows], self.seen[rows], self.actions[rows], self.mask[rows])


def rollout(prompts: Sequence[Tokens], answers: Sequence[Tokens], longest: int) -> Rollout:
    """The batch of prompts with their answers; answers are at most `longest` tokens."""
    import torch

    before = max(len(p) for p in prompts)
    ids = torch.zeros(len(prompts), before + longest, dtype=torch.long)
    seen = torch.zeros(len(prompts), before + longest, dtype=torch.long)
    for line, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        there = slice(before - len(prompt), before + len(answer))
        ids[line, there] = torch.tensor([*prompt, *answer])
        seen[line, there] = 1
    device = device_name()
    ids, seen = ids.to(device), seen.to(device)
    return Rollout(ids, seen, ids[:, before:], seen[:, before:].float())


def read_rollout(
    model: Any, head: Any, given: Rollout, pads: bool = True
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Read a batch of answers with the model and its value head.

    Logits are computed for the answers only: over a whole prompt they would be most of the memory.

    Parameters
    ----------
    model : PreTrainedModel
    head : Module
        From the model's width to one number.
    given : Rollout
    pads : bool
        Whether the model reads padded prompts exactly. Otherwise each row is read alone.

    Returns
    -------
    log_probs, values, entropy : tensor, shape (answers, longest)
        The log-probability of each token of an answer, the value of the state before it, and the
        entropy of what could have been said there, in nats.
    """
    import torch

    longest = given.actions.shape[1]
    inputs = {"input_ids": given.ids}
    if pads:
        inputs["attention_mask"] = given.seen
        if forward_accepts(model, "position_ids"):
            inputs["position_ids"] = (given.seen.cumsum(-1) - 1).clamp_min(0)
    elif len(given) > 1:
        rows = [
            read_rollout(model, head, given.part(slice(k, k + 1)), pads) for k in range(len(given))
        ]
        logs, worth, spread = (torch.cat(part) for part in zip(*rows, strict=True))
        return logs, worth, spread
    else:
        # What is behind an answer cannot change it; what is before the prompt can.
        inputs["input_ids"] = given.ids[:, int(given.seen[0].argmax()) :]
    found = model(
        **inputs,
        use_cache=False,
        output_hidden_states=True,
        logits_to_keep=longest + 1,
    )
    # A token is decided by the state before it.
    logits = kept_logits(found.logits, inputs["input_ids"].shape[1], longest + 1)
    log_probs = logits[:, :-1].float().log_softmax(-1)
    values = head(found.hidden_states[-1][:, -longest - 1 : -1].float())[..., 0]
    entropy = -(log_probs.exp() * log_probs).sum(-1)
    return log_probs.gather(-1, given.actions[..., None])[..., 0], values, entropy


def run_ppo(
    language_model: LanguageModel,
    rows: Sequence[dict[str, Any]],
    prompts: Sequence[Tokens],
    reward: Reward,
    settings: PPOSettings,
    loop_folder: Path,
    seed: int,
    on_step: OnStep,
) -> Loop:
    """Train the model's trainable parameters, from the last point saved.

    Parameters
    ----------
    language_model : LanguageModel
        The policy. Its parameters as they are now are the reference.
    rows : sequence of rows
        The records, which the reward sees.
    prompts : sequence of tokens
        Their questions, in turn.
    reward : Reward
        Scores whole answers.
    settings : PPOSettings
    loop_folder : Path
        Where the state of the training is kept.
    seed : int
    on_step : OnStep

    Returns
    -------
    Loop
        With the log: of each step the loss, the score, the divergence and its weight.

    Raises
    ------
    SuffrageError
        The loss is not a number, or the divergence from the reference passes `kl_stop`. The last
        point saved is kept.
    """
    learner = Learner(language_model, reward, settings, loop_folder, seed)
    loop = learner.loop
    with out_of_memory("PPO", "batch: 8, gradient_checkpointing: true, dtype: bfloat16"):
        while loop.step < settings.steps:
            start = loop.step * settings.prompts
            places = [(start + k) % len(rows) for k in range(settings.prompts)]
            entry = learner.step([rows[k] for k in places], [prompts[k] for k in places])
            loop.step += 1
            loop.log.append({"step": loop.step, **entry})
            on_step(loop.step, settings.steps, entry["loss"])
            if loop.step % settings.save_every == 0 or loop.step == settings.steps:
                loop.save()
    return loop


class Learner:
    """A model, its value head and its optimizer, and one step of PPO with them.

    As many answers are computed at a time as the memory holds. A pass that runs out of memory is
    made again with half as many, which changes the result by no more than rounding.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        reward: Reward,
        settings: PPOSettings,
        folder: Path,
        seed: int,
    ) -> None:
        import torch

        self.language_model, self.reward, self.settings = language_model, reward, settings
        self.model, self.seed = language_model.model, seed
        self.head = torch.nn.Linear(self.model.config.hidden_size, 1).to(device_name())
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)
        self.reference = snapshot(self.model)
        self.parameters = [*trainable(self.model).values(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=settings.learning_rate, weight_decay=0.0
        )
        self.micro_batch = settings.micro_batch or settings.minibatch
        parts = {"head": self.head, "optimizer": self.optimizer}
        self.loop = Loop(folder, self.model, parts, seed)
        self.loop.extra.setdefault("kl_weight", settings.kl_weight)

    def step(self, rows: Sequence[dict[str, Any]], prompts: Sequence[Tokens]) -> dict[str, float]:
        """Sample an answer to each prompt, learn from their rewards, and return a log line."""
        import torch

        settings, loop = self.settings, self.loop
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * (1 - loop.step / settings.steps)
        self.model.eval()
        draw = self.seed * 1_000_003 + loop.step
        answers = self.language_model.sample_tokens(prompts, settings.longest, draw)
        given = rollout(prompts, answers, settings.longest)
        with torch.no_grad():
            old, values = self._fitting(partial(self._read, given))
            with as_it_was(self.model, self.reference):
                before, _ = self._fitting(partial(self._read, given))
            scores = self.reward(rows, answers).to(old)
        gap = (old - before) * given.mask
        kl = float(gap.sum(-1).mean())
        self._check(kl)
        rewards = -loop.extra["kl_weight"] * gap
        last = (given.mask.sum(-1).long() - 1).clamp_min(0)
        rewards[torch.arange(len(rewards)), last] += scores.clone()
        if settings.whiten_rewards:
            rewards = whitened(rewards, given.mask, centre=False)
        raw = advantages(rewards, values, given.mask, settings.discount, settings.trace)
        returns = (raw + values) * given.mask
        sums = self._learn(given, old, values, whitened(raw, given.mask), returns)
        loop.extra["kl_weight"] = next_kl_weight(
            loop.extra["kl_weight"], kl, settings.kl_target, len(rows), settings.kl_horizon
        )
        return {
            **sums,
            "score": float(scores.mean()),
            "kl": kl,
            "kl_weight": loop.extra["kl_weight"],
            "tokens": float(given.seen.sum()),
        }

    def _learn(
        self,
        given: Rollout,
        old: torch.Tensor,
        values: torch.Tensor,
        advantage: torch.Tensor,
        returns: torch.Tensor,
    ) -> dict[str, float]:
        """Learn from each answer `rounds` times; the mean loss, clip fraction and entropy."""
        import torch

        self.model.train()
        found: list[dict[str, float]] = []
        for _ in range(self.settings.rounds):
            order = torch.randperm(len(given), generator=self.loop.generator).to(given.ids.device)
            for some in order.split(self.settings.minibatch):
                targets = (old[some], values[some], advantage[some], returns[some])
                entry = self._fitting(partial(self._backward, given.part(some), *targets))
                norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, 1.0))
                if not (math.isfinite(entry["loss"]) and math.isfinite(norm)):
                    raise SuffrageError(
                        f"PPO diverged at step {self.loop.step + 1}: the loss is {entry['loss']}, "
                        f"the norm of its gradient {norm}. The likely cause is a learning rate too "
                        f"high (now {self.settings.learning_rate:g}); try a tenth. "
                        f"{kept_point(self.loop.folder)}"
                    )
                self.optimizer.step()
                found.append(entry)
        return {name: sum(entry[name] for entry in found) / len(found) for name in found[0]}

    def _backward(
        self,
        given: Rollout,
        old: torch.Tensor,
        old_values: torch.Tensor,
        advantage: torch.Tensor,
        returns: torch.Tensor,
        size: int,
    ) -> dict[str, float]:
        """The gradient of one minibatch's loss, `size` answers at a time."""
        settings = self.settings
        sums = {"loss": 0.0, "clip_fraction": 0.0, "entropy": 0.0}
        share = given.mask / given.mask.sum()
        self.optimizer.zero_grad()
        for start in range(0, len(given), size):
            at = slice(start, start + size)
            new, values, entropy = read_rollout(
                self.model, self.head, given.part(at), self.language_model.pads
            )
            clipped = clipped_policy_loss(new, old[at], advantage[at], settings.clip)
            fitted = clipped_value_loss(values, old_values[at], returns[at], settings.clip)
            each = clipped + settings.value_weight * fitted - settings.entropy_weight * entropy
            loss = (each * share[at]).sum()
            loss.backward()
            far = ((new.detach() - old[at]).exp() - 1).abs() > settings.clip
            sums["loss"] += float(loss.detach())
            sums["clip_fraction"] += float((far * share[at]).sum())
            sums["entropy"] += float((entropy.detach() * share[at]).sum())
        return sums

    def _read(self, given: Rollout, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        found = [
            read_rollout(
                self.model,
                self.head,
                given.part(slice(start, start + size)),
                self.language_model.pads,
            )
            for start in range(0, len(given), size)
        ]
        return torch.cat([line[0] for line in found]), torch.cat([line[1] for line in found])

    def _fitting(self, compute: Callable[[int], Result]) -> Result:
        """Call `compute` with a number of answers at a time that the memory holds."""
        memory = require("accelerate.utils.memory", "align", "PPO")
        while True:
            try:
                return compute(self.micro_batch)
            except RuntimeError as error:
                if self.micro_batch == 1 or not memory.should_reduce_batch_size(error):
                    raise
            # Here the error is gone, and with it the tensors its traceback held.
            memory.clear_device_cache(garbage_collection=True)
            self.micro_batch = -(-self.micro_batch // 2)

    def _check(self, kl: float) -> None:
        if kl < self.settings.kl_stop:
            return
        raise SuffrageError(
            f"PPO blew up at step {self.loop.step + 1}: its answers are {kl:.1f} nats from the "
            f"reference (the limit is {self.settings.kl_stop:g}). The likely cause is a learning "
            f"rate too high (now {self.settings.learning_rate:g}) or kl_weight too low (now "
            f"{self.loop.extra['kl_weight']:.3g}). {kept_point(self.loop.folder)}"
        )
