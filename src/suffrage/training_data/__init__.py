"""Training data: which items may be trained on, and the records built from them."""

from suffrage.training_data.earlier_training import TrainedQuestion, trained_before
from suffrage.training_data.records import (
    RecordBuilder,
    Records,
    RecordSettings,
    check_nothing_held_out,
)
from suffrage.training_data.split import (
    HeldOut,
    ItemSplit,
    TrainedBefore,
    split_items,
)

__all__ = [
    "HeldOut",
    "ItemSplit",
    "RecordBuilder",
    "RecordSettings",
    "Records",
    "TrainedBefore",
    "TrainedQuestion",
    "check_nothing_held_out",
    "split_items",
    "trained_before",
]
