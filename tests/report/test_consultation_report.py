"""The report of a consultation: two pages for a board, then the detail, in one file."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from suffrage.cli.commands import app
from suffrage.consult.consultation import Consultation, write_consultation
from suffrage.consult.groups.analysis import analyse
from suffrage.consult.groups.shown_results import shown_results
from suffrage.consult.polis.conversation import conversation_of
from suffrage.report.consultation_report import consultation_report
from suffrage.server.demo import simulated_demo
from tests.server.browser import no_sideways

# The width of A4 and the height of US Letter between margins of 16 and 12 mm, in CSS pixels.
PAPER = {"width": 673, "height": 965}


@pytest.fixture(scope="module")
def town() -> Consultation:
    return simulated_demo(90).content


@pytest.fixture(scope="module")
def report(town: Consultation) -> str:
    return consultation_report(town, resamples=2)


@pytest.mark.slow
def test_it_says_what_pages_show_and_loads_nothing(town: Consultation, report: str) -> None:
    found = shown_results(town, analyse(conversation_of(town), strict=True, resamples=2))
    assert "90 people gave 2,160 votes" in re.sub(r"\s+", " ", report)
    top = next(row for row in found["all"] if row["id"] == found["most_agree"][0])
    assert f"Most people agree that: “{top['text']}” ({top['everybody']['agree']}%)" in report
    every = report[report.index("<h2>Every statement") :]
    told = re.findall(r"<h3[^>]*>(.*?)</h3>", every)
    assert told == [row["text"].replace("'", "&#39;") for row in found["all"]]
    assert [group["name"] for group in found["groups"]] == sorted(
        set(re.findall(r'class="unseen">Group </span>(\w)', report))
    )
    assert not re.search(r"<script|<link|<img|src=|https?://", report)
    assert "p17" not in report


@pytest.mark.slow
def test_the_command_writes_one_file(town: Consultation, tmp_path: Path) -> None:
    write_consultation(town, tmp_path / "town")
    out = tmp_path / "report.html"
    words = ["consult", "report", str(tmp_path / "town"), "--out", str(out), "--resamples", "2"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.html"]
    assert "<h2>Every statement" in out.read_text(encoding="utf-8")


@pytest.mark.slow
def test_statements_left_out_are_counted_and_nothing_is_said_where_there_are_none(
    town: Consultation, report: str
) -> None:
    assert "left out" not in report
    scarce = town.statements["statement"][0]
    of_it = town.votes["statement"] == scarce
    fewer = pl.concat([town.votes.filter(~of_it), town.votes.filter(of_it).head(9)])
    told = consultation_report(replace(town, votes=fewer), resamples=2)
    assert "1 statement with fewer than 10 votes is left out." in told


@pytest.fixture(scope="module")
def refused(town: Consultation) -> str:
    """The report of the same town, where most people reject five statements."""
    no = town.votes["statement"].is_in(town.statements["statement"].head(5).implode())
    votes = town.votes.with_columns(
        vote=pl.when(no & (pl.col("vote") == 1)).then(-1).otherwise(pl.col("vote"))
    )
    return consultation_report(replace(town, votes=votes.cast(town.votes.schema)), resamples=2)


@pytest.mark.browser
@pytest.mark.slow
def test_a_printed_report_counts_its_pages_and_has_no_page_that_is_nearly_empty(
    report: str, refused: str, tmp_path: Path, chromium: Any
) -> None:
    assert "What most people reject</h2>" in refused
    assert "What most people reject</h2>" not in report
    assert "No statement is clearly rejected by most." in report
    for name, told in (("report", report), ("refused", refused)):
        file = tmp_path / f"{name}.html"
        file.write_text(told, encoding="utf-8")
        page = chromium.new_page(viewport=PAPER)
        page.goto(file.as_uri())
        # The rules of a printed page: its number stands in the margin.
        rules = "[...document.styleSheets[0].cssRules].map(rule => rule.cssText).join(' ')"
        assert "counter(pages)" in page.evaluate(rules)
        page.emulate_media(media="print")
        heights = [part.bounding_box()["height"] for part in page.locator(".page").all()]
        assert len(heights) == 2 and max(heights) <= PAPER["height"], (name, heights)
        page.close()


@pytest.mark.browser
@pytest.mark.slow
def test_the_first_two_parts_are_a_printed_page_each_and_every_screen_holds_it(
    report: str, tmp_path: Path, chromium: Any
) -> None:
    file = tmp_path / "report.html"
    file.write_text(report, encoding="utf-8")
    for scripts in (True, False):
        page: Any = chromium.new_context(java_script_enabled=scripts).new_page()
        for width in (320, 390, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(file.as_uri())
            no_sideways(page)
        page.emulate_media(media="print")
        page.set_viewport_size(PAPER)
        heights = [part.bounding_box()["height"] for part in page.locator(".page").all()]
        assert len(heights) == 2 and max(heights) <= PAPER["height"], heights
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = chromium.new_page()
    page.goto(file.as_uri())
    assert [v["id"] for v in axe.Axe().run(page).response["violations"]] == []
