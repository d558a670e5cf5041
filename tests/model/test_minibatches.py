"""Blocks of sparse minibatches hold what scvi-tools' loader hands over, cell by cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.special import gammaln

from splicedvae import SplicedVAE
from splicedvae.model._minibatches import BLOCK, Fixed, SparseCells, _Blocks


def dense(index: torch.Tensor, values: torch.Tensor, shape: tuple[int, int]) -> np.ndarray:
    found = np.zeros(shape[0] * shape[1], dtype=np.float32)
    found[index.numpy()] = values.numpy()
    return found.reshape(shape)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_cells=st.integers(1, 12),
    n_genes=st.integers(1, 9),
    others=st.sampled_from(["none", "more", "fewer"]),
    fractional=st.booleans(),
)
def test_minibatches_hold_the_counts_of_their_cells(seed, n_cells, n_genes, others, fractional):
    rng = np.random.default_rng(seed)
    s, u, more = (rng.poisson(0.7, (n_cells, n_genes)).astype(np.float32) for _ in range(3))
    if fractional:
        s, u = s / 4, u / 4
    x = {"none": s + u, "more": s + u + more, "fewer": np.maximum(s + u - more, 0)}[others]
    batch = rng.integers(0, 3, (n_cells, 1)).astype(np.int8)
    scores = rng.normal(size=(n_cells, 2)).astype(np.float32)
    cells = SparseCells(
        csr_matrix(x), csr_matrix(s), csr_matrix(u), {"batch": batch}, Fixed(scores)
    )
    rows = rng.permutation(n_cells)[: max(1, n_cells // 2)]
    found = cells.minibatch(rows)
    shape = (len(rows), n_genes)
    n = (s + u)[rows]
    np.testing.assert_array_equal(dense(found.index, found.totals, shape), x[rows])
    np.testing.assert_array_equal(dense(found.counted_index, found.counted, shape), n)
    np.testing.assert_array_equal(dense(found.counted_index, found.spliced, shape), s[rows])
    np.testing.assert_array_equal(
        dense(found.counted_index, found.totals_at_counted, shape), np.where(n > 0, x[rows], 0)
    )
    np.testing.assert_allclose(
        found.log_factorials, gammaln(x[rows] + 1).sum(axis=1), rtol=1e-5, atol=1e-5
    )
    choose = gammaln(n + 1) - gammaln(s[rows] + 1) - gammaln(u[rows] + 1)
    np.testing.assert_allclose(found.log_choose, choose.sum(axis=1), rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(found.covariates["batch"], batch[rows])
    assert found.covariates["batch"].dtype == torch.int64
    np.testing.assert_array_equal(found.scores, scores[rows])


@pytest.mark.parametrize("n_cells", [1, 2, 33, 64, 65, 4 * 32 + 1, 4 * 32 + 3, 128 * BLOCK + 1])
def test_every_cell_is_in_one_batch_and_none_is_alone(n_cells):
    from torch.utils.data import BatchSampler

    sampler = _Blocks(BatchSampler(range(n_cells), 32, drop_last=False), 4)
    blocks = list(sampler)
    assert len(blocks) == len(sampler)
    batches = [batch for block in blocks for batch in block]
    assert sorted(cell for batch in batches for cell in batch) == list(range(n_cells))
    assert all(len(batch) > 2 for batch in batches) or n_cells <= 2
    assert all(len(block) <= 4 for block in blocks)


def trained(adata: AnnData, **options) -> SplicedVAE:
    import scvi

    scvi.settings.seed = 0
    SplicedVAE.setup_anndata(adata)
    model = SplicedVAE(adata, n_hidden=16, n_latent=3, dropout_rate=0.0)
    model.train(max_epochs=4, batch_size=32, enable_progress_bar=False, **options)
    return model


def test_blocks_train_the_same_model_as_steps_one_by_one(simulated):
    """Same minibatches, same random numbers, same weights up to rounding."""
    cells = simulated[0][:97].copy()  # the last minibatch would hold one cell
    cells = cells[:96].copy()
    in_blocks = trained(cells)
    one_by_one = trained(cells, gradient_clip_val=1e9)
    assert in_blocks.history["train_loss"].shape == one_by_one.history["train_loss"].shape
    for name in ("train_loss", "elbo_train", "ratio_loss_train", "kl_local_train"):
        np.testing.assert_allclose(
            in_blocks.history[name].astype(float), one_by_one.history[name].astype(float), rtol=2e-3
        )
    np.testing.assert_allclose(
        in_blocks.get_splicing_ratio(), one_by_one.get_splicing_ratio(), atol=2e-3
    )
    for epoch_metrics in (in_blocks, one_by_one):
        assert len(epoch_metrics.history["kl_weight"]) > 0


def test_a_last_minibatch_of_one_cell_is_no_obstacle(simulated):
    model = trained(simulated[0][:97].copy())
    assert np.isfinite(model.get_splicing_ratio().to_numpy()).all()
