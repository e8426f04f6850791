"""Training on the log-probabilities of given answers: a batch is one packed forward pass.

The beginning that several questions share, and a question that several answers share, is computed
once. A method says which answers of a record it needs, and what the loss on them is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from suffrage import storage
from suffrage.align.blending import blend_with_start
from suffrage.align.checkpoint import Checkpoint
from suffrage.align.loop import snapshot
from suffrage.align.method import TrainingFacts, TrainingJob
from suffrage.align.own_text import with_own_text
from suffrage.align.processes import (
    empty_passes,
    gathered,
    gathered_lists,
    missing_passes,
    own_parts,
)
from suffrage.align.share_losses import distribution_loss, kept_close_loss
from suffrage.align.training import (
    check_batch,
    one_device,
    prepare,
    run_trainer,
    trainer_settings,
)
from suffrage.align.validation import Validation
from suffrage.arrays import FloatArray
from suffrage.errors import InputError, SuffrageError, require
from suffrage.models.device import (
    device_name,
    out_of_memory,
    process_count,
    process_rank,
)
from suffrage.models.packing import Pack, ScoreRequest, Tokens
from suffrage.models.packing_rule import PackingRule, pack_log_probs, packing_rule
from suffrage.models.tokenizing import answer_tokens, encode_text, label_tokens, prompt_text
from suffrage.plurals import plural
from suffrage.training_data.average_answer import times_average
from suffrage.training_data.general import GENERAL
from suffrage.training_data.records import RecordRow
from suffrage.training_data.replay import REPLAYED, is_replay, own_records

if TYPE_CHECKING:
    import torch

REFERENCE = "reference.json"
# The log-probability of an answer that a record does not have.
ABSENT = -1e30
# Encoded prompts that are kept; a training on many questions asks each prompt about once.
KEPT_PROMPTS = 4096


@dataclass(frozen=True, eq=False)
class AnswerBatch:
    """The answers of a batch of records, and how likely the model finds them."""

    # (records, answers), of each whole answer; ABSENT where a record has fewer.
    log_probs: torch.Tensor
    # The same by the model that training began from; None when the method needs no reference.
    reference: torch.Tensor | None
    # (records, answers), tokens of each answer; 0 where absent.
    lengths: torch.Tensor
    # The records.
    rows: Sequence[RecordRow]
    # (records,), the records' weights over their mean in the whole step, so that the parts of a
    # step that is computed in several add up to it.
    weights: torch.Tensor
    # What all of a step's records share, see `Objective.shared`; None where they share nothing.
    shared: torch.Tensor | None = None
    # Tokens of an answer, on average over all records of the training.
    mean_length: float = 1.0

    def column(self, name: str) -> torch.Tensor:
        """A number of each record as a tensor (records,)."""
        import torch

        return torch.tensor([float(row[name]) for row in self.rows]).to(self.log_probs)


def _whole_step(row: RecordRow) -> object:
    """All records of a step are one group."""
    return None


@dataclass(frozen=True)
class Objective:
    """What a method needs of each batch."""

    # For each record of a step, the answers whose log-probabilities are wanted.
    answers: Callable[[Sequence[RecordRow]], list[list[str]]]
    # The mean loss over a batch's records, a scalar tensor.
    loss: Callable[[AnswerBatch], torch.Tensor]
    # A mean over a batch's records, of any one shape, that the records of the step are compared
    # with, without gradient; None where a record's loss is its own.
    shared: Callable[[AnswerBatch], torch.Tensor] | None = None
    # Which records of a step share it, by what they have in common. A part that has all records
    # of each group it has any of finds what they share by itself.
    group: Callable[[RecordRow], object] = _whole_step
    # Whether the starting model's log-probabilities are wanted as well.
    needs_reference: bool = False
    # The fewest records of its own that a step must have, and why.
    fewest: int = 1
    why_fewest: str = ""


@dataclass(frozen=True)
class Prompts:
    """Records and answers as token ids, each text encoded once."""

    tokenizer: Any
    _prompts: dict[str, Tokens]
    _answers: dict[tuple[str, str], tuple[Tokens, ...]]

    @classmethod
    def of(cls, tokenizer: Any) -> Prompts:
        """With nothing encoded yet."""
        return cls(tokenizer, {}, {})

    def prompt(self, user: str) -> Tokens:
        """The question as the model reads it."""
        if user not in self._prompts:
            if len(self._prompts) >= KEPT_PROMPTS:
                self._prompts.clear()
            text = prompt_text(self.tokenizer, [{"role": "user", "content": user}])
            self._prompts[user] = encode_text(self.tokenizer, text)
        return self._prompts[user]

    def spellings(self, answer: str, format: str) -> tuple[Tokens, ...]:
        """The token sequences that all mean this answer: a label's spellings, or one sentence."""
        key = (answer, format)
        if key not in self._answers:
            self._answers[key] = (
                tuple((token,) for token in label_tokens(self.tokenizer, answer))
                if format in ("option", REPLAYED["option"])
                else (answer_tokens(self.tokenizer, answer),)
            )
        return self._answers[key]


@dataclass(frozen=True, eq=False)
class PackedAnswers:
    """The rows a model reads, and where each of their queries belongs."""

    packs: list[Pack]
    # How the model reads them.
    rule: PackingRule
    # (queries,), which spelling a query's token is part of, over all rows.
    spelling_of: list[int]
    # (spellings,), which cell of (records x answers) a spelling adds its probability to.
    answer_of: list[int]
    # (records x answers,), tokens of each cell's answer; 0 where there is none.
    lengths: list[int]
    # Records.
    count: int
    # Answers a record.
    width: int

    @property
    def tokens(self) -> int:
        """Tokens the model reads."""
        return sum(len(pack.tokens) for pack in self.packs)

    @property
    def passes(self) -> int:
        """Passes through the model."""
        return len(self.packs)


def pack_answers(
    prompts: Prompts,
    rule: PackingRule,
    rows: Sequence[RecordRow],
    answers: Sequence[Sequence[str]],
) -> PackedAnswers:
    """The rows that give these answers' log-probabilities.

    Rows are as long as in scoring: longer ones waste attention on tokens that may not see each
    other.

    Parameters
    ----------
    prompts : Prompts
        Encodes questions and answers.
    rule : PackingRule
        How the model may be read.
    rows : sequence of rows
        Each has a question (`user`) and a `format`.
    answers : sequence of sequences of str
        The answers wanted to each.
    """
    width = max(len(some) for some in answers)
    lengths = [0] * (len(rows) * width)
    spelling_ids: dict[tuple[int, int], int] = {}
    answer_of: list[int] = []
    requests = []
    for line, (row, some) in enumerate(zip(rows, answers, strict=True)):
        continuations: list[Tokens] = []
        for place, answer in enumerate(some):
            for tokens in prompts.spellings(answer, row["format"]):
                spelling_ids[line, len(continuations)] = len(answer_of)
                answer_of.append(line * width + place)
                lengths[line * width + place] = len(tokens)
                continuations.append(tokens)
        requests.append(ScoreRequest(prompts.prompt(row["user"]), tuple(continuations)))
    packs = list(rule.rows(requests, device_name()))
    spelling_of = [spelling_ids[owner] for pack in packs for owner in pack.owners]
    return PackedAnswers(packs, rule, spelling_of, answer_of, lengths, len(rows), width)


def answer_log_probs(model: Any, given: PackedAnswers) -> torch.Tensor:
    """The log-probability of each answer.

    That of a spelling is the sum over its tokens. An answer's probability is the sum over its
    spellings.

    Returns
    -------
    tensor, shape (records, answers)
        Differentiable; `ABSENT` where a record has fewer answers.
    """
    import torch

    values = torch.cat([pack_log_probs(model, pack, given.rule) for pack in given.packs])
    device = values.device
    spelling = torch.zeros(len(given.answer_of), device=device)
    spelling = spelling.index_add(0, torch.tensor(given.spelling_of, device=device), values)
    cells = torch.tensor(given.answer_of, device=device)
    size = given.count * given.width
    highest = torch.full((size,), ABSENT, device=device)
    highest = highest.scatter_reduce(0, cells, spelling.detach(), "amax")
    total = torch.zeros(size, device=device)
    total = total.index_add(0, cells, (spelling - highest[cells]).exp())
    present = torch.tensor(given.lengths, device=device) > 0
    found = torch.where(present, total.clamp_min(1e-38).log() + highest, highest)
    return found.view(given.count, given.width)


@dataclass(frozen=True)
class StepPart:
    """Records of one step that are computed together."""

    step: int
    rows: Sequence[RecordRow]


@dataclass(frozen=True, eq=False)
class StepParts:
    """The loss of every part of a step. The mean over a step's parts is the loss of the step."""

    prompts: Prompts
    rule: PackingRule
    objective: Objective
    # The records of each step, each with its `place` among all and its `step`.
    steps: Sequence[Sequence[RecordRow]]
    # Most records a part.
    micro_batch: int
    # The starting model's log-probabilities of each record's answers; empty where none are needed.
    reference: list[list[float]]
    # Tokens of an answer, on average over all records.
    mean_length: float
    # The weight of the divergence from the starting model on survey records mixed in.
    keep_close: float = 0.0

    def step_of(self, part: Sequence[RecordRow]) -> Sequence[RecordRow]:
        """All records of the step that a part is of."""
        return self.steps[part[0]["step"]]

    @cached_property
    def parts_a_step(self) -> int:
        """In how many parts every step is computed: as many in each process."""
        most = max(len(self.parts_of(step)) for step in self.steps)
        return -(-most // process_count()) * process_count()

    @cached_property
    def parts(self) -> list[StepPart]:
        """The parts of every step in their order; empty ones fill up a step that has fewer."""
        found = []
        for number, step in enumerate(self.steps):
            own = self.parts_of(step)
            own += [[]] * (self.parts_a_step - len(own))
            found += [StepPart(number, rows) for rows in own]
        return found

    def own_answers(self, part: Sequence[RecordRow]) -> PackedAnswers | None:
        """The rows for a part's own records; None where all are general instructions."""
        own = own_records(part)
        if not own:
            return None
        step = own_records(self.step_of(part))
        wanted = {
            row["place"]: some for row, some in zip(step, self.objective.answers(step), strict=True)
        }
        return pack_answers(self.prompts, self.rule, own, [wanted[row["place"]] for row in own])

    def general_answers(self, part: Sequence[RecordRow]) -> PackedAnswers | None:
        """The rows for a part's general instructions; None where it has none."""
        general = [row for row in part if row["format"] == GENERAL]
        if not general:
            return None
        said = [[row["completion"]] for row in general]
        return pack_answers(self.prompts, self.rule, general, said)

    def replay_answers(self, part: Sequence[RecordRow]) -> PackedAnswers | None:
        """The rows for a part's survey records that are mixed in; None where it has none."""
        replayed = [row for row in part if is_replay(row)]
        if not replayed:
            return None
        said = [row["answers"] for row in replayed]
        return pack_answers(self.prompts, self.rule, replayed, said)

    def replay_loss(
        self, model: Any, part: Sequence[RecordRow], given: PackedAnswers
    ) -> torch.Tensor:
        """The mean loss on a part's survey records: from the people, and from the first model.

        The people's shares are learnt as `distribution` learns them. What the model said before
        training is kept by `keep_close` times the divergence from it over the options.
        """
        import torch

        log_q = answer_log_probs(model, given)
        replayed = [row for row in part if is_replay(row)]
        people = torch.tensor([_filled_up(row["target"], given.width, 0.0) for row in replayed])
        loss = distribution_loss(log_q, people.to(log_q))
        if self.keep_close:
            known = [_padded(self.reference[row["place"]], given.width) for row in replayed]
            options = torch.tensor([len(row["target"]) for row in replayed], device=log_q.device)
            before = torch.tensor(known).to(log_q)
            loss = loss + self.keep_close * kept_close_loss(log_q, before, options)
        return loss

    def answer_batch(
        self, model: Any, part: Sequence[RecordRow], given: PackedAnswers
    ) -> AnswerBatch:
        """What the model says of a part's own records, with their weights in the whole step."""
        import torch

        own = own_records(part)
        log_probs = answer_log_probs(model, given)
        before = None
        if self.objective.needs_reference:
            values = [_padded(self.reference[row["place"]], given.width) for row in own]
            before = torch.tensor(values).to(log_probs)
        lengths = torch.tensor(given.lengths).view(given.count, given.width).to(log_probs)
        weights = [float(row.get("weight", 1.0)) for row in own_records(self.step_of(part))]
        mean = sum(weights) / len(weights)
        relative = torch.tensor([float(row.get("weight", 1.0)) / mean for row in own])
        return AnswerBatch(
            log_probs,
            before,
            lengths,
            own,
            relative.to(log_probs),
            mean_length=self.mean_length,
        )

    def needs_shared(self, step: Sequence[RecordRow]) -> bool:
        """Whether records that share something are in several parts of a step."""
        if self.objective.shared is None:
            return False
        parts = [
            {self.objective.group(row) for row in own_records(part)} for part in self.parts_of(step)
        ]
        return sum(map(len, parts)) > len(set().union(*parts))

    def shared(self, model: Any, step: Sequence[RecordRow]) -> torch.Tensor:
        """What the records of a step share, computed part by part in all processes."""
        import torch

        assert self.objective.shared is not None
        total: torch.Tensor | float = 0.0
        with torch.no_grad():
            for some, given in read_in_turn(model, self.parts_of(step), self.own_answers):
                batch = self.answer_batch(model, some, given)
                total = total + self.objective.shared(batch) * len(batch.rows)
        found = torch.as_tensor(total, dtype=torch.float32).cpu()
        # A process without a part of the step has no shape to add to.
        size = int(gathered([float(found.numel())]).max())
        shape = found.shape if found.numel() == size else torch.Size([size])
        own = found.flatten().tolist() if found.numel() == size else [0.0] * size
        return gathered(own).sum(0).view(shape) / len(own_records(step))

    def parts_of(self, step: Sequence[RecordRow]) -> list[Sequence[RecordRow]]:
        """A step's records in parts of `micro_batch`; a `way` stays in one part where it fits."""
        parts: list[list[RecordRow]] = [[]]
        for _, records in groupby(step, key=_way):
            together = list(records)
            if parts[-1] and len(parts[-1]) + len(together) > self.micro_batch:
                parts.append([])
            for row in together:
                if len(parts[-1]) == self.micro_batch:
                    parts.append([])
                parts[-1].append(row)
        return list(parts)

    def loss(
        self, model: Any, inputs: dict[str, Any], shared: torch.Tensor | None
    ) -> torch.Tensor | float:
        """The loss of a part, times the number of a step's parts.

        Parameters
        ----------
        model : PreTrainedModel
        inputs : dict
            The records (`part`) and their rows (`own`, `general`, `replay`).
        shared : tensor, optional
            See `shared`. None where the part finds it by itself.
        """
        part, own, general = inputs["part"].rows, inputs["own"], inputs["general"]
        # What each record counts in the average over the parts.
        each = self.parts_a_step / len(self.steps[inputs["part"].step])
        loss: torch.Tensor | float = 0.0
        if own:
            batch = self.answer_batch(model, part, own)
            if self.objective.shared is not None:
                found = self.objective.shared(batch).detach() if shared is None else shared
                batch = replace(batch, shared=found.to(batch.log_probs))
            loss = self.objective.loss(batch) * own.count * each
        if general:
            values = answer_log_probs(model, general)[:, 0]
            lengths = values.new_tensor(general.lengths)
            loss = loss - (values / lengths).sum() * each
        replay = inputs.get("replay")
        if replay:
            loss = loss + self.replay_loss(model, part, replay) * replay.count * each
        return loss


def _way(row: RecordRow) -> object:
    """What keeps records in one part; a record that does not say is kept with none."""
    return row["place"] if row.get("way") is None else ("way", row["way"])


def read_in_turn(
    model: Any,
    parts: Sequence[Sequence[RecordRow]],
    pack: Callable[[Sequence[RecordRow]], PackedAnswers | None],
) -> Iterator[tuple[Sequence[RecordRow], PackedAnswers]]:
    """This process's share of some parts, with as many passes as in every other process.

    To be consumed without gradients.

    Yields
    ------
    part, PackedAnswers
        Parts with records of their own. The receiver reads the rows, once, before the next.
    """
    for part in own_parts(parts):
        given = pack(part) if part else None
        missing = missing_passes(given.passes if given else 0)
        if part and given:
            yield part, given
        empty_passes(model, missing)


def asked_shares(
    model: Any, rows: Sequence[RecordRow], prompts: Prompts, rule: PackingRule, size: int
) -> list[FloatArray]:
    """The shares that a model gives the answers of each record, read in all processes.

    They are multiplied by the average answer of a record that has one, as in training. Of a pair of
    written answers (`pair`) they are by the mean log-probability of a token, because the whole
    text's favours the shorter one. size: records read at a time.
    """
    import torch

    numbered = [{**row, "place": place} for place, row in enumerate(rows)]
    parts = [numbered[start : start + size] for start in range(0, len(numbered), size)]

    def pack(part: Sequence[RecordRow]) -> PackedAnswers:
        return pack_answers(prompts, rule, part, [row["answers"] for row in part])

    own: list[tuple[int, list[float]]] = []
    with torch.no_grad():
        for part, given in read_in_turn(model, parts, pack):
            shares = _read_values(answer_log_probs(model, given), part, given)
            for row, line in zip(part, shares, strict=True):
                said = np.array(line[: len(row["answers"])])
                if row.get("average") is not None:
                    said = times_average(said, np.array(row["average"]))
                own.append((row["place"], said.tolist()))
    return [np.array(line) for _, line in sorted(gathered_lists(own))]


def _read_values(
    log_probs: torch.Tensor, rows: Sequence[RecordRow], given: PackedAnswers
) -> list[list[float]]:
    import torch

    lengths = torch.tensor(given.lengths).view(given.count, given.width).clamp_min(1)
    pairs = torch.tensor([bool(row.get("pair")) for row in rows])[:, None]
    by_token = log_probs / lengths.to(log_probs)
    read = torch.where(pairs.to(log_probs.device), by_token, log_probs)
    found: list[list[float]] = read.softmax(-1).cpu().tolist()
    return found


def validation_of(
    job: TrainingJob, records: Sequence[RecordRow], prompts: Prompts, rule: PackingRule
) -> Validation | None:
    """What a job holds back; None where it holds back nothing."""
    rows = [row for row in records if row.get("validation")]
    if not rows:
        return None
    size = job.options.micro_batch_size()
    return Validation(
        rows,
        lambda model: asked_shares(model, rows, prompts, rule, size),
        job.options.validate_every,
        job.options.patience,
        job.work,
        job.options.survey_tolerance,
    )


def steps_of(rows: Sequence[RecordRow], batch: int) -> list[list[RecordRow]]:
    """The records of each step, each record with its `place` and its `step`.

    Parameters
    ----------
    rows : sequence of rows
        In the order of training. Rows that are held back for validation belong to no step.
    batch : int
        Records a step, where the records do not say which step they are of.
    """
    found: dict[int, list[RecordRow]] = {}
    for place, row in enumerate(row for row in rows if not row.get("validation")):
        number = place // batch if row.get("step") is None else row["step"]
        found.setdefault(number, []).append({**row, "place": place, "step": number})
    return [found[number] for number in sorted(found)]


def check_record_weights(rows: Sequence[RecordRow], where: str) -> None:
    """Check that records of one step have weights that a mean can be taken with.

    where: which records they are, as the beginning of a sentence.

    Raises
    ------
    InputError
        A weight is below 0 or not a number, or they are all 0.
    """
    weights = [float(row.get("weight", 1.0)) for row in rows]
    wrong = [weight for weight in weights if not 0 <= weight < float("inf")]
    if wrong:
        raise InputError(
            f"{where}: a record's weight is {wrong[0]:g}; a weight is 0 or more, and a number."
        )
    if weights and not sum(weights):
        raise InputError(
            f"{where}: the weights of all {plural(len(weights), 'record')} are 0, so nothing can "
            "be learnt from them; leave such records out, or give a larger batch."
        )


def _check_steps(steps: Sequence[Sequence[RecordRow]], objective: Objective) -> None:
    """Check that every step has records enough, with weights that a mean can be taken with."""
    for number, step in enumerate(steps, 1):
        own = own_records(step)
        check_record_weights(own, f"step {number} of the training")
        if own and len(own) < objective.fewest:
            raise InputError(
                f"step {number} of the training has {plural(len(own), 'record')} of the method's "
                f"own; {objective.why_fewest}."
            )


def train_packed(job: TrainingJob, objective: Objective) -> TrainingFacts:
    """Train a method that is a loss on given answers.

    General instructions among the records are learnt by plain likelihood, a token's mean. A step
    that is computed in parts (`micro_batch`, or several processes) has the loss and the gradient of
    the whole step. Records that are held back are asked while the training goes on, and its best
    point is what it leaves.

    Raises
    ------
    InputError
        The weights of a step's records sum to nothing, or a step has fewer records than the method
        needs.
    SuffrageError
        The batch cannot be divided among micro-batches and processes, or as `run_trainer`.
    """
    transformers = require("transformers", "align", "training")
    model, tokenizer = prepare(job)
    prompts, rule = Prompts.of(tokenizer), packing_rule(model)
    records = with_own_text(job, model, tokenizer, job.records.frame.to_dicts())
    steps = steps_of(records, job.options.batch)
    _check_steps(steps[: job.steps], objective)
    micro_batch = job.options.micro_batch_size()
    if steps[0][0].get("way") is None:
        check_batch(job.options)
    mean_length = _mean_length(prompts, steps, objective)
    keep_close = job.options.keep_close
    parts = StepParts(prompts, rule, objective, steps, micro_batch, [], mean_length, keep_close)
    validation = validation_of(job, records, prompts, rule)
    blends = validation is not None and job.options.blend
    if blends and process_count() > 1:
        raise SuffrageError("blend: works in one process only; leave it out, or the launcher.")
    before = snapshot(model) if blends else {}

    def make(callbacks: list[Any]) -> Any:
        settings = trainer_settings(job, parts.parts_a_step)
        trainer = _step_trainer(transformers.Trainer, parts, job.work / REFERENCE)(
            model=model,
            args=one_device(transformers.TrainingArguments(**settings)),
            data_collator=lambda given: {
                "part": given[0],
                "own": parts.own_answers(given[0].rows),
                "general": parts.general_answers(given[0].rows),
                "replay": parts.replay_answers(given[0].rows),
            },
            train_dataset=parts.parts,
            processing_class=tokenizer,
            callbacks=callbacks,
        )
        trainer.model_accepts_loss_kwargs = False
        return trainer

    trained = run_trainer(job, make, validation)
    if validation is None or not blends:
        return trained
    new = job.options.adapter != "none" and not _continues_adapter(job)
    tolerance = job.options.survey_tolerance
    measure, least = validation.measured_by_question, job.options.blend == "one_standard_error"
    found = blend_with_start(model, before, job.output, measure, tolerance, new, least)
    return replace(trained, blend=found)


def _continues_adapter(job: TrainingJob) -> bool:
    """Whether a training goes on with the adapter of the checkpoint that it starts from."""
    return job.start is not None and Checkpoint.read(job.start).is_adapter


def _step_trainer(base: type[Any], parts: StepParts, reference: Path) -> type[Any]:
    """Transformers' trainer with the loss of a step's parts; `reference` keeps the reference."""
    import torch

    class StepTrainer(base):  # type: ignore[misc]
        _parts = parts
        # The step that `_shared` is of, and what its records share.
        _shared_step = -1
        _shared = None

        def compute_loss(self, model: Any, inputs: dict[str, Any], **_: Any) -> Any:
            # Only here is the model where the trainer puts it, perhaps in shards over processes.
            needed = parts.objective.needs_reference or parts.keep_close
            if needed and not self._parts.reference:
                found = _reference(reference, model, parts, self.state.global_step)
                self._parts = replace(parts, reference=found)
            missing = self._passes_missing(inputs)
            loss = self._parts.loss(model, inputs, self._shared_in_step(model, inputs["part"]))
            loss = loss + empty_passes(model, missing)
            return loss if torch.is_tensor(loss) else torch.zeros((), requires_grad=True)

        def _shared_in_step(self, model: Any, part: StepPart) -> torch.Tensor | None:
            """What the step's records share; None where each part finds it by itself."""
            if self._shared_step != part.step:
                self._shared_step, step = part.step, parts.steps[part.step]
                needed = parts.needs_shared(step)
                self._shared = self._parts.shared(model, step) if needed else None
            return self._shared

        def _passes_missing(self, inputs: dict[str, Any]) -> int:
            """Passes that another process makes more; counts the tokens read by all of them."""
            given: list[PackedAnswers] = [
                inputs[name] for name in ("own", "general", "replay") if inputs[name]
            ]
            tokens, passes = sum(one.tokens for one in given), sum(one.passes for one in given)
            found = gathered([float(tokens), float(passes)])
            self.state.num_input_tokens_seen += int(found[:, 0].sum())
            return int(found[:, 1].max()) - passes

    return StepTrainer


def _mean_length(
    prompts: Prompts, steps: Sequence[Sequence[RecordRow]], objective: Objective
) -> float:
    rows = own_records([row for step in steps for row in step])
    lengths = [
        len(tokens)
        for row, some in zip(rows, objective.answers(rows), strict=True)
        for answer in some
        for tokens in prompts.spellings(answer, row["format"])
    ]
    return sum(lengths) / len(lengths)


def _padded(values: list[float], width: int) -> list[float]:
    return _filled_up(values, width, ABSENT)


def _filled_up(values: Sequence[float], width: int, value: float) -> list[float]:
    return [*values, *[value] * (width - len(values))]


def _reference(kept: Path, model: Any, parts: StepParts, step: int) -> list[list[float]]:
    """The starting model's log-probabilities of every record's answers, computed once and kept.

    Each process reads its share of the records. Steps are those of training, because what a method
    asks of a record may depend on its step.

    Parameters
    ----------
    kept : Path
        The file that keeps them for a training that is resumed.
    model : PreTrainedModel
        As the trainer wraps it.
    parts : StepParts
    step : int
        Steps done, after which the model is no longer the reference.

    Raises
    ------
    SuffrageError
        The training is resumed, and the file is gone.
    """
    if all(gathered_lists([kept.exists()])):
        return list(storage.read_json(kept))
    if step:
        raise SuffrageError(
            f"{kept} is gone: what the training compares the model with. Remove {kept.parent}, and "
            "the training begins again."
        )
    torch = require("torch", "align", "training")
    own: list[tuple[int, list[float]]] = []
    with torch.no_grad(), out_of_memory("scoring", "micro_batch: 1"):
        every = [part for step in parts.steps for part in parts.parts_of(step)]
        if parts.objective.needs_reference:
            for part, given in read_in_turn(model, every, parts.own_answers):
                own += _said(model, own_records(part), given)
        if parts.keep_close:
            for part, given in read_in_turn(model, every, parts.replay_answers):
                own += _said(model, [row for row in part if is_replay(row)], given)
    found: list[list[float]] = [[] for step in parts.steps for _ in step]
    for place, line in gathered_lists(own):
        found[place] = line
    if process_rank() == 0:
        storage.write_json(kept, found)
    return found


def _said(
    model: Any, rows: Sequence[RecordRow], given: PackedAnswers
) -> list[tuple[int, list[float]]]:
    """The log-probabilities of each record's answers, with the record's place."""
    values = answer_log_probs(model, given).cpu().tolist()
    lengths = [
        given.lengths[k : k + given.width] for k in range(0, len(given.lengths), given.width)
    ]
    return [
        (row["place"], line[: sum(length > 0 for length in present)])
        for row, line, present in zip(rows, values, lengths, strict=True)
    ]
