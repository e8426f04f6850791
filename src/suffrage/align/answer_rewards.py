"""What a sampled answer is worth: a preference model's score, and its proportional correction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from suffrage.align.packed import Prompts, answer_log_probs, pack_answers
from suffrage.align.ppo import Reward
from suffrage.align.preference_model import PreferenceModel
from suffrage.models.packing import Tokens
from suffrage.models.packing_rule import packing_rule
from suffrage.training_data.records import RecordRow

if TYPE_CHECKING:
    import torch


def answer_reward(preference: PreferenceModel, tokenizer: Any) -> Reward:
    """A reward that is the preference model's score of each answer.

    An answer that is empty, or none of the labels that its question shows, gets the lowest score of
    its batch less 1.
    """

    def reward(rows: Sequence[RecordRow], answers: Sequence[Tokens]) -> torch.Tensor:
        import torch

        texts = answer_texts(tokenizer, answers)
        fits = [
            bool(text) and (row["format"] != "option" or text in known_labels(row))
            for row, text in zip(rows, texts, strict=True)
        ]
        kept = [place for place, fit in enumerate(fits) if fit]
        scores = torch.zeros(len(rows))
        if kept:
            found = preference.scores([rows[p] for p in kept], [[texts[p]] for p in kept])
            scores[kept] = found.float().cpu()
            scores[[p for p, fit in enumerate(fits) if not fit]] = float(scores[kept].min()) - 1
        return scores

    return reward


def label_corrections(
    model: Any, prompts: Prompts, rows: Sequence[RecordRow]
) -> dict[str, dict[str, float]]:
    """What must be added to a label's reward to make the reference even over the labels.

    For each question and each of the k labels it shows: log(m / k) - log p(label), where p is the
    model's probability of the label in all its spellings, and m their sum over the labels.
    """
    import torch

    rule = packing_rule(model)
    known: dict[str, dict[str, float]] = {}
    with torch.no_grad():
        for row in rows:
            if row["user"] in known:
                continue
            labels = sorted(known_labels(row))
            given = pack_answers(prompts, rule, [row], [labels])
            log_p = answer_log_probs(model, given)[0]
            even = log_p.logsumexp(0) - math.log(len(labels))
            known[row["user"]] = dict(zip(labels, (even - log_p).tolist(), strict=True))
    return known


def toward_even_labels(
    reward: Reward, corrections: Mapping[str, Mapping[str, float]], tokenizer: Any
) -> Reward:
    """A reward under which a KL penalty of weight 1 is paid to a reference with even labels.

    score - [log pi - log p] + [log even - log p] = score - [log pi - log even]. What is no label
    keeps its probability in the reference.

    Parameters
    ----------
    reward : Reward
        Scores answers under the reference p.
    corrections : mapping
        See `label_corrections`.
    tokenizer : PreTrainedTokenizer
        Reads sampled answers back as text.
    """

    def corrected(rows: Sequence[RecordRow], answers: Sequence[Tokens]) -> torch.Tensor:
        import torch

        texts = answer_texts(tokenizer, answers)
        more = [
            corrections[row["user"]].get(text, 0.0) for row, text in zip(rows, texts, strict=True)
        ]
        scores = reward(rows, answers)
        return scores + torch.tensor(more).to(scores)

    return corrected


def answer_texts(tokenizer: Any, answers: Sequence[Tokens]) -> list[str]:
    """Sampled answers as text, without their end token and the blanks around them."""
    return [tokenizer.decode(list(a), skip_special_tokens=True).strip() for a in answers]


def known_labels(row: RecordRow) -> set[str]:
    r"""The labels that a question shows: what is before the full stop at the start of its lines.

    Examples
    --------
    >>> sorted(known_labels({"user": "Do you?\n\nA. Yes\nB. No\n\nAnswer with a letter."}))
    ['A', 'B']
    """
    lines = [line.split(". ", 1) for line in str(row["user"]).split("\n")]
    return {line[0] for line in lines if len(line) == 2 and len(line[0]) == 1}
