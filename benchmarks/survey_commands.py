"""What commands take on a survey of many respondents: wall time, CPU time and peak memory.

A synthetic population is written as CSV and as Parquet, with weights, strata, two demographics
and codes for non-response. The codebook of the Parquet file names strata and sampling units, that
of the CSV file does not, so that both ways of resampling are measured. `inspect`, `profile` and
`run --only value_sets` then read each file in a process of their own, whose figures the operating
system counts. `benchmarks/profile.py --commands` prints them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import yaml

OPTIONS = 5
COUNTRIES = [f"C{number:02d}" for number in range(20)]
STRATA, UNITS_A_STRATUM = 100, 40
# Codes for non-response and the share of the answers that each takes.
NON_RESPONSE = {-1: ("don't know", 0.04), -2: ("refused", 0.01), -4: ("not asked", 0.02)}
COMMANDS: dict[str, tuple[str, ...]] = {
    "inspect": ("survey", "inspect", "study.yaml"),
    "profile": ("profile", "study.yaml", "everyone"),
    "run --only value_sets": ("run", "study.yaml", "--only", "value_sets"),
}
# What the commands may take on a million respondents and 50 items, with two cores.
MOST_SECONDS = 30.0
MOST_MEMORY = 2e9


@dataclass(frozen=True)
class Usage:
    """What one process took."""

    wall_seconds: float
    cpu_seconds: float
    peak_memory: int


def synthetic_people(respondents: int, items: int) -> pl.DataFrame:
    """Return a file's rows: ids, weights, strata, demographics and a code for every item."""
    generator = np.random.default_rng(11)
    country = generator.integers(0, len(COUNTRIES), respondents)
    unit = generator.integers(0, STRATA * UNITS_A_STRATUM, respondents)
    columns = {
        "id": pl.Series(np.arange(respondents)).cast(pl.String).str.zfill(8),
        "weight": generator.lognormal(0, 0.4, respondents).round(6),
        "stratum": unit // UNITS_A_STRATUM,
        "psu": unit,
        "country": pl.Series(COUNTRIES).gather(country),
        "age": generator.integers(18, 95, respondents),
    }
    for item in range(items):
        shares = generator.dirichlet(np.full(OPTIONS, 5.0), len(COUNTRIES)).cumsum(axis=1)
        draws = generator.random(respondents)
        codes = 1 + (draws[:, None] > shares[country, : OPTIONS - 1]).sum(axis=1)
        silent = generator.random(respondents)
        upper = 0.0
        for code, (_, share) in NON_RESPONSE.items():
            codes[(silent >= upper) & (silent < upper + share)] = code
            upper += share
        columns[f"q{item}"] = codes.astype(np.int8)
    return pl.DataFrame(columns)


def write_study(folder: Path, people: pl.DataFrame, suffix: str) -> None:
    """Write the rows as `.csv` or `.parquet`, with their codebook and a study."""
    path = folder / f"people{suffix}"
    if suffix == ".csv":
        people.write_csv(path)
    else:
        people.write_parquet(path)
    codebook = {
        "title": "Synthetic people",
        "respondent": "id",
        "weight": "weight",
        **({"stratum": "stratum", "psu": "psu"} if suffix == ".parquet" else {}),
        "demographics": {"country": "country", "age": "age"},
        "non_response": {kind: [code] for code, (kind, _) in NON_RESPONSE.items()},
        "items": [
            {
                "id": name,
                "question": f"How much do you agree with statement {name}?",
                "options": {code: f"Point {code}" for code in range(1, OPTIONS + 1)},
            }
            for name in people.columns
            if name.startswith("q")
        ],
    }
    study = {
        "study": "people",
        "survey": {"reader": "labelled_file", "path": path.name, "codebook": "codebook.yaml"},
        "value_sets": [
            {"name": "everyone", "description": "people"},
            {"name": "young", "where": {"age": {"max": 29}}, "description": "young people"},
        ],
        "held_out": {"by": "list", "items": ["q0"]},
        # Never asked: the commands stop before the model.
        "model": {"endpoint": "http://localhost:1/v1", "name": "none"},
        "methods": ["base"],
        "output": "out",
    }
    for name, content in (("codebook.yaml", codebook), ("study.yaml", study)):
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def measured(words: Sequence[str], folder: Path) -> Usage:
    """Run `suffrage` with these words in a folder and return what the process took.

    Raises RuntimeError with the end of its output when it fails.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        command = [sys.executable, "-P", "-m", "suffrage", *words]
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(words)}: {output.read()[-2000:].decode()}")
    wall = time.perf_counter() - start
    # Linux counts peak memory in kibibytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * unit)


def measure_commands(respondents: int, items: int, folder: Path) -> dict[str, Usage]:
    """Return what each command took on each kind of file, such as "inspect .csv"."""
    people = synthetic_people(respondents, items)
    found = {}
    for suffix in (".csv", ".parquet"):
        inside = folder / suffix[1:]
        inside.mkdir()
        write_study(inside, people, suffix)
        for name, words in COMMANDS.items():
            found[f"{name} {suffix}"] = measured(words, inside)
    return found


def report(respondents: int, items: int, as_json: bool) -> int:
    """Print what each command took; return 1 where one took more than it may, else 0."""
    with tempfile.TemporaryDirectory() as folder:
        found = measure_commands(respondents, items, Path(folder))
    if as_json:
        rows = {name: vars(usage) for name, usage in found.items()}
        print(json.dumps({"respondents": respondents, "items": items, "commands": rows}))
    else:
        print(f"{respondents:,} respondents x {items} items")
        for name, usage in found.items():
            print(
                f"  {name:<32} {usage.wall_seconds:6.1f} s wall {usage.cpu_seconds:6.1f} s CPU "
                f"  peak {usage.peak_memory / 1e9:.2f} GB"
            )
    slow = any(usage.wall_seconds > MOST_SECONDS for usage in found.values())
    return int(slow or any(usage.peak_memory > MOST_MEMORY for usage in found.values()))
