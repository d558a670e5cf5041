"""The fitted scatter of counts against counts drawn with a known one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from splicedvae.module import DispersionFit


def fitted(concentration: np.ndarray, n_cells: int = 400, depth: float = 8.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    n_genes = len(concentration)
    ratio = rng.uniform(0.2, 0.9, (n_cells, n_genes))
    n = rng.poisson(depth, (n_cells, n_genes))
    p = rng.beta(ratio * concentration, (1 - ratio) * concentration)
    s = rng.binomial(n, p)
    cells, genes = np.nonzero(n)
    fit = DispersionFit(n_genes)
    half = len(cells) // 2
    for part in (slice(None, half), slice(half, None)):
        c, g = cells[part], genes[part]
        fit.add(
            torch.tensor(s[c, g], dtype=torch.float32),
            torch.tensor(n[c, g], dtype=torch.float32),
            torch.tensor(ratio[c, g], dtype=torch.float32),
            torch.tensor(g),
        )
    return np.exp(fit.log_concentration().numpy())


def test_one_scatter_of_all_genes_is_found():
    found = fitted(np.full(60, 30.0))
    assert np.median(found) == pytest.approx(30, rel=0.15)
    # Genes borrow from each other, so that none strays far.
    assert found.max() / found.min() < 2.5


def test_genes_with_little_and_much_scatter_are_told_apart():
    found = fitted(np.repeat([6.0, 300.0], 40))
    assert np.median(found[:40]) == pytest.approx(6, rel=0.2)
    assert found[40:].min() > 5 * found[:40].max()


def test_binomial_counts_have_hardly_any_scatter():
    assert np.median(fitted(np.full(60, 1e8))) > 500


def test_single_molecules_say_nothing():
    fit = DispersionFit(3)
    ones = torch.ones(10)
    fit.add(ones, ones, 0.5 * ones, torch.arange(10) % 3)
    np.testing.assert_array_equal(fit.log_likelihood.numpy(), 0)
