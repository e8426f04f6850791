"""How many people a consultation needs, whoever's votes are at hand to simulate it with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from suffrage.consult.consultation import read_consultation, votes_of
from suffrage.consult.groups.enough_people import (
    Expectation,
    RealPublic,
    Turnout,
    comparisons_needed,
    expect,
    real_public,
)
from suffrage.consult.polis.read_files import read_polis
from suffrage.consult.votes import VoteMatrix
from suffrage.errors import InputError
from suffrage.study.commands.simulated_public import SimulatedPublicSettings, simulated_public
from suffrage.survey import read_survey

# Respondents of the bundled survey that stand for a public.
RESPONDENTS = 800


@dataclass(frozen=True)
class ConsultationPlan:
    """What to expect of a consultation, by how many people of each subgroup take part."""

    # Whose votes it was simulated with, and how many they are.
    respondents: str
    public: int
    statements: int
    filled: float
    subgroups: int
    rows: tuple[tuple[Turnout, Expectation], ...]
    # People who must compare two answers for a preference of 60 to 40 to be on its right side.
    comparisons_for_a_pair: int

    def as_json(self) -> dict[str, Any]:
        """Everything, for scripts."""
        return {
            **{name: value for name, value in vars(self).items() if name != "rows"},
            "rows": [asdict(turnout) | asdict(found) for turnout, found in self.rows],
        }


def respondents_votes(
    folder: Path | None, prefix: str | None = None
) -> tuple[str, VoteMatrix, tuple[str, ...]]:
    """The votes to simulate with, whose they are, and the statements that take no part.

    Parameters
    ----------
    folder : Path or None
        A consultation's folder, or a Polis export. None for the respondents of the bundled survey,
        whose votes follow from what they answered.
    prefix : str or None
        What the file names of a Polis export begin with.
    """
    if folder is None:
        survey = read_survey({"reader": "gss_spending"}, Path())
        settings = SimulatedPublicSettings(participants=RESPONDENTS, statements=RESPONDENTS)
        public, _ = simulated_public(survey, settings, 1)
        return survey.codebook.title, votes_of(public), ()
    if (folder / "votes.parquet").is_file():
        consultation = read_consultation(folder)
        return consultation.title, votes_of(consultation), ()
    conversation = read_polis(folder, prefix)
    return folder.name, conversation.votes, conversation.moderated_out(strict=False)


def plan_consultation(
    folder: Path | None,
    prefix: str | None,
    subgroups: int,
    people: Sequence[int],
    turnout: Turnout,
    rounds: int = 40,
    seed: int = 0,
) -> ConsultationPlan:
    """Simulate a consultation for several numbers of people from each subgroup.

    Parameters
    ----------
    folder : Path or None
    prefix : str or None
        See `respondents_votes`.
    subgroups : int
        2 or more.
    people : sequence of int
        Numbers of people from each subgroup.
    turnout : Turnout
        Everything else about who takes part.
    rounds : int
        How many rounds are simulated for each number.
    seed : int
        Of every draw.

    Raises
    ------
    InputError
        The folder cannot be read, or its people do not form so many groups.
    """
    if subgroups < 2:
        raise InputError(f"subgroups is {subgroups}; it must be 2 or more.")
    if rounds < 1 or not people:
        raise InputError("give one number of people or more, and one round or more.")
    name, votes, out = respondents_votes(folder, prefix)
    public: RealPublic = real_public(votes, subgroups, seed, out)
    rows = []
    for number in people:
        own = replace(turnout, people=number)
        rows.append((own, expect(public, own, rounds, rounds, seed)))
    return ConsultationPlan(
        respondents=name,
        public=len(public.votes),
        statements=public.votes.shape[1],
        filled=public.filled,
        subgroups=subgroups,
        rows=tuple(rows),
        comparisons_for_a_pair=comparisons_needed(),
    )
