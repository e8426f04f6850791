"""What other platforms wrote is read as they meant it."""

import json
from pathlib import Path

import polars as pl
import pytest

from suffrage.consult.judgements import judged_comparisons
from suffrage.consult.polis.read_files import read_polis
from suffrage.consult.polis.write_files import write_polis
from suffrage.consult.sources.foreign_files import (
    FileWording,
    read_conversation,
    read_foreign_files,
)
from suffrage.consult.sources.proposals import read_seed_statements
from suffrage.errors import InputError


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


DECIDIM = (
    "id;title/en;title/mi;body/en;state;is_amend\r\n"
    '1;"Trees; along <b>every</b> street &amp; square";;"<p>Long</p>";accepted;false\r\n'
    "2;;He awa mā;;evaluating;false\r\n"
    "3;A bridge;;;withdrawn;false\r\n"
    "4;Trees along some streets;;;;true\r\n"
)
DECIDIM_JSON = [
    {"id": 1, "title": {"en": "Trees along every street"}, "state": "accepted"},
    {"id": 2, "title": {"translations": [{"locale": "mi", "text": "He awa mā"}]}},
    {"id": 3, "title": {"en": "A bridge"}, "state": "withdrawn"},
]
CONSUL = {
    "data": {
        "proposals": {
            "edges": [
                {"node": {"id": 7, "title": "Night buses", "description": "<p>Every hour</p>"}},
                {"node": {"id": 8, "title": "Old", "retired_at": "2025-01-01"}},
            ]
        }
    }
}


def test_decidim_and_consul_proposals_are_statements(tmp_path: Path) -> None:
    languages = ("en", "mi")
    found = read_seed_statements(written(tmp_path / "p.csv", DECIDIM), languages)
    assert found == [("Trees; along every street & square", "en"), ("He awa mā", "mi")]
    found = read_seed_statements(written(tmp_path / "p.json", json.dumps(DECIDIM_JSON)), languages)
    assert found == [("Trees along every street", "en"), ("He awa mā", "mi")]
    found = read_seed_statements(written(tmp_path / "c.json", json.dumps(CONSUL)), languages)
    assert found == [("Night buses", "en")]
    found = read_seed_statements(tmp_path / "c.json", languages, "description")
    assert found == [("<p>Every hour</p>", "en")]


def test_a_file_of_statements_may_be_lines_or_any_column(tmp_path: Path) -> None:
    lines = written(tmp_path / "seeds.txt", "One\n\n Two \n")
    assert read_seed_statements(lines, ["en"]) == [("One", "en"), ("Two", "en")]
    table = written(tmp_path / "seeds.csv", "Idea\tlanguage\nOne\tmi\nTwo\t\n")
    assert read_seed_statements(table, ["en", "mi"], "Idea") == [("One", "mi"), ("Two", "en")]
    with pytest.raises(
        InputError, match=r"seeds\.csv: the file has no column text; it has Idea, l"
    ):
        read_seed_statements(table, ["en", "mi"])
    with pytest.raises(InputError, match="row 2: mi is not a language"):
        read_seed_statements(table, ["en"], "Idea")
    with pytest.raises(InputError, match="JSON"):
        read_seed_statements(written(tmp_path / "bad.json", '{"a":'), ["en"])
    for name, text in (("none.txt", "\n \n"), ("none.csv", ""), ("head.csv", "text\n")):
        with pytest.raises(InputError, match=f"{name}: has no statement"):
            read_seed_statements(written(tmp_path / name, text), ["en"])


def saved_api(folder: Path, counts: bool = True) -> Path:
    """Three people on two statements: 0 agrees, 1 passes and 2 disagrees with statement 0."""
    folder.mkdir()
    comments = [
        {
            "tid": tid,
            "txt": f"Words {tid}",
            "created": "1700000000000",
            "is_seed": tid == 0,
            "is_meta": False,
            "mod": 1 - tid,
            "pid": 1,
            **({"agree_count": [1, 2][tid], "disagree_count": [1, 0][tid]} if counts else {}),
        }
        for tid in (0, 1)
    ]
    votes = [
        {"pid": 0, "tid": 0, "vote": -1, "weight_x_32767": 0, "modified": "1700000000100"},
        {"pid": 1, "tid": 0, "vote": 0, "modified": "1700000000200"},
        {"pid": 2, "tid": 0, "vote": 1, "modified": "1700000000300"},
        {"pid": 0, "tid": 1, "vote": -1, "modified": "1700000000400"},
        {"pid": 1, "tid": 1, "vote": -1, "modified": "1700000000500"},
    ]
    (folder / "comments.json").write_text(json.dumps(comments))
    (folder / "votes.json").write_text(json.dumps(votes))
    about = {"topic": "Roads", "description": "How?", "conversation_id": "4abc"}
    (folder / "conversation.json").write_text(json.dumps(about))
    return folder


@pytest.mark.parametrize("counts", [True, False])
def test_answers_of_the_api_of_polis_are_read_as_its_export(tmp_path: Path, counts: bool) -> None:
    read = read_polis(saved_api(tmp_path / "api", counts))
    assert read.votes.votes.tolist() == [[1, 1], [0, 1], [-1, -128]]
    assert [(s.text, s.seed, s.moderated, s.author) for s in read.statements] == [
        ("Words 0", True, 1, "1"),
        ("Words 1", False, 0, "1"),
    ]
    assert dict(read.about)["topic"] == "Roads" and "4abc" in read.about["url"]
    write_polis(read, tmp_path / "out")
    assert read_polis(tmp_path / "out").votes == read.votes


def test_a_broken_answer_of_the_api_is_named(tmp_path: Path) -> None:
    folder = saved_api(tmp_path / "api")
    (folder / "votes.json").write_text('[{"pid": 0, "tid": 0, "vote": 3}]')
    with pytest.raises(InputError, match=r"votes\.json entry 1: 3 is not a vote"):
        read_polis(folder)
    (folder / "votes.json").write_text('[{"pid": 0, "vote": 1}]')
    with pytest.raises(InputError, match="no tid; there are pid, vote"):
        read_polis(folder)
    for at in ('"noon"', "[1]", "1e300", "99999999999999999999"):
        row = f'[{{"pid": 0, "tid": 0, "vote": 1, "modified": {at}}}]'
        (folder / "votes.json").write_text(row)
        with pytest.raises(InputError, match=r"votes\.json entry 1: modified is "):
            read_polis(folder)
    (folder / "votes.json").write_text('{"error": "polis_err"}')
    with pytest.raises(InputError, match="not a list"):
        read_polis(folder)


def test_a_table_of_votes_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    path = written(
        tmp_path / "v.csv",
        "user;item;answer;words\nu2;b;Yes;B wins\nu1;a;no;A wins\nu1;b;skip;\nu1;a;ja;A wins\n",
    )
    wording = FileWording(
        columns="participant=user,statement=item,vote=answer,text=words",
        values="agree=yes|ja,disagree=no,pass=skip",
    )
    read = read_conversation(path, wording)
    assert read.votes.participants == ("u1", "u2") and read.votes.statements == ("a", "b")
    assert read.votes.votes.tolist() == [[1, 0], [-128, 1]]
    assert [s.text for s in read.statements] == ["A wins", "B wins"]
    content, _ = read_foreign_files(path, "bikes", wording, ("votes",))
    assert content.votes.height == 3 and content.participants["consent_votes"].all()


@pytest.mark.parametrize(
    ("columns", "values", "said"),
    [
        ("participant=user,statement=thing,vote=answer", None, "no column thing"),
        ("person=user", None, '"person" is not among participant'),
        ("participant=user,statement=item,vote=answer", None, 'row 2: "Yes" is not a vote'),
        ("participant=user,participant=item", None, "give participant=NAME once"),
    ],
)
def test_what_a_table_of_votes_lacks_is_said(
    tmp_path: Path, columns: str, values: str | None, said: str
) -> None:
    path = written(tmp_path / "v.csv", "user,item,answer\nu1,a,Yes\n")
    with pytest.raises(InputError, match=said):
        read_conversation(path, FileWording(columns=columns, values=values))


WIKI = (
    "Vote ID,Session ID,Wikisurvey ID,Winner ID,Winner Text,Loser ID,Loser Text,Prompt ID,"
    "Left Choice ID,Right Choice ID,Valid\n"
    "1,s1,9,10,More parks,11,More buses,1,11,10,TRUE\n"
    "2,s1,9,12,Fewer cars,10,More parks,2,12,10,TRUE\n"
    "3,s2,9,11,More buses,12,Fewer cars,3,11,12,TRUE\n"
    "4,s2,9,11,More buses,10,More parks,3,11,10,FALSE\n"
)
NO_CHOICE = (
    "Record Type,Record ID,Session ID,Left Choice ID,Right Choice ID,Reason\n"
    "Skip,1,s2,10,11,I like both ideas\n"
    "Skip,2,s3,12,11,I don't know enough about either idea\n"
    "Orphaned Appearance,3,s3,12,10,\n"
)


def test_a_wiki_survey_becomes_comparisons(tmp_path: Path) -> None:
    path = written(tmp_path / "wikisurvey_9_votes.csv", WIKI)
    written(tmp_path / "wikisurvey_9_nonvotes.csv", NO_CHOICE)
    with pytest.raises(InputError, match="give --question"):
        read_foreign_files(path, "ideas", FileWording())
    wording = FileWording(question="Which idea is better?")
    content, conversation = read_foreign_files(path, "ideas", wording, ("training",))
    assert conversation is None
    rows = content.comparisons.select("participant", "left", "right", "outcome", "order").rows()
    assert rows == [
        ("s1", "11", "10", "right", 0),
        ("s1", "12", "10", "left", 1),
        ("s2", "11", "12", "left", 0),
        ("s2", "10", "11", "tie", 1),
        ("s3", "12", "11", "skip", 0),
    ]
    assert dict(content.answers.select("answer", "text").iter_rows())["12"] == "Fewer cars"
    assert content.prompts["text"].to_list() == ["Which idea is better?"]
    judged = judged_comparisons(content, dict.fromkeys(("s1", "s2", "s3"), 1.0))
    assert judged.height == 4  # a skipped pair says nothing


def test_wins_of_a_wiki_survey_are_those_of_a_count_by_hand(tmp_path: Path) -> None:
    path = written(tmp_path / "votes.csv", WIKI.replace("Winner ID", "best").replace("TRUE", ""))
    wording = FileWording(question="Which?", columns="winner=best")
    content, _ = read_foreign_files(path, "ideas", wording)
    winners = content.comparisons.select(
        pl.when(pl.col("outcome") == "left").then("left").otherwise("right")
    ).to_series()
    assert sorted(winners) == ["10", "11", "12"]
