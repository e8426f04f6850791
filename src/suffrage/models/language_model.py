"""`LanguageModel`: a Transformers model loaded, scored and sampled, whatever its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.models.answerer import Advance, LabelChoice
from suffrage.models.asking import Message
from suffrage.models.device import out_of_memory
from suffrage.models.drawing import draw_tokens, reads_padded
from suffrage.models.identity import ModelIdentity
from suffrage.models.loading import load_weights
from suffrage.models.packing import ScoreRequest, Tokens
from suffrage.models.packing_rule import PackingRule, pack_log_probs, packing_rule
from suffrage.models.placement import input_device, place_model
from suffrage.models.tokenizing import (
    answer_tokens,
    encode_text,
    encode_texts,
    end_tokens,
    label_tokens,
    own_prompt_style,
    prompt_text,
)


@dataclass
class LanguageModel:
    """A causal language model with its tokenizer, ready to be asked; an `Answerer`.

    Chats are written with the tokenizer's chat template. Without one, the messages are written as
    text ending in "Answer:". Not thread-safe.
    """

    identity: ModelIdentity
    # Transformers' model and tokenizer.
    model: Any
    tokenizer: Any
    # Of the weights, such as "float32".
    dtype: str
    # "cuda", "mps" or "cpu".
    device: str
    # How it may be read, and whether padded prompts are read exactly; None until it was tried.
    _rule: PackingRule | None = field(default=None, repr=False)
    _pads: bool | None = field(default=None, repr=False)
    # The tokens of each label that was asked for.
    _labels: dict[str, Tokens] = field(default_factory=dict, repr=False)

    @classmethod
    def load(
        cls, identity: ModelIdentity, dtype: str = "float32", adapter: Path | None = None
    ) -> LanguageModel:
        """Load a model for scoring and sampling, onto the GPU where there is one.

        A model that is larger than one GPU goes over all of them, and what fits on none stays in
        memory.

        Parameters
        ----------
        identity : ModelIdentity
            See `identify`.
        dtype : str
            Of the weights: "float32", "bfloat16" or "float16".
        adapter : Path, optional
            A PEFT adapter, which is merged into the weights.

        Raises
        ------
        InputError
            The source is not a causal language model, or cannot be reached.
        """
        model, tokenizer = load_weights(identity, dtype, placed=True)
        if adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
        model = place_model(model).eval()
        return cls(identity, model, tokenizer, dtype, input_device(model).type)

    def prompt_text(self, messages: Sequence[Message]) -> str:
        """The exact text that the model reads, up to where its answer begins."""
        return prompt_text(self.tokenizer, messages)

    @property
    def prompt_style(self) -> str | None:
        """See `own_prompt_style`."""
        return own_prompt_style(self.tokenizer)

    def encode(self, messages: Sequence[Message]) -> Tokens:
        """A chat as token ids."""
        return encode_text(self.tokenizer, self.prompt_text(messages))

    def encode_all(self, chats: Sequence[Sequence[Message]]) -> list[Tokens]:
        """Several chats as token ids."""
        return encode_texts(self.tokenizer, [self.prompt_text(chat) for chat in chats])

    def answer_tokens(self, answer: str) -> Tokens:
        """A whole answer as it would follow the prompt, end of turn included."""
        return answer_tokens(self.tokenizer, answer)

    def label_tokens(self, label: str) -> Tokens:
        """Every single token that means this label where an answer begins."""
        if label not in self._labels:
            self._labels[label] = label_tokens(self.tokenizer, label)
        return self._labels[label]

    @property
    def reads_texts(self) -> bool:
        """True: a model loaded here reads any text."""
        return True

    @property
    def rule(self) -> PackingRule:
        """How the model may be read; tried when it is asked first."""
        if self._rule is None:
            self._rule = packing_rule(self.model, learning=False)
        return self._rule

    @property
    def pads(self) -> bool:
        """Whether prompts padded on the left are read exactly; tried when it is asked first."""
        if self._pads is None:
            self._pads = reads_padded(self.model)
        return self._pads

    @property
    def end_tokens(self) -> frozenset[int]:
        """The tokens that end an answer."""
        return end_tokens(self.tokenizer, getattr(self.model, "generation_config", None))

    def choose(
        self, choices: Sequence[LabelChoice], advance: Advance | None = None
    ) -> list[FloatArray]:
        """See `Answerer.choose`; a label's probability is the sum over its tokens."""
        labels = [[self.label_tokens(label) for label in choice.labels] for choice in choices]
        prompts = self.encode_all([choice.messages for choice in choices])
        requests = [
            ScoreRequest(prompt, tuple((token,) for variants in known for token in variants))
            for prompt, known in zip(prompts, labels, strict=True)
        ]
        found = []
        for known, logs in zip(labels, self.score(requests, advance), strict=True):
            probabilities = np.exp([float(log[0]) for log in logs])
            parts = np.split(probabilities, np.cumsum([len(variants) for variants in known])[:-1])
            found.append(np.array([part.sum() for part in parts]))
        return found

    def text_log_probs(
        self,
        chats: Sequence[Sequence[Message]],
        texts: Sequence[Sequence[str]],
        advance: Advance | None = None,
    ) -> list[list[FloatArray]]:
        """See `Answerer.text_log_probs`."""
        requests = [
            ScoreRequest(prompt, tuple(self.answer_tokens(text) for text in some))
            for prompt, some in zip(self.encode_all(chats), texts, strict=True)
        ]
        return self.score(requests, advance)

    def write(
        self, chats: Sequence[Sequence[Message]], count: int, longest: int, seed: int
    ) -> list[list[str]]:
        """See `Answerer.write`."""
        return self.sample([self.encode(chat) for chat in chats], count, longest, seed)

    def score(
        self, requests: Sequence[ScoreRequest], advance: Advance | None = None
    ) -> list[list[FloatArray]]:
        """The log-probability of every token of every continuation, in float32.

        Parameters
        ----------
        requests : sequence of ScoreRequest
        advance : callable, optional
            Called with the number of requests that are done, for progress.

        Returns
        -------
        list of list of array, shape (tokens,)
            One array a continuation of a request.
        """
        import torch

        results: list[list[list[float]]] = [[[] for _ in r.continuations] for r in requests]
        seen: set[int] = set()
        with torch.inference_mode(), out_of_memory("scoring", "scoring.dtype: bfloat16"):
            for pack in self.rule.rows(requests, self.device):
                values = pack_log_probs(self.model, pack, self.rule).float().cpu().tolist()
                for (index, which), value in zip(pack.owners, values, strict=True):
                    results[index][which].append(value)
                new = {index for index, _ in pack.owners} - seen
                seen |= new
                if advance:
                    advance(len(new))
        return [[np.array(continuation) for continuation in request] for request in results]

    def sample(
        self, prompts: Sequence[Tokens], count: int, longest: int, seed: int, rows: int = 128
    ) -> list[list[str]]:
        """Answers to each prompt, drawn at temperature 1 from the whole distribution.

        A prompt is read once for all its answers. The same seed gives the same answers on the same
        machine.

        Parameters
        ----------
        prompts : sequence of tokens
        count : int
            How many answers to each prompt.
        longest : int
            The most tokens of an answer.
        seed : int
        rows : int
            How many answers are drawn at a time.

        Returns
        -------
        list of list of str
            `count` answers a prompt.
        """
        import torch

        answers: list[list[str]] = [[] for _ in prompts]
        generator = torch.Generator(self.device).manual_seed(seed)
        order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), index))
        at_once = max(1, rows // count)
        with torch.inference_mode(), out_of_memory("sampling", "scoring.samples: 0"):
            for start in range(0, len(order), at_once):
                chunk = order[start : start + at_once]
                drawn = draw_tokens(
                    self.model,
                    [prompts[index] for index in chunk],
                    count,
                    longest,
                    self.end_tokens,
                    generator,
                    self.pads,
                )
                texts = self.tokenizer.batch_decode(
                    [[t for t in answer if t not in self.end_tokens] for answer in drawn],
                    skip_special_tokens=True,
                )
                for place, index in enumerate(chunk):
                    answers[index] = texts[place * count : (place + 1) * count]
        return answers

    def sample_tokens(self, prompts: Sequence[Tokens], longest: int, seed: int) -> list[Tokens]:
        """One answer to each prompt as token ids, drawn at temperature 1.

        An answer has at least one token and at most `longest`, and its end token where it ended.
        """
        import torch

        generator = torch.Generator(self.device).manual_seed(seed)
        with torch.inference_mode(), out_of_memory("sampling", "fewer prompts at a time"):
            return draw_tokens(
                self.model, prompts, 1, longest, self.end_tokens, generator, self.pads
            )

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Each text as one vector: the mean over its tokens of the last layer's states.

        Returns
        -------
        array, shape (texts, width)
        """
        import torch

        found = []
        with torch.inference_mode():
            for text in texts:
                ids = self.tokenizer(text, return_tensors="pt")["input_ids"].to(self.device)
                states = self.model(input_ids=ids, output_hidden_states=True, use_cache=False)
                found.append(states.hidden_states[-1][0].float().mean(0).cpu().numpy())
        return np.array(found, dtype=np.float64)
