"""Releases that organisers make on their pages: written next to the store, listed, downloaded."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import insert, select

from suffrage import settings as reading
from suffrage import storage
from suffrage.consult.release.private_record import PrivateRecord
from suffrage.consult.release.release import MANIFEST, Release, make_release, read_release
from suffrage.consult.release.release_settings import DatasheetSettings, ReleaseSettings
from suffrage.errors import InputError, SuffrageError
from suffrage.server.store import audit
from suffrage.server.store.database import NotFoundError, now
from suffrage.server.store.database_schema import release
from suffrage.server.store.secret_keys import new_id
from suffrage.server.web.organise.desk import Desk

PRIVATE = "private.json"


def releases_folder(desk: Desk) -> Path | None:
    """Return the folder of this consultation's releases; None where the server has none."""
    chosen: Path | None = desk.request.app.state.settings.releases
    url = desk.store.engine.url
    if chosen is None and url.get_backend_name() == "sqlite":
        chosen = Path(str(url.database)).parent / "releases"
    return None if chosen is None else chosen / desk.about.slug


def proposed_settings(desk: Desk) -> dict[str, Any]:
    """Return the settings that a release starts from."""
    s = desk.about.settings
    about = DatasheetSettings(contact=s.contact)
    return ReleaseSettings(licence=s.licence, about=about).model_dump(mode="json")


def list_releases(desk: Desk) -> list[dict[str, Any]]:
    """Return the releases made here, the newest first."""
    query = (
        select(release).where(release.c.consultation_id == desk.id).order_by(release.c.at.desc())
    )
    with desk.store.read() as c:
        return [dict(row) for row in c.execute(query).mappings()]


def make_next_release(desk: Desk, wanted: dict[str, Any]) -> Release:
    """Write the next release and put it on record.

    Raises InputError on settings that do not fit, and where the finished files fail their own
    check.
    """
    folder = releases_folder(desk)
    if folder is None:
        raise InputError("this server has no folder for releases; make them on the command line.")
    checked = reading.validated(ReleaseSettings, wanted, "release")
    head = audit.head_of(desk.store, desk.id)
    checked = checked.model_copy(update={"audit_head": "" if head is None else str(head)})
    folder.mkdir(parents=True, exist_ok=True)
    # Two at once, also by two servers, would be given one number.
    with FileLock(folder / ".making"):
        _record_unlisted(desk, folder)
        private = folder / PRIVATE
        version = PrivateRecord.of(private, desk.about.slug).number
        try:
            made = make_release(desk.content, _place(folder, version), private, checked, _today())
        except InputError:
            raise
        except SuffrageError as error:
            raise InputError(str(error)) from error
        _record(desk, folder, version, made.manifest)
    return made


@contextmanager
def tried_release(desk: Desk, wanted: dict[str, Any]) -> Iterator[Release]:
    """Make the next release in a passing folder, with a copy of the private file.

    Raises InputError as `make_next_release` does.
    """
    checked = reading.validated(ReleaseSettings, wanted, "release")
    head = audit.head_of(desk.store, desk.id)
    checked = checked.model_copy(update={"audit_head": "" if head is None else str(head)})
    folder = releases_folder(desk)
    with tempfile.TemporaryDirectory(prefix="suffrage-release-") as passing:
        private = Path(passing) / PRIVATE
        if folder is not None and (folder / PRIVATE).exists():
            private.touch(mode=0o600)
            private.write_bytes((folder / PRIVATE).read_bytes())
        try:
            yield make_release(desk.content, Path(passing) / "release", private, checked, _today())
        except InputError:
            raise
        except SuffrageError as error:
            raise InputError(str(error)) from error


def _today() -> str:
    return datetime.fromtimestamp(now() / 1000, UTC).date().isoformat()


def _record_unlisted(desk: Desk, folder: Path) -> None:
    """Put whole releases on record whose maker was killed before it could do so."""
    listed = {row["version"] for row in list_releases(desk)}
    for version in range(1, PrivateRecord.of(folder / PRIVATE, desk.about.slug).number):
        place = _place(folder, version)
        if str(version) not in listed and place.is_dir():
            read_release(place)  # raises where it is not whole
            _record(desk, folder, version, storage.read_json(place / MANIFEST))


def _place(folder: Path, version: int) -> Path:
    return folder / f"release-{version}"


def _record(desk: Desk, folder: Path, version: int, manifest: Mapping[str, Any]) -> None:
    digest = hashlib.sha256((_place(folder, version) / MANIFEST).read_bytes()).hexdigest()
    row = {
        "consultation_id": desk.id,
        "id": new_id(),
        "version": str(version),
        "manifest": dict(manifest),
        "sha256": digest,
        "created_by": desk.member.id,
        "at": now(),
    }
    with desk.store.write() as c:
        c.execute(insert(release).values(row))
        detail = {"sha256": digest, "rows": manifest["rows"]}
        audit.append_entry(c, desk.id, desk.member.id, "release.make", str(version), detail)


def release_zip(desk: Desk, version: str) -> bytes:
    """Return all files of a release in one.

    Raises NotFoundError, and InputError where they were changed.
    """
    row = next((r for r in list_releases(desk) if r["version"] == version), None)
    folder = releases_folder(desk)
    if row is None or folder is None:
        raise NotFoundError("there is no such release.")
    place = folder / f"release-{version}"
    told = {**row["manifest"]["files"], MANIFEST: {"sha256": row["sha256"]}}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sorted(told):
            path = place / name
            content = path.read_bytes() if path.is_file() else b""
            if hashlib.sha256(content).hexdigest() != told[name]["sha256"]:
                raise InputError(
                    "%(name)s is missing or has changed since the release; check the server's "
                    "files.",
                    name=name,
                )
            # A fixed time: the same release is the same file whenever it is fetched.
            entry = zipfile.ZipInfo(f"{desk.about.slug}-release-{version}/{name}")
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, content)
    return out.getvalue()
