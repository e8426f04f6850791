"""Several processes, started from the configurations that ship, take the same steps as one."""

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from suffrage.align import launch
from suffrage.align.launch import (
    check_launches,
    launch_command,
    launcher_file,
    launchers,
    train_launched,
)
from suffrage.align.method import TrainingJob
from suffrage.errors import InputError, SuffrageError
from tests.align.test_training import job, method, run, weights

SHARDED = """
compute_environment: LOCAL_MACHINE
distributed_type: FSDP
use_cpu: true
num_machines: 1
num_processes: 2
mixed_precision: 'no'
fsdp_config:
  fsdp_version: 2
  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP
  fsdp_reshard_after_forward: true
  fsdp_state_dict_type: FULL_STATE_DICT
  fsdp_cpu_ram_efficient_loading: false
  fsdp_offload_params: false
"""


# Methods that only train, that read a reference first, and that share a mean over a step.
# Weights in shards make a meeting of each pass, whole ones of each pass with a gradient.
UNEVEN: list[tuple[str, dict[str, object], bool]] = [
    ("distribution", {}, False),
    ("dpo", {}, True),
    ("kto", {"z0": "batch", "labels": "shares"}, True),
]
# Seconds after which two processes are taken to wait for one another.
LONGEST_WAIT = 240


def losses(folder: Path) -> list[float]:
    lines = (folder / "training.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


@pytest.fixture(autouse=True)
def _on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture
def _no_waiting() -> Iterator[None]:
    """Fail where processes wait for one another."""

    def stop(*_: Any) -> None:
        raise TimeoutError("the processes wait for one another")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST_WAIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def uneven(given: TrainingJob) -> TrainingJob:
    """The job with long questions in the second process's part of each step.

    Each fills a row of its own, and so takes a pass.
    """
    half = given.options.batch // 2
    rows = [
        {**row, "user": f"{row['user']} {place}" + f" word{place}" * 60 * (place // half % 2)}
        for place, row in enumerate(given.records.frame.to_dicts())
    ]
    frame = pl.DataFrame(rows, schema=given.records.frame.schema)
    return replace(given, records=replace(given.records, frame=frame))


def both(
    name: str,
    tiny: Path,
    folder: Path,
    launcher: Path,
    change: Callable[[TrainingJob], TrainingJob] = lambda given: given,
    **options: object,
) -> tuple[Path, TrainingJob]:
    """The same job in one process and launched: the first one's output, and the second job."""
    more = {"learning_rate": 0.01, "adapter": "none", **options}
    alone = run(name, change(job(tiny, name, folder / "one", 4, **more)))
    given = change(job(tiny, name, folder / "two", 4, **more))
    told: list[int] = []
    given = replace(given, on_step=lambda step, of, loss: told.append(step))
    facts, usage = train_launched(method(name), given, launcher)
    assert (facts.steps, facts.processes) == (4, 2)
    assert usage.seconds > 0 and usage.peak_memory_bytes > 0
    assert told == sorted(told)
    return alone, given


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sft", "distribution", "dpo"])
def test_two_processes_take_the_steps_of_one(name: str, tiny_model: Path, tmp_path: Path) -> None:
    alone, given = both(name, tiny_model, tmp_path, launcher_file("two-processes"))
    assert losses(given.output) == pytest.approx(losses(alone), abs=1e-5)
    one, two = weights(alone), weights(given.output)
    for key, value in one.items():
        assert (value - two[key]).abs().max() < 1e-4, key


@pytest.fixture
def really_sharded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start processes that keep weights in shards, which Accelerate does on GPUs only."""
    usual = launch.launch_command

    def command(*given: Any) -> list[str]:
        return [
            word.replace("suffrage.align.launch", "tests.align.sharded_launch")
            for word in usual(*given)
        ]

    monkeypatch.setattr(launch, "launch_command", command)


@pytest.mark.slow
@pytest.mark.usefixtures("really_sharded", "_no_waiting")
def test_weights_in_shards_take_the_steps_of_whole_ones(tiny_model: Path, tmp_path: Path) -> None:
    config = tmp_path / "sharded.yaml"
    config.write_text(SHARDED)
    alone, given = both("distribution", tiny_model, tmp_path, launcher_file(str(config)))
    assert losses(given.output) == pytest.approx(losses(alone), abs=1e-5)
    one, two = weights(alone), weights(given.output)
    assert one.keys() == two.keys(), "a checkpoint of shards is written whole"
    for key, value in one.items():
        assert (value - two[key]).abs().max() < 1e-4, key


@pytest.mark.slow
@pytest.mark.usefixtures("really_sharded", "_no_waiting")
@pytest.mark.parametrize(("name", "form", "sharded"), UNEVEN, ids=str)
def test_processes_with_unequal_records_do_not_wait_for_one_another(
    name: str, form: dict[str, object], sharded: bool, tiny_model: Path, tmp_path: Path
) -> None:
    config = tmp_path / "sharded.yaml"
    config.write_text(SHARDED)
    launcher = launcher_file(str(config) if sharded else "two-processes")
    alone, given = both(name, tiny_model, tmp_path, launcher, uneven, **form)
    assert losses(given.output) == pytest.approx(losses(alone), abs=1e-5)
    one, two = weights(alone), weights(given.output)
    for key, value in one.items():
        assert (value - two[key]).abs().max() < 1e-4, key


@pytest.mark.slow
@pytest.mark.usefixtures("really_sharded", "_no_waiting")
@pytest.mark.parametrize("name", ["rloo", "grpo"])
def test_processes_that_sample_answers_do_not_wait_for_one_another(
    name: str, tiny_model: Path, tmp_path: Path
) -> None:
    # Each process draws answers of its own, so that losses are not those of one process. Half of
    # the tokens end an answer, so that the longest answer is not equally long in both.
    ending = tmp_path / "model"
    shutil.copytree(tiny_model, ending)
    settings = ending / "generation_config.json"
    ends = {"eos_token_id": list(range(0, 256, 2))}
    settings.write_text(json.dumps(json.loads(settings.read_text()) | ends))
    config = tmp_path / "sharded.yaml"
    config.write_text(SHARDED)
    more = {"adapter": "none", "num_generations": 3, "longest": 16}
    given = uneven(job(ending, name, tmp_path, 3, **more))
    facts, _ = train_launched(method(name), given, launcher_file(str(config)))
    assert (facts.steps, facts.processes) == (3, 2)
    assert len(losses(given.output)) == 3


@pytest.mark.parametrize("name", launchers())
def test_every_configuration_that_ships_is_read_by_accelerate(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(launcher_file(name)))
    kinds = {"gpus": "MULTI_GPU", "two-processes": "MULTI_GPU", "fsdp": "FSDP"}
    assert str(config.distributed_type.value) == kinds.get(name, "DEEPSPEED")
    if name.startswith("deepspeed"):
        assert config.deepspeed_config["zero_stage"] == int(name[-1])


def test_a_launcher_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file, and none of deepspeed-zero2"):
        launcher_file("fdsp")
    bad = tmp_path / "bad.yaml"
    bad.write_text("compute_environment: LOCAL_MACHINE\nnothing_known: 3\n")
    with pytest.raises(InputError, match=r"bad.yaml: Accelerate cannot read it"):
        launcher_file(str(bad))


def test_a_method_with_a_loop_of_its_own_is_refused() -> None:
    with pytest.raises(InputError, match="rlhf trains in one process"):
        check_launches(method("rlhf"))


@pytest.mark.slow
def test_what_stops_a_launched_training_is_told(tiny_model: Path, tmp_path: Path) -> None:
    given = job(tiny_model, "distribution", tmp_path, 4, adapter="none", learning_rate=0.01)
    odd = replace(given, options=given.options.model_copy(update={"batch": 5}))
    with pytest.raises(SuffrageError, match="batch 5 is not a multiple of micro_batch 2 times 2"):
        train_launched(method("distribution"), odd, launcher_file("two-processes"))


SLURM = {
    # Starts as many tasks as nodes, each told its number, as srun does.
    "srun": """#!/bin/bash
nodes=${1#--nodes=}; shift 2
for ((node = 0; node < nodes; node++)); do SLURM_NODEID=$node "$@" & pids+=($!); done
status=0; for pid in "${pids[@]}"; do wait "$pid" || status=1; done; exit $status
""",
    "scontrol": """#!/bin/bash
[ "$1 $2 $3" = "show hostnames box[1-2]" ] && echo 127.0.0.1 && echo box2
""",
}


@pytest.mark.slow
def test_two_machines_of_an_allocation_take_the_steps_of_one(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name, text in SLURM.items():
        (bin_folder / name).write_text(text)
        (bin_folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_NNODES", "2")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "box[1-2]")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr("suffrage.align.launch._PORT", free.getsockname()[1])
    alone, given = both("distribution", tiny_model, tmp_path, launcher_file("two-processes"))
    assert losses(given.output) == pytest.approx(losses(alone), abs=1e-5)


def test_an_allocation_that_cannot_be_named_is_told(tmp_path: Path) -> None:
    environment = {"SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "box[1-2]"}
    with pytest.raises(SuffrageError, match="SLURM gave 2 machines, but `scontrol show hostnames"):
        launch_command(launcher_file("fsdp"), tmp_path, environment)
