"""A matrix that stays in its file and is read, and checked, some cells at a time.

What `_sparse` and `_counts` check of a whole matrix is checked here block by block, with the same
sentences, so that a file larger than memory passes the same gate.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._core.native import native
from splicedvae._core.sparse import check_indices, check_lengths, check_pointers, to_csr
from splicedvae.io._chunks import PackedArray
from splicedvae.io._rounding import Rounder
from splicedvae.io._values import Look, Values

#: Stored entries, or cells x genes of a dense matrix, that are in memory at a time.
MAX_ENTRIES = 1 << 21
_DENSE_ENTRIES = 1 << 23


class NotInBlocksError(Exception):
    """A matrix has to be looked at as a whole."""


class Seen(NamedTuple):
    """What one pass over a stored matrix found."""

    values: Values
    #: Entries that were stored more than once.
    repeated: int
    #: Entries that are not zero.
    nnz: int
    #: Cells without any.
    n_empty: int


class _Part:
    """An array of a file, of which parts are read."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self._packed = PackedArray.of(array) if isinstance(array, h5py.Dataset) else None

    def __getitem__(self, window: slice) -> NDArray[Any]:
        if self._packed is not None:
            part: NDArray[Any] = native(self._packed.part(window.start, window.stop))
            return part
        return np.asarray(native(self._array[window]))


class StoredMatrix:
    """A CSR or dense matrix in an open, checked h5ad or zarr file, cells x genes.

    Parameters
    ----------
    element
        Group of a CSR matrix, or a dense array, as `storable` accepts.
    where
        Its name for messages.
    """

    #: What rounds values to whole numbers as they are read, if they are.
    rounder: Rounder | None = None

    def __init__(self, element: Any, where: str) -> None:
        self.where = where
        self._element = element
        self._sparse = "indptr" in element if hasattr(element, "keys") else False
        shape = element.attrs["shape"] if self._sparse else element.shape
        self.shape: tuple[int, int] = (int(shape[0]), int(shape[1]))

    @staticmethod
    def storable(element: Any) -> bool:
        """Whether an element of a file is a matrix that cells can be read of one after another."""
        if not hasattr(element, "keys"):
            return len(element.shape) == 2 and element.dtype.kind in "biuf"
        return element.attrs.get("encoding-type") == "csr_matrix" and all(
            hasattr(element.get(part), "shape") for part in ("data", "indices", "indptr")
        )

    @property
    def nnz(self) -> int:
        """Number of entries that are not zero."""
        return self.seen.nnz

    @cached_property
    def seen(self) -> Seen:
        """What the matrix holds, found in one pass.

        Raises
        ------
        DataError
            The structure is damaged, or it holds no numbers.
        """
        look = Look()
        repeated = nnz = n_empty = 0
        for block, twice in self._read():
            repeated += twice
            nnz += block.nnz
            n_empty += int(np.count_nonzero(np.diff(block.indptr) == 0))
            look.add(block)
            if look.is_decided:
                break
        return Seen(look.values, repeated, nnz, n_empty)

    def blocks(self) -> Iterator[sparse.csr_matrix]:
        """Yield the cells in order, as canonical CSR float32 without stored zeros.

        Raises
        ------
        DataError
            The structure is damaged, or it holds no numbers.
        """
        first = 0
        for block, _ in self._read():
            if self.rounder is not None:
                self.rounder.round(block, first)
            first += block.shape[0]
            yield sparse.csr_matrix(block.astype(np.float32, copy=False))

    def _read(self) -> Iterator[tuple[sparse.csr_matrix, int]]:
        if not self._sparse:
            rows = max(1, _DENSE_ENTRIES // max(1, self.shape[1]))
            for start in range(0, self.shape[0], rows):
                block = np.asarray(self._element[start : start + rows])
                yield to_csr(block, where=self.where)
            return
        element, where = self._element, self.where
        check_lengths(
            element["data"], element["indices"], element["indptr"], self.shape, where=where
        )
        pointers = np.asarray(element["indptr"][:]).astype(np.int64)
        check_pointers(pointers, int(element["indices"].shape[0]), where=where)
        data, indices = _Part(element["data"]), _Part(element["indices"])
        start = 0
        while start < self.shape[0]:
            last = int(np.searchsorted(pointers, pointers[start] + MAX_ENTRIES, side="right")) - 1
            stop = min(max(last, start + 1), self.shape[0])
            window = slice(int(pointers[start]), int(pointers[stop]))
            columns = indices[window]
            check_indices(columns, self.shape[1], where=where)
            block = sparse.csr_matrix(
                (
                    data[window],
                    columns.astype(np.int32, copy=False),
                    (pointers[start : stop + 1] - pointers[start]).astype(np.int32),
                ),
                shape=(stop - start, self.shape[1]),
            )
            yield to_csr(block, where=where, copy=False)
            start = stop
