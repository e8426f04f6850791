"""Questions and answers as text and tokens, the way a model's own chat template writes them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from suffrage.models.asking import Message
from suffrage.models.chat_template import after_answer, chat_template, opened_chat
from suffrage.models.packing import Tokens


def prompt_text(tokenizer: Any, messages: Sequence[Message]) -> str:
    """Messages as the exact text that the model reads, up to where its answer begins.

    Without a chat template these are the contents as paragraphs, then "Answer:". A template without
    a system role gets the system text at the head of the first user turn, or as the only one.

    Raises
    ------
    SuffrageError
        The chat template fails on these messages.
    InputError
        The chat template leaves out a text, or opens the model's turn with thinking.

    Examples
    --------
    >>> prompt_text(None, [{"role": "user", "content": "Yes or no?"}])
    'Yes or no?\\n\\nAnswer:'
    """
    if chat_template(tokenizer) is None:
        return "\n\n".join([*(m["content"] for m in messages), "Answer:"])
    return opened_chat(tokenizer, messages)


def own_prompt_style(tokenizer: Any) -> str | None:
    """A short prompt where it is not what the chat template writes by itself; None elsewhere.

    It tells answers to such prompts from those to the template's own. Those change with the day.
    """
    if chat_template(tokenizer) is None:
        return None
    asked: list[Message] = [{"role": "user", "content": "Hello"}]
    for chat in (asked, [{"role": "system", "content": "Be brief."}, *asked]):
        found = prompt_text(tokenizer, chat)
        try:
            plain = tokenizer.apply_chat_template(
                list(chat), tokenize=False, add_generation_prompt=True
            )
        except Exception:  # templates raise what they like
            continue
        if found != plain:
            return found
    return None


def encode_text(tokenizer: Any, text: str) -> Tokens:
    """A prompt text as token ids. A chat template has put the special tokens in already.

    A tokenizer that ends texts leaves the end out: an answer follows.
    """
    return encode_texts(tokenizer, [text])[0]


def encode_texts(tokenizer: Any, texts: Sequence[str]) -> list[Tokens]:
    """Each of several prompt texts as `encode_text` gives it."""
    plain = chat_template(tokenizer) is None
    found = tokenizer(list(texts), add_special_tokens=plain)["input_ids"] if texts else []
    end = (tokenizer.eos_token_id,)
    return [tuple(ids[:-1] if plain and tuple(ids[-1:]) == end else ids) for ids in found]


def answer_tokens(tokenizer: Any, answer: str) -> Tokens:
    """An answer as token ids the way it follows the prompt, with the token that ends the turn."""
    lead = "" if chat_template(tokenizer) is not None else " "
    ids = _after_prompt(tokenizer, lead + answer)
    if ids is None:
        ids = tuple(tokenizer(lead + answer, add_special_tokens=False)["input_ids"])
    end = end_of_turn(tokenizer)
    return ids if end is None else (*ids, end)


def label_tokens(tokenizer: Any, label: str) -> Tokens:
    """Every single token that means a label where an answer begins, such as "A" and " A".

    Models differ in which they use (SmolLM2 "A", Gemma's base model " A"), so both count. They are
    looked for after a prompt, because a tokenizer may put a space before a text that stands alone.

    Raises
    ------
    ValueError
        The tokenizer has no single token for the label.
    """
    found: list[int] = []
    for text in (label, f" {label}"):
        ids = _after_prompt(tokenizer, text)
        if ids is None:
            ids = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
        found += [token for token in ids[:1] if tokenizer.decode([token]).strip() == label]
    if not found:
        raise ValueError(f"the tokenizer has no single token for the label {label!r}")
    return tuple(dict.fromkeys(found))


def end_of_turn(tokenizer: Any) -> int | None:
    """The token that ends an answer: what the chat template writes after one.

    Without a chat template, or where it writes no special token there, this is the tokenizer's
    `eos_token`.
    """
    return _end_of_turn(tokenizer, chat_template(tokenizer))


def end_tokens(tokenizer: Any, generation: Any = None) -> frozenset[int]:
    """Every token that ends an answer that a model writes.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizer
    generation : GenerationConfig, optional
        What the model's makers say of it; its `eos_token_id` is one token or several.
    """
    said = getattr(generation, "eos_token_id", None)
    more = said if isinstance(said, list | tuple) else [said]
    known = {end_of_turn(tokenizer), tokenizer.eos_token_id, *more}
    return frozenset(token for token in known if token is not None)


@functools.lru_cache(maxsize=16)
def _end_of_turn(tokenizer: Any, template: Any) -> int | None:
    usual: int | None = tokenizer.eos_token_id
    if template is None:
        return usual
    tail = after_answer(tokenizer)
    ids = tokenizer(tail, add_special_tokens=False)["input_ids"] if tail else []
    special = {*tokenizer.all_special_ids, *getattr(tokenizer, "added_tokens_decoder", {})}
    # A template, or the tokenizer itself, may write a space before the token.
    ids = [token for token in ids if token in special or tokenizer.decode([token]).strip()]
    return ids[0] if ids and ids[0] in special else usual


def _after_prompt(tokenizer: Any, text: str) -> Tokens | None:
    """The tokens of a text behind a prompt; None where the two melt into one token."""
    before, prompt = _some_prompt(tokenizer, chat_template(tokenizer))
    joined = encode_text(tokenizer, before + text)
    whole = joined[: len(prompt)] == prompt and len(joined) > len(prompt)
    return joined[len(prompt) :] if whole else None


@functools.lru_cache(maxsize=16)
def _some_prompt(tokenizer: Any, template: Any) -> tuple[str, Tokens]:
    """Any prompt, as text and as tokens: all of them end alike."""
    text = prompt_text(tokenizer, [{"role": "user", "content": "Hello"}])
    return text, encode_text(tokenizer, text)
