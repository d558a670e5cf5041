"""Uploaded files: kept next to the runs, named by their content.

A browser hands a client's file name through unchanged, so it is only ever shown, cleaned, and
the folder is the first digits of the content's SHA-256. A file in a folder that the operator
allowed (``SPLICEDVAE_DATA_PATHS``) is not copied, only noted.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import psutil

from splicedvae import io
from splicedvae._core.errors import DataError
from splicedvae._core.files import write_text
from splicedvae._core.formats import FILE_ENDINGS, FOLDER_ENDINGS
from splicedvae.jobs import Limits
from splicedvae.jobs.limits import size_of
from splicedvae.runs import all_runs, runs_folder

#: Environment variable that names folders visitors may choose files from, os.pathsep between.
PATHS_VARIABLE: Final = "SPLICEDVAE_DATA_PATHS"

_ENTRY: Final = "entry.json"
_ID: Final = re.compile(r"[0-9a-f]{16}")
#: Beginning of the name of a mark that a file is being read, followed by the server's process id.
_READING: Final = ".reading-"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_LENGTH: Final = 80
_CHUNK: Final = 1 << 20
#: No more files of an allowed folder are listed.
_MOST_LISTED: Final = 500

#: Marks that this process set.
_MARKS: Final[set[str]] = set()

Kind = Literal["upload", "path", "simulated"]


class Readable(Protocol):
    """What an upload gives: its content, from where it was read last."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""

    def seek(self, offset: int, /) -> int:
        """Go to a place."""


@dataclass(frozen=True)
class StoredFile:
    """A file that a visitor gave or chose.

    Attributes
    ----------
    id
        First 16 hexadecimal digits of the content's SHA-256.
    name
        Cleaned file name.
    path
        Path of the content.
    sha256
        Digest of the content.
    kind
        How it came here.
    added
        When, in seconds since 1970.
    """

    id: str
    name: str
    path: str
    sha256: str
    kind: Kind
    added: float

    @property
    def size(self) -> int:
        """Bytes of the file, or of the files of the folder."""
        place = Path(self.path)
        if place.is_file():
            return place.stat().st_size
        return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())


def folder() -> Path:
    """Return the folder of files, next to the runs; its leading dot hides it from their list."""
    return runs_folder() / ".uploads"


def clean_name(name: str) -> str:
    """Make a file name of what a client sent: no folder, no odd character, bounded.

    Parameters
    ----------
    name
        Anything, such as ``"../../x.h5ad"``.

    Returns
    -------
    Letters, digits, dots, dashes and underscores; the extension is kept.
    """
    last = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    safe = _UNSAFE.sub("_", last).strip("._-") or "file"
    if len(safe) <= _NAME_LENGTH:
        return safe
    stem, dot, extension = safe.rpartition(".")
    kept = f"{dot}{extension}" if dot and len(extension) <= 8 else ""
    return f"{(stem or safe)[: _NAME_LENGTH - len(kept)]}{kept}"


def add_upload(name: str, content: Readable, *, kind: Kind = "upload") -> StoredFile:
    """Keep what a visitor uploaded.

    Parameters
    ----------
    name
        The client's file name.
    content
        The bytes; read from the start, a piece at a time.
    kind
        How it came here.

    Returns
    -------
    The stored file; the one that is there already if the content is the same.

    Raises
    ------
    DataError
        If the content is empty, or cannot be written.
    """
    name = clean_name(name)
    try:
        folder().mkdir(parents=True, exist_ok=True)
        fresh = folder() / f".new-{uuid.uuid4().hex[:8]}"
        fresh.mkdir()
        try:
            digest = hashlib.sha256()
            content.seek(0)
            left = _bytes_left()
            with (fresh / name).open("wb") as file:
                while piece := content.read(_CHUNK):
                    digest.update(piece)
                    file.write(piece)
                    if file.tell() > left:
                        raise DataError(
                            f"{name}: runs and files would take more than this server allows: "
                            "delete stored files or runs, then upload it again."
                        )
                size = file.tell()
            if not size:
                raise DataError(f"{name}: the file is empty, expected counts; choose another file.")
            sha256 = digest.hexdigest()
            home = folder() / sha256[:16]
            stored = StoredFile(
                sha256[:16], name, str(home / name), sha256, kind, round(time.time(), 3)
            )
            _write_entry(fresh, stored)
            if home.exists():
                known = _entry(home)
                if known is not None:
                    return known
                shutil.rmtree(home)
            try:
                fresh.rename(home)
            except OSError:
                # Another tab may have put the same content there in the meantime.
                known = _entry(home)
                if known is None:
                    raise
                return known
            return stored
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise DataError(_unwritable(error)) from error


def _bytes_left() -> float:
    """Return the bytes that all runs and files may still take; see `splicedvae.jobs.Limits`."""
    disk = Limits.of_environment().disk
    return math.inf if disk is None else disk - size_of(runs_folder())


def _unwritable(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            "The server's disk is full, so the file was not saved: free some space, then try again."
        )
    return (
        "The server cannot write to its folder of runs, so the file was not saved: ask the "
        "operator to make the folder writable."
    )


def allowed_folders() -> list[Path]:
    """Return the folders that the operator opened to visitors; none by default."""
    named = os.environ.get(PATHS_VARIABLE, "").split(os.pathsep)
    folders = [Path(name).expanduser().resolve() for name in named if name.strip()]
    return [place for place in folders if place.is_dir()]


def allowed_files() -> dict[str, Path]:
    """List what may be chosen in the operator's folders, at most 500 entries.

    Returns
    -------
    Label (the folder's name and the file's) to path.
    """
    found: dict[str, Path] = {}
    for number, place in enumerate(allowed_folders(), start=1):
        prefix = place.name or str(number)
        for file in sorted(place.iterdir()):
            fits = file.suffix.lower() in (*FILE_ENDINGS, *FOLDER_ENDINGS) or file.is_dir()
            if file.name.startswith(".") or not fits or not _inside(file, place):
                continue
            label = f"{prefix}/{file.name}"
            found.setdefault(label if label not in found else f"{label} ({number})", file)
            if len(found) >= _MOST_LISTED:
                return found
    return found


def _inside(file: Path, place: Path) -> bool:
    """Whether a file is still in a folder after its links are followed."""
    return file.resolve().is_relative_to(place)


def add_path(path: Path) -> StoredFile:
    """Note a file of an allowed folder, without copying it.

    Parameters
    ----------
    path
        One of the values of `allowed_files`.

    Returns
    -------
    The noted file.

    Raises
    ------
    DataError
        If it does not lie in an allowed folder, or cannot be read.
    """
    place = path.resolve()
    if not any(_inside(place, allowed) for allowed in allowed_folders()):
        raise DataError(
            "The file is outside the folders that this server may read: choose one from the list."
        )
    try:
        sha256 = io.sha256(place)
        home = folder() / sha256[:16]
        stored = StoredFile(
            sha256[:16], clean_name(path.name), str(place), sha256, "path", round(time.time(), 3)
        )
        home.mkdir(parents=True, exist_ok=True)
        known = _entry(home)
        if known is not None and known.kind != "path":
            return known
        _write_entry(home, stored)
        return stored
    except OSError as error:
        raise DataError(
            "The file cannot be read, or the server cannot write to its folder of runs: "
            "choose another file, or ask the operator of the server."
        ) from error


def find(file_id: str) -> StoredFile:
    """Return the stored file of an id, which may come from a URL.

    Parameters
    ----------
    file_id
        16 hexadecimal digits.

    Raises
    ------
    DataError
        If it is not an id, or there is no such file.
    """
    stored = _entry(folder() / file_id) if _ID.fullmatch(file_id) else None
    if stored is None:
        raise DataError(
            f"No file has the identifier {file_id[:40]!r} here: upload it again, or choose another."
        )
    return stored


def stored_files() -> list[StoredFile]:
    """Return all stored files, the newest first."""
    places = folder().iterdir() if folder().is_dir() else []
    found = [_entry(place) for place in places if _ID.fullmatch(place.name)]
    return sorted((item for item in found if item is not None), key=lambda item: -item.added)


def remove(stored: StoredFile) -> None:
    """Forget a file; an upload's content is deleted, a file of an allowed folder stays."""
    shutil.rmtree(folder() / stored.id, ignore_errors=True)


def delete(stored: StoredFile) -> None:
    """Forget a file unless a run is reading it; see `remove`.

    Parameters
    ----------
    stored
        The file.

    Raises
    ------
    DataError
        If a run that waits or works was started on it.
    """
    for run in all_runs()[0]:
        if run.config.data_sha256 == stored.sha256 and not run.status.is_final:
            raise DataError(
                f"{stored.name} is in use by the run “{run.name}”, which is running: stop "
                "that run or wait until it has finished, then delete the file."
            )
    remove(stored)


@contextmanager
def being_read(file_id: str) -> Iterator[None]:
    """Mark a file as being read, so that one that ended its server is known by its mark.

    Parameters
    ----------
    file_id
        Of the stored file.
    """
    mark = folder() / file_id / f"{_READING}{os.getpid()}-{uuid.uuid4().hex[:8]}"
    with contextlib.suppress(OSError):  # a folder that cannot be written is still read
        mark.touch()
    _MARKS.add(mark.name)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            mark.unlink()
        _MARKS.discard(mark.name)


def _is_left(mark: Path) -> bool:
    """Whether the server that set a mark is gone."""
    number = mark.name.removeprefix(_READING).split("-")[0]
    if number == str(os.getpid()):
        return mark.name not in _MARKS
    try:
        return psutil.Process(int(number)).create_time() > mark.stat().st_mtime + 1
    except (psutil.NoSuchProcess, ValueError, OSError):
        return True


def clear_leftovers(older_than: float = 3600.0) -> None:
    """Delete what an interrupted upload left behind, and files that ended a server as it read them.

    Parameters
    ----------
    older_than
        Seconds; younger ones may still be written.
    """
    for place in folder().glob(".new-*"):
        if time.time() - place.stat().st_mtime > older_than:
            shutil.rmtree(place, ignore_errors=True)
    for mark in folder().glob(f"*/{_READING}*"):
        if _ID.fullmatch(mark.parent.name) and _is_left(mark):
            shutil.rmtree(mark.parent, ignore_errors=True)
    io.gate.clear_leftovers()


def _write_entry(home: Path, stored: StoredFile) -> None:
    write_text(home / _ENTRY, json.dumps(asdict(stored)))


def _entry(home: Path) -> StoredFile | None:
    """Read what is known of a file; None if its folder is incomplete or its content gone."""
    try:
        values = json.loads((home / _ENTRY).read_text(encoding="utf-8"))
        stored = StoredFile(**values)
        if stored.kind == "path":
            place = Path(stored.path)
            allowed = any(_inside(place, one) for one in allowed_folders())
            return stored if allowed and place.exists() else None
        # The folder may have been moved as a whole; the content is in it.
        content = home / clean_name(stored.name)
        if stored.id != home.name or not content.exists():
            return None
        return StoredFile(**{**values, "path": str(content)})
    except (OSError, ValueError, TypeError):
        return None
