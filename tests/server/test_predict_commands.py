"""Predictions on record: a hash in the audit log before the round, and scores after it."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from scipy.spatial.distance import jensenshannon
from typer.testing import CliRunner, Result

from suffrage.cli import app
from suffrage.consult.consultation import Consultation, write_consultation
from suffrage.errors import InputError
from suffrage.evaluate.recorded_predictions import (
    PredictedGroup,
    PredictedVotes,
    score_predictions,
)
from suffrage.server.store import audit, consultations
from suffrage.server.store.database import open_store
from suffrage.study.commands.simulated_public import SimulatedPublicSettings, simulated_public
from tests.json_keys import check_keys
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=300, items=8, seed=3)
PUBLIC, _ = simulated_public(SURVEY, SimulatedPublicSettings(participants=120, statements=40), 5)
TEXTS = dict(PUBLIC.statements.select("statement", "text").iter_rows())


def said(*words: object) -> Result:
    return CliRunner().invoke(app, ["consult", *map(str, words)])


def predicted(**more: object) -> PredictedVotes:
    groups = (
        PredictedGroup(name="everyone", description="people"),
        PredictedGroup(name="north", description="people up north", where={"region": "north"}),
    )
    content = {
        "consultation": PUBLIC.slug,
        "model": "m",
        "votes_before": 0,
        "groups": groups,
        "statements": TEXTS,
        "shares": {group.name: dict.fromkeys(TEXTS, (0.6, 0.3, 0.1)) for group in groups},
        **more,
    }
    return PredictedVotes.model_validate(content)


@pytest.mark.slow
def test_scores_are_those_of_plain_counting() -> None:
    found = score_predictions(predicted(), PUBLIC, 5)
    north = set(
        PUBLIC.demographics.filter((pl.col("item") == "region") & (pl.col("value") == "north"))[
            "participant"
        ]
    )
    fits = []
    for statement in TEXTS:
        votes = PUBLIC.votes.filter(
            (pl.col("statement") == statement) & pl.col("participant").is_in(sorted(north))
        )["vote"].to_list()
        if len(votes) >= 5:
            counts = np.array([votes.count(1), votes.count(-1), votes.count(0)])
            fits.append(1 - jensenshannon(counts / counts.sum(), (0.6, 0.3, 0.1), base=2))
    (figure,) = (
        f
        for f in found.figures
        if (f.measure, f.method, f.value_set, f.seed) == ("fit", "prediction", "north", "all")
    )
    assert figure.value == pytest.approx(np.mean(fits))
    even = {
        (f.measure, f.value_set): f.value
        for f in found.figures
        if (f.method, f.seed) == ("even vote", "all")
    }
    assert even["agreement", "all"] == 0.5, "an even vote is on neither side"
    gap = found.gap("even vote")
    (overall,) = (
        f.value
        for f in found.figures
        if (f.measure, f.method, f.value_set, f.seed) == ("fit", "prediction", "all", "all")
    )
    assert gap is not None and gap.value == pytest.approx(overall - even["fit", "all"])
    assert any(d.method == "prediction" for d in found.differences)


def test_changed_predictions_and_changed_statements_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "said.json"
    predicted().write(file)
    assert PredictedVotes.read(file) == predicted()
    file.write_text(file.read_text().replace("0.6", "0.7", 1))
    with pytest.raises(InputError, match="changed after they were written"):
        PredictedVotes.read(file)
    other = {**TEXTS, next(iter(TEXTS)): "Something else."}
    with pytest.raises(InputError, match="another text than when it was predicted"):
        score_predictions(predicted(statements=other), PUBLIC)
    with pytest.raises(InputError, match="the consultation did not ask"):
        groups = [{"name": "everyone", "description": "x", "where": {"shoes": "big"}}]
        score_predictions(predicted(groups=groups), PUBLIC)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"regoin": "north"}, 'group north: .* did not ask regoin; .* Did you mean "region"?'),
        ({"region": "norht"}, 'nobody can say region "norht"; the answers are .* mean "north"?'),
        ({"region": ["south", "norht"]}, 'nobody can say region "norht"'),
    ],
)
def test_a_mistyped_condition_is_named_before_anything_is_predicted(
    where: dict[str, object], message: str, tmp_path: Path
) -> None:
    seeds, form, groups = (tmp_path / name for name in ("seeds.txt", "form.yaml", "groups.yaml"))
    seeds.write_text("\n".join(list(TEXTS.values())[:6]), encoding="utf-8")
    options = [{"value": name, "label": {"en": name}} for name in ("north", "south")]
    asked = {"item": "region", "label": {"en": "Where do you live?"}, "options": options}
    form.write_text(yaml.safe_dump({"demographics": [asked]}))
    store, file = tmp_path / "store", tmp_path / "said.json"
    made = said(
        *("new", store, "--slug", "water", "--title", "Water", "--question", "How?"),
        *("--statements", seeds, "--settings", form),
        *("--organiser", "The council", "--contact", "council@example.org"),
    )
    assert made.exit_code == 0, made.exception
    group = {"name": "north", "description": "people up north", "where": where}
    groups.write_text(yaml.safe_dump({"groups": [group]}))
    # The model is not there either: it would be named if it were loaded first.
    refused = said("predict", store, "water", tmp_path / "none", "--out", file, "--groups", groups)
    assert re.search(message, str(refused.exception)) and not file.exists()


@pytest.mark.slow
def test_the_audit_log_holds_the_hash_before_the_round_and_scores_come_after(
    tiny_model: Path, tmp_path: Path
) -> None:
    seeds = tmp_path / "seeds.txt"
    seeds.write_text("\n".join(list(TEXTS.values())[:6]), encoding="utf-8")
    store, file = tmp_path / "store", tmp_path / "said.json"
    question = ("--title", "Water", "--question", "How?")
    asks = ["--organiser", "The council", "--contact", "council@example.org", "--start"]
    made = said("new", store, "--slug", "water", *question, "--statements", seeds, *asks)
    assert made.exit_code == 0, made.output
    silent = said("predict", store, "water", tiny_model, "--out", file)
    assert "too little probability" in str(silent.exception) and not file.exists()
    result = said("predict", store, "water", tiny_model, "--out", file, "--lowest-mass", 0)
    assert result.exit_code == 0, result.output
    found = PredictedVotes.read(file)
    assert set(found.statements.values()) == set(list(TEXTS.values())[:6])
    assert found.votes_before == 0 and found.content_hash in result.output
    again = said("predict", store, "water", tiny_model, "--out", file)
    assert again.exit_code != 0 and "never replaced" in str(again.exception)
    opened = open_store(str(store))
    chain = consultations.find_consultation(opened, "water").id
    entries = audit.list_entries(opened, chain)
    assert [e.detail["hash"] for e in entries if e.action == "predict"] == [found.content_hash]
    log = tmp_path / "audit.jsonl"
    log.write_text(audit.as_json_lines(entries), encoding="utf-8")
    opened.close()
    round_ = after_the_round(found)
    write_consultation(round_, tmp_path / "tables")
    scored = said("score-predictions", file, tmp_path / "tables", "--audit", log, "--json")
    assert scored.exit_code == 0, scored.output
    content = json.loads(scored.output)
    check_keys("consult score-predictions", content)
    assert content["hash"] == found.content_hash and content["votes_before_by_audit_log"] == 0
    shown = said("score-predictions", file, tmp_path / "tables", "--audit", log)
    told = " ".join(shown.output.split())
    assert "0 votes had been cast by then" in told and "minus that of the even vote" in told
    broken = log.read_text().replace(found.content_hash, "0" * 64)
    log.write_text(broken)
    refused = said("score-predictions", file, tmp_path / "tables", "--audit", log)
    assert "the audit log was changed" in str(refused.exception)


def after_the_round(found: PredictedVotes) -> Consultation:
    """The simulated public's votes, on the statements that were predicted."""
    by_text = {text: statement for statement, text in found.statements.items()}
    ids = {s: by_text[text] for s, text in TEXTS.items() if text in by_text}
    kept = pl.col("statement").is_in(list(ids))
    renamed = pl.col("statement").replace(ids)
    tables = {n: getattr(PUBLIC, n) for n in PUBLIC.__dataclass_fields__}
    statements = PUBLIC.statements.filter(kept).with_columns(renamed)
    votes = PUBLIC.votes.filter(kept).with_columns(renamed)
    return Consultation(**tables | {"slug": "water", "statements": statements, "votes": votes})
