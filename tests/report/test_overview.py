"""Every evaluation at a glance: their order, marks, losses, and what the study could have seen."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from suffrage.evaluate.results import Figure, FigureDifference, Measure, Results
from suffrage.evaluate.statistics.figures import detectable_among
from suffrage.evaluate.statistics.inference import critical_value
from suffrage.report.cells import Cell, abreast, in_sentence, make_table
from suffrage.report.evaluations import UNSAID, evaluation_sections
from suffrage.report.finding import finding
from suffrage.report.overview import (
    MARGIN,
    ORDER,
    evaluation_power,
    flag_sentence,
    gap_of,
    glance_tables,
    headline_lines,
    loss_table,
)
from suffrage.report.page import render_report, write_report
from suffrage.report.tables import fit_figure

from .example_results import EVALUATIONS, EVERY_MODEL, example_results, with_evaluations
from .headless import dumped_page

pytestmark = pytest.mark.slow

FEW = ("zebra", "safety", "distances", "memorisation", "behaviour")


@pytest.fixture(scope="module")
def results() -> Results:
    return with_evaluations(example_results(repeat_items=1), FEW)


@pytest.fixture(scope="module")
def whole() -> Results:
    return with_evaluations(example_results(methods=tuple(EVERY_MODEL)))


def test_evaluations_come_in_the_order_a_sceptic_asks_and_unknown_ones_last(
    results: Results,
) -> None:
    names = [section.name for section in evaluation_sections(results)]
    assert names == ["distances", "memorisation", "behaviour", "safety", "zebra"]
    page = render_report(results)
    places = [page.index(f'<section id="{name}"') for name in ["scoreboard", *names]]
    assert places == sorted(places)
    assert set(EVALUATIONS) - set(ORDER) == {"zebra"}


def test_each_evaluation_says_what_it_cannot_show_and_silence_is_told(results: Results) -> None:
    said = {section.name: section.cannot_show for section in evaluation_sections(results)}
    assert said["safety"] == "What safety leaves out, in one sentence."
    assert said["zebra"] == UNSAID
    page = unescape(render_report(results))
    assert all(sentence in page for sentence in said.values())


def figure(value: float) -> Figure:
    return Figure(
        evaluation="e",
        measure="m",
        method="x",
        seed="all",
        value_set="all",
        value=value,
        low=None,
        high=None,
        n=3,
    )


@pytest.mark.parametrize(
    ("better", "one", "two", "wanted", "verdict"),
    [
        ("higher", 0.7, 0.5, 0.2, "higher"),
        ("lower", 0.7, 0.5, -0.2, "lower"),
        ("nearer 1", 0.7, 0.5, 0.2, "higher"),
        ("nearer 1", 1.7, 1.5, -0.2, "lower"),
        ("nearer 0", 0.7, 0.5, -0.2, "lower"),
        ("nearer 1", 1.1, 0.9, None, "unknown"),  # on either side of the best: no sign
        (None, 0.7, 0.5, None, "unknown"),
    ],
)
def test_above_0_is_better_whichever_way_a_measure_points(
    better: Any, one: float, two: float, wanted: float | None, verdict: str
) -> None:
    measure = Measure(name="m", label="M", explanation="", better=better, unit="u")
    found = FigureDifference(
        evaluation="e",
        measure="m",
        method="one",
        against="two",
        value=one - two,
        low=one - two - 0.1,
        high=one - two + 0.1,
        n=3,
        adjusted=0.01,
    )
    figures = {"one": figure(one), "two": figure(two)}
    gap = gap_of(found, measure, figures)
    assert gap.value == (None if wanted is None else pytest.approx(wanted))
    assert gap.verdict == verdict
    if wanted is not None:
        assert gap.low is not None and gap.high is not None
        assert (gap.low, gap.high) == (pytest.approx(wanted - 0.1), pytest.approx(wanted + 0.1))
    corrected = gap_of(found.model_copy(update={"adjusted": 0.2}), measure, figures)
    assert corrected.verdict == "same"  # the interval leaves out 0, the correction does not


def test_a_loss_beyond_the_margin_is_flagged_and_one_within_it_is_not(results: Results) -> None:
    def with_gap(value: float) -> Results:
        return results.model_copy(
            update={
                "figure_differences": [
                    d.model_copy(
                        update={
                            "value": value,
                            "low": value - 0.004,
                            "high": value + 0.004,
                            "adjusted": 0.001,
                        }
                    )
                    if (d.measure, d.against) == ("refusal", "base")
                    else d
                    for d in results.figure_differences
                ]
            }
        )

    lost = with_gap(-MARGIN - 0.01)
    assert "Harmful requests refused (2 of 2)" in flag_sentence(lost)
    table = loss_table(lost)
    assert table is not None
    assert all("Harmful requests refused −0.030" in row[2].text for row in table.rows)
    assert all(row[2].mark == "lower" for row in table.rows)
    small = with_gap(-MARGIN + 0.01)
    assert "Harmful requests" not in flag_sentence(small)
    unsure = with_gap(-MARGIN + 0.002)
    table = loss_table(unsure)
    assert table is not None
    assert all("Harmful requests refused" in row[3].text for row in table.rows)


def test_every_headline_figure_stands_on_the_page_with_its_mark_and_power(
    results: Results,
) -> None:
    lines = headline_lines(results)
    assert [line.evaluation for line in lines][:2] == ["fit", "distances"]
    (table,) = glance_tables(results)
    cells = {row[0].text: row for row in table.rows}
    for line in lines:
        row = cells[line.label]
        for column, name in enumerate(("base", "prompt", "sft", "distribution"), start=1):
            assert row[column].text == f"{line.figures[name].value:.3f}".replace("-", "−")
            gap = line.gaps.get(name)
            if gap is not None and gap.verdict != "unknown":
                assert row[column].mark == gap.verdict
    (sentence,) = evaluation_power(results, "memorisation")
    assert re.search(r"With 40 questions this study would have seen .* 0\.0\d+ ", sentence)


def test_wide_tables_are_cut_into_parts_that_lose_no_cell() -> None:
    columns = [("Name", False), *((f"c{k}", True) for k in range(14))]
    rows = [[Cell(f"r{n}"), *(Cell(f"{n}-{k}") for k in range(14))] for n in range(3)]
    parts = abreast(make_table("Wide", columns, rows), 6)
    assert [len(part.columns) - 1 for part in parts] == [5, 5, 4]
    assert [c for part in parts for c in part.columns[1:]] == [f"c{k}" for k in range(14)]
    assert all(part.rows[1][0].text == "r1" for part in parts)
    assert abreast(make_table("Narrow", columns[:4], rows), 6)[0].caption == "Narrow"


def changed(results: Results, method: str, against: str, **update: object) -> Results:
    """The same results with another difference in held-out fit over everyone."""
    return results.model_copy(
        update={
            "figure_differences": [
                d.model_copy(update=update)
                if (d.method, d.against, d.side, d.measure, d.value_set)
                == (method, against, "held_out", "fit", "all")
                else d
                for d in results.figure_differences
            ]
        }
    )


def test_of_many_methods_the_nearest_is_named_and_the_others_counted(whole: Results) -> None:
    told = finding(whole)
    scores = {m.name: fit_figure(whole, m.name) for m in whole.methods if m.kind == "trained"}
    best = max(scores, key=lambda name: scores[name].value)  # type: ignore[union-attr]
    label = next(m.label for m in whole.methods if m.name == best)
    assert in_sentence(label) in told.lead and f"{scores[best].value:.2f}" in told.lead  # type: ignore[union-attr]
    assert "comes closest to the public of 7 trained methods" in told.lead
    assert "The prompted model reaches 0." in told.lead
    assert "an answer that ignores the question reaches 0." in told.lead
    assert "7 of the 7 are better" in told.lead and "could be seen" not in told.rest
    assert len(told.lead) < 400 and len(told.rest) < 500


def test_losers_are_named_first_and_a_better_bar_is_said_to_be_better(whole: Results) -> None:
    worse = changed(whole, "sft", "base", value=-0.2, low=-0.3, high=-0.1, adjusted=None)
    lead = finding(worse).lead
    assert "1 of the 7 is worse (supervised fine-tuning" in lead
    assert lead.index("is worse") < lead.index("6 are better")
    best = re.search(r"trained by (.*?) comes closest", finding(whole).lead)
    assert best is not None
    name = next(m.name for m in whole.methods if in_sentence(m.label) == best[1])
    behind = changed(whole, name, "prompt", value=-0.07, low=-0.1, high=-0.04, adjusted=0.01)
    assert re.search(r"The prompted model reaches 0\.\d+, 0\.07 more;", finding(behind).lead)
    apart = changed(whole, name, "prompt", value=0.01, low=-0.1, high=0.1, adjusted=1.0)
    assert re.search(r"reaches 0\.\d+, not told apart;", finding(apart).lead)


def test_a_blunt_correction_is_said_with_what_it_could_have_seen(whole: Results) -> None:
    blunt = whole
    for name in ("sft", "kto-plain", "dpo-soft"):
        low = name == "kto-plain"
        ends = {"low": -0.5, "high": -0.3} if low else {"low": 0.02, "high": 0.06}
        more = {"value": -0.4 if low else 0.04, "p": 0.001, "adjusted": 0.2, "detectable": 0.056}
        blunt = changed(blunt, name, "base", **ends, **more)
    lead, rest = finding(blunt).lead, finding(blunt).rest
    kto = fit_figure(blunt, "kto-plain")
    assert kto is not None
    assert "3 are not told apart on so few questions" in lead
    assert (
        f"By their own intervals 2 above it and 1 below it (down to {kto.value:.2f}) would be told"
        in rest
    )
    family = sum(
        (d.measure, d.side, d.value_set) == ("fit", "held_out", "all") and d.p is not None
        for d in blunt.figure_differences
    )
    clusters = len({i.cluster for i in blunt.items if "held_out" in i.side.values()})
    needed = detectable_among(0.056, family, clusters)
    assert f"a correction for {family} comparisons only differences above" in rest
    assert f"{needed:.2f}" in rest


def test_what_a_correction_leaves_to_be_seen_is_where_the_p_value_crosses_the_level() -> None:
    from scipy import stats

    # Student's, with half the degrees of freedom and a longer standard error for long tails.
    assert critical_value(0.05, 4) == pytest.approx(1.2 * stats.t.ppf(1 - 0.025, 2))
    assert critical_value(0.05 / 104, 4) == pytest.approx(1.2 * stats.t.ppf(1 - 0.025 / 104, 2))
    longer = 1 + 0.4 / 40**0.5
    assert critical_value(0.05, 40) == pytest.approx(longer * stats.t.ppf(1 - 0.025, 19))
    one = 0.28
    assert detectable_among(one, 1, 4) == pytest.approx(one)
    assert detectable_among(one, 104, 4) > 4 * one > detectable_among(one, 10, 4) > one


def test_names_of_people_keep_their_capitals_inside_a_sentence() -> None:
    assert in_sentence("Distribution matching") == "distribution matching"
    assert in_sentence("Kahneman-Tversky optimisation") == "Kahneman-Tversky optimisation"
    assert in_sentence("DPO") == "DPO"


MEASURE = """<body>FRAMES<pre id="found"></pre><script>
window.addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument;
    page.querySelectorAll("details").forEach((part) => { part.open = true; });
    return {
      width: page.documentElement.scrollWidth, shown: page.documentElement.clientWidth,
      cut: [...page.querySelectorAll(".wide")].filter((p) => p.scrollWidth > p.clientWidth + 1)
        .map((p) => p.querySelector("caption").textContent),
      labels: [...page.querySelectorAll(".label, .plot-row > span")]
        .filter((p) => p.scrollWidth > p.clientWidth + 1).length,
    };
  });
  document.getElementById("found").textContent = JSON.stringify(found);
});</script></body>"""


def test_a_report_of_every_evaluation_and_many_methods_fits_a_phone_and_a_desk(
    whole: Results, tmp_path: Path, chromium_program: str
) -> None:
    write_report(whole, tmp_path / "report.html")
    widths = (390, 800, 1280)
    frames = "".join(
        f'<iframe src="report.html" style="width:{w}px;height:800px;border:0"></iframe>'
        for w in widths
    )
    (tmp_path / "measure.html").write_text(MEASURE.replace("FRAMES", frames), encoding="utf-8")
    dumped = dumped_page(chromium_program, tmp_path / "measure.html", 1400)
    measured = re.search(r'<pre id="found">(\[.*?\])</pre>', dumped, re.DOTALL)
    assert measured, dumped[:500]
    for width, found in zip(widths, json.loads(unescape(measured[1])), strict=True):
        assert found["width"] <= found["shown"] <= width
        assert found["cut"] == []
        assert found["labels"] == 0
