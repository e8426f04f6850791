"""What `suffrage estimate` shows: people asked, the model alone, and both joined."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from suffrage.plurals import plural
from suffrage.population.rectify import people_needed
from suffrage.report.numbers import percent, thousands

if TYPE_CHECKING:
    from suffrage.population.rectify import Estimated, Rectified

# What a poll of a thousand people gives.
NARROW = 0.03
# A gain in people smaller than this is not worth a model.
SMALL_GAIN = 0.05


def verdict(found: Rectified, told_apart: int) -> str:
    """One sentence on whether the model helped, made from the figures."""
    alone = (
        f"The model alone is off by {percent(_off(found))} of the answers from the rectified "
        "estimate."
    )
    if told_apart < 2:
        return (
            "The model answers the same for everyone in this group, so it adds nothing: the "
            f"estimate is that of the people asked. {alone}"
        )
    if not found.helps:
        return (
            "The model cannot be shown to help: its differences between groups do not follow the "
            f"people's, beyond chance; ask people. {alone}"
        )
    little = ", but too little to matter" if found.gain < SMALL_GAIN else ""
    worth = (
        f"The model helped{little}: {found.n} people with it say as much as {found.worth:.0f} "
        "without"
    )
    if found.cells_worth is not None and found.cells_worth >= found.worth:
        worth += (
            f", but weighting them to the groups' known shares, without a model, is worth "
            f"{found.cells_worth:.0f}"
        )
    return f"{worth}. {alone}"


def _needed(found: Rectified) -> str:
    alone, joined = people_needed(found, NARROW)
    both = f", {thousands(joined)} with it" if found.helps else ""
    return (
        f"For intervals of ±{100 * NARROW:.0f} points one would have to ask about "
        f"{thousands(alone)} people without the model{both}."
    )


def _off(found: Rectified) -> float:
    """Total variation between the model alone and the rectified estimate."""
    return float(np.abs(found.raw - found.rectified.values).sum() / 2)


def estimates_json(found: Any) -> dict[str, Any]:
    """The estimates for scripts. found: `study.estimating.Estimates`."""
    return {
        "study": found.title,
        "method": found.method,
        "sample": found.sample,
        "seed": found.seed,
        "estimates": [
            {
                "group": e.group,
                "item": e.item.id,
                "question": e.item.question,
                "options": list(e.item.texts),
                "n": e.found.n,
                "n_eff": e.found.n_eff,
                "people": _numbers(e.found.classical),
                "model": e.found.raw.tolist(),
                "rectified": _numbers(e.found.rectified),
                "whole_survey": None if e.known is None else e.known.tolist(),
                "lambda": e.found.tuning,
                "lambda_error": e.found.tuning_error,
                "worth": e.found.worth,
                "worth_weighted_to_groups": e.found.cells_worth,
                "helps": e.found.helps,
                "people_needed": dict(
                    zip(("alone", "with_model"), people_needed(e.found, NARROW), strict=True)
                )
                | {"half_width": NARROW},
                "groups_told_apart": e.told_apart,
                "model_seed": e.seed,
                "verdict": verdict(e.found, e.told_apart),
                "trial": None if e.trial is None else e.trial.__dict__,
            }
            for e in found.estimates
        ],
        "left_out": list(found.left_out),
    }


def _numbers(estimated: Estimated) -> dict[str, list[float]]:
    return {
        "shares": estimated.values.tolist(),
        "standard_errors": estimated.errors.tolist(),
        "low": estimated.low.tolist(),
        "high": estimated.high.tolist(),
    }


def estimates_text(found: Any) -> Any:
    """The estimates for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.text import Text

    drawn = (
        "all who answered"
        if found.sample is None
        else f"{found.sample} people drawn from each group (seed {found.seed})"
    )
    parts: list[Any] = [Text(f"{found.title}: {found.label}, {drawn}", style="bold")]
    for group, estimates in groupby(found.estimates, key=lambda e: e.group):
        parts.append(Text(f"\n{group}", style="bold"))
        for estimate in estimates:
            parts.append(Text(f"\n{estimate.item.question} ({estimate.item.id})"))
            parts.append(_table(estimate))
            parts.append(Text(verdict(estimate.found, estimate.told_apart)))
            parts.append(Text(_needed(estimate.found), style="dim"))
    trials = [e for e in found.estimates if e.trial is not None]
    if trials:
        parts += [Text(f"\n{_trial_heading(trials)}", style="bold"), _trial_table(trials)]
        parts.append(
            Text(
                "Coverage: how often the 95% interval contains the whole survey's answer. Error: "
                "root mean square, in points. Worth: how many times as many people one would have "
                "to ask without the model. At most: the same for a model that knew every group's "
                "answers."
            )
        )
    parts += [Text(""), Text(_closing(found))]
    parts += [Text(f"Left out: {why}.", style="dim") for why in found.left_out]
    return Group(*parts)


def _table(estimate: Any) -> Any:
    from suffrage.plain_table import PlainTable

    table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("Answer", overflow="fold")
    table.add_column(f"{estimate.found.n} people", no_wrap=True)
    table.add_column("Model alone", justify="right", no_wrap=True)
    table.add_column("Rectified", no_wrap=True)
    if estimate.known is not None:
        table.add_column("Whole survey", justify="right", no_wrap=True)
    for k, text in enumerate(estimate.item.texts):
        cells = [
            _with_interval(estimate.found.classical, k),
            percent(float(estimate.found.raw[k])),
            _with_interval(estimate.found.rectified, k),
        ]
        if estimate.known is not None:
            cells.append(percent(float(estimate.known[k])))
        table.add_row(text, *cells)
    return table


def _with_interval(estimated: Estimated, k: int) -> str:
    low, high = 100 * estimated.low[k], 100 * estimated.high[k]
    return f"{percent(float(estimated.values[k]))} ({low:.0f} to {high:.0f})"


def _trial_heading(trials: Any) -> str:
    return (
        f"{trials[0].trial.repeats} such samples of each group, compared with the whole survey "
        "(means over items)"
    )


def _trial_table(trials: Any) -> Any:
    from suffrage.plain_table import PlainTable

    table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(
        "\nGroup", min_width=min(max(len(e.group) for e in trials), 22), overflow="fold"
    )
    for name in (
        "Coverage,\npeople",
        "\nboth",
        "Error,\npeople",
        "\nmodel",
        "\nboth",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("Worth\n", "At most\n"):
        table.add_column(name, justify="right", no_wrap=True)
    for group, estimates in groupby(trials, key=lambda e: e.group):
        own = [e.trial for e in estimates]
        covered = np.mean([t.covered for t in own], axis=0)
        errors = np.sqrt(np.mean(np.square([t.error for t in own]), axis=0))
        table.add_row(
            group,
            *(f"{100 * share:.1f}" for share in covered),
            *(f"{100 * error:.1f}" for error in errors),
            f"{np.square(errors[0] / errors[2]):.2f}",
            f"{np.mean([t.possible for t in own]):.2f}",
        )
    return table


def _closing(found: Any) -> str:
    helped = [e for e in found.estimates if e.found.helps and e.found.gain >= SMALL_GAIN]
    return (
        f"The model helped by more than {100 * SMALL_GAIN:.0f}% in {len(helped)} of "
        f"{plural(len(found.estimates), 'estimate')}; by chance alone, up to one in forty would "
        "look helped. Intervals are 95%, and not corrected for their "
        "number. The model's answers alone are not an estimate of what people think, and have no "
        "valid interval."
    )
