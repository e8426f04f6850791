"""The report: one HTML file that opens offline, on a phone, on paper.

Everything the page says is chosen here by small functions of `Results`; the template only sets it.
The finding is a sentence made from the figures, and says so first where a method lost.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.evaluate.results import (
    Answer,
    Cost,
    Difference,
    ItemFacts,
    MethodFacts,
    Readout,
    Results,
    Score,
    Side,
    Target,
)
from suffrage.report.tables import (
    NO_INTERVAL,
    NOTHING,
    Verdict,
    by_kind,
    duration,
    find_difference,
    find_score,
    interval,
    main_side,
    number,
    percent,
    scoreboard_rows,
    signed,
    verdict,
)

BASE = "base"
PROMPT = "prompt"
AVERAGE = "average"
UNIFORM = "uniform"
NOT_MEASURED = "not measured"
INTERVAL_NAME = "95\u00a0% interval"
NORMAL_QUANTILE = 1.96  # of a 95 % interval
WORST_SHOWN = 3
WORSE_SHOWN = 8

READOUT_NAMES: dict[Readout, str] = {
    "letters": "Option letters",
    "text": "Full option text",
    "text_length_normalised": "Full text, by length",
    "sampled": "Written answers",
}
VERDICT_NAMES = {
    "higher": "closer",
    "lower": "further",
    "same": "cannot be told apart",
    "unknown": NO_INTERVAL,
}


def write_report(results: Results, path: Path) -> None:
    """Write the report as one self-contained HTML file, all or nothing."""
    storage.write_text(path, render_report(results))


def render_report(results: Results) -> str:
    """The report as HTML; it loads nothing from outside itself."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("suffrage.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent, "thousands": thousands}
    return environment.get_template("report.html.j2").render(_sections(results))


def _sections(results: Results) -> dict[str, Any]:
    """Everything the template needs, by the name it has there."""
    return {
        "r": results,
        "finding": finding(results),
        "weighted": is_weighted(results),
        "facts": study_facts(results),
        "value_sets": value_set_table(results),
        "items": item_table(results),
        "item_counts": item_counts(results),
        "plot_data": scoreboard_plot(results),
        "plot_caption": plot_caption(results),
        "scoreboard": scoreboard_table(results),
        "by_value_set": value_set_scores(results),
        "by_seed": seed_scores(results),
        "differences": difference_table(results, main_side(results)),
        "trained_differences": None
        if main_side(results) == "trained"
        else difference_table(results, "trained"),
        "methods": [(method, _pairs(method.settings)) for method in by_kind(results)],
        "cards": cards_by_value_set(results),
        "readouts": readout_table(results),
        "masses": mass_table(results),
        "disagreements": disagreement_table(results),
        "refused": refused_items(results),
        "weak_spots": weak_spot_table(results),
        "flattening": flattening(results),
        "worst_items": worst_item_table(results),
        "made_worse": made_worse_table(results),
        "costs": cost_table(results),
        "held_out_rule": _pairs(results.held_out),
        "machine": _pairs(results.study.machine),
        "versions": _pairs(results.study.versions),
    }


# --- Cells and tables --------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """What stands in a table's cell, and smaller below it; mark: a verdict's symbol."""

    text: str
    note: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table for the page: the first cell of a row is its heading.

    numeric: one flag a column, right-aligned on a wide page.
    """

    caption: str
    columns: Sequence[str]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[Cell]]


def _table(
    caption: str, columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[Cell]]
) -> Table:
    return Table(caption, [name for name, _ in columns], [flag for _, flag in columns], [*rows])


SIDE_NAMES: dict[Side, str] = {"held_out": "held out", "trained": "trained on"}


def _score_cell(score: Score | None, digits: int = 3) -> Cell:
    if score is None:
        return Cell(NOTHING)
    return Cell(number(score.value, digits), interval(score.low, score.high, digits))


def thousands(count: float) -> str:
    """A count with thin spaces between thousands from 10 000 on."""
    return f"{count:.0f}" if count < 9999.5 else f"{count:,.0f}".replace(",", "\u202f")


def _pairs(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A mapping as readable pairs, without what is unknown."""
    return [
        (
            str(key).replace("_", " "),
            ", ".join(map(str, value)) if isinstance(value, list) else str(value),
        )
        for key, value in facts.items()
        if value is not None
    ]


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


# --- The finding -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """lead: the trained methods against the untrained model. rest: what puts that in its place."""

    lead: str
    rest: str


def finding(results: Results) -> Finding:
    """What was found, in sentences: losses first, then gains, then what cannot be told apart."""
    base, trained = _base(results), _of_kind(results, "trained")
    lead, rest = _opening(results), []
    if base and trained:
        lead += _against_base(results, trained, base)
        rest += [s for bar in (AVERAGE, PROMPT) if (s := _against_bar(results, trained, bar))]
    elif base:
        lead += _audit(results, base)
    return Finding(" ".join(lead), " ".join([*rest, _basis(results)]))


def _opening(results: Results) -> list[str]:
    if main_side(results) == "held_out":
        return []
    return [
        "No question was held out, so nothing here shows whether a method learnt more than the "
        "questions it was trained on."
    ]


def _against_base(
    results: Results, trained: Sequence[MethodFacts], base: MethodFacts
) -> Iterable[str]:
    """How each trained method compares with the untrained model: fits, difference, interval."""
    order: list[Verdict] = ["lower", "higher", "same", "unknown"]
    compared = [
        (method, difference)
        for method in trained
        if (difference := _main_difference(results, method.name, base.name))
    ]
    compared.sort(key=lambda pair: order.index(verdict(pair[1])))
    people, untrained = _people(results), _as_model(base)
    relations: dict[Verdict, str] = {
        "higher": f"answers closer to {people} than {untrained}",
        "lower": f"answers further from {people} than {untrained}",
        "same": f"cannot be told apart from {untrained}",
        "unknown": f"was asked too few separate questions to be told apart from {untrained}",
    }
    again: dict[Verdict, str] = {
        "higher": "So does {}",
        "lower": "So does {}",
        "same": "Nor can {}",
        "unknown": "So was {}",
    }
    asked = "Asked questions it was never trained on,"
    if main_side(results) == "trained":
        asked = "On the questions trained on,"
    previous: Verdict | None = None
    floor = _main_score(results, base.name)
    for method, difference in compared:
        found, ours = verdict(difference), _main_score(results, method.name)
        figure = f": {number(ours.value)}" if ours else ""
        if previous == found:
            begin = again[found].format(_as_model(method))
        else:
            subject = _as_model(method)
            begin = f"{asked} {subject}" if previous is None else subject.replace("the", "The", 1)
            begin += f" {relations[found]}"
            figure += (
                f" against {number(floor.value)}{_possible(results)}" if ours and floor else ""
            )
        previous = found
        yield f"{begin}{figure} ({_change(difference)})."


def _against_bar(results: Results, trained: Sequence[MethodFacts], bar: str) -> str | None:
    """How the trained methods compare with a bar that costs no training."""
    score = _main_score(results, bar)
    found = [
        (method, difference)
        for method in trained
        if (difference := _main_difference(results, method.name, bar))
    ]
    if score is None or not found:
        return None
    relation: dict[Verdict, str] = {
        "lower": "falls short of that",
        "same": "cannot be told apart from that",
        "higher": "comes closer",
        "unknown": "cannot be compared, with so few questions",
    }
    found.sort(key=lambda pair: list(relation).index(verdict(pair[1])))
    parts = [
        f"{_in_sentence(method.label)} {relation[verdict(difference)]} ({_short_change(difference)})"
        for method, difference in found
    ]
    subject = (
        f"An answer that ignores the question, the average of the questions trained on, reaches {number(score.value)}"
        if bar == AVERAGE
        else f"The untrained model told in its prompt whom to answer for reaches {number(score.value)}"
    )
    return f"{subject}: {'; '.join(parts)}."


def _audit(results: Results, base: MethodFacts) -> list[str]:
    """The finding of a study that trains nothing: the model against the floors."""
    score = _main_score(results, base.name)
    sentences = ["Nothing was trained in this study."]
    if score is not None:
        sentences.append(
            f"The answers of {_as_model(base)} fit those of {_people(results)} to "
            f"{number(score.value)}{_possible(results)} "
            f"({INTERVAL_NAME}: {interval(score.low, score.high)})."
        )
    floor, difference = _main_score(results, UNIFORM), _main_difference(results, base.name, UNIFORM)
    if floor and difference:
        relation = {
            "lower": "the model does worse than that",
            "same": "the model cannot be told apart from that",
            "higher": "the model does better than that",
            "unknown": "there are too few separate questions to tell the two apart",
        }[verdict(difference)]
        sentences.append(
            f"Giving every option the same share would reach {number(floor.value)}: "
            f"{relation} ({_change(difference)})."
        )
    return sentences


def _basis(results: Results) -> str:
    scores = [s for m in results.methods if (s := _main_score(results, m.name))]
    questions = max((score.items for score in scores), default=0)
    kind = "held-out question" if main_side(results) == "held_out" else "question"
    return (
        f"These figures rest on {_plural(questions, kind)}, "
        f"{_plural(len(results.value_sets), 'value set')} and "
        f"{_plural(len(results.study.seeds), 'seed')}."
    )


def is_weighted(results: Results) -> bool:
    """Whether the answers were weighted: by the file's own weights, or raked."""
    return results.survey.weight_variable is not None or any(
        value_set.design_effect > 1.0005 for value_set in results.value_sets
    )


def _people(results: Results) -> str:
    return "the public" if is_weighted(results) else "the people surveyed"


def _as_model(method: MethodFacts) -> str:
    if method.kind == "trained":
        return f"the model trained by {_in_sentence(method.label)}"
    return (
        "the untrained model" if method.name == BASE else f"the {_in_sentence(method.label)} model"
    )


def _in_sentence(label: str) -> str:
    """A label inside a sentence: "Distribution matching" in lower case, "DPO" as it is."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def _possible(results: Results) -> str:
    ceiling = next(iter(_of_kind(results, "ceiling")), None)
    score = _main_score(results, ceiling.name) if ceiling else None
    return f" of a possible {number(score.value)}" if score else ""


def _change(difference: Difference) -> str:
    return f"difference {_short_change(difference)}"


def _short_change(difference: Difference) -> str:
    change = signed(difference.value)
    if verdict(difference) == "unknown":
        return f"{change}, {NO_INTERVAL} for an interval"
    span = interval(difference.low, difference.high, with_sign=True)
    return f"{change}, {INTERVAL_NAME} {span}"


# --- Choosing methods and figures --------------------------------------------------------------


def _of_kind(results: Results, *kinds: str) -> list[MethodFacts]:
    return [method for method in results.methods if method.kind in kinds]


def _models(results: Results) -> list[MethodFacts]:
    """Methods that answer with a model: untrained first, then trained."""
    return [m for m in by_kind(results) if m.kind in ("untrained", "trained")]


def _base(results: Results) -> MethodFacts | None:
    """The untrained model everything is held against: `base`, or else the first untrained one."""
    untrained = _of_kind(results, "untrained")
    return next((m for m in untrained if m.name == BASE), untrained[0] if untrained else None)


def _main_score(results: Results, method: str) -> Score | None:
    return find_score(results, method, main_side(results))


def _main_difference(results: Results, method: str, against: str) -> Difference | None:
    return find_difference(results, method, against, main_side(results))


def colours(results: Results) -> dict[str, str]:
    """The style class of each method; colours repeat after four trained methods, names do not."""
    found: dict[str, str] = {method.name: method.kind for method in results.methods}
    found |= {
        method.name: f"m{place % 4 + 1}"
        for place, method in enumerate(_of_kind(results, "trained"))
    }
    return found


# --- Who was asked what ------------------------------------------------------------------------


def study_facts(results: Results) -> list[tuple[str, str]]:
    """The line of facts under the title."""
    study = results.study
    model = f"{study.model} ({study.model_licence})" if study.model_licence else study.model
    return [
        ("Study", study.name),
        ("Model", model),
        ("Survey", results.survey.title),
        ("Finished", study.finished.partition("T")[0]),
        ("Content hash", study.content_hash),
    ]


def value_set_table(results: Results) -> Table:
    """The populations, with what their size is worth."""
    columns = [
        ("Value set", False),
        ("Respondents", True),
        ("Effective", True),
        ("Design effect", True),
        ("Weighting", False),
        ("Pooled with parent", False),
        ("Not asked", False),
    ]
    rows = [
        [
            Cell(v.name, _described(v.description, v.where)),
            Cell(thousands(v.n)),
            Cell(thousands(v.n_eff)),
            Cell(number(v.design_effect)),
            Cell(v.weighting),
            Cell(", ".join(v.pooled_items) or "none"),
            Cell(", ".join(v.set_aside) or "none"),
        ]
        for v in results.value_sets
    ]
    return _table("The populations whose answers are the target", columns, rows)


def _described(description: str, where: Mapping[str, Any]) -> str:
    chosen = "; ".join(f"{name}: {value}" for name, value in _pairs(where))
    return f"{description} ({chosen})" if chosen else description


def item_counts(results: Results) -> list[tuple[int, int, int]]:
    """For each seed, how many questions were held out and how many trained on."""
    sides = {
        seed: [item.side[seed] for item in results.items if seed in item.side]
        for seed in results.study.seeds
    }
    return [(seed, s.count("held_out"), s.count("trained")) for seed, s in sides.items()]


def item_table(results: Results) -> Table:
    """Every question, and on which side it lay."""
    columns = [("Item", False), ("Question", False), ("Options", True), ("Side", False)]
    rows = [
        [
            Cell(item.id, item.topic or ""),
            Cell(item.question, item.note or ""),
            Cell(str(len(item.options)), "ordered" if item.ordered else "not ordered"),
            Cell(_sides(item)),
        ]
        for item in results.items
    ]
    return _table("Every question, and whether a method could train on it", columns, rows)


def _sides(item: ItemFacts) -> str:
    sides = set(item.side.values())
    if len(sides) == 1:
        return SIDE_NAMES[sides.pop()]
    by_side: dict[Side, list[str]] = defaultdict(list)
    for seed, side in item.side.items():
        by_side[side].append(str(seed))
    return "; ".join(
        f"{SIDE_NAMES[side]} in seed {', '.join(by_side[side])}" for side in sorted(by_side)
    )


# --- The scoreboard ----------------------------------------------------------------------------


@dataclass(frozen=True)
class PlotRow:
    """A method's dot and whisker; positions in percent of the plot's width."""

    label: str
    style: str
    at: float
    low: float | None
    high: float | None
    text: str
    note: str


@dataclass(frozen=True)
class Plot:
    """Dots with whiskers on one axis. lines: the floors and the ceiling, through every row."""

    rows: Sequence[PlotRow]
    lines: Sequence[tuple[float, str]]
    ticks: Sequence[tuple[float, str]]


def scoreboard_plot(results: Results) -> Plot:
    """Fit on the main side, one row a method."""
    found = [(m, s) for m in by_kind(results) if (s := _main_score(results, m.name))]
    edges = [
        edge
        for _, score in found
        for edge in (score.value, score.low, score.high)
        if edge is not None and math.isfinite(edge)
    ]
    ticks = axis_ticks(min(edges, default=0.0), max(edges, default=1.0))

    def place(value: float) -> float:
        # 3 % of room at either end, so that no dot is cut.
        return round(3 + 94 * (value - ticks[0]) / (ticks[-1] - ticks[0]), 2)

    style = colours(results)
    return Plot(
        rows=[
            PlotRow(
                label=method.label,
                style=style[method.name],
                at=place(score.value),
                low=None if score.low is None else place(score.low),
                high=None if score.high is None else place(score.high),
                text=number(score.value),
                note=interval(score.low, score.high),
            )
            for method, score in found
        ],
        lines=[(place(s.value), m.kind) for m, s in found if m.kind in ("floor", "ceiling")],
        ticks=[(place(tick), number(tick)) for tick in ticks],
    )


def plot_caption(results: Results) -> str:
    """What the plot shows, and where its axis begins."""
    side = SIDE_NAMES[main_side(results)]
    start = scoreboard_plot(results).ticks[0][1]
    return (
        f"Fit on the questions {side}: dots with {INTERVAL_NAME}s. Dotted lines: the floors. "
        f"Dashed line: the ceiling. The axis starts at {start}."
    )


def axis_ticks(low: float, high: float) -> list[float]:
    """Round numbers from below `low` to above `high`, at most six of them."""
    for step in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        last = max(last, first + 1)
        if last - first <= 5:
            return [round(place * step, 2) for place in range(first, last + 1)]
    return [low, high]


def scoreboard_table(results: Results) -> Table:
    """Every method with every figure, over all value sets and seeds."""
    side = main_side(results)
    name = SIDE_NAMES[side]
    columns = [
        ("Method", False),
        ("Fit, held out", True),
        ("Fit, trained on", True),
        (f"Earth mover’s distance, {name}", True),
        (f"Entropy ratio, {name}", True),
        ("Way to the ceiling", True),
        ("Questions", True),
    ]
    rows = []
    for row in scoreboard_rows(results):
        main = row.held_out if side == "held_out" else row.trained
        rows.append(
            [
                Cell(row.method.label),
                _score_cell(row.held_out),
                _score_cell(row.trained),
                _score_cell(row.earth_movers),
                _score_cell(row.entropy),
                Cell(percent(main.way if main else None)),
                Cell(str(main.items) if main else NOTHING),
            ]
        )
    return _table("Scoreboard: all value sets and seeds together", columns, rows)


def value_set_scores(results: Results) -> Table | None:
    """Fit on the main side for each value set; None with one value set."""
    if len(results.value_sets) < 2:
        return None
    side, methods = main_side(results), by_kind(results)
    rows = [
        [
            Cell(v.name, v.description),
            *(_score_cell(find_score(results, m.name, side, value_set=v.name), 2) for m in methods),
        ]
        for v in results.value_sets
    ]
    columns = [("Value set", False), *((m.label, True) for m in methods)]
    return _table(f"Fit for each value set, questions {SIDE_NAMES[side]}", columns, rows)


def seed_scores(results: Results) -> Table | None:
    """Fit on the main side for each seed; None with one seed."""
    seeds = results.study.seeds
    if len(seeds) < 2:
        return None
    side = main_side(results)
    rows = [
        [
            Cell(method.label),
            *(_score_cell(find_score(results, method.name, side, seed=s), 3) for s in seeds),
        ]
        for method in by_kind(results)
    ]
    columns = [("Method", False), *((f"Seed {seed}", True) for seed in seeds)]
    return _table(f"Fit for each seed, questions {SIDE_NAMES[side]}", columns, rows)


def difference_table(results: Results, side: Side) -> Table | None:
    """Every paired difference in fit and in earth mover's distance, over all value sets."""
    pairs = [
        d
        for d in results.differences
        if (d.side, d.metric, d.value_set) == (side, "fit_jsd", "all")
    ]
    if not pairs:
        return None
    labels = {method.name: method.label for method in results.methods}
    trained = {method.name for method in _of_kind(results, "trained")}
    rows = []
    for d in sorted(pairs, key=lambda d: d.method not in trained):  # what was trained comes first
        distance = find_difference(results, d.method, d.against, side, "emd")
        rows.append(
            [
                Cell(
                    labels.get(d.method, d.method),
                    f"against {_in_sentence(labels.get(d.against, d.against))}",
                ),
                _difference_cell(d),
                Cell(VERDICT_NAMES[verdict(d)], mark=verdict(d)),
                _difference_cell(distance),
            ]
        )
    columns = [
        ("Compared", False),
        ("Difference in fit", True),
        ("So the first is", False),
        ("Difference in earth mover’s distance", True),
    ]
    return _table(f"Paired differences, questions {SIDE_NAMES[side]}", columns, rows)


def _difference_cell(difference: Difference | None) -> Cell:
    if difference is None:
        return Cell(NOTHING)
    span = interval(difference.low, difference.high, 3, with_sign=True)
    return Cell(signed(difference.value, 3), span)


# --- The answers, item by item -----------------------------------------------------------------


@dataclass(frozen=True)
class OptionBar:
    """What the population answered; positions in percent of the item's scale."""

    number: int
    text: str
    share: str
    note: str
    width: float
    low: float
    high: float


@dataclass(frozen=True)
class Panel:
    """What one method answered beside the population; bars None when it could not be read."""

    label: str
    style: str
    fit: str
    bars: Sequence[tuple[float, str]] | None
    spoken: str


@dataclass(frozen=True)
class Card:
    """One question as one population and every method answered it."""

    item: ItemFacts
    held_out: bool
    basis: str
    scale: str
    options: Sequence[OptionBar]
    panels: Sequence[Panel]


@dataclass(frozen=True)
class ValueSetCards:
    """The questions of one value set: held out in some seed, and never."""

    name: str
    description: str
    held_out: Sequence[Card]
    trained: Sequence[Card]


AnswersAt = Mapping[tuple[str, str, str, Side], Sequence[Answer]]


def letter_answers(results: Results) -> AnswersAt:
    """Answers by option letter, one a seed, by method, value set, item and side."""
    found: dict[tuple[str, str, str, Side], list[Answer]] = defaultdict(list)
    for answer in results.answers:
        if answer.readout == "letters":
            found[answer.method, answer.value_set, answer.item, answer.side].append(answer)
    return found


def mean_shares(answers: Sequence[Answer]) -> list[float] | None:
    """The mean answer over the seeds that could be read; None when none could."""
    read = [answer.shares for answer in answers if not answer.refused]
    return [math.fsum(column) / len(read) for column in zip(*read, strict=True)] if read else None


def mean_fit(answers: Sequence[Answer]) -> float | None:
    """The mean fit over the seeds that could be read; None when none could."""
    fits = [answer.fit for answer in answers if answer.fit is not None]
    return math.fsum(fits) / len(fits) if fits else None


def cards_by_value_set(results: Results) -> list[ValueSetCards]:
    """Every question of every value set, shown once: held out where it ever was."""
    answers = letter_answers(results)
    targets = {(target.value_set, target.item): target for target in results.targets}
    found = []
    for value_set in results.value_sets:
        cards = [
            _card(results, item, target, answers)
            for item in results.items
            if (target := targets.get((value_set.name, item.id)))
        ]
        found.append(
            ValueSetCards(
                value_set.name,
                value_set.description,
                [card for card in cards if card.held_out],
                [card for card in cards if not card.held_out],
            )
        )
    return found


def _card(results: Results, item: ItemFacts, target: Target, answers: AnswersAt) -> Card:
    held_out = "held_out" in item.side.values()
    side: Side = "held_out" if held_out else "trained"
    seeds = [seed for seed, at in item.side.items() if at == side]
    found = [
        (method, answers.get((method.name, target.value_set, item.id, side), []))
        for method in _models(results)
    ]
    shares = {method.name: mean_shares(of_seeds) for method, of_seeds in found}
    bounds = [
        (max(0.0, p - NORMAL_QUANTILE * se), min(1.0, p + NORMAL_QUANTILE * se))
        for p, se in zip(target.shares, target.standard_errors, strict=True)
    ]
    most = max(
        [high for _, high in bounds]
        + [s for answered in shares.values() if answered for s in answered]
    )
    scale = min(1.0, math.ceil(most * 10 - 1e-9) / 10)

    def width(share: float) -> float:
        return round(100 * share / scale, 1)

    style = colours(results)
    return Card(
        item=item,
        held_out=held_out,
        basis=_card_basis(target, seeds, len(results.study.seeds), side),
        scale=percent(scale),
        options=[
            OptionBar(
                number=place + 1,
                text=text,
                share=percent(share),
                note=f"{percent(low)} to {percent(high)}",
                width=width(share),
                low=width(low),
                high=width(high),
            )
            for place, (text, share, (low, high)) in enumerate(
                zip(item.options, target.shares, bounds, strict=True)
            )
        ],
        panels=[
            _panel(method, style[method.name], shares[method.name], mean_fit(of_seeds), width)
            for method, of_seeds in found
            if of_seeds
        ],
    )


def _panel(
    method: MethodFacts,
    style: str,
    shares: Sequence[float] | None,
    fit: float | None,
    width: Callable[[float], float],
) -> Panel:
    if shares is None:
        return Panel(method.label, style, NOTHING, None, "")
    spoken = ", ".join(f"{place + 1}: {percent(share)}" for place, share in enumerate(shares))
    return Panel(
        label=method.label,
        style=style,
        fit=number(fit),
        bars=[(width(share), percent(share)) for share in shares],
        spoken=f"{method.label}, by option: {spoken}",
    )


def _card_basis(target: Target, seeds: Sequence[int], seed_count: int, side: Side) -> str:
    parts = [f"{thousands(target.n)} answered (effective {thousands(target.n_eff)})"]
    silent = sum(target.non_response.values())
    if silent > 0:
        kinds = ", ".join(f"{kind} {percent(s, 1)}" for kind, s in target.non_response.items() if s)
        parts.append(f"no answer: {kinds}")
    if seed_count > 1:
        which = ", ".join(map(str, seeds))
        shown = "mean over seeds" if len(seeds) > 1 else "seed"
        parts.append(f"{SIDE_NAMES[side]}; models: {shown} {which}")
    return "; ".join(parts)


# --- Ways of reading an answer -----------------------------------------------------------------


def readouts_used(results: Results) -> list[Readout]:
    """The readouts this run made, in the order the report names them."""
    found = {answer.readout for answer in results.answers}
    return [readout for readout in READOUT_NAMES if readout in found]


def readout_table(results: Results) -> Table:
    """The fit each way of reading a model's answers gives, side by side."""
    side, readouts = main_side(results), readouts_used(results)
    rows = [
        [
            Cell(m.label),
            *(_score_cell(find_score(results, m.name, side, readout=r)) for r in readouts),
        ]
        for m in _models(results)
    ]
    columns = [("Method", False), *((READOUT_NAMES[readout], True) for readout in readouts)]
    return _table(f"Fit by readout, questions {SIDE_NAMES[side]}", columns, rows)


def mass_table(results: Results) -> Table:
    """How much each readout leaves outside the options, what was refused, order sensitivity."""
    side, readouts = main_side(results), readouts_used(results)
    answers: dict[tuple[str, Readout], list[Answer]] = defaultdict(list)
    for answer in results.answers:
        if answer.side == side:
            answers[answer.method, answer.readout].append(answer)
    rows = []
    for method in _models(results):
        orders = [
            answer.order_sensitivity
            for answer in answers[method.name, "letters"]
            if answer.order_sensitivity is not None
        ]
        rows.append(
            [
                Cell(method.label),
                *(_mass_cell(answers[method.name, readout]) for readout in readouts),
                Cell(number(math.fsum(orders) / len(orders)) if orders else NOT_MEASURED),
            ]
        )
    columns = [
        ("Method", False),
        *((READOUT_NAMES[readout], True) for readout in readouts),
        ("Order sensitivity", True),
    ]
    caption = (
        f"Probability outside the options, and order sensitivity, questions {SIDE_NAMES[side]}"
    )
    return _table(caption, columns, rows)


def _mass_cell(answers: Sequence[Answer]) -> Cell:
    if not answers:
        return Cell(NOTHING)
    refused = sum(answer.refused for answer in answers)
    outside = 1 - math.fsum(answer.mass for answer in answers) / len(answers)
    return Cell(percent(max(0.0, outside)), f"{refused} of {len(answers)} unread")


def disagreement_table(results: Results) -> Table | None:
    """Mean total variation between two readouts, one row a pair, one column a method."""
    models = [m for m in _models(results) if any(d.method == m.name for d in results.readouts)]
    pairs = list(dict.fromkeys((d.first, d.second) for d in results.readouts))
    if not pairs or not models:
        return None
    at = {(d.method, d.first, d.second): d for d in results.readouts}
    rows = [
        [
            Cell(f"{READOUT_NAMES[first]} / {READOUT_NAMES[second].lower()}"),
            *(
                Cell(number(d.total_variation), _plural(d.items, "question"))
                if (d := at.get((model.name, first, second)))
                else Cell(NOTHING)
                for model in models
            ),
        ]
        for first, second in pairs
    ]
    columns = [("Between", False), *((model.label, True) for model in models)]
    return _table("How far two readouts of one model disagree (0 same, 1 disjoint)", columns, rows)


def refused_items(results: Results) -> list[tuple[str, str]]:
    """For each model, the items it could not be read on, with the readout."""
    found = []
    for method in _models(results):
        places = sorted(
            {
                f"{a.item} ({READOUT_NAMES[a.readout].lower()})"
                for a in results.answers
                if a.method == method.name and a.refused
            }
        )
        if places:
            found.append((method.label, ", ".join(places)))
    return found


# --- Where it fails ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Fall:
    """A question and value set where training lowered the fit, means over the same seeds."""

    item: str
    value_set: str
    before: float
    after: float


def falls(results: Results, method: str, base: str, side: Side) -> tuple[list[Fall], int]:
    """Where `method` fits worse than `base`, largest fall first; and how many places compare."""
    answers = letter_answers(results)
    found, compared = [], 0
    for (name, value_set, item, at), ours in answers.items():
        if name != method or at != side:
            continue
        theirs = answers.get((base, value_set, item, side), [])
        seeds = {a.seed for a in ours if a.fit is not None}
        seeds &= {a.seed for a in theirs if a.fit is not None}
        after = mean_fit([a for a in ours if a.seed in seeds])
        before = mean_fit([a for a in theirs if a.seed in seeds])
        if after is None or before is None:
            continue
        compared += 1
        if after < before:
            found.append(Fall(item, value_set, before, after))
    return sorted(found, key=lambda fall: (fall.after - fall.before, fall.item)), compared


def made_worse_table(results: Results) -> Table | None:
    """The largest falls of each trained method; None when there is none."""
    base, side = _base(results), main_side(results)
    if base is None:
        return None
    questions = {item.id: item.question for item in results.items}
    rows = [
        [
            Cell(method.label),
            Cell(questions.get(fall.item, fall.item), fall.item),
            Cell(fall.value_set),
            Cell(number(fall.before, 3)),
            Cell(number(fall.after, 3)),
            Cell(signed(fall.after - fall.before, 3)),
        ]
        for method in _of_kind(results, "trained")
        for fall in falls(results, method.name, base.name, side)[0][:WORSE_SHOWN]
    ]
    columns = [
        ("Method", False),
        ("Question", False),
        ("Value set", False),
        ("Fit untrained", True),
        ("Fit trained", True),
        ("Change", True),
    ]
    caption = f"Where training made it worse, questions {SIDE_NAMES[side]} (at most {WORSE_SHOWN} a method)"
    return _table(caption, columns, rows) if rows else None


def worst_items(
    results: Results, method: str, side: Side, count: int = WORST_SHOWN
) -> list[tuple[str, float]]:
    """The items with the lowest mean fit over value sets and seeds, worst first."""
    by_item: dict[str, list[Answer]] = defaultdict(list)
    for (name, _, item, at), answers in letter_answers(results).items():
        if name == method and at == side:
            by_item[item] += answers
    fits = [(item, f) for item, found in by_item.items() if (f := mean_fit(found)) is not None]
    return sorted(fits, key=lambda pair: (pair[1], pair[0]))[:count]


def worst_item_table(results: Results) -> Table:
    """Each model's worst questions."""
    questions = {item.id: item.question for item in results.items}
    side = main_side(results)
    rows = [
        [
            Cell(method.label),
            Cell(questions.get(item, item), item),
            Cell(number(fit, 3)),
        ]
        for method in _models(results)
        for item, fit in worst_items(results, method.name, side)
    ]
    columns = [("Method", False), ("Question", False), ("Fit", True)]
    return _table(
        f"The questions each model gets most wrong, {SIDE_NAMES[side]}; mean over value sets and seeds",
        columns,
        rows,
    )


def weak_spot_table(results: Results) -> Table:
    """For each model: its worst and best value set, places made worse, entropy ratio."""
    base, side = _base(results), main_side(results)
    several = len(results.value_sets) > 1
    rows = []
    for method in _models(results):
        by_value_set = [
            (score.value, v.name)
            for v in results.value_sets
            if (score := find_score(results, method.name, side, value_set=v.name))
        ]
        worst, best = (min(by_value_set), max(by_value_set)) if by_value_set else (None, None)
        fell = "trains nothing"
        if base and method.kind == "trained":
            lost, compared = falls(results, method.name, base.name, side)
            fell = f"{len(lost)} of {compared}"
        spots = [
            Cell(number(worst[0], 3) if worst else NOTHING, worst[1] if worst else ""),
            Cell(number(best[0], 3) if best else NOTHING, best[1] if best else ""),
        ]
        entropy = find_score(results, method.name, side, "entropy_ratio")
        rows.append(
            [Cell(method.label), *(spots if several else []), Cell(fell), _score_cell(entropy)]
        )
    spots_columns = [("Worst value set", True), ("Best value set", True)] if several else []
    columns = [
        ("Method", False),
        *spots_columns,
        ("Worse than untrained", True),
        ("Entropy ratio", True),
    ]
    return _table(f"Weak spots, questions {SIDE_NAMES[side]}", columns, rows)


def flattening(results: Results) -> list[str]:
    """One sentence a model on whether its answers are more alike than people's."""
    sentences = []
    for method in _models(results):
        score = find_score(results, method.name, main_side(results), "entropy_ratio")
        if score is None:
            continue
        if score.low is None or score.high is None:
            said = "too few questions to say whether it flattens opinion"
        elif score.high < 1:
            said = "answers are more alike than people’s: it flattens disagreement"
        elif score.low > 1:
            said = "answers are more spread out than people’s: it is less decided than they are"
        else:
            said = "answers are about as spread out as people’s"
        sentences.append(f"{method.label} (entropy ratio {number(score.value)}): {said}.")
    return sentences


# --- What it cost ------------------------------------------------------------------------------


def cost_table(results: Results) -> Table:
    """What training cost, summed over a method's checkpoints; memory is the highest peak."""
    columns = [
        ("Method", False),
        ("Checkpoints", True),
        ("Time", True),
        ("Peak memory", True),
        ("Steps", True),
        ("Examples", True),
        ("Tokens", True),
        ("Energy", True),
        ("Money", True),
    ]
    rows = [
        [
            Cell(method.label),
            Cell(str(len(method.costs))),
            Cell(duration(sum(cost.seconds for cost in method.costs))),
            Cell(_memory(max(cost.peak_memory_bytes for cost in method.costs))),
            Cell(thousands(sum(cost.steps for cost in method.costs))),
            Cell(thousands(sum(cost.examples for cost in method.costs))),
            Cell(thousands(sum(cost.tokens for cost in method.costs))),
            Cell(_energy(method.costs)),
            Cell(_money(method.costs)),
        ]
        for method in by_kind(results)
        if method.costs
    ]
    return _table("What training cost, all checkpoints of a method together", columns, rows)


def _memory(count: int) -> str:
    return f"{count / 1e9:.1f}\u00a0GB" if count >= 1e9 else f"{count / 1e6:.0f}\u00a0MB"


def _energy(costs: Sequence[Cost]) -> str:
    known = [cost.energy_kwh for cost in costs if cost.energy_kwh is not None]
    if len(known) < len(costs):
        return NOT_MEASURED
    total = math.fsum(known)
    return f"{total:.2f}\u00a0kWh" if total >= 0.1 else f"{1000 * total:.1f}\u00a0Wh"


def _money(costs: Sequence[Cost]) -> str:
    known = [cost.money for cost in costs if cost.money is not None]
    currencies = {cost.currency for cost in costs}
    if len(known) < len(costs) or len(currencies) != 1:
        return NOT_MEASURED
    return f"{math.fsum(known):.2f} {currencies.pop() or ''}".strip()
