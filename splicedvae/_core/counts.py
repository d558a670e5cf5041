"""Count matrices out of an AnnData, checked: velocity divides by them."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.layers import named_layers


def count_matrix(adata: AnnData, layer: str | None) -> sparse.csr_matrix:
    """Return a layer, or X, as its own canonical CSR matrix of float64.

    Parameters
    ----------
    adata
        Cells x genes.
    layer
        A name in ``adata.layers``; ``None`` for ``X``.

    Raises
    ------
    DataError
        If the matrix is absent or holds negative values, NaN or infinity.
    """
    name = "X" if layer is None else f"The layer '{layer}'"
    if layer is None:
        values = adata.X
    elif layer in adata.layers:
        values = adata.layers[layer]
    else:
        names = ", ".join(f"'{key}'" for key in named_layers(adata)) or "none"
        raise DataError(
            f"The data has no layer '{layer}' (layers found: {names}), expected counts "
            "there; name the layer that holds them."
        )
    if values is None:
        raise DataError("X is empty, expected total counts; name the layer that holds them.")
    matrix = sparse.csr_matrix(values, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    if not np.isfinite(matrix.data).all():
        raise DataError(
            f"{name} holds NaN or infinite values, expected counts; remove or correct them."
        )
    if matrix.nnz and matrix.data.min() < 0:
        raise DataError(
            f"{name} holds negative values, expected counts; give the counts before scaling."
        )
    return matrix


def cell_sizes(matrix: sparse.csr_matrix) -> NDArray[np.float64]:
    """Sum each cell's counts over all genes, shape (n_cells,)."""
    return np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()


def gene_sums(matrix: sparse.csr_matrix) -> NDArray[np.float64]:
    """Sum each gene's counts over all cells, shape (n_genes,)."""
    return np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel()


def normalise(matrix: sparse.csr_matrix, sizes: NDArray[np.float64]) -> sparse.csr_matrix:
    """Scale each cell to the median size of the cells that have counts.

    scVelo's own function is not used: it decides from the first five cells whether a layer has
    been normalized already, so that predicted layers, which hold fractions, would stay raw
    next to normalized measured ones.

    Parameters
    ----------
    matrix
        Counts, cells x genes.
    sizes
        Counts per cell over all genes; cells of size 0 are left as they are.
    """
    counted = sizes > 0
    if not counted.any():
        return matrix.copy()
    factors = np.ones_like(sizes)
    factors[counted] = np.median(sizes[counted]) / sizes[counted]
    return sparse.csr_matrix(sparse.diags(factors) @ matrix)


def at_counts(totals: sparse.csr_matrix, values: NDArray[np.floating]) -> sparse.csr_matrix:
    """Keep dense values where something was counted.

    Parameters
    ----------
    totals
        Total counts, not changed.
    values
        Dense, same shape.

    Returns
    -------
    CSR float32 of the pattern of the non-zero totals.
    """
    kept = sparse.csr_matrix(totals, dtype=np.float32, copy=True)
    kept.eliminate_zeros()
    rows = np.repeat(np.arange(kept.shape[0]), np.diff(kept.indptr))
    kept.data = np.asarray(values[rows, kept.indices], dtype=np.float32)
    return kept


def shared_counts(spliced: sparse.csr_matrix, unspliced: sparse.csr_matrix) -> NDArray[np.float64]:
    """Sum, per gene, both layers over the cells where neither is zero (scVelo's definition).

    Returns
    -------
    numpy.ndarray
        Counts, shape (n_genes,).
    """
    both = (spliced > 0).multiply(unspliced > 0)
    return gene_sums(sparse.csr_matrix(both.multiply(spliced + unspliced)))
