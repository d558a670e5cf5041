"""Cells along one path of differentiation, from the kinetics that RNA velocity assumes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from splicedvae import velocity as vl
from splicedvae._core.keys import Layers, Obs

SMALL = vl.VelocitySettings(
    n_top_genes=None, min_shared_counts=5, n_pcs=10, n_neighbors=15, mode="stochastic"
)


def kinetic_cells(
    n_cells: int = 150, n_genes: int = 40, seed: int = 0, depth: float = 4.0
) -> AnnData:
    """Integrate du/dt = alpha(t) - u, ds/dt = u - gamma s; draw Poisson counts at random times."""
    rng = np.random.default_rng(seed)
    steps, end = 2000, 10.0
    times = np.linspace(0.0, end, steps)
    dt = times[1] - times[0]
    start = rng.uniform(-2.0, 8.0, n_genes)
    stop = start + rng.uniform(2.0, 5.0, n_genes)
    rate = rng.uniform(2.0, 6.0, n_genes)
    gamma = rng.uniform(0.3, 0.8, n_genes)
    u = np.zeros((steps, n_genes))
    s = np.zeros((steps, n_genes))
    u[0] = 0.1
    s[0] = 0.1 / gamma
    for step in range(1, steps):
        on = (times[step - 1] >= start) & (times[step - 1] < stop)
        u[step] = u[step - 1] + dt * (0.1 + rate * on - u[step - 1])
        s[step] = s[step - 1] + dt * (u[step - 1] - gamma * s[step - 1])
    at = rng.integers(0, steps, n_cells)
    size = depth * rng.uniform(0.7, 1.3, (n_cells, 1))
    spliced = rng.poisson(size * s[at]).astype(np.float32)
    unspliced = rng.poisson(size * u[at]).astype(np.float32)
    adata = AnnData(
        X=sparse.csr_matrix(spliced + unspliced),
        obs=pd.DataFrame(
            {Obs.TRUE_TIME: times[at]}, index=[f"cell{number}" for number in range(n_cells)]
        ),
        var=pd.DataFrame(index=[f"gene{number}" for number in range(n_genes)]),
        layers={
            Layers.SPLICED: sparse.csr_matrix(spliced),
            Layers.UNSPLICED: sparse.csr_matrix(unspliced),
            Layers.TRUE_VELOCITY: (u[at] - gamma * s[at]).astype(np.float32),
        },
    )
    adata.obs[Obs.CLUSTERS] = pd.Categorical(
        np.where(times[at] < end / 2, "early", "late"), categories=["early", "late"]
    )
    return adata


def along_time(adata: AnnData, result: AnnData) -> float:
    """Mean cosine between each projected velocity and the way to neighbours that are later."""
    time = np.asarray(adata.obs[Obs.TRUE_TIME])
    points = np.asarray(result.obsm["X_umap"], dtype=float)
    arrows = np.asarray(result.obsm["velocity_umap"], dtype=float)
    graph = sparse.csr_matrix(result.obsp["distances"])
    cosines = []
    for cell in range(adata.n_obs):
        near = graph.indices[graph.indptr[cell] : graph.indptr[cell + 1]]
        way = ((points[near] - points[cell]) * (time[near] - time[cell])[:, None]).sum(axis=0)
        norm = np.linalg.norm(way) * np.linalg.norm(arrows[cell])
        if norm > 0:
            cosines.append(float(way @ arrows[cell] / norm))
    return float(np.mean(cosines))


@pytest.fixture(scope="session")
def settings() -> vl.VelocitySettings:
    return SMALL


@pytest.fixture(scope="session")
def _cells() -> AnnData:
    return kinetic_cells()


@pytest.fixture
def cells(_cells: AnnData) -> AnnData:
    return _cells.copy()


@pytest.fixture(scope="session")
def _ground(_cells: AnnData) -> AnnData:
    return vl.prepare(_cells, settings=SMALL)


@pytest.fixture
def ground(_ground: AnnData) -> AnnData:
    return _ground.copy()


@pytest.fixture(scope="session")
def measured(_ground: AnnData) -> AnnData:
    """The velocity of the measured layers; not to be changed by a test."""
    return vl.compute_velocity(_ground, settings=SMALL)


@pytest.fixture(scope="session")
def make_cells():
    return kinetic_cells


@pytest.fixture(scope="session")
def time_agreement():
    return along_time
