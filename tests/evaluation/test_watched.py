"""The numbers watched in training are those of the final table, over the same cells."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from splicedvae._core.errors import DataError
from splicedvae.evaluation import WatchedRatio, ratio_metrics


@pytest.fixture
def counts() -> tuple[csr_matrix, csr_matrix, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    ratio = rng.uniform(0.1, 0.9, (60, 20))
    total = rng.poisson(2.0, ratio.shape)
    spliced = rng.binomial(total, ratio)
    mean = spliced.sum(axis=0) / total.sum(axis=0)
    return csr_matrix(spliced), csr_matrix(total - spliced), ratio, mean


def test_watched_numbers_are_those_of_the_table(
    counts: tuple[csr_matrix, csr_matrix, np.ndarray, np.ndarray],
) -> None:
    spliced, unspliced, ratio, mean = counts
    watched = WatchedRatio(spliced, unspliced, mean)
    constant = np.broadcast_to(mean, ratio.shape)
    table = ratio_metrics(
        spliced, unspliced, {"model": ratio, "mean": constant}, gene_mean=mean, coverages=(1,)
    ).set_index(["predictor", "metric"])
    found = watched.metrics(ratio)
    assert set(found) == {"skill", "rmse", "within_gene_r"}
    for name, value in found.items():
        assert value == pytest.approx(table.loc[("model", name), "value"])
        assert watched.gene_mean[name] == pytest.approx(table.loc[("mean", name), "value"])
        assert watched.metrics(constant)[name] == pytest.approx(watched.gene_mean[name])
    for name, value in watched.ceiling.items():
        assert value == pytest.approx(table.loc[("model", name), "ceiling"])


def test_cells_without_counts_are_refused() -> None:
    empty = csr_matrix((3, 4))
    with pytest.raises(DataError, match="no spliced or unspliced counts"):
        WatchedRatio(empty, empty, np.full(4, 0.5))
