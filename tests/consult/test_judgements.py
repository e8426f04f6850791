"""Comparisons and reactions counted: by hand, and into the records that TRL reads."""

from pathlib import Path

import polars as pl
import pytest

from suffrage.consult.consultation import SCHEMAS, Consultation
from suffrage.consult.judgements import CountedPair, counted_likings, counted_pairs
from suffrage.consult.people import held_out_people, people_for, people_weights
from suffrage.consult.release.exports import dpo_rows, kto_rows, write_records
from suffrage.errors import InputError
from suffrage.survey.weighting import WeightingSpec
from tests.consult.publics import made_up_public

PUBLIC = made_up_public(40, 1)


def public_of(
    outcomes: list[tuple[str, str, str, str]], reactions: tuple[tuple[str, str, int], ...] = ()
) -> Consultation:
    rows = [
        {
            "participant": person,
            "prompt": "q0",
            "left": left,
            "right": right,
            "outcome": outcome,
            "confidence": None,
            "reasons": "",
            "core": False,
            "check": None,
            "probability": None,
            "order": n,
        }
        for n, (person, left, right, outcome) in enumerate(outcomes)
    ]
    liked = [
        {"participant": p, "answer": a, "value": v, "reasons": "", "order": n}
        for n, (p, a, v) in enumerate(reactions)
    ]
    tables = {n: getattr(PUBLIC, n) for n in PUBLIC.__dataclass_fields__}
    return Consultation(
        **{
            **tables,
            "comparisons": pl.DataFrame(rows, schema=dict(SCHEMAS["comparisons"])),
            "reactions": pl.DataFrame(liked, schema=dict(SCHEMAS["reactions"])),
        }
    )


def test_sides_ties_and_both_bad_are_counted_as_by_hand() -> None:
    public = public_of(
        [
            ("person-000", "q0-0", "q0-1", "left"),
            ("person-001", "q0-1", "q0-0", "right"),  # the same answer, on the other side
            ("person-002", "q0-0", "q0-1", "right"),
            ("person-003", "q0-1", "q0-0", "tie"),
            ("person-004", "q0-0", "q0-1", "both_bad"),
            ("person-005", "q0-0", "q0-1", "skip"),
            ("person-000", "q0-0", "q0-1", "right"),  # met again: the first answer counts
        ]
    )
    weights = dict.fromkeys(public.participants["participant"], 1.0)
    assert counted_pairs(public, weights) == [CountedPair("q0", "q0-0", "q0-1", 2, 1, 1, 1, 5)]
    assert counted_pairs(public, weights)[0].share == pytest.approx(2.5 / 4)
    heavier = counted_pairs(public, {**weights, "person-002": 3.0})[0]
    assert heavier.share == pytest.approx(2.5 / 6)
    assert counted_pairs(public, {"person-002": 1.0})[0].people == 1


def test_both_bad_dislikes_both_and_a_reaction_goes_before_it() -> None:
    public = public_of(
        [("person-000", "q0-0", "q0-1", "both_bad")],
        (("person-000", "q0-1", 1), ("person-001", "q0-1", -1)),
    )
    weights = {"person-000": 1.0, "person-001": 2.0}
    found = {row.answer: (row.likes, row.dislikes) for row in counted_likings(public, weights)}
    assert found == {"q0-0": (0, 1), "q0-1": (1, 2)}


def test_records_have_the_names_that_trl_reads() -> None:
    weights = dict.fromkeys(people_for(PUBLIC, "training"), 1.0)
    dpo, kto = dpo_rows(PUBLIC, weights), kto_rows(PUBLIC, weights)
    assert {"prompt", "chosen", "rejected"} <= set(dpo.columns) and (dpo["share"] >= 0.5).all()
    assert {"prompt", "completion", "label"} <= set(kto.columns) and kto[
        "label"
    ].dtype == pl.Boolean
    assert "participant" not in {*dpo.columns, *kto.columns}
    liked = PUBLIC.reactions.filter(pl.col("value") == 1).height
    assert kto["label"].sum() == liked


def test_every_table_is_written_three_times_and_nobodys_words_are_taken_unasked(
    tmp_path: Path,
) -> None:
    rows = write_records(PUBLIC, tmp_path / "r")
    for name, count in rows.items():
        assert pl.read_parquet(tmp_path / "r" / f"{name}.parquet").height == count
        assert len((tmp_path / "r" / f"{name}.jsonl").read_text().splitlines()) == count
    tables = {n: getattr(PUBLIC, n) for n in PUBLIC.__dataclass_fields__}
    tables["participants"] = PUBLIC.participants.with_columns(consent_training=False)
    with pytest.raises(InputError, match="nobody consented to training"):
        write_records(Consultation(**tables), tmp_path / "none")


def test_who_is_held_out_depends_on_nobody_else() -> None:
    people = people_for(PUBLIC, "taking part")
    out = held_out_people(people, 0.3, 7)
    assert out == tuple(p for p in people if p in held_out_people([p], 0.3, 7))
    assert set(held_out_people(people, 0.2, 7)) <= set(out)
    assert held_out_people(people, 0.3, 8) != out
    many = [f"x{n}" for n in range(20_000)]
    assert len(held_out_people(many, 0.25, 1)) / len(many) == pytest.approx(0.25, abs=0.01)


def test_participants_can_be_read_as_population_by_own_weights_or_margins() -> None:
    people = people_for(PUBLIC, "taking part")
    own, _ = people_weights(PUBLIC, people, "population")
    given = dict(PUBLIC.participants.select("participant", "weight").rows())
    mean = sum(given.values()) / len(given)
    assert own == pytest.approx({p: given[p] / mean for p in people})
    spec = WeightingSpec(
        margins={"region": {"north": 0.5, "south": 0.3, "east": 0.2}},
        source="made up",
        unknown="keep",
    )
    raked, told = people_weights(PUBLIC, people, "population", spec)
    region = dict(
        PUBLIC.demographics.filter(pl.col("item") == "region").select("participant", "value").rows()
    )
    known = sum(raked[p] for p in people if p in region)
    north = sum(raked[p] for p in people if region.get(p) == "north")
    assert north / known == pytest.approx(0.5, abs=1e-3) and told is not None
