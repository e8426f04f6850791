"""What a deployment decides, as against what a consultation decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class Allowance:
    """A token bucket: `each` acts in `seconds`, all at once if need be, then as they come back."""

    each: int
    seconds: float


# By act: what one session may do, and what all behind one network address (/24, or /56) may.
# Networks get more: a school or a meeting hall is one address.
DEFAULT_LIMITS: Mapping[str, tuple[Allowance, Allowance]] = MappingProxyType(
    {
        "vote": (Allowance(60, 60), Allowance(1200, 60)),
        "statement": (Allowance(5, 3600), Allowance(100, 3600)),
        "join": (Allowance(20, 3600), Allowance(200, 3600)),
        "login": (Allowance(10, 3600), Allowance(10, 3600)),
        "write": (Allowance(120, 60), Allowance(2400, 60)),
    }
)


@dataclass(frozen=True)
class ServerSettings:
    """store: a folder, .db file or postgresql:// address. base_url: as people see it in a browser.

    limits: None switches rate limits off, for tests and rehearsals only. results: whether this
    process keeps results fresh in a process of its own. locales: a folder of more translations.
    seed: of the draws, None for one from the operating system. hosts: names the server answers to.
    releases: a folder for what organisers release; None: beside a SQLite store, nowhere otherwise.
    """

    store: str
    base_url: str = "http://127.0.0.1:8000"
    limits: Mapping[str, tuple[Allowance, Allowance]] | None = field(
        default_factory=lambda: DEFAULT_LIMITS
    )
    results: bool = False
    locales: Path | None = None
    seed: int | None = None
    hosts: tuple[str, ...] = ()
    releases: Path | None = None

    @property
    def secure(self) -> bool:
        """Whether people come by https, and cookies travel by it alone."""
        return self.base_url.startswith("https://")
