"""What `rloo` and `grpo` share: rewards for a group of sampled answers, and TRL's trainers on them.

A score of one answer cannot say "60 to 40": whichever answer scores best, always giving it is best.
What can is a score of a group. Let q be the model's probabilities of the answers (one more for what
is no answer, "off-format"), p the people's shares, and d(k, l) how far two answers lie apart (1
when they differ, or their distance on the scale). The energy distance (Szekely and Rizzo 2013)

    D(q, p) = 2 E d(Y, X) - E d(Y, Y') - E d(X, X'),   Y, Y' ~ q,  X, X' ~ p

is 0 where q = p and positive elsewhere; with d in {0, 1} it is sum_k (q_k - p_k)^2. Of G sampled
answers y_1..y_G an unbiased estimate, up to what does not depend on q, is -S with

    S = 1/(G(G-1)) sum_{i != j} d(y_i, y_j) - 2/G sum_i sum_k p_k d(y_i, k).

The distance of the sampled histogram itself is none: it holds each answer's own spread of sampling,
smaller where one answer rules, and so draws 60/40 to 61/39 (G = 8). S is the group's reward, and an
answer's credit is what the group loses without it, S - S_{-i}: S_{-i} does not depend on y_i, so
that E sum_i (S - S_{-i}) grad log q(y_i) = grad E S = -grad D exactly.

TRL wants a reward for each answer, and takes the mean of the other answers' off it (RLOO; GRPO the
mean of all, which is (G-1)/G times as much). The rewards

    r_i = (G-1)/(G-2) 1/(G-1) sum_{j != i} d(y_i, y_j) - sum_k p_k d(y_i, k)

then leave exactly G/2 (S - S_{-i}). The factor (G-1)/(G-2) is there because y_i is in the
others' rewards as well, so that the mean taken off takes some of its own back. With d in {0, 1} the
reward is, up to a constant, the people's share of an answer less the other samples' (times the
factor).
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from suffrage import storage
from suffrage.align.answer_rewards import answer_reward
from suffrage.align.checkpoint import Checkpoint
from suffrage.align.loop import kept_point
from suffrage.align.method import TrainingFacts, TrainingJob, TrainingOptions
from suffrage.align.preference_model import train_preference_model
from suffrage.align.training import one_device, prepare, run_trainer, trainer_settings
from suffrage.arrays import FloatArray
from suffrage.errors import InputError, SuffrageError, require
from suffrage.models.asking import Message
from suffrage.models.device import process_count, process_rank
from suffrage.models.drawing import reads_padded
from suffrage.models.packing_rule import forward_accepts, kept_logits
from suffrage.models.tokenizing import (
    encode_texts,
    end_tokens,
    own_prompt_style,
    prompt_text,
)
from suffrage.training_data.preference_pairs import draw_option_pair
from suffrage.training_data.records import Records

# Rewards of each answer of a batch, from the records asked and what was said: texts and token ids.
Score = Callable[[Sequence[dict[str, Any]], Sequence[str], Sequence[Sequence[int]]], FloatArray]
OFF_SHARE = 2.0  # taken off an off-format answer's share reward, which is then the lowest
OFF_POPULAR = -1.0  # its popular reward, where shares are 0 to 1
LONGEST_SENTENCE = 32


class GroupOptions(TrainingOptions):
    """What a study may say to `rloo` and `grpo`.

    `batch` counts records, each of which is answered `num_generations` times.
    """

    # share: minus the distance between a group's answers and the people's shares. popular: an
    # answer's own share (the textbook form, which goes to the majority). preference_model: a score
    # learnt from pairs of answers, which is trained first.
    reward: Literal["share", "popular", "preference_model"] = "share"
    # nominal; or scale, where a near miss costs less on ordered items.
    distance: Literal["nominal", "scale"] = "nominal"
    # How many answers are sampled for each record (the paper's G).
    num_generations: int = Field(default=8, ge=2)
    # Weight of the divergence from the model that training began with.
    beta: float = Field(default=0.02, gt=0)
    # The most tokens that an answer may have; None is 1 for a labelled option and 32 for a
    # sentence.
    longest: int | None = Field(default=None, ge=1)
    # Steps of the preference model; None for as many as the training has.
    preference_steps: int | None = Field(default=None, ge=1)
    # A training stops if its divergence is above this many nats per token in three steps in a row.
    kl_stop: float = Field(default=20.0, gt=0)
    # Who samples the answers. none is the trained model itself; colocate is vLLM on the same GPUs;
    # server is vLLM on other GPUs, started with `trl vllm-serve`.
    vllm: Literal["none", "colocate", "server"] = "none"
    # The address of the vLLM server.
    vllm_url: str | None = None

    @model_validator(mode="after")
    def _rewards_can_be_given(self) -> GroupOptions:
        if self.reward == "share" and self.num_generations < 3:
            raise ValueError("reward: share needs num_generations: 3 or more to compare answers")
        if self.general:
            raise ValueError(
                "general: sampled answers to instructions have no reward; mix instructions into "
                "the sft that training goes on from"
            )
        if self.vllm_url and self.vllm != "server":
            raise ValueError("vllm_url goes with vllm: server")
        return self

    @property
    def longest_answer(self) -> int:
        """Most tokens sampled to a question."""
        return self.longest or (1 if self.format == "option" else LONGEST_SENTENCE)


def vllm_settings(options: GroupOptions) -> dict[str, Any]:
    """TRL's settings for who samples the answers.

    Raises InputError where vLLM is wanted and this machine has none, or no CUDA GPU for it.
    """
    if options.vllm == "none":
        return {}
    if find_spec("vllm") is None:
        raise InputError(
            f"vllm: {options.vllm} needs vLLM, which is not installed: pip install vllm (Linux "
            "with a CUDA GPU), or say vllm: none."
        )
    if not require("torch", "align", "training").cuda.is_available():
        raise InputError(f"vllm: {options.vllm} needs a CUDA GPU; say vllm: none here.")
    found: dict[str, Any] = {"use_vllm": True, "vllm_mode": options.vllm}
    return found | ({"vllm_server_base_url": options.vllm_url} if options.vllm_url else {})


def answer_distances(options: int, on_scale: bool) -> FloatArray:
    """How far each two answers to an item lie apart, d(k, l).

    Parameters
    ----------
    options : int
        How many answers the item has.
    on_scale : bool
        Whether the distance is that on the scale. Otherwise any two answers are 1 apart.

    Returns
    -------
    array, shape (options + 1, options + 1)
        0 to 1. The last row and column are off-format, which is 1 from every answer.

    Examples
    --------
    >>> answer_distances(3, on_scale=True)[0]
    array([0. , 0.5, 1. , 1. ])
    """
    place = np.arange(options)
    apart = np.abs(place[:, None] - place[None, :])
    found = np.ones((options + 1, options + 1))
    found[:options, :options] = apart / max(options - 1, 1) if on_scale else apart > 0
    found[options, options] = 0.0
    return found


def share_rewards(
    places: Sequence[int | None], target: Sequence[float], on_scale: bool = False
) -> FloatArray:
    """The rewards r_i of a group of sampled answers, as derived at the head of the module.

    Off-format counts as one more answer that nobody gives, and costs OFF_SHARE in addition. Both
    are least where it is never said, so the optimum stays at p.

    Parameters
    ----------
    places : sequence of int or None
        Which option each of the G answers is, None for off-format. G is 3 or more.
    target : sequence of float, one an option
        p, the people's shares, which sum to 1.
    on_scale : bool
        Whether distances are those on the scale.

    Returns
    -------
    array, shape (G,)

    Examples
    --------
    The commoner answer is worth more until the group gives it as often as the people do.

    >>> share_rewards([0, 1, 1], [0.6, 0.4])
    array([1.6, 0.4, 0.4])
    """
    count = len(target)
    said = np.array([count if place is None else place for place in places])
    d = answer_distances(count, on_scale)
    # The mean over the others, times (G-1)/(G-2); an answer's distance to itself is 0.
    others = d[said[:, None], said[None, :]].sum(1) / (len(said) - 2)
    to_people = d[said, :count] @ np.asarray(target, dtype=float)
    return np.asarray(others - to_people - OFF_SHARE * (said == count))


def popular_rewards(places: Sequence[int | None], target: Sequence[float]) -> FloatArray:
    """The share of people who give each answer, (G,); OFF_POPULAR for off-format.

    Parameters as in `share_rewards`.
    """
    return np.array([OFF_POPULAR if place is None else target[place] for place in places])


def said_option(answers: Sequence[str], text: str) -> int | None:
    """Which of a question's answers a text is, None when it is none of them.

    Spaces around it, capitals, and a full stop at the end of a sentence make no difference.

    Examples
    --------
    >>> said_option(["Far too little.", "Far too much."], " far too much ")
    1
    """
    plain = [_plain(answer) for answer in answers]
    return plain.index(_plain(text)) if _plain(text) in plain else None


def _plain(text: str) -> str:
    words = " ".join(text.split())
    # A label is not a sentence: "A." is more than was asked for.
    return words.casefold().removesuffix(".") if len(words) > 2 else words


def preference_pairs(records: Records, generator: np.random.Generator) -> Records:
    """A pair of answers to each distribution record, with the share behind the commoner one."""
    rows = []
    for row in records.frame.to_dicts():
        shares = np.asarray(row["target"], dtype=float)
        first, second = draw_option_pair(shares, generator)
        if shares[first] < shares[second]:
            first, second = second, first
        rows.append(
            {
                **{name: row[name] for name in ("id", "value_set", "item", "user", "format")},
                "chosen": row["answers"][first],
                "rejected": row["answers"][second],
                "share": float(shares[first] / (shares[first] + shares[second])),
                "weight": 1.0,
            }
        )
    return Records("preference", pl.DataFrame(rows), records.made_from)


def score_by_shares(options: GroupOptions) -> Score:
    """Rewards of groups by the shares of the records they answer."""

    def score(
        rows: Sequence[dict[str, Any]], texts: Sequence[str], _: Sequence[Sequence[int]]
    ) -> FloatArray:
        size = options.num_generations
        found = []
        for start in range(0, len(rows), size):
            row = rows[start]
            said = [said_option(row["answers"], text) for text in texts[start : start + size]]
            if options.reward == "popular":
                found.append(popular_rewards(said, row["target"]))
            else:
                on_scale = options.distance == "scale" and bool(row["ordered"])
                found.append(share_rewards(said, row["target"], on_scale))
        return np.concatenate(found)

    return score


def score_by_preferences(job: TrainingJob, tokenizer: Any) -> Score:
    """Train the preference model, or continue the training of an earlier try; returns its scores.

    Raises SuffrageError in one of several processes, which would each train their own.
    """
    if process_count() > 1:
        raise SuffrageError(
            "reward: preference_model trains in one process; run without --launcher, or use "
            "reward: share."
        )
    generator = np.random.default_rng([job.seed, 13])
    # Its steps are none of the trainer's, so progress waits meanwhile.
    model, report = train_preference_model(
        replace(
            job,
            records=preference_pairs(job.records, generator),
            work=job.work / "preference_base",
        ),
        job.work / "preference",
        job.options.preference_steps or job.steps,
        lambda step, of: None,
    )
    storage.write_json(job.output / "preference_model.json", report)
    reward = answer_reward(model, tokenizer)

    def score(
        rows: Sequence[dict[str, Any]], texts: Sequence[str], tokens: Sequence[Sequence[int]]
    ) -> FloatArray:
        torch = require("torch", "align", "a preference model's scores")
        with torch.inference_mode():
            return np.asarray(reward(rows, [tuple(t) for t in tokens]), dtype=float)

    return score


def as_reward_function(score: Score) -> Callable[..., list[float]]:
    """A score as TRL calls it; the share of answers that are off-format goes to the log."""

    def reward(
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]],
        log_metric: Callable[[str, float], None],
        **columns: Any,
    ) -> list[float]:
        names = ("user", "format", "answers", "target", "ordered")
        rows = [{name: columns[name][i] for name in names} for i in range(len(completions))]
        texts = [c if isinstance(c, str) else c[0]["content"] for c in completions]
        off = [
            said_option(row["answers"], text) is None for row, text in zip(rows, texts, strict=True)
        ]
        log_metric("off_format", float(np.mean(off)))
        return [float(value) for value in score(rows, texts, completion_ids)]

    return reward


def prompt_only_rows(rows: Sequence[dict[str, Any]], tokenizer: Any) -> list[dict[str, Any]]:
    """Records in TRL's prompt-only form; plain text for a model without chat template."""
    found: list[dict[str, Any]] = []
    for row in rows:
        messages: list[Message] = [{"role": "user", "content": row["user"]}]
        plain = tokenizer.chat_template is None
        found.append({**row, "prompt": prompt_text(tokenizer, messages) if plain else messages})
    return found


def write_chats_as_elsewhere(tokenizer: Any) -> None:
    """Make a tokenizer write TRL's chats the way that every other method and scoring write them.

    TRL would leave the template's day and its content to the template.
    """
    if own_prompt_style(tokenizer) is None:
        return
    writer = copy.copy(tokenizer)

    def apply_chat_template(conversation: Any, *, tokenize: bool = True, **_: Any) -> Any:
        single = isinstance(conversation[0], dict)
        texts = [prompt_text(writer, chat) for chat in ([conversation] if single else conversation)]
        if not tokenize:
            return texts[0] if single else texts
        ids = [list(tokens) for tokens in encode_texts(writer, texts)]
        mask = [[1] * len(tokens) for tokens in ids]
        found = {"input_ids": ids, "attention_mask": mask}
        return {name: rows[0] for name, rows in found.items()} if single else found

    tokenizer.apply_chat_template = apply_chat_template


def train_groups(
    job: TrainingJob, trainer: str, config: str, settings: dict[str, Any]
) -> TrainingFacts:
    """Train on distribution records with one of TRL's trainers.

    Answers are sampled once for each step, from the model as it is (temperature 1, nothing cut
    off: the rewards' expectations are over what the model says).

    Parameters
    ----------
    job : TrainingJob
        Its options are `GroupOptions`.
    trainer, config : str
        The names of TRL's trainer and of its configuration.
    settings : dict
        Settings of the configuration, in addition to those that both methods share.

    Raises
    ------
    InputError
        The model cannot read padded prompts.
    SuffrageError
        The divergence from the start passes `kl_stop`, or as `run_trainer`.
    """
    trl = require("trl", "align", f"method {trainer}")
    datasets = require("datasets", "align", f"method {trainer}")
    transformers = require("transformers", "align", "training")
    datasets.disable_progress_bars()
    options: GroupOptions = job.options
    given = trainer_settings(job)
    size = options.num_generations
    # TRL's batches count sampled answers; whole groups stay together.
    given["per_device_train_batch_size"] *= size
    given |= {
        "num_generations": size,
        "max_completion_length": options.longest_answer,
        "beta": options.beta,
        "shuffle_dataset": False,
        "num_iterations": 1,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "disable_dropout": True,
    }
    given |= vllm_settings(options)
    job.work.mkdir(parents=True, exist_ok=True)
    model, tokenizer = prepare(job)
    read_padding_exactly(model, job.model.name)
    _keep_reference(job, model, tokenizer)
    ends = end_tokens(tokenizer, getattr(model, "generation_config", None))
    if ends:
        model.generation_config.eos_token_id = sorted(ends)
    by_preference = options.reward == "preference_model"
    score = score_by_preferences(job, tokenizer) if by_preference else score_by_shares(options)
    write_chats_as_elsewhere(tokenizer)
    rows = prompt_only_rows(job.records.frame.to_dicts(), tokenizer)

    def make(callbacks: list[Any]) -> Any:
        return answers_only(getattr(trl, trainer))(
            model=model,
            args=one_device(getattr(trl, config)(**given, **settings)),
            reward_funcs=as_reward_function(score),
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=tokenizer,
            callbacks=[_stop_at(options, transformers.TrainerCallback), *callbacks],
        )

    facts = run_trainer(job, make)
    # TRL keeps a copy of the adapter that training began with next to it.
    shutil.rmtree(job.output / "ref", ignore_errors=True)
    return facts


def _keep_reference(job: TrainingJob, model: Any, tokenizer: Any) -> None:
    """Save the model that a full fine-tuning begins with, where an adapter was merged into it.

    TRL loads the reference from the folder that the model's configuration names, and that is the
    model without the adapter.
    """
    merged = job.start is not None and Checkpoint.read(job.start).is_adapter
    if not merged or job.options.adapter != "none" or not job.options.beta:
        return
    # Each process of a shared training has its own, so that none waits for another.
    folder = job.work / f"reference-{process_rank()}"

    def fill(draft: Path) -> None:
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)

    if not folder.is_dir():
        storage.write_folder(folder, fill)
    model.config.update({"_name_or_path": str(folder)})


def read_padding_exactly(model: Any, name: str) -> None:
    """Make a model read prompts padded on the left, as TRL gives them, as it reads them plainly.

    A model that counts its positions along the row, such as GPT-2, is given those of the tokens.

    Raises
    ------
    InputError
        The model cannot read padded prompts exactly.
    """
    if not reads_padded(model):
        raise InputError(
            f"model: {name} reads the padding before shorter prompts, which rloo and grpo need; "
            "train it by distribution, sft, dpo, kto or rlhf."
        )

    rotary = any("Rotary" in type(module).__name__ for module in model.modules())
    if rotary or not forward_accepts(model, "position_ids"):
        return  # distances between tokens are all that counts

    def with_positions(_: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        mask = given.get("attention_mask")
        if mask is not None and mask.dim() == 2 and given.get("position_ids") is None:
            width = given["input_ids"].shape[1]
            given["position_ids"] = (mask.cumsum(-1) - 1).clamp_min(0)[:, -width:]
        return args, given

    whole = getattr(model, "get_base_model", lambda: model)()
    whole.register_forward_pre_hook(with_positions, with_kwargs=True)


def answers_only(trainer: type[Any]) -> type[Any]:
    """TRL's trainer, changed to compute the output layer on a CPU at the tokens of answers only.

    Where there is no Triton, TRL 1.16 computes it at every token of the question as well and throws
    that away: (tokens x vocabulary) of work and of memory. On a GPU its own way is unchanged.
    """
    torch = require("torch", "align", "training")

    class AnswersOnly(trainer):  # type: ignore[misc]
        def _get_per_token_logps_and_entropies(
            self,
            model: Any,
            input_ids: Any,
            attention_mask: Any,
            logits_to_keep: int,
            batch_size: int | None = None,
            compute_entropy: bool = False,
            compute_aux_loss: bool = False,
            **more: Any,
        ) -> tuple[Any, Any, Any]:
            if input_ids.device.type != "cpu" or compute_aux_loss:
                return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]
                    model,
                    input_ids,
                    attention_mask,
                    logits_to_keep,
                    batch_size,
                    compute_entropy,
                    compute_aux_loss,
                    **more,
                )
            rows = batch_size or len(input_ids)
            logs, entropies = [], []
            for ids, mask in zip(input_ids.split(rows), attention_mask.split(rows), strict=True):
                with self.accelerator.autocast():
                    # One more than is kept: a token's probability is read at the token before it.
                    read = model(
                        input_ids=ids,
                        attention_mask=mask,
                        logits_to_keep=logits_to_keep + 1,
                        use_cache=False,
                    )
                kept = kept_logits(read.logits, ids.shape[1], logits_to_keep + 1)
                every = (kept[:, :-1].float() / self.temperature).log_softmax(-1)
                unsaid = mask[:, -logits_to_keep:] == 0
                log = every.gather(-1, ids[:, -logits_to_keep:, None]).squeeze(-1)
                logs.append(log.masked_fill(unsaid, 0.0))
                if compute_entropy:
                    with torch.no_grad():
                        entropy = -(every.exp() * every).sum(-1)
                    entropies.append(entropy.masked_fill(unsaid, 0.0))
            return torch.cat(logs), torch.cat(entropies) if compute_entropy else None, None

    return AnswersOnly


def _stop_at(options: GroupOptions, base: type[Any]) -> Any:
    """A callback that stops a training whose model runs away from the one it began with.

    Three steps running, because GRPO's estimate of the divergence leaps at one unlikely answer.
    """
    over = 0

    def on_log(self: Any, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        nonlocal over
        kl = (logs or {}).get("kl")
        over = over + 1 if kl is not None and not kl < options.kl_stop else 0
        if over == 3:
            raise SuffrageError(
                f"training blew up at step {state.global_step}: its answers are {kl:.1f} nats a "
                f"token from the model it began with (the limit is {options.kl_stop:g}). The "
                f"likely cause is a learning rate too high (now {options.learning_rate:g}) or "
                f"beta too low (now {options.beta:g}). {kept_point(Path(args.output_dir))}"
            )

    return type("StopAt", (base,), {"on_log": on_log})()
