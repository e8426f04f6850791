"""Parts of value sets, and surveys raked to a study's targets."""

import json
import sys

import pytest

from suffrage.cli import main
from suffrage.errors import InputError
from suffrage.study.run import run_study
from suffrage.study.schema import read_study, study_representativeness, study_survey
from suffrage.study.segmenting import study_value_set
from tests.json_keys import check_keys
from tests.study.conftest import Write

TARGETS = {"source": "a register", "margins": {"region": {"north": 0.7, "south": 0.3}}}
NORTH = {"name": "north", "where": {"region": "north"}}


def test_a_part_keeps_the_conditions_of_its_whole(write_study: Write) -> None:
    part = {"name": "old-north", "of": "north", "where": {"age": {"min": 50}}}
    study = read_study(write_study(value_sets=[NORTH, part]))
    assert study.value_sets[1].where == {"region": "north", "age": {"min": 50}}
    assert study.value_sets[1].parent == {"region": "north"}
    whole, found = (study_value_set(study, name) for name in ("north", "old-north"))
    assert 0 < found.n < whole.n


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"name": "part", "of": "gone"}, "'gone' is no value set above it; there are north"),
        ({"name": "part", "of": "nroth"}, 'Did you mean "north"'),
        ({"name": "part", "of": "north", "where": {"region": "south"}}, "region is in its"),
        ({"name": "part", "parent": {"region": "north"}}, "parent is not a key"),
    ],
)
def test_a_part_of_nothing_is_named(
    write_study: Write, part: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_study(write_study(value_sets=[NORTH, part]))


@pytest.mark.slow
def test_the_whole_run_stands_on_the_raked_survey(write_study: Write) -> None:
    plain = run_study(read_study(write_study()), only="value_sets")
    study = read_study(write_study(weights=TARGETS))
    raked = run_study(study, only="value_sets")
    assert "survey labelled_file" in plain.computed and "survey labelled_file" in raked.computed
    survey = study_survey(study)
    north = (survey.responses["region"] == "north").to_numpy()
    assert survey.weights[north].sum() / survey.weights.sum() == pytest.approx(0.7)
    assert "raked to region (a register)" in str(survey.provenance.weight_variable)


def test_representativeness_is_printed_for_people_and_for_scripts(
    write_study: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_study(weights=TARGETS))
    for more in ([], ["--json"]):
        words = ["suffrage", "survey", "representativeness", path, *more]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "a register" in out and "Who is missing most: region north" in out
    content = json.loads(out[out.index("{") :])
    check_keys("survey representativeness", content)
    assert content["missing"] == ["region: north"] and content["gap"] < 1e-6


def test_without_targets_there_is_nothing_to_hold_a_sample_against(write_study: Write) -> None:
    with pytest.raises(InputError, match="there is no `weights:`"):
        study_representativeness(read_study(write_study()))


def test_a_study_may_take_dont_know_for_an_answer(write_study: Write) -> None:
    study = read_study(write_study(non_response_as_options=["don't know"]))
    item = study_survey(study).codebook.items[0]
    assert item.texts[-1] == "Don't know"
    with pytest.raises(InputError, match='"maybe" is not a kind of non-response'):
        read_study(write_study(non_response_as_options=["maybe"]))


@pytest.mark.slow
def test_each_segment_becomes_a_value_set_found_once(write_study: Write) -> None:
    pytest.importorskip("sklearn")
    parts = {"name": "parts", "segments": {"classes": 2, "bootstraps": 2}}
    study = read_study(write_study(value_sets=[NORTH, parts]))
    first = run_study(study, only="split")
    assert [name for name in first.computed if "value_sets" in name] == [
        "value_sets north",
        "value_sets parts-1",
        "value_sets parts-2",
    ]
    assert run_study(study, only="split").computed == ()
    one, two = (study_value_set(study, name) for name in ("parts-1", "parts-2"))
    assert one.weighting.endswith("the probability of being in parts-1")
    assert one.distributions["q0"].shares.sum() == pytest.approx(1)
    gaps = [
        abs(one.distributions[i].shares - two.distributions[i].shares).max()
        for i in one.distributions
    ]
    assert max(gaps) > 0.2
    split = next((study.output / "splits").glob("seed*/split.json"))
    hidden = json.loads(split.read_text())["held_out"]
    assert hidden
    survey = study_survey(study)
    assert one.description != two.description
    for item_id in hidden:
        assert survey.codebook[item_id].question not in one.description + two.description


def test_a_number_or_auto_is_enough_to_ask_for_segments(write_study: Write) -> None:
    for wanted in (3, "auto"):
        study = read_study(write_study(value_sets=[{"name": "parts", "segments": wanted}]))
        assert study.value_sets[0].segments is not None
        assert study.value_sets[0].segments.classes == wanted
    with pytest.raises(InputError, match="segments"):
        read_study(write_study(value_sets=[{"name": "parts", "segments": "many"}]))
