"""How well one velocity agrees with another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike, NDArray

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Obs, Obsm, Sources, Var
from splicedvae._core.shares import effective_genes, shares_of
from splicedvae.evaluation._consistency import (
    cell_coherence,
    cell_cosines,
    cross_boundary_direction,
    ordered_pairs,
)

_UMAP_BASIS: Final = "umap"
_SMOOTHNESS: Final = "smoothness, not correctness"


def velocity_metrics(
    reference: AnnData,
    other: AnnData,
    *,
    predictor: str,
    cluster_key: str | None = None,
    transitions: Sequence[tuple[str, str]] = (),
    time: str | ArrayLike | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare a velocity with a reference of the same cells, genes and graph.

    Parameters
    ----------
    reference
        Result of `splicedvae.velocity.compute_velocity` on measured (or true) layers.
    other
        Result on other layers of the same cells and genes, or the reference itself.
    predictor
        Name of ``other`` in the table.
    cluster_key
        Column of ``other.obs`` with clusters; ``None`` leaves out what needs them.
    transitions
        Pairs of clusters that are known to follow each other.
    time
        Time of each cell, shape (n_cells,), or the column of ``other.obs`` that holds it; ``None``
        leaves its metric out.
    seed
        Seed of the null of the transitions.

    Returns
    -------
    Rows as of `ratio_metrics`, without ceilings; ``n`` is the number of cells. Metrics:

    * ``velocity_cosine_genes`` - in gene space, over the velocity genes of both sides; mean over
      cells.
    * ``velocity_cosine_genes_equal`` - the same with each gene's velocities in units of their own
      root mean square over the cells, on both sides, so that all genes have equal weight.
    * ``velocity_cosine_umap`` - the cosine in the embedding.
    * ``velocity_effective_genes`` - how many genes draw a cell's arrow: the number of equal shares
      that would be as concentrated as the genes' shares of its squared length in the graph.
    * ``velocity_confidence`` - mean of scVelo's; smoothness, not correctness.
    * ``cbdir``, ``cbdir_null`` - `cross_boundary_direction` in the embedding and its null, mean
      over the transitions that have cells; with clusters and transitions.
    * ``coherence_umap``, ``coherence_genes`` - `in_cluster_coherence`, mean over cells; smoothness,
      not correctness; with clusters.
    * ``time_order`` - `time_order` in gene space, where ``n`` is the number of pairs; with times.

    From ``velocity_effective_genes`` on, they judge ``other`` alone.

    Raises
    ------
    DataError
        If the cells or genes differ, no velocity gene is shared, or what is known of the cells does
        not fit them.
    """
    cosines, n_genes = agreement_by_cell(reference, other)
    confidence = other.obs[Obs.CONFIDENCE].to_numpy(dtype=float)
    rows = [
        _mean_row(
            "velocity_cosine_genes", cosines["genes"], f"over {n_genes:,} shared velocity genes"
        ),
        _mean_row(
            "velocity_cosine_genes_equal",
            cosines["genes_equal"],
            "each gene scaled by its own spread",
        ),
        _mean_row("velocity_cosine_umap", cosines["umap"]),
        _mean_row(
            "velocity_effective_genes", effective_genes(shares_of(other)), "effective number, mean"
        ),
        _mean_row("velocity_confidence", confidence, _SMOOTHNESS),
    ]
    if cluster_key is not None:
        if len(transitions):
            rows += _crossing_rows(other, cluster_key, transitions, seed)
        for metric, basis in (("coherence_umap", _UMAP_BASIS), ("coherence_genes", None)):
            coherence = cell_coherence(other, cluster_key=cluster_key, basis=basis)
            rows.append(_mean_row(metric, coherence, _SMOOTHNESS))
    if time is not None:
        right = ordered_pairs(other, time).astype(float)
        rows.append(_mean_row("time_order", right, "over pairs of neighbors; 0.5 by chance"))
    table = pd.DataFrame(rows)
    table.insert(0, "predictor", predictor)
    return table


def summarise_control(table: pd.DataFrame) -> pd.DataFrame:
    """Replace the rows of the permuted control's draws by their mean.

    Parameters
    ----------
    table
        Rows of `velocity_metrics`, with several of the control's for a metric.

    Returns
    -------
    The table with one row of the control for each metric and coverage, at the place of the first,
    with the note "mean of k draws, sd x"; a single draw and the rows of others stay as they are.
    """
    result = table.reset_index(drop=True)
    control = result[result["predictor"] == Sources.SHUFFLED]
    dropped: list[object] = []
    for _, draws in control.groupby(["metric", "coverage"], sort=False):
        if len(draws) < 2:
            continue
        mean, sd, count = _mean_and_sd(draws)
        first, *others = draws.index
        result.loc[first, "value"] = mean
        result.loc[first, "n"] = int(draws["n"].min())
        result.loc[first, "note"] = f"mean of {count} draws, sd {sd:.3f}"
        dropped += others
    return result.drop(index=dropped).reset_index(drop=True)


def _mean_row(metric: str, values: NDArray[np.float64], note: str = "") -> dict[str, object]:
    return _row(metric, mean_known(values), int(np.isfinite(values).sum()), note)


def _row(metric: str, value: float, n: int, note: str) -> dict[str, object]:
    return {
        "metric": metric,
        "coverage": 1,
        "value": value,
        "ceiling": np.nan,
        "n": n,
        "note": note,
    }


def _crossing_rows(
    other: AnnData, cluster_key: str, transitions: Sequence[tuple[str, str]], seed: int
) -> list[dict[str, object]]:
    table = cross_boundary_direction(other, transitions, cluster_key=cluster_key, seed=seed)
    found = table[table["n_cells"] > 0]
    cells = int(found["n_cells"].sum())
    note = f"{len(found)} of {len(table)} transitions have cells"
    return [
        _row("cbdir", float(found["value"].mean()), cells, note),
        _row(
            "cbdir_null",
            float(found["null"].mean()),
            cells,
            f"{note}; as many neighbors of the same cells drawn at random",
        ),
    ]


def _mean_and_sd(draws: pd.DataFrame) -> tuple[float, float, int]:
    """Return mean and standard deviation, missing if too little is known, and how much is."""
    values = draws["value"].to_numpy(dtype=float)
    known = values[np.isfinite(values)]
    mean = float(known.mean()) if len(known) else float("nan")
    return mean, float(known.std(ddof=1)) if len(known) > 1 else float("nan"), len(known)


def _in_own_units(velocity: NDArray[np.floating]) -> NDArray[np.float64]:
    """Divide each gene's velocity by its root mean square; genes at rest stay 0."""
    values = np.asarray(velocity, dtype=np.float64)
    spread = np.sqrt(np.square(values).mean(axis=0))
    return values / np.where(spread > 0, spread, 1)


def _shared_velocities(reference: AnnData, other: AnnData) -> list[NDArray[np.floating]]:
    """Return the velocities of ``other`` and the reference in genes that both use."""
    if not (
        reference.obs_names.equals(other.obs_names) and reference.var_names.equals(other.var_names)
    ):
        raise DataError(
            "The two velocities are of different cells or genes, expected the same; "
            "compute both from the same prepared data."
        )
    shared = reference.var[Var.VELOCITY_GENES].to_numpy(dtype=bool) & other.var[
        Var.VELOCITY_GENES
    ].to_numpy(dtype=bool)
    if not shared.any():
        raise DataError(
            "The two velocities share no velocity gene, expected at least one; use more genes."
        )
    return [
        np.nan_to_num(np.asarray(side.layers[Layers.VELOCITY])[:, shared])
        for side in (other, reference)
    ]


def agreement_by_cell(
    reference: AnnData, other: AnnData
) -> tuple[dict[str, NDArray[np.float64]], int]:
    """Return each cell's cosines in gene space, with equal weights, and in the embedding.

    Parameters
    ----------
    reference, other
        As for `velocity_metrics`.

    Returns
    -------
    cosines
        Of shape (n_cells,), under ``genes``, ``genes_equal`` and ``umap``.
    n_genes
        Velocity genes that both share.
    """
    ours, theirs = _shared_velocities(reference, other)
    return {
        "genes": cell_cosines(ours, theirs),
        "genes_equal": cell_cosines(_in_own_units(ours), _in_own_units(theirs)),
        "umap": cell_cosines(other.obsm[Obsm.VELOCITY_UMAP], reference.obsm[Obsm.VELOCITY_UMAP]),
    }, ours.shape[1]


def mean_known(values: NDArray[np.float64]) -> float:
    """Return the mean over the cells that have a value, missing if none has."""
    known = np.isfinite(values)
    return float(values[known].mean()) if known.any() else float("nan")
