"""What a model in a folder says to an item: the check of what a training has moved."""

from pathlib import Path

import numpy as np

from suffrage.models import LanguageModel, Question, identify
from suffrage.models.packing import ScoreRequest
from suffrage.survey import Item


def option_shares(folder: Path, item: Item) -> tuple[np.ndarray, float]:
    """The options' probabilities, letters from top to bottom, and their sum unscaled."""
    model = LanguageModel.load(identify(str(folder), Path()))
    k = len(item.options)
    question = Question(item, "people in the north", tuple(range(k)), tuple("ABCDE"[:k]))
    tokens = tuple(model.label_tokens(label)[:1] for label in question.labels)
    (logs,) = model.score([ScoreRequest(model.encode(question.messages), tokens)])
    p = np.exp(np.concatenate(logs))
    return p / p.sum(), float(p.sum())
