"""Where it fails: items made worse, the worst items, weak spots, flattening."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from suffrage.evaluate.results import (
    Results,
    ScoredAnswer,
    SplitSide,
)
from suffrage.report.answer_cards import letter_answers, mean_fit
from suffrage.report.cells import (
    SIDE_NAMES,
    WORSE_SHOWN,
    WORST_SHOWN,
    Cell,
    Table,
    base_method,
    figure_cell,
    make_table,
    methods_of_kind,
    model_methods,
)
from suffrage.report.numbers import NOTHING, number, signed
from suffrage.report.tables import doubt_of_lowest, fit_figure, fits_lowest_first


@dataclass(frozen=True)
class Fall:
    """A question and value set where training lowered the fit, means over the same seeds."""

    item: str
    value_set: str
    before: float
    after: float


def falls(results: Results, method: str, base: str, side: SplitSide) -> tuple[list[Fall], int]:
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
    base, side = base_method(results), results.main_side
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
        for method in methods_of_kind(results, "trained")
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
    caption = (
        f"Where training made it worse, questions {SIDE_NAMES[side]} (at most {WORSE_SHOWN} a "
        "method)"
    )
    return make_table(caption, columns, rows) if rows else None


def worst_items(
    results: Results, method: str, side: SplitSide, count: int = WORST_SHOWN
) -> list[tuple[str, float]]:
    """The items with the lowest mean fit over value sets and seeds, worst first."""
    by_item: dict[str, list[ScoredAnswer]] = defaultdict(list)
    for (name, _, item, at), answers in letter_answers(results).items():
        if name == method and at == side:
            by_item[item] += answers
    fits = [(item, f) for item, found in by_item.items() if (f := mean_fit(found)) is not None]
    return sorted(fits, key=lambda pair: (pair[1], pair[0]))[:count]


def worst_item_table(results: Results) -> Table:
    """Each model's worst questions."""
    questions = {item.id: item.question for item in results.items}
    side = results.main_side
    rows = [
        [
            Cell(method.label),
            Cell(questions.get(item, item), item),
            Cell(number(fit, 3)),
        ]
        for method in model_methods(results)
        for item, fit in worst_items(results, method.name, side)
    ]
    columns = [("Method", False), ("Question", False), ("Fit", True)]
    return make_table(
        f"The questions each model gets most wrong, {SIDE_NAMES[side]}; mean over value sets and "
        "seeds",
        columns,
        rows,
    )


def weak_spot_table(results: Results) -> Table:
    """For each model: its worst and best value set, places made worse, entropy ratio."""
    base, side = base_method(results), results.main_side
    several = len(results.value_sets) > 1
    rows = []
    for method in model_methods(results):
        fits = fits_lowest_first(results, method.name, side)
        fell = "trains nothing"
        if base and method.kind == "trained":
            lost, compared = falls(results, method.name, base.name, side)
            fell = f"{len(lost)} of {compared}"
        spots = [Cell(NOTHING), Cell(NOTHING)]
        if fits:
            (worst, least, _), (best, most, _) = fits[0], fits[-1]
            doubt = "?" if doubt_of_lowest(fits) else ""
            spots = [
                Cell(number(least.value, 3), worst.name + doubt),
                Cell(number(most.value, 3), best.name),
            ]
        entropy = fit_figure(results, method.name, side, "entropy_ratio")
        rows.append(
            [Cell(method.label), *(spots if several else []), Cell(fell), figure_cell(entropy)]
        )
    spots_columns = [("Worst value set", True), ("Best value set", True)] if several else []
    columns = [
        ("Method", False),
        *spots_columns,
        ("Worse than untrained", True),
        ("Entropy ratio", True),
    ]
    note = "A name with ? is that of the lowest fit, and may not be the worst." if several else ""
    return make_table(f"Weak spots, questions {SIDE_NAMES[side]}", columns, rows, note)


def flattening(results: Results) -> list[str]:
    """One sentence a model on whether its answers are more alike than people's."""
    sentences = []
    for method in model_methods(results):
        score = fit_figure(results, method.name, results.main_side, "entropy_ratio")
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
