"""The numbers that are watched while a model trains: few, and cheap to take many times.

They are those of `ratio_metrics` at the lowest coverage, over cells that are fixed beforehand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

from splicedvae.evaluation._entries import correlation, counted_entries
from splicedvae.evaluation._ratio import _within_ceiling


class WatchedRatio:
    """Evaluate predicted ratios of the same cells repeatedly.

    Parameters
    ----------
    spliced
        Measured spliced counts, shape (n_cells, n_genes).
    unspliced
        Measured unspliced counts, same shape.
    gene_mean
        Ratio of each gene over the training cells, shape (n_genes,).

    Raises
    ------
    DataError
        If there are no counts.
    """

    def __init__(self, spliced: csr_matrix, unspliced: csr_matrix, gene_mean: ArrayLike) -> None:
        self._entries = counted_entries(spliced, unspliced)
        self._constant = np.asarray(gene_mean, dtype=np.float64)[self._entries.genes]
        self._constant_nll = self._entries.nll(self._constant)
        self._measured = self._entries.within(self._entries.ratio)

    def metrics(self, ratio: ArrayLike) -> dict[str, float]:
        """Evaluate a prediction.

        Parameters
        ----------
        ratio
            Predicted ratio, shape (n_cells, n_genes).

        Returns
        -------
        ``skill`` over the gene mean, ``rmse`` and ``within_gene_r``, as `ratio_metrics` has them.

        Raises
        ------
        DataError
            If the shape differs or a value is not finite.
        """
        entries = self._entries
        values = entries.at(ratio)
        deviation = entries.within(values)
        flat = not np.any(np.abs(deviation) > 1e-7)
        return {
            "skill": 1 - entries.nll(values) / self._constant_nll,
            "rmse": float(np.sqrt(np.mean((values - entries.ratio) ** 2))),
            "within_gene_r": 0.0 if flat else correlation(deviation, self._measured, entries.n),
        }

    @property
    def gene_mean(self) -> dict[str, float]:
        """What the gene mean, a constant for each gene, reaches on the same cells."""
        error = self._constant - self._entries.ratio
        return {"skill": 0.0, "rmse": float(np.sqrt(np.mean(error**2))), "within_gene_r": 0.0}

    @property
    def ceiling(self) -> dict[str, float]:
        """What the true ratios would reach, given the noise; that of the skill is not known."""
        return {
            "rmse": float(np.sqrt(self._entries.noise.mean())),
            "within_gene_r": _within_ceiling(self._entries),
        }
