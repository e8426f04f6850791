"""A preference model: a score for an answer, such that differences of scores are people's odds.

Bradley and Terry (1952) with soft labels: of two answers the model says the first is preferred
with probability sigma(r_w - r_l); its label is the share of people behind it. The score is a linear
head on the last token of the answer (Ouyang et al. 2022, equation 1, has hard labels).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from suffrage import storage
from suffrage.align.loop import Loop, saving_memory, trainable
from suffrage.align.method import TrainingFacts, TrainingJob
from suffrage.align.packed import Prompts, check_record_weights
from suffrage.align.training import OUT_OF_MEMORY_REMEDY, prepare, training_dtype
from suffrage.arrays import FloatArray
from suffrage.errors import InputError, SuffrageError, require
from suffrage.models import ModelIdentity, identify_trained
from suffrage.models.device import device_name, out_of_memory
from suffrage.models.loading import load_weights
from suffrage.models.packing import ScoreRequest
from suffrage.models.packing_rule import PackingRule, pack_states, packing_rule
from suffrage.models.placement import input_device, place_model
from suffrage.training_data.general import GENERAL
from suffrage.training_data.records import RecordRow

if TYPE_CHECKING:
    import torch

HELD_OUT = 0.2
RELIABILITY_BINS = 5
# Any token may follow an answer's last one: it only marks where the state of the answer is.
AFTER = 0
HEAD = "head.safetensors"


def bradley_terry_loss(
    chosen: torch.Tensor, rejected: torch.Tensor, share: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of people's preferences under the model's, a pair.

    -s log sigma(r_w - r_l) - (1 - s) log sigma(r_l - r_w)

    Parameters
    ----------
    chosen, rejected : tensor, shape (pairs,)
        The scores r_w and r_l of the two answers.
    share : tensor, shape (pairs,)
        s, the share of people behind the chosen answer, 0 to 1.

    Returns
    -------
    tensor, shape (pairs,)
        0 or more; least where sigma(r_w - r_l) = s.

    References
    ----------
    Bradley and Terry (1952); Ouyang et al. (2022), equation 1, has hard labels.

    Examples
    --------
    >>> import torch
    >>> score = torch.zeros(1)
    >>> bradley_terry_loss(score, score, torch.tensor([0.5])).tolist()
    [0.6931471824645996]
    """
    from torch.nn.functional import logsigmoid

    gap = chosen - rejected
    return -share * logsigmoid(gap) - (1 - share) * logsigmoid(-gap)


@dataclass
class PreferenceModel:
    """A language model with a scalar head on the last token of an answer."""

    model: Any
    prompts: Prompts
    # A linear layer from the model's width to one number, in float32.
    head: Any
    # How the model may be read.
    rule: PackingRule
    # What its training took; None for a model that was loaded.
    facts: TrainingFacts | None = None
    # Tokens that `scores` has read, over all calls.
    tokens_read: int = 0

    @classmethod
    def load(cls, folder: Path, base: ModelIdentity, dtype: str = "float32") -> PreferenceModel:
        """Read a preference model that `save` wrote.

        Parameters
        ----------
        folder : Path
            The adapter or whole model, with the head.
        base : ModelIdentity
            The model that the adapter was trained on.
        dtype : str
            Of the model's weights. The head is always float32.

        Raises
        ------
        InputError
            The folder holds no preference model, or one of another width.
        """
        torch = require("torch", "align", "a preference model")
        safetensors = require("safetensors.torch", "align", "a preference model")
        if not (folder / HEAD).is_file():
            raise InputError(f"{folder}: no preference model here (a {HEAD} is missing).")
        adapter = (folder / "adapter_config.json").is_file()
        source = base if adapter else identify_trained(folder, base)
        model, tokenizer = load_weights(source, dtype)
        weights = safetensors.load_file(folder / HEAD)
        width = weights["weight"].shape[1]
        if width != model.config.hidden_size:
            raise InputError(
                f"{folder}: this preference model's head reads {width} numbers, and "
                f"{base.name} gives {model.config.hidden_size}; name the model it was trained on."
            )
        if adapter:
            peft = require("peft", "align", "a preference model")
            model = peft.PeftModel.from_pretrained(model, folder)
        head = torch.nn.Linear(width, 1)
        head.load_state_dict(weights)
        model = place_model(model).eval()
        head = head.to(input_device(model))
        return cls(model, Prompts.of(tokenizer), head, packing_rule(model))

    def save(self, folder: Path) -> None:
        """Write the adapter (or whole model) as PEFT or Transformers do, with the head."""
        safetensors = require("safetensors.torch", "align", "a preference model")

        def fill(draft: Path) -> None:
            self.model.save_pretrained(draft)
            self.prompts.tokenizer.save_pretrained(draft)
            weights = {name: value.cpu() for name, value in self.head.state_dict().items()}
            safetensors.save_file(weights, draft / HEAD)

        storage.write_folder(folder, fill)

    def score(
        self, users: Sequence[str], answers: Sequence[str], formats: Sequence[str]
    ) -> list[float]:
        """Score one answer to each question.

        The sigmoid of the difference between two answers' scores is the share of people who prefer
        the first.

        Parameters
        ----------
        users : sequence of str
            The questions.
        answers : sequence of str
            One answer to each question.
        formats : sequence of str
            "option" or "written" for each, as in records.

        Returns
        -------
        list of float
            One score an answer.
        """
        import torch

        rows = [{"user": u, "format": f} for u, f in zip(users, formats, strict=True)]
        if not rows:
            return []
        with torch.inference_mode(), out_of_memory("scoring answers", "fewer answers at a time"):
            found = self.scores(rows, [[answer] for answer in answers])
        return [float(value) for value in found.cpu()]

    def scores(self, rows: Sequence[RecordRow], answers: Sequence[Sequence[str]]) -> torch.Tensor:
        """(all answers,) scores, the answers of each row in turn; differentiable."""
        import torch

        requests = []
        for row, some in zip(rows, answers, strict=True):
            prompt = self.prompts.prompt(row["user"])
            spelled = [self.prompts.spellings(answer, row["format"])[0] for answer in some]
            requests.append(ScoreRequest(prompt, tuple((*tokens, AFTER) for tokens in spelled)))
        states: dict[tuple[int, int], torch.Tensor] = {}
        for pack in self.rule.rows(requests, device_name()):
            last: dict[tuple[int, int], int] = {}
            for node, owner in zip(pack.query_nodes, pack.owners, strict=True):
                last[owner] = node
            self.tokens_read += len(pack.tokens)
            hidden = pack_states(self.model, pack, self.rule)
            for owner, node in last.items():
                states[owner] = hidden[node]
        ordered = [states[i, k] for i, some in enumerate(answers) for k in range(len(some))]
        return torch.as_tensor(self.head(torch.stack(ordered).float())[:, 0])


def train_preference_model(
    job: TrainingJob, folder: Path, steps: int, on_step: Callable[[int, int], None]
) -> tuple[PreferenceModel, dict[str, Any]]:
    """Train on the job's preference records, except for a fifth of the items, which test it.

    Continues where an earlier try stopped. A step's records are computed `micro_batch` at a time.

    Parameters
    ----------
    job : TrainingJob
        Its records are preference records; general instructions among them are left out.
    folder : Path
        Where the training keeps its state and its report.
    steps : int
        How many steps of `batch` records.
    on_step : callable
        Called with the step and the number of steps.

    Returns
    -------
    PreferenceModel
        With the facts of its training.
    dict
        Its report on the held-out items: `agreement`, the number of pairs, the steps and how many
        items it was trained on. The figures are None where there are too few items.

    Raises
    ------
    InputError
        The weights of a step's records are all 0.
    SuffrageError
        There is no item to learn from, or the loss is not a number.
    """
    torch = require("torch", "align", "training")
    rows = [r for r in job.records.frame.to_dicts() if r["format"] != GENERAL]
    tested = held_out_items([row["item"] for row in rows], job.seed)
    learnt = [row for row in rows if row["item"] not in tested]
    if not learnt:
        raise SuffrageError("the preference model needs pairs of more than one item.")
    batch = job.options.batch
    in_turn = _in_turn(learnt, batch, steps)
    found = _untrained(job)
    parameters = [*trainable(found.model).values(), *found.head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=job.options.learning_rate, weight_decay=0.0)
    loop = Loop(folder, found.model, {"head": found.head, "optimizer": optimizer}, job.seed)
    found.tokens_read = loop.extra.get("tokens", 0)
    with out_of_memory("training the preference model", OUT_OF_MEMORY_REMEDY):
        while loop.step < steps:
            chosen = in_turn[loop.step]
            optimizer.zero_grad()
            loss = _backward(found, chosen, job.options.micro_batch or batch)
            norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            if not (math.isfinite(loss) and torch.isfinite(norm)):
                raise SuffrageError(
                    f"the preference model diverged at step {loop.step + 1}: the loss is {loss}, "
                    f"the norm of its gradient {float(norm)}. Try a tenth of the learning rate "
                    f"({job.options.learning_rate:g})."
                )
            optimizer.step()
            loop.step += 1
            loop.log.append({"step": loop.step, "loss": loss})
            loop.extra["tokens"] = found.tokens_read
            on_step(loop.step, steps)
            if loop.step % job.options.save_every == 0 or loop.step == steps:
                loop.save()
    found.facts = TrainingFacts(
        steps=steps,
        examples=len(learnt),
        tokens=found.tokens_read,
        dtype=training_dtype(job.options),
        resumed_from=loop.resumed_from,
        seconds_before=loop.seconds_before,
    )
    found.model.eval()
    report = held_out_agreement(found, [row for row in rows if row["item"] in tested])
    report |= {"steps": steps, "items_trained": len({r["item"] for r in learnt})}
    storage.write_json(folder / "preference_model.json", report)
    loop.write_log(folder / "preference_model.jsonl")
    return found, report


def _in_turn(rows: Sequence[RecordRow], batch: int, steps: int) -> list[list[RecordRow]]:
    """The records of each step, one after another and then again from the first."""
    found = [[rows[(step * batch + k) % len(rows)] for k in range(batch)] for step in range(steps)]
    for number, chosen in enumerate(found, 1):
        check_record_weights(chosen, f"step {number} of the preference model")
    return found


def _untrained(job: TrainingJob) -> PreferenceModel:
    """The job's model with a head that scores everything 0, on this machine's device."""
    torch = require("torch", "align", "training")
    model, tokenizer = prepare(job)
    device = device_name()
    model = saving_memory(model.to(device), job.options)
    torch.manual_seed(job.seed)
    head = torch.nn.Linear(model.config.hidden_size, 1).to(device)
    torch.nn.init.zeros_(head.weight)
    return PreferenceModel(model, Prompts.of(tokenizer), head, packing_rule(model))


def _backward(found: PreferenceModel, chosen: Sequence[RecordRow], micro_batch: int) -> float:
    """Add the gradient of the weighted mean loss over these records; the loss."""
    import torch

    weight = sum(float(row["weight"]) for row in chosen)
    loss = 0.0
    for begin in range(0, len(chosen), micro_batch):
        part = chosen[begin : begin + micro_batch]
        scores = found.scores(part, [[r["chosen"], r["rejected"]] for r in part])
        share = torch.tensor([float(r["share"]) for r in part], device=scores.device)
        each = bradley_terry_loss(scores[0::2], scores[1::2], share)
        weights = torch.tensor([float(r["weight"]) for r in part], device=scores.device)
        some = (weights * each).sum() / weight
        some.backward()
        loss += float(some.detach())
    return loss


def held_out_items(items: Sequence[str], seed: int) -> set[str]:
    """A fifth of the items, drawn; none when there are fewer than three."""
    different = sorted(set(items))
    if len(different) < 3:
        return set()
    generator = np.random.default_rng([seed, 11])
    count = max(1, round(HELD_OUT * len(different)))
    return {different[place] for place in generator.permutation(len(different))[:count]}


def held_out_agreement(found: PreferenceModel, rows: Sequence[RecordRow]) -> dict[str, Any]:
    """Accuracy and calibration on pairs it was not trained on."""
    import torch

    if not rows:
        return {"pairs": 0, "accuracy": None, "calibration_error": None, "reliability": []}
    with torch.inference_mode():
        scores = [
            found.scores([row], [[row["chosen"], row["rejected"]]]).cpu().numpy() for row in rows
        ]
    said = 1 / (1 + np.exp(-np.array([pair[0] - pair[1] for pair in scores])))
    share = np.array([row["share"] for row in rows])
    # Sides in random order, or every label would be above one half.
    flip = np.random.default_rng(len(rows)).random(len(rows)) < 0.5
    p, s = np.where(flip, 1 - said, said), np.where(flip, 1 - share, share)
    return {"pairs": len(rows), **agreement(p, s)}


def agreement(p: FloatArray, s: FloatArray) -> dict[str, Any]:
    """How well probabilities fit the shares of people.

    Parameters
    ----------
    p : array, shape (pairs,)
        The model's probability that the first answer is preferred.
    s : array, shape (pairs,)
        The share of people who prefer it.

    Returns
    -------
    dict
        accuracy: the share of pairs, ties left out, with p on the same side of 1/2 as s; None
        where all are ties. loss: mean cross-entropy. floor: the entropy of the labels, which no
        model's loss is below. calibration_error: the mean over bins of p of |mean p - mean s|,
        weighted by pairs. reliability: one row for each bin.

    Examples
    --------
    >>> found = agreement(np.array([0.9, 0.2]), np.array([0.8, 0.3]))
    >>> found["accuracy"], round(found["calibration_error"], 3)
    (1.0, 0.1)
    """
    clear = np.abs(s - 0.5) > 1e-9
    right = (p > 0.5) == (s > 0.5)
    eps = 1e-9

    def cross(q: FloatArray) -> float:
        q = np.clip(q, eps, 1 - eps)
        return float(-(s * np.log(q) + (1 - s) * np.log(1 - q)).mean())

    bins = np.minimum((p * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    table = [
        {
            "said": float(p[bins == k].mean()),
            "people": float(s[bins == k].mean()),
            "pairs": int((bins == k).sum()),
        }
        for k in range(RELIABILITY_BINS)
        if (bins == k).any()
    ]
    error = sum(row["pairs"] * abs(row["said"] - row["people"]) for row in table) / len(p)
    return {
        "accuracy": float(right[clear].mean()) if clear.any() else None,
        "loss": cross(p),
        "floor": cross(s),
        "calibration_error": float(error),
        "reliability": table,
    }
