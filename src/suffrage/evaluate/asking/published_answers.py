"""Published answers of populations, and how near a model's answers are to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.evaluate.asking.item_probes import ModelShares, PopulationProbe
from suffrage.evaluate.scorecard import AS_ITSELF
from suffrage.evaluate.statistics.intervals import Measured
from suffrage.population import ValueSet
from suffrage.population.published import published_value_sets
from suffrage.survey import Item
from suffrage.survey.published_table import PublishedAnswer, PublishedTable, build_table
from suffrage.survey.readers import globalopinionqa, opinionqa

# (seed, population, item, cluster)
PublishedPlace = tuple[int, str, str, str]
# (name of the measure, row)
NamedRow = tuple[str, Measured]


def globalopinionqa_value_sets(
    path: Path, countries: Sequence[str] | None = None, sources: Sequence[str] | None = None
) -> list[ValueSet]:
    """Return the value sets of countries as the benchmark's file spells them.

    Items are unordered: the file does not say which options form a scale, and some are out of
    order.

    Parameters
    ----------
    path : Path
        The benchmark's file.
    countries : sequence of str, optional
        Default: all.
    sources : sequence of str, optional
        Only questions of these surveys, such as "GAS" and "WVS".

    Raises
    ------
    InputError
        The file has another layout, or a country is not in it.
    """
    answers = list(globalopinionqa.globalopinionqa_answers(path, sources))
    if not answers:
        return []
    table = _unordered(path, answers, "GlobalOpinionQA", globalopinionqa.WEIGHTING)
    return published_value_sets(table, countries)


def opinionqa_value_sets(path: Path, groups: Sequence[str] | None = None) -> list[ValueSet]:
    """Return the value sets of groups, such as "POLIDEOLOGY_Liberal", with unordered items.

    Raises InputError on a file of another layout, and on a group that is not in it.
    """
    answers = list(opinionqa.opinionqa_answers(path))
    return published_value_sets(_unordered(path, answers, "OpinionQA", opinionqa.WEIGHTING), groups)


def _unordered(
    path: Path, answers: Sequence[PublishedAnswer], title: str, weighting: str
) -> PublishedTable:
    return build_table(
        [replace(answer, ordered=False) for answer in answers],
        title=title,
        reader=title.lower(),
        files={path.name: storage.file_hash(path)},
        weighting=weighting,
    )


@dataclass(frozen=True)
class PublishedShares:
    """The questions of a published table that are asked, and what its populations answered."""

    items: Mapping[str, Item]
    answers: Mapping[str, Mapping[str, FloatArray]]
    """Population to item to the shares of the item's options."""
    notes: tuple[str, ...]

    def probes(self, persona: Callable[[str], str]) -> list[PopulationProbe]:
        """Each question as the model itself, then as each population that answered it."""
        itself = [PopulationProbe(AS_ITSELF, None, item) for item in self.items.values()]
        return itself + [
            PopulationProbe(population, persona(population), self.items[item])
            for population, by_item in self.answers.items()
            for item in sorted(by_item)
        ]

    def places(
        self, clusters: Mapping[str, str], seed: int
    ) -> Iterator[tuple[PublishedPlace, FloatArray]]:
        """Every population's answer to each question that is scored.

        clusters: by item, of the questions that are scored.
        """
        for population, by_item in self.answers.items():
            for item, shares in by_item.items():
                if item in clusters:
                    yield (seed, population, item, clusters[item]), shares


def compared(
    places: Iterable[tuple[PublishedPlace, FloatArray]],
    said: ModelShares,
    nearness: Callable[[PublishedPlace, FloatArray, FloatArray], float],
    named: str,
) -> Iterator[NamedRow]:
    """Compare one model's answers with those of each population.

    Parameters
    ----------
    places
        The populations' shares.
    said
        The model's shares.
    nearness
        How near an answer (last) is to the people's (second). NaN leaves the answer out.
    named
        The measure of the answers given as the population.

    Yields
    ------
    (str, Measured)
        Rows for "itself" and `named`, and for "gain", the second less the first.
    """
    for place, people in places:
        found = {}
        for measure, population in (("itself", AS_ITSELF), (named, place[1])):
            answer = said.get((population, place[2]))
            near = np.nan if answer is None else nearness(place, people, answer)
            if np.isfinite(near):
                found[measure] = near
                yield measure, plain_row(place, near)
        if len(found) == 2:
            yield "gain", plain_row(place, found[named] - found["itself"])


def plain_row(place: PublishedPlace, value: float | FloatArray) -> Measured:
    """A row whose people are not resampled."""
    return Measured(*place, float(value), np.ones(1))


def mean_by_population(rows: Sequence[Measured], fewest: int) -> dict[str, float]:
    """Each population's mean, in the order of names, of those with `fewest` questions or more."""
    by_name: dict[str, list[Measured]] = {}
    for row in rows:
        by_name.setdefault(row.value_set, []).append(row)
    return {
        name: float(np.mean([row.point for row in own]))
        for name, own in sorted(by_name.items())
        if len({row.item for row in own}) >= fewest
    }


def planned_prompts(
    questions: int, populations: int, ways: int, value_sets: Sequence[ValueSet]
) -> int:
    """About how many prompts a value set: a published table is asked once for all of them.

    ways: in which each question is asked, of each population and of nobody.
    """
    return round(ways * (1 + populations) * questions / max(len(value_sets), 1))
