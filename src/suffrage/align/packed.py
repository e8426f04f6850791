"""Training on the log-probabilities of given answers: a batch is one packed forward pass.

The beginning that several questions share, and a question that several answers share, is computed
once. A method says which answers of a record it needs, and what the loss on them is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suffrage import storage
from suffrage.align.method import TrainingFacts, TrainingJob
from suffrage.align.processes import (
    empty_passes,
    gathered,
    gathered_lists,
    missing_passes,
    own_parts,
)
from suffrage.align.training import one_device, prepare, run_trainer, trainer_settings
from suffrage.errors import SuffrageError, require
from suffrage.models.device import device_name, out_of_memory, process_rank
from suffrage.models.packing import Pack, ScoreRequest, Tokens
from suffrage.models.packing_rule import PackingRule, pack_log_probs, packing_rule
from suffrage.models.tokenizing import answer_tokens, encode_text, label_tokens, prompt_text
from suffrage.training_data.general import GENERAL
from suffrage.training_data.records import RecordRow

if TYPE_CHECKING:
    import torch

REFERENCE = "reference.json"
# The log-probability of an answer that a record does not have.
ABSENT = -1e30


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
    # Tokens of an answer, in the mean over all records of the training.
    mean_length: float = 1.0

    def column(self, name: str) -> torch.Tensor:
        """A number of each record as a tensor (records,)."""
        import torch

        return torch.tensor([float(row[name]) for row in self.rows]).to(self.log_probs)


@dataclass(frozen=True)
class Objective:
    """What a method needs of each batch."""

    # For each record of a step, the answers whose log-probabilities are wanted.
    answers: Callable[[Sequence[RecordRow]], list[list[str]]]
    # The mean loss over a batch's records, a scalar tensor.
    loss: Callable[[AnswerBatch], torch.Tensor]
    # A mean over a batch's records that every record of the step is compared with, without
    # gradient; None where a record's loss is its own.
    shared: Callable[[AnswerBatch], torch.Tensor] | None = None
    # Whether the starting model's log-probabilities are wanted as well.
    needs_reference: bool = False


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
            text = prompt_text(self.tokenizer, [{"role": "user", "content": user}])
            self._prompts[user] = encode_text(self.tokenizer, text)
        return self._prompts[user]

    def spellings(self, answer: str, format: str) -> tuple[Tokens, ...]:
        """The token sequences that all mean this answer: a label's spellings, or one sentence."""
        key = (answer, format)
        if key not in self._answers:
            self._answers[key] = (
                tuple((token,) for token in label_tokens(self.tokenizer, answer))
                if format == "option"
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


@dataclass(frozen=True, eq=False)
class StepParts:
    """The loss of every part of a step. The mean over a step's parts is the loss of the step."""

    prompts: Prompts
    rule: PackingRule
    objective: Objective
    # All records in the order of training, each with its `place`.
    rows: Sequence[RecordRow]
    # Records a step.
    batch: int
    # Records a part.
    micro_batch: int
    # The starting model's log-probabilities of each record's answers; empty where none are needed.
    reference: list[list[float]]
    # Tokens of an answer, in the mean over all records.
    mean_length: float

    def step_of(self, part: Sequence[RecordRow]) -> list[RecordRow]:
        """All records of the step that a part is of."""
        start = part[0]["place"] // self.batch * self.batch
        return list(self.rows[start : start + self.batch])

    def own_answers(self, part: Sequence[RecordRow]) -> PackedAnswers | None:
        """The rows for a part's own records; None where all are general instructions."""
        step = without_general(self.step_of(part))
        wanted = {
            row["place"]: some for row, some in zip(step, self.objective.answers(step), strict=True)
        }
        own = without_general(part)
        if not own:
            return None
        return pack_answers(self.prompts, self.rule, own, [wanted[row["place"]] for row in own])

    def general_answers(self, part: Sequence[RecordRow]) -> PackedAnswers | None:
        """The rows for a part's general instructions; None where it has none."""
        general = [row for row in part if row["format"] == GENERAL]
        if not general:
            return None
        said = [[row["completion"]] for row in general]
        return pack_answers(self.prompts, self.rule, general, said)

    def answer_batch(
        self, model: Any, part: Sequence[RecordRow], given: PackedAnswers
    ) -> AnswerBatch:
        """What the model says of a part's own records, with their weights in the whole step."""
        import torch

        own = without_general(part)
        log_probs = answer_log_probs(model, given)
        before = None
        if self.objective.needs_reference:
            values = [_padded(self.reference[row["place"]], given.width) for row in own]
            before = torch.tensor(values).to(log_probs)
        lengths = torch.tensor(given.lengths).view(given.count, given.width).to(log_probs)
        weights = [float(row.get("weight", 1.0)) for row in without_general(self.step_of(part))]
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

    def shared(self, model: Any, part: Sequence[RecordRow]) -> torch.Tensor:
        """What all records of a part's step share, computed part by part in all processes."""
        import torch

        assert self.objective.shared is not None
        step, total = self.step_of(part), 0.0
        with torch.no_grad():
            for some, given in self.read_in_turn(model, self.parts_of(step)):
                batch = self.answer_batch(model, some, given)
                total += float(self.objective.shared(batch)) * len(batch.rows)
        return gathered([total]).sum() / len(without_general(step))

    def parts_of(self, rows: Sequence[RecordRow]) -> list[Sequence[RecordRow]]:
        """Rows in parts of `micro_batch`."""
        size = self.micro_batch
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def read_in_turn(
        self, model: Any, parts: Sequence[Sequence[RecordRow]]
    ) -> Iterator[tuple[Sequence[RecordRow], PackedAnswers]]:
        """This process's share of some parts, with as many passes as in every other process.

        To be consumed without gradients.

        Yields
        ------
        part, PackedAnswers
            Parts with records of their own. The receiver reads the rows, once, before the next.
        """
        for part in own_parts(parts):
            given = self.own_answers(part) if part else None
            missing = missing_passes(given.passes if given else 0)
            if part and given:
                yield part, given
            empty_passes(model, missing)

    def loss(
        self, model: Any, inputs: dict[str, Any], shared: torch.Tensor | None
    ) -> torch.Tensor | float:
        """The loss of a part, times the number of a step's parts.

        Parameters
        ----------
        model : PreTrainedModel
        inputs : dict
            The records (`part`) and their rows (`own`, `general`).
        shared : tensor, optional
            See `shared`. None for a part that is a whole step, which has it.
        """
        part, own, general = inputs["part"], inputs["own"], inputs["general"]
        step = self.step_of(part)
        # What each record counts in the mean over the parts.
        each = -(-len(step) // self.micro_batch) / len(step)
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
        return loss


def without_general(rows: Sequence[RecordRow]) -> list[RecordRow]:
    """Records without the general instructions among them."""
    return [row for row in rows if row["format"] != GENERAL]


def train_packed(job: TrainingJob, objective: Objective) -> TrainingFacts:
    """Train a method that is a loss on given answers.

    General instructions among the records are learnt by plain likelihood, a token's mean. A step
    that is computed in parts (`micro_batch`, or several processes) has the loss and the gradient of
    the whole step.

    Raises
    ------
    SuffrageError
        The records are not a multiple of micro_batch, or as `run_trainer`.
    """
    transformers = require("transformers", "align", "training")
    model, tokenizer = prepare(job)
    prompts, rule = Prompts.of(tokenizer), packing_rule(model)
    rows: list[RecordRow] = [
        {**row, "place": place} for place, row in enumerate(job.records.frame.to_dicts())
    ]
    micro_batch = job.options.micro_batch_size()
    if job.options.micro_batch and len(rows) % micro_batch:
        raise SuffrageError(f"{len(rows)} records are not a multiple of {micro_batch}.")
    mean_length = _mean_length(prompts, without_general(rows), objective)
    parts = StepParts(
        prompts, rule, objective, rows, job.options.batch, micro_batch, [], mean_length
    )

    def make(callbacks: list[Any]) -> Any:
        trainer = _step_trainer(transformers.Trainer, parts, job.work / REFERENCE)(
            model=model,
            args=one_device(transformers.TrainingArguments(**trainer_settings(job))),
            data_collator=lambda part: {
                "part": part,
                "own": parts.own_answers(part),
                "general": parts.general_answers(part),
            },
            train_dataset=rows,
            processing_class=tokenizer,
            callbacks=callbacks,
        )
        trainer.model_accepts_loss_kwargs = False
        return trainer

    return run_trainer(job, make)


def _step_trainer(base: type[Any], parts: StepParts, reference: Path) -> type[Any]:
    """Transformers' trainer with the loss of a step's parts; `reference` keeps the reference."""

    class StepTrainer(base):  # type: ignore[misc]
        _parts = parts
        # The step that `_shared` is of, and what its records share.
        _shared_step = -1
        _shared = None

        def compute_loss(self, model: Any, inputs: dict[str, Any], **_: Any) -> Any:
            # Only here is the model where the trainer puts it, perhaps in shards over processes.
            if parts.objective.needs_reference and not self._parts.reference:
                found = _reference(reference, model, parts, self.state.global_step)
                self._parts = replace(parts, reference=found)
            missing = self._passes_missing(inputs)
            loss = self._parts.loss(model, inputs, self._shared_in_step(model, inputs["part"]))
            return loss + empty_passes(model, missing)

        def _shared_in_step(self, model: Any, part: Sequence[RecordRow]) -> torch.Tensor | None:
            """What the step's records share; None where the part finds it by itself."""
            if parts.objective.shared is None or len(part) == len(parts.step_of(part)):
                return None
            if self._shared_step != self.state.global_step:
                self._shared_step = self.state.global_step
                self._shared = self._parts.shared(model, part)
            return self._shared

        def _passes_missing(self, inputs: dict[str, Any]) -> int:
            """Passes that another process makes more; counts the tokens read by all of them."""
            given: list[PackedAnswers] = [
                inputs[name] for name in ("own", "general") if inputs[name]
            ]
            tokens, passes = sum(one.tokens for one in given), sum(one.passes for one in given)
            found = gathered([float(tokens), float(passes)])
            self.state.num_input_tokens_seen += int(found[:, 0].sum())
            return int(found[:, 1].max()) - passes

    return StepTrainer


def _mean_length(prompts: Prompts, rows: list[RecordRow], objective: Objective) -> float:
    lengths = [
        len(tokens)
        for row, some in zip(rows, objective.answers(rows), strict=True)
        for answer in some
        for tokens in prompts.spellings(answer, row["format"])
    ]
    return sum(lengths) / len(lengths)


def _padded(values: list[float], width: int) -> list[float]:
    return values + [ABSENT] * (width - len(values))


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
        for part, given in parts.read_in_turn(model, parts.parts_of(parts.rows)):
            values = answer_log_probs(model, given).cpu().tolist()
            lengths = [
                given.lengths[k : k + given.width]
                for k in range(0, len(given.lengths), given.width)
            ]
            for row, line, present in zip(without_general(part), values, lengths, strict=True):
                own.append((row["place"], line[: sum(length > 0 for length in present)]))
    found: list[list[float]] = [[] for _ in parts.rows]
    for place, line in gathered_lists(own):
        found[place] = line
    if process_rank() == 0:
        storage.write_json(kept, found)
    return found
