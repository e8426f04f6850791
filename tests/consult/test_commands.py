"""What `suffrage consult groups` prints."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.consult.polis.conversation import Conversation, PolisStatement
from suffrage.consult.polis.write_files import write_polis
from tests.consult.opinions import made_up_votes


@pytest.fixture
def export(tmp_path: Path) -> Path:
    matrix, truth = made_up_votes(people=150, statements=30)
    votes = matrix.votes.copy()
    votes[:, 4] = np.where(votes[:, 4] >= -1, 1, votes[:, 4])  # everyone agrees with one
    statements = tuple(
        PolisStatement(str(j), f"We want number {j}.", moderated=-1 if j == 9 else 1)
        for j in range(30)
    )
    ids = {str(i): str(group) for i, group in enumerate(truth)}
    matrix = type(matrix)(matrix.participants, matrix.statements, votes)
    about = {"topic": "Numbers"}
    write_polis(Conversation(about, statements, matrix, None, ids), tmp_path / "export")
    young = np.arange(150) % 3 == 0
    rows = [f"{i},{'young' if y else 'old'}" for i, y in enumerate(young)]
    (tmp_path / "people.csv").write_text("\n".join(["participant,age", *rows]))
    (tmp_path / "margins.yaml").write_text(
        "margins: {age: {young: 0.6, old: 0.4}}\nsource: made up\n"
    )
    return tmp_path / "export"


def said(*words: str) -> str:
    result = CliRunner().invoke(app, ["consult", "groups", *words, "--resamples", "5"])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.mark.slow
def test_groups_are_told_in_words(export: Path) -> None:
    shown = said(str(export))
    assert "Numbers: 2 groups among 150 of 150 participants, 29 statements." in shown
    assert "Agrees more than the others" in shown
    agreed = shown.split("What all groups agree with")[1]
    assert "We want number 4." in agreed.split("What all groups disagree with")[0]
    assert "number 9." not in shown  # moderated out


@pytest.mark.slow
def test_the_figures_come_for_scripts_as_sample_and_as_population(export: Path) -> None:
    more = ["--people", str(export.parent / "people.csv")]
    more += ["--margins", str(export.parent / "margins.yaml")]
    found = json.loads(said(str(export), "--json", *more))
    assert found["exported_agreement"] > 0.9 and len(found["groups"]) == 2
    assert found["tried"][0]["trusted"]
    first = found["consensus"][0]
    assert first["text"] == "We want number 4."
    assert first["sample"]["low"] < first["sample"]["consensus"] < first["sample"]["high"]
    assert first["population"]["groups"][0]["voters"] < first["sample"]["groups"][0]["voters"]
    assert found["representativeness"]["source"] == "made up"


def test_two_people_agree_on_nothing_for_sure_and_one_statement_is_counted(tmp_path: Path) -> None:
    votes = tmp_path / "votes.csv"
    votes.write_text("user,item,answer\na,s1,yes\na,s2,no\nb,s1,yes\nb,s2,yes\n")
    shown = said(
        str(votes),
        *("--columns", "participant=user,statement=item,vote=answer"),
        *("--values", "agree=yes,disagree=no,pass=skip"),
    )
    assert "Do not base a claim on them." in shown
    agreed, disagreed = shown.split("What all groups agree with")[1].split("What all groups dis")
    assert "more than half of every group behind it." in agreed
    assert "more than half of every group against it." in disagreed
    assert "Uncertain: 1 more statement with" in disagreed


def test_wrong_wishes_are_told(export: Path) -> None:
    for words, message in (
        (["--moderated", "keep"], "it must be drop or zero"),
        (["--agree", "2"], "it must be 1 or -1"),
        (["--groups", "1"], "must be 2 or more"),
        (["--people", str(export.parent / "people.csv")], "people and margins go together"),
    ):
        result = CliRunner().invoke(app, ["consult", "groups", str(export), *words])
        assert message in str(result.exception)
