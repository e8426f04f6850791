"""Where a loaded model's weights go: one device, or several where one is too small.

Accelerate computes each layer where its weights are. What fits on no GPU stays in memory, and a GPU
takes it for each pass, which is slow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from suffrage.errors import require
from suffrage.models.device import device_name

if TYPE_CHECKING:
    import torch

# The share of a GPU's free memory that weights may take. Passes need the rest.
ROOM = 0.9
# An index that each layer would be given a copy of. It stays in memory, where any GPU may use it.
_INDEX = "logits_to_keep"


def place_model(model: Any) -> Any:
    """Move a model to this machine's GPU, or over all of them where it does not fit on one.

    Parameters
    ----------
    model : PreTrainedModel
        In memory, or placed already by Transformers' `device_map`.

    Returns
    -------
    PreTrainedModel
    """
    if getattr(model, "hf_device_map", None) is None:
        device = device_name()
        if device != "cuda" or fits_on_one_gpu(model):
            return model.to(device)
        model = _spread(model)
    if is_spread(model):
        hook = model._hf_hook
        kept = [hook.skip_keys] if isinstance(hook.skip_keys, str) else list(hook.skip_keys or ())
        hook.skip_keys = [*kept, _INDEX]
    return model


def fits_on_one_gpu(model: Any) -> bool:
    """Whether a model's weights leave room for its passes on this process's GPU."""
    import torch

    torch.cuda.empty_cache()  # what earlier models have freed counts as free
    free, _ = torch.cuda.mem_get_info()
    return bool(model.get_memory_footprint() <= ROOM * free)


def _spread(model: Any) -> Any:
    """The model with its modules on all GPUs, and on the CPU what fits on none."""
    accelerate = require("accelerate", "align", "a model on several devices")
    devices = _device_map(model)
    return accelerate.dispatch_model(
        model,
        device_map=devices,
        main_device=_main_device(devices),
        skip_keys=model._skip_keys_device_placement,
    )


def is_spread(model: Any) -> bool:
    """Whether a model's weights are on several devices."""
    return len(set((getattr(model, "hf_device_map", None) or {}).values())) > 1


def input_device(model: Any) -> torch.device:
    """The device that a model takes its tokens on."""
    import torch

    devices = getattr(model, "hf_device_map", None)
    if devices:
        return torch.device(_main_device(devices))
    found: torch.device = next(model.parameters()).device
    return found


def index_device(model: Any) -> torch.device:
    """The device that a model takes the places of wanted logits on."""
    import torch

    return torch.device("cpu") if is_spread(model) else input_device(model)


def _device_map(model: Any) -> dict[str, Any]:
    """Which GPU each module of a model goes to; "cpu" for what fits on none."""
    utils = require("accelerate.utils", "align", "a model on several devices")
    whole = list(model._no_split_modules or ())
    memory = utils.get_max_memory()
    # The weights are in memory already, so there is room for all of them.
    memory["cpu"] = max(memory.get("cpu", 0), 2 * model.get_memory_footprint())
    balanced = utils.get_balanced_memory(
        model, max_memory=memory, no_split_module_classes=whole, dtype=model.dtype
    )
    found: dict[str, Any] = utils.infer_auto_device_map(
        model, max_memory=balanced, no_split_module_classes=whole, dtype=model.dtype
    )
    return found


def _main_device(devices: dict[str, Any]) -> str:
    """The first device that computes."""
    first = next((device for device in devices.values() if device not in ("cpu", "disk")), "cpu")
    return f"cuda:{first}" if isinstance(first, int) else str(first)
