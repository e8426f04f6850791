"""Putting an evaluation to models made up on the spot, as a run would."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from suffrage.arrays import FloatArray
from suffrage.evaluate import Evaluation, EvaluationInput, ProbeInput, Scorecard, Scoring
from suffrage.evaluate.asking.answers import Answers, collect_answers
from suffrage.models import Answerer
from suffrage.models.readouts import ModelAnswer
from suffrage.population import ValueSet
from suffrage.survey import Codebook, Provenance, Survey
from suffrage.survey.readers.gss_spending import codebook
from suffrage.training_data import ItemSplit

NO_TEXTS = Scoring(samples=0, text=False)


def gss_survey(respondents: int = 400, seed: int = 0) -> Survey:
    """The GSS's spending items with made-up answers of two regions."""
    generator = np.random.default_rng(seed)
    book = codebook()
    book = Codebook(title=book.title, items=book.items, demographics=("region",))
    region = generator.choice(["north", "south"], respondents)
    columns: dict[str, object] = {
        "respondent": [f"r{i:04d}" for i in range(respondents)],
        "weight": np.ones(respondents),
        "region": region,
    }
    for item in book.items:
        k = len(item.options)
        north, south = generator.dirichlet(np.full(k, 0.8), 2)
        north_draws = generator.choice(k, respondents, p=north)
        south_draws = generator.choice(k, respondents, p=south)
        answers = np.where(region == "north", north_draws, south_draws)
        columns[item.id] = pl.Series(answers, dtype=pl.Int16)
    about = Provenance(reader="made-up", files={}, statement="Made up.", weight_variable=None)
    return Survey(pl.DataFrame(columns), book, about)


def answers_from(
    value_sets: Sequence[ValueSet], how: Callable[[FloatArray], FloatArray]
) -> Answers:
    """Answers by letters to every item, made of the people's shares."""
    return Answers(
        {
            v.name: [
                ModelAnswer(i, "letters", how(d.shares), 1.0, 0.0, False)
                for i, d in v.distributions.items()
            ]
            for v in value_sets
        }
    )


def evaluated(
    evaluation: Evaluation,
    models: Mapping[str, Answerer],
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    options: Any,
    as_itself: Sequence[str] = (),
    seed: int = 5,
    folder: Path = Path(),
    records: Mapping[tuple[str, int], Sequence[Path]] | None = None,
) -> Scorecard:
    """The scorecard of these models, one a method; `as_itself`: those asked as no population."""
    asked, answers = {}, {}
    for name, model in models.items():
        as_population = name not in as_itself
        given = ProbeInput(
            model, value_sets, as_population, [split], NO_TEXTS, options, seed, folder
        )
        assert evaluation.probe is not None
        asked[name, seed] = evaluation.probe(given)
        answers[name, seed] = collect_answers(model, value_sets, [], NO_TEXTS, as_population, seed)
    given = EvaluationInput(
        value_sets,
        {seed: split},
        answers,
        list(models),
        [],
        probes=asked,
        options=options,
        folder=folder,
        **({"records": records} if records else {}),
    )
    return evaluation.score(given, 1)


def value_of(card: Scorecard, measure: str, method: str) -> Any:
    """A method's figure over everything, None where there is none."""
    wanted = (measure, method, "all", "all")
    return next(
        (f for f in card.figures if (f.measure, f.method, f.value_set, f.seed) == wanted), None
    )
