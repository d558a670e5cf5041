"""From residuals to arrows: scVelo's graph, its confidences, and projections onto embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._core.errors import DataError, VelocityError
from splicedvae._core.graph_states import compared_states
from splicedvae._core.keys import Layers, Obs, Uns, Var
from splicedvae.velocity._kernels import cosines, mean_cosines, over_cells, transition_cosines
from splicedvae.velocity._neighbours import Neighbours
from splicedvae.velocity._projection import project
from splicedvae.velocity._scvelo import quiet_scvelo
from splicedvae.velocity._settings import SQRT_MODES, VelocitySettings

#: scVelo's width of the kernel that turns cosines into transition probabilities, inverse.
_SCALE: Final = 10


def velocity_graph(fitted: AnnData, neighbours: Neighbours, settings: VelocitySettings) -> None:
    """Compute the velocity graph in place, as ``scvelo.tl.velocity_graph`` does.

    Which states are compared stands in ``uns["velocity_params"]["xkey"]``, written by the model
    (`compared_states`). Whether square roots are compared follows from the mode that was fitted
    (`SQRT_MODES`) and is written into ``["sqrt_transform"]``. scVelo needs both as arguments: by
    itself it compares ``Ms``, and square roots in its stochastic mode only.

    Parameters
    ----------
    fitted
        Cells x genes with moments, ``velocity`` and ``velocity_genes``; gets the cosines in
        ``uns["velocity_graph"]`` (positive) and ``["velocity_graph_neg"]``, CSR float32.
    neighbours
        Those of the ground.
    settings
        The number of threads.

    Raises
    ------
    VelocityError
        If no velocity points to any neighbour.
    """
    params = fitted.uns[Uns.VELOCITY_PARAMS]
    root = params["sqrt_transform"] = params["mode"] in SQRT_MODES
    states, velocity = _over_velocity_genes(fitted)
    if root:
        velocity = np.copysign(np.sqrt(np.abs(velocity)), velocity)
    velocity -= velocity.mean(axis=1, keepdims=True)
    reached = neighbours.reached
    found = np.empty(reached.nnz, dtype=np.float32)
    over_cells(
        cosines,
        neighbours.order,
        settings.n_jobs,
        reached.indptr,
        reached.indices,
        states,
        velocity,
        root,
        found,
    )
    np.clip(found, -1, 1, out=found)
    graph = _where(reached, found, found > 0)
    if graph.nnz == 0:
        raise VelocityError(
            "No cell's velocity points to any neighbour, expected some that do; give more "
            "cells or genes."
        )
    fitted.uns[Uns.VELOCITY_GRAPH] = graph
    fitted.uns[Uns.VELOCITY_GRAPH_NEG] = _where(reached, found, found < 0)
    fitted.obs[Obs.SELF_TRANSITION] = _self_transitions(graph)
    params["mode_neighbors"] = "distances"
    params["n_recurse_neighbors"] = 2


def velocity_confidence(
    fitted: AnnData, neighbours: Neighbours, settings: VelocitySettings
) -> None:
    """Compute length and confidences of each cell's velocity in place.

    They are those of ``scvelo.tl.velocity_confidence``, but neighbours without a velocity are left
    out: scVelo's mean over neighbours is NaN if one of them has none.

    Parameters
    ----------
    fitted
        What `velocity_graph` has seen.
    neighbours
        Those of the ground.
    settings
        The number of threads.
    """
    states, velocity = _over_velocity_genes(fitted)
    velocity -= velocity.mean(axis=1, keepdims=True)
    edges = sparse.csr_matrix(fitted.uns[Uns.VELOCITY_GRAPH] + fitted.uns[Uns.VELOCITY_GRAPH_NEG])
    expected = np.zeros(fitted.n_obs)
    over_cells(
        transition_cosines,
        neighbours.order,
        settings.n_jobs,
        edges.indptr,
        edges.indices,
        np.exp(_SCALE * edges.data),
        states,
        velocity,
        expected,
    )
    length = np.sqrt(np.einsum("ij,ij->i", velocity, velocity))
    moves = length > 0
    velocity /= np.where(moves, length, 1)[:, None]
    confidence = np.zeros(fitted.n_obs)
    over_cells(
        mean_cosines,
        neighbours.order,
        settings.n_jobs,
        neighbours.direct,
        velocity,
        moves,
        confidence,
    )
    fitted.obs[Obs.LENGTH] = length.round(2)
    fitted.obs[Obs.CONFIDENCE] = np.clip(confidence, 0, None)
    fitted.obs[Obs.CONFIDENCE_TRANSITION] = expected


def _over_velocity_genes(
    fitted: AnnData,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Copy states and velocities of the velocity genes, whose rows the loops read in one go."""
    used = np.asarray(fitted.var[Var.VELOCITY_GENES], dtype=bool)
    velocity = np.ascontiguousarray(fitted.layers[Layers.VELOCITY][:, used], dtype=np.float32)
    return compared_states(fitted, used), velocity


def _where(
    pattern: sparse.csr_matrix, values: NDArray[np.float32], kept: NDArray[np.bool_]
) -> sparse.csr_matrix:
    """Put values where a pattern has entries, of which only some are kept."""
    start = np.concatenate([[0], np.cumsum(kept)])[pattern.indptr].astype(pattern.indptr.dtype)
    return sparse.csr_matrix((values[kept], pattern.indices[kept], start), shape=pattern.shape)


def _self_transitions(graph: sparse.csr_matrix) -> NDArray[np.float32]:
    """Say by how much each cell's largest cosine is below that of the most certain cells."""
    largest = graph.max(axis=1).toarray().ravel()
    return np.clip(np.percentile(largest, 98) - largest, 0, 1)


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
    graphed: AnnData,
    embeddings: Mapping[str, NDArray[np.floating[Any]]],
    *,
    scaled: bool = True,
) -> dict[str, NDArray[np.float32]]:
    """Project the velocity onto embeddings.

    Parameters
    ----------
    graphed
        Cells with a velocity graph; gets scVelo's ``velocity_self_transition``.
    embeddings
        Coordinates by name, each of shape (n_cells, n_dimensions).
    scaled
        Whether arrows get a readable length.

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
    return {
        name: project(transitions, points, scaled=scaled) for name, points in embeddings.items()
    }
