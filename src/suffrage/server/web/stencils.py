"""Pages made once for everybody, with holes for what differs from one person to the next.

Each hole is a mark in the page as the template renders it; what is put there is escaped as the
template would escape it. A page is made again whenever its consultation changes.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from markupsafe import escape

from suffrage.server.store.consultations import StoredConsultation

# Characters for private use: `texts.clean` takes them out of all texts, and escaping keeps them.
_BEGIN, _END = "\ue000", "\ue001"
_HOLE = re.compile(f"{_BEGIN}([a-z]+){_END}")
MOST = 256


def mark(name: str) -> str:
    """What a template is given in place of a value."""
    return f"{_BEGIN}{name}{_END}"


@dataclass(frozen=True)
class Stencil:
    """A page in pieces: text and the names of holes by turns."""

    pieces: tuple[str, ...]

    @staticmethod
    def cut(page: str) -> Stencil:
        """Cut a page that contains marks."""
        return Stencil(tuple(_HOLE.split(page)))

    def filled(self, **values: object) -> str:
        """The page with these values, escaped; a hole without a value stays empty."""
        told = {name: str(escape(value)) for name, value in values.items()}
        pieces = list(self.pieces)
        pieces[1::2] = [told.get(name, "") for name in pieces[1::2]]
        return "".join(pieces)


class Stencils:
    """The stencils of a process, the least used forgotten first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, Hashable], tuple[StoredConsultation, Stencil]] = (
            OrderedDict()
        )

    def of(self, what: StoredConsultation, kind: Hashable, page: Callable[[], str]) -> Stencil:
        """Return the stencil of a kind of page of a consultation as it is now."""
        key = (what.id, kind)
        kept = self._kept.pop(key, None)
        if kept is None or kept[0] is not what:
            kept = what, Stencil.cut(page())
        self._kept[key] = kept
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return kept[1]
