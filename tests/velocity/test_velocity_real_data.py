from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from splicedvae import velocity as vl
from splicedvae._core.errors import DataError

pytestmark = pytest.mark.real_data


def boundary_direction(result: ad.AnnData, first: str, second: str) -> float:
    """Mean cosine of the velocity in one cluster with the way to neighbours in another."""
    cluster = np.asarray(result.obs["clusters"])
    graph = sparse.csr_matrix(result.obsp["connectivities"])
    points, arrows = result.obsm["X_umap"], result.obsm["velocity_umap"]
    means = []
    for cell in np.flatnonzero(cluster == first):
        near = graph.indices[graph.indptr[cell] : graph.indptr[cell + 1]]
        near = near[cluster[near] == second]
        if near.size:
            way = points[near] - points[cell]
            norm = np.linalg.norm(way, axis=1) * np.linalg.norm(arrows[cell])
            means.append(float((way @ arrows[cell] / norm).mean()))
    assert len(means) > 3
    return float(np.mean(means))


@pytest.mark.parametrize("mode", ["balanced", "stochastic"])
def test_the_pancreas_flows_from_progenitors_to_endocrine_cells(real_data: Path, mode: str) -> None:
    adata = ad.read_h5ad(real_data / "mouse_pancreas_e15.h5ad")
    rng = np.random.default_rng(0)
    total = np.asarray(adata.X.todense())
    rho = rng.uniform(0.4, 0.95, (1, adata.n_vars)).astype(np.float32)
    adata.layers["predicted_spliced"] = sparse.csr_matrix(total * rho)
    adata.layers["predicted_unspliced"] = sparse.csr_matrix(total * (1 - rho))
    ground = vl.prepare(adata)
    compared = vl.compare_velocities(
        ground,
        {
            "measured": ("spliced", "unspliced"),
            "gene_mean": ("predicted_spliced", "predicted_unspliced"),
        },
        vl.VelocitySettings(mode=mode),
    )
    assert set(compared.refusals) == {"gene_mean"}
    result = compared.results["measured"]
    account = vl.VelocityAccount.from_adata(result)
    assert account.mode_used == mode
    assert account.n_genes == 2000
    assert account.n_velocity_genes > 300
    steps = [
        ("Ngn3 low EP", "Ngn3 high EP"),
        ("Ngn3 high EP", "Pre-endocrine"),
        ("Pre-endocrine", "Beta"),
    ]
    for first, second in steps:
        assert boundary_direction(result, first, second) > 0.3
        assert boundary_direction(result, first, second) > boundary_direction(result, second, first)


def test_shallow_cells_without_labels(real_data: Path) -> None:
    adata = ad.read_h5ad(real_data / "mouse_dentate_gyrus_100cells.h5ad")
    result = vl.compute_velocity(adata)
    assert result.n_obs == 100
    assert np.isfinite(result.obsm["velocity_umap"]).all()
    assert "ambiguous" not in result.layers


def test_totals_alone_have_no_velocity(real_data: Path) -> None:
    adata = ad.read_h5ad(real_data / "human_pbmc_400cells_totals_only.h5ad")
    with pytest.raises(DataError, match="no layer 'spliced'"):
        vl.compute_velocity(adata)
