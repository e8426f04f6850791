"""What a finished run's models said to an evaluation's own questions."""

from __future__ import annotations

import polars as pl

from suffrage.errors import InputError
from suffrage.study.facts import command_to_run
from suffrage.study.schema import Study
from suffrage.study.segmenting import with_value_sets
from suffrage.study.stage_outputs import PROBES
from suffrage.study.wiring import wire


def probe_answers(study: Study, evaluation: str, method: str, seed: int | None) -> pl.DataFrame:
    """What a method said to an evaluation's own questions in a finished run.

    Parameters
    ----------
    study : Study
        A study that was run.
    evaluation, method : str
        Their names in the study.
    seed : int or None
        One of the study's seeds; None for its first.

    Returns
    -------
    DataFrame
        The evaluation's own table, a row for each question or answer.

    Raises
    ------
    InputError
        The study does not ask that, or has not asked it yet.
    """
    wiring = wire(with_value_sets(study))
    place = (evaluation, method, study.seeds[0] if seed is None else seed)
    if place not in wiring.probes:
        known = sorted({f"{name} of {who}, seed {at}" for name, who, at in wiring.probes})
        raise InputError(
            f"{study.source.name} does not ask {evaluation} of {method}, seed {place[2]}; it asks "
            f"{'; '.join(known) or 'nothing of its own'}."
        )
    stage = wiring.probes[place]
    if not stage.finished:
        raise InputError(f"{stage.label} is not there yet: {command_to_run(study)} first.")
    return pl.read_parquet(stage.folder / PROBES)
