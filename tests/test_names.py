"""One public name, one meaning: names are defined once, and the glossary has the library's."""

import ast
import importlib
import re
from collections import defaultdict
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

import suffrage

SOURCE = Path(suffrage.__file__).parent

# The names that a file of one kind always defines: its contract with what loads it.
CONTRACTS = {
    "Options": ("align/*.py", "evaluate/*.py", "survey/readers/*.py"),
    "train": ("align/*.py",),
    "probe": ("evaluate/*.py",),
    "score": ("evaluate/*.py",),
    "prompts": ("evaluate/*.py",),
    "read": ("survey/readers/*.py",),
    "files": ("survey/readers/*.py",),
    "upgrade": ("server/store/migrations/versions/*.py",),
    "downgrade": ("server/store/migrations/versions/*.py",),
}


# Files that may be called as their subject is elsewhere: each folder has one file for a command, a
# command's page, a survey or an evaluation, by the name that users know.
NAMED_BY_SUBJECT = (
    "cli/*.py",
    "evaluate/*.py",
    "report/terminal_pages/*.py",
    "study/commands/*.py",
    "survey/readers/*.py",
)


def is_contract(name: str, module: PurePosixPath) -> bool:
    """Whether a file of this kind has to define the name."""
    return any(module.match(kind) for kind in CONTRACTS.get(name, ()))


# The name of a type, as in `Side = Literal["held_out", "trained"]`. Constants are in capitals.
TYPE_NAME = re.compile(r"[A-Z]\w*[a-z]\w*")


def names_defined(statement: ast.stmt) -> list[str]:
    """The class, function or type that a statement of a module defines, if any."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return [name for name in names if TYPE_NAME.fullmatch(name)]


@cache
def definitions() -> dict[str, list[PurePosixPath]]:
    """The modules that define each public class, function and type."""
    found = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            for name in names_defined(node):
                found[name].append(PurePosixPath(path.relative_to(SOURCE)))
    return {name: modules for name, modules in found.items() if not name.startswith("_")}


@pytest.mark.slow
def test_no_two_modules_define_the_same_public_name() -> None:
    own = {
        name: [str(module) for module in modules if not is_contract(name, module)]
        for name, modules in definitions().items()
    }
    twice = {name: modules for name, modules in own.items() if len(modules) > 1}
    assert twice == {}, "rename one by its role, or make it private"


@pytest.mark.slow
def test_every_contract_name_is_defined_in_several_files() -> None:
    found = definitions()
    for name in CONTRACTS:
        assert len([module for module in found[name] if is_contract(name, module)]) > 1, name


def test_no_two_files_have_the_same_name() -> None:
    found = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        module = PurePosixPath(path.relative_to(SOURCE))
        if not any(module.match(kind) for kind in NAMED_BY_SUBJECT):
            found[module.name].append(str(module))
    twice = {name: files for name, files in found.items() if len(files) > 1}
    assert twice.keys() == {"__init__.py"}, "name one by its role, so that a search finds it"


# A line of the glossary: the word, in backticks if it is a name in code, and its module.
ENTRY = re.compile(r"^- \*\*(?P<word>.+?)\*\* \(`(?P<module>[\w.]+)`\): (?P<meaning>.+)$")


def glossary() -> list[re.Match[str]]:
    """The entries of docs/glossary.md."""
    text = (SOURCE.parents[1] / "docs" / "glossary.md").read_text(encoding="utf-8")
    lines = text.split("\n- ")[1:]
    found = [ENTRY.match("- " + " ".join(line.split())) for line in lines]
    assert None not in found, f"not an entry: {lines[found.index(None)]}"
    return [entry for entry in found if entry]


def test_the_glossary_has_every_word_once_in_alphabetical_order() -> None:
    words = [entry["word"].strip("`").casefold() for entry in glossary()]
    assert words == sorted(set(words))


def test_the_glossary_has_every_public_name_of_the_library() -> None:
    defined = {entry["word"].strip("`"): entry["module"] for entry in glossary()}
    for name in set(suffrage.__all__) - {"__version__"}:
        assert defined.get(name) == getattr(suffrage, name).__module__, name


@pytest.mark.parametrize("entry", glossary(), ids=lambda entry: entry["word"])
def test_the_code_has_every_name_of_the_glossary(entry: re.Match[str]) -> None:
    module = importlib.import_module(entry["module"])
    word = entry["word"].strip("`")
    if word != entry["word"]:
        assert getattr(module, word).__module__ == entry["module"]


@pytest.mark.parametrize("entry", glossary(), ids=lambda entry: entry["word"])
def test_a_meaning_is_one_sentence_or_two(entry: re.Match[str]) -> None:
    assert entry["meaning"].endswith(".")
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", entry["meaning"])
    assert len(sentences) <= 2
