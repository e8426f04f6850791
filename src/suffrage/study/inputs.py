"""What the long stages of a study start from, read once from its first stages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from suffrage.align import TrainingOptions
from suffrage.consult.consultation import read_consultation
from suffrage.errors import InputError, naming_file
from suffrage.evaluate.asking.sampled_cells import SampledCell, asked_cells, sampled_trained_cells
from suffrage.population import ValueSet
from suffrage.study.pre_aligned import distinct_starts, items_trained_before
from suffrage.study.schema import MethodSpec, Study
from suffrage.study.sources import (
    Sources,
    built_value_set,
    read_sources,
    source_items,
    stored_source,
)
from suffrage.study.wiring import TrainingPlace, Wiring, groups_of
from suffrage.survey import Item, Survey
from suffrage.survey.published_table import PublishedTable
from suffrage.training_data import ItemSplit, TrainedBefore, split_items
from suffrage.training_data.answers_in_context import KnownItem, known_items
from suffrage.training_data.consultation_source import ConsultationSource, consultation_source
from suffrage.training_data.split import with_held_back


def pair_count(value_sets: Sequence[ValueSet], split: ItemSplit) -> int:
    """How many pairs of a value set and an item trained on there are."""
    return sum(
        split.trains_on(item) for value_set in value_sets for item in value_set.distributions
    )


def study_split(study: Study, items: Sequence[Item], seed: int, before: TrainedBefore) -> ItemSplit:
    """The split of a study's items at one seed, with nothing held out that was trained on before.

    Raises InputError as `split_items` does.
    """
    with naming_file(study.source.name):
        found = split_items(items, study.held_out, seed, study.trains, before)
        share = study.calibration_share
        return with_held_back(found, items, share, seed) if share else found


def study_consultation(
    study: Study, value_sets: Sequence[ValueSet], items: Sequence[Item], split: ItemSplit, seed: int
) -> ConsultationSource:
    """What of the study's consultation may be trained on at one seed.

    Raises InputError where the study has none, or nobody can be learnt from.
    """
    spec = study.consultation
    if spec is None:
        raise InputError(f"{study.source.name}: there is no `consultation:` in the study.")
    segments = [own.name for own in study.value_sets if own.segment is not None]
    found = read_consultation(study.folder / spec.folder)
    learnt = {start.label: start.questions for start in distinct_starts(study)}
    return consultation_source(found, spec, value_sets, items, split, seed, segments, learnt)


class StudyInputs:
    """A study's survey, value sets and splits, each read when it is first needed.

    The stages that make them must be finished by then.
    """

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self._consultations: dict[tuple[int, tuple[str, ...]], ConsultationSource] = {}
        # Sources that this process has read from their files. A large one takes seconds to read
        # back and to hash again.
        self.read_just_now: dict[str, Survey | PublishedTable] = {}

    @property
    def study(self) -> Study:
        """The study that is run."""
        return self.wiring.study

    @cached_property
    def sources(self) -> Sources:
        """Each source in its one coding, weighted as the study says."""
        return {
            name: self.read_just_now.get(name) or stored_source(stage.folder)
            for name, stage in self.wiring.sources.items()
        }

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """The items of all sources."""
        return source_items(self.study, self.sources)

    @cached_property
    def known_items(self) -> dict[str, KnownItem]:
        """Every item with its cluster, and what asks nearly the same; alike in every seed."""
        return known_items(self.items, next(iter(self.splits.values())).clusters)

    @cached_property
    def trained_before(self) -> TrainedBefore:
        """The items that a pre-aligned start was trained on."""
        return items_trained_before(self.study, self.items)

    def made_split(self, seed: int) -> ItemSplit:
        """Make the split of items at one seed. Raises InputError where it cannot be made."""
        return study_split(self.study, self.items, seed, self.trained_before)

    @cached_property
    def value_sets(self) -> dict[str, ValueSet]:
        """Every value set by its name."""
        stages = self.wiring.value_sets
        return {name: ValueSet.read(stage.folder) for name, stage in stages.items()}

    @cached_property
    def splits(self) -> dict[int, ItemSplit]:
        """The split of items by its seed."""
        return {seed: ItemSplit.read(stage.folder) for seed, stage in self.wiring.splits.items()}

    @cached_property
    def consultations(self) -> dict[int, ConsultationSource]:
        """What of the study's consultation may be trained on, for all value sets, by seed."""
        value_sets = list(self.value_sets.values())
        return {seed: self.consultation_of(value_sets, seed) for seed in self.splits}

    def consultation_of(self, value_sets: Sequence[ValueSet], seed: int) -> ConsultationSource:
        """What of the study's consultation may be trained on, for some value sets at one seed.

        It is worked out once: many trainings of a study learn from the same people.
        """
        key = seed, tuple(value_set.name for value_set in value_sets)
        if key not in self._consultations:
            split = self.splits[seed]
            found = study_consultation(self.study, value_sets, self.items, split, seed)
            self._consultations[key] = found
        return self._consultations[key]

    def method(self, name: str) -> MethodSpec:
        """The study's entry for a method."""
        return next(spec for spec in self.study.methods if spec.name == name)

    def splits_asked_about(self, method: str, seed: int) -> list[ItemSplit]:
        """A trained model's own split; every one of them for an untrained model, asked once."""
        if self.method(method).method.train is None:
            return list(self.splits.values())
        return [self.splits[seed]]

    @cached_property
    def trained_samples(self) -> dict[int, frozenset[SampledCell] | None]:
        """By seed, the cells that are asked of those trained on; None where all are."""
        study, value_sets = self.study, list(self.value_sets.values())
        most, draw = study.scoring.trained_cells, study.seeds[0]
        return {
            seed: sampled_trained_cells(value_sets, split, study.left_out, most, draw)
            for seed, split in self.splits.items()
        }

    def asked_cells(
        self, method: str, seed: int, value_sets: Sequence[ValueSet]
    ) -> frozenset[SampledCell] | None:
        """What a model of a method is asked that answers for these value sets; None for all."""
        untrained = self.method(method).method.train is None
        seeds = list(self.splits) if untrained else [seed]
        samples = [self.trained_samples[at] for at in seeds]
        study, needed = self.study, set[str]()
        for spec in study.evaluate if None not in samples else ():
            if spec.evaluation.items_needed is not None:
                everyone = list(self.value_sets.values())
                needed |= set(spec.evaluation.items_needed(everyone, spec.options, study.folder))
        splits = [self.splits[at] for at in seeds]
        return asked_cells(value_sets, splits, samples, study.left_out, needed)

    def learnt_from(self, place: TrainingPlace) -> list[ValueSet]:
        """The value sets that one training learns from."""
        method, _, group = place
        names = groups_of(self.method(method), self.study)[group]
        return [self.value_sets[name] for name in names]

    def training_options(self, method: str) -> TrainingOptions:
        """The options of a method that is trained."""
        options = self.method(method).options
        assert isinstance(options, TrainingOptions)
        return options

    def steps(self, place: TrainingPlace) -> int:
        """How many steps one training takes."""
        method, seed, _ = place
        pairs = pair_count(self.learnt_from(place), self.splits[seed])
        return self.training_options(method).step_count(pairs)


class ComputedInputs(StudyInputs):
    """The same, computed from the survey's files: no stage is read, and nothing is written."""

    def __init__(self, wiring: Wiring, sources: Sources | None = None) -> None:
        super().__init__(wiring)
        self._read = sources

    @cached_property
    def sources(self) -> Sources:
        """Each source as its reader gives it."""
        return read_sources(self.study) if self._read is None else self._read

    @cached_property
    def value_sets(self) -> dict[str, ValueSet]:
        """Every value set by its name."""
        return {
            spec.name: built_value_set(self.study, self.sources, spec)
            for spec in self.study.value_sets
        }

    @cached_property
    def splits(self) -> dict[int, ItemSplit]:
        """The split of items by its seed."""
        return {seed: self.made_split(seed) for seed in self.study.seeds}
