"""What organisers send: figures of other scripts, YAML that unfolds, and nesting without end."""

import os
import time

import pytest
import yaml

from suffrage.errors import InputError
from suffrage.server import watcher
from suffrage.server.texts import whole_number
from suffrage.server.web.organise import intake
from tests.server.organising import Office

# Nine to the power of seven texts in some hundred bytes.
BOMB = "p0: &p0 [" + ",".join(["zzz"] * 9) + "]\n"
BOMB += "".join(f"p{n + 1}: &p{n + 1} [{','.join([f'*p{n}'] * 9)}]\n" for n in range(6))


@pytest.mark.slow
def test_yaml_that_unfolds_is_refused_at_once() -> None:
    began = time.process_time()
    with pytest.raises(yaml.YAMLError, match="aliases"):
        intake.plain_yaml(BOMB)
    with pytest.raises(InputError, match="not readable"):
        intake.principles_of_constitution(BOMB + "principles:\n- {text: x, sources: *p6}\n")
    with pytest.raises(yaml.YAMLError, match="within one another"):
        intake.plain_yaml("[" * 100_000)
    assert time.process_time() - began < 2


def test_plain_yaml_is_what_yaml_reads() -> None:
    text = yaml.safe_dump({"a": [1, {"b": "ā"}], "c": None, "d": True}, allow_unicode=True)
    assert intake.plain_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize("text", ["²", "٣", "-1", "1_0", " 1", "", "1e3", "9" * 5000, "5001"])
def test_only_figures_up_to_a_limit_are_a_number(text: str) -> None:
    assert whole_number(text, 5000) is None
    assert whole_number("5000", 5000) == 5000 and whole_number("007", 5000) == 7


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", ["/participants?page=²", "/statements?page=٣", "?done=accepted&count=²"]
)
def test_other_figures_in_an_address_are_no_error(office: Office, path: str) -> None:
    assert office.client("owner").get(path)


def test_invitations_by_other_figures_are_refused(office: Office) -> None:
    owner = office.client("owner")
    owner.get("/settings")
    for more in ({"count": "²"}, {"count": "2", "days": "²"}, {"count": "0"}):
        owner.post("/settings", 422, what="invite", **more)


def test_the_stores_address_is_no_argument_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    def start(command: list[str], env: dict[str, str]) -> None:
        started.append((command, env))

    monkeypatch.setattr(watcher.subprocess, "Popen", start)
    watcher.start_watching("postgresql://ana:secret@127.0.0.1/x")
    command, env = started[0]
    assert "secret" not in " ".join(command)
    assert env[watcher.WATCHED] == "postgresql://ana:secret@127.0.0.1/x"
    assert env.keys() >= os.environ.keys()
