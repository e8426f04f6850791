"""One execution of a study: its stages in order, each computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

from suffrage import storage
from suffrage.align.launch import check_launches
from suffrage.align.sampled_groups import GroupOptions, vllm_settings
from suffrage.arguments import FLAG, NOTHING, PATH, TEXT, takes
from suffrage.errors import naming_file, require_installed
from suffrage.evaluate import Answers, Results
from suffrage.models.cache import AnswerStore
from suffrage.models.endpoint_settings import endpoint_key
from suffrage.models.identity import check_at_hand
from suffrage.population import ValueSet
from suffrage.study.inputs import StudyInputs
from suffrage.study.models_at_hand import ModelsAtHand
from suffrage.study.planning.plan import Plan, make_plan
from suffrage.study.progress import Progress, note
from suffrage.study.schema import A_STUDY, SourceSpec, Study, ValueSetSpec, read_study_source
from suffrage.study.segmenting import with_value_sets
from suffrage.study.sources import built_value_set
from suffrage.study.stage_outputs import (
    answers_of_method,
    probes_of_method,
    records_of_training,
    results_of_study,
    train_checkpoint,
    write_probes,
    write_results,
)
from suffrage.study.stages import ORDER, Stage, StageKind, compute_once, only_run_in, stage_kind
from suffrage.study.wiring import (
    AnswerPlace,
    TrainingPlace,
    Wiring,
    judges,
    judges_key,
    model_key,
    wire,
)
from suffrage.survey import Survey
from suffrage.survey.draft import check_worded
from suffrage.survey.published_table import PublishedTable
from suffrage.training_data import ItemSplit, Records

# Every answer of every model, so that none is asked for twice.
STORE = Path(".work") / "answers.sqlite"


@dataclass(frozen=True)
class FinishedRun:
    """What a run leaves behind."""

    # None when the run stopped before its results.
    results: Results | None
    folder: Path
    # The stages that this run computed, in order, as "kind label".
    computed: tuple[str, ...]


@takes(
    study=A_STUDY,
    only=TEXT | NOTHING,
    force=TEXT | NOTHING,
    quiet=FLAG,
    launcher=PATH | NOTHING,
)
def run_study(
    study: Study,
    only: StageKind | None = None,
    force: StageKind | None = None,
    quiet: bool = False,
    launcher: Path | None = None,
) -> FinishedRun:
    """Run a study, or continue it from whatever is finished.

    Parameters
    ----------
    study : Study
        What `read_study` read.
    only : str, optional
        The kind of stage to stop after: survey, value_sets, split, records, align, answers, probes
        or results.
    force : str, optional
        The kind of stage to compute again, with all later ones.
    quiet : bool
        Whether to leave out the progress bar.
    launcher : Path, optional
        An Accelerate configuration, whose processes share each training.

    Returns
    -------
    FinishedRun
        The results, None when the run stopped before them, the folder with the report, and the
        stages that were computed.

    Raises
    ------
    InputError
        A file, a model or an option of the study cannot be used.
    SuffrageError
        The disk or the memory is full, or a training diverged.

    Examples
    --------
    >>> from suffrage import read_study
    >>> finished = run_study(read_study("study.yaml"), quiet=True)
    >>> [method.name for method in finished.results.methods]
    ['uniform', 'average', 'nearest', 'base', 'prompt', 'ceiling']
    """
    only, force = stage_kind(only, "only"), stage_kind(force, "force")
    with only_run_in(study.output):
        wiring = wire(with_value_sets(study))
        if force:
            _forget(wiring, force)
        run = StudyRun(wiring, only, None if launcher is None else Path(launcher))
        # The checks a user can fail come before anything long.
        run.check_means()
        if run.has_left(*wiring.sources.values(), *wiring.value_sets.values()):
            note("Reading the survey and building the value sets.", quiet)
        run.prepare()
        if run.wants("records"):
            plan = make_plan(run.inputs)
            with (
                Progress(plan.seconds_by_kind, quiet) as progress,
                AnswerStore(study.output / STORE) as store,
            ):
                if run.has_left(*wiring.records.values()):
                    note("Writing the training records.", quiet)
                run.make_records()
                run.train_and_ask(ModelsAtHand(run.inputs, store), plan, progress)
                run.score(store, plan, progress)
        return run.finish()


def _forget(wiring: Wiring, force: StageKind) -> None:
    """Drop every stage of a kind and of the kinds after it, and the answers they would repeat."""
    for stage in wiring.stages():
        if ORDER.index(stage.kind) >= ORDER.index(force):
            stage.discard()
    path = wiring.study.output / STORE
    if ORDER.index(force) <= ORDER.index("probes") and path.exists():
        with AnswerStore(path) as store:
            store.forget_answers()


def _write_source(source: Survey | PublishedTable, folder: Path) -> None:
    source.write(folder)


@dataclass
class StudyRun:
    """One execution of a study's stages, or of some of them, under way."""

    wiring: Wiring
    # The kind of stage to stop after; None for all.
    only: StageKind | None
    # An Accelerate configuration whose processes share each training.
    launcher: Path | None = None
    # What was computed so far.
    computed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.study = self.wiring.study
        self.inputs = StudyInputs(self.wiring)

    def wants(self, kind: StageKind) -> bool:
        """Whether `--only` lets this kind of stage run."""
        return self.only is None or ORDER.index(kind) <= ORDER.index(self.only)

    def has_left(self, *stages: Stage) -> bool:
        """Whether one of these stages is still to be computed."""
        return any(self._left(stage) for stage in stages)

    def _left(self, stage: Stage) -> bool:
        return self.wants(stage.kind) and not stage.finished

    def _compute(
        self, stage: Stage, make: Callable[[], Any], write: Callable[[Any, Path], None]
    ) -> None:
        if not stage.finished:
            self.computed.append(f"{stage.kind} {stage.label}")
        compute_once(stage, make, write)

    def check_means(self) -> None:
        """Check that what is left to do has the key, the libraries and the GPU it needs."""
        if self.launcher:
            for spec in self.study.methods:
                if spec.method.train is not None:
                    check_launches(spec.method)
        asks = [*self.wiring.answers.values(), *self.wiring.probes.values()]
        asking = any(self._left(stage) for stage in asks)
        if self.study.endpoint:
            if asking:
                require_installed("httpx", "endpoint", "a model behind an endpoint")
                endpoint_key(self.study.endpoint)
        elif asking or any(self._left(stage) for stage in self.wiring.align.values()):
            for library in ("torch", "transformers"):
                require_installed(library, "align", "loading a model")
            check_at_hand(self.wiring.model, model_key(self.study))
        self._check_judges()
        for (method, _, _), stage in self.wiring.align.items():
            options = self.inputs.method(method).options
            if isinstance(options, GroupOptions) and self._left(stage):
                with naming_file(self.study.source.name):
                    vllm_settings(options)

    def _check_judges(self) -> None:
        probed = {place[0] for place, stage in self.wiring.probes.items() if self._left(stage)}
        for spec in self.study.evaluate:
            if spec.name in probed:
                for judge in judges(self.study, spec):
                    check_at_hand(judge, judges_key(self.study, spec))

    def prepare(self) -> None:
        """Survey, value sets and splits: seconds, and where most mistakes show."""
        for source in self.study.survey:
            read = partial(self._read_source, source)
            self._compute(self.wiring.sources[source.name], read, _write_source)
        if self.wants("records") and not self.wiring.results.finished:
            for found in self.inputs.sources.values():
                check_worded(found.codebook.items, found.provenance.files)
        # What cannot be held out is refused before value sets are built, which takes longer.
        missing = [seed for seed, stage in self.wiring.splits.items() if not stage.finished]
        splits = {seed: self.inputs.made_split(seed) for seed in missing}
        for spec in self.study.value_sets:
            build = partial(self._value_set, spec)
            self._compute(self.wiring.value_sets[spec.name], build, ValueSet.write)
        for seed, stage in self.wiring.splits.items():
            self._compute(stage, partial(splits.__getitem__, seed), ItemSplit.write)

    def _read_source(self, source: SourceSpec) -> Survey | PublishedTable:
        found = read_study_source(self.study, source)
        self.inputs.read_just_now[source.name] = found
        return found

    def _value_set(self, spec: ValueSetSpec) -> ValueSet:
        return built_value_set(self.study, self.inputs.sources, spec)

    def make_records(self) -> None:
        """The records of every training."""
        for place, stage in self.wiring.records.items():
            self._compute(stage, partial(records_of_training, self.inputs, place), Records.write)

    def train_and_ask(self, hand: ModelsAtHand, plan: Plan, progress: Progress) -> None:
        """Each method's trainings, and at once what its models say."""
        # Untrained answers come first: they show soon whether the model can be read at all.
        places = sorted(
            self.wiring.answers, key=lambda place: bool(self.wiring.checkpoints(*place))
        )
        for method, seed in places:
            for group, stage in self.wiring.checkpoints(method, seed).items():
                if self._left(stage):
                    self.train((method, seed, group), stage, plan, progress)
                if stage.finished:
                    stage.show_as_latest()
            self._ask((method, seed), hand, plan, progress)
            hand.release()  # the next training needs the memory

    def train(self, place: TrainingPlace, stage: Stage, plan: Plan, progress: Progress) -> None:
        """One training, from the last point that an interrupted one left."""
        self.computed.append(f"{stage.kind} {stage.label}")
        with progress.stage(f"train {stage.label}", plan.seconds(stage), stage.kind) as update:
            fill = partial(train_checkpoint, self.inputs, place, stage, self.launcher, update)
            storage.write_folder(stage.folder, fill)
        rmtree(stage.work, ignore_errors=True)

    def _ask(self, place: AnswerPlace, hand: ModelsAtHand, plan: Plan, progress: Progress) -> None:
        stage = self.wiring.answers[place]
        if self._left(stage):
            with progress.stage(f"ask {stage.label}", plan.seconds(stage), stage.kind) as update:
                answers = partial(answers_of_method, self.inputs, hand, *place, update)
                self._compute(stage, answers, Answers.write)
        for spec in self.study.evaluate:
            own = self.wiring.probes.get((spec.name, *place))
            if own is not None and self._left(own):
                with progress.stage(f"ask {own.label}", plan.seconds(own), own.kind) as update:
                    probes = partial(probes_of_method, self.inputs, hand, spec, *place, update)
                    self._compute(own, probes, write_probes)

    def score(self, store: AnswerStore, plan: Plan, progress: Progress) -> None:
        """The results of everything that was said."""
        stage = self.wiring.results
        if self.wants("results"):
            with progress.stage("work out the results", plan.seconds(stage), stage.kind) as update:
                results = partial(results_of_study, self.inputs, store, update)
                self._compute(stage, results, write_results)

    def finish(self) -> FinishedRun:
        """Write tables, report, cards and receipts, unless the run stopped before its results."""
        folder, computed = self.study.output, tuple(self.computed)
        if not self.wiring.results.finished or not self.wants("results"):
            return FinishedRun(None, folder, computed)
        from suffrage.report.page import write_report
        from suffrage.report.tables import read_results, write_result_files
        from suffrage.study.provenance import REPORT, write_provenance

        results = read_results(self.wiring.results.folder / "results.json")
        write_result_files(results, folder)
        write_report(results, folder / REPORT)
        write_provenance(self.wiring, results)
        return FinishedRun(results, folder, computed)
