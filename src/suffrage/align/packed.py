"""Training on the log-probabilities of given answers: a batch is one packed forward pass.

The beginning that several questions share, and a question that several answers share, is computed
once. A method says which answers of a record it needs, and what the loss on them is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from suffrage import storage
from suffrage.align.method import TrainingFacts, TrainingJob
from suffrage.align.training import prepare, run_trainer, trainer_settings
from suffrage.errors import SuffrageError, require
from suffrage.models.device import device_name, out_of_memory
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
    # Tokens of an answer, in the mean over all records of the training.
    mean_length: float = 1.0

    def column(self, name: str) -> torch.Tensor:
        """A number of each record as a tensor (records,)."""
        import torch

        return torch.tensor([float(row[name]) for row in self.rows]).to(self.log_probs)


@dataclass(frozen=True)
class Objective:
    """What a method needs of each batch."""

    # For each record of a batch, the answers whose log-probabilities are wanted.
    answers: Callable[[Sequence[RecordRow]], list[list[str]]]
    # The loss of a batch, a scalar tensor.
    loss: Callable[[AnswerBatch], torch.Tensor]
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


def train_packed(job: TrainingJob, objective: Objective) -> TrainingFacts:
    """Train a method that is a loss on given answers.

    General instructions among the records are learnt by plain likelihood, a token's mean.

    Raises
    ------
    SuffrageError
        The records are not a multiple of micro_batch, or as `run_trainer`.
    """
    transformers = require("transformers", "align", "training")
    torch = require("torch", "align", "training")
    model, tokenizer = prepare(job)
    prompts, rule = Prompts.of(tokenizer), packing_rule(model)
    rows: list[RecordRow] = [
        {**row, "place": place} for place, row in enumerate(job.records.frame.to_dicts())
    ]
    micro_batch = job.options.micro_batch_size()
    if job.options.micro_batch and len(rows) % micro_batch:
        raise SuffrageError(f"{len(rows)} records are not a multiple of {micro_batch}.")
    reference: list[list[float]] = []
    if objective.needs_reference:
        reference = _reference(job, model, prompts, rule, rows, objective, micro_batch)

    mean_length = _mean_length(
        prompts, [row for row in rows if row["format"] != GENERAL], objective
    )

    def collate(batch: list[RecordRow]) -> dict[str, Any]:
        own = [row for row in batch if row["format"] != GENERAL]
        general = [row for row in batch if row["format"] == GENERAL]
        found: dict[str, Any] = {"own": None, "general": None}
        if own:
            found["own"] = (own, pack_answers(prompts, rule, own, objective.answers(own)))
        if general:
            said = [[row["completion"]] for row in general]
            found["general"] = (general, pack_answers(prompts, rule, general, said))
        return found

    class Trainer(transformers.Trainer):  # type: ignore[misc,name-defined]
        def _count(self, tokens: int) -> None:
            """Adds to the tokens read, over all processes."""
            own = torch.tensor(tokens, device=self.args.device)
            whole = self.accelerator.reduce(own) if self.args.world_size > 1 else own
            self.state.num_input_tokens_seen += int(whole)

        def compute_loss(self, model: Any, inputs: dict[str, Any], **_: Any) -> Any:
            loss, whole = 0.0, sum(len(part[0]) for part in inputs.values() if part)
            if inputs["own"]:
                own, given = inputs["own"]
                self._count(given.tokens)
                log_probs = answer_log_probs(model, given)
                before = None
                if objective.needs_reference:
                    values = [_padded(reference[row["place"]], given.width) for row in own]
                    before = torch.tensor(values).to(log_probs)
                lengths = torch.tensor(given.lengths).view(given.count, given.width)
                batch = AnswerBatch(log_probs, before, lengths.to(log_probs), own, mean_length)
                loss = objective.loss(batch) * len(own) / whole
            if inputs["general"]:
                general, given = inputs["general"]
                self._count(given.tokens)
                values = answer_log_probs(model, given)[:, 0]
                count = torch.tensor(given.lengths).to(values)
                loss = loss - (values / count).mean() * len(general) / whole
            return loss

    def make(callbacks: list[Any]) -> Any:
        trainer = Trainer(
            model=model,
            args=transformers.TrainingArguments(**trainer_settings(job)),
            data_collator=collate,
            train_dataset=rows,
            processing_class=tokenizer,
            callbacks=callbacks,
        )
        trainer.model_accepts_loss_kwargs = False
        return trainer

    return run_trainer(job, make)


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


def _reference(
    job: TrainingJob,
    model: Any,
    prompts: Prompts,
    rule: PackingRule,
    rows: list[RecordRow],
    objective: Objective,
    micro_batch: int,
) -> list[list[float]]:
    """The starting model's log-probabilities of every record's answers, computed once and kept.

    Batches are those of training, because what a method asks of a record may depend on its batch.
    """
    torch = require("torch", "align", "training")
    kept = job.work / REFERENCE
    if kept.exists():
        return list(storage.read_json(kept))
    job.work.mkdir(parents=True, exist_ok=True)
    found: list[list[float]] = [[] for _ in rows]
    if not getattr(model, "is_loaded_in_4bit", False):  # which is on its GPU already
        model = model.to(device_name())
    with torch.inference_mode(), out_of_memory("scoring", "micro_batch: 1"):
        for start in range(0, len(rows), micro_batch):
            batch = [r for r in rows[start : start + micro_batch] if r["format"] != GENERAL]
            if not batch:
                continue
            answers = objective.answers(batch)
            given = pack_answers(prompts, rule, batch, answers)
            values = answer_log_probs(model, given).cpu().tolist()
            for row, line, some in zip(batch, values, answers, strict=True):
                found[row["place"]] = line[: len(some)]
    storage.write_json(kept, found)
    return found
