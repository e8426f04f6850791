"""Predictions on record are added by their hash, and scored on the results page after the end."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from sqlalchemy import insert, select
from typer.testing import CliRunner

from suffrage.cli import app as commands
from suffrage.errors import InputError
from suffrage.evaluate.recorded_predictions import PredictedGroup, PredictedVotes
from suffrage.server.predictions import add_predictions, compare_predictions, shown_predictions
from suffrage.server.store import audit, consultations, statements
from suffrage.server.store import database_schema as schema
from suffrage.server.store.demographics import person_key
from suffrage.server.store.stored_predictions import PREDICT, list_predictions
from suffrage.server.store.stored_results import newest_results
from suffrage.server.store.withdrawals import withdraw_participant
from suffrage.server.watcher import recompute
from tests.server.browser import no_sideways, picture, served, visitor
from tests.server.site import Site, consultation, crowd, site

PEOPLE = 40
SHARES = (0.7, 0.2, 0.1)
GROUPS = (
    PredictedGroup(name="everyone", description="people"),
    PredictedGroup(name="<b>young</b>", description="young people", where={"age": "18-39"}),
)


class Town:
    """A consultation with results, of whose people every second one is young."""

    def __init__(self, folder: Path) -> None:
        self.made: Site = site(folder)
        self.store = self.made.store
        # Few statements tell little: identifiers are drawn anew, and with them the resamples.
        settings = {"results": "everyone", "least_people": 5, "batch": 5}
        self.what = consultation(self.store, count=30, **settings)
        self.people = crowd(self.store, self.what, PEOPLE)
        rows = [
            {
                "consultation_id": self.what.id,
                "person_key": person_key(self.store, self.what.id, id),
                "item": "age",
                "value": "18-39" if n % 2 else "40+",
            }
            for n, id in enumerate(self.people)
        ]
        with self.store.write() as c:
            c.execute(insert(schema.demographic), rows)
        listed = statements.list_statements(self.store, self.what.id, ["accepted"])
        self.texts = {s.id: s.text for s in listed}

    def predictions(self, **more: Any) -> PredictedVotes:
        """Predictions that say the same of every statement."""
        content = {
            "consultation": "water",
            "model": "m",
            "votes_before": 0,
            "groups": GROUPS,
            "statements": self.texts,
            "shares": {group.name: dict.fromkeys(self.texts, SHARES) for group in GROUPS},
            **more,
        }
        return PredictedVotes.model_validate(content)

    def record(self, said: PredictedVotes, votes_before: int = 7) -> None:
        """Put predictions on record as the command does."""
        detail = {"hash": said.content_hash, "votes_before": votes_before}
        with self.store.write() as c:
            audit.append_entry(c, self.what.id, "command line", PREDICT, "m", detail)

    def close(self) -> None:
        consultations.set_phase(self.store, self.what.id, "closed", "tests")
        self.what = consultations.find_consultation(self.store, "water")
        assert recompute(self.store, self.what, resamples=3)

    def votes(self) -> Mapping[str, dict[str, int]]:
        """Every person's votes, by statement."""
        found: dict[str, dict[str, int]] = {}
        v = schema.vote.c
        with self.store.read() as c:
            for person, statement, value in c.execute(
                select(v.participant_id, v.statement_id, v.value)
            ):
                found.setdefault(person, {})[statement] = value
        return found

    def shown(self) -> dict[str, Any]:
        step = newest_results(self.store, self.what.id, "participants")
        assert step is not None
        return shown_predictions(self.store, self.what, step.version)


def text_of(said: PredictedVotes) -> str:
    return json.dumps({**said.model_dump(mode="json"), "hash": said.content_hash})


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path / "store")


def counted(town: Town, people: list[str]) -> tuple[float, float, float]:
    """Right side, fit and the even vote's fit by plain counting."""
    votes, right, fits, even = town.votes(), [], [], []
    for statement in town.texts:
        count = Counter(votes[person][statement] for person in people)
        shares = np.array([count[1], count[-1], count[0]]) / len(people)
        right.append(count[1] / (count[1] + count[-1]))
        fits.append(1 - jensenshannon(shares, SHARES, base=2))
        even.append(1 - jensenshannon(shares, (1 / 3, 1 / 3, 1 / 3), base=2))
    return float(np.mean(right)), float(np.mean(fits)), float(np.mean(even))


@pytest.mark.slow
def test_the_results_page_shows_scores_of_plain_counting_once_voting_has_ended(town: Town) -> None:
    said = town.predictions()
    town.record(said)
    add_predictions(town.store, town.what, text_of(said), "tests")
    assert recompute(town.store, town.what, resamples=3)
    compare_predictions(town.store, town.what)
    reader = town.made.browser()
    assert "What a model predicted" not in reader.get("/c/water/results").text
    assert "predicted" not in reader.get("/c/water/results.json").json()
    town.close()
    compare_predictions(town.store, town.what)
    page = reader.get("/c/water/results").text
    assert "when 7 votes had been cast" in page and "What a model predicted" in page
    assert "&lt;b&gt;young&lt;/b&gt;" in page and "<b>young</b>" not in page
    (one,) = reader.get("/c/water/results.json").json()["predicted"]["scored"]
    assert one["hash"] == said.content_hash and one["statements"] == len(town.texts)
    for row, people in zip(one["groups"], (town.people, town.people[1::2]), strict=True):
        right, fit, even = counted(town, people)
        assert row["right"] == pytest.approx(right, abs=1e-4)
        assert row["fit"] == pytest.approx(fit, abs=1e-4)
        assert row["even"] == pytest.approx(even, abs=1e-4)
        assert f"<td>{100 * row['fit']:.0f}%</td><td>{100 * row['even']:.0f}%</td>" in page


@pytest.mark.parametrize("verdict", ["closer", "further", "alike"])
@pytest.mark.slow
def test_the_verdict_is_that_of_the_difference_from_the_even_vote(town: Town, verdict: str) -> None:
    """The votes themselves, that everybody passes, and the even vote as predictions."""
    votes = town.votes()
    shares = {}
    for statement in town.texts:
        agree = float(np.mean([votes[person][statement] == 1 for person in town.people]))
        kinds = {
            "closer": (agree, 1 - agree, 0.0),
            "further": (0.0, 0.0, 1.0),
            "alike": (1 / 3, 1 / 3, 1 / 3),
        }
        shares[statement] = kinds[verdict]
    said = town.predictions(shares={group.name: shares for group in GROUPS})
    town.record(said)
    town.close()
    add_predictions(town.store, town.what, text_of(said), "tests")
    (one,) = town.shown()["scored"]
    assert one["against_even"] == verdict


def test_what_is_not_on_record_is_refused_with_what_to_do(town: Town) -> None:
    said = town.predictions()
    add = lambda text: add_predictions(town.store, town.what, text, "tests")  # noqa: E731
    with pytest.raises(InputError, match=f"does not contain the hash.*{said.content_hash}.*choose"):
        add(text_of(said))
    town.record(said)
    with pytest.raises(InputError, match="was changed after they were written; choose"):
        add(text_of(said).replace("0.7", "0.6", 1))
    with pytest.raises(InputError, match="does not contain predictions"):
        add("[1]")
    other = town.predictions(consultation="fire")
    town.record(other)
    with pytest.raises(InputError, match="consultation “fire”; choose"):
        add(text_of(other))
    assert list_predictions(town.store, town.what.id) == []
    add(text_of(said))
    with pytest.raises(InputError, match="added before"):
        add(text_of(said))
    entries = audit.list_entries(town.store, town.what.id, action="predictions.add")
    assert [entry.detail["hash"] for entry in entries] == [said.content_hash]


@pytest.mark.slow
def test_predictions_that_were_left_out_are_counted(town: Town) -> None:
    said = town.predictions()
    town.record(said)
    town.record(town.predictions(model="another"))
    town.close()
    add_predictions(town.store, town.what, text_of(said), "tests")
    assert town.shown()["others"] == 1
    assert "1 more prediction is on record" in town.made.browser().get("/c/water/results").text


@pytest.mark.slow
def test_scores_go_with_the_step_and_its_people_and_without_texts_that_went_away(
    town: Town,
) -> None:
    said = town.predictions()
    town.record(said)
    town.close()
    add_predictions(town.store, town.what, text_of(said), "tests")
    first = town.shown()["scored"][0]
    with town.store.write() as c:
        gone = next(iter(town.texts))
        c.execute(schema.statement.update().where(schema.statement.c.id == gone).values(text="?"))
    withdraw_participant(town.store, town.what.id, town.people[3])
    compare_predictions(town.store, town.what)
    assert town.shown()["scored"] == [first], "until the step is replaced"
    assert recompute(town.store, town.what, resamples=3)
    assert town.shown() == {}
    compare_predictions(town.store, town.what)
    second = town.shown()["scored"][0]
    assert second["statements"] == first["statements"] - 1
    del town.texts[gone]
    step = newest_results(town.store, town.what.id, "participants")
    assert step is not None
    left_out = {*step.result["left_out"], town.people[3]}
    assert len(left_out) == 5
    right, fit, _ = counted(town, [p for p in town.people if p not in left_out])
    assert second["groups"][0]["fit"] == pytest.approx(fit, abs=1e-4)
    assert second["groups"][0]["right"] == pytest.approx(right, abs=1e-4)


@pytest.mark.slow
def test_organisers_add_a_file_and_see_why_it_could_not_be_compared(town: Town) -> None:
    town.made.staff(town.what, "owner")
    browser = town.made.browser()
    browser.log_in()
    path = f"/admin/c/{town.what.id}/settings/predictions"
    groups = [{"name": "tall", "description": "x", "where": {"height": "tall"}}]
    said = town.predictions(groups=groups, shares={"tall": dict.fromkeys(town.texts, SHARES)})

    def add(text: str) -> Any:
        # The first form of the page is the one to sign out, with the same token.
        browser.get(path)
        file = {"file": ("said.json", text, "application/json")}
        return browser.client.post(path, data=browser.hidden, files=file)

    refused = add(text_of(said))
    assert refused.status_code == 422 and said.content_hash in refused.text
    town.record(said)
    added = add(text_of(said))
    assert added.status_code == 200 and "The predictions are added." in added.text
    assert "1 of 1 predictions on record" in added.text
    assert "when voting has ended" in added.text
    town.close()
    compare_predictions(town.store, town.what)
    assert "did not ask height" in browser.get(path).text
    assert "What a model predicted" not in browser.get("/c/water/results").text
    other = town.predictions()
    town.record(other)
    assert "compared with the votes on the results page" in add(text_of(other)).text
    log = browser.get(f"/admin/c/{town.what.id}/audit").text
    assert "Put predictions on record" in log and "Added predictions" in log


@pytest.mark.slow
def test_the_command_adds_what_is_on_record_and_refuses_the_rest(
    town: Town, tmp_path: Path
) -> None:
    said, file = town.predictions(), tmp_path / "said.json"
    said.write(file)

    def run() -> Any:
        where = str(tmp_path / "store")
        return CliRunner().invoke(
            commands, ["consult", "add-predictions", where, "water", str(file)]
        )

    refused = run()
    assert refused.exit_code != 0 and "does not contain the hash" in str(refused.exception)
    town.record(said)
    town.close()
    added = run()
    assert added.exit_code == 0, added.output
    assert "compared with the votes" in added.output
    assert town.shown()["scored"][0]["hash"] == said.content_hash


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["en", "ar"])
def test_the_table_fits_a_telephone(town: Town, chromium: Any, lang: str) -> None:
    said = town.predictions()
    town.record(said)
    town.close()
    add_predictions(town.store, town.what, text_of(said), "tests")
    with served(town.made.app) as url:
        page = visitor(chromium, url)
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(f"/c/water/results?lang={lang}")
            assert page.locator("#predicted").count() == 1
            no_sideways(page)
            picture(page, f"predicted-{lang}-{width}")
        page.context.close()
