"""One respondent's answer, walked from the file to the row of the scoreboard.

Read this to see how the public types hang together; every step is the real one.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from suffrage.align import TrainingJob
from suffrage.align.distribution import Options, train
from suffrage.evaluate import EvaluationInput, Scoring, collect_answers
from suffrage.evaluate import fit as fit_evaluation
from suffrage.models import LanguageModel, identify
from suffrage.population import build_value_set
from suffrage.survey import read_survey
from suffrage.training_data import HeldOut, RecordSettings, check_nothing_held_out, split_items
from suffrage.training_data.distribution_records import build_distributions


def test_one_answer_from_the_file_to_the_scoreboard(tmp_path: Path, tiny_model: Path) -> None:
    # A file, as a user has it: Ana lives in the north and answered 2, "About right", to `roads`.
    (tmp_path / "town.csv").write_text(
        "who,area,roads,parks,buses\n"
        + "Ana,north,2,1,3\n"
        + "".join(f"n{i},north,{1 + i % 3},{1 + i % 2},{3 - i % 3}\n" for i in range(11))
        + "".join(f"s{i},south,3,3,1\n" for i in range(12))
    )
    items = "".join(
        f"  - {{id: {name}, question: 'Too little, about right, or too much spent on {name}?', "
        "options: {1: Too little, 2: About right, 3: Too much}}\n"
        for name in ("roads", "parks", "buses")
    )
    (tmp_path / "town.yaml").write_text(
        f"title: A town\nrespondent: who\ndemographics: {{area: area}}\nitems:\n{items}"
    )

    # Survey: her answer is now a position among the options, counted from 0.
    settings = {"reader": "labelled_file", "path": "town.csv", "codebook": "town.yaml"}
    survey = read_survey(settings, tmp_path)
    ana = survey.responses.filter(pl.col("respondent") == "Ana")
    assert ana["roads"].item() == 1
    assert survey.codebook["roads"].texts[1] == "About right"

    # ValueSet: she is one of twelve in the north, four of whom gave that answer.
    north = build_value_set(survey, "north", {"area": "north"}, seed=1, description="northerners")
    roads = north.distributions["roads"]
    assert (north.n, roads.n) == (12, 12)
    # Twelve are few, so their answers are drawn toward the rest of the town's, whose twelve may
    # count for no more than they are.
    counts = np.bincount([1, *[i % 3 for i in range(11)]], minlength=3)
    rest = (np.array([0, 0, 12]) + 1 / 3) / 13
    assert 0 < roads.pooled < 0.5
    mixed = (1 - roads.pooled) * counts / 12 + roads.pooled * rest
    np.testing.assert_allclose(roads.shares, mixed)

    # ItemSplit: `buses` is never trained on.
    split = split_items(survey.codebook.items, HeldOut(by="list", items=("buses",)), seed=1)
    assert split.side("roads") == "trained" and split.side("buses") == "held_out"

    # Records: her answer is in the target of every record on `roads`, and `buses` in none.
    records = build_distributions([north], split, 8, np.random.default_rng(1), RecordSettings())
    check_nothing_held_out(records, survey.codebook.items, split)
    row = next(row for row in records.frame.to_dicts() if row["item"] == "roads")
    assert row["target"][1] == pytest.approx(roads.shares[1])

    # Checkpoint: two steps of training on a tiny model.
    model = identify(str(tiny_model), tmp_path)
    options = Options(batch=4, dtype="float32")
    output = tmp_path / "checkpoint"
    output.mkdir()
    train(TrainingJob(model, records, options, 2, 1, tmp_path / "w", output, lambda *_: None))
    assert (output / "adapter_model.safetensors").exists()

    # Scorecard: the model's answer to `roads`, held against the distribution she is part of.
    trained = LanguageModel.load(model, adapter=output)
    scoring = Scoring(samples=0, text=False, lowest_mass=0)
    answers = collect_answers(trained, [north], [], scoring, as_population=True, seed=1)
    given = EvaluationInput([north], {1: split}, {("mine", 1): answers}, ["mine"], ["mine"])
    card = fit_evaluation.score(given, seed=1)
    answer = next(a for a in card.answers if a.method == "mine" and a.item == "roads")
    middle = (roads.shares + np.array(answer.shares)) / 2

    def bits(p: np.ndarray) -> float:  # type: ignore[type-arg]
        return float(-(p * np.log2(p)).sum())

    divergence = bits(middle) - (bits(roads.shares) + bits(np.array(answer.shares))) / 2
    assert answer.fit == pytest.approx(1 - np.sqrt(divergence))
