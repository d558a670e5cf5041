"""Principal components of the totals, by block Krylov iteration on a sparse matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

#: Vectors beside the components that are looked for, and blocks of the iteration that finds them.
OVERSAMPLED = 10
KRYLOV_BLOCKS = 6


def loadings(
    logged: csr_matrix, means: NDArray[np.floating], batch: NDArray[np.int_], n: int
) -> NDArray[np.float32]:
    """Find principal axes around each batch's mean, scaled to scores of variance one.

    Returns
    -------
    Shape (at most ``n``, n_genes): fewer where the cells vary along fewer.
    """
    n_cells, n_genes = logged.shape
    n = min(n, n_cells - 1, n_genes - 1)
    if n < 1:
        return np.zeros((0, n_genes), dtype=np.float32)
    member = csr_matrix(
        (np.ones(n_cells), (np.arange(n_cells), batch)), shape=(n_cells, len(means))
    )

    centres = means.astype(logged.dtype)

    def covariance(axes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Multiply vectors, shape (n_genes, n_vectors), by the covariance within batches."""
        narrow = axes.astype(logged.dtype)
        scores = logged @ narrow - (centres @ narrow)[batch]
        both = logged.T @ scores - centres.T @ (member.T @ scores)
        return np.asarray(both, dtype=np.float64) / n_cells

    # Block Krylov iteration (Musco and Musco 2015): products with many vectors at once leave the
    # matrix sparse and go through it fewer times than one vector after the other.
    width = min(n + OVERSAMPLED, n_genes)
    image = covariance(np.random.default_rng(0).standard_normal((n_genes, width)))
    basis, images = np.zeros((n_genes, 0)), []
    for _ in range(KRYLOV_BLOCKS):
        for _ in range(2):  # once leaves rounding error
            image = image - basis @ (basis.T @ image)
        block = np.linalg.qr(image)[0][:, : n_genes - basis.shape[1]]
        basis = np.concatenate([basis, block], axis=1)
        image = covariance(block)
        images.append(image)
        if basis.shape[1] >= n_genes:
            break
    small = basis.T @ np.concatenate(images, axis=1)
    values, turned = np.linalg.eigh((small + small.T) / 2)
    values, turned = values[::-1][:n], turned[:, ::-1][:, :n]
    # What varies a thousandth as much as the first is rounding error.
    useful = values > 1e-6 * max(values[0], 1e-6)
    axes = (basis @ turned[:, useful]).T
    # The sign of an axis is arbitrary; its largest loading is made positive.
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    return np.asarray(axes / np.sqrt(values[useful])[:, None], dtype=np.float32)
