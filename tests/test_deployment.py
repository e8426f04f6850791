"""What is in deploy/, .github/ and the hooks names files, options and targets that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main
import yaml

from suffrage.cli import app

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


def options_of_serve() -> set[str]:
    group = typer.main.get_command(app)
    consult = group.commands["consult"]  # type: ignore[attr-defined]
    return {name for parameter in consult.commands["serve"].params for name in parameter.opts}


def options_in(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


def test_the_compose_file_starts_the_server_with_options_and_variables_that_exist() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    server = services["server"]
    assert server["command"][0] == "serve"
    assert options_in(server["command"]) <= options_of_serve()
    known = {
        found
        for path in (ROOT / "src").rglob("*.py")
        for found in re.findall(r"SUFFRAGE_[A-Z_]+", path.read_text())
    }
    ours = {name for name in server["environment"] if name.startswith("SUFFRAGE_")}
    assert ours <= known and "SUFFRAGE_SECRET" in ours
    # What the file wants to be told is what the example lists, and nothing else.
    wanted = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "compose.yaml").read_text()))
    listed = set(re.findall(r"(?m)^([A-Z_]+)=", (DEPLOY / "env.example").read_text()))
    assert wanted == listed
    assert not any("PASSWORD" in word for word in server["command"])


def test_the_unit_starts_the_server_with_options_that_exist() -> None:
    unit = (DEPLOY / "suffrage-consult.service").read_text()
    start = re.search(r"(?m)^ExecStart=(.*)$", unit)
    assert start is not None
    words = start.group(1).split()
    assert words[1:3] == ["consult", "serve"]
    assert options_in(words) <= options_of_serve()


def test_the_container_copies_files_that_exist_and_installs_checked_packages() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    sent = set(re.findall(r"(?m)^!(.+)$", (ROOT / ".dockerignore").read_text()))
    for line in re.findall(r"(?m)^COPY (?!--from)(.*)$", text):
        *sources, _ = line.split()
        assert all((ROOT / source).exists() for source in sources)
        assert set(sources) <= sent
    (build,) = re.findall(r"(?ms)^RUN (python -m venv.*?[^\\])$", text)
    *_, packages, ours = re.sub(r"\\\n\s*", "", build).split(" && ")
    lists = re.findall(r"-r (\S+)", packages)
    assert "--require-hashes" in packages and all((ROOT / path).is_file() for path in lists)
    assert lists == ["requirements/build.txt", "requirements/server.txt"]
    # Without isolation, nothing is fetched that has no hash.
    assert ours.split()[2:] == ["--no-cache-dir", "--no-deps", "--no-build-isolation", "."]


def test_what_checks_and_hooks_call_is_in_the_repository() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    called: list[str] = []
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        jobs = yaml.safe_load(path.read_text())["jobs"].values()
        runs = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
        words = [run.split()[1:] for run in runs if run.startswith("make ")]
        called += [word for group in words for word in group if "=" not in word]
    assert {"lint", "types", "fast", "docs", "test"} <= set(called) <= targets
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = (ROOT / "Makefile").read_text()
    for hook in hooks:
        program, *words = hook["entry"].split()
        # A hook calls what `make lint types` calls.
        assert program in lint and all((ROOT / w).is_file() for w in words if "/" in w)


@pytest.mark.slow
def test_the_container_is_built_and_its_command_answers() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "info"], capture_output=True).returncode:
        pytest.skip("no Docker daemon answers here")
    tag = "suffrage-test"
    build = [docker, "build", "-f", str(DEPLOY / "Dockerfile"), "-t", tag, str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    told = subprocess.run([docker, "run", "--rm", tag], check=True, capture_output=True, text=True)
    assert "--base-url" in told.stdout
