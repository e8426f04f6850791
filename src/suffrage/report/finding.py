"""The finding: a sentence made from the figures, which says so first where a method lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from suffrage.evaluate.results import (
    Difference,
    MethodFacts,
    Results,
)
from suffrage.report.cells import (
    AVERAGE,
    BASE,
    INTERVAL_NAME,
    PROMPT,
    UNIFORM,
    base_method,
    main_difference,
    main_score,
    methods_of_kind,
    plural,
)
from suffrage.report.tables import (
    NO_INTERVAL,
    Verdict,
    interval,
    main_side,
    number,
    signed,
    verdict,
)

# More trained methods than this are told of together; each has its row in the tables.
TOLD_SINGLY = 3


@dataclass(frozen=True)
class Finding:
    """lead: the trained methods against the untrained model. rest: what puts that in its place."""

    lead: str
    rest: str


def finding(results: Results) -> Finding:
    """What was found, in sentences: losses first, then gains, then what cannot be told apart."""
    base, trained = base_method(results), methods_of_kind(results, "trained")
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
        if (difference := main_difference(results, method.name, base.name))
    ]
    compared.sort(key=lambda pair: order.index(verdict(pair[1])))
    if len(compared) > TOLD_SINGLY:
        yield from _many_against_base(results, compared, base)
        return
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
    floor = main_score(results, base.name)
    for method, difference in compared:
        found, ours = verdict(difference), main_score(results, method.name)
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


def _many_against_base(
    results: Results, compared: Sequence[tuple[MethodFacts, Difference]], base: MethodFacts
) -> Iterable[str]:
    """How many trained methods do better or worse than the untrained model; losers by name."""
    untrained, floor = _as_model(base), main_score(results, base.name)
    asked = "questions it was never trained on"
    if main_side(results) == "trained":
        asked = "the questions trained on"
    if floor:
        yield (
            f"Asked {asked}, {untrained} reaches a fit of {number(floor.value)}{_possible(results)} "
            f"with {_people(results)}."
        )
    for found, words in (
        ("lower", f"lie further from {_people(results)}"),
        ("higher", f"come closer to {_people(results)}"),
        ("same", "cannot be told apart from it"),
        ("unknown", "were asked too few separate questions to be told apart from it"),
    ):
        group = [method for method, difference in compared if verdict(difference) == found]
        if not group:
            continue
        scores = {m.name: s.value for m in group if (s := main_score(results, m.name))}
        ranked = sorted(group, key=lambda m: -scores.get(m.name, 0.0))
        named = [f"{in_sentence(m.label)} ({number(scores.get(m.name))})" for m in ranked]
        shown = (
            f"from {named[-1]} to {named[0]}"
            if found == "higher" and len(named) > TOLD_SINGLY
            else ", ".join(named)
        )
        yield f"Of {len(compared)} trained methods {len(group)} {words}: {shown}."


def _against_bar(results: Results, trained: Sequence[MethodFacts], bar: str) -> str | None:
    """How the trained methods compare with a bar that costs no training."""
    score = main_score(results, bar)
    found = [
        (method, difference)
        for method in trained
        if (difference := main_difference(results, method.name, bar))
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
    if len(found) > TOLD_SINGLY:
        many = {
            "lower": "fall short of that",
            "same": "cannot be told apart from that",
            "higher": "come closer",
            "unknown": "cannot be compared, with so few questions",
        }
        counts = {word: sum(verdict(d) == word for _, d in found) for word in many}
        of = f" of {len(found)} trained methods"
        told = []
        for word, count in counts.items():
            if count:
                told.append(f"{count}{of} {many[word]}")
                of = ""
        return f"{_bar_sentence(bar, score.value)}: {', '.join(told)}."
    parts = [
        f"{in_sentence(method.label)} {relation[verdict(difference)]} ({_short_change(difference)})"
        for method, difference in found
    ]
    return f"{_bar_sentence(bar, score.value)}: {'; '.join(parts)}."


def _bar_sentence(bar: str, value: float) -> str:
    if bar == AVERAGE:
        return (
            "An answer that ignores the question, the average of the questions trained on, reaches "
            f"{number(value)}"
        )
    return f"The untrained model told in its prompt whom to answer for reaches {number(value)}"


def _audit(results: Results, base: MethodFacts) -> list[str]:
    """The finding of a study that trains nothing: the model against the floors."""
    score = main_score(results, base.name)
    sentences = ["Nothing was trained in this study."]
    if score is not None:
        sentences.append(
            f"The answers of {_as_model(base)} fit those of {_people(results)} to "
            f"{number(score.value)}{_possible(results)} "
            f"({INTERVAL_NAME}: {interval(score.low, score.high)})."
        )
    floor, difference = main_score(results, UNIFORM), main_difference(results, base.name, UNIFORM)
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
    scores = [s for m in results.methods if (s := main_score(results, m.name))]
    questions = max((score.items for score in scores), default=0)
    kind = "held-out question" if main_side(results) == "held_out" else "question"
    return (
        f"These figures rest on {plural(questions, kind)}, "
        f"{plural(len(results.value_sets), 'value set')} and "
        f"{plural(len(results.study.seeds), 'seed')}."
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
        return f"the model trained by {in_sentence(method.label)}"
    return (
        "the untrained model" if method.name == BASE else f"the {in_sentence(method.label)} model"
    )


def in_sentence(label: str) -> str:
    """A label inside a sentence: "Distribution matching" in lower case, "DPO" and "Kahneman-Tversky" as they are."""
    first = label.split(" ", 1)[0]
    return label[:1].lower() + label[1:] if first[1:].islower() else label


def _possible(results: Results) -> str:
    ceiling = next(iter(methods_of_kind(results, "ceiling")), None)
    score = main_score(results, ceiling.name) if ceiling else None
    return f" of a possible {number(score.value)}" if score else ""


def _change(difference: Difference) -> str:
    return f"difference {_short_change(difference)}"


def _short_change(difference: Difference) -> str:
    change = signed(difference.value)
    if verdict(difference) == "unknown":
        return f"{change}, {NO_INTERVAL} for an interval"
    span = interval(difference.low, difference.high, with_sign=True)
    return f"{change}, {INTERVAL_NAME} {span}"
