"""Weights and tokenizers from a folder, a hub id or a bundled model into memory."""

from __future__ import annotations

from typing import Any

from suffrage.errors import InputError, require
from suffrage.models import bundled
from suffrage.models.device import process_gpu
from suffrage.models.identity import ModelIdentity, not_at_hand


def load_weights(
    identity: ModelIdentity, dtype: str, four_bits: bool = False, placed: bool = False
) -> tuple[Any, Any]:
    """Load a model and its tokenizer, in evaluation mode on the CPU.

    Parameters
    ----------
    identity : ModelIdentity
    dtype : str
        Of the weights: "float32", "bfloat16" or "float16".
    four_bits : bool
        Load the weights in 4-bit NormalFloat (Dettmers et al. 2023), on the GPU.
    placed : bool
        Put the weights where the model's `device_map` says, if it has one.

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
    source, given = loading_source(identity)
    more: dict[str, Any] = {}
    if placed and identity.device_map is not None:
        more["device_map"] = identity.device_map
    if identity.attn_implementation is not None:
        more["attn_implementation"] = identity.attn_implementation
    if four_bits:
        if not torch.cuda.is_available():
            raise InputError("adapter: qlora needs a CUDA GPU; use adapter: lora here.")
        require("bitsandbytes", "qlora", "adapter: qlora")
        more |= {
            "device_map": {"": process_gpu()},
            "quantization_config": transformers.BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=getattr(torch, dtype),
            ),
        }
    try:
        kind, _ = transformers.PreTrainedConfig.get_config_dict(source, **given)
        _check_code(identity, kind)
        _check_code(identity, _tokenizer_kind(source, given))
        config = transformers.AutoConfig.from_pretrained(source, **given)
        _check_writes_forward(identity, config)
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **given)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            source, dtype=getattr(torch, dtype), **given, **more
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise _not_loaded(identity, error) from error
    model.get_output_embeddings().register_forward_pre_hook(_contiguous)
    return model.eval(), tokenizer


def loading_source(identity: ModelIdentity) -> tuple[str, dict[str, Any]]:
    """Where Transformers loads a model from, and what it is told about the source.

    Returns
    -------
    source : str
        A folder or a hub id.
    given : dict
        Keywords of every `from_pretrained`: the exact revision, and whether the model's own code
        may run. That is always said, because Transformers asks at the terminal otherwise.

    Raises
    ------
    InputError
        The source is a hub id whose revision could not be found out.
    """
    source = identity.source
    if source.startswith(bundled.PREFIX):
        source = str(bundled.prepared_folder(source.removeprefix(bundled.PREFIX)))
    given: dict[str, Any] = {"trust_remote_code": identity.trust_remote_code}
    if identity.on_hub:
        if identity.revision is None:
            raise InputError(not_at_hand(identity))
        given["revision"] = identity.revision
    return source, given


def _tokenizer_kind(source: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a model's tokenizer_config.json says; nothing where it has none."""
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    return dict(get_tokenizer_config(source, **given))


def _check_code(identity: ModelIdentity, kind: dict[str, Any]) -> None:
    """Check that a model's own code comes with the model; raises InputError if not.

    kind: what its config.json or its tokenizer_config.json says. Code of another repository has a
    revision of its own, which nothing here would pin.
    """
    mapped = (kind.get("auto_map") or {}).values()
    named = [one for some in mapped for one in (some if isinstance(some, list) else [some])]
    elsewhere = sorted({one.split("--")[0] for one in named if one and "--" in one})
    if identity.trust_remote_code and elsewhere:
        raise InputError(
            f"model.trust_remote_code: {identity.name} runs code of {elsewhere[0]}, whose version "
            "a study cannot pin; put the model and its code into one folder and name that."
        )


def _not_loaded(identity: ModelIdentity, error: Exception) -> InputError:
    if "trust_remote_code" in str(error) and not identity.trust_remote_code:
        return InputError(
            f"model: {identity.name} needs Python code that comes with it, and code from others is "
            "not run unasked. Read that code first; then say trust_remote_code: true under model:."
        )
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
