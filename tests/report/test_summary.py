"""The first page of a report: its verdict follows from the comparison that decides."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from suffrage.evaluate.fit import AS_FEW
from suffrage.evaluate.results import Figure, Results, TrainingJournal
from suffrage.publish.collection_pages import collection_card, index_page
from suffrage.publish.model_card import served_worst
from suffrage.report.cells import in_sentence
from suffrage.report.failures import weak_spot_table
from suffrage.report.page import render_report
from suffrage.report.plain_words import plain_words
from suffrage.report.summary import assessed_method, board_summary
from suffrage.report.tables import doubt_of_lowest, fits_lowest_first
from suffrage.report.terminal import scoreboard
from suffrage.report.training_journals import HEIGHT, WIDTH, journal_tiles

from .example_results import example_results


@pytest.fixture(scope="module")
def results() -> Results:
    return example_results()


def with_bar(results: Results, **fields: Any) -> Results:
    """The same results, with another difference of every method from the average answer."""
    rows = [
        d.model_copy(update=fields)
        if d.against == "average" and d.measure == "fit" and d.value_set == "all"
        else d
        for d in results.figure_differences
    ]
    return results.model_copy(update={"figure_differences": rows})


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.09, -0.01, "No"),
        (-0.04, 0.05, "No"),
        (0.02, 0.09, "Not by itself"),
        (None, None, "This study cannot say"),
    ],
)
def test_the_verdict_follows_from_the_answer_that_ignores_the_question(
    results: Results, low: float | None, high: float | None, verdict: str
) -> None:
    value = 0.0 if low is None or high is None else (low + high) / 2
    changed = with_bar(results, value=value, low=low, high=high, p=None, adjusted=None)
    found = board_summary(changed)
    assert found is not None and found.verdict == verdict
    if low is not None:
        assert found.figures[0].value.lstrip("+−") == f"{abs(value):.2f}".lstrip("-")


def test_a_model_that_answers_nothing_is_said_to_and_no_page_is_left_without_a_verdict(
    results: Results,
) -> None:
    models = {m.name for m in results.methods if m.kind in ("untrained", "trained")}
    unread = results.model_copy(
        update={
            "answers": [
                a.model_copy(update={"refused": True, "mass": 0.04})
                if a.method in models and a.readout == "letters"
                else a
                for a in results.answers
            ],
            "figures": [
                f
                for f in results.figures
                if f.method not in models or f.readout not in (None, "letters")
            ],
            "figure_differences": [
                d
                for d in results.figure_differences
                if d.method not in models and d.against not in models
            ],
        }
    )
    found = board_summary(unread)
    assert found is not None and found.verdict == "This study cannot say" and not found.figures
    page = " ".join(render_report(unread).split())  # no-break spaces become plain ones
    said = "No answer of the model counts: on average, the answers to choose from had 4%"
    assert page.count(said) == 2, "in the summary and in what was found"
    assert "key-figures" not in page.split("</style>")[-1]
    for published in (index_page(unread, [], []), collection_card(unread, [], [])):
        assert " ".join(published.split()).count(said) == 1
    written = StringIO()
    Console(file=written, width=80).print(scoreboard(unread))
    assert "No answer of the model counts" in written.getvalue()


def test_no_verdict_ever_says_yes(results: Results) -> None:
    best = with_bar(results, value=0.5, low=0.49, high=0.51, p=None, adjusted=None)
    found = board_summary(best)
    assert found is not None and "cannot answer for them" in " ".join(found.because)


def test_the_method_assessed_is_the_best_trained_one_by_hand(results: Results) -> None:
    fits = {
        f.method: f.value
        for f in results.figures
        if (f.evaluation, f.measure, f.value_set, f.seed, f.side, f.readout)
        == ("fit", "fit", "all", "all", "held_out", "letters")
    }
    trained = {m.name for m in results.methods if m.kind == "trained"}
    found = assessed_method(results)
    assert found is not None and found.name == max(trained, key=lambda name: fits[name])


def test_what_has_no_language_model_is_a_rival_and_never_assessed(results: Results) -> None:
    best = assessed_method(results)
    assert best is not None
    methods = [
        m.model_copy(update={"writes": m.name != best.name, "label": m.label})
        for m in results.methods
    ]
    changed = results.model_copy(update={"methods": methods})
    model, found = assessed_method(changed), board_summary(changed)
    assert model is not None and model.kind == "trained" and model.name != best.name
    assert found is not None
    named = f"A method that needs no language model, the {in_sentence(best.label)},"
    assert [one for one in found.because if one.startswith(named)]
    page = render_report(changed)
    assert f"{best.label}, no language model" in page
    assert f"the model trained by {in_sentence(best.label)}" not in page
    # Where nothing else was trained, the verdict is about it.
    alone = [m for m in methods if m.kind != "trained" or not m.writes]
    found_alone = assessed_method(results.model_copy(update={"methods": alone}))
    assert found_alone is not None and found_alone.name == best.name


def with_fits(
    results: Results, method: str, fits: dict[str, tuple[float, float | None]]
) -> Results:
    """The same results, with a method's fit to value sets: each a value and half an interval."""

    def changed(row: Figure) -> Figure:
        if (row.evaluation, row.measure, row.method) != ("fit", "fit", method):
            return row
        if row.value_set not in fits:
            return row
        value, half = fits[row.value_set]
        span = (None, None) if half is None else (value - half, value + half)
        return row.model_copy(update={"value": value, "low": span[0], "high": span[1]})

    return results.model_copy(update={"figures": [changed(row) for row in results.figures]})


@pytest.mark.parametrize(
    ("fits", "doubt"),
    [
        # Its interval ends highest, because it has few questions.
        ([(0.58, 0.19), (0.65, 0.06), (0.7, 0.05)], "because the intervals overlap"),
        # The interval of another contains its value.
        ([(0.6, 0.01), (0.7, 0.15), (0.8, 0.01)], "because the intervals overlap"),
        ([(0.58, 0.02), (0.65, 0.02), (0.7, 0.02)], ""),
        # Names decide between equals.
        ([(0.6, 0.02), (0.6, 0.02), (0.7, 0.02)], "because the intervals overlap"),
        ([(0.4, None), (0.65, 0.02), (0.7, 0.02)], "because there are too few questions to tell"),
    ],
)
def test_the_population_served_worst_has_the_lowest_fit_on_every_page(
    results: Results, fits: list[tuple[float, float | None]], doubt: str
) -> None:
    model = assessed_method(results)
    assert model is not None
    by_name = sorted(results.value_sets, key=lambda own: own.name)
    changed = with_fits(
        results, model.name, {v.name: f for v, f in zip(by_name, fits, strict=True)}
    )
    found = board_summary(changed)
    assert found is not None
    said = f"fit for {by_name[0].description}, whom it serves worst"
    doubted = f", though it may be another population, {doubt}" if doubt else ""
    assert found.figures[-1].words == said + doubted
    assert found.figures[-1].value == f"{fits[0][0]:.2f}"
    row = next(r for r in weak_spot_table(changed).rows if r[0].text == model.label)
    assert row[1].text == f"{fits[0][0]:.3f}"
    assert row[1].note == by_name[0].name + ("?" if doubt else "")
    card = served_worst(changed, model)[0]
    assert isinstance(card, str)
    assert card.startswith(f"Served worst: {by_name[0].name}{doubted}. Its fit is {fits[0][0]:.2f}")


def test_the_population_served_worst_is_not_the_one_with_few_people(results: Results) -> None:
    model = assessed_method(results)
    assert model is not None
    few, many, *others = sorted(v.name for v in results.value_sets)
    fits: dict[str, tuple[float, float | None]] = {few: (0.6, 0.01), many: (0.62, 0.01)}
    changed = with_fits(results, model.name, fits | dict.fromkeys(others, (0.9, 0.01)))
    lower = {results.main_side: {model.name: {many: 0.05}}}
    facts = [
        e.model_copy(update={"details": {AS_FEW: lower}}) if e.name == "fit" else e
        for e in changed.evaluations
    ]
    fair = changed.model_copy(update={"evaluations": facts})
    assert [f.value_set.name for f in fits_lowest_first(changed, model.name)][:2] == [few, many]
    assert [f.value_set.name for f in fits_lowest_first(fair, model.name)][:2] == [many, few]
    # 0.57 with an interval of 0.01, against 0.60.
    assert doubt_of_lowest(fits_lowest_first(fair, model.name)) == ""


def test_the_card_of_a_single_population_calls_nobody_served_worst(results: Results) -> None:
    alone = results.model_copy(update={"value_sets": results.value_sets[:1]})
    card = served_worst(alone, assessed_method(results))[0]
    assert isinstance(card, str)
    assert card.startswith(f"Only {results.value_sets[0].name} was scored. Its fit is ")


def test_a_population_that_it_serves_worse_than_the_floor_is_named(results: Results) -> None:
    worse = results.value_sets[0]
    base = with_bar(results, value=0.05, low=0.02, high=0.09, p=None, adjusted=None)
    model = assessed_method(base)
    assert model is not None
    whole = next(
        d
        for d in base.figure_differences
        if (d.method, d.against, d.measure, d.value_set, d.side)
        == (model.name, "average", "fit", "all", "held_out")
    )
    own = whole.model_copy(
        update={"value_set": worse.name, "value": -0.05, "low": -0.09, "high": -0.02}
    )
    changed = base.model_copy(update={"figure_differences": [own, *base.figure_differences]})
    found = board_summary(changed)
    assert found is not None
    assert f"For {worse.description} it does worse than that." in found.because


def test_a_model_that_was_not_trained_is_not_called_a_model_before_training(
    results: Results,
) -> None:
    untrained = results.model_copy(
        update={"methods": [m for m in results.methods if m.kind != "trained"]}
    )
    found, before = board_summary(untrained), board_summary(results)
    assert found is not None and before is not None
    labels = [row.label for row in found.picture.rows]
    assert "The model as it is" in labels and "The same, told whom to answer as" in labels
    assert "The model before training" in [row.label for row in before.picture.rows]


def test_what_decides_is_first_and_in_the_same_type_as_what_flatters(results: Results) -> None:
    page = render_report(results)
    figures = page.split('<ul class="key-figures">', 1)[1].split("</ul>", 1)[0]
    first, *others = figures.split("<li>")[1:]
    assert "this comparison decides" in first and len(others) == 2
    markup = [re.sub(r">[^<]*<", "><", one).strip() for one in (first, *others)]
    assert len(set(markup)) == 1, "the same elements and classes, so the same size and colour"
    assert page.count('<p class="finding">') == 2, "both sentences of the finding"


def test_fit_is_explained_before_its_first_figure_of_the_tables(results: Results) -> None:
    page = render_report(results)
    assert page.index("1 means that they are the same") < page.index("<main>")


def test_prose_has_no_python_in_it(results: Results) -> None:
    value_sets = [
        own.model_copy(update={"where": {"age": {"max": 35}, "region": ["north", "south"]}})
        for own in results.value_sets
    ]
    methods = [
        m.model_copy(update={"settings": {"together": True, "in_context": {"answers": 12}}})
        for m in results.methods
    ]
    changed = results.model_copy(update={"value_sets": value_sets, "methods": methods})
    page = render_report(changed)
    assert "age: 35 or less" in page and "region: north, south" in page
    assert "together yes" in page and "in context answers 12" in page
    assert "{&#39;" not in page and "True" not in page


def test_a_licence_is_said_once_at_the_end_and_once_at_the_head(results: Results) -> None:
    licence = results.study.model_licence
    assert licence is not None
    assert render_report(results).count(licence) <= 2


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "yes"),
        (None, "none"),
        (0.1 + 0.2, "0.3"),
        ({"min": 65}, "65 or more"),
        ({"min": 18, "max": 35}, "18 to 35"),
        ([{"max": 5}, False], "5 or less, no"),
    ],
)
def test_settings_read_as_people_write_them(value: Any, words: str) -> None:
    assert plain_words(value) == words


def test_a_training_s_journal_is_drawn_from_its_first_step_to_its_last(results: Results) -> None:
    journal = TrainingJournal(
        method="sft",
        seed=1,
        group="",
        steps=[1, 5, 10],
        losses=[4.0, 2.0, 3.0],
        validation_steps=[0, 10],
        validation=[0.5, 0.7],
        kept_step=10,
    )
    (tile,) = journal_tiles(results.model_copy(update={"journals": [journal]}))
    loss, fit = tile.curves
    points = [tuple(map(float, point.split(","))) for point in loss.points.split()]
    assert [x for x, _ in points] == [WIDTH * step / 10 for step in (1, 5, 10)]
    top, bottom = points[0][1], points[1][1]
    assert top < points[2][1] < bottom and top > 0 and bottom < HEIGHT, "high losses are high up"
    assert points[2][1] == pytest.approx((top + bottom) / 2)
    assert (fit.begin, fit.end, tile.kept) == ("0.50", "0.70", 100.0)
    page = render_report(results.model_copy(update={"journals": [journal]}))
    assert loss.points in page and "the model of step 10 was kept" in page


@pytest.mark.parametrize(
    ("questions", "words"),
    [
        (0, "fit, questions held back"),
        (1, "fit, 1 question held back, too few to choose well by"),
        (30, "fit, 30 questions held back"),
    ],
)
def test_a_training_s_drawing_says_how_many_questions_chose_its_best_point(
    results: Results, questions: int, words: str
) -> None:
    journal = TrainingJournal(
        method="sft",
        seed=1,
        group="",
        steps=[1, 10],
        losses=[4.0, 3.0],
        validation_steps=[0, 10],
        validation=[0.5, 0.7],
        validation_questions=questions,
    )
    (tile,) = journal_tiles(results.model_copy(update={"journals": [journal]}))
    assert tile.curves[1].name == words


@pytest.mark.browser
@pytest.mark.slow
def test_on_paper_no_heading_is_alone_over_what_is_closed(results: Results, chromium: Any) -> None:
    window = chromium.new_page()
    window.set_content(render_report(results))
    window.emulate_media(media="print")
    assert not window.is_visible("#words") and not window.is_visible("#answers")
    assert window.is_visible("#limits") and window.is_visible("#asked")
    window.evaluate("document.querySelectorAll('details').forEach(one => (one.open = true))")
    assert window.is_visible("#words") and window.is_visible("#answers")
    window.close()
