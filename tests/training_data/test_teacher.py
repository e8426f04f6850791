"""What a teacher predicts of a question comes from other questions, and records say so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from suffrage import registry
from suffrage.align.distribution import Options
from suffrage.errors import InputError
from suffrage.population import ValueSet, build_value_set
from suffrage.population.distribution_distances import fit
from suffrage.study.planning.memory import largest_step
from suffrage.study.schema import MethodSpec
from suffrage.survey import Option
from suffrage.training_data import HeldOut, ItemSplit, Records, distribution_records, split_items
from suffrage.training_data.distribution_records import BUILDER
from suffrage.training_data.teacher import fit_teacher
from tests.synthetic import make_survey

TOPICS = ("taxes", "schools", "roads", "parks", "police", "trains")
SURVEY = make_survey(respondents=40, items=60, seed=3)


def planted(count: int = 6, seed: int = 0) -> list[ValueSet]:
    """Populations whose answers depend on a question's topic, and on how they like that topic."""
    generator = np.random.default_rng(seed)
    whole = build_value_set(SURVEY, "all", {}, 1, "people")
    taste = generator.normal(size=(count, len(TOPICS)))
    shared = 1.5 * generator.normal(size=len(TOPICS))
    found = []
    for number in range(count):
        distributions = {}
        for place, (item, d) in enumerate(whole.distributions.items()):
            topic = place % len(TOPICS)
            size = d.shares.size
            slope = shared[topic] + taste[number, topic]
            scores = slope * np.linspace(-1, 1, size) + 0.2 * generator.normal(size=size)
            shares = np.exp(scores) / np.exp(scores).sum()
            options = tuple(Option(code=str(k), text=f"level {k}") for k in range(size))
            question = f"How much more should go to {TOPICS[topic]}, in case {place}?"
            asked = d.item.model_copy(update={"question": question, "options": options})
            distributions[item] = replace(d, item=asked, shares=shares)
        found.append(
            replace(whole, name=f"g{number}", description=f"g{number}", distributions=distributions)
        )
    return found


ITEMS = [d.item for d in planted(1)[0].distributions.values()]
SPLIT = split_items(ITEMS, HeldOut(by="list", items=(ITEMS[0].id, ITEMS[1].id)), 1)


def changed(value_sets: list[ValueSet], item: str) -> list[ValueSet]:
    """The same populations, with another answer to one item."""
    found = []
    for v in value_sets:
        own = v.distributions[item]
        other = replace(own, shares=own.shares[::-1].copy())
        found.append(replace(v, distributions={**v.distributions, item: other}))
    return found


def records(value_sets: list[ValueSet], split: ItemSplit = SPLIT, **more: object) -> Records:
    options = Options.model_validate({"questions": 4, "populations": 3, "orders": 1, **more})
    count = 20 * options.own_rows
    return BUILDER.build(
        value_sets, split, count, np.random.default_rng(1), options.record_settings
    )


@pytest.mark.slow
def test_predictions_of_questions_left_out_beat_the_mean_answer_and_know_the_population() -> None:
    sets = planted()
    teacher = fit_teacher(sets, SPLIT, 1)
    own, other, mean = [], [], []
    for v, w in zip(sets, [*sets[1:], sets[0]], strict=True):
        every = [v.distributions[i].shares for i in SPLIT.train]
        for item in SPLIT.train:
            people = v.distributions[item].shares
            average = np.mean([s for s in every if s.size == people.size], axis=0)
            own.append(fit(people, teacher.prediction(v.name, item)))
            other.append(fit(people, teacher.prediction(w.name, item)))
            mean.append(fit(people, average))
    assert np.mean(own) > np.mean(other) + 0.05
    assert np.mean(own) > np.mean(mean) + 0.05
    assert teacher.fit == pytest.approx(np.mean(own), abs=0.03)


@pytest.mark.slow
def test_a_questions_own_answers_are_not_in_its_prediction_and_are_in_others() -> None:
    sets = planted()
    item = SPLIT.train[5]
    before, after = fit_teacher(sets, SPLIT, 1), fit_teacher(changed(sets, item), SPLIT, 1)
    assert before.settings == after.settings
    assert before.prediction("g0", item) == pytest.approx(after.prediction("g0", item))
    others = [i for i in SPLIT.train if i != item]
    assert any(
        np.abs(before.prediction("g0", i) - after.prediction("g0", i)).max() > 1e-6 for i in others
    )


@pytest.mark.slow
def test_nothing_held_out_or_held_back_decides_what_is_learnt() -> None:
    sets = planted()
    settings = {"teacher": "words", "validation": 0.2, "validation_cells": 12}
    plain = records(sets, **settings)
    back = plain.made_from["validation"]
    learnt = plain.frame.filter(~plain.frame["validation"])
    for item in (*SPLIT.held_out, *back):
        sets = changed(sets, item)
    other = records(sets, **settings).frame
    assert other.filter(~other["validation"])["target"].equals(learnt["target"])


@pytest.mark.slow
def test_a_target_is_so_much_prediction_and_the_rest_what_people_answered() -> None:
    sets = planted()
    taught = records(sets, teacher="words", teacher_weight=0.75)
    teacher = fit_teacher(sets, SPLIT, 0)
    known = {v.name: v for v in sets}
    for row in taught.frame.to_dicts():
        people = known[row["value_set"]].distributions[row["item"]].shares
        predicted = teacher.prediction(row["value_set"], row["item"])
        assert row["people"] == pytest.approx(people)
        assert row["target"] == pytest.approx(0.75 * predicted + 0.25 * people)
    assert taught.made_from["teacher"]["fit"] == teacher.fit


@pytest.mark.slow
def test_populations_that_were_not_asked_come_from_the_same_source_and_have_no_answer() -> None:
    def of_source(value_sets: list[ValueSet], source: str) -> list[ValueSet]:
        return [
            replace(
                v,
                name=f"{source}-{v.name}",
                distributions={
                    f"{source}:{i}": replace(
                        d, item=d.item.model_copy(update={"id": f"{source}:{i}"})
                    )
                    for i, d in v.distributions.items()
                },
            )
            for v in value_sets
        ]

    first, second = of_source(planted(), "a"), of_source(planted(seed=1), "b")
    # Only one population was asked most of the first source's questions.
    some = {f"a:{item.id}" for item in ITEMS[:10]}
    first[1:] = [
        replace(v, distributions={i: d for i, d in v.distributions.items() if i in some})
        for v in first[1:]
    ]
    items = tuple(i for v in (first[0], second[0]) for i in v.distributions)
    split = replace(SPLIT, train=items, held_out=())
    found = records([*first, *second], split, teacher="words", unasked=2).frame
    unasked = found.filter(found["people"].is_null())
    assert unasked.height > 0
    assert all(r["value_set"][0] == r["item"][0] for r in unasked.to_dicts())
    assert set(unasked["item"].str.slice(0, 1)) == {"a"}
    per_visit = found.filter(found["item"].str.starts_with("a")).group_by("step", "way").len()
    assert per_visit["len"].max() <= 5


@pytest.mark.slow
def test_populations_differ_as_people_do_and_one_that_was_not_asked_as_predicted() -> None:
    value_sets = planted()
    missing = ITEMS[5].id
    rest = {i: d for i, d in value_sets[0].distributions.items() if i != missing}
    value_sets[0] = replace(value_sets[0], distributions=rest)
    found = records(value_sets, SPLIT, teacher="words", unasked=2).frame
    rows = found.to_dicts()
    asked = [row for row in rows if row["people"] is not None]
    assert all(row["apart"] == row["people"] for row in asked)
    unasked = [row for row in rows if row["people"] is None]
    assert unasked
    for row in unasked:
        others = [o for o in asked if (o["step"], o["way"]) == (row["step"], row["way"])]
        people = np.mean([o["people"] for o in others], axis=0)
        predicted = np.mean([o["target"] for o in others], axis=0)
        ahead = np.array(row["target"]) - predicted
        assert row["apart"] == pytest.approx((people + ahead).tolist())


@pytest.mark.slow
def test_a_population_that_was_not_asked_starts_from_its_own_average_too() -> None:
    value_sets = planted()
    missing = ITEMS[5].id
    rest = {i: d for i, d in value_sets[0].distributions.items() if i != missing}
    value_sets[0] = replace(value_sets[0], distributions=rest)
    found = records(value_sets, SPLIT, teacher="words", unasked=2, offset="average").frame
    rows = found.filter(found["people"].is_null()).to_dicts()
    assert rows and {(row["value_set"], row["item"]) for row in rows} == {("g0", missing)}
    trained = [
        d.shares
        for i, d in rest.items()
        if SPLIT.trains_on(i) and d.shares.size == len(rows[0]["target"])
    ]
    assert rows[0]["average"] == pytest.approx(np.mean(trained, axis=0))


def test_settings_that_need_a_teacher_say_so() -> None:
    with pytest.raises(ValidationError, match="unasked: needs a teacher"):
        Options.model_validate({"questions": 4, "unasked": 2})
    with pytest.raises(ValidationError, match="differences_of: needs a teacher"):
        Options.model_validate({"questions": 4, "differences_of": "targets"})
    with pytest.raises(ValidationError, match="teacher: needs questions"):
        Options.model_validate({"teacher": "words"})


def test_whose_differences_are_learnt_decides_a_training_only_with_a_teacher() -> None:
    def deciding(**given: object) -> dict[str, object]:
        return Options.model_validate({"questions": 4, **given}).deciding()

    assert "differences_of" not in deciding()
    taught = deciding(teacher="words")
    assert taught != deciding(teacher="words", differences_of="targets")


def test_planning_counts_a_taught_step_and_fits_no_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitting takes minutes on thousands of questions, and a plan starts nothing long."""

    def refused(*given: object) -> None:
        raise AssertionError("a teacher was fitted")

    monkeypatch.setattr(distribution_records, "fit_teacher", refused)
    taught = {"questions": 4, "populations": 2, "unasked": 1, "teacher": "words", "steps": 3}
    method = registry.load("methods", "distribution")
    found = [
        largest_step(
            MethodSpec(method=method, name="tried", options=Options.model_validate(given)),
            planted(),
            SPLIT,
            1,
            12,
            512,
            Path(),
        )
        for given in (taught, {"questions": 4, "populations": 3, "steps": 3})
    ]
    assert found[0].tokens == pytest.approx(found[1].tokens, rel=0.2)


def test_planning_a_training_on_votes_holds_back_no_survey_question() -> None:
    """Its validation is about statements, and the start may know every question of the survey."""
    known = replace(SPLIT, trained_before=SPLIT.train)
    given = {"questions": 4, "steps": 3, "validation": 0.2}
    spec = MethodSpec(
        method=registry.load("methods", "distribution"),
        name="voted",
        options=Options.model_validate(given),
        records="votes",
    )
    assert largest_step(spec, planted(), known, 1, 12, 512, Path()).tokens > 0
    with pytest.raises(InputError, match="holds none of them back"):
        survey = spec.model_copy(update={"records": "survey"})
        largest_step(survey, planted(), known, 1, 12, 512, Path())
