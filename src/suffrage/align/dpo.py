"""`dpo`: of two answers the model comes to prefer the one that more people give, by how many do.

Learns from: preference records with the population's share behind the chosen side as a soft label.
Objective: Rafailov et al. (2023), equation 7, with soft labels as in their conservative form; the
squared form of Azar et al. (2024, IPO, equation 17), the reference-free margin form of Meng et al.
(2024, SimPO, equation 6), the noise-corrected form of Chowdhury et al. (2024, rDPO, equation 12),
and the entropy-decoupled form of Slocum et al. (2025, Soft Preference Learning), which at
alpha 1 and beta 0 has its optimum where the model's odds are the people's odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from suffrage.align.method import Method, TrainingFacts, TrainingJob, ValidatedOptions
from suffrage.align.packed import AnswerBatch, Objective, train_packed
from suffrage.training_data.records import Labels, RecordRow

if TYPE_CHECKING:
    import torch

PreferenceForm = Literal["dpo", "ipo", "simpo", "robust", "proportional"]


class Options(ValidatedOptions):
    """What a study may say to `dpo`."""

    # shares: each pair with the share of people behind each side. drawn: the side of one person.
    # majority: the side of most people.
    labels: Labels = "shares"
    # Which loss compares the two sides of a pair.
    form: PreferenceForm = "dpo"
    # The weight of the reference model (the KL penalty); in the ipo form, tau.
    beta: float = Field(default=0.1, ge=0)
    # alpha, the weight of the model's own log-odds; None for beta, as in DPO. The proportional
    # form is alpha 1 and beta 0.
    policy_weight: float | None = Field(default=None, gt=0)
    # SimPO's gamma.
    margin: float = Field(default=0.0, ge=0)
    # The rate of flipped labels that the robust form corrects for.
    noise: float = Field(default=0.1, ge=0, lt=0.5)
    # Whether answers count by their mean log-probability per token, so that length does not matter.
    per_token: bool = False
    # Share of the plain likelihood of a drawn answer that is added to the loss. None is 0.5 in the
    # proportional form, which has no reference to hold the answers' own probability up (its
    # optimum is the people's shares too), and 0 in the others.
    sft_weight: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _beta_is_needed(self) -> Options:
        if self.beta == 0 and self.policy_weight is None and self.form != "proportional":
            raise ValueError(
                "beta: 0 leaves nothing to learn; give policy_weight, or form: proportional"
            )
        return self

    @property
    def likelihood(self) -> float:
        """Weight of a drawn answer's likelihood."""
        if self.sft_weight is not None:
            return self.sft_weight
        return 0.5 if self.form == "proportional" else 0.0

    @property
    def weights(self) -> tuple[float, float]:
        """alpha and beta of this form."""
        if self.form == "proportional":
            return self.policy_weight or 1.0, 0.0
        if self.form == "simpo":
            return self.beta, 0.0
        return (self.beta if self.policy_weight is None else self.policy_weight), self.beta


def margins(
    log_odds: torch.Tensor, reference_log_odds: torch.Tensor, alpha: float, beta: float
) -> torch.Tensor:
    """How much more the model prefers the chosen answers than the reference does.

    h = alpha (log pi(w) - log pi(l)) - beta (log ref(w) - log ref(l))

    Parameters
    ----------
    log_odds : tensor, shape (pairs,)
        The model's log-odds of the chosen over the rejected answer.
    reference_log_odds : tensor, shape (pairs,)
        The same by the model that training began from.
    alpha, beta : float
        Weights of the two; alpha = beta is DPO's.

    Returns
    -------
    tensor, shape (pairs,)

    References
    ----------
    Rafailov et al. (2023), equation 7; with two weights, Slocum et al. (2025).
    """
    return alpha * log_odds - beta * reference_log_odds


def preference_loss(
    h: torch.Tensor,
    share: torch.Tensor,
    form: PreferenceForm,
    margin: float = 0.0,
    noise: float = 0.0,
) -> torch.Tensor:
    """The loss of each pair of answers, with the share of people as a soft label.

    dpo, simpo, proportional: -s log sigma(h - gamma) - (1 - s) log sigma(-h - gamma).
    robust: the same with s drawn through noise e, ((1-e) l(s) - e l(1-s)) / (1 - 2e).
    ipo: s (h - 1/2)^2 + (1-s) (h + 1/2)^2, h with IPO's tau as beta, times 1/beta^2 in their scale.

    Parameters
    ----------
    h : tensor, shape (pairs,)
        See `margins`.
    share : tensor, shape (pairs,)
        s, the share of people behind the chosen answer, 0 to 1.
    form : str
        One of the names above.
    margin : float
        gamma, 0 or more; SimPO's target margin.
    noise : float
        e, 0 to below 1/2; the rate of flipped labels.

    Returns
    -------
    tensor, shape (pairs,)
        Without margin and noise it is least where sigma(h) = s (ipo: h = s - 1/2).

    References
    ----------
    dpo: Rafailov et al. (2023), equation 7, with the soft labels of its conservative form.
    ipo: Azar et al. (2024), equation 17. simpo: Meng et al. (2024), equation 6.
    robust: Chowdhury et al. (2024), equation 12. proportional: Slocum et al. (2025).

    Examples
    --------
    >>> import torch
    >>> h = torch.tensor([0.0, 2.0])
    >>> [round(x, 3) for x in preference_loss(h, torch.ones(2), "dpo").tolist()]
    [0.693, 0.127]
    """
    from torch.nn.functional import logsigmoid

    def cross(s: torch.Tensor) -> torch.Tensor:
        return -s * logsigmoid(h - margin) - (1 - s) * logsigmoid(-h - margin)

    if form == "ipo":
        return share * (h - 0.5) ** 2 + (1 - share) * (h + 0.5) ** 2
    if form == "robust":
        return ((1 - noise) * cross(share) - noise * cross(1 - share)) / (1 - 2 * noise)
    return cross(share)


def preference_objective(options: Options) -> Objective:
    """The answers that a pair needs, and the loss on them."""
    alpha, beta = options.weights
    likelihood = options.likelihood > 0

    def answers(rows: Sequence[RecordRow]) -> list[list[str]]:
        wanted = ("chosen", "rejected", *(("completion",) if likelihood else ()))
        return [[row[name] for name in wanted] for row in rows]

    def loss(batch: AnswerBatch) -> torch.Tensor:
        import torch

        length = batch.lengths if options.per_token else torch.ones_like(batch.lengths)
        own = batch.log_probs / length
        log_odds = own[:, 0] - own[:, 1]
        before = torch.zeros_like(log_odds)
        if batch.reference is not None:
            old = batch.reference / length
            before = old[:, 0] - old[:, 1]
        h = margins(log_odds, before, alpha, beta)
        each = preference_loss(
            h, batch.column("share"), options.form, options.margin, options.noise
        )
        total = (batch.weights * each).mean()
        if likelihood:
            drawn = batch.weights * batch.log_probs[:, 2] / batch.lengths[:, 2]
            total = total - options.likelihood * drawn.mean()
        return total

    return Objective(answers, loss, needs_reference=beta > 0)


def train(job: TrainingJob) -> TrainingFacts:
    """Train on preference records; the reference's log-probabilities are computed beforehand."""
    return train_packed(job, preference_objective(job.options))


METHOD = Method(
    name="dpo",
    label="Direct preference optimisation",
    explanation="Trained on pairs of answers, with the share of people behind each side.",
    options=Options,
    records="preference",
    train=train,
    launches=True,
    replays=True,
)
