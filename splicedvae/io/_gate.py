"""The gate: everything from outside passes `open_checked` before anything else touches it.

It looks at a file's first bytes rather than at its name, at its structure before its numbers, and
at its declared size before its content. It gives back plain matrices in memory that scipy can work
on safely.

It is the one function that has to move into a process of its own: it takes a path and numbers, and
gives back data and sentences. Only that will put a memory limit behind it, and shield the caller
from the HDF5 library itself: rare damage to a file's internal tables still makes the library end
the process by a segmentation fault.
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
from typing import Any, Literal

import h5py
from anndata import AnnData, read_h5ad
from anndata.experimental import read_dispatched
from anndata.io import read_zarr
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.messages import about, file_name, keeping, shown
from splicedvae._core.sparse import check_arrays, check_matrix
from splicedvae.io._chunks import values
from splicedvae.io._limits import Limits
from splicedvae.io.formats import _hdf5, _zarr, _zip
from splicedvae.io.formats._folders import choose_folder
from splicedvae.io.formats._loom import read_loom
from splicedvae.io.formats._market import read_market_folder
from splicedvae.io.formats._tenx import read_10x, tenx_groups

Format = Literal["h5ad", "loom", "10x h5", "mtx folder", "zarr"]

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ACCEPTED = "h5ad, loom, 10x h5, a zipped mtx folder or zarr"
_EXTENSIONS: dict[str, Format] = {".h5ad": "h5ad", ".loom": "loom"}
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


@dataclass
class Opened:
    """What came through the gate."""

    #: Data as the file names it; every sparse matrix in it has a sound structure.
    adata: AnnData
    format: Format
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
        ``SPLICEDVAE_MAX_BYTES``, else 16 GiB.

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
        raise DataError(
            "it needs more memory than there is; leave out unneeded layers or cells."
        ) from error
    except Exception as error:  # the readers raise many types on damaged files
        raise DataError(
            f"its content cannot be read{_element(error)}, a complete file in the format of "
            f"{_ACCEPTED} was expected; write it again with a current version of its tool."
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
        raise DataError("it is no ordinary file (a device or pipe?); give a file or folder.")
    return place


def _open(place: Path, limits: Limits) -> Opened:
    if place.is_dir():
        return _open_folder(place, limits)
    with place.open("rb") as stream:
        head = stream.read(4096)
        if not head:
            raise DataError("it is empty (0 bytes), counts were expected; copy it again.")
    if is_hdf5(place):
        return _open_hdf5(place, limits)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _open_zip(place, limits)
    raise DataError(_not_accepted(place, head))


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
    claim = f" although its name ends in {suffix}" if suffix in (".h5ad", ".loom", ".h5") else ""
    if head.lower().startswith(b"%%matrixmarket"):
        return (
            "it is one Matrix Market file without barcodes and genes, its folder was expected; "
            "give the folder, or a zip of it."
        )
    for magic, what, remedy in _KNOWN:
        if head.startswith(magic):
            return f"it is {what}{claim}, {_ACCEPTED} was expected; {remedy}."
    if head[257:262] == b"ustar":
        return f"it is a tar archive{claim}, {_ACCEPTED} was expected; unpack it first."
    if _is_text(head):
        return f"it holds text{claim}, {_ACCEPTED} was expected; write the counts as h5ad."
    return f"it is of no known format{claim}, {_ACCEPTED} was expected; write the counts as h5ad."


def _is_text(head: bytes) -> bool:
    try:
        text = head[:-4].decode("utf-8") if len(head) > 4 else head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\r\n\t" for c in text)


def _open_folder(folder: Path, limits: Limits) -> Opened:
    notes: list[str] = []
    if _zarr.is_store(folder):
        _zarr.check(folder, limits)
        group = _zarr.open_group(folder)
        if "obs" not in group or "var" not in group:
            raise DataError(
                "the zarr store holds no obs and var, an AnnData was expected; write it with "
                "AnnData.write_zarr."
            )
        return Opened(read_zarr(group), "zarr", notes)
    with keeping(notes):
        chosen = choose_folder(folder, limits, notes)
        return Opened(read_market_folder(chosen, limits, notes), "mtx folder", notes)


def _open_zip(place: Path, limits: Limits) -> Opened:
    with tempfile.TemporaryDirectory(prefix="splicedvae-") as folder:
        root = Path(folder)
        _zip.unpack(place, root, limits)
        while not _zarr.is_store(root):
            inside = list(root.iterdir())
            if not inside:
                raise DataError("the zip is empty, a matrix folder was expected; pack it again.")
            if len(inside) > 1:
                break
            root = inside[0]
            if root.is_file():
                with root.open("rb") as stream:
                    if stream.read(8) != _HDF5_MAGIC:
                        break
                opened = _open_hdf5(root, limits)
                opened.notes.insert(0, f"The zip holds {shown(root.name)}, which was read.")
                return opened
        if not root.is_dir():
            raise DataError(
                f"the zip holds only {shown(root.name)}, a matrix folder, zarr store or h5ad was "
                "expected; pack the whole folder."
            )
        return _open_folder(root, limits)


def _open_hdf5(place: Path, limits: Limits) -> Opened:
    notes: list[str] = []
    with _hdf5.opened(place) as file:
        _hdf5.walk(file, limits)
        found = format_of(file)
        if found == "loom":
            adata = read_loom(file, limits, notes)
        elif found == "10x h5":
            adata = read_10x(file)
    if found == "h5ad":
        adata = _read_h5ad(place)
    return Opened(adata, found, [*claimed_note(place, found), *notes])


def claimed_note(place: Path, found: Format) -> list[str]:
    """Say where a file's name claims another format; nothing where it does not."""
    claimed = _EXTENSIONS.get(place.suffix.lower())
    if claimed is None or claimed == found:
        return []
    return [f"Its name ends in {place.suffix} but it is {found} and was read as such."]


def _read_h5ad(place: Path) -> AnnData:
    with h5py.File(place, "r") as file:
        if file.attrs.get("encoding-type") == "anndata":
            adata: AnnData = read_dispatched(file, read_element)
            return adata
    # Written before anndata 0.8, which alone knows how.
    return read_h5ad(place)


def read_element(read: Any, key: str, element: Any, *, iospec: Any) -> Any:
    """Read an element as anndata does, sparse matrices by a faster way to the same numbers."""
    if iospec.encoding_type not in ("csr_matrix", "csc_matrix") or not isinstance(
        element, h5py.Group
    ):
        return read(element)
    by_row = iospec.encoding_type == "csr_matrix"
    shape = tuple(int(n) for n in element.attrs["shape"])
    data, indices, indptr = (values(element[part]) for part in ("data", "indices", "indptr"))
    where = shown(key.strip("/") or "X")
    check_arrays(data, indices, indptr, shape, where=where, major=0 if by_row else 1)
    kind = sparse.csr_matrix if by_row else sparse.csc_matrix
    return kind((data, indices, indptr), shape=shape)


def format_of(file: h5py.File) -> Format:
    """Tell the format of an HDF5 file by what it holds."""
    keys = set(file.keys())
    if _hdf5.is_loom(file):
        return "loom"
    if {"obs", "var"} <= keys:
        return "h5ad"
    if tenx_groups(file):
        return "10x h5"
    if "mod" in keys:
        raise DataError(
            "it is a MuData file of several modalities, an AnnData was expected; save its RNA "
            "modality as h5ad."
        )
    listed = ", ".join(shown(key, longest=40) for key in sorted(keys)[:5]) or "nothing"
    raise DataError(
        f"it is an HDF5 file that holds {listed}; an AnnData (obs, var, X), loom or 10x matrix was "
        "expected; write the counts as h5ad."
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
    """Check the structure of every sparse matrix of an AnnData, wherever it stands.

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
