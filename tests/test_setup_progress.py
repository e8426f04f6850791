"""What `scripts/setup` says while pip is at work and there is no terminal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "watch_pip.py"
# In the place of pip: slow, or failing.
PIP = """
import sys, time
print("Collecting one", flush=True)
print("Collecting two", flush=True)
time.sleep(2.2)
sys.exit(int(sys.argv[-1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("status", [0, 3])
def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is(
    status: int, tmp_path: Path
) -> None:
    (tmp_path / "pip.py").write_text(PIP)
    run = f"import runpy; m = runpy.run_path({str(SCRIPT)!r}, run_name='watch_pip')\n"
    run += "main = m['main']; main.__globals__['HEARTBEAT'] = 0.6; raise SystemExit(main())"
    found = subprocess.run(
        [sys.executable, "-c", run, "Setting up", "4", str(status)],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == status
    lines = found.stderr.splitlines()
    assert lines[0] == "Setting up..."
    assert lines[1][8:].startswith("  Setting up: 28% done, about ")
    # What stands still has no end that could be told.
    assert lines[2][8:] == "  Setting up: 28% done, still at work"
    assert ("Collecting two" in lines) == (status != 0)
