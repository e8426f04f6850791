"""A small sweep over a method's settings, judged by questions held back inside training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from statistics import mean
from typing import Any

import yaml

from suffrage import storage
from suffrage.align.checkpoint import MANIFEST, TRAINED_QUESTIONS
from suffrage.align.training import LOG
from suffrage.arguments import FLAG, NOTHING, NUMBER, TEXT, ArgumentKind, takes
from suffrage.errors import InputError, TrainingDivergedError
from suffrage.study.planning.plan import Plan, make_plan
from suffrage.study.progress import Progress
from suffrage.study.run import StudyRun
from suffrage.study.schema import A_STUDY, MethodSpec, Study
from suffrage.study.segmenting import with_value_sets
from suffrage.study.stages import Stage, only_run_in
from suffrage.study.trials import Sweep, TuningTrial, sweep_of, trials_of
from suffrage.study.wiring import TrainingPlace, Wiring, wire

# Under the study's output: the trials, and what is known of those that diverged.
FOLDER, DIVERGED = "tune", "diverged"
# What is kept of a finished trial: its weights are not needed any more.
KEPT = (MANIFEST, TRAINED_QUESTIONS, LOG)


@dataclass(frozen=True)
class PlannedTrial:
    """One trial before it is trained."""

    trial: TuningTrial
    # Estimated; 0 where nothing is left to do.
    seconds: float
    # At the peak; None where the model is not at hand.
    memory_bytes: int | None


@dataclass(frozen=True)
class TuningPlan:
    """What a sweep is going to do."""

    method: str
    seed: int
    # Share of the questions to train on that is held back.
    validation: float
    trials: tuple[PlannedTrial, ...]
    # Estimated seconds of all that is left, trainings that trials start from included.
    seconds_left: float

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "method": self.method,
            "seed": self.seed,
            "validation": self.validation,
            "trials": [
                {
                    "settings": dict(one.trial.settings),
                    "own": one.trial.own,
                    "steps": getattr(one.trial.spec.options, "steps", None),
                    "seconds": round(one.seconds, 1),
                    "memory_bytes": one.memory_bytes,
                }
                for one in self.trials
            ],
            "seconds_left": round(self.seconds_left, 1),
        }


@dataclass(frozen=True)
class TrialResult:
    """What one trial came to; without a fit where it diverged."""

    trial: TuningTrial
    # 1 minus the Jensen-Shannon distance on what is held back, at the best point.
    fit: float | None = None
    # How much better each population's own answer fits there than the answers for others.
    name_gain: float | None = None
    # The fit before the first step.
    fit_before: float | None = None
    # The best point, and how many steps were taken.
    best_step: float | None = None
    steps: float | None = None
    seconds: float | None = None
    # Why it stopped; None where it did not diverge.
    diverged: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "settings": dict(self.trial.settings),
            "own": self.trial.own,
            "fit": self.fit,
            "name_gain": self.name_gain,
            "fit_before": self.fit_before,
            "best_step": self.best_step,
            "steps": self.steps,
            "seconds": self.seconds,
            "diverged": self.diverged,
        }


@dataclass(frozen=True)
class Tuning:
    """The trials of a sweep, the best first."""

    plan: TuningPlan
    trials: tuple[TrialResult, ...]
    # The chosen trial's settings as an entry for the study's `methods`, in YAML.
    yaml: str
    # Where the trials are.
    folder: Path

    @property
    def chosen(self) -> TrialResult:
        """The trial with the best fit on the questions held back."""
        return self.trials[0]

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "plan": self.plan.as_json(),
            "trials": [one.as_json() for one in self.trials],
            "chosen": dict(self.chosen.trial.settings),
            "yaml": self.yaml,
            "folder": str(self.folder),
        }


@takes(
    study=A_STUDY,
    method=TEXT | NOTHING,
    steps=NUMBER | NOTHING,
    trials=NUMBER | NOTHING,
    quiet=FLAG,
    before=ArgumentKind("a function", callable) | NOTHING,
)
def tune_study(
    study: Study,
    method: str | None = None,
    steps: int | None = None,
    trials: int | None = None,
    quiet: bool = False,
    before: Callable[[TuningPlan], None] | None = None,
) -> Tuning:
    """Choose a method's settings by short trainings, or continue with what is missing.

    What is tried is in the study's `tune`. Every trial trains with the study's first seed on the
    same questions, and is judged by the same others that are held back inside training. Held-out
    questions are never asked. Trials are in `tune` in the study's output folder.

    Parameters
    ----------
    study : Study
        What `read_study` read.
    method : str, optional
        The entry of `methods` to tune. Default: the only one that holds questions back.
    steps : int, optional
        Steps of each trial. Default: `tune.steps`, or the entry's own.
    trials : int, optional
        How many trials. Default: `tune.trials`, or 6.
    quiet : bool
        Whether to leave out the progress bar.
    before : callable, optional
        Called with the plan before anything is trained.

    Returns
    -------
    Tuning
        The trials, the best first, and the chosen settings.

    Raises
    ------
    InputError
        No question is held back for validation, or the study, `tune` or a file is wrong.
    SuffrageError
        Every trial diverged, or the disk or the memory is full.

    Examples
    --------
    >>> from suffrage import read_study
    >>> tune_study(read_study("study.yaml"))
    Traceback (most recent call last):
        ...
    suffrage.errors.InputError: study.yaml: no method holds questions back for validation, ...
    """
    sweep = sweep_of(study, method, steps, trials)
    listed = trials_of(sweep, study.seeds[0], study.source.name)
    with only_run_in(study.output):
        run = _prepared(with_value_sets(study), sweep, listed)
        plan = make_plan(run.inputs)
        shown = _tuning_plan(run, sweep, listed, plan)
        if before is not None:
            before(shown)
        with Progress({"align": shown.seconds_left}, quiet) as progress:
            run.make_records()
            for place, stage in run.wiring.align.items():
                _train_once(run, place, stage, plan, progress)
        found = [_result(run.wiring, one) for one in listed]
    ranked = sorted(found, key=lambda one: (one.fit is None, -(one.fit or 0.0)))
    if ranked[0].fit is None:
        raise InputError(
            f"{study.source.name}: all {len(ranked)} trials of {sweep.spec.name} diverged; try "
            "lower values under tune.learning_rate."
        )
    snippet = _entry(sweep.spec, ranked[0].trial.settings)
    return Tuning(shown, tuple(ranked), snippet, study.output / FOLDER)


def _prepared(study: Study, sweep: Sweep, trials: list[TuningTrial]) -> StudyRun:
    """The run of all trials, with the survey, the value sets and the split of the study's own."""
    earlier = _trained_before(study, sweep.spec)
    shared = {"seeds": study.seeds[:1], "evaluate": ()}
    own = wire(study.model_copy(update={**shared, "methods": (*earlier, sweep.spec)}))
    StudyRun(own, "split").prepare()
    of_trials = wire(
        study.model_copy(
            update={
                **shared,
                "methods": (*earlier, *(trial.spec for trial in trials)),
                "output": study.output / FOLDER,
            }
        )
    )
    names = {spec.name for spec in earlier}
    wiring = replace(
        of_trials,
        sources=own.sources,
        value_sets=own.value_sets,
        splits=own.splits,
        records=_with_own(of_trials.records, own.records, names),
        align=_with_own(of_trials.align, own.align, names),
        answers={},
    )
    run = StudyRun(wiring, "align")
    run.check_means()
    return run


def _with_own(
    of_trials: Mapping[TrainingPlace, Stage],
    own: Mapping[TrainingPlace, Stage],
    names: set[str],
) -> dict[TrainingPlace, Stage]:
    """The stages of trials, and the study's own of the methods that they start from."""
    return {place: own[place] if place[0] in names else stage for place, stage in of_trials.items()}


def _trained_before(study: Study, spec: MethodSpec) -> tuple[MethodSpec, ...]:
    """The methods whose checkpoints a method starts from, the first one first."""
    if spec.start is None:
        return ()
    before = next(own for own in study.methods if own.name == spec.start)
    return (*_trained_before(study, before), before)


def _tuning_plan(run: StudyRun, sweep: Sweep, trials: list[TuningTrial], plan: Plan) -> TuningPlan:
    planned = {one.stage.folder: one for one in plan.stages}
    left = {
        stage.folder: 0.0 if _diverged_note(stage).exists() else planned[stage.folder].seconds
        for stage in run.wiring.align.values()
    }
    listed = []
    for trial in trials:
        stages = run.wiring.checkpoints(trial.spec.name, run.study.seeds[0]).values()
        memory = [planned[stage.folder].memory_bytes for stage in stages]
        listed.append(
            PlannedTrial(
                trial,
                sum(left[stage.folder] for stage in stages),
                max((size for size in memory if size is not None), default=None),
            )
        )
    share = getattr(trials[0].spec.options, "validation", 0.0)
    return TuningPlan(sweep.spec.name, run.study.seeds[0], share, tuple(listed), sum(left.values()))


def _diverged_note(stage: Stage) -> Path:
    """The file that says that a trial diverged."""
    return stage.output / DIVERGED / f"{stage.label}-{stage.key[:8]}.json"


def _train_once(
    run: StudyRun, place: TrainingPlace, stage: Stage, plan: Plan, progress: Progress
) -> None:
    """Train what is missing; a trial that diverges is noted and not tried again."""
    is_trial, note = stage.output == run.study.output, _diverged_note(stage)
    if not stage.finished and not note.exists():
        try:
            run.train(place, stage, plan, progress)
        except TrainingDivergedError as error:
            if not is_trial:
                raise
            rmtree(stage.work, ignore_errors=True)
            note.parent.mkdir(parents=True, exist_ok=True)
            storage.write_json(note, {"why": str(error).split(". ")[0]})
    if is_trial and stage.finished:
        for path in stage.folder.iterdir():
            if path.name not in KEPT:
                path.unlink()


def _result(wiring: Wiring, trial: TuningTrial) -> TrialResult:
    """What a trial left; the mean over its trainings where it has one for each value set."""
    stages = list(wiring.checkpoints(trial.spec.name, wiring.study.seeds[0]).values())
    for stage in stages:
        if _diverged_note(stage).exists():
            why = storage.read_json(_diverged_note(stage))["why"]
            return TrialResult(trial, diverged=str(why))
    manifests = [storage.read_json(stage.folder / MANIFEST) for stage in stages]
    best = [_best_point(manifest["validation"]) for manifest in manifests]
    gains = [point["name_gain"] for point in best]
    return TrialResult(
        trial,
        fit=mean(point["fit"] for point in best),
        name_gain=None if None in gains else mean(gains),
        fit_before=mean(manifest["validation"]["points"][0]["fit"] for manifest in manifests),
        best_step=mean(point["step"] for point in best),
        steps=mean(manifest["cost"]["steps"] for manifest in manifests),
        seconds=sum(manifest["cost"]["seconds"] for manifest in manifests),
    )


def _best_point(validation: Mapping[str, Any]) -> dict[str, Any]:
    return next(p for p in validation["points"] if p["step"] == validation["best_step"])


def _entry(spec: MethodSpec, chosen: Mapping[str, Any]) -> str:
    """The study's entry with the chosen settings, in YAML."""
    entry: dict[str, Any] = {"method": spec.method.name}
    if spec.name != spec.method.name:
        entry["name"] = spec.name
    if spec.start is not None or spec.checkpoint is not None:
        entry["from"] = spec.start or spec.checkpoint
    if spec.records != "survey":
        entry["records"] = spec.records
    entry |= spec.options.model_dump(mode="json", exclude_unset=True)
    entry |= {key: value for key, value in chosen.items() if value is not None}
    return yaml.safe_dump([entry], sort_keys=False)
