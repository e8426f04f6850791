"""What the evaluations of groups draw: its words and a table have every number of a picture."""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree

import pytest

from suffrage.evaluate import Scorecard, equity, robustness, steerability, structure
from suffrage.evaluate.results import (
    EvaluationFacts,
    ItemFacts,
    MethodFacts,
    Results,
    ValueSetFacts,
)
from suffrage.report.group_panels import GROUP_PANELS
from suffrage.report.heat_map import heat_map, tiles
from suffrage.report.page import render_report
from tests.evaluate.trial import all_held_out, impostors, survey, tried, value_sets
from tests.impostors import Impostor, people

from .example_results import example_results

pytestmark = pytest.mark.slow

EVALUATIONS = (steerability, equity, robustness, structure)
LABELS = {"base": "Untrained", "knows": "Knows <the> people", "parrot": "Majority parrot"}


def group_results(models: dict[str, Impostor] | None = None) -> Results:
    """Results of the four evaluations on impostors, in a page otherwise made up."""
    of = survey(900, 8)
    sets = value_sets(of)
    chosen = models or {name: m for name, m in impostors(sets).items() if name in LABELS}
    cards: dict[str, Scorecard] = {
        e.NAME: tried(e.EVALUATION, chosen, sets, all_held_out(of)) for e in EVALUATIONS
    }
    known = example_results()
    untrained = next(m for m in known.methods if m.kind == "untrained")
    return known.model_copy(
        update={
            "methods": [
                *known.methods,
                *(
                    MethodFacts(
                        name=name,
                        label=LABELS.get(name, name),
                        kind="untrained",
                        explanation=untrained.explanation,
                    )
                    for name in chosen
                    if name not in {m.name for m in known.methods}
                ),
            ],
            "value_sets": [
                ValueSetFacts(
                    name=v.name,
                    description=v.description,
                    where=dict(v.where),
                    n=v.n,
                    n_eff=v.n_eff,
                    design_effect=1.0,
                    weighting="",
                    set_aside=[],
                    pooled_items={},
                )
                for v in sets
            ]
            + known.value_sets,
            "items": [
                *known.items,
                *(
                    ItemFacts(
                        id=i.id,
                        question=i.question,
                        options=list(i.texts),
                        ordered=True,
                        topic=None,
                        battery=None,
                        note=None,
                        cluster=i.id,
                        side=known.items[0].side,
                    )
                    for i in of.codebook.items
                ),
            ],
            "evaluations": [
                *known.evaluations,
                *(
                    EvaluationFacts(
                        name=e.NAME,
                        question=e.EVALUATION.question,
                        cannot_show=e.EVALUATION.cannot_show,
                        measures=list(e.EVALUATION.measures),
                        notes=list(cards[e.NAME].notes),
                        details=dict(cards[e.NAME].details),
                    )
                    for e in EVALUATIONS
                ),
            ],
            "figures": [*known.figures, *(f for card in cards.values() for f in card.figures)],
            "figure_differences": [
                *known.figure_differences,
                *(f for c in cards.values() for f in c.figure_differences),
            ],
        }
    )


@pytest.fixture(scope="module")
def results() -> Results:
    return group_results()


def panels(results: Results, name: str):  # type: ignore[no-untyped-def]
    facts = next(e for e in results.evaluations if e.name == name)
    return GROUP_PANELS[name](results, facts)


@pytest.mark.parametrize("name", list(GROUP_PANELS))
def test_every_picture_is_sound_markup_with_words_for_it(results: Results, name: str) -> None:
    drawn = [p for p in panels(results, name) if p.markup]
    assert drawn
    for panel in drawn:
        root = ElementTree.fromstring(panel.markup)
        pictures = root.findall(".//svg")
        assert pictures and all(p.get("role") == "img" and p.get("aria-label") for p in pictures)
        assert panel.text and panel.tables and panel.folded


def test_every_number_of_a_heat_map_stands_in_its_words_and_its_table(results: Results) -> None:
    for name in ("steerability", "equity", "robustness"):
        for panel in panels(results, name):
            if not panel.markup:
                continue
            (picture,) = ElementTree.fromstring(panel.markup).findall(".//svg")
            label = str(picture.get("aria-label"))
            cells = [
                "".join(text.itertext())
                for text in picture.findall("text")
                if text.get("class") == "value"
            ]
            in_table = {cell.text for table in panel.tables for row in table.rows for cell in row}
            assert len(cells) >= 4
            assert all(cell in label and cell in in_table for cell in cells)


def test_the_page_holds_the_sections_with_names_escaped(results: Results) -> None:
    page = render_report(results)
    for evaluation in EVALUATIONS:
        assert html.escape(evaluation.EVALUATION.question) in page
        assert f'id="{evaluation.NAME}"' in page
    assert "Knows <the> people" not in page and "Knows &lt;the&gt; people" in page
    assert len(re.findall(r'class="heat', page)) >= 5


def test_the_groups_own_name_is_framed_and_who_is_served_least_too(results: Results) -> None:
    names = panels(results, "steerability")[-1].markup
    assert names.count('class="framed"') == 12
    assert panels(results, "equity")[-1].markup.count('class="framed"') == 3


def test_a_model_that_gives_nothing_away_draws_nothing() -> None:
    of = survey(300, 6)
    alone = value_sets(of)[:1]
    card = tried(
        steerability.EVALUATION, {"m": people(alone, lambda s: s)}, alone, all_held_out(of)
    )
    facts = EvaluationFacts(
        name="steerability", question="", cannot_show="", measures=[], details=dict(card.details)
    )
    assert GROUP_PANELS["steerability"](example_results(), facts) == []


def test_colours_follow_the_sign_and_stop_at_the_reach() -> None:
    markup = heat_map(["a"], ["x", "y", "z"], [[0.1, -0.4, None]], [["1", "2", "–"]], 0.2, "words")
    found = re.findall(r'class="(up|down|none)"(?: fill-opacity="([\d.]+)")?', markup)
    assert found == [("up", "0.30"), ("down", "0.60"), ("none", "")]


def test_long_names_are_broken_and_cut_and_never_widen_the_picture() -> None:
    long = "the respondents of a survey with an extraordinarily long name that goes on and on"
    markup = heat_map([long], [long], [[1.0]], [["1"]], 1.0, "words")
    lines = re.findall(r"<tspan[^>]*>([^<]*)", markup)
    assert all(len(line) <= 19 for line in lines) and any(line.endswith("…") for line in lines)
    assert "&lt;" in tiles([("<b>", [[1.0]])], "w")
