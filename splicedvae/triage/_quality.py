"""Sums over counts by which a data set is judged, each found in one pass over sparse entries.

Nothing is made dense, and layers are added a block of cells at a time, so that ten thousand cells
take a fraction of a second and half a million fit into memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._core.gene_identity import SYMBOL_COLUMNS
from splicedvae._core.sparse import add, equal

#: Mitochondrial genes as symbols name them: MT-CO1, mt-Co1, mt:CoI.
_MITOCHONDRIAL = re.compile(r"^mt[-:.]", re.IGNORECASE)
#: Genes of G2 and mitosis of Tirosh et al. 2016 (Science 352:189) that are counted in dividing
#: cells of most tissues.
MITOSIS = frozenset(
    {
        "MKI67", "TOP2A", "CDK1", "CCNB2", "BIRC5", "UBE2C", "AURKB", "TPX2", "CENPF", "NUSAP1",
        "CENPE", "HMMR",
    }
)  # fmt: skip
#: Of them, genes that a cell must have counts of to be called dividing. A convention of our own:
#: resting cells have counts of one or two by chance and from their surroundings.
MITOSIS_GENES = 5
_BLOCK = 20_000
#: Enough for a standard error of the scatter far below what any biology adds.
SCATTER_CELLS = 3_000
#: Genes whose ratio is so near 0 or 1 that nothing can vary are left out of the scatter.
_RATIOS = (0.02, 0.98)


@dataclass(frozen=True)
class LayerSums:
    """What spliced and unspliced counts add up to, by gene and in all."""

    #: Counts per gene in cells that have both of it (scVelo's ``min_shared_counts``), (n_genes,).
    shared: NDArray[np.float64]
    #: Spliced + unspliced over total counts.
    of_total: float
    #: Entries where spliced + unspliced exceeds the total.
    excess: int
    #: Scatter of a gene's ratios over cells relative to that of counting alone (binomial, one
    #: ratio for each gene): 1 where they vary by chance only. ``None`` where nothing was shared.
    scatter: float | None
    #: Standard error of the scatter if the ratios were constant within genes.
    scatter_error: float | None


@dataclass(frozen=True)
class MarkerSums:
    """Shares of cells and counts that known genes speak of; ``None`` where they are not there."""

    #: Median over cells of the share of mitochondrial counts.
    mitochondrial: float | None
    #: Share of cells that divide: counts of `MITOSIS_GENES` or more of `MITOSIS`.
    dividing: float | None


def layer_sums(
    total: sparse.csr_matrix,
    spliced: sparse.csr_matrix,
    unspliced: sparse.csr_matrix,
    *,
    min_shared: float,
    are_sum: bool = False,
) -> LayerSums:
    r"""Add up spliced and unspliced counts.

    Parameters
    ----------
    total, spliced, unspliced
        Canonical CSR counts, cells x genes.
    min_shared
        Least shared counts of a gene that takes part in the scatter.
    are_sum
        Whether the total is known to be spliced + unspliced, which then need not be added.

    Returns
    -------
    The sums. The scatter is Pearson's dispersion of u given n = s + u,

    .. math:: \sum_{gc} \frac{(u_{gc} - r_g n_{gc})^2}{n_{gc} r_g (1 - r_g)} \Big/ \text{df}

    with r the gene's pooled ratio; its error is that of binomial counts of the same n. At most
    `SCATTER_CELLS` cells take part in it, spread evenly over all.
    """
    shared = np.zeros(total.shape[1])
    both, excess = 0.0, 0
    for start in range(0, total.shape[0], _BLOCK):
        x, s, u = (
            matrix
            if total.shape[0] <= _BLOCK
            else sparse.csr_matrix(matrix[start : start + _BLOCK])
            for matrix in (total, spliced, unspliced)
        )
        n = x if are_sum else add(s, u)
        if not are_sum and not equal(x, n):
            excess += int(np.count_nonzero(sparse.csr_matrix(n - x).data > 0))
        both += float(n.data.sum(dtype=np.float64))
        of_young = _at(n, u)
        of_young[of_young <= u.data] = 0
        shared += _by_gene(u, of_young)
    step = -(-total.shape[0] // SCATTER_CELLS)
    some_s, some_u = (sparse.csr_matrix(matrix[::step]) for matrix in (spliced, unspliced))
    some_n = sparse.csr_matrix(total[::step]) if are_sum else add(some_s, some_u)
    scatter, error = _scatter(some_n, some_u, shared >= min_shared)
    everything = float(total.data.sum(dtype=np.float64))
    return LayerSums(shared, both / max(everything, 1.0), excess, scatter, error)


def _at(n: sparse.csr_matrix, u: sparse.csr_matrix) -> NDArray[np.float64]:
    """Values of n = s + u where u has entries, in their order; n is never zero there."""
    product = sparse.csr_matrix(u.multiply(n))
    product.sort_indices()
    return np.rint(product.data / u.data)


def _by_gene(pattern: sparse.csr_matrix, values: NDArray[np.floating]) -> NDArray[np.float64]:
    weighted = sparse.csr_matrix((values, pattern.indices, pattern.indptr), shape=pattern.shape)
    return np.asarray(weighted.T @ np.ones(pattern.shape[0]), dtype=np.float64).ravel()


def _scatter(
    n: sparse.csr_matrix, unspliced: sparse.csr_matrix, taken: NDArray[np.bool_]
) -> tuple[float | None, float | None]:
    young, counted = unspliced.data.astype(np.float64), n.data.astype(np.float64)
    squares = _by_gene(unspliced, young**2 / _at(n, unspliced))
    u_of, n_of = _by_gene(unspliced, young), _by_gene(n, counted)
    inverse, entries = _by_gene(n, 1 / counted), _by_gene(n, np.ones_like(counted))
    ratio = u_of / np.maximum(n_of, 1.0)
    taken = taken & (ratio > _RATIOS[0]) & (ratio < _RATIOS[1]) & (entries > 1)
    if not taken.any():
        return None, None
    r = ratio[taken]
    variance = r * (1 - r)
    chi = (squares[taken] - r**2 * n_of[taken]) / variance
    freedom = float((entries[taken] - 1).sum())
    # The variance of a squared binomial residual is 2 + (1 / (r (1 - r)) - 6) / n.
    spread = 2 * entries[taken] + (1 / variance - 6) * inverse[taken]
    return float(chi.sum()) / freedom, float(np.sqrt(max(spread.sum(), 0.0))) / freedom


def marker_sums(
    total: sparse.csr_matrix, umis: NDArray[np.float64], var: pd.DataFrame
) -> MarkerSums:
    """Find the shares of mitochondrial counts and of dividing cells.

    Parameters
    ----------
    total
        Canonical CSR counts, cells x genes.
    umis
        Counts of each cell.
    var
        Genes, named by symbols in the index or a usual column.
    """
    for names in _symbols(var):
        mitochondrial = np.array([_MITOCHONDRIAL.match(name) is not None for name in names])
        mitosis = np.array([name.upper() in MITOSIS for name in names])
        if not (mitochondrial.any() or mitosis.any()):
            continue
        share = None
        if mitochondrial.any() and (umis > 0).any():
            counted = np.asarray(total @ mitochondrial.astype(np.float64)).ravel()
            share = float(np.median(counted[umis > 0] / umis[umis > 0]))
        dividing = None
        if mitosis.sum() > MITOSIS_GENES:
            places = np.flatnonzero(mitosis[total.indices])
            rows = np.searchsorted(total.indptr, places, side="right") - 1
            found = np.bincount(rows, minlength=total.shape[0])
            dividing = float(np.mean(found >= MITOSIS_GENES))
        return MarkerSums(share, dividing)
    return MarkerSums(None, None)


def _symbols(var: pd.DataFrame) -> Iterable[list[str]]:
    yield [str(name) for name in var.index]
    for column in SYMBOL_COLUMNS:
        if column in var:
            yield [str(name) for name in var[column]]
