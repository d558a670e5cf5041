"""Velocities in an embedding: scVelo's projection, without its memory and its pyplot.

scVelo's own function makes the transition matrix dense below 10,000 cells (0.8 GB) and opens a
pyplot figure to find the arrows' scale. The formula is the same here (Bergen et al. 2020,
*Nature Biotechnology* 38, 1408, Methods); a test compares the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import sparse


def project(
    transitions: sparse.csr_matrix, embedding: NDArray[np.floating[Any]], *, scaled: bool = True
) -> NDArray[np.float32]:
    """Project transition probabilities onto an embedding.

    The displacement of cell i is the sum over j of (p_ij - mean p_i) times the unit vector from
    i to j, over the cells j it may go to.

    Parameters
    ----------
    transitions
        Transition probabilities, cells x cells; the diagonal is ignored. Negative where the
        velocity points away.
    embedding
        Coordinates, shape (n_cells, n_dimensions).
    scaled
        Whether to give arrows a readable length, which takes as long as all else and leaves
        their directions.

    Returns
    -------
    numpy.ndarray
        Displacements, shape (n_cells, n_dimensions), scaled to arrows of a readable length; zero
        where a cell can go nowhere.
    """
    edges = sparse.coo_matrix(transitions)
    off = (edges.row != edges.col) & (edges.data != 0)
    rows, columns, probability = edges.row[off], edges.col[off], edges.data[off]
    points = np.asarray(embedding, dtype=np.float64)
    n_cells = points.shape[0]
    degree = np.bincount(rows, minlength=n_cells)
    mean = np.bincount(rows, weights=probability, minlength=n_cells) / np.maximum(degree, 1)
    direction = points[columns] - points[rows]
    length = np.linalg.norm(direction, axis=1, keepdims=True)
    direction = np.divide(direction, length, out=np.zeros_like(direction), where=length > 0)
    weight = probability - mean[rows]
    moved = np.zeros_like(points)
    for axis in range(points.shape[1]):
        moved[:, axis] = np.bincount(rows, weights=weight * direction[:, axis], minlength=n_cells)
    length_unit = 3.0 * arrow_scale(points, moved) if scaled else 1.0
    return np.asarray(moved / length_unit, dtype=np.float32)


def arrow_scale(points: NDArray[np.float64], vectors: NDArray[np.float64]) -> float:
    """Return matplotlib's automatic quiver scale, as scVelo uses it, or 1 if nothing moves.

    Parameters
    ----------
    points
        Tails, shape (n, 2 or more); the first two columns count.
    vectors
        Arrows of the same shape.
    """
    if points.shape[0] == 0 or not np.any(vectors[:, :2]):
        return 1.0
    extent = float(np.abs(points).max()) or 1.0
    figure = Figure()
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    # The size of the axes counts, their ticks and labels only take time.
    axes.set_axis_off()
    quiver = axes.quiver(
        points[:, 0] / extent,
        points[:, 1] / extent,
        vectors[:, 0],
        vectors[:, 1],
        angles="xy",
        scale_units="xy",
        scale=None,
    )
    canvas.draw()
    scale = quiver.scale
    return 1.0 if not scale else float(scale) / extent
