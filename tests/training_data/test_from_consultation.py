"""Records of a consultation: shares counted by hand, and nobody and nothing held out in any."""

import json
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suffrage.consult.consultation import Consultation
from suffrage.consult.judgements import judged_answers
from suffrage.consult.people import people_for
from suffrage.errors import InputError
from suffrage.population import build_value_set
from suffrage.study.commands.simulated_public import (
    SimulatedPublicSettings,
    simulated_public,
    utility,
)
from suffrage.survey.weighting import WeightingSpec
from suffrage.training_data import HeldOut, RecordSettings, check_nothing_held_out, split_items
from suffrage.training_data.constitution import FROM_CONSULTATION, ConstitutionSettings
from suffrage.training_data.consultation_source import (
    ConsultationSource,
    ConsultationSpec,
    about_held_out,
    consultation_source,
)
from suffrage.training_data.from_consultation import build_comparisons, build_reactions
from suffrage.training_data.prompts import build_prompts
from suffrage.training_data.records import ValidationSample
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=400, items=8, seed=3)
ITEMS = SURVEY.codebook.items
SPLIT = split_items(ITEMS, HeldOut(by="list", items=("q0", "q4")), 1)
NORTH = build_value_set(SURVEY, "north", {"region": "north"}, 1, "people in the north")
SOUTH = build_value_set(SURVEY, "south", {"region": "south"}, 1, "people in the south")
PUBLIC, TRUTH = simulated_public(
    SURVEY, SimulatedPublicSettings(participants=120, statements=30), 5
)
SPEC = ConsultationSpec(folder="x", held_out=0.3, resamples=4)  # type: ignore[arg-type]


@cache
def usual_source() -> ConsultationSource:
    """The consultation with the usual settings, split once."""
    return made_source(PUBLIC)


def source(public: Consultation = PUBLIC, **more: Any) -> ConsultationSource:
    return made_source(public, **more) if more or public is not PUBLIC else usual_source()


def made_source(public: Consultation, **more: Any) -> ConsultationSource:
    spec = SPEC.model_copy(update=more)
    return consultation_source(public, spec, [NORTH, SOUTH], ITEMS, SPLIT, 7)


def build(builder: Any, count: int = 400, seed: int = 0, **more: Any) -> Any:
    given_ = RecordSettings("written", consultation=more.pop("source", None) or source(), **more)
    return builder([NORTH, SOUTH], SPLIT, count, np.random.default_rng(seed), given_)


def regions() -> dict[str, str]:
    rows = PUBLIC.demographics.filter(pl.col("item") == "region")
    return dict(rows.select("participant", "value").rows())


@pytest.mark.slow
def test_a_share_is_that_of_the_groups_own_participants_counted_by_hand() -> None:
    found = source()
    out, region = set(found.held_out_people), regions()
    texts = dict(PUBLIC.answers.select("answer", "text").rows())
    consenting = set(people_for(PUBLIC, "training"))
    for row in build(build_comparisons).frame.to_dicts()[:60]:
        behind = {row["chosen"]: 0.0, row["rejected"]: 0.0}
        seen = set()
        for c in PUBLIC.comparisons.sort("order").iter_rows(named=True):
            person, shown = c["participant"], (texts[c["left"]], texts[c["right"]])
            pair = (person, *sorted((c["left"], c["right"])))
            if c["prompt"] != row["item"] or set(shown) != set(behind) or pair in seen:
                continue
            if person in out or person not in consenting or region.get(person) != row["value_set"]:
                continue
            seen.add(pair)
            if c["outcome"] == "tie":
                behind = {text: n + 0.5 for text, n in behind.items()}
            elif c["outcome"] in ("left", "right"):
                behind[shown[c["outcome"] == "right"]] += 1
        assert row["share"] == pytest.approx(behind[row["chosen"]] / sum(behind.values()))
        assert row["share"] >= 0.5 and row["format"] == "written"
        assert row["user"].endswith(f"Answer as people in the {row['value_set']} would.")


def test_desirable_is_the_share_of_likes_with_both_bad_as_dislikes() -> None:
    found = source()
    for row in build(build_reactions).frame.to_dicts()[:40]:
        answer = next(
            a["answer"]
            for a in PUBLIC.answers.to_dicts()
            if (a["prompt"], a["text"]) == (row["item"], row["answer"])
        )
        said: dict[str, int] = {}
        members = set(found.members[row["value_set"]])
        for r in PUBLIC.reactions.iter_rows(named=True):
            if r["answer"] == answer and r["participant"] in members:
                said[r["participant"]] = r["value"]
        for c in PUBLIC.comparisons.iter_rows(named=True):
            if (
                c["outcome"] == "both_bad"
                and answer in (c["left"], c["right"])
                and c["participant"] in members
            ):
                said.setdefault(c["participant"], -1)
        likes = sum(v == 1 for v in said.values())
        assert row["desirable"] == pytest.approx(likes / len(said))
        assert row["answer"] in row["answers"]


@pytest.mark.parametrize("builder", [build_comparisons, build_reactions])
def test_no_record_is_about_a_held_out_item(builder: Any) -> None:
    records = build(builder)
    check_nothing_held_out(records, ITEMS, SPLIT)
    assert set(records.frame["item"]) == set(SPLIT.train)
    assert set(records.made_from["consultation"]["prompts_held_out"]) == {"q0", "q4"}


@pytest.mark.parametrize("builder", [build_comparisons, build_reactions])
def test_what_held_out_people_say_reaches_no_record(builder: Any) -> None:
    """Whatever they say instead, the records are the same."""
    assert build(builder).frame.equals(build(builder, source=source(turned_public())).frame)


@pytest.mark.slow
def test_what_held_out_people_vote_reaches_no_principle() -> None:
    assert source().constitution() == source(turned_public()).constitution()


def turned_public() -> Consultation:
    """The same, where everybody held out says the opposite."""
    out = list(source().held_out_people)
    assert out
    theirs = pl.col("participant").is_in(out)
    return Consultation(
        **{
            **{n: getattr(PUBLIC, n) for n in PUBLIC.__dataclass_fields__},
            "comparisons": PUBLIC.comparisons.with_columns(
                outcome=pl.when(theirs).then(pl.lit("both_bad")).otherwise("outcome")
            ),
            "reactions": PUBLIC.reactions.with_columns(
                value=pl.when(theirs).then(-pl.col("value")).otherwise("value")
            ),
            "votes": PUBLIC.votes.with_columns(
                vote=pl.when(theirs).then(-pl.col("vote")).otherwise("vote")
            ),
        }
    )


def test_principles_come_from_trained_statements_and_are_tried_on_the_publics_prompts() -> None:
    wanted = ConstitutionSettings(source=FROM_CONSULTATION, weighing="group_informed")
    records = build(build_prompts, constitution=wanted)
    check_nothing_held_out(records, ITEMS, SPLIT)
    text = json.dumps([records.frame.to_dicts(), dict(records.made_from["constitutions"])])
    for item in ("q0", "q4"):
        question = next(i.question for i in ITEMS if i.id == item)
        assert question not in text and json.dumps(question)[1:-1] not in text
    prompts = dict(PUBLIC.prompts.select("prompt", "text").rows())
    asked = {row["user"] for row in records.frame.to_dicts() if row["item"] == ""}
    assert f"{prompts['q1']}\n\nAnswer as people in the north would." in asked


@pytest.mark.slow
def test_weights_move_shares_to_the_population() -> None:
    weights = {p: (9.0 if n % 2 else 1.0) for n, p in enumerate(PUBLIC.participants["participant"])}
    people = PUBLIC.participants.with_columns(
        weight=pl.col("participant").replace_strict(weights, return_dtype=pl.Float64)
    )
    tables = {n: getattr(PUBLIC, n) for n in PUBLIC.__dataclass_fields__}
    heavy = Consultation(**{**tables, "participants": people})
    plain, other = (
        build(build_comparisons, source=s)
        for s in (source(heavy), source(heavy, read_as="population"))
    )
    assert not plain.frame["share"].equals(other.frame["share"])
    with pytest.raises(InputError, match="have no weight"):
        source(read_as="population")


def test_a_group_named_as_without_participants_learns_nothing_and_none_at_all_is_an_error() -> None:
    other = build_value_set(SURVEY, "young", {"age": {"min": 18, "max": 50}}, 1, "the young")
    with pytest.raises(InputError, match=r"value set young, .* where.age is nothing the consult"):
        consultation_source(PUBLIC, SPEC, [NORTH, other], ITEMS, SPLIT, 7)
    without = SPEC.model_copy(update={"without": ("young",)})
    found = consultation_source(PUBLIC, without, [NORTH, other], ITEMS, SPLIT, 7)
    assert found.members["young"] == () and found.facts["members"]["young"] == 0
    given_ = RecordSettings("written", consultation=found)
    records = build_comparisons([NORTH, other], SPLIT, 20, np.random.default_rng(0), given_)
    assert set(records.frame["value_set"]) == {"north"}
    with pytest.raises(InputError, match="no comparison to train on"):
        build_comparisons([other], SPLIT, 20, np.random.default_rng(0), given_)
    assert (
        consultation_source(PUBLIC, SPEC, [NORTH], ITEMS, SPLIT, 7, ["north"]).members["north"]
        == ()
    )


def test_everybody_held_out_or_nobody_asked_is_said() -> None:
    tables = {n: getattr(PUBLIC, n) for n in PUBLIC.__dataclass_fields__}
    tables["participants"] = PUBLIC.participants.with_columns(consent_training=False)
    with pytest.raises(InputError, match="nobody consented to training"):
        source(Consultation(**tables))


def test_the_order_of_rows_changes_no_record() -> None:
    tables = {n: getattr(PUBLIC, n) for n in PUBLIC.__dataclass_fields__}
    turned = Consultation(
        **{n: t.reverse() if isinstance(t, pl.DataFrame) else t for n, t in tables.items()}
    )
    for builder in (build_comparisons, build_reactions):
        assert build(builder).frame.equals(build(builder, source=source(turned)).frame)


def test_texts_about_a_held_out_item_are_known_in_other_words_of_order() -> None:
    question = next(i.question for i in ITEMS if i.id == "q0")
    texts = {
        "same": question,
        "turned": " ".join(reversed(question.split())),
        "other": "Nothing of it.",
    }
    assert set(about_held_out(texts, ITEMS, SPLIT)) == {"same", "turned"}


def test_simulated_people_say_what_they_answered() -> None:
    """Without slips every vote follows from the respondent's own answer; choices from utility."""
    exact = SimulatedPublicSettings(participants=80, slips=0.0, temperature=1e-6, left=0.0)
    public, truth = simulated_public(SURVEY, exact, 1)
    answers = {row["respondent"]: row for row in SURVEY.responses.to_dicts()}
    who = dict(truth.select("participant", "respondent").rows())
    for row in public.votes.iter_rows(named=True):
        item, option = row["statement"].removesuffix("-not").split(".")
        own = answers[who[row["participant"]]][item]
        right = (own == int(option) - 1) != row["statement"].endswith("-not")
        assert row["vote"] == (0 if own < 0 else 1 if right else -1)
    for row in public.comparisons.iter_rows(named=True):
        item = next(i for i in ITEMS if i.id == row["prompt"])
        own = answers[who[row["participant"]]][item.id]
        u, v = (utility(item, own, int(row[side].split("-")[1]) - 1) for side in ("left", "right"))
        expected = "left" if u > v else "right" if v > u else "both_bad" if u < 0 else "tie"
        assert row["outcome"] == expected


@pytest.mark.slow
@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_a_persons_sides_are_drawn_evenly(seed: int) -> None:
    public, _ = simulated_public(
        SURVEY, SimulatedPublicSettings(participants=40, comparisons=10, statements=1), seed
    )
    left = public.comparisons.select((pl.col("left") < pl.col("right")).mean()).item()
    assert abs(left - 0.5) < 5 * 0.5 / np.sqrt(400)


def test_raked_participants_say_how_they_stood_to_the_population() -> None:
    margins = WeightingSpec(
        margins={"region": {"north": 0.7, "south": 0.3}}, source="a made-up census", unknown="keep"
    )
    found = source(read_as="population", margins=margins)
    told = found.facts["representativeness"]
    before, after = told["dissimilarity_before_and_after"]["region"]
    assert told["source"] == "a made-up census" and after < 1e-3 < before
    # Within a region all weigh alike, so that no region's own shares move.
    plain, weighted = (build(build_comparisons, source=s).frame for s in (source(), found))
    assert weighted["share"].to_list() == pytest.approx(plain["share"].to_list())


@pytest.mark.parametrize("builder", [build_comparisons, build_reactions])
def test_people_and_prompts_held_back_are_asked_and_in_no_record(builder: Any) -> None:
    found = source()
    records = build(builder, source=found, validation=ValidationSample(0.3, cells=500))
    rows = records.frame.to_dicts()
    asked = [row for row in rows if row["validation"]]
    learnt = [row for row in rows if not row["validation"]]
    away = found.held_back_people(0.3)
    assert asked and learnt and 0 < len(away) < len(found.people)
    assert not {row["item"] for row in asked} & {row["item"] for row in learnt}
    assert records.made_from["held_back"]["people"] == len(away)
    # Turning round all that held-back people say moves no record that is learnt.
    own = pl.col("participant").is_in(sorted(away))
    swapped = {"left": "right", "right": "left"}
    outcome = pl.when(own).then(pl.col("outcome").replace(swapped)).otherwise("outcome")
    value = pl.when(own).then(-pl.col("value")).otherwise("value")
    tables = {n: getattr(PUBLIC, n) for n in PUBLIC.__dataclass_fields__}
    turned = Consultation(
        **tables
        | {
            "comparisons": PUBLIC.comparisons.with_columns(outcome=outcome),
            "reactions": PUBLIC.reactions.with_columns(value=value),
        }
    )
    again = build(builder, source=source(turned), validation=ValidationSample(0.3, cells=500))
    assert [r for r in again.frame.to_dicts() if not r["validation"]] == learnt
    assert [r for r in again.frame.to_dicts() if r["validation"]] != asked


def test_asked_comparisons_have_the_shares_of_held_back_people_counted_by_hand() -> None:
    found = source()
    records = build(build_comparisons, source=found, validation=ValidationSample(0.3, cells=500))
    away, region = found.held_back_people(0.3), regions()
    text = dict(PUBLIC.answers.select("answer", "text").rows())
    for row in records.frame.filter(pl.col("validation")).to_dicts():
        votes: dict[str, float] = {}
        for one in PUBLIC.comparisons.sort("order").to_dicts():
            pair, person = [text[one["left"]], text[one["right"]]], one["participant"]
            usable = one["check"] is None and one["outcome"] != "skip"
            usable = usable and one["prompt"] == row["item"]
            mine = person in away and region[person] == row["value_set"]
            if usable and mine and sorted(pair) == sorted(row["answers"]):
                first = float(pair[0] == row["answers"][0])
                wins = {"tie": 0.5, "left": first, "right": 1 - first}
                # Who met a pair twice counts by the first answer; "both bad" prefers neither.
                votes.setdefault(person, wins.get(one["outcome"], np.nan))
        assert row["target"][0] == pytest.approx(np.nanmean([*votes.values()]))


def test_asked_reactions_prefer_the_answer_that_more_people_like() -> None:
    found = source()
    records = build(build_reactions, source=found, validation=ValidationSample(0.3, cells=500))
    away, region = found.held_back_people(0.3), regions()
    text = dict(PUBLIC.answers.select("answer", "text").rows())
    judged = judged_answers(PUBLIC, dict.fromkeys(away, 1.0)).to_dicts()
    asked = records.frame.filter(pl.col("validation")).to_dicts()
    assert len(asked) > 5
    for row in asked:
        said = [
            [
                one["value"] > 0
                for one in judged
                if text[one["answer"]] == answer
                and one["prompt"] == row["item"]
                and region[one["participant"]] == row["value_set"]
            ]
            for answer in row["answers"]
        ]
        # Everybody who judged the first with everybody who judged the second.
        pairs = [(one, two) for one in said[0] for two in said[1] if one != two]
        assert row["target"][0] == pytest.approx(np.mean([one for one, _ in pairs]))
