"""Run pip and show how far it is, with the time left. Standard library only: nothing else is
installed yet.

    python scripts/watch_pip.py WORDS PACKAGES ARGUMENTS...

WORDS: what is being installed. PACKAGES: about how many packages that is, until pip has said so.
Where it is not on a terminal it prints a line at the start and one a minute. Prints pip's own words
when pip fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

WIDTH = 30
# Seconds between two lines where there is no terminal.
HEARTBEAT = 60.0
# pip looks up and downloads first, then unpacks: about so much of the time goes to the first part.
COLLECTING = 0.55


def share_done(log: str, expected: int, before: int) -> float:
    """0 to 1: packages looked up, then packages that stand in site-packages."""
    planned = [
        line for line in log.splitlines() if line.startswith("Installing collected packages")
    ]
    if not planned:
        found = log.count("\nCollecting ") + log.startswith("Collecting ")
        return COLLECTING * min(1.0, found / expected)
    wanted = sum(line.count(",") + 1 for line in planned)
    site = Path(sysconfig.get_path("purelib"))
    new = len(list(site.glob("*.dist-info"))) - before
    return COLLECTING + (1 - COLLECTING) * min(1.0, max(0, new) / wanted)


def main() -> int:
    """Run pip; its exit status."""
    words, expected, arguments = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    if not terminal:
        print(f"{words}...", file=sys.stderr, flush=True)
    before = len(list(Path(sysconfig.get_path("purelib")).glob("*.dist-info")))
    start = said = time.monotonic()
    before_share = 0.0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
        pip = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        while pip.poll() is None:
            time.sleep(0.5)
            now = time.monotonic()
            if not terminal and now - said < HEARTBEAT:
                continue
            text = os.pread(log.fileno(), 10**7, 0).decode(errors="replace")
            share, said = share_done(text, expected, before), now
            if terminal:
                show(words, share, now - start)
            else:
                clock = time.strftime("%H:%M:%S")
                # A long download or unpacking stands at one share: its end cannot be told.
                rest = left(share, now - start) if share > before_share else "still at work"
                before_share = share
                print(f"{clock}  {words}: {share:.0%} done, {rest}", file=sys.stderr, flush=True)
        if terminal:
            if pip.returncode == 0:
                show(words, 1.0, time.monotonic() - start)
            print(file=sys.stderr)
        if pip.returncode:
            log.seek(0)
            print(log.read(), file=sys.stderr)
    return pip.returncode


def show(words: str, share: float, elapsed: float) -> None:
    """The bar, written over the last one."""
    full = round(WIDTH * share)
    clock = f"{elapsed:.0f} s" if share >= 1 else left(share, elapsed)
    bar = "━" * full + " " * (WIDTH - full)
    print(f"\r{words:<34} {bar} {share:4.0%}  {clock:<20}", end="", file=sys.stderr, flush=True)


def left(share: float, elapsed: float) -> str:
    """The time left, once enough is done to tell."""
    if share <= 0.03:
        return "..."
    seconds = elapsed * (1 - share) / share
    return f"about {seconds:.0f} s left" if seconds < 120 else f"about {seconds / 60:.0f} min left"


if __name__ == "__main__":
    sys.exit(main())
