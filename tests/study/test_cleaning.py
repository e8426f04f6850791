"""Cleaning says what there is, frees only what is named, and never a finished run's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.publish.receipt import RECEIPT, ReceiptPart, RepresentationReceipt
from suffrage.study.commands.cleaning import clean_runs


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with one stage of its own, one of an earlier version, and work in progress."""
    folder = tmp_path / "run"
    for place, size in (
        ("splits/seed1-0123abcd", 10),
        ("splits/seed1-99999999", 200),
        (".work/sft-abc", 3000),
    ):
        (folder / place).mkdir(parents=True)
        (folder / place / "content").write_bytes(b"x" * size)
    (folder / "splits" / "seed1").symlink_to("seed1-99999999", target_is_directory=True)
    parts = [ReceiptPart("split 1", "split", "splits/seed1-0123abcd")]
    receipt = RepresentationReceipt("town", "run", ".", [], parts, {}, [])
    (folder / RECEIPT).write_text(receipt.text)
    (tmp_path / "cache" / "models").mkdir(parents=True)
    (tmp_path / "cache" / "models" / "weights").write_bytes(b"x" * 50)
    monkeypatch.setenv("SUFFRAGE_CACHE", str(tmp_path / "cache"))
    return folder


def test_without_a_flag_it_only_says_what_there_is(run: Path) -> None:
    before = sorted(run.rglob("*"))
    found = {held.kind: held for held in clean_runs([run])}
    assert (found["old"].bytes, found["work"].bytes, found["cache"].bytes) == (200, 3000, 50)
    assert found["kept"].bytes >= 10 + (run / RECEIPT).stat().st_size
    assert not any(held.freed for held in found.values())
    assert set(before) <= set(run.rglob("*"))


def test_old_stages_go_with_the_links_to_them_and_nothing_else(run: Path) -> None:
    clean_runs([run], ["old"])
    assert [path.name for path in (run / "splits").iterdir()] == ["seed1-0123abcd"]
    assert (run / ".work" / "sft-abc").is_dir()


def test_the_command_frees_what_is_named_and_counts_bytes(run: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["clean", str(run), "--work", "--cache", "--json"])
    assert json.loads(shown.output)["freed_bytes"] == 3050
    assert not (run / ".work").exists() and not (tmp_path / "cache").exists()
    assert (run / "splits" / "seed1-99999999").is_dir()
    assert (run / "splits" / "seed1-0123abcd" / "content").is_file()


def test_the_command_says_that_nothing_was_removed_where_nothing_is_named(run: Path) -> None:
    shown = CliRunner().invoke(app, ["clean", str(run)])
    assert shown.exit_code == 0 and "Nothing was removed" in shown.output
    assert "finished" not in shown.output, "a run may be at its beginning"


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match="is not a run"):
        clean_runs([tmp_path / "photos"], ["old", "work"])
