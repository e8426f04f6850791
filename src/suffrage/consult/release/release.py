"""A public release of a consultation: safe tables, a dataset card, metadata and checksums.

Two things are always kept apart: who people are (tables of counts, suppressed and rounded) and
what they said (rows of those who consented, under new ids). A private record next to the
consultation contains the key, who was in which release, and what privacy was spent. It is never
published.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from suffrage import storage
from suffrage.consult.consultation import Consultation
from suffrage.consult.people import people_for
from suffrage.consult.release.croissant import croissant
from suffrage.consult.release.dataset_card import card, change_log
from suffrage.consult.release.disclosure import (
    SMALLEST_CELL,
    Risk,
    author_candidates,
    risk,
    unique_patterns,
)
from suffrage.consult.release.joined_rows import joined_rows
from suffrage.consult.release.open_formats import write_open_formats
from suffrage.consult.release.private_record import PrivateRecord
from suffrage.consult.release.published_counts import (
    COARSE,
    COUNTS,
    coarse_votes,
    demographic_counts,
)
from suffrage.consult.release.published_rows import published_rows, row_counts
from suffrage.consult.release.release_settings import ReleaseSettings, check_settings
from suffrage.consult.release.self_check import faults_of
from suffrage.consult.votes import VoteMatrix, from_events
from suffrage.errors import InputError, SuffrageError

FORMAT = 1
MANIFEST = "manifest.json"
# How many known votes the self-test of re-identification tries.
KNOWN_VOTES = (1, 2, 3, 4, 5, 8)
# With fewer people among whom an author may be, the card counts the author.
FEWEST_CANDIDATES = 10

DESCRIPTIONS = {
    "statements": "What was voted on. withheld: why a text is not given, empty where it is.",
    "votes": "One row for each vote of a person who consented: 1 agree, 0 pass, -1 disagree.",
    "prompts": "Questions that models answered.",
    "answers": "Models' answers to prompts.",
    "comparisons": "One row for each comparison: the answers on the left and right.",
    "reactions": "One row for each reaction to an answer: 1 like, -1 dislike.",
    "demographics": "Counts of participants, small cells suppressed, the others rounded to base 3.",
    "coarse_votes": "Counts by stratum and statement with noise: differentially private.",
    "joined": "Votes on a few statements with generalised attributes of those who gave them.",
}


@dataclass(frozen=True)
class Release:
    """A finished release."""

    folder: Path
    manifest: Mapping[str, Any]


def make_release(
    consultation: Consultation,
    folder: Path,
    private: Path,
    wanted: ReleaseSettings | None = None,
    today: str = "",
) -> Release:
    """Write a release, all or nothing.

    Parameters
    ----------
    consultation : Consultation
    folder : Path
        The release's folder, which must not exist yet.
    private : Path
        The file of the private record. The first release makes it; keep it, and keep it secret.
    wanted : ReleaseSettings, optional
        What the release contains.
    today : str
        The date of the release.

    Raises
    ------
    InputError
        The folder exists, the private record is inside it, or the settings do not fit.
    SuffrageError
        The finished tables fail their own check. Nothing is written then.
    """
    wanted = wanted or ReleaseSettings()
    if folder.exists():
        raise InputError(
            f"{folder}: is there already, and a release never changes. Name a new folder."
        )
    if private.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"{private}: is inside the release; the private file must not be published."
        )
    record = PrivateRecord.of(private, consultation.slug)
    check_settings(consultation, wanted, record)
    frames, entry, counts = _tables(consultation, wanted, record, today)
    risks = _risks(frames["votes"], record)
    manifest = _manifest(consultation, wanted, record, frames, entry, risks, counts)
    faults = faults_of(consultation, frames, wanted)
    if faults:
        raise SuffrageError(f"the release failed its own check and was not written: {faults[0]}.")

    def fill(draft: Path) -> None:
        _write_files(draft, frames, manifest)
        # Before the folder is in place: what is published must be recorded as published.
        record.releases.append(entry)
        record.write()

    storage.write_folder(folder, fill)
    return Release(folder, manifest)


def read_release(folder: Path) -> dict[str, pl.DataFrame]:
    """Read the tables of a release from its Parquet files, and check every file's checksum.

    Raises
    ------
    InputError
        A file is missing or was changed.
    """
    manifest = storage.read_json(folder / MANIFEST)
    for name, listed in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: no such file; the release is not complete.")
        if _sha256(path) != listed["sha256"]:
            raise InputError(f"{path}: is not the file the manifest lists (its SHA-256 differs).")
    return {
        name: pl.read_parquet(folder / "data" / f"{name}.parquet") for name in manifest["tables"]
    }


def _tables(
    consultation: Consultation, wanted: ReleaseSettings, record: PrivateRecord, today: str
) -> tuple[dict[str, pl.DataFrame], dict[str, Any], dict[str, Any]]:
    """Every table; what the private record keeps of this release; and what the card counts."""
    frames = published_rows(consultation, wanted, record)
    counts = row_counts(consultation, frames["statements"])
    tables = demographic_counts(consultation, wanted, record)
    frames["demographics"] = pl.DataFrame(
        [row for table in tables for row in table["rows"]], schema=COUNTS, orient="row"
    )
    coarse, epsilon = None, 0.0
    if wanted.private is not None:
        coarse, epsilon = coarse_votes(consultation, wanted.private, record)
        frames["coarse_votes"] = pl.DataFrame(coarse["rows"], schema=COARSE, orient="row")
    if wanted.joined is not None:
        frames["joined"], counts["joined_given_up"] = joined_rows(
            consultation, wanted.joined, record
        )
    now = {record.person(p) for p in people_for(consultation, "taking part")}
    before = set(record.last.get("people", ()))
    gone = (set(record.last.get("gone", ())) | (before - now)) - now
    entry = {
        "number": record.number,
        "date": today,
        "people": sorted(now),
        "gone": sorted(gone),
        "joined": len(now - before),
        "left": len(before - now),
        "joined_statements": sorted(wanted.joined.statements) if wanted.joined else [],
        "has_joined": wanted.joined is not None,
        "vote_statements": sorted(frames["votes"]["statement"].unique().to_list()),
        "rows": {name: frame.height for name, frame in frames.items()},
        "tables": tables,
        "renewed": any(table not in record.last.get("tables", ()) for table in tables),
        "coarse": coarse,
        "epsilon": epsilon,
    }
    return frames, entry, counts


def _risks(votes: pl.DataFrame, record: PrivateRecord) -> list[Risk]:
    """How often a few known votes single out a person, from the published votes."""
    if votes.is_empty():
        return []
    return risk(_published_matrix(votes).votes, KNOWN_VOTES, record.generator("risk"))


def _published_matrix(votes: pl.DataFrame) -> VoteMatrix:
    return from_events(
        votes["person"].to_list(),
        votes["statement"].to_list(),
        votes["vote"].to_list(),
        [0] * votes.height,
    )


def _told_by_absence(consultation: Consultation, votes: pl.DataFrame) -> dict[str, int]:
    """What it tells that a person has no vote on a statement, counted from the published votes."""
    matrix = _published_matrix(votes)
    column = {statement: at for at, statement in enumerate(matrix.statements)}
    have_rows = set(people_for(consultation, "votes"))
    written: dict[str, list[int]] = {}
    for statement, author in consultation.statements.select("statement", "author").iter_rows():
        if author in have_rows and statement in column:
            written.setdefault(author, []).append(column[statement])
    candidates = author_candidates(matrix.votes, list(written.values()))
    return {
        "people": len(matrix.participants),
        "unique_patterns": unique_patterns(matrix.votes),
        "authors": len(candidates),
        "authors_among_few": sum(number < FEWEST_CANDIDATES for number in candidates),
        "authors_alone": sum(number <= 1 for number in candidates),
    }


def _manifest(
    consultation: Consultation,
    wanted: ReleaseSettings,
    record: PrivateRecord,
    frames: Mapping[str, pl.DataFrame],
    entry: Mapping[str, Any],
    risks: Sequence[Risk],
    counts: Mapping[str, Any],
) -> dict[str, Any]:
    from suffrage import __version__

    history = [
        {
            "number": each["number"],
            "date": each["date"],
            "joined": each["joined"],
            "withdrawn": each["left"],
            "tables_renewed": each["renewed"],
            "epsilon": each["epsilon"],
            "rows": each["rows"],
        }
        for each in [*record.releases, entry]
    ]
    hidden = int(frames["demographics"]["count"].null_count())
    return {
        "format": FORMAT,
        "consultation": consultation.slug,
        "title": consultation.title,
        "question": consultation.question,
        "languages": list(consultation.languages),
        "collected": consultation.created,
        "release": entry["number"],
        "date": entry["date"],
        "code": f"suffrage {__version__}",
        "licence": wanted.licence,
        "model_licence": wanted.model_licence,
        "about": wanted.about.model_dump(),
        "audit_head": wanted.audit_head,
        "counts": dict(counts),
        "tombstones": len(entry["gone"]),
        "history": history,
        "privacy": {
            "smallest_cell": SMALLEST_CELL,
            "cells_suppressed": hidden,
            "cells": frames["demographics"].height,
            "rounding": "random, to base 3",
            "tables_renewed": entry["renewed"],
            "joined": wanted.joined.model_dump(by_alias=True) if wanted.joined else None,
            "private": wanted.private.model_dump() if wanted.private else None,
            "epsilon_spent": record.spent + entry["epsilon"],
            "re_identification": [vars(each) for each in risks],
            "absence": _told_by_absence(consultation, frames["votes"]),
        },
        "tables": sorted(frames),
        "rows": entry["rows"],
        "files": {},
    }


def _write_files(draft: Path, frames: Mapping[str, pl.DataFrame], manifest: dict[str, Any]) -> None:
    """Write the tables, the card, the changelog and the metadata, and list them in the manifest."""
    (draft / "data").mkdir()
    manifest["files"] = {
        str(path.relative_to(draft)): _listed(path)
        for path in write_open_formats(draft / "data", frames)
    }
    columns = {name: dict(frame.schema) for name, frame in frames.items()}
    storage.write_json(draft / "croissant.json", croissant(manifest, columns, DESCRIPTIONS))
    (draft / "README.md").write_text(card(manifest, DESCRIPTIONS), encoding="utf-8")
    (draft / "CHANGELOG.md").write_text(change_log(manifest["history"]), encoding="utf-8")
    for name in ("croissant.json", "README.md", "CHANGELOG.md"):
        manifest["files"][name] = _listed(draft / name)
    storage.write_json(draft / MANIFEST, manifest)


def _listed(path: Path) -> dict[str, Any]:
    return {"sha256": _sha256(path), "bytes": path.stat().st_size}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
