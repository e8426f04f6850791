"""What the report page says comes from the results, safely and legibly."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from suffrage import report
from suffrage.evaluate.results import FigureDifference, Results
from suffrage.report import answer_cards
from suffrage.report.answer_cards import mean_shares
from suffrage.report.dot_plot import axis_ticks
from suffrage.report.failures import falls, worst_items
from suffrage.report.finding import finding
from suffrage.report.heat_map import heat_map, tiles
from suffrage.report.marks import STRICTER_NOTE
from suffrage.report.numbers import NO_INTERVAL, interval, number
from suffrage.report.page import render_report, write_report
from suffrage.report.published_panels import DotRow, curves, dots
from suffrage.report.tables import latex_scoreboard, markdown_scoreboard, scoreboard_rows
from suffrage.report.terminal import scoreboard

from .example_results import ITEMS, example_results
from .headless import dumped_page


class Page(HTMLParser):
    """Headings, images and addresses of a page, and its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.images: list[dict[str, str | None]] = []
        self.addresses: list[tuple[str, str]] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "svg":
            self.images.append(dict(attrs))
        for name, value in attrs:
            if name in ("src", "href", "action", "data", "srcset") and value:
                self.addresses.append((tag, value))
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def changed(results: Results, **parts: Any) -> Results:
    return results.model_copy(update=parts)


def with_difference(
    results: Results, method: str, low: float | None, high: float | None
) -> Results:
    """The same results, `method` minus base on held-out fit between low and high."""
    value = -0.03 if low is None or high is None else (low + high) / 2
    return changed(
        results,
        figure_differences=[
            d.model_copy(update={"value": value, "low": low, "high": high})
            if (d.method, d.against, d.side, d.measure, d.value_set)
            == (method, "base", "held_out", "fit", "all")
            else d
            for d in results.figure_differences
        ],
    )


@pytest.fixture(scope="module")
def results() -> Results:
    return example_results()


@pytest.fixture(scope="module")
def page(results: Results) -> str:
    return render_report(results)


def test_every_figure_of_the_scoreboard_stands_on_the_page(results: Results, page: str) -> None:
    text = Page(page).text
    for row in scoreboard_rows(results):
        for score in (row.held_out, row.trained, row.earth_movers, row.entropy):
            assert score is not None
            assert number(score.value, 3) in text
            assert interval(score.low, score.high, 3) in text


def test_a_pooled_item_stands_with_the_weight_of_the_parent(results: Results) -> None:
    with_pooled = [v.model_copy(update={"pooled_items": {}}) for v in results.value_sets]
    with_pooled[0] = with_pooled[0].model_copy(update={"pooled_items": {"env": 0.31, "aims": 0.57}})
    text = Page(render_report(changed(results, value_sets=with_pooled))).text
    assert "2 items, weight of the parent 44% in the middle" in text
    assert "env 31%, aims 57%" in text


@pytest.mark.slow
def test_a_changed_score_changes_the_page(results: Results, page: str) -> None:
    place = next(
        at
        for at, f in enumerate(results.figures)
        if (f.method, f.side, f.measure, f.seed, f.value_set, f.readout)
        == ("sft", "held_out", "fit", "all", "all", "letters")
    )
    figures = list(results.figures)
    figures[place] = figures[place].model_copy(update={"value": 0.43219})
    text = Page(render_report(changed(results, figures=figures))).text
    assert "0.432" in text
    before = number(results.figures[place].value, 3)
    assert text.count(before) < Page(page).text.count(before)
    assert "0.432" not in Page(page).text


def test_a_changed_answer_changes_the_page(results: Results, page: str) -> None:
    answers = [
        a.model_copy(update={"shares": [0.4567, 0.3433, 0.1, 0.1]})
        if (a.method, a.item, a.readout, a.value_set) == ("base", "aims", "letters", "nz")
        else a
        for a in results.answers
    ]
    drawn = render_report(changed(results, answers=answers))
    assert "1: 46%, 2: 34%, 3: 10%, 4: 10%" in drawn
    assert drawn != page


ATTACK = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


# Fields whose values mean something to the program; texts equal to one of them are kept.
WORDS_OF_THE_PROGRAM = {
    *("better", "by", "evaluation", "finished", "first", "kind", "measure", "method", "readout"),
    *("second", "seed", "side", "unit"),
}


def words_of_the_program(content: Any, key: str = "") -> set[str]:
    """Every value of the fields above, at any depth."""
    if isinstance(content, dict):
        found = (
            words_of_the_program(value, "side" if key == "side" else name)
            for name, value in content.items()
        )
    elif isinstance(content, list):
        found = (words_of_the_program(value, key) for value in content)
    else:
        return {content} if key in WORDS_OF_THE_PROGRAM and isinstance(content, str) else set()
    return set().union(*found)


def attacked(content: Any, kept: set[str], fields: bool = True) -> Any:
    """The same with the attack at the end of every other text, keys of mappings included."""
    if isinstance(content, dict):
        return {
            key if fields or key in kept or key.isdigit() else key + ATTACK: attacked(
                value, kept, key not in ("machine", "versions", "files", "where")
            )
            for key, value in content.items()
        }
    if isinstance(content, list):
        return [attacked(value, kept) for value in content]
    return content + ATTACK if isinstance(content, str) and content not in kept else content


@pytest.mark.slow
def test_no_text_of_the_results_is_read_as_markup(results: Results) -> None:
    content = results.model_dump(mode="json")
    kept = words_of_the_program(content) | {""}
    drawn = Page(render_report(Results.model_validate(attacked(content, kept))))
    assert not drawn.tags & {"script", "img"}
    words = "".join(drawn.words)
    shown = [results.study.title, results.surveys[0].terms, results.methods[0].label]
    shown += [results.items[0].question, results.items[0].topic, results.limits[0], "2 cores"]
    assert all(str(text) + ATTACK in words for text in shown)


DRAWINGS: dict[str, Callable[[], str]] = {
    "heat map": lambda: heat_map([ATTACK], [ATTACK], [[0.5]], [[ATTACK]], 1.0, ATTACK),
    "tiles": lambda: tiles([(ATTACK, [[0.5]])], ATTACK),
    "dots": lambda: dots([DotRow(ATTACK, 0.2, 0.4, 0.6)], 0.1),
    "curves": lambda: curves([0.0, 0.5, 1.0], {ATTACK: [0.1, 0.2, 0.3]}),
}


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_no_text_in_a_drawing_is_read_as_markup(drawing: str) -> None:
    assert not Page(DRAWINGS[drawing]()).tags & {"script", "img"}


def test_only_the_drawings_tried_above_make_markup_outside_templates() -> None:
    makers = {
        path.name
        for path in Path(report.__file__).parent.rglob("*.py")
        if re.search(r"<(svg|div|span|p|text|tspan)\b", path.read_text(encoding="utf-8"))
    }
    assert makers == {"heat_map.py", "published_panels.py"}
    templates = Path(report.__file__).parent / "templates"
    unescaped = [
        line.strip()
        for path in templates.glob("*.j2")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\|\s*safe\b|autoescape", line)
    ]
    assert unescaped == ["{{ panel.markup | safe }}"]


def test_nothing_is_loaded_from_outside_and_no_script_is_needed(page: str) -> None:
    found = Page(page)
    assert not found.tags & {"script", "img", "iframe", "object", "embed", "link"}
    assert all(tag == "a" and address.startswith("#") for tag, address in found.addresses)
    assert "url(" not in page
    assert "@import" not in page


def test_every_link_in_the_page_leads_somewhere(page: str) -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    assert {address[1:] for _, address in Page(page).addresses} == ids


def test_headings_come_in_order(page: str) -> None:
    levels = Page(page).headings
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_every_drawing_has_a_text_alternative(page: str) -> None:
    images = Page(page).images
    assert images
    assert all(image.get("role") == "img" and image.get("aria-label") for image in images)


def test_missing_intervals_read_as_not_enough_items(results: Results) -> None:
    nowhere: dict[str, Any] = {"low": None, "high": None}
    bare = changed(
        results,
        figures=[f.model_copy(update={**nowhere, "floor": None}) for f in results.figures],
        figure_differences=[d.model_copy(update=nowhere) for d in results.figure_differences],
    )
    text = Page(render_report(bare)).text
    assert NO_INTERVAL in text
    assert "None" not in text
    assert "nan" not in text.lower().split()
    assert "too few separate questions to be told apart" in finding(bare).lead


def test_an_audit_that_trains_nothing_renders() -> None:
    audit = example_results(methods=["base"])
    text = Page(render_report(audit)).text
    assert finding(audit).lead.startswith("Nothing was trained in this study.")
    assert "does worse than that" in finding(audit).lead
    assert "Nothing was trained, so nothing was spent on training." in text
    assert "None" not in text


def test_without_a_question_trained_on_there_is_no_average_floor() -> None:
    audit = example_results(methods=["base"])
    floors = ("average", "nearest")
    bare = audit.model_copy(
        update={
            "methods": [m for m in audit.methods if m.name not in floors],
            "figures": [
                f.model_copy(update={"floor": None})
                for f in audit.figures
                if f.method not in floors
            ],
            "figure_differences": [
                d for d in audit.figure_differences if not {d.method, d.against} & set(floors)
            ],
            "answers": [a for a in audit.answers if a.method not in floors],
        }
    )
    page = Page(render_report(bare)).text
    assert "Average answer" not in page and "Even answer" in page
    out = io.StringIO()
    Console(file=out, width=500).print(scoreboard(bare))
    assert "Way: none, because no question is trained on" in out.getvalue()


def test_one_value_set_and_one_seed_render() -> None:
    one = example_results(value_sets=["nz"], seeds=[7])
    text = Page(render_report(one)).text
    assert "Fit for each value set" not in text
    assert "Seed by seed" not in text
    assert "1 value set and 1 seed" in finding(one).rest
    assert "None" not in text


def test_nothing_held_out_is_said_first(results: Results) -> None:
    only_trained = changed(
        results,
        figures=[f for f in results.figures if f.side == "trained"],
        figure_differences=[d for d in results.figure_differences if d.side == "trained"],
        answers=[a for a in results.answers if a.side == "trained"],
        items=[
            i.model_copy(update={"side": dict.fromkeys(i.side, "trained")}) for i in results.items
        ],
    )
    assert finding(only_trained).lead.startswith("No question was held out")
    assert "On the questions trained on, the model" in Page(render_report(only_trained)).text


def test_what_training_cost_is_told_with_the_gain(results: Results) -> None:
    """The worst first; what chance or the margin explains is not told."""

    def with_losses(**losses: tuple[float, float]) -> Results:
        gaps = [
            FigureDifference(
                evaluation="capability", measure="capability", method=method, against="base",
                value=-value, low=-value - 0.1, high=-low, n=64,
            )
            for method, (value, low) in losses.items()
        ]  # fmt: skip
        return changed(results, figure_differences=[*results.figure_differences, *gaps])

    lost = finding(with_losses(sft=(0.2, 0.1), distribution=(0.42, 0.3), prompt=(0.9, 0.8))).lead
    assert (
        "But the model trained by distribution matching falls by 0.42 on questions of what it "
        "could do before (95% interval 0.30 to 0.52); so does 1 other trained model." in lost
    )
    one = finding(with_losses(sft=(0.05, -0.01), distribution=(0.42, 0.3))).lead
    assert "interval 0.30 to 0.52)." in one and "so does" not in one
    # Within the margin, or not told from nothing.
    assert "falls by" not in finding(with_losses(sft=(0.015, 0.01), distribution=(0.1, -0.1))).lead


def test_the_finding_says_better_worse_or_cannot_be_told_apart(results: Results) -> None:
    one = with_difference(results, "distribution", 0.05, 0.11)
    assert (
        "model trained by distribution matching: 0.89 (difference +0.08, 95% interval +0.05 "
        "to +0.11)" in finding(one).lead
    )
    assert "answers closer to the public than the untrained model: 0." in finding(one).lead
    assert "of a possible 0.95" in finding(one).lead

    same = finding(with_difference(results, "distribution", -0.02, 0.05)).lead
    assert "model trained by distribution matching cannot be told apart from the untrained" in same

    worse = finding(with_difference(results, "distribution", -0.11, -0.05)).lead
    assert worse.startswith(
        "Asked questions it was never trained on, the model trained by distribution matching "
        "answers further from the public than the untrained model"
    )


def with_fit_gaps(results: Results, one: str, **changed: Any) -> Results:
    """No difference of fit is told apart and every interval holds 0, but for one method's."""
    return results.model_copy(
        update={
            "figure_differences": [
                d.model_copy(
                    update={"value": 0.1, "low": -0.1, "high": 0.3, "adjusted": 0.2}
                    | (
                        changed
                        if (d.method, d.against, d.side) == (one, "base", "held_out")
                        else {}
                    )
                )
                for d in results.figure_differences
            ]
        }
    )


def test_an_interval_that_leaves_out_0_is_explained_where_it_stands_and_nowhere_else(
    results: Results,
) -> None:
    plain = with_fit_gaps(results, "sft")
    assert STRICTER_NOTE not in render_report(plain)
    apart = with_fit_gaps(results, "sft", low=0.02)
    page = render_report(apart)
    # In the finding, and below the table of differences.
    assert STRICTER_NOTE in finding(apart).lead
    assert page.count(STRICTER_NOTE) == 2
    # The scoreboard in a terminal and in a paper shows no difference.
    assert STRICTER_NOTE not in latex_scoreboard(apart) + markdown_scoreboard(apart)
    out = io.StringIO()
    Console(file=out, width=500).print(scoreboard(apart))
    assert STRICTER_NOTE not in " ".join(out.getvalue().split())
    # A difference that is told apart needs no explanation.
    assert STRICTER_NOTE not in render_report(
        with_fit_gaps(results, "sft", low=0.02, adjusted=0.01)
    )


def test_unweighted_answers_stand_for_the_people_surveyed(results: Results) -> None:
    unweighted = changed(
        results,
        surveys=[s.model_copy(update={"weight_variable": None}) for s in results.surveys],
        value_sets=[v.model_copy(update={"design_effect": 1.0}) for v in results.value_sets],
    )
    assert "the public" not in finding(unweighted).lead
    assert "closer to the people surveyed than" in finding(unweighted).lead
    assert "stand for the people in the sample" in Page(render_report(unweighted)).text


def test_losses_against_the_untrained_model_are_those_found_by_hand(
    results: Results, page: str
) -> None:
    found, compared = falls(results, "sft", "base", "held_out")
    ours, base = (
        {
            (a.item, a.value_set, a.seed): a.fit
            for a in results.answers
            if (a.method, a.side, a.readout) == (method, "held_out", "letters")
        }
        for method in ("sft", "base")
    )
    places = {place[:2] for place in ours}

    def mean(fits: dict[Any, float | None], place: tuple[str, str]) -> float:
        values = [f for key, f in fits.items() if key[:2] == place and f is not None]
        return sum(values) / len(values)

    lost = {place for place in places if mean(ours, place) < mean(base, place)}
    assert compared == len(places)
    assert {(fall.item, fall.value_set) for fall in found} == lost
    assert ("divorce", "nz") in lost
    text = Page(page).text
    assert f"{len(lost)} of {compared}" in text
    assert "Where training made it worse" in text


def test_the_worst_items_are_the_lowest_and_come_worst_first(results: Results) -> None:
    worst = worst_items(results, "base", "held_out")
    everything = worst_items(results, "base", "held_out", count=99)
    assert worst == everything[:3]
    assert [fit for _, fit in everything] == sorted(fit for _, fit in everything)


def test_a_mean_over_seeds_leaves_out_what_could_not_be_read(results: Results) -> None:
    answer = next(a for a in results.answers if a.item == "aims" and a.method == "base")
    read = answer.model_copy(update={"shares": [0.1, 0.2, 0.3, 0.4], "refused": False})
    refused = answer.model_copy(update={"shares": [float("nan")] * 4, "refused": True})
    assert mean_shares([read, refused]) == [0.1, 0.2, 0.3, 0.4]
    assert mean_shares([refused]) is None


def test_a_model_that_refuses_everything_still_has_its_row(results: Results) -> None:
    silent = changed(
        results,
        answers=[
            a.model_copy(update={"refused": True, "mass": 0.01, "fit": None, "emd": None})
            if a.method == "prompt"
            else a
            for a in results.answers
        ],
        figures=[f for f in results.figures if f.method != "prompt"],
        figure_differences=[
            d for d in results.figure_differences if "prompt" not in (d.method, d.against)
        ],
    )
    text = Page(render_report(silent)).text
    assert "Could not be read: too little probability on the options." in text
    assert "None" not in text


def test_costs_nobody_measured_say_so(page: str) -> None:
    text = Page(page).text
    assert "not measured" in text
    assert "6.2\u00a0Wh" in page  # sft: two checkpoints of 3.1 Wh


def test_axis_ticks_enclose_the_figures_and_are_few() -> None:
    for low, high in [(0.62, 0.96), (0.7, 0.71), (0.0, 1.0), (0.5, 0.5), (0.55, 0.98)]:
        ticks = axis_ticks(low, high)
        assert ticks[0] <= low <= high <= ticks[-1]
        assert 2 <= len(ticks) <= 6


@pytest.mark.slow
def test_a_large_study_stays_below_three_megabytes() -> None:
    large = example_results(
        value_sets=["nz", "nz-segment-1", "nz-segment-2"], seeds=[7, 8, 9], repeat_items=6
    )
    assert len(large.items) == 72
    assert len(render_report(large).encode()) < 3_000_000


def test_the_page_is_written_whole(results: Results, page: str, tmp_path: Path) -> None:
    write_report(results, tmp_path / "run" / "report.html")
    assert (tmp_path / "run" / "report.html").read_text(encoding="utf-8") == page
    assert page.startswith("<!DOCTYPE html>")
    assert ITEMS[0][1] in html.unescape(page)


MEASURE = """<body><iframe src="report.html" style="width:360px;height:800px;border:0"></iframe>
<pre id="found"></pre><script>
document.querySelector("iframe").addEventListener("load", (event) => {
  const page = event.target.contentDocument;
  page.querySelectorAll("details").forEach((part) => { part.open = true; });
  const sizes = [...page.querySelectorAll("svg text, p, td span, li, th, dd, dt, figcaption")]
    .filter((part) => part.textContent.trim())
    .map((part) => parseFloat(event.target.contentWindow.getComputedStyle(part).fontSize));
  document.getElementById("found").textContent = JSON.stringify({
    width: page.documentElement.scrollWidth, smallest: Math.min(...sizes),
    cut: [...page.querySelectorAll(".wide")]
      .filter((part) => part.scrollWidth > part.clientWidth).length,
  });
});</script></body>"""


def test_on_a_phone_nothing_runs_off_the_side_and_text_is_legible(
    results: Results, tmp_path: Path, chromium_program: str
) -> None:
    write_report(results, tmp_path / "report.html")
    (tmp_path / "measure.html").write_text(MEASURE, encoding="utf-8")
    dumped = dumped_page(chromium_program, tmp_path / "measure.html", 800)
    measured = re.search(r'<pre id="found">(\{.*?\})</pre>', dumped)
    assert measured, dumped[:500]
    found = json.loads(html.unescape(measured[1]))
    assert found["width"] <= 360
    assert found["cut"] == 0
    assert found["smallest"] >= 12


@pytest.mark.slow
def test_a_page_of_many_questions_shows_those_held_out_that_fit_worst(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = example_results(repeat_items=3)
    monkeypatch.setattr(answer_cards, "FEWEST_CARDS", 2)
    whole = answer_cards.cards_by_value_set(results)
    assert all(group.left_out == 0 for group in whole)
    assert "too many questions" not in render_report(results)
    monkeypatch.setattr(answer_cards, "MOST_CARDS", 2 * len(whole))
    for few, every in zip(answer_cards.cards_by_value_set(results), whole, strict=True):
        shown = [card.item.id for card in (*few.held_out, *few.trained)]
        assert len(shown) == 2 and not few.trained
        assert few.left_out == len(every.held_out) + len(every.trained) - 2
        fits = {
            card.item.id: [float(panel.fit) for panel in card.panels] for card in every.held_out
        }
        means = {item: sum(own) / len(own) for item, own in fits.items()}
        # The panels' fits are rounded.
        assert max(means[item] for item in shown) <= sorted(means.values())[1] + 0.01
    assert "too many questions for one page" in render_report(results)
