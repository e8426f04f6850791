"""`Survey`: who answered what, with which weight, and where it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.arguments import PATH, takes
from suffrage.arrays import FloatArray, IntArray, PositionArray
from suffrage.errors import InputError
from suffrage.plurals import plural
from suffrage.survey.codebook import Codebook, NonResponse

RESPONDENT = "respondent"
WEIGHT = "weight"
# How the answers of an item are stored: positions up to 32,767, and negative non-response.
POSITION = pl.Int16
# How many rows are written out at a time while a survey is hashed.
HASHED_ROWS = 20_000
STRATUM = "stratum"
PSU = "psu"


@dataclass(frozen=True)
class SetAside:
    """Rows a reader did not take as respondents, or columns it did not take as items, and why."""

    what: str
    count: int
    why: str


@dataclass(frozen=True)
class ReadCode:
    """A code that was taken for non-response, or that may be and was taken for an answer."""

    # The item's id, or the demographic's name.
    name: str
    code: str
    # As the file has it; empty where it has none.
    label: str
    # The kind in words ("refused"); empty when the code was taken for an answer.
    kind: str
    # What says so: "the codebook", "the file declares it missing", "its label".
    why: str


@dataclass(frozen=True)
class Provenance:
    """Where a survey comes from, and what its reader set aside."""

    # The reader's name.
    reader: str
    # File name to content hash.
    files: dict[str, str]
    # One sentence on what the answers stand for; every report prints it.
    statement: str
    # The file's weight column, or None when every respondent counts the same.
    weight_variable: str | None = None
    set_aside: tuple[SetAside, ...] = ()
    # Codes of items and demographics that were taken for non-response, or that are in doubt.
    read_codes: tuple[ReadCode, ...] = ()
    # Questions that became several items, or whose numbers were put in bins; a sentence each.
    made: tuple[str, ...] = ()


@dataclass(frozen=True)
class Survey:
    """Microdata in one uniform coding."""

    # A row for each respondent, in an order that means nothing. Columns: `respondent` (text,
    # unique), `weight` (float, 0 or above), the demographics (text, null where unknown), and one
    # for each item (`POSITION`): 0..K-1 is the position of the chosen option in the codebook, a
    # negative number is a `NonResponse`. Where the archive gives the sampling design, also
    # `stratum` and `psu` (text, never null; a PSU's name is unique over all strata).
    responses: pl.DataFrame
    codebook: Codebook
    provenance: Provenance
    _hash: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        _check(self.responses, self.codebook)

    def __repr__(self) -> str:
        items = plural(len(self.codebook.items), "item")
        people = plural(self.responses.height, "respondent", ",")
        return f"<Survey {self.codebook.title!r}: {items}, {people}>"

    @property
    def weights(self) -> FloatArray:
        """Base weights, shape (respondents,)."""
        return self.responses[WEIGHT].to_numpy().astype(np.float64)

    @property
    def has_design(self) -> bool:
        """Whether strata and primary sampling units are known."""
        return STRATUM in self.responses.columns and PSU in self.responses.columns

    @property
    def content_hash(self) -> str:
        """Equal for equal answers, weights and codebook, whatever the order of the rows."""
        if not self._hash:
            # Cautions follow from the rows.
            book = self.codebook.model_dump(
                mode="json", exclude={"items": {"__all__": {"caution"}}}
            )
            made = storage.hash_of_parts(self._sorted_rows(), book)
            object.__setattr__(self, "_hash", made)
        return self._hash

    def _sorted_rows(self) -> Iterator[str]:
        """The responses as CSV in the order of the respondents' ids, some rows at a time."""
        columns = self.responses.select(sorted(self.responses.columns))
        by_id = self.rows_by_id
        for start in range(0, by_id.size, HASHED_ROWS):
            rows = columns[by_id[start : start + HASHED_ROWS]]
            yield rows.write_csv(include_header=start == 0)

    @property
    def rows_by_id(self) -> IntArray:
        """Row numbers in the order of the respondents' ids.

        What reads rows in this order gives the same result, to the last bit, in whatever order
        the rows of the file are.
        """
        return self.responses[RESPONDENT].arg_sort().to_numpy().astype(np.int64)

    def positions(self, item_id: str) -> PositionArray:
        """Option positions (or negative non-response) of every respondent, shape (respondents,)."""
        return self.responses[item_id].to_numpy().astype(np.int16, copy=False)

    def with_responses(self, responses: pl.DataFrame) -> Survey:
        """The same survey over other rows."""
        return replace(self, responses=responses, _hash="")

    @takes(folder=PATH)
    def write(self, folder: str | Path) -> None:
        """Write `responses.parquet` and `survey.json` into a folder, all or nothing."""

        def fill(draft: Path) -> None:
            self.responses.write_parquet(draft / "responses.parquet")
            manifest = {
                "codebook": self.codebook.model_dump(mode="json"),
                "provenance": asdict(self.provenance),
                "content_hash": self.content_hash,
            }
            (draft / "survey.json").write_text(
                json.dumps(manifest, indent=2, ensure_ascii=False), encoding="utf-8"
            )

        storage.write_folder(Path(folder), fill)

    @classmethod
    @takes(folder=PATH)
    def read(cls, folder: str | Path) -> Survey:
        """Read back what `write` wrote."""
        folder = Path(folder)
        manifest: dict[str, Any] = storage.read_json(folder / "survey.json")
        provenance = manifest["provenance"]
        return cls(
            responses=pl.read_parquet(folder / "responses.parquet"),
            codebook=Codebook.model_validate(manifest["codebook"]),
            provenance=Provenance(
                **{
                    **provenance,
                    "set_aside": tuple(SetAside(**aside) for aside in provenance["set_aside"]),
                    "read_codes": tuple(ReadCode(**code) for code in provenance["read_codes"]),
                    "made": tuple(provenance.get("made", ())),
                }
            ),
        )


def _check(responses: pl.DataFrame, codebook: Codebook) -> None:
    """Check `Survey.responses`. A reader that breaks its contract has a bug, or bad input."""
    needed = [RESPONDENT, WEIGHT, *codebook.demographics, *codebook.item_ids]
    absent = [column for column in needed if column not in responses.columns]
    if absent:
        raise InputError(f"the survey has no column {', '.join(absent)}.")
    if responses.is_empty():
        raise InputError("the survey has no respondents.")
    twice = responses.filter(pl.col(RESPONDENT).is_duplicated())
    if not twice.is_empty():
        raise InputError(
            f"respondent {twice[RESPONDENT][0]!r} stands on {twice.height} rows; an id must be "
            "unique."
        )
    check_weights(responses[WEIGHT].to_numpy().astype(np.float64), "weight")
    for name in (STRATUM, PSU):
        if name in responses.columns and responses[name].null_count():
            row = int(responses[name].is_null().arg_max() or 0)
            raise InputError(f"{name} is missing for respondent {responses[RESPONDENT][row]!r}.")
    lowest = min(NonResponse)
    for item in codebook.items:
        answers = responses[item.id]
        if answers.null_count() or not answers.is_between(lowest, len(item.options) - 1).all():
            raise InputError(f"item {item.id}: positions outside its {len(item.options)} options.")


def check_weights(weights: FloatArray, column: str) -> None:
    """Raise InputError on missing, infinite, negative or all-zero weights, naming the first row."""
    for fault, where in (
        ("missing or not a finite number", ~np.isfinite(weights)),
        ("negative", weights < 0),
    ):
        if where.any():
            row = int(np.flatnonzero(where)[0])
            raise InputError(
                f"{column} is {fault} for {int(where.sum())} respondents (the first is respondent "
                f"row {row + 1}, value {weights[row]}); correct the file, or name another weight."
            )
    if not weights.sum() > 0:
        raise InputError(f"{column} is zero for every respondent; name another weight, or none.")
