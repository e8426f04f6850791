"""Who of a consultation may be used for what, who is held out, and how much each one counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.arrays import FloatArray, IntArray
from suffrage.consult.consultation import PARTICIPANT, Consultation
from suffrage.consult.votes import id_order
from suffrage.errors import InputError
from suffrage.survey import Codebook, Provenance, Survey
from suffrage.survey.survey import RESPONDENT, WEIGHT
from suffrage.survey.weighting import Representativeness, WeightingSpec, weighted

# What people may consent to: publication of their votes, of their texts, and training.
Consent = Literal["votes", "texts", "training"]
CONSENTS: tuple[Consent, ...] = get_args(Consent)
# What a consultation is used for; "taking part" needs no further consent.
Use = Literal["taking part"] | Consent
ReadAs = Literal["sample", "population"]


def people_for(consultation: Consultation, use: Use) -> tuple[str, ...]:
    """Return participants who consented to this use and were not excluded, in `id_order`."""
    kept = consultation.participants.filter(~pl.col("excluded"))
    if use != "taking part":
        kept = kept.filter(pl.col(f"consent_{use}"))
    return tuple(sorted(kept[PARTICIPANT].to_list(), key=id_order))


def only_verified(consultation: Consultation) -> Consultation:
    """Return the consultation as if everybody who came without an invitation were excluded."""
    people = consultation.participants
    excluded = pl.col("excluded") | ~pl.col("verified").fill_null(False)
    return replace(consultation, participants=people.with_columns(excluded=excluded))


def unverified_share(consultation: Consultation) -> dict[str, Any]:
    """Return how many people who count came without an invitation, and their share of votes.

    Returns
    -------
    dict
        "people", a count, and "votes", a share to two decimals; 0 where nobody voted.
    """
    counted = consultation.participants.filter(~pl.col("excluded"))
    unknown = counted.filter(~pl.col("verified").fill_null(False))[PARTICIPANT]
    votes = consultation.votes.filter(pl.col(PARTICIPANT).is_in(counted[PARTICIPANT].implode()))
    theirs = votes.filter(pl.col(PARTICIPANT).is_in(unknown.implode())).height
    return {
        "people": len(unknown),
        "votes": round(theirs / votes.height, 2) if votes.height else 0.0,
    }


def wide_demographics(consultation: Consultation, participants: Sequence[str]) -> pl.DataFrame:
    """Return one row for each participant and a text column for each item; null where unknown."""
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


def held_out_people(participants: Iterable[str], share: float, seed: int) -> tuple[str, ...]:
    """Return the participants that nobody trains on, in `id_order`.

    They are those whose hash of seed and id is below the share. A person's side depends on nobody
    else, so that late comers and withdrawals move no one, and a smaller share holds out some of
    the same people.

    Parameters
    ----------
    participants : iterable of str
    share : float
        From 0 to 1; reached on average.
    seed : int
    """
    out = (p for p in participants if storage.hash_share(f"{seed}/{p}") < share)
    return tuple(sorted(out, key=id_order))


def demographics_survey(wide: pl.DataFrame) -> Survey:
    """Return participants as the respondents of a survey without items, each of weight 1.

    wide: a column `participant` and a text column for each demographic item.
    """
    return Survey(
        wide.rename({PARTICIPANT: RESPONDENT}).with_columns(pl.lit(1.0).alias(WEIGHT)),
        Codebook(
            title="Participants",
            items=(),
            demographics=tuple(column for column in wide.columns if column != PARTICIPANT),
        ),
        Provenance(reader="consultation", files={}, statement="", weight_variable=None),
    )


def people_weights(
    consultation: Consultation,
    participants: Sequence[str],
    read_as: ReadAs,
    margins: WeightingSpec | None = None,
) -> tuple[dict[str, float], Representativeness | None]:
    """Return what each participant counts for, with mean 1, and how they compared with the margins.

    As a "sample" everybody counts 1. As the "population" people are raked to `margins`, or have
    the weights of the participants' table where no margins are given.

    Raises
    ------
    InputError
        Somebody has no weight, all weights are 0, or the margins cannot be met.
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


def raked_to_population(
    people: pl.DataFrame, participants: Sequence[str], labels: IntArray, spec: WeightingSpec
) -> tuple[FloatArray, Representativeness]:
    """Rake those who are in an opinion group to a population's margins.

    Parameters
    ----------
    people : DataFrame
        A column `participant`, and one text column for each demographic item.
    participants : sequence of str
        Everybody, in the order of `labels`.
    labels : array, shape (participants,)
        The group of each participant; below 0 for those without a group.
    spec : WeightingSpec
        Margins with their source, bounds and trimming, as in a study's `weights` section.
        A person who gave no demographics is an error, or with `unknown: keep` keeps their share.

    Returns
    -------
    weights : array, shape (participants,)
        Mean 1 over those with a group, and 0 for the others.
    representativeness : Representativeness
        How well those with a group matched the margins before and after.

    Raises
    ------
    InputError
        `people` has no column participant or a participant twice, or the margins cannot be met.
    """
    if PARTICIPANT not in people.columns:
        raise InputError(
            f"people: no column participant; there are {', '.join(people.columns) or 'none'}."
        )
    grouped = [p for p, label in zip(participants, labels.tolist(), strict=True) if label >= 0]
    frame = people.with_columns(pl.all().cast(pl.String))
    if frame[PARTICIPANT].n_unique() < frame.height:
        raise InputError("people: a participant appears twice; give one row each.")
    frame = pl.DataFrame({PARTICIPANT: grouped}, schema={PARTICIPANT: pl.String}).join(
        frame, on=PARTICIPANT, how="left", maintain_order="left"
    )
    raked, found = weighted(demographics_survey(frame), spec)
    weights = np.zeros(len(participants))
    weights[labels >= 0] = raked.weights / raked.weights.mean()
    return weights, found
