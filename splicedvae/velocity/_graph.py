"""From residuals to arrows: scVelo's graph, its confidences, and projections onto embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._errors import DataError, VelocityError
from splicedvae._keys import Layers, Obs, Obsp, Uns, Var
from splicedvae.velocity._projection import project
from splicedvae.velocity._scvelo import quiet_scvelo
from splicedvae.velocity._settings import VelocitySettings


def velocity_graph(fitted: AnnData, settings: VelocitySettings) -> None:
    """Compute the velocity graph in place."""
    with quiet_scvelo() as scvelo:
        scvelo.tl.velocity_graph(fitted, n_jobs=settings.n_jobs, show_progress_bar=False)
        if fitted.uns[Uns.VELOCITY_GRAPH].nnz == 0:
            raise VelocityError(
                "No cell's velocity points to any neighbour, expected some that do; give more "
                "cells or genes."
            )


def velocity_confidence(fitted: AnnData) -> None:
    """Compute length and confidence of each cell's velocity in place."""
    with quiet_scvelo() as scvelo:
        scvelo.tl.velocity_confidence(fitted)
    confidence = np.asarray(fitted.obs[Obs.CONFIDENCE], dtype=np.float64)
    if np.isnan(confidence).any():
        fitted.obs[Obs.CONFIDENCE] = _confidence_among_moving(fitted, confidence)


def _confidence_among_moving(
    fitted: AnnData, confidence: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fill in scVelo's confidence where one neighbour without velocity made it NaN."""
    velocity = np.asarray(fitted.layers[Layers.VELOCITY], dtype=np.float64)
    velocity = velocity[:, np.asarray(fitted.var[Var.VELOCITY_GENES], dtype=bool)]
    velocity = velocity - velocity.mean(axis=1, keepdims=True)
    length = np.linalg.norm(velocity, axis=1)
    unit = np.divide(
        velocity, length[:, None], out=np.zeros_like(velocity), where=length[:, None] > 0
    )
    graph = sparse.csr_matrix(fitted.obsp[Obsp.DISTANCES])
    filled = confidence.copy()
    for cell in np.flatnonzero(np.isnan(confidence)):
        neighbours = graph.indices[graph.indptr[cell] : graph.indptr[cell + 1]]
        neighbours = neighbours[length[neighbours] > 0]
        if length[cell] > 0 and neighbours.size:
            filled[cell] = max(float((unit[neighbours] @ unit[cell]).mean()), 0.0)
    return filled


def embeddings_of(ground: AnnData, bases: Sequence[str]) -> dict[str, NDArray[np.floating[Any]]]:
    """Look embeddings up: ``"umap"`` stands for ``obsm["X_umap"]``.

    Raises
    ------
    DataError
        If one is not there.
    """
    for basis in bases:
        if f"X_{basis}" not in ground.obsm:
            raise DataError(
                f"The data hold no embedding 'X_{basis}', expected coordinates to draw on; "
                "name another basis or compute it."
            )
    return {basis: np.asarray(ground.obsm[f"X_{basis}"]) for basis in bases}


def project_onto(
    graphed: AnnData, embeddings: Mapping[str, NDArray[np.floating[Any]]]
) -> dict[str, NDArray[np.float32]]:
    """Project the velocity onto embeddings.

    Parameters
    ----------
    graphed
        Cells with a velocity graph; gets scVelo's ``velocity_self_transition``.
    embeddings
        Coordinates by name, each of shape (n_cells, n_dimensions).

    Returns
    -------
    Displacements by name, as from `project`.
    """
    with quiet_scvelo() as scvelo:
        transitions = sparse.csr_matrix(
            scvelo.utils.get_transition_matrix(
                graphed, self_transitions=True, scale=10, use_negative_cosines=True
            )
        )
    return {name: project(transitions, points) for name, points in embeddings.items()}
