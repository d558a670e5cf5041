"""Properties of a velocity itself: agreement with known transitions, neighbors and time.

Neighbors are those of ``obsp["distances"]``, row by row, as stored. Cells whose velocity is zero
have no direction and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.graph_states import compared_states
from splicedvae._core.keys import Layers, Obsp, Var

#: Numbers held at once where a vector is needed for each pair of neighbors.
_BLOCK_NUMBERS: Final = 4_000_000


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


def cross_boundary_direction(
    adata: AnnData,
    transitions: Sequence[tuple[str, str]],
    *,
    cluster_key: str,
    basis: str = "umap",
    n_null: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Ask whether cells at the border of two clusters move from the first into the second.

    The cross-boundary direction correctness of Qiao and Huang (2021, *PNAS* 118, e2105859118): over
    the neighbors j of a cell i that lie in the second cluster, the mean cosine between the way
    from i to j and the velocity of i.

    Parameters
    ----------
    adata
        Result of `splicedvae.velocity.compute_velocity`.
    transitions
        Pairs of clusters that are known to follow each other.
    cluster_key
        Column of ``adata.obs`` with the clusters.
    basis
        Embedding on which directions are taken.
    n_null
        Draws of the null: for the same cells, as many neighbors drawn among all of theirs.
    seed
        Seed of the draws.

    Returns
    -------
    A row per transition with the columns ``source``, ``target``, ``value`` (mean over cells),
    ``null`` and ``null_sd`` (mean and standard deviation of the draws) and ``n_cells`` (cells of
    the source with such neighbors). Values are missing if there is no cell.

    Raises
    ------
    DataError
        If the column, the embedding or the graph is absent.
    """
    names, codes = _clusters(adata, cluster_key)
    cells, others = _pairs(adata)
    points, velocity = _space(adata, basis)
    towards = _towards(points, velocity, cells, others)
    known = np.isfinite(towards)
    cells, others, towards = cells[known], others[known], towards[known]
    rows: list[dict[str, object]] = []
    for source, target in transitions:
        inside = codes[cells] == names.get(str(source), -2)
        crossing = inside & (codes[others] == names.get(str(target), -2))
        taken = np.bincount(cells[crossing], minlength=adata.n_obs)
        all_of_them = inside & (taken[cells] > 0)
        draws = _null(cells[all_of_them], towards[all_of_them], taken, n_null, seed)
        rows.append(
            {
                "source": str(source),
                "target": str(target),
                "value": _mean_by_cell(cells[crossing], towards[crossing]),
                "null": float(draws.mean()) if len(draws) else np.nan,
                "null_sd": float(draws.std(ddof=1)) if len(draws) > 1 else np.nan,
                "n_cells": int((taken > 0).sum()),
            }
        )
    return pd.DataFrame(
        rows, columns=["source", "target", "value", "null", "null_sd", "n_cells"]
    ).astype({"n_cells": np.int64})


def in_cluster_coherence(
    adata: AnnData, *, cluster_key: str, basis: str | None = None
) -> pd.Series[Any]:
    """Mean cosine between the velocities of neighbors in the same cluster.

    It measures smoothness, not correctness: a velocity that is smoothed too much is coherent.

    Parameters
    ----------
    adata
        Result of `splicedvae.velocity.compute_velocity`.
    cluster_key
        Column of ``adata.obs`` with the clusters.
    basis
        Embedding on which directions are taken; ``None`` for the space of the velocity genes.

    Returns
    -------
    Mean over the cells of each cluster, by its name; missing if no pair of neighbors moves.

    Raises
    ------
    DataError
        If the column, the embedding or the graph is absent.
    """
    names, codes = _clusters(adata, cluster_key)
    by_cell = pd.Series(cell_coherence(adata, cluster_key=cluster_key, basis=basis))
    means = by_cell[codes >= 0].groupby(codes[codes >= 0]).mean()
    return pd.Series(
        means.reindex(range(len(names))).to_numpy(),
        index=pd.Index(list(names), name=cluster_key),
        name="coherence",
    )


def cell_coherence(
    adata: AnnData, *, cluster_key: str, basis: str | None = None
) -> NDArray[np.float64]:
    """Return `in_cluster_coherence` of each cell, missing if no pair of neighbors moves."""
    _, codes = _clusters(adata, cluster_key)
    cells, others = _pairs(adata)
    same = (codes[cells] == codes[others]) & (codes[cells] >= 0)
    cells, others = cells[same], others[same]
    _, velocity = _space(adata, basis)
    cosine = np.empty(len(cells))
    for part in _blocks(len(cells), velocity.shape[1]):
        cosine[part] = cell_cosines(velocity[cells[part]], velocity[others[part]])
    known = np.isfinite(cosine)
    return _means_by_cell(cells[known], cosine[known], adata.n_obs)


def time_order(adata: AnnData, time: str | ArrayLike, *, basis: str | None = None) -> float:
    """Share of neighboring cells whose order in time the velocity predicts correctly.

    Of two neighbors at different times, the velocity of the one is to point to the other where
    that is later, and away from it where it is earlier.

    Parameters
    ----------
    adata
        Result of `splicedvae.velocity.compute_velocity`.
    time
        Time of each cell, shape (n_cells,), or the column of ``adata.obs`` that holds it.
    basis
        Embedding on which directions are taken; ``None`` for the space of the velocity genes, where
        the moments of the spliced counts say where a cell is.

    Returns
    -------
    From 0 to 1, 0.5 by chance; missing if no pair has two times and a velocity.

    Raises
    ------
    DataError
        If the times do not fit the cells, or the embedding or the graph is absent.
    """
    right = ordered_pairs(adata, time, basis=basis)
    return float(right.mean()) if len(right) else float("nan")


def ordered_pairs(
    adata: AnnData, time: str | ArrayLike, *, basis: str | None = None
) -> NDArray[np.bool_]:
    """Return for each pair of neighbors at different times whether their order is correct."""
    times = _times(adata, time)
    cells, others = _pairs(adata)
    later = np.sign(times[others] - times[cells])
    different = np.isfinite(later) & (later != 0)
    cells, others, later = cells[different], others[different], later[different]
    points, velocity = _space(adata, basis)
    towards = _towards(points, velocity, cells, others)
    told = np.isfinite(towards) & (towards != 0)
    return np.asarray(np.sign(towards[told]) == later[told], dtype=np.bool_)


def _clusters(adata: AnnData, cluster_key: str) -> tuple[dict[str, int], NDArray[np.int64]]:
    """Return the number of each cluster, and that of each cell, -1 where it has none."""
    if cluster_key not in adata.obs:
        columns = ", ".join(f"'{name}'" for name in adata.obs) or "none"
        raise DataError(
            f"The data has no obs column '{cluster_key}' (found: {columns}), expected "
            "clusters there; name the column that holds them."
        )
    labels = adata.obs[cluster_key]
    text = labels.astype(str).to_numpy()
    known = labels.notna().to_numpy()
    names, numbers = np.unique(text[known], return_inverse=True)
    codes = np.full(adata.n_obs, -1, dtype=np.int64)
    codes[known] = numbers
    return {str(name): number for number, name in enumerate(names)}, codes


def _times(adata: AnnData, time: str | ArrayLike) -> NDArray[np.float64]:
    if isinstance(time, str):
        if time not in adata.obs:
            raise DataError(
                f"The data has no obs column '{time}', expected the time of each cell "
                "there; name the column that holds it."
            )
        time = adata.obs[time].to_numpy()
    times = np.asarray(time, dtype=np.float64)
    if times.shape != (adata.n_obs,):
        raise DataError(
            f"The times have shape {times.shape}, expected one for each of the "
            f"{adata.n_obs:,} cells; pass the times of these cells."
        )
    return times


def _pairs(adata: AnnData) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return each cell paired with each of its neighbors, by cell."""
    if Obsp.DISTANCES not in adata.obsp:
        raise DataError(
            f"The data has no neighbor graph '{Obsp.DISTANCES}' in obsp, expected that of a "
            "velocity; compute the velocity first."
        )
    graph = sparse.csr_matrix(adata.obsp[Obsp.DISTANCES])
    cells = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    others = graph.indices.astype(np.intp)
    apart = cells != others
    return cells[apart], others[apart]


def _space(adata: AnnData, basis: str | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where cells are and how they move, on an embedding or over velocity genes."""
    if basis is not None:
        names = (f"X_{basis}", f"velocity_{basis}")
        absent = [name for name in names if name not in adata.obsm]
        if absent:
            raise DataError(
                f"The data has no obsm entry '{absent[0]}', expected cells and velocities "
                "in an embedding; compute the velocity on that basis first."
            )
        pair = [np.asarray(adata.obsm[name], dtype=np.float64) for name in names]
    else:
        layers = (Layers.MS, Layers.VELOCITY)
        missing = [name for name in layers if name not in adata.layers]
        if missing:
            raise DataError(
                f"The data has no layer '{missing[0]}', expected moments and velocities of "
                "genes; compute the velocity first."
            )
        genes = adata.var[Var.VELOCITY_GENES].to_numpy(dtype=bool)
        pair = [
            compared_states(adata, genes).astype(np.float64),
            np.asarray(adata.layers[Layers.VELOCITY][:, genes], dtype=np.float64),
        ]
    return pair[0], np.nan_to_num(pair[1])


def _blocks(n_pairs: int, n_dimensions: int) -> list[slice]:
    size = max(_BLOCK_NUMBERS // max(n_dimensions, 1), 1)
    return [slice(start, start + size) for start in range(0, n_pairs, size)]


def _towards(
    points: NDArray[np.float64],
    velocity: NDArray[np.float64],
    cells: NDArray[np.intp],
    others: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Cosine between the velocity of each cell and the way to its neighbor."""
    cosine = np.empty(len(cells))
    for part in _blocks(len(cells), points.shape[1]):
        way = points[others[part]] - points[cells[part]]
        cosine[part] = cell_cosines(velocity[cells[part]], way)
    return cosine


def _means_by_cell(
    cells: NDArray[np.intp], values: NDArray[np.float64], n_cells: int
) -> NDArray[np.float64]:
    count = np.bincount(cells, minlength=n_cells)
    means = np.full(n_cells, np.nan)
    total = np.bincount(cells, weights=values, minlength=n_cells)
    np.divide(total, count, out=means, where=count > 0)
    return means


def _mean_by_cell(cells: NDArray[np.intp], values: NDArray[np.float64]) -> float:
    """Mean over cells of the mean over each one's neighbors."""
    if not len(cells):
        return float("nan")
    return float(np.nanmean(_means_by_cell(cells, values, int(cells.max()) + 1)))


def _null(
    cells: NDArray[np.intp],
    values: NDArray[np.float64],
    taken: NDArray[np.intp],
    n_draws: int,
    seed: int,
) -> NDArray[np.float64]:
    """Mean of as many neighbors of each cell as were taken, drawn at random, draw by draw."""
    if not len(cells):
        return np.zeros(0)
    rng = np.random.default_rng(seed)
    # Neighbors are ordered by cell, also after a permutation within cells.
    first = np.searchsorted(cells, cells)
    rank = np.arange(len(cells)) - first
    chosen = rank < taken[cells]
    draws = np.empty(n_draws)
    for draw in range(n_draws):
        shuffled = np.lexsort((rng.random(len(cells)), cells))
        draws[draw] = _mean_by_cell(cells[chosen], values[shuffled][chosen])
    return draws
