"""Studies of several sources: their value sets, items and hold-outs."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from suffrage.errors import InputError
from suffrage.population.published import source_disagreements
from suffrage.report.regimes import regime_parts
from suffrage.study import sources as study_sources
from suffrage.study.planning.plan import plan_study
from suffrage.study.run import run_study
from suffrage.study.schema import SourceSpec, Study, read_study, read_study_source
from suffrage.study.segmenting import with_value_sets
from suffrage.study.sources import built_value_set, read_sources, source_items
from suffrage.survey import Survey
from suffrage.survey.published_table import PublishedTable
from suffrage.training_data import split_items
from tests.synthetic import make_survey, write_survey_files

SCALE = ["A lot", "Some", "Not much"]
STEM = "How much confidence do you have in each of these institutions? "


def table(path: Path, groups: tuple[str, ...], parts: tuple[str, ...], n: int | None) -> None:
    generator = np.random.default_rng(len(parts))
    with path.open("w") as file:
        for group in groups:
            for part in parts:
                shares = generator.dirichlet([3, 3, 3]).round(3)
                shares[2] = 1 - shares[0] - shares[1]
                row = {
                    "item": part.replace(" ", "_"),
                    "question": STEM + part,
                    "options": SCALE,
                    "group": group,
                    "shares": shares.tolist(),
                    "n": n,
                }
                file.write(json.dumps(row) + "\n")


PARTS = ("police", "courts", "press", "army", "churches", "banks", "unions", "schools")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_survey_files(tmp_path, make_survey(respondents=120, items=5))
    table(tmp_path / "one.jsonl", ("North", "South", "East"), PARTS, 400)
    table(tmp_path / "two.jsonl", ("North", "West"), (*PARTS[:3], "water boards"), None)
    return tmp_path


def study(folder: Path, **changes: Any) -> Any:
    content = {
        "study": "several",
        "seed": 3,
        "survey": [
            {"name": "one", "reader": "published_table", "path": "one.jsonl"},
            {"name": "two", "reader": "published_table", "path": "two.jsonl"},
        ],
        "value_sets": {"each": "region", "least_items": 3},
        "held_out": {"question": 0.2},
        "model": "nowhere",
        "methods": ["base"],
        "output": "out",
        **changes,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    return with_value_sets(read_study(folder / "study.yaml"))


def test_a_plan_reads_each_source_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study(folder, model="somebody/model")
    given = read_study(folder / "study.yaml")
    read: list[str] = []

    def counted(own: Study, source: SourceSpec) -> Survey | PublishedTable:
        read.append(source.name)
        return read_study_source(own, source)

    monkeypatch.setattr(study_sources, "read_study_source", counted)
    plan_study(given)
    assert read == ["one", "two"]


def test_each_population_is_a_value_set_of_all_its_sources(folder: Path) -> None:
    found = study(folder)
    assert [spec.name for spec in found.value_sets] == ["east", "north", "south", "west"]
    sources = read_sources(found)
    sets = {spec.name: built_value_set(found, sources, spec) for spec in found.value_sets}
    assert set(sets["north"].distributions) == {
        *(f"one:{part}" for part in PARTS),
        *("two:police", "two:courts", "two:press", "two:water_boards"),
    }
    assert sets["north"].distributions["one:police"].n == 400
    assert sets["north"].distributions["two:police"].n == 0
    assert sets["west"].n == 0 and math.isnan(sets["west"].n_eff)
    # The error of a share of 400 people is the binomial's, in the draws too.
    own = sets["east"].distributions["one:courts"]
    expected = np.sqrt(own.shares * (1 - own.shares) / 400)
    assert own.standard_errors == pytest.approx(expected)
    assert own.replicates.std(axis=0) == pytest.approx(expected, rel=0.25)
    halves = np.concatenate([own.first_halves, own.second_halves])
    assert halves.mean(axis=0) == pytest.approx(own.shares, abs=0.01)


def test_respondents_and_a_table_make_one_value_set(folder: Path) -> None:
    survey = {"reader": "labelled_file", "path": "survey.csv", "codebook": "codebook.yaml"}
    found = study(
        folder,
        survey=[
            {"name": "town", **survey},
            {"name": "one", "reader": "published_table", "path": "one.jsonl"},
        ],
        value_sets=[
            {"name": "north", "sources": {"town": {"region": "north"}, "one": "North"}},
            {"name": "south", "where": {"region": "south"}},
            {"name": "east", "source": "one", "population": "East"},
        ],
    )
    sources = read_sources(found)
    north, south, east = (built_value_set(found, sources, spec) for spec in found.value_sets)
    assert {item.partition(":")[0] for item in north.distributions} == {"town", "one"}
    assert {item.partition(":")[0] for item in south.distributions} == {"town"}
    assert {item.partition(":")[0] for item in east.distributions} == {"one"}
    assert len(source_items(found, sources)) == 5 + len(PARTS)


def test_one_question_in_two_sources_is_on_one_side_and_batteries_are_split(folder: Path) -> None:
    found = study(folder)
    items = source_items(found, read_sources(found))
    for seed in range(5):
        split = split_items(items, found.held_out, seed)
        assert set(split.regimes.values()) == {"question"}
        for part in ("police", "courts", "press"):
            assert split.side(f"one:{part}") == split.side(f"two:{part}")
        # All are of one battery, and still some are trained on.
        assert split.train and split.held_out
        assert len({split.clusters[item.id] for item in items}) == 1


def test_regimes_are_combined_and_a_survey_takes_its_like_with_it(folder: Path) -> None:
    found = study(folder, held_out={"survey": ["two"], "question": 0.2, "population": ["west"]})
    assert found.left_out == ("west",)
    items = source_items(found, read_sources(found))
    split = split_items(items, found.held_out, 1)
    assert {item for item in split.regimes if item.startswith("two:")} == {
        item.id for item in items if item.id.startswith("two:")
    }
    assert all(split.regimes[f"one:{part}"] == "survey" for part in ("police", "courts", "press"))
    assert "question" in split.regimes.values()
    assert split_items(items, found.held_out, 1).content_hash == split.content_hash


def test_a_topic_is_held_out_whole(folder: Path) -> None:
    rows = [
        {
            "question": f"Is {word} good?",
            "options": SCALE,
            "group": "North",
            "shares": [0.2, 0.3, 0.5],
        }
        | {"item": word, "topic": topic}
        for topic, words in {"food": ("bread", "soup"), "trade": ("coal", "steel")}.items()
        for word in words
    ]
    (folder / "one.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = study(
        folder,
        survey={"reader": "published_table", "path": "one.jsonl"},
        value_sets=[{"name": "north", "population": "North"}],
        held_out={"topic": ["trade"]},
    )
    split = split_items(source_items(found, read_sources(found)), found.held_out, 1)
    assert split.regimes == {"coal": "topic", "steel": "topic"}


def test_two_sources_that_disagree_are_found(folder: Path) -> None:
    found = study(folder)
    north = next(spec for spec in found.value_sets if spec.name == "north")
    value_set = built_value_set(found, read_sources(found), north)
    pairs = {(d.first.item.id, d.second.item.id) for d in source_disagreements(value_set, 0.05)}
    assert pairs and all(one.partition(":")[2] == other.partition(":")[2] for one, other in pairs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"survey": [{"reader": "published_table", "path": "one.jsonl"}]}, "needs a name"),
        (
            {"value_sets": [{"name": "a", "source": "tow", "population": "North"}]},
            "no source 'tow'; there are one, two",
        ),
        (
            {"value_sets": [{"name": "a", "population": "North"}]},
            "there are several sources",
        ),
        (
            {"value_sets": [{"name": "a", "source": "one", "population": "Nroth"}]},
            'no population "Nroth".*Did you mean "North"',
        ),
        (
            {"value_sets": [{"name": "a", "source": "one", "where": {"x": 1}, "population": "N"}]},
            "give one of where, population and sources",
        ),
        ({"value_sets": {"each": "region", "only": ["Norway"]}}, 'no population "Norway"'),
        ({"value_sets": {"each": "region", "least_items": 99}}, "no population has answers to 99"),
        ({"held_out": {"population": ["nowhere"]}}, 'no value set "nowhere"'),
        ({"held_out": {"survey": ["three"]}}, 'no source "three"; there are one, two'),
        ({"held_out": {"question": 0.2, "share": 0.3}}, "share does not go with question"),
        ({"held_out": {"topic": ["x"]}}, 'no topic "x"'),
        ({"held_out": {"population": ["east", "north", "south", "west"]}}, "no population to"),
    ],
)
def test_a_mistake_is_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        found = study(folder, **changes)
        sources = read_sources(found)
        for spec in found.value_sets:
            built_value_set(found, sources, spec)
        split_items(source_items(found, sources), found.held_out, 1)


@pytest.mark.slow
def test_a_study_of_tables_reports_what_was_new_to_the_models(
    folder: Path, tiny_model: Path
) -> None:
    table(folder / "one.jsonl", ("North", "South", "East"), PARTS, 400)
    study(
        folder,
        held_out={"question": 0.4, "population": ["west"]},
        model=str(tiny_model),
        scoring={"lowest_mass": 0.0},
        methods=["base", {"method": "distribution", "steps": 2, "batch": 4}],
    )
    found = run_study(read_study(folder / "study.yaml"), quiet=True).results
    assert found is not None
    assert {figure.regime for figure in found.figures} == {None, "question", "population"}
    assert [survey.populations for survey in found.surveys] == [3, 2]
    parts = {part.title: part for part in regime_parts(found)}
    assert set(parts) == {"New questions", "New populations"}
    assert "distribution matching fits to" in parts["New questions"].sentence
    # Where nobody knows how many answered there are no halves, and no ceiling.
    west = {figure.method for figure in found.figures if figure.value_set == "west"}
    assert "distribution" in west and "ceiling" not in west
    page = (folder / "out" / "report.html").read_text()
    assert "What was new to the models?" in page and "no respondents" in page
    # A second run computes nothing again.
    assert run_study(read_study(folder / "study.yaml"), quiet=True).computed == ()
