"""How far each single cell's velocity agrees with a reference: a layer for the eye, not a score."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from splicedvae._core.keys import Obs
from splicedvae.evaluation._velocity import agreement_by_cell


def cell_agreement(reference: AnnData, other: AnnData) -> pd.DataFrame:
    """Cosine between two velocities of each cell, in gene space and in the embedding.

    Parameters
    ----------
    reference
        Result of `splicedvae.velocity.compute_velocity` on measured layers.
    other
        Result on other layers of the same cells and genes.

    Returns
    -------
    One row a cell: ``velocity_cosine_genes``, over genes that are velocity genes on both sides, and
    ``velocity_cosine_umap``, from -1 to 1, missing if either velocity is zero. Where cells of a
    training are among them, their own counts enter both velocities, and a held-out cell's
    smoothed velocity contains those of its neighbors: a mean of these numbers is not a test.

    Raises
    ------
    DataError
        If the cells or genes differ, or no velocity gene is shared.
    """
    cosines, _ = agreement_by_cell(reference, other)
    return pd.DataFrame(
        {Obs.COSINE_GENES: cosines["genes"], Obs.COSINE_UMAP: cosines["umap"]},
        index=other.obs_names.copy(),
    )
