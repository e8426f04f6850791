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
    "fastapi",
    "starlette",
    "uvicorn",
    "sqlalchemy",
    "alembic",
    "argon2",
    "babel",
    "psycopg",
    "sklearn",
    "scipy",
    "psutil",
    "httpx",
    "tenacity",
    "pyreadstat",
)

if __name__ == "__main__":
    # Python takes a module of this name for one that is not installed.
    sys.modules.update(dict.fromkeys(MISSING))  # type: ignore[arg-type]
    from suffrage.cli import main

    main()
