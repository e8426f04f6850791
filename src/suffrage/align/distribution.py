"""`distribution`: the model's answer probabilities are pulled to the population's shares.

Learns from: distribution records. Objective: the Kullback-Leibler divergence KL(p || q) of each
record, p the population's shares, q the probability the model gives each answer among everything
it could say. Source: Suh et al. (2025), SubPOP, equation 1, except that mass outside the answers
is not normalised away: it counts as loss, so the model also learns to answer. The ordinal
form adds the earth mover's distance of scales, so that a near miss costs less than a far one.

A step may take whole questions, each for many populations at once. A second loss is then on how the
populations differ: the divergence alone teaches what people answer to a question, and hardly what
the population's name changes about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from suffrage import storage
from suffrage.align.checkpoint import AVERAGE_ANSWERS
from suffrage.align.method import (
    InContextOptions,
    Method,
    TrainingFacts,
    TrainingJob,
    ValidatedOptions,
)
from suffrage.align.packed import AnswerBatch, Objective, train_packed
from suffrage.align.share_losses import distribution_loss, mean_over_records, option_shares
from suffrage.models.asking import Ways
from suffrage.models.device import process_rank
from suffrage.training_data.average_answer import LEAST_SHARE
from suffrage.training_data.distribution_records import AVERAGE
from suffrage.training_data.records import (
    RecordRow,
    RecordSettings,
    StepShape,
)
from suffrage.training_data.replay import replay_count

if TYPE_CHECKING:
    import torch


# Populations of one question in a step from which on differences between them are learnt too.
ENOUGH_POPULATIONS = 8
DIFFERENCES_WEIGHT = 10.0
# A model reads no more options than there are labels.
MOST_OPTIONS = 26


class Options(InContextOptions, ValidatedOptions):
    """What a study may say to `distribution`."""

    # kl, or ordinal, which adds ordinal_weight times the earth mover's distance on scales.
    loss: Literal["kl", "ordinal"] = "kl"
    # The weight of the earth mover's distance in the ordinal loss.
    ordinal_weight: float = Field(default=1.0, gt=0)
    # How many whole questions a step takes; `batch` is then ignored. None takes records in random
    # order.
    questions: int | None = Field(default=None, ge=1)
    # For how many populations a step asks each question, at most, with `questions`.
    populations: int = Field(default=16, ge=1)
    # Whether a pass visits a question for all who answered it, in several steps, before any
    # question comes again. Otherwise a pass visits every question once, for a few of them.
    all_populations: bool = False
    # In how many orders a step shows a question's options: 2 also shows them in the opposite order.
    orders: int = Field(default=2, ge=1, le=2)
    # The orders and labels in which a question's options are shown. questionnaire: only as people
    # saw them, with letters. A small model then learns what the options say in a third of the
    # steps. Ask it in this way too (`scoring.ways`), because in others it answers worse.
    ways: Ways = "all"
    # average: the population's average answer to the other questions is multiplied with the model's
    # shares in the loss, so that training starts from it and learns what differs. The table of
    # averages is kept with the checkpoint.
    offset: Literal["none", "average"] = "none"
    # words: targets are mixed with what a kernel ridge regression on the words of other questions
    # predicts. A model learns what questions have in common in fewer steps from predictions than
    # from answers, most of which is particular to a question.
    teacher: Literal["none", "words"] = "none"
    # The weight of the prediction in each target; the rest is what people answered.
    teacher_weight: float = Field(default=1.0, gt=0, le=1)
    # How many populations of the same source a step adds to a question that they were not asked.
    # The prediction is their whole target.
    unasked: int = Field(default=0, ge=0)
    # The weight of the loss on differences between a question's populations. None is 10 for
    # questions with at least 8 populations in the step, and 0 for others. A number applies to all
    # questions.
    differences: float | None = Field(default=None, ge=0)
    # With a teacher, the differences between populations that are learnt. people is what people
    # answered; a population that was not asked differs from them as it is predicted to. targets
    # takes the differences between the predictions, which are much smaller.
    differences_of: Literal["people", "targets"] = "people"

    @model_validator(mode="after")
    def _whole_questions(self) -> Options:
        given = self.model_fields_set
        if self.questions is None:
            for name in ("populations", "all_populations", "orders", "differences", "teacher"):
                if name in given:
                    raise ValueError(f"{name}: needs questions, how many a step takes")
            return self
        for name in ("batch", "epochs"):
            if name in given:
                raise ValueError(f"{name}: does not go with questions; say steps")
        return self

    @model_validator(mode="after")
    def _has_an_order_to_turn(self) -> Options:
        if self.ways == "questionnaire" and self.orders > 1 and "orders" in self.model_fields_set:
            raise ValueError("orders: ways: questionnaire shows one order; leave orders out")
        return self

    @property
    def orders_shown(self) -> int:
        """The ways round in which a visit shows a question's options."""
        return 1 if self.ways == "questionnaire" else self.orders

    @model_validator(mode="after")
    def _has_a_teacher(self) -> Options:
        if self.teacher == "none":
            for name in ("teacher_weight", "unasked", "differences_of"):
                if name in self.model_fields_set:
                    raise ValueError(f"{name}: needs a teacher; say teacher: words as well")
        return self

    @property
    def learns_differences_of_people(self) -> bool:
        """Whether populations are to differ as people do and not as targets do."""
        return self.teacher != "none" and self.differences_of == "people"

    def deciding(self) -> dict[str, Any]:
        """The settings that decide what is trained; without a teacher there is one difference."""
        found = super().deciding()
        if self.teacher == "none":
            found.pop("differences_of")
        return found

    @property
    def step_shape(self) -> StepShape | None:
        """What a step holds; None for records in random order."""
        if self.questions is None:
            return None
        return StepShape(
            self.questions,
            self.populations,
            self.orders_shown,
            self.all_populations,
            self.unasked,
        )

    @property
    def own_rows(self) -> int:
        """How many of a step's records are the method's own, at most."""
        return self.step_shape.records if self.step_shape else super().own_rows

    @property
    def replayed_rows(self) -> int:
        """How many survey records a step has at most."""
        if self.step_shape is None:
            return super().replayed_rows
        return replay_count(self.own_rows, self.replay)

    def micro_batch_size(self) -> int:
        """Records computed at a time: with whole questions, those of one question."""
        if self.questions is None or self.micro_batch:
            return super().micro_batch_size()
        return (self.populations + self.unasked) * self.orders_shown

    @property
    def record_settings(self) -> RecordSettings:
        """What records this training wants."""
        return replace(
            super().record_settings,
            ways=self.ways,
            step=self.step_shape,
            average=self.offset == "average",
            teacher=self.teacher_weight if self.teacher == "words" else 0.0,
        )

    def differences_weight(self, populations: int) -> float:
        """The weight of differences between so many populations of a question."""
        if self.differences is not None:
            return self.differences
        return DIFFERENCES_WEIGHT if populations >= ENOUGH_POPULATIONS else 0.0


def with_average(log_q: torch.Tensor, average: torch.Tensor) -> torch.Tensor:
    r"""Log-probabilities of answers whose shares are multiplied by an average answer.

    log(q_k f_k / sum_j q_j f_j) + log sum_j q_j. Only the shares over the options change; what the
    model says besides them stays as likely, and still counts as loss. With the same share for
    every option nothing changes. A model that finds all options equally likely has the shares f.

    Parameters
    ----------
    log_q : tensor, shape (records, options)
        q, among everything that could be said; very low where a record has fewer options.
    average : tensor, shape (records, options)
        f, at least `LEAST_SHARE`; any positive number where a record has fewer options.

    Returns
    -------
    tensor, shape (records, options)

    Examples
    --------
    >>> import torch
    >>> found = with_average(torch.tensor([[0.25, 0.25]]).log(), torch.tensor([[0.8, 0.2]])).exp()
    >>> [round(x, 4) for x in found[0].tolist()]
    [0.4, 0.1]
    """
    shares = (log_q + average.log()).log_softmax(-1)
    return shares + log_q.logsumexp(-1, keepdim=True)


def differences_loss(
    error: torch.Tensor, mean_error: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    r"""Mean over records of the squared error of the shares' deviations from their mean.

    sum_k ((q_k - mean q_k) - (p_k - mean p_k))^2, with the mean over a question's populations in
    the step; p the people's shares, q the model's over the options.

    As deviations sum to 0 over the populations, the means add nothing to the gradient: they may be
    computed apart, without one.

    Parameters
    ----------
    error : tensor, shape (records, options)
        q - p.
    mean_error : tensor, shape (records, options)
        The mean of the errors over the populations of each record's question.
    weights : tensor, shape (records,)
        Of each record in the average.

    Returns
    -------
    tensor, scalar
        0 where the model's populations differ as people do, whatever it says of their mean.

    Examples
    --------
    >>> import torch
    >>> error = torch.tensor([[0.1, -0.1], [0.3, -0.3]])
    >>> found = differences_loss(error, error.mean(0).expand(2, 2), torch.ones(2))
    >>> round(found.item(), 4)
    0.02
    """
    return ((error - mean_error) ** 2).sum(-1).mul(weights).mean()


def ordinal_loss(
    log_q: torch.Tensor,
    p: torch.Tensor,
    options: torch.Tensor,
    ordered: torch.Tensor,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean over records of the earth mover's distance on scales; nominal items count 0.

    sum_k |P_k - Q_k| / (K - 1), with P and Q the cumulative shares, and q normalised over the
    options. Neighbours on the scale are one step apart, so that a near miss costs less.

    Parameters
    ----------
    log_q, p : tensor, shape (records, options)
        As in `distribution_loss`.
    options : tensor, shape (records,)
        K, how many options each record has.
    ordered : tensor, shape (records,)
        1 for a scale, 0 for a nominal item.
    weights : tensor, shape (records,), optional
        Of each record in the average; 1 by default.

    Returns
    -------
    tensor, scalar
        Between 0 and 1.

    Examples
    --------
    >>> import torch
    >>> p, q = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    >>> three, scale = torch.tensor([3]), torch.tensor([1.0])
    >>> ordinal_loss(q.clamp_min(1e-9).log(), p, three, scale).item()
    0.5
    """
    import torch

    present = torch.arange(p.shape[1], device=p.device) < options[:, None]
    q = option_shares(log_q, options)
    # After a record's last option both sums are 1 and add nothing.
    gaps = ((p.cumsum(-1) - q.cumsum(-1)).abs() * present).sum(-1)
    return mean_over_records(ordered * gaps / (options - 1).clamp_min(1), weights)


def _from_average(batch: AnswerBatch) -> AnswerBatch:
    """The batch as the loss sees it: each record's answers times its average answer."""
    import torch

    average = torch.ones(batch.log_probs.shape)
    for line, row in enumerate(batch.rows):
        known = torch.tensor(row["average"]).clamp_min(LEAST_SHARE)
        average[line, : len(row["average"])] = known
    return replace(batch, log_probs=with_average(batch.log_probs, average.to(batch.log_probs)))


def _shares_of(batch: AnswerBatch, column: str = "target") -> torch.Tensor:
    """The shares in a column of the records, (records, options)."""
    import torch

    # One copy to the device: a GPU would wait for each of many.
    p = torch.zeros(batch.log_probs.shape)
    for line, row in enumerate(batch.rows):
        p[line, : len(row[column])] = torch.tensor(row[column])
    return p.to(batch.log_probs)


def _errors(batch: AnswerBatch, column: str) -> torch.Tensor:
    """How far the model's shares over the options are from a column's, (records, options)."""
    return option_shares(batch.log_probs, (batch.lengths > 0).sum(-1)) - _shares_of(batch, column)


def _way_errors(batch: AnswerBatch, ways: int, column: str) -> torch.Tensor:
    """For each way of asking a question: the weights of its records and their errors, summed.

    Divided by the number of records, as `Objective.shared` wants it.

    Returns
    -------
    tensor, shape (ways, 1 + MOST_OPTIONS)
    """
    import torch

    errors = _errors(batch, column)
    wide = torch.nn.functional.pad(errors, (1, MOST_OPTIONS - errors.shape[1]))
    wide[:, 0] = 1
    place = torch.tensor([row["way"] for row in batch.rows], device=wide.device)
    total = wide.new_zeros(ways, wide.shape[1])
    return total.index_add(0, place, wide * batch.weights[:, None]) / len(batch.rows)


def train(job: TrainingJob) -> TrainingFacts:
    """Train on distribution records."""
    options: Options = job.options
    offset = options.offset == "average"
    # The column of records that says how populations differ.
    apart = "apart" if options.learns_differences_of_people else "target"

    def answers(rows: Sequence[RecordRow]) -> list[list[str]]:
        return [list(row["answers"]) for row in rows]

    def shared(batch: AnswerBatch) -> torch.Tensor:
        assert options.questions is not None
        batch = _from_average(batch) if offset else batch
        return _way_errors(batch, options.questions * options.orders_shown, apart)

    def loss(batch: AnswerBatch) -> torch.Tensor:
        batch = _from_average(batch) if offset else batch
        p = _shares_of(batch)
        total = distribution_loss(batch.log_probs, p, batch.weights)
        if options.loss == "ordinal":
            counts = (batch.lengths > 0).sum(-1)
            ordered = batch.column("ordered")
            total = total + options.ordinal_weight * ordinal_loss(
                batch.log_probs, p, counts, ordered, batch.weights
            )
        if batch.shared is not None:
            found = [options.differences_weight(row["populations"]) for row in batch.rows]
            means = batch.shared[[row["way"] for row in batch.rows]]
            means = means[:, 1 : 1 + p.shape[1]] / means[:, :1]
            each = batch.weights * batch.weights.new_tensor(found)
            total = total + differences_loss(_errors(batch, apart), means, each)
        return total

    objective = Objective(answers, loss)
    if options.questions is not None and options.differences != 0:
        objective = Objective(answers, loss, shared, lambda row: row["way"])
    found = train_packed(job, objective)
    if offset and process_rank() == 0:
        storage.write_json(job.output / AVERAGE_ANSWERS, job.records.made_from[AVERAGE])
    return found


METHOD = Method(
    name="distribution",
    label="Distribution matching",
    explanation="Trained on the population's whole answer distribution, one example an item.",
    options=Options,
    records="distribution",
    train=train,
    launches=True,
    replays=True,
)
