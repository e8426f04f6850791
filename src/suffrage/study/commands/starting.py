"""`suffrage init`: a study from one's own data file."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from suffrage import storage
from suffrage.errors import InputError, did_you_mean
from suffrage.evaluate.statistics.inference import FEWEST_CLUSTERS
from suffrage.plurals import plural
from suffrage.study.schema import read_study
from suffrage.study.sources import built_value_set, read_sources, value_set_name
from suffrage.survey import Item, Option
from suffrage.survey.draft import TO_DO, draft_codebook
from suffrage.survey.formats.labelled_table import read_table
from suffrage.training_data.split import item_clusters

STUDY, CODEBOOK = "study.yaml", "codebook.yaml"
# Columns that describe people, weigh them or number them, by the words in their names.
_DEMOGRAPHICS = re.compile(
    r"age|alter|sex|gender|geschlecht|region|area|district|state|province|county|country|cntry|"
    r"city|town|urban|rural|educ\w*|degree|school(ing|years?|yrs?|type)?|income|party|partyid|ideology|religion|"
    r"relig|race|ethnic\w*|marital|married|employ\w*|occupation|job|class|language|"
    r"household|generation|cohort"
)
_WEIGHT = re.compile(r"weights?|wts?|wgt|pweight|dweight|anweight|pspwght|wtss\w*|w")
_RESPONDENT = re.compile(
    r"id|uuid|who|respondent|respid|respondentid|caseid|case|idno|person|personid|participant"
)
# A group has at least so many respondents, and a study so many groups at most.
LEAST_PEOPLE, MOST_GROUPS = 50, 6
# What is held out, and so many clusters of it at least; with fewer in all nothing can be shown.
SHARE, WANTED_CLUSTERS, MOST_SHARE = 0.3, 6, 0.5


@dataclass
class StartedStudy:
    """The files of a new study, and what its owner should know."""

    folder: Path
    # What was found and chosen, a line each.
    found: list[str] = field(default_factory=list)
    # What is left to do before a run, a line each.
    to_do: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "study": str(self.folder / STUDY),
            "codebook": str(self.folder / CODEBOOK),
            "found": self.found,
            "to_do": self.to_do,
        }


@dataclass(frozen=True)
class StartSettings:
    """What the user says of the data; what is left out is guessed from the columns' names."""

    # Columns that describe people.
    demographics: tuple[str, ...] = ()
    # The demographic whose values are the groups.
    by: str | None = None
    weight: str | None = None
    respondent: str | None = None
    model: str = "bundled:smollm2-135m"


def start_study(path: Path, folder: Path, told: StartSettings | None = None) -> StartedStudy:
    """Write a codebook and a study for a data file into a folder.

    The codebook is a draft: questions that the file does not word are marked TODO. The study has a
    value set for everyone and for each group that is large enough, and a split that can show a
    difference, or none where there are too few questions for that.

    Parameters
    ----------
    path : Path
        A CSV, Parquet, SPSS, Stata or SAS file.
    folder : Path
        Where `study.yaml` and `codebook.yaml` are written; neither may be there.
    told : StartSettings, optional

    Raises
    ------
    InputError
        The file cannot be read, has no column that can be an item or not one that is named, or
        the folder has a study.
    """
    told = told or StartSettings()
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; name the file with your survey's data.")
    table = read_table(path)
    columns = _Columns(table.frame, told, path.name)
    for name in (STUDY, CODEBOOK):
        if (folder / name).exists():
            raise InputError(f"{folder / name} is there already; name another folder with --out.")
    head, book = _drafted(path, columns)
    started = StartedStudy(folder)
    groups = _groups(table.frame, columns, told.by, book, started)
    items = [_item(entry) for entry in book["items"]]
    split = _split(items, started)
    folder.mkdir(parents=True, exist_ok=True)
    storage.write_text(folder / CODEBOOK, head + _yaml(book))
    storage.write_text(folder / STUDY, _study_text(path, folder, groups, split, told))
    try:
        _check(folder / STUDY, started)
    except InputError:
        for name in (STUDY, CODEBOOK):
            (folder / name).unlink()
        raise
    _list_to_do(head, book, started)
    return started


class _Columns:
    """Which columns describe people, weigh them and number them."""

    def __init__(self, frame: pl.DataFrame, told: StartSettings, source: str) -> None:
        self._frame, names = frame, frame.columns
        for name in (*told.demographics, told.by, told.weight, told.respondent):
            if name is not None and name not in names:
                raise InputError(
                    f'{source} has no column "{name}"; it has {", ".join(names[:20])}.'
                    f"{did_you_mean(name, names)}"
                )
        self.weight = told.weight or self._first(_WEIGHT, names, self._can_weigh)
        self.respondent = told.respondent or self._first(_RESPONDENT, names, self._is_unique)
        taken = {self.weight, self.respondent}
        guessed = [n for n in names if n not in taken and _DEMOGRAPHICS.fullmatch(_word(n))]
        wanted = told.demographics or tuple(guessed)
        # Taken for demographics because of their names alone.
        self.guessed = () if told.demographics else tuple(n for n in guessed if n != told.by)
        self.demographics = tuple(dict.fromkeys([*wanted, *([told.by] if told.by else [])]))

    def _first(self, pattern: re.Pattern[str], names: Sequence[str], fits: Any) -> str | None:
        found = (name for name in names if pattern.fullmatch(_word(name)) and fits(name))
        return next(found, None)

    def _can_weigh(self, name: str) -> bool:
        numbers = self._frame[name].cast(pl.String).cast(pl.Float64, strict=False)
        return numbers.null_count() == 0 and bool((numbers > 0).all())

    def _is_unique(self, name: str) -> bool:
        texts = self._frame[name].cast(pl.String)
        return texts.null_count() == 0 and texts.n_unique() == len(texts)


def _word(name: str) -> str:
    return re.sub(r"[\W_\d]+", "", name.casefold())


def _drafted(path: Path, columns: _Columns) -> tuple[str, dict[str, Any]]:
    """The comments at the head of a drafted codebook, and the codebook without demographics."""
    text = draft_codebook(path)
    lines = text.splitlines(keepends=True)
    comments = [line for line in lines if line.startswith("#")]
    drafted = yaml.safe_load(text)
    apart = {*columns.demographics, columns.weight, columns.respondent}
    items = [entry for entry in drafted["items"] if entry.get("column", entry["id"]) not in apart]
    if not items:
        raise InputError(f"{path.name}: every column describes people; no question is left.")
    book = {
        "title": f"{TO_DO}: the title of {path.name}",
        "citation": f"{TO_DO}: how to cite it",
        "terms": f"{TO_DO}: who may use it",
        **({"respondent": columns.respondent} if columns.respondent else {}),
        **({"weight": columns.weight} if columns.weight else {}),
        "demographics": {_name(column): column for column in columns.demographics},
        "items": items,
    }
    return "".join(comments), book


def _name(column: str) -> str:
    return re.sub(r"\W+", "_", column.strip().lower()).strip("_") or "demographic"


def _item(entry: dict[str, Any]) -> Item:
    options = tuple(Option(code=str(c), text=str(t)) for c, t in entry["options"].items())
    return Item(id=str(entry["id"]), question=entry["question"], options=options)


@dataclass(frozen=True)
class _Group:
    name: str
    where: dict[str, str]
    description: str


def _groups(
    frame: pl.DataFrame,
    columns: _Columns,
    by: str | None,
    book: dict[str, Any],
    started: StartedStudy,
) -> list[_Group]:
    """The groups of the demographic with most groups that are large enough, or of the one named."""
    names = dict(zip(columns.demographics, book["demographics"], strict=True))
    candidates = {c: _large_values(frame, c) for c in ([by] if by else columns.demographics)}
    candidates = {column: values for column, values in candidates.items() if len(values) > 1}
    started.found.append(f"Demographics  {', '.join(columns.demographics) or 'none found'}")
    if columns.guessed:
        listed = ", ".join(columns.guessed)
        started.to_do.append(
            f"Check that {listed} describe people, as their names say. If one of them is a "
            "question, begin again in another folder (--out) and name those that do with "
            "--demographic."
        )
    if not candidates:
        started.found.append("Groups        everyone only")
        started.to_do.append(
            f"No two values of {by} have {LEAST_PEOPLE} respondents each: write the value sets "
            "yourself, or name another demographic (--by)."
            if by
            else f"Name a demographic with two groups or more of at least {LEAST_PEOPLE} "
            "respondents (--by), or write the value sets yourself."
        )
        return []
    column, values = max(candidates.items(), key=lambda pair: len(pair[1]))
    demographic = names[column]
    shown = ", ".join(f"{value} ({count})" for value, count in values)
    started.found.append(f"Groups        by {column}: {shown}")
    return [
        _Group(
            name,
            {demographic: value},
            f"people whose {demographic.replace('_', ' ')} is {value}",
        )
        for (value, _), name in zip(values, _names(demographic, values), strict=True)
    ]


def _names(demographic: str, values: Sequence[tuple[str, int]]) -> list[str]:
    """A name for each value: its own words, or the demographic's with a number.

    Words in other scripts than the Latin one leave no name, and two values may leave the same.
    """
    names = [value_set_name(value) for value, _ in values]
    taken = {"everyone", "population"}
    stem = value_set_name(demographic)
    return [
        name if names.count(name) == 1 and name not in taken else f"{stem}-{place}"
        for place, name in enumerate(names, 1)
    ]


def _large_values(frame: pl.DataFrame, column: str) -> list[tuple[str, int]]:
    """The values that enough respondents have, most first; none of a column with many values."""
    texts = frame[column].cast(pl.String).str.strip_chars()
    counts = texts.drop_nulls().value_counts(sort=True).iter_rows()
    large = [(value, count) for value, count in counts if value and count >= LEAST_PEOPLE]
    return large[:MOST_GROUPS]


def _split(items: Sequence[Item], started: StartedStudy) -> float:
    """The share of questions to hold out; 0 where there are too few kinds of questions."""
    clusters = len(set(item_clusters(items).values()))
    alike = (
        f"; {clusters}, if those that ask nearly the same count as one"
        if clusters < len(items)
        else ", no two of which ask nearly the same"
    )
    started.found.append(f"Questions     {len(items)}{alike}")
    share = max(SHARE, math.ceil(100 * WANTED_CLUSTERS / clusters) / 100)
    if share <= MOST_SHARE and clusters * (1 - share) >= FEWEST_CLUSTERS:
        started.found.append(f"Held out      {share:.0%} of the questions")
        return share
    started.found.append(
        "Held out      nothing: with so few questions training could not be shown to work, so that "
        "the study only asks the untrained model"
    )
    return 0.0


def _study_text(
    path: Path, folder: Path, groups: Sequence[_Group], share: float, told: StartSettings
) -> str:
    """The study, with a comment on each part."""
    data = os.path.relpath(path.resolve(), folder.resolve())
    survey = {"reader": "labelled_file", "path": Path(data).as_posix(), "codebook": CODEBOOK}
    sets: list[dict[str, Any]] = [{"name": "everyone", "description": "the people asked"}]
    sets += [{"name": g.name, "where": g.where, "description": g.description} for g in groups]
    methods: list[Any] = ["base", "prompt"]
    if share:
        methods.append({"method": "distribution", "steps": 60, "learning_rate": 0.002})
    listed = "".join(f"  - {_flow(entry)}\n" for entry in sets)
    return (
        "# yaml-language-server: $schema=study-schema.json\n"
        f"study: {value_set_name(path.stem)}\n"
        f"title: {json.dumps(f'Answers in {path.name}', ensure_ascii=False)}\n"
        "seed: 7\n"
        f"survey: {_flow(survey)}\n"
        '# Whose answers. A description fits into "Answer as ... would."\n'
        f"value_sets:\n{listed}"
        "# Questions that no method learns from.\n"
        f"held_out: {_flow({'by': 'item', 'share': share})}\n"
        f"model: {_flow(told.model)}\n"
        "# base: the model as itself. prompt: told whose answer is wanted. distribution: trained.\n"
        f"methods: {_flow(methods)}\n"
        "output: run\n"
    )


def _flow(content: Any) -> str:
    text = yaml.safe_dump(
        content, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True
    )
    return text.removesuffix("...\n").strip()


def _yaml(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _check(study: Path, started: StartedStudy) -> None:
    """Read the study back. Raises InputError where its survey or its groups cannot be read."""
    loaded = read_study(study)
    sources = read_sources(loaded)
    everyone, *_ = (built_value_set(loaded, sources, spec) for spec in loaded.value_sets)
    started.found.insert(0, f"Respondents   {everyone.n:,}; {everyone.weighting}")


def _list_to_do(head: str, book: dict[str, Any], started: StartedStudy) -> None:
    unworded = [e["id"] for e in book["items"] if e["question"].startswith(TO_DO)]
    if unworded:
        named = ", ".join(map(str, unworded[:5])) + (" ..." if len(unworded) > 5 else "")
        started.to_do.insert(
            0,
            f"Write the question behind {plural(len(unworded), 'item')} into {CODEBOOK} ({named}); "
            "a model is asked in these words.",
        )
    if "# In doubt" in head:
        started.to_do.append(
            f"Look at the codes in doubt at the head of {CODEBOOK}, and move those that are no "
            "answers to non_response."
        )
    unlabelled = [e["id"] for e in book["items"] if _says_nothing(e["options"].values())]
    if unlabelled:
        named = ", ".join(map(str, unlabelled[:5])) + (" ..." if len(unlabelled) > 5 else "")
        started.to_do.insert(
            1 if unworded else 0,
            f"Write what the numbers mean into the options of {plural(len(unlabelled), 'item')} "
            f"({named}).",
        )
    unordered = [
        e["id"] for e in book["items"] if e.get("ordered") is False and len(e["options"]) > 2
    ]
    if unordered:
        named = ", ".join(map(str, unordered[:5])) + (" ..." if len(unordered) > 5 else "")
        started.to_do.append(
            f"Check {plural(len(unordered), 'item')} taken for unordered ({named}). If the options "
            f"form a scale, put them in order in {CODEBOOK} and delete `ordered: false`."
        )
    started.to_do.append(
        f"Check the descriptions in {STUDY}, and fill in the title, the citation and the terms in "
        f"{CODEBOOK}."
    )


def _says_nothing(texts: Collection[str]) -> bool:
    return all(re.fullmatch(r"-?\d+", str(text)) for text in texts)
