"""The objective against its formula in plain NumPy, gradient included."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from suffrage.align.share_losses import distribution_loss

logits = st.lists(st.floats(-4, 4), min_size=4, max_size=4)
weights = st.lists(st.floats(0.01, 1), min_size=4, max_size=4)


def plain_kl(log_q: np.ndarray, p: np.ndarray) -> float:  # type: ignore[type-arg]
    return sum(
        sum(pk * (np.log(pk) - lq) for pk, lq in zip(row_p, row_q, strict=True) if pk > 0)
        for row_p, row_q in zip(p, log_q, strict=True)
    ) / len(p)


@given(logits, weights)
def test_the_loss_is_the_divergence_written_plainly(z: list[float], w: list[float]) -> None:
    p = np.array([w]) / sum(w)
    log_q = torch.tensor([z], dtype=torch.float64).log_softmax(-1) - 0.3
    assert distribution_loss(log_q, torch.tensor(p)).item() == pytest.approx(
        plain_kl(log_q.numpy(), p), abs=1e-9
    )


@given(logits, weights)
def test_its_gradient_is_model_minus_population(z: list[float], w: list[float]) -> None:
    p = torch.tensor([w], dtype=torch.float64) / sum(w)
    x = torch.tensor([z], dtype=torch.float64, requires_grad=True)
    distribution_loss(x.log_softmax(-1), p).backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), (x.softmax(-1) - p).detach().numpy(), atol=1e-9)


def test_options_a_record_does_not_have_count_for_nothing() -> None:
    p = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    log_q = torch.tensor([[0.4, 0.5, 1e-30], [0.2, 0.3, 0.5]]).log()
    wanted = (0.5 * np.log(0.5 / 0.4) + 0) / 2
    assert distribution_loss(log_q, p).item() == pytest.approx(wanted, abs=1e-6)


def test_mass_outside_the_options_is_loss() -> None:
    p = torch.tensor([[0.5, 0.5]])
    inside, outside = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.25]]).log()
    assert distribution_loss(inside, p).item() == pytest.approx(0, abs=1e-6)
    assert distribution_loss(outside, p).item() == pytest.approx(np.log(2), abs=1e-6)
