"""Whatever another platform wrote, recognised by its files and read as a consultation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from suffrage.consult.consultation import Consultation
from suffrage.consult.people import Consent
from suffrage.consult.polis.conversation import Conversation, consultation_of
from suffrage.consult.polis.read_files import read_polis
from suffrage.consult.sources import vote_tables, wiki_survey
from suffrage.consult.sources.csv_tables import named_pairs
from suffrage.errors import InputError


@dataclass(frozen=True)
class FileWording:
    """What a person says of files that do not say it themselves."""

    # What the names of Polis files start with.
    prefix: str | None = None
    # The vote that means agree in Polis files.
    agree: int | None = None
    # As on the command line: participant=user,statement=item,vote=answer.
    columns: str | None = None
    # As on the command line: agree=yes,disagree=no,pass=skip.
    values: str | None = None
    # What was asked.
    question: str | None = None
    language: str = "en"


def read_conversation(path: Path, wording: FileWording) -> Conversation:
    """Read votes on statements: a folder of Polis files, or a table whose columns are named.

    Raises
    ------
    InputError
        The files cannot be read, or a table needs --columns.
    """
    if path.is_file():
        columns = named_pairs("--columns", wording.columns, vote_tables.COLUMNS)
        values = named_pairs("--values", wording.values, vote_tables.VALUES)
        return vote_tables.read_vote_table(path, columns, values)
    if wording.columns or wording.values:
        raise InputError(
            f"{path}: --columns and --values are for one table of votes; give the file."
        )
    return read_polis(path, wording.prefix, wording.agree)


def read_foreign_files(
    path: Path, slug: str, wording: FileWording, consents: Collection[Consent] = ()
) -> tuple[Consultation, Conversation | None]:
    """Read what another platform wrote as a consultation.

    Parameters
    ----------
    path : Path
        A folder of Polis files or of its API's answers, a wiki survey's file of votes, or a table
        of votes.
    slug : str
        The consultation's name in addresses.
    wording : FileWording
    consents : collection of {"votes", "texts", "training"}
        What every participant is known to have consented to.

    Returns
    -------
    consultation : Consultation
    conversation : Conversation or None
        What it was made from, with times and the log of votes; None for a wiki survey.

    Raises
    ------
    InputError
        The files cannot be read, or something has to be said of them.
    """
    pairwise = "winner=" in (wording.columns or "").replace(" ", "")
    if pairwise or wiki_survey.is_wiki_survey(path):
        if not wording.question:
            raise InputError(f"{path.name} does not say what was asked; give --question.")
        columns = named_pairs("--columns", wording.columns, tuple(wiki_survey.COLUMNS))
        read = wiki_survey.read_wiki_survey(
            path, slug, wording.question, wording.language, columns, consents
        )
        return read, None
    conversation = read_conversation(path, wording)
    content = consultation_of(conversation, slug, wording.language, consents, wording.question)
    return content, conversation
