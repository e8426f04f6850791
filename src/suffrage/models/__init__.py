"""Models: load, ask, score and sample them. Knows nothing of how they were trained."""

from suffrage.models.answerer import Answerer, LabelChoice
from suffrage.models.asking import (
    SENTENCES,
    Question,
    Ways,
    label_sets,
    open_question,
    option_orders,
    sentences,
    ways_of_asking,
)
from suffrage.models.entailment import EntailmentModel
from suffrage.models.identity import ModelIdentity, identify, identify_trained
from suffrage.models.language_model import LanguageModel
from suffrage.models.readouts import (
    ItemProbe,
    ModelAnswer,
    SharesPredictor,
    read_letters,
    read_sampled,
    read_sentences,
    read_text,
)

__all__ = [
    "SENTENCES",
    "Answerer",
    "EntailmentModel",
    "ItemProbe",
    "LabelChoice",
    "LanguageModel",
    "ModelAnswer",
    "ModelIdentity",
    "Question",
    "SharesPredictor",
    "Ways",
    "identify",
    "identify_trained",
    "label_sets",
    "open_question",
    "option_orders",
    "read_letters",
    "read_sampled",
    "read_sentences",
    "read_text",
    "sentences",
    "ways_of_asking",
]
