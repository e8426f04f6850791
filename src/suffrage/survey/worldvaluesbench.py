"""WorldValuesBench's own pipeline over the cross-national file of the World Values Survey, wave 7.

Zhao et al. (2024), WorldValuesBench, LREC-COLING; github.com/Demon702/WorldValuesBench, files
`dataset_construction/data_preparation.py`, `answer_adjustment.json`, `probe/value_questions.json`
and `evaluation/evaluate.py`. Its split follows the order of rows in the file, which is why this
module, unlike the rest of Suffrage, must be given the file's rows in their own order. Question
metadata, codebook and the two groupings of the probe set are read from a copy of the benchmark's
repository; this module contains none of its texts.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict

from suffrage import storage
from suffrage.errors import InputError
from suffrage.survey.codes import plain_code
from suffrage.survey.formats.labelled_table import read_table
from suffrage.survey.formats.separated_text import read_csv
from suffrage.survey.formats.wvs7_codebook import REPEATED_INTERVIEW, VariableEntry, variables
from suffrage.survey.reading import Encoding, existing_file

INTERVIEW, COUNTRY, SETTLEMENT, EDUCATION = "D_INTERVIEW", "B_COUNTRY", "H_URBRURAL", "Q275"
SETTLEMENTS = ("Urban", "Rural")
METADATA, CODEBOOK = "question_metadata.json", "codebook.json"
CONTINENTS, LEVELS = "country2continent.csv", "education2level.csv"
SEED = 0
# The first three items of each of the questionnaire's twelve topics.
PROBE_FIRST = (1, 46, 57, 106, 112, 121, 131, 158, 164, 176, 199, 235)
PROBE_ITEMS = tuple(f"Q{first + k}" for first in PROBE_FIRST for k in range(3))
# Codes that are put in the order of their scale, or that are no point of it (None).
ADJUSTMENT: Mapping[str, Mapping[int, int | None]] = {
    "Q56": {2: 3, 3: 2},
    "Q111": {3: None},
    "Q119": {0: 3, 3: 4, 4: 5},
    "Q221": {4: None},
    "Q222": {4: None},
    **{f"Q{number}": {0: 1} for number in range(241, 250)},
    "Q254": {5: None},
}
BenchmarkPart = Literal["train", "test", "valid"]
# How many participants of a cell are drawn. Cells that have no more than this are left out.
SAMPLES = 5
# Participants and examples (answers to value questions) in the table of the benchmark's README.
PUBLISHED = {
    "full": (93_278, 21_492_393),
    "train": (65_294, 15_042_191),
    "valid": (13_993, 3_225_712),
    "test": (13_991, 3_224_490),
    "probe": (4_860, 8_280),
}


class Variable(BaseModel):
    """What the question metadata says of a variable."""

    model_config = ConfigDict(frozen=True)

    question: str
    category: str
    use_case: Literal["value", "demographic"]
    answer_data_type: Literal["ordinal", "non_ordinal"]
    # The ends of the scale; empty for texts.
    answer_scale_min: int | Literal[""]
    answer_scale_max: int | Literal[""]

    @property
    def scale(self) -> tuple[int, int] | None:
        """The lowest and the highest answer, None for texts."""
        if self.answer_scale_min == "" or self.answer_scale_max == "":
            return None
        return self.answer_scale_min, self.answer_scale_max


@dataclass(frozen=True)
class BenchmarkFiles:
    """What the benchmark's own files say."""

    # By variable.
    metadata: Mapping[str, Variable]
    codebook: Mapping[str, VariableEntry]
    # The two groupings of the probe set: country to continent,
    continents: Mapping[str, str]
    # and education to one of four levels.
    levels: Mapping[str, str]

    def columns(self, use_case: str) -> list[str]:
        """The variables of one use, in the order of the metadata, the interview's number first."""
        named = [name for name, about in self.metadata.items() if about.use_case == use_case]
        return [INTERVIEW, *(name for name in named if name != INTERVIEW)]


@dataclass(frozen=True)
class Benchmark:
    """The prepared tables, with one row for each participant."""

    # Texts.
    demographics: pl.DataFrame
    # Whole numbers.
    values: pl.DataFrame
    # Row numbers of each part, in the part's own order.
    parts: Mapping[BenchmarkPart, list[int]]
    # Value question to how many answers are outside its scale.
    outside: Mapping[str, int]

    def counts(self, samples: pl.DataFrame) -> dict[str, tuple[int, int]]:
        """Participants and examples of each part and of the probe set, as `PUBLISHED`."""
        answers = self.values.drop(INTERVIEW)
        answered = answers.select(pl.sum_horizontal(pl.all().is_not_null())).to_series()
        found = {"full": (self.values.height, int(answered.sum()))}
        for part, rows in self.parts.items():
            found[part] = (len(rows), int(answered.gather(rows).sum()))
        found["probe"] = (samples[INTERVIEW].n_unique(), samples.height)
        return {name: found[name] for name in PUBLISHED}


def benchmark_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows that the benchmark keeps, in the file's order.

    frame: codes as text. Raises InputError when D_INTERVIEW is not there.
    """
    if INTERVIEW not in frame.columns:
        raise InputError(f"the file has no column {INTERVIEW}; is it the cross-national file?")
    numbers = frame[INTERVIEW].map_elements(plain_code, return_dtype=pl.String)
    return frame.filter(numbers.fill_null("") != REPEATED_INTERVIEW)


def adjusted_answers(codes: pl.Series, item: str) -> pl.Series:
    """An item's codes as the benchmark's answers (Int64), null for every kind of non-response.

    Raises InputError on a code that is no whole number.
    """
    change = ADJUSTMENT.get(item, {})
    known: dict[str, int | None] = {}
    for code in codes.unique().drop_nulls().to_list():
        plain = plain_code(code)
        if plain == "":
            known[code] = None
            continue
        try:
            number = int(plain)
        except ValueError as error:
            raise InputError(
                f'{item} holds the code "{code}", which is no whole number; take the file with '
                "codes, not with labels."
            ) from error
        changed = change.get(number, number)
        known[code] = changed if changed is not None and changed >= 0 else None
    return codes.replace_strict(known, default=None, return_dtype=pl.Int64)


def split(rows: int) -> dict[BenchmarkPart, list[int]]:
    """Row numbers of the three parts: 70% train, 15% test, and the rest, valid.

    Rows are shuffled by Python's own generator from seed 0, then cut; both counts round down.
    """
    order = list(range(rows))
    random.Random(SEED).shuffle(order)
    train = int(0.7 * rows)
    test = train + int(0.15 * rows)
    return {"train": order[:train], "test": order[train:test], "valid": order[test:]}


def read_source(folder: Path) -> BenchmarkFiles:
    """The benchmark's files from a copy of its repository, in whichever folder of it they are.

    Raises InputError on a file that is not there or has another layout.
    """

    def located(name: str) -> Path:
        found = sorted(folder.rglob(name))
        if not found:
            raise InputError(
                f"{folder}: there is no {name} in it; give the folder of a copy of "
                "github.com/Demon702/WorldValuesBench."
            )
        return found[0]

    def pairs(name: str, key: str, value: str) -> dict[str, str]:
        frame = read_csv(located(name))
        absent = [column for column in (key, value) if column not in frame.columns]
        if absent:
            raise InputError(f"{name} has no column {absent[0]}; is it WorldValuesBench's?")
        return dict(frame.select(key, value).iter_rows())

    return BenchmarkFiles(
        variables(located(METADATA), Variable),
        variables(located(CODEBOOK), VariableEntry),
        pairs(CONTINENTS, "Country", "Continent"),
        pairs(LEVELS, "Education", "Level"),
    )


def prepared(frame: pl.DataFrame, source: BenchmarkFiles, name: str) -> Benchmark:
    """The benchmark's tables and parts.

    frame: the cross-national file, codes as text, rows in its own order. name: of the file.
    Raises InputError on a variable the file lacks, and on codes that are no numbers.
    """
    absent = [variable for variable in source.metadata if variable not in frame.columns]
    if absent:
        raise InputError(
            f"{name} has no column {', '.join(absent[:8])} ({len(absent)} of the benchmark's "
            "variables are not there); is it the archive's own cross-national file?"
        )
    rows = benchmark_rows(frame)
    texts, numbers = [], []
    outside: dict[str, int] = {}
    for variable in source.columns("demographic"):
        about = source.metadata[variable]
        column = rows[variable]
        if about.answer_data_type == "ordinal":
            texts.append(adjusted_answers(column, variable).cast(pl.String).alias(variable))
        else:
            choices = source.codebook[variable].choices if variable in source.codebook else {}
            texts.append(_as_texts(column, choices))
    for variable in source.columns("value")[1:]:
        answers = adjusted_answers(rows[variable], variable).alias(variable)
        scale = source.metadata[variable].scale
        if scale is None:
            raise InputError(f"{METADATA}: {variable} is a value question without a scale.")
        wrong = int((~answers.is_between(*scale)).sum())
        outside |= {variable: wrong} if wrong else {}
        numbers.append(answers)
    return Benchmark(
        pl.DataFrame(texts), pl.DataFrame([texts[0], *numbers]), split(rows.height), outside
    )


def _as_texts(codes: pl.Series, choices: Mapping[str, str]) -> pl.Series:
    """Codes as the codebook's texts, non-response too; a code it does not list stays a code."""
    plain = {code: plain_code(code) for code in codes.unique().drop_nulls().to_list()}
    known = {code: choices.get(text, text) or None for code, text in plain.items()}
    return codes.replace_strict(known, default=None, return_dtype=pl.String).alias(codes.name)


def probe_samples(
    benchmark: Benchmark, source: BenchmarkFiles, part: BenchmarkPart = "test"
) -> pl.DataFrame:
    """The probe set: for each item, five participants of each continent, settlement and level.

    Continents and levels come in the order in which the part first has them, and one generator
    from seed 0 draws over all cells: another order of rows draws other people. Cells with five
    participants or fewer are left out. part: the benchmark's script draws from "test", its README
    says "valid". Returns the columns of its samples.tsv.
    Raises InputError on a country without a continent.
    """
    rows = list(benchmark.parts[part])
    people = benchmark.demographics[rows]
    values = benchmark.values[rows]
    countries = set(people[COUNTRY].to_list())
    unknown = sorted(str(country) for country in countries if country not in source.continents)
    if unknown:
        raise InputError(f"{CONTINENTS} has no continent for {', '.join(unknown)}; add a row.")
    continents = [source.continents[country] for country in people[COUNTRY].to_list()]
    levels = [source.levels.get(education or "") for education in people[EDUCATION].to_list()]
    cells: dict[tuple[str, str, str], list[int]] = {
        (continent, settlement, level): []
        for continent in dict.fromkeys(continents)
        for settlement in SETTLEMENTS
        for level in dict.fromkeys(level for level in levels if level)
    }
    places = zip(continents, people[SETTLEMENT].to_list(), levels, strict=True)
    for row, cell in enumerate(places):
        if cell in cells:
            cells[cell].append(row)
    ids = people[INTERVIEW].to_list()
    generator = random.Random(SEED)
    samples: list[tuple[str, ...]] = []
    for item in PROBE_ITEMS:
        answered = values[item].is_not_null().to_list()
        for cell, members in cells.items():
            there = [ids[row] for row in members if answered[row]]
            if len(there) > SAMPLES:
                category = source.metadata[item].category
                drawn = generator.sample(there, k=SAMPLES)
                samples += [(item, category, *cell, interview) for interview in drawn]
    names = ["Question", "Question Category", "Continent", "Urban / Rural", "Education", INTERVIEW]
    return pl.DataFrame(samples, schema=dict.fromkeys(names, pl.String), orient="row")


def write_benchmark(
    path: Path,
    source_folder: Path,
    output: Path,
    part: BenchmarkPart = "test",
    encoding: Encoding | None = None,
) -> tuple[Benchmark, pl.DataFrame]:
    """Make the whole benchmark from the archive's file, and write it in its own layout.

    path: the cross-national file (.csv; the labelled formats too, their rows in the same order).
    output: a folder with question_metadata.json, full/, train/, valid/, test/ (each with
    NAME_demographic_qa.tsv and NAME_value_qa.tsv) and probe/samples.tsv; all or nothing.
    Returns what was written: the tables and the samples.
    """
    storage.check_free_for_writing(output)
    source = read_source(source_folder)
    table = read_table(existing_file(path, "path"), set(source.metadata), encoding)
    benchmark = prepared(table.frame.with_columns(pl.all().cast(pl.String)), source, path.name)
    samples = probe_samples(benchmark, source, part)

    def fill(draft: Path) -> None:
        named: dict[str, list[int]] = {"full": list(range(benchmark.values.height))}
        named |= {str(name): rows for name, rows in benchmark.parts.items()}
        for name, rows in named.items():
            (draft / name).mkdir()
            for kind, frame in (
                ("demographic", benchmark.demographics),
                ("value", benchmark.values),
            ):
                _write_tsv(frame[rows], draft / name / f"{name}_{kind}_qa.tsv")
        (draft / "probe").mkdir()
        _write_tsv(samples, draft / "probe" / "samples.tsv")
        about = {name: variable.model_dump() for name, variable in source.metadata.items()}
        storage.write_json(draft / METADATA, about)

    storage.write_folder(output, fill)
    return benchmark, samples


def _write_tsv(frame: pl.DataFrame, path: Path) -> None:
    frame.write_csv(path, separator="\t", quote_style="necessary", null_value="")


def scored(scores: Path, folder: Path) -> dict[str, float]:
    """A model's distance from people on each question, as the benchmark's `evaluate.py`.

    scores: a table with QUESTION_ID, PARTICIPANT_ID and SCORE. folder: as `write_benchmark` wrote
    it. Scores that are no number are left out, fractions cut off; the people compared with are all
    that a question's rows name.
    Raises InputError on an unknown question or participant, and on a person without an answer.
    """
    frame = read_csv(existing_file(scores, "scores"))
    absent = [n for n in ("QUESTION_ID", "PARTICIPANT_ID", "SCORE") if n not in frame.columns]
    if absent:
        raise InputError(f"{scores.name} has no column {absent[0]}.")
    metadata = variables(folder / METADATA, Variable)
    values = read_csv(existing_file(folder / "full" / "full_value_qa.tsv", "folder"))
    rows = {interview: row for row, interview in enumerate(values[INTERVIEW].to_list())}
    found = {}
    for (question,), part in frame.group_by("QUESTION_ID", maintain_order=True):
        item = str(question)
        scale = metadata[item].scale if item in metadata and item in values.columns else None
        if scale is None:
            raise InputError(f"{scores.name}: {item} is not a value question of the benchmark.")
        people = [plain_code(person) for person in part["PARTICIPANT_ID"].to_list()]
        strange = [person for person in people if person not in rows]
        if strange:
            raise InputError(f"{scores.name}: {item}: participant {strange[0]} is not in the file.")
        theirs = values[item].gather([rows[person] for person in people])
        if theirs.null_count():
            who = people[int(theirs.is_null().arg_max() or 0)]
            raise InputError(f"{scores.name}: participant {who} did not answer {item}.")
        model = part["SCORE"].str.strip_chars().cast(pl.Float64, strict=False)
        kept = model.filter(model.is_finite().fill_null(False))
        if kept.is_empty():
            raise InputError(f"{scores.name}: {item} has no score that is a number.")
        found[item] = worldvaluesbench_distance(
            theirs.cast(pl.Int64).to_numpy(), kept.cast(pl.Int64).to_numpy(), *scale
        )
    return found


def worldvaluesbench_distance(
    first: npt.ArrayLike, second: npt.ArrayLike, lowest: int, highest: int
) -> float:
    """Return the benchmark's distance between two lists of answers to one question.

    Parameters
    ----------
    first, second : array_like of int
        Answers. A model may give whole numbers outside the scale.
    lowest, highest : int
        The ends of the question's scale.

    Returns
    -------
    float
        The Wasserstein-1 distance after answers are rescaled to 0 to 1:
        the sum over whole numbers x of |F(x) - G(x)| / (highest - lowest),
        where F and G are the cumulative shares.

    Raises
    ------
    InputError
        A list is empty.

    References
    ----------
    Zhao et al. (2024), WorldValuesBench, LREC-COLING; `evaluation/evaluate.py` in its repository.

    Examples
    --------
    >>> worldvaluesbench_distance([1, 3], [5, 5], 1, 5)
    0.75
    """
    sides = (np.asarray(first), np.asarray(second))
    if not all(answers.size for answers in sides):
        raise InputError("there are no answers to compare; give at least one on each side.")
    both = np.concatenate(sides)
    points = np.arange(both.min(), both.max())
    shares = [(answers[:, None] <= points).mean(axis=0) for answers in sides]
    return float(np.abs(shares[0] - shares[1]).sum() / (highest - lowest))
