"""What each long stage of a study computes, from what earlier stages left."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.align import TrainingJob
from suffrage.align.checkpoint import (
    IN_CONTEXT,
    MANIFEST,
    TRAINED_QUESTIONS,
    Checkpoint,
    name_base_model,
)
from suffrage.align.cost import ResourceUse, measuring_resources
from suffrage.align.launch import train_launched
from suffrage.align.method import Method, TrainingFacts
from suffrage.errors import SuffrageError
from suffrage.evaluate import (
    Answers,
    EvaluationInput,
    ProbeInput,
    Results,
    Scorecard,
    collect_answers,
)
from suffrage.evaluate.asking.answers import asked_probes, prompts_to_score
from suffrage.evaluate.asking.rounding import Rounding, questions_asked_twice, rounding
from suffrage.models import ItemProbe, ModelAnswer, read_letters
from suffrage.models.cache import AnswerStore
from suffrage.models.device import out_of_memory
from suffrage.publish.model_card import CARD, model_card
from suffrage.study.descriptions import descriptions_to_keep, study_personas
from suffrage.study.facts import results_of
from suffrage.study.floor_readings import floor_readings
from suffrage.study.inputs import StudyInputs
from suffrage.study.manifest import checkpoint_manifest, questions_before, trained_questions
from suffrage.study.models_at_hand import ModelOfMethod, ModelsAtHand, models_of
from suffrage.study.pre_aligned import distinct_starts
from suffrage.study.progress import Update
from suffrage.study.schema import EvaluationSpec, Study
from suffrage.study.stages import Stage
from suffrage.study.wiring import TrainingPlace, gives_no_text
from suffrage.survey import Item
from suffrage.training_data import Records, check_nothing_held_out
from suffrage.training_data.augmentation import read_paraphrases
from suffrage.training_data.consultation_source import ConsultationSource
from suffrage.training_data.distribution_records import build_distributions
from suffrage.training_data.general import with_general
from suffrage.training_data.held_back_records import build_with_held_back
from suffrage.training_data.own_text_records import with_own_text_places
from suffrage.training_data.records import RecordSettings, held_back_in, record_builder
from suffrage.training_data.replay import with_replay

# What a model said to an evaluation's own questions.
PROBES = "probes.parquet"
# Of the time that asking takes, what scoring takes where answers are sampled afterwards.
SCORING_SHARE = 0.6


def records_of_training(inputs: StudyInputs, place: TrainingPlace) -> Records:
    """The records of one training. Raises InputError where they cannot be made."""
    method, seed, _ = place
    spec, split = inputs.method(method), inputs.splits[seed]
    options = inputs.training_options(method)
    builder = record_builder(spec.method.records, spec.records)
    count = inputs.steps(place) * options.own_rows
    generator = np.random.default_rng([seed, 3])
    wanted = _record_settings(inputs, place)
    build = builder.build
    if wanted.validation and spec.records == "survey" and builder.kind != "distribution":
        build = partial(build_with_held_back, build)
    records = build(inputs.learnt_from(place), split, count, generator, wanted)
    if spec.records in ("votes", "combined") and wanted.consultation is not None:
        source = wanted.consultation
        check_nothing_held_out(records, source.statement_items, source.statement_split)
    if options.replay or (wanted.validation and spec.records != "survey"):
        records = _with_replay(inputs, place, records)
    if options.own_text:
        size = options.own_rows + options.replay_rows
        records = with_own_text_places(records, options.own_text, size)
    if options.general:
        general = (inputs.study.folder / options.general).resolve()
        records = with_general(records, general, options.batch, options.general_rows)
    check_nothing_held_out(records, inputs.items, split)
    return records


def _with_replay(inputs: StudyInputs, place: TrainingPlace, records: Records) -> Records:
    """A consultation's records with survey records of the same study among them."""
    method, seed, _ = place
    options, split = inputs.training_options(method), inputs.splits[seed]
    before = inputs.wiring.starts.get(place)
    given = RecordSettings(seed=seed, in_context=options.record_settings.in_context)
    if before is not None and inputs.method(before[0]).records == "survey":
        # The survey is asked about as it was by the training that this one starts from.
        given = replace(given, format=inputs.training_options(before[0]).format)
    sample = options.record_settings.validation
    if sample is not None:
        # The start has learnt everything but what it held back itself.
        known = (
            frozenset() if before is None else held_back_in(inputs.wiring.records[before].folder)
        )
        given = replace(given, validation=replace(sample, items=known))
        if not set(split.train) - set(split.trained_before):
            split = replace(split, trained_before=())
    count = max(1, inputs.steps(place) * options.replayed_rows)
    generator = np.random.default_rng([seed, 5])
    survey = build_distributions(inputs.learnt_from(place), split, count, generator, given)
    whole_questions = "way" in records.frame.columns
    return with_replay(
        records,
        survey,
        options.own_rows,
        options.replay,
        None if whole_questions else options.replay_rows,
    )


def _record_settings(inputs: StudyInputs, place: TrainingPlace) -> RecordSettings:
    method, seed, _ = place
    study, options = inputs.study, inputs.training_options(method)
    settings = replace(
        options.record_settings, folder=study.folder, seed=seed, together=place[2] == ""
    )
    if inputs.method(method).uses_consultation:
        source = inputs.consultation_of(inputs.learnt_from(place), seed)
        settings = replace(settings, consultation=source)
    paraphrases = getattr(options, "paraphrases", None)
    if paraphrases:
        path = (study.folder / paraphrases).resolve()
        settings = replace(settings, paraphrases=read_paraphrases(path, inputs.items))
    return settings


def train_checkpoint(
    inputs: StudyInputs,
    place: TrainingPlace,
    stage: Stage,
    launcher: Path | None,
    update: Update,
    draft: Path,
) -> None:
    """Train one model into a folder, and write its manifest there.

    Parameters
    ----------
    inputs : StudyInputs
        What the study starts from.
    place : TrainingPlace
        Which training.
    stage : Stage
        The training's stage, which says where an interrupted training keeps its state.
    launcher : Path or None
        An Accelerate configuration whose processes share the training; None trains in this one.
    update : Update
        Called with the share of the steps that is done.
    draft : Path
        An empty folder to fill.
    """
    method, seed, _ = place
    records = Records.read(inputs.wiring.records[place].folder)
    job = TrainingJob(
        model=inputs.wiring.base(place),
        records=records,
        options=inputs.training_options(method),
        steps=inputs.steps(place),
        seed=seed,
        work=stage.work,
        output=draft,
        on_step=lambda step, total, loss: update(step / total),
        start=inputs.wiring.start(place),
        start_of_study=inputs.method(method).start is None
        and inputs.method(method).checkpoint is None,
        check=partial(check_nothing_held_out, items=inputs.items, split=inputs.splits[seed]),
    )
    trained, usage = _train(inputs.method(method).method, job, launcher)
    manifest = checkpoint_manifest(inputs, place, records, trained, usage)
    storage.write_json(draft / MANIFEST, manifest)
    asked = [*inputs.items, *_statements_of(inputs, place)]
    questions = trained_questions(records, asked, questions_before(inputs, place))
    storage.write_json(draft / TRAINED_QUESTIONS, questions)
    described = descriptions_to_keep(inputs, place)
    if described is not None:
        storage.write_json(draft / IN_CONTEXT, described)
    checkpoint = Checkpoint(draft, manifest)
    name_base_model(draft, checkpoint.base_model)
    # PEFT's template says nothing. Once the study is evaluated, the card has its figures too.
    for card in draft.rglob(CARD):
        card.unlink()
    storage.write_text(draft / CARD, model_card(checkpoint, None))


def _statements_of(inputs: StudyInputs, place: TrainingPlace) -> list[Item]:
    """The statements that a training on votes may have learnt, as items."""
    method, seed, _ = place
    if inputs.method(method).records not in ("votes", "combined"):
        return []
    return inputs.consultation_of(inputs.learnt_from(place), seed).statement_items


def _train(
    method: Method, job: TrainingJob, launcher: Path | None
) -> tuple[TrainingFacts, ResourceUse]:
    if launcher:
        return train_launched(method, job, launcher)
    assert method.train is not None
    with measuring_resources() as usage:
        trained = method.train(job)
    return trained, usage


def answers_of_method(
    inputs: StudyInputs, hand: ModelsAtHand, method: str, seed: int, update: Update
) -> Answers:
    """What a method's models answer to every item, as each value set."""
    study, as_population = inputs.study, inputs.method(method).method.asks_as_population
    # Full text and sampling cost more: only where an item is held out.
    relevant = inputs.splits_asked_about(method, seed)
    held_out = sorted({item for split in relevant for item in split.held_out})
    models = models_of(inputs, method, seed)
    asked = [inputs.asked_cells(method, seed, model.value_sets) for model in models]
    total = sum(
        prompts_to_score(model.value_sets, held_out, as_population, study.scoring, cells)
        for model, cells in zip(models, asked, strict=True)
    )
    advance = _counted(total, update, SCORING_SHARE if study.scoring.samples else 1.0)
    personas = study_personas(inputs, method, seed)
    by_value_set: dict[str, list[ModelAnswer]] = {}
    for model, cells in zip(models, asked, strict=True):
        found = collect_answers(
            hand.answerer(model),
            model.value_sets,
            held_out,
            study.scoring,
            as_population,
            seed,
            advance,
            personas,
            cells,
        )
        by_value_set.update(found.by_value_set)
    if study.endpoint or study.scoring.number_format == "float32":
        return Answers(by_value_set)
    return Answers(by_value_set, _rounding(inputs, hand, method, seed))


def _counted(total: int, update: Update, share: float) -> Callable[[int], None]:
    """Turns counts of prompts into the share of the work that is done, up to `share`."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        update(done / total * share)

    return advance


def _rounding(inputs: StudyInputs, hand: ModelsAtHand, method: str, seed: int) -> Rounding:
    """How far a method's answers lie from those in float32, on some of its questions."""
    dtype = inputs.study.scoring.number_format
    as_population = inputs.method(method).method.asks_as_population
    fast: list[ModelAnswer] = []
    again: list[tuple[ModelOfMethod, list[ItemProbe]]] = []
    for model in models_of(inputs, method, seed):
        personas = study_personas(inputs, method, seed)
        cells = inputs.asked_cells(method, seed, model.value_sets)
        ways = inputs.study.scoring.ways
        probes = asked_probes(model.value_sets, as_population, cells, personas, ways)
        asked = questions_asked_twice(probes, seed)
        fast += read_letters(hand.answerer(model), asked, 0.0)
        again.append((model, asked))
    hand.release()
    exact: list[ModelAnswer] = []
    try:
        with out_of_memory("asking in float32", "scoring.dtype: float32 on a larger machine"):
            for model, asked in again:
                exact += read_letters(hand.answerer(model, "float32"), asked, 0.0)
    except SuffrageError as error:
        return Rounding(dtype, 0, None, None, None, str(error))
    finally:
        hand.release()
    return rounding(dtype, fast, exact)


def probes_of_method(
    inputs: StudyInputs,
    hand: ModelsAtHand,
    spec: EvaluationSpec,
    method: str,
    seed: int,
    update: Update,
) -> pl.DataFrame:
    """What an evaluation's own questions got from a method's models."""
    probe = spec.evaluation.probe
    assert probe is not None
    models = models_of(inputs, method, seed)
    frames = []
    for number, model in enumerate(models):
        given = ProbeInput(
            model=hand.answerer(model),
            value_sets=model.value_sets,
            as_population=inputs.method(method).method.asks_as_population,
            splits=inputs.splits_asked_about(method, seed),
            consultations=_consultations(inputs, spec, method, seed),
            scoring=inputs.study.scoring,
            options=spec.options,
            seed=seed,
            folder=inputs.study.folder,
            personas=study_personas(inputs, method, seed),
            advance=lambda share, n=number: update((n + share) / len(models)),  # type: ignore[misc]
        )
        frames.append(probe(given))
        del given  # it holds the model, and the next one is loaded in its place
    return pl.concat(frames)


def _consultations(
    inputs: StudyInputs, spec: EvaluationSpec, method: str, seed: int
) -> list[ConsultationSource]:
    """What an evaluation of a consultation is given: a trained model's own seed, or every seed."""
    if not spec.evaluation.needs_consultation:
        return []
    if inputs.method(method).method.train is None:
        return list(inputs.consultations.values())
    return [inputs.consultations[seed]]


def _needs_consultation(study: Study) -> bool:
    return any(spec.evaluation.needs_consultation for spec in study.evaluate)


def results_of_study(inputs: StudyInputs, store: AnswerStore, update: Update) -> Results:
    """Everything the study found, from all that its models said.

    update: is given the share of the work that is done, from 0 to 1, after each part of it.
    """
    study, wiring = inputs.study, inputs.wiring
    given = EvaluationInput(
        value_sets=list(inputs.value_sets.values()),
        splits=inputs.splits,
        answers={place: Answers.read(stage.folder) for place, stage in wiring.answers.items()},
        methods=[spec.name for spec in study.methods],
        trained=[spec.name for spec in study.methods if spec.method.train],
        left_out=study.left_out,
        folder=study.folder,
        records=_record_folders(inputs),
        consultations=inputs.consultations if _needs_consultation(study) else {},
        ablations=[(s.without[0], s.name) for s in study.methods if s.without is not None],
        starts={spec.name: spec.start for spec in study.methods if spec.start is not None},
        trained_before=[q.text for start in distinct_starts(study) for q in start.questions],
        trained_sample={
            seed: drawn for seed, drawn in inputs.trained_samples.items() if drawn is not None
        },
    )
    given = replace(given, readings=floor_readings(inputs, given))
    cards: dict[str, Scorecard] = {}
    parts = len(study.evaluate) + 2  # reading, each evaluation, and putting all together
    update(1 / parts)
    for number, spec in enumerate(study.evaluate, start=2):
        probes = {
            (method, seed): pl.read_parquet(stage.folder / PROBES)
            for (name, method, seed), stage in wiring.probes.items()
            if name == spec.name
        }
        silent = gives_no_text(study, spec)
        own = replace(
            given,
            probes=probes,
            options=spec.options,
            methods=[name for name in given.methods if name not in silent],
            trained=[name for name in given.trained if name not in silent],
        )
        card = spec.evaluation.scored(own, study.seeds[0])
        notes = [
            f"{name} gives shares of answers and no text: it could not be asked here."
            for name in silent
        ]
        cards[spec.name] = replace(card, notes=(*card.notes, *notes))
        update(number / parts)
    return results_of(wiring, inputs.sources, given, cards, store)


def _record_folders(inputs: StudyInputs) -> dict[tuple[str, int], list[Path]]:
    found: dict[tuple[str, int], list[Path]] = {}
    for (method, seed, _), stage in inputs.wiring.records.items():
        found.setdefault((method, seed), []).append(stage.folder)
    return found


def write_probes(frame: pl.DataFrame, folder: Path) -> None:
    """Write what was said to an evaluation's own questions, all or nothing."""
    storage.write_folder(folder, lambda draft: frame.write_parquet(draft / PROBES))


def write_results(results: Results, folder: Path) -> None:
    """Write `results.json`, all or nothing."""
    content = json.loads(results.model_dump_json())
    storage.write_folder(folder, lambda draft: storage.write_json(draft / "results.json", content))
