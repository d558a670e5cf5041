"""Digests of a finished run's results, so that damage is noticed before a number is shown.

`SHA256SUMS` is written last, just before a run is finished. A file is checked when it is first read
and whenever its size or time is another than it was. Older runs have no digests; they open, and
`splicedvae.runs.Run.notes` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from splicedvae._core.errors import RunError
from splicedvae._core.files import SUMS, file_digest, parse_sums, sums_text, write_text
from splicedvae.runs import files

#: What a run writes for its readers; the other files may change once it is finished.
_FILES: Final = (
    files.PROVENANCE,
    files.NOTES,
    files.HISTORY,
    files.METRICS,
    files.GENES,
    files.PREDICTIONS,
    files.VELOCITY_ACCOUNT,
)
_FOLDERS: Final = (files.MODEL, files.VELOCITY)


def seal(folder: Path) -> None:
    """Write the digests of all results of a run.

    Parameters
    ----------
    folder
        The run folder, complete but for its final status.
    """
    write_text(folder / SUMS, sums_text(folder, sorted(_results(folder))))


def is_sealed(folder: Path) -> bool:
    """Say whether a run has digests.

    Parameters
    ----------
    folder
        The run folder.
    """
    return (folder / SUMS).is_file()


def is_complete(folder: Path) -> bool:
    """Say whether a run has digests and all files that they name: nothing was left to do.

    Parameters
    ----------
    folder
        The run folder.
    """
    try:
        return is_sealed(folder) and all((folder / name).is_file() for name in _sums(folder))
    except RunError:
        return False


def check(folder: Path, name: str) -> None:
    """Refuse a result that is not what the run wrote.

    Parameters
    ----------
    folder
        The run folder; one without digests is not checked.
    name
        Of a file, or of a folder whose files are checked, relative to it.

    Raises
    ------
    RunError
        If a digest is another, or the list of digests is damaged.
    """
    if not is_sealed(folder):
        return
    sums = _sums(folder)
    place = folder / name
    names = [name] if place.is_file() else sorted(_below(folder, place))
    missing = {item for item in sums if item.startswith(f"{name}/")} - set(names)
    for item in (*names, *sorted(missing)):
        if not _is_intact(folder / item, sums.get(item, "")):
            raise RunError(
                f"The file {item} of the run does not match its digest, it was damaged or changed "
                "after the run had finished: restore it from a copy, or delete the run and train "
                "again."
            )


def _sums(folder: Path) -> Mapping[str, str]:
    try:
        found = parse_sums((folder / SUMS).read_bytes())
    except OSError:
        found = None
    if found is None:
        raise RunError(
            f"The list of digests ({SUMS}) of the run is damaged, so its results cannot be "
            "checked: restore it from a copy, or delete the run and train again."
        )
    return found


def _is_intact(file: Path, digest: str) -> bool:
    try:
        seen = file.stat()
        return _digest_of(file, seen.st_mtime_ns, seen.st_size, seen.st_ino) == digest
    except OSError:
        return False


@lru_cache(maxsize=4096)
def _digest_of(file: Path, time: int, size: int, number: int) -> str:
    """Return the digest of a file, computed once while its time, size and number are these."""
    return file_digest(file)


def _results(folder: Path) -> Iterator[str]:
    yield from (name for name in _FILES if (folder / name).is_file())
    for name in _FOLDERS:
        yield from _below(folder, folder / name)


def _below(folder: Path, place: Path) -> Iterator[str]:
    """Name the files of a folder of results, but for those that the system hides."""
    for inner in place.rglob("*"):
        if inner.is_file() and not inner.name.startswith("."):
            yield inner.relative_to(folder).as_posix()
