"""Critique records: a model's draft, what it found wrong with it, and its revision.

What they teach: to give the revised answer at once. The texts are a model's, written in training.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import polars as pl

from suffrage.models.asking import Message
from suffrage.training_data.records import Records

CritiqueOutcome = Literal["ok", "unchanged", "empty", "refusal", "off_format"]
OUTCOMES: tuple[CritiqueOutcome, ...] = ("ok", "unchanged", "empty", "refusal", "off_format")
# What a readable answer to train on may be.
READABLE: tuple[CritiqueOutcome, ...] = ("ok", "unchanged")

CRITIQUE = (
    "Hold your answer against this principle:\n\n{}\n\n"
    "Say in one or two sentences where your answer falls short of it."
)
REVISION = "Now give your answer again, so that it keeps to the principle. Say nothing else."
# The first words of the instructions. A text that has them in it repeats its instruction.
INSTRUCTIONS = ("hold your answer against this principle", "now give your answer again")
# A refusal declares itself at once, in the words instruction-tuned models use (English only).
REFUSAL = re.compile(
    r"\b(i|we)('m| am| are)? (can't|cannot|can not|won't|unable to|not able to)\b"
    r"|\bi('m| am) sorry\b|\bas an? (ai|artificial|large language|language model)\b",
    re.IGNORECASE,
)
REFUSAL_WITHIN = 120
# Prose is mostly letters, their marks and spaces, in any script; "No." is two thirds.
LETTERS_AT_LEAST = 0.5


def outcome(text: str, before: str | None = None) -> CritiqueOutcome:
    """What became of a text that a model was asked for.

    Parameters
    ----------
    text : str
    before : str, optional
        The answer that it was to revise.

    Returns
    -------
    str
        "empty"; "off_format" for no prose, broken characters, or a repeated instruction; "refusal"
        where it declines in its first words; "unchanged" where it is the answer before; or "ok".

    Examples
    --------
    >>> outcome("I'm sorry, but I can't answer that.")
    'refusal'
    """
    plain = " ".join(text.split())
    if not plain:
        return "empty"
    letters = sum(c == " " or unicodedata.category(c)[0] in "LM" for c in plain)
    if "\ufffd" in plain or letters < LETTERS_AT_LEAST * len(plain):
        return "off_format"
    if any(words in plain.lower() for words in INSTRUCTIONS):
        return "off_format"
    if REFUSAL.search(plain[:REFUSAL_WITHIN].replace("’", "'")):
        return "refusal"
    if before is not None and plain == " ".join(before.split()):
        return "unchanged"
    return "ok"


def critique_messages(user: str, answer: str, principle: str) -> list[Message]:
    """The conversation that ends in asking for a critique."""
    return [
        {"role": "user", "content": user},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": CRITIQUE.format(principle)},
    ]


def revision_messages(user: str, answer: str, principle: str, critique: str) -> list[Message]:
    """The conversation that ends in asking for a revision."""
    return [
        *critique_messages(user, answer, principle),
        {"role": "assistant", "content": critique},
        {"role": "user", "content": REVISION},
    ]


def critique_records(
    prompts: Records,
    drafts: Sequence[str],
    critiques: Sequence[Sequence[str]],
    revisions: Sequence[Sequence[str]],
) -> Records:
    """What was written to each prompt, nothing left out.

    Parameters
    ----------
    prompts : Records
        Prompt records.
    drafts : sequence of str
        One a prompt.
    critiques, revisions : sequence of sequences of str
        For each prompt, one a round.

    Returns
    -------
    Records
        `outcome` is that of the last revision, `critique_outcomes` are those of the critiques.
    """
    rows = []
    for row, draft, found, revised in zip(
        prompts.frame.to_dicts(), drafts, critiques, revisions, strict=True
    ):
        before = [draft, *revised][-2]
        rows.append(
            {
                **{key: row[key] for key in ("id", "value_set", "item", "user", "format")},
                "draft": draft,
                "principles": row["principles"],
                "critiques": list(found),
                "critique_outcomes": [outcome(text) for text in found],
                "revisions": list(revised),
                "completion": revised[-1],
                "outcome": outcome(revised[-1], before),
            }
        )
    return Records("critique", pl.DataFrame(rows), dict(prompts.made_from))


def outcome_counts(outcomes: Sequence[str], kinds: Sequence[str] = OUTCOMES) -> Mapping[str, int]:
    """How many of each kind, zeros included."""
    found: Counter[str] = Counter(outcomes)
    return {kind: found[kind] for kind in kinds}


def to_train_on(records: Records, keep: Literal["readable", "all"]) -> list[dict[str, Any]]:
    """The rows whose revision may be learnt: those with a readable one, or all."""
    return [row for row in records.frame.to_dicts() if keep == "all" or row["outcome"] in READABLE]
