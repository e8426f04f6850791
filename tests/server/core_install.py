"""`suffrage` as the core install has it: `python -m tests.server.core_install consult groups`."""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

# What only the extra `consult` brings.
ABSENT = ("fastapi", "starlette", "sqlalchemy", "alembic", "uvicorn", "psycopg", "argon2", "babel")


class CoreInstall(MetaPathFinder):
    """Finds what is installed, but for `ABSENT`."""

    def __init__(self, finders: list[Any]) -> None:
        self.finders = finders

    def find_spec(self, name: str, *given: Any) -> ModuleSpec | None:
        if name.partition(".")[0] in ABSENT:
            return None
        found = (finder.find_spec(name, *given) for finder in self.finders)
        return next((spec for spec in found if spec is not None), None)


if __name__ == "__main__":
    sys.meta_path = [CoreInstall(list(sys.meta_path))]
    from suffrage.cli import main

    main()
