"""The script that removes protections says how it is used, and refuses names that match nothing."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "scripts" / "mutations"


def called(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False
    )


def test_help_is_help_and_removes_nothing() -> None:
    for word in ("--help", "-h"):
        found = called(word)
        assert found.returncode == 0 and found.stdout.startswith("Remove one protection")


def test_a_word_that_no_name_contains_is_an_error() -> None:
    found = called("no-such-name")
    assert found.returncode == 2 and "no-such-name" in found.stderr
