"""Losses on the shares that a model gives a question's options, and what a set of shares is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def distribution_loss(
    log_q: torch.Tensor, p: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean over records of the divergence of the model's answers from the people's.

    KL(p || q) = sum_k p_k (log p_k - log q_k)

    Parameters
    ----------
    log_q : tensor, shape (records, options)
        Log-probabilities among everything that could be said, so that what is no answer counts as
        loss; very low where a record has fewer options.
    p : tensor, shape (records, options)
        The people's shares. Rows sum to 1; 0 where a record has fewer options.
    weights : tensor, shape (records,), optional
        Of each record in the average; 1 by default.

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
    return mean_over_records(terms.sum(-1), weights)


def mean_over_records(each: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """The mean over records of each one's loss times its weight; weights are 1 by default."""
    return (each if weights is None else each * weights).mean()


def option_shares(log_q: torch.Tensor, options: torch.Tensor) -> torch.Tensor:
    """The model's shares over each record's options, 0 where a record has fewer.

    Parameters
    ----------
    log_q : tensor, shape (records, options)
    options : tensor, shape (records,)
        How many options each record has.
    """
    import torch

    present = torch.arange(log_q.shape[1], device=log_q.device) < options[:, None]
    return torch.where(present, log_q, torch.full_like(log_q, -1e9)).softmax(-1)


def kept_close_loss(
    log_q: torch.Tensor, before: torch.Tensor, options: torch.Tensor
) -> torch.Tensor:
    """Mean over records of the divergence of a model's option shares from earlier ones.

    KL(r || q) = sum_k r_k (log r_k - log q_k), exact over the option set; r and q are the shares
    over each record's options before training and now.

    Parameters
    ----------
    log_q, before : tensor, shape (records, options)
        Log-probabilities among everything that could be said, now and before training; very low
        where a record has fewer options.
    options : tensor, shape (records,)
        How many options each record has.

    Returns
    -------
    tensor, scalar
        In nats; 0 where nothing has changed.

    Examples
    --------
    >>> import torch
    >>> q, r = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.8, 0.2]])
    >>> two = torch.tensor([2])
    >>> round(kept_close_loss(q.log(), r.log(), two).item(), 4)
    0.1927
    >>> kept_close_loss(r.log(), r.log(), two).item()
    0.0
    """
    import torch

    present = torch.arange(log_q.shape[1], device=log_q.device) < options[:, None]
    low = torch.full_like(log_q, -1e9)
    now = torch.where(present, log_q, low).log_softmax(-1)
    then = torch.where(present, before, low).log_softmax(-1)
    terms = then.exp() * (then - now)
    return torch.where(present, terms, torch.zeros_like(terms)).sum(-1).mean()
