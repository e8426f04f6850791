"""Files and folders are written whole, seen by nobody before, and never in place of others."""

import errno
import json
import multiprocessing
import os
import re
import signal
import stat
from pathlib import Path

import pytest

from suffrage import storage
from suffrage.errors import InputError, SuffrageError


def fill(draft: Path) -> None:
    (draft / "table.csv").write_text("a,b\n")
    (draft / "data").mkdir()
    (draft / "data" / "part.txt").write_text("part")


def everything(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


WRITTEN = {"table.csv": b"a,b\n", "data": None, "data/part.txt": b"part"}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("name", ["precious.db", ".hidden", "table.csv", "folder/within"])
def test_a_folder_with_anything_in_it_is_refused_and_stays_as_it_was(
    tmp_path: Path, name: str
) -> None:
    target = tmp_path / "out"
    (target / name).parent.mkdir(parents=True)
    (target / name).write_text("of somebody")
    before = everything(tmp_path)
    with pytest.raises(InputError, match="name a new or an empty folder"):
        storage.write_folder(target, fill)
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(InputError, match="name a new or an empty folder"):
        storage.write_folder(tmp_path / "link", fill)
    (tmp_path / "link").unlink()
    with pytest.raises(InputError, match="is a file"):
        storage.write_folder(target / name, fill)
    assert everything(tmp_path) == before


def test_what_comes_while_a_folder_is_filled_stays(tmp_path: Path) -> None:
    def meanwhile(draft: Path) -> None:
        fill(draft)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "precious").write_text("of somebody")

    with pytest.raises(InputError, match="precious"):
        storage.write_folder(tmp_path / "out", meanwhile)
    assert everything(tmp_path) == {"out": None, "out/precious": b"of somebody"}


def test_a_new_an_empty_and_the_current_folder_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("new", "empty", "current"):
        target = tmp_path / name
        if name != "new":
            target.mkdir(mode=0o750)
        if name == "current":
            monkeypatch.chdir(target)
            target = Path()
        storage.write_folder(target, fill)
        assert everything(tmp_path / name) == WRITTEN
    assert mode(tmp_path / "new") == 0o755 and mode(tmp_path / "empty") == 0o750
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "empty", "new"]


@pytest.mark.parametrize("there", [False, True])
def test_a_failure_leaves_nothing(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "out").mkdir()

    def broken(draft: Path) -> None:
        fill(draft)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        storage.write_folder(tmp_path / "out", broken)
    assert everything(tmp_path) == ({"out": None} if there else {})


def test_nobody_else_can_read_a_draft_and_never_what_is_private(tmp_path: Path) -> None:
    seen = []

    def look(draft: Path) -> None:
        fill(draft)
        seen.append(mode(draft))

    for private, last in ((False, 0o755), (True, 0o700)):
        target = tmp_path / f"folder-{private}"
        storage.write_folder(target, look, private)
        assert mode(target) == last
    (tmp_path / "there").mkdir(mode=0o755)
    storage.write_folder(tmp_path / "there", look, private=True)
    assert mode(tmp_path / "there") == 0o700
    for private, last in ((False, 0o644), (True, 0o600)):
        with storage.atomic_path(tmp_path / "file.json", private) as draft:
            draft.write_text("{}")
            seen.append(mode(draft))
        assert mode(tmp_path / "file.json") == last
    assert seen == [0o700, 0o700, 0o700, 0o600, 0o600]


def killed_while_writing(folder: Path) -> None:
    def die(draft: Path) -> None:
        fill(draft)
        with storage.atomic_path(folder / "private.json", private=True) as file:
            file.write_text("half of a sec")
            os.kill(os.getpid(), signal.SIGKILL)

    storage.write_folder(folder / "out", die)


def test_what_a_killed_writer_left_is_private_and_removed_by_the_next_one(tmp_path: Path) -> None:
    # Others' files with similar names, and a draft of another place.
    others = [".out-mine", ".private-mine.json", ".other-12345678.suffrage-draft", "out.txt"]
    for name in others:
        (tmp_path / name).write_text("of somebody")
    process = multiprocessing.get_context("fork").Process(
        target=killed_while_writing, args=(tmp_path,)
    )
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    left = [path for path in tmp_path.iterdir() if path.name not in others]
    assert len(left) == 2 and all(mode(path) & 0o077 == 0 for path in left)

    def while_it_is_written(draft: Path) -> None:
        fill(draft)
        storage._remove_abandoned(tmp_path, "out", is_folder=True)

    storage.write_folder(tmp_path / "out", while_it_is_written)
    storage.write_json(tmp_path / "private.json", {}, private=True)
    now = {path.name for path in tmp_path.iterdir()}
    assert now == {*others, "out", "private.json"}
    assert everything(tmp_path / "out") == WRITTEN


def test_bytes_held_are_those_of_all_files_and_of_no_link(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "again.csv").symlink_to(tmp_path / "table.csv")
    assert storage.bytes_held(tmp_path / "table.csv") == len("a,b\n")
    assert storage.bytes_held(tmp_path) == len("a,b\n") + len("part")


def test_a_page_replaces_a_page_and_nothing_else(tmp_path: Path) -> None:
    page, database, folder = tmp_path / "r.html", tmp_path / "c.db", tmp_path / "folder"
    database.write_bytes(b"SQLite format 3\0 and votes")
    folder.mkdir()
    for text in ("<!doctype html>\n<p>1", "\n<!DOCTYPE html>\n<p>2", "<!doctype html>\n<p>3"):
        storage.write_page(page, text)
        assert page.read_text() == text
    with pytest.raises(InputError, match="is no web page"):
        storage.write_page(database, "<!doctype html>")
    with pytest.raises(InputError, match="is a folder"):
        storage.write_page(folder, "<!doctype html>")
    assert database.read_bytes() == b"SQLite format 3\0 and votes"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.db", "folder", "r.html"]


def test_a_text_replaces_no_database_table_or_weights(tmp_path: Path) -> None:
    database, text = tmp_path / "c.db", tmp_path / "t.csv"
    database.write_bytes(b"SQLite format 3\0 and votes")
    with pytest.raises(InputError, match="is no text, so it would be lost"):
        storage.write_text(database, "a,b")
    with pytest.raises(InputError, match="is no text"):
        storage.write_json(database, {})
    for content in ("", "a,b"):
        storage.write_text(text, content)
        assert text.read_text() == content


def test_a_command_replaces_its_own_earlier_file_and_no_other(tmp_path: Path) -> None:
    own, out = re.compile(rb'\{"prompt_id": '), tmp_path / "answers.jsonl"
    storage.check_replaceable(out, own, "no file of answers", "new.jsonl")
    for kept in ("", '{"prompt_id": "q1", "prompt": "Ban cars?"}\n'):
        out.write_text(kept)
        storage.check_replaceable(out, own, "no file of answers", "new.jsonl")
    out.write_text("Minutes of the meeting")
    with pytest.raises(InputError, match=r"no file of answers, so it would be lost; .*new\.jsonl"):
        storage.check_replaceable(out, own, "no file of answers", "new.jsonl")
    with pytest.raises(InputError, match="is a folder"):
        storage.check_replaceable(tmp_path, own, "no file of answers", "new.jsonl")


def test_only_a_line_feed_ends_a_line_of_json_lines() -> None:
    rows = [{"text": "one\u2028two\x85three"}, {"text": "four"}]
    text = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    found = list(storage.json_lines(text + "\n"))
    assert [json.loads(line) for _, line in found] == rows
    assert [number for number, _ in found] == [1, 3]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1,\n"b": }', "not readable as JSON from line 2, character 6 on"),
        (b"[" * 100_000, "brackets are nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not readable as JSON"),
        (b'"\xff"', "not text in UTF-8 from byte 2 on"),
    ],
)
def test_a_broken_json_file_is_said_to_be_so_in_plain_words(
    content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError) as error:
        storage.read_json(tmp_path / "a.json")
    assert said in str(error.value) and "Expecting" not in str(error.value)


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was forced to the disk."""
    done: list[str] = []
    force = storage.sync

    def watched(path: Path) -> None:
        force(path)
        done.append(path.name)

    monkeypatch.setattr(storage, "sync", watched)
    return done


def test_a_file_is_on_disk_before_it_has_its_name_and_then_the_name_is(
    tmp_path: Path, on_disk: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moves: list[int] = []
    replace = Path.replace

    def moved(self: Path, target: Path) -> Path:
        moves.append(len(on_disk))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", moved)
    storage.write_text(tmp_path / "new" / "folder" / "file.txt", "text")
    assert on_disk[:2] == [tmp_path.name, "new"]  # the names of the folders
    assert on_disk[2].endswith(".suffrage-draft.txt") and moves == [3] and on_disk[3:] == ["folder"]


@pytest.mark.parametrize("there", [False, True])
def test_everything_in_a_folder_is_on_disk_before_it_has_its_name(
    tmp_path: Path, on_disk: list[str], there: bool
) -> None:
    target = tmp_path / "target"
    if there:
        target.mkdir()

    def fill(draft: Path) -> None:
        (draft / "inner").mkdir()
        (draft / "inner" / "a.txt").write_text("a")
        (draft / "b.txt").write_text("b")

    storage.write_folder(target, fill)
    assert {"a.txt", "b.txt", "inner"} <= set(on_disk[:-1]) and "suffrage-draft" in on_disk[-2]
    assert on_disk[-1] == (target if there else tmp_path).name


@pytest.mark.parametrize("which", ["file", "folder"])
def test_a_disk_that_fails_is_an_error_of_whoever_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    storage.write_text(tmp_path / "file.txt", "before")
    real = os.fsync

    def failing(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode) == (which == "folder"):
            raise OSError(errno.EIO, "Input/output error")
        real(handle)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(SuffrageError, match=r"file\.txt: the disk failed"):
        storage.write_text(tmp_path / "file.txt", "after")
    assert (tmp_path / "file.txt").read_text() == ("before" if which == "file" else "after")
    with pytest.raises(SuffrageError, match="made: the disk failed"):
        storage.write_folder(tmp_path / "made", fill)
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_a_file_system_that_forces_no_folder_to_the_disk_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unable)
    storage.write_text(tmp_path / "file.txt", "text")
    assert (tmp_path / "file.txt").read_text() == "text"
