"""Everything from outside passes `open_checked` before anything else touches it.

It checks a file's first bytes rather than its name, its structure before its numbers, and
its declared size before its content. It returns plain matrices in memory that scipy can work
on safely. `splicedvae.io.gate` runs it in a process of its own, with bounds on memory and time.
"""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
from anndata import AnnData

from splicedvae._core.errors import DataError
from splicedvae._core.formats import ACCEPTED, FILE_ENDINGS, FORMATS, FileFormat, format_of_ending
from splicedvae._core.messages import about, file_name, keeping, shown
from splicedvae._core.sparse import check_matrix
from splicedvae.io._digest import refuse_links
from splicedvae.io._limits import MAX_BYTES_VARIABLE, Limits
from splicedvae.io.formats import _hdf5, _zarr, _zip

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_KNOWN: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "gzip-compressed", "unpack it first"),
    (b"BZh", "bzip2-compressed", "unpack it first"),
    (b"\xfd7zXZ", "xz-compressed", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-zip archive", "pack it as .zip"),
    (b"Rar!", "a RAR archive", "pack it as .zip"),
    (b"PAR1", "a Parquet file", "write counts as h5ad"),
    (b"\x93NUMPY", "a numpy array", "write counts as h5ad"),
    (b"%PDF", "a PDF", "give the data itself"),
    (b"RDX", "an R data file", "convert it to h5ad"),
    (b"\x80\x02", "a Python pickle, which can run commands when opened", "write it as h5ad"),
    (b"\x80\x03", "a Python pickle, which can run commands when opened", "write it as h5ad"),
    (b"\x80\x04", "a Python pickle, which can run commands when opened", "write it as h5ad"),
    (b"\x80\x05", "a Python pickle, which can run commands when opened", "write it as h5ad"),
)
_TOO_LARGE = (
    "it needs more memory than reading it may take here; leave out unneeded layers or cells, keep "
    f"matrices sparse, or raise {MAX_BYTES_VARIABLE}."
)


@dataclass
class Opened:
    """What came through the gate."""

    #: Data as the file names it; every sparse matrix in it has a sound structure.
    adata: AnnData
    #: Name of one of `FORMATS`.
    format: str
    #: Sentences about what was chosen, made up or left out.
    notes: list[str] = field(default_factory=list)


def open_checked(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> Opened:
    """Open a file or folder from outside after checking that it is safe and sound.

    Parameters
    ----------
    path
        h5ad, loom, 10x h5, zarr (folder or zip), or a folder (or zip of one) of Matrix Market
        files.
    max_bytes
        Bytes its arrays may take in memory; ``None`` takes the environment variable
        ``SPLICEDVAE_MAX_BYTES``, else half of the free memory.

    Returns
    -------
    The data with its format and notes.

    Raises
    ------
    DataError
        The file is missing, of another format, damaged, hostile or too large.
    """
    name = file_name(os.fspath(path))
    with about(name):
        limits = Limits.of(max_bytes)
        place = existing(path)
        with sentences():
            opened = _open(place, limits)
            check_all(opened.adata)
        return opened


@contextmanager
def sentences() -> Iterator[None]:
    """Turn whatever readers raise on damaged files into one sentence, and keep them quiet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DataError:
        raise
    except (MemoryError, RecursionError) as error:
        raise DataError(_TOO_LARGE) from error
    except Exception as error:  # the readers raise many types on damaged files
        if isinstance(error, OSError) and "allocation" in str(error):  # HDF5's words
            raise DataError(_TOO_LARGE) from error
        raise DataError(
            f"its content cannot be read{_element(error)}, expected a complete file in the "
            f"format of {ACCEPTED}; write it again with a current version of its tool."
        ) from error


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file or folder that is there."""
    try:
        place = Path(path)
        if "\0" in str(place):  # exists() would only say no
            raise ValueError("null character in a name")
        there = place.exists()
    except (OSError, ValueError) as error:
        raise DataError(
            "its name is not one that a file can have (too long or with forbidden characters); "
            "rename it."
        ) from error
    if not there:
        raise DataError("there is no such file; check the name.")
    if not place.is_dir() and not place.is_file():
        raise DataError("it is not a regular file (a device or pipe?); give a file or folder.")
    return place


def _open(place: Path, limits: Limits) -> Opened:
    found = recognized(place, limits)
    if found is None:
        return _open_zip(place, limits)
    return _read(found, place, limits)


def _read(found: FileFormat, place: Path, limits: Limits) -> Opened:
    notes = [] if place.is_dir() else claimed_note(place, found)
    with keeping(notes):
        return Opened(found.code.read(place, limits, notes), found.name, notes)


def recognized(place: Path, limits: Limits) -> FileFormat | None:
    """Recognize the format of a file or folder by its content, after the checks of its container.

    Parameters
    ----------
    place
        A file or folder that is there.
    limits
        Bounds on what a file may hold.

    Returns
    -------
    The format; None for a zip, which holds a file or folder of one.

    Raises
    ------
    DataError
        The file is of no known format, or not safe to read.
    """
    if place.is_dir():
        refuse_links(place)
        return _first("folder", place)
    with place.open("rb") as stream:
        head = stream.read(4096)
    if not head:
        raise DataError("it is empty (0 bytes), expected counts; copy it again.")
    if is_hdf5(place):
        with _hdf5.opened(place) as file:
            _hdf5.walk(file, limits)
            found = _first("hdf5", file)
            if found is None:
                raise DataError(_unknown_hdf5(file))
            return found
    found = _first("file", head)
    if found is None and not head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        raise DataError(_not_accepted(place, head))
    return found


def _first(container: str, source: Any) -> FileFormat | None:
    formats = (one for one in FORMATS if one.container == container)
    return next((one for one in formats if one.code.recognizes(source)), None)


def is_hdf5(place: Path) -> bool:
    """Whether a file begins as HDF5 does."""
    with place.open("rb") as stream:
        for offset in (0, 512, 1024, 2048, 4096, 8192):  # HDF5 allows a block before it
            stream.seek(offset)
            if stream.read(8) == _HDF5_MAGIC:
                return True
    return False


def _not_accepted(place: Path, head: bytes) -> str:
    suffix = place.suffix.lower()
    claim = f" although its name ends in {suffix}" if suffix in FILE_ENDINGS else ""
    if head.lower().startswith(b"%%matrixmarket"):
        return (
            "it is one Matrix Market file without barcodes and genes, expected its folder; "
            "give the folder, or a zip of it."
        )
    for magic, what, remedy in _KNOWN:
        if head.startswith(magic):
            return f"it is {what}{claim}, expected {ACCEPTED}; {remedy}."
    if head[257:262] == b"ustar":
        return f"it is a tar archive{claim}, expected {ACCEPTED}; unpack it first."
    if _is_text(head):
        return f"it holds text{claim}, expected {ACCEPTED}; write the counts as h5ad."
    return f"its format is unknown{claim}, expected {ACCEPTED}; write the counts as h5ad."


def _is_text(head: bytes) -> bool:
    try:
        text = head[:-4].decode("utf-8") if len(head) > 4 else head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\r\n\t" for c in text)


def _open_zip(place: Path, limits: Limits) -> Opened:
    with tempfile.TemporaryDirectory(prefix="splicedvae-") as folder:
        root = Path(folder)
        _zip.unpack(place, root, limits)
        while not _zarr.is_store(root):
            inside = list(root.iterdir())
            if not inside:
                raise DataError("the zip is empty, expected a matrix folder; pack it again.")
            if len(inside) > 1:
                break
            root = inside[0]
            if root.is_file():
                if not is_hdf5(root):
                    break
                opened = _open(root, limits)
                opened.notes.insert(0, f"The zip holds {shown(root.name)}, which was read.")
                return opened
        if not root.is_dir():
            raise DataError(
                f"the zip holds only {shown(root.name)}, expected a matrix folder, zarr "
                "store or h5ad; pack the whole folder."
            )
        return _open(root, limits)


def claimed_note(place: Path, found: FileFormat) -> list[str]:
    """Say where a file's name claims another format; nothing where it does not."""
    claimed = format_of_ending(place.suffix)
    if claimed is None or claimed == found:
        return []
    return [f"Its name ends in {place.suffix}, but it is {found.name} and was read as such."]


def _unknown_hdf5(file: h5py.File) -> str:
    keys = set(file.keys())
    if "mod" in keys:
        return (
            "it is a MuData file of several modalities, expected an AnnData; save its RNA "
            "modality as h5ad."
        )
    listed = ", ".join(shown(key, longest=40) for key in sorted(keys)[:5]) or "nothing"
    return (
        f"it is an HDF5 file that holds {listed}, expected an AnnData (obs, var, X), loom "
        "or 10x matrix; write the counts as h5ad."
    )


def _element(error: BaseException) -> str:
    """Where in the file a reader stumbled, as anndata notes it."""
    for note in getattr(error, "__notes__", []):
        match = re.search(r"from (/\S*)", str(note))
        key = re.search(r"key '([^']*)'", str(note))
        if match:
            parts = [match.group(1).strip("/"), key.group(1) if key else ""]
            return f" at {shown('/'.join(part for part in parts if part))}"
    return ""


def check_all(adata: AnnData) -> None:
    """Check the structure of every sparse matrix of an AnnData.

    Parameters
    ----------
    adata
        Data just read; nothing is computed on it.

    Raises
    ------
    DataError
        A matrix is damaged.
    """
    check_matrix(adata.X, where="X")
    if adata.raw is not None:
        check_matrix(adata.raw.X, where="raw.X")
        _check_nested(dict(adata.raw.varm), "raw.varm")
    for part in ("layers", "obsm", "varm", "obsp", "varp", "uns"):
        _check_nested(getattr(adata, part), part)


def _check_nested(mapping: Mapping[str, Any], where: str) -> None:
    for key, value in mapping.items():
        if key is None:  # X, in the layers of anndata 0.13
            continue
        place = f"{where}/{shown(key)}"
        if isinstance(value, Mapping):
            _check_nested(value, place)
        elif isinstance(value, AnnData):
            check_all(value)
        else:
            check_matrix(value, where=place)
