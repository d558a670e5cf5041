"""Counts with decimals become whole: up or down at random, in proportion to the decimals.

Rounding to the nearest would take away most of the counts below one half. The draw is fixed by the
name of the cell and the identity of the gene, so that a value is rounded the same way in any order
of the file and each time.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._core.gene_identity import GeneIdentity
from splicedvae.io._decimals import TOLERANCE

#: SplitMix64's constants (Steele et al. 2014, doi:10.1145/2660193.2660195).
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class Rounder:
    """Rounds the counts of some cells and genes.

    Parameters
    ----------
    cells
        Names, in the order of rows.
    genes
        ``var``, in the order of columns: a gene with an identifier is rounded the same under any
        name.
    """

    def __init__(self, cells: pd.Index, genes: pd.DataFrame) -> None:
        self._cells = cells
        self._genes = genes

    @cached_property
    def _keys(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        known = GeneIdentity.of(self._genes)
        genes = np.where(known.identifiers != "", known.identifiers, known.names.astype(str))
        first, second = (
            pd.util.hash_array(np.array([str(name) for name in names], dtype=object))
            for names in (self._cells, genes)
        )
        return first.astype(np.uint64), second.astype(np.uint64)

    def round(self, matrix: sparse.csr_matrix, first: int = 0) -> None:
        """Round a matrix in place; numbers off by floating point become the whole one next to them.

        Parameters
        ----------
        matrix
            Cells x all genes; zeros are taken out.
        first
            Number of its first cell.
        """
        whole = np.rint(matrix.data)
        place = np.flatnonzero(np.abs(matrix.data - whole) > TOLERANCE)
        if place.size:
            cells, genes = self._keys
            rows = np.searchsorted(matrix.indptr, place, side="right") - 1 + first
            draws = _uniform(cells[rows] + _STEP * genes[matrix.indices[place]])
            down = np.floor(matrix.data[place].astype(np.float64))
            whole[place] = down + (draws < matrix.data[place] - down)
        matrix.data = whole
        matrix.eliminate_zeros()


def _uniform(keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Numbers from 0 to below 1 that look random, one for each key."""
    mixed = keys + _STEP
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
