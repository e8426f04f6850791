"""Pinned versions: the lists with hashes say the same as constraints.txt."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HASHED = sorted((ROOT / "requirements").glob("*.txt"))


def normal(name: str) -> str:
    """A package's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(text: str) -> dict[str, tuple[str, list[str]]]:
    """Each package's version and hashes; ValueError on a line that is neither."""
    found: dict[str, tuple[str, list[str]]] = {}
    last: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pin = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.+]+)( \\)?", line)
        digest = re.fullmatch(r" +--hash=sha256:([0-9a-f]{64})( \\)?", line)
        if pin:
            last = []
            found[normal(pin.group(1))] = (pin.group(2), last)
        elif digest:
            last.append(digest.group(1))
        else:
            raise ValueError(f"neither a pin nor a hash: {line}")
    return found


CONSTRAINTS = {
    name: version for name, (version, _) in pinned((ROOT / "constraints.txt").read_text()).items()
}
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = DECLARED["project"]


def wanted_by(*extras: str) -> set[str]:
    """The packages that the project names for itself and these extras."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    names = {re.split(r"[\[<>=; ]", line)[0] for line in lines} - {"suffrage"}
    inner = [e for line in lines if line.startswith("suffrage[") for e in line[9:-1].split(",")]
    return {normal(name) for name in names} | (wanted_by(*inner) if inner else set())


def test_every_pin_with_hashes_is_that_of_the_constraints() -> None:
    pins = pinned((ROOT / "requirements" / "all.txt").read_text())
    assert {name: version for name, (version, _) in pins.items()} == CONSTRAINTS


@pytest.mark.parametrize("path", HASHED, ids=lambda path: path.name)
def test_every_package_of_a_list_has_hashes_and_the_constraints_version(path: Path) -> None:
    text = path.read_text()
    pins = pinned(text)
    assert pins
    for name, (version, hashes) in pins.items():
        # What builds the package is not installed with it, so no constraint names it.
        if path.name != "build.txt":
            assert version.removesuffix("+cpu") == CONSTRAINTS[name], name
        assert hashes and len(set(hashes)) == len(hashes), name
    assert set(re.findall(r"https?://[^ /]+", text)) <= {"https://download.pytorch.org"}


def test_the_lists_have_what_the_project_wants() -> None:
    assert wanted_by("dev", "docs") <= set(CONSTRAINTS)
    server = set(pinned((ROOT / "requirements" / "server.txt").read_text()))
    assert wanted_by("consult") <= server
    assert "torch" not in server
    build = set(pinned((ROOT / "requirements" / "build.txt").read_text()))
    assert build == {re.split(r"[<>=]", line)[0] for line in DECLARED["build-system"]["requires"]}
    assert set(pinned((ROOT / "requirements" / "torch-cpu.txt").read_text())) == {"torch"}


def test_no_package_but_torch_can_come_from_another_index() -> None:
    setup = (ROOT / "scripts" / "setup").read_text()
    assert "--extra-index-url" not in setup
    assert re.search(r'index=\(--index-url "\$torch_cpu_index" --no-deps\)', setup)
    assert re.search(r"(?m)^install .*\$\{index\[@\].* torch$", setup)


def test_a_missing_hash_and_another_version_are_seen() -> None:
    assert pinned("one==1.0 \\\n    --hash=sha256:" + "0" * 64) == {"one": ("1.0", ["0" * 64])}
    assert pinned("A_b==1.0\n") == {"a-b": ("1.0", [])}
    with pytest.raises(ValueError, match="neither"):
        pinned("one>=1.0")
