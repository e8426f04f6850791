"""The report: one HTML file that opens offline, on a phone, on paper.

Small functions of `Results` in the other modules of this package choose everything the page says;
the template only lays it out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.evaluate.fit import NAME as FIT
from suffrage.evaluate.results import Results
from suffrage.report.ablation import ablation_tables
from suffrage.report.answer_cards import cards_by_value_set
from suffrage.report.behaviour_panels import BEHAVIOUR_PANELS
from suffrage.report.blending_panels import blending_table
from suffrage.report.cells import ABREAST, abreast, fact_pairs
from suffrage.report.costs import asking_table, cost_table
from suffrage.report.evaluations import PANELS, evaluation_sections
from suffrage.report.failures import flattening, made_worse_table, weak_spot_table, worst_item_table
from suffrage.report.finding import finding, is_weighted
from suffrage.report.group_panels import GROUP_PANELS
from suffrage.report.marks import marks_note, per_measure_note
from suffrage.report.mixing_panels import mixing_part
from suffrage.report.overview import (
    MARGIN,
    evaluation_power,
    flag_sentence,
    glance_tables,
    loss_table,
)
from suffrage.report.published_panels import PUBLISHED_PANELS
from suffrage.report.readings import (
    mass_table,
    readout_disagreement_table,
    readout_table,
    readouts_used,
    refused_items,
    written_table,
)
from suffrage.report.regimes import regime_parts
from suffrage.report.rendering import render_page
from suffrage.report.scoreboard import (
    difference_tables,
    left_out_scores,
    plot_caption,
    scoreboard_plot,
    scoreboard_table,
    seed_scores,
    value_set_scores,
)
from suffrage.report.self_feedback import feedback_parts
from suffrage.report.starts import results_start_sentences
from suffrage.report.summary import board_summary
from suffrage.report.tables import by_kind
from suffrage.report.training_journals import journal_tiles
from suffrage.report.vote_panels import VOTE_PANELS
from suffrage.report.who_was_asked import (
    item_counts,
    item_table,
    study_facts,
    value_set_table,
)

# What Suffrage's own evaluations draw; another package adds to `PANELS` in the same way.
PANELS.update(BEHAVIOUR_PANELS | GROUP_PANELS | PUBLISHED_PANELS | VOTE_PANELS)


def write_report(results: Results, path: Path) -> None:
    """Write the report as one self-contained HTML file, all or nothing."""
    storage.write_page(path, render_report(results))


def render_report(results: Results) -> str:
    """The report as HTML; it loads nothing from outside itself."""
    return render_page("report.html.j2", **_sections(results))


def _sections(results: Results) -> dict[str, Any]:
    """Everything the template needs, by the name it has there."""
    disagreed = readout_disagreement_table(results)
    return {
        "r": results,
        "summary": board_summary(results),
        "finding": finding(results),
        "weighted": is_weighted(results),
        "set_aside": [aside for survey in results.surveys for aside in survey.set_aside],
        "facts": study_facts(results),
        "starts": results_start_sentences(results),
        "value_sets": value_set_table(results),
        "items": item_table(results),
        "item_counts": item_counts(results),
        "plot_data": scoreboard_plot(results),
        "plot_caption": plot_caption(results),
        "scoreboard": scoreboard_table(results),
        "glance": glance_tables(results),
        "flags": flag_sentence(results),
        "losses": loss_table(results),
        "margin": f"{MARGIN:g}",
        "per_measure": per_measure_note(results),
        "fit_power": " ".join(evaluation_power(results, FIT)),
        "fit_cannot_show": next((e.cannot_show for e in results.evaluations if e.name == FIT), ""),
        "evaluations": evaluation_sections(results),
        "regimes": regime_parts(results),
        "mixing": mixing_part(results),
        "blending": blending_table(results),
        "ablations": ablation_tables(results),
        "left_out": left_out_scores(results),
        "by_value_set": value_set_scores(results),
        "by_seed": seed_scores(results),
        "differences": difference_tables(results, results.main_side),
        "trained_differences": (None, None)
        if results.main_side == "trained"
        else difference_tables(results, "trained"),
        "methods": [(method, fact_pairs(method.settings)) for method in by_kind(results)],
        "cards": cards_by_value_set(results),
        "readouts": readout_table(results),
        "readout_marks": marks_note(results, readouts_used(results)).strip(),
        "masses": mass_table(results),
        "written": written_table(results),
        "disagreements": abreast(disagreed, ABREAST) if disagreed else [],
        "refused": refused_items(results),
        "weak_spots": weak_spot_table(results),
        "flattening": flattening(results),
        "worst_items": worst_item_table(results),
        "made_worse": made_worse_table(results),
        "costs": cost_table(results),
        "asking": asking_table(results),
        "journals": journal_tiles(results),
        "feedback": feedback_parts(results),
        "held_out_rule": fact_pairs(results.held_out),
        "machine": fact_pairs(results.study.machine),
        "versions": fact_pairs(results.study.versions),
    }
