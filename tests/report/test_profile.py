"""What `suffrage profile` shows."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.population import ValueSet, build_value_set
from suffrage.population.published import SourcePopulation, published_value_set
from suffrage.report.terminal_pages.profile import (
    _percent,
    comparison_table,
    profile_json,
    profile_table,
    write_profile_page,
)
from suffrage.survey.published_table import PublishedAnswer, build_table
from tests.population.test_design import with_design
from tests.study.conftest import Write, write_study
from tests.synthetic import make_survey

__all__ = ["write_study"]

SURVEY = make_survey()
NORTH = build_value_set(SURVEY, "north", {"region": "north"}, 1, "people <up> north")
SOUTH = build_value_set(SURVEY, "south", {"region": "south"}, 1, "people down south")


def printed(renderable: object) -> str:
    console = Console(width=80, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_the_profile_shows_every_share_with_its_interval() -> None:
    shown = " ".join(printed(profile_table(NORTH)).split())
    rows = profile_json(NORTH)["shares"]
    for row in rows:
        p, m, z = row["share"], row["n_eff"], 1.959964
        if row["standard_error"]:
            m = p * (1 - p) / row["standard_error"] ** 2
        # Wilson's score interval, solved for the ends.
        roots = np.roots([1 + z**2 / m, -(2 * p + z**2 / m), p**2])
        assert sorted(roots) == pytest.approx([row["low"], row["high"]], abs=1e-9)
        low = "<1%" if 0 < row["low"] < 0.005 else f"{row['low']:.0%}"
        assert f"{p:.0%} ({low} to {row['high']:.0%})" in shown
    assert f"{NORTH.n} respondents" in shown and "taken as independent" in shown


def test_intervals_follow_the_sampling_design() -> None:
    clustered = with_design()
    people = clustered.responses.drop("stratum", "psu")
    plain = build_value_set(clustered.with_responses(people), "everyone", seed=1)
    designed = build_value_set(clustered, "everyone", seed=1)
    units = clustered.responses.select("stratum", "psu").unique()
    freedom = units.height - units["stratum"].n_unique()
    assert designed.degrees_of_freedom == freedom and plain.degrees_of_freedom is None
    item = next(iter(designed.distributions.values()))
    wanted = (item.shares * (1 - item.shares)).sum() / (item.standard_errors**2).sum()
    assert item.effective_answers == pytest.approx(wanted)
    shown = " ".join(printed(profile_table(designed)).split())
    assert f"{item.effective_answers:,.0f} by weights and design" in shown
    assert f"Student's t for {freedom:,} degrees of freedom" in shown
    stats = pytest.importorskip("scipy.stats")
    rows = [row for row in profile_json(designed)["shares"] if row["item"] == item.item.id]
    p, m = item.shares[0], item.shares[0] * (1 - item.shares[0]) / item.standard_errors[0] ** 2
    t = stats.t.ppf(0.975, freedom)
    roots = np.roots([1 + t**2 / m, -(2 * p + t**2 / m), p**2])
    assert sorted(roots) == pytest.approx([rows[0]["low"], rows[0]["high"]], abs=1e-6)


def test_a_small_group_says_how_much_weight_its_parent_has() -> None:
    few = build_value_set(SURVEY, "few", {"age": [str(age) for age in range(20, 26)]}, 1)
    weights = {item: d.pooled for item, d in few.distributions.items()}
    assert min(weights.values()) > 0
    shown = " ".join(printed(profile_table(few)).split())
    assert "8 of 8 items are drawn toward the parent population" in shown
    for weight in weights.values():
        assert f"weight of the parent population {weight:.0%}" in shown
    assert profile_json(few)["pooled"] == weights
    assert profile_json(NORTH)["pooled"] == {} and "drawn toward" not in printed(
        profile_table(NORTH)
    )


def test_the_comparison_puts_the_greatest_difference_first() -> None:
    rows = profile_json(NORTH, SOUTH)["items"]
    first = SURVEY.codebook[rows[0]["item_id"]].question
    shown = " ".join(printed(comparison_table(NORTH, SOUTH)).split())
    assert shown.index(first[:20]) < shown.index(SURVEY.codebook[rows[-1]["item_id"]].question[:20])


def test_the_page_is_whole_in_itself_and_escapes_what_it_shows(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_profile_page(NORTH, SOUTH, path)
    page = path.read_text()
    assert "people &lt;up&gt; north" in page and "<up>" not in page
    assert not re.search(r"""(src|href)\s*=\s*["']https?:""", page)
    assert page.count("<svg") == 2 * sum(len(item.options) for item in SURVEY.codebook.items)
    assert page.count("aria-label") == page.count("<svg")


@pytest.mark.slow
def test_the_commands_print_json_for_scripts(write_study: Write, tmp_path: Path) -> None:
    study = str(write_study())
    run = CliRunner()
    profile = run.invoke(app, ["profile", study, "north", "--json"])
    assert json.loads(profile.stdout)["value_set"] == "north"
    plot = str(tmp_path / "plot.html")
    both = run.invoke(app, ["profile", study, "north", "--against", "south", "--out", plot])
    assert both.exit_code == 0 and Path(plot).exists()
    seen = json.loads(run.invoke(app, ["survey", "inspect", study, "--json"]).stdout)
    assert seen["respondents"] == 240
    assert json.loads(run.invoke(app, ["doctor", "--json"]).stdout)["versions"]["suffrage"]


@pytest.mark.slow
def test_every_command_has_help_with_an_example() -> None:
    run = CliRunner()
    for words in (["run"], ["plan"], ["profile"], ["report"], ["doctor"], ["survey", "inspect"]):
        shown = run.invoke(app, [*words, "--help"])
        assert shown.exit_code == 0 and "Example:" in shown.stdout, words


def published(name: str, shares: tuple[float, ...], n: float | None) -> ValueSet:
    row = PublishedAnswer(name, "Are there too few buses?", ("Yes", "No"), shares, n, key="buses")
    table = build_table(
        [row], title="t", reader="t", files={"t.csv": "0"}, weighting="as published"
    )
    return published_value_set([SourcePopulation(table, name)], name)


def test_a_table_that_gives_no_number_of_people_has_no_intervals(tmp_path: Path) -> None:
    north, south = published("north", (0.6, 0.4), None), published("south", (0.3, 0.7), None)
    write_profile_page(north, None, tmp_path / "one.html")
    write_profile_page(north, south, tmp_path / "two.html")
    pages = [(tmp_path / name).read_text() for name in ("one.html", "two.html")]
    for page in (printed(profile_table(north)), printed(comparison_table(north, south)), *pages):
        words = " ".join(re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL).split())
        assert "nan" not in words and "0 respondents" not in words
        assert "How many respondents there are is not known" in words
    for page in (printed(profile_table(north)), pages[0]):
        words = " ".join(page.split())
        assert "No intervals, because the table does not say how many people answered." in words
        assert "95%" not in words and "n not known" in words
    assert "too little is known to tell" in " ".join(pages[1].split())


def test_only_the_value_set_with_a_number_of_people_has_intervals(tmp_path: Path) -> None:
    north, south = published("north", (0.6, 0.4), 500), published("south", (0.3, 0.7), None)
    write_profile_page(north, south, tmp_path / "two.html")
    page = " ".join((tmp_path / "two.html").read_text().split())
    assert "Those of north come from" in page
    assert "south has none: its table gives no number of people." in page
    assert page.count('class="interval"') == 2


def test_a_share_is_never_rounded_to_nobody_or_everybody() -> None:
    shares = (0.0, 1e-9, 10 / 3000, 0.005, 0.006, 0.5, 0.994, 0.995, 2990 / 3000, 1.0)
    assert [_percent(share) for share in shares] == [
        *("0%", "<1%", "<1%", "<1%", "1%", "50%", "99%", ">99%", ">99%", "100%")
    ]


def test_the_bars_round_as_the_intervals_do() -> None:
    survey = make_survey(respondents=3000)
    answers = pl.Series([0] * 10 + [1] * 2990, dtype=pl.Int16)
    rare = survey.with_responses(survey.responses.with_columns(q0=answers))
    shown = printed(profile_table(build_value_set(rare, "all", {}, 1)))
    first = next(line for line in shown.splitlines() if "<1% to" in line)
    assert re.search(r"<1% +\(<1% to 1%\)", first), first
