"""`ccai`: as `cai`, by principles a public agreed on, each sampled by its support in all groups.

Learns from: prompts and the principles a consultation exports, with the support of each opinion
group. Source: Huang et al. (2024), Collective Constitutional AI; they keep the principles that pass
a cut on consensus, here the group-informed support is the weight of each.
"""

from __future__ import annotations

from pydantic import field_validator

from suffrage.align.cai import train
from suffrage.align.constitutional_options import ConstitutionalOptions
from suffrage.align.method import Method
from suffrage.training_data.constitution import FROM_VALUE_SET, Weighing


class Options(ConstitutionalOptions):
    """What a study may say to `ccai`: as to `cai`, with a consultation's file as constitution."""

    constitution: str

    @field_validator("constitution")
    @classmethod
    def _of_a_consultation(cls, given: str) -> str:
        if given == FROM_VALUE_SET:
            raise ValueError(
                "must be the file a consultation exported, or from_consultation; "
                "from_value_set is for cai"
            )
        return given

    @property
    def weighing(self) -> Weighing:
        """The product of every group's support."""
        return "group_informed"


METHOD = Method(
    name="ccai",
    label="Collective Constitutional AI",
    explanation="Trained on its own answers, revised and judged by principles a public agreed on.",
    options=Options,
    records="prompt",
    train=train,
)
