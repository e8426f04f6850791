"""Records of votes: shares by plain NumPy, and nobody and nothing held out in any."""

from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from suffrage.consult.consultation import Consultation
from suffrage.consult.people import people_for
from suffrage.errors import InputError, SuffrageError
from suffrage.population import build_value_set
from suffrage.study.commands.simulated_public import SimulatedPublicSettings, simulated_public
from suffrage.training_data import HeldOut, Records, RecordSettings, check_nothing_held_out
from suffrage.training_data.answers_in_context import InContextSettings
from suffrage.training_data.consultation_source import (
    ConsultationSource,
    ConsultationSpec,
    VoteSettings,
    consultation_source,
)
from suffrage.training_data.earlier_training import TrainedQuestion
from suffrage.training_data.records import ValidationSample
from suffrage.training_data.split import split_items
from suffrage.training_data.vote_records import DEMONSTRATIONS, DISTRIBUTIONS, PREFERENCES
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=400, items=8, seed=3)
ITEMS = SURVEY.codebook.items
SPLIT = split_items(ITEMS, HeldOut(by="list", items=("q0", "q4")), 1)
NORTH = build_value_set(SURVEY, "north", {"region": "north"}, 1, "people in the north")
SOUTH = build_value_set(SURVEY, "south", {"region": "south"}, 1, "people in the south")
PUBLIC, _ = simulated_public(SURVEY, SimulatedPublicSettings(participants=150, statements=40), 5)
BUILDERS = [DISTRIBUTIONS, DEMONSTRATIONS, PREFERENCES]
ONE_QUICK = [BUILDERS[0], *(pytest.param(b, marks=pytest.mark.slow) for b in BUILDERS[1:])]
VOTE_OF = {"Agree": 1, "Disagree": -1, "Neither, or not sure": 0}


def changed(public: Consultation = PUBLIC, **tables: pl.DataFrame) -> Consultation:
    return Consultation(**{n: getattr(public, n) for n in public.__dataclass_fields__} | tables)


@cache
def usual_source() -> ConsultationSource:
    """The consultation with the usual settings, split once."""
    return made_source(PUBLIC)


def source(public: Consultation = PUBLIC, **more: Any) -> ConsultationSource:
    return made_source(public, **more) if more or public is not PUBLIC else usual_source()


def made_source(public: Consultation, **more: Any) -> ConsultationSource:
    votes = VoteSettings(**{"least_voters": 5, **more.pop("votes", {})})
    spec = ConsultationSpec(
        folder="x",  # type: ignore[arg-type]
        **{"held_out": 0.3, "held_out_statements": 0.25, "resamples": 4, "votes": votes, **more},
    )
    return consultation_source(public, spec, [NORTH, SOUTH], ITEMS, SPLIT, 7)


def build(builder: Any = DISTRIBUTIONS, count: int = 600, **more: Any) -> Records:
    given = RecordSettings("option", consultation=more.pop("source", None) or source(), **more)
    found: Records = builder.build([NORTH, SOUTH], SPLIT, count, np.random.default_rng(0), given)
    return found


def votes_by_hand(people: set[str], statement: str) -> list[tuple[str, int, bool]]:
    return [
        (row["participant"], row["vote"], row["important"])
        for row in PUBLIC.votes.iter_rows(named=True)
        if row["participant"] in people and row["statement"] == statement
    ]


def people_by_hand(found: ConsultationSource, group: str) -> set[str]:
    kept = set(people_for(PUBLIC, "training")) - set(found.held_out_people)
    if group == "everyone":
        return kept
    rows = PUBLIC.demographics.filter((pl.col("item") == "region") & (pl.col("value") == group))
    return kept & set(rows["participant"])


@pytest.mark.slow
def test_shares_and_errors_are_those_of_plain_numpy() -> None:
    weights = {p: 0.5 + n % 4 for n, p in enumerate(PUBLIC.participants["participant"])}
    weighted = PUBLIC.participants.with_columns(
        weight=pl.col("participant").replace_strict(weights, return_dtype=pl.Float64)
    )
    found = source(changed(participants=weighted), read_as="population")
    rows = build(source=found).frame.to_dicts()
    assert {row["value_set"] for row in rows} == {"north", "south", "everyone"}
    for row in rows[:50]:
        statement = row["item"].removeprefix("statement/")
        votes = votes_by_hand(people_by_hand(found, row["value_set"]), statement)
        w = np.array([found.people[p] for p, _, _ in votes])
        said = np.array([[vote == k for k in (1, -1, 0)] for _, vote, _ in votes], float)
        p = w @ said / w.sum()
        n = len(votes)
        spread = (w[:, None] ** 2 * (said - p) ** 2).sum(0)
        error = np.sqrt(n / (n - 1) * spread) / w.sum()
        assert row["voters"] == n >= 5
        assert row["target"] == pytest.approx(p.tolist())
        assert row["standard_errors"] == pytest.approx(error.tolist())


@pytest.mark.slow
def test_a_target_belongs_to_the_label_that_stands_before_the_option() -> None:
    found = source()
    for row in build(source=found).frame.to_dicts()[:30]:
        votes = votes_by_hand(
            people_by_hand(found, row["value_set"]), row["item"].removeprefix("statement/")
        )
        for label, share in zip(row["answers"], row["target"], strict=True):
            line = next(x for x in row["user"].splitlines() if x.startswith(f"{label}. "))
            vote = VOTE_OF[line.removeprefix(f"{label}. ")]
            assert share == pytest.approx(sum(v == vote for _, v, _ in votes) / len(votes))


@pytest.mark.slow
@pytest.mark.parametrize("builder", BUILDERS)
def test_what_held_out_people_vote_reaches_no_record(builder: Any) -> None:
    away = pl.col("participant").is_in(list(source().held_out_people))
    vote = pl.when(away).then(-pl.col("vote")).otherwise("vote")
    turned = changed(votes=PUBLIC.votes.with_columns(vote=vote))
    assert turned != PUBLIC
    sample = ValidationSample(0.2)
    for more in ({}, {"validation": sample}, {"in_context": InContextSettings(answers=3)}):
        before, after = (build(builder, source=source(p), **more) for p in (PUBLIC, turned))
        assert before.frame.equals(after.frame)


@pytest.mark.slow
def test_votes_without_consent_to_training_count_nowhere() -> None:
    silent = PUBLIC.participants["participant"].to_list()[::3]
    refused = pl.col("participant").is_in(silent)
    people = PUBLIC.participants.with_columns(
        consent_training=pl.col("consent_training") & ~refused
    )
    gone = changed(participants=people, votes=PUBLIC.votes.filter(~refused))
    refusing = changed(participants=people)
    assert build(source=source(gone)).frame.equals(build(source=source(refusing)).frame)


@pytest.mark.slow
@pytest.mark.parametrize("builder", ONE_QUICK)
def test_a_held_out_statement_and_what_says_the_same_are_in_no_record(builder: Any) -> None:
    found = source()
    out = set(found.statement_split.held_out)
    assert out and found.statement_split.train
    texts = {item.id: item.question for item in found.statement_items}
    records = build(builder, source=found)
    everything = "\n".join(records.texts)
    assert not [item for item in out if item in everything or texts[item] in everything]
    check_nothing_held_out(records, found.statement_items, found.statement_split)
    # The two statements on one option of an item say nearly the same of it.
    for item in (i for i in out if not i.endswith("-not")):
        assert f"{item}-not" not in found.statement_split.train
    with pytest.raises(SuffrageError, match="holds the text of statement/"):
        check_nothing_held_out(
            build(builder, source=source(held_out_statements=0)),
            found.statement_items,
            found.statement_split,
        )


def test_statements_and_prompts_about_what_is_held_out_are_kept_out_too() -> None:
    found = source(held_out_statements=0)
    assert {i.split(".")[0] for i in found.statement_split.held_out} == {
        "statement/q0",
        "statement/q4",
    }
    more = source()
    drawn = set(more.statement_split.held_out) - set(found.statement_split.held_out)
    about = {item.removeprefix("statement/").split(".")[0] for item in drawn}
    assert about and about <= set(more.facts["prompts_held_out"])
    held_out = {item.removeprefix("statement/") for item in more.statement_split.held_out}
    assert not held_out & more.statements


def test_no_statement_is_held_out_that_the_model_was_trained_on_before() -> None:
    first = source()
    spec = first.spec
    held_out = set(first.statement_split.held_out)
    learnt = [item.question for item in first.statement_items if item.id in held_out]
    learnt = [text for text in learnt if not any(i.question in text for i in ITEMS[::4])]
    before = {"an earlier study": [TrainedQuestion(text, text) for text in learnt]}
    again = consultation_source(PUBLIC, spec, [NORTH, SOUTH], ITEMS, SPLIT, 7, learnt_before=before)
    texts = {item.id: item.question for item in again.statement_items}
    assert learnt and not set(learnt) & {texts[i] for i in again.statement_split.held_out}


def test_a_text_without_its_authors_consent_is_in_no_record() -> None:
    author = PUBLIC.participants.filter(pl.col("consent_texts"))["participant"][0]
    own = PUBLIC.statements.with_columns(author=pl.lit(author), seed=False)
    assert build(source=source(changed(statements=own))).frame.height
    people = PUBLIC.participants.with_columns(
        consent_texts=pl.col("consent_texts") & (pl.col("participant") != author)
    )
    with pytest.raises(InputError, match="no votes to train on"):
        build(source=source(changed(statements=own, participants=people)))


@pytest.mark.slow
def test_cells_with_few_voters_are_left_out_and_counted() -> None:
    few, many = (build(source=source(votes={"least_voters": n})) for n in (1, 30))
    assert many.frame["voters"].min() >= 30
    told, all_ = many.made_from["votes"], few.made_from["votes"]
    assert told["cells_with_too_few_voters"] > 0 == all_["cells_with_too_few_voters"]
    assert told["cells"] + told["cells_with_too_few_voters"] == all_["cells"]
    with pytest.raises(InputError, match="least_voters"):
        build(source=source(votes={"least_voters": 1000}))


@pytest.mark.slow
def test_a_vote_marked_important_counts_more_only_if_asked() -> None:
    marked = PUBLIC.votes.with_columns(important=pl.col("vote") == 1)
    public = changed(votes=marked)
    same = build(source=source(public)).frame
    assert same.equals(build().frame)
    heavy = build(source=source(public, votes={"important": 3.0})).frame
    for plain, other in zip(same.to_dicts()[:50], heavy.to_dicts()[:50], strict=True):
        agree = plain["target"][0]
        assert other["target"][0] == pytest.approx(3 * agree / (1 + 2 * agree))


def test_few_people_held_back_are_asked_about_every_statement_that_five_of_them_voted_on() -> None:
    given = source(votes={"least_voters": 30, "by": ["everyone"]})
    found = build(source=given, validation=ValidationSample(0.2))
    told = found.made_from["votes"]
    away = given.held_back_people(0.2)
    assert len(away) < 30 and told["least_voters_held_back"] == 5
    asked = dict(found.frame.filter("validation").select("item", "voters").iter_rows())
    counted = {
        item.id: len(votes_by_hand(away, statement))
        for statement, item in given.item_of.items()
        if item.id in told["held_back_statements"]
    }
    assert asked == {item: count for item, count in counted.items() if count >= 5}
    assert len(asked) > 2


@pytest.mark.slow
@pytest.mark.parametrize("builder", ONE_QUICK)
def test_what_is_held_back_for_validation_is_neither_people_nor_statements_trained_on(
    builder: Any,
) -> None:
    given = source(votes={"least_voters": 3})
    rows = build(builder, source=given, validation=ValidationSample(0.25)).frame.to_dicts()
    asked = [row for row in rows if row["validation"]]
    learnt = [row for row in rows if not row["validation"]]
    assert asked and learnt
    assert not {row["item"] for row in asked} & {row["item"] for row in learnt}
    told = build(builder, source=given, validation=ValidationSample(0.25)).made_from["votes"]
    everyone = people_by_hand(given, "everyone")
    assert told["people"]["everyone"] + told["held_back_people"] == len(everyone)
    plain = build(builder, source=given).frame.filter(pl.col("value_set") == "everyone")
    voters = dict(plain.select("item", "voters").iter_rows())
    # Those who are asked and those who are learnt from share everybody's votes between them.
    for row in rows:
        if row["value_set"] == "everyone" and row["item"] in voters:
            assert row["voters"] < voters[row["item"]]
    assert all(len(row["answers"]) == 3 and sum(row["target"]) == pytest.approx(1) for row in asked)


@pytest.mark.slow
def test_opinion_groups_need_words_or_answers_that_describe_them() -> None:
    assert "nothing describes them" in build().made_from["votes"]["left_out"]["opinion_groups"]
    named = source(groups=2, votes={"describe": {"0": "people who like tea"}})
    records = build(source=named)
    assert "opinion-group-0" in set(records.frame["value_set"])
    assert any("as people who like tea would" in text for text in records.texts)
    assert records.made_from["votes"]["left_out"] == {
        "opinion_groups": "1 of 2 have no description"
    }
    shown = build(source=source(groups=2), in_context=InContextSettings(answers=2))
    assert {"opinion-group-0", "opinion-group-1"} <= set(shown.frame["value_set"])
    with pytest.raises(InputError, match='no group "9"'):
        build(source=source(groups=2, votes={"describe": {"9": "nobody"}}))


@pytest.mark.slow
def test_groups_can_be_chosen_and_a_training_of_one_value_set_has_no_other() -> None:
    only = build(source=source(votes={"by": ("everyone",)}))
    assert set(only.frame["value_set"]) == {"everyone"}
    assert set(build(together=False).frame["value_set"]) == {"north", "south"}


@pytest.mark.slow
def test_the_order_of_rows_changes_no_record() -> None:
    tables = {n: getattr(PUBLIC, n) for n in PUBLIC.__dataclass_fields__}
    turned = {n: t.reverse() for n, t in tables.items() if isinstance(t, pl.DataFrame)}
    assert build(source=source(changed(**turned))).frame.equals(build().frame)
