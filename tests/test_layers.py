"""The architecture: imports point down, inside packages too, and the light parts stay light."""

import graphlib
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.module_facts import MODULES, PATHS, SOURCE, facts_of

# The largest part of the lines that one package may have.
MOST_OF_THE_CODE = 0.18
# From the top down. The modules of FOUNDATION are below all of them.
LAYERS = [
    "__main__",
    "cli",
    # Also whatever imports `suffrage` itself, whose verbs come from every layer below.
    "library",
    "server",
    "study",
    "publish",
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
FOUNDATION = {
    "arguments",
    "arrays",
    "errors",
    "plain_table",
    "plurals",
    "storage",
    "terminal_text",
    "settings",
    "registry",
    "text_vectors",
    "text_overlap",
    "__version__",
}
# The parts of a package, from the top down: a part imports from itself and from later parts only.
# A part is a module, an inner package, or OTHERS: whatever the list does not name.
OTHERS = "every other module"
PARTS = {
    "consult": ["release", "principles", "groups", "sources", "polis", OTHERS],
    "evaluate": [
        OTHERS,
        "asking.published_answers",
        "asking.own_questions",
        "asking.item_probes",
        "asking.groups",
        "scorecard",
        "asking",
        "statistics",
        "results",
    ],
    "report": ["terminal_pages", OTHERS],
    "server": ["chat", "web", OTHERS, "store", "texts"],
    "study": ["commands", "run", "planning", OTHERS],
    "survey": ["readers", "worldvaluesbench", "draft", "formats", OTHERS],
}


def layer_of(module: Path) -> str:
    return module.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(SOURCE)))
def test_imports_point_down(module: Path) -> None:
    layer = layer_of(module)
    if layer == "__init__":
        return
    allowed = FOUNDATION | (set(LAYERS[LAYERS.index(layer) :]) if layer in LAYERS else set())
    above = facts_of(module).layers - allowed
    assert not above, f"{module.name} in {layer} imports {above}"


def test_no_import_goes_in_a_circle() -> None:
    """Imports inside functions count too: they hide a circle, and do not undo it."""
    graph = {module: facts_of(path).anywhere - {module} for module, path in PATHS.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"these modules import each other: {' > '.join(error.args[1])}")


def part_of(module: str, package: str) -> str:
    """The part of PARTS that a module belongs to: the longest one that its name begins with."""
    inside = module.removeprefix(f"suffrage.{package}").removeprefix(".")
    named = [part for part in PARTS[package] if f"{inside}.".startswith(f"{part}.")]
    return max(named, key=len, default=OTHERS)


@pytest.mark.parametrize("package", PARTS)
def test_imports_inside_a_package_point_down(package: str) -> None:
    order = PARTS[package]
    own = [module for module in PATHS if f"{module}.".startswith(f"suffrage.{package}.")]
    assert {part_of(module, package) for module in own} == set(order), "a part is not there"
    upward = [
        f"{module} imports {target}"
        for module in own
        for target in facts_of(PATHS[module]).anywhere.intersection(own) - {module}
        # A package's own `__init__.py` offers what its modules define.
        if module != f"suffrage.{package}"
        and order.index(part_of(target, package)) < order.index(part_of(module, package))
    ]
    assert upward == []


def test_every_package_with_inner_packages_orders_them() -> None:
    inner = {path.parent.parent.name for path in SOURCE.glob("*/*/__init__.py")}
    assert inner <= set(PARTS)


def test_only_the_command_line_imports_the_server() -> None:
    outside = [
        module
        for module in PATHS
        if not module.startswith(("suffrage.server", "suffrage.cli"))
        and any(name.startswith("suffrage.server") for name in facts_of(PATHS[module]).anywhere)
    ]
    assert outside == []


def test_every_folder_is_a_layer() -> None:
    folders = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert folders <= set(LAYERS)


@pytest.mark.parametrize(
    "command",
    [
        "import suffrage; dir(suffrage)",
        "from suffrage.cli import app; app(['--help'], standalone_mode=False)",
    ],
)
def test_importing_and_help_load_nothing_heavy(command: str) -> None:
    heavy = ["torch", "transformers", "polars", "numpy", "pydantic", "jinja2", "pandas"]
    code = (
        f"{command}; import sys, json; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout.splitlines()[-1]) == []


def test_reading_a_survey_needs_no_torch() -> None:
    code = "import suffrage.survey, suffrage.population, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(SOURCE))
        for path in MODULES
        if len(facts_of(path).docstring.split()) < 4
    ]
    assert silent == []


def test_no_package_has_too_much_of_the_code() -> None:
    """A package that grows past this is several subjects, and its pure parts belong below it."""
    lines: dict[str, int] = defaultdict(int)
    for path in MODULES:
        parts = path.relative_to(SOURCE).parts
        lines[parts[0]] += len(path.read_text().splitlines())
    largest = max(lines, key=lambda name: lines[name])
    share = lines[largest] / sum(lines.values())
    assert share < MOST_OF_THE_CODE, f"{largest} has {share:.1%} of the lines"
