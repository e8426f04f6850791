"""One survey item in one group: the people who answered it, joined with what a model answers.

The model's answer stands for a respondent through the groups they belong to: that of the smallest
value set of the study that they are in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray, IntArray
from suffrage.population.design import Design, design_of
from suffrage.population.rectify import (
    Others,
    Rectified,
    Sample,
    chosen_options,
    independent,
    rectify,
)
from suffrage.survey import Item, NonResponse, Survey

# Kinds of non-response that are no answer of the person's: the item never reached them.
NOT_REACHED = (NonResponse.NOT_ASKED, NonResponse.MISSING)


@dataclass(frozen=True, eq=False)
class Trial:
    """What many samples of one size gave, where the whole survey's answer is known."""

    repeats: int
    # The share of 95% intervals, over options, that contain it: for the people alone, rectified.
    covered: tuple[float, float]
    # Root mean squared error over options, in shares: of the people, of the model, of both.
    error: tuple[float, float, float]
    # Mean squared error of the people alone over that of both: how many times as many people one
    # would have had to ask.
    worth: float
    # The share of samples in which the model was found to help.
    helped: float
    # The most that `worth` can be, for a model that knows every group it tells apart.
    possible: float


@dataclass(frozen=True, eq=False)
class RestOfPopulation:
    """The people of the population who were not asked, in this survey or in another one."""

    survey: Survey
    # The rows of those who belong to the group.
    rows: IntArray
    # Of every respondent: the place in the predictions, -1 where none is for them.
    place: IntArray


class PeopleAsked:
    """One item in one group: who answered, whom it did not reach, and what the model says of each.

    Parameters
    ----------
    survey : Survey
        Respondents in the order of their ids.
    item : Item
    rows : array of int
        The rows of the group's respondents.
    place : array of int, shape (respondents,)
        Of every respondent the row of `predictions` that stands for them, -1 where none does.
    predictions : array, shape (groups, options)
        The model's answer for each group.
    rest : RestOfPopulation or None
        The rest of the population; None for those of this survey whom the item did not reach.
    """

    def __init__(
        self,
        survey: Survey,
        item: Item,
        rows: IntArray,
        place: IntArray,
        predictions: FloatArray,
        rest: RestOfPopulation | None,
    ) -> None:
        positions = survey.positions(item.id).astype(np.int64)
        self.survey, self.options = survey, len(item.options)
        self.positions, self.place, self.predictions = positions, place, predictions
        self.weights = survey.weights
        weighted = rows[self.weights[rows] > 0]
        self.answered = weighted[positions[weighted] >= 0]
        unreached = weighted[np.isin(positions[weighted], NOT_REACHED)]
        self.rest = rest or RestOfPopulation(survey, unreached, place)

    @property
    def told_apart(self) -> int:
        """Groups among these people for whom the model answers differently."""
        here = np.union1d(self.place[self.answered], self.rest.place[self.rest.rows])
        return len(np.unique(self.predictions[here].round(6), axis=0))

    @property
    def known(self) -> FloatArray:
        """What all who answered say, weighted."""
        w = self.weights[self.answered]
        return np.asarray(w @ chosen_options(self.positions[self.answered], self.options) / w.sum())

    def estimate(self, sample: int | None, generator: np.random.Generator) -> Rectified:
        """From a sample of those who answered, or from all of them."""
        if sample is None:
            return self._from_all()
        rows = np.sort(generator.choice(self.answered, sample, replace=False))
        w = self.weights[self.answered]
        everyone = w @ self.predictions[self.place[self.answered]] / w.sum()
        shares = np.bincount(self.place[self.answered], w, len(self.predictions))
        return rectify(
            self._sample(rows, sample / self.answered.size),
            np.asarray(everyone),
            cells=(self.place[rows], shares / shares.sum()),
        )

    def _from_all(self) -> Rectified:
        rows, rest = self.answered, self.rest
        if not rest.rows.size:
            everyone = self._sample(rows, 0.0)
            return rectify(
                everyone, _weighted_mean(everyone.predictions, everyone.weights), tuning=0
            )
        there = rest.place[rest.rows]
        others = Others(self.predictions[there], rest.survey.weights[rest.rows])
        cells = (self.place[rows], there)
        return rectify(self._sample(rows, 0.0), others, self._design(), cells=cells)

    def _design(self) -> Design | None:
        """The design of those who answered and of the rest, who may be of another survey."""
        rows, rest = self.answered, self.rest
        if rest.survey is self.survey:
            return design_of(self.survey, np.concatenate([rows, rest.rows]))
        one, two = design_of(self.survey, rows), design_of(rest.survey, rest.rows)
        if one is None and two is None:
            return None
        one = one or independent(rows.size)
        two = two or independent(rest.rows.size)
        return Design(
            np.concatenate([one.psu, two.psu + one.stratum.size]),
            np.concatenate([one.stratum, two.stratum + one.sizes.size]),
        )

    def _sample(self, rows: IntArray, fraction: float) -> Sample:
        return Sample(
            chosen_options(self.positions[rows], self.options),
            self.predictions[self.place[rows]],
            self.weights[rows],
            fraction,
        )

    def trial(self, sample: int, repeats: int, generator: np.random.Generator) -> Trial:
        """The same estimate from many samples, compared with what the whole survey says."""
        known = self.known
        covered, squared, helped = np.zeros(2), np.zeros(3), 0
        for _ in range(repeats):
            found = self.estimate(sample, generator)
            for k, estimated in enumerate((found.classical, found.rectified)):
                covered[k] += ((estimated.low <= known) & (known <= estimated.high)).mean()
            for k, values in enumerate((found.classical.values, found.raw, found.rectified.values)):
                squared[k] += np.square(values - known).mean()
            helped += found.helps
        squared, covered = squared / repeats, covered / repeats
        errors = np.sqrt(squared)
        return Trial(
            repeats,
            (float(covered[0]), float(covered[1])),
            (float(errors[0]), float(errors[1]), float(errors[2])),
            float(squared[0] / squared[2]),
            helped / repeats,
            self.possible,
        )

    @property
    def possible(self) -> float:
        """Variance of the answers over that within the groups the model can tell apart."""
        answers = chosen_options(self.positions[self.answered], self.options)
        w, place = self.weights[self.answered], self.place[self.answered]
        sums = np.zeros((len(self.predictions), self.options))
        np.add.at(sums, place, w[:, None] * answers)
        sizes = np.bincount(place, w, len(self.predictions))
        within = answers - (sums / np.maximum(sizes, 1e-300)[:, None])[place]
        total = answers - self.known
        return float((w @ np.square(total)).sum() / (w @ np.square(within)).sum())


def _weighted_mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    return np.asarray(weights @ values / weights.sum())
