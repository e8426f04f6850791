"""Pre-aligned starts: checkpoints of other studies, from which the models of a study begin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from suffrage.align.checkpoint import (
    MANIFEST,
    TRAINED_QUESTIONS,
    Checkpoint,
    base_today,
    load_checkpoint,
)
from suffrage.errors import InputError
from suffrage.evaluate.results import StartFacts
from suffrage.models import LanguageModel, ModelIdentity, identify
from suffrage.models.identity import weights_folder_hash
from suffrage.models.local_settings import LocalModelSettings
from suffrage.study.schema import MethodSpec, Study
from suffrage.study.stages import FOLDERS
from suffrage.survey import Item
from suffrage.text_overlap import only_words
from suffrage.training_data import TrainedBefore, TrainedQuestion, trained_before


@dataclass(frozen=True)
class PreAlignedStart:
    """A checkpoint of another study, and what it was trained on."""

    # As this study names it.
    name: str
    checkpoint: Checkpoint
    # Every question that it was trained on, or what it started from.
    questions: tuple[TrainedQuestion, ...]

    @property
    def folder(self) -> Path:
        """The checkpoint's folder."""
        return self.checkpoint.folder

    @cached_property
    def content(self) -> str:
        """A hash of all in the folder that decides the model's answers."""
        return weights_folder_hash(self.folder)

    @property
    def label(self) -> str:
        """What messages call it."""
        own = self.checkpoint.manifest
        return f"{self.name} ({own['method']}, seed {own['seed']}, of {own['study']})"

    @property
    def history(self) -> list[dict[str, Any]]:
        """The trainings behind it, the first one first: what each was, and what it learnt from."""
        own = self.checkpoint.manifest
        last = {
            "study": own["study"],
            "method": own["method"],
            "seed": own["seed"],
            "questions": len(self.questions),
            "surveys": own.get("surveys") or [name for name in own["sources"] if name],
            "value_sets": self._trained_value_sets,
            "content": self.content,
        }
        return [*own.get("started_from", []), last]

    @property
    def populations(self) -> frozenset[str]:
        """The names and descriptions of the populations that it was trained on."""
        earlier = self.checkpoint.manifest.get("started_from", [])
        parts = [*(part["value_sets"] for part in earlier), self._trained_value_sets]
        return frozenset(
            only_words(text) for part in parts for pair in part.items() for text in pair
        )

    @property
    def _trained_value_sets(self) -> dict[str, str]:
        """The value sets that its own training learnt from, with their descriptions."""
        own = self.checkpoint.manifest
        trained = own["made_from"].get("value_sets", own["value_sets"])
        return {name: own["value_sets"].get(name, name) for name in trained}

    def identity(self, settings: LocalModelSettings) -> ModelIdentity:
        """The model that a study means by `model:` and this checkpoint.

        An adapter is loaded over the model that it was trained on. A whole model is one itself.
        Raises InputError where the model below an adapter is gone or has changed.
        """
        if settings.revision is not None:
            raise InputError(
                f"model.revision: {self.name} is not a hub id; only models on the hub have "
                "revisions."
            )
        if not self.checkpoint.is_adapter:
            before = self.checkpoint.base_model
            found = identify(settings.model_copy(update={"name": str(self.folder)}), Path())
            name = f"{before.name}, pre-aligned by {self.checkpoint.manifest['study']}"
            return replace(found, name=name, licence=before.licence)
        how = "say trust_remote_code: true under model:"
        base = base_today(self.checkpoint, settings.trust_remote_code, how)
        own = settings.attn_implementation or base.attn_implementation
        loaded = LocalModelSettings(
            name=base.source,
            revision=base.revision,
            attn_implementation=own,  # type: ignore[arg-type]
            device_map=settings.device_map,
            trust_remote_code=base.trust_remote_code,
        )
        return replace(identify(loaded, Path()), name=base.name)


def load_study_model(study: Study) -> LanguageModel:
    """Load the model that a study names, with the checkpoint that it starts from.

    Raises InputError where it cannot be loaded, or is behind an endpoint.
    """
    start, settings = start_of_study(study), local_settings(study)
    if settings is None:
        raise InputError(f"{study.source.name}: a model behind an endpoint cannot be loaded here.")
    if start is None:
        return LanguageModel.load(identify(settings, study.folder))
    over = start.folder if start.checkpoint.is_adapter else None
    return load_checkpoint(start.identity(settings), over, "float32")


def local_settings(study: Study) -> LocalModelSettings | None:
    """The study's model where it runs here; None for one behind an endpoint."""
    if isinstance(study.model, str):
        return LocalModelSettings(name=study.model)
    return study.model if isinstance(study.model, LocalModelSettings) else None


def start_of_study(study: Study) -> PreAlignedStart | None:
    """The checkpoint that `model:` names; None where it names a model.

    Raises InputError where the checkpoint cannot be started from.
    """
    settings = local_settings(study)
    if settings is None:
        return None
    folder = _folder(study, settings.name)
    if _is_checkpoint(folder):
        return _read(folder, settings.name, f"{study.source.name}: model")
    _check_no_run(folder, settings.name, f"{study.source.name}: model")
    return None


def starts_by_method(study: Study) -> dict[str, PreAlignedStart]:
    """The checkpoint of another study that each method begins from, where it begins from one.

    It is the one that its `from:` names, or the one of the method that its `from:` names, or the
    study's own. Raises InputError where a checkpoint cannot be started from.
    """
    whole = start_of_study(study)
    read: dict[Path, PreAlignedStart] = {} if whole is None else {whole.folder: whole}
    found: dict[str, PreAlignedStart] = {}
    for spec in study.methods:
        if spec.checkpoint is not None:
            start = _start_of_method(study, spec, spec.checkpoint)
            found[spec.name] = read.setdefault(start.folder, start)
        elif spec.start is not None:
            # A study names a method to start from above the one that starts from it.
            if spec.start in found:
                found[spec.name] = found[spec.start]
        elif whole is not None:
            found[spec.name] = whole
    return found


def distinct_starts(study: Study) -> list[PreAlignedStart]:
    """Every checkpoint of another study that this one starts from, once."""
    whole = start_of_study(study)
    every = [*([whole] if whole else []), *starts_by_method(study).values()]
    return list({start.folder: start for start in every}.values())


def check_base(study: Study, model: ModelIdentity, starts: dict[str, PreAlignedStart]) -> None:
    """Check that methods start from checkpoints of the study's own model.

    Raises InputError where a checkpoint is of another one.
    """
    for spec in study.methods:
        if spec.checkpoint is None:
            continue
        start = starts[spec.name]
        trained = start.checkpoint.base_model
        if trained.content == model.content:
            continue
        if trained.source == model.source:
            raise InputError(
                f"{study.source.name}: {spec.name}: from: {start.label} was trained on "
                f"{trained.name} with other weights or settings than it has today; put the former "
                "ones back, or train the checkpoint again."
            )
        raise InputError(
            f"{study.source.name}: {spec.name}: from: {start.label} was trained on {trained.name}, "
            f"and the study's model is {model.name}; say model: {trained.source}, or start from a "
            f"checkpoint of {model.name}."
        )


def _start_of_method(study: Study, spec: MethodSpec, name: str) -> PreAlignedStart:
    where = f"{study.source.name}: {spec.name}: from"
    folder = _folder(study, name)
    if not _is_checkpoint(folder):
        _check_no_run(folder, name, where)
        there = "holds no checkpoint of a training" if folder.exists() else "does not exist"
        raise InputError(
            f"{where}: {name} {there}; name the folder of one, such as "
            f"../runs/STUDY/{FOLDERS['align']}/METHOD-seed1, or a method above."
        )
    return _read(folder, name, where)


def _folder(study: Study, name: str) -> Path:
    """A folder as a study names it, by a label without its key too, as a run links it."""
    folder = (study.folder / Path(name).expanduser()).resolve()
    if not folder.exists() and folder.parent.name == FOLDERS["align"]:
        keyed = [path for path in _checkpoints(folder.parent) if path.name[:-9] == folder.name]
        if len(keyed) == 1:
            return keyed[0]
    return folder


def _checkpoints(folder: Path) -> Iterator[Path]:
    """The checkpoints in a run's folder of checkpoints, by the names that carry their keys."""
    for path in sorted(folder.glob("*-????????")):
        if not path.is_symlink() and _is_checkpoint(path):
            yield path


def _is_checkpoint(folder: Path) -> bool:
    if not (folder / MANIFEST).is_file():
        return False
    manifest = Checkpoint.read(folder).manifest
    return isinstance(manifest, dict) and {"base_model", "study", "method"} <= manifest.keys()


def _check_no_run(folder: Path, name: str, where: str) -> None:
    """Raises InputError where a folder is a run's, and not one of its checkpoints."""
    inside = folder if folder.name == FOLDERS["align"] else folder / FOLDERS["align"]
    if (folder / "config.json").is_file() or not inside.is_dir():
        return
    # The label is a link to the newest of its checkpoints.
    labels = sorted({path.name[:-9] for path in _checkpoints(inside)})
    if labels:
        beginning = name.rstrip("/") + ("" if inside == folder else f"/{FOLDERS['align']}")
        raise InputError(
            f"{where}: {name} is a run, which has several checkpoints; name one: "
            f"{', '.join(f'{beginning}/{label}' for label in labels[:6])}."
        )


def _read(folder: Path, name: str, where: str) -> PreAlignedStart:
    checkpoint = Checkpoint.read(folder)
    if checkpoint.gives_no_text:
        raise InputError(
            f"{where}: {name} gives shares of a survey's options and is not a language model; name "
            "a checkpoint of a method that trains one."
        )
    questions = checkpoint.trained_questions
    if questions is None:
        raise InputError(
            f"{where}: {name} has no {TRAINED_QUESTIONS}, so that nobody can tell which questions "
            "it has learnt and must not be tested on; train it again with this version, or write "
            'the file yourself: a JSON list with {"id": ..., "question": ...} for every question '
            "that it was trained on."
        )
    learnt = tuple(TrainedQuestion(row["id"], row["question"]) for row in questions)
    return PreAlignedStart(name, checkpoint, learnt)


def items_trained_before(study: Study, items: Sequence[Item]) -> TrainedBefore:
    """The items of a study that one of its pre-aligned starts was trained on."""
    questions = {start.label: start.questions for start in distinct_starts(study)}
    return trained_before(items, questions)


def known_populations(study: Study) -> dict[str, str]:
    """The value sets that a pre-aligned start was trained on, each with the start's label.

    A population is the same where its name or its description is.
    """
    found: dict[str, str] = {}
    for start in distinct_starts(study):
        for spec in study.value_sets:
            own = {only_words(text) for text in (spec.name, spec.description) if text}
            if own & start.populations:
                found.setdefault(spec.name, start.label)
    return found


def check_populations_are_new(study: Study) -> None:
    """Check that no population is left out of training that a start was trained on.

    Raises InputError that names the population and the checkpoint.
    """
    known = known_populations(study) if study.left_out else {}
    for name in study.left_out:
        if name in known:
            raise InputError(
                f"{study.source.name}: {name} is left out of training, and {known[name]} was "
                "trained on it. Train on it too, start from a checkpoint that has not learnt it, "
                "or give it another name and description if it is another population."
            )


def start_facts(study: Study) -> list[StartFacts]:
    """The checkpoints of other studies that this study's methods start from, for its results."""
    by_method = starts_by_method(study)
    found = []
    for start in distinct_starts(study):
        own, history = start.checkpoint.manifest, start.history
        found.append(
            StartFacts(
                study=own["study"],
                method=own["method"],
                seed=own["seed"],
                base_model=start.checkpoint.base_model.name,
                questions=len(start.questions),
                surveys=list(dict.fromkeys(s for part in history for s in part["surveys"])),
                content=start.content,
                methods=[name for name, other in by_method.items() if other.folder == start.folder],
            )
        )
    return found
