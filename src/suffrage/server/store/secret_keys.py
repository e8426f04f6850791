"""The secret behind every token: the database holds only what nobody can use without it.

The key comes from SUFFRAGE_SECRET, the file SUFFRAGE_SECRET_FILE names, or a file next to a SQLite
database. Several keys, a comma between, rotate: the first makes what is new, all of them are tried.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from suffrage import storage
from suffrage.errors import InputError

VARIABLE = "SUFFRAGE_SECRET"
FILE_VARIABLE = "SUFFRAGE_SECRET_FILE"
LEAST_CHARACTERS = 32
# Crockford's base 32: no letter looks like a figure, and none is U.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_CHARACTERS = 16
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})


@dataclass(frozen=True)
class Secrets:
    """Keys, the current one first. Never shown, not even in an error's trace."""

    keys: tuple[bytes, ...] = field(repr=False)

    def hash(self, purpose: str, token: str) -> str:
        """A token's HMAC-SHA256 under the current key, for one purpose only."""
        return _keyed(self.keys[0], purpose, token)

    def hashes(self, purpose: str, token: str) -> list[str]:
        """The same under every key still accepted."""
        return [_keyed(key, purpose, token) for key in self.keys]

    def is_hash(self, purpose: str, token: str, claimed: str) -> bool:
        """Whether `claimed` was made from the token, checked in a time that reveals nothing."""
        found = [
            hmac.compare_digest(made.encode(), claimed.encode())
            for made in self.hashes(purpose, token)
        ]
        return any(found)


def new_token() -> str:
    """A token of 192 random bits for links and cookies."""
    return secrets.token_urlsafe(24)


def new_code() -> str:
    """A code of 80 random bits that can be read aloud: four groups of four characters."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS))
    return "-".join(letters[at : at + 4] for at in range(0, CODE_CHARACTERS, 4))


def read_code(typed: str) -> str:
    """Return a typed code as `new_code` writes it.

    Case and spaces do not matter, and O counts as 0, I and L as 1.
    """
    letters = "".join(ch for ch in typed.upper().translate(_READ_AS) if ch in ALPHABET)
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def new_id() -> str:
    """Return a random id, which says nothing of order or time."""
    return secrets.token_hex(8)


def make_secret_file(path: Path) -> None:
    """Write a new key that only the owner of the file can read; one that exists stays.

    The file appears whole: of two processes that start at once both read the same key.
    """
    if path.exists():
        return
    with storage.disk_errors(path):
        storage.make_folder(path.parent)
        passing = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        handle = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(secrets.token_urlsafe(48) + "\n")
            storage.sync(passing)
            try:
                os.link(passing, path)
            except FileExistsError:
                pass  # somebody else was first
            except OSError:  # a file system without links
                if not path.exists():
                    shutil.copy2(passing, path)
                    storage.sync(path)
            # Before anything is stored under it.
            storage.sync(path.parent)
        finally:
            passing.unlink()


def is_named_by_environment() -> bool:
    """Whether the secret comes from the environment and not from the file next to the store."""
    return any(os.environ.get(name) for name in (VARIABLE, FILE_VARIABLE))


def find_secrets(nearby: Path | None) -> Secrets:
    """The keys of this deployment.

    nearby: the secret file of a SQLite store. Raises InputError where there is none, or too short.
    """
    source, text = VARIABLE, os.environ.get(VARIABLE, "")
    if not text and (named := os.environ.get(FILE_VARIABLE)):
        source, text = f"{FILE_VARIABLE} ({named})", _read(Path(named))
    if not text and nearby is not None and not nearby.exists():
        raise InputError(
            f"{nearby}: the secret of this store is missing, and without it what people said of "
            "themselves, their sessions and invitations cannot be read. Put your copy of it back, "
            "or follow docs/consultation.md, Backup, if there is none."
        )
    if not text and nearby is not None:
        source, text = str(nearby), _read(nearby)
    if not text:
        raise InputError(
            f"the store's secret is not set; export {VARIABLE} with {LEAST_CHARACTERS} or more "
            f"random characters, or {FILE_VARIABLE} with the path of a file that holds them."
        )
    keys = tuple(key.strip().encode() for key in text.split(",") if key.strip())
    if not keys or min(map(len, keys)) < LEAST_CHARACTERS:
        raise InputError(
            f"{source}: a key is shorter than {LEAST_CHARACTERS} characters; make one with "
            '`python -c "import secrets; print(secrets.token_urlsafe(48))"`.'
        )
    return Secrets(keys)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the secret is not readable ({error}).") from error


def _keyed(key: bytes, purpose: str, token: str) -> str:
    return hmac.new(key, f"{purpose}\0{token}".encode(), hashlib.sha256).hexdigest()
