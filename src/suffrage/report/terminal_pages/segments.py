"""What `suffrage segment` shows: which segments there are, what marks them, and who is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.plurals import plural
from suffrage.population.segments import (
    TRUSTED_OVERLAP,
    VALID_OVERLAP,
    Mark,
    Segmentation,
    SegmentationCandidate,
    Trait,
    dividing_items,
    marks,
    traits,
)
from suffrage.report.rendering import render_page
from suffrage.survey import Survey

MARKS = 5
TRAITS = 6
BAR_WIDTH = 20


def segments_json(found: Segmentation, survey: Survey) -> dict[str, Any]:
    """The segmentation for scripts."""
    return {
        "rule": found.rule,
        "respondents": len(found.respondents),
        "n_eff": found.model.n_eff,
        "contrast": found.contrast,
        "candidates": [
            {**candidate.__dict__, "trusted": candidate.trusted} for candidate in found.candidates
        ],
        "segments": [
            {
                "name": name,
                "share": float(found.model.shares[place]),
                "marks": [mark.__dict__ for mark in marks(found, place)[:MARKS]],
                "traits": [
                    {**trait.__dict__, "stands_out": trait.stands_out}
                    for trait in traits(found, survey, place)
                ],
            }
            for place, name in enumerate(found.names)
        ],
        "dividing_items": [{"item": item, "bits": bits} for item, bits in dividing_items(found)],
    }


def segments_text(found: Segmentation, survey: Survey) -> Any:
    """The segmentation for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    parts: list[Any] = [Text(_heading(found), style="bold")]
    if len(found.candidates) > 1:
        table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for column in ("Classes", "BIC", "ICL", "Separation", "Smallest", "Weakest overlap"):
            table.add_column(column, justify="right")
        for row in found.candidates:
            chosen = row.classes == len(found.names)
            table.add_row(*_candidate(row).values(), style="bold" if chosen else "")
        parts += [Text(""), table]
    for place, name in enumerate(found.names):
        parts.append(Text(f"\n{name}  {found.model.shares[place]:.0%}", style="bold blue"))
        table = PlainTable(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold", ratio=1)
        table.add_column(no_wrap=True, justify="right")
        for mark in marks(found, place)[:MARKS]:
            item = survey.codebook[mark.item_id]
            table.add_row(
                f"  {mark.item_id}",
                f"“{item.texts[mark.position]}”",
                f"{mark.inside:.0%} against {mark.outside:.0%} in the others",
            )
        parts.append(table)
        standing_out = [trait for trait in traits(found, survey, place) if trait.stands_out]
        if standing_out:
            words = "; ".join(_trait(trait) for trait in standing_out[:TRAITS])
            parts.append(Text(f"  Who: {words}", style="dim"))
    if len(found.names) > 1:
        telling = ", ".join(f"{item} ({bits:.2f})" for item, bits in dividing_items(found)[:6])
        parts.append(Text(f"\nWhat divides them most (bits): {telling}", style="dim"))
    return Group(*parts)


def _heading(found: Segmentation) -> str:
    agreement = (
        ""
        if found.contrast is None
        else f" k-means on correspondence axes agrees by {found.contrast:.2f} "
        "(adjusted Rand index; 1 is the same)."
    )
    counted = plural(len(found.names), "segment")
    return (
        f"{counted} of {len(found.respondents):,} respondents "
        f"(effective {found.model.n_eff:,.0f}); {found.rule}.{agreement}"
    )


def _candidate(row: SegmentationCandidate) -> dict[str, str]:
    weakest = min(row.overlap)
    verdict = "" if row.trusted else " not stable"
    return {
        "classes": str(row.classes),
        "bic": f"{row.bic:,.0f}",
        "icl": f"{row.icl:,.0f}",
        "separation": f"{row.separation:.2f}",
        "smallest": f"{row.smallest_share:.0%}",
        "weakest": f"{weakest:.2f}{verdict}",
    }


def _trait(trait: Trait) -> str:
    return (
        f"{trait.column} {trait.category} {trait.share:.0%} "
        f"({trait.low:.0%} to {trait.high:.0%}; everyone {trait.everyone:.0%})"
    )


def write_segments_page(found: Segmentation, survey: Survey, title: str, path: Path) -> None:
    """One self-contained HTML page: the segments, what marks each, and how many there are."""
    telling = dividing_items(found)
    most = max(bits for _, bits in telling) or 1.0
    page = render_page(
        "segments.html.j2",
        title=title,
        heading=_heading(found),
        trusted=TRUSTED_OVERLAP,
        valid=VALID_OVERLAP,
        candidates=[
            {**_candidate(row), "chosen": row.classes == len(found.names)}
            for row in found.candidates
        ],
        segments=[
            {
                "name": name,
                "share": f"{found.model.shares[place]:.0%}",
                "width": round(100 * float(found.model.shares[place]), 1),
                "marks": [_mark(mark, survey) for mark in marks(found, place)[:MARKS]],
                "traits": [
                    _trait_row(trait) for trait in traits(found, survey, place) if trait.stands_out
                ][:TRAITS],
            }
            for place, name in enumerate(found.names)
        ],
        telling=[
            {
                "id": item,
                "question": survey.codebook[item].question,
                "bits": f"{bits:.2f}",
                "width": round(100 * bits / most, 1),
            }
            for item, bits in telling[:12]
        ],
    )
    storage.write_page(path, page)


def _mark(mark: Mark, survey: Survey) -> dict[str, Any]:
    item = survey.codebook[mark.item_id]
    return {
        "question": item.question,
        "answer": item.texts[mark.position],
        "inside": f"{mark.inside:.0%}",
        "outside": f"{mark.outside:.0%}",
        "inside_width": round(100 * mark.inside, 1),
        "outside_width": round(100 * mark.outside, 1),
    }


def _trait_row(trait: Trait) -> dict[str, Any]:
    return {
        "name": f"{trait.column}: {trait.category}",
        "share": f"{trait.share:.0%}",
        "span": f"{trait.low:.0%} to {trait.high:.0%}",
        "everyone": f"{trait.everyone:.0%}",
    }
