"""What the processes that share a training do together.

Where processes share a model, each pass through it is a meeting: weights in shards (FSDP, ZeRO-3)
are gathered from all processes, and a whole copy (DDP) takes its buffers from the first process. A
process that makes one pass more than another would wait for ever. Each process therefore learns how
many passes the others make, and makes up the difference with passes that count nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from suffrage.errors import require
from suffrage.models.device import process_count, process_rank
from suffrage.models.packing import ScoreRequest, packed
from suffrage.models.packing_rule import NEVER_PACKED, pack_log_probs

if TYPE_CHECKING:
    import torch

_Part = TypeVar("_Part")


def own_parts(parts: Sequence[_Part]) -> list[_Part | None]:
    """Return this process's share of some parts, as many in each process.

    Parameters
    ----------
    parts : sequence
        The same in every process.

    Returns
    -------
    list
        None for each part that this process lacks and another one has.

    Examples
    --------
    >>> own_parts(["a", "b", "c"])
    ['a', 'b', 'c']
    """
    count = process_count()
    whole = [*parts, *[None] * (-len(parts) % count)]
    return whole[process_rank() :: count]


def gathered(values: list[float]) -> torch.Tensor:
    """Return the same few numbers of every process.

    Returns
    -------
    tensor, shape (processes, values)
        In float32, with the processes in their order.
    """
    torch = require("torch", "align", "training")
    operations = require("accelerate.utils", "align", "training")
    own = torch.tensor([values])
    if process_count() == 1:
        return torch.as_tensor(own)
    device = require("accelerate", "align", "training").PartialState().device
    return torch.as_tensor(operations.gather(own.to(device)).cpu())


def gathered_lists(own: list[Any]) -> list[Any]:
    """Return the lists of every process as one, in the order of the processes."""
    if process_count() == 1:
        return own
    found: list[Any] = require("accelerate.utils", "align", "training").gather_object(own)
    return found


def missing_passes(own: int) -> int:
    """Return how many passes more than this process the process with the most makes.

    Every process must call this before it makes its own passes.
    """
    return int(gathered([float(own)]).max()) - own


def empty_passes(model: Any, count: int) -> torch.Tensor | float:
    """Make passes through a model that count nothing.

    Parameters
    ----------
    model : PreTrainedModel
        As the trainer wraps it.
    count : int
        How many passes.

    Returns
    -------
    tensor, scalar, or float
        0, with a gradient of 0 in every weight: added to a loss, it makes as many passes backward.
    """
    (row,) = packed([ScoreRequest((0,), ((0,),))], 1)
    passes = [pack_log_probs(model, row, NEVER_PACKED).sum() for _ in range(count)]
    return sum(passes) * 0.0 if passes else 0.0
