"""What `suffrage survey inspect` shows of a published table: whose answers, to what, less what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from suffrage.plurals import plural
from suffrage.survey.codebook import NonResponse
from suffrage.survey.inspection import MOST_LINES, lines_under_headings, read_code_lines
from suffrage.survey.published_table import PublishedTable
from suffrage.survey.survey import Provenance

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class PopulationSummary:
    """One population of a table at a glance."""

    name: str
    # How many questions it answered.
    items: int
    # Of the question that most of its people answered; None where no number is published.
    n: float | None
    # The mean share of each kind of non-response over the questions that list it.
    non_response: Mapping[str, float]


@dataclass(frozen=True)
class QuestionSummary:
    """One question of a table at a glance."""

    id: str
    question: str
    # The texts of the options that are answers.
    options: tuple[str, ...]
    ordered: bool
    topic: str | None
    # How many populations answered it.
    populations: int


@dataclass(frozen=True)
class TableInspection:
    """A published table at a glance."""

    title: str
    populations: tuple[PopulationSummary, ...]
    items: tuple[QuestionSummary, ...]
    # Answers of one population to one question that could not be read, each with the reason.
    cells_set_aside: tuple[str, ...]
    provenance: Provenance
    citation: str | None
    terms: str | None
    content_hash: str

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON can hold it, shares as fractions."""
        return asdict(self)

    def render(self, every_item: bool = False) -> RenderableType:
        """For a terminal: a summary, or all of it with a row for each question."""
        from rich.console import Group
        from rich.padding import Padding

        parts = [self._heading(), self._populations_table(every_item)]
        parts += [self._items_table()] if every_item else [self._items_summary()]
        parts.append(self._ending(every_item))
        return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts))

    def _heading(self) -> RenderableType:
        from rich.text import Text

        counted = [
            plural(len(self.populations), "population"),
            plural(len(self.items), "question"),
        ]
        return Text.assemble(
            (self.title, "bold"),
            f"\nA published table, without respondents: {', '.join(counted)}",
            f"\n{self.provenance.statement}",
        )

    def _populations_table(self, every_item: bool) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        from suffrage.plain_table import PlainTable

        kinds = [
            kind.label
            for kind in NonResponse
            if any(found.non_response.get(kind.label) for found in self.populations)
        ]
        table = PlainTable("population", "questions", "respondents", *kinds)
        shown = self.populations if every_item else self.populations[: 2 * MOST_LINES]
        for found in shown:
            table.add_row(
                Text(found.name),
                f"{found.items:,}",
                "not known" if found.n is None else f"{found.n:,.0f}",
                *(_percent(found.non_response.get(kind)) for kind in kinds),
            )
        more = len(self.populations) - len(shown)
        note = [Text(f"and {more} more; --items shows them", style="dim")] if more else []
        return Group(table, *note)

    def _items_summary(self) -> RenderableType:
        from rich.text import Text

        counts = sorted({len(item.options) for item in self.items})
        span = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
        ordered = sum(item.ordered for item in self.items)
        return Text.assemble(
            ("Questions\n", "bold"),
            f"  {span} options; {ordered} of {len(self.items)} are scales\n",
            ("  --items shows every question", "dim"),
        )

    def _items_table(self) -> RenderableType:
        from rich.text import Text

        from suffrage.plain_table import PlainTable

        table = PlainTable("item", "question", "options", "populations")
        for item in self.items:
            options = " | ".join(item.options) + ("" if item.ordered else " (no order)")
            table.add_row(item.id, Text(item.question), Text(options), f"{item.populations:,}")
        return table

    def _ending(self, every_item: bool) -> RenderableType:
        codes = self.provenance.read_codes
        files = [f"{name} ({made})" for name, made in self.provenance.files.items()]
        parts = (
            ("Answers set aside", list(self.cells_set_aside)),
            (
                "Options set aside as non-response; the shares are of the other options",
                read_code_lines([code for code in codes if code.kind]),
            ),
            (
                "In doubt: taken for answers",
                read_code_lines([code for code in codes if not code.kind]),
            ),
            ("Files (hash)", files),
            ("Citation", [self.citation] if self.citation else []),
            ("Terms", [self.terms] if self.terms else []),
        )
        return lines_under_headings(parts, every_item)


def inspect_table(table: PublishedTable) -> TableInspection:
    """Count what a published table holds, and list what was set aside and why."""
    answered = {
        item.id: sum(item.id in own for own in table.cells.values())
        for item in table.codebook.items
    }
    return TableInspection(
        title=table.codebook.title,
        populations=tuple(_population(table, name) for name in table.populations),
        items=tuple(
            QuestionSummary(
                item.id, item.question, item.texts, item.ordered, item.topic, answered[item.id]
            )
            for item in table.codebook.items
        ),
        cells_set_aside=table.set_aside,
        provenance=table.provenance,
        citation=table.codebook.citation,
        terms=table.codebook.terms,
        content_hash=table.content_hash,
    )


def _population(table: PublishedTable, name: str) -> PopulationSummary:
    own = table.cells[name].values()
    known = [cell.n for cell in own if cell.n is not None]
    shares: dict[str, list[float]] = {}
    for cell in own:
        for kind, share in cell.non_response.items():
            shares.setdefault(kind, []).append(share)
    means = {kind: sum(found) / len(found) for kind, found in shares.items()}
    return PopulationSummary(name, len(own), max(known, default=None), means)


def _percent(share: float | None) -> str:
    return f"{share:.1%}" if share else ""
