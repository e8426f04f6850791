"""Which revision of a model on the Hugging Face Hub a name means, from the local cache or the hub.

A name such as "owner/name" means other weights whenever its owner uploads new ones. A revision's
commit hash never does, so models are loaded by it and stored results are keyed by it.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from suffrage.errors import InputError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_CONFIG = "config.json"
# Seconds to wait for the hub.
_PATIENCE = 10.0


def resolved_revision(name: str, revision: str | None, key: str = "model") -> str | None:
    """Resolve a branch or tag of a model on the hub to its commit hash.

    The local cache is asked first, so that a study keeps the weights that it began with, and works
    offline. A branch that was never fetched is looked up on the hub, and kept in the cache.

    Parameters
    ----------
    name : str
        "owner/name".
    revision : str or None
        A branch, a tag or a commit hash; None means "main".
    key : str
        The setting that names the model, for errors.

    Returns
    -------
    str or None
        40 hexadecimal digits; None where the cache does not know and the hub cannot be asked.

    Raises
    ------
    InputError
        The hub has no such model or no such revision of it, or it is gated.

    Examples
    --------
    >>> resolved_revision("owner/name", "0123456789abcdef0123456789abcdef01234567")
    '0123456789abcdef0123456789abcdef01234567'
    """
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    folder = cached_folder(name, revision)
    return folder.name if folder is not None else _asked(name, revision, key)


def is_at_hand(name: str, revision: str | None, key: str = "model") -> bool:
    """Say whether a revision of a model is in the local cache, or the hub offers it now.

    Parameters
    ----------
    name : str
        "owner/name".
    revision : str or None
        A commit hash, as `resolved_revision` found it. None is never at hand.
    key : str
        The setting that names the model, for errors.

    Raises
    ------
    InputError
        The hub has no such model or no such revision of it, or it is gated.
    """
    if revision is None:
        return False
    return cached_folder(name, revision) is not None or _asked(name, revision, key) is not None


def cached_folder(name: str, revision: str | None) -> Path | None:
    """The folder of a model's revision in the local cache; None where it was not fetched."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, _CONFIG, revision=revision)
    except HFValidationError:
        return None  # no name that the hub could have
    return Path(found).parent if isinstance(found, str) else None


def _asked(name: str, revision: str | None, key: str) -> str | None:
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        # This fails at once where there is no network; a download would be tried for long.
        HfApi().model_info(name, revision=revision, timeout=_PATIENCE)
        file = hf_hub_download(name, _CONFIG, revision=revision, etag_timeout=_PATIENCE)
    except RevisionNotFoundError as error:
        raise InputError(
            f"{key}.revision: {name} has no revision {revision}; give a branch, a tag or a commit "
            f"hash that https://huggingface.co/{name}/commits/main lists."
        ) from error
    except GatedRepoError as error:
        raise InputError(
            f"{key}: {name} is gated; accept its terms at https://huggingface.co/{name}, and set "
            "HF_TOKEN to a token of the account that accepted them."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise InputError(
            f"{key}: {name} is neither a folder here nor a model on the hub that you may read; "
            "check the spelling, and set HF_TOKEN if the model is private."
        ) from error
    except Exception:  # the hub's client fails in many other ways
        return None
    return Path(file).parent.name
