"""A velocity as arrows of single cells and as a field on a grid, beside its stream lines.

The field is what animated particles follow. Its size does not depend on the number of cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray

from splicedvae._core.keys import Layers
from splicedvae.velocity._streamlines import (
    GridArrows,
    _check_positive,
    _embedded,
    _grid,
)

#: Fields along each axis of the map, of which each lends one cell an arrow, at density 1.
FIELDS: Final = 30


@dataclass(frozen=True, eq=False)
class FlowField:
    """Mean velocities on a regular grid over an embedding.

    Attributes
    ----------
    x
        Horizontal coordinates of the grid, ascending and evenly spaced, float32, shape (n_x,).
    y
        Vertical coordinates, shape (n_y,).
    u
        Horizontal velocities relative to the largest speed, float32, shape (n_y, n_x); NaN where
        there are no cells.
    v
        Vertical velocities, likewise.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    u: NDArray[np.float32]
    v: NDArray[np.float32]

    @property
    def moves(self) -> bool:
        """Whether there is any velocity to follow."""
        return bool(np.any(np.nan_to_num(self.u)) or np.any(np.nan_to_num(self.v)))


def flow_field(
    adata: AnnData,
    *,
    basis: str = "umap",
    vkey: str = Layers.VELOCITY,
    smooth: float = 0.5,
    min_mass: float = 1.0,
    n_neighbors: int | None = None,
) -> FlowField:
    """Average the projected velocities on the grid that stream lines follow.

    Parameters
    ----------
    adata
        A result of `compute_velocity`; not changed.
    basis
        Embedding: ``"umap"`` for ``obsm["X_umap"]``.
    vkey
        Name of the velocity.
    smooth
        Width of the Gaussian kernel in grid steps.
    min_mass
        Threshold on the mean velocity, from 0 (all) to 5 (large ones only).
    n_neighbors
        Cells that count for a grid point, as in `streamlines`.

    Returns
    -------
    50 x 50 points, the largest speed 1; all NaN if nothing moves.

    Raises
    ------
    DataError
        If the embedding or its velocity is not there.
    SplicedVAEError
        If ``smooth`` is not positive.
    """
    _check_positive(smooth=smooth)
    points, vectors = _embedded(adata, basis, vkey)
    grid, flow = _grid(points, vectors, 1.0, smooth, min_mass, n_neighbors, for_stream=True)
    speed = np.hypot(flow[0], flow[1])
    largest = float(np.nanmax(speed)) if np.isfinite(speed).any() else 0.0
    flow = flow / largest if largest > 0 else np.full_like(flow, np.nan)
    return FlowField(
        x=grid[0].astype(np.float32),
        y=grid[1].astype(np.float32),
        u=np.ascontiguousarray(flow[0], dtype=np.float32),
        v=np.ascontiguousarray(flow[1], dtype=np.float32),
    )


def cell_arrows(
    adata: AnnData,
    *,
    basis: str = "umap",
    vkey: str = Layers.VELOCITY,
    density: float = 1.0,
    seed: int = 0,
) -> GridArrows:
    """Take the arrows of single cells, thinned to one in each field of the map.

    Parameters
    ----------
    adata
        A result of `compute_velocity`; not changed.
    basis
        Embedding: ``"umap"`` for ``obsm["X_umap"]``.
    vkey
        Name of the velocity.
    density
        At 1 the map has 30 x 30 fields, of which each lends one cell an arrow.
    seed
        Seed of the choice among the cells of a field.

    Returns
    -------
    Projected velocities as they are, not averaged; cells that do not move are left out.

    Raises
    ------
    DataError
        If the embedding or its velocity is not there.
    SplicedVAEError
        If the density is not positive.
    """
    _check_positive(density=density)
    points, vectors = _embedded(adata, basis, vkey)
    moving = np.flatnonzero(np.any(vectors != 0, axis=1))
    order = np.random.default_rng(seed).permutation(moving)
    n_fields = max(round(FIELDS * density), 1)
    low = points.min(axis=0)
    step = max(float(np.ptp(points, axis=0).max()), 1e-12) / n_fields
    place = np.floor((points[order] - low) / step).astype(np.int64)
    _, first = np.unique(place, axis=0, return_index=True)
    chosen = np.sort(order[first])
    return GridArrows(
        x=points[chosen, 0].astype(np.float32),
        y=points[chosen, 1].astype(np.float32),
        dx=vectors[chosen, 0].astype(np.float32),
        dy=vectors[chosen, 1].astype(np.float32),
    )
