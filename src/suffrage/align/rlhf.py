"""`rlhf`: fine-tuning, a preference model, and reinforcement learning against its scores.

Learns from: preference records. Source: Ouyang et al. (2022): supervised fine-tuning on drawn
answers (unless the study says `from:`), a Bradley-Terry preference model with the shares of people
as soft labels, then PPO with a penalty for leaving the fine-tuned model. At the optimum the odds of
two answers are the reference's times exp(score difference / beta). The textbook form multiplies the
people's odds, learnt in fine-tuning, by their power 1 / beta: majorities are amplified. The
proportional form pays the penalty to a reference with all labels alike, at beta 1, where the odds
are exp(score difference): what the preference model says of the people.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
from pydantic import Field, model_validator

from suffrage import storage
from suffrage.align.cost import release_freed
from suffrage.align.loop import saving_memory
from suffrage.align.method import Method, TrainingFacts, TrainingJob, TrainingOptions
from suffrage.align.packed import Prompts, answer_log_probs, wanted
from suffrage.align.ppo import PPOSettings, Reward, run_ppo
from suffrage.align.preference_model import PreferenceModel, train_preference_model
from suffrage.align.sft import train as train_sft
from suffrage.align.training import LOG, prepare, training_dtype
from suffrage.models.device import device_name, out_of_memory
from suffrage.models.language_model import LanguageModel
from suffrage.models.packing import Tokens
from suffrage.training_data.general import GENERAL
from suffrage.training_data.records import Labels, RecordRow

if TYPE_CHECKING:
    import torch


class Options(TrainingOptions):
    """What a study may say to `rlhf`.

    steps: of PPO. sft_steps, preference_steps: of the two phases before it; None for as many as
    PPO's. rounds, minibatch: how often a step's answers are learnt from, and how many an update.
    longest: tokens of a written answer. form: textbook; or proportional, for labelled options, which
    keeps the people's odds. kl_weight (None: 0.1, or 1 in the proportional form), kl_target,
    whiten_rewards: see `PPOSettings`. kl_adapts: steer the weight to the target (textbook only).
    labels: shares, drawn or majority.
    """

    labels: Labels = "shares"
    form: Literal["textbook", "proportional"] = "textbook"
    sft_steps: int | None = Field(default=None, ge=1)
    preference_steps: int | None = Field(default=None, ge=1)
    ppo_learning_rate: float | None = Field(default=None, gt=0, lt=1)
    rounds: int = Field(default=2, ge=1)
    minibatch: int | None = Field(default=None, ge=1)
    longest: int = Field(default=32, ge=1)
    kl_weight: float | None = Field(default=None, ge=0)
    kl_target: float = Field(default=1.0, gt=0)
    kl_adapts: bool = True
    kl_stop: float = Field(default=20.0, gt=0)
    whiten_rewards: bool = False

    @model_validator(mode="after")
    def _proportional_is_exact(self) -> Options:
        if self.form == "proportional":
            if self.format != "option":
                raise ValueError(
                    "form: proportional needs format: option, where all answers of a question are "
                    "known; dpo's proportional form takes written ones"
                )
            if self.kl_weight not in (None, 1.0) or self.whiten_rewards:
                raise ValueError(
                    "form: proportional holds at kl_weight 1 and unscaled rewards only; leave "
                    "kl_weight and whiten_rewards out"
                )
        return self

    @property
    def penalty(self) -> float:
        """beta: what a nat of divergence costs at first."""
        if self.kl_weight is not None:
            return self.kl_weight
        return 1.0 if self.form == "proportional" else 0.1


def train(job: TrainingJob) -> TrainingFacts:
    """Three phases, each gone on with where an earlier try stopped."""
    options: Options = job.options
    steps = job.steps
    phases = {
        "sft": 0 if job.start else (options.sft_steps or steps),
        "preference": options.preference_steps or steps,
    }
    whole = sum(phases.values()) + steps

    def told(before: int) -> Any:
        return lambda step, _, loss=0.0: job.on_step(before + step, whole, loss)

    start, tuned = job.start, None
    if not start:
        start = job.work / "sft"
        tuned = _fine_tune(job, start, phases["sft"], told(0))
        release_freed()
    preference, report, _ = train_preference_model(
        replace(job, work=job.work / "preference_base"),
        job.work / "preference",
        phases["preference"],
        lambda step, of: told(phases["sft"])(step, of),
    )
    release_freed()
    judged = preference.facts
    assert judged is not None
    began = replace(job, start=start)
    model, tokenizer = prepare(began)
    model = saving_memory(model.to(device_name()), options)
    language_model = LanguageModel(
        job.model, model, tokenizer, training_dtype(options), device_name()
    )
    rows = [row for row in job.records.frame.to_dicts() if row["format"] != GENERAL]
    prompts = Prompts.of(tokenizer)
    reward = answer_reward(preference, tokenizer)
    if options.form == "proportional":
        with out_of_memory("scoring", "dtype: bfloat16"):
            reward = toward_even_labels(reward, label_corrections(model, prompts, rows), tokenizer)
    adapts = options.kl_adapts and options.form == "textbook"
    settings = PPOSettings(
        steps=steps,
        prompts=options.batch,
        minibatch=options.minibatch or options.batch,
        micro_batch=options.micro_batch,
        rounds=options.rounds,
        # A labelled option is one token; what follows it is not read.
        longest=1 if options.format == "option" else options.longest,
        learning_rate=options.ppo_learning_rate or options.learning_rate,
        save_every=options.save_every,
        kl_weight=options.penalty,
        kl_target=options.kl_target,
        kl_horizon=1000 if adapts else 10**12,
        kl_stop=options.kl_stop,
        whiten_rewards=options.whiten_rewards,
    )
    loop = run_ppo(
        language_model,
        rows,
        [prompts.prompt(row["user"]) for row in rows],
        reward,
        settings,
        job.work / "ppo",
        job.seed,
        told(phases["sft"] + phases["preference"]),
    )
    with storage.disk_errors(job.output):
        model.save_pretrained(job.output)
        tokenizer.save_pretrained(job.output)
        preference.save(job.output / "preference_model")
        shutil.copy(job.work / "preference" / "preference_model.jsonl", job.output)
        if tuned:
            shutil.copy(start / LOG, job.output / "sft.jsonl")
    loop.write_log(job.output / LOG)
    storage.write_json(job.output / "preference_model.json", report)
    earlier = [f for f in (tuned, judged) if f]
    gone_on = tuned.resumed_from if tuned else 0
    if judged.resumed_from:
        gone_on = phases["sft"] + judged.resumed_from
    if loop.resumed_from:
        gone_on = phases["sft"] + phases["preference"] + loop.resumed_from
    return TrainingFacts(
        steps=whole,
        examples=len(rows),
        tokens=sum(f.tokens for f in earlier) + int(sum(entry["tokens"] for entry in loop.log)),
        dtype=training_dtype(options),
        resumed_from=gone_on,
        seconds_before=sum(f.seconds_before for f in earlier) + loop.seconds_before,
    )


def label_corrections(
    model: Any, prompts: Prompts, rows: Sequence[RecordRow]
) -> dict[str, dict[str, float]]:
    """For each question, log(m / k) - log p(label) of each label it shows.

    p: the model's probability of a label, in all its spellings; m: their sum over the k labels.
    """
    import torch

    known: dict[str, dict[str, float]] = {}
    with torch.no_grad():
        for row in rows:
            if row["user"] in known:
                continue
            labels = sorted(known_labels(row))
            log_p = answer_log_probs(model, wanted(prompts, [row], [labels]))[0]
            even = log_p.logsumexp(0) - math.log(len(labels))
            known[row["user"]] = dict(zip(labels, (even - log_p).tolist(), strict=True))
    return known


def toward_even_labels(
    reward: Reward, corrections: Mapping[str, Mapping[str, float]], tokenizer: Any
) -> Reward:
    """A reward under which a KL penalty of weight 1 to p is one to p with its labels made even.

    score - [log pi - log p] + [log even - log p] = score - [log pi - log even]. What is no label
    keeps its probability in the reference. corrections: see `label_corrections`.
    """

    def corrected(rows: Sequence[RecordRow], answers: Sequence[Tokens]) -> torch.Tensor:
        import torch

        texts = said(tokenizer, answers)
        more = [
            corrections[row["user"]].get(text, 0.0) for row, text in zip(rows, texts, strict=True)
        ]
        scores = reward(rows, answers)
        return scores + torch.tensor(more).to(scores)

    return corrected


def said(tokenizer: Any, answers: Sequence[Tokens]) -> list[str]:
    """Sampled answers as text, without their end and the blanks around them."""
    return [tokenizer.decode(list(a), skip_special_tokens=True).strip() for a in answers]


def answer_reward(preference: PreferenceModel, tokenizer: Any) -> Reward:
    """Scores of sampled answers. One that is no label, or says nothing, gets the worst of them less 1."""

    def reward(rows: Sequence[RecordRow], answers: Sequence[Tokens]) -> torch.Tensor:
        import torch

        texts = said(tokenizer, answers)
        fits = [
            bool(text) and (row["format"] != "option" or text in known_labels(row))
            for row, text in zip(rows, texts, strict=True)
        ]
        kept = [place for place, fit in enumerate(fits) if fit]
        scores = torch.zeros(len(rows))
        if kept:
            found = preference.scores([rows[p] for p in kept], [[texts[p]] for p in kept])
            scores[kept] = found.float().cpu()
            scores[[p for p, fit in enumerate(fits) if not fit]] = float(scores[kept].min()) - 1
        return scores

    return reward


def known_labels(row: RecordRow) -> set[str]:
    """The labels a question shows: what stands before the dot at the head of its lines."""
    lines = [line.split(". ", 1) for line in str(row["user"]).split("\n")]
    return {line[0] for line in lines if len(line) == 2 and len(line[0]) == 1}


def _fine_tune(job: TrainingJob, folder: Path, steps: int, on_step: Any) -> TrainingFacts:
    """The first phase, into a folder; what it cost, all of it as before when it stood already."""
    done = folder / "done.json"
    if done.exists():
        return TrainingFacts(**storage.read_json(done))
    frame = job.records.frame.filter(pl.col("format") != GENERAL)
    needed = steps * job.options.batch
    rounds = -(-needed // len(frame))
    repeated = pl.concat([frame] * rounds).head(needed)
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    made = train_sft(
        replace(
            job,
            records=replace(job.records, frame=repeated),
            steps=steps,
            work=job.work / "sft_work",
            output=folder,
            on_step=on_step,
        )
    )
    storage.write_json(folder / "manifest.json", {"method": "sft", "part_of": "rlhf"})
    spent = made.seconds_before + time.monotonic() - began
    whole = replace(made, resumed_from=made.steps, seconds_before=spent)
    storage.write_json(done, asdict(whole))
    shutil.rmtree(job.work / "sft_work", ignore_errors=True)
    return made


METHOD = Method(
    name="rlhf",
    label="Reinforcement learning from people's shares",
    explanation="Fine-tuned, then rewarded by a model of which answers more people give.",
    options=Options,
    records="preference",
    train=train,
)
