"""Every command's help reads alike: arguments in capitals, flags without a type, outputs --out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from suffrage.cli.commands import app
from tests.test_docs import command_lines, unknown


def commands(group: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*name, word))
        else:
            yield (*name, word), command


EVERY = dict(commands(get_command(app)))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EVERY), ids=" ".join)
def test_help_has_no_type_next_to_a_flag_and_arguments_in_capitals(name: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*name, "--help"], env={"COLUMNS": "160"}).output
    assert "<bool>" not in shown
    options = [line for line in shown.splitlines() if " --" in line]
    assert not [line for line in options if "<str>" in line or "<list[" in line]
    used = shown.split("Usage:", 1)[1].split("\n", 1)[0].split("[OPTIONS]", 1)[1]
    assert used == used.upper(), used


def test_the_first_help_has_no_type_next_to_a_flag() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "160"}).output
    assert "--version" in shown and "<bool>" not in shown


def test_an_option_that_names_an_output_is_out() -> None:
    found = {
        (*name, option)
        for name, command in EVERY.items()
        for parameter in command.params
        for option in parameter.opts
        if option in ("--output", "--plot", "--html", "--file", "--to")
    }
    assert not found


def test_examples_in_the_help_are_commands_that_exist() -> None:
    shown = [" ".join(command.help.split()) for command in EVERY.values()]
    quoted = [text for help in shown for text in re.findall("`([^`]+)`", help)]
    calls = [call for text in quoted for call in command_lines(f"```sh\n{text}\n```")]
    assert len(calls) >= len(EVERY)
    assert not {" ".join(call): wrong for call in calls if (wrong := unknown(call)) is not None}


def test_an_output_given_by_position_is_told_the_option() -> None:
    for name, command in EVERY.items():
        if not any(p.required and "--out" in p.opts for p in command.params):
            continue
        places = [p.name for p in command.params if p.param_type_name == "argument"]
        others = [
            word
            for p in command.params
            if p.param_type_name == "option" and p.required and "--out" not in p.opts
            for word in (p.opts[0], "x")
        ]
        told = CliRunner().invoke(app, [*name, *places, "given", *others], env={"COLUMNS": "160"})
        assert told.exit_code == 2, name
        assert re.search(r"Name the output with --out (FILE|FOLDER)\.", told.output), name
