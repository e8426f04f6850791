"""What a study would take on a named GPU, for models of other sizes: all estimates.

Arithmetic, not measurement: parameters, tokens and the method give operations and bytes; a GPU's
published speed, times the share of it that training and asking reach, gives hours. Each training,
and each model that is asked, is loaded once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from suffrage.align import TrainingOptions
from suffrage.errors import InputError
from suffrage.models.device import GPU_ROW_LENGTH
from suffrage.models.shape import ModelShape
from suffrage.study.planning.memory import Adapting, adapting, training_bytes, weight_bytes
from suffrage.study.planning.plan import AskingWork, asking_work, computed_inputs, training_sizes
from suffrage.study.planning.training_work import NOTHING
from suffrage.study.schema import MethodSpec, Study


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
# A model's start: libraries and the first kernels, then its weights from a disk: assumptions.
START_SECONDS = 30.0
DISK_BYTES_PER_SECOND = 1e9
# Of a model that is asked, besides its weights.
ASKING_BYTES = 5e9
# Bytes of a weight on the disk, and of an adapter's; a training keeps two points to resume from,
# each with Adam's two moments, until it is finished.
WEIGHT, ADAPTER, MOMENTS, POINTS = 2, 4, 2, 2
# Survey, records, answers and results.
OTHER_FILES = 2e9
# How many GPUs machines are rented with.
COUNTS = (1, 2, 4, 8)


@dataclass(frozen=True)
class HardwareRow:
    """What one method of a study takes on one GPU, with a model of one size."""

    model: str
    gpu: str
    adapting: Adapting
    method: str
    tokens: int
    memory_bytes: float
    gpus: int
    # Hours of one GPU: loading models, training, asking for answers, and evaluations' own
    # questions.
    loading_hours: float
    training_hours: float
    asking_hours: float
    evaluating_hours: float
    price: float | None

    @property
    def gpu_hours(self) -> float:
        """All of them."""
        return self.loading_hours + self.training_hours + self.asking_hours + self.evaluating_hours

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        money = None if self.price is None else self.price * self.gpu_hours
        facts = {name: value for name, value in vars(self).items() if name != "price"}
        memory = round(self.memory_bytes)
        return facts | {"memory_bytes": memory, "gpu_hours": self.gpu_hours, "money": money}


@dataclass(frozen=True)
class Machine:
    """The smallest machine that does for a whole study, with a model of one size."""

    model: str
    gpu: str
    gpus: int
    # The ways in which the study's methods train, in the words of ADAPTING; empty where none does.
    adapting: str
    memory_bytes: float  # of the hungriest method
    disk_bytes: float
    gpu_hours: float
    # Tenths of an hour, rounded up, so that nothing is said to take no time.
    hours_to_plan: float
    money: float | None


@dataclass(frozen=True)
class HardwarePlan:
    """A machine for each size of model, and what each method would take on every GPU."""

    machines: Sequence[Machine]
    rows: Sequence[HardwareRow]

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "machines": [
                vars(machine)
                | {
                    "memory_bytes": round(machine.memory_bytes),
                    "disk_bytes": round(machine.disk_bytes),
                }
                for machine in self.machines
            ],
            "rows": [row.as_json() for row in self.rows],
            "share_of_speed_reached": REACHED,
        }


def hardware_plan(study: Study, price_per_hour: float | None = None) -> HardwarePlan:
    """Memory, GPUs, hours and money for each size, GPU, way to adapt and method.

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
    inputs = computed_inputs(study)
    sizes = training_sizes(inputs, AT_ONCE, GPU_ROW_LENGTH)
    asked = asking_work(inputs)
    rows = [
        _row(spec, size, key, adapting, sizes.get(spec.name), asked[spec.name], price)
        for size in SIZES
        for key in GPUS
        for adapting in ADAPTING
        for spec in study.methods
        if spec.name in sizes or spec.method.train is None
    ]
    trainings = {
        spec.name: sum(place[0] == spec.name for place in inputs.wiring.align)
        for spec in study.methods
    }
    machines = [_machine(study, size, rows, trainings, price) for size in SIZES]
    return HardwarePlan(machines, rows)


def _row(
    spec: MethodSpec,
    size: str,
    key: str,
    changed: Adapting,
    trained: tuple[Any, Any] | None,
    asked: AskingWork,
    price: float | None,
) -> HardwareRow:
    shape, gpu = SIZES[size], GPUS[key]
    work, needs = NOTHING, shape.parameters * WEIGHT + ASKING_BYTES
    if trained is not None:
        work, step = trained
        width = 4 if changed == "full" else 2
        own = RUNTIME + training_bytes(spec, shape, step, width, changed, recomputed=True)
        needs = max(needs, own)
    speed = gpu.operations * REACHED
    operations = shape.parameters * (
        (OPERATIONS[changed] + RECOMPUTED) * (work.learnt + work.packed)
        + FORWARD * (work.read + work.written)
    )
    read = FORWARD * shape.parameters / speed
    load = START_SECONDS + shape.parameters * WEIGHT / DISK_BYTES_PER_SECOND
    return HardwareRow(
        size,
        key,
        changed,
        spec.name,
        round(work.tokens),
        needs,
        ceil(needs / (gpu.memory * USABLE)),
        asked.loads * load / 3600,
        operations / speed / 3600,
        read * asked.answers / 3600,
        read * asked.probes / 3600,
        price,
    )


def _machine(
    study: Study,
    size: str,
    rows: Sequence[HardwareRow],
    trainings: Mapping[str, int],
    price: float | None,
) -> Machine:
    """The machine with the fewest GPUs, and of those the slowest, on which every method fits."""
    own = {spec.name: _own_adapting(spec) for spec in study.methods}
    # Methods that change the model's weights, or add to them.
    changed = {spec.name for spec in study.methods if trainings[spec.name] and not spec.method.load}
    wanted = [row for row in rows if row.model == size and row.adapting == own[row.method]]
    found = []
    for place, key in enumerate(GPUS):
        here = [row for row in wanted if row.gpu == key]
        count = max(row.gpus for row in here)
        rented = next((some for some in COUNTS if some >= count), 8 * ceil(count / 8))
        found.append((rented, place, key, here))
    rented, _, key, here = min(found, key=lambda one: one[:2])
    hours = sum(row.gpu_hours for row in here)
    # A machine of several GPUs is paid as a whole, and one process uses them one after another.
    paid = ceil(10 * hours) / 10 * rented
    return Machine(
        size,
        key,
        rented,
        ", ".join(dict.fromkeys(own[row.method] for row in here if row.method in changed)),
        max(row.memory_bytes for row in here),
        _disk_bytes(study, size, trainings),
        hours,
        ceil(10 * hours) / 10,
        None if price is None else price * paid,
    )


def _own_adapting(spec: MethodSpec) -> Adapting:
    return adapting(spec.options) if isinstance(spec.options, TrainingOptions) else "lora"


def _disk_bytes(study: Study, size: str, trainings: Mapping[str, int]) -> float:
    """The model, every checkpoint, and the points that one training at a time resumes from."""
    shape = SIZES[size]
    total, largest = shape.parameters * WEIGHT + OTHER_FILES, 0.0
    for spec in study.methods:
        options = spec.options
        if not isinstance(options, TrainingOptions) or spec.method.load is not None:
            continue
        if options.adapter == "none":
            kept, trained = float(shape.parameters * WEIGHT), float(shape.parameters * ADAPTER)
        else:
            # The trained weights with gradient and moments are 16 bytes each.
            added = weight_bytes(shape, "lora", 0, options.rank, options.layers) / 16
            kept = trained = added * ADAPTER
        total += trainings[spec.name] * kept
        largest = max(largest, POINTS * (1 + MOMENTS) * trained)
    return total + largest


def hardware_table(plan: HardwarePlan, currency: str) -> Any:
    """The recommended machines for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("Model", "Smallest machine", "Trained"):
        table.add_column(column, no_wrap=True)
    for column in ("Memory", "Disk", "Hours", "Money"):
        table.add_column(column, justify="right", no_wrap=True)
    for machine in plan.machines:
        money = "–" if machine.money is None else f"{machine.money:.2f} {currency}"
        table.add_row(
            machine.model,
            f"{machine.gpus} x {GPUS[machine.gpu].name}",
            machine.adapting or "–",
            f"{ceil(machine.memory_bytes / 1e9)} GB",
            f"{ceil(machine.disk_bytes / 1e9)} GB",
            f"{machine.hours_to_plan:.1f}",
            money,
        )
    notes = [
        "The whole study with a model of each size in place of the study's own: models loaded, "
        "trained, asked and evaluated, one after another. `suffrage plan` without --gpus plans the "
        "study's own model on this machine.",
        "Estimated, not measured: data-sheet speed (dense bfloat16) times "
        f"{REACHED:.0%}, activations recomputed; hours are rounded up to a tenth. Answers written "
        "by plain generation take longer than that.",
        "lora and qlora train an adapter, full trains all weights: a method's `adapter:` says "
        "which. Every method on every GPU, each way: --json.",
    ]
    if all(machine.money is None for machine in plan.machines):
        notes.append("--price says what one GPU costs for an hour, and gives the money.")
    return Group(table, *(Text(f"\n{note}", style="dim") for note in notes))
