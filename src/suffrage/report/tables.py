"""The figures as tables: `results.json`, CSV for a spreadsheet, LaTeX for a paper.

Also what every way of showing them shares: the rows of the scoreboard, and how a number reads.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from suffrage import storage
from suffrage.errors import InputError
from suffrage.evaluate.results import (
    Difference,
    MethodFacts,
    Metric,
    Readout,
    Results,
    Score,
    Side,
)

FORMAT = 1
# Of p-values after Holm's correction.
SIGNIFICANT = 0.05
NO_INTERVAL = "not enough items"
NOTHING = "–"
KINDS = ("floor", "untrained", "trained", "ceiling")
CAPTION = (
    "Fit is 1 minus the Jensen-Shannon distance (base 2) between the model's and the population's "
    "answers, averaged over items and value sets: 1 is a perfect match."
)

Verdict = Literal["higher", "lower", "same", "unknown"]


@dataclass(frozen=True)
class ScoreboardRow:
    """A method with its figures; None where it was not scored.

    earth_movers, entropy, slope, way: on the questions held out. sentence: fit there when each option is
    said in a sentence. seconds: of training, None for methods
    that train nothing.
    """

    method: MethodFacts
    held_out: Score | None
    trained: Score | None
    earth_movers: Score | None
    entropy: Score | None
    slope: Score | None
    sentence: Score | None
    seconds: float | None

    @property
    def way(self) -> float | None:
        """Share of the way from the average-training floor to the ceiling."""
        return self.held_out.way if self.held_out else None


def write_tables(results: Results, folder: Path) -> None:
    """Write results.json, four tables as CSV, and the scoreboard for LaTeX and Markdown."""
    storage.write_text(folder / "results.json", results.model_dump_json(indent=1) + "\n")
    storage.write_text(folder / "scores.csv", _csv(_score_rows(results)))
    storage.write_text(folder / "differences.csv", _csv(_difference_rows(results)))
    storage.write_text(folder / "answers.csv", _csv(_answer_rows(results)))
    if results.figures:
        rows = [row.model_dump() for row in results.figures]
        storage.write_text(
            folder / "figures.csv", _csv((list(rows[0]), [list(row.values()) for row in rows]))
        )
    storage.write_text(folder / "scoreboard.tex", latex_scoreboard(results))
    storage.write_text(folder / "scoreboard.md", markdown_scoreboard(results))


def read_results(path: str | Path) -> Results:
    """Read what a finished run found.

    Parameters
    ----------
    path : str or Path
        The run's folder, or its results.json.

    Returns
    -------
    Results
        The study, its methods, scores, differences and answers.

    Raises
    ------
    InputError
        The file is missing, not JSON, of another format, or incomplete.

    Examples
    --------
    >>> read_results("runs/town").study.name
    'town'
    """
    path = Path(path)
    path = path / "results.json" if path.is_dir() else path
    content = storage.read_json(path)
    if not isinstance(content, dict) or "study" not in content:
        raise InputError(f"{path}: not a Suffrage results file; give the results.json of a run.")
    if content.get("format") != FORMAT:
        raise InputError(
            f"{path}: format is {content.get('format')!r}, this Suffrage reads {FORMAT}; "
            "use the version that wrote it (study.versions in the file), or run the study again."
        )
    # JSON has no NaN: the shares of an answer that could not be read were written as null.
    for answer in content.get("answers") or []:
        if isinstance(answer, dict) and isinstance(answer.get("shares"), list):
            answer["shares"] = [math.nan if s is None else s for s in answer["shares"]]
    try:
        return Results.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"{path}: {where}: {first['msg']} ({error.error_count()} faults); the file was changed "
            "or cut off, so write it again with `suffrage run`."
        ) from error


# --- Figures: which ones, in which order -------------------------------------------------------


def by_kind(results: Results) -> list[MethodFacts]:
    """Methods as the scoreboard lists them: floors, untrained, trained, ceiling."""
    return sorted(results.methods, key=lambda method: KINDS.index(method.kind))


def find_score(
    results: Results,
    method: str,
    side: Side,
    metric: Metric = "fit_jsd",
    readout: Readout = "letters",
    value_set: str = "all",
    seed: int | Literal["all"] = "all",
) -> Score | None:
    """The score at a place, or None."""
    wanted = (method, side, metric, readout, value_set, seed)
    for s in results.scores:
        if (s.method, s.side, s.metric, s.readout, s.value_set, s.seed) == wanted:
            return s
    return None


def find_difference(
    results: Results,
    method: str,
    against: str,
    side: Side,
    metric: Metric = "fit_jsd",
    value_set: str = "all",
) -> Difference | None:
    """`method` minus `against`, turned round when it is stored the other way, or None."""
    for d in results.differences:
        if (d.side, d.metric, d.value_set) != (side, metric, value_set):
            continue
        if (d.method, d.against) == (method, against):
            return d
        if (d.against, d.method) == (method, against):
            turned = {
                "method": method,
                "against": against,
                "value": -d.value,
                "low": None if d.high is None else -d.high,
                "high": None if d.low is None else -d.low,
            }
            return d.model_copy(update=turned)
    return None


def main_side(results: Results) -> Side:
    """The side the report leads with: questions held out, unless none was."""
    sides = {score.side for score in results.scores if score.metric == "fit_jsd"}
    return "trained" if sides == {"trained"} else "held_out"


def scoreboard_rows(results: Results) -> list[ScoreboardRow]:
    """The scoreboard, one row a method, over all value sets and seeds.

    A floor that speaks for some value sets only stands where those are shown.
    """
    side = main_side(results)
    spoken = {score.method for score in results.scores if score.value_set == "all"}
    return [
        ScoreboardRow(
            method=method,
            held_out=find_score(results, method.name, "held_out"),
            trained=find_score(results, method.name, "trained"),
            earth_movers=find_score(results, method.name, side, "emd"),
            entropy=find_score(results, method.name, side, "entropy_ratio"),
            slope=find_score(results, method.name, side, "slope"),
            sentence=find_score(results, method.name, side, readout="sentence"),
            seconds=sum(cost.seconds for cost in method.costs) if method.costs else None,
        )
        for method in by_kind(results)
        if method.kind != "floor" or method.name in spoken
    ]


def verdict(difference: Difference) -> Verdict:
    """Whether a difference lies above 0, below it, cannot be told from it, or is unknown.

    By its p-value after Holm's correction, or by its interval where a run carries none.
    """
    low, high = difference.low, difference.high
    if not _is_number(low) or not _is_number(high):
        return "unknown"
    assert low is not None and high is not None
    if difference.adjusted is not None:
        if difference.adjusted >= SIGNIFICANT:
            return "same"
        return "higher" if difference.value > 0 else "lower"
    return "higher" if low > 0 else "lower" if high < 0 else "same"


# --- How a number reads ------------------------------------------------------------------------


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def number(value: float | None, digits: int = 2) -> str:
    """A figure with a true minus sign; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return _without_negative_zero(f"{value:.{digits}f}")


def signed(value: float | None, digits: int = 2) -> str:
    """A difference: always with its sign, except when it rounds to zero."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return _without_negative_zero(f"{value:+.{digits}f}")


def _without_negative_zero(text: str) -> str:
    if not text.strip("+-0."):
        return text.lstrip("+-")
    return text.replace("-", "−")


def interval(
    low: float | None, high: float | None, digits: int = 2, with_sign: bool = False
) -> str:
    """ "0.66 to 0.75", or "not enough items"."""
    if not _is_number(low) or not _is_number(high):
        return NO_INTERVAL
    show = signed if with_sign else number
    return f"{show(low, digits)} to {show(high, digits)}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share as "62 %"; a dash where there is none."""
    if share is None or not math.isfinite(share):
        return NOTHING
    return f"{number(100 * share, digits)}\u00a0%"


def duration(seconds: float | None) -> str:
    """ "45 s", "2 min 10 s", "3 h 05 min"; a dash where nothing ran."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


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


def _score_rows(results: Results) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    header = list(Score.model_fields)
    return header, ([getattr(score, name) for name in header] for score in results.scores)


def _difference_rows(results: Results) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    header = list(Difference.model_fields)
    lines = ([getattr(d, name) for name in header] + [verdict(d)] for d in results.differences)
    return [*header, "verdict"], lines


def _answer_rows(results: Results) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    """One row an answer, so that no mean over rows counts an item by its number of options."""
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
    "−": r"$-$",
    "–": r"--",
    "\u00a0": "~",
    "\n": " ",
}


def latex_escaped(text: str) -> str:
    """Text that LaTeX sets as it stands."""
    return "".join(_LATEX.get(character, character) for character in text)


def latex_scoreboard(results: Results) -> str:
    r"""The scoreboard as a table for `\input`; the document needs the booktabs package."""
    study = results.study
    items = max((row.held_out.items for row in scoreboard_rows(results) if row.held_out), default=0)
    caption = (
        f"{study.title}. {CAPTION} Brackets: 95\u00a0% bootstrap intervals over items and "
        f"respondents. {items} held-out items, {len(results.value_sets)} value set(s), "
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
            _latex_figure(row.held_out),
            _latex_figure(row.trained),
            _latex_figure(row.earth_movers),
            _latex_figure(row.entropy),
            _latex_figure(row.slope),
            percent(row.way),
        ]
        # The empty group keeps a label such as "[a]" from being read as an option of "\\".
        lines.append("{}" + " & ".join(latex_escaped(cell) for cell in cells) + r" \\")
    label = "".join(c if c.isascii() and c.isalnum() else "-" for c in study.name)
    return "\n".join(
        [
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{latex_escaped(caption)} EMD: earth mover's distance, ordered items only. "
            r"Entropy ratio: below 1 the model's answers are more alike than the population's. "
            r"Slope: of the model's shares on the population's; above 1 amplifies the majority. "
            r"Way: from the average-training floor (0) to the ceiling of two halves of the same "
            r"respondents (100\,\%).}",
            rf"\label{{tab:suffrage-{label}}}",
            r"\end{table}",
            "",
        ]
    )


def _latex_figure(score: Score | None) -> str:
    if score is None:
        return NOTHING
    if not _is_number(score.low) or not _is_number(score.high):
        return f"{number(score.value, 3)} ({NO_INTERVAL})"
    return f"{number(score.value, 3)} [{number(score.low, 3)}, {number(score.high, 3)}]"


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
        slope = row.slope if row.slope and _is_number(row.slope.value) else None
        cells = [
            row.method.label,
            _markdown_figure(row.held_out),
            number(row.trained.value) if row.trained else NOTHING,
            number(row.earth_movers.value) if row.earth_movers else NOTHING,
            number(row.entropy.value) if row.entropy else NOTHING,
            _markdown_figure(slope),
            *([_markdown_figure(row.sentence)] if said else []),
            duration(row.seconds) if row.seconds is not None else NOTHING,
            f"{sum(c.tokens for c in costs):,}" if costs else NOTHING,
            f"{max(c.peak_memory_bytes for c in costs) / 1e9:.1f} GB" if costs else NOTHING,
        ]
        escaped = [cell.replace("|", "\\|") for cell in cells]
        lines.append("| " + " | ".join(escaped) + " |")
    return "\n".join(lines) + "\n"


def _markdown_figure(score: Score | None) -> str:
    if score is None:
        return NOTHING
    if not _is_number(score.low) or not _is_number(score.high):
        return f"{number(score.value)} ({NO_INTERVAL})"
    return f"{number(score.value)} [{number(score.low)}, {number(score.high)}]"


def _one_line(text: str) -> str:
    return " ".join(text.split())
