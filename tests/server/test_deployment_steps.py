"""The files in deploy/ start a server that answers: their own steps, without Docker and systemd."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.server.databases import SECRET

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OURS = [sys.executable, "-m", "suffrage"]
STARTING = 120.0

pytestmark = pytest.mark.slow


def instructions(path: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8"))
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def health_check(port: int) -> list[str]:
    """The container's own check, by this Python and at this port."""
    (line,) = (rest for word, rest in instructions(DEPLOY / "Dockerfile") if word == "HEALTHCHECK")
    python, *words = json.loads(line[line.index("[") :])
    assert python == "python" and any(":8000/" in word for word in words)
    return [sys.executable, *(word.replace(":8000/", f":{port}/") for word in words)]


@contextmanager
def started(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """Run a server until the health check passes; what it printed by then."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        began = time.monotonic()
        check = health_check(port)
        while subprocess.run(check, capture_output=True).returncode:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - began < STARTING, log.read_text()
        yield log.read_text()
    finally:
        process.terminate()
        process.wait(30)


def documented_step(begins: str) -> list[str]:
    """The words of the one command of docs/deployment.md that contains this text."""
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", "", page).splitlines()
    (line,) = (line for line in lines if begins in line and line.startswith("sudo"))
    words = shlex.split(line, comments=True)
    return words[words.index("/opt/suffrage/bin/suffrage") + 1 :]


def test_the_unit_starts_a_server_on_the_store_that_the_page_makes(tmp_path: Path) -> None:
    unit = (DEPLOY / "suffrage-consult.service").read_text(encoding="utf-8")
    (start,) = re.findall(r"(?m)^ExecStart=(.*)$", unit)
    (refused,) = re.findall(r"(?m)^RestartPreventExitStatus=(.*)$", unit)
    store = "/var/lib/suffrage/store"
    made, served = documented_step("consult new"), start.split()[1:]
    assert store in made and store in served
    here = str(tmp_path / "store")
    serve = [*OURS, *(word.replace(store, here) for word in served)]
    # Without a store it ends, and is not started again.
    found = subprocess.run([*serve, "--port", "0"], capture_output=True, text=True)
    assert str(found.returncode) == refused and "suffrage consult new" in found.stderr
    make = [*OURS, *(word.replace(store, here) for word in made)]
    subprocess.run(make, check=True, capture_output=True)
    with started(serve, {}, tmp_path / "log") as printed:
        assert "First sign-in" in printed and "https://consult.example.org/c/water-2026" in printed


def test_the_containers_command_starts_a_server_on_an_empty_postgresql(
    postgresql: str, tmp_path: Path
) -> None:
    compose = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    filled = re.sub(r"\$\{DOMAIN[^}]*\}", "consult.example.org", compose)
    server = yaml.safe_load(filled)["services"]["server"]
    here = {
        "postgresql://suffrage@database/suffrage": f"{postgresql}/postgres",
        "--releases=/var/lib/suffrage/releases": f"--releases={tmp_path / 'releases'}",
    }
    assert here.keys() <= set(server["command"])
    (entry,) = (rest for word, rest in instructions(DEPLOY / "Dockerfile") if word == "ENTRYPOINT")
    command = [*OURS, *json.loads(entry)[1:], *(here.get(word, word) for word in server["command"])]
    # Compose gives the server what env.example leaves empty as empty.
    environment = dict.fromkeys(server["environment"], "") | {"SUFFRAGE_SECRET": SECRET}
    with started(command, environment, tmp_path / "log") as printed:
        assert "First sign-in" in printed and "https://consult.example.org/admin" in printed


def answers(index: list[str], folder: Path) -> bool:
    """Whether pip can get a small package of the list from its index."""
    text = (ROOT / "requirements" / "server.txt").read_text(encoding="utf-8")
    (small,) = re.findall(r"(?m)^annotated-doc==\S+", text)
    words = ["download", "--quiet", "--no-deps", "--retries", "0", "--timeout", "10"]
    tried = [*index, *words, "--dest", str(folder), small]
    return subprocess.run(tried, capture_output=True).returncode == 0


def test_the_steps_of_the_container_install_a_command_that_answers(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker and not subprocess.run([docker, "info"], capture_output=True).returncode:
        pytest.skip("tests/test_deployment.py builds the container itself")
    if not answers([sys.executable, "-m", "pip"], tmp_path / "tried"):
        pytest.skip("no package index answers here")
    place, opt = tmp_path / "src", tmp_path / "opt"
    steps = iter(instructions(DEPLOY / "Dockerfile"))
    for word, rest in steps:
        if word == "COPY":
            for source in rest.split()[:-1]:
                copied = place / source
                copied.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                copy(ROOT / source, copied)
        if word == "RUN":
            break
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    # Compiling every file of every package is half of the time, and shows nothing.
    environment |= {"PIP_COMPILE": "false", "PIP_DISABLE_PIP_VERSION_CHECK": "true"}
    build = rest.replace("/opt/suffrage", str(opt)).replace("--no-cache-dir ", "")
    done = subprocess.run(
        ["sh", "-c", build], cwd=place, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = {word: json.loads(rest) for word, rest in steps if word in ("ENTRYPOINT", "CMD")}
    command = [f"{opt}/bin/{said['ENTRYPOINT'][0]}", *said["ENTRYPOINT"][1:], *said["CMD"]]
    shown = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert "--base-url" in shown.stdout
