"""`PublishedTable`: populations' answers to questions as published, without respondents."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.errors import InputError, did_you_mean
from suffrage.survey.codebook import Codebook, Item, NonResponse, Option
from suffrage.survey.codes import plain_code
from suffrage.survey.non_response_labels import LabelReading, read_labels
from suffrage.survey.scales import forms_scale
from suffrage.survey.survey import Provenance, ReadCode, SetAside

# Published shares are rounded; a table further than this from 1 is incomplete.
TOLERANCE = 0.02
CELLS = "cells.parquet"
MANIFEST = "table.json"


@dataclass(frozen=True)
class PublishedAnswer:
    """One population's answers to one question, as published."""

    population: str
    question: str
    options: tuple[str, ...]
    # Of the options, in the same order.
    shares: tuple[float, ...]
    # How many people were asked, non-response included; None where it is not published.
    n: float | None = None
    # The publisher's name for the question.
    key: str | None = None
    # None where the publisher does not say whether the options form a scale.
    ordered: bool | None = None
    topic: str | None = None
    battery: str | None = None
    # Where it is, for messages: "row 12".
    place: str = ""

    @property
    def item_id(self) -> str:
        """The publisher's key, else a hash of the question and its options."""
        return self.key or storage.content_hash([self.question, list(self.options)])


@dataclass(frozen=True)
class PublishedCell:
    """One population's answers to one item, over the options that are answers."""

    # Shape (options,); sums to 1.
    shares: FloatArray
    # How many people chose one of the options; None where it is not published.
    n: float | None
    # The share of each kind of non-response among all who were asked.
    non_response: Mapping[str, float]


@dataclass(frozen=True)
class PublishedTable:
    """What populations answered, without their respondents."""

    codebook: Codebook
    provenance: Provenance
    # By population, then by item.
    cells: Mapping[str, Mapping[str, PublishedCell]]
    # How a question to a model names each population.
    descriptions: Mapping[str, str]
    # What the shares are, in one sentence.
    weighting: str
    # Cells that could not be read: "Kenya: Q12 (the shares sum to 0.700)".
    set_aside: tuple[str, ...] = ()
    _hash: str = field(default="", compare=False, repr=False)

    @property
    def populations(self) -> tuple[str, ...]:
        """The names of the populations, sorted."""
        return tuple(sorted(self.cells))

    @property
    def content_hash(self) -> str:
        """Equal for equal answers and questions, whatever the order of the rows."""
        if not self._hash:
            book = self.codebook.model_dump(mode="json")
            rows = [
                [name, item, cell.shares.round(9).tolist(), cell.n, dict(cell.non_response)]
                for name in self.populations
                for item, cell in sorted(self.cells[name].items())
            ]
            made = storage.content_hash([book, rows, dict(self.descriptions)])
            object.__setattr__(self, "_hash", made)
        return self._hash

    def renamed(self, names: Mapping[str, str]) -> PublishedTable:
        """Return the table with other names for populations.

        Raises InputError where a population is not in the table, or two would have one name.
        """
        for name in names:
            if name not in self.cells:
                raise InputError(
                    f'survey.rename: there is no population "{name}"; there are '
                    f"{_first(self.populations)}.{did_you_mean(name, self.populations)}"
                )
        new = {name: names.get(name, name) for name in self.cells}
        twice = [name for name, count in Counter(new.values()).items() if count > 1]
        if twice:
            raise InputError(f'survey.rename: two populations would be called "{twice[0]}".')
        return replace(
            self,
            cells={new[name]: own for name, own in self.cells.items()},
            descriptions={new[name]: text for name, text in self.descriptions.items()},
            _hash="",
        )

    def write(self, folder: Path) -> None:
        """Write `cells.parquet` and `table.json` into a folder, all or nothing."""

        def fill(draft: Path) -> None:
            self._frame().write_parquet(draft / CELLS)
            manifest = {
                "codebook": self.codebook.model_dump(mode="json"),
                "provenance": asdict(self.provenance),
                "descriptions": dict(self.descriptions),
                "weighting": self.weighting,
                "set_aside": list(self.set_aside),
                "content_hash": self.content_hash,
            }
            (draft / MANIFEST).write_text(
                json.dumps(manifest, indent=2, ensure_ascii=False), encoding="utf-8"
            )

        storage.write_folder(folder, fill)

    def _frame(self) -> pl.DataFrame:
        rows = [
            {
                "population": name,
                "item": item,
                "shares": cell.shares.tolist(),
                "n": cell.n,
                "non_response": json.dumps(dict(cell.non_response)),
            }
            for name in self.populations
            for item, cell in self.cells[name].items()
        ]
        schema: dict[str, pl.DataType | type[pl.DataType]] = {
            "population": pl.String,
            "item": pl.String,
            "shares": pl.List(pl.Float64),
            "n": pl.Float64,
            "non_response": pl.String,
        }
        return pl.DataFrame(rows, schema=schema)

    @classmethod
    def read(cls, folder: Path) -> PublishedTable:
        """Read back what `write` wrote."""
        manifest: dict[str, Any] = storage.read_json(folder / MANIFEST)
        provenance = manifest["provenance"]
        cells: dict[str, dict[str, PublishedCell]] = {}
        for row in pl.read_parquet(folder / CELLS).iter_rows(named=True):
            cells.setdefault(row["population"], {})[row["item"]] = PublishedCell(
                np.array(row["shares"]), row["n"], json.loads(row["non_response"])
            )
        return cls(
            codebook=Codebook.model_validate(manifest["codebook"]),
            provenance=Provenance(
                **{
                    **provenance,
                    "set_aside": tuple(SetAside(**aside) for aside in provenance["set_aside"]),
                    "made": tuple(provenance["made"]),
                    "read_codes": tuple(ReadCode(**c) for c in provenance["read_codes"]),
                }
            ),
            cells=cells,
            descriptions=manifest["descriptions"],
            weighting=manifest["weighting"],
            set_aside=tuple(manifest["set_aside"]),
        )


def build_table(
    answers: Iterable[PublishedAnswer],
    *,
    title: str,
    reader: str,
    files: Mapping[str, str],
    weighting: str,
    description: str = "people of {population}",
    citation: str | None = None,
    terms: str | None = None,
    strict: str | None = None,
) -> PublishedTable:
    """Build a table from its rows.

    Items come in the order of their ids, so the order of rows changes nothing.

    Parameters
    ----------
    answers : iterable of PublishedAnswer
    title, citation, terms : str
        As in a codebook.
    reader : str
        The reader's name.
    files : mapping
        File name to content hash.
    weighting : str
        What the shares are, in one sentence.
    description : str
        How a question to a model names a population, with its name for `{population}`.
    strict : str, optional
        The file's name, where a row that cannot be read is the user's mistake and raises
        InputError. By default such a row is set aside by name.

    Returns
    -------
    PublishedTable

    Raises
    ------
    InputError
        An item has other options for another population, or nothing can be read. With `strict`,
        also where shares do not sum to 1, or a population has two rows for one item.
    """
    rows = sorted(answers, key=lambda row: (row.item_id, row.population, row.place))
    readings = _label_readings(rows)
    items, cells, aside = _read_rows(rows, readings, strict, strict or next(iter(files), reader))
    if not cells:
        first_aside = f"; the first was set aside as {min(aside)}" if aside else ""
        raise InputError(f"{next(iter(files), reader)}: no row has usable shares{first_aside}.")
    return PublishedTable(
        codebook=Codebook(
            title=title, items=tuple(with_batteries(items)), citation=citation, terms=terms
        ),
        provenance=Provenance(
            reader=reader,
            files=dict(files),
            statement=f"The answers are {weighting}.",
            set_aside=(SetAside("cells", len(aside), "no usable shares"),) if aside else (),
            read_codes=tuple(_read_codes(readings, {item.id for item in items})),
        ),
        cells=cells,
        descriptions={name: description.format(population=name) for name in sorted(cells)},
        weighting=weighting,
        set_aside=tuple(sorted(aside)),
    )


_Readings = Mapping[str, Mapping[str, LabelReading]]


def _label_readings(rows: Iterable[PublishedAnswer]) -> _Readings:
    """By item, what each of its options means among all that any population was offered."""
    options: dict[str, dict[str, None]] = {}
    for row in rows:
        options.setdefault(row.item_id, {}).update(dict.fromkeys(map(plain_code, row.options)))
    return {item: read_labels(texts) for item, texts in options.items()}


def _read_codes(readings: _Readings, items: Collection[str]) -> Iterator[ReadCode]:
    """Which options of the items were taken for non-response, and which are in doubt."""
    for item in sorted(items):
        for text, reading in readings[item].items():
            if reading.kind is not None:
                yield ReadCode(item, text, "", reading.kind.label, "its text")
            elif reading.doubtful is not None:
                why = f'its text may mean "{reading.doubtful.label}"'
                yield ReadCode(item, text, "", "", why)


def _read_rows(
    rows: Sequence[PublishedAnswer], readings: _Readings, strict: str | None, source: str
) -> tuple[list[Item], dict[str, dict[str, PublishedCell]], set[str]]:
    """The items, the cells by population and item, and what was set aside.

    Raises InputError as `build_table` does. source: what messages call the file.
    """
    items: dict[str, tuple[Item, PublishedAnswer]] = {}
    cells: dict[str, dict[str, PublishedCell]] = {}
    aside: set[str] = set()
    counts = Counter((row.item_id, row.population) for row in rows)
    for row in rows:
        try:
            if not row.population or not row.question.strip():
                raise ValueError(f"the {'question' if row.population else 'group'} is empty")
            if counts[row.item_id, row.population] > 1:
                raise ValueError("it appears twice for this population")
            texts, cell = _cell(row, readings[row.item_id])
        except ValueError as error:
            if strict is not None:
                raise InputError(f"{strict} {row.place}: {row.population}: {error}.") from error
            aside.add(f"{row.population}: {row.item_id} ({error})")
            continue
        if row.item_id not in items:
            items[row.item_id] = (_item(row, texts), row)
        known, first = items[row.item_id]
        if known.texts != texts:
            raise InputError(
                f"{source} {row.place}: item {row.item_id} has the options {', '.join(texts)} for "
                f"{row.population}, and {', '.join(known.texts)} for {first.population}"
                f"{f' ({first.place})' if first.place else ''}; a question with other options "
                "needs a name of its own in the column item."
            )
        cells.setdefault(row.population, {})[row.item_id] = cell
    return [item for item, _ in items.values()], cells, aside


def _item(row: PublishedAnswer, texts: tuple[str, ...]) -> Item:
    return Item(
        id=row.item_id,
        question=row.question,
        options=tuple(Option(code=str(k), text=text) for k, text in enumerate(texts)),
        ordered=forms_scale(texts) if row.ordered is None else row.ordered,
        topic=row.topic,
        battery=row.battery,
    )


def _cell(
    row: PublishedAnswer, readings: Mapping[str, LabelReading]
) -> tuple[tuple[str, ...], PublishedCell]:
    """The texts of the options that are answers, and the answers over them.

    Raises ValueError with the reason when no distribution can be read from the row.
    """
    if len(row.options) != len(row.shares):
        raise ValueError(f"{len(row.options)} options but {len(row.shares)} shares")
    shares = np.array(row.shares, dtype=np.float64)
    if not np.isfinite(shares).all() or (shares < 0).any():
        raise ValueError("a share is negative or no number")
    total = float(shares.sum())
    if abs(total - 1) > TOLERANCE:
        raise ValueError(
            f"the shares sum to {total:.3f}, not to 1; is an option missing, or are they counts?"
        )
    texts = [plain_code(option) for option in row.options]
    kinds = [readings[text].kind for text in texts]
    kept = [k for k, kind in enumerate(kinds) if kind is None]
    if len(kept) < 2:
        raise ValueError("fewer than two options are answers")
    twice = [text for text, n in Counter(texts[k] for k in kept).items() if n > 1]
    if twice:
        raise ValueError(f'two options read "{twice[0]}"')
    answered = float(shares[kept].sum())
    if answered == 0:
        raise ValueError("nobody chose an answer")
    non_response = {kind.label: 0.0 for kind in NonResponse if kind in kinds}
    for kind, share in zip(kinds, shares, strict=True):
        if kind is not None:
            non_response[kind.label] += float(share / total)
    n = None if row.n is None or math.isnan(row.n) else float(row.n * answered / total)
    return tuple(texts[k] for k in kept), PublishedCell(shares[kept] / answered, n, non_response)


# A stem is what questions of a battery begin with, up to one of these.
_STEM_ENDS = (r"\n\s*\n", r" - ", r"\? (?=\S)", r": (?=\S)", r"\.\.\.")
# A shorter beginning is not the stem of a battery.
SHORTEST_STEM = 40


def with_batteries(items: Iterable[Item]) -> list[Item]:
    """Return the items with a battery where several begin with one long stem.

    A battery that an item has already is kept.

    Examples
    --------
    >>> from suffrage.survey import Item, Option
    >>> options = (Option(code="1", text="A lot"), Option(code="2", text="Not much"))
    >>> stem = "How much confidence do you have in each of these? "
    >>> made = with_batteries(
    ...     [Item(id=name, question=stem + name, options=options) for name in ("police", "courts")]
    ... )
    >>> made[0].battery == made[1].battery == stem.strip()
    True
    """
    items = list(items)
    stems = {item.id: _stems(item.question) for item in items if item.battery is None}
    counts = Counter(stem for found in stems.values() for stem in found)

    def battery(item: Item) -> Item:
        shared = [stem for stem in stems.get(item.id, ()) if counts[stem] > 1]
        return item.model_copy(update={"battery": shared[0]}) if shared else item

    return [battery(item) for item in items]


def _stems(question: str) -> list[str]:
    """The beginnings after which the part of a battery could come, the longest first."""
    text = question.strip()
    ends = {found.end() for pattern in _STEM_ENDS for found in re.finditer(pattern, text)}
    return [
        text[:end].rstrip(" -:\n") for end in sorted(ends, reverse=True) if end >= SHORTEST_STEM
    ]


def _first(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:12]) + (" ..." if len(shown) > 12 else "")
