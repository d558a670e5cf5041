"""The counted entries of held-out cells, and the sums over them that metrics are made of.

Sampling noise. An entry with n molecules shows S/n, whose variance around the true ratio is
rho (1 - rho) / n. For n >= 2, S U / (n (n - 1)) estimates rho (1 - rho) without bias; an entry with
a single molecule takes its gene's mean of that.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

from splicedvae._core.errors import DataError

#: A predicted ratio is kept this far from 0 and 1 where a likelihood is taken.
EPS: Final = 1e-6


class Entries:
    """The counted entries of held-out cells as flat arrays."""

    def __init__(self, spliced: csr_matrix, unspliced: csr_matrix) -> None:
        counted = csr_matrix(spliced + unspliced)
        counted.sum_duplicates()
        counted.eliminate_zeros()
        self.shape = counted.shape
        self.cells = np.repeat(np.arange(counted.shape[0]), np.diff(counted.indptr))
        self.genes = counted.indices
        self.n = counted.data.astype(np.float64)
        # scipy answers an empty question with a sparse matrix.
        found = spliced[self.cells, self.genes] if len(self.n) else np.zeros(0)
        self.s = np.asarray(found, dtype=np.float64).ravel()
        self.u = self.n - self.s
        self.ratio = self.s / self.n
        self.noise = self._noise()

    def _noise(self) -> NDArray[np.float64]:
        """Unbiased variance of S/n around the true ratio, per entry."""
        several = self.n >= 2
        spread = np.zeros_like(self.n)
        np.divide(self.s * self.u, self.n * (self.n - 1), out=spread, where=several)
        per_gene = np.bincount(self.genes, weights=spread, minlength=self.shape[1])
        entries = np.bincount(self.genes, weights=several, minlength=self.shape[1])
        overall = per_gene.sum() / max(entries.sum(), 1)
        # A few pseudo-entries keep genes with hardly any pair of molecules near the average.
        gene_spread = (per_gene + 5 * overall) / (entries + 5)
        return np.where(several, spread, gene_spread[self.genes]) / self.n

    def at(self, ratio: ArrayLike) -> NDArray[np.float64]:
        """Read a dense matrix of ratios at the entries."""
        values = np.asarray(ratio, dtype=np.float64)
        if values.shape != self.shape:
            raise DataError(
                f"A predicted ratio has shape {values.shape}, the counts have {self.shape}; "
                "predict for the same cells and genes."
            )
        values = values[self.cells, self.genes]
        if not np.isfinite(values).all():
            raise DataError(
                "A predicted ratio holds values that are not numbers, expected finite "
                "ones; check that training converged."
            )
        return values

    def within(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take away each gene's mean over its molecules: what is left can carry velocity."""
        weight = np.bincount(self.genes, weights=self.n, minlength=self.shape[1])
        total = np.bincount(self.genes, weights=self.n * values, minlength=self.shape[1])
        return values - (total / np.maximum(weight, 1))[self.genes]

    def losses(self, ratio: NDArray[np.float64]) -> NDArray[np.float64]:
        """Negative log-likelihood of each entry, in nats, of a binomial."""
        kept = np.clip(ratio, EPS, 1 - EPS)
        return np.asarray(-(self.s * np.log(kept) + self.u * np.log1p(-kept)), dtype=np.float64)

    def nll(self, ratio: NDArray[np.float64]) -> float:
        """Sum of the losses per molecule."""
        return float(self.losses(ratio).sum() / self.n.sum())


def counted_entries(spliced: csr_matrix, unspliced: csr_matrix) -> Entries:
    """Return the entries for the evaluation, at least one."""
    entries = Entries(csr_matrix(spliced), csr_matrix(unspliced))
    if not len(entries.n):
        raise DataError(
            "The held-out cells hold no spliced or unspliced counts in the selected genes, "
            "expected some for the evaluation; hold out more cells or use deeper data."
        )
    return entries


def correlation(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> float:
    """Pearson correlation, weighted; not a number where either side does not vary."""
    w = np.ones_like(x) if weights is None else weights
    if len(x) < 2:
        return float("nan")
    w = w / w.sum()
    dx, dy = x - (w * x).sum(), y - (w * y).sum()
    scale = np.sqrt((w * dx**2).sum() * (w * dy**2).sum())
    return float((w * dx * dy).sum() / scale) if scale > 1e-12 else float("nan")
