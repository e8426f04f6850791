"""What `suffrage tune` shows: the trials before they are trained, and how they compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suffrage.plain_table import PlainTable
from suffrage.plurals import plural
from suffrage.report.numbers import NOTHING, number, percent, short_duration, signed


def _table(columns: list[str]) -> PlainTable:
    table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        table.add_column(name, no_wrap=True)
    return table


def tuning_plan_text(plan: Mapping[str, Any]) -> Any:
    """A sweep as `TuningPlan.as_json` gives it: every trial with its settings, time and memory."""
    from rich.console import Group
    from rich.text import Text

    tried = list(plan["trials"][0]["settings"])
    table = _table(["Trial", *tried, "Time", "Memory", ""])
    for place, trial in enumerate(plan["trials"], 1):
        memory = trial["memory_bytes"]
        table.add_row(
            str(place),
            *(_value(trial["settings"][key]) for key in tried),
            short_duration(trial["seconds"]) if trial["seconds"] else "finished",
            f"{memory / 1e9:.1f} GB" if memory else "",
            _own(trial),
        )
    lines = (
        f"\n{plural(len(plan['trials']), 'trial')} of {plan['method']} with seed {plan['seed']}, "
        f"judged by {percent(plan['validation'])} of the questions to train on, which are held "
        f"back; held-out questions are not asked. About {short_duration(plan['seconds_left'])} "
        "(an estimate)."
    )
    return Group(table, Text(lines))


def tuning_text(found: Mapping[str, Any]) -> Any:
    """The trials as `Tuning.as_json` gives them, the best first, and the chosen settings."""
    from rich.console import Group
    from rich.text import Text

    tried = list(found["chosen"])
    table = _table([*tried, "Fit", "Gain", "Name", "Step", "Time", ""])
    diverged: list[str] = []
    for place, trial in enumerate(found["trials"]):
        gain = None if trial["fit"] is None else trial["fit"] - trial["fit_before"]
        step = trial["best_step"]
        mark = "chosen" if place == 0 else _own(trial)
        if trial["diverged"]:
            mark = "diverged"
            settings = ", ".join(f"{key} {_value(trial['settings'][key])}" for key in tried)
            diverged.append(f"\nWith {settings}: {trial['diverged']}.")
        table.add_row(
            *(_value(trial["settings"][key]) for key in tried),
            number(trial["fit"], 3),
            signed(gain, 3),
            signed(trial["name_gain"], 3),
            NOTHING if step is None else f"{step:g}/{trial['steps']:g}",
            short_duration(trial["seconds"]),
            mark,
        )
    words = (
        "\nFit: 1 - Jensen-Shannon distance on the questions held back inside training, at the "
        "best step (Step: of how many). Gain: over the model before training. Name: how much "
        "better each population's own answer fits than the answers for others. Own: the study's "
        "settings. The chosen trial is the best of several, so its fit is too high; the questions "
        "that the study holds out give the honest figure.\n\n"
        f"To use the chosen settings, put this entry under methods:\n\n{found['yaml']}"
    )
    return Group(table, *map(Text, diverged), Text(words))


def _own(trial: Mapping[str, Any]) -> str:
    return "own" if trial["own"] else ""


def _value(value: Any) -> str:
    if value is None:
        return NOTHING
    return f"{value:g}" if isinstance(value, float) else str(value)
