"""Rows that join attributes to votes, made so coarse that nobody stands out."""

from __future__ import annotations

import polars as pl

from suffrage.consult.consultation import PARTICIPANT, Consultation
from suffrage.consult.people import people_for
from suffrage.consult.release.disclosure import generalised
from suffrage.consult.release.private_record import PrivateRecord
from suffrage.consult.release.published_counts import attributes
from suffrage.consult.release.release_settings import JoinedRowsSettings
from suffrage.errors import InputError

NO_VOTE = "no vote"


def joined_rows(
    consultation: Consultation, wanted: JoinedRowsSettings, record: PrivateRecord
) -> tuple[pl.DataFrame, list[str]]:
    """Return attributes made coarse, with the votes of those who consented.

    Returns
    -------
    rows : DataFrame
        One row for each person, in random order, without an id.
    given_up : list of str
        Sensitive attributes that were left out because they were not mixed enough.

    Raises
    ------
    InputError
        Fewer than k people consented.
    """
    people = people_for(consultation, "votes")
    if len(people) < wanted.k:
        raise InputError(
            f"release: joined: {len(people)} people consented, k is {wanted.k}; leave it out."
        )
    wide = attributes(consultation, people, bands=False)
    columns = {name: wide[name].to_list() for name in wanted.attributes}
    words = {1: "agree", 0: "pass", -1: "disagree"}
    for statement in wanted.statements:
        own = consultation.votes.filter(pl.col("statement") == statement)
        given = dict(own.select(PARTICIPANT, "vote").iter_rows())
        columns[statement] = [words[given[p]] if p in given else NO_VOTE for p in people]
    sensitive = {name: wide[name].to_list() for name in wanted.sensitive}
    coarse, given_up = generalised(columns, sensitive, wanted.rule)
    kept = {name: values for name, values in sensitive.items() if name not in given_up}
    frame = pl.DataFrame({**coarse, **kept}).sort(pl.all())
    order = record.generator("shuffle joined").permutation(frame.height)
    return frame[order], given_up
