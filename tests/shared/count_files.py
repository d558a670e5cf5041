"""Writes test data in the formats that are read block by block."""

from __future__ import annotations

from pathlib import Path

from anndata import AnnData


def written(adata: AnnData, folder: Path, kind: str) -> Path:
    """Write cells as ``"zarr"`` or as packed ``"h5ad"``."""
    file = folder / f"totals.{kind}"
    if kind == "zarr":
        adata.write_zarr(file)
    else:
        adata.write_h5ad(file, compression="gzip")
    return file
