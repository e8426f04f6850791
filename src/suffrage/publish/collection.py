"""`suffrage publish`: a finished run as a folder that others can read, load and verify offline.

Respondents' rows never leave the run, and neither does what was learnt from a consultation's
participants: a consultation has a release of its own. The receipt names both by their hashes.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.align.checkpoint import MANIFEST, Checkpoint, name_base_model
from suffrage.errors import InputError
from suffrage.evaluate.results import Results
from suffrage.models import ModelIdentity, identify
from suffrage.models.bundled import PREFIX, prepared_folder
from suffrage.plurals import plural
from suffrage.publish.citation import CITATION, citation_file
from suffrage.publish.collection_pages import INDEX, collection_card, index_page
from suffrage.publish.dataset import write_dataset
from suffrage.publish.model_card import CARD, model_card
from suffrage.publish.receipt import (
    RECEIPT,
    FileSeal,
    ReceiptPart,
    RepresentationReceipt,
    sealed_files,
    verify,
    write_checkpoint_receipts,
)
from suffrage.report.tables import RESULT_FILES, read_results

# Where a base model without an address of its own is copied to.
BASE = "base"
CONSULTATION = "consultation"
DATASET = "dataset"
ROWS_STAY = (
    "respondents' rows stay with the holder of the survey; put the folder here to check its hash"
)
PEOPLE_STAY = "these records contain what participants of a consultation said"
# Texts that may name a folder of the machine that the run was made on.
_TEXTS = {".json", ".html", ".csv", ".md", ".tex"}


@dataclass(frozen=True)
class Published:
    """What `publish_run` wrote."""

    folder: Path
    receipt: RepresentationReceipt
    # What was not copied, with the reason, by the part's name.
    left_out: Mapping[str, str]
    bytes: int

    @property
    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "folder": str(self.folder),
            "seal": self.receipt.seal,
            "files": sum(path.is_file() for path in self.folder.rglob("*")),
            "bytes": self.bytes,
            "left_out": dict(self.left_out),
            "checkpoints": [p.place for p in self.receipt.parts if p.kind == "checkpoint"],
        }


def publish_run(
    run: Path,
    folder: Path,
    with_base: bool | None = None,
    consultation: Path | None = None,
    authors: Sequence[str] = (),
) -> Published:
    """Write a finished run into a folder that others can read, load and verify.

    Parameters
    ----------
    run : Path
        The folder of a finished run.
    folder : Path
        A new or an empty folder.
    with_base : bool, optional
        Whether the base model is copied into the folder. By default only one that is a folder on
        this machine is copied, because nobody else could find it.
    consultation : Path, optional
        A release that `suffrage consult release` made, to be published next to the models.
    authors : sequence of str
        Who is to be cited.

    Raises
    ------
    InputError
        The run is not finished, has changed since, or the folder has something in it.
    """
    storage.check_free_for_writing(folder)
    receipt = _checked_receipt(run)
    if consultation is not None and not (consultation / "manifest.json").is_file():
        raise InputError(
            f"{consultation}: is not a release of a consultation; `suffrage consult release` "
            "makes one."
        )
    results = read_results(run)

    def fill(draft: Path) -> None:
        _Writing(run, draft, receipt, results, with_base, consultation, tuple(authors)).write()

    storage.write_folder(folder, fill)
    return _published(folder)


def published_before(run: Path, folder: Path) -> Published:
    """What an earlier command published of a run.

    Raises
    ------
    InputError
        The folder is none that was published, or it is of another run, or of this one as it was
        before its study was changed.
    """
    found = _published(folder)
    if found.receipt.covers != "collection":
        raise InputError(f"{folder}: is not a published folder; name a new one.")
    # A part's folder has the hash of all that decides it in its name.
    of_run, of_folder = (
        {part.place for part in receipt.parts if part.kind not in ("model", "release")}
        for receipt in (RepresentationReceipt.read(run), found.receipt)
    )
    if of_run != of_folder:
        raise InputError(
            f"{folder}: was not published from {run} as it is now. Name a new folder, and this run "
            "is published there."
        )
    return found


def _published(folder: Path) -> Published:
    written = RepresentationReceipt.read(folder)
    left_out = {part.name: part.left_out for part in written.parts if part.left_out}
    return Published(folder, written, left_out, storage.bytes_held(folder))


def _checked_receipt(run: Path) -> RepresentationReceipt:
    if not (run / "results.json").is_file():
        raise InputError(
            f"{run}: is not the folder of a finished run; results.json is missing. `suffrage run "
            "STUDY` finishes it."
        )
    receipt = RepresentationReceipt.read(run)
    if receipt.covers != "run":
        raise InputError(f"{run}: is not a run; give the folder that `suffrage run` wrote.")
    problems = verify(run).problems
    if problems:
        raise InputError(
            f"{run}: differs from its receipt in {plural(len(problems), 'place')}. First: "
            f"{problems[0]} "
            "`suffrage verify` lists all. Only a run that matches its receipt can be published."
        )
    return receipt


@dataclass(frozen=True)
class _Writing:
    """One publication under way."""

    run: Path
    draft: Path
    receipt: RepresentationReceipt
    results: Results
    with_base: bool | None
    consultation: Path | None
    authors: tuple[str, ...]

    def write(self) -> None:
        parts = [self._with_reason(part) for part in self.receipt.parts]
        for part in parts:
            if part.place and not part.left_out:
                shutil.copytree(self.run / part.place, self.draft / part.place)
        for name in (*RESULT_FILES, "report.html"):
            shutil.copy2(self.run / name, self.draft / name)
        if self.consultation is not None:
            shutil.copytree(self.consultation, self.draft / CONSULTATION)
            made_from = ("consultation",) if any(p.name == "consultation" for p in parts) else ()
            release = ReceiptPart("consultation release", "release", CONSULTATION, "", made_from)
            parts = [*parts, release]
        parts = self._with_bases(parts)
        self._hide_paths()
        results = read_results(self.draft)
        checkpoints = [part for part in parts if part.kind == "checkpoint"]
        for part in checkpoints:
            folder = self.draft / part.place
            storage.write_text(folder / CARD, model_card(Checkpoint.read(folder), results))
        write_dataset(results, self.draft / DATASET)
        storage.write_text(self.draft / CITATION, citation_file(results, self.authors))
        sealed = self._seals_of_left_out(parts)
        sealed |= write_checkpoint_receipts(
            self.draft, self.receipt.study, parts, self.receipt.represents, sealed
        )
        page = (results, parts, self.receipt.represents)
        storage.write_text(self.draft / CARD, collection_card(*page))
        storage.write_text(self.draft / INDEX, index_page(*page))
        here = [path.name for path in sorted(self.draft.iterdir())]
        sealed = self._seals_of_left_out(parts) | sealed_files(self.draft, here)
        whole = RepresentationReceipt(
            self.receipt.study, "collection", ".", self.receipt.represents, parts, sealed, ["."]
        )
        storage.write_text(self.draft / RECEIPT, whole.text)

    def _with_reason(self, part: ReceiptPart) -> ReceiptPart:
        """The part, with the reason where it is not passed on."""
        if part.kind == "survey":
            return replace(part, left_out=ROWS_STAY)
        if part.kind == "records" and "consultation" in part.made_from:
            return replace(part, left_out=PEOPLE_STAY)
        return part

    def _seals_of_left_out(self, parts: Sequence[ReceiptPart]) -> dict[str, FileSeal]:
        """The hashes of files that stay, so that whoever holds them can still compare them."""
        return {
            place: seal
            for part in parts
            if part.left_out and part.place
            for place, seal in self.receipt.files.items()
            if place.startswith(f"{part.place}/")
        }

    def _with_bases(self, parts: Sequence[ReceiptPart]) -> list[ReceiptPart]:
        """The parts, with each base model named in a way that works elsewhere."""
        changed: dict[str, ReceiptPart] = {}
        for part in parts:
            if part.kind != "checkpoint":
                continue
            folder = self.draft / part.place
            checkpoint = Checkpoint.read(folder)
            base = self._public_base(folder, checkpoint.base_model)
            manifest = {**_public_values(checkpoint.manifest), "base_model": asdict(base)}
            storage.write_json(folder / MANIFEST, manifest)
            name_base_model(folder, base)
            (name,) = [one for one in part.made_from if one.startswith("model ")]
            place = f"{BASE}/{base.public_name}"
            copied = base.source.startswith(".") and (self.draft / place).is_dir()
            own = next(one for one in parts if one.name == name)
            facts = {**own.facts, "source": base.public_name}
            changed[name] = replace(
                own, place=place if copied else "", content=base.content, facts=facts
            )
        return [changed.get(part.name, part) for part in parts]

    def _public_base(self, checkpoint: Path, base: ModelIdentity) -> ModelIdentity:
        """The base model as others can find it, copied next to the checkpoints where need be."""
        if base.on_hub:
            return base
        run, source = self.run.resolve(), Path(base.source)
        if source.is_absolute() and source.is_relative_to(run):
            inside = "/".join([".." for _ in checkpoint.relative_to(self.draft).parts])
            return replace(
                base, name=source.name, source=f"{inside}/{source.relative_to(run).as_posix()}"
            )
        bundled = base.source.startswith(PREFIX)
        if self.with_base is False or (bundled and not self.with_base):
            return replace(base, name=base.public_name, source=base.public_name)
        folder = prepared_folder(base.source.removeprefix(PREFIX)) if bundled else source
        name = base.public_name.removeprefix(PREFIX)
        target = self.draft / BASE / name
        if not target.exists():
            shutil.copytree(folder, target)
        content = identify(str(target), Path()).content if bundled else base.content
        return replace(base, name=name, source=f"../../{BASE}/{name}", content=content)

    def _hide_paths(self) -> None:
        """Replace folders of this machine in texts: they help nobody, and name who trained."""
        names = {str(Path.home()): "~", str(self.run.resolve()): self.run.name}
        for part in self.receipt.parts:
            if part.kind == "checkpoint":
                base = Checkpoint.read(self.run / part.place).base_model
                if Path(base.source).is_absolute():
                    names |= {base.source: base.public_name, base.name: base.public_name}
        ordered = sorted((n for n in names if len(n) > 1), key=len, reverse=True)
        pattern = re.compile("|".join(rf"(?<![\w/]){re.escape(n)}(?![\w-])" for n in ordered))
        for path in self.draft.rglob("*"):
            # What has a hash of its own is data, and has no such name in it.
            own = path.relative_to(self.draft).parts[0]
            if path.suffix in _TEXTS and own not in ("value_sets", "splits", "records", BASE):
                text = path.read_text(encoding="utf-8")
                hidden = pattern.sub(lambda found: names[found.group()], text)
                if hidden != text:
                    storage.write_text(path, hidden)


def _public_values(content: Any) -> Any:
    """A manifest with the last part of every path that starts at a disk's root."""
    if isinstance(content, dict):
        return {key: _public_values(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_public_values(value) for value in content]
    if isinstance(content, str) and content.startswith(("/", "~/")):
        return Path(content).name
    return content
