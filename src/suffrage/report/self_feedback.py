"""What a model said of its own answers: principles, critiques, revisions and judgements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suffrage.evaluate.results import (
    Exchange,
    JudgedPair,
    PrincipleFacts,
    Results,
    SelfFeedback,
)
from suffrage.report.cells import Cell, Table, make_table
from suffrage.report.numbers import number, percent

OUTCOME_NAMES = {
    "ok": "readable",
    "unchanged": "unchanged",
    "same": "both answers alike",
    "empty": "empty",
    "refusal": "refusals",
    "off_format": "off format",
    "unreadable": "with an unreadable answer",
}
STEPS = ("drafts", "critiques", "revisions")
# Beyond this a lean to one letter is worth a sentence.
LEAN_WORTH_SAYING = 0.1


@dataclass(frozen=True)
class FeedbackPart:
    """One checkpoint's part of the section."""

    title: str
    sentences: Sequence[str]
    outcomes: Table
    principles: Table
    exchanges: Sequence[Exchange]
    verdicts: Sequence[tuple[JudgedPair, str]]


def feedback_parts(results: Results) -> list[FeedbackPart]:
    """One part a checkpoint that criticised itself; empty when none did."""
    labels = {method.name: method.label for method in results.methods}
    return [
        FeedbackPart(
            title=_title(one, labels.get(one.method, one.method), results),
            sentences=_sentences(one),
            outcomes=_outcome_table(one),
            principles=_principle_table(one.principles),
            exchanges=[
                exchange.model_copy(update={"outcome": _left_out(exchange.outcome)})
                for exchange in one.exchanges
            ],
            verdicts=[(verdict, _verdict(verdict)) for verdict in one.verdicts],
        )
        for one in results.self_feedback
    ]


def _title(one: SelfFeedback, label: str, results: Results) -> str:
    parts = [label, one.group]
    if len(results.study.seeds) > 1:
        parts.append(f"seed {one.seed}")
    return ", ".join(part for part in parts if part)


def _sentences(one: SelfFeedback) -> list[str]:
    total = sum(one.revisions.values())
    found = [f"{one.revisions_trained_on} of {total} revisions were trained on."]
    judged = one.judgements
    if judged is None:
        return [*found, "No answers were judged."]
    pairs = sum(int(judged[kind]) for kind in ("ok", "same", "unreadable", "off_format"))
    found.append(f"{int(judged['trained_on'])} of {pairs} judged pairs were trained on.")
    found.append(_check_in_words(one))
    if "lean_to_a" not in judged:
        return found
    lean = judged["lean_to_a"]
    found.append(
        f"Each pair was judged in both orders; both named the same answer in "
        f"{percent(judged['same_both_ways'])} of them (a coin would in {percent(0.5)}), and the "
        f"judge’s probability for the better one was {percent(judged['sureness'])} on average."
    )
    if abs(lean) > LEAN_WORTH_SAYING:
        letter = "A" if lean > 0 else "B"
        found.append(
            f"The judge prefers the letter {letter}: whichever answer was there got "
            f"{percent(0.5 + abs(lean))}. Averaging the orders removes this preference from the "
            "labels, but leaves less to learn from."
        )
    return found


def _check_in_words(one: SelfFeedback) -> str:
    """How the judge did on pairs whose better answer is known."""
    check = one.judge_check
    if check is None:
        return (
            "Nobody checked whether this model can judge by a principle, so its judgements may be "
            "noise."
        )
    return (
        f"Before that the judge preferred the right answer in {percent(check.agreement)} of "
        f"{check.pairs} pairs whose better answer is known (a coin would in {percent(0.5)}, and "
        f"at least {percent(check.least_agreement)} was asked for)."
    )


def _outcome_table(one: SelfFeedback) -> Table:
    rows = [_outcome_row(step.capitalize(), getattr(one, step)) for step in STEPS]
    kinds = list(one.drafts)
    columns = [("Texts", False), *((OUTCOME_NAMES[kind].capitalize(), True) for kind in kinds)]
    return make_table("What became of the model’s own texts", columns, rows)


def _outcome_row(name: str, found: Mapping[str, int]) -> list[Cell]:
    return [Cell(name), *(Cell(str(value)) for value in found.values())]


def _principle_table(principles: Sequence[PrincipleFacts]) -> Table:
    columns = [
        ("Principle", False),
        ("Of", False),
        ("Support", True),
        ("Critiques", True),
        ("Judgements", True),
    ]
    rows = [
        [
            Cell(p.text, "; ".join(p.sources)),
            Cell("all" if p.value_set == "all" else p.value_set),
            Cell("not given" if p.support is None else percent(p.support), _groups(p)),
            Cell(str(p.critiques)),
            Cell(str(p.judgements)),
        ]
        for p in principles
    ]
    return make_table("The principles, and how often each was sampled", columns, rows)


def _groups(principle: PrincipleFacts) -> str:
    return ", ".join(f"{name} {percent(share)}" for name, share in principle.group_support.items())


def _left_out(outcome: str) -> str:
    """In words what a text was counted as, where it is no readable one."""
    return "" if outcome in ("ok", "unchanged") else OUTCOME_NAMES[outcome]


def _verdict(verdict: JudgedPair) -> str:
    """The judgement in a sentence."""
    if verdict.outcome == "same":
        return "Both answers are the same; nothing to learn."
    words = f"Better with probability {number(verdict.share)}"
    first, second = number(verdict.a_first), number(verdict.a_second)
    orders = f"“A” got {first} in one order and {second} in the other"
    left_out = "" if verdict.outcome == "ok" else f" Counted as {OUTCOME_NAMES[verdict.outcome]}."
    return f"{words}; {orders}.{left_out}"
