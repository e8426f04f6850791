"""Training in several processes: `accelerate launch` starts them on one job, and the run waits.

The study's own process reads, asks and scores; only a training is launched. The job is passed in a
file, and what it took comes back in one. Accelerate configurations for the usual cases ship in
`launchers/`; any other configuration of the user's works as well. Inside a SLURM allocation of
several machines, `srun` starts one `accelerate launch` on each; they meet at the address of the
first.
"""

from __future__ import annotations

import os
import pickle
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from suffrage import registry, storage
from suffrage.align.cost import ResourceUse, measuring_resources
from suffrage.align.method import Method, TrainingFacts, TrainingJob
from suffrage.arguments import written
from suffrage.errors import InputError, SuffrageError, require
from suffrage.models.device import process_gpu, process_rank

SHIPPED_LAUNCHERS = Path(__file__).parent / "launchers"
JOB, OUTPUT = "job.pickle", "launch.log"
PROGRESS, DONE, FAILED = "progress.json", "done.json", "failed.json"
_POLL = 0.5  # seconds between two readings of the processes' progress
# Where the machines of a SLURM allocation meet; one job in an allocation at a time.
_PORT = 29_500


def launchers() -> list[str]:
    """The configurations that ship with the package."""
    return sorted(path.stem for path in SHIPPED_LAUNCHERS.glob("*.yaml"))


def launcher_file(wanted: str) -> Path:
    """A shipped configuration by its name, or the user's own file.

    Raises InputError when it is neither, or Accelerate cannot read it.
    """
    path = SHIPPED_LAUNCHERS / f"{wanted}.yaml" if wanted in launchers() else Path(wanted)
    if not path.is_file():
        raise InputError(
            f'{written("launcher")} "{wanted}": no such file, and none of {", ".join(launchers())}.'
        )
    require("accelerate", "align", written("launcher"))
    from accelerate.commands.config.config_args import load_config_from_file

    try:
        load_config_from_file(str(path.resolve()))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"{path}: Accelerate cannot read it ({error}).") from error
    return path.resolve()


def check_launches(method: Method) -> None:
    """Check that a method can be trained in several processes; raises InputError when not."""
    if not method.launches:
        raise InputError(
            f"{method.name} trains in one process: its own loop is not shared among several. Run "
            f"the study without {written('launcher')}, or leave this method out."
        )


def train_launched(
    method: Method, job: TrainingJob, launcher: Path
) -> tuple[TrainingFacts, ResourceUse]:
    """Train a job in the processes that a launcher's configuration asks for.

    An interrupted job is resumed as it would be in one process.

    Returns
    -------
    TrainingFacts
    ResourceUse
        That of the first process.

    Raises
    ------
    SuffrageError
        One of the processes stopped; with its reason, or the end of the log.
    """
    check_launches(method)
    write_job(method, job)
    log = job.work / OUTPUT
    command = launch_command(launcher, job.work, os.environ)
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=_environment())
        try:
            while child.poll() is None:
                time.sleep(_POLL)
                _report_progress(job)
        except BaseException:
            child.terminate()
            child.wait()
            raise
    if (job.work / FAILED).exists():
        raise SuffrageError(storage.read_json(job.work / FAILED)["message"])
    if child.returncode or not (job.work / DONE).exists():
        words = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise SuffrageError(
            f"the training's processes ended with {child.returncode}; {log} ends:\n{words}"
        )
    return read_done(job)


def write_job(method: Method, job: TrainingJob) -> None:
    """Write what the processes of a launch train, and forget what an earlier launch said of it."""
    job.work.mkdir(parents=True, exist_ok=True)
    for name in (PROGRESS, DONE, FAILED):
        (job.work / name).unlink(missing_ok=True)
    (job.work / JOB).write_bytes(pickle.dumps((method.name, replace(job, on_step=_silent))))


def read_done(job: TrainingJob) -> tuple[TrainingFacts, ResourceUse]:
    """Return what the first process of a launch says of a job that it finished."""
    done = storage.read_json(job.work / DONE)
    return TrainingFacts(**done["facts"]), ResourceUse(**done["usage"])


def launch_command(launcher: Path, work: Path, environment: Mapping[str, str]) -> list[str]:
    """The command that starts a training's processes, on this machine or a SLURM allocation.

    Parameters
    ----------
    launcher : Path
        Accelerate's configuration. One that ships takes as many GPUs as there are.
    work : Path
        The folder with the job.
    environment : mapping
        SLURM_NNODES says how many machines there are, and SLURM_JOB_NODELIST which.

    Returns
    -------
    list of str
    """
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(launcher)]
    machines = int(environment.get("SLURM_NNODES", "1"))
    gpus = _gpus() if launcher.parent == SHIPPED_LAUNCHERS else 0
    if gpus:
        command += ["--num_processes", str(gpus * machines)]
    task = ["-m", "suffrage.align.launch", str(work.resolve())]
    if machines == 1:
        return [*command, *task]
    address = _first_machine(environment)
    command += ["--num_machines", str(machines), "--main_process_ip", address]
    command += ["--main_process_port", str(_PORT)]
    # Each machine's own number is known only there, so a shell there puts it in.
    there = f"{shlex.join(command)} --machine_rank $SLURM_NODEID {shlex.join(task)}"
    return ["srun", f"--nodes={machines}", "--ntasks-per-node=1", "bash", "-c", there]


def _gpus() -> int:
    import torch

    return int(torch.cuda.device_count())


def _first_machine(environment: Mapping[str, str]) -> str:
    """The host that the allocation's other machines reach the first one by."""
    listed = environment.get("SLURM_JOB_NODELIST", "")
    try:
        found = subprocess.run(
            ["scontrol", "show", "hostnames", listed], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise SuffrageError(
            f"SLURM gave {environment.get('SLURM_NNODES')} machines, but `scontrol show hostnames "
            f"{listed}` did not name them ({error}); start inside an allocation of one machine."
        ) from error
    return found.stdout.split()[0]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _silent(step: int, of: int, loss: float) -> None:
    """Reports to nobody."""


def _report_progress(job: TrainingJob) -> None:
    """Pass on what the first process wrote last."""
    if (job.work / PROGRESS).exists():
        last = storage.read_json(job.work / PROGRESS)
        job.on_step(last["step"], last["of"], last["loss"])


def _write_progress(work: Path) -> Callable[[int, int, float], None]:
    def on_step(step: int, of: int, loss: float = 0.0) -> None:
        storage.write_json(work / PROGRESS, {"step": step, "of": of, "loss": loss})

    return on_step


def _train_in_this_process() -> None:
    """One of the processes: train the job in the folder named on the command line."""
    import torch

    work = Path(sys.argv[1])
    name, job = pickle.loads((work / JOB).read_bytes())
    first = process_rank() == 0
    if torch.cuda.is_available():
        torch.cuda.set_device(process_gpu())
    method: Method = registry.load("methods", name)
    assert method.train is not None
    try:
        with measuring_resources() as usage:
            facts = method.train(replace(job, on_step=_write_progress(work)) if first else job)
    except SuffrageError as error:
        storage.write_json(work / FAILED, {"message": str(error)})
        sys.exit(1)
    if first:
        storage.write_json(work / DONE, {"facts": asdict(facts), "usage": asdict(usage)})


if __name__ == "__main__":
    _train_in_this_process()
