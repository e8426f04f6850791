"""A receipt notices every changed byte, and parts that do not belong together."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from suffrage.errors import InputError
from suffrage.publish.receipt import (
    RECEIPT,
    ReceiptPart,
    RepresentationReceipt,
    ancestors,
    seal_again,
    sealed_files,
    verify,
)


def test_a_file_seal_is_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "weights.bin").write_bytes(b"abc")
    found = sealed_files(tmp_path, ["part"])
    assert list(found) == ["part/weights.bin"]
    seal = found["part/weights.bin"]
    assert (seal.bytes, seal.sha256) == (3, hashlib.sha256(b"abc").hexdigest())


def test_a_part_has_all_that_it_was_made_from_as_ancestors() -> None:
    parts = [
        ReceiptPart("survey", "survey", ""),
        ReceiptPart("value set a", "value set", "", made_from=("survey",)),
        ReceiptPart("value set b", "value set", "", made_from=("survey",)),
        ReceiptPart("records", "records", "", made_from=("value set a",)),
    ]
    assert [p.name for p in ancestors(parts, "records")] == ["survey", "value set a", "records"]


@pytest.mark.slow
def test_an_untouched_run_and_its_checkpoint_verify(run: Path) -> None:
    found = verify(run)
    assert not found.problems
    assert found.files == len(RepresentationReceipt.read(run).files)
    (checkpoint,) = (p for p in (run / "checkpoints").iterdir() if not p.is_symlink())
    alone = verify(checkpoint)
    assert not alone.problems
    kinds = {part.kind for part in RepresentationReceipt.read(checkpoint).parts}
    assert kinds == {"survey", "value set", "split", "records", "model", "checkpoint"}


@pytest.mark.slow
def test_verify_fails_for_every_changed_byte_of_data_records_weights_and_results(
    run: Path,
) -> None:
    receipt = RepresentationReceipt.read(run)
    folders = {place.split("/")[0] for place in receipt.files}
    assert {"survey", "value_sets", "splits", "records", "checkpoints", "answers"} <= folders
    assert {"results", "results.json", "report.html"} <= folders
    for place in receipt.files:
        path = run / place
        content = path.read_bytes()
        for position in {0, len(content) // 2, len(content) - 1}:
            changed = bytearray(content)
            changed[position] ^= 1
            path.write_bytes(changed)
            problems = verify(run).problems
            assert any(place in problem for problem in problems), f"{place} at byte {position}"
        path.write_bytes(content)
    assert not verify(run).problems


@pytest.mark.slow
def test_verify_fails_for_any_changed_byte_of_the_receipt_itself(run: Path) -> None:
    path = run / RECEIPT
    content = path.read_bytes()
    for position in range(0, len(content), max(1, len(content) // 60)):
        changed = bytearray(content)
        changed[position] = changed[position] ^ 1 or 65
        path.write_bytes(changed)
        try:
            problems = verify(run).problems
        except InputError:
            continue
        assert problems, f"byte {position}: {content[position : position + 20]!r}"


@pytest.mark.slow
def test_missing_and_added_files_are_noticed(run: Path) -> None:
    (checkpoint,) = (p for p in (run / "checkpoints").iterdir() if not p.is_symlink())
    (checkpoint / "pytorch_model.bin").write_bytes(b"what a loader might take")
    (found,) = verify(run).problems
    assert "pytorch_model.bin" in found and "not in the receipt" in found
    assert any("pytorch_model.bin" in problem for problem in verify(checkpoint).problems)
    (checkpoint / "pytorch_model.bin").unlink()
    (run / "results.json").unlink()
    (found,) = verify(run).problems
    assert found == "results.json: is missing."


@pytest.mark.slow
def test_records_of_another_run_do_not_fit_even_with_hashes_made_anew(run: Path) -> None:
    """Whoever edits records and seals them again is found out by what the checkpoint names."""
    receipt = RepresentationReceipt.read(run)
    (records,) = (part for part in receipt.parts if part.kind == "records")
    path = run / records.place / "records.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]))
    files = {**receipt.files, **sealed_files(run, [records.place])}
    resealed = RepresentationReceipt(
        receipt.study, "run", ".", receipt.represents, receipt.parts, files, receipt.whole
    )
    (run / RECEIPT).write_text(resealed.text)
    problems = verify(run).problems
    assert problems == ([f"{records.name}: its content is not what the receipt says it is."]), (
        "and nothing else, for every byte is as the new receipt says"
    )
    (run / records.place / "records.json").write_text("{}")
    files = {**receipt.files, **sealed_files(run, [records.place])}
    (run / RECEIPT).write_text(replace(receipt, files=files).text)
    (problem,) = verify(run).problems
    assert problem.startswith(f"{records.name}: its files cannot be read (")


@pytest.mark.slow
def test_a_receipt_of_another_version_of_suffrage_is_as_good(run: Path) -> None:
    receipt = replace(RepresentationReceipt.read(run), made_with="suffrage 0.0.9")
    (run / RECEIPT).write_text(receipt.text)
    found = verify(run)
    assert not found.problems and found.seal == receipt.seal


@pytest.mark.slow
def test_another_end_of_line_in_the_receipt_is_a_changed_byte(run: Path) -> None:
    content = (run / RECEIPT).read_bytes()
    for end in (b"\r", b"\r\n"):
        (run / RECEIPT).write_bytes(content.replace(b"\n", end, 1))
        assert verify(run).problems == [f"{RECEIPT}: was changed after it was written."]


def test_a_receipt_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    sound = RepresentationReceipt("s", "checkpoint", ".", [], [], {}, ["a"])
    for wrong in (
        replace(sound, whole=["a", "b"]),
        replace(sound, root=3),  # type: ignore[arg-type]
        replace(sound, parts=[ReceiptPart("a", "survey", None)]),  # type: ignore[arg-type]
    ):
        (tmp_path / RECEIPT).write_text(wrong.text)
        with pytest.raises(InputError, match="incomplete or was edited"):
            verify(tmp_path)


@pytest.mark.slow
def test_a_checkpoint_taken_away_verifies_alone_and_says_what_is_not_there(
    run: Path, tmp_path: Path
) -> None:
    (checkpoint,) = (p for p in (run / "checkpoints").iterdir() if not p.is_symlink())
    away = Path(shutil.copytree(checkpoint, tmp_path / "away" / "own" / "model"))
    found = verify(away)
    assert not found.problems
    assert found.files == len(list(away.iterdir())) - 1, "every file but the receipt itself"
    assert any(name.startswith("survey") for name in found.absent)
    weights = away / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    (problem,) = verify(away).problems
    assert "adapter_model.safetensors" in problem and "was changed" in problem


@pytest.mark.slow
def test_a_report_that_is_written_again_is_sealed_again(run: Path) -> None:
    (run / "report.html").write_text("<p>another</p>")
    assert verify(run).problems
    seal_again(run, ["report.html"])
    assert not verify(run).problems


def test_a_folder_without_a_receipt_is_refused_with_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="suffrage run STUDY"):
        verify(tmp_path)
