"""The cards and receipts of a finished run: what made each checkpoint, and how well it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.align.checkpoint import Checkpoint
from suffrage.consult.consultation import read_consultation
from suffrage.evaluate.results import Results
from suffrage.models import ModelIdentity
from suffrage.publish.chain import content_of
from suffrage.publish.model_card import CARD, model_card
from suffrage.publish.receipt import (
    RECEIPT,
    ReceiptPart,
    RepresentationReceipt,
    sealed_files,
    write_checkpoint_receipts,
)
from suffrage.report.tables import RESULT_FILES
from suffrage.study.schema import Study
from suffrage.study.sources import used_sources
from suffrage.study.stages import Stage
from suffrage.study.wiring import TrainingPlace, Wiring

REPORT = "report.html"


def write_provenance(wiring: Wiring, results: Results) -> None:
    """Write a card and a receipt into each checkpoint, and the run's receipt into its folder."""
    output = wiring.study.output
    for stage in wiring.align.values():
        checkpoint = Checkpoint.read(stage.folder)
        storage.write_text(stage.folder / CARD, model_card(checkpoint, results))
    parts = run_parts(wiring)
    represents = populations_of(results)
    sealed = write_checkpoint_receipts(output, wiring.study.study, parts, represents)
    files = [name for name in (*RESULT_FILES, REPORT) if (output / name).is_file()]
    sealed |= sealed_files(output, files)
    whole = [*dict.fromkeys(part.place for part in parts if part.place), *files]
    receipt = RepresentationReceipt(
        wiring.study.study, "run", ".", represents, parts, sealed, whole
    )
    storage.write_text(output / RECEIPT, receipt.text)


def populations_of(results: Results) -> list[dict[str, Any]]:
    """Whose answers the models were trained on or asked for, and how many people answered."""
    return [
        {
            "name": own.name,
            "description": own.description,
            "n": own.n,
            "n_eff": own.n_eff if own.n else None,
            "weighting": own.weighting,
            "trained_on": not own.left_out,
        }
        for own in results.value_sets
    ]


def run_parts(wiring: Wiring) -> list[ReceiptPart]:
    """Every part of a run, each after those it was made from."""
    return [
        *_survey_parts(wiring),
        *_consultation_part(wiring.study),
        *_value_set_parts(wiring),
        *_split_parts(wiring),
        *_record_parts(wiring),
        *_model_parts(wiring),
        *_checkpoint_parts(wiring),
        *_answer_parts(wiring),
    ]


def _place(stage: Stage) -> str:
    return stage.folder.relative_to(stage.output).as_posix()


def _survey_name(source: str, stage: Stage) -> str:
    return f"survey {source or stage.label}"


def _survey_parts(wiring: Wiring) -> list[ReceiptPart]:
    return [
        ReceiptPart(
            _survey_name(name, stage),
            "survey",
            _place(stage),
            content_of("survey", stage.folder),
        )
        for name, stage in wiring.sources.items()
    ]


def _consultation_part(study: Study) -> list[ReceiptPart]:
    if study.consultation is None or not any(spec.uses_consultation for spec in study.methods):
        return []
    content = read_consultation(study.folder / study.consultation.folder).content_hash
    why = "a consultation is published by `suffrage consult release`, which protects who took part"
    return [ReceiptPart("consultation", "consultation", "", content, left_out=why)]


def _value_set_parts(wiring: Wiring) -> list[ReceiptPart]:
    specs = {spec.name: spec for spec in wiring.study.value_sets}
    found = []
    for name, stage in wiring.value_sets.items():
        spec = specs[name]
        used = used_sources(wiring.study, spec)
        made_from = tuple(_survey_name(one, wiring.sources[one]) for one in used)
        published = bool(spec.population or spec.sources)
        content = content_of("value set", stage.folder)
        facts = {"published": True} if published else {}
        found.append(
            ReceiptPart(f"value set {name}", "value set", _place(stage), content, made_from, facts)
        )
    return found


def _split_parts(wiring: Wiring) -> list[ReceiptPart]:
    surveys = tuple(_survey_name(name, stage) for name, stage in wiring.sources.items())
    return [
        ReceiptPart(
            f"split {seed}", "split", _place(stage), content_of("split", stage.folder), surveys
        )
        for seed, stage in wiring.splits.items()
    ]


def _record_parts(wiring: Wiring) -> list[ReceiptPart]:
    from_consultation = {spec.name for spec in wiring.study.methods if spec.uses_consultation}
    found = {}
    for (method, seed, group), stage in wiring.records.items():
        made = storage.read_json(stage.folder / "records.json")["made_from"]
        learnt = [name for name in made.get("value_sets", {}) if name in wiring.value_sets]
        if not learnt:
            learnt = [group] if group in wiring.value_sets else []
        found[stage.folder] = ReceiptPart(
            f"records {stage.label}",
            "records",
            _place(stage),
            content_of("records", stage.folder),
            (
                *(f"value set {name}" for name in learnt),
                f"split {seed}",
                *(["consultation"] if method in from_consultation else []),
            ),
        )
    return list(found.values())


def _model_parts(wiring: Wiring) -> list[ReceiptPart]:
    """The models below the checkpoints, and the one that untrained methods ask."""
    models = [wiring.model, *(base_of(stage.folder) for stage in wiring.align.values())]
    found: dict[str, ReceiptPart] = {}
    for model in models:
        name = _model_name(wiring.study.output, model)
        facts = {
            "source": model.public_name,
            "revision": model.revision,
            "licence": model.licence,
        }
        found.setdefault(name, ReceiptPart(name, "model", "", model.content, facts=facts))
    return list(found.values())


def base_of(checkpoint: Path) -> ModelIdentity:
    """The model below a checkpoint."""
    return Checkpoint.read(checkpoint).base_model


def _model_name(output: Path, model: ModelIdentity) -> str:
    """What the receipt calls a model; a checkpoint of the run has its place in the run."""
    source = Path(model.source)
    if source.is_absolute() and source.is_relative_to(output.resolve()):
        return f"model {source.relative_to(output.resolve()).as_posix()}"
    return f"model {model.public_name}"


def _checkpoint_parts(wiring: Wiring) -> list[ReceiptPart]:
    found = []
    for place, stage in wiring.align.items():
        before: TrainingPlace | None = wiring.starts.get(place)
        start = [f"checkpoint {wiring.align[before].label}"] if before else []
        elsewhere = wiring.pre_aligned.get(place[0])
        facts = {"started_from": elsewhere.history} if elsewhere else {}
        model = _model_name(wiring.study.output, base_of(stage.folder))
        made_from = (f"records {wiring.records[place].label}", model, *start)
        found.append(
            ReceiptPart(
                f"checkpoint {stage.label}",
                "checkpoint",
                _place(stage),
                made_from=made_from,
                facts=facts,
            )
        )
    return found


def _answer_parts(wiring: Wiring) -> list[ReceiptPart]:
    """What the models said, and the results of it."""
    found: dict[str, ReceiptPart] = {}
    for (method, seed), stage in wiring.answers.items():
        own = [
            f"checkpoint {trained.label}" for trained in wiring.checkpoints(method, seed).values()
        ]
        asked = own or [_model_name(wiring.study.output, wiring.model)]
        found[_place(stage)] = ReceiptPart(
            f"answers {stage.label}", "answers", _place(stage), made_from=tuple(asked)
        )
    for (_, method, seed), stage in wiring.probes.items():
        said = f"answers {wiring.answers[method, seed].label}"
        found[_place(stage)] = ReceiptPart(
            f"probes {stage.label}", "probes", _place(stage), made_from=(said,)
        )
    said_parts = tuple(part.name for part in found.values())
    sets = tuple(f"value set {name}" for name in wiring.value_sets)
    splits = tuple(f"split {seed}" for seed in wiring.splits)
    results = ReceiptPart(
        "results",
        "results",
        _place(wiring.results),
        made_from=(*sets, *splits, *said_parts),
    )
    return [*found.values(), results]
