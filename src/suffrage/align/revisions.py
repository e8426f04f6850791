"""The first stage of constitutional AI: a model criticises, revises and learns its own answers.

Source: Bai et al. (2022), section 3 (SL-CAI).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl

from suffrage import storage
from suffrage.align import sft
from suffrage.align.checkpoint import MANIFEST
from suffrage.align.constitutional_options import ConstitutionalOptions
from suffrage.align.feedback import (
    FeedbackProgress,
    Kept,
    outcomes_in_words,
    stage_seed,
    write,
    writing_model,
)
from suffrage.align.method import TrainingFacts, TrainingJob
from suffrage.errors import SuffrageError
from suffrage.training_data.critiques import (
    critique_messages,
    critique_records,
    outcome_counts,
    revision_messages,
    to_train_on,
)
from suffrage.training_data.general import steps_with_general
from suffrage.training_data.records import RecordRow, Records

# Where the stage keeps its work, below the job's.
REVISED = "sl"


def revised_model(job: TrainingJob) -> Path:
    """Where the model trained on its revisions is kept."""
    return job.work / REVISED / "model"


def write_revisions(
    job: TrainingJob, prompts: Records, kept: Kept, progress: FeedbackProgress
) -> Records:
    """Drafts, critiques and revisions of every prompt, by the model that the training starts from.

    What an earlier try wrote is in `kept` and not written again.
    """
    options: ConstitutionalOptions = job.options
    rows = prompts.frame.to_dicts()
    names = [row["id"] for row in rows]
    stages = ["draft"]
    for turn in range(options.rounds):
        stages += [f"critique-{turn + 1}", f"revision-{turn + 1}"]
    needed = any(kept.missing(stage, names) for stage in stages)
    model = writing_model(job, job.start) if needed else None

    def texts(stage: str, conversations: Sequence[Any]) -> list[str]:
        def make(start: int, stop: int) -> list[str]:
            assert model is not None
            seed = stage_seed(job.seed, stage, start)
            some = write(model, conversations[start:stop], 1, options.longest, seed)
            return [text for (text,) in some]

        return kept.complete(stage, names, make, progress.advance)

    drafts = texts("draft", [[{"role": "user", "content": row["user"]}] for row in rows])
    critiques: list[list[str]] = [[] for _ in rows]
    revisions: list[list[str]] = [[] for _ in rows]
    answers = drafts
    for turn in range(options.rounds):
        principles = [row["principles"][turn]["text"] for row in rows]
        given = list(zip(rows, answers, principles, strict=True))
        chats = [critique_messages(row["user"], answer, by) for row, answer, by in given]
        found = texts(f"critique-{turn + 1}", chats)
        chats = [
            revision_messages(row["user"], answer, by, critique)
            for (row, answer, by), critique in zip(given, found, strict=True)
        ]
        answers = texts(f"revision-{turn + 1}", chats)
        for place, (critique, revision) in enumerate(zip(found, answers, strict=True)):
            critiques[place].append(critique)
            revisions[place].append(revision)
    return critique_records(prompts, drafts, critiques, revisions)


def learn_revisions(
    job: TrainingJob,
    critiques: Records,
    general: Sequence[RecordRow],
    progress: FeedbackProgress,
) -> TrainingFacts:
    """Plain fine-tuning on the last revisions, into `revised_model`.

    Where an earlier try finished this, nothing is trained, and all of its time counts as spent
    before. Raises SuffrageError when no revision can be trained on, with what became of them.
    """
    done = _finished(revised_model(job))
    if done is not None:
        return done
    options: ConstitutionalOptions = job.options
    usable = to_train_on(critiques, options.keep)
    if not usable:
        raise SuffrageError(
            "none of the model's revisions can be trained on: "
            f"{outcomes_in_words(outcome_counts(critiques.frame['outcome'].to_list()))}. They are "
            f"kept in {job.work}. A larger, instruction-tuned model writes better ones; raise "
            "longest, or say keep: all to train on them as they are."
        )
    keys = ("id", "value_set", "item", "user", "format", "completion")
    own = [{key: row[key] for key in keys} for row in usable]
    rows = steps_with_general(
        own, general, job.steps, options.batch, options.general_rows, job.seed
    )
    output = revised_model(job)
    output.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    facts = sft.train(
        replace(
            job,
            records=Records("demonstration", pl.DataFrame(rows), {}),
            work=job.work / REVISED,
            output=output,
            on_step=progress.step,
        )
    )
    # Written last: a folder without it was not finished.
    manifest = {
        "format": 1,
        "method": "cai",
        "stage": "revisions",
        "facts": asdict(facts),
        "seconds": time.monotonic() - start,
    }
    storage.write_json(output / MANIFEST, manifest)
    return facts


def _finished(folder: Path) -> TrainingFacts | None:
    """What a finished first stage took, None when it is not finished."""
    if not (folder / MANIFEST).exists():
        return None
    manifest = storage.read_json(folder / MANIFEST)
    facts = TrainingFacts(**manifest["facts"])
    return replace(facts, seconds_before=facts.seconds_before + float(manifest["seconds"]))
