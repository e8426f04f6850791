"""Features of an item's options from a model's hidden states, for `factors`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.models.hidden_states import DEPTHS, ItemStates

# How the states of an option's tokens become one.
POOLINGS = ("mean", "last")


@dataclass(frozen=True)
class StateChoice:
    """Which of the kept states are used: a place among `DEPTHS`, and a way of pooling."""

    layer: int
    pooling: int

    @classmethod
    def every(cls) -> list[StateChoice]:
        """All of them."""
        return [cls(layer, way) for layer in range(len(DEPTHS)) for way in range(len(POOLINGS))]

    def features(self, states: ItemStates) -> FloatArray:
        """An item's options by their own states and their places, (options, features)."""
        own = states.options[self.layer, self.pooling].astype(np.float64)
        return np.column_stack([own, place_features(len(own))])


def place_features(options: int) -> FloatArray:
    """Where each option is, from -1 to 1, and that squared less a third, (options, 2)."""
    place = np.linspace(-1, 1, options)
    return np.column_stack([place, place**2 - 1 / 3])
