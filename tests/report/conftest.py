"""A browser for reports."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.server.browser import chromium_started


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser."""
    with chromium_started() as browser:
        yield browser
