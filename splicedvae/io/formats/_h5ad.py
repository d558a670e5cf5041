"""AnnData in HDF5, of all versions; sparse matrices by a faster way to the same numbers."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
from anndata import AnnData, read_h5ad
from anndata.experimental import read_dispatched
from scipy import sparse

from splicedvae._core.messages import shown
from splicedvae._core.sparse import check_arrays
from splicedvae.io._chunks import values
from splicedvae.io._limits import Limits
from splicedvae.io.formats import _hdf5, _loom


def recognizes(file: h5py.File) -> bool:
    """Whether an HDF5 file holds an AnnData."""
    return {"obs", "var"} <= set(file.keys()) and not _loom.recognizes(file)


def read(place: Path, limits: Limits, notes: list[str]) -> AnnData:
    """Read a checked h5ad file."""
    with h5py.File(place, "r") as file:
        if _is_current(file):
            adata: AnnData = read_dispatched(file, read_element)
            return adata
    # Written before anndata 0.8, which can still read it.
    return read_h5ad(place)


def stored(place: Path, limits: Limits, closing: ExitStack) -> h5py.File | None:
    """Open a checked file whose matrices are to stay in it; None where it has to be read whole."""
    file = closing.enter_context(_hdf5.opened(place))
    return file if _is_current(file) else None


def _is_current(file: h5py.File) -> bool:
    return bool(file.attrs.get("encoding-type") == "anndata")


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
