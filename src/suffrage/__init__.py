"""Suffrage: align a language model to the values a population holds, and show the evidence.

The public types are loaded when first used, so that `import suffrage` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Survey": "suffrage.survey",
    "ValueSet": "suffrage.population",
    "ItemSplit": "suffrage.training_data",
    "Records": "suffrage.training_data",
    "Checkpoint": "suffrage.align",
    "Scorecard": "suffrage.evaluate",
}

if TYPE_CHECKING:
    from suffrage.align import Checkpoint
    from suffrage.evaluate import Scorecard
    from suffrage.population import ValueSet
    from suffrage.survey import Survey
    from suffrage.training_data import ItemSplit, Records

__all__ = [
    "Checkpoint",
    "ItemSplit",
    "Records",
    "Scorecard",
    "Survey",
    "ValueSet",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'suffrage' has no attribute {name!r}")
