"""Of the cells that were trained on a sample is asked; of those held out, all."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from suffrage.evaluate import EvaluationInput, collect_answers, fit
from suffrage.evaluate.asking.answers import asked_probes, prompts_to_score
from suffrage.evaluate.asking.sampled_cells import asked_cells, sampled_trained_cells
from suffrage.population import ValueSet
from suffrage.population.distribution_distances import fit as fit_of
from suffrage.training_data import ItemSplit
from tests.evaluate.trial import SCORING, survey, value_sets
from tests.impostors import flat, noise

SOURCES = {"a:": 12, "b:": 6, "c:": 2}


def made_up(populations: int = 4) -> list[ValueSet]:
    """Populations that were asked twenty items of three sources."""
    (whole,) = value_sets(survey(respondents=60, items=1), crossings=False)[:1]
    (one,) = whole.distributions.values()
    ids = [f"{source}{k}" for source, count in SOURCES.items() for k in range(count)]
    known = {
        name: replace(one, item=one.item.model_copy(update={"id": name})) for name in sorted(ids)
    }
    return [replace(whole, name=f"v{k}", distributions=known) for k in range(populations)]


def split_of(sets: list[ValueSet], *held_out: str) -> ItemSplit:
    ids = list(sets[0].distributions)
    train = tuple(i for i in ids if i not in held_out)
    return ItemSplit(train, held_out, {i: i for i in ids}, {})


SETS = made_up()
SPLIT = split_of(SETS, "a:0", "b:0")


def test_each_source_has_the_same_share_of_its_questions() -> None:
    drawn = sampled_trained_cells(SETS, SPLIT, ["v3"], 27, 1)
    # 27 of 54 cells: half of 11, 5 and 2 questions, each for the three populations trained on.
    assert drawn is not None
    items = {item for _, item in drawn}
    assert Counter(item[:2] for item in items) == {"a:": 6, "b:": 2, "c:": 1}
    assert drawn == {(v, item) for v in ("v0", "v1", "v2") for item in items}
    assert not items & {"a:0", "b:0"}


def test_every_question_of_a_source_is_drawn_equally_often() -> None:
    draws = 400
    counts: Counter[str] = Counter()
    for seed in range(draws):
        counts.update(item for _, item in sampled_trained_cells(SETS, SPLIT, [], 24, seed) or ())
    # A third: 4 of 11, 2 of 5 and 1 of 2 questions, for four populations.
    for source, count, drawn in (("a:", 11, 4), ("b:", 5, 2), ("c:", 2, 1)):
        found = [n / 4 for item, n in counts.items() if item.startswith(source)]
        share = drawn / count
        assert len(found) == count and sum(found) == drawn * draws
        assert max(abs(n - draws * share) for n in found) < 4 * np.sqrt(draws * share * (1 - share))


def test_the_sample_depends_on_no_order_and_hardly_on_the_split() -> None:
    one = sampled_trained_cells(SETS, SPLIT, [], 36, 1)
    assert one == sampled_trained_cells(SETS[::-1], SPLIT, [], 36, 1)
    other = sampled_trained_cells(SETS, split_of(SETS, "a:1", "b:1"), [], 36, 1)
    assert one is not None and other is not None
    # Of the nine questions at most one a source differs; independent samples would share half.
    assert len(one & other) >= 4 * 7


@pytest.mark.parametrize(
    ("split", "most"), [(SPLIT, None), (SPLIT, 72), (split_of(SETS), 10)], ids=repr
)
def test_where_there_are_few_or_nothing_is_held_out_all_are_asked(
    split: ItemSplit, most: int | None
) -> None:
    assert sampled_trained_cells(SETS, split, [], most, 1) is None


def test_what_is_held_out_or_needed_is_asked_whole() -> None:
    drawn = sampled_trained_cells(SETS, SPLIT, ["v3"], 10, 1)
    assert drawn is not None
    found = asked_cells(SETS, [SPLIT], [drawn], ["v3"], ["c:1"])
    wanted = set(drawn) | {("v3", item) for item in SETS[3].distributions}
    wanted |= {(v.name, item) for v in SETS for item in ("a:0", "b:0", "c:1")}
    assert found == wanted
    assert asked_cells(SETS, [SPLIT, SPLIT], [drawn, None], ["v3"]) is None


def test_only_wanted_cells_are_asked_and_counted() -> None:
    wanted = {("v0", "a:0"), ("v1", "a:0"), ("v1", "c:1")}
    named = asked_probes(SETS, True, wanted)
    assert {(name, probe.item.id) for name, probe in named} == wanted
    alone = asked_probes(SETS, False, wanted)
    assert sorted(probe.item.id for _, probe in alone) == ["a:0", "c:1"]
    counted: list[int] = []
    answers = collect_answers(
        flat(), SETS, [], SCORING, True, 1, counted.append, wanted=wanted
    ).by_value_set
    assert {(v, a.item_id) for v, some in answers.items() for a in some} == wanted
    assert prompts_to_score(SETS, [], True, SCORING, wanted) == 3 * 4


@pytest.mark.slow
def test_fit_on_trained_questions_rests_on_the_sample_for_every_method_and_floor() -> None:
    sets = value_sets(survey(respondents=400, items=8), crossings=False)
    ids = list(sets[0].distributions)
    split = ItemSplit(tuple(ids[2:]), tuple(ids[:2]), {i: i for i in ids}, {"by": "item"})
    drawn = sampled_trained_cells(sets, split, [], 12, 1)
    assert drawn is not None
    given = EvaluationInput(
        value_sets=sets,
        splits={1: split},
        # It was asked everything, as an untrained model may have been for another seed.
        answers={("noise", 1): collect_answers(noise(3), sets, [], SCORING, True, 1)},
        methods=["noise"],
        trained=[],
        trained_sample={1: drawn},
    )
    card = fit.score(given, 1)
    by_place = {
        (v, a.item_id): a.shares
        for v, some in given.answers["noise", 1].by_value_set.items()
        for a in some
    }
    people = {v.name: v.distributions for v in sets}
    # Every population was asked every question, so that both means are the same.
    expected = np.mean([fit_of(people[v][i].shares, by_place[v, i]) for v, i in drawn])
    trained = [
        f
        for f in card.figures
        if (f.measure, f.side, f.readout, f.value_set, f.seed)
        == ("fit", "trained", "letters", "all", "all")
    ]
    assert {f.method for f in trained} >= {"noise", "uniform", "average", "ceiling"}
    (own,) = (f for f in trained if f.method == "noise")
    assert own.value == pytest.approx(float(expected), abs=1e-9)
    for side, count in (("trained", len(drawn)), ("held_out", 2 * len(sets))):
        places = [a for a in card.answers if a.side == side and a.method == "average"]
        assert len(places) == count
