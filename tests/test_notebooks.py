"""The notebooks of the documentation run from top to bottom, and show nobody's machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="notebooks need the extra dev")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
# Where a run leaves what it made: a home, a temporary folder, a mount.
MACHINE = re.compile(r"/(?:tmp|home|root|work|Users|mnt|var)/|[A-Z]:\\\\|site-packages")
MODEL = "bundled:smollm2-135m"


def identified(path: Path) -> str:
    return path.stem


def shown_by(cell: object) -> str:
    """The text of a cell's outputs."""
    outputs = cell.get("outputs", [])  # type: ignore[attr-defined]
    return "".join(
        str(output.get("text", "")) + str(output.get("data", "")) + str(output.get("traceback", ""))
        for output in outputs
    )


def test_there_are_notebooks() -> None:
    assert {path.stem for path in NOTEBOOKS} == {"your-csv", "ask-a-checkpoint"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=identified)
def test_a_notebook_was_run_whole_and_its_outputs_name_no_machine(path: Path) -> None:
    cells = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    shown = "".join(shown_by(cell) for cell in cells)
    assert shown and MACHINE.search(shown) is None and "Traceback" not in shown


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=identified)
def test_a_notebook_runs(
    path: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient = pytest.importorskip("nbclient", reason="notebooks need the extra dev")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    commands = ROOT / ".venv" / "bin"
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.read(path, 4)
    assert any(MODEL in cell.source for cell in notebook.cells if cell.cell_type == "code")
    for cell in notebook.cells:
        # The model is not what is tested, and a tiny one answers in no time.
        cell.source = cell.source.replace(MODEL, str(tiny_model))
    where = {"metadata": {"path": str(tmp_path)}}
    done = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources=where
    ).execute()
    last = [cell for cell in done.cells if cell.cell_type == "code"][-1]
    assert re.search(r"\d\.\d\d", shown_by(last))


def test_a_path_of_a_machine_is_seen() -> None:
    assert MACHINE.search("run in /home/jane/study") and MACHINE.search("/tmp/x")
    assert MACHINE.search("study/study.yaml") is None
