"""A small made-up consultation: people with attributes who vote, compare and react."""

import numpy as np
import polars as pl

from suffrage.consult.consultation import SCHEMAS, Consultation

TOPICS = (
    "The council should plant more trees along the river",
    "Buses must run later on Friday evenings",
    "Rates should not rise this year",
    "Schools need warmer classrooms in winter",
    "The library ought to open on Sundays",
    "Dogs belong on a lead at the beach",
    "More houses should be built near the station",
    "Old buildings deserve protection from demolition",
)


def made_up_public(
    people: int = 60,
    seed: int = 0,
    consenting: float = 1.0,
    texts: tuple[str, ...] = TOPICS,
    demographics: dict[str, tuple[str, ...]] | None = None,
) -> Consultation:
    """Two camps that agree on the first two statements and differ on the rest.

    Every third statement is by a participant, who agrees with it.
    """
    generator = np.random.default_rng(seed)
    ids = [f"person-{i:03d}" for i in range(people)]
    camp = generator.random(people) < 0.5
    statements, votes, comparisons, reactions, attributes = [], [], [], [], []
    for at, text in enumerate(texts):
        statements.append(
            {
                "statement": f"s{at}",
                "text": text,
                "language": "en",
                "seed": at % 3 != 2,
                "state": "accepted",
                "author": None if at % 3 != 2 else ids[at % people],
                "order": at,
            }
        )
    for i, person in enumerate(ids):
        for at in range(len(texts)):
            author = at % 3 == 2 and at % people == i
            if not author and generator.random() < 0.2:
                continue
            likely = 0.9 if at < 2 else (0.85 if camp[i] == (at % 2 == 0) else 0.15)
            vote = 1 if author or generator.random() < likely else -1
            votes.append(
                {
                    "participant": person,
                    "statement": f"s{at}",
                    "vote": 0 if generator.random() < 0.05 and not author else vote,
                    "important": False,
                    "order": at,
                    "probability": float(generator.random()),
                }
            )
        for n in range(4):
            prompt = int(generator.integers(3))
            left, right = (int(x) for x in generator.permutation(3)[:2])
            outcome = ("left", "right", "tie", "both_bad", "skip")[
                int(generator.choice(5, p=[0.4, 0.3, 0.1, 0.1, 0.1]))
            ]
            comparisons.append(
                {
                    "participant": person,
                    "prompt": f"q{prompt}",
                    "left": f"q{prompt}-{left}",
                    "right": f"q{prompt}-{right}",
                    "outcome": outcome,
                    "confidence": None,
                    "reasons": "clear" if n else "ring me on 021 555 0199",
                    "core": False,
                    "check": None,
                    "probability": None,
                    "order": 20 + n,
                }
            )
        for n, answer in enumerate(generator.permutation(9)[:3]):
            reactions.append(
                {
                    "participant": person,
                    "answer": f"q{answer // 3}-{answer % 3}",
                    "value": int(generator.choice([-1, 1])),
                    "reasons": "",
                    "order": 30 + n,
                }
            )
        kinds = demographics or {
            "age": tuple(str(x) for x in range(18, 80)),
            "region": ("north", "south", "east"),
            "religion": ("none", "one", "another", "a third"),
        }
        for item, values in kinds.items():
            if generator.random() < 0.95:
                value = values[int(generator.integers(len(values)))]
                attributes.append({"participant": person, "item": item, "value": value})
    consent = generator.random(people) < consenting
    participants = pl.DataFrame({"participant": ids}).with_columns(
        verified=pl.lit(True),
        language=pl.lit("en"),
        excluded=pl.lit(False),
        exclusion_reason=pl.lit(None, pl.String),
        consent_votes=pl.Series(consent),
        consent_texts=pl.Series(generator.random(people) < max(consenting, 0.5)),
        consent_training=pl.Series(consent),
        weight=pl.Series(generator.uniform(0.5, 2, people)),
    )

    def table(name: str, rows: list[dict[str, object]]) -> pl.DataFrame:
        return pl.DataFrame(rows, schema=dict(SCHEMAS[name]))

    return Consultation(
        slug="town",
        title="The town",
        question="What should the town do?",
        languages=("en",),
        created="2026",
        participants=participants,
        statements=table("statements", statements),
        demographics=table("demographics", attributes),
        votes=table("votes", votes),
        prompts=table(
            "prompts",
            [
                {"prompt": f"q{n}", "text": f"What of matter {w}?", "language": "en", "topic": None}
                for n, w in enumerate(("Alpha", "Bravo", "Charlie"))
            ],
        ),
        answers=table(
            "answers",
            [
                {
                    "answer": f"q{q}-{a}",
                    "prompt": f"q{q}",
                    "text": f"Answer {a} to {q}.",
                    "model": "m",
                    "language": "en",
                }
                for q in range(3)
                for a in range(3)
            ],
        ),
        comparisons=table("comparisons", comparisons),
        reactions=table("reactions", reactions),
    )


def without_people(consultation: Consultation, gone: set[str]) -> Consultation:
    """The same consultation after these people withdrew: all they gave is deleted."""
    keep = ~pl.col("participant").is_in(list(gone))
    return Consultation(
        slug=consultation.slug,
        title=consultation.title,
        question=consultation.question,
        languages=consultation.languages,
        created=consultation.created,
        statements=consultation.statements.with_columns(
            author=pl.when(pl.col("author").is_in(list(gone))).then(None).otherwise("author")
        ),
        prompts=consultation.prompts,
        answers=consultation.answers,
        **{
            name: getattr(consultation, name).filter(keep)
            for name in ("participants", "demographics", "votes", "comparisons", "reactions")
        },
    )
