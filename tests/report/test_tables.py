"""Tables say what the results say, and read back."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path

import pytest
from rich.console import Console

from suffrage.errors import InputError
from suffrage.evaluate.results import Results
from suffrage.report.numbers import duration, interval, number, signed, way_note, way_text
from suffrage.report.tables import (
    fit_difference,
    fit_figure,
    latex_differences,
    latex_escaped,
    latex_scoreboard,
    read_results,
    scoreboard_rows,
    write_result_files,
)
from suffrage.report.terminal import scoreboard

from .example_results import example_results


@pytest.fixture(scope="module")
def results() -> Results:
    return example_results()


@pytest.fixture(scope="module")
def folder(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "tables"
    write_result_files(results, folder)
    return folder


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / name).read_text(encoding="utf-8"))))


def test_results_read_back_equal(results: Results, folder: Path) -> None:
    read = read_results(folder / "results.json")
    assert read.model_dump_json() == results.model_dump_json()
    assert any(a.refused and math.isnan(a.shares[0]) for a in read.answers)
    kept = [a for a in results.answers if not a.refused]
    assert [a for a in read.answers if not a.refused] == kept


def test_figures_csv_holds_every_figure_to_the_last_digit(results: Results, folder: Path) -> None:
    rows = rows_of(folder, "figures.csv")
    assert len(rows) == len(results.figures)
    for row, figure in zip(rows, results.figures, strict=True):
        for name in ("evaluation", "measure", "method", "value_set", "side", "readout"):
            assert row[name] == getattr(figure, name)
        assert (row["seed"], row["n"]) == (str(figure.seed), str(figure.n))
        for name in ("value", "low", "high", "floor", "ceiling"):
            assert (float(row[name]) if row[name] else None) == getattr(figure, name)


def test_the_way_is_the_place_between_floor_and_ceiling(results: Results) -> None:
    figure = next(f for f in results.figures if f.measure == "fit")
    assert figure.model_copy(update={"value": 0.625, "floor": 0.5, "ceiling": 1.0}).way == 0.25
    for edges in ({"floor": None}, {"ceiling": None}, {"floor": 0.9, "ceiling": 0.94}):
        assert figure.model_copy(update=edges).way is None


def test_a_way_between_a_floor_and_a_ceiling_that_nearly_meet_is_not_measured(
    results: Results,
) -> None:
    figure = next(f for f in results.figures if f.measure == "fit")
    near = figure.model_copy(update={"value": 0.6, "floor": 0.94, "ceiling": 0.97})
    far = figure.model_copy(update={"value": 0.6, "floor": 0.5, "ceiling": 1.0})
    unknown = figure.model_copy(update={"ceiling": None})
    assert [way_text(f) for f in (near, far, unknown, None)] == ["too close", "20%", "–", "–"]
    assert "less than 0.05 apart" in way_note([far, near])
    assert way_note([far, unknown, None]) == ""
    floors = {"floor": 0.94, "ceiling": 0.97}
    close = results.model_copy(
        update={"figures": [f.model_copy(update=floors) for f in results.figures]}
    )
    out = io.StringIO()
    Console(file=out, width=80).print(scoreboard(close))
    for text in (latex_scoreboard(close), " ".join(out.getvalue().split())):
        assert "too close" in text and "less than 0.05 apart" in text
    assert max(len(line) for line in out.getvalue().splitlines()) <= 80


def test_differences_csv_says_where_the_interval_lies(results: Results, folder: Path) -> None:
    for row, d in zip(rows_of(folder, "differences.csv"), results.figure_differences, strict=True):
        assert d.low is not None
        assert d.high is not None
        assert float(row["value"]) == d.value
        expected = "higher" if d.low > 0 else "lower" if d.high < 0 else "same"
        assert row["verdict"] == expected


def test_answers_csv_has_one_row_an_answer_with_its_population(
    results: Results, folder: Path
) -> None:
    rows = rows_of(folder, "answers.csv")
    assert len(rows) == len(results.answers)
    targets = {(t.value_set, t.item): t.shares for t in results.targets}
    for row, answer in zip(rows, results.answers, strict=True):
        size = len(answer.shares)
        population = [float(row[f"population_{k + 1}"]) for k in range(size)]
        assert population == targets[answer.value_set, answer.item]
        if not answer.refused:
            assert [float(row[f"share_{k + 1}"]) for k in range(size)] == answer.shares
        else:
            assert row["share_1"] == ""


def test_a_cell_is_never_a_formula(results: Results, tmp_path: Path) -> None:
    figures = [results.figures[0].model_copy(update={"method": "=HYPERLINK(1)"})]
    write_result_files(results.model_copy(update={"figures": figures}), tmp_path)
    assert rows_of(tmp_path, "figures.csv")[0]["method"] == "'=HYPERLINK(1)"


def test_the_page_on_evaluations_names_every_file_that_is_written(folder: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "evaluations.md").read_text(encoding="utf-8")
    written = {path.name for path in folder.iterdir() if path.is_file()}
    assert {"scoreboard.tex", "differences.tex"} <= written
    assert {name for name in written if f"`{name}`" not in page} == set()
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert "`scoreboard.tex`" in readme and "`differences.tex`" in readme


def test_the_latex_table_holds_the_scoreboard(results: Results, folder: Path) -> None:
    tex = (folder / "scoreboard.tex").read_text(encoding="utf-8")
    body = tex.split(r"\midrule")[1].split(r"\bottomrule")[0]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    rows = scoreboard_rows(results)
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        cells = line.removeprefix("{}").removesuffix(r" \\").split(" & ")
        assert len(cells) == 7
        assert cells[0] == row.method.label
        assert row.held_out is not None
        figures = [float(figure) for figure in re.findall(r"[\d.]+", cells[1])]
        expected = (row.held_out.value, row.held_out.low, row.held_out.high)
        assert figures == pytest.approx(expected, abs=5e-4)
    assert "Jensen-Shannon distance (base 2)" in tex
    for name in ("table", "tabular"):
        assert tex.count(rf"\begin{{{name}}}") == tex.count(rf"\end{{{name}}}") == 1
    bare = tex.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")


def test_the_markdown_table_holds_the_scoreboard(results: Results, folder: Path) -> None:
    lines = (folder / "scoreboard.md").read_text(encoding="utf-8").splitlines()
    rows = scoreboard_rows(results)
    assert len(lines) == len(rows) + 2
    assert len({line.count("|") for line in lines}) == 1
    for line, row in zip(lines[2:], rows, strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[0] == row.method.label
        assert row.held_out is not None
        figures = [float(figure) for figure in re.findall(r"[\d.]+", cells[1])]
        expected = (row.held_out.value, row.held_out.low, row.held_out.high)
        assert figures == pytest.approx(expected, abs=5e-3)


def test_latex_special_characters_are_escaped(results: Results, tmp_path: Path) -> None:
    assert latex_escaped(r"50% & $x_1$ #{\a} ~^") == (
        r"50\% \& \$x\_1\$ \#\{\textbackslash{}a\} \textasciitilde{}\textasciicircum{}"
    )
    study = results.study.model_copy(update={"title": "50% & more_\n\\end{table}"})
    write_result_files(results.model_copy(update={"study": study}), tmp_path)
    tex = (tmp_path / "scoreboard.tex").read_text(encoding="utf-8")
    assert r"50\% \& more\_ \textbackslash{}end\{table\}" in tex
    assert [line for line in tex.splitlines() if line == r"\end{table}"] == [r"\end{table}"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not readable as JSON"),
        ("[]", "not a Suffrage results file"),
        ('{"study": {}, "version": 9}', "version 9, and this Suffrage reads version 4"),
        ('{"study": {}, "format": 1}', "no version.*write it again with `suffrage run`"),
        ('{"study": {}, "version": 4}', "faults"),
    ],
)
def test_a_file_that_is_no_results_file_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_results(path)


def test_a_missing_or_cut_file_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_results(tmp_path / "nothing.json")
    content = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    content["figures"][3]["value"] = "high"
    (tmp_path / "results.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=r"figures\.3\.value"):
        read_results(tmp_path / "results.json")


def test_a_difference_turned_round_keeps_its_interval(results: Results) -> None:
    there = fit_difference(results, "sft", "base", "held_out")
    back = fit_difference(results, "base", "sft", "held_out")
    assert there is not None
    assert back is not None
    assert there.low is not None
    assert (back.value, back.high) == (-there.value, -there.low)


def test_numbers_read_as_people_write_them() -> None:
    assert number(-0.5) == "−0.50"
    assert number(None) == number(float("nan")) == "–"
    assert number(-0.001) == signed(0.001) == signed(-0.001) == "0.00"
    assert signed(0.08) == "+0.08"
    assert interval(0.1, None) == "too few questions to tell"
    assert [duration(s) for s in (4.2, 45, 130, 11100)] == [
        "4.2 s",
        "45 s",
        "2 min 10 s",
        "3 h 05 min",
    ]


def test_a_changed_copy_is_looked_up_afresh(results: Results) -> None:
    found = fit_figure(results, "sft")
    assert found is not None and results.main_side == "held_out"
    assert fit_difference(results, "sft", "base") is not None
    one = found.model_copy(update={"value": 0.123})
    changed = results.model_copy(update={"figures": [one], "figure_differences": [], "items": []})
    assert fit_figure(changed, "sft") == one
    assert fit_figure(changed, "base") is None
    assert fit_difference(changed, "sft", "base") is None
    assert fit_figure(results, "sft") == found


def test_the_differences_for_latex_have_every_pair_once_with_interval_and_verdict() -> None:
    results = example_results()
    text = latex_differences(results)
    pairs = results.differences_of("fit", "fit", side=results.main_side)
    rows = [line for line in text.splitlines() if line.startswith("{}")]
    assert len(rows) == len(pairs) and all(row.count(" & ") == 5 for row in rows)
    assert r"\begin{tabular}{llllrl}" in text and r"95\% intervals" in text
    widest = max(pairs, key=lambda d: abs(d.value))
    assert f"{abs(widest.value):.3f} [" in rows[0]
    words = {"higher": "closer", "lower": "further", "same": "not told apart"}
    for verdict, word in words.items():
        assert sum(word in row for row in rows) == sum(d.verdict == verdict for d in pairs)
