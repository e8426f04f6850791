"""The architecture, held by tests: imports point down, and the light parts stay light."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import suffrage

SOURCE = Path(suffrage.__file__).parent
# From the top down; the modules beside them (errors, storage, settings, registry) lie below all.
LAYERS = [
    "__main__",
    "cli",
    "server",
    "study",
    "report",
    "evaluate",
    "align",
    "training_data",
    "models",
    "consult",
    "population",
    "values",
    "survey",
]
FOUNDATION = {"arrays", "errors", "storage", "settings", "registry", "text_overlap", "__version__"}
MODULES = sorted(SOURCE.rglob("*.py"))


def layer_of(module: Path) -> str:
    return module.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_layers(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "suffrage":
                found |= {alias.name for alias in node.names}
            elif node.module.startswith("suffrage."):
                found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {parts[1] for parts in names if parts[0] == "suffrage" and len(parts) > 1}
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(SOURCE)))
def test_imports_point_down(module: Path) -> None:
    layer = layer_of(module)
    if layer == "__init__":
        return
    allowed = FOUNDATION | (set(LAYERS[LAYERS.index(layer) :]) if layer in LAYERS else set())
    above = imported_layers(module) - allowed
    assert not above, f"{module.name} in {layer} imports {above}"


def test_every_folder_is_a_layer() -> None:
    folders = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert folders <= set(LAYERS)


@pytest.mark.parametrize("command", ["import suffrage", "import suffrage.cli"])
def test_importing_loads_nothing_heavy(command: str) -> None:
    heavy = ["torch", "transformers", "polars", "numpy", "pydantic", "jinja2", "pandas"]
    code = (
        f"{command}; import sys, json; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []


def test_reading_a_survey_needs_no_torch() -> None:
    code = "import suffrage.survey, suffrage.population, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_module_says_what_it_is_for() -> None:
    silent = [m.name for m in MODULES if not ast.get_docstring(ast.parse(m.read_text()))]
    assert silent == []
