"""Suffrage: align a language model to the values a population holds, and show the evidence.

The library's verbs and the types that they take and return are below. Each is loaded when it is
first used, so that `import suffrage` is quick and needs neither NumPy nor PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suffrage.align import Checkpoint
    from suffrage.consult.consultation import Consultation, read_consultation
    from suffrage.consult.groups.analysis import OpinionAnalysis
    from suffrage.consult.polis.conversation import Conversation
    from suffrage.consult.polis.read_files import read_polis
    from suffrage.errors import InputError, SuffrageError
    from suffrage.evaluate import Results, Scorecard
    from suffrage.evaluate.asking.interviews import Interview, SideAnswer
    from suffrage.evaluate.auditing import Audit
    from suffrage.evaluate.compare import RunComparison
    from suffrage.library import (
        ItemAnswer,
        ask,
        audit_models,
        chat,
        find_opinion_groups,
        load_model,
    )
    from suffrage.models import LanguageModel
    from suffrage.population import AnswerDistribution, ValueSet, build_value_set
    from suffrage.report.leaderboard import compare_runs
    from suffrage.report.tables import read_results
    from suffrage.study.commands.tuning import Tuning, tune_study
    from suffrage.study.run import FinishedRun, run_study
    from suffrage.study.schema import Study, read_study
    from suffrage.survey import Item, Survey, read_survey
    from suffrage.training_data import HeldOut, ItemSplit, Records, split_items
    from suffrage.training_data.constitution import Constitution

__version__ = "0.1.0"

# The module that each public name is loaded from.
_MODULES = {
    # Verbs.
    "ask": "library",
    "audit_models": "library",
    "build_value_set": "population",
    "chat": "library",
    "compare_runs": "report.leaderboard",
    "find_opinion_groups": "library",
    "load_model": "library",
    "read_consultation": "consult.consultation",
    "read_polis": "consult.polis.read_files",
    "read_results": "report.tables",
    "read_study": "study.schema",
    "read_survey": "survey",
    "run_study": "study.run",
    "split_items": "training_data",
    "tune_study": "study.commands.tuning",
    # Types.
    "AnswerDistribution": "population",
    "Audit": "evaluate.auditing",
    "Checkpoint": "align",
    "Constitution": "training_data.constitution",
    "Consultation": "consult.consultation",
    "Conversation": "consult.polis.conversation",
    "FinishedRun": "study.run",
    "HeldOut": "training_data",
    "InputError": "errors",
    "Interview": "evaluate.asking.interviews",
    "Item": "survey",
    "ItemAnswer": "library",
    "ItemSplit": "training_data",
    "LanguageModel": "models",
    "OpinionAnalysis": "consult.groups.analysis",
    "Records": "training_data",
    "Results": "evaluate",
    "RunComparison": "evaluate.compare",
    "Scorecard": "evaluate",
    "SideAnswer": "evaluate.asking.interviews",
    "Study": "study.schema",
    "SuffrageError": "errors",
    "Survey": "survey",
    "Tuning": "study.commands.tuning",
    "ValueSet": "population",
}

__all__ = [
    "AnswerDistribution",
    "Audit",
    "Checkpoint",
    "Constitution",
    "Consultation",
    "Conversation",
    "FinishedRun",
    "HeldOut",
    "InputError",
    "Interview",
    "Item",
    "ItemAnswer",
    "ItemSplit",
    "LanguageModel",
    "OpinionAnalysis",
    "Records",
    "Results",
    "RunComparison",
    "Scorecard",
    "SideAnswer",
    "Study",
    "SuffrageError",
    "Survey",
    "Tuning",
    "ValueSet",
    "__version__",
    "ask",
    "audit_models",
    "build_value_set",
    "chat",
    "compare_runs",
    "find_opinion_groups",
    "load_model",
    "read_consultation",
    "read_polis",
    "read_results",
    "read_study",
    "read_survey",
    "run_study",
    "split_items",
    "tune_study",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        from suffrage.errors import did_you_mean

        raise AttributeError(
            f"module 'suffrage' has no attribute {name!r}.{did_you_mean(name, _MODULES)}"
        )
    return getattr(import_module(f"suffrage.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
