"""Floors: what no model is needed for is computed as it is described, and reads nothing else."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from suffrage.evaluate.fit import ANSWER_MEASURES
from suffrage.evaluate.statistics.nearest_question import NearestQuestions
from suffrage.evaluate.statistics.similar_groups import SimilarGroups
from suffrage.population import AnswerDistribution, ValueSet
from suffrage.population.distribution_distances import fit
from suffrage.survey import Item, Option
from suffrage.text_vectors import WordWeights
from suffrage.training_data import ItemSplit
from suffrage.training_data.average_answer import TrainedAnswers, respread

SCALE = ("Very much", "Somewhat", "Not at all")


def item(name: str, question: str, options: tuple[str, ...] = SCALE) -> Item:
    return Item(
        id=name,
        question=question,
        options=tuple(Option(code=str(k), text=text) for k, text in enumerate(options)),
    )


def value_set(name: str, answers: Mapping[str, tuple[Item, list[float]]]) -> ValueSet:
    none = np.empty((0, 0))
    return ValueSet(
        name=name,
        description=f"people in {name}",
        where={},
        distributions={
            key: AnswerDistribution(
                asked, np.array(shares), np.zeros(len(shares)), 0, np.nan, {}, none, none, none
            )
            for key, (asked, shares) in answers.items()
        },
        n=0,
        n_eff=np.nan,
        design_effect=np.nan,
        weighting="none",
        survey_hash="",
    )


def split_of(items: list[Item], held_out: list[str]) -> ItemSplit:
    return ItemSplit(
        tuple(one.id for one in items if one.id not in held_out),
        tuple(held_out),
        {one.id: one.id for one in items},
        {},
    )


def answering(changed: ValueSet, name: str, shares: list[float]) -> ValueSet:
    other = replace(changed.distributions[name], shares=np.array(shares))
    return replace(changed, distributions={**changed.distributions, name: other})


def test_the_average_is_the_mean_over_the_other_trained_items_of_each_scale() -> None:
    generator = np.random.default_rng(0)
    items = [item(f"q{k}", f"Question {k}?", SCALE[: 2 + k % 2]) for k in range(9)]
    items.append(item("long", "A longer scale?", ("a", "b", "c", "d")))
    shares = {one.id: generator.dirichlet(np.ones(len(one.options))) for one in items}
    people = value_set("here", {one.id: (one, list(shares[one.id])) for one in items})
    split = split_of(items, ["q1", "q2", "long"])
    floor = TrainedAnswers(people, split)
    for one in items:
        others = [shares[t] for t in split.train if t != one.id]
        alike = [found for found in others if found.size == len(one.options)]
        spread = [respread(found, len(one.options)) for found in others]
        expected = np.mean(alike or spread, axis=0)
        assert floor.average_without(one.id) == pytest.approx(expected)


def test_texts_are_as_alike_as_scikit_learn_says() -> None:
    texts = [
        "Do you trust the police? A great deal. Not at all.",
        "Do you trust the courts? A great deal. Not at all.",
        "How happy are you, very happy or not happy?",
        "Unrelated words only here",
    ]
    peer = TfidfVectorizer(token_pattern=r"\w+").fit_transform(texts)
    expected = (peer @ peer.T).toarray()
    vectors = WordWeights.of(texts).vectors(texts)
    found = vectors @ vectors.T
    off = ~np.eye(len(texts), dtype=bool)
    assert found[off] == pytest.approx(expected[off])


POLICE = item("police", "How much do you trust the police of this town?")
COURTS = item("courts", "How much do you trust the courts of this town?", SCALE[::-1])
SPORT = item("sport", "Should children play football after school?")
BREAD = item("bread", "Does brown bread taste of anything?")
ARMY = item("army", "How much do you trust the army of this town?")
ITEMS = [POLICE, COURTS, SPORT, BREAD, ARMY]
HERE = value_set(
    "here",
    {
        "police": (POLICE, [0.7, 0.2, 0.1]),
        "courts": (COURTS, [0.1, 0.2, 0.7]),
        "sport": (SPORT, [0.1, 0.2, 0.7]),
        "bread": (BREAD, [0.1, 0.2, 0.7]),
        "army": (ARMY, [0.6, 0.2, 0.2]),
    },
)
SPLIT = split_of(ITEMS, ["army"])


def test_the_nearest_question_answers_with_its_options_in_the_right_order() -> None:
    floor = NearestQuestions([HERE], SPLIT)
    # The courts are asked about from the other end; both trained questions on trust agree.
    assert floor.choice.by_text
    assert floor.answer("here", "army") == pytest.approx([0.7, 0.2, 0.1])
    # A trained question is answered from the others.
    assert floor.answer("here", "police") == pytest.approx([0.7, 0.2, 0.1])
    assert floor.answer("here", "courts") == pytest.approx([0.1, 0.2, 0.7])


def test_a_floor_is_chosen_without_what_is_held_out() -> None:
    changed = answering(HERE, "army", [0.0, 0.0, 1.0])
    before, after = (NearestQuestions([one], SPLIT) for one in (HERE, changed))
    assert before.choice == after.choice
    assert before.answer("here", "army") == pytest.approx(after.answer("here", "army"))


def test_the_nearest_question_of_a_group_left_out_reads_none_of_its_answers() -> None:
    there = answering(replace(HERE, name="there"), "police", [0.0, 0.0, 1.0])
    floor = NearestQuestions([HERE, there], SPLIT, ["there"])
    assert floor.answer("there", "army") == pytest.approx(floor.answer("here", "army"))


def test_a_question_without_others_of_as_many_options_gets_the_average() -> None:
    pair = item("pair", "Yes or no?", ("yes", "no"))
    people = replace(
        HERE,
        distributions={
            **HERE.distributions,
            **value_set("x", {"pair": (pair, [0.5, 0.5])}).distributions,
        },
    )
    split = split_of([*ITEMS, pair], ["army", "pair"])
    floor = NearestQuestions([people], split)
    expected = TrainedAnswers(people, split).average_without("pair")
    assert floor.answer("here", "pair") == pytest.approx(expected)


def blocs(held_out: list[str]) -> tuple[list[ValueSet], ItemSplit]:
    """Two blocs of four groups that differ from each other, and little within."""
    generator = np.random.default_rng(3)
    subjects = ("trees", "taxes", "schools", "roads", "music", "ships", "bees", "glass")
    items = [item(f"q{k}", f"What of {word}?") for k, word in enumerate(subjects)]
    of_bloc = generator.dirichlet(np.ones(3), (2, len(items)))
    sets = [
        value_set(
            f"{bloc}-{number}",
            {
                one.id: (
                    one,
                    list(0.95 * of_bloc[bloc, k] + 0.05 * generator.dirichlet(np.ones(3))),
                )
                for k, one in enumerate(items)
            },
        )
        for bloc in (0, 1)
        for number in range(4)
    ]
    return sets, split_of(items, held_out)


def test_similar_groups_are_those_of_the_same_bloc() -> None:
    sets, split = blocs(["q0", "q1"])
    floor = SimilarGroups(sets, split, ["0-0"])
    assert floor.count <= 4
    for name in ("q0", "q1", "q2"):
        target = sets[0].distributions[name].shares
        found = floor.answer("0-0", name)
        everyone = np.mean([one.distributions[name].shares for one in sets[1:]], axis=0)
        assert found is not None and fit(target, found) > fit(target, everyone)


def test_the_similarity_of_groups_never_reads_the_answer_that_is_asked_for() -> None:
    # Two questions trained on: were its answer to the one read, it would decide who is similar.
    sets, split = blocs(["q0", "q1", "q4", "q5", "q6", "q7"])
    apart = {
        name: float(fit(*(sets[bloc].distributions[name].shares for bloc in (0, 7))))
        for name in split.train
    }
    for asked in (min(apart, key=apart.__getitem__), "q0"):
        floor = SimilarGroups(sets, split, ["0-0"])
        # As the other bloc would answer, and nobody else.
        changed = answering(sets[0], asked, list(sets[7].distributions[asked].shares))
        again = SimilarGroups([changed, *sets[1:]], split, ["0-0"])
        assert again.answer("0-0", asked) == pytest.approx(floor.answer("0-0", asked))


@pytest.mark.parametrize("name", list(ANSWER_MEASURES))
@pytest.mark.parametrize("resamples", [0, 5])
def test_many_rows_at_once_are_the_same_as_one_at_a_time(name: str, resamples: int) -> None:
    generator = np.random.default_rng(1)
    p, q = generator.dirichlet(np.ones(4), (2, 6))
    resampled = generator.dirichlet(np.ones(4), (6, resamples))
    measure = ANSWER_MEASURES[name]
    units = [(1, "here", f"q{k}", f"q{k}") for k in range(6)]
    for k, row in enumerate(measure.rows(units, p, resampled, q)):
        assert row.key == units[k][:3]
        assert row.point == pytest.approx(float(measure.above(p[k], q[k])))
        below = 1.0 if measure.below is None else float(measure.below(p[k]))
        assert row.below == pytest.approx(below)
        if resamples:
            expected = np.atleast_1d(measure.above(resampled[k], q[k]))
            assert row.replicates == pytest.approx(expected)
