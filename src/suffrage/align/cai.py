"""`cai`: the model criticises and revises its own answers by written principles, then judges pairs.

Learns from: prompts and a constitution; every other text is the model's own. Objective: first the
likelihood of its last revisions (SL-CAI), then a preference method on pairs of its answers, with a
judge's probability as soft label. Source: Bai et al. (2022), sections 3 and 4; their preference
model and reinforcement learning are `then: ppo`, and a direct preference method spares both.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import Field, ValidationError, model_validator

from suffrage import storage
from suffrage.align import dpo, kto, rlhf, sft
from suffrage.align.checkpoint import MANIFEST, Checkpoint
from suffrage.align.feedback import AT_ONCE, Kept, judge, stage_seed, write
from suffrage.align.method import Method, TrainingFacts, TrainingJob, TrainingOptions
from suffrage.align.training import LOG, SECONDS, seconds_spent, training_dtype
from suffrage.errors import SuffrageError
from suffrage.models import LanguageModel, identify
from suffrage.training_data.ai_preferences import (
    JUDGEMENT_OUTCOMES,
    Judgement,
    ai_preference_records,
    as_binary,
    judge_reliability,
    pairs_to_train_on,
)
from suffrage.training_data.constitution import (
    FROM_CONSULTATION,
    FROM_VALUE_SET,
    ConstitutionSettings,
    Match,
    Views,
    Weighing,
)
from suffrage.training_data.critiques import (
    critique_messages,
    critique_records,
    outcome,
    outcome_counts,
    revision_messages,
    to_train_on,
)
from suffrage.training_data.general import GENERAL
from suffrage.training_data.records import RecordRow, Records, RecordSettings

CRITIQUES = "critiques.jsonl"
JUDGEMENTS = "judgements.jsonl"
CONSTITUTION = "constitution.json"
FEEDBACK = "feedback.json"
SHARED = tuple(TrainingOptions.model_fields)


class Options(TrainingOptions):
    """What a study may say to `cai`.

    constitution: a file of principles; from_consultation: what every group of the study's
    consultation supports; or from_value_set: the population's clearest trained items,
    `items` of them, with one principle for the leading answer (views: leading) or for every answer
    by its share (all). match: any principle for any prompt, as in the paper, or those of its own
    `item`. prompts: a JSONL file of further prompts. drafts: prompts answered at most; steps beyond
    them see them again. rounds: of critique and revision. longest: tokens of each text.
    keep: train on readable texts, or on all. lowest_mass: probability a judge must put on A and B.
    then: dpo, kto or ppo (a preference model, then PPO, as in the paper) on judged pairs, or none;
    then_steps: of it, None for as many again; then_options: what a study may say to it. steps, epochs: of the first stage.
    """

    format: Literal["written"] = "written"
    constitution: str = FROM_VALUE_SET
    views: Views = "leading"
    items: int = Field(default=10, ge=1)
    match: Match = "any"
    prompts: str | None = None
    drafts: int = Field(default=200, ge=2)
    rounds: int = Field(default=1, ge=1, le=8)
    longest: int = Field(default=64, ge=4)
    keep: Literal["readable", "all"] = "readable"
    lowest_mass: float = Field(default=0.25, ge=0, le=1)
    then: Literal["dpo", "kto", "ppo", "none"] = "dpo"
    then_steps: int | None = Field(default=None, ge=1)
    then_options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _then_understands(self) -> Options:
        for key in self.then_options:
            if key in SHARED or key == "labels":
                raise ValueError(
                    f"then_options: {key} is not for here; say it to the method itself"
                    if key in SHARED
                    else "then_options: labels are the judge's, and cannot be set"
                )
        try:
            self.second_options()
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in problem["loc"])
            raise ValueError(f"then_options: {place}: {problem['msg']}") from error
        return self

    @property
    def weighing(self) -> Weighing:
        """What decides how often a principle is sampled."""
        return "support"

    @property
    def files(self) -> tuple[str, ...]:
        """Paths whose content decides the records."""
        found = self.constitution in (FROM_VALUE_SET, FROM_CONSULTATION)
        constitution = () if found else (self.constitution,)
        prompts = (self.prompts,) if self.prompts else ()
        return (*super().files, *constitution, *prompts)

    @property
    def record_settings(self) -> RecordSettings:
        """What prompts this training wants."""
        wanted = ConstitutionSettings(
            source=self.constitution,
            weighing=self.weighing,
            views=self.views,
            items=self.items,
            match=self.match,
            rounds=self.rounds,
            prompts=self.prompts,
            most=self.drafts,
        )
        return RecordSettings(self.format, "shares", constitution=wanted)

    def second_steps(self, steps: int) -> int:
        """Steps of the second stage, after `steps` of the first; ppo has two parts."""
        if self.then == "none":
            return 0
        own = self.then_steps or steps
        second = self.second_options() if self.then == "ppo" else None
        return own + ((second.preference_steps or own) if isinstance(second, rlhf.Options) else 0)

    def second_options(self) -> TrainingOptions | None:
        """The second stage's own options, None when there is no second stage."""
        shared = {key: getattr(self, key) for key in SHARED} | {"epochs": None}
        if self.then == "dpo":
            return dpo.Options(**shared, **self.then_options)
        if self.then == "kto":
            return kto.Options(**shared, labels="shares", **self.then_options)
        if self.then == "ppo":
            return rlhf.Options(**shared, **{"longest": self.longest, **self.then_options})
        if self.then_options:
            raise ValueError("then_options: there is nothing to say to then: none")
        return None


@dataclass
class _Spent:
    """Seconds of writing and judging, over all tries, and the progress of the whole."""

    job: TrainingJob
    total: int
    done: int = 0

    def __post_init__(self) -> None:
        self.before = seconds_spent(self.job.work)
        self.generating = 0.0
        self._since: float | None = None

    def __enter__(self) -> _Spent:
        self._since = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._note()
        self._since = None

    def advance(self, prompts: int) -> None:
        """One batch of prompts is done."""
        self._note()
        self.done += 1
        self.job.on_step(self.done, self.total, float("nan"))

    def step(self, step: int, total: int, loss: float) -> None:
        """One step of training is done."""
        self.job.on_step(self.done + step, self.total, loss)

    def _note(self) -> None:
        now = time.monotonic()
        if self._since is not None:
            self.generating += now - self._since
            self._since = now
        spent = {"seconds": self.before + self.generating}
        storage.write_json(self.job.work / SECONDS, spent)


def train(job: TrainingJob) -> TrainingFacts:
    """Write, criticise and revise; fine-tune; judge pairs; train on them.

    Texts and judgements stay in `job.output`. Raises SuffrageError when no text can be trained on,
    saying what became of them, and as `run_trainer` does.
    """
    options: Options = job.options
    job.work.mkdir(parents=True, exist_ok=True)
    general = [row for row in job.records.frame.to_dicts() if row["format"] == GENERAL]
    own = job.records.frame.filter(pl.col("format") != GENERAL)
    prompts = Records("prompt", own, job.records.made_from)
    batches = -(-len(prompts) // AT_ONCE)
    second_steps = options.second_steps(job.steps)
    writing = batches * (1 + 2 * options.rounds)
    spent = _Spent(job, writing + job.steps + (2 * batches + second_steps if second_steps else 0))
    kept = Kept.read(job.work / "written.jsonl")

    with spent:
        critiques = _criticised(job, prompts, kept, spent)
    job.check(critiques)
    first = _sl_facts(job.work / "sl" / "model")
    if first is None:
        first = _train_on_revisions(job, critiques, general, spent)
        earlier = first.seconds_before
    else:
        # All of it was spent in an earlier try.
        earlier = first.seconds_before + _sl_seconds(job.work / "sl" / "model")
    spent.done = writing + job.steps
    facts, judged = first, None
    if second_steps:
        with spent:
            judged = _judged(job, prompts, kept, spent)
        job.check(judged)
        facts = _train_on_pairs(job, judged, general, options.then_steps or job.steps, spent)
        earlier += facts.seconds_before
    else:
        shutil.copytree(job.work / "sl" / "model", job.output, dirs_exist_ok=True)
    _leave(job, critiques, judged)
    both = [first, facts] if second_steps else [first]
    return TrainingFacts(
        steps=sum(each.steps for each in both),
        examples=sum(each.examples for each in both),
        tokens=sum(each.tokens for each in both),
        dtype=facts.dtype,
        resumed_from=facts.resumed_from,
        seconds_before=spent.before + earlier,
    )


def _load(job: TrainingJob, start: Path | None) -> LanguageModel:
    """The study's model, or a checkpoint over it, ready to write."""
    dtype = training_dtype(job.options)
    if start is None:
        return LanguageModel.load(job.model, dtype)
    if Checkpoint.read(start).is_adapter:
        return LanguageModel.load(job.model, dtype, start)
    return LanguageModel.load(identify(str(start), job.work), dtype)


def _criticised(job: TrainingJob, prompts: Records, kept: Kept, spent: _Spent) -> Records:
    """Drafts, critiques and revisions of every prompt, by the model the training starts from."""
    options: Options = job.options
    rows = prompts.frame.to_dicts()
    names = [row["id"] for row in rows]
    stages = ["draft"]
    for turn in range(options.rounds):
        stages += [f"critique-{turn + 1}", f"revision-{turn + 1}"]
    needed = any(kept.missing(stage, names) for stage in stages)
    model = _load(job, job.start) if needed else None

    def texts(stage: str, conversations: Sequence[Any]) -> list[str]:
        def make(start: int, stop: int) -> list[str]:
            assert model is not None
            seed = stage_seed(job.seed, stage, start)
            some = write(model, conversations[start:stop], 1, options.longest, seed)
            return [text for (text,) in some]

        return kept.complete(stage, names, make, spent.advance)

    drafts = texts("draft", [[{"role": "user", "content": row["user"]}] for row in rows])
    critiques: list[list[str]] = [[] for _ in rows]
    revisions: list[list[str]] = [[] for _ in rows]
    answers = drafts
    for turn in range(options.rounds):
        by = [row["principles"][turn]["text"] for row in rows]
        asked = [
            critique_messages(row["user"], answer, principle)
            for row, answer, principle in zip(rows, answers, by, strict=True)
        ]
        found = texts(f"critique-{turn + 1}", asked)
        asked = [
            revision_messages(row["user"], answer, principle, critique)
            for row, answer, principle, critique in zip(rows, answers, by, found, strict=True)
        ]
        answers = texts(f"revision-{turn + 1}", asked)
        for place, (critique, revision) in enumerate(zip(found, answers, strict=True)):
            critiques[place].append(critique)
            revisions[place].append(revision)
    return critique_records(prompts, drafts, critiques, revisions)


def _pairs(
    job: TrainingJob, rows: Sequence[RecordRow], kept: Kept, spent: _Spent
) -> list[tuple[str, str]]:
    """Two answers of the fine-tuned model to every prompt."""
    options: Options = job.options
    names = [row["id"] for row in rows]
    model = _load(job, job.work / "sl" / "model") if kept.missing("pair", names) else None

    def answer(start: int, stop: int) -> list[list[str]]:
        assert model is not None
        asked = [[{"role": "user", "content": row["user"]}] for row in rows[start:stop]]
        return write(model, asked, 2, options.longest, stage_seed(job.seed, "pair", start))

    found = kept.complete("pair", names, answer, spent.advance)
    return [(first, second) for first, second in found]


def _judged(job: TrainingJob, prompts: Records, kept: Kept, spent: _Spent) -> Records:
    """Those pairs, judged by the model the training starts from."""
    options: Options = job.options
    rows = prompts.frame.to_dicts()
    names = [row["id"] for row in rows]
    pairs = _pairs(job, rows, kept, spent)
    model = _load(job, job.start) if kept.missing("judgement", names) else None

    def verdicts(start: int, stop: int) -> list[list[float]]:
        assert model is not None
        given = [
            (row["user"], *pair, row["judged_by"]["text"])
            for row, pair in zip(rows[start:stop], pairs[start:stop], strict=True)
        ]
        return [[found.a_first, found.a_second, found.mass] for found in judge(model, given)]

    found = kept.complete("judgement", names, verdicts, spent.advance)
    judgements = [Judgement(*figures) for figures in found]
    generator = np.random.default_rng([job.seed, 41])
    return ai_preference_records(prompts, pairs, judgements, options.lowest_mass, generator)


def training_rows(
    own: Sequence[RecordRow],
    general: Sequence[RecordRow],
    steps: int,
    batch: int,
    general_rows: int,
    seed: int,
) -> list[RecordRow]:
    """`steps` batches: own rows in random order, again and again, then general ones in each.

    Raises ValueError when there is no own row.
    """
    if not own:
        raise ValueError("there must be a row to train on")
    generator = np.random.default_rng([seed, 40])
    wanted = steps * (batch - general_rows)
    rounds = -(-wanted // len(own))
    order = np.concatenate([generator.permutation(len(own)) for _ in range(rounds)])
    found: list[RecordRow] = []
    for step in range(steps):
        at = step * (batch - general_rows)
        found += [own[place] for place in order[at : at + batch - general_rows]]
        found += [general[(step * general_rows + k) % len(general)] for k in range(general_rows)]
    return [{**row, "id": f"{place:06d}"} for place, row in enumerate(found)]


def _train_on_revisions(
    job: TrainingJob, critiques: Records, general: list[RecordRow], spent: _Spent
) -> TrainingFacts:
    """The first stage: plain fine-tuning on the last revisions."""
    options: Options = job.options
    usable = to_train_on(critiques, options.keep)
    if not usable:
        raise SuffrageError(
            "none of the model's revisions can be trained on: "
            f"{_words(outcome_counts(critiques.frame['outcome'].to_list()))}. They are kept in {job.work}. "
            "A larger, instruction-tuned model writes better ones; raise longest, or say keep: all "
            "to train on them as they are."
        )
    keys = ("id", "value_set", "item", "user", "format", "completion")
    own = [{key: row[key] for key in keys} for row in usable]
    rows = training_rows(own, general, job.steps, options.batch, options.general_rows, job.seed)
    work = job.work / "sl"
    part = replace(
        job,
        records=Records("demonstration", pl.DataFrame(rows), {}),
        work=work,
        output=work / "model",
        on_step=spent.step,
    )
    start = time.monotonic()
    part.output.mkdir(parents=True, exist_ok=True)
    facts = sft.train(part)
    # Written last: a folder without it was not finished.
    manifest = {
        "format": 1,
        "method": "cai",
        "stage": "revisions",
        "facts": facts.__dict__,
        "seconds": time.monotonic() - start,
    }
    storage.write_json(part.output / MANIFEST, manifest)
    return facts


def _sl_facts(folder: Path) -> TrainingFacts | None:
    """What the first stage reported, None when it is not finished."""
    if not (folder / MANIFEST).exists():
        return None
    return TrainingFacts(**storage.read_json(folder / MANIFEST)["facts"])


def _sl_seconds(folder: Path) -> float:
    return float(storage.read_json(folder / MANIFEST)["seconds"])


def preference_job(
    job: TrainingJob, pairs: Sequence[RecordRow], general: Sequence[RecordRow], steps: int
) -> TrainingJob:
    """The second stage as a training of the method `then` names, on these judged pairs."""
    options: Options = job.options
    second = options.second_options()
    assert second is not None
    kind: Literal["preference", "binary"] = "binary" if options.then == "kto" else "preference"
    own = list(pairs) if kind == "preference" else as_binary(pairs)
    extra = general
    if kind == "binary":
        # KTO sums labels over all rows; a general row is neither good nor bad.
        extra = [{**row, "desirable": 0.0, "weight": 0.0} for row in general]
    rows = training_rows(own, extra, steps, options.batch, options.general_rows, job.seed)
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return replace(job, records=Records(kind, frame, {}), options=second, steps=steps)


def _train_on_pairs(
    job: TrainingJob, judged: Records, general: list[RecordRow], steps: int, spent: _Spent
) -> TrainingFacts:
    """The second stage: the preference method, from the first stage's model."""
    options: Options = job.options
    pairs = pairs_to_train_on(judged, options.keep)
    if not pairs:
        raise SuffrageError(
            "none of the judged pairs can be trained on: "
            f"{_words(outcome_counts(judged.frame['outcome'].to_list(), JUDGEMENT_OUTCOMES))}. They are "
            f"kept in {job.work}. Say then: none to stop after the revisions, lower lowest_mass, "
            "or take a larger model."
        )
    part = replace(
        preference_job(job, pairs, general, steps),
        work=job.work / "then",
        on_step=spent.step,
        start=job.work / "sl" / "model",
    )
    trainings = {"dpo": dpo.train, "kto": kto.train, "ppo": rlhf.train}
    return trainings[options.then](part)


def _leave(job: TrainingJob, critiques: Records, judged: Records | None) -> None:
    """Every text and judgement, and what became of them, beside the model."""
    options: Options = job.options
    (job.output / MANIFEST).unlink(missing_ok=True)
    storage.write_text(job.output / CRITIQUES, _lines(critiques))
    shutil.copy(job.work / "sl" / LOG, job.output / f"revisions-{LOG}")
    constitution = {
        "weighing": options.weighing,
        "constitutions": job.records.made_from.get("constitutions", {}),
    }
    storage.write_json(job.output / CONSTITUTION, constitution)
    rows = critiques.frame.to_dicts()
    facts: dict[str, Any] = {
        "drafts": outcome_counts([outcome(row["draft"]) for row in rows]),
        "critiques": outcome_counts([one for row in rows for one in row["critique_outcomes"]]),
        "revisions": outcome_counts([row["outcome"] for row in rows]),
        "revisions_trained_on": len(to_train_on(critiques, options.keep)),
        "judgements": None,
    }
    if judged is not None:
        storage.write_text(job.output / JUDGEMENTS, _lines(judged))
        facts["judgements"] = {
            **outcome_counts(judged.frame["outcome"].to_list(), JUDGEMENT_OUTCOMES),
            "trained_on": len(pairs_to_train_on(judged, options.keep)),
            **judge_reliability(judged),
        }
    storage.write_json(job.output / FEEDBACK, facts)


def _lines(records: Records) -> str:
    lines = (json.dumps(row, ensure_ascii=False) for row in records.frame.to_dicts())
    return "\n".join(lines) + "\n"


def _words(found: Any) -> str:
    return ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in found.items())


METHOD = Method(
    name="cai",
    label="Constitutional AI",
    explanation="Trained on its own answers, revised and judged by written principles.",
    options=Options,
    records="prompt",
    train=train,
)
