"""`rloo`: answers are sampled in groups, and each is compared with the others of its group.

Learns from: distribution records. Objective: Ahmadian et al. (2024), REINFORCE with the mean reward
of the other sampled answers as baseline, the divergence from the start paid in the reward. The
rewards are in `sampled_groups`. Trained by TRL.
"""

from __future__ import annotations

from suffrage.align.method import Method, TrainingFacts, TrainingJob
from suffrage.align.sampled_groups import GroupOptions, train_groups


def train(job: TrainingJob) -> TrainingFacts:
    """Train with TRL's RLOOTrainer."""
    return train_groups(job, "RLOOTrainer", "RLOOConfig", {"normalize_advantages": False})


METHOD = Method(
    name="rloo",
    label="Reinforcement by groups (RLOO)",
    explanation="Rewarded for how close a group of its sampled answers comes to the population's.",
    options=GroupOptions,
    records="distribution",
    train=train,
    launches=True,
)
