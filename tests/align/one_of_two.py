"""One process of a training in several: `python one_of_two.py JOB`, JOB a pickled TrainingJob."""

import pickle
import sys
from dataclasses import replace
from pathlib import Path

from suffrage.align.distribution import train


def main() -> None:
    """Train the job as `torchrun` started this process."""
    job = pickle.loads(Path(sys.argv[1]).read_bytes())
    train(replace(job, on_step=lambda *_: None))


if __name__ == "__main__":
    main()
