"""How much a model adds to the average answer: the weight of its answers in the best mixture."""

from __future__ import annotations

from dataclasses import dataclass

from suffrage.evaluate.fit import AVERAGE
from suffrage.evaluate.results import MixingFacts, Results
from suffrage.plurals import plural
from suffrage.report.cells import Cell, Table, in_sentence, make_table
from suffrage.report.numbers import interval, number, signed
from suffrage.report.tables import fit_difference


@dataclass(frozen=True)
class MixingPart:
    """What the page says of the mixtures."""

    sentences: list[str]
    table: Table


def mixing_part(results: Results) -> MixingPart | None:
    """The weights of all methods that have one; None where the study chose none."""
    if not results.mixing:
        return None
    labels = {method.name: method.label for method in results.methods}
    rows = [
        [
            Cell(labels[own.method]),
            Cell(str(own.seed)),
            Cell(number(own.weight), interval(own.low, own.high)),
            Cell(number(own.average_fit, 3)),
            Cell(number(own.model_fit, 3)),
            Cell(number(own.mixed_fit, 3)),
            Cell(str(own.questions)),
        ]
        for own in results.mixing
    ]
    columns = [
        ("Method", False),
        ("Seed", True),
        ("Weight of the model", True),
        ("Fit of the average answer", True),
        ("Fit of the model", True),
        ("Fit of the mixture", True),
        ("Questions", True),
    ]
    caption = "On the questions that weights were chosen on, neither trained on nor evaluated"
    by_method: dict[str, list[MixingFacts]] = {}
    for own in results.mixing:
        by_method.setdefault(own.method, []).append(own)
    sentences = [_sentence(results, labels[name], some) for name, some in by_method.items()]
    return MixingPart(sentences, make_table(caption, columns, rows))


def _sentence(results: Results, label: str, weights: list[MixingFacts]) -> str:
    """One method's weight, and what the mixture gains where it was not chosen."""
    mean = sum(own.weight for own in weights) / len(weights)
    count = plural(max(own.questions for own in weights), "question")
    seeds = f", the mean of {len(weights)} seeds" if len(weights) > 1 else ""
    said = (
        f"The best mixture has {number(mean)} of {in_sentence(label)} and {number(1 - mean)} of "
        f"the average answer (chosen on {count}{seeds})."
    )
    gap = fit_difference(results, weights[0].reading, AVERAGE)
    if gap is None:
        return said
    span = "" if gap.low is None else f" ({interval(gap.low, gap.high, 3, with_sign=True)})"
    where = "held out" if results.main_side == "held_out" else "trained on"
    return (
        f"{said} On the questions {where}, its fit is {signed(gap.value, 3)}{span} "
        "against the average answer alone."
    )
