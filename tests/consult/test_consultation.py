"""The plain tables of a consultation: checked when made, equal when read back."""

from pathlib import Path

import polars as pl
import pytest

from suffrage.consult.consultation import (
    SCHEMAS,
    Consultation,
    read_consultation,
    votes_of,
    write_consultation,
)
from suffrage.consult.polis.conversation import consultation_of
from suffrage.consult.polis.read_files import read_polis
from suffrage.errors import InputError

PEOPLE = pl.DataFrame({"participant": ["p1", "p2"]}).with_columns(
    verified=True,
    language=pl.lit("en"),
    excluded=pl.col("participant") == "p2",
    exclusion_reason=pl.lit(None, pl.String),
    consent_votes=True,
    consent_texts=True,
    consent_training=True,
    weight=pl.lit(None, pl.Float64),
)
STATEMENTS = pl.DataFrame(
    {
        "statement": ["s1", "s2"],
        "text": ["More trees", "Fewer cars"],
        "language": "en",
        "seed": True,
        "state": "accepted",
        "author": None,
        "order": [0, 1],
    }
)
VOTES = pl.DataFrame(
    {
        "participant": ["p1", "p1", "p2"],
        "statement": ["s1", "s2", "s1"],
        "vote": [1, -1, 0],
        "important": False,
        "order": [0, 1, 0],
        "probability": 0.5,
    }
)
ANSWERS = pl.DataFrame(
    {"answer": ["a1", "a2"], "prompt": "q1", "text": ["Yes", "No"], "model": "m", "language": "en"}
)
PROMPTS = pl.DataFrame({"prompt": ["q1"], "text": ["Trees?"], "language": "en", "topic": None})
COMPARISONS = pl.DataFrame(
    {
        "participant": ["p1"],
        "prompt": "q1",
        "left": "a1",
        "right": "a2",
        "outcome": "tie",
        "confidence": None,
        "reasons": "",
        "core": True,
        "check": None,
        "probability": 1.0,
        "order": 2,
    }
)


def make(**tables: pl.DataFrame) -> Consultation:
    given = {
        "participants": PEOPLE,
        "statements": STATEMENTS,
        "votes": VOTES,
        "prompts": PROMPTS,
        "answers": ANSWERS,
        "comparisons": COMPARISONS,
        **tables,
    }
    return Consultation("town", "Town", "What now?", ("en",), "2026-11-24", **given)


def test_a_consultation_read_back_is_equal(tmp_path: Path) -> None:
    made = make()
    write_consultation(made, tmp_path / "town")
    assert read_consultation(tmp_path / "town") == made
    assert read_consultation(tmp_path / "town").content_hash == made.content_hash


def test_the_order_of_rows_changes_nothing() -> None:
    assert make(votes=VOTES.reverse()) == make()
    assert make(votes=VOTES.reverse()).content_hash == make().content_hash
    changed = VOTES.with_columns(vote=pl.Series([1, 1, 0]))
    assert make(votes=changed).content_hash != make().content_hash


def test_excluded_people_have_no_row_among_the_votes() -> None:
    assert votes_of(make()).participants == ("p1",)
    assert votes_of(make(), excluded=True).votes.tolist() == [[1, -1], [0, -128]]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"votes": VOTES.drop("important")}, "votes has no column important"),
        ({"votes": VOTES.with_columns(ip=pl.lit("10.0.0.1"))}, "unknown column ip"),
        ({"votes": VOTES.with_columns(vote=pl.Series([1, 7, 0]))}, "votes, row 2: vote is 7"),
        ({"votes": pl.concat([VOTES, VOTES[:1]])}, "appears twice"),
        (
            {"votes": VOTES[:1].with_columns(statement=pl.lit("s9"))},
            "row 1: statement 's9' is not in",
        ),
        (
            {"statements": STATEMENTS.with_columns(text=pl.Series(["x", None]))},
            "statements, row 2: text is empty",
        ),
        (
            {"comparisons": COMPARISONS.with_columns(right=pl.lit("a1"))},
            "not two answers to q1",
        ),
    ],
)
def test_what_is_wrong_is_named(tables: dict[str, pl.DataFrame], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(**tables)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    write_consultation(make(), tmp_path / "town")
    VOTES[:1].cast(dict(SCHEMAS["votes"])).write_parquet(tmp_path / "town" / "votes.parquet")
    with pytest.raises(InputError, match=r"votes.parquet: changed since"):
        read_consultation(tmp_path / "town")


@pytest.mark.slow
def test_a_polis_export_keeps_its_votes(shared_data: Path) -> None:
    conversation = read_polis(shared_data / "polis" / "scoop-hivemind.biodiversity")
    made = consultation_of(conversation, "town")
    assert votes_of(made).only(conversation.votes.statements) == conversation.votes
    consents = ("consent_votes", "consent_texts", "consent_training")
    assert not made.participants.select(consents).to_numpy().any()
    stated = consultation_of(conversation, "town", consents=("votes", "training")).participants
    assert [stated[name].all() for name in consents] == [True, False, True]
    assert not stated["consent_texts"].any()
