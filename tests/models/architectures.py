"""Tiny random models of many architectures, configured so that their windows are short."""

from __future__ import annotations

from typing import Any

WINDOW = 32
VOCABULARY = 260
_ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
_SMALL = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, **_ENDS}
_USUAL = {
    **_SMALL,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}
_GROUPED = {**_USUAL, "num_key_value_heads": 2}
_WIDE = {**_GROUPED, "head_dim": 8}
_GPT = {"vocab_size": VOCABULARY, "n_layer": 2, "n_head": 4, **_ENDS}
_LINEAR = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}

# The name of the configuration's class, and its settings.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _GROUPED),
    "qwen 2": ("Qwen2Config", _GROUPED),
    "qwen 3": ("Qwen3Config", _WIDE),
    "gpt-2": ("GPT2Config", {**_GPT, "n_embd": 32, "n_positions": 512}),
    "opt": (
        "OPTConfig",
        {**_USUAL, "ffn_dim": 64, "word_embed_proj_dim": 32, "pad_token_id": 1},
    ),
    "phi-2": ("PhiConfig", _USUAL),
    "phi-3": ("Phi3Config", {**_GROUPED, "sliding_window": WINDOW}),
    "gpt-neo": (
        "GPTNeoConfig",
        {
            **_ENDS,
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": WINDOW,
            "max_position_embeddings": 512,
        },
    ),
    "gpt-neox": ("GPTNeoXConfig", _USUAL),
    "mistral": ("MistralConfig", {**_GROUPED, "sliding_window": WINDOW}),
    "mixtral": ("MixtralConfig", {**_GROUPED, "num_local_experts": 4}),
    "olmo 2": ("Olmo2Config", _GROUPED),
    "smollm 3": ("SmolLM3Config", _GROUPED),
    "gemma 2": (
        "Gemma2Config",
        {
            **_WIDE,
            "sliding_window": WINDOW,
            "query_pre_attn_scalar": 8,
            "final_logit_softcapping": 5.0,
            "attn_logit_softcapping": 5.0,
        },
    ),
    "gemma 3": (
        "Gemma3TextConfig",
        {
            **_WIDE,
            "sliding_window": WINDOW,
            "query_pre_attn_scalar": 8,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "cohere 2": (
        "Cohere2Config",
        {
            **_GROUPED,
            "sliding_window": WINDOW,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "gpt-oss": ("GptOssConfig", {**_WIDE, "sliding_window": WINDOW, "num_local_experts": 4}),
    "llama 4": (
        "Llama4TextConfig",
        {
            **_WIDE,
            "intermediate_size_mlp": 64,
            "num_local_experts": 2,
            "attention_chunk_size": WINDOW,
        },
    ),
    "mpt": (
        "MptConfig",
        {"vocab_size": VOCABULARY, "d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 512},
    ),
    "bloom": ("BloomConfig", {**_GPT, "hidden_size": 32}),
    "falcon": ("FalconConfig", {**_SMALL, "num_attention_heads": 4}),
    "falcon, alibi": ("FalconConfig", {**_SMALL, "num_attention_heads": 4, "alibi": True}),
    "mamba": ("MambaConfig", {**_SMALL, "state_size": 8}),
    "mamba 2": (
        "Mamba2Config",
        {**_SMALL, "num_heads": 8, "head_dim": 8, "n_groups": 2, "state_size": 8, "chunk_size": 16},
    ),
    "rwkv": ("RwkvConfig", {**_SMALL, "attention_hidden_size": 32, "context_length": 512}),
    "jamba": (
        "JambaConfig",
        {
            **_GROUPED,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "num_experts": 2,
            "mamba_d_state": 8,
            "use_mamba_kernels": False,
        },
    ),
    "lfm 2": ("Lfm2Config", {**_GROUPED, "layer_types": ["conv", "full_attention"]}),
    "qwen 3 next": (
        "Qwen3NextConfig",
        {
            **_WIDE,
            **_LINEAR,
            **_EXPERTS,
            "shared_expert_intermediate_size": 16,
            "layer_types": ["linear_attention", "full_attention"],
        },
    ),
}
# Beyond their window these choose the tokens that they see by scores. Equal ones make an answer
# depend on how long the row is.
CHOOSING: dict[str, tuple[str, dict[str, Any]]] = {
    "doge": ("DogeConfig", {**_GROUPED, "keep_window_size": WINDOW}),
}
# These have no attention, or attention that a mask of ours cannot steer.
READ_PLAINLY = {
    "mpt",
    "bloom",
    "falcon, alibi",
    "mamba",
    "mamba 2",
    "rwkv",
    "jamba",
    "lfm 2",
    "qwen 3 next",
}


# Transformers writes no sdpa attention for these. The names spare the collection of tests a load.
EAGER_ONLY = {"gpt-neo", "gemma 2", "gpt-oss", "mpt", "bloom", "mamba", "mamba 2", "rwkv"}


def attentions(name: str) -> list[str]:
    """The kinds of attention that an architecture has: eager, and sdpa where it is written."""
    return ["eager"] if name in EAGER_ONLY else ["sdpa", "eager"]


def random_model(name: str, attention: str, dropout: float | None = None) -> Any:
    """A model with random weights, made larger so that its answers depend on what it reads.

    dropout: for every kind of dropout that its configuration names.
    """
    import torch
    import transformers

    config, settings = (ARCHITECTURES | CHOOSING)[name]
    torch.manual_seed(0)
    made = getattr(transformers, config)(**settings)
    if dropout is not None:
        for name in [name for name in vars(made) if "drop" in name]:
            setattr(made, name, dropout)
    model = transformers.AutoModelForCausalLM.from_config(made, attn_implementation=attention)
    with torch.no_grad():
        for title, weights in model.named_parameters():
            if weights.dim() >= 2:
                weights.mul_(5.0 if "embed" in title or "wte" in title else 3.0)
            elif title.endswith("self_attn.A"):  # of Doge: by these it chooses
                weights.normal_()
    return model.eval()
