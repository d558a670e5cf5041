"""Stream lines and arrows as arrays, so that any drawing library can show them.

The grid is scVelo's and the lines are those of matplotlib's streamplot, computed on a figure that
pyplot never sees. Their size does not depend on the number of cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from anndata import AnnData
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from splicedvae._core.errors import DataError, SplicedVAEError
from splicedvae._core.keys import Layers
from splicedvae.velocity._projection import arrow_scale
from splicedvae.velocity._scvelo import quiet_scvelo

#: scVelo takes a fiftieth of the cells as neighbours of a grid point: 27 s at 500,000 cells. The
#: Gaussian weights of more than 100 add nothing.
MAX_GRID_NEIGHBOURS: Final = 100
_MIN_GRID_NEIGHBOURS: Final = 5
_CELLS_PER_NEIGHBOUR: Final = 50


@dataclass(frozen=True, eq=False)
class StreamLines:
    """Stream lines in the coordinates of an embedding; all arrays are float32.

    Attributes
    ----------
    x
        Horizontal coordinates of all lines one after another, each in the direction of the flow,
        NaN between two lines.
    y
        Vertical coordinates, likewise.
    speed
        Length of the projected velocity at each vertex relative to its largest on the grid, NaN
        between two lines.
    arrow_x
        Tips of the arrow heads, one a line, at half its length.
    arrow_y
        Likewise.
    arrow_dx
        Direction of the arrow heads, of length 1 together with ``arrow_dy``.
    arrow_dy
        Likewise.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    speed: NDArray[np.float32]
    arrow_x: NDArray[np.float32]
    arrow_y: NDArray[np.float32]
    arrow_dx: NDArray[np.float32]
    arrow_dy: NDArray[np.float32]

    @property
    def n_lines(self) -> int:
        """Number of lines."""
        return int(self.arrow_x.size)


@dataclass(frozen=True, eq=False)
class GridArrows:
    """Mean velocities on a grid over an embedding; all arrays are float32, one entry an arrow.

    Attributes
    ----------
    x
        Horizontal coordinate of the tail.
    y
        Vertical coordinate of the tail.
    dx
        Horizontal extent, in coordinates of the embedding.
    dy
        Vertical extent.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    dx: NDArray[np.float32]
    dy: NDArray[np.float32]


def streamlines(
    adata: AnnData,
    *,
    basis: str = "umap",
    vkey: str = Layers.VELOCITY,
    density: float = 1.0,
    smooth: float = 0.5,
    min_mass: float = 1.0,
    n_neighbors: int | None = None,
    max_length: float = 4.0,
) -> StreamLines:
    """Follow the projected velocities through an embedding.

    Parameters
    ----------
    adata
        A result of `compute_velocity`; not changed.
    basis
        Embedding: ``"umap"`` for ``obsm["X_umap"]``.
    vkey
        Name of the velocity, as scVelo's ``vkey``.
    density
        Closeness of the lines: at 1 the plane has 30 x 30 fields and at most one line through
        each (scVelo draws 2 by default).
    smooth
        Width of the Gaussian kernel in grid steps.
    min_mass
        Threshold on the mean velocity for a line to pass, from 0 (all) to 5 (large ones only).
    n_neighbors
        Cells that count for a grid point, at most 100; ``None`` for a fiftieth of all, between 5
        and 100.
    max_length
        Longest line, in widths of the picture.

    Returns
    -------
    StreamLines
        Empty arrays if nothing moves.

    Raises
    ------
    DataError
        If the embedding or its velocity is not there.
    SplicedVAEError
        If a parameter is not positive.
    """
    _check_positive(density=density, smooth=smooth, max_length=max_length)
    points, vectors = _embedded(adata, basis, vkey)
    if not np.any(vectors):
        nothing = np.empty(0, dtype=np.float32)
        return StreamLines(*(nothing.copy() for _ in range(7)))
    grid, flow = _grid(points, vectors, 1.0, smooth, min_mass, n_neighbors, for_stream=True)
    lines = _integrate(grid, flow, density, max_length)
    speed = np.hypot(flow[0], flow[1])
    largest = float(np.nanmax(speed)) if np.isfinite(speed).any() else 1.0
    # A line may end a rounding error outside the grid, where the nearest value holds.
    interpolate = RegularGridInterpolator(
        (grid[1], grid[0]), np.nan_to_num(speed) / largest, bounds_error=False, fill_value=None
    )
    heads = np.array([_arrow_head(line) for line in lines], dtype=np.float64).reshape(-1, 4)
    gap = np.full((1, 3), np.nan)
    parts: list[NDArray[np.float64]] = []
    for line in lines:
        if parts:
            parts.append(gap)
        parts.append(np.column_stack([line, np.clip(interpolate(line[:, ::-1]), 0.0, 1.0)]))
    table = np.concatenate(parts) if parts else np.empty((0, 3))
    columns = [np.ascontiguousarray(column, dtype=np.float32) for column in table.T]
    tips = [np.ascontiguousarray(column, dtype=np.float32) for column in heads.T]
    return StreamLines(*columns, *tips)


def arrows_grid(
    adata: AnnData,
    *,
    basis: str = "umap",
    vkey: str = Layers.VELOCITY,
    density: float = 1.0,
    smooth: float = 0.5,
    min_mass: float = 1.0,
    n_neighbors: int | None = None,
) -> GridArrows:
    """Average the projected velocities on a grid.

    Parameters
    ----------
    adata
        A result of `compute_velocity`; not changed.
    basis
        Embedding: ``"umap"`` for ``obsm["X_umap"]``.
    vkey
        Name of the velocity.
    density
        At 1 the grid has 50 x 50 points.
    smooth
        Width of the Gaussian kernel in grid steps.
    min_mass
        Threshold on the density of cells for an arrow, in percent of the largest.
    n_neighbors
        Cells that count for a grid point, as in `streamlines`.

    Returns
    -------
    GridArrows
        Arrows at grid points among cells only.

    Raises
    ------
    DataError
        If the embedding or its velocity is not there.
    SplicedVAEError
        If a parameter is not positive.
    """
    _check_positive(density=density, smooth=smooth)
    points, vectors = _embedded(adata, basis, vkey)
    tails, arrows = _grid(points, vectors, density, smooth, min_mass, n_neighbors, for_stream=False)
    arrows = arrows / (3.0 * arrow_scale(tails, arrows))
    return GridArrows(
        x=tails[:, 0].astype(np.float32),
        y=tails[:, 1].astype(np.float32),
        dx=arrows[:, 0].astype(np.float32),
        dy=arrows[:, 1].astype(np.float32),
    )


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise SplicedVAEError(
                f"{name} is {value}, expected a positive number; give another value."
            )


def _embedded(
    adata: AnnData, basis: str, vkey: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take the first two columns of the embedding and its velocity, finite rows only.

    float64, since the steps of a float32 grid differ by more than streamplot allows.
    """
    for name in (f"X_{basis}", f"{vkey}_{basis}"):
        if name not in adata.obsm:
            raise DataError(
                f"The data hold no obsm entry '{name}', expected an embedding and the velocity "
                "projected onto it; compute the velocity for this basis first."
            )
    points = np.asarray(adata.obsm[f"X_{basis}"], dtype=np.float64)[:, :2]
    vectors = np.asarray(adata.obsm[f"{vkey}_{basis}"], dtype=np.float64)[:, :2]
    finite = np.isfinite(points).all(axis=1) & np.isfinite(vectors).all(axis=1)
    points, vectors = points[finite], vectors[finite]
    if points.shape[0] < 2 or points.shape[1] < 2 or np.any(np.ptp(points, axis=0) == 0):
        raise DataError(
            f"The embedding 'X_{basis}' does not spread over a plane, expected two coordinates "
            "that differ between cells; compute the embedding again."
        )
    return points, vectors


def _grid(
    points: NDArray[np.float64],
    vectors: NDArray[np.float64],
    density: float,
    smooth: float,
    min_mass: float,
    n_neighbors: int | None,
    *,
    for_stream: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    wanted = points.shape[0] // _CELLS_PER_NEIGHBOUR if n_neighbors is None else n_neighbors
    lowest = _MIN_GRID_NEIGHBOURS if n_neighbors is None else 1
    taken = min(max(wanted, lowest), MAX_GRID_NEIGHBOURS, points.shape[0])
    with quiet_scvelo():
        from scvelo.plotting.velocity_embedding_grid import compute_velocity_on_grid

        grid, flow = compute_velocity_on_grid(
            X_emb=points,
            V_emb=vectors,
            density=density,
            smooth=smooth,
            min_mass=min_mass,
            n_neighbors=taken,
            autoscale=False,
            adjust_for_stream=for_stream,
        )
    return np.asarray(grid, dtype=np.float64), np.asarray(flow, dtype=np.float64)


def _integrate(
    grid: NDArray[np.float64], flow: NDArray[np.float64], density: float, max_length: float
) -> list[NDArray[np.float64]]:
    """Run matplotlib's integrator; return one array of shape (n_vertices, 2) a line."""
    if not np.any(np.nan_to_num(flow)):
        return []
    axes = Figure().add_subplot()
    drawn = axes.streamplot(
        grid[0], grid[1], flow[0], flow[1], density=density, maxlength=max_length, linewidth=1.0
    )
    lines: list[NDArray[np.float64]] = []
    for segment in drawn.lines.get_segments():
        piece = np.asarray(np.ma.filled(segment, np.nan), dtype=np.float64)
        # matplotlib before 3.10 may give a line as pieces of two vertices.
        if lines and piece.shape[0] == 2 and np.array_equal(lines[-1][-1], piece[0]):
            lines[-1] = np.concatenate([lines[-1], piece[1:]])
        else:
            lines.append(piece)
    # Where a line leaves the plane the integrator repeats its last vertex.
    kept = [line[np.r_[True, np.any(np.diff(line, axis=0) != 0, axis=1)]] for line in lines]
    return [line for line in kept if line.shape[0] > 1]


def _arrow_head(line: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Return tip and unit direction at half the length of a line."""
    steps = np.diff(line, axis=0)
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    along = np.cumsum(lengths)
    middle = min(int(np.searchsorted(along, along[-1] / 2)), lengths.size - 1)
    fraction = (along[-1] / 2 - (along[middle] - lengths[middle])) / lengths[middle]
    tip = line[middle] + np.clip(fraction, 0.0, 1.0) * steps[middle]
    direction = steps[middle] / lengths[middle]
    return float(tip[0]), float(tip[1]), float(direction[0]), float(direction[1])
