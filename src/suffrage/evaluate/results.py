"""`Results`: everything a run found, in one object; `results.json` is this, written out.

The report, the tables and any later comparison read nothing else.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Side = Literal["held_out", "trained"]
Readout = Literal["letters", "text", "text_length_normalised", "sentence", "sampled"]
Metric = Literal["fit_jsd", "emd", "entropy_ratio", "slope"]
# Means over value sets; no value set's name has a space in it.
LEARNED, LEFT_OUT = "groups trained on", "groups left out"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StudyFacts(_Row):
    """What was run. config: the study file as given; command: how to run it again."""

    name: str
    title: str
    seeds: list[int]
    config: str
    command: str
    finished: str
    versions: dict[str, str]
    machine: dict[str, Any]
    model: str
    model_licence: str | None = None
    content_hash: str


class SurveyFacts(_Row):
    """Who was asked. statement: one sentence on what the answers stand for."""

    title: str
    reader: str
    respondents: int
    weight_variable: str | None
    n_eff: float
    statement: str
    set_aside: list[dict[str, Any]]  # {what, count, why}
    files: dict[str, str]
    citation: str | None = None
    terms: str | None = None


class ValueSetFacts(_Row):
    """One population.

    set_aside: items it was not asked. pooled_items: the weight of the parent population on each
    item drawn toward it. left_out: no method was trained on it.
    """

    name: str
    description: str
    where: dict[str, Any]
    n: int
    n_eff: float
    design_effect: float
    weighting: str
    set_aside: list[str]
    pooled_items: dict[str, float]
    left_out: bool = False


class ItemFacts(_Row):
    """One item, and on which side of the split it lies in each seed."""

    id: str
    question: str
    options: list[str]
    ordered: bool
    topic: str | None
    battery: str | None
    note: str | None
    cluster: str  # items of one cluster are resampled and held out together
    side: dict[int, Side]  # by seed


class Cost(_Row):
    """What one checkpoint cost. energy_kwh, money: None where nothing measured or priced it."""

    seconds: float
    peak_memory_bytes: int
    steps: int
    examples: int
    tokens: int
    energy_kwh: float | None = None
    money: float | None = None
    currency: str | None = None


class AskingCost(_Row):
    """What asking a model behind an endpoint cost a method, over all runs of the study.

    estimated: requests whose tokens the server did not count. money: None where no prices are known.
    """

    requests: int
    input_tokens: int
    output_tokens: int
    estimated: int
    money: float | None
    currency: str | None


class EndpointFacts(_Row):
    """The model behind an address, and how it could be read.

    listed: likeliest tokens whose probabilities the server tells; 0: answers were drawn, `samples` to
    each way of asking. reads_texts: whether whole texts could be read. answered_by: what the server
    calls the model.
    """

    endpoint: str
    name: str
    answered_by: str | None
    version: str | None
    listed: int
    samples: int
    reads_texts: bool


class RoundingError(_Row):
    """How far a method's answers, computed in `dtype`, lie from those in float32.

    questions: items asked both ways, drawn from the study's own. mean, largest: total variation between
    the two answers, 0 to 1. mass: largest change of the probability on the options. why: what kept it
    from being measured; the figures are then None.
    """

    method: str
    seed: int
    dtype: str
    questions: int
    mean: float | None
    largest: float | None
    mass: float | None
    why: str | None = None


class MethodFacts(_Row):
    """A row of the scoreboard.

    kind: "untrained" (base, prompt), "trained", "floor" (needs no model: uniform, average training
    distribution) or "ceiling" (half against half).
    """

    name: str
    label: str
    kind: Literal["untrained", "trained", "floor", "ceiling"]
    explanation: str
    settings: dict[str, Any] = Field(default_factory=dict)
    checkpoints: list[str] = Field(default_factory=list)  # paths relative to the run's folder
    costs: list[Cost] = Field(default_factory=list)  # one a checkpoint
    asking: AskingCost | None = None


class Score(_Row):
    """A figure of the scoreboard with its 95 % interval.

    value_set, seed: "all" for the mean over them; value_set also `LEARNED` and `LEFT_OUT`, the means
    over the groups that were trained on and those that were not. low, high: bootstrap over item clusters and
    respondents, None with fewer than two clusters. way: share of the way from the average-training
    floor (0) to the ceiling (1), for fit_jsd.
    """

    method: str
    seed: int | Literal["all"]
    value_set: str
    side: Side
    readout: Readout
    metric: Metric
    value: float
    low: float | None
    high: float | None
    items: int
    way: float | None = None


class Difference(_Row):
    """method minus against, on the same items, respondents and resamples; 95 % interval.

    p, adjusted, detectable: as in `FigureDifference`, corrected for all differences of the same
    metric, side and value set.
    """

    method: str
    against: str
    value_set: str
    side: Side
    metric: Metric
    value: float
    low: float | None
    high: float | None
    items: int
    p: float | None = None
    adjusted: float | None = None
    detectable: float | None = None


class Target(_Row):
    """What a population answered to an item."""

    value_set: str
    item: str
    shares: list[float]
    standard_errors: list[float]
    n: int
    n_eff: float
    non_response: dict[str, float]


class Answer(_Row):
    """What a model answered to an item, asked as a value set.

    shares: over the options, renormalised. mass: probability on all options before that.
    order_sensitivity: mean total variation between option orders. refused: mass too small to read.
    unseen: the most the options could have besides, where a server lists its likeliest tokens only.
    drawn: sampled answers, None where probabilities were read; declined: share of them that would not
    answer. What is left, 1 - mass - declined, was off format.
    fit, emd: against the target (None when refused; emd None for nominal items).
    """

    method: str
    seed: int
    value_set: str
    item: str
    side: Side
    readout: Readout
    shares: list[float]
    mass: float
    order_sensitivity: float | None
    refused: bool
    fit: float | None
    emd: float | None
    unseen: float = 0.0
    drawn: int | None = None
    declined: float | None = None


class ReadoutDisagreement(_Row):
    """Mean total variation between two readouts of one method over the items both could read."""

    method: str
    first: Readout
    second: Readout
    total_variation: float
    items: int


class Measure(_Row):
    """One figure an evaluation gives of each method.

    better: where the good values lie, or None where neither way is better. unit: what `n` of its
    figures counts. headline: shown on the one scoreboard of all evaluations. in_table: false for
    a figure that is shown in its evaluation's own tables alone.
    """

    name: str
    label: str
    explanation: str
    better: Literal["higher", "lower", "nearer 0", "nearer 1"] | None
    unit: str
    headline: bool = False
    digits: int = 3
    in_table: bool = True


class Figure(_Row):
    """A method's figure on a measure, with its 95 % interval.

    value_set, seed: "all" for the mean over them. n: how many different units lie behind it. floor,
    ceiling: what needs no model or no values, and the best that can be had; None where there is none.
    """

    evaluation: str
    measure: str
    method: str
    seed: int | Literal["all"]
    value_set: str
    value: float
    low: float | None
    high: float | None
    n: int
    floor: float | None = None
    ceiling: float | None = None


class FigureDifference(_Row):
    """method minus against on the same units and resamples, over all value sets and seeds.

    p: two-sided, from the bootstrap; adjusted: the same after Holm's correction for all differences
    of this measure. detectable: the difference this study would have seen four times in five.
    """

    evaluation: str
    measure: str
    method: str
    against: str
    value: float
    low: float | None
    high: float | None
    n: int
    p: float | None
    adjusted: float | None
    detectable: float | None


class EvaluationFacts(_Row):
    """What an evaluation asks, and what it can't show.

    notes: what happened in this run (items removed, answers off format). details: what its own
    part of the report is drawn from.
    """

    name: str
    question: str
    cannot_show: str
    measures: list[Measure]
    notes: list[str] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)


class PrincipleFacts(_Row):
    """A principle a model held its answers against.

    value_set: whose it is, "all" for one constitution. critiques, judgements: times it was sampled.
    """

    id: str
    value_set: str
    text: str
    support: float | None
    group_support: dict[str, float]
    sources: list[str]
    critiques: int
    judgements: int


class Exchange(_Row):
    """A draft, the first critique of it, and its first revision."""

    question: str
    draft: str
    principle: str
    critique: str
    revision: str
    outcome: str


class Verdict(_Row):
    """Two answers judged by a principle.

    share: the judge's probability for the chosen. a_first, a_second: of the letter "A" in either
    order.
    """

    question: str
    principle: str
    chosen: str
    rejected: str
    share: float
    a_first: float
    a_second: float
    outcome: str


class SelfFeedback(_Row):
    """What one checkpoint's model said of its own answers.

    drafts, critiques, revisions: texts by what became of them. judgements: the same for pairs, with
    how far the judge can be relied on; None when nothing was judged. exchanges, verdicts: a few, at
    even steps through all.
    """

    method: str
    seed: int
    group: str
    principles: list[PrincipleFacts]
    drafts: dict[str, int]
    critiques: dict[str, int]
    revisions: dict[str, int]
    revisions_trained_on: int
    judgements: dict[str, float] | None
    exchanges: list[Exchange]
    verdicts: list[Verdict]


class Results(_Row):
    """A whole run. limits: sentences on what this run cannot show, made from its own facts."""

    format: int = 1
    study: StudyFacts
    survey: SurveyFacts
    value_sets: list[ValueSetFacts]
    held_out: dict[str, Any]  # the study's `held_out` section
    items: list[ItemFacts]
    methods: list[MethodFacts]
    scores: list[Score]
    differences: list[Difference]
    targets: list[Target]
    answers: list[Answer]
    readouts: list[ReadoutDisagreement]
    limits: list[str]
    endpoint: EndpointFacts | None = None
    rounding: list[RoundingError] = Field(default_factory=list)
    evaluations: list[EvaluationFacts] = Field(default_factory=list)
    figures: list[Figure] = Field(default_factory=list)
    figure_differences: list[FigureDifference] = Field(default_factory=list)
    self_feedback: list[SelfFeedback] = Field(default_factory=list)
