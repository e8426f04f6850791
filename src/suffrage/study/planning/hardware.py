"""What a study's trainings would take on a named GPU, for models of other sizes: all estimates.

Arithmetic, not measurement: parameters, tokens and the method give operations and bytes; a GPU's
published speed, times the share of it that training reaches, gives hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from suffrage.align import TrainingOptions
from suffrage.errors import InputError
from suffrage.models.device import GPU_ROW_LENGTH
from suffrage.models.shape import ModelShape
from suffrage.study.planning.memory import Adapting, training_bytes
from suffrage.study.planning.plan import training_sizes
from suffrage.study.schema import Study


@dataclass(frozen=True)
class Gpu:
    """A GPU by its data sheet."""

    name: str
    # A second, in dense bfloat16.
    operations: float
    # In bytes.
    memory: float


# NVIDIA's data sheets: A100 80GB SXM, H100 80GB SXM, B200 of an HGX board; dense, no sparsity.
GPUS = {
    "a100": Gpu("A100 80 GB", 312e12, 80e9),
    "h100": Gpu("H100 80 GB", 989e12, 80e9),
    "b200": Gpu("B200 180 GB", 2250e12, 180e9),
}
# Shapes typical of open models of that size: layers, width and heads as Qwen2.5 has them.
SIZES = {
    "7B": ModelShape(7_600_000_000, 3584, 28, 28, 152_064, inner=18_944, shared=512),
    "14B": ModelShape(14_800_000_000, 5120, 48, 40, 152_064, inner=13_824, shared=1024),
    "32B": ModelShape(32_800_000_000, 5120, 64, 40, 152_064, inner=27_648, shared=1024),
}
# The share of a GPU's published speed that fine-tuning on short rows reaches: an assumption.
REACHED = 0.3
ADAPTING: tuple[Adapting, ...] = ("lora", "qlora", "full")
# Operations a parameter and token: forward 2; backward 2 for activations, 2 more for weights.
OPERATIONS = {"lora": 4.0, "qlora": 4.0, "full": 6.0}
RECOMPUTED = 2.0
FORWARD = 2.0
# What the driver and the libraries' workspaces take of a GPU: an assumption.
RUNTIME = 3e9
# Records computed at a time.
AT_ONCE = 8
# Of a GPU's memory, what may be planned for; the rest goes to fragments and buffers.
USABLE = 0.9


def hardware_plan(study: Study, price_per_hour: float | None = None) -> list[dict[str, Any]]:
    """A row for each size, GPU, way to adapt and trained method: memory, GPUs, hours, money.

    Activations are recomputed (gradient checkpointing), `AT_ONCE` records at a time.

    Parameters
    ----------
    study : Study
    price_per_hour : float or None
        The price of one GPU; None takes the study's own price. Without either there is no money.

    Raises
    ------
    InputError
        The study trains nothing.
    """
    if not study.trains:
        raise InputError(
            f"{study.source.name} trains no method: there is nothing to plan on a GPU."
        )
    price = price_per_hour
    if price is None and study.price is not None:
        price = study.price.per_hour
    sizes = training_sizes(study, AT_ONCE, GPU_ROW_LENGTH)
    rows = []
    for size, shape in SIZES.items():
        for key, gpu in GPUS.items():
            for adapting in ADAPTING:
                for spec in study.methods:
                    if not isinstance(spec.options, TrainingOptions):
                        continue
                    work, step = sizes[spec.name]
                    width = 4 if adapting == "full" else 2
                    needs = RUNTIME + training_bytes(
                        spec, shape, step, width, adapting, recomputed=True
                    )
                    gpus = ceil(needs / (gpu.memory * USABLE))
                    operations = shape.parameters * (
                        (OPERATIONS[adapting] + RECOMPUTED) * work.learnt
                        + FORWARD * (work.read + work.written)
                    )
                    seconds = operations / (gpu.operations * REACHED)
                    hours = seconds / 3600
                    rows.append(
                        {
                            "model": size,
                            "gpu": key,
                            "adapting": adapting,
                            "method": spec.name,
                            "tokens": round(work.tokens),
                            "memory_bytes": needs,
                            "gpus": gpus,
                            "gpu_hours": hours,
                            "money": None if price is None else price * hours,
                        }
                    )
    return rows


def hardware_table(rows: list[dict[str, Any]], currency: str) -> Any:
    """The rows for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("Model", "GPU", "Adapting", "Method"):
        table.add_column(column, no_wrap=True)
    for column in ("Memory", "GPUs", "GPU hours", "Money"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        money = "–" if row["money"] is None else f"{row['money']:.2f} {currency}"
        table.add_row(
            row["model"],
            GPUS[row["gpu"]].name,
            row["adapting"],
            row["method"],
            f"{row['memory_bytes'] / 1e9:.0f} GB",
            str(row["gpus"]),
            f"{row['gpu_hours']:.3f}",
            money,
        )
    note = (
        "Estimated, not measured: data-sheet speed (dense bfloat16) times "
        f"{REACHED:.0%}, activations recomputed; answers written by "
        "plain generation take longer than that. Asking the models is not in it."
    )
    return Group(table, Text(f"\n{note}", style="dim"))
