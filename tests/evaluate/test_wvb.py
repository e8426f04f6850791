"""WorldValuesBench's probe set: the script's formula with scipy, its files, and impostors."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from suffrage.errors import InputError
from suffrage.evaluate import EvaluationInput
from suffrage.evaluate.wvb import (
    EVALUATION,
    Options,
    cell_persona,
    majority_of,
    measure_name,
    predictions,
    read_probe_set,
)
from suffrage.survey.worldvaluesbench import PROBE_ITEMS, scored, write_benchmark
from tests.evaluate.outside_files import SETS, SPLITS, figure, probe_input
from tests.evaluate.outside_files import scored as evaluated
from tests.impostors import Impostor, constant, flat, noise
from tests.survey.test_worldvaluesbench import copy_of_the_repository, cross_national, rescaled

pytestmark = pytest.mark.slow

OPTIONS = Options(folder="wvb")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The benchmark from a made file; each question has its id in its text, so that it is known."""
    made = tmp_path_factory.mktemp("wvb")
    repository = copy_of_the_repository(made)
    path = next(repository.rglob("question_metadata.json"))
    metadata = json.loads(path.read_text())
    for name, about in metadata.items():
        about["question"] = f"What do you say of {name}?"
    path.write_text(json.dumps(metadata))
    wide = pl.read_csv(cross_national(made), infer_schema=False)
    # Answers that lean one way or the other, so that the even answer is not the truth.
    draw = np.random.default_rng(4)
    for k, item in enumerate(PROBE_ITEMS):
        lean = np.array([0.55, 0.25, 0.1, 0.07, 0.03])[:: 1 if k % 2 else -1]
        wide = wide.with_columns(pl.Series(item, draw.choice(list("12345"), wide.height, p=lean)))
    wide.write_csv(made / "wvs.csv")
    write_benchmark(made / "wvs.csv", repository, made / "wvb")
    return made


def sampled_people(folder: Path, change=lambda shares: shares) -> Impostor:  # type: ignore[no-untyped-def]
    """Who knows the sampled people's answers to each question, in the cell named or over all."""
    probe = read_probe_set(OPTIONS, folder)

    def says(options, question: str):  # type: ignore[no-untyped-def]
        name = next(n for n in probe.items if f"of {n}?" in question)
        cells = [c for c in probe.answered[name] if cell_persona(c) in question]
        counts = np.zeros(5)
        for cell in cells or probe.answered[name]:
            counts += np.bincount(probe.answered[name][cell], minlength=5)
        shares = change(counts / counts.sum())
        return np.array([shares[int(option) - 1] for option in options])

    return Impostor(says)


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Impostor]:
    return {
        "truth": sampled_people(folder),
        "parrot": sampled_people(folder, lambda p: np.eye(p.size)[p.argmax()]),
        "flat": flat(),
        "constant": constant(),
        "noise": noise(),
    }


@pytest.fixture(scope="module")
def card(folder: Path, models: dict[str, Impostor]):  # type: ignore[no-untyped-def]
    return evaluated(EVALUATION, models, OPTIONS, folder, splits={1: SPLITS[1]})


def test_the_sampled_people_themselves_lie_within_every_threshold(card) -> None:  # type: ignore[no-untyped-def]
    assert figure(card, "w1", "truth").value == pytest.approx(0, abs=1e-9)
    assert figure(card, "w1_groups", "truth").value == pytest.approx(0, abs=1e-9)
    assert figure(card, "within_00", "truth").value == 1
    row = figure(card, "w1", "truth")
    assert row.n == 36 and 0 < row.ceiling < row.floor


@pytest.mark.parametrize("name", ["flat", "constant", "noise"])
def test_models_without_values_do_no_better_than_the_even_answer(card, name) -> None:  # type: ignore[no-untyped-def]
    row = figure(card, "w1", name)
    # Averaged over orders, who takes the first option gives half to either end.
    assert row.value >= row.floor - 0.02
    assert row.value > 0.5 * (row.floor + row.ceiling)
    assert figure(card, "within_10", name).value < 0.1


def test_the_parrot_of_each_cell_is_far_from_each_group(card) -> None:  # type: ignore[no-untyped-def]
    assert figure(card, "w1", "parrot").value > 0.05
    assert figure(card, "w1_groups", "majority").value > figure(card, "w1_groups", "truth").value
    assert figure(card, "w1", "majority").value == pytest.approx(
        np.mean([*card.details["distances"]["majority"].values()])
    )


def test_figures_are_the_scripts_formula_over_the_files(card, folder: Path) -> None:  # type: ignore[no-untyped-def]
    from scipy.stats import wasserstein_distance

    samples = pl.read_csv(
        folder / "wvb" / "probe" / "samples.tsv", separator="\t", infer_schema=False
    )
    table = pl.read_csv(
        folder / "wvb" / "full" / "full_value_qa.tsv", separator="\t", infer_schema=False
    )
    answers = {row["D_INTERVIEW"]: row for row in table.iter_rows(named=True)}
    even, commonest = {}, {}
    for (name,), part in samples.group_by("Question", maintain_order=True):
        people = [int(answers[who][str(name)]) for who in part["D_INTERVIEW"]]
        others = set(answers) - set(part["D_INTERVIEW"])
        rest = [answers[who][str(name)] for who in others if answers[who][str(name)]]
        top = int(max(sorted(set(rest)), key=rest.count))
        even[name] = wasserstein_distance(rescaled(people, 1, 5), rescaled([1, 2, 3, 4, 5], 1, 5))
        commonest[name] = wasserstein_distance(rescaled(people, 1, 5), rescaled([top], 1, 5))
    assert card.details["distances"]["flat"] == pytest.approx(even)
    assert card.details["distances"]["majority"] == pytest.approx(commonest)
    for threshold in (0.1, 0.2, 0.3, 0.4):
        inside = np.mean([distance <= threshold for distance in even.values()])
        assert figure(card, measure_name(threshold), "flat").value == pytest.approx(inside)


def test_shares_score_what_many_drawn_predictions_score_by_the_script(folder: Path, models) -> None:  # type: ignore[no-untyped-def]
    from scipy.stats import wasserstein_distance

    probe = read_probe_set(OPTIONS, folder)
    frame = EVALUATION.probe(probe_input(models["noise"], OPTIONS, folder))
    drawn = predictions(frame, probe, 1)
    assert drawn.columns == ["QUESTION_ID", "PARTICIPANT_ID", "SCORE"]
    assert drawn.height == probe.samples.height
    drawn.write_csv(folder / "predictions.csv")
    by_script = scored(folder / "predictions.csv", folder / "wvb")
    table = pl.read_csv(
        folder / "wvb" / "full" / "full_value_qa.tsv", separator="\t", infer_schema=False
    )
    answers = {row["D_INTERVIEW"]: row for row in table.iter_rows(named=True)}
    for (name,), part in drawn.group_by("QUESTION_ID", maintain_order=True):
        people = [int(answers[who][str(name)]) for who in part["PARTICIPANT_ID"]]
        plain = wasserstein_distance(
            rescaled(people, 1, 5), rescaled([int(s) for s in part["SCORE"]], 1, 5)
        )
        assert by_script[str(name)] == pytest.approx(plain, abs=1e-9)
    card = evaluated(EVALUATION, {"noise": models["noise"]}, OPTIONS, folder)
    exact = np.mean([*card.details["distances"]["noise"].values()])
    assert exact == pytest.approx(np.mean([*by_script.values()]), abs=0.03)


def probe_cells(folder: Path) -> int:
    """How many demographic cells have people in the sample."""
    table = pl.read_csv(folder / "wvb" / "probe" / "samples.tsv", separator="\t")
    return table.select("Continent", "Urban / Rural", "Education").n_unique()


def test_a_population_is_asked_as_each_cell_and_others_once(folder: Path) -> None:
    model = flat()
    frame = EVALUATION.probe(probe_input(model, OPTIONS, folder, as_population=False))
    assert frame.height == 36 and frame["population"].unique().to_list() == [""]
    frame = EVALUATION.probe(probe_input(model, OPTIONS, folder))
    assert frame["population"].n_unique() == probe_cells(folder)
    who = "as people in urban areas of Europe whose level of education is tertiary would"
    assert any(who in text for text in model.heard)


def test_a_plan_counts_every_cell_of_the_files_once(folder: Path) -> None:
    assert EVALUATION.prompts is not None
    asked = EVALUATION.probe(probe_input(flat(), OPTIONS, folder))
    assert EVALUATION.prompts([], [], OPTIONS, folder) == 4 * asked.height


def test_refusing_the_cells_it_is_bad_in_never_helps(folder: Path) -> None:
    """Bad in all cells of Europe on half of the questions: worse than a model that is middling."""
    probe = read_probe_set(OPTIONS, folder)
    hard = [*probe.items][::2]
    part = {cell for cells in probe.answered.values() for cell in cells}
    assert {cell[0] for cell in part} > {"Europe"}, "some cells are not refused"
    knows = sampled_people(folder, lambda p: 0.97 * p + 0.03 / p.size)

    def of(mass: float) -> Impostor:
        def says(options, question: str):  # type: ignore[no-untyped-def]
            shares = knows.says(options, question)
            if "Europe" in question and any(f"of {n}?" in question for n in hard):
                far = shares.max() - shares + 0.01
                return mass * far / far.sum()
            return shares

        return Impostor(says)

    middling = sampled_people(folder, lambda p: 0.7 * p + 0.3 / p.size)
    models = {"plain": middling, "honest": of(1.0), "choosy": of(0.1)}
    asked = {
        (name, 1): EVALUATION.probe(probe_input(model, OPTIONS, folder))  # type: ignore[misc]
        for name, model in models.items()
    }
    split = {1: SPLITS[1]}
    given = EvaluationInput(SETS, split, {}, list(models), [], (), asked, OPTIONS, folder)
    card = EVALUATION.scored(given, 1)
    honest = card.details["distances"]["honest"]
    # On the questions that it answered as every cell it is the honest model, and says no more.
    left = {name: value for name, value in honest.items() if name not in hard}
    assert card.details["distances"]["choosy"] == pytest.approx(left)
    assert figure(card, "w1", "choosy").missing == len(hard)
    assert figure(card, "w1_groups", "choosy").missing > len(hard)
    for d in card.figure_differences:
        if {d.method, d.against} in ({"plain", "choosy"}, {"honest", "choosy"}):
            own = d if d.method == "choosy" else d.turned(method=d.against, against=d.method)
            good = "lower" if d.measure.startswith("w1") else "higher"
            assert own.verdict != good, d.measure
            if d.measure != "read":
                assert own.unanswered >= len(hard)


def test_refused_cells_leave_an_empty_score_that_the_script_skips(folder: Path) -> None:
    silent = Impostor(lambda options, _: np.full(len(options), 0.2), mass=0.1)
    frame = EVALUATION.probe(probe_input(silent, OPTIONS, folder, as_population=False))
    assert set(predictions(frame, read_probe_set(OPTIONS, folder), 1)["SCORE"]) == {""}
    card = evaluated(EVALUATION, {"silent": silent}, OPTIONS, folder)
    assert {f.measure for f in card.figures if f.method == "silent"} == {"read"}
    assert figure(card, "read", "silent").value == 0
    assert any(note.startswith("silent: ") and "put too little" in note for note in card.notes)


def test_questions_trained_on_are_removed_and_counted(folder: Path, models) -> None:  # type: ignore[no-untyped-def]
    value_set = SETS[0]
    name = next(i for split in SPLITS.values() for i in split.train if i in value_set.distributions)
    distribution = value_set.distributions[name]
    known = distribution.item.model_copy(update={"question": "What do you say of Q46?"})
    changed = replace(
        value_set,
        distributions={**value_set.distributions, name: replace(distribution, item=known)},
    )
    frame = EVALUATION.probe(probe_input(models["flat"], OPTIONS, folder, as_population=False))
    asked = {("flat", seed): frame for seed in SPLITS}
    given = EvaluationInput([changed], SPLITS, {}, ["flat"], ["flat"], (), asked, OPTIONS, folder)
    card = EVALUATION.score(given, 1)
    assert card.details["removed"] == {"Q46": name}
    assert figure(card, "w1", "flat").n == 35


def test_files_of_another_kind_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"samples\.tsv does not exist"):
        read_probe_set(Options(folder="none"), tmp_path)
    (tmp_path / "wvb" / "probe").mkdir(parents=True)
    (tmp_path / "wvb" / "full").mkdir()
    source = folder / "wvb"
    for name in ("question_metadata.json", "full/full_value_qa.tsv"):
        (tmp_path / "wvb" / name).write_text((source / name).read_text())
    path = tmp_path / "wvb" / "probe" / "samples.tsv"
    whole = (source / "probe" / "samples.tsv").read_text()
    path.write_text(whole.replace("Continent", "Land"))
    with pytest.raises(InputError, match="no column Continent"):
        read_probe_set(OPTIONS, tmp_path)
    with pytest.raises(InputError, match="no column Continent"):
        EVALUATION.prompts([], [], OPTIONS, tmp_path)
    head = whole.splitlines()[0]
    path.write_text(f"{head}\nQ1\tX\tEurope\tUrban\tTertiary\t5\n")
    with pytest.raises(InputError, match=r"participant 5 is not in full_value_qa\.tsv \(Q1\)"):
        read_probe_set(OPTIONS, tmp_path)
    path.write_text(f"{head}\nQ999\tX\tEurope\tUrban\tTertiary\t5\n")
    with pytest.raises(InputError, match="Q999 is not a value question"):
        read_probe_set(OPTIONS, tmp_path)


def test_real_answers_and_wording(shared_data: Path, tmp_path: Path) -> None:
    """The four countries' answers to the probe items in their files, in the benchmark's layout."""
    from scipy.stats import wasserstein_distance

    wvs = shared_data / "wvs7"
    here = ["Q122", "Q123", "Q132", "Q133", "Q158", "Q159", "Q160"]
    frames = []
    for country, continent in (("Germany", "Europe"), ("Brazil", "South America")):
        frame = pl.read_csv(wvs / f"{country}.csv", infer_schema=False)
        frame = frame.filter(pl.col("B_COUNTRY").str.contains(r"^\d+$")).head(200)
        frames.append(frame.select(here).with_columns(continent=pl.lit(continent)))
    table = (
        pl.concat(frames)
        .with_row_index("D_INTERVIEW")
        .with_columns(
            pl.col("D_INTERVIEW").cast(pl.String),
            *(
                pl.when(pl.col(q).str.starts_with("-")).then(None).otherwise(pl.col(q)).alias(q)
                for q in here
            ),
        )
    )
    rows = [
        (q, "Values", continent, "Urban", "Tertiary", who)
        for q in here
        for who, answer, continent in table.select("D_INTERVIEW", q, "continent").iter_rows()
        if answer is not None and int(who) % 4 == 0
    ]
    names = [
        "Question",
        "Question Category",
        "Continent",
        "Urban / Rural",
        "Education",
        "D_INTERVIEW",
    ]
    for inner in ("probe", "full"):
        (tmp_path / "wvb" / inner).mkdir(parents=True)
    samples = pl.DataFrame(rows, schema=names, orient="row")
    samples.write_csv(tmp_path / "wvb" / "probe" / "samples.tsv", separator="\t")
    table.drop("continent").write_csv(
        tmp_path / "wvb" / "full" / "full_value_qa.tsv", separator="\t"
    )
    metadata = (wvs / "question_metadata.json").read_text()
    (tmp_path / "wvb" / "question_metadata.json").write_text(metadata)
    options = Options(folder="wvb", codebook=str(wvs / "codebook.json"))
    probe = read_probe_set(options, tmp_path)
    assert probe.items["Q158"].texts[0] == "1 (Completely disagree)"
    assert probe.items["Q122"].texts == ("Disagree", "Hard to say", "Agree")
    card = evaluated(EVALUATION, {"flat": flat()}, options, tmp_path)
    about = json.loads(metadata)
    for q in here:
        low, high = about[q]["answer_scale_min"], about[q]["answer_scale_max"]
        ids = {r[5] for r in rows if r[0] == q}
        people = [int(a) for who, a in table.select("D_INTERVIEW", q).iter_rows() if who in ids]
        expected = wasserstein_distance(
            rescaled(people, low, high), rescaled(np.arange(low, high + 1), low, high)
        )
        assert card.details["distances"]["flat"][q] == pytest.approx(expected)
        assert majority_of(probe, q).sum() == 1
    assert any("Not among the questions of the file: Q1, " in note for note in card.notes)


def test_parts_of_a_cell_that_the_sample_does_not_know_are_not_named(
    folder: Path, tmp_path: Path
) -> None:
    assert cell_persona(("Asia", "", "")) == "people in Asia"
    assert cell_persona(("Asia", "Rural", "")) == "people in rural areas of Asia"
    assert cell_persona(("Asia", "", "Tertiary")) == (
        "people in Asia whose level of education is tertiary"
    )
    made = tmp_path / "wvb"
    shutil.copytree(folder / "wvb", made)
    path = made / "probe" / "samples.tsv"
    samples = pl.read_csv(path, separator="\t", infer_schema=False)
    blank = pl.lit("")
    blanked = samples.with_columns(blank.alias("Urban / Rural"), blank.alias("Education"))
    blanked.write_csv(path, separator="\t")
    probe = read_probe_set(OPTIONS, tmp_path)
    cells = {cell for found in probe.answered.values() for cell in found}
    assert cells == {(continent, "", "") for continent in samples["Continent"].unique()}
    model = flat()
    frame = EVALUATION.probe(probe_input(model, OPTIONS, tmp_path))
    assert sorted(frame["population"].unique()) == sorted(samples["Continent"].unique())
    assert not any("education" in text for text in model.heard)
    # The groups are the continents, and the script's file has an answer for every sampled person.
    card = evaluated(EVALUATION, {"flat": flat()}, OPTIONS, tmp_path, splits={1: SPLITS[1]})
    groups = {f.value_set for f in card.figures if f.measure == "w1_groups"} - {"all"}
    assert groups <= set(samples["Continent"]) and "" not in groups
    drawn = predictions(frame, probe, 1)
    assert drawn.height == samples.height and "" not in drawn["SCORE"].to_list()
