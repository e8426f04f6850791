"""What a deployment decides; what a consultation decides is in its own settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from suffrage import settings
from suffrage.server.answer_model import AnswerModel
from suffrage.server.mail import MailSettings


@dataclass(frozen=True)
class Allowance:
    """A token bucket: so many acts at once, which come back evenly."""

    # How many acts.
    each: int
    # In how many seconds all of them have come back.
    seconds: float


# By act: what one session may do, and what all behind one network address (/24, or /56) may.
# Networks get more: a school or a meeting hall is one address.
DEFAULT_LIMITS: Mapping[str, tuple[Allowance, Allowance]] = MappingProxyType(
    {
        "vote": (Allowance(60, 60), Allowance(1200, 60)),
        "statement": (Allowance(5, 3600), Allowance(100, 3600)),
        "join": (Allowance(20, 3600), Allowance(200, 3600)),
        # Of a network only. Wrong passwords have waits of their own (`sign_in_tries.py`).
        "login": (Allowance(60, 3600), Allowance(60, 3600)),
        "write": (Allowance(120, 60), Allowance(2400, 60)),
    }
)


class _Rates(BaseModel):
    model_config = ConfigDict(extra="forbid")

    each: tuple[Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0)]] | None = None
    network: tuple[Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0)]] | None = None


class _LimitsFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    vote: _Rates = _Rates()
    statement: _Rates = _Rates()
    join: _Rates = _Rates()
    login: _Rates = _Rates()
    write: _Rates = _Rates()


def read_limits(path: Path) -> Mapping[str, tuple[Allowance, Allowance]]:
    """Read rate limits from a YAML file; what it does not say is as in `DEFAULT_LIMITS`.

    Each act has `each`, for one session, and `network`, for all behind one address. Both are a
    number of acts and the seconds in which they come back. Raises InputError.
    """
    wanted = settings.validated(_LimitsFile, settings.read_yaml(path), path.name)

    def one(act: str) -> tuple[Allowance, Allowance]:
        rates: _Rates = getattr(wanted, act)
        mine, everyones = DEFAULT_LIMITS[act]
        return (
            Allowance(*rates.each) if rates.each else mine,
            Allowance(*rates.network) if rates.network else everyones,
        )

    return {act: one(act) for act in DEFAULT_LIMITS}


@dataclass(frozen=True)
class ServerSettings:
    """How a server is run."""

    # A folder, .db file or postgresql:// address.
    store: str
    # As people see it in a browser.
    base_url: str = "http://127.0.0.1:8000"
    # None switches rate limits off, for tests and rehearsals only.
    limits: Mapping[str, tuple[Allowance, Allowance]] | None = field(
        default_factory=lambda: DEFAULT_LIMITS
    )
    # Whether another process keeps results fresh.
    results: bool = False
    # A folder of more translations.
    locales: Path | None = None
    # Of the draws; None takes one from the operating system.
    seed: int | None = None
    # The names the server answers to; empty for all.
    hosts: tuple[str, ...] = ()
    # A folder for what organisers release. None: next to a SQLite store, nowhere with PostgreSQL.
    releases: Path | None = None
    # The model that writes answers to compare. None: organisers type or upload them.
    model: AnswerModel | None = None
    # The mail server by which invitations go. None: organisers download the links instead.
    mail: MailSettings | None = None

    @property
    def secure(self) -> bool:
        """Whether people come by https, and cookies travel by it alone."""
        return self.base_url.startswith("https://")
