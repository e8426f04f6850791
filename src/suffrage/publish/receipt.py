"""The representation receipt: which bytes made a model, from the survey to the weights.

A receipt is a JSON file. It lists the parts of a run, what each was made from, and the SHA-256 of
every file. `suffrage verify` reads it back and compares it with what is on disk. A seal over the
receipt itself shows that nobody edited it by accident. Whoever edits a file can make a new receipt
too, so a reader compares the seal with the one that the publisher named elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from suffrage import __version__, storage
from suffrage.errors import InputError
from suffrage.publish.chain import PartKind, links_broken

RECEIPT = "receipt.json"
# Raised when readers of earlier receipts would misread one.
FORMAT = 1
MADE_WITH = f"suffrage {__version__}"
# What the Hugging Face Hub and its tools add at the top of a folder. Nothing loads it.
ADDED_BY_HUB = (".gitattributes", ".git", ".cache/huggingface")
_SEAL = re.compile("[0-9a-f]{64}")
Covers = Literal["run", "checkpoint", "collection"]


@dataclass(frozen=True)
class ReceiptPart:
    """One step on the way from data to results, with the folder that holds it."""

    name: str
    kind: PartKind
    # The folder, relative to the run's or the collection's; empty for one that is elsewhere.
    place: str
    # What later parts call it by: a hash of its content.
    content: str = ""
    # The names of the parts that it was made from.
    made_from: tuple[str, ...] = ()
    # What else identifies it, such as a model's hub id and revision, or a survey's own files.
    facts: Mapping[str, Any] = field(default_factory=dict)
    # Why its files are not in the folder; empty where they are.
    left_out: str = ""


@dataclass(frozen=True)
class FileSeal:
    """A file's size and hash."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class RepresentationReceipt:
    """What `receipt.json` says."""

    study: str
    covers: Covers
    # The way from the receipt's folder to the folder that places start from.
    root: str
    # The populations whose answers the models learnt, with how many people answered.
    represents: Sequence[Mapping[str, Any]]
    parts: Sequence[ReceiptPart]
    # Each file by its path from the root.
    files: Mapping[str, FileSeal]
    # The places that have to be here whole. The others are checked where they are here.
    whole: Sequence[str]
    # The program that wrote it.
    made_with: str = MADE_WITH

    @property
    def seal(self) -> str:
        """A hash of everything that the receipt says."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True).encode()).hexdigest()

    @property
    def text(self) -> str:
        """The receipt as JSON, with its seal."""
        content = {**self._content(), "seal": self.seal}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def _content(self) -> dict[str, Any]:
        return {
            "receipt": "representation",
            "format": FORMAT,
            "made_with": self.made_with,
            "study": self.study,
            "covers": self.covers,
            "root": self.root,
            "represents": [dict(one) for one in self.represents],
            "parts": [
                {**asdict(part), "made_from": list(part.made_from), "facts": dict(part.facts)}
                for part in self.parts
            ],
            "files": {place: asdict(seal) for place, seal in self.files.items()},
            "whole": list(self.whole),
        }

    @classmethod
    def read(cls, folder: Path) -> RepresentationReceipt:
        """Read a folder's receipt.

        Raises
        ------
        InputError
            There is none, or it is no receipt that this version reads.
        """
        path = folder / RECEIPT
        if not path.is_file():
            raise InputError(
                f"{folder}: there is no {RECEIPT} here. `suffrage run STUDY` writes one into a "
                "run and its checkpoints, and `suffrage publish RUN FOLDER` into what is published."
            )
        content = storage.read_json(path)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f"{path}: not a receipt that Suffrage {__version__} reads.")
        try:
            found = cls(
                study=content["study"],
                covers=content["covers"],
                root=content["root"],
                represents=content["represents"],
                parts=[
                    ReceiptPart(**{**part, "made_from": tuple(part["made_from"])})
                    for part in content["parts"]
                ],
                files={place: FileSeal(**seal) for place, seal in content["files"].items()},
                whole=content["whole"],
                made_with=content["made_with"],
            )
            found._check_sound()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: this receipt is incomplete or was edited.") from error
        return found

    def _check_sound(self) -> None:
        """Check what the rest of this module relies on. Raises TypeError or ValueError."""
        texts = [self.root, self.made_with, *self.whole]
        for part in self.parts:
            texts += [part.name, part.kind, part.place, part.content, part.left_out]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a text is expected")
        if self.covers == "checkpoint" and len(self.whole) != 1:
            raise ValueError("a checkpoint has one place")


def sealed_files(root: Path, places: Iterable[str]) -> dict[str, FileSeal]:
    """Size and SHA-256 of files, and of every file in folders, by the path from the root."""
    found = {}
    for place in places:
        for path in _files_below(root / place):
            found[path.relative_to(root).as_posix()] = _seal_of(path)
    return dict(sorted(found.items()))


def _files_below(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(p for p in path.rglob("*") if p.is_file())


def _files_and_links_below(path: Path) -> list[Path]:
    """Every file, and links to folders too, whose files are not listed one by one."""
    return sorted(p for p in path.rglob("*") if p.is_file() or p.is_symlink())


def _seal_of(path: Path) -> FileSeal:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileSeal(path.stat().st_size, digest)


def ancestors(parts: Sequence[ReceiptPart], name: str) -> list[ReceiptPart]:
    """A part and everything that it was made from, in the parts' order."""
    by_name = {part.name: part for part in parts}
    wanted: set[str] = set()
    open_ = [name]
    while open_:
        one = open_.pop()
        if one not in wanted and one in by_name:
            wanted.add(one)
            open_ += by_name[one].made_from
    return [part for part in parts if part.name in wanted]


def write_checkpoint_receipts(
    root: Path,
    study: str,
    parts: Sequence[ReceiptPart],
    represents: Sequence[Mapping[str, Any]],
    elsewhere: Mapping[str, FileSeal] | None = None,
) -> dict[str, FileSeal]:
    """Write a receipt into each checkpoint's folder.

    Parameters
    ----------
    root : Path
        The folder that places start from.
    study : str
        The study's name.
    parts : sequence of ReceiptPart
        Every part, each after those it was made from.
    represents : sequence of mapping
        The populations of the study.
    elsewhere : mapping, optional
        The seals of files that are not below the root.

    Returns
    -------
    dict
        The seals of all parts' files, of the receipts too.
    """
    sealed = dict(elsewhere or {})
    for part in parts:
        if not part.place or part.left_out:
            continue
        sealed |= sealed_files(root, [part.place])
        if part.kind != "checkpoint":
            continue
        sealed.pop(f"{part.place}/{RECEIPT}", None)
        own = ancestors(parts, part.name)
        learnt = {name for one in own for name in one.made_from}
        receipt = RepresentationReceipt(
            study,
            "checkpoint",
            "/".join(".." for _ in Path(part.place).parts),
            [one for one in represents if f"value set {one['name']}" in learnt],
            own,
            {
                place: seal
                for place, seal in sealed.items()
                if _within(place, [one.place for one in own if one.place])
            },
            [part.place],
        )
        storage.write_text(root / part.place / RECEIPT, receipt.text)
        sealed |= sealed_files(root, [f"{part.place}/{RECEIPT}"])
    return sealed


def seal_again(folder: Path, names: Iterable[str]) -> None:
    """Bring a run's receipt up to date with files at its top that were written again."""
    if not (folder / RECEIPT).is_file():
        return
    receipt = RepresentationReceipt.read(folder)
    listed = [name for name in names if name in receipt.files and (folder / name).is_file()]
    files = {**receipt.files, **sealed_files(folder, listed)}
    storage.write_text(folder / RECEIPT, replace(receipt, files=files).text)


@dataclass(frozen=True)
class Verification:
    """What came out of comparing a folder with its receipt."""

    folder: Path
    seal: str
    # How many files were read and found as the receipt has them, and their size.
    files: int
    bytes: int
    # One sentence for each thing that is not as the receipt says.
    problems: Sequence[str]
    # What the receipt lists and the folder does not have to hold, and why.
    absent: Sequence[str]
    # What the hub's tools added, which is not compared.
    ignored: Sequence[str] = ()

    @property
    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "folder": str(self.folder),
            "whole": not self.problems,
            "seal": self.seal,
            "files": self.files,
            "bytes": self.bytes,
            "problems": list(self.problems),
            "absent": list(self.absent),
            "ignored": list(self.ignored),
        }


def verify(folder: str | Path, seal: str | None = None) -> Verification:
    """Compare a run, a checkpoint or a published folder with its receipt, byte by byte.

    Parameters
    ----------
    folder : str or Path
        A folder with a `receipt.json`.
    seal : str, optional
        The seal that the publisher named elsewhere. Without it nothing shows whether somebody
        changed a file and wrote a new receipt.

    Returns
    -------
    Verification
        What differs. Each file's SHA-256 is compared. Then each part's content is read and hashed
        again, and compared with the hash that the parts made from it name.

    Raises
    ------
    InputError
        The folder has no receipt, or one that cannot be read, or the seal is none.
    """
    folder = Path(folder)
    receipt = RepresentationReceipt.read(folder)
    layout = _Layout(folder, receipt)
    problems = []
    if (folder / RECEIPT).read_bytes() != receipt.text.encode():
        problems.append(f"{RECEIPT}: was changed after it was written.")
    if seal is not None and _read_seal(seal) != receipt.seal:
        problems.append(
            f"{RECEIPT}: is not the receipt that was published; its seal is another than the one "
            "given."
        )
    here = [part for part in receipt.parts if part.place and layout.path(part.place).exists()]
    absent = [
        f"{part.name}: {part.left_out or 'not in this folder'}"
        for part in receipt.parts
        if part not in here
        and (part.left_out or not part.place or not _within(part.place, receipt.whole))
    ]
    places = list(dict.fromkeys([*receipt.whole, *(part.place for part in here)]))
    # Of a published folder everything has to be here but what its publisher left out.
    away = [p.place for p in receipt.parts if p.place and p.left_out and p not in here]
    expected = {
        place: sealed
        for place, sealed in receipt.files.items()
        if _within(place, places) and not _within(place, away)
    }
    right, wrong = _compare(layout, expected)
    strangers, ignored = _strangers(layout, places)
    problems += [*wrong, *strangers]
    if not wrong:
        problems += links_broken([(part, layout.path(part.place)) for part in here], receipt.parts)
    size = sum(expected[place].bytes for place in right)
    return Verification(folder, receipt.seal, len(right), size, problems, absent, ignored)


def _read_seal(text: str) -> str:
    """A seal as somebody copied it. Raises InputError where it is none."""
    cleaned = "".join(text.split()).lower()
    if not _SEAL.fullmatch(cleaned):
        raise InputError(f'seal "{text}": a seal has 64 digits and letters from a to f.')
    return cleaned


@dataclass(frozen=True)
class _Layout:
    """Where the places of a receipt are on this disk."""

    folder: Path
    receipt: RepresentationReceipt

    @property
    def root(self) -> Path:
        return (self.folder / self.receipt.root).resolve()

    def path(self, place: str) -> Path:
        """A checkpoint is where its receipt is, whatever it was called in its run."""
        if self.receipt.covers == "checkpoint":
            (own,) = self.receipt.whole
            if _within(place, [own]):
                return self.folder / place.removeprefix(own).lstrip("/")
        return self.root / place


def _within(place: str, folders: Collection[str]) -> bool:
    return any(place == one or place.startswith(f"{one}/") or one == "." for one in folders)


def _compare(layout: _Layout, expected: Mapping[str, FileSeal]) -> tuple[list[str], list[str]]:
    """The files that are as they should be, and sentences on the others."""
    right, wrong = [], []
    for place, seal in expected.items():
        path = layout.path(place)
        if not path.is_file():
            wrong.append(f"{place}: is missing.")
        elif path.stat().st_size != seal.bytes or _seal_of(path) != seal:
            wrong.append(f"{place}: was changed; its SHA-256 is not the one in the receipt.")
        else:
            right.append(place)
    return right, wrong


def _strangers(layout: _Layout, places: Sequence[str]) -> tuple[list[str], list[str]]:
    """Sentences on what nobody listed, and what the hub's tools added to a published folder.

    A loader could take a file, or a folder that a link leads to, for a part of the model.
    """
    own = (layout.folder / RECEIPT).resolve()
    found, ignored = set(), set()
    for place in places:
        folder = layout.path(place)
        for path in _files_and_links_below(folder) if folder.is_dir() else ():
            inside = path.relative_to(folder).as_posix()
            name = inside if place == "." else f"{place}/{inside}"
            if name in layout.receipt.files or path.resolve() == own:
                continue
            by_hub = [added for added in ADDED_BY_HUB if _within(name, [added])]
            if by_hub and layout.receipt.covers == "collection":
                ignored.update(by_hub)
            else:
                found.add(name)
    sentences = [f"{name}: is not in the receipt; somebody added it." for name in sorted(found)]
    return sentences, sorted(ignored)
