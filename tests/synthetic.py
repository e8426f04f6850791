"""Small surveys and a tiny model, made on the spot."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from suffrage.survey import Codebook, Item, NonResponse, Option, Provenance, Survey

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TOPICS = ("work", "family", "science")
# Questions that have no telling word in common, for tests of what is nearly the same.
PLAIN_QUESTIONS = (
    "Should the city build more bicycle lanes?",
    "Is your neighbourhood safe after dark?",
    "Do schools teach enough mathematics?",
    "How often do trains arrive late?",
    "Would you move abroad for work?",
    "Are hospital waiting times acceptable?",
    "Does music belong in every classroom?",
    "Can farmers live from what they earn?",
    "Have winters become warmer here?",
    "Who pays for broken streetlights?",
    "When did you last visit a library?",
    "Which newspaper do you trust most?",
)


def make_item(number: int, options: int = 4, ordered: bool = True, **more: object) -> Item:
    words = ("Alpha", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel", "India")
    return Item(
        id=f"q{number}",
        question=f"What of {words[number % 9]} number {number}, {words[(3 * number + 1) % 9]}?",
        options=tuple(Option(code=str(k), text=f"Answer {words[k]}") for k in range(options)),
        ordered=ordered,
        topic=TOPICS[number % 3],
        **more,  # type: ignore[arg-type]
    )


def make_survey(
    respondents: int = 300, items: int = 8, seed: int = 0, weighted: bool = False
) -> Survey:
    """Two regions that answer differently; a few give no answer."""
    generator = np.random.default_rng(seed)
    book = Codebook(
        title="A made-up survey",
        items=tuple(make_item(i, options=3 + i % 3) for i in range(items)),
        demographics=("region", "age"),
    )
    region = generator.choice(["north", "south"], respondents)
    columns: dict[str, object] = {
        "respondent": [f"r{i:04d}" for i in range(respondents)],
        "weight": generator.uniform(0.5, 2, respondents) if weighted else np.ones(respondents),
        "region": region,
        "age": [str(age) for age in generator.integers(18, 90, respondents)],
    }
    for item in book.items:
        k = len(item.options)
        north, south = generator.dirichlet(np.full(k, 0.8), 2)
        draws = np.where(
            region == "north",
            generator.choice(k, respondents, p=north),
            generator.choice(k, respondents, p=south),
        )
        silent = generator.random(respondents) < 0.05
        answers = np.where(silent, int(NonResponse.DONT_KNOW), draws)
        columns[item.id] = pl.Series(answers, dtype=pl.Int16)
    return Survey(
        pl.DataFrame(columns),
        book,
        Provenance(
            reader="made-up",
            files={},
            statement="Made up.",
            weight_variable="weight" if weighted else None,
        ),
    )


def write_survey_files(folder: Path, survey: Survey) -> None:
    """The survey as a CSV file with a YAML codebook, as a user would bring it."""
    import yaml

    frame = survey.responses
    for item in survey.codebook.items:
        codes = {place: option.code for place, option in enumerate(item.options)}
        column = pl.col(item.id).cast(pl.Int64)
        frame = frame.with_columns(
            column.replace_strict({-1: "-1", **codes}, return_dtype=pl.String)
        )
    frame.write_csv(folder / "survey.csv")
    codebook = {
        "title": survey.codebook.title,
        "respondent": "respondent",
        "weight": "weight",
        "demographics": {"region": "region", "age": "age"},
        "non_response": {"don't know": [-1]},
        "items": [
            {
                "id": item.id,
                "question": item.question,
                "topic": item.topic,
                "options": {option.code: option.text for option in item.options},
            }
            for item in survey.codebook.items
        ],
    }
    (folder / "codebook.yaml").write_text(yaml.safe_dump(codebook, sort_keys=False))


CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_byte_tokenizer(chat: bool = True) -> "PreTrainedTokenizerFast":
    """A tokenizer with one token a byte, and four special ones for chats."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    vocabulary = {symbol: i for i, symbol in enumerate(special + alphabet)}
    plain = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    plain.add_special_tokens(special)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, eos_token="<|end|>", pad_token="<|end|>"
    )
    if chat:
        tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_tiny_model(folder: Path, chat: bool = True, seed: int = 0) -> Path:
    """A random two-layer Llama with a byte tokenizer: every code path of a real one, in ms."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_byte_tokenizer(chat)
    end = tokenizer.eos_token_id
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            eos_token_id=end,
            pad_token_id=end,
            bos_token_id=None,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
