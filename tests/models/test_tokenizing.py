"""The tokens of labels, answers and ends of turns, after the prompts of well-known families."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from suffrage.models import LanguageModel, identify
from suffrage.models.asking import Message
from suffrage.models.tokenizing import (
    answer_tokens,
    encode_text,
    end_of_turn,
    end_tokens,
    label_tokens,
    prompt_text,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHAT: list[Message] = [{"role": "user", "content": "Which?"}]
MESSAGES = "{% for m in messages %}"
ASK = "{% if add_generation_prompt %}"


@dataclass(frozen=True)
class Family:
    """How a family of models writes chats."""

    template: str
    # Its special tokens.
    special: tuple[str, ...]
    # The tokenizer's eos_token.
    eos: str
    # What ends an answer.
    end: str
    # Whether its tokenizer is SentencePiece's, which puts a space before a text.
    metaspace: bool = False


FAMILIES = {
    "ChatML (Qwen, SmolLM)": Family(
        MESSAGES
        + "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        + ASK
        + "<|im_start|>assistant\n{% endif %}",
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        "<|endoftext|>",
        "<|im_end|>",
    ),
    "Llama 3": Family(
        "<|begin|>"
        + MESSAGES
        + "<|start_header|>{{ m['role'] }}<|end_header|>\n\n{{ m['content'] | trim }}<|eot_id|>"
        + "{% endfor %}"
        + ASK
        + "<|start_header|>assistant<|end_header|>\n\n{% endif %}",
        ("<|begin|>", "<|start_header|>", "<|end_header|>", "<|eot_id|>", "<|end_of_text|>"),
        "<|end_of_text|>",
        "<|eot_id|>",
    ),
    "Gemma": Family(
        "<bos>"
        + MESSAGES
        + "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
        + "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
        + ASK
        + "<start_of_turn>model\n{% endif %}",
        ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        "<eos>",
        "<end_of_turn>",
    ),
    "Phi-3": Family(
        MESSAGES
        + "<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
        + "{% if add_generation_prompt %}<|assistant|>\n{% else %}<|endoftext|>{% endif %}",
        ("<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>"),
        "<|endoftext|>",
        "<|end|>",
        metaspace=True,
    ),
    "Mistral": Family(
        "<s>"
        + MESSAGES
        + "{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
        + "{% else %} {{ m['content'] }}</s>{% endif %}{% endfor %}",
        ("<s>", "</s>", "[INST]", "[/INST]"),
        "</s>",
        "</s>",
        metaspace=True,
    ),
    "Zephyr and TinyLlama": Family(
        MESSAGES
        + "<|{{ m['role'] }}|>\n{{ m['content'] }}</s>\n{% endfor %}"
        + ASK
        + "<|assistant|>\n{% endif %}",
        ("<s>", "</s>"),
        "</s>",
        "</s>",
        metaspace=True,
    ),
}


def tokenizer_of(family: Family) -> PreTrainedTokenizerFast:
    """A tokenizer of single characters, with the labels' tokens and a family's special ones."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    if family.metaspace:
        letters = [chr(code) for code in range(33, 127)]
        bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
        names = ["<unk>", *family.special, *bytes_, "▁", *letters]
        merges = [("▁", letter) for letter in letters]
        names += ["▁" + letter for letter in letters]
        vocabulary = {name: k for k, name in enumerate(dict.fromkeys(names))}
        made = Tokenizer(
            models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", byte_fallback=True)
        )
        made.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
        made.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        )
    else:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        spaced = ["Ġ" + letter for letter in "ABCD12345"]
        vocabulary = {name: k for k, name in enumerate([*family.special, *alphabet, *spaced])}
        made = Tokenizer(models.BPE(vocab=vocabulary, merges=[("Ġ", s[1]) for s in spaced]))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
    made.add_special_tokens(list(family.special))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=family.eos)
    tokenizer.chat_template = family.template
    return tokenizer


@pytest.mark.parametrize("name", FAMILIES)
def test_an_answer_ends_where_its_family_ends_a_turn(name: str) -> None:
    family = FAMILIES[name]
    tokenizer = tokenizer_of(family)
    end = tokenizer.convert_tokens_to_ids(family.end)
    assert end_of_turn(tokenizer) == end
    assert answer_tokens(tokenizer, "Yes")[-1] == end
    # Writing stops there, at the end of the text, and where the model's makers say.
    made_by = type("Generation", (), {"eos_token_id": [0, 1]})()
    usual = tokenizer.convert_tokens_to_ids(family.eos)
    assert end_tokens(tokenizer, made_by) == {end, usual, 0, 1}


@pytest.mark.parametrize("name", ["Phi-3", "Gemma"])
def test_a_space_before_the_token_that_ends_a_turn_does_not_hide_it(name: str) -> None:
    family = FAMILIES[name]
    spaced = replace(family, template=family.template.replace(family.end, f" {family.end}"))
    tokenizer = tokenizer_of(spaced)
    assert end_of_turn(tokenizer) == tokenizer.convert_tokens_to_ids(family.end)


@pytest.mark.parametrize("name", FAMILIES)
def test_an_answer_has_the_tokens_that_the_template_gives_it(name: str) -> None:
    family = FAMILIES[name]
    tokenizer = tokenizer_of(family)
    prompt = encode_text(tokenizer, prompt_text(tokenizer, CHAT))
    answer = "It is so."
    whole = tokenizer.apply_chat_template(
        [*CHAT, {"role": "assistant", "content": answer}], tokenize=False
    )
    if name == "Mistral":  # whose template puts a space before an answer, as part of the answer
        answer = " " + answer
    expected = encode_text(tokenizer, whole)
    found = (*prompt, *answer_tokens(tokenizer, answer))
    assert found == expected[: len(found)]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_label_is_looked_for_with_and_without_a_space_after_the_prompt(name: str) -> None:
    tokenizer = tokenizer_of(FAMILIES[name])
    space = "▁" if FAMILIES[name].metaspace else "Ġ"
    for label in "ABCD12345":
        found = tokenizer.convert_ids_to_tokens(list(label_tokens(tokenizer, label)))
        if name == "Mistral":  # after whose special token the tokenizer writes a space of its own
            assert space + label in found
        else:
            assert found == [label, space + label]


@pytest.mark.parametrize("name", ["Llama 3", "Mistral"])
def test_a_tokenizer_that_ends_texts_does_not_end_a_prompt(name: str) -> None:
    from tokenizers import processors

    plain, ending = tokenizer_of(FAMILIES[name]), tokenizer_of(FAMILIES[name])
    end = plain.eos_token_id
    ending.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {plain.eos_token}", special_tokens=[(plain.eos_token, end)]
    )
    plain.chat_template = ending.chat_template = None
    assert ending("It is so.")["input_ids"][-1] == end
    prompt = encode_text(ending, prompt_text(ending, CHAT))
    assert prompt == encode_text(plain, prompt_text(plain, CHAT)) and prompt[-1] != end
    assert answer_tokens(ending, "B") == answer_tokens(plain, "B")
    assert label_tokens(ending, "B") == label_tokens(plain, "B")


def test_a_label_without_a_token_is_refused() -> None:
    tokenizer = tokenizer_of(FAMILIES["Gemma"])
    with pytest.raises(ValueError, match="no single token"):
        label_tokens(tokenizer, "Ω")


def test_a_model_writes_up_to_where_its_makers_or_its_template_end_a_turn(
    tiny_model: Path,
) -> None:
    model = LanguageModel.load(identify(str(tiny_model), tiny_model))
    template_end = end_of_turn(model.tokenizer)
    assert model.end_tokens == {template_end}
    assert max(len(answer) for answer in model.sample_tokens([(5, 6)] * 20, 5, seed=1)) == 5
    # Half of the tokens end an answer: none goes on after one of them.
    ends = list(range(0, len(model.tokenizer), 2))
    model.model.generation_config.eos_token_id = ends
    assert model.end_tokens == {template_end, *ends}
    for answer in model.sample_tokens([(5, 6)] * 20, 5, seed=1):
        assert not set(answer[:-1]) & set(ends)
        assert len(answer) == 5 or answer[-1] in ends


def test_a_system_text_alone_is_the_users_turn_where_a_template_has_no_system_role() -> None:
    class WithoutSystem:
        chat_template = "no system role"

        def apply_chat_template(self, messages: list[dict[str, str]], **_: object) -> str:
            if messages[0]["role"] == "system":
                raise ValueError("System role not supported")
            return "".join(f"<{m['role']}>{m['content']}" for m in messages)

    system, user = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}
    assert prompt_text(WithoutSystem(), [system]) == "<user>Be brief.<assistant>"
    assert prompt_text(WithoutSystem(), [system, user]) == "<user>Be brief.\n\nWhy?<assistant>"
