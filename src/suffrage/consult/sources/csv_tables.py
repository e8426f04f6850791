"""Tables of other platforms: CSV with any of the usual separators, and columns by any name."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from pathlib import Path

from suffrage.errors import InputError, did_you_mean, near_files

# The one that divides a header into most names is the file's.
SEPARATORS = (",", ";", "\t", "|")


def rows_of_text(text: str) -> tuple[list[str], list[dict[str, str]]]:
    """Return the names of a CSV text's columns, and its rows.

    Raises
    ------
    csv.Error
        It is not readable as CSV.
    """
    header = text.split("\n", 1)[0]
    separator = max(SEPARATORS, key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    names = [name for name in reader.fieldnames or [] if name is not None]
    rows = [{name: row.get(name) or "" for name in names} for row in reader]
    return names, rows


def read_table_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return the names of a CSV file's columns, and its rows.

    Raises
    ------
    InputError
        There is no such file, or it is not readable as CSV in UTF-8.
    """
    try:
        return rows_of_text(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file.{near_files(path)}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not readable as CSV in UTF-8 ({error}).") from error


def named_pairs(option: str, text: str | None, allowed: Collection[str]) -> dict[str, str]:
    """Return what an option such as `--columns statement=item,vote=answer` says.

    Parameters
    ----------
    option : str
        The option's name, for messages.
    text : str or None
        What the user wrote.
    allowed : collection of str
        The names on the left.

    Raises
    ------
    InputError
        A name is unknown, appears twice, or has nothing after it.

    Examples
    --------
    >>> named_pairs("--columns", "statement=item, vote=answer", ("statement", "vote"))
    {'statement': 'item', 'vote': 'answer'}
    """
    found: dict[str, str] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in allowed:
            raise InputError(
                f'{option}: "{name}" is not among {", ".join(allowed)}.'
                + did_you_mean(name, allowed)
            )
        if not equals or not value or name in found:
            raise InputError(f"{option}: give {name}=NAME once, such as {name}={name}_of_the_file.")
        found[name] = value
    return found


def need_columns(path: Path, names: Collection[str], columns: Mapping[str, str]) -> None:
    """Raise InputError where a file lacks one of the columns that `columns` names."""
    for role, name in columns.items():
        if name not in names:
            raise InputError(
                f"{path.name}: no column {name}; it has {', '.join(names)}. "
                f"Name the column with --columns {role}=NAME.{did_you_mean(name, names)}"
            )
