"""`Results`: everything a run found, in one object; `results.json` holds the same.

The report, the tables and the comparison of runs read nothing else.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from suffrage.models.readouts import Readout
from suffrage.plurals import plural

# Raised when an older results.json can no longer be read.
RESULTS_VERSION = 4
# Of p-values after Holm's correction.
SIGNIFICANT = 0.05
SplitSide = Literal["held_out", "trained"]
# What of a question and a population was never trained on.
HeldOutRegime = Literal["question", "topic", "population", "survey"]
# NaN where a published table does not say it; JSON has null instead.
MaybeKnown = Annotated[float, BeforeValidator(lambda v: math.nan if v is None else v)]
Verdict = Literal["higher", "lower", "same", "unknown"]
ALL: Literal["all"] = "all"
# Means over value sets; no value set's name has a space in it.
LEARNED, LEFT_OUT = "groups trained on", "groups left out"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StudyFacts(_Row):
    """What was run."""

    name: str
    title: str
    seeds: list[int]
    config: str  # the study file as given
    command: str  # runs the study again
    finished: str
    versions: dict[str, str]
    machine: dict[str, Any]
    model: str
    model_licence: str | None = None
    number_format: str | None = None  # that answers were computed in; None behind an endpoint
    content_hash: str


class SurveyFacts(_Row):
    """Who was asked."""

    name: str = ""  # what the study calls the source, where it has several
    title: str
    reader: str
    respondents: int  # 0 of a published table
    populations: int = 0  # of a published table
    weight_variable: str | None
    n_eff: float
    statement: str  # one sentence on whom the answers represent
    set_aside: list[dict[str, Any]]  # {what, count, why}
    files: dict[str, str]
    citation: str | None = None
    terms: str | None = None


class ValueSetFacts(_Row):
    """One population."""

    name: str
    description: str
    where: dict[str, Any]
    n: int
    n_eff: MaybeKnown
    design_effect: MaybeKnown
    weighting: str
    set_aside: list[str]  # items it was not asked
    pooled_items: dict[str, float]  # the parent population's weight on each item drawn toward it
    left_out: bool = False  # no method was trained on it


class ItemFacts(_Row):
    """One item, and its side of the split in each seed."""

    id: str
    question: str
    options: list[str]
    ordered: bool
    topic: str | None
    battery: str | None
    note: str | None
    cluster: str  # items of one cluster are resampled and held out together
    side: dict[int, SplitSide]  # by seed
    # A checkpoint that the study started from was trained on it, so that it is never held out.
    trained_before: bool = False


class StartFacts(_Row):
    """A checkpoint of another study that models of this one started from."""

    study: str
    method: str
    seed: int
    base_model: str  # the model that it was trained on
    questions: int  # different questions that it was trained on
    surveys: list[str]  # their titles
    content: str  # a hash of the checkpoint's folder
    methods: list[str]  # of this study, those that start from it


class Cost(_Row):
    """What one checkpoint cost."""

    seconds: float
    peak_memory_bytes: int
    steps: int
    examples: int
    tokens: int
    energy_kwh: float | None = None  # None where nothing measured it
    money: float | None = None  # None where nothing priced it
    currency: str | None = None


class AskingCost(_Row):
    """What a method's questions to an endpoint cost, over all runs of the study."""

    requests: int
    input_tokens: int
    output_tokens: int
    estimated: int  # requests whose tokens the server did not count
    money: float | None  # None where no prices are known
    currency: str | None


class EndpointFacts(_Row):
    """The model behind an address, and how it could be read."""

    endpoint: str
    name: str
    answered_by: str | None  # what the server calls the model
    version: str | None
    # The server gives the probabilities of so many likeliest tokens; with 0, answers were sampled.
    listed: int
    samples: int  # for each way of asking
    reads_texts: bool  # whether the probabilities of whole texts could be read
    notes: list[str] = []  # what is special in how this server is asked, in sentences


class RoundingError(_Row):
    """How much a method's answers change with the number format they are computed in.

    The answers in `dtype` are compared with those in float32, on questions drawn from the study's.
    The three figures are None where `why` says what kept them from being measured.
    """

    method: str
    seed: int
    dtype: str
    questions: int  # items asked both ways
    mean: float | None  # total variation between the two answers, 0 to 1
    largest: float | None  # the same, of the item where it is largest
    mass: float | None  # largest change of the probability on the options
    why: str | None = None


class MethodFacts(_Row):
    """A row of the scoreboard.

    "untrained" methods are `base` and `prompt`. A "floor" needs no model: the even answer, or
    the average answer. A "reading" is a method's answers together with a floor. The
    "ceiling" is one half of the respondents against the other.
    """

    name: str
    label: str
    kind: Literal["untrained", "trained", "reading", "floor", "ceiling"]
    explanation: str
    # Whether it can answer in words; a method without a language model gives shares only.
    writes: bool = True
    settings: dict[str, Any] = Field(default_factory=dict)
    checkpoints: list[str] = Field(default_factory=list)  # paths relative to the run's folder
    costs: list[Cost] = Field(default_factory=list)  # one for each checkpoint
    asking: AskingCost | None = None


class MixingFacts(_Row):
    """How much of a method's model is best mixed with the average answer, at one seed.

    Chosen on questions that are neither trained on nor evaluated; so are the three fits.
    """

    method: str
    reading: str  # the row of the mixture
    seed: int
    weight: float  # of the model: 0, it adds nothing, to 1, the average answer adds nothing
    low: float | None  # 95% interval; None with few clusters
    high: float | None
    questions: int
    cells: int  # questions times populations
    clusters: int
    mixed_fit: float
    model_fit: float
    average_fit: float


class BlendedFit(_Row):
    """What one weight between a start and a trained model gives, on what was held back."""

    weight: float  # of the trained model; 0 is the start
    fit: float  # of the cells held back
    survey_fit: float | None  # of the survey's cells, where a consultation is learnt
    behind: float  # how far the fit is behind the best weight's, on average over questions
    error: float  # its standard error


class BlendFacts(_Row):
    """How far from its start a training went, at one seed."""

    method: str
    seed: int
    checkpoint: str  # relative to the run's folder
    rule: Literal["best", "one_standard_error"]
    weight: float  # the one that was kept
    tolerance: float  # how far the survey's fit might fall, where a consultation is learnt
    points: list[BlendedFit]


class Target(_Row):
    """What a population answered to an item."""

    value_set: str
    item: str
    shares: list[float]
    standard_errors: list[MaybeKnown]
    n: int
    n_eff: MaybeKnown
    non_response: dict[str, float]


class ScoredAnswer(_Row):
    """A model's answer to an item for one value set, and its distance from the population's."""

    method: str
    seed: int
    value_set: str
    item: str
    side: SplitSide
    readout: Readout
    shares: list[float]  # over the options; they sum to 1
    mass: float  # probability on all options together, before the shares were made to sum to 1
    order_sensitivity: float | None  # mean total variation between orders of the options
    refused: bool  # too little mass to be read
    fit: float | None  # None when refused
    emd: float | None  # None when refused, and for nominal items
    unseen: float = 0.0  # the most the options could have besides, where a server lists few tokens
    drawn: int | None = None  # how many answers were sampled; None where probabilities were read
    # The share of sampled answers that would not answer; 1 - mass - declined were off format.
    declined: float | None = None


class ReadoutDisagreement(_Row):
    """Mean total variation between two readouts of one method over the items both could read."""

    method: str
    first: Readout
    second: Readout
    total_variation: float
    items: int


class Measure(_Row):
    """One figure an evaluation gives of each method."""

    name: str
    label: str
    explanation: str
    better: Literal["higher", "lower", "nearer 0", "nearer 1"] | None  # None: neither way is
    unit: str  # what `n` of its figures counts
    headline: bool = False  # shown on the one scoreboard of all evaluations
    digits: int = 3
    in_table: bool = True  # False for a figure shown in its evaluation's own tables only
    # What the figure can be; None where it has no such end. Intervals are cut off there.
    lowest: float | None = None
    highest: float | None = None


# With less room between the floor and the ceiling, chance decides the share of the way: fits that
# cannot be told apart can be at 80% and at -300%.
LEAST_ROOM = 0.05


def share_of_way(value: float, floor: float | None, ceiling: float | None) -> float | None:
    """Return the share of the way from the floor to the ceiling; None without `LEAST_ROOM`.

    Examples
    --------
    >>> share_of_way(0.75, 0.5, 1.0), share_of_way(0.75, 0.95, 0.96)
    (0.5, None)
    """
    if floor is None or ceiling is None or ceiling - floor < LEAST_ROOM:
        return None
    return (value - floor) / (ceiling - floor)


class Figure(_Row):
    """A method's figure on a measure of an evaluation, with its 95% interval.

    The interval comes from clusters of items and from resampled respondents; it is None with fewer
    than four clusters.
    """

    evaluation: str
    measure: str
    method: str
    seed: int | Literal["all"]  # "all" for the mean over seeds
    value_set: str  # "all" for the mean over value sets; also `LEARNED` and `LEFT_OUT`
    # The side of the split that its items are on; None where there is no split.
    side: SplitSide | None = None
    readout: Readout | None = None  # how the model's answers were read, where that differs
    value: float
    low: float | None
    high: float | None
    n: int  # different units behind it
    floor: float | None = None  # what needs no model, or no values; None where there is none
    ceiling: float | None = None  # the best that can be had; None where there is none
    # Answers that other methods gave and this one did not; no figure of the measure counts them.
    missing: int = 0
    # Answers that this method gave and no figure of the measure counts, because others did not.
    uncounted: int = 0
    # What is new to the model; None for all that is held out.
    regime: HeldOutRegime | None = None

    @property
    def way(self) -> float | None:
        """Share of the way from the floor (0) to the ceiling (1), where more is better."""
        return share_of_way(self.value, self.floor, self.ceiling)


class Contrast(_Row):
    """The difference of two figures on the same units and resamples, with its 95% interval."""

    value: float
    low: float | None
    high: float | None
    n: int  # different units behind it
    p: float | None = None  # two-sided; None with too few clusters
    adjusted: float | None = None  # p after Holm's correction
    detectable: float | None = None  # the difference this study would see four times in five
    # Answers that the second gave and the first did not, and the other way round.
    unanswered: int = 0
    against_unanswered: int = 0
    # Answers that both gave and that are left out, because a third method did not give them.
    kept_out: int = 0
    # Which way is better on this measure; only where answers were left out does it matter.
    better: Literal["higher", "lower"] = "higher"

    @property
    def verdict(self) -> Verdict:
        """Whether the difference is above 0, below it, cannot be told from it, or is unknown.

        The p-value after Holm's correction decides, or the interval where there is no p-value.
        Where one of the two left answers out that the other gave, the difference is known only if
        it is against the one that did: leaving out the hard questions must never help. Where a
        third method's missing answers keep some of both out, nothing is known.
        """
        found = "unknown" if self.kept_out else self._verdict
        for_first, for_second = ("higher", "lower")[:: 1 if self.better == "higher" else -1]
        if self.unanswered and found in (for_first, "same"):
            return "unknown"
        if self.against_unanswered and found in (for_second, "same"):
            return "unknown"
        return found

    @property
    def _verdict(self) -> Verdict:
        if self.low is None or self.high is None:
            return "unknown"
        if self.adjusted is None:
            return "higher" if self.low > 0 else "lower" if self.high < 0 else "same"
        if self.adjusted >= SIGNIFICANT:
            return "same"
        return "higher" if self.value > 0 else "lower"

    def turned(self, **names: Any) -> Self:
        """The second figure minus the first. names: fields that change places with it."""
        return self._with_other_sign(
            unanswered=self.against_unanswered, against_unanswered=self.unanswered, **names
        )

    def as_gain(self) -> Self:
        """How much better the first is, on a measure of which less is better."""
        return self._with_other_sign(better="lower" if self.better == "higher" else "higher")

    def _with_other_sign(self, **fields: Any) -> Self:
        low = None if self.high is None else -self.high
        high = None if self.low is None else -self.low
        return self.model_copy(update={"value": -self.value, "low": low, "high": high, **fields})


class FigureDifference(Contrast):
    """`method` minus `against` on a measure of an evaluation, over all seeds.

    Holm's correction goes over all differences of the same measure, side and value set.
    """

    evaluation: str
    measure: str
    method: str
    against: str
    value_set: str = ALL
    side: SplitSide | None = None
    # What is new to the model; None for all that is held out.
    regime: HeldOutRegime | None = None


class EvaluationFacts(_Row):
    """What an evaluation asks, and what it cannot show."""

    name: str
    question: str
    cannot_show: str
    measures: list[Measure]
    notes: list[str] = Field(default_factory=list)  # what happened in this run
    details: dict[str, Any] = Field(default_factory=dict)  # what its part of the report draws


class PrincipleFacts(_Row):
    """A principle by which a model judged its own answers."""

    id: str
    value_set: str  # whose it is; "all" for one constitution
    text: str
    support: float | None
    group_support: dict[str, float]
    sources: list[str]
    critiques: int  # times it was sampled
    judgements: int  # times it was sampled


class Exchange(_Row):
    """A draft, the first critique of it, and its first revision."""

    question: str
    draft: str
    principle: str
    critique: str
    revision: str
    outcome: str


class JudgedPair(_Row):
    """Two answers judged by a principle."""

    question: str
    principle: str
    chosen: str
    rejected: str
    share: float  # the judge's probability for the chosen
    a_first: float  # of the letter "A", in one order of the two
    a_second: float  # of the letter "A", in the other order
    outcome: str


class JudgeCheckFacts(_Row):
    """What a judge said of pairs whose better answer is known, before anything was trained."""

    pairs: int
    agreement: float  # the share in which it preferred the right answer; a coin: 0.5
    probability: float  # the mean probability of the right answer
    same_both_ways: float  # the share in which both orders name the same answer
    mass: float  # the mean probability of both letters together
    least_agreement: float  # the agreement that was asked for


class SelfFeedback(_Row):
    """What one checkpoint's model said of its own answers."""

    method: str
    seed: int
    group: str
    principles: list[PrincipleFacts]
    drafts: dict[str, int]  # texts by what became of them
    critiques: dict[str, int]
    revisions: dict[str, int]
    revisions_trained_on: int
    # Pairs by what became of them, and how reliable the judge is; None when nothing was judged.
    judgements: dict[str, float] | None
    judge_check: JudgeCheckFacts | None = None  # None where the judge was not checked
    exchanges: list[Exchange]  # a few, at even steps through all
    verdicts: list[JudgedPair]  # a few, at even steps through all


class TrainingJournal(_Row):
    """How one training went, at even steps through it."""

    method: str
    seed: int
    group: str  # the value sets of a training apart; empty for all together
    steps: list[int]
    losses: list[float]
    validation_steps: list[int] = []  # at which questions held back were asked
    validation: list[float] = []  # their fit
    validation_questions: int = 0  # how many questions were held back; 0 where it is not known
    kept_step: int | None = None  # chosen by validation; None for the last one


class Results(_Row):
    """A whole run."""

    version: int = RESULTS_VERSION
    study: StudyFacts
    surveys: list[SurveyFacts]
    value_sets: list[ValueSetFacts]
    held_out: dict[str, Any]  # the study's `held_out` section
    items: list[ItemFacts]
    methods: list[MethodFacts]
    evaluations: list[EvaluationFacts] = Field(default_factory=list)
    figures: list[Figure] = Field(default_factory=list)
    figure_differences: list[FigureDifference] = Field(default_factory=list)
    targets: list[Target]
    answers: list[ScoredAnswer]
    readouts: list[ReadoutDisagreement]
    limits: list[str]  # sentences on what this run cannot show, made from its own facts
    endpoint: EndpointFacts | None = None
    rounding: list[RoundingError] = Field(default_factory=list)
    self_feedback: list[SelfFeedback] = Field(default_factory=list)
    mixing: list[MixingFacts] = Field(default_factory=list)
    blends: list[BlendFacts] = Field(default_factory=list)
    starts: list[StartFacts] = Field(default_factory=list)
    journals: list[TrainingJournal] = Field(default_factory=list)

    def __repr__(self) -> str:
        methods = ", ".join(method.name for method in self.methods)
        return f"<Results of {self.study.name!r}: {methods}; {plural(len(self.figures), 'figure')}>"

    __str__ = __repr__

    def figure(
        self,
        evaluation: str,
        measure: str,
        method: str,
        value_set: str = ALL,
        seed: int | Literal["all"] = ALL,
        side: SplitSide | None = None,
        readout: Readout = "letters",
        regime: HeldOutRegime | None = None,
    ) -> Figure | None:
        """The figure at a place, or None.

        `side` and `readout` matter only where the figures have them; a side of None means
        `main_side`.
        """
        place = (evaluation, measure, method, value_set, seed)
        sides = ("held_out", "trained") if regime else (side or self.main_side, None)
        for sided, read in product(sides, (readout, None)):
            if (found := self._figures_at.get((*place, sided, read, regime))) is not None:
                return found
        return None

    def difference(
        self,
        evaluation: str,
        measure: str,
        method: str,
        against: str,
        value_set: str = ALL,
        side: SplitSide | None = None,
        regime: HeldOutRegime | None = None,
    ) -> FigureDifference | None:
        """`method` minus `against`, turned round when it is stored the other way, or None."""
        names = {method, against}
        for d in self.differences_of(evaluation, measure, value_set, side, regime):
            if {d.method, d.against} == names:
                return d if d.method == method else d.turned(method=method, against=against)
        return None

    def differences_of(
        self,
        evaluation: str,
        measure: str,
        value_set: str = ALL,
        side: SplitSide | None = None,
        regime: HeldOutRegime | None = None,
    ) -> list[FigureDifference]:
        """All pairs of methods on a measure: one family of Holm's correction."""
        place = (evaluation, measure, value_set)
        at = self._differences_at
        sides = ("held_out", "trained") if regime else (side or self.main_side, None)
        return next((at[*place, s, regime] for s in sides if (*place, s, regime) in at), [])

    @property
    def survey_title(self) -> str:
        """The titles of the sources."""
        return ", ".join(survey.title for survey in self.surveys)

    @cached_property
    def main_side(self) -> SplitSide:
        """The side the report leads with: questions held out, unless there are none."""
        sides = {side for item in self.items for side in item.side.values()}
        return "trained" if sides == {"trained"} else "held_out"

    @cached_property
    def _figures_at(self) -> dict[tuple[Any, ...], Figure]:
        return {
            (f.evaluation, f.measure, f.method, f.value_set, f.seed, f.side, f.readout, f.regime): f
            for f in self.figures
        }

    @cached_property
    def _differences_at(self) -> dict[tuple[Any, ...], list[FigureDifference]]:
        found: dict[tuple[Any, ...], list[FigureDifference]] = defaultdict(list)
        for d in self.figure_differences:
            found[d.evaluation, d.measure, d.value_set, d.side, d.regime].append(d)
        return found

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with changed fields, in which figures are looked up afresh."""
        found = super().model_copy(update=update, deep=deep)
        for name in ("main_side", "_figures_at", "_differences_at"):
            found.__dict__.pop(name, None)
        return found
