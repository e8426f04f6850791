"""`suffrage ask` and `suffrage chat` in the terminal."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

import suffrage
from suffrage.cli import app
from suffrage.cli.asking import typed_answers
from suffrage.server.listening import open_port
from suffrage.server.store.database import open_store
from suffrage.server.store.stored_judgements import comparisons_that_count
from tests.example_files import write_examples
from tests.server.site import consultation


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    return write_examples(tmp_path_factory.mktemp("town"), tiny_model)


def suffrage_command(*words: object, typed: str = "") -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], input=typed)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([], ()),
        (["Yes, No"], ("Yes", "No")),
        (["Yes, always | No, never"], ("Yes, always", "No, never")),
        (["Yes, always", "No"], ("Yes, always", "No")),
    ],
)
def test_answers_are_told_apart_by_commas_bars_or_options(
    given: list[str], wanted: tuple[str, ...]
) -> None:
    assert typed_answers(given) == wanted


@pytest.mark.slow
def test_ask_prints_what_the_library_returns(town: Path) -> None:
    study = town / "study.yaml"
    words = ("ask", town / "tiny-model", "roads", "--as", "north", "--study", study)
    found = json.loads(suffrage_command(*words, "--json").stdout)
    loaded = suffrage.read_study(study)
    (answer,) = suffrage.chat(town / "tiny-model", "north", study=loaded).ask("roads")
    assert found == json.loads(json.dumps(answer.as_json()))
    shown = suffrage_command(*words).stdout
    assert "Too little" in shown and "63%" in shown
    assert "60 people answered it" in shown.replace("\n", " ")


@pytest.mark.slow
def test_ask_and_chat_refuse_mistakes_before_they_load_a_model_and_say_that_they_load(
    town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, study = town / "tiny-model", ("--study", town / "study.yaml")
    loading = "Loading the model."
    said = suffrage_command("ask", model, "roads", *study)
    assert said.exit_code == 0 and loading in said.stderr and loading not in said.stdout
    assert loading not in suffrage_command("ask", model, "roads", *study, "--json").stderr
    # What asks for the model fails the test from here on.
    monkeypatch.setattr("suffrage.library.load_model", None)
    with open_port("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        for words, message in (
            (("ask", model, "raods", *study), 'Did you mean "roads"'),
            (("ask", model, "Is tea good?", "--options", "Yes"), "1 option for"),
            (("ask", town / "none" / "tiny" / "model", "roads", *study), "does not exist"),
            (("chat", model, "--as", "a", "--against", "a"), 'both sides are "a"'),
            (("chat", model, "--web", "--port", port), "choose another port"),
        ):
            refused = suffrage_command(*words)
            assert message in str(refused.exception), refused.exception
            assert loading not in refused.stderr


def test_a_question_of_ones_own_may_have_answers_without_an_order(town: Path) -> None:
    own = ("ask", town / "tiny-model", "Which?", "--options", "Red, Green, Blue", "--json")
    scale, colours = (
        json.loads(suffrage_command(*own, *more).stdout)["answers"]
        for more in ((), ("--unordered",))
    )
    assert [row["text"] for row in colours] == ["Red", "Green", "Blue"]
    assert [row["share"] for row in colours] != [row["share"] for row in scale]


def test_chat_goes_on_until_an_empty_line_and_after_a_mistake(town: Path) -> None:
    typed = "roads\nIs tea good?\nYes\nIs tea good?\nYes, No\n\n"
    said = suffrage_command(
        "chat", town / "tiny-model", "--as", "north", "--against", "south",
        "--study", town / "study.yaml", typed=typed,
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    assert "1 option for" in said.output  # the mistake
    assert said.stdout.count("people") >= 2 and "Is tea good?" in said.stdout


@pytest.mark.slow
def test_chat_keeps_a_preference_after_consent(town: Path, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"), create=True)
    what = consultation(store)
    words = (
        "chat", town / "tiny-model", "--as", "north", "--against", "south",
        "--consultation", tmp_path / "store",
    )  # fmt: skip
    refused = suffrage_command(*words, typed="yes\nno\nno\nno\n")
    assert "agree to this too" in str(refused.exception)
    typed = "yes\nno\nyes\nno\nIs tea good?\nYes, No\n1\n\n"
    said = suffrage_command(*words, typed=typed)
    assert said.exit_code == 0, said.output
    assert "Answer 1" in said.stdout and "Stored." in said.stdout
    assert comparisons_that_count(store, what.id)["outcome"].to_list() == ["left"]
    alone = suffrage_command(*words[:4], *words[6:])
    assert "add --against" in str(alone.exception)
