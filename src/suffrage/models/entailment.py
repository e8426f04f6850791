"""`EntailmentModel`: a sequence classifier that says how surely one text follows from another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.errors import InputError, require
from suffrage.models import bundled
from suffrage.models.device import device_name
from suffrage.models.identity import ModelIdentity
from suffrage.models.loading import loading_source

# How the field's models spell "follows"; case does not matter.
ENTAILMENT = ("entailment", "entail", "entails", "entailed")
BATCH = 16


@dataclass
class EntailmentModel:
    """A model of natural language inference with its tokenizer."""

    identity: ModelIdentity
    model: Any
    tokenizer: Any
    # The place of "entailment" among the model's labels.
    label: int
    device: str

    @classmethod
    def load(cls, identity: ModelIdentity) -> EntailmentModel:
        """Load a folder or hub id, in float32.

        Raises
        ------
        InputError
            There is no trained classifier, or its config does not name exactly one label for
            entailment.
        """
        require("torch", "align", "loading a model")
        transformers = require("transformers", "align", "loading a model")
        bundled.quieten(transformers)
        source, given = loading_source(identity)
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, **given)
            model, found = transformers.AutoModelForSequenceClassification.from_pretrained(
                source, output_loading_info=True, **given
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            line = str(error).strip().split("\n")[0][:200]
            raise InputError(
                f"model: {identity.name} could not be loaded as a sequence classifier ({line}). "
                "Check the name or folder; a hub id needs the network, or HF_HOME with the model "
                "in it."
            ) from error
        absent = sorted(found["missing_keys"])
        if absent:
            # Transformers would draw such weights at random and only warn.
            raise InputError(
                f"model: {identity.name} is not a trained sequence classifier: its files lack "
                f"{', '.join(absent[:3])}; name a model of natural language inference."
            )
        label = entailment_label(model.config.id2label, identity.name)
        device = device_name()
        return cls(identity, model.to(device).eval(), tokenizer, label, device)

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        """The probability that each hypothesis follows from its premise.

        A premise too long for the model loses its end; a hypothesis loses nothing.

        Parameters
        ----------
        pairs : sequence of (str, str)
            Premises with their hypotheses.

        Returns
        -------
        array, shape (pairs,)
            0 to 1.
        """
        import torch

        found: list[float] = []
        # Without a padding token, a batch cannot hold texts of different lengths.
        size = 1 if self.tokenizer.pad_token_id is None else BATCH
        with torch.inference_mode():
            for start in range(0, len(pairs), size):
                premises, hypotheses = zip(*pairs[start : start + size], strict=True)
                given = self.tokenizer(
                    list(premises),
                    list(hypotheses),
                    truncation="only_first",
                    max_length=self._longest(),
                    padding=size > 1,
                    return_tensors="pt",
                ).to(self.device)
                logits = self.model(**given).logits.cpu().double()
                found += logits.softmax(-1)[:, self.label].tolist()
        return np.array(found, dtype=np.float64)

    def _longest(self) -> int:
        """How many tokens the model can read. Tokenizers without a limit give an absurd number."""
        limits = [self.tokenizer.model_max_length]
        limits.append(getattr(self.model.config, "max_position_embeddings", None) or limits[0])
        return int(min(*limits, 1 << 16))


def entailment_label(id2label: Mapping[int, str], name: str) -> int:
    """The place of the one label that means entailment.

    Raises
    ------
    InputError
        No label, or more than one, means entailment.

    Examples
    --------
    >>> entailment_label({0: "contradiction", 1: "ENTAILMENT", 2: "neutral"}, "a model")
    1
    """
    places = [k for k, label in id2label.items() if label.strip().lower() in ENTAILMENT]
    if len(places) != 1 or len(id2label) < 2:
        listed = ", ".join(label for _, label in sorted(id2label.items()))
        raise InputError(
            f'model: {name}: its config.json has the labels {listed}, not one "entailment" among '
            "others; set id2label there, or name a model of natural language inference."
        )
    return int(places[0])
