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
from typing import TYPE_CHECKING, Any, TypeVar

from suffrage.align.loop import Loop, as_it_was, snapshot, trainable
from suffrage.align.method import OnStep
from suffrage.errors import SuffrageError, require
from suffrage.models.device import device_name, out_of_memory
from suffrage.models.language_model import LanguageModel
from suffrage.models.packing import Tokens

if TYPE_CHECKING:
    import torch

# rows, and the token ids of an answer to each, to the score of each answer
Reward = Callable[[Sequence[dict[str, Any]], Sequence[Tokens]], "torch.Tensor"]
Result = TypeVar("Result")


@dataclass(frozen=True)
class PPOSettings:
    """prompts: answers sampled a step; each is learnt from `rounds` times, `minibatch` at a time.

    micro_batch: answers computed at a time within a minibatch, None for all; halved by itself where
    the memory does not hold them. learning_rate: at first; it falls to 0 in a straight line.
    whiten_rewards: divide each step's rewards by their deviation, which makes kl_weight relative.
    longest: most tokens of an answer. clip: epsilon, of the ratio and of values. discount, trace:
    gamma and lambda of advantages. value_weight, entropy_weight: in the loss. kl_weight: what a
    nat costs at first; kl_target: nats an answer that the weight is steered to, over kl_horizon
    answers; kl_stop: nats at which a training has blown up.
    """

    steps: int
    prompts: int
    minibatch: int
    rounds: int
    longest: int
    learning_rate: float
    save_every: int
    clip: float = 0.2
    discount: float = 1.0
    trace: float = 0.95
    value_weight: float = 0.1
    entropy_weight: float = 0.0
    kl_weight: float = 0.1
    kl_target: float = 1.0
    kl_horizon: int = 1000
    kl_stop: float = 20.0
    micro_batch: int | None = None
    whiten_rewards: bool = False


def advantages(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, discount: float, trace: float
) -> torch.Tensor:
    """A_t = sum_l (gamma lambda)^l delta_{t+l}, delta_t = r_t + gamma V_{t+1} - V_t.

    rewards, values, mask: (answers, tokens), mask 1 on an answer's tokens; V after the last is 0.
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
    """-min(ratio A, clip(ratio, 1 - e, 1 + e) A) of each token, ratio = exp(log pi - log pi_old)."""
    import torch

    ratio = (log_probs - old).exp()
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def clipped_value_loss(
    values: torch.Tensor, old: torch.Tensor, returns: torch.Tensor, clip: float
) -> torch.Tensor:
    """max((V - R)^2, (clip(V, V_old - e, V_old + e) - R)^2) / 2 of each token."""
    import torch

    near = old + (values - old).clamp(-clip, clip)
    return torch.maximum((values - returns) ** 2, (near - returns) ** 2) / 2


def next_kl_weight(weight: float, kl: float, target: float, answers: int, horizon: int) -> float:
    """beta (1 + K clip(KL / target - 1, -0.2, 0.2)), K = answers / horizon."""
    error = min(max(kl / target - 1, -0.2), 0.2)
    return weight * (1 + error * answers / horizon)


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean over an answer's tokens, all answers together."""
    return (values * mask).sum() / mask.sum()


def whitened(values: torch.Tensor, mask: torch.Tensor, centre: bool = True) -> torch.Tensor:
    """Values of variance 1 over the tokens of answers, and of mean 0 unless `centre` is false."""
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean) ** 2, mask)
    return (values - mean * centre) / (variance + 1e-8).sqrt() * mask


@dataclass(frozen=True, eq=False)
class Rollout:
    """Prompts with a sampled answer each, as one padded batch.

    ids, seen: (answers, width) tokens and which are there; prompts end, and answers begin, in the
    same column. actions, mask: (answers, longest) the answer's tokens, and which are its own.
    """

    ids: torch.Tensor
    seen: torch.Tensor
    actions: torch.Tensor
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
    model: Any, head: Any, given: Rollout
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(answers, longest) log-probabilities of the actions, their states' values, and entropies.

    Logits are computed for the answers only: over a whole prompt they would be most of the memory.
    """
    longest = given.actions.shape[1]
    found = model(
        input_ids=given.ids,
        attention_mask=given.seen,
        position_ids=(given.seen.cumsum(-1) - 1).clamp_min(0),
        use_cache=False,
        output_hidden_states=True,
        logits_to_keep=longest + 1,
    )
    # The state before a token decides it.
    log_probs = found.logits[:, :-1].float().log_softmax(-1)
    values = head(found.hidden_states[-1][:, -longest - 1 : -1].float())[..., 0]
    entropy = -(log_probs.exp() * log_probs).sum(-1)
    return log_probs.gather(-1, given.actions[..., None])[..., 0], values, entropy


def run_ppo(
    language_model: LanguageModel,
    rows: Sequence[dict[str, Any]],
    prompts: Sequence[Tokens],
    reward: Reward,
    settings: PPOSettings,
    loop_folder: Any,
    seed: int,
    on_step: OnStep,
) -> Loop:
    """Train the model's trainable parameters; goes on from the last point saved.

    rows, prompts: what is asked, in turn. Raises SuffrageError when the loss is no number or the
    divergence from the reference passes `kl_stop`; the last point saved is kept.
    """
    learner = Learner(language_model, reward, settings, loop_folder, seed)
    loop = learner.loop
    with out_of_memory("PPO", "batch: 8, gradient_checkpointing: true, dtype: bfloat16"):
        while loop.step < settings.steps:
            start = loop.step * settings.prompts
            asked = [(start + k) % len(rows) for k in range(settings.prompts)]
            entry = learner.step([rows[k] for k in asked], [prompts[k] for k in asked])
            loop.step += 1
            loop.log.append({"step": loop.step, **entry})
            on_step(loop.step, settings.steps, entry["loss"])
            if loop.step % settings.save_every == 0 or loop.step == settings.steps:
                loop.save()
    return loop


class Learner:
    """A model, its value head and its optimizer, and one step of PPO with them.

    Answers are computed as many at a time as the memory holds: a pass that runs out of it is made
    again with half as many, which changes the result by no more than rounding.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        reward: Reward,
        settings: PPOSettings,
        folder: Any,
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
        """Sample an answer to each prompt, and learn from their rewards; what the log says of it."""
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
                beside = (old[some], values[some], advantage[some], returns[some])
                entry = self._fitting(partial(self._backward, given.part(some), *beside))
                norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, 1.0))
                if not (math.isfinite(entry["loss"]) and math.isfinite(norm)):
                    raise SuffrageError(
                        f"PPO diverged at step {self.loop.step + 1}: the loss is {entry['loss']}, "
                        f"the norm of its gradient {norm}. The likely cause is a learning rate too "
                        f"high (now {self.settings.learning_rate:g}); try a tenth. The last good "
                        f"point is kept in {self.loop.folder}."
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
            new, values, entropy = read_rollout(self.model, self.head, given.part(at))
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
            read_rollout(self.model, self.head, given.part(slice(start, start + size)))
            for start in range(0, len(given), size)
        ]
        return torch.cat([line[0] for line in found]), torch.cat([line[1] for line in found])

    def _fitting(self, compute: Callable[[int], Result]) -> Result:
        """What `compute` gives for a number of answers at a time that the memory holds."""
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
            f"{self.loop.extra['kl_weight']:.3g}). The last good point is kept in "
            f"{self.loop.folder}."
        )
