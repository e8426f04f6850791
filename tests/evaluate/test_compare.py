"""Runs against each other: what may be compared, what comes out, and how chance is counted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suffrage.arguments import written_as_options
from suffrage.errors import InputError
from suffrage.evaluate.compare import Run, compare_results, difference_of
from suffrage.evaluate.results import Results
from suffrage.evaluate.statistics.figures import holm
from suffrage.population.distribution_distances import fit
from suffrage.report.leaderboard import (
    compare_runs,
    leaderboard_json,
    leaderboard_text,
    read_runs,
    write_leaderboard_page,
)
from suffrage.report.tables import write_result_files
from tests.report.example_results import example_results

pytestmark = pytest.mark.slow


def run(name: str, results: Results, **study: Any) -> Run:
    facts = results.study.model_copy(update={"name": name, **study})
    return Run(name, results.model_copy(update={"study": facts}))


def blended(results: Results, method: str, away: float) -> Results:
    """The same results, with `method` this far from the target toward the even answer."""
    targets = {(t.value_set, t.item): np.array(t.shares) for t in results.targets}

    def moved(answer: Any) -> Any:
        if answer.method != method:
            return answer
        p = targets[answer.value_set, answer.item]
        return answer.model_copy(
            update={"shares": ((1 - away) * p + away / p.size).tolist(), "refused": False}
        )

    return results.model_copy(update={"answers": [moved(a) for a in results.answers]})


@pytest.fixture(scope="module")
def results() -> Results:
    return example_results(repeat_items=5)


def test_a_figure_is_the_mean_over_held_out_answers_and_the_same_as_by_hand(
    results: Results,
) -> None:
    (board,) = compare_results([run("one", results)]).boards
    targets = {(t.value_set, t.item): np.array(t.shares) for t in results.targets}
    for standing in board.standings:
        by_hand = [
            fit(targets[a.value_set, a.item], np.array(a.shares))
            for a in results.answers
            if (a.method, a.side, a.readout) == (standing.method, "held_out", "letters")
        ]
        assert standing.value == pytest.approx(np.mean(by_hand))
        assert standing.low is not None and standing.high is not None
        assert standing.low < standing.value < standing.high


def test_the_same_answers_in_two_runs_are_one_row_and_are_not_compared_with_themselves(
    results: Results,
) -> None:
    other = blended(results, "sft", 0.1)
    (board,) = compare_results([run("one", results), run("two", other)]).boards
    rows = [(s.method, s.runs) for s in board.standings]
    assert ("base", ("one", "two")) in rows
    assert ("uniform", ("one", "two")) in rows
    assert {runs for method, runs in rows if method == "sft"} == {("one",), ("two",)}
    assert not any(pair.first == pair.second for pair in board.pairs)


def test_the_better_of_two_runs_is_told_apart_and_the_correction_is_holms(
    results: Results,
) -> None:
    near, far = blended(results, "sft", 0.05), blended(results, "sft", 0.4)
    (board,) = compare_results([run("near", near), run("far", far)]).boards
    at = {(s.method, s.runs[0]): place for place, s in enumerate(board.standings)}
    pair = board.pair(at["sft", "near"], at["sft", "far"])
    assert pair is not None and pair.low is not None
    assert pair.value > 0 and pair.low > 0
    assert pair.verdict == "higher"
    turned = board.pair(at["sft", "far"], at["sft", "near"])
    assert turned is not None and turned.value == -pair.value
    assert turned.verdict == "lower"
    tested = [p for p in board.pairs if p.p is not None]
    assert [p.adjusted for p in tested] == pytest.approx(holm([p.p or 0.0 for p in tested]))


def test_what_is_better_lower_or_nearer_one_comes_first(results: Results) -> None:
    runs = [
        run("near", blended(results, "sft", 0.05)),
        run("far", blended(results, "sft", 0.6)),
    ]
    for measure in ("emd", "entropy_ratio", "slope"):
        (board,) = compare_results(runs, measure).boards
        places = {s.runs[0]: k for k, s in enumerate(board.standings) if s.method == "sft"}
        assert places["near"] < places["far"], measure
        pair = board.pair(places["near"], places["far"])
        assert pair is not None and pair.value > 0, measure


def test_only_seeds_with_the_same_held_out_items_are_compared(results: Results) -> None:
    one_seed = results.model_copy(update={"answers": [a for a in results.answers if a.seed == 7]})
    items = [i.model_copy(update={"side": {7: i.side[7]}}) for i in results.items]
    one_seed = one_seed.model_copy(update={"items": items})
    (board,) = compare_results([run("both", results), run("one", one_seed, seeds=[7])]).boards
    assert board.splits == 1
    assert any("seeds 8 are left out" in note for note in board.notes)
    held = {i.id for i in results.items if i.side[7] == "held_out"}
    assert board.questions == len(held)


def test_seeds_that_hold_out_the_same_items_are_averaged_and_not_counted_as_questions(
    results: Results,
) -> None:
    one = example_results(seeds=[7], repeat_items=5)
    items = [i.model_copy(update={"side": {7: i.side[7], 9: i.side[7]}}) for i in one.items]
    again = [a.model_copy(update={"seed": 9}) for a in one.answers]
    twice = one.model_copy(update={"items": items, "answers": [*one.answers, *again]})
    (single,) = compare_results([run("single", one)]).boards
    (double,) = compare_results([run("double", twice, seeds=[7, 9])]).boards
    assert [(s.method, s.value, s.low) for s in single.standings] == [
        (s.method, s.value, s.low) for s in double.standings
    ]


def changed_first(results: Results, part: str, **update: Any) -> Results:
    rows = list(getattr(results, part))
    rows[0] = rows[0].model_copy(update=update)
    return results.model_copy(update={part: rows})


@pytest.mark.slow
def test_runs_that_are_not_alike_get_tables_of_their_own_with_the_reason(
    results: Results,
) -> None:
    one = run("one", results)
    survey = results.surveys[0].model_copy(update={"files": {"other.csv": "00"}})
    other_split = [
        i.model_copy(update={"side": {7: "held_out" if i.id == "env" else "trained", 8: "trained"}})
        for i in results.items
    ]
    cases = {
        "survey files differ": results.model_copy(update={"surveys": [survey]}),
        "questions differ (env)": changed_first(results, "items", question="Another question?"),
        "value sets differ (nz)": changed_first(results, "value_sets", description="Others"),
        "what people answered differs": changed_first(
            results, "targets", shares=results.targets[0].shares[::-1]
        ),
        "hold different items out": results.model_copy(update={"items": other_split}),
    }
    for reason, other in cases.items():
        assert reason in (difference_of(one, run("two", other)) or ""), reason
        found = compare_results([one, run("two", other)])
        assert any(reason in why for why in found.apart)
        assert all(len(board.runs) == 1 for board in found.boards)
    strange = run("two", results, model="owner/other")
    assert "models differ" in (difference_of(one, strange) or "")
    assert "across_models puts them" in (difference_of(one, strange) or "")
    with written_as_options():
        assert "--across-models puts them" in (difference_of(one, strange) or "")
    together = compare_results([one, strange], across_models=True)
    assert len(together.boards) == 1
    assert any("different models" in note for note in together.boards[0].notes)


def test_the_order_of_runs_changes_no_figure(results: Results) -> None:
    runs = [run("one", results), run("two", blended(results, "sft", 0.2))]
    there, back = (compare_results(order).boards[0] for order in (runs, runs[::-1]))
    assert [(s.method, s.value, s.low, s.high) for s in there.standings] == [
        (s.method, s.value, s.low, s.high) for s in back.standings
    ]
    assert [pair.adjusted for pair in there.pairs] == [pair.adjusted for pair in back.pairs]


def test_folders_without_results_and_unknown_measures_are_named(
    results: Results, tmp_path: Path
) -> None:
    write_result_files(results, tmp_path / "one")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: no results\.json there"):
        read_runs([tmp_path / "one", tmp_path / "empty"])
    with pytest.raises(InputError, match="given twice"):
        read_runs([tmp_path / "one", tmp_path / "one" / "results.json"])
    with pytest.raises(InputError, match=r'"speed": these runs have fit, emd'):
        compare_runs([tmp_path / "one"], "speed", False)
    trained = [
        i.model_copy(update={"side": dict.fromkeys(i.side, "trained")}) for i in results.items
    ]
    write_result_files(results.model_copy(update={"items": trained}), tmp_path / "none")
    with pytest.raises(InputError, match="holds nothing out"):
        compare_runs([tmp_path / "none"], "fit", False)


@pytest.mark.slow
def test_terminal_json_and_page_show_the_same_figures(results: Results, tmp_path: Path) -> None:
    from rich.console import Console

    write_result_files(results, tmp_path / "one")
    write_result_files(blended(results, "sft", 0.2), tmp_path / "two")
    found = compare_runs([tmp_path / "one", tmp_path / "two"], "fit", False)
    assert [r.name for r in found.boards[0].runs] == ["nz-pilot (one)", "nz-pilot (two)"]
    console = Console(width=120, record=True, file=(tmp_path / "out.txt").open("w"))
    console.print(leaderboard_text(found))
    write_leaderboard_page(found, tmp_path / "board.html")
    page = (tmp_path / "board.html").read_text(encoding="utf-8")
    shown = console.export_text()
    for standing in found.boards[0].standings:
        assert f"{standing.value:.3f}" in shown
        assert f"{standing.value:.3f}" in page
    assert "None" not in page and "<script" not in page
    written = json.loads(json.dumps(leaderboard_json(found)))
    assert len(written["leaderboards"][0]["standings"]) == len(found.boards[0].standings)
