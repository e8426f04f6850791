"""`kto`: answers people give are made likelier, others less likely, one answer at a time.

Learns from: binary records. Objective: Ethayarajh et al. (2024), equation 8, with the reference
point z0 as they estimate it (mismatched pairs of the same step), or, for labelled options,
as the exact divergence over the option set, because another question's label is no answer here.
Without a reference model the reference is the uniform distribution over answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from suffrage.align.method import Method, TrainingFacts, TrainingJob, ValidatedOptions
from suffrage.align.packed import ABSENT, AnswerBatch, Objective, check_record_weights, train_packed
from suffrage.errors import SuffrageError
from suffrage.training_data.records import Labels, RecordRow
from suffrage.training_data.replay import own_records

if TYPE_CHECKING:
    import torch


WHY_TWO = (
    "each answer is compared with another record's in the same step, so give at least two records "
    "a step (batch: 2), or format: option with z0: exact"
)


class Options(ValidatedOptions):
    """What a study may say to `kto`."""

    # drawn: the answer of one person. shares: each answer with the share of people behind it.
    # majority: the most common answer.
    labels: Labels = "drawn"
    # How sharply rewards count.
    beta: float = Field(default=0.1, gt=0)
    # The model that training began from, or none for the uniform reference.
    reference: Literal["model", "none"] = "model"
    # The reference point: batch, as in the paper; exact, over the option set; or auto, which is
    # exact for labelled options.
    z0: Literal["auto", "batch", "exact"] = "auto"
    # The paper's lambda_D. None balances the classes: lambda_D n_D = lambda_U n_U over all records.
    desirable: float | None = Field(default=None, gt=0)
    # The paper's lambda_U. None balances the classes.
    undesirable: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _pairs_need_two(self) -> Options:
        if self.exact and self.format == "written" and self.z0 == "exact":
            raise ValueError("z0: exact needs format: option, where all answers are known")
        if not self.exact and self.batch < 2:
            raise ValueError(f"batch: {self.batch} is too few for this method: {WHY_TWO}")
        return self

    @property
    def exact(self) -> bool:
        """Whether z0 is the divergence over the option set."""
        return self.z0 == "exact" or (self.z0 == "auto" and self.format == "option")


def kahneman_tversky_loss(
    reward: torch.Tensor,
    z0: torch.Tensor,
    desirable: torch.Tensor,
    beta: float,
    lambda_d: float,
    lambda_u: float,
) -> torch.Tensor:
    """The loss of each record, lambda_y - v(x, y).

    d lambda_D (1 - sigma(beta (r - z0))) + (1 - d) lambda_U (1 - sigma(beta (z0 - r)))

    Parameters
    ----------
    reward : tensor, shape (records,)
        r, the log-probability of the answer less the reference's.
    z0 : tensor, shape (records,)
        The reference point. It carries no gradient.
    desirable : tensor, shape (records,)
        d, 1 for a desirable answer and 0 for another, or the fraction of people who like it.
    beta : float
        How sharply rewards count.
    lambda_d, lambda_u : float
        Weights of the two classes.

    Returns
    -------
    tensor, shape (records,)
        Between 0 and the larger weight.

    References
    ----------
    Ethayarajh et al. (2024), equation 8.

    Examples
    --------
    >>> import torch
    >>> at_reference = torch.zeros(2)
    >>> label = torch.tensor([1.0, 0.0])
    >>> kahneman_tversky_loss(at_reference, at_reference, label, 0.1, 1.0, 1.5).tolist()
    [0.5, 0.75]
    """
    gain = beta * (reward - z0.detach())
    good, bad = 1 - gain.sigmoid(), 1 - (-gain).sigmoid()
    return desirable * lambda_d * good + (1 - desirable) * lambda_u * bad


def exact_divergence(log_probs: torch.Tensor, reference: torch.Tensor | None) -> torch.Tensor:
    """KL(pi || ref) over each record's option set, both normalised over it.

    Parameters
    ----------
    log_probs : tensor, shape (records, options)
        The model's, `ABSENT` where a record has fewer options.
    reference : tensor, shape (records, options), optional
        The reference's. Without one the result is minus the entropy: the divergence from the
        uniform distribution, up to the constant that the reward lacks as well.

    Returns
    -------
    tensor, shape (records,)
        In nats; 0 or more where a reference is given.
    """
    import torch

    present = log_probs > ABSENT / 2
    own = torch.where(present, log_probs, torch.full_like(log_probs, -1e9)).log_softmax(-1)
    if reference is None:
        ratio = own
    else:
        hidden = torch.full_like(reference, -1e9)
        ratio = own - torch.where(present, reference, hidden).log_softmax(-1)
    return torch.where(present, own.exp() * ratio, torch.zeros_like(own)).sum(-1)


def mismatched_divergence(batch: AnswerBatch) -> torch.Tensor:
    """The mean log-ratio of the model to the reference over mismatched pairs, a scalar.

    Column 1 of the batch has each question with the next record's answer.
    """
    gap = batch.log_probs[:, 1]
    if batch.reference is not None:
        gap = gap - batch.reference[:, 1]
    return gap.mean()


def balance(desirable: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    """The weights of the two classes that give both the same say.

    lambda_D n_D = lambda_U n_U, with the larger class at 1. n_D and n_U are the weighted sums of
    the labels and of one minus them.

    Parameters
    ----------
    desirable : sequence of float
        One label a record, 0 to 1.
    weights : sequence of float
        One weight a record.

    Returns
    -------
    lambda_d, lambda_u : float
        1 or more.

    Raises
    ------
    SuffrageError
        One class is empty, so that nothing says what to avoid, or what to keep.

    Examples
    --------
    >>> balance([1.0, 0.0, 0.0, 0.0], [1.0] * 4)
    (3.0, 1.0)
    """
    n_d = sum(d * w for d, w in zip(desirable, weights, strict=True))
    n_u = sum((1 - d) * w for d, w in zip(desirable, weights, strict=True))
    if n_d <= 0 or n_u <= 0:
        raise SuffrageError(
            f"KTO needs desirable and undesirable records; their weights sum to {n_d:g} and "
            f"{n_u:g}."
        )
    return (1.0, n_d / n_u) if n_d >= n_u else (n_u / n_d, 1.0)


def liking_objective(options: Options, learnt: Sequence[RecordRow]) -> Objective:
    """The answers that a judged answer needs, and the loss on them.

    learnt: all records, whose classes are balanced.
    """
    check_record_weights(learnt, "the records of the training")
    lambda_d, lambda_u = balance([r["desirable"] for r in learnt], [r["weight"] for r in learnt])
    lambda_d, lambda_u = options.desirable or lambda_d, options.undesirable or lambda_u
    with_reference = options.reference == "model"

    def answers(rows: Sequence[RecordRow]) -> list[list[str]]:
        if options.exact:
            return [list(row["answers"]) for row in rows]
        # Mismatched pairs: each question with the next record's answer, within the step.
        others = [*rows[1:], *rows[:1]]
        return [[r["answer"], o["answer"]] for r, o in zip(rows, others, strict=True)]

    def loss(batch: AnswerBatch) -> torch.Tensor:
        import torch

        if options.exact:
            picked = [list(r["answers"]).index(r["answer"]) for r in batch.rows]
            which = torch.tensor(picked, device=batch.log_probs.device)[:, None]
            z0 = exact_divergence(batch.log_probs, batch.reference)
        else:
            which = torch.zeros(len(batch.rows), 1, dtype=torch.long)
            which = which.to(batch.log_probs.device)
            assert batch.shared is not None
            z0 = batch.shared.expand(len(batch.rows))
            if with_reference:
                z0 = z0.clamp_min(0)
        reward = batch.log_probs.gather(1, which)[:, 0]
        if batch.reference is not None:
            reward = reward - batch.reference.gather(1, which)[:, 0]
        each = kahneman_tversky_loss(
            reward, z0, batch.column("desirable"), options.beta, lambda_d, lambda_u
        )
        return (batch.weights * each).mean()

    return Objective(
        answers,
        loss,
        shared=None if options.exact else mismatched_divergence,
        needs_reference=with_reference,
        fewest=1 if options.exact else 2,
        why_fewest=WHY_TWO,
    )


def train(job: TrainingJob) -> TrainingFacts:
    """Train on binary records; the reference's log-probabilities are computed beforehand."""
    rows = own_records(job.records.frame.to_dicts())
    learnt = [row for row in rows if not row.get("validation")]
    return train_packed(job, liking_objective(job.options, learnt))


METHOD = Method(
    name="kto",
    label="Kahneman-Tversky optimisation",
    explanation="Trained on single answers marked as the population's or not.",
    options=Options,
    records="binary",
    train=train,
    launches=True,
    replays=True,
)
