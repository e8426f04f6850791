"""The keys that `docs/json.md` promises, and whether what a command printed has just these."""

import re
from functools import cache
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "json.md"
ROWS = "rows of "


@cache
def documented() -> dict[str, str]:
    """The second cell of each command's row: its keys, or what they are the names of."""
    found = re.findall(r"(?m)^\| `suffrage ([^`]+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8"))
    return dict(found)


def check_keys(command: str, printed: Any) -> None:
    """Compare what a command printed with its row of the page. command: as the page names it."""
    cell = documented()[command]
    keys = re.findall(r"`([^`]+)`", cell)
    if cell.startswith(ROWS):
        assert isinstance(printed, list) and printed, command
        for row in printed:
            assert sorted(row) == sorted(keys), command
    elif keys:
        assert sorted(printed) == sorted(keys), command
    else:
        assert isinstance(printed, dict) and printed, command
    _check_bytes(printed)


def _check_bytes(content: object, key: str = "") -> None:
    """Every size is a whole number, or null."""
    if isinstance(content, dict):
        for name, value in content.items():
            _check_bytes(value, name)
    elif isinstance(content, list):
        for value in content:
            _check_bytes(value, key)
    elif key == "bytes" or key.endswith("_bytes"):
        assert content is None or isinstance(content, int), key
