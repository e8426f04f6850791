"""`cai`: the model criticises and revises its own answers by written principles, then judges pairs.

Learns from: prompts and a constitution; every other text is the model's own. Objective: first the
likelihood of its last revisions (SL-CAI), then a preference method on pairs of its answers, with a
judge's probability as soft label. Source: Bai et al. (2022), sections 3 and 4; their preference
model and reinforcement learning are `then: ppo`, and a direct preference method spares both.
"""

from __future__ import annotations

import shutil
from typing import Any

import polars as pl

from suffrage import storage
from suffrage.align.checkpoint import MANIFEST
from suffrage.align.constitutional_options import ConstitutionalOptions
from suffrage.align.feedback import PROMPTS_AT_ONCE, FeedbackProgress, Kept, writing_model
from suffrage.align.judge_check import JudgeCheck, check_judge, facts_of_check, labelled_pairs
from suffrage.align.judged_pairs import learn_pairs, write_and_judge_pairs
from suffrage.align.method import Method, TrainingFacts, TrainingJob
from suffrage.align.revisions import REVISED, learn_revisions, revised_model, write_revisions
from suffrage.align.training import LOG
from suffrage.training_data.ai_preferences import (
    JUDGEMENT_OUTCOMES,
    judge_reliability,
    pairs_to_train_on,
)
from suffrage.training_data.critiques import outcome, outcome_counts, to_train_on
from suffrage.training_data.general import GENERAL
from suffrage.training_data.records import Records

# What a training leaves next to its model.
CRITIQUES = "critiques.jsonl"
JUDGEMENTS = "judgements.jsonl"
CONSTITUTION = "constitution.json"
FEEDBACK = "feedback.json"


def train(job: TrainingJob) -> TrainingFacts:
    """Check the judge; write, criticise and revise; fine-tune; judge pairs; train on them.

    Texts and judgements stay in `job.output`.

    Raises
    ------
    SuffrageError
        The model cannot judge, no text can be trained on (the message says what became of them),
        or as `run_trainer`.
    """
    options: ConstitutionalOptions = job.options
    job.work.mkdir(parents=True, exist_ok=True)
    general = [row for row in job.records.frame.to_dicts() if row["format"] == GENERAL]
    own = job.records.frame.filter(pl.col("format") != GENERAL)
    prompts = Records("prompt", own, job.records.made_from)
    progress = _progress(job, len(prompts))
    kept = Kept.read(job.work / "written.jsonl")

    with progress:
        check = check_judge(job, kept, lambda: writing_model(job, job.start), progress.advance)
        critiques = write_revisions(job, prompts, kept, progress)
    job.check(critiques)
    stages = [learn_revisions(job, critiques, general, progress)]
    progress.trained(job.steps)
    judged = None
    if options.then == "none":
        shutil.copytree(revised_model(job), job.output, dirs_exist_ok=True)
    else:
        with progress:
            judged = write_and_judge_pairs(job, prompts, kept, progress)
        job.check(judged)
        stages.append(learn_pairs(job, judged, general, progress))
    _write_results(job, critiques, judged, check)
    return TrainingFacts(
        steps=sum(stage.steps for stage in stages),
        examples=sum(stage.examples for stage in stages),
        tokens=sum(stage.tokens for stage in stages),
        dtype=stages[-1].dtype,
        resumed_from=stages[-1].resumed_from,
        seconds_before=progress.before + sum(stage.seconds_before for stage in stages),
    )


def _progress(job: TrainingJob, prompts: int) -> FeedbackProgress:
    """Progress over everything: batches of prompts written to or judged, and training steps."""
    options: ConstitutionalOptions = job.options
    batches = -(-prompts // PROMPTS_AT_ONCE)
    second_steps = options.second_steps(job.steps)
    checked = -(-len(labelled_pairs()) // PROMPTS_AT_ONCE) if options.judge_is_checked else 0
    first = checked + batches * (1 + 2 * options.rounds) + job.steps
    return FeedbackProgress(job, first + (2 * batches + second_steps if second_steps else 0))


def _write_results(
    job: TrainingJob, critiques: Records, judged: Records | None, check: JudgeCheck | None
) -> None:
    """Every text and judgement, and what became of them, next to the model."""
    options: ConstitutionalOptions = job.options
    (job.output / MANIFEST).unlink(missing_ok=True)
    storage.write_text(job.output / CRITIQUES, critiques.as_json_lines())
    shutil.copy(job.work / REVISED / LOG, job.output / f"revisions-{LOG}")
    constitution = {
        "weighing": options.weighing,
        "constitutions": job.records.made_from.get("constitutions", {}),
    }
    storage.write_json(job.output / CONSTITUTION, constitution)
    rows = critiques.frame.to_dicts()
    facts: dict[str, Any] = {
        "drafts": outcome_counts([outcome(row["draft"]) for row in rows]),
        "critiques": outcome_counts([one for row in rows for one in row["critique_outcomes"]]),
        "revisions": outcome_counts([row["outcome"] for row in rows]),
        "revisions_trained_on": len(to_train_on(critiques, options.keep)),
        "judge_check": facts_of_check(check),
        "judgements": None,
    }
    if judged is not None:
        storage.write_text(job.output / JUDGEMENTS, judged.as_json_lines())
        facts["judgements"] = {
            **outcome_counts(judged.frame["outcome"].to_list(), JUDGEMENT_OUTCOMES),
            "trained_on": len(pairs_to_train_on(judged, options.keep)),
            **judge_reliability(judged),
        }
    storage.write_json(job.output / FEEDBACK, facts)


METHOD = Method(
    name="cai",
    label="Constitutional AI",
    explanation="Trained on its own answers, revised and judged by written principles.",
    options=ConstitutionalOptions,
    records="prompt",
    train=train,
)
