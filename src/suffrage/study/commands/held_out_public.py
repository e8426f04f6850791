"""How far each checkpoint agrees with the participants nobody trained on.

Each of their choices between two answers is held against which of the two the model finds likelier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.consult.judgements import counted_pairs, judged_comparisons
from suffrage.consult.people import people_weights
from suffrage.errors import InputError
from suffrage.models import Answerer
from suffrage.population import ValueSet
from suffrage.training_data.consultation_source import ConsultationSource, members_of
from suffrage.training_data.from_consultation import persona_prompt

DRAWS = 2000
SIDES = ("held_out", "trained")
# What the best guess from those trained on would reach: it has read the same pairs, no model has.
OTHERS = "participants trained on"


@dataclass(frozen=True)
class Agreement:
    """One figure: of held-out participants' choices, how many the method makes too.

    value_set: "all" for all of them. side: prompts about items held out, or trained on. low, high:
    95 %, over participants and prompts. against: the method it is compared to, and the difference.
    """

    method: str
    value_set: str
    side: str
    choices: int
    participants: int
    prompts: int
    agreement: float
    low: float
    high: float
    against: str = ""
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None


def held_out_choices(source: ConsultationSource, value_sets: Sequence[ValueSet]) -> pl.DataFrame:
    """Choices of the participants held out, one row each, for every value set they are in.

    Columns: value_set, participant, prompt, first, second, chose (1 the first, 0 the second),
    weight, side. Ties and "both bad" choose neither and are left out.
    """
    # The weight nobody but they have: of everyone who consented, as in training.
    everyone = sorted({*source.people, *source.held_out_people})
    weights, _ = people_weights(
        source.consultation, everyone, source.spec.read_as, source.spec.margins
    )
    parts = []
    for value_set in value_sets:
        inside = members_of(source.consultation, source.held_out_people, value_set)
        rows = judged_comparisons(source.consultation, {p: weights[p] for p in inside})
        rows = rows.filter(pl.col("side").is_in(["first", "second"])).unique(
            ["participant", "first", "second"], keep="first", maintain_order=True
        )
        parts.append(
            rows.select(
                pl.lit(value_set.name).alias("value_set"),
                "participant",
                "prompt",
                "first",
                "second",
                (pl.col("side") == "first").cast(pl.Int8).alias("chose"),
                "weight",
                pl.when(pl.col("prompt").is_in(list(source.prompts)))
                .then(pl.lit("trained"))
                .otherwise(pl.lit("held_out"))
                .alias("side"),
            )
        )
    found = pl.concat(parts)
    if found.is_empty():
        raise InputError(
            f"consultation {source.consultation.slug}: no participant held out, in a value set of "
            "the study, chose between two answers."
        )
    return found.sort("value_set", "participant", "first", "second")


def preferred(
    model: Answerer,
    source: ConsultationSource,
    value_set: ValueSet | None,
    pairs: Sequence[tuple[str, str, str]],
    per_token: bool = False,
) -> list[float]:
    """1 where a model finds the first answer likelier, 0 the second, 0.5 where both alike.

    pairs: (prompt, first, second). value_set: as whom to answer, None as itself. per_token: by the mean
    log-probability of a token, for answers of very different lengths; else by the whole answer's.
    """
    texts = dict(source.consultation.answers.select("answer", "text").iter_rows())
    prompts = dict(source.consultation.prompts.select("prompt", "text").iter_rows())

    def chat(prompt: str) -> list[dict[str, str]]:
        text = prompts[prompt]
        said = text if value_set is None else persona_prompt(text, value_set.description)
        return [{"role": "user", "content": said}]

    read = model.text_log_probs(
        [chat(prompt) for prompt, _, _ in pairs],
        [[texts[first], texts[second]] for _, first, second in pairs],
    )
    whole = [tuple(float(log.mean() if per_token else log.sum()) for log in both) for both in read]
    return [0.5 if a == b else float(a > b) for a, b in whole]


def others_preferred(
    source: ConsultationSource, value_set: ValueSet, pairs: Sequence[tuple[str, str, str]]
) -> list[float]:
    """What most participants trained on prefer in each pair, 0.5 where they are split or silent."""
    counted = counted_pairs(source.consultation, source.weights_of(value_set.name))
    share = {(p.first, p.second): p.share for p in counted if p.decided > 0}
    found = [share.get((first, second), 0.5) for _, first, second in pairs]
    return [0.5 if s == 0.5 else float(s > 0.5) for s in found]


def agreements(
    choices: pl.DataFrame,
    preferences: Mapping[str, FloatArray],
    against: str | None,
    seed: int,
) -> list[Agreement]:
    """Agreement by method, value set and side, with intervals and paired differences.

    preferences: by method (rows of choices,), 1 where it prefers the first. Intervals draw
    participants and prompts anew, each with replacement, both at once (Owen and Eckles 2012).
    """
    generator = np.random.default_rng([seed, 22])
    chose = choices["chose"].to_numpy().astype(np.float64)
    agree = {m: np.where(chose == 1, p, 1 - p) for m, p in preferences.items()}
    weight = choices["weight"].to_numpy()
    counts = {}
    for column in ("participant", "prompt"):
        names = choices[column].unique().sort().to_list()
        drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
        place = {name: at for at, name in enumerate(names)}
        counts[column] = drawn[:, [place[name] for name in choices[column]]]
    multiplicity = counts["participant"] * counts["prompt"] * weight
    found = []
    names = choices["value_set"].unique(maintain_order=True).to_list()
    for name in [*names, *(["all"] if len(names) > 1 else [])]:
        for side in SIDES:
            inside = (choices["side"] == side).to_numpy()
            if name != "all":
                inside &= (choices["value_set"] == name).to_numpy()
            if not inside.any():
                continue
            own = choices.filter(pl.Series(inside))
            means = {m: _drawn_means(a[inside], multiplicity[:, inside]) for m, a in agree.items()}
            point = {
                m: float(np.average(a[inside], weights=weight[inside])) for m, a in agree.items()
            }
            for method in agree:
                low, high = np.nanquantile(means[method], [0.025, 0.975])
                compared = against is not None and method != against
                gap = means[method] - means[against] if compared and against else None
                found.append(
                    Agreement(
                        method=method,
                        value_set=name,
                        side=side,
                        choices=own.height,
                        participants=own["participant"].n_unique(),
                        prompts=own["prompt"].n_unique(),
                        agreement=point[method],
                        low=float(low),
                        high=float(high),
                        against=against if compared and against else "",
                        difference=point[method] - point[against] if compared and against else None,
                        difference_low=None if gap is None else float(np.nanquantile(gap, 0.025)),
                        difference_high=None if gap is None else float(np.nanquantile(gap, 0.975)),
                    )
                )
    return found


def _drawn_means(values: FloatArray, weights: FloatArray) -> FloatArray:
    """(draws,) weighted means, NaN where a draw has nobody."""
    total = weights.sum(axis=1)
    means = np.divide(weights @ values, total, out=np.full(total.size, np.nan), where=total > 0)
    return np.asarray(means)


def write_agreements(found: Sequence[Agreement], path: Path) -> None:
    """Write the figures as CSV."""
    frame = pl.DataFrame([vars(row) for row in found])
    storage.write_text(path, frame.write_csv())
