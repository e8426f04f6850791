"""Whether a model can judge by a principle: it is tried on pairs whose better answer is known.

Every request of the sample has two answers and two opposed principles, and each principle makes
the other answer the better one. So a judge that looks at anything but the principle, such as
length, letter or tone, agrees with exactly half of the labels.

The bound is a plain share and no test against chance. A test would accept a judge as soon as it is
surely better than a coin, at 40 of 64 pairs, and most of what it teaches would still be noise. By
the binomial distribution a judge that throws coins reaches 0.7 (45 of 64) once in 1,280 times, one
that is right in 60% of pairs in 6% of checks, and one that is right in 80% in 98%.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from suffrage import settings
from suffrage.align.constitutional_options import ConstitutionalOptions
from suffrage.align.feedback import JudgingModel, Kept, judge
from suffrage.align.method import TrainingJob
from suffrage.errors import SuffrageError
from suffrage.training_data.ai_preferences import Judgement

LABELLED_PAIRS = Path(__file__).parent / "data" / "labelled_pairs.yaml"
# The name under which judgements of the sample are kept.
STAGE = "judge-check"


class LabelledPair(NamedTuple):
    """A request, two answers, and a principle that one of the answers follows."""

    request: str
    first: str
    second: str
    principle: str
    # Whether the first answer is the one that follows the principle.
    first_follows: bool


class _OpposedAnswers(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    request: str = Field(min_length=1)
    answers: tuple[str, str]
    # The first asks for the first answer, the second for the second.
    principles: tuple[str, str]


class _LabelledFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: tuple[_OpposedAnswers, ...] = Field(min_length=1)


@dataclass(frozen=True)
class JudgeCheck:
    """What a judge said of the labelled pairs."""

    # How many pairs it judged, each in both orders.
    pairs: int
    # The share in which it preferred the answer that follows the principle, by the mean over both
    # orders; a pair without a preference counts half.
    agreement: float
    # The mean probability of that answer, 0 to 1.
    probability: float
    # The share in which both orders name the same answer.
    same_both_ways: float
    # The mean probability of both letters together.
    mass: float
    # The agreement that was asked for.
    least_agreement: float

    @property
    def passed(self) -> bool:
        """Whether the judge may judge."""
        return self.agreement >= self.least_agreement


def labelled_pairs() -> tuple[LabelledPair, ...]:
    """The labelled sample that ships: every request twice, once by each principle."""
    found = settings.validated(
        _LabelledFile, settings.read_yaml(LABELLED_PAIRS), LABELLED_PAIRS.name
    )
    return tuple(
        LabelledPair(one.request, *one.answers, principle, place == 0)
        for one in found.requests
        for place, principle in enumerate(one.principles)
    )


def agreement_with_labels(
    pairs: Sequence[LabelledPair], judgements: Sequence[Judgement], least_agreement: float
) -> JudgeCheck:
    """Compare judgements with the labels of the pairs that were judged.

    Parameters
    ----------
    pairs : sequence of LabelledPair
    judgements : sequence of Judgement
        One for each pair, in their order.
    least_agreement : float
        The bound, 0 to 1.

    Examples
    --------
    A judge that always says "A" agrees with half of the labels:

    >>> pairs = labelled_pairs()[:2]
    >>> agreement_with_labels(pairs, [Judgement(0.9, 0.9, 1.0)] * 2, 0.7).agreement
    0.5
    """
    # "A" for the first answer less "A" for the second: above 0 the judge prefers the first one.
    preferred = np.array([found.a_first - found.a_second for found in judgements])
    toward_label = preferred * [1 if pair.first_follows else -1 for pair in pairs]
    return JudgeCheck(
        pairs=len(pairs),
        agreement=float(np.mean((1 + np.sign(toward_label)) / 2)),
        probability=float(np.mean((1 + toward_label) / 2)),
        same_both_ways=float(np.mean([found.same_both_ways for found in judgements])),
        mass=float(np.mean([found.mass for found in judgements])),
        least_agreement=least_agreement,
    )


def check_judge(
    job: TrainingJob,
    kept: Kept,
    load: Callable[[], JudgingModel],
    advance: Callable[[int], None],
) -> JudgeCheck | None:
    """Try the model that will judge on the labelled sample, as it will judge later.

    Parameters
    ----------
    job : TrainingJob
        With `ConstitutionalOptions`.
    kept : Kept
        What an earlier try judged is in it and is not judged again.
    load : callable
        Gives the model that will judge; called only if something is still to be judged.
    advance : callable
        Called with the number of pairs after each batch.

    Returns
    -------
    JudgeCheck or None
        None where nothing will be judged, or `least_agreement` is 0.

    Raises
    ------
    SuffrageError
        The judge agrees with fewer of the labels than `least_agreement`.
    """
    options: ConstitutionalOptions = job.options
    if not options.judge_is_checked:
        return None
    pairs = labelled_pairs()
    names = [f"{place + 1}" for place in range(len(pairs))]
    model = load() if kept.missing(STAGE, names) else None

    def verdicts(start: int, stop: int) -> list[list[float]]:
        assert model is not None
        given = [pair[:4] for pair in pairs[start:stop]]
        return [[found.a_first, found.a_second, found.mass] for found in judge(model, given)]

    found = kept.complete(STAGE, names, verdicts, advance)
    check = agreement_with_labels(
        pairs, [Judgement(*figures) for figures in found], options.least_agreement
    )
    if not check.passed:
        raise SuffrageError(_refusal(job, check))
    return check


def _refusal(job: TrainingJob, check: JudgeCheck) -> str:
    return (
        f"The model that the training starts from ({job.model.name}) cannot judge by a principle: "
        f"it preferred the right answer in {check.agreement * check.pairs:g} of {check.pairs} "
        f"labelled pairs ({check.agreement:.2f}, where a coin has 0.50 and least_agreement is "
        f"{check.least_agreement:g}); take a larger model that follows instructions, train on the "
        "vote shares of principles (records: votes), or say least_agreement: 0 to train on its "
        "judgements anyway."
    )


def facts_of_check(check: JudgeCheck | None) -> dict[str, float] | None:
    """The check as a checkpoint keeps it, None where there was none."""
    return None if check is None else asdict(check)
