"""Entry points of installed packages are found, and read only when something was installed."""

import importlib.metadata
import os
from pathlib import Path

import pytest

from suffrage import registry
from suffrage.errors import InputError
from suffrage.models import bundled


def install(site: Path, package: str, points: str) -> None:
    facts = site / f"{package}-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(points)


def test_metadata_are_read_once_however_often_a_study_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def counted(**wanted: str) -> importlib.metadata.EntryPoints:
        read.append(wanted["group"])
        return importlib.metadata.entry_points(**wanted)

    monkeypatch.setattr(registry, "entry_points", counted)
    monkeypatch.syspath_prepend(str(tmp_path))  # an import path that nobody has asked about
    for _ in range(5):
        assert "sft" in registry.names("methods")
        assert registry.load("methods", "sft").name == "sft"
    assert read == ["suffrage.methods"]


def test_a_package_installed_or_removed_while_python_runs_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(tmp_path, (0, 0))  # longer ago than the clock of the file system can tell apart
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "new" not in registry.names("methods")
    install(tmp_path, "newcomer", "[suffrage.methods]\nnew = math:pi\n")
    assert "new" in registry.names("methods")
    assert registry.load("methods", "new") == pytest.approx(3.14159, abs=1e-5)
    (tmp_path / "newcomer-1.0.dist-info").rename(tmp_path / "gone")
    os.utime(tmp_path, (0, 0))
    assert "new" not in registry.names("methods")


def test_of_two_packages_with_one_name_the_first_on_the_import_path_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, value in (("later", "e"), ("sooner", "pi")):
        install(tmp_path / place, f"{place}-one", f"[suffrage.methods]\nboth = math:{value}\n")
        monkeypatch.syspath_prepend(str(tmp_path / place))
    assert registry.load("methods", "both") == pytest.approx(3.14159, abs=1e-5)


def test_a_mistyped_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(
        InputError, match=r'there is no method "distribtuion".* mean "distribution"'
    ):
        registry.load("methods", "distribtuion")
    with pytest.raises(InputError, match=r'no bundled model "smollm-135m".* mean "smollm2-135m"'):
        bundled.bundled_model("smollm-135m")
