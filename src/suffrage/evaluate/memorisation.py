"""`memorisation`: has a model learnt people, or questions by heart?

There are three signs of learning by heart. The model gains more on trained questions than on
held-out ones. It answers worse as soon as a trained question is asked in other words. The texts of
trained questions have become more probable to it. One check is on the study itself: whether
anything held out is in what was trained on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import ceil, isfinite
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from suffrage.arrays import FloatArray
from suffrage.evaluate.asking.answers import Scoring
from suffrage.evaluate.asking.groups import letter_shares_as
from suffrage.evaluate.asking.scenarios import SHIPPED, read_scenarios
from suffrage.evaluate.results import Figure, Measure
from suffrage.evaluate.scorecard import (
    AS_ITSELF,
    Evaluation,
    EvaluationInput,
    EvaluationOptions,
    Place,
    ProbeInput,
    Scorecard,
)
from suffrage.evaluate.statistics.common_cells import wholly_answered
from suffrage.evaluate.statistics.figures import (
    compared_rows,
    drawn_figure,
    make_figures,
    resamples,
)
from suffrage.evaluate.statistics.intervals import Measured, bootstrap_estimate, combined
from suffrage.models import Answerer, ItemProbe, read_letters, ways_of_asking
from suffrage.population import ValueSet
from suffrage.population.distribution_distances import fit
from suffrage.survey import Item
from suffrage.text_overlap import only_words
from suffrage.training_data import ItemSplit, Records
from suffrage.training_data.augmentation import read_paraphrases
from suffrage.training_data.split import question_words

NAME = "memorisation"
# What may stand around a question; none of `training_data.augmentation.CONTEXTS`, which models
# train on.
TEMPLATES = (
    "Suppose an interviewer rings at the door and would like to know: {}",
    "{} Take a moment, then choose what comes nearest.",
    "Many people were asked the same a while ago. {}",
    "Your neighbour wonders: {}",
)
TEXT_PROMPT = "Write a question that an opinion survey might ask."
MIN_K = 0.2
# A held-out question of whose distinctive words one record has this share has leaked.
LEAKED = 0.8
SCHEMA: dict[str, Any] = {
    "value_set": pl.String,
    "kind": pl.String,  # wording, own_text, other_text
    "item": pl.String,
    "wording": pl.Int64,
    "shares": pl.List(pl.Float64),
    "value": pl.Float64,  # nats a token
}


class Options(EvaluationOptions):
    """What a study may say about other words."""

    paraphrases: str | None = None
    """A file that `suffrage paraphrase` wrote; without one, templates are put around the words."""
    wordings: int = Field(default=2, ge=1)
    """How many other wordings, paraphrases or templates, are asked of an item."""
    base: str = "base"
    """The method that gains are measured from."""

    @property
    def files(self) -> tuple[str, ...]:
        """The paraphrases."""
        return () if self.paraphrases is None else (self.paraphrases,)


def reworded(item: Item, options: Options, paraphrases: Mapping[str, Sequence[str]]) -> list[Item]:
    """The item in other words: its paraphrases, or without a file, within the templates."""
    if options.paraphrases is None:
        wordings = [template.format(item.question) for template in TEMPLATES]
    else:
        wordings = list(paraphrases.get(item.id, ()))
    return [item.model_copy(update={"question": w}) for w in wordings[: options.wordings]]


def probe(given: ProbeInput) -> pl.DataFrame:
    """Every item in other words, and how probable the texts of the items are."""
    options: Options = given.options
    paraphrases: Mapping[str, Sequence[str]] = {}
    if options.paraphrases is not None:
        path = (given.folder / options.paraphrases).resolve()
        paraphrases = read_paraphrases(path, given.items)
    others = {item.id: reworded(item, options, paraphrases) for item in given.items}
    rows = list(_reworded(given.model, given.places, others, given.scoring))
    given.advance(0.8)
    if given.model.reads_texts:
        rows += _texts(given.model, given.items, others if options.paraphrases else {})
    given.advance(1.0)
    return pl.DataFrame(rows, schema=SCHEMA)


def _reworded(
    model: Answerer,
    places: Sequence[Place],
    others: Mapping[str, Sequence[Item]],
    scoring: Scoring,
) -> Iterator[dict[str, Any]]:
    every = [
        (place, number, item)
        for place in places
        for items in others.values()
        for number, item in enumerate(items)
    ]
    asked = [ItemProbe(item, place.persona, scoring.ways) for place, _, item in every]
    answers = read_letters(model, asked, scoring.lowest_mass) if asked else []
    for (place, number, item), answer in zip(every, answers, strict=True):
        yield {
            "value_set": place.value_set,
            "kind": "wording",
            "item": item.id,
            "wording": number,
            "shares": None if answer.refused else answer.shares.tolist(),
        }


def _texts(
    model: Answerer, items: Sequence[Item], others: Mapping[str, Sequence[Item]]
) -> Iterator[dict[str, Any]]:
    chat = [{"role": "user", "content": TEXT_PROMPT}]
    every = [("own_text", item) for item in items]
    every += [("other_text", item) for wordings in others.values() for item in wordings]
    (scored,) = model.text_log_probs([chat], [[item.question for _, item in every]])
    for (kind, item), log in zip(every, scored, strict=True):
        yield {
            "value_set": AS_ITSELF,
            "kind": kind,
            "item": item.id,
            "value": min_k_log_prob(log),
        }


def min_k_log_prob(log_probs: FloatArray, share: float = MIN_K) -> float:
    """The mean log-probability of the least probable `share` of a text's tokens, at least one.

    Source: Shi et al. (2024), Detecting Pretraining Data from Large Language Models (Min-K% Prob).
    """
    count = max(1, ceil(share * log_probs.size))
    return float(np.sort(log_probs)[:count].mean())


# method -> rows
_Rows = dict[str, list[Measured]]


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """Trained against held-out questions, in their own words and in others; leaks."""
    options: Options = given.options or Options()
    gains = _gains(given, options.base)
    wording = _wording(given)
    recall, familiar = _text_gaps(given, options.base), _text_gaps(given, None)
    overlaps, leaks = _overlap(given)
    sides = {"trained": _on(given, wording, "trained"), "held_out": _on(given, wording, "held_out")}
    figures, differences = make_figures(
        NAME,
        {
            "wording_loss_trained": sides["trained"],
            "wording_loss_held_out": sides["held_out"],
            "familiar_wording": familiar,
            "overlap": overlaps,
        },
        given.methods,
        seed,
        floors={"wording_loss_trained": 0.0, "wording_loss_held_out": 0.0},
    )
    gaps = [
        figure
        for measure, rows in (("gain_gap", gains), ("wording_gap", wording), ("recall_gap", recall))
        for figure in gap_figures(given, measure, rows, seed)
    ]
    return Scorecard(
        figures=(*gaps, *figures),
        figure_differences=differences,
        notes=tuple(_notes(given, options, leaks)),
        details={"leaks": leaks},
    )


def gap_figures(
    given: EvaluationInput, measure: str, rows: Mapping[str, Sequence[Measured]], seed: int
) -> Iterator[Figure]:
    """The mean over trained rows minus that over held-out rows, which share no item, by method."""
    every = [row for own in rows.values() for row in own]
    if not every:
        return
    draws = resamples(every, seed)
    scoped, by_scope = compared_rows(rows, given.methods)
    cells = by_scope[None, None]
    compared = {method: own[None, None] for method, own in scoped.items() if (None, None) in own}
    trained, held_out = _on(given, compared, "trained"), _on(given, compared, "held_out")
    for method in given.methods:
        if not trained.get(method) or not held_out.get(method):
            continue
        one, two = (
            bootstrap_estimate(trained[method], draws),
            bootstrap_estimate(held_out[method], draws),
        )
        gap = combined(np.subtract, one, two, n=one.n + two.n, floor=0.0)
        yield drawn_figure(NAME, measure, method, None, None, gap, cells=cells)


def _on(
    given: EvaluationInput, rows: Mapping[str, Sequence[Measured]], side: str
) -> dict[str, list[Measured]]:
    return {
        method: [row for row in own if given.splits[row.seed].side(row.item) == side]
        for method, own in rows.items()
    }


def _fit_row(
    given: EvaluationInput,
    at: int,
    value_set: ValueSet,
    item: str,
    own: FloatArray,
    others: Sequence[FloatArray],
) -> Measured:
    """The fit of `own` minus the mean fit of `others`, all shares of one item's options."""

    def above(people: FloatArray) -> FloatArray:
        return np.asarray(fit(people, own) - np.mean([fit(people, q) for q in others], axis=0))

    target = value_set.distributions[item]
    point, replicates = float(above(target.shares)), above(target.replicates)
    return Measured(at, value_set.name, item, given.splits[at].clusters[item], point, replicates)


def _gains(given: EvaluationInput, base: str) -> _Rows:
    """Fit minus the base's, on every item."""
    rows: _Rows = defaultdict(list)
    for method, at in sorted(given.answers) if base in given.methods else ():
        for value_set in given.value_sets if method != base else ():
            own = letter_shares_as(given.answers[method, at], value_set.name)
            before = letter_shares_as(given.answers[base, at], value_set.name)
            rows[method] += [
                _fit_row(given, at, value_set, item, own[item], [before[item]])
                for item in sorted(own.keys() & before.keys())
            ]
    return rows


def _wording(given: EvaluationInput) -> _Rows:
    """Fit in an item's own words minus the mean fit in others, on every item read in all words."""
    rows: _Rows = defaultdict(list)
    for method, at in sorted(given.probes):
        for value_set in given.value_sets:
            own = letter_shares_as(given.answers[method, at], value_set.name)
            said = given.said(method, at, value_set.name).filter(pl.col("kind") == "wording")
            others = wholly_answered(
                (row["item"], None if row["shares"] is None else np.array(row["shares"]))
                for row in said.sort("item", "wording").to_dicts()
            )
            rows[method] += [
                _fit_row(given, at, value_set, item, own[item], others[item])
                for item in sorted(own.keys() & others.keys() & value_set.distributions.keys())
            ]
    return rows


def _text_values(given: EvaluationInput, method: str, at: int, kind: str) -> dict[str, float]:
    """The mean of a kind of text's Min-K% log-probability, by item."""
    frame = given.probes[method, at].filter(pl.col("kind") == kind)
    means = frame.group_by("item").agg(pl.col("value").mean()).sort("item")
    return {item: value for item, value in means.iter_rows() if isfinite(value)}


def _text_row(given: EvaluationInput, at: int, item: str, value: float) -> Measured:
    return Measured(at, AS_ITSELF, item, given.splits[at].clusters[item], value, np.ones(1))


def _text_gaps(given: EvaluationInput, base: str | None) -> _Rows:
    """How much more probable an item's own text is than it is to the base.

    Without a base: than the item's paraphrases are.
    """
    rows: _Rows = defaultdict(list)
    for method, at in sorted(given.probes) if base is None or base in given.methods else ():
        if method == base:
            continue
        own = _text_values(given, method, at, "own_text")
        if base is None:
            others = _text_values(given, method, at, "other_text")
        else:
            others = _text_values(given, base, at, "own_text")
        rows[method] += [
            _text_row(given, at, item, own[item] - others[item])
            for item in sorted(own.keys() & others.keys())
        ]
    return rows


def _overlap(given: EvaluationInput) -> tuple[_Rows, list[dict[str, Any]]]:
    """The largest share of a held-out item's distinctive words in one record, and what leaked."""
    items = {item.id: item for v in given.value_sets for item in v.items}
    telling = question_words(list(items.values()))
    scenarios = [only_words(scenario.situation) for scenario in read_scenarios(SHIPPED)]
    rows: _Rows = defaultdict(list)
    leaks: list[dict[str, Any]] = []
    for (method, at), folders in sorted(given.records.items()):
        texts = {text for folder in folders for text in Records.read(folder).texts}
        bags = {frozenset(only_words(text).split()) for text in texts}
        for item in sorted(set(given.splits[at].held_out) & items.keys()):
            # One word alone ("welfare") would be found by chance.
            if len(telling[item]) < 2:
                continue
            share = max((len(telling[item] & bag) / len(telling[item]) for bag in bags), default=0)
            rows[method].append(_text_row(given, at, item, float(share)))
            if share >= LEAKED:
                leaks.append({"method": method, "seed": at, "item": item, "share": share})
        whole = " | ".join(sorted(only_words(text) for text in texts))
        leaks += [
            {"method": method, "seed": at, "item": f"scenario: {text[:60]}", "share": 1.0}
            for text in scenarios
            if text in whole
        ]
    return rows, leaks


def _notes(
    given: EvaluationInput, options: Options, leaks: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    if options.paraphrases is None:
        yield (
            "Without `paraphrases:` the words of a question stay as they are, and only the words "
            "around them change. A file of paraphrases is the harder test."
        )
    if options.base not in given.methods:
        yield (
            f"The study has no method {options.base}, so no gain can be measured; add it, or say "
            "another under `base:`."
        )
    for leak in leaks:
        yield (
            f"{leak['method']}, seed {leak['seed']}: {leak['share']:.0%} of the distinctive words "
            f"of {leak['item']}, which is held out, are in one record."
        )
    if given.records and not leaks:
        yield (
            f"No record contains {LEAKED:.0%} of a held-out question's distinctive words, and none "
            "contains a scenario."
        )


def prompts(
    value_sets: Sequence[ValueSet], splits: Sequence[ItemSplit], options: Options, folder: Path
) -> int:
    """Every way of asking of every wording."""
    items = {item.id: item for v in value_sets for item in v.items}
    ways = sum(len(ways_of_asking(item, None)) for item in items.values())
    return ways * options.wordings + len(items)


EVALUATION = Evaluation(
    NAME,
    score,
    question="Has it learnt these people, or the questions by heart?",
    cannot_show="Whether the model saw the survey before this study. A text that was always "
    "probable may be common, or may be remembered.",
    measures=(
        Measure(
            name="gain_gap",
            lowest=-2.0,
            highest=2.0,
            label="Gain on trained minus held-out questions",
            explanation="Fit minus the base's, on questions trained on, minus the same on "
            "questions held out: 0 if everything that was learnt carries over.",
            better="nearer 0",
            unit="questions",
            headline=True,
        ),
        Measure(
            name="wording_gap",
            lowest=-2.0,
            highest=2.0,
            label="Loss in other words, trained minus held-out",
            explanation="How much fit falls when a question is put in other words, on trained "
            "questions minus on held-out ones: above 0 where the words themselves were learnt.",
            better="nearer 0",
            unit="questions",
            headline=True,
        ),
        Measure(
            name="wording_loss_trained",
            lowest=-1.0,
            highest=1.0,
            label="Loss in other words, trained",
            explanation="Fit in the question's own words minus in others, on trained questions.",
            better="nearer 0",
            unit="questions",
        ),
        Measure(
            name="wording_loss_held_out",
            lowest=-1.0,
            highest=1.0,
            label="Loss in other words, held out",
            explanation="The same on held-out questions.",
            better="nearer 0",
            unit="questions",
        ),
        Measure(
            name="recall_gap",
            label="Text of trained questions recalled",
            explanation="How much more probable the question's text became (its least probable "
            "fifth of tokens, nats a token), on trained minus on held-out questions.",
            better="nearer 0",
            unit="questions",
        ),
        Measure(
            name="familiar_wording",
            label="Own words likelier than paraphrases",
            explanation="The same log-probability of a question's own text minus that of its "
            "paraphrases; high values suggest that the model knew the questionnaire.",
            better=None,
            unit="questions",
        ),
        Measure(
            name="overlap",
            lowest=0.0,
            highest=1.0,
            label="Held-out words in records",
            explanation="For each held-out question, the largest share of its distinctive words "
            "that one "
            "training record contains; the mean.",
            better="lower",
            unit="questions",
        ),
    ),
    options=Options,
    probe=probe,
    prompts=prompts,
)
