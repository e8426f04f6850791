"""The sampling error of answers that were drawn from a model, where no probabilities could be read."""

from __future__ import annotations

import numpy as np

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.evaluate.results import Answer

# How often a sampled answer is sampled anew for the intervals.
SAMPLED_REPLICATES = 200


def resampled_answer(answer: Answer) -> FloatArray | None:
    """An answer of sampled texts, sampled anew, (SAMPLED_REPLICATES, options); None where it was read."""
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
    """So the sampling error of the model's answers is in every interval, beside that of people's.

    One answer that stands for several value sets or seeds is resampled alike in all of them. mass: the
    share of the `drawn` answers that named an option.
    """
    named = None if drawn is None else round(mass * drawn)
    if not named:
        return None
    same = [method, item, readout, drawn, shares.tolist()]
    generator = np.random.default_rng(int(storage.content_hash(same), 16))
    return generator.multinomial(named, shares / shares.sum(), SAMPLED_REPLICATES) / named
