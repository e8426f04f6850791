"""The finding: a sentence made from the figures, which says so first where a method lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from suffrage.evaluate.results import (
    Difference,
    MethodFacts,
    Results,
)
from suffrage.evaluate.statistics.figures import detectable_among
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
from suffrage.report.overview import MARGIN
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
# Losses that are told with the gain: measure, and where.
LOSSES = {
    "capability_loss": "on questions of what it could do before",
    "safety_loss": "at telling harmful requests from harmless ones",
}


@dataclass(frozen=True)
class Finding:
    """lead: the trained methods against the untrained model. rest: what puts that in its place."""

    lead: str
    rest: str


def finding(results: Results) -> Finding:
    """What was found, in sentences: losses first, then gains, then what cannot be told apart."""
    base, trained = base_method(results), methods_of_kind(results, "trained")
    lead = _opening(results)
    rest: list[str] = []
    if base and trained:
        compared = _compared(results, trained, base.name)
        if len(compared) > TOLD_SINGLY:
            lead += _many(results, compared, base)
            rest += _beside_many(results, trained, compared)
        else:
            lead += _against_base(results, compared, base)
            rest += [s for bar in (AVERAGE, PROMPT) if (s := _against_bar(results, trained, bar))]
        lead += _unlearnt(results, trained)
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


def _compared(
    results: Results, trained: Sequence[MethodFacts], against: str
) -> list[tuple[MethodFacts, Difference]]:
    """The methods that have a difference from this one: those that lose first."""
    order: list[Verdict] = ["lower", "higher", "same", "unknown"]
    found = [(m, d) for m in trained if (d := main_difference(results, m.name, against))]
    return sorted(found, key=lambda pair: order.index(verdict(pair[1])))


def _against_base(
    results: Results, compared: Sequence[tuple[MethodFacts, Difference]], base: MethodFacts
) -> Iterable[str]:
    """How each trained method compares with the untrained model: fits, difference, interval."""
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


def _many(
    results: Results, compared: Sequence[tuple[MethodFacts, Difference]], base: MethodFacts
) -> Iterable[str]:
    """The nearest of many trained methods against what costs no training; how many others are better or worse."""
    scores = {m.name: s.value for m, _ in compared if (s := main_score(results, m.name))}
    best = max(compared, key=lambda pair: scores.get(pair[0].name, -1.0))[0]
    asked = "Asked questions it was never trained on"
    if main_side(results) == "trained":
        asked = "On the questions trained on"
    yield (
        f"{asked}, {_as_model(best)} comes closest to {_people(results)} of {len(compared)} trained methods: "
        f"{number(scores.get(best.name))}{_possible(results)}."
    )
    bars = [
        part
        for bar, words in (
            (PROMPT, "the prompted model"),
            (AVERAGE, "an answer that ignores the question"),
        )
        if (part := _beside(results, best, bar, words))
    ]
    if bars:
        told = "; ".join(bars)
        yield f"{told[0].upper()}{told[1:]}."
    floor = main_score(results, base.name)
    against = _as_model(base) + (f" ({number(floor.value)})" if floor else "")
    yield f"Against {against} {_counted(compared, scores)}."


def _beside_many(
    results: Results,
    trained: Sequence[MethodFacts],
    compared: Sequence[tuple[MethodFacts, Difference]],
) -> Iterable[str]:
    """Why many are not told apart, and how many beat what costs no training."""
    scores = {m.name: s.value for m, _ in compared if (s := main_score(results, m.name))}
    yield from _bluntness(results, compared, scores)
    for bar, words in (
        (AVERAGE, "an answer that ignores the question, the average of those trained on,"),
        (PROMPT, "the untrained model told in its prompt whom to answer for"),
    ):
        beside = _compared(results, trained, bar)
        if beside:
            yield f"Against {words} {_counted(beside)}."


def _beside(results: Results, method: MethodFacts, bar: str, words: str) -> str | None:
    """A bar's figure, and whether the method is told apart from it."""
    score, difference = main_score(results, bar), main_difference(results, method.name, bar)
    if score is None or difference is None:
        return None
    gap = number(abs(difference.value))
    told: dict[Verdict, str] = {
        "higher": f", {gap} less",
        "lower": f", {gap} more",
        "same": ", not told apart",
        "unknown": "",
    }
    return f"{words} reaches {number(score.value)}{told[verdict(difference)]}"


def _counted(
    compared: Sequence[tuple[MethodFacts, Difference]], scores: dict[str, float] | None = None
) -> str:
    """How many are worse, how many better, how many neither. scores: to name the worst by, None for no names."""
    words: dict[Verdict, str] = {
        "lower": "worse",
        "higher": "better",
        "same": "not told apart",
        "unknown": "asked too few questions to say",
    }
    parts: list[str] = []
    for found, word in words.items():
        group = [method for method, difference in compared if verdict(difference) == found]
        if not group:
            continue
        part = f"{len(group)} of the {len(compared)}" if not parts else f"{len(group)}"
        part += f" {'is' if len(group) == 1 else 'are'} {word}"
        if found == "same" and scores is not None and _clear(compared):
            part += " on so few questions"
        if found == "lower" and scores is not None:
            ranked = sorted(group, key=lambda m: scores.get(m.name, 0.0))
            named = [f"{in_sentence(m.label)} {number(scores.get(m.name))}" for m in ranked]
            more = "" if len(named) <= TOLD_SINGLY else ", ..."
            part += f" ({', '.join(named[:TOLD_SINGLY])}{more})"
        parts.append(part)
    return ", ".join(parts)


def _clear(
    compared: Sequence[tuple[MethodFacts, Difference]],
) -> list[tuple[MethodFacts, Difference]]:
    """Those that would be told apart by their own interval, and are not after the correction."""
    return [
        (method, d)
        for method, d in compared
        if verdict(d) == "same" and d.low is not None and d.high is not None and d.low * d.high > 0
    ]


def _bluntness(
    results: Results, compared: Sequence[tuple[MethodFacts, Difference]], scores: dict[str, float]
) -> Iterable[str]:
    """Where methods lie clear of the untrained model by their own interval and not after the correction: why."""
    clear = _clear(compared)
    seen = [d.detectable for _, d in compared if d.detectable is not None]
    if not clear or not seen:
        return
    side = main_side(results)
    clusters = len({item.cluster for item in results.items if side in item.side.values()})
    comparisons = sum(
        (d.metric, d.side, d.value_set) == ("fit_jsd", side, "all") and d.p is not None
        for d in results.differences
    )
    needed = [number(detectable_among(one, comparisons, clusters)) for one in seen]
    least, most = min(needed, key=float), max(needed, key=float)
    span = least if least == most else f"{least} to {most}, by method,"
    below = [method for method, d in clear if d.value < 0]
    parts = []
    if len(clear) > len(below):
        parts.append(f"{len(clear) - len(below)} above it")
    if below:
        lowest = min(scores.get(method.name, 0.0) for method in below)
        parts.append(f"{len(below)} below it (down to {number(lowest)})")
    yield (
        f"By their own intervals {' and '.join(parts)} would be told apart from the untrained model; but with "
        f"{plural(max(d.items for _, d in compared), _question(results))} and a correction for "
        f"{comparisons} comparisons only differences above {span} could be seen."
    )


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
    return (
        f"These figures rest on {plural(questions, _question(results))}, "
        f"{plural(len(results.value_sets), 'value set')} and "
        f"{plural(len(results.study.seeds), 'seed')}."
    )


def _unlearnt(results: Results, trained: Sequence[MethodFacts]) -> Iterable[str]:
    """What training cost in abilities, beyond chance and the margin that matters: the worst first."""
    for measure, what in LOSSES.items():
        lost = sorted(
            (
                (figure.value, method, figure)
                for method in trained
                for figure in results.figures
                if (figure.measure, figure.method) == (measure, method.name)
                and (figure.seed, figure.value_set) == ("all", "all")
                and (figure.low or 0.0) > MARGIN
            ),
            key=lambda one: -one[0],
        )
        if lost:
            value, method, figure = lost[0]
            others = (
                f"; so {'do' if lost[2:] else 'does'} {plural(len(lost) - 1, 'other trained model')}"
                if lost[1:]
                else ""
            )
            within = f"{INTERVAL_NAME} {interval(figure.low, figure.high)}"
            yield f"But {_as_model(method)} falls by {number(value)} {what} ({within}){others}."


def _question(results: Results) -> str:
    return "held-out question" if main_side(results) == "held_out" else "question"


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
