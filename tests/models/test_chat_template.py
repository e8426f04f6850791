"""What a model reads of a chat, whatever its template: every text, and the same on every day."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suffrage.errors import InputError, SuffrageError
from suffrage.models import LanguageModel, ModelIdentity
from suffrage.models.answerer import LabelChoice
from suffrage.models.asking import Message
from suffrage.models.cache import AnswerStore, CachedAnswerer
from suffrage.models.chat_template import write_chat
from suffrage.models.tokenizing import (
    answer_tokens,
    encode_text,
    end_of_turn,
    own_prompt_style,
    prompt_text,
)
from tests.models.architectures import random_model
from tests.synthetic import CHAT_TEMPLATE, make_byte_tokenizer

OPENING = "{% if add_generation_prompt %}<|assistant|>{% endif %}"
PARTS_ONLY = (
    "{% for m in messages %}<|{{ m['role'] }}|>{% for p in m['content'] %}{{ p['text'] }}"
    "{% endfor %}<|end|>{% endfor %}" + OPENING
)
PARTS_DEMANDED = PARTS_ONLY.replace(
    "{% for p",
    "{% if m['content'] is string %}{{ raise_exception('parts, please') }}{% endif %}{% for p",
)
SYSTEM_DROPPED = CHAT_TEMPLATE.replace(
    "{% for m in messages %}", "{% for m in messages if m['role'] != 'system' %}"
)
# As Llama 3.1 and later, GPT-OSS (in a macro) and Mistral ask for the day.
DATED = {
    "Llama 3": "{%- if not date_string is defined %}\n    {%- if strftime_now is defined %}\n"
    '        {%- set date_string = strftime_now("%d %b %Y") %}\n    {%- else %}\n'
    '        {%- set date_string = "7 Dec 2024" %}\n    {%- endif %}\n{%- endif %}\n'
    '{{- "<|system|>Today Date: " + date_string + "<|end|>" }}\n',
    "GPT-OSS": "{%- macro head() -%}\n"
    '    {{- "Current date: " + strftime_now("%Y-%m-%d") + "\n\n" }}\n{%- endmacro -%}\n'
    '{{- "<|system|>" + head() + "<|end|>" }}\n',
    "Mistral": '{%- set today = strftime_now("%Y-%m-%d") %}<|system|>{{ today }}<|end|>',
    "a line first": "   {% if true %}\n<|system|>{{ strftime_now('%A, %-d %B %Y at %H:%M') }}"
    "<|end|>\n   {% endif %}\n",
}
WRITTEN = {
    "Llama 3": "<|system|>Today Date: 26 Jul 2024<|end|>\n",
    "GPT-OSS": "<|system|>Current date: 2024-07-26\n\n<|end|>\n",
    "Mistral": "<|system|>2024-07-26<|end|>",
    "a line first": "<|system|>Friday, 26 July 2024 at 00:00<|end|>\n",
}


def tokenizer_with(template: Any) -> Any:
    tokenizer = make_byte_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def model_with(template: Any) -> LanguageModel:
    identity = ModelIdentity("tiny", "tiny", "tiny")
    tokenizer = tokenizer_with(template)
    return LanguageModel(identity, random_model("llama", "sdpa"), tokenizer, "float32", "cpu")


def asked(question: str) -> list[Message]:
    return [{"role": "user", "content": question}]


def on_day(monkeypatch: pytest.MonkeyPatch, year: int) -> None:
    """Let Transformers think that it is the first of March of a year."""
    import transformers.utils.chat_template_utils as clock

    class Then(datetime.datetime):
        @classmethod
        def now(cls, tz: object = None) -> Any:
            return datetime.datetime(year, 3, 1)

    monkeypatch.setattr(clock, "datetime", Then)


@pytest.mark.slow
@pytest.mark.parametrize("template", [PARTS_ONLY, PARTS_DEMANDED])
def test_a_template_that_takes_contents_as_parts_shows_the_question(template: str) -> None:
    tokenizer, usual = tokenizer_with(template), make_byte_tokenizer()
    chat: list[Message] = [{"role": "system", "content": "You vote."}, *asked("Is it?\n\nA. yes")]
    for messages in (chat, chat[1:]):
        assert prompt_text(tokenizer, messages) == prompt_text(usual, messages)
    assert end_of_turn(tokenizer) == end_of_turn(usual)
    assert answer_tokens(tokenizer, "A") == answer_tokens(usual, "A")
    model = model_with(template)
    choices = [LabelChoice(tuple(asked(q)), ("A", "B")) for q in ("Is it?", "What of taxes?")]
    one, other = model.choose(choices)
    assert np.abs(one - other).max() > 1e-6
    np.testing.assert_allclose(one, model_with(CHAT_TEMPLATE).choose(choices)[0], atol=1e-6)


def test_a_template_that_leaves_a_question_out_is_refused_in_one_sentence() -> None:
    tokenizer = tokenizer_with("<|user|>{{ messages | length }}<|end|>" + OPENING)
    with pytest.raises(InputError, match="leaves out the text of a question") as said:
        prompt_text(tokenizer, asked("Is it?"))
    assert "\n" not in str(said.value)


def test_a_system_text_that_a_template_drops_heads_the_users_turn() -> None:
    found = prompt_text(
        tokenizer_with(SYSTEM_DROPPED), [{"role": "system", "content": "You vote."}, *asked("Why?")]
    )
    assert found == "<|user|>You vote.\n\nWhy?<|end|><|assistant|>"


def test_a_turn_that_a_template_does_not_open_is_opened() -> None:
    tokenizer = tokenizer_with(
        CHAT_TEMPLATE.replace("{% if add_generation_prompt %}", "{% if no %}")
    )
    assert prompt_text(tokenizer, asked("Why?")) == "<|user|>Why?<|end|><|assistant|>"


def test_a_template_that_fails_is_refused_with_its_own_reason() -> None:
    tokenizer = tokenizer_with("{{ raise_exception('only in French') }}")
    with pytest.raises(SuffrageError, match="only in French"):
        prompt_text(tokenizer, asked("Is it?"))


def test_trimmed_and_capital_texts_are_shown_texts() -> None:
    trimmed = tokenizer_with(CHAT_TEMPLATE.replace("m['content']", "m['content'] | trim | upper"))
    assert prompt_text(trimmed, asked("  Is it?\n")) == "<|user|>IS IT?<|end|><|assistant|>"


@pytest.mark.parametrize(
    "template",
    [
        # Neither shows the answer: its end is not what the chat begins with.
        CHAT_TEMPLATE.replace("m['content']", "m['content'] | upper"),
        CHAT_TEMPLATE.replace("messages %}", "messages if m['role'] == 'user' %}"),
    ],
)
def test_an_end_of_turn_that_a_template_does_not_show_is_the_end_of_text(template: str) -> None:
    tokenizer = tokenizer_with(template.replace("<|end|>", "<|user|>"))
    assert end_of_turn(tokenizer) == tokenizer.eos_token_id
    assert answer_tokens(tokenizer, "A")[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("name", DATED)
def test_a_template_reads_the_same_date_on_every_day(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dated = tokenizer_with(DATED[name] + CHAT_TEMPLATE)
    for year in (2026, 2027):
        on_day(monkeypatch, year)
        # Transformers by itself follows the clock.
        assert str(year) in dated.apply_chat_template(asked("Why?"), tokenize=False)
        found = prompt_text(dated, asked("Why?"))
        assert found == WRITTEN[name] + "<|user|>Why?<|end|><|assistant|>"
        assert write_chat(dated, asked("Why?"), answer_follows=False).startswith(WRITTEN[name])


@pytest.mark.slow
def test_the_fixed_date_changes_nothing_else_of_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    """On that very day a template writes what it writes by itself."""
    import transformers.utils.chat_template_utils as clock

    from suffrage.models.chat_template import TEMPLATE_DATE

    class Then(datetime.datetime):
        @classmethod
        def now(cls, tz: object = None) -> Any:
            return TEMPLATE_DATE

    monkeypatch.setattr(clock, "datetime", Then)
    for template in DATED.values():
        for edge in ("", "\n\n  "):
            dated = tokenizer_with(edge + template + CHAT_TEMPLATE)
            plain = dated.apply_chat_template(
                asked("Why?"), tokenize=False, add_generation_prompt=True
            )
            assert prompt_text(dated, asked("Why?")) == plain
            assert own_prompt_style(dated) is None


def test_answers_to_the_templates_own_prompts_are_not_reused(tmp_path: Path) -> None:
    """A prompt that is written in a way of our own has answers of its own."""

    class Counted:
        reads_texts = False
        prompt_style: str | None = None
        times = 0

        def choose(self, choices: Any, advance: Any = None) -> list[Any]:
            self.times += len(choices)
            return [np.array([0.5, 0.5]) for _ in choices]

    counted: Any = Counted()
    choices = [LabelChoice(tuple(asked("Why?")), ("A", "B"))]
    with AnswerStore(tmp_path / "answers.sqlite") as store:
        for style, times in ((None, 1), ("On 26 Jul 2024", 2), (None, 2), ("On 26 Jul 2024", 2)):
            counted.prompt_style = style
            CachedAnswerer(counted, store, ["weights"]).choose(choices)
            assert counted.times == times


def test_a_usual_template_is_written_by_itself() -> None:
    assert own_prompt_style(make_byte_tokenizer()) is None
    assert own_prompt_style(make_byte_tokenizer(chat=False)) is None
    for template in (PARTS_ONLY, SYSTEM_DROPPED, DATED["Llama 3"] + CHAT_TEMPLATE):
        found = own_prompt_style(tokenizer_with(template))
        assert found is not None and found.endswith("<|assistant|>")


@pytest.mark.slow
def test_trl_writes_the_prompts_that_scoring_reads() -> None:
    from suffrage.align.sampled_groups import write_chats_as_elsewhere

    for template in (CHAT_TEMPLATE, PARTS_ONLY, DATED["Llama 3"] + CHAT_TEMPLATE):
        tokenizer = tokenizer_with(template)
        write_chats_as_elsewhere(tokenizer)
        chats = [asked("Why?"), asked("Is it so?")]
        # As TRL's GRPO and RLOO call it.
        found = tokenizer.apply_chat_template(
            conversation=chats,
            tools=None,
            chat_template=None,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
        )["input_ids"]
        plain = tokenizer_with(template)
        assert [tuple(ids) for ids in found] == [
            encode_text(plain, prompt_text(plain, chat)) for chat in chats
        ]


# As Qwen3's template ends.
QWEN3 = """{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {{- '<|im_start|>assistant\n<think>\n\n</think>\n\n' + m.content + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}"""
# As GPT-OSS's template writes messages.
GPT_OSS = """{{- "<|start|>system<|message|>" }}
{{- "Current date: " + strftime_now("%Y-%m-%d") + "\n\n" }}
{{- "# Valid channels: analysis, commentary, final." }}
{{- "<|end|>" }}
{%- for message in messages -%}
    {%- if message.role == 'assistant' -%}
        {%- if loop.last and not add_generation_prompt %}
            {%- if "thinking" in message %}
                {{- "<|start|>assistant<|channel|>analysis<|message|>" + message.thinking }}
            {%- endif %}
            {{- "<|start|>assistant<|channel|>final<|message|>" + message.content + "<|return|>" }}
        {%- else %}
            {{- "<|start|>assistant<|channel|>final<|message|>" + message.content + "<|end|>" }}
        {%- endif %}
    {%- elif message.role == 'user' -%}
        {{- "<|start|>user<|message|>" + message.content + "<|end|>" }}
    {%- endif -%}
{%- endfor -%}

{%- if add_generation_prompt -%}
<|start|>assistant
{%- endif -%}"""


def with_tokens(template: str, *special: str) -> Any:
    tokenizer = tokenizer_with(template)
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    return tokenizer


def test_qwen3_answers_after_an_empty_think_block() -> None:
    tokenizer = with_tokens(QWEN3, "<|im_start|>", "<|im_end|>", "<think>", "</think>")
    # By itself the template leaves it to the model to think first.
    alone = tokenizer.apply_chat_template(asked("Why?"), tokenize=False, add_generation_prompt=True)
    assert alone.endswith("<|im_start|>assistant\n")
    opened = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    for template in (QWEN3, QWEN3.replace("enable_thinking", "thinking")):
        tokenizer.chat_template = template
        assert prompt_text(tokenizer, asked("Why?")) == opened
    assert end_of_turn(tokenizer) == tokenizer.convert_tokens_to_ids("<|im_end|>")
    # A template without the setting shows the empty block before an answer only.
    tokenizer.chat_template = QWEN3.replace("enable_thinking is false", "false")
    assert prompt_text(tokenizer, asked("Why?")) == opened
    # Words of the question do not count.
    assert prompt_text(tokenizer, asked("Why <think>?")).endswith("</think>\n\n")


def test_gpt_oss_answers_in_its_final_channel() -> None:
    special = ("<|start|>", "<|message|>", "<|channel|>", "<|return|>")
    tokenizer = with_tokens(GPT_OSS, *special)
    alone = tokenizer.apply_chat_template(asked("Why?"), tokenize=False, add_generation_prompt=True)
    assert alone.endswith("<|start|>assistant")
    prompt = prompt_text(tokenizer, asked("Why?"))
    assert prompt.endswith(
        "Current date: 2024-07-26\n\n# Valid channels: analysis, commentary, final.<|end|>"
        "<|start|>user<|message|>Why?<|end|><|start|>assistant<|channel|>final<|message|>"
    )
    chat = [*asked("Why?"), {"role": "assistant", "content": "So."}]
    whole = encode_text(tokenizer, write_chat(tokenizer, chat, answer_follows=False))
    assert (*encode_text(tokenizer, prompt), *answer_tokens(tokenizer, "So.")) == whole


@pytest.mark.parametrize(
    "opening",
    ["<think>\n", "<think>\n\n</think><think>", "[THINK]", "<|channel|>analysis<|message|>"],
)
def test_a_template_that_always_thinks_first_is_refused_in_one_sentence(opening: str) -> None:
    template = CHAT_TEMPLATE.replace("<|assistant|>", "<|assistant|>" + opening)
    tokenizer = tokenizer_with(template)
    with pytest.raises(InputError, match="begins every answer with thinking") as said:
        prompt_text(tokenizer, asked("Why?"))
    assert "\n" not in str(said.value) and "SmolLM2" in str(said.value)
