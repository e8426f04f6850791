"""After training: how far from the start to go, chosen on what was held back.

Weights between those that training began with and those it ended with are tried (WiSE-FT, Wortsman
et al., 2022, arXiv:2109.01903), and the best are kept, or the least that are about as good. The
start itself is always among them, so that training never leaves a worse point on what it was chosen
on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from suffrage.align.loop import snapshot, trainable
from suffrage.align.validation import ValidationPoint, allowed
from suffrage.arrays import FloatArray
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
    # Of the cells held back.
    fit: float
    # Of the survey's cells held back, where a consultation is learnt; None where there are none.
    survey_fit: float | None
    # How far the fit is behind the best point's, on average over questions.
    behind: float = 0.0
    # The standard error of `behind`.
    error: float = 0.0


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
    return max(_able(points, tolerance), key=lambda p: (p.fit, -p.weight))


def least_blend(points: Sequence[BlendPoint], tolerance: float) -> BlendPoint:
    """The point nearest to the start that is within one standard error of the best.

    What is held back shows how well the training learnt, and not what the model forgot. Of points
    that can hardly be told apart, the one nearest to the start forgets least (the
    one-standard-error rule of Hastie, Tibshirani and Friedman, 2009, section 7.10).

    Parameters
    ----------
    points : sequence of BlendPoint
        With how far each is behind the best, see `behind_the_best`.
    tolerance : float
        As for `chosen_blend`.

    Examples
    --------
    >>> start, end = BlendPoint(0.0, 0.6, None, 0.1, 0.02), BlendPoint(1.0, 0.7, None)
    >>> middle = BlendPoint(0.5, 0.69, None, 0.01, 0.02)
    >>> least_blend([start, middle, end], 0.01).weight
    0.5
    """
    near = [p for p in _able(points, tolerance) if p.behind <= p.error]
    return min([*near, chosen_blend(points, tolerance)], key=lambda p: p.weight)


def _able(points: Sequence[BlendPoint], tolerance: float) -> list[BlendPoint]:
    """The start, and every point at which the survey's fit falls by no more than the tolerance."""
    start = next(point for point in points if point.weight == 0)
    return [start, *(p for p in points if allowed(p.survey_fit, start.survey_fit, tolerance))]


def behind_the_best(best: FloatArray, own: FloatArray) -> tuple[float, float]:
    """How far one point's fit is behind another's over the same questions.

    Parameters
    ----------
    best, own : array, shape (questions,)
        The fit of each question, 0 to 1.

    Returns
    -------
    tuple of float
        The mean difference, and its standard error over questions; 0 with one question.

    Examples
    --------
    >>> lost, error = behind_the_best(np.array([0.9, 0.7, 0.8]), np.array([0.8, 0.7, 0.7]))
    >>> print(f"{lost:.4f} {error:.4f}")
    0.0667 0.0333
    """
    lost = best - own
    error = float(np.std(lost, ddof=1) / np.sqrt(lost.size)) if lost.size > 1 else 0.0
    return float(np.mean(lost)), error


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
    measure: Callable[[Any], tuple[ValidationPoint, FloatArray]],
    tolerance: float,
    new: bool,
    least: bool = False,
) -> dict[str, Any]:
    """Try weights between the start and what training left, and save the best or the least.

    Parameters
    ----------
    model : PreTrainedModel
        The model that was trained; its weights are replaced.
    start : mapping
        Its trained parameters before training, by name.
    output : Path
        Where training left the point it chose, and where the best is saved.
    measure : callable
        What the model gives on everything held back, and the fit of each question.
    tolerance : float
        See `chosen_blend`.
    new : bool
        See `blended`.
    least : bool
        Whether `least_blend` chooses, and not `chosen_blend`.

    Returns
    -------
    dict
        For the checkpoint's manifest: the weight that won, and what each would have given.
    """
    _load_saved(model, output)
    end = snapshot(model)
    points, each = [], {}
    for weight in BLENDS:
        _set(model, blended(start, end, weight, new))
        found, each[weight] = measure(model)
        points.append(BlendPoint(weight, found.fit, found.survey_fit))
    best = each[chosen_blend(points, tolerance).weight]
    for place, point in enumerate(points):
        lost, error = behind_the_best(best, each[point.weight])
        points[place] = replace(point, behind=lost, error=error)
    kept = (least_blend if least else chosen_blend)(points, tolerance)
    _set(model, blended(start, end, kept.weight, new))
    if kept.weight != 1:
        model.save_pretrained(str(output))
    return {
        "rule": "one_standard_error" if least else "best",
        "weight": kept.weight,
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
