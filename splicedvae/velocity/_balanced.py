"""The balanced model: a ratio that is constant within every gene gives no velocity at all.

scVelo scales spliced and unspliced counts each to the layer's own median cell size. Where the genes
that a cell expresses are rich in introns, its unspliced counts are then scaled down and its spliced
ones up, in all genes, and composition alone gives arrows: on the mouse pancreas, counts drawn
with one ratio per gene for all cells reach a cosine of 0.9 to the measured velocity in the
embedding (``benchmarks/balance.py``). The slope through the cells of extreme counts adds to it, as
noise flattens it. Here each layer is scaled by the size that the gene's mean ratios let expect for
the cell's total counts, and the slope is the ratio of the sums, so that both give exactly zero.

The cost: a velocity is relative to the gene's mean over the cells at hand, so
that a gene on its way up in all cells seems to rest.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._core.counts import cell_sizes
from splicedvae._core.keys import Layers, Uns, Var

BALANCED: Final = "balanced"
#: Relative change of a cell's scale below which scaling has settled, and the rounds allowed.
CONVERGED: Final = 1e-7
MAX_ROUNDS: Final = 200


def balanced_sizes(
    spliced: sparse.csr_matrix,
    unspliced: sparse.csr_matrix,
    totals: NDArray[np.float64],
    *,
    rounds: int = 1,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sizes to scale both layers by, free of what a cell's choice of genes does to them.

    Parameters
    ----------
    spliced, unspliced
        Counts, cells x genes.
    totals
        Counts of both layers per cell over all genes.
    rounds
        How often scaling and mean ratios are repeated. One takes composition out. More also take
        out what all genes of a cell share: after `MAX_ROUNDS` a factor on all unspliced counts of
        a cell leaves no trace, and neither do many genes that are switched on together.

    Returns
    -------
    Sizes for the spliced and for the unspliced layer: the total, times the cell's counts in the
    layer over those that the genes' mean ratios let expect. 0 where a cell has none.
    """
    layers = (spliced, unspliced)
    sizes = [cell_sizes(layer) for layer in layers]
    # Cells without counts in a layer cannot be balanced, and keep their counts as they are.
    both = (sizes[0] > 0) & (sizes[1] > 0)
    factors = [np.ones(spliced.shape[0]), np.ones(spliced.shape[0])]
    for _ in range(rounds):
        sums = [factor @ layer for factor, layer in zip(factors, layers, strict=True)]
        share = sums[0] / np.maximum(sums[0] + sums[1], 1e-12)
        change = 0.0
        # What is not expected in the one layer is in the other.
        shared = [layer @ share for layer in layers]
        parts = (shared, [size - part for size, part in zip(sizes, shared, strict=True)])
        expected = [factors[0] * part[0] + factors[1] * part[1] for part in parts]
        for index in range(2):
            found = factors[index] * sizes[index]
            usable = both & (expected[index] > 0)
            ratio = np.ones_like(found)
            np.divide(expected[index], found, out=ratio, where=usable)
            factors[index] = factors[index] * ratio
            change = max(change, float(np.abs(ratio - 1).max(initial=0)))
        if change < CONVERGED:
            break
    first, second = (
        np.where(size > 0, totals / factor, 0.0)
        for size, factor in zip(sizes, factors, strict=True)
    )
    return first, second


def fit_balanced(fitted: AnnData) -> None:
    """Write velocity, slope and r2 of the balanced model, from the moments, in place.

    Parameters
    ----------
    fitted
        Cells x genes with layers ``Ms`` and ``Mu``.
    """
    spliced, unspliced = fitted.layers[Layers.MS], fitted.layers[Layers.MU]
    total = spliced.sum(axis=0, dtype=np.float64)
    slope = np.zeros(fitted.n_vars)
    np.divide(unspliced.sum(axis=0, dtype=np.float64), total, out=slope, where=total > 0)
    # Moments of many cells are large: no second precision of them is made.
    velocity = unspliced - slope.astype(unspliced.dtype) * spliced
    around = unspliced.var(axis=0, dtype=np.float64)
    left = np.square(velocity).mean(axis=0, dtype=np.float64)
    r2 = np.zeros(fitted.n_vars)
    np.divide(left, around, out=r2, where=around > 0)
    fitted.layers[Layers.VELOCITY] = velocity.astype(np.float32, copy=False)
    fitted.var[Var.VELOCITY_GAMMA] = slope.astype(np.float32)
    fitted.var[Var.VELOCITY_SLOPE] = slope.astype(np.float32)
    fitted.var[Var.VELOCITY_R2] = np.where(around > 0, 1 - r2, 0).astype(np.float32)
    fitted.uns[Uns.VELOCITY_PARAMS] = {
        "mode": BALANCED,
        "fit_offset": False,
        "xkey": Layers.MS_EXPECTED,
    }
