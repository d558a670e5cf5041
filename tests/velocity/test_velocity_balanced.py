"""The balanced model: what a constant ratio gives is nothing, what kinetics give is kept."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from splicedvae import velocity as vl
from splicedvae._core.counts import normalise
from splicedvae.evaluation import cell_cosines
from splicedvae.velocity._balanced import MAX_ROUNDS, balanced_sizes, fit_balanced

BALANCED = vl.VelocitySettings(
    mode="balanced", n_top_genes=None, min_shared_counts=5, n_pcs=10, n_neighbors=15
)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n_cells=st.integers(3, 30), n_genes=st.integers(2, 12))
def test_one_ratio_per_gene_gives_no_velocity_whatever_the_composition(seed, n_cells, n_genes):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 3, (n_cells, 1))
    total = rng.poisson(depth * rng.gamma(0.5, 6, (n_cells, n_genes))).astype(float)
    ratio = rng.uniform(0.02, 0.98, n_genes)
    spliced, unspliced = sparse.csr_matrix(total * ratio), sparse.csr_matrix(total * (1 - ratio))
    sizes = balanced_sizes(spliced, unspliced, total.sum(axis=1))
    np.testing.assert_allclose(sizes[0], total.sum(axis=1))
    np.testing.assert_allclose(sizes[1], total.sum(axis=1))
    moments = AnnData(np.zeros(total.shape))
    moments.layers["Ms"] = normalise(spliced, sizes[0]).toarray()
    moments.layers["Mu"] = normalise(unspliced, sizes[1]).toarray()
    fit_balanced(moments)
    scale = max(float(total.max()), 1.0)
    assert np.abs(moments.layers["velocity"]).max() < 1e-5 * scale
    counted = total.sum(axis=0) > 0
    np.testing.assert_allclose(
        moments.var["velocity_gamma"][counted], ((1 - ratio) / ratio)[counted], rtol=1e-5
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_factor_of_a_whole_layer_in_a_cell_is_taken_out(seed):
    rng = np.random.default_rng(seed)
    spliced = rng.poisson(3.0, (20, 8)).astype(float) + 0.5
    unspliced = rng.poisson(1.0, (20, 8)).astype(float) + 0.5
    factor = rng.uniform(0.3, 3, (20, 1))
    ones = np.ones(20)
    scaled = sparse.csr_matrix(unspliced * factor)
    plain = balanced_sizes(
        sparse.csr_matrix(spliced), sparse.csr_matrix(unspliced), ones, rounds=MAX_ROUNDS
    )
    sizes = balanced_sizes(sparse.csr_matrix(spliced), scaled, ones, rounds=MAX_ROUNDS)

    def residuals(u, by):
        """Deviation of each gene's unspliced share in a cell from its mean, as sizes leave it."""
        share = np.log(u / by[1][:, None]) - np.log(spliced / by[0][:, None])
        return share - share.mean(axis=0)

    # Weights of genes change with the factor, the shares that are left hardly do.
    first, second = residuals(unspliced, plain), residuals(unspliced * factor, sizes)
    assert np.abs(first - second).std() < 0.25 * first.std()


def test_cells_without_a_layer_have_size_zero_in_it():
    spliced = sparse.csr_matrix([[3.0, 1.0], [0.0, 0.0], [2.0, 2.0]])
    unspliced = sparse.csr_matrix([[1.0, 1.0], [0.0, 2.0], [0.0, 0.0]])
    first, second = balanced_sizes(spliced, unspliced, np.array([6.0, 2.0, 4.0]))
    assert first[1] == 0
    assert second[2] == 0
    assert (first[[0, 2]] > 0).all()
    assert (second[[0, 1]] > 0).all()


def test_kinetics_are_kept(cells: AnnData, time_agreement) -> None:
    result = vl.compute_velocity(cells, settings=BALANCED)
    assert time_agreement(cells, result) > 0.6
    account = vl.VelocityAccount.from_adata(result)
    assert account.mode_used == account.mode_requested == "balanced"
    assert account.n_velocity_genes > 20
    velocity = result.layers["velocity"]
    np.testing.assert_allclose(velocity.mean(axis=0), 0, atol=1e-4 * np.abs(velocity).max())


def test_counts_drawn_with_one_ratio_per_gene_agree_with_nothing(make_cells) -> None:
    """scVelo's models draw a common field of such counts, by composition and by noise."""
    agreement = {}
    for mode in ("balanced", "deterministic"):
        found = []
        for seed in range(4):
            cells = make_cells(n_cells=200, n_genes=60, seed=seed, depth=1.0)
            rng = np.random.default_rng(seed)
            total = cells.X.toarray().astype(int)
            ratio = cells.layers["spliced"].sum(0).A1 / cells.X.sum(0).A1
            drawn = rng.binomial(total, ratio)
            cells.layers["s"] = sparse.csr_matrix(drawn.astype(np.float32))
            cells.layers["u"] = sparse.csr_matrix((total - drawn).astype(np.float32))
            chosen = vl.VelocitySettings(
                mode=mode, n_top_genes=None, min_shared_counts=5, n_pcs=10, n_neighbors=15
            )
            ground = vl.prepare(cells, settings=chosen)
            first = vl.compute_velocity(ground, settings=chosen)
            second = vl.compute_velocity(
                ground, spliced_layer="s", unspliced_layer="u", settings=chosen
            )
            found.append(
                np.nanmean(cell_cosines(second.layers["velocity"], first.layers["velocity"]))
            )
        agreement[mode] = float(np.mean(found))
    assert abs(agreement["balanced"]) < 0.1
    assert agreement["deterministic"] > 0.2
