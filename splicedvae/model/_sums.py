"""Sums over cells that say how new they are, and what to keep of predictions for them.

Both are added up a block of cells at a time, so that a file that does not fit in memory is judged
by the same numbers as an AnnData.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.sparse import csr_matrix, diags
from scipy.special import expit, logit

from splicedvae.model._adaptation import Adaptation
from splicedvae.module import PrincipalComponents, SplicedVAEModule


def log_normalised(totals: csr_matrix, size: float) -> csr_matrix:
    """Log of one plus the counts scaled to a common size, sparse."""
    sizes = np.asarray(totals.sum(axis=1)).ravel()
    scaled = csr_matrix(diags(size / np.maximum(sizes, 1)) @ totals)
    np.log1p(scaled.data, out=scaled.data)
    return scaled


def level_with(
    logits: NDArray[np.floating], others: NDArray[np.floating], molecules: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Shift logits so that they expect as many spliced molecules as others do.

    Parameters
    ----------
    logits, others
        Shape (n_genes,).
    molecules
        Counts of each gene, same shape.
    """
    if not molecules.sum() > 0:
        return np.asarray(logits, dtype=np.float64)
    wanted = float(molecules @ expit(others))
    width = float(np.abs(logits - others).max()) + 1e-6
    shift = brentq(lambda by: float(molecules @ expit(logits + by)) - wanted, -width, width)
    return np.asarray(logits + shift, dtype=np.float64)


class NoveltySums:
    """What `SplicedVAE.get_novelty` needs of some cells.

    Parameters
    ----------
    components
        The model's.
    """

    def __init__(self, components: PrincipalComponents) -> None:
        self._size = float(components.size)
        self._means = components.mean.T.cpu().numpy().astype(np.float64)
        self._axes = components.loadings.cpu().numpy().astype(np.float64)
        n_genes = self._means.shape[1]
        self._n_cells = 0
        self._molecules = np.zeros(n_genes)
        self._first = np.zeros(n_genes)
        self._second = np.zeros(n_genes)

    def add(self, totals: csr_matrix) -> None:
        """Add a block of cells, cells x genes."""
        counts = csr_matrix(totals, dtype=np.float64)
        values = log_normalised(counts, self._size)
        self._n_cells += totals.shape[0]
        for sums, matrix, weights in (
            (self._molecules, counts, counts.data),
            (self._first, values, values.data),
            (self._second, values, values.data**2),
        ):
            sums += np.bincount(matrix.indices, weights, minlength=len(sums))

    def novelty(self, batch: NDArray[np.int_]) -> float:
        """Return the novelty of all cells added, given the batch of each, shape (n_cells,)."""
        # Batches are those of training by name, so each is compared with its own mean.
        share = np.bincount(batch, minlength=len(self._means)) / self._n_cells
        centre = share @ self._means
        # A missing gene gives no information on the cells.
        present = self._molecules > 0
        mean = self._first / self._n_cells
        shift = np.where(present, mean - centre, 0.0)
        variance = self._second / self._n_cells - mean**2
        lengths = np.linalg.norm(self._axes, axis=1)
        axes, lengths = self._axes[lengths > 0], lengths[lengths > 0]
        axes = axes / lengths[:, None]
        inside = float(((axes @ shift) ** 2).sum())
        chance = float(variance[present].sum()) / max(self._n_cells - 1, 1)
        outside = max(float((shift**2).sum()) - inside - chance, 0.0)
        return outside / (outside + inside + float((lengths**-2).sum()))


class AdaptationSums:
    """What `SplicedVAE.get_adaptation` needs of the predictions for some cells.

    Parameters
    ----------
    module
        The model's.
    """

    def __init__(self, module: SplicedVAEModule) -> None:
        self._amplitude = float(module.amplitude)
        self._log_odds = module.ratio_head.log_odds.cpu().numpy().astype(np.float64)
        share = 1 / (1 + np.exp(-self._log_odds))
        self._information = share * (1 - share)
        n_genes, n_experts = len(share), len(module.ratio_heads)
        self._molecules = np.zeros(n_genes)
        self._deviations = np.zeros((n_experts + 1, n_genes))
        self._products = np.zeros((n_experts, n_experts))

    def add(
        self,
        genes: NDArray[np.int_],
        counts: NDArray[np.floating],
        ratios: Sequence[NDArray[np.floating]],
    ) -> None:
        """Add entries: column, total count, and the ratio of each expert and of all together."""
        deviations = np.stack([logit(ratio.astype(np.float64)) for ratio in ratios])
        deviations -= self._log_odds[genes]
        n_genes = len(self._molecules)
        self._molecules += np.bincount(genes, weights=counts, minlength=n_genes)
        for row, deviation in zip(self._deviations, deviations, strict=True):
            row += np.bincount(genes, counts * deviation, minlength=n_genes)
        weights = counts * self._information[genes]
        self._products += (deviations[:-1] * weights) @ deviations[:-1].T

    def adaptation(
        self,
        genes: pd.Index,
        novelty: float,
        expected: NDArray[np.floating] | None = None,
    ) -> Adaptation:
        """Return the adaptation that all entries added ask for.

        Parameters
        ----------
        genes
            Names of the genes.
        novelty
            Of the cells.
        expected
            Logits that the genes' means are set to, shape (n_genes,), up to a constant: as many
            molecules stay spliced as with the means of training. ``None`` takes those.
        """
        center = self._log_odds
        if expected is not None:
            center = level_with(expected, self._log_odds, self._molecules)
        strayed = np.zeros_like(self._deviations)
        np.divide(self._deviations, self._molecules, out=strayed, where=self._molecules > 0)
        # Deviations within genes: what a gene strays by in all cells is taken off.
        means = strayed[:-1]
        products = self._products - (means * (self._molecules * self._information)) @ means.T
        amplitude = 1.0 if np.isnan(novelty) else 1 - novelty
        if len(products) == 2:
            covariance = max(products[0, 1], 0.0)
            total = np.trace(products) + 2 * covariance
            amplitude *= 4 * covariance / total if total > 0 else 0.0
            # It takes the place of the amplitude that the experts have in cells of training.
            amplitude /= self._amplitude
        offset = center - amplitude * (self._log_odds + strayed[-1])
        by_gene = pd.Series(offset.astype(np.float32), index=genes, name="offset")
        return Adaptation(amplitude, by_gene, novelty)
