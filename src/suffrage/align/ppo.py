"""Proximal policy optimisation of a language model against a score of whole answers.

Schulman et al. (2017), equation 7, with a clipped value function; advantages by generalised
advantage estimation (Schulman et al. 2016, equation 16); the penalty for leaving the reference is
paid token by token with an adaptive weight (Ziegler et al. 2019, section 2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from suffrage.align.loop import Loop, as_it_was, snapshot, trainable
from suffrage.align.method import OnStep
from suffrage.errors import SuffrageError
from suffrage.models.language_model import LanguageModel, device_name, out_of_memory
from suffrage.models.packing import Tokens

if TYPE_CHECKING:
    import torch

# rows, and the token ids of an answer to each, to the score of each answer
Reward = Callable[[Sequence[dict[str, Any]], Sequence[Tokens]], "torch.Tensor"]


@dataclass(frozen=True)
class PPOSettings:
    """prompts: answers sampled a step; each is learnt from `rounds` times, `minibatch` at a time.

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


def policy_loss(
    log_probs: torch.Tensor, old: torch.Tensor, advantage: torch.Tensor, clip: float
) -> torch.Tensor:
    """-min(ratio A, clip(ratio, 1 - e, 1 + e) A) of each token, ratio = exp(log pi - log pi_old)."""
    import torch

    ratio = (log_probs - old).exp()
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def value_loss(
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


def whitened(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Values of mean 0 and variance 1 over the tokens of answers."""
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean) ** 2, mask)
    return (values - mean) / (variance + 1e-8).sqrt() * mask


@dataclass(frozen=True, eq=False)
class Rollout:
    """Prompts with a sampled answer each, as one padded batch.

    ids, seen: (answers, width) tokens and which are there. first: where each answer begins.
    actions, mask: (answers, longest) the answer's tokens, and which are its own.
    """

    ids: torch.Tensor
    seen: torch.Tensor
    first: torch.Tensor
    actions: torch.Tensor
    mask: torch.Tensor

    def part(self, rows: torch.Tensor) -> Rollout:
        """Some of the answers."""
        return Rollout(
            self.ids[rows], self.seen[rows], self.first[rows], self.actions[rows], self.mask[rows]
        )


def rollout(prompts: Sequence[Tokens], answers: Sequence[Tokens], longest: int) -> Rollout:
    """The batch of prompts with their answers; answers are at most `longest` tokens."""
    import torch

    width = max(len(p) for p in prompts) + longest
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    seen = torch.zeros(len(prompts), width, dtype=torch.long)
    actions = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros(len(prompts), longest)
    first = torch.tensor([len(p) for p in prompts])
    for line, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        ids[line, : len(prompt) + len(answer)] = torch.tensor([*prompt, *answer])
        seen[line, : len(prompt) + len(answer)] = 1
        actions[line, : len(answer)] = torch.tensor(answer)
        mask[line, : len(answer)] = 1
    device = device_name()
    return Rollout(*(t.to(device) for t in (ids, seen, first, actions, mask)))


def read(model: Any, head: Any, given: Rollout) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(answers, longest) log-probabilities of the actions, their states' values, and entropies."""
    import torch

    found = model(
        input_ids=given.ids,
        attention_mask=given.seen,
        use_cache=False,
        output_hidden_states=True,
    )
    steps = torch.arange(given.actions.shape[1], device=given.ids.device)
    # The state before a token decides it.
    places = (given.first[:, None] - 1 + steps).clamp_max(given.ids.shape[1] - 1)
    rows = torch.arange(len(places), device=places.device)[:, None]
    log_probs = found.logits[rows, places].float().log_softmax(-1)
    values = head(found.hidden_states[-1][rows, places].float())[..., 0]
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
    import torch

    model = language_model.model
    head = torch.nn.Linear(model.config.hidden_size, 1).to(device_name())
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    reference = snapshot(model)
    parameters = [*trainable(model).values(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.0)
    loop = Loop(loop_folder, model, {"head": head, "optimizer": optimizer}, seed)
    loop.extra.setdefault("kl_weight", settings.kl_weight)
    with out_of_memory("PPO", "prompts: 8, minibatch: 4"):
        while loop.step < settings.steps:
            start = loop.step * settings.prompts
            asked = [(start + k) % len(rows) for k in range(settings.prompts)]
            entry = _step(
                language_model,
                head,
                [rows[k] for k in asked],
                [prompts[k] for k in asked],
                reward,
                settings,
                reference,
                parameters,
                optimizer,
                loop,
                seed,
            )
            loop.step += 1
            loop.log.append({"step": loop.step, **entry})
            on_step(loop.step, settings.steps, entry["loss"])
            if loop.step % settings.save_every == 0 or loop.step == settings.steps:
                loop.save()
    return loop


def _step(
    language_model: LanguageModel,
    head: Any,
    rows: Sequence[dict[str, Any]],
    prompts: Sequence[Tokens],
    reward: Reward,
    settings: PPOSettings,
    reference: dict[str, torch.Tensor],
    parameters: list[Any],
    optimizer: Any,
    loop: Loop,
    seed: int,
) -> dict[str, float]:
    import torch

    model = language_model.model.eval()
    answers = language_model.sample_tokens(prompts, settings.longest, seed * 1_000_003 + loop.step)
    given = rollout(prompts, answers, settings.longest)
    with torch.inference_mode():
        old, old_values, _ = read(model, head, given)
        with as_it_was(model, reference):
            before, _, _ = read(model, head, given)
        scores = reward(rows, answers).to(old)
    old, old_values, before, scores = (t.clone() for t in (old, old_values, before, scores))
    gap = (old - before) * given.mask
    kl = float(gap.sum(-1).mean())
    if not kl < settings.kl_stop:
        raise SuffrageError(
            f"PPO blew up at step {loop.step + 1}: its answers are {kl:.1f} nats from the "
            f"reference (the limit is {settings.kl_stop:g}). The likely cause is a learning rate "
            f"too high (now {settings.learning_rate:g}) or kl_weight too low (now "
            f"{loop.extra['kl_weight']:.3g}). The last good point is kept in {loop.folder}."
        )
    rewards = -loop.extra["kl_weight"] * gap
    last = (given.mask.sum(-1).long() - 1).clamp_min(0)
    rewards[torch.arange(len(rewards)), last] += scores
    raw = advantages(rewards, old_values, given.mask, settings.discount, settings.trace)
    returns = (raw + old_values) * given.mask
    advantage = whitened(raw, given.mask)
    model.train()
    sums = {"loss": 0.0, "clip_fraction": 0.0, "entropy": 0.0}
    updates = 0
    for _ in range(settings.rounds):
        order = torch.randperm(len(rows), generator=loop.generator)
        for start in range(0, len(rows), settings.minibatch):
            some = order[start : start + settings.minibatch].to(given.ids.device)
            part = given.part(some)
            new, values, entropy = read(model, head, part)
            mask = part.mask
            clipped = masked_mean(policy_loss(new, old[some], advantage[some], settings.clip), mask)
            fitted = masked_mean(
                value_loss(values, old_values[some], returns[some], settings.clip), mask
            )
            spread = masked_mean(entropy, mask)
            loss = clipped + settings.value_weight * fitted - settings.entropy_weight * spread
            if not torch.isfinite(loss):
                raise SuffrageError(
                    f"PPO diverged at step {loop.step + 1}: the loss is {float(loss)}. Try a tenth "
                    f"of the learning rate ({settings.learning_rate:g})."
                )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            far = ((new.detach() - old[some]).exp() - 1).abs() > settings.clip
            sums["loss"] += float(loss.detach())
            sums["clip_fraction"] += float(masked_mean(far.float(), mask))
            sums["entropy"] += float(spread.detach())
            updates += 1
    loop.extra["kl_weight"] = next_kl_weight(
        loop.extra["kl_weight"], kl, settings.kl_target, len(rows), settings.kl_horizon
    )
    return {
        **{name: total / updates for name, total in sums.items()},
        "score": float(scores.mean()),
        "kl": kl,
        "kl_weight": loop.extra["kl_weight"],
        "tokens": float(given.seen.sum()),
    }
