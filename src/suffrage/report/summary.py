"""The report's first page, for a board: may this model speak for these people, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suffrage.evaluate.fit import AVERAGE, CEILING, UNIFORM
from suffrage.evaluate.fit import NAME as FIT
from suffrage.evaluate.results import Figure, FigureDifference, MethodFacts, Results
from suffrage.plurals import plural
from suffrage.report.cells import (
    NOT_MEASURED,
    PROMPT,
    as_model,
    base_method,
    colours,
    in_sentence,
    learnt_survey,
    methods_of_kind,
)
from suffrage.report.costs import asking_line, energy_words, money_words
from suffrage.report.dot_plot import Plot, dot_plot
from suffrage.report.marks import (
    is_for_missing_answers,
    left_out_words,
    marks_note,
    no_answer_counts,
)
from suffrage.report.numbers import INTERVAL_NAME, duration, interval, marked, percent, signed
from suffrage.report.tables import doubt_of_lowest, fit_difference, fit_figure, fits_lowest_first
from suffrage.report.votes_in_short import votes_in_short

# How many limits a page has room for; the section on limits has all of them.
LIMITS_SHOWN = 3
# More populations than this are counted and not named.
NAMED = 3
FIT_EXPLAINED = (
    "Fit says how close the model’s shares of answers are to people’s, averaged over questions and "
    "populations. 1 means that they are the same, 0 that they have no answer in common."
)


@dataclass(frozen=True)
class KeyFigure:
    """One of the figures of the summary."""

    value: str
    span: str
    words: str


@dataclass(frozen=True)
class Summary:
    """What the first page says."""

    question: str
    verdict: str  # the answer in two or three words
    because: Sequence[str]  # sentences
    votes: Sequence[str]  # sentences on a training on votes; empty without one
    picture: Plot
    caption: str
    figures: Sequence[KeyFigure]
    fit_explained: str
    cost: Sequence[str]  # sentences
    limits: Sequence[str]  # sentences


def board_summary(results: Results) -> Summary | None:
    """The first page; None where no model was evaluated by its fit."""
    model = assessed_method(results)
    if model is None:
        return _without_answers(results)
    verdict, because = _verdict(results, model)
    return Summary(
        question=f"Should this model speak for {_people(results)}?",
        verdict=verdict,
        because=because,
        votes=votes_in_short(results),
        picture=_picture(results, model),
        caption=_caption(results),
        figures=_figures(results, model),
        fit_explained=FIT_EXPLAINED,
        cost=_cost(results),
        limits=results.limits[:LIMITS_SHOWN],
    )


def _without_answers(results: Results) -> Summary | None:
    """The first page where no answer of a model counts; None where that is not the reason."""
    why = no_answer_counts(results)
    if why is None:
        return None
    style = colours(results)
    bars = [(name, "bar", f) for name in BAR_WORDS if (f := fit_figure(results, name))][:1]
    bars += [(CEILING, style[CEILING], f) for f in [fit_figure(results, CEILING)] if f]
    words = {**BAR_WORDS, CEILING: HALF_OF_THE_PEOPLE}
    rows = [(words[name][0].upper() + words[name][1:], colour, f) for name, colour, f in bars]
    return Summary(
        question=f"Should this model speak for {_people(results)}?",
        verdict="This study cannot say",
        because=[why],
        votes=[],
        picture=dot_plot(rows, []),
        caption=_where_caption(results),
        figures=[],
        fit_explained=FIT_EXPLAINED,
        cost=_cost(results),
        limits=results.limits[:LIMITS_SHOWN],
    )


def assessed_method(results: Results) -> MethodFacts | None:
    """The method that the verdict is about: the trained language model with the best fit.

    What has no language model cannot speak for anybody, and comes after those that have one. Where
    nothing was trained, it is the untrained model that was told whom to answer as, or else the one
    that was not. A method that left answers out comes after those that gave all.
    """
    trained = [method for method in methods_of_kind(results, "trained") if method.writes]
    untrained = methods_of_kind(results, "untrained")
    told = [method for method in untrained if method.name == PROMPT]
    for methods in (trained, learnt_survey(results), told, untrained):
        best = _nearest_to_people(results, methods)
        if best is not None:
            return best
    return None


def _nearest_to_people(results: Results, methods: Sequence[MethodFacts]) -> MethodFacts | None:
    found = [(m, f) for m in methods if (f := fit_figure(results, m.name)) is not None]
    if not found:
        return None
    return max(found, key=lambda pair: (not pair[1].missing, pair[1].value))[0]


def _rival(results: Results, model: MethodFacts) -> MethodFacts | None:
    """The best method without a language model, where the verdict is about one with."""
    if model.kind != "trained" or not model.writes:
        return None
    return _nearest_to_people(results, [m for m in learnt_survey(results) if not m.writes])


def _people(results: Results) -> str:
    learnt = [own.description for own in results.value_sets]
    if len(learnt) > NAMED:
        return f"these {len(learnt)} populations"
    between = "; " if any("," in words for words in learnt) else ", "
    return " and ".join(filter(None, [between.join(learnt[:-1]), *learnt[-1:]]))


def _bar(results: Results, model: MethodFacts) -> tuple[str, FigureDifference] | None:
    """What needs no model, and the model's difference from it."""
    for name in (AVERAGE, UNIFORM):
        found = fit_difference(results, model.name, name)
        if found is not None:
            return name, found
    return None


BAR_WORDS = {
    AVERAGE: "an answer that ignores the question",
    UNIFORM: "giving every answer the same share",
}

WITHOUT_A_MODEL = "a rule without a model"
HALF_OF_THE_PEOPLE = "Half of the people, for the other half"
TOLD_WHOM = "The same, told whom to answer as"


def _verdict(results: Results, model: MethodFacts) -> tuple[str, list[str]]:
    """The answer, and the sentences that give its reasons."""
    bar = _bar(results, model)
    if results.main_side == "trained":
        return "This study cannot say", [
            "No question was kept from training, so nothing shows what the model does with a "
            "question that it has not seen."
        ]
    if bar is not None and is_for_missing_answers(bar[1]):
        return "This study cannot say", [f"The model {left_out_words(bar[1], WITHOUT_A_MODEL)}."]
    if bar is None or bar[1].verdict == "unknown":
        return "This study cannot say", [
            "Too few separate questions were asked to compare the model with what needs no model."
        ]
    name, difference = bar
    words = BAR_WORDS[name]
    questions = plural(difference.n, "question")
    if difference.verdict == "lower":
        return "No", [
            f"Its answers are further from people’s than {words}, on {questions} that it was not "
            "trained on.",
            *_next_to_rival(results, model),
        ]
    if difference.verdict == "same":
        return "No", [
            f"On {questions} that it was not trained on, its answers are neither clearly better "
            f"nor clearly worse than {words}. There is no evidence that it knows more than that.",
            *_next_to_rival(results, model),
        ]
    return "Not by itself", [
        f"Its answers are closer to people’s than {words}, on {questions} that it was not trained "
        f"on.{_still_missing(results, model)}",
        *_worse_for(results, model, name),
        *_next_to_rival(results, model),
        "It can suggest what to ask people. It cannot answer for them.",
    ]


def _still_missing(results: Results, model: MethodFacts) -> str:
    figure = fit_figure(results, model.name)
    ceiling = fit_figure(results, CEILING)
    if figure is None or figure.way is None or ceiling is None:
        return ""
    return (
        f" It comes {percent(max(figure.way, 0.0))} of the way from there to how well one half of "
        "the respondents speaks for the other half."
    )


def _next_to_rival(results: Results, model: MethodFacts) -> list[str]:
    """How the model compares with the best that has no language model."""
    rival = _rival(results, model)
    if rival is None:
        return []
    name = f"A method that needs no language model, the {in_sentence(rival.label)},"
    figure = fit_figure(results, rival.name)
    own = fit_figure(results, model.name)
    difference = fit_difference(results, model.name, rival.name)
    if figure is None or own is None or difference is None:
        return []
    values = f"{marked(figure)} against {marked(own)}"
    if is_for_missing_answers(difference):
        other = f"the {in_sentence(rival.label)}"
        return [f"The model {left_out_words(difference, other)}."]
    words = {
        "lower": f"is closer to people’s answers: {values}.",
        "higher": f"is further away: {values}.",
        "same": f"is neither clearly better nor clearly worse: {values}.",
        "unknown": "was asked too few questions to be compared with it.",
    }
    return [f"{name} {words[difference.verdict]}"]


def _worse_for(results: Results, model: MethodFacts, bar: str) -> list[str]:
    """The populations for which it is worse than what needs no model."""
    worse = [
        own.description
        for own in results.value_sets
        if (d := results.difference(FIT, "fit", model.name, bar, own.name)) is not None
        and d.verdict == "lower"
    ]
    if not worse:
        return []
    named = ", ".join(worse[:NAMED]) + (", ..." if len(worse) > NAMED else "")
    return [f"For {named} it does worse than that."]


def _picture(results: Results, model: MethodFacts) -> Plot:
    """The model between what needs no model and the best that can be had."""
    style = colours(results)
    base = base_method(results)
    bar = _bar(results, model)
    rows: list[tuple[str, str]] = []
    if bar is not None:
        words = BAR_WORDS[bar[0]]
        rows.append((bar[0], words[0].upper() + words[1:]))
    trained = model.kind == "trained"
    if base is not None and base.name != model.name:
        rows.append((base.name, "The model before training" if trained else "The model as it is"))
    if PROMPT not in (model.name, base.name if base else ""):
        rows.append((PROMPT, TOLD_WHOM))
    rival = _rival(results, model)
    if rival is not None:
        rows.append((rival.name, f"{rival.label}, no language model"))
    rows.append((model.name, TOLD_WHOM if model.name == PROMPT else model.label))
    rows.append((CEILING, HALF_OF_THE_PEOPLE))
    found = [
        (label, "bar" if bar is not None and name == bar[0] else style[name], figure)
        for name, label in rows
        if (figure := fit_figure(results, name)) is not None
    ]
    return dot_plot(found, [])


def _caption(results: Results) -> str:
    return f"{_where_caption(results)}{marks_note(results)}"


def _where_caption(results: Results) -> str:
    where = "not trained on" if results.main_side == "held_out" else "trained on"
    return f"Fit on the questions {where}: dots with {INTERVAL_NAME}s."


def _figures(results: Results, model: MethodFacts) -> list[KeyFigure]:
    """The comparison that decides comes first, then the fit, then whom it serves worst."""
    found = []
    bar = _bar(results, model)
    if bar is not None:
        words = f"more (+) or less (−) fit than {BAR_WORDS[bar[0]]}; "
        words += (
            "not counted, because answers are missing"
            if is_for_missing_answers(bar[1])
            else "this comparison decides"
        )
        span = interval(bar[1].low, bar[1].high, with_sign=True)
        found.append(KeyFigure(signed(bar[1].value), f"{INTERVAL_NAME} {span}", words))
    own, ceiling = fit_figure(results, model.name), fit_figure(results, CEILING)
    if own is not None:
        possible = f", of a possible {marked(ceiling)}" if ceiling else ""
        words = f"fit of {_as_model(model)} on {plural(own.n, 'question')}{possible}"
        others = sum(m.writes == model.writes for m in methods_of_kind(results, "trained"))
        if model.kind == "trained" and others > 1 and not own.missing:
            words += f"; the best of {others} trained methods"
        found.append(_key_figure(own, words))
    fits = fits_lowest_first(results, model.name)
    if len(fits) > 1:
        worst, figure, _ = fits[0]
        words = f"fit for {worst.description}, whom it serves worst{doubt_of_lowest(fits)}"
        found.append(_key_figure(figure, words))
    return found


def _key_figure(figure: Figure, words: str) -> KeyFigure:
    span = f"{INTERVAL_NAME} {interval(figure.low, figure.high)}"
    return KeyFigure(marked(figure), span, words)


def _as_model(method: MethodFacts) -> str:
    if method.kind == "trained":
        return as_model(method)
    return "the model as it is" if method.name != PROMPT else "the model told whom to answer as"


def _cost(results: Results) -> list[str]:
    costs = [cost for method in results.methods for cost in method.costs]
    sentences = []
    if costs:
        spent = [f"took {duration(sum(cost.seconds for cost in costs))}"]
        energy, money = energy_words(costs), money_words(costs)
        spent += [f"energy {energy}", f"money {money}"]
        sentences.append(f"{plural(len(costs), 'training')} {', '.join(spent)}.")
    else:
        sentences.append("Nothing was trained.")
    asked = asking_line(results)
    if asked:
        sentences.append(f"Asking the model: {asked}.")
    return [
        sentence.replace(f"money {NOT_MEASURED}", "no price was given") for sentence in sentences
    ]
