from __future__ import annotations

import numpy as np
import pytest
import scanpy as sc
from anndata import AnnData
from scipy import sparse

from splicedvae import velocity as vl
from splicedvae._core.errors import DataError, VelocityError
from splicedvae._core.layers import named_layers
from splicedvae.velocity._scvelo import quiet_scvelo


def test_rows_stay_and_the_input_is_not_changed(
    cells: AnnData, settings: vl.VelocitySettings
) -> None:
    before = cells.copy()
    ground = vl.prepare(cells, settings=settings)
    assert list(ground.obs_names) == list(cells.obs_names)
    assert vl.is_prepared(ground)
    assert not vl.is_prepared(cells)
    assert list(cells.obs) == list(before.obs)
    assert not cells.uns
    assert not cells.obsm
    for name in named_layers(before):
        difference = cells.layers[name] - before.layers[name]
        assert abs(difference).max() == 0
    np.testing.assert_array_equal(cells.X.toarray(), before.X.toarray())
    logged = before.X.toarray()
    size = logged.sum(axis=1, keepdims=True)
    logged = np.log1p(logged * np.median(size) / size)
    np.testing.assert_allclose(
        ground.X.toarray(), logged[:, cells.var_names.get_indexer(ground.var_names)], rtol=1e-5
    )


@pytest.mark.parametrize("least", [0, 20, 150])
def test_eligible_genes_are_those_of_scvelo(cells: AnnData, least: int) -> None:
    cells.layers["unspliced"][:, :3] = 0
    settings = vl.VelocitySettings(n_top_genes=None, min_shared_counts=least, n_neighbors=15)
    ground = vl.prepare(cells, settings=settings)
    theirs = AnnData(obs=cells.obs.copy(), var=cells.var.copy(), X=cells.X.copy())
    for name in ("spliced", "unspliced"):
        theirs.layers[name] = cells.layers[name].copy()
    with quiet_scvelo() as scvelo:
        scvelo.pp.filter_genes(theirs, min_shared_counts=max(least, 1))
    assert list(ground.var_names) == list(theirs.var_names)
    assert ground.n_vars < cells.n_vars


def test_the_graph_comes_from_the_totals_alone(
    cells: AnnData, ground: AnnData, settings: vl.VelocitySettings
) -> None:
    rng = np.random.default_rng(1)
    total = cells.X.toarray().astype(int)
    spliced = rng.binomial(total, 0.5).astype(np.float32)
    cells.layers["spliced"] = sparse.csr_matrix(spliced)
    cells.layers["unspliced"] = sparse.csr_matrix(total - spliced)
    again = vl.prepare(cells, settings=settings, genes=list(ground.var_names))
    np.testing.assert_array_equal(again.obsm["X_pca"], ground.obsm["X_pca"])
    np.testing.assert_array_equal(again.obsm["X_umap"], ground.obsm["X_umap"])
    assert (again.obsp["connectivities"] != ground.obsp["connectivities"]).nnz == 0


def test_totals_alone_are_enough(cells: AnnData, settings: vl.VelocitySettings) -> None:
    for name in named_layers(cells):
        del cells.layers[name]
    ground = vl.prepare(cells, settings=settings)
    assert ground.n_vars == int((np.asarray(cells.X.sum(axis=0)).ravel() >= 5).sum())
    with pytest.raises(DataError, match="no layer 'spliced'"):
        vl.compute_velocity(ground, settings=settings)


def test_one_layer_of_the_two_is_told(cells: AnnData, settings: vl.VelocitySettings) -> None:
    del cells.layers["unspliced"]
    ground = vl.prepare(cells, settings=settings)
    assert "'unspliced' is missing" in ground.uns["splicedvae"]["velocity_ground"]["notes"][0]


def test_highly_variable_genes_are_as_many_as_asked_and_those_of_scanpy(cells: AnnData) -> None:
    settings = vl.VelocitySettings(n_top_genes=17, min_shared_counts=5, n_neighbors=15)
    ground = vl.prepare(cells, settings=settings)
    theirs = AnnData(X=cells.X.copy(), var=cells.var.copy())
    sc.pp.normalize_total(theirs)
    sc.pp.log1p(theirs)
    full = vl.prepare(cells, settings=vl.VelocitySettings(n_top_genes=None, min_shared_counts=5))
    theirs = theirs[:, full.var_names].copy()
    sc.pp.highly_variable_genes(theirs, n_top_genes=17)
    assert set(ground.var_names) == set(theirs.var_names[theirs.var["highly_variable"]])
    assert ground.n_vars == 17


def test_what_an_earlier_analysis_left_has_no_influence(
    cells: AnnData, ground: AnnData, settings: vl.VelocitySettings
) -> None:
    cells.var["highly_variable"] = np.arange(cells.n_vars) < 6
    cells.var["velocity_genes"] = False
    cells.obs["velocity_confidence"] = 9.0
    cells.uns["velocity_graph"] = sparse.eye(cells.n_obs).tocsr()
    cells.uns["neighbors"] = {"params": {"n_neighbors": 3}}
    cells.obsp["velocity_graph"] = sparse.eye(cells.n_obs).tocsr()
    cells.obsm["X_umap"] = np.zeros((cells.n_obs, 2))
    cells.obsm["velocity_umap"] = np.ones((cells.n_obs, 2))
    again = vl.prepare(cells, settings=settings)
    np.testing.assert_array_equal(again.obsm["X_umap"], ground.obsm["X_umap"])
    assert "velocity_graph" not in again.uns
    assert "velocity_graph" not in again.obsp
    assert "velocity_confidence" not in again.obs
    assert "velocity_umap" not in again.obsm
    expected = vl.compute_velocity(ground, settings=settings)
    found = vl.compute_velocity(again, settings=settings)
    np.testing.assert_array_equal(found.layers["velocity"], expected.layers["velocity"])
    np.testing.assert_array_equal(found.obsm["velocity_umap"], expected.obsm["velocity_umap"])


def test_own_umap_and_latent_space(cells: AnnData, settings: vl.VelocitySettings) -> None:
    rng = np.random.default_rng(0)
    cells.obsm["X_umap"] = rng.normal(size=(cells.n_obs, 2))
    cells.obsm["X_latent"] = np.asarray(cells.obs["true_time"])[:, None] + np.zeros((1, 2))
    ground = vl.prepare(cells, settings=settings, keep_umap=True, representation="X_latent")
    np.testing.assert_allclose(ground.obsm["X_umap"], cells.obsm["X_umap"], rtol=1e-6)
    graph = sparse.coo_matrix(ground.obsp["distances"])
    time = np.asarray(cells.obs["true_time"])
    assert np.abs(time[graph.row] - time[graph.col]).max() < 2.5
    with pytest.raises(DataError, match="X_absent"):
        vl.prepare(cells, settings=settings, representation="X_absent")


def test_named_genes(cells: AnnData, settings: vl.VelocitySettings) -> None:
    names = ["gene7", "gene3", "gene9", "gene1", "gene5", "gene20"]
    ground = vl.prepare(cells, settings=settings, genes=names)
    assert set(ground.var_names) == set(names)
    with pytest.raises(DataError, match="'nobody'"):
        vl.prepare(cells, settings=settings, genes=[*names, "nobody"])


def test_cells_without_counts_stay(make_cells, settings: vl.VelocitySettings) -> None:
    adata = make_cells(seed=3)
    # More empty cells than neighbors: their distances to each other are all zero.
    keep = sparse.diags((np.arange(adata.n_obs) >= 20).astype(np.float32))
    adata.X = sparse.csr_matrix(keep @ adata.X)
    for name in ("spliced", "unspliced"):
        adata.layers[name] = sparse.csr_matrix(keep @ adata.layers[name])
    result = vl.compute_velocity(adata, settings=settings)
    assert result.n_obs == adata.n_obs
    assert not result.layers["velocity"][:20].any()
    assert not result.obsm["velocity_umap"][:20].any()
    assert np.isnan(result.obs["velocity_confidence"][:20]).all()
    assert np.isfinite(result.obs["velocity_confidence"][20:]).all()
    assert np.isfinite(result.obsm["velocity_umap"]).all()
    notes = " ".join(vl.VelocityAccount.from_adata(result).notes)
    assert "20 of 150 cells have no counts" in notes
    assert vl.streamlines(result).n_lines > 0


def test_few_empty_cells_among_others_take_no_confidence_away(
    cells: AnnData, measured: AnnData, settings: vl.VelocitySettings
) -> None:
    cells.obsm["X_latent"] = np.asarray(cells.obs["true_time"])[:, None] * np.ones((1, 2))
    full = vl.compute_velocity(
        vl.prepare(cells, settings=settings, representation="X_latent"), settings=settings
    )
    empty = np.zeros(cells.n_obs, dtype=bool)
    empty[[3, 50, 90]] = True
    keep = sparse.diags((~empty).astype(np.float32))
    cells.X = sparse.csr_matrix(keep @ cells.X)
    for name in ("spliced", "unspliced"):
        cells.layers[name] = sparse.csr_matrix(keep @ cells.layers[name])
    result = vl.compute_velocity(
        vl.prepare(cells, settings=settings, representation="X_latent"), settings=settings
    )
    assert not result.layers["velocity"][empty].any()
    found = np.asarray(result.obs["velocity_confidence"])
    assert np.isnan(found[empty]).all()
    assert np.isfinite(found[~empty]).all()
    whole = np.asarray(full.obs["velocity_confidence"])
    assert np.abs(found - whole)[~empty].mean() < 0.1
    assert np.corrcoef(found[~empty], whole[~empty])[0, 1] > 0.8


def test_cells_at_the_same_place_are_neighbours(
    cells: AnnData, settings: vl.VelocitySettings
) -> None:
    place = np.floor(np.asarray(cells.obs["true_time"]) / 2.5)  # more cells each than neighbors
    cells.obsm["X_latent"] = place[:, None] * np.array([[1.0, 2.0]])
    cells.obsm["X_umap"] = np.random.default_rng(0).normal(size=(cells.n_obs, 2))
    ground = vl.prepare(cells, settings=settings, representation="X_latent", keep_umap=True)
    result = vl.compute_velocity(ground, settings=settings)
    assert np.isfinite(result.obsm["velocity_umap"]).all()
    graph = sparse.coo_matrix(result.obsp["distances"])
    np.testing.assert_array_equal(place[graph.row], place[graph.col])


def test_too_few_cells(cells: AnnData) -> None:
    with pytest.raises(VelocityError, match="29 cells, expected at least 30"):
        vl.prepare(cells[:29].copy())
    with pytest.raises(VelocityError, match="40 cells, expected more than the 40 neighbors"):
        vl.prepare(
            cells[:40].copy(), settings=vl.VelocitySettings(mode="stochastic", n_neighbors=40)
        )


@pytest.mark.parametrize(
    ("mode", "n_cells", "taken"),
    [
        ("balanced", 30, 10),
        ("balanced", 150, 10),
        ("balanced", 180, 12),
        ("balanced", 449, 29),
        ("balanced", 450, 30),
        ("balanced", 100_000, 30),
        ("stochastic", 150, 30),
    ],
)
def test_few_cells_have_fewer_neighbors(mode: str, n_cells: int, taken: int) -> None:
    assert vl.VelocitySettings(mode=mode).neighbors_among(n_cells) == taken


def test_fewer_neighbors_than_asked_for_are_noted(cells: AnnData) -> None:
    prepared = vl.prepare(cells[:60].copy(), settings=vl.VelocitySettings(min_shared_counts=1))
    assert prepared.uns["neighbors"]["params"]["n_neighbors"] == 10
    notes = prepared.uns["splicedvae"]["velocity_ground"]["notes"]
    assert any(note.startswith("Each cell has 10 neighbors instead of 30") for note in notes)
    asked = vl.VelocitySettings(min_shared_counts=1, n_neighbors=8)
    assert (
        vl.prepare(cells[:60].copy(), settings=asked).uns["neighbors"]["params"]["n_neighbors"] == 8
    )


def test_too_few_shared_counts(cells: AnnData) -> None:
    with pytest.raises(VelocityError, match="0 of 40 genes have at least 99999 counts in cells"):
        vl.prepare(cells, settings=vl.VelocitySettings(min_shared_counts=99999))


def test_cells_that_do_not_differ(cells: AnnData, settings: vl.VelocitySettings) -> None:
    cells.X = sparse.csr_matrix(np.ones(cells.shape, dtype=np.float32))
    with pytest.raises(VelocityError, match="same counts"):
        vl.prepare(cells, settings=settings)


@pytest.mark.parametrize("logarithm", [False, True])
def test_normalised_totals_are_refused(
    cells: AnnData, settings: vl.VelocitySettings, logarithm: bool
) -> None:
    cells.layers["raw"] = cells.X.copy()
    sc.pp.normalize_total(cells, target_sum=1e4)
    if logarithm:
        sc.pp.log1p(cells)
    with pytest.raises(DataError, match="X holds fractions"):
        vl.prepare(cells, settings=settings)
    assert vl.prepare(cells, settings=settings, total_layer="raw").n_obs == cells.n_obs


def test_fractional_counts_are_welcome(cells: AnnData, settings: vl.VelocitySettings) -> None:
    cells.X = cells.X * np.float32(0.37)
    assert vl.prepare(cells, settings=settings).n_obs == cells.n_obs


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_values_that_are_no_counts_are_refused(
    cells: AnnData, settings: vl.VelocitySettings, value: float
) -> None:
    cells.X.data[0] = value
    with pytest.raises(DataError, match="X holds"):
        vl.prepare(cells, settings=settings)


def test_repeated_gene_names_are_refused(cells: AnnData, settings: vl.VelocitySettings) -> None:
    cells.var_names = ["same", "same", *cells.var_names[2:]]
    with pytest.raises(DataError, match="not unique"):
        vl.prepare(cells, settings=settings)
