"""GlobalOpinionQA: similarity as published, impostors at their floor, awkward rows counted."""

from pathlib import Path

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.evaluate.asking.published_answers import globalopinionqa_value_sets
from suffrage.evaluate.globalopinionqa import EVALUATION, Options, country_name, read_countries
from tests.evaluate.outside_files import (
    SURVEY,
    figure,
    questions,
    scored,
    write_globalopinionqa,
)
from tests.impostors import constant, flat, majority, noise, people

COUNTRIES = ("Chile", "Japan", "S. Korea", "Kenya")
OPTIONS = Options(path="goqa.csv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("goqa")
    write_globalopinionqa(made / "goqa.csv", COUNTRIES)
    return made


@pytest.fixture(scope="module")
def card(folder: Path):  # type: ignore[no-untyped-def]
    named = globalopinionqa_value_sets(folder / "goqa.csv", COUNTRIES)
    for place, value_set in enumerate(named):
        who = f"people who live in {country_name(value_set.name)}"
        named[place] = value_set.__class__(**{**value_set.__dict__, "description": who})
    models = {
        "truth": people(named, lambda shares: shares),
        "parrot": people(named, majority),
        "chilean": people(named[:1], lambda shares: shares),
        "flat": flat(),
        "constant": constant(),
        "noise": noise(),
    }
    return scored(EVALUATION, models, OPTIONS, folder)


@pytest.mark.slow
def test_who_knows_every_country_scores_one(card) -> None:  # type: ignore[no-untyped-def]
    for name in ("country", "country_wvs", "country_pew", "country_natural"):
        assert figure(card, name, "truth").value == pytest.approx(1, abs=1e-6)
    # Asked as nobody it answers as Chile: right for Chile alone, and naming a country helps.
    assert figure(card, "itself", "truth", "Chile").value == pytest.approx(1, abs=1e-6)
    assert figure(card, "itself", "truth", "Japan").value < 0.9
    gain = figure(card, "gain", "truth")
    assert gain.floor == 0 and gain.low > 0
    apart = figure(card, "told_apart", "truth")
    assert apart.low > 0 and apart.value == pytest.approx(apart.ceiling)


@pytest.mark.parametrize("name", ["flat", "constant", "noise"])
def test_models_without_values_score_at_or_below_the_even_answer(card, name) -> None:  # type: ignore[no-untyped-def]
    for measure in ("country", "itself"):
        row = figure(card, measure, name)
        assert row.value <= row.floor + 1e-9
    assert figure(card, "gain", name).value < 0.05
    apart = figure(card, "told_apart", name)
    assert apart.value < 0.2 * apart.ceiling and apart.low < 0.01


def test_one_countrys_answers_for_all_gain_nothing(card) -> None:  # type: ignore[no-untyped-def]
    assert figure(card, "gain", "chilean").value == pytest.approx(0, abs=1e-9)
    assert figure(card, "country", "chilean", "Chile").value == pytest.approx(1, abs=1e-6)
    assert figure(card, "told_apart", "chilean").value == pytest.approx(0, abs=1e-9)


def test_the_parrot_comes_less_than_half_of_the_way(card) -> None:  # type: ignore[no-untyped-def]
    row = figure(card, "country", "parrot")
    assert row.value < row.floor + 0.5 * (1 - row.floor)


def test_similarity_is_scipys_over_countries_and_questions(card, folder: Path) -> None:  # type: ignore[no-untyped-def]
    from scipy.spatial.distance import jensenshannon

    rows = [
        d.shares
        for v in globalopinionqa_value_sets(folder / "goqa.csv")
        for d in v.distributions.values()
    ]
    for name, base in (("country", 2), ("country_natural", None)):
        expected = np.mean([1 - jensenshannon(p, np.full(p.size, 1 / p.size), base) for p in rows])
        assert figure(card, name, "flat").value == pytest.approx(expected)


def test_least_served_countries_and_sources_are_named(card) -> None:  # type: ignore[no-untyped-def]
    rows = {row["country"]: row for row in card.details["countries"]["chilean"]}
    assert set(rows) == {"Chile", "Japan", "South Korea", "Kenya"}
    assert rows["Chile"]["as_country"] == pytest.approx(1, abs=1e-6)
    last = min(rows, key=lambda name: rows[name]["as_country"])
    assert any(
        f"chilean: served least when asked as the country are {last}" in n for n in card.notes
    )
    assert any("GAS 8, WVS 4" in note for note in card.notes)


@pytest.mark.slow
def test_what_was_trained_on_is_left_out_for_everyone_and_counted(tmp_path: Path) -> None:
    own = next(i for i in SURVEY.codebook.items if len(i.options) == 3)
    rows = [[own.question, "{'Chile': [0.2, 0.3, 0.5]}", "['x', 'y', 'z']", "WVS"]]
    write_globalopinionqa(tmp_path / "goqa.csv", COUNTRIES, extra=rows)
    models = {"flat": flat()}
    free = scored(EVALUATION, models, OPTIONS, tmp_path)
    assert figure(free, "country", "flat").n == 13 and free.details["removed"] == {}
    held = scored(EVALUATION, models, OPTIONS, tmp_path, trained=["flat"])
    assert figure(held, "country", "flat").n == 12
    assert list(held.details["removed"].values()) == [own.id]
    assert any("1 of 13 questions of GlobalOpinionQA asks nearly" in note for note in held.notes)


@pytest.mark.slow
def test_who_answers_only_what_suits_is_seen_on_those_alone_and_caught(folder: Path) -> None:
    """An impostor that refuses every question but those on which people split evenly."""
    from tests.impostors import Impostor

    even = {
        d.item.question
        for v in globalopinionqa_value_sets(folder / "goqa.csv")
        for d in v.distributions.values()
        if np.ptp(d.shares) < 0.3
    }

    def says(options, question: str):  # type: ignore[no-untyped-def]
        speaks = any(text in question for text in even)
        return np.full(len(options), (1.0 if speaks else 0.1) / len(options))

    card = scored(EVALUATION, {"choosy": Impostor(says), "flat": flat()}, OPTIONS, folder)
    row, all_answered = figure(card, "country", "choosy"), figure(card, "country", "flat")
    assert row.value == pytest.approx(all_answered.value), "both are on the questions it chose"
    assert row.missing > 0 == all_answered.missing
    assert row.value == pytest.approx(row.floor), "the floor is on the same ones"
    assert figure(card, "read", "choosy").value < 1 == figure(card, "read", "flat").value
    gap = next(
        d
        for d in card.figure_differences
        if (d.measure, d.method, d.against) == ("country", "flat", "choosy")
    )
    assert gap.value == pytest.approx(0), "paired on the same questions they are alike"
    assert gap.verdict != "lower", "what it left out never counts for it"


def test_awkward_rows_are_set_aside_merged_and_said(tmp_path: Path) -> None:
    text = questions(40)
    extra = [
        [text[30], "{'Chile': [0.0, 0.0], 'Peru': [0.5, 0.5]}", "['Yes', 'No']", "GAS"],
        [text[31], "{'South Korea': [0.5, 0.5], 'S. Korea': [0.7, 0.3]}", "['1.0', 'No']", ""],
        [text[32], "{'India (Non-national sample)': [0.9, 0.1]}", "['Yes', 'No']", "GAS"],
    ]
    write_globalopinionqa(tmp_path / "goqa.csv", COUNTRIES, extra=extra)
    file = read_countries(OPTIONS, tmp_path)
    both = next(i for i, item in file.items.items() if item.question == text[31])
    assert file.items[both].texts == ("1", "No")
    assert file.answers["South Korea"][both] == pytest.approx([0.6, 0.4])
    assert "India" in file.answers and "S. Korea" not in file.answers
    notes = " ".join(file.notes)
    assert "1 row of the file is set aside (1: the shares do not sum to 1)." in notes
    assert "S. Korea and South Korea" in notes and "1 population of the file is no sample" in notes


def test_most_takes_the_same_questions_whatever_the_order_of_rows(tmp_path: Path) -> None:
    write_globalopinionqa(tmp_path / "goqa.csv", COUNTRIES)
    lines = (tmp_path / "goqa.csv").read_text().splitlines()
    (tmp_path / "turned.csv").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    some = [
        read_countries(Options(path=f, most=5), tmp_path).items for f in ("goqa.csv", "turned.csv")
    ]
    assert [*some[0]] == [*some[1]] and len(some[0]) == 5


def test_nothing_left_and_unknown_countries_are_refused(tmp_path: Path) -> None:
    write_globalopinionqa(tmp_path / "goqa.csv", COUNTRIES)
    with pytest.raises(InputError, match='no population "Atlantis"'):
        read_countries(Options(path="goqa.csv", countries=("Atlantis",)), tmp_path)
    with pytest.raises(InputError, match="no question left"):
        read_countries(Options(path="goqa.csv", sources=("XYZ",)), tmp_path)


@pytest.mark.slow
def test_the_file_as_published_is_read_and_trained_questions_found(shared_data: Path) -> None:
    from suffrage.survey import read_survey
    from suffrage.training_data.overlap import overlapping

    path = shared_data / "globalopinionqa" / "global_opinions_layout.csv"
    file = read_countries(Options(path=path.name), path.parent)
    assert len(file.items) == 1300 and "South Korea" in file.answers
    assert any("9 rows of the file are set aside" in note for note in file.notes)
    wvs = shared_data / "wvs7"
    survey = read_survey(
        {
            "reader": "wvs7",
            "path": [str(wvs / "Iraq.csv")],
            "codebook": str(wvs / "codebook.json"),
            "questions": str(wvs / "question_metadata.json"),
        },
        wvs,
    )
    found = overlapping(list(file.items.values()), survey.codebook.items)
    # The 50 items stand in the file under other stems; hardly any of Pew's own is taken with them.
    assert len(set(found.values())) >= 40
    by_source = [file.sources[name] for name in found]
    assert by_source.count("WVS") >= 40 and by_source.count("GAS") <= 3
