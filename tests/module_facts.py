"""What tests of the architecture ask of the project's modules, each of which is parsed once."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import suffrage

SOURCE = Path(suffrage.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))


def module_name(path: Path) -> str:
    """`suffrage.models.answerer`; a package's `__init__.py` has the package's name."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {module_name(path): path for path in MODULES}


@dataclass(frozen=True)
class ModuleFacts:
    """What the tests ask of a module. Its syntax tree is too large to be kept."""

    docstring: str
    # The top-level packages and modules of this project that it imports from.
    layers: frozenset[str]
    # The modules of this project that it imports by name, also inside functions.
    anywhere: frozenset[str]
    # The name of each function, also of methods and inner ones, and its number of lines.
    functions: tuple[tuple[str, int], ...]


@cache
def facts_of(path: Path) -> ModuleFacts:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    everywhere = list(statements_in(tree.body))
    return ModuleFacts(
        ast.get_docstring(tree) or "",
        frozenset(imported_layers(everywhere)),
        frozenset(imported_modules(import_statements(tree.body))),
        tuple(
            (node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
            for node in everywhere
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ),
    )


def blocks_of(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of statements inside a statement."""
    for block in ("body", "orelse", "finalbody"):
        yield getattr(statement, block, [])
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body


def statements_in(block: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a block and all that are inside them. `ast.walk` takes far longer."""
    for statement in block:
        yield statement
        for inner in blocks_of(statement):
            yield from statements_in(inner)


def imported_layers(statements: list[ast.stmt]) -> set[str]:
    found: set[str] = set()
    for node in statements:
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "suffrage":
                found |= {alias.name for alias in node.names}
            elif node.module.startswith("suffrage."):
                found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            # `import suffrage` gives its verbs, which need everything below the commands.
            found |= {[*parts, "library"][1] for parts in names if parts[0] == "suffrage"}
    return found


def import_statements(statements: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run; those for type checkers only are left out."""
    for node in statements:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from import_statements(node.orelse)
        else:
            for block in blocks_of(node):
                yield from import_statements(block)


def imported_modules(imports: Iterable[ast.Import | ast.ImportFrom]) -> set[str]:
    """The modules of this project that imports name."""
    found = set()
    for node in imports:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in PATHS}
        elif node.module in PATHS:
            own = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= own & PATHS.keys()
            found |= {node.module} if own - PATHS.keys() else set()
    return found
