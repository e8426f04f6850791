"""Which model a name in a study means, and how large it is, without loading it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from suffrage import storage
from suffrage.errors import InputError
from suffrage.models import bundled
from suffrage.models.hub import cached_folder, is_at_hand, resolved_revision
from suffrage.models.local_settings import LocalModelSettings
from suffrage.models.shape import ModelShape, folder_shape

# Files of a model's folder that describe it and decide none of its answers.
DESCRIPTIONS = frozenset({"README.md", "manifest.json", "receipt.json"})


def weights_folder_hash(folder: Path) -> str:
    """A hash of all in a model's or adapter's folder that decides its answers."""
    return storage.folder_hash(folder, DESCRIPTIONS)


@dataclass(frozen=True)
class ModelIdentity:
    """What a model name in a study means, without loading the model."""

    # As the study has it.
    name: str
    # A folder, a hub id or "bundled:NAME".
    source: str
    # A hash of everything that decides the model's answers: its weights (of a hub id, the commit),
    # how attention is computed, and whether code of its own runs.
    content: str
    licence: str | None = None
    # The commit of a hub id; None where it could not be found out, and for other models.
    revision: str | None = None
    attn_implementation: str | None = None
    # Where the weights go when the model is asked. It moves answers by rounding only.
    device_map: str | dict[str, int | str] | None = None
    trust_remote_code: bool = False

    @property
    def on_hub(self) -> bool:
        """Whether the source is a hub id."""
        return is_hub_id(self.source)

    @property
    def public_name(self) -> str:
        """What others can call it: a hub id, a bundled name, or a folder's own name.

        The path of a folder says something of whoever trained the model, and helps nobody else.
        """
        if self.on_hub or self.source.startswith(bundled.PREFIX):
            return self.source
        return Path(self.source).name

    @property
    def described(self) -> str:
        """The name with the revision of a hub id, for people to read."""
        return f"{self.name} (revision {self.revision[:12]})" if self.revision else self.name


def identify(model: str | LocalModelSettings, folder: Path, key: str = "model") -> ModelIdentity:
    """Resolve what a study calls a model.

    Parameters
    ----------
    model : str or LocalModelSettings
        "bundled:NAME", a path, or a hub id ("owner/name"), by itself or with settings.
    folder : Path
        Where a relative path starts.
    key : str
        The setting that names the model, for errors.

    Raises
    ------
    InputError
        The path has no model in it, there is no such bundled model, or the hub has no such model
        or revision.
    """
    settings = LocalModelSettings(name=model) if isinstance(model, str) else model
    found = _weights(settings, folder, key)
    if settings.revision is not None and not found.on_hub:
        raise InputError(
            f"{key}.revision: {settings.name} is not a hub id; only models on the hub have "
            "revisions."
        )
    return _with_loading(found, settings)


def identify_trained(folder: Path, base: ModelIdentity) -> ModelIdentity:
    """A whole model that a training wrote, loaded as its base model is.

    Parameters
    ----------
    folder : Path
        The model as Transformers saved it.
    base : ModelIdentity
        The model that was trained.
    """
    settings = LocalModelSettings(
        name=str(folder),
        attn_implementation=base.attn_implementation,  # type: ignore[arg-type]
        device_map=base.device_map,
        trust_remote_code=base.trust_remote_code,
    )
    return identify(settings, folder)


def is_hub_id(name: str) -> bool:
    """Whether a name has the form of a hub id, "owner/name".

    Examples
    --------
    >>> is_hub_id("owner/name"), is_hub_id("./name"), is_hub_id("/models/name")
    (True, False, False)
    """
    return name.count("/") == 1 and not name.startswith((".", "/", "~", bundled.PREFIX))


def check_at_hand(identity: ModelIdentity, key: str = "model") -> None:
    """Check that a model of the hub can be loaded now, without loading it.

    Parameters
    ----------
    identity : ModelIdentity
        A folder or a bundled model passes: `identify` has seen its files.
    key : str
        The setting that names the model, for the error.

    Raises
    ------
    InputError
        The model is not in the local cache, and the hub does not have it or cannot be asked.
    """
    if identity.on_hub and not is_at_hand(identity.source, identity.revision, key):
        raise InputError(not_at_hand(identity, key))


def not_at_hand(identity: ModelIdentity, key: str = "model") -> str:
    """Say why a model of the hub cannot be loaded where the hub cannot be asked."""
    return (
        f"{key}: {identity.name} is neither a folder here nor in the local cache, and the hub "
        "could not be asked for it. Check the name, the network and HF_TOKEN, or set HF_HOME to a "
        "cache that has the model."
    )


def _weights(settings: LocalModelSettings, folder: Path, key: str) -> ModelIdentity:
    """A model by its weights alone."""
    name = settings.name
    if name.startswith(bundled.PREFIX):
        short = name.removeprefix(bundled.PREFIX)
        licence = bundled.bundled_model(short).licence
        content = bundled.weights_hash(bundled.bundled_files(short))
        return ModelIdentity(name, name, content, licence)
    path = _model_folder(name, folder, key)
    if path is not None:
        return ModelIdentity(name, str(path), weights_folder_hash(path))
    revision = resolved_revision(name, settings.revision, key)
    # Without a commit nothing can be loaded, so that no answer is ever kept under this name alone.
    content = name if revision is None else storage.content_hash([name, revision])
    return ModelIdentity(name, name, content, revision=revision)


def check_name(name: str, folder: Path, key: str = "model") -> None:
    """Check that a name can be a model's, without reading its weights or asking the hub.

    Parameters
    ----------
    name : str
        "bundled:NAME", a path, or a hub id.
    folder : Path
        Where a relative path starts.
    key : str
        The setting that names the model, for the error.

    Raises
    ------
    InputError
        The path has no model in it, or there is no such bundled model.
    """
    if name.startswith(bundled.PREFIX):
        bundled.bundled_model(name.removeprefix(bundled.PREFIX))
    else:
        _model_folder(name, folder, key)


def _model_folder(name: str, folder: Path, key: str) -> Path | None:
    """The folder that a model's name is; None where it is a hub id."""
    path = (folder / Path(name).expanduser()).resolve()
    if path.exists():
        if not (path / "config.json").is_file():
            inside = sorted(one.name for one in path.glob("checkpoints/*") if one.is_dir())
            if inside:
                raise InputError(
                    f"{key}: {name} is a run's folder, not a model; name a checkpoint in it, such "
                    f"as {Path(name) / 'checkpoints' / inside[0]}."
                )
            raise InputError(
                f"{key}: {name} is not a model: it needs to be a folder with a config.json and "
                "weights, as Transformers' save_pretrained writes it."
            )
        return path
    if not is_hub_id(name):
        raise InputError(
            f"{key}: {name} does not exist; give a folder, a hub id (owner/name) or "
            f"{', '.join(bundled.PREFIX + known for known in sorted(bundled.BUNDLED))}."
        )
    return None


def _with_loading(found: ModelIdentity, settings: LocalModelSettings) -> ModelIdentity:
    """The model with the settings by which it is loaded; those that change numbers are content."""
    decides = settings.model_dump(include={"attn_implementation", "trust_remote_code"})
    usual = decides == {"attn_implementation": None, "trust_remote_code": False}
    return replace(
        found,
        content=found.content if usual else storage.content_hash([found.content, decides]),
        attn_implementation=settings.attn_implementation,
        device_map=settings.device_map,
        trust_remote_code=settings.trust_remote_code,
    )


def model_shape(identity: ModelIdentity) -> ModelShape | None:
    """How large the model is, without loading it; None for a hub id that was not fetched."""
    return source_shape(identity.source, identity.revision)


def source_shape(source: str, revision: str | None = None) -> ModelShape | None:
    """How large a model is by where it is, without reading its weights; see `model_shape`.

    Parameters
    ----------
    source : str
        A folder, a hub id or "bundled:NAME".
    revision : str, optional
        Of a hub id.
    """
    if source.startswith(bundled.PREFIX):
        return bundled.bundled_model(source.removeprefix(bundled.PREFIX)).shape
    if is_hub_id(source):
        folder = cached_folder(source, revision)
        return None if folder is None else folder_shape(folder)
    return folder_shape(Path(source))
