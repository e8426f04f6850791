"""No function is longer than a reader can hold in mind."""

import pytest

from tests.module_facts import MODULES, facts_of

LONGEST = 80


@pytest.mark.slow
def test_no_function_is_longer_than_eighty_lines() -> None:
    found = {
        f"{path.name}: {name}": lines
        for path in MODULES
        for name, lines in facts_of(path).functions
    }
    assert found
    assert {name: lines for name, lines in found.items() if lines > LONGEST} == {}
