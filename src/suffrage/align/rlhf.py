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

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field, model_validator

from suffrage import storage
from suffrage.align.answer_rewards import answer_reward, label_corrections, toward_even_labels
from suffrage.align.cost import release_freed
from suffrage.align.loop import Loop, saving_memory
from suffrage.align.method import Method, OnStep, TrainingFacts, TrainingJob, TrainingOptions
from suffrage.align.packed import Prompts
from suffrage.align.ppo import PPOSettings, Reward, run_ppo
from suffrage.align.preference_model import PreferenceModel, train_preference_model
from suffrage.align.sft import train as train_sft
from suffrage.align.training import LOG, prepare, training_dtype
from suffrage.models.device import device_name, out_of_memory
from suffrage.models.language_model import LanguageModel
from suffrage.training_data.general import GENERAL
from suffrage.training_data.records import Labels, RecordRow

# Where the phases keep what they are doing, in the folder that outlives an interruption.
FINE_TUNED, PREFERENCE, PPO = "sft", "preference", "ppo"
NEVER_ADAPTS = 10**12


class Options(TrainingOptions):
    """What a study may say to `rlhf`; `steps` are those of PPO."""

    # shares: each pair with the share of people behind each side. drawn: the side of one person.
    # majority: the side of most people.
    labels: Labels = "shares"
    # textbook, or proportional (labelled options only), which keeps the people's odds.
    form: Literal["textbook", "proportional"] = "textbook"
    # The steps of fine-tuning, the first phase; None for as many as PPO has.
    sft_steps: int | None = Field(default=None, ge=1)
    # The steps of the preference model, the second phase; None for as many as PPO has.
    preference_steps: int | None = Field(default=None, ge=1)
    # The learning rate of PPO; None for learning_rate.
    ppo_learning_rate: float | None = Field(default=None, gt=0, lt=1)
    # How often a step's answers are learnt from.
    rounds: int = Field(default=2, ge=1)
    # How many answers an update takes; None for all of a step.
    minibatch: int | None = Field(default=None, ge=1)
    # The most tokens that a written answer may have.
    longest: int = Field(default=32, ge=1)
    # The cost of a nat of divergence at the start; None is 0.1, or 1 in the proportional form.
    kl_weight: float | None = Field(default=None, ge=0)
    # The divergence that the adaptive weight aims for, in nats per answer.
    kl_target: float = Field(default=1.0, gt=0)
    # Whether the weight adapts to reach the target (textbook form only).
    kl_adapts: bool = True
    # A training stops if its divergence is above this many nats per answer.
    kl_stop: float = Field(default=20.0, gt=0)
    # Divide each step's rewards by their deviation, which makes kl_weight relative.
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

    def ppo_settings(self, steps: int) -> PPOSettings:
        """The settings of the last phase."""
        adapts = self.kl_adapts and self.form == "textbook"
        return PPOSettings(
            steps=steps,
            prompts=self.batch,
            minibatch=self.minibatch or self.batch,
            micro_batch=self.micro_batch,
            rounds=self.rounds,
            # A labelled option is one token; what follows it is not read.
            longest=1 if self.format == "option" else self.longest,
            learning_rate=self.ppo_learning_rate or self.learning_rate,
            save_every=self.save_every,
            kl_weight=self.penalty,
            kl_target=self.kl_target,
            kl_horizon=1000 if adapts else NEVER_ADAPTS,
            kl_stop=self.kl_stop,
            whiten_rewards=self.whiten_rewards,
        )


@dataclass(frozen=True)
class _Phases:
    """How many steps each phase takes; progress is reported over all of them together."""

    # 0 where the training starts from a checkpoint.
    fine_tuning: int
    preference: int
    ppo: int
    on_step: OnStep

    @classmethod
    def of(cls, job: TrainingJob) -> _Phases:
        options: Options = job.options
        return cls(
            fine_tuning=0 if _is_fine_tuned(job) else (options.sft_steps or job.steps),
            preference=options.preference_steps or job.steps,
            ppo=job.steps,
            on_step=job.on_step,
        )

    @property
    def total(self) -> int:
        return self.fine_tuning + self.preference + self.ppo

    def fine_tuning_step(self, step: int, of: int, loss: float) -> None:
        self.on_step(step, self.total, loss)

    def preference_step(self, step: int, of: int) -> None:
        self.on_step(self.fine_tuning + step, self.total, 0.0)

    def ppo_step(self, step: int, of: int, loss: float) -> None:
        self.on_step(self.fine_tuning + self.preference + step, self.total, loss)


def train(job: TrainingJob) -> TrainingFacts:
    """Fine-tune, learn what people prefer, then reinforce it.

    Each phase continues where an earlier try stopped.
    """
    phases = _Phases.of(job)
    fine_tuned, tuning = _fine_tuned(job, phases)
    release_freed()
    preference, report = train_preference_model(
        replace(job, work=job.work / "preference_base"),
        job.work / PREFERENCE,
        phases.preference,
        phases.preference_step,
    )
    release_freed()
    rows = [row for row in job.records.frame.to_dicts() if row["format"] != GENERAL]
    policy = _policy(replace(job, start=fine_tuned))
    loop = _reinforced(job, policy, preference, rows, phases)
    _write_results(job, policy, preference, report)
    loop.write_log(job.output / LOG)
    if tuning:
        shutil.copy(fine_tuned / LOG, job.output / "sft.jsonl")
    return _facts(job, phases, tuning, preference.facts, loop, len(rows))


def _is_fine_tuned(job: TrainingJob) -> bool:
    """Whether the study has the method go on from a checkpoint instead of fine-tuning first."""
    return job.start is not None and not job.start_of_study


def _fine_tuned(job: TrainingJob, phases: _Phases) -> tuple[Path, TrainingFacts | None]:
    """The checkpoint that PPO starts from and is held to, and what making it cost.

    Without a checkpoint of its own to start from, the model is fine-tuned on the chosen answers.
    One that an earlier try fine-tuned to the end is used as it is.
    """
    if job.start and _is_fine_tuned(job):
        return job.start, None
    folder = job.work / FINE_TUNED
    done = folder / "done.json"
    if done.exists():
        return folder, TrainingFacts(**storage.read_json(done))
    folder.mkdir(parents=True, exist_ok=True)
    work = job.work / "sft_work"
    began = time.monotonic()
    made = train_sft(
        replace(
            job,
            records=replace(job.records, frame=_repeated(job, phases.fine_tuning)),
            steps=phases.fine_tuning,
            work=work,
            output=folder,
            on_step=phases.fine_tuning_step,
        )
    )
    storage.write_json(folder / "manifest.json", {"method": "sft", "part_of": "rlhf"})
    spent = made.seconds_before + time.monotonic() - began
    # A later try did all of it before it began.
    whole = replace(made, resumed_from=made.steps, seconds_before=spent)
    storage.write_json(done, asdict(whole))
    shutil.rmtree(work, ignore_errors=True)
    return folder, made


def _repeated(job: TrainingJob, steps: int) -> pl.DataFrame:
    """The job's own records in their order, as often as the steps need them."""
    frame = job.records.frame.filter(pl.col("format") != GENERAL)
    needed = steps * job.options.batch
    return pl.concat([frame] * -(-needed // len(frame))).head(needed)


def _policy(job: TrainingJob) -> LanguageModel:
    """The fine-tuned model, ready to be sampled and trained."""
    options: Options = job.options
    model, tokenizer = prepare(job)
    model = saving_memory(model.to(device_name()), options)
    return LanguageModel(job.model, model, tokenizer, training_dtype(options), device_name())


def _reinforced(
    job: TrainingJob,
    policy: LanguageModel,
    preference: PreferenceModel,
    rows: Sequence[RecordRow],
    phases: _Phases,
) -> Loop:
    """Train the policy by PPO on the questions of the records."""
    options: Options = job.options
    prompts = Prompts.of(policy.tokenizer)
    reward: Reward = answer_reward(preference, policy.tokenizer)
    if options.form == "proportional":
        with out_of_memory("scoring", "dtype: bfloat16"):
            corrections = label_corrections(policy.model, prompts, rows)
        reward = toward_even_labels(reward, corrections, policy.tokenizer)
    return run_ppo(
        policy,
        rows,
        [prompts.prompt(row["user"]) for row in rows],
        reward,
        options.ppo_settings(phases.ppo),
        job.work / PPO,
        job.seed,
        phases.ppo_step,
    )


def _write_results(
    job: TrainingJob, policy: LanguageModel, preference: PreferenceModel, report: dict[str, Any]
) -> None:
    """The policy as the checkpoint, and the preference model with its report next to it."""
    with storage.disk_errors(job.output):
        policy.model.save_pretrained(job.output)
        policy.tokenizer.save_pretrained(job.output)
        preference.save(job.output / "preference_model")
        shutil.copy(job.work / PREFERENCE / "preference_model.jsonl", job.output)
    storage.write_json(job.output / "preference_model.json", report)


def _facts(
    job: TrainingJob,
    phases: _Phases,
    tuning: TrainingFacts | None,
    judging: TrainingFacts | None,
    loop: Loop,
    examples: int,
) -> TrainingFacts:
    """What the three phases took together. The last phase that was resumed says from which step."""
    resumed_from = tuning.resumed_from if tuning else 0
    if judging and judging.resumed_from:
        resumed_from = phases.fine_tuning + judging.resumed_from
    if loop.resumed_from:
        resumed_from = phases.fine_tuning + phases.preference + loop.resumed_from
    earlier = [facts for facts in (tuning, judging) if facts]
    return TrainingFacts(
        steps=phases.total,
        examples=examples,
        tokens=sum(f.tokens for f in earlier) + int(sum(entry["tokens"] for entry in loop.log)),
        dtype=training_dtype(job.options),
        resumed_from=resumed_from,
        seconds_before=sum(f.seconds_before for f in earlier) + loop.seconds_before,
    )


METHOD = Method(
    name="rlhf",
    label="Reinforcement learning from people's shares",
    explanation="Fine-tuned, then rewarded by a model of which answers more people give.",
    options=Options,
    records="preference",
    train=train,
)
