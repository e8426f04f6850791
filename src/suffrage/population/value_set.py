"""`ValueSet`: what one population answered, how sure we are, and where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.errors import InputError
from suffrage.population.distributions import (
    FloatArray,
    bootstrap_weights,
    design_effect,
    effective_sample_size,
    grouped_shares,
    half_sample_weights,
    resampled_shares,
    shrunk_toward,
)
from suffrage.population.where import Where, describe, select
from suffrage.survey import Item, NonResponse, Survey

REPLICATES = 200
HALF_SPLITS = 100
# Below the first, an answer distribution is shrunk toward the parent population; below the
# second the value set is refused (docs/architecture.md, "Small groups").
SHRINK_BELOW = 50.0
REFUSE_BELOW = 10.0


@dataclass(frozen=True, eq=False)
class AnswerDistribution:
    """How one population answered one item.

    shares, standard_errors: (options,), weighted, over those who chose an option.
    n: respondents who chose an option; n_eff: Kish's effective sample size of them.
    non_response: weighted share of each kind among all respondents of the population.
    replicates: (REPLICATES, options), bootstrap over respondents, the same draws for every item.
    first_halves, second_halves: (HALF_SPLITS, options), random halves of the respondents.
    pooled: the weight given to the parent population, 0 when the group stands for itself.
    """

    item: Item
    shares: FloatArray
    standard_errors: FloatArray
    n: int
    n_eff: float
    non_response: Mapping[str, float]
    replicates: FloatArray
    first_halves: FloatArray
    second_halves: FloatArray
    pooled: float = 0.0

    @property
    def mean_position(self) -> float:
        """The mean answer on a scale from 0 (first option) to 1 (last); ordered items only."""
        if not self.item.ordered:
            raise ValueError(f"{self.item.id} is not ordered; it has no mean position")
        return float(self.shares @ np.linspace(0, 1, self.shares.size))


@dataclass(frozen=True, eq=False)
class ValueSet:
    """A named target: one population's answer distribution for each item, without respondents.

    It holds its own uncertainty (replicates and half-samples), so that everything after it,
    ceilings and intervals included, works without the microdata.
    description: the population as a prompt names it, fitting "people in ...".
    weighting: what the weights are, in one sentence.
    """

    name: str
    description: str
    where: Mapping[str, Any]
    distributions: Mapping[str, AnswerDistribution]
    n: int
    n_eff: float
    design_effect: float
    weighting: str
    survey_hash: str
    set_aside: tuple[str, ...] = ()

    @property
    def items(self) -> list[Item]:
        """The items answered, in questionnaire order."""
        return [distribution.item for distribution in self.distributions.values()]

    @property
    def content_hash(self) -> str:
        """Changes with any share, replicate or name."""
        return storage.content_hash([self._manifest(), self._arrays_hash()])

    def _arrays_hash(self) -> str:
        return storage.content_hash(
            [
                array.round(12).tolist()
                for d in self.distributions.values()
                for array in (d.shares, d.replicates[:3], d.first_halves[:3])
            ]
        )

    def _manifest(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "description": self.description,
            "where": dict(self.where),
            "n": self.n,
            "n_eff": self.n_eff,
            "design_effect": self.design_effect,
            "weighting": self.weighting,
            "survey_hash": self.survey_hash,
            "set_aside": list(self.set_aside),
            "items": [
                {
                    **d.item.model_dump(mode="json"),
                    "n": d.n,
                    "n_eff": d.n_eff,
                    "pooled": d.pooled,
                    "non_response": dict(d.non_response),
                }
                for d in self.distributions.values()
            ],
        }

    def table(self) -> pl.DataFrame:
        """One row an item and option: share, standard error, n, n_eff."""
        return pl.DataFrame(
            [
                {
                    "item": d.item.id,
                    "question": d.item.question,
                    "position": k,
                    "option": option.text,
                    "share": float(d.shares[k]),
                    "standard_error": float(d.standard_errors[k]),
                    "n": d.n,
                    "n_eff": d.n_eff,
                    "pooled": d.pooled,
                }
                for d in self.distributions.values()
                for k, option in enumerate(d.item.options)
            ]
        )

    def write(self, folder: Path) -> None:
        """Write `value_set.json`, `shares.parquet` and the resamples, all or nothing."""

        def fill(draft: Path) -> None:
            manifest = json.dumps(self._manifest(), indent=2, ensure_ascii=False)
            (draft / "value_set.json").write_text(manifest, encoding="utf-8")
            self.table().write_parquet(draft / "shares.parquet")
            rows = [
                {"item": d.item.id, "kind": kind, "draw": draw, "shares": shares.tolist()}
                for d in self.distributions.values()
                for kind, array in (
                    ("replicate", d.replicates),
                    ("first_half", d.first_halves),
                    ("second_half", d.second_halves),
                )
                for draw, shares in enumerate(array)
            ]
            pl.DataFrame(rows).write_parquet(draft / "resamples.parquet")

        storage.write_folder(folder, fill)

    @classmethod
    def read(cls, folder: Path) -> ValueSet:
        """Read back what `write` wrote."""
        manifest = storage.read_json(folder / "value_set.json")
        shares = pl.read_parquet(folder / "shares.parquet")
        resamples = pl.read_parquet(folder / "resamples.parquet")
        distributions = {}
        for entry in manifest.pop("items"):
            facts = {key: entry.pop(key) for key in ("n", "n_eff", "pooled", "non_response")}
            item = Item.model_validate(entry)
            rows = shares.filter(pl.col("item") == item.id).sort("position")
            drawn = resamples.filter(pl.col("item") == item.id)
            arrays = {
                kind: np.array(
                    drawn.filter(pl.col("kind") == kind).sort("draw")["shares"].to_list()
                )
                for kind in ("replicate", "first_half", "second_half")
            }
            distributions[item.id] = AnswerDistribution(
                item=item,
                shares=rows["share"].to_numpy(),
                standard_errors=rows["standard_error"].to_numpy(),
                replicates=arrays["replicate"],
                first_halves=arrays["first_half"],
                second_halves=arrays["second_half"],
                **facts,
            )
        set_aside = tuple(manifest.pop("set_aside"))
        return cls(distributions=distributions, set_aside=set_aside, **manifest)


def build_value_set(
    survey: Survey,
    name: str,
    where: Where,
    seed: int,
    description: str | None = None,
) -> ValueSet:
    """The value set of the respondents that `where` picks out.

    Items nobody in the population was asked are set aside by name. A population below
    REFUSE_BELOW effective respondents is refused; an item below SHRINK_BELOW is shrunk toward
    all respondents of the survey and says so.
    Raises InputError on unknown columns, an empty population, or too few respondents.
    """
    rows = select(survey, where, name)
    weights = survey.weights[rows]
    if weights.sum() == 0:
        raise InputError(f"value set {name}: every respondent in it has weight 0.")
    n_eff = effective_sample_size(weights)
    if n_eff < REFUSE_BELOW:
        raise InputError(
            f"value set {name}: {rows.size} respondents, {n_eff:.1f} effective; below "
            f"{REFUSE_BELOW:.0f} nothing can be said of a group. Widen `where`, or merge groups."
        )
    # Resampling sees respondents in the order of their ids, so that the order of rows changes
    # nothing; the generator depends on the name, so that adding a value set changes no other.
    rows = rows[np.argsort(survey.responses["respondent"].to_numpy()[rows], kind="stable")]
    weights = survey.weights[rows]
    generator = np.random.default_rng([seed, int(storage.content_hash(name)[:8], 16)])
    drawn = bootstrap_weights(weights, REPLICATES, generator)
    first, second = half_sample_weights(weights, HALF_SPLITS, generator)
    distributions: dict[str, AnswerDistribution] = {}
    set_aside = []
    for item in survey.codebook.items:
        column = survey.positions(item.id)[rows]
        if not (column >= 0).any():
            kinds = ", ".join(sorted({NonResponse(int(code)).label for code in set(column)}))
            set_aside.append(f"{item.id} ({kinds} for all of {name})")
            continue
        distributions[item.id] = _answer_distribution(
            item, column, weights, drawn, first, second, survey
        )
    if not distributions:
        raise InputError(f"value set {name}: nobody in it answered any item.")
    variable = survey.provenance.weight_variable
    return ValueSet(
        name=name,
        description=description or describe(where, survey),
        where=dict(where),
        distributions=distributions,
        n=int(rows.size),
        n_eff=n_eff,
        design_effect=design_effect(weights),
        weighting=f"weighted by {variable}" if variable else "unweighted: it stands for the sample",
        survey_hash=survey.content_hash,
        set_aside=tuple(set_aside),
    )


def _answer_distribution(
    item: Item,
    column: np.ndarray[Any, np.dtype[np.int8]],
    weights: FloatArray,
    drawn: FloatArray,
    first: FloatArray,
    second: FloatArray,
    survey: Survey,
) -> AnswerDistribution:
    k = len(item.options)
    one_group = np.zeros(column.size, dtype=np.int64)
    plain = grouped_shares([column], [k], weights, one_group, 1)
    shares, errors = plain.shares[0, 0, :k], plain.standard_errors[0, 0, :k]
    n_eff = float(plain.n_eff[0, 0])
    replicates, first_halves, second_halves = (
        _fill_empty(resampled_shares([column], [k], w)[0], shares) for w in (drawn, first, second)
    )
    pooled = 0.0
    if n_eff < SHRINK_BELOW:
        # The parent counts for as many respondents as the group lacks to reach the threshold.
        prior_size = SHRINK_BELOW - n_eff
        everyone = survey.positions(item.id)
        parent = grouped_shares(
            [everyone], [k], survey.weights, np.zeros(everyone.size, dtype=np.int64), 1
        ).shares[0, 0, :k]
        pooled = prior_size / SHRINK_BELOW
        shares = shrunk_toward(shares, parent, n_eff, prior_size)
        errors = errors * (1 - pooled)
        replicates = shrunk_toward(replicates, parent, n_eff, prior_size)
    total = weights.sum()
    non_response = {
        kind.label: float(weights[column == int(kind)].sum() / total)
        for kind in NonResponse
        if (column == int(kind)).any()
    }
    return AnswerDistribution(
        item=item,
        shares=shares,
        standard_errors=errors,
        n=int(plain.n[0, 0]),
        n_eff=n_eff,
        non_response=non_response,
        replicates=replicates,
        first_halves=first_halves,
        second_halves=second_halves,
        pooled=pooled,
    )


def _fill_empty(resampled: FloatArray, shares: FloatArray) -> FloatArray:
    """A resample in which nobody answered the item takes the full sample's shares."""
    return np.asarray(np.where(np.isnan(resampled).any(axis=1, keepdims=True), shares, resampled))
