"""A method from another package: one file, one entry point, one line in a study."""

import sys
from pathlib import Path

import pytest

from suffrage import registry
from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from tests.study.conftest import write_study

__all__ = ["write_study"]

SOURCE = '''
"""`last-word`: the distribution method under another name, as another package would register it."""

from dataclasses import replace

from suffrage.align.distribution import METHOD as OURS

METHOD = replace(OURS, name="last-word", label="The last word", explanation="From outside.")
'''


@pytest.mark.slow
def test_a_method_of_another_package_runs_in_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_study: object
) -> None:
    outside = tmp_path / "site"
    facts = outside / "last_word-1.0.dist-info"
    facts.mkdir(parents=True)
    (outside / "last_word.py").write_text(SOURCE)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: last-word\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[suffrage.methods]\nlast-word = last_word:METHOD\n")
    monkeypatch.syspath_prepend(str(outside))
    monkeypatch.delitem(sys.modules, "last_word", raising=False)
    assert "last-word" in registry.names("methods")
    methods = ["base", {"method": "last-word", "steps": 2, "batch": 4}]
    study = read_study(write_study(methods=methods))  # type: ignore[operator]
    finished = run_study(study, quiet=True)
    assert finished.results is not None
    made = next(m for m in finished.results.methods if m.name == "last-word")
    assert (made.label, made.kind) == ("The last word", "trained")
