"""The examples in docstrings run, and print what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import suffrage
from tests.example_files import write_examples

SOURCE = Path(suffrage.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def example_folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The files that examples read, and a finished run of the study among them."""
    folder = write_examples(tmp_path_factory.mktemp("examples"), tiny_model)
    suffrage.run_study(suffrage.read_study(folder / "study.yaml"), quiet=True)
    return folder


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_docstring_examples_print_what_they_say(
    name: str, example_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(example_folder)
    found = doctest.testmod(
        importlib.import_module(name),
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )
    assert found.attempted and not found.failed
