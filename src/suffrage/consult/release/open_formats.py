"""Tables in open formats: Parquet, JSON lines, and CSV that no spreadsheet runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from suffrage.consult.csv_files import neutralised, write_csv


def write_open_formats(folder: Path, frames: Mapping[str, pl.DataFrame]) -> list[Path]:
    """Write each table as .parquet, .jsonl and .csv, and return the paths.

    Only the CSV is changed: an apostrophe is put before texts that a spreadsheet would run as a
    formula.
    """
    written = []
    for name, frame in frames.items():
        paths = [folder / f"{name}.{ending}" for ending in ("parquet", "jsonl", "csv")]
        frame.write_parquet(paths[0])
        lines = (json.dumps(row, ensure_ascii=False) for row in frame.iter_rows(named=True))
        paths[1].write_bytes("".join(f"{line}\n" for line in lines).encode())
        rows = ([_cell(value) for value in row] for row in frame.iter_rows())
        write_csv(paths[2], [frame.columns, *rows])
        written += paths
    return written


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return neutralised(value) if isinstance(value, str) else value
