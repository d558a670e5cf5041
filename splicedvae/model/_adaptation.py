"""Adapt predictions for out-of-distribution cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Adaptation:
    r"""An affine map of logits that shrinks predictions for out-of-distribution cells.

    With l the model's logit of a gene's ratio in a cell, the adapted one is
    :math:`k\,l + b` for an amplitude k, the same for all genes, and an offset b for each gene.

    Parameters
    ----------
    amplitude
        Share of each deviation from a gene's mean that is kept.
    offset
        Logits by gene.
    novelty
        Novelty of the cells it was found for, from 0 to 1.
    told
        What was done, in a sentence.
    """

    amplitude: float
    offset: pd.Series
    novelty: float = float("nan")
    told: str = ""

    def apply(
        self, ratio: NDArray[np.float32], mean: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Adapt ratios.

        Parameters
        ----------
        ratio
            Fractions from 0 to 1, shape (..., n_genes), genes as in ``offset``.
        mean
            Where the ratios are draws, the ratio they vary around, shape (n_cells, n_genes):
            it is adapted, and they vary around it as before, because nothing makes a prediction
            surer where less is known. ``None`` adapts the ratios themselves.

        Returns
        -------
        Adapted ones, the same shape.
        """
        around = _logit(ratio if mean is None else mean)
        logits = self.amplitude * around + self.offset.to_numpy(dtype=np.float32)
        if mean is not None:
            logits = logits + (_logit(ratio) - around)
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)

    def apply_at(
        self,
        ratio: NDArray[np.float32],
        genes: NDArray[np.integer],
        mean: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Adapt ratios of single entries.

        Parameters
        ----------
        ratio
            Fractions from 0 to 1, shape (n_entries,).
        genes
            Position in ``offset`` of each entry's gene, same shape.
        mean
            As for `apply`, same shape.

        Returns
        -------
        Adapted ones, same shape.
        """
        offset = self.offset.to_numpy(dtype=np.float32)[genes]
        around = _logit(ratio if mean is None else mean)
        logits = self.amplitude * around + offset
        if mean is not None:
            logits = logits + (_logit(ratio) - around)
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)


def _logit(ratio: NDArray[np.float32]) -> NDArray[np.float32]:
    inside = np.clip(ratio, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside) - np.log1p(-inside), dtype=np.float32)
