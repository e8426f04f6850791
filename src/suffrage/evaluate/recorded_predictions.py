"""Votes that a model predicts before a round opens, put on record by a hash, and scored afterwards.

The hash is in the consultation's audit log, which nobody can change. Who reads the predictions
later can see that they are the ones of then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from suffrage import settings, storage
from suffrage.consult.consultation import Consultation, accepted_opinions
from suffrage.consult.people import demographics_survey, people_for, wide_demographics
from suffrage.consult.votes import id_order
from suffrage.errors import InputError, did_you_mean
from suffrage.evaluate.asking.voting_groups import AVERAGE, EVEN, decided_agreement
from suffrage.evaluate.results import ALL, Figure, FigureDifference
from suffrage.evaluate.statistics.figures import make_figures
from suffrage.evaluate.statistics.intervals import Measured
from suffrage.models import Answerer, ItemProbe, read_letters
from suffrage.plurals import plural
from suffrage.population.distribution_distances import fit
from suffrage.population.where import matching
from suffrage.training_data.consultation_source import EVERYONE, vote_item
from suffrage.training_data.vote_records import VoteCounts

PREDICTION = "prediction"


class PredictedGroup(BaseModel):
    """A group of participants whose votes are predicted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    # How the question names it, to fit "Answer as ... would."
    description: str
    # What its members say of themselves, as in a study's value sets; empty for all participants.
    where: dict[str, Any] = Field(default_factory=dict)


class PredictedVotes(BaseModel):
    """Shares of agree, disagree and neither, by group and statement."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    consultation: str
    # Who predicts: a hash of the model and of the checkpoint over it.
    model: str
    # Votes that were cast by then.
    votes_before: int
    groups: tuple[PredictedGroup, ...]
    # Texts, by statement.
    statements: dict[str, str]
    # By group, then by statement; statements that could not be read are left out.
    shares: dict[str, dict[str, tuple[float, float, float]]]

    @property
    def content_hash(self) -> str:
        """What the audit log holds."""
        return storage.content_hash(self.model_dump(mode="json"))

    def write(self, path: Path) -> None:
        """Write the predictions with their hash, all or nothing."""
        storage.write_json(path, {**self.model_dump(mode="json"), "hash": self.content_hash})

    @classmethod
    def read(cls, path: Path) -> PredictedVotes:
        """Read predictions. Raises InputError where the file was changed since it was written."""
        try:
            return cls.of_json(storage.read_json(path), str(path))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: no predictions could be read: {error}") from error

    @classmethod
    def of_json(cls, content: Any, name: str) -> PredictedVotes:
        """The predictions that a file's content has.

        Parameters
        ----------
        content : mapping
            As `write` wrote it, with the hash.
        name : str
            What messages call the file.

        Raises
        ------
        InputError
            It holds something else, or was changed since it was written.
        """
        if not isinstance(content, dict):
            raise InputError(f"{name}: no predictions could be read: it must be one mapping.")
        stated = content.get("hash")
        without = {key: value for key, value in content.items() if key != "hash"}
        found = settings.validated(cls, without, name)
        if stated != found.content_hash:
            raise InputError(
                f"{name}: the predictions were changed after they were written: their hash is "
                f"{found.content_hash}, and the file says {stated}."
            )
        return found


def predict_votes(
    model: Answerer,
    identity: str,
    consultation: Consultation,
    groups: Sequence[PredictedGroup],
    lowest_mass: float,
) -> PredictedVotes:
    """Ask a model how each group will vote on every accepted statement.

    Parameters
    ----------
    model : Answerer
    identity : str
        A hash of the model.
    consultation : Consultation
    groups : sequence of PredictedGroup
    lowest_mass : float
        Below so much probability on the options a statement is not read.

    Raises
    ------
    InputError
        No statement is accepted, or two groups have one name.
    """
    texts = dict(accepted_opinions(consultation).select("statement", "text").iter_rows())
    texts = {statement: texts[statement] for statement in sorted(texts, key=id_order)}
    if not texts:
        raise InputError("no statement is accepted yet: there is nothing to predict.")
    names = [group.name for group in groups]
    if len(set(names)) < len(names):
        raise InputError("two groups have the same name; give each a name of its own.")
    shares: dict[str, dict[str, tuple[float, float, float]]] = {}
    for group in groups:
        probes = [ItemProbe(vote_item(s, text), group.description) for s, text in texts.items()]
        answers = read_letters(model, probes, lowest_mass)
        shares[group.name] = {
            statement: _rounded(answer.shares)
            for statement, answer in zip(texts, answers, strict=True)
            if not answer.refused
        }
    if not any(shares.values()):
        raise InputError(
            "the model gives too little probability to agree, disagree and neither to be read on "
            "any statement; it may be trained on sentences only."
        )
    return PredictedVotes(
        consultation=consultation.slug,
        model=identity,
        votes_before=consultation.votes.height,
        groups=tuple(groups),
        statements=texts,
        shares=shares,
    )


def _rounded(shares: Sequence[float] | np.typing.NDArray[np.float64]) -> tuple[float, float, float]:
    first, second, third = (round(float(share), 6) for share in shares)
    return first, second, third


@dataclass(frozen=True)
class PredictionScore:
    """How predictions compare with the votes that came."""

    hash: str
    votes_before: int
    # Of each group and of all, fit and agreement, with the even and the average vote's as methods.
    figures: tuple[Figure, ...]
    # The predictions less the even and the average vote.
    differences: tuple[FigureDifference, ...]
    # Statements that were predicted and had enough voters in some group.
    statements: int

    def gap(self, floor: str) -> FigureDifference | None:
        """The fit of the predictions less that of a floor, over all groups."""
        place = ("fit", ALL, floor)
        rows = (d for d in self.differences if (d.measure, d.value_set, d.against) == place)
        return next(rows, None)

    def as_json(self) -> dict[str, Any]:
        """Everything, for scripts and reports."""
        return {
            "hash": self.hash,
            "votes_before": self.votes_before,
            "statements": self.statements,
            "figures": [row.model_dump(mode="json") for row in self.figures],
            "differences": [row.model_dump(mode="json") for row in self.differences],
        }


def score_predictions(
    predictions: PredictedVotes, consultation: Consultation, least_voters: int = 5
) -> PredictionScore:
    """Compare predictions with the votes of everybody who took part.

    The average vote is the group's mean over the other statements: an answer that knows the group
    and ignores the statement. The even vote gives agree, disagree and neither the same share.

    Parameters
    ----------
    predictions : PredictedVotes
    consultation : Consultation
        After the round.
    least_voters : int
        Statements with fewer voters of a group are not compared.

    Raises
    ------
    InputError
        It is another consultation, a statement's text was changed, or nothing can be compared.
    """
    if predictions.consultation != consultation.slug:
        raise InputError(
            f"the predictions are of {predictions.consultation}, and the votes of "
            f"{consultation.slug}."
        )
    texts = dict(consultation.statements.select("statement", "text").iter_rows())
    changed = [s for s, text in predictions.statements.items() if texts.get(s) != text]
    if changed:
        raise InputError(
            f"statement {changed[0]} has another text than when it was predicted; "
            f"{plural(len(changed), 'statement')} changed in all."
        )
    rows: dict[str, dict[str, list[Measured]]] = {
        measure: {EVEN: [], AVERAGE: [], PREDICTION: []} for measure in ("fit", "agreement")
    }
    compared: set[str] = set()
    for group in predictions.groups:
        voted = _shares_of(consultation, group, tuple(predictions.statements), least_voters)
        total = np.sum(list(voted.values()), axis=0) if voted else np.zeros(3)
        for statement, people in voted.items():
            said = predictions.shares[group.name].get(statement)
            if said is None or len(voted) < 2:
                continue
            compared.add(statement)
            answers = {
                EVEN: np.full(3, 1 / 3),
                PREDICTION: np.array(said) / sum(said),
                AVERAGE: (total - people) / (len(voted) - 1),
            }
            for method, answer in answers.items():
                for measure, rule in (("fit", fit), ("agreement", decided_agreement)):
                    value = float(rule(people, answer))
                    row = Measured(0, group.name, statement, statement, value, np.array([value]))
                    rows[measure][method].append(row)
    if not compared:
        raise InputError(f"no predicted statement has {least_voters} voters of a group yet.")
    figures, differences = make_figures(
        "predictions",
        rows,
        [EVEN, AVERAGE, PREDICTION],
        0,
        pairs=[(PREDICTION, AVERAGE), (PREDICTION, EVEN)],
    )
    return PredictionScore(
        predictions.content_hash, predictions.votes_before, figures, differences, len(compared)
    )


def _shares_of(
    consultation: Consultation,
    group: PredictedGroup,
    statements: Sequence[str],
    least_voters: int,
) -> dict[str, np.typing.NDArray[np.float64]]:
    """How a group's members voted on each statement with enough voters."""
    everyone = people_for(consultation, "taking part")
    members = list(everyone)
    if group.where:
        _check_asked(group, consultation.demographics["item"].unique().to_list())
        survey = demographics_survey(wide_demographics(consultation, everyone))
        meets = matching(survey, group.where, group.name)
        members = [person for person, is_in in zip(everyone, meets, strict=True) if is_in]
    weights = dict.fromkeys(members, 1.0)
    counts = VoteCounts.of(consultation, weights, list(statements), 1.0)
    cells, _ = counts.distributions(weights, least_voters)
    return {item.removeprefix("statement/"): cell.shares for item, cell in cells.items()}


def _check_asked(group: PredictedGroup, asked: Iterable[str]) -> None:
    """Raises InputError where a group is defined by what participants were not asked."""
    known = sorted(asked)
    for key in group.where:
        if key not in known:
            raise InputError(
                f"group {group.name}: the consultation did not ask {key}; it asked "
                f"{', '.join(known) or 'nothing'}.{did_you_mean(key, known)}"
            )


def check_predicted_groups(
    groups: Sequence[PredictedGroup], choices: Mapping[str, Collection[str]]
) -> None:
    """Check the conditions of groups before anything is predicted for them.

    Predictions on record are never replaced, and a mistyped condition would show only when they
    are compared with the votes.

    Parameters
    ----------
    groups : sequence of PredictedGroup
    choices : mapping
        By question that participants are asked about themselves, what they can say.

    Raises
    ------
    InputError
        A question is not asked, or has no such answer. The message names the nearest spelling.
    """
    for group in groups:
        _check_asked(group, choices)
        for key, wanted in group.where.items():
            if isinstance(wanted, Mapping):
                continue
            for value in map(str, wanted if isinstance(wanted, list) else [wanted]):
                if value not in choices[key]:
                    raise InputError(
                        f'group {group.name}: nobody can say {key} "{value}"; the answers are '
                        f"{', '.join(sorted(choices[key]))}.{did_you_mean(value, choices[key])}"
                    )


def read_predicted_groups(
    path: Path | None, consultation: Consultation
) -> tuple[PredictedGroup, ...]:
    """The groups of a YAML file: name, description and where; None for all participants.

    Raises InputError where the file says something else.
    """
    if path is None:
        title = f'people who took part in the consultation "{consultation.title}"'
        return (PredictedGroup(name=EVERYONE, description=title),)
    content = settings.read_yaml(path)
    rows = content.get("groups")
    if not isinstance(rows, list) or set(content) != {"groups"}:
        raise InputError(f"{path.name}: must have one key, groups: a list of name, description.")
    return tuple(
        settings.validated(PredictedGroup, row, path.name, f"groups[{at}]")
        for at, row in enumerate(rows)
    )
