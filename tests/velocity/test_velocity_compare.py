from __future__ import annotations

import json

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from splicedvae import velocity as vl
from splicedvae._core.errors import DataError, VelocityError


def test_sources_share_all_but_their_counts(
    ground: AnnData, measured: AnnData, settings: vl.VelocitySettings
) -> None:
    total = ground.layers["spliced"] + ground.layers["unspliced"]
    # A measured ratio smoothed over neighbours: fractions, as a model's prediction.
    weights = (ground.obsp["connectivities"] > 0).astype(np.float32) + sparse.eye(ground.n_obs)
    ratio = (weights @ ground.layers["spliced"]).toarray() / np.maximum(
        (weights @ total).toarray(), 1e-9
    )
    ground.layers["predicted_spliced"] = sparse.csr_matrix(total.multiply(ratio))
    ground.layers["predicted_unspliced"] = sparse.csr_matrix(total.multiply(1 - ratio))
    ground.layers["flat_spliced"] = total * 0.75
    ground.layers["flat_unspliced"] = total * 0.25
    seen: list[str] = []
    compared = vl.compare_velocities(
        ground,
        {
            "measured": ("spliced", "unspliced"),
            "splicedvae": ("predicted_spliced", "predicted_unspliced"),
            "gene_mean": ("flat_spliced", "flat_unspliced"),
        },
        settings,
        progress=seen.append,
    )
    assert seen == ["measured", "splicedvae", "gene_mean"]
    assert set(compared.results) == {"measured", "splicedvae"}
    assert set(compared.refusals) == {"gene_mean"}
    assert "rounding error" in compared.refusals["gene_mean"]
    assert compared.genes == tuple(ground.var_names)
    first, second = compared.results["measured"], compared.results["splicedvae"]
    np.testing.assert_array_equal(first.layers["velocity"], measured.layers["velocity"])
    assert list(first.var_names) == list(second.var_names)
    np.testing.assert_array_equal(first.obsm["X_umap"], second.obsm["X_umap"])
    assert (first.obsp["distances"] != second.obsp["distances"]).nnz == 0
    # Predicted fractions are normalised just as measured integers are.
    for layer in ("spliced", "unspliced"):
        for result in (first, second):
            sums = np.asarray(result.layers[layer].sum(axis=1)).ravel()
            assert sums.std() < 0.2 * sums.mean()
    both = np.asarray(first.var["velocity_genes"] & second.var["velocity_genes"])
    a, b = (result.layers["velocity"][:, both] for result in (first, second))
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.mean() > 0.6
    told = json.loads(json.dumps(compared.to_dict()))
    assert {name: entry["state"] for name, entry in told.items()} == {
        "measured": "ok",
        "splicedvae": "ok",
        "gene_mean": "refused",
    }
    assert told["gene_mean"]["message"] == compared.refusals["gene_mean"]
    assert told["splicedvae"]["layers"] == ["predicted_spliced", "predicted_unspliced"]


def test_an_absent_layer_and_unprepared_data_are_errors(
    cells: AnnData, ground: AnnData, settings: vl.VelocitySettings
) -> None:
    with pytest.raises(DataError, match="no layer 'a'"):
        vl.compare_velocities(ground, {"scvi": ("a", "b")}, settings)
    with pytest.raises(DataError, match="prepare first"):
        vl.compare_velocities(cells, {"measured": ("spliced", "unspliced")}, settings)
    with pytest.raises(DataError, match="prepare first"):
        vl.true_velocity(cells)


def test_true_velocity_points_forward_and_agrees_with_the_measured(
    cells: AnnData,
    ground: AnnData,
    measured: AnnData,
    settings: vl.VelocitySettings,
    time_agreement,
    tmp_path,
) -> None:
    true = vl.true_velocity(ground, settings=settings)
    np.testing.assert_array_equal(true.layers["velocity"], ground.layers["true_velocity"])
    assert time_agreement(cells, true) > 0.75
    a, b = true.obsm["velocity_umap"], measured.obsm["velocity_umap"]
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert np.nanmean(cosine) > 0.5
    account = vl.VelocityAccount.from_adata(true)
    assert account.mode_used == "given"
    assert account.layers == ("true_velocity",)
    assert account.to_dict()["largest_ratio_sd"] is None
    true.copy().write_h5ad(tmp_path / "true.h5ad")
    assert vl.streamlines(true).n_lines > 0


def test_a_true_velocity_that_is_none_is_refused(
    ground: AnnData, settings: vl.VelocitySettings
) -> None:
    ground.layers["still"] = np.zeros(ground.shape, dtype=np.float32)
    with pytest.raises(VelocityError, match="0 genes of the layer 'still'"):
        vl.true_velocity(ground, layer="still", settings=settings)
    ground.layers["still"][0, 0] = np.nan
    with pytest.raises(DataError, match="NaN"):
        vl.true_velocity(ground, layer="still", settings=settings)
    with pytest.raises(DataError, match="'absent'"):
        vl.true_velocity(ground, layer="absent", settings=settings)


def test_more_than_4096_cells(make_cells, time_agreement) -> None:
    """Beyond 4,096 cells scanpy searches neighbours in another way."""
    adata = make_cells(n_cells=4200, n_genes=14, seed=5)
    settings = vl.VelocitySettings(
        mode="deterministic", n_top_genes=None, n_pcs=5, n_neighbors=8, min_shared_counts=5
    )
    adata.obsm["X_umap"] = np.column_stack(
        [adata.obs["true_time"], np.random.default_rng(0).normal(size=adata.n_obs)]
    )
    ground = vl.prepare(adata, settings=settings, keep_umap=True)
    result = vl.compute_velocity(ground, settings=settings)
    assert result.n_obs == 4200
    assert np.isfinite(result.obsm["velocity_umap"]).all()
    assert time_agreement(adata, result) > 0.3
    assert vl.streamlines(result).n_lines > 10
