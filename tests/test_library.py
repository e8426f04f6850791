"""The library: what `import suffrage` offers, and that it does what the commands do."""

import ast
import inspect
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import suffrage
from suffrage.align.checkpoint import MANIFEST
from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.models import ItemProbe, LanguageModel, identify, read_letters
from suffrage.survey.weighting import WeightingSpec
from suffrage.training_data import HeldOut
from tests.example_files import write_examples

SOURCE = Path(suffrage.__file__).parent
README = SOURCE.parents[1] / "README.md"
VERBS = [name for name in suffrage.__all__ if inspect.isfunction(getattr(suffrage, name))]
TYPES = [name for name in suffrage.__all__ if inspect.isclass(getattr(suffrage, name))]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The folder with a small town's survey, study and consultation."""
    return write_examples(tmp_path_factory.mktemp("town"), tiny_model)


@pytest.fixture(scope="module")
def survey(town: Path) -> suffrage.Survey:
    return suffrage.read_survey("labelled_file", town, path="town.csv", codebook="town.yaml")


@pytest.fixture(scope="module")
def trained_run(town: Path) -> suffrage.Study:
    """A finished study with one trained adapter."""
    text = (
        (town / "study.yaml")
        .read_text()
        .replace("- prompt\n", "- {method: sft, steps: 5, batch: 4, learning_rate: 0.01}\n")
    )
    (town / "trained.yaml").write_text(text.replace("runs/town", "runs/trained"))
    study = suffrage.read_study(town / "trained.yaml")
    assert suffrage.run_study(study, quiet=True).results is not None
    return study


# --- what is offered -------------------------------------------------------------------------


def test_dir_lists_exactly_the_verbs_and_types() -> None:
    assert dir(suffrage) == sorted([*VERBS, *TYPES, "__version__"])
    assert len(VERBS) == 15


def test_type_checkers_see_what_is_loaded_when_it_is_used() -> None:
    body = ast.parse((SOURCE / "__init__.py").read_text()).body
    guarded = next(node for node in body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(seen) == {*VERBS, *TYPES}
    for name, module in seen.items():
        assert getattr(suffrage, name) is getattr(__import__(str(module), fromlist=[name]), name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r'no attribute .read_surveys.\. .* "read_survey"'):
        suffrage.read_surveys  # noqa: B018


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_documents_each_parameter_result_error_and_an_example(verb: str) -> None:
    function = getattr(suffrage, verb)
    text = inspect.getdoc(function) or ""
    sections = re.split(r"\n(\w+)\n-{3,}\n", text)
    parts = dict(zip(sections[1::2], sections[2::2], strict=True))
    documented = re.findall(r"^(\*{0,2}\w+)(?: :|$)", parts["Parameters"], flags=re.MULTILINE)
    wanted = inspect.signature(function).parameters.values()
    assert documented == [str(p).split(":")[0].split("=")[0] for p in wanted]
    assert parts["Returns"].strip() and "InputError" in parts["Raises"]
    assert ">>> " in parts["Examples"]


@pytest.mark.parametrize("path", sorted((SOURCE / "cli").glob("*.py")), ids=lambda p: p.stem)
def test_commands_call_the_verbs_of_the_library(path: Path) -> None:
    imported = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert not imported & set(VERBS), "write suffrage.VERB instead"


@pytest.mark.slow
def test_the_passage_in_the_readme_runs(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = town / "runs/quickstart/checkpoints/distribution-seed7"
    shutil.copytree(town / "tiny-model", checkpoint)
    monkeypatch.chdir(town)
    section = README.read_text().split("## From Python")[1]
    passage = section.split("```python\n")[1].split("```")[0]
    printed: list[object] = []
    exec(passage, {"print": printed.append})
    shares, said, sizes = printed
    assert np.isclose(np.sum(shares), 1) and sum(said.values()) == pytest.approx(1)  # type: ignore[call-overload, attr-defined]
    assert len(sizes) >= 2  # type: ignore[arg-type]


@pytest.mark.slow
def test_commands_print_what_the_verbs_return(trained_run: suffrage.Study, town: Path) -> None:
    results, folder = suffrage.read_results(trained_run.output), trained_run.output
    found = suffrage.find_opinion_groups(suffrage.read_polis(town / "polis-export"), resamples=2)
    run = printed_json("run", trained_run.source)
    assert run["computed"] == [] and len(run["figures"]) == len(results.figures)
    compared = printed_json("compare", folder)["leaderboards"]
    standings = [board.standings for board in suffrage.compare_runs([folder]).boards]
    assert [[row["value"] for row in board["standings"]] for board in compared] == [
        [standing.value for standing in own] for own in standings
    ]
    groups = printed_json("consult", "groups", town / "polis-export", "--resamples", "2")
    assert [group["size"] for group in groups["groups"]] == found.groups.sizes.tolist()
    shown = printed("run", trained_run.source)
    assert str(folder / "report.html") in shown.replace("\n", "")
    assert "sft" in shown and "checkpoints" in shown


def printed(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


def printed_json(*words: object) -> Any:
    return json.loads(printed(*words, "--json"))


def test_what_the_verbs_return_is_shown_in_one_line(
    trained_run: suffrage.Study, survey: suffrage.Survey, town: Path
) -> None:
    north = suffrage.build_value_set(survey, "north", where={"area": "north"})
    shown = {
        "<Survey 'A town': 4 items, 120 respondents>": survey,
        "<ValueSet 'north': people whose area is north; 4 items, 60 respondents>": north,
        "<AnswerDistribution 'roads': 'Too little' 0.633,": north.distributions["roads"],
        "<Results of 'town': ": suffrage.read_results(trained_run.output),
        "<Consultation 'town': ": suffrage.read_consultation(town / "consultation"),
        "<Conversation ": suffrage.read_polis(town / "polis-export"),
    }
    for beginning, given in shown.items():
        assert repr(given).startswith(beginning) and len(repr(given)) < 200, repr(given)


# --- reading and splitting -------------------------------------------------------------------


def test_a_reader_by_name_reads_what_a_studys_section_reads(
    town: Path, survey: suffrage.Survey
) -> None:
    section = suffrage.read_study(town / "study.yaml").survey[0].section
    assert suffrage.read_survey(section, town).content_hash == survey.content_hash


def test_a_value_set_without_conditions_is_everyone(survey: suffrage.Survey) -> None:
    everyone = suffrage.build_value_set(survey, "everyone")
    assert everyone.n == survey.responses.height
    assert everyone == suffrage.build_value_set(survey, "everyone", where={}, seed=0)


def test_keywords_split_items_as_the_rule_of_a_study_does(survey: suffrage.Survey) -> None:
    rule = HeldOut(by="list", items=("roads",))
    assert suffrage.split_items(survey, by="list", items=["roads"]) == suffrage.split_items(
        survey.codebook.items, rule
    )
    with pytest.raises(InputError, match="give held_out or by, not both"):
        suffrage.split_items(survey, rule, by="list")
    with pytest.raises(InputError, match='Did you mean "share"'):
        suffrage.split_items(survey, shares=0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"by": "list", "items": ["raods"]}, 'items: there is no "raods"; .* mean "roads"'),
        ({"by": "topic", "topics": ["transprot"]}, 'topics: there is no .* mean "transport"'),
        ({"topic": ["transprot"]}, 'topic: there is no topic .* mean "transport"'),
        ({"share": 1}, "by item, share 1.0 leaves no item to train on"),
    ],
)
def test_a_split_names_keywords_and_the_nearest_item_or_topic(
    given: dict[str, Any], message: str, survey: suffrage.Survey
) -> None:
    with pytest.raises(InputError, match=f"^split_items: {message}"):
        suffrage.split_items(survey, **given)


def test_files_that_are_not_there_are_named_with_the_nearest(town: Path) -> None:
    votes = suffrage.read_polis(town / "polis-export")
    (town / "people.csv").write_text("participant,area\n0,north\n")
    (town / "margins.yaml").write_text("margins: {area: {north: 1}}\nsource: x\n")
    for people, margins, near in (
        ("peolpe.csv", "margins.yaml", "people.csv"),
        ("people.csv", "margnis.yaml", "margins.yaml"),
    ):
        with pytest.raises(InputError, match=rf'no such file\. Did you mean "{near}"\?$'):
            suffrage.find_opinion_groups(votes, people=town / people, margins=town / margins)
    for read in (suffrage.Survey.read, suffrage.ValueSet.read, suffrage.ItemSplit.read):
        with pytest.raises(InputError, match=r"no such file\. There is no folder .*gone\.$"):
            read(town / "gone")
    with pytest.raises(InputError, match="a folder, not a file; give the path of the file"):
        suffrage.read_study(town)
    with pytest.raises(InputError, match=r"there is no consultation\.json here; give a folder"):
        suffrage.read_consultation(town / "polis-export")


def test_a_key_that_is_no_text_is_no_item(survey: suffrage.Survey) -> None:
    with pytest.raises(InputError, match='has no item "3"'):
        survey.codebook[3]  # type: ignore[index]


# --- asking ----------------------------------------------------------------------------------


def test_a_question_in_words_is_asked_as_the_same_item_is(town: Path) -> None:
    model = suffrage.load_model(town / "tiny-model")
    options = ["Too little", "About right", "Too much"]
    answer = suffrage.ask(model, "Is enough spent on roads?", options, as_="people up north")
    again = suffrage.ask(model, answer.item, as_="people up north")
    (reading,) = read_letters(model, [ItemProbe(answer.item, "people up north")], 0.25)
    np.testing.assert_array_equal(answer.reading.shares, reading.shares)
    np.testing.assert_array_equal(again.reading.shares, reading.shares)
    assert list(answer.shares) == options and answer.persona == "people up north"


def test_the_population_and_the_order_of_options_reach_the_question(town: Path) -> None:
    model = suffrage.load_model(town / "tiny-model")
    options = ["Red", "Green", "Blue"]
    ways = [
        suffrage.ask(model, "Which?", options, as_=as_, ordered=ordered).reading.shares.tolist()
        for as_ in (None, "people up north")
        for ordered in (True, False)
    ]
    assert len({tuple(way) for way in ways}) == 4


@pytest.mark.slow
def test_a_checkpoint_answers_as_its_run_recorded(trained_run: suffrage.Study) -> None:
    results = suffrage.read_results(trained_run.output)
    folder = next(trained_run.output.glob("checkpoints/sft*"))
    checkpoint = suffrage.Checkpoint.read(folder)
    assert checkpoint.is_adapter and checkpoint.value_sets["north"] == "people up north"
    model = suffrage.load_model(checkpoint)
    survey = suffrage.read_survey(trained_run.survey[0].section, trained_run.folder)
    north = suffrage.build_value_set(survey, "north", {"area": "north"}, 7, "people up north")
    recorded = [
        row
        for row in results.answers
        if (row.method, row.value_set, row.readout) == ("sft", "north", "letters")
    ]
    assert recorded
    for row in recorded:
        answer = suffrage.ask(model, survey.codebook[row.item], as_=north)
        np.testing.assert_allclose(answer.reading.shares, row.shares, atol=1e-4)
    untrained = suffrage.ask(trained_run.folder / "tiny-model", north.items[0], as_=north)
    trained = suffrage.ask(folder, north.items[0], as_=north)
    assert not np.allclose(trained.reading.shares, untrained.reading.shares, atol=1e-4)


def test_an_adapter_is_refused_over_other_weights_or_none(
    trained_run: suffrage.Study, tmp_path: Path
) -> None:
    folder = next(trained_run.output.glob("checkpoints/sft*"))
    copy = shutil.copytree(folder, tmp_path / "copy")
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["base_model"]["content"] = "another"
    (copy / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="with other weights than it has today"):
        suffrage.load_model(copy)
    (copy / MANIFEST).unlink()
    with pytest.raises(InputError, match=r"a manifest\.json is missing"):
        suffrage.load_model(copy)


@pytest.mark.parametrize(
    ("question", "options", "message"),
    [
        ("Which?", [], "0 options"),
        ("Which?", ["Red"], "1 option for"),
        (" ", ["Red", "Green"], "give a text"),
        ("Which?", ["Red", "Red"], "have the same text"),
        ("Which?", ["Red", "Red "], "have the same text"),
        ("Which?", ["Red", " "], "has no text"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(
    town: Path, question: str, options: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        suffrage.ask(town / "tiny-model", question, options)


def test_an_items_options_cannot_be_replaced(town: Path, survey: suffrage.Survey) -> None:
    with pytest.raises(InputError, match="an item has options of its own"):
        suffrage.ask(town / "tiny-model", survey.codebook["roads"], ["Yes", "No"])


def test_a_folder_without_a_manifest_is_loaded_as_it_is(town: Path) -> None:
    plain = LanguageModel.load(identify("tiny-model", town))
    loaded = suffrage.load_model(town / "tiny-model")
    assert loaded.identity.content == plain.identity.content


def test_a_value_sets_name_stands_for_the_wording_of_the_training(
    trained_run: suffrage.Study,
) -> None:
    folder = next(trained_run.output.glob("checkpoints/sft*"))
    checkpoint = suffrage.Checkpoint.read(folder)
    assert checkpoint.persona("north") == "people up north"
    assert checkpoint.persona("people up north") == "people up north"
    assert checkpoint.persona("sailors") == "sailors"


@pytest.mark.slow
def test_an_interview_of_a_checkpoint_knows_the_survey_of_its_run(
    trained_run: suffrage.Study,
) -> None:
    folder = next(trained_run.output.glob("checkpoints/sft*"))
    talk = suffrage.chat(folder, "north", against="south")
    north, south = talk.ask("roads")
    lines = (trained_run.folder / "town.csv").read_text().splitlines()[1:]
    place = 2  # who, area, roads
    for answer, area in ((north, "north"), (south, "south")):
        said = [line.split(",")[place] for line in lines if line.split(",")[1] == area]
        assert answer.survey_shares is not None
        for code, share in zip("123", answer.survey_shares.values(), strict=True):
            assert share == pytest.approx(said.count(code) / len(said))
    alone = suffrage.ask(folder, north.item, as_="people up north")  # type: ignore[arg-type]
    np.testing.assert_allclose(list(north.shares.values()), alone.reading.shares, atol=1e-6)
    learnt = {one["id"] for one in suffrage.Checkpoint.read(folder).trained_questions or ()}
    for item in ("roads", "buses", "parks", "clinics"):
        assert talk.ask(item)[0].trained_on == (item in learnt)


@pytest.mark.parametrize("group", [None, "nroth"])
def test_a_survey_s_question_is_found_by_its_id_whoever_answers(
    trained_run: suffrage.Study, group: str | None
) -> None:
    folder = next(trained_run.output.glob("checkpoints/sft*"))
    (answer,) = suffrage.chat(folder, group).ask("roads")
    assert answer.item is not None and answer.item.id == "roads"
    assert set(answer.shares) == set(answer.item.texts) and answer.survey is None


@pytest.mark.slow
def test_a_single_word_that_is_no_id_is_not_asked_as_a_question(
    trained_run: suffrage.Study, town: Path
) -> None:
    folder = next(trained_run.output.glob("checkpoints/sft*"))
    for group in (None, "north"):
        with pytest.raises(InputError, match=r'no question of this id.*Did you mean "roads"'):
            suffrage.chat(folder, group).ask("raods")
    with pytest.raises(InputError, match="no survey is known"):
        suffrage.chat(town / "tiny-model").ask("roads")
    (answer,) = suffrage.chat(town / "tiny-model").ask("roads", ["Good", "Bad"])
    assert list(answer.shares) == ["Good", "Bad"]


@pytest.mark.slow
def test_two_checkpoints_can_answer_for_one_group(trained_run: suffrage.Study, town: Path) -> None:
    folder = next(trained_run.output.glob("checkpoints/sft*"))
    talk = suffrage.chat(folder, "north", against=town / "tiny-model", study=trained_run)
    first, second = talk.ask("roads")
    assert [first.side, second.side] == [folder.name, "tiny-model"]
    assert first.survey_shares == second.survey_shares
    assert first.shares != second.shares
    assert "not a population" in suffrage.chat(folder, "nroth").sides[0].note


def test_the_passage_on_asking_runs(
    trained_run: suffrage.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (README.parent / "docs" / "asking.md").read_text()
    passage = text.split("```python\n")[1].split("```")[0]
    assert len([line for line in passage.splitlines() if line.strip()]) <= 6
    folder = next(trained_run.output.glob("checkpoints/sft*"))
    for documented, here in (
        ("runs/quickstart/checkpoints/distribution-seed7", str(folder)),
        ("liberals", "north"),
        ("conservatives", "south"),
        ("natheal", "roads"),
    ):
        assert documented in passage
        passage = passage.replace(documented, here)
    printed: list[tuple[object, ...]] = []
    exec(passage, {"print": lambda *words: printed.append(words)})
    assert [words[0] for words in printed] == ["north", "south"]
    assert all(sum(words[1].values()) == pytest.approx(1) for words in printed)  # type: ignore[attr-defined]


@pytest.mark.parametrize("verb", [suffrage.run_study, suffrage.tune_study])
def test_a_study_has_to_be_read_before_it_runs(verb: Any) -> None:
    with pytest.raises(InputError, match=r"is 'a/study.yaml'; give a study, as suffrage.read_stu"):
        verb("a/study.yaml")


# --- wrong types -----------------------------------------------------------------------------

ARGUMENTS = [
    (verb, one.name)
    for verb in VERBS
    for one in inspect.signature(getattr(suffrage, verb)).parameters.values()
    if one.kind is not one.VAR_KEYWORD
]


@pytest.mark.parametrize(("verb", "wrong"), ARGUMENTS)
def test_a_wrong_type_is_a_sentence_with_verb_and_argument(
    verb: str, wrong: str, town: Path, survey: suffrage.Survey
) -> None:
    function = getattr(suffrage, verb)
    right: dict[str, Any] = dict.fromkeys(inspect.signature(function).parameters, "text")
    right |= {"survey": survey, "paths": ["runs"], "where": {}}
    right |= {"study": suffrage.read_study(town / "study.yaml")}
    right |= {"votes": suffrage.read_polis(town / "polis-export")}
    if verb == "audit_models":
        right["survey"] = "gss_spending"
    needed = {
        one.name: right[one.name]
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty and one.kind is not one.VAR_KEYWORD
    }
    with pytest.raises(InputError, match=rf"^{verb}: {wrong} is of type object; give .+\.$"):
        function(**needed | {wrong: object()})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: suffrage.read_survey(3), 'reader is 3; give the name of a reader, such as "lab'),
        (lambda: suffrage.read_survey("labelled_file"), r'^read_survey\("labelled_file"\): path: '),
        (lambda: suffrage.read_survey("labeled_file"), 'Did you mean "labelled_file"'),
        (lambda: suffrage.compare_runs("runs/town"), "paths is 'runs/town'; give a list of fold"),
        (lambda: suffrage.compare_runs(["a", 3]), r"paths\[1\] is 3; give a path"),
        (lambda: suffrage.ask("m", "Which?", "Red"), "options is 'Red'; give a list of texts"),
        (lambda: suffrage.audit_models([], "gss_spending"), "give at least one model"),
        (lambda: suffrage.load_model("m", dtype="int8"), 'dtype is "int8"; give float32, bfloat16'),
        (lambda: suffrage.HeldOut(by="itm"), r"^HeldOut: by: is 'itm'; must be 'item', 'topic' or"),
        (lambda: suffrage.HeldOut(by="item"), r"^HeldOut: by: item needs share\.$"),
        (lambda: suffrage.read_polis(""), r"^read_polis: folder is ''; give a path\.$"),
        (lambda: suffrage.load_model(" "), "^load_model: model is ' '; give a folder, a hub id"),
        (lambda: suffrage.ask("m", "Which?", ["A", "B"], as_=""), "as_ is ''; give a population's"),
        (lambda: suffrage.chat("m", as_=""), "as_ is ''; give a population's name"),
        (lambda: suffrage.chat("m", against=""), "against is ''; give another population's name"),
        (lambda: suffrage.ask("m", "Which?", ["A"]), "ask: 1 option for the question 'Which"),
        (lambda: suffrage.Item(id="a", question="Which?"), r"^Item: options: is missing\.$"),
    ],
)
def test_a_mistake_in_python_is_named_as_the_caller_wrote_it(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_an_interview_says_what_it_cannot_ask(town: Path) -> None:
    talk = suffrage.chat(town / "tiny-model")
    with pytest.raises(InputError, match="ask: question is 3; give a text"):
        talk.ask(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"ask: options\[1\] is 2; give a text"):
        talk.ask("Which?", ["Red", 2])  # type: ignore[list-item]


@pytest.mark.parametrize("wrong", [{"area": "north"}, {"Is tea good?": {"Yes": "most"}}])
def test_answers_that_are_no_shares_describe_no_population(wrong: Any, town: Path) -> None:
    with pytest.raises(InputError, match=r"give the share of each option by its text"):
        suffrage.ask(town / "tiny-model", "Which?", ["Red", "Green"], as_=wrong)


def test_what_is_no_list_but_can_be_gone_through_is_accepted(town: Path) -> None:
    with pytest.raises(InputError, match="there is no run to compare"):
        suffrage.compare_runs(town.glob("no-such-run"))


def test_a_missing_argument_is_still_python_s_own_error() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'reader'"):
        suffrage.read_survey()  # type: ignore[call-arg]


@pytest.mark.parametrize("key", ["only", "force"])
def test_a_stage_that_is_none_is_refused_before_a_run_starts(key: str, town: Path) -> None:
    text = (town / "study.yaml").read_text().replace("runs/town", "runs/never")
    (town / "never.yaml").write_text(text)
    study: Any = suffrage.read_study(town / "never.yaml")
    stage: Any = {key: "recods"}
    with pytest.raises(InputError, match=rf'{key} "recods": .* Did you mean "records"'):
        suffrage.run_study(study, quiet=True, **stage)
    assert not study.output.exists()


def test_runs_that_are_not_there_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="give the folder of at least one"):
        suffrage.compare_runs([])


# --- opinion groups --------------------------------------------------------------------------


@pytest.mark.slow
def test_an_audit_from_python_is_that_of_the_command(town: Path, tmp_path: Path) -> None:
    study, model = town / "study.yaml", town / "tiny-model"
    found = suffrage.audit_models(model, suffrage.read_study(study), out=tmp_path, quiet=True)
    said = CliRunner().invoke(
        app, ["audit", str(model), "--survey", str(study), "--out", str(tmp_path / "b"), "--json"]
    )
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout) == found.model_dump(mode="json")
    assert (tmp_path / "audit.html").read_text() == (tmp_path / "b" / "audit.html").read_text()


@pytest.mark.slow
def test_a_consultation_has_the_groups_of_the_same_votes_in_polis_files(town: Path) -> None:
    of_polis = suffrage.find_opinion_groups(
        suffrage.read_polis(town / "polis-export"), groups=2, resamples=2
    )
    of_tables = suffrage.find_opinion_groups(
        suffrage.read_consultation(town / "consultation"), groups=2, resamples=2
    )
    np.testing.assert_array_equal(of_polis.groups.labels, of_tables.groups.labels)
    assert of_polis.groups.count == 2


def test_people_without_the_populations_shares_are_refused(town: Path, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("participant,age\n0,young\n")
    votes = suffrage.read_polis(town / "polis-export")
    with pytest.raises(InputError, match="go together"):
        suffrage.find_opinion_groups(votes, resamples=2, people=people)


# --- wrong values ----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [suffrage.build_value_set, suffrage.split_items])
def test_a_seed_below_0_is_refused(verb: Any, survey: suffrage.Survey) -> None:
    given: dict[str, Any] = {"name": "all"} if verb is suffrage.build_value_set else {"share": 0.5}
    with pytest.raises(InputError, match=r"seed is -1; give a whole number from 0 on\."):
        verb(survey, seed=-1, **given)


def test_conditions_may_list_values_in_a_tuple_and_name_columns_in_words(
    survey: suffrage.Survey,
) -> None:
    listed = suffrage.build_value_set(survey, "north", {"area": ["north"]})
    assert suffrage.build_value_set(survey, "north", {"area": ("north",)}).n == listed.n
    with pytest.raises(InputError, match=r"where\.1 is not a demographic column"):
        suffrage.build_value_set(survey, "north", {1: "north"})  # type: ignore[dict-item]
    with pytest.raises(InputError, match=r"where\.arae is not a demographic column"):
        suffrage.build_value_set(survey, "all", parent={"arae": "north"})


def test_what_is_kept_is_written_and_read_by_a_text_or_a_path(
    survey: suffrage.Survey, town: Path, tmp_path: Path
) -> None:
    split = suffrage.split_items(survey, by="list", items=["roads"])
    for kept in (survey, suffrage.build_value_set(survey, "all"), split):
        folder = str(tmp_path / type(kept).__name__)
        kept.write(folder)
        again, also = type(kept).read(folder), type(kept).read(Path(folder))
        assert again.content_hash == also.content_hash == kept.content_hash
    read = suffrage.read_survey(
        "labelled_file", town, path=Path("town.csv"), codebook=Path("town.yaml")
    )
    assert read.content_hash == survey.content_hash


@pytest.mark.parametrize(
    "read",
    [
        suffrage.read_consultation,
        suffrage.Survey.read,
        suffrage.ValueSet.read,
        suffrage.ItemSplit.read,
        suffrage.Records.read,
        suffrage.Checkpoint.read,
    ],
)
def test_a_file_where_a_folder_is_wanted_is_a_sentence(read: Any, town: Path) -> None:
    for wrong in (town / "town.csv", str(town / "town.csv"), "x" * 5000, "nowhere", "a\0b"):
        with pytest.raises(InputError, match=r"^.{1,400}\.$"):
            read(wrong)
    with pytest.raises(InputError, match="folder is 3; give a path"):
        read(3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "WeightingSpec: margins: is missing."),
        ({"margins": {}, "source": "x"}, "margins: must have at least 1, and has none."),
        ({"margins": {"a": {"n": "x"}}, "source": "x"}, "margins.a.n: is 'x'; must be a number."),
        ({"margins": {"a": {"n": 1}}, "source": ""}, "source: is ''; must not be empty."),
        ({"margins": {"a": {"n": 1}}, "source": None}, "source: is empty; must be a text."),
        ({"margins": 3, "source": "x"}, "margins: is 3; must be keys and values."),
        ({"margin": {}, "source": "x"}, 'Did you mean "margins"?'),
    ],
)
def test_margins_made_in_python_are_refused_in_a_sentence(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as refused:
        WeightingSpec(**given)
    assert message in str(refused.value) and "\n" not in str(refused.value)


AUDITS: list[tuple[Any, str]] = [
    ({}, "by: name a demographic that makes the groups: area."),
    ({"by": "aera"}, 'by: the survey has no demographic "aera"'),
    ({"by": "area", "key": "KEY"}, "key is for a model behind endpoint."),
    ({"by": "area", "codebook": None}, "survey town.csv: a data file needs codebook;"),
    ({"by": "area", "survey": "study.yaml"}, "by, codebook and options go with a data file"),
    ({"by": "area", "survey": "gss_spendin"}, 'Did you mean "gss_spending"?'),
    ({"by": "area", "models": ""}, "audit_models: models is ''; give a model's name or folder"),
    ({"by": "area", "models": "study.yaml"}, "study.yaml: model is 'tiny-model', which has no"),
]


@pytest.mark.parametrize(("given", "message"), AUDITS)
def test_an_audit_names_arguments_as_python_has_them(
    given: dict[str, Any], message: str, town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(town)
    right: dict[str, Any] = {"models": "tiny-model", "survey": "town.csv", "quiet": True}
    right["codebook"] = "town.yaml"
    with pytest.raises(InputError) as refused:
        suffrage.audit_models(**right | given)
    assert message in str(refused.value) and "--" not in str(refused.value)


def test_the_command_names_options_and_python_does_so_no_longer_after_it(town: Path) -> None:
    table, codebook = str(town / "town.csv"), str(town / "town.yaml")
    words = ["audit", "m", "--survey", table, "--codebook", codebook, "--by", "aera"]
    assert '--by: the survey has no demographic "aera"' in str(
        CliRunner().invoke(app, words).exception
    )
    study = ["audit", "m", "--survey", str(town / "study.yaml"), "--by", "area"]
    assert "--by, --codebook and --option go with" in str(CliRunner().invoke(app, study).exception)
    with pytest.raises(InputError, match=r"^by: the survey has no demographic"):
        suffrage.audit_models("m", table, "aera", codebook=codebook, quiet=True)


@pytest.mark.parametrize("share", [float("nan"), -0.1, 60, "0.6"])
def test_a_share_that_is_none_describes_no_population(share: Any, town: Path) -> None:
    with pytest.raises(InputError, match="from 0 to 1, such as"):
        suffrage.ask(town / "tiny-model", "Which?", ["A", "B"], as_={"Why?": {"Yes": share}})


def test_no_models_name_has_a_byte_0(town: Path) -> None:
    with pytest.raises(InputError, match=r"^load_model: model is .* give a folder, a hub id"):
        suffrage.load_model("a\0b")
