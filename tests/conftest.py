import os
from pathlib import Path

import pytest
from hypothesis import settings

# Workers that each take every core wait for one another: one thread a worker is many times faster.
# Set before torch is loaded, which reads it once.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure: what a test claims is a result, never a time.
# The same examples every time, so that whoever changes a line sees what that line did; a search for new
# ones is `pytest --hypothesis-profile=search`.
settings.register_profile("suffrage", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("suffrage")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real, public data that lies beside the project; tests that need it skip without it."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SUFFRAGE_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no shared test data at {folder}; set SUFFRAGE_SHARED_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers on disk."""
    from tests.synthetic import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("tiny"))
