"""After training: how far from the start to go, chosen on what was held back.

Weights between those that training began with and those it ended with are tried, and the best are
kept. The start itself is always among them, so that training never leaves a worse point on what it
was chosen on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suffrage.align.loop import snapshot, trainable
from suffrage.align.validation import ValidationPoint, allowed
from suffrage.errors import require

if TYPE_CHECKING:
    import torch

# Of the trained weights: 0 is the start, and 1 is what training left.
BLENDS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class BlendPoint:
    """What one weight between the start and the trained model gives."""

    # Of the trained weights, 0 to 1.
    weight: float
    # Of the consultation's cells held back.
    fit: float
    # Of the survey's cells held back; None where there are none.
    survey_fit: float | None


def chosen_blend(points: Sequence[BlendPoint], tolerance: float) -> BlendPoint:
    """The best point, where the survey's fit falls by no more than the tolerance.

    Parameters
    ----------
    points : sequence of BlendPoint
        The start, of weight 0, is among them.
    tolerance : float
        How far below the start's the survey's fit may be.

    Returns
    -------
    BlendPoint
        Of equally good points the one nearest to the start, and never one worse than it.

    Examples
    --------
    >>> start, end = BlendPoint(0.0, 0.7, 0.8), BlendPoint(1.0, 0.9, 0.7)
    >>> chosen_blend([start, end], 0.01).weight, chosen_blend([start, end], 0.2).weight
    (0.0, 1.0)
    """
    start = next(point for point in points if point.weight == 0)
    able = [p for p in points if allowed(p.survey_fit, start.survey_fit, tolerance)]
    return max([start, *able], key=lambda p: (p.fit, -p.weight))


def blended(
    start: Mapping[str, torch.Tensor], end: Mapping[str, torch.Tensor], weight: float, new: bool
) -> dict[str, torch.Tensor]:
    """Parameters between two sets of them.

    Parameters
    ----------
    start, end : mapping
        The trained parameters before and after, by name.
    weight : float
        Of `end`, 0 to 1; both ends are exact.
    new : bool
        Whether an adapter was made for this training. Its change is B A, with B 0 at the start, so
        that B is scaled and A is that of the end: the change is then `weight` times the whole.

    Examples
    --------
    >>> import torch
    >>> two = blended({"x": torch.zeros(1)}, {"x": torch.ones(1)}, 0.25, False)
    >>> two["x"].item()
    0.25
    """
    found = {}
    for name, last in end.items():
        if new and "lora_A" in name:
            found[name] = last
        else:
            found[name] = {0.0: start[name], 1.0: last}.get(
                weight, start[name] + weight * (last - start[name])
            )
    return found


def blend_with_start(
    model: Any,
    start: Mapping[str, torch.Tensor],
    output: Path,
    measure: Callable[[Any], ValidationPoint],
    tolerance: float,
    new: bool,
) -> dict[str, Any]:
    """Try weights between the start and what training left, and save the best.

    Parameters
    ----------
    model : PreTrainedModel
        The model that was trained; its weights are replaced.
    start : mapping
        Its trained parameters before training, by name.
    output : Path
        Where training left the point it chose, and where the best is saved.
    measure : callable
        What the model gives on everything held back.
    tolerance : float
        See `chosen_blend`.
    new : bool
        See `blended`.

    Returns
    -------
    dict
        For the checkpoint's manifest: the weight that won, and what each would have given.
    """
    _load_saved(model, output)
    end = snapshot(model)
    points = []
    for weight in BLENDS:
        _set(model, blended(start, end, weight, new))
        point = measure(model)
        points.append(BlendPoint(weight, point.fit, point.survey_fit))
    best = chosen_blend(points, tolerance)
    _set(model, blended(start, end, best.weight, new))
    if best.weight != 1:
        model.save_pretrained(str(output))
    return {
        "weight": best.weight,
        "tolerance": tolerance,
        "points": [asdict(point) for point in points],
    }


def _set(model: Any, values: Mapping[str, torch.Tensor]) -> None:
    import torch

    with torch.no_grad():
        for name, parameter in trainable(model).items():
            parameter.copy_(values[name])


def _load_saved(model: Any, folder: Path) -> None:
    """Give a model the weights that a training saved."""
    safetensors = require("safetensors.torch", "align", "blending")
    adapter = folder / "adapter_model.safetensors"
    if adapter.is_file():
        peft = require("peft", "align", "blending")
        peft.set_peft_model_state_dict(model, safetensors.load_file(adapter))
        return
    for file in sorted(folder.glob("*.safetensors")):
        model.load_state_dict(safetensors.load_file(file), strict=False)
