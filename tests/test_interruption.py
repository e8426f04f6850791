"""Ctrl-C: what is kept, and how to go on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import suffrage
from suffrage import cli
from suffrage.cli.commands import app


def test_a_run_that_is_stopped_says_what_is_kept_and_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    study = tmp_path / "a study.yaml"
    study.write_text("study: x\n")

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(suffrage, "read_study", stopped)
    monkeypatch.setattr(sys, "argv", ["suffrage", "run", str(study)])
    found = CliRunner().invoke(app, ["run", str(study)])
    assert found.exit_code == 130
    assert "are kept" in found.stderr and f"suffrage run '{study}'" in found.stderr
    monkeypatch.setattr(sys, "argv", ["suffrage", "plan", str(study)])
    found = CliRunner().invoke(app, ["plan", str(study)])
    assert found.exit_code == 130 and found.stderr.strip() == "Stopped."


def test_a_signal_while_the_commands_are_loaded_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stops:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "suffrage.cli.commands":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "suffrage.cli.commands")
    monkeypatch.setattr(sys, "meta_path", [Stops(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130 and capsys.readouterr().err.strip() == "Stopped."


@pytest.mark.slow
def test_a_real_signal_without_a_terminal_ends_in_a_sentence(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        "study: stopped\nsurvey: {reader: gss_spending}\n"
        "value_sets: [{name: everyone, description: adults}]\nheld_out: {share: 0.3}\n"
        "model: bundled:smollm2-135m\nmethods: [base]\noutput: run\n"
    )
    code = "import sys; from suffrage.cli import main; sys.argv[1:] = ['run', sys.argv[1]]; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(study)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    first = process.stderr.readline()
    assert "Reading the survey" in first
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in rest
    assert "goes on from there: suffrage run" in rest
