"""One execution of a study: its stages in order, each computed once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from suffrage import registry, storage
from suffrage.align import Checkpoint, TrainingJob, TrainingOptions
from suffrage.align.checkpoint import MANIFEST
from suffrage.align.cost import measuring_resources
from suffrage.align.launch import check_launches, train_launched
from suffrage.align.sampled_groups import GroupOptions, vllm_settings
from suffrage.consult.consultation import read_consultation
from suffrage.consult.people import people_for, people_weights
from suffrage.consult.survey_links import Disagreement, disagreements, read_links
from suffrage.errors import InputError, SuffrageError
from suffrage.evaluate import (
    Answers,
    EvaluationInput,
    ProbeInput,
    Results,
    Scorecard,
    collect_answers,
)
from suffrage.evaluate.asking.answers import prompts_to_score
from suffrage.evaluate.asking.rounding import Rounding, questions_asked_twice, rounding
from suffrage.models import ItemProbe, LanguageModel, ModelAnswer, read_letters
from suffrage.models.cache import AnswerStore, CachedAnswerer
from suffrage.models.device import out_of_memory
from suffrage.models.endpoint import Endpoint
from suffrage.models.endpoint_settings import endpoint_key
from suffrage.population import ValueSet
from suffrage.study import facts
from suffrage.study.planning.plan import Plan, make_plan
from suffrage.study.progress import Progress, Update
from suffrage.study.schema import EvaluationSpec, MethodSpec, Study, study_survey
from suffrage.study.segmenting import built_value_set, with_segments
from suffrage.study.stages import ORDER, Stage, StageKind, compute, only_run_in
from suffrage.study.wiring import TrainingPlace, Wiring, groups_of, wire
from suffrage.survey import Item, Survey
from suffrage.training_data import ItemSplit, Records, check_nothing_held_out, split_items
from suffrage.training_data.augmentation import read_paraphrases
from suffrage.training_data.consultation_source import (
    ConsultationSource,
    consultation_source,
    members_of,
)
from suffrage.training_data.general import with_general

# What a model said to an evaluation's own questions.
PROBES = "probes.parquet"
# Every answer of every model, so that none is asked for twice.
STORE = Path(".work") / "answers.sqlite"


@dataclass(frozen=True)
class Finished:
    """What a run leaves: its results (None when it stopped before them) and where they lie."""

    results: Results | None
    folder: Path
    computed: tuple[str, ...]


def run_study(
    study: Study,
    only: StageKind | None = None,
    force: StageKind | None = None,
    quiet: bool = False,
    launcher: Path | None = None,
) -> Finished:
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
    Finished
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
    ['uniform', 'average', 'base', 'prompt', 'ceiling']
    """
    with only_run_in(study.output):
        study = with_segments(study)
        wiring = wire(study)
        if force:
            for stage in wiring.stages():
                if ORDER.index(stage.kind) >= ORDER.index(force):
                    stage.discard()
            if ORDER.index(force) <= ORDER.index("probes") and (study.output / STORE).exists():
                with AnswerStore(study.output / STORE) as store:
                    store.forget_answers()
        # The checks a user can fail come before anything long.
        runner = _Run(wiring, only, launcher)
        runner.prepare()
        plan = make_plan(wiring, runner.value_sets(), runner.splits())
        with (
            Progress(plan.seconds_left, quiet) as progress,
            AnswerStore(study.output / STORE) as runner.store,
        ):
            runner.work(plan, progress)
        return runner.finish()


class _Run:
    """The state of one execution: what was computed, and what is read already."""

    def __init__(self, wiring: Wiring, only: StageKind | None, launcher: Path | None) -> None:
        self.wiring = wiring
        self.study = wiring.study
        self.launcher = launcher
        if launcher:
            for spec in self.study.methods:
                if spec.method.train is not None:
                    check_launches(spec.method)
        self.last = ORDER.index(only) if only else len(ORDER) - 1
        self.computed: list[str] = []
        self.store: AnswerStore
        self._loaded: tuple[Path | None, CachedAnswerer] | None = None
        self._survey: Survey | None = None
        self._value_sets: dict[str, ValueSet] | None = None
        self._check_means()

    def _check_means(self) -> None:
        """What is still to do and needs a key or a GPU: said before anything long."""
        left = {stage.folder for stage in self.wiring.stages() if not stage.finished}
        left &= {stage.folder for stage in self.wiring.stages() if self.wanted(stage.kind)}
        asks = [*self.wiring.answers.values(), *self.wiring.probes.values()]
        if self.study.endpoint and any(stage.folder in left for stage in asks):
            endpoint_key(self.study.endpoint)
        for (method, _, _), stage in self.wiring.align.items():
            options = self.spec(method).options
            if isinstance(options, GroupOptions) and stage.folder in left:
                vllm_settings(options)

    def wanted(self, kind: StageKind) -> bool:
        """Whether `--only` lets this kind of stage run."""
        return ORDER.index(kind) <= self.last

    def _compute(
        self, stage: Stage, make: Callable[[], Any], write: Callable[[Any, Path], None]
    ) -> None:
        if not stage.finished:
            self.computed.append(f"{stage.kind} {stage.label}")
        compute(stage, make, write)

    def prepare(self) -> None:
        """Survey, value sets and splits: seconds, and where most mistakes show."""
        self._compute(
            self.wiring.survey,
            lambda: study_survey(self.study),
            Survey.write,
        )
        for spec in self.study.value_sets:
            self._compute(
                self.wiring.value_sets[spec.name],
                lambda spec=spec: built_value_set(  # type: ignore[misc]
                    self.study, self.survey(), spec
                ),
                ValueSet.write,
            )
        for seed, stage in self.wiring.splits.items():
            self._compute(
                stage,
                lambda seed=seed: split_items(  # type: ignore[misc]
                    self.survey().codebook.items, self.study.held_out, seed, self.study.trains
                ),
                ItemSplit.write,
            )

    def survey(self) -> Survey:
        if self._survey is None:
            self._survey = Survey.read(self.wiring.survey.folder)
        return self._survey

    def value_sets(self) -> dict[str, ValueSet]:
        if self._value_sets is None:
            stages = self.wiring.value_sets
            self._value_sets = {name: ValueSet.read(s.folder) for name, s in stages.items()}
        return self._value_sets

    def splits(self) -> dict[int, ItemSplit]:
        return {seed: ItemSplit.read(stage.folder) for seed, stage in self.wiring.splits.items()}

    def spec(self, name: str) -> MethodSpec:
        return next(spec for spec in self.study.methods if spec.name == name)

    def work(self, plan: Plan, progress: Progress) -> None:
        """Records, trainings, answers and results."""
        for place, stage in self.wiring.records.items():
            if self.wanted("records"):
                self._compute(stage, lambda p=place: self._records(p), Records.write)  # type: ignore[misc]
        # Untrained answers come first: they show soon whether the model can be read at all.
        places = sorted(
            self.wiring.answers, key=lambda place: bool(self.wiring.checkpoints(*place))
        )
        for method, seed in places:
            for group, stage in self.wiring.checkpoints(method, seed).items():
                if self.wanted("align") and not stage.finished:
                    seconds = plan.seconds(stage)
                    with progress.stage(f"train {stage.label}", seconds) as update:
                        self._train((method, seed, group), stage, update)
                stage.show_as_latest() if stage.finished else None
            stage = self.wiring.answers[method, seed]
            if self.wanted("answers") and not stage.finished:
                with progress.stage(f"ask {stage.label}", plan.seconds(stage)) as update:
                    self._compute(
                        stage,
                        lambda m=method, s=seed, u=update: self._answers(m, s, u),  # type: ignore[misc]
                        Answers.write,
                    )
            for spec in self.study.evaluate:
                own = self.wiring.probes.get((spec.name, method, seed))
                if own is None or own.finished or not self.wanted("probes"):
                    continue
                with progress.stage(f"ask {own.label}", plan.seconds(own)) as update:
                    self._compute(
                        own,
                        lambda e=spec, m=method, s=seed, u=update: self._probes(e, m, s, u),  # type: ignore[misc]
                        _write_probes,
                    )
            self._loaded = None
        if self.wanted("results"):
            with progress.stage("work out the results", plan.seconds(self.wiring.results)):
                self._compute(self.wiring.results, self._results, _write_results)

    def _records(self, place: TrainingPlace) -> Records:
        method, seed, group = place
        spec = self.spec(method)
        members = groups_of(spec, self.study)[group]
        value_sets = [self.value_sets()[name] for name in members]
        split = self.splits()[seed]
        options = spec.options
        assert isinstance(options, TrainingOptions)
        steps = self._steps(place)
        builders = [
            registry.load("record_builders", name) for name in registry.names("record_builders")
        ]
        wanted = (spec.method.records, spec.records)
        builder = next(b for b in builders if (b.kind, b.source) == wanted)
        generator = np.random.default_rng([seed, 3])
        general = options.general_rows
        count = steps * (options.batch - general)
        settings = replace(options.record_settings, folder=self.study.folder)
        if spec.uses_consultation:
            source = study_consultation(
                self.study, value_sets, self.survey().codebook.items, split, seed
            )
            settings = replace(settings, consultation=source)
        paraphrases = getattr(options, "paraphrases", None)
        if paraphrases:
            path = (self.study.folder / paraphrases).resolve()
            found = read_paraphrases(path, self.survey().codebook.items)
            settings = replace(settings, paraphrases=found)
        records: Records = builder.build(value_sets, split, count, generator, settings)
        if options.general:
            records = with_general(
                records, (self.study.folder / options.general).resolve(), options.batch, general
            )
        check_nothing_held_out(records, self.survey().codebook.items, split)
        return records

    def _steps(self, place: TrainingPlace) -> int:
        method, seed, group = place
        spec = self.spec(method)
        assert isinstance(spec.options, TrainingOptions)
        value_sets = [self.value_sets()[name] for name in groups_of(spec, self.study)[group]]
        return spec.options.step_count(facts.pair_count(value_sets, self.splits()[seed]))

    def _train(self, place: TrainingPlace, stage: Stage, update: Update) -> None:
        method, seed, _ = place
        spec = self.spec(method)
        records = Records.read(self.wiring.records[place].folder)
        options = spec.options
        train = spec.method.train
        assert isinstance(options, TrainingOptions) and train is not None
        steps = self._steps(place)
        split = self.splits()[seed]
        items = self.survey().codebook.items
        self.computed.append(f"{stage.kind} {stage.label}")
        self._loaded = None  # a model that was asked need not lie beside the one trained

        def fill(draft: Path) -> None:
            job = TrainingJob(
                model=self.wiring.model,
                records=records,
                options=options,
                steps=steps,
                seed=seed,
                work=stage.work,
                output=draft,
                on_step=lambda step, total, loss: update(step / total),
                start=self.wiring.start(place),
                check=partial(check_nothing_held_out, items=items, split=split),
            )
            if self.launcher:
                made, usage = train_launched(spec.method, job, self.launcher)
            else:
                with measuring_resources() as usage:
                    made = train(job)
            price = self.study.price
            seconds = usage.seconds + made.seconds_before
            manifest = {
                "format": 1,
                "study": self.study.study,
                "method": method,
                "settings": options.model_dump(),
                "from": spec.start,
                "seed": seed,
                "base_model": asdict(self.wiring.model),
                "records": records.content_hash,
                "made_from": dict(records.made_from),
                "value_sets": {
                    name: value_set.description for name, value_set in self.value_sets().items()
                },
                "survey": self.survey().content_hash,
                "dtype": made.dtype,
                "cost": {
                    "seconds": seconds,
                    "peak_memory_bytes": usage.peak_memory_bytes,
                    "steps": made.steps,
                    "examples": made.examples,
                    "tokens": made.tokens,
                    "energy_kwh": usage.energy_kwh,
                    "money": price.per_hour * seconds / 3600 if price else None,
                    "currency": price.currency if price else None,
                },
                "resumed_from_step": made.resumed_from,
                "processes": made.processes,
                "machine": facts.machine(),
                "versions": facts.versions(),
            }
            storage.write_json(draft / MANIFEST, manifest)

        storage.write_folder(stage.folder, fill)
        shutil.rmtree(stage.work, ignore_errors=True)

    def _answers(self, method: str, seed: int, update: Update) -> Answers:
        spec = self.spec(method)
        splits = self.splits()
        trained = spec.method.train is not None
        value_sets = list(self.value_sets().values())
        # Full text and sampling cost more: only where an item is held out.
        relevant = [splits[seed]] if trained else list(splits.values())
        others = sorted({item for split in relevant for item in split.held_out})
        total = prompts_to_score(
            value_sets, others, spec.method.asks_as_population, self.study.scoring
        )
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            # Sampling comes after scoring, and takes about as long.
            update(done / total * (0.6 if self.study.scoring.samples else 1.0))

        by_value_set = {}
        for members, model in self.models(method, seed):
            found = collect_answers(
                model,
                members,
                others,
                self.study.scoring,
                spec.method.asks_as_population,
                seed,
                advance,
            )
            by_value_set.update(found.by_value_set)
        if self.study.endpoint or self.study.scoring.dtype == "float32":
            return Answers(by_value_set)
        return Answers(by_value_set, self._rounding(method, seed))

    def _rounding(self, method: str, seed: int) -> Rounding:
        """How far a method's answers lie from those in float32, on some of its questions."""
        dtype = self.study.scoring.dtype
        as_population = self.spec(method).method.asks_as_population
        fast: list[ModelAnswer] = []
        again: list[tuple[Path | None, list[ItemProbe]]] = []
        for members, model in self.models(method, seed):
            asked = questions_asked_twice(members, as_population, seed)
            fast += read_letters(model, asked, 0.0)
            assert self._loaded is not None
            again.append((self._loaded[0], asked))
        self._loaded = None
        exact: list[ModelAnswer] = []
        try:
            with out_of_memory("asking in float32", "scoring.dtype: float32 on a larger machine"):
                for trained, asked in again:
                    exact += read_letters(self._respondent(trained, method, "float32"), asked, 0.0)
        except SuffrageError as error:
            return Rounding(dtype, 0, None, None, None, str(error))
        return rounding(dtype, fast, exact)

    def models(self, method: str, seed: int) -> Iterator[tuple[list[ValueSet], CachedAnswerer]]:
        """The models behind a method, each with the value sets it answers for.

        One model for all answers for the groups left out of its training as well.
        """
        spec = self.spec(method)
        trained = spec.method.train is not None
        groups = groups_of(spec, self.study) if trained else {"": []}
        for group, learned in groups.items():
            members = learned if group else list(self.value_sets())
            adapter = self.wiring.align[method, seed, group].folder if trained else None
            if self._loaded is None or self._loaded[0] != adapter:
                self._loaded = None  # one model in memory, not two
                loaded = self._respondent(adapter, method, self.study.scoring.dtype)
                self._loaded = (adapter, loaded)
            yield [self.value_sets()[name] for name in members], self._loaded[1]

    def _respondent(self, trained: Path | None, method: str, dtype: str) -> CachedAnswerer:
        """The study's model, or what a training made of it; its answers are kept."""
        endpoint, content = self.study.endpoint, self.wiring.model.content
        if endpoint:
            model = Endpoint(endpoint, self.study.folder, self.store, method)
            return CachedAnswerer(model, self.store, [content])
        loaded = _load(self.wiring, trained, dtype)
        weights = storage.folder_hash(trained) if trained else ""
        # A hub id does not say which weights it stands for today; the files it came from do.
        revision = str(getattr(loaded.model.config, "_commit_hash", None))
        return CachedAnswerer(
            loaded, self.store, [content, weights, revision, loaded.dtype, loaded.device]
        )

    def _probes(self, spec: EvaluationSpec, method: str, seed: int, update: Update) -> pl.DataFrame:
        """What an evaluation's own questions got from a method."""
        ask = spec.evaluation.probe
        assert ask is not None
        own = self.spec(method)
        splits = self.splits()
        relevant = [splits[seed]] if own.method.train else list(splits.values())
        groups = len(groups_of(own, self.study)) if own.method.train else 1
        return pl.concat(
            [
                ask(
                    ProbeInput(
                        model=model,
                        value_sets=members,
                        as_population=own.method.asks_as_population,
                        splits=relevant,
                        scoring=self.study.scoring,
                        options=spec.options,
                        seed=seed,
                        folder=self.study.folder,
                        advance=lambda share, n=number: update((n + share) / groups),  # type: ignore[misc]
                    )
                )
                for number, (members, model) in enumerate(self.models(method, seed))
            ]
        )

    def _results(self) -> Results:
        given = EvaluationInput(
            value_sets=list(self.value_sets().values()),
            splits=self.splits(),
            answers={
                place: Answers.read(stage.folder) for place, stage in self.wiring.answers.items()
            },
            methods=[spec.name for spec in self.study.methods],
            trained=[spec.name for spec in self.study.methods if spec.method.train],
            left_out=self.study.left_out,
            folder=self.study.folder,
            records=self._record_folders(),
        )
        cards: dict[str, Scorecard] = {}
        for spec in self.study.evaluate:
            probes = {
                (method, seed): pl.read_parquet(stage.folder / PROBES)
                for (name, method, seed), stage in self.wiring.probes.items()
                if name == spec.name
            }
            own = replace(given, probes=probes, options=spec.options)
            cards[spec.name] = spec.evaluation.score(own, self.study.seeds[0])
        return facts.results(self.wiring, self.survey(), given, cards, self.store)

    def _record_folders(self) -> dict[tuple[str, int], list[Path]]:
        found: dict[tuple[str, int], list[Path]] = {}
        for (method, seed, _), stage in self.wiring.records.items():
            found.setdefault((method, seed), []).append(stage.folder)
        return found

    def finish(self) -> Finished:
        """The results, written out beside the report, unless the run stopped before them."""
        if not self.wiring.results.finished or not self.wanted("results"):
            return Finished(None, self.study.output, tuple(self.computed))
        from suffrage.report.page import write_report
        from suffrage.report.tables import read_results, write_tables

        results = read_results(self.wiring.results.folder / "results.json")
        write_tables(results, self.study.output)
        write_report(results, self.study.output / "report.html")
        return Finished(results, self.study.output, tuple(self.computed))


def _load(wiring: Wiring, trained: Path | None, dtype: str) -> LanguageModel:
    """The study's model, with the adapter or in the whole form a training left."""
    if trained is None:
        return LanguageModel.load(wiring.model, dtype)
    if Checkpoint.read(trained).is_adapter:
        return LanguageModel.load(wiring.model, dtype, trained)
    from suffrage.models import identify

    return LanguageModel.load(identify(str(trained), trained), dtype)


def _write_probes(frame: pl.DataFrame, folder: Path) -> None:
    storage.write_folder(folder, lambda draft: frame.write_parquet(draft / PROBES))


def _write_results(results: Results, folder: Path) -> None:
    content = json.loads(results.model_dump_json())
    storage.write_folder(folder, lambda draft: storage.write_json(draft / "results.json", content))


def study_consultation(
    study: Study, value_sets: list[ValueSet], items: Sequence[Item], split: ItemSplit, seed: int
) -> ConsultationSource:
    """What of the study's consultation may be trained on at one seed.

    Raises InputError where the study has none, or nobody can be learnt from.
    """
    spec = study.consultation
    if spec is None:
        raise InputError(f"{study.source.name}: there is no `consultation:` in the study.")
    segments = [own.name for own in study.value_sets if own.segment is not None]
    found = read_consultation(study.folder / spec.folder)
    return consultation_source(found, spec, value_sets, items, split, seed, segments)


def probe_answers(study: Study, evaluation: str, method: str, seed: int | None) -> pl.DataFrame:
    """What a method said to an evaluation's own questions in a finished run.

    seed: None for the study's first. Raises InputError when the study does not ask that, or has not yet.
    """
    wiring = wire(with_segments(study))
    place = (evaluation, method, study.seeds[0] if seed is None else seed)
    if place not in wiring.probes:
        known = sorted({f"{name} of {who}, seed {at}" for name, who, at in wiring.probes})
        raise InputError(
            f"{study.source.name} does not ask {evaluation} of {method}, seed {place[2]}; it asks "
            f"{'; '.join(known) or 'nothing of its own'}."
        )
    stage = wiring.probes[place]
    if not stage.finished:
        raise InputError(f"{stage.label} is not there yet: suffrage run {study.source.name} first.")
    return pl.read_parquet(stage.folder / PROBES)


def study_value_set(study: Study, name: str) -> ValueSet:
    """One value set of a study, built afresh. Raises InputError when the study has none so named."""
    study = with_segments(study)
    for spec in study.value_sets:
        if spec.name == name:
            return built_value_set(study, study_survey(study), spec)
    names = ", ".join(spec.name for spec in study.value_sets)
    raise InputError(f'the study has no value set "{name}"; it has {names}.')


def check_only(name: str | None, flag: str) -> StageKind | None:
    """A stage's name from the command line. Raises InputError listing the stages."""
    if name is None:
        return None
    for kind in ORDER:
        if kind == name:
            return kind
    raise InputError(f'{flag} "{name}": the stages are {", ".join(ORDER)}.')


def study_disagreements(study: Study, links: Path) -> list[Disagreement]:
    """Where the study's consultation and its survey differ, for every value set with participants.

    All who took part count, weighted as the study reads them, because nothing is trained here.
    Raises InputError where the study has no consultation, or a link leads to nothing.
    """
    spec = study.consultation
    if spec is None:
        raise InputError(f"{study.source.name}: there is no `consultation:` in the study.")
    study = with_segments(study)
    found = read_consultation(study.folder / spec.folder)
    people = people_for(found, "taking part")
    weights, _ = people_weights(found, people, spec.read_as, spec.margins)
    survey, linked = study_survey(study), read_links(links)
    rows: list[Disagreement] = []
    for own in study.value_sets:
        if own.segment is None:
            value_set = built_value_set(study, survey, own)
            inside = {p: weights[p] for p in members_of(found, people, value_set)}
            rows += disagreements(found, inside, value_set, linked)
    return rows
