"""Which stages a study has, and what each one depends on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.align import TrainingOptions
from suffrage.consult.consultation import read_consultation
from suffrage.errors import InputError
from suffrage.models import ModelIdentity, identify
from suffrage.study.schema import EvaluationSpec, MethodSpec, Study
from suffrage.study.stages import Stage, stage_key
from suffrage.survey import survey_files

# The value sets one training learns from, joined into one name; "" for all of them.
Group = str
TrainingPlace = tuple[str, int, Group]


@dataclass(frozen=True)
class Wiring:
    """Every stage of a study. Keys: value set name; seed; (method, seed, group); (method, seed).

    probes: (evaluation, method, seed), for evaluations that put questions of their own.
    Untrained methods answer alike whatever the seed: they stand in `answers` once a seed, with
    one and the same stage.
    """

    study: Study
    model: ModelIdentity
    survey: Stage
    value_sets: dict[str, Stage]
    splits: dict[int, Stage]
    records: dict[TrainingPlace, Stage]
    align: dict[TrainingPlace, Stage]
    answers: dict[tuple[str, int], Stage]
    probes: dict[tuple[str, str, int], Stage]
    results: Stage
    starts: dict[TrainingPlace, TrainingPlace]

    def stages(self) -> list[Stage]:
        """Every stage once, in the order of work."""
        every = [
            self.survey,
            *self.value_sets.values(),
            *self.splits.values(),
            *self.records.values(),
            *self.align.values(),
            *self.answers.values(),
            *self.probes.values(),
            self.results,
        ]
        return list({stage.folder: stage for stage in every}.values())

    def checkpoints(self, method: str, seed: int) -> dict[Group, Stage]:
        """The trainings behind one method and seed, by group."""
        return {
            group: stage
            for (name, at_seed, group), stage in self.align.items()
            if (name, at_seed) == (method, seed)
        }

    def start(self, place: TrainingPlace) -> Path | None:
        """The checkpoint a training goes on from, None when it starts from the study's model."""
        before = self.starts.get(place)
        return None if before is None else self.align[before].folder


def _own_files(study: Study, spec: EvaluationSpec) -> list[str]:
    """Hashes of the files an evaluation reads. Raises InputError when one is missing."""
    found = []
    for path in spec.options.files_in(study.folder):
        if not path.exists():
            raise InputError(f"{study.source.name}: evaluate: {spec.name}: {path} is not there.")
        found.append(storage.folder_hash(path) if path.is_dir() else storage.file_hash(path))
    return found


def _consultation_key(study: Study) -> list[Any] | None:
    """What decides what is learnt from the consultation: its content, and how it is read."""
    if study.consultation is None:
        return None
    found = read_consultation(study.folder / study.consultation.folder)
    return [found.content_hash, study.consultation.model_dump(mode="json", exclude={"folder"})]


def groups_of(spec: MethodSpec, study: Study) -> dict[Group, list[str]]:
    """The value sets each training of a method learns from: all together, or each apart."""
    names = [value_set.name for value_set in study.value_sets if value_set.train]
    if spec.method.train is None:
        return {}
    if isinstance(spec.options, TrainingOptions) and not spec.options.together:
        return {name: [name] for name in names}
    return {"": names}


def wire(study: Study) -> Wiring:
    """The stages of a study with their keys; reads files only to hash them."""
    model = (
        identify(study.model, study.folder)
        if isinstance(study.model, str)
        else study.model.identity
    )

    def stage(kind: Any, label: str, *content: Any) -> Stage:
        return Stage(kind, label, stage_key(kind, *content), study.output)

    hashes = [storage.file_hash(path) for path in survey_files(study.survey, study.folder)]
    survey = stage(
        "survey",
        str(study.survey.get("reader")),
        study.survey,
        hashes,
        study.weights.model_dump() if study.weights else None,
        [kind.label for kind in study.non_response_as_options],
    )
    value_sets = {
        spec.name: stage(
            "value_sets", spec.name, survey.key, spec.model_dump(exclude={"train"}), study.seeds[0]
        )
        for spec in study.value_sets
    }
    value_set_keys = [value_set.key for value_set in value_sets.values()]
    splits = {
        seed: stage(
            "split", f"seed{seed}", survey.key, study.held_out.model_dump(), seed, study.trains
        )
        for seed in study.seeds
    }
    records: dict[TrainingPlace, Stage] = {}
    align: dict[TrainingPlace, Stage] = {}
    answers: dict[tuple[str, int], Stage] = {}
    starts: dict[TrainingPlace, TrainingPlace] = {}
    public = _consultation_key(study)
    split_keys = [split.key for split in splits.values()]
    for spec in study.methods:
        method, options = spec.method, spec.options.model_dump()
        untrained = stage(
            "answers",
            spec.name,
            method.name,
            method.asks_as_population,
            model.content,
            value_set_keys,
            split_keys,
            study.scoring.model_dump(),
            study.seeds[0],
        )
        for seed in study.seeds:
            if method.train is None:
                answers[spec.name, seed] = untrained
                continue
            for group, members in groups_of(spec, study).items():
                label = "-".join(part for part in (spec.name, f"seed{seed}", group) if part)
                place = (spec.name, seed, group)
                sources = [value_sets[name].key for name in members]
                assert isinstance(spec.options, TrainingOptions)
                own_files = [study.folder / name for name in spec.options.files]
                for path in own_files:
                    if not path.is_file():
                        raise InputError(f"{study.source.name}: {spec.name}: {path} is not there.")
                records[place] = stage(
                    "records",
                    label,
                    sources,
                    splits[seed].key,
                    method.records,
                    options,
                    seed,
                    [storage.file_hash(path) for path in own_files],
                    # Only where it is used: a consultation repeats no survey-only training.
                    *([spec.records, public] if spec.uses_consultation else []),
                )
                before = None
                if spec.start is not None:
                    own = (spec.start, seed, group)
                    starts[place] = own if own in align else (spec.start, seed, "")
                    before = align[starts[place]].key
                align[place] = stage(
                    "align",
                    label,
                    records[place].key,
                    method.name,
                    options,
                    model.content,
                    seed,
                    before,
                )
            answers[spec.name, seed] = stage(
                "answers",
                f"{spec.name}-seed{seed}",
                [
                    place_stage.key
                    for key, place_stage in align.items()
                    if key[:2] == (spec.name, seed)
                ],
                value_set_keys,
                splits[seed].key,
                study.scoring.model_dump(),
                seed,
            )
    hashes_of = {spec.name: _own_files(study, spec) for spec in study.evaluate}
    probes = {
        (spec.name, method, seed): stage(
            "probes",
            f"{spec.name}-{answer.label}",
            answer.key,
            spec.name,
            spec.options.model_dump(mode="json"),
            hashes_of[spec.name],
        )
        for spec in study.evaluate
        if spec.evaluation.probe is not None
        for (method, seed), answer in answers.items()
    }
    results = stage(
        "results",
        "results",
        [answer.key for answer in (*answers.values(), *probes.values())],
        value_set_keys,
        split_keys,
        [(spec.name, spec.options.model_dump(mode="json")) for spec in study.evaluate],
        hashes_of,
        study.text,
        model.name,
    )
    return Wiring(
        study, model, survey, value_sets, splits, records, align, answers, probes, results, starts
    )
