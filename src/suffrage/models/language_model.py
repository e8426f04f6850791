"""`LanguageModel`: a Transformers model loaded, scored and sampled, whatever its kind."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.errors import InputError, SuffrageError, require, require_installed
from suffrage.models import bundled
from suffrage.models.answerer import Advance, LabelChoice
from suffrage.models.asking import Message
from suffrage.models.packing import Pack, ScoreRequest, Tokens, packed
from suffrage.models.shape import ModelShape, folder_shape

if TYPE_CHECKING:
    import torch


# On a CPU attention costs the square of the row, the rest is linear: the fastest length for
# SmolLM2-135M lies near 512. A GPU wants more work at a time.
CPU_ROW_LENGTH = 512
GPU_ROW_LENGTH = 4096
# Packed and plain log-probabilities may differ by rounding; more means the model ignores the mask.
PACKING_TOLERANCE = {"float32": 1e-3, "bfloat16": 0.5, "float16": 0.1}


@dataclass(frozen=True)
class ModelIdentity:
    """What a model name in a study stands for, without loading it.

    source: a folder, a hub id or "bundled:NAME". content: hash of the weights (hub ids: the id).
    """

    name: str
    source: str
    content: str
    licence: str | None = None


def identify(name: str, folder: Path) -> ModelIdentity:
    """Resolve "bundled:NAME", a local path (relative to `folder`) or a hub id.

    Raises InputError when it is a path that holds no model, or no such bundled model.
    """
    require_installed("torch", "align", "loading a model")
    require_installed("transformers", "align", "loading a model")
    if name.startswith(bundled.PREFIX):
        short = name.removeprefix(bundled.PREFIX)
        licence = bundled.bundled_model(short).licence
        content = bundled.weights_hash(bundled.bundled_files(short))
        return ModelIdentity(name, name, content, licence)
    path = (folder / Path(name).expanduser()).resolve()
    if path.exists():
        if not (path / "config.json").is_file():
            raise InputError(
                f"model: {name} is not a model: it needs to be a folder with a config.json and "
                "weights, as Transformers' save_pretrained writes it."
            )
        return ModelIdentity(name, str(path), storage.folder_hash(path))
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise InputError(
            f"model: {name} does not exist; give a folder, a hub id (owner/name) or "
            f"{', '.join(bundled.PREFIX + known for known in sorted(bundled.BUNDLED))}."
        )
    return ModelIdentity(name, name, name)


def model_shape(identity: ModelIdentity) -> ModelShape | None:
    """How large the model is, without loading it; None for a hub id not at hand."""
    if identity.source.startswith(bundled.PREFIX):
        return bundled.bundled_model(identity.source.removeprefix(bundled.PREFIX)).shape
    return folder_shape(Path(identity.source))


def device_name() -> str:
    """The device models run on: "cuda" when a CUDA GPU is there, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def row_length(device: str) -> int:
    """How many tokens a packed row should hold on a device."""
    return GPU_ROW_LENGTH if device == "cuda" else CPU_ROW_LENGTH


def fast_dtype() -> str:
    """bfloat16 where the machine computes it in hardware, else float32."""
    import torch

    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return "bfloat16" if probe is not None and probe() else "float32"


@dataclass
class LanguageModel:
    """A causal language model with its tokenizer, ready to be asked.

    Reads chat templates when the tokenizer has one; otherwise the messages are written as text
    ending in "Answer:". Not thread-safe.
    """

    identity: ModelIdentity
    model: Any
    tokenizer: Any
    dtype: str
    device: str
    _packs_exactly: bool | None = field(default=None, repr=False)

    @classmethod
    def load(
        cls, identity: ModelIdentity, dtype: str = "float32", adapter: Path | None = None
    ) -> LanguageModel:
        """Load weights (and a PEFT adapter over them) for scoring and sampling.

        Raises InputError when the source is not a causal language model, or does not fit.
        """
        model, tokenizer = load_weights(identity, dtype)
        if adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
        device = device_name()
        return cls(identity, model.to(device).eval(), tokenizer, dtype, device)

    @property
    def has_chat_template(self) -> bool:
        """Whether questions are put as chat turns."""
        return getattr(self.tokenizer, "chat_template", None) is not None

    def prompt_text(self, messages: Sequence[Message]) -> str:
        """The exact text the model reads up to where its answer begins."""
        return prompt_text(self.tokenizer, messages)

    def encode(self, messages: Sequence[Message]) -> Tokens:
        """The prompt as token ids."""
        return encode_text(self.tokenizer, self.prompt_text(messages))

    def answer_tokens(self, answer: str) -> Tokens:
        """A whole answer as it would follow the prompt, end of turn included."""
        return answer_tokens(self.tokenizer, answer)

    def label_tokens(self, label: str) -> Tokens:
        """Every single token that means this label where an answer begins."""
        return label_tokens(self.tokenizer, label)

    @property
    def reads_texts(self) -> bool:
        """A model at hand reads any text."""
        return True

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
        """Log-probability of every token of every continuation, in float32 log-softmax.

        Gives, for each request, one array (tokens of the continuation,) per continuation.
        advance: called with the number of requests finished, for progress.
        """
        import torch

        results: list[list[list[float]]] = [[[] for _ in r.continuations] for r in requests]
        packs = (
            packed(requests, row_length(self.device)) if self._can_pack() else _one_by_one(requests)
        )
        with torch.inference_mode(), out_of_memory("scoring", "scoring.dtype: bfloat16"):
            for pack in packs:
                values = pack_log_probs(self.model, pack).float().cpu().tolist()
                for (index, which), value in zip(pack.owners, values, strict=True):
                    results[index][which].append(value)
                if advance:
                    advance(len({index for index, _ in pack.owners}))
        return [[np.array(continuation) for continuation in request] for request in results]

    def sample(
        self, prompts: Sequence[Tokens], count: int, longest: int, seed: int, rows: int = 128
    ) -> list[list[str]]:
        """`count` answers to each prompt, drawn at temperature 1 from the whole distribution.

        longest: most tokens an answer may have. rows: answers drawn at a time. A prompt is read
        once for all its answers. Same seed, same answers on the same machine.
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
        """One answer to each prompt as token ids, its end token included where it came.

        Drawn at temperature 1; at most `longest` tokens, at least one.
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
        """(texts, width), the mean over tokens of the last layer's states; one text at a time."""
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
        """Tokens drawn, (prompts x count, at most `longest`); after its end a row holds end tokens."""
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

    def _can_pack(self) -> bool:
        """Whether packed rows give this model's plain answers; tried once, on two short prompts."""
        if self._packs_exactly is None:
            import torch

            texts = ("One two three four", "One two five six seven")
            prompts = [encode_text(self.tokenizer, text) for text in texts]
            probe = prompts[0][:1]
            requests = [ScoreRequest(prompt, (probe,)) for prompt in prompts]
            tolerance = PACKING_TOLERANCE[self.dtype]
            try:
                with torch.inference_mode():
                    (together,) = packed(requests, 10_000)
                    fast = pack_log_probs(self.model, together).float()
                    owners = [index for index, _ in together.owners]
                    plain = torch.cat(
                        [pack_log_probs(self.model, p) for p in _one_by_one(requests)]
                    )
                    gap = (fast - plain.float()[owners]).abs().max()
                    self._packs_exactly = bool(gap < tolerance)
            except (RuntimeError, ValueError, TypeError):
                self._packs_exactly = False  # the architecture takes no mask of this shape
        return self._packs_exactly


def load_weights(identity: ModelIdentity, dtype: str, four_bits: bool = False) -> tuple[Any, Any]:
    """The model and tokenizer behind an identity, in evaluation mode on the CPU.

    four_bits: weights in 4-bit NormalFloat (Dettmers et al. 2023), on the GPU.
    Raises InputError when 4 bits are asked for without a CUDA GPU, or when the source is not a causal language model or cannot be reached.
    """
    torch = require("torch", "align", "loading a model")
    transformers = require("transformers", "align", "loading a model")
    bundled.quieten(transformers)
    more: dict[str, Any] = {}
    if four_bits:
        if not torch.cuda.is_available():
            raise InputError("adapter: qlora needs a CUDA GPU; use adapter: lora here.")
        require("bitsandbytes", "qlora", "adapter: qlora")
        more = {
            "device_map": {"": 0},
            "quantization_config": transformers.BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=getattr(torch, dtype),
            ),
        }
    source = identity.source
    if source.startswith(bundled.PREFIX):
        source = str(bundled.prepared_folder(source.removeprefix(bundled.PREFIX)))
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            source, dtype=getattr(torch, dtype), **more
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"model: {identity.name} could not be loaded as a causal language model "
            f"({_first_line(error)}). Check the name or folder; a hub id needs the network, or "
            "HF_HOME with the model in it."
        ) from error
    model.get_output_embeddings().register_forward_pre_hook(_contiguous)
    return model.eval(), tokenizer


def _contiguous(module: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """The last positions of several rows lie apart in memory, and of such states PyTorch multiplies
    each row with its own copy of the weights: (vocabulary x width) bytes a row."""
    return (given[0].contiguous(), *given[1:])


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]


def prompt_text(tokenizer: Any, messages: Sequence[Message]) -> str:
    """Messages as the exact text the model reads up to where its answer begins.

    Without a chat template: the contents as paragraphs, then "Answer:". A template that knows no
    system role gets the system text at the head of the first user turn.
    """
    if getattr(tokenizer, "chat_template", None) is None:
        return "\n\n".join([*(m["content"] for m in messages), "Answer:"])
    try:
        return str(
            tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        )
    except Exception as error:
        if messages[0]["role"] != "system":
            raise SuffrageError(f"the model's chat template failed: {error}") from error
        joined = f"{messages[0]['content']}\n\n{messages[1]['content']}"
        return prompt_text(tokenizer, [{"role": "user", "content": joined}, *messages[2:]])


def encode_text(tokenizer: Any, text: str) -> Tokens:
    """A prompt text as token ids; the template has put the special tokens in already."""
    plain = getattr(tokenizer, "chat_template", None) is None
    return tuple(tokenizer(text, add_special_tokens=plain)["input_ids"])


def answer_tokens(tokenizer: Any, answer: str) -> Tokens:
    """An answer as it follows the prompt, with the token that ends the turn."""
    lead = "" if getattr(tokenizer, "chat_template", None) is not None else " "
    ids = tuple(tokenizer(lead + answer, add_special_tokens=False)["input_ids"])
    end = tokenizer.eos_token_id
    return ids if end is None else (*ids, end)


def label_tokens(tokenizer: Any, label: str) -> Tokens:
    """Every single token that means this label where an answer begins: "A" and " A".

    Which of them a model uses differs (SmolLM2 "A", Gemma's base model " A"), so both count.
    Raises ValueError when the tokenizer has no single token for it.
    """
    found = []
    for text in (label, f" {label}"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        found += [token for token in ids[:1] if tokenizer.decode([token]).strip() == label]
    if not found:
        raise ValueError(f"the tokenizer has no single token for the label {label!r}")
    return tuple(dict.fromkeys(found))


def pack_log_probs(model: Any, pack: Pack) -> torch.Tensor:
    """Log-probability of every query of a pack, shape (queries,), differentiable.

    The logits are computed only where something is asked, and their log-softmax in float32.
    """
    import torch

    device = next(model.parameters()).device
    nodes, inverse = torch.unique(torch.tensor(pack.query_nodes), return_inverse=True)
    inputs: dict[str, Any] = {"input_ids": torch.tensor([pack.tokens], device=device)}
    if not _is_chain(pack):
        inputs["position_ids"] = torch.tensor([pack.positions], device=device)
        inputs["attention_mask"] = torch.from_numpy(pack.attention_mask())[None, None].to(device)
    logits = model(**inputs, logits_to_keep=nodes.to(device), use_cache=False).logits[0]
    log_probs = logits.float().log_softmax(-1)
    return log_probs[inverse.to(device), torch.tensor(pack.query_tokens, device=device)]


def _is_chain(pack: Pack) -> bool:
    """A pack without branches is an ordinary sequence, and takes the ordinary causal path."""
    return pack.positions == list(range(len(pack.positions)))


def _one_by_one(requests: Sequence[ScoreRequest]) -> list[Pack]:
    """The plain way: each prompt with each continuation in a row of its own."""
    packs = []
    for index, request in enumerate(requests):
        for which, continuation in enumerate(request.continuations):
            pack = Pack()
            pack.add(index, ScoreRequest(request.prompt, (continuation,)))
            pack.owners = [(index, which)] * len(continuation)
            packs.append(pack)
    return packs


class out_of_memory:  # noqa: N801 - reads as a statement: with out_of_memory(...)
    """Turn an out-of-memory failure into a message with the settings that would fit."""

    def __init__(self, task: str, mend: str) -> None:
        self.task, self.mend = task, mend

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> None:
        text = str(error).lower()
        if kind is MemoryError or (
            kind is not None
            and issubclass(kind, RuntimeError)
            and ("out of memory" in text or "can't allocate memory" in text)
        ):
            raise SuffrageError(
                f"out of memory while {self.task}; finished stages are kept. Settings that need "
                f"less: {self.mend}; or a smaller model."
            ) from error


def cpu_threads() -> int:
    """How many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
