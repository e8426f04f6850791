"""Where a study's consultation and its survey differ, for `suffrage consult against-survey`."""

from __future__ import annotations

from pathlib import Path

from suffrage.consult.consultation import read_consultation
from suffrage.consult.people import people_for, people_weights
from suffrage.consult.survey_links import Disagreement, disagreements, read_links
from suffrage.errors import InputError
from suffrage.study.schema import Study
from suffrage.study.segmenting import with_value_sets
from suffrage.study.sources import built_value_set, read_sources
from suffrage.training_data.members import members_of


def study_disagreements(study: Study, links: Path) -> list[Disagreement]:
    """Where the study's consultation and its survey differ, for every value set with participants.

    All who took part count, weighted as the study reads them, because nothing is trained here.
    Segments are left out, because nobody knows which participants are in one, and so are the value
    sets that the study names under `consultation.without`.

    Parameters
    ----------
    study : Study
        A study with a `consultation:` section.
    links : Path
        A CSV file that says which statement says what an item asks; see `read_links`.

    Raises
    ------
    InputError
        The study has no consultation, a link leads to nothing, or no participant can be in one of
        the value sets.
    """
    spec = study.consultation
    if spec is None:
        raise InputError(f"{study.source.name}: there is no `consultation:` in the study.")
    sources = read_sources(study)
    study = with_value_sets(study, sources)
    found = read_consultation(study.folder / spec.folder)
    people = people_for(found, "taking part")
    weights, _ = people_weights(found, people, spec.read_as, spec.margins)
    linked = read_links(links)
    rows: list[Disagreement] = []
    for own in study.value_sets:
        if own.segment is None and own.name not in spec.without:
            value_set = built_value_set(study, sources, own)
            inside = {p: weights[p] for p in members_of(found, people, value_set)}
            rows += disagreements(found, inside, value_set, linked)
    return rows
