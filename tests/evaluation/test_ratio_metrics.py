"""Metrics against a truth that is known, and ceilings against what the truth really reaches."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.stats import pearsonr

from splicedvae._core.errors import DataError
from splicedvae.evaluation import (
    GeneMean,
    NearestNeighbours,
    ceiling_from_halves,
    cell_metrics,
    gene_metrics,
    ratio_density,
    ratio_metrics,
    select_genes,
    shuffle_within_genes,
    split_cells,
    thin_counts,
)


@pytest.fixture(scope="module")
def counts():
    """Cells of four states; each gene's ratio differs between states."""
    rng = np.random.default_rng(0)
    n_cells, n_genes, n_states = 600, 150, 4
    state = rng.integers(0, n_states, n_cells)
    gene = rng.normal(1.0, 1.0, n_genes)
    truth = 1 / (1 + np.exp(-(gene + rng.normal(0, 0.8, (n_states, n_genes)))))[state]
    depth = rng.lognormal(0, 1, n_genes) * 1.5
    n = rng.poisson(depth, (n_cells, n_genes))
    s = rng.binomial(n, truth)
    return csr_matrix(s.astype(float)), csr_matrix((n - s).astype(float)), truth, state


def value(table: pd.DataFrame, predictor: str, metric: str, coverage: int = 1, column="value"):
    row = table.query("predictor == @predictor and metric == @metric and coverage == @coverage")
    assert len(row) == 1
    return float(row[column].iloc[0])


@pytest.fixture(scope="module")
def table(counts):
    s, u, truth, state = counts
    mean = np.asarray(s.sum(0)).ravel() / np.maximum(np.asarray((s + u).sum(0)).ravel(), 1)
    rng = np.random.default_rng(1)
    return ratio_metrics(
        s,
        u,
        {
            "truth": truth,
            "gene_mean": np.broadcast_to(mean, s.shape),
            "shuffled": truth[rng.permutation(len(truth))],
        },
        gene_mean=mean,
        clusters=state,
    )


@pytest.mark.parametrize("coverage", [1, 2, 5])
@pytest.mark.parametrize("metric", ["rmse", "pearson"])
def test_the_truth_reaches_its_ceiling(table, metric, coverage):
    reached = value(table, "truth", metric, coverage)
    ceiling = value(table, "truth", metric, coverage, "ceiling")
    assert reached == pytest.approx(ceiling, abs=0.01)


@pytest.mark.parametrize("metric", ["within_gene_r", "within_gene_r_by_cluster"])
def test_the_truth_reaches_the_ceiling_within_genes(table, metric):
    assert value(table, "truth", metric) == pytest.approx(
        value(table, "truth", metric, column="ceiling"), abs=0.03
    )
    assert value(table, "truth", metric) > 0.3


def test_a_constant_per_gene_has_much_pearson_and_no_variation(table):
    assert value(table, "gene_mean", "pearson", 5) > 0.6
    assert value(table, "gene_mean", "within_gene_r") == 0
    assert value(table, "gene_mean", "within_gene_r_by_cluster") == 0
    assert value(table, "gene_mean", "skill") == pytest.approx(0, abs=1e-9)
    notes = table.query("predictor == 'gene_mean' and metric == 'within_gene_r'")["note"]
    assert "no velocity" in notes.iloc[0]


def test_shuffled_cells_have_no_skill(table):
    assert value(table, "shuffled", "skill") < 0 < value(table, "truth", "skill")
    assert abs(value(table, "shuffled", "within_gene_r")) < 0.05


def test_rmse_and_pearson_are_the_textbook_ones(counts, table):
    s, u, truth, _ = counts
    n = (s + u).toarray()
    at = n >= 5
    measured = s.toarray()[at] / n[at]
    assert value(table, "truth", "pearson", 5) == pytest.approx(
        pearsonr(truth[at], measured).statistic
    )
    assert value(table, "truth", "rmse", 5) == pytest.approx(
        np.sqrt(np.mean((truth[at] - measured) ** 2))
    )


def test_per_gene_table_agrees_with_a_loop(counts):
    s, u, truth, _ = counts
    mean = np.asarray(s.sum(0)).ravel() / np.maximum(np.asarray((s + u).sum(0)).ravel(), 1)
    names = [f"g{i}" for i in range(s.shape[1])]
    frame = gene_metrics(s, u, {"truth": truth}, genes=names, gene_mean=mean).set_index("gene")
    g = int(np.argmax(np.asarray((s + u).sum(0)).ravel()))
    n = (s + u).toarray()[:, g]
    at = n > 0
    measured = s.toarray()[at, g] / n[at]
    cov = np.cov(np.stack([truth[at, g], measured]), aweights=n[at])
    expected = cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1])
    assert frame.loc[f"g{g}", "within_gene_r_truth"] == pytest.approx(expected)
    assert frame["spliced"].sum() == s.sum()


def test_per_cell_table_agrees_with_a_loop(counts):
    s, u, truth, _ = counts
    mean = np.asarray(s.sum(0)).ravel() / np.maximum(np.asarray((s + u).sum(0)).ravel(), 1)
    n = (s + u).toarray()
    measured = s.toarray() / np.maximum(n, 1)
    frame = cell_metrics(s, u, {"truth": truth}, gene_mean=mean)
    assert frame["molecules"].sum() == n.sum()
    assert frame["genes"].sum() == (n > 0).sum()
    weighted = (n * truth).sum(axis=0) / n.sum(axis=0)
    for cell in (0, 17):
        at = n[cell] > 0
        x, y = (truth - weighted)[cell, at], (measured - mean)[cell, at]
        cov = np.cov(np.stack([x, y]), aweights=n[cell, at])
        expected = cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1])
        assert frame.loc[cell, "within_gene_r_truth"] == pytest.approx(expected)
        error = np.sqrt(np.mean((truth - measured)[cell, at] ** 2))
        assert frame.loc[cell, "rmse_truth"] == pytest.approx(error)
    assert frame["skill_truth"].mean() > 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), depth=st.sampled_from([0.02, 0.5, 5.0]))
def test_the_cells_add_up_to_the_whole(seed, depth):
    rng = np.random.default_rng(seed)
    s, u = (csr_matrix(rng.poisson(depth, (8, 30)).astype(float)) for _ in range(2))
    s[0, 0] = 1
    ratio, mean = rng.uniform(0.05, 0.95, (8, 30)), rng.uniform(0.05, 0.95, 30)
    flat = np.broadcast_to(mean, ratio.shape)
    frame = cell_metrics(s, u, {"x": ratio, "flat": flat}, gene_mean=mean)
    whole = ratio_metrics(s, u, {"x": ratio}, gene_mean=mean, coverages=(1,))
    squares = np.nansum(frame["rmse_x"] ** 2 * frame["genes"])
    assert np.sqrt(squares / frame["genes"].sum()) == pytest.approx(value(whole, "x", "rmse"))
    np.testing.assert_allclose(frame["skill_flat"].dropna(), 0, atol=1e-12)
    assert frame["within_gene_r_flat"].isna().all()
    assert frame["skill_x"].isna().eq(frame["molecules"] == 0).all()
    assert frame.loc[frame["genes"] < 20, "within_gene_r_x"].isna().all()


def test_density_counts_every_covered_entry(counts):
    s, u, truth, _ = counts
    density = ratio_density(s, u, truth, coverage=3, n_bins=20)
    assert density.counts.sum() == ((s + u).toarray() >= 3).sum()
    assert density.counts.shape == (20, 20)


def test_wrong_shapes_empty_counts_and_missing_numbers_are_refused(counts):
    s, u, truth, _ = counts
    mean = np.full(s.shape[1], 0.5)
    with pytest.raises(DataError, match="same cells and genes"):
        ratio_metrics(s, u, {"x": truth[:, :-1]}, gene_mean=mean)
    with pytest.raises(DataError, match="not numbers"):
        ratio_metrics(s, u, {"x": np.full(s.shape, np.nan)}, gene_mean=mean)
    with pytest.raises(DataError, match="no spliced or unspliced counts"):
        ratio_metrics(s * 0, u * 0, {"x": truth}, gene_mean=mean)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(10, 300),
    share=st.floats(0.1, 0.9),
    labels=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_split_gives_each_label_its_share(n, share, labels, seed):
    names = np.random.default_rng(seed).integers(0, labels, n)
    try:
        split = split_cells(n, held_out=share, stratify=names, seed=seed)
    except DataError:
        assert round(n * share) in (0, n)
        return
    held = split == "held-out"
    assert held.sum() == round(n * share)
    for label in np.unique(names):
        assert abs(held[names == label].sum() - share * (names == label).sum()) <= 1
    np.testing.assert_array_equal(split, split_cells(n, held_out=share, stratify=names, seed=seed))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), depth=st.floats(0.1, 20))
def test_thinned_halves_add_up(seed, depth):
    x = csr_matrix(np.random.default_rng(seed).poisson(depth, (9, 7)).astype(np.float32))
    first, second = thin_counts(x, seed=seed)
    assert (csr_matrix(first + second) != x).nnz == 0
    assert min(first.data.min(initial=0), second.data.min(initial=0)) >= 0


def test_thinning_fractions_is_refused():
    with pytest.raises(DataError, match="whole numbers"):
        thin_counts(csr_matrix(np.array([[0.5]])))


def test_genes_are_chosen_on_shared_counts_and_variation():
    rng = np.random.default_rng(0)
    s = rng.poisson(np.r_[np.full(10, 4.0), np.full(10, 4.0), np.full(10, 0.01)], (200, 30))
    u = rng.poisson(np.r_[np.full(10, 1.0), np.full(10, 0.0), np.full(10, 0.01)], (200, 30))
    adata = AnnData(
        csr_matrix((s + u).astype(np.float32)),
        layers={
            "spliced": csr_matrix(s.astype(np.float32)),
            "unspliced": csr_matrix(u.astype(np.float32)),
        },
    )
    np.testing.assert_array_equal(np.flatnonzero(select_genes(adata)), np.arange(10))
    few = select_genes(adata, n_top_genes=4)
    assert few.sum() == 4
    assert few[10:].sum() == 0
    with pytest.raises(DataError, match="No gene has"):
        select_genes(adata, min_shared_counts=10**6)


def test_baselines_see_totals_only_and_the_neighbours_beat_the_mean(counts):
    s, u, _, state = counts
    rng = np.random.default_rng(3)
    # Expression that tells the state, so that neighbours mean something.
    marker = rng.poisson(np.eye(4)[state] @ rng.gamma(1, 4, (4, s.shape[1])))
    totals = csr_matrix((s + u) + marker, dtype=np.float32)
    adata = AnnData(totals, layers={"spliced": s, "unspliced": u})
    train, test = adata[:450].copy(), adata[450:].copy()
    bare = AnnData(test.X.copy())
    mean = GeneMean().fit(train)
    near = NearestNeighbours(n_neighbors=40).fit(train)
    table = ratio_metrics(
        test.layers["spliced"],
        test.layers["unspliced"],
        {"mean": mean.predict(bare), "near": near.predict(bare)},
        gene_mean=mean.ratio,
    )
    assert value(table, "near", "skill") > 0.02
    assert value(table, "near", "within_gene_r") > 0.2
    np.testing.assert_array_equal(near.predict(bare), near.predict(test))


def test_an_unfitted_baseline_says_so():
    with pytest.raises(DataError, match="call `fit` first"):
        GeneMean().predict(AnnData(np.ones((2, 2))))


@settings(max_examples=30, deadline=None)
@given(signal=st.floats(0.8, 3.0), seed=st.integers(0, 20))
def test_the_ceiling_from_halves_is_what_the_truth_reaches(signal, seed):
    rng = np.random.default_rng(seed)
    truth = signal * rng.normal(size=20_000)
    noise = np.sqrt(2) * rng.normal(size=(2, 20_000))
    halves = truth + noise
    reached = np.corrcoef(truth, halves.mean(axis=0))[0, 1]
    assert ceiling_from_halves(np.corrcoef(halves)[0, 1]) == pytest.approx(reached, abs=0.05)


def test_the_ceiling_of_halves_that_disagree_is_zero_and_of_none_unknown():
    assert ceiling_from_halves(-0.2) == 0
    assert ceiling_from_halves(1.0) == 1
    assert np.isnan(ceiling_from_halves(float("nan")))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000))
def test_shuffled_ratios_keep_totals_and_each_genes_ratios(seed):
    rng = np.random.default_rng(seed)
    s, u = (csr_matrix(rng.poisson(1.0, (15, 6)).astype(float)) for _ in range(2))
    first, second = shuffle_within_genes(s, u, seed=seed)
    np.testing.assert_allclose((first + second).toarray(), (s + u).toarray())
    total = (s + u).toarray()
    for gene in range(6):
        at = total[:, gene] > 0
        before = s.toarray()[at, gene] / total[at, gene]
        after = first.toarray()[at, gene] / total[at, gene]
        np.testing.assert_allclose(np.sort(after), np.sort(before), atol=1e-12)
