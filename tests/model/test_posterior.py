"""What a trained model says beyond its best guess: draws of the ratio, scatter of the counts."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix
from scipy.special import logit

from splicedvae.evaluation import predictive_coverage


def totals_only(adata: AnnData) -> AnnData:
    return AnnData(adata.X.copy(), obs=adata.obs[[]].copy(), var=adata.var[[]].copy())


@pytest.fixture(scope="module")
def draws(trained, simulated):
    return list(trained.sample_splicing_ratio(totals_only(simulated[1]), 40, seed=1))


def test_draws_stand_where_something_was_counted(draws, simulated):
    totals = csr_matrix(simulated[1].X)
    for draw in draws[:3]:
        np.testing.assert_array_equal(draw.indices, totals.indices)
        np.testing.assert_array_equal(draw.indptr, totals.indptr)
        assert draw.data.min() > 0
        assert draw.data.max() < 1


def test_draws_scatter_around_the_mean(trained, draws, simulated):
    mean = trained.get_counted_splicing_ratio(totals_only(simulated[1]))
    values = np.array([draw.data for draw in draws])
    error = values.std(axis=0) / np.sqrt(len(values))
    assert np.mean(np.abs(values.mean(axis=0) - mean.data) < 4 * error + 0.01) > 0.98
    assert (values.std(axis=0) > 0).all()


def test_a_draw_errs_in_one_gene_alike_in_all_cells(trained, draws, simulated):
    """Slopes are drawn once, so a draw's errors do not average out over a gene's cells."""
    mean = trained.get_counted_splicing_ratio(totals_only(simulated[1]))
    totals = csr_matrix(simulated[1].X)
    gene = int(np.argmax(np.bincount(totals.indices)))
    inside = totals.indices == gene
    deviation = np.array([draw.data[inside] - mean.data[inside] for draw in draws])
    # Cells of one side of a direction share the error of its slope.
    first = np.linalg.svd(deviation, compute_uv=False) ** 2
    assert first[0] / first.sum() > 3 / min(deviation.shape)


def test_the_seed_says_which_draws(trained, draws, simulated):
    query = totals_only(simulated[1])
    again = list(trained.sample_splicing_ratio(query, 2, seed=1))
    np.testing.assert_array_equal(again[1].data, draws[1].data)
    other = next(iter(trained.sample_splicing_ratio(query, 1, seed=2)))
    assert not np.array_equal(other.data, draws[0].data)


def test_counts_lie_in_the_predicted_intervals_as_often_as_said(trained, simulated):
    """The simulation scatters with a concentration of 45, and the cells were never seen."""
    concentration = trained.get_ratio_concentration()
    assert list(concentration.index) == list(trained.genes)
    assert 20 < concentration.median() < 120
    test = simulated[1]
    ratio = trained.get_splicing_ratio(totals_only(test)).to_numpy()
    covered = predictive_coverage(
        csr_matrix(test.layers["spliced"]),
        csr_matrix(test.layers["unspliced"]),
        ratio,
        concentration.to_numpy(),
        coverages=(5,),
    ).set_index("metric")["value"]
    assert covered["interval_coverage"] == pytest.approx(0.9, abs=0.03)


def test_what_averaging_takes_from_the_amplitude_is_given_back(trained, simulated):
    """The stored factor is that of the experts' own covariance, and predictions carry it."""
    model, train = trained, simulated[0]
    module = model.module
    counts = np.asarray((train.layers["spliced"] + train.layers["unspliced"]).toarray())
    module.eval()
    data = model._validate_anndata(train.copy())
    tensors = next(iter(model._make_data_loader(data, batch_size=train.n_obs)))
    first, second = (ratio.numpy().astype(float) for ratio in module.expert_ratios(tensors))
    log_odds = module.ratio_head.log_odds.numpy().astype(float)
    share = 1 / (1 + np.exp(-log_odds))
    weights = (counts * share * (1 - share)).ravel()
    one, two = ((logit(ratio) - log_odds).ravel() for ratio in (first, second))
    variances = (weights * one**2).sum() + (weights * two**2).sum()
    covariance = (weights * one * two).sum()
    expected = 2 * variances / (variances + 2 * covariance)
    assert 1 < expected < 2
    assert float(module.amplitude) == pytest.approx(expected, rel=1e-4)
    mean = logit((first + second) / 2) - log_odds
    predicted = logit(model.get_splicing_ratio(train).to_numpy().astype(float)) - log_odds
    np.testing.assert_allclose(predicted, expected * mean, atol=2e-3)
