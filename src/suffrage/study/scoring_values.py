"""Value scores of a study's populations, for `suffrage values score`."""

from __future__ import annotations

from typing import Any

from suffrage.population.where import select
from suffrage.study.schema import Study, study_survey
from suffrage.values.scores import value_scores
from suffrage.values.taxonomy import item_key, taxonomy


def score_study(study: Study, instrument: str) -> dict[str, Any]:
    """Means with errors of each value for each value set, and each value's reliability.

    Raises InputError when the survey lacks the instrument's items.
    """
    survey, key = study_survey(study), item_key(instrument)
    names = {value.id: value.name for value in taxonomy(key.taxonomy).values}
    everyone = value_scores(survey, key)
    groups = {}
    for spec in study.value_sets:
        rows = select(survey, spec.where, spec.name)
        found = value_scores(survey.with_responses(survey.responses[rows]), key)
        mean, error = found.means()
        groups[spec.name] = {
            "respondents": len(found.respondents),
            "set_aside": found.set_aside,
            "mean": dict(zip(found.values, mean.tolist(), strict=True)),
            "standard_error": dict(zip(found.values, error.tolist(), strict=True)),
        }
    return {
        "instrument": instrument,
        "values": {value: names[value] for value in everyone.values},
        "alpha": dict(zip(everyone.values, everyone.reliability.tolist(), strict=True)),
        "reversed": list(everyone.reversed),
        "value_sets": groups,
    }
