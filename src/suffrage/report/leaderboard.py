"""What `suffrage compare` shows: runs compared, in a terminal, as JSON, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.arguments import FLAG, PATH, TEXT, several, takes
from suffrage.errors import InputError, did_you_mean
from suffrage.evaluate.compare import (
    Leaderboard,
    Run,
    RunComparison,
    Standing,
    compare_results,
    measures_of,
)
from suffrage.evaluate.results import Verdict
from suffrage.plurals import plural
from suffrage.report.cells import Cell, Table, figure_cell, make_table, verdict_name
from suffrage.report.dot_plot import Plot, dot_plot
from suffrage.report.marks import stricter_note
from suffrage.report.numbers import (
    FEW_NOTE,
    FEW_QUESTIONS,
    NOTHING,
    interval,
    marked,
    number,
    signed,
    with_interval,
)
from suffrage.report.rendering import render_page
from suffrage.report.tables import read_results

RESULTS = "results.json"
BETTER_NAMES: dict[Verdict, str] = {
    "higher": "better",
    "lower": "worse",
    "same": "cannot be told apart",
    "unknown": "not tested",
}
SHORT_NAMES: dict[Verdict, str] = {
    "higher": "better",
    "lower": "worse",
    "same": "unclear",
    "unknown": "not tested",
}


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Runs from their folders (or results.json files), each with a name of its own.

    Raises
    ------
    InputError
        Folders have no results (the message names each), or one is given twice.
    """
    files = [path / RESULTS if path.is_dir() else path for path in paths]
    absent = [str(path) for path, file in zip(paths, files, strict=True) if not file.is_file()]
    if absent:
        raise InputError(
            f"{', '.join(absent)}: no {RESULTS} there; give the folders of finished runs "
            "(`suffrage run` writes it last), and leave the others out."
        )
    seen: set[Path] = set()
    for file in files:
        if file.resolve() in seen:
            raise InputError(f"{file}: given twice; a run is not compared with itself.")
        seen.add(file.resolve())
    found = [read_results(file) for file in files]
    names = [results.study.name for results in found]
    folders = [file.resolve().parent.name for file in files]
    own = [
        name if names.count(name) == 1 else f"{name} ({folder})"
        for name, folder in zip(names, folders, strict=True)
    ]
    return [
        Run(name if own.count(name) == 1 else str(path), results)
        for name, path, results in zip(own, paths, found, strict=True)
    ]


@takes(paths=several("a list of folders", PATH), measure=TEXT, across_models=FLAG)
def compare_runs(
    paths: Sequence[str | Path], measure: str = "fit", across_models: bool = False
) -> RunComparison:
    """Compare finished runs on the questions they held out, with paired differences.

    Runs that differ in survey, questions, value sets, held-out items or model are kept apart.

    Parameters
    ----------
    paths : sequence of str or Path
        The folders of the runs, or their results.json files.
    measure : str
        "fit", "emd", "entropy_ratio", "slope", or another evaluation's measure as
        "EVALUATION.MEASURE".
    across_models : bool
        Whether runs of different models may be compared.

    Returns
    -------
    RunComparison
        One leaderboard for the runs that can be compared, and why the others are kept apart.

    Raises
    ------
    InputError
        A folder has no results, no run has the measure, or no run held a question out.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure, for the p-values.

    Examples
    --------
    >>> (board,) = compare_runs(["runs/town"]).boards
    >>> sorted(standing.method for standing in board.standings)
    ['average', 'base', 'nearest', 'prompt', 'uniform']
    """
    runs = read_runs([Path(path) for path in paths])
    if not runs:
        raise InputError("there is no run to compare; give the folder of at least one.")
    known = measures_of(runs)
    if measure not in known:
        hint = did_you_mean(measure, known)
        raise InputError(f'measure "{measure}": these runs have {", ".join(known)}.{hint}')
    found = compare_results(runs, measure, across_models)
    if not found.boards:
        raise InputError(
            f"none of these runs has {known[measure].label.lower()} on a held-out question; a "
            "study whose `held_out:` holds nothing out cannot be compared."
        )
    return found


def leaderboard_json(found: RunComparison) -> dict[str, Any]:
    """The comparison for scripts."""
    return {
        "apart": list(found.apart),
        "leaderboards": [
            {
                "measure": board.measure.model_dump(mode="json"),
                "runs": [run.name for run in board.runs],
                "questions": board.questions,
                "splits": board.splits,
                "ceiling": board.ceiling,
                "paired": board.paired,
                "standings": [
                    {"place": place, **asdict(standing), "differs_in": _differs_in(board, standing)}
                    for place, standing in enumerate(board.standings)
                ],
                "pairs": [{**pair.model_dump(), "verdict": pair.verdict} for pair in board.pairs],
                "notes": list(board.notes),
            }
            for board in found.boards
        ],
    }


def leaderboard_text(found: RunComparison) -> Any:
    """The comparison for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = []
    for board in found.boards:
        parts += [Text(_title(board), style="bold"), _rich_table(board), Text(_basis(board))]
        if any(standing.low is None for standing in board.standings):
            parts.append(Text(FEW_NOTE))
        parts += [Text(note) for note in board.notes]
        parts.append(Text(""))
    parts += [Text(f"Apart: {why}") for why in found.apart]
    return Group(*parts)


def _rich_table(board: Leaderboard) -> Any:
    from rich import box
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    table = PlainTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column("Method, run", overflow="fold")
    table.add_column(board.measure.label, no_wrap=True)
    against = _reference(board)
    table.add_column("Against the best", no_wrap=True)
    if against is not None:
        table.add_column(f"Against {board.standings[against].method}", no_wrap=True)
    for place, standing in enumerate(board.standings):
        style = "dim" if standing.kind == "floor" else "bold" if standing.kind == "trained" else ""
        cells = [_gap_text(board, place, _best(board))]
        cells += [_gap_text(board, place, against)] if against is not None else []
        table.add_row(
            Text("\n".join([standing.label, *_whose(board, standing)])),
            Text(with_interval(standing, board.measure.digits, missing=FEW_QUESTIONS)),
            *(Text(cell) for cell in cells),
            style=style,
        )
    return table


def _whose(board: Leaderboard, standing: Standing) -> list[str]:
    """The run of a row where there are several, and the settings that tell it from its like."""
    if len(board.runs) == 1 or len(standing.runs) == len(board.runs):
        return []
    return [f"  {', '.join([*standing.runs, *_differs_in(board, standing)])}"]


def _gap_text(board: Leaderboard, place: int, against: int | None) -> str:
    if against is None or place == against:
        return NOTHING
    pair = board.pair(place, against)
    if pair is None:
        return NOTHING
    return f"{signed(pair.value, board.measure.digits)} {SHORT_NAMES[pair.verdict]}"


def _best(board: Leaderboard) -> int:
    """The place of the best model: floors are in the table, but do not compete."""
    return next((k for k, s in enumerate(board.standings) if s.kind != "floor"), 0)


def _reference(board: Leaderboard) -> int | None:
    """The place of the untrained model that rows are compared with, if it is not the best."""
    untrained = [k for k, s in enumerate(board.standings) if s.kind == "untrained"]
    base = [k for k in untrained if board.standings[k].method == "base"]
    chosen = next(iter(base or untrained), None)
    return None if chosen == _best(board) else chosen


def _where(board: Leaderboard, standing: Standing) -> str:
    if len(standing.runs) > 1 and len(standing.runs) == len(board.runs):
        return f"all {len(board.runs)}"
    return ", ".join(standing.runs)


def _differs_in(board: Leaderboard, standing: Standing) -> list[str]:
    """The settings in which this row differs from other rows of the same method."""
    settings = {
        other.runs: facts.settings
        for other in board.standings
        if other.method == standing.method
        for run in board.runs
        if run.name == other.runs[0]
        for facts in run.results.methods
        if facts.name == other.method
    }
    own = settings.get(standing.runs, {})
    keys = sorted({key for one in settings.values() for key in one})
    return [
        f"{key.replace('_', ' ')} {own.get(key, 'none')}"
        for key in keys
        if any(one.get(key) != own.get(key) for one in settings.values())
    ]


def _title(board: Leaderboard) -> str:
    first = board.runs[0].results
    names = plural(len(first.value_sets), "value set")
    return f"{board.measure.label}: {first.survey_title}; {names}, {first.study.model}"


def _basis(board: Leaderboard) -> str:
    """What the table rests on, in sentences."""
    seen = [pair.detectable for pair in board.pairs if pair.detectable is not None]
    sentences = [board.measure.explanation]
    if board.paired:
        held = plural(board.questions, "question")
        splits = plural(board.splits, "split") + " of the items"
        sentences.append(f"{held} held out, {splits}, the same for every row.")
    if board.measure.better:
        sentences.append(f"{board.measure.better.capitalize()} is better.")
    if board.ceiling is not None:
        sentences.append(
            f"The best possible figure is {number(board.ceiling, board.measure.digits)}, half of "
            "the "
            "respondents against the other half."
        )
    if seen:
        tested = plural(len([p for p in board.pairs if p.p is not None]), "pair")
        spread = f"{number(min(seen), board.measure.digits)}"
        if max(seen) > min(seen):
            spread += f" to {number(max(seen), board.measure.digits)}"
        sentences.append(
            f"A difference counts if it remains after Holm's correction over all {tested}. Tested "
            f"alone, a pair would have shown a true difference of {spread} four times in five."
        )
    return " ".join(sentences)


# --- The page ----------------------------------------------------------------------------------


def write_leaderboard_page(found: RunComparison, path: Path) -> None:
    """Write the comparison as one HTML page that opens offline, all or nothing."""
    boards = [
        {
            "title": _title(board),
            "basis": _basis(board),
            "lead": _lead(board),
            "plot": _plot(board),
            "plot_caption": _plot_caption(board),
            "table": _standing_table(board),
            "pairs": _pair_table(board),
            "pair_count": len(board.pairs),
            "notes": board.notes,
            "runs": _run_table(board),
        }
        for board in found.boards
    ]
    page = render_page("leaderboard.html.j2", boards=boards, apart=found.apart)
    storage.write_page(path, page)


def _row_name(board: Leaderboard, standing: Standing) -> str:
    """What a row is called where its run is not shown next to it."""
    same = [s for s in board.standings if s.label == standing.label]
    return standing.label if len(same) == 1 else f"{standing.label} ({_where(board, standing)})"


def _lead(board: Leaderboard) -> str:
    """The finding in a sentence or two: who leads, and who cannot be told from the leader."""
    best, measure = _best(board), board.measure
    leader = board.standings[best]
    if leader.missing:
        return "Every model left out answers that another row gave, so none is called first."
    others = [k for k, s in enumerate(board.standings) if s.kind != "floor" and k != best]
    alike = [k for k in others if _verdict(board, best, k) == "same"]
    worse = [k for k in others if _verdict(board, best, k) == "higher"]
    sentences = [
        f"{_row_name(board, leader)} is first on {measure.label.lower()} with "
        f"{marked(leader, measure.digits)}."
    ]
    if alike:
        named = ", ".join(_row_name(board, board.standings[k]) for k in alike)
        sentences.append(f"It cannot be told apart from {named}.")
    if worse:
        sentences.append(f"It is better than {plural(len(worse), 'other row')} beyond chance.")
    ahead = [
        s
        for k, s in enumerate(board.standings)
        if s.kind == "floor" and _verdict(board, best, k) != "higher"
    ]
    if ahead and board.paired:
        named = ", ".join(s.label[:1].lower() + s.label[1:] for s in ahead)
        sentences.append(f"It does not beat what needs no model: {named}.")
    return " ".join(sentences)


def _verdict(board: Leaderboard, first: int, second: int) -> Verdict:
    pair = board.pair(first, second)
    return "unknown" if pair is None else pair.verdict


def _standing_table(board: Leaderboard) -> Table:
    digits, best, against = board.measure.digits, _best(board), _reference(board)
    columns = [("Method", False), ("Run", False), (board.measure.label, True)]
    columns.append((f"Against {_row_name(board, board.standings[best])}", True))
    if against is not None:
        columns.append((f"Against {_row_name(board, board.standings[against])}", True))
    rows = []
    for place, standing in enumerate(board.standings):
        cells = [
            Cell(standing.label, "; ".join(_small_print(board, standing))),
            Cell(_where(board, standing)),
            figure_cell(standing, digits),
            _gap_cell(board, place, best),
        ]
        rows.append([*cells, _gap_cell(board, place, against)] if against is not None else cells)
    shown = [
        pair
        for other in (best, against)
        for place in range(len(board.standings))
        if other is not None and place != other and (pair := board.pair(place, other)) is not None
    ]
    return make_table("Standing", columns, rows, stricter_note(shown))


def _small_print(board: Leaderboard, standing: Standing) -> list[str]:
    """The small print below a row's name: settings only this row has, and answers not read."""
    unread = [f"{plural(standing.unread, 'answer')} not read"] if standing.unread else []
    return [*_differs_in(board, standing), *unread]


def _gap_cell(board: Leaderboard, place: int, against: int | None) -> Cell:
    pair = None if against is None or place == against else board.pair(place, against)
    if pair is None:
        return Cell(NOTHING)
    shown = f"{signed(pair.value, board.measure.digits)}, {verdict_name(pair, BETTER_NAMES)}"
    return Cell(shown, interval(pair.low, pair.high, board.measure.digits, True), pair.verdict)


def _pair_table(board: Leaderboard) -> Table | None:
    if not board.pairs:
        return None
    digits = board.measure.digits
    rows = [
        [
            Cell(
                _row_name(board, board.standings[pair.first]),
                f"against {_row_name(board, board.standings[pair.second])}",
            ),
            _gap_cell(board, pair.first, pair.second),
            Cell(NOTHING if pair.adjusted is None else number(pair.adjusted, 3)),
            Cell(NOTHING if pair.detectable is None else number(pair.detectable, digits)),
            Cell(str(pair.n)),
        ]
        for pair in board.pairs
    ]
    columns = [
        ("Compared", False),
        ("Better by", True),
        ("p, corrected", True),
        ("Smallest to be seen", True),
        ("Questions", True),
    ]
    return make_table("Every pair", columns, rows, stricter_note(board.pairs))


def _run_table(board: Leaderboard) -> Table:
    rows = [
        [
            Cell(run.name, run.results.study.title),
            Cell(", ".join(map(str, run.results.study.seeds))),
            Cell(", ".join(m.label for m in run.results.methods if m.kind == "trained") or NOTHING),
            Cell(run.results.study.finished[:10]),
            Cell(run.results.study.content_hash),
        ]
        for run in board.runs
    ]
    columns = [(name, False) for name in ("Run", "Seeds", "Trained", "Finished", "Content hash")]
    return make_table("The runs", columns, rows)


def _plot(board: Leaderboard) -> Plot:
    tones: dict[str, str] = {}
    for standing in board.standings:
        if standing.kind == "trained":
            tones.setdefault(standing.method, f"m{len(tones) % 4 + 1}")
    lines = [(s.value, "floor") for s in board.standings if s.kind == "floor"]
    lines += [] if board.ceiling is None else [(board.ceiling, "ceiling")]
    return dot_plot(
        [
            (_row_name(board, standing), tones.get(standing.method, standing.kind), standing)
            for standing in board.standings
        ],
        lines,
        board.measure.digits,
    )


def _plot_caption(board: Leaderboard) -> str:
    lines = "Dotted lines: floors. " if any(s.kind == "floor" for s in board.standings) else ""
    lines += "Dashed line: the ceiling. " if board.ceiling is not None else ""
    start = _plot(board).start
    return f"{board.measure.label}, with 95% intervals. {lines}The axis starts at {start}."
