from __future__ import annotations

import json
import warnings
from pathlib import Path

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from splicedvae import datasets
from splicedvae import velocity as vl
from splicedvae._core.errors import DataError, VelocityError
from splicedvae.velocity._scvelo import quiet_scvelo


def plain_scvelo(cells: AnnData, ground: AnnData, mode: str) -> AnnData:
    """The usual sequence of scVelo's own functions on the same genes, graph and embedding."""
    own = AnnData(X=cells.X.copy(), obs=cells.obs[[]].copy(), var=cells.var.copy())
    for name in ("spliced", "unspliced"):
        own.layers[name] = cells.layers[name].copy()
    with quiet_scvelo() as scvelo:
        scvelo.pp.filter_genes(own, min_shared_counts=1)  # stores the initial sizes
        own = own[:, ground.var_names].copy()
        scvelo.pp.normalize_per_cell(own)
        for name in ("distances", "connectivities"):
            own.obsp[name] = ground.obsp[name].copy()
        own.uns["neighbors"] = dict(ground.uns["neighbors"])
        own.obsm["X_umap"] = ground.obsm["X_umap"].copy()
        scvelo.pp.moments(own, n_neighbors=None, n_pcs=None)
        scvelo.tl.velocity(own, mode=mode)
        scvelo.tl.velocity_graph(own, show_progress_bar=False)
        scvelo.tl.velocity_embedding(own, basis="umap")
        scvelo.tl.velocity_confidence(own)
    return own


@pytest.mark.parametrize("mode", ["stochastic", "deterministic"])
def test_measured_layers_give_what_scvelo_gives(cells: AnnData, ground: AnnData, mode: str) -> None:
    settings = vl.VelocitySettings(
        mode=mode, n_top_genes=None, min_shared_counts=5, n_pcs=10, n_neighbors=15
    )
    ours = vl.compute_velocity(ground, settings=settings)
    theirs = plain_scvelo(cells, ground, mode)
    for name in ("Ms", "Mu", "velocity"):
        np.testing.assert_allclose(ours.layers[name], theirs.layers[name], rtol=1e-3, atol=1e-4)
    assert (ours.var["velocity_genes"] == theirs.var["velocity_genes"]).all()
    for name in ("velocity_graph", "velocity_graph_neg"):
        assert abs(ours.uns[name] - theirs.uns[name]).max() < 1e-3
    np.testing.assert_allclose(
        ours.obsm["velocity_umap"], theirs.obsm["velocity_umap"], rtol=1e-2, atol=1e-3
    )
    np.testing.assert_allclose(
        ours.obs["velocity_confidence"], theirs.obs["velocity_confidence"], atol=1e-3
    )


def test_velocity_points_forward_in_time(cells: AnnData, measured: AnnData, time_agreement) -> None:
    assert time_agreement(cells, measured) > 0.6
    swapped = cells.copy()
    swapped.layers["spliced"], swapped.layers["unspliced"] = (
        cells.layers["unspliced"],
        cells.layers["spliced"],
    )
    settings = vl.VelocityAccount.from_adata(measured).settings
    assert time_agreement(cells, vl.compute_velocity(swapped, settings=settings)) < 0


def test_an_unprepared_object_is_prepared_with_the_same_settings(
    cells: AnnData, measured: AnnData, settings: vl.VelocitySettings
) -> None:
    result = vl.compute_velocity(cells, settings=settings)
    np.testing.assert_array_equal(result.layers["velocity"], measured.layers["velocity"])
    np.testing.assert_array_equal(result.obsm["velocity_umap"], measured.obsm["velocity_umap"])


def test_the_prepared_object_is_not_changed(ground: AnnData, settings: vl.VelocitySettings) -> None:
    before = ground.copy()
    vl.compute_velocity(ground, settings=settings)
    assert set(ground.layers) == set(before.layers)
    assert list(ground.obs) == list(before.obs)
    assert list(ground.var) == list(before.var)
    assert set(ground.uns["splicedvae"]) == {"velocity_ground"}
    assert (ground.layers["spliced"] != before.layers["spliced"]).nnz == 0
    assert (ground.obsp["distances"] != before.obsp["distances"]).nnz == 0


def test_the_account_tells_what_was_done(measured: AnnData, settings: vl.VelocitySettings) -> None:
    account = vl.VelocityAccount.from_adata(measured)
    assert account.source == "measured"
    assert account.settings == settings
    assert account.mode_used == account.mode_requested == "stochastic"
    assert account.n_velocity_genes == int(measured.var["velocity_genes"].sum()) > 5
    assert account.n_genes == measured.n_vars
    assert account.fallbacks == ()
    assert json.loads(json.dumps(account.to_dict()))["n_cells"] == measured.n_obs
    with pytest.raises(DataError, match="no account"):
        vl.VelocityAccount.from_adata(AnnData(np.zeros((2, 2))))


def test_a_result_survives_h5ad_and_draws_with_scvelo(measured: AnnData, tmp_path: Path) -> None:
    path = tmp_path / "velocity.h5ad"
    measured.copy().write_h5ad(path)
    back = ad.read_h5ad(path)
    assert vl.VelocityAccount.from_adata(back) == vl.VelocityAccount.from_adata(measured)
    np.testing.assert_array_equal(back.layers["velocity"], measured.layers["velocity"])
    assert abs(back.uns["velocity_graph"] - measured.uns["velocity_graph"]).max() == 0
    ours, again = vl.streamlines(measured), vl.streamlines(back)
    np.testing.assert_array_equal(ours.x, again.x)
    with quiet_scvelo() as scvelo:
        for adata in (measured.copy(), back):
            axes = scvelo.pl.velocity_embedding_stream(
                adata, basis="umap", color="clusters", show=False
            )
            assert len(axes.collections) >= 2
            scvelo.tl.velocity_pseudotime(adata)
            assert adata.obs["velocity_pseudotime"].between(0, 1).all()
    plt.close("all")


def test_no_figure_and_no_changed_warnings_are_left_behind(
    ground: AnnData, settings: vl.VelocitySettings, capsys: pytest.CaptureFixture[str]
) -> None:
    plt.close("all")
    filters = list(warnings.filters)
    with quiet_scvelo() as scvelo:
        pass
    verbosity = scvelo.settings.verbosity
    assert verbosity > 0
    result = vl.compute_velocity(ground, settings=settings)
    vl.streamlines(result)
    vl.arrows_grid(result)
    assert plt.get_fignums() == []
    assert warnings.filters == filters
    assert scvelo.settings.verbosity == verbosity
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("mode", ["balanced", "stochastic", "deterministic"])
@pytest.mark.parametrize("noise", [0.0, 1e-6])
def test_a_ratio_constant_within_genes_is_refused(ground: AnnData, mode: str, noise: float) -> None:
    rng = np.random.default_rng(0)
    total = (ground.layers["spliced"] + ground.layers["unspliced"]).toarray()
    rho = rng.uniform(0.2, 0.98, (1, ground.n_vars)) + noise * rng.normal(size=total.shape)
    rho = rho.astype(np.float32)
    ground.layers["s"] = sparse.csr_matrix(total * rho)
    ground.layers["u"] = sparse.csr_matrix(total * (1 - rho))
    with pytest.raises(VelocityError, match="ratios in 's' and 'u' do not vary within any gene"):
        vl.compute_velocity(
            ground,
            spliced_layer="s",
            unspliced_layer="u",
            settings=vl.VelocitySettings(mode=mode, n_neighbors=15),
        )


@pytest.mark.parametrize("mode", ["balanced", "stochastic", "deterministic"])
def test_one_factor_per_cell_is_refused_since_normalising_takes_it_out(
    ground: AnnData, mode: str
) -> None:
    rng = np.random.default_rng(0)
    total = (ground.layers["spliced"] + ground.layers["unspliced"]).toarray()
    rho = rng.uniform(0.3, 0.9, (ground.n_obs, 1))
    ground.layers["s"] = (total * rho).astype(np.float32)
    ground.layers["u"] = (total * (1 - rho)).astype(np.float32)
    with pytest.raises(VelocityError, match="one factor per cell"):
        vl.compute_velocity(
            ground,
            spliced_layer="s",
            unspliced_layer="u",
            settings=vl.VelocitySettings(mode=mode, n_neighbors=15),
        )


def test_single_genes_without_variation_are_left_out_and_counted(
    ground: AnnData, settings: vl.VelocitySettings
) -> None:
    total = (ground.layers["spliced"] + ground.layers["unspliced"]).toarray()
    spliced, unspliced = (ground.layers[name].toarray() for name in ("spliced", "unspliced"))
    spliced[:, :8] = np.float32(0.7) * total[:, :8]
    unspliced[:, :8] = total[:, :8] - spliced[:, :8]
    spliced[:, 8] = unspliced[:, 8] = 0
    ground.layers["s"], ground.layers["u"] = spliced, unspliced
    result = vl.compute_velocity(ground, spliced_layer="s", unspliced_layer="u", settings=settings)
    account = vl.VelocityAccount.from_adata(result)
    assert account.n_genes_degenerate == 8
    assert account.n_genes_uncounted == 1
    assert result.n_vars == ground.n_vars
    assert not result.layers["velocity"][:, :9].any()
    assert not result.var["velocity_genes"][:9].any()
    assert result.var["velocity_degenerate"][:8].all()
    assert not result.var["velocity_degenerate"][8:].any()
    assert any("8 of" in note for note in account.notes)
    # The other genes are fitted as they would be without these.
    keep = ground.var_names[9:]
    alone = vl.compute_velocity(ground[:, keep].copy(), settings=settings)
    sizes = [np.asarray(x.sum(axis=1)).ravel() for x in (spliced, unspliced)]
    assert all((size > 0).all() for size in sizes)
    assert alone.n_vars == len(keep)
    assert alone.var["velocity_genes"].sum() == pytest.approx(
        result.var["velocity_genes"].sum(), abs=2
    )


def test_too_few_varying_genes_are_refused(ground: AnnData, settings: vl.VelocitySettings) -> None:
    total = (ground.layers["spliced"] + ground.layers["unspliced"]).toarray()
    spliced = np.float32(0.7) * total
    spliced[:, :4] = ground.layers["spliced"].toarray()[:, :4]
    ground.layers["s"], ground.layers["u"] = spliced, total - spliced
    with pytest.raises(VelocityError, match="vary within 4 of"):
        vl.compute_velocity(ground, spliced_layer="s", unspliced_layer="u", settings=settings)


def test_a_failing_fit_is_replaced_and_named(ground: AnnData) -> None:
    """One gene whose normalised layers are exactly proportional makes scVelo's SVD fail."""
    rng = np.random.default_rng(0)
    ground.obs["initial_size_s"] = 64.0
    size = rng.choice([32.0, 64.0, 128.0], ground.n_obs)
    size[np.argsort(size)[ground.n_obs // 2]] = 64.0
    ground.obs["initial_size_u"] = size
    spliced, unspliced = (ground.layers[name].toarray() for name in ("spliced", "unspliced"))
    unspliced[:, 0] = spliced[:, 0] * size / 128.0
    ground.layers["s"], ground.layers["u"] = spliced, unspliced
    settings = vl.VelocitySettings(mode="stochastic", n_neighbors=15, min_shared_counts=5)
    result = vl.compute_velocity(ground, spliced_layer="s", unspliced_layer="u", settings=settings)
    account = vl.VelocityAccount.from_adata(result)
    assert account.mode_requested == "stochastic"
    assert account.mode_used == result.uns["velocity_params"]["mode"] == "deterministic"
    assert len(account.fallbacks) == 1
    assert "replaced by the deterministic one" in account.fallbacks[0]
    assert "SVD did not converge" in account.fallbacks[0]
    assert "variance_velocity" not in result.layers
    assert not result.var["velocity_genes"].iloc[0]


def test_no_unspliced_counts_are_refused(
    cells: AnnData, ground: AnnData, settings: vl.VelocitySettings
) -> None:
    cells.layers["unspliced"] = sparse.csr_matrix(cells.shape, dtype=np.float32)
    with pytest.raises(VelocityError, match="'unspliced' holds no counts"):
        vl.compute_velocity(cells, settings=settings)
    ground.layers["unspliced"] = sparse.csr_matrix(ground.shape, dtype=np.float32)
    with pytest.raises(VelocityError, match="'unspliced' holds no counts"):
        vl.compute_velocity(ground, settings=settings)


def test_too_few_shared_counts_of_a_source_are_refused(ground: AnnData) -> None:
    rng = np.random.default_rng(0)
    for name in ("s", "u"):
        ground.layers[name] = sparse.random(*ground.shape, 0.01, rng=rng, format="csr")
        ground.layers[name].data[:] = 1.0
    with pytest.raises(VelocityError, match="both non-zero"):
        vl.compute_velocity(ground, spliced_layer="s", unspliced_layer="u")


def test_layers_that_cannot_be_counts_are_refused(
    ground: AnnData, settings: vl.VelocitySettings
) -> None:
    for value in (np.nan, -1.0):
        broken = ground.copy()
        broken.layers["unspliced"].data[3] = value
        with pytest.raises(DataError, match="'unspliced' holds"):
            vl.compute_velocity(broken, settings=settings)
    with pytest.raises(DataError, match="X_tsne"):
        vl.compute_velocity(ground, settings=settings, bases=["tsne"])


def test_a_cut_graph_is_refused(ground: AnnData, settings: vl.VelocitySettings) -> None:
    half = ground[np.asarray(ground.obs["clusters"]) == "early"].copy()
    half = half[np.arange(half.n_obs) % 3 == 0].copy()
    with pytest.raises(DataError, match="prepare again"):
        vl.compute_velocity(half, settings=settings)


def test_several_embeddings(cells: AnnData, settings: vl.VelocitySettings) -> None:
    cells.obsm["X_umap_splicedvae"] = np.asarray(cells.obs["true_time"])[:, None] * [[1.0, 0.5]]
    result = vl.compute_velocity(cells, settings=settings, bases=["umap", "umap_splicedvae"])
    arrows = result.obsm["velocity_umap_splicedvae"]
    assert arrows.shape == (cells.n_obs, 2)
    assert (arrows[:, 0] > 0).mean() > 0.8
    assert vl.streamlines(vl.compute_velocity(cells, settings=settings)).n_lines > 0


def test_a_single_velocity_gene_is_refused_and_breaks_nothing() -> None:
    # scVelo's stochastic model raises an internal error where exactly one gene passes.
    cells = datasets.simulate(60, 8, mean_depth=60, seed=7)
    settings = vl.VelocitySettings(mode="stochastic", n_neighbors=10, min_shared_counts=5)
    ground = vl.prepare(cells, settings=settings)
    with pytest.raises(VelocityError, match="1 of 8 genes show unspliced counts"):
        vl.compute_velocity(ground, settings=settings)
