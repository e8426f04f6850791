"""General instructions mixed in among a method's own records, so that abilities are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.errors import InputError, unreadable_json
from suffrage.training_data.records import RecordRow, Records, in_random_rounds

# The format of a record that is a general instruction.
GENERAL = "general"


def read_general(path: Path) -> list[tuple[str, str]]:
    """The instructions of a JSONL file, `{"prompt": ..., "completion": ...}` a line.

    Returns
    -------
    list of (str, str)
        Prompts with their completions.

    Raises
    ------
    InputError
        There is no such file, a line is not of this form, or the file has none.
    """
    if not path.is_file():
        raise InputError(f"general: {path} does not exist.")
    found = []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"general: {path} is {unreadable_json(error)}.") from error
    for number, line in storage.json_lines(text):
        try:
            content = json.loads(line)
            found.append((str(content["prompt"]), str(content["completion"])))
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise InputError(
                f'general: {path} line {number} must be {{"prompt": ..., "completion": ...}}.'
            ) from error
    if not found:
        raise InputError(f"general: {path} has no instruction in it.")
    return found


def steps_with_general(
    own: Sequence[RecordRow],
    general: Sequence[RecordRow],
    steps: int,
    batch: int,
    general_rows: int,
    seed: int,
) -> list[RecordRow]:
    """Rows for `steps` steps of training, in the order of training.

    Parameters
    ----------
    own : sequence of rows
        The method's own records, each once in random order, then again.
    general : sequence of rows
        Instructions, in turn. May be empty where `general_rows` is 0.
    steps, batch : int
        How many steps, of how many rows.
    general_rows : int
        How many of a step's rows are instructions; they come last.
    seed : int
        Decides the order of the own records.

    Returns
    -------
    list of rows
        steps x batch of them, with `id` counting from 0.

    Raises
    ------
    ValueError
        There is no own record.
    """
    if not own:
        raise ValueError("there must be a row to train on")
    each = batch - general_rows
    order = in_random_rounds(len(own), steps * each, np.random.default_rng([seed, 40]))
    found: list[RecordRow] = []
    for step in range(steps):
        found += [own[place] for place in order[step * each : (step + 1) * each]]
        found += [general[(step * general_rows + k) % len(general)] for k in range(general_rows)]
    return [{**row, "id": f"{place:06d}"} for place, row in enumerate(found)]


def with_general(records: Records, path: Path, batch: int, general: int) -> Records:
    """The records with `general` instructions at the end of each step, in turn.

    batch: records a step, where the records do not say which step they are of.
    """
    instructions = read_general(path)
    rows, place = [], 0
    for step, own in enumerate(rows_by_step(records.frame.to_dicts(), batch - general)):
        rows += own
        for _ in range(general):
            prompt, completion = instructions[place % len(instructions)]
            rows.append(
                {
                    "id": f"general-{place:06d}",
                    "value_set": "",
                    "item": "",
                    "user": prompt,
                    "format": GENERAL,
                    "completion": completion,
                    # In a way of its own, where records say theirs.
                    **({"step": step, "way": -1 - place} if "way" in own[0] else {}),
                }
            )
            place += 1
    rows += [row for row in records.frame.to_dicts() if row.get("validation")]
    made_from = {**records.made_from, "general": storage.file_hash(path), "general_rows": general}
    return Records(records.kind, pl.DataFrame(rows, infer_schema_length=None), made_from)


def rows_by_step(rows: Sequence[RecordRow], size: int) -> list[list[RecordRow]]:
    """The records of each step, without those held back; `size` each where they do not say."""
    own = [row for row in rows if not row.get("validation")]
    if own and own[0].get("step") is None:
        return [own[start : start + size] for start in range(0, len(own), size)]
    found: dict[int, list[RecordRow]] = {}
    for row in own:
        found.setdefault(row["step"], []).append(row)
    return list(found.values())
