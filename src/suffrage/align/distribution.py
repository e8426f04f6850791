"""`distribution`: the model's answer probabilities are pulled to the population's shares.

Learns from: distribution records. Objective: the Kullback-Leibler divergence KL(p || q) of each
record, p the population's shares, q the probability the model gives each answer among everything
it could say. Source: Suh et al. (2025), SubPOP, equation 1, except that mass outside the answers
is not normalised away: it counts as loss, so the model also learns to answer. The ordinal
form adds the earth mover's distance of scales, so that a near miss costs less than a far one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from suffrage.align.method import Method, TrainingFacts, TrainingJob, TrainingOptions
from suffrage.align.packed import AnswerBatch, Objective, train_packed
from suffrage.training_data.records import RecordRow

if TYPE_CHECKING:
    import torch


class Options(TrainingOptions):
    """What a study may say to `distribution`."""

    # kl; or ordinal, which adds ordinal_weight times the earth mover's distance on scales.
    loss: Literal["kl", "ordinal"] = "kl"
    ordinal_weight: float = Field(default=1.0, gt=0)


def distribution_loss(log_q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """Mean over records of the divergence of the model's answers from the people's.

    KL(p || q) = sum_k p_k (log p_k - log q_k)

    Parameters
    ----------
    log_q : tensor, shape (records, options)
        Log-probabilities among everything that could be said, so that what is no answer counts as
        loss; very low where a record has fewer options.
    p : tensor, shape (records, options)
        The people's shares. Rows sum to 1; 0 where a record has fewer options.

    Returns
    -------
    tensor, scalar
        In nats, 0 or more.

    References
    ----------
    Suh et al. (2025), SubPOP, equation 1, which normalises q over the options.

    Examples
    --------
    >>> import torch
    >>> p = torch.tensor([[0.5, 0.5]])
    >>> round(distribution_loss(torch.log(p / 2), p).item(), 4)
    0.6931
    """
    import torch

    terms = torch.where(p > 0, p * (p.clamp_min(1e-12).log() - log_q), torch.zeros_like(p))
    return terms.sum(-1).mean()


def ordinal_loss(
    log_q: torch.Tensor, p: torch.Tensor, options: torch.Tensor, ordered: torch.Tensor
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

    place = torch.arange(p.shape[1], device=p.device)
    present = place < options[:, None]
    q = torch.where(present, log_q, torch.full_like(log_q, -1e9)).softmax(-1)
    # After a record's last option both sums are 1 and add nothing.
    gaps = ((p.cumsum(-1) - q.cumsum(-1)).abs() * present).sum(-1)
    return (ordered * gaps / (options - 1).clamp_min(1)).mean()


def train(job: TrainingJob) -> TrainingFacts:
    """Train on distribution records."""
    options: Options = job.options

    def answers(rows: Sequence[RecordRow]) -> list[list[str]]:
        return [list(row["answers"]) for row in rows]

    def loss(batch: AnswerBatch) -> torch.Tensor:
        import torch

        p = torch.zeros_like(batch.log_probs)
        for line, row in enumerate(batch.rows):
            p[line, : len(row["target"])] = torch.tensor(row["target"])
        total = distribution_loss(batch.log_probs, p)
        if options.loss == "ordinal":
            counts = (batch.lengths > 0).sum(-1)
            ordered = batch.column("ordered")
            total = total + options.ordinal_weight * ordinal_loss(
                batch.log_probs, p, counts, ordered
            )
        return total

    return train_packed(job, Objective(answers, loss))


METHOD = Method(
    name="distribution",
    label="Distribution matching",
    explanation="Trained on the population's whole answer distribution, one example an item.",
    options=Options,
    records="distribution",
    train=train,
    launches=True,
)
