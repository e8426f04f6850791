"""Representative weights: a study's targets, and the survey raked to them.

A study says under `weights:` what is known of the population. `weighted` rakes the sample's base
weights to it, and says how representative the sample was before and after.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from pydantic import ConfigDict, Field, field_validator

from suffrage.arrays import FloatArray, IntArray
from suffrage.errors import InputError, did_you_mean
from suffrage.settings import MadeInPython
from suffrage.survey.effective_size import design_effect, effective_sample_size
from suffrage.survey.raking import Margin, Raked, margin_shares, rake
from suffrage.survey.survey import WEIGHT, Survey

JOIN = " x "
# Targets may be rounded: they must come this near to 1 (or 100), and are then scaled to it.
ROUNDING = 0.006
# A weight this many times the mean adds more noise than it corrects.
EXPLODED = 50.0
_RANGE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(?:-|–|to)\s*(\d+(?:\.\d+)?)\s*$")
_FROM = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*\+\s*$")


class WeightingSpec(MadeInPython):
    """The study's `weights` section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # For a demographic, or for several joined by " x ", each category's share of the population,
    # as shares or percentages. Categories of numbers may be ranges ("18-34", "65+").
    margins: dict[str, dict[str, float]] = Field(min_length=1)
    # Where the shares come from; every report prints it.
    source: str = Field(min_length=1)
    # Lowest and highest ratio of a weight to its base weight.
    bounds: tuple[float, float] | None = None
    # No weight is above this many times the mean.
    trim: float | None = Field(default=None, gt=1)
    # What to do with respondents whose category is unknown: "error", or "keep" their share.
    unknown: str = Field(default="error", pattern="^(error|keep)$")

    @field_validator("margins", mode="before")
    @classmethod
    def _categories_as_text(cls, margins: Any) -> Any:
        if not isinstance(margins, dict):
            return margins
        return {
            str(name): {str(k): v for k, v in shares.items()}
            if isinstance(shares, dict)
            else shares
            for name, shares in margins.items()
        }

    @field_validator("bounds")
    @classmethod
    def _bounds_hold_one(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not 0 <= bounds[0] < 1 < bounds[1]:
            raise ValueError("must be two numbers, the first below 1 and the second above it")
        return bounds


@dataclass(frozen=True)
class Category:
    """One category of a margin."""

    margin: str
    name: str
    respondents: int
    # Shares of the respondents, of the base weights and of the raked weights.
    sample: float
    base: float
    raked: float
    # Share of the population.
    target: float


@dataclass(frozen=True)
class Representativeness:
    """The sample compared with what is known of the population."""

    source: str
    categories: tuple[Category, ...]
    # By margin, half the sum of absolute differences from the targets, before and after raking:
    # the share of the sample that is in the wrong category.
    dissimilarity: Mapping[str, tuple[float, float]]
    n: int
    # Kish's, before and after raking.
    n_eff: tuple[float, float]
    design_effect: tuple[float, float]
    # The largest difference from a target that raking left.
    gap: float
    iterations: int
    trimmed: int
    # As a multiple of the mean weight.
    largest_weight: float

    def missing(self, count: int = 5) -> list[Category]:
        """Who is missing: the categories furthest below their target, furthest first."""
        below = [category for category in self.categories if category.base < category.target]
        return sorted(below, key=lambda category: category.base - category.target)[:count]


def margins_of(survey: Survey, spec: WeightingSpec) -> list[Margin]:
    """The study's targets as margins of the survey.

    Raises InputError on an unknown column, shares that do not sum to 1, a category of the sample
    without a target, a target nobody is in, and unknown categories (unless they are kept).
    """
    return [_margin(survey, name, shares, spec) for name, shares in spec.margins.items()]


def weighted(survey: Survey, spec: WeightingSpec) -> tuple[Survey, Representativeness]:
    """The survey raked to the study's targets, and how representative it was and is.

    Raises InputError where the margins cannot be met, or only by weights that explode.
    """
    margins = margins_of(survey, spec)
    base = survey.weights
    found = rake(base, margins, spec.bounds, spec.trim)
    largest = float(found.weights.max() / found.weights.mean())
    names = ", ".join(spec.margins)
    if not found.converged:
        why = "within bounds" if spec.bounds else "with trim" if spec.trim else "at once"
        raise InputError(
            f"weights: the margins {names} cannot all be met {why}: the largest gap left is "
            f"{found.gap:.2%}. Widen bounds or trim, join small categories, or drop a margin."
        )
    if largest > EXPLODED:
        worst = _rarest(margins, found)
        raise InputError(
            f"weights: raking gives somebody {largest:.0f} times the mean weight ({worst}); join "
            "that category with another, or set bounds or trim."
        )
    raked = survey.with_responses(survey.responses.with_columns(pl.Series(WEIGHT, found.weights)))
    variable = survey.provenance.weight_variable
    described = f"{variable}, raked" if variable else "raking"
    provenance = replace(
        survey.provenance,
        weight_variable=f"{described} to {names} ({spec.source})",
    )
    return replace(raked, provenance=provenance), _representativeness(base, margins, found, spec)


def _representativeness(
    base: FloatArray, margins: Sequence[Margin], found: Raked, spec: WeightingSpec
) -> Representativeness:
    everyone = np.ones_like(base)
    categories, dissimilarity = [], {}
    for margin in margins:
        sample, before, after = (margin_shares(w, margin) for w in (everyone, base, found.weights))
        counts = np.bincount(margin.codes[margin.codes >= 0], minlength=margin.targets.size)
        dissimilarity[margin.name] = (
            float(np.abs(before - margin.targets).sum() / 2),
            float(np.abs(after - margin.targets).sum() / 2),
        )
        categories += [
            Category(
                margin.name,
                name,
                int(counts[k]),
                float(sample[k]),
                float(before[k]),
                float(after[k]),
                float(margin.targets[k]),
            )
            for k, name in enumerate(margin.categories)
        ]
    return Representativeness(
        source=spec.source,
        categories=tuple(categories),
        dissimilarity=dissimilarity,
        n=base.size,
        n_eff=(effective_sample_size(base), effective_sample_size(found.weights)),
        design_effect=(design_effect(base), design_effect(found.weights)),
        gap=found.gap,
        iterations=found.iterations,
        trimmed=found.trimmed,
        largest_weight=float(found.weights.max() / found.weights.mean()),
    )


def _margin(survey: Survey, name: str, shares: Mapping[str, float], spec: WeightingSpec) -> Margin:
    place = f"weights.margins.{name}"
    columns = [column.strip() for column in name.split(JOIN)]
    for column in columns:
        if column not in survey.codebook.demographics:
            raise InputError(
                f"{place}: {column} is not a demographic column of this survey; there are "
                f"{', '.join(survey.codebook.demographics) or 'none'}."
                f"{did_you_mean(column, survey.codebook.demographics)}"
            )
    parts = [[part.strip() for part in category.split(JOIN)] for category in shares]
    for category, found in zip(shares, parts, strict=True):
        if len(found) != len(columns):
            raise InputError(
                f'{place}: "{category}" names {len(found)} categories for {len(columns)} columns; '
                f'write them as "{JOIN.join(f"[{column}]" for column in columns)}".'
            )
    targets = _targets(place, shares)
    values = [
        _categories(survey.responses[column], sorted({p[at] for p in parts}), f"{place}")
        for at, column in enumerate(columns)
    ]
    codes = _cells(values, parts, place)
    unknown = int((codes < 0).sum())
    if unknown and spec.unknown == "error":
        raise InputError(
            f"{place}: {unknown} of {codes.size} respondents have no known category (the first is "
            f"respondent {survey.responses['respondent'][int((codes < 0).argmax())]!r}). Say "
            "weights.unknown: keep to leave them the share they have."
        )
    weight = np.bincount(codes[codes >= 0], survey.weights[codes >= 0], len(targets))
    for category, total in zip(shares, weight, strict=True):
        if total == 0:
            raise InputError(
                f'{place}: nobody in the sample is "{category}", so no weight can stand for them; '
                "join it with another category."
            )
    return Margin(name, tuple(shares), codes, targets)


def _cells(values: Sequence[pl.Series], parts: Sequence[Sequence[str]], place: str) -> IntArray:
    """Each respondent's place among the categories that have a target, -1 where one is unknown.

    values: a series for each column, with the category of each respondent. parts: for each target
    a category of each column. Raises InputError where a respondent's categories have no target.
    """
    known = np.ones(values[0].len(), dtype=bool)
    numbers, names = [], []
    for at, column in enumerate(values):
        places = {name: k for k, name in enumerate(sorted({part[at] for part in parts}))}
        found = column.replace_strict(places, default=-1, return_dtype=pl.Int64).to_numpy()
        known &= found >= 0
        numbers.append(np.maximum(found, 0))
        names.append(places)
    target = np.full([len(places) for places in names], -1, dtype=np.int64)
    for k, part in enumerate(parts):
        target[tuple(own[category] for own, category in zip(names, part, strict=True))] = k
    codes = np.where(known, target[tuple(numbers)], -1)
    without = known & (codes < 0)
    if without.any():
        row = int(without.argmax())
        cell = JOIN.join(str(column[row]) for column in values)
        raise InputError(
            f"{place}: respondents of {cell} have no target; add the category, or join it with "
            "another."
        )
    return codes


def _targets(place: str, shares: Mapping[str, float]) -> FloatArray:
    targets = np.array(list(shares.values()), dtype=np.float64)
    low = [category for category, share in shares.items() if not share > 0]
    if low:
        raise InputError(
            f'{place}: the share of "{low[0]}" is {shares[low[0]]}; it must be above 0.'
        )
    total = float(targets.sum())
    whole = 100.0 if total > 1 + ROUNDING else 1.0
    if abs(total / whole - 1) > ROUNDING:
        raise InputError(
            f"{place}: the shares sum to {total:g}; they must sum to 1, or to 100 as percentages."
        )
    return targets / total


def _categories(column: pl.Series, names: Sequence[str], place: str) -> pl.Series:
    """Each respondent's category, None where it is unknown: by name, or by range of a number."""
    ranges = {name: ends for name in names if (ends := _range(name)) is not None}
    known = set(column.drop_nulls().cast(pl.String).unique().to_list())
    if not ranges or known <= set(names):
        missing = sorted(known - set(names))
        if missing:
            raise InputError(
                f'{place}: respondents with "{missing[0]}" have no target; add the category, or '
                "join it with another in the survey's codebook."
            )
        return column.cast(pl.String)
    exact = [name for name in names if name not in ranges]
    placed: dict[str, str] = {}
    texts = column.cast(pl.String)
    for value in texts.drop_nulls().unique(maintain_order=True).to_list():
        if value in exact:
            placed[value] = value
            continue
        try:
            number = float(value)
        except ValueError as error:
            raise InputError(
                f'{place}: "{value}" is neither a number nor a category; add it next to the ranges.'
            ) from error
        inside = [name for name, (low, high) in ranges.items() if low <= number <= high]
        if len(inside) != 1:
            count = "no category" if not inside else f"{len(inside)} categories"
            raise InputError(
                f"{place}: {value} lies in {count}; the ranges must meet and not overlap."
            )
        placed[value] = inside[0]
    return texts.replace_strict(placed, default=None, return_dtype=pl.String)


def _range(name: str) -> tuple[float, float] | None:
    both, above = _RANGE.match(name), _FROM.match(name)
    if both:
        return float(both[1]), float(both[2])
    return (float(above[1]), np.inf) if above else None


def _rarest(margins: Sequence[Margin], found: Raked) -> str:
    """The categories of the respondent with the largest weight, in words."""
    worst = int(found.weights.argmax())
    return ", ".join(
        f"{m.name}: {m.categories[m.codes[worst]]}" for m in margins if m.codes[worst] >= 0
    )
