"""Whether the parts of a run fit together: each names the content of those it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from suffrage import storage
from suffrage.align.checkpoint import MANIFEST
from suffrage.population import ValueSet
from suffrage.survey import Survey
from suffrage.survey.published_table import MANIFEST as TABLE
from suffrage.survey.published_table import PublishedTable
from suffrage.training_data import ItemSplit, Records

if TYPE_CHECKING:
    from suffrage.publish.receipt import ReceiptPart

PartKind = Literal[
    "survey",
    "consultation",
    "value set",
    "split",
    "records",
    "model",
    "checkpoint",
    "answers",
    "probes",
    "results",
    "release",
]


def content_of(kind: PartKind, folder: Path) -> str:
    """The hash by which later parts name this one, worked out from its files; or none.

    Parameters
    ----------
    kind : str
        The kind of part.
    folder : Path
        The folder that holds it.

    Returns
    -------
    str
        Empty for kinds that nothing names by content.
    """
    read = _READERS.get(kind)
    return "" if read is None else str(read(folder))


def _survey_content(folder: Path) -> str:
    if (folder / TABLE).is_file():
        return PublishedTable.read(folder).content_hash
    return Survey.read(folder).content_hash


_READERS: Mapping[str, Callable[[Path], str]] = {
    "survey": _survey_content,
    "value set": lambda folder: ValueSet.read(folder).content_hash,
    "split": lambda folder: ItemSplit.read(folder).content_hash,
    "records": lambda folder: Records.read(folder).content_hash,
}


def links_broken(
    here: Sequence[tuple[ReceiptPart, Path]], every: Sequence[ReceiptPart]
) -> list[str]:
    """Sentences on parts whose content is not what the receipt or a later part says it is.

    Parameters
    ----------
    here : sequence of (ReceiptPart, Path)
        The parts whose files are there, with their folders.
    every : sequence of ReceiptPart
        All parts, so that what is not there is still compared by its hash.
    """
    content = {part.name: part.content for part in every}
    found = []
    for part, folder in here:
        try:
            own = content_of(part.kind, folder)
            named = list(_named_contents(part, folder))
        except Exception as error:  # whoever wrote these files may have written anything
            found.append(f"{part.name}: its files cannot be read ({error}).")
            continue
        if own and own != part.content:
            found.append(f"{part.name}: its content is not what the receipt says it is.")
        for name, said in named:
            if name in content and content[name] != said:
                found.append(f"{part.name}: was made from another {name} than this one.")
    return found


def _named_contents(part: ReceiptPart, folder: Path) -> Iterable[tuple[str, str]]:
    """The parts that this one's own files name, with the content that they name."""
    if part.kind == "records":
        made = storage.read_json(folder / "records.json")["made_from"]
        yield from ((f"value set {name}", own) for name, own in made.get("value_sets", {}).items())
        yield from _one_of(part, "split", made.get("split"))
    elif part.kind == "value set":
        surveys = [name for name in part.made_from if name.startswith("survey ")]
        if len(surveys) == 1 and not part.facts.get("published"):
            yield surveys[0], storage.read_json(folder / "value_set.json")["survey_hash"]
    elif part.kind == "checkpoint":
        manifest: dict[str, Any] = storage.read_json(folder / MANIFEST)
        yield from _one_of(part, "records", manifest["records"])
        yield from _one_of(part, "model", manifest["base_model"]["content"])


def _one_of(part: ReceiptPart, kind: str, said: str | None) -> Iterable[tuple[str, str]]:
    names = [name for name in part.made_from if name.startswith(f"{kind} ")]
    if len(names) == 1 and said is not None:
        yield names[0], said
