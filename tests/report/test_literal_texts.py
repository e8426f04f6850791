"""Texts from files come out of every terminal page as they are: square brackets are no markup."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import suffrage
from suffrage.cli.options import print_rich
from suffrage.plain_table import PlainTable
from suffrage.population import build_value_set
from suffrage.population.rectify import Estimated, Rectified
from suffrage.population.segments import SegmentSettings, find_segments
from suffrage.report.leaderboard import compare_runs, leaderboard_text
from suffrage.report.tables import write_result_files
from suffrage.report.terminal import plan_table, scoreboard
from suffrage.report.terminal_pages.estimates import estimates_text
from suffrage.report.terminal_pages.principles import disagreement_table
from suffrage.report.terminal_pages.profile import comparison_table, profile_table
from suffrage.report.terminal_pages.representativeness import representativeness_text
from suffrage.report.terminal_pages.segments import segments_text
from suffrage.report.terminal_pages.topics import find_topics, topics_text
from suffrage.report.terminal_pages.values import scores_table, taxonomy_table
from suffrage.study.planning.hardware import HardwarePlan, Machine, hardware_table
from suffrage.survey import Item, Option, Provenance, SetAside, Survey
from suffrage.survey.inspection import inspect
from suffrage.survey.survey import ReadCode
from suffrage.survey.weighting import Category, Representativeness
from suffrage.values.taxonomies import Taxonomy, Value
from tests.report.example_results import example_results
from tests.synthetic import make_survey

HOSTILE = "[/x] [bold]I am not [nationality] :smile: [link=x]"
SOURCE = Path(suffrage.__file__).parent


def hostile_survey() -> Survey:
    """A survey in which every text that a file gives is hostile."""
    plain = make_survey(items=3)
    items = tuple(
        Item(
            id=item.id,
            question=f"{HOSTILE} {place}",
            options=tuple(Option(code=o.code, text=f"{HOSTILE} {o.code}") for o in item.options),
            note=HOSTILE,
        )
        for place, item in enumerate(plain.codebook.items)
    )
    book = plain.codebook.model_copy(
        update={"title": HOSTILE, "items": items, "citation": HOSTILE, "terms": HOSTILE}
    )
    about = Provenance(
        reader="made-up",
        files={HOSTILE: "abc"},
        statement=HOSTILE,
        weight_variable=HOSTILE,
        set_aside=(SetAside(HOSTILE, 1, HOSTILE),),
        read_codes=(ReadCode(HOSTILE, HOSTILE, HOSTILE, "refused", HOSTILE),),
    )
    frame = plain.responses.with_columns(region=plain.responses["region"] + HOSTILE)
    return Survey(frame, book, about)


SURVEY = hostile_survey()


def value_set(region: str) -> Any:
    where = {"region": region + HOSTILE}
    return build_value_set(SURVEY, region + HOSTILE, where, 1, HOSTILE)


def profile() -> Any:
    return profile_table(value_set("north"))


def comparison() -> Any:
    return comparison_table(value_set("north"), value_set("south"))


def segments() -> Any:
    pytest.importorskip("sklearn")
    wanted = SegmentSettings(classes=2, bootstraps=2, names=(HOSTILE, "other"))
    return segments_text(find_segments(SURVEY, {}, wanted, 1), SURVEY)


def representativeness() -> Any:
    category = Category(HOSTILE, HOSTILE, 5, 0.5, 0.4, 0.5, 0.6)
    found = Representativeness(
        HOSTILE, (category,), {HOSTILE: (0.1, 0.0)}, 10, (9.0, 8.0), (1.1, 1.2), 0.0, 3, 0, 2.0
    )
    return representativeness_text(found)


def taxonomy() -> Any:
    value = Value(HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), None)
    return taxonomy_table(Taxonomy("x", HOSTILE, HOSTILE, (value,)))


def scores() -> Any:
    group = {
        "people": 9,
        "respondents": 8,
        "set_aside": 1,
        "answered": {"a": 8},
        "mean": {"a": 0.1},
        "standard_error": {"a": 0.1},
    }
    return scores_table(
        {
            "title": HOSTILE,
            "scale": "centred",
            "values": {"a": HOSTILE},
            "alpha": {"a": 0.5},
            "omega": {"a": 0.5},
            "reversed": [HOSTILE],
            "directions": {HOSTILE: {"most": HOSTILE, "is_last": True, "why": "its labels"}},
            "value_sets": {HOSTILE: group},
            "circle": None,
            "map": None,
            "no_map": HOSTILE,
        }
    )


def disagreements() -> Any:
    numbers = dict.fromkeys(("survey", "consultation", "difference", "low", "high", "voters"), 0.5)
    return disagreement_table(
        [{"value_set": HOSTILE, "statement": HOSTILE, "clear": True, **numbers}]
    )


def plan() -> Any:
    stage = {"kind": HOSTILE, "label": HOSTILE, "memory_bytes": 1, "seconds": 1, "finished": False}
    return plan_table({"stages": [stage], "seconds_left": 1, "parameters": 1, "money": None})


def hardware() -> Any:
    machine = Machine(HOSTILE, "h100", 1, HOSTILE, 1.0, 1.0, 1.0, 1.0, 2.0)
    return hardware_table(HardwarePlan([machine], []), HOSTILE)


def estimates() -> Any:
    item = SURVEY.codebook.items[0]
    share = np.full(len(item.options), 1 / len(item.options))
    estimated = Estimated(share, share, share, share)
    found = Rectified(estimated, share, estimated, 0.5, 0.1, 50, 50.0, 60.0, None, True)
    one = SimpleNamespace(
        group=HOSTILE, item=item, found=found, told_apart=3, known=share, trial=None
    )
    return estimates_text(
        SimpleNamespace(
            title=HOSTILE,
            label=HOSTILE,
            sample=None,
            seed=0,
            estimates=[one],
            left_out=[HOSTILE],
        )
    )


PAGES: dict[str, Callable[[], Any]] = {
    "inspect": lambda: inspect(SURVEY).render(every_item=True),
    "topics": lambda: topics_text(find_topics(SURVEY), SURVEY),
    "profile": profile,
    "comparison": comparison,
    "segments": segments,
    "representativeness": representativeness,
    "taxonomy": taxonomy,
    "scores": scores,
    "disagreements": disagreements,
    "plan": plan,
    "hardware": hardware,
    "estimates": estimates,
}


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_hostile_text_is_printed_literally(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    page = PAGES[name]()
    print_rich(page)
    assert squeezed(HOSTILE) in squeezed(capsys.readouterr().out)
    # A library's user may print the page with a console of their own.
    stream = io.StringIO()
    Console(file=stream, width=1000, emoji=False).print(page)
    assert squeezed(HOSTILE) in squeezed(stream.getvalue())


@pytest.mark.slow
def test_runs_and_scoreboards_print_names_of_methods_and_studies_literally(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    results = example_results()
    methods = [m.model_copy(update={"label": HOSTILE + m.label}) for m in results.methods]
    hostile = results.model_copy(update={"methods": methods})
    print_rich(scoreboard(hostile))
    assert squeezed(HOSTILE) in squeezed(capsys.readouterr().out)
    write_result_files(hostile, tmp_path / "[bold]one[x]")
    write_result_files(hostile, tmp_path / "two[/x]")
    found = compare_runs([tmp_path / "[bold]one[x]", tmp_path / "two[/x]"], "fit", False)
    print_rich(leaderboard_text(found))
    assert squeezed(HOSTILE) in squeezed(capsys.readouterr().out)


def test_plain_tables_take_headings_and_cells_literally() -> None:
    table = PlainTable(HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE, None)
    stream = io.StringIO()
    Console(file=stream, width=1000).print(table)
    assert stream.getvalue().count(HOSTILE) == 3


def names_imported(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rich"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("rich")}
    return found


# What of Rich takes a text literally, or takes no text.
LITERAL = {
    "rich.box",
    "rich.cells.cell_len",
    "rich.console.Console",
    "rich.console.ConsoleOptions",
    "rich.console.Group",
    "rich.console.RenderableType",
    "rich.console.RenderResult",
    "rich.containers.Lines",
    "rich.measure.Measurement",
    "rich.padding.Padding",
    "rich.segment.Segment",
    "rich.text.Text",
    "rich.progress.BarColumn",
    "rich.progress.Progress",
    "rich.progress.TextColumn",
    "rich.progress.TimeElapsedColumn",
}


@pytest.mark.slow
def test_no_module_uses_a_part_of_rich_that_reads_markup() -> None:
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        allowed = {*LITERAL, "rich.table.Table"} if path.name == "plain_table.py" else LITERAL
        assert names_imported(tree) <= {*allowed, "rich"}, path
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            assert name not in ("from_markup", "render_str"), path
            if name not in ("Console", "TextColumn"):
                continue
            markup = {key.arg: ast.unparse(key.value) for key in call.keywords}.get("markup")
            if name == "Console" and "stderr=True" not in ast.unparse(call):
                assert markup == "False", path
            if name == "TextColumn" and "task.description" in ast.unparse(call):
                assert markup == "False", path


def test_a_long_name_is_broken_behind_its_hyphens_and_not_in_a_word() -> None:
    table = PlainTable(box=None, pad_edge=False)
    table.add_column("Method", overflow="fold")
    table.add_column("Fit", no_wrap=True)
    table.add_row("constitutional-with-proportional-preferences", "0.75 [0.70, 0.80]")
    table.add_row("nothing to break here", "0.75")
    stream = io.StringIO()
    Console(file=stream, width=44).print(table)
    lines = [line.split("  ")[0].strip() for line in stream.getvalue().splitlines()]
    assert lines == [
        "Method",
        "constitutional-with-",
        "proportional-preferences",
        "nothing to break here",
    ]
