"""What a training on votes gave, in sentences for the first page."""

from __future__ import annotations

from suffrage.align.combined import COMBINED
from suffrage.evaluate.asking.voting_groups import AVERAGE
from suffrage.evaluate.results import MethodFacts, Results
from suffrage.evaluate.votes import NAME as VOTES
from suffrage.report.cells import as_model, base_method, methods_of_kind
from suffrage.report.marks import change_words, is_for_missing_answers


def votes_in_short(results: Results) -> list[str]:
    """How the model that learnt votes answers people and statements it never met.

    Of several such models it is the one with the best fit. Empty where none learnt votes, and where
    no statement was held out.
    """
    facts = next((e for e in results.evaluations if e.name == VOTES), None)
    found = [
        (figure.value, method)
        for method in methods_of_kind(results, "trained")
        if method.writes
        and method.settings.get("records") in ("votes", COMBINED)
        and (figure := results.figure(VOTES, "fit", method.name, side="held_out")) is not None
    ]
    if facts is None or not found:
        return []
    _, method = max(found, key=lambda pair: pair[0])
    start = facts.details.get("starts", {}).get(method.name)
    base = base_method(results)
    before = start or (base.name if base else None)
    labels = {own.name: own for own in results.methods}
    parts = []
    if before is not None:
        words = "the model it started from" if start else as_model(labels[before])
        parts += _next_to(results, method, before, words)
    parts += _next_to(results, method, AVERAGE, "the average vote, which ignores the statement")
    if not parts:
        return []
    return [
        f"Asked about statements that it was not trained on, {as_model(method)} "
        f"{', and '.join(parts)}. These are the votes of people whom no method has learnt from."
    ]


def _next_to(results: Results, method: MethodFacts, other: str, words: str) -> list[str]:
    """How near a method comes to people's votes, next to something else."""
    difference = results.difference(VOTES, "fit", method.name, other)
    if difference is None:
        return []
    if is_for_missing_answers(difference):
        return [f"cannot be compared with {words}, because answers are missing"]
    verdicts = {
        "higher": f"is closer to people’s votes than {words}",
        "lower": f"is further from people’s votes than {words}",
        "same": f"cannot be told apart from {words}",
        "unknown": f"was asked too few statements to be compared with {words}",
    }
    return [f"{verdicts[difference.verdict]} ({change_words(difference)})"]
