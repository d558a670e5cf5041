"""The simulation keeps its promises: exact kinetics, whole counts, a truth that fits them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse, stats
from scipy.integrate import solve_ivp

from splicedvae._core.errors import SplicedVAEError
from splicedvae._core.keys import Layers, Obs, Uns, Var, Varm
from splicedvae.datasets import Segment, simulate
from splicedvae.datasets._kinetics import advance
from splicedvae.datasets._lineage import TOPOLOGIES, lineage

NAMES = list(TOPOLOGIES)
TRUTH = [Layers.TRUE_SPLICED, Layers.TRUE_UNSPLICED, Layers.TRUE_VELOCITY, Layers.TRUE_RATIO]


def _simulation(adata: ad.AnnData) -> dict:
    return adata.uns[Uns.ROOT][Uns.SIMULATION]


@settings(max_examples=60, deadline=None)
@given(
    beta=st.floats(0.05, 20),
    ratio=st.one_of(st.just(1.0), st.floats(1 - 1e-6, 1 + 1e-6), st.floats(0.1, 10)),
    alpha=st.floats(0, 50),
    unspliced=st.floats(0, 50),
    spliced=st.floats(0, 50),
    time=st.floats(0, 5),
)
def test_closed_form_solves_the_equations(beta, ratio, alpha, unspliced, spliced, time):
    gamma = beta * ratio
    exact = advance(*map(np.asarray, (time, unspliced, spliced, alpha, beta, gamma)))

    def slope(_, state):
        return [alpha - beta * state[0], beta * state[0] - gamma * state[1]]

    numeric = solve_ivp(
        slope, (0, time), [unspliced, spliced], method="DOP853", rtol=1e-11, atol=1e-11
    ).y[:, -1]
    np.testing.assert_allclose(np.array(exact), numeric, rtol=1e-6, atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(gamma=st.floats(0.05, 20), time=st.floats(0, 10), power=st.integers(-15, -3))
def test_nearly_equal_rates_lose_no_digits(gamma, time, power):
    equal = advance(*map(np.asarray, (time, 3.0, 1.0, 2.0, gamma, gamma)))
    close = advance(*map(np.asarray, (time, 3.0, 1.0, 2.0, gamma * (1 + 10.0**power), gamma)))
    # The solution itself moves by no more than a few times the change of the rate.
    np.testing.assert_allclose(close, equal, rtol=20 * 10.0**power * (1 + gamma * time) + 1e-13)


@pytest.mark.parametrize("topology", NAMES)
def test_truth_follows_the_equations_from_root_to_fate(topology):
    """Integrate the stored rates numerically along every path and meet the stored truth."""
    adata = simulate(60, 12, topology=topology, n_batches=1, seed=3)
    rates, switches = adata.varm[Varm.RATES], adata.varm[Varm.SWITCHES]
    beta, gamma = adata.var[Var.BETA].to_numpy(), adata.var[Var.GAMMA].to_numpy()
    tree = lineage(topology)
    starts = dict(zip(tree.names, tree.starts, strict=True))
    parent = dict(
        zip(
            tree.names,
            (tree.segments[p].name if p >= 0 else None for p in tree.parents),
            strict=True,
        )
    )
    duration = dict(zip(tree.names, tree.durations, strict=True))

    def integrate(gene, state, before, segment, time):
        for first, last, rate in (
            (0.0, min(time, switches[segment].iloc[gene]), before),
            (min(time, switches[segment].iloc[gene]), time, rates[segment].iloc[gene]),
        ):
            if last > first:
                state = solve_ivp(
                    lambda _, y, a=rate: [
                        a - beta[gene] * y[0],
                        beta[gene] * y[0] - gamma[gene] * y[1],
                    ],
                    (first, last),
                    state,
                    method="DOP853",
                    rtol=1e-10,
                    atol=1e-10,
                ).y[:, -1]
        return state

    for gene in range(0, 12, 3):
        for cell in range(0, 60, 7):
            name = adata.obs[Obs.CLUSTERS].iloc[cell]
            path = [name]
            while parent[path[0]] is not None and path[0] != tree.names[0]:
                path.insert(0, parent[path[0]])
            if tree.cyclic:
                before = rates[tree.names[-1]].iloc[gene]
                state = [0.0, 0.0]
                # Many turns from nothing reach the orbit.
                for _ in range(20):
                    for segment in tree.names:
                        state = integrate(gene, state, before, segment, duration[segment])
                        before = rates[segment].iloc[gene]
            else:
                before = adata.var[Var.ALPHA_START].iloc[gene]
                state = [before / beta[gene], before / gamma[gene]]
            for segment in path[:-1]:
                state = integrate(gene, state, before, segment, duration[segment])
                before = rates[segment].iloc[gene]
            inside = adata.obs[Obs.TRUE_TIME].iloc[cell] - starts[name]
            u, s = integrate(gene, state, before, name, inside)
            got_u = adata.layers[Layers.TRUE_UNSPLICED][cell, gene]
            got_s = adata.layers[Layers.TRUE_SPLICED][cell, gene]
            np.testing.assert_allclose([got_u, got_s], [u, s], rtol=2e-6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    n_cells=st.integers(1, 60),
    n_genes=st.integers(1, 40),
    topology=st.sampled_from(NAMES),
    n_batches=st.integers(1, 3),
    depth=st.floats(1, 500),
    noise=st.sampled_from([0.0, 0.1, 1.0]),
    concentration=st.sampled_from([None, 0.5, 45.0]),
    seed=st.integers(0, 2**32),
)
def test_counts_are_whole_and_add_up(
    n_cells, n_genes, topology, n_batches, depth, noise, concentration, seed
):
    arguments = {
        "topology": topology,
        "n_batches": n_batches,
        "mean_depth": depth,
        "expression_noise": noise,
        "ratio_concentration": concentration,
        "seed": seed,
    }
    adata = simulate(n_cells, n_genes, **arguments)
    assert adata.shape == (n_cells, n_genes)
    spliced, unspliced = adata.layers[Layers.SPLICED], adata.layers[Layers.UNSPLICED]
    for matrix in (adata.X, spliced, unspliced):
        assert sparse.isspmatrix_csr(matrix)
        assert matrix.dtype == np.float32
        assert matrix.has_sorted_indices
        assert (matrix.data > 0).all()
        assert (matrix.data == np.rint(matrix.data)).all()
    assert (spliced + unspliced != adata.X).nnz == 0
    for layer in TRUTH:
        assert adata.layers[layer].dtype == np.float32
        assert np.isfinite(adata.layers[layer]).all()
    assert (Obs.BATCH in adata.obs) == (n_batches > 1)
    assert adata.var_names.is_unique
    assert adata.obs_names.is_unique
    assert np.allclose(sum(_simulation(adata)["program_shares"].values()), 1)

    again = simulate(n_cells, n_genes, truth=False, **arguments)
    assert (again.X != adata.X).nnz == 0
    assert (again.layers[Layers.SPLICED] != spliced).nnz == 0
    assert not set(TRUTH) & set(again.layers)


def test_another_seed_gives_other_counts():
    assert (simulate(50, 30, seed=1).X != simulate(50, 30, seed=2).X).nnz > 0


def test_block_size_does_not_matter(monkeypatch):
    whole = simulate(80, 25, seed=5)
    monkeypatch.setattr("splicedvae.datasets._counts._BLOCK", 75)
    parts = simulate(80, 25, seed=5)
    assert (whole.X != parts.X).nnz == 0
    assert (whole.layers[Layers.SPLICED] != parts.layers[Layers.SPLICED]).nnz == 0
    np.testing.assert_array_equal(
        whole.layers[Layers.TRUE_VELOCITY], parts.layers[Layers.TRUE_VELOCITY]
    )


@pytest.mark.parametrize("n_batches", [1, 3])
def test_true_layers_agree_with_each_other(n_batches):
    adata = simulate(200, 50, n_batches=n_batches, seed=2)
    u = adata.layers[Layers.TRUE_UNSPLICED].astype(float)
    s = adata.layers[Layers.TRUE_SPLICED].astype(float)
    var = adata.var
    factor = _simulation(adata)["batch_unspliced_capture"]
    batch = adata.obs[Obs.BATCH].cat.codes.to_numpy() if n_batches > 1 else np.zeros(200, int)
    captured = var[Var.UNSPLICED_CAPTURE].to_numpy() * factor[batch][:, None] * u
    np.testing.assert_allclose(adata.layers[Layers.TRUE_RATIO], s / (s + captured), rtol=1e-5)
    into, out = var[Var.BETA].to_numpy() * u, var[Var.GAMMA].to_numpy() * s
    error = np.abs(adata.layers[Layers.TRUE_VELOCITY] - (into - out))
    # Near the steady state the velocity is a small difference of the two flows.
    assert (error <= 1e-6 * (into + out)).all()


def test_counts_have_the_mean_and_the_ratio_of_the_truth():
    """Summed over many cells, counts lie where the truth puts them, gene by gene."""
    adata = simulate(4000, 40, mean_depth=400, seed=7)
    s = adata.layers[Layers.TRUE_SPLICED].astype(float)
    ratio = adata.layers[Layers.TRUE_RATIO].astype(float)
    expected = adata.obs[Obs.TRUE_CAPTURE].to_numpy()[:, None] * s / ratio
    total = adata.X.toarray()
    spread = np.sqrt((expected + 0.5 * expected**2).sum(axis=0))
    assert (np.abs(total.sum(axis=0) - expected.sum(axis=0)) < 5 * spread).all()
    assert abs(total.sum(axis=1).mean() / 400 - 1) < 0.05
    spliced = adata.layers[Layers.SPLICED].toarray()
    off = spliced.sum(axis=0) - (total * ratio).sum(axis=0)
    concentration = _simulation(adata)["ratio_concentration"]
    variance = total * ratio * (1 - ratio) * (1 + (np.maximum(total, 1) - 1) / (1 + concentration))
    z = off / np.sqrt(variance.sum(axis=0))
    assert np.abs(z).max() < 5
    assert 0.5 < z.std() < 1.6


def test_binomial_without_a_concentration():
    """With None the variance of the spliced count is the binomial's; with 1 it is far more."""
    statistic = {}
    for concentration in (None, 1.0):
        adata = simulate(1500, 30, mean_depth=900, ratio_concentration=concentration, seed=1)
        n = adata.X.toarray()
        p = adata.layers[Layers.TRUE_RATIO].astype(float)
        k = (n >= 5) & (p > 0.1) & (p < 0.9)
        residual = adata.layers[Layers.SPLICED].toarray() - n * p
        statistic[concentration] = (residual[k] ** 2 / (n * p * (1 - p))[k]).mean()
    assert 0.93 < statistic[None] < 1.07
    assert statistic[1.0] > 3


def test_counts_look_like_a_droplet_experiment():
    adata = simulate(1500, 2000, seed=4, truth=False)
    total = adata.X
    depth = np.asarray(total.sum(axis=1)).ravel()
    assert 1000 < np.median(depth) < 5000
    assert 0.5 < 1 - total.nnz / np.prod(total.shape) < 0.8
    unspliced = adata.layers[Layers.UNSPLICED]
    assert 0.15 < unspliced.sum() / total.sum() < 0.35
    share = np.asarray(unspliced.sum(axis=0)).ravel() / np.asarray(total.sum(axis=0)).ravel()
    low, middle, high = np.quantile(share, [0.05, 0.5, 0.95])
    assert low < 0.06
    assert 0.15 < middle < 0.4
    assert high > 0.6


def test_batches_differ_in_capture_only():
    adata = simulate(3000, 60, n_batches=3, batch_sd=0.5, seed=3)
    depth = np.asarray(adata.X.sum(axis=1)).ravel()
    molecules = adata.layers[Layers.TRUE_SPLICED].sum(axis=1)
    batch = adata.obs[Obs.BATCH]
    assert stats.kruskal(*(depth[batch == b] for b in batch.cat.categories)).pvalue < 1e-10
    assert stats.kruskal(*(molecules[batch == b] for b in batch.cat.categories)).pvalue > 1e-3
    alone = simulate(3000, 60, n_batches=1, batch_sd=0.5, seed=3)
    assert Obs.BATCH not in alone.obs


@pytest.mark.parametrize("topology", NAMES)
def test_clusters_follow_the_lineage(topology):
    adata = simulate(400, 60, topology=topology, seed=1)
    tree = lineage(topology)
    clusters = adata.obs[Obs.CLUSTERS]
    assert clusters.cat.categories.tolist() == tree.names
    assert set(clusters) == set(tree.names)
    time = adata.obs[Obs.TRUE_TIME]
    pairs = _simulation(adata)["transitions"]
    assert len(pairs) == len(tree.names) - (0 if tree.cyclic else 1)
    for before, after in pairs:
        if not (tree.cyclic and after == tree.names[0]):
            assert time[clusters == before].max() <= time[clusters == after].min()
    assert set(adata.obs[Obs.BRANCH]) == set(tree.branches)


def test_programs_do_what_they_are_called():
    adata = simulate(10, 600, topology="bifurcation", seed=0)
    rates = adata.varm[Varm.RATES]
    program = adata.var[Var.PROGRAM]
    assert (rates[program == "housekeeping"].nunique(axis=1) == 1).all()
    assert (
        rates[program == "induction"]["Fate A"] == adata.var[Var.ALPHA][program == "induction"]
    ).all()
    repressed = rates[program == "repression"]
    assert (repressed["Fate A"] < adata.var[Var.ALPHA][program == "repression"]).all()
    transient = rates[program == "transient"]
    assert (transient["Fate A"] < transient[["Progenitor", "Intermediate"]].max(axis=1)).all()
    branch = rates[program == "branch"]
    assert (branch["Fate A"] != branch["Fate B"]).all()
    assert (branch["Progenitor"] == branch["Intermediate"]).all()
    counted = program.value_counts(normalize=True)
    for name, share in _simulation(adata)["program_shares"].items():
        assert abs(counted[name] - share) < 0.01


def test_shares_that_a_topology_cannot_have_go_elsewhere():
    linear = simulate(5, 200, topology="linear")
    assert "branch" not in set(linear.var[Var.PROGRAM])
    cycle = simulate(5, 200, topology="cycle")
    assert set(cycle.var[Var.PROGRAM]) == {"housekeeping", "cyclic"}
    only = simulate(5, 50, program_shares={"induction": 2.0})
    assert set(only.var[Var.PROGRAM]) == {"induction"}
    constant = simulate(5, 50, program_shares={"housekeeping": 1.0})
    assert np.abs(constant.layers[Layers.TRUE_VELOCITY]).max() < 1e-3


def test_ratio_can_be_predicted_from_totals():
    """Neighbours by total counts have like ratios, so cell state carries the ratio."""
    import scanpy as sc
    from sklearn.neighbors import NearestNeighbors

    adata = simulate(800, 200, seed=6)
    dynamic = (adata.var[Var.PROGRAM] != "housekeeping").to_numpy()
    ratio = adata.layers[Layers.TRUE_RATIO][:, dynamic].astype(float)
    log_odds = np.log(ratio / (1 - ratio))
    assert np.median(log_odds.std(axis=0)) > 0.3
    totals = ad.AnnData(adata.X.copy())
    sc.pp.normalize_total(totals)
    sc.pp.log1p(totals)
    sc.pp.pca(totals, n_comps=15)
    near = NearestNeighbors(n_neighbors=15).fit(totals.obsm["X_pca"])
    neighbours = near.kneighbors(return_distance=False)
    around = ratio[neighbours].mean(axis=1)
    correlation = [np.corrcoef(ratio[:, g], around[:, g])[0, 1] for g in range(ratio.shape[1])]
    assert np.median(correlation) > 0.7


@pytest.mark.filterwarnings("ignore")
def test_scvelo_points_along_the_true_velocity(monkeypatch):
    import scanpy as sc
    import scvelo as scv

    adata = simulate(800, 150, topology="linear", seed=0)
    monkeypatch.setattr(scv.settings, "verbosity", 0)
    scv.pp.filter_genes(adata, min_shared_counts=20)
    scv.pp.normalize_per_cell(adata)
    sc.pp.log1p(adata)
    sc.pp.pca(adata, n_comps=15)
    sc.pp.neighbors(adata, n_neighbors=30)
    scv.pp.moments(adata, n_pcs=None, n_neighbors=None)
    scv.tl.velocity(adata, mode="deterministic")
    genes = (adata.var["velocity_genes"] & (adata.var[Var.PROGRAM] != "housekeeping")).to_numpy()
    got = adata.layers[Layers.VELOCITY][:, genes]
    true = adata.layers[Layers.TRUE_VELOCITY][:, genes]
    norms = np.linalg.norm(got, axis=1) * np.linalg.norm(true, axis=1)
    assert ((got * true).sum(axis=1) / norms).mean() > 0.25


@pytest.mark.parametrize(
    "arguments", [{}, {"n_batches": 2, "topology": "cycle"}, {"topology": [Segment("Alone")]}]
)
def test_file_holds_everything(tmp_path, arguments):
    adata = simulate(40, 20, **arguments)
    adata.write_h5ad(tmp_path / "simulated.h5ad")
    back = ad.read_h5ad(tmp_path / "simulated.h5ad")
    assert (back.X != adata.X).nnz == 0
    for layer in TRUTH:
        np.testing.assert_array_equal(back.layers[layer], adata.layers[layer])
    assert back.obs.equals(adata.obs)
    pairs = [list(map(str, pair)) for pair in _simulation(back)["transitions"]]
    assert pairs == _simulation(adata)["transitions"]
    assert _simulation(back)["seed"] == 0
    assert _simulation(back)["mean_depth"] == _simulation(adata)["mean_depth"]
    assert back.varm[Varm.RATES].equals(adata.varm[Varm.RATES])


def test_own_topology_in_any_order():
    adata = simulate(
        100,
        20,
        topology=[Segment("Late", "Early", 1.0, 1.0), Segment("Early", None, 1.0, 0.0)],
    )
    assert set(adata.obs[Obs.CLUSTERS]) == {"Late"}
    assert adata.obs[Obs.CLUSTERS].cat.categories.tolist() == ["Early", "Late"]
    assert _simulation(adata)["transitions"] == [["Early", "Late"]]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"topology": "star"}, "star"),
        ({"topology": []}, "no segments"),
        ({"topology": [Segment("A"), Segment("B")]}, "one root"),
        ({"topology": [Segment("A"), Segment("A", "A")]}, "name of its own"),
        ({"topology": [Segment("A"), Segment("B", "C")]}, "'C'"),
        ({"topology": [Segment("A"), Segment("B", "C"), Segment("C", "B")]}, "cannot be reached"),
        ({"topology": [Segment("A", "B"), Segment("B", "A"), Segment("C", "A")]}, "loop"),
        ({"topology": [Segment("A", "B"), Segment("B", "B")]}, "loop"),
        ({"topology": [Segment("A", None, 0.0)]}, "duration"),
        ({"topology": [Segment("A", None, 1.0, -1.0)]}, "weight"),
        ({"topology": [Segment("A", None, 1.0, 0.0)]}, "weight 0"),
        ({"n_cells": 0}, "n_cells"),
        ({"n_genes": 2.5}, "n_genes"),
        ({"n_cells": float("nan")}, "n_cells"),
        ({"mean_depth": -1.0}, "mean_depth"),
        ({"capture_efficiency": 2.0}, "capture_efficiency"),
        ({"gamma_sd": 50.0}, "gamma_sd"),
        ({"fold_change": 0.5}, "fold_change"),
        ({"ratio_concentration": 0.0}, "ratio_concentration"),
        ({"seed": -1}, "seed"),
        ({"program_shares": {"dancing": 1.0}}, "dancing"),
        ({"program_shares": {"induction": -1.0}}, "not negative"),
        ({"program_shares": {"branch": 1.0}, "topology": "linear"}, "topology"),
    ],
)
def test_wrong_arguments_are_told_in_a_sentence(arguments, word):
    with pytest.raises(SplicedVAEError, match=word) as caught:
        simulate(**{"n_cells": 10, "n_genes": 10, **arguments})
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
