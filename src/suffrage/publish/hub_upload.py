"""A published folder as a repository on the Hugging Face Hub, with the user's own token."""

from __future__ import annotations

import re
from pathlib import Path

from suffrage.errors import InputError, SuffrageError, require
from suffrage.publish.receipt import RepresentationReceipt, verify

_REPOSITORY = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")


def push_to_hub(folder: Path, repository: str, public: bool = False) -> str:
    """Upload a published folder, and return the address where it is.

    The token is the one that `hf auth login` stored or that HF_TOKEN has. A repository that
    is there already gets a new commit; one that is not is made.

    Parameters
    ----------
    folder : Path
        What `publish_run` wrote.
    repository : str
        "owner/name".
    public : bool
        Whether a new repository can be read by everybody.

    Raises
    ------
    InputError
        The name is no repository's, nobody is logged in, or the folder has changed.
    SuffrageError
        The hub refused, or cannot be reached.
    """
    hub = require("huggingface_hub", "align", "publishing on the hub")
    check_repository(repository)
    if RepresentationReceipt.read(folder).covers != "collection":
        raise InputError(f"{folder}: is not a published folder; `suffrage publish` makes one.")
    problems = verify(folder).problems
    if problems:
        raise InputError(f"{folder}: has changed since it was published: {problems[0]}")
    if hub.get_token() is None:
        raise InputError(
            "nobody is logged in at the hub: run `hf auth login`, or set HF_TOKEN to a token that "
            "may write."
        )
    api = hub.HfApi()
    try:
        made = api.create_repo(repository, repo_type="model", private=not public, exist_ok=True)
        api.upload_folder(
            repo_id=made.repo_id,
            repo_type="model",
            folder_path=folder,
            commit_message=f"Publish {folder.name}",
            delete_patterns="*",
        )
    except Exception as error:  # the hub's client fails in many ways
        answered = getattr(error, "response", None) is not None
        problem = "the hub refused it" if answered else "the upload failed"
        reason = " ".join(str(error).split())
        raise SuffrageError(
            f"{repository}: {problem} ({reason}). The folder {folder} is complete; the same "
            "command tries again."
        ) from error
    return str(made)


def check_repository(name: str) -> None:
    """Refuse what cannot be a repository's name, before anything long. Raises InputError."""
    if not _REPOSITORY.fullmatch(name):
        raise InputError(f'--hub "{name}": is not a repository; write owner/name.')
