"""An evaluation tried on impostors: groups that differ, asked and scored as in a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from suffrage.evaluate import (
    Evaluation,
    EvaluationInput,
    EvaluationOptions,
    ProbeInput,
    Scorecard,
    collect_answers,
)
from suffrage.evaluate.asking.answers import Scoring
from suffrage.evaluate.results import Figure
from suffrage.population import ValueSet, build_value_set
from suffrage.survey import Codebook, Item, NonResponse, Option, Provenance, Survey
from suffrage.training_data import ItemSplit
from tests.impostors import Impostor, constant, flat, majority, noise, people

SCALE = ("Strongly disagree", "Disagree", "Agree", "Strongly agree")
AMOUNT = ("Far too little", "Too little", "Too much", "Far too much")
REGIONS, PARTIES = ("north", "south", "east"), ("red", "blue")
SCORING = Scoring(samples=0, text=False, lowest_mass=0.0)


def item(number: int) -> Item:
    agree = number % 2 == 0
    question = f"Say of matter {number}, is it right?" if agree else f"What of amount {number}?"
    return Item(
        id=f"q{number:02d}",
        question=question,
        options=tuple(
            Option(code=str(k), text=text) for k, text in enumerate(SCALE if agree else AMOUNT)
        ),
        topic=("work", "family")[number % 2],
    )


def survey(respondents: int = 2400, items: int = 16, seed: int = 0) -> Survey:
    """Parties and regions pull items up or down by their loadings; some items divide more."""
    generator = np.random.default_rng(seed)
    book = Codebook(
        title="Made up",
        items=tuple(item(i) for i in range(items)),
        demographics=("region", "party"),
    )
    region = generator.choice(REGIONS, respondents)
    party = generator.choice(PARTIES, respondents)
    columns: dict[str, object] = {
        "respondent": [f"r{i:05d}" for i in range(respondents)],
        "weight": np.ones(respondents),
        "region": region,
        "party": party,
    }
    by_party, by_north, by_south = generator.normal(0, (0.6, 0.4, 0.4), (items, 3)).T
    centre, wide = generator.normal(1.5, 0.5, items), np.geomspace(0.25, 2.0, items)
    generator.shuffle(wide)
    for k, one in enumerate(book.items):
        pull = by_party[k] * np.where(party == "red", 1, -1)
        pull = pull + by_north[k] * (region == "north") + by_south[k] * (region == "south")
        drawn = centre[k] + pull + wide[k] * generator.normal(size=respondents)
        answers = np.clip(np.round(drawn), 0, 3)
        silent = generator.random(respondents) < 0.03
        columns[one.id] = pl.Series(
            np.where(silent, int(NonResponse.DONT_KNOW), answers), dtype=pl.Int16
        )
    source = Provenance(reader="made-up", files={}, statement="Made up.", weight_variable=None)
    return Survey(pl.DataFrame(columns), book, source)


def value_sets(of: Survey, crossings: bool = True) -> list[ValueSet]:
    """Everyone, either party, each region, and (if so said) each party in each region."""
    where: dict[str, tuple[dict[str, str], str]] = {"everyone": ({}, "all the people")}
    where |= {p: ({"party": p}, f"{p} people") for p in PARTIES}
    where |= {r: ({"region": r}, f"people of the {r}") for r in REGIONS}
    if crossings:
        where |= {
            f"{p}-{r}": ({"party": p, "region": r}, f"{p} people of the {r}")
            for p in PARTIES
            for r in REGIONS
        }
    return [build_value_set(of, name, w, 1, text) for name, (w, text) in where.items()]


def all_held_out(of: Survey) -> ItemSplit:
    """Nothing is trained on, as in an audit."""
    ids = of.codebook.item_ids
    return ItemSplit((), ids, {i: i for i in ids}, {"by": "item"})


def impostors(sets: Sequence[ValueSet]) -> dict[str, Impostor]:
    """A model that knows, and those that do not; `base` is asked as itself."""
    return {
        "base": flat(),
        "knows": people(sets, lambda shares: shares),
        "constant": constant(),
        "parrot": people(sets, majority),
        "flat": flat(),
        "noise": noise(3),
    }


def tried(
    evaluation: Evaluation,
    models: Mapping[str, Impostor],
    sets: Sequence[ValueSet],
    split: ItemSplit,
    options: EvaluationOptions | None = None,
    folder: Path = Path(),
    trained: Sequence[str] = (),
) -> Scorecard:
    """The evaluation's scorecard of these models; `base` never gets a population."""
    options = options or evaluation.options()
    answers, asked = {}, {}
    for name, model in models.items():
        named = name != "base"
        answers[name, 1] = collect_answers(model, sets, [], SCORING, named, 1)
        if evaluation.probe is not None:
            given = ProbeInput(model, sets, named, [split], SCORING, options, 1, folder)
            asked[name, 1] = evaluation.probe(given)
    given = EvaluationInput(
        value_sets=sets,
        splits={1: split},
        answers=answers,
        methods=list(models),
        trained=trained,
        probes=asked,
        options=options,
        folder=folder,
    )
    return evaluation.score(given, 1)


def figure(card: Scorecard, measure: str, method: str, value_set: str = "all") -> Figure:
    """One figure; StopIteration where there is none."""
    return next(
        f
        for f in card.figures
        if (f.measure, f.method, f.value_set, f.seed) == (measure, method, value_set, "all")
    )


def has(card: Scorecard, measure: str, method: str) -> bool:
    """Whether the figure is given."""
    return any((f.measure, f.method) == (measure, method) for f in card.figures)
