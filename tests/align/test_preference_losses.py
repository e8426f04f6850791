"""DPO's and KTO's losses against the papers' equations in plain NumPy, gradients included."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from suffrage.align import dpo, kto
from suffrage.align.distribution import ordinal_loss
from suffrage.align.dpo import margins, preference_loss
from suffrage.align.kto import balance, exact_divergence, kahneman_tversky_loss
from suffrage.align.packed import ABSENT
from suffrage.errors import SuffrageError

numbers = st.floats(-6, 6)
fractions = st.floats(0, 1)


def sigma(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@given(numbers, numbers, numbers, numbers, fractions, st.floats(0.05, 2))
def test_dpo_is_the_papers_equation_with_soft_labels(
    w: float, lo: float, rw: float, rl: float, s: float, beta: float
) -> None:
    reward_w, reward_l = beta * (w - rw), beta * (lo - rl)
    wanted = -s * np.log(sigma(reward_w - reward_l)) - (1 - s) * np.log(sigma(reward_l - reward_w))
    h = margins(tensor(w - lo), tensor(rw - rl), beta, beta)
    assert preference_loss(h, tensor(s), "dpo").item() == pytest.approx(wanted, abs=1e-9)


@given(numbers, numbers, numbers, numbers, st.floats(0.05, 2))
def test_dpos_gradient_weighs_a_pair_by_how_wrong_its_reward_is(
    w: float, lo: float, rw: float, rl: float, beta: float
) -> None:
    # Section 4 of the paper: -beta sigma(r_l - r_w) [grad log pi(w) - grad log pi(l)].
    own = torch.tensor([w, lo], dtype=torch.float64, requires_grad=True)
    h = margins(own[:1] - own[1:], tensor(rw - rl), beta, beta)
    preference_loss(h, tensor(1.0), "dpo").sum().backward()
    pull = beta * sigma(beta * (lo - rl) - beta * (w - rw))
    assert own.grad is not None
    np.testing.assert_allclose(own.grad.numpy(), [-pull, pull], atol=1e-9)


@given(numbers, st.floats(0.02, 0.98), st.floats(0.2, 3))
def test_the_proportional_form_rests_where_the_odds_are_the_peoples(
    start: float, s: float, beta: float
) -> None:
    # Its gradient is 0 at log-odds logit(s), whatever the reference; DPO's is at logit(s) / beta.
    odds = torch.tensor([np.log(s / (1 - s))], dtype=torch.float64, requires_grad=True)
    alpha, none = dpo.Options(form="proportional").weights
    preference_loss(margins(odds, tensor(start), alpha, none), tensor(s), "proportional").backward()
    assert odds.grad is not None and odds.grad.item() == pytest.approx(0, abs=1e-9)
    own = torch.tensor([np.log(s / (1 - s)) / beta + start], dtype=torch.float64)
    own.requires_grad_()
    preference_loss(margins(own, tensor(start), beta, beta), tensor(s), "dpo").backward()
    assert own.grad is not None and own.grad.item() == pytest.approx(0, abs=1e-9)


@given(numbers, numbers, st.floats(0.05, 1))
def test_ipo_pulls_the_margin_to_half_over_tau(log_odds: float, before: float, tau: float) -> None:
    # Azar et al. (2024), equation 17: (h_pi - 1 / (2 tau))^2, here times tau^2.
    wanted = tau**2 * (log_odds - before - 1 / (2 * tau)) ** 2
    h = margins(tensor(log_odds), tensor(before), tau, tau)
    assert preference_loss(h, tensor(1.0), "ipo").item() == pytest.approx(wanted, abs=1e-8)


@given(numbers, st.floats(0.5, 5), st.floats(0, 2))
def test_simpo_is_a_margin_without_a_reference(log_odds: float, beta: float, gamma: float) -> None:
    alpha, none = dpo.Options(form="simpo", beta=beta).weights
    h = margins(tensor(log_odds), tensor(123.0), alpha, none)
    wanted = -np.log(sigma(beta * log_odds - gamma))
    assert preference_loss(h, tensor(1.0), "simpo", gamma).item() == pytest.approx(wanted, rel=1e-6)


@given(numbers, st.floats(0, 0.45))
def test_the_robust_form_is_unbiased_under_flipped_labels(h: float, noise: float) -> None:
    clean = preference_loss(tensor(h), tensor(1.0), "dpo").item()
    kept = preference_loss(tensor(h), tensor(1.0), "robust", 0, noise).item()
    flipped = preference_loss(tensor(-h), tensor(1.0), "robust", 0, noise).item()
    assert (1 - noise) * kept + noise * flipped == pytest.approx(clean, abs=1e-8)


@given(numbers, st.floats(0, 4), fractions, st.floats(0.05, 2), st.floats(0.5, 2))
def test_kto_is_the_papers_equation(r: float, z0: float, d: float, beta: float, ld: float) -> None:
    wanted = d * (ld - ld * sigma(beta * (r - z0))) + (1 - d) * (1.5 - 1.5 * sigma(beta * (z0 - r)))
    found = kahneman_tversky_loss(tensor(r), tensor(z0), tensor(d), beta, ld, 1.5).item()
    assert found == pytest.approx(wanted, abs=1e-9)


@given(numbers, st.floats(0, 4), st.floats(0.05, 2))
def test_ktos_reference_point_carries_no_gradient(r: float, z0: float, beta: float) -> None:
    reward = torch.tensor([r], dtype=torch.float64, requires_grad=True)
    point = torch.tensor([z0], dtype=torch.float64, requires_grad=True)
    kahneman_tversky_loss(reward, point, tensor(1.0), beta, 1.0, 1.0).sum().backward()
    s = sigma(beta * (r - z0))
    assert point.grad is None
    assert reward.grad is not None and reward.grad.item() == pytest.approx(-beta * s * (1 - s))


def test_the_exact_reference_point_is_the_divergence_over_the_options() -> None:
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6])
    own = torch.tensor([[*np.log(p * 0.7), ABSENT]])  # the rest of the mass lies elsewhere
    old = torch.tensor([[*np.log(q * 0.9), ABSENT]])
    wanted = (p * np.log(p / q)).sum()
    assert exact_divergence(own, old).item() == pytest.approx(wanted, abs=1e-6)
    assert exact_divergence(own, None).item() == pytest.approx((p * np.log(p)).sum(), abs=1e-6)


def test_classes_are_balanced_by_weight() -> None:
    lambda_d, lambda_u = balance([1, 1, 1, 0], [1, 1, 2, 2])
    assert lambda_d * 4 == pytest.approx(lambda_u * 2) and min(lambda_d, lambda_u) == 1
    with pytest.raises(SuffrageError, match="sum to 3 and 0"):
        balance([1, 1, 1], [1, 1, 1])


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to learn"):
        dpo.Options(beta=0)
    with pytest.raises(ValueError, match="at least two"):
        kto.Options(z0="batch", batch=1)
    # Without a word on z0 too, where the answers of an option set are not known.
    with pytest.raises(ValueError, match=r"batch: 1 is too few .* z0: exact"):
        kto.Options(format="written", batch=1)
    assert kto.Options(batch=1).exact
    with pytest.raises(ValueError, match="format: option"):
        kto.Options(z0="exact", format="written")


@given(
    st.lists(st.floats(0.05, 1), min_size=4, max_size=4), st.lists(numbers, min_size=4, max_size=4)
)
def test_the_ordinal_loss_is_the_earth_movers_distance(w: list[float], z: list[float]) -> None:
    p = np.array(w) / sum(w)
    q = np.exp(z) / np.exp(z).sum()
    wanted = np.abs(np.cumsum(p) - np.cumsum(q))[:-1].sum() / 3
    log_q = torch.tensor([[*(np.array(z) - 3), ABSENT]])
    target = torch.tensor([[*p, 0.0]])
    found = ordinal_loss(log_q, target, torch.tensor([4]), torch.tensor([1.0])).item()
    assert found == pytest.approx(wanted, abs=1e-5)
    assert ordinal_loss(log_q, target, torch.tensor([4]), torch.tensor([0.0])).item() == 0
