"""What `suffrage profile` shows: one population's answers, or where two differ most."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.plurals import plural
from suffrage.population import AnswerDistribution, ValueSet
from suffrage.population.comparison import ItemComparison, compare_value_sets
from suffrage.report.rendering import render_page
from suffrage.survey.group_differences import cautions

BAR_WIDTH = 24
OPTION_WIDTH = 40
# How many of the questions that differ most the page lists before showing all.
MOST = 10


def profile_json(first: ValueSet, other: ValueSet | None = None) -> dict[str, Any]:
    """The value set, or the comparison, for scripts."""
    facts: dict[str, Any] = {
        "value_set": first.name,
        "description": first.description,
        "n": first.n,
        "n_eff": first.n_eff,
        "design_effect": first.design_effect,
        "weighting": first.weighting,
        "set_aside": list(first.set_aside),
        "pooled": {item: d.pooled for item, d in first.distributions.items() if d.pooled},
    }
    if other is None:
        shares = first.table().to_dicts()
        ends = {item: first.intervals(item) for item in first.distributions}
        for row in shares:
            lows, highs = ends[row["item"]]
            row["low"] = float(lows[row["position"]])
            row["high"] = float(highs[row["position"]])
            effective = first.distributions[row["item"]].effective_answers
            row["effective_answers"] = effective if first.degrees_of_freedom != 0 else math.nan
        return {**facts, "shares": shares}
    marked = cautions([d.item for d in first.distributions.values()])
    rows = [
        {**row.__dict__, "caution": marked.get(row.item_id)}
        for row in compare_value_sets(first, other)
    ]
    return {**facts, "against": other.name, "items": rows}


def profile_table(value_set: ValueSet) -> Any:
    """One population's answers as bars, for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    longest = max(len(text) for item in value_set.items for text in item.texts)
    parts: list[Any] = [Text(heading(value_set), style="bold")]
    for distribution in value_set.distributions.values():
        item = distribution.item
        table = PlainTable(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(overflow="fold", width=min(longest, OPTION_WIDTH) + 2)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, width=BAR_WIDTH)
        lows, highs = value_set.intervals(item.id)
        for text, share, low, high in zip(
            item.texts, distribution.shares, lows, highs, strict=True
        ):
            bar = "█" * round(share * BAR_WIDTH)
            span = f"{_percent(share):>4}  {_span(low, high)}".rstrip()
            table.add_row(f"  {text}", span, Text(bar, style="blue"))
        parts += [Text(f"\n{item.id}  {item.question}"), table]
        parts.append(Text(f"  {_footing(value_set, distribution)}", style="dim"))
    if _has_intervals(value_set):
        explained = f"In brackets: 95% intervals, {_intervals_from(value_set)}."
    else:
        explained = f"{_why_no_intervals(value_set)}."
    parts.append(Text(f"\n{explained}", style="dim"))
    if value_set.set_aside:
        parts.append(Text(f"\nSet aside: {'; '.join(value_set.set_aside)}", style="dim"))
    return Group(*parts)


def heading(value_set: ValueSet) -> str:
    """Who this is, and how many."""
    pooled = [d.pooled for d in value_set.distributions.values() if d.pooled]
    drawn = (
        f" {len(pooled)} of {len(value_set.distributions)} items are drawn toward the parent "
        f"population, with a weight on it of {min(pooled):.0%} to {max(pooled):.0%}."
        if pooled
        else ""
    )
    if math.isnan(value_set.n_eff):
        return (
            f"{value_set.name}: {value_set.description}. How many respondents there are is not "
            f"known; {value_set.weighting}."
        )
    return (
        f"{value_set.name}: {value_set.description}. {plural(value_set.n, 'respondent', ',')}, "
        f"effective {value_set.n_eff:,.0f} (design effect {value_set.design_effect:.2f}); "
        f"{value_set.weighting}.{drawn}"
    )


NO_INTERVALS = "No intervals, because the table does not say how many people answered"
ONE_UNIT = (
    "No intervals, because all respondents are in one sampling unit: nothing tells how much units "
    "differ"
)


def _has_intervals(value_set: ValueSet) -> bool:
    """Whether any item has intervals.

    Those of a published table without n have none, and those of a single sampling unit.
    """
    return value_set.degrees_of_freedom != 0 and any(
        not math.isnan(d.n_eff) for d in value_set.distributions.values()
    )


def _why_no_intervals(value_set: ValueSet) -> str:
    return ONE_UNIT if value_set.degrees_of_freedom == 0 else NO_INTERVALS


def _intervals_from(value_set: ValueSet) -> str:
    """What the intervals of shares are made from, in words."""
    if value_set.degrees_of_freedom is None:
        return "from weighted errors, with respondents taken as independent"
    return (
        "from the errors of the sampling design, with Student's t for "
        f"{plural(value_set.degrees_of_freedom, 'degree', ',')} of freedom"
    )


def _span(low: float, high: float) -> str:
    """An interval in brackets; empty where there is none."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"({_percent(low)} to {_percent(high)})"


def _footing(value_set: ValueSet, distribution: AnswerDistribution) -> str:
    """How many answered an item, and how many people's worth of evidence that is."""
    known = not math.isnan(distribution.n_eff)
    parts = [
        f"n {distribution.n:,}, effective {distribution.n_eff:,.0f}" if known else "n not known"
    ]
    if value_set.degrees_of_freedom and not distribution.pooled:
        parts[0] += f" by weights, {distribution.effective_answers:,.0f} by weights and design"
    silent = {kind: share for kind, share in distribution.non_response.items() if share > 0}
    parts += [f"{kind} {share:.1%}" for kind, share in silent.items()]
    if distribution.pooled:
        parts.append(f"weight of the parent population {distribution.pooled:.0%}")
    return ", ".join(parts)


def comparison_table(first: ValueSet, second: ValueSet) -> Any:
    """Where two populations differ most, for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    table = PlainTable(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("Item", no_wrap=True)
    table.add_column("Question", overflow="fold")
    table.add_column("Apart", justify="right")
    table.add_column("95%", justify="right", no_wrap=True)
    table.add_column("Mean", justify="right")
    table.add_column("Clear", justify="center")
    for row in compare_value_sets(first, second):
        item = first.distributions[row.item_id].item
        mean = "" if row.mean_difference is None else f"{row.mean_difference:+.2f}"
        table.add_row(
            f"{row.item_id} *" if item.caution else row.item_id,
            item.question,
            _percent(row.total_variation),
            _interval(row),
            mean,
            _verdict(row),
        )
    marked = cautions([d.item for d in first.distributions.values()])
    warned = [Text(f"\n* {CAUTION}")] if marked else []
    return Group(
        Text(f"{heading(first)}\n{heading(second)}\n", style="bold"),
        table,
        *warned,
        *(Text(f"  {item}: {why}", style="dim") for item, why in marked.items()),
        Text(f"\n{EXPLANATION.format(first=first.name, second=second.name)}", style="dim"),
    )


CAUTION = (
    "A country, wave or mode never used options of these items that the others use: the difference "
    "may come from how they were asked or coded."
)
EXPLANATION = (
    "Apart: the share of either population that would have to answer otherwise (total variation). "
    "Mean: {first} minus {second} on a scale from 0 (first option) to 1 (last). Clear: a "
    "difference after holding the false discovery rate over all questions at 5%."
)


def _intervals_words(shown: list[ValueSet]) -> str:
    """What the intervals of a page's value sets are, in sentences."""
    known = [value_set for value_set in shown if _has_intervals(value_set)]
    if not known:
        return " ".join(dict.fromkeys(f"{_why_no_intervals(one)}." for one in shown))
    sentences = ["Thin lines, and the figures next to them: 95% intervals."]
    for value_set in shown:
        whose = f"Those of {value_set.name}" if len(shown) > 1 else "They"
        if value_set in known:
            sentences.append(f"{whose} come {_intervals_from(value_set)}.")
        else:
            single = value_set.degrees_of_freedom == 0
            why = (
                "its people are all in one sampling unit"
                if single
                else "its table gives no number of people"
            )
            sentences.append(f"{value_set.name} has none: {why}.")
    return " ".join(sentences)


def _percent(share: float) -> str:
    """A share for people, never 0% for something and never 100% for less than all."""
    if 0 < share <= 0.005:
        return "<1%"
    # A sum of all shares may miss 1 by a last bit.
    return ">99%" if 0.995 <= share < 1 - 1e-9 else f"{share:.0%}"


def _verdict(row: ItemComparison) -> str:
    if row.low is None:
        return "unknown"
    return "yes" if row.clear else "no"


def _interval(row: ItemComparison) -> str:
    if row.low is None or row.high is None:
        return "unknown"
    return f"{_percent(row.low)} to {_percent(row.high)}"


def write_profile_page(first: ValueSet, other: ValueSet | None, path: Path) -> None:
    """One self-contained HTML page with every item's answers as bars and their intervals.

    Against another value set, the items that differ most come first.
    """
    comparisons: dict[str, ItemComparison] = (
        {row.item_id: row for row in compare_value_sets(first, other)} if other else {}
    )
    marked = cautions([d.item for d in first.distributions.values()])
    order = list(comparisons) if other else list(first.distributions)
    shown = [first] if other is None else [first, other]
    weighted = any(value_set.design_effect > 1 for value_set in shown)
    cards = [_card(f"item-{i}", item, shown, comparisons.get(item)) for i, item in enumerate(order)]
    explanation = EXPLANATION.format(first=first.name, second=other.name) if other else ""
    if other and marked:
        explanation += f" * {CAUTION}"
    page = render_page(
        "profile.html.j2",
        title=first.name if other is None else f"{first.name} and {other.name}",
        headings=[heading(value_set) for value_set in shown],
        names=[value_set.name for value_set in shown],
        finding=_finding(first, other, list(comparisons.values())) if other else "",
        explanation=explanation,
        shares_are="weighted shares" if weighted else "shares",
        intervals_are=_intervals_words(shown),
        most=[
            _row(card["anchor"], card["question"], row, marked.get(row.item_id))
            for card, row in zip(cards[:MOST], comparisons.values(), strict=False)
        ],
        cards=cards,
        set_aside=[text for value_set in shown for text in value_set.set_aside],
    )
    storage.write_page(path, page)


def _finding(first: ValueSet, other: ValueSet, rows: list[ItemComparison]) -> str:
    """The comparison in one sentence."""
    clear = sum(row.clear for row in rows)
    counted = f"{clear} of {len(rows)} questions" if len(rows) > 1 else "the one question"
    if all(row.low is None for row in rows):
        reason = (
            "All people of a population are in one sampling unit"
            if 0 in (first.degrees_of_freedom, other.degrees_of_freedom)
            else "How many people answered is not published"
        )
        return f"{reason}, so too little is known to tell which differences are more than chance."
    if not clear:
        return f"No clear difference in answers on {counted}."
    most = next(row for row in rows if row.clear)
    question = first.distributions[most.item_id].item.question
    return (
        f"The answers differ clearly on {counted}; on the one where they differ most, "
        f"{_percent(most.total_variation)} of either population would have to answer otherwise "
        f"for the two to agree. It reads: {question}"
    )


def _row(anchor: str, question: str, row: ItemComparison, caution: str | None) -> dict[str, str]:
    """One line of the table of the greatest differences."""
    mean = "no order" if row.mean_difference is None else f"{row.mean_difference:+.2f}"
    return {
        "anchor": anchor,
        "question": question,
        "apart": _percent(row.total_variation),
        "span": _interval(row),
        "mean": mean.replace("-", "\u2212"),
        "verdict": f"{_verdict(row)}{' *' if caution else ''}",
    }


def _card(
    anchor: str, item_id: str, shown: list[ValueSet], comparison: ItemComparison | None
) -> dict[str, Any]:
    item = shown[0].distributions[item_id].item
    bars = [_bars(value_set, item_id) for value_set in shown]
    difference = ""
    if comparison is not None:
        verdict = "a clear difference" if comparison.clear else "no clear difference"
        apart = f"{_percent(comparison.total_variation)} apart"
        difference = (
            f"{apart}; too little is known to tell whether by chance."
            if comparison.low is None
            else f"{apart} (95% interval {_interval(comparison)}), {verdict}."
        )
    return {
        "anchor": anchor,
        "id": item_id,
        "question": item.question,
        "note": f"{item.remarks.rstrip('.')}." if item.remarks else "",
        "difference": difference,
        "options": [
            {"text": text, "bars": option_bars}
            for text, option_bars in zip(item.texts, zip(*bars, strict=True), strict=True)
        ],
        "footings": [_footing(v, v.distributions[item_id]) for v in shown],
    }


def _bars(value_set: ValueSet, item_id: str) -> list[dict[str, Any]]:
    """Each option's bar: widths in per cent of the whole, and the same in words."""
    shares = value_set.distributions[item_id].shares
    return [
        {
            "share": _percent(share),
            "width": round(100 * share, 2),
            "low": None if math.isnan(low) else round(100 * low, 2),
            "high": None if math.isnan(high) else round(100 * high, 2),
            "span": _span(low, high).strip("()"),
        }
        for share, low, high in zip(
            *(ends.tolist() for ends in (shares, *value_set.intervals(item_id))), strict=True
        )
    ]
