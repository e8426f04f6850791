"""Principles: every group supports them; they name statements and votes, and merge by weight."""

from math import comb
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from suffrage.consult.consultation import Consultation, votes_of
from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.consult.merged_statements import Merge, read_merges
from suffrage.consult.people import people_for
from suffrage.consult.polis.conversation import Conversation, PolisStatement, consultation_of
from suffrage.consult.principles import (
    Principles,
    PrincipleSettings,
    find_principles,
    write_principles,
)
from suffrage.errors import InputError
from suffrage.training_data.constitution import read_constitution
from tests.consult.opinions import made_up_votes
from tests.consult.publics import TOPICS, made_up_public

TWICE = (
    *TOPICS,
    "More trees should be planted by the council along the river",
    "The council should not plant more trees along the river",
)
QUICK = GroupSettings(groups=2)


def found(public: Consultation, **more: object) -> Principles:
    return find_principles(public, PrincipleSettings(groups=QUICK, resamples=4, **more))


def with_twin_votes(public: Consultation) -> Consultation:
    """s8 voted on as s0, and s9 the other way round."""
    first = public.votes.filter(pl.col("statement") == "s0")
    rest = public.votes.filter(~pl.col("statement").is_in(["s8", "s9"]))
    twin = first.with_columns(statement=pl.lit("s8"))
    turned = first.with_columns(statement=pl.lit("s9"), vote=-pl.col("vote"))
    tables = {n: getattr(public, n) for n in public.__dataclass_fields__}
    # By the organisers, so that no consent decides.
    statements = public.statements.with_columns(seed=pl.lit(True), author=pl.lit(None, pl.String))
    return Consultation(
        **{**tables, "votes": pl.concat([rest, twin, turned]), "statements": statements}
    )


@pytest.mark.slow
def test_a_principle_has_more_than_half_of_every_group_behind_it_by_plain_counting() -> None:
    public = made_up_public(80, 4)
    principles = found(public)
    matrix = votes_of(public)
    from suffrage.consult.groups.opinion_groups import find_groups

    labels = find_groups(matrix, (), QUICK).labels
    for p in principles.unmerged:
        column = matrix.votes[:, matrix.statements.index(p.sources[0])]
        shares = []
        for g in range(2):
            own = column[labels == g]
            shares.append(((own == 1).sum() + 1) / ((own >= -1).sum() + 2))
        assert list(p.support.by_group.values()) == pytest.approx(shares, abs=1e-6)
        assert min(shares) > 0.5
        assert p.support.root == pytest.approx(np.sqrt(np.prod(shares)), abs=1e-9)
        low, high = p.support.root_interval
        assert low < p.support.root < high
    both = (*principles.unmerged, *principles.uncertain)
    assert {p.sources[0] for p in both} >= {"s0", "s1"}


def surely_a_majority(agrees: float, others: float) -> float:
    """The probability that a share is above a half, exactly: of Beta(agrees + 1, others + 1)."""
    tosses = round(agrees + others) + 1
    return sum(comb(tosses, k) for k in range(round(agrees) + 1)) / 2**tosses


def conversation(people: int = 150, statements: int = 60) -> Consultation:
    """Votes of two known groups, in a consultation that may be trained on."""
    votes, _ = made_up_votes(people=people, statements=statements)
    texts = tuple(
        PolisStatement(key, f"We want number {key}.", moderated=1) for key in votes.statements
    )
    read = Conversation({}, texts, votes)
    return consultation_of(read, "town", consents=("votes", "texts", "training"))


def everybodys(public: Consultation, **more: object) -> Principles:
    return found(public, everyone=True, **more)


@pytest.mark.slow
def test_a_principle_is_as_sure_as_its_interval_says() -> None:
    principles = everybodys(conversation(), least_voters=1)
    assert len(principles.unmerged) > 3 and len(principles.uncertain) > 3
    for sure, found_so in ((True, principles.unmerged), (False, principles.uncertain)):
        for p in found_so:
            t = p.support
            odds = np.prod(
                [surely_a_majority(t.agrees[g], t.disagrees[g] + t.passes[g]) for g in t.agrees]
            )
            # With a thousand draws, either answer is right near the border of 0.975.
            assert odds > 0.96 if sure else odds < 0.99


@pytest.mark.slow
def test_what_two_voters_of_a_group_say_is_no_principle() -> None:
    public = conversation()
    first = everybodys(public).unmerged[0].sources[0]
    agreeing = public.votes.filter((pl.col("statement") == first) & (pl.col("vote") == 1))
    tables = {n: getattr(public, n) for n in public.__dataclass_fields__}
    others = public.votes.filter(pl.col("statement") != first)
    few = Consultation(**{**tables, "votes": pl.concat([others, agreeing[:12]])})
    apart = everybodys(few, least_share=0.05)
    assert first in {
        p.sources[0] for p in everybodys(few, least_share=0.05, least_voters=1).unmerged
    }
    assert first in {p.sources[0] for p in apart.uncertain}
    assert first in {row["id"] for row in apart.trace()["uncertain"]}
    assert all(first != row["id"] for row in apart.constitution()["principles"])
    with pytest.raises(InputError, match="seem to, with fewer than 500 voters in a group"):
        everybodys(few, least_voters=500)


@pytest.mark.slow
def test_near_duplicates_merge_and_keep_their_weight_but_a_negation_does_not() -> None:
    principles = found(with_twin_votes(made_up_public(80, 5, texts=TWICE)))
    merged = next(p for p in principles.merged if "s0" in p.sources or "s8" in p.sources)
    assert set(merged.sources) == {"s0", "s8"}
    assert all("s9" not in p.sources for p in principles.merged)
    assert len(principles.unmerged) == len(principles.merged) + 1
    # Sampled as often as both together, to within the prior's two votes.
    apart = yaml.safe_load(yaml.safe_dump(principles.constitution(False)))["principles"]
    one = yaml.safe_load(yaml.safe_dump(principles.constitution()))["principles"]
    weight = lambda p: p["stands_for"] * np.prod(list(p["group_support"].values()))  # noqa: E731
    both = sum(weight(p) for p in apart if p["id"] in ("s0", "s8"))
    assert weight(next(p for p in one if p["id"].endswith("+1"))) == pytest.approx(both, rel=0.03)


def test_statements_in_like_words_that_people_vote_apart_on_stay_apart() -> None:
    """Here the same words, with votes that say otherwise."""
    public = with_twin_votes(made_up_public(80, 5, texts=TWICE))
    turned = public.votes.with_columns(
        vote=pl.when(pl.col("statement") == "s8").then(-pl.col("vote")).otherwise("vote")
    )
    tables = {n: getattr(public, n) for n in public.__dataclass_fields__}
    principles = found(Consultation(**{**tables, "votes": turned}), least_share=0.02)
    assert all(len(p.sources) == 1 for p in principles.merged if "s0" in p.sources)


@pytest.mark.slow
def test_a_merge_by_hand_needs_a_reason_and_is_told(tmp_path: Path) -> None:
    public = made_up_public(80, 5)
    (tmp_path / "m.csv").write_text("statement,same_as,why\ns1,s0,both are about the town\n")
    principles = found(public, merges=read_merges(tmp_path / "m.csv"))
    assert any(set(p.sources) == {"s0", "s1"} for p in principles.merged)
    assert principles.trace()["merged_by_hand"][0]["why"] == "both are about the town"
    (tmp_path / "m.csv").write_text("statement,same_as,why\ns1,s0,\n")
    with pytest.raises(InputError, match=r"m\.csv line 2: a cell is empty"):
        read_merges(tmp_path / "m.csv")
    with pytest.raises(InputError, match='no statement "s99"'):
        found(public, merges=(Merge("s99", "s0", "x"),))


@pytest.mark.slow
def test_what_is_written_is_what_ccai_reads(tmp_path: Path) -> None:
    principles = found(with_twin_votes(made_up_public(80, 5, texts=TWICE)))
    write_principles(principles, tmp_path / "p")
    constitution = read_constitution(tmp_path / "p" / "constitution.yaml")
    read_constitution(tmp_path / "p" / "unmerged.yaml")
    weights = constitution.weights("group_informed")
    raw = [p.stands_for * p.group_informed_support for p in constitution.principles]
    np.testing.assert_allclose(weights, np.array(raw) / np.sum(raw))
    for one, made in zip(constitution.principles, principles.merged, strict=True):
        assert one.text.startswith("Choose the answer most consistent with: ")
        assert principles.texts[made.sources[0]] in one.text
        assert len(one.sources) == len(made.sources)
    trace = (tmp_path / "p" / "principles.json").read_text()
    assert '"agrees"' in trace and '"overlap_in_resamples"' in trace


@pytest.mark.slow
def test_turned_by_is_the_number_of_people_that_undo_a_principle() -> None:
    for p in found(made_up_public(80, 4)).unmerged:
        shares = []
        for g in p.support.agrees:
            a = p.support.agrees[g]
            s = a + p.support.disagrees[g] + p.support.passes[g]
            shares.append((a, s))
        undone = [
            any((a + 1) / (s + d + 2) <= 0.5 for a, s in shares)
            for d in (p.turned_by - 1, p.turned_by)
        ]
        assert undone == [False, True]


@pytest.mark.slow
def test_only_those_who_consented_to_training_count_and_no_text_is_used_unasked() -> None:
    public = made_up_public(80, 6, consenting=0.7)
    principles = found(public, least_share=0.02)
    assert principles.participants == len(people_for(public, "training"))
    allowed = set(people_for(public, "training")) & set(people_for(public, "texts"))
    for row in public.statements.iter_rows(named=True):
        used = any(row["statement"] in p.sources for p in principles.merged)
        if not row["seed"] and row["author"] not in allowed:
            assert not used
    nobody = public.participants.with_columns(consent_training=False)
    tables = {n: getattr(public, n) for n in public.__dataclass_fields__}
    with pytest.raises(InputError, match="nobody consented to training"):
        found(Consultation(**{**tables, "participants": nobody}))


@pytest.mark.slow
def test_the_population_may_hold_other_principles_and_both_readings_are_told() -> None:
    """Weights that make one camp nearly all of everyone change no group's share of its own."""
    public = made_up_public(80, 4)
    weighted = found(public, read_as="population")
    plain = found(public)
    gone = set(weighted.only_in_sample)
    new = set(weighted.only_in_population)
    sample = {p.sources[0] for p in plain.unmerged}
    population = {p.sources[0] for p in weighted.unmerged}
    texts_refused = set(weighted.left_out["text without consent of its author"])
    assert population - texts_refused == (sample - gone) | (new - texts_refused)
    assert weighted.trace()["read_as"] == "population"


@pytest.mark.slow
def test_the_order_of_rows_changes_no_principle() -> None:
    public = made_up_public(60, 8)
    tables = {n: getattr(public, n) for n in public.__dataclass_fields__}
    turned = {n: t.reverse() if isinstance(t, pl.DataFrame) else t for n, t in tables.items()}
    assert found(Consultation(**turned)).trace() == found(public).trace()


@pytest.mark.slow
def test_a_statement_about_the_consultation_itself_is_no_principle() -> None:
    public = conversation()
    first = everybodys(public).unmerged[0].sources[0]
    tables = {n: getattr(public, n) for n in public.__dataclass_fields__}
    marked = public.statements.with_columns(meta=pl.col("statement") == first)
    principles = everybodys(Consultation(**{**tables, "statements": marked}))
    assert principles.left_out["about the consultation itself"] == (first,)
    every = (*principles.merged, *principles.unmerged, *principles.uncertain)
    assert all(first not in p.sources for p in every)
