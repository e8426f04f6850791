"""`capability`: whether a model can still do what it could do before it was aligned.

Small checks that need no network: facts, sums drawn by a seed, and instructions that a rule can
check. Tasks of EleutherAI's evaluation harness are added where it is installed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from suffrage import settings
from suffrage.arrays import FloatArray
from suffrage.errors import InputError, require, require_installed
from suffrage.evaluate.asking.own_questions import cost_scorecard, values_by_question
from suffrage.evaluate.results import Measure
from suffrage.evaluate.scorecard import (
    AS_ITSELF,
    Evaluation,
    EvaluationInput,
    EvaluationOptions,
    ProbeInput,
    Scorecard,
)
from suffrage.models import Answerer, ItemProbe, LanguageModel, read_letters
from suffrage.population import ValueSet
from suffrage.survey import Item, Option
from suffrage.training_data import ItemSplit

NAME = "capability"
SHIPPED = Path(__file__).parent / "data" / "capability.yaml"
CHANCE = 0.25
LONGEST_WRITTEN = 24
HARNESS = "lm-eval:"
# The harness's own names for whether one question was right, the first that a task has.
RIGHT = ("acc", "exact_match", "acc_norm", "prompt_level_strict_acc", "mc2")
SCHEMA = {
    "value_set": pl.String,
    "kind": pl.String,  # fact, sum, instruction, or "lm-eval:" and a task
    "question": pl.String,
    "right": pl.Float64,  # 0 to 1
    "text": pl.String,
}


class Options(EvaluationOptions):
    """What a study may say about the checks."""

    sums: int = Field(default=24, ge=4)
    """How many sums are asked, the same ones of every model."""
    sums_seed: int = Field(default=0, ge=0)
    """Draws the sums."""
    samples: int = Field(default=4, ge=1)
    """Answers to each instruction."""
    base: str = "base"
    """The method that losses are measured from."""
    margin: float = Field(default=0.05, ge=0, lt=1)
    """A loss beyond this share of the questions is flagged."""
    lm_eval: tuple[str, ...] = ()
    """Tasks of EleutherAI's harness."""
    harness_limit: int | None = Field(default=None, ge=1)
    """Questions of each of these tasks; None for all."""
    harness_tasks: str | None = None
    """A folder with your own tasks, in the harness's YAML; paths in it start there."""

    @property
    def files(self) -> tuple[str, ...]:
        """The folder of one's own tasks."""
        return (self.harness_tasks,) if self.harness_tasks else ()

    @model_validator(mode="after")
    def _harness_is_there(self) -> Options:
        if self.lm_eval:
            require_installed("lm_eval", "lm-eval", "evaluate: capability: lm_eval")
        return self


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    start: str
    right: str
    wrong: tuple[str, str, str]


class Instruction(BaseModel):
    """Something to write in a form that was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    ask: str
    pattern: str
    """What a whole answer matches if it keeps to the instruction."""

    def kept(self, text: str) -> bool:
        """Whether an answer keeps to the instruction."""
        return re.fullmatch(self.pattern, text.strip()) is not None


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    facts: tuple[_Fact, ...]
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Completion:
    """A sentence's start and four endings, of which one is right."""

    kind: str
    id: str
    start: str
    endings: tuple[str, ...]
    right: int

    @property
    def sentences(self) -> tuple[str, ...]:
        """The whole sentence with each ending."""
        return tuple(f"{self.start} {ending}." for ending in self.endings)


def shipped() -> _File:
    """The facts and instructions that come with Suffrage."""
    return settings.validated(_File, settings.read_yaml(SHIPPED), SHIPPED.name)


def facts() -> list[Completion]:
    """The facts; the right ending is in each place equally often."""
    return [
        _completion("fact", f.id, f.start, f.right, f.wrong, k)
        for k, f in enumerate(shipped().facts)
    ]


def sums(count: int, seed: int) -> list[Completion]:
    """Additions, subtractions and products of small numbers, with three near misses each."""
    generator = np.random.default_rng([seed, 8])
    found = []
    for place in range(count):
        a, b = (int(n) for n in generator.integers(3, 50, size=2))
        if place % 3 == 0:
            words, value = f"{a} plus {b} is", a + b
        elif place % 3 == 1:
            words, value = f"{a + b} minus {b} is", a
        else:
            a, b = a % 10 + 2, b % 10 + 2
            words, value = f"{a} times {b} is", a * b
        near = [n for n in (*range(value - 12, value), *range(value + 1, value + 13)) if n >= 0]
        wrong = generator.choice(near, size=3, replace=False)
        found.append(
            _completion(
                "sum", f"sum-{place:03d}", words, str(value), [str(n) for n in wrong], place
            )
        )
    return found


def _completion(
    kind: str, name: str, start: str, right: str, wrong: Sequence[str], place: int
) -> Completion:
    endings = list(wrong)
    endings.insert(place % 4, right)
    return Completion(kind, name, start, tuple(endings), place % 4)


def probe(given: ProbeInput) -> pl.DataFrame:
    """Every check, of the model as itself."""
    options: Options = given.options
    completions = [*facts(), *sums(options.sums, options.sums_seed)]
    rows = list(_completed(given.model, completions))
    given.advance(0.5)
    rows += _kept(given.model, options.samples, given.seed)
    given.advance(0.7)
    if options.lm_eval:
        rows += harness_rows(given.model, options, given.folder)
    given.advance(1.0)
    return pl.DataFrame(rows, schema=SCHEMA)


def _completed(model: Answerer, completions: Sequence[Completion]) -> Iterator[dict[str, Any]]:
    """Whether the right ending is the likeliest: as text, or by letter if texts cannot be read."""
    for one, found in zip(completions, likelihoods(model, completions), strict=True):
        best = found == found.max()
        yield {
            "value_set": AS_ITSELF,
            "kind": one.kind,
            "question": one.id,
            "right": float(best[one.right] / best.sum()),
        }


def likelihoods(model: Answerer, completions: Sequence[Completion]) -> list[FloatArray]:
    """The log-probability of each ending as text; its share by letter if texts cannot be read."""
    if model.reads_texts:
        chats = [
            [{"role": "user", "content": f"Complete this sentence: {one.start}"}]
            for one in completions
        ]
        scored = model.text_log_probs(chats, [one.sentences for one in completions])
        return [np.array([float(log.sum()) for log in logs]) for logs in scored]
    items = [
        Item(
            id=one.id,
            question=f"Complete this sentence: {one.start} ...",
            options=tuple(Option(code=str(k), text=text) for k, text in enumerate(one.endings)),
            ordered=False,
        )
        for one in completions
    ]
    return [a.shares for a in read_letters(model, [ItemProbe(item, None) for item in items], 0.0)]


def _kept(model: Answerer, samples: int, seed: int) -> Iterator[dict[str, Any]]:
    known = shipped().instructions
    chats = [[{"role": "user", "content": one.ask}] for one in known]
    written = model.write(chats, samples, LONGEST_WRITTEN, seed)
    for one, texts in zip(known, written, strict=True):
        yield {
            "value_set": AS_ITSELF,
            "kind": "instruction",
            "question": one.id,
            "right": float(np.mean([one.kept(text) for text in texts])),
            "text": texts[0],
        }


def harness_rows(
    model: Answerer, options: Options, folder: Path = Path()
) -> Iterator[dict[str, Any]]:
    """Each question of each of the harness's tasks. Raises InputError where one can't be run."""
    purpose = "evaluate: capability: lm_eval"
    harness = require("lm_eval", "lm-eval", purpose)
    if not isinstance(model, LanguageModel):
        raise InputError(
            f"{purpose}: the harness asks only models that run here, not one behind an endpoint."
        )
    from lm_eval.models.huggingface import HFLM

    own = None if options.harness_tasks is None else (folder / options.harness_tasks).resolve()
    try:
        # The harness reads the paths of a task's data from where it is called.
        with contextlib.chdir(own or Path.cwd()):
            found = harness.simple_evaluate(
                model=HFLM(pretrained=model.model, tokenizer=model.tokenizer),
                tasks=list(options.lm_eval),
                limit=options.harness_limit,
                log_samples=True,
                bootstrap_iters=0,
                task_manager=_task_manager(own),
            )
    # A task of somebody's own can fail in any way.
    except Exception as error:
        line = str(error).strip().split("\n")[0][:200]
        raise InputError(
            f"{purpose}: {', '.join(options.lm_eval)} could not be run ({line}); the names are the "
            "harness's, and its data has to be reachable or in the cache."
        ) from error
    for task, samples in found["samples"].items():
        for sample in samples:
            # A task may read one answer in several ways; the first is the one it is known by.
            if sample.get("filter") != samples[0].get("filter"):
                continue
            measure = next((name for name in RIGHT if name in sample), None)
            if measure is None:
                raise InputError(
                    f"{purpose}: {task} has none of {', '.join(RIGHT)} for a question; leave it "
                    f"out."
                )
            yield {
                "value_set": AS_ITSELF,
                "kind": HARNESS + task,
                "question": f"{task}-{sample['doc_id']}",
                "right": float(sample[measure]),
            }


@cache
def _task_manager(own: Path | None) -> Any:
    """The harness's tasks and those of a folder; finding them among thousands takes seconds."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=own)


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """The share right of each kind, and the loss against the base."""
    given = replace(given, options=given.options or Options())
    kinds = {"facts": ["fact"], "sums": ["sum"], "instructions": ["instruction"]}
    tasks = sorted({k for f in given.probes.values() for k in f["kind"] if k.startswith(HARNESS)})
    if tasks:
        kinds["harness"] = tasks
    right = pl.col("right")
    values = {name: values_by_question(given, right, wanted) for name, wanted in kinds.items()}
    return cost_scorecard(
        given,
        NAME,
        seed,
        {**values, NAME: values_by_question(given, right)},
        loss=(NAME, "capability_loss", "of what it could do"),
        floors={"facts": CHANCE, "sums": CHANCE, "instructions": 0.0},
        ceilings={"facts": 1.0, "sums": 1.0, "instructions": 1.0},
        details={"instructions": _examples(given)},
    )


def _examples(given: EvaluationInput) -> list[dict[str, Any]]:
    """One answer of each method to each instruction."""
    return [
        {"method": method, "seed": at, "question": row["question"], "text": row["text"]}
        for (method, at), frame in sorted(given.probes.items())
        for row in frame.filter(pl.col("kind") == "instruction").to_dicts()
    ]


def prompts(
    value_sets: Sequence[ValueSet], splits: Sequence[ItemSplit], options: Options, folder: Path
) -> int:
    """Four sentences a completion, once for a model whatever it is asked as."""
    return 4 * (len(shipped().facts) + options.sums)


EVALUATION = Evaluation(
    NAME,
    score,
    question="Has it lost what it could do before?",
    cannot_show="Losses that a hundred easy questions in English do not show. A larger benchmark "
    "sees smaller losses, and other languages and long tasks are not tested.",
    measures=(
        Measure(
            name="capability",
            lowest=0.0,
            highest=1.0,
            label="Capability",
            explanation="The share right of all questions below together.",
            better="higher",
            unit="questions",
            headline=True,
        ),
        Measure(
            name="facts",
            lowest=0.0,
            highest=1.0,
            label="Facts",
            explanation="How often the true ending of a sentence is likelier than three false "
            "ones.",
            better="higher",
            unit="facts",
        ),
        Measure(
            name="sums",
            lowest=0.0,
            highest=1.0,
            label="Sums",
            explanation="The same for sums, against three numbers near the true one.",
            better="higher",
            unit="sums",
        ),
        Measure(
            name="instructions",
            lowest=0.0,
            highest=1.0,
            label="Instructions kept",
            explanation="The share of written answers that keep to the form that was asked for.",
            better="higher",
            unit="instructions",
        ),
        Measure(
            name="harness",
            lowest=0.0,
            highest=1.0,
            label="Harness",
            explanation="The share right of the tasks of EleutherAI's evaluation harness, "
            "questions together.",
            better="higher",
            unit="questions",
        ),
        Measure(
            name="capability_loss",
            lowest=-1.0,
            highest=1.0,
            label="Capability lost",
            explanation="The share right of the base minus that of the method, over all these "
            "questions; a loss beyond the study's margin is flagged.",
            better="lower",
            unit="questions",
        ),
    ),
    options=Options,
    probe=probe,
    prompts=prompts,
    asks_once=True,
)
