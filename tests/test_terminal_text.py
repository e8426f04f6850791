r"""Control characters of files never reach a terminal, whatever command prints them."""

import io
import re
import sys
import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

import suffrage
from suffrage import cli
from suffrage.cli.options import print_rich
from suffrage.plain_table import PlainTable
from suffrage.study.progress import Progress, note
from suffrage.terminal_text import visible

TITLE = "\x1b]0;pwn\x07\x1b[31mred"
TURNED = "z\x9b31m \u202etxt"
BAD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@given(st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Lu"])))
def test_no_control_character_is_left(text):
    shown = visible(text)
    assert not BAD.search(shown)
    assert all(unicodedata.category(char) != "Cc" or char in "\t\n" for char in shown)
    assert visible(shown) == shown


def test_ordinary_texts_stay_as_they_are():
    for text in (
        "Añadir\tÜber\n",
        "分からない",
        "לא יודע",
        "नहीं",
        "می‌دانم",
        "👩‍👧",
        "[/x] :smile:",
    ):
        assert visible(text) == text


def test_a_page_shows_them_in_every_kind_of_content(capsys):
    table = PlainTable("head\x1b[1m")
    table.add_row(TITLE)
    table.add_row(Text(TURNED, style="bold"))
    for page in (table, Text(TITLE), TURNED):
        print_rich(page)
    out = capsys.readouterr().out
    assert not BAD.search(out)
    assert out.count("^[]0;pwn") == 2 and out.count("\\x9b31m \\u202etxt") == 2


def test_columns_are_measured_with_the_marks(capsys):
    table = PlainTable("head", "next")
    table.add_row(Text(TURNED * 2), "x")
    table.add_row("plain", "y")
    print_rich(table)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert len({len(line) for line in lines}) == 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A survey with control characters in its values, its labels and its title."""
    rows = [f"{k % 3 + 1},{(TITLE, TURNED, 'plain')[k % 3]},{k % 2 + 1}" for k in range(60)]
    (tmp_path / "town.csv").write_text("q0,g,q1\n" + "\n".join(rows) + "\n", encoding="utf-8")
    options = {1: TITLE, 2: TURNED, 3: "c", 4: "never\x1b[5m"}
    book = {
        "title": TITLE,
        "demographics": {"g": "g"},
        "items": [
            {"id": f"q{k}", "question": f"{TURNED} {k}?", "options": options} for k in (0, 1)
        ],
    }
    (tmp_path / "town.yaml").write_text(yaml.safe_dump(book), encoding="utf-8")
    study = {
        "study": "t",
        "title": TITLE,
        "seed": 1,
        "survey": {"reader": "labelled_file", "path": "town.csv", "codebook": "town.yaml"},
        "value_sets": [{"name": "all", "description": TITLE}, {"name": "b", "where": {"g": TITLE}}],
        "held_out": {"by": "item", "share": 0.5},
        "model": "bundled:smollm2-135m",
        "methods": ["base"],
        "output": "runs/t",
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMANDS = (
    ["survey", "inspect", "study.yaml", "--items"],
    ["survey", "check", "study.yaml"],
    ["survey", "draft-codebook", "town.csv"],
    ["survey", "topics", "study.yaml"],
    ["profile", "study.yaml", "all", "--against", "b"],
    ["profile", "study.yaml", "b", "--json"],
    ["plan", "study.yaml"],
    ["segment", "study.yaml", "--classes", "1"],
)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
def test_no_command_lets_them_through_to_a_terminal(folder, monkeypatch, command):
    # What colours Rich itself would write is no matter here.
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(sys, "argv", ["suffrage", *command])
    with pytest.raises(SystemExit):
        cli.main()
    printed = out.getvalue() + err.getvalue()
    assert printed.strip() and not BAD.search(printed), repr(BAD.search(printed))


def test_an_error_shows_them(folder, capsys, monkeypatch):
    text = (folder / "town.csv").read_text(encoding="utf-8")
    (folder / "town.csv").write_text(f"{text}{TITLE},x,1\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["suffrage", "survey", "inspect", "study.yaml"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and "^[]0;pwn" in said and not BAD.search(said)


def test_a_pipe_gets_the_texts_as_they_are(folder):
    result = CliRunner().invoke(cli.app, ["survey", "draft-codebook", "town.csv"])
    assert yaml.safe_load(result.stdout)["items"][1]["options"][TITLE] == TITLE


def test_progress_shows_them(capsys, monkeypatch):
    note(f"training {TITLE}")
    assert "^[]0;pwn^G^[[31mred" in capsys.readouterr().err
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(Console, "is_dumb_terminal", True)
    with Progress(1.0) as progress, progress.stage(TITLE, 1.0):
        pass
    assert "]0;pwn\x07" not in stream.getvalue() and "\x1b[31mred" not in stream.getvalue()


def test_every_command_prints_through_one_place():
    folder = Path(suffrage.__file__).parent / "cli"
    for path in folder.glob("*.py"):
        if path.name not in ("options.py", "__init__.py"):
            code = path.read_text(encoding="utf-8")
            assert not re.search(r"typer\.echo\(|(?<![\w.])print\(|Console\(", code), path.name
            for said in re.findall(r"typer\.secho\(([^\n]*)", code):
                assert said.startswith("visible("), path.name
