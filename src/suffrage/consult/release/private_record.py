"""The private record of a consultation's releases: the key, who was in which, what was published.

The record never leaves the organisers. Whoever has it and the consultation can undo the ids;
whoever has it alone cannot.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from suffrage import storage
from suffrage.consult.release.disclosure import SMALLEST_CELL
from suffrage.errors import InputError

FORMAT = 1


@dataclass
class PrivateRecord:
    """The private file, in which people appear as keyed hashes only."""

    path: Path
    # The secret from which ids, randomness and rounding are made.
    key: bytes
    # The consultation's.
    slug: str
    # What each earlier release contained, the oldest first.
    releases: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path, slug: str) -> PrivateRecord:
        """Read the file, or make a new key where there is none.

        Raises InputError where the file belongs to another consultation or has another format.
        """
        if not path.exists():
            return cls(path, secrets.token_bytes(32), slug)
        content = storage.read_json(path)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f"{path}: not the private file of a release of format {FORMAT}.")
        if content["consultation"] != slug:
            raise InputError(
                f"{path}: belongs to the consultation {content['consultation']}, not to {slug}; "
                "give each its own with --private."
            )
        return cls(path, bytes.fromhex(content["key"]), slug, content["releases"])

    def write(self) -> None:
        """Write it, readable by its owner only."""
        content = {
            "format": FORMAT,
            "consultation": self.slug,
            "key": self.key.hex(),
            "releases": self.releases,
        }
        storage.write_json(self.path, content, private=True)

    @property
    def number(self) -> int:
        """The number of the release to be made, from 1."""
        return len(self.releases) + 1

    @property
    def last(self) -> Mapping[str, Any]:
        """What the last release contained; empty before the first."""
        return self.releases[-1] if self.releases else {}

    @property
    def spent(self) -> float:
        """Epsilon of all releases so far."""
        return float(sum(each["epsilon"] for each in self.releases))

    def person(self, participant: str) -> str:
        """A participant's keyed hash in this file, the same in every release."""
        return self._mac("person", participant)

    def may_repeat(self, table: Mapping[str, Any], people: Sequence[str]) -> bool:
        """Whether so few came or went since a table was made that it must stay as it was."""
        return len(set(table["people"]) ^ set(map(self.person, people))) < SMALLEST_CELL

    def minted(self, table: str, participant: str) -> str:
        """A participant's id in one table of this release; every other table has another."""
        return self._mac("id", self.number, table, participant)[:12]

    def generator(self, purpose: str) -> np.random.Generator:
        """Randomness of this release that nobody without the key can repeat."""
        return np.random.default_rng(int(self._mac("draw", self.number, purpose), 16))

    def _mac(self, *label: object) -> str:
        return hmac.new(self.key, repr(label).encode(), hashlib.sha256).hexdigest()
