"""The second stage of constitutional AI: pairs of answers judged by a principle, and learnt.

Source: Bai et al. (2022), section 4, with a judge's probabilities as soft labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import polars as pl

from suffrage.align import dpo, kto, rlhf
from suffrage.align.constitutional_options import ConstitutionalOptions
from suffrage.align.feedback import (
    FeedbackProgress,
    Kept,
    judge,
    outcomes_in_words,
    stage_seed,
    write,
    writing_model,
)
from suffrage.align.method import TrainingFacts, TrainingJob
from suffrage.align.revisions import revised_model
from suffrage.errors import SuffrageError
from suffrage.training_data.ai_preferences import (
    JUDGEMENT_OUTCOMES,
    Judgement,
    ai_preference_records,
    as_binary,
    pairs_to_train_on,
)
from suffrage.training_data.critiques import outcome_counts
from suffrage.training_data.general import steps_with_general
from suffrage.training_data.records import RecordRow, Records


def write_and_judge_pairs(
    job: TrainingJob, prompts: Records, kept: Kept, progress: FeedbackProgress
) -> Records:
    """Two answers of the revised model to every prompt, judged by the model it started from.

    What an earlier try wrote or judged is in `kept` and not made again.
    """
    options: ConstitutionalOptions = job.options
    rows = prompts.frame.to_dicts()
    names = [row["id"] for row in rows]
    pairs = _written_pairs(job, rows, kept, progress)
    model = writing_model(job, job.start) if kept.missing("judgement", names) else None

    def verdicts(start: int, stop: int) -> list[list[float]]:
        assert model is not None
        given = [
            (row["user"], *pair, row["judged_by"]["text"])
            for row, pair in zip(rows[start:stop], pairs[start:stop], strict=True)
        ]
        return [[found.a_first, found.a_second, found.mass] for found in judge(model, given)]

    found = kept.complete("judgement", names, verdicts, progress.advance)
    judgements = [Judgement(*figures) for figures in found]
    generator = np.random.default_rng([job.seed, 41])
    return ai_preference_records(prompts, pairs, judgements, options.lowest_mass, generator)


def _written_pairs(
    job: TrainingJob, rows: Sequence[RecordRow], kept: Kept, progress: FeedbackProgress
) -> list[tuple[str, str]]:
    """Two answers of the revised model to every prompt."""
    options: ConstitutionalOptions = job.options
    names = [row["id"] for row in rows]
    model = writing_model(job, revised_model(job)) if kept.missing("pair", names) else None

    def answer(start: int, stop: int) -> list[list[str]]:
        assert model is not None
        chats = [[{"role": "user", "content": row["user"]}] for row in rows[start:stop]]
        return write(model, chats, 2, options.longest, stage_seed(job.seed, "pair", start))

    found = kept.complete("pair", names, answer, progress.advance)
    return [(first, second) for first, second in found]


def preference_job(
    job: TrainingJob, pairs: Sequence[RecordRow], general: Sequence[RecordRow], steps: int
) -> TrainingJob:
    """The second stage as a training of the method that `then` names, on these judged pairs."""
    options: ConstitutionalOptions = job.options
    second = options.second_options()
    assert second is not None
    kind: Literal["preference", "binary"] = "binary" if options.then == "kto" else "preference"
    own = list(pairs) if kind == "preference" else as_binary(pairs)
    extra = general
    if kind == "binary":
        # KTO sums labels over all rows; a general row is neither good nor bad.
        extra = [{**row, "desirable": 0.0, "weight": 0.0} for row in general]
    rows = steps_with_general(own, extra, steps, options.batch, options.general_rows, job.seed)
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return replace(job, records=Records(kind, frame, {}), options=second, steps=steps)


def learn_pairs(
    job: TrainingJob,
    judged: Records,
    general: Sequence[RecordRow],
    progress: FeedbackProgress,
) -> TrainingFacts:
    """Train by the preference method, from the revised model.

    Raises SuffrageError when no pair can be trained on, with what became of them.
    """
    options: ConstitutionalOptions = job.options
    pairs = pairs_to_train_on(judged, options.keep)
    if not pairs:
        counts = outcome_counts(judged.frame["outcome"].to_list(), JUDGEMENT_OUTCOMES)
        raise SuffrageError(
            "none of the judged pairs can be trained on: "
            f"{outcomes_in_words(counts)}. They are kept in {job.work}. Say then: none to stop "
            "after the revisions, lower lowest_mass, or take a larger model."
        )
    part = replace(
        preference_job(job, pairs, general, options.then_steps or job.steps),
        work=job.work / "then",
        on_step=progress.step,
        start=revised_model(job),
    )
    trainings = {"dpo": dpo.train, "kto": kto.train, "ppo": rlhf.train}
    return trainings[options.then](part)
