"""What a study's populations would say, for `suffrage estimate`: people, the model, and both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from suffrage import storage
from suffrage.arrays import FloatArray, IntArray
from suffrage.errors import InputError, did_you_mean
from suffrage.evaluate.results import MethodFacts, Results
from suffrage.population.rectify import Rectified
from suffrage.population.where import select
from suffrage.report.tables import read_results
from suffrage.study.commands.people_asked import PeopleAsked, RestOfPopulation, Trial
from suffrage.study.schema import Study, study_survey
from suffrage.survey import Item, Survey
from suffrage.survey.survey import RESPONDENT

FEWEST = 10


@dataclass(frozen=True, eq=False)
class ItemEstimate:
    """What one group says to one item."""

    group: str
    item: Item
    found: Rectified
    # What the whole survey says, where only a sample of it was used.
    known: FloatArray | None
    # How many groups inside this one the model answers differently for.
    told_apart: int
    # The study's seed whose answers were used.
    seed: int
    trial: Trial | None


@dataclass(frozen=True, eq=False)
class Estimates:
    """Every estimate of one command."""

    title: str
    method: str
    label: str
    # The people drawn for each estimate; None for all who answered.
    sample: int | None
    seed: int
    estimates: tuple[ItemEstimate, ...]
    # What was left out, a sentence for each reason.
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
    """Estimate what each group of a finished study says to each item.

    A trained method is used on items held out only, because it has read the answers to the others.

    Parameters
    ----------
    study : Study
        A study that was run.
    method : str
        The method whose answers are used.
    sample : int or None
        How many people to draw from those who answered, with the whole survey as the population.
        None: all who answered are the sample, and those whom the item did not reach are the rest
        of the population.
    groups, items : sequence of str
        Names of value sets and items; all of them where none is named.
    seed : int
        The seed of the samples.
    repeats : int
        Draw the sample so many times more, and count how often the intervals contain what the
        whole survey says.
    population : Study or None
        Another study, whose survey gives the groups' shares, where the people asked are a small
        sample of their own.

    Raises
    ------
    InputError
        The study has no results, its survey has changed since, or nothing can be estimated.
    """
    path = study.output / "results.json"
    results = read_results(path)
    facts = _method(results, method)
    survey = _ordered(study_survey(study))
    _check_unchanged(survey, results, path)
    _check_sampling(sample, repeats, population)
    places = _Populations.of(study, survey, population)
    _check_known("--group", groups, places.members)
    _check_known("--item", items, survey.codebook.item_ids)
    left_out: dict[str, list[str]] = defaultdict(list)  # by why
    for spec in study.value_sets:
        if spec.name not in places.members:
            left_out["a segment's members are not known for certain"].append(spec.name)
    estimates = []
    for item in survey.codebook.items:
        if items and item.id not in items:
            continue
        at_seed, answers = _answers(results, facts, item.id)
        if not answers:
            why = f"{facts.label} has learnt from people's answers, or could not be read"
            left_out[why].append(item.id)
            continue
        for group, asked in places.asked(item, answers, groups).items():
            if asked.answered.size < max(FEWEST, (sample or 0) + 1):
                left_out[f"too few people answered {item.id}"].append(group)
            else:
                found = _estimate(group, item, asked, sample, repeats, seed, at_seed)
                estimates.append(found)
    said = tuple(f"{why}: {', '.join(names)}" for why, names in left_out.items())
    if not estimates:
        raise InputError(f"nothing can be estimated; {'; '.join(said) or 'no group is left'}.")
    order = list(places.members)
    estimates.sort(key=lambda estimate: order.index(estimate.group))
    return Estimates(
        results.study.title, facts.name, facts.label, sample, seed, tuple(estimates), said
    )


def _estimate(
    group: str,
    item: Item,
    asked: PeopleAsked,
    sample: int | None,
    repeats: int,
    seed: int,
    at_seed: int,
) -> ItemEstimate:
    # Each estimate has draws of its own, whichever others are made and in whatever order.
    own = int(storage.content_hash([group, item.id])[:8], 16)
    generator = np.random.default_rng([seed, own])
    return ItemEstimate(
        group=group,
        item=item,
        found=asked.estimate(sample, generator),
        known=None if sample is None else asked.known,
        told_apart=asked.told_apart,
        seed=at_seed,
        trial=asked.trial(sample, repeats, generator) if sample and repeats else None,
    )


@dataclass(frozen=True, eq=False)
class _Populations:
    """A study's value sets as groups of respondents."""

    survey: Survey
    # The rows of each value set's respondents.
    members: Mapping[str, IntArray]
    # Another survey that gives the groups' shares, and the rows of each value set in it.
    outside: Survey | None
    beyond: Mapping[str, IntArray]

    @classmethod
    def of(cls, study: Study, survey: Survey, population: Study | None) -> _Populations:
        """The groups of a study without its segments, whose members are not known for certain."""
        specs = [
            spec for spec in study.value_sets if spec.segment is None and spec.segments is None
        ]
        members = {spec.name: select(survey, spec.where, spec.name) for spec in specs}
        if population is None:
            return cls(survey, members, None, {})
        outside = _ordered(study_survey(population))
        beyond = {spec.name: select(outside, spec.where, spec.name) for spec in specs}
        return cls(survey, members, outside, beyond)

    def asked(
        self, item: Item, answers: Mapping[str, Sequence[float]], groups: Collection[str]
    ) -> dict[str, PeopleAsked]:
        """The people of each group that the model answered for, with those answers.

        groups: only these; all where none is named.
        """
        cells = {name: rows for name, rows in self.members.items() if name in answers}
        sizes = {name: self.beyond.get(name, rows).size for name, rows in cells.items()}
        # The smallest group comes last, so that its answer stands for its members.
        names = sorted(cells, key=lambda name: (-sizes[name], name))
        place = _last_group(names, cells, self.survey)
        predictions = np.array([answers[name] for name in names])
        found = {}
        for group, rows in cells.items():
            if not groups or group in groups:
                rest = None
                if self.outside is not None:
                    where = _last_group(names, self.beyond, self.outside)
                    rest = RestOfPopulation(self.outside, self.beyond[group], where)
                found[group] = PeopleAsked(self.survey, item, rows, place, predictions, rest)
        return found


def _last_group(names: Sequence[str], members: Mapping[str, IntArray], survey: Survey) -> IntArray:
    """For each respondent the place in `names` of the last group they are in; -1: none."""
    place = np.full(survey.responses.height, -1)
    for number, name in enumerate(names):
        place[members[name]] = number
    return place


def _method(results: Results, name: str) -> MethodFacts:
    models = {m.name: m for m in results.methods if m.kind in ("untrained", "trained")}
    if name not in models:
        raise InputError(f'--method "{name}": this study has {", ".join(models)}.')
    return models[name]


def _check_unchanged(survey: Survey, results: Results, path: Path) -> None:
    """Raises InputError where the results are of another survey than the one at hand."""
    if dict(survey.provenance.files) not in [source.files for source in results.surveys]:
        raise InputError(
            f"{path} was made from another file than the study's survey; run the study again."
        )
    asked_then = {item.id: (item.question, tuple(item.options)) for item in results.items}
    for item in survey.codebook.items:
        if asked_then.get(item.id, (item.question, item.texts)) != (item.question, item.texts):
            raise InputError(
                f"item {item.id} was asked with another question or other options when {path} was "
                "made; run the study again."
            )


def _check_sampling(sample: int | None, repeats: int, population: Study | None) -> None:
    """Raises InputError on options that do not go together."""
    if sample is not None and sample < FEWEST:
        raise InputError(f"--sample {sample}: at least {FEWEST} people are needed.")
    if population is not None and sample is not None:
        raise InputError(
            "--population and --sample exclude each other: the one brings the rest of the people, "
            "the other draws from the study's own."
        )
    if repeats and sample is None:
        raise InputError("--repeats goes with --sample: without it there is nothing to draw.")


def _check_known(flag: str, given: Sequence[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known)
            raise InputError(f'{flag} "{name}": there are {", ".join(known)}.{hint}')


def _ordered(survey: Survey) -> Survey:
    """Respondents in the order of their ids, so that the order of rows changes nothing."""
    return survey.with_responses(survey.responses.sort(RESPONDENT))


def _answers(results: Results, facts: MethodFacts, item: str) -> tuple[int, dict[str, list[float]]]:
    """A seed, and what the method answered at it for each value set.

    What a method was trained to answer is left out.
    """
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
