"""How well a latent space separates known cell types, and mixes batches.

The definitions are those of scib (Luecken et al. 2022, *Nature Methods* 19, 41) as the package
scib-metrics computes them, by scikit-learn: scib-metrics itself would bring a second framework
(jax).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    r2_score,
    silhouette_samples,
)
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

from splicedvae._core.errors import DataError

#: Cells behind a silhouette, at most: all their pairwise distances are taken.
_SILHOUETTE_CELLS: Final = 10_000
_N_STARTS: Final = 10
_N_FOLDS: Final = 10
_N_NEIGHBORS: Final = 15


def latent_metrics(
    latent: ArrayLike,
    *,
    clusters: Sequence[object] | None = None,
    batches: Sequence[object] | None = None,
    time: ArrayLike | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Evaluate a latent space with labels and times that it was not trained on.

    Parameters
    ----------
    latent
        Latent state of each cell, shape (n_cells, n_latent).
    clusters
        A cluster per cell; ``None`` leaves out what needs them, as do missing values for a cell.
    batches
        A batch per cell, likewise.
    time
        A time per cell, likewise, shape (n_cells,).
    seed
        Seed of starts, folds and draws.

    Returns
    -------
    One row per metric with the columns ``metric``, ``value``, ``n`` (cells behind it) and ``note``;
    a value that the labels do not allow is missing, and the note says why. Metrics, higher is
    better in all, computed by scikit-learn:

    * ``silhouette_clusters`` - (s + 1) / 2 with s the mean silhouette width of the clusters:
      ``silhouette_label`` of scib-metrics.
    * ``nmi_kmeans``, ``ari_kmeans`` - normalized mutual information and adjusted Rand index of the
      clusters with as many clusters of k-means: ``nmi_ari_cluster_labels_kmeans`` of scib-metrics,
      up to the starts of k-means (here the best of ten).
    * ``silhouette_batches`` - ``1 - |s|`` with s the silhouette width of the batches within a
      cluster, mean over its cells and then over clusters with several batches:
      ``silhouette_batch`` of scib-metrics. Without clusters, all cells are one.
    * ``time_r2`` - share of the variance of time that the mean of the 15 nearest cells of other
      folds explains, in ten folds; not of scib.

    Raises
    ------
    DataError
        If the latent states are not finite numbers, or labels or times do not fit the cells.
    """
    states = np.asarray(latent, dtype=np.float64)
    if states.ndim != 2 or not np.isfinite(states).all():
        raise DataError(
            f"The latent states have shape {states.shape} or hold NaN or infinite values, expected "
            "finite numbers for each cell; check that training converged."
        )
    cluster_codes = None if clusters is None else _codes(clusters, len(states), "cluster")
    rows: list[dict[str, object]] = []
    if cluster_codes is not None:
        rows.append(_silhouette_clusters(states, cluster_codes, seed))
        rows += _kmeans(states, cluster_codes, seed)
    if batches is not None:
        batch_codes = _codes(batches, len(states), "batch")
        rows.append(_silhouette_batches(states, cluster_codes, batch_codes, seed))
    if time is not None:
        rows.append(_time_r2(states, np.asarray(time, dtype=np.float64), seed))
    return pd.DataFrame(rows, columns=["metric", "value", "n", "note"])


def _row(metric: str, value: float, n: int, note: str) -> dict[str, object]:
    return {"metric": metric, "value": value, "n": n, "note": note}


def _codes(labels: Sequence[object], n_cells: int, kind: str) -> NDArray[np.int64]:
    """Return the number of each cell's label, -1 where it has none."""
    given = pd.Series(np.asarray(labels, dtype=object))
    if len(given) != n_cells:
        raise DataError(
            f"Found {len(given):,} {kind} labels for {n_cells:,} cells, expected one each; "
            "pass the labels of these cells."
        )
    codes, _ = pd.factorize(given.astype(str).where(given.notna()))
    return np.asarray(codes, dtype=np.int64)


def _of_several(codes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which cells share their label with another cell."""
    sizes = np.bincount(codes[codes >= 0], minlength=1)
    return np.asarray((codes >= 0) & (sizes[codes] >= 2), dtype=np.bool_)


def _at_most(cells: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    if len(cells) <= _SILHOUETTE_CELLS:
        return cells
    drawn = np.random.default_rng(seed).choice(cells, _SILHOUETTE_CELLS, replace=False)
    return np.sort(drawn)


def _said(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _silhouette_clusters(
    states: NDArray[np.float64], codes: NDArray[np.int64], seed: int
) -> dict[str, object]:
    name = "silhouette_clusters"
    labelled = _of_several(codes)
    cells = _at_most(np.flatnonzero(labelled), seed)
    # A draw may leave a small cluster with one cell, which has no width.
    cells = cells[_of_several(codes[cells])]
    if len(np.unique(codes[cells])) < 2:
        return _row(name, np.nan, len(cells), "fewer than two clusters have two cells")
    left_out = int(((codes >= 0) & ~labelled).sum())
    note = _said(
        f"{left_out} cells that are alone in their cluster left out" if left_out else "",
        f"{len(cells):,} cells drawn at random" if len(cells) < labelled.sum() else "",
    )
    width = float(silhouette_samples(states[cells], codes[cells]).mean())
    return _row(name, (width + 1) / 2, len(cells), note)


def _kmeans(
    states: NDArray[np.float64], codes: NDArray[np.int64], seed: int
) -> list[dict[str, object]]:
    cells = codes >= 0
    n, n_clusters = int(cells.sum()), len(np.unique(codes[cells]))
    names = ("nmi_kmeans", "ari_kmeans")
    if n_clusters < 2:
        return [_row(name, np.nan, n, "fewer than two clusters") for name in names]
    if len(np.unique(states[cells], axis=0)) < n_clusters:
        return [_row(name, np.nan, n, "fewer latent states than clusters") for name in names]
    means = KMeans(n_clusters, n_init=_N_STARTS, random_state=seed).fit_predict(states[cells])
    scores = (
        normalized_mutual_info_score(codes[cells], means),
        adjusted_rand_score(codes[cells], means),
    )
    return [
        _row(name, float(score), n, f"k-means with {n_clusters} clusters")
        for name, score in zip(names, scores, strict=True)
    ]


def _silhouette_batches(
    states: NDArray[np.float64],
    cluster_codes: NDArray[np.int64] | None,
    batch_codes: NDArray[np.int64],
    seed: int,
) -> dict[str, object]:
    groups = np.zeros_like(batch_codes) if cluster_codes is None else cluster_codes
    means, n, drawn = [], 0, False
    for group in np.unique(groups[groups >= 0]):
        members = np.flatnonzero((groups == group) & (batch_codes >= 0))
        cells = _at_most(members, seed)
        drawn |= len(cells) < len(members)
        n_batches = len(np.unique(batch_codes[cells]))
        # scikit-learn's conditions, and those of scib.
        if not 2 <= n_batches < len(cells):
            continue
        width = np.abs(silhouette_samples(states[cells], batch_codes[cells]))
        means.append(1 - float(width.mean()))
        n += len(cells)
    if not means:
        note = "no cluster has two batches and more cells than those"
        return _row("silhouette_batches", np.nan, 0, note)
    note = _said(
        f"{len(means)} clusters with several batches" if cluster_codes is not None else "",
        "no clusters were given, so all cells are one" if cluster_codes is None else "",
        f"at most {_SILHOUETTE_CELLS:,} cells of each drawn at random" if drawn else "",
    )
    return _row("silhouette_batches", float(np.mean(means)), n, note)


def _time_r2(
    states: NDArray[np.float64], time: NDArray[np.float64], seed: int
) -> dict[str, object]:
    if time.shape != (len(states),):
        raise DataError(
            f"The times have shape {time.shape}, expected one for each of the "
            f"{len(states):,} cells; pass the times of these cells."
        )
    known = np.isfinite(time)
    n = int(known.sum())
    if n < _N_FOLDS + _N_NEIGHBORS or len(np.unique(time[known])) < 2:
        note = f"fewer than {_N_FOLDS + _N_NEIGHBORS} cells with a time, or all at one time"
        return _row("time_r2", np.nan, n, note)
    folds = KFold(_N_FOLDS, shuffle=True, random_state=seed)
    neighbours = KNeighborsRegressor(_N_NEIGHBORS)
    told = cross_val_predict(neighbours, states[known], time[known], cv=folds)
    return _row("time_r2", float(r2_score(time[known], told)), n, "")
