"""The average answer to the questions trained on: a floor, and where a training may start.

It ignores the question. Training and evaluation compute it here, so that a model which starts from
it starts from the same floor that it is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.population import ValueSet
from suffrage.training_data.split import ItemSplit

# What an option counts for at least where a model's answer is multiplied by an average one, so
# that an option nobody chose elsewhere can be learnt.
LEAST_SHARE = 1e-4
# Scales that a table has an average for, whether or not a question with so many options was seen.
USUAL_SCALES = range(2, 12)


def uniform(option_count: int) -> FloatArray:
    """The same share for every option."""
    return np.full(option_count, 1 / option_count)


def average_training_distribution(
    value_set: ValueSet, split: ItemSplit, item_id: str
) -> FloatArray:
    """The best answer that ignores the question: the mean answer to the trained items.

    Taken over trained items with as many options; where there is none, over all trained items
    spread evenly along their scale and cut into as many parts. An item trained on does not count
    toward its own average. Uniform when nothing is trained on.
    """
    return TrainedAnswers(value_set, split).average_without(item_id)


def average_answer(value_set: ValueSet, split: ItemSplit, wanted: int) -> FloatArray:
    """The mean answer to the trained items, on a scale of `wanted` options."""
    return TrainedAnswers(value_set, split).average(wanted)


class TrainedAnswers:
    """One population's answers to the items trained on, summed once for all averages of them."""

    def __init__(self, value_set: ValueSet, split: ItemSplit) -> None:
        self._own = {item: found.shares for item, found in value_set.distributions.items()}
        self._trained = [item for item in self._own if split.trains_on(item)]
        # By number of options: the sum of the answers on that scale, and how many there are.
        self._sums: dict[int, tuple[FloatArray, int]] = {}
        self._spread: dict[int, FloatArray] = {}
        for item in self._trained:
            shares = self._own[item]
            total, count = self._sums.get(shares.size, (np.zeros(shares.size), 0))
            self._sums[shares.size] = (total + shares, count + 1)

    def average(self, wanted: int, but: FloatArray | None = None) -> FloatArray:
        """The mean answer on a scale of `wanted` options, over all but one if one is given."""
        total, count = self._sums.get(wanted, (np.zeros(wanted), 0))
        if but is not None and but.size == wanted:
            total, count = total - but, count - 1
        if count:
            return np.asarray(np.maximum(total, 0.0) / count)
        total, count = self._all_spread(wanted), len(self._trained)
        if but is not None:
            total, count = total - respread(but, wanted), count - 1
        return np.asarray(np.maximum(total, 0.0) / count) if count else uniform(wanted)

    def average_without(self, item_id: str, wanted: int | None = None) -> FloatArray:
        """The mean answer on an item's scale, without the answer to the item itself.

        Parameters
        ----------
        item_id : str
        wanted : int, optional
            How many options the item has. Needed of an item that the population was not asked.
        """
        shares = self._own.get(item_id)
        if shares is None:
            if wanted is None:
                raise KeyError(item_id)
            return self.average(wanted)
        return self.average(shares.size, shares if item_id in self._among_trained else None)

    @cached_property
    def _among_trained(self) -> frozenset[str]:
        return frozenset(self._trained)

    def _all_spread(self, wanted: int) -> FloatArray:
        if wanted not in self._spread:
            spread = [respread(self._own[item], wanted) for item in self._trained]
            self._spread[wanted] = np.sum(spread, axis=0) if spread else np.zeros(wanted)
        return self._spread[wanted]


def respread(shares: FloatArray, option_count: int) -> FloatArray:
    """A distribution on a scale of K steps as one on `option_count` steps, mass kept in place.

    Step k covers [k/K, (k+1)/K] evenly; the new shares are what falls in each new step.
    """
    edges = np.linspace(0, 1, shares.size + 1)
    cumulative = np.concatenate([[0.0], np.cumsum(shares)])
    return np.diff(np.interp(np.linspace(0, 1, option_count + 1), edges, cumulative))


def times_average(shares: FloatArray, average: FloatArray) -> FloatArray:
    """Multiply a model's answer by an average answer.

    q_k f_k / sum_j q_j f_j, with q the model's shares and f the average, at least `LEAST_SHARE`. A
    model that finds all options equally likely then gives the average.

    Parameters
    ----------
    shares, average : array, shape (options,)

    Returns
    -------
    array, shape (options,)
        NaN where the model's answer could not be read.

    Examples
    --------
    >>> times_average(np.array([0.5, 0.5]), np.array([0.8, 0.2])).tolist()
    [0.8, 0.2]
    """
    both = shares * np.maximum(average, LEAST_SHARE)
    return np.asarray(both / both.sum())


@dataclass(frozen=True, eq=False)
class AverageAnswers:
    """Each population's average answer to the questions trained on, kept with a checkpoint."""

    # By population, by number of options.
    populations: Mapping[str, Mapping[int, FloatArray]]

    @classmethod
    def of(cls, value_sets: Sequence[ValueSet], split: ItemSplit) -> AverageAnswers:
        """The averages of these populations, for usual scales and those of their questions."""
        seen = {d.shares.size for v in value_sets for d in v.distributions.values()}
        scales = sorted(seen.union(USUAL_SCALES))
        found = {}
        for value_set in value_sets:
            trained = TrainedAnswers(value_set, split)
            found[value_set.name] = {scale: trained.average(scale) for scale in scales}
        return cls(found)

    def answer(self, population: str, option_count: int) -> FloatArray:
        """A population's average answer; for one that was not trained on, the mean of all others'.

        Raises
        ------
        InputError
            No average on such a scale is kept.
        """
        known = self.populations.get(population)
        own = [known] if known is not None else list(self.populations.values())
        if any(option_count not in by_scale for by_scale in own):
            raise InputError(
                f"the table of average answers has none for {option_count} options; ask questions "
                "with as many options as the checkpoint's own study has."
            )
        return np.asarray(np.mean([by_scale[option_count] for by_scale in own], axis=0))

    def content(self) -> dict[str, dict[str, list[float]]]:
        """The table as JSON has it: by population, by number of options, the shares."""
        return {
            name: {str(scale): shares.tolist() for scale, shares in by_scale.items()}
            for name, by_scale in self.populations.items()
        }

    @classmethod
    def from_content(cls, content: Mapping[str, Mapping[str, Sequence[float]]]) -> AverageAnswers:
        """What `content` gave."""
        return cls(
            {
                name: {int(scale): np.array(shares) for scale, shares in by_scale.items()}
                for name, by_scale in content.items()
            }
        )
