"""Codes of answers as a codebook writes them, and their order."""

from __future__ import annotations

import math
from typing import Any


def plain_code(code: Any) -> str:
    """A code as a codebook writes it: "1" for 1, 1.0 and "1.0"; texts stripped."""
    text = str(code).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text


def code_order(code: str) -> tuple[float, str]:
    """A key that sorts codes by their number, and texts after all numbers."""
    try:
        return float(code), code
    except ValueError:
        return math.inf, code
