"""Polis exports: read, written, read again equal; the faults of exports met."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.consult.csv_files import neutralised, restored
from suffrage.consult.groups.opinion_groups import GroupSettings, find_groups
from suffrage.consult.polis.conversation import Conversation, PolisStatement
from suffrage.consult.polis.read_files import read_polis
from suffrage.consult.polis.write_files import write_polis
from suffrage.consult.votes import arranged
from suffrage.errors import InputError

COMMENTS = '''timestamp,datetime,comment-id,author-id,agrees,disagrees,moderated,comment-body
1542406176584,Sat Nov 17 05:09:36 WIB 2018,10,7,9,9,-1,"Two
lines, one ""text"""
1542406176,now,2,,2,1,1,=1+1
'''
TABLE = """participant,xid,group-id,n-comments,n-votes,n-agree,n-disagree,2,10
7,secret,1,0,2,1,0,1,0
3,secret2,,0,1,0,1,-1,
"""
LOG = """timestamp,datetime,comment-id,voter-id,vote
1542406176000,x,2,7,-1
1542406176500,x,2,7,1
1542406176000,x,2,3,-1
1542406177,x,10,7,0
"""


def export(folder: Path, comments: str = COMMENTS, table: str = TABLE, log: str = LOG) -> Path:
    for name, text in (
        ("comments.csv", comments),
        ("participants-votes.csv", table),
        ("votes.csv", log),
        ("summary.csv", "topic,Streets\ngroups,4\nconversation-description,a, b\n"),
    ):
        if text:
            (folder / name).write_text(text)
    return folder


def test_an_export_is_read(tmp_path: Path) -> None:
    read = read_polis(export(tmp_path))
    assert [s.id for s in read.statements] == ["2", "10"]
    assert read.statements[1].text == 'Two\nlines, one "text"'
    assert read.statements[0].created == 1542406176000  # seconds, as newer servers write them
    assert read.moderated_out() == ("10",)
    assert read.votes.participants == ("3", "7") and read.votes.votes[1].tolist() == [1, 0]
    assert read.group_ids == {"7": "1"}
    assert read.about == {"topic": "Streets", "conversation-description": "a, b"}


def turned(log: str) -> str:
    head, *rows = log.splitlines()
    parts = [row.rsplit(",", 1) for row in rows]
    return "\n".join([head, *(f"{start},{-int(vote)}" for start, vote in parts)]) + "\n"


def test_the_other_sign_gives_the_same_votes(tmp_path: Path) -> None:
    plain = read_polis(export(tmp_path))
    table = TABLE.replace("1,0,1,0\n", "1,0,-1,0\n").replace("0,1,-1,", "0,1,1,")
    # Each file has a sign of its own.
    for name, files in (
        ("both", {"table": table, "log": turned(LOG)}),
        ("table", {"table": table}),
        ("log", {"log": turned(LOG)}),
    ):
        (tmp_path / name).mkdir()
        found = read_polis(export(tmp_path / name, **files))
        assert found.votes == plain.votes and found.events.equals(plain.events)


def test_the_table_or_the_log_alone_will_do(tmp_path: Path) -> None:
    both = read_polis(export(tmp_path))
    for name, left_out in (("a", {"log": ""}), ("b", {"table": ""})):
        (tmp_path / name).mkdir()
        # One agrees, one disagrees: without the table nothing says which.
        found = read_polis(export(tmp_path / name, **left_out), agree=1)
        assert found.votes == both.votes


def test_votes_alone_have_statements_without_texts(tmp_path: Path) -> None:
    both = read_polis(export(tmp_path))
    for name, file in (("log", "votes.csv"), ("table", "participants-votes.csv")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_bytes((tmp_path / file).read_bytes())
        found = read_polis(tmp_path / name, agree=1)
        assert found.votes == both.votes
        assert [s.text for s in found.statements] == ["Statement 2", "Statement 10"]
    with pytest.raises(InputError, match="say which with agree"):
        read_polis(tmp_path / "log")


def test_panel_ids_go_no_further(tmp_path: Path) -> None:
    write_polis(read_polis(export(tmp_path)), tmp_path / "out")
    written = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert "secret" not in written


def test_what_is_written_is_counted_anew_and_safe_for_spreadsheets(tmp_path: Path) -> None:
    read = read_polis(export(tmp_path))
    write_polis(read, tmp_path / "out")
    with (tmp_path / "out" / "comments.csv").open(newline="") as file:
        rows = {row["comment-id"]: row for row in csv.DictReader(file)}
    assert (rows["10"]["agrees"], rows["2"]["comment-body"]) == ("0", "'=1+1")
    with (tmp_path / "out" / "comment-groups.csv").open(newline="") as file:
        groups = {row["comment-id"]: row for row in csv.DictReader(file)}
    # Polis calls group 1 "B".
    assert (groups["2"]["total-votes"], groups["2"]["group-b-agrees"]) == ("2", "1")
    assert "groups,1\n" in (tmp_path / "out" / "summary.csv").read_text()
    assert read_polis(tmp_path / "out") == read


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


@given(TEXTS)
def test_neutralising_is_undone(text: str) -> None:
    assert restored(neutralised(text)) == text
    assert not neutralised(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.slow
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=5),
    events=st.lists(
        st.tuples(
            st.integers(0, 9), st.integers(0, 4), st.sampled_from([-1, 0, 1]), st.integers(0, 2**42)
        ),
        max_size=20,
    ),
    topic=TEXTS,
)
def test_any_conversation_comes_back_equal(tmp_path_factory, texts, events, topic) -> None:
    folder = tmp_path_factory.mktemp("round") / "export"
    rows = [(str(s % len(texts)), str(p), v, 10**11 + at) for p, s, v, at in events]
    log = pl.DataFrame(
        rows,
        schema={"statement": pl.String, "participant": pl.String, "vote": pl.Int8, "at": pl.Int64},
        orient="row",
    )
    statements = tuple(PolisStatement(str(i), t, moderated=i % 3 - 1) for i, t in enumerate(texts))
    people = [str(i) for i in range(10)]
    empty = arranged(people, [s.id for s in statements], np.full((10, len(texts)), -128, np.int8))
    first = Conversation({"topic": topic}, statements, empty, log, {"3": "0"})
    write_polis(first, folder)
    second = read_polis(folder, agree=1)  # votes may be as many for as against
    write_polis(second, folder.with_name("again"))
    assert read_polis(folder.with_name("again"), agree=1) == second
    assert second.statements == first.statements and second.about == first.about
    assert second.events is not None and second.events.height == log.height


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"comments": COMMENTS.replace(",1,=1+1", ",5,=1+1")}, "line 4: moderated is 5"),
        ({"comments": COMMENTS.replace("comment-body", "text")}, "no column comment-body"),
        ({"comments": COMMENTS.split("1542406176,")[0]}, "statement 2 has votes but no text"),
        ({"table": TABLE.replace("3,secret2", "7,secret2")}, "participant 7 appears twice"),
        ({"table": TABLE.replace("1,-1,", "1,4,"), "log": ""}, 'column 2: "4" is not a vote'),
        ({"comments": COMMENTS.replace("1542406176,", "9" * 20 + ",")}, "which is too large"),
        ({"comments": COMMENTS + '1,x,9,0,0,0,1,"open\n'}, 'never closed.* begins "open"'),
        ({"log": LOG.replace("1542406177", "later")}, 'timestamp "later"'),
        ({"log": LOG.replace("voter-id", "who")}, None),
    ],
)
def test_mistakes_are_named(tmp_path: Path, change: dict[str, str], message: str | None) -> None:
    folder = export(tmp_path, **change)
    if message is None:  # a votes.csv that is no log is left alone: the table serves
        assert read_polis(folder).events is None
        return
    with pytest.raises(InputError, match=message):
        read_polis(folder)


def test_folders_that_hold_no_or_several_exports_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_polis(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no comments\.csv"):
        read_polis(tmp_path)
    for prefix in ("raw_", "clean_"):
        (tmp_path / f"{prefix}comments.csv").write_text(COMMENTS)
        (tmp_path / f"{prefix}votes.csv").write_text(TABLE)
    with pytest.raises(InputError, match="say which with prefix"):
        read_polis(tmp_path)
    assert read_polis(tmp_path, "raw_").votes.participants == ("3", "7")


def test_equal_counts_both_ways_leave_the_sign_open(tmp_path: Path) -> None:
    even = "participant,n-agree,n-disagree,2,10\n1,1,1,1,-1\n"
    folder = export(tmp_path, table=even, log="")
    with pytest.raises(InputError, match=r"participants-votes\.csv: the counts"):
        read_polis(folder)
    assert read_polis(folder, agree=-1).votes.votes.tolist() == [[-1, 1]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "prefix", "participants", "statements"),
    [
        ("ccai", "raw_", 1126, 1418),
        ("ccai", "clean_", 1002, 275),
        ("15-per-hour-seattle", None, 339, 54),
        ("canadian-electoral-reform", None, 448, 174),
        ("scoop-hivemind.biodiversity", None, 536, 316),
    ],
)
def test_real_exports_come_back_equal(
    name: str,
    prefix: str | None,
    participants: int,
    statements: int,
    shared_data: Path,
    tmp_path: Path,
) -> None:
    read = read_polis(shared_data / "polis" / name, prefix)
    assert (len(read.votes.participants), len(read.statements)) == (participants, statements)
    write_polis(read, tmp_path / "as read")
    assert read_polis(tmp_path / "as read") == read
    found = find_groups(read.votes, read.moderated_out(), GroupSettings(groups=2))
    grouped = replace(read, group_ids=found.by_participant())
    write_polis(grouped, tmp_path / "grouped")
    again = read_polis(tmp_path / "grouped")
    assert again == grouped
    refound = find_groups(again.votes, again.moderated_out(), GroupSettings(groups=2))
    assert refound.by_participant() == again.group_ids


@pytest.mark.slow
def test_the_log_and_the_table_of_real_exports_agree(shared_data: Path, tmp_path: Path) -> None:
    for name in ("15-per-hour-seattle", "canadian-electoral-reform", "scoop-hivemind.biodiversity"):
        folder = shared_data / "polis" / name
        part = tmp_path / name
        part.mkdir()
        for file in ("comments.csv", "participants-votes.csv"):
            (part / file).write_bytes((folder / file).read_bytes())
        assert read_polis(part).votes == read_polis(folder).votes
