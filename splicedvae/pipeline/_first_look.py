"""A first look at the cells of a file without any model: embedding, clusters, depth.

A file of totals alone may fit no model, but its cells can still be seen. What the file holds is
used; what it lacks is computed as scanpy's tutorials do, from the total counts.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Obsm
from splicedvae.pipeline import _of_file, _prediction
from splicedvae.velocity import VelocitySettings, prepare

#: Cells beyond which some are drawn at random: so many take less than a minute on two cores.
MOST_CELLS: Final = 10_000
#: Counts of a gene, over all cells, below which it does not choose neighbors.
_LEAST_COUNTS: Final = 20
_LEIDEN: Final = "leiden"
_WORDS: Final = {Obsm.UMAP_FILE: "the file's UMAP", Obsm.TSNE_FILE: "the file's t-SNE"}


@dataclass(frozen=True)
class FirstLook:
    """Cells of a file as they can be seen without a model."""

    #: Rows of the file that are drawn, ascending.
    rows: NDArray[np.intp]
    #: Positions, shape (n_drawn, 2).
    points: NDArray[np.float32]
    #: What the positions are, in words.
    embedding: str
    #: A cluster for each drawn cell.
    clusters: pd.Categorical
    #: Where the clusters come from, in words.
    clustering: str
    #: Total counts of each drawn cell.
    depth: NDArray[np.float64]
    #: What was left out or computed instead, one sentence each.
    notes: tuple[str, ...]


def first_look(cells: AnnData, cluster_key: str | None = None, *, seed: int = 0) -> FirstLook:
    """Embed the cells of a file and group them, from the total counts.

    Parameters
    ----------
    cells
        Cells x genes with totals in ``X``; not changed.
    cluster_key
        Column of ``obs`` with clusters; Leiden's are computed if None.
    seed
        Of the drawn cells, the UMAP and the clusters.

    Returns
    -------
    The file's own UMAP or t-SNE where it has one, else a UMAP of the totals. Cells without counts
    are left out, and of more than `MOST_CELLS` so many are drawn at random.

    Raises
    ------
    DataError
        If there is no such column, or the totals are no raw counts.
    VelocityError
        If there are too few cells or genes to find neighbors.
    """
    notes: list[str] = []
    if cluster_key is not None and cluster_key not in cells.obs:
        raise DataError(
            f"The file has no column {cluster_key[:60]!r} in obs: choose one of those it has."
        )
    rows = _rows(cells, seed, notes)
    kept = np.zeros(cells.n_obs, dtype=bool)
    kept[rows] = True
    own = _of_file.embeddings(cells.obsm, kept, notes.append)
    ours, points = next(iter(own.items()), ("", None))
    totals = _prediction.counts(cells.X[rows])
    depth = np.asarray(totals.sum(axis=1), dtype=np.float64).ravel()
    if points is None or cluster_key is None:
        ground = _neighbors(totals, points, seed)
        points = np.asarray(ground.obsm[Obsm.UMAP], dtype=np.float32)
    if cluster_key is None:
        groups, clustering = _leiden(ground, seed), "Leiden clusters computed here"
    else:
        groups, clustering = _prediction.categories(cells.obs[cluster_key].iloc[rows]), cluster_key
    words = _WORDS.get(ours, "UMAP of the totals, computed here")
    return FirstLook(rows, points, words, groups, clustering, depth, tuple(notes))


def _rows(cells: AnnData, seed: int, notes: list[str]) -> NDArray[np.intp]:
    counted = np.flatnonzero(np.asarray(cells.X.sum(axis=1)).ravel() > 0)
    if counted.size < cells.n_obs:
        notes.append(
            f"Not drawn: {cells.n_obs - counted.size:,} of {cells.n_obs:,} cells, without counts."
        )
    if counted.size <= MOST_CELLS:
        return counted
    notes.append(
        f"{MOST_CELLS:,} of {counted.size:,} cells, chosen at random, are drawn; a run uses all."
    )
    return np.sort(np.random.default_rng(seed).choice(counted, MOST_CELLS, replace=False))


def _neighbors(totals: object, points: NDArray[np.float32] | None, seed: int) -> AnnData:
    """Find neighbors as a velocity does; an embedding that is there is not computed."""
    bare = AnnData(X=totals)
    if points is not None:
        bare.obsm[Obsm.UMAP] = points
    settings = VelocitySettings(min_shared_counts=_LEAST_COUNTS, seed=seed)
    return prepare(bare, settings=settings, keep_umap=points is not None)


def _leiden(ground: AnnData, seed: int) -> pd.Categorical:
    import scanpy as sc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.tl.leiden(
            ground,
            flavor="igraph",
            n_iterations=2,
            directed=False,
            random_state=seed,
            key_added=_LEIDEN,
        )
    found: pd.Categorical = ground.obs[_LEIDEN].array
    return found
