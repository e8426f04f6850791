"""Who of a consultation may be used for what, who is held out of training, and what each counts for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import polars as pl

from suffrage.consult.consultation import Consultation
from suffrage.consult.groups.stability import PARTICIPANT, raked_to_population
from suffrage.consult.votes import id_order
from suffrage.errors import InputError
from suffrage.survey.weighting import Representativeness, WeightingSpec

# What people consented to, as the participants' table has it; "taking part" asks for no more.
Use = Literal["taking part", "votes", "texts", "training"]
ReadAs = Literal["sample", "population"]


def people_for(consultation: Consultation, use: Use) -> tuple[str, ...]:
    """Participants who consented to this use and were not excluded, in `id_order`."""
    kept = consultation.participants.filter(~pl.col("excluded"))
    if use != "taking part":
        kept = kept.filter(pl.col(f"consent_{use}"))
    return tuple(sorted(kept[PARTICIPANT].to_list(), key=id_order))


def wide_demographics(consultation: Consultation, participants: Sequence[str]) -> pl.DataFrame:
    """One row a participant, a text column an item, null where they did not say."""
    frame = pl.DataFrame({PARTICIPANT: list(participants)}, schema={PARTICIPANT: pl.String})
    for item in sorted(consultation.demographics["item"].unique().to_list()):
        rows = consultation.demographics.filter(pl.col("item") == item)
        frame = frame.join(
            rows.select(PARTICIPANT, pl.col("value").alias(item)),
            on=PARTICIPANT,
            how="left",
            maintain_order="left",
        )
    return frame


def people_weights(
    consultation: Consultation,
    participants: Sequence[str],
    read_as: ReadAs,
    margins: WeightingSpec | None = None,
) -> tuple[dict[str, float], Representativeness | None]:
    """What each participant counts for, with mean 1, and how they stood to the margins.

    sample: one each. population: raked to `margins`, or the weights of the participants' table
    where no margins are given.
    Raises InputError where somebody has no weight, or the margins cannot be met.
    """
    if read_as == "sample":
        return dict.fromkeys(participants, 1.0), None
    if margins is not None:
        people = wide_demographics(consultation, participants)
        everyone = np.zeros(len(participants), dtype=np.int64)
        raked, found = raked_to_population(people, participants, everyone, margins)
        return dict(zip(participants, raked.tolist(), strict=True)), found
    given: Mapping[str, float | None] = dict(
        consultation.participants.select(PARTICIPANT, "weight").iter_rows()
    )
    without = [p for p in participants if given[p] is None]
    if without:
        raise InputError(
            f"consultation {consultation.slug}: {len(without)} of {len(participants)} participants "
            f"have no weight (the first is {without[0]}); give margins to rake them to, or read "
            "the consultation as a sample."
        )
    values = np.array([float(given[p] or 0.0) for p in participants])
    if values.sum() <= 0:
        raise InputError(f"consultation {consultation.slug}: all weights are 0.")
    return dict(zip(participants, (values / values.mean()).tolist(), strict=True)), None
