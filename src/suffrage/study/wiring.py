"""Which stages a study has, and what each one depends on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.align import TrainingOptions
from suffrage.align.checkpoint import model_below
from suffrage.align.combined import COMBINED
from suffrage.consult.consultation import read_consultation
from suffrage.errors import InputError, naming_file
from suffrage.models import ModelIdentity, identify
from suffrage.models.endpoint_api import endpoint_identity
from suffrage.models.endpoint_settings import EndpointSettings
from suffrage.study.pre_aligned import (
    PreAlignedStart,
    check_base,
    distinct_starts,
    local_settings,
    start_of_study,
    starts_by_method,
)
from suffrage.study.schema import (
    EvaluationSpec,
    MethodSpec,
    SourceSpec,
    Study,
    study_source_files,
)
from suffrage.study.sources import used_sources
from suffrage.study.stages import Stage, StageKind, stage_key

# The value sets that one training learns from, joined into one name; "" for all of them.
TrainingGroup = str
# A method, a seed and a group: which training.
TrainingPlace = tuple[str, int, TrainingGroup]
# A method and a seed: which model is asked.
AnswerPlace = tuple[str, int]
# An evaluation, a method and a seed: which questions of its own an evaluation puts to which model.
ProbePlace = tuple[str, str, int]


@dataclass(frozen=True)
class Wiring:
    """Every stage of a study, by what it is of."""

    study: Study
    # The model that the study trains and asks.
    model: ModelIdentity
    # By the source's name.
    sources: dict[str, Stage]
    # By the value set's name.
    value_sets: dict[str, Stage]
    # By the seed.
    splits: dict[int, Stage]
    records: dict[TrainingPlace, Stage]
    align: dict[TrainingPlace, Stage]
    # An untrained method answers alike whatever the seed: each of its seeds has the same stage.
    answers: dict[AnswerPlace, Stage]
    # Only of evaluations that put questions of their own.
    probes: dict[ProbePlace, Stage]
    results: Stage
    # For each training that starts from another one's checkpoint, that other training.
    starts: dict[TrainingPlace, TrainingPlace]
    # For each method that begins from another study's checkpoint, that checkpoint.
    pre_aligned: dict[str, PreAlignedStart]

    def stages(self) -> list[Stage]:
        """Every stage once, in the order of work."""
        every = [
            *self.sources.values(),
            *self.value_sets.values(),
            *self.splits.values(),
            *self.records.values(),
            *self.align.values(),
            *self.answers.values(),
            *self.probes.values(),
            self.results,
        ]
        return list({stage.folder: stage for stage in every}.values())

    def checkpoints(self, method: str, seed: int) -> dict[TrainingGroup, Stage]:
        """The trainings behind one method and seed, by group."""
        return _checkpoints(self.align, method, seed)

    def start(self, place: TrainingPlace) -> Path | None:
        """The checkpoint a training starts from, None where that is the study's model."""
        before = self.starts.get(place)
        return self.untrained(place[0]) if before is None else self.align[before].folder

    def untrained(self, method: str) -> Path | None:
        """The checkpoint over the study's model that a method begins from, None without one.

        A whole model that `model:` names is the study's model itself.
        """
        return _over_model(self.model, self.pre_aligned.get(method))

    def weights(self, method: str) -> str:
        """A hash of the weights that a method begins with."""
        return _first_weights(self.model, self.pre_aligned.get(method))

    def base(self, place: TrainingPlace) -> ModelIdentity:
        """The model below what a training starts from."""
        before = self.starts.get(place)
        return self.model if before is None else self.below(before)

    def below(self, place: TrainingPlace) -> ModelIdentity:
        """The model that a training's adapter belongs to; its start must be finished."""
        return model_below(self.base(place), self.start(place))

    def model_of(self, checkpoint: Path | None) -> ModelIdentity:
        """The model that one of the study's checkpoints is loaded over."""
        for place, stage in self.align.items():
            if stage.folder == checkpoint:
                return self.below(place)
        return self.model


def groups_of(spec: MethodSpec, study: Study) -> dict[TrainingGroup, list[str]]:
    """The value sets that each training of a method learns from: all together, or each apart."""
    names = [value_set.name for value_set in study.value_sets if value_set.train]
    if spec.method.train is None:
        return {}
    if isinstance(spec.options, TrainingOptions) and not spec.options.together:
        return {name: [name] for name in names}
    return {"": names}


def wire(study: Study) -> Wiring:
    """Find the stages of a study with their keys; files are read only to hash them.

    Raises
    ------
    InputError
        A file that the study names is missing, or its model cannot be found.
    """
    model = _study_model(study)
    pre_aligned = starts_by_method(study)
    check_base(study, model, pre_aligned)
    sources = {source.name: _source_stage(study, source) for source in study.survey}
    value_sets = _value_set_stages(study, sources)
    splits = _split_stages(study, sources)
    records = _record_stages(study, value_sets, splits)
    starts = _starts(study, records)
    weights = {
        spec.name: _first_weights(model, pre_aligned.get(spec.name)) for spec in study.methods
    }
    align = _align_stages(study, weights, records, starts)
    answers = _answer_stages(study, weights, value_sets, splits, align)
    hashes = {spec.name: _evaluation_hashes(study, spec) for spec in study.evaluate}
    probes = _probe_stages(study, answers, hashes)
    results = _results_stage(study, model, value_sets, splits, answers, probes, hashes)
    return Wiring(
        study,
        model,
        sources,
        value_sets,
        splits,
        records,
        align,
        answers,
        probes,
        results,
        starts,
        pre_aligned,
    )


def model_key(study: Study) -> str:
    """The setting that names a study's model, as errors write it."""
    return f"{study.source.name}: model"


def judges_key(study: Study, spec: EvaluationSpec) -> str:
    """The setting that names the other models of an evaluation, as errors write it."""
    return f"{study.source.name}: evaluate: {spec.name}"


def judges(study: Study, spec: EvaluationSpec) -> list[ModelIdentity]:
    """The other models that an evaluation asks.

    Raises InputError where one of them does not exist.
    """
    key = judges_key(study, spec)
    return [identify(name, study.folder, key) for name in spec.options.other_models]


def _study_model(study: Study) -> ModelIdentity:
    if isinstance(study.model, EndpointSettings):
        return endpoint_identity(study.model, study.folder)
    with naming_file(study.source.name):
        start, settings = start_of_study(study), local_settings(study)
        if start is not None and settings is not None:
            return start.identity(settings)
        return identify(study.model, study.folder, model_key(study))


def _over_model(model: ModelIdentity, start: PreAlignedStart | None) -> Path | None:
    if start is None or Path(model.source) == start.folder:
        return None
    return start.folder


def _first_weights(model: ModelIdentity, start: PreAlignedStart | None) -> str:
    """What decides the weights that a method begins with."""
    over = _over_model(model, start)
    if start is None or over is None:
        return model.content
    return storage.content_hash([model.content, start.content])


def _stage(study: Study, kind: StageKind, label: str, *content: Any) -> Stage:
    """A stage whose key hashes this content: all that decides its outcome, and nothing else."""
    return Stage(kind, label, stage_key(kind, *content), study.output)


def _source_stage(study: Study, source: SourceSpec) -> Stage:
    return _stage(
        study,
        "survey",
        source.name or str(source.section.get("reader")),
        source.section,
        [storage.file_hash(path) for path in study_source_files(study, source)],
        study.weights.model_dump() if study.weights else None,
        [kind.label for kind in study.non_response_as_options],
    )


def _value_set_stages(study: Study, sources: dict[str, Stage]) -> dict[str, Stage]:
    """One a value set, the same whichever others there are, and whether it is trained on or not."""
    return {
        spec.name: _stage(
            study,
            "value_sets",
            spec.name,
            # The name of a source is part of its items' ids.
            [(name, sources[name].key) for name in used_sources(study, spec)],
            spec.model_dump(exclude={"train"}),
            study.seeds[0],  # of its bootstrap
        )
        for spec in study.value_sets
    }


def _split_stages(study: Study, sources: dict[str, Stage]) -> dict[int, Stage]:
    learnt = sorted({row for start in distinct_starts(study) for row in start.questions})
    return {
        seed: _stage(
            study,
            "split",
            f"seed{seed}",
            [(name, stage.key) for name, stage in sources.items()],
            study.held_out.model_dump(exclude={"population"}),
            seed,
            # A split that leaves nothing to train on is an error only where something is trained.
            study.trains,
            # Only where there is some: nothing else is computed again.
            *([study.calibration_share] if study.calibration_share else []),
            # Only where there are any: what a checkpoint of another study was trained on.
            *([learnt] if learnt else []),
        )
        for seed in study.seeds
    }


def _trainings(study: Study) -> Iterator[tuple[MethodSpec, TrainingPlace, list[str]]]:
    """Every training of a study with the value sets it learns from, in the order of work."""
    for spec in study.methods:
        for seed in study.seeds:
            for group, members in groups_of(spec, study).items():
                yield spec, (spec.name, seed, group), members


def _training_label(place: TrainingPlace) -> str:
    method, seed, group = place
    return "-".join(part for part in (method, f"seed{seed}", group) if part)


def _record_stages(
    study: Study, value_sets: dict[str, Stage], splits: dict[int, Stage]
) -> dict[TrainingPlace, Stage]:
    consultation = _consultation_content(study)
    hashes = {spec.name: _method_hashes(study, spec) for spec in study.methods}
    return {
        place: _stage(
            study,
            "records",
            _training_label(place),
            [value_sets[name].key for name in members],
            splits[place[1]].key,
            spec.method.records,
            spec.options.deciding(),
            place[1],
            hashes[spec.name],
            # Only where it is used: a consultation repeats no survey-only training.
            *([spec.records, consultation] if spec.uses_consultation else []),
            # Votes of people held back were once asked only where as many as for training voted.
            *(["fewer voters asked"] if _asks_votes(spec) else []),
        )
        for spec, place, members in _trainings(study)
    }


def _asks_votes(spec: MethodSpec) -> bool:
    """Whether a training chooses its best point on votes, perhaps among others."""
    return spec.records in ("votes", COMBINED) and bool(getattr(spec.options, "validation", 0.0))


def _starts(
    study: Study, trainings: dict[TrainingPlace, Stage]
) -> dict[TrainingPlace, TrainingPlace]:
    """Where a training starts from: the other method's training of the same group, or of all."""
    found: dict[TrainingPlace, TrainingPlace] = {}
    for spec, place, _ in _trainings(study):
        if spec.start is not None:
            _, seed, group = place
            own = (spec.start, seed, group)
            found[place] = own if own in trainings else (spec.start, seed, "")
    return found


def _align_stages(
    study: Study,
    weights: dict[str, str],
    records: dict[TrainingPlace, Stage],
    starts: dict[TrainingPlace, TrainingPlace],
) -> dict[TrainingPlace, Stage]:
    found: dict[TrainingPlace, Stage] = {}
    for spec, place, _ in _trainings(study):
        before = starts.get(place)
        found[place] = _stage(
            study,
            "align",
            _training_label(place),
            records[place].key,
            spec.method.name,
            spec.options.deciding(),
            weights[spec.name],
            place[1],
            # A study names a method to start from above the one that starts from it.
            None if before is None else found[before].key,
            # Reinforcement fine-tunes what the study starts from, and not a method's own start.
            *(["its own start"] if spec.checkpoint else []),
            # An adapter over another training's whole model was once loaded without that model.
            *(["over another's"] if _is_over_another(study, spec) else []),
        )
    return found


def _is_over_another(study: Study, spec: MethodSpec) -> bool:
    """Whether a method's adapter belongs to a whole model that another method trained."""
    if spec.start is None:
        return False
    before = next(other for other in study.methods if other.name == spec.start)
    whole = [getattr(own.options, "adapter", "lora") == "none" for own in (before, spec)]
    return whole == [True, False] or (not whole[0] and _is_over_another(study, before))


def _answer_stages(
    study: Study,
    weights: dict[str, str],
    value_sets: dict[str, Stage],
    splits: dict[int, Stage],
    align: dict[TrainingPlace, Stage],
) -> dict[AnswerPlace, Stage]:
    value_set_keys = [stage.key for stage in value_sets.values()]
    asked_about = _cells_asked(study)
    scoring = study.scoring.model_dump() | {"dtype": study.scoring.number_format}
    found: dict[AnswerPlace, Stage] = {}
    for spec in study.methods:
        for seed in study.seeds:
            if spec.method.train is None:
                found[spec.name, seed] = _stage(
                    study,
                    "answers",
                    spec.name,
                    spec.method.name,
                    spec.method.asks_as_population,
                    weights[spec.name],
                    value_set_keys,
                    # It is asked once about what any seed holds out.
                    [stage.key for stage in splits.values()],
                    scoring,
                    asked_about,
                    study.seeds[0],
                    *_described_by_answers(spec),
                )
            else:
                found[spec.name, seed] = _stage(
                    study,
                    "answers",
                    f"{spec.name}-seed{seed}",
                    [stage.key for stage in _checkpoints(align, spec.name, seed).values()],
                    value_set_keys,
                    splits[seed].key,
                    scoring,
                    asked_about,
                    seed,
                )
    return found


def _cells_asked(study: Study) -> list[Any]:
    """What decides, besides splits and scoring, which cells are asked and which only sampled."""
    needing = [spec for spec in study.evaluate if spec.evaluation.items_needed is not None]
    return [
        study.left_out,
        [_items_named(study, spec) for spec in needing],
        # Only where cells are drawn at all.
        study.seeds[0] if study.scoring.trained_cells is not None else None,
    ]


def _items_named(study: Study, spec: EvaluationSpec) -> Any:
    """The items an evaluation may need; all it is told where it cannot say them by themselves."""
    if spec.evaluation.items_named is not None:
        return sorted(spec.evaluation.items_named(spec.options, study.folder))
    options = spec.options.model_dump(mode="json")
    return [spec.name, options, _files_of_evaluation(study, spec)]


def _described_by_answers(spec: MethodSpec) -> list[Any]:
    """How an untrained method describes populations; nothing where it names them only."""
    found = getattr(spec.options, "in_context", None)
    return [] if found is None else [found.model_dump()]


def _probe_stages(
    study: Study, answers: dict[AnswerPlace, Stage], hashes: dict[str, list[str]]
) -> dict[ProbePlace, Stage]:
    """One an evaluation and model that is asked. hashes: of the files each evaluation reads."""
    return {
        (spec.name, method, seed): _stage(
            study,
            "probes",
            f"{spec.name}-{answer.label}",
            answer.key,
            spec.name,
            spec.options.model_dump(mode="json"),
            hashes[spec.name],
        )
        for spec in study.evaluate
        if spec.evaluation.probe is not None
        for (method, seed), answer in answers.items()
        if method not in gives_no_text(study, spec)
    }


def gives_no_text(study: Study, spec: EvaluationSpec) -> list[str]:
    """The methods that an evaluation cannot ask, because they give shares and no text."""
    if spec.evaluation.probe is None or spec.evaluation.asks_for_shares:
        return []
    return [own.name for own in study.methods if own.method.load is not None]


def _results_stage(
    study: Study,
    model: ModelIdentity,
    value_sets: dict[str, Stage],
    splits: dict[int, Stage],
    answers: dict[AnswerPlace, Stage],
    probes: dict[ProbePlace, Stage],
    hashes: dict[str, list[str]],
) -> Stage:
    return _stage(
        study,
        "results",
        "results",
        [stage.key for stage in (*answers.values(), *probes.values())],
        [stage.key for stage in value_sets.values()],
        [stage.key for stage in splits.values()],
        [(spec.name, spec.options.model_dump(mode="json")) for spec in study.evaluate],
        hashes,
        study.text,  # printed in the report
        model.name,
    )


def _checkpoints(
    align: dict[TrainingPlace, Stage], method: str, seed: int
) -> dict[TrainingGroup, Stage]:
    return {
        group: stage
        for (name, at_seed, group), stage in align.items()
        if (name, at_seed) == (method, seed)
    }


def _consultation_content(study: Study) -> list[Any] | None:
    """What decides what is learnt from the consultation: its content, and how it is read."""
    if study.consultation is None:
        return None
    spec = study.consultation
    found = read_consultation(study.folder / spec.folder)
    # Settings that came later are hashed only where they are used: nothing is computed again.
    later = {"without", "held_out_statements", "votes"}
    read = spec.model_dump(mode="json", exclude={"folder", *later})
    read |= spec.model_dump(mode="json", include=later, exclude_defaults=True)
    return [found.content_hash, read]


def _method_hashes(study: Study, spec: MethodSpec) -> list[str]:
    """Hashes of the files that decide a method's records."""
    if not isinstance(spec.options, TrainingOptions):
        return []
    paths = [study.folder / name for name in spec.options.files]
    for path in paths:
        if not path.is_file():
            raise InputError(f"{study.source.name}: {spec.name}: {path} is not there.")
    return [storage.file_hash(path) for path in paths]


def _evaluation_hashes(study: Study, spec: EvaluationSpec) -> list[str]:
    """Hashes of the files, folders and models that an evaluation reads."""
    models = [found.content for found in judges(study, spec)]
    found = [*_files_of_evaluation(study, spec), *models]
    if spec.evaluation.needs_consultation:
        found.append(storage.content_hash(_consultation_content(study)))
    return found


def _files_of_evaluation(study: Study, spec: EvaluationSpec) -> list[str]:
    """Hashes of the files and folders that an evaluation reads."""
    found = []
    for path in spec.options.files_in(study.folder):
        if not path.exists():
            raise InputError(f"{study.source.name}: evaluate: {spec.name}: {path} is not there.")
        found.append(storage.folder_hash(path) if path.is_dir() else storage.file_hash(path))
    return found
