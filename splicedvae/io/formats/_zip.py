"""A zip is unpacked entry by entry into a folder of its own, and nowhere else."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from splicedvae._core.errors import DataError
from splicedvae._core.messages import shown
from splicedvae.io._limits import Limits

_BLOCK = 1 << 20
_JUNK = {"__MACOSX", ".DS_Store", "Thumbs.db"}


def unpack(path: Path, target: Path, limits: Limits) -> None:
    """Unpack a zip into an existing empty folder.

    Parameters
    ----------
    path
        The zip.
    target
        Empty folder.
    limits
        Bounds on entries and unpacked bytes; they hold for what is really unpacked, not only
        for what the zip declares.

    Raises
    ------
    DataError
        A damaged or encrypted zip, an entry that would leave the folder, a link, an unusual
        packing, or more than the limits allow.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > limits.max_entries:
                raise DataError(
                    f"the zip holds {len(entries):,} files, at most {limits.max_entries:,} are "
                    "accepted; pack only the matrix folder."
                )
            limits.check_size(sum(entry.file_size for entry in entries), stored=path.stat().st_size)
            left = limits.max_bytes
            for entry in entries:
                inside = _safe(entry)
                if inside is None:
                    continue
                place = target.joinpath(*inside.parts)
                if entry.is_dir():
                    place.mkdir(parents=True, exist_ok=True)
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                left = _copy(archive, entry, place, left, limits)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(
            "the zip is damaged or cut off, expected a complete one; pack or copy it again."
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            "the zip cannot be unpacked (two entries share a place, a name is too long, or the "
            "disk is full); pack only the matrix folder again."
        ) from error


def _safe(entry: zipfile.ZipInfo) -> PurePosixPath | None:
    name = entry.filename.replace("\\", "/")
    inside = PurePosixPath(name)
    if inside.is_absolute() or ".." in inside.parts or ":" in (inside.parts or ("",))[0]:
        raise DataError(
            f"the zip's entry {shown(name)} points outside the zip, expected plain relative "
            "names; pack the folder again."
        )
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise DataError(
            f"the zip's entry {shown(name)} is a symbolic link, expected plain files; pack "
            "the files themselves."
        )
    if entry.flag_bits & 1:
        raise DataError(
            "the zip is encrypted, expected one without password; pack it without password."
        )
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"the zip's entry {shown(name)} is packed in an unusual way (method "
            f"{entry.compress_type}), expected deflate; pack it again as a plain zip."
        )
    if not inside.parts or _JUNK & set(inside.parts):
        return None
    return inside


def _copy(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, place: Path, left: int, limits: Limits
) -> int:
    with archive.open(entry) as source, place.open("xb") as sink:
        while block := source.read(_BLOCK):
            left -= len(block)
            if left < 0:
                limits.check_size(limits.max_bytes + 1)
            sink.write(block)
    return left
