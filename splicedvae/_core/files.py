"""Writing so that a name never holds half a file, and digests that show what was damaged later.

A write is a temporary file, flushed to the disk, moved to its name, and the folder flushed: after a
power loss a name holds the old content or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

#: Name of a folder's list of digests, which ``sha256sum -c`` reads too.
SUMS: Final = "SHA256SUMS"
#: Most bytes of such a list.
_MAX_SUMS: Final = 100_000
_LINE: Final = re.compile(
    r"(?P<digest>[0-9a-f]{64}) [ *]"
    r"(?P<name>(?:[A-Za-z0-9][A-Za-z0-9._-]{0,100}/){0,3}[A-Za-z0-9][A-Za-z0-9._-]{0,100})"
)


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary name next to ``path``, and move what was written there into its place.

    Parameters
    ----------
    path
        The final name of a file or folder. The folder it is in must exist.
    durable
        Whether to wait until the disk has it. A file that is replaced every few seconds can do
        without.

    Yields
    ------
    The temporary name, with the suffix of ``path``. If the body raises, what was written is
    removed and ``path`` keeps its old content.
    """
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        if durable:
            _flush_all(temporary)
        if temporary.is_dir() and path.is_dir():
            # A folder that is not empty cannot be replaced in one step.
            old = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
            os.replace(path, old)
            os.replace(temporary, path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(temporary, path)
        if durable:
            _flush(path.parent)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write a text file (UTF-8) in one step; see `replacing`."""
    with replacing(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _flush_all(place: Path) -> None:
    """Flush a file, or all files and folders of a folder."""
    if place.is_dir():
        for inner in place.rglob("*"):
            _flush(inner)
    _flush(place)


def _flush(place: Path) -> None:
    """Wait until the disk has a file or a folder's names, where the system can say so."""
    if place.is_dir() and os.name == "nt":
        return
    handle = os.open(place, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems, such as FUSE and network shares, have no fsync for folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EROFS):
            raise
    finally:
        os.close(handle)


def sweep(folder: Path) -> int:
    """Remove the temporary files that killed writers left in a folder that nobody writes to now.

    Parameters
    ----------
    folder
        The folder; those below it are swept too.

    Returns
    -------
    How many were removed.
    """
    removed = 0
    for place in sorted(folder.rglob(".*-*"), reverse=True):
        if not _LEFT.fullmatch(place.name):
            continue
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                place.unlink()
        removed += 1
    return removed


#: The temporary names of `replacing`.
_LEFT: Final = re.compile(r"\..*-[0-9a-f]{8}(\.[^-]*)?")


# Digests ------------------------------------------------------------------------------------


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits.

    Parameters
    ----------
    file
        The file.
    """
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sums_text(folder: Path, names: Iterable[str]) -> str:
    """Return the list of digests of files in a folder, a line each, as ``sha256sum`` writes it.

    Parameters
    ----------
    folder
        The folder.
    names
        Of files in it, relative, with forward slashes.
    """
    return "".join(f"{file_digest(folder / name)}  {name}\n" for name in names)


def parse_sums(listed: bytes) -> Mapping[str, str] | None:
    """Read a list of digests.

    Parameters
    ----------
    listed
        The content of a file `SUMS`.

    Returns
    -------
    Digest of each file by its name; None if a line is anything else, or a name is repeated.
    """
    lines = listed[: _MAX_SUMS + 1].decode("ascii", "replace").splitlines()
    found = [_LINE.fullmatch(line) for line in lines]
    sums = {line["name"]: line["digest"] for line in found if line}
    return sums if len(sums) == len(lines) and len(listed) <= _MAX_SUMS else None


# Refusals of the system ---------------------------------------------------------------------


#: How safetensors and HDF5 name the system's error.
_NUMBER: Final = re.compile(r"\b(?:os error|errno =) (\d+)\b")


def is_full(error: BaseException) -> bool:
    """Say whether an error is that of a full disk or quota.

    Parameters
    ----------
    error
        Any; libraries that are not written in Python hand on the number of the system's error in
        a message of their own.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    handed_on = _NUMBER.search(str(error))
    return handed_on is not None and int(handed_on[1]) in (errno.ENOSPC, errno.EDQUOT)


def is_read_only(error: BaseException) -> bool:
    """Say whether an error is that of a place that may not be written to.

    Parameters
    ----------
    error
        Any.
    """
    return isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)


def why_unwritten(error: Exception, what: str) -> str:
    """Say in a sentence why something could not be written, and what to do.

    Parameters
    ----------
    error
        What the system said.
    what
        What was not done, as the middle of a sentence, such as ``"the run was not started"``.
    """
    if is_full(error):
        return f"The disk is full, so {what}: free some space, such as old runs, then try again."
    if is_read_only(error):
        return (
            f"The folder of runs is read-only, so {what}: make it writable, or set another one "
            "with SPLICEDVAE_RUNS."
        )
    reason = getattr(error, "strerror", None) or type(error).__name__
    return (
        f"The system refused to write ({reason}), so {what}: "
        "check the folder of runs and its disk, then try again."
    )
