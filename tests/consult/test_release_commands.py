"""What the commands that let something leave a consultation print and write."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.consult.consultation import write_consultation
from suffrage.consult.release.release import read_release
from suffrage.errors import InputError
from tests.consult.publics import made_up_public
from tests.json_keys import check_keys


@pytest.fixture
def town(tmp_path: Path) -> Path:
    write_consultation(made_up_public(60, 2), tmp_path / "town")
    return tmp_path / "town"


def said(*words: object) -> str:
    result = CliRunner().invoke(app, ["consult", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.slow
def test_release_writes_a_whole_dataset_and_keeps_its_key_beside(
    town: Path, tmp_path: Path
) -> None:
    (tmp_path / "release.yaml").write_text(
        "licence: CC0-1.0\ncross: [[region, religion]]\nabout: {contact: clerk}\n"
        "joined: {attributes: [age, region], sensitive: [religion], k: 10, l: 3}\n"
        "private: {stratum: region, epsilon: 0.5}\n"
    )
    text = said("release", town, "--out", tmp_path / "one", "--settings", tmp_path / "release.yaml")
    assert "known votes single out" in text and "town-private.json" in text
    assert {"joined", "coarse_votes", "votes"} <= set(read_release(tmp_path / "one"))
    card = (tmp_path / "one" / "README.md").read_text()
    assert "k = 10" in card and "l = 3" in card and "epsilon = 0.5" in card and "CC0-1.0" in card
    manifest = json.loads(said("release", town, "--out", tmp_path / "two", "--json"))
    assert manifest["release"] == 2 and manifest["history"][1]["withdrawn"] == 0
    assert not list((tmp_path / "one").rglob("*private*"))


@pytest.mark.slow
def test_principles_prints_groups_and_writes_both_constitutions(town: Path, tmp_path: Path) -> None:
    text = " ".join(said("principles", town, "--out", tmp_path / "p", "--resamples", 4).split())
    assert (
        "more than 50% of every group" in text and "Choose the answer most consistent with" in text
    )
    names = {path.name for path in (tmp_path / "p").iterdir()}
    assert names == {"constitution.yaml", "unmerged.yaml", "principles.json"}
    trace = json.loads(said("principles", town, "--resamples", 4, "--json", "--population"))
    assert trace["read_as"] == "population" and trace["principles"]


@pytest.mark.slow
def test_records_and_mistakes(town: Path, tmp_path: Path) -> None:
    assert "dpo" in said("records", town, "--out", tmp_path / "r")
    assert (tmp_path / "r" / "kto.jsonl").exists()
    printed = json.loads(said("records", town, "--out", tmp_path / "printed", "--json"))
    check_keys("consult records", printed)
    (tmp_path / "bad.yaml").write_text("licens: MIT\n")
    result = CliRunner().invoke(
        app,
        [
            "consult",
            "release",
            str(town),
            "--out",
            str(tmp_path / "x"),
            "--settings",
            str(tmp_path / "bad.yaml"),
        ],
    )
    assert isinstance(result.exception, InputError) and 'Did you mean "licence"' in str(
        result.exception
    )
