"""Methods: one file each. `Method` is the contract, `Checkpoint` what they leave behind."""

from suffrage.align.checkpoint import Checkpoint
from suffrage.align.method import Method, MethodOptions, TrainingJob, TrainingOptions

__all__ = ["Checkpoint", "Method", "MethodOptions", "TrainingJob", "TrainingOptions"]
