"""`Checkpoint`: a model or adapter on disk, with the manifest of everything that made it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.arguments import PATH, takes
from suffrage.errors import InputError
from suffrage.models import LanguageModel, ModelIdentity, identify, identify_trained
from suffrage.models.asking import Persona, Ways
from suffrage.models.local_settings import LocalModelSettings
from suffrage.population import ValueSet
from suffrage.training_data.answers_in_context import (
    Answered,
    AnsweredPersona,
    InContextSettings,
    KnownItem,
    persona_from,
)
from suffrage.training_data.average_answer import AverageAnswers

MANIFEST = "manifest.json"
# The questions that a checkpoint learnt from or was chosen by, next to the manifest.
TRAINED_QUESTIONS = "trained_questions.json"
# The average answers that a training started from, where it did (`align.distribution`).
AVERAGE_ANSWERS = "average_answers.json"
# The answers that describe each population, of a method that describes populations by answers.
IN_CONTEXT = "in_context.json"
# The arrays of a checkpoint that is no language model (`align.factors`).
FACTOR_ARRAYS = "factors.npz"
# PEFT's settings of an adapter.
ADAPTER_SETTINGS = "adapter_config.json"


@dataclass(frozen=True)
class Checkpoint:
    """A folder that plain Transformers or PEFT loads, and its manifest."""

    folder: Path
    # Method, settings, seed, base model (name, source, weights hash, licence), hashes of records,
    # value sets and split, versions, cost.
    manifest: dict[str, Any]

    @property
    def is_adapter(self) -> bool:
        """Whether the folder holds a PEFT adapter rather than a whole model."""
        return (self.folder / ADAPTER_SETTINGS).is_file()

    @property
    def gives_no_text(self) -> bool:
        """Whether the folder holds arrays that predict shares, and no language model."""
        return (self.folder / FACTOR_ARRAYS).is_file()

    @property
    def average_answers(self) -> AverageAnswers | None:
        """The average answers that its own are to be multiplied by; None of most checkpoints."""
        path = self.folder / AVERAGE_ANSWERS
        return AverageAnswers.from_content(storage.read_json(path)) if path.is_file() else None

    @property
    def base_model(self) -> ModelIdentity:
        """The model that was trained, as it was known then."""
        return ModelIdentity(**self.manifest["base_model"])

    @property
    def base_source(self) -> str:
        """Where that model is: a folder, a hub id or "bundled:NAME"."""
        source = self.base_model.source
        # In a published folder the model is next to its adapters.
        return str(self.folder / source) if source.startswith(".") else source

    @property
    def trained_questions(self) -> list[dict[str, str]] | None:
        """The id and the text of every question that it learnt from; None where nobody kept them.

        Where the training started from another checkpoint, that one's questions are among them.
        """
        file = self.folder / TRAINED_QUESTIONS
        return storage.read_json(file) if file.is_file() else None

    @property
    def value_sets(self) -> dict[str, str]:
        """What the training's questions called each population, by the value set's name."""
        return dict(self.manifest["value_sets"])

    @property
    def ways(self) -> Ways:
        """The orders and labels in which its training showed options."""
        found: Ways = self.manifest["settings"].get("ways", "all")
        return found

    def persona(self, population: str | ValueSet | Answered) -> Persona:
        """How questions to this checkpoint name or describe a population.

        Parameters
        ----------
        population : str, ValueSet or mapping
            A name or a description, a value set, or shares by option by question. The name of a
            value set of the study stands for the description that the training used. A checkpoint
            that learnt with answers in context describes the populations of its study as it met
            them, and others by the answers given here.

        Raises
        ------
        InputError
            The checkpoint only knows populations by their answers, and this is the name of one that
            it has no answers of; or there are no answers.
        """
        kept = self.folder / IN_CONTEXT
        if not kept.is_file():
            if isinstance(population, str):
                population = self.value_sets.get(population, population)
            return persona_from(population)
        facts = storage.read_json(kept)
        described = facts["populations"]
        name = population.name if isinstance(population, ValueSet) else population
        if isinstance(name, str):
            names = {words: own for own, words in self.value_sets.items()}
            own = described.get(name) or described.get(names.get(name, ""))
            if own is not None:
                known = {item: KnownItem.from_json(one) for item, one in facts["items"].items()}
                return AnsweredPersona.from_json(own, facts["answers"], known)
        if isinstance(population, str):
            if facts["name"]:
                return population
            raise InputError(
                f'{self.folder}: has no answers of "{population}", and this checkpoint knows '
                "populations by their answers to other questions only; give a value set, answers, "
                f"or one of {', '.join(described)}."
            )
        settings = InContextSettings(answers=facts["answers"], name=facts["name"])
        return persona_from(population, settings)

    @classmethod
    @takes(folder=PATH)
    def read(cls, folder: str | Path) -> Checkpoint:
        """Read a checkpoint that a run wrote.

        Raises
        ------
        InputError
            The folder holds no checkpoint of Suffrage's.
        """
        folder = Path(folder)
        if not (folder / MANIFEST).is_file():
            raise InputError(f"{folder}: no checkpoint here (a {MANIFEST} is missing).")
        return cls(folder, storage.read_json(folder / MANIFEST))


def name_base_model(folder: Path, base: ModelIdentity) -> None:
    """Let every adapter in a folder name its base model by hub id and revision, and by no path.

    PEFT writes the path that the model was loaded from, which is one of the trainer's machine.
    """
    named = {"base_model_name_or_path": base.public_name, "revision": base.revision}
    for path in folder.rglob(ADAPTER_SETTINGS):
        storage.write_json(path, {**storage.read_json(path), **named})


def model_below(base: ModelIdentity, start: Path | None) -> ModelIdentity:
    """The model that an adapter belongs to, after a training that started from a checkpoint.

    Parameters
    ----------
    base : ModelIdentity
        The model below the checkpoint.
    start : Path or None
        The checkpoint; None where the training started from the model itself.

    Returns
    -------
    ModelIdentity
        The checkpoint where it is a whole model. An adapter is trained further, so that the base
        stays the model below it.
    """
    if start is None or Checkpoint.read(start).is_adapter:
        return base
    return identify_trained(start, base)


def base_today(checkpoint: Checkpoint, trust_remote_code: bool, how_to_trust: str) -> ModelIdentity:
    """Find the model that a checkpoint was trained on, and check that it has not changed.

    Parameters
    ----------
    checkpoint : Checkpoint
    trust_remote_code : bool
        Whether Python code that comes with the model may run.
    how_to_trust : str
        What a user has to do to allow that, for the message.

    Raises
    ------
    InputError
        The model is gone, has other weights than it had then, or needs code that may not run.
    """
    folder, trained = checkpoint.folder, checkpoint.base_model
    if trained.trust_remote_code and not trust_remote_code:
        raise InputError(
            f"{folder}: was trained on {trained.name} with Python code that comes with that model. "
            f"Read that code first; then {how_to_trust}."
        )
    settings = LocalModelSettings(
        name=checkpoint.base_source,
        revision=trained.revision,
        attn_implementation=trained.attn_implementation,  # type: ignore[arg-type]
        trust_remote_code=trained.trust_remote_code,
    )
    base = identify(settings, Path())
    if base.content != trained.content:
        raise InputError(
            f"{folder}: was trained on {trained.name} with other weights than it has today; "
            "put the former weights back, or train again."
        )
    return base


def load_checkpoint(base: ModelIdentity, checkpoint: Path | None, dtype: str) -> LanguageModel:
    """Load a model as a training left it, ready to be asked.

    Parameters
    ----------
    base : ModelIdentity
        The model that was trained; see `model_below` for a training that started from another one.
    checkpoint : Path or None
        The folder the training left: an adapter or a whole model. None loads the base itself.
    dtype : str
        The number format to compute in, such as "float32".

    Raises
    ------
    InputError
        The folder holds no checkpoint, or the model cannot be loaded.
    """
    if checkpoint is None:
        return LanguageModel.load(base, dtype)
    if Checkpoint.read(checkpoint).gives_no_text:
        raise InputError(
            f"{checkpoint}: this checkpoint gives shares of a survey's options and no text; name "
            "one of a method that trains a language model."
        )
    if Checkpoint.read(checkpoint).is_adapter:
        return LanguageModel.load(base, dtype, checkpoint)
    return LanguageModel.load(identify_trained(checkpoint, base), dtype)


def load_model_or_checkpoint(settings: LocalModelSettings, dtype: str) -> LanguageModel:
    """Load a model, or an adapter over the model that its manifest names.

    Parameters
    ----------
    settings : LocalModelSettings
        Its name is a folder, a hub id or "bundled:NAME".
    dtype : str
        The number format to compute in, such as "float32".

    Raises
    ------
    InputError
        There is no such model, it is not a causal language model, an adapter has no manifest, or
        the model below it is not the one that was trained.
    """
    folder = Path(settings.name)
    if not (folder / "adapter_config.json").is_file():
        return LanguageModel.load(identify(settings, Path()), dtype)
    checkpoint = Checkpoint.read(folder)
    how = "pass trust_remote_code=True"
    return load_checkpoint(base_today(checkpoint, settings.trust_remote_code, how), folder, dtype)
