"""Questions and answers as text and tokens, the way a model's own chat template writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suffrage.errors import SuffrageError
from suffrage.models.asking import Message
from suffrage.models.packing import Tokens


def prompt_text(tokenizer: Any, messages: Sequence[Message]) -> str:
    """Messages as the exact text that the model reads, up to where its answer begins.

    Without a chat template these are the contents as paragraphs, then "Answer:". A template without
    a system role gets the system text at the head of the first user turn.

    Raises
    ------
    SuffrageError
        The chat template fails on these messages.

    Examples
    --------
    >>> prompt_text(None, [{"role": "user", "content": "Yes or no?"}])
    'Yes or no?\\n\\nAnswer:'
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
    """A prompt text as token ids. A chat template has put the special tokens in already."""
    plain = getattr(tokenizer, "chat_template", None) is None
    return tuple(tokenizer(text, add_special_tokens=plain)["input_ids"])


def answer_tokens(tokenizer: Any, answer: str) -> Tokens:
    """An answer as token ids the way it follows the prompt, with the token that ends the turn."""
    lead = "" if getattr(tokenizer, "chat_template", None) is not None else " "
    ids = tuple(tokenizer(lead + answer, add_special_tokens=False)["input_ids"])
    end = tokenizer.eos_token_id
    return ids if end is None else (*ids, end)


def label_tokens(tokenizer: Any, label: str) -> Tokens:
    """Every single token that means a label where an answer begins, such as "A" and " A".

    Models differ in which they use (SmolLM2 "A", Gemma's base model " A"), so both count.

    Raises
    ------
    ValueError
        The tokenizer has no single token for the label.
    """
    found = []
    for text in (label, f" {label}"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        found += [token for token in ids[:1] if tokenizer.decode([token]).strip() == label]
    if not found:
        raise ValueError(f"the tokenizer has no single token for the label {label!r}")
    return tuple(dict.fromkeys(found))
