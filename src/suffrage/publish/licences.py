"""Licences as hubs write them."""

from __future__ import annotations

import re

# Ids that hubs know, by the words that begin a licence.
_KNOWN = {
    "apache-2.0": "apache-2.0",
    "mit": "mit",
    "bsd-3-clause": "bsd-3-clause",
    "cc-by-4.0": "cc-by-4.0",
    "cc-by-sa-4.0": "cc-by-sa-4.0",
    "cc-by-nc-4.0": "cc-by-nc-4.0",
    "cc0-1.0": "cc0-1.0",
}


def licence_facts(licence: str | None) -> dict[str, str]:
    """A licence in the front matter of a card.

    Examples
    --------
    >>> licence_facts("Apache-2.0 (SmolLM2-135M-Instruct, Hugging Face)")
    {'license': 'apache-2.0'}
    >>> licence_facts("Gemma Terms of Use")
    {'license': 'other', 'license_name': 'gemma-terms-of-use'}
    """
    if not licence:
        return {"license": "unknown"}
    first = licence.partition(" ")[0].lower().rstrip(",;.")
    if first in _KNOWN:
        return {"license": _KNOWN[first]}
    name = licence.partition(",")[0].partition("(")[0]
    return {
        "license": "other",
        "license_name": re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-"),
    }
