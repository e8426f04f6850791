"""Files are written whole or not at all, and hashes identify what made them.

What is being written is called a draft: a hidden file or folder next to its place, which nobody
else can read. Its writer holds a lock on it. A draft without a lock was left by a process that was
killed, and the next one that writes to the same place removes it. No other file is ever removed.

What is written is on the disk before it gets its name, and the name is on the disk before the
writer goes on: after a loss of power a file is there as a whole, or as it was before. An error of
the disk at either is the writer's error.
"""

import contextlib
import errno
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from suffrage.errors import ANOTHER_PLACE, InputError, SuffrageError, near_files, unreadable_json

try:
    import fcntl as _flock
except ImportError:  # Windows: abandoned drafts stay there
    _flock = None  # type: ignore[assignment]

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


def folder_hash(folder: Path, without: Collection[str] = ()) -> str:
    """Return a short SHA-256 of the names and bytes of every file in a folder.

    without: names of files at the top of the folder that do not count.
    """
    return content_hash(
        {
            str(path.relative_to(folder)): file_hash(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and str(path.relative_to(folder)) not in without
        }
    )


def bytes_held(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; links are not followed."""
    if path.is_file():
        return path.stat().st_size
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file() and not p.is_symlink())


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
                "free some space, or write to another disk, and run the same command again."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InputError(f"{target}: no permission to write there; {ANOTHER_PLACE}.") from error
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.ENOENT, errno.ENAMETOOLONG):
            raise InputError(
                f"{target}: no folder can be made there ({error.strerror}); {ANOTHER_PLACE}."
            ) from error
        if error.errno == errno.EIO:
            raise SuffrageError(
                f"{target}: the disk failed while this was written ({error.strerror}), so do not "
                "rely on it. Check the disk, and run the same command again."
            ) from error
        raise


def _existing_parent(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


@contextlib.contextmanager
def atomic_path(target: Path, private: bool = False) -> Iterator[Path]:
    """Give a temporary path next to `target`, which replaces it only if the block succeeds.

    private: only the owner may read the file. Nobody else can read any draft. Raises InputError
    where a folder is there.
    """
    _check_no_folder(target)
    with disk_errors(target):
        make_folder(target.parent)
        _remove_abandoned(target.parent, target.stem, target.suffix)
        with _locked_draft(target.parent, target.stem, target.suffix) as draft:
            try:
                yield draft
                draft.chmod(0o600 if private else 0o644)
                sync(draft)
                draft.replace(target)
                sync(target.parent)
            finally:
                draft.unlink(missing_ok=True)


def write_text(target: Path, text: str, private: bool = False) -> None:
    """Write a text file in UTF-8, all or nothing; `private` as in `atomic_path`.

    Ends of lines stay as they are, so that a file has the same bytes and hash on every system.
    A text replaces a text. A mistaken name must not destroy a database, a table or weights, which
    have a byte 0 near their start.
    """
    if b"\0" in _start_of(target):
        raise InputError(
            f"{target}: is there already and is no text, so it would be lost; name a new file."
        )
    with atomic_path(target, private) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")


def write_page(target: Path, page: str) -> None:
    """Write an HTML page, all or nothing; it may replace a page, and no other file.

    So a page can be made again, and a mistaken name destroys neither a database nor a text.
    """
    check_replaceable(target, _PAGE, "no web page", "report.html")
    write_text(target, page)


_PAGE = re.compile(rb"\s*<!doctype html", re.IGNORECASE)


def check_replaceable(target: Path, own: re.Pattern[bytes], is_not: str, such_as: str) -> None:
    """Raise InputError unless a file is new, empty, or begins as what is to be written does.

    A command that takes long calls this before it begins.

    Parameters
    ----------
    target : Path
        The file to write.
    own : pattern
        How the files begin that the same command has written.
    is_not : str
        What another file is, for the message, such as "no web page".
    such_as : str
        A name for a new file, for the message.
    """
    _check_no_folder(target)
    start = _start_of(target)
    if start and not own.match(start):
        raise InputError(
            f"{target}: is there already and is {is_not}, so it would be lost; name a new "
            f"file, such as {such_as}."
        )


def _check_no_folder(target: Path) -> None:
    if target.is_dir():
        raise InputError(f"{target}: is a folder, and a file was to be written; name a file in it.")


def _start_of(path: Path) -> bytes:
    """The first bytes of a file; none where there is no file."""
    if not path.is_file():
        return b""
    with disk_errors(path), path.open("rb") as file:
        return file.read(1000)


def write_json(target: Path, content: Any, private: bool = False) -> None:
    """Write a JSON file, all or nothing, with keys in the order given."""
    text = json.dumps(content, indent=2, ensure_ascii=False, default=_plain) + "\n"
    write_text(target, text, private)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises InputError when it is missing or not JSON in UTF-8.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file.{near_files(path)}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {unreadable_json(error)}.") from error


def json_lines(text: str) -> Iterator[tuple[int, str]]:
    """Give the number and the text of each line of JSON lines that is not blank.

    Only a line feed ends a line. JSON texts may hold the other line ends that `str.splitlines`
    knows, such as U+2028.

    Examples
    --------
    >>> [number for number, _ in json_lines('"a\u2028b"\\n\\n"c"\\n')]
    [1, 3]
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line


def _plain(value: Any) -> Any:
    """Return NumPy scalars and arrays as Python numbers and lists, and anything else as text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def write_folder(target: Path, fill: Callable[[Path], None], private: bool = False) -> None:
    """Let `fill` write into a draft folder, which then becomes `target` as a whole.

    Parameters
    ----------
    target : Path
        A new folder, or an empty one. Into an empty one the finished files are moved one by one,
        because it may be a mounted disk or the current folder, which cannot be replaced.
    fill : callable
        It is given the draft's path.
    private : bool
        Only the owner may read the folder. Nobody else can read any draft.

    Raises
    ------
    InputError
        Something is there already, which would be lost.
    """
    with disk_errors(target):
        check_free_for_writing(target)
        there = target.is_dir()
        parent, name = (target, "") if there else (target.parent, target.name)
        make_folder(parent)
        _remove_abandoned(parent, name, is_folder=True)
        with _locked_draft(parent, name, is_folder=True) as draft:
            try:
                fill(draft)
                draft.chmod(0o700 if private else 0o755)
                for path in (*draft.rglob("*"), draft):
                    if not path.is_symlink():
                        sync(path)
                if there:
                    if private:
                        target.chmod(0o700)
                    for path in draft.iterdir():
                        path.rename(target / path.name)
                else:
                    _put_in_place(draft, target)
                sync(parent)
            finally:
                shutil.rmtree(draft, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those around it where they do not exist, and have their names on disk."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(missing):
        sync(path.parent)


def sync(path: Path) -> None:
    """Have a file's content, or the names in a folder, on the disk; raise its error otherwise."""
    is_folder = path.is_dir()
    if is_folder and _flock is None:  # Windows opens no folder
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems, mostly of a network, cannot do it for folders.
        if not (is_folder and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(handle)


def check_free_for_writing(folder: Path) -> None:
    """Raise InputError unless the folder is new or empty, so that writing it destroys nothing."""
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file, and a folder was to be written; name a new folder.")
    others = [path for path in folder.iterdir() if not _is_draft(path.name)]
    if others:
        raise InputError(
            f"{folder}: has something in it already (such as {others[0].name}), and it is "
            "not overwritten; name a new or an empty folder."
        )


def _put_in_place(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # it came while the draft was filled
            check_free_for_writing(target)
        raise


_DRAFT = "suffrage-draft"


def _is_draft(name: str) -> bool:
    return name.startswith(".") and f".{_DRAFT}" in name


@contextlib.contextmanager
def _locked_draft(
    parent: Path, stem: str, suffix: str = "", is_folder: bool = False
) -> Iterator[Path]:
    """A new draft that only this user can read, under a lock that ends with this process."""
    while True:
        prefix, ending = f".{stem}-", f".{_DRAFT}{suffix}"
        handle: int | None
        if is_folder:
            draft = Path(tempfile.mkdtemp(dir=parent, prefix=prefix, suffix=ending))
            handle = os.open(draft, os.O_RDONLY) if _flock is not None else None
        else:
            handle, name = tempfile.mkstemp(dir=parent, prefix=prefix, suffix=ending)
            draft = Path(name)
            if _flock is None:  # an open file cannot be replaced there
                os.close(handle)
                handle = None
        try:
            if handle is not None:
                _lock(handle)
            # Somebody who removes what was abandoned may have come before the lock.
            if draft.exists():
                yield draft
                return
        finally:
            if handle is not None:
                os.close(handle)


def _remove_abandoned(parent: Path, stem: str, suffix: str = "", is_folder: bool = False) -> None:
    """Remove drafts of the same place whose writers were killed."""
    if _flock is None:
        return
    for draft in parent.glob(f".{glob.escape(stem)}-*.{_DRAFT}{glob.escape(suffix)}"):
        if draft.is_symlink() or draft.is_dir() != is_folder:
            continue
        with contextlib.suppress(OSError):
            handle = os.open(draft, os.O_RDONLY)
            try:
                if not _lock(handle, wait=False):
                    continue
                if is_folder:
                    shutil.rmtree(draft)
                else:
                    draft.unlink()
            finally:
                os.close(handle)


def _lock(handle: int, wait: bool = True) -> bool:
    """Lock an open file or folder until it is closed. False where that cannot be known."""
    if _flock is None:
        return False
    try:
        _flock.flock(handle, _flock.LOCK_EX | (0 if wait else _flock.LOCK_NB))
    except OSError:  # another process has the lock, or the file system knows none
        return False
    return True
