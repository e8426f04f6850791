"""Learning curves: how many questions and populations a study needs before training is worth it.

    python -P benchmarks/how_much_data.py examples/many-questions.yaml --questions 50 200 800

Each point trains on so many of the study's training questions (the first of one random order, so
that a larger point holds a smaller one) and is read on the same held-out cells, next to the floors
that are computed from the same questions. A point is a file in `--out`; what is there already is
not computed again, and a training that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from suffrage import registry, storage
from suffrage.align.checkpoint import load_checkpoint
from suffrage.align.factors import load_factors
from suffrage.align.method import Method, TrainingJob
from suffrage.evaluate import fit
from suffrage.evaluate.asking.answers import Answers, Scoring, collect_answers
from suffrage.evaluate.scorecard import EvaluationInput, Scorecard
from suffrage.models import ModelIdentity, identify
from suffrage.population import ValueSet
from suffrage.study.schema import Study, read_study
from suffrage.study.segmenting import with_value_sets
from suffrage.study.sources import built_value_set, read_sources, source_items
from suffrage.training_data import ItemSplit, split_items
from suffrage.training_data.records import record_builder
from suffrage.training_data.split import Regime

# Methods that a point trains, by the entry of the study that they are taken from.
TRAINED = "distribution"


@dataclass(frozen=True)
class Point:
    """How much of the study's data one training gets."""

    # Questions; None for all.
    questions: int | None
    # Populations; None for all.
    populations: int | None
    # Steps of training; None for the study's.
    steps: int | None = None

    @property
    def name(self) -> str:
        """The name of its file."""
        data = f"{self.questions or 'all'}-questions-{self.populations or 'all'}-populations"
        return data if self.steps is None else f"{data}-{self.steps}-steps"


@dataclass(frozen=True)
class Material:
    """What all points share."""

    study: Study
    value_sets: list[ValueSet]
    split: ItemSplit
    seed: int


def study_material(path: Path, seed: int) -> Material:
    """Read the study's sources, build its value sets, and split its questions."""
    study = with_value_sets(read_study(path))
    sources = read_sources(study)
    items = source_items(study, sources)
    value_sets = [built_value_set(study, sources, spec) for spec in study.value_sets]
    return Material(study, value_sets, split_items(items, study.held_out, seed), seed)


def with_items(value_sets: Sequence[ValueSet], items: set[str]) -> list[ValueSet]:
    """The value sets with their answers to these items only; those without any are left out."""
    kept = [
        replace(v, distributions={i: d for i, d in v.distributions.items() if i in items})
        for v in value_sets
    ]
    return [v for v in kept if v.distributions]


def of_point(given: Material, point: Point) -> tuple[list[ValueSet], ItemSplit]:
    """The populations and the split of a point: the first of one random order of each."""
    generator = np.random.default_rng([given.seed, 20])
    questions = generator.permutation(sorted(given.split.train))[: point.questions]
    names = generator.permutation(sorted(v.name for v in given.value_sets))[: point.populations]
    kept = set(names.tolist())
    learned = with_items([v for v in given.value_sets if v.name in kept], set(questions.tolist()))
    return learned, replace(given.split, train=tuple(sorted(questions.tolist())))


def base_model(given: Material) -> ModelIdentity:
    """The model that the study trains."""
    assert isinstance(given.study.model, str)
    return identify(given.study.model, given.study.folder)


def asked_cells(given: Material, most: int) -> list[ValueSet]:
    """A sample of held-out cells, the same for every point: as many of each regime."""
    generator = np.random.default_rng([given.seed, 21])
    regimes = given.split.regimes
    cells = [
        (v.name, item)
        for v in given.value_sets
        for item in sorted(v.distributions)
        if item in set(given.split.held_out)
    ]
    kept: set[tuple[str, str]] = set()
    kinds: list[Regime | None] = [*sorted(set(regimes.values()))] or [None]
    for kind in kinds:
        own = [cell for cell in cells if regimes.get(cell[1]) == kind]
        chosen = generator.permutation(len(own))[: most // len(kinds)]
        kept |= {own[place] for place in chosen}
    found = [
        replace(v, distributions={i: d for i, d in v.distributions.items() if (v.name, i) in kept})
        for v in given.value_sets
    ]
    return [v for v in found if v.distributions]


def trained(
    given: Material, point: Point, method: Method, options: Any, out: Path
) -> tuple[Path, dict[str, Any]]:
    """Train a method on a point's data; returns the checkpoint and what it took."""
    learned, split = of_point(given, point)
    generator = np.random.default_rng([given.seed, 3])
    total = getattr(options, "steps", None) or 1
    # `factors` takes every cell once.
    count = total * options.own_rows if total > 1 else 10**9
    records = record_builder(method.records, "survey").build(
        learned, split, count, generator, options.record_settings
    )
    folder = out / ".work" / f"{point.name}-{method.name}"
    checkpoint = folder / "checkpoint"
    checkpoint.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    job = TrainingJob(
        model=base_model(given),
        records=records,
        options=options,
        steps=total,
        seed=given.seed,
        work=folder / "work",
        output=checkpoint,
        on_step=_tell(f"{point.name}, {method.name}"),
    )
    facts = method.train(job)
    return checkpoint, {
        "steps": facts.steps,
        "seconds": round(facts.seconds_before + time.monotonic() - start),
        "tokens": facts.tokens,
    }


def _tell(what: str) -> Any:
    def on_step(step: int, total: int, loss: float) -> None:
        if step % 20 == 0 or step == total:
            print(f"{what}: step {step} of {total}, loss {loss:.3f}", file=sys.stderr, flush=True)

    return on_step


def scored(
    given: Material, point: Point, answers: dict[str, Answers], asked: list[ValueSet]
) -> Scorecard:
    """The figures of a point on the held-out cells that were asked, with its floors."""
    learned, split = of_point(given, point)
    own = {v.name: v for v in learned}
    value_sets = [
        replace(
            v,
            distributions={
                **(own[v.name].distributions if v.name in own else {}),
                **v.distributions,
            },
        )
        for v in asked
    ]
    methods = list(answers)
    said = {(name, given.seed): found for name, found in answers.items()}
    given_now = EvaluationInput(value_sets, {given.seed: split}, said, methods, methods)
    return fit.EVALUATION.scored(given_now, given.seed)


def measured(
    given: Material, point: Point, cells: int, only_factors: bool, out: Path
) -> dict[str, Any]:
    """Train and read one point; the content of its file."""
    asked = asked_cells(given, cells)
    wanted = given.study.scoring
    scoring = Scoring(samples=0, text=False, dtype=wanted.dtype, ways=wanted.ways)
    factors: Method = registry.load("methods", "factors")
    (spec,) = [one for one in given.study.methods if one.name == TRAINED]
    own = spec.options
    if point.steps is not None:
        own = own.model_copy(update={"steps": point.steps})
    trainings = [(factors, factors.options.model_validate({"states": "text"}))]
    if not only_factors:
        trainings.append((spec.method, own))
    answers, facts = {}, {}
    for method, options in trainings:
        checkpoint, facts[method.name] = trained(given, point, method, options, out)
        model: Any = (
            load_factors(base_model(given), checkpoint, out / ".work")
            if method is factors
            else load_checkpoint(base_model(given), checkpoint, scoring.dtype)
        )
        answers[method.name] = collect_answers(model, asked, (), scoring, True, given.seed)
        del model
    card = scored(given, point, answers, asked)
    shutil.rmtree(out / ".work" / f"{point.name}-{TRAINED}", ignore_errors=True)
    rows = [f for f in card.figures if f.value_set == "all" and f.measure == "fit" and f.regime]
    gaps = [
        d
        for d in card.figure_differences
        if d.value_set == "all" and d.measure == "fit" and d.regime
    ]
    return {
        "study": given.study.study,
        "seed": given.seed,
        "questions": len(of_point(given, point)[1].train),
        "populations": point.populations or len(given.value_sets),
        "trainings": facts,
        "figures": [row.model_dump(mode="json") for row in rows],
        "differences": [row.model_dump(mode="json") for row in gaps],
    }


def table(found: Sequence[dict[str, Any]]) -> str:
    """The points as a Markdown table: fit on each regime, and against the average answer."""
    last = TRAINED if any(TRAINED in one["trainings"] for one in found) else "factors"
    methods = ["uniform", "average", "nearest", "factors"]
    methods += [TRAINED] if last == TRAINED else []
    head = ["questions", "populations", "new", *methods, f"{last} - average", "steps"]
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    for one in sorted(found, key=lambda one: (one["populations"], one["questions"])):
        for regime in sorted({row["regime"] for row in one["figures"]}):
            fits = {r["method"]: r["value"] for r in one["figures"] if r["regime"] == regime}
            (gap,) = [
                d
                for d in one["differences"]
                if (d["regime"], d["method"], d["against"]) == (regime, last, "average")
            ]
            ends = "" if gap["low"] is None else f" [{gap['low']:+.3f}, {gap['high']:+.3f}]"
            cells = [
                f"{one['questions']:,}",
                str(one["populations"]),
                regime,
                *(f"{fits[name]:.3f}" if name in fits else "" for name in methods),
                f"{gap['value']:+.3f}{ends}",
                str(one["trainings"][last]["steps"]) if last == TRAINED else "",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Measure the points asked for and print their table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--questions", type=int, nargs="*", default=[50, 200, 800])
    parser.add_argument("--populations", type=int, nargs="*", default=[])
    parser.add_argument("--all", action="store_true", help="a point with all of the data too")
    parser.add_argument("--steps", type=int, nargs="*", help="more points, with all of the data")
    parser.add_argument("--factors", action="store_true", help="without the model's training")
    parser.add_argument("--cells", type=int, default=2000, help="held-out cells that are asked")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/how-much-data"))
    asked = parser.parse_args()
    points = [Point(questions, None) for questions in asked.questions]
    points += [Point(None, populations) for populations in asked.populations]
    points += [Point(None, None)] if asked.all else []
    points += [Point(None, None, steps) for steps in asked.steps or ()]
    given = None
    found = []
    for point in points:
        kind = "factors" if asked.factors else "seed"
        kept = asked.out / f"{point.name}-{kind}{asked.seed}.json"
        if not kept.exists():
            given = given or study_material(asked.study, asked.seed)
            one = measured(given, point, asked.cells, asked.factors, asked.out)
            asked.out.mkdir(parents=True, exist_ok=True)
            storage.write_json(kept, one)
        found.append(json.loads(kept.read_text(encoding="utf-8")))
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
