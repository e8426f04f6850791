"""The two pages at the head of a published folder: one for browsers, one for hubs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from suffrage.evaluate.results import MethodFacts, Results
from suffrage.publish.licences import licence_facts
from suffrage.publish.markdown import bullets, front_matter, markdown_section, markdown_table
from suffrage.publish.receipt import ReceiptPart
from suffrage.report.cells import Cell, Table, make_table
from suffrage.report.finding import Finding, finding
from suffrage.report.numbers import NOTHING, thousands, with_interval
from suffrage.report.plain_words import day_in_words
from suffrage.report.rendering import render_page
from suffrage.report.summary import Summary, board_summary
from suffrage.report.tables import fit_figure

INDEX = "index.html"
# What a reader may open, by the file's or folder's name.
CONTENTS = (
    ("report.html", "the report: what was asked, found, and cannot be concluded"),
    ("checkpoints", "the trained models, each with a card and a receipt"),
    ("dataset", "what the populations answered, as tables with standard errors"),
    ("results.json", "everything that the run found, for programs"),
    ("figures.csv", "every figure; differences.csv and answers.csv next to it"),
    ("scoreboard.tex", "the scoreboard for a paper; differences.tex, and scoreboard.md for a page"),
    ("value_sets", "the populations' answers with their resamples; splits next to it"),
    ("records", "what the models were trained on"),
    ("CITATION.cff", "how to cite all this"),
    ("receipt.json", "the SHA-256 of every file, from the survey to the weights"),
)


def _trained_from(part: ReceiptPart) -> str:
    return "consultation" if "consultation" in part.made_from else "survey"


def _checkpoint_rows(
    results: Results, parts: Sequence[ReceiptPart]
) -> list[tuple[str, str, str, str]]:
    """Each checkpoint's place, method, what it learnt from, and fit."""
    records = {part.name: _trained_from(part) for part in parts if part.kind == "records"}
    by_place: dict[str, MethodFacts] = {
        place: method for method in results.methods for place in method.checkpoints
    }
    rows = []
    for part in parts:
        if part.kind != "checkpoint":
            continue
        sources = [records[name] for name in part.made_from if name in records]
        if any(name.startswith("checkpoint ") for name in part.made_from):
            sources.insert(0, "survey")
        learnt = " and ".join(dict.fromkeys(sources)) or NOTHING
        method = by_place.get(part.place)
        figure = fit_figure(results, method.name) if method else None
        label = method.label if method else part.name
        rows.append((part.place, label, learnt, with_interval(figure)))
    return rows


def index_page(
    results: Results, parts: Sequence[ReceiptPart], represents: Sequence[Mapping[str, Any]]
) -> str:
    """The folder's page as HTML; it loads nothing."""
    summary = board_summary(results)
    return render_page(
        "collection.html.j2",
        study=results.study,
        finished=day_in_words(datetime.fromisoformat(results.study.finished).date()),
        summary=summary,
        finding=_lead(summary, finding(results)),
        checkpoints=_checkpoint_rows(results, parts),
        populations=_population_table(represents),
        contents=CONTENTS,
        consultation=any(part.name == "consultation release" for part in parts),
        left_out=[(part.name, part.left_out) for part in parts if part.left_out],
        surveys=results.surveys,
    )


def _population_table(represents: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [
            Cell(own["description"], "" if own["trained_on"] else "not trained on"),
            Cell(thousands(own["n"]) if own["n"] else "not published"),
            Cell(thousands(own["n_eff"]) if own["n_eff"] else NOTHING),
            Cell(own["weighting"]),
        ]
        for own in represents
    ]
    columns = [
        ("Population", False),
        ("Respondents", True),
        ("Effective", True),
        ("Weighting", False),
    ]
    return make_table("How many people answered", columns, rows)


def _lead(summary: Summary | None, found: Finding) -> str:
    """What was found; empty where the verdict above it has said the same."""
    return "" if summary is not None and found.lead == " ".join(summary.because) else found.lead


def _board_verdict(summary: Summary | None) -> list[str]:
    """The question of the report's first page and its answer, in Markdown."""
    if summary is None:
        return []
    return [f"{summary.question} **{summary.verdict}.** {' '.join(summary.because)}", ""]


def collection_card(
    results: Results, parts: Sequence[ReceiptPart], represents: Sequence[Mapping[str, Any]]
) -> str:
    """The folder's card in Markdown, with the front matter that hubs read."""
    found, summary = finding(results), board_summary(results)
    facts = {
        **licence_facts(results.study.model_licence),
        "tags": ["suffrage", "survey", "public-opinion", "values"],
    }
    people = [
        [own["description"], thousands(own["n"]) if own["n"] else "not published", own["weighting"]]
        for own in represents
    ]
    lines = [
        *front_matter(facts),
        f"# {results.study.title}",
        "",
        *_board_verdict(summary),
        *([lead, ""] if (lead := _lead(summary, found)) else []),
        found.rest,
        "",
        *markdown_section(
            "Models",
            markdown_table(
                ["folder", "method", "learnt from", "fit, 95% interval"],
                [
                    [f"[`{place}`]({place}/README.md)", label, learnt, fit]
                    for place, label, learnt, fit in _checkpoint_rows(results, parts)
                ],
            ),
        ),
        *markdown_section(
            "Whose answers these are",
            markdown_table(["population", "respondents", "weights"], people),
        ),
        *markdown_section("What is here", bullets(f"`{name}`: {what}." for name, what in CONTENTS)),
        *markdown_section(
            "What was left out",
            bullets(f"{part.name}: {part.left_out}." for part in parts if part.left_out),
        ),
        *markdown_section(
            "Check it",
            "`suffrage verify FOLDER` compares every file with `receipt.json`. Give it `--seal` "
            "and the seal that the publisher named elsewhere, such as in a paper: only that shows "
            "whether somebody replaced the receipt. The program is Suffrage, which also trained "
            "and evaluated the models.",
        ),
        *markdown_section("What this cannot show", bullets(results.limits)),
    ]
    return "\n".join(lines).rstrip() + "\n"
