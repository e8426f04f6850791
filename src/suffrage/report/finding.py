"""The finding: a sentence made from the figures, which says so first where a method lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from suffrage.evaluate.fit import AVERAGE, NAME, UNIFORM
from suffrage.evaluate.results import Figure, FigureDifference, MethodFacts, Results, Verdict
from suffrage.evaluate.statistics.figures import detectable_among
from suffrage.evaluate.statistics.losses import is_loss
from suffrage.plurals import plural
from suffrage.report.cells import (
    PROMPT,
    as_model,
    base_method,
    in_sentence,
    learnt_survey,
    methods_of_kind,
)
from suffrage.report.marks import (
    change_words,
    is_for_missing_answers,
    leaves_out_zero,
    left_out_words,
    no_answer_counts,
    short_change,
    stricter_note,
)
from suffrage.report.numbers import (
    INTERVAL_NAME,
    interval,
    marked,
    number,
)
from suffrage.report.overview import MARGIN
from suffrage.report.tables import fit_difference, fit_figure

# More trained methods than this are reported together; each has its row in the tables.
NAMED_SINGLY = 3
# What gives every option the same share, where a sentence has just named it.
A_RULE = "this rule"
# Losses that are reported with the gain: evaluation and measure, and where.
LOSSES = {
    ("capability", "capability"): "on questions of what it could do before",
    ("safety", "told_apart"): "at telling harmful requests from harmless ones",
}


@dataclass(frozen=True)
class Finding:
    """What was found, in sentences."""

    lead: str  # the trained methods against the untrained model
    rest: str  # what these figures should be compared with


def finding(results: Results) -> Finding:
    """What was found, in sentences: losses first, then gains, then what cannot be told apart."""
    base, trained = base_method(results), learnt_survey(results)
    lead = _opening(results)
    rest: list[str] = []
    if base and trained:
        compared = _compared(results, trained, base.name)
        if len(compared) > NAMED_SINGLY:
            lead += _many(results, compared, base)
            rest += _next_to_many(results, trained, compared)
        else:
            lead += _against_base(results, compared, base)
            rest += [s for bar in (AVERAGE, PROMPT) if (s := _against_bar(results, trained, bar))]
            lead += _why_not_told_apart(d for _, d in compared)
            if not any(leaves_out_zero(d) for _, d in compared):
                rest += _why_not_told_apart(
                    d for bar in (AVERAGE, PROMPT) for _, d in _compared(results, trained, bar)
                )
        lead += _unlearnt(results, trained)
    elif base:
        lead += _audit(results, base)
    return Finding(" ".join(lead), " ".join([*rest, _basis(results)]))


def _opening(results: Results) -> list[str]:
    why = no_answer_counts(results)
    if why is not None:
        return [why]
    if results.main_side == "held_out":
        return []
    return [
        "No question was held out, so nothing here shows whether a method learnt more than the "
        "questions it was trained on."
    ]


def _compared(
    results: Results, trained: Sequence[MethodFacts], against: str
) -> list[tuple[MethodFacts, FigureDifference]]:
    """The methods that have a difference from this one, with those that lose first."""
    order: list[Verdict] = ["lower", "higher", "same", "unknown"]
    found = [(m, d) for m in trained if (d := fit_difference(results, m.name, against))]
    return sorted(found, key=lambda pair: order.index(pair[1].verdict))


def _against_base(
    results: Results, compared: Sequence[tuple[MethodFacts, FigureDifference]], base: MethodFacts
) -> Iterable[str]:
    """How each trained method compares with the untrained model: fits, difference, interval."""
    people, untrained = _people(results), as_model(base)
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
    if results.main_side == "trained":
        asked = "On the questions trained on,"
    previous: Verdict | None = None
    floor = fit_figure(results, base.name)
    for method, difference in compared:
        found: Verdict | None = difference.verdict
        ours = fit_figure(results, method.name)
        figure = f": {marked(ours)}" if ours else ""
        if is_for_missing_answers(difference):
            begin = f"{as_model(method).replace('the', 'The', 1)} {left_out_words(difference)}"
            found = None
        elif previous == found and found is not None:
            begin = again[found].format(as_model(method))
        else:
            subject = as_model(method)
            begin = f"{asked} {subject}" if previous is None else subject.replace("the", "The", 1)
            begin += f" {relations[found or 'unknown']}"
            figure += f" against {marked(floor)}{_possible(results)}" if ours and floor else ""
        previous = found
        yield f"{begin}{figure} ({change_words(difference)})."


def _why_not_told_apart(shown: Iterable[FigureDifference]) -> list[str]:
    """A sentence where the interval of one of these leaves out 0 and its verdict does not."""
    note = stricter_note(shown)
    return [note] if note else []


def _many(
    results: Results, compared: Sequence[tuple[MethodFacts, FigureDifference]], base: MethodFacts
) -> Iterable[str]:
    """The nearest of many trained methods, and how many of the others are better or worse.

    None is called nearest where all left out answers that others gave.
    """
    scores = _fits(results, compared)
    if any(_is_whole(results, method.name) for method, _ in compared):
        yield from _nearest(results, compared, scores)
    else:
        yield (
            f"Each of {len(compared)} trained methods left out answers that others gave, so none "
            f"is called the closest to {_people(results)}."
        )
    floor = fit_figure(results, base.name)
    against = as_model(base) + (f" ({marked(floor)})" if floor else "")
    yield f"Against {against} {_counted(compared, scores)}."


def _nearest(
    results: Results,
    compared: Sequence[tuple[MethodFacts, FigureDifference]],
    scores: Mapping[str, Figure],
) -> Iterable[str]:
    """Which of many trained methods is nearest, and how it compares with what needs none."""
    best = max(
        compared,
        key=lambda pair: (_is_whole(results, pair[0].name), _value(scores, pair[0].name)),
    )[0]
    asked = "Asked questions it was never trained on"
    if results.main_side == "trained":
        asked = "On the questions trained on"
    yield (
        f"{asked}, {as_model(best)} comes closest to {_people(results)} of {len(compared)} "
        f"trained methods: {marked(fit_figure(results, best.name))}{_possible(results)}."
    )
    bars = [
        part
        for bar, words in (
            (PROMPT, "the prompted model"),
            (AVERAGE, "an answer that ignores the question"),
        )
        if (part := _next_to(results, best, bar, words))
    ]
    if bars:
        told = "; ".join(bars)
        yield f"{told[0].upper()}{told[1:]}."


def _is_whole(results: Results, method: str) -> bool:
    """Whether a method gave every answer that others gave; only such a one is called nearest."""
    found = fit_figure(results, method)
    return found is not None and not found.missing


def _next_to_many(
    results: Results,
    trained: Sequence[MethodFacts],
    compared: Sequence[tuple[MethodFacts, FigureDifference]],
) -> Iterable[str]:
    """Why many cannot be told apart, and how many beat what costs no training."""
    yield from _bluntness(results, compared, _fits(results, compared))
    for bar, words in (
        (AVERAGE, "an answer that ignores the question, the average of those trained on,"),
        (PROMPT, "the untrained model told in its prompt whom to answer for"),
    ):
        others = _compared(results, trained, bar)
        if others:
            yield f"Against {words} {_counted(others)}."


def _fits(
    results: Results, compared: Sequence[tuple[MethodFacts, FigureDifference]]
) -> dict[str, Figure]:
    return {m.name: f for m, _ in compared if (f := fit_figure(results, m.name))}


def _value(scores: Mapping[str, Figure], method: str) -> float:
    """A method's fit; 0 where it has none."""
    return scores[method].value if method in scores else 0.0


def _next_to(results: Results, method: MethodFacts, bar: str, words: str) -> str | None:
    """A bar's figure, and whether the method differs from it beyond chance."""
    score, difference = fit_figure(results, bar), fit_difference(results, method.name, bar)
    if score is None or difference is None:
        return None
    gap = number(abs(difference.value))
    told: dict[Verdict, str] = {
        "higher": f", {gap} less",
        "lower": f", {gap} more",
        "same": ", not told apart",
        "unknown": "",
    }
    return f"{words} reaches {marked(score)}{told[difference.verdict]}"


def _counted(
    compared: Sequence[tuple[MethodFacts, FigureDifference]],
    scores: Mapping[str, Figure] | None = None,
) -> str:
    """How many are worse, how many better, how many neither.

    scores: fits by which the worst are named; None for no names.
    """
    words: dict[Verdict, str] = {
        "lower": "worse",
        "higher": "better",
        "same": "not told apart",
        "unknown": "not to be compared",
    }
    parts: list[str] = []
    for found, word in words.items():
        group = [method for method, difference in compared if difference.verdict == found]
        if not group:
            continue
        part = f"{len(group)} of the {len(compared)}" if not parts else f"{len(group)}"
        part += f" {'is' if len(group) == 1 else 'are'} {word}"
        if found == "same" and scores is not None and _clear(compared):
            part += " on so few questions"
        if found == "lower" and scores is not None:
            worst = sorted(((_value(scores, m.name), m) for m in group), key=lambda pair: pair[0])
            named = [f"{in_sentence(m.label)} {marked(scores.get(m.name))}" for _, m in worst]
            more = "" if len(named) <= NAMED_SINGLY else ", ..."
            part += f" ({', '.join(named[:NAMED_SINGLY])}{more})"
        parts.append(part)
    return ", ".join(parts)


def _clear(
    compared: Sequence[tuple[MethodFacts, FigureDifference]],
) -> list[tuple[MethodFacts, FigureDifference]]:
    """Those whose own interval leaves out 0, though the corrected p-value says nothing."""
    return [(method, d) for method, d in compared if leaves_out_zero(d)]


def _bluntness(
    results: Results,
    compared: Sequence[tuple[MethodFacts, FigureDifference]],
    scores: Mapping[str, Figure],
) -> Iterable[str]:
    """Why methods whose own interval leaves out 0 are not told apart after the correction."""
    clear = _clear(compared)
    seen = [d.detectable for _, d in compared if d.detectable is not None]
    if not clear or not seen:
        return
    side = results.main_side
    clusters = len({item.cluster for item in results.items if side in item.side.values()})
    apart = {method.name for method in methods_of_kind(results, "reading")}
    comparisons = sum(
        d.p is not None and d.method not in apart
        for d in results.differences_of(NAME, "fit", side=side)
    )
    needed = [number(detectable_among(one, comparisons, clusters)) for one in seen]
    least, most = min(needed, key=float), max(needed, key=float)
    span = least if least == most else f"{least} to {most}, by method,"
    below = [method for method, d in clear if d.value < 0]
    parts = []
    if len(clear) > len(below):
        parts.append(f"{len(clear) - len(below)} above it")
    if below:
        lowest = min(_value(scores, method.name) for method in below)
        parts.append(f"{len(below)} below it (down to {number(lowest)})")
    yield (
        f"By their own intervals {' and '.join(parts)} would be told apart from the untrained "
        f"model; but with {plural(max(d.n for _, d in compared), _question(results))} and a "
        f"correction for {comparisons} comparisons only differences above {span} could be seen."
    )


def _against_bar(results: Results, trained: Sequence[MethodFacts], bar: str) -> str | None:
    """How the trained methods compare with a bar that costs no training."""
    score = fit_figure(results, bar)
    found = [
        (method, difference)
        for method in trained
        if (difference := fit_difference(results, method.name, bar))
    ]
    if score is None or not found:
        return None
    relation: dict[Verdict, str] = {
        "lower": "falls short of that",
        "same": "cannot be told apart from that",
        "higher": "comes closer",
        "unknown": "cannot be compared, with so few questions",
    }
    found.sort(key=lambda pair: list(relation).index(pair[1].verdict))
    parts = [
        f"{in_sentence(method.label)} {words} ({short_change(gap)})"
        for method, gap in found
        for words in (
            left_out_words(gap) if is_for_missing_answers(gap) else relation[gap.verdict],
        )
    ]
    return f"{_bar_sentence(bar, score)}: {'; '.join(parts)}."


def _bar_sentence(bar: str, score: Figure) -> str:
    if bar == AVERAGE:
        return (
            "An answer that ignores the question, the average of the questions trained on, reaches "
            f"{marked(score)}"
        )
    return f"The untrained model told in its prompt whom to answer for reaches {marked(score)}"


def _audit(results: Results, base: MethodFacts) -> list[str]:
    """The finding of a study that trains nothing: the model against the floors."""
    score = fit_figure(results, base.name)
    sentences = ["Nothing was trained in this study."]
    if score is not None:
        sentences.append(
            f"The answers of {as_model(base)} fit those of {_people(results)} to "
            f"{marked(score)}{_possible(results)} "
            f"({INTERVAL_NAME}: {interval(score.low, score.high)})."
        )
    floor, difference = fit_figure(results, UNIFORM), fit_difference(results, base.name, UNIFORM)
    if floor and difference:
        relation = {
            "lower": "the model does worse than that",
            "same": "the model cannot be told apart from that",
            "higher": "the model does better than that",
            "unknown": "there are too few separate questions to tell the two apart",
        }[difference.verdict]
        if is_for_missing_answers(difference):
            relation = f"the model {left_out_words(difference, A_RULE)}"
        sentences.append(
            f"Giving every option the same share would reach {marked(floor)}: "
            f"{relation} ({change_words(difference)})."
        )
        sentences += _why_not_told_apart([difference])
    return sentences


def _basis(results: Results) -> str:
    scores = [s for m in results.methods if (s := fit_figure(results, m.name))]
    questions = max((score.n for score in scores), default=0)
    return (
        f"These figures rest on {plural(questions, _question(results))}, "
        f"{plural(len(results.value_sets), 'value set')} and "
        f"{plural(len(results.study.seeds), 'seed')}."
    )


def _unlearnt(results: Results, trained: Sequence[MethodFacts]) -> Iterable[str]:
    """What training cost in abilities, beyond chance and the margin, with the worst first."""
    base = base_method(results)
    for (evaluation, measure), what in LOSSES.items() if base is not None else ():
        lost = sorted(
            (
                (-gap.value, method, gap)
                for method in trained
                if base is not None
                and (gap := results.difference(evaluation, measure, method.name, base.name))
                and is_loss(gap.value, gap.verdict, MARGIN)
            ),
            key=lambda one: -one[0],
        )
        if lost:
            value, method, gap = lost[0]
            others = (
                f"; so {'do' if lost[2:] else 'does'} "
                f"{plural(len(lost) - 1, 'other trained model')}"
                if lost[1:]
                else ""
            )
            low, high = (None if end is None else -end for end in (gap.high, gap.low))
            within = f"{INTERVAL_NAME} {interval(low, high)}"
            yield f"But {as_model(method)} falls by {number(value)} {what} ({within}){others}."


def _question(results: Results) -> str:
    return "held-out question" if results.main_side == "held_out" else "question"


def is_weighted(results: Results) -> bool:
    """Whether the answers were weighted: by the file's own weights, or raked."""
    return any(survey.weight_variable is not None for survey in results.surveys) or any(
        value_set.design_effect > 1.0005 for value_set in results.value_sets
    )


def _people(results: Results) -> str:
    return "the public" if is_weighted(results) else "the people surveyed"


def _possible(results: Results) -> str:
    ceiling = next(iter(methods_of_kind(results, "ceiling")), None)
    score = fit_figure(results, ceiling.name) if ceiling else None
    return f" of a possible {marked(score)}" if score else ""
