"""Cells as scVelo's own functions take them, on the neighbours and embedding of a common ground."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from scipy import sparse

from splicedvae._core.keys import Layers, Obs, Obsm, Obsp, Uns


def for_scvelo(ground: AnnData) -> AnnData:
    """Give scVelo layers normalised as it does it, each to its own median size; no moments."""
    own = AnnData(obs=ground.obs[[]].copy(), var=ground.var[[]].copy())
    for name in (Layers.SPLICED, Layers.UNSPLICED):
        counts = sparse.csr_matrix(ground.layers[name], dtype=np.float32)
        sizes = np.asarray(ground.obs[Obs.INITIAL_SIZE + name], dtype=np.float64)
        factors = np.median(sizes[sizes > 0]) / np.maximum(sizes, 1)
        own.layers[name] = sparse.csr_matrix(sparse.diags(factors) @ counts, dtype=np.float32)
    for name in (Obsp.DISTANCES, Obsp.CONNECTIVITIES):
        own.obsp[name] = ground.obsp[name]
    own.uns[Uns.NEIGHBORS] = dict(ground.uns[Uns.NEIGHBORS])
    own.obsm[Obsm.UMAP] = ground.obsm[Obsm.UMAP]
    return own
