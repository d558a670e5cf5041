"""Sparse matrices from outside: fully checked before any arithmetic.

scipy's compiled routines trust ``indptr`` and ``indices``. One index out of range makes the
first sum read or write memory that is not the matrix's and takes the whole process down, so the
plain arrays are looked at first, with numpy comparisons that cannot go wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.native import native

#: Above this number float32 no longer holds every integer.
LARGEST_COUNT = 1 << 24
_DENSE_BLOCK = 1 << 24
_ADVICE = "write the file again from an intact matrix"


def check_arrays(
    data: Any, indices: Any, indptr: Any, shape: Sequence[int], *, where: str, major: int = 0
) -> None:
    """Check the three arrays of a compressed sparse matrix against its shape.

    Parameters
    ----------
    data, indices, indptr
        The arrays of a CSR (``major=0``) or CSC (``major=1``) matrix.
    shape
        Declared numbers of rows and columns.
    where
        Name of the element, for the message.
    major
        Axis that ``indptr`` runs along.

    Raises
    ------
    DataError
        Wrong lengths, ``indptr`` that does not start at 0 or decreases, indices that are
        negative or beyond the shape.
    """
    check_lengths(data, indices, indptr, shape, where=where, major=major)
    check_pointers(np.asarray(indptr), len(indices), where=where)
    check_indices(np.asarray(indices), int(shape[1 - major]), where=where)


def check_pointers(pointers: np.ndarray, n_entries: int, *, where: str) -> None:
    """Check the ``indptr`` of a compressed sparse matrix.

    Parameters
    ----------
    pointers
        The array, shape (n_major + 1,).
    n_entries
        Number of stored entries.
    where
        Name of the element, for the message.

    Raises
    ------
    DataError
        It does not start at 0, decreases, or does not end at the number of entries.
    """
    if int(pointers[0]) != 0:
        raise DataError(
            f"{where} is a damaged sparse matrix: its indptr begins with "
            f"{int(pointers[0])}, expected 0; {_ADVICE}."
        )
    if np.any(pointers[1:] < pointers[:-1]):
        raise DataError(
            f"{where} is a damaged sparse matrix: its indptr decreases, expected rising "
            f"values; {_ADVICE}."
        )
    if int(pointers[-1]) != n_entries:
        raise DataError(
            f"{where} is a damaged sparse matrix: its indptr ends at {int(pointers[-1]):,}, "
            f"expected {n_entries:,} stored entries; {_ADVICE}."
        )


def check_indices(indices: np.ndarray, minor: int, *, where: str) -> None:
    """Check some indices of a compressed sparse matrix.

    Parameters
    ----------
    indices
        Any part of the array.
    minor
        Length of the axis that they index.
    where
        Name of the element, for the message.

    Raises
    ------
    DataError
        One is negative or beyond the axis.
    """
    if len(indices):
        lowest, highest = int(indices.min()), int(indices.max())
        if lowest < 0 or highest >= minor:
            wrong = lowest if lowest < 0 else highest
            raise DataError(
                f"{where} is a damaged sparse matrix: it holds the index {wrong:,}, "
                f"expected indices from 0 to {minor - 1:,}; {_ADVICE}."
            )


def check_lengths(
    data: Any, indices: Any, indptr: Any, shape: Sequence[int], *, where: str, major: int = 0
) -> None:
    """Check dimensions, lengths and types alone: what can be known without reading values.

    Parameters
    ----------
    data, indices, indptr
        Arrays, or HDF5 datasets.
    shape
        Declared numbers of rows and columns.
    where
        Name of the element, for the message.
    major
        Axis that ``indptr`` runs along.

    Raises
    ------
    DataError
        Arrays of other dimensions, lengths or types than the shape asks for.
    """
    for part, array in (("data", data), ("indices", indices), ("indptr", indptr)):
        if len(array.shape) != 1:
            raise DataError(
                f"{where} is a damaged sparse matrix: its {part} has {len(array.shape)} "
                f"dimensions, expected 1; {_ADVICE}."
            )
        if part != "data" and array.dtype.kind not in "iu":
            raise DataError(
                f"{where} is a damaged sparse matrix: its {part} holds {array.dtype}, "
                f"expected integers; {_ADVICE}."
            )
    if len(shape) != 2 or any(int(n) < 0 or int(n) >= 1 << 31 for n in shape):
        raise DataError(
            f"{where} is a sparse matrix of shape "
            f"{' x '.join(f'{int(n):,}' for n in shape)}, expected two dimensions below "
            "2,147,483,648; check the program that wrote the file."
        )
    if indptr.shape[0] != int(shape[major]) + 1:
        raise DataError(
            f"{where} is a damaged sparse matrix: its indptr has {indptr.shape[0]:,} "
            f"entries, expected {int(shape[major]) + 1:,} for its shape; {_ADVICE}."
        )
    if data.shape[0] != indices.shape[0]:
        raise DataError(
            f"{where} is a damaged sparse matrix: it holds {data.shape[0]:,} values and "
            f"{indices.shape[0]:,} indices, expected equal numbers; {_ADVICE}."
        )


def check_matrix(matrix: Any, *, where: str) -> None:
    """Check the structure of a sparse matrix in memory; anything not sparse passes.

    Parameters
    ----------
    matrix
        Any object; CSR, CSC and COO matrices and arrays are checked.
    where
        Name of the element, for the message.

    Raises
    ------
    DataError
        The structure is damaged, or the sparse format is another than the three.
    """
    if not sparse.issparse(matrix):
        return
    if matrix.format in ("csr", "csc"):
        check_arrays(
            matrix.data,
            matrix.indices,
            matrix.indptr,
            matrix.shape,
            where=where,
            major=0 if matrix.format == "csr" else 1,
        )
        return
    if matrix.format == "coo":
        for axis, (values, size) in enumerate(zip(matrix.coords, matrix.shape, strict=True)):
            if len(values) != len(matrix.data):
                raise DataError(
                    f"{where} is a damaged sparse matrix: its coordinates and values differ in "
                    f"number, expected equal numbers; {_ADVICE}."
                )
            if len(values) and (int(values.min()) < 0 or int(values.max()) >= size):
                raise DataError(
                    f"{where} is a damaged sparse matrix: a coordinate on axis {axis} lies "
                    f"outside its {size:,} entries; {_ADVICE}."
                )
        return
    raise DataError(
        f"{where} is a sparse matrix in {matrix.format} format, expected CSR or CSC; convert "
        "it with .tocsr()."
    )


def to_csr(matrix: Any, *, where: str, copy: bool = True) -> tuple[sparse.csr_matrix, int]:
    """Any matrix as canonical CSR: sorted, no entry twice, no stored zeros.

    Parameters
    ----------
    matrix
        Dense or sparse matrix, cells x genes. It is not changed when ``copy`` is true.
    where
        Name of the element, for messages.
    copy
        Leave the given matrix untouched; ``False`` may reuse and change its memory.

    Returns
    -------
    The matrix in its own data type, and how many entries were stored more than once (they are
    summed).

    Raises
    ------
    DataError
        The structure is damaged, the matrix is not two-dimensional, or it holds no numbers.
    """
    kind = getattr(getattr(matrix, "dtype", None), "kind", None)
    if kind not in ("b", "i", "u", "f"):
        what = getattr(matrix, "dtype", type(matrix).__name__)
        raise DataError(f"{where} holds {what}, expected numbers; store raw counts there.")
    if len(matrix.shape) != 2:
        raise DataError(f"{where} has {len(matrix.shape)} dimensions, expected 2 (cells x genes).")
    check_matrix(matrix, where=where)
    matrix = native(matrix)
    if kind == "f" and matrix.dtype.itemsize == 2:
        matrix = matrix.astype(np.float32)
    if not sparse.issparse(matrix):
        if not isinstance(matrix, np.ndarray):
            raise DataError(
                f"{where} is a {type(matrix).__name__}, expected a numpy or scipy matrix; load "
                "it into memory first."
            )
        return _dense_to_csr(np.asarray(matrix)), 0
    if matrix.format == "coo":
        out = sparse.csr_matrix(matrix.tocsr())
    else:
        out = _rebuilt(matrix, copy=copy and matrix.format == "csr")
    before = out.nnz if matrix.format == "csr" else matrix.nnz
    out.sum_duplicates()
    repeated = int(before - out.nnz)
    out.eliminate_zeros()
    return out, repeated


def _rebuilt(matrix: Any, *, copy: bool) -> sparse.csr_matrix:
    """Make CSR of checked CSR or CSC through the constructor.

    The constructor brings both index arrays to one signed type, which files need not have and
    scipy's compiled routines rely on, and forgets flags such as "sorted" that may be wrong.
    """
    kind = sparse.csr_matrix if matrix.format == "csr" else sparse.csc_matrix
    indices, indptr = (
        part.astype(np.int64) if part.dtype.kind == "u" else part
        for part in (matrix.indices, matrix.indptr)
    )
    sound = kind((matrix.data, indices, indptr), shape=matrix.shape, copy=copy)
    return sparse.csr_matrix(sound.tocsr())


def _dense_to_csr(matrix: np.ndarray) -> sparse.csr_matrix:
    rows = max(1, _DENSE_BLOCK // max(1, matrix.shape[1]))
    blocks = [
        sparse.csr_matrix(matrix[start : start + rows]) for start in range(0, matrix.shape[0], rows)
    ]
    if not blocks:
        return sparse.csr_matrix(matrix.shape, dtype=matrix.dtype)
    return sparse.csr_matrix(sparse.vstack(blocks, format="csr")) if blocks[1:] else blocks[0]


def equal(first: sparse.csr_matrix, second: sparse.csr_matrix) -> bool:
    """Whether two canonical CSR matrices hold the same numbers."""
    return (
        first.shape == second.shape
        and first.nnz == second.nnz
        and np.array_equal(first.indptr, second.indptr)
        and np.array_equal(first.indices, second.indices)
        and np.array_equal(first.data, second.data)
    )


def add(*matrices: sparse.csr_matrix) -> sparse.csr_matrix:
    """Sum of canonical CSR matrices, canonical again."""
    total = matrices[0]
    for matrix in matrices[1:]:
        total = total + matrix
    total = sparse.csr_matrix(total)
    total.sum_duplicates()
    total.eliminate_zeros()
    return total
