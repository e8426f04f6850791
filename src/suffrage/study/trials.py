"""The trials of a sweep: which settings of a method are tried, and in which combinations.

A study states them under `tune`. To an option of the method belongs a list of values to try, or
one value that every trial has instead of the study's own:

    tune: {learning_rate: [0.0002, 0.0005], layers: [all, 11-30], steps: 60, trials: 4}
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from suffrage import settings, storage
from suffrage.align import TrainingOptions
from suffrage.arguments import written
from suffrage.errors import InputError, did_you_mean
from suffrage.study.schema import MethodSpec, Study

TRIALS = 6
# Combinations that are looked at to choose the trials from.
MOST_COMBINATIONS = 10_000
# Characters of a trial's name, which is part of its folder's.
LONGEST_NAME = 120
# Options that change what is asked of the model, so that trials could not be compared.
_ASKED_ALIKE = ("validation", "validation_cells", "format", "together")


@dataclass(frozen=True)
class TuningTrial:
    """One training of a sweep."""

    # The value of each option that is tried.
    settings: Mapping[str, Any]
    # Whether these are the study's own settings.
    own: bool
    # The training as an entry of the study's methods.
    spec: MethodSpec


@dataclass(frozen=True)
class Sweep:
    """What is tried of one method."""

    # The study's entry.
    spec: MethodSpec
    # The values to try, by option.
    values: Mapping[str, tuple[Any, ...]]
    # What every trial has instead of the entry's own, by option.
    fixed: Mapping[str, Any]
    # Trainings in all.
    trials: int


def sweep_of(
    study: Study, method: str | None = None, steps: int | None = None, trials: int | None = None
) -> Sweep:
    """What a study's `tune` says, or what is tried without it.

    Without it these are three learning rates, all layers or the upper two thirds, and an adapter
    or full fine-tuning.

    Parameters
    ----------
    study : Study
    method : str, optional
        The entry of `methods` to tune. Default: `tune.method`, or the only one that holds questions
        back for validation.
    steps : int, optional
        Steps of each trial. Default: `tune.steps`, or the entry's own.
    trials : int, optional
        How many trials, the study's own settings among them. Default: `tune.trials`, or 6.

    Raises
    ------
    InputError
        The method is unknown or holds nothing back, or a key or a value of `tune` is wrong.
    """
    source = study.source.name
    stated = dict(study.tune)
    spec = _tuned_method(study, method or stated.pop("method", None))
    stated.pop("method", None)
    count = trials if trials is not None else stated.pop("trials", TRIALS)
    stated.pop("trials", None)
    if not isinstance(count, int) or count < 2:
        raise InputError(f"{source}: tune.trials is {count}; it must be 2 or more.")
    if steps is not None:
        stated["steps"] = steps
    known = list(type(spec.options).model_fields)
    for key in stated:
        if key not in known:
            raise InputError(
                f"{source}: tune.{key}: {spec.method.name} has no such option; it has "
                f"{', '.join(known)}.{did_you_mean(key, known)}"
            )
    values = {key: tuple(some) for key, some in stated.items() if isinstance(some, list)}
    for key, some in values.items():
        if key in _ASKED_ALIKE or not some:
            why = "changes what is asked" if key in _ASKED_ALIKE else "names no value"
            raise InputError(f"{source}: tune.{key} {why}, so trials cannot be compared on it.")
    fixed = {key: value for key, value in stated.items() if key not in values}
    sweep = Sweep(spec, values or _usual_values(spec, fixed), fixed, count)
    _check_holds_back(sweep, source)
    return sweep


def _tuned_method(study: Study, name: str | None) -> MethodSpec:
    able = [spec for spec in study.methods if hasattr(spec.options, "validation")]
    if name is not None:
        for spec in study.methods:
            if spec.name == name and spec in able:
                return spec
        named = any(spec.name == name for spec in study.methods)
        wrong = "holds no questions back for validation" if named else "is not in the study"
        raise InputError(
            f"{study.source.name}: {name} {wrong}; `tune` can choose the settings of "
            f"{', '.join(spec.name for spec in able) or 'distribution, with validation: 0.1'}."
        )
    ready = [spec for spec in able if getattr(spec.options, "validation", 0)] or able
    if len(ready) == 1:
        return ready[0]
    if not ready:
        raise InputError(
            f"{study.source.name}: no method holds questions back for validation, so there is "
            "nothing to choose settings on; add {method: distribution, validation: 0.1} to methods."
        )
    raise InputError(
        f"{study.source.name}: several methods can be tuned; name one with {written('method')}: "
        f"{', '.join(spec.name for spec in ready)}."
    )


def _check_holds_back(sweep: Sweep, source: str) -> None:
    """Raises InputError where a trial would hold nothing back."""
    if not sweep.fixed.get("validation", getattr(sweep.spec.options, "validation", 0.0)):
        raise InputError(
            f"{source}: {sweep.spec.name} holds no questions back (validation: 0), and held-out "
            "questions must not choose settings; add validation: 0.1 to its entry."
        )


def _usual_values(spec: MethodSpec, fixed: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """What is tried where the study does not say: the entry's own values and others near them."""
    options = spec.options
    assert isinstance(options, TrainingOptions)
    rate = options.learning_rate
    layers = "upper" if options.layers == "all" else "all"
    adapter = "none" if options.adapter != "none" else "lora"
    usual: dict[str, tuple[Any, ...]] = {
        "learning_rate": (float(f"{rate / 3:.1g}"), rate, float(f"{rate * 3:.1g}")),
        "layers": (options.layers, layers),
        "adapter": (options.adapter, adapter),
    }
    return {key: values for key, values in usual.items() if key not in fixed}


def trials_of(sweep: Sweep, seed: int, source: str) -> list[TuningTrial]:
    """The trainings of a sweep: the study's own settings, then combinations of what is tried.

    Where there are more combinations than trials, each value is taken about equally often.

    Parameters
    ----------
    sweep : Sweep
    seed : int
        Of the choice among combinations.
    source : str
        The study's file, for messages.

    Raises
    ------
    InputError
        The method does not take a value, or there are too many combinations.
    """
    size = math.prod(len(values) for values in sweep.values.values())
    if size > MOST_COMBINATIONS:
        raise InputError(f"{source}: tune has {size:,} combinations; name fewer values.")
    usual = sweep.spec.options.model_dump(mode="json")
    own = {key: usual[key] for key in sweep.values}
    combinations = [
        dict(zip(sweep.values, some, strict=True)) for some in product(*sweep.values.values())
    ]
    found: list[TuningTrial] = []
    for place, tried in enumerate([own, *combinations]):
        trial = TuningTrial(tried, place == 0, _spec_of(sweep, tried, source))
        if all(_options(trial) != _options(other) for other in found):
            found.append(trial)
    return _balanced(found, sweep.trials, seed)


def _spec_of(sweep: Sweep, tried: Mapping[str, Any], source: str) -> MethodSpec:
    """The study's entry with other settings, under a name that says them."""
    spec = sweep.spec
    new = {**sweep.fixed, **tried}
    given = {**spec.options.model_dump(exclude_unset=True), **new}
    if new.get("steps") is not None:
        given.pop("epochs", None)
    if given.get("adapter") == "none":
        # Without an adapter these decide nothing.
        given = {key: value for key, value in given.items() if key not in ("rank", "alpha")}
    options = settings.validated(type(spec.options), given, source, "tune")
    words = "-".join(f"{key}-{value}" for key, value in tried.items())
    name = re.sub(r"[^\w.]+", "-", f"{spec.name}-{words}", flags=re.ASCII)
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}-{storage.content_hash(words)[:8]}"
    return spec.model_copy(update={"name": name, "options": options})


def _balanced(trials: Sequence[TuningTrial], count: int, seed: int) -> list[TuningTrial]:
    """The first trial, and so many that each value comes about equally often, in their order."""
    order = np.random.default_rng([seed, 6]).permutation(len(trials))
    left = [int(place) for place in order if place]
    chosen, used = [0], Counter(_pairs(trials[0]))
    while left and len(chosen) < count:
        place = min(left, key=lambda one: sum(used[pair] for pair in _pairs(trials[one])))
        left.remove(place)
        chosen.append(place)
        used.update(_pairs(trials[place]))
    return [trials[place] for place in sorted(chosen)]


def _options(trial: TuningTrial) -> dict[str, Any]:
    return trial.spec.options.model_dump()


def _pairs(trial: TuningTrial) -> list[tuple[str, str]]:
    return [(key, str(value)) for key, value in trial.settings.items()]
