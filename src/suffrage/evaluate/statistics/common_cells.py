"""The cells that all compared methods could answer: leaving out the hard ones must never help.

A cell is one question of one value set in one seed. Where a method's answer could not be read, its
mean would run over the easier cells only. Every figure of a measure is therefore over the cells
that all methods could answer. A method that answered fewer than half of them would leave too
little of the others; it has a figure on what is left of its own, and the others keep theirs.

A method may have several models, or one may be asked the same in several ways, and what is compared
is the mean of those answers. One that could not be read must not leave the mean to the others: such
a cell is missing for the method (`wholly_answered`).

Nor must it help another method: where one leaves out what a second is bad at, the second's figure
rises. So a figure says how many of a method's own answers it does not count, and two methods are
compared on the cells that both could answer, whatever a third did.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

# A method that answered a smaller share of all cells does not decide what is compared.
SHARE_TO_COUNT = 0.5

AnyCell = TypeVar("AnyCell", bound=Hashable)
AnyAnswer = TypeVar("AnyAnswer")


def wholly_answered(
    answers: Iterable[tuple[AnyCell, AnyAnswer | None]],
) -> dict[AnyCell, list[AnyAnswer]]:
    """Gather one method's answers by cell, before any of them is averaged.

    Every evaluation that averages several answers to one cell gathers them here.

    Parameters
    ----------
    answers : iterable of (cell, answer)
        None for an answer that could not be read. A cell has several answers where a method has
        several models, or where one model is asked in several ways.

    Returns
    -------
    dict
        All answers to each cell, in order, of the cells whose answers could all be read.

    Examples
    --------
    >>> wholly_answered([("taxes", 0.2), ("taxes", 0.4), ("wages", 0.9), ("wages", None)])
    {'taxes': [0.2, 0.4]}
    """
    found: dict[AnyCell, list[AnyAnswer]] = {}
    missing: set[AnyCell] = set()
    for cell, answer in answers:
        if answer is None:
            missing.add(cell)
        else:
            found.setdefault(cell, []).append(answer)
    return {cell: own for cell, own in found.items() if cell not in missing}


@dataclass(frozen=True, eq=False)
class CommonCells:
    """Which cells each method could answer."""

    by_method: Mapping[str, frozenset[Hashable]]
    # Methods that are not asked everywhere, such as a floor for groups left out of training.
    elsewhere: Sequence[str] = ()

    @cached_property
    def every(self) -> frozenset[Hashable]:
        """The cells that any method could answer."""
        return frozenset().union(*self._counted.values())

    @cached_property
    def compared(self) -> frozenset[Hashable]:
        """The cells that all methods could answer, of those that answered half of them or more."""
        fewest = SHARE_TO_COUNT * len(self.every)
        counted = [own for own in self._counted.values() if own and len(own) >= fewest]
        return frozenset.intersection(*counted) if counted else self.every

    @property
    def _counted(self) -> dict[str, frozenset[Hashable]]:
        return {m: own for m, own in self.by_method.items() if m not in self.elsewhere}

    def missing(self, method: str) -> int:
        """How many cells this method could not answer and another one could."""
        if method in self.elsewhere:
            return 0
        return len(self.every - self.by_method.get(method, frozenset()))

    def uncounted(self, method: str) -> int:
        """How many cells this method could answer that no figure counts, for others could not."""
        if method in self.elsewhere:
            return 0
        return len(self.by_method.get(method, frozenset()) - self.compared)

    def kept_out(self, method: str, against: str) -> int:
        """How many cells both could answer that no figure counts, for a third could not."""
        none: frozenset[Hashable] = frozenset()
        both = self.by_method.get(method, none) & self.by_method.get(against, none)
        return len(both - self.compared)

    def unanswered(self, method: str, against: str) -> int:
        """How many cells the first could not answer and the second could."""
        if {method, against} & set(self.elsewhere):
            return 0
        none: frozenset[Hashable] = frozenset()
        return len(self.by_method.get(against, none) - self.by_method.get(method, none))
