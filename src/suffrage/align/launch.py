"""Training in several processes: `accelerate launch` starts them on one job, the run waits.

The study's own process reads, asks and scores; only a training is launched. The job travels as a
file, and what it took comes back as one. Accelerate configurations for the usual cases ship in
`launchers/`; any other of the user's own does as well.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from suffrage import registry, storage
from suffrage.align.cost import Usage, measured
from suffrage.align.method import Method, TrainingFacts, TrainingJob
from suffrage.errors import InputError, SuffrageError, require

SHIPPED = Path(__file__).parent / "launchers"
JOB, OUTPUT = "job.pickle", "launch.log"
PROGRESS, DONE, FAILED = "progress.json", "done.json", "failed.json"
_POLL = 0.5  # seconds between looks at the child's progress


def launchers() -> list[str]:
    """The configurations that ship with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def launcher_file(wanted: str) -> Path:
    """A shipped configuration by its name, or the user's own file.

    Raises InputError when it is neither, or Accelerate cannot read it.
    """
    path = SHIPPED / f"{wanted}.yaml" if wanted in launchers() else Path(wanted)
    if not path.is_file():
        raise InputError(
            f'--launcher "{wanted}": no such file, and none of {", ".join(launchers())}.'
        )
    require("accelerate", "align", "--launcher")
    from accelerate.commands.config.config_args import load_config_from_file

    try:
        load_config_from_file(str(path.resolve()))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"{path}: Accelerate cannot read it ({error}).") from error
    return path.resolve()


def check_launches(method: Method) -> None:
    """Raises InputError for a method that trains in one process only."""
    if not method.launches:
        raise InputError(
            f"{method.name} trains in one process: its own loop is not shared among several. Run "
            "the study without --launcher, or leave this method out."
        )


def train_launched(method: Method, job: TrainingJob, launcher: Path) -> tuple[TrainingFacts, Usage]:
    """Train a job in the processes a launcher's configuration says.

    Usage is that of the first process. An interrupted job goes on as it would in one process.
    Raises SuffrageError with what stopped one of the processes, or their last words.
    """
    check_launches(method)
    job.work.mkdir(parents=True, exist_ok=True)
    for name in (PROGRESS, DONE, FAILED):
        (job.work / name).unlink(missing_ok=True)
    (job.work / JOB).write_bytes(pickle.dumps((method.name, replace(job, on_step=_silent))))
    log = job.work / OUTPUT
    command = [sys.executable, "-m", "accelerate.commands.launch"]
    command += ["--config_file", str(launcher), "-m", "suffrage.align.launch", str(job.work)]
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=_environment())
        try:
            while child.poll() is None:
                time.sleep(_POLL)
                _tell(job)
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
    done = storage.read_json(job.work / DONE)
    return TrainingFacts(**done["facts"]), Usage(**done["usage"])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _silent(step: int, of: int, loss: float) -> None:
    """Tells nobody."""


def _tell(job: TrainingJob) -> None:
    if (job.work / PROGRESS).exists():
        told = storage.read_json(job.work / PROGRESS)
        job.on_step(told["step"], told["of"], told["loss"])


def _telling(work: Path) -> Callable[[int, int, float], None]:
    def on_step(step: int, of: int, loss: float = 0.0) -> None:
        storage.write_json(work / PROGRESS, {"step": step, "of": of, "loss": loss})

    return on_step


def main() -> None:
    """One of the processes: train the job in the folder named on the command line."""
    import torch

    work = Path(sys.argv[1])
    name, job = pickle.loads((work / JOB).read_bytes())
    first = os.environ.get("RANK", "0") == "0"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    method: Method = registry.load("methods", name)
    assert method.train is not None
    try:
        with measured() as usage:
            facts = method.train(replace(job, on_step=_telling(work)) if first else job)
    except SuffrageError as error:
        storage.write_json(work / FAILED, {"message": str(error)})
        sys.exit(1)
    if first:
        storage.write_json(work / DONE, {"facts": asdict(facts), "usage": asdict(usage)})


if __name__ == "__main__":
    main()
