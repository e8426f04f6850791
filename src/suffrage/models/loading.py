"""Weights and tokenizers from a folder, a hub id or a bundled model into memory."""

from __future__ import annotations

from typing import Any

from suffrage.errors import InputError, require
from suffrage.models import bundled
from suffrage.models.identity import ModelIdentity


def load_weights(identity: ModelIdentity, dtype: str, four_bits: bool = False) -> tuple[Any, Any]:
    """Load a model and its tokenizer, in evaluation mode on the CPU.

    Parameters
    ----------
    identity : ModelIdentity
    dtype : str
        Of the weights: "float32", "bfloat16" or "float16".
    four_bits : bool
        Load the weights in 4-bit NormalFloat (Dettmers et al. 2023), on the GPU.

    Returns
    -------
    model, tokenizer

    Raises
    ------
    InputError
        The source is not a causal language model or cannot be reached, or 4 bits are asked for
        without a CUDA GPU.
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
        config = transformers.AutoConfig.from_pretrained(source)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _not_loaded(identity, error) from error
    _check_writes_forward(identity, config)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            source, dtype=getattr(torch, dtype), **more
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _not_loaded(identity, error) from error
    model.get_output_embeddings().register_forward_pre_hook(_contiguous)
    return model.eval(), tokenizer


def _not_loaded(identity: ModelIdentity, error: Exception) -> InputError:
    return InputError(
        f"model: {identity.name} could not be loaded as a causal language model "
        f"({_first_line(error)}). Check the name or folder; a hub id needs the network, or "
        "HF_HOME with the model in it."
    )


def _check_writes_forward(identity: ModelIdentity, config: Any) -> None:
    """Check that a model writes each token after those before it; raises InputError if not."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    kind = None
    if config.is_encoder_decoder:
        kind = "an encoder-decoder"
    elif config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(
        config, "is_decoder", False
    ):
        kind = "an encoder, which reads the words on both sides of a gap"
    if kind:
        raise InputError(
            f"model: {identity.name} is {kind} ({config.model_type}); name a causal language "
            "model, which continues a text."
        )


def _contiguous(module: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Copy the states that the head reads next to each other.

    The last positions of several rows are apart in memory. PyTorch multiplies each row of such
    states with its own copy of the weights: (vocabulary x width) bytes a row.
    """
    return (given[0].contiguous(), *given[1:])


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
