"""The scoreboard in a terminal fits 80 columns, and is plain text elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from suffrage.report.numbers import number, way_text
from suffrage.report.page import render_report
from suffrage.report.tables import scoreboard_rows
from suffrage.report.terminal import scoreboard

from .example_results import example_results


def printed(terminal: bool, width: int = 80) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system=None)
    console.print(scoreboard(example_results()))
    return out.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_it_fits_80_columns_with_every_method_and_figure(terminal: bool) -> None:
    text = printed(terminal)
    assert max(len(line) for line in text.splitlines()) <= 80
    for row in scoreboard_rows(example_results()):
        assert row.held_out is not None
        assert row.trained is not None
        assert number(row.held_out.value) in text
        assert number(row.trained.value) in text
        assert way_text(row.held_out) in text
    assert "6 min" in text
    assert "…" not in text


def test_a_pipe_gets_plain_text_one_line_a_method() -> None:
    lines = printed(terminal=False).splitlines()
    assert not any(character in "─│┃━" for line in lines for character in line)
    assert "\x1b" not in "".join(lines)
    labels = [row.method.label for row in scoreboard_rows(example_results())]
    assert [line.startswith(label) for label, line in zip(labels, lines[1:], strict=False)] == [
        True
    ] * len(labels)


def test_missing_intervals_and_labels_with_markup_do_not_break_it() -> None:
    results = example_results(methods=["base"])
    bare = results.model_copy(
        update={
            "figures": [f.model_copy(update={"low": None, "high": None}) for f in results.figures],
            "methods": [m.model_copy(update={"label": f"[red]{m.name}"}) for m in results.methods],
        }
    )
    out = io.StringIO()
    Console(file=out, width=80).print(scoreboard(bare))
    assert "None" not in out.getvalue()
    assert "(too few)" in out.getvalue()
    assert "too few questions to tell" in " ".join(out.getvalue().split())
    assert "too few" not in printed(terminal=False)
    assert "[red]base" in out.getvalue()


def test_fit_said_in_a_sentence_is_shown_where_it_was_read() -> None:
    results = example_results()
    said = [
        figure.model_copy(update={"readout": "sentence", "value": 0.123})
        for figure in results.figures
        if figure.readout == "text" and figure.method == "sft"
    ]
    results = results.model_copy(update={"figures": [*results.figures, *said]})
    console = Console(file=io.StringIO(), width=80)
    console.print(scoreboard(results))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Said" in text and "0.12" in text and "EMD" not in text
    assert "Fit said in a sentence" in render_report(results)
