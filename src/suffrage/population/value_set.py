"""`ValueSet`: what one population answered, how sure we are, and where it came from."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.arguments import MAPPING, NAME, NOTHING, PATH, SEED, TEXT, instance_of, takes
from suffrage.arrays import FloatArray, IntArray, PositionArray
from suffrage.errors import InputError, did_you_mean
from suffrage.plurals import plural
from suffrage.population.design import (
    Design,
    design_bootstrap_shares,
    design_of,
    design_standard_errors,
)
from suffrage.population.distributions import (
    grouped_shares,
    sample_worth,
    share_intervals,
)
from suffrage.population.pooling import (
    GroupAnswers,
    find_concentration,
    pool,
    pooled_draws,
)
from suffrage.population.resampling import bootstrap_shares, half_sample_shares
from suffrage.population.student import student_quantile
from suffrage.population.where import Where, describe, select, select_by_id
from suffrage.survey import (
    Item,
    NonResponse,
    Survey,
    design_effect,
    effective_sample_size,
)

REPLICATES = 200
HALF_SPLITS = 100
# Below the first, an answer distribution is drawn toward the parent population; below the
# second the value set is refused, or the item set aside (docs/weights.md, "Small groups").
SHRINK_BELOW = 50.0
REFUSE_BELOW = 10.0
NORMAL_975 = 1.959964
# `AnswerDistribution`'s arrays of resamples, and what their rows are called on disk.
RESAMPLES = {
    "replicates": "replicate",
    "first_halves": "first_half",
    "second_halves": "second_half",
}
ARRAYS = ("shares", "standard_errors", *RESAMPLES)
# Value sets whose figures agree to this many decimals have the same hash, because processors differ
# in the last bits of a sum.
HASHED_DECIMALS = 9


@dataclass(frozen=True, eq=False)
class AnswerDistribution:
    """How one population answered one item."""

    item: Item
    # Shape (options,): weighted, over those who chose an option. Of a pooled item these are
    # posterior means and standard deviations (`population.pooling`).
    shares: FloatArray
    standard_errors: FloatArray
    # Respondents who chose an option, and their effective sample size (Kish). A published table
    # may not say how many answered: n is then 0, and n_eff and the standard errors are NaN.
    n: int
    n_eff: float
    # The weighted share of each kind among all respondents of the population.
    non_response: Mapping[str, float]
    # Shape (REPLICATES, options): bootstrap over respondents, with the same draws for every item.
    # Of a pooled item these are posterior draws. No rows where there are no respondents' answers.
    replicates: FloatArray
    # Shape (HALF_SPLITS, options): random halves of the respondents. The halves of a pooled item
    # are drawn toward the parent with the weight of the whole group.
    first_halves: FloatArray
    second_halves: FloatArray
    # The weight given to the rest of the parent population; 0 when the group stands for itself.
    pooled: float = 0.0

    def __eq__(self, other: object) -> bool:
        """Whether every figure is the same, to the last bit."""
        if not isinstance(other, AnswerDistribution):
            return NotImplemented
        plain = (field.name for field in fields(self) if field.name not in ARRAYS)
        return all(_same(getattr(self, name), getattr(other, name)) for name in plain) and all(
            np.array_equal(getattr(self, name), getattr(other, name), equal_nan=True)
            for name in ARRAYS
        )

    def __repr__(self) -> str:
        shares = zip(self.item.texts, self.shares, strict=True)
        shown = ", ".join(f"{text!r} {share:.3f}" for text, share in shares)
        return f"<AnswerDistribution {self.item.id!r}: {shown}>"

    @property
    def effective_answers(self) -> float:
        """How many people of a simple random sample would give the same errors.

        The shares' variances in such a sample, p(1 - p), over their variances here, both summed
        over the options. Unlike `n_eff`, this counts strata and clusters; it is `n_eff` where the
        errors are 0 or unknown.
        """
        spread = float((self.shares * (1 - self.shares)).sum())
        variance = float(np.square(self.standard_errors).sum())
        return spread / variance if variance > 0 else self.n_eff

    @property
    def mean_position(self) -> float:
        """The mean answer on a scale from 0 (first option) to 1 (last); ordered items only."""
        if not self.item.ordered:
            raise ValueError(f"{self.item.id} is not ordered; it has no mean position")
        return float(self.shares @ np.linspace(0, 1, self.shares.size))


class _ByItem(dict[str, AnswerDistribution]):
    """Distributions by item id; a misspelt id is an error that names the nearest."""

    def __init__(
        self,
        distributions: Mapping[str, AnswerDistribution] | Iterable[tuple[str, AnswerDistribution]],
        name: str = "",
    ) -> None:
        super().__init__(distributions)
        self._name = name

    def __missing__(self, item_id: str) -> AnswerDistribution:
        raise InputError(
            f'value set {self._name}: there is no item "{item_id}".'
            + did_you_mean(str(item_id), self)
        )

    def __reduce__(self) -> tuple[type[_ByItem], tuple[dict[str, AnswerDistribution], str]]:
        """For copies and pickles, which would otherwise leave out the name."""
        return type(self), (dict(self), self._name)


@dataclass(frozen=True)
class ValueSet:
    """A named target: one population's answer distribution for each item, without respondents.

    It holds its own uncertainty (replicates and half-samples), so that everything after it,
    including ceilings and intervals, works without the microdata.
    """

    name: str
    # The population as a prompt names it, such as "people whose country is Germany".
    description: str
    # Which respondents it is made of.
    where: Mapping[str, Any]
    # By item id.
    distributions: Mapping[str, AnswerDistribution]
    # Respondents and their effective number and design effect (Kish). For a published table that
    # does not say how many there are, n is 0 and the other two are NaN.
    n: int
    n_eff: float
    design_effect: float
    # What the weights are, in one sentence.
    weighting: str
    survey_hash: str
    # Items left out, each with the reason.
    set_aside: tuple[str, ...] = ()
    # Of the errors, where they follow a sampling design; None where people are independent. 0 where
    # all of them are in one sampling unit: errors are then NaN, and there are no replicates.
    degrees_of_freedom: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "distributions", _ByItem(self.distributions, self.name))

    def __eq__(self, other: object) -> bool:
        """Whether every figure and word is the same; figures unknown in both are."""
        if not isinstance(other, ValueSet):
            return NotImplemented
        names = (field.name for field in fields(self))
        return all(_same(getattr(self, name), getattr(other, name)) for name in names)

    def __repr__(self) -> str:
        items, people = plural(len(self.distributions), "item"), plural(self.n, "respondent", ",")
        return f"<ValueSet {self.name!r}: {self.description}; {items}, {people}>"

    def intervals(self, item_id: str) -> tuple[FloatArray, FloatArray]:
        """Return 95% intervals of an item's shares, the lower and the upper ends, (options,) each.

        They rest on the weighted errors, those of the sampling design where there is one, with
        Student's t for its degrees of freedom (`distributions.share_intervals`).
        """
        found = self.distributions[item_id]
        freedom = self.degrees_of_freedom
        reach = NORMAL_975 if freedom is None else student_quantile(0.975, max(freedom, 1))
        return share_intervals(found.shares, found.standard_errors, found.n_eff, reach)

    @property
    def items(self) -> list[Item]:
        """The items answered, in questionnaire order."""
        return [distribution.item for distribution in self.distributions.values()]

    @property
    def content_hash(self) -> str:
        """Changes with any share, error, resample, count or word of it."""
        arrays = hashlib.sha256()
        for distribution in self.distributions.values():
            for name in ARRAYS:
                # + 0.0 makes a zero of a negative zero.
                array = getattr(distribution, name).round(HASHED_DECIMALS) + 0.0
                arrays.update(f"{name} {array.shape}".encode() + array.tobytes())
        return storage.content_hash([_rounded(self._manifest()), arrays.hexdigest()])

    def _manifest(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "description": self.description,
            "where": dict(self.where),
            "n": self.n,
            "n_eff": _or_null(self.n_eff),
            "design_effect": _or_null(self.design_effect),
            "weighting": self.weighting,
            "survey_hash": self.survey_hash,
            "set_aside": list(self.set_aside),
            "degrees_of_freedom": self.degrees_of_freedom,
            "items": [
                {
                    **d.item.model_dump(mode="json"),
                    "n": d.n,
                    "n_eff": _or_null(d.n_eff),
                    "pooled": d.pooled,
                    "non_response": dict(d.non_response),
                }
                for d in self.distributions.values()
            ],
        }

    def table(self) -> pl.DataFrame:
        """A row for each item and option: share, standard error, n, n_eff."""
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

    @takes(folder=PATH)
    def write(self, folder: str | Path) -> None:
        """Write `value_set.json`, `shares.parquet` and the resamples, all or nothing."""

        def fill(draft: Path) -> None:
            manifest = json.dumps(self._manifest(), indent=2, ensure_ascii=False)
            (draft / "value_set.json").write_text(manifest, encoding="utf-8")
            self.table().write_parquet(draft / "shares.parquet")
            self._resamples().write_parquet(draft / "resamples.parquet")

        storage.write_folder(Path(folder), fill)

    def _resamples(self) -> pl.DataFrame:
        """A row for each item, kind and draw, with the shares of the item's options."""
        schema = {"item": pl.String, "kind": pl.String, "draw": pl.Int64}
        frames = [pl.DataFrame(schema={**schema, "shares": pl.List(pl.Float64)})]
        for d in self.distributions.values():
            for name, kind in RESAMPLES.items():
                drawn = getattr(d, name)
                columns = {"item": d.item.id, "kind": kind, "draw": np.arange(len(drawn))}
                shares = pl.Series("shares", drawn).cast(pl.List(pl.Float64))
                if len(drawn):
                    frames.append(pl.DataFrame(columns, schema=schema).with_columns(shares))
        return pl.concat(frames)

    @classmethod
    @takes(folder=PATH)
    def read(cls, folder: str | Path) -> ValueSet:
        """Read back what `write` wrote."""
        folder = Path(folder)
        manifest = storage.read_json(folder / "value_set.json")
        shares = pl.read_parquet(folder / "shares.parquet").partition_by("item", as_dict=True)
        resamples = pl.read_parquet(folder / "resamples.parquet").partition_by(
            ["item", "kind"], as_dict=True
        )
        distributions = {}
        for entry in manifest.pop("items"):
            facts = {key: entry.pop(key) for key in ("n", "n_eff", "pooled", "non_response")}
            facts["n_eff"] = _or_nan(facts["n_eff"])
            item = Item.model_validate(entry)
            rows = shares[(item.id,)].sort("position")
            replicates, first_halves, second_halves = (
                _drawn(resamples.get((item.id, kind)), len(item.options))
                for kind in RESAMPLES.values()
            )
            distributions[item.id] = AnswerDistribution(
                item=item,
                shares=rows["share"].to_numpy(),
                standard_errors=rows["standard_error"].to_numpy(),
                replicates=replicates,
                first_halves=first_halves,
                second_halves=second_halves,
                **facts,
            )
        set_aside = tuple(manifest.pop("set_aside"))
        for name in ("n_eff", "design_effect"):
            manifest[name] = _or_nan(manifest[name])
        return cls(distributions=distributions, set_aside=set_aside, **manifest)


def _or_null(figure: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(figure) else figure


def _or_nan(figure: float | None) -> float:
    return math.nan if figure is None else figure


def _same(one: Any, other: Any) -> bool:
    """Equal, or both NaN."""
    return bool(one == other or (one != one and other != other))


def _drawn(rows: pl.DataFrame | None, options: int) -> FloatArray:
    """The resamples of one kind in the order they were drawn, shape (draws, options)."""
    if rows is None:
        return np.empty((0, options))
    return rows.sort("draw")["shares"].list.to_array(options).to_numpy()


def _rounded(content: Any) -> Any:
    """The same with every float rounded to HASHED_DECIMALS."""
    if isinstance(content, dict):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_rounded(value) for value in content]
    return round(content, HASHED_DECIMALS) if isinstance(content, float) else content


_SURVEY = instance_of(Survey, words="a survey, as read_survey reads it")
_CONDITIONS = MAPPING.but_say('a mapping of conditions, such as {"region": "north"},')


@takes(
    survey=_SURVEY,
    name=NAME,
    where=_CONDITIONS | NOTHING,
    seed=SEED,
    description=TEXT | NOTHING,
    parent=_CONDITIONS | NOTHING,
    whole=_SURVEY | NOTHING,
)
def build_value_set(
    survey: Survey,
    name: str,
    where: Where | None = None,
    seed: int = 0,
    description: str | None = None,
    parent: Where | None = None,
    whole: Survey | None = None,
) -> ValueSet:
    """Build the value set of one population: its weighted answers to every item, with their errors.

    An item with fewer than 10 effective answers is set aside by name. An item with fewer than 50
    is drawn toward the other respondents of the parent population, and says so.

    Parameters
    ----------
    survey : Survey
        The respondents.
    name : str
        The value set's name. The resamples depend on it, so that no value set changes another.
    where : mapping, optional
        The conditions that a respondent meets: a demographic column with a value, a list of
        values, or `{"min": 18, "max": 29}`. Default: everyone.
    seed : int
        The seed of the resamples.
    description : str, optional
        The population as a question to a model names it, such as "people in Germany".
    parent : mapping, optional
        The conditions of the population that small groups are drawn toward. Default: everyone.
    whole : Survey, optional
        The survey that the parent is taken from, when `survey` holds a segment's weights: the same
        respondents in the same order, with weights that are no smaller.

    Returns
    -------
    ValueSet
        For each item the shares of its options with standard errors and resamples, shapes
        (options,), (options,) and (draws, options).

    Raises
    ------
    InputError
        A column or value is unknown, nobody meets the conditions, or the population has fewer than
        10 effective respondents.

    References
    ----------
    Kish (1965), Survey Sampling, section 11.7, for the effective sample size.

    Examples
    --------
    >>> from suffrage import read_survey
    >>> survey = read_survey("labelled_file", path="town.csv", codebook="town.yaml")
    >>> north = build_value_set(survey, "north", where={"area": "north"})
    >>> north.n, north.distributions["roads"].shares.round(2).tolist()
    (60, [0.63, 0.27, 0.1])
    """
    rows = select_by_id(survey, where := where or {}, name)
    weights, others = survey.weights[rows], select(survey, parent or {}, name)
    n_eff, design = _effective_respondents(weights, name), design_of(survey, rows)
    seeds = [seed, int(storage.content_hash(name)[:8], 16)]
    distributions, set_aside = _own_distributions(survey, rows, design, name, seeds)
    no_errors = design is not None and design.degrees_of_freedom == 0
    if any(own.n_eff < SHRINK_BELOW for own in distributions.values()):
        rest = _rest_weights(survey, whole or survey, rows, others)
        known = design is not None and not no_errors
        distributions = _pooled(distributions, survey, rest, known, [*seeds, 1])
    return ValueSet(
        name=name,
        description=description or describe(where, survey),
        where=dict(where),
        distributions=_without_errors(distributions) if no_errors else distributions,
        n=int(rows.size),
        n_eff=n_eff,
        design_effect=design_effect(weights),
        weighting=_weighting(survey.provenance.weight_variable, design),
        degrees_of_freedom=None if design is None else design.degrees_of_freedom,
        survey_hash=survey.content_hash,
        set_aside=set_aside,
    )


def _effective_respondents(weights: FloatArray, name: str) -> float:
    """The effective sample size. Raises InputError when it is too small for a value set."""
    if not weights.any():
        raise InputError(f"value set {name}: every respondent in it has weight 0.")
    n_eff = effective_sample_size(weights)
    if n_eff < REFUSE_BELOW:
        raise InputError(
            f"value set {name}: {weights.size} respondents, {n_eff:.1f} effective; below "
            f"{REFUSE_BELOW:.0f} nothing can be said of a group. Widen `where`, or merge groups."
        )
    return n_eff


def _weighting(variable: str | None, design: Design | None) -> str:
    weights = f"weighted by {variable}" if variable else "unweighted: it stands for the sample"
    if design is None:
        return weights
    if design.degrees_of_freedom == 0:
        return f"{weights}; errors unknown, because all are in one sampling unit ({design.words})"
    return f"{weights}; errors by design ({design.words})"


def _without_errors(found: Mapping[str, AnswerDistribution]) -> dict[str, AnswerDistribution]:
    """The same distributions without errors and replicates, which one sampling unit cannot give."""
    return {
        item_id: replace(
            d,
            standard_errors=np.full(d.shares.shape, np.nan),
            replicates=np.empty((0, d.shares.size)),
        )
        for item_id, d in found.items()
    }


def _own_distributions(
    survey: Survey, rows: IntArray, design: Design | None, name: str, seeds: list[int]
) -> tuple[dict[str, AnswerDistribution], tuple[str, ...]]:
    """Each item's distribution from the group's own answers, and the items set aside with reasons.

    Raises InputError when no item has enough answers.
    """
    items, weights = survey.codebook.items, survey.weights[rows]
    columns = [survey.positions(item.id)[rows] for item in items]
    options = [len(item.options) for item in items]
    found = grouped_shares(columns, options, weights, np.zeros(rows.size, dtype=np.int64), 1)
    enough = np.flatnonzero(found.n_eff[:, 0] >= REFUSE_BELOW)
    if enough.size == 0:
        raise InputError(
            f"value set {name}: no item has {REFUSE_BELOW:.0f} effective answers in it. Widen "
            "`where`, or merge groups."
        )
    drawn = _resample(
        [columns[j] for j in enough], [options[j] for j in enough], weights, design, seeds
    )
    distributions: dict[str, AnswerDistribution] = {}
    for j, resampled in zip(enough, drawn, strict=True):
        shares = found.shares[j, 0, : options[j]]
        distributions[items[j].id] = AnswerDistribution(
            item=items[j],
            shares=shares,
            standard_errors=found.standard_errors[j, 0, : options[j]]
            if design is None
            else design_standard_errors(columns[j], options[j], weights, design),
            n=int(found.n[j, 0]),
            n_eff=float(found.n_eff[j, 0]),
            non_response=_non_response(columns[j], weights),
            replicates=_fill_empty(resampled[0], shares),
            first_halves=_fill_empty(resampled[1], shares),
            second_halves=_fill_empty(resampled[2], shares),
        )
    set_aside = tuple(
        f"{item.id} ({_why_set_aside(column, n)} {name})"
        for item, column, n in zip(items, columns, found.n[:, 0], strict=True)
        if item.id not in distributions
    )
    return distributions, set_aside


def _resample(
    columns: list[PositionArray],
    options: list[int],
    weights: FloatArray,
    design: Design | None,
    seeds: list[int],
) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """Replicates, first halves and second halves of each item."""
    generator = np.random.default_rng(seeds)
    replicates = (
        bootstrap_shares(columns, options, weights, REPLICATES, generator)
        if design is None
        else design_bootstrap_shares(columns, options, weights, design, REPLICATES, generator)
    )
    halves = half_sample_shares(columns, options, weights, HALF_SPLITS, generator)
    return list(zip(replicates, *halves, strict=True))


def _fill_empty(resampled: FloatArray, shares: FloatArray) -> FloatArray:
    """A resample in which nobody answered the item takes the full sample's shares."""
    return np.asarray(np.where(np.isnan(resampled).any(axis=1, keepdims=True), shares, resampled))


def _rest_weights(
    survey: Survey,
    whole: Survey,
    rows: IntArray,
    parent_rows: IntArray,
) -> FloatArray:
    """What is left of each respondent's weight in the parent without the group.

    The group is made of the `rows` of `survey`, the parent of the `parent_rows` of `whole`.
    """
    weights = np.zeros(whole.weights.size)
    weights[parent_rows] = whole.weights[parent_rows]
    weights[rows] -= survey.weights[rows]
    return np.maximum(weights, 0.0)


def _pooled(
    own: dict[str, AnswerDistribution],
    survey: Survey,
    rest: FloatArray,
    by_design: bool,
    seeds: list[int],
) -> dict[str, AnswerDistribution]:
    """The same with small items drawn toward the rest of the parent population.

    rest: the weight of each of the survey's respondents in the parent without the group.
    All items together decide how like its parent the group is; only those below SHRINK_BELOW are
    pooled. In a clustered sample every item's size is divided by the mean design effect over
    items, because one item's few answers estimate its own design effect badly. When nobody else is
    in the parent, nothing changes.
    """
    by_id = survey.rows_by_id
    around = grouped_shares(
        [survey.positions(item_id)[by_id] for item_id in own],
        [d.shares.size for d in own.values()],
        rest[by_id],
        np.zeros(rest.size, dtype=np.int64),
        1,
    )
    effect = 1.0
    if by_design:
        worths = [sample_worth(d.shares, d.standard_errors, d.n_eff) for d in own.values()]
        effect = float(np.mean([d.n_eff / w for d, w in zip(own.values(), worths, strict=True)]))
    answers = {
        d.item.id: GroupAnswers(
            d.shares, d.n_eff / effect, around.shares[j, 0, : d.shares.size], around.n_eff[j, 0]
        )
        for j, d in enumerate(own.values())
        if around.n_eff[j, 0] > 0
    }
    if not answers:
        return own
    generator = np.random.default_rng(seeds)
    found = find_concentration(list(answers.values()))
    kappa = found.draws(REPLICATES, generator)

    def drawn_toward(d: AnswerDistribution) -> AnswerDistribution:
        answer = answers[d.item.id]
        pooled = pool(answer, found)
        pull = pooled.weight * answer.prior_mean
        return replace(
            d,
            shares=pooled.shares,
            standard_errors=pooled.standard_errors,
            replicates=pooled_draws(answer, d.replicates, kappa, generator),
            first_halves=(1 - pooled.weight) * d.first_halves + pull,
            second_halves=(1 - pooled.weight) * d.second_halves + pull,
            pooled=pooled.weight,
        )

    return {
        item_id: drawn_toward(d) if d.n_eff < SHRINK_BELOW and item_id in answers else d
        for item_id, d in own.items()
    }


def _non_response(column: PositionArray, weights: FloatArray) -> dict[str, float]:
    total = weights.sum()
    return {
        kind.label: float(weights[column == int(kind)].sum() / total)
        for kind in NonResponse
        if (column == int(kind)).any()
    }


def _why_set_aside(column: PositionArray, n: int) -> str:
    if n:
        return f"answered by {n}, too few to say anything of"
    kinds = sorted({NonResponse(int(code)).label for code in np.unique(column)})
    return f"{', '.join(kinds)} for all of"
