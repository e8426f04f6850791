"""What models were trained on before the study, in words."""

from __future__ import annotations

from collections.abc import Sequence

from suffrage.evaluate.results import Results, StartFacts


def start_sentences(starts: Sequence[StartFacts], known: int, items: int) -> list[str]:
    """Say what a study's models started from, and which of its questions they knew by then.

    Parameters
    ----------
    starts : sequence of StartFacts
    known : int
        How many of the study's questions the starts were trained on, near-duplicates included.
    items : int
        How many questions the study has.

    Returns
    -------
    list of str
        One sentence for each start, and one on the questions; empty without a start.
    """
    if not starts:
        return []
    were = "was" if known == 1 else "were"
    return [
        *(_sentence(start) for start in starts),
        f"{known} of this study's {items} questions, or nearly the same ones, {were} trained on "
        "before. They are always on the side that is trained on and never held out.",
    ]


def results_start_sentences(results: Results) -> list[str]:
    """The same sentences of a finished run."""
    known = sum(item.trained_before for item in results.items)
    return start_sentences(results.starts, known, len(results.items))


def _sentence(start: StartFacts) -> str:
    surveys = f" of {_listed(start.surveys)}" if start.surveys else ""
    return (
        f"{_listed(start.methods) or 'No method'} started from {start.method}, seed {start.seed}, "
        f"of the study {start.study}, which trained {start.base_model} on {start.questions:,} "
        f"questions{surveys}."
    )


def _listed(names: Sequence[str]) -> str:
    """Names with commas and an "and".

    Examples
    --------
    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
