"""Which end of a scale means most: the labels or the codebook say it, never its place."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from suffrage.errors import InputError
from suffrage.evaluate.structure import value_means
from suffrage.survey import Item, Option, Survey, read_survey
from suffrage.values.direction import scale_direction
from suffrage.values.item_keys import item_key
from suffrage.values.scores import value_scores
from tests.values.test_values import LIKE_ME, answers


def scale(*texts: str, **changes: object) -> Item:
    options = tuple(Option(code=str(k), text=text) for k, text in enumerate(texts, start=1))
    return Item(id="q", question="How much?", options=options, **changes)


@pytest.mark.parametrize(
    ("texts", "most"),
    [
        (LIKE_ME, "Very much like me"),
        (LIKE_ME[::-1], "Very much like me"),
        (("Not at all like me", "2", "3", "4", "Very much like me"), "Very much like me"),
        (("Agree strongly", "Agree", "Neither agree nor disagree", "Disagree"), "Agree strongly"),
        (("Disagree", "Neither", "Agree"), "Agree"),
        (("1 (Very important)", "2", "3", "4 (Not at all important)"), "1 (Very important)"),
        (("Never", "Sometimes", "Always"), "Always"),
        (("Doesn't apply", "Applies partly", "Applies fully"), "Applies fully"),
    ],
)
def test_labels_show_which_end_means_most(texts: tuple[str, ...], most: str) -> None:
    for given in (texts, texts[::-1]):
        found = scale_direction(scale(*given))
        assert found.most == most
        assert found.is_last == (given[-1] == most)
        assert found.why == "its labels"


@pytest.mark.parametrize(
    "texts",
    [
        ("1", "2", "3"),
        ("Very much like me", "Like me", "A little like me"),
        ("Gar nicht wie ich", "Ein wenig", "Sehr wie ich"),
        ("Not like me", "Very much like me", "Not like me at all", "Like me"),
        ("Extremely unhappy", "Extremely happy"),
    ],
)
def test_labels_in_doubt_are_asked_about(texts: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="do not show which end means most"):
        scale_direction(scale(*texts))


def test_the_codebook_and_the_key_come_before_the_labels() -> None:
    named = scale("1", "2", "3", most="1")
    assert scale_direction(named).most == "1" and scale_direction(named).why == "the codebook"
    assert scale_direction(named, "3").is_last and scale_direction(named, "3").why == "the key"
    assert not scale_direction(scale(*LIKE_ME[::-1], most="1")).is_last
    with pytest.raises(InputError, match="not the code of the first or last option"):
        scale("1", "2", "3", most="2")
    with pytest.raises(InputError, match="not that of the first or last option"):
        scale_direction(named, "2")
    with pytest.raises(InputError, match="no scale"):
        scale_direction(scale(*LIKE_ME, ordered=False))


def relabelled(survey: Survey, texts: tuple[str, ...]) -> Survey:
    """The same answers under other labels."""
    options = tuple(Option(code=str(c), text=text) for c, text in enumerate(texts))
    items = tuple(item.model_copy(update={"options": options}) for item in survey.codebook.items)
    book = survey.codebook.model_copy(update={"items": items})
    return Survey(survey.responses, book, survey.provenance)


@pytest.mark.slow
def test_opposite_labels_turn_every_score_round() -> None:
    key, survey = item_key("PVQ-21"), answers(200)
    first = value_scores(relabelled(survey, LIKE_ME), key)
    other = value_scores(relabelled(survey, LIKE_ME[::-1]), key)
    np.testing.assert_allclose(other.scores, -first.scores, atol=1e-12)
    np.testing.assert_allclose(other.alpha, first.alpha)
    assert {found.is_last for found in first.directions.values()} == {False}
    assert {found.is_last for found in other.directions.values()} == {True}


def test_a_groups_values_are_read_from_the_labels_too() -> None:
    key, survey = item_key("PVQ-21"), answers(20)
    shares = {
        v: np.random.default_rng(k).dirichlet(np.ones(6)) for k, v in enumerate(key.variables)
    }
    found = [
        value_means(
            key, {item.id: item for item in relabelled(survey, texts).codebook.items}, shares
        )
        for texts in (LIKE_ME, LIKE_ME[::-1])
    ]
    np.testing.assert_allclose(found[0], -found[1], atol=1e-12)
    assert np.ptp(found[0]) > 0.1


def written_survey(folder: Path, key: str, most: int | None, seed: int = 0) -> Survey:
    """Answers under one's own column names, with an instrument's items named in the codebook."""
    numbers = [*item_key(key).numbers.values()]
    count = len(numbers)
    generator = np.random.default_rng(seed)
    names = [f"frage_{k}" for k in range(1, count + 1)]
    table = pl.DataFrame(generator.integers(1, 7, (60, count)), schema=names, orient="row")
    table.write_csv(folder / "own.csv")
    instrument = {"items": names, **({} if most is None else {"most": most})}
    book = {
        "title": "Own columns",
        "instruments": {key: instrument},
        "items": [
            {
                "id": name,
                "question": f"Portrait {name}?",
                "options": {k: str(k) for k in range(1, 7)},
            }
            for name in names
        ],
    }
    (folder / "own.yaml").write_text(yaml.safe_dump(book))
    return read_survey("labelled_file", folder, path="own.csv", codebook="own.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PVQ-21", "PVQ-40", "PVQ-RR"])
def test_an_instrument_is_scored_under_ones_own_column_names(name: str, tmp_path: Path) -> None:
    survey, key = written_survey(tmp_path, name, most=6), item_key(name)
    found = value_scores(survey, key)
    raw = pl.read_csv(tmp_path / "own.csv").to_numpy().astype(float)
    number = [int(key.numbers[v]) - 1 for v in key.items[found.values[0]]]
    wanted = raw[:, number].mean(axis=1) - raw.mean(axis=1)
    order = survey.responses["respondent"].arg_sort().to_numpy()
    assert found.scores[:, 0] == pytest.approx(wanted[order])
    assert {one.why for one in found.directions.values()} == {"the codebook"}
    assert set(found.directions) == set(survey.codebook.item_ids)


def test_numbers_without_a_direction_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Say `most: 1` or `most: 6` in the codebook"):
        value_scores(written_survey(tmp_path, "PVQ-40", most=None), item_key("PVQ-40"))


def test_an_unmapped_instrument_says_how_to_map_it() -> None:
    with pytest.raises(InputError, match=r"PVQ-40 needs items 1, 11.*instruments: \{PVQ-40"):
        value_scores(answers(20), item_key("PVQ-40"))


def test_an_instruments_items_are_items_of_the_codebook(tmp_path: Path) -> None:
    written_survey(tmp_path, "PVQ-21", most=6)
    book = yaml.safe_load((tmp_path / "own.yaml").read_text())
    book["instruments"]["PVQ-21"]["items"][2] = "frage_99"
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(book))
    with pytest.raises(InputError, match='number 3 is "frage_99", which is not the id'):
        read_survey("labelled_file", tmp_path, path="own.csv", codebook="own.yaml")
