"""One respondent's answer and one participant's vote, walked from where they come in to the end.

Read this to see how the public types hang together; every step is the real one.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

from suffrage.align import TrainingJob
from suffrage.align.distribution import Options, train
from suffrage.evaluate import EvaluationInput, Scoring, collect_answers
from suffrage.evaluate import fit as fit_evaluation
from suffrage.models import LanguageModel, identify
from suffrage.population import build_value_set
from suffrage.server.store.contents import to_consultation
from suffrage.server.store.statements import list_statements
from suffrage.server.store.stored_votes import count_vote_events, votes_by
from suffrage.survey import Survey, read_survey
from suffrage.training_data import HeldOut, RecordSettings, check_nothing_held_out, split_items
from suffrage.training_data.constitution import FROM_CONSULTATION, ConstitutionSettings
from suffrage.training_data.consultation_source import (
    ConsultationSource,
    ConsultationSpec,
    consultation_source,
)
from suffrage.training_data.distribution_records import build_distributions
from suffrage.training_data.from_consultation import build_comparisons
from suffrage.training_data.prompts import build_prompts
from tests.server.site import Site, consultation, site


def town_survey(tmp_path: Path) -> Survey:
    """A file, as a user has it: Ana, of the north, answered 2, "About right", to `roads`."""
    (tmp_path / "town.csv").write_text(
        "who,area,roads,parks,buses\n"
        + "Ana,north,2,1,3\n"
        + "".join(f"n{i},north,{1 + i % 3},{1 + i % 2},{3 - i % 3}\n" for i in range(11))
        + "".join(f"s{i},south,3,3,1\n" for i in range(12))
    )
    items = "".join(
        f"  - {{id: {name}, question: 'Too little, about right, or too much spent on {name}?', "
        "options: {1: Too little, 2: About right, 3: Too much}}\n"
        for name in ("roads", "parks", "buses")
    )
    (tmp_path / "town.yaml").write_text(
        f"title: A town\nrespondent: who\ndemographics: {{area: area}}\nitems:\n{items}"
    )

    settings = {"reader": "labelled_file", "path": "town.csv", "codebook": "town.yaml"}
    return read_survey(settings, tmp_path)


@pytest.mark.slow
def test_one_answer_from_the_file_to_the_scoreboard(tmp_path: Path, tiny_model: Path) -> None:
    # Survey: Ana's answer is now a position among the options, counted from 0.
    survey = town_survey(tmp_path)
    ana = survey.responses.filter(pl.col("respondent") == "Ana")
    assert ana["roads"].item() == 1
    assert survey.codebook["roads"].texts[1] == "About right"

    # ValueSet: she is one of twelve in the north, four of whom gave that answer.
    north = build_value_set(survey, "north", {"area": "north"}, seed=1, description="northerners")
    roads = north.distributions["roads"]
    assert (north.n, roads.n) == (12, 12)
    # Twelve are few, so their answers are drawn toward the rest of the town's, whose twelve may
    # count for no more than they are.
    counts = np.bincount([1, *[i % 3 for i in range(11)]], minlength=3)
    rest = (np.array([0, 0, 12]) + 1 / 3) / 13
    assert 0 < roads.pooled < 0.5
    mixed = (1 - roads.pooled) * counts / 12 + roads.pooled * rest
    np.testing.assert_allclose(roads.shares, mixed)

    # ItemSplit: `buses` is never trained on.
    split = split_items(survey.codebook.items, HeldOut(by="list", items=("buses",)), seed=1)
    assert split.side("roads") == "trained" and split.side("buses") == "held_out"

    # Records: her answer is in the target of every record on `roads`, and `buses` in none.
    records = build_distributions([north], split, 8, np.random.default_rng(1), RecordSettings())
    check_nothing_held_out(records, survey.codebook.items, split)
    row = next(row for row in records.frame.to_dicts() if row["item"] == "roads")
    assert row["target"][1] == pytest.approx(roads.shares[1])

    # Checkpoint: two steps of training on a tiny model.
    model = identify(str(tiny_model), tmp_path)
    options = Options(batch=4, dtype="float32")
    output = tmp_path / "checkpoint"
    output.mkdir()
    train(TrainingJob(model, records, options, 2, 1, tmp_path / "w", output, lambda *_: None))
    assert (output / "adapter_model.safetensors").exists()

    # Scorecard: the model's answer to `roads`, compared with the distribution she is part of.
    trained = LanguageModel.load(model, adapter=output)
    scoring = Scoring(samples=0, text=False, lowest_mass=0)
    answers = collect_answers(trained, [north], [], scoring, as_population=True, seed=1)
    given = EvaluationInput([north], {1: split}, {("mine", 1): answers}, ["mine"], ["mine"])
    card = fit_evaluation.score(given, seed=1)
    answer = next(a for a in card.answers if a.method == "mine" and a.item == "roads")
    middle = (roads.shares + np.array(answer.shares)) / 2

    def bits(p: np.ndarray) -> float:  # type: ignore[type-arg]
        return float(-(p * np.log2(p)).sum())

    divergence = bits(middle) - (bits(roads.shares) + bits(np.array(answer.shares))) / 2
    assert answer.fit == pytest.approx(1 - np.sqrt(divergence))


AREA = {
    "item": "area",
    "label": {"en": "Where do you live?"},
    "options": [
        {"value": "north", "label": {"en": "In the north"}},
        {"value": "south", "label": {"en": "In the south"}},
    ],
}
CONSENT = {"take_part": True, "publish_votes": True, "training": True}


def take_part(here: Site, area: str, votes: Callable[[str], int]) -> tuple[TestClient, str]:
    """Join by the API, consent to training and vote on every statement; the client and the id."""
    client = here.browser().client
    joined = client.post("/api/v1/c/water/session", json={}).json()
    client.headers["Authorization"] = f"Bearer {joined['session']}"
    assert client.post("/api/v1/c/water/consent", json=CONSENT).status_code == 204
    assert client.put("/api/v1/c/water/demographics", json={"area": area}).status_code == 204
    while (shown := client.get("/api/v1/c/water/next").json())["exposure"]:
        text, id = shown["statement"]["text"], shown["statement"]["id"]
        body = {"vote": votes(text), "exposure": shown["exposure"]}
        assert client.put(f"/api/v1/c/water/votes/{id}", json=body).json()["new"]
    return client, joined["participant"]


@pytest.mark.slow
def test_one_vote_from_the_request_to_the_training_records(tmp_path: Path) -> None:
    """A vote reaches training as part of a principle's support.

    The principle's words are in the prompt records of `cai` and `ccai`, as often as its support
    says. A vote's own number is in no record. What a person says of two answers is: so Mere's
    comparison is followed to a preference record as well.
    """
    here = site(tmp_path / "store")
    water = consultation(here.store, count=6, demographics=[AREA])

    # Twenty-three others agree on `amber` and `bronze`; on the rest, north and south are opposites.
    def voter(area: str) -> Callable[[str], int]:
        def vote(text: str) -> int:
            if "amber" in text or "bronze" in text:
                return 1
            return 1 if ("coral" in text or "denim" in text) == (area == "north") else -1

        return vote

    for number in range(23):
        area = "north" if number % 2 else "south"
        take_part(here, area, voter(area))

    # Request: Mere, of the north, agrees with `amber` and compares two answers.
    client, mere = take_part(here, "north", voter("north"))
    pair = client.get("/api/v1/c/water/next?kind=comparison").json()
    assert pair["choose"] is None, "this pair tests attention, and counts for nothing"
    said = {"exposure": pair["exposure"], "outcome": "left"}
    assert client.post("/api/v1/c/water/comparisons", json=said).json()["new"]

    # Store: her vote is a row and an event.
    amber = next(s for s in list_statements(here.store, water.id) if "amber" in s.text)
    (kept,) = [v for v in votes_by(here.store, water.id, mere) if v.statement_id == amber.id]
    assert kept.value == 1
    assert count_vote_events(here.store, water.id, 0) == 24 * 6

    # Consultation: it is a row of `votes`, of a person who consented to training.
    collected = to_consultation(here.store, "water")
    of_amber = collected.votes.filter(pl.col("statement") == amber.id)
    assert of_amber.filter(pl.col("participant") == mere)["vote"].item() == 1
    assert of_amber.height == of_amber["vote"].sum() == 24

    # ConsultationSource: she is trained on, and speaks for the value set of the north.
    survey = town_survey(tmp_path)
    split = split_items(survey.codebook.items, HeldOut(by="list", items=("buses",)), seed=1)
    north = build_value_set(survey, "north", {"area": "north"}, seed=1, description="northerners")
    spec = ConsultationSpec(folder=tmp_path, held_out=0, groups=2, resamples=2)

    def trained_on() -> ConsultationSource:
        now = to_consultation(here.store, "water")
        return consultation_source(now, spec, [north], survey.codebook.items, split, seed=1)

    source = trained_on()
    assert source.people[mere] == 1 and mere in source.members["north"]
    assert amber.id in source.statements and len(source.members["north"]) == 12

    # Constitution: all of them agree, so the principle's support is (24 + 1) / (24 + 2).
    principle = next(p for p in source.constitution().principles if "amber" in p.text)
    assert principle.support == pytest.approx(25 / 26, abs=1e-6)
    assert principle.sources == (f"statement {amber.id}: {amber.text}",)

    # Prompt records: what is written in training is criticised and judged by such principles.
    wanted = ConstitutionSettings(source=FROM_CONSULTATION)
    settings = RecordSettings("written", constitution=wanted, consultation=source)
    prompts = build_prompts([north], split, 40, np.random.default_rng(1), settings)
    check_nothing_held_out(prompts, survey.codebook.items, split)
    drawn = [row["judged_by"]["text"] for row in prompts.frame.to_dicts()]
    assert principle.text in drawn and not any("coral" in text for text in drawn)

    # Preference records: her comparison is the only one, so the pair has the share 1.
    records = build_comparisons([north], split, 3, np.random.default_rng(1), settings)
    row = records.frame.row(0, named=True)
    assert (row["chosen"], row["rejected"]) == (pair["left"]["text"], pair["right"]["text"])
    assert row["share"] == 1 and row["user"].startswith(pair["prompt"])

    # She thinks again: the support falls to (23 + 1) / (24 + 2), and nothing else of it changes.
    other = {"vote": -1}
    assert client.put(f"/api/v1/c/water/votes/{amber.id}", json=other).json()["new"]
    changed = next(p for p in trained_on().constitution().principles if "amber" in p.text)
    assert changed.support == pytest.approx(24 / 26, abs=1e-6) and changed.text == principle.text
