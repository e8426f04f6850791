"""The reference names every command, and what is in the files that Suffrage writes."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import typer.main

import suffrage
from suffrage.cli import app
from suffrage.consult.consultation import TABLES, write_consultation
from suffrage.population import build_value_set
from suffrage.training_data import ItemSplit, Records
from tests.consult.publics import made_up_public
from tests.synthetic import make_survey

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "files.md"


def commands(group: Any, name: str) -> list[str]:
    """What is typed to call each command of a group."""
    found = []
    for word, command in group.commands.items():
        inner = hasattr(command, "commands")
        found += commands(command, f"{name} {word}") if inner else [f"{name} {word}"]
    return found


def test_the_page_of_commands_has_each_with_its_help_and_options() -> None:
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "scripts" / "docs_hooks.py")
    assert spec is not None and spec.loader is not None
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    page = hooks.commands_page()
    assert re.findall(r"(?m)^## (.+)$", page) == commands(typer.main.get_command(app), "suffrage")
    _, _, planned = page.partition("## suffrage plan\n")
    section = planned.partition("\n## ")[0]
    assert "suffrage plan STUDY [OPTIONS]" in section
    assert "suffrage merge CHECKPOINT --out FOLDER [OPTIONS]" in page
    assert (
        "`--gpus`" in section and "`STUDY`" in section and "Every figure is an estimate." in section
    )


def test_the_pages_of_the_library_have_every_name_that_it_offers() -> None:
    pages = [PAGE.with_name(name).read_text("utf-8") for name in ("library.md", "types.md")]
    shown = re.findall(r"(?m)^::: suffrage\.(\w+)$", "".join(pages))
    assert sorted(shown) == sorted(set(suffrage.__all__) - {"__version__"})
    for name in re.findall(r"(?m)^::: suffrage\.(\w+)$", pages[1]):
        assert f"`{name}`" in pages[1]


def described(file: str) -> set[str]:
    """The names in the row of a file."""
    row = re.search(rf"(?m)^\|[^|]*\| `{re.escape(file)}` \|(.*)\|$", PAGE.read_text("utf-8"))
    assert row is not None, file
    return set(re.findall(r"`([^`]+)`", row.group(1)))


def test_the_page_of_files_names_what_value_sets_splits_and_records_hold(tmp_path: Path) -> None:
    survey = make_survey(items=3)
    survey.write(tmp_path / "survey")
    value_set = build_value_set(survey, "all")
    value_set.write(tmp_path / "set")
    ids = survey.codebook.item_ids
    ItemSplit(ids[:2], ids[2:], {i: i for i in ids}, {}).write(tmp_path / "split")
    Records("sft", pl.DataFrame({"user": ["a"]}), {}).write(tmp_path / "records")
    for file in ("survey.json", "value_set.json", "split.json", "records.json"):
        (found,) = tmp_path.glob(f"*/{file}")
        assert set(json.loads(found.read_text("utf-8"))) == described(file), file
    for file in ("shares.parquet", "resamples.parquet"):
        assert set(pl.read_parquet_schema(tmp_path / "set" / file)) == described(file)


def test_the_page_of_files_names_every_column_of_a_consultation(tmp_path: Path) -> None:
    write_consultation(made_up_public(30, 2), tmp_path / "town")
    text = PAGE.read_text("utf-8").partition("## A consultation")[2]
    for table in TABLES:
        row = re.search(rf"(?m)^\| `{table}` \|(.*)\|$", text)
        assert row is not None, table
        named = {name.rstrip("*") for name in re.findall(r"`([^`]+)`", row.group(1))}
        assert named == set(pl.read_parquet_schema(tmp_path / "town" / f"{table}.parquet"))
