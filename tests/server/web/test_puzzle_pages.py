"""The puzzle before joining without an invitation: by the page, without scripts, and by the API."""

import re
from pathlib import Path
from typing import Any

import pytest

from suffrage.server.store import consultations, invitations, participants
from suffrage.server.store.puzzles import Puzzle, solve_puzzle
from tests.server.browser import served, visitor
from tests.server.page_copies import Inspector
from tests.server.site import Site, consultation, site

BITS = 8


@pytest.fixture
def here(tmp_path: Path) -> Site:
    made = site(tmp_path)
    consultation(made.store, proof_of_work=BITS)
    return made


def people(here: Site) -> int:
    what = consultations.find_consultation(here.store, "water")
    return len(participants.list_participants(here.store, what.id))


def puzzle_of(page: str) -> Puzzle:
    found = re.search(r'data-mark="(\w+)" data-zero-bits="(\d+)" data-parts="16"', page)
    text = re.search(r'name="puzzle" value="([^"]+)"', page)
    assert found and text
    return Puzzle(text.group(1), found.group(1), int(found.group(2)))


def test_without_a_solution_the_page_comes_back_with_another_puzzle(here: Site) -> None:
    browser = here.browser()
    first = browser.get("/c/water/join")
    assert "<noscript>" in first.text and "council@example.org" in first.text
    again = browser.send("/c/water/join")
    assert again.status_code == 403 and "has not solved the puzzle" in again.text
    assert puzzle_of(again.text).mark != puzzle_of(first.text).mark
    assert people(here) == 0


def test_with_the_solution_a_person_joins_by_the_page_once(here: Site) -> None:
    solution = ""
    for status in (200, 403):
        browser = here.browser()
        puzzle = puzzle_of(browser.get("/c/water/join").text)
        proof = solve_puzzle(puzzle)
        solution = solution or proof.solution
        # The second browser sends the first one's solution.
        given = browser.send("/c/water/join", puzzle=proof.puzzle, solution=solution)
        assert given.status_code == status
    assert people(here) == 1


def test_an_invitation_needs_no_puzzle(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    token = invitations.create_invitations(here.store, what.id, 1, "tests")[0]
    browser = here.browser()
    assert "puzzle" not in browser.get(f"/c/water/join?t={token}").text
    assert browser.send("/c/water/join").status_code == 200
    assert people(here) == 1


def test_without_the_setting_no_page_and_no_call_speaks_of_a_puzzle(tmp_path: Path) -> None:
    made = site(tmp_path)
    consultation(made.store)
    browser = made.browser()
    assert "puzzle" not in browser.get("/c/water/join").text
    told = browser.client.get("/api/v1/c/water/puzzle").json()
    assert told["puzzle"] is None
    assert browser.client.post("/api/v1/c/water/session", json={}).status_code == 201


def test_programs_solve_a_puzzle_too(here: Site) -> None:
    client = here.browser().client
    refused = client.post("/api/v1/c/water/session", json={})
    assert refused.status_code == 403 and refused.json()["error"]["reason"] == "puzzle"
    told = client.get("/api/v1/c/water/puzzle").json()
    assert told["parts"] == 16
    proof = solve_puzzle(Puzzle(told["puzzle"], told["mark"], told["zero_bits"]))
    sent = {"puzzle": proof.puzzle, "solution": proof.solution}
    codes = [client.post("/api/v1/c/water/session", json=sent).status_code for _ in range(2)]
    assert codes == [201, 403]
    assert people(here) == 1


@pytest.mark.slow
def test_a_browser_solves_it_and_goes_on_by_itself_when_start_was_pressed_before(
    chromium: Any, here: Site
) -> None:
    with served(here.app) as url:
        page = visitor(chromium, url)
        inspector = Inspector(page, "en")
        held: list[Any] = []
        page.route("**/puzzle-worker.js", lambda route: held.append(route))
        page.goto("/c/water/join")
        inspector.look("join-puzzle")
        page.click("button.start")
        page.wait_for_selector("text=One moment. Your browser is solving the puzzle")
        assert page.url.endswith("/join")
        held[0].continue_()
        page.wait_for_url("**/consent")
        assert inspector.found() == ""
    assert people(here) == 1


@pytest.mark.slow
def test_a_browser_that_cannot_solve_it_is_told_by_the_server(chromium: Any, here: Site) -> None:
    with served(here.app) as url:
        page = visitor(chromium, url)
        page.route("**/puzzle-worker.js", lambda route: route.abort())
        page.goto("/c/water/join")
        page.click("button.start")
        page.wait_for_selector("text=Your browser has not solved the puzzle")
    assert people(here) == 0


@pytest.mark.slow
def test_without_scripts_a_browser_says_what_is_missing(chromium: Any, here: Site) -> None:
    with served(here.app) as url:
        page = visitor(chromium, url, java_script_enabled=False)
        page.goto("/c/water/join")
        assert "The puzzle needs JavaScript" in page.inner_text("main")
        page.click("button.start")
        assert "has not solved the puzzle" in page.inner_text("main")
    assert people(here) == 0
