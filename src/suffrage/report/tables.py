"""The figures as tables: `results.json`, CSV for a spreadsheet, LaTeX for a paper.

Also the rows of the scoreboard, which every way of showing them shares.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from suffrage import storage
from suffrage.arguments import PATH, takes
from suffrage.errors import InputError
from suffrage.evaluate.fit import AS_FEW, SIDES
from suffrage.evaluate.fit import NAME as FIT
from suffrage.evaluate.results import (
    ALL,
    RESULTS_VERSION,
    Contrast,
    Figure,
    FigureDifference,
    MethodFacts,
    Results,
    SplitSide,
    ValueSetFacts,
)
from suffrage.models.readouts import Readout
from suffrage.report.marks import marks_note
from suffrage.report.numbers import (
    NOTHING,
    duration,
    marked,
    number,
    way_note,
    way_text,
    with_interval,
)
from suffrage.settings import keys_of

KINDS = ("floor", "untrained", "trained", "reading", "ceiling")
CAPTION = (
    "Fit is 1 minus the Jensen-Shannon distance (base 2) between the model's and the population's "
    "answers, averaged over items and value sets: 1 is a perfect match."
)


@dataclass(frozen=True)
class ScoreboardRow:
    """A method with its figures over all value sets and seeds; None where it has none.

    Those without a side in their name are on the questions held out, unless there are none.
    """

    method: MethodFacts
    held_out: Figure | None
    trained: Figure | None
    earth_movers: Figure | None
    entropy: Figure | None
    slope: Figure | None
    sentence: Figure | None  # fit when each option is said in a sentence
    seconds: float | None  # of training; None for methods that train nothing


# What `write_result_files` writes.
RESULT_FILES = (
    "results.json",
    "figures.csv",
    "differences.csv",
    "answers.csv",
    "scoreboard.tex",
    "differences.tex",
    "scoreboard.md",
)


def write_result_files(results: Results, folder: Path) -> None:
    """Write results.json, tables as CSV, and scoreboard and differences for LaTeX and Markdown."""
    texts = {
        "results.json": results.model_dump_json(indent=1) + "\n",
        "figures.csv": _csv(_figure_rows(results)),
        "differences.csv": _csv(_difference_rows(results)),
        "answers.csv": _csv(_answer_rows(results)),
        "scoreboard.tex": latex_scoreboard(results),
        "differences.tex": latex_differences(results),
        "scoreboard.md": markdown_scoreboard(results),
    }
    for name, text in texts.items():
        storage.write_text(folder / name, text)


@takes(path=PATH)
def read_results(path: str | Path) -> Results:
    """Read what a finished run found.

    Parameters
    ----------
    path : str or Path
        The run's folder, or its results.json.

    Returns
    -------
    Results
        The study, its methods, figures, differences and answers.

    Raises
    ------
    InputError
        The file is missing, not JSON, of another version, or incomplete.

    Examples
    --------
    >>> read_results("runs/town").study.name
    'town'
    """
    path = Path(path)
    path = path / "results.json" if path.is_dir() else path
    if not path.is_file() and path.name == "results.json":
        raise InputError(f"{path.parent}: {_why_no_results(path.parent)}")
    content = storage.read_json(path)
    if not isinstance(content, dict) or "study" not in content:
        raise InputError(f"{path}: not a Suffrage results file; give the results.json of a run.")
    if content.get("version") != RESULTS_VERSION:
        found = f"version {content['version']!r}" if "version" in content else "no version"
        raise InputError(
            f"{path}: this file has {found}, and this Suffrage reads version {RESULTS_VERSION}; "
            "write it again with `suffrage run`, or use the Suffrage that wrote it "
            "(study.versions in the file)."
        )
    # JSON has no NaN: the shares of an answer that could not be read were written as null.
    for answer in content.get("answers") or []:
        if isinstance(answer, dict) and isinstance(answer.get("shares"), list):
            answer["shares"] = [math.nan if s is None else s for s in answer["shares"]]
    try:
        return Results.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in keys_of(first, content)) or "the file"
        raise InputError(
            f"{path}: {where}: {first['msg']} ({error.error_count()} faults); the file was changed "
            "or cut off, so write it again with `suffrage run`."
        ) from error


def _why_no_results(folder: Path) -> str:
    if any((folder / name).is_dir() for name in ("survey", "splits")):
        return (
            "this run has no results yet: it was stopped before the end, or is still at work. "
            "`suffrage run STUDY` finishes it, and computes nothing twice."
        )
    return "there is no results.json here; `suffrage run STUDY` makes it, in the study's `output:`."


# --- Figures: which ones, in which order -------------------------------------------------------


def by_kind(results: Results) -> list[MethodFacts]:
    """Methods as the scoreboard lists them: floors, untrained, trained, ceiling."""
    return sorted(results.methods, key=lambda method: KINDS.index(method.kind))


def fit_figure(
    results: Results,
    method: str,
    side: SplitSide | None = None,
    measure: str = "fit",
    readout: Readout = "letters",
    value_set: str = ALL,
    seed: int | Literal["all"] = ALL,
) -> Figure | None:
    """A figure of `fit` at a place, or None; on the side the report leads with by default."""
    return results.figure(FIT, measure, method, value_set, seed, side, readout)


def fit_difference(
    results: Results,
    method: str,
    against: str,
    side: SplitSide | None = None,
    measure: str = "fit",
    value_set: str = ALL,
) -> FigureDifference | None:
    """`method` minus `against` on a measure of `fit`, or None; by default as `fit_figure`."""
    return results.difference(FIT, measure, method, against, value_set, side)


def scoreboard_rows(results: Results) -> list[ScoreboardRow]:
    """The scoreboard, a row for each method, over all value sets and seeds.

    A floor that is given for some value sets only is shown where these are.
    """
    return [
        ScoreboardRow(
            method=method,
            held_out=fit_figure(results, method.name, "held_out"),
            trained=fit_figure(results, method.name, "trained"),
            earth_movers=fit_figure(results, method.name, measure="emd"),
            entropy=fit_figure(results, method.name, measure="entropy_ratio"),
            slope=fit_figure(results, method.name, measure="slope"),
            sentence=fit_figure(results, method.name, readout="sentence"),
            seconds=sum(cost.seconds for cost in method.costs) if method.costs else None,
        )
        for method in by_kind(results)
        if method.kind != "floor" or _has_fit(results, method.name)
    ]


def _has_fit(results: Results, method: str) -> bool:
    return any(fit_figure(results, method, side) for side in SIDES)


# --- CSV ---------------------------------------------------------------------------------------


def _csv(rows: tuple[Sequence[str], Iterable[Sequence[Any]]]) -> str:
    header, lines = rows
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in line] for line in lines)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Missing and not-a-number as an empty cell; text that a spreadsheet would run is quoted."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return f"'{value}"
    return value


def _figure_rows(results: Results) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    header = list(Figure.model_fields)
    return header, ([getattr(figure, name) for name in header] for figure in results.figures)


def _difference_rows(results: Results) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    """What is compared first, then the difference and its verdict."""
    fields = FigureDifference.model_fields
    header = [*(name for name in fields if name not in Contrast.model_fields)]
    header += [*Contrast.model_fields, "verdict"]
    return header, ([getattr(d, name) for name in header] for d in results.figure_differences)


def _answer_rows(results: Results) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    """A row for each answer, so that no mean over rows counts an item by its number of options."""
    most = max((len(item.options) for item in results.items), default=0)
    places = range(1, most + 1)
    facts = ["method", "seed", "value_set", "item", "side", "readout"]
    figures = ["mass", "order_sensitivity", "refused", "fit", "emd"]
    header = [
        *facts,
        *figures,
        *(f"share_{place}" for place in places),
        *(f"population_{place}" for place in places),
    ]
    targets = {(target.value_set, target.item): target.shares for target in results.targets}

    def padded(shares: Sequence[float]) -> list[float | None]:
        return [*shares, *[None] * (most - len(shares))]

    lines = (
        [
            *(getattr(answer, name) for name in facts + figures),
            *padded(answer.shares),
            *padded(targets.get((answer.value_set, answer.item), [])),
        ]
        for answer in results.answers
    )
    return header, lines


# --- LaTeX -------------------------------------------------------------------------------------

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "−": r"$-$",
    "–": r"--",
    "\u00a0": "~",
    "\n": " ",
}


def latex_escaped(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(character, character) for character in text)


def latex_scoreboard(results: Results) -> str:
    r"""The scoreboard as a table for `\input`; the document needs the booktabs package."""
    study = results.study
    items = max((row.held_out.n for row in scoreboard_rows(results) if row.held_out), default=0)
    caption = (
        f"{study.title}. {CAPTION} Brackets: 95% intervals over items and respondents."
        f"{marks_note(results)} {items} held-out items, {len(results.value_sets)} value set(s), "
        f"{len(study.seeds)} seed(s); model: {study.model}."
    )
    lines = [
        f"% {_one_line(study.title)}: {_one_line(study.command)} ({study.content_hash})",
        r"% Needs \usepackage{booktabs}.",
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        r"\begin{tabular}{llllllr}",
        r"\toprule",
        r"Method & Fit, held out & Fit, trained & EMD & Entropy ratio & Slope & Way \\",
        r"\midrule",
    ]
    previous = None
    for row in scoreboard_rows(results):
        if previous is not None and row.method.kind != previous:
            lines.append(r"\addlinespace")
        previous = row.method.kind
        cells = [
            row.method.label,
            with_interval(row.held_out, 3),
            with_interval(row.trained, 3),
            with_interval(row.earth_movers, 3),
            with_interval(row.entropy, 3),
            with_interval(row.slope, 3),
            way_text(row.held_out),
        ]
        # The empty group keeps a label such as "[a]" from being read as an option of "\\".
        lines.append("{}" + " & ".join(latex_escaped(cell) for cell in cells) + r" \\")
    label = "".join(c if c.isascii() and c.isalnum() else "-" for c in study.name)
    close = way_note(row.held_out for row in scoreboard_rows(results))
    return "\n".join(
        [
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{latex_escaped(caption)} EMD: earth mover's distance, ordered items only. "
            r"Entropy ratio: below 1 the model's answers are more alike than the population's. "
            r"Slope: of the model's shares on the population's; above 1 amplifies the majority. "
            r"Way: from the average answer (0) to the ceiling of two halves of the same "
            rf"respondents (100\,\%).{latex_escaped(close)}}}",
            rf"\label{{tab:suffrage-{label}}}",
            r"\end{table}",
            "",
        ]
    )


def latex_differences(results: Results) -> str:
    r"""Every pair of methods on fit as a table for `\input`; the document needs booktabs."""
    study, side = results.study, results.main_side
    labels = {method.name: method.label for method in results.methods}
    rows = sorted(results.differences_of(FIT, "fit", side=side), key=lambda d: -abs(d.value))
    lines = [
        f"% {_one_line(study.title)}: {_one_line(study.command)} ({study.content_hash})",
        r"% Needs \usepackage{booktabs}.",
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        r"\begin{tabular}{llllrl}",
        r"\toprule",
        r"Method & Against & Difference & Adjusted $p$ & Questions & Verdict \\",
        r"\midrule",
    ]
    for d in rows:
        cells = [
            labels.get(d.method, d.method),
            labels.get(d.against, d.against),
            with_interval(d, 3),
            number(d.adjusted, 3),
            str(d.n),
            {"higher": "closer", "lower": "further", "same": "not told apart"}.get(
                d.verdict, "cannot be compared"
            ),
        ]
        lines.append("{}" + " & ".join(latex_escaped(cell) for cell in cells) + r" \\")
    label = "".join(c if c.isascii() and c.isalnum() else "-" for c in study.name)
    where = "held-out items" if side == "held_out" else "items trained on"
    caption = (
        f"{study.title}. Differences in fit on {where}, over all value sets and seeds. Brackets: "
        "95% intervals; p-values are corrected for all pairs (Holm)."
    )
    return "\n".join(
        [
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{latex_escaped(caption)}}}",
            rf"\label{{tab:suffrage-{label}-differences}}",
            r"\end{table}",
            "",
        ]
    )


# --- Markdown ----------------------------------------------------------------------------------


def markdown_scoreboard(results: Results) -> str:
    """The scoreboard with what each method cost, as a Markdown table."""
    board = scoreboard_rows(results)
    said = any(row.sentence for row in board)
    heads = ["method", "held-out fit", "trained", "EMD", "entropy ratio", "slope"]
    heads += ["fit, said in a sentence"] if said else []
    heads += ["time", "tokens", "memory"]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for row in board:
        costs = row.method.costs
        cells = [
            row.method.label,
            with_interval(row.held_out),
            marked(row.trained),
            marked(row.earth_movers),
            marked(row.entropy),
            with_interval(row.slope),
            *([with_interval(row.sentence)] if said else []),
            duration(row.seconds) if row.seconds is not None else NOTHING,
            f"{sum(c.tokens for c in costs):,}" if costs else NOTHING,
            f"{max(c.peak_memory_bytes for c in costs) / 1e9:.1f} GB" if costs else NOTHING,
        ]
        escaped = [cell.replace("|", "\\|") for cell in cells]
        lines.append("| " + " | ".join(escaped) + " |")
    note = marks_note(results).strip()
    lines += ["", note] if note else []
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())


class ServedFit(NamedTuple):
    """The fit for one value set, and how much lower it would be with fewer people."""

    value_set: ValueSetFacts
    figure: Figure
    # If on each question no more people had answered than in the value set with the fewest.
    lower: float

    @property
    def compared(self) -> float:
        """The fit by which value sets of different sizes are put in order."""
        return self.figure.value - self.lower


def fits_lowest_first(
    results: Results, method: str, side: SplitSide | None = None
) -> list[ServedFit]:
    """Each value set's fit on the common cells; the first is the one that is served worst.

    Chance lowers the fit of few people, so they are compared as if no more people had answered in
    one value set than in another. Value sets with the same fit are in the order of their names.
    """
    facts = next((e for e in results.evaluations if e.name == FIT), None)
    by_side = facts.details.get(AS_FEW, {}) if facts else {}
    lower = by_side.get(side or results.main_side, {}).get(method, {})
    found = [
        ServedFit(own, figure, lower.get(own.name, 0.0))
        for own in results.value_sets
        if (figure := fit_figure(results, method, side, value_set=own.name)) is not None
    ]
    return sorted(found, key=lambda one: (one.compared, one.value_set.name))


def doubt_of_lowest(found: Sequence[ServedFit]) -> str:
    """Say why the first of `fits_lowest_first` may not be the lowest; empty if it surely is.

    Another may be where the interval of one contains the value of the other.
    """
    lowest, *others = found
    if not others:
        return ""
    said = ", though it may be another population"
    if lowest.figure.high is None or any(one.figure.low is None for one in others):
        return f"{said}, because there are too few questions to tell"
    high = lowest.figure.high - lowest.lower
    if any(
        one.compared <= high or (one.figure.low or 0.0) - one.lower <= lowest.compared
        for one in others
    ):
        return f"{said}, because the intervals overlap"
    return ""
