"""What is handed out, as a wheel or as source, is complete."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
import yaml

import suffrage

ROOT = Path(__file__).parents[1]
# What only a checkout of the repository needs.
CHECKOUT_ONLY = (".ci/", ".gitignore", "MANIFEST.in")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The files that git tracks and that are there."""
    command = ["git", "ls-files"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a checkout of the repository")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def built(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution of the tracked files."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("project")
    for name in tracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    code = (
        "from setuptools import build_meta; build_meta.build_sdist('made'); "
        "build_meta.build_wheel('made')"
    )
    (folder / "made").mkdir()
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    return folder / "made"


def test_a_wheel_holds_every_tracked_file_of_the_package(tracked: list[str], built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    package = [name.removeprefix("src/") for name in tracked if name.startswith("src/suffrage/")]
    assert package and [name for name in package if name not in held] == []


def test_the_wheel_the_citation_and_the_package_say_the_same_of_themselves(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    said = message_from_bytes(archive.read(name))
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert said["Version"] == cited["version"] == suffrage.__version__
    assert said["License-Expression"] == cited["license"]
    assert said["Author"] == ", ".join(author["name"] for author in cited["authors"])
    assert said["Name"].lower() in cited["title"].lower()
    addresses = {url.partition(", ")[2] for url in said.get_all("Project-URL", [])}
    assert {cited[key] for key in ("url", "repository-code") if key in cited} <= addresses


def test_a_release_sets_the_version_wherever_it_is_said(tmp_path: Path) -> None:
    """The lines of scripts/release that do so, on copies of the files."""
    lines = (ROOT / "scripts" / "release").read_text().splitlines()
    said = [line for line in lines if line.startswith("sed ") and "CHANGELOG" not in line]
    files = [line.split()[-1] for line in said]
    assert len(said) >= 3, "the wheel's, the citation's and the package's own"
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    script = "\n".join(["set -eu", "version=99.8.7", *said])
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True)
    for file in files:
        assert "99.8.7" in (tmp_path / file).read_text(), file


def test_a_release_is_dated_built_committed_and_tagged_once(tmp_path: Path) -> None:
    """scripts/release in a repository of its own; only the checks and pip are left out."""
    project, programs = tmp_path / "project", tmp_path / "programs"
    changelog = "# Changelog\n\n## [99.8.7] - unreleased\n\n### Added\n"
    said = ["scripts/release", "pyproject.toml", "CITATION.cff", "src/suffrage/__init__.py"]
    for name in said:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    (project / "CHANGELOG.md").write_text(changelog)
    (project / ".gitignore").write_text(".venv\ndist\n")
    calls = tmp_path / "calls"
    for program in (programs / "make", project / ".venv/bin/python"):
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\necho "$(basename "$0") $*" >> {calls}\n')
        program.chmod(0o755)
    people = {
        f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    environment = {**os.environ, **people, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True)

    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "Begin"]):
        assert run("git", *words).returncode == 0
    released = run("scripts/release", "99.8.7")
    assert released.returncode == 0, released.stderr
    dated = (project / "CHANGELOG.md").read_text()
    assert re.search(r"(?m)^## \[99\.8\.7\] - \d{4}-\d\d-\d\d$", dated)
    assert run("git", "tag", "--list").stdout.split() == ["v99.8.7"]
    assert run("git", "status", "--porcelain").stdout == ""
    assert calls.read_text().splitlines()[0] == "make test" and "wheel" in calls.read_text()
    # Where the tag is, or the heading is not, nothing is changed.
    assert "no heading" in run("scripts/release", "99.8.8").stderr
    (project / "CHANGELOG.md").write_text(changelog)
    assert run("git", "commit", "--quiet", "-am", "Again").returncode == 0
    again = run("scripts/release", "99.8.7")
    assert again.returncode == 2 and "tag v99.8.7 already" in again.stderr
    assert run("git", "status", "--porcelain").stdout == ""


def test_a_wheel_holds_every_example_study(tracked: list[str], built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    held = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if "/examples/" in name}
    wanted = {Path(name).name for name in tracked if name.startswith("examples/")}
    assert held == {name for name in wanted if name.endswith(".yaml")} and held


def test_a_source_distribution_holds_every_tracked_file(tracked: list[str], built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    wanted = [name for name in tracked if not name.startswith(CHECKOUT_ONLY)]
    assert wanted and [name for name in wanted if name not in held] == []
