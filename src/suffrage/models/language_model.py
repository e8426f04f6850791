"""`LanguageModel`: a Transformers model loaded, scored and sampled, whatever its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.models.answerer import Advance, LabelChoice
from suffrage.models.asking import Message
from suffrage.models.device import device_name, out_of_memory
from suffrage.models.identity import ModelIdentity
from suffrage.models.loading import load_weights
from suffrage.models.packing import ScoreRequest, Tokens
from suffrage.models.packing_rule import PackingRule, pack_log_probs, packing_rule
from suffrage.models.tokenizing import answer_tokens, encode_text, label_tokens, prompt_text

if TYPE_CHECKING:
    import torch


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
    # "cuda" or "cpu".
    device: str
    # How it may be read; None until it was tried.
    _rule: PackingRule | None = field(default=None, repr=False)

    @classmethod
    def load(
        cls, identity: ModelIdentity, dtype: str = "float32", adapter: Path | None = None
    ) -> LanguageModel:
        """Load a model for scoring and sampling, onto the GPU where there is one.

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
        model, tokenizer = load_weights(identity, dtype)
        if adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
        device = device_name()
        return cls(identity, model.to(device).eval(), tokenizer, dtype, device)

    def prompt_text(self, messages: Sequence[Message]) -> str:
        """The exact text that the model reads, up to where its answer begins."""
        return prompt_text(self.tokenizer, messages)

    def encode(self, messages: Sequence[Message]) -> Tokens:
        """A chat as token ids."""
        return encode_text(self.tokenizer, self.prompt_text(messages))

    def answer_tokens(self, answer: str) -> Tokens:
        """A whole answer as it would follow the prompt, end of turn included."""
        return answer_tokens(self.tokenizer, answer)

    def label_tokens(self, label: str) -> Tokens:
        """Every single token that means this label where an answer begins."""
        return label_tokens(self.tokenizer, label)

    @property
    def reads_texts(self) -> bool:
        """True: a model loaded here reads any text."""
        return True

    @property
    def rule(self) -> PackingRule:
        """How the model may be read; tried when it is asked first."""
        if self._rule is None:
            self._rule = packing_rule(self.model)
        return self._rule

    def choose(
        self, choices: Sequence[LabelChoice], advance: Advance | None = None
    ) -> list[FloatArray]:
        """See `Answerer.choose`; a label's probability is the sum over its tokens."""
        labels = [[self.label_tokens(label) for label in choice.labels] for choice in choices]
        requests = [
            ScoreRequest(
                self.encode(choice.messages),
                tuple((token,) for variants in known for token in variants),
            )
            for choice, known in zip(choices, labels, strict=True)
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
            ScoreRequest(self.encode(chat), tuple(self.answer_tokens(text) for text in some))
            for chat, some in zip(chats, texts, strict=True)
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
                drawn = self._draw([prompts[index] for index in chunk], count, longest, generator)
                texts = self.tokenizer.batch_decode(drawn, skip_special_tokens=True)
                for place, index in enumerate(chunk):
                    answers[index] = texts[place * count : (place + 1) * count]
        return answers

    def sample_tokens(self, prompts: Sequence[Tokens], longest: int, seed: int) -> list[Tokens]:
        """One answer to each prompt as token ids, drawn at temperature 1.

        An answer has at least one token and at most `longest`, and its end token where it ended.
        """
        import torch

        generator = torch.Generator(self.device).manual_seed(seed)
        end = self.tokenizer.eos_token_id
        with torch.inference_mode(), out_of_memory("sampling", "fewer prompts at a time"):
            drawn = self._draw(prompts, 1, longest, generator).cpu().tolist()
        answers = []
        for tokens in drawn:
            stop = tokens.index(end) + 1 if end in tokens else len(tokens)
            answers.append(tuple(tokens[:stop]))
        return answers

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

    def _draw(
        self, prompts: Sequence[Tokens], count: int, longest: int, generator: torch.Generator
    ) -> torch.Tensor:
        """Drawn tokens, (prompts x count, at most `longest`), with end tokens after the end."""
        import torch

        end = self.tokenizer.eos_token_id
        width = max(len(prompt) for prompt in prompts)
        ids = torch.zeros((len(prompts), width), dtype=torch.long)
        mask = torch.zeros((len(prompts), width), dtype=torch.long)
        for line, prompt in enumerate(prompts):
            ids[line, width - len(prompt) :] = torch.tensor(prompt)
            mask[line, width - len(prompt) :] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        places = (mask.cumsum(-1) - 1).clamp_min(0)
        read = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=places,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = read.past_key_values
        cache.batch_repeat_interleave(count)
        mask = mask.repeat_interleave(count, 0)
        place = places[:, -1:].repeat_interleave(count, 0)
        logits = read.logits[:, -1].repeat_interleave(count, 0)
        drawn: list[torch.Tensor] = []
        over = torch.zeros(len(logits), dtype=torch.bool, device=self.device)
        while True:
            token = torch.multinomial(logits.float().softmax(-1), 1, generator=generator)[:, 0]
            token = torch.where(over, end, token)
            drawn.append(token)
            over |= token == end
            if len(drawn) == longest or bool(over.all()):
                return torch.stack(drawn, dim=1)
            mask = torch.cat([mask, mask.new_ones((len(mask), 1))], dim=1)
            place = place + 1
            step = self.model(
                input_ids=token[:, None],
                attention_mask=mask,
                position_ids=place,
                past_key_values=cache,
                use_cache=True,
            )
            logits = step.logits[:, -1]
