"""`suffrage audit`: from a survey and a model to a report, at hand or behind an address."""

import dataclasses
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.models.local_settings import LocalModelSettings
from suffrage.models.shape import folder_shape
from suffrage.report.plain_words import day_in_words
from suffrage.study.commands.auditing import asked_model, shape_of, surveyed_by
from suffrage.study.planning import plan
from suffrage.survey import Survey, read_survey
from suffrage.values.item_keys import item_key
from tests.evaluate.test_auditing import constant, said
from tests.json_keys import check_keys
from tests.openai_server import Stub, serving
from tests.study.conftest import Write
from tests.values import test_values, test_world_values

SURVEY = ("--survey", "survey.csv", "--codebook", "codebook.yaml", "--by", "region")


@pytest.fixture
def town(write_study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a survey, its codebook and a study."""
    write_study()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def audit(*words: object) -> Result:
    return CliRunner().invoke(app, ["audit", *(str(word) for word in words)])


@pytest.mark.slow
def test_an_endpoint_is_audited_and_nothing_is_asked_twice(town: Path) -> None:
    shares = {"A": 0.5, "B": 0.2, "C": 0.1, "D": 0.05, "E": 0.05}
    shares |= {"1": 0.05, "2": 0.03, "3": 0.02}
    with serving(Stub(shares=shares)) as server:
        words = ("stub", "--endpoint", server.address, *SURVEY, "--out", "found")
        first = audit(*words)
        assert first.exit_code == 0, first.output
        asked = len(server.said)
        assert audit(*words).exit_code == 0 and len(server.said) == asked
    assert {body["model"] for body in server.said} == {"stub"}
    questions = " ".join(json.dumps(body["messages"]) for body in server.said)
    assert "would" not in questions  # asked as itself, as no group
    page = (town / "found" / "audit.html").read_text()
    assert "Whose answers does stub give?" in page and "A map of answers" in page
    assert f"{asked} requests" in page
    # A reader learns when it was made, and how to make it again, and nothing of the folders above.
    assert day_in_words(datetime.now(UTC).date()) in page
    command = (
        "suffrage audit stub --survey survey.csv --by region "
        f"--endpoint {server.address} --codebook codebook.yaml"
    )
    assert f"<code>{command}</code>" in page
    found = json.loads((town / "found" / "audit.json").read_text())
    survey = read_survey("labelled_file", path="survey.csv", codebook="codebook.yaml")
    assert f"The survey's content hash is {survey.content_hash}." in found["notes"]
    assert any(note.startswith(f"stub: asked at {server.address}") for note in found["notes"])
    groups = pl.read_csv(town / "found" / "groups.csv")
    assert sorted(groups["group"]) == ["north", "south"]
    assert [g["group"] for g in found["models"][0]["groups"]] == groups["group"].to_list()
    answers = pl.read_csv(town / "found" / "answers.csv")
    by_item = answers.group_by("item").agg(pl.col("share").sum())
    assert by_item["share"].to_list() == pytest.approx([1.0] * by_item.height)


@pytest.mark.slow
def test_models_at_hand_and_behind_addresses_are_compared_in_one_report(
    town: Path, tiny_model: Path
) -> None:
    with serving(Stub()) as server:
        settings = {"endpoint": server.address, "name": "far", "samples": 4}
        (town / "far.yaml").write_text(yaml.safe_dump({"model": settings}))
        found = audit(tiny_model, "far.yaml", "--survey", "study.yaml", "--json")
    assert found.exit_code == 0, found.output
    content = json.loads(found.stdout)
    check_keys("audit", content)
    assert any("the model's content hash is" in note for note in content["notes"])
    assert [m["name"] for m in content["models"]] == [tiny_model.name, "far"]
    assert {(g["model"], g["group"]) for g in content["model_gaps"]} >= {
        (g["model"], group) for g in content["model_gaps"] for group in ("north", "south")
    }
    assert "The models next to each other" in (town / "audit" / "audit.html").read_text()


def first_line(name: str, found: Result) -> str:
    """How long it was planned to take to ask a model, in words."""
    (line,) = (one for one in found.stderr.splitlines() if f"asking {name}: about " in one)
    return line.partition(": about ")[2]


@pytest.mark.slow
def test_the_time_planned_is_that_of_this_model_on_this_machine(
    town: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of the number of questions: a small model takes little more than its loading."""
    found = audit(tiny_model, *SURVEY)
    assert found.exit_code == 0, found.output
    assert first_line(tiny_model.name, found) == f"{plan.LOADING_SECONDS:.1f} s"
    monkeypatch.setattr(plan, "matrix_speed", lambda _: 1e6)
    again = first_line(tiny_model.name, audit(tiny_model, *SURVEY, "--out", "slowly"))
    assert "min" in again or " h " in again


@pytest.mark.slow
def test_the_time_planned_for_an_endpoint_is_that_of_its_requests(town: Path) -> None:
    ways = 8 * 4  # questions, each with two sets of labels in two orders
    with serving(Stub()) as server:
        settings = {"endpoint": server.address, "name": "far", "concurrency": 4}
        (town / "far.yaml").write_text(yaml.safe_dump({"model": settings}))
        found = audit("far.yaml", *SURVEY)
    assert found.exit_code == 0, found.output
    assert first_line("far", found) == f"{ways * plan.REQUEST_SECONDS / 4:.1f} s"


def test_a_checkpoint_is_as_large_as_the_model_that_it_was_trained_on(
    tiny_model: Path, tmp_path: Path
) -> None:
    base = {"name": "tiny", "source": "../base", "content": ""}
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter" / "manifest.json").write_text(json.dumps({"base_model": base}))
    (tmp_path / "base").symlink_to(tiny_model)
    expected = folder_shape(tiny_model)
    for name in ("adapter", "base"):
        assert shape_of(LocalModelSettings(name=str(tmp_path / name))) == expected
    assert shape_of(LocalModelSettings(name="owner/never-fetched")) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("m", "--survey", "survey.csv", "--codebook", "codebook.yaml"),
            "--by: name a demographic",
        ),
        (("m", *SURVEY[:-1], "regoin"), 'Did you mean "region"'),
        (("m", "--survey", "absent.csv"), "no such file, and no such reader"),
        (("m", "--survey", "wvs7"), "--survey wvs7: path: is missing"),
        (("m", "--survey", "survey.csv"), "--survey survey.csv: a data file needs --codebook"),
        (("m", "--survey", "study.yaml", "--by", "region"), "the study says its own groups"),
        (("m", "--key", "KEY", *SURVEY), "--key is for a model behind --endpoint"),
        (("m", *SURVEY), "m does not exist"),
        (("a/m", "a/m", *SURVEY), "two of the models have one name"),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(
    town: Path, words: tuple[str, ...], message: str
) -> None:
    found = audit(*words)
    assert isinstance(found.exception, InputError) and message in str(found.exception)


def test_two_demographics_with_the_same_values_make_groups_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from suffrage.study.commands import auditing

    survey = _in_groups(test_values.answers())
    book = survey.codebook.model_copy(update={"demographics": ("half", "again")})
    both = survey.responses.with_columns(again=pl.col("half").reverse())
    twice = dataclasses.replace(survey, codebook=book, responses=both)
    monkeypatch.setattr(auditing, "read_survey_or_table", lambda *_: twice)
    named = [own.name for own in surveyed_by({}, ["half", "again"]).value_sets]
    assert named == ["half: g0", "half: g1", "again: g0", "again: g1"]
    assert [own.name for own in surveyed_by({}, ["half"]).value_sets] == ["g0", "g1"]


@pytest.mark.slow
def test_an_endpoint_is_not_begun_without_its_library_or_its_key(
    town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("far", "--endpoint", "http://127.0.0.1:9/v1", *SURVEY)
    keyed = audit(*words, "--key", "NO_SUCH_KEY")
    assert "NO_SUCH_KEY is not set" in str(keyed.exception) and "asking" not in keyed.output
    monkeypatch.setitem(sys.modules, "httpx", None)
    found = audit(*words)
    assert 'pip install "suffrage[endpoint]"' in str(found.exception)
    assert "asking" not in found.output


def test_groups_that_are_too_small_are_left_out_by_name(town: Path) -> None:
    lines = (town / "survey.csv").read_text().splitlines()
    few = [line.replace("north", "west") for line in lines[1:6]]
    (town / "survey.csv").write_text("\n".join([*lines[:1], *few, *lines[6:]]) + "\n")
    section = {"reader": "labelled_file", "path": "survey.csv", "codebook": "codebook.yaml"}
    found = surveyed_by(section, ["region"], town)
    assert [v.name for v in found.value_sets] == ["north", "south"]
    assert len(found.left_out) == 1 and "west" in found.left_out[0]


def test_a_models_key_is_never_written_down(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="never write the key itself"):
        asked_model("m", "https://host/v1", "sk-secret-key")


def _in_groups(survey: Survey) -> Survey:
    """The same people in two groups by chance."""
    half = [f"g{place % 2}" for place in range(survey.responses.height)]
    return Survey(
        survey.responses.with_columns(half=pl.Series(half)),
        survey.codebook.model_copy(update={"demographics": ("half",)}),
        survey.provenance,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["circle", "map"])
def test_values_are_mapped_where_the_survey_has_their_items(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from suffrage.report.audit_page import render_audit
    from suffrage.study.commands import auditing

    made = test_values.answers() if kind == "circle" else test_world_values.world(300, 1)[0]
    survey = _in_groups(made)
    monkeypatch.setattr(auditing, "read_survey_or_table", lambda *_: survey)
    surveyed = surveyed_by({}, ["half"])
    audited = auditing.audit_of_answers(
        surveyed, {"m": said(list(surveyed.value_sets), constant), "dumb": []}
    )
    found = audited.values_circle if kind == "circle" else audited.cultural_map
    other = audited.cultural_map if kind == "circle" else audited.values_circle
    assert other is None and found is not None
    assert [p.name for p in found.points] == ["m", "g0", "g1"]
    assert all(p.x_error for p in found.points if not p.is_model)
    assert found.missing[0].startswith("dumb: no answer to ")
    page = render_audit(audited)
    assert ("Schwartz’s circle" in page) == (kind == "circle")
    assert ("Inglehart and Welzel" in page) == (kind == "map")
    if kind == "circle":
        assert len(found.ring) == len(item_key("PVQ-21").items)


@pytest.mark.slow
def test_an_audit_replaces_no_file_of_others_and_no_other_audit(town: Path) -> None:
    (town / "mine").mkdir()
    (town / "mine" / "answers.csv").write_text("own\n")
    with serving(Stub(shares={"A": 0.6, "B": 0.4})) as server:
        words = ("stub", "--endpoint", server.address, *SURVEY)
        refused = audit(*words, "--out", "mine")
        assert "--out mine: has something in it" in str(refused.exception)
        assert (town / "mine" / "answers.csv").read_text() == "own\n" and server.said == []
        assert audit(*words, "--out", "found").exit_code == 0
        before = (town / "found" / "audit.json").read_bytes()
        other = ("stub", "--endpoint", server.address, *SURVEY[:-1], "sex", "--out", "found")
        refused = audit(*other)
        assert "the audit of survey.csv by region" in str(refused.exception)
        (town / "found" / "notes.txt").write_text("own\n")
        refused = audit(*words, "--out", "found")
        assert "notes.txt" in str(refused.exception)
        assert (town / "found" / "audit.json").read_bytes() == before
