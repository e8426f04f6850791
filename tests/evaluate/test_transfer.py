"""Transfer to another survey: known values at the ceiling, impostors below, overlaps removed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.evaluate.asking.published_answers import globalopinionqa_value_sets
from suffrage.evaluate.transfer import EVALUATION, Options
from suffrage.population import build_value_set
from suffrage.survey import Survey
from suffrage.training_data.overlap import overlapping
from tests.evaluate.outside_files import (
    SETS,
    SURVEY,
    figure,
    probe_input,
    questions,
    scored,
    write_globalopinionqa,
)
from tests.impostors import constant, flat, majority, noise, people
from tests.synthetic import make_survey, write_survey_files

SECTION = {"reader": "labelled_file", "path": "survey.csv", "codebook": "codebook.yaml"}
OPTIONS = Options(
    survey=SECTION, value_sets={"north": {"region": "north"}, "south": {"region": "south"}}
)


def other_survey() -> Survey:
    """Twelve questions of its own, then two of the study's, one in other words."""
    made = make_survey(respondents=500, items=14, seed=8)
    own = [*questions(12), "", ""]
    own[12] = SURVEY.codebook.items[0].question
    own[13] = f"Please tell us: {SURVEY.codebook.items[1].question}"
    items = tuple(
        item.model_copy(update={"question": text, "id": f"o{item.id}", "topic": None})
        for item, text in zip(made.codebook.items, own, strict=True)
    )
    names = {item.id: f"o{item.id}" for item in made.codebook.items}
    book = made.codebook.model_copy(update={"items": items})
    return replace(made, codebook=book, responses=made.responses.rename(names))


OTHER = other_survey()
KNOWN = [build_value_set(OTHER, v.name, {"region": v.name}, 1, v.description) for v in SETS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("other")
    write_survey_files(made, OTHER)
    return made


@pytest.fixture(scope="module")
def card(folder: Path):  # type: ignore[no-untyped-def]
    models = {
        "truth": people(KNOWN, lambda shares: shares),
        "parrot": people(KNOWN, majority),
        "flat": flat(),
        "constant": constant(),
        "noise": noise(),
    }
    return scored(EVALUATION, models, OPTIONS, folder, trained=["truth"])


@pytest.mark.slow
def test_who_knows_the_other_survey_passes_its_ceiling(card) -> None:  # type: ignore[no-untyped-def]
    row = figure(card, "fit", "truth")
    assert row.value == pytest.approx(1, abs=1e-6) and row.n == 12
    assert row.floor < row.ceiling < 1
    assert figure(card, "emd", "truth").value == pytest.approx(0, abs=1e-6)
    assert figure(card, "way", "truth").value > 1
    assert figure(card, "fit", "truth", "south").value == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["flat", "constant", "noise", "parrot"])
def test_no_impostor_comes_half_of_the_way(card, name) -> None:  # type: ignore[no-untyped-def]
    assert figure(card, "way", name).value < 0.5
    row = figure(card, "fit", name)
    # Averaged over orders and labels, who always takes the first option is the even answer.
    assert name == "parrot" or row.value <= row.floor + 1e-9


def test_the_floors_stand_beside_with_intervals(card) -> None:  # type: ignore[no-untyped-def]
    assert figure(card, "fit", "uniform").value == pytest.approx(figure(card, "fit", "flat").value)
    average = figure(card, "fit", "average")
    assert average.low < average.value < average.high
    assert figure(card, "way", "average").value == pytest.approx(0)
    against = {d.against for d in card.figure_differences if d.method == "truth"}
    assert against == {"uniform", "average"}


def test_fit_is_a_plain_mean_of_scipys_distance(card) -> None:  # type: ignore[no-untyped-def]
    from scipy.spatial.distance import jensenshannon

    kept = [f"oq{k}" for k in range(12)]
    expected = [
        1 - jensenshannon(v.distributions[i].shares, majority(v.distributions[i].shares), 2)
        for v in KNOWN
        for i in kept
    ]
    assert figure(card, "fit", "parrot").value == pytest.approx(np.mean(expected))


@pytest.mark.slow
def test_questions_of_the_training_are_removed_and_counted(card, folder: Path) -> None:  # type: ignore[no-untyped-def]
    assert card.details["removed"] == {"oq12": "q0", "oq13": "q1"}
    assert any("2 of 14 questions of the other survey ask nearly" in note for note in card.notes)
    free = scored(EVALUATION, {"flat": flat()}, OPTIONS, folder)
    assert figure(free, "fit", "flat").n == 14


def test_a_model_asked_as_itself_is_asked_once(folder: Path) -> None:
    model = flat()
    frame = EVALUATION.probe(probe_input(model, OPTIONS, folder, as_population=False))
    assert frame["value_set"].unique().to_list() == [""] and frame.height == 14
    assert not any("people up" in text for text in model.heard)
    frame = EVALUATION.probe(probe_input(model, OPTIONS, folder))
    assert sorted(frame["value_set"].unique()) == ["north", "south"] and frame.height == 28


@pytest.mark.slow
def test_populations_that_are_not_mapped_are_named(folder: Path) -> None:
    some = Options(survey=SECTION, value_sets={"north": {"region": "north"}}, most=5)
    card = scored(EVALUATION, {"flat": flat()}, some, folder)
    assert figure(card, "fit", "flat").n == 5
    assert "Not mapped to the other survey: south." in card.notes
    model = flat()
    frame = EVALUATION.probe(probe_input(model, some, folder, value_sets=SETS[1:]))
    assert frame.is_empty() and model.heard == []


def test_wrong_options_are_refused(folder: Path) -> None:
    strange = Options(survey=SECTION, value_sets={"west": {"region": "west"}})
    with pytest.raises(InputError, match='no value set "west"; it has north, south'):
        scored(EVALUATION, {"flat": flat()}, strange, folder)
    with pytest.raises(InputError, match='no value set "west"'):
        EVALUATION.prompts(SETS, [], strange, folder)
    with pytest.raises(InputError, match="region"):
        wrong = OPTIONS.model_copy(update={"value_sets": {"north": {"region": "east"}}})
        EVALUATION.probe(probe_input(flat(), wrong, folder))
    with pytest.raises(ValueError, match=r"survey\.reader is missing"):
        Options(survey={}, value_sets={"north": {}})


def test_the_other_surveys_files_decide_the_outcome(folder: Path) -> None:
    assert [path.name for path in OPTIONS.files_in(folder)] == ["survey.csv", "codebook.yaml"]


def test_overlap_sees_other_wording_and_leaves_other_questions() -> None:
    def item(name: str, text: str):  # type: ignore[no-untyped-def]
        return SURVEY.codebook.items[0].model_copy(update={"id": name, "question": text})

    trained = [
        item("a", 'How strongly do you agree: "Rivers should belong to fishermen alone."'),
        item("b", "How often do noisy trains cross your village?"),
    ]
    asked = [
        item("1", "Please say whether you agree or disagree.\n\nRivers should belong to fishermen"),
        item("2", "How frequently do noisy trains cross the village?"),
        item(
            "3", "Please say whether you agree or disagree.\n\nOrchards deserve protection by law"
        ),
        item("4", "How often do you vote in elections of your country?"),
    ]
    assert overlapping(asked, trained) == {"1": "a", "2": "b"}
    assert overlapping(asked[::-1], trained) == {"1": "a", "2": "b"}
    assert overlapping(asked, []) == {}


PUBLISHED = Options(
    published="goqa.csv",
    sources=("GAS",),
    value_sets={"north": {"country": "Chile"}, "south": {"country": "Japan"}},
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("table")
    write_globalopinionqa(folder / "goqa.csv", ["Chile", "Japan", "Peru"], count=12)
    return folder


def test_a_published_table_can_be_the_other_survey(table: Path) -> None:
    known = {
        v.name: v
        for v in globalopinionqa_value_sets(table / "goqa.csv", ["Chile", "Japan"], ["GAS"])
    }
    sets = [replace(known[c], name=n) for n, c in (("north", "Chile"), ("south", "Japan"))]
    described = [replace(v, description=s.description) for v, s in zip(sets, SETS, strict=True)]
    models = {"truth": people(described, lambda shares: shares), "flat": flat(), "noise": noise()}
    card = scored(EVALUATION, models, PUBLISHED, table)
    row = figure(card, "fit", "truth")
    # Eight of twelve questions are from that source; one half of nobody is no ceiling.
    assert row.value == pytest.approx(1, abs=1e-6) and row.n == 8 and row.ceiling is None
    assert figure(card, "fit", "flat").value == pytest.approx(row.floor)
    assert figure(card, "fit", "noise").value < row.floor
    assert not any(f.measure == "way" for f in card.figures)
    assert any("goqa.csv (GAS). It does not say how many people" in note for note in card.notes)
    assert [path.name for path in PUBLISHED.files_in(table)] == ["goqa.csv"]


def test_wrong_options_of_a_published_table_are_refused(table: Path) -> None:
    sets = {"north": {"country": "Chile"}}
    for wrong, words in (
        ({"published": "goqa.csv", "survey": SECTION}, "either survey or published"),
        ({}, "either survey or published"),
        ({"survey": SECTION, "sources": ["GAS"]}, "sources goes with published"),
        ({"published": "x", "value_sets": {"north": {"sex": "f"}}}, r"value_sets\.north must be"),
    ):
        with pytest.raises(ValueError, match=words):
            Options(**{"value_sets": sets} | wrong)  # type: ignore[arg-type]
    lost = Options(published="goqa.csv", value_sets={"north": {"country": "Atlantis"}})
    with pytest.raises(InputError, match='no population "Atlantis"'):
        scored(EVALUATION, {"flat": flat()}, lost, table)
    gone = Options(published="gone.csv", value_sets=sets)
    with pytest.raises(InputError, match=r"gone\.csv: no such file"):
        scored(EVALUATION, {"flat": flat()}, gone, table)
