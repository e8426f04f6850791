"""`suffrage init`: from a data file, or an example, to a study that can be read and run."""

import csv
import random
import re
import shlex
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.study.commands.examples import copy_example, example_studies, examples_page
from suffrage.study.commands.starting import StartSettings, start_study
from suffrage.study.inputs import study_split
from suffrage.study.planning.plan import plan_study
from suffrage.study.run import run_study
from suffrage.study.schema import read_study, study_survey
from suffrage.study.sources import built_value_set, read_sources
from suffrage.survey.draft import draft_codebook
from suffrage.survey.scales import scale_order
from suffrage.training_data import TrainedBefore

BUSES = "Should the town spend more on buses?"
AGREE = ["Strongly disagree", "Disagree", "Agree", "Strongly agree"]


def write_town(folder: Path, questions: int = 14, people: int = 240) -> Path:
    """A data file as people have it: ids, weights, words, NA, and two questions as headings."""
    draw = random.Random(1)
    with (folder / "town.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        names = [f"q{k}" for k in range(questions - 2)]
        rows.writerow(["id", "wt", "Age", "district", BUSES, "How often do you cycle?", *names])
        for person in range(people):
            district = "far" if person < 20 else draw.choice(["north", "south"])
            words = [draw.choice([*AGREE, "NA"]), draw.choice(["Never", "Sometimes", "Often"])]
            numbers = [draw.choice([1, 2, 3, 4]) for _ in names]
            weight = round(draw.uniform(0.5, 2), 2)
            rows.writerow([f"p{person}", weight, 18 + person % 60, district, *words, *numbers])
    return folder / "town.csv"


@pytest.mark.slow
def test_a_study_made_from_a_data_file_can_be_read_and_run(tmp_path: Path) -> None:
    started = start_study(write_town(tmp_path), tmp_path / "new")
    study = read_study(tmp_path / "new" / "study.yaml")
    survey = study_survey(study)
    assert survey.responses.height == 240 and survey.provenance.weight_variable == "wt"
    assert survey.codebook.demographics == ("age", "district")
    assert [spec.name for spec in study.value_sets] == ["everyone", "south", "north"] or [
        spec.name for spec in study.value_sets
    ] == ["everyone", "north", "south"]  # the group of 20 is too small
    sources = read_sources(study)
    assert all(built_value_set(study, sources, spec).n >= 50 for spec in study.value_sets)
    by_question = {item.question: item for item in survey.codebook.items}
    assert by_question[BUSES].texts == tuple(AGREE) and by_question[BUSES].ordered
    assert by_question["How often do you cycle?"].texts == ("Never", "Sometimes", "Often")
    split = study_split(study, survey.codebook.items, 7, TrainedBefore())
    assert len({split.clusters[item] for item in split.held_out}) >= 6
    assert any("Write the question behind 12 items" in line for line in started.to_do)
    assert [spec.name for spec in study.methods] == ["base", "prompt", "distribution"]


@pytest.mark.slow
def test_a_drafted_codebook_and_a_study_that_is_begun_have_the_same_items(tmp_path: Path) -> None:
    data = write_town(tmp_path)
    drafted = {item["id"]: item for item in yaml.safe_load(draft_codebook(data))["items"]}
    start_study(data, tmp_path / "new")
    begun = yaml.safe_load((tmp_path / "new" / "codebook.yaml").read_text())["items"]
    assert [drafted[item["id"]] for item in begun] == begun
    assert {item["question"] for item in begun} > {BUSES, "How often do you cycle?"}
    assert "more_on_buses" in drafted and BUSES not in drafted


def test_too_few_questions_hold_nothing_out_and_train_nothing(tmp_path: Path) -> None:
    started = start_study(write_town(tmp_path, questions=5), tmp_path / "new")
    study = read_study(tmp_path / "new" / "study.yaml")
    assert study.held_out.share == 0 and not study.trains
    assert any("too few" in line or "so few questions" in line for line in started.found)


@pytest.mark.slow
def test_what_the_user_says_comes_before_what_is_guessed(tmp_path: Path) -> None:
    told = StartSettings(demographics=("district",), by="q1", weight="Age", respondent="id")
    start_study(write_town(tmp_path), tmp_path / "new", told)
    book = yaml.safe_load((tmp_path / "new" / "codebook.yaml").read_text())
    assert book["weight"] == "Age" and book["demographics"] == {"district": "district", "q1": "q1"}
    assert "q1" not in [item["id"] for item in book["items"]]
    study = read_study(tmp_path / "new" / "study.yaml")
    assert {spec.where.get("q1") for spec in study.value_sets[1:]} <= {"1", "2", "3", "4"}
    with pytest.raises(InputError, match=r'no column "distrct".*Did you mean "district"'):
        start_study(tmp_path / "town.csv", tmp_path / "other", StartSettings(by="distrct"))


def test_districts_in_any_script_become_groups(tmp_path: Path) -> None:
    data = write_town(tmp_path)
    named = {"north": "شمال", "south": "北区"}
    frame = pl.read_csv(data, infer_schema=False).with_columns(pl.col("district").replace(named))
    frame.write_csv(data)
    start_study(data, tmp_path / "new", StartSettings(by="district"))
    groups = read_study(tmp_path / "new" / "study.yaml").value_sets[1:]
    assert {spec.where["district"] for spec in groups} >= set(named.values())
    assert {spec.name for spec in groups} >= {"district-1", "district-2"}


@pytest.mark.slow
def test_a_study_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    data = write_town(tmp_path)
    start_study(data, tmp_path / "new")
    before = (tmp_path / "new" / "study.yaml").read_text()
    for begin in (
        lambda: start_study(data, tmp_path / "new"),
        lambda: copy_example("quickstart", tmp_path / "new"),
    ):
        with pytest.raises(InputError, match="is there already"):
            begin()
    assert (tmp_path / "new" / "study.yaml").read_text() == before


@pytest.mark.slow
def test_a_draft_whose_questions_are_not_written_is_not_run(
    tmp_path: Path, tiny_model: Path
) -> None:
    told = StartSettings(model=str(tiny_model))
    start_study(write_town(tmp_path, questions=5), tmp_path / "new", told)
    study = read_study(tmp_path / "new" / "study.yaml")
    warned = plan_study(study).warnings
    assert "will refuse this study: 3 questions still TODO (q0, q1, q2)" in " ".join(warned)
    with pytest.raises(InputError, match=r"^codebook.yaml: 3 questions still TODO \(q0"):
        run_study(study, quiet=True)
    book = tmp_path / "new" / "codebook.yaml"
    book.write_text(book.read_text().replace("TODO: the question behind", "How good is"))
    assert "TODO" not in " ".join(plan_study(study).warnings)
    assert run_study(study, only="records", quiet=True).results is None


def test_a_column_about_schools_is_a_question_and_what_was_guessed_is_listed(
    tmp_path: Path,
) -> None:
    data = write_town(tmp_path)
    data.write_text(data.read_text().replace("q0,q1", "schools,school_type", 1))
    started = start_study(data, tmp_path / "new", StartSettings(by="district"))
    book = yaml.safe_load((tmp_path / "new" / "codebook.yaml").read_text())
    assert set(book["demographics"]) == {"age", "district", "school_type"}
    assert "schools" in [item["id"] for item in book["items"]]
    (line,) = (line for line in started.to_do if "--demographic" in line)
    assert line.startswith("Check that Age, school_type describe people")


def test_words_that_grade_an_answer_are_put_in_order() -> None:
    assert scale_order(["Agree", "Disagree", "Strongly agree", "Strongly disagree"]) == [3, 1, 0, 2]
    assert scale_order(["Always", "Never", "Often", "Sometimes"]) == [1, 3, 2, 0]
    assert scale_order(["Bus", "Car", "Train"]) is None
    assert scale_order(["Agree", "Favor"]) is None  # one grade twice


SCALES = """
Not at all, A little, Somewhat, A lot
None, A little, A moderate amount, A lot, A great deal
Not at all, Slightly, Moderately, Very, Extremely
Never, Rarely, Sometimes, Often, Always
Never, Sometimes, About half the time, Most of the time, Always
Not at all important, Slightly important, Moderately important, Very important, Extremely important
Not important, Somewhat important, Important, Very important
Very dissatisfied, Dissatisfied, Neither satisfied nor dissatisfied, Satisfied, Very satisfied
Not at all satisfied, Not very satisfied, Fairly satisfied, Very satisfied
Much worse, Somewhat worse, About the same, Somewhat better, Much better
Poor, Fair, Good, Very good, Excellent
Strongly disagree, Disagree, Somewhat disagree, Neutral, Somewhat agree, Agree, Strongly agree
Strongly against, Against, Neutral, In favour, Strongly in favour
Disagree strongly, Disagree a little, Agree a little, Agree strongly
Very unlikely, Unlikely, Neither likely nor unlikely, Likely, Very likely
Much less likely, Somewhat less likely, Somewhat more likely, Much more likely
Definitely not, Probably not, Maybe, Probably, Definitely
Do not trust at all, Do not trust very much, Trust somewhat, Trust completely
None of them, A few of them, Some of them, Most of them, All of them
"""
NO_SCALES = """
Married, Widowed, Divorced
More police, More schools, More parks
None, Bus, Car
Good schools, Good roads, Safe streets
More buses, Less traffic, Better roads
Not working, Working full time, Working part time
Very cheap, Somewhat far, Not at all safe
All day, Some mornings, Most evenings
Not religious, Catholic, Muslim
A lot of noise, A little dirt, No parking
Never married, Married, Divorced
"""


@pytest.mark.parametrize("line", SCALES.strip().splitlines())
def test_usual_english_scales_are_put_in_order_from_the_low_end(line: str) -> None:
    rising = line.split(", ")
    shuffled = sorted(rising)
    order = scale_order(shuffled)
    assert order is not None and [shuffled[place] for place in order] == rising


@pytest.mark.parametrize("line", NO_SCALES.strip().splitlines())
def test_names_of_things_are_no_scale_whatever_words_they_begin_with(line: str) -> None:
    assert scale_order(line.split(", ")) is None


def test_a_new_study_names_the_items_that_it_took_for_unordered(tmp_path: Path) -> None:
    data = write_town(tmp_path, questions=3)
    header, *rows = data.read_text(encoding="utf-8").splitlines()
    more = [
        f"{row},{('Bus', 'Car', 'Train')[n % 3]},{('A lot', 'A little', 'Not at all')[n % 3]}"
        for n, row in enumerate(rows)
    ]
    data.write_text("\n".join([f"{header},ride,noise", *more]), encoding="utf-8")
    started = start_study(data, tmp_path / "new")
    (line,) = (line for line in started.to_do if "unordered" in line)
    assert "ride" in line and "noise" not in line and "codebook.yaml" in line


@pytest.mark.parametrize("example", example_studies(), ids=lambda example: example.name)
def test_every_example_can_be_begun_with(
    example: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, needs = example.name, example.needs  # type: ignore[attr-defined]
    started = copy_example(name, tmp_path / "new")
    assert len(started.to_do) == len(needs)
    text = (tmp_path / "new" / "study.yaml").read_text()
    assert "../" not in text
    for variable in needs:
        monkeypatch.setenv(variable, str(tmp_path))
    if not needs:
        assert read_study(tmp_path / "new" / "study.yaml").output.is_relative_to(tmp_path / "new")


EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_page_of_examples_has_every_file_with_the_facts_of_the_command() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert examples_page(example_studies()) in page
    kinds = (".yaml", ".py", ".sbatch")
    files = {p.relative_to(EXAMPLES).as_posix() for p in EXAMPLES.rglob("*") if p.suffix in kinds}
    named = set(re.findall(r"^\| (?:\[[\w.-]+\]\(|`)([\w/.-]+)", page, flags=re.MULTILINE))
    assert files == named


def test_an_example_without_data_time_or_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.yaml").write_text("# A study. Data: none. Time: 1 min.\nstudy: one\n")
    monkeypatch.setattr("suffrage.study.commands.examples._example_folder", lambda: tmp_path)
    with pytest.raises(InputError, match=r"one\.yaml does not say what it takes"):
        example_studies()


def test_an_example_that_reads_data_of_ones_own_does_not_say_that_it_ships() -> None:
    wrong = [e.name for e in example_studies() if e.needs and e.data.startswith("ships")]
    assert not wrong
    quickstart = example_studies()[0]
    assert quickstart.name == "quickstart" and quickstart.memory == "4.3 GB"


@pytest.mark.slow
def test_the_commands_say_what_to_do_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_town(tmp_path)
    run = CliRunner().invoke
    said = run(app, ["init", "town.csv"])
    assert said.exit_code == 0, said.output
    assert "suffrage run town-study/study.yaml" in said.stdout and "To do" in said.stdout
    assert (tmp_path / "town-study" / "study-schema.json").is_file()
    (tmp_path / "town.csv").rename(tmp_path / "Kōrero é.csv")
    said = run(app, ["init", "Kōrero é.csv"])
    (printed,) = (line for line in said.stdout.splitlines() if "suffrage run" in line)
    place = Path(shlex.split(printed)[-1])
    assert place.is_file() and "Kōrero é.csv" in place.read_text(encoding="utf-8")
    assert "there is no such file" in str(run(app, ["init", "b.db"]).exception)
    assert "quickstart" in run(app, ["examples"]).stdout
    assert "name either" in str(run(app, ["init"]).exception)
    assert 'Did you mean "quickstart"' in str(
        run(app, ["init", "--example", "quikstart"]).exception
    )
