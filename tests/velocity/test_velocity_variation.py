from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from splicedvae._core.counts import shared_counts
from splicedvae.velocity import ratio_variation

totals = hnp.arrays(np.float32, (12, 4), elements=st.integers(0, 5000).map(float))
ratios = hnp.arrays(np.float32, 4, elements=st.floats(0, 1, width=32))
noise = hnp.arrays(np.float32, (12, 4), elements=st.floats(-1, 1, width=32))


@given(totals, ratios)
def test_a_ratio_that_is_constant_within_genes_never_varies(
    x: np.ndarray, ratio: np.ndarray
) -> None:
    spliced = (x * ratio).astype(np.float32)
    found = ratio_variation(sparse.csr_matrix(spliced), sparse.csr_matrix(x - spliced))
    assert not found.varies.any()
    assert (found.counted == (x.sum(axis=0) > 0)).all()


@given(totals, ratios, noise)
def test_noise_of_a_millionth_is_no_variation(
    x: np.ndarray, ratio: np.ndarray, shift: np.ndarray
) -> None:
    rho = np.clip(ratio + np.float32(1e-6) * shift, 0, 1)
    found = ratio_variation(sparse.csr_matrix(x * rho), sparse.csr_matrix(x * (1 - rho)))
    assert not found.varies.any()


@given(
    hnp.arrays(np.int64, (10, 3), elements=st.integers(0, 30)),
    hnp.arrays(np.int64, (10, 3), elements=st.integers(0, 30)),
)
def test_mean_and_deviation_are_the_count_weighted_ones(s: np.ndarray, u: np.ndarray) -> None:
    found = ratio_variation(sparse.csr_matrix(s.astype(float)), sparse.csr_matrix(u.astype(float)))
    n = s + u
    for gene in range(3):
        seen = n[:, gene] > 0
        if not seen.any():
            assert not found.counted[gene]
            assert found.sd[gene] == 0
            continue
        ratio = s[seen, gene] / n[seen, gene]
        mean = np.average(ratio, weights=n[seen, gene])
        sd = np.sqrt(np.average((ratio - mean) ** 2, weights=n[seen, gene]))
        np.testing.assert_allclose(found.mean[gene], mean, atol=1e-12)
        np.testing.assert_allclose(found.sd[gene], sd, atol=1e-12)
        mean = found.mean[gene]
        assert found.varies[gene] == (sd > max(1e-5, 1e-3 * mean * (1 - mean)))


def test_a_nearly_spliced_gene_is_judged_by_its_unspliced_part() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(1, 200, (300, 1)).astype(float)
    unspliced_part = 1e-3 * np.exp(0.3 * rng.normal(size=(300, 1)))
    found = ratio_variation(
        sparse.csr_matrix(x * (1 - unspliced_part)), sparse.csr_matrix(x * unspliced_part)
    )
    assert found.sd[0] < 1e-3
    assert found.varies[0]


@given(
    hnp.arrays(np.int64, (8, 3), elements=st.integers(0, 5)),
    hnp.arrays(np.int64, (8, 3), elements=st.integers(0, 5)),
)
def test_shared_counts_sum_both_layers_where_neither_is_zero(s: np.ndarray, u: np.ndarray) -> None:
    found = shared_counts(sparse.csr_matrix(s.astype(float)), sparse.csr_matrix(u.astype(float)))
    np.testing.assert_array_equal(found, np.where((s > 0) & (u > 0), s + u, 0).sum(axis=0))
