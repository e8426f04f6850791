"""Publishing on the hub: the real client against a server on this machine."""

import base64
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.publish.collection import publish_run, published_before
from suffrage.publish.hub_upload import push_to_hub
from suffrage.publish.receipt import RECEIPT, RepresentationReceipt

REPOSITORY = "town/voices"


class Hub(ThreadingHTTPServer):
    """The few addresses of the hub that an upload needs; it keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.made: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.refuses = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self._answer([] if "/tree/" in self.path else {"id": REPOSITORY, "sha": "0" * 40})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            body = self._chunks()
        self.server.tokens.add(self.headers.get("Authorization") or "")
        if self.server.refuses:
            self._answer({"error": "no such right"}, 403)
        elif self.path.endswith("/api/repos/create"):
            self.server.made.append(json.loads(body))
            self._answer({"url": f"{self.server.address}/{REPOSITORY}", "id": REPOSITORY})
        elif "/preupload/" in self.path:
            asked = [own["path"] for own in json.loads(body)["files"]]
            files = [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in asked]
            self._answer({"files": files})
        elif "/commit/" in self.path:
            for line in body.decode().splitlines():
                step = json.loads(line)
                if step["key"] == "file":
                    content = base64.b64decode(step["value"]["content"])
                    self.server.files[step["value"]["path"]] = content
            page = f"{self.server.address}/{REPOSITORY}/commit/{'0' * 40}"
            self._answer({"success": True, "commitOid": "0" * 40, "commitUrl": page})
        else:
            self._answer({"errors": [], "warnings": []})

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _answer(self, content: Any, status: int = 200) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def publish(run: Path, folder: Path, hub: Hub, token: str | None, *more: str) -> Any:
    """The command, as a user with this token gives it."""
    given = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    given |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder.parent / "hf")}
    given |= {"HF_HUB_DISABLE_XET": "1"} | ({"HF_TOKEN": token} if token else {})
    command = [sys.executable, "-m", "suffrage", "publish", str(run), str(folder)]
    return subprocess.run(
        [*command, "--hub", REPOSITORY, *more],
        env=given,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.slow
def test_the_hub_gets_every_file_under_the_user_s_token_in_a_private_repository(
    small_run: Path, tmp_path: Path, hub: Hub
) -> None:
    folder = tmp_path / "published"
    done = publish(small_run, folder, hub, "hf_secret")
    assert done.returncode == 0, done.stderr
    wanted = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert hub.files == wanted
    assert hub.tokens == {"Bearer hf_secret"}
    (made,) = hub.made
    assert made["name"] == "voices" and made["organization"] == "town"
    assert made.get("private") is True or made.get("visibility") == "private"
    assert "hf_secret" not in done.stdout + done.stderr
    assert f"{hub.address}/{REPOSITORY}" in done.stdout


@pytest.mark.slow
def test_without_a_token_or_a_right_it_says_so_and_the_folder_stays(
    small_run: Path, tmp_path: Path, hub: Hub
) -> None:
    folder = tmp_path / "published"
    nobody = publish(small_run, folder, hub, None)
    assert nobody.returncode == 2 and "hf auth login" in nobody.stderr
    assert (folder / "receipt.json").is_file() and not hub.files
    hub.refuses = True
    refused = publish(small_run, folder, hub, "hf_weak")
    assert refused.returncode == 1 and "the hub refused it" in refused.stderr
    hub.refuses = False
    again = publish(small_run, folder, hub, "hf_strong", "--author", "The town")
    assert again.returncode == 0 and hub.files, "the same command tries again"
    assert "Not used   --author: " in again.stdout and "--base" not in again.stdout
    assert f"As before  {folder}" in again.stdout
    assert f"Fetch      hf download {REPOSITORY} --local-dir published" in again.stdout


@pytest.mark.slow
def test_a_run_and_a_name_that_is_none_are_not_uploaded(small_run: Path) -> None:
    with pytest.raises(InputError, match="write owner/name"):
        push_to_hub(small_run, "no name")
    with pytest.raises(InputError, match="not a published folder"):
        push_to_hub(small_run, REPOSITORY)


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_said_to_be_so(
    small_run: Path, tmp_path: Path, hub: Hub
) -> None:
    hub.shutdown()
    hub.server_close()
    done = publish(small_run, tmp_path / "published", hub, "hf_secret")
    assert done.returncode == 1 and "the upload failed" in done.stderr
    assert "Traceback" not in done.stderr and "same command tries again" in done.stderr


def refused(*words: object) -> str:
    """Why the command refuses, without a hub."""
    shown = CliRunner().invoke(app, ["publish", *(str(word) for word in words)])
    assert isinstance(shown.exception, InputError), shown.output
    return str(shown.exception)


@pytest.mark.slow
def test_the_command_that_checks_a_folder_is_printed_as_a_shell_reads_it(
    small_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "Māori study"
    shown = CliRunner().invoke(app, ["publish", str(small_run), str(folder)])
    (line,) = (line for line in shown.stdout.splitlines() if line.startswith("Check"))
    assert shlex.split(line) == ["Check", "suffrage", "verify", str(folder)]


@pytest.mark.slow
def test_what_cannot_be_uploaded_is_refused_before_anything_is_written(
    small_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    assert "write owner/name" in refused(small_run, folder, "--hub", "town")
    assert "--public goes with --hub" in refused(small_run, folder, "--public")
    assert not folder.exists()


@pytest.mark.slow
def test_a_folder_of_another_run_is_not_uploaded_in_its_place(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    publish_run(run, folder)
    assert published_before(run, folder).receipt == RepresentationReceipt.read(folder)
    receipt = RepresentationReceipt.read(run)
    parts = [
        replace(part, place=f"{part.place}0") if part.kind == "records" else part
        for part in receipt.parts
    ]
    (run / RECEIPT).write_text(replace(receipt, parts=parts).text)
    assert "was not published from" in refused(run, folder, "--hub", REPOSITORY)
    assert "is not a published folder" in refused(run, run, "--hub", REPOSITORY)
