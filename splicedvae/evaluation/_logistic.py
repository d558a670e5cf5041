"""Logistic regressions of many genes at once, each with the same design and the same penalty.

Only counted entries are touched, so that the work grows with molecules and not with cells x genes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit

from splicedvae._core.errors import DataError

#: Entries of a dense cells x genes block; the genes of a block follow from it.
BLOCK_ENTRIES: Final = 2**22
#: Genes of a block at most: each holds a matrix of coefficients x coefficients.
_BLOCK_GENES: Final = 512
#: Log-likelihood, in nats per gene, that one more Newton step may promise where fitting ends.
_TOLERANCE: Final = 1e-6
_STEPS: Final = 200
_HALVINGS: Final = 40
#: Least distance of the prior ratio from 0 and 1: at these ends no finite intercept fits it.
_PRIOR_EDGE: Final = 1e-4


def both_counts(spliced: csr_matrix, unspliced: csr_matrix) -> csr_matrix:
    """Join spliced and unspliced counts as real and imaginary parts of one sparse matrix.

    One matrix has one pattern of entries, so that cells and genes are picked from both at once.
    """
    joined = csr_matrix(spliced + 1j * unspliced)
    joined.sum_duplicates()
    joined.eliminate_zeros()
    return joined


def log_odds(counts: csr_matrix, prior: float, weight: float) -> NDArray[np.float64]:
    """Log-odds of each gene over all cells, with the prior's pseudo-molecules.

    Parameters
    ----------
    counts
        Cells x genes, from `both_counts`.
    prior
        Ratio of the pseudo-molecules.
    weight
        Their number.

    Returns
    -------
    Shape (n_genes,), finite for genes without counts too.
    """
    sums = np.asarray(counts.sum(axis=0)).ravel()
    prior = _inside(prior)
    return np.log(sums.real + weight * prior) - np.log(sums.imag + weight * (1 - prior))


def predict(design: NDArray[np.float64], coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ratio of each gene in each cell.

    Parameters
    ----------
    design
        Cells x variables, the first of them 1.
    coefficients
        Genes x variables.
    """
    return np.asarray(expit(design @ coefficients.T), dtype=np.float64)


def loss(
    design: NDArray[np.float64], counts: csr_matrix, coefficients: NDArray[np.float64]
) -> float:
    """Return the negative log-likelihood of the counts, in nats, without penalty.

    Parameters
    ----------
    design
        Cells x variables, the first of them 1.
    counts
        Cells x genes, from `both_counts`.
    coefficients
        Genes x variables.
    """
    by_gene = csr_matrix(counts.T)
    return float(
        sum(
            _losses(design, by_gene[genes], coefficients[genes]).sum()
            for genes in _blocks(*by_gene.shape)
        )
    )


def fit(
    design: NDArray[np.float64],
    counts: csr_matrix,
    *,
    penalty: float,
    prior: float,
    weight: float,
    start: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Find the coefficients of each gene by Newton's method with halved steps.

    Each gene minimises its binomial negative log-likelihood plus ``penalty / 2`` times the sum of
    squared slopes. The intercept is free but for ``weight`` pseudo-molecules of the ratio
    ``prior`` at the origin of the design, which make the minimum unique and finite for every
    gene, one without counts included.

    Parameters
    ----------
    design
        Cells x variables, the first of them 1.
    counts
        Cells x genes, from `both_counts`.
    penalty
        Above zero.
    prior
        Ratio of the pseudo-molecules.
    weight
        Their number, above zero.
    start
        Coefficients to start from, shape (n_genes, n_variables).

    Returns
    -------
    Coefficients, shape (n_genes, n_variables).

    Raises
    ------
    DataError
        If a gene does not converge.
    """
    rows, columns = np.triu_indices(design.shape[1])
    products = design[:, rows] * design[:, columns]
    by_gene = csr_matrix(counts.T)
    found = np.empty_like(start)
    for genes in _blocks(*by_gene.shape):
        found[genes] = _Block(
            design, products, by_gene[genes], penalty, _inside(prior), weight
        ).minimise(start[genes])
    return found


class _Block:
    """The regressions of some genes, all with the same design."""

    def __init__(
        self,
        design: NDArray[np.float64],
        products: NDArray[np.float64],
        counts: csr_matrix,
        penalty: float,
        prior: float,
        weight: float,
    ) -> None:
        self.design = design
        self.products = products
        self.counts = counts
        self.penalty = penalty
        self.prior = prior
        self.weight = weight

    def minimise(self, start: NDArray[np.float64]) -> NDArray[np.float64]:
        found = start.copy()
        active = np.arange(len(found))
        value = self._value(self.counts, found)
        for _ in range(_STEPS):
            if not len(active):
                return found
            counts = self.counts[active]
            step, promised = self._newton(counts, found[active])
            moved = self._descend(counts, found, value, active, step, promised)
            active = active[moved & (promised > _TOLERANCE)]
        raise DataError(
            f"The regressions of {len(active):,} genes did not converge in {_STEPS} steps, all "
            "were expected to; use a larger penalty."
        )

    def _value(self, counts: csr_matrix, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the objective of each gene."""
        return (
            _losses(self.design, counts, at)
            + self.penalty / 2 * (at[:, 1:] ** 2).sum(axis=1)
            + self.weight * (np.logaddexp(0, at[:, 0]) - self.prior * at[:, 0])
        )

    def _newton(
        self, counts: csr_matrix, at: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return Newton's step of each gene, and how much lower it expects to come."""
        n_genes, size = at.shape
        eta = _linear(self.design, counts, at)
        molecules = counts.data.real + counts.data.imag
        ratio = expit(eta)
        gradient = _with(counts, molecules * ratio - counts.data.real) @ self.design
        # p (1 - p) from both tails, as 1 - p is 0 long before its logarithm ends.
        packed = _with(counts, molecules * ratio * expit(-eta)) @ self.products
        rows, columns = np.triu_indices(size)
        hessian = np.empty((n_genes, size, size))
        hessian[:, rows, columns] = packed
        hessian[:, columns, rows] = packed
        slopes = np.arange(1, size)
        gradient[:, 1:] += self.penalty * at[:, 1:]
        hessian[:, slopes, slopes] += self.penalty
        gradient[:, 0] += self.weight * (expit(at[:, 0]) - self.prior)
        hessian[:, 0, 0] += self.weight * expit(at[:, 0]) * expit(-at[:, 0])
        step = -np.linalg.solve(hessian, gradient[..., None])[..., 0]
        return step, -(gradient * step).sum(axis=1) / 2

    def _descend(
        self,
        counts: csr_matrix,
        found: NDArray[np.float64],
        value: NDArray[np.float64],
        active: NDArray[np.intp],
        step: NDArray[np.float64],
        promised: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Go each gene's step, halved until its objective falls; both arrays change in place.

        Returns
        -------
        Which genes moved. One that does not is at its minimum as far as numbers can tell.
        """
        moved = np.zeros(len(active), dtype=bool)
        pending = np.arange(len(active))
        size = 1.0
        for _ in range(_HALVINGS):
            genes = active[pending]
            trial = found[genes] + size * step[pending]
            reached = self._value(counts if len(pending) == len(active) else counts[pending], trial)
            slack = 1e-12 * (1 + value[genes])
            lower = reached <= value[genes] - 1e-4 * size * promised[pending] + slack
            found[genes[lower]] = trial[lower]
            value[genes[lower]] = reached[lower]
            moved[pending[lower]] = True
            pending = pending[~lower]
            if not len(pending):
                break
            size /= 2
        return moved


def _inside(prior: float) -> float:
    return float(np.clip(prior, _PRIOR_EDGE, 1 - _PRIOR_EDGE))


def _blocks(n_genes: int, n_cells: int) -> list[slice]:
    size = min(max(BLOCK_ENTRIES // max(n_cells, 1), 1), _BLOCK_GENES)
    return [slice(start, start + size) for start in range(0, n_genes, size)]


def _linear(
    design: NDArray[np.float64], counts: csr_matrix, at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the log-odds at each entry of counts, genes x cells."""
    genes = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    return np.asarray((at @ design.T)[genes, counts.indices], dtype=np.float64)


def _losses(
    design: NDArray[np.float64], counts: csr_matrix, at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the negative log-likelihood of each gene, counts being genes x cells."""
    eta = _linear(design, counts, at)
    entries = counts.data.real * np.logaddexp(0, -eta) + counts.data.imag * np.logaddexp(0, eta)
    return np.asarray(_with(counts, entries).sum(axis=1), dtype=np.float64).ravel()


def _with(counts: csr_matrix, values: NDArray[np.float64]) -> csr_matrix:
    """Return a matrix with other values at the same entries."""
    return csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape)
