"""What a study's populations would say, for `suffrage estimate`: people, the model, and both.

The model's answer stands for a respondent through the groups they belong to: that of the smallest
value set of the study that they are in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray, IntArray
from suffrage.errors import InputError
from suffrage.evaluate.results import MethodFacts, Results
from suffrage.population.design import Design, design_of
from suffrage.population.rectify import (
    Others,
    Rectified,
    Sample,
    chosen_options,
    independent,
    rectify,
)
from suffrage.population.where import select
from suffrage.report.tables import read_results
from suffrage.study.schema import Study, study_survey
from suffrage.survey import Item, NonResponse, Survey
from suffrage.survey.survey import RESPONDENT

FEWEST = 10
# Kinds of non-response that are no answer of the person's: the item never reached them.
NOT_REACHED = (NonResponse.NOT_ASKED, NonResponse.MISSING)


@dataclass(frozen=True, eq=False)
class Trial:
    """What many samples of one size gave, where the whole survey's answer is known.

    covered: share of 95 % intervals, over options, that hold it, for the people alone and rectified.
    error: root mean squared error, over options, of people, model and both, in shares. worth: the
    ratio of mean squared errors, people alone over rectified: how many times as many people one
    would have had to ask. helped: share of samples in which the model was found to help.
    """

    repeats: int
    covered: tuple[float, float]
    error: tuple[float, float, float]
    worth: float
    helped: float
    possible: float


@dataclass(frozen=True, eq=False)
class ItemEstimate:
    """One item in one group. known: what the whole survey says, where only a sample was used.

    told_apart: how many groups inside this one the model answers differently for.
    """

    group: str
    item: Item
    found: Rectified
    known: FloatArray | None
    told_apart: int
    seed: int
    trial: Trial | None


@dataclass(frozen=True, eq=False)
class Estimates:
    """Every estimate of one command. sample: people drawn for each, None for all who answered."""

    title: str
    method: str
    label: str
    sample: int | None
    seed: int
    estimates: tuple[ItemEstimate, ...]
    left_out: tuple[str, ...]


def estimate_study(
    study: Study,
    method: str,
    sample: int | None,
    groups: Sequence[str] = (),
    items: Sequence[str] = (),
    seed: int = 0,
    repeats: int = 0,
    population: Study | None = None,
) -> Estimates:
    """Estimates for each item and group of a finished study.

    method: whose answers are used. sample: how many people to draw from those who answered, with the
    whole survey as the population; None: all who answered are the sample, and those whom the item
    did not reach are the rest of the population. A trained method is used on items held out only,
    because it has read the others' answers. population: another study, whose survey gives the groups'
    shares, where the people asked are a small sample of their own. repeats: draw the sample so many times more, and count
    how often the intervals hold what the whole survey says.
    Raises InputError when the study has no results, or nothing can be estimated.
    """
    results = read_results(study.output / "results.json")
    facts = _method(results, method)
    survey = _ordered(study_survey(study))
    if dict(survey.provenance.files) != results.survey.files:
        raise InputError(
            f"{study.output / 'results.json'} was made from another file than the survey at hand; "
            "run the study again."
        )
    asked_then = {item.id: (item.question, tuple(item.options)) for item in results.items}
    for item in survey.codebook.items:
        if asked_then.get(item.id, (item.question, item.texts)) != (item.question, item.texts):
            raise InputError(
                f"item {item.id} was asked with another question or other options when "
                f"{study.output / 'results.json'} was made; run the study again."
            )
    if sample is not None and sample < FEWEST:
        raise InputError(f"--sample {sample}: at least {FEWEST} people are needed.")
    if population is not None and sample is not None:
        raise InputError(
            "--population and --sample exclude each other: the one brings the rest of the people, the other draws from the study's own."
        )
    if repeats and sample is None:
        raise InputError("--repeats goes with --sample: without it there is nothing to draw.")
    members = {
        spec.name: select(survey, spec.where, spec.name)
        for spec in study.value_sets
        if spec.segment is None and spec.segments is None
    }
    outside = None if population is None else _ordered(study_survey(population))
    beyond = {
        spec.name: select(outside, spec.where, spec.name)
        for spec in study.value_sets
        if outside is not None and spec.name in members
    }
    _known("--group", groups, members)
    _known("--item", items, survey.codebook.item_ids)
    left_out: dict[str, list[str]] = {}  # by why
    for spec in study.value_sets:
        if spec.name not in members:
            left_out.setdefault("a segment's members are not known for certain", []).append(
                spec.name
            )
    estimates = []
    for item in survey.codebook.items:
        if items and item.id not in items:
            continue
        at_seed, answers = _answers(results, facts, item.id)
        if not answers:
            left_out.setdefault(
                f"{facts.label} has learnt from people's answers, or could not be read", []
            ).append(item.id)
            continue
        cells = {name: rows for name, rows in members.items() if name in answers}
        names = _largest_first(beyond or cells, cells)
        place = _cells(names, cells, survey.responses.height)
        predictions = np.array([answers[name] for name in names])
        for group, rows in cells.items():
            if groups and group not in groups:
                continue
            rest = None
            if outside is not None:
                where = _cells(names, beyond, outside.responses.height)
                rest = _Rest(outside, beyond[group], where)
            asked = _Asked(survey, item, rows, place, predictions, rest)
            if asked.answered.size < max(FEWEST, (sample or 0) + 1):
                left_out.setdefault(f"too few people answered {item.id}", []).append(group)
                continue
            drawn = [seed, sum(map(ord, group)), *map(ord, item.id)]
            generator = np.random.default_rng(drawn)
            estimates.append(
                ItemEstimate(
                    group=group,
                    item=item,
                    found=asked.estimate(sample, generator),
                    known=None if sample is None else asked.known,
                    told_apart=asked.told_apart,
                    seed=at_seed,
                    trial=asked.trial(sample, repeats, generator) if sample and repeats else None,
                )
            )
    said = tuple(f"{why}: {', '.join(names)}" for why, names in left_out.items())
    if not estimates:
        raise InputError(f"nothing can be estimated; {'; '.join(said) or 'no group is left'}.")
    order = {name: k for k, name in enumerate(members)}
    estimates.sort(key=lambda e: order[e.group])
    return Estimates(
        results.study.title,
        facts.name,
        facts.label,
        sample,
        seed,
        tuple(estimates),
        said,
    )


def _method(results: Results, name: str) -> MethodFacts:
    models = {m.name: m for m in results.methods if m.kind in ("untrained", "trained")}
    if name not in models:
        raise InputError(f'--method "{name}": this study has {", ".join(models)}.')
    return models[name]


def _known(flag: str, given: Sequence[str], there: Sequence[str] | dict[str, IntArray]) -> None:
    for name in given:
        if name not in there:
            raise InputError(f'{flag} "{name}": there are {", ".join(there)}.')


def _ordered(survey: Survey) -> Survey:
    """Respondents in the order of their ids, so that the order of rows changes nothing."""
    return survey.with_responses(survey.responses.sort(RESPONDENT))


def _answers(results: Results, facts: MethodFacts, item: str) -> tuple[int, dict[str, list[float]]]:
    """A seed, and what the method answered at it for each value set; none it was trained to give."""
    for seed in results.study.seeds:
        found = {
            a.value_set: a.shares
            for a in results.answers
            if (a.method, a.seed, a.item, a.readout) == (facts.name, seed, item, "letters")
            and not a.refused
            and (facts.kind == "untrained" or a.side == "held_out")
        }
        if found:
            return seed, found
    return results.study.seeds[0], {}


def _largest_first(sizes: dict[str, IntArray], names: dict[str, IntArray]) -> list[str]:
    return sorted(names, key=lambda name: (-sizes[name].size, name))


def _cells(names: Sequence[str], members: dict[str, IntArray], respondents: int) -> IntArray:
    """For each respondent the place in `names` of the last group they are in; -1: none."""
    place = np.full(respondents, -1)
    for number, name in enumerate(names):
        place[members[name]] = number
    return place


@dataclass(frozen=True, eq=False)
class _Rest:
    """The rest of the population, in another survey. rows: of the group. place: everyone's cell."""

    survey: Survey
    rows: IntArray
    place: IntArray


class _Asked:
    """One item in one group: who answered, whom it did not reach, and what the model says of each."""

    def __init__(
        self,
        survey: Survey,
        item: Item,
        rows: IntArray,
        place: IntArray,
        predictions: FloatArray,
        rest: _Rest | None,
    ) -> None:
        positions = survey.positions(item.id).astype(np.int64)
        self.survey, self.options = survey, len(item.options)
        self.positions, self.place, self.predictions = positions, place, predictions
        self.weights = survey.weights
        weighted = rows[self.weights[rows] > 0]
        self.answered = weighted[positions[weighted] >= 0]
        unreached = weighted[np.isin(positions[weighted], NOT_REACHED)]
        self.rest = rest or _Rest(survey, unreached, place)

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
        """Of those who answered and of the rest: one survey's, or two surveys' side by side."""
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
        """The same estimate from many samples, held against what the whole survey says."""
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
        """Variance of the answers over their variance within the groups the model can tell apart."""
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
