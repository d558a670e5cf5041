"""Moments, graph and confidences are those of scVelo's own functions, whatever the cells."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from splicedvae import datasets
from splicedvae import velocity as vl
from splicedvae._core.counts import cell_sizes, count_matrix
from splicedvae._core.keys import Layers, Obs, Obsm, Obsp, Uns, Var
from splicedvae.evaluation import cell_cosines
from splicedvae.velocity import _kernels
from splicedvae.velocity._fit import fit_pair
from splicedvae.velocity._graph import project_onto, velocity_confidence, velocity_graph
from splicedvae.velocity._neighbours import Neighbours
from splicedvae.velocity._scvelo import quiet_scvelo

MODES = ("balanced", "deterministic", "stochastic")


def both_ways(
    cells: AnnData, settings: vl.VelocitySettings, still: NDArray[np.intp] | None = None
) -> tuple[AnnData, AnnData]:
    """Fit one velocity; give it scVelo's graph, arrows and confidences, and ours."""
    ground = vl.prepare(cells, settings=settings)
    layers = (Layers.SPLICED, Layers.UNSPLICED)
    pair = [count_matrix(ground, layer) for layer in layers]
    neighbours = Neighbours(ground)
    fitted = fit_pair(
        ground,
        neighbours,
        pair[0],
        pair[1],
        (cell_sizes(pair[0]), cell_sizes(pair[1])),
        layers=layers,
        settings=settings,
    ).fitted
    if still is not None:
        fitted.layers[Layers.VELOCITY][still] = 0
    fitted.obsm[Obsm.UMAP] = ground.obsm[Obsm.UMAP]
    theirs = fitted.copy()
    with quiet_scvelo() as scvelo:
        for _ in range(settings.smoothing_steps):
            scvelo.pp.moments(theirs, n_neighbors=None, n_pcs=None)
            theirs.layers[Layers.SPLICED] = sparse.csr_matrix(theirs.layers[Layers.MS])
            theirs.layers[Layers.UNSPLICED] = sparse.csr_matrix(theirs.layers[Layers.MU])
        moments = {name: fitted.layers[name] for name in (Layers.MS, Layers.MU)}
        for name, expected in moments.items():
            np.testing.assert_allclose(theirs.layers[name], expected, rtol=1e-5)
            # Rounding of moments would count among cells that are nearly the same.
            theirs.layers[name] = expected
        if settings.mode == "balanced":
            gamma = theirs.var[Var.VELOCITY_GAMMA].to_numpy()
            expected = (moments[Layers.MS] + moments[Layers.MU]) / (1 + gamma)
            theirs.layers[Layers.MS_EXPECTED] = expected
            # scVelo's confidence takes no name of a layer.
            theirs.layers[Layers.MS] = expected
        scvelo.tl.velocity_graph(
            theirs,
            xkey=theirs.uns[Uns.VELOCITY_PARAMS].get("xkey", Layers.MS),
            sqrt_transform=settings.sqrt_transform,
            n_jobs=1,
            show_progress_bar=False,
        )
        scvelo.tl.velocity_embedding(theirs, basis="umap")
        scvelo.tl.velocity_confidence(theirs)
    velocity_graph(fitted, neighbours, settings)
    velocity_confidence(fitted, neighbours, settings)
    embedding = {"umap": fitted.obsm[Obsm.UMAP]}
    fitted.obsm[Obsm.VELOCITY_UMAP] = project_onto(fitted, embedding)["umap"]
    return theirs, fitted


def assert_same(theirs: AnnData, ours: AnnData) -> None:
    """Compare all that both wrote, but for confidences that scVelo leaves missing."""
    for name in (Uns.VELOCITY_GRAPH, Uns.VELOCITY_GRAPH_NEG):
        found, expected = (sparse.csr_matrix(side.uns[name]) for side in (ours, theirs))
        assert found.dtype == np.float32
        assert abs(found - expected).max() < 1e-5
        # Only cosines that are zero but for rounding may be on one side alone.
        assert abs(found.nnz - expected.nnz) <= 1e-4 * expected.nnz
    cosine = cell_cosines(ours.obsm[Obsm.VELOCITY_UMAP], theirs.obsm[Obsm.VELOCITY_UMAP])
    assert np.nanmin(cosine) > 0.999
    np.testing.assert_allclose(ours.obs[Obs.LENGTH], theirs.obs[Obs.LENGTH], rtol=1e-4, atol=0.011)
    np.testing.assert_allclose(
        ours.obs[Obs.SELF_TRANSITION], theirs.obs[Obs.SELF_TRANSITION], atol=1e-5
    )
    # scVelo takes the difference of two float32 sums here, ours is the sum of the differences.
    np.testing.assert_allclose(
        ours.obs[Obs.CONFIDENCE_TRANSITION], theirs.obs[Obs.CONFIDENCE_TRANSITION], atol=1e-3
    )
    expected = np.asarray(theirs.obs[Obs.CONFIDENCE])
    known = np.isfinite(expected)
    assert known.any()
    np.testing.assert_allclose(ours.obs[Obs.CONFIDENCE][known], expected[known], atol=1e-5)
    params = [side.uns[Uns.VELOCITY_PARAMS] for side in (ours, theirs)]
    ours_alone = {"embeddings", "sqrt_transform"}
    first, second = (
        {name: value for name, value in p.items() if name not in ours_alone} for p in params
    )
    assert first == second


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n_neighbors", [4, 30])
def test_graph_arrows_and_confidences_are_those_of_scvelo(mode: str, n_neighbors: int) -> None:
    settings = vl.VelocitySettings(mode=mode, min_shared_counts=5, n_neighbors=n_neighbors)
    theirs, ours = both_ways(datasets.simulate(250, 80, seed=1), settings)
    params = ours.uns[Uns.VELOCITY_PARAMS]
    assert params["mode"] == mode
    assert params["sqrt_transform"] == settings.sqrt_transform == (mode != "deterministic")
    assert_same(theirs, ours)
    assert np.isfinite(ours.obs[Obs.CONFIDENCE]).all()


@pytest.mark.parametrize("mode", MODES)
def test_cells_without_velocity_point_nowhere(mode: str) -> None:
    settings = vl.VelocitySettings(mode=mode, min_shared_counts=5)
    still = np.arange(0, 200, 40)
    theirs, ours = both_ways(datasets.simulate(200, 80, seed=2), settings, still)
    assert_same(theirs, ours)
    for name in (Uns.VELOCITY_GRAPH, Uns.VELOCITY_GRAPH_NEG):
        assert ours.uns[name][still].nnz == 0
    missing = np.isnan(ours.obs[Obs.CONFIDENCE])
    assert list(np.flatnonzero(missing)) == list(still)


def test_few_genes_leave_no_more_rounding_than_in_scvelo() -> None:
    settings = vl.VelocitySettings(mode="deterministic", min_shared_counts=5)
    theirs, ours = both_ways(datasets.simulate(200, 14, seed=3), settings)
    assert ours.var[Var.VELOCITY_GENES].sum() < 15
    assert_same(theirs, ours)


@pytest.mark.parametrize("mode", MODES)
def test_more_cells_than_one_dense_search_takes(mode: str) -> None:
    """From 4,096 cells on, scanpy's search takes another way."""
    settings = vl.VelocitySettings(mode=mode, min_shared_counts=5, n_neighbors=10, n_jobs=2)
    theirs, ours = both_ways(datasets.simulate(4200, 30, seed=4), settings)
    assert_same(theirs, ours)


def test_approximate_neighbours_do_not_hold_the_cell_itself() -> None:
    """From 8,192 cells on, scanpy searches with pynndescent, which finds each cell first."""
    settings = vl.VelocitySettings(
        mode="deterministic", min_shared_counts=5, n_neighbors=10, n_jobs=2
    )
    cells = datasets.simulate(8200, 20, seed=7)
    ground = vl.prepare(cells, settings=settings)
    assert not ground.obsp[Obsp.DISTANCES].diagonal().any()
    assert_same(*both_ways(cells, settings))


def test_threads_do_not_change_the_result() -> None:
    cells = datasets.simulate(200, 40, seed=5)
    one, two = (
        vl.compute_velocity(cells, settings=vl.VelocitySettings(min_shared_counts=5, n_jobs=n))
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one.layers[Layers.MS], two.layers[Layers.MS])
    assert (one.uns[Uns.VELOCITY_GRAPH] != two.uns[Uns.VELOCITY_GRAPH]).nnz == 0
    np.testing.assert_array_equal(one.obs[Obs.CONFIDENCE], two.obs[Obs.CONFIDENCE])


@pytest.mark.parametrize("n_jobs", [-1, -1000, 1, 3])
def test_every_cell_is_visited_once(n_jobs: int) -> None:
    visits = np.zeros(50, dtype=int)

    def count(cells: NDArray[np.intp], out: NDArray[np.intp]) -> None:
        for cell in cells:
            out[cell] += 1

    _kernels.over_cells(count, np.random.default_rng(0).permutation(50), n_jobs, visits)
    assert (visits == 1).all()


def test_an_error_in_a_thread_is_raised() -> None:
    def fail(cells: NDArray[np.intp]) -> None:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        _kernels.over_cells(fail, np.arange(10), 2)


def test_sources_of_a_comparison_share_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(Neighbours):
        def __init__(self, ground: AnnData) -> None:
            made.append(ground.n_obs)
            super().__init__(ground)

    monkeypatch.setattr("splicedvae.velocity._compare.Neighbours", Counted)
    settings = vl.VelocitySettings(min_shared_counts=5)
    ground = vl.prepare(datasets.simulate(150, 40, seed=6), settings=settings)
    pair = (Layers.SPLICED, Layers.UNSPLICED)
    found = vl.compare_velocities(ground, {"a": pair, "b": pair}, settings)
    assert made == [150]
    alone = vl.compute_velocity(ground, settings=settings)
    for result in found.results.values():
        assert (result.uns[Uns.VELOCITY_GRAPH] != alone.uns[Uns.VELOCITY_GRAPH]).nnz == 0
