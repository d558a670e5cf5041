"""Missing values that a join of samples left: genes that one sample does not list."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

#: Own convention: cells that lack the same genes, on average at least, for this to be a join.
_CELLS_ALIKE = 3


class Gaps(NamedTuple):
    """Which part of a matrix is missing."""

    n_genes: int
    n_cells: int


def gaps_of(matrix: sparse.csr_matrix) -> Gaps:
    """Count genes and cells with missing values."""
    missing = np.isnan(matrix.data)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))[missing]
    return Gaps(np.unique(matrix.indices[missing]).size, np.unique(rows).size)


def of_a_join(matrix: sparse.csr_matrix) -> bool:
    """Whether missing values are whole genes in groups of cells, as an outer join leaves them.

    Parameters
    ----------
    matrix
        Canonical CSR with NaN where values are missing.
    """
    missing = np.isnan(matrix.data)
    genes = matrix.indices[missing]
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))[missing]
    # One number for the set of genes that a cell lacks.
    keys = np.random.default_rng(0).integers(1 << 62, size=matrix.shape[1], dtype=np.uint64)
    sets = np.zeros(matrix.shape[0], dtype=np.uint64)
    np.add.at(sets, rows, keys[genes])
    lacking = sets[np.unique(rows)]
    return bool(lacking.size >= _CELLS_ALIKE * np.unique(lacking).size)


def filled(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Give the matrix with 0 in place of missing values."""
    out = matrix.copy()
    out.data[np.isnan(out.data)] = 0
    out.eliminate_zeros()
    return out
