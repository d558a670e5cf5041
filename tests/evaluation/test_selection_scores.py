"""Metrics of any set of cells from sums: the same as from the entries themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Sources
from splicedvae.evaluation import (
    SelectionScores,
    _selection,
    fold_changes,
    gene_metrics,
    ratio_metrics,
)

N_CELLS, N_GENES = 60, 25
GENES = [f"g{index}" for index in range(N_GENES)]


@pytest.fixture
def counts() -> tuple[csr_matrix, csr_matrix, dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(4)
    truth = rng.uniform(0.2, 0.9, N_GENES) + 0.1 * rng.normal(size=(N_CELLS, N_GENES))
    truth = np.clip(truth, 0.05, 0.95)
    totals = rng.negative_binomial(1, 0.2, size=(N_CELLS, N_GENES))
    spliced = rng.binomial(totals, truth)
    predictions = {
        "splicedvae": np.clip(truth + 0.05 * rng.normal(size=truth.shape), 0.01, 0.99),
        "scvi": np.clip(truth + 0.1 * rng.normal(size=truth.shape), 0.01, 0.99),
    }
    gene_mean = spliced.sum(axis=0) / totals.sum(axis=0)
    return (
        csr_matrix(spliced.astype(float)),
        csr_matrix((totals - spliced).astype(float)),
        predictions,
        gene_mean,
    )


@pytest.mark.parametrize("chunk", [7, 1000])
def test_sums_give_the_metrics_of_the_entries(counts, chunk, monkeypatch) -> None:
    monkeypatch.setattr(_selection, "_CHUNK", chunk)
    spliced, unspliced, predictions, gene_mean = counts
    scores = SelectionScores(spliced, unspliced, predictions, gene_mean=gene_mean)
    chosen = np.arange(N_CELLS) % 3 == 0
    found = scores.metrics(chosen).set_index("predictor")
    expected = ratio_metrics(
        spliced[chosen],
        unspliced[chosen],
        {**{name: ratio[chosen] for name, ratio in predictions.items()}},
        gene_mean=gene_mean,
    )
    for name in predictions:
        for metric, coverage in (("rmse", 5), ("pearson", 5), ("skill", 1)):
            row = expected[
                (expected["predictor"] == name)
                & (expected["metric"] == metric)
                & (expected["coverage"] == coverage)
            ].iloc[0]
            assert found.loc[name, metric] == pytest.approx(row["value"], rel=1e-9), metric
            if metric != "skill":
                assert found.loc[name, f"{metric}_ceiling"] == pytest.approx(row["ceiling"])
                assert found.loc[name, "n"] == row["n"]
    assert found.index[-1] == Sources.GENE_MEAN
    assert found.loc[Sources.GENE_MEAN, "skill"] == 0


def test_genes_are_those_of_gene_metrics(counts) -> None:
    spliced, unspliced, predictions, gene_mean = counts
    scores = SelectionScores(spliced, unspliced, predictions, gene_mean=gene_mean)
    chosen = np.arange(N_CELLS) < 20
    found = scores.genes(chosen, GENES)
    expected = gene_metrics(
        spliced[chosen],
        unspliced[chosen],
        {name: ratio[chosen] for name, ratio in predictions.items()},
        genes=GENES,
        gene_mean=gene_mean,
    ).set_index("gene")
    np.testing.assert_array_equal(found["molecules"], expected["spliced"] + expected["unspliced"])
    for name in predictions:
        np.testing.assert_allclose(
            found[f"skill_{name}"], expected[f"skill_{name}"], rtol=1e-4, atol=1e-5
        )


def test_a_sparse_prediction_is_read_at_the_counts(counts) -> None:
    spliced, unspliced, predictions, gene_mean = counts
    counted = csr_matrix(spliced + unspliced)
    stored = csr_matrix(counted.astype(bool).multiply(predictions["scvi"]))
    # One entry more than was counted: the structures differ, the numbers must not.
    wider = stored.tolil()
    empty = np.argwhere(counted.toarray() == 0)[0]
    wider[empty[0], empty[1]] = 0.5
    chosen = np.ones(N_CELLS, dtype=bool)
    dense, same, other = (
        SelectionScores(spliced, unspliced, {"scvi": ratio}, gene_mean=gene_mean).metrics(chosen)
        for ratio in (predictions["scvi"], stored, wider.tocsr())
    )
    for column in ("rmse", "pearson", "skill"):
        np.testing.assert_allclose(dense[column], same[column])
        np.testing.assert_allclose(dense[column], other[column])


def test_no_cell_has_no_number(counts) -> None:
    spliced, unspliced, predictions, gene_mean = counts
    scores = SelectionScores(spliced, unspliced, predictions, gene_mean=gene_mean)
    nobody = np.zeros(N_CELLS, dtype=bool)
    found = scores.metrics(nobody)
    assert (found["n"] == 0).all()
    assert found[["rmse", "pearson", "skill"]].isna().all(axis=None)
    assert scores.genes(nobody, GENES)["skill_scvi"].isna().all()


def test_shapes_must_match(counts) -> None:
    spliced, unspliced, predictions, gene_mean = counts
    with pytest.raises(DataError, match="gene means"):
        SelectionScores(spliced, unspliced, predictions, gene_mean=gene_mean[:-1])
    with pytest.raises(DataError, match="has shape"):
        SelectionScores(spliced, unspliced, {"a": predictions["scvi"][:-1]}, gene_mean=gene_mean)
    bad = predictions["scvi"].copy()
    bad[:] = np.nan
    with pytest.raises(DataError, match="finite"):
        SelectionScores(spliced, unspliced, {"a": bad}, gene_mean=gene_mean)


def test_fold_changes_compare_depth_normalised_means(counts) -> None:
    totals = csr_matrix(counts[0] + counts[1])
    totals[3] = 0
    totals.eliminate_zeros()
    depths = np.asarray(totals.sum(axis=1)).ravel()
    chosen = np.arange(N_CELLS) < 15
    found = fold_changes(totals, chosen, depths)
    with np.errstate(invalid="ignore", divide="ignore"):
        normal = 1e4 * totals.toarray() / depths[:, None]
    inside = np.nanmean(normal[chosen], axis=0)
    outside = np.nanmean(normal[~chosen], axis=0)
    np.testing.assert_allclose(found, np.log2((inside + 1) / (outside + 1)), rtol=1e-6)
    assert np.isnan(fold_changes(totals, np.ones(N_CELLS, bool), depths)).all()
