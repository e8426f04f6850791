"""What is known of a server behind an endpoint, and what it has cost, kept between runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from suffrage.models.endpoint_api import Dialect
from suffrage.models.endpoint_settings import EndpointSettings
from suffrage.models.endpoint_usage import EndpointUsage

# Of trial answers, the share that must begin with a label for questions to be worth their cost.
ENOUGH_LABELLED = 0.5
# How many names of a model are told.
MODELS_NAMED = 3


@dataclass(frozen=True)
class Abilities:
    """What a server can do, as a few trial requests found it."""

    # How many likeliest tokens it is asked for; 0 when labels are read from drawn answers.
    top: int = 0
    # How many of them it listed when it was tried.
    listed: int = 0
    # Why labels are read from drawn answers, where the study did not ask for it.
    why_drawn: str | None = None
    # Whether the model writes labels in lower case.
    any_case: bool = False
    # Whether it gives the probabilities of a given text.
    echo: bool = False
    # Whether it says how many tokens it read and wrote.
    counts_tokens: bool = True
    # Whether it ends an answer at the length that is asked for.
    keeps_length: bool = True
    # Of a few trial answers, the share that began with a label.
    labelled: float = 1.0
    # What it calls the model itself, when it was tried ...
    model: str | None = None
    # ... and since then, where that is not the same.
    other_models: tuple[str, ...] = ()
    dialect: Dialect = field(default_factory=Dialect)


class Memory(Protocol):
    """Where an endpoint's abilities and expenses are kept between runs."""

    def recall(self, name: str) -> Any:
        """What was kept under a name, or None."""
        ...

    def remember(self, name: str, value: Any) -> None:
        """Keep something JSON can hold."""
        ...


def ability_notes(found: Abilities, settings: EndpointSettings) -> list[str]:
    """What a user should know of how this server is asked, in sentences.

    Examples
    --------
    >>> settings = EndpointSettings(endpoint="https://host/v1", name="x")
    >>> ability_notes(Abilities(top=20, dialect=Dialect(seed=False)), settings)
    ['The server takes no seed, so that drawn answers cannot be repeated exactly.']
    """
    dialect, notes = found.dialect, []
    if found.why_drawn:
        notes.append(
            f"Labels are read from {settings.samples} drawn answers to each way of asking, because "
            f"{found.why_drawn}."
        )
    if found.any_case:
        notes.append("The model writes labels in lower case; they count like the capital ones.")
    if found.labelled < ENOUGH_LABELLED:
        notes.append(
            f"Only {found.labelled:.0%} of the trial answers began with the label of an option; "
            "many questions will count as refused."
        )
    if not dialect.seed:
        notes.append("The server takes no seed, so that drawn answers cannot be repeated exactly.")
    if not dialect.temperature:
        notes.append(
            "The server takes no temperature; answers are drawn at its own, which may differ from "
            "the model's whole distribution."
        )
    elif not dialect.top_p:
        notes.append(
            "The server does not take top_p together with a temperature; its own cut-off of "
            "unlikely tokens applies."
        )
    if not dialect.many and found.top == 0:
        notes.append("The server gives one answer to a request: every drawn answer is a request.")
    if dialect.shortest > 1:
        notes.append(
            f"The server writes {dialect.shortest} tokens or more to each request, more than are "
            "needed."
        )
    if not found.keeps_length:
        notes.append(
            "The server writes on past the length that is asked for, so that answers cost more "
            "than planned."
        )
    if not found.counts_tokens and settings.prices:
        notes.append(
            "The server does not count tokens, or counts impossible ones; every byte counts as one "
            "there, so that the budget holds."
        )
    if found.other_models:
        notes.append(
            f"The server called the model {found.model} when it was tried, and "
            f"{', '.join(found.other_models[:MODELS_NAMED])} later, so that other weights may have "
            "given some of the answers."
        )
    return notes


def known_abilities(memory: Memory, settings: EndpointSettings) -> Abilities | None:
    """What was found out about an endpoint; None when it was never asked."""
    kept = memory.recall(_abilities_name(settings))
    if not kept:
        return None
    others = tuple(kept.get("other_models", ()))
    return Abilities(**{**kept, "other_models": others, "dialect": Dialect(**kept["dialect"])})


def keep_abilities(memory: Memory, settings: EndpointSettings, found: Abilities) -> None:
    """Keep what was found out, for this run and later ones."""
    memory.remember(_abilities_name(settings), asdict(found))


def spent_by_purpose(memory: Memory, settings: EndpointSettings) -> dict[str, EndpointUsage]:
    """What each purpose (a method) has spent at an endpoint over all runs."""
    kept = memory.recall(_usage_name(settings)) or {}
    return {purpose: EndpointUsage(**usage) for purpose, usage in kept.items()}


def keep_spent(
    memory: Memory, settings: EndpointSettings, spent: Mapping[str, EndpointUsage]
) -> None:
    """Keep what each purpose has spent."""
    kept = {purpose: asdict(usage) for purpose, usage in spent.items()}
    memory.remember(_usage_name(settings), kept)


def _abilities_name(settings: EndpointSettings) -> str:
    return f"abilities {settings.identity.content}"


def _usage_name(settings: EndpointSettings) -> str:
    # What a model costs counts toward one budget, however its answers are read.
    return f"usage {settings.endpoint} {settings.name}"
