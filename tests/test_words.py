"""The check of words finds what the list has, and lets the rest stand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "check_words.py"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_words", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_list_is_read_and_each_word_found_across_lines_and_capitals(check: ModuleType) -> None:
    words = check.words_to_avoid("# why\nanew = again\nstands in = is in\n")
    assert words == {"anew": "again", "stands in": "is in"}
    text = "Drawn Anew.\nIt stands\nin a table. He stands in for her. Renewed, anew-ish."
    assert list(check.found_in(text, words)) == [(1, "anew"), (2, "stands in")]


@pytest.mark.slow
def test_the_repository_has_none_of_them(
    check: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main([]) == 0, capsys.readouterr().out


def test_a_space_before_the_percent_sign_is_found_and_code_is_left_alone(check: ModuleType) -> None:
    assert list(check.found_in("In 95 % of cells.\nOf {{ share }} %", {"zzz": "y"})) == [
        (1, "5 %"),
        (2, "} %"),
    ]
    for fine in ("95% of", "rest = 7 % 3", "{% if x %}{% endif %}", '"%s and %d" % (a, b)'):
        assert list(check.found_in(fine, {"zzz": "y"})) == []
