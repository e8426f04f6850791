"""One public name, one meaning: names are defined once, and the glossary has the library's."""

import ast
from collections import defaultdict
from pathlib import Path, PurePosixPath

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
# Names that still have two meanings. A name leaves this list when one of the two is renamed.
STILL_TWICE = {
    "About",
    "Answer",
    "Joined",
    "Pair",
    "Panel",
    "Principle",
    "Probe",
    "Published",
    "Row",
    "Snapshot",
    "about",
    "chosen_items",
    "compare",
    "compute",
    "consent",
    "conversation_of",
    "demographics",
    "disagreement_table",
    "flags",
    "get",
    "is_due",
    "join",
    "leave",
    "log_in",
    "log_out",
    "mine",
    "newest",
    "of_session",
    "persona",
    "propose",
    "published",
    "react",
    "results",
    "run",
    "save",
    "verdict",
    "vote",
    "withdraw",
    "write_tables",
}


def is_contract(name: str, module: PurePosixPath) -> bool:
    """Whether a file of this kind has to define the name."""
    return any(module.match(kind) for kind in CONTRACTS.get(name, ()))


def definitions() -> dict[str, list[PurePosixPath]]:
    """The modules that define each public class and function."""
    found = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found[node.name].append(PurePosixPath(path.relative_to(SOURCE)))
    return {name: modules for name, modules in found.items() if not name.startswith("_")}


def test_no_two_modules_define_the_same_public_name() -> None:
    own = {
        name: [str(module) for module in modules if not is_contract(name, module)]
        for name, modules in definitions().items()
    }
    twice = {name: modules for name, modules in own.items() if len(modules) > 1}
    unknown = {name: modules for name, modules in twice.items() if name not in STILL_TWICE}
    assert unknown == {}, "rename one by its role, or make it private"
    assert set(twice) == STILL_TWICE, "these names are unique now: take them from STILL_TWICE"


def test_every_contract_name_is_defined_in_several_files() -> None:
    found = definitions()
    for name in CONTRACTS:
        assert len([module for module in found[name] if is_contract(name, module)]) > 1, name
