"""Cells of another kind: found by their totals, and brought back to what is known of the genes."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix

from splicedvae import datasets
from splicedvae._errors import DataError
from splicedvae.evaluation import ratio_metrics
from splicedvae.model._model import NOVEL


def totals_only(adata: AnnData) -> AnnData:
    return AnnData(adata.X.copy(), obs=adata.obs[[]].copy(), var=adata.var[[]].copy())


@pytest.fixture(scope="module")
def strange(simulated) -> AnnData:
    """Another tissue: genes of the same names with expression and programs of their own."""
    other = datasets.simulate(200, 80, mean_depth=400, seed=11)
    return other[:, simulated[0].var_names].copy()


def test_held_out_cells_and_any_cluster_of_them_are_no_news(trained, simulated):
    test = simulated[1]
    assert trained.get_novelty(totals_only(test)) < 0.1
    for name in test.obs["clusters"].unique():
        part = test[test.obs["clusters"] == name].copy()
        assert trained.get_novelty(totals_only(part)) < 0.15


def test_cells_of_another_kind_are(trained, strange):
    assert trained.get_novelty(totals_only(strange)) > NOVEL


def test_a_missing_gene_is_no_news(trained, simulated):
    fewer = totals_only(simulated[1])[:, 5:].copy()
    with pytest.warns(UserWarning, match="missing ones were taken as zero"):
        assert trained.get_novelty(fewer) < 0.2


def test_after_the_shift_each_gene_has_its_mean_of_training(trained, strange):
    query = totals_only(strange)
    shift = trained.adapt_intercepts(query)
    ratio = trained.get_counted_splicing_ratio(query, intercept_shift=shift)
    totals = csr_matrix(strange.X)
    logits = csr_matrix(
        (totals.data * np.log(ratio.data / (1 - ratio.data)), ratio.indices, ratio.indptr),
        shape=ratio.shape,
    )
    molecules = np.asarray(totals.sum(axis=0)).ravel()
    mean = np.asarray(logits.sum(axis=0)).ravel() / np.maximum(molecules, 1)
    expected = trained.module.ratio_head.log_odds.numpy()
    np.testing.assert_allclose(mean[molecules > 0], expected[molecules > 0], atol=2e-3)


def test_the_shift_reaches_every_way_to_ask(trained, strange):
    query = totals_only(strange)
    shift = trained.adapt_intercepts(query)
    frame = trained.get_splicing_ratio(query, intercept_shift=shift)
    plain = trained.get_splicing_ratio(query)
    moved = np.log(frame / (1 - frame)) - np.log(plain / (1 - plain))
    np.testing.assert_allclose(moved, np.tile(shift, (len(frame), 1)), atol=2e-3)
    at = trained.get_counted_splicing_ratio(query, intercept_shift=shift)
    np.testing.assert_allclose(at.data, frame.to_numpy()[at.nonzero()], rtol=1e-4)
    interval = trained.get_splicing_ratio(query, n_samples=40, intercept_shift=shift)
    inside = (interval.lower <= frame) & (frame <= interval.upper)
    assert inside.to_numpy().mean() > 0.9
    drawn = next(iter(trained.sample_splicing_ratio(query, 1, intercept_shift=shift)))
    bare = next(iter(trained.sample_splicing_ratio(query, 1)))
    np.testing.assert_allclose(
        np.log(drawn.data / (1 - drawn.data)) - np.log(bare.data / (1 - bare.data)),
        shift.to_numpy()[drawn.indices],
        atol=2e-3,
    )


def test_the_shift_bounds_what_strange_cells_can_lose(trained, simulated):
    """Kinetics are drawn anew for each tissue, so that the shift helps here and costs there."""
    train = simulated[0]
    s, u = (np.asarray(train.layers[name].sum(axis=0)).ravel() for name in ("spliced", "unspliced"))
    mean = (s + 1) / (s + u + 2)
    plain, shifted = [], []
    for seed in range(11, 16):
        other = datasets.simulate(150, 80, mean_depth=400, seed=seed)[:, train.var_names].copy()
        query = totals_only(other)
        shift = trained.adapt_intercepts(query)
        skill = (
            ratio_metrics(
                csr_matrix(other.layers["spliced"]),
                csr_matrix(other.layers["unspliced"]),
                {
                    "plain": trained.get_splicing_ratio(query).to_numpy(),
                    "shifted": trained.get_splicing_ratio(query, intercept_shift=shift).to_numpy(),
                },
                gene_mean=mean,
            )
            .query("metric == 'skill'")
            .set_index("predictor")["value"]
        )
        plain.append(skill["plain"])
        shifted.append(skill["shifted"])
    assert min(shifted) > min(plain)
    assert min(shifted) > -0.02


def test_reconstruction_tells_of_strange_cells_and_can_be_told(trained, simulated, strange):
    with pytest.warns(UserWarning, match=r"of another kind .* should not be trusted"):
        found = trained.reconstruct(totals_only(strange))
    account = found.uns["splicedvae"]["predicted"]
    assert "brought back" in account["intercepts"]
    plain = trained.reconstruct(totals_only(strange), adapt=False)
    assert plain.uns["splicedvae"]["predicted"]["intercepts"] == ""
    assert not np.allclose(plain.layers["spliced"].data, found.layers["spliced"].data)
    usual = trained.reconstruct(totals_only(simulated[1]))
    assert usual.uns["splicedvae"]["predicted"]["intercepts"] == ""
    asked = trained.reconstruct(totals_only(simulated[1]), adapt=True)
    assert asked.uns["splicedvae"]["predicted"]["intercepts"].startswith("Each gene's mean")


def test_cells_without_counts_are_refused(trained, simulated):
    empty = totals_only(simulated[1])
    empty.X = csr_matrix(empty.X) * -1
    with pytest.raises(DataError, match="negative"):
        trained.get_novelty(empty)
