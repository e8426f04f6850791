"""What a release contains, as the organisers ask for it, and whether it may be made."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from suffrage import settings
from suffrage.consult.consultation import Consultation, accepted_statements
from suffrage.consult.release.disclosure import JoinRule
from suffrage.consult.release.private_record import PrivateRecord
from suffrage.errors import InputError, did_you_mean


class JoinedRowsSettings(BaseModel):
    """Rows that join attributes to votes; they are made only where they are asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    # Demographic items that are made coarse until the rule holds.
    attributes: tuple[str, ...] = Field(min_length=1)
    # Demographic items that must be mixed among people who are alike.
    sensitive: tuple[str, ...] = ()
    # The few statements whose votes are part of the rows. They count as attributes, and no other
    # file contains votes on them.
    statements: tuple[str, ...] = ()
    # How many people must be alike.
    k: int = Field(default=10, ge=5)
    # How mixed sensitive attributes must be: l distinct values, or t instead where it is given.
    distinct: int = Field(default=3, ge=2, alias="l")
    closeness: float | None = Field(default=None, gt=0, le=0.3, alias="t")

    @model_validator(mode="after")
    def _apart(self) -> JoinedRowsSettings:
        both = sorted(set(self.attributes) & set(self.sensitive))
        if both:
            raise ValueError(
                f"{both[0]} is among both attributes and sensitive; name it in one of them"
            )
        return self

    @property
    def rule(self) -> JoinRule:
        """What the rows must meet."""
        return JoinRule(self.k, self.distinct, self.closeness)


class CoarseVotesSettings(BaseModel):
    """A table with differential privacy: votes on the first 20 statements by one item's values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The demographic item whose values are the strata.
    stratum: str
    # What this table spends, and all that may ever be spent.
    epsilon: float = Field(default=1.0, gt=0)
    budget: float = Field(default=3.0, gt=0)


class DatasheetSettings(BaseModel):
    """What only the organisers know, for the datasheet. The card says where an entry is empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    motivation: str = ""
    recruitment: str = ""
    moderation: str = ""
    consent: str = ""
    funding: str = ""
    contact: str = ""
    url: str = ""
    not_for: str = ""


class ReleaseSettings(BaseModel):
    """What a release contains, as `release.yaml` says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The licence of people's texts and choices, and that of the models' answers.
    licence: str = "CC-BY-4.0"
    model_licence: str = "that of each model"
    # Pairs of demographic items that are crossed in a table.
    cross: tuple[tuple[str, str], ...] = ()
    joined: JoinedRowsSettings | None = None
    private: CoarseVotesSettings | None = None
    about: DatasheetSettings = DatasheetSettings()
    # The last entry of the audit log, as `suffrage consult audit head` prints it. Pages fill it in.
    audit_head: str = ""

    @field_validator("cross")
    @classmethod
    def _different(cls, pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for one, other in pairs:
            if one == other:
                raise ValueError(f"{one} cannot be crossed with itself")
        return pairs

    @property
    def items(self) -> tuple[str, ...]:
        """Every demographic item that is named."""
        named = [item for pair in self.cross for item in pair]
        if self.joined is not None:
            named += [*self.joined.attributes, *self.joined.sensitive]
        if self.private is not None:
            named.append(self.private.stratum)
        return tuple(named)


def read_release_settings(path: Path) -> ReleaseSettings:
    """Read a release's settings from a YAML file."""
    return settings.validated(ReleaseSettings, settings.read_yaml(path), path.name)


def check_settings(
    consultation: Consultation, wanted: ReleaseSettings, record: PrivateRecord
) -> None:
    """Check that the settings fit the consultation and what earlier releases published.

    Raises
    ------
    InputError
        A demographic item or statement does not exist, joined rows would undo an earlier release,
        or the budget for differential privacy is spent.
    """
    items = sorted(consultation.demographics["item"].unique().to_list())
    for item in wanted.items:
        if item not in items:
            raise InputError(
                f'release: "{item}" is not a demographic item of this consultation; there are '
                f"{', '.join(items) or 'none'}.{did_you_mean(item, items)}"
            )
    if wanted.joined is not None:
        _check_joined(consultation, wanted.joined, record)
    private = wanted.private
    if private is not None and record.spent + private.epsilon > private.budget:
        raise InputError(
            f"release: private.epsilon: {record.spent:g} of a budget of {private.budget:g} is "
            f"spent, which leaves less than {private.epsilon:g}; leave the table out."
        )


def _check_joined(
    consultation: Consultation, wanted: JoinedRowsSettings, record: PrivateRecord
) -> None:
    if any(each["has_joined"] for each in record.releases):
        raise InputError(
            "release: joined: an earlier release has joined rows, and two such files can undo each "
            "other's coarseness; leave it out."
        )
    known = set(accepted_statements(consultation)["statement"])
    published = {s for each in record.releases for s in each["vote_statements"]}
    for statement in wanted.statements:
        if statement not in known:
            raise InputError(
                f'release: joined.statements: "{statement}" is not an accepted statement.'
            )
        if statement in published:
            raise InputError(
                f"release: joined.statements: votes on {statement} were published row by row in "
                "an earlier release, to which joined rows could be joined; choose others."
            )
