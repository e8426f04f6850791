"""The page on scale: its table follows from the costs it names, and the guide agrees with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
SCALE = (DOCS / "scale.md").read_text(encoding="utf-8")
GUIDE = (DOCS / "public-bodies.md").read_text(encoding="utf-8")
PEOPLE = {"town": 1_000, "city": 50_000, "country": 2_000_000}
VOTES_EACH, BUSIEST, SECONDS_A_VOTE = 40, 0.1, 0.0032
BYTES_A_VOTE, BYTES_A_PERSON = 590, 890


def row(words: str) -> list[float]:
    """The first number of each size's cell in the row that begins with these words."""
    line = next(x for x in SCALE.splitlines() if x.startswith(f"| {words} |"))
    cells = line.strip("|").split("|")[1:]
    return [float(re.search(r"[\d.,]+", cell).group().replace(",", "")) for cell in cells]  # type: ignore[union-attr]


def test_the_table_of_sizes_follows_from_the_cost_of_a_vote() -> None:
    people = list(PEOPLE.values())
    busy = [n * VOTES_EACH * BUSIEST / 3600 for n in people]
    assert row("people who take part") == people
    assert row("votes") == [n * VOTES_EACH for n in people]
    assert row("votes a second in the busiest hour") == pytest.approx(busy, rel=0.12)
    assert row("cores at work in that hour") == pytest.approx(
        [x * SECONDS_A_VOTE for x in busy], rel=0.15
    )
    gigabytes = [n * (VOTES_EACH * BYTES_A_VOTE + BYTES_A_PERSON) / 1e9 for n in people]
    town, city, country = row("storage for votes and people")
    assert [town / 1000, city, country / 2] == pytest.approx(gigabytes, rel=0.05)


def test_money_and_hours_follow_from_prices_and_statements() -> None:
    cores = row("cores to plan for")
    storage = [0.025, 1.2, 100]
    costs = [10 * c + 0.1 * s for c, s in zip(cores, storage, strict=True)]
    assert row("machines, dollars or euros a month") == pytest.approx(costs, rel=0.02)
    statements = [n / 10 for n in PEOPLE.values()]
    assert row("statements to moderate") == statements
    assert row("hours of moderation") == pytest.approx([s * 2 / 60 for s in statements], rel=0.02)


def test_the_guide_for_public_bodies_says_the_same() -> None:
    money = [int(x) for x in row("machines, dollars or euros a month")]
    plain = " ".join(GUIDE.split())
    town, city, country = money
    assert (
        f"about {town} dollars or euros a month for a town, {city} for a city and {country} for"
        in plain
    )
    assert f"Hosting for a town costs about {town} dollars or euros a month" in plain
    assert f"write 100, which take {row('hours of moderation')[0]} hours" in plain
