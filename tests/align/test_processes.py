"""Several processes, started from the configurations that ship, take the same steps as one."""

import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
EVEN = ["sft", "distribution", "dpo"]
SAMPLED = ["rloo", "grpo"]
# Seconds after which processes that take a few steps of several methods are taken to wait for one
# another.
LONGEST_WAIT = 600


def losses(folder: Path) -> list[float]:
    lines = (folder / "training.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


@pytest.fixture(scope="module", autouse=True)
def on_the_processor() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        yield


@contextmanager
def no_waiting() -> Iterator[None]:
    """Fail where processes wait for one another."""

    def stop(*_: Any) -> None:
        raise TimeoutError("the processes wait for one another")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST_WAIT)
    try:
        yield
    finally:
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


Change = Callable[[TrainingJob], TrainingJob]


def unchanged(given: TrainingJob) -> TrainingJob:
    return given


def both(
    name: str, tiny: Path, folder: Path, change: Change = unchanged, **options: object
) -> tuple[Path, TrainingJob]:
    """A job in one process and the same job to launch: the first one's output, and the second."""
    more = {"learning_rate": 0.01, "adapter": "none", **options}
    alone = run(name, change(job(tiny, name, folder / "one", 4, **more)))
    return alone, change(job(tiny, name, folder / "two", 4, **more))


def same_steps(alone: Path, launched: Path) -> None:
    assert losses(launched) == pytest.approx(losses(alone), abs=1e-5)


def same_weights(alone: Path, launched: Path) -> None:
    one, two = weights(alone), weights(launched)
    assert one.keys() == two.keys(), "a checkpoint of shards is written whole"
    for key, value in one.items():
        assert (value - two[key]).abs().max() < 1e-4, key


@dataclass
class Launched:
    """Jobs that one launch trained in turn, and what stopped it."""

    jobs: dict[str, tuple[str, TrainingJob]]
    stopped: Exception | None = None

    def output(self, key: str, steps: int = 4) -> Path:
        """Where a job was written; raises what stopped the launch before the job was done."""
        _, given = self.jobs[key]
        if self.stopped and not (given.work / launch.DONE).exists():
            raise self.stopped
        facts, usage = launch.read_done(given)
        assert (facts.steps, facts.processes) == (steps, 2)
        assert usage.seconds > 0 and usage.peak_memory_bytes > 0
        return given.output


def launched_in_turn(jobs: dict[str, tuple[str, TrainingJob]], launcher: Path) -> Launched:
    """Train all jobs in one launch: starting processes takes far longer than a few steps do."""
    folders = [str(given.work.resolve()) for _, given in jobs.values()]
    usual = launch.launch_command

    def command(*given: Any) -> list[str]:
        words = usual(*given)
        task = words.index("suffrage.align.launch")
        return [*words[:task], "tests.align.launched_in_turn", *folders]

    (name, first), *others = jobs.values()
    for other, given in others:
        launch.write_job(method(other), given)
    found = Launched(jobs)
    told: list[int] = []
    with pytest.MonkeyPatch.context() as patch, no_waiting():
        patch.setattr(launch, "launch_command", command)
        first = replace(first, on_step=lambda step, of, loss: told.append(step))
        try:
            train_launched(method(name), first, launcher)
        except (SuffrageError, TimeoutError) as error:
            found.stopped = error
    assert told == sorted(told)
    return found


def alone_and_launched(
    wanted: dict[str, tuple[str, dict[str, object], Change]], tiny: Path, folder: Path
) -> tuple[dict[str, Path], dict[str, tuple[str, TrainingJob]]]:
    alone, jobs = {}, {}
    for place, (key, (name, form, change)) in enumerate(wanted.items()):
        alone[key], given = both(name, tiny, folder / str(place), change, **form)
        jobs[key] = (name, given)
    return alone, jobs


@pytest.fixture(scope="module")
def whole_copies(
    tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Path], Launched]:
    """What two processes with a copy of the weights each trained, and one process alone."""
    wanted: dict[str, tuple[str, dict[str, object], Change]] = {
        **{name: (name, {}, unchanged) for name in EVEN},
        **{f"uneven {n}": (n, form, uneven) for n, form, sharded in UNEVEN if not sharded},
    }
    folder = tmp_path_factory.mktemp("copies")
    alone, jobs = alone_and_launched(wanted, tiny_model, folder)
    # Last, because it stops the launch.
    odd = job(tiny_model, "distribution", folder / "odd", 4, batch=5, adapter="none")
    jobs["odd"] = ("distribution", odd)
    return alone, launched_in_turn(jobs, launcher_file("two-processes"))


@pytest.fixture(scope="module")
def shards(
    tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Path], Launched]:
    """What two processes with half of the weights each trained, and one process alone."""
    folder = tmp_path_factory.mktemp("shards")
    config = folder / "sharded.yaml"
    config.write_text(SHARDED)
    wanted: dict[str, tuple[str, dict[str, object], Change]] = {
        "distribution": ("distribution", {}, unchanged),
        **{f"uneven {n}": (n, form, uneven) for n, form, sharded in UNEVEN if sharded},
    }
    alone, jobs = alone_and_launched(wanted, tiny_model, folder)
    # Each process draws answers of its own, so that losses are not those of one process. Half of
    # the tokens end an answer, so that the longest answer is not equally long in both.
    ending = folder / "model"
    shutil.copytree(tiny_model, ending)
    settings = ending / "generation_config.json"
    ends = {"eos_token_id": list(range(0, 256, 2))}
    settings.write_text(json.dumps(json.loads(settings.read_text()) | ends))
    more = {"adapter": "none", "num_generations": 3, "longest": 16}
    for name in SAMPLED:
        jobs[name] = (name, uneven(job(ending, name, folder / name, 3, **more)))
    return alone, launched_in_turn(jobs, launcher_file(str(config)))


@pytest.mark.slow
@pytest.mark.parametrize("name", EVEN)
def test_two_processes_take_the_steps_of_one(
    name: str, whole_copies: tuple[dict[str, Path], Launched]
) -> None:
    alone, launched = whole_copies
    same_steps(alone[name], launched.output(name))
    same_weights(alone[name], launched.output(name))


@pytest.mark.slow
def test_weights_in_shards_take_the_steps_of_whole_ones(
    shards: tuple[dict[str, Path], Launched],
) -> None:
    alone, launched = shards
    same_steps(alone["distribution"], launched.output("distribution"))
    same_weights(alone["distribution"], launched.output("distribution"))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form", "sharded"), UNEVEN, ids=str)
def test_processes_with_unequal_records_do_not_wait_for_one_another(
    name: str, form: dict[str, object], sharded: bool, request: pytest.FixtureRequest
) -> None:
    alone, launched = request.getfixturevalue("shards" if sharded else "whole_copies")
    key = f"uneven {name}"
    same_steps(alone[key], launched.output(key))
    same_weights(alone[key], launched.output(key))


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLED)
def test_processes_that_sample_answers_do_not_wait_for_one_another(
    name: str, shards: tuple[dict[str, Path], Launched]
) -> None:
    _, launched = shards
    assert len(losses(launched.output(name, steps=3))) == 3


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


ODD = "batch 5 is not a multiple of micro_batch 2 times 2"


@pytest.mark.slow
def test_what_stops_a_launched_training_is_written_down(
    whole_copies: tuple[dict[str, Path], Launched],
) -> None:
    _, launched = whole_copies
    _, given = launched.jobs["odd"]
    assert ODD in json.loads((given.work / launch.FAILED).read_text())["message"]
    assert launched.stopped is not None, "a launch with a failed training fails"


@pytest.mark.slow
def test_what_stops_a_launched_training_is_told(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = job(tiny_model, "distribution", tmp_path, 1)
    failed = given.work / launch.FAILED
    for said, words in (
        (ODD, f"open({str(failed)!r}, 'w').write({json.dumps({'message': ODD})!r})"),
        (r"ended with 1; .*the processes' last words", "print('the processes\\' last words')"),
    ):
        command = [sys.executable, "-c", f"{words}; raise SystemExit(1)"]
        monkeypatch.setattr(launch, "launch_command", lambda *_, command=command: command)
        with pytest.raises(SuffrageError, match=f"(?s){said}"):
            train_launched(method("distribution"), given, launcher_file("two-processes"))


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
    alone, given = both("distribution", tiny_model, tmp_path)
    facts, _ = train_launched(method("distribution"), given, launcher_file("two-processes"))
    assert (facts.steps, facts.processes) == (4, 2)
    same_steps(alone, given.output)


def test_an_allocation_that_cannot_be_named_is_told(tmp_path: Path) -> None:
    environment = {"SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "box[1-2]"}
    with pytest.raises(SuffrageError, match="SLURM gave 2 machines, but `scontrol show hostnames"):
        launch_command(launcher_file("fsdp"), tmp_path, environment)
