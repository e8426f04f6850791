"""How many people a consultation needs: errors by people, minutes, bias, strategic voters and bots.

The people of real consultations stand for the public; rounds are drawn from them as `suffrage
consult plan` draws them. One table a question, in Markdown, and curves over people as a picture.

    python benchmarks/enough_people.py EXPORT [EXPORT:PREFIX ...] --picture docs/how-many-people.svg

An EXPORT is the folder of a Polis export; PREFIX is what its files begin with. With `--check` the
exit code is 1 where more people or more time make a share worse.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

from suffrage.consult.groups.enough_people import (
    Expectation,
    RealPublic,
    Turnout,
    expect,
    real_public,
)
from suffrage.consult.polis.read_files import read_polis

PEOPLE = (10, 25, 50, 100, 200, 400)
MINUTES = (5, 15, 30, 45)
SHARES = (0.0, 0.05, 0.1, 0.2)
BIASES = (1, 2, 4)
USUAL = Turnout(people=50, minutes=15, statements=60)
MANY_STATEMENTS = 150
Row = tuple[str, Turnout, Expectation]

COLUMNS: tuple[tuple[str, Callable[[Expectation], float | None], str], ...] = (
    ("error of a share", lambda e: e.share_error, ".3f"),
    ("worst twentieth", lambda e: e.share_error_95, ".3f"),
    ("error of consensus", lambda e: e.consensus_error, ".3f"),
    ("consensus found", lambda e: e.consensus_found, ".0%"),
    ("found wrongly", lambda e: e.consensus_false, ".0%"),
    ("planted group found", lambda e: e.planted_found, ".0%"),
    ("fit of records", lambda e: e.record_fit, ".3f"),
)


def questions() -> dict[str, list[tuple[str, Turnout]]]:
    """Each question with the turnouts that answer it."""
    return {
        "People from each subgroup": [(str(n), replace(USUAL, people=n)) for n in PEOPLE],
        f"Minutes each, {MANY_STATEMENTS} statements": [
            (str(m), replace(USUAL, minutes=m, statements=MANY_STATEMENTS)) for m in MINUTES
        ],
        "Sampling bias": [
            (f"{bias} times, {n} people", replace(USUAL, bias=bias, people=n))
            for n in (50, 400)
            for bias in BIASES
        ],
        "Strategic voters": [(f"{s:.0%}", replace(USUAL, strategic=s)) for s in SHARES],
        "Bots": [(f"{s:.0%}", replace(USUAL, bots=s)) for s in SHARES],
    }


def measured(public: RealPublic, rounds: int, planted: int) -> dict[str, list[Row]]:
    """Every question's rows for one public."""
    return {
        question: [(name, own, expect(public, own, rounds, planted)) for name, own in turnouts]
        for question, turnouts in questions().items()
    }


def table(question: str, rows: Sequence[Row]) -> str:
    """The rows of a question in Markdown."""
    names = [name for name, _, _ in COLUMNS]
    lines = [f"| {question} | {' | '.join(names)} |", "| --- |" + " ---: |" * len(names)]
    for name, _, found in rows:
        cells = [
            "-" if (value := read(found)) is None else format(value, form)
            for _, read, form in COLUMNS
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(found: dict[str, dict[str, list[Row]]]) -> str:
    """Two panels of curves over people from each subgroup, as SVG."""
    panels = (
        ("Error of a share, worst twentieth of cells", lambda e: e.share_error_95, 0.3, ".2f"),
        ("Statements all agree on that are found", lambda e: e.consensus_found, 1.0, ".0%"),
    )
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 330" font-family="sans-serif" '
        'font-size="13" role="img"><title>How many people from each subgroup</title>'
        '<rect width="760" height="330" fill="#fff"/>'
    ]
    for place, (title, read, top, form) in enumerate(panels):
        left = 50 + place * 380
        parts.append(f'<text x="{left}" y="24" font-weight="bold">{title}</text>')
        for tick in range(4):
            y = 260 - 70 * tick
            parts.append(
                f'<path d="M{left} {y}h290" stroke="#ddd"/><text x="{left - 6}" y="{y + 4}" '
                f'text-anchor="end" fill="#555">{format(top * tick / 3, form)}</text>'
            )
        for at, people in enumerate(PEOPLE):
            parts.append(
                f'<text x="{left + 20 + at * 50}" y="280" text-anchor="middle" fill="#555">'
                f"{people}</text>"
            )
        for line, (name, tables) in enumerate(found.items()):
            points = [
                f"{left + 20 + at * 50},{260 - 210 * min(read(e) / top, 1):.1f}"
                for at, (_, _, e) in enumerate(tables["People from each subgroup"])
            ]
            colour, dash = (("#1f5fa8", ""), ("#c0561a", "6 4"), ("#2f7d32", "2 3"))[line % 3]
            parts.append(
                f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" '
                f'stroke-width="2.5" stroke-dasharray="{dash}"/>'
            )
            if place == 0:
                parts.append(
                    f'<path d="M{50 + line * 230} 312h24" stroke="{colour}" stroke-width="2.5" '
                    f'stroke-dasharray="{dash}"/><text x="{80 + line * 230}" y="316">{name}</text>'
                )
    return "".join([*parts, "</svg>\n"])


def worsened(rows: Iterable[Row]) -> list[str]:
    """Where a row has a larger error than the one before it, beyond simulation noise."""
    listed = list(rows)
    return [
        f"{after[0]}: error {after[2].share_error:.3f} after {before[2].share_error:.3f}"
        for before, after in pairwise(listed)
        if after[2].share_error > before[2].share_error * 1.05
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("exports", nargs="+", metavar="EXPORT")
    parser.add_argument("--subgroups", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--planted", type=int, default=40)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found, wrong = {}, []
    for export in given.exports:
        folder, _, prefix = export.partition(":")
        read = read_polis(Path(folder), prefix or None)
        public = real_public(read.votes, given.subgroups, 0, read.moderated_out(strict=False))
        name = Path(folder).name
        found[name] = measured(public, given.rounds, given.planted)
        # The first two questions are of more people and of more time.
        for question in list(questions())[:2]:
            wrong += worsened(found[name][question])
        if not given.json:
            sizes = ", ".join(str(int((public.group == g).sum())) for g in range(public.groups))
            print(
                f"\n## {name}: {len(public.votes)} people in {public.groups} subgroups ({sizes}), "
                f"{public.votes.shape[1]} statements, {public.filled:.0%} of votes filled in\n"
            )
            print("\n\n".join(table(*entry) for entry in found[name].items()))
    if given.json:
        rows = {
            name: {
                question: [{"name": row, **asdict(turnout), **asdict(e)} for row, turnout, e in own]
                for question, own in tables.items()
            }
            for name, tables in found.items()
        }
        print(json.dumps(rows, indent=2))
    if given.picture:
        given.picture.write_text(picture(found), encoding="utf-8")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong and given.check else 0


if __name__ == "__main__":
    sys.exit(main())
