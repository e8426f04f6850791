"""Value scores of a study's populations, for `suffrage values score`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.errors import InputError, require_installed
from suffrage.population.where import select
from suffrage.study.schema import Study, study_survey
from suffrage.survey import Survey
from suffrage.values import world_values
from suffrage.values.circle import FEWEST_VALUES, circle
from suffrage.values.item_keys import item_key
from suffrage.values.reliability import cronbach_alpha, mcdonald_omega
from suffrage.values.scores import value_scores, weighted_mean

WORLD_VALUES = "WVS-7"
# What a table of scores says of its scale, by the key's scoring.
SCALES = {"centred": "centred", "mean": "steps", "stretched": "0 to 1"}


def score_study(study: Study, instrument: str) -> dict[str, Any]:
    """Means with errors of each value for each value set, reliabilities, and what can be drawn.

    instrument: an item key's name or file, or "WVS-7" for the World Values Survey's constructs.
    The circle is of everyone; it is None where the taxonomy has none. The map is None where the
    survey lacks its indicators. Raises InputError when the survey lacks the instrument's items.
    """
    if instrument == WORLD_VALUES:
        return _world_values(study, study_survey(study))
    key = item_key(instrument)
    survey = study_survey(study)
    drawable = key.taxonomy.is_circle and len(key.items) >= FEWEST_VALUES
    # What is to be scored is looked for first, so that nobody installs what then draws nothing.
    key.items_of(survey.codebook)
    if drawable:
        require_installed("sklearn", "segments", "the circle of values")
    whose = key.taxonomy
    names = {value.id: value.name for value in whose.values}
    everyone = value_scores(survey, key)
    groups = {}
    for spec in study.value_sets:
        rows = select(survey, spec.where, spec.name)
        found = value_scores(survey.with_responses(survey.responses[rows]), key)
        mean, error = found.means()
        groups[spec.name] = {
            "people": len(found.respondents) + found.set_aside,
            "respondents": len(found.respondents),
            "set_aside": found.set_aside,
            "answered": _answered(found.values, found.scores),
            "mean": dict(zip(found.values, mean.tolist(), strict=True)),
            "standard_error": dict(zip(found.values, error.tolist(), strict=True)),
        }
    drawn = None
    places = {value.id: value.place for value in whose.values}
    ring = [k for k, name in enumerate(everyone.values) if name in key.items]
    if drawable:
        most = max(place for place in places.values() if place is not None)
        degrees = [(places[everyone.values[k]] or 0) * 360 / most for k in ring]
        of = circle(
            tuple(everyone.values[k] for k in ring),
            everyone.scores[:, ring],
            everyone.weights,
            np.array(degrees),
            study.seeds[0],
        )
        drawn = {
            "values": list(of.values),
            "points": of.points.tolist(),
            "theory": of.theory.tolist(),
            "stress": of.stress,
            "correspondence": of.correspondence,
            "p_value": of.p_value,
            "degrees_off": of.off,
        }
    return {
        "instrument": key.instrument,
        "title": whose.title,
        "scale": SCALES[key.scoring],
        "directions": {item: asdict(found) for item, found in everyone.directions.items()},
        "values": {v: names.get(v, _spoken(v)) for v in everyone.values},
        "alpha": dict(zip(everyone.values, everyone.alpha.tolist(), strict=True)),
        "omega": dict(zip(everyone.values, everyone.omega.tolist(), strict=True)),
        "reversed": list(everyone.reversed),
        "value_sets": groups,
        "circle": drawn,
        "map": None,
        "no_map": "",
    }


def _answered(values: Sequence[str], scores: FloatArray) -> dict[str, int]:
    """How many people have a score on each value. scores: shape (people, values)."""
    counts = np.isfinite(scores).sum(axis=0).tolist()
    return dict(zip(values, counts, strict=True))


def _spoken(higher_order: str) -> str:
    """ "self_enhancement" as people write it: self-enhancement."""
    return higher_order.replace("self_", "self-").replace("_", " ")


def _world_values(study: Study, survey: Survey) -> dict[str, Any]:
    names = world_values.available(survey)
    if not names:
        needed = "; ".join(
            f"{name}: {', '.join(scale.variable for scale in scales)}"
            for name, scales in world_values.SUB_INDICES.items()
        )
        raise InputError(f"this survey has the items of none of the sub-indices ({needed}).")
    ordered = survey.with_responses(survey.responses[survey.rows_by_id])
    weights = ordered.weights
    scores = {name: world_values.sub_index(ordered, name) for name in names}
    parts = {name: world_values.sub_index_items(ordered, name) for name in names}
    groups: dict[str, Any] = {}
    members: list[tuple[str, FloatArray]] = []
    for spec in study.value_sets:
        rows = select(ordered, spec.where, spec.name)
        member = np.zeros(len(weights))
        member[rows] = 1.0
        members.append((spec.name, member))
        own = np.column_stack([scores[name][rows] for name in names])
        found = {name: weighted_mean(scores[name][rows], weights[rows]) for name in names}
        groups[spec.name] = {
            "people": int(member.sum()),
            "respondents": int(np.isfinite(own).any(axis=1).sum()),
            "set_aside": int((~np.isfinite(own).any(axis=1)).sum()),
            "answered": _answered(names, own),
            "mean": {name: mean for name, (mean, _) in found.items()},
            "standard_error": {name: error for name, (_, error) in found.items()},
        }
    try:
        indicators = world_values.map_indicators(ordered)
    except InputError as error:
        drawn, why = None, str(error)
    else:
        of = world_values.cultural_map(indicators, weights, members)
        why = ""
        drawn = {
            "groups": list(of.groups),
            "positions": of.positions.tolist(),
            "errors": of.errors.tolist(),
            "indicators": list(of.indicators),
            "loadings": of.loadings.tolist(),
            "explained": of.explained.tolist(),
        }
    return {
        "instrument": WORLD_VALUES,
        "title": "Welzel's sub-indices of secular and emancipative values",
        "scale": "0 to 1",
        "directions": {},
        "values": {name: name for name in names},
        "alpha": {name: cronbach_alpha(parts[name], weights) for name in names},
        "omega": {name: mcdonald_omega(parts[name], weights) for name in names},
        "reversed": [],
        "value_sets": groups,
        "circle": None,
        "map": drawn,
        "no_map": why,
    }
