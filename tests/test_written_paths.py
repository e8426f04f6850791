"""No command removes or replaces what is in a folder that it is told to write to."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

import suffrage
from suffrage.cli.commands import app
from suffrage.consult.consultation import write_consultation
from suffrage.errors import InputError
from suffrage.server.store.contents import from_consultation
from tests.consult.publics import made_up_public
from tests.server.empty_stores import empty_store
from tests.test_command_help import EVERY

# Every path that a command takes. A command that writes to a new one has to be put in here.
READ = {
    *("heads", "groups", "audit_log", "predictions", "limits"),
    *("study", "path", "folder", "people", "margins", "prompts", "merges", "links", "settings"),
    *("statements", "polis", "with_settings", "frozen", "codebook", "source", "scores", "runs"),
    *("secret", "file", "benchmark", "population", "run", "data", "checkpoint", "consultation"),
}
FOLDERS = {
    ("consult", "export", "out"),
    ("consult", "release", "out"),
    ("consult", "principles", "out"),
    ("consult", "records", "out"),
    ("consult", "from-survey", "out"),
    ("consult", "demo", "store"),
    ("consult", "restore", "out"),
    ("survey", "worldvaluesbench", "out"),
    ("segment", "freeze"),
    ("publish", "out"),
    ("merge", "out"),
}
# A single file, which may replace what the same command wrote earlier, and nothing else.
FILES = {
    ("consult", "invite", "out"),
    ("consult", "backup", "out"),
    ("consult", "audit", "download", "out"),
    ("consult", "predict", "out"),
    ("consult", "report", "out"),
    ("consult", "answers", "out"),
    ("consult", "release", "private"),
    ("compare", "out"),
    ("paraphrase", "out"),
    ("profile", "out"),
    ("segment", "out"),
    ("survey", "worldvaluesbench-predictions", "out"),
    ("values", "score", "out"),
}
# Where a server keeps what it makes: it adds numbered releases and removes none. An audit goes on
# where it was stopped. A study is begun where there is none yet.
KEPT = {("consult", "serve", "releases"), ("audit", "out"), ("init", "out")}

# Outputs by another name than --out: a second one, or the store or folder of a server.
OTHERWISE = {
    ("consult", "release", "private"),
    ("segment", "freeze"),
    ("consult", "demo", "store"),
    ("consult", "serve", "releases"),
}

# Arguments, given by position, that mean the same in every command. None is an output. A store
# (`where`) is what a command works on, and `consult new` and `import` make it.
ARGUMENTS = {
    *("study", "model", "models", "question", "runs", "value_set", "method", "name"),
    *("where", "slug", "email", "role", "consultation"),
}
# Other arguments, each read by its command alone. An output does not go here: name it by --out.
READ_ARGUMENTS = {
    ("init", "data"),
    ("publish", "run"),
    ("verify", "folder"),
    ("merge", "checkpoint"),
    ("survey", "check", "path"),
    ("survey", "draft-codebook", "file"),
    ("survey", "worldvaluesbench", "file"),
    ("survey", "worldvaluesbench-score", "scores"),
    ("survey", "worldvaluesbench-score", "benchmark"),
    ("consult", "plan", "folder"),
    ("consult", "add-predictions", "file"),
    ("consult", "score-predictions", "predictions"),
    ("consult", "score-predictions", "folder"),
    ("consult", "phase", "to"),
    ("consult", "restore", "file"),
    ("consult", "import", "source"),
    ("consult", "demo", "polis"),
    ("consult", "groups", "source"),
    ("consult", "release", "folder"),
    ("consult", "report", "folder"),
    ("consult", "principles", "folder"),
    ("consult", "records", "folder"),
    ("consult", "against-survey", "links"),
    ("consult", "staff", "address", "to"),
    ("consult", "audit", "check", "file"),
}
# Outputs that are arguments, because they are what the command is about.
WRITTEN_ARGUMENTS = {
    ("publish", "out"),
    ("consult", "backup", "out"),
    ("consult", "restore", "out"),
}


def paths() -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()

    def walk(group: typer.Typer, name: tuple[str, ...]) -> None:
        for child in group.registered_groups:
            assert child.typer_instance is not None
            walk(child.typer_instance, (*name, str(child.name)))
        for command in group.registered_commands:
            assert command.callback is not None
            for parameter, kind in get_type_hints(command.callback).items():
                if Path in (kind, *get_args(kind)):
                    found.add((*name, str(command.name), parameter))

    walk(app, ())
    return found


def test_every_path_of_every_command_is_known_to_be_read_or_written() -> None:
    found = {path for path in paths() if path[-1] not in READ}
    assert found == FOLDERS | FILES | KEPT


def test_every_command_that_writes_names_its_output_by_out() -> None:
    arguments = {
        (*name, parameter.name)
        for name, command in EVERY.items()
        for parameter in command.params
        if parameter.param_type_name == "argument" and parameter.name not in ARGUMENTS
    }
    assert arguments == READ_ARGUMENTS | WRITTEN_ARGUMENTS
    written = FOLDERS | FILES | KEPT
    assert not READ_ARGUMENTS & written and not ARGUMENTS & {path[-1] for path in written}
    assert written - OTHERWISE - WRITTEN_ARGUMENTS == {
        (*name, parameter.name)
        for name, command in EVERY.items()
        for parameter in command.params
        if "--out" in parameter.opts
    }


def removing_calls() -> set[tuple[str, str]]:
    root = Path(suffrage.__file__).parent
    found = set()
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in ("rmtree", "unlink", "rmdir", "removedirs", "remove_tree"):
                    found.add((str(path.relative_to(root)), name))
    return found


@pytest.mark.slow
def test_files_and_folders_are_removed_in_known_places_alone() -> None:
    assert removing_calls() == {
        # Drafts of its own.
        ("storage.py", "rmtree"),
        ("storage.py", "unlink"),
        ("server/store/secret_keys.py", "unlink"),
        # Work in progress, within the folder of a study.
        ("align/cai.py", "unlink"),
        ("align/launch.py", "unlink"),
        ("align/loop.py", "unlink"),
        ("align/rlhf.py", "rmtree"),
        ("align/sampled_groups.py", "rmtree"),
        ("align/training.py", "rmtree"),
        ("align/training.py", "unlink"),
        ("align/validation.py", "unlink"),
        # What the command wrote a moment before, and could not read back.
        ("study/commands/starting.py", "unlink"),
        # PEFT's own card, in a checkpoint that is being written.
        ("study/stage_outputs.py", "unlink"),
        # What a user names by a flag: stages no result needs, kept answers, the cache.
        ("study/commands/cleaning.py", "rmtree"),
        ("study/commands/cleaning.py", "unlink"),
        ("study/commands/tuning.py", "rmtree"),
        ("study/commands/tuning.py", "unlink"),
        ("study/run.py", "rmtree"),
        ("study/stages.py", "rmtree"),
        ("study/stages.py", "unlink"),
    }


@pytest.fixture
def town(tmp_path: Path) -> Path:
    content = made_up_public(120, 2)
    write_consultation(content, tmp_path / "town")
    store = empty_store(tmp_path / "store")
    from_consultation(store, content)
    store.close()
    return tmp_path


POLIS = ("--format", "polis")
COMMANDS: dict[str, Callable[[Path, Path], list[object]]] = {
    "export": lambda town, out: ["export", town / "store", slug(town), "--out", out],
    "polis": lambda town, out: ["export", town / "store", slug(town), "--out", out, *POLIS],
    "release": lambda town, out: ["release", town / "town", "--out", out],
    "principles": lambda town, out: ["principles", town / "town", "--out", out, "--resamples", 2],
    "records": lambda town, out: ["records", town / "town", "--out", out],
}


def slug(town: Path) -> str:
    return suffrage.read_consultation(town / "town").slug


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("consultation.db-")
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("where", ["store", ".", "town", "notes", "notes/mine.txt"])
def test_a_command_leaves_what_is_there(
    town: Path, name: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (town / "notes").mkdir()
    (town / "notes" / "mine.txt").write_text("of somebody")
    monkeypatch.chdir(town)
    before = contents(town)
    out = Path(where) if where == "." else town / where
    words = ["consult", *map(str, COMMANDS[name](town, out))]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, InputError), refused.output
    assert str(refused.exception).startswith(f"--out {out}: ")
    assert contents(town) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_writes_into_a_new_folder_twice_only_by_another_name(
    town: Path, name: str
) -> None:
    def run(out: Path) -> BaseException | None:
        return CliRunner().invoke(app, ["consult", *map(str, COMMANDS[name](town, out))]).exception

    assert run(town / "one") is None
    first = contents(town / "one")
    assert isinstance(run(town / "one"), InputError)
    assert first and contents(town / "one") == first
    if name not in ("release", "principles"):
        assert (town / "one").stat().st_mode & 0o077 == 0
