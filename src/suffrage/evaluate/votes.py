"""`votes`: how the groups of a consultation vote, on statements and by people held out.

A statement is an item with the options agree, disagree and neither. A model's shares are compared
with those of each group's members: of statements trained on and held out, and of people trained on
and held out. Only the quadrant where both are held out says what training on votes is worth.

Floors know the people trained on. The commonest vote and the average vote ignore the statement;
the others' vote has read the votes of other groups on it, which no model has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from suffrage.arrays import FloatArray
from suffrage.evaluate.asking.item_probes import (
    PopulationProbe,
    answers_by_row,
    chosen_items,
    probe_items,
)
from suffrage.evaluate.asking.voting_groups import (
    AVERAGE,
    COMMONEST,
    FLOORS,
    OTHERS,
    PARTICIPANTS,
    GroupKind,
    PeopleSide,
    VotedCell,
    VotedCells,
    VotingGroup,
    asked_populations,
    decided_agreement,
    voting_groups,
)
from suffrage.evaluate.recorded_predictions import PredictedVotes, score_predictions
from suffrage.evaluate.results import Figure, FigureDifference, Measure, SplitSide
from suffrage.evaluate.scorecard import (
    AS_ITSELF,
    Evaluation,
    EvaluationInput,
    EvaluationOptions,
    ProbeInput,
    Scorecard,
)
from suffrage.evaluate.statistics.common_cells import wholly_answered
from suffrage.evaluate.statistics.extremes import largest, named_largest
from suffrage.evaluate.statistics.fewer_people import fewest_answers, samples_with_as_few
from suffrage.evaluate.statistics.figures import (
    compared_rows,
    drawn_figures,
    make_figures,
    resamples,
)
from suffrage.evaluate.statistics.intervals import Measured, bootstrap_estimate
from suffrage.models import ways_of_asking
from suffrage.plurals import plural
from suffrage.population import ValueSet
from suffrage.population.distribution_distances import fit
from suffrage.survey import Item
from suffrage.training_data.consultation_source import ConsultationSource, vote_item

NAME = "votes"


class Options(EvaluationOptions):
    """What a study may say about the votes that are compared."""

    least_voters: int = Field(default=5, ge=1)
    """Cells of a group and a statement with fewer voters are left out."""
    most: int | None = Field(default=None, ge=1)
    """How many statements a model is asked about; None for all."""
    predictions: str | None = None
    """A file that `suffrage consult predict` wrote before the round, to be scored."""

    @property
    def files(self) -> tuple[str, ...]:
        """The predictions."""
        return (self.predictions,) if self.predictions else ()


def _items(sources: Sequence[ConsultationSource], most: int | None) -> list[Item]:
    """The statements trained on or held out in any seed, as they are put to the vote."""
    found = {}
    for source in sources:
        split = source.statement_split
        wanted = {*split.train, *split.held_out}
        for statement, item in source.item_of.items():
            if item.id in wanted:
                found[item.id] = vote_item(statement, item.question)
    return chosen_items(found.values(), most)


def probe(given: ProbeInput) -> pl.DataFrame:
    """Each statement, asked as every value set and as each group that has words."""
    items = _items(given.consultations, given.options.most)
    if not given.as_population:
        return probe_items(given, [PopulationProbe(AS_ITSELF, None, item) for item in items])
    personas = {v.name: given.persona(v) for v in given.value_sets}
    asked: dict[str, Any] = {}
    for source in given.consultations:
        for name, words in asked_populations(source, given.value_sets).items():
            asked[name] = personas[name] if words is None else words
    probes = [
        PopulationProbe(name, persona, item) for item in items for name, persona in asked.items()
    ]
    return probe_items(given, probes)


def _prompts(
    value_sets: Sequence[ValueSet], sources: Sequence[ConsultationSource], options: Options
) -> int:
    """Every statement in all ways of asking, for each population that is not a value set too."""
    ways = sum(len(ways_of_asking(item, None)) for item in _items(sources, options.most))
    asked = len(asked_populations(sources[0], value_sets))
    return ways * asked // max(len(value_sets), 1)


# (method, population) -> item -> shares
_Said = Mapping[str, Mapping[str, FloatArray]]
# method -> rows
_Rows = dict[str, list[Measured]]
# (kind, people, statements) -> measure -> method -> rows
_Units = dict[tuple[bool, PeopleSide, SplitSide], dict[str, _Rows]]


def _said(frame: pl.DataFrame) -> dict[str, dict[str, FloatArray]]:
    """What a method's models answered, by population and item.

    Of several models that answer for one population, each for a value set, it is their mean, where
    all of them could be read.
    """
    found: dict[str, dict[str, FloatArray]] = defaultdict(dict)
    for (population, item), some in wholly_answered(answers_by_row(frame)).items():
        found[population][item] = np.mean([shares for _, shares in some], axis=0)
    return found


RULES = {"fit": fit, "agreement": decided_agreement}


class _Seed:
    """The groups of one seed, their cells on both sides, and what floors say of each."""

    def __init__(self, source: ConsultationSource, given: EvaluationInput) -> None:
        least = given.options.least_voters
        self.source, self.split = source, source.statement_split
        self.groups = voting_groups(source, given.value_sets)
        sides: tuple[PeopleSide, ...] = ("held_out", "seen")
        tables = {side: VotedCells(source, side, least) for side in sides}
        self.cells = {
            (group.name, side): tables[side].of(group) for group in self.groups for side in sides
        }

    def side(self, item: str) -> SplitSide | None:
        """Which side of the split a statement is on; None if it may be used for neither."""
        if item in self.split.held_out:
            return "held_out"
        return "trained" if self.split.trains_on(item) else None

    def floors(self, group: VotingGroup) -> dict[str, dict[str, FloatArray]]:
        """What each floor answers for a group, by item."""
        own = self.cells[group.name, "seen"]
        trained = {i: cell.shares for i, cell in own.items() if self.split.trains_on(i)}
        total = np.sum(list(trained.values()), axis=0) if trained else np.zeros(3)
        asked = {*own, *self.cells[group.name, "held_out"]}
        found: dict[str, dict[str, FloatArray]] = {name: {} for name in FLOORS}
        for item in asked:
            # A statement does not count toward its own average.
            count = len(trained) - (item in trained)
            if count:
                mean = (total - trained.get(item, np.zeros(3))) / count
                found[AVERAGE][item] = mean
                found[COMMONEST][item] = np.eye(3)[int(mean.argmax())]
        for item in asked:
            known = [
                self.cells[other.name, "seen"][item].shares
                for other in self._others(group)
                if item in self.cells[other.name, "seen"]
            ]
            if known:
                found[OTHERS][item] = np.mean(known, axis=0)
        return found

    def _others(self, group: VotingGroup) -> list[VotingGroup]:
        """Groups of the same kind that share nobody with it."""
        own = set(group.members["seen"])
        return [
            other
            for other in self.groups
            if other.kind == group.kind and own.isdisjoint(other.members["seen"])
        ]

    def participants(self, group: VotingGroup) -> dict[str, FloatArray]:
        """The votes of members who were trained on, by item."""
        return {item: cell.shares for item, cell in self.cells[group.name, "seen"].items()}

    def rows(
        self, group: VotingGroup, people: PeopleSide, answers: Mapping[str, FloatArray]
    ) -> Iterator[tuple[SplitSide, str, Measured]]:
        """A row for each measure and cell that an answer is compared on."""
        for item, cell in self.cells[group.name, people].items():
            side = self.side(item)
            if side is not None and item in answers:
                for measure in RULES:
                    yield side, measure, self._row(measure, group, item, cell, answers[item])

    def _row(
        self, measure: str, group: VotingGroup, item: str, cell: VotedCell, answer: FloatArray
    ) -> Measured:
        rule, cluster = RULES[measure], self.split.clusters[item]
        value, drawn = float(rule(cell.shares, answer)), rule(cell.resampled, answer)
        return Measured(self.source.seed, group.name, item, cluster, value, np.asarray(drawn))


def _units(given: EvaluationInput, seeds: Mapping[int, _Seed]) -> _Units:
    """Every row of each method, floor and of the participants.

    All have rows of the statements that models were asked about, which may be a part of them.
    """
    found: _Units = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    put: dict[int, set[str]] = defaultdict(set)
    for (_, at), frame in given.probes.items():
        put[at] |= set(frame["item"].to_list())

    def add(own: _Seed, group: VotingGroup, name: str, answers: Mapping[str, FloatArray]) -> None:
        people: tuple[PeopleSide, ...] = ("held_out", "seen")
        known = {item: answers[item] for item in answers if item in put[own.source.seed]}
        for which in people:
            if name == PARTICIPANTS and which == "seen":
                continue  # They would be compared with themselves.
            for side, measure, row in own.rows(group, which, known):
                found[group.kind == "opinion", which, side][measure][name].append(row)

    for own in seeds.values():
        for group in own.groups:
            for floor, answers in own.floors(group).items():
                add(own, group, floor, answers)
            add(own, group, PARTICIPANTS, own.participants(group))
    for method, own, group, said in _asked_as_groups(given, seeds):
        add(own, group, method, said)
    return found


def _asked_as_groups(
    given: EvaluationInput, seeds: Mapping[int, _Seed]
) -> Iterator[tuple[str, _Seed, VotingGroup, Mapping[str, FloatArray]]]:
    """What every method answered for each group, by item."""
    for (method, at), frame in sorted(given.probes.items()):
        said = _said(frame)
        for group in seeds[at].groups:
            yield method, seeds[at], group, said.get(group.asked_as) or said.get(AS_ITSELF) or {}


class VotersAsFew:
    """Groups of one kind, as if no more people had voted in any than in the smallest.

    Chance lowers what few participants reach by more than a fit that is far from it, so large
    groups would otherwise seem to be served worst.

    Parameters
    ----------
    cells : mapping
        By group and side of the people, the cell of each statement's item.
    groups : sequence of str
        The groups that are compared.
    """

    def __init__(
        self,
        cells: Mapping[tuple[str, PeopleSide], Mapping[str, VotedCell]],
        groups: Sequence[str],
    ) -> None:
        self._cells = cells
        sides: tuple[PeopleSide, ...] = ("held_out", "seen")
        self._fewest = {
            side: fewest_answers(
                {item: cell.effective_voters for item, cell in cells[name, side].items()}
                for name in groups
            )
            for side in sides
        }
        self._drawn: dict[tuple[str, PeopleSide, str], FloatArray] = {}

    def shortfall(self, group: str, item: str, answer: FloatArray) -> float:
        """How far the fit of an answer is below that of the group's other members."""
        out = self._samples(group, "held_out", item)
        top = fit(out, self._samples(group, "seen", item))
        return float(np.mean(top - fit(out, answer)))

    def _samples(self, group: str, side: PeopleSide, item: str) -> FloatArray:
        place = (group, side, item)
        if place not in self._drawn:
            cell, fewest = self._cells[group, side][item], self._fewest[side][item]
            self._drawn[place] = samples_with_as_few(
                f"{item} {side}", cell.shares, cell.effective_voters, fewest
            )
        return self._drawn[place]


def quadrant_measure(measure: str, opinion: bool, people: PeopleSide) -> str:
    """The name of a measure over one kind of groups and one side of the people.

    Examples
    --------
    >>> quadrant_measure("fit", False, "held_out"), quadrant_measure("agreement", True, "seen")
    ('fit', 'opinion_agreement_seen')
    """
    return f"{'opinion_' if opinion else ''}{measure}{'_seen' if people == 'seen' else ''}"


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """Agreement and fit in four quadrants, against floors, and who is served least."""
    at_seeds = sorted({at for _, at in given.probes})
    seeds = {at: _Seed(given.consultations[at], given) for at in at_seeds}
    units = _units(given, seeds)
    figures: list[Figure] = []
    differences: list[FigureDifference] = []
    for (opinion, people, side), by_measure in sorted(units.items()):
        named = {quadrant_measure(m, opinion, people): dict(rows) for m, rows in by_measure.items()}
        averages = {measure: rows.get(AVERAGE, ()) for measure, rows in named.items()}
        tops = {m: rows[PARTICIPANTS] for m, rows in named.items() if PARTICIPANTS in rows}
        own, gaps = make_figures(
            NAME,
            named,
            [*given.methods, *FLOORS, PARTICIPANTS],
            seed,
            averages,
            tops,
            side=side,
            pairs=_pairs(given),
            # The others' vote is known of groups that have others, and decides no figure.
            elsewhere=(OTHERS, PARTICIPANTS),
        )
        figures += own
        differences += gaps
    least: dict[str, Any] = {}
    for kind in _KINDS:
        worst, worst_gaps, details = _served_least(given, seeds, units, kind, seed)
        figures += worst
        differences += worst_gaps
        least[kind] = details
    return Scorecard(
        figures=tuple(figures),
        figure_differences=tuple(differences),
        notes=tuple(_notes(seeds)),
        details={
            "starts": dict(given.starts),
            "least": least,
            "groups": _group_facts(seeds),
            "predictions": _scored_predictions(given, seeds),
        },
    )


def _scored_predictions(
    given: EvaluationInput, seeds: Mapping[int, _Seed]
) -> dict[str, Any] | None:
    """How predictions on record compare with the votes; None where the study names none."""
    if given.options.predictions is None:
        return None
    said = PredictedVotes.read((given.folder / given.options.predictions).resolve())
    votes = next(iter(seeds.values())).source.consultation
    return score_predictions(said, votes, given.options.least_voters).as_json()


_KINDS: tuple[GroupKind, ...] = ("demographic", "opinion")


def _pairs(given: EvaluationInput) -> list[tuple[str, str]]:
    """Each method against the untrained model, and each trained one against start and floors."""
    untrained = [name for name in given.methods if name not in given.trained]
    found = [(name, untrained[0]) for name in given.methods if untrained and name != untrained[0]]
    for name in given.trained:
        start = given.starts.get(name)
        found += [(name, against) for against in ((start,) if start else ())]
        found += [(name, floor) for floor in FLOORS]
    return found + list(given.ablations)


def _served_least(
    given: EvaluationInput,
    seeds: Mapping[int, _Seed],
    units: _Units,
    kind: GroupKind,
    seed: int,
) -> tuple[Sequence[Figure], Sequence[FigureDifference], dict[str, Any]]:
    """How far the worst served group's fit is below what its own participants reach."""
    short = _shortfalls(given, seeds, units, kind)
    every = [row for rows in short.values() for row in rows]
    if len({row.value_set for row in every}) < 2:
        return (), (), {}
    draws = resamples(every, seed)
    scoped, cells = compared_rows(short, given.methods)
    worst, least = {}, {}
    for method in given.methods:
        rows = scoped.get(method, {}).get((None, None), ())
        by_group = {
            name: bootstrap_estimate(own, draws)
            for name in sorted({row.value_set for row in every})
            if (own := [row for row in rows if row.value_set == name])
        }
        if len(by_group) > 1:
            worst[method], least[method] = largest(by_group), named_largest(by_group)
    measure = f"worst_{kind}"
    figures, gaps = drawn_figures(
        NAME, measure, worst, given.methods, side="held_out", cells=cells[None, None]
    )
    return figures, gaps, least


def _shortfalls(
    given: EvaluationInput, seeds: Mapping[int, _Seed], units: _Units, kind: GroupKind
) -> _Rows:
    """How far each method's fit is below the participants', on every cell where both are."""
    found = units.get((kind == "opinion", "held_out", "held_out"), {}).get("fit", {})
    fits = {method: {row.key: row for row in rows} for method, rows in found.items()}
    top = fits.get(PARTICIPANTS, {})
    as_few = {
        at: VotersAsFew(own.cells, [g.name for g in own.groups if g.kind == kind])
        for at, own in seeds.items()
    }
    short: _Rows = {method: [] for method in given.methods}
    for method, own, group, answers in _asked_as_groups(given, seeds):
        at = own.source.seed
        for item in answers if group.kind == kind else ():
            key = (at, group.name, item)
            if key in top and key in fits.get(method, {}):
                # It moves with the people as the two fits do.
                moved = top[key].replicates - fits[method][key].replicates
                point = as_few[at].shortfall(group.name, item, answers[item])
                short[method].append(replace(top[key], point=point, replicates=moved))
    return short


def _group_facts(seeds: Mapping[int, _Seed]) -> dict[str, Any]:
    """Of each group its kind, whom the model is asked as, and its members, by seed."""
    found: dict[str, Any] = {}
    for at, own in seeds.items():
        for group in own.groups:
            entry = found.setdefault(
                group.name, {"kind": group.kind, "asked_as": group.asked_as, "members": {}}
            )
            entry["members"][str(at)] = {s: len(m) for s, m in group.members.items()}
    return found


def _notes(seeds: Mapping[int, _Seed]) -> Iterator[str]:
    for at, own in seeds.items():
        source, split = own.source, own.split
        yield (
            f"Seed {at}: {len(split.held_out)} of "
            f"{plural(len(split.held_out) + len(split.train), 'statement')} and "
            f"{len(source.held_out_weights)} of "
            f"{plural(len(source.held_out_weights) + len(source.people), 'participant')} who "
            "consented to "
            "training are held out."
        )
        if isinstance(source.opinion_groups, str):
            yield f"Seed {at}: no opinion groups were found: {source.opinion_groups}"
        few = [
            name for name, group in _by_name(own.groups).items() if not own.cells[name, "held_out"]
        ]
        if few:
            yield f"Seed {at}: too few held-out voters to compare with in {', '.join(few)}."


def _by_name(groups: Collection[VotingGroup]) -> dict[str, VotingGroup]:
    return {group.name: group for group in groups}


def _measures() -> Iterator[Measure]:
    whose = {
        False: ("", "the participants, and each value set among them"),
        True: (", opinion groups", "each opinion group"),
    }
    sides: dict[PeopleSide, tuple[str, str]] = {
        "held_out": ("", "people held out"),
        "seen": (", people trained on", "people trained on"),
    }
    meanings = {
        "fit": (
            "Fit of votes",
            "1 minus the Jensen-Shannon distance between the shares of agree, disagree and "
            "neither of the model and of {who}; of {people}. The floor is the group’s average "
            "vote, whatever the statement.",
        ),
        "agreement": (
            "Agreement",
            "How many of the votes to agree or disagree are the likelier of the two for the "
            "model; of {who}, {people}. The floor is the side of the average vote.",
        ),
    }
    for opinion, (label, who) in whose.items():
        for people, (side_label, side_words) in sides.items():
            for measure, (title, text) in meanings.items():
                yield Measure(
                    name=quadrant_measure(measure, opinion, people),
                    lowest=0.0,
                    highest=1.0,
                    label=title + label + side_label,
                    explanation=text.format(who=who, people=side_words)
                    + (
                        " The ceiling is what members who were trained on said of the same."
                        if people == "held_out"
                        else ""
                    ),
                    better="higher",
                    unit="statements",
                    headline=people == "held_out" and not opinion,
                    in_table=people == "held_out",
                )


EVALUATION = Evaluation(
    NAME,
    score,
    question="Does it answer as participants vote, on statements and for people it never met?",
    cannot_show="How people who did not take part would vote. An opinion group is found from "
    "votes, so its name means only what its members have in common.",
    measures=(
        *_measures(),
        *(
            Measure(
                name=f"worst_{kind}",
                lowest=-1.0,
                highest=1.0,
                label=f"Shortfall of the {kind} group served least",
                explanation="How far the fit of the group served least is below what its own "
                "members who were trained on reach, on statements and people held out, as if no "
                "more people had voted in it than in the smallest group. The interval is valid "
                "whichever group that is.",
                better="lower",
                unit="groups",
            )
            for kind in _KINDS
        ),
    ),
    options=Options,
    probe=probe,
    asks_for_shares=True,
    consultation_prompts=_prompts,
    needs_consultation=True,
)
