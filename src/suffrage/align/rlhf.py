"""`rlhf`: fine-tuning, a preference model, and reinforcement learning against its scores.

Learns from: preference records. Source: Ouyang et al. (2022): supervised fine-tuning on drawn
answers (unless the study says `from:`), a Bradley-Terry preference model with the shares of people
as soft labels, then PPO with a penalty for leaving the fine-tuned model. A score per answer cannot
say "60 to 40": at the optimum the odds are the reference's times exp(score difference / beta), so
with kl_weight 1 and a flat reference they are the people's; below 1 majorities are amplified.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import Field

from suffrage import storage
from suffrage.align.method import Method, TrainingFacts, TrainingJob, TrainingOptions
from suffrage.align.packed import Prompts, Row
from suffrage.align.ppo import PPOSettings, run_ppo
from suffrage.align.preference_model import PreferenceModel, train_preference_model
from suffrage.align.sft import train as train_sft
from suffrage.align.training import LOG, prepare, training_dtype
from suffrage.models.language_model import LanguageModel, device_name
from suffrage.models.packing import Tokens
from suffrage.training_data.general import GENERAL
from suffrage.training_data.records import Labels

if TYPE_CHECKING:
    import torch


class Options(TrainingOptions):
    """What a study may say to `rlhf`.

    steps: of PPO. sft_steps, preference_steps: of the two phases before it; None for as many as
    PPO's. rounds, minibatch: how often a step's answers are learnt from, and how many at a time.
    longest: tokens of a written answer. kl_weight, kl_target: see `PPOSettings`. kl_adapts: steer
    the weight to the target. labels: shares, drawn or majority.
    """

    labels: Labels = "shares"
    sft_steps: int | None = Field(default=None, ge=1)
    preference_steps: int | None = Field(default=None, ge=1)
    ppo_learning_rate: float | None = Field(default=None, gt=0, lt=1)
    rounds: int = Field(default=2, ge=1)
    minibatch: int | None = Field(default=None, ge=1)
    longest: int = Field(default=32, ge=1)
    kl_weight: float = Field(default=0.1, ge=0)
    kl_target: float = Field(default=1.0, gt=0)
    kl_adapts: bool = True
    kl_stop: float = Field(default=20.0, gt=0)


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

    start, gone_on = job.start, 0
    if not start:
        start = job.work / "sft"
        if not (start / "done").exists():
            gone_on = _fine_tune(job, start, phases["sft"], told(0))
    preference, report, found_at = train_preference_model(
        replace(job, work=job.work / "preference_base"),
        job.work / "preference",
        phases["preference"],
        lambda step, of: told(phases["sft"])(step, of),
    )
    began = replace(job, start=start)
    model, tokenizer = prepare(began)
    language_model = LanguageModel(
        job.model, model.to(device_name()), tokenizer, training_dtype(options), device_name()
    )
    rows = [row for row in job.records.frame.to_dicts() if row["format"] != GENERAL]
    prompts = Prompts.of(tokenizer)
    settings = PPOSettings(
        steps=steps,
        prompts=options.batch,
        minibatch=options.minibatch or options.batch,
        rounds=options.rounds,
        # A labelled option is one token; what follows it is not read.
        longest=1 if options.format == "option" else options.longest,
        learning_rate=options.ppo_learning_rate or options.learning_rate,
        save_every=options.save_every,
        kl_weight=options.kl_weight,
        kl_target=options.kl_target,
        kl_horizon=1000 if options.kl_adapts else 10**12,
        kl_stop=options.kl_stop,
    )
    loop = run_ppo(
        language_model,
        rows,
        [prompts.prompt(row["user"]) for row in rows],
        answer_reward(preference, tokenizer),
        settings,
        job.work / "ppo",
        job.seed,
        told(phases["sft"] + phases["preference"]),
    )
    if found_at:
        gone_on = phases["sft"] + found_at
    if loop.resumed_from:
        gone_on = phases["sft"] + phases["preference"] + loop.resumed_from
    model.save_pretrained(job.output)
    tokenizer.save_pretrained(job.output)
    loop.write_log(job.output / LOG)
    storage.write_json(job.output / "preference_model.json", report)
    return TrainingFacts(
        steps=whole,
        examples=len(rows),
        tokens=int(sum(entry["tokens"] for entry in loop.log)),
        dtype=training_dtype(options),
        resumed_from=gone_on,
        seconds_before=loop.seconds_before,
    )


def answer_reward(preference: PreferenceModel, tokenizer: Any) -> Any:
    """Scores of sampled answers. One that is no label, or says nothing, gets the worst of them less 1."""
    end = tokenizer.eos_token_id

    def reward(rows: Sequence[Row], answers: Sequence[Tokens]) -> torch.Tensor:
        import torch

        texts = [
            tokenizer.decode([t for t in tokens if t != end], skip_special_tokens=True).strip()
            for tokens in answers
        ]
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


def known_labels(row: Row) -> set[str]:
    """The labels a question shows: what stands before the dot at the head of its lines."""
    lines = [line.split(". ", 1) for line in str(row["user"]).split("\n")]
    return {line[0] for line in lines if len(line) == 2 and len(line[0]) == 1}


def _fine_tune(job: TrainingJob, folder: Any, steps: int, on_step: Any) -> int:
    """The first phase, into a folder; gives the step it went on from."""
    frame = job.records.frame.filter(job.records.frame["format"] != GENERAL)
    needed = steps * job.options.batch
    rounds = -(-needed // len(frame))
    repeated = pl.concat([frame] * rounds).head(needed)
    folder.mkdir(parents=True, exist_ok=True)
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
    storage.write_text(folder / "done", "")
    shutil.rmtree(job.work / "sft_work", ignore_errors=True)
    return made.resumed_from


METHOD = Method(
    name="rlhf",
    label="Reinforcement learning from people's shares",
    explanation="Fine-tuned, then rewarded by a model of which answers more people give.",
    options=Options,
    records="preference",
    train=train,
)
