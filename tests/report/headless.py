"""A page as Chromium makes it, without a window."""

import subprocess
from pathlib import Path

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--allow-file-access-from-files",
    # Milliseconds that scripts on the page are given.
    "--virtual-time-budget=8000",
)


def dumped_page(program: str, page: Path, width: int) -> str:
    """The page's HTML after its scripts have run, in a window of this width."""
    command = [
        program,
        *FLAGS,
        f"--user-data-dir={page.parent / 'profile'}",
        f"--window-size={width},900",
        "--dump-dom",
        f"file://{page}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    return done.stdout
