"""The models a run asks: one in memory at a time, every answer kept on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from suffrage.align.checkpoint import load_checkpoint
from suffrage.models import Answerer
from suffrage.models.cache import AnswerStore, CachedAnswerer
from suffrage.models.endpoint import Endpoint
from suffrage.models.identity import weights_folder_hash
from suffrage.population import ValueSet
from suffrage.study.inputs import StudyInputs
from suffrage.study.wiring import groups_of


@dataclass(frozen=True, eq=False)
class ModelOfMethod:
    """One of the models behind a method, before it is loaded."""

    method: str
    # The folder its training left, or that it begins from; None for the study's model as it is.
    checkpoint: Path | None
    # The value sets it answers for.
    value_sets: list[ValueSet]


def models_of(inputs: StudyInputs, method: str, seed: int) -> list[ModelOfMethod]:
    """The models behind a method at one seed.

    One model for all value sets also answers for those that it was not trained on.
    """
    spec, wiring = inputs.method(method), inputs.wiring
    everyone = list(inputs.value_sets.values())
    if spec.method.train is None:
        return [ModelOfMethod(method, wiring.untrained(method), everyone)]
    return [
        ModelOfMethod(
            method,
            wiring.align[method, seed, group].folder,
            inputs.learnt_from((method, seed, group)) if group else everyone,
        )
        for group in groups_of(spec, inputs.study)
    ]


class ModelsAtHand:
    """Loads the models that are asked, and lets each go before the next one is loaded.

    Callers must not keep a model in a variable while they ask for another one.
    """

    def __init__(self, inputs: StudyInputs, store: AnswerStore) -> None:
        self.inputs = inputs
        # Every answer of every model, so that none is asked for twice.
        self.store = store
        self._loaded: tuple[tuple[str, Path | None, str], Answerer] | None = None

    def answerer(self, wanted: ModelOfMethod, dtype: str | None = None) -> Answerer:
        """The model, ready to be asked.

        dtype: the number format it computes in, None for the study's own. Raises InputError when
        it cannot be loaded.
        """
        number_format = dtype or self.inputs.study.scoring.number_format
        key = (wanted.method, wanted.checkpoint, number_format)
        if self._loaded is None or self._loaded[0] != key:
            self.release()
            self._loaded = (key, self._load(wanted, number_format))
        return self._loaded[1]

    def release(self) -> None:
        """Let the model in memory go."""
        self._loaded = None

    def _load(self, wanted: ModelOfMethod, dtype: str) -> Answerer:
        study, wiring = self.inputs.study, self.inputs.wiring
        if study.endpoint:
            endpoint = Endpoint(study.endpoint, study.folder, self.store, wanted.method)
            return CachedAnswerer(endpoint, self.store, [wiring.model.content])
        load = self.inputs.method(wanted.method).method.load
        if load is not None and wanted.checkpoint is not None:
            # Its answers cost nothing: only what it reads of the model is kept.
            start = wiring.untrained(wanted.method)
            return load(wiring.model, wanted.checkpoint, study.output / ".work", start)
        model = wiring.model_of(wanted.checkpoint)
        loaded = load_checkpoint(model, wanted.checkpoint, dtype)
        weights = weights_folder_hash(wanted.checkpoint) if wanted.checkpoint else ""
        decides = [model.content, weights, str(model.device_map), loaded.dtype, loaded.device]
        return CachedAnswerer(loaded, self.store, decides)
