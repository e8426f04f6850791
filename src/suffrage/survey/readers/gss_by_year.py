"""Counts of answers to the US General Social Survey by year, a row for each variable and year.

The file has `item`, `question`, `options`, `group` ("adults in the United States, 1974") and
`counts`. The counts are unweighted. The survey also asks for facts about people, such as their
work and age; only variables that ask what people think are kept, judged by their words.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from suffrage import storage
from suffrage.errors import InputError
from suffrage.survey.published_table import PublishedAnswer, PublishedTable, build_table
from suffrage.survey.readers.published_table import TableOptions, files, table_answers
from suffrage.survey.reading import Reader, existing_file

WEIGHTING = "unweighted counts of respondents"
CITATION = (
    "General Social Survey, 1972-2024. NORC at the University of Chicago; counts from Healy, K., "
    "gssrdoc."
)
# An opinion is asked for in these words, in the question or in its options.
_OPINION = re.compile(
    r"(?i)\b(?:agree|disagree|favou?r|oppose|approve|should|ought|opinion|do you think|"
    r"do you feel|do you believe|confidence|important|importance|trust|wrong|justif\w+|satisfied|"
    r"too (?:much|little|many|few)|better|worse|likely|fair|concerned|worried|worthwhile|"
    r"would you (?:say|like|prefer|rather|want)|good idea|bad idea|in your view|how (?:much|well) "
    r"do you)\b"
)
# Questions about the person begin with these words, whatever their options say.
_FACT = re.compile(
    r"(?i)^(?:last week|how old|how many|in what year|what is your (?:job|religion|age)|"
    r"where were you|when you were|are you currently|did you (?:vote|ever work))|\(NAME\)|"
    r"interviewer|respondent"
)


class Options(TableOptions):
    """What `survey:` may say to `gss_by_year`."""

    # Years of fewer people are left out.
    min_n: float = Field(default=500, ge=0)
    # Also variables that ask for facts about the person.
    facts: bool = False
    # Items with more options than this are left out.
    most_options: int = Field(default=10, ge=2)


def read(options: Options, folder: Path) -> PublishedTable:
    """Read the table."""
    path = existing_file(folder / options.path, "path")
    answers = [
        answer
        for answer in table_answers(path)
        if (not options.populations or answer.population in options.populations)
        and (answer.n or 0) >= options.min_n
        and len(answer.options) <= options.most_options
        and (options.facts or asks_opinion(answer))
    ]
    if not answers:
        raise InputError(f"{path.name}: survey.populations and survey.min_n leave no row.")
    table = build_table(
        answers,
        title="US General Social Survey, by year",
        reader=READER.name,
        files={path.name: storage.file_hash(path)},
        weighting=WEIGHTING,
        description="{population}",
        citation=CITATION,
    )
    return table.renamed(options.rename)


READER = Reader("gss_by_year", Options, read, files, respondents=False)


def asks_opinion(answer: PublishedAnswer) -> bool:
    """Whether a question asks what people think, and not for a fact about them."""
    if _FACT.search(answer.question):
        return False
    return bool(_OPINION.search(answer.question) or _OPINION.search(" ".join(answer.options)))
