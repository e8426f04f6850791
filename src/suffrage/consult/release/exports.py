"""A consultation's tables and training records in open formats, for internal use only.

Nothing is made safe here; `suffrage consult release` makes what may be published.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from suffrage import storage
from suffrage.consult.consultation import TABLES, Consultation
from suffrage.consult.judgements import counted_pairs, judged_answers
from suffrage.consult.people import ReadAs, people_for, people_weights
from suffrage.consult.release.open_formats import write_open_formats
from suffrage.errors import InputError
from suffrage.survey.weighting import WeightingSpec


def dpo_rows(consultation: Consultation, people: dict[str, float]) -> pl.DataFrame:
    """Return one row for each compared pair, with TRL's `prompt`, `chosen` and `rejected`.

    `share` is the part that preferred the chosen answer, of those who did not find both bad; a
    tie is half a vote, so that it is 0.5 or more. TRL's own trainer takes every choice as certain:
    leave out shares near a half there.

    people: the weight of each participant who counts.
    """
    prompts, texts = _prompts_and_answers(consultation)
    rows = []
    for pair in counted_pairs(consultation, people):
        if pair.decided <= 0:
            continue
        first, second, share = pair.first, pair.second, pair.share
        if share < 0.5:
            first, second, share = second, first, 1 - share
        rows.append(
            {
                "prompt": prompts[pair.prompt],
                "chosen": texts[first],
                "rejected": texts[second],
                "share": share,
                "weight": pair.decided,
                "people": pair.people,
                "prompt_id": pair.prompt,
                "chosen_id": first,
                "rejected_id": second,
            }
        )
    kinds = {"share": pl.Float64, "weight": pl.Float64, "people": pl.Int64}
    names = ("prompt", "chosen", "rejected", *kinds, "prompt_id", "chosen_id", "rejected_id")
    return pl.DataFrame(rows, schema={name: kinds.get(name, pl.String) for name in names})


def kto_rows(consultation: Consultation, people: dict[str, float]) -> pl.DataFrame:
    """Return one row for each judgement of an answer, with TRL's `prompt`, `completion`, `label`.

    A like is desirable and a dislike is not; "both bad" makes two undesirable rows. No row has the
    id of a person.

    people: the weight of each participant who counts.
    """
    prompts, texts = _prompts_and_answers(consultation)
    judged = judged_answers(consultation, people).sort("answer", "value", "weight")
    return pl.DataFrame(
        {
            "prompt": [prompts[p] for p in judged["prompt"]],
            "completion": [texts[a] for a in judged["answer"]],
            "label": judged["value"] == 1,
            "weight": judged["weight"],
            "answer_id": judged["answer"],
        },
        schema={
            "prompt": pl.String,
            "completion": pl.String,
            "label": pl.Boolean,
            "weight": pl.Float64,
            "answer_id": pl.String,
        },
    )


def write_records(
    consultation: Consultation,
    folder: Path,
    read_as: ReadAs = "sample",
    margins: WeightingSpec | None = None,
) -> dict[str, int]:
    """Write every table, `dpo` and `kto`, each as Parquet, JSON lines and CSV.

    Records are made from those who consented to training.

    Returns
    -------
    dict
        The number of rows of each table.

    Raises
    ------
    InputError
        Nobody consented to training, or the weights cannot be made.
    """
    people = people_for(consultation, "training")
    if not people:
        raise InputError(
            f"consultation {consultation.slug}: nobody consented to training, so there are no "
            "records."
        )
    weights, _ = people_weights(consultation, people, read_as, margins)
    frames = {name: getattr(consultation, name) for name in TABLES}
    frames["dpo"] = dpo_rows(consultation, weights)
    frames["kto"] = kto_rows(consultation, weights)

    def fill(draft: Path) -> None:
        write_open_formats(draft, frames)

    storage.write_folder(folder, fill, private=True)
    return {name: frame.height for name, frame in frames.items()}


def _prompts_and_answers(consultation: Consultation) -> tuple[dict[str, str], dict[str, str]]:
    """The texts of prompts, and of answers, by id."""
    return (
        dict(consultation.prompts.select("prompt", "text").iter_rows()),
        dict(consultation.answers.select("answer", "text").iter_rows()),
    )
