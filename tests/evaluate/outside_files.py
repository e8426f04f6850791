"""Files in the published benchmarks' layouts, and a study around them, made on the spot."""

import csv
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from suffrage.evaluate import Evaluation, EvaluationInput, EvaluationOptions, ProbeInput, Scoring
from suffrage.models import Answerer
from suffrage.population import ValueSet, build_value_set
from suffrage.training_data import HeldOut, ItemSplit, split_items
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=400, items=9, seed=3)
SETS = [build_value_set(SURVEY, n, {"region": n}, 1, f"people up {n}") for n in ("north", "south")]
SPLITS = {s: split_items(SURVEY.codebook.items, HeldOut(share=0.34), s) for s in (1, 2)}
SUBJECTS = ("rivers", "libraries", "taxes", "armies", "wages", "churches", "trains", "orchards")
PLACES = ("school", "harbour", "market", "valley", "theatre")


def questions(count: int) -> list[str]:
    """Questions that share no distinctive words with the survey's, nor much with one another."""
    return [
        f"Should {SUBJECTS[k % 8]}{k} near some {PLACES[k % 5]}{k} concern citizens{k}?"
        for k in range(count)
    ]


def write_globalopinionqa(
    path: Path, countries: Sequence[str], count: int = 12, seed: int = 0, extra: Any = ()
) -> None:
    """A row a question; a country's last row is all zeros. extra: further rows of four cells."""
    generator = np.random.default_rng(seed)
    rows = []
    for k, question in enumerate(questions(count)):
        options = [*("Very good", "Good", "Bad", "Very bad")[: 2 + k % 3], "DK/Refused"]
        shares = {
            c: [*(0.95 * generator.dirichlet(np.full(len(options) - 1, 0.7))), 0.05]
            for c in countries
        }
        shares = {c: [float(v) for v in row] for c, row in shares.items()}
        selections = f"defaultdict(<class 'list'>, {shares})"
        rows.append([question, selections, str(options), "WVS" if k % 3 == 0 else "GAS"])
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "selections", "options", "source"])
        writer.writerows([*rows, *extra])


def write_opinionqa(
    path: Path, groups: Sequence[str], count: int = 12, seed: int = 0, refused: bool = False
) -> None:
    generator = np.random.default_rng(seed)
    records = []
    for k, question in enumerate(questions(count)):
        options = ["A great deal", "A fair amount", "Not too much", "Not at all"][: 2 + k % 3]
        for group in groups:
            shares = generator.dirichlet(np.full(len(options), 0.7))
            given = [*(0.9 * shares), 0.1] if refused else [*shares]
            records.append(
                {
                    "question": f"Question: {question}\nOptions: A. ...\nAnswer:",
                    "options": [*options, "Refused"] if refused else options,
                    "attribute": group,
                    "gold_distribution": [float(v) for v in given],
                }
            )
    path.write_bytes(gzip.compress(json.dumps(records).encode()))


def probe_input(
    model: Answerer,
    options: EvaluationOptions,
    folder: Path,
    as_population: bool = True,
    value_sets: Sequence[ValueSet] = SETS,
) -> ProbeInput:
    return ProbeInput(
        model, value_sets, as_population, [*SPLITS.values()], Scoring(), options, 1, folder
    )


def scored(
    evaluation: Evaluation,
    models: Mapping[str, Answerer],
    options: EvaluationOptions,
    folder: Path,
    trained: Sequence[str] = (),
    as_population: bool = True,
    splits: Mapping[int, ItemSplit] = SPLITS,
) -> Any:
    """The scorecard of some models, each asked by the evaluation itself."""
    assert evaluation.probe is not None
    asked: dict[tuple[str, int], pl.DataFrame] = {}
    for name, model in models.items():
        frame = evaluation.probe(probe_input(model, options, folder, as_population))
        asked |= {(name, seed): frame for seed in splits}
    given = EvaluationInput(
        SETS, splits, {}, list(models), list(trained), (), asked, options, folder
    )
    return evaluation.score(given, 1)


def figure(card: Any, measure: str, method: str, value_set: str = "all") -> Any:
    return next(
        f
        for f in card.figures
        if (f.measure, f.method, f.value_set, f.seed) == (measure, method, value_set, "all")
    )
