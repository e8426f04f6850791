"""Predictions on record, compared with the votes that participants see the results of.

They are compared once for each step of the results (`store/result_steps.py`), with the same people,
so that two scores differ by as many people as two steps do. Statements whose text was taken back or
changed since the prediction are left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from suffrage.consult.consultation import Consultation
from suffrage.errors import InputError
from suffrage.server.store import stored_predictions
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.contents import to_consultation
from suffrage.server.store.database import Store
from suffrage.server.store.stored_results import acts_so_far, step_so_far

if TYPE_CHECKING:
    # Loads the packages that ask models, which the pages do without.
    from suffrage.evaluate.recorded_predictions import PredictedVotes, PredictionScore

# Voters of a group on a statement whose shares are compared.
LEAST_VOTERS = 5


def add_predictions(store: Store, what: StoredConsultation, text: str, actor: str) -> None:
    """Add a file of predictions, and compare it with the votes if voting has ended.

    Parameters
    ----------
    text : str
        The file's content.
    actor : str
        Who adds it, as in the audit log.

    Raises
    ------
    InputError
        It holds no predictions, was changed, is of another consultation, was added before, or the
        audit log does not hold its hash.
    """
    from suffrage.evaluate.recorded_predictions import PredictedVotes

    try:
        found = PredictedVotes.of_json(json.loads(text), "the file")
    except (ValueError, InputError) as error:
        raise InputError(
            "The file does not contain predictions, or was changed after they were written; choose "
            "the file that %(command)s wrote.",
            command=stored_predictions.COMMAND,
        ) from error
    if found.consultation != what.slug:
        raise InputError(
            "The predictions are of the consultation “%(other)s”; choose the file of this one.",
            other=found.consultation,
        )
    stored_predictions.store_prediction(
        store, what.id, found.content_hash, found.model_dump(mode="json"), actor
    )
    compare_predictions(store, what)


def compare_predictions(store: Store, what: StoredConsultation) -> None:
    """Compare all predictions that were not yet compared with the votes of the newest step."""
    if what.phase not in ("closed", "archived"):
        return
    step = step_so_far(store, what.id)
    # Without a step nothing is shown; a step that counts somebody who withdrew is replaced soon.
    if step.version is None or step.withdrawn:
        return
    waiting = stored_predictions.not_scored_at(store, what.id, step.version)
    if not waiting:
        return
    from suffrage.evaluate.recorded_predictions import PredictedVotes

    known = acts_so_far(store, what.id).acts
    content = to_consultation(store, what.slug)
    excluded = pl.col("excluded") | pl.col("participant").is_in(list(step.left_out))
    content = replace(content, participants=content.participants.with_columns(excluded=excluded))
    least = max(LEAST_VOTERS, what.settings.least_people)
    for hash in waiting:
        said = PredictedVotes.model_validate(
            stored_predictions.predicted_content(store, what.id, hash)
        )
        score = _score(said, content, least)
        stored_predictions.save_score(store, what.id, hash, step.version, score, known)


def shown_predictions(store: Store, what: StoredConsultation, step: int) -> dict[str, Any]:
    """Return the scores that the results page shows with a step of the results.

    "scored" has one for each file: when it was put on record and the votes cast by then, with what
    `_score` found. "others" is how many more predictions are on record. Empty before the end.
    """
    if what.phase not in ("closed", "archived"):
        return {}
    scored = [
        {"hash": one.hash, "recorded": one.recorded, "votes_before": one.votes_before, **one.score}
        for one in stored_predictions.list_predictions(store, what.id)
        if one.scored_step == step and one.score is not None and "problem" not in one.score
    ]
    if not scored:
        return {}
    others = stored_predictions.count_on_record(store, what.id) - len(scored)
    return {"scored": scored, "others": others}


def _score(said: PredictedVotes, content: Consultation, least_voters: int) -> dict[str, Any]:
    """How predictions did, as the pages show it; why not, where nothing can be compared."""
    from suffrage.evaluate.recorded_predictions import score_predictions

    texts = dict(content.statements.select("statement", "text").iter_rows())
    kept = {id: text for id, text in said.statements.items() if texts.get(id) == text}
    try:
        found = score_predictions(
            said.model_copy(update={"statements": kept}), content, least_voters
        )
    except InputError as error:
        return {"problem": str(error)}
    return {
        "statements": found.statements,
        "least_voters": least_voters,
        "groups": _groups(found, [group.name for group in said.groups]),
        "against_even": _against_even(found),
    }


def _groups(found: PredictionScore, names: list[str]) -> list[Mapping[str, Any]]:
    """A row for each group that could be compared."""
    from suffrage.evaluate.asking.voting_groups import AVERAGE, EVEN
    from suffrage.evaluate.recorded_predictions import PREDICTION
    from suffrage.evaluate.results import ALL

    at = {(f.measure, f.method, f.value_set): f.value for f in found.figures if f.seed == ALL}
    # The figures of a single group are those over all.
    places = [(name, ALL if len(names) == 1 else name) for name in names]
    columns = (
        ("right", "agreement", PREDICTION),
        ("fit", "fit", PREDICTION),
        ("even", "fit", EVEN),
        ("average", "fit", AVERAGE),
    )
    return [
        {"name": name}
        | {key: round(at[measure, method, place], 4) for key, measure, method in columns}
        for name, place in places
        if ("fit", PREDICTION, place) in at
    ]


def _against_even(found: PredictionScore) -> str:
    """Whether the shares were closer than an even vote's: "closer", "further" or "alike"."""
    from suffrage.evaluate.asking.voting_groups import EVEN

    gap = found.gap(EVEN)
    verdict = None if gap is None else gap.verdict
    return {"higher": "closer", "lower": "further"}.get(str(verdict), "alike")
