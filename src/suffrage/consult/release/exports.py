"""A consultation's tables and training records in open formats, for use inside: nothing is made safe here.

What may be published is made by `suffrage consult release`.
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
    """One row a compared pair, with TRL's `prompt`, `chosen` and `rejected`.

    share: of those who did not find both bad, how many preferred the chosen, a tie being half a
    vote; 0.5 or more. people: who compared the two. TRL's own trainer takes chosen as certain:
    leave out shares near a half there.
    """
    texts = dict(consultation.answers.select("answer", "text").iter_rows())
    prompts = dict(consultation.prompts.select("prompt", "text").iter_rows())
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
    """One row a judgement of one answer, with TRL's `prompt`, `completion` and `label`.

    A like is desirable, a dislike is not; "both bad" makes two undesirable rows. No id of a person.
    """
    texts = dict(consultation.answers.select("answer", "text").iter_rows())
    prompts = dict(consultation.prompts.select("prompt", "text").iter_rows())
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
    """Write every table, `dpo` and `kto`, each as Parquet, JSON lines and CSV; rows by table.

    Records are made of those who consented to training. Raises InputError where nobody did.
    """
    people = people_for(consultation, "training")
    if not people:
        raise InputError(
            f"consultation {consultation.slug}: nobody consented to training, so there are no records."
        )
    weights, _ = people_weights(consultation, people, read_as, margins)
    frames = {name: getattr(consultation, name) for name in TABLES}
    frames["dpo"] = dpo_rows(consultation, weights)
    frames["kto"] = kto_rows(consultation, weights)

    def fill(draft: Path) -> None:
        write_open_formats(draft, frames)

    storage.write_folder(folder, fill)
    return {name: frame.height for name, frame in frames.items()}
