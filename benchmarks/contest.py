"""Contestants one after another on the same input, each in a process of its own.

A process of its own gives each its own peak memory. A benchmark names its contestants, and for each
a function from the size of the input to seconds and the arrays it found.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Seconds, and what was found, by name.
Found = tuple[float, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Contest:
    """What every contestant of one benchmark took and found."""

    # The sizes of the input, as the command line says.
    sizes: Mapping[str, int]
    # Contestant to seconds.
    seconds: Mapping[str, float]
    # Contestant to the most memory its process held, in bytes.
    peak_memory: Mapping[str, int]
    # Contestant to what it found.
    arrays: Mapping[str, Mapping[str, np.ndarray]]
    as_json: bool

    def ratio(self, ours: str) -> dict[str, float]:
        """How many times as long as ours each of the others takes."""
        return {
            way: seconds / self.seconds[ours]
            for way, seconds in self.seconds.items()
            if way != ours
        }

    def tell(self, title: str, ours: str, facts: Mapping[str, Any], end: str) -> None:
        """Print the figures as a table or as JSON, with what the benchmark adds."""
        ratio = self.ratio(ours)
        if self.as_json:
            ways = {
                way: {"seconds": self.seconds[way], "peak_memory_bytes": self.peak_memory[way]}
                for way in self.seconds
            }
            print(json.dumps({**self.sizes, "ways": ways, "ratio": ratio, **facts}))
            return
        print(title)
        for way, seconds in self.seconds.items():
            times = f"   {ratio[way]:6.1f} times ours" if way in ratio else ""
            memory = self.peak_memory[way] / 1e9
            print(f"  {way:<14} {seconds:8.3f} s   peak {memory:.2f} GB{times}")
        print(end)


def hold(
    script: str,
    description: str,
    ways: Mapping[str, Callable[..., Found]],
    sizes: Mapping[str, int],
) -> Contest:
    """Run every contestant and return what they took and found.

    script: the benchmark's file, which is started again for each contestant. sizes: each option's
    name and default; contestants get them in this order.
    """
    parser = argparse.ArgumentParser(description=description)
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", choices=ways, help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    given = parser.parse_args()
    chosen = {name: getattr(given, name) for name in sizes}
    if given.alone:
        seconds, arrays = ways[given.alone](*chosen.values())
        np.savez(given.output, **arrays)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak_memory": peak}))
        raise SystemExit(0)
    options = [word for name, size in chosen.items() for word in (f"--{name}", str(size))]
    taken, found = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for way in ways:
            output = str(Path(folder) / f"{way}.npz")
            words = [sys.executable, script, *options, "--alone", way, "--output", output]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            taken[way] = json.loads(done.stdout.splitlines()[-1])
            found[way] = dict(np.load(output))
    return Contest(
        sizes=chosen,
        seconds={way: one["seconds"] for way, one in taken.items()},
        peak_memory={way: one["peak_memory"] for way, one in taken.items()},
        arrays=found,
        as_json=given.json,
    )
