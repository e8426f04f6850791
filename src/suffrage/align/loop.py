"""The state of our own training loops: kept whole on disk, and resumed after an interruption."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suffrage import storage
from suffrage.errors import SuffrageError

if TYPE_CHECKING:
    import torch

STATE = "state.pt"


def trainable(model: Any) -> dict[str, torch.Tensor]:
    """The parameters that are trained, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def snapshot(model: Any) -> dict[str, torch.Tensor]:
    """A copy of the parameters that are trained."""
    return {name: p.detach().clone() for name, p in trainable(model).items()}


def all_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether no number of these tensors is infinite or NaN."""
    import torch

    return all(bool(torch.isfinite(t).all()) for t in tensors if t.is_floating_point())


def kept_point(folder: Path) -> str:
    """Say whether a training that breaks off has saved a point, in one sentence.

    folder: of a `Loop`, or of a trainer's checkpoints.
    """
    if (folder / STATE).exists() or any(folder.glob("checkpoint-*")):
        return f"The last good point is kept in {folder}."
    return "It had saved no point yet."


def saving_memory(model: Any, options: Any) -> Any:
    """The model, computing activations again in the backward pass where the options say so."""
    if options.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


@contextlib.contextmanager
def as_it_was(model: Any, before: dict[str, torch.Tensor]) -> Iterator[None]:
    """For a block, give the model the parameters of a snapshot: the reference of a divergence."""
    now = {name: p.data for name, p in trainable(model).items()}
    for name, p in trainable(model).items():
        p.data = before[name]
    try:
        yield
    finally:
        for name, p in trainable(model).items():
            p.data = now[name]


class Loop:
    """Steps done, the log of each, and everything needed to continue from the last one saved.

    Making one continues the training whose state the folder has.

    Parameters
    ----------
    folder : Path
        Where the state is kept.
    model : Module
        Its trainable parameters are part of the state.
    parts : dict
        What else has `state_dict` and `load_state_dict`, such as an optimizer, by name.
    seed : int
        Of `generator`, which is part of the state.

    Attributes
    ----------
    extra : dict
        Plain values that change with steps.
    log : list of dict
        One line a step.
    step, resumed_from : int
        Steps done, and how many of them before the last interruption.
    seconds_before : float
        Seconds spent before it.
    """

    def __init__(self, folder: Path, model: Any, parts: dict[str, Any], seed: int) -> None:
        import torch

        self.folder, self.model, self.parts = folder, model, parts
        self.extra: dict[str, Any] = {}
        self.log: list[dict[str, float]] = []
        self.step = 0
        self.resumed_from = 0
        self.seconds_before = 0.0
        self._began = time.monotonic()
        self.generator = torch.Generator().manual_seed(seed)
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / STATE).exists():
            self._restore()

    def save(self) -> None:
        """Save this point. A kill while saving leaves the one before.

        Raises
        ------
        SuffrageError
            A weight is not a number. The point before is kept.
        """
        import torch

        heads = [part.parameters() for part in self.parts.values() if hasattr(part, "parameters")]
        if not all_finite(chain(trainable(self.model).values(), *heads)):
            raise SuffrageError(
                f"training diverged: a weight at step {self.step} is not a number. The likely "
                f"cause is a learning rate too high; try a tenth. {kept_point(self.folder)}"
            )
        state = {
            "step": self.step,
            "seconds": self.seconds_before + time.monotonic() - self._began,
            "log": self.log,
            "extra": self.extra,
            "trained": {name: p.detach().cpu() for name, p in trainable(self.model).items()},
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "generator": self.generator.get_state(),
            "torch": torch.get_rng_state(),
        }
        with storage.disk_errors(self.folder), storage.atomic_path(self.folder / STATE) as draft:
            torch.save(state, draft)

    def write_log(self, path: Path) -> None:
        """The log as JSON lines."""
        lines = [json.dumps(entry) for entry in self.log]
        storage.write_text(path, "\n".join(lines) + "\n")

    def _restore(self) -> None:
        import torch

        state = torch.load(self.folder / STATE, weights_only=False)
        if not all_finite(state["trained"].values()):
            (self.folder / STATE).unlink()
            return
        self.step = self.resumed_from = state["step"]
        self.seconds_before = state["seconds"]
        self.log, self.extra = state["log"], state["extra"]
        with torch.no_grad():
            for name, p in trainable(self.model).items():
                p.copy_(state["trained"][name])
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["torch"])
