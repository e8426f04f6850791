"""Segments: latent classes of respondents found in a survey, chosen, named and kept.

A stated rule decides how many there are: among the numbers of classes in which every class comes
back when the respondents are resampled, the one with the lowest ICL. One class, which says that
there are no segments, is among them. Numbers with more parameters than the items' table of answers
has degrees of freedom are not: the answers cannot tell such classes apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from suffrage import storage
from suffrage.arrays import FloatArray, PositionArray
from suffrage.errors import InputError, did_you_mean, require
from suffrage.population.correspondence import corresponding_clusters
from suffrage.population.distributions import grouped_shares, share_intervals
from suffrage.population.latent_classes import (
    LatentClasses,
    adjusted_rand_index,
    fit_latent_classes,
    matched_overlap,
)
from suffrage.population.where import Where, select_by_id
from suffrage.survey import Item, Survey
from suffrage.survey.survey import POSITION, RESPONDENT, WEIGHT

_Advance = Callable[[str, int, int], None]

# Hennig (2007): a class whose mean overlap over bootstrap samples lies below 0.6 should not be
# trusted; one above 0.75 is a valid pattern.
TRUSTED_OVERLAP = 0.6
VALID_OVERLAP = 0.75
BOOTSTRAP_STARTS = 5


class SegmentSettings(BaseModel):
    """How to look for segments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # How many, or "auto".
    classes: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    # The most to try.
    most: int = Field(default=6, ge=2, le=20)
    # Which items to use; all when none is named.
    items: tuple[str, ...] = ()
    # How many resamples the stability is measured in.
    bootstraps: int = Field(default=20, ge=2)
    # Your own names, largest segment first.
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class SegmentationCandidate:
    """One number of classes that was tried; its criteria are those of `LatentClasses`."""

    classes: int
    log_likelihood: float
    parameters: int
    bic: float
    icl: float
    separation: float
    # Of the smallest class.
    smallest_share: float
    # Each class's mean Jaccard overlap with the most similar class of a resample.
    overlap: tuple[float, ...]
    # The mean adjusted Rand index between the resamples' partitions and this one.
    agreement: float

    @property
    def trusted(self) -> bool:
        """Whether every class comes back in resamples."""
        return min(self.overlap) >= TRUSTED_OVERLAP


@dataclass(frozen=True)
class Mark:
    """An answer that distinguishes a segment from the rest."""

    item_id: str
    position: int
    # The shares who give it inside and outside the segment.
    inside: float
    outside: float


@dataclass(frozen=True)
class Trait:
    """A demographic category's share in a segment, and among everyone segmented."""

    column: str
    category: str
    # In the segment, with a 95% interval.
    share: float
    low: float
    high: float
    # Among everyone.
    everyone: float

    @property
    def stands_out(self) -> bool:
        """Whether the interval leaves out the share of everyone."""
        return not self.low <= self.everyone <= self.high


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Segments of one population of one survey."""

    # The items used.
    items: tuple[Item, ...]
    # The latent classes, and one name for each.
    model: LatentClasses
    names: tuple[str, ...]
    # Ids, sorted.
    respondents: tuple[str, ...]
    # Shape (respondents, classes); rows sum to 1.
    memberships: FloatArray
    # Every number of classes tried; empty when the segments were found in an earlier wave.
    candidates: tuple[SegmentationCandidate, ...]
    # How the number of classes was chosen, in words.
    rule: str
    # The adjusted Rand index with as many clusters by k-means on the axes of a multiple
    # correspondence analysis.
    contrast: float | None
    survey_hash: str

    @property
    def hard(self) -> PositionArray:
        """The likeliest segment of each respondent, (respondents,)."""
        return np.asarray(self.memberships.argmax(axis=1), dtype=np.int16)

    def write(self, folder: Path) -> None:
        """Write `segments.json` and `memberships.parquet`, all or nothing."""

        def fill(draft: Path) -> None:
            model = self.model
            manifest = {
                "names": list(self.names),
                "rule": self.rule,
                "contrast": self.contrast,
                "survey_hash": self.survey_hash,
                "items": [item.model_dump(mode="json") for item in self.items],
                "candidates": [candidate.__dict__ for candidate in self.candidates],
                "model": {
                    **{k: v for k, v in model.__dict__.items() if k not in ("shares", "profiles")},
                    "shares": model.shares.tolist(),
                    "profiles": [profile.tolist() for profile in model.profiles],
                },
            }
            storage.write_json(draft / "segments.json", manifest)
            columns = {RESPONDENT: list(self.respondents)}
            for name, column in zip(self.names, self.memberships.T, strict=True):
                columns[name] = column
            pl.DataFrame(columns).write_parquet(draft / "memberships.parquet")

        storage.write_folder(folder, fill)

    @classmethod
    def read(cls, folder: Path) -> Segmentation:
        """Read back what `write` wrote. Raises InputError when the folder holds no segments."""
        if not (folder / "segments.json").is_file():
            raise InputError(f"{folder} holds no segments.json; name a folder `segment` wrote.")
        content = storage.read_json(folder / "segments.json")
        model = content.pop("model")
        table = pl.read_parquet(folder / "memberships.parquet")
        return cls(
            items=tuple(Item.model_validate(item) for item in content["items"]),
            model=LatentClasses(
                **{
                    **model,
                    "shares": np.array(model["shares"]),
                    "profiles": tuple(np.array(profile) for profile in model["profiles"]),
                }
            ),
            names=tuple(content["names"]),
            respondents=tuple(table[RESPONDENT].to_list()),
            memberships=table.drop(RESPONDENT).to_numpy(),
            candidates=tuple(
                SegmentationCandidate(**{**c, "overlap": tuple(c["overlap"])})
                for c in content["candidates"]
            ),
            rule=content["rule"],
            contrast=content["contrast"],
            survey_hash=content["survey_hash"],
        )


def find_segments(
    survey: Survey,
    where: Where,
    settings: SegmentSettings,
    seed: int,
    name: str = "segments",
    advance: _Advance | None = None,
) -> Segmentation:
    """Find segments among some of a survey's respondents.

    Parameters
    ----------
    survey : Survey
        The answers and weights.
    where : mapping
        Which respondents; everyone when empty.
    settings : SegmentSettings
        How many classes to try, and on which items.
    seed : int
        Of the starts and resamples.
    name : str
        For messages, and for segments without a name of their own.
    advance : callable, optional
        Called with a word for what is done, how many steps are done, and of how many.

    Returns
    -------
    Segmentation
        Largest segment first; the same whatever the order of the survey's rows.

    Raises
    ------
    InputError
        The survey lacks an item, everyone answered a named item alike, a class empties, or the
        items are too few for the number of classes.
    MissingExtraError
        scikit-learn is not installed.
    """
    require("sklearn", "segments", "segments")
    items, columns, weights, rows = _answers(survey, where, settings.items, name)
    options = [len(item.options) for item in items]
    numbers = _numbers(columns, settings, name)
    steps = sum(1 + (settings.bootstraps if number > 1 else 0) for number in numbers) + 1
    done = 0

    def tell(word: str) -> None:
        nonlocal done
        done += 1
        if advance:
            advance(word, done, steps)

    fitted: dict[int, LatentClasses] = {}
    candidates = []
    for number in numbers:
        generator = np.random.default_rng([seed, number])
        model = fit_latent_classes(columns, options, weights, number, generator)
        tell(f"{number} classes")
        fitted[number] = model
        stability = (np.ones(1), 1.0)
        if number > 1:
            stability = _stability(
                columns, options, weights, model, settings.bootstraps, generator, tell
            )
        candidates.append(_candidate(model, *stability))
    chosen, rule = _choice(candidates, settings.classes)
    model = fitted[chosen]
    memberships = model.memberships(columns)
    contrast = _contrast(columns, options, weights, memberships, seed) if chosen > 1 else None
    tell("contrast")
    return Segmentation(
        items=tuple(items),
        model=model,
        names=_names(settings.names, chosen, name),
        respondents=tuple(survey.responses[RESPONDENT].to_numpy()[rows]),
        memberships=memberships,
        candidates=tuple(candidates),
        rule=rule,
        contrast=contrast,
        survey_hash=survey.content_hash,
    )


def _contrast(
    columns: list[PositionArray],
    options: list[int],
    weights: FloatArray,
    memberships: FloatArray,
    seed: int,
) -> float:
    """How far k-means on correspondence axes agrees with the segments: adjusted Rand index."""
    hard = np.asarray(memberships.argmax(axis=1), dtype=np.int16)
    chosen = memberships.shape[1]
    generator = np.random.default_rng([seed, 0, chosen])
    clusters = corresponding_clusters(columns, options, weights, chosen, generator)
    return adjusted_rand_index(hard, clusters, weights)


def assign_segments(
    frozen: Segmentation, survey: Survey, where: Where, name: str = "segments"
) -> Segmentation:
    """Another wave's respondents in segments found before: same classes, new memberships.

    Raises InputError when the survey lacks an item of the segments or has other options for it.
    """
    for item in frozen.items:
        if item.id not in survey.codebook.item_ids:
            raise InputError(
                f"segments {name}: they were found with item {item.id}, which this survey does not "
                "have; find them again, or without it."
            )
        if survey.codebook[item.id].texts != item.texts:
            raise InputError(
                f"segments {name}: item {item.id} has other options in this survey than in the one "
                "the segments were found in."
            )
    ids = tuple(item.id for item in frozen.items)
    _, columns, _, rows = _answers(survey, where, ids, name, frozen=True)
    return Segmentation(
        items=frozen.items,
        model=frozen.model,
        names=frozen.names,
        respondents=tuple(survey.responses[RESPONDENT].to_numpy()[rows]),
        memberships=frozen.model.memberships(columns),
        candidates=(),
        rule=f"frozen: found in survey {frozen.survey_hash[:8]}",
        contrast=None,
        survey_hash=survey.content_hash,
    )


def segment_survey(survey: Survey, segmentation: Segmentation, segment: int) -> Survey:
    """The survey as one segment sees it: each weight times the membership in it.

    A value set of it is the segment's; respondents outside the segmented population weigh nothing.
    """
    membership = pl.DataFrame(
        {
            RESPONDENT: list(segmentation.respondents),
            "membership": segmentation.memberships[:, segment],
        }
    )
    responses = survey.responses.join(membership, on=RESPONDENT, how="left", maintain_order="left")
    weight = (pl.col(WEIGHT) * pl.col("membership").fill_null(0.0)).alias(WEIGHT)
    name = segmentation.names[segment]
    variable = survey.provenance.weight_variable
    described = f"{variable}, times " if variable else ""
    return replace(
        survey.with_responses(responses.with_columns(weight).drop("membership")),
        provenance=replace(
            survey.provenance, weight_variable=f"{described}the probability of being in {name}"
        ),
    )


def marks(
    segmentation: Segmentation, segment: int, allowed: Sequence[str] | None = None
) -> list[Mark]:
    """The answer to each item that most distinguishes a segment, most distinguishing item first.

    An answer distinguishes a segment by the difference of the shares inside and outside it, in the
    model's profiles. allowed: items that may be named; a prompt's description must not reveal
    held-out items. A single class has no others to be told from, and no marks.
    """
    model = segmentation.model
    if model.shares.size == 1:
        return []
    others = np.delete(model.shares, segment)
    found = []
    for item, profile in zip(segmentation.items, model.profiles, strict=True):
        if allowed is not None and item.id not in allowed:
            continue
        outside = others @ np.delete(profile, segment, axis=0) / others.sum()
        position = int(np.argmax(profile[segment] - outside))
        inside = float(profile[segment, position])
        found.append(Mark(item.id, position, inside, float(outside[position])))
    return sorted(found, key=lambda mark: mark.outside - mark.inside)


def traits(segmentation: Segmentation, survey: Survey, segment: int) -> list[Trait]:
    """Every demographic category's share in a segment next to its share among everyone segmented.

    Categories are those of the codebook's demographics with at most 20 different values.
    """
    inside = segment_survey(survey, segmentation, segment)
    by_id = pl.DataFrame({RESPONDENT: list(segmentation.respondents)})
    rows = by_id.join(inside.responses, on=RESPONDENT, maintain_order="left")
    base = by_id.join(survey.responses, on=RESPONDENT, maintain_order="left")[WEIGHT].to_numpy()
    w = rows[WEIGHT].to_numpy()
    found = []
    for column in survey.codebook.demographics:
        categories = sorted(rows[column].drop_nulls().unique().to_list())
        if not 2 <= len(categories) <= 20:
            continue
        code = rows[column].replace_strict(
            categories, list(range(len(categories))), default=-1, return_dtype=POSITION
        )
        position = code.to_numpy()
        group = np.zeros(position.size, dtype=np.int64)
        mine = grouped_shares([position], [len(categories)], w, group, 1)
        all_ = grouped_shares([position], [len(categories)], base, group, 1)
        low, high = share_intervals(
            mine.shares[0, 0], mine.standard_errors[0, 0], float(mine.n_eff[0, 0])
        )
        found += [
            Trait(
                column,
                str(category),
                float(mine.shares[0, 0, k]),
                float(low[k]),
                float(high[k]),
                float(all_.shares[0, 0, k]),
            )
            for k, category in enumerate(categories)
        ]
    return sorted(found, key=lambda trait: -abs(trait.share - trait.everyone))


def dividing_items(segmentation: Segmentation) -> list[tuple[str, float]]:
    """How much each item says about the segment, most first: mutual information in bits.

    I(class; answer) = H(answer) - sum_c pi_c H(answer | c), from the model's profiles.
    """
    found = []
    for item, profile in zip(segmentation.items, segmentation.model.profiles, strict=True):
        together = segmentation.model.shares @ profile
        ratio = np.divide(profile, together, out=np.ones_like(profile), where=profile > 0)
        bits = float(segmentation.model.shares @ (profile * np.log2(ratio)).sum(axis=1))
        found.append((item.id, bits))
    return sorted(found, key=lambda pair: -pair[1])


def _answers(
    survey: Survey, where: Where, wanted: Sequence[str], name: str, frozen: bool = False
) -> tuple[list[Item], list[PositionArray], FloatArray, Any]:
    """Items, their columns, weights and row numbers, respondents in the order of their ids."""
    unknown = [item_id for item_id in wanted if item_id not in survey.codebook.item_ids]
    if unknown:
        raise InputError(
            f"segments {name}: items: there is no item {unknown[0]}; there are "
            f"{', '.join(survey.codebook.item_ids)}."
            f"{did_you_mean(unknown[0], survey.codebook.item_ids)}"
        )
    rows = select_by_id(survey, where, name)
    items, columns = [], []
    for item_id in wanted or survey.codebook.item_ids:
        column = survey.positions(item_id)[rows]
        given = np.unique(column[column >= 0])
        if given.size >= 2 or frozen:
            items.append(survey.codebook[item_id])
            columns.append(column)
        elif item_id in wanted:
            alike = "nobody answered" if given.size == 0 else "everyone answered alike"
            raise InputError(
                f"segments {name}: item {item_id}, which {alike}, tells nothing apart; leave it "
                "out."
            )
    if len(items) < 2 and not frozen:
        raise InputError(
            f"segments {name}: fewer than two items in which answers differ; segments are found "
            "in how answers go together."
        )
    return items, columns, survey.weights[rows], rows


def _numbers(columns: Sequence[PositionArray], settings: SegmentSettings, name: str) -> list[int]:
    """The numbers of classes to try: those that the answers could tell apart."""
    used = [np.unique(column[column >= 0]).size for column in columns]
    cells = math.prod(used) - 1

    def parameters(classes: int) -> int:
        return classes - 1 + classes * sum(count - 1 for count in used)

    if settings.classes == "auto":
        return [k for k in range(1, settings.most + 1) if k == 1 or parameters(k) <= cells]
    if settings.classes > 1 and parameters(settings.classes) > cells:
        raise InputError(
            f"segments {name}: {settings.classes} classes have {parameters(settings.classes)} "
            f"parameters, and the table of answers to these {len(columns)} items has only {cells} "
            "degrees of freedom, so the answers cannot tell the classes apart; use more items, or "
            "fewer classes."
        )
    return [settings.classes]


def _candidate(
    model: LatentClasses, overlap: FloatArray, agreement: float
) -> SegmentationCandidate:
    return SegmentationCandidate(
        classes=model.shares.size,
        log_likelihood=model.log_likelihood,
        parameters=model.parameters,
        bic=model.bic,
        icl=model.icl,
        separation=model.separation,
        smallest_share=float(model.shares.min()),
        overlap=tuple(float(x) for x in overlap),
        agreement=agreement,
    )


def _stability(
    columns: Sequence[PositionArray],
    options: Sequence[int],
    weights: FloatArray,
    model: LatentClasses,
    bootstraps: int,
    generator: np.random.Generator,
    tell: Callable[[str], None],
) -> tuple[FloatArray, float]:
    """Mean overlap of each class, and mean adjusted Rand index, over bootstrap samples."""
    hard = model.memberships(columns).argmax(axis=1)
    n, classes = weights.size, model.shares.size
    overlaps, agreements = [], []
    for _ in range(bootstraps):
        times = generator.multinomial(n, np.full(n, 1 / n)).astype(np.float64)
        try:
            again = fit_latent_classes(
                columns, options, weights * times, classes, generator, BOOTSTRAP_STARTS
            )
        except InputError:  # a class emptied: that class did not come back
            overlaps.append(np.zeros(classes))
            agreements.append(0.0)
        else:
            other = again.memberships(columns).argmax(axis=1)
            overlap = np.zeros(classes)
            overlap[: int(hard.max()) + 1] = matched_overlap(hard, other, weights)
            overlaps.append(overlap)
            agreements.append(adjusted_rand_index(hard, other, weights))
        tell(f"{classes} classes, resampled")
    return np.mean(overlaps, axis=0), float(np.mean(agreements))


def _choice(candidates: Sequence[SegmentationCandidate], wanted: int | str) -> tuple[int, str]:
    if wanted != "auto":
        return int(wanted), f"{wanted} {'class' if wanted == 1 else 'classes'}, as the study says"
    # One class is always trusted: it comes back in every resample.
    trusted = [candidate for candidate in candidates if candidate.trusted]
    best = min(trusted, key=lambda candidate: candidate.icl)
    if best.classes == 1:
        return 1, (
            "one class has the lowest ICL among those that are stable: the answers show no "
            "segments that another sample would show again"
        )
    return best.classes, (
        f"lowest ICL among the numbers of classes whose every class overlaps by at least "
        f"{TRUSTED_OVERLAP} with its like in resamples"
    )


def _names(given: Sequence[str], classes: int, name: str) -> tuple[str, ...]:
    if not given:
        return tuple(f"{name}-{place + 1}" for place in range(classes))
    if len(given) != classes or len(set(given)) != classes:
        raise InputError(
            f"segments {name}: {len(given)} names for {classes} segments; give one each, all "
            "different, largest segment first."
        )
    return tuple(given)
