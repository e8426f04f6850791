"""What leaves a consultation for the public: safe tables, a card that tells what was done, checksums.

Two things are kept apart for ever: who people are (tables of counts, suppressed and rounded) and what
they said (rows of those who consented, under ids minted anew). A private file beside the
consultation holds the key, who was in which release, and what privacy was spent; it is never published.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from suffrage import settings, storage
from suffrage.consult.consultation import PARTICIPANT, STATES, Consultation
from suffrage.consult.csv_files import neutralised
from suffrage.consult.people import people_for, wide_demographics
from suffrage.consult.release.dataset_card import card, change_log, croissant
from suffrage.consult.release.disclosure import (
    SMALLEST_CELL,
    SUPPRESSED,
    UNKNOWN,
    JoinRule,
    Risk,
    are_numbers,
    breaks_of,
    generalised,
    in_bands,
    personal_in,
    private_counts,
    risk,
    safe_counts,
    without_rare,
)
from suffrage.consult.votes import from_events
from suffrage.errors import InputError, SuffrageError

FORMAT = 1
MANIFEST = "manifest.json"
NO_VOTE = "no vote"
# Fewer people who consented than this are no crowd to stand in: no rows are published.
FEWEST_PEOPLE = 10
# Statements a table with differential privacy covers, and votes of a person that count in it.
COARSE_STATEMENTS = 20
COARSE_VOTES = 5
KNOWN_VOTES = (1, 2, 3, 4, 5, 8)
# Draw probabilities are given to two decimals: all of them would tell the moment of a vote.
DECIMALS = 2

COUNTS = {
    "item": pl.String,
    "value": pl.String,
    "with_item": pl.String,
    "with_value": pl.String,
    "count": pl.Int64,
}
COARSE = {"stratum": pl.String, "statement": pl.String, "vote": pl.Int64, "count": pl.Int64}

DESCRIPTIONS = {
    "statements": "What was voted on. withheld: why a text is not given, empty where it is.",
    "votes": "One row a vote of a person who consented; 1 agree, 0 pass, -1 disagree.",
    "prompts": "Questions that models answered.",
    "answers": "Models' answers to prompts.",
    "comparisons": "One row a comparison of two answers, as they stood left and right.",
    "reactions": "One row a reaction to one answer; 1 like, -1 dislike.",
    "demographics": "Counts of participants, small cells suppressed, the others rounded to base 3.",
    "coarse_votes": "Counts by stratum and statement with noise: differentially private.",
    "joined": "Votes on a few statements with generalised attributes of those who gave them.",
}


class Joined(BaseModel):
    """Rows that join attributes to votes, only where they are asked for.

    attributes, sensitive: demographic items. statements: the few whose votes stand in the rows; they
    count as attributes, and stand in no other file of votes. k: at least 5. l, or t instead:
    how mixed sensitive attributes must be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    attributes: tuple[str, ...] = Field(min_length=1)
    sensitive: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    k: int = Field(default=10, ge=5)
    distinct: int = Field(default=3, ge=2, alias="l")
    closeness: float | None = Field(default=None, gt=0, le=0.3, alias="t")

    @model_validator(mode="after")
    def _apart(self) -> Joined:
        both = sorted(set(self.attributes) & set(self.sensitive))
        if both:
            raise ValueError(f"{both[0]} stands among attributes and sensitive; say one")
        return self

    @property
    def rule(self) -> JoinRule:
        """What the rows must meet."""
        return JoinRule(self.k, self.distinct, self.closeness)


class Private(BaseModel):
    """A coarse table under differential privacy: one stratum by the first 20 statements.

    stratum: a demographic item. epsilon: spent by this table. budget: all that may ever be spent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stratum: str
    epsilon: float = Field(default=1.0, gt=0)
    budget: float = Field(default=3.0, gt=0)


class About(BaseModel):
    """What only the organisers know, for the datasheet; what is empty is shown as not told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    motivation: str = ""
    recruitment: str = ""
    moderation: str = ""
    consent: str = ""
    funding: str = ""
    contact: str = ""
    url: str = ""
    not_for: str = ""


class ReleaseSettings(BaseModel):
    """What a release holds, as `release.yaml` says it.

    licence: of people's texts and choices; model_licence: of the models' answers. cross: pairs of
    demographic items to be crossed in a table. joined, private: only where they are asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    licence: str = "CC-BY-4.0"
    model_licence: str = "that of each model"
    cross: tuple[tuple[str, str], ...] = ()
    joined: Joined | None = None
    private: Private | None = None
    about: About = About()

    @field_validator("cross")
    @classmethod
    def _different(cls, pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for one, other in pairs:
            if one == other:
                raise ValueError(f"{one} cannot be crossed with itself")
        return pairs


@dataclass
class Keeper:
    """The private file: the key, and of each release who was in it and what it told.

    People stand in it as keyed hashes. It stays with the organisers: who has it and the
    consultation can undo the ids, who has it alone cannot.
    """

    path: Path
    key: bytes
    slug: str
    releases: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path, slug: str) -> Keeper:
        """The file as it stands, or a new key where there is none."""
        if not path.exists():
            return cls(path, secrets.token_bytes(32), slug)
        content = storage.read_json(path)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f"{path}: not the private file of a release of format {FORMAT}.")
        if content["consultation"] != slug:
            raise InputError(
                f"{path}: belongs to the consultation {content['consultation']}, not to {slug}; "
                "give each its own with --private."
            )
        return cls(path, bytes.fromhex(content["key"]), slug, content["releases"])

    def write(self) -> None:
        """Write it, readable by its owner only."""
        content = {
            "format": FORMAT,
            "consultation": self.slug,
            "key": self.key.hex(),
            "releases": self.releases,
        }
        storage.write_json(self.path, content)
        self.path.chmod(0o600)

    @property
    def number(self) -> int:
        """That of the release to be made, from 1."""
        return len(self.releases) + 1

    @property
    def last(self) -> Mapping[str, Any]:
        """What the last release told, empty before the first."""
        return self.releases[-1] if self.releases else {}

    @property
    def spent(self) -> float:
        """Epsilon of all releases so far."""
        return float(sum(each["epsilon"] for each in self.releases))

    def person(self, participant: str) -> str:
        """How a participant stands in this file: the same in every release."""
        return self._mac("person", participant)

    def may_repeat(self, told: Mapping[str, Any], people: Sequence[str]) -> bool:
        """Whether so few came or went since a table was made that it must be told as it was."""
        return len(set(told["people"]) ^ set(map(self.person, people))) < SMALLEST_CELL

    def minted(self, table: str, participant: str) -> str:
        """A participant's id in one table of one release, another in every other."""
        return self._mac("id", self.number, table, participant)[:12]

    def generator(self, purpose: str) -> np.random.Generator:
        """Randomness of this release that nobody without the key can repeat."""
        return np.random.default_rng(int(self._mac("draw", self.number, purpose), 16))

    def _mac(self, *label: object) -> str:
        return hmac.new(self.key, repr(label).encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Release:
    """A finished release: where it lies, what it holds, and its manifest."""

    folder: Path
    manifest: Mapping[str, Any]


def read_settings(path: Path) -> ReleaseSettings:
    """A release's settings from a YAML file."""
    return settings.validated(ReleaseSettings, settings.read_yaml(path), path.name)


def make_release(
    consultation: Consultation,
    folder: Path,
    private: Path,
    wanted: ReleaseSettings | None = None,
    today: str = "",
) -> Release:
    """Write a release into a folder that is not there yet, all or nothing.

    private: the keeper's file, made by the first release; keep it, and keep it secret.
    Raises InputError on settings that do not fit, and SuffrageError where the finished files fail
    their own check, in which case nothing is written.
    """
    wanted = wanted or ReleaseSettings()
    if folder.exists():
        raise InputError(
            f"{folder}: is there already; a release stays as it was. Name a new folder."
        )
    if private.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"{private}: lies inside the release; the private file must not be published."
        )
    keeper = Keeper.of(private, consultation.slug)
    _check_settings(consultation, wanted, keeper)
    frames, withheld = _said(consultation, wanted, keeper)
    tables = _tables(consultation, wanted, keeper)
    frames["demographics"] = pl.DataFrame(
        [row for table in tables for row in table["rows"]], schema=COUNTS, orient="row"
    )
    coarse, epsilon = None, 0.0
    if wanted.private is not None:
        coarse, epsilon = _coarse(consultation, wanted.private, keeper)
        frames["coarse_votes"] = pl.DataFrame(coarse["rows"], schema=COARSE, orient="row")
    facts: dict[str, Any] = {}
    if wanted.joined is not None:
        frames["joined"], facts = _joined(consultation, wanted.joined, keeper)
    entry = _entry(consultation, keeper, frames, wanted, today) | {
        "tables": tables,
        "renewed": any(table not in keeper.last.get("tables", ()) for table in tables),
        "coarse": coarse,
        "epsilon": epsilon,
    }
    risks = _risks(frames["votes"], keeper)
    manifest = _manifest(consultation, wanted, keeper, frames, entry, risks, withheld | facts)
    faults = faults_of(consultation, frames, wanted)
    if faults:
        raise SuffrageError(f"the release failed its own check and was not written: {faults[0]}.")

    def fill(draft: Path) -> None:
        (draft / "data").mkdir()
        files = {}
        for path in write_tables(draft / "data", frames):
            files[str(path.relative_to(draft))] = {
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "bytes": path.stat().st_size,
            }
        manifest["files"] = files
        columns = {name: dict(frame.schema) for name, frame in frames.items()}
        storage.write_json(draft / "croissant.json", croissant(manifest, columns, DESCRIPTIONS))
        (draft / "README.md").write_text(card(manifest, DESCRIPTIONS), encoding="utf-8")
        (draft / "CHANGELOG.md").write_text(change_log(manifest["history"]), encoding="utf-8")
        for name in ("croissant.json", "README.md", "CHANGELOG.md"):
            manifest["files"][name] = {
                "sha256": hashlib.sha256((draft / name).read_bytes()).hexdigest(),
                "bytes": (draft / name).stat().st_size,
            }
        storage.write_json(draft / MANIFEST, manifest)
        # Before the folder is in place: what is told must be known to have been told.
        keeper.releases.append(entry)
        keeper.write()

    storage.write_folder(folder, fill)
    return Release(folder, manifest)


def read_release(folder: Path) -> dict[str, pl.DataFrame]:
    """The tables of a release from its Parquet files, their checksums held to the manifest.

    Raises InputError naming a file that is missing or was changed.
    """
    manifest = storage.read_json(folder / MANIFEST)
    for name, told in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: no such file; the release is not whole.")
        if hashlib.sha256(path.read_bytes()).hexdigest() != told["sha256"]:
            raise InputError(f"{path}: is not the file the manifest lists (its SHA-256 differs).")
    return {
        name: pl.read_parquet(folder / "data" / f"{name}.parquet") for name in manifest["tables"]
    }


def faults_of(
    consultation: Consultation, frames: Mapping[str, pl.DataFrame], wanted: ReleaseSettings
) -> list[str]:
    """What is wrong with tables about to be published, found from them alone; empty when nothing.

    No id of a participant in any cell, no author, order or time, nothing of who did not consent,
    small cells hidden, and joined rows that keep k and l.
    """
    found = []
    ids = set(consultation.participants[PARTICIPANT])
    for name, frame in frames.items():
        for column in frame.columns:
            if column in (PARTICIPANT, "author", "order", "at", "timestamp", "weight"):
                found.append(f"{name} has a column {column}")
            texts = frame[column].cast(pl.String)
            if column not in ("text", "reasons") and texts.is_in(list(ids)).any():
                found.append(f"{name}.{column} holds the id of a participant")
        if "text" in frame.columns and name != "joined":
            held = [text for text in frame["text"] if text and personal_in(text)]
            if held:
                found.append(f"{name} holds a text with a personal detail")
    consenting = len(people_for(consultation, "votes"))
    for name in ("votes", "comparisons", "reactions"):
        if name in frames and frames[name]["person"].n_unique() > consenting:
            found.append(f"{name} holds more people than consented")
    counts = frames["demographics"]["count"].drop_nulls()
    if ((counts % 3) != 0).any() or (counts < SMALLEST_CELL).any():
        found.append("demographics has a count that is small or not rounded")
    if wanted.joined is not None and "joined" in frames:
        rows = frames["joined"]
        sensitive = [name for name in wanted.joined.sensitive if name in rows.columns]
        plain = [name for name in rows.columns if name not in sensitive]
        found += breaks_of(
            {name: rows[name].to_list() for name in plain},
            {name: rows[name].to_list() for name in sensitive},
            wanted.joined.rule,
        )
        also = set(wanted.joined.statements) & set(frames["votes"]["statement"])
        if also:
            found.append(f"votes on {min(also)} stand in two files, which joins them")
    return found


def _check_settings(consultation: Consultation, wanted: ReleaseSettings, keeper: Keeper) -> None:
    items = sorted(consultation.demographics["item"].unique().to_list())
    asked = [item for pair in wanted.cross for item in pair]
    if wanted.joined is not None:
        asked += [*wanted.joined.attributes, *wanted.joined.sensitive]
    if wanted.private is not None:
        asked.append(wanted.private.stratum)
    for item in asked:
        if item not in items:
            raise InputError(
                f'release: "{item}" is no demographic item of this consultation; there are '
                f"{', '.join(items) or 'none'}."
            )
    if wanted.joined is not None and any(each["has_joined"] for each in keeper.releases):
        raise InputError(
            "release: joined: an earlier release has joined rows, and two such files can undo each "
            "other's coarseness; leave it out."
        )
    if wanted.joined is not None:
        known = set(_open_statements(consultation)["statement"])
        told = {s for each in keeper.releases for s in each["vote_statements"]}
        for statement in wanted.joined.statements:
            if statement not in known:
                raise InputError(
                    f'release: joined.statements: "{statement}" is no accepted statement.'
                )
            if statement in told:
                raise InputError(
                    f"release: joined.statements: votes on {statement} were published row by row in "
                    "an earlier release, to which joined rows could be joined; choose others."
                )
    if wanted.private is not None and keeper.spent + wanted.private.epsilon > wanted.private.budget:
        raise InputError(
            f"release: private.epsilon: {keeper.spent:g} of a budget of {wanted.private.budget:g} is "
            f"spent, which leaves less than {wanted.private.epsilon:g}; leave the table out."
        )


def _open_statements(consultation: Consultation) -> pl.DataFrame:
    return consultation.statements.filter(pl.col("state") == "accepted")


# --- what people said ------------------------------------------------------------------------


def _said(
    consultation: Consultation, wanted: ReleaseSettings, keeper: Keeper
) -> tuple[dict[str, pl.DataFrame], dict[str, Any]]:
    """The rows of those who consented, and what was withheld and why."""
    people = people_for(consultation, "votes")
    if len(people) < FEWEST_PEOPLE:
        people = ()
    texts = set(people_for(consultation, "texts"))
    training = set(people_for(consultation, "training"))
    statements = _texts_of_people(_open_statements(consultation), texts)
    frames = {
        "statements": statements,
        "prompts": _checked_texts(consultation.prompts),
        "answers": _checked_texts(consultation.answers),
    }
    # What stands, or once stood, in joined rows stays out of these.
    elsewhere = {s for each in keeper.releases for s in each["joined_statements"]}
    elsewhere |= set(wanted.joined.statements) if wanted.joined else set()
    authors = consultation.statements.select("statement", "author")
    # An author agrees with their own statement: the vote would tell who wrote it.
    votes = (
        consultation.votes.join(authors, on="statement", how="left")
        .filter(
            pl.col("statement").is_in(statements["statement"].to_list())
            & ~pl.col("statement").is_in(list(elsewhere))
            & pl.col("author").ne_missing(pl.col(PARTICIPANT))
        )
        .select(PARTICIPANT, "statement", "vote", "important", "probability")
    )
    said = {
        "votes": votes,
        "comparisons": consultation.comparisons.drop("order"),
        "reactions": consultation.reactions.drop("order"),
    }
    for name, frame in said.items():
        rows = frame.filter(pl.col(PARTICIPANT).is_in(list(people)))
        rows = rows.with_columns(
            training=pl.col(PARTICIPANT).is_in(list(training)),
            person=pl.col(PARTICIPANT).replace_strict(
                list(people), [keeper.minted(name, p) for p in people], return_dtype=pl.String
            ),
        )
        if "probability" in rows.columns:
            rows = rows.with_columns(pl.col("probability").round(DECIMALS))
        if "reasons" in rows.columns:
            kept = pl.col(PARTICIPANT).is_in(list(texts)) & pl.col("reasons").map_elements(
                lambda text: personal_in(text) is None, return_dtype=pl.Boolean
            )
            rows = rows.with_columns(reasons=pl.when(kept).then("reasons").otherwise(pl.lit("")))
        frames[name] = _shuffled(rows, name, keeper)
    withheld = (
        statements.filter(pl.col("withheld") != "")["withheld"].value_counts().sort("withheld")
    )
    facts = {
        "withheld_texts": dict(withheld.iter_rows()),
        "states": {
            state: int((consultation.statements["state"] == state).sum()) for state in STATES
        },
        "participants": len(people_for(consultation, "taking part")),
        "excluded": int(consultation.participants["excluded"].sum()),
        "in_rows": len(people),
    }
    return frames, facts


def _texts_of_people(statements: pl.DataFrame, consenting: set[str]) -> pl.DataFrame:
    """Statements without their authors; a text stays away without its author's consent."""
    rows = []
    for row in statements.sort("statement").iter_rows(named=True):
        personal = personal_in(row["text"])
        why = (
            f"personal detail ({personal})"
            if personal
            else ""
            if row["seed"] or row["author"] in consenting
            else "no consent of the author"
        )
        rows.append(
            {
                "statement": row["statement"],
                "text": "" if why else row["text"],
                "language": row["language"],
                "seed": row["seed"],
                "withheld": why,
            }
        )
    schema = {
        "statement": pl.String,
        "text": pl.String,
        "language": pl.String,
        "seed": pl.Boolean,
        "withheld": pl.String,
    }
    return pl.DataFrame(rows, schema=schema)


def _checked_texts(frame: pl.DataFrame) -> pl.DataFrame:
    why = [personal_in(text) for text in frame["text"]]
    told = ["" if w else text for w, text in zip(why, frame["text"], strict=True)]
    reasons = [f"personal detail ({w})" if w else "" for w in why]
    return frame.with_columns(
        text=pl.Series(told, dtype=pl.String), withheld=pl.Series(reasons, dtype=pl.String)
    ).sort(frame.columns[0])


def _shuffled(rows: pl.DataFrame, name: str, keeper: Keeper) -> pl.DataFrame:
    columns = ["person", *(c for c in rows.columns if c not in (PARTICIPANT, "person"))]
    kept = rows.select(columns).sort(pl.all())
    return kept[keeper.generator(f"shuffle {name}").permutation(kept.height)]


# --- who they are ----------------------------------------------------------------------------


def _attributes(
    consultation: Consultation, people: Sequence[str], bands: bool = True
) -> pl.DataFrame:
    """One row a person, a column an item, the unknown and the rare each as one value.

    bands: numbers in bands of ten; else as they are, for what makes ranges of them itself.
    """
    wide = wide_demographics(consultation, people).fill_null(UNKNOWN)
    columns = []
    for name in wide.columns[1:]:
        values = wide[name].to_list()
        if are_numbers(values):
            values = without_rare(in_bands(values)) if bands else values
        else:
            values = without_rare(values)
        columns.append(pl.Series(name, values, dtype=pl.String))
    return wide.with_columns(columns)


def _tables(
    consultation: Consultation, wanted: ReleaseSettings, keeper: Keeper
) -> list[dict[str, Any]]:
    """Counts of participants by each item and by the crossed ones: `of`, `people` and `rows` of each.

    While fewer than six people came or went since a table was made, it is told again as it was: two
    releases then differ by nobody that could be found in it.
    """
    people = people_for(consultation, "taking part")
    items = sorted(consultation.demographics["item"].unique().to_list())
    crossed = sorted({tuple(sorted(pair)) for pair in wanted.cross})
    wide = _attributes(consultation, people)
    found = []
    for of in [*([item] for item in items), *(list(pair) for pair in crossed)]:
        told = next((t for t in keeper.last.get("tables", ()) if t["of"] == of), None)
        if told is None or not keeper.may_repeat(told, people):
            rows = _counts(wide, of, keeper)
            told = {"of": of, "people": sorted(map(keeper.person, people)), "rows": rows}
        found.append(told)
    return found


def _counts(wide: pl.DataFrame, of: Sequence[str], keeper: Keeper) -> list[list[Any]]:
    """Rows item, value, with_item, with_value, count of one table of one or two items."""
    values = [sorted(wide[name].unique().to_list()) for name in of]
    counts = np.zeros([len(some) for some in values], dtype=np.int64)
    for row in wide.select(of).iter_rows():
        counts[tuple(some.index(v) for some, v in zip(values, row, strict=True))] += 1
    told = safe_counts(counts, keeper.key, *of)
    rows: list[list[Any]] = []
    for at in np.ndindex(*counts.shape):
        labels = [
            part for name, some, n in zip(of, values, at, strict=True) for part in (name, some[n])
        ]
        count = None if told[at] == SUPPRESSED else int(told[at])
        rows.append([*labels, *([""] * (4 - len(labels))), count])
    return rows


def _coarse(
    consultation: Consultation, wanted: Private, keeper: Keeper
) -> tuple[dict[str, Any], float]:
    """Votes by stratum on the first statements, with noise; and the epsilon it costs, if made anew.

    The statements are the first accepted ones in the organisers' order, and the strata the values in
    the table of counts: neither depends on a vote.
    """
    people = people_for(consultation, "taking part")
    told: dict[str, Any] = keeper.last.get("coarse") or {}
    same = (told.get("stratum"), told.get("epsilon")) == (wanted.stratum, wanted.epsilon)
    if same and keeper.may_repeat(told, people):
        return told, 0.0
    wide = _attributes(consultation, people)
    strata = sorted(wide[wanted.stratum].unique().to_list())
    statements = (_open_statements(consultation).sort("order", "statement")["statement"].to_list())[
        :COARSE_STATEMENTS
    ]
    place = {s: at for at, s in enumerate(statements)}
    of = dict(wide.select(PARTICIPANT, wanted.stratum).iter_rows())
    generator = keeper.generator("coarse")
    counts = np.zeros((len(strata), len(statements), 3), dtype=np.int64)
    votes = consultation.votes.filter(
        pl.col(PARTICIPANT).is_in(list(of)) & pl.col("statement").is_in(statements)
    ).sort(PARTICIPANT, "statement")
    for (person,), own in votes.group_by(PARTICIPANT, maintain_order=True):
        kept = generator.permutation(own.height)[:COARSE_VOTES]
        for statement, vote in own[kept].select("statement", "vote").iter_rows():
            counts[strata.index(of[str(person)]), place[statement], vote + 1] += 1
    noisy = private_counts(counts, wanted.epsilon, COARSE_VOTES, generator)
    rows = [
        [stratum, statement, vote, int(noisy[i, j, vote + 1])]
        for i, stratum in enumerate(strata)
        for j, statement in enumerate(statements)
        for vote in (-1, 0, 1)
    ]
    made = {
        "stratum": wanted.stratum,
        "epsilon": wanted.epsilon,
        "people": sorted(map(keeper.person, people)),
        "rows": rows,
    }
    return made, wanted.epsilon


def _joined(
    consultation: Consultation, wanted: Joined, keeper: Keeper
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Generalised attributes and votes of those who consented, and what was given up for it."""
    people = people_for(consultation, "votes")
    if len(people) < wanted.k:
        raise InputError(
            f"release: joined: {len(people)} people consented, k is {wanted.k}; leave it out."
        )
    wide = _attributes(consultation, people, bands=False)
    columns = {name: wide[name].to_list() for name in wanted.attributes}
    words = {1: "agree", 0: "pass", -1: "disagree"}
    for statement in wanted.statements:
        own = consultation.votes.filter(pl.col("statement") == statement)
        given = dict(own.select(PARTICIPANT, "vote").iter_rows())
        columns[statement] = [words[given[p]] if p in given else NO_VOTE for p in people]
    sensitive = {name: wide[name].to_list() for name in wanted.sensitive}
    told, given_up = generalised(columns, sensitive, wanted.rule)
    kept = {name: values for name, values in sensitive.items() if name not in given_up}
    frame = pl.DataFrame({**told, **kept}).sort(pl.all())
    order = keeper.generator("shuffle joined").permutation(frame.height)
    return frame[order], {"joined_given_up": given_up}


# --- telling ---------------------------------------------------------------------------------


def _risks(votes: pl.DataFrame, keeper: Keeper) -> list[Risk]:
    if votes.is_empty():
        return []
    matrix = from_events(
        votes["person"].to_list(),
        votes["statement"].to_list(),
        votes["vote"].to_list(),
        [0] * votes.height,
    )
    return risk(matrix.votes, KNOWN_VOTES, keeper.generator("risk"))


def _entry(
    consultation: Consultation,
    keeper: Keeper,
    frames: Mapping[str, pl.DataFrame],
    wanted: ReleaseSettings,
    today: str,
) -> dict[str, Any]:
    """What the keeper remembers of this release, besides its tables of counts."""
    now = {keeper.person(p) for p in people_for(consultation, "taking part")}
    before = set(keeper.last.get("people", ()))
    ever_gone = set(keeper.last.get("gone", ()))
    gone = (ever_gone | (before - now)) - now
    return {
        "number": keeper.number,
        "date": today,
        "people": sorted(now),
        "gone": sorted(gone),
        "joined": len(now - before),
        "left": len(before - now),
        "joined_statements": sorted(wanted.joined.statements) if wanted.joined else [],
        "has_joined": wanted.joined is not None,
        "vote_statements": sorted(frames["votes"]["statement"].unique().to_list()),
        "rows": {name: frame.height for name, frame in frames.items()},
    }


def _manifest(
    consultation: Consultation,
    wanted: ReleaseSettings,
    keeper: Keeper,
    frames: Mapping[str, pl.DataFrame],
    entry: Mapping[str, Any],
    risks: Iterable[Risk],
    facts: Mapping[str, Any],
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
        for each in [*keeper.releases, entry]
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
        "counts": dict(facts),
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
            "epsilon_spent": keeper.spent + entry["epsilon"],
            "re_identification": [vars(each) for each in risks],
        },
        "tables": sorted(frames),
        "rows": entry["rows"],
        "files": {},
    }


def write_tables(folder: Path, frames: Mapping[str, pl.DataFrame]) -> list[Path]:
    """Each table as .parquet, .jsonl and .csv; the paths written.

    Only the CSV is changed: texts that a spreadsheet would run as a formula get an apostrophe in front.
    """
    written = []
    for name, frame in frames.items():
        paths = [folder / f"{name}.{ending}" for ending in ("parquet", "jsonl", "csv")]
        frame.write_parquet(paths[0])
        lines = (json.dumps(row, ensure_ascii=False) for row in frame.iter_rows(named=True))
        paths[1].write_bytes("".join(f"{line}\n" for line in lines).encode())
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(frame.columns)
        writer.writerows([_cell(value) for value in row] for row in frame.iter_rows())
        paths[2].write_bytes(text.getvalue().encode())
        written += paths
    return written


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return neutralised(value) if isinstance(value, str) else value
