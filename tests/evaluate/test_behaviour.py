"""Does it act on what it states? Tried on models whose answer is known."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from suffrage.errors import InputError
from suffrage.evaluate import behaviour
from suffrage.evaluate.asking import judging
from suffrage.evaluate.asking.judging import cohen_kappa, labelled_answers
from suffrage.evaluate.asking.scenarios import SHIPPED, read_scenarios, scenarios_for
from suffrage.evaluate.behaviour import EVALUATION, Options
from suffrage.population import build_value_set
from suffrage.survey import read_survey
from suffrage.survey.formats.archive import read_book
from suffrage.survey.readers.gss_spending import codebook
from suffrage.training_data import HeldOut, split_items
from suffrage.training_data.split import NEAR_DUPLICATE, item_clusters
from tests.evaluate.asking import evaluated, gss_survey, value_of
from tests.impostors import Impostor, constant, flat, majority, noise, people

SURVEY = gss_survey()
SETS = [
    build_value_set(SURVEY, name, {"region": name}, 1, f"people of the {name}")
    for name in ("north", "south")
]
SPLIT = split_items(SURVEY.codebook.items, HeldOut(share=0.3), 1)
SCENARIOS = read_scenarios(SHIPPED)


def actor(acts: Callable[[float], float], states: Impostor) -> Impostor:
    """Answers the survey as `states` does; in a scenario takes the last course with probability
    acts(the people's place on the scale, 0 to 1)."""

    def says(options: list[str], question: str) -> np.ndarray:  # type: ignore[type-arg]
        value_set = next((v for v in SETS if str(v.description) in question), SETS[0])
        for scenario in SCENARIOS:
            texts = [course.text for course in scenario.courses]
            if scenario.situation in question and set(options) == set(texts):
                target = value_set.distributions[scenario.item]
                p = acts(float(behaviour.place_on_scale(target.shares)))
                last = texts[scenario.last_course(target.item) or 0]
                return np.array([p if option == last else 1 - p for option in options])
        return states.says(options, question)

    return Impostor(says)  # type: ignore[arg-type]


THEMSELVES = people(SETS, lambda shares: shares)


@pytest.mark.slow
def test_who_acts_as_the_people_reaches_the_ceiling_and_who_only_talks_stays_at_the_floor() -> None:
    models = {
        "base": flat(),
        "deep": actor(lambda place: place, THEMSELVES),
        "half": actor(lambda place: (place + 0.5) / 2, THEMSELVES),
        "talker": actor(lambda place: 0.5, THEMSELVES),
        "contrary": actor(lambda place: 1 - place, THEMSELVES),
    }
    card = evaluated(EVALUATION, models, SETS, SPLIT, Options(), ["base"])
    for method, depth, together in (
        ("deep", 1, 1),
        ("half", 0.5, 1),
        ("talker", 0, None),
        ("contrary", -1, -1),
    ):
        assert value_of(card, "survey_effect", method).value == pytest.approx(1)
        assert value_of(card, "behavioural_effect", method).value == pytest.approx(depth, abs=1e-9)
        found = value_of(card, "depth_ratio", method)
        assert found.value == pytest.approx(depth, abs=1e-9)
        assert (found.floor, found.ceiling) == (0, 1)
        correlation = value_of(card, "change_correlation", method)
        if together is None:
            assert correlation is None  # nothing it does has moved
        else:
            assert correlation.value == pytest.approx(together)
        # Read as written text it says the same as by letter.
        written = value_of(card, "behavioural_effect_written", method)
        assert written.value == pytest.approx(depth, abs=1e-9)
    assert value_of(card, "in_proportion", "deep").value == pytest.approx(1)
    assert value_of(card, "in_proportion", "base").value == pytest.approx(0)
    assert value_of(card, "depth_ratio", "base") is None


@pytest.mark.slow
def test_impostors_without_values_have_no_depth_and_act_at_the_floor() -> None:
    models = {
        "base": flat(),
        "constant": constant(),
        "noise": noise(),
        "parrot": actor(lambda place: float(place > 0.5), people(SETS, majority)),
    }
    card = evaluated(EVALUATION, models, SETS, SPLIT, Options(), ["base"])
    for method in ("constant", "noise"):
        assert value_of(card, "depth_ratio", method) is None
        assert any(method in note and "no depth ratio" in note for note in card.notes)
    assert value_of(card, "in_proportion", "constant").value == pytest.approx(0)
    assert value_of(card, "behavioural_effect", "constant").value == pytest.approx(0)
    # The parrot goes too far: its slope is told apart from 1 on the other side.
    assert value_of(card, "in_proportion", "parrot").low > 1


@pytest.mark.slow
def test_noise_moves_nowhere_in_the_mean_and_its_intervals_mostly_say_so() -> None:
    models = {"base": flat(), **{f"noise{k}": noise(k) for k in range(12)}}
    card = evaluated(EVALUATION, models, SETS, SPLIT, Options(), ["base"])
    found = [value_of(card, "behavioural_effect", name) for name in models if name != "base"]
    assert abs(np.mean([f.value for f in found])) < 0.1
    assert sum(f.low <= 0 <= f.high for f in found) >= 8
    # Where chance alone moved what it states, depth has so wide an interval that nothing passes.
    lucky = [value_of(card, "depth_ratio", name) for name in models]
    assert not any(f is not None and f.low > 0 and f.high < 2 for f in lucky)


def test_depth_has_an_interval_that_holds_the_truth_when_items_differ() -> None:
    def uneven(place: float) -> float:
        return place if round(place * 1000) % 2 else 0.5

    models = {"base": flat(), "uneven": actor(uneven, THEMSELVES)}
    found = value_of(
        evaluated(EVALUATION, models, SETS, SPLIT, Options(), ["base"]), "depth_ratio", "uneven"
    )
    assert 0 < found.low < found.value < found.high < 1.1
    assert found.n == 20


def test_without_a_base_there_is_no_movement_and_the_note_says_so() -> None:
    models = {"deep": actor(lambda place: place, THEMSELVES)}
    card = evaluated(EVALUATION, models, SETS, SPLIT, Options())
    assert {figure.measure for figure in card.figures} == {"in_proportion"}
    assert any("no method base" in note for note in card.notes)


def test_a_scale_written_the_other_way_round_changes_nothing() -> None:
    (scenario, *_) = [s for s in SCENARIOS if s.item == "natpark"]
    item = codebook()["natpark"]
    turned = item.model_copy(update={"options": item.options[::-1]})
    assert scenario.last_course(item) == 1
    assert scenario.last_course(turned) == 0


def test_an_item_of_another_survey_with_the_same_id_gets_no_scenario() -> None:
    item = codebook()["natpark"].model_copy(update={"question": "How tall are you?"})
    assert scenarios_for([item]) == []


def words(text: str) -> set[str]:
    return {word for word in re.findall(r"\w+", text.lower()) if len(word) > 1}


# What English cannot do without; everything else counts as telling.
FUNCTION_WORDS = words(
    "a do about above against all an and any anybody anyone anything are as asked asks at be "
    "because been between by can could does done down each else everyone everything for from go "
    "goes has have he her here him his how i if in into is it its last let like may might more "
    "most much must my no none not nothing of off on one only or other others out over own put "
    "same she should so some somebody someone something take than that the their them then "
    "there these they things this those through to too two up was way we well what when where "
    "which while who whom will with without would you your they under who"
)


@pytest.mark.slow
def test_no_scenario_shares_a_telling_word_with_its_question(shared_data: Path) -> None:
    wvs = read_survey({"reader": "wvs7", "path": str(shared_data / "wvs7")}, Path())
    items = {item.id: item for item in (*codebook().items, *wvs.codebook.items)}
    for scenario in SCENARIOS:
        item = items[scenario.item]
        own = scenario.question
        text = " ".join((own.question, *own.texts))
        shared = words(text) & words(item.question) - FUNCTION_WORDS
        assert not shared, f"{scenario.id} and {item.id} share {shared}"
        clusters = item_clusters([item, own])
        assert clusters[item.id] != clusters[own.id], NEAR_DUPLICATE


@pytest.mark.slow
def test_every_shipped_scenario_fits_the_survey_it_was_written_for(shared_data: Path) -> None:
    wvs = read_survey({"reader": "wvs7", "path": str(shared_data / "wvs7")}, Path())
    found = scenarios_for((*codebook().items, *wvs.codebook.items))
    assert len(found) == len(SCENARIOS) >= 30
    assert {s.item for s in found} >= set(codebook().item_ids)


def test_shipped_scenarios_fit_the_archives_own_codebooks_too() -> None:
    for name, count in (("gss.yaml", 20), ("wvs7.yaml", 30)):
        assert len(scenarios_for(list(read_book(name).items().values()))) == count


def test_a_users_own_scenario_is_asked_and_a_wrong_one_named(tmp_path: Path) -> None:
    own = {
        "id": "mine",
        "item": "natpark",
        "situation": "A swing is broken.",
        "courses": [{"codes": ["1"], "text": "Mend it."}, {"codes": ["-1"], "text": "Let it be."}],
    }
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"scenarios": [own]}))
    assert "mine" in {s.id for s in scenarios_for(codebook().items, [path])}
    own["courses"][1]["codes"] = ["0"]  # type: ignore[index]
    path.write_text(yaml.safe_dump({"scenarios": [own]}))
    with pytest.raises(InputError, match=r"own.yaml: scenario mine: .* 1 and -1"):
        scenarios_for(codebook().items, [path])
    with pytest.raises(InputError, match="no scenario belongs"):
        behaviour._scenarios([], Options(), tmp_path)


def reading_judge(errs: int) -> Impostor:
    """Knows the labelled sample by heart, and gets every `errs`-th answer wrong (0: none)."""
    by_id = {scenario.id: scenario for scenario in SCENARIOS}

    def says(options: list[str], question: str) -> np.ndarray:  # type: ignore[type-arg]
        for number, one in enumerate(labelled_answers()):
            if one.answer in question and by_id[one.scenario].situation in question:
                texts = [judging.NEITHER, *(c.text for c in by_id[one.scenario].courses)]
                wrong = errs and number % errs == 0
                meant = texts[(one.course + 1) % 3 if wrong else one.course]
                return np.array([float(option == meant) for option in options])
        return np.array([float("first" in question) for _ in options]) + 1 / len(options)

    return Impostor(says)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_judge_that_does_not_agree_with_the_labels_is_refused() -> None:
    places = [(behaviour.Place("", None), SCENARIOS[0])]
    bad = behaviour.judged(flat(), reading_judge(2), places, Options(judge="x"), 1)
    assert {row["kind"] for row in bad} == {"labelled"} and len(bad) == len(labelled_answers())
    for useless in (constant(), flat(), noise()):
        found = behaviour.judged(flat(), useless, places, Options(judge="x", lowest_kappa=0.3), 1)
        assert {row["kind"] for row in found} == {"labelled"}


@pytest.mark.slow
def test_free_answers_are_read_by_a_judge_that_passed() -> None:
    class Writer(Impostor):
        def write(self, chats, count, longest, seed):  # type: ignore[no-untyped-def]
            by_chat = {behaviour.free_question(s, None): s for s in SCENARIOS}
            known = {one.scenario: one.answer for one in labelled_answers() if one.course == 1}
            return [[known[by_chat[c[-1]["content"]].id]] * count for c in chats]

    scenarios = [s for s in SCENARIOS if s.id in ("river-filter", "last-bus")]
    places = [(behaviour.Place("", None), s) for s in scenarios]
    options = Options(judge="x", free_answers=2)
    rows = behaviour.judged(Writer(flat().says), reading_judge(0), places, options, 1)
    assert [r["verdict"] for r in rows if r["kind"] == "judged"] == [1] * 4


def test_kappa_against_a_worked_example() -> None:
    # Agreement 0.7; by chance 0.5 x 0.6 + 0.5 x 0.4 = 0.5; kappa (0.7 - 0.5) / 0.5 = 0.4.
    labels = np.array([1] * 5 + [0] * 5)
    found = np.array([1, 1, 1, 1, 0, 1, 1, 0, 0, 0])
    assert cohen_kappa(labels, found) == pytest.approx(0.4)
    assert cohen_kappa(labels, labels) == 1
    assert cohen_kappa(labels, np.ones(10, dtype=int)) == 0
