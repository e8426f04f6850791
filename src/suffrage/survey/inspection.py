"""What `suffrage survey inspect` shows: who answered, what was asked, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from suffrage.plurals import plural
from suffrage.survey.codebook import Item, NonResponse
from suffrage.survey.effective_size import design_effect, effective_sample_size
from suffrage.survey.group_differences import (
    GroupDifference,
    GroupSummary,
    differences_by_group,
    group_summaries,
)
from suffrage.survey.reading import first_names
from suffrage.survey.survey import Provenance, ReadCode, Survey

if TYPE_CHECKING:
    from rich.console import RenderableType

# A demographic of numbers with more values than this is shown as a range.
MOST_VALUES_SHOWN = 12
# What a summary shows: the items answered least, and lines under each heading.
LEAST_ANSWERED = 5
MOST_LINES = 6


@dataclass(frozen=True)
class DemographicSummary:
    """One demographic column at a glance."""

    name: str
    # Respondents by value, the most frequent value first.
    values: Mapping[str, int]
    # Respondents without a value.
    unknown: int
    # Of a column of numbers only.
    lowest: float | None = None
    highest: float | None = None

    @property
    def is_range(self) -> bool:
        """Whether the values are many numbers, better shown as a range."""
        return self.lowest is not None and len(self.values) > MOST_VALUES_SHOWN


@dataclass(frozen=True)
class ItemSummary:
    """One item at a glance."""

    id: str
    question: str
    options: int
    ordered: bool
    topic: str | None
    battery: str | None
    note: str | None
    # Shares of the respondents, unweighted; with those of non-response they sum to 1.
    answered: float
    non_response: Mapping[str, float]


@dataclass(frozen=True)
class Inspection:
    """A survey at a glance."""

    title: str
    respondents: int
    weight_variable: str | None
    # Kish's, from the base weights.
    n_eff: float
    design_effect: float
    demographics: tuple[DemographicSummary, ...]
    items: tuple[ItemSummary, ...]
    # Countries, waves and modes, and the items that one of them answered in another way.
    groups: tuple[GroupSummary, ...]
    differences: tuple[GroupDifference, ...]
    provenance: Provenance
    citation: str | None
    terms: str | None
    content_hash: str

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON can hold it, shares as fractions."""
        return asdict(self)

    def render(self, every_item: bool = False) -> RenderableType:
        """For a terminal: a summary, or all of it with a row for each item."""
        from rich.console import Group
        from rich.padding import Padding

        items = self._items_table() if every_item else self._items_summary()
        parts = [self._heading(), self._demographics(), items]
        parts.append(self._groups_table(every_item))
        parts.append(self._ending(every_item))
        return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts))

    def _heading(self) -> RenderableType:
        from rich.text import Text

        weights = (
            f"weighted by {self.weight_variable}: "
            f"{plural(round(self.n_eff), 'effective respondent', ',')}, "
            f"design effect {self.design_effect:.2f}"
            if self.weight_variable
            else "unweighted: everyone counts the same"
        )
        topics = len({item.topic for item in self.items if item.topic})
        return Text.assemble(
            (self.title, "bold"),
            f"\n{plural(self.respondents, 'respondent', ',')}, {weights}",
            f"\n{plural(len(self.items), 'item')}"
            + (f" on {plural(topics, 'topic')}" if topics else ""),
            f"\n{self.provenance.statement}",
        )

    def _demographics(self) -> RenderableType:
        from rich.text import Text

        if not self.demographics:
            return Text("The codebook names no demographics.")

        from suffrage.plain_table import PlainTable

        table = PlainTable("demographic", "values (respondents)", "unknown", title_justify="left")
        for summary in self.demographics:
            unknown = f"{summary.unknown:,}" if summary.unknown else ""
            table.add_row(summary.name, Text(_values(summary)), unknown)
        return table

    def _items_summary(self) -> RenderableType:
        """The items in a few lines: their scales, and those that fewest people answered."""
        from rich.text import Text

        options = sorted({item.options for item in self.items})
        ordered = sum(item.ordered for item in self.items)
        span = f"{options[0]} to {options[-1]}" if len(options) > 1 else f"{options[0]}"
        answered = sum(item.answered for item in self.items) / len(self.items)
        least = sorted(self.items, key=lambda item: item.answered)[:LEAST_ANSWERED]
        text = Text.assemble(
            ("Items\n", "bold"),
            f"  {span} options; {ordered} of {len(self.items)} are scales\n",
            f"  on average {answered:.1%} of the respondents answered\n",
        )
        if least[0].answered < 1:
            named = ", ".join(f"{item.id} {item.answered:.1%}" for item in least)
            text.append(f"  answered least: {named}\n")
        text.append("  --items shows every item", "dim")
        return text

    def _items_table(self) -> RenderableType:
        from rich.text import Text

        from suffrage.plain_table import PlainTable

        kinds = [
            kind.label
            for kind in NonResponse
            if any(item.non_response.get(kind.label) for item in self.items)
        ]
        table = PlainTable("item", "question", "options", "answered", *kinds)
        for item in self.items:
            table.add_row(
                item.id,
                Text(item.question),
                f"{item.options}" if item.ordered else f"{item.options}, no order",
                f"{item.answered:.1%}",
                *(_share(item.non_response.get(kind, 0.0)) for kind in kinds),
            )
        return table

    def _groups_table(self, every_item: bool) -> RenderableType:
        """A row for each country, wave and mode; in the summary only those that stand out."""
        from rich.console import Group
        from rich.text import Text

        from suffrage.plain_table import PlainTable

        apart = {(found.column, found.group) for found in self.differences}
        shown = [
            group
            for group in self.groups
            if every_item or len(self.groups) <= MOST_LINES or (group.column, group.group) in apart
        ]
        table = PlainTable(
            "group", "respondents", "items asked", "answered", "items with options never used"
        )
        for group in shown:
            table.add_row(
                f"{group.column}: {group.group}",
                f"{group.respondents:,}",
                f"{group.items_asked}",
                "" if group.answered is None else f"{group.answered:.1%}",
                first_names(group.narrowed),
            )
        silent = [found for found in self.differences if not found.missed]
        lines = [f"{found.item}: {found.what}" for found in silent]
        kept = lines if every_item else lines[:MOST_LINES]
        if len(kept) < len(lines):
            kept = [*kept, f"and {len(lines) - len(kept)} more; --items shows them"]
        head = self._groups_heading()
        if len(shown) < len(self.groups):
            head += f", {len(shown)} of which answered some items in another way than the others"
        parts: list[RenderableType] = [Text(head, style="bold")]
        parts += [table] if shown else []
        parts += [Text(f"  {line}") for line in kept]
        return Group(*parts)

    def _groups_heading(self) -> str:
        """How many groups of each column there are: "3 groups by country, 2 by wave"."""
        if not self.groups:
            return "No demographic was recognised as a country, wave or mode"
        counts = Counter(group.column for group in self.groups)
        first, *others = counts.items()
        parts = [f"{plural(first[1], 'group')} by {first[0]}"]
        return ", ".join([*parts, *(f"{count} by {column}" for column, count in others)])

    def _ending(self, every_item: bool) -> RenderableType:
        aside = [f"{a.what} ({a.count:,}): {a.why}" for a in self.provenance.set_aside]
        notes = [f"{item.id}: {item.note}" for item in self.items if item.note]
        files = [f"{name} ({made})" for name, made in self.provenance.files.items()]
        taken = [read for read in self.provenance.read_codes if read.kind]
        doubtful = [read for read in self.provenance.read_codes if not read.kind]
        parts = (
            ("Made of other answers", list(self.provenance.made)),
            ("Set aside", aside),
            ("Taken for non-response", read_code_lines(taken)),
            (
                "In doubt: taken for answers; say under non_response what is none",
                read_code_lines(doubtful),
            ),
            ("Notes on items", notes),
            ("Files (hash)", files),
            ("Citation", [self.citation] if self.citation else []),
            ("Terms", [self.terms] if self.terms else []),
        )
        return lines_under_headings(parts, every_item)


def lines_under_headings(
    parts: Iterable[tuple[str, Sequence[str]]], every_line: bool
) -> RenderableType:
    """Lines under their headings; of each only the first, unless every line is wanted."""
    from rich.text import Text

    text = Text()
    for heading, lines in parts:
        shown = lines if every_line else lines[:MOST_LINES]
        if lines:
            text.append(f"{heading}\n", "bold")
            text.append("".join(f"  {line}\n" for line in shown))
        if len(lines) > len(shown):
            text.append(f"  and {len(lines) - len(shown)} more; --items shows them\n", "dim")
    text.rstrip()
    return text


def read_code_lines(read_codes: Sequence[ReadCode]) -> list[str]:
    """A line for each code that was taken for non-response or is in doubt, with its columns."""
    names: dict[tuple[str, str, str, str], list[str]] = {}
    for read in read_codes:
        names.setdefault((read.code, read.label, read.kind, read.why), []).append(read.name)
    lines = []
    for (code, label, kind, why), where in names.items():
        labelled = f' "{label}"' if label else ""
        taken = f"{kind} ({why})" if kind else why
        lines.append(f"{code}{labelled}: {taken}; in {first_names(where)}")
    return lines


def inspect(survey: Survey) -> Inspection:
    """Count what a survey holds. Permuting its rows changes nothing."""
    weights = survey.weights
    differences = tuple(differences_by_group(survey))
    return Inspection(
        title=survey.codebook.title,
        respondents=survey.responses.height,
        weight_variable=survey.provenance.weight_variable,
        n_eff=effective_sample_size(weights),
        design_effect=design_effect(weights),
        demographics=tuple(
            _demographic(survey.responses[name]) for name in survey.codebook.demographics
        ),
        items=tuple(_item(item, survey.responses[item.id]) for item in survey.codebook.items),
        groups=group_summaries(survey, differences),
        differences=differences,
        provenance=survey.provenance,
        citation=survey.codebook.citation,
        terms=survey.codebook.terms,
        content_hash=survey.content_hash,
    )


def _demographic(column: pl.Series) -> DemographicSummary:
    known = column.drop_nulls()
    counts = sorted(known.value_counts().iter_rows(), key=lambda row: (-row[1], row[0]))
    numbers = known.cast(pl.Float64, strict=False)
    are_numbers = bool(counts) and numbers.null_count() == 0
    return DemographicSummary(
        name=column.name,
        values={str(value): int(count) for value, count in counts},
        unknown=column.null_count(),
        lowest=float(str(numbers.min())) if are_numbers else None,
        highest=float(str(numbers.max())) if are_numbers else None,
    )


def _item(item: Item, positions: pl.Series) -> ItemSummary:
    counts = dict(positions.value_counts().iter_rows())
    return ItemSummary(
        id=item.id,
        question=item.question,
        options=len(item.options),
        ordered=item.ordered,
        topic=item.topic,
        battery=item.battery,
        note=item.note,
        answered=sum(n for code, n in counts.items() if code >= 0) / positions.len(),
        non_response={
            kind.label: counts[int(kind)] / positions.len()
            for kind in NonResponse
            if int(kind) in counts
        },
    )


def _values(summary: DemographicSummary) -> str:
    if summary.is_range:
        return f"{summary.lowest:g} to {summary.highest:g}"
    shown = [
        f"{value} ({count:,})" for value, count in [*summary.values.items()][:MOST_VALUES_SHOWN]
    ]
    more = len(summary.values) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _share(share: float) -> str:
    if 0 < share < 0.0005:
        return "<0.1%"
    return f"{share:.1%}" if share else ""
