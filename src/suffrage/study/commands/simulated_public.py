"""A consultation held among a survey's own respondents, so that the whole loop runs without a public.

Each participant is a real respondent, and what they say follows from what they answered: so a
figure can be held against the values that made it. It shows that the path works, never what a
public would say: real people know more than 18 answers, and answer in words of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.consult.consultation import SCHEMAS, Consultation, write_consultation
from suffrage.consult.survey_links import COLUMNS
from suffrage.errors import InputError
from suffrage.models.asking import SENTENCES
from suffrage.survey import Item, Survey
from suffrage.survey.survey import RESPONDENT

TRUTH = "truth.parquet"
LINKS = "links.csv"
# What is asked of people about themselves has few values; the rest would single them out.
MOST_VALUES = 12


@dataclass(frozen=True)
class PublicSettings:
    """Who takes part, what they are asked, and how exactly they say what they hold.

    statements, comparisons, reactions: each participant is asked so many. temperature: of choices,
    in units of utility (1 from one end of a scale to the other). slips: share of votes and reactions
    given at random. left: log odds that the left side gains by its place.
    """

    participants: int = 300
    statements: int = 40
    comparisons: int = 10
    reactions: int = 10
    temperature: float = 0.2
    slips: float = 0.05
    left: float = 0.1
    texts: float = 0.9
    training: float = 0.95


def utility(item: Item, answered: int, option: int) -> float:
    """How near an answer is to a respondent's own, -1 to 0.

    On a scale minus the distance in parts of the whole scale; of nominal options 0 for their own and
    -1 for any other.
    """
    if item.ordered:
        return -abs(answered - option) / (len(item.options) - 1)
    return 0.0 if answered == option else -1.0


def simulated_public(
    survey: Survey, settings: PublicSettings, seed: int
) -> tuple[Consultation, pl.DataFrame]:
    """A consultation among respondents drawn by their weights, and who is who.

    A statement calls one option the right answer to an item, or a wrong one: its holders agree to the
    one and disagree to the other, everyone else the reverse, and who gave no answer passes. A prompt is an item, an answer says one option. Of two answers, utilities u and v, the
    first is chosen with sigma((u - v) / temperature); where u = v both are bad if neither is the
    respondent's own, else a tie. An answer is liked by those who hold it.
    Raises InputError where the survey has too few respondents.
    """
    items = survey.codebook.items
    generator = np.random.default_rng([seed, 21])
    rows = _drawn_rows(survey, settings.participants, generator)
    frame = survey.responses[rows]
    people = [f"{n:012x}" for n in generator.choice(2**48, len(rows), replace=False)]
    held = {item.id: frame[item.id].to_numpy() for item in items}
    statements = [
        (item, option, right)
        for item in items
        for option in range(len(item.options))
        for right in (True, False)
    ]
    styles = {item.id: int(generator.integers(len(SENTENCES))) for item in items}
    votes, comparisons, reactions = [], [], []
    for at, person in enumerate(people):
        asked = generator.permutation(len(statements))[: settings.statements]
        for order, which in enumerate(asked):
            item, option, right = statements[which]
            own = int(held[item.id][at])
            vote = 0 if own < 0 else 1 if (own == option) == right else -1
            if generator.random() < settings.slips:
                vote = int(generator.integers(-1, 2))
            votes.append(
                {
                    "participant": person,
                    "statement": _statement_id(item, option, right),
                    "vote": vote,
                    "important": False,
                    "order": order,
                    "probability": 1 / (len(statements) - order),
                }
            )
        able = [item for item in items if held[item.id][at] >= 0]
        for order in range(settings.comparisons):
            item = able[generator.integers(len(able))]
            left, right = (int(x) for x in generator.permutation(len(item.options))[:2])
            own = int(held[item.id][at])
            comparisons.append(
                {
                    "participant": person,
                    "prompt": item.id,
                    "left": f"{item.id}-{left + 1}",
                    "right": f"{item.id}-{right + 1}",
                    "outcome": _outcome(item, own, left, right, settings, generator),
                    "confidence": None,
                    "reasons": "",
                    "core": False,
                    "check": None,
                    "probability": None,
                    "order": settings.statements + order,
                }
            )
        answers = [(item, option) for item in able for option in range(len(item.options))]
        for order, which in enumerate(generator.permutation(len(answers))[: settings.reactions]):
            item, option = answers[which]
            liked = int(held[item.id][at]) == option
            if generator.random() < settings.slips:
                liked = bool(generator.integers(2))
            reactions.append(
                {
                    "participant": person,
                    "answer": f"{item.id}-{option + 1}",
                    "value": 1 if liked else -1,
                    "reasons": "",
                    "order": settings.statements + settings.comparisons + order,
                }
            )
    count = len(people)
    participants = pl.DataFrame({"participant": people}).with_columns(
        verified=pl.lit(True),
        language=pl.lit("en"),
        excluded=pl.lit(False),
        exclusion_reason=pl.lit(None, pl.String),
        consent_votes=pl.lit(True),
        consent_texts=pl.Series(generator.random(count) < settings.texts),
        consent_training=pl.Series(generator.random(count) < settings.training),
        weight=pl.lit(None, pl.Float64),
    )
    found = Consultation(
        slug="simulated-public",
        title=f"A simulated consultation among respondents of the {survey.codebook.title}",
        question="What should be so?",
        languages=("en",),
        created="",
        statements=pl.DataFrame(
            [
                {
                    "statement": _statement_id(item, option, right),
                    "text": f'"{item.options[option].text}" is {"the right" if right else "a wrong"} '
                    f'answer to "{item.question}"',
                    "language": "en",
                    "seed": True,
                    "state": "accepted",
                    "author": None,
                    "order": order,
                }
                for order, (item, option, right) in enumerate(statements)
            ],
            schema=dict(SCHEMAS["statements"]),
        ),
        participants=participants,
        demographics=_demographics(survey, frame, people),
        votes=pl.DataFrame(votes, schema=dict(SCHEMAS["votes"])),
        prompts=pl.DataFrame(
            [
                {
                    "prompt": item.id,
                    "text": f"{item.question}\n\nSay in one sentence.",
                    "language": "en",
                    "topic": item.topic,
                }
                for item in items
            ],
            schema=dict(SCHEMAS["prompts"]),
        ),
        answers=pl.DataFrame(
            [
                {
                    "answer": f"{item.id}-{option + 1}",
                    "prompt": item.id,
                    "text": SENTENCES[styles[item.id]].format(item.options[option].text),
                    "model": "written for the simulation",
                    "language": "en",
                }
                for item in items
                for option in range(len(item.options))
            ],
            schema=dict(SCHEMAS["answers"]),
        ),
        comparisons=pl.DataFrame(comparisons, schema=dict(SCHEMAS["comparisons"])),
        reactions=pl.DataFrame(reactions, schema=dict(SCHEMAS["reactions"])),
    )
    truth = pl.DataFrame({"participant": people, RESPONDENT: frame[RESPONDENT]})
    return found, truth


def links_of(items: Sequence[Item]) -> pl.DataFrame:
    """Which statement says what an item asks: agreeing is choosing one of these options."""
    rows = []
    for item in items:
        codes = [option.code for option in item.options]
        for option, code in enumerate(codes):
            others = [other for other in codes if other != code]
            rows.append((_statement_id(item, option, True), item.id, code))
            rows.append((_statement_id(item, option, False), item.id, "|".join(others)))
    return pl.DataFrame(rows, schema=list(COLUMNS), orient="row")


def write_public(
    consultation: Consultation, truth: pl.DataFrame, items: Sequence[Item], folder: Path
) -> tuple[Path, Path]:
    """Write the consultation into a folder; beside it who is who, and the links to the items."""
    write_consultation(consultation, folder)
    beside = folder.parent / f"{folder.name}-{TRUTH}"
    with storage.atomic_path(beside) as draft:
        truth.write_parquet(draft)
    links = folder.parent / f"{folder.name}-{LINKS}"
    storage.write_text(links, links_of(items).write_csv())
    return beside, links


def _drawn_rows(survey: Survey, count: int, generator: np.random.Generator) -> np.ndarray:
    """Rows of `count` respondents who answered at least half of the items, by weight, in id order."""
    items = survey.codebook.items
    by_id = survey.rows_by_id
    answered = np.sum([survey.positions(item.id)[by_id] >= 0 for item in items], axis=0)
    able = by_id[(answered >= max(len(items) / 2, 1)) & (survey.weights[by_id] > 0)]
    if able.size < count:
        raise InputError(
            f"participants is {count}; only {able.size} respondents answered half of the items."
        )
    weights = survey.weights[able]
    return np.asarray(generator.choice(able, count, replace=False, p=weights / weights.sum()))


def _demographics(survey: Survey, frame: pl.DataFrame, people: list[str]) -> pl.DataFrame:
    parts = [pl.DataFrame(schema=dict(SCHEMAS["demographics"]))]
    for item in survey.codebook.demographics:
        if 1 < survey.responses[item].n_unique() <= MOST_VALUES:
            parts.append(
                pl.DataFrame(
                    {"participant": people, "item": item, "value": frame[item]}
                ).drop_nulls()
            )
    return pl.concat(parts)


def _outcome(
    item: Item,
    own: int,
    left: int,
    right: int,
    settings: PublicSettings,
    generator: np.random.Generator,
) -> str:
    u, v = utility(item, own, left), utility(item, own, right)
    if u == v:
        return "both_bad" if u < 0 else "tie"
    odds = (u - v) / settings.temperature + settings.left
    # sigma(x) = (1 + tanh(x / 2)) / 2, which never overflows.
    return "left" if generator.random() < (1 + np.tanh(odds / 2)) / 2 else "right"


def _statement_id(item: Item, option: int, right: bool) -> str:
    return f"{item.id}.{option + 1}" + ("" if right else "-not")
