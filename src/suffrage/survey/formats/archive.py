"""What readers of an archive's file share: a codebook that comes with Suffrage, and its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, field_validator, model_validator

from suffrage import settings, storage
from suffrage.errors import InputError, did_you_mean
from suffrage.plurals import plural
from suffrage.survey.codebook import Codebook, Item, NonResponse, Option
from suffrage.survey.codes import code_order, plain_code
from suffrage.survey.formats.codebook_values import NonResponseCodes, OptionList
from suffrage.survey.formats.labelled_table import LabelledTable, read_table
from suffrage.survey.non_response_labels import (
    LabelReading,
    label_uses,
    names_places,
    read_labels,
)
from suffrage.survey.reading import (
    NO_WEIGHT,
    Encoding,
    ReaderOptions,
    existing_file,
    first_names,
    positions,
)
from suffrage.survey.respondents import FILE_ROW, is_empty, with_file_rows
from suffrage.survey.survey import Provenance, ReadCode, SetAside, Survey

# Demographics that are numbers, whatever label a file puts on some of them.
COUNTED = ("age", "school_years", "year")


def _one_or_many(given: object) -> object:
    return [given] if isinstance(given, str) else given


def chosen_waves(given: object) -> object:
    """A wave, or a list of waves, as a tuple; "all" is the empty tuple."""
    if given == "all":
        return ()
    return [given] if isinstance(given, int) and not isinstance(given, bool) else given


# Which rounds, years or waves of a file to read; empty for all, None where nothing was said.
ChosenWaves = Annotated[tuple[int, ...] | None, BeforeValidator(chosen_waves)]


class ArchiveOptions(ReaderOptions):
    """What a study may say to any reader of an archive's file."""

    # The file, or several, of any kind that `labelled_file` reads.
    path: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
    # Only these items.
    items: tuple[str, ...] | None = None
    # A weight column, or "none"; the reader's own default when left out.
    weight: str | None = None
    # The encoding of a file that is not UTF-8.
    encoding: Encoding | None = None
    # Questions in our own wording, or in that of the file's variable labels.
    wording: Literal["own", "file"] = "own"


def _template(given: object) -> object:
    return {} if given is None else given


class BookScale(BaseModel):
    """A scale that questions of the codebook share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Code to text in the order of the scale,
    options: OptionList = None
    # or a range of numbers with names for its two ends.
    range: tuple[int, int] | None = None
    ends: tuple[str, str] | None = None
    direction: str | None = None
    ordered: bool = True
    non_response: NonResponseCodes = {}

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> BookScale:
        if (self.options is None) == (self.range is None):
            raise ValueError("a scale needs either options, or a range with its ends")
        if self.ordered and not self.direction:
            raise ValueError("an ordered scale needs its direction in words")
        return self

    def as_options(self) -> tuple[Option, ...]:
        """The options; a range's ends carry their number and their name."""
        if self.options is not None:
            return self.options
        low, high = self.range or (0, 0)
        names = dict(zip((low, high), self.ends or (), strict=True))
        return tuple(
            Option(code=str(n), text=f"{n} ({names[n]})" if n in names else str(n))
            for n in range(low, high + 1)
        )


class BookQuestion(BaseModel):
    """One item, or several that share a stem and a scale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    # The name of one of the codebook's scales.
    scale: str
    topic: str
    # Of one item.
    id: str | None = None
    battery: str | None = None
    # Of several: item id to the text that fills the {} of the question.
    items: Annotated[dict[str, str], BeforeValidator(_template)] = {}
    note: str | None = None

    @model_validator(mode="after")
    def _either_one_or_many(self) -> BookQuestion:
        if (self.id is None) != bool(self.items) or ("{}" in self.question) != bool(self.items):
            raise ValueError("a question has an id, or items that fill the {} in it")
        return self

    def worded(self) -> dict[str, str]:
        """Item id to the complete question."""
        if self.id is not None:
            return {self.id: self.question}
        return {item: self.question.replace("{}", text) for item, text in self.items.items()}


class ArchiveBook(BaseModel):
    """A codebook under `survey/codebooks/`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    citation: str
    terms: str
    non_response: NonResponseCodes
    scales: dict[str, BookScale]
    questions: tuple[BookQuestion, ...]

    @field_validator("questions")
    @classmethod
    def _ids_are_distinct(cls, questions: tuple[BookQuestion, ...]) -> tuple[BookQuestion, ...]:
        ids = [item for question in questions for item in question.worded()]
        twice = sorted({item for item in ids if ids.count(item) > 1})
        if twice:
            raise ValueError(f"item {twice[0]} appears twice")
        return questions

    def items(self) -> dict[str, Item]:
        """Every item, by id, in the order of the codebook."""
        found = {}
        for question in self.questions:
            scale = self.scales[question.scale]
            for item_id, text in question.worded().items():
                found[item_id] = Item(
                    id=item_id,
                    question=text,
                    options=scale.as_options(),
                    ordered=scale.ordered,
                    direction=scale.direction,
                    topic=question.topic,
                    battery=question.battery,
                    note=question.note,
                )
        return found

    def kinds(self) -> dict[str, Mapping[str, NonResponse]]:
        """Item id to its codes of non-response."""
        return {
            item: {**self.non_response, **self.scales[question.scale].non_response}
            for question in self.questions
            for item in question.worded()
        }


def read_book(name: str) -> ArchiveBook:
    """A codebook that comes with Suffrage."""
    path = Path(__file__).parents[1] / "codebooks" / name
    return settings.validated(ArchiveBook, settings.read_yaml(path), name)


@dataclass(frozen=True)
class Archive:
    """An archive's file that has been read."""

    path: Path
    table: LabelledTable
    # The rows in use, with `FILE_ROW`.
    frame: pl.DataFrame
    # Variable in lower case to the file's own spelling.
    spelled: Mapping[str, str]
    # What was taken for non-response, and why; filled while columns are read.
    read_codes: list[ReadCode] = field(default_factory=list)

    def has(self, variable: str) -> bool:
        """Whether the file has the variable, however it spells it."""
        return variable.lower() in self.spelled

    def column(self, variable: str) -> pl.Series:
        """A variable's codes as text, stripped; empty cells are null."""
        codes = self.frame[self.spelled[variable.lower()]].cast(pl.String).str.strip_chars()
        return codes.set(codes == "", None)

    def needed(self, variables: Sequence[str]) -> None:
        """Raises InputError when the file lacks one of the variables."""
        absent = [variable for variable in variables if not self.has(variable)]
        if absent:
            raise InputError(
                f"{self.path.name} has no column {', '.join(absent)}; is it the archive's own "
                "file, unchanged?"
            )

    def filled(self, variables: Sequence[str], advice: str) -> None:
        """Raises InputError, ending in the advice, when one of the variables has an empty cell."""
        for variable in variables:
            empty = is_empty(self.column(variable))
            if empty.any():
                raise InputError(
                    f"{self.path.name} row {self.frame[FILE_ROW].filter(empty)[0]}: {variable} is "
                    f"empty ({plural(int(empty.sum()), 'such row')}); {advice}"
                )

    def where(self, keep: pl.Series) -> Archive:
        """The same over some of the rows."""
        return replace(self, frame=self.frame.filter(keep))

    def words(self, variable: str, name: str, labels: Mapping[str, str] | None = None) -> pl.Series:
        """A demographic as text for people; null for what is no answer.

        labels: code to word; the file's own value labels come after these, and a code that
        neither names stays a code. Negative codes and what the file declares missing are unknown.
        """
        codes = self.column(variable)
        column = self.spelled[variable.lower()]
        texts = {**self.table.labels.get(column, {}), **(labels or {})}
        # In numbers a label such as "89 or older" gives way to 89, so that they can be compared.
        known: dict[str, str | None] = {}
        found = sorted(codes.unique().drop_nulls().to_list(), key=code_order)
        worded = {code: texts.get(plain_code(code), plain_code(code)) for code in found}
        by_code = {**texts, **{plain_code(code): word for code, word in worded.items()}}
        readings = read_labels(
            by_code.values(),
            places=names_places(variable) or names_places(name),
            uses=label_uses(codes, by_code),
        )
        for code, word in worded.items():
            plain = plain_code(code)
            read_as = self._unknown(column, name, plain, word, readings[word])
            if read_as is not None:
                self.read_codes.append(read_as)
            unknown = read_as is not None and read_as.kind
            known[code] = None if unknown else plain if name in COUNTED else word
        return codes.replace_strict(known, default=None, return_dtype=pl.String).alias(name)

    def _unknown(
        self, column: str, name: str, code: str, word: str, reading: LabelReading
    ) -> ReadCode | None:
        """Why a demographic's code is no answer, or is in doubt; None when it is an answer."""
        label = self.table.labels.get(column, {}).get(code, "")
        declared = self.table.declared_missing(column, [code])
        if declared:
            return ReadCode(name, code, label, declared[code].label, self.table.why_missing)
        kind = reading.kind
        if code.startswith("-"):
            kind = kind or reading.doubtful or NonResponse.MISSING
            return ReadCode(name, code, label, kind.label, "a negative code")
        if kind is not None:
            return ReadCode(name, code, label, kind.label, "its label")
        return reading.asked_about(word, name, code)


def open_archives(options: ArchiveOptions, folder: Path, wanted: Sequence[str]) -> list[Archive]:
    """Read the wanted variables of each of the archive's files, spelled in capitals or not.

    Raises InputError on a file that is not there, cannot be read or has no rows.
    """
    return [_open_archive(path, options, wanted) for path in archive_files(options, folder)]


def open_archive(options: ArchiveOptions, folder: Path, wanted: Sequence[str]) -> Archive:
    """Read the archive's one file. Raises InputError on several, and as `open_archives` does."""
    if len(options.path) > 1:
        raise InputError("survey.path: this reader takes one file; the archive joins the others.")
    return open_archives(options, folder, wanted)[0]


def _open_archive(path: Path, options: ArchiveOptions, wanted: Sequence[str]) -> Archive:
    lower = {name.lower() for name in wanted}
    columns = [*wanted, *(name.lower() for name in wanted), *(name.upper() for name in wanted)]
    table = read_table(path, set(columns), options.encoding)
    if table.frame.is_empty():
        raise InputError(f"{path.name} has none of the survey's columns, or no rows.")
    spelled = {name.lower(): name for name in table.frame.columns if name.lower() in lower}
    return Archive(path, table, with_file_rows(table.frame, table.first_row), spelled)


def archive_files(options: ArchiveOptions, folder: Path) -> list[Path]:
    """The archive's files. Raises InputError when one does not exist, or there is none."""
    if not options.path:
        raise InputError("survey.path: the list is empty; name the archive's file.")
    return [existing_file(folder / path, "path") for path in options.path]


def by_wave(
    archives: Sequence[Archive], variable: str, wanted: tuple[int, ...] | None, key: str
) -> dict[str, Archive]:
    """Return the rows of each wave that was asked for, by the wave's number.

    Parameters
    ----------
    archives : sequence of Archive
    variable : str
        The variable that holds the wave, such as "essround".
    wanted : tuple of int, or None
        The waves, in the order to read them; empty for all. With None each file is one wave.
    key : str
        The option that names waves, for messages.

    Raises
    ------
    InputError
        A file has several waves and none was named, a wave is not there, or it is in two files.
    """
    found: dict[str, Archive] = {}
    for archive in archives:
        source = archive.path.name
        if not archive.has(variable):
            rows = {archive.path.stem: archive}
        else:
            archive.filled([variable], "every respondent needs one.")
            codes = archive.column(variable)
            known = {code: plain_code(code) for code in codes.unique().to_list()}
            waves = codes.replace_strict(known, return_dtype=pl.String)
            numbers = sorted(set(known.values()), key=code_order)
            if wanted is None and len(numbers) > 1:
                raise InputError(
                    f"{source} holds {key}s {first_names(numbers)}; name one or several with "
                    f"`{key}:`, or say `{key}: all`."
                )
            rows = {number: archive.where(waves == number) for number in numbers}
        twice = sorted(rows.keys() & found.keys())
        if twice:
            raise InputError(
                f"survey.path: {key} {twice[0]} is in {found[twice[0]].path.name} and in {source}."
            )
        found |= rows
    absent = [str(number) for number in wanted or () if str(number) not in found]
    if absent:
        sources = ", ".join(archive.path.name for archive in archives)
        raise InputError(
            f"survey.{key}: {absent[0]} is not in {sources}, which has {first_names([*found])}."
        )
    return {str(number): found[str(number)] for number in wanted} if wanted else found


def chosen_weight(options: ArchiveOptions, archive: Archive, default: Sequence[str]) -> str | None:
    """The variable of the base weight: as the option says, else the first of `default` there is.

    Raises InputError when the option names a weight the file lacks, and when it has none at all.
    """
    if options.weight == NO_WEIGHT:
        return None
    wanted = [options.weight] if options.weight else [*default]
    for weight in wanted:
        if archive.has(weight):
            return archive.spelled[weight.lower()]
    raise InputError(
        f"{archive.path.name} has no weight {' or '.join(wanted)}; name a column of it under "
        "`weight:`, or say `weight: none`."
    )


def build_survey(
    reader: str,
    options: ArchiveOptions,
    book: ArchiveBook,
    archive: Archive,
    people: Sequence[pl.Series],
    demographics: Sequence[str],
    weight: str | None,
    set_aside: Sequence[SetAside] = (),
    names: Mapping[str, str] | None = None,
) -> Survey:
    """The survey of an archive's file.

    people: respondent, weight, design and demographics. names: item id to the variable it is read
    from, where the two differ. Items the file lacks are set aside; items nobody was asked too.
    Raises InputError on an item the codebook or the file lacks, and on codes nobody declared.
    """
    items = book.items()
    variable = {item: (names or {}).get(item, item) for item in items}
    unknown = [item for item in options.items or () if item not in items]
    if unknown:
        raise InputError(
            f"survey.items: {unknown[0]} is not an item of the codebook of {reader}; it has "
            f"{', '.join(list(items)[:8])} and others.{did_you_mean(unknown[0], items)}"
        )
    archive.needed([variable[item] for item in options.items or ()])
    wanted = [item for item in options.items or items if archive.has(variable[item])]
    if not wanted:
        raise InputError(f"{archive.path.name} has none of the items of {reader}.")
    absent = [item for item in items if not archive.has(variable[item])]
    kinds = book.kinds()
    columns = {item: archive.spelled[variable[item].lower()] for item in wanted}
    asked = [_worded(items[item], columns[item], options, archive) for item in wanted]
    aside = [*set_aside]
    if absent and options.items is None:
        aside.append(SetAside(", ".join(absent), len(absent), "not in the file"))
    return Survey(
        pl.DataFrame(
            [
                *people,
                *(_answers(item, columns[item.id], kinds[item.id], archive) for item in asked),
            ]
        ),
        Codebook(
            title=book.title,
            items=tuple(asked),
            demographics=tuple(demographics),
            citation=book.citation,
            terms=book.terms,
        ),
        Provenance(
            reader=reader,
            files={archive.path.name: storage.file_hash(archive.path)},
            statement=f"Weighted by {weight}."
            if weight
            else "Unweighted: the figures stand for the people interviewed.",
            weight_variable=weight,
            set_aside=tuple(aside),
            read_codes=tuple(archive.read_codes),
        ),
    )


def _worded(item: Item, column: str, options: ArchiveOptions, archive: Archive) -> Item:
    """The item with the question that the study asks for: ours, or the file's variable label."""
    if options.wording == "own":
        return item
    label = archive.table.wording.get(column)
    if not label:
        raise InputError(
            f"{archive.path.name} has no variable label for {column}; use `wording: own`."
        )
    return item.model_copy(update={"question": label})


def _answers(
    item: Item, column: str, kinds: Mapping[str, NonResponse], archive: Archive
) -> pl.Series:
    """An item's answers as positions.

    A code that is no option is what the codebook says, else what its label in the file says, else
    what the file declares missing.
    """
    given = archive.frame[column]
    codes = {plain_code(code) for code in given.unique().drop_nulls().to_list()}
    labels = archive.table.labels.get(column, {})
    readings = read_labels(labels.values())
    labelled = {code: readings[labels[code]].kind for code in codes if code in labels}
    sources = [
        (archive.table.why_missing, archive.table.declared_missing(column, codes)),
        ("its label", {code: kind for code, kind in labelled.items() if kind is not None}),
        ("the codebook", kinds),
    ]
    options = {option.code for option in item.options}
    non_response: dict[str, NonResponse] = {}
    reasons: dict[str, str] = {}
    for why, found in sources:
        for code, kind in found.items():
            if code not in options:
                non_response[code], reasons[code] = kind, why
    archive.read_codes.extend(
        ReadCode(item.id, code, labels.get(code, ""), non_response[code].label, reasons[code])
        for code in sorted(codes & non_response.keys(), key=code_order)
    )
    return positions(given, item, non_response, archive.path.name, archive.frame[FILE_ROW])
