"""The sampling error of answers that were drawn from a model whose probabilities are not known."""

from __future__ import annotations

import numpy as np

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.evaluate.results import ScoredAnswer

# How often a sampled answer is sampled again for the intervals.
SAMPLED_REPLICATES = 200


def resampled_answer(answer: ScoredAnswer) -> FloatArray | None:
    """The shares of a sampled answer, sampled again; None where probabilities were read."""
    return resampled_model_shares(
        answer.method,
        answer.item,
        answer.readout,
        np.array(answer.shares),
        answer.mass,
        answer.drawn,
    )


def resampled_model_shares(
    method: str, item: str, readout: str, shares: FloatArray, mass: float, drawn: int | None
) -> FloatArray | None:
    """A model's shares, sampled again as often as they were: (SAMPLED_REPLICATES, options).

    With them the model's sampling error is in every interval, next to that of the respondents. An
    answer that counts for several value sets or seeds is resampled alike in all of them. mass: the
    share of the `drawn` answers that named an option. None where nothing was sampled.
    """
    named = None if drawn is None else round(mass * drawn)
    if not named:
        return None
    same = [method, item, readout, drawn, shares.tolist()]
    generator = np.random.default_rng(int(storage.content_hash(same), 16))
    return generator.multinomial(named, shares / shares.sum(), SAMPLED_REPLICATES) / named
