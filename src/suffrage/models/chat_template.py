"""Chats as a model's own template writes them: whole, the same on every day, without thinking."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from suffrage.errors import InputError, SuffrageError
from suffrage.models.asking import Message

# The day that every template is given for today. Llama 3's templates take it where they know no
# other.
TEMPLATE_DATE = datetime(2024, 7, 26)
# How templates ask for parts of a date: `strftime`'s codes.
_DATE_CODES = (
    *("%-d", "%-m", "%-H", "%-I", "%-j", "%a", "%A", "%b", "%B", "%c", "%d", "%D", "%e", "%F"),
    *("%H", "%I", "%j", "%m", "%M", "%p", "%S", "%T", "%U", "%w", "%W", "%x", "%X", "%y", "%Y"),
)
# What templates call the setting that lets the model think before it answers.
_THINKING_SETTINGS = ("enable_thinking", "thinking")
# How thinking begins and ends.
_THINKING_MARKS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis", "<|end|>"),
    ("<|channel>thought", "<channel|>"),
)
# A short chat, with which templates are tried.
_ASKED, _ANSWERED = "Hello", "A short answer"


def chat_template(tokenizer: Any) -> str | None:
    """The template that a tokenizer writes chats with; None where it has none."""
    found = getattr(tokenizer, "chat_template", None)
    return found.get("default") if isinstance(found, dict) else found


def write_chat(tokenizer: Any, messages: Sequence[Any], answer_follows: bool = True) -> str:
    """A chat as the tokenizer's template writes it, on `TEMPLATE_DATE` and without thinking.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizer
        It has a chat template.
    messages : sequence of dict
        The content of a message is a text or, for some templates, a list of parts.
    answer_follows : bool
        Whether the model's turn is opened after the last message.

    Raises
    ------
    Exception
        Whatever the template raises on these messages.
    """
    template = chat_template(tokenizer) or ""
    more: dict[str, Any] = {name: False for name in _THINKING_SETTINGS if name in template}
    if "strftime_now" in template:
        more["chat_template"] = _fixed_clock() + template
    return str(
        tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=answer_follows, **more
        )
    )


def whole_chat(tokenizer: Any, messages: Sequence[Message]) -> str:
    """A chat up to where the model's turn begins, with the text of every message in it.

    A template may take contents only as lists of parts, or have no system role. The messages are
    written in the first form that the template shows whole: as they are, in parts, and with the
    system text at the head of the first user turn.

    Raises
    ------
    SuffrageError
        The template fails on every form.
    InputError
        The template leaves a text out in every form.
    """
    failures: list[Exception] = []
    for form in _forms(messages):
        try:
            text = write_chat(tokenizer, form)
        except Exception as error:  # templates raise what they like
            failures.append(error)
            continue
        if _shows(text, messages):
            return text
    forms = 2 * (1 + (messages[0]["role"] == "system"))
    if len(failures) == forms:
        # The last form but one is the last without parts.
        raise SuffrageError(f"the model's chat template failed: {failures[-2]}") from failures[-2]
    raise InputError(
        "model: its chat template leaves out the text of a question, so that the model would not "
        "read it; use a model whose template writes the content of every message, or delete the "
        "template from the model's folder to ask in plain text."
    )


def opened_chat(tokenizer: Any, messages: Sequence[Message]) -> str:
    """A chat up to the place of the answer's first word.

    A template may write something before an answer that it leaves to the model where it opens the
    turn, such as GPT-OSS's channel `final`, or open no turn at all. That is written too.

    Raises
    ------
    SuffrageError, InputError
        See `whole_chat`; or the template opens the model's turn with thinking.
    """
    text = whole_chat(tokenizer, messages)
    asked = messages[-1]["content"].strip()
    turn = text.rpartition(asked)[2] if asked else text
    for begins, ends in _THINKING_MARKS:
        if turn.rfind(begins) > turn.rfind(ends):
            raise InputError(
                f"model: its chat template begins every answer with thinking ({begins}), so that "
                "no answer follows a question directly; name a model that answers without "
                "thinking, such as HuggingFaceTB/SmolLM2-1.7B-Instruct."
            )
    return text + _before_answer(tokenizer, chat_template(tokenizer))


def after_answer(tokenizer: Any) -> str:
    """What the template writes after an answer; nothing where it does not show the answer."""
    written = _short_chat(tokenizer)
    return written.rpartition(_ANSWERED)[2] if _ANSWERED in written else ""


@functools.lru_cache(maxsize=16)
def _before_answer(tokenizer: Any, template: str) -> str:
    """What the template writes between the opened turn and an answer."""
    before, shown, _ = _short_chat(tokenizer).rpartition(_ANSWERED)
    opened = whole_chat(tokenizer, [{"role": "user", "content": _ASKED}])
    between = before.removeprefix(opened)
    # A space alone is left to the tokenizer.
    return between if shown and between != before and between.strip() else ""


def _short_chat(tokenizer: Any) -> str:
    """A question with its answer, in the first form that the template shows."""
    chat: list[Message] = [
        {"role": "user", "content": _ASKED},
        {"role": "assistant", "content": _ANSWERED},
    ]
    text = ""
    for form in (chat, _in_parts(chat)):
        try:
            text = write_chat(tokenizer, form, answer_follows=False)
        except Exception:  # templates raise what they like
            continue
        if _ANSWERED in text:
            break
    return text


def _in_parts(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages whose contents are lists of parts, as models that read pictures too take them."""
    return [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in messages]


def _forms(messages: Sequence[Message]) -> Iterator[Sequence[Any]]:
    yield messages
    yield _in_parts(messages)
    if messages[0]["role"] == "system":
        together = "\n\n".join(message["content"] for message in messages[:2])
        joined: list[Message] = [{"role": "user", "content": together}, *messages[2:]]
        yield joined
        yield _in_parts(joined)


def _shows(text: str, messages: Sequence[Message]) -> bool:
    """Whether a chat has every text that people wrote.

    Templates may change spaces and case. Some shorten the model's own earlier answers.
    """
    asked = [m["content"] for m in messages if m["role"] != "assistant"]
    if all(content in text for content in asked):
        return True
    written = _plain(text)
    return all(_plain(content) in written for content in asked)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


@functools.cache
def _fixed_clock() -> str:
    """A template's beginning that replaces the clock by `TEMPLATE_DATE`.

    Transformers gives templates a function `strftime_now`, and no way to give them another.
    """
    dated = "".join(f".replace('{c}', '{TEMPLATE_DATE.strftime(c)}')" for c in _DATE_CODES)
    # Jinja drops the end of the line, so that the template's own first line stays one.
    return "{% macro strftime_now(format) %}{{ format" + dated + " }}{% endmacro %}\n"
