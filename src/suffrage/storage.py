"""Files are written whole or not at all, and hashes identify what made them."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from suffrage.errors import InputError, SuffrageError

HASH_LENGTH = 16


def content_hash(content: Any) -> str:
    """Return a short SHA-256 of anything that JSON can express; equal content has an equal hash.

    Examples
    --------
    >>> content_hash({"b": 1, "a": 2}) == content_hash({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(_canonical(content).encode()).hexdigest()[:HASH_LENGTH]


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)


def hash_of_parts(parts: Iterable[str], content: Any) -> str:
    """Return `content_hash` of a list of the joined parts and the content, without joining them.

    Examples
    --------
    >>> hash_of_parts(["a", "b"], 1) == content_hash(["ab", 1])
    True
    """
    digest = hashlib.sha256(b'["')
    for part in parts:
        digest.update(json.dumps(part)[1:-1].encode())
    digest.update(f'",{_canonical(content)}]'.encode())
    return digest.hexdigest()[:HASH_LENGTH]


def hash_share(text: str) -> float:
    """Return a number from 0 to 1 that depends on the text alone and looks random."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def file_hash(path: Path) -> str:
    """Return a short SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:HASH_LENGTH]


def folder_hash(folder: Path) -> str:
    """Return a short SHA-256 of the names and bytes of every file in a folder."""
    return content_hash(
        {
            str(path.relative_to(folder)): file_hash(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    )


@contextlib.contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn a full disk or a forbidden folder into a message that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(_existing_parent(target)).free / 1e6
            raise SuffrageError(
                f"{target}: the disk is full ({free:.0f} MB free). Nothing finished was lost: "
                "free some space, or set `output:` to another disk, and run the same command again."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InputError(
                f"{target}: no permission to write there; choose another `output:` folder."
            ) from error
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.ENOENT, errno.ENAMETOOLONG):
            raise InputError(
                f"{target}: no folder can be made there ({error.strerror}); choose another "
                "`output:` folder."
            ) from error
        raise


def _existing_parent(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path next to `target`, which replaces it only if the block succeeds."""
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix
        )
        os.close(handle)
        draft = Path(name)
        draft.chmod(0o644)
        try:
            yield draft
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a text file in UTF-8, all or nothing."""
    with atomic_path(target) as draft:
        draft.write_text(text, encoding="utf-8")


def write_json(target: Path, content: Any) -> None:
    """Write a JSON file, all or nothing, with keys in the order given."""
    write_text(target, json.dumps(content, indent=2, ensure_ascii=False, default=_plain) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises InputError when it is missing or not JSON in UTF-8.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not readable as JSON in UTF-8 ({error}).") from error


def _plain(value: Any) -> Any:
    """Return NumPy scalars and arrays as Python numbers and lists, and anything else as text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def write_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into a draft folder, which then replaces `target` as a whole."""
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
        draft.chmod(0o755)
        try:
            fill(draft)
            if target.exists():
                shutil.rmtree(target)
            draft.replace(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
