"""Which model a name in a study means, and how large it is, without loading it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from suffrage import storage
from suffrage.errors import InputError
from suffrage.models import bundled
from suffrage.models.shape import ModelShape, folder_shape


@dataclass(frozen=True)
class ModelIdentity:
    """What a model name in a study means, without loading the model."""

    # As the study has it.
    name: str
    # A folder, a hub id or "bundled:NAME".
    source: str
    # A hash of the weights; of a hub id, the id.
    content: str
    licence: str | None = None


def identify(name: str, folder: Path) -> ModelIdentity:
    """Resolve the name of a model.

    Parameters
    ----------
    name : str
        "bundled:NAME", a path, or a hub id ("owner/name").
    folder : Path
        Where a relative path starts.

    Raises
    ------
    InputError
        The path has no model in it, or there is no such bundled model.
    """
    if name.startswith(bundled.PREFIX):
        short = name.removeprefix(bundled.PREFIX)
        licence = bundled.bundled_model(short).licence
        content = bundled.weights_hash(bundled.bundled_files(short))
        return ModelIdentity(name, name, content, licence)
    path = (folder / Path(name).expanduser()).resolve()
    if path.exists():
        if not (path / "config.json").is_file():
            raise InputError(
                f"model: {name} is not a model: it needs to be a folder with a config.json and "
                "weights, as Transformers' save_pretrained writes it."
            )
        return ModelIdentity(name, str(path), storage.folder_hash(path))
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise InputError(
            f"model: {name} does not exist; give a folder, a hub id (owner/name) or "
            f"{', '.join(bundled.PREFIX + known for known in sorted(bundled.BUNDLED))}."
        )
    return ModelIdentity(name, name, name)


def model_shape(identity: ModelIdentity) -> ModelShape | None:
    """How large the model is, without loading it; None for a hub id that was not fetched."""
    if identity.source.startswith(bundled.PREFIX):
        return bundled.bundled_model(identity.source.removeprefix(bundled.PREFIX)).shape
    return folder_shape(Path(identity.source))
