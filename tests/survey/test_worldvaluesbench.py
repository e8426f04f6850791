import json
import os
import random
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.survey import worldvaluesbench as wvb
from tests.json_keys import check_keys

DATA = Path(os.environ.get("SUFFRAGE_SHARED_DATA", "../shared/data")) / "wvs7"


def published(name: str) -> dict:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_probe_items_are_those_published():
    assert list(wvb.PROBE_ITEMS) == list(published("value_questions.json"))


def test_the_adjustment_is_the_one_published():
    theirs = published("answer_adjustment.json")
    ours = {
        item: {str(a): "" if b is None else str(b) for a, b in change.items()}
        for item, change in wvb.ADJUSTMENT.items()
    }
    assert ours == theirs


def test_answers_are_put_in_order_and_non_response_is_null():
    codes = pl.Series(["0", "1", "3", "4.0", "-1", "", None])
    assert wvb.adjusted_answers(codes, "Q119").to_list() == [3, 1, 4, 5, None, None, None]
    assert wvb.adjusted_answers(pl.Series(["5", "4"]), "Q254").to_list() == [None, 4]
    with pytest.raises(InputError, match="no whole number"):
        wvb.adjusted_answers(pl.Series(["Agree"]), "Q1")


def test_the_split_is_the_benchmarks_and_loses_nobody():
    parts = wvb.split(1001)
    assert [len(parts[name]) for name in ("train", "test", "valid")] == [700, 150, 151]
    assert sorted(row for part in parts.values() for row in part) == list(range(1001))
    random.seed(0)
    order = list(range(1001))
    random.shuffle(order)
    assert parts["train"] == order[:700]


def test_the_parts_have_the_sizes_that_the_benchmark_publishes():
    parts = wvb.split(93_278)
    assert {name: len(rows) for name, rows in parts.items()} == {
        "train": 65_294,
        "test": 13_991,
        "valid": 13_993,
    }


def test_the_repeated_interview_is_left_out():
    frame = pl.DataFrame({"D_INTERVIEW": ["858069901", "1", "858069901.0"]})
    assert wvb.benchmark_rows(frame)["D_INTERVIEW"].to_list() == ["1"]
    with pytest.raises(InputError, match="no column D_INTERVIEW"):
        wvb.benchmark_rows(frame.rename({"D_INTERVIEW": "id"}))


def rescaled(answers, lowest, highest):
    """Answers from lowest to highest as numbers from 0 to 1."""
    return (np.asarray(answers, dtype=np.float64) - lowest) / (highest - lowest)


def test_the_distance_is_scipys_over_rescaled_answers():
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(3)
    first, second = generator.integers(1, 11, 80), generator.integers(3, 9, 33)
    expected = stats.wasserstein_distance(rescaled(first, 1, 10), rescaled(second, 1, 10))
    assert wvb.worldvaluesbench_distance(first, second, 1, 10) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(InputError, match="no answers"):
        wvb.worldvaluesbench_distance(first, [], 1, 10)


LEVELS = {
    "Primary (1)": "Primary or No Education",
    "Lower (2)": "Lower Secondary",
    "Upper (3)": "Upper to Post Secondary",
    "Bachelor (6)": "Tertiary",
}
SCHOOLS = {**dict(zip("1236", LEVELS, strict=True)), "7": "Master (7)", "-2": "No answer"}
COUNTRIES = {
    "276": ("Germany", "Europe"),
    "76": ("Brazil", "South America"),
    "554": ("NZ", "Oceania"),
}


def copy_of_the_repository(folder: Path) -> Path:
    """Files in the benchmark's layout, with a few demographics and its 36 probe items."""

    def about(
        use: str, scale: tuple[int, int] | None, category: str = "Social"
    ) -> dict[str, object]:
        low, high = scale or ("", "")
        return {
            "question": "Q?",
            "category": category,
            "use_case": use,
            "answer_scale_min": low,
            "answer_scale_max": high,
            "answer_data_type": "ordinal" if scale else "non_ordinal",
        }

    texts = ("A_YEAR", "B_COUNTRY", "D_INTERVIEW", "H_URBRURAL", "Q275")
    metadata = {name: about("demographic", None) for name in texts}
    metadata |= {item: about("value", (1, 5), item[:2]) for item in ("Q56", *wvb.PROBE_ITEMS)}
    metadata["Q288"] = about("demographic", (1, 10))
    choices = {
        "B_COUNTRY": {code: name for code, (name, _) in COUNTRIES.items()},
        "H_URBRURAL": {"1": "Urban", "2": "Rural", "-5": 'Missing "x"'},
        "Q275": SCHOOLS,
    }
    codebook = {name: {"question": "Q?", "choices": choices.get(name, {})} for name in metadata}
    inner = folder / "repository" / "dataset_construction"
    inner.mkdir(parents=True)
    (inner / "question_metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    (inner / "codebook.json").write_text(json.dumps(codebook), encoding="utf-8")
    continents = "".join(f"{continent},{name}\n" for name, continent in COUNTRIES.values())
    (inner / "country2continent.csv").write_text(
        "Continent,Country\n" + continents, encoding="utf-8"
    )
    levels = "".join(f"{level},{school}\n" for school, level in LEVELS.items())
    (inner / "education2level.csv").write_text("Level,Education\n" + levels, encoding="utf-8")
    return folder / "repository"


def cross_national(folder: Path, rows: int = 2500) -> Path:
    """A file in the archive's layout; ids run past the one that the benchmark leaves out."""
    draw = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "version": "5-0-0",
            "A_YEAR": 2018,
            "B_COUNTRY": draw.choice([276, 76, 554], rows),
            "D_INTERVIEW": np.arange(858068901, 858068901 + rows),
            "H_URBRURAL": draw.choice([1, 2, -5], rows, p=[0.6, 0.38, 0.02]),
            "Q275": draw.choice([1, 2, 3, 6, 7, -2], rows),
            "Q288": draw.choice([*range(1, 11), -1], rows),
        }
    )
    for item in ("Q56", *wvb.PROBE_ITEMS):
        frame[item] = draw.choice([1, 2, 3, 4, 5, -1, -2, -4, -5], rows)
    frame["Q121"] = frame["Q121"].astype(float)
    frame.to_csv(folder / "wvs.csv", index=False)
    return folder / "wvs.csv"


def written_plainly(path: Path, folder: Path) -> dict[str, pd.DataFrame]:
    """The benchmark's steps over again, with pandas: its tables by name, and its samples."""
    wide = pd.read_csv(path)
    wide = wide[wide["D_INTERVIEW"] != 858069901]
    metadata = json.loads(next(folder.rglob("question_metadata.json")).read_text())
    codebook = json.loads(next(folder.rglob("codebook.json")).read_text())
    done = pd.DataFrame(index=wide.index)
    for name, about in metadata.items():
        whole = wide[name].astype(int)
        if about["answer_data_type"] == "ordinal":
            change = {k: -9 if v is None else v for k, v in wvb.ADJUSTMENT.get(name, {}).items()}
            whole = whole.map(lambda value, change=change: change.get(value, value))
            done[name] = whole.where(whole >= 0).astype("Int64")
        else:
            choices = codebook[name]["choices"]
            done[name] = [choices.get(str(code), str(code)) for code in whole]
    demographic = [n for n, a in metadata.items() if a["use_case"] == "demographic"]
    demographic = ["D_INTERVIEW", *(n for n in demographic if n != "D_INTERVIEW")]
    value = ["D_INTERVIEW", *(n for n, a in metadata.items() if a["use_case"] == "value")]
    labels = list(done.index)
    random.seed(0)
    random.shuffle(labels)
    first, second = int(0.7 * len(labels)), int(0.15 * len(labels))
    parts = {
        "full": list(done.index),
        "train": labels[:first],
        "test": labels[first : first + second],
        "valid": labels[first + second :],
    }
    tables = {}
    for name, index in parts.items():
        tables[f"{name}_demographic"] = done.loc[index, demographic]
        tables[f"{name}_value"] = done.loc[index, value]
    part = done.loc[parts["test"]].copy()
    part["continent"] = part["B_COUNTRY"].map(dict(COUNTRIES.values()))
    part["level"] = part["Q275"].map(LEVELS)
    random.seed(0)
    samples = []
    for item in wvb.PROBE_ITEMS:
        for continent in part["continent"].unique():
            for settlement in ("Urban", "Rural"):
                for level in part["level"].dropna().unique():
                    cell = part[
                        (part["continent"] == continent)
                        & (part["H_URBRURAL"] == settlement)
                        & (part["level"] == level)
                        & part[item].notna()
                    ]
                    if len(cell) > 5:
                        drawn = random.sample(list(cell["D_INTERVIEW"]), k=5)
                        about = (item, metadata[item]["category"], continent, settlement, level)
                        samples += [(*about, who) for who in drawn]
    tables["samples"] = pd.DataFrame(samples)
    return tables


@pytest.mark.slow
def test_the_files_are_those_of_the_steps_written_plainly(tmp_path):
    path, repository = cross_national(tmp_path), copy_of_the_repository(tmp_path)
    benchmark, samples = wvb.write_benchmark(path, repository, tmp_path / "wvb")
    expected = written_plainly(path, repository)
    for part in ("full", "train", "valid", "test"):
        for kind in ("demographic", "value"):
            file = tmp_path / "wvb" / part / f"{part}_{kind}_qa.tsv"
            text = expected[f"{part}_{kind}"].to_csv(sep="\t", index=False)
            assert file.read_text(encoding="utf-8") == text, file.name
    drawn = (tmp_path / "wvb" / "probe" / "samples.tsv").read_text(encoding="utf-8").splitlines()
    assert drawn[0].split("\t") == [
        "Question",
        "Question Category",
        "Continent",
        "Urban / Rural",
        "Education",
        "D_INTERVIEW",
    ]
    assert [tuple(line.split("\t")) for line in drawn[1:]] == [
        tuple(map(str, row)) for row in expected["samples"].itertuples(index=False)
    ]
    assert samples.height == len(expected["samples"]) > 36 * 5 * 10
    counts = benchmark.counts(samples)
    assert counts["full"] == (
        2499,
        int(expected["full_value"].drop(columns="D_INTERVIEW").count().sum()),
    )
    assert not any("Master" in text for text in samples["Education"].to_list())
    again = json.loads((tmp_path / "wvb" / "question_metadata.json").read_text(encoding="utf-8"))
    assert again["Q1"]["answer_scale_max"] == 5


@pytest.mark.slow
def test_the_valid_part_may_be_drawn_from_instead(tmp_path):
    path, repository = cross_national(tmp_path), copy_of_the_repository(tmp_path)
    benchmark, samples = wvb.write_benchmark(path, repository, tmp_path / "wvb", "valid")
    there = set(benchmark.demographics["D_INTERVIEW"].gather(benchmark.parts["valid"]).to_list())
    assert set(samples["D_INTERVIEW"].to_list()) <= there


@pytest.mark.slow
def test_the_benchmarks_real_metadata_covers_a_file_of_all_its_variables(tmp_path):
    metadata = published("question_metadata.json")
    repository = copy_of_the_repository(tmp_path)
    inner = repository / "dataset_construction"
    for name in ("question_metadata.json", "codebook.json", "country2continent.csv"):
        (inner / name).write_bytes((DATA / name).read_bytes())
    draw = np.random.default_rng(1)
    columns = {
        name: draw.integers(about["answer_scale_min"], about["answer_scale_max"] + 1, 40)
        if about["answer_data_type"] == "ordinal"
        else np.ones(40, dtype=int)
        for name, about in metadata.items()
    }
    columns |= {"D_INTERVIEW": np.arange(40), "B_COUNTRY": np.full(40, 554)}
    pd.DataFrame(columns).to_csv(tmp_path / "wvs.csv", index=False)
    benchmark, _ = wvb.write_benchmark(tmp_path / "wvs.csv", repository, tmp_path / "wvb")
    assert benchmark.values.width == 240 and benchmark.demographics.width == 43
    assert set(benchmark.demographics["B_COUNTRY"].to_list()) == {"New Zealand"}
    assert not set(benchmark.outside) - set(wvb.ADJUSTMENT)


@pytest.mark.slow
def test_the_command_prints_counts_beside_those_published(tmp_path):
    path, repository = cross_national(tmp_path), copy_of_the_repository(tmp_path)
    command = ["survey", "worldvaluesbench", str(path), "--source", str(repository)]
    command += ["--out", str(tmp_path / "wvb")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "train          1,749     65,294" in result.stdout
    command[-1] = str(tmp_path / "again")
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    check_keys("survey worldvaluesbench", found)
    assert found["parts"]["test"]["participants"] == 374
    assert found["parts"]["probe"]["published"] == [4860, 8280]
    command[-1] = str(tmp_path / "third")
    for option in ("--probe-from", "--encoding"):
        assert isinstance(CliRunner().invoke(app, [*command, option, "x"]).exception, InputError)


@pytest.mark.slow
def test_scores_are_those_of_the_benchmarks_evaluation(tmp_path):
    stats = pytest.importorskip("scipy.stats")
    path, repository = cross_national(tmp_path), copy_of_the_repository(tmp_path)
    benchmark, samples = wvb.write_benchmark(path, repository, tmp_path / "wvb")
    asked = samples.filter(pl.col("Question").is_in(["Q1", "Q158"]))
    draw = np.random.default_rng(2)
    model = [str(score) for score in draw.integers(0, 7, asked.height)]
    model[3], model[5] = "none", "2.9"
    table = asked.select(
        pl.col("Question").alias("QUESTION_ID"),
        pl.col("D_INTERVIEW").alias("PARTICIPANT_ID"),
        pl.Series("SCORE", model),
    )
    table.write_csv(tmp_path / "scores.tsv", separator="\t")
    expected = {}
    for question in ("Q1", "Q158"):
        rows = table.filter(pl.col("QUESTION_ID") == question)
        answers = dict(benchmark.values.select("D_INTERVIEW", question).iter_rows())
        people = [(answers[who] - 1) / 4 for who in rows["PARTICIPANT_ID"]]
        numbers = [(int(float(s)) - 1) / 4 for s in rows["SCORE"] if s != "none"]
        expected[question] = stats.wasserstein_distance(people, numbers)
    result = CliRunner().invoke(
        app,
        [
            "survey",
            "worldvaluesbench-score",
            str(tmp_path / "scores.tsv"),
            str(tmp_path / "wvb"),
            "--json",
        ],
    )
    check_keys("survey worldvaluesbench-score", json.loads(result.stdout))
    assert json.loads(result.stdout) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ("QUESTION_ID,PARTICIPANT_ID\nQ1,1\n", "has no column SCORE"),
        ("QUESTION_ID,PARTICIPANT_ID,SCORE\nQ999,858068901,1\n", "Q999 is not a value question"),
        ("QUESTION_ID,PARTICIPANT_ID,SCORE\nQ1,5,1\n", "participant 5 is not in the file"),
        ("QUESTION_ID,PARTICIPANT_ID,SCORE\nQ1,{answered},x\n", "no score that is a number"),
        ("QUESTION_ID,PARTICIPANT_ID,SCORE\nQ1,{silent},1\n", "did not answer Q1"),
    ],
)
def test_bad_scores_are_refused(tmp_path, scores, message):
    path, repository = cross_national(tmp_path, 600), copy_of_the_repository(tmp_path)
    benchmark, _ = wvb.write_benchmark(path, repository, tmp_path / "wvb")
    silent = benchmark.values.filter(pl.col("Q1").is_null())["D_INTERVIEW"][0]
    answered = benchmark.values.filter(pl.col("Q1").is_not_null())["D_INTERVIEW"][0]
    text = scores.format(silent=silent, answered=answered)
    (tmp_path / "scores.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        wvb.scored(tmp_path / "scores.csv", tmp_path / "wvb")


def test_a_file_or_repository_that_lacks_something_is_refused_and_nothing_is_written(tmp_path):
    path, repository = cross_national(tmp_path, 300), copy_of_the_repository(tmp_path)
    frame = pd.read_csv(path)
    frame.drop(columns=["Q1", "Q2"]).to_csv(tmp_path / "short.csv", index=False)
    with pytest.raises(InputError, match=r"short\.csv has no column Q1, Q2 \(2 of the benchmark's"):
        wvb.write_benchmark(tmp_path / "short.csv", repository, tmp_path / "wvb")
    frame.assign(B_COUNTRY=999).to_csv(tmp_path / "moon.csv", index=False)
    with pytest.raises(InputError, match=r"country2continent\.csv has no continent for 999"):
        wvb.write_benchmark(tmp_path / "moon.csv", repository, tmp_path / "wvb")
    next(repository.rglob("education2level.csv")).unlink()
    with pytest.raises(InputError, match=r"there is no education2level\.csv"):
        wvb.write_benchmark(path, repository, tmp_path / "wvb")
    assert not (tmp_path / "wvb").exists()
