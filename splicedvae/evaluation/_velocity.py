"""How well one velocity agrees with another: direction, cell by cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from splicedvae._errors import DataError
from splicedvae._keys import Layers, Obs, Obsm, Sources, Var

#: Agreement of two measured halves below which the measurement tells nothing to compare with.
MIN_HALVES = 0.1


def cell_cosines(
    velocity: NDArray[np.floating], reference: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Cosine between two velocities of each cell.

    Parameters
    ----------
    velocity
        Shape (n_cells, n_dimensions).
    reference
        Same shape.

    Returns
    -------
    Cosines from -1 to 1, shape (n_cells,); not a number where either velocity is zero.
    """
    v = np.asarray(velocity, dtype=np.float64)
    r = np.asarray(reference, dtype=np.float64)
    dot = (v * r).sum(axis=1)
    size = np.sqrt((v**2).sum(axis=1) * (r**2).sum(axis=1))
    cosine = np.full(len(v), np.nan)
    np.divide(dot, size, out=cosine, where=size > 0)
    return cosine


def velocity_metrics(
    reference: AnnData,
    other: AnnData,
    *,
    predictor: str,
) -> pd.DataFrame:
    """Compare a velocity with a reference of the same cells, genes and graph.

    Parameters
    ----------
    reference
        Result of `splicedvae.velocity.compute_velocity` on measured (or true) layers.
    other
        Result on other layers of the same cells and genes.
    predictor
        Name of ``other`` in the table.

    Returns
    -------
    Rows as of `ratio_metrics`, without ceilings, with the metrics
    ``velocity_cosine_genes`` (over genes that are velocity genes on both sides; mean over cells),
    ``velocity_cosine_umap`` (mean over cells) and ``velocity_confidence`` (mean of scVelo's;
    smoothness, not correctness).

    Raises
    ------
    DataError
        If the cells or genes differ, or no velocity gene is shared.
    """
    rows = []
    genes, umap, n_genes = _cosines(reference, other)
    confidence = other.obs[Obs.CONFIDENCE].to_numpy(dtype=float)
    for metric, values, note in (
        ("velocity_cosine_genes", genes, f"over {n_genes:,} shared velocity genes"),
        ("velocity_cosine_umap", umap, ""),
        ("velocity_confidence", confidence, "smoothness, not correctness"),
    ):
        known = np.isfinite(values)
        rows.append(
            {
                "predictor": predictor,
                "metric": metric,
                "coverage": 1,
                "value": float(values[known].mean()) if known.any() else np.nan,
                "ceiling": np.nan,
                "n": int(known.sum()),
                "note": note,
            }
        )
    return pd.DataFrame(rows)


def velocity_cautions(metrics: pd.DataFrame) -> list[str]:
    """Say where a velocity should not be trusted: no better than chance, or nothing to judge by.

    Parameters
    ----------
    metrics
        Rows of `velocity_metrics` of the predictors and the shuffled control, with the agreement
        of two measured halves as ceiling; other rows are not looked at.

    Returns
    -------
    One sentence for each caution; none where nothing speaks against the velocities.
    """
    table = metrics[metrics["metric"] == "velocity_cosine_genes"].set_index("predictor")
    if table.empty:
        return []
    cautions = []
    halves = float(table["ceiling"].iloc[0])
    if np.isfinite(halves) and halves < MIN_HALVES:
        cautions.append(
            "Two halves of the measured molecules of the held-out cells give velocities that "
            f"agree by {halves:.2f} only, so the measured velocity itself is mostly noise: do not "
            "trust any of these streams, use deeper data or more cells."
        )
    chance = float(table["value"].get(Sources.SHUFFLED, np.nan))
    least = max(chance, 0.0) if np.isfinite(chance) else 0.0
    for source in (Sources.SPLICEDVAE, Sources.SCVI):
        value = float(table["value"].get(source, np.nan))
        if np.isfinite(value) and value <= least:
            cautions.append(
                f"The velocity of {Sources.LABELS[source]} agrees with the measured one by "
                f"{value:.2f} over genes, no better than chance ({least:.2f}): do not trust its "
                "stream; train longer, or use deeper data or more cells."
            )
    return cautions


def _cosines(
    reference: AnnData, other: AnnData
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    if not (
        reference.obs_names.equals(other.obs_names) and reference.var_names.equals(other.var_names)
    ):
        raise DataError(
            "The two velocities are of different cells or genes, the same were expected; compute "
            "both from the same prepared data."
        )
    shared = reference.var[Var.VELOCITY_GENES].to_numpy(dtype=bool) & other.var[
        Var.VELOCITY_GENES
    ].to_numpy(dtype=bool)
    if not shared.any():
        raise DataError(
            "The two velocities share no velocity gene, at least one was expected; use more genes."
        )
    both = [
        np.nan_to_num(np.asarray(side.layers[Layers.VELOCITY])[:, shared])
        for side in (other, reference)
    ]
    return (
        cell_cosines(both[0], both[1]),
        cell_cosines(other.obsm[Obsm.VELOCITY_UMAP], reference.obsm[Obsm.VELOCITY_UMAP]),
        int(shared.sum()),
    )
