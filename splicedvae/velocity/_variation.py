"""How much a source's ratio varies within a gene: without variation there is no velocity.

If a gene's ratio is the same in every cell, its unspliced count is its spliced count times a
constant, and the residual of scVelo's regression is rounding error. scVelo draws it all the
same: cosines ignore magnitude. Worse, when the two layers are normalized by their own sizes, as
scVelo does, each cell's two factors differ with its mixture of genes, and arrows that look
orderly appear out of nothing. The variation is therefore measured on the layers as they come,
before any normalization.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._core.counts import gene_sums
from splicedvae.velocity._kernels import ratio_squares

#: A ratio computed and stored in float32 is off by some 1e-7, through a decoder by up to 1e-6;
#: within-gene deviations up to ten times that are taken for rounding.
MIN_RATIO_SD: Final = 1e-5
#: The same for u/s: its deviation, relative to the gene's own, is sd / (rho (1 - rho)). Below a
#: thousandth (predictors that learned anything reach some hundredths, sampling noise far more)
#: the gene adds nothing but rounding and the sizes of cells.
MIN_LOG_ODDS_SD: Final = 1e-3


@dataclass(frozen=True, eq=False)
class RatioVariation:
    """The ratio rho = S / (S + U) within each gene, entries weighted by their counts.

    Attributes
    ----------
    mean
        Mean ratio, shape (n_genes,); 0 without counts.
    sd
        Standard deviation over the entries with counts, shape (n_genes,).
    counted
        Whether the gene has any count.
    varies
        Whether the deviation is more than rounding can make.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    counted: NDArray[np.bool_]
    varies: NDArray[np.bool_]


def ratio_variation(spliced: sparse.csr_matrix, unspliced: sparse.csr_matrix) -> RatioVariation:
    """Measure the ratio's variation within each gene.

    Parameters
    ----------
    spliced
        Counts, cells x genes, without duplicate entries.
    unspliced
        Counts of the same shape.
    """
    first = gene_sums(spliced)
    n = first + gene_sums(unspliced)
    counted = n > 0
    mean = np.divide(first, n, out=np.zeros_like(n), where=counted)
    squares = np.zeros_like(n)
    ratio_squares(
        spliced.indptr,
        spliced.indices,
        spliced.data,
        unspliced.indptr,
        unspliced.indices,
        unspliced.data,
        mean,
        squares,
    )
    sd = np.sqrt(np.divide(squares, n, out=np.zeros_like(n), where=counted))
    threshold = np.maximum(MIN_RATIO_SD, MIN_LOG_ODDS_SD * mean * (1.0 - mean))
    return RatioVariation(mean=mean, sd=sd, counted=counted, varies=counted & (sd >= threshold))
