"""The first commands of a public body: mistakes are answered with what to do next."""

import re
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

import suffrage
from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.server.listening import address_of, open_port
from tests.example_files import write_examples

NEW = ("consult", "new", "water", "--slug", "water-2026", "--title", "Our water")
ASKED = (*NEW, "--question", "How should an assistant speak of it?", "--open-to-all")


def error_of(*words: str) -> str:
    found = CliRunner().invoke(app, list(words))
    assert isinstance(found.exception, InputError), found.output
    return str(found.exception)


@pytest.mark.slow
def test_a_draft_cannot_be_opened_before_it_says_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, list(ASKED)).exit_code == 0
    said = error_of("consult", "phase", "water", "water-2026", "open")
    assert "organiser and a contact" in said and "suffrage consult serve water" in said


@pytest.mark.parametrize(
    "words",
    [
        ("phase", "water", "watter-2026", "open"),
        ("export", "water", "watter-2026", "--out", "out"),
        ("invite", "water", "watter-2026", "--out", "out.csv"),
        ("audit", "head", "water", "watter-2026"),
    ],
    ids=lambda words: words[0],
)
def test_a_consultation_that_is_not_there_is_named_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, list(ASKED)).exit_code == 0
    said = error_of("consult", *words)
    assert '"watter-2026"' in said and 'Did you mean "water-2026"' in said
    assert not list(tmp_path.glob("out*"))


def test_a_port_in_use_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        store = tmp_path / "water"
        said = error_of("consult", "serve", str(store), "--port", str(port))
        assert f"port {port}" in said and "--port" in said and not store.exists()
        said = error_of("consult", "demo", "--store", str(store), "--port", str(port))
        assert f"port {port}" in said and not store.exists()
    for wanted in (port, 0):
        with open_port("127.0.0.1", wanted) as listening:
            assert address_of(listening).endswith(f":{wanted}") or not wanted


def test_no_port_is_opened_anywhere_else() -> None:
    # Trying a port and opening it later leaves a moment in which another program takes it.
    source = Path(suffrage.__file__).parent
    found = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if re.search(r"\.bind\(\(|create_server\(", path.read_text(encoding="utf-8"))
    }
    assert found == {"server/listening.py"}


@pytest.mark.slow
def test_groups_are_found_in_what_export_wrote(tmp_path: Path, tiny_model: Path) -> None:
    town = write_examples(tmp_path, tiny_model)
    words = ["consult", "groups", "--groups", "2", "--resamples", "2", "--json"]
    ours, polis = (
        CliRunner().invoke(app, [*words, str(town / name)])
        for name in ("consultation", "polis-export")
    )
    assert ours.exit_code == 0, ours.output
    assert '"groups"' in ours.stdout and polis.exit_code == 0
    assert "platforms" in error_of(*words[:2], str(town / "consultation"), "--prefix", "x")


def test_a_store_is_not_read_as_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, list(ASKED)).exit_code == 0
    assert "suffrage consult export water SLUG --out FOLDER" in error_of(
        "consult", "groups", "water"
    )
