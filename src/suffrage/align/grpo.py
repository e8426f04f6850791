"""`grpo`: answers are sampled in groups, and each is compared with the mean of its group.

Learns from: distribution records. Objective: Shao et al. (2024, DeepSeekMath), without their
division by the rewards' spread and by length (Liu et al. 2025, Dr. GRPO): where all of a group's
rewards are nearly alike, as they are near the people's shares, the division would blow up what is
left. The rewards are in `sampled_groups`. Trained by TRL.
"""

from __future__ import annotations

from typing import Literal

from suffrage.align.method import Method, TrainingFacts, TrainingJob
from suffrage.align.sampled_groups import GroupOptions, train_groups


class Options(GroupOptions):
    """What a study may say to `grpo`, in addition to what it shares with `rloo`."""

    # Divide by the rewards' standard deviation in their group (the textbook form) or in the batch,
    # or not at all. With `reward: share` any division moves the optimum off the people's shares.
    scale_rewards: Literal["none", "group", "batch"] = "none"


def train(job: TrainingJob) -> TrainingFacts:
    """Train with TRL's GRPOTrainer."""
    settings = {
        "scale_rewards": job.options.scale_rewards,
        "loss_type": "dr_grpo",
        # The divergence's gradient is then that of KL(model || start), not of its reverse.
        "use_bias_correction_kl": True,
    }
    return train_groups(job, "GRPOTrainer", "GRPOConfig", settings)


METHOD = Method(
    name="grpo",
    label="Reinforcement by groups (GRPO)",
    explanation="Rewarded for how close a group of its sampled answers comes to the population's.",
    options=Options,
    records="distribution",
    train=train,
    launches=True,
)
