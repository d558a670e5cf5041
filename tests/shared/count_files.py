"""Counts as tools leave them, and in the formats that are read block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from anndata import AnnData
from scipy import sparse


def written(adata: AnnData, folder: Path, kind: str) -> Path:
    """Write cells as ``"zarr"`` or as packed ``"h5ad"``."""
    file = folder / f"totals.{kind}"
    if kind == "zarr":
        adata.write_zarr(file)
    else:
        adata.write_h5ad(file, compression="gzip")
    return file


def divided(spliced: sparse.csr_matrix, share: float = 0.3) -> tuple[sparse.csr_matrix, ...]:
    """Spliced molecules that cross a junction, and those that do not: ambiguous for kb."""
    counts = spliced.toarray().astype(int)
    mature = np.random.default_rng(1).binomial(counts, share)
    return tuple(sparse.csr_matrix(part.astype(np.float32)) for part in (mature, counts - mature))
