"""Pages cut once for everybody are, filled, the very pages that the template gives."""

from dataclasses import replace
from pathlib import Path

import pytest

from suffrage.server.store import consultations, participants, statements
from suffrage.server.store.exposures import Exposure
from suffrage.server.store.sittings import Block, Sitting
from suffrage.server.web import voting_pages as pages
from suffrage.server.web.stencils import MOST, Stencil, Stencils, mark
from tests.server.site import Site, consultation, site

NASTY = "<b>&amp; \"'</b> \ue000csrf\ue001 %(done)s {{ 7*7 }}"


@pytest.fixture
def here(tmp_path: Path) -> Site:
    made = site(tmp_path / "store")
    consultation(made.store)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("recorded", ["", "0123456789abcdef"])
@pytest.mark.parametrize("language", ["en", "mi"])
@pytest.mark.parametrize("seed", [True, False])
def test_a_filled_page_is_the_whole_page(
    here: Site, monkeypatch: pytest.MonkeyPatch, recorded: str, language: str, seed: bool
) -> None:
    what = consultations.find_consultation(here.store, "water")
    first = statements.list_statements(here.store, what.id)[0]
    exposure = Exposure(
        "e" * 16, "p", "vote", first.id, None, None, False, None, "x", 0.5, 3, 4, None
    )
    seen: list[tuple[str, str]] = []
    ways = pages._vote_page

    def both(v, standing, mine=None):  # type: ignore[no-untyped-def]
        for text in (first.text, NASTY):
            for done in (0, 11):
                shown = replace(
                    standing,
                    exposure=exposure,
                    statement=replace(first, text=text, seed=seed),
                    translation=None,
                    sitting=Sitting(done, bool(recorded), Block("b", 5 + done, 6)),
                    recorded=recorded,
                )
                cut, whole = ways(v, shown), pages._whole_vote_page(v, shown, None)
                assert cut.body == whole.body and cut.raw_headers == whole.raw_headers
                seen.append((text, cut.body.decode()))
        return ways(v, standing, mine)

    monkeypatch.setattr(pages, "_vote_page", both)
    visitor = here.browser().join()
    visitor.get(f"/c/water/vote?lang={language}")
    assert len(seen) == 4 and all("<b>" not in page for _, page in seen)
    assert {f'lang="{language}"' in page for _, page in seen} == {True}


@pytest.mark.slow
def test_a_changed_consultation_has_a_page_of_its_own_at_once(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    visitor, other = here.browser().join(), here.browser().join()
    assert "Talking about water" in visitor.get("/c/water/vote").text
    consultations.set_texts(here.store, what.id, {"en": "Rivers"}, what.question, "tests")
    for browser in (visitor, other):
        page = browser.get("/c/water/vote").text
        assert "Rivers" in page and "Talking about water" not in page
    consultations.set_settings(here.store, what.id, {"minutes": 99}, "tests")
    assert "About 99 minutes" in visitor.get("/c/water/vote").text
    consultations.set_phase(here.store, what.id, "closed", "tests")
    assert "This consultation has closed" in visitor.get("/c/water/vote").text
    assert participants.count_participants(here.store, what.id)["joined"] == 2


@pytest.mark.slow
def test_nobody_gets_the_token_or_statement_of_another(here: Site) -> None:
    visitors = [here.browser().join() for _ in range(3)]
    for visitor in visitors:
        visitor.get("/c/water/vote")
    assert len({v.hidden["csrf"] for v in visitors}) == 3
    assert len({v.hidden["exposure"] for v in visitors}) == 3


def test_values_are_escaped_and_put_nowhere_but_in_holes() -> None:
    stencil = Stencil.cut(f"<p>{mark('text')}</p><i>{mark('none')}{mark('text')}</i>")
    assert stencil.filled(text=f"<{mark('text')}>") == (
        f"<p>&lt;{mark('text')}&gt;</p><i>&lt;{mark('text')}&gt;</i>"
    )


def test_only_so_many_stencils_are_kept(here: Site) -> None:
    what, kept, made = consultations.find_consultation(here.store, "water"), Stencils(), []
    for kind in [*range(MOST + 1), 0, MOST]:
        kept.of(what, kind, lambda: made.append(1) or "page")  # type: ignore[func-returns-value]
    assert len(made) == MOST + 2  # the first was forgotten, the last was not
